/*
 * The page allocator, as it stands in the running system: single pages, runs, the reserve, the pool.
 *
 * To know exactly what is free, some cases take all memory but for an arena of ARENA_PAGES pages, of
 * which they free what they like; nothing else runs meanwhile. A bitmap is the model of the arena.
 */
#include "probe.h"

#include <asm/errno.h>
#include <kern/test.h>
#include <vm/layout.h>
#include <vm/page.h>
#include <vm/swap.h>

#define ARENA_PAGES  512u
#define RANDOM_STEPS 4000u
#define MAX_RESERVE  64u

/* Nothing but device registers is ever there on a PC: the local APIC (SDM 3, 11.4.1). */
#define DEVICE_FRAME ((paddr_t)0xfee00000)

static uint64_t random_state;

/* xorshift64: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003. */
static uint64_t random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % bound;
}

static bool is_new(const struct page *page, enum page_state state)
{
	return page->state == state && page->refs == 1 && page->next == NULL && page->previous == NULL &&
	       page->owner == NULL && page->index == 0 && page->in_use == 0 && page->wired == 0;
}

/* What an owner might leave behind. */
static void use_up(struct page *page)
{
	page->next = page->previous = page;
	page->owner = page;
	page->index = page->in_use = page->wired = 77;
	memset(page_data(page), 0x77, PAGE_SIZE);
}

static bool is_zero(const struct page *page)
{
	const uint64_t *words = page_data(page);

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
		if (words[i] != 0)
			return false;
	}
	return true;
}

/* ---- Without taking all of memory ---------------------------------------------------------------- */

static void single_pages(void)
{
	static struct page *taken[200];
	struct page_stats before = page_stats();

	test_case("single pages");
	for (size_t i = 0; i < 200; i++) {
		enum page_state state = PAGE_KERNEL + i % 4;
		taken[i] = page_alloc(state, 0);
		if (!CHECK(taken[i] != NULL))
			return;
		CHECK(is_new(taken[i], state));
		use_up(taken[i]);
		CHECK(page_from_paddr(page_paddr(taken[i])) == taken[i]);
	}
	struct page_stats during = page_stats();
	CHECK_EQ(during.free_pages, before.free_pages - 200);
	for (unsigned state = PAGE_KERNEL; state <= PAGE_BLOB; state++)
		CHECK_EQ(during.by_state[state], before.by_state[state] + 50);
	page_check();

	for (size_t i = 0; i < 200; i++)
		page_free(taken[i]);
	struct page_stats after = page_stats();
	CHECK_EQ(after.free_pages, before.free_pages);
	for (unsigned state = PAGE_KERNEL; state < PAGE_STATES; state++)
		CHECK_EQ(after.by_state[state], before.by_state[state]);
	page_check();
}

static void statistics(void)
{
	struct page_stats stats = page_stats();
	uint64_t sum = 0;

	test_case("the states add up to the RAM");
	for (unsigned state = 0; state < PAGE_STATES; state++) {
		if (state != PAGE_DEVICE)
			sum += stats.by_state[state];
		CHECK(page_state_name(state)[0] != '\0');
	}
	CHECK_EQ(sum, stats.ram_pages);
	CHECK(stats.by_state[PAGE_RESERVED] < stats.ram_pages);
	CHECK_EQ(stats.free_pages,
		 stats.by_state[PAGE_FREE] + stats.by_state[PAGE_CACHED] + stats.by_state[PAGE_ZEROED]);
}

static void references(void)
{
	uint64_t free_before = page_stats().free_pages;

	test_case("the last reference frees a page");
	struct page *page = page_alloc(PAGE_BLOB, 0);
	if (!CHECK(page != NULL))
		return;
	page_ref(page);
	page_ref(page);
	CHECK_EQ(page->refs, 3);
	page_unref(page);
	page_unref(page);
	CHECK_EQ(page_stats().free_pages, free_before - 1);
	page_unref(page);
	CHECK_EQ(page_stats().free_pages, free_before);
}

static void zeroed_pages(void)
{
	test_case("zeroed pages, with and without the pool");
	page_zero_pool_enable(false);
	CHECK(!page_zero_one());
	struct page_stats before = page_stats();
	CHECK_EQ(before.by_state[PAGE_ZEROED], 0);
	struct page *page = page_alloc(PAGE_BLOB, 0);
	if (!CHECK(page != NULL))
		return;
	use_up(page);
	page_free(page);
	page = page_alloc(PAGE_BLOB, PAGE_ALLOC_ZERO);
	if (!CHECK(page != NULL))
		return;
	CHECK(is_new(page, PAGE_BLOB) && is_zero(page));
	CHECK_EQ(page_stats().zero_misses, before.zero_misses + 1);
	CHECK_EQ(page_stats().zero_hits, before.zero_hits);
	use_up(page);
	page_free(page);

	page_zero_pool_enable(true);
	CHECK(page_zero_one());
	CHECK(page_zero_one());
	CHECK_EQ(page_stats().by_state[PAGE_ZEROED], 2);
	CHECK_EQ(page_stats().free_pages, before.free_pages);
	page_check();
	page = page_alloc(PAGE_TABLE, PAGE_ALLOC_ZERO);
	if (!CHECK(page != NULL))
		return;
	CHECK(is_new(page, PAGE_TABLE) && is_zero(page));
	CHECK_EQ(page_stats().zero_hits, before.zero_hits + 1);
	CHECK_EQ(page_stats().by_state[PAGE_ZEROED], 1);
	page_free(page);
	page_zero_pool_enable(false);
	CHECK_EQ(page_stats().by_state[PAGE_ZEROED], 0);
	page_zero_pool_enable(true);
	CHECK_EQ(page_stats().free_pages, before.free_pages);
	page_check();
}

static void pool_is_bounded(void)
{
	uint64_t free_before = page_stats().free_pages, filled = 0;

	test_case("the pool of zeroed pages is bounded");
	while (filled < free_before && page_zero_one())
		filled++;
	CHECK(filled > 0 && filled <= free_before / 8);
	CHECK_EQ(page_stats().by_state[PAGE_ZEROED], filled);
	CHECK_EQ(page_stats().free_pages, free_before);
	page_zero_pool_enable(false);
	page_zero_pool_enable(true);
	page_check();
}

static void runs_of_each_length(void)
{
	uint64_t free_before = page_stats().free_pages;

	test_case("runs of any length and alignment");
	for (size_t count = 1; count <= 70; count++) {
		size_t align = (size_t)1 << count % 8;
		unsigned flags = count % 16 == 0 ? PAGE_ALLOC_ZERO : 0;
		struct page *run = page_alloc_run(PAGE_KERNEL, count, align, PAGE_ANYWHERE, flags);
		if (!CHECK(run != NULL))
			return;
		CHECK_EQ((page_paddr(run) >> PAGE_SHIFT) % align, 0);
		for (size_t i = 0; i < count; i++) {
			CHECK(is_new(run + i, PAGE_KERNEL));
			CHECK(flags == 0 || is_zero(run + i));
			use_up(run + i);
		}
		page_check();
		CHECK_EQ(page_stats().free_pages, free_before - count);

		/* Given back in portions. */
		page_free(run);
		if (count > 2) {
			page_free_run(run + 2, count - 2);
			page_free(run + 1);
		} else if (count == 2) {
			page_free_run(run + 1, 1);
		}
		CHECK_EQ(page_stats().free_pages, free_before);
	}
	page_check();
}

static void impossible_runs(void)
{
	uint64_t free_before = page_stats().free_pages;
	size_t all = page_stats().ram_pages;

	test_case("runs that there cannot be");
	CHECK(page_alloc_run(PAGE_KERNEL, all + 1, 1, PAGE_ANYWHERE, 0) == NULL);
	CHECK(page_alloc_run(PAGE_KERNEL, SIZE_MAX, 1, PAGE_ANYWHERE, 0) == NULL);
	CHECK(page_alloc_run(PAGE_KERNEL, SIZE_MAX, (size_t)1 << 63, PAGE_ANYWHERE, PAGE_ALLOC_RESERVE) ==
	      NULL);
	CHECK(page_alloc_run(PAGE_KERNEL, 1, 1, 0, 0) == NULL);
	CHECK(page_alloc_run(PAGE_KERNEL, 1, 1, PAGE_SIZE - 1, 0) == NULL);
	CHECK(page_alloc_run(PAGE_KERNEL, 2, 1, PAGE_SIZE, 0) == NULL);
	CHECK_EQ(page_stats().free_pages, free_before);
	page_check();
}

static void device_frames(void)
{
	test_case("descriptors of device frames");
	struct page *ram = page_alloc(PAGE_KERNEL, 0);
	if (!CHECK(ram != NULL))
		return;
	paddr_t in_ram = page_paddr(ram);
	page_free(ram);
	CHECK_EQ(page_add_device(in_ram, in_ram + PAGE_SIZE), -EINVAL);
	CHECK_EQ(page_add_device(in_ram, LAYOUT_PHYSICAL_BYTES), -EINVAL);
	CHECK_EQ(page_add_device(DEVICE_FRAME, DEVICE_FRAME), -EINVAL);
	CHECK_EQ(page_add_device(DEVICE_FRAME, DEVICE_FRAME + 1), -EINVAL);
	CHECK_EQ(page_add_device(DEVICE_FRAME + 1, DEVICE_FRAME + PAGE_SIZE), -EINVAL);
	CHECK_EQ(page_add_device(DEVICE_FRAME, DEVICE_FRAME - PAGE_SIZE), -EINVAL);
	CHECK_EQ(page_add_device(LAYOUT_PHYSICAL_BYTES, LAYOUT_PHYSICAL_BYTES + PAGE_SIZE), -EINVAL);

	if (!CHECK_EQ(page_add_device(DEVICE_FRAME, DEVICE_FRAME + PAGE_SIZE), 0))
		return;
	struct page *device = page_from_paddr(DEVICE_FRAME);
	uint64_t devices = page_stats().by_state[PAGE_DEVICE];
	CHECK_EQ(device->state, PAGE_DEVICE);
	uint32_t refs = device->refs;
	CHECK(refs >= 1);
	page_ref(device);
	CHECK_EQ(page_add_device(DEVICE_FRAME, DEVICE_FRAME + PAGE_SIZE), 0);
	CHECK_EQ(device->refs, refs + 1);
	page_unref(device);
	CHECK_EQ(device->state, PAGE_DEVICE);
	CHECK_EQ(page_stats().by_state[PAGE_DEVICE], devices);
}

/* ---- All of memory ------------------------------------------------------------------------------- */

static struct page *hoard;      /* runs taken, linked by `next`; `index` is the length */
static struct page *arena;      /* ARENA_PAGES pages, aligned to their number */
static bool taken[ARENA_PAGES]; /* the model: allocated, or not freed for the case */

/* Takes all that there is, largest runs first. */
static void hoard_all(unsigned flags)
{
	for (size_t count = (size_t)1 << 18; count > 0; count /= 2) {
		for (;;) {
			struct page *run = page_alloc_run(PAGE_KERNEL, count, 1, PAGE_ANYWHERE, flags);
			if (run == NULL)
				break;
			run->next = hoard;
			run->index = count;
			hoard = run;
		}
	}
}

static void hoard_free(void)
{
	while (hoard != NULL) {
		struct page *run = hoard;
		hoard = run->next;
		page_free_run(run, run->index);
	}
}

static void reserve(void)
{
	uint64_t free_before = page_stats().free_pages;
	unsigned count = 0;

	test_case("all of memory but the reserve, then the reserve");
	while (count < 10 && page_zero_one())
		count++;
	hoard_all(0);
	uint64_t left = page_stats().free_pages;
	CHECK(left > 0 && left <= MAX_RESERVE);
	CHECK_EQ(page_stats().by_state[PAGE_FREE], left);
	CHECK(page_alloc(PAGE_KERNEL, 0) == NULL);
	CHECK(page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO) == NULL);
	CHECK(!page_zero_one());

	struct page *page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_RESERVE);
	if (CHECK(page != NULL)) {
		CHECK(is_new(page, PAGE_KERNEL));
		page_free(page);
	}
	CHECK(page_alloc(PAGE_KERNEL, 0) == NULL);
	CHECK_EQ(page_stats().by_state[PAGE_FREE], left);
	hoard_all(PAGE_ALLOC_RESERVE);
	CHECK_EQ(page_stats().free_pages, 0);
	CHECK(page_alloc(PAGE_KERNEL, PAGE_ALLOC_RESERVE) == NULL);
	page_check();
	hoard_free();
	CHECK_EQ(page_stats().free_pages, free_before);
	page_check();
}

#define KEPT 100u

/* Takes all pages that there are for a state, linked by `next`; counts them. */
static struct page *take_all_for(enum page_state state, unsigned *count)
{
	struct page *list = NULL, *page;

	for (*count = 0; (page = page_alloc(state, 0)) != NULL; ++*count) {
		page->next = list;
		list = page;
	}
	return list;
}

static void free_list(struct page *list)
{
	while (list) {
		struct page *next = list->next;

		page_free(list);
		list = next;
	}
}

/* Most memory is taken in runs, so that the rest is soon used up. */
static void kept_from_blobs(void)
{
	struct page *some, *of_blobs, *kernels;
	unsigned blobs, kernel, told;

	test_case(
		"what is kept for the kernel no blob gets, and somebody is told before that is all there is");
	some = page_alloc_run(PAGE_KERNEL, ARENA_PAGES, 1, PAGE_ANYWHERE, 0);
	if (!CHECK(some != NULL))
		return;
	hoard_all(0);
	page_free_run(some, ARENA_PAGES);
	page_set_watermarks(KEPT, 2 * KEPT);
	told = probe_low_calls ? probe_low_calls() : 0;
	some = page_alloc(PAGE_KERNEL, 0);
	CHECK(page_spare_count() > 2 * KEPT);
	if (probe_low_calls)
		CHECK_EQ(probe_low_calls(), told);
	of_blobs = take_all_for(PAGE_BLOB, &blobs);
	CHECK(page_spare_count() >= KEPT);
	if (probe_low_calls)
		CHECK(probe_low_calls() > told);
	kernels = take_all_for(PAGE_KERNEL, &kernel);
	CHECK_EQ(kernel, KEPT);
	CHECK_EQ(blobs + kernel + 1, ARENA_PAGES);
	CHECK_EQ(vm_keep_free(0), 0);
	page_free(some);
	free_list(of_blobs);
	free_list(kernels);
	hoard_free();
	page_check();
}

static void single_pages_to_the_last(void)
{
	uint64_t free_before = page_stats().free_pages;
	struct page *list = NULL, *page;

	test_case("single pages, until none is left");
	struct page *some = page_alloc_run(PAGE_KERNEL, ARENA_PAGES, 1, PAGE_ANYWHERE, 0);
	if (!CHECK(some != NULL))
		return;
	page_zero_one();
	hoard_all(0);
	page_free_run(some, ARENA_PAGES);
	while ((page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_RESERVE)) != NULL) {
		page->next = list;
		list = page;
	}
	CHECK_EQ(page_stats().free_pages, 0);
	while ((page = list) != NULL) {
		list = page->next;
		page_free(page);
	}
	hoard_free();
	CHECK_EQ(page_stats().free_pages, free_before);
	page_check();
}

/* ---- An arena in which every free page is known ------------------------------------------------------ */

static bool arena_begin(void)
{
	arena = page_alloc_run(PAGE_KERNEL, ARENA_PAGES, ARENA_PAGES, PAGE_ANYWHERE, 0);
	if (!CHECK(arena != NULL))
		return false;
	hoard_all(PAGE_ALLOC_RESERVE);
	memset(taken, true, sizeof(taken));
	return CHECK_EQ(page_stats().free_pages, 0);
}

static void arena_give(size_t first, size_t count)
{
	page_free_run(arena + first, count);
	memset(taken + first, false, count);
}

static void arena_end(uint64_t free_before)
{
	for (size_t i = 0; i < ARENA_PAGES; i++) {
		if (taken[i])
			page_free(arena + i);
	}
	hoard_free();
	CHECK_EQ(page_stats().free_pages, free_before);
	page_check();
}

/* Where the model says that a run could be: the lowest place, or ARENA_PAGES. */
static size_t model_find(size_t count, size_t align, size_t limit)
{
	for (size_t first = 0; first + count <= limit; first += align) {
		size_t length = 0;
		while (length < count && !taken[first + length])
			length++;
		if (length == count)
			return first;
	}
	return ARENA_PAGES;
}

/* Asks for a run that ends below page `limit` of the arena. There is one exactly if the model finds one. */
static struct page *arena_run(size_t count, size_t align, size_t limit)
{
	bool possible = model_find(count, align, limit) < ARENA_PAGES;
	struct page *run = page_alloc_run(PAGE_TABLE, count, align, page_paddr(arena) + pages_to_bytes(limit),
					  PAGE_ALLOC_RESERVE);

	if (!CHECK_EQ(run != NULL, possible)) {
		test_print("# %u pages, aligned to %u, below page %u", (unsigned)count, (unsigned)align,
			   (unsigned)limit);
		return NULL;
	}
	if (run == NULL)
		return NULL;
	size_t first = (size_t)(run - arena);
	if (!CHECK(run >= arena && first % align == 0 && first + count <= limit))
		return NULL;
	for (size_t i = first; i < first + count; i++) {
		CHECK(!taken[i] && is_new(arena + i, PAGE_TABLE));
		taken[i] = true;
	}
	return run;
}

static void runs_across_buddies(void)
{
	uint64_t free_before = page_stats().free_pages;

	test_case("a run that no single buddy run contains");
	if (!arena_begin())
		return;
	arena_give(13, 38);
	CHECK(arena_run(39, 1, ARENA_PAGES) == NULL);
	CHECK(arena_run(38, 2, ARENA_PAGES) == NULL);
	CHECK(arena_run(38, 1, 50) == NULL);
	struct page *run = arena_run(38, 1, 51);
	CHECK(run == arena + 13);
	CHECK_EQ(page_stats().free_pages, 0);
	arena_give(13, 38);
	CHECK(arena_run(16, 16, ARENA_PAGES) == arena + 16 || taken[32]);
	page_check();
	arena_end(free_before);
}

static void runs_below_a_limit(void)
{
	uint64_t free_before = page_stats().free_pages;

	test_case("runs below a limit");
	if (!arena_begin())
		return;
	arena_give(0, 64);
	CHECK(arena_run(1, 1, 0) == NULL);
	CHECK(arena_run(41, 1, 40) == NULL);
	CHECK(arena_run(16, 1, 15) == NULL);
	struct page *first = arena_run(40, 1, 40);
	CHECK(first == arena);
	CHECK(arena_run(1, 1, 40) == NULL);
	CHECK(arena_run(3, 1, 43) == arena + 40);
	page_check();
	CHECK_EQ(page_stats().free_pages, 64 - 43);
	arena_end(free_before);
}

static void freed_pages_join(void)
{
	uint64_t free_before = page_stats().free_pages;

	test_case("freed pages join to the largest run, in whatever order they come");
	if (!arena_begin())
		return;
	for (size_t step = 0; step < ARENA_PAGES; step++) {
		size_t i = (step * 211 + 5) % ARENA_PAGES; /* 211 is prime, so that this is every page once */
		page_free(arena + i);
		taken[i] = false;
	}
	CHECK(arena_run(ARENA_PAGES, ARENA_PAGES, ARENA_PAGES) == arena);
	page_check();
	arena_end(free_before);
}

static void random_step(void)
{
	size_t i = random_below(ARENA_PAGES), count = 1 + random_below(random_below(4) ? 6 : 90);

	if (random_below(100) < 45) {
		arena_run(count, (size_t)1 << random_below(random_below(3) ? 2 : 7),
			  random_below(2) ? ARENA_PAGES : random_below(ARENA_PAGES + 1));
	} else if (random_below(2)) {
		struct page *page = page_alloc(PAGE_TABLE, random_below(2) ? PAGE_ALLOC_RESERVE : 0);
		if (page != NULL &&
		    CHECK(page >= arena && page < arena + ARENA_PAGES && !taken[page - arena]))
			taken[page - arena] = true;
	} else if (taken[i]) {
		size_t end = i;
		while (end < ARENA_PAGES && end < i + count && taken[end])
			end++;
		arena_give(i, end - i);
	}
}

static void random_runs(void)
{
	uint64_t free_before = page_stats().free_pages;

	test_case("random requests agree with the model");
	if (!arena_begin())
		return;
	random_state = 20231122;
	for (unsigned step = 0; step < RANDOM_STEPS; step++) {
		uint64_t free_pages = 0;
		random_step();
		if (step % 16 != 0)
			continue;
		page_check();
		for (size_t i = 0; i < ARENA_PAGES; i++)
			free_pages += !taken[i];
		if (!CHECK_EQ(page_stats().free_pages, free_pages)) {
			test_print("# after %u steps", step);
			break;
		}
	}
	arena_end(free_before);
}

/* Where each page counts, one that was freed is there for everybody, and not in a CPU's cache. */
static void scarce(void)
{
	struct page *pages[2];
	uint64_t free_before;

	test_case("where each page counts no CPU keeps any");
	pages[0] = page_alloc(PAGE_TABLE, 0);
	pages[1] = page_alloc(PAGE_TABLE, 0);
	if (!CHECK(pages[0] && pages[1]))
		return;
	page_scarce_begin();
	page_scarce_begin();
	page_free(pages[0]);
	free_before = page_free_count();
	page_free(pages[1]);
	CHECK_EQ(page_free_count(), free_before + 1);
	page_scarce_end();
	pages[0] = page_alloc(PAGE_TABLE, 0);
	CHECK_EQ(page_free_count(), free_before);
	page_free(pages[0]);
	CHECK_EQ(page_free_count(), free_before + 1);
	page_scarce_end();
	/* The last that was freed is the first that is taken again. */
	pages[0] = page_alloc(PAGE_TABLE, 0);
	page_free(pages[0]);
	pages[1] = page_alloc(PAGE_TABLE, 0);
	CHECK(pages[0] == pages[1]);
	page_free(pages[1]);
	page_check();
}

void suite_page(void)
{
	single_pages();
	statistics();
	references();
	zeroed_pages();
	pool_is_bounded();
	runs_of_each_length();
	impossible_runs();
	device_frames();
	reserve();
	kept_from_blobs();
	scarce();
	single_pages_to_the_last();
	runs_across_buddies();
	runs_below_a_limit();
	freed_pages_join();
	random_runs();
}
