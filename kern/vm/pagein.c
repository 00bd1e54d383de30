/*
 * Page in: what a pager has of a blob becomes resident.
 *
 * Two kinds of places are filled: absent ones of a blob with a pager of its own, and those of pages
 * that were paged out (pageout.c), which the family's store has. Neither changes contents, so both
 * are done in place, for all blobs that share the node, and for those that have the same location in
 * nodes of their own. The pager is asked with no spinlock held; what it gives is stored only where
 * the place is still as it was.
 */
#include <asm/errno.h>

#include "vm_internal.h"

unsigned family_replace(struct family *family, pgoff_t index, slot_t from, slot_t to)
{
	unsigned replaced = 0;

	FAMILY_ASSERT_LOCKED(family);
	ASSERT(from != to && from != SLOT_EMPTY && to != SLOT_EMPTY);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		bool shared;
		slot_t *place;

		if (index - blob->base >= blob->pages)
			continue;
		place = tree_find(&blob->tree, index, &shared);
		/*
		 * Blobs that share the node meet what the first has replaced: each slot is counted
		 * once.
		 */
		if (place && *place == from) {
			*place = to;
			replaced++;
		}
	}
	return replaced;
}

/* What is asked of a pager at once: pages with neighbouring indexes, all absent or all paged out. */
struct request {
	struct pager *pager;
	bool paged_out;
	uint32_t cuts; /* of the family's extent, before the pager was asked */
	unsigned count;
	struct page_wanted wanted[PAGER_CLUSTER];
	struct page *pages[PAGER_CLUSTER];
};

/* Is the page at `index` one that the pager is to be asked for? Family locked. */
static bool request_takes(const struct request *request, struct blob *blob, pgoff_t index, uint32_t *location)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, index, &shared);
	slot_t slot = place ? *place : SLOT_EMPTY;

	FAMILY_ASSERT_LOCKED(blob->family);
	*location = 0;
	if (index >= blob->family->extent)
		return false;
	if (request->paged_out) {
		*location = slot_location(slot);
		return slot_is_paged_out(slot);
	}
	if (slot != SLOT_EMPTY || !request->pager)
		return false;
	return !request->pager->ops->has_page || request->pager->ops->has_page(request->pager, index);
}

/* Collects up to `most` pages from `offset` on; none if there is nothing to ask for. Family locked. */
static void request_fill(struct request *request, struct blob *blob, pgoff_t offset, unsigned most)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, blob->base + offset, &shared);

	ASSERT(most > 0 && most <= PAGER_CLUSTER && offset < blob->pages);
	request->cuts = blob->family->cuts;
	request->paged_out = place && slot_is_paged_out(*place);
	request->pager = request->paged_out ? blob->family->store : blob->pager;
	ASSERT(!request->paged_out || request->pager);
	request->count = 0;
	while (request->count < most && offset + request->count < blob->pages) {
		pgoff_t index = blob->base + offset + request->count;
		uint32_t location;

		if (!request_takes(request, blob, index, &location))
			break;
		/* Its contents stay until they have been read, whatever becomes of the blob. */
		if (request->paged_out)
			request->pager->ops->location_ref(request->pager, location);
		request->wanted[request->count++] =
			(struct page_wanted){index, location, blob->family->number};
	}
}

/*
 * Stores a page that came from the store; it takes the place of its location wherever that is.
 * Family locked.
 */
static bool store_paged_out(struct family *family, const struct page_wanted *wanted, struct page *page)
{
	struct pager *store = family->store;
	unsigned slots =
		family_replace(family, wanted->index, slot_of_location(wanted->location), slot_of_page(page));

	FAMILY_ASSERT_LOCKED(family);
	ASSERT(wanted->location != 0);
	/*
	 * Each slot had a reference to the location, and has one to the page now: the first is the
	 * caller's.
	 */
	for (unsigned i = 0; i < slots; i++) {
		store->ops->location_unref(store, wanted->location);
		if (i > 0)
			page_ref(page);
	}
	if (slots == 0)
		return false;
	ASSERT(page->state == PAGE_BLOB);
	ASSERT(page->refs >= slots && page_location(page) == 0);
	/*
	 * Until somebody writes to it the page is clean, and may be given up without being written
	 * again.
	 */
	page->owner = family;
	page->index = wanted->index;
	page_set_location(page, wanted->location);
	store->ops->location_ref(store, wanted->location);
	page_returned_add(page);
	if (family->wired_count > 0)
		page_count_wirings(family, page);
	return true;
}

/*
 * Stores a page that the blob's pager had from the beginning. 1: stored, 0: not needed any more,
 * -ENOMEM. Family locked.
 */
static int store_absent(struct blob *blob, pgoff_t index, struct page *page)
{
	slot_t *place;

	ASSERT(page->refs > 0);
	ASSERT(page->state == PAGE_BLOB || page->state == PAGE_KERNEL || page->state == PAGE_MODULE);
	if (index >= blob->family->extent)
		return 0;
	if (tree_place(&blob->tree, index, false, &place))
		return -ENOMEM;
	if (*place != SLOT_EMPTY)
		return 0;
	/* A lent page stays its owner's. */
	if (page->state == PAGE_BLOB) {
		page->owner = blob->family;
		page->index = index;
	}
	*place = slot_of_page(page);
	if (page->state == PAGE_BLOB && blob->family->wired_count > 0)
		page_count_wirings(blob->family, page);
	return 1;
}

/*
 * A page that was lent to a clone, where it was absent, is what the blob that the family began with has there as well, if it is absent in that: a
 * file, say, of which the clone is a mapping. Stored there, it need not be asked for by those who map the file later. Only a
 * help: without memory it is not stored. Family locked.
 */
static void share_with_founder(const struct blob *blob, pgoff_t index, struct page *page)
{
	struct blob *founder = blob->family->founder;
	slot_t *place;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (!founder || founder == blob || page->state == PAGE_BLOB)
		return;
	DEBUG_ASSERT(founder->pager == blob->pager && index - founder->base < founder->pages);
	if (tree_place(&founder->tree, index, false, &place) == 0 && *place == SLOT_EMPTY) {
		page_ref(page);
		*place = slot_of_page(page);
	}
}

/*
 * Stores what the pager gave of a request, and gives back what is not needed. What it had from the beginning may have been cut off while it was
 * asked, and what is there now, if the extent has grown again, is not what it gave. Family locked. 0 or -ENOMEM.
 */
static int request_store(struct request *request, struct blob *blob, unsigned given)
{
	bool was_cut = request->cuts != blob->family->cuts;
	int error = 0;

	FAMILY_ASSERT_LOCKED(blob->family);
	ASSERT(given <= request->count);
	for (unsigned i = 0; i < request->count; i++) {
		const struct page_wanted *wanted = &request->wanted[i];
		int stored = 0;

		if (i < given && request->paged_out)
			stored = store_paged_out(blob->family, wanted, request->pages[i]);
		else if (i < given && !was_cut)
			stored = store_absent(blob, wanted->index, request->pages[i]);
		if (stored > 0 && !request->paged_out)
			share_with_founder(blob, wanted->index, request->pages[i]);
		/* The first was asked for; the others are only guesses. */
		if (i == 0 && stored < 0)
			error = stored;
		if (i < given && stored <= 0)
			page_unref(request->pages[i]);
		if (request->paged_out)
			request->pager->ops->location_unref(request->pager, wanted->location);
	}
	return error;
}

/* Fills an absent place that the blob's pager has nothing for, for all who share it. Family locked. */
static int store_zero_page(struct blob *blob, pgoff_t offset)
{
	struct page *page = page_alloc(PAGE_BLOB, PAGE_ALLOC_ZERO);
	int stored;

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(offset < blob->pages);
	if (!page)
		return -ENOMEM;
	stored = store_absent(blob, blob->base + offset, page);
	if (stored <= 0)
		page_free(page);
	return stored < 0 ? stored : 0;
}

/* Is there neither a page nor a location? Family locked. */
static bool is_absent(struct blob *blob, pgoff_t offset)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, blob->base + offset, &shared);

	FAMILY_ASSERT_LOCKED(blob->family);
	return !place || *place == SLOT_EMPTY;
}

/*
 * A request holds references to locations, so that these are not used for something else while they are
 * read. Whoever was faster, or has written there meanwhile, wins: what comes too late is given back.
 */
int page_in(struct blob *blob, pgoff_t offset, unsigned cluster)
{
	struct family *family = blob->family;
	struct request request;
	int given, error = 0;

	BLOB_ASSERT_LIVE(blob);
	ASSERT(cluster > 0 && cluster <= PAGER_CLUSTER);
	spin_lock(&family->lock);
	/* What an overlay lacks comes to the blob below, which it keeps; at most as much of it as the overlay shows. */
	if (blob->below && is_absent(blob, offset)) {
		family_unlock(family);
		return page_in(blob->below, blob->base + offset - blob->below->base, cluster);
	}
	request_fill(&request, blob, offset, cluster);
	if (request.count == 0) {
		/*
		 * Somebody else was faster; or there is nothing, and what is absent there is zero. A
		 * blob without a pager does not store that: the page went meanwhile, and the caller
		 * looks again.
		 */
		if (blob->pager && is_absent(blob, offset))
			error = store_zero_page(blob, offset);
		family_unlock(family);
		return error;
	}
	family_unlock(family);
	/*
	 * unlocked: the request holds locations, but neither places nor nodes; the caller holds the
	 * blob, and that its pager.
	 */
	if (request.paged_out)
		env_stall_begin();
	given = request.pager->ops->get_pages(request.pager, request.wanted, request.count, request.pages);
	if (request.paged_out)
		env_stall_end();
	ASSERT(given != 0 && given <= (int)request.count);
	spin_lock(&family->lock);
	/* locked: the family again. The places are looked up anew. */
	error = request_store(&request, blob, given < 0 ? 0 : (unsigned)given);
	family_unlock(family);
	return given < 0 ? given : error;
}

/* The resident page of the blob's own at a place; NULL: there is none. Family locked. */
static const struct page *own_page(struct blob *blob, pgoff_t offset)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, blob->base + offset, &shared);

	FAMILY_ASSERT_LOCKED(blob->family);
	return place && slot_is_page(*place) && slot_page(*place)->state == PAGE_BLOB ? slot_page(*place)
										      : NULL;
}

unsigned page_in_ahead(struct blob *blob, pgoff_t offset)
{
	const struct page *before = offset > 0 ? own_page(blob, offset - 1) : NULL;
	unsigned count = 1;

	if (!before || !(before->age & PAGE_RETURNED))
		return 1;
	while (count < PAGER_CLUSTER && count <= offset && own_page(blob, offset - count))
		count++;
	return count;
}

bool page_is_at_pager(struct blob *blob, pgoff_t offset)
{
	struct pager *pager = blob->below ? blob->below->pager : blob->pager;
	pgoff_t index = blob->base + offset;
	slot_t slot = blob_shown(blob, index);

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(offset < blob->pages);
	if (slot != SLOT_EMPTY)
		return slot_is_paged_out(slot);
	return pager && (!pager->ops->has_page || pager->ops->has_page(pager, index));
}

/*
 * The first page of [offset, end) that a pager may have; `end`: none. What is beyond the extent nobody has; and without a pager that has something from
 * the beginning there is only what was paged out, so that what is absent is skipped. Family locked.
 */
static pgoff_t next_at_pager(struct blob *blob, pgoff_t offset, pgoff_t end)
{
	struct blob *below = blob->below;
	pgoff_t inside = blob_extent_end(blob), index;
	slot_t *place;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (offset >= inside)
		return end;
	if (below ? below->pager : blob->pager)
		return offset;
	if (inside > end)
		inside = end;
	index = tree_next(&blob->tree, blob->base + offset, blob->base + inside, &place);
	if (below)
		index = tree_next(&below->tree, blob->base + offset, index, &place);
	return index == blob->base + inside ? end : index - blob->base;
}

void page_in_window(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	pgoff_t end = offset + pages;
	int error = 0;

	DEBUG_ASSERT(!blob_check_window(blob, offset, pages));
	while (offset < end && error != -ENOMEM) {
		bool has = false;

		spin_lock(&blob->family->lock);
		offset = next_at_pager(blob, offset, end);
		if (offset < end)
			has = page_is_at_pager(blob, offset);
		family_unlock(blob->family);
		if (has)
			error = page_in(blob, offset,
					end - offset < PAGER_CLUSTER ? end - offset : PAGER_CLUSTER);
		offset++;
	}
}
