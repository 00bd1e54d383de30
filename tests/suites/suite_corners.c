/*
 * Corners of the VM that once were wrong: sizes that wrap, replacing what is permanent, contents that come
 * back, translations that outlive their map; and what finds no memory and is not in suite_no_memory.c.
 *
 * Several CPUs at once are in tests/host/suite_races.c.
 */
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define BASE         SPACE_BASE
#define MAX_FAILURES 200

static struct map *root;
static vaddr_t at;

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

/* ---- Sizes and places ---------------------------------------------------------------------------- */

static void entity_that_wraps(void)
{
	struct blob *blob = make_blob(1);
	struct segment segment = {
		.blob = blob, .pages = 1, .prot = VM_READ, .sharing = SEGMENT_SHARED, .name = "segment"};
	struct entity *made = NULL;

	test_case("an entity of more bytes than there are addresses is refused");
	CHECK_EQ(entity_create("huge", ((pgoff_t)1 << (64 - PAGE_SHIFT)) + 1, &segment, 1, &made), -EINVAL);
	segment.place = (pgoff_t)1 << (64 - PAGE_SHIFT);
	CHECK_EQ(entity_create("huge", ((pgoff_t)1 << (64 - PAGE_SHIFT)) + 1, &segment, 1, &made), -EINVAL);
	CHECK_EQ(entity_create("huge", (BLOB_MAX_BYTES >> PAGE_SHIFT) + 1, &segment, 1, &made), -EINVAL);
	CHECK(made == NULL);
	blob_unref(blob);
}

static void kernel_memory_that_wraps(void)
{
	test_case("kernel memory and device registers: absurd sizes and addresses");
	CHECK(kernel_alloc(0, "none") == NULL);
	CHECK(kernel_alloc(SIZE_MAX, "huge") == NULL);
	CHECK(kernel_alloc(SIZE_MAX - PAGE_SIZE, "huge") == NULL);
	CHECK(kernel_alloc(BLOB_MAX_BYTES, "huge") == NULL);
	CHECK(kernel_alloc(BLOB_MAX_BYTES + 1, "huge") == NULL);
	CHECK(kernel_map_device(UINT64_MAX - 100, 50, CACHE_UNCACHED) == NULL);
	CHECK(kernel_map_device(UINT64_MAX - 100, 5000, CACHE_UNCACHED) == NULL);
	CHECK(kernel_map_device(LAYOUT_PHYSICAL_BYTES, PAGE_SIZE, CACHE_UNCACHED) == NULL);
}

static void layout_stays(void)
{
	struct placement over = replace_at(LAYOUT_PRIVATE_START + PAGE_SIZE);
	struct entry_info before[2], after[2];
	struct map *arena = NULL;
	struct map *made = NULL;

	test_case("the layout cannot be replaced, nor an arena");
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_BYTES, &arena), 0);
	CHECK(map_create_submap(root, &over, LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START, VM_ALL, "over",
				&made) < 0);
	over.address = map_start(arena) - PAGE_SIZE;
	CHECK(map_create_submap(root, &over, 2 * PAGE_SIZE, VM_ALL, "over", &made) < 0);
	over.address = map_end(arena) - PAGE_SIZE;
	CHECK(map_create_submap(root, &over, 2 * PAGE_SIZE, VM_ALL, "over", &made) < 0);
	over.address = map_start(arena) - PAGE_SIZE;
	CHECK(map_create_submap(root, &over, LAYOUT_ARENA_BYTES + 2 * PAGE_SIZE, VM_ALL, "over", &made) < 0);
	CHECK(made == NULL);
	CHECK(check_map(root));

	test_case("an arena stays, however it is unmapped");
	CHECK_EQ(list_entries(root, map_start(arena), map_end(arena), before, 2), 1);
	CHECK_EQ(map_unmap(root, map_start(arena), map_end(arena) - map_start(arena)), 0);
	CHECK_EQ(map_unmap(root, map_start(arena), PAGE_SIZE), 0);
	CHECK_EQ(map_unmap(root, map_end(arena) - PAGE_SIZE, 2 * PAGE_SIZE), 0);
	CHECK_EQ(list_entries(root, map_start(arena), map_end(arena), after, 2), 1);
	CHECK_EQ(after[0].start, before[0].start);
	CHECK_EQ(after[0].end, before[0].end);
	CHECK(check_map(root));
}

/* ---- Contents that come back -------------------------------------------------------------------------- */

#define TRIM_PAGES 70 /* more than one tree node */

/* Maps a written blob that has no other holder, and returns a clone of it, which shares all nodes. */
static struct blob *map_and_clone(void)
{
	struct blob *blob = make_blob(TRIM_PAGES);
	struct blob *clone = NULL;

	for (unsigned i = 0; i < TRIM_PAGES; i++)
		put_word(blob, i, 100 + i);
	map_all_at(root, BASE, blob);
	CHECK_EQ(blob_clone(blob, 0, TRIM_PAGES, &clone), 0);
	blob_unref(blob);
	return clone;
}

static int resize(pgoff_t from, pgoff_t to)
{
	struct resize_request want = {
		.start = BASE, .old_bytes = pages_to_bytes(from), .new_bytes = pages_to_bytes(to)};

	return map_resize(root, root, &want, &at);
}

static void shrunk_and_grown(void)
{
	test_case("a mapping that was shrunk without memory grows by zeroes");
	if (!sim_fail_allocation) {
		test_skip("allocations cannot be made to fail here");
		return;
	}
	for (unsigned after = 0;; after++) {
		struct blob *clone = map_and_clone();
		bool failed;
		int error;

		sim_fail_allocation(after, true);
		error = resize(TRIM_PAGES, 10);
		failed = sim_fail_stop();
		if (error)
			CHECK_EQ(error, -ENOMEM);
		else
			CHECK_EQ(resize(10, TRIM_PAGES), 0);
		for (unsigned i = 0; i < TRIM_PAGES; i++) {
			CHECK_EQ(word_at(root, page_at(i)), i < 10 || error ? 100 + i : 0);
			CHECK_EQ(get_word(clone, i), 100 + i);
		}
		CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(TRIM_PAGES)), 0);
		blob_unref(clone);
		if (!failed)
			break;
		CHECK(after < MAX_FAILURES);
	}
}

/* Growing takes memory then; without it, everything is as before. */
static void grown_without_memory(void)
{
	struct blob *clone;

	test_case("growing by what could not be cleared fails without memory");
	if (!sim_fail_allocation) {
		test_skip("allocations cannot be made to fail here");
		return;
	}
	clone = map_and_clone();
	sim_fail_allocation(1, true);
	CHECK_EQ(resize(TRIM_PAGES, 10), 0);
	CHECK_EQ(resize(10, TRIM_PAGES), -ENOMEM);
	CHECK(sim_fail_stop());
	CHECK(check_map(root));
	CHECK_EQ(word_at(root, page_at(9)), 109);
	CHECK(!try_load(root, page_at(10), &(uint64_t){0}));
	CHECK_EQ(resize(10, TRIM_PAGES), 0);
	CHECK_EQ(word_at(root, page_at(10)), 0);
	CHECK_EQ(word_at(root, page_at(TRIM_PAGES - 1)), 0);
	CHECK_EQ(get_word(clone, TRIM_PAGES - 1), 100 + TRIM_PAGES - 1);
	CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(TRIM_PAGES)), 0);
	blob_unref(clone);
}

/* ---- The end of a map --------------------------------------------------------------------------------- */

static void shared_map_goes(void)
{
	/* In dynamic memory, but far from where kernel_alloc() puts things. */
	const vaddr_t start = LAYOUT_DYNAMIC_END - (1ul << 30);
	struct placement place = fixed_at(start);
	struct mapping how = {.prot = RW, .inherit = INHERIT_SHARE, .name = "kernel's"};
	struct fault_result result;
	struct blob *blob = make_blob(2);
	struct map *map;

	test_case("with a map of the kernel's its translations go");
	CHECK_EQ(map_create_shared("passing", start, start + (1ul << 20), RW, &map), 0);
	CHECK_EQ(map_blob(map, &place, blob, 0, 2, &how, &at), 0);
	CHECK_EQ(vm_fault(map, start, VM_WRITE, &result), 0);
	CHECK_EQ(vm_fault(map, start + PAGE_SIZE, VM_WRITE, &result), 0);
	CHECK(pmap_query(&kernel_pmap, start).page != NULL);
	map_unref(map);
	CHECK(pmap_query(&kernel_pmap, start).page == NULL);
	CHECK(pmap_query(&kernel_pmap, start + PAGE_SIZE).page == NULL);
	blob_unref(blob);
}

/* ---- Kernel memory --------------------------------------------------------------------------------------- */

/* Pages that are neither free nor a page table: the kernel's tables stay. */
static uint64_t used_now(void)
{
	struct page_stats stats = page_stats();
	uint64_t slabs = 0;

	for (const struct slab_cache *cache = slab_caches(); cache; cache = cache->next)
		slabs += cache->pages;
	return stats.ram_pages - stats.free_pages - stats.by_state[PAGE_TABLE] - slabs;
}

static uint64_t objects_now(void)
{
	return footprint_now().objects;
}

static bool is_mapped(vaddr_t va)
{
	return pmap_query(&kernel_pmap, va).page != NULL;
}

#define CHUNKS 6

static void check_chunk(vaddr_t start, unsigned pages)
{
	CHECK(start != 0 && !is_mapped(start - PAGE_SIZE) && !is_mapped(start + pages_to_bytes(pages)));
	CHECK(is_mapped(start) && is_mapped(start + pages_to_bytes(pages) - 1));
}

static void kernel_guards(void)
{
	uint64_t used = used_now(), objects = objects_now();
	vaddr_t chunks[CHUNKS];

	test_case("kernel memory has a free page on either side, whatever is freed between");
	for (unsigned i = 0; i < CHUNKS; i++)
		chunks[i] = (vaddr_t)kernel_alloc((i + 1) * PAGE_SIZE - 1, "chunk");
	for (unsigned i = 0; i < CHUNKS; i += 2) {
		kernel_free((void *)chunks[i]);
		CHECK(!is_mapped(chunks[i]));
	}
	for (unsigned i = 0; i < CHUNKS; i += 2)
		chunks[i] = (vaddr_t)kernel_alloc((CHUNKS - i) * PAGE_SIZE, "chunk");
	for (unsigned i = 0; i < CHUNKS; i++)
		check_chunk(chunks[i], i % 2 ? i + 1 : CHUNKS - i);
	CHECK(check_map(dynamic_map));
	for (unsigned i = 0; i < CHUNKS; i++)
		kernel_free((void *)chunks[i]);
	CHECK_EQ(used_now(), used);
	CHECK_EQ(objects_now(), objects);
}

/* ---- Out of memory ---------------------------------------------------------------------------------------- */

#define DEVICE_START ((paddr_t)48 << 30)

static struct blob *made;
static struct test_pager pager;

static int call_create_paged(void)
{
	return blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &made);
}

static int call_create_device(void)
{
	return blob_create_device(DEVICE_START, 4 * PAGE_SIZE, CACHE_UNCACHED, &made);
}

static int call_grow_by_moving(void)
{
	struct resize_request want = {.start = page_at(2),
				      .old_bytes = 2 * PAGE_SIZE,
				      .new_bytes = 4 * PAGE_SIZE,
				      .may_move = true,
				      .place = replace_at(page_at(15))};

	return map_resize(root, root, &want, &at);
}

static int call_kernel_alloc(void)
{
	void *memory = kernel_alloc(5 * PAGE_SIZE, "five");

	if (!memory)
		return -ENOMEM;
	for (unsigned i = 0; i < 5; i++)
		CHECK(is_mapped((vaddr_t)memory + i * PAGE_SIZE));
	kernel_free(memory);
	return 0;
}

static const struct {
	const char *name;
	int (*call)(void);
} calls[] = {
	{"blob_create_paged", call_create_paged},
	{"blob_create_device", call_create_device},
	{"map_resize to more by moving", call_grow_by_moving},
	{"kernel_alloc", call_kernel_alloc},
};

static void set_up(void)
{
	struct blob *blob = make_blob(20);
	struct blob *other = make_blob(8);
	struct placement place = fixed_at(page_at(2));
	struct mapping how = {.prot = RW, .name = "window"};

	CHECK_EQ(map_blob(root, &place, blob, 0, 2, &how, &at), 0);
	map_all_at(root, page_at(12), other);
	put_word(blob, 1, 1);
	put_word(other, 7, 2);
	blob_unref(blob);
	blob_unref(other);
	test_pager_init(&pager);
	made = NULL;
}

/* Makes the call with its allocation number `after` failing. True: it failed for that. */
static bool attempt(size_t c, unsigned after)
{
	uint64_t used, objects;
	bool failed;
	int error;

	set_up();
	used = used_now();
	objects = objects_now();
	sim_fail_allocation(after, false);
	error = calls[c].call();
	failed = sim_fail_stop();
	CHECK(check_map(root) && check_map(dynamic_map));
	if (error) {
		CHECK_EQ(error, -ENOMEM);
		CHECK(failed);
		CHECK(made == NULL && pager.pager.refs == 1 && !pager.destroyed);
		CHECK_EQ(count_entries(root, BASE, page_at(64)), 2);
		CHECK_EQ(used_now(), used);
		CHECK_EQ(objects_now(), objects);
	}
	if (made)
		blob_unref(made);
	if (!pager.destroyed)
		pager.pager.ops->destroy(&pager.pager);
	test_pager_finish(&pager);
	CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(64)), 0);
	return failed;
}

static void no_memory(void)
{
	for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
		unsigned after = 0;

		test_case(calls[c].name);
		if (!sim_fail_allocation) {
			test_skip("allocations cannot be made to fail here");
			continue;
		}
		while (after < MAX_FAILURES && attempt(c, after))
			after++;
		CHECK(after < MAX_FAILURES);
	}
}

/* ---- Rights ------------------------------------------------------------------------------------------ */

static void shared_segments_keep_their_rights(void)
{
	struct blob *blob = make_blob(2);
	struct segment segments[] = {
		{blob, 0, 0, 1, RX, SEGMENT_SHARED, "shared", NULL},
		{blob, 1, 1, 1, RX, SEGMENT_PRIVATE, "private", NULL},
	};
	struct placement place = fixed_at(BASE);
	struct entity *entity = NULL;

	test_case("what an entity shares for reading cannot be made writable");
	put_word(blob, 0, 77);
	put_word(blob, 1, 78);
	CHECK_EQ(entity_create("program", 2, segments, 2, &entity), 0);
	CHECK_EQ(map_entity(root, &place, entity, &at), 0);
	CHECK_EQ(map_protect(root, page_at(0), PAGE_SIZE, RW), -EACCES);
	CHECK_EQ(user_store(root, page_at(0), 1), -EACCES);
	CHECK_EQ(map_protect(root, page_at(0), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, page_at(0), PAGE_SIZE, RX), 0);
	CHECK_EQ(map_protect(root, page_at(1), PAGE_SIZE, RW), 0);
	CHECK_EQ(user_store(root, page_at(1), 1), 0);
	CHECK_EQ(get_word(blob, 0), 77);
	CHECK_EQ(get_word(blob, 1), 78);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, BASE, 2 * PAGE_SIZE), 0);
	entity_unref(entity);
	blob_unref(blob);
}

#define MAPPED_DEVICE ((paddr_t)0xfec00000)
#define MAX_ATTEMPTS  100u

/* A device that the kernel maps stays for ever: so this is done once, and last. */
static void kernel_map_device_fails(void)
{
	unsigned after = 0;
	bool failed;

	test_case("kernel_map_device: nothing is left behind by one that fails");
	if (!sim_fail_allocation) {
		test_skip("allocations cannot be made to fail here");
		return;
	}
	do {
		struct footprint before = footprint_now();
		volatile void *registers;

		sim_fail_allocation(after++, false);
		registers = kernel_map_device(MAPPED_DEVICE + 8, 64, CACHE_UNCACHED);
		failed = sim_fail_stop();
		CHECK(failed == !registers);
		if (failed)
			check_footprint(&before);
	} while (failed && after < MAX_ATTEMPTS);
	CHECK(after > 1);
}

void suite_corners(void)
{
	root = space_open("corners");
	if (!root)
		return;
	entity_that_wraps();
	kernel_memory_that_wraps();
	layout_stays();
	shrunk_and_grown();
	grown_without_memory();
	shared_map_goes();
	kernel_guards();
	shared_segments_keep_their_rights();
	no_memory();
	space_close(root);
	kernel_map_device_fails();
}
