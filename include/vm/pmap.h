/*
 * The boundary between the VM core and the machine: one address space's hardware page tables.
 *
 * A pmap is a cache of what map entries and blobs say. Any translation in it may be thrown away
 * at any time, and a fault rebuilds it; the core never reads one to learn a truth. No bit of a
 * page-table entry is known outside kern/arch.
 *
 * Locks: every function takes the pmap's own lock (RANK_PMAP, innermost of the map side) and none
 * may be called with a lock of higher rank. None sleeps. Addresses and lengths are page aligned;
 * ranges are [start, end) and lie in one region of the layout (user space, or one kernel window).
 *
 * Invalidation: when pmap_remove, pmap_protect or a pmap_enter that replaces a translation
 * returns, no CPU can use the old translation any more. Adding a right needs no invalidation on
 * other CPUs: they fault once, find it, and go on.
 */
#ifndef VM_PMAP_H
#define VM_PMAP_H

#include <vm/types.h>

struct page;
struct pmap;

/* What pmap_query found. */
struct pmap_query {
	struct page *page; /* NULL: no translation */
	vm_prot_t prot;    /* effective rights, VM_USER included */
	bool accessed;
	bool dirty;
};

/* A pmap's size, for statistics. */
struct pmap_stats {
	uint64_t resident_pages; /* translations to pages, in user space */
	uint64_t table_pages;    /* page-table pages owned by this pmap, the top level included */
};

/* The pmap of the windows that all address spaces share. Never destroyed. */
extern struct pmap kernel_pmap;

/* Makes an empty user pmap that shares the kernel's windows. 0, or -ENOMEM. */
int pmap_create(struct pmap **out);

/* Frees the pmap and its tables; not active on any CPU, and whatever it still maps is forgotten. */
void pmap_destroy(struct pmap *pmap);

/* Makes this CPU use the pmap (kernel_pmap: no user space at all). */
void pmap_activate(struct pmap *pmap);

/*
 * Translates `va` to `page` with the rights `prot` (VM_USER where ring 3 may use it), replacing
 * whatever was there. The accessed bit is set, and the dirty bit if VM_WRITE is in `prot`.
 * Without VM_READ nothing is entered, and what was there is removed: the machine cannot withhold it.
 * 0, or -ENOMEM for want of a page-table page: then nothing changed. Where `va` is translated already it cannot fail.
 */
int pmap_enter(struct pmap *pmap, vaddr_t va, struct page *page, vm_prot_t prot, enum vm_cache cache);

/* Pages for neighbouring addresses. */
#define PMAP_WINDOW 64
struct pmap_window {
	vaddr_t start;
	unsigned count;    /* 1 to PMAP_WINDOW */
	uint64_t writable; /* a bit for each page that is not NULL: VM_WRITE, too, if it is in `prot` */
	struct page *pages[PMAP_WINDOW]; /* NULL: the place stays as it is */
};

/*
 * pmap_enter() for all pages of a window, with one lock and one search. `prot` has VM_READ. The accessed and dirty bits are not set, as it
 * is not known that the pages will be used; where a page is translated already, no right is taken away. -ENOMEM: some are entered.
 */
int pmap_enter_window(struct pmap *pmap, const struct pmap_window *window, vm_prot_t prot,
		      enum vm_cache cache);

/* Forgets every translation in [start, end). Cost: tables present, not pages spanned. */
void pmap_remove(struct pmap *pmap, vaddr_t start, vaddr_t end);

/*
 * Takes away the rights not in `prot` from every translation in [start, end); adds none. Taking
 * only VM_WRITE costs a constant for each aligned block, however many pages are in it: the right
 * is withdrawn at the highest table that covers the block, and pmap_enter hands it down again.
 * `prot` without VM_READ is the same as pmap_remove; VM_USER in it means nothing, and stays as it is.
 */
void pmap_protect(struct pmap *pmap, vaddr_t start, vaddr_t end, vm_prot_t prot);

/* Says what the hardware would do at `va`. For tests, statistics, times of files and explanations only. */
struct pmap_query pmap_query(struct pmap *pmap, vaddr_t va);

/* The first address of [start, end) that is translated; `end`: none is. Cost: tables present. For who may use pmap_query() only. */
vaddr_t pmap_next(struct pmap *pmap, vaddr_t start, vaddr_t end);

/*
 * Reads and clears the accessed bits of `count` pages (1 to PMAP_WINDOW) from `start` on: a bit for each that was accessed. A CPU other than this one may
 * go on using a translation without setting the bit again, until it forgets it.
 */
uint64_t pmap_harvest(struct pmap *pmap, vaddr_t start, unsigned count);

struct pmap_stats pmap_stats(struct pmap *pmap);

/* Clears a page, or consecutive ones; copies one. Through the physical map, so none can fail. */
void pmap_zero_page(struct page *page);
void pmap_zero_run(struct page *first, size_t count);
void pmap_copy_page(struct page *to, const struct page *from);

#endif
