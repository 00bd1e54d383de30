/*
 * map_sharing: which pages other mappings show as well, in the same map, in another one, and of a clone; and what each mapping's part of them is.
 */
#include "vm_suite.h"

#define FIRST  SPACE_BASE
#define SECOND (SPACE_BASE + 0x400000)
#define PAGES  10
#define BYTES  (PAGES * PAGE_SIZE)
#define WORD   0x5555555555ul

static struct map *root;

static void map_copied(vaddr_t address, struct blob *blob)
{
	struct placement place = fixed_at(address);
	struct mapping how = {.prot = RW, .inherit = INHERIT_COPY, .name = "sharing"};
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, blob, 0, PAGES, &how, &at), 0);
}

static void expect(struct map *map, vaddr_t start, struct map_sharing wanted)
{
	struct map_sharing found;

	CHECK_EQ(map_sharing(map, start, BYTES, &found), 0);
	CHECK_EQ(found.shown, wanted.shown);
	CHECK_EQ(found.shared, wanted.shared);
	CHECK_EQ(found.part_bytes, wanted.part_bytes);
	CHECK(found.shared_dirty <= found.shared && found.dirty <= found.shown);
	CHECK(found.shared_dirty <= found.dirty);
}

static void two_mappings(void)
{
	struct blob *blob = make_blob(PAGES);
	struct map_sharing found;

	test_case("nothing is shown of what was never touched, nor of zeroes that were only read");
	map_copied(FIRST, blob);
	map_copied(SECOND, blob);
	expect(root, FIRST, (struct map_sharing){.shown = 0});
	CHECK_EQ(word_at(root, FIRST), 0);
	expect(root, FIRST, (struct map_sharing){.shown = 0});

	test_case("a page is shared when the second mapping has shown it, and not before");
	CHECK_EQ(user_store(root, FIRST + PAGE_SIZE, WORD), 0);
	expect(root, FIRST, (struct map_sharing){.shown = 1, .part_bytes = PAGE_SIZE});
	CHECK_EQ(word_at(root, SECOND + PAGE_SIZE), WORD);
	expect(root, FIRST, (struct map_sharing){.shown = 1, .shared = 1, .part_bytes = PAGE_SIZE / 2});
	expect(root, SECOND, (struct map_sharing){.shown = 1, .shared = 1, .part_bytes = PAGE_SIZE / 2});

	test_case("dirty is what was written through the mapping's own translation");
	CHECK_EQ(map_sharing(root, FIRST, BYTES, &found), 0);
	CHECK_EQ(found.dirty, 1);
	CHECK_EQ(map_sharing(root, SECOND, BYTES, &found), 0);
	CHECK_EQ(found.dirty, 0);

	test_case("it is not any more when the second is gone; no range is an error");
	CHECK_EQ(map_unmap(root, SECOND, BYTES), 0);
	expect(root, FIRST, (struct map_sharing){.shown = 1, .part_bytes = PAGE_SIZE});
	CHECK_EQ(map_sharing(root, FIRST + 1, PAGE_SIZE, &found), -EINVAL);
	CHECK_EQ(map_unmap(root, FIRST, BYTES), 0);
	blob_unref(blob);
}

static void clones(void)
{
	struct blob *blob = make_blob(PAGES);
	struct map *child;

	test_case("a child shares what it reads, until one of the two writes there");
	map_copied(FIRST, blob);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(user_store(root, FIRST + i * PAGE_SIZE, WORD + i), 0);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	expect(child, FIRST, (struct map_sharing){.shown = 0});
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(word_at(root, FIRST + i * PAGE_SIZE), WORD + i);
		CHECK_EQ(fault_at(child, FIRST + i * PAGE_SIZE, VM_READ), FAULT_RESIDENT);
	}
	expect(child, FIRST, (struct map_sharing){.shown = 4, .shared = 4, .part_bytes = 2 * PAGE_SIZE});
	expect(root, FIRST, (struct map_sharing){.shown = 4, .shared = 4, .part_bytes = 2 * PAGE_SIZE});
	CHECK_EQ(fault_at(child, FIRST, VM_WRITE), FAULT_COPY);
	CHECK_EQ(user_store(root, FIRST + PAGE_SIZE, WORD), 0);
	expect(child, FIRST, (struct map_sharing){.shown = 4, .shared = 2, .part_bytes = 3 * PAGE_SIZE});
	expect(root, FIRST, (struct map_sharing){.shown = 4, .shared = 2, .part_bytes = 3 * PAGE_SIZE});
	map_unref(child);
	expect(root, FIRST, (struct map_sharing){.shown = 4, .part_bytes = 4 * PAGE_SIZE});
	CHECK_EQ(map_unmap(root, FIRST, BYTES), 0);
	blob_unref(blob);
}

void suite_sharing(void)
{
	struct footprint before;

	test_case("start");
	before = footprint_now();
	root = space_open("sharing");
	if (!root)
		return;
	two_mappings();
	clones();
	test_case("all memory is back");
	space_close(root);
	check_footprint(&before);
}
