/*
 * Paging as those see it who map the pages: translations that go, faults that bring pages back, advice, and what is told of it.
 *
 * The pages' own side is suite_paging.c.
 */
#include "store.h"
#include "vm_suite.h"

#define LOCATIONS  256
#define PAGES      64
#define OTHER      (SPACE_BASE + pages_to_bytes(1024))
#define LINE_BYTES 256

static struct map *root, *second;
static struct blob *blob;

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

static vaddr_t other_at(pgoff_t page)
{
	return OTHER + pages_to_bytes(page);
}

/* A blob whose page i begins with 100 + i, mapped twice in one space, and in another. */
static void set_up(void)
{
	blob = make_blob(PAGES);
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, 100 + i);
	root = space_open("paging");
	CHECK_EQ(map_create_root("second", &second), 0);
	map_all_at(root, SPACE_BASE, blob);
	map_all_at(root, OTHER, blob);
	map_all_at(second, SPACE_BASE, blob);
}

static void tear_down(void)
{
	map_verify(root);
	CHECK(check_map(root));
	map_unref(second);
	space_close(root);
	blob_unref(blob);
	CHECK_EQ(store_used(), 0);
}

static bool can_load(struct map *map, vaddr_t va)
{
	uint64_t word;

	space_use(map);
	return try_load(map, va, &word);
}

static void translations(void)
{
	uint64_t before[FAULT_CASES], after[FAULT_CASES];
	struct blob *clone;

	test_case("no CPU reaches a page that was given up, through whichever mapping, of clones too");
	set_up();
	CHECK_EQ(blob_clone(blob, 2, 4, &clone), 0);
	map_all_at(second, OTHER, clone);
	CHECK_EQ(word_at(root, page_at(3)), 103);
	CHECK_EQ(word_at(root, other_at(3)), 103);
	CHECK_EQ(word_at(root, page_at(4)), 104);
	CHECK_EQ(user_store(root, page_at(9), 9), 0);
	space_use(second);
	CHECK_EQ(word_at(second, page_at(3)), 103);
	CHECK_EQ(word_at(second, other_at(1)), 103);
	CHECK_EQ(map_advise(second, other_at(1), PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK(!can_load(second, page_at(3)) && !can_load(second, other_at(1)));
	CHECK(!can_load(root, page_at(3)) && !can_load(root, other_at(3)));
	CHECK(can_load(root, page_at(4)));
	CHECK_EQ(blob_page_out(blob, 9, 1), 0);
	CHECK(!can_load(root, page_at(9)));

	test_case("a fault brings it back, and counts so; the others find it there");
	vm_fault_counts(before);
	CHECK_EQ(fault_at(root, page_at(3), VM_READ), FAULT_RESIDENT);
	vm_fault_counts(after);
	CHECK_EQ(after[FAULT_PAGE_IN], before[FAULT_PAGE_IN] + 1);
	CHECK_EQ(word_at(root, page_at(3)), 103);
	CHECK_EQ(fault_at(root, other_at(3), VM_READ), FAULT_RESIDENT);
	CHECK_EQ(fault_at(second, other_at(1), VM_READ), FAULT_RESIDENT);
	vm_fault_counts(after);
	CHECK_EQ(after[FAULT_PAGE_IN], before[FAULT_PAGE_IN] + 1);
	CHECK_EQ(word_at(root, page_at(9)), 9);
	CHECK_EQ(fault_at(second, other_at(1), VM_WRITE), FAULT_COPY);
	blob_unref(clone);
	tear_down();
}

static void clean_pages(void)
{
	test_case("after a sync writes fault, once, and the page is dirty");
	set_up();
	CHECK_EQ(user_store(root, page_at(1), 1), 0);
	CHECK_EQ(user_store(root, other_at(1), 2), 0);
	CHECK_EQ(blob_sync(blob, 0, PAGES), 0);
	CHECK_USAGE(blob, .resident = PAGES);
	CHECK(can_load(root, page_at(1)));
	CHECK(!try_store(root, page_at(1), 3));
	CHECK(!try_store(root, other_at(1), 3));
	CHECK_EQ(fault_at(root, page_at(1), VM_WRITE), FAULT_UPGRADE);
	CHECK_USAGE(blob, .resident = PAGES, .dirty = 1);
	CHECK_EQ(store_used(), PAGES - 1);
	CHECK(try_store(root, page_at(1), 4));
	CHECK_EQ(word_at(root, other_at(1)), 4);

	test_case("a clean page is entered without the right to write");
	CHECK_EQ(fault_at(root, page_at(2), VM_READ), FAULT_RESIDENT);
	CHECK(!try_store(root, page_at(2), 5));
	CHECK_EQ(blob_page_out(blob, 2, 1), 0);
	CHECK_EQ(fault_at(root, page_at(2), VM_READ), FAULT_RESIDENT);
	CHECK(!try_store(root, page_at(2), 5));
	CHECK_EQ(blob_page_out(blob, 2, 1), 0);
	CHECK_EQ(user_store(root, page_at(2), 5), 0);
	CHECK_USAGE(blob, .resident = PAGES, .dirty = 2);
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	CHECK_EQ(word_at(root, page_at(1)), 4);
	CHECK_EQ(word_at(root, page_at(2)), 5);
	tear_down();
}

static void failing_disk(void)
{
	struct fault_result result;
	struct blob *other;

	test_case("a fault whose page cannot be read fails with -EIO, and later succeeds");
	set_up();
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	store_fail_io(0, true);
	CHECK_EQ(vm_fault(root, page_at(5), VM_READ, &result), -EIO);
	CHECK_EQ(result.outcome, FAULT_PAGE_IN);
	CHECK_STR(result.region, "test");
	CHECK_EQ(vm_fault(root, page_at(5), VM_WRITE, &result), -EIO);
	CHECK_EQ(map_advise(root, page_at(0), PAGE_SIZE, ADVISE_WILLNEED), 0);
	CHECK_USAGE(blob, .paged_out = PAGES);
	CHECK(store_fail_stop());
	CHECK_EQ(word_at(root, page_at(5)), 105);
	CHECK_EQ(user_store(root, page_at(6), 6), 0);

	test_case("an error of ADVISE_PAGE_OUT is the pager's, and loses nothing");
	store_fail_io(0, true);
	CHECK_EQ(map_advise(root, page_at(0), PAGES * PAGE_SIZE, ADVISE_PAGE_OUT), -EIO);
	CHECK(store_fail_stop());
	CHECK_EQ(word_at(root, page_at(6)), 6);
	CHECK_EQ(vm_set_store(NULL), 0);
	other = make_blob(1);
	map_all_at(root, page_at(200), other);
	blob_unref(other);
	CHECK_EQ(user_store(root, page_at(200), 1), 0);
	CHECK_EQ(map_advise(root, page_at(200), PAGE_SIZE, ADVISE_PAGE_OUT), -ENODEV);
	CHECK_EQ(vm_set_store(store_pager()), 0);
	tear_down();
}

/* ---- Advice --------------------------------------------------------------------------------------- */

/* Reads all pages through the mapping, one after the other; returns how often the disk was asked. */
static uint64_t gets_of_reading(void)
{
	uint64_t gets;

	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_USAGE(blob, .paged_out = PAGES);
	gets = store_counts().gets;
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(word_at(root, page_at(i)), 100 + i);
	return store_counts().gets - gets;
}

static void advice(void)
{
	uint64_t got;

	test_case("how many pages a pager is asked for is as advised");
	set_up();
	/* It is seen that pages are read in order: 1, 2, 4, 8, 16, 32 of them, and the last. */
	CHECK_EQ(gets_of_reading(), 7);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(gets_of_reading(), PAGES / PAGER_CLUSTER);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_RANDOM), 0);
	CHECK_EQ(gets_of_reading(), PAGES);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_NORMAL), 0);
	CHECK_EQ(gets_of_reading(), 7);

	test_case("what is asked ahead ends where pages are there, and with the entry");
	CHECK_EQ(map_advise(root, SPACE_BASE, 20 * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	put_word(blob, 8, 108);
	got = store_counts().pages_got;
	CHECK_EQ(word_at(root, page_at(2)), 102);
	CHECK_EQ(store_counts().pages_got, got + 6);
	CHECK_EQ(word_at(root, page_at(10)), 110);
	CHECK_EQ(store_counts().pages_got, got + 16);
	CHECK_EQ(blob_resident(blob, 20, PAGES - 20), 0);

	test_case("what will be needed is brought in at once, in clusters, and only the range");
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_EQ(blob_decommit(blob, 30, 1), 0);
	got = store_counts().gets;
	CHECK_EQ(map_advise(root, page_at(4), 48 * PAGE_SIZE, ADVISE_WILLNEED), 0);
	CHECK_USAGE(blob, .resident = 47, .paged_out = PAGES - 48);
	CHECK(store_counts().gets - got <= 5);
	CHECK_EQ(map_advise(root, page_at(4), 48 * PAGE_SIZE, ADVISE_WILLNEED), 0);
	CHECK_USAGE(blob, .resident = 47, .paged_out = PAGES - 48);
	tear_down();

	test_case("what pagers have from the beginning is brought in as well, and other absent pages are not "
		  "made");
	{
		static struct test_pager pager;
		struct blob *paged;

		root = space_open("paging");
		test_pager_init(&pager);
		pager.holes = true;
		CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &paged), 0);
		map_all_at(root, SPACE_BASE, paged);
		CHECK_EQ(map_advise(root, page_at(0), 20 * PAGE_SIZE, ADVISE_WILLNEED), 0);
		CHECK_EQ(blob_resident(paged, 0, PAGER_PAGES), 10);
		CHECK_EQ(pager.provided, 10);
		space_close(root);
		blob_unref(paged);
		test_pager_finish(&pager);
	}
}

/* ---- What is told ------------------------------------------------------------------------------------ */

static void expect_line(pgoff_t page, vm_prot_t access, const char *expected)
{
	char line[LINE_BYTES];

	CHECK_EQ(vm_explain(root, page_at(page), access, line, sizeof(line)), 0);
	CHECK_STR(line, expected);
}

static void told(void)
{
	struct entry_info entries[4] = {{.depth = 0}};
	unsigned char vector[PAGES];

	test_case("vm_explain, residency and map_walk say what is out");
	set_up();
	CHECK_EQ(blob_page_out(blob, 8, 8), 0);
	expect_line(8, VM_READ,
		    "paging > private space > test rw- > page 8 paged out, test store > no translation > "
		    "read faults: "
		    "page in");
	expect_line(9, VM_WRITE,
		    "paging > private space > test rw- > page 9 paged out, test store > no translation > "
		    "write faults: "
		    "page in");
	CHECK_EQ(map_residency(root, SPACE_BASE, PAGES * PAGE_SIZE, vector), 0);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(vector[i], i < 8 || i >= 16);
	CHECK_EQ(word_at(root, page_at(8)), 108);
	CHECK_EQ(map_residency(root, page_at(8), 2 * PAGE_SIZE, vector), 0);
	CHECK(vector[0] == 1 && vector[1] == 0);
	CHECK_EQ(map_advise(root, page_at(0), 4 * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(map_wire(root, page_at(0), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_advise(root, page_at(60), 4 * PAGE_SIZE, ADVISE_RANDOM), 0);
	CHECK_EQ(list_entries(root, page_at(0), page_at(PAGES), entries, 4), 3);
	CHECK_EQ(entries[0].end, page_at(4));
	CHECK_EQ(entries[0].advice, ADVISE_SEQUENTIAL);
	CHECK(entries[0].wired && !entries[1].wired && !entries[2].wired);
	CHECK_EQ(entries[1].advice, ADVISE_NORMAL);
	CHECK_EQ(entries[0].usage.paged_out, 0);
	CHECK_EQ(entries[1].usage.paged_out, 7);
	CHECK_EQ(entries[1].usage.resident, 56 - 7);
	CHECK_EQ(entries[2].advice, ADVISE_RANDOM);

	test_case("entries that become alike in advice are joined");
	CHECK_EQ(map_unwire(root, page_at(0), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_advise(root, page_at(60), 4 * PAGE_SIZE, ADVISE_NORMAL), 0);
	CHECK_EQ(count_entries(root, page_at(0), page_at(PAGES)), 2);
	CHECK_EQ(map_advise(root, page_at(0), PAGES * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(count_entries(root, page_at(0), page_at(PAGES)), 1);
	tear_down();
}

/* A forked child shares what is out; each writes for itself. */
static void forks(void)
{
	struct map *child;

	test_case("a forked child has the pages that are out; each side's writes are its own");
	root = space_open("parent");
	blob = make_blob(8);
	map_all_at(root, SPACE_BASE, blob);
	blob_unref(blob);
	for (pgoff_t i = 0; i < 8; i++)
		CHECK_EQ(user_store(root, page_at(i), 100 + i), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, 4 * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, 8 * PAGE_SIZE, ADVISE_SEQUENTIAL), 0);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(map_advise(root, page_at(4), 4 * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_EQ(store_used(), 8);
	CHECK_EQ(user_store(root, page_at(0), 1), 0);
	CHECK_EQ(user_store(root, page_at(4), 1), 0);
	space_use(child);
	CHECK_EQ(user_store(child, page_at(1), 2), 0);
	CHECK_EQ(user_store(child, page_at(5), 2), 0);
	for (pgoff_t i = 0; i < 8; i++) {
		CHECK_EQ(word_at(child, page_at(i)), i % 4 == 1 ? 2 : 100 + i);
		space_use(root);
		CHECK_EQ(word_at(root, page_at(i)), i % 4 == 0 ? 1 : 100 + i);
		space_use(child);
	}
	/* The parent dies while its pages are out; the child has them all the same. */
	CHECK_EQ(map_advise(child, SPACE_BASE, 8 * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	map_unref(root);
	for (pgoff_t i = 0; i < 8; i++)
		CHECK_EQ(word_at(child, page_at(i)), i % 4 == 1 ? 2 : 100 + i);
	CHECK_EQ(map_advise(child, SPACE_BASE, 8 * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_EQ(store_used(), 8);

	test_case("unmapping a part frees its locations");
	CHECK_EQ(map_unmap(child, page_at(2), 3 * PAGE_SIZE), 0);
	CHECK_EQ(store_used(), 5);
	CHECK_EQ(word_at(child, page_at(5)), 2);
	space_close(child);
	CHECK_EQ(store_used(), 0);
}

void suite_paging_maps(void)
{
	struct footprint before = footprint_now();

	if (!store_open(LOCATIONS)) {
		test_case("a disk in memory");
		test_skip("no memory for one");
		return;
	}
	translations();
	clean_pages();
	failing_disk();
	advice();
	told();
	forks();
	store_close();
	check_footprint(&before);
}
