/*
 * map_resize(): growing, shrinking and moving mappings, and what it refuses.
 */
#include "vm_suite.h"

#define BASE      SPACE_BASE
#define MAX_LISTS 16

static struct map *root;
static struct blob *blob; /* 16 pages; page i's first word is 100 + i */
static struct entry_info list[MAX_LISTS];
static vaddr_t at;

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

/* Maps pages [offset, offset + pages) of the blob at page `place` of the window. */
static void map_window(unsigned place, pgoff_t offset, pgoff_t pages)
{
	struct placement fixed = fixed_at(page_at(place));
	struct mapping how = {.prot = RW, .inherit = INHERIT_SHARE, .name = "window"};

	CHECK_EQ(map_blob(root, &fixed, blob, offset, pages, &how, &at), 0);
}

static struct resize_request want(unsigned place, pgoff_t from, pgoff_t to, bool may_move)
{
	return (struct resize_request){.start = page_at(place),
				       .old_bytes = pages_to_bytes(from),
				       .new_bytes = pages_to_bytes(to),
				       .may_move = may_move};
}

/* Moves, if at all, into `target`. */
static int resize_into(struct map *target, struct resize_request request)
{
	int error;

	at = 1;
	error = map_resize(root, target, &request, &at);
	CHECK(check_map(root));
	if (error)
		CHECK_EQ(at, 1);
	return error;
}

static int resize(struct resize_request request)
{
	return resize_into(root, request);
}

/* As resize(), but to `place`. */
static int resize_to(struct resize_request request, struct placement place)
{
	request.place = place;
	request.may_move = true;
	return resize(request);
}

/* Checks that the window shows `pages` pages of the blob from `offset` at page `place`, and nothing after them. */
static void expect_window(unsigned place, pgoff_t offset, pgoff_t pages)
{
	uint64_t word;

	for (unsigned i = 0; i < pages; i++)
		CHECK_EQ(word_at(root, page_at(place + i)), 100 + offset + i);
	CHECK_EQ(user_load(root, page_at(place + pages), &word), -EFAULT);
}

static void clear_window(void)
{
	CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(1024)), 0);
	CHECK(check_map(root));
}

static void in_place(void)
{
	test_case("grow and shrink in place");
	map_window(0, 2, 4);
	CHECK_EQ(resize(want(0, 4, 8, false)), 0);
	CHECK_EQ(at, BASE);
	expect_window(0, 2, 8);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	CHECK_EQ(resize(want(0, 8, 3, false)), 0);
	expect_window(0, 2, 3);
	CHECK_EQ(resize(want(0, 3, 3, false)), 0);
	CHECK_EQ(at, BASE);
	/* The last part of an entry. */
	CHECK_EQ(resize(want(1, 2, 5, false)), 0);
	CHECK_EQ(at, page_at(1));
	expect_window(0, 2, 6);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	/* The middle of an entry, shrunk: a hole. */
	CHECK_EQ(resize(want(1, 3, 1, false)), 0);
	expect_window(0, 2, 2);
	expect_window(4, 6, 2);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 2);
	clear_window();

	test_case("what grows up to a part that it once had is one with it again");
	map_window(0, 0, 8);
	CHECK_EQ(map_unmap(root, page_at(2), 3 * PAGE_SIZE), 0);
	CHECK_EQ(resize(want(0, 2, 4, false)), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 2);
	CHECK_EQ(resize(want(0, 4, 5, false)), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	CHECK_EQ(map_unmap(root, page_at(2), 3 * PAGE_SIZE), 0);
	CHECK_EQ(map_protect(root, page_at(5), 3 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(resize(want(0, 2, 5, false)), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 2);
	clear_window();

	test_case("what would be shown twice is not grown into");
	map_window(0, 0, 4);
	map_window(16, 5, 2);
	CHECK_EQ(resize(want(0, 4, 5, true)), 0);
	CHECK_EQ(resize(want(0, 5, 6, true)), -ENOMEM);
	CHECK_EQ(resize(want(0, 5, 6, false)), -ENOMEM);
	CHECK_EQ(map_unmap(root, page_at(16), 2 * PAGE_SIZE), 0);
	CHECK_EQ(resize(want(0, 5, 6, false)), 0);
	expect_window(0, 0, 6);
	/* What follows a part of an entry is mapped: by its rest. */
	CHECK_EQ(resize(want(0, 2, 3, true)), -ENOMEM);
	CHECK_EQ(resize_to(want(0, 2, 3, true), fixed_at(page_at(32))), -ENOMEM);
	expect_window(0, 0, 6);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	clear_window();
}

static void moving(void)
{
	struct placement place = fixed_at(page_at(16));
	struct map *sub = NULL;
	uint64_t word;

	test_case("grow by moving, when there is no room");
	CHECK_EQ(map_create_submap(root, &place, 24 * PAGE_SIZE, VM_ALL, "sub", &sub), 0);
	map_window(0, 0, 4);
	CHECK_EQ(user_store(root, page_at(2), 102), 0);
	CHECK_EQ(map_reserve(root, &(struct placement){.address = page_at(5), .flags = PLACE_FIXED},
			     PAGE_SIZE, "wall", &at),
		 0);
	CHECK_EQ(resize(want(0, 4, 5, false)), 0);
	CHECK_EQ(resize(want(0, 5, 6, false)), -ENOMEM);
	expect_window(0, 0, 5);
	CHECK_EQ(resize_into(sub, want(0, 5, 8, true)), 0);
	CHECK_EQ(at, page_at(16));
	expect_window(16, 0, 8);
	CHECK_EQ(user_load(root, BASE, &word), -EFAULT);
	CHECK_EQ(list_entries(root, page_at(16), page_at(39), list, MAX_LISTS), 1);
	CHECK_EQ(list[0].prot, RW);
	CHECK_EQ(list[0].inherit, INHERIT_SHARE);
	CHECK_STR(list[0].name, "window");
	/* No room anywhere: between walls in the submap, and the root's own level is none. */
	place = fixed_at(page_at(24));
	CHECK_EQ(map_reserve(root, &place, PAGE_SIZE, "wall", &at), 0);
	place = fixed_at(page_at(33));
	CHECK_EQ(map_reserve(root, &place, PAGE_SIZE, "wall", &at), 0);
	CHECK_EQ(resize_into(sub, want(16, 8, 9, true)), -ENOMEM);
	CHECK_EQ(resize(want(16, 8, 9, true)), -ENOMEM);
	expect_window(16, 0, 8);
	CHECK_EQ(map_unmap(root, page_at(24), PAGE_SIZE), 0);
	CHECK_EQ(resize_into(sub, want(16, 8, 9, true)), 0);
	CHECK_EQ(at, page_at(16));
	clear_window();

	test_case("move to a fixed place, whole or in part, also while shrinking");
	map_window(0, 0, 8);
	CHECK_EQ(resize_to(want(0, 8, 8, true), fixed_at(page_at(16))), 0);
	CHECK_EQ(at, page_at(16));
	expect_window(16, 0, 8);
	CHECK_EQ(resize_to(want(18, 2, 2, true), fixed_at(page_at(32))), 0);
	expect_window(32, 2, 2);
	expect_window(16, 0, 2);
	expect_window(20, 4, 4);
	CHECK_EQ(resize_to(want(20, 4, 1, true), fixed_at(page_at(40))), 0);
	expect_window(40, 4, 1);
	CHECK_EQ(user_store(root, page_at(20), 1), -EFAULT);
	CHECK_EQ(user_store(root, page_at(23), 1), -EFAULT);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 3);
	clear_window();
}

static void moving_over(void)
{
	test_case("move over other mappings, and over another part of the same");
	map_window(0, 0, 4);
	map_window(16, 8, 8);
	CHECK_EQ(resize_to(want(0, 4, 4, true), fixed_at(page_at(18))), -EEXIST);
	CHECK_EQ(resize_to(want(0, 4, 4, true), replace_at(page_at(18))), 0);
	expect_window(22, 14, 2);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(word_at(root, page_at(18 + i)), 100 + i);
	CHECK_EQ(word_at(root, page_at(17)), 109);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 3);
	clear_window();

	map_window(0, 0, 12);
	CHECK_EQ(resize_to(want(2, 3, 3, true), replace_at(page_at(7))), 0);
	expect_window(0, 0, 2);
	for (unsigned i = 5; i < 12; i++)
		CHECK_EQ(word_at(root, page_at(i)), i < 7 || i > 9 ? 100 + i : 100 + i - 5);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 4);
	clear_window();

	test_case("a move onto itself is refused");
	map_window(0, 0, 8);
	CHECK_EQ(resize_to(want(0, 4, 4, true), replace_at(page_at(0))), -EINVAL);
	CHECK_EQ(resize_to(want(0, 4, 4, true), replace_at(page_at(3))), -EINVAL);
	CHECK_EQ(resize_to(want(4, 4, 4, true), replace_at(page_at(1))), -EINVAL);
	CHECK_EQ(resize_to(want(2, 2, 1, true), replace_at(page_at(3))), -EINVAL);
	expect_window(0, 0, 8);
	CHECK_EQ(resize_to(want(0, 4, 4, true), replace_at(page_at(4))), 0);
	expect_window(4, 0, 4);
	CHECK_EQ(user_store(root, page_at(3), 1), -EFAULT);
	clear_window();
}

static void refusals(void)
{
	struct map *sub = NULL;
	struct placement place = fixed_at(page_at(32));
	struct resize_request request;

	test_case("refusals, and nothing changed");
	map_window(0, 0, 4);
	map_window(4, 8, 4);
	CHECK_EQ(map_create_submap(root, &place, 8 * PAGE_SIZE, VM_READ, "read only", &sub), 0);
	CHECK_EQ(resize(want(8, 1, 2, true)), -EFAULT);
	CHECK_EQ(resize(want(0, 5, 6, true)), -EFAULT);
	CHECK_EQ(resize(want(0, 8, 2, true)), -EFAULT);
	CHECK_EQ(resize(want(32, 1, 2, true)), -EFAULT);
	CHECK_EQ(resize(want(4, 4, 9, true)), -EINVAL);
	CHECK_EQ(resize(want(4, 4, 1ul << 40, true)), -EINVAL);
	CHECK_EQ(resize(want(0, 0, 1, true)), -EINVAL);
	CHECK_EQ(resize(want(0, 1, 0, true)), -EINVAL);
	request = want(0, 1, 1, true);
	request.start++;
	CHECK_EQ(resize(request), -EINVAL);
	request = want(0, 1, 1, true);
	request.new_bytes--;
	CHECK_EQ(resize(request), -EINVAL);
	request = want(0, 4, 4, false);
	request.place = fixed_at(page_at(16));
	CHECK_EQ(resize(request), -EINVAL);
	CHECK_EQ(resize_to(want(0, 4, 4, true), fixed_at(page_at(16) + 8)), -EINVAL);
	CHECK_EQ(resize_to(want(0, 4, 4, true), fixed_at(page_at(33))), -EACCES);
	CHECK_EQ(map_protect(root, page_at(7), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(resize_to(want(7, 1, 1, true), fixed_at(page_at(33))), 0);
	CHECK_EQ(map_protect(root, page_at(33), PAGE_SIZE, RW), -EACCES);
	CHECK_EQ(resize_to(want(33, 1, 1, true), fixed_at(page_at(7))), 0);
	CHECK_EQ(resize_to(want(0, 4, 4, true), replace_at(LAYOUT_PRIVATE_END - PAGE_SIZE)), -EPERM);
	CHECK_EQ(resize_to(want(0, 4, 4, true), fixed_at(LAYOUT_ARENAS_START)), -ENOMEM);
	CHECK_EQ(resize_to(want(0, 4, 4, true), fixed_at(LAYOUT_PHYSICAL_END)), -ENOMEM);
	CHECK_EQ(resize_to(want(0, 4, 4, true), fixed_at(~PAGE_MASK)), -ENOMEM);
	CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(word_at(root, page_at(i)), 100 + i);
	expect_window(4, 8, 4);
	clear_window();
}

/* A blob that has no holders but mappings keeps just the pages that are mapped. */
static void trimming(void)
{
	uint64_t before = blob_pages_now();
	struct blob *own = make_blob(16);
	struct placement place = fixed_at(BASE);
	struct mapping how = {.prot = RW, .name = "own"};

	test_case("what a mapping gives up is freed, and is zero when it grows again");
	CHECK_EQ(map_blob(root, &place, own, 0, 8, &how, &at), 0);
	blob_unref(own);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(user_store(root, page_at(i), 1 + i), 0);
	CHECK_EQ(resize(want(0, 8, 3, false)), 0);
	CHECK_EQ(blob_pages_now(), before + 3);
	CHECK_EQ(resize(want(0, 3, 6, false)), 0);
	CHECK_EQ(word_at(root, page_at(3)), 0);
	CHECK_EQ(word_at(root, page_at(2)), 3);
	CHECK_EQ(user_store(root, page_at(5), 9), 0);
	CHECK_EQ(resize_to(want(0, 6, 8, true), fixed_at(page_at(16))), 0);
	CHECK_EQ(word_at(root, page_at(21)), 9);
	CHECK_EQ(word_at(root, page_at(22)), 0);
	CHECK_EQ(word_at(root, page_at(18)), 3);
	CHECK_EQ(resize_to(want(16, 8, 2, true), fixed_at(page_at(0))), 0);
	CHECK_EQ(word_at(root, page_at(1)), 2);
	CHECK_EQ(blob_pages_now(), before + 2);
	CHECK_EQ(resize(want(0, 2, 8, false)), 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(user_store(root, page_at(i), 1 + i), 0);
	/* What a move replaces, too. */
	CHECK_EQ(resize_to(want(0, 2, 2, true), replace_at(page_at(4))), 0);
	CHECK_EQ(blob_pages_now(), before + 6);
	CHECK_EQ(word_at(root, page_at(5)), 2);
	clear_window();
	CHECK_EQ(blob_pages_now(), before);
}

/* Who only looks what is mapped, /proc say, holds nothing that a program has unmapped. */
static void looked_at(void)
{
	const struct mapping how = {.prot = RW, .inherit = INHERIT_COPY, .name = "window"};
	struct placement place = fixed_at(BASE);
	struct lookup first, second;
	uint64_t before;

	test_case("what was unmapped while somebody looked at the mapping goes, and does not come back when "
		  "it grows");
	root = space_open("resize");
	CHECK_EQ(blob_create(BLOB_MAX_BYTES, 0, &blob), 0);
	CHECK_EQ(map_blob(root, &place, blob, 0, 8, &how, &at), 0);
	blob_unref(blob);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(user_store(root, page_at(i), 100 + i), 0);
	before = blob_pages_now();
	CHECK_EQ(map_lookup_from(root, BASE, page_at(8), &first), 0);
	CHECK_EQ(map_unmap(root, page_at(4), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_lookup_from(root, BASE, page_at(8), &second), 0);
	lookup_release(&first);
	CHECK_EQ(blob_pages_now(), before - 4);
	CHECK_EQ(resize(want(0, 4, 8, false)), 0);
	lookup_release(&second);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(word_at(root, page_at(i)), i < 4 ? 100 + i : 0);
	CHECK_EQ(map_lookup_from(root, BASE, page_at(8), &first), 0);
	CHECK_EQ(map_unmap(root, BASE, 8 * PAGE_SIZE), 0);
	lookup_release(&first);
	CHECK_EQ(blob_pages_now(), before - 8);
	space_close(root);
}

void suite_resize(void)
{
	struct footprint before = footprint_now();

	looked_at();
	test_case("start");
	root = space_open("resize suite");
	if (!root)
		return;
	blob = make_blob(16);
	for (pgoff_t i = 0; i < 16; i++)
		put_word(blob, i, 100 + i);
	in_place();
	moving();
	moving_over();
	refusals();
	trimming();
	test_case("all memory is back");
	space_close(root);
	blob_unref(blob);
	check_footprint(&before);
}
