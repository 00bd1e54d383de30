/*
 * Corners of paging and wiring that were once got wrong: counts at their limits, what happens while a fault or a copy waits
 * for a pager, and what a call costs or brings in beyond what it was asked for.
 *
 * The ordinary ways are suite_paging.c's, suite_paging_maps.c's and suite_wire.c's; the same with several CPUs at once is
 * tests/host/suite_paging_races.c.
 */
#include "store.h"
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define LOCATIONS 256
#define OTHER     (SPACE_BASE + pages_to_bytes(1024))

static struct map *root;
static struct blob *blob;

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

/* The page that a blob has in memory at an offset; NULL: none. */
static struct page *page_of(struct blob *of, pgoff_t offset)
{
	struct page *page = NULL;
	slot_t *place;
	bool shared;

	spin_lock(&of->family->lock);
	place = tree_find(&of->tree, of->base + offset, &shared);
	if (place && slot_is_page(*place))
		page = slot_page(*place);
	spin_unlock(&of->family->lock);
	return page;
}

/* ---- A pager that has to be waited for -------------------------------------------------------------- */

/* In front of the store: lets somebody do something before it reads or writes, and counts locations of its own. */
static struct front {
	struct pager pager;
	void (*before_get)(void); /* done once */
	void (*before_put)(void);
	int error; /* put_pages fails with this */
	bool made; /* of blobs made with it, it has every page from the beginning, and makes it when asked */
	uint64_t locations; /* references to locations that it gave */
	uint64_t pages_put;
} front;

static void interrupt(void (**what)(void))
{
	void (*now)(void) = *what;

	*what = NULL;
	if (now)
		now();
}

static int make_pages(const struct page_wanted *wanted, unsigned count, struct page **out)
{
	unsigned done;

	for (done = 0; done < count; done++) {
		out[done] = page_alloc(PAGE_BLOB, PAGE_ALLOC_ZERO);
		if (!out[done])
			break;
		*(uint64_t *)page_data(out[done]) = PAGER_WORD + wanted[done].index;
	}
	return done > 0 ? (int)done : -ENOMEM;
}

static int front_get(struct pager *pager, const struct page_wanted *wanted, unsigned count, struct page **out)
{
	CHECK(pager == &front.pager);
	interrupt(&front.before_get);
	if (wanted[0].location == 0)
		return make_pages(wanted, count, out);
	return store_pager()->ops->get_pages(store_pager(), wanted, count, out);
}

static bool front_has(struct pager *pager, pgoff_t index)
{
	(void)pager, (void)index;
	return front.made;
}

static int front_put(struct pager *pager, struct page_put *pages, unsigned count)
{
	int done = front.error;

	CHECK(pager == &front.pager);
	interrupt(&front.before_put);
	if (!done)
		done = store_pager()->ops->put_pages(store_pager(), pages, count);
	if (done > 0) {
		front.locations += (unsigned)done;
		front.pages_put += (unsigned)done;
	}
	return done;
}

static void front_ref(struct pager *pager, uint32_t location)
{
	CHECK(pager == &front.pager);
	front.locations++;
	store_pager()->ops->location_ref(store_pager(), location);
}

static void front_unref(struct pager *pager, uint32_t location)
{
	CHECK(pager == &front.pager);
	front.locations--;
	store_pager()->ops->location_unref(store_pager(), location);
}

static void front_destroy(struct pager *pager)
{
	CHECK(pager != &front.pager);
}

static const struct pager_ops front_ops = {
	.name = "front",
	.get_pages = front_get,
	.has_page = front_has,
	.put_pages = front_put,
	.location_ref = front_ref,
	.location_unref = front_unref,
	.destroy = front_destroy,
};

/* Makes it the store; front_close() checks that nobody has anything of it. */
static void front_open(void)
{
	front = (struct front){.pager = {.ops = &front_ops, .refs = 1}};
	CHECK_EQ(vm_set_store(&front.pager), 0);
}

static void front_close(void)
{
	CHECK_EQ(vm_set_store(store_pager()), 0);
	CHECK(!front.before_get && !front.before_put);
	CHECK_EQ(front.locations, 0);
	CHECK_EQ(front.pager.refs, 1);
	CHECK_EQ(store_used(), 0);
}

/* A blob whose page i begins with 100 + i, and which only its mapping at SPACE_BASE holds. */
static void map_words(pgoff_t pages)
{
	root = space_open("corners");
	blob = make_blob(pages);
	for (pgoff_t i = 0; i < pages; i++)
		put_word(blob, i, 100 + i);
	map_all_at(root, SPACE_BASE, blob);
	blob_unref(blob);
}

/* ---- As many wirings as are counted ------------------------------------------------------------------ */

#define MOST_WIRINGS  65535u /* of a blob and its clones */
#define WIRINGS_PAGES ((MOST_WIRINGS + 1) * sizeof(struct wiring *) / PAGE_SIZE)

/* Wires the blob's pages by turns, a page each time; returns how often. */
static unsigned wire_often(struct wiring **wirings, unsigned times, enum obtain_for purpose)
{
	pgoff_t pages = blob_size(blob) >> PAGE_SHIFT;

	for (unsigned i = 0; i < times; i++) {
		if (!CHECK_EQ(wiring_create(blob, i % pages, 1, purpose, true, &wirings[i]), 0))
			return i;
	}
	return times;
}

static void unwire(struct wiring **wirings, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		blob_unwire(wirings[i]);
}

static void wired_window(struct wiring **wirings)
{
	struct wiring *another;
	unsigned count;

	test_case("a window with 65535 wirings is wired, until the last of them ends");
	blob = make_blob(2);
	count = wire_often(wirings, MOST_WIRINGS, OBTAIN_WRITE);
	CHECK_EQ(wiring_create(blob, 1, 1, OBTAIN_WRITE, true, &another), -ENOMEM);
	root = space_open("corners");
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(map_wire_on_fault(root, SPACE_BASE, PAGE_SIZE), -ENOMEM);
	CHECK_EQ(map_wire(root, SPACE_BASE, PAGE_SIZE), -ENOMEM);
	space_close(root);
	CHECK_EQ(blob_decommit(blob, 0, 2), -EBUSY);
	CHECK_EQ(blob_decommit(blob, 1, 1), -EBUSY);
	CHECK_USAGE(blob, .resident = 2, .dirty = 2, .wired = 2);
	unwire(wirings, count - 1);
	CHECK_EQ(blob_decommit(blob, 0, 2), -EBUSY);
	unwire(wirings + count - 1, 1);
	CHECK_EQ(blob_decommit(blob, 0, 2), 0);
	blob_unref(blob);
}

/* The pages of a pager do not count their wirings; their copies do. */
static void wired_lent_page(struct wiring **wirings)
{
	static struct test_pager pager;
	struct wiring *another;
	unsigned count;

	test_case("a lent page takes as many wirings as its copy can count, and the copy has them all");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGE_SIZE, &pager.pager, &blob), 0);
	/* As map_wire does where only reading is allowed. */
	count = wire_often(wirings, MOST_WIRINGS, OBTAIN_READ);
	CHECK_EQ(wiring_create(blob, 0, 1, OBTAIN_READ, true, &another), -ENOMEM);
	CHECK_EQ(blob->wired_count, MOST_WIRINGS);
	CHECK(page_of(blob, 0) == pager.pages[0]);
	put_word(blob, 0, 1);
	CHECK(page_of(blob, 0) != pager.pages[0]);
	CHECK_EQ(page_of(blob, 0)->wired, MOST_WIRINGS);
	CHECK_EQ(wiring_create(blob, 0, 1, OBTAIN_READ, true, &another), -ENOMEM);
	unwire(wirings, count);
	CHECK_EQ(page_of(blob, 0)->wired, 0);
	CHECK_EQ(blob_decommit(blob, 0, 1), 0);
	blob_unref(blob);
	test_pager_finish(&pager);
}

static void most_wirings(void)
{
	struct page *memory = page_alloc_run(PAGE_KERNEL, WIRINGS_PAGES, 1, PAGE_ANYWHERE, 0);

	if (!memory) {
		test_case("as many wirings as are counted");
		test_skip("no memory for them");
		return;
	}
	wired_window(page_data(memory));
	wired_lent_page(page_data(memory));
	page_free_run(memory, WIRINGS_PAGES);
}

/* ---- While somebody waits for a pager ----------------------------------------------------------------- */

static bool may_write(vaddr_t va)
{
	return pmap_query(map_pmap(root), va).prot & VM_WRITE;
}

/* The program stores to the page that is being copied from. */
static void store_to_source(void)
{
	if (CHECK(!may_write(page_at(0)) && !may_write(OTHER)))
		map_verify(root);
	CHECK_EQ(user_store(root, page_at(0), 2), 0);
	CHECK_EQ(word_at(root, OTHER), 2);
}

static void copied_from(void)
{
	struct blob *to = make_blob(1);

	test_case("while a page is copied from, no translation may write it; a store goes to another page");
	front_open();
	map_words(1);
	map_all_at(root, OTHER, blob);
	CHECK_EQ(user_store(root, page_at(0), 1), 0);
	CHECK_EQ(user_store(root, OTHER, 1), 0);
	CHECK(may_write(page_at(0)) && may_write(OTHER));
	put_word(to, 0, 7);
	CHECK_EQ(blob_page_out(to, 0, 1), 0);
	front.before_get = store_to_source;
	CHECK_EQ(blob_copy(to, 0, blob, 0, sizeof(uint64_t)), 0);
	CHECK_EQ(get_word(to, 0), 1);
	CHECK_EQ(word_at(root, page_at(0)), 2);
	CHECK_EQ(word_at(root, OTHER), 2);
	space_close(root);
	blob_unref(to);
	front_close();
}

/* The mapping loses its last page, and gets it again. */
static void shrink_and_grow(void)
{
	uint64_t bytes = blob_size(blob);
	struct resize_request less = {
		.start = SPACE_BASE, .old_bytes = bytes, .new_bytes = bytes - PAGE_SIZE};
	struct resize_request more = {
		.start = SPACE_BASE, .old_bytes = bytes - PAGE_SIZE, .new_bytes = bytes};
	vaddr_t at;

	CHECK_EQ(map_resize(root, root, &less, &at), 0);
	CHECK_EQ(map_resize(root, root, &more, &at), 0);
}

/* Another page is read in, too; and while that is waited for, the mapping is resized. */
static void read_and_resize(void)
{
	front.before_get = shrink_and_grow;
	CHECK_EQ(word_at(root, page_at(1)), 101);
}

static void shrunk_while_waiting(void)
{
	void (*const meanwhile[])(void) = {shrink_and_grow, read_and_resize};
	static const char *const names[] = {
		"what is cut off a mapping that grows again is zero, also while a fault waits for the pager",
		"the same while two faults wait"};

	for (unsigned i = 0; i < 2; i++) {
		test_case(names[i]);
		front_open();
		map_words(3);
		CHECK_EQ(blob_page_out(blob, 0, 2), 0);
		front.before_get = meanwhile[i];
		CHECK_EQ(word_at(root, page_at(0)), 100);
		CHECK_EQ(word_at(root, page_at(1)), 101);
		CHECK_EQ(word_at(root, page_at(2)), 0);
		space_close(root);
		front_close();
	}
}

#define UNMAPPED 100

static void unmap_all_but_first(void)
{
	CHECK_EQ(map_unmap(root, page_at(1), UNMAPPED * PAGE_SIZE), 0);
}

static void unmap_everything(void)
{
	CHECK_EQ(map_unmap(root, page_at(0), (1 + UNMAPPED) * PAGE_SIZE), 0);
}

static void unmapped_while_waiting(void)
{
	uint64_t pages_before = blob_pages_now();
	struct fault_result result;

	test_case("what is unmapped while a fault waits for the pager is freed at once");
	front_open();
	map_words(1 + UNMAPPED);
	CHECK_EQ(blob_page_out(blob, 0, 3), 0);
	front.before_get = unmap_all_but_first;
	CHECK_EQ(word_at(root, page_at(0)), 100);
	CHECK_EQ(blob_pages_now(), pages_before + 1);
	CHECK_EQ(store_used(), 1);
	space_close(root);

	test_case("a blob that only the waiting fault is left of goes with it");
	map_words(1 + UNMAPPED);
	CHECK_EQ(blob_page_out(blob, 0, 3), 0);
	front.before_get = unmap_everything;
	CHECK_EQ(vm_fault(root, page_at(0), VM_READ, &result), -EFAULT);
	CHECK_EQ(result.outcome, FAULT_NO_ENTRY);
	CHECK_EQ(blob_pages_now(), pages_before);
	CHECK_EQ(store_used(), 0);
	space_close(root);
	front_close();
}

static void unmapped_while_read_ahead(void)
{
	uint64_t pages_before = blob_pages_now();

	test_case("what a fault read ahead is freed if it was unmapped meanwhile");
	front_open();
	front.made = true;
	front.pager.refs++;
	root = space_open("corners");
	CHECK_EQ(blob_create_paged((1 + UNMAPPED) * PAGE_SIZE, &front.pager, &blob), 0);
	map_all_at(root, SPACE_BASE, blob);
	blob_unref(blob);
	CHECK_EQ(map_advise(root, page_at(0), (1 + UNMAPPED) * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	front.before_get = unmap_all_but_first;
	CHECK_EQ(word_at(root, page_at(0)), PAGER_WORD);
	CHECK_EQ(blob_pages_now(), pages_before + 1);
	space_close(root);
	CHECK_EQ(blob_pages_now(), pages_before);
	front_close();
}

/* ---- What is wired stays where it is ------------------------------------------------------------------- */

static void store_to_wired(void)
{
	put_word(blob, 1, 1);
}

static void wired_stay(void)
{
	struct wiring *wiring;
	struct page *frame;

	test_case(
		"a page-out leaves wired pages in their frames, unwritten, whoever writes to them meanwhile");
	front_open();
	blob = make_blob(3);
	CHECK_EQ(blob_wire(blob, 1, 1, &wiring), 0);
	for (pgoff_t i = 0; i < 3; i++)
		put_word(blob, i, 100 + i);
	frame = page_of(blob, 1);
	front.before_put = store_to_wired;
	CHECK_EQ(blob_page_out(blob, 0, 3), 0);
	CHECK(page_of(blob, 1) == frame);
	CHECK_EQ(front.pages_put, 2);
	CHECK_USAGE(blob, .resident = 1, .paged_out = 2, .dirty = 1, .wired = 1);
	CHECK_EQ(get_word(blob, 1), 1);

	test_case("a wired page that is clean is not given up either");
	CHECK_EQ(blob_sync(blob, 1, 1), 0);
	CHECK_EQ(blob_page_out(blob, 0, 3), 0);
	CHECK(page_of(blob, 1) == frame);
	CHECK_USAGE(blob, .resident = 1, .paged_out = 2, .wired = 1);
	blob_unwire(wiring);
	CHECK_EQ(blob_page_out(blob, 0, 3), 0);
	CHECK_USAGE(blob, .paged_out = 3);
	CHECK_EQ(get_word(blob, 1), 1);
	blob_unref(blob);
	front_close();
}

/* ---- No more than was asked for -------------------------------------------------------------------------- */

static void read_ahead_without_memory(void)
{
	static struct test_pager pager;
	struct fault_result result;

	test_case("want of memory for what is read ahead is no failure of the page that faulted");
	if (!sim_fail_allocation) {
		test_skip("allocations do not fail here");
		return;
	}
	root = space_open("corners");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	map_all_at(root, SPACE_BASE, blob);
	/* The pager makes its pages; then the tree has a node for the first of two pages, and the page tables what both need. */
	for (pgoff_t i = 0; i < PAGER_PAGES; i++)
		(void)get_word(blob, i);
	CHECK_EQ(blob_decommit(blob, 0, PAGER_PAGES), 0);
	CHECK_EQ(get_word(blob, PAGER_PAGES - 1), PAGER_WORD + PAGER_PAGES - 1);
	CHECK_EQ(word_at(root, page_at(TREE_FANOUT - 2)), PAGER_WORD + TREE_FANOUT - 2);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGER_PAGES * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	sim_fail_allocation(0, true);
	CHECK_EQ(vm_fault(root, page_at(TREE_FANOUT - 1), VM_READ, &result), 0);
	CHECK(sim_fail_stop());
	CHECK_EQ(word_at(root, page_at(TREE_FANOUT - 1)), PAGER_WORD + TREE_FANOUT - 1);
	CHECK_EQ(blob_resident(blob, TREE_FANOUT, TREE_FANOUT), 0);
	space_close(root);
	blob_unref(blob);
	test_pager_finish(&pager);
}

static void needed_range(void)
{
	test_case("ADVISE_WILLNEED brings in the range, and nothing that follows");
	root = space_open("corners");
	blob = make_blob(40);
	for (pgoff_t i = 8; i < 40; i++)
		put_word(blob, i, 100 + i);
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(blob_page_out(blob, 0, 40), 0);
	/* What is absent before them must not move the end. */
	CHECK_EQ(map_advise(root, SPACE_BASE, 16 * PAGE_SIZE, ADVISE_WILLNEED), 0);
	CHECK_USAGE_OF(blob, 0, 16, .resident = 8);
	CHECK_USAGE_OF(blob, 16, 24, .paged_out = 24);
	CHECK_EQ(map_advise(root, page_at(14), 5 * PAGE_SIZE, ADVISE_WILLNEED), 0);
	CHECK_USAGE_OF(blob, 16, 24, .resident = 3, .paged_out = 21);
	space_close(root);
	blob_unref(blob);
}

/* So many pages that to look at each would never end. */
#define SPARSE_PAGES (BLOB_MAX_BYTES >> PAGE_SHIFT)

static void zeroed_sparse(void)
{
	struct wiring *wiring;

	test_case("zeroing a sparse blob looks at what is there, also where a page is wired");
	blob = make_blob(SPARSE_PAGES);
	CHECK_EQ(blob_wire(blob, 5, 1, &wiring), 0);
	put_word(blob, 5, 1);
	put_word(blob, 6, 2);
	put_word(blob, SPARSE_PAGES / 2, 3);
	put_word(blob, SPARSE_PAGES - 1, 4);
	CHECK_EQ(blob_page_out(blob, SPARSE_PAGES / 2, 1), 0);
	CHECK_EQ(blob_zero(blob, sizeof(uint64_t), BLOB_MAX_BYTES - sizeof(uint64_t)), 0);
	CHECK_EQ(get_word(blob, 5), 0);
	CHECK_EQ(get_word(blob, 6), 0);
	CHECK_EQ(get_word(blob, SPARSE_PAGES / 2), 0);
	CHECK_EQ(get_word(blob, SPARSE_PAGES - 1), 0);
	CHECK(blob_resident(blob, 0, SPARSE_PAGES) <= 4);
	blob_unwire(wiring);
	CHECK_EQ(blob_zero(blob, 0, BLOB_MAX_BYTES), 0);
	CHECK_EQ(blob_resident(blob, 0, SPARSE_PAGES), 0);
	blob_unref(blob);
}

static void zeroed_holes(void)
{
	static struct test_pager pager;

	test_case("zeroing makes no pages of a pager's holes");
	test_pager_init(&pager);
	pager.holes = true;
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	CHECK_EQ(blob_zero(blob, 0, 20 * PAGE_SIZE), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGER_PAGES), 10);
	for (pgoff_t i = 0; i < 20; i++)
		CHECK_EQ(blob_resident(blob, i, 1), i % 2 == 0);
	for (pgoff_t i = 0; i < 20; i++)
		CHECK_EQ(get_word(blob, i), 0);
	CHECK_EQ(get_word(blob, 20), PAGER_WORD + 20);
	blob_unref(blob);
	test_pager_finish(&pager);
}

static void wired_beyond_memory(void)
{
	struct blob *other = make_blob(64);
	uint64_t free_pages = page_stats().free_pages;

	test_case("wiring more than there is memory for fails, and leaves the memory to others");
	if (page_at(free_pages + 1) > LAYOUT_PRIVATE_END) {
		test_skip("more memory than private space");
		blob_unref(other);
		return;
	}
	root = space_open("corners");
	blob = make_blob(free_pages + 1);
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(map_wire(root, SPACE_BASE, blob_size(blob)), -ENOMEM);
	CHECK_EQ(blob_resident(blob, 0, free_pages + 1), 0);
	CHECK_EQ(blob->wired_count, 0);
	CHECK_EQ(blob_commit(other, 0, 64), 0);
	space_close(root);
	blob_unref(blob);
	blob_unref(other);
}

/* ---- Whose store --------------------------------------------------------------------------------------------- */

static void unbound(void)
{
	test_case("a page-out that failed, or had nothing to write, binds no blob to the store");
	front_open();
	blob = make_blob(2);
	CHECK_EQ(blob_page_out(blob, 0, 2), 0);
	put_word(blob, 0, 100);
	put_word(blob, 1, 101);
	front.error = -EIO;
	CHECK_EQ(blob_page_out(blob, 0, 2), -EIO);
	CHECK_EQ(vm_set_store(NULL), 0);
	CHECK_EQ(front.pager.refs, 1);
	CHECK_EQ(blob_page_out(blob, 0, 2), -ENODEV);
	CHECK_EQ(vm_set_store(store_pager()), 0);
	CHECK_EQ(blob_page_out(blob, 0, 2), 0);
	CHECK_EQ(store_used(), 2);
	CHECK_EQ(get_word(blob, 1), 101);
	blob_unref(blob);
	front_close();
}

static void bound(void)
{
	struct blob *clone;

	test_case("once a page was written, the blob and its clones stay with the store");
	front_open();
	blob = make_blob(3);
	for (pgoff_t i = 0; i < 3; i++)
		put_word(blob, i, 100 + i);
	CHECK_EQ(blob_page_out(blob, 0, 1), 0);
	CHECK_EQ(vm_set_store(store_pager()), 0);
	CHECK_EQ(blob_page_out(blob, 1, 1), 0);
	CHECK_EQ(blob_clone(blob, 0, 3, &clone), 0);
	CHECK_EQ(blob_page_out(clone, 2, 1), 0);
	CHECK_EQ(front.pages_put, 3);
	for (pgoff_t i = 0; i < 3; i++)
		CHECK_EQ(get_word(blob, i), 100 + i);
	blob_unref(clone);
	blob_unref(blob);
	front_close();
}

/* There is another store, and the other page is written to that. */
static void page_out_elsewhere(void)
{
	CHECK_EQ(vm_set_store(store_pager()), 0);
	CHECK_EQ(blob_page_out(blob, 1, 1), 0);
}

static void bound_meanwhile(void)
{
	test_case("what was on its way to one store when the blob got another goes to that");
	front_open();
	blob = make_blob(2);
	put_word(blob, 0, 100);
	put_word(blob, 1, 101);
	front.before_put = page_out_elsewhere;
	CHECK_EQ(blob_page_out(blob, 0, 1), 0);
	CHECK_EQ(front.pages_put, 1);
	CHECK_EQ(front.locations, 0);
	CHECK_EQ(front.pager.refs, 1);
	CHECK_USAGE(blob, .paged_out = 2);
	CHECK_EQ(store_used(), 2);
	CHECK_EQ(get_word(blob, 0), 100);
	CHECK_EQ(get_word(blob, 1), 101);
	blob_unref(blob);
	front_close();
}

void suite_paging_corners(void)
{
	struct footprint before = footprint_now();

	if (!store_open(LOCATIONS)) {
		test_case("a disk in memory");
		test_skip("no memory for one");
		return;
	}
	most_wirings();
	copied_from();
	shrunk_while_waiting();
	unmapped_while_waiting();
	unmapped_while_read_ahead();
	wired_stay();
	read_ahead_without_memory();
	needed_range();
	zeroed_sparse();
	zeroed_holes();
	wired_beyond_memory();
	unbound();
	bound();
	bound_meanwhile();
	store_close();
	check_footprint(&before);
}
