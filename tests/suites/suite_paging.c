/*
 * Page out, page in and sync of blobs, through the simulated disk of store.c: what is written when, what comes back, for whom;
 * what others do meanwhile; and that no location is lost.
 *
 * What maps have to do with it (translations, advice, what is listed) is suite_paging_maps.c's, wiring suite_wire.c's.
 */
#include "store.h"
#include "vm_suite.h"

#define LOCATIONS 256
#define PAGES     72 /* of most blobs: clusters of 32, 32 and 8 */
#define CLUSTERS  3

/* A blob whose page i begins with `word` + i, all written. */
static struct blob *make_words(pgoff_t pages, uint64_t word)
{
	struct blob *blob = make_blob(pages);

	for (pgoff_t i = 0; i < pages; i++)
		put_word(blob, i, word + i);
	return blob;
}

static void check_words(struct blob *blob, pgoff_t first, pgoff_t end, uint64_t word)
{
	for (pgoff_t i = first; i < end; i++)
		CHECK_EQ(get_word(blob, i), word + i);
}

static int page_out_all(struct blob *blob)
{
	return blob_page_out(blob, 0, blob_size(blob) >> PAGE_SHIFT);
}

static int sync_all(struct blob *blob)
{
	return blob_sync(blob, 0, blob_size(blob) >> PAGE_SHIFT);
}

/* ---- One blob ----------------------------------------------------------------------------------- */

static void there_and_back(void)
{
	uint64_t pages_before = blob_pages_now();
	struct blob *blob = make_words(PAGES, 100);
	struct blob_usage usage;

	test_case("pages that were written go out in clusters, and come back with the next access");
	CHECK_USAGE(blob, .resident = PAGES, .dirty = PAGES);
	CHECK_EQ(page_out_all(blob), 0);
	CHECK_USAGE(blob, .paged_out = PAGES);
	CHECK_EQ(blob_pages_now(), pages_before);
	CHECK_EQ(store_used(), PAGES);
	CHECK_EQ(store_counts().puts, CLUSTERS);
	CHECK_EQ(store_counts().pages_put, PAGES);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 0);
	check_words(blob, 0, PAGES, 100);
	CHECK_EQ(store_counts().pages_got, PAGES);
	CHECK_USAGE(blob, .resident = PAGES);
	CHECK_EQ(store_used(), PAGES);

	test_case("clean pages are given up without being written again");
	CHECK_EQ(page_out_all(blob), 0);
	CHECK_EQ(store_counts().pages_put, PAGES);
	CHECK_USAGE(blob, .paged_out = PAGES);
	CHECK_EQ(page_out_all(blob), 0);
	CHECK_EQ(store_counts().pages_put, PAGES);

	test_case("a page that is written to is dirty, and gives up its location");
	put_word(blob, 7, 7);
	CHECK_USAGE(blob, .resident = 1, .paged_out = PAGES - 1, .dirty = 1);
	CHECK_EQ(store_used(), PAGES - 1);
	CHECK_EQ(get_word(blob, 8), 108);
	put_word(blob, 8, 8);
	CHECK_EQ(store_used(), PAGES - 2);
	CHECK_EQ(blob_page_out(blob, 7, 2), 0);
	CHECK_EQ(store_counts().pages_put, PAGES + 2);
	CHECK_EQ(get_word(blob, 7), 7);
	CHECK_EQ(get_word(blob, 8), 8);

	test_case("only the window goes, and absent pages stay absent");
	check_words(blob, 9, PAGES, 100);
	CHECK_EQ(blob_decommit(blob, 20, 4), 0);
	CHECK_EQ(store_used(), PAGES - 4);
	CHECK_EQ(blob_page_out(blob, 10, 20), 0);
	CHECK_USAGE_OF(blob, 10, 20, .paged_out = 16);
	CHECK_EQ(blob_usage(blob, 30, 10, &usage), 0);
	CHECK_EQ(usage.resident, 10);
	CHECK(page_is_zero(blob, 22));

	test_case("a paged-out page that is forgotten is zero, and its location free");
	CHECK_EQ(blob_decommit(blob, 12, 1), 0);
	CHECK_EQ(store_used(), PAGES - 5);
	CHECK(page_is_zero(blob, 12));
	blob_unref(blob);
	CHECK_EQ(store_used(), 0);
	CHECK_EQ(blob_pages_now(), pages_before);
}

static void sync_keeps(void)
{
	struct blob *blob = make_words(PAGES, 100);
	uint64_t got = store_counts().pages_got;
	uint64_t put = store_counts().pages_put;

	test_case("sync writes what is dirty, and the pages stay");
	CHECK_EQ(sync_all(blob), 0);
	CHECK_USAGE(blob, .resident = PAGES);
	CHECK_EQ(store_used(), PAGES);
	check_words(blob, 0, PAGES, 100);
	CHECK_EQ(store_counts().pages_got, got);
	CHECK_EQ(sync_all(blob), 0);
	CHECK_EQ(store_counts().pages_put, put + PAGES);
	put_word(blob, 3, 3);
	put_word(blob, 30, 30);
	CHECK_USAGE(blob, .resident = PAGES, .dirty = 2);
	CHECK_EQ(store_used(), PAGES - 2);
	CHECK_EQ(sync_all(blob), 0);
	CHECK_EQ(store_counts().pages_put, put + PAGES + 2);
	CHECK_EQ(store_used(), PAGES);
	CHECK_EQ(page_out_all(blob), 0);
	CHECK_EQ(store_counts().pages_put, put + PAGES + 2);
	CHECK_EQ(get_word(blob, 3), 3);
	CHECK_EQ(get_word(blob, 30), 30);
	CHECK_EQ(get_word(blob, 31), 131);
	blob_unref(blob);
	CHECK_EQ(store_used(), 0);
}

static void pages_of_pagers(void)
{
	static struct test_pager pager;
	struct blob *blob;

	for (unsigned copies = 0; copies < 2; copies++) {
		test_case(copies ? "pages that a pager made are given up, and pages in its stead"
				 : "pages that a pager lent stay; what was written in their place goes");
		test_pager_init(&pager);
		pager.copies = copies;
		pager.holes = true;
		CHECK_EQ(blob_create_paged(pages_to_bytes(PAGES), &pager.pager, &blob), 0);
		CHECK_EQ(get_word(blob, 4), PAGER_WORD + 4);
		CHECK_EQ(get_word(blob, 6), PAGER_WORD + 6);
		CHECK(page_is_zero(blob, 5));
		CHECK_EQ(pager.provided, 2);
		put_word(blob, 6, 66);
		put_word(blob, 7, 77);
		CHECK_EQ(page_out_all(blob), 0);
		CHECK_EQ(blob_resident(blob, 0, PAGES), copies ? 0 : 1);
		CHECK_EQ(get_word(blob, 4), PAGER_WORD + 4);
		CHECK(page_is_zero(blob, 5));
		CHECK_EQ(get_word(blob, 6), 66);
		CHECK_EQ(get_word(blob, 7), 77);
		CHECK_EQ(get_word(blob, 8), PAGER_WORD + 8);
		CHECK(page_is_zero(blob, 9));
		/* Forgotten, they are as at the beginning. */
		CHECK_EQ(page_out_all(blob), 0);
		CHECK_EQ(blob_decommit(blob, 0, PAGES), 0);
		CHECK_EQ(store_used(), 0);
		CHECK_EQ(get_word(blob, 6), PAGER_WORD + 6);
		CHECK(page_is_zero(blob, 7));
		blob_unref(blob);
		test_pager_finish(&pager);
	}
}

/* ---- Clones ------------------------------------------------------------------------------------- */

static void shared_pages(void)
{
	uint64_t pages_before = blob_pages_now();
	struct blob *blob = make_words(PAGES, 100);
	struct store_counts before = store_counts();
	struct blob *whole, *part;

	test_case("a page that clones share is written once, and is paged out for all of them");
	CHECK_EQ(blob_clone(blob, 0, PAGES, &whole), 0);
	CHECK_EQ(blob_clone(blob, 10, 20, &part), 0);
	CHECK_EQ(blob_page_out(part, 0, 20), 0);
	CHECK_EQ(store_counts().pages_put, before.pages_put + 20);
	CHECK_EQ(store_used(), 20);
	CHECK_USAGE(part, .paged_out = 20);
	CHECK_USAGE(blob, .resident = PAGES - 20, .paged_out = 20, .dirty = PAGES - 20);
	CHECK_USAGE(whole, .resident = PAGES - 20, .paged_out = 20, .dirty = PAGES - 20);
	CHECK_EQ(blob_pages_now(), pages_before + PAGES - 20);

	test_case("it is brought back once, for all of them");
	check_words(whole, 10, 30, 100);
	CHECK_EQ(store_counts().pages_got, before.pages_got + 20);
	check_words(blob, 10, 30, 100);
	check_words(part, 0, 20, 110);
	CHECK_EQ(store_counts().pages_got, before.pages_got + 20);
	CHECK_EQ(blob_pages_now(), pages_before + PAGES);
	CHECK_USAGE(part, .resident = 20);

	test_case("a write to it is one blob's, also where the page is out");
	CHECK_EQ(page_out_all(blob), 0);
	CHECK_EQ(store_used(), PAGES);
	put_word(part, 5, 5);
	CHECK_EQ(get_word(blob, 15), 115);
	CHECK_EQ(get_word(whole, 15), 115);
	put_word(blob, 16, 16);
	CHECK_EQ(get_word(part, 6), 116);
	CHECK_EQ(get_word(whole, 16), 116);
	CHECK_EQ(store_used(), PAGES);

	test_case("copies of one page go out each by itself");
	CHECK_EQ(page_out_all(part), 0);
	CHECK_EQ(page_out_all(blob), 0);
	CHECK_EQ(page_out_all(whole), 0);
	CHECK_EQ(store_used(), PAGES + 2);
	CHECK_EQ(blob_pages_now(), pages_before);
	CHECK_EQ(get_word(part, 5), 5);
	CHECK_EQ(get_word(blob, 15), 115);
	CHECK_EQ(get_word(blob, 16), 16);
	CHECK_EQ(get_word(whole, 16), 116);
	check_words(whole, 0, PAGES, 100);
	blob_unref(part);
	CHECK_EQ(store_used(), PAGES + 1);
	blob_unref(blob);
	CHECK_EQ(store_used(), PAGES);
	blob_unref(whole);
	CHECK_EQ(store_used(), 0);
	CHECK_EQ(blob_pages_now(), pages_before);
}

#define MIXED 8

/* Pages in all their states, four kinds twice: absent, dirty, paged out, clean. The last three begin with 100 + i. */
static struct blob *make_mixed(void)
{
	struct blob *blob = make_blob(MIXED);

	for (pgoff_t i = 0; i < MIXED; i++) {
		if (i % 4 != 0)
			put_word(blob, i, 100 + i);
	}
	for (pgoff_t i = 0; i < MIXED; i += 4) {
		CHECK_EQ(blob_page_out(blob, i + 2, 1), 0);
		CHECK_EQ(blob_sync(blob, i + 3, 1), 0);
	}
	return blob;
}

static void check_mixed(struct blob *blob, pgoff_t base, pgoff_t but)
{
	pgoff_t pages = blob_size(blob) >> PAGE_SHIFT;

	for (pgoff_t i = 0; i < pages; i++) {
		if (base + i != but)
			CHECK_EQ(get_word(blob, i), (base + i) % 4 ? 100 + base + i : 0);
	}
}

/* Clones a window, writes a page of one side, and looks at all of both. */
static void clone_mixed(pgoff_t first, pgoff_t end, pgoff_t written, bool by_clone)
{
	struct blob *blob = make_mixed();
	struct blob *clone;

	CHECK_EQ(blob_clone(blob, first, end - first, &clone), 0);
	if (by_clone)
		put_word(clone, written - first, 1);
	else
		put_word(blob, written, 1);
	check_mixed(blob, 0, by_clone ? MIXED : written);
	check_mixed(clone, first, by_clone ? written : MIXED);
	CHECK_EQ(get_word(by_clone ? clone : blob, by_clone ? written - first : written), 1);
	/* All of it out, and in again. */
	CHECK_EQ(page_out_all(clone), 0);
	CHECK_EQ(page_out_all(blob), 0);
	check_mixed(blob, 0, by_clone ? MIXED : written);
	blob_unref(by_clone ? clone : blob);
	check_mixed(by_clone ? blob : clone, by_clone ? 0 : first, MIXED);
	blob_unref(by_clone ? blob : clone);
	CHECK_EQ(store_used(), 0);
}

static void mixed_clones(void)
{
	uint64_t pages_before = blob_pages_now();

	test_case(
		"windows of absent, dirty, clean and paged-out pages are cloned, and written on either side");
	for (pgoff_t first = 0; first < MIXED; first++) {
		for (pgoff_t end = first + 1; end <= MIXED; end++) {
			for (pgoff_t written = first; written < end; written++) {
				clone_mixed(first, end, written, true);
				clone_mixed(first, end, written, false);
			}
		}
	}
	CHECK_EQ(blob_pages_now(), pages_before);
}

/* ---- Locations go with the last who has them ----------------------------------------------------- */

enum { DROP_SOURCE, DROP_CLONE, DROP_SECOND, DROPS };

static void drop(struct blob *const blobs[DROPS], unsigned which, bool forget)
{
	if (forget)
		CHECK_EQ(blob_decommit(blobs[which], 0, MIXED), 0);
	else
		blob_unref(blobs[which]);
}

/*
 * A blob, its clone and the clone's clone; paged out before cloning or after; brought back or not: dropped in an
 * order, by decommit or with the blob.
 */
static void drop_in_order(const unsigned order[DROPS], bool early, bool back, bool forget)
{
	struct blob *blobs[DROPS];

	blobs[DROP_SOURCE] = make_words(MIXED, 100);
	if (early)
		CHECK_EQ(page_out_all(blobs[DROP_SOURCE]), 0);
	CHECK_EQ(blob_clone(blobs[DROP_SOURCE], 0, MIXED, &blobs[DROP_CLONE]), 0);
	CHECK_EQ(blob_clone(blobs[DROP_CLONE], 0, MIXED, &blobs[DROP_SECOND]), 0);
	/* Nodes of their own, for the same locations. */
	put_word(blobs[DROP_SECOND], 0, 1);
	if (!early)
		CHECK_EQ(page_out_all(blobs[DROP_CLONE]), 0);
	if (back)
		check_words(blobs[DROP_CLONE], 0, MIXED, 100);
	CHECK_EQ(store_used(), MIXED);
	for (unsigned i = 0; i < DROPS; i++) {
		drop(blobs, order[i], forget);
		if (i < DROPS - 1) {
			/* Page 0 is the second clone's own, and dirty: its location goes with the other two. */
			bool others = order[DROPS - 1] != DROP_SECOND || i == 0;

			CHECK_EQ(store_used(), others ? MIXED : MIXED - 1);
			check_words(blobs[order[DROPS - 1]], 1, MIXED, 100);
		}
	}
	CHECK_EQ(store_used(), 0);
	for (unsigned i = 0; i < DROPS && forget; i++) {
		CHECK_USAGE(blobs[i], .resident = 0);
		blob_unref(blobs[i]);
	}
}

static void locations_go(void)
{
	static const unsigned orders[][DROPS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
						 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	test_case("a location is free with the last who refers to it, in every order");
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		for (unsigned kind = 0; kind < 8; kind++)
			drop_in_order(orders[i], kind & 1, kind & 2, kind & 4);
	}
}

/* ---- Others meanwhile ------------------------------------------------------------------------------ */

/* A pager in front of the store that lets somebody do something while it writes or reads. */
static struct meddler {
	struct pager pager;
	void (*on_put)(void); /* done once */
	void (*on_get)(void);
	unsigned puts;
	int error; /* put_pages fails with this */
	bool destroyed;
} meddler;

static void meddle(void (**what)(void))
{
	void (*now)(void) = *what;

	*what = NULL;
	if (now)
		now();
}

static int meddler_get(struct pager *pager, const struct page_wanted *wanted, unsigned count,
		       struct page **out)
{
	int given = store_pager()->ops->get_pages(store_pager(), wanted, count, out);

	(void)pager;
	meddle(&meddler.on_get);
	return given;
}

static int meddler_put(struct pager *pager, struct page_put *pages, unsigned count)
{
	uint64_t words[PAGER_CLUSTER];
	int error; /* or how many */

	(void)pager;
	meddler.puts++;
	if (meddler.error)
		return meddler.error;
	for (unsigned i = 0; i < count; i++)
		words[i] = *(uint64_t *)page_data(pages[i].page);
	meddle(&meddler.on_put);
	for (unsigned i = 0; i < count; i++)
		CHECK_EQ(*(uint64_t *)page_data(pages[i].page), words[i]);
	error = store_pager()->ops->put_pages(store_pager(), pages, count);
	/* And once more, when the pages have their locations. */
	if (error > 0)
		meddle(&meddler.on_put);
	return error;
}

static bool meddler_has(struct pager *pager, pgoff_t index)
{
	(void)pager, (void)index;
	return false;
}

static void meddler_ref(struct pager *pager, uint32_t location)
{
	(void)pager;
	store_pager()->ops->location_ref(store_pager(), location);
}

static void meddler_unref(struct pager *pager, uint32_t location)
{
	(void)pager;
	store_pager()->ops->location_unref(store_pager(), location);
}

static void meddler_destroy(struct pager *pager)
{
	CHECK(pager == &meddler.pager && !meddler.destroyed);
	meddler.destroyed = true;
}

static const struct pager_ops meddler_ops = {
	.name = "meddler",
	.get_pages = meddler_get,
	.has_page = meddler_has,
	.put_pages = meddler_put,
	.location_ref = meddler_ref,
	.location_unref = meddler_unref,
	.destroy = meddler_destroy,
};

/* Makes it the store; meddler_close() checks that all have let go of it. */
static void meddler_open(void)
{
	meddler = (struct meddler){.pager = {.ops = &meddler_ops, .refs = 1}};
	CHECK_EQ(vm_set_store(&meddler.pager), 0);
}

static void meddler_close(void)
{
	CHECK_EQ(vm_set_store(store_pager()), 0);
	CHECK(!meddler.on_put && !meddler.on_get);
	CHECK_EQ(meddler.pager.refs, 1);
	CHECK_EQ(store_used(), 0);
}

/* What they do it to. Pages 0 to 3, which begin with 100 + i. */
static struct blob *victim, *sharer, *made;
#define VICTIM_PAGES 4

static void write_it(void)
{
	put_word(victim, 1, 1);
}

static void forget_it(void)
{
	CHECK_EQ(blob_decommit(victim, 1, 1), 0);
}

static void clone_it(void)
{
	CHECK_EQ(blob_clone(victim, 0, VICTIM_PAGES, &made), 0);
}

static void clone_and_write_it(void)
{
	clone_it();
	put_word(made, 1, 1);
}

static void write_as_sharer(void)
{
	put_word(sharer, 1, 1);
}

static void drop_sharer(void)
{
	blob_unref(sharer);
	sharer = NULL;
}

static void sync_it(void)
{
	CHECK_EQ(sync_all(victim), 0);
}

static void page_it_out(void)
{
	CHECK_EQ(page_out_all(victim), 0);
}

static void page_it_out_and_in(void)
{
	CHECK_EQ(page_out_all(victim), 0);
	check_words(victim, 0, VICTIM_PAGES, 100);
}

static void write_twice(void)
{
	put_word(victim, 1, 1);
	meddler.on_put = write_it;
}

static const struct {
	const char *name;
	void (*do_it)(void);
	uint64_t word;  /* page 1 of the victim begins with, afterwards */
	uint64_t other; /* the same of the sharer, and of what was made; 0: it is gone, or was not made */
} meanwhile[] = {
	{"while pages go or come, somebody writes", write_it, 1, 101},
	{"while pages go or come, somebody writes twice", write_twice, 1, 101},
	{"while pages go or come, somebody forgets", forget_it, 0, 101},
	{"while pages go or come, somebody clones", clone_it, 101, 101},
	{"while pages go or come, somebody clones, and writes to the clone", clone_and_write_it, 101, 101},
	{"while pages go or come, somebody writes to a clone", write_as_sharer, 101, 1},
	{"while pages go or come, somebody destroys a clone", drop_sharer, 101, 0},
	{"while pages go or come, somebody syncs it, too", sync_it, 101, 101},
	{"while pages go or come, somebody pages it out, too", page_it_out, 101, 101},
	{"while pages go or come, somebody pages it out and in", page_it_out_and_in, 101, 101},
};

static void check_victim(size_t m)
{
	CHECK_EQ(get_word(victim, 0), 100);
	CHECK_EQ(get_word(victim, 1), meanwhile[m].word);
	check_words(victim, 2, VICTIM_PAGES, 100);
	if (sharer) {
		CHECK_EQ(get_word(sharer, 0), 100);
		CHECK_EQ(get_word(sharer, 1), meanwhile[m].other);
	}
	if (made)
		CHECK_EQ(get_word(made, 1), meanwhile[m].do_it == clone_and_write_it ? 1 : 101);
}

static void finish_victim(size_t m, bool get)
{
	/* A reader who finds that the page was forgotten makes a zero page. */
	pgoff_t forgotten = meanwhile[m].do_it == forget_it && !get;
	struct blob_usage usage;

	check_victim(m);
	blob_verify(victim);
	CHECK_EQ(page_out_all(victim), 0);
	CHECK_EQ(blob_usage(victim, 0, VICTIM_PAGES, &usage), 0);
	CHECK_EQ(usage.resident, 0);
	CHECK_EQ(usage.paged_out, VICTIM_PAGES - forgotten);
	check_victim(m);
	blob_unref(victim);
	if (sharer)
		blob_unref(sharer);
	if (made)
		blob_unref(made);
	made = sharer = NULL;
}

/* With `get`, it happens while pages are read; else while they are written, and stay or are given up. */
static void with_meddler(size_t m, bool shared, bool give_up, bool get)
{
	uint64_t pages_before = blob_pages_now();

	/* Nobody shares the victim, and so nobody can do that. */
	if (!shared && (meanwhile[m].do_it == write_as_sharer || meanwhile[m].do_it == drop_sharer))
		return;
	meddler_open();
	victim = make_words(VICTIM_PAGES, 100);
	if (shared)
		CHECK_EQ(blob_clone(victim, 0, VICTIM_PAGES, &sharer), 0);
	if (get) {
		CHECK_EQ(page_out_all(victim), 0);
		meddler.on_get = meanwhile[m].do_it;
		if (meanwhile[m].do_it == write_twice)
			meddler.on_get = write_it;
		(void)get_word(victim, 1);
	} else {
		meddler.on_put = meanwhile[m].do_it;
		CHECK_EQ(give_up ? page_out_all(victim) : sync_all(victim), 0);
	}
	finish_victim(m, get);
	meddler_close();
	CHECK_EQ(blob_pages_now(), pages_before);
}

static void meddling(void)
{
	for (size_t m = 0; m < sizeof(meanwhile) / sizeof(meanwhile[0]); m++) {
		test_case(meanwhile[m].name);
		for (unsigned kind = 0; kind < 6; kind++)
			with_meddler(m, kind & 1, (kind >> 1) == 1, (kind >> 1) == 2);
	}
}

/* ---- When it does not work --------------------------------------------------------------------------- */

/* Nothing is lost: each page is resident or at the store, and nothing else is there. */
static void check_nothing_lost(struct blob *blob)
{
	struct blob_usage usage;

	CHECK_EQ(blob_usage(blob, 0, PAGES, &usage), 0);
	CHECK_EQ(usage.resident + usage.paged_out, PAGES);
	CHECK_EQ(store_used(), usage.paged_out + (usage.resident - usage.dirty));
	blob_verify(blob);
}

static void disk_errors(void)
{
	struct blob *blob = make_words(PAGES, 100);
	uint64_t word;
	unsigned after = 0;

	test_case("a write to the disk that fails loses nothing, and can be made again");
	for (; after <= CLUSTERS; after++) {
		int error;

		store_fail_io(after, false);
		error = after & 1 ? sync_all(blob) : page_out_all(blob);
		CHECK_EQ(error, after < CLUSTERS ? -EIO : 0);
		CHECK_EQ(store_fail_stop(), after < CLUSTERS);
		check_nothing_lost(blob);
		check_words(blob, 0, PAGES, 100);
		for (pgoff_t i = 0; i < PAGES; i++)
			put_word(blob, i, 100 + i);
		CHECK_EQ(store_used(), 0);
	}

	test_case("a read from the disk that fails is the reader's error, and can be made again");
	CHECK_EQ(page_out_all(blob), 0);
	store_fail_io(0, true);
	CHECK_EQ(blob_read(blob, pages_to_bytes(3), &word, sizeof(word)), -EIO);
	CHECK_EQ(blob_write(blob, pages_to_bytes(3), &word, sizeof(word)), -EIO);
	CHECK_EQ(blob_commit(blob, 0, PAGES), -EIO);
	CHECK_USAGE(blob, .paged_out = PAGES);
	CHECK(store_fail_stop());
	CHECK_EQ(store_used(), PAGES);
	check_words(blob, 0, PAGES, 100);
	blob_unref(blob);
	CHECK_EQ(store_used(), 0);

	test_case("errors of the pager are passed on");
	meddler_open();
	blob = make_words(PAGES, 100);
	for (unsigned i = 0; i < 3; i++) {
		static const int errors[] = {-ENOSPC, -EIO, -ENOMEM};

		meddler.error = errors[i];
		CHECK_EQ(page_out_all(blob), errors[i]);
		CHECK_EQ(sync_all(blob), errors[i]);
		CHECK_USAGE(blob, .resident = PAGES, .dirty = PAGES);
	}
	blob_unref(blob);
	meddler_close();
}

static void full_disk(void)
{
	struct blob *blob;
	unsigned room;

	for (room = 1; room < PAGES; room += 6) {
		if (!store_open(room)) {
			test_skip("no memory for a disk");
			return;
		}
		blob = make_words(PAGES, 100);
		CHECK_EQ(page_out_all(blob), -ENOSPC);
		check_nothing_lost(blob);
		CHECK_EQ(sync_all(blob), -ENOSPC);
		check_nothing_lost(blob);
		check_words(blob, 0, PAGES, 100);
		/* What there is room for goes. */
		CHECK_EQ(blob_decommit(blob, 1, PAGES - 1), 0);
		put_word(blob, 0, 1);
		CHECK_EQ(page_out_all(blob), 0);
		CHECK_EQ(store_used(), 1);
		CHECK_EQ(get_word(blob, 0), 1);
		blob_unref(blob);
		store_close();
	}
}

/* ---- Which pager --------------------------------------------------------------------------------------- */

static void no_store(void)
{
	static struct test_pager pager;
	struct blob *blob = make_words(2, 100);

	test_case("without a pager that takes pages they stay");
	CHECK_EQ(page_out_all(blob), -ENODEV);
	CHECK_EQ(sync_all(blob), -ENODEV);
	CHECK_USAGE(blob, .resident = 2, .dirty = 2);
	check_words(blob, 0, 2, 100);
	test_pager_init(&pager);
	CHECK_EQ(vm_set_store(&pager.pager), -EINVAL);
	CHECK_EQ(pager.pager.refs, 1);
	CHECK_EQ(vm_set_store(NULL), 0);
	CHECK_EQ(page_out_all(blob), -ENODEV);
	blob_unref(blob);
}

static void stores_change(void)
{
	struct blob *first = make_words(4, 100);
	struct blob *second, *clone, *own;
	uint64_t puts;

	test_case("a blob that has paged out stays with the store it had; its clones, too");
	CHECK_EQ(blob_page_out(first, 0, 1), 0);
	meddler_open();
	second = make_words(4, 200);
	CHECK_EQ(page_out_all(second), 0);
	CHECK_EQ(meddler.puts, 1);
	CHECK_EQ(page_out_all(first), 0);
	CHECK_EQ(blob_clone(first, 0, 4, &clone), 0);
	put_word(clone, 0, 1);
	CHECK_EQ(page_out_all(clone), 0);
	CHECK_EQ(meddler.puts, 1);
	CHECK_EQ(vm_set_store(NULL), 0);
	put_word(first, 2, 2);
	CHECK_EQ(page_out_all(first), 0);
	put_word(second, 2, 2);
	CHECK_EQ(page_out_all(second), 0);
	CHECK_EQ(meddler.puts, 2);
	CHECK_EQ(get_word(first, 2), 2);
	CHECK_EQ(get_word(clone, 0), 1);
	CHECK_EQ(get_word(clone, 2), 102);
	CHECK_EQ(get_word(second, 2), 2);
	CHECK_EQ(get_word(second, 3), 203);

	test_case("a blob whose own pager takes pages needs no other");
	puts = store_counts().puts;
	store_pager()->refs++;
	CHECK_EQ(blob_create_paged(pages_to_bytes(4), store_pager(), &own), 0);
	CHECK(page_is_zero(own, 0));
	put_word(own, 1, 301);
	CHECK_EQ(page_out_all(own), 0);
	CHECK_EQ(store_counts().puts, puts + 1);
	CHECK_EQ(get_word(own, 1), 301);
	CHECK(page_is_zero(own, 2));

	test_case("a store is let go of with the last family that used it");
	blob_unref(own);
	blob_unref(first);
	blob_unref(clone);
	CHECK_EQ(meddler.pager.refs, 2);
	blob_unref(second);
	meddler_close();
	meddler_open();
	CHECK_EQ(--meddler.pager.refs, 1);
	CHECK_EQ(vm_set_store(store_pager()), 0);
	CHECK(meddler.destroyed);
}

/* ---- Generations ------------------------------------------------------------------------------------------ */

#define GENERATIONS 10000
#define FAR_APART   3001 /* pages between two that are touched: each has a lowest node of its own */

/* Clone, write one page, drop the old: 10,000 times; `paging`: and page one out, and another in. */
static void generations(bool paging)
{
	pgoff_t pages = PAGES * FAR_APART;
	struct blob *blob = make_blob(pages);
	uint64_t words[PAGES];
	struct footprint flat;
	unsigned height;
	bool same = true;

	for (unsigned i = 0; i < PAGES; i++) {
		words[i] = i;
		put_word(blob, i * FAR_APART, i);
	}
	height = blob->tree.height;
	flat = footprint_now();
	for (unsigned g = 0; g < GENERATIONS && same; g++) {
		unsigned written = g * 7 % PAGES;
		struct footprint now;
		struct blob *next;

		if (paging)
			CHECK_EQ(blob_page_out(blob, (g * 7 + 3) % PAGES * FAR_APART, 1), 0);
		CHECK_EQ(blob_clone(blob, 0, pages, &next), 0);
		words[written] = PAGES + g;
		put_word(next, written * FAR_APART, words[written]);
		blob_unref(blob);
		blob = next;
		now = footprint_now();
		/* What is not in memory is at the store. */
		if (paging)
			now.pages -= PAGES - blob_resident(blob, 0, pages);
		same = CHECK_EQ(now.pages, flat.pages) && CHECK_EQ(now.objects, flat.objects) &&
		       CHECK_EQ(blob->tree.height, height);
	}
	for (unsigned i = 0; i < PAGES; i++)
		CHECK_EQ(get_word(blob, i * FAR_APART), words[i]);
	blob_verify(blob);
	blob_unref(blob);
	CHECK_EQ(store_used(), 0);
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

static void with_store(void)
{
	if (!store_open(LOCATIONS)) {
		test_case("a disk in memory");
		test_skip("no memory for one");
		return;
	}
	there_and_back();
	sync_keeps();
	pages_of_pagers();
	shared_pages();
	mixed_clones();
	locations_go();
	meddling();
	disk_errors();
	stores_change();
	test_case("10,000 generations: memory and the height of the tree stay as they were");
	generations(false);
	test_case("the same with a page that goes out in each");
	generations(true);
	store_close();
}

void suite_paging(void)
{
	struct footprint before = footprint_now();

	no_store();
	with_store();
	test_case("a full disk: what does not fit stays, and nothing is lost");
	full_disk();
	check_footprint(&before);
}
