/*
 * Blobs one by one: sizes, contents, commit and decommit, clones, pagers, devices, refusals.
 *
 * Random streams of the same calls against flat arrays are in suite_tree.c; blobs that are mapped, in
 * suite_map.c and suite_fault.c.
 */
#include "vm_suite.h"

#define LAST_PAGE ((BLOB_MAX_BYTES >> PAGE_SHIFT) - 1)

/* Beyond the RAM of any machine that runs the suites: device registers, or nothing at all. */
#define DEVICE_START ((paddr_t)0xfee00000)

static struct test_pager test_pager;

static void sparse_blob(void)
{
	uint64_t before = blob_pages_now();
	struct blob *blob = make_blob(LAST_PAGE + 1);

	test_case("a blob of 2^47 bytes costs only what is touched");
	CHECK_EQ(blob_size(blob), BLOB_MAX_BYTES);
	CHECK(page_is_zero(blob, 0));
	CHECK(page_is_zero(blob, LAST_PAGE));
	CHECK_EQ(blob_pages_now(), before);
	put_word(blob, 0, 1);
	put_word(blob, LAST_PAGE, 2);
	put_word(blob, LAST_PAGE / 2, 3);
	CHECK_EQ(blob_pages_now(), before + 3);
	CHECK_EQ(get_word(blob, 0), 1);
	CHECK_EQ(get_word(blob, LAST_PAGE), 2);
	CHECK_EQ(get_word(blob, LAST_PAGE / 2), 3);
	CHECK(page_is_zero(blob, 1));
	CHECK(page_is_zero(blob, LAST_PAGE - 1));
	CHECK_EQ(blob_resident(blob, 0, LAST_PAGE + 1), 3);
	CHECK_EQ(blob_resident(blob, 1, LAST_PAGE - 1), 1);
	CHECK_EQ(blob_decommit(blob, 0, LAST_PAGE + 1), 0);
	CHECK_EQ(blob_pages_now(), before);
	blob_unref(blob);
}

static void bytes_across_pages(void)
{
	static uint8_t out[3 * 4096], in[3 * 4096];
	struct blob *blob = make_blob(4);
	struct rng rng = {9};

	test_case("reads and writes of any bytes, across pages");
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = rng_next(&rng);
	CHECK_EQ(blob_write(blob, 1001, out, sizeof(out)), 0);
	CHECK_EQ(blob_read(blob, 1001, in, sizeof(in)), 0);
	CHECK(memcmp(out, in, sizeof(in)) == 0);
	CHECK_EQ(blob_read(blob, 0, in, 1002), 0);
	for (size_t i = 0; i < 1001; i++)
		CHECK(in[i] == 0);
	CHECK(in[1001] == out[0]);
	CHECK_EQ(blob_write(blob, 4 * PAGE_SIZE - 1, out, 1), 0);
	CHECK_EQ(blob_read(blob, 4 * PAGE_SIZE - 1, in, 1), 0);
	CHECK(in[0] == out[0]);
	CHECK_EQ(blob_read(blob, 4 * PAGE_SIZE, in, 0), 0);
	CHECK_EQ(blob_write(blob, 4 * PAGE_SIZE, out, 0), 0);
	blob_unref(blob);
}

static void commit_decommit(void)
{
	uint64_t before = blob_pages_now();
	struct blob *blob = make_blob(200);
	struct blob *clone;

	test_case("commit makes pages the blob's own, decommit forgets them");
	CHECK_EQ(blob_commit(blob, 60, 70), 0);
	CHECK_EQ(blob_pages_now(), before + 70);
	CHECK_EQ(blob_resident(blob, 0, 200), 70);
	CHECK_EQ(blob_resident(blob, 60, 70), 70);
	CHECK(page_is_zero(blob, 60) && page_is_zero(blob, 129));
	put_word(blob, 64, 5);
	CHECK_EQ(blob_clone(blob, 0, 200, &clone), 0);
	CHECK_EQ(blob_pages_now(), before + 70);
	CHECK_EQ(blob_commit(clone, 64, 10), 0);
	CHECK_EQ(blob_pages_now(), before + 80);
	CHECK_EQ(get_word(clone, 64), 5);
	CHECK_EQ(blob_decommit(blob, 50, 20), 0);
	CHECK_EQ(blob_resident(blob, 0, 200), 60);
	CHECK_EQ(blob_resident(clone, 0, 200), 70);
	CHECK(page_is_zero(blob, 64));
	CHECK_EQ(get_word(clone, 64), 5);
	CHECK_EQ(blob_decommit(blob, 64, 1), 0);
	blob_unref(clone);
	CHECK_EQ(blob_pages_now(), before + 60);
	CHECK_EQ(blob_decommit(blob, 0, 200), 0);
	CHECK_EQ(blob_pages_now(), before);
	blob_unref(blob);
}

/* Writes on either side of a clone of [offset, offset + pages) of a blob of 300 pages. */
static void check_window(pgoff_t offset, pgoff_t pages)
{
	uint64_t before = blob_pages_now();
	struct blob *source = make_blob(300);
	struct blob *clone = NULL;
	pgoff_t last = offset + pages - 1;

	for (pgoff_t i = 0; i < 300; i += 3)
		put_word(source, i, 1000 + i);
	CHECK_EQ(blob_clone(source, offset, pages, &clone), 0);
	CHECK_EQ(blob_size(clone), pages_to_bytes(pages));
	CHECK_EQ(blob_pages_now(), before + 100);
	for (pgoff_t i = 0; i < pages; i++)
		CHECK_EQ(get_word(clone, i), (offset + i) % 3 ? 0 : 1000 + offset + i);
	CHECK_EQ(blob_resident(clone, 0, pages), blob_resident(source, offset, pages));

	put_word(source, offset, 1);
	put_word(clone, pages - 1, 2);
	CHECK_EQ(get_word(clone, 0), pages == 1 ? 2 : offset % 3 ? 0 : 1000 + offset);
	CHECK_EQ(get_word(source, last), pages == 1 ? 1 : last % 3 ? 0 : 1000 + last);
	for (pgoff_t i = 0; i < 300; i++) {
		if (i != offset && i != last)
			CHECK_EQ(get_word(source, i), i % 3 ? 0 : 1000 + i);
	}
	if (offset % 2)
		blob_unref(source);
	else
		blob_unref(clone);
	blob_unref(offset % 2 ? clone : source);
	CHECK_EQ(blob_pages_now(), before);
}

static void clone_windows(void)
{
	test_case("clones of windows: writes on either side stay there");
	check_window(0, 300);
	check_window(0, 64);
	check_window(64, 128);
	check_window(63, 2);
	check_window(1, 298);
	check_window(65, 190);
	check_window(10, 1);
	check_window(299, 1);
	check_window(127, 66);
}

static void clone_of_small_tree(void)
{
	uint64_t before = blob_pages_now();
	struct blob *one = make_blob(1);
	struct blob *big = make_blob(100000);
	struct blob *two, *three;

	test_case("clones of blobs with one page, and of empty ones");
	put_word(one, 0, 7);
	CHECK_EQ(blob_clone(one, 0, 1, &two), 0);
	put_word(two, 0, 8);
	CHECK_EQ(get_word(one, 0), 7);
	put_word(one, 0, 9);
	CHECK_EQ(get_word(two, 0), 8);
	CHECK_EQ(blob_pages_now(), before + 2);
	blob_unref(one);
	blob_unref(two);
	/* The tree grows after the clone: each side's own way. */
	put_word(big, 0, 1);
	CHECK_EQ(blob_clone(big, 0, 100000, &two), 0);
	put_word(big, 99999, 2);
	put_word(two, 5000, 3);
	CHECK_EQ(get_word(two, 99999), 0);
	CHECK_EQ(get_word(big, 5000), 0);
	CHECK_EQ(get_word(two, 0), 1);
	CHECK_EQ(blob_clone(two, 4999, 2, &three), 0);
	CHECK_EQ(get_word(three, 1), 3);
	put_word(three, 0, 4);
	CHECK_EQ(get_word(two, 4999), 0);
	CHECK_EQ(blob_pages_now(), before + 4);
	blob_unref(two);
	CHECK_EQ(get_word(three, 1), 3);
	blob_unref(big);
	CHECK_EQ(blob_pages_now(), before + 2);
	blob_unref(three);
	CHECK_EQ(blob_pages_now(), before);
}

/* Four blobs: 0, its clone 1, that one's clone 2, and another clone 3 of 0; dropped in the order given. */
static void drop_in_order(const unsigned order[4])
{
	static const unsigned parents[4] = {0, 0, 1, 0};
	uint64_t before = blob_pages_now();
	struct blob *blobs[4];

	blobs[0] = make_blob(130);
	for (pgoff_t i = 0; i < 130; i++)
		put_word(blobs[0], i, i);
	for (unsigned b = 1; b < 4; b++) {
		CHECK_EQ(blob_clone(blobs[parents[b]], 0, 130, &blobs[b]), 0);
		put_word(blobs[b], b, 100 * b);
	}
	CHECK_EQ(blob_pages_now(), before + 133);
	for (unsigned i = 0; i < 4; i++) {
		blob_unref(blobs[order[i]]);
		for (unsigned left = i + 1; left < 4; left++) {
			unsigned b = order[left];

			CHECK_EQ(get_word(blobs[b], b), b == 0 ? 0 : 100 * b);
			CHECK_EQ(get_word(blobs[b], 1), b == 0 || b == 3 ? 1 : 100);
			CHECK_EQ(get_word(blobs[b], 129), 129);
		}
	}
	CHECK_EQ(blob_pages_now(), before);
}

static void drops(void)
{
	unsigned order[4];

	test_case("clones of clones, dropped in every order");
	for (unsigned code = 0; code < 256; code++) {
		unsigned seen = 0;

		for (unsigned i = 0; i < 4; i++) {
			order[i] = code >> (2 * i) & 3;
			seen |= 1u << order[i];
		}
		if (seen == 15)
			drop_in_order(order);
	}
}

static void generations(void)
{
	struct blob *blob = make_blob(100);
	struct footprint before;
	uint64_t pages;

	test_case("1000 generations of clones cost what one does");
	CHECK_EQ(blob_commit(blob, 0, 100), 0);
	before = footprint_now();
	pages = blob_pages_now();
	for (unsigned i = 0; i < 1000; i++) {
		struct blob *next = NULL;

		if (!CHECK_EQ(blob_clone(blob, 0, 100, &next), 0))
			break;
		put_word(next, i % 100, i);
		blob_unref(blob);
		blob = next;
	}
	CHECK_EQ(blob_pages_now(), pages);
	check_footprint(&before);
	for (pgoff_t i = 0; i < 100; i++)
		CHECK_EQ(get_word(blob, i), 900 + i);
	blob_unref(blob);
}

static struct blob *make_paged_blob(bool copies)
{
	struct blob *blob = NULL;

	test_pager_init(&test_pager);
	test_pager.copies = copies;
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &test_pager.pager, &blob), 0);
	return blob;
}

static void lent_pages(void)
{
	uint64_t before = blob_pages_now();
	struct blob *blob = make_paged_blob(false);
	struct blob *clone;

	test_case("a pager lends pages: asked once for each, copied when written");
	CHECK_EQ(test_pager.calls, 0);
	CHECK_EQ(get_word(blob, 3), PAGER_WORD + 3);
	CHECK_EQ(get_word(blob, 3), PAGER_WORD + 3);
	CHECK_EQ(test_pager.calls, 1);
	CHECK_EQ(blob_resident(blob, 0, PAGER_PAGES), 1);
	CHECK_EQ(blob_clone(blob, 1, PAGER_PAGES - 1, &clone), 0);
	CHECK_EQ(get_word(clone, 2), PAGER_WORD + 3);
	CHECK_EQ(test_pager.calls, 1);
	/* The clone's index, not its offset, is what the pager is asked for. */
	CHECK_EQ(get_word(clone, 199), PAGER_WORD + 200);
	CHECK_EQ(test_pager.calls, 2);
	CHECK_EQ(blob_pages_now(), before);
	put_word(clone, 2, 1);
	CHECK_EQ(get_word(blob, 3), PAGER_WORD + 3);
	put_word(blob, 3, 2);
	CHECK_EQ(get_word(clone, 2), 1);
	CHECK_EQ(blob_pages_now(), before + 2);
	CHECK_EQ(test_pager.calls, 2);
	CHECK_EQ(blob_decommit(blob, 3, 1), 0);
	CHECK_EQ(get_word(blob, 3), PAGER_WORD + 3);
	CHECK_EQ(test_pager.calls, 3);
	blob_unref(blob);
	CHECK(!test_pager.destroyed);
	CHECK_EQ(get_word(clone, 0), PAGER_WORD + 1);
	blob_unref(clone);
	CHECK_EQ(blob_pages_now(), before);
	test_pager_finish(&test_pager);
}

static void shared_page_in(void)
{
	struct blob *blob = make_paged_blob(false);
	struct blob *clone;

	test_case("a page that comes in through one clone is there for all who share its node");
	CHECK_EQ(get_word(blob, 70), PAGER_WORD + 70);
	CHECK_EQ(blob_clone(blob, 0, PAGER_PAGES, &clone), 0);
	CHECK_EQ(get_word(clone, 71), PAGER_WORD + 71);
	CHECK_EQ(test_pager.calls, 2);
	CHECK_EQ(get_word(blob, 71), PAGER_WORD + 71);
	CHECK_EQ(test_pager.calls, 2);
	CHECK_EQ(blob_resident(blob, 0, PAGER_PAGES), 2);
	blob_unref(blob);
	blob_unref(clone);
	test_pager_finish(&test_pager);
}

static void pager_copies(void)
{
	uint64_t before = blob_pages_now();
	struct blob *blob = make_paged_blob(true);
	struct blob *clone;

	test_case("a pager makes new pages: they are the blob's, written in place");
	CHECK_EQ(get_word(blob, 9), PAGER_WORD + 9);
	put_word(blob, 9, 1);
	CHECK_EQ(blob_pages_now(), before + 1);
	CHECK_EQ(blob_clone(blob, 9, 1, &clone), 0);
	put_word(blob, 9, 2);
	CHECK_EQ(get_word(clone, 0), 1);
	CHECK_EQ(blob_pages_now(), before + 2);
	CHECK_EQ(test_pager.calls, 1);
	CHECK_EQ(blob_commit(blob, 100, 3), 0);
	CHECK_EQ(get_word(blob, 102), PAGER_WORD + 102);
	CHECK_EQ(test_pager.calls, 4);
	blob_unref(blob);
	blob_unref(clone);
	CHECK_EQ(blob_pages_now(), before);
	test_pager_finish(&test_pager);
}

static void pager_outrun(void)
{
	uint64_t before = blob_pages_now();

	test_case("a page that was written while the pager fetched it stays as it was written");
	for (unsigned copies = 0; copies < 2; copies++) {
		struct blob *blob = make_paged_blob(copies);

		test_pager.write_meanwhile = blob;
		CHECK_EQ(get_word(blob, 4), ~4ul);
		CHECK_EQ(test_pager.calls, 2);
		CHECK_EQ(blob_pages_now(), before + 1);
		blob_unref(blob);
		CHECK_EQ(blob_pages_now(), before);
		test_pager_finish(&test_pager);
	}
}

static void pager_errors(void)
{
	static const int errors[] = {-EIO, -ENOMEM};
	struct blob *blob = make_paged_blob(false);
	uint64_t word = 5;

	test_case("a pager's error is passed on, and changes nothing");
	CHECK_EQ(get_word(blob, 0), PAGER_WORD);
	for (unsigned i = 0; i < 2; i++) {
		struct footprint before = footprint_now();

		test_pager.error = errors[i];
		CHECK_EQ(blob_read(blob, PAGE_SIZE, &word, sizeof(word)), errors[i]);
		CHECK_EQ(blob_write(blob, PAGE_SIZE, &word, sizeof(word)), errors[i]);
		CHECK_EQ(blob_commit(blob, 1, 1), errors[i]);
		CHECK_EQ(word, 5);
		CHECK_EQ(blob_resident(blob, 0, PAGER_PAGES), 1);
		CHECK_EQ(get_word(blob, 0), PAGER_WORD);
		check_footprint(&before);
	}
	test_pager.error = 0;
	CHECK_EQ(get_word(blob, 1), PAGER_WORD + 1);
	blob_unref(blob);
	test_pager_finish(&test_pager);
}

static void unzeroed(void)
{
	uint64_t misses = page_stats().zero_misses + page_stats().zero_hits;
	struct blob *blob = NULL;

	test_case("an unzeroed blob's new pages are not cleared; reading without mapping shows none");
	CHECK_EQ(blob_create(4 * PAGE_SIZE, BLOB_UNZEROED, &blob), 0);
	CHECK_EQ(blob_commit(blob, 0, 2), 0);
	CHECK_EQ(page_stats().zero_misses + page_stats().zero_hits, misses);
	CHECK(page_is_zero(blob, 3));
	CHECK_EQ(blob_resident(blob, 0, 4), 2);
	blob_unref(blob);
}

static void device(void)
{
	struct blob *blob = NULL;
	struct blob *clone = NULL;
	uint64_t word;

	test_case("device blobs: no clone, no contents without mapping");
	if (!CHECK_EQ(blob_create_device(DEVICE_START, 2 * PAGE_SIZE, CACHE_UNCACHED, &blob), 0))
		return;
	CHECK_EQ(blob_size(blob), 2 * PAGE_SIZE);
	CHECK_EQ(blob_clone(blob, 0, 1, &clone), -EINVAL);
	CHECK_EQ(blob_read(blob, 0, &word, sizeof(word)), -EINVAL);
	CHECK_EQ(blob_write(blob, 0, &word, sizeof(word)), -EINVAL);
	CHECK_EQ(blob_commit(blob, 0, 1), -EINVAL);
	CHECK_EQ(blob_decommit(blob, 0, 1), -EINVAL);
	blob_unref(blob);
	CHECK_EQ(blob_create_device(DEVICE_START + 1, PAGE_SIZE, CACHE_UNCACHED, &blob), -EINVAL);
	CHECK_EQ(blob_create_device(DEVICE_START, 0, CACHE_UNCACHED, &blob), -EINVAL);
	CHECK_EQ(blob_create_device(DEVICE_START, 100, CACHE_UNCACHED, &blob), -EINVAL);
	CHECK_EQ(blob_create_device(~PAGE_MASK, 2 * PAGE_SIZE, CACHE_UNCACHED, &blob), -EINVAL);
	CHECK_EQ(blob_create_device(LAYOUT_PHYSICAL_BYTES, PAGE_SIZE, CACHE_UNCACHED, &blob), -EINVAL);
	/* RAM: what a blob of ours has a page of. */
	clone = make_blob(1);
	put_word(clone, 0, 1);
	CHECK_EQ(blob_create_device(0x200000, PAGE_SIZE, CACHE_UNCACHED, &blob), -EINVAL);
	blob_unref(clone);
}

static void refusals(void)
{
	struct blob *blob = make_blob(10);
	struct blob *out = NULL;
	struct footprint before = footprint_now();
	uint64_t word = 77;

	test_case("bad arguments are refused, and change nothing");
	CHECK_EQ(blob_create(0, 0, &out), -EINVAL);
	CHECK_EQ(blob_create(PAGE_SIZE + 1, 0, &out), -EINVAL);
	CHECK_EQ(blob_create(BLOB_MAX_BYTES + PAGE_SIZE, 0, &out), -EINVAL);
	CHECK_EQ(blob_create(~PAGE_MASK, 0, &out), -EINVAL);
	CHECK_EQ(blob_create(PAGE_SIZE, 2, &out), -EINVAL);
	test_pager_init(&test_pager);
	CHECK_EQ(blob_create_paged(0, &test_pager.pager, &out), -EINVAL);
	CHECK_EQ(test_pager.pager.refs, 1);
	CHECK_EQ(blob_clone(blob, 0, 0, &out), -EINVAL);
	CHECK_EQ(blob_clone(blob, 10, 1, &out), -EINVAL);
	CHECK_EQ(blob_clone(blob, 0, 11, &out), -EINVAL);
	CHECK_EQ(blob_clone(blob, 5, UINT64_MAX, &out), -EINVAL);
	CHECK_EQ(blob_clone(blob, UINT64_MAX, 2, &out), -EINVAL);
	CHECK_EQ(blob_read(blob, 10 * PAGE_SIZE - 7, &word, 8), -EINVAL);
	CHECK_EQ(blob_write(blob, 10 * PAGE_SIZE, &word, 1), -EINVAL);
	CHECK_EQ(blob_write(blob, UINT64_MAX, &word, 2), -EINVAL);
	CHECK_EQ(blob_read(blob, 1, &word, SIZE_MAX), -EINVAL);
	CHECK_EQ(blob_commit(blob, 9, 2), -EINVAL);
	CHECK_EQ(blob_commit(blob, 0, 0), -EINVAL);
	CHECK_EQ(blob_decommit(blob, 10, 1), -EINVAL);
	CHECK_EQ(blob_decommit(blob, 0, 0), -EINVAL);
	CHECK_EQ(blob_resident(blob, 9, 2), 0);
	CHECK_EQ(word, 77);
	CHECK(out == NULL);
	CHECK_EQ(blob_resident(blob, 0, 10), 0);
	check_footprint(&before);
	blob_unref(blob);
}

void suite_blob(void)
{
	struct footprint before;

	/* First, as descriptors of device pages stay for good. */
	device();
	before = footprint_now();
	sparse_blob();
	bytes_across_pages();
	commit_decommit();
	clone_windows();
	clone_of_small_tree();
	drops();
	generations();
	lent_pages();
	shared_page_in();
	pager_copies();
	pager_outrun();
	pager_errors();
	unzeroed();
	refusals();
	device();
	test_case("all memory is back");
	check_footprint(&before);
}
