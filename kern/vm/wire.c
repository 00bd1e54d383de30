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

#include <vm/swap.h>

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

void blob_count_wirings(struct blob *blob, int change)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	ASSERT(change > 0 || (blob->wired_count > 0 && blob->family->wired_count > 0));
	blob->wired_count += change;
	blob->family->wired_count += change;
	blob->family->careful = true;
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

/* A visit that says whether there is a wiring that a smaller extent may not break. */
static void note_held(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)first, (void)end;
	*(bool *)context |= entry->held;
}

bool blob_is_held(struct blob *blob, pgoff_t first, pgoff_t end)
{
	bool held = false;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (blob->wired_count > 0 && first < end)
		blob_for_each_mapping(blob, first, end, note_held, &held);
	return held;
}

/* Lent pages, and those of fixed blobs, stay anyway: they are not counted. */
static bool is_counted(const struct page *page)
{
	return page->state == PAGE_BLOB;
}

/* Visits the pages of a window that are resident and counted. Family locked. */
static void for_each_counted(struct blob *blob, pgoff_t first, pgoff_t end, void (*visit)(struct page *page))
{
	pgoff_t index = blob->base + first;
	slot_t *place;

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(first < end && end <= blob->pages);
	while ((index = tree_next(&blob->tree, index, blob->base + end, &place)) < blob->base + end) {
		if (slot_is_page(*place) && is_counted(slot_page(*place)))
			visit(slot_page(*place));
		index++;
	}
}

static void count_page(struct page *page)
{
	ASSERT(page->wired < WIRINGS_MAX);
	page->wired++;
}

static void uncount_page(struct page *page)
{
	ASSERT(page->wired > 0);
	page->wired--;
}

static void forget_count(struct page *page)
{
	page->wired = 0;
}

void blob_forget_wirings(struct blob *blob, pgoff_t first, pgoff_t end)
{
	if (!blob_is_wired(blob, first, end))
		return;
	blob->family->extent_was_cut = true;
	for_each_counted(blob, first, end, forget_count);
}

/* Mappings that are wired and lack the page are wired on fault, or have lost it with a smaller extent. */
void page_count_wirings(struct family *family, struct page *page)
{
	uint32_t count = 0;

	FAMILY_ASSERT_LOCKED(family);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		pgoff_t offset = page->index - blob->base;
		bool shared;
		slot_t *place;

		if (blob->wired_count == 0 || offset >= blob->pages)
			continue;
		place = tree_find(&blob->tree, page->index, &shared);
		if (place && *place == slot_of_page(page))
			count += blob_wirings_at(blob, offset);
	}
	ASSERT(is_counted(page) && count <= WIRINGS_MAX);
	page->wired = count;
}

/*
 * May the family have one more wiring? What is counted is the entries that are wired: no fewer than those that cover any one page, now or
 * when it becomes resident.
 */
static bool may_wire(const struct family *family)
{
	FAMILY_ASSERT_LOCKED(family);
	return family->wired_count < WIRINGS_MAX;
}

/* Moves the end of a wiring, up or down. Family locked. */
static void wiring_set_pages(struct wiring *wiring, pgoff_t pages)
{
	struct map_entry *entry = &wiring->entry;

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	ASSERT(!entry->map && entry->start == 0 && entry->wired);
	if (entry->end > 0) {
		blob_remove_mapping(entry);
		blob_count_wirings(entry->blob, -1);
	}
	entry->end = pages_to_bytes(pages);
	if (entry->end > 0) {
		blob_add_mapping(entry);
		blob_count_wirings(entry->blob, 1);
	}
}

/* Makes one page more resident and wired. 0, -ENOMEM (also for more wirings than are counted), -EIO, -ENXIO. */
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
	if (pages == 0 && !may_wire(blob->family)) {
		error = -ENOMEM;
	} else {
		if (is_counted(found.page))
			count_page(found.page);
		wiring_set_pages(wiring, pages + 1);
	}
	family_unlock(blob->family);
	return error;
}

/*
 * Is there hope of memory for all pages of the window that are not resident? Else the machine's
 * last page would be spent to learn it. Where room can be made, nobody knows how much before it is tried.
 */
static bool may_fit(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	pgoff_t resident = blob_resident(blob, offset, pages);

	return pages - resident <= (vm_may_make_room() ? page_ram_count() : page_stats().free_pages);
}

/*
 * In batches, from the end: the wiring shows what is still wired at every moment between them. One that is wired on fault may be far larger than
 * what is resident of it, which is all that costs time.
 */
void blob_unwire(struct wiring *wiring)
{
	struct map_entry *entry = &wiring->entry;
	struct blob *blob = entry->blob;
	pgoff_t pages = entry_pages(entry);
	pgoff_t all = pages;

	ASSERT(!entry->map && entry->wired);
	while (pages > 0) {
		pgoff_t left = pages > BATCH_PAGES && !entry->on_fault ? pages - BATCH_PAGES : 0;

		spin_lock(&blob->family->lock);
		for_each_counted(blob, entry->offset + left, entry->offset + pages, uncount_page);
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

/* A wiring that shows nothing yet, with its reference to the blob; NULL: no memory. */
static struct wiring *wiring_allocate(struct blob *blob, pgoff_t offset, bool held)
{
	struct wiring *wiring = (struct wiring *)entry_create(ENTRY_BLOB, "wired");

	if (!wiring)
		return NULL;
	blob_ref(blob);
	wiring->entry.blob = blob;
	wiring->entry.offset = offset;
	wiring->entry.wired = true;
	wiring->entry.held = held;
	return wiring;
}

/* Lets a wiring show all of its window at once: what is there of it is counted. 0 or -ENOMEM. */
static int wire_at_once(struct wiring *wiring, pgoff_t pages)
{
	struct map_entry *entry = &wiring->entry;
	struct family *family = entry->blob->family;
	int error = -ENOMEM;

	spin_lock(&family->lock);
	if (may_wire(family)) {
		/* What an overlay shows of the blob below is not its own yet: it is to be, when it is next accessed. */
		if (entry->blob->below)
			blob_forget_translations(entry->blob, entry->offset, entry->offset + pages, NULL);
		for_each_counted(entry->blob, entry->offset, entry->offset + pages, count_page);
		wiring_set_pages(wiring, pages);
		error = 0;
	}
	family_unlock(family);
	return error;
}

/*
 * One page after the other, as a pager may have to be asked for each: the wiring grows with them, so
 * that those before stay.
 */
int wiring_create(struct blob *blob, pgoff_t offset, pgoff_t pages, enum obtain_for purpose, bool held,
		  struct wiring **out)
{
	struct wiring *wiring;
	int error = 0;

	DEBUG_ASSERT(!blob_check_window(blob, offset, pages));
	if (!may_fit(blob, offset, pages))
		return -ENOMEM;
	wiring = wiring_allocate(blob, offset, held);
	if (!wiring)
		return -ENOMEM;
	if (blob->fixed)
		error = wire_at_once(wiring, pages);
	for (pgoff_t i = 0; i < pages && !error && !blob->fixed; i++)
		error = wire_page(wiring, purpose);
	DEBUG_ASSERT(error || entry_pages(&wiring->entry) == pages);
	/* Pages that were wired before one failed are unwired, but need not go. */
	if (error)
		blob_unwire(wiring);
	else
		*out = wiring;
	return error;
}

/* A wiring of what is resident, and of what becomes so. 0 or -ENOMEM. */
static int wire_on_fault(struct blob *blob, pgoff_t offset, pgoff_t pages, struct wiring **out)
{
	struct wiring *wiring = wiring_allocate(blob, offset, false);
	int error;

	if (!wiring)
		return -ENOMEM;
	wiring->entry.on_fault = true;
	error = wire_at_once(wiring, pages);
	if (error)
		blob_unwire(wiring);
	else
		*out = wiring;
	return error;
}

/*
 * Whoever wires the pages also has them writable where the entry may write, or the first write to them would
 * need a copy; and an overlay wires only what is its own.
 */
int entry_make_wiring(const struct map_entry *entry, pgoff_t offset, pgoff_t pages, bool on_fault,
		      struct wiring **out)
{
	bool own = (entry->prot & VM_WRITE) || entry->blob->below;

	MAP_ASSERT_WRITING(entry->map);
	if (on_fault)
		return wire_on_fault(entry->blob, offset, pages, out);
	return wiring_create(entry->blob, offset, pages, own ? OBTAIN_WRITE : OBTAIN_READ, false, out);
}

int blob_wire(struct blob *blob, pgoff_t offset, pgoff_t pages, struct wiring **out)
{
	int error = blob_check_window(blob, offset, pages);

	return error ? error : wiring_create(blob, offset, pages, obtain_new(blob), true, out);
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
	entry_account(entry, -1);
	entry->wired = true;
	entry->on_fault = wiring->entry.on_fault;
	entry_account(entry, 1);
	family_unlock(blob->family);
	entry_destroy(&wiring->entry);
}

/* The pages stay where they are, and may go from now on. */
void entry_unwire(struct map_entry *entry)
{
	FAMILY_ASSERT_LOCKED(entry->blob->family);
	ASSERT(entry->map && entry->wired);
	for_each_counted(entry->blob, entry->offset, entry->offset + entry_pages(entry), uncount_page);
	entry_account(entry, -1);
	entry->wired = false;
	entry->on_fault = false;
	entry_account(entry, 1);
	blob_count_wirings(entry->blob, -1);
}
