/*
 * Calls that find no memory: each is made again and again, its first, second, third, ... allocation failing, until it
 * succeeds. Each time before that it has to say -ENOMEM, and everything has to be as it was.
 *
 * Only where allocations can be made to fail, which is on the host (tests/host/machine.h).
 */
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define BASE         SPACE_BASE
#define BLOB_PAGES   200
#define MAX_FAILURES 100
#define HASH_START   0xcbf29ce484222325ul /* FNV-1a, 64 bits */
#define HASH_FACTOR  0x100000001b3ul

/* What the calls work on, made anew for each attempt. */
static struct map *root;
static struct blob *blob;  /* mapped at BASE; pages 0 to 129 written */
static struct blob *clone; /* of its pages 3 to 199, not mapped */
static struct blob *paged; /* mapped at page 512 of the window */
static struct entity *entity;
static struct test_pager pager;

/* What a call made, to be undone. */
static struct map *made_map;
static struct blob *made_blob;
static struct entity *made_entity;
static vaddr_t at;

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

static void set_up(void)
{
	struct segment segments[2];
	struct placement place = fixed_at(page_at(512));
	struct mapping how = {.prot = RW, .name = "paged"};

	made_map = NULL;
	made_blob = NULL;
	made_entity = NULL;
	root = space_open("no memory");
	blob = make_blob(BLOB_PAGES);
	map_all_at(root, BASE, blob);
	for (unsigned i = 0; i < 130; i++)
		put_word(blob, i, i + 1);
	CHECK_EQ(user_store(root, page_at(5), 6), 0);
	CHECK_EQ(blob_clone(blob, 3, BLOB_PAGES - 3, &clone), 0);
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &paged), 0);
	CHECK_EQ(map_blob(root, &place, paged, 0, PAGER_PAGES, &how, &at), 0);
	CHECK_EQ(get_word(paged, 0), PAGER_WORD);
	segments[0] = (struct segment){blob, 1, 0, 66, RW, SEGMENT_PRIVATE, "private"};
	segments[1] = (struct segment){blob, 0, 70, 10, RX, SEGMENT_SHARED, "shared"};
	CHECK_EQ(entity_create("entity", 100, segments, 2, &entity), 0);
}

static void tear_down(void)
{
	space_close(root);
	if (made_blob)
		blob_unref(made_blob);
	if (made_entity)
		entity_unref(made_entity);
	entity_unref(entity);
	blob_unref(clone);
	blob_unref(blob);
	blob_unref(paged);
	test_pager_finish(&pager);
}

/* ---- The state, as one number ------------------------------------------------------------------ */

static uint64_t hash(uint64_t sum, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		sum = (sum ^ (value >> (8 * i) & 0xff)) * HASH_FACTOR;
	return sum;
}

static int hash_entry(const struct entry_info *info, void *context)
{
	uint64_t *sum = context;

	*sum = hash(*sum, info->start);
	*sum = hash(*sum, info->end);
	*sum = hash(*sum, info->prot | info->max_prot << 4 | info->kind << 8 | info->depth << 12);
	*sum = hash(*sum, info->offset);
	return 0;
}

static uint64_t hash_blob(uint64_t sum, struct blob *of)
{
	pgoff_t pages = blob_size(of) >> PAGE_SHIFT;

	for (pgoff_t i = 0; i < pages; i++)
		sum = hash(sum, of->pager ? blob_resident(of, i, 1) : get_word(of, i));
	return sum;
}

/* With `memory`, also how much of it is in use. */
static uint64_t state(bool memory)
{
	uint64_t sum = HASH_START;

	map_walk(root, hash_entry, &sum);
	sum = hash_blob(sum, blob);
	sum = hash_blob(sum, clone);
	if (memory) {
		struct footprint now = footprint_now();

		sum = hash(hash_blob(sum, paged), now.pages);
		sum = hash(sum, now.objects);
	}
	return sum;
}

/* ---- The calls --------------------------------------------------------------------------------- */

static const struct mapping plain = {.prot = RW, .name = "plain"};

static int call_blob_create(void)
{
	return blob_create(PAGE_SIZE, 0, &made_blob);
}

static int call_blob_clone(void)
{
	return blob_clone(blob, 1, 66, &made_blob);
}

static int call_write_absent(void)
{
	return blob_write(blob, pages_to_bytes(BLOB_PAGES - 1), "x", 1);
}

static int call_write_shared(void)
{
	return blob_write(clone, pages_to_bytes(64), "x", 1);
}

static int call_commit(void)
{
	return blob_commit(clone, 60, 8);
}

static int call_decommit(void)
{
	return blob_decommit(clone, 10, 100);
}

static int call_page_in(void)
{
	uint64_t word;

	return blob_read(paged, pages_to_bytes(100), &word, sizeof(word));
}

static int call_entity_create(void)
{
	const struct segment segment = {blob, 0, 0, 1, RW, SEGMENT_PRIVATE, "one"};

	return entity_create("made", 1, &segment, 1, &made_entity);
}

static int call_create_root(void)
{
	struct map *made;
	int error = map_create_root("made", &made);

	if (!error)
		map_unref(made);
	return error;
}

static int call_clone_root(void)
{
	struct map *made;
	int error = map_clone(root, "clone", &made);

	if (!error)
		map_unref(made);
	return error;
}

static int call_create_submap(void)
{
	struct placement place = replace_at(page_at(64));

	return map_create_submap(root, &place, 8 * PAGE_SIZE, VM_ALL, "made", &made_map);
}

static int call_create_arena(void)
{
	return map_create_arena(root, LAYOUT_ARENA_BYTES, &made_map);
}

static int call_reserve(void)
{
	struct placement place = replace_at(page_at(64));

	return map_reserve(root, &place, 8 * PAGE_SIZE, "made", &at);
}

static int call_map_blob(void)
{
	struct placement place = replace_at(page_at(64));

	return map_blob(root, &place, clone, 0, 8, &plain, &at);
}

static int call_map_private(void)
{
	struct placement place = replace_at(page_at(100));

	return map_blob_private(root, &place, blob, 5, 70, &plain, &at);
}

static int call_map_entity(void)
{
	struct placement place = replace_at(page_at(30));

	return map_entity(root, &place, entity, &at);
}

static int call_unmap(void)
{
	return map_unmap(root, page_at(10), 50 * PAGE_SIZE);
}

static int call_protect(void)
{
	return map_protect(root, page_at(10), 50 * PAGE_SIZE, VM_READ);
}

static int call_resize(void)
{
	struct resize_request want = {.start = page_at(10),
				      .old_bytes = 5 * PAGE_SIZE,
				      .new_bytes = 3 * PAGE_SIZE,
				      .may_move = true,
				      .place = replace_at(page_at(40))};

	return map_resize(root, root, &want, &at);
}

static int call_shrink(void)
{
	struct resize_request want = {
		.start = page_at(10), .old_bytes = 5 * PAGE_SIZE, .new_bytes = 3 * PAGE_SIZE};

	return map_resize(root, root, &want, &at);
}

static int fault_of(vaddr_t va, vm_prot_t access)
{
	struct fault_result result;

	return vm_fault(root, va, access, &result);
}

static int call_fault_zero_fill(void)
{
	return fault_of(page_at(BLOB_PAGES - 1), VM_READ);
}

static int call_fault_copy(void)
{
	return fault_of(page_at(64), VM_WRITE);
}

static int call_fault_page_in(void)
{
	return fault_of(page_at(512 + 100), VM_WRITE);
}

/* `whole`: after a failure, memory in use is as before, too. The others may have filled pages that were absent. */
static const struct {
	const char *name;
	int (*call)(void);
	bool whole;
} calls[] = {
	{"blob_create", call_blob_create, true},
	{"blob_clone", call_blob_clone, true},
	{"blob_write to an absent page", call_write_absent, true},
	{"blob_write to a shared page", call_write_shared, true},
	{"blob_commit", call_commit, false},
	{"blob_decommit", call_decommit, true},
	{"a page that the pager has", call_page_in, false},
	{"entity_create", call_entity_create, true},
	{"map_create_root", call_create_root, true},
	{"map_clone", call_clone_root, true},
	{"map_create_submap", call_create_submap, true},
	{"map_create_arena", call_create_arena, true},
	{"map_reserve", call_reserve, true},
	{"map_blob", call_map_blob, true},
	{"map_blob_private", call_map_private, true},
	{"map_entity", call_map_entity, true},
	{"map_unmap", call_unmap, true},
	{"map_protect", call_protect, true},
	{"map_resize by moving", call_resize, true},
	{"map_resize to less", call_shrink, true},
	{"a fault that fills a page", call_fault_zero_fill, false},
	{"a fault that copies a page", call_fault_copy, false},
	{"a fault that asks the pager", call_fault_page_in, false},
};

/* Makes the call with its allocation number `after` failing. True: it failed for that. */
static bool attempt(size_t c, unsigned after)
{
	struct footprint before = footprint_now();
	uint64_t state_before;
	bool failed;
	int error;

	set_up();
	state_before = state(calls[c].whole);
	sim_fail_allocation(after, false);
	error = calls[c].call();
	failed = sim_fail_stop();
	if (error) {
		CHECK(failed);
		CHECK_EQ(error, -ENOMEM);
		CHECK_EQ(state(calls[c].whole), state_before);
	}
	CHECK(check_map(root));
	/* The same call, now with memory. */
	if (error)
		CHECK_EQ(calls[c].call(), 0);
	tear_down();
	check_footprint(&before);
	return failed;
}

void suite_no_memory(void)
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
