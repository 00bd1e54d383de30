/*
 * What deliberate bugs showed to be untested (tests/mutants): odd pairs of promises that the suites of the parts do not meet.
 */
#include "store.h"
#include "vm_suite.h"

#define LOCATIONS 16
#define PAGES     4

static struct map *root;

/* Pages are counted by state: a run's, too, when it goes. */
static void test_run_counts(void)
{
	static const enum page_state states[] = {PAGE_KERNEL, PAGE_TABLE, PAGE_SLAB, PAGE_BLOB};
	struct page_stats before = page_stats();

	test_case("a run of pages is taken off the count of its state");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct page *run = page_alloc_run(states[i], PAGES, 1, PAGE_ANYWHERE, 0);

		if (!CHECK(run))
			return;
		CHECK_EQ(page_stats().by_state[states[i]], before.by_state[states[i]] + PAGES);
		page_free_run(run, PAGES);
		for (unsigned state = PAGE_KERNEL; state <= PAGE_BLOB; state++)
			CHECK_EQ(page_stats().by_state[state], before.by_state[state]);
	}
}

/* A page can be wired and clean: then it is neither written nor given up. */
static void test_clean_and_wired(void)
{
	struct blob *blob = make_blob(PAGES);
	struct wiring *wiring;
	struct blob_usage usage;

	test_case("a wired page that is clean stays when the others are paged out");
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, 100 + i);
	CHECK_EQ(blob_wire(blob, 1, 1, &wiring), 0);
	CHECK_EQ(blob_sync(blob, 0, PAGES), 0);
	CHECK_EQ(blob_usage(blob, 0, PAGES, &usage), 0);
	CHECK_EQ(usage.dirty, 0);
	CHECK_EQ(usage.wired, 1);
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	CHECK_EQ(blob_usage(blob, 0, PAGES, &usage), 0);
	CHECK_EQ(usage.paged_out, PAGES - 1);
	CHECK_EQ(usage.wired, 1);
	CHECK_EQ(store_counts().puts, 1);
	blob_unwire(wiring);
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 0);
	CHECK_EQ(store_counts().puts, 1);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(get_word(blob, i), 100 + i);
	blob_unref(blob);
}

/* The store's put_pages for one test: while it writes, the page is wired through a mapping that only reads it. */
static const struct pager_ops *store_ops;

static int put_and_wire(struct pager *pager, struct page_put *pages, unsigned count)
{
	CHECK_EQ(map_wire(root, SPACE_BASE, PAGE_SIZE), 0);
	return store_ops->put_pages(pager, pages, count);
}

/* To be read, a page that is being written needs no copy. */
static void test_wired_while_written(void)
{
	static const struct mapping readable = {.prot = VM_READ, .name = "wired"};
	struct pager *store = store_pager();
	struct pager_ops wiring_ops = *store->ops;
	struct placement place = fixed_at(SPACE_BASE);
	struct blob *blob = make_blob(1);
	struct blob_usage usage;
	vaddr_t address;

	test_case("a page that is wired while it is written stays");
	put_word(blob, 0, 100);
	CHECK_EQ(map_blob(root, &place, blob, 0, 1, &readable, &address), 0);
	store_ops = store->ops;
	wiring_ops.put_pages = put_and_wire;
	store->ops = &wiring_ops;
	CHECK_EQ(blob_page_out(blob, 0, 1), 0);
	store->ops = store_ops;
	CHECK_EQ(blob_usage(blob, 0, 1, &usage), 0);
	CHECK_EQ(usage.resident, 1);
	CHECK_EQ(usage.wired, 1);
	CHECK_EQ(usage.dirty, 0);
	blob_verify(blob);
	CHECK_EQ(map_unwire(root, SPACE_BASE, PAGE_SIZE), 0);
	CHECK_EQ(map_unmap(root, SPACE_BASE, PAGE_SIZE), 0);
	CHECK_EQ(get_word(blob, 0), 100);
	blob_unref(blob);
}

static void map_half(struct blob *blob, pgoff_t first, const struct mapping *how)
{
	struct placement place = fixed_at(SPACE_BASE + pages_to_bytes(first));
	vaddr_t address;

	CHECK_EQ(map_blob(root, &place, blob, first, PAGES / 2, how, &address), 0);
}

/* Two mappings that differ in one thing that no fault shows stay two. */
static void test_unlike_neighbours(void)
{
	static const struct mapping lower = {.prot = VM_READ, .inherit = INHERIT_COPY, .name = "half"};
	static const struct mapping uppers[] = {
		{.prot = VM_READ, .inherit = INHERIT_SHARE, .name = "half"},
		{.prot = VM_READ, .inherit = INHERIT_COPY, .name = "other half"},
		{.prot = VM_READ, .max_prot = RW, .inherit = INHERIT_COPY, .name = "half"},
	};
	struct blob *blob = make_blob(PAGES);
	uint64_t bytes = pages_to_bytes(PAGES);

	test_case("neighbours that differ only in inheritance, name or ceiling are not joined");
	for (size_t i = 0; i < sizeof(uppers) / sizeof(uppers[0]); i++) {
		map_half(blob, 0, &lower);
		map_half(blob, PAGES / 2, &uppers[i]);
		CHECK_EQ(map_protect(root, SPACE_BASE, bytes, RW), 0);
		CHECK_EQ(count_entries(root, SPACE_BASE, SPACE_BASE + bytes), 2);
		CHECK_EQ(map_unmap(root, SPACE_BASE, bytes), 0);
	}

	test_case("and those that differ in nothing are");
	map_half(blob, 0, &lower);
	map_half(blob, PAGES / 2, &lower);
	CHECK_EQ(map_protect(root, SPACE_BASE, bytes, RW), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, SPACE_BASE + bytes), 1);
	CHECK_EQ(map_unmap(root, SPACE_BASE, bytes), 0);
	blob_unref(blob);
}

/* Where a submap goes is known only when its place is: then the ceiling of the map that is there counts. */
static void test_ceiling_below(void)
{
	static const struct mapping writable = {.prot = RW};
	struct placement outside = fixed_at(SPACE_BASE), inside = fixed_at(SPACE_BASE + PAGE_SIZE);
	struct map *outer, *inner;
	struct blob *blob = make_blob(1);
	vaddr_t address;

	test_case("a submap that is made through the root has the ceiling of the map that it is in");
	CHECK_EQ(map_create_submap(root, &outside, 8 * PAGE_SIZE, VM_READ, "read only", &outer), 0);
	CHECK_EQ(map_create_submap(root, &inside, 4 * PAGE_SIZE, VM_ALL, "inner", &inner), 0);
	CHECK_EQ(map_blob(inner, &inside, blob, 0, 1, &writable, &address), -EACCES);
	CHECK_EQ(map_blob(root, &inside, blob, 0, 1, &writable, &address), -EACCES);
	CHECK_EQ(map_unmap(root, SPACE_BASE, 8 * PAGE_SIZE), 0);
	blob_unref(blob);
}

void suite_gaps(void)
{
	struct footprint before = footprint_now();

	test_run_counts();
	root = space_open("gaps");
	if (!root)
		return;
	if (store_open(LOCATIONS)) {
		test_clean_and_wired();
		test_wired_while_written();
		store_close();
	}
	test_unlike_neighbours();
	test_ceiling_below();
	space_close(root);
	check_footprint(&before);
}
