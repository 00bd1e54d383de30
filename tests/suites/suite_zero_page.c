/*
 * The page of zeroes: what is only read costs no page, and whatever comes to be stored there is seen by all at once.
 *
 * Each way in which a page takes an empty place is tried while the page of zeroes is shown there, by two mappings of
 * the blob, in the TLB where there is one: user_load() compares what a CPU reads with what the tables say.
 */
#include "vm_suite.h"

#define FIRST  SPACE_BASE
#define SECOND (SPACE_BASE + 0x400000)
#define THIRD  (SPACE_BASE + 0x800000)
#define PAGES  100
#define WORD   0x7777777777ul

static struct map *root;

static vaddr_t first_at(unsigned page)
{
	return FIRST + pages_to_bytes(page);
}

static vaddr_t second_at(unsigned page)
{
	return SECOND + pages_to_bytes(page);
}

static void map_how(vaddr_t address, struct blob *blob, enum map_inherit inherit)
{
	struct placement place = fixed_at(address);
	struct mapping how = {.prot = RW, .inherit = inherit, .name = "zeroes"};
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, blob, 0, blob_size(blob) >> PAGE_SHIFT, &how, &at), 0);
}

static bool shows_zeroes(vaddr_t va)
{
	return pmap_query(map_pmap(root), va).page == page_of_zeroes;
}

/* Reads the page where it is shown twice. */
static void read_both(unsigned page)
{
	CHECK_EQ(word_at(root, first_at(page)), 0);
	CHECK_EQ(word_at(root, second_at(page)), 0);
	CHECK(shows_zeroes(first_at(page)) && shows_zeroes(second_at(page)));
}

static void expect_both(unsigned page, uint64_t word)
{
	CHECK_EQ(word_at(root, first_at(page)), word);
	CHECK_EQ(word_at(root, second_at(page)), word);
	CHECK(!shows_zeroes(first_at(page)) && !shows_zeroes(second_at(page)));
	CHECK(check_map(root));
}

static void reading(void)
{
	uint64_t pages = blob_pages_now();
	struct blob *blob = make_blob(PAGES);
	struct blob *shared = make_blob(1);
	unsigned char vector[3];

	test_case("what is only read costs no page, and is one page for all, without the right to write");
	map_how(FIRST, blob, INHERIT_COPY);
	map_how(THIRD, shared, INHERIT_SHARE);
	CHECK_EQ(fault_at(root, first_at(1), VM_READ), FAULT_ZERO_PAGE);
	CHECK_EQ(fault_at(root, first_at(PAGES - 1), VM_READ), FAULT_ZERO_PAGE);
	CHECK_EQ(pmap_query(map_pmap(root), first_at(1)).prot, VM_READ | VM_USER);
	CHECK_EQ(word_at(root, first_at(1)), 0);
	CHECK(!try_store(root, first_at(1), 1));
	CHECK(shows_zeroes(first_at(1)) && shows_zeroes(first_at(PAGES - 1)));
	CHECK_EQ(blob_pages_now(), pages);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 0);
	CHECK(check_map(root));

	test_case("it counts as resident for who asks of the mapping");
	CHECK_EQ(map_residency(root, first_at(0), 3 * PAGE_SIZE, vector), 0);
	CHECK_EQ(vector[0], 0);
	CHECK_EQ(vector[1], 1);
	CHECK_EQ(vector[2], 0);

	test_case("the first write gets a page that replaces it");
	CHECK_EQ(fault_at(root, first_at(1), VM_WRITE), FAULT_ZERO_FILL);
	CHECK_EQ(user_store(root, first_at(1), WORD), 0);
	CHECK_EQ(word_at(root, first_at(1)), WORD);
	CHECK_EQ(word_at(root, first_at(PAGES - 1)), 0);
	CHECK_EQ(blob_pages_now(), pages + 1);

	test_case("shared memory is filled when it is read");
	CHECK_EQ(fault_at(root, THIRD, VM_READ), FAULT_ZERO_FILL);
	CHECK_EQ(blob_pages_now(), pages + 2);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, FIRST, 0x1000000), 0);
	blob_unref(shared);
	blob_unref(blob);
	CHECK_EQ(blob_pages_now(), pages);
}

static void filling(void)
{
	struct blob *blob = make_blob(PAGES);
	struct blob *other = make_blob(PAGES);
	struct wiring *wiring = NULL;

	test_case("a write through one mapping shows in the other");
	map_how(FIRST, blob, INHERIT_COPY);
	map_how(SECOND, blob, INHERIT_COPY);
	read_both(0);
	CHECK_EQ(user_store(root, first_at(0), WORD), 0);
	expect_both(0, WORD);
	read_both(1);
	CHECK_EQ(user_store(root, second_at(1), WORD + 1), 0);
	expect_both(1, WORD + 1);

	test_case("blob_write, blob_copy, blob_zero");
	read_both(2);
	put_word(blob, 2, WORD + 2);
	expect_both(2, WORD + 2);
	read_both(3);
	put_word(other, 3, WORD + 3);
	CHECK_EQ(blob_copy(blob, 3 * PAGE_SIZE, other, 3 * PAGE_SIZE, PAGE_SIZE), 0);
	expect_both(3, WORD + 3);
	read_both(4);
	CHECK_EQ(blob_zero(blob, 4 * PAGE_SIZE, PAGE_SIZE), 0);
	read_both(4);

	test_case("commit and wiring: what is there is what both show");
	read_both(5);
	CHECK_EQ(blob_commit(blob, 5, 1), 0);
	CHECK_EQ(user_store(root, first_at(5), WORD + 5), 0);
	expect_both(5, WORD + 5);
	read_both(6);
	CHECK_EQ(blob_wire(blob, 6, 1, &wiring), 0);
	CHECK_EQ(user_store(root, second_at(6), WORD + 6), 0);
	expect_both(6, WORD + 6);
	blob_unwire(wiring);
	read_both(7);
	CHECK_EQ(map_wire(root, first_at(7), PAGE_SIZE), 0);
	CHECK(!shows_zeroes(first_at(7)) && !shows_zeroes(second_at(7)));
	CHECK_EQ(user_store(root, first_at(7), WORD + 7), 0);
	expect_both(7, WORD + 7);
	CHECK_EQ(map_unwire(root, first_at(7), PAGE_SIZE), 0);

	test_case("a shared mapping of the same blob");
	map_how(THIRD, blob, INHERIT_SHARE);
	read_both(8);
	CHECK_EQ(fault_at(root, THIRD + pages_to_bytes(8), VM_READ), FAULT_ZERO_FILL);
	CHECK(!shows_zeroes(first_at(8)) && !shows_zeroes(second_at(8)));
	CHECK_EQ(user_store(root, THIRD + pages_to_bytes(8), WORD + 8), 0);
	expect_both(8, WORD + 8);
	CHECK_EQ(map_unmap(root, FIRST, 0x1000000), 0);
	blob_unref(other);
	blob_unref(blob);
}

/* A page that is read in a node that several blobs share comes to be there for all of them. */
static void clones(void)
{
	struct blob *blob = make_blob(PAGES);
	struct blob *clone = NULL;

	test_case("clones: each shows zeroes, and writes show on one side only");
	put_word(blob, 0, 1);
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	map_how(FIRST, blob, INHERIT_COPY);
	map_how(SECOND, clone, INHERIT_COPY);
	read_both(1);
	CHECK_EQ(user_store(root, first_at(1), WORD), 0);
	CHECK_EQ(word_at(root, second_at(1)), 0);
	CHECK_EQ(user_store(root, second_at(1), WORD + 1), 0);
	CHECK_EQ(word_at(root, first_at(1)), WORD);
	blob_unref(clone);
	CHECK_EQ(map_unmap(root, SECOND, PAGES * PAGE_SIZE), 0);

	test_case("a page that is read through a shared mapping is there for the clone, too");
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	map_how(SECOND, clone, INHERIT_COPY);
	map_how(THIRD, blob, INHERIT_SHARE);
	read_both(2);
	CHECK_EQ(word_at(root, THIRD + pages_to_bytes(2)), 0);
	CHECK(!shows_zeroes(first_at(2)) && !shows_zeroes(second_at(2)));
	CHECK(check_map(root));
	CHECK_EQ(user_store(root, second_at(2), WORD), 0);
	CHECK_EQ(word_at(root, first_at(2)), 0);
	CHECK_EQ(user_store(root, THIRD + pages_to_bytes(2), WORD + 1), 0);
	CHECK_EQ(word_at(root, first_at(2)), WORD + 1);
	CHECK_EQ(word_at(root, second_at(2)), WORD);
	CHECK_EQ(map_unmap(root, FIRST, 0x1000000), 0);
	blob_unref(clone);
	blob_unref(blob);
}

static void ranges(void)
{
	struct resize_request want = {.start = FIRST,
				      .old_bytes = PAGES * PAGE_SIZE,
				      .new_bytes = PAGES * PAGE_SIZE,
				      .may_move = true,
				      .place = fixed_at(SECOND)};
	struct blob *blob = make_blob(PAGES);
	uint64_t word;
	vaddr_t at;

	test_case("protection: it can be read where reading is allowed, and nowhere written");
	map_how(FIRST, blob, INHERIT_COPY);
	CHECK_EQ(word_at(root, first_at(1)), 0);
	CHECK_EQ(map_protect(root, FIRST, PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(user_store(root, first_at(1), 1), -EACCES);
	CHECK_EQ(map_protect(root, FIRST, PAGES * PAGE_SIZE, 0), 0);
	CHECK(!try_load(root, first_at(1), &word));
	CHECK_EQ(map_protect(root, FIRST, PAGES * PAGE_SIZE, RW), 0);
	CHECK_EQ(word_at(root, first_at(1)), 0);

	test_case("decommit, and a mapping that moves away");
	CHECK_EQ(user_store(root, first_at(2), WORD), 0);
	CHECK_EQ(map_decommit(root, FIRST, PAGES * PAGE_SIZE), 0);
	CHECK(!try_load(root, first_at(1), &word) && !try_load(root, first_at(2), &word));
	CHECK_EQ(word_at(root, first_at(2)), 0);
	CHECK_EQ(user_store(root, first_at(3), WORD), 0);
	CHECK_EQ(map_resize(root, root, &want, &at), 0);
	CHECK(!try_load(root, first_at(2), &word));
	CHECK_EQ(word_at(root, second_at(2)), 0);
	CHECK_EQ(word_at(root, second_at(3)), WORD);
	CHECK(check_map(root));

	test_case("a child has its own zeroes");
	{
		struct map *child = NULL;

		CHECK_EQ(map_clone(root, "child", &child), 0);
		CHECK_EQ(fault_at(child, second_at(5), VM_READ), FAULT_ZERO_PAGE);
		CHECK_EQ(word_at(root, second_at(5)), 0);
		CHECK_EQ(user_store(root, second_at(5), WORD), 0);
		CHECK(pmap_query(map_pmap(child), second_at(5)).page == page_of_zeroes);
		CHECK(check_map(root) && check_map(child));
		map_unref(child);
	}
	CHECK_EQ(map_unmap(root, FIRST, 0x1000000), 0);
	blob_unref(blob);
}

void suite_zero_page(void)
{
	struct footprint before;

	test_case("start");
	before = footprint_now();
	root = space_open("zeroes");
	if (!root)
		return;
	reading();
	filling();
	clones();
	ranges();
	test_case("all memory is back");
	space_close(root);
	check_footprint(&before);
}
