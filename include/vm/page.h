/*
 * Pages: one descriptor for each 4 KiB frame of RAM, and the allocator that hands them out.
 *
 * Descriptors are in one array indexed by frame number (page_array, see env.h), which exists
 * only where there is RAM. kern/vm/page.c implements everything here; kern/vm/memmap.c makes sense
 * of what the firmware says about RAM.
 */
#ifndef VM_PAGE_H
#define VM_PAGE_H

#include <stdatomic.h>
#include <vm/env.h>
#include <vm/types.h>

/* What a frame is used for now. */
enum page_state {
	PAGE_RESERVED, /* kernel image, firmware, bookkeeping: never allocated; also the inside of a free run */
	PAGE_FREE,     /* the first page of a free run, in the buddy allocator's lists */
	PAGE_CACHED,   /* free, in a CPU's cache */
	PAGE_ZEROED,   /* free, in the pool of zeroed pages */
	PAGE_KERNEL,   /* allocated by the kernel for itself */
	PAGE_TABLE,    /* a page table */
	PAGE_SLAB,     /* small kernel objects */
	PAGE_BLOB,     /* contents of a blob */
	PAGE_MODULE,   /* contents of a boot module: lent to blobs, never freed */
	PAGE_DEVICE,   /* not RAM: device registers or memory that a device blob covers */
	PAGE_STATES
};

/* "kernel", "page table", ...: for listings. */
const char *page_state_name(enum page_state state);

/*
 * Locks: (z) the page allocator's lock; (o) the lock of the present owner: the slab cache's, the
 * pmap's or the blob family's, as `state` says; (a) atomic; (-) written only by who allocated the
 * page, before anyone else can see it, or set once at boot.
 */
struct page {
	struct page *next;     /* (z) free list; (o) the owner's list */
	struct page *previous; /* (z), (o) */
	void *owner;           /* (o) slab cache; pmap; blob family */
	uint64_t index;        /* (o) tree index in the family; first free object in the slab page */
	_Atomic uint32_t refs; /* (a) slots, and other holders, that refer to the page */
	uint32_t
		in_use; /* (o) objects used in a slab page; live entries in a page table; a blob's page: see page_location() */
	uint16_t wired; /* (o) holders that need the page resident */
	uint8_t state;  /* (z), (-) enum page_state; changed by page.c only, which counts them */
	union {
		uint8_t order; /* (z) PAGE_FREE: log2 of the run's length; else 0 */
		uint8_t age;   /* (o) PAGE_BLOB: of reclaim.c */
	};
	uint32_t
		scratch; /* (z) debug builds: 1 if free and filled with the pattern of free pages; (o) of check.c, while it checks */
};
_Static_assert(sizeof(struct page) <= 48, "page descriptors are at most 48 bytes");

/*
 * Of a PAGE_BLOB page: the location where the pager that takes its family's pages has its contents as they are now; 0: none,
 * and the page is dirty. It holds a reference to the location.
 */
static inline uint32_t page_location(const struct page *page)
{
	return page->in_use;
}

/* A range of physical memory, as the loader reports it or after it was put in order. */
struct phys_range {
	paddr_t start;
	paddr_t end; /* exclusive */
	bool usable; /* ordinary RAM, free to use */
};

/*
 * Puts a firmware memory map in order: `in` may be unsorted, overlapping, unaligned and have
 * empty or wrapping ranges. Writes to `out` the sorted, disjoint, page-aligned ranges that are
 * usable, below `limit`, and covered by no unusable range; neighbours are merged. A page that is
 * only partly usable is left out. Returns how many, or -ENOSPC if more than `out_count` (then
 * out holds the first out_count). `in` is not changed; any order and count of `in` is accepted.
 * A range with end == start is empty. One with end < start wraps, and firmware that says so is not
 * trusted: usable, it is ignored; unusable, it reaches to the top of the address space.
 */
int memmap_normalize(const struct phys_range *in, size_t in_count, paddr_t limit, struct phys_range *out,
		     size_t out_count);

/*
 * Starts the allocator. `ram` are all ranges of RAM, at most PAGE_MAX_RANGES, and `free` the parts of
 * it that nobody uses; both as memmap_normalize makes them. The RAM's descriptors are mapped and
 * all zero: only the first page of each free run is written, so that the time taken does not
 * depend on the amount of RAM. What is not in `free` stays PAGE_RESERVED.
 */
#define PAGE_MAX_RANGES 264
void page_init(const struct phys_range *ram, size_t ram_count, const struct phys_range *free,
	       size_t free_count);

/* Flags of page_alloc and page_alloc_run. */
#define PAGE_ALLOC_ZERO    1u /* contents are zero; from the zeroed pool when it has some */
#define PAGE_ALLOC_RESERVE 2u /* may use the last pages, kept for what frees memory */

#define PAGE_ANYWHERE UINT64_MAX /* no upper limit */

/*
 * Allocates a page in `state`, refs 1, all other fields 0. NULL when there is none.
 * Never sleeps; takes RANK_PAGES, RANK_BUDDY. Contents are undefined without PAGE_ALLOC_ZERO.
 * `state` is one of PAGE_KERNEL to PAGE_BLOB.
 */
struct page *page_alloc(enum page_state state, unsigned flags);

/*
 * Allocates up to `count` pages for less than one by one. Of a descriptor only `state`, refs (1), in_use and wired (0) are set. Returns how
 * many: only what is at hand, perhaps none, so that page_alloc may still have one then.
 */
unsigned page_alloc_many(enum page_state state, unsigned flags, unsigned count, struct page **out);

/*
 * From now on pages for blobs leave `kept` pages free besides the reserve, for the kernel, and env_memory_low() is called when fewer than `low` are left.
 * 0, 0: no more.
 */
void page_set_watermarks(uint64_t kept, uint64_t low);

/*
 * From the first to the second each page counts: those that are freed are in no CPU's cache, where some find them and others do not, and env_memory_low() is called for each that is
 * taken. They nest.
 */
void page_scarce_begin(void);
void page_scarce_end(void);

/* Is so much memory free that pages may be allocated that nobody has asked for yet? A guess. */
bool page_is_plentiful(void);

/*
 * Allocates `count` consecutive pages, any count from 1, the first at a multiple of `align_pages`
 * (a power of two), all below physical address `limit` (exclusive). NULL when there is no such run.
 * Each page as page_alloc would return it.
 */
struct page *page_alloc_run(enum page_state state, size_t count, size_t align_pages, paddr_t limit,
			    unsigned flags);

/*
 * Frees pages that page_alloc or page_alloc_run returned, in any portions. Ignores refs. Panics when
 * a page is not allocated (freed twice, reserved, a module's); debug builds panic in a later
 * page_alloc, naming the frame, if anyone writes to a page after it was freed.
 */
void page_free(struct page *page);

/* page_free() of a page whose contents are zero: the zeroed pool keeps it, if there is room. Takes RANK_BUDDY, too. */
void page_free_zeroed(struct page *page);

void page_free_run(struct page *first, size_t count);

/* One more reference. */
static inline void page_ref(struct page *page)
{
	page->refs++;
}

/* One reference less; the last one frees the page (a PAGE_MODULE or PAGE_DEVICE page stays). */
void page_unref(struct page *page);

/*
 * Makes the reserved RAM frames that [start, end) touches, a boot module's, PAGE_MODULE with refs 1: to be lent
 * by page_ref and page_unref, never freed. Frames that are PAGE_MODULE already stay as they are.
 */
void page_mark_module(paddr_t start, paddr_t end);

/*
 * Gives the frames of [start, end), page aligned, descriptors: PAGE_DEVICE with refs 1. Those that are
 * PAGE_DEVICE already stay as they are. -EINVAL: empty, wrapping, unaligned, beyond
 * LAYOUT_PHYSICAL_BYTES, or touches RAM; -ENOMEM. No locks held.
 */
int page_add_device(paddr_t start, paddr_t end);

/* Clears one free page for the zeroed pool; false when it is full, off, or memory is short. For idle CPUs. */
bool page_zero_one(void);

/* Turns the zeroed pool on or off (`zeropool=off`); off also empties it. */
void page_zero_pool_enable(bool on);

struct page_stats {
	uint64_t ram_pages;  /* frames with a descriptor that are RAM */
	uint64_t free_pages; /* buddy, CPU caches and zeroed pool together */
	uint64_t by_state[PAGE_STATES];
	uint64_t zero_hits;   /* PAGE_ALLOC_ZERO served from the pool */
	uint64_t zero_misses; /* ... and by clearing a page there and then */
};
/* Exact while nobody allocates or frees. by_state counts the insides of free runs as PAGE_FREE. */
struct page_stats page_stats(void);

/* Frames with a descriptor that are RAM, and free pages but for those in CPUs' caches: two figures that cost nothing. */
uint64_t page_ram_count(void);
uint64_t page_free_count(void);

/* Those of the free pages that are there for anybody: what page_free_count() says, but for the kernel's reserve. */
uint64_t page_spare_count(void);

/* How often page_alloc() or page_alloc_run() had nothing, since boot. */
uint64_t page_failures(void);

/* Panics unless the free lists are what they should be. For tests; visits every free run. */
void page_check(void);

static inline paddr_t page_paddr(const struct page *page)
{
	return (paddr_t)(page - page_array) << PAGE_SHIFT;
}

/* Valid only for RAM, and for frames that page_add_device() was told of. */
static inline struct page *page_from_paddr(paddr_t pa)
{
	return page_array + (pa >> PAGE_SHIFT);
}

/* Where the kernel sees a RAM page's contents. */
static inline void *page_data(const struct page *page)
{
	return env_phys_to_virt(page_paddr(page));
}

#endif
