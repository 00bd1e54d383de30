/*
 * Reclaim: what goes first when pages are to be given up, that all of it comes back, and what does not go.
 *
 * Accesses are made as programs make them; vm_reclaim() is called as who needs memory would.
 */
#include <vm/swap.h>

#include "disk.h"
#include "vm_suite.h"

#define PLACES 2000u
#define PAGES  512u

static struct disk disk;
static struct map *root;

static bool begin(void)
{
	root = space_open("reclaim");
	return root && CHECK(disk_open(&disk, "test disk", PLACES)) && CHECK_EQ(swap_on(&disk.device, 0), 0);
}

static void finish(void)
{
	struct swap_stats stats;

	space_close(root);
	swap_stats(&stats);
	CHECK_EQ(stats.used, 0);
	CHECK_EQ(swap_off(&disk.device), 0);
	disk_close(&disk);
}

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

/* Maps a new blob of PAGES pages and writes all of them: page i is seed + i. The caller has a reference. */
static struct blob *fill(vaddr_t address, uint64_t seed)
{
	struct blob *blob = make_blob(PAGES);

	map_all_at(root, address, blob);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(user_store(root, address + pages_to_bytes(i), seed + i), 0);
	return blob;
}

static void check_all(vaddr_t address, uint64_t seed)
{
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(word_at(root, address + pages_to_bytes(i)), seed + i);
}

static pgoff_t resident(struct blob *blob)
{
	return blob_resident(blob, 0, PAGES);
}

/* Gives up all that can be. */
static void reclaim_all(void)
{
	while (vm_reclaim(64) > 0)
		;
}

static void there_and_back(void)
{
	struct blob *blob;

	test_case("everything can be given up, and comes back as it was");
	if (!begin())
		return;
	blob = fill(SPACE_BASE, 100);
	reclaim_all();
	CHECK_EQ(resident(blob), 0);
	CHECK_EQ(disk.pages_written, PAGES);
	CHECK(disk.writes <= PAGES / 16);
	blob_verify(blob);
	check_all(SPACE_BASE, 100);
	map_verify(root);

	test_case("what came back is given up again without being written");
	reclaim_all();
	CHECK_EQ(resident(blob), 0);
	CHECK_EQ(disk.pages_written, PAGES);
	check_all(SPACE_BASE, 100);
	blob_unref(blob);
	finish();
}

static void used_pages_stay(void)
{
	struct blob *used, *idle;

	test_case("what was used since the hand came by stays, what was not goes");
	if (!begin())
		return;
	used = fill(SPACE_BASE, 100);
	idle = fill(page_at(PAGES), 1000);
	/* All were accessed: the first round takes the marks, and may find nothing. */
	for (unsigned i = 0; i < 8; i++) {
		check_all(SPACE_BASE, 100);
		CHECK(vm_reclaim(32) >= 32);
	}
	CHECK_EQ(resident(used), PAGES);
	CHECK(resident(idle) <= PAGES - 8 * 32);
	check_all(page_at(PAGES), 1000);
	blob_unref(used);
	blob_unref(idle);
	finish();
}

/* A file of PAGES pages that is not mapped itself, but an overlay of it is, from page OVERLAY_FIRST on. */
#define OVERLAY_FIRST 20u

static void files_pages_stay(void)
{
	struct blob *file, *overlay, *idle;

	test_case("pages of a file that are used through private mappings stay");
	if (!begin())
		return;
	file = make_blob(PAGES);
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(file, i, 100 + i);
	CHECK_EQ(blob_overlay(file, OVERLAY_FIRST, PAGES - OVERLAY_FIRST, &overlay), 0);
	map_all_at(root, SPACE_BASE, overlay);
	idle = fill(page_at(PAGES), 1000);
	for (unsigned i = 0; i < 8; i++) {
		for (pgoff_t page = 0; page < PAGES - OVERLAY_FIRST; page++)
			CHECK_EQ(word_at(root, page_at(page)), 100 + OVERLAY_FIRST + page);
		CHECK(vm_reclaim(32) >= 32);
	}
	CHECK_EQ(blob_resident(file, OVERLAY_FIRST, PAGES - OVERLAY_FIRST), PAGES - OVERLAY_FIRST);
	blob_unref(overlay);
	blob_unref(file);
	blob_unref(idle);
	finish();
}

static void wired_pages_stay(void)
{
	struct blob *blob;

	test_case("wired pages and those of devices are never given up");
	if (!begin())
		return;
	blob = fill(SPACE_BASE, 100);
	CHECK_EQ(map_wire(root, page_at(7), 70 * PAGE_SIZE), 0);
	reclaim_all();
	CHECK_EQ(resident(blob), 70);
	CHECK_EQ(blob_resident(blob, 7, 70), 70);
	/* Wired when it had come back. */
	CHECK_EQ(word_at(root, page_at(200)), 300);
	CHECK_EQ(map_wire(root, page_at(200), PAGE_SIZE), 0);
	reclaim_all();
	CHECK_EQ(resident(blob), 71);
	CHECK_EQ(map_unwire(root, page_at(0), PAGES * PAGE_SIZE), 0);
	reclaim_all();
	CHECK_EQ(resident(blob), 0);
	check_all(SPACE_BASE, 100);
	blob_unref(blob);
	finish();
}

#define IDLE_PAGES 128u

static void shared_pages(void)
{
	struct blob *blob, *clones[3], *idle;
	uint64_t written;

	test_case("what clones share goes when none of them uses it, written once, and comes back for all");
	if (!begin())
		return;
	blob = fill(SPACE_BASE, 100);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(blob_clone(blob, 0, PAGES, &clones[i]), 0);
		map_all_at(root, page_at((i + 1) * PAGES), clones[i]);
	}
	/* A page of its own, in a node of its own, with others that are shared. */
	CHECK_EQ(user_store(root, page_at(PAGES + 5), 5), 0);
	/* One of them uses its pages: they stay for all, as long as there is something else. */
	idle = make_blob(IDLE_PAGES);
	for (unsigned round = 0; round < 6; round++) {
		check_all(page_at(2 * PAGES), 100);
		for (pgoff_t i = 0; i < IDLE_PAGES; i++)
			put_word(idle, i, 1 + i);
		CHECK(vm_reclaim(IDLE_PAGES / 2) >= IDLE_PAGES / 2);
		CHECK_EQ(resident(clones[1]), PAGES);
	}
	blob_unref(idle);
	written = disk.pages_written;
	reclaim_all();
	CHECK_EQ(resident(blob) + resident(clones[0]) + resident(clones[1]) + resident(clones[2]), 0);
	CHECK(disk.pages_written <= written + PAGES + 1);
	for (unsigned i = 0; i < 4; i++) {
		if (i == 1)
			CHECK_EQ(word_at(root, page_at(PAGES + 5)), 5);
		else
			check_all(page_at(i * PAGES), 100);
	}
	map_verify(root);
	blob_unref(blob);
	for (unsigned i = 0; i < 3; i++)
		blob_unref(clones[i]);
	finish();
}

/* The pages of a blob that is mapped nowhere are idle from the beginning. */
static void unmapped(void)
{
	struct blob *blob;

	test_case("what is mapped nowhere goes at once, and zeroes go nowhere");
	if (!begin())
		return;
	blob = make_blob(64);
	for (pgoff_t i = 0; i < 64; i++)
		put_word(blob, i, i % 2);
	reclaim_all();
	CHECK_EQ(blob_resident(blob, 0, 64), 0);
	CHECK_EQ(disk.pages_written, 32);
	for (pgoff_t i = 0; i < 64; i++)
		CHECK_EQ(get_word(blob, i), i % 2);
	blob_unref(blob);
	/* A tree of one page. */
	blob = make_blob(1);
	put_word(blob, 0, 9);
	reclaim_all();
	CHECK_EQ(blob_resident(blob, 0, 1), 0);
	CHECK_EQ(get_word(blob, 0), 9);
	reclaim_all();
	CHECK_EQ(get_word(blob, 0), 9);
	blob_unref(blob);
	finish();
}

static void full_disk(void)
{
	struct reclaim_stats before, after;
	struct blob *blob;

	test_case("when a disk takes nothing more, clean pages go, and the search ends");
	root = space_open("reclaim");
	if (!root || !CHECK(disk_open(&disk, "test disk", 129)) || !CHECK_EQ(swap_on(&disk.device, 0), 0))
		return;
	blob = fill(SPACE_BASE, 100);
	reclaim_all();
	CHECK_EQ(resident(blob), PAGES - 128);
	/* No page is clean, and it is not tried with each. */
	vm_reclaim_stats(&before);
	CHECK_EQ(vm_reclaim(1), 0);
	vm_reclaim_stats(&after);
	CHECK(after.scanned - before.scanned < PAGES);
	check_all(SPACE_BASE, 100);
	CHECK_EQ(resident(blob), PAGES);
	CHECK(vm_reclaim(16) >= 16);
	reclaim_all();
	CHECK_EQ(resident(blob), PAGES - 128);

	test_case("a disk that fails loses nothing");
	check_all(SPACE_BASE, 100);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(user_store(root, page_at(i), 200 + i), 0);
	disk_fail(&disk, DISK_FAILS, true, false, 0, 3);
	reclaim_all();
	check_all(SPACE_BASE, 200);
	map_verify(root);
	blob_unref(blob);
	finish();
}

/* What is asked for is there most of the time: else paging out would never end. */
static void much_is_kept(void)
{
	const uint64_t most = page_ram_count() / 2;

	test_case("with much to be kept free there can be enough");
	if (!begin())
		return;
	CHECK_EQ(vm_keep_free(most + 1), -EINVAL);
	CHECK_EQ(vm_keep_free(most), 0);
	CHECK_EQ(vm_kept_free(), most);
	CHECK(page_spare_count() > page_ram_count() / 8 * 5 && !vm_memory_is_low());
	CHECK_EQ(vm_keep_free(0), 0);
	finish();
}

/*
 * A program goes through more than fits, again and again: LRU, or a plain clock, would bring in every page each time, as what is needed next went
 * last. How many pages come in for each pass is the share that does not fit, and not much more.
 */
#define FITS 320u /* pages: what is kept resident here, as no memory really runs out */
#define SLACK \
	224u /* the list's share at 256 MiB of RAM, what is read ahead, and a node's pages that go together */

static void passes(void)
{
	struct blob *blob;

	test_case("going through more than fits brings in what does not fit, and not everything");
	if (!begin())
		return;
	blob = make_blob(PAGES);
	map_all_at(root, SPACE_BASE, blob);
	for (unsigned pass = 0; pass < 4; pass++) {
		uint64_t before = disk.pages_read;

		for (pgoff_t i = 0; i < PAGES; i++) {
			if (pass == 0)
				CHECK_EQ(user_store(root, page_at(i), i), 0);
			else
				CHECK_EQ(word_at(root, page_at(i)), i);
			if (resident(blob) > FITS)
				CHECK(vm_reclaim(16) > 0);
		}
		if (pass > 1)
			CHECK(disk.pages_read - before <= PAGES - FITS + SLACK);
		test_print("# pass %u: %u pages read", pass, (unsigned)(disk.pages_read - before));
	}
	CHECK(disk.pages_written <= PAGES);
	blob_unref(blob);
	finish();
}

#define RETURNED_USED 150u /* pages: with as many others they are more than the list's share */

static struct reclaim_stats reclaim_now(void)
{
	struct reclaim_stats now;

	vm_reclaim_stats(&now);
	return now;
}

/* Of what came back, some pages are used again while they are in the list, between the others. */
static void used_again(void)
{
	struct blob *used, *others;
	uint64_t promoted, read;

	test_case("what came back and is used again is looked at twice, and stays");
	if (!begin())
		return;
	used = fill(SPACE_BASE, 100);
	others = fill(page_at(PAGES), 1000);
	reclaim_all();
	for (pgoff_t i = 0; i < RETURNED_USED; i++)
		CHECK_EQ(word_at(root, page_at(i)), 100 + i);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(get_word(others, i), 1000 + i);
	read = disk.pages_read;
	promoted = reclaim_now().promoted;
	while (resident(others) > 0 && reclaim_now().promoted < promoted + RETURNED_USED) {
		CHECK(vm_reclaim(16) > 0);
		for (pgoff_t i = 0; i < RETURNED_USED; i++)
			CHECK_EQ(word_at(root, page_at(i)), 100 + i);
	}
	CHECK_EQ(disk.pages_read, read);
	blob_unref(used);
	blob_unref(others);
	finish();
}

#define RETURNED_FEW 50u /* pages: fewer than the list's share */

static void full_for_a_while(void)
{
	struct blob *few, *idle;

	test_case("what came back has its share again when a disk takes pages again");
	if (!begin())
		return;
	few = fill(SPACE_BASE, 100);
	CHECK_EQ(blob_page_out(few, 0, PAGES), 0);
	idle = fill(page_at(PAGES), 1000);
	disk_fail(&disk, DISK_FAILS, true, false, 0, DISK_ALWAYS);
	CHECK_EQ(vm_reclaim(16), 0);
	disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
	CHECK(vm_reclaim(16) >= 16);
	for (pgoff_t i = 0; i < RETURNED_FEW; i++)
		CHECK_EQ(get_word(few, i), 100 + i);
	CHECK(vm_reclaim(64) >= 64);
	CHECK_EQ(resident(few), RETURNED_FEW);
	blob_unref(few);
	blob_unref(idle);
	finish();
}

static void cold_pages(void)
{
	struct blob *used, *cold, *clone;

	test_case("what is said to be cold goes before what was accessed as lately");
	if (!begin())
		return;
	used = fill(SPACE_BASE, 100);
	cold = fill(page_at(PAGES), 1000);
	CHECK_EQ(map_advise(root, page_at(PAGES), PAGES * PAGE_SIZE, ADVISE_COLD), 0);
	CHECK(vm_reclaim(PAGES / 2) >= PAGES / 2);
	CHECK_EQ(resident(used), PAGES);
	CHECK(resident(cold) <= PAGES / 2);
	check_all(SPACE_BASE, 100);
	check_all(page_at(PAGES), 1000);

	test_case("what others share is not for one of them to call cold");
	reclaim_all();
	check_all(SPACE_BASE, 100);
	CHECK_EQ(blob_clone(cold, 0, PAGES, &clone), 0);
	map_all_at(root, page_at(2 * PAGES), clone);
	check_all(page_at(2 * PAGES), 1000);
	CHECK_EQ(map_advise(root, page_at(PAGES), PAGES * PAGE_SIZE, ADVISE_COLD), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, PAGES * PAGE_SIZE, ADVISE_COLD), 0);
	CHECK(vm_reclaim(64) >= 64);
	CHECK_EQ(resident(clone), PAGES);
	map_verify(root);
	blob_unref(clone);
	blob_unref(used);
	blob_unref(cold);
	finish();
}

/* Takes all pages that there are, linked by `next`. */
static struct page *take_all(void)
{
	struct page *page, *taken = NULL;

	while ((page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_RESERVE)) != NULL) {
		page->next = taken;
		taken = page;
	}
	return taken;
}

static void free_all(struct page *taken)
{
	while (taken) {
		struct page *next = taken->next;

		page_free(taken);
		taken = next;
	}
}

static void without_memory(void)
{
	struct page *taken;
	struct blob *blob;

	test_case("pages are given up and come back though all other memory is gone, the reserve with it");
	if (!begin())
		return;
	blob = fill(SPACE_BASE, 100);
	taken = take_all();
	CHECK(!page_alloc(PAGE_BLOB, 0));
	CHECK(vm_reclaim(64) >= 64);
	CHECK(resident(blob) <= PAGES - 64);
	check_all(SPACE_BASE, 100);
	for (pgoff_t i = 0; i < PAGES; i++)
		CHECK_EQ(user_store(root, page_at(i), 200 + i), 0);
	check_all(SPACE_BASE, 200);
	CHECK(disk.pages_written > PAGES && disk.pages_read > PAGES);
	free_all(taken);
	map_verify(root);
	blob_unref(blob);
	finish();
}

/* Takes all memory but about so many pages, in a list. */
static struct page *use_up(uint64_t leave)
{
	struct page *list = NULL, *page;

	while (page_free_count() > leave && (page = page_alloc(PAGE_KERNEL, 0)) != NULL) {
		page->next = list;
		list = page;
	}
	return list;
}

#define TRIES 1000u

/*
 * An instruction that needs two pages, of which one has room, as all others are dirty and the disk is full. Each of its faults brings in one and lets the
 * other go: that does not go on for ever.
 */
static void two_pages_for_one(void)
{
	struct page *taken = NULL, *page;
	struct blob *blob;
	unsigned tries = 0;
	uint64_t word;
	int error = 0;

	test_case("two pages that drive each other out do so for a while, and then there is no memory");
	root = space_open("reclaim");
	if (!root || !CHECK(disk_open(&disk, "test disk", 3)) || !CHECK_EQ(swap_on(&disk.device, 0), 0))
		return;
	blob = fill(SPACE_BASE, 100);
	CHECK_EQ(blob_page_out(blob, 0, 1), 0);
	CHECK_EQ(blob_page_out(blob, PAGES - 1, 1), 0);
	while ((page = page_alloc(PAGE_BLOB, 0)) != NULL) {
		page->next = taken;
		taken = page;
	}
	page = taken;
	taken = taken->next;
	page_free(page);
	while (!error && tries++ < TRIES &&
	       !(try_load(root, page_at(0), &word) && try_load(root, page_at(PAGES - 1), &word))) {
		error = user_load(root, page_at(0), &word);
		if (!error)
			error = user_load(root, page_at(PAGES - 1), &word);
	}
	CHECK_EQ(error, -ENOMEM);
	CHECK(tries > 1);
	free_all(taken);
	check_all(SPACE_BASE, 100);
	blob_unref(blob);
	finish();
}

static void wiring_makes_room(void)
{
	struct blob *blob, *other;
	struct page *taken;

	test_case("what is to be wired may need room to be made");
	if (!begin())
		return;
	blob = fill(SPACE_BASE, 100);
	other = fill(page_at(PAGES), 1000);
	CHECK_EQ(blob_page_out(other, 0, PAGES), 0);
	taken = use_up(PAGES / 4);
	CHECK_EQ(map_wire(root, page_at(PAGES), PAGES / 2 * PAGE_SIZE), 0);
	CHECK_EQ(blob_resident(other, 0, PAGES / 2), PAGES / 2);
	free_all(taken);
	check_all(SPACE_BASE, 100);
	check_all(page_at(PAGES), 1000);
	blob_unref(blob);
	blob_unref(other);
	finish();
}

void suite_reclaim(void)
{
	struct footprint before = footprint_now();

	there_and_back();
	used_pages_stay();
	files_pages_stay();
	wired_pages_stay();
	shared_pages();
	unmapped();
	full_disk();
	much_is_kept();
	passes();
	used_again();
	full_for_a_while();
	cold_pages();
	without_memory();
	wiring_makes_room();
	two_pages_for_one();
	test_case("nothing is lost or left");
	check_footprint(&before);
}
