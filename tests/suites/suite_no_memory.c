/*
 * Calls that find no memory, or whose input and output fail: each is made again and again, in each of several starting
 * states, its first, second, third, ... allocation failing, or read or write of a pager, or of a disk that swap is on, until it gets by. Each
 * time before that it has to say -ENOMEM or -EIO, and a digest of everything has to be as it was.
 *
 * Allocations can only be made to fail on the host (tests/host/machine.h); in the kernel the pagers' part is left. At the
 * end, comments show a table: for each call and state, at how many allocations and at how many transfers it failed.
 */
#include "disk.h"
#include "store.h"
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define BASE         SPACE_BASE
#define BLOB_PAGES   200
#define WRITTEN      130 /* of them, from the first on */
#define PAGED_PAGES  80
#define PAGED_AT     512 /* where they are mapped, in pages from BASE */
#define GROWS_AT     400
#define STACK_AT     300
#define LOCATIONS    512
#define PLACES       600 /* of the disk, if SWAPPED: so many that no failure takes them all */
#define MAX_FAILURES 600
#define DEVICE       ((paddr_t)0xfec00000)
#define ARENA_AT     (LAYOUT_ARENAS_END - 64 * LAYOUT_ARENA_ALIGN)
#define HASH_START   0xcbf29ce484222325ul /* FNV-1a, 64 bits at a time */
#define HASH_FACTOR  0x100000001b3ul

/* ---- Starting states --------------------------------------------------------------------------- */

enum state { PLAIN, CLONED, HALF_OUT, SWAPPED, WIRED, NESTED, STATES };
static const char *const state_names[STATES] = {"plain", "cloned", "half out", "swapped", "wired", "nested"};

/* Where what is half out is, if SWAPPED: the swap store, in which an I/O that fails is tried again. */
static struct disk disk;

/* What the calls work on, made anew for each attempt. */
static struct map *root;
static struct blob *blob;  /* mapped at BASE */
static struct blob *clone; /* of its pages 3 to 199, not mapped; if PLAIN, one with pages of its own */
static struct blob *paged; /* mapped at PAGED_AT; its page 1 is written */
static struct blob *grows; /* 1000 pages, of which 4 are mapped at GROWS_AT; only the map has it */
static struct entity *entity;
static struct wiring *wiring; /* of the clone's pages 60 to 63, if WIRED */
static struct test_pager pager;

/* What a call made, to be undone. */
static struct map *made_map, *made_root;
static struct blob *made_blob;
static struct entity *made_entity;
static struct wiring *made_wiring;
static void *made_memory;
static vaddr_t at;

static const struct mapping plain = {.prot = RW, .name = "plain"};

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

static void map_window(unsigned page, struct blob *of, pgoff_t pages)
{
	struct placement place = fixed_at(page_at(page));

	CHECK_EQ(map_blob(root, &place, of, 0, pages, &plain, &at), 0);
}

/* Two submaps, one in the other, around everything. */
static void nest(void)
{
	struct placement outer = fixed_at(page_at(0) - 16 * PAGE_SIZE);
	struct placement inner = fixed_at(page_at(0));
	struct map *submap;

	CHECK_EQ(map_create_submap(root, &outer, 1100 * PAGE_SIZE, VM_ALL, "outer", &submap), 0);
	CHECK_EQ(map_create_submap(submap, &inner, 1050 * PAGE_SIZE, VM_ALL, "inner", &submap), 0);
}

static void make_paged(void)
{
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(pages_to_bytes(PAGED_PAGES), &pager.pager, &paged), 0);
	/* It has its pages before the accounts begin. */
	for (pgoff_t i = 0; i < PAGED_PAGES; i++) {
		struct page_wanted wanted = {.index = i};
		struct page *page = NULL;

		CHECK_EQ(pager.pager.ops->get_pages(&pager.pager, &wanted, 1, &page), 1);
		page_unref(page);
	}
	CHECK_EQ(get_word(paged, 0), PAGER_WORD);
	put_word(paged, 1, 1);
}

static void make_blobs(enum state state)
{
	const struct mapping stack_how = {.prot = RW, .name = "stack", .grows_down = true};
	const struct placement stack_place = fixed_at(page_at(STACK_AT));
	struct blob *stack;

	blob = make_blob(BLOB_PAGES);
	grows = make_blob(1000);
	map_window(0, blob, BLOB_PAGES);
	map_window(GROWS_AT, grows, 4);
	blob_unref(grows);
	stack = make_blob(100);
	CHECK_EQ(map_blob(root, &stack_place, stack, 98, 2, &stack_how, &at), 0);
	blob_unref(stack);
	for (unsigned i = 0; i < WRITTEN; i++)
		put_word(blob, i, i + 1);
	CHECK_EQ(user_store(root, page_at(5), 6), 0);
	CHECK_EQ(user_store(root, page_at(GROWS_AT + 1), 7), 0);
	if (state == PLAIN) {
		clone = make_blob(BLOB_PAGES - 3);
		for (unsigned i = 0; i < WRITTEN - 3; i++)
			put_word(clone, i, i + 4);
	} else {
		CHECK_EQ(blob_clone(blob, 3, BLOB_PAGES - 3, &clone), 0);
	}
}

static void set_up(enum state state)
{
	struct segment segments[2];
	struct placement place = fixed_at(page_at(700));

	made_map = made_root = NULL;
	made_blob = NULL;
	made_entity = NULL;
	made_wiring = NULL;
	made_memory = NULL;
	wiring = NULL;
	if (state == SWAPPED)
		CHECK_EQ(swap_on(&disk.device, 0), 0);
	root = space_open("no memory");
	if (state == NESTED)
		nest();
	make_blobs(state);
	make_paged();
	map_window(PAGED_AT, paged, PAGED_PAGES);
	segments[0] = (struct segment){blob, 1, 0, 66, RW, SEGMENT_PRIVATE, "private", NULL};
	segments[1] = (struct segment){blob, 0, 70, 10, RX, SEGMENT_SHARED, "shared", NULL};
	CHECK_EQ(entity_create("entity", 100, segments, 2, &entity), 0);
	if (state == NESTED)
		CHECK_EQ(map_entity(root, &place, entity, &at), 0);
	if (state == HALF_OUT || state == SWAPPED) {
		for (pgoff_t i = 0; i < WRITTEN; i += 2)
			CHECK_EQ(blob_page_out(blob, i, 1), 0);
		CHECK_EQ(blob_sync(blob, 41, 9), 0);
		CHECK_EQ(blob_page_out(paged, 1, 1), 0);
		CHECK_EQ(map_advise(root, page_at(GROWS_AT), PAGE_SIZE * 2, ADVISE_PAGE_OUT), 0);
	}
	if (state == WIRED) {
		CHECK_EQ(map_wire(root, page_at(10), 4 * PAGE_SIZE), 0);
		CHECK_EQ(map_wire(root, page_at(GROWS_AT), 4 * PAGE_SIZE), 0);
		CHECK_EQ(map_wire(root, page_at(STACK_AT), PAGE_SIZE), 0);
		CHECK_EQ(blob_wire(clone, 60, 4, &wiring), 0);
	}
}

/* Undoes what a call made, if it did. */
static void undo(void)
{
	if (made_root)
		map_unref(made_root);
	if (made_wiring)
		blob_unwire(made_wiring);
	if (made_blob)
		blob_unref(made_blob);
	if (made_entity)
		entity_unref(made_entity);
	if (made_memory)
		kernel_free(made_memory);
}

static unsigned places_used(void)
{
	struct swap_stats stats;

	swap_stats(&stats);
	return (unsigned)stats.used;
}

static void tear_down(enum state state)
{
	space_close(root);
	undo();
	if (wiring)
		blob_unwire(wiring);
	entity_unref(entity);
	blob_unref(clone);
	blob_unref(blob);
	blob_unref(paged);
	test_pager_finish(&pager);
	CHECK_EQ(store_used(), 0);
	CHECK_EQ(places_used(), 0);
	if (state == SWAPPED) {
		CHECK_EQ(swap_off(&disk.device), 0);
		CHECK_EQ(vm_set_store(store_pager()), 0);
	}
}

/* ---- Everything, as one number ------------------------------------------------------------------- */

static uint64_t hash(uint64_t sum, uint64_t value)
{
	return ((sum ^ value) * HASH_FACTOR) ^ (sum >> 32);
}

static uint64_t hash_name(uint64_t sum, const char *name)
{
	while (*name)
		sum = hash(sum, (uint8_t)*name++);
	return sum;
}

static int hash_entry(const struct entry_info *info, void *context)
{
	uint64_t *sum = context;

	*sum = hash(*sum, info->start);
	*sum = hash(*sum, info->end);
	*sum = hash(*sum, info->prot | info->max_prot << 4 | info->kind << 8 | info->depth << 12 |
				  info->inherit << 16 | info->wired << 20 | info->advice << 24 |
				  info->on_fault << 28 | info->fork << 29);
	*sum = hash(*sum, info->offset);
	*sum = hash_name(*sum, info->name);
	return 0;
}

static uint64_t hash_page(uint64_t sum, const struct page *page)
{
	const uint64_t *words = page_data(page);

	sum = hash(sum, words[0]);
	sum = hash(sum, words[1]);
	return hash(sum, words[PAGE_SIZE / sizeof(*words) - 1]);
}

/* What is at a location, which stays there. */
static uint64_t hash_location(uint64_t sum, const struct family *family, pgoff_t index, uint32_t location)
{
	struct page_wanted wanted = {.index = index, .location = location, .family = family->number};
	struct page *page = NULL;

	if (!CHECK_EQ(family->store->ops->get_pages(family->store, &wanted, 1, &page), 1))
		return sum;
	sum = hash_page(sum, page);
	page_free(page);
	return sum;
}

/* The contents of a page, wherever it is, and how often it is wired; nothing is brought in to look at it. */
static uint64_t hash_contents(uint64_t sum, struct blob *of, pgoff_t offset)
{
	pgoff_t index = of->base + offset;
	slot_t slot = SLOT_EMPTY;
	slot_t *place;
	bool shared;

	spin_lock(&of->family->lock);
	place = tree_find(&of->tree, index, &shared);
	if (place)
		slot = *place;
	if (slot_is_page(slot))
		sum = hash(hash_page(sum, slot_page(slot)), slot_page(slot)->wired);
	spin_unlock(&of->family->lock);
	if (slot_is_page(slot))
		return sum;
	if (slot_is_paged_out(slot))
		return hash(hash_location(sum, of->family, index, slot_location(slot)), 0);
	sum = hash(sum, of->pager ? PAGER_WORD + index : 0);
	return hash(hash(hash(sum, 0), 0), 0);
}

static uint64_t hash_blob(uint64_t sum, struct blob *of, bool whole)
{
	pgoff_t pages = blob_size(of) >> PAGE_SHIFT;
	struct blob_usage usage;

	for (pgoff_t i = 0; i < pages; i++)
		sum = hash_contents(sum, of, i);
	sum = hash(hash(sum, of->refs), of->mapping_count);
	if (!whole)
		return sum;
	CHECK_EQ(blob_usage(of, 0, pages, &usage), 0);
	return hash(hash(hash(hash(sum, usage.resident), usage.paged_out), usage.dirty), usage.wired);
}

/* Entries, contents, references and wirings; if `whole`, also where contents are, and what of memory and disk is in use. */
static uint64_t digest(bool whole)
{
	struct footprint now = footprint_now();
	uint64_t sum = HASH_START;

	map_walk(root, hash_entry, &sum);
	sum = hash_blob(sum, blob, whole);
	sum = hash_blob(sum, clone, whole);
	sum = hash_blob(sum, paged, whole);
	sum = hash_blob(sum, grows, whole);
	if (!whole)
		return sum;
	return hash(hash(hash(sum, now.pages), now.objects), store_used() + places_used());
}

static void verify(void)
{
	CHECK(check_map(root));
	map_verify(root);
	blob_verify(clone);
}

/* ---- The calls: blobs ------------------------------------------------------------------------------ */

static int call_blob_create(void)
{
	return blob_create(PAGE_SIZE, 0, &made_blob);
}

static int call_blob_create_paged(void)
{
	int error;

	/* The caller's reference to the pager is taken over only by a blob that is made. */
	pager.pager.refs++;
	error = blob_create_paged(PAGE_SIZE, &pager.pager, &made_blob);
	if (error)
		pager.pager.refs--;
	return error;
}

static int call_blob_create_device(void)
{
	return blob_create_device(DEVICE, 2 * PAGE_SIZE, CACHE_UNCACHED, &made_blob);
}

static int call_blob_create_contiguous(void)
{
	return blob_create_contiguous(4 * PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &made_blob);
}

static int call_blob_clone(void)
{
	return blob_clone(blob, 1, 66, &made_blob);
}

static int call_blob_clone_all(void)
{
	return blob_clone(blob, 0, BLOB_PAGES, &made_blob);
}

static int call_read(void)
{
	uint64_t word;

	return blob_read(blob, pages_to_bytes(64), &word, sizeof(word));
}

static int call_read_pager(void)
{
	uint64_t word;

	return blob_read(paged, pages_to_bytes(70), &word, sizeof(word));
}

static int call_write_absent(void)
{
	return blob_write(blob, pages_to_bytes(BLOB_PAGES - 1), "x", 1);
}

static int call_write_shared(void)
{
	return blob_write(clone, pages_to_bytes(61), "x", 1);
}

static int call_zero_bytes(void)
{
	return blob_zero(clone, pages_to_bytes(71) + 8, 100);
}

static int call_zero_pages(void)
{
	return blob_zero(clone, pages_to_bytes(71), 2 * PAGE_SIZE);
}

static int call_copy(void)
{
	return blob_copy(clone, pages_to_bytes(71) + 8, blob, pages_to_bytes(100), 100);
}

static int call_copy_between(void)
{
	return blob_copy(blob, pages_to_bytes(100), paged, pages_to_bytes(70), PAGE_SIZE);
}

static int call_commit(void)
{
	return blob_commit(clone, 57, 8);
}

static int call_set_extent(void)
{
	return blob_set_extent(blob, 70);
}

static int call_decommit(void)
{
	return blob_decommit(clone, 10, 100);
}

static int call_blob_wire(void)
{
	return blob_wire(clone, 57, 8, &made_wiring);
}

static int call_sync(void)
{
	return blob_sync(clone, 20, 100);
}

static int call_page_out(void)
{
	return blob_page_out(clone, 20, 100);
}

/* ---- The calls: entities, maps --------------------------------------------------------------------- */

static int call_entity_create(void)
{
	const struct segment segment = {blob, 0, 0, 1, RW, SEGMENT_PRIVATE, "one", NULL};

	return entity_create("made", 1, &segment, 1, &made_entity);
}

static int call_create_root(void)
{
	return map_create_root("made", &made_root);
}

static int call_create_shared(void)
{
	return map_create_shared("made", LAYOUT_DYNAMIC_START, LAYOUT_DYNAMIC_START + PAGE_SIZE, RW,
				 &made_root);
}

static int call_clone_root(void)
{
	return map_clone(root, "clone", &made_root);
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

static int call_create_arena_at(void)
{
	return map_create_arena_at(root, ARENA_AT, LAYOUT_ARENA_ALIGN, &made_map);
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
	return map_unmap(root, page_at(11), 50 * PAGE_SIZE);
}

static int call_protect(void)
{
	return map_protect(root, page_at(11), 50 * PAGE_SIZE, VM_READ);
}

static int call_protect_down(void)
{
	return map_protect_down(root, page_at(STACK_AT + 1), PAGE_SIZE, VM_READ);
}

static int call_set_fork(void)
{
	return map_set_fork(root, page_at(11), 50 * PAGE_SIZE, FORK_OMIT, 0);
}

static int call_grow_down(void)
{
	return map_grow_down(root, page_at(STACK_AT - 5), 0, UINT64_MAX);
}

static int call_map_wire_on_fault(void)
{
	return map_wire_on_fault(root, page_at(8), 56 * PAGE_SIZE);
}

static int call_map_wire(void)
{
	return map_wire(root, page_at(8), 56 * PAGE_SIZE);
}

static int call_map_wire_pager(void)
{
	return map_wire(root, page_at(PAGED_AT), 8 * PAGE_SIZE);
}

static int call_map_unwire(void)
{
	return map_unwire(root, page_at(11), 2 * PAGE_SIZE);
}

static int call_advise_random(void)
{
	return map_advise(root, page_at(11), 50 * PAGE_SIZE, ADVISE_RANDOM);
}

static int call_advise_needed(void)
{
	return map_advise(root, page_at(11), 50 * PAGE_SIZE, ADVISE_WILLNEED);
}

static int call_advise_needed_pager(void)
{
	return map_advise(root, page_at(PAGED_AT), PAGED_PAGES * PAGE_SIZE, ADVISE_WILLNEED);
}

static int call_advise_page_out(void)
{
	return map_advise(root, page_at(11), 50 * PAGE_SIZE, ADVISE_PAGE_OUT);
}

static int call_map_decommit(void)
{
	return map_decommit(root, page_at(70), 50 * PAGE_SIZE);
}

static int resize(unsigned page, pgoff_t from, pgoff_t to, unsigned target)
{
	struct resize_request want = {.start = page_at(page),
				      .old_bytes = pages_to_bytes(from),
				      .new_bytes = pages_to_bytes(to),
				      .may_move = target > 0};

	if (target > 0)
		want.place = replace_at(page_at(target));
	return map_resize(root, root, &want, &at);
}

static int call_move(void)
{
	return resize(10, 4, 3, 40);
}

static int call_shrink(void)
{
	return resize(10, 4, 2, 0);
}

static int call_grow(void)
{
	return resize(GROWS_AT, 4, 8, 0);
}

static int call_grow_and_move(void)
{
	return resize(GROWS_AT, 4, 8, GROWS_AT + 20);
}

static int call_leave_zeroes(void)
{
	struct resize_request want = {.start = page_at(GROWS_AT + 1),
				      .old_bytes = 2 * PAGE_SIZE,
				      .new_bytes = 2 * PAGE_SIZE,
				      .may_move = true,
				      .leave_zeroes = true,
				      .place = replace_at(page_at(GROWS_AT + 20))};

	return map_resize(root, root, &want, &at);
}

/* Within one page, so that it is all or nothing. */
static int call_map_read(void)
{
	uint64_t word;
	int64_t done = map_read(root, page_at(44) + 8, &word, sizeof(word));

	return done < 0 ? (int)done : 0;
}

static int call_map_write(void)
{
	uint64_t word = 1;
	int64_t done = map_write(root, page_at(43) + 8, &word, sizeof(word));

	return done < 0 ? (int)done : 0;
}

/* ---- The calls: faults, kernel memory ---------------------------------------------------------------- */

static int fault_of(unsigned page, vm_prot_t access)
{
	struct fault_result result;

	return vm_fault(root, page_at(page), access, &result);
}

static int call_fault_zero_fill(void)
{
	return fault_of(BLOB_PAGES - 1, VM_READ);
}

static int call_fault_read(void)
{
	return fault_of(64, VM_READ);
}

static int call_fault_write(void)
{
	return fault_of(64, VM_WRITE);
}

static int call_fault_clean(void)
{
	return fault_of(43, VM_WRITE);
}

static int call_fault_pager(void)
{
	return fault_of(PAGED_AT + 70, VM_WRITE);
}

static int call_kernel_alloc(void)
{
	made_memory = kernel_alloc(3 * PAGE_SIZE, "made");
	return made_memory ? 0 : -ENOMEM;
}

/*
 * `whole`: after a failure, where contents are and what is in use is as before, too. The others may have made
 * pages resident, or clean. `writes`: the call may have done a part of its writing, as its contract says.
 */
static const struct {
	const char *name;
	int (*call)(void);
	bool whole, writes;
} calls[] = {
	{"blob_create", call_blob_create, true, false},
	{"blob_create_paged", call_blob_create_paged, true, false},
	{"blob_create_device", call_blob_create_device, true, false},
	{"blob_create_contiguous", call_blob_create_contiguous, true, false},
	{"blob_clone, part", call_blob_clone, true, false},
	{"blob_clone, all", call_blob_clone_all, true, false},
	{"blob_read", call_read, false, false},
	{"blob_read of the pager's", call_read_pager, false, false},
	{"blob_write, absent", call_write_absent, true, false},
	{"blob_write, shared", call_write_shared, false, false},
	{"blob_zero, bytes", call_zero_bytes, false, false},
	{"blob_zero, pages", call_zero_pages, false, true},
	{"blob_copy in a family", call_copy, false, false},
	{"blob_copy of the pager's", call_copy_between, false, false},
	{"blob_commit", call_commit, false, false},
	{"blob_decommit", call_decommit, true, false},
	{"blob_set_extent", call_set_extent, true, false},
	{"blob_wire", call_blob_wire, false, false},
	{"blob_sync", call_sync, false, false},
	{"blob_page_out", call_page_out, false, false},
	{"entity_create", call_entity_create, true, false},
	{"map_create_root", call_create_root, true, false},
	{"map_create_shared", call_create_shared, true, false},
	{"map_clone", call_clone_root, true, false},
	{"map_create_submap", call_create_submap, true, false},
	{"map_create_arena", call_create_arena, true, false},
	{"map_create_arena_at", call_create_arena_at, true, false},
	{"map_reserve", call_reserve, true, false},
	{"map_blob", call_map_blob, true, false},
	{"map_blob_private", call_map_private, true, false},
	{"map_entity", call_map_entity, true, false},
	{"map_unmap", call_unmap, true, false},
	{"map_protect", call_protect, true, false},
	{"map_protect_down", call_protect_down, true, false},
	{"map_set_fork", call_set_fork, true, false},
	{"map_grow_down", call_grow_down, false, false},
	{"map_wire", call_map_wire, false, false},
	{"map_wire_on_fault", call_map_wire_on_fault, true, false},
	{"map_wire of the pager's", call_map_wire_pager, false, false},
	{"map_unwire", call_map_unwire, true, false},
	{"map_advise, random", call_advise_random, true, false},
	{"map_advise, needed", call_advise_needed, false, false},
	{"map_advise, needed of the pager's", call_advise_needed_pager, false, false},
	{"map_advise, page out", call_advise_page_out, false, false},
	{"map_decommit", call_map_decommit, true, false},
	{"map_resize, move", call_move, true, false},
	{"map_resize, shrink", call_shrink, true, false},
	{"map_resize, grow", call_grow, false, false},
	{"map_resize, grow and move", call_grow_and_move, false, false},
	{"map_resize, leave zeroes", call_leave_zeroes, false, false},
	{"map_read", call_map_read, false, false},
	{"map_write", call_map_write, false, false},
	{"vm_fault, zero fill", call_fault_zero_fill, false, false},
	{"vm_fault, read", call_fault_read, false, false},
	{"vm_fault, write", call_fault_write, false, false},
	{"vm_fault, write to a clean page", call_fault_clean, false, false},
	{"vm_fault of the pager's", call_fault_pager, false, false},
	{"kernel_alloc", call_kernel_alloc, true, false},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* ---- Failing, again and again ------------------------------------------------------------------------- */

/* A disk's request fails once, or all do from one on. */
enum failure { FAIL_ALLOCATION, FAIL_PAGER, FAIL_STORE, FAIL_DISK_ONCE, FAIL_DISK, FAILURES };

static void fail_arm(enum failure kind, unsigned after)
{
	if (kind == FAIL_ALLOCATION)
		sim_fail_allocation(after, false);
	else if (kind == FAIL_STORE)
		store_fail_io(after, false);
	else if (kind == FAIL_DISK_ONCE || kind == FAIL_DISK)
		disk_fail(&disk, DISK_FAILS, true, true, after, kind == FAIL_DISK ? DISK_ALWAYS : 1);
	else
		pager.fail_armed = true, pager.fail_after = after;
}

/* Returns whether something failed. */
static bool fail_disarm(enum failure kind)
{
	bool armed = pager.fail_armed;

	if (kind == FAIL_ALLOCATION)
		return sim_fail_stop();
	if (kind == FAIL_STORE)
		return store_fail_stop();
	if (kind == FAIL_DISK_ONCE || kind == FAIL_DISK) {
		unsigned faults = disk.faults;

		disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
		return faults > 0;
	}
	pager.fail_armed = false;
	return !armed;
}

/* Points at which calls failed, and digests that differed afterwards. */
static struct {
	uint16_t allocations[CALLS][STATES], transfers[CALLS][STATES];
	unsigned unequal;
} table;

/* What a call returns in a state if nothing fails; if that is an error, it changes nothing either. */
static int undisturbed(size_t c, enum state state)
{
	struct footprint before = footprint_now();
	uint64_t digest_before;
	int error;

	set_up(state);
	digest_before = digest(true);
	error = calls[c].call();
	if (error && !CHECK_EQ(digest(true), digest_before))
		table.unequal++;
	verify();
	tear_down(state);
	check_footprint(&before);
	return error;
}

/* Makes the call, number `after` of what can fail failing. True: it did. */
static bool attempt(size_t c, enum state state, enum failure kind, unsigned after, int normal)
{
	bool whole = calls[c].whole;
	struct footprint before = footprint_now();
	uint64_t digest_before;
	bool failed;
	int error;

	set_up(state);
	digest_before = digest(whole);
	fail_arm(kind, after);
	error = calls[c].call();
	failed = fail_disarm(kind);
	if (failed && error) {
		/* What failed once was tried again. */
		CHECK(kind != FAIL_DISK_ONCE);
		CHECK_EQ(error, kind == FAIL_ALLOCATION ? -ENOMEM : -EIO);
		if (!calls[c].writes && !CHECK_EQ(digest(whole), digest_before))
			table.unequal++;
		verify();
		/* The same call, now undisturbed. */
		CHECK_EQ(calls[c].call(), normal);
	} else {
		CHECK_EQ(error, normal);
	}
	verify();
	tear_down(state);
	check_footprint(&before);
	return failed;
}

static void exhaust(size_t c, enum state state)
{
	int normal = undisturbed(c, state);

	for (enum failure kind = sim_fail_allocation ? FAIL_ALLOCATION : FAIL_PAGER; kind < FAILURES;
	     kind++) {
		unsigned after = 0;

		if (state != SWAPPED && (kind == FAIL_DISK_ONCE || kind == FAIL_DISK))
			continue;
		while (after < MAX_FAILURES && attempt(c, state, kind, after, normal))
			after++;
		CHECK(after < MAX_FAILURES);
		if (kind == FAIL_ALLOCATION)
			table.allocations[c][state] += after;
		else
			table.transfers[c][state] += after;
	}
}

static void print_table(void)
{
	unsigned allocations = 0, transfers = 0;
	char line[TEST_LINE_BYTES];
	int length;

	length = env_format(line, sizeof(line), "# %-34s", "allocations+transfers that failed");
	for (unsigned s = 0; s < STATES; s++)
		length += env_format(line + length, sizeof(line) - length, " %9s", state_names[s]);
	test_line(line);
	for (size_t c = 0; c < CALLS; c++) {
		length = env_format(line, sizeof(line), "# %-34s", calls[c].name);
		for (unsigned s = 0; s < STATES; s++) {
			length += env_format(line + length, sizeof(line) - length, " %5u+%-3u",
					     table.allocations[c][s], table.transfers[c][s]);
			allocations += table.allocations[c][s];
			transfers += table.transfers[c][s];
		}
		test_line(line);
	}
	test_print("# %u calls in %u states: %u points (%u allocations, %u transfers), %u unequal",
		   (unsigned)CALLS, STATES, allocations + transfers, allocations, transfers, table.unequal);
}

void suite_no_memory(void)
{
	struct blob *device;

	test_case("start");
	/* Descriptors of device pages stay for good. */
	CHECK_EQ(blob_create_device(DEVICE, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	blob_unref(device);
	/* And so do the kernel's page tables. */
	kernel_free(kernel_alloc(3 * PAGE_SIZE, "first"));
	if (!store_open(LOCATIONS) || !disk_open(&disk, "test disk", PLACES)) {
		test_skip("no memory for a disk");
		return;
	}
	for (size_t c = 0; c < CALLS; c++) {
		test_case(calls[c].name);
		for (enum state state = 0; state < STATES; state++)
			exhaust(c, state);
	}
	disk_close(&disk);
	store_close();
	print_table();
}
