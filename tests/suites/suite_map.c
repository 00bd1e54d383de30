/*
 * Maps: placement, unmapping, protection, contents, submaps, arenas, the layout of every root.
 *
 * Changing sizes is in suite_resize.c, random streams of calls in suite_map_model.c.
 */
#include "vm_suite.h"

#define BASE      SPACE_BASE
#define MAX_LISTS 16

static struct map *root;
static struct entry_info list[MAX_LISTS];

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

/* Reserves pages somewhere in `map`; the error, with the address in `at`. */
static vaddr_t at;
static int reserve(struct map *map, struct placement place, pgoff_t pages)
{
	return map_reserve(map, &place, pages_to_bytes(pages), "test", &at);
}

static void clear_window(void)
{
	CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(1024)), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(1024)), 0);
	CHECK(check_map(root));
}

/* ---- Placement ------------------------------------------------------------------------------- */

/* A submap of 64 pages at BASE, for searches: pages 4-7, 16-19 and 40-43 are taken. */
static struct map *make_search_map(void)
{
	struct placement place = fixed_at(BASE);
	struct map *map = NULL;

	CHECK_EQ(map_create_submap(root, &place, pages_to_bytes(64), VM_ALL, "search", &map), 0);
	CHECK_EQ(reserve(map, fixed_at(page_at(4)), 4), 0);
	CHECK_EQ(reserve(map, fixed_at(page_at(16)), 4), 0);
	CHECK_EQ(reserve(map, fixed_at(page_at(40)), 4), 0);
	return map;
}

/* A search finds page `wanted`; what it placed is taken out again. */
static void expect_at(struct map *map, struct placement place, pgoff_t pages, unsigned wanted)
{
	at = 0;
	if (!CHECK_EQ(reserve(map, place, pages), 0))
		return;
	CHECK_EQ(at, page_at(wanted));
	CHECK_EQ(map_unmap(map, at, pages_to_bytes(pages)), 0);
}

/* A search finds some place that is aligned and within limits: with an alignment it need not be the lowest. */
static void expect_aligned(struct map *map, struct placement place, pgoff_t pages)
{
	at = 1;
	if (!CHECK_EQ(reserve(map, place, pages), 0))
		return;
	CHECK_EQ(at & (place.align - 1), 0);
	CHECK(at >= place.low && at >= BASE);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(map, at, pages_to_bytes(pages)), 0);
}

static void search(void)
{
	const struct placement anywhere = {0};
	struct map *map = make_search_map();

	test_case("placement: the lowest place that does");
	expect_at(map, anywhere, 1, 0);
	expect_at(map, anywhere, 4, 0);
	expect_at(map, anywhere, 5, 8);
	expect_at(map, anywhere, 8, 8);
	expect_at(map, anywhere, 9, 20);
	expect_at(map, anywhere, 20, 20);
	CHECK_EQ(reserve(map, anywhere, 21), -ENOMEM);
	CHECK_EQ(reserve(map, anywhere, 1ul << 40), -ENOMEM);

	test_case("placement: limits");
	expect_at(map, (struct placement){.low = page_at(2)}, 2, 2);
	expect_at(map, (struct placement){.low = page_at(3)}, 2, 8);
	expect_at(map, (struct placement){.low = page_at(17)}, 1, 20);
	expect_at(map, (struct placement){.low = page_at(44)}, 20, 44);
	expect_at(map, (struct placement){.low = page_at(10), .high = page_at(16)}, 6, 10);
	CHECK_EQ(reserve(map, (struct placement){.low = page_at(10), .high = page_at(16)}, 7), -ENOMEM);
	CHECK_EQ(reserve(map, (struct placement){.high = page_at(16)}, 9), -ENOMEM);
	CHECK_EQ(reserve(map, (struct placement){.low = page_at(45)}, 20), -ENOMEM);
	expect_at(map, (struct placement){.low = 0, .high = ~0ul}, 9, 20);
	CHECK_EQ(reserve(map, (struct placement){.low = page_at(64)}, 1), -ENOMEM);
	CHECK_EQ(reserve(map, (struct placement){.low = page_at(20), .high = page_at(20)}, 1), -ENOMEM);

	test_case("placement: alignment");
	for (uint64_t align = 1; align <= 32; align *= 2) {
		for (pgoff_t pages = 1; pages <= 8; pages++)
			expect_aligned(map, (struct placement){.align = align * PAGE_SIZE}, pages);
	}
	expect_at(map, (struct placement){.align = 32 * PAGE_SIZE}, 8, 32);
	expect_at(map, (struct placement){.align = 16 * PAGE_SIZE, .low = page_at(1)}, 16, 48);
	CHECK_EQ(reserve(map, (struct placement){.align = 32 * PAGE_SIZE}, 9), -ENOMEM);
	CHECK_EQ(reserve(map, (struct placement){.align = 1ul << 62, .low = page_at(1)}, 1), -ENOMEM);

	test_case("placement: hints");
	expect_at(map, (struct placement){.address = page_at(30)}, 4, 30);
	expect_at(map, (struct placement){.address = page_at(30)}, 11, 20);
	expect_at(map, (struct placement){.address = page_at(5)}, 1, 0);
	expect_at(map, (struct placement){.address = page_at(60)}, 5, 8);
	expect_at(map, (struct placement){.address = page_at(100)}, 1, 0);
	expect_at(map, (struct placement){.address = 0x1000}, 1, 0);
	expect_at(map, (struct placement){.address = page_at(30) + 1}, 1, 0);
	expect_at(map, (struct placement){.address = page_at(30), .low = page_at(31)}, 1, 31);
	expect_at(map, (struct placement){.address = page_at(32), .align = 8 * PAGE_SIZE}, 1, 32);
	expect_aligned(map, (struct placement){.address = page_at(33), .align = 8 * PAGE_SIZE}, 1);
	CHECK(check_map(root));
	clear_window();
}

static void fixed(void)
{
	struct map *map = make_search_map();
	struct footprint before = footprint_now();

	test_case("placement: fixed");
	CHECK_EQ(reserve(map, fixed_at(page_at(4)), 1), -EEXIST);
	CHECK_EQ(reserve(map, fixed_at(page_at(3)), 2), -EEXIST);
	CHECK_EQ(reserve(map, fixed_at(page_at(7)), 2), -EEXIST);
	CHECK_EQ(reserve(map, fixed_at(page_at(3)), 6), -EEXIST);
	CHECK_EQ(reserve(map, fixed_at(page_at(60)), 5), -ENOMEM);
	CHECK_EQ(reserve(map, fixed_at(page_at(64)), 1), -ENOMEM);
	CHECK_EQ(reserve(map, fixed_at(BASE - PAGE_SIZE), 1), -ENOMEM);
	CHECK_EQ(reserve(map, fixed_at(BASE + 1), 1), -EINVAL);
	CHECK_EQ(reserve(map, fixed_at(BASE), 0), -EINVAL);
	CHECK_EQ(map_reserve(map, &(struct placement){0}, 100, "test", &at), -EINVAL);
	CHECK_EQ(reserve(map, (struct placement){.align = 3 * PAGE_SIZE}, 1), -EINVAL);
	CHECK_EQ(reserve(map, (struct placement){.align = 16}, 1), -EINVAL);
	CHECK_EQ(reserve(map, fixed_at(~PAGE_MASK), 2), -ENOMEM);
	CHECK_EQ(count_entries(map, BASE, page_at(64)), 3);
	check_footprint(&before);

	test_case("placement: replacing what is there");
	CHECK_EQ(reserve(map, replace_at(page_at(6)), 12), 0);
	CHECK_EQ(list_entries(map, BASE, page_at(64), list, MAX_LISTS), 4);
	CHECK_EQ(list[0].end, page_at(6));
	CHECK_EQ(list[1].start, page_at(6));
	CHECK_EQ(list[1].end, page_at(18));
	CHECK_EQ(list[2].start, page_at(18));
	CHECK_EQ(list[2].end, page_at(20));
	CHECK_EQ(reserve(map, replace_at(page_at(8)), 2), 0);
	CHECK_EQ(list_entries(map, BASE, page_at(64), list, MAX_LISTS), 6);
	CHECK_EQ(reserve(map, replace_at(page_at(30)), 1), 0);
	CHECK_EQ(count_entries(map, BASE, page_at(64)), 7);
	CHECK(check_map(root));
	clear_window();
}

/* ---- Unmapping ------------------------------------------------------------------------------- */

static void unmapping(void)
{
	struct blob *blob = make_blob(16);
	struct placement place = fixed_at(page_at(32));
	struct map *map = NULL;
	struct footprint before;

	test_case("unmap: the middle of a mapping leaves two pieces");
	before = footprint_now();
	map_all_at(root, BASE, blob);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(user_store(root, page_at(i), 100 + i), 0);
	CHECK_EQ(map_unmap(root, page_at(5), 3 * PAGE_SIZE), 0);
	CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), 2);
	CHECK_EQ(list[0].start, BASE);
	CHECK_EQ(list[0].end, page_at(5));
	CHECK_EQ(list[1].start, page_at(8));
	CHECK_EQ(list[1].end, page_at(16));
	CHECK_EQ(list[1].offset, 8);
	CHECK_EQ(user_store(root, page_at(4), 1), 0);
	CHECK_EQ(user_store(root, page_at(5), 1), -EFAULT);
	CHECK_EQ(user_store(root, page_at(7), 1), -EFAULT);
	CHECK_EQ(word_at(root, page_at(8)), 108);
	CHECK(check_map(root));
	/* We hold the blob too: what is unmapped is still there. */
	CHECK_EQ(get_word(blob, 6), 106);

	test_case("unmap: across entries, holes and submaps");
	CHECK_EQ(map_create_submap(root, &place, 8 * PAGE_SIZE, VM_ALL, "sub", &map), 0);
	CHECK_EQ(reserve(map, fixed_at(page_at(33)), 4), 0);
	CHECK_EQ(reserve(root, fixed_at(page_at(40)), 4), 0);
	CHECK_EQ(map_unmap(root, page_at(4), pages_to_bytes(31)), 0);
	CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), 4);
	CHECK_EQ(list[0].end, page_at(4));
	CHECK(list[1].kind == ENTRY_SUBMAP);
	CHECK_EQ(list[1].start, page_at(35));
	CHECK_EQ(map_start(map), page_at(35));
	CHECK_EQ(map_end(map), page_at(40));
	CHECK_EQ(list[2].start, page_at(35));
	CHECK_EQ(list[2].end, page_at(37));
	CHECK_EQ(list[2].depth, list[1].depth + 1);
	CHECK_EQ(list[3].start, page_at(40));
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, page_at(38), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_end(map), page_at(38));
	CHECK_EQ(map_unmap(root, page_at(36), PAGE_SIZE), 0);
	CHECK_EQ(map_start(map), page_at(35));
	CHECK_EQ(map_end(map), page_at(38));
	CHECK_EQ(count_entries(root, page_at(35), page_at(38)), 2);
	CHECK(check_map(root));

	test_case("unmap: a whole submap goes with all that is in it");
	CHECK_EQ(map_unmap(root, page_at(35), 3 * PAGE_SIZE), 0);
	CHECK_EQ(count_entries(root, page_at(30), page_at(40)), 0);
	CHECK_EQ(map_unmap(root, page_at(35), 3 * PAGE_SIZE), 0);
	clear_window();
	CHECK_EQ(blob_decommit(blob, 0, 16), 0);
	check_footprint(&before);

	test_case("unmap: bad ranges");
	map_all_at(root, BASE, blob);
	CHECK_EQ(map_unmap(root, BASE + 1, PAGE_SIZE), -EINVAL);
	CHECK_EQ(map_unmap(root, BASE, PAGE_SIZE + 1), -EINVAL);
	CHECK_EQ(map_unmap(root, BASE, 0), -EINVAL);
	CHECK_EQ(map_unmap(root, BASE, ~PAGE_MASK), -EINVAL);
	CHECK_EQ(map_unmap(root, LAYOUT_PHYSICAL_END, PAGE_SIZE), -ENOMEM);
	CHECK_EQ(map_unmap(root, LAYOUT_PHYSICAL_END - PAGE_SIZE, 2 * PAGE_SIZE), -ENOMEM);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	clear_window();
	blob_unref(blob);
}

static void permanent(void)
{
	static const vaddr_t kernels[] = {
		0,
		LAYOUT_KERNEL_START,
		LAYOUT_GATE_START,
		LAYOUT_SYSTEM_START,
		LAYOUT_PAGES_START,
		LAYOUT_DYNAMIC_START,
		LAYOUT_PHYSICAL_START,
	};
	struct blob *blob = make_blob(4);
	struct mapping how = {.prot = RW, .name = "test"};
	struct placement place;

	test_case("the layout's regions cannot be unmapped, replaced, protected or placed in");
	map_all_at(root, LAYOUT_PRIVATE_END - 4 * PAGE_SIZE, blob);
	CHECK_EQ(user_store(root, LAYOUT_PRIVATE_END - PAGE_SIZE, 5), 0);
	for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		vaddr_t start = kernels[i];

		CHECK_EQ(map_unmap(root, start, PAGE_SIZE), -EPERM);
		place = replace_at(start);
		CHECK_EQ(map_blob(root, &place, blob, 0, 1, &how, &at), -EPERM);
		place = fixed_at(start);
		CHECK_EQ(map_blob(root, &place, blob, 0, 1, &how, &at), -EEXIST);
		CHECK_EQ(map_protect(root, start, PAGE_SIZE, VM_READ), -EACCES);
		CHECK_EQ(map_decommit(root, start, PAGE_SIZE), -ENOMEM);
	}
	CHECK_EQ(map_unmap(root, LAYOUT_PRIVATE_END - PAGE_SIZE, 2 * PAGE_SIZE), -EPERM);
	CHECK_EQ(map_unmap(root, 0, LAYOUT_PHYSICAL_END), -EPERM);
	place = replace_at(LAYOUT_PRIVATE_END - PAGE_SIZE);
	CHECK_EQ(map_blob(root, &place, blob, 0, 2, &how, &at), -EPERM);
	CHECK_EQ(word_at(root, LAYOUT_PRIVATE_END - PAGE_SIZE), 5);
	/* Space of the root's own level is for arenas only. */
	place = fixed_at(LAYOUT_ARENAS_START);
	CHECK_EQ(map_blob(root, &place, blob, 0, 1, &how, &at), -ENOMEM);
	CHECK_EQ(reserve(root, (struct placement){0}, 1), -ENOMEM);
	/* Private space itself stays when all that is in it goes. */
	CHECK_EQ(map_unmap(root, LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START), 0);
	CHECK_EQ(user_store(root, LAYOUT_PRIVATE_END - PAGE_SIZE, 5), -EFAULT);
	map_all_at(root, LAYOUT_PRIVATE_START, blob);
	CHECK_EQ(map_unmap(root, LAYOUT_PRIVATE_START, 4 * PAGE_SIZE), 0);
	CHECK(check_map(root));
	blob_unref(blob);
}

/* ---- Protection ------------------------------------------------------------------------------ */

static void expect_prots(const vm_prot_t *prots, unsigned count)
{
	if (!CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), count))
		return;
	for (unsigned i = 0; i < count; i++)
		CHECK_EQ(list[i].prot, prots[i]);
}

static void protection(void)
{
	struct blob *blob = make_blob(16);

	test_case("protect: entries split, and join again when they are alike");
	map_all_at(root, BASE, blob);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){RW, VM_READ, RW}, 3);
	CHECK_EQ(list[1].start, page_at(4));
	CHECK_EQ(list[1].offset, 4);
	CHECK_EQ(list[2].offset, 8);
	CHECK(check_map(root));
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, page_at(5), PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){RW, VM_READ, RW}, 3);
	CHECK_EQ(map_protect(root, page_at(2), 4 * PAGE_SIZE, RX), 0);
	expect_prots((vm_prot_t[]){RW, RX, VM_READ, RW}, 4);
	CHECK_EQ(map_protect(root, page_at(2), 4 * PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){RW, VM_READ, RW}, 3);
	CHECK_EQ(map_protect(root, page_at(8), 8 * PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){RW, VM_READ}, 2);
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, RW), 0);
	expect_prots((vm_prot_t[]){RW}, 1);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, 0), 0);
	expect_prots((vm_prot_t[]){RW, 0, RW}, 3);
	CHECK(check_map(root));

	test_case("protect: what had the rights already is joined with what gets them");
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, RW), 0);
	expect_prots((vm_prot_t[]){RW}, 1);
	CHECK_EQ(map_protect(root, page_at(8), 8 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){VM_READ}, 1);
	CHECK_EQ(map_protect(root, page_at(3), PAGE_SIZE, RW), 0);
	CHECK_EQ(map_protect(root, page_at(2), 6 * PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){VM_READ}, 1);
	CHECK(check_map(root));

	test_case("protect: holes, bad ranges and rights");
	CHECK_EQ(map_unmap(root, page_at(4), PAGE_SIZE), 0);
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect(root, page_at(3), 2 * PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect(root, page_at(4), 2 * PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect(root, page_at(15), 2 * PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect(root, page_at(4), PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect(root, BASE, PAGE_SIZE, 32), -EINVAL);
	CHECK_EQ(map_protect(root, BASE + 1, PAGE_SIZE, RW), -EINVAL);
	CHECK_EQ(map_protect(root, BASE, 0, RW), -EINVAL);
	expect_prots((vm_prot_t[]){VM_READ, VM_READ}, 2);
	clear_window();
	blob_unref(blob);
}

/* Where page i of BASE is in the blob says that what it shows moved along with the border. */
static void expect_border(unsigned page, vm_prot_t below, vm_prot_t above)
{
	expect_prots((vm_prot_t[]){below, above}, 2);
	CHECK_EQ(list[0].end, page_at(page));
	CHECK_EQ(list[1].start, page_at(page));
	CHECK_EQ(list[1].offset, page);
	CHECK(check_map(root));
}

static void borders(void)
{
	struct blob *blob = make_blob(16);
	struct placement second = fixed_at(page_at(100));
	struct mapping how = {.prot = RW, .name = "second"};
	struct map_usage usage;
	struct map *child = NULL;
	vaddr_t out;

	test_case("protect: a part at an entry's end becomes the neighbour's that has the rights");
	map_all_at(root, BASE, blob);
	CHECK_EQ(map_protect(root, page_at(8), 8 * PAGE_SIZE, VM_READ), 0);
	expect_border(8, RW, VM_READ);
	CHECK_EQ(user_store(root, page_at(6), 6), 0);
	CHECK_EQ(map_protect(root, page_at(8), 3 * PAGE_SIZE, RW), 0);
	expect_border(11, RW, VM_READ);
	CHECK_EQ(user_store(root, page_at(10), 10), 0);
	map_usage(root, &usage);
	CHECK_EQ(usage.data, 11);
	CHECK_EQ(usage.pages, 16);
	CHECK_EQ(map_protect(root, page_at(5), 6 * PAGE_SIZE, VM_READ), 0);
	expect_border(5, RW, VM_READ);
	CHECK_EQ(user_store(root, page_at(6), 6), -EACCES);
	CHECK_EQ(word_at(root, page_at(10)), 10);

	test_case("protect: however the borders of the blob's other mappings lie");
	CHECK_EQ(map_blob(root, &second, blob, 3, 4, &how, &out), 0);
	CHECK_EQ(map_protect(root, BASE, 2 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, page_at(2), 2 * PAGE_SIZE, VM_READ), 0);
	CHECK(check_map(root));
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, RW), 0);
	CHECK_EQ(map_protect(root, page_at(1), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, page_at(2), 4 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, page_at(8), PAGE_SIZE, RX), 0);
	expect_prots((vm_prot_t[]){RW, VM_READ, RW, RX, RW}, 5);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, page_at(100), 4 * PAGE_SIZE), 0);

	test_case("protect: what has the rights already, and so has the neighbour, is joined as a whole");
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, RW), 0);
	CHECK_EQ(map_wire(root, BASE, PAGE_SIZE), 0);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(count_entries(child, BASE, page_at(16)), 2);
	CHECK_EQ(map_protect(child, page_at(1), PAGE_SIZE, RW), 0);
	CHECK_EQ(count_entries(child, BASE, page_at(16)), 1);
	CHECK(check_map(child));
	map_unref(child);
	CHECK_EQ(map_unwire(root, BASE, PAGE_SIZE), 0);

	test_case("protect: not if the neighbour differs in anything else");
	CHECK_EQ(map_protect(root, BASE, 16 * PAGE_SIZE, RW), 0);
	CHECK_EQ(map_protect(root, page_at(8), 8 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_advise(root, page_at(8), 8 * PAGE_SIZE, ADVISE_RANDOM), 0);
	CHECK_EQ(map_protect(root, page_at(8), PAGE_SIZE, RW), 0);
	expect_prots((vm_prot_t[]){RW, RW, VM_READ}, 3);
	CHECK(check_map(root));
	clear_window();
	blob_unref(blob);
}

static void ceilings(void)
{
	struct blob *blob = make_blob(4);
	struct placement place = fixed_at(page_at(16));
	struct mapping how = {.prot = VM_READ, .max_prot = RX, .name = "limited"};
	struct map *map = NULL;
	struct map *inner = NULL;

	test_case("rights beyond a mapping's own ceiling, or its map's, are refused");
	map_all_at(root, BASE, blob);
	place = fixed_at(page_at(4));
	CHECK_EQ(map_blob(root, &place, blob, 0, 4, &how, &at), 0);
	CHECK_EQ(map_protect(root, page_at(4), PAGE_SIZE, RW), -EACCES);
	CHECK_EQ(map_protect(root, page_at(2), 4 * PAGE_SIZE, RW), -EACCES);
	CHECK_EQ(map_protect(root, page_at(4), PAGE_SIZE, RX), 0);
	expect_prots((vm_prot_t[]){RW, RX, VM_READ}, 3);
	/* A neighbour that shows what follows, and differs only in what it may become. */
	how = (struct mapping){.prot = RX, .name = how.name};
	place = fixed_at(page_at(7));
	CHECK_EQ(map_unmap(root, page_at(7), PAGE_SIZE), 0);
	CHECK_EQ(map_blob(root, &place, blob, 3, 1, &how, &at), 0);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, VM_READ), 0);
	expect_prots((vm_prot_t[]){RW, VM_READ, VM_READ}, 3);
	how = (struct mapping){.prot = RW, .max_prot = RX, .name = how.name};
	place = fixed_at(page_at(8));
	CHECK_EQ(map_blob(root, &place, blob, 0, 4, &how, &at), -EACCES);
	CHECK_EQ(map_blob_private(root, &place, blob, 0, 4, &how, &at), -EACCES);

	place = fixed_at(page_at(16));
	CHECK_EQ(map_create_submap(root, &place, 16 * PAGE_SIZE, VM_READ, "read only", &map), 0);
	CHECK_EQ(map_create_submap(map, &place, 8 * PAGE_SIZE, VM_ALL, "inner", &inner), 0);
	how = (struct mapping){.prot = RW, .name = "test"};
	CHECK_EQ(map_blob(inner, &place, blob, 0, 4, &how, &at), -EACCES);
	place = fixed_at(page_at(17));
	CHECK_EQ(map_blob(root, &place, blob, 0, 4, &how, &at), -EACCES);
	how.prot = VM_READ;
	CHECK_EQ(map_blob(root, &place, blob, 0, 4, &how, &at), 0);
	CHECK_EQ(map_protect(root, page_at(17), PAGE_SIZE, RW), -EACCES);
	CHECK_EQ(map_protect(root, page_at(17), PAGE_SIZE, 0), 0);
	CHECK(check_map(root));
	clear_window();
	blob_unref(blob);
}

/* ---- Contents -------------------------------------------------------------------------------- */

static void contents(void)
{
	struct blob *blob = make_blob(8);
	struct blob *device = NULL;
	struct placement place = fixed_at(page_at(8));
	struct mapping how = {.prot = VM_READ, .name = "device"};
	unsigned char vector[10];
	struct lookup found;

	test_case("residency and decommit");
	map_all_at(root, BASE, blob);
	CHECK_EQ(user_store(root, page_at(1), 11), 0);
	CHECK_EQ(user_store(root, page_at(6), 16), 0);
	CHECK_EQ(map_residency(root, BASE, 8 * PAGE_SIZE, vector), 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(vector[i], i == 1 || i == 6);
	CHECK_EQ(map_decommit(root, page_at(1), 2 * PAGE_SIZE), 0);
	CHECK(pmap_query(map_pmap(root), page_at(1)).page == NULL);
	CHECK_EQ(word_at(root, page_at(1)), 0);
	CHECK_EQ(word_at(root, page_at(6)), 16);
	CHECK_EQ(map_decommit(root, page_at(7), 2 * PAGE_SIZE), -ENOMEM);
	CHECK_EQ(map_residency(root, page_at(7), 2 * PAGE_SIZE, vector), -ENOMEM);
	CHECK_EQ(map_decommit(root, BASE, 0), -EINVAL);
	CHECK_EQ(map_residency(root, BASE + 8, PAGE_SIZE, vector), -EINVAL);

	test_case("decommit of a range that has a device in it changes nothing");
	CHECK_EQ(blob_create_device((paddr_t)0xfee00000, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	CHECK_EQ(map_blob(root, &place, device, 0, 2, &how, &at), 0);
	CHECK_EQ(map_decommit(root, page_at(6), 4 * PAGE_SIZE), -EINVAL);
	CHECK_EQ(word_at(root, page_at(6)), 16);
	CHECK_EQ(map_residency(root, page_at(7), 3 * PAGE_SIZE, vector), 0);
	CHECK_EQ(vector[1] & vector[2], 1);

	test_case("lookup");
	CHECK_EQ(map_lookup(root, page_at(6) + 5, &found), 0);
	CHECK(found.blob == blob);
	CHECK_EQ(found.offset, 6);
	CHECK_EQ(found.end, page_at(8));
	CHECK_EQ(found.how.prot, RW);
	CHECK_EQ(found.how.max_prot, VM_ALL);
	CHECK_STR(found.how.name, "test");
	blob_unref(found.blob);
	CHECK_EQ(map_lookup(root, page_at(10), &found), -EFAULT);
	CHECK_EQ(map_lookup_from(root, page_at(10), page_at(12), &found), -EFAULT);
	CHECK_EQ(map_lookup(root, 0, &found), -EFAULT);
	CHECK_EQ(map_lookup(root, LAYOUT_DYNAMIC_START, &found), -EFAULT);

	test_case("lookup of the first mapping in a range");
	CHECK_EQ(map_unmap(root, page_at(2), 2 * PAGE_SIZE), 0);
	CHECK_EQ(map_lookup_from(root, page_at(2), page_at(12), &found), 0);
	CHECK_EQ(found.start, page_at(4));
	CHECK_EQ(found.offset, 4);
	CHECK(found.blob == blob && !found.wired);
	lookup_release(&found);
	CHECK_EQ(map_wire(root, page_at(6), PAGE_SIZE), 0);
	CHECK_EQ(map_lookup_from(root, page_at(6), page_at(7), &found), 0);
	CHECK_EQ(found.offset, 6);
	CHECK(found.wired);
	lookup_release(&found);
	CHECK_EQ(map_lookup_from(root, page_at(2), page_at(4), &found), -EFAULT);
	CHECK_EQ(map_lookup_from(root, 0, LAYOUT_PHYSICAL_END, &found), 0);
	CHECK_EQ(found.start, page_at(0));
	lookup_release(&found);
	clear_window();
	blob_unref(device);
	blob_unref(blob);
}

static void shared_blob(void)
{
	struct blob *blob = make_blob(8);
	struct mapping how = {.prot = RW, .name = "again"};
	struct placement place = fixed_at(page_at(16));
	struct map *other;

	test_case("a blob that is mapped twice shows the same pages, in one map and in two");
	map_all_at(root, BASE, blob);
	CHECK_EQ(map_blob(root, &place, blob, 2, 4, &how, &at), 0);
	CHECK_EQ(user_store(root, page_at(3), 33), 0);
	CHECK_EQ(word_at(root, page_at(17)), 33);
	CHECK_EQ(user_store(root, page_at(18), 44), 0);
	CHECK_EQ(word_at(root, page_at(4)), 44);
	CHECK(pmap_query(map_pmap(root), page_at(17)).page == pmap_query(map_pmap(root), page_at(3)).page);
	other = space_open("other");
	map_all_at(other, BASE, blob);
	CHECK_EQ(word_at(other, page_at(4)), 44);
	CHECK_EQ(user_store(other, page_at(4), 45), 0);
	space_use(root);
	CHECK_EQ(word_at(root, page_at(18)), 45);
	space_close(other);
	space_use(root);
	CHECK_EQ(word_at(root, page_at(18)), 45);

	test_case("a private mapping's writes stay private, and it sees none made later");
	place = fixed_at(page_at(32));
	CHECK_EQ(map_blob_private(root, &place, blob, 3, 2, &how, &at), 0);
	CHECK_EQ(word_at(root, page_at(32)), 33);
	CHECK_EQ(user_store(root, page_at(32), 1), 0);
	CHECK_EQ(user_store(root, page_at(4), 2), 0);
	CHECK_EQ(word_at(root, page_at(3)), 33);
	CHECK_EQ(word_at(root, page_at(17)), 33);
	CHECK_EQ(word_at(root, page_at(33)), 45);
	CHECK(check_map(root));
	CHECK_EQ(map_blob(root, &place, blob, 8, 1, &how, &at), -EINVAL);
	CHECK_EQ(map_blob(root, &place, blob, 0, 9, &how, &at), -EINVAL);
	CHECK_EQ(map_blob(root, &place, blob, 0, 0, &how, &at), -EINVAL);
	CHECK_EQ(map_blob_private(root, &place, blob, 7, 2, &how, &at), -EINVAL);
	CHECK_EQ(map_blob_private(root, &place, blob, 0, 1, &how, &at), -EEXIST);
	clear_window();
	blob_unref(blob);
}

static void trim(void)
{
	uint64_t before = blob_pages_now();
	struct blob *blob = make_blob(16);
	struct mapping how = {.prot = RW, .name = "again"};
	struct placement place = fixed_at(page_at(32));

	test_case("pages are freed when the last mapping of them goes, unless the blob has other holders");
	map_all_at(root, BASE, blob);
	CHECK_EQ(map_blob(root, &place, blob, 4, 4, &how, &at), 0);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(user_store(root, page_at(i), i), 0);
	CHECK_EQ(blob_pages_now(), before + 16);
	CHECK_EQ(map_unmap(root, page_at(14), 2 * PAGE_SIZE), 0);
	CHECK_EQ(blob_pages_now(), before + 16);
	blob_unref(blob);
	CHECK_EQ(map_unmap(root, page_at(12), 2 * PAGE_SIZE), 0);
	CHECK_EQ(blob_pages_now(), before + 14);
	/* 3 and 8 go, 4 to 7 are mapped elsewhere. */
	CHECK_EQ(map_unmap(root, page_at(3), 6 * PAGE_SIZE), 0);
	CHECK_EQ(blob_pages_now(), before + 12);
	CHECK_EQ(word_at(root, page_at(33)), 5);
	CHECK_EQ(map_unmap(root, page_at(33), PAGE_SIZE), 0);
	CHECK_EQ(blob_pages_now(), before + 11);
	CHECK_EQ(word_at(root, page_at(34)), 6);
	CHECK_EQ(word_at(root, page_at(11)), 11);
	CHECK(check_map(root));
	clear_window();
	CHECK_EQ(blob_pages_now(), before);
}

/* ---- Submaps and arenas ------------------------------------------------------------------------ */

static void nesting(void)
{
	struct placement place = fixed_at(BASE);
	struct map *maps[MAP_MAX_DEPTH + 1];
	struct map *deeper = NULL;
	struct blob *blob = make_blob(1);
	struct footprint before = footprint_now();
	unsigned depth = 1; /* of private space */

	test_case("submaps nest to MAP_MAX_DEPTH and no further");
	maps[depth] = root;
	while (depth < MAP_MAX_DEPTH) {
		uint64_t bytes = pages_to_bytes(64 - depth);

		if (!CHECK_EQ(
			    map_create_submap(maps[depth], &place, bytes, VM_ALL, "nested", &maps[depth + 1]),
			    0))
			break;
		depth++;
		CHECK_EQ(maps[depth]->depth, depth);
	}
	CHECK_EQ(map_create_submap(maps[depth], &place, PAGE_SIZE, VM_ALL, "too deep", &deeper), -EMFILE);
	CHECK(deeper == NULL);
	/* The innermost map that has all of the range. */
	map_all_at(root, BASE, blob);
	CHECK_EQ(list_entries(root, BASE, BASE + PAGE_SIZE, list, MAX_LISTS), 1);
	CHECK_EQ(list[0].depth, MAP_MAX_DEPTH);
	map_all_at(root, page_at(61), blob);
	CHECK_EQ(list_entries(root, page_at(61), page_at(62), list, MAX_LISTS), 1);
	CHECK_EQ(list[0].depth, 3);
	CHECK_EQ(user_store(root, BASE, 3), 0);
	CHECK_EQ(word_at(root, page_at(61)), 3);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, BASE, 63 * PAGE_SIZE), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 0);
	clear_window();
	CHECK_EQ(blob_decommit(blob, 0, 1), 0);
	check_footprint(&before);
	blob_unref(blob);
}

static void arenas(void)
{
	struct map *other;
	struct map *mine = NULL;
	struct map *theirs = NULL;
	struct map *second = NULL;
	struct blob *blob = make_blob(4);
	struct mapping how = {.prot = RW, .name = "test"};
	struct placement anywhere = {0};
	vaddr_t first_start;

	test_case("arenas of two roots do not overlap, and are given back");
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_BYTES, &mine), 0);
	first_start = map_start(mine);
	CHECK_EQ(map_end(mine) - map_start(mine), LAYOUT_ARENA_BYTES);
	CHECK_EQ(first_start % LAYOUT_ARENA_ALIGN, 0);
	CHECK(user_range(map_start(mine), LAYOUT_ARENA_BYTES));
	other = space_open("other");
	CHECK_EQ(map_create_arena(other, LAYOUT_ARENA_BYTES, &theirs), 0);
	CHECK(map_start(theirs) >= map_end(mine) || map_end(theirs) <= map_start(mine));
	CHECK_EQ(map_blob(theirs, &anywhere, blob, 0, 4, &how, &at), 0);
	CHECK_EQ(at, map_start(theirs));
	CHECK_EQ(user_store(other, at, 9), 0);
	CHECK(check_map(other));
	space_use(root);
	CHECK_EQ(user_store(root, at, 1), -EFAULT);
	/* Emptied, an arena is still there; its addresses are nobody else's. */
	CHECK_EQ(map_blob(mine, &anywhere, blob, 0, 4, &how, &at), 0);
	CHECK_EQ(map_unmap(root, map_start(mine), LAYOUT_ARENA_BYTES), 0);
	CHECK_EQ(map_blob(mine, &anywhere, blob, 0, 4, &how, &at), 0);
	CHECK_EQ(at, first_start);
	CHECK_EQ(map_create_arena(other, LAYOUT_ARENA_BYTES, &second), 0);
	CHECK(map_start(second) != first_start && map_start(second) != map_start(theirs));
	CHECK_EQ(map_create_arena_at(root, map_start(theirs), LAYOUT_ARENA_ALIGN, &second), -EEXIST);
	CHECK_EQ(map_create_arena_at(root, map_end(second) + PAGE_SIZE, PAGE_SIZE, &second), -EINVAL);
	CHECK_EQ(map_create_arena_at(root, LAYOUT_SYSTEM_START, PAGE_SIZE, &second), -ENOMEM);
	CHECK_EQ(map_create_arena_at(root, LAYOUT_ARENAS_END - LAYOUT_ARENA_ALIGN, LAYOUT_ARENA_ALIGN,
				     &second),
		 0);
	CHECK_EQ(map_end(second), LAYOUT_ARENAS_END);
	CHECK_EQ(map_create_arena(root, PAGE_SIZE + 1, &second), -EINVAL);
	CHECK_EQ(map_create_arena(root, 1ul << 47, &second), -ENOMEM);
	CHECK(check_map(root));
	space_close(root);
	space_use(other);
	CHECK_EQ(word_at(other, map_start(theirs)), 9);
	space_close(other);
	root = space_open("map suite");
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_BYTES, &mine), 0);
	CHECK_EQ(map_start(mine), first_start);
	space_close(root);
	root = space_open("map suite");
	blob_unref(blob);
}

static void layout(void)
{
	static const char *const names[] = {
		"guard page",        "private space",    "kernel linkage space",  "gate area",
		"system data space", "page descriptors", "kernel dynamic memory", "physical memory map",
	};
	unsigned count = list_entries(root, 0, LAYOUT_PHYSICAL_END, list, MAX_LISTS);

	test_case("every root has the layout's regions");
	CHECK_EQ(count, sizeof(names) / sizeof(names[0]));
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK_STR(list[i].name, names[i]);
		CHECK_EQ(list[i].depth, 0);
	}
	CHECK_EQ(list[0].end, list[1].start);
	CHECK_EQ(list[4].end, LAYOUT_ARENAS_START);

	test_case("user_range: what user code may name");
	CHECK(!user_range(0, 1));
	CHECK(!user_range(0xfff, 1));
	CHECK(!user_range(0xfff, 2));
	CHECK(user_range(0x1000, 1));
	CHECK(user_range(LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START));
	CHECK(!user_range(LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START + 1));
	CHECK(!user_range(LAYOUT_PRIVATE_END - 1, 2));
	CHECK(!user_range(LAYOUT_KERNEL_START, 1));
	CHECK(!user_range(LAYOUT_SYSTEM_START, 8));
	CHECK(!user_range(LAYOUT_PRIVATE_START, LAYOUT_ARENAS_END - LAYOUT_PRIVATE_START));
	CHECK(!user_range(LAYOUT_ARENAS_START - 1, 2));
	CHECK(user_range(LAYOUT_ARENAS_START, LAYOUT_ARENAS_END - LAYOUT_ARENAS_START));
	CHECK(!user_range(LAYOUT_ARENAS_START, LAYOUT_ARENAS_END - LAYOUT_ARENAS_START + 1));
	CHECK(!user_range(LAYOUT_ARENAS_END, 1));
	CHECK(!user_range(LAYOUT_DYNAMIC_START, 1));
	CHECK(!user_range(LAYOUT_PHYSICAL_END - 1, 1));
	CHECK(!user_range(0x800000000000ul, 1));
	CHECK(!user_range(~0ul, 1));
	CHECK(!user_range(~0ul - 4, 100));
	CHECK(!user_range(LAYOUT_PRIVATE_START, ~0ul));
}

void suite_map(void)
{
	struct footprint before;
	struct blob *device = NULL;

	test_case("start");
	/* Descriptors of device pages stay for good. */
	CHECK_EQ(blob_create_device((paddr_t)0xfee00000, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	blob_unref(device);
	before = footprint_now();
	root = space_open("map suite");
	if (!root)
		return;
	layout();
	search();
	fixed();
	unmapping();
	permanent();
	protection();
	borders();
	ceilings();
	contents();
	shared_blob();
	trim();
	nesting();
	arenas();
	test_case("all memory is back");
	space_close(root);
	check_footprint(&before);
}
