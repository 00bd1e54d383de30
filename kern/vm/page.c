/*
 * The page allocator: who hands out the frames of RAM.
 *
 * Three layers, from the slow to the fast:
 *
 *   buddy allocator   free runs of 2^n pages (buddy.c), with a reserve for who frees memory
 *   zeroed pool       single pages that idle CPUs have cleared
 *   CPU caches        a few single pages for each CPU; page_alloc and page_free need only these, mostly
 *
 * An allocation takes from its CPU's cache, which is filled from the buddy allocator; then from the
 * pool; then whatever the other CPUs' caches have is given back to the buddy allocator; and
 * at last, if it may, it takes of the reserve. So no free page is out of reach.
 *
 * Every state is counted where pages change it, for statistics that visit no page. Small objects
 * are in slab.c; what RAM there is, in memmap.c.
 */
#include <asm/errno.h>
#include <vm/layout.h>
#include <vm/page.h>
#include <vm/pmap.h>

#include "buddy.h"

#define CACHE_PAGES 64u /* the most that a CPU keeps */
#define CACHE_BATCH 32u /* moved between a CPU and the buddy allocator at a time */

/* The reserve: this share of the pages that are free at boot, at most this many. */
#define RESERVE_SHARE 128u
#define RESERVE_MAX   64u

/* Memory is plentiful while this share of all RAM is free. */
#define PLENTY_SHARE 8u

/* The zeroed pool: likewise. */
#define POOL_SHARE 16u
#define POOL_MAX   4096u

/* More pages than any machine has. */
#define SCARCE ((uint64_t)1 << 40)

/* Locks: (z) buddy.lock, RANK_BUDDY, taken inside a CPU cache's; (a) atomic; (-) set by page_init. */
static struct {
	struct page *pool;            /* (z) zeroed pages, singly linked */
	_Atomic uint64_t pool_pages;  /* (z) read without the lock for a guess */
	uint64_t pool_max;            /* (-) */
	bool pool_on;                 /* (z) */
	_Atomic uint64_t kept;        /* (a) so many more are not for blobs: see page_set_watermarks */
	_Atomic uint64_t low;         /* (a) */
	uint64_t reserve;             /* (-) this many pages of the buddy allocator need PAGE_ALLOC_RESERVE */
	_Atomic uint64_t cached_from; /* (a) see is_scarce() */
	_Atomic uint64_t zero_hits;   /* (a) */
	_Atomic uint64_t zero_misses; /* (a) */
	_Atomic uint64_t failures;    /* (a) allocations in vain */
	uint64_t ram_pages;           /* (-) */
	int64_t by_state[PAGE_STATES]; /* (z) allocated pages; add those of all CPU caches */
} pages;

/*
 * Locks: (c) its lock, RANK_PAGES; because of it, it does not matter if the thread changes CPUs
 * meanwhile. Aligned so that no two share a cache line, and one is found by a shift.
 */
struct page_cache {
	struct spinlock lock;
	uint32_t count;                  /* (c) */
	struct page *pages[CACHE_PAGES]; /* (c) */
	int64_t by_state[PAGE_STATES];   /* (c) allocated less freed here: may be negative */
} __attribute__((aligned(1024)));

static struct page_cache page_caches[ENV_MAX_CPUS];

/* The cache of this CPU, or of one the thread was on a moment ago. */
static inline struct page_cache *cache_mine(void)
{
	struct page_cache *cache = &page_caches[env_cpu()];

	__asm__("" : "+r"(cache)); /* else the compiler computes each field's address from the CPU's number */
	return cache;
}

#define CACHE_ASSERT_LOCKED(cache) DEBUG_ASSERT(spin_held(&(cache)->lock))

/*
 * Is it a state that page_alloc() gives, and so one that page_free() takes? One comparison, as it is
 * asked for every page.
 */
static inline bool state_is_allocated(unsigned state)
{
	return state - PAGE_KERNEL <= PAGE_BLOB - PAGE_KERNEL;
}

/*
 * What page_alloc_many promises of a descriptor: refs 1 and in_use 0 in one store; wired 0, the state and order 0,
 * which it is outside the free lists, in another. Atomic, as state_set() is.
 */
static inline void page_prepare_counts(struct page *page, enum page_state state)
{
	_Static_assert(offsetof(struct page, in_use) == offsetof(struct page, refs) + 4, "refs, in_use");
	_Static_assert(offsetof(struct page, state) == offsetof(struct page, wired) + 2, "wired, state");
	_Static_assert(offsetof(struct page, order) == offsetof(struct page, wired) + 3, "wired, order");
	DEBUG_ASSERT(page->order == 0);
	__atomic_store_n((uint64_t *)(void *)&page->refs, 1, __ATOMIC_RELAXED);
	__atomic_store_n((uint32_t *)(void *)&page->wired, (uint32_t)state << 16, __ATOMIC_RELAXED);
}

/* What page_alloc promises. */
static inline void page_prepare(struct page *page, enum page_state state)
{
	page->next = NULL;
	page->previous = NULL;
	page->owner = NULL;
	page->index = 0;
	page_prepare_counts(page, state);
}

const char *page_state_name(enum page_state state)
{
	static const char *const names[PAGE_STATES] = {
		[PAGE_RESERVED] = "reserved",   [PAGE_FREE] = "free",     [PAGE_CACHED] = "free, CPU cache",
		[PAGE_ZEROED] = "free, zeroed", [PAGE_KERNEL] = "kernel", [PAGE_TABLE] = "page table",
		[PAGE_SLAB] = "slab",           [PAGE_BLOB] = "blob",     [PAGE_MODULE] = "boot module",
		[PAGE_DEVICE] = "device",
	};

	ASSERT(state < PAGE_STATES);
	return names[state];
}

/* Panics unless the page is one that can be freed. */
static inline void check_allocated(const struct page *page, unsigned state)
{
	if (__builtin_expect(!state_is_allocated(state), 0))
		panic("page %#lx is freed while it is %s", (unsigned long)page_paddr(page),
		      page_state_name(state));
}

/* ---- Debug builds fill free pages with a pattern, and look at it before reuse ---------------- */

#ifdef DEBUG

#define FREE_PATTERN     0xdfdfdfdfdfdfdfdfull
#define POISON_MAX_PAGES 512u /* longer runs are not filled: it would take too long */

/* `run` is the number of pages that are freed together. */
static void page_poison(struct page *page, size_t run)
{
	if (run > POISON_MAX_PAGES)
		return;
	memset(page_data(page), (int)(FREE_PATTERN & 0xff), PAGE_SIZE);
	page->scratch = 1;
}

/* Panics, with the frame and the place, unless all of the page is the pattern. */
static void contents_check(const struct page *page, uint64_t pattern)
{
	const uint64_t *words = page_data(page);

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
		if (words[i] != pattern)
			panic("page %#lx was written to after it was freed: %#lx at offset %zu",
			      (unsigned long)page_paddr(page), (unsigned long)words[i], i * sizeof(*words));
	}
}

/* Pages that were never allocated hold whatever the firmware left. */
static void page_unpoison(struct page *page)
{
	if (page->scratch)
		contents_check(page, FREE_PATTERN);
	page->scratch = 0;
}

/* The pool's pages are clear, and nobody has written to them since. */
static void page_check_zeroed(const struct page *page)
{
	contents_check(page, 0);
}

#else

static inline void page_poison(struct page *page, size_t run)
{
	(void)page, (void)run;
}

static inline void page_unpoison(struct page *page)
{
	(void)page;
}

static inline void page_check_zeroed(const struct page *page)
{
	(void)page;
}

#endif

/* ---- CPU caches, and what to do when they are empty ------------------------------------------ */

/* Gives pages back to the buddy allocator until `keep` are left. The cache is locked. */
static void cache_drain(struct page_cache *cache, unsigned keep)
{
	CACHE_ASSERT_LOCKED(cache);
	DEBUG_ASSERT(keep < CACHE_PAGES && cache->count <= CACHE_PAGES);
	spin_lock(&buddy.lock);
	while (cache->count > keep)
		buddy_put(cache->pages[--cache->count], 0);
	spin_unlock(&buddy.lock);
}

/*
 * Gives all that CPUs have set aside back to the buddy allocator, which joins it. No cache is locked.
 */
static void caches_drain(void)
{
	for (unsigned cpu = 0; cpu < ENV_MAX_CPUS; cpu++) {
		struct page_cache *cache = &page_caches[cpu];
		spin_lock(&cache->lock);
		if (cache->count > 0)
			cache_drain(cache, 0);
		spin_unlock(&cache->lock);
	}
}

/* Takes a zeroed page for `state`; NULL if there is none. */
static struct page *pool_take(enum page_state state)
{
	spin_lock(&buddy.lock);
	struct page *page = pages.pool;
	if (page != NULL) {
		DEBUG_ASSERT(state_get(page) == PAGE_ZEROED);
		pages.pool = page->next;
		counter_add(&pages.pool_pages, -1);
		pages.by_state[state]++;
	}
	spin_unlock(&buddy.lock);
	if (page != NULL)
		page_check_zeroed(page);
	return page;
}

/* Gives up to `most` pages of the pool back to the buddy allocator; false if it was empty. */
static bool pool_drain(unsigned most)
{
	spin_lock(&buddy.lock);
	bool any = pages.pool != NULL;
	for (; most > 0 && pages.pool != NULL; most--) {
		struct page *page = pages.pool;
		DEBUG_ASSERT(state_get(page) == PAGE_ZEROED && counter_get(&pages.pool_pages) > 0);
		pages.pool = page->next;
		counter_add(&pages.pool_pages, -1);
		buddy_put(page, 0);
	}
	spin_unlock(&buddy.lock);
	return any;
}

/* So many pages of the buddy allocator are not for `state`. */
static inline uint64_t kept_from(enum page_state state)
{
	return state == PAGE_BLOB ? pages.reserve + counter_get(&pages.kept) : pages.reserve;
}

/* CPUs keep pages of their own while `cached_from` are free: the reserve, and SCARCE more for each who says so. Does somebody? */
static inline bool is_scarce(void)
{
	return counter_get(&pages.cached_from) >= SCARCE;
}

/* Says that memory is short, if it is. Called after pages were taken from the buddy allocator, with no lock of the allocator's. */
static inline void warn_if_low(void)
{
	if (unlikely(page_spare_count() < counter_get(&pages.low) || is_scarce()))
		env_memory_low();
}

/* A page although this CPU's cache and the buddy allocator have none to spare; NULL: there is none. */
static struct page *page_alloc_scarce(enum page_state state, unsigned flags)
{
	struct page *page = pool_take(state);

	if (page != NULL)
		return page;
	/*
	 * Another CPU may take what is given back here before this one does: then memory is short
	 * indeed.
	 */
	caches_drain();
	spin_lock(&buddy.lock);
	if (buddy_take_pages(&page, 1, kept_from(state), state) == 0)
		page = flags & PAGE_ALLOC_RESERVE ? buddy_take(0) : NULL;
	if (page != NULL)
		pages.by_state[state]++;
	spin_unlock(&buddy.lock);
	return page;
}

/* ---- Allocating and freeing ------------------------------------------------------------------ */

/*
 * Takes a page out of the cache, which is locked and has one, and counts it as `state`; that and all
 * else is still to be written to it.
 */
static inline struct page *cache_pop(struct page_cache *cache, enum page_state state)
{
	CACHE_ASSERT_LOCKED(cache);
	DEBUG_ASSERT(cache->count > 0 && cache->count <= CACHE_PAGES);
	DEBUG_ASSERT(state_get(cache->pages[cache->count - 1]) == PAGE_CACHED);
	cache->by_state[state]++;
	return cache->pages[--cache->count];
}

/* Clears a page that was just allocated, and returns it. */
static __attribute__((noinline)) struct page *page_clear(struct page *page)
{
	pmap_zero_page(page);
	atomic_fetch_add_explicit(&pages.zero_misses, 1, memory_order_relaxed);
	return page;
}

/* What page_alloc does when its CPU's cache is empty or locked. */
static __attribute__((noinline)) struct page *page_alloc_slowly(enum page_state state, unsigned flags)
{
	struct page_cache *cache = cache_mine();
	struct page *page = NULL;

	spin_lock(&cache->lock);
	if (cache->count == 0) {
		/* What is kept from blobs is not to come into the cache, where anyone finds it. */
		bool short_of_pages =
			is_scarce() || counter_get(&buddy.free_pages) < kept_from(PAGE_BLOB) + CACHE_BATCH;

		spin_lock(&buddy.lock);
		cache->count = buddy_take_pages(cache->pages, short_of_pages ? 1 : CACHE_BATCH,
						kept_from(state), PAGE_CACHED);
		spin_unlock(&buddy.lock);
	}
	if (cache->count != 0)
		page = cache_pop(cache, state);
	spin_unlock(&cache->lock);
	warn_if_low();
	if (page == NULL)
		page = page_alloc_scarce(state, flags);
	if (page == NULL) {
		pages.failures++;
		return NULL;
	}
	/* unlocked: the page is in no list any more, and so this thread's alone. */
	page_unpoison(page);
	page_prepare(page, state);
	return flags & PAGE_ALLOC_ZERO ? page_clear(page) : page;
}

/* A page that needs no clearing, or if somebody else was faster, one that does. */
static __attribute__((noinline)) struct page *page_alloc_from_pool(enum page_state state, unsigned flags)
{
	struct page *page = pool_take(state);

	if (page == NULL)
		return page_alloc_slowly(state, flags);
	page_prepare(page, state);
	atomic_fetch_add_explicit(&pages.zero_hits, 1, memory_order_relaxed);
	return page;
}

/* The usual case calls nothing but, at its end, to clear the page: so it saves no registers. */
struct page *page_alloc(enum page_state state, unsigned flags)
{
	struct page_cache *cache = cache_mine();
	struct page *page;

	DEBUG_ASSERT(state_is_allocated(state));
	if (unlikely((flags & PAGE_ALLOC_ZERO) && counter_get(&pages.pool_pages) != 0))
		return page_alloc_from_pool(state, flags);
	if (unlikely(!spin_trylock(&cache->lock)))
		return page_alloc_slowly(state, flags);
	if (unlikely(cache->count == 0)) {
		spin_unlock(&cache->lock);
		return page_alloc_slowly(state, flags);
	}
	page = cache_pop(cache, state);
	spin_unlock(&cache->lock);
	page_unpoison(page);
	page_prepare(page, state);
	return flags & PAGE_ALLOC_ZERO ? page_clear(page) : page;
}

/* Takes up to `count` pages of the pool. */
static unsigned pool_take_many(enum page_state state, unsigned count, struct page **out)
{
	unsigned taken = 0;

	if (counter_get(&pages.pool_pages) == 0)
		return 0;
	while (taken < count && (out[taken] = pool_take(state)) != NULL)
		page_prepare(out[taken++], state);
	atomic_fetch_add_explicit(&pages.zero_hits, taken, memory_order_relaxed);
	return taken;
}

/* Takes a run of at most `most` pages for `state`, past the CPU's cache; NULL: there are none to spare. */
static struct page *run_take(enum page_state state, unsigned most, unsigned *count)
{
	struct page *first;

	spin_lock(&buddy.lock);
	first = buddy_take_some(most, kept_from(state), count);
	if (first != NULL)
		pages.by_state[state] += *count;
	spin_unlock(&buddy.lock);
	warn_if_low();
	return first;
}

/* Makes a run that was just taken `count` pages in `state`, in `out`. */
static inline void run_prepare(struct page *first, unsigned count, enum page_state state, struct page **out)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < count; i++) {
		page_unpoison(first + i);
		page_prepare_counts(first + i, state);
		out[i] = first + i;
	}
}

/* Run by run, so that a run is cleared at once, with no lock held. */
unsigned page_alloc_many(enum page_state state, unsigned flags, unsigned count, struct page **out)
{
	unsigned taken = flags & PAGE_ALLOC_ZERO ? pool_take_many(state, count, out) : 0;
	unsigned length;
	struct page *first;

	DEBUG_ASSERT(state_is_allocated(state));
	while (taken < count && (first = run_take(state, count - taken, &length)) != NULL) {
		run_prepare(first, length, state, out + taken);
		taken += length;
		if (!(flags & PAGE_ALLOC_ZERO))
			continue;
		pmap_zero_run(first, length);
		atomic_fetch_add_explicit(&pages.zero_misses, length, memory_order_relaxed);
	}
	return taken;
}

bool page_is_plentiful(void)
{
	return counter_get(&buddy.free_pages) >= pages.ram_pages / PLENTY_SHARE;
}

/* Adds a page to the cache, and says whether some of its pages should now go to the buddy allocator. */
static inline bool cache_push(struct page_cache *cache, struct page *page, unsigned old_state)
{
	CACHE_ASSERT_LOCKED(cache);
	DEBUG_ASSERT(cache->count < CACHE_PAGES && state_get(page) == PAGE_CACHED);
	cache->by_state[old_state]--;
	cache->pages[cache->count++] = page;
	return cache->count == CACHE_PAGES ||
	       counter_get(&buddy.free_pages) < counter_get(&pages.cached_from);
}

/* Makes room in the cache, or fills the reserve again if it was touched; unlocks the cache. */
static __attribute__((noinline)) void cache_relieve(struct page_cache *cache)
{
	bool short_of_pages = counter_get(&buddy.free_pages) < counter_get(&pages.cached_from);

	CACHE_ASSERT_LOCKED(cache);
	cache_drain(cache, short_of_pages ? 0 : CACHE_PAGES - CACHE_BATCH);
	spin_unlock(&cache->lock);
}

/* What page_free does when its CPU's cache is locked. */
static __attribute__((noinline)) void page_free_slowly(struct page *page, unsigned old_state)
{
	struct page_cache *cache = cache_mine();

	spin_lock(&cache->lock);
	if (cache_push(cache, page, old_state))
		cache_relieve(cache);
	else
		spin_unlock(&cache->lock);
}

/* As page_alloc, the usual case calls nothing. */
void page_free(struct page *page)
{
	unsigned state = state_get(page);

	check_allocated(page, state);
	page_poison(page, 1);
	state_set_freed(page, PAGE_CACHED);

	struct page_cache *cache = cache_mine();
	if (!spin_trylock(&cache->lock)) {
		page_free_slowly(page, state);
	} else if (cache_push(cache, page, state)) {
		cache_relieve(cache);
	} else {
		spin_unlock(&cache->lock);
	}
}

/* Adds a page that is clear, and in no list, to the pool. The buddy allocator is locked. */
static void pool_put(struct page *page)
{
	state_set(page, PAGE_ZEROED);
	page->next = pages.pool;
	pages.pool = page;
	counter_add(&pages.pool_pages, 1);
}

void page_free_zeroed(struct page *page)
{
	unsigned state = state_get(page);
	bool kept;

	check_allocated(page, state);
	page_check_zeroed(page);
	spin_lock(&buddy.lock);
	kept = pages.pool_on && counter_get(&pages.pool_pages) < pages.pool_max;
	if (kept) {
		pages.by_state[state]--;
		pool_put(page);
	}
	spin_unlock(&buddy.lock);
	if (!kept)
		page_free(page);
}

/*
 * Takes a run from the buddy allocator, of the reserve only if the flags say so. Others' caches and the
 * pool are the caller's to empty.
 */
static bool run_alloc(const struct frame_request *request, unsigned flags, enum page_state state,
		      pgoff_t *frame)
{
	uint64_t kept = flags & PAGE_ALLOC_RESERVE ? 0 : pages.reserve;

	spin_lock(&buddy.lock);
	uint64_t free_pages = counter_get(&buddy.free_pages);
	bool found = free_pages >= kept && free_pages - kept >= request->count &&
		     buddy_take_frames(request, frame);
	DEBUG_ASSERT(!found || (*frame & (request->align - 1)) == 0);
	DEBUG_ASSERT(!found || *frame + request->count <= request->limit);
	if (found)
		pages.by_state[state] += (int64_t)request->count;
	spin_unlock(&buddy.lock);
	return found;
}

/*
 * At worst all free pages that are set aside go back to the buddy allocator, once; nothing that is in
 * use is moved.
 */
struct page *page_alloc_run(enum page_state state, size_t count, size_t align_pages, paddr_t limit,
			    unsigned flags)
{
	struct frame_request request = {.count = count, .align = align_pages, .limit = limit >> PAGE_SHIFT};
	pgoff_t frame;

	ASSERT(state_is_allocated(state) && count > 0);
	ASSERT(align_pages > 0 && (align_pages & (align_pages - 1)) == 0);
	if (!run_alloc(&request, flags, state, &frame)) {
		/* What is set aside page by page may be just what a run lacks. */
		while (pool_drain(CACHE_BATCH))
			;
		caches_drain();
		if (!run_alloc(&request, flags, state, &frame)) {
			pages.failures++;
			return NULL;
		}
	}
	struct page *first = page_array + frame;
	for (size_t i = 0; i < count; i++) {
		page_unpoison(first + i);
		page_prepare(first + i, state);
	}
	if (flags & PAGE_ALLOC_ZERO)
		pmap_zero_run(first, count);
	return first;
}

/* Not through the CPU's cache: a run is freed whole, and joined with its neighbours at once. */
void page_free_run(struct page *first, size_t count)
{
	int64_t freed[PAGE_STATES] = {0};
	pgoff_t frame = page_frame(first);

	DEBUG_ASSERT(count > 0);
	for (size_t i = 0; i < count; i++) {
		unsigned state = state_get(first + i);
		check_allocated(first + i, state);
		freed[state]++;
		page_poison(first + i, count);
		state_set_freed(first + i, PAGE_RESERVED);
	}
	spin_lock(&buddy.lock);
	for (unsigned state = 0; state < PAGE_STATES; state++)
		pages.by_state[state] -= freed[state];
	buddy_put_frames(frame, frame + count);
	spin_unlock(&buddy.lock);
}

void page_unref(struct page *page)
{
	uint32_t before = atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel);

	ASSERT(before != 0);
	if (before > 1)
		return;
	unsigned state = state_get(page);
	if (state != PAGE_MODULE && state != PAGE_DEVICE)
		page_free(page);
}

/* ---- Zeroed pool ----------------------------------------------------------------------------- */

bool page_zero_one(void)
{
	struct page *page;

	/* While the page is being cleared it is the kernel's: free for nobody else, and counted. */
	spin_lock(&buddy.lock);
	if (!pages.pool_on || counter_get(&pages.pool_pages) >= pages.pool_max ||
	    counter_get(&buddy.free_pages) <= pages.reserve + pages.pool_max ||
	    buddy_take_pages(&page, 1, pages.reserve, PAGE_KERNEL) == 0) {
		spin_unlock(&buddy.lock);
		return false;
	}
	pages.by_state[PAGE_KERNEL]++;
	spin_unlock(&buddy.lock);

	page_unpoison(page);
	pmap_zero_page(page);

	spin_lock(&buddy.lock);
	DEBUG_ASSERT(state_get(page) == PAGE_KERNEL);
	pages.by_state[PAGE_KERNEL]--;
	if (pages.pool_on)
		pool_put(page);
	else
		buddy_put(page, 0);
	spin_unlock(&buddy.lock);
	return true;
}

void page_zero_pool_enable(bool on)
{
	spin_lock(&buddy.lock);
	pages.pool_on = on;
	spin_unlock(&buddy.lock);
	while (!on && pool_drain(CACHE_BATCH))
		;
}

/* ---- Frames that are lent, never allocated --------------------------------------------------- */

/* Makes frames that nobody allocates `state`. The frames' descriptors exist. */
static void frames_lend(pgoff_t first, pgoff_t end, enum page_state state)
{
	DEBUG_ASSERT(first <= end && !state_is_allocated(state));
	spin_lock(&buddy.lock);
	for (struct page *page = page_array + first; page < page_array + end; page++) {
		if (state_get(page) == state)
			continue;
		ASSERT(state_get(page) == PAGE_RESERVED);
		page_prepare(page, state);
		pages.by_state[state]++;
	}
	spin_unlock(&buddy.lock);
}

void page_mark_module(paddr_t start, paddr_t end)
{
	pgoff_t first = start >> PAGE_SHIFT, last = bytes_to_pages(end);

	DEBUG_ASSERT(start <= end);
	spin_lock(&buddy.lock);
	for (pgoff_t frame = first; frame < last; frame++)
		ASSERT(buddy_run_of(frame) == NULL);
	spin_unlock(&buddy.lock);
	frames_lend(first, last, PAGE_MODULE);
}

int page_add_device(paddr_t start, paddr_t end)
{
	if (!page_aligned(start) || !page_aligned(end) || start >= end || end > LAYOUT_PHYSICAL_BYTES ||
	    buddy_touches_ram(start >> PAGE_SHIFT, end >> PAGE_SHIFT))
		return -EINVAL;
	int error = env_page_array_extend(start, end);
	if (error != 0)
		return error;
	/* Between the two nobody else can make anything of the frames: they are not RAM. */
	frames_lend(start >> PAGE_SHIFT, end >> PAGE_SHIFT, PAGE_DEVICE);
	return 0;
}

/* ---- Start, statistics, checks --------------------------------------------------------------- */

/* A part of the memory for a special use: a fraction of what there is, but never more than `most`. */
static uint64_t share_of(uint64_t available, uint64_t divisor, uint64_t most)
{
	return available / divisor < most ? available / divisor : most;
}

void page_init(const struct phys_range *ram, size_t ram_count, const struct phys_range *free,
	       size_t free_count)
{
	memset(&pages, 0, sizeof(pages));
	memset(page_caches, 0, sizeof(page_caches));
	for (unsigned cpu = 0; cpu < ENV_MAX_CPUS; cpu++)
		spin_init(&page_caches[cpu].lock, RANK_PAGES, "CPU's pages");
	buddy_init(ram, ram_count);
	for (size_t i = 0; i < ram_count; i++)
		pages.ram_pages += (ram[i].end - ram[i].start) >> PAGE_SHIFT;

	spin_lock(&buddy.lock);
	for (size_t i = 0; i < free_count; i++) {
		ASSERT(free[i].start < free[i].end);
		buddy_put_frames(free[i].start >> PAGE_SHIFT, free[i].end >> PAGE_SHIFT);
	}
	DEBUG_ASSERT(counter_get(&buddy.free_pages) <= pages.ram_pages);
	uint64_t available = counter_get(&buddy.free_pages);
	pages.reserve = share_of(available, RESERVE_SHARE, RESERVE_MAX);
	pages.cached_from = pages.reserve;
	pages.pool_max = share_of(available, POOL_SHARE, POOL_MAX);
	pages.pool_on = true;
	spin_unlock(&buddy.lock);
}

void page_set_watermarks(uint64_t kept, uint64_t low)
{
	pages.kept = kept;
	pages.low = low;
}

void page_scarce_begin(void)
{
	pages.cached_from += SCARCE;
}

void page_scarce_end(void)
{
	ASSERT(is_scarce());
	pages.cached_from -= SCARCE;
}

uint64_t page_ram_count(void)
{
	return pages.ram_pages;
}

uint64_t page_free_count(void)
{
	return counter_get(&buddy.free_pages) + counter_get(&pages.pool_pages);
}

uint64_t page_spare_count(void)
{
	uint64_t free = page_free_count(), reserve = pages.reserve;

	return free > reserve ? free - reserve : 0;
}

uint64_t page_failures(void)
{
	return pages.failures;
}

struct page_stats page_stats(void)
{
	struct page_stats stats = {.ram_pages = pages.ram_pages};
	uint64_t in_ram = 0;

	for (unsigned cpu = 0; cpu < ENV_MAX_CPUS; cpu++) {
		struct page_cache *cache = &page_caches[cpu];
		spin_lock(&cache->lock);
		stats.by_state[PAGE_CACHED] += cache->count;
		for (unsigned state = 0; state < PAGE_STATES; state++)
			stats.by_state[state] += (uint64_t)cache->by_state[state];
		spin_unlock(&cache->lock);
	}
	/* One after the other, never all at once: exact only while nobody changes them. */
	spin_lock(&buddy.lock);
	for (unsigned state = 0; state < PAGE_STATES; state++)
		stats.by_state[state] += (uint64_t)pages.by_state[state];
	stats.by_state[PAGE_FREE] = counter_get(&buddy.free_pages);
	stats.by_state[PAGE_ZEROED] = counter_get(&pages.pool_pages);
	spin_unlock(&buddy.lock);

	stats.free_pages =
		stats.by_state[PAGE_FREE] + stats.by_state[PAGE_CACHED] + stats.by_state[PAGE_ZEROED];
	for (unsigned state = 0; state < PAGE_STATES; state++) {
		if (state != PAGE_DEVICE)
			in_ram += stats.by_state[state];
	}
	stats.by_state[PAGE_RESERVED] = stats.ram_pages - in_ram;
	stats.zero_hits = counter_get(&pages.zero_hits);
	stats.zero_misses = counter_get(&pages.zero_misses);
	return stats;
}

void page_check(void)
{
	uint64_t pool_pages = 0;

	spin_lock(&buddy.lock);
	buddy_check();
	for (const struct page *page = pages.pool; page != NULL; page = page->next) {
		ASSERT(state_get(page) == PAGE_ZEROED);
		pool_pages++;
	}
	ASSERT(pool_pages == counter_get(&pages.pool_pages));
	spin_unlock(&buddy.lock);
}
