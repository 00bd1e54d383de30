/*
 * What is asked of whole address spaces, and said of ranges for later: how much is mapped, what a fork does with it,
 * wiring on fault, access by the kernel for others, moving without unmapping.
 */
#include "vm_suite.h"

#define PAGES  16
#define DEVICE ((paddr_t)0xfee00000) /* beyond the RAM of any machine that runs the suites */
#define OTHER  (SPACE_BASE + pages_to_bytes(1024))
#define THIRD  (SPACE_BASE + pages_to_bytes(2048))

static struct map *root;
static struct blob *blob;

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

static void map_window(vaddr_t address, struct blob *what, pgoff_t pages, vm_prot_t prot,
		       enum map_inherit inherit, bool grows_down)
{
	const struct mapping how = {
		.prot = prot, .inherit = inherit, .name = "window", .grows_down = grows_down};
	struct placement place = replace_at(address);
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, what, 0, pages, &how, &at), 0);
}

/* A private blob, page i of which begins with 100 + i, that only its mapping at SPACE_BASE holds. */
static void words_open(void)
{
	root = space_open("space");
	blob = make_blob(PAGES);
	map_window(SPACE_BASE, blob, PAGES, RW, INHERIT_COPY, false);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(user_store(root, page_at(i), 100 + i), 0);
	blob_unref(blob);
}

static void words_close(void)
{
	CHECK(check_map(root));
	space_close(root);
}

/* ---- How much is mapped ---------------------------------------------------------------------------------- */

#define CHECK_MAPPED(...) check_mapped((struct map_usage){__VA_ARGS__}, __LINE__)
static void check_mapped(struct map_usage expected, int line)
{
	struct map_usage usage;

	map_usage(root, &usage);
	if (!CHECK(memcmp(&usage, &expected, sizeof(usage)) == 0))
		test_print("# line %d: %llu pages: %llu data, %llu stack, %llu exec, %llu shared, %llu "
			   "wired; %llu entries",
			   line, (unsigned long long)usage.pages, (unsigned long long)usage.data,
			   (unsigned long long)usage.stack, (unsigned long long)usage.exec,
			   (unsigned long long)usage.shared, (unsigned long long)usage.wired,
			   (unsigned long long)usage.entries);
}

static void usage(void)
{
	struct resize_request want = {
		.start = page_at(8), .old_bytes = 8 * PAGE_SIZE, .new_bytes = 2 * PAGE_SIZE};
	struct placement place = fixed_at(THIRD);
	struct map *child;
	vaddr_t at;

	test_case("what is mapped is counted by its kind, whatever was done to it");
	root = space_open("space");
	CHECK_MAPPED(0);
	blob = make_blob(PAGES);
	map_window(SPACE_BASE, blob, PAGES, RW, INHERIT_COPY, false);
	CHECK_MAPPED(.pages = 16, .data = 16, .entries = 1);
	map_window(OTHER, blob, 10, RW, INHERIT_SHARE, false);
	CHECK_MAPPED(.pages = 26, .data = 16, .shared = 10, .entries = 2);
	map_window(THIRD, blob, 5, RX, INHERIT_COPY, false);
	CHECK_MAPPED(.pages = 31, .data = 16, .shared = 10, .exec = 5, .entries = 3);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, RX), 0);
	CHECK_MAPPED(.pages = 31, .data = 12, .shared = 10, .exec = 9, .entries = 5);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, RW), 0);
	CHECK_EQ(map_wire(root, page_at(2), 3 * PAGE_SIZE), 0);
	CHECK_EQ(map_wire_on_fault(root, OTHER + PAGE_SIZE, 4 * PAGE_SIZE), 0);
	CHECK_MAPPED(.pages = 31, .data = 16, .shared = 10, .exec = 5, .wired = 7, .entries = 7);
	CHECK_EQ(map_unwire(root, page_at(3), PAGE_SIZE), 0);
	CHECK_MAPPED(.pages = 31, .data = 16, .shared = 10, .exec = 5, .wired = 6, .entries = 9);
	CHECK_EQ(map_unmap(root, page_at(0), 5 * PAGE_SIZE), 0);
	CHECK_MAPPED(.pages = 26, .data = 11, .shared = 10, .exec = 5, .wired = 4, .entries = 5);
	CHECK_EQ(map_resize(root, root, &want, &at), 0);
	CHECK_MAPPED(.pages = 20, .data = 5, .shared = 10, .exec = 5, .wired = 4, .entries = 5);
	map_window(THIRD, blob, 5, RW | VM_EXEC, INHERIT_COPY, true);
	CHECK_MAPPED(.pages = 20, .data = 5, .shared = 10, .stack = 5, .wired = 4, .entries = 5);

	test_case("a forked child has the same but for what is wired; reserved space counts, the layout does "
		  "not");
	CHECK_EQ(map_clone(root, "child", &child), 0);
	{
		struct map_usage usage;

		map_usage(child, &usage);
		CHECK_EQ(usage.pages, 20);
		CHECK_EQ(usage.wired, 0);
		CHECK_EQ(usage.stack, 5);
		CHECK_EQ(usage.entries, 5);
	}
	CHECK(check_map(child));
	map_unref(child);
	place.address += 16 * PAGE_SIZE;
	CHECK_EQ(map_reserve(root, &place, 3 * PAGE_SIZE, "reserved", &at), 0);
	CHECK_MAPPED(.pages = 23, .data = 5, .shared = 10, .stack = 5, .wired = 4, .entries = 6);
	CHECK_EQ(map_unmap(root, SPACE_BASE, LAYOUT_PRIVATE_END - SPACE_BASE), 0);
	CHECK_MAPPED(0);
	blob_unref(blob);
	words_close();
}

static void promises(void)
{
	uint64_t before = vm_promised_pages();
	struct map *child;

	test_case("what may be written privately is promised, in all maps together, for as long as it is "
		  "mapped");
	root = space_open("space");
	blob = make_blob(PAGES);
	map_window(SPACE_BASE, blob, PAGES, RW, INHERIT_COPY, false);
	map_window(OTHER, blob, 10, RW, INHERIT_SHARE, false);
	map_window(THIRD, blob, 5, RX, INHERIT_COPY, false);
	CHECK_EQ(vm_promised_pages() - before, 16);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, RX), 0);
	CHECK_EQ(vm_promised_pages() - before, 12);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, RW), 0);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(vm_promised_pages() - before, 32);
	map_unref(child);
	CHECK_EQ(vm_promised_pages() - before, 16);
	CHECK_EQ(map_unmap(root, page_at(10), 6 * PAGE_SIZE), 0);
	CHECK_EQ(vm_promised_pages() - before, 10);
	blob_unref(blob);
	words_close();
	CHECK_EQ(vm_promised_pages(), before);
}

/* The mapping has the only reference to its blob, so that what it does not show any more is gone. */
static void cut_ends(void)
{
	struct lookup found;
	uint64_t word;

	test_case("a mapping loses its ends, with their pages, and stays one");
	root = space_open("space");
	blob = make_blob(PAGES);
	map_window(SPACE_BASE, blob, PAGES, RW, INHERIT_COPY, false);
	blob_unref(blob);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(user_store(root, page_at(i), 1 + i), 0);
	CHECK_EQ(map_unmap(root, page_at(0), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_unmap(root, page_at(13), 3 * PAGE_SIZE), 0);
	CHECK_MAPPED(.pages = 9, .data = 9, .entries = 1);
	CHECK_EQ(map_lookup(root, page_at(8), &found), 0);
	CHECK_EQ(blob_resident(found.blob, 0, PAGES), 9);
	lookup_release(&found);
	for (pgoff_t i = 0; i < PAGES; i++) {
		bool there = i >= 4 && i < 13;

		CHECK_EQ(try_load(root, page_at(i), &word), there);
		CHECK(!there || word == 1 + i);
	}

	test_case("what was only read, and what was never touched, goes in the same way");
	blob = make_blob(PAGES);
	map_window(OTHER, blob, PAGES, RW, INHERIT_COPY, false);
	CHECK_EQ(word_at(root, OTHER), 0);
	CHECK_EQ(map_unmap(root, OTHER, PAGE_SIZE), 0);
	CHECK(!try_load(root, OTHER, &word));
	CHECK_EQ(map_unmap(root, OTHER + PAGE_SIZE, (PAGES - 1) * PAGE_SIZE), 0);
	CHECK_MAPPED(.pages = 9, .data = 9, .entries = 1);
	blob_unref(blob);
	words_close();
}

/* ---- What a fork does -------------------------------------------------------------------------------------- */

static void forks(void)
{
	struct footprint before = footprint_now();
	struct lookup found;
	struct map *child;
	static const struct map_label_ops quiet = {NULL};
	struct label_owner {
		struct map_label label;
	} owner = {.label = {.ops = &quiet, .refs = 1}};

	test_case(
		"a child has nothing where that is said, zeroes where that is said, and copies of the rest");
	words_open();
	CHECK_EQ(map_set_fork(root, page_at(2), 3 * PAGE_SIZE, FORK_OMIT, 0), 0);
	CHECK_EQ(map_set_fork(root, page_at(6), 2 * PAGE_SIZE, FORK_WIPE, 0), 0);
	CHECK_EQ(map_set_fork(root, page_at(10), 2 * PAGE_SIZE, FORK_WIPE, 0), 0);
	CHECK_EQ(map_set_fork(root, page_at(11), PAGE_SIZE, FORK_OMIT, 0), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, page_at(PAGES)), 8);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	space_use(child);
	for (pgoff_t i = 0; i < PAGES; i++) {
		bool omitted = (i >= 2 && i < 5) || i == 11;
		bool wiped = i == 6 || i == 7 || i == 10;
		uint64_t word;

		CHECK_EQ(user_load(child, page_at(i), &word), omitted ? -EFAULT : 0);
		if (!omitted)
			CHECK_EQ(word, wiped ? 0 : 100 + i);
	}
	CHECK(check_map(child));

	test_case("what is wiped in the child is wiped in its children, too; pieces of one blob are one "
		  "blob's there");
	CHECK_EQ(map_lookup(child, page_at(6), &found), 0);
	CHECK_EQ(found.fork, FORK_WIPE);
	CHECK_EQ(found.blob->refs, 3);
	CHECK_EQ(blob_size(found.blob), PAGES * PAGE_SIZE);
	lookup_release(&found);
	space_use(root);
	map_unref(child);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(word_at(root, page_at(i)), 100 + i);

	test_case("it can be taken back, and then all is one mapping again");
	CHECK_EQ(map_set_fork(root, SPACE_BASE, PAGES * PAGE_SIZE, 0, FORK_OMIT), 0);
	CHECK_EQ(map_lookup(root, page_at(11), &found), 0);
	CHECK_EQ(found.fork, FORK_WIPE);
	lookup_release(&found);
	CHECK_EQ(map_set_fork(root, SPACE_BASE, PAGES * PAGE_SIZE, 0, FORK_WIPE), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, page_at(PAGES)), 1);

	test_case("only private anonymous memory can be wiped; holes and unknown flags are errors");
	CHECK_EQ(map_set_fork(root, SPACE_BASE, PAGES * PAGE_SIZE, DUMP_OMIT << 1, 0), -EINVAL);
	CHECK_EQ(map_set_fork(root, SPACE_BASE, PAGES * PAGE_SIZE, 0, DUMP_OMIT << 1), -EINVAL);
	CHECK_EQ(map_set_fork(root, SPACE_BASE, (PAGES + 1) * PAGE_SIZE, FORK_OMIT, 0), -ENOMEM);
	CHECK_EQ(map_set_fork(root, SPACE_BASE + 1, PAGE_SIZE, FORK_OMIT, 0), -EINVAL);
	blob = make_blob(PAGES);
	map_window(OTHER, blob, PAGES, RW, INHERIT_SHARE, false);
	CHECK_EQ(map_set_fork(root, OTHER, PAGE_SIZE, FORK_WIPE, 0), -EINVAL);
	map_window(OTHER, blob, PAGES, RW, INHERIT_COPY, false);
	CHECK_EQ(map_set_fork(root, OTHER, PAGE_SIZE, FORK_WIPE, 0), 0);
	CHECK_EQ(blob_set_extent(blob, PAGES), 0);
	CHECK_EQ(map_set_fork(root, OTHER, PAGE_SIZE, FORK_WIPE, 0), -EINVAL);
	blob_unref(blob);
	blob = make_blob(PAGES);
	{
		const struct mapping how = {.prot = RW, .name = "labelled", .label = &owner.label};
		struct placement place = replace_at(OTHER);
		vaddr_t at;

		CHECK_EQ(map_blob(root, &place, blob, 0, PAGES, &how, &at), 0);
		CHECK_EQ(map_set_fork(root, OTHER, PAGE_SIZE, FORK_WIPE, 0), -EINVAL);
		CHECK_EQ(map_set_fork(root, OTHER, PAGE_SIZE, FORK_OMIT, FORK_WIPE), 0);
	}
	blob_unref(blob);
	words_close();
	CHECK_EQ(owner.label.refs, 1);
	check_footprint(&before);
}

/* ---- Wiring on fault ------------------------------------------------------------------------------------------ */

static void wired_on_fault(void)
{
	struct footprint before = footprint_now();
	struct entry_info entry;
	struct map *child;

	test_case("wired on fault, a page is wired as soon as it is there");
	words_open();
	CHECK_EQ(map_decommit(root, page_at(8), 8 * PAGE_SIZE), 0);
	CHECK_EQ(map_wire_on_fault(root, SPACE_BASE, PAGES * PAGE_SIZE), 0);
	CHECK_USAGE(blob, .resident = 8, .dirty = 8, .wired = 8);
	CHECK_EQ(word_at(root, page_at(9)), 0);
	CHECK_EQ(user_store(root, page_at(9), 9), 0);
	CHECK_EQ(user_store(root, page_at(10), 10), 0);
	CHECK_USAGE(blob, .resident = 10, .dirty = 10, .wired = 10);
	CHECK_EQ(map_decommit(root, page_at(12), PAGE_SIZE), -EBUSY);
	CHECK_EQ(list_entries(root, SPACE_BASE, page_at(PAGES), &entry, 1), 1);
	CHECK(entry.wired && entry.on_fault);
	CHECK(check_map(root));

	test_case("so it is with copies, on the side that is wired; and with what both see");
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(user_store(root, page_at(2), 2), 0);
	CHECK_EQ(user_store(root, page_at(13), 13), 0);
	CHECK_USAGE(blob, .resident = 11, .dirty = 11, .wired = 11, .shared = 9, .shared_dirty = 9);
	space_use(child);
	CHECK_EQ(user_store(child, page_at(3), 3), 0);
	CHECK_EQ(word_at(child, page_at(13)), 0);
	CHECK(check_map(child) && check_map(root));
	space_use(root);
	map_unref(child);

	test_case("map_wire makes the rest resident, and after it map_wire_on_fault leaves it so");
	CHECK_EQ(map_wire(root, page_at(4), 8 * PAGE_SIZE), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, page_at(PAGES)), 3);
	CHECK_USAGE(blob, .resident = 13, .dirty = 13, .wired = 13);
	CHECK_EQ(map_wire_on_fault(root, SPACE_BASE, PAGES * PAGE_SIZE), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, page_at(PAGES)), 1);
	CHECK_USAGE(blob, .resident = 13, .dirty = 13, .wired = 13);
	CHECK(check_map(root));

	test_case("unwiring ends it: for each part, and with the mapping");
	CHECK_EQ(map_unwire(root, page_at(8), 8 * PAGE_SIZE), 0);
	CHECK_USAGE(blob, .resident = 13, .dirty = 13, .wired = 8);
	CHECK_EQ(user_store(root, page_at(15), 1), 0);
	CHECK_USAGE(blob, .resident = 14, .dirty = 14, .wired = 8);
	CHECK_EQ(map_wire_on_fault(root, SPACE_BASE, (PAGES + 1) * PAGE_SIZE), -ENOMEM);
	CHECK_USAGE(blob, .resident = 14, .dirty = 14, .wired = 8);
	blob_ref(blob);
	CHECK_EQ(map_unmap(root, SPACE_BASE, PAGES * PAGE_SIZE), 0);
	CHECK_USAGE(blob, .resident = 14, .dirty = 14);
	blob_unref(blob);
	words_close();
	check_footprint(&before);
}

/* More pages than are unwired in one section of the family's lock. */
#define MANY_PAGES 150

static void wired_many(void)
{
	struct wiring *wiring;

	test_case("a window that is unwired bit by bit is unwired as a whole");
	blob = make_blob(MANY_PAGES);
	CHECK_EQ(blob_wire(blob, 0, MANY_PAGES, &wiring), 0);
	CHECK_USAGE(blob, .resident = MANY_PAGES, .dirty = MANY_PAGES, .wired = MANY_PAGES);
	blob_unwire(wiring);
	CHECK_USAGE(blob, .resident = MANY_PAGES, .dirty = MANY_PAGES);
	blob_unref(blob);
}

static void wired_large(void)
{
	struct placement place = fixed_at(page_at(0));
	struct map *arena;
	vaddr_t at;

	test_case("what is wired on fault may be larger than memory, and then costs nothing");
	root = space_open("space");
	CHECK_EQ(blob_create(BLOB_MAX_BYTES, 0, &blob), 0);
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_BYTES, &arena), 0);
	place.address = map_start(arena);
	{
		const struct mapping how = {.prot = RW, .name = "large"};

		CHECK_EQ(map_blob(root, &place, blob, 0, LAYOUT_ARENA_BYTES >> PAGE_SHIFT, &how, &at), 0);
	}
	CHECK_EQ(map_wire(root, at, LAYOUT_ARENA_BYTES), -ENOMEM);
	CHECK_EQ(map_wire_on_fault(root, at, LAYOUT_ARENA_BYTES), 0);
	CHECK_EQ(user_store(root, at + LAYOUT_ARENA_BYTES / 2, 1), 0);
	CHECK_USAGE(blob, .resident = 1, .dirty = 1, .wired = 1);
	/* A hole behind it: the second part's wiring is given up again. */
	CHECK_EQ(map_unmap(root, at + LAYOUT_ARENA_BYTES - PAGE_SIZE, PAGE_SIZE), 0);
	CHECK_EQ(map_wire_on_fault(root, at, LAYOUT_ARENA_BYTES), -ENOMEM);
	CHECK_USAGE(blob, .resident = 1, .dirty = 1, .wired = 1);
	blob_unref(blob);
	words_close();
}

static void arenas(void)
{
	const struct mapping how = {.prot = RW, .name = "word"};
	struct map *arena, *other, *child, *last = NULL;
	struct placement place;
	vaddr_t start, at;
	uint64_t bytes;

	test_case("an arena can be taken away when nothing is mapped in it");
	root = space_open("space");
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_ALIGN, &arena), 0);
	start = map_start(arena);
	place = fixed_at(start);
	CHECK_EQ(blob_create(PAGE_SIZE, 0, &blob), 0);
	CHECK_EQ(map_blob(root, &place, blob, 0, 1, &how, &at), 0);
	CHECK_EQ(map_remove_arena(root, arena), -EBUSY);
	CHECK_EQ(user_store(root, start, 1), 0);
	CHECK_EQ(map_unmap(root, start, PAGE_SIZE), 0);
	CHECK_EQ(map_remove_arena(root, arena), 0);
	CHECK(check_map(root));
	CHECK(!map_arena_at(root, start));
	CHECK_EQ(user_store(root, start, 1), -EFAULT);

	test_case("its addresses are free for others when the last of its clones has gone");
	CHECK_EQ(map_create_arena_at(root, start, LAYOUT_ARENA_ALIGN, &arena), 0);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(map_remove_arena(root, arena), 0);
	CHECK_EQ(map_create_arena_at(root, start, LAYOUT_ARENA_ALIGN, &other), -EEXIST);
	CHECK_EQ(map_blob(child, &place, blob, 0, 1, &how, &at), 0);
	CHECK_EQ(map_write(child, start, &start, sizeof(start)), sizeof(start));
	map_unref(child);
	CHECK_EQ(map_create_arena_at(root, start, LAYOUT_ARENA_ALIGN, &other), 0);

	test_case("arenas that are added leave addresses for first ones, and count no more when they have "
		  "gone");
	for (bytes = LAYOUT_ADDED_ARENAS; bytes >= LAYOUT_ARENA_ALIGN;
	     bytes = bytes / 2 & -LAYOUT_ARENA_ALIGN) {
		while (map_add_arena(root, bytes, &other) == 0)
			last = other;
	}
	start = map_end(last);
	CHECK_EQ(map_add_arena(root, LAYOUT_ARENA_ALIGN, &other), -ENOMEM);
	CHECK_EQ(map_create_arena_at(root, start, LAYOUT_ARENA_ALIGN, &other), -ENOMEM);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(map_create_arena(child, LAYOUT_ARENA_BYTES, &arena), 0);
	CHECK_EQ(map_remove_arena(root, last), 0);
	CHECK_EQ(map_add_arena(root, LAYOUT_ARENA_ALIGN, &other), -ENOMEM);
	map_unref(child);
	CHECK_EQ(map_add_arena(root, LAYOUT_ARENA_ALIGN, &other), 0);
	CHECK(check_map(root));
	blob_unref(blob);
	words_close();
}

/* ---- Access for others --------------------------------------------------------------------------------------- */

static void foreign_access(void)
{
	static uint64_t buffer[3 * PAGE_SIZE / sizeof(uint64_t)];
	static struct test_pager pager;
	struct footprint before = footprint_now();
	struct map *child;
	struct blob *device;

	test_case("the kernel reads and writes what is mapped, over pages and mappings");
	words_open();
	CHECK_EQ(map_protect(root, page_at(2), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_read(root, page_at(1), buffer, sizeof(buffer)), sizeof(buffer));
	CHECK_EQ(buffer[0], 101);
	CHECK_EQ(buffer[2 * PAGE_SIZE / sizeof(*buffer)], 103);
	buffer[0] = 201;
	CHECK_EQ(map_write(root, page_at(5) - 4, buffer, 8), 8);
	CHECK_EQ(map_read(root, page_at(5) - 4, &buffer[1], 8), 8);
	CHECK_EQ(buffer[1], 201);
	CHECK_EQ(map_read(root, SPACE_BASE - PAGE_SIZE, buffer, 0), 0);

	test_case("what a forked child shows is written to a copy");
	CHECK_EQ(map_clone(root, "child", &child), 0);
	buffer[0] = 1;
	CHECK_EQ(map_write(child, page_at(7), buffer, 8), 8);
	CHECK_EQ(word_at(root, page_at(7)), 107);
	CHECK_EQ(map_read(child, page_at(7), &buffer[1], 8), 8);
	CHECK_EQ(buffer[1], 1);
	space_use(child);
	CHECK_EQ(word_at(child, page_at(7)), 1);
	space_use(root);
	map_unref(child);

	test_case("as far as is mapped and allowed: then how much, or -EFAULT for nothing");
	CHECK_EQ(map_read(root, page_at(PAGES - 1) + 8, buffer, 2 * PAGE_SIZE), PAGE_SIZE - 8);
	CHECK_EQ(map_read(root, page_at(PAGES), buffer, 8), -EFAULT);
	CHECK_EQ(map_write(root, page_at(1), buffer, 2 * PAGE_SIZE), PAGE_SIZE);
	CHECK_EQ(map_write(root, page_at(2), buffer, PAGE_SIZE), -EFAULT);
	CHECK_EQ(map_protect(root, page_at(2), PAGE_SIZE, 0), 0);
	CHECK_EQ(map_read(root, page_at(2), buffer, 8), -EFAULT);
	CHECK_EQ(map_read(root, LAYOUT_KERNEL_START, buffer, 8), -EFAULT);
	CHECK_EQ(blob_create_device(DEVICE, PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	map_all_at(root, OTHER, device);
	CHECK_EQ(map_read(root, OTHER, buffer, 8), -EFAULT);
	blob_unref(device);
	CHECK_EQ(blob_set_extent(blob, 12), 0);
	CHECK_EQ(map_read(root, page_at(11), buffer, 2 * PAGE_SIZE), PAGE_SIZE);
	CHECK_EQ(map_write(root, page_at(12), buffer, 8), -EFAULT);
	words_close();
	check_footprint(&before);

	test_case("what the pager cannot give is an error");
	root = space_open("space");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(pages_to_bytes(PAGES), &pager.pager, &blob), 0);
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(map_read(root, page_at(3), buffer, 8), 8);
	CHECK_EQ(buffer[0], PAGER_WORD + 3);
	pager.error = -EIO;
	CHECK_EQ(map_read(root, page_at(3), buffer, 2 * PAGE_SIZE), PAGE_SIZE);
	CHECK_EQ(map_read(root, page_at(4), buffer, 8), -EIO);
	blob_unref(blob);
	words_close();
	test_pager_finish(&pager);
}

/* ---- Who may write -------------------------------------------------------------------------------------------- */

static void mapped(void)
{
	const struct mapping only_read = {
		.prot = VM_READ, .max_prot = RX, .inherit = INHERIT_SHARE, .name = "seal"};
	struct placement place = fixed_at(SPACE_BASE);
	struct wiring *wiring;
	vaddr_t at;

	test_case("a blob says whether anybody has it mapped so that it may be written");
	root = space_open("space");
	blob = make_blob(PAGES);
	CHECK(!blob_mapped(blob, 0));
	CHECK_EQ(blob_wire(blob, 0, 1, &wiring), 0);
	CHECK(!blob_mapped(blob, 0));
	blob_unwire(wiring);
	CHECK_EQ(map_blob(root, &place, blob, 4, 4, &only_read, &at), 0);
	CHECK(blob_mapped(blob, VM_READ));
	CHECK(blob_mapped(blob, RX));
	CHECK(!blob_mapped(blob, VM_WRITE));
	place = fixed_at(OTHER);
	CHECK_EQ(map_blob_private(root, &place, blob, 0, PAGES, &(struct mapping){.prot = RW, .name = "copy"},
				  &at),
		 0);
	CHECK(!blob_mapped(blob, VM_WRITE));
	map_window(THIRD, blob, PAGES, VM_READ, INHERIT_SHARE, false);
	CHECK(blob_mapped(blob, VM_WRITE));
	CHECK_EQ(map_unmap(root, THIRD, PAGES * PAGE_SIZE), 0);
	CHECK(!blob_mapped(blob, VM_WRITE));
	blob_unref(blob);
	words_close();
}

/* ---- Moving without unmapping ----------------------------------------------------------------------------------- */

static int move_away(pgoff_t page, pgoff_t pages, vaddr_t to, vaddr_t *at)
{
	struct resize_request want = {.start = page_at(page),
				      .old_bytes = pages_to_bytes(pages),
				      .new_bytes = pages_to_bytes(pages),
				      .may_move = true,
				      .leave_zeroes = true};

	if (to)
		want.place = replace_at(to);
	return map_resize(root, map_private_space(root), &want, at);
}

static void leave_zeroes(void)
{
	struct resize_request bad = {
		.start = SPACE_BASE, .old_bytes = PAGE_SIZE, .new_bytes = PAGE_SIZE, .leave_zeroes = true};
	struct footprint before = footprint_now();
	struct entry_info entries[4];
	vaddr_t at;

	test_case("pages move, and zeroes are left where they were");
	words_open();
	CHECK_EQ(map_wire(root, page_at(4), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_set_fork(root, page_at(4), 4 * PAGE_SIZE, FORK_OMIT, 0), 0);
	CHECK_EQ(move_away(4, 4, OTHER, &at), 0);
	CHECK_EQ(at, OTHER);
	for (pgoff_t i = 0; i < PAGES; i++) {
		bool moved = i >= 4 && i < 8;

		CHECK_EQ(word_at(root, page_at(i)), moved ? 0 : 100 + i);
		if (moved)
			CHECK_EQ(word_at(root, OTHER + pages_to_bytes(i - 4)), 100 + i);
	}
	CHECK_EQ(list_entries(root, SPACE_BASE, page_at(PAGES), entries, 4), 3);
	CHECK(!entries[1].wired);
	CHECK_EQ(entries[1].fork, FORK_OMIT);
	CHECK_EQ(list_entries(root, OTHER, OTHER + 4 * PAGE_SIZE, entries, 4), 1);
	CHECK(entries[0].wired);
	CHECK_EQ(entries[0].fork, FORK_OMIT);
	CHECK_EQ(entries[0].usage.wired, 4);
	CHECK(check_map(root));

	test_case("to a place that is chosen, over a part of the same mapping, again and again");
	CHECK_EQ(move_away(8, 2, 0, &at), 0);
	CHECK(at < SPACE_BASE || at >= page_at(PAGES));
	CHECK_EQ(word_at(root, at + PAGE_SIZE), 109);
	CHECK_EQ(word_at(root, page_at(9)), 0);
	CHECK_EQ(move_away(12, 2, page_at(10), &at), 0);
	CHECK_EQ(word_at(root, page_at(11)), 113);
	CHECK_EQ(word_at(root, page_at(13)), 0);
	CHECK_EQ(word_at(root, page_at(14)), 114);
	CHECK_EQ(user_store(root, page_at(13), 1), 0);
	CHECK_EQ(word_at(root, page_at(11)), 113);
	CHECK(check_map(root));

	test_case("for private anonymous memory only, that may move, and stays as long as it is");
	CHECK_EQ(map_resize(root, root, &bad, &at), -EINVAL);
	bad.may_move = true;
	bad.new_bytes = 2 * PAGE_SIZE;
	CHECK_EQ(map_resize(root, root, &bad, &at), -EINVAL);
	CHECK_EQ(move_away(0, 2, page_at(1), &at), -EINVAL);
	CHECK_EQ(move_away(15, 2, OTHER, &at), -EFAULT);
	blob = make_blob(PAGES);
	map_window(SPACE_BASE, blob, PAGES, RW, INHERIT_SHARE, false);
	CHECK_EQ(move_away(0, 2, THIRD, &at), -EINVAL);
	blob_unref(blob);
	words_close();
	check_footprint(&before);
}

/* ---- What is said of it -------------------------------------------------------------------------------------------- */

static void listing(void)
{
	static struct test_pager pager;
	struct entry_info entries[3];
	struct lookup found;
	struct map *child;

	test_case("a listing says what is shared, dirty, lent, and where it is from");
	words_open();
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(user_store(root, page_at(3), 3), 0);
	CHECK_EQ(list_entries(root, SPACE_BASE, page_at(PAGES), entries, 3), 1);
	CHECK_EQ(entries[0].usage.resident, PAGES);
	CHECK_EQ(entries[0].usage.shared, PAGES - 1);
	CHECK_EQ(entries[0].usage.shared_dirty, PAGES - 1);
	CHECK_EQ(entries[0].mappings, 1);
	CHECK(entries[0].anonymous && !entries[0].label && !entries[0].grows_down);
	map_unref(child);
	CHECK_EQ(list_entries(root, SPACE_BASE, page_at(PAGES), entries, 3), 1);
	CHECK_EQ(entries[0].usage.shared, 0);
	map_window(OTHER, blob, 4, RW, INHERIT_SHARE, false);
	CHECK_EQ(list_entries(root, OTHER, OTHER + 4 * PAGE_SIZE, entries, 3), 1);
	CHECK_EQ(entries[0].mappings, 2);
	CHECK(!entries[0].anonymous);

	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(pages_to_bytes(2 * PAGES), &pager.pager, &blob), 0);
	{
		const struct mapping how = {.prot = RW, .name = "file"};
		struct placement place = fixed_at(THIRD);
		vaddr_t at;

		CHECK_EQ(map_blob_private(root, &place, blob, 6, 8, &how, &at), 0);
	}
	CHECK_EQ(word_at(root, THIRD + PAGE_SIZE), PAGER_WORD + 7);
	CHECK_EQ(user_store(root, THIRD, 1), 0);
	CHECK_EQ(list_entries(root, THIRD, THIRD + 8 * PAGE_SIZE, entries, 3), 1);
	CHECK_EQ(entries[0].origin, 6);
	CHECK_EQ(entries[0].offset, 0);
	CHECK_EQ(entries[0].usage.resident, 2);
	CHECK_EQ(entries[0].usage.lent, 1);
	CHECK_EQ(entries[0].usage.shared, 1);
	CHECK_EQ(entries[0].usage.dirty, 1);
	CHECK(!entries[0].anonymous);
	CHECK_EQ(map_lookup(root, THIRD + 3 * PAGE_SIZE, &found), 0);
	CHECK_EQ(found.origin, 9);
	CHECK_EQ(found.offset, 3);
	CHECK_EQ(found.start, THIRD);
	CHECK_EQ(found.end, THIRD + 8 * PAGE_SIZE);
	lookup_release(&found);
	blob_unref(blob);
	words_close();
	test_pager_finish(&pager);
}

void suite_space(void)
{
	usage();
	promises();
	cut_ends();
	forks();
	wired_on_fault();
	wired_many();
	wired_large();
	arenas();
	foreign_access();
	mapped();
	leave_zeroes();
	listing();
}
