/*
 * Page out and sync: pages of blobs go to a pager.
 *
 * A page that is being written holds still by the rule of copy on write: the writer here has a
 * reference to it, so that whoever wants to change it gets a copy, and the right to write is
 * withdrawn from the mappings first. When the pager is done, the page is either given up, and its
 * location takes its place in every tree that has it; or it stays, and remembers the location: it is
 * clean, until somebody obtains it for writing (page_forget_location).
 *
 *   page                                       sync                    page out
 *   ----------------------------------------   ---------------------   ----------------------
 *   dirty                                      written, then clean     written, then given up
 *   clean                                      -                       given up
 *   wired                                      written, then clean     -
 *   lent by the blob's pager                   -                       -
 *   copied or forgotten by others meanwhile    what was written goes   what was written goes
 *
 * Which pages are to be given up when memory is short is reclaim.c's business.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* Slots that are looked at in one section of the family's lock. */
#define COLLECT_SLOTS 64u

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
	/*
	 * Families that have pages there hold it themselves; only who has none yet goes to the new one.
	 */
	pager_unref(before);
	return 0;
}

static _Atomic uint64_t clean_pages;

uint64_t vm_clean_pages(void)
{
	return clean_pages;
}

void page_set_location(struct page *page, uint32_t location)
{
	DEBUG_ASSERT((page->in_use == 0) != (location == 0));
	page->in_use = location;
	clean_pages += location ? 1 : UINT64_MAX;
}

void page_forget_location(struct family *family, struct page *page)
{
	uint32_t location = page_location(page);

	FAMILY_ASSERT_LOCKED(family);
	if (page->state != PAGE_BLOB || location == 0)
		return;
	ASSERT(family->store && page->owner == family);
	if (page->age & PAGE_RETURNED)
		page_returned_remove(page);
	page_set_location(page, 0);
	family->store->ops->location_unref(family->store, location);
}

/* The one that has some already, the blobs' own, or the store. */
struct pager *family_choose_pager(struct family *family, struct pager *own)
{
	struct pager *pager = family->store;

	FAMILY_ASSERT_LOCKED(family);
	if (!pager && own && own->ops->put_pages)
		pager = own;
	if (pager) {
		pager->refs++;
		return pager;
	}
	spin_lock(&store.lock);
	pager = store.pager;
	if (pager)
		pager->refs++;
	spin_unlock(&store.lock);
	return pager;
}

/* ---- Giving a page up ------------------------------------------------------------------------- */

/* Removes every translation of a page of the family. Family locked. */
static void forget_everywhere(struct family *family, pgoff_t index, slot_t slot)
{
	FAMILY_ASSERT_LOCKED(family);
	DEBUG_ASSERT(slot_is_page(slot));
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

/* A page that only this blob has costs no look at the family's others. */
void page_give_up(struct blob *blob, struct page *page, uint32_t own)
{
	struct family *family = blob->family;
	struct pager *pager = family->store;
	slot_t location = slot_of_location(page_location(page));
	pgoff_t index = page->index;
	unsigned slots = 1;
	bool shared;
	slot_t *place = tree_find(&blob->tree, index, &shared);

	FAMILY_ASSERT_LOCKED(family);
	ASSERT(page->state == PAGE_BLOB && page->wired == 0 && page_location(page) != 0);
	ASSERT(place && *place == slot_of_page(page));
	if (!shared && page->refs == own + 1) {
		blob_forget_translations(blob, index - blob->base, index - blob->base + 1, NULL);
		*place = location;
	} else {
		forget_everywhere(family, index, slot_of_page(page));
		slots = family_replace(family, index, slot_of_page(page), location);
	}
	/*
	 * Each slot has a reference to the location now, one of them the page's own, and gives up one to the page. Who else may still
	 * have one, a device that is not done with it, knows nothing of locations.
	 */
	ASSERT(slots > 0 && page->refs >= slots + own);
	for (unsigned i = 1; i < slots; i++)
		pager->ops->location_ref(pager, slot_location(location));
	if (page->age & PAGE_RETURNED)
		page_returned_remove(page);
	page_set_location(page, 0);
	for (unsigned i = 0; i < slots; i++)
		page_release(family, page);
}

/* ---- Writing ------------------------------------------------------------------------------------ */

void writing_add(struct writing *writing, struct page *page)
{
	struct blob *blob = writing->blob;
	pgoff_t offset = page->index - blob->base;
	bool shared;

	FAMILY_ASSERT_LOCKED(blob->family);
	ASSERT(writing->count < PAGER_CLUSTER);
	ASSERT(page->owner == blob->family && page_location(page) == 0);
	/* A page below a shared node is entered nowhere with the right to write. */
	(void)tree_find(&blob->tree, page->index, &shared);
	if (!shared)
		blob_withdraw_write(blob, offset, offset + 1);
	page_ref(page);
	writing->puts[writing->count++] =
		(struct page_put){.page = page, .index = page->index, .family = blob->family->number};
}

/* Collects dirty pages, and gives clean ones up on the way; some slots at a time. Family locked. */
static void writing_collect(struct writing *writing)
{
	struct blob *blob = writing->blob;
	slot_t *place;

	FAMILY_ASSERT_LOCKED(blob->family);
	ASSERT(writing->cursor >= blob->base && writing->cursor < writing->end);
	writing->count = 0;
	for (unsigned slots = 0; slots < COLLECT_SLOTS && writing->count < PAGER_CLUSTER; slots++) {
		pgoff_t index = tree_next(&blob->tree, writing->cursor, writing->end, &place);
		struct page *page;

		writing->cursor = index;
		if (index == writing->end)
			return;
		writing->cursor++;
		if (slot_is_paged_out(*place) || slot_page(*place)->state != PAGE_BLOB)
			continue;
		page = slot_page(*place);
		if (writing->give_up && page->wired > 0)
			continue;
		if (page_location(page) == 0)
			writing_add(writing, page);
		else if (writing->give_up)
			page_give_up(blob, page, 0);
	}
}

/* Is the page still the blob's at its index? Family locked. */
static bool is_still_there(struct blob *blob, const struct page *page)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, page->index, &shared);

	FAMILY_ASSERT_LOCKED(blob->family);
	return place && *place == slot_of_page((struct page *)page);
}

/*
 * After a page was written: takes over the reference to its location. If the blob has it no longer,
 * others still may: then it is theirs, and as it was written. Two who write a page at once both come
 * here; the second's location goes. A page that a device may still hold, of which nobody can say when its last reference goes, keeps no
 * location: it is given up here and now, or stays dirty. Family locked.
 */
static void written(struct writing *writing, const struct page_put *put)
{
	struct family *family = writing->blob->family;
	struct pager *pager = family->store;
	struct page *page = put->page;

	FAMILY_ASSERT_LOCKED(family);
	bool goes = writing->give_up && page->wired == 0 && is_still_there(writing->blob, page);

	ASSERT(pager && put->location != 0 && page->refs > 0);
	if (page_location(page) == 0 && page->refs > 1 && (goes || !(page->age & PAGE_HELD)))
		page_set_location(page, put->location);
	else
		pager->ops->location_unref(pager, put->location);
	if (goes)
		page_give_up(writing->blob, page, 1);
	/* The reference of writing_add(). */
	page_release(family, page);
}

/* A device may have the page from now on. Another writer, who could not know that, may have given it a location meanwhile. Family locked. */
static void hold(struct family *family, struct page *page)
{
	FAMILY_ASSERT_LOCKED(family);
	page_forget_location(family, page);
	page->age |= PAGE_HELD;
}

/*
 * Is the pager the family's store, now that it has written pages? Only what is at the store can be
 * found again. Family locked.
 */
static bool is_store(struct family *family, struct pager *pager)
{
	FAMILY_ASSERT_LOCKED(family);
	if (!family->store) {
		pager->refs++;
		family->store = pager;
	}
	return family->store == pager;
}

int writing_carry_out(struct writing *writing, struct pager *pager)
{
	struct family *family = writing->blob->family;
	int done = pager->ops->put_pages(pager, writing->puts, writing->count);
	unsigned kept = 0;

	spin_lock(&family->lock);
	/*
	 * locked: the family again. Of the pages only that they are held, and as they were written, is
	 * still known.
	 */
	FAMILY_ASSERT_LOCKED(family);
	ASSERT(writing->count > 0 && done != 0 && done <= (int)writing->count);
	if (done > 0 && is_store(family, pager))
		kept = (unsigned)done;
	for (unsigned i = 0; i < writing->count; i++) {
		struct page_put *put = &writing->puts[i];

		if (put->held)
			hold(family, put->page);
		if (i < kept) {
			written(writing, put);
			continue;
		}
		if ((int)i < done)
			pager->ops->location_unref(pager, put->location);
		page_release(family, put->page);
	}
	/* Not all were written, or the family got another store meanwhile, and it is to be done once more, to that. */
	if (done > 0 && kept < writing->count)
		writing->cursor = writing->puts[kept].index;
	family_unlock(family);
	return done < 0 ? done : (int)kept;
}

/*
 * blob_sync() and blob_page_out(): collects and writes up to a cluster at a time. What was written
 * stays so if a later cluster fails.
 */
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
		pager = family_choose_pager(blob->family, blob->pager);
		if (pager)
			writing_collect(&writing);
		family_unlock(blob->family);
		if (!pager)
			return -ENODEV;
		/* unlocked: the pages collected are held, and so is the pager. */
		if (writing.count > 0) {
			int done = writing_carry_out(&writing, pager);

			error = done < 0 ? done : 0;
		}
		pager_unref(pager);
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
