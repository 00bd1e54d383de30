/*
 * The contents of blobs without mapping them: zero and copy, of any bytes, between any blobs; blobs of consecutive
 * frames; and blobs whose new pages are not zeroed.
 *
 * blob_read and blob_write themselves, commit and decommit are suite_blob.c's.
 */
#include "store.h"
#include "vm_suite.h"

#define LOCATIONS 64
#define PAGES     6
#define BYTES     (PAGES * PAGE_SIZE)
#define ROUNDS    300

static struct map *root;

/* What a blob has to hold, and room to compare; a run of frames each. */
static uint8_t *expected[2], *found;

static uint8_t *buffer(void)
{
	struct page *run = page_alloc_run(PAGE_KERNEL, PAGES, 1, PAGE_ANYWHERE, PAGE_ALLOC_ZERO);

	ASSERT(run);
	return page_data(run);
}

static void buffer_free(uint8_t *bytes)
{
	page_free_run(page_from_paddr(env_virt_to_phys(bytes)), PAGES);
}

static void check_contents(struct blob *blob, const uint8_t *bytes)
{
	memset(found, 0x55, BYTES);
	CHECK_EQ(blob_read(blob, 0, found, BYTES), 0);
	CHECK_EQ(memcmp(found, bytes, BYTES), 0);
}

/* Fills a blob and what is expected of it; every page but those whose bit is set in `absent`. */
static void fill(struct blob *blob, uint8_t *bytes, struct rng *rng, unsigned absent)
{
	for (unsigned i = 0; i < BYTES; i++)
		bytes[i] = absent >> (i / PAGE_SIZE) & 1 ? 0 : (uint8_t)(1 + rng_below(rng, 255));
	for (pgoff_t i = 0; i < PAGES; i++) {
		if (!(absent >> i & 1))
			CHECK_EQ(blob_write(blob, pages_to_bytes(i), bytes + pages_to_bytes(i), PAGE_SIZE),
				 0);
	}
}

/* A byte range inside the blob, now and then of whole pages or with an end at a page's. */
static void some_range(struct rng *rng, uint64_t *offset, uint64_t *bytes)
{
	*offset = rng_below(rng, BYTES);
	if (rng_below(rng, 3) == 0)
		*offset = page_round_down(*offset);
	*bytes = rng_below(rng, BYTES - *offset + 1);
	if (rng_below(rng, 3) == 0)
		*bytes = page_round_down(*bytes);
}

/* ---- Zero ------------------------------------------------------------------------------------------- */

static void zeroing(void)
{
	struct rng rng = {.state = 1};
	struct blob *blob, *clone;

	test_case("any bytes are made zero, and the others stay, in a blob and not in its clone");
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t offset, bytes;

		blob = make_blob(PAGES);
		fill(blob, expected[0], &rng, rng_below(&rng, 1u << PAGES));
		memcpy(expected[1], expected[0], BYTES);
		if (rng_below(&rng, 2))
			CHECK_EQ(blob_page_out(blob, rng_below(&rng, PAGES), 1), 0);
		CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
		some_range(&rng, &offset, &bytes);
		CHECK_EQ(blob_zero(blob, offset, bytes), 0);
		memset(expected[0] + offset, 0, bytes);
		check_contents(blob, expected[0]);
		check_contents(clone, expected[1]);
		blob_unref(clone);
		check_contents(blob, expected[0]);
		blob_unref(blob);
	}
	CHECK_EQ(store_used(), 0);

	test_case("whole pages that are zero take no memory, and mappings see them at once");
	blob = make_blob(PAGES);
	fill(blob, expected[0], &rng, 0);
	map_all_at(root, SPACE_BASE, blob);
	CHECK(word_at(root, SPACE_BASE + PAGE_SIZE) != 0);
	CHECK(word_at(root, SPACE_BASE + 3 * PAGE_SIZE) != 0);
	CHECK_EQ(blob_zero(blob, 10, 4 * PAGE_SIZE), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), PAGES - 3);
	CHECK_EQ(word_at(root, SPACE_BASE + PAGE_SIZE), 0);
	CHECK_EQ(word_at(root, SPACE_BASE + 3 * PAGE_SIZE), 0);
	CHECK_EQ(blob_zero(blob, 0, BYTES), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 0);
	CHECK_EQ(blob_zero(blob, 5, BYTES - 10), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 0);
	CHECK_EQ(map_unmap(root, SPACE_BASE, BYTES), 0);
	blob_unref(blob);
}

static void zeroing_what_stays(void)
{
	static struct test_pager pager;
	struct rng rng = {.state = 2};
	struct wiring *wiring;
	struct blob *blob;

	test_case("wired pages are made zero where they are");
	blob = make_blob(PAGES);
	fill(blob, expected[0], &rng, 0);
	CHECK_EQ(blob_wire(blob, 1, 2, &wiring), 0);
	CHECK_EQ(blob_zero(blob, 0, BYTES), 0);
	memset(expected[0], 0, BYTES);
	check_contents(blob, expected[0]);
	CHECK_EQ(blob_resident(blob, 1, 2), 2);
	blob_unwire(wiring);
	blob_unref(blob);

	test_case("what a pager has from the beginning is zero afterwards, too, paged out or not");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(BYTES, &pager.pager, &blob), 0);
	CHECK_EQ(get_word(blob, 1), PAGER_WORD + 1);
	CHECK_EQ(blob_zero(blob, PAGE_SIZE, 3 * PAGE_SIZE), 0);
	for (pgoff_t i = 1; i < 4; i++)
		CHECK(page_is_zero(blob, i));
	CHECK_EQ(get_word(blob, 0), PAGER_WORD);
	CHECK_EQ(get_word(blob, 4), PAGER_WORD + 4);
	CHECK_EQ(blob_page_out(blob, 0, PAGES), 0);
	for (pgoff_t i = 1; i < 4; i++)
		CHECK(page_is_zero(blob, i));
	CHECK_EQ(blob_zero(blob, 4 * PAGE_SIZE, 1), 0);
	CHECK_EQ(get_word(blob, 4), (PAGER_WORD + 4) & ~0xfful);
	blob_unref(blob);
	test_pager_finish(&pager);
}

/* ---- Copy ---------------------------------------------------------------------------------------------- */

enum relation { STRANGERS, CLONE_TO_SOURCE, SOURCE_TO_CLONE, RELATIONS };

/* Copies some bytes from one blob to another, and looks at all of both. */
static void copy_some(struct rng *rng, enum relation relation)
{
	uint64_t to_offset, from_offset, bytes;
	struct blob *to = make_blob(PAGES);
	struct blob *from;

	fill(to, expected[0], rng, rng_below(rng, 1u << PAGES));
	if (relation == STRANGERS) {
		from = make_blob(PAGES);
		fill(from, expected[1], rng, rng_below(rng, 1u << PAGES));
	} else {
		CHECK_EQ(blob_clone(to, 0, PAGES, &from), 0);
		memcpy(expected[1], expected[0], BYTES);
		if (relation == SOURCE_TO_CLONE) {
			struct blob *source = to;

			to = from;
			from = source;
		}
	}
	if (rng_below(rng, 2))
		CHECK_EQ(blob_page_out(from, 0, 1 + rng_below(rng, PAGES)), 0);
	if (rng_below(rng, 2))
		CHECK_EQ(blob_page_out(to, rng_below(rng, PAGES), 1), 0);
	some_range(rng, &from_offset, &bytes);
	to_offset = rng_below(rng, 2) ? from_offset : rng_below(rng, BYTES - bytes + 1);
	if (to_offset > BYTES - bytes)
		to_offset = BYTES - bytes;
	CHECK_EQ(blob_copy(to, to_offset, from, from_offset, bytes), 0);
	memcpy(expected[0] + to_offset, expected[1] + from_offset, bytes);
	check_contents(to, expected[0]);
	check_contents(from, expected[1]);
	blob_verify(to);
	blob_unref(from);
	check_contents(to, expected[0]);
	blob_unref(to);
	CHECK_EQ(store_used(), 0);
}

static void copying(void)
{
	struct rng rng = {.state = 3};
	struct blob *blob;

	test_case("any bytes are copied between blobs, paged out or not");
	for (unsigned round = 0; round < ROUNDS; round++)
		copy_some(&rng, STRANGERS);
	test_case("... and between clones");
	for (unsigned round = 0; round < ROUNDS; round++)
		copy_some(&rng, round & 1 ? CLONE_TO_SOURCE : SOURCE_TO_CLONE);

	test_case("... and within one blob, and one page, if they do not overlap");
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t to_offset, from_offset, bytes, other;
		bool overlap;

		blob = make_blob(PAGES);
		fill(blob, expected[0], &rng, rng_below(&rng, 1u << PAGES));
		if (round & 1) {
			some_range(&rng, &from_offset, &bytes);
			some_range(&rng, &to_offset, &other);
			bytes = bytes < other ? bytes : other;
		} else {
			from_offset = rng_below(&rng, PAGE_SIZE);
			to_offset = rng_below(&rng, PAGE_SIZE);
			bytes = rng_below(&rng, PAGE_SIZE / 2);
		}
		overlap = bytes > 0 && to_offset < from_offset + bytes && from_offset < to_offset + bytes;
		CHECK_EQ(blob_copy(blob, to_offset, blob, from_offset, bytes), overlap ? -EINVAL : 0);
		if (!overlap)
			memmove(expected[0] + to_offset, expected[0] + from_offset, bytes);
		check_contents(blob, expected[0]);
		blob_unref(blob);
	}
}

static void copying_costs(void)
{
	static struct test_pager pager;
	struct blob *blob = make_blob(PAGES);
	struct blob *paged, *plain;

	test_case("absent pages are copied as such: nothing is made for them");
	plain = make_blob(PAGES);
	CHECK_EQ(blob_copy(plain, 0, blob, 0, BYTES), 0);
	CHECK_EQ(blob_resident(plain, 0, PAGES) + blob_resident(blob, 0, PAGES), 0);

	test_case("what a pager has is copied from where it is");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(BYTES, &pager.pager, &paged), 0);
	CHECK_EQ(blob_copy(plain, PAGE_SIZE, paged, 0, 2 * PAGE_SIZE), 0);
	CHECK_EQ(get_word(plain, 1), PAGER_WORD);
	CHECK_EQ(get_word(plain, 2), PAGER_WORD + 1);
	CHECK_EQ(blob_copy(paged, 3 * PAGE_SIZE, plain, 0, PAGE_SIZE), 0);
	CHECK(page_is_zero(paged, 3));
	pager.error = -EIO;
	CHECK_EQ(blob_copy(plain, 0, paged, 4 * PAGE_SIZE, 8), -EIO);
	CHECK_EQ(blob_copy(paged, 4 * PAGE_SIZE, plain, 0, 8), -EIO);
	CHECK_EQ(blob_zero(paged, 4 * PAGE_SIZE, 8), -EIO);
	pager.error = 0;
	CHECK_EQ(get_word(paged, 4), PAGER_WORD + 4);
	CHECK(page_is_zero(plain, 0));
	blob_unref(paged);
	test_pager_finish(&pager);
	blob_unref(plain);
	blob_unref(blob);
}

/* ---- Consecutive frames ------------------------------------------------------------------------------------ */

#define DMA_PAGES 8
#define DMA_LIMIT ((paddr_t)16 << 20)

/* Leaves something in free memory, so that what is not cleared shows. */
static void soil_memory(void)
{
	struct page *run = page_alloc_run(PAGE_KERNEL, 4 * DMA_PAGES, 1, DMA_LIMIT, 0);

	if (!run)
		return;
	memset(page_data(run), 0xee, pages_to_bytes(4 * DMA_PAGES));
	page_free_run(run, 4 * DMA_PAGES);
}

static void contiguous(void)
{
	struct footprint before = footprint_now();
	struct blob *blob, *out = NULL;
	uint64_t align;
	paddr_t start, again;
	uint64_t word = 7;

	test_case("consecutive frames: aligned, below the limit, and zero");
	for (align = PAGE_SIZE; align <= 64 * PAGE_SIZE; align *= 4) {
		soil_memory();
		if (!CHECK_EQ(blob_create_contiguous(pages_to_bytes(DMA_PAGES), align, DMA_LIMIT,
						     CACHE_WRITE_BACK, &blob),
			      0))
			return;
		CHECK_EQ(blob_physical(blob, &start), 0);
		CHECK_EQ(start % align, 0);
		CHECK(start + pages_to_bytes(DMA_PAGES) <= DMA_LIMIT);
		for (pgoff_t i = 0; i < DMA_PAGES; i++)
			CHECK(page_is_zero(blob, i));
		CHECK_EQ(blob_size(blob), pages_to_bytes(DMA_PAGES));
		CHECK_EQ(blob_resident(blob, 0, DMA_PAGES), DMA_PAGES);
		CHECK_EQ(blob_resident(blob, 2, 3), 3);
		CHECK_EQ(footprint_now().pages, before.pages - DMA_PAGES);
		blob_unref(blob);
		check_footprint(&before);
	}

	test_case("its contents are where its address says, mapped or not");
	CHECK_EQ(blob_create_contiguous(pages_to_bytes(DMA_PAGES), PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK,
					&blob),
		 0);
	CHECK_EQ(blob_physical(blob, &start), 0);
	map_all_at(root, SPACE_BASE, blob);
	for (pgoff_t i = 0; i < DMA_PAGES; i++) {
		vaddr_t va = SPACE_BASE + pages_to_bytes(i);

		put_word(blob, i, 100 + i);
		CHECK_EQ(word_at(root, va), 100 + i);
		CHECK_EQ(page_paddr(pmap_query(map_pmap(root), va).page), start + pages_to_bytes(i));
		CHECK_EQ(user_store(root, va, 200 + i), 0);
		CHECK_EQ(get_word(blob, i), 200 + i);
		CHECK_EQ(*(uint64_t *)env_phys_to_virt(start + pages_to_bytes(i)), 200 + i);
	}
	CHECK_EQ(blob_zero(blob, 8, 2 * PAGE_SIZE), 0);
	CHECK_EQ(get_word(blob, 0), 200);
	CHECK_EQ(get_word(blob, 1), 0);
	CHECK_EQ(get_word(blob, 2), 0);
	CHECK_EQ(blob_resident(blob, 0, DMA_PAGES), DMA_PAGES);
	CHECK_EQ(blob_write(blob, PAGE_SIZE - 4, &word, sizeof(word)), 0);
	CHECK_EQ(blob_commit(blob, 0, DMA_PAGES), 0);

	test_case("what would take its frames away is refused");
	CHECK_EQ(blob_clone(blob, 0, 1, &out), -EINVAL);
	CHECK_EQ(blob_decommit(blob, 0, 1), -EINVAL);
	CHECK_EQ(blob_sync(blob, 0, 1), -EINVAL);
	CHECK_EQ(blob_page_out(blob, 0, 1), -EINVAL);
	CHECK_EQ(map_decommit(root, SPACE_BASE, PAGE_SIZE), -EINVAL);
	CHECK_EQ(map_advise(root, SPACE_BASE, pages_to_bytes(DMA_PAGES), ADVISE_PAGE_OUT), 0);
	CHECK_EQ(map_advise(root, SPACE_BASE, pages_to_bytes(DMA_PAGES), ADVISE_WILLNEED), 0);
	CHECK_EQ(map_wire(root, SPACE_BASE, pages_to_bytes(DMA_PAGES)), 0);
	CHECK_EQ(map_unwire(root, SPACE_BASE, pages_to_bytes(DMA_PAGES)), 0);
	CHECK(!out);
	CHECK_EQ(blob_physical(blob, &again), 0);
	CHECK_EQ(again, start);
	CHECK_EQ(get_word(blob, 3), 203);

	test_case(
		"a forked child shares it where that is said, and does not get it where it would be copied");
	{
		const struct mapping shared = {.prot = RW, .inherit = INHERIT_SHARE, .name = "shared"};
		const vaddr_t second = SPACE_BASE + pages_to_bytes(2 * DMA_PAGES);
		struct placement place = fixed_at(second);
		struct map *child;
		vaddr_t at;

		CHECK_EQ(map_blob(root, &place, blob, 0, DMA_PAGES, &shared, &at), 0);
		CHECK_EQ(map_clone(root, "child", &child), 0);
		space_use(child);
		CHECK_EQ(user_store(child, SPACE_BASE + 5 * PAGE_SIZE, 55), -EFAULT);
		CHECK_EQ(user_store(child, second + 5 * PAGE_SIZE, 55), 0);
		CHECK_EQ(page_paddr(pmap_query(map_pmap(child), second + 5 * PAGE_SIZE).page),
			 start + 5 * PAGE_SIZE);
		space_use(root);
		CHECK_EQ(word_at(root, SPACE_BASE + 5 * PAGE_SIZE), 55);
		map_unref(child);
		CHECK_EQ(map_unmap(root, second, pages_to_bytes(DMA_PAGES)), 0);
	}
	CHECK_EQ(word_at(root, SPACE_BASE + 5 * PAGE_SIZE), 55);

	test_case("it is freed with its last holder, the mapping");
	blob_unref(blob);
	CHECK_EQ(word_at(root, SPACE_BASE + 5 * PAGE_SIZE), 55);
	CHECK_EQ(map_unmap(root, SPACE_BASE, pages_to_bytes(DMA_PAGES)), 0);
}

static void contiguous_refused(void)
{
	const uint64_t all = pages_to_bytes(page_stats().ram_pages);
	struct footprint before = footprint_now();
	struct blob *out = NULL;
	paddr_t start;

	test_case("sizes, alignments and policies that make no sense are refused; want of memory is said");
	CHECK_EQ(blob_create_contiguous(0, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out), -EINVAL);
	CHECK_EQ(blob_create_contiguous(1, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out), -EINVAL);
	CHECK_EQ(blob_create_contiguous(PAGE_SIZE, 0, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out), -EINVAL);
	CHECK_EQ(blob_create_contiguous(PAGE_SIZE, PAGE_SIZE / 2, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out),
		 -EINVAL);
	CHECK_EQ(blob_create_contiguous(PAGE_SIZE, 3 * PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out),
		 -EINVAL);
	CHECK_EQ(blob_create_contiguous(PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_UNCACHED + 1, &out),
		 -EINVAL);
	CHECK_EQ(blob_create_contiguous(all + PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out),
		 -EINVAL);
	CHECK_EQ(blob_create_contiguous(BLOB_MAX_BYTES, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out),
		 -EINVAL);
	CHECK_EQ(blob_create_contiguous(UINT64_MAX - PAGE_SIZE + 1, PAGE_SIZE, PAGE_ANYWHERE,
					CACHE_WRITE_BACK, &out),
		 -EINVAL);
	CHECK_EQ(blob_create_contiguous(all, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out), -ENOMEM);
	CHECK_EQ(blob_create_contiguous(PAGE_SIZE, PAGE_SIZE, 0, CACHE_WRITE_BACK, &out), -ENOMEM);
	CHECK_EQ(blob_create_contiguous(2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, CACHE_WRITE_BACK, &out),
		 -ENOMEM);
	CHECK_EQ(blob_create_contiguous(PAGE_SIZE, (uint64_t)1 << 63, PAGE_ANYWHERE, CACHE_WRITE_BACK, &out),
		 -ENOMEM);
	CHECK(!out);
	CHECK_EQ(blob_create(PAGE_SIZE, 0, &out), 0);
	CHECK_EQ(blob_physical(out, &start), -EINVAL);
	blob_unref(out);
	check_footprint(&before);
}

/* ---- Pages that are not zeroed --------------------------------------------------------------------------- */

/* A page with old contents in front of all others that are free. */
static void soil_next_page(void)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);

	ASSERT(page);
	memset(page_data(page), 0xee, PAGE_SIZE);
	page_free(page);
}

static void unzeroed(void)
{
	static const struct mapping how = {.prot = RW, .name = "unzeroed"};
	struct placement place = fixed_at(SPACE_BASE);
	struct blob *blob, *clone;
	vaddr_t at;

	test_case("no user sees old contents in an unzeroed blob, and a part that is written leaves zeroes "
		  "around it");
	CHECK_EQ(blob_create(BYTES, BLOB_UNZEROED, &blob), 0);
	soil_next_page();
	put_word(blob, 0, 1);
	CHECK_EQ(blob_read(blob, 0, found, PAGE_SIZE), 0);
	CHECK_EQ(*(uint64_t *)found, 1);
	for (unsigned i = sizeof(uint64_t); i < PAGE_SIZE; i++) {
		if (!CHECK_EQ(found[i], 0))
			break;
	}
	soil_next_page();
	CHECK_EQ(map_blob(root, &place, blob, 0, PAGES, &how, &at), 0);
	CHECK_EQ(word_at(root, SPACE_BASE + PAGE_SIZE), 0);
	CHECK(page_is_zero(blob, 1));
	soil_next_page();
	CHECK_EQ(user_store(root, SPACE_BASE + 2 * PAGE_SIZE, 0), 0);
	CHECK(page_is_zero(blob, 2));
	CHECK(page_is_zero(blob, 3));
	CHECK_EQ(blob_clone(blob, 3, 2, &clone), 0);
	soil_next_page();
	CHECK_EQ(blob_write(clone, 16, "x", 1), 0);
	CHECK_EQ(get_word(clone, 0), 0);
	blob_unref(clone);

	test_case("whole pages that are written, and committed ones, cost no clearing");
	{
		struct page_stats before = page_stats();
		struct page_stats after;

		memset(found, 0x11, BYTES);
		CHECK_EQ(blob_write(blob, 4 * PAGE_SIZE, found, PAGE_SIZE), 0);
		CHECK_EQ(blob_commit(blob, 5, 1), 0);
		after = page_stats();
		CHECK_EQ(after.zero_hits + after.zero_misses, before.zero_hits + before.zero_misses);
		CHECK_EQ(get_word(blob, 4), 0x1111111111111111ul);
	}
	CHECK_EQ(map_unmap(root, SPACE_BASE, BYTES), 0);
	blob_unref(blob);
}

void suite_content(void)
{
	struct footprint before = footprint_now();

	if (!store_open(LOCATIONS)) {
		test_case("a disk in memory");
		test_skip("no memory for one");
		return;
	}
	root = space_open("contents");
	expected[0] = buffer();
	expected[1] = buffer();
	found = buffer();
	zeroing();
	zeroing_what_stays();
	copying();
	copying_costs();
	contiguous();
	contiguous_refused();
	unzeroed();
	test_case("all memory is back");
	buffer_free(expected[0]);
	buffer_free(expected[1]);
	buffer_free(found);
	space_close(root);
	store_close();
	check_footprint(&before);
}
