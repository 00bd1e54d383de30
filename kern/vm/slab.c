/*
 * Small kernel objects: a cache for each type, over single pages.
 *
 * A slab page is all objects; its descriptor is the header: `owner` is the cache, `index` the
 * address of the first free object (0: none), `in_use` how many are handed out. Free objects are
 * linked through their first word. A page is in the cache's `partial` list while it has both used
 * and free objects, in no list while it is full; one page without used objects is kept as `empty`.
 * Pages come from page.c.
 */
#include <vm/page.h>
#include <vm/slab.h>

#define SLAB_ALIGN 16u /* what the ABI promises of memory for any type: x86-64 psABI, 3.1.2 */

/* The first word of a free object. */
struct free_object {
	struct free_object *next;
};

static struct spinlock caches_lock = ENV_SPINLOCK_INIT(RANK_SLAB, "slab caches");
static struct slab_cache *caches; /* guarded by caches_lock; caches are never taken out */

/* ---- Debug builds fill free objects with a pattern, and look at it before reuse -------------- */

#ifdef DEBUG

#define FREE_BYTE 0xdf /* in a free object, after its first word */
#define NEW_BYTE  0xcd /* in an object just handed out */

/* The first word stays: it links free objects. */
static void object_poison(const struct slab_cache *cache, struct free_object *object)
{
	memset(object + 1, FREE_BYTE, cache->object_bytes - sizeof(*object));
}

/* Panics if a free object was written to; then fills it, so that nobody relies on what is in a new one. */
static void object_check(const struct slab_cache *cache, struct free_object *object)
{
	const uint8_t *bytes = (const uint8_t *)object;

	for (size_t i = sizeof(*object); i < cache->object_bytes; i++) {
		if (bytes[i] != FREE_BYTE)
			panic("slab %s: object %p was written to after it was freed, at offset %zu",
			      cache->name, (void *)object, i);
	}
	memset(object, NEW_BYTE, cache->object_bytes);
}

/* Panics unless `object` is one of the page's objects and in use. */
static void object_check_used(const struct slab_cache *cache, const struct page *page, const void *object)
{
	ASSERT(spin_held(&cache->lock));
	size_t offset = (size_t)((const char *)object - (const char *)page_data(page));
	if (offset % cache->object_bytes != 0 || offset / cache->object_bytes >= cache->per_page)
		panic("slab %s: freed %p, which is not the start of an object", cache->name, object);
	const struct free_object *other = (const struct free_object *)page->index;
	for (; other != NULL; other = other->next) {
		if (other == object)
			panic("slab %s: object %p freed twice", cache->name, object);
	}
}

#else

static void object_poison(const struct slab_cache *cache, struct free_object *object)
{
	(void)cache, (void)object;
}

static void object_check(const struct slab_cache *cache, struct free_object *object)
{
	(void)cache, (void)object;
}

static void object_check_used(const struct slab_cache *cache, const struct page *page, const void *object)
{
	(void)cache, (void)page, (void)object;
}

#endif

/* ---- Caches ---------------------------------------------------------------------------------- */

void slab_cache_init(struct slab_cache *cache, const char *name, size_t object_bytes)
{
	ASSERT(object_bytes > 0 && object_bytes <= SLAB_MAX_BYTES);
	spin_init(&cache->lock, RANK_SLAB, name);
	cache->partial = NULL;
	cache->empty = NULL;
	cache->name = name;
	cache->object_bytes = ((uint32_t)object_bytes + SLAB_ALIGN - 1) & ~(SLAB_ALIGN - 1);
	cache->per_page = (uint32_t)PAGE_SIZE / cache->object_bytes;
	cache->objects = 0;
	cache->pages = 0;

	spin_lock(&caches_lock);
	for (const struct slab_cache *other = caches; other != NULL; other = other->next)
		ASSERT(other != cache);
	cache->next = caches;
	caches = cache;
	spin_unlock(&caches_lock);
}

struct slab_cache *slab_caches(void)
{
	spin_lock(&caches_lock);
	struct slab_cache *first = caches;
	spin_unlock(&caches_lock);
	return first;
}

/* ---- Pages of a cache; its lock is held ------------------------------------------------------ */

/*
 * Puts a page with free objects into `partial`, first: so the last one freed into is the next one used.
 */
static void partial_add(struct slab_cache *cache, struct page *page)
{
	DEBUG_ASSERT(spin_held(&cache->lock));
	DEBUG_ASSERT(page->state == PAGE_SLAB && !page->next && !page->previous);
	page->previous = NULL;
	page->next = cache->partial;
	if (page->next != NULL)
		page->next->previous = page;
	cache->partial = page;
}

/* Takes a page out of `partial`: it is full, or empty. */
static void partial_remove(struct slab_cache *cache, struct page *page)
{
	DEBUG_ASSERT(spin_held(&cache->lock));
	DEBUG_ASSERT((page->previous ? page->previous->next : cache->partial) == page);
	if (page->next != NULL)
		page->next->previous = page->previous;
	if (page->previous != NULL)
		page->previous->next = page->next;
	else
		cache->partial = page->next;
	page->next = page->previous = NULL;
}

/* Gives the cache a page in `partial`: the empty one, or a new one. False: there is no page. */
static bool cache_grow(struct slab_cache *cache)
{
	struct page *page = cache->empty;

	DEBUG_ASSERT(spin_held(&cache->lock) && cache->partial == NULL);
	if (page != NULL) {
		cache->empty = NULL;
		partial_add(cache, page);
		return true;
	}
	page = page_alloc(PAGE_SLAB, 0);
	if (page == NULL)
		return false;
	/* From the last object to the first, so that they are handed out by ascending address. */
	char *data = page_data(page);
	struct free_object *next = NULL;
	for (uint32_t i = cache->per_page; i-- > 0;) {
		struct free_object *object = (struct free_object *)(data + (size_t)i * cache->object_bytes);
		object->next = next;
		object_poison(cache, object);
		next = object;
	}
	page->owner = cache;
	page->index = (uint64_t)next;
	cache->pages++;
	partial_add(cache, page);
	return true;
}

/*
 * The object comes from the first partial page, whichever that is: full pages are in no list, and found
 * again by an object's address when it is freed.
 */
void *slab_alloc(struct slab_cache *cache)
{
	spin_lock(&cache->lock);
	if (__builtin_expect(cache->partial == NULL, 0) && !cache_grow(cache)) {
		spin_unlock(&cache->lock);
		return NULL;
	}
	struct page *page = cache->partial;
	struct free_object *object = (struct free_object *)page->index;
	DEBUG_ASSERT(object != NULL && page->owner == cache && page->in_use < cache->per_page);
	page->index = (uint64_t)object->next;
	page->in_use++;
	cache->objects++;
	if (page->index == 0)
		partial_remove(cache, page);
	object_check(cache, object);
	spin_unlock(&cache->lock);
	return object;
}

/* Takes a page without used objects out of `partial`. Returns one that is to be freed, or NULL. */
static struct page *page_emptied(struct slab_cache *cache, struct page *page)
{
	DEBUG_ASSERT(page->in_use == 0 && page->owner == cache);
	partial_remove(cache, page);
	if (cache->empty == NULL) {
		cache->empty = page;
		return NULL;
	}
	DEBUG_ASSERT(cache->pages > 1);
	cache->pages--;
	return page;
}

void slab_free(struct slab_cache *cache, void *memory)
{
	struct free_object *object = memory;
	struct page *page = page_from_paddr(env_virt_to_phys(memory)), *surplus = NULL;

	ASSERT(page->state == PAGE_SLAB && page->owner == cache);
	spin_lock(&cache->lock);
	object_check_used(cache, page, object);
	object_poison(cache, object);
	if (page->index == 0)
		partial_add(cache, page);
	DEBUG_ASSERT(cache->objects > 0 && page->in_use > 0);
	object->next = (struct free_object *)page->index;
	page->index = (uint64_t)object;
	cache->objects--;
	if (--page->in_use == 0)
		surplus = page_emptied(cache, page);
	spin_unlock(&cache->lock);
	/* After unlocking: the page allocator's locks need not be waited for inside the cache's. */
	if (surplus != NULL)
		page_free(surplus);
}
