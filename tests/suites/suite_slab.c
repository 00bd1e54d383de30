/*
 * Slab caches: objects do not overlap, pages come and go as they should, counters are exact.
 *
 * A cache cannot be taken out of the list of all caches, so those of this suite are static, are made only
 * once, and are left without objects.
 */
#include <kern/test.h>
#include <vm/page.h>
#include <vm/slab.h>

#define MAX_OBJECTS 600u

static const size_t sizes[] = {1,   8,   16,   17,   40,   48,   64,   100,
			       256, 520, 1000, 1024, 1360, 1366, 2033, SLAB_MAX_BYTES};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct slab_cache caches[SIZES];
static unsigned char *objects[MAX_OBJECTS];

static uint64_t slab_pages(void)
{
	return page_stats().by_state[PAGE_SLAB];
}

/* A byte that only the object with this number has. */
static unsigned char mark_of(size_t number)
{
	return (unsigned char)(number * 37 + 11);
}

static bool is_marked(const unsigned char *object, size_t bytes, size_t number)
{
	for (size_t i = 0; i < bytes; i++) {
		if (object[i] != mark_of(number))
			return false;
	}
	return true;
}

/* Fills a few pages, frees every other object, fills again, frees all. */
static void fill_and_empty(struct slab_cache *cache, size_t bytes)
{
	size_t count = (size_t)cache->per_page * 5 / 2;
	uint64_t pages_before = slab_pages() - cache->pages;

	if (count > MAX_OBJECTS)
		count = MAX_OBJECTS;
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < count; i++) {
			if (objects[i] != NULL)
				continue;
			objects[i] = slab_alloc(cache);
			if (!CHECK(objects[i] != NULL) || !CHECK_EQ((uintptr_t)objects[i] % 16, 0))
				return;
			memset(objects[i], mark_of(i), bytes);
		}
		CHECK_EQ(cache->objects, count);
		CHECK_EQ(cache->pages, (count + cache->per_page - 1) / cache->per_page);
		CHECK_EQ(slab_pages() - pages_before, cache->pages);
		for (size_t i = 0; i < count; i++) {
			CHECK(is_marked(objects[i], bytes, i));
			if (round == 0 && i % 2 == 0)
				continue;
			slab_free(cache, objects[i]);
			objects[i] = NULL;
		}
	}
	CHECK_EQ(cache->objects, 0);
	CHECK_EQ(cache->pages, 1);
	CHECK(cache->partial == NULL && cache->empty != NULL);
	CHECK_EQ(slab_pages() - pages_before, 1);
}

static void each_size(void)
{
	for (size_t i = 0; i < SIZES; i++) {
		struct slab_cache *cache = &caches[i];
		static char names[SIZES][32];

		env_format(names[i], sizeof(names[i]), "objects of %u bytes", (unsigned)sizes[i]);
		test_case(names[i]);
		CHECK(cache->object_bytes >= sizes[i] && cache->object_bytes % 16 == 0);
		CHECK_EQ(cache->per_page, PAGE_SIZE / cache->object_bytes);
		memset(objects, 0, sizeof(objects));
		fill_and_empty(cache, sizes[i]);
	}
}

static void page_of_objects(void)
{
	struct slab_cache *cache = &caches[SIZES - 1];

	test_case("the descriptor of a page says whose it is");
	void *first = slab_alloc(cache), *second = slab_alloc(cache), *third = slab_alloc(cache);
	if (!CHECK(first != NULL && second != NULL && third != NULL))
		return;
	struct page *page = page_from_paddr(env_virt_to_phys(first));
	CHECK_EQ(page->state, PAGE_SLAB);
	CHECK(page->owner == cache);
	CHECK_EQ(page->in_use, 2);
	CHECK(page == page_from_paddr(env_virt_to_phys(second)));
	CHECK(page != page_from_paddr(env_virt_to_phys(third)));

	/* A full page that gets a free object is used before another page is taken. */
	slab_free(cache, first);
	CHECK_EQ(page->in_use, 1);
	uint64_t held = cache->pages;
	void *again = slab_alloc(cache), *other = slab_alloc(cache);
	CHECK(again == first || other == first);
	CHECK_EQ(cache->pages, held);
	slab_free(cache, again);
	slab_free(cache, other);
	slab_free(cache, second);
	slab_free(cache, third);
	CHECK_EQ(cache->objects, 0);
	CHECK_EQ(cache->pages, 1);
}

static void no_thrashing(void)
{
	struct slab_cache *cache = &caches[0];

	test_case("one object, again and again, costs no page");
	void *object = slab_alloc(cache);
	if (!CHECK(object != NULL))
		return;
	slab_free(cache, object);
	struct page_stats before = page_stats();
	for (unsigned i = 0; i < 100; i++) {
		object = slab_alloc(cache);
		slab_free(cache, object);
	}
	CHECK_EQ(page_stats().free_pages, before.free_pages);
	CHECK_EQ(cache->pages, 1);
}

static void in_the_list(void)
{
	size_t found = 0;

	test_case("every cache is in the list of caches");
	for (struct slab_cache *cache = slab_caches(); cache != NULL; cache = cache->next)
		found += cache >= &caches[0] && cache < &caches[SIZES];
	CHECK_EQ(found, SIZES);
}

void suite_slab(void)
{
	/* They stay in the list of all caches, so they are made only once. */
	if (caches[0].name == NULL) {
		for (size_t i = 0; i < SIZES; i++)
			slab_cache_init(&caches[i], "slab test", sizes[i]);
	}
	each_size();
	page_of_objects();
	no_thrashing();
	in_the_list();
}
