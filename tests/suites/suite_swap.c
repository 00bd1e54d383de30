/*
 * The swap store: places, runs and their neighbours, zeroes, references, several devices, one that goes; and disks that err in every way that
 * disk.h knows: nobody gets anything but what he wrote, or an error.
 */
#include <vm/swap.h>

#include "../../kern/vm/bitset.h"
#include "../../kern/vm/swap_internal.h"
#include "disk.h"
#include "vm_suite.h"

#define PLACES 512u
#define PAGES  100u /* of most blobs: three clusters and four pages */

static struct disk disk, other;

static struct swap_stats stats(void)
{
	struct swap_stats now;

	swap_stats(&now);
	return now;
}

static bool begin_with(unsigned pages)
{
	return CHECK(disk_open(&disk, "test disk", pages)) && CHECK_EQ(swap_on(&disk.device, 0), 0);
}

/* Whatever a case did, nothing of it is left. */
static void finish(void)
{
	disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
	CHECK_EQ(stats().used, 0);
	CHECK_EQ(swap_off(&disk.device), 0);
	disk_close(&disk);
}

static uint64_t word_of(uint64_t seed, pgoff_t page)
{
	return seed + page * 0x9e3779b97f4a7c15;
}

static struct blob *make_words(pgoff_t pages, uint64_t seed)
{
	struct blob *blob = make_blob(pages);

	for (pgoff_t i = 0; i < pages; i++)
		put_word(blob, i, word_of(seed, i));
	return blob;
}

static void check_words(struct blob *blob, pgoff_t pages, uint64_t seed)
{
	for (pgoff_t i = 0; i < pages; i++)
		CHECK_EQ(get_word(blob, i), word_of(seed, i));
}

static int page_out(struct blob *blob)
{
	return blob_page_out(blob, 0, blob_size(blob) >> PAGE_SHIFT);
}

/* ---- Sets of numbers --------------------------------------------------------------------------------- */

#define SET_BITS 5000u

static void sets(void)
{
	static uint64_t words[128];
	static bool plain[SET_BITS];
	struct rng rng = {77};
	struct bitset set;

	test_case("a set of numbers says the same as a table, whatever was added and removed");
	if (!CHECK(bitset_words(SET_BITS) <= sizeof(words) / sizeof(words[0])))
		return;
	memset(words, 0, sizeof(words));
	memset(plain, 0, sizeof(plain));
	bitset_init(&set, SET_BITS, words);
	CHECK_EQ(bitset_next(&set, 0), BITSET_NONE);
	for (unsigned step = 0; step < 3000; step++) {
		uint64_t number = rng_below(&rng, SET_BITS), from = rng_below(&rng, SET_BITS + 70),
			 next = from;

		plain[number] = rng_below(&rng, 100) < 40;
		if (plain[number])
			bitset_add(&set, number);
		else
			bitset_remove(&set, number);
		while (next < SET_BITS && !plain[next])
			next++;
		CHECK_EQ(bitset_next(&set, from), next < SET_BITS ? next : BITSET_NONE);
		CHECK_EQ(bitset_has(&set, number), plain[number]);
	}
}

/* ---- There and back ------------------------------------------------------------------------------------ */

static void there_and_back(void)
{
	struct blob *blob;

	test_case("neighbours go out in runs and with one request each, and come back as they were");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 1);
	CHECK_EQ(page_out(blob), 0);
	CHECK_USAGE(blob, .paged_out = PAGES);
	CHECK_EQ(stats().used, PAGES);
	CHECK_EQ(disk.writes, 4);
	CHECK_EQ(disk.pages_written, PAGES);
	check_words(blob, PAGES, 1);
	CHECK_EQ(disk.pages_read, PAGES);

	test_case("a page that came back keeps its place until it is written to, and is not written again");
	CHECK_USAGE(blob, .resident = PAGES);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(disk.pages_written, PAGES);
	put_word(blob, 7, 99);
	CHECK_EQ(stats().used, PAGES - 1);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(disk.pages_written, PAGES + 1);
	CHECK_EQ(get_word(blob, 7), 99);
	blob_unref(blob);
	CHECK_EQ(stats().used, 0);
	finish();
}

static void zeroes(void)
{
	struct blob *blob, *clone;

	test_case("pages of zeroes are nowhere, and come back as zeroes");
	if (!begin_with(PLACES))
		return;
	blob = make_blob(10);
	for (pgoff_t i = 0; i < 10; i++)
		put_word(blob, i, i % 2);
	CHECK_EQ(page_out(blob), 0);
	CHECK_USAGE(blob, .paged_out = 5, .zeroes = 5);
	CHECK_EQ(disk.pages_written, 5);
	CHECK_EQ(blob_clone(blob, 0, 10, &clone), 0);
	for (pgoff_t i = 0; i < 10; i++)
		CHECK_EQ(get_word(clone, i), i % 2);
	CHECK(page_is_zero(blob, 0));
	put_word(blob, 0, 5);
	CHECK_EQ(get_word(clone, 0), 0);
	blob_unref(blob);
	blob_unref(clone);
	finish();
}

/* A page is not of zeroes for one byte that is none, wherever it is. */
static void nearly_zeroes(void)
{
	static const unsigned places[] = {0, 9, 18, 27, 36, 45, 54, 63, PAGE_SIZE / 2, PAGE_SIZE - 1};
	enum { COUNT = sizeof(places) / sizeof(places[0]) };
	struct blob *blob;
	uint8_t byte;

	test_case("a page with one byte in it is kept as another is");
	if (!begin_with(PLACES))
		return;
	blob = make_blob(COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		byte = 1 + i;
		CHECK_EQ(blob_write(blob, pages_to_bytes(i) + places[i], &byte, 1), 0);
	}
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(disk.pages_written, COUNT);
	for (unsigned i = 0; i < COUNT; i++) {
		CHECK_EQ(blob_read(blob, pages_to_bytes(i) + places[i], &byte, 1), 0);
		CHECK_EQ(byte, 1 + i);
	}
	blob_unref(blob);
	finish();
}

static void clones(void)
{
	struct blob *blob, *clones[5];

	test_case("a page that clones share is written once, and its place is free with the last of them");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 3);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(blob_clone(i ? clones[i - 1] : blob, 0, PAGES, &clones[i]), 0);
	/* A node of its own for one of them. */
	put_word(clones[2], 1, 77);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(disk.pages_written, PAGES);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(page_out(clones[i]), 0);
	CHECK_EQ(disk.pages_written, PAGES + 1);
	CHECK_EQ(stats().used, PAGES + 1);
	blob_unref(blob);
	for (unsigned i = 0; i < 4; i++) {
		if (i != 2)
			check_words(clones[i], PAGES, 3);
		blob_unref(clones[i]);
	}
	CHECK_EQ(stats().used, PAGES);
	check_words(clones[4], PAGES, 3);
	blob_unref(clones[4]);
	finish();
}

/* ---- Too little room --------------------------------------------------------------------------------------- */

static void full(void)
{
	struct blob *blob, *late;

	test_case("a device that is full takes no more, and what did not fit stays");
	if (!begin_with(65))
		return;
	blob = make_words(PAGES, 4);
	CHECK_EQ(page_out(blob), -ENOSPC);
	CHECK_USAGE(blob, .resident = PAGES - 64, .paged_out = 64, .dirty = PAGES - 64);
	late = make_words(3, 5);
	CHECK_EQ(page_out(late), -ENOSPC);
	CHECK_EQ(blob_decommit(blob, 10, 2), 0);
	CHECK_EQ(page_out(late), -ENOSPC);
	CHECK_USAGE(late, .resident = 1, .paged_out = 2, .dirty = 1);
	check_words(late, 3, 5);
	blob_unref(late);
	for (pgoff_t i = 20; i < PAGES; i++)
		CHECK_EQ(get_word(blob, i), word_of(4, i));
	blob_unref(blob);
	finish();
}

static void one_place(void)
{
	struct blob *blob;

	test_case("a device of one place works, and one of none is refused");
	CHECK(disk_open(&other, "no disk", 1));
	CHECK_EQ(swap_on(&other.device, 0), -EINVAL);
	CHECK_EQ(swap_off(&other.device), -EINVAL);
	disk_close(&other);
	if (!begin_with(2))
		return;
	CHECK_EQ(swap_on(&disk.device, 0), -EBUSY);
	blob = make_words(3, 6);
	CHECK_EQ(page_out(blob), -ENOSPC);
	CHECK_USAGE(blob, .resident = 2, .paged_out = 1, .dirty = 2);
	check_words(blob, 3, 6);
	blob_unref(blob);
	finish();
}

/* Takes and frees at random until the device is in pieces: all of it can still be used, and nothing is lost. */
static void pieces(void)
{
	enum { BLOBS = 12, SIZE = 40 };
	static struct blob *blobs[BLOBS];
	struct rng rng = {4711};

	test_case("a device in pieces is used to its last place");
	if (!begin_with(BLOBS * SIZE / 2))
		return;
	for (unsigned i = 0; i < BLOBS; i++)
		blobs[i] = make_words(SIZE, i);
	for (unsigned round = 0; round < 200; round++) {
		unsigned i = (unsigned)rng_below(&rng, BLOBS);
		pgoff_t page = rng_below(&rng, SIZE);

		CHECK_EQ(get_word(blobs[i], page), word_of(i, page));
		if (rng_below(&rng, 2) == 0)
			put_word(blobs[i], page, word_of(i, page));
		(void)blob_page_out(blobs[i], page, rng_below(&rng, SIZE - page) + 1);
	}
	for (unsigned i = 0; i < BLOBS; i++)
		(void)page_out(blobs[i]);
	CHECK_EQ(stats().used, stats().pages);
	for (unsigned i = 0; i < BLOBS; i++) {
		check_words(blobs[i], SIZE, i);
		blob_unref(blobs[i]);
	}
	finish();
}

/* ---- Several devices ---------------------------------------------------------------------------------------- */

static void several(void)
{
	struct swap_info info[2];
	struct blob *blob;

	test_case("the device of higher priority is filled first, those of the same in turn");
	if (!begin_with(PLACES) || !CHECK(disk_open(&other, "other disk", 33)))
		return;
	CHECK_EQ(swap_on(&other.device, 5), 0);
	blob = make_words(PAGES, 7);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(swap_devices(info, 2), 2);
	CHECK_STR(info[0].name, "other disk");
	CHECK_EQ(info[0].used, 32);
	CHECK_EQ(info[1].used, PAGES - 32);
	check_words(blob, PAGES, 7);

	test_case("a device goes: what is on it comes back, or goes to others");
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(swap_off(&other.device), 0);
	CHECK_EQ(swap_devices(info, 2), 1);
	CHECK_EQ(stats().used, PAGES - 32);
	check_words(blob, PAGES, 7);

	test_case("with the same priority, each takes a run at a time");
	CHECK_EQ(swap_on(&other.device, 0), 0);
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, word_of(8, i));
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(swap_devices(info, 2), 2);
	CHECK(info[0].used == 32 || info[1].used == 32);
	CHECK_EQ(swap_off(&disk.device), 0);
	check_words(blob, PAGES, 8);
	CHECK_EQ(swap_on(&disk.device, 0), 0);
	blob_unref(blob);
	CHECK_EQ(swap_off(&other.device), 0);
	disk_close(&other);
	finish();
}

static void off_of_clones(void)
{
	struct blob *blob, *clone;

	test_case("a device goes that clones, and clean pages, have places on");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 9);
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	put_word(clone, 70, 1);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(page_out(clone), 0);
	CHECK_EQ(get_word(blob, 3), word_of(9, 3));
	CHECK_EQ(swap_off(&disk.device), 0);
	CHECK_EQ(swap_on(&disk.device, 0), 0);
	CHECK_USAGE(blob, .resident = PAGES, .dirty = PAGES, .shared = PAGES - 1, .shared_dirty = PAGES - 1);
	check_words(blob, PAGES, 9);
	CHECK_EQ(get_word(clone, 70), 1);
	CHECK_EQ(get_word(clone, 71), word_of(9, 71));
	blob_unref(blob);
	blob_unref(clone);
	finish();
}

static struct blob *written_meanwhile;
static int written_error; /* what that said */

static void write_out_meanwhile(void)
{
	written_error = page_out(written_meanwhile);
}

/* While its first page comes back, somebody writes pages. */
static void off_while_written(void)
{
	struct swap_info info[2];
	struct blob *blob, *second;

	test_case("a device that is left takes nothing more: others do");
	if (!begin_with(PLACES) || !CHECK(disk_open(&other, "other disk", PLACES)))
		return;
	blob = make_words(PAGES, 45);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(swap_on(&other.device, 0), 0);
	second = make_words(PAGES, 46);
	written_meanwhile = second;
	disk.meanwhile = write_out_meanwhile;
	CHECK_EQ(swap_off(&disk.device), 0);
	CHECK_EQ(written_error, 0);
	CHECK_EQ(swap_devices(info, 2), 1);
	CHECK_EQ(info[0].used, PAGES);
	CHECK_EQ(other.pages_written, PAGES);
	CHECK_EQ(disk.pages_written, PAGES);
	check_words(blob, PAGES, 45);

	test_case("if there is no other, there is no room");
	written_meanwhile = blob;
	other.meanwhile = write_out_meanwhile;
	CHECK_EQ(swap_off(&other.device), 0);
	CHECK_EQ(written_error, -ENOSPC);
	check_words(blob, PAGES, 45);
	check_words(second, PAGES, 46);
	blob_unref(blob);
	blob_unref(second);
	disk_close(&other);
	CHECK_EQ(swap_on(&disk.device, 0), 0);
	finish();
}

static void off_fails(void)
{
	struct blob *blob;

	test_case("a device that cannot be read stays, with all that is there");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 10);
	CHECK_EQ(page_out(blob), 0);
	disk_fail(&disk, DISK_FAILS, false, true, 1, DISK_ALWAYS);
	CHECK_EQ(swap_off(&disk.device), -EIO);
	disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
	check_words(blob, PAGES, 10);
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, word_of(11, i));
	CHECK_EQ(page_out(blob), 0);
	check_words(blob, PAGES, 11);
	blob_unref(blob);
	finish();
}

/* ---- Disks that err -------------------------------------------------------------------------------------- */

static void write_errors(void)
{
	struct blob *blob;

	test_case("a write that fails costs the places, and the pages go to others");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 12);
	disk_fail(&disk, DISK_SHORT, true, false, 1, 2);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(disk.faults, 2);
	CHECK_EQ(stats().used, PAGES);
	CHECK_EQ(stats().bad, 64);
	check_words(blob, PAGES, 12);

	test_case("a disk that takes nothing is an error, and the pages stay");
	for (pgoff_t i = 0; i < PAGES; i++)
		put_word(blob, i, word_of(13, i));
	disk_fail(&disk, DISK_FAILS, true, false, 0, DISK_ALWAYS);
	CHECK_EQ(page_out(blob), -EIO);
	CHECK_USAGE(blob, .resident = PAGES, .dirty = PAGES);
	check_words(blob, PAGES, 13);
	blob_unref(blob);
	finish();
}

static void read_errors(void)
{
	struct blob *blob;
	uint64_t word;

	test_case("a read that fails is tried once more");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 14);
	CHECK_EQ(page_out(blob), 0);
	disk_fail(&disk, DISK_SHORT, false, true, 0, 1);
	CHECK_EQ(get_word(blob, 0), word_of(14, 0));
	CHECK_EQ(disk.faults, 1);

	test_case("a page that cannot be read is an error for who reads it, again and again, and for nobody "
		  "else");
	disk_fail(&disk, DISK_FAILS, false, true, 0, DISK_ALWAYS);
	CHECK_EQ(blob_read(blob, PAGE_SIZE, &word, sizeof(word)), -EIO);
	CHECK_EQ(blob_read(blob, PAGE_SIZE, &word, sizeof(word)), -EIO);
	CHECK_EQ(stats().bad, 1);
	CHECK_EQ(get_word(blob, 0), word_of(14, 0));
	disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
	check_words(blob, PAGES, 14);
	blob_unref(blob);
	finish();
}

/* What the store says to whoever asks for a location as such a page of such a family; the page's first word. */
static int ask(struct page_wanted wanted, uint64_t *word)
{
	struct page *page;
	int given = swap.pager.ops->get_pages(&swap.pager, &wanted, 1, &page);

	if (given != 1)
		return given;
	*word = *(const uint64_t *)page_data(page);
	page_free(page);
	return 0;
}

/* Who asks for a page by mistake gets an error, and not the page. */
static void whose_page(void)
{
	struct page_wanted wanted;
	struct blob *blob;
	uint64_t word = 0;
	bool shared;

	test_case("a page is given only as the one that it was written as");
	if (!begin_with(PLACES))
		return;
	blob = make_words(2, 47);
	CHECK_EQ(page_out(blob), 0);
	spin_lock(&blob->family->lock);
	wanted = (struct page_wanted){blob->base, slot_location(*tree_find(&blob->tree, blob->base, &shared)),
				      blob->family->number};
	family_unlock(blob->family);
	CHECK_EQ(ask(wanted, &word), 0);
	CHECK_EQ(word, word_of(47, 0));
	wanted.index++;
	CHECK_EQ(ask(wanted, &word), -EIO);
	wanted.index--;
	wanted.family++;
	CHECK_EQ(ask(wanted, &word), -EIO);
	check_words(blob, 2, 47);
	blob_unref(blob);
	finish();
}

/* The disk errs at one request, when pages are written or read. How many of the pages are lost then; those that can be had are right. */
static unsigned lost_to(enum disk_fault fault, bool write, unsigned at)
{
	struct blob *blob = make_words(PAGES, 20), *before = make_words(PAGES, 19);
	unsigned lost = 0;

	/* What lies there from before is as good a page as any. */
	CHECK_EQ(page_out(before), 0);
	blob_unref(before);
	disk_fail(&disk, fault, write, !write, at, 1);
	CHECK_EQ(page_out(blob), 0);
	for (pgoff_t i = 0; i < PAGES; i++) {
		uint64_t word = 0;
		int error = blob_read(blob, i * PAGE_SIZE, &word, sizeof(word));

		if (error) {
			CHECK_EQ(error, -EIO);
			lost++;
		} else {
			CHECK_EQ(word, word_of(20, i));
		}
	}
	CHECK_EQ(disk.faults, 1);
	disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
	blob_unref(blob);
	return lost;
}

static void lies(void)
{
	test_case(
		"what a disk lost, put elsewhere or changed is an error for its pages, and never delivered");
	if (!begin_with(PLACES))
		return;
	for (unsigned at = 0; at < 4; at++) {
		uint64_t bad = stats().bad, mismatches = stats().mismatches;
		unsigned lost = lost_to(DISK_LOSES, true, at);

		CHECK(lost > 0 && lost <= PAGER_CLUSTER);
		CHECK_EQ(stats().bad, bad + lost);
		CHECK(stats().mismatches >= mismatches + lost);
		CHECK(lost_to(DISK_MISDIRECTS, true, at) > 0);
		CHECK_EQ(lost_to(DISK_FLIPS, true, at), 1);
		/* What was only read wrong is right when it is read again. */
		CHECK_EQ(lost_to(DISK_MISDIRECTS, false, at), 0);
		CHECK_EQ(lost_to(DISK_FLIPS, false, at), 0);
		CHECK_EQ(lost_to(DISK_FAILS, false, at), 0);
	}
	finish();
}

static void damage_is_shared(void)
{
	struct blob *blob, *clone;
	uint64_t word;

	test_case("a damaged page is an error for all who share it, until they write or forget it; its place "
		  "is not used again");
	if (!begin_with(3))
		return;
	blob = make_words(1, 30);
	CHECK_EQ(blob_clone(blob, 0, 1, &clone), 0);
	disk_fail(&disk, DISK_FLIPS, true, false, 0, 1);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(blob_read(blob, 0, &word, sizeof(word)), -EIO);
	CHECK_EQ(blob_read(clone, 0, &word, sizeof(word)), -EIO);
	CHECK_EQ(blob_decommit(blob, 0, 1), 0);
	CHECK(page_is_zero(blob, 0));
	CHECK_EQ(blob_read(clone, 0, &word, sizeof(word)), -EIO);
	CHECK_EQ(stats().used, 1);
	blob_unref(clone);
	CHECK_EQ(stats().used, 0);
	CHECK_EQ(stats().bad, 1);
	put_word(blob, 0, 1);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(get_word(blob, 0), 1);
	blob_unref(blob);
	finish();
}

/* A program is told of a damaged page by its fault. */
static void damage_at_a_fault(void)
{
	struct map *root = space_open("swap");
	struct blob *blob;
	uint64_t word;

	test_case("an access to a damaged page is refused as the pager's error");
	if (!root || !begin_with(PLACES))
		return;
	blob = make_words(2, 31);
	map_all_at(root, SPACE_BASE, blob);
	disk_fail(&disk, DISK_FLIPS, true, false, 0, 1);
	CHECK_EQ(page_out(blob), 0);
	CHECK_EQ(user_load(root, SPACE_BASE, &word), -EIO);
	CHECK_EQ(user_store(root, SPACE_BASE, 1), -EIO);
	CHECK_EQ(user_load(root, SPACE_BASE + PAGE_SIZE, &word), 0);
	CHECK_EQ(word, word_of(31, 1));
	blob_unref(blob);
	space_close(root);
	finish();
}

/* A disk that did not answer in time holds pages; what was written of them elsewhere goes with their contents all the same. */
static void kept_pages(void)
{
	struct blob *blob, *clone;

	test_case("a page that a device keeps loses no place, whatever becomes of it, and is written to as "
		  "others are");
	if (!begin_with(PLACES))
		return;
	blob = make_words(PAGES, 41);
	disk_fail(&disk, DISK_KEEPS, true, false, 0, 1);
	CHECK_EQ(blob_sync(blob, 0, PAGES), 0);
	CHECK_EQ(disk.kept_count, 32);
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	check_words(blob, PAGES, 41);
	for (pgoff_t i = 0; i < PAGES; i += 2)
		put_word(blob, i, word_of(42, i));
	for (pgoff_t i = 0; i < PAGES; i++) {
		CHECK_EQ(get_word(blob, i), word_of(i % 2 ? 41 : 42, i));
		CHECK_EQ(get_word(clone, i), word_of(41, i));
	}
	blob_unref(blob);
	CHECK_EQ(page_out(clone), 0);
	check_words(clone, PAGES, 41);
	CHECK_EQ(blob_sync(clone, 0, PAGES), 0);
	blob_unref(clone);
	CHECK_EQ(stats().used, 0);
	disk_let_go(&disk);
	CHECK_EQ(stats().used, 0);

	test_case("a page that a device kept, and that is forgotten, goes when the device lets go");
	blob = make_words(PAGES, 43);
	disk_fail(&disk, DISK_KEEPS, true, false, 0, 1);
	CHECK_EQ(blob_sync(blob, 0, PAGES), 0);
	CHECK_EQ(blob_decommit(blob, 0, PAGES), 0);
	CHECK_EQ(stats().used, 0);
	blob_unref(blob);
	disk_let_go(&disk);
	finish();
}

/* A disk that did not answer when it was read may still write to the frame that it was given. */
static void kept_frame(void)
{
	struct blob *blob;

	test_case("what is read again is not in the frame that a device keeps");
	if (!begin_with(PLACES))
		return;
	blob = make_words(1, 44);
	CHECK_EQ(page_out(blob), 0);
	disk_fail(&disk, DISK_KEEPS, false, true, 0, 1);
	CHECK_EQ(get_word(blob, 0), word_of(44, 0));
	if (CHECK_EQ(disk.kept_count, 1))
		memset(page_data(disk.kept[0]), 0xff, PAGE_SIZE);
	CHECK_EQ(get_word(blob, 0), word_of(44, 0));
	put_word(blob, 0, 1);
	CHECK_EQ(stats().used, 0);
	disk_let_go(&disk);
	blob_unref(blob);
	finish();
}

static struct blob *written_twice;

static void write_again(void)
{
	CHECK_EQ(blob_sync(written_twice, 0, 1), 0);
}

static void write_again_and_copy(void)
{
	write_again();
	put_word(written_twice, 0, 2);
}

/* Who writes the page first does not know that a device has it; who does comes second. */
static void kept_while_written(void (*meanwhile)(void), uint64_t found)
{
	if (!begin_with(PLACES))
		return;
	written_twice = make_words(1, 1);
	disk_fail(&disk, DISK_KEEPS, true, false, 0, 1);
	disk.meanwhile = meanwhile;
	CHECK_EQ(blob_sync(written_twice, 0, 1), 0);
	CHECK_EQ(disk.kept_count, 1);
	CHECK_EQ(get_word(written_twice, 0), found);
	CHECK_EQ(page_out(written_twice), 0);
	CHECK_EQ(get_word(written_twice, 0), found);
	blob_unref(written_twice);
	CHECK_EQ(stats().used, 0);
	disk_let_go(&disk);
	finish();
}

static void kept_and_written_twice(void)
{
	test_case("a page that one writes while a device keeps it from another loses no place");
	kept_while_written(write_again, 1);
	test_case("nor if it is copied meanwhile");
	kept_while_written(write_again_and_copy, 2);
}

/* ---- Checksums ------------------------------------------------------------------------------------- */

#define SUM_WORDS (PAGE_SIZE / sizeof(uint64_t))
#define WORD_BITS 64u

/* How often one flipped bit, and two words in each other's places, leave a page's sum as it is. Good sums do that once in 2^32. */
static unsigned unnoticed(struct page *page)
{
	uint64_t *words = page_data(page);
	uint32_t sum = swap_sum(page, 1, 1);
	unsigned count = 0;

	for (unsigned bit = 0; bit < SUM_WORDS * WORD_BITS; bit++) {
		words[bit / WORD_BITS] ^= 1ull << bit % WORD_BITS;
		count += swap_sum(page, 1, 1) == sum;
		words[bit / WORD_BITS] ^= 1ull << bit % WORD_BITS;
	}
	for (unsigned i = 0; i < SUM_WORDS; i++) {
		unsigned other_word = (i * 7 + 1) % SUM_WORDS;
		uint64_t word = words[i];

		if (word == words[other_word])
			continue;
		words[i] = words[other_word];
		words[other_word] = word;
		count += swap_sum(page, 1, 1) == sum;
		words[other_word] = words[i];
		words[i] = word;
	}
	return count;
}

static void sums(void)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	uint64_t *words;

	test_case("any bit that flips changes a page's checksum, and so do its owner, its write, and words "
		  "in other places");
	if (!CHECK(page))
		return;
	words = page_data(page);
	memset(words, 0, PAGE_SIZE);
	CHECK_EQ(unnoticed(page), 0);
	for (unsigned i = 0; i < SUM_WORDS; i++)
		words[i] = word_of(5, i);
	CHECK_EQ(unnoticed(page), 0);
	for (unsigned bit = 0; bit < 32; bit++) {
		CHECK(swap_sum(page, 1u << bit, 0) != swap_sum(page, 0, 0));
		CHECK(swap_sum(page, 0, 1u << bit) != swap_sum(page, 0, 0));
		CHECK(swap_owner(1u << bit, 0) != swap_owner(0, 0));
		CHECK(swap_owner(0, 1ull << bit) != swap_owner(0, 0));
	}
	page_free(page);
}

void suite_swap(void)
{
	struct footprint before = footprint_now();

	sets();
	sums();
	there_and_back();
	zeroes();
	nearly_zeroes();
	clones();
	full();
	one_place();
	pieces();
	several();
	off_of_clones();
	off_while_written();
	off_fails();
	write_errors();
	read_errors();
	whose_page();
	lies();
	damage_is_shared();
	damage_at_a_fault();
	kept_pages();
	kept_frame();
	kept_and_written_twice();
	test_case("nothing is lost or left");
	check_footprint(&before);
}
