/*
 * Bad input: every public call of vm.h that can refuse its arguments, with those that it has to refuse. Each time the errno
 * is the one that vm.h says, and nothing has changed.
 *
 * Want of memory is suite_no_memory.c's, handles that were freed are at the end of this file.
 */
#include "vm_suite.h"

#include "probe.h"

#define BASE       SPACE_BASE
#define PAGES      10
#define FAR        ((vaddr_t)1 << 46)
#define DEVICE     ((paddr_t)0xfec00000)
#define ODD        ((uint64_t)PAGE_SIZE + 1)
#define LAST_PAGE  (UINT64_MAX - PAGE_SIZE + 1)
#define HASH_START 0xcbf29ce484222325ul /* FNV-1a, 64 bits at a time */
#define HASH       0x100000001b3ul

static struct map *root, *submap; /* the submap is at page 64, 32 pages, without the right to execute */
static struct blob *blob;         /* mapped at page 0; and at page 70, in the submap */
static struct blob *read_only;    /* mapped at page 20, may not be made writable */
static struct blob *device;       /* mapped at page 30 */
static struct blob *contiguous;
static struct entity *entity;
static struct segment segment;
static vaddr_t at;

static const struct mapping plain = {.prot = RW, .name = "plain"};

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

static void put(struct map *map, unsigned page, struct blob *of, pgoff_t pages, vm_prot_t prot, vm_prot_t max)
{
	struct placement place = fixed_at(page_at(page));
	struct mapping how = {.prot = prot, .max_prot = max, .name = "mapped"};

	CHECK_EQ(map_blob(map, &place, of, 0, pages, &how, &at), 0);
}

static void set_up(void)
{
	struct placement place = fixed_at(page_at(64));

	root = space_open("bad input");
	blob = make_blob(PAGES);
	read_only = make_blob(4);
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, 100 + i);
	CHECK_EQ(blob_create_device(DEVICE, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	CHECK_EQ(blob_create_contiguous(2 * PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK,
					&contiguous),
		 0);
	put(root, 0, blob, PAGES, RW, 0);
	put(root, 20, read_only, 4, VM_READ, VM_READ);
	put(root, 30, device, 2, RW, 0);
	CHECK_EQ(map_create_submap(root, &place, 32 * PAGE_SIZE, RW, "inner", &submap), 0);
	put(submap, 70, blob, PAGES, RW, 0);
	place = fixed_at(page_at(40));
	CHECK_EQ(map_reserve(root, &place, PAGE_SIZE, "kept", &at), 0);
	segment = (struct segment){blob, 0, 0, 2, RW, SEGMENT_PRIVATE, "segment", NULL};
	CHECK_EQ(entity_create("entity", 4, &segment, 1, &entity), 0);
}

static void tear_down(void)
{
	CHECK(check_map(root));
	space_close(root);
	entity_unref(entity);
	blob_unref(blob);
	blob_unref(read_only);
	blob_unref(device);
	blob_unref(contiguous);
}

/* ---- Nothing has changed ------------------------------------------------------------------------- */

static uint64_t hash(uint64_t sum, uint64_t value)
{
	return ((sum ^ value) * HASH) ^ (sum >> 32);
}

static int hash_entry(const struct entry_info *info, void *context)
{
	uint64_t *sum = context;

	*sum = hash(hash(hash(*sum, info->start), info->end), info->offset);
	*sum = hash(*sum, info->prot | info->max_prot << 4 | info->kind << 8 | info->depth << 12 |
				  info->inherit << 16 | info->wired << 20 | info->advice << 24);
	*sum = hash(hash(*sum, info->usage.resident), info->usage.paged_out);
	return 0;
}

static uint64_t digest(void)
{
	struct footprint now = footprint_now();
	uint64_t sum = hash(hash(HASH_START, now.pages), now.objects);

	map_walk(root, hash_entry, &sum);
	for (pgoff_t i = 0; i < PAGES; i++)
		sum = hash(sum, get_word(blob, i));
	sum = hash(hash(sum, blob->refs), blob->mapping_count);
	return hash(hash(sum, read_only->refs), device->refs);
}

/* What everything was like before the first bad call; none of them changes it. */
static uint64_t before;

static void refused(int error, int expected, const char *call, int line)
{
	test_check_equal(error, expected, call, "expected", __FILE__, line);
	if (!test_check_equal(digest(), before, call, "no change", __FILE__, line))
		before = digest();
}
#define REFUSED(expected, call) refused((call), (expected), #call, __LINE__)

/* ---- Blobs ------------------------------------------------------------------------------------------ */

static const uint64_t bad_sizes[] = {
	0, 1, PAGE_SIZE - 1, ODD, BLOB_MAX_BYTES + PAGE_SIZE, BLOB_MAX_BYTES + 1, LAST_PAGE, UINT64_MAX};
#define BAD_SIZES (sizeof(bad_sizes) / sizeof(bad_sizes[0]))

static void creation(void)
{
	static struct test_pager pager;
	struct blob *out = NULL;

	test_case("blob_create and its sisters: sizes, flags, places");
	test_pager_init(&pager);
	for (size_t i = 0; i < BAD_SIZES; i++) {
		REFUSED(-EINVAL, blob_create(bad_sizes[i], 0, &out));
		REFUSED(-EINVAL, blob_create_paged(bad_sizes[i], &pager.pager, &out));
		REFUSED(-EINVAL, blob_create_device(DEVICE, bad_sizes[i], CACHE_UNCACHED, &out));
		REFUSED(-EINVAL, blob_create_contiguous(bad_sizes[i], PAGE_SIZE, PAGE_ANYWHERE,
							CACHE_WRITE_BACK, &out));
	}
	CHECK_EQ(pager.pager.refs, 1);
	REFUSED(-EINVAL, blob_create(PAGE_SIZE, 2, &out));
	REFUSED(-EINVAL, blob_create(PAGE_SIZE, ~0u, &out));
	REFUSED(-EINVAL, blob_create_device(DEVICE + 1, PAGE_SIZE, CACHE_UNCACHED, &out));
	REFUSED(-EINVAL, blob_create_device(LAST_PAGE, 2 * PAGE_SIZE, CACHE_UNCACHED, &out));
	REFUSED(-EINVAL, blob_create_device(LAYOUT_PHYSICAL_BYTES, PAGE_SIZE, CACHE_UNCACHED, &out));
	REFUSED(-EINVAL,
		blob_create_device(LAYOUT_PHYSICAL_BYTES - PAGE_SIZE, 2 * PAGE_SIZE, CACHE_UNCACHED, &out));
	REFUSED(-EINVAL, blob_create_device(DEVICE, PAGE_SIZE, CACHE_UNCACHED + 1, &out));
	/* A frame of RAM. */
	REFUSED(-EINVAL,
		blob_create_device(env_virt_to_phys(entity) & ~PAGE_MASK, PAGE_SIZE, CACHE_UNCACHED, &out));
	REFUSED(-EINVAL, blob_create_contiguous(PAGE_SIZE, 0, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out));
	REFUSED(-EINVAL,
		blob_create_contiguous(PAGE_SIZE, PAGE_SIZE / 2, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out));
	REFUSED(-EINVAL,
		blob_create_contiguous(PAGE_SIZE, 3 * PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out));
	REFUSED(-EINVAL,
		blob_create_contiguous(PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_UNCACHED + 1, &out));
	CHECK(out == NULL);
}

static void windows(void)
{
	static const struct {
		pgoff_t offset, pages;
	} bad[] = {{0, 0},          {0, PAGES + 1},      {PAGES, 1},      {PAGES + 1, 0},
		   {PAGES - 1, 2},  {1, UINT64_MAX},     {UINT64_MAX, 1}, {UINT64_MAX, 2},
		   {0, UINT64_MAX}, {PAGES, UINT64_MAX}, {PAGES - 1, 0},  {UINT64_MAX - 4, 10}};
	struct wiring *wiring = NULL;
	struct blob *out = NULL;
	struct blob_usage usage;

	test_case("windows that are empty, or not inside the blob");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		pgoff_t offset = bad[i].offset, pages = bad[i].pages;
		struct placement anywhere = {.flags = 0};
		struct segment outside = {blob, offset, 0, pages, RW, SEGMENT_SHARED, "outside", NULL};
		struct entity *made = NULL;

		REFUSED(-EINVAL, blob_clone(blob, offset, pages, &out));
		REFUSED(-EINVAL, blob_commit(blob, offset, pages));
		REFUSED(-EINVAL, blob_decommit(blob, offset, pages));
		REFUSED(-EINVAL, blob_wire(blob, offset, pages, &wiring));
		REFUSED(-EINVAL, blob_sync(blob, offset, pages));
		REFUSED(-EINVAL, blob_page_out(blob, offset, pages));
		REFUSED(-EINVAL, blob_usage(blob, offset, pages, &usage));
		REFUSED(-EINVAL, map_blob(root, &anywhere, blob, offset, pages, &plain, &at));
		REFUSED(-EINVAL, map_blob_private(root, &anywhere, blob, offset, pages, &plain, &at));
		REFUSED(-EINVAL, entity_create("outside", PAGES + 20, &outside, 1, &made));
		CHECK_EQ(blob_resident(blob, offset, pages), 0);
		CHECK(!made);
	}
	CHECK(!out && !wiring);
}

static void bytes(void)
{
	static const struct {
		uint64_t offset, bytes;
	} bad[] = {{PAGES * PAGE_SIZE, 1},
		   {PAGES * PAGE_SIZE + 1, 0},
		   {0, PAGES * PAGE_SIZE + 1},
		   {PAGES * PAGE_SIZE - 1, 2},
		   {UINT64_MAX, 1},
		   {UINT64_MAX, 2},
		   {1, UINT64_MAX},
		   {UINT64_MAX - 4, 10},
		   {UINT64_MAX, 0}};
	struct blob *other = read_only;
	char buffer[8];

	test_case("bytes that are not inside the blob, or overlap");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		REFUSED(-EINVAL, blob_read(blob, bad[i].offset, buffer, bad[i].bytes));
		REFUSED(-EINVAL, blob_write(blob, bad[i].offset, buffer, bad[i].bytes));
		REFUSED(-EINVAL, blob_zero(blob, bad[i].offset, bad[i].bytes));
		REFUSED(-EINVAL, blob_copy(blob, bad[i].offset, other, 0, bad[i].bytes));
		REFUSED(-EINVAL, blob_copy(other, 0, blob, bad[i].offset, bad[i].bytes));
	}
	REFUSED(-EINVAL, blob_copy(blob, 0, blob, 0, 1));
	REFUSED(-EINVAL, blob_copy(blob, 5, blob, 0, 6));
	REFUSED(-EINVAL, blob_copy(blob, 0, blob, PAGE_SIZE, PAGE_SIZE + 1));
	/* Nothing, at the very end, is inside. */
	REFUSED(0, blob_read(blob, PAGES * PAGE_SIZE, buffer, 0));
	REFUSED(0, blob_write(blob, PAGES * PAGE_SIZE, buffer, 0));
	REFUSED(0, blob_zero(blob, PAGES * PAGE_SIZE, 0));
	REFUSED(0, blob_copy(blob, PAGES * PAGE_SIZE, blob, PAGES * PAGE_SIZE, 0));
}

static void wrong_kind(void)
{
	struct blob *out = NULL;
	paddr_t physical = 1;
	char buffer[8] = {0};

	test_case("what has no meaning for a device, or for consecutive frames");
	REFUSED(-EINVAL, blob_read(device, 0, buffer, 1));
	REFUSED(-EINVAL, blob_write(device, 0, buffer, 1));
	REFUSED(-EINVAL, blob_zero(device, 0, 1));
	REFUSED(-EINVAL, blob_copy(device, 0, blob, 0, 1));
	REFUSED(-EINVAL, blob_copy(blob, 0, device, 0, 1));
	REFUSED(-EINVAL, blob_clone(device, 0, 1, &out));
	REFUSED(-EINVAL, blob_commit(device, 0, 1));
	REFUSED(-EINVAL, blob_decommit(device, 0, 1));
	REFUSED(-EINVAL, blob_sync(device, 0, 1));
	REFUSED(-EINVAL, blob_page_out(device, 0, 1));
	REFUSED(-EINVAL, map_decommit(root, page_at(30), PAGE_SIZE));
	REFUSED(-EINVAL, blob_clone(contiguous, 0, 1, &out));
	REFUSED(-EINVAL, blob_decommit(contiguous, 0, 1));
	REFUSED(-EINVAL, blob_sync(contiguous, 0, 1));
	REFUSED(-EINVAL, blob_page_out(contiguous, 0, 1));
	REFUSED(-EINVAL, blob_physical(blob, &physical));
	CHECK(!out && physical == 1);
}

/* ---- Entities ------------------------------------------------------------------------------------------ */

static void refuse_segments(pgoff_t pages, const struct segment *segments, size_t count)
{
	struct entity *out = NULL;

	REFUSED(-EINVAL, entity_create("bad", pages, segments, count, &out));
	CHECK(!out);
}

static void entities(void)
{
	static struct segment many[ENTITY_MAX_SEGMENTS + 1];
	struct segment bad;

	test_case("entities: none, too many, overlapping, outside");
	refuse_segments(4, &segment, 0);
	for (unsigned i = 0; i <= ENTITY_MAX_SEGMENTS; i++) {
		many[i] = segment;
		many[i].place = 2 * i;
	}
	refuse_segments(4 * ENTITY_MAX_SEGMENTS, many, ENTITY_MAX_SEGMENTS + 1);
	many[1].place = 1;
	refuse_segments(4 * ENTITY_MAX_SEGMENTS, many, 2);
	refuse_segments(1, &segment, 1);
	refuse_segments(0, &segment, 1);
	refuse_segments(UINT64_MAX, &segment, 1);
	bad = segment;
	bad.place = 3;
	refuse_segments(4, &bad, 1);
	bad.place = UINT64_MAX;
	refuse_segments(4, &bad, 1);
	bad = segment;
	bad.pages = 0;
	refuse_segments(4, &bad, 1);
	bad = segment;
	bad.blob_offset = PAGES - 1;
	refuse_segments(4, &bad, 1);
}

/* ---- Ranges of maps -------------------------------------------------------------------------------------- */

/* Every call that takes a range of a map. `whole`: each page of it has to be mapped. */
static unsigned char vector[128];

static int range_unmap_it(struct map *map, vaddr_t start, uint64_t size)
{
	return map_unmap(map, start, size);
}

static int range_protect(struct map *map, vaddr_t start, uint64_t size)
{
	return map_protect(map, start, size, VM_READ);
}

static int range_advise(struct map *map, vaddr_t start, uint64_t size)
{
	return map_advise(map, start, size, ADVISE_RANDOM);
}

static int range_needed(struct map *map, vaddr_t start, uint64_t size)
{
	return map_advise(map, start, size, ADVISE_WILLNEED);
}

static int range_page_out(struct map *map, vaddr_t start, uint64_t size)
{
	return map_advise(map, start, size, ADVISE_PAGE_OUT);
}

static int range_residency(struct map *map, vaddr_t start, uint64_t size)
{
	return map_residency(map, start, size, vector);
}

static const struct {
	int (*call)(struct map *map, vaddr_t start, uint64_t size);
	bool whole;
} range_calls[] = {
	{range_unmap_it, false}, {range_protect, true},   {map_wire, true},       {map_unwire, true},
	{range_advise, true},    {range_needed, true},    {range_page_out, true}, {map_decommit, true},
	{map_check, true},       {range_residency, true},
};

static void ranges(void)
{
	test_case("ranges that are unaligned, empty, wrap, or are not inside the map");
	for (size_t i = 0; i < sizeof(range_calls) / sizeof(range_calls[0]); i++) {
		int (*call)(struct map *, vaddr_t, uint64_t) = range_calls[i].call;

		REFUSED(-EINVAL, call(root, page_at(0) + 1, PAGE_SIZE));
		REFUSED(-EINVAL, call(root, page_at(0) + PAGE_SIZE / 2, PAGE_SIZE));
		REFUSED(-EINVAL, call(root, page_at(0), 1));
		REFUSED(-EINVAL, call(root, page_at(0), ODD));
		REFUSED(-EINVAL, call(root, page_at(0), 0));
		REFUSED(-EINVAL, call(root, LAST_PAGE, 2 * PAGE_SIZE));
		REFUSED(-EINVAL, call(root, page_at(0), LAST_PAGE));
		REFUSED(-EINVAL, call(root, page_at(1), UINT64_MAX));
		REFUSED(-ENOMEM, call(root, LAYOUT_PHYSICAL_END, PAGE_SIZE));
		REFUSED(-ENOMEM, call(root, (vaddr_t)1 << 63, PAGE_SIZE));
		REFUSED(-ENOMEM, call(submap, page_at(63), PAGE_SIZE));
		REFUSED(-ENOMEM, call(submap, page_at(63), 8 * PAGE_SIZE));
		REFUSED(-ENOMEM, call(submap, page_at(90), 8 * PAGE_SIZE));
		REFUSED(-ENOMEM, call(submap, page_at(0), PAGE_SIZE));
		if (!range_calls[i].whole)
			continue;
		REFUSED(-ENOMEM, call(root, page_at(PAGES - 1), 2 * PAGE_SIZE));
		REFUSED(-ENOMEM, call(root, page_at(PAGES), PAGE_SIZE));
		REFUSED(-ENOMEM, call(root, page_at(0), 24 * PAGE_SIZE));
		REFUSED(-ENOMEM, call(root, page_at(69), 2 * PAGE_SIZE));
		REFUSED(-ENOMEM, call(root, page_at(70), (PAGES + 1) * PAGE_SIZE));
		if (call != range_protect)
			REFUSED(-ENOMEM, call(root, page_at(40), PAGE_SIZE));
	}
}

static void rights(void)
{
	struct placement place = fixed_at(page_at(50));
	struct placement inside = fixed_at(page_at(64));
	struct placement deep = {.flags = 0};
	struct mapping how = {.prot = RW, .max_prot = VM_READ, .name = "bad"};

	test_case("rights beyond what an entry, a submap or there is");
	REFUSED(-EACCES, map_protect(root, page_at(20), PAGE_SIZE, RW));
	REFUSED(-EACCES, map_protect(root, page_at(20), 4 * PAGE_SIZE, VM_ALL));
	REFUSED(-EACCES, map_protect(root, page_at(70), PAGE_SIZE, RX));
	REFUSED(-EACCES, map_protect(submap, page_at(70), PAGE_SIZE, VM_EXEC));
	REFUSED(-EACCES, map_blob(root, &place, blob, 0, 1, &how, &at));
	REFUSED(-EACCES, map_blob_private(root, &place, blob, 0, 1, &how, &at));
	how = (struct mapping){.prot = RX, .name = "bad"};
	REFUSED(-EACCES, map_blob(submap, &deep, blob, 0, 1, &how, &at));
	REFUSED(-EACCES, map_blob_private(submap, &deep, blob, 0, 1, &how, &at));
	REFUSED(-EACCES, map_blob(root, &inside, blob, 0, 1, &how, &at));
	how.prot = VM_ALL + 1;
	REFUSED(-EACCES, map_blob(root, &place, blob, 0, 1, &how, &at));
	REFUSED(-EINVAL, map_protect(root, page_at(0), PAGE_SIZE, VM_ALL + 1));

	test_case("advice that there is not");
	REFUSED(-EINVAL, map_advise(root, page_at(0), PAGE_SIZE, MAP_ADVICES));
	REFUSED(-EINVAL, map_advise(root, page_at(0), PAGE_SIZE, (enum map_advice)77));
}

/* ---- Placements -------------------------------------------------------------------------------------------- */

static int place_blob(struct map *map, const struct placement *place)
{
	return map_blob(map, place, blob, 0, 2, &plain, &at);
}

static int place_private(struct map *map, const struct placement *place)
{
	return map_blob_private(map, place, blob, 0, 2, &plain, &at);
}

static int place_entity(struct map *map, const struct placement *place)
{
	return map_entity(map, place, entity, &at);
}

static int place_reserved(struct map *map, const struct placement *place)
{
	return map_reserve(map, place, 2 * PAGE_SIZE, "bad", &at);
}

static int place_submap(struct map *map, const struct placement *place)
{
	struct map *out;

	return map_create_submap(map, place, 2 * PAGE_SIZE, RW, "bad", &out);
}

static int place_by_moving(struct map *map, const struct placement *place)
{
	struct resize_request want = {.start = page_at(0),
				      .old_bytes = 2 * PAGE_SIZE,
				      .new_bytes = 2 * PAGE_SIZE,
				      .may_move = true,
				      .place = *place};

	/* Without an address a mapping that fits stays where it is. */
	if (!(place->flags & PLACE_FIXED))
		want.start = page_at(8), want.new_bytes = 3 * PAGE_SIZE;
	return map_resize(root, map, &want, &at);
}

static int (*const placing_calls[])(struct map *, const struct placement *) = {
	place_blob, place_private, place_entity, place_reserved, place_submap, place_by_moving};

static void refuse_place(struct placement place, int error)
{
	for (size_t i = 0; i < sizeof(placing_calls) / sizeof(placing_calls[0]) - 1; i++)
		REFUSED(error, placing_calls[i](root, &place));
}

static void refuse_inside(struct placement place, int error)
{
	for (size_t i = 0; i < sizeof(placing_calls) / sizeof(placing_calls[0]) - 1; i++)
		REFUSED(error, placing_calls[i](submap, &place));
}

static void placements(void)
{
	struct placement high = {.low = page_at(64), .high = page_at(65)};

	test_case("addresses that are unaligned, taken, outside, or wrap");
	refuse_place(fixed_at(page_at(50) + 1), -EINVAL);
	refuse_place(fixed_at(page_at(9)), -EEXIST);
	refuse_place(fixed_at(page_at(40)), -EEXIST);
	refuse_place(fixed_at(LAYOUT_PHYSICAL_END), -ENOMEM);
	refuse_place(fixed_at((vaddr_t)1 << 63), -ENOMEM);
	refuse_place(fixed_at(LAST_PAGE), -ENOMEM);
	refuse_place((struct placement){.address = page_at(50) + PAGE_SIZE,
					.align = 2 * PAGE_SIZE,
					.flags = PLACE_FIXED},
		     (page_at(50) + PAGE_SIZE) % (2 * PAGE_SIZE) ? -EINVAL : 0);
	refuse_inside(fixed_at(page_at(62)), -ENOMEM);
	refuse_inside(fixed_at(page_at(63)), -ENOMEM);
	refuse_inside(fixed_at(page_at(95)), -ENOMEM);
	refuse_inside(fixed_at(page_at(71)), -EEXIST);

	test_case("alignments that are none");
	refuse_place((struct placement){.align = PAGE_SIZE / 2}, -EINVAL);
	refuse_place((struct placement){.align = 3 * PAGE_SIZE}, -EINVAL);
	refuse_place((struct placement){.align = UINT64_MAX}, -EINVAL);
	refuse_place((struct placement){.guard = 1}, -EINVAL);
	refuse_place((struct placement){.align = 2 * PAGE_SIZE, .guard = PAGE_SIZE}, -EINVAL);

	test_case("limits and gaps that leave no room");
	refuse_inside((struct placement){.align = (uint64_t)1 << 40}, -ENOMEM);
	refuse_inside(high, -ENOMEM);
	refuse_inside((struct placement){.low = page_at(95)}, -ENOMEM);
	refuse_inside((struct placement){.low = page_at(68), .high = page_at(66)}, -ENOMEM);
	refuse_inside((struct placement){.high = page_at(60)}, -ENOMEM);
	refuse_inside((struct placement){.guard = 16 * PAGE_SIZE}, -ENOMEM);
	refuse_inside((struct placement){.guard = FAR}, -ENOMEM);
	refuse_inside((struct placement){.guard = (uint64_t)1 << 63}, -ENOMEM);
	refuse_inside((struct placement){.guard = LAST_PAGE}, -ENOMEM);
	refuse_inside((struct placement){.guard = LAST_PAGE - PAGE_SIZE}, -ENOMEM);

	test_case("the kernel's regions, and the layout, give no room to a program");
	{
		static const vaddr_t theirs[] = {0,
						 LAYOUT_KERNEL_START,
						 LAYOUT_SYSTEM_START,
						 LAYOUT_PAGES_START,
						 LAYOUT_DYNAMIC_START,
						 LAYOUT_PHYSICAL_START};

		for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
			CHECK(place_blob(root, &(struct placement){.address = theirs[i],
								   .flags = PLACE_FIXED}) < 0);
			CHECK(place_blob(root, &(struct placement){.address = theirs[i],
								   .flags = PLACE_FIXED | PLACE_REPLACE}) <
			      0);
			REFUSED(-EPERM, map_unmap(root, theirs[i], PAGE_SIZE));
		}
	}
}

static void sizes(void)
{
	struct placement place = fixed_at(page_at(50));
	struct placement anywhere = {.flags = 0};
	struct map *made = NULL;
	struct map *deepest = submap;

	test_case("sizes of what is placed: empty, unaligned, wrapping, too large");
	for (size_t i = 0; i < BAD_SIZES; i++) {
		bool page_multiple = bad_sizes[i] && page_aligned(bad_sizes[i]);
		int error = page_multiple ? -ENOMEM : -EINVAL;

		REFUSED(error, map_reserve(root, &place, bad_sizes[i], "bad", &at));
		REFUSED(error, map_reserve(submap, &anywhere, bad_sizes[i], "bad", &at));
		REFUSED(error, map_create_submap(root, &place, bad_sizes[i], RW, "bad", &made));
		REFUSED(error, map_create_arena(root, bad_sizes[i], &made));
		REFUSED(error, map_create_arena_at(root, LAYOUT_ARENAS_START, bad_sizes[i], &made));
	}
	REFUSED(-EINVAL, map_create_arena_at(root, LAYOUT_ARENAS_START + PAGE_SIZE, PAGE_SIZE, &made));
	REFUSED(-ENOMEM, map_create_arena_at(root, LAYOUT_PAGES_START, LAYOUT_ARENA_ALIGN, &made));
	REFUSED(-ENOMEM, map_create_arena_at(root, 0, LAYOUT_ARENA_ALIGN, &made));
	CHECK(!made);

	test_case("submaps that are too deep");
	place = fixed_at(page_at(90));
	/* A root is at depth 0, private space at 1, and this one at 2. */
	for (unsigned depth = 3; depth <= MAP_MAX_DEPTH; depth++)
		CHECK_EQ(map_create_submap(deepest, &(struct placement){.low = depth == 3 ? page_at(90) : 0},
					   PAGE_SIZE, RW, "deeper", &deepest),
			 0);
	before = digest();
	REFUSED(-EMFILE, map_create_submap(deepest, &anywhere, PAGE_SIZE, RW, "too deep", &made));
	CHECK_EQ(map_unmap(root, page_at(90), PAGE_SIZE), 0);
	before = digest();
}

/* ---- Resizing, looking, faulting ------------------------------------------------------------------------- */

static int resize(vaddr_t start, uint64_t old_bytes, uint64_t new_bytes, bool may_move)
{
	struct resize_request want = {
		.start = start, .old_bytes = old_bytes, .new_bytes = new_bytes, .may_move = may_move};

	return map_resize(root, submap, &want, &at);
}

static int move_to(struct map *target, vaddr_t address, unsigned flags)
{
	struct resize_request want = {.start = page_at(0),
				      .old_bytes = 2 * PAGE_SIZE,
				      .new_bytes = 2 * PAGE_SIZE,
				      .may_move = true,
				      .place = {.address = address, .flags = flags}};

	return map_resize(root, target, &want, &at);
}

static void resizing(void)
{
	static const uint64_t bad[] = {0, 1, ODD, LAST_PAGE, UINT64_MAX};

	test_case("mappings that cannot be resized so");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		REFUSED(-EINVAL, resize(page_at(0), bad[i], PAGE_SIZE, true));
		REFUSED(-EINVAL, resize(page_at(0), PAGE_SIZE, bad[i], true));
	}
	REFUSED(-EINVAL, resize(page_at(0) + 1, PAGE_SIZE, PAGE_SIZE, true));
	REFUSED(-EFAULT, resize(page_at(PAGES), PAGE_SIZE, PAGE_SIZE, true));
	REFUSED(-EFAULT, resize(page_at(0), (PAGES + 1) * PAGE_SIZE, PAGE_SIZE, true));
	REFUSED(-EFAULT, resize(page_at(40), PAGE_SIZE, 2 * PAGE_SIZE, true));
	REFUSED(-EFAULT, resize(page_at(64), PAGE_SIZE, 2 * PAGE_SIZE, true));
	REFUSED(-EFAULT, resize(FAR, PAGE_SIZE, PAGE_SIZE, true));
	REFUSED(-EINVAL, resize(page_at(0), PAGES * PAGE_SIZE, (PAGES + 1) * PAGE_SIZE, true));
	REFUSED(-EINVAL, resize(page_at(0), PAGES * PAGE_SIZE, BLOB_MAX_BYTES, true));
	/* The blob's pages that follow are mapped, by the rest of the entry and elsewhere. */
	REFUSED(-ENOMEM, resize(page_at(0), PAGE_SIZE, 2 * PAGE_SIZE, true));
	REFUSED(-EINVAL, move_to(root, page_at(1), PLACE_FIXED | PLACE_REPLACE));
	REFUSED(-EEXIST, move_to(root, page_at(20), PLACE_FIXED));
	REFUSED(-EINVAL, move_to(root, page_at(50) + 1, PLACE_FIXED));
	REFUSED(-ENOMEM, move_to(submap, page_at(63), PLACE_FIXED));
	REFUSED(-ENOMEM, move_to(submap, page_at(95), PLACE_FIXED));
	REFUSED(-ENOMEM, move_to(root, LAST_PAGE, PLACE_FIXED));
	CHECK(move_to(root, LAYOUT_SYSTEM_START, PLACE_FIXED) < 0);
	REFUSED(0, 0);
}

static void looking(void)
{
	static const vaddr_t nowhere[] = {0,
					  1,
					  FAR,
					  LAYOUT_KERNEL_START,
					  LAYOUT_SYSTEM_START,
					  LAYOUT_PHYSICAL_START,
					  LAYOUT_PHYSICAL_END,
					  (vaddr_t)1 << 63,
					  UINT64_MAX};
	struct fault_result result;
	struct lookup found;
	char line[64];

	test_case("addresses at which there is nothing for a program");
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		REFUSED(-EFAULT, map_lookup(root, nowhere[i], &found));
		REFUSED(-EFAULT, vm_fault(root, nowhere[i], VM_READ, &result));
		REFUSED(-EFAULT, vm_fault(root, nowhere[i], VM_WRITE, &result));
		REFUSED(-EFAULT, vm_explain(root, nowhere[i], VM_EXEC, line, sizeof(line)));
	}
	REFUSED(-EFAULT, map_lookup(root, page_at(40), &found));
	REFUSED(-EFAULT, map_lookup(root, page_at(64), &found));
	REFUSED(-EFAULT, vm_fault(root, page_at(40), VM_READ, &result));
	REFUSED(-EACCES, vm_fault(root, page_at(20), VM_WRITE, &result));
	REFUSED(-EACCES, vm_fault(root, page_at(70), VM_EXEC, &result));
	REFUSED(-EACCES, vm_explain(root, page_at(20), VM_WRITE, line, sizeof(line)));
	CHECK(!user_range(0, 1) && !user_range(LAYOUT_KERNEL_START - 1, 2) && !user_range(UINT64_MAX, 2));
	CHECK(!user_range(LAYOUT_ARENAS_END, 1) && !user_range(LAYOUT_SYSTEM_START, UINT64_MAX));
	CHECK(user_range(LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START));

	test_case("kernel memory and devices: sizes that wrap, or are none");
	CHECK(!kernel_alloc(0, "bad") && !kernel_alloc(UINT64_MAX, "bad") && !kernel_alloc(FAR, "bad"));
	CHECK(!kernel_map_device(DEVICE, 0, CACHE_UNCACHED));
	CHECK(!kernel_map_device(DEVICE, UINT64_MAX, CACHE_UNCACHED));
	CHECK(!kernel_map_device(UINT64_MAX, 2, CACHE_UNCACHED));
	CHECK(!kernel_map_device(LAYOUT_PHYSICAL_BYTES, 1, CACHE_UNCACHED));
	REFUSED(0, 0);
}

/* All of a blob that is larger than all memory: there is an end to it, and everything comes back. */
static void huge_windows(void)
{
	const pgoff_t pages = BLOB_MAX_BYTES >> PAGE_SHIFT;
	struct footprint footprint = footprint_now();
	struct placement place = fixed_at(page_at(200));
	struct wiring *wiring = NULL;
	struct blob *huge = NULL;

	test_case("windows larger than memory: what needs all of it fails, and gives it back");
	CHECK_EQ(blob_create(BLOB_MAX_BYTES, 0, &huge), 0);
	CHECK_EQ(blob_wire(huge, 0, pages, &wiring), -ENOMEM);
	CHECK(!wiring);
	CHECK_EQ(huge->wired_count, 0);
	CHECK_EQ(blob_decommit(huge, 0, pages), 0);
	CHECK_EQ(map_blob(root, &place, huge, 0, pages / 1024, &plain, &at), -EEXIST);
	CHECK_EQ(map_blob(root, &place, huge, pages - 100000, 100000, &plain, &at), 0);
	CHECK_EQ(map_wire(root, page_at(200), pages_to_bytes(100000)), -ENOMEM);
	CHECK_EQ(huge->wired_count, 0);
	CHECK_EQ(map_unmap(root, page_at(200), pages_to_bytes(100000)), 0);
	CHECK_EQ(blob_commit(huge, pages / 2, pages / 2), -ENOMEM);
	blob_unref(huge);
	check_footprint(&footprint);
}

/* ---- Handles that were freed -------------------------------------------------------------------------------- */

#ifdef DEBUG
#define DEBUG_CHECKS true
#else
#define DEBUG_CHECKS false
#endif

static void unref_freed_blob(void *context)
{
	struct blob *freed = make_blob(1);

	(void)context;
	blob_unref(freed);
	blob_unref(freed);
}

static void ref_freed_blob(void *context)
{
	struct blob *freed = make_blob(1);

	(void)context;
	blob_unref(freed);
	blob_ref(freed);
}

static void write_freed_blob(void *context)
{
	struct blob *freed = make_blob(1);

	(void)context;
	blob_unref(freed);
	(void)blob_write(freed, 0, "x", 1);
}

static void map_freed_blob(void *context)
{
	struct blob *freed = make_blob(1);
	struct placement place = fixed_at(page_at(50));

	(void)context;
	blob_unref(freed);
	(void)map_blob(root, &place, freed, 0, 1, &plain, &at);
}

static void unref_freed_entity(void *context)
{
	(void)context;
	entity_unref(entity);
	entity_unref(entity);
}

static void map_freed_entity(void *context)
{
	struct placement place = fixed_at(page_at(50));

	(void)context;
	entity_unref(entity);
	(void)map_entity(root, &place, entity, &at);
}

static void unref_freed_map(void *context)
{
	struct map *freed = NULL;

	(void)context;
	CHECK_EQ(map_create_root("freed", &freed), 0);
	map_unref(freed);
	map_unref(freed);
}

static void free_kernel_memory_twice(void *context)
{
	void *memory = kernel_alloc(PAGE_SIZE, "freed");

	(void)context;
	kernel_free(memory);
	kernel_free(memory);
}

static void free_no_kernel_memory(void *context)
{
	kernel_free((char *)context + PAGE_SIZE);
}

static const struct {
	const char *name;
	void (*misuse)(void *context);
} misuses[] = {
	{"a blob is given back once more than it was taken", unref_freed_blob},
	{"a reference to a freed blob is taken", ref_freed_blob},
	{"a freed blob is written", write_freed_blob},
	{"a freed blob is mapped", map_freed_blob},
	{"an entity is given back once more than it was taken", unref_freed_entity},
	{"a freed entity is mapped", map_freed_entity},
	{"a map is given back once more than it was taken", unref_freed_map},
	{"kernel memory is freed twice", free_kernel_memory_twice},
	{"what is no kernel memory is freed", free_no_kernel_memory},
};

static void freed_handles(void)
{
	void *memory = kernel_alloc(2 * PAGE_SIZE, "kept");

	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		char message[256];

		test_case(misuses[i].name);
		if (!DEBUG_CHECKS || !probe_panics)
			test_skip("only debug builds notice, and only the host can try");
		else if (!CHECK(probe_panics(misuses[i].misuse, memory, message, sizeof(message))))
			test_print("# it said: %s", message);
	}
	kernel_free(memory);
}

void suite_bad_input(void)
{
	struct footprint all;

	test_case("start");
	/* Descriptors of device pages stay for good, and so do the kernel's page tables. */
	CHECK_EQ(blob_create_device(DEVICE, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	blob_unref(device);
	kernel_free(kernel_alloc(2 * PAGE_SIZE, "first"));
	all = footprint_now();
	set_up();
	before = digest();
	creation();
	windows();
	bytes();
	wrong_kind();
	entities();
	ranges();
	rights();
	placements();
	sizes();
	resizing();
	looking();
	huge_windows();
	freed_handles();
	test_case("all memory is back");
	tear_down();
	check_footprint(&all);
}
