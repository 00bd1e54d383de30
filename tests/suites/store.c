/*
 * The simulated disk of the suites: a pager that takes pages, and checks what becomes of them.
 *
 * What it promises is in store.h. It copies, so that a page which changes under it, or comes back as another's, shows:
 * the disk is a table of locations, each with a page of memory for what is on it.
 */
#include "store.h"

#include <asm/errno.h>
#include <kern/test.h>

#define HASH_START  0xcbf29ce484222325ul /* FNV-1a, 64 bits at a time */
#define HASH_FACTOR 0x100000001b3ul

/* A location; location n is place n - 1, as 0 means none. Locks: (s) the store's; (-) while the store is open. */
struct place {
	struct page *
		page; /* (-) what is on the disk there; written by put_pages, who alone knows the location yet */
	pgoff_t index; /* (s) of what is there */
	uint64_t sum;  /* (s) of its contents */
	uint32_t refs; /* (s) 0: free */
};

#define PLACES_PER_PAGE (PAGE_SIZE / sizeof(struct place))

static struct {
	struct pager pager;
	struct spinlock lock;
	struct page *table;                    /* (-) a run of pages */
	struct place *places;                  /* (-) what is in them */
	unsigned count;                        /* (-) of places */
	unsigned next;                         /* (s) where the search for a free place goes on */
	unsigned used;                         /* (s) */
	struct store_counts counts;            /* (s) */
	bool fail_armed, fail_forever, failed; /* (s) */
	unsigned fail_after;                   /* (s) */
	bool open;
} store;

static uint64_t sum_of(const struct page *page)
{
	const uint64_t *words = page_data(page);
	uint64_t sum = HASH_START;

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		sum = (sum ^ words[i]) * HASH_FACTOR;
	return sum;
}

/* The place of a location that is in use; NULL after a failed check. Store locked. */
static struct place *place_of(uint32_t location)
{
	if (!CHECK(store.open && location > 0 && location <= store.count) ||
	    !CHECK(store.places[location - 1].refs > 0))
		return NULL;
	return &store.places[location - 1];
}

static bool fails_now(void)
{
	if (!store.fail_armed)
		return false;
	if (store.fail_after > 0) {
		store.fail_after--;
		return false;
	}
	store.failed = true;
	store.fail_armed = store.fail_forever;
	return true;
}

/* ---- From the disk ------------------------------------------------------------------------------ */

/* Begins a call of get_pages: false if it is to fail. */
static bool get_begin(void)
{
	bool fails;

	spin_lock(&store.lock);
	store.counts.gets++;
	fails = fails_now();
	spin_unlock(&store.lock);
	return !fails;
}

static int get_page(const struct page_wanted *wanted, struct page **out)
{
	struct place *place;
	struct page *page;
	uint64_t sum = 0;
	bool good;

	spin_lock(&store.lock);
	place = place_of(wanted->location);
	good = place && CHECK_EQ(place->index, wanted->index);
	if (good)
		sum = place->sum;
	spin_unlock(&store.lock);
	if (!good)
		return -EIO;
	page = page_alloc(PAGE_BLOB, 0);
	if (!page)
		return -ENOMEM;
	memcpy(page_data(page), page_data(place->page), PAGE_SIZE);
	/* Who asks has a reference to the location: nothing else has been written there. */
	CHECK_EQ(sum_of(page), sum);
	spin_lock(&store.lock);
	CHECK(place->refs > 0);
	store.counts.pages_got++;
	spin_unlock(&store.lock);
	*out = page;
	return 0;
}

static int store_get_pages(struct pager *pager, const struct page_wanted *wanted, unsigned count,
			   struct page **out)
{
	unsigned done = 0;

	CHECK(pager == &store.pager && count >= 1 && count <= PAGER_CLUSTER);
	if (!get_begin())
		return -EIO;
	/* It has nothing from the beginning, and says so. */
	if (!CHECK(wanted[0].location != 0))
		return -EIO;
	while (done < count && wanted[done].location) {
		int error;

		CHECK_EQ(wanted[done].index, wanted[0].index + done);
		error = get_page(&wanted[done], &out[done]);
		if (error)
			return done > 0 ? (int)done : error;
		done++;
	}
	return (int)done;
}

static bool store_has_page(struct pager *pager, pgoff_t index)
{
	(void)index;
	CHECK(pager == &store.pager);
	return false;
}

/* ---- To the disk -------------------------------------------------------------------------------- */

/* A free place, now in use. There is one. Store locked. */
static uint32_t take_place(void)
{
	while (store.places[store.next].refs > 0)
		store.next = (store.next + 1) % store.count;
	store.places[store.next].refs = 1;
	store.used++;
	return store.next + 1;
}

static int store_put_pages(struct pager *pager, struct page_put *pages, unsigned count)
{
	int error = 0;

	CHECK(pager == &store.pager && count >= 1 && count <= PAGER_CLUSTER);
	spin_lock(&store.lock);
	store.counts.puts++;
	if (fails_now())
		error = -EIO;
	else if (store.count - store.used < count)
		error = -ENOSPC;
	for (unsigned i = 0; !error && i < count; i++)
		pages[i].location = take_place();
	if (!error)
		store.counts.pages_put += count;
	spin_unlock(&store.lock);
	if (error)
		return error;
	for (unsigned i = 0; i < count; i++) {
		struct place *place = &store.places[pages[i].location - 1];
		uint64_t sum = sum_of(pages[i].page);

		CHECK_EQ(pages[i].page->state, PAGE_BLOB);
		memcpy(page_data(place->page), page_data(pages[i].page), PAGE_SIZE);
		CHECK_EQ(sum_of(place->page), sum);
		spin_lock(&store.lock);
		place->index = pages[i].index;
		place->sum = sum;
		spin_unlock(&store.lock);
	}
	return (int)count;
}

static void store_location_ref(struct pager *pager, uint32_t location)
{
	struct place *place;

	CHECK(pager == &store.pager);
	spin_lock(&store.lock);
	place = place_of(location);
	if (place)
		place->refs++;
	spin_unlock(&store.lock);
}

static void store_location_unref(struct pager *pager, uint32_t location)
{
	struct place *place;

	CHECK(pager == &store.pager);
	spin_lock(&store.lock);
	place = place_of(location);
	if (place && --place->refs == 0)
		store.used--;
	spin_unlock(&store.lock);
}

static void store_destroy(struct pager *pager)
{
	CHECK(pager == &store.pager && !store.open);
}

static const struct pager_ops store_ops = {
	.name = "test store",
	.get_pages = store_get_pages,
	.has_page = store_has_page,
	.put_pages = store_put_pages,
	.location_ref = store_location_ref,
	.location_unref = store_location_unref,
	.destroy = store_destroy,
};

/* ---- The store as a whole ----------------------------------------------------------------------- */

static size_t table_pages(void)
{
	return (store.count + PLACES_PER_PAGE - 1) / PLACES_PER_PAGE;
}

static void free_memory(void)
{
	for (unsigned i = 0; i < store.count; i++) {
		if (store.places[i].page)
			page_free(store.places[i].page);
	}
	page_free_run(store.table, table_pages());
}

bool store_open(unsigned locations)
{
	ASSERT(!store.open && locations > 0 && locations <= STORE_MAX_LOCATIONS);
	memset(&store, 0, sizeof(store));
	store.count = locations;
	store.table = page_alloc_run(PAGE_KERNEL, table_pages(), 1, PAGE_ANYWHERE, PAGE_ALLOC_ZERO);
	if (!store.table)
		return false;
	store.places = page_data(store.table);
	for (unsigned i = 0; i < locations; i++) {
		store.places[i].page = page_alloc(PAGE_KERNEL, 0);
		if (!store.places[i].page) {
			free_memory();
			return false;
		}
	}
	/* Nothing of the VM is called with it held. */
	spin_init(&store.lock, RANK_SLAB, "test store");
	store.pager = (struct pager){.ops = &store_ops, .refs = 1};
	store.open = true;
	CHECK_EQ(vm_set_store(&store.pager), 0);
	return true;
}

void store_close(void)
{
	CHECK_EQ(vm_set_store(NULL), 0);
	CHECK_EQ(store.used, 0);
	CHECK_EQ(store.pager.refs, 1);
	CHECK(!store.fail_armed);
	store.open = false;
	free_memory();
}

struct pager *store_pager(void)
{
	return &store.pager;
}

unsigned store_used(void)
{
	unsigned used;

	spin_lock(&store.lock);
	used = store.used;
	spin_unlock(&store.lock);
	return used;
}

struct store_counts store_counts(void)
{
	struct store_counts counts;

	spin_lock(&store.lock);
	counts = store.counts;
	spin_unlock(&store.lock);
	return counts;
}

void store_fail_io(unsigned after, bool forever)
{
	spin_lock(&store.lock);
	store.fail_armed = true;
	store.fail_forever = forever;
	store.failed = false;
	store.fail_after = after;
	spin_unlock(&store.lock);
}

bool store_fail_stop(void)
{
	bool failed;

	spin_lock(&store.lock);
	store.fail_armed = false;
	failed = store.failed;
	spin_unlock(&store.lock);
	return failed;
}
