/*
 * Wiring: pages that are kept resident.
 *
 * What is wired is a window of a blob: a map entry's (map_wire, in range_use.c), or one that the
 * kernel asked for (blob_wire), which is an entry without a map among the blob's mappings. So the
 * same tree says who maps a page and who wires it. Each page counts the wirings that cover it, over
 * all blobs that have it. It is never paged out or forgotten while there are any; and when a blob
 * gets its own copy of a page, its own wirings go to the copy.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* Pages that are dealt with in one section of the family's lock. */
#define BATCH_PAGES 64

/* A wiring without a map: its entry's addresses start at 0, and its `next` is free for lists. */
struct wiring {
	struct map_entry entry;
};

void wiring_append(struct wiring_list *list, struct wiring *wiring)
{
	ASSERT(!list->first || !list->last->entry.next);
	wiring->entry.next = NULL;
	if (list->first)
		list->last->entry.next = &wiring->entry;
	else
		list->first = wiring;
	list->last = wiring;
}

struct wiring *wiring_take(struct wiring_list *list)
{
	struct wiring *wiring = list->first;

	ASSERT(wiring);
	list->first = (struct wiring *)wiring->entry.next;
	return wiring;
}

/* A visit that counts the mappings that are wired. */
static void count_wiring(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)first, (void)end;
	*(uint32_t *)context += entry->wired;
}

uint32_t blob_wirings_at(struct blob *blob, pgoff_t offset)
{
	uint32_t count = 0;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (blob->wired_count > 0)
		blob_for_each_mapping(blob, offset, offset + 1, count_wiring, &count);
	return count;
}

/* Not blob_wirings_at() of each page: one walk of the mappings does, however long the window is. */
bool blob_is_wired(struct blob *blob, pgoff_t first, pgoff_t end)
{
	uint32_t count = 0;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (blob->wired_count > 0)
		blob_for_each_mapping(blob, first, end, count_wiring, &count);
	return count > 0;
}

/* Lent pages, and those of fixed blobs, stay anyway: they are not counted. */
static bool is_counted(const struct page *page)
{
	return page->state == PAGE_BLOB;
}

/*
 * May the page at `offset` be wired once more? A page that is not counted has no more wirings either
 * than its copy, which will be counted, can have.
 */
static bool may_wire(struct blob *blob, pgoff_t offset, const struct page *page)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	if (is_counted(page))
		return page->wired < UINT16_MAX;
	return blob->wired_count < UINT16_MAX || blob_wirings_at(blob, offset) < UINT16_MAX;
}

/* Moves the end of a wiring, up or down. Family locked. */
static void wiring_set_pages(struct wiring *wiring, pgoff_t pages)
{
	struct map_entry *entry = &wiring->entry;

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	ASSERT(!entry->map && entry->start == 0 && entry->wired);
	if (entry->end > 0) {
		blob_remove_mapping(entry);
		ASSERT(entry->blob->wired_count > 0);
		entry->blob->wired_count--;
	}
	entry->end = pages_to_bytes(pages);
	if (entry->end > 0) {
		blob_add_mapping(entry);
		entry->blob->wired_count++;
	}
}

/* Ends the wiring of the pages [first, end) of the blob. Family locked. */
static void uncount(struct blob *blob, pgoff_t first, pgoff_t end)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(first < end && end <= blob->pages);
	if (blob->fixed)
		return;
	for (pgoff_t offset = first; offset < end; offset++) {
		bool shared;
		slot_t *place = tree_find(&blob->tree, blob->base + offset, &shared);

		ASSERT(place && slot_is_page(*place));
		if (is_counted(slot_page(*place))) {
			ASSERT(slot_page(*place)->wired > 0);
			slot_page(*place)->wired--;
		}
	}
}

/* Makes one page more resident and wired. 0, -ENOMEM (also for more wirings than are counted), -EIO. */
static int wire_page(struct wiring *wiring, enum obtain_for purpose)
{
	struct blob *blob = wiring->entry.blob;
	pgoff_t pages = entry_pages(&wiring->entry);
	pgoff_t offset = wiring->entry.offset + pages;
	struct obtained found;
	int error = blob_lock_and_obtain(blob, offset, purpose, &found);

	if (error)
		return error;
	/* locked: the family, and the page is resident as long as it is. */
	FAMILY_ASSERT_LOCKED(blob->family);
	if (!may_wire(blob, offset, found.page)) {
		error = -ENOMEM;
	} else {
		if (is_counted(found.page))
			found.page->wired++;
		wiring_set_pages(wiring, pages + 1);
	}
	family_unlock(blob->family);
	return error;
}

/*
 * Is there hope of memory for all pages of the window that are not resident? Else the machine's
 * last page would be spent to learn it.
 */
static bool may_fit(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	pgoff_t resident = blob_resident(blob, offset, pages);

	return pages - resident <= page_stats().free_pages;
}

/* In batches, from the end: the wiring shows what is still wired at every moment between them. */
void blob_unwire(struct wiring *wiring)
{
	struct map_entry *entry = &wiring->entry;
	struct blob *blob = entry->blob;
	pgoff_t pages = entry_pages(entry);
	pgoff_t all = pages;

	ASSERT(!entry->map && entry->wired);
	while (pages > 0) {
		pgoff_t left = pages > BATCH_PAGES ? pages - BATCH_PAGES : 0;

		spin_lock(&blob->family->lock);
		uncount(blob, entry->offset + left, entry->offset + pages);
		wiring_set_pages(wiring, left);
		family_unlock(blob->family);
		pages = left;
	}
	/* Nobody may have mapped the pages any more but this. */
	spin_lock(&blob->family->lock);
	DEBUG_ASSERT(entry_pages(entry) == 0);
	(void)blob_trim(blob, entry->offset, entry->offset + all, 1);
	family_unlock(blob->family);
	entry_destroy(entry);
}

/*
 * One page after the other, as a pager may have to be asked for each: the wiring grows with them, so
 * that those before stay.
 */
int wiring_create(struct blob *blob, pgoff_t offset, pgoff_t pages, enum obtain_for purpose,
		  struct wiring **out)
{
	struct wiring *wiring;
	int error = 0;

	DEBUG_ASSERT(!blob_check_window(blob, offset, pages));
	if (!may_fit(blob, offset, pages))
		return -ENOMEM;
	wiring = (struct wiring *)entry_create(ENTRY_BLOB, "wired");
	if (!wiring)
		return -ENOMEM;
	blob_ref(blob);
	wiring->entry.blob = blob;
	wiring->entry.offset = offset;
	wiring->entry.wired = true;
	if (blob->fixed) {
		spin_lock(&blob->family->lock);
		wiring_set_pages(wiring, pages);
		family_unlock(blob->family);
		pages = 0;
	}
	for (pgoff_t i = 0; i < pages && !error; i++)
		error = wire_page(wiring, purpose);
	DEBUG_ASSERT(error || blob->fixed || entry_pages(&wiring->entry) == pages);
	/* Pages that were wired before one failed are unwired, but need not go. */
	if (error)
		blob_unwire(wiring);
	else
		*out = wiring;
	return error;
}

int blob_wire(struct blob *blob, pgoff_t offset, pgoff_t pages, struct wiring **out)
{
	int error = blob_check_window(blob, offset, pages);

	return error ? error : wiring_create(blob, offset, pages, obtain_new(blob), out);
}

void wiring_give(struct wiring *wiring, struct map_entry *entry)
{
	struct blob *blob = entry->blob;

	MAP_ASSERT_WRITING(entry->map);
	ASSERT(!entry->wired && wiring->entry.blob == blob && wiring->entry.offset == entry->offset &&
	       entry_pages(&wiring->entry) == entry_pages(entry));
	spin_lock(&blob->family->lock);
	/* The pages' counts, and the blob's of wirings, stay: they are the entry's from now on. */
	ASSERT(blob->wired_count > 0);
	blob_remove_mapping(&wiring->entry);
	entry->wired = true;
	family_unlock(blob->family);
	entry_destroy(&wiring->entry);
}

/* The pages stay where they are, and may go from now on. */
void entry_unwire(struct map_entry *entry)
{
	FAMILY_ASSERT_LOCKED(entry->blob->family);
	ASSERT(entry->map && entry->wired && entry->blob->wired_count > 0);
	uncount(entry->blob, entry->offset, entry->offset + entry_pages(entry));
	entry->wired = false;
	entry->blob->wired_count--;
}
