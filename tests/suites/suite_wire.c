/*
 * Wiring: blob_wire and map_wire, what they promise of the pages, and what else is done to those meanwhile.
 *
 * Each page counts its wirings, and that count is looked at here, page by page.
 */
#include "store.h"
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define LOCATIONS 128
#define PAGES     24
#define OTHER     (SPACE_BASE + pages_to_bytes(1024))

#ifdef DEBUG
#define DEBUG_CHECKS true
#else
#define DEBUG_CHECKS false
#endif

static struct map *root;

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

static struct blob *make_words(void)
{
	struct blob *blob = make_blob(PAGES);

	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, 100 + i);
	return blob;
}

static void check_words(struct blob *blob)
{
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(get_word(blob, i), 100 + i);
}

/* The page that a blob has in memory at an offset; NULL: none. */
static struct page *page_of(struct blob *blob, pgoff_t offset)
{
	struct page *page = NULL;
	slot_t *place;
	bool shared;

	spin_lock(&blob->family->lock);
	place = tree_find(&blob->tree, blob->base + offset, &shared);
	if (place && slot_is_page(*place))
		page = slot_page(*place);
	spin_unlock(&blob->family->lock);
	return page;
}

/* Checks how often the pages of [first, end) are wired: all alike. */
static void check_wired(struct blob *blob, pgoff_t first, pgoff_t end, unsigned times)
{
	for (pgoff_t i = first; i < end; i++) {
		struct page *page = page_of(blob, i);

		if (times > 0)
			CHECK(page);
		if (page)
			CHECK_EQ(page->wired, times);
	}
	blob_verify(blob);
}

static void check_unwired(struct blob *blob)
{
	check_wired(blob, 0, blob_size(blob) >> PAGE_SHIFT, 0);
	CHECK_EQ(blob->wired_count, 0);
}

/* ---- blob_wire ----------------------------------------------------------------------------------- */

static void wired_windows(void)
{
	struct blob *blob = make_blob(PAGES);
	struct wiring *first, *second, *third;
	struct page *frames[PAGES];

	test_case("wiring makes pages resident, and keeps them in their frames");
	put_word(blob, 3, 103);
	CHECK_EQ(blob_page_out(blob, 3, 1), 0);
	CHECK_EQ(blob_wire(blob, 2, 8, &first), 0);
	CHECK_USAGE(blob, .resident = 8, .dirty = 8, .wired = 8);
	CHECK_EQ(store_used(), 0);
	check_wired(blob, 2, 10, 1);
	CHECK(page_is_zero(blob, 2));
	CHECK_EQ(get_word(blob, 3), 103);
	for (pgoff_t i = 2; i < 10; i++) {
		put_word(blob, i, 100 + i);
		frames[i] = page_of(blob, i);
	}
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	check_wired(blob, 2, 10, 1);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 8);
	for (pgoff_t i = 2; i < 10; i++) {
		CHECK(page_of(blob, i) == frames[i]);
		put_word(blob, i, 200 + i);
		CHECK(page_of(blob, i) == frames[i]);
	}

	test_case("what is wired cannot be forgotten, in whole or in part");
	CHECK_EQ(blob_decommit(blob, 0, PAGES), -EBUSY);
	CHECK_EQ(blob_decommit(blob, 9, 3), -EBUSY);
	CHECK_EQ(blob_decommit(blob, 2, 1), -EBUSY);
	CHECK_EQ(get_word(blob, 2), 202);
	CHECK_EQ(get_word(blob, 9), 209);
	put_word(blob, 10, 110);
	CHECK_EQ(blob_decommit(blob, 10, PAGES - 10), 0);
	CHECK(page_is_zero(blob, 10));

	test_case("a page is wired as often as wirings cover it");
	CHECK_EQ(blob_wire(blob, 6, 8, &second), 0);
	CHECK_EQ(blob_wire(blob, 6, 2, &third), 0);
	check_wired(blob, 2, 6, 1);
	check_wired(blob, 6, 8, 3);
	check_wired(blob, 8, 10, 2);
	check_wired(blob, 10, 14, 1);
	CHECK_USAGE(blob, .resident = 12, .dirty = 12, .wired = 12);
	blob_unwire(first);
	check_wired(blob, 2, 6, 0);
	check_wired(blob, 6, 8, 2);
	check_wired(blob, 8, 14, 1);
	CHECK_EQ(blob_decommit(blob, 0, 7), -EBUSY);
	CHECK_EQ(blob_decommit(blob, 0, 6), 0);
	blob_unwire(third);
	check_wired(blob, 6, 14, 1);
	blob_unwire(second);
	check_unwired(blob);
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 0);

	test_case("a wiring keeps its blob");
	CHECK_EQ(blob_wire(blob, 0, 1, &first), 0);
	blob_unref(blob);
	CHECK_EQ(blob->refs, 1);
	check_wired(blob, 0, 1, 1);
	blob_unwire(first);
	CHECK_EQ(store_used(), 0);
}

static void wired_fixed(void)
{
	struct blob *blob;
	struct wiring *wiring;

	test_case("what is always resident can be wired as well");
	CHECK_EQ(blob_create_contiguous(4 * PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &blob), 0);
	CHECK_EQ(blob_wire(blob, 1, 2, &wiring), 0);
	blob_unwire(wiring);
	CHECK_EQ(blob->wired_count, 0);
	blob_unref(blob);
}

static void wired_lent(void)
{
	static struct test_pager pager;
	struct wiring *wiring;
	struct blob *blob;

	test_case("a lent page that is wired becomes the blob's own");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	CHECK_EQ(get_word(blob, 1), PAGER_WORD + 1);
	CHECK_EQ(blob_wire(blob, 0, 4, &wiring), 0);
	check_wired(blob, 0, 4, 1);
	for (pgoff_t i = 0; i < 4; i++) {
		CHECK_EQ(get_word(blob, i), PAGER_WORD + i);
		CHECK_EQ(page_of(blob, i)->state, PAGE_BLOB);
	}
	blob_unwire(wiring);
	check_unwired(blob);

	test_case("if a page cannot be had, nothing is wired");
	pager.error = -EIO;
	CHECK_EQ(blob_wire(blob, 0, 10, &wiring), -EIO);
	check_unwired(blob);
	CHECK_EQ(blob->refs, 1);
	pager.error = 0;
	blob_unref(blob);
	test_pager_finish(&pager);
}

/* Clones share wired pages; whoever writes gets a copy, and takes his own wirings along. */
static void wired_clones(void)
{
	struct blob *blob = make_words();
	struct wiring *wiring, *of_clone;
	struct blob *clone;

	test_case("a write to a page that is shared moves the writer's wirings, and no others, to the copy");
	CHECK_EQ(blob_wire(blob, 0, 12, &wiring), 0);
	CHECK_EQ(blob_clone(blob, 4, 16, &clone), 0);
	/* The clone sees the same pages; wired for the source, they stay. */
	check_wired(clone, 0, 8, 1);
	CHECK_EQ(blob_page_out(clone, 0, 16), 0);
	CHECK_USAGE(clone, .resident = 8, .paged_out = 8, .dirty = 8, .wired = 8);
	CHECK(page_of(blob, 5) == page_of(clone, 1));
	put_word(blob, 5, 5);
	CHECK(page_of(blob, 5) != page_of(clone, 1));
	check_wired(blob, 5, 6, 1);
	check_wired(clone, 1, 2, 0);
	put_word(clone, 2, 6);
	check_wired(clone, 2, 3, 0);
	check_wired(blob, 6, 7, 1);
	CHECK_EQ(get_word(clone, 1), 105);
	CHECK_EQ(get_word(blob, 6), 106);

	test_case("both sides wire a page: it is made each one's own first, and counted for each");
	CHECK_EQ(blob_wire(clone, 3, 9, &of_clone), 0);
	check_wired(clone, 3, 12, 1);
	check_wired(blob, 0, 12, 1);
	CHECK(page_of(blob, 7) != page_of(clone, 3));
	CHECK_EQ(blob_decommit(clone, 0, 3), 0);
	CHECK_EQ(blob_decommit(clone, 0, 4), -EBUSY);
	CHECK_EQ(get_word(blob, 4), 104);
	CHECK_EQ(get_word(clone, 3), 107);

	test_case("a clone that goes leaves the other side's wirings");
	blob_unwire(wiring);
	check_unwired(blob);
	check_wired(clone, 3, 12, 1);
	blob_unref(blob);
	blob_unref(clone);
	CHECK_EQ(clone->refs, 1);
	blob_unwire(of_clone);
	CHECK_EQ(store_used(), 0);

	test_case("the source goes while the clone has its wired pages");
	blob = make_words();
	CHECK_EQ(blob_wire(blob, 0, PAGES, &wiring), 0);
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	check_wired(clone, 0, PAGES, 1);
	blob_unref(blob);
	blob_unwire(wiring);
	check_unwired(clone);
	check_words(clone);
	CHECK_EQ(blob_page_out(clone, 0, PAGES), 0);
	check_words(clone);
	blob_unref(clone);
	CHECK_EQ(store_used(), 0);
}

/* Of every length, over pages in every state. */
static void failing_wire(void)
{
	struct blob *blob = make_words();
	struct wiring *wiring;
	unsigned after = 0;
	int error;

	test_case("a disk that fails wires nothing, at whichever page");
	do {
		CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
		put_word(blob, 2, 102);
		store_fail_io(after++, false);
		error = blob_wire(blob, 0, PAGES, &wiring);
		CHECK_EQ(store_fail_stop(), error != 0);
		if (error) {
			CHECK_EQ(error, -EIO);
			check_unwired(blob);
			CHECK_EQ(blob->mapping_count, 0);
			check_words(blob);
		}
	} while (error && after <= PAGES);
	CHECK_EQ(after, PAGES);
	check_wired(blob, 0, PAGES, 1);
	blob_unwire(wiring);

	test_case("want of memory wires nothing, at whichever allocation");
	if (!sim_fail_allocation) {
		test_skip("allocations cannot be made to fail here");
	} else {
		after = 0;
		do {
			CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
			CHECK_EQ(blob_decommit(blob, 0, 4), 0);
			sim_fail_allocation(after++, false);
			error = blob_wire(blob, 0, PAGES, &wiring);
			CHECK_EQ(sim_fail_stop(), error != 0);
			if (error) {
				CHECK_EQ(error, -ENOMEM);
				check_unwired(blob);
				CHECK(page_is_zero(blob, 3));
				CHECK_EQ(get_word(blob, 4), 104);
			}
		} while (error && after < 200);
		CHECK(after > PAGES);
		blob_unwire(wiring);
	}
	check_unwired(blob);
	blob_unref(blob);
}

/* ---- map_wire --------------------------------------------------------------------------------------- */

/* Checks how the entries of [SPACE_BASE, + PAGES) are wired: "www..wrr" page by page, r for what is not mapped. */
static void check_entries(const char *pages)
{
	struct entry_info entries[PAGES];
	unsigned count = list_entries(root, page_at(0), page_at(PAGES), entries, PAGES);
	char found[PAGES + 1];

	memset(found, '-', PAGES);
	found[PAGES] = '\0';
	for (unsigned i = 0; i < count && i < PAGES; i++) {
		for (vaddr_t va = entries[i].start; va < entries[i].end; va += PAGE_SIZE)
			found[(va - SPACE_BASE) >> PAGE_SHIFT] = entries[i].wired ? 'w' : '.';
		/* Neighbours that are alike are one. */
		if (i > 0 && entries[i - 1].end == entries[i].start && entries[i - 1].prot == entries[i].prot)
			CHECK(entries[i - 1].wired != entries[i].wired);
	}
	CHECK_STR(found, pages);
	map_verify(root);
	CHECK(check_map(root));
}

static int wire(pgoff_t first, pgoff_t end)
{
	return map_wire(root, page_at(first), pages_to_bytes(end - first));
}

static int unwire(pgoff_t first, pgoff_t end)
{
	return map_unwire(root, page_at(first), pages_to_bytes(end - first));
}

static void wired_ranges(void)
{
	struct blob *blob = make_blob(PAGES);
	uint64_t word;

	test_case("a range that is wired is split off, and joined again when it is not");
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(wire(4, 8), 0);
	check_entries("....wwww................");
	CHECK_USAGE(blob, .resident = 4, .dirty = 4, .wired = 4);
	check_wired(blob, 4, 8, 1);
	CHECK_EQ(wire(4, 8), 0);
	check_wired(blob, 4, 8, 1);
	CHECK_EQ(wire(2, 6), 0);
	check_entries("..wwwwww................");
	check_wired(blob, 2, 8, 1);
	CHECK_EQ(wire(12, 16), 0);
	CHECK_EQ(wire(0, PAGES), 0);
	check_entries("wwwwwwwwwwwwwwwwwwwwwwww");
	CHECK_EQ(count_entries(root, page_at(0), page_at(PAGES)), 1);
	check_wired(blob, 0, PAGES, 1);
	CHECK_EQ(unwire(8, 10), 0);
	check_entries("wwwwwwww..wwwwwwwwwwwwww");
	CHECK_EQ(unwire(0, PAGES), 0);
	check_entries("........................");
	check_unwired(blob);
	CHECK_EQ(unwire(3, 5), 0);
	CHECK_EQ(count_entries(root, page_at(0), page_at(PAGES)), 1);

	test_case("what is wired is not paged out, and not forgotten");
	CHECK_EQ(wire(0, 4), 0);
	CHECK_EQ(user_store(root, page_at(1), 1), 0);
	CHECK_EQ(map_advise(root, page_at(0), PAGES * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_USAGE_OF(blob, 0, 4, .resident = 4, .dirty = 4, .wired = 4);
	CHECK_EQ(blob_resident(blob, 4, PAGES - 4), 0);
	CHECK_EQ(map_decommit(root, page_at(0), PAGES * PAGE_SIZE), -EBUSY);
	CHECK_EQ(map_decommit(root, page_at(3), PAGE_SIZE), -EBUSY);
	CHECK_EQ(blob_decommit(blob, 0, 1), -EBUSY);
	CHECK_EQ(word_at(root, page_at(1)), 1);
	CHECK_EQ(map_decommit(root, page_at(4), PAGE_SIZE), 0);

	test_case("rights change, and the pages stay wired");
	CHECK_EQ(map_protect(root, page_at(1), 2 * PAGE_SIZE, VM_READ), 0);
	check_entries("wwww....................");
	check_wired(blob, 0, 4, 1);
	CHECK_EQ(map_protect(root, page_at(0), 8 * PAGE_SIZE, RX), 0);
	check_wired(blob, 0, 4, 1);
	CHECK_EQ(map_protect(root, page_at(0), 8 * PAGE_SIZE, RW), 0);
	check_entries("wwww....................");
	CHECK_EQ(count_entries(root, page_at(0), page_at(PAGES)), 2);

	test_case("what is unmapped is not wired any more, and the rest stays so");
	CHECK_EQ(map_unmap(root, page_at(1), PAGE_SIZE), 0);
	check_entries("w-ww....................");
	check_wired(blob, 0, 1, 1);
	check_wired(blob, 1, 2, 0);
	check_wired(blob, 2, 4, 1);
	CHECK_EQ(map_unmap(root, page_at(0), 8 * PAGE_SIZE), 0);
	check_unwired(blob);
	CHECK(!try_load(root, page_at(2), &word));
	map_all_at(root, OTHER, blob);
	CHECK_EQ(map_wire(root, OTHER + PAGE_SIZE, PAGE_SIZE), 0);
	CHECK_EQ(wire(8, 10), 0);
	{
		struct placement place = replace_at(page_at(6));
		struct mapping how = {.prot = RW, .name = "new"};
		vaddr_t at;

		CHECK_EQ(map_blob(root, &place, blob, 0, 3, &how, &at), 0);
	}
	check_entries("------...w..............");
	check_wired(blob, 8, 9, 0);
	check_wired(blob, 9, 10, 1);
	CHECK_EQ(map_unmap(root, SPACE_BASE, PAGES * PAGE_SIZE), 0);
	CHECK_EQ(map_unmap(root, OTHER, PAGES * PAGE_SIZE), 0);
	check_unwired(blob);
	blob_unref(blob);
}

static void refused(void)
{
	struct blob *blob = make_words();
	struct placement reserved = fixed_at(page_at(PAGES));
	vaddr_t at;

	test_case("a range with a hole, or reserved space, is not wired or unwired at all");
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(map_unmap(root, page_at(10), PAGE_SIZE), 0);
	CHECK_EQ(map_reserve(root, &reserved, PAGE_SIZE, "kept", &at), 0);
	CHECK_EQ(wire(0, PAGES), -ENOMEM);
	CHECK_EQ(wire(10, 12), -ENOMEM);
	CHECK_EQ(wire(20, PAGES + 1), -ENOMEM);
	check_entries("..........-.............");
	check_unwired(blob);
	CHECK_EQ(wire(0, 4), 0);
	CHECK_EQ(unwire(2, 12), -ENOMEM);
	check_entries("wwww......-.............");
	check_wired(blob, 0, 4, 1);

	test_case("an entry that is wired is not forgotten, nor are those before it in the range");
	CHECK_EQ(map_decommit(root, page_at(0), 10 * PAGE_SIZE), -EBUSY);
	check_words(blob);
	CHECK_EQ(unwire(0, 4), 0);
	CHECK_EQ(map_protect(root, page_at(4), PAGE_SIZE, VM_READ), 0);
	{
		struct wiring *wiring;

		/* Wired through the blob, which the entry does not say. */
		CHECK_EQ(blob_wire(blob, 6, 1, &wiring), 0);
		CHECK_EQ(map_decommit(root, page_at(0), 10 * PAGE_SIZE), -EBUSY);
		check_words(blob);
		blob_unwire(wiring);
	}
	CHECK_EQ(map_unmap(root, SPACE_BASE, (PAGES + 1) * PAGE_SIZE), 0);
	blob_unref(blob);
}

/* A private mapping of what a pager lends: only what may be written is copied to be wired. */
static void wired_pagers(void)
{
	static struct test_pager pager;
	struct mapping how = {.prot = VM_READ, .name = "lent"};
	struct placement place = fixed_at(SPACE_BASE);
	struct blob *blob;
	vaddr_t at;

	test_case("what may only be read is wired as it is, and stays wired when it comes to be written");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	CHECK_EQ(map_blob(root, &place, blob, 0, PAGES, &how, &at), 0);
	CHECK_EQ(wire(0, 4), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 4);
	CHECK(page_of(blob, 0) == pager.pages[0]);
	CHECK_EQ(map_protect(root, page_at(0), 8 * PAGE_SIZE, RW), 0);
	CHECK_EQ(user_store(root, page_at(1), 1), 0);
	check_wired(blob, 1, 2, 1);
	CHECK_EQ(wire(4, 8), 0);
	check_wired(blob, 4, 8, 1);
	CHECK_EQ(unwire(0, 8), 0);
	check_wired(blob, 1, 2, 0);
	check_wired(blob, 4, 8, 0);
	CHECK_EQ(map_unmap(root, SPACE_BASE, PAGES * PAGE_SIZE), 0);
	blob_unref(blob);
	test_pager_finish(&pager);
}

/* A mapping of the first `pages` of a larger blob that only it holds, all of it wired. */
static struct blob *map_wired(pgoff_t pages)
{
	struct mapping how = {.prot = RW, .name = "grows"};
	struct placement place = fixed_at(SPACE_BASE);
	struct blob *blob = make_blob(1000);
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, blob, 0, pages, &how, &at), 0);
	blob_unref(blob);
	CHECK_EQ(wire(0, pages), 0);
	for (pgoff_t i = 0; i < pages; i++)
		CHECK_EQ(user_store(root, page_at(i), 100 + i), 0);
	return blob;
}

static void resized(void)
{
	struct resize_request want = {
		.start = page_at(0), .old_bytes = 8 * PAGE_SIZE, .new_bytes = 12 * PAGE_SIZE};
	struct blob *blob = map_wired(8);
	vaddr_t at;

	test_case("a wired mapping that grows is wired in its new part as well");
	CHECK_EQ(map_resize(root, root, &want, &at), 0);
	check_entries("wwwwwwwwwwww------------");
	check_wired(blob, 0, 12, 1);
	CHECK_EQ(word_at(root, page_at(7)), 107);

	test_case("... and one that moves: all of it, once");
	want = (struct resize_request){.start = page_at(0),
				       .old_bytes = 12 * PAGE_SIZE,
				       .new_bytes = 16 * PAGE_SIZE,
				       .may_move = true,
				       .place = fixed_at(OTHER)};
	CHECK_EQ(map_resize(root, map_private_space(root), &want, &at), 0);
	CHECK_EQ(at, OTHER);
	check_entries("------------------------");
	check_wired(blob, 0, 16, 1);
	CHECK_EQ(word_at(root, OTHER + 7 * PAGE_SIZE), 107);

	test_case("... and a part of one that moves away");
	want = (struct resize_request){.start = OTHER + 4 * PAGE_SIZE,
				       .old_bytes = 4 * PAGE_SIZE,
				       .new_bytes = 4 * PAGE_SIZE,
				       .may_move = true,
				       .place = fixed_at(page_at(4))};
	CHECK_EQ(map_resize(root, map_private_space(root), &want, &at), 0);
	check_entries("----wwww----------------");
	check_wired(blob, 0, 16, 1);
	CHECK_EQ(word_at(root, page_at(7)), 107);

	test_case("... and one that shrinks gives up what it loses");
	want = (struct resize_request){
		.start = page_at(4), .old_bytes = 4 * PAGE_SIZE, .new_bytes = PAGE_SIZE};
	CHECK_EQ(map_resize(root, root, &want, &at), 0);
	check_entries("----w-------------------");
	check_wired(blob, 4, 5, 1);
	CHECK_EQ(blob_resident(blob, 5, 3), 0);
	CHECK_EQ(map_unmap(root, OTHER, 16 * PAGE_SIZE), 0);
	check_wired(blob, 4, 5, 1);
	CHECK_EQ(blob_resident(blob, 0, 1000), 1);
	CHECK_EQ(map_unmap(root, page_at(4), PAGE_SIZE), 0);

	test_case("a resize that fails leaves everything wired as it was");
	if (!sim_fail_allocation) {
		test_skip("allocations cannot be made to fail here");
		return;
	}
	for (unsigned moves = 0; moves < 2; moves++) {
		unsigned after = 0;
		int error;

		blob = map_wired(8);
		want = (struct resize_request){.start = page_at(0),
					       .old_bytes = 8 * PAGE_SIZE,
					       .new_bytes = 12 * PAGE_SIZE,
					       .may_move = moves,
					       .place = moves ? fixed_at(OTHER)
							      : (struct placement){.flags = 0}};
		do {
			sim_fail_allocation(after++, false);
			error = map_resize(root, map_private_space(root), &want, &at);
			CHECK_EQ(sim_fail_stop(), error != 0);
			if (error) {
				CHECK_EQ(error, -ENOMEM);
				check_entries("wwwwwwww----------------");
				check_wired(blob, 0, 8, 1);
				CHECK_EQ(blob_resident(blob, 0, 1000), 8);
			}
		} while (error && after < 100);
		CHECK(after > 4);
		check_wired(blob, 0, 12, 1);
		CHECK_EQ(map_unmap(root, at, 12 * PAGE_SIZE), 0);
	}
}

static void forked(void)
{
	struct blob *blob, *of_child;
	struct map *child;
	struct lookup found;

	test_case("a forked child's memory is not wired; the parent's stays so, copies included");
	blob = map_wired(8);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(map_lookup(child, SPACE_BASE, &found), 0);
	of_child = found.blob;
	CHECK(of_child != blob);
	{
		struct entry_info entries[2];

		CHECK_EQ(list_entries(child, page_at(0), page_at(8), entries, 2), 1);
		CHECK(!entries[0].wired);
	}
	check_wired(of_child, 0, 8, 1);
	CHECK_EQ(of_child->wired_count, 0);
	CHECK_EQ(user_store(root, page_at(1), 1), 0);
	check_wired(blob, 0, 8, 1);
	check_wired(of_child, 1, 2, 0);
	space_use(child);
	CHECK_EQ(word_at(child, page_at(1)), 101);
	CHECK_EQ(user_store(child, page_at(2), 2), 0);
	check_wired(of_child, 2, 3, 0);
	check_wired(blob, 0, 8, 1);
	/* What the child has alone goes; what the parent has wired stays. */
	CHECK_EQ(map_advise(child, page_at(0), 8 * PAGE_SIZE, ADVISE_PAGE_OUT), 0);
	CHECK_EQ(blob_resident(of_child, 0, 8), 6);
	CHECK_EQ(word_at(child, page_at(1)), 101);
	CHECK_EQ(word_at(child, page_at(2)), 2);
	CHECK_EQ(map_decommit(child, page_at(0), 8 * PAGE_SIZE), 0);
	check_wired(blob, 0, 8, 1);
	space_use(root);
	CHECK_EQ(word_at(root, page_at(3)), 103);
	map_unref(child);
	blob_unref(of_child);

	test_case("the parent goes first: what the child has is not wired any more");
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(map_lookup(child, SPACE_BASE, &found), 0);
	space_use(child);
	map_unref(root);
	root = child;
	check_unwired(found.blob);
	CHECK_EQ(word_at(root, page_at(3)), 103);
	CHECK_EQ(wire(0, 8), 0);
	check_wired(found.blob, 0, 8, 1);
	CHECK_EQ(map_unmap(root, SPACE_BASE, 8 * PAGE_SIZE), 0);
	check_unwired(found.blob);
	blob_unref(found.blob);
}

/* Two windows of one blob, in entities and submaps as well. */
static void across_maps(void)
{
	struct placement place = fixed_at(page_at(8));
	struct segment segment = {
		.pages = 4, .place = 1, .prot = RW, .sharing = SEGMENT_PRIVATE, .name = "data"};
	struct blob *blob = make_words();
	struct entity *entity;
	struct map *submap;
	vaddr_t at;

	test_case("a range over submaps and entities is wired in all of them, or in none");
	CHECK_EQ(map_create_submap(root, &place, 8 * PAGE_SIZE, RW, "inner", &submap), 0);
	for (pgoff_t first = 0; first < 16; first += 8) {
		struct mapping how = {.prot = RW, .name = "part"};

		place = fixed_at(page_at(first));
		CHECK_EQ(map_blob(first ? submap : root, &place, blob, 4, 8, &how, &at), 0);
	}
	segment.blob = blob;
	CHECK_EQ(entity_create("program", 6, &segment, 1, &entity), 0);
	place = fixed_at(page_at(16));
	CHECK_EQ(map_entity(root, &place, entity, &at), 0);
	CHECK_EQ(wire(4, 21), -ENOMEM);
	check_unwired(blob);
	CHECK_EQ(map_unmap(root, page_at(16), PAGE_SIZE), 0);
	CHECK_EQ(wire(4, 16), 0);
	CHECK_EQ(wire(17, 20), 0);
	check_wired(blob, 4, 8, 1);
	check_wired(blob, 8, 12, 2);
	CHECK_EQ(unwire(4, 8), 0);
	check_wired(blob, 4, 12, 1);
	CHECK_EQ(map_unmap(root, page_at(8), 8 * PAGE_SIZE), 0);
	check_unwired(blob);
	CHECK_EQ(map_unmap(root, page_at(0), PAGES * PAGE_SIZE), 0);
	entity_unref(entity);
	blob_unref(blob);
}

/* ---- As often as can be counted -------------------------------------------------------------------------- */

static void too_often(void)
{
	struct page *list = NULL;
	struct blob *blob = make_blob(1);
	unsigned per_page = PAGE_SIZE / sizeof(struct wiring *);
	struct wiring *one_more;

	test_case("a page is wired 65535 times at most");
	if (DEBUG_CHECKS) {
		test_skip("a debug build looks at all the wirings each time");
		blob_unref(blob);
		return;
	}
	for (unsigned i = 0; i < UINT16_MAX; i++) {
		if (i % per_page == 0) {
			struct page *page = page_alloc(PAGE_KERNEL, 0);

			if (!CHECK(page))
				return;
			page->next = list;
			list = page;
		}
		CHECK_EQ(blob_wire(blob, 0, 1, (struct wiring **)page_data(list) + i % per_page), 0);
	}
	CHECK_EQ(page_of(blob, 0)->wired, UINT16_MAX);
	CHECK_EQ(blob_wire(blob, 0, 1, &one_more), -ENOMEM);
	CHECK_EQ(page_of(blob, 0)->wired, UINT16_MAX);
	for (unsigned i = UINT16_MAX; i-- > 0;) {
		blob_unwire(((struct wiring **)page_data(list))[i % per_page]);
		if (i % per_page == 0) {
			struct page *page = list;

			list = page->next;
			page_free(page);
		}
	}
	check_unwired(blob);
	blob_unref(blob);
}

void suite_wire(void)
{
	struct footprint before = footprint_now();

	if (!store_open(LOCATIONS)) {
		test_case("a disk in memory");
		test_skip("no memory for one");
		return;
	}
	root = space_open("wiring");
	wired_windows();
	wired_fixed();
	wired_lent();
	wired_clones();
	failing_wire();
	wired_ranges();
	refused();
	wired_pagers();
	resized();
	forked();
	across_maps();
	too_often();
	test_case("all memory is back");
	space_close(root);
	store_close();
	check_footprint(&before);
}
