/*
 * The buddy allocator: free runs of frames. Only page.c uses it; the rest of the VM uses <vm/page.h>.
 *
 * A free run is 2^n pages, n up to BUDDY_ORDER_MAX, aligned to its length, within one range of RAM;
 * two free halves of a run are always joined. Only a run's first descriptor says that it is
 * free: PAGE_FREE, and n in `order`. Those inside it are PAGE_RESERVED and not looked at, so
 * that freeing a large run costs no more than freeing a page.
 *
 * Callers hold buddy.lock unless it says otherwise.
 */
#ifndef KERN_VM_BUDDY_H
#define KERN_VM_BUDDY_H

#include <vm/page.h>

#define BUDDY_ORDER_MAX 18u /* runs of up to 1 GiB */

/* Frame numbers; `end` is exclusive. */
struct frame_range {
	pgoff_t first, end;
};

/* Locks: (z) its lock, RANK_BUDDY, innermost but for the console; (-) set by buddy_init. */
struct buddy {
	struct spinlock lock;
	uint32_t nonempty;                       /* (z) bit n: free[n] is not empty */
	struct page *free[BUDDY_ORDER_MAX + 1];  /* (z) runs of 2^n pages */
	_Atomic uint64_t free_pages;             /* (z) in all of them; read without the lock for a guess */
	size_t ram_count;                        /* (-) */
	struct frame_range ram[PAGE_MAX_RANGES]; /* (-) sorted */
};

extern struct buddy buddy;

#define BUDDY_ASSERT_LOCKED() DEBUG_ASSERT(spin_held(&buddy.lock))

/*
 * A page's state is written by who allocates or frees it, and read, when a neighbour is freed, by
 * others who only want to know whether it is PAGE_FREE, which changes under buddy.lock alone.
 */
static inline unsigned state_get(const struct page *page)
{
	return __atomic_load_n(&page->state, __ATOMIC_RELAXED);
}

static inline void state_set(struct page *page, enum page_state state)
{
	__atomic_store_n(&page->state, (uint8_t)state, __ATOMIC_RELAXED);
}

/* The same for a page that is freed, which has no order, nor an age any more. */
static inline void state_set_freed(struct page *page, enum page_state state)
{
	_Static_assert(offsetof(struct page, order) == offsetof(struct page, state) + 1, "state, order");
	__atomic_store_n((uint16_t *)(void *)&page->state, (uint16_t)state, __ATOMIC_RELAXED);
}

/* For counters that one lock guards, and that are looked at without it as well. */
static inline void counter_add(_Atomic uint64_t *counter, int64_t more)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, now + (uint64_t)more, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline pgoff_t page_frame(const struct page *page)
{
	return (pgoff_t)(page - page_array);
}

/* Starts with these ranges of RAM, none of it free. Before there is anyone to lock out. */
void buddy_init(const struct phys_range *ram, size_t ram_count);

/* Frees a run of 2^order pages at once; [first, end), which lies in one range of RAM. */
void buddy_put(struct page *page, unsigned order);
void buddy_put_frames(pgoff_t first, pgoff_t end);

/* Takes a run of 2^order pages from the smallest that has one; NULL if there is none. */
struct page *buddy_take(unsigned order);

/* Takes a run of at most `most` pages, as long as one can be had whole, and leaves `kept`: the first, and how many; NULL: there are none to be had. */
struct page *buddy_take_some(unsigned most, uint64_t kept, unsigned *count);

/* Takes up to `most` single pages for `state`, of small runs first, and leaves `kept`. Returns how many. */
unsigned buddy_take_pages(struct page **out, unsigned most, uint64_t kept, enum page_state state);

/* What buddy_take_frames looks for, in frames. */
struct frame_request {
	pgoff_t count; /* at least 1 */
	pgoff_t align; /* a power of two */
	pgoff_t limit; /* the last one is below it */
};

/* Takes exactly such frames, from *found on; false if no such frames are free. */
bool buddy_take_frames(const struct frame_request *request, pgoff_t *found);

/* The first page of the free run that contains a frame of RAM; NULL if it is not in one. */
struct page *buddy_run_of(pgoff_t frame);

/* Is a frame in [first, end) RAM? No lock needed. */
bool buddy_touches_ram(pgoff_t first, pgoff_t end);

/* Panics unless all free runs are as they should be, and joined. Visits each. */
void buddy_check(void);

#endif
