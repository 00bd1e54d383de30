/*
 * The extent of blobs: what is beyond it is not there, for the blob and all its clones, mapped, wired, paged out or shared.
 */
#include "store.h"
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define PAGES      16
#define FILE_PAGES (BLOB_MAX_BYTES >> PAGE_SHIFT)
#define LOCATIONS  64
#define LINE_BYTES 256
#define OTHER      (SPACE_BASE + pages_to_bytes(1024))
#define CLONE      (SPACE_BASE + pages_to_bytes(2048))
#define WINDOW     (SPACE_BASE + pages_to_bytes(3072))

static struct map *root;
static struct blob *file;

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

static int map_window(struct map *map, vaddr_t address, struct blob *blob, pgoff_t offset, bool private)
{
	const struct mapping how = {
		.prot = RW, .inherit = private ? INHERIT_COPY : INHERIT_SHARE, .name = "file"};
	struct placement place = fixed_at(address);
	vaddr_t at;

	return (private ? map_blob_private : map_blob)(map, &place, blob, offset, PAGES, &how, &at);
}

/* A file's blob of so many pages, page i beginning with 100 + i, of which more are mapped at SPACE_BASE. */
static void file_open(pgoff_t pages)
{
	root = space_open("extents");
	CHECK_EQ(blob_create(BLOB_MAX_BYTES, 0, &file), 0);
	CHECK_EQ(blob_set_extent(file, pages), 0);
	for (pgoff_t i = 0; i < pages; i++)
		put_word(file, i, 100 + i);
	CHECK_EQ(map_window(root, SPACE_BASE, file, 0, false), 0);
}

static void file_close(void)
{
	CHECK(check_map(root));
	space_close(root);
	blob_verify(file);
	blob_unref(file);
}

/* Is an access refused as one beyond the end is? */
static bool is_beyond(struct map *map, vaddr_t va)
{
	struct fault_result result = {.outcome = FAULT_CASES};
	uint64_t word;

	return CHECK(!try_load(map, va, &word)) & CHECK_EQ(vm_fault(map, va, VM_READ, &result), -ENXIO) &
	       CHECK_EQ(result.outcome, FAULT_BEYOND_EXTENT) & CHECK_STR(result.region, "file") &
	       CHECK_EQ(vm_fault(map, va, VM_WRITE, &result), -ENXIO);
}

static void beyond(void)
{
	uint64_t before[FAULT_CASES], after[FAULT_CASES];
	char line[LINE_BYTES];
	uint64_t word = 1;
	struct wiring *wiring;

	test_case("a blob's extent is all of it, until another is set");
	CHECK_EQ(blob_create(BLOB_MAX_BYTES, 0, &file), 0);
	CHECK_EQ(blob_extent(file), FILE_PAGES);
	CHECK_EQ(blob_set_extent(file, FILE_PAGES + 1), -EINVAL);
	CHECK_EQ(blob_set_extent(file, FILE_PAGES), 0);
	put_word(file, FILE_PAGES - 1, 1);
	CHECK_EQ(blob_set_extent(file, 0), 0);
	CHECK_EQ(blob_extent(file), 0);
	CHECK_EQ(blob_resident(file, 0, FILE_PAGES), 0);
	blob_unref(file);

	test_case("an access beyond the extent is refused; what is before is there");
	file_open(3);
	CHECK_EQ(word_at(root, page_at(2)), 102);
	vm_fault_counts(before);
	is_beyond(root, page_at(3));
	is_beyond(root, page_at(PAGES - 1) + PAGE_SIZE - 1);
	vm_fault_counts(after);
	CHECK_EQ(after[FAULT_BEYOND_EXTENT] - before[FAULT_BEYOND_EXTENT], 4);
	CHECK_STR(fault_case_name(FAULT_BEYOND_EXTENT), "beyond the end");

	test_case("so are reading, writing, committing and wiring, of which nothing is done then");
	CHECK_EQ(blob_read(file, 3 * PAGE_SIZE, &word, 8), -ENXIO);
	CHECK_EQ(blob_read(file, 3 * PAGE_SIZE - 4, &word, 8), -ENXIO);
	CHECK_EQ(blob_write(file, 3 * PAGE_SIZE - 4, &word, 8), -ENXIO);
	CHECK_EQ(blob_zero(file, 2 * PAGE_SIZE, PAGE_SIZE + 1), -ENXIO);
	CHECK_EQ(blob_copy(file, 3 * PAGE_SIZE, file, 0, 8), -ENXIO);
	CHECK_EQ(blob_copy(file, 0, file, 3 * PAGE_SIZE, 8), -ENXIO);
	CHECK_EQ(blob_read(file, 3 * PAGE_SIZE, &word, 0), 0);
	CHECK_EQ(blob_commit(file, 2, 2), -ENXIO);
	CHECK_EQ(blob_wire(file, 2, 2, &wiring), -ENXIO);
	CHECK_EQ(map_wire(root, page_at(2), 2 * PAGE_SIZE), -ENXIO);
	CHECK_EQ(blob_decommit(file, 3, 5), 0);
	CHECK_EQ(map_advise(root, page_at(2), 2 * PAGE_SIZE, ADVISE_WILLNEED), 0);
	CHECK_USAGE(file, .resident = 3, .dirty = 3);
	CHECK_EQ(get_word(file, 2), 102);

	test_case("it is explained");
	CHECK_EQ(vm_explain(root, page_at(5), VM_READ, line, sizeof(line)), -ENXIO);
	CHECK_STR(line, "extents > private space > file rw- > page 5 of 3 > no translation > read refused: "
			"beyond the end");
	CHECK_EQ(vm_explain(root, page_at(2), VM_WRITE, line, sizeof(line)), 0);
	file_close();
}

static void grows_and_shrinks(void)
{
	struct footprint before = footprint_now();
	uint64_t word;

	test_case("what a larger extent adds is zero; what a smaller one takes away is gone, on every CPU");
	file_open(4);
	CHECK_EQ(map_window(root, OTHER, file, 2, false), 0);
	for (pgoff_t i = 0; i < 4; i++)
		CHECK_EQ(user_store(root, page_at(i), 200 + i), 0);
	CHECK_EQ(word_at(root, OTHER + PAGE_SIZE), 203);
	CHECK_EQ(blob_set_extent(file, 3), 0);
	CHECK(try_load(root, page_at(2), &word));
	is_beyond(root, page_at(3));
	is_beyond(root, OTHER + PAGE_SIZE);
	CHECK_USAGE(file, .resident = 3, .dirty = 3);
	CHECK_EQ(word_at(root, OTHER), 202);
	CHECK_EQ(blob_set_extent(file, 6), 0);
	CHECK_EQ(word_at(root, page_at(3)), 0);
	CHECK_EQ(user_store(root, page_at(5), 5), 0);
	CHECK_EQ(word_at(root, OTHER + 3 * PAGE_SIZE), 5);
	is_beyond(root, page_at(6));
	CHECK_EQ(blob_set_extent(file, 0), 0);
	for (pgoff_t i = 0; i < 6; i++)
		is_beyond(root, page_at(i));
	CHECK_EQ(blob_resident(file, 0, FILE_PAGES), 0);

	test_case("a page far out makes the tree high, and goes");
	CHECK_EQ(blob_set_extent(file, FILE_PAGES), 0);
	put_word(file, 1, 1);
	put_word(file, FILE_PAGES - 1, 2);
	CHECK_EQ(blob_set_extent(file, FILE_PAGES - 1), 0);
	CHECK_USAGE(file, .resident = 1, .dirty = 1);
	CHECK_EQ(get_word(file, 1), 1);
	file_close();
	check_footprint(&before);
}

/* The four ways in which a clone shows pages of the file. */
static void clones(void)
{
	struct footprint before = footprint_now();
	struct blob *early;
	struct map *child;

	test_case("a private mapping ends where the file does, and loses its copies with it");
	file_open(10);
	CHECK_EQ(map_window(root, CLONE, file, 0, true), 0);
	CHECK_EQ(map_window(root, WINDOW, file, 4, true), 0);
	CHECK_EQ(user_store(root, CLONE + pages_to_bytes(8), 1), 0);
	CHECK_EQ(user_store(root, CLONE + pages_to_bytes(3), 2), 0);
	CHECK_EQ(user_store(root, WINDOW + pages_to_bytes(5), 3), 0);
	CHECK_EQ(word_at(root, WINDOW), 104);
	is_beyond(root, CLONE + pages_to_bytes(10));
	is_beyond(root, WINDOW + pages_to_bytes(6));

	test_case("so does that of a forked child, and a clone that was made before");
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(blob_clone(file, 6, 4, &early), 0);
	CHECK_EQ(blob_extent(early), 4);
	CHECK_EQ(blob_set_extent(file, 8), 0);
	CHECK_EQ(blob_extent(early), 2);
	CHECK_EQ(get_word(early, 1), 107);
	is_beyond(root, CLONE + pages_to_bytes(8));
	is_beyond(root, WINDOW + pages_to_bytes(4));
	CHECK_EQ(word_at(root, CLONE + pages_to_bytes(3)), 2);
	CHECK_EQ(word_at(root, WINDOW + pages_to_bytes(3)), 107);
	space_use(child);
	is_beyond(child, CLONE + pages_to_bytes(8));
	is_beyond(child, page_at(8));
	CHECK_EQ(word_at(child, CLONE + pages_to_bytes(3)), 2);

	test_case("what comes back with a larger extent is zero for all of them");
	CHECK_EQ(blob_set_extent(file, 12), 0);
	CHECK_EQ(word_at(child, CLONE + pages_to_bytes(8)), 0);
	CHECK_EQ(word_at(child, WINDOW + pages_to_bytes(5)), 0);
	space_use(root);
	CHECK_EQ(word_at(root, CLONE + pages_to_bytes(8)), 0);
	CHECK_EQ(word_at(root, WINDOW + pages_to_bytes(5)), 0);
	CHECK_EQ(word_at(root, page_at(8)), 0);
	CHECK_EQ(get_word(early, 2), 0);

	test_case("an extent before a clone's window leaves it nothing; a clone may set it, too");
	CHECK_EQ(blob_set_extent(file, 5), 0);
	CHECK_EQ(blob_extent(early), 0);
	CHECK_EQ(blob_resident(early, 0, 4), 0);
	is_beyond(root, WINDOW + PAGE_SIZE);
	CHECK_EQ(word_at(root, WINDOW), 104);
	CHECK_EQ(blob_set_extent(early, 4), 0);
	CHECK_EQ(blob_extent(file), 10);
	blob_unref(early);
	map_unref(child);
	file_close();
	check_footprint(&before);
}

/* Where nodes are shared with clones, forgetting a part of them usually takes memory; here it does not. */
static void needs_no_memory(void)
{
	struct blob *clone, *grandchild;

	test_case("a smaller extent needs no memory, however much clones share");
	file_open(0);
	CHECK_EQ(blob_set_extent(file, 5000), 0);
	for (pgoff_t i = 0; i < 5000; i += 7)
		put_word(file, i, 100 + i);
	CHECK_EQ(blob_clone(file, 10, 4500, &clone), 0);
	put_word(clone, 4000, 1);
	CHECK_EQ(blob_clone(clone, 0, 4500, &grandchild), 0);
	put_word(clone, 60, 2);
	if (sim_fail_allocation)
		sim_fail_allocation(0, true);
	CHECK_EQ(blob_set_extent(file, 3333), 0);
	CHECK_EQ(blob_set_extent(file, 71), 0);
	if (sim_fail_allocation)
		CHECK(!sim_fail_stop());
	blob_verify(file);
	CHECK_EQ(blob_resident(file, 0, FILE_PAGES), 11);
	CHECK_EQ(blob_resident(clone, 0, 4500), 9);
	CHECK_EQ(blob_resident(grandchild, 0, 4500), 9);
	CHECK_EQ(get_word(clone, 60), 2);
	CHECK_EQ(get_word(grandchild, 60), 170);
	blob_unref(grandchild);
	blob_unref(clone);
	file_close();
}

static void shared_nodes(void)
{
	struct footprint before = footprint_now();
	struct blob *clone;

	test_case("a node that is shared goes when a smaller extent leaves nothing in it");
	file_open(1);
	CHECK_EQ(blob_set_extent(file, 100), 0);
	put_word(file, TREE_FANOUT + 9, 1);
	CHECK_EQ(blob_clone(file, 0, FILE_PAGES, &clone), 0);
	put_word(clone, 0, 2);
	CHECK_EQ(blob_set_extent(file, TREE_FANOUT + 5), 0);
	blob_verify(file);
	CHECK_EQ(blob_resident(clone, 0, FILE_PAGES), 1);
	CHECK_EQ(blob_resident(file, 0, FILE_PAGES), 1);
	blob_unref(clone);
	file_close();
	check_footprint(&before);
}

static unsigned wirings_of(pgoff_t offset)
{
	struct page *page = NULL;
	slot_t *place;
	bool shared;

	spin_lock(&file->family->lock);
	place = tree_find(&file->tree, offset, &shared);
	if (place && slot_is_page(*place))
		page = slot_page(*place);
	spin_unlock(&file->family->lock);
	return page ? page->wired : UINT16_MAX + 1;
}

static void wired(void)
{
	struct footprint before = footprint_now();
	struct wiring *wiring;
	struct map *child;

	test_case("wired pages go with a smaller extent, and are wired again when they come back");
	file_open(8);
	CHECK_EQ(map_wire(root, page_at(2), 6 * PAGE_SIZE), 0);
	CHECK_EQ(map_window(root, CLONE, file, 0, true), 0);
	CHECK_EQ(map_wire(root, CLONE, 8 * PAGE_SIZE), 0);
	CHECK_EQ(blob_set_extent(file, 4), 0);
	is_beyond(root, page_at(5));
	is_beyond(root, CLONE + 5 * PAGE_SIZE);
	CHECK_EQ(wirings_of(3), 1);
	CHECK_EQ(blob_set_extent(file, 8), 0);
	CHECK(check_map(root));
	CHECK_EQ(wirings_of(5), UINT16_MAX + 1);
	CHECK_EQ(user_store(root, page_at(5), 5), 0);
	CHECK_EQ(wirings_of(5), 1);
	put_word(file, 6, 6);
	CHECK_EQ(wirings_of(6), 1);
	CHECK_EQ(user_store(root, CLONE + 7 * PAGE_SIZE, 7), 0);
	CHECK_EQ(blob_decommit(file, 5, 1), -EBUSY);

	test_case("a fork meanwhile, and then unwiring, leave no count behind");
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(blob_set_extent(file, 6), 0);
	CHECK(check_map(child));
	map_unref(child);
	CHECK_EQ(map_wire(root, page_at(2), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_unwire(root, page_at(2), 6 * PAGE_SIZE), 0);
	CHECK_EQ(wirings_of(5), 0);
	CHECK_EQ(map_unwire(root, CLONE, 8 * PAGE_SIZE), 0);

	test_case("what the kernel has wired is not taken away: -EBUSY, and nothing changed");
	CHECK_EQ(blob_wire(file, 4, 2, &wiring), 0);
	CHECK_EQ(blob_set_extent(file, 5), -EBUSY);
	CHECK_EQ(blob_extent(file), 6);
	CHECK_EQ(word_at(root, page_at(5)), 5);
	CHECK_EQ(blob_set_extent(file, 6), 0);
	blob_unwire(wiring);
	CHECK_EQ(blob_set_extent(file, 5), 0);
	file_close();
	check_footprint(&before);
}

static void paged_out(void)
{
	struct blob *clone;

	test_case("pages that are out go from the store, too");
	if (!CHECK(store_open(LOCATIONS)))
		return;
	file_open(12);
	CHECK_EQ(blob_clone(file, 2, 10, &clone), 0);
	CHECK_EQ(blob_page_out(file, 0, 10), 0);
	CHECK_EQ(blob_sync(file, 10, 1), 0);
	CHECK_EQ(store_used(), 11);
	CHECK_EQ(blob_set_extent(file, 5), 0);
	CHECK_EQ(store_used(), 5);
	CHECK_EQ(get_word(clone, 2), 104);
	CHECK_EQ(blob_set_extent(file, 12), 0);
	CHECK_EQ(word_at(root, page_at(9)), 0);
	CHECK_EQ(get_word(clone, 8), 0);
	CHECK_EQ(word_at(root, page_at(1)), 101);
	blob_unref(clone);
	file_close();
	CHECK_EQ(store_used(), 0);
	store_close();
}

static void with_pager(void)
{
	static struct test_pager pager;
	uint64_t word;

	test_case("a pager is not asked beyond the extent, and what it brings too late is not kept");
	test_pager_init(&pager);
	root = space_open("extents");
	CHECK_EQ(blob_create_paged(pages_to_bytes(PAGES), &pager.pager, &file), 0);
	CHECK_EQ(blob_set_extent(file, 6), 0);
	CHECK_EQ(map_window(root, SPACE_BASE, file, 0, false), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, pages_to_bytes(PAGES), ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(word_at(root, page_at(2)), PAGER_WORD + 2);
	CHECK_EQ(pager.provided, 4);
	CHECK_EQ(map_advise(root, SPACE_BASE, pages_to_bytes(PAGES), ADVISE_WILLNEED), 0);
	CHECK_EQ(pager.provided, 6);
	is_beyond(root, page_at(6));
	CHECK_EQ(blob_set_extent(file, 8), 0);
	pager.cut_meanwhile = file;
	CHECK_EQ(user_load(root, page_at(7), &word), -ENXIO);
	CHECK_EQ(blob_resident(file, 0, PAGES), 0);
	CHECK_EQ(blob_extent(file), 0);
	pager.copies = true;
	CHECK_EQ(blob_set_extent(file, 8), 0);
	pager.cut_meanwhile = file;
	CHECK_EQ(blob_read(file, 7 * PAGE_SIZE, &word, 8), -ENXIO);
	CHECK_EQ(blob_set_extent(file, 8), 0);
	CHECK_EQ(word_at(root, page_at(7)), PAGER_WORD + 7);
	file_close();
	test_pager_finish(&pager);

	test_case("what a pager brings is not kept where its blob was cut off and grew again meanwhile");
	for (unsigned copies = 0; copies < 2; copies++) {
		test_pager_init(&pager);
		pager.copies = copies;
		root = space_open("extents");
		CHECK_EQ(blob_create_paged(pages_to_bytes(PAGES), &pager.pager, &file), 0);
		CHECK_EQ(blob_set_extent(file, 8), 0);
		CHECK_EQ(map_window(root, SPACE_BASE, file, 0, false), 0);
		pager.cut_meanwhile = file;
		pager.regrown = 6;
		CHECK_EQ(word_at(root, page_at(5)), 0);
		CHECK_EQ(pager.provided, 1);
		CHECK_EQ(get_word(file, 5), 0);
		file_close();
		test_pager_finish(&pager);
	}
}

/* Pages beyond the end are not looked at one by one: a mapping may be far larger than what it shows. */
static void ahead_of_the_end(void)
{
	static struct test_pager pager;
	struct blob *overlay;

	test_case("what will be needed is looked for as far as the extent reaches");
	test_pager_init(&pager);
	root = space_open("extents");
	CHECK_EQ(blob_create_paged(pages_to_bytes(PAGER_PAGES), &pager.pager, &file), 0);
	CHECK_EQ(blob_set_extent(file, 3), 0);
	map_all_at(root, SPACE_BASE, file);
	CHECK_EQ(map_advise(root, SPACE_BASE, pages_to_bytes(PAGER_PAGES), ADVISE_WILLNEED), 0);
	CHECK_EQ(pager.provided, 3);
	CHECK(pager.asked <= 12);
	CHECK_EQ(blob_overlay(file, 0, PAGER_PAGES, &overlay), 0);
	map_all_at(root, OTHER, overlay);
	pager.asked = 0;
	CHECK_EQ(map_advise(root, OTHER, pages_to_bytes(PAGER_PAGES), ADVISE_WILLNEED), 0);
	CHECK(pager.asked <= 12);
	blob_unref(overlay);
	file_close();
	test_pager_finish(&pager);
}

static void of_others(void)
{
	test_case("device and contiguous memory has no extent to set");
	CHECK_EQ(blob_create_contiguous(2 * PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &file), 0);
	CHECK_EQ(blob_set_extent(file, 1), -EINVAL);
	CHECK_EQ(blob_extent(file), 2);
	blob_unref(file);

	test_case("shared memory that is forgotten is gone from all its mappings, and a clone keeps it");
	file_open(8);
	CHECK_EQ(map_window(root, OTHER, file, 2, false), 0);
	CHECK_EQ(map_window(root, CLONE, file, 0, true), 0);
	for (pgoff_t i = 0; i < 6; i++)
		CHECK_EQ(word_at(root, OTHER + pages_to_bytes(i)), 102 + i);
	CHECK_EQ(user_store(root, page_at(4), 1), 0);
	CHECK_EQ(blob_decommit(file, 3, 3), 0);
	for (pgoff_t i = 0; i < 8; i++) {
		uint64_t left = i >= 3 && i < 6 ? 0 : 100 + i;

		CHECK_EQ(word_at(root, page_at(i)), left);
		CHECK_EQ(word_at(root, CLONE + pages_to_bytes(i)), 100 + i);
		if (i >= 2)
			CHECK_EQ(word_at(root, OTHER + pages_to_bytes(i - 2)), left);
	}
	CHECK_EQ(user_store(root, OTHER + pages_to_bytes(1), 3), 0);
	CHECK_EQ(word_at(root, page_at(3)), 3);
	file_close();
}

void suite_extent(void)
{
	beyond();
	grows_and_shrinks();
	clones();
	needs_no_memory();
	shared_nodes();
	wired();
	paged_out();
	with_pager();
	ahead_of_the_end();
	of_others();
}
