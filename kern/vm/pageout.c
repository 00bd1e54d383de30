/*
 * Page out and sync: pages of blobs go to a pager.
 *
 * A page that is being written holds still by the rule of copy on write: the writer here has a reference to it, so that
 * whoever wants to change it gets a copy, and the right to write is withdrawn from the mappings first. When the pager is
 * done, the page is either given up, and its location takes its place in every tree that has it; or it stays, and
 * remembers the location: it is clean, until somebody obtains it for writing (page_forget_location).
 *
 *   page                                       sync                    page out
 *   ----------------------------------------   ---------------------   ----------------------
 *   dirty                                      written, then clean     written, then given up
 *   clean                                      -                       given up
 *   wired                                      written, then clean     as sync
 *   lent by the blob's pager                   -                       -
 *   copied or forgotten by others meanwhile    what was written goes   what was written goes
 *
 * There are no queues of pages: who looks for pages to give up goes through the descriptors in the order of frames, a
 * clock's hand. So a page fault adds to no list, and no list has to be kept right.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* Locks: (s) its lock. */
static struct {
	struct spinlock lock;
	struct pager *pager; /* (s) a reference is held */
} store = {.lock = ENV_SPINLOCK_INIT(RANK_STORE, "store")};

int vm_set_store(struct pager *pager)
{
	struct pager *before;

	if (pager && !pager->ops->put_pages)
		return -EINVAL;
	if (pager)
		pager->refs++;
	spin_lock(&store.lock);
	before = store.pager;
	store.pager = pager;
	spin_unlock(&store.lock);
	pager_unref(before);
	return 0;
}

void page_forget_location(struct family *family, struct page *page)
{
	uint32_t location = page_location(page);

	FAMILY_ASSERT_LOCKED(family);
	if (page->state != PAGE_BLOB || location == 0)
		return;
	page->in_use = 0;
	family->store->ops->location_unref(family->store, location);
}

/* The pager that takes the family's pages: for ever the one that it was at first. NULL: none. Family locked. */
static struct pager *family_store(struct family *family, struct pager *own)
{
	if (family->store)
		return family->store;
	if (own && own->ops->put_pages) {
		own->refs++;
		family->store = own;
		return own;
	}
	spin_lock(&store.lock);
	family->store = store.pager;
	if (family->store)
		family->store->refs++;
	spin_unlock(&store.lock);
	return family->store;
}

/* ---- Giving a page up ------------------------------------------------------------------------- */

/* Removes every translation of a page of the family. Family locked. */
static void forget_everywhere(struct family *family, pgoff_t index, slot_t slot)
{
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		bool shared;
		slot_t *place;

		if (index - blob->base >= blob->pages)
			continue;
		place = tree_find(&blob->tree, index, &shared);
		if (place && *place == slot)
			blob_forget_translations(blob, index - blob->base, index - blob->base + 1, NULL);
	}
}

/*
 * Puts a page's location, which it has, in its place everywhere. The caller found it in the blob, and has `own` references,
 * which keep it. A page that only this blob has costs no look at the family's others. Family locked.
 */
static void give_up(struct blob *blob, struct page *page, uint32_t own)
{
	struct family *family = blob->family;
	struct pager *pager = family->store;
	slot_t location = slot_of_location(page_location(page));
	pgoff_t index = page->index;
	unsigned slots = 1;
	bool shared;
	slot_t *place = tree_find(&blob->tree, index, &shared);

	if (!shared && page->refs == own + 1) {
		blob_forget_translations(blob, index - blob->base, index - blob->base + 1, NULL);
		*place = location;
	} else {
		forget_everywhere(family, index, slot_of_page(page));
		slots = family_replace(family, index, slot_of_page(page), location);
	}
	for (unsigned i = 0; i < slots; i++) {
		pager->ops->location_ref(pager, slot_location(location));
		page_release(family, page);
	}
}

/* ---- Writing ------------------------------------------------------------------------------------ */

/* Pages on their way to a pager. A reference to each is held. */
struct writing {
	struct blob *blob;
	bool give_up;   /* else they stay, clean */
	pgoff_t cursor; /* tree index: what is before has been dealt with */
	pgoff_t end;
	unsigned count;
	struct page_put puts[PAGER_CLUSTER];
};

/* Collects dirty pages, and gives clean ones up on the way. Family locked. */
static void writing_collect(struct writing *writing)
{
	struct blob *blob = writing->blob;
	slot_t *place;
	bool shared;

	writing->count = 0;
	while (writing->count < PAGER_CLUSTER) {
		pgoff_t index = tree_next(&blob->tree, writing->cursor, writing->end, &place);
		struct page *page;

		writing->cursor = index;
		if (index == writing->end)
			return;
		writing->cursor++;
		if (slot_is_paged_out(*place) || slot_page(*place)->state != PAGE_BLOB)
			continue;
		page = slot_page(*place);
		if (page_location(page) != 0) {
			if (writing->give_up && page->wired == 0)
				give_up(blob, page, 0);
			continue;
		}
		/* A page below a shared node is entered nowhere with the right to write. */
		(void)tree_find(&blob->tree, index, &shared);
		if (!shared)
			blob_withdraw_write(blob, index - blob->base, index - blob->base + 1);
		page_ref(page);
		writing->puts[writing->count++] = (struct page_put){.page = page, .index = index};
	}
}

/* Is the page still the blob's at its index? */
static bool is_still_there(struct blob *blob, const struct page *page)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, page->index, &shared);

	return place && *place == slot_of_page((struct page *)page);
}

/*
 * After a page was written: takes over the reference to its location. If the blob has it no longer, others still may: then it
 * is theirs, and as it was written. Two who write a page at once both come here; the second's location goes. Family locked.
 */
static void written(struct writing *writing, const struct page_put *put)
{
	struct family *family = writing->blob->family;
	struct pager *pager = family->store;
	struct page *page = put->page;

	if (page_location(page) == 0 && page->refs > 1)
		page->in_use = put->location;
	else
		pager->ops->location_unref(pager, put->location);
	if (writing->give_up && page->wired == 0 && is_still_there(writing->blob, page))
		give_up(writing->blob, page, 1);
	page_release(family, page);
}

/* Writes what was collected. 0 or an error of put_pages. */
static int writing_carry_out(struct writing *writing, struct pager *pager)
{
	struct family *family = writing->blob->family;
	int error = pager->ops->put_pages(pager, writing->puts, writing->count);

	spin_lock(&family->lock);
	for (unsigned i = 0; i < writing->count; i++) {
		if (error)
			page_release(family, writing->puts[i].page);
		else
			written(writing, &writing->puts[i]);
	}
	family_unlock(family);
	return error;
}

static int write_window(struct blob *blob, pgoff_t offset, pgoff_t pages, bool give_up)
{
	struct writing writing = {.blob = blob,
				  .give_up = give_up,
				  .cursor = blob->base + offset,
				  .end = blob->base + offset + pages};
	int error = blob_check_window(blob, offset, pages);

	if (error || blob->fixed)
		return -EINVAL;
	while (!error && writing.cursor < writing.end) {
		struct pager *pager;

		spin_lock(&blob->family->lock);
		pager = family_store(blob->family, blob->pager);
		if (pager)
			writing_collect(&writing);
		family_unlock(blob->family);
		if (!pager)
			return -ENODEV;
		if (writing.count > 0)
			error = writing_carry_out(&writing, pager);
	}
	return error;
}

int blob_sync(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	return write_window(blob, offset, pages, false);
}

int blob_page_out(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	return write_window(blob, offset, pages, true);
}
