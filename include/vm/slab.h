/*
 * Small kernel objects: a cache for each type, over single pages.
 *
 * An object of up to SLAB_MAX_BYTES lives in a page with others of its type; the page's descriptor is
 * the slab's header, so all of the page is objects. Larger kernel memory comes from page_alloc_run
 * (in the physical map) or kernel_alloc (mapped, with guard pages). Implemented in kern/vm/slab.c.
 */
#ifndef VM_SLAB_H
#define VM_SLAB_H

#include <vm/env.h>

#define SLAB_MAX_BYTES 2048

/* Locks: (l) the cache's lock; (-) set once. */
struct slab_cache {
	struct spinlock lock;
	struct page *partial;    /* (l) pages with free objects, a list through page->next/previous */
	struct page *empty;      /* (l) at most one page with no object used, kept to avoid thrashing */
	const char *name;        /* (-) */
	uint32_t object_bytes;   /* (-) rounded up to 16 */
	uint32_t per_page;       /* (-) */
	uint64_t objects;        /* (l) in use */
	uint64_t pages;          /* (l) held */
	struct slab_cache *next; /* (-) the list of all caches */
};

/* Makes a cache of objects of 1 to SLAB_MAX_BYTES. It is for ever, so once for each; `name` stays the caller's. */
void slab_cache_init(struct slab_cache *cache, const char *name, size_t object_bytes);

/* Contents undefined; 16-byte aligned. NULL for want of a page. Never sleeps; takes RANK_SLAB. */
void *slab_alloc(struct slab_cache *cache);

/*
 * Frees an object of this cache; panics if it is another's. Debug builds also panic when it is
 * freed twice, or written to while it is free.
 */
void slab_free(struct slab_cache *cache, void *object);

/* The first of all caches, for listings; follow `next`. */
struct slab_cache *slab_caches(void);

#endif
