/*
 * Several pages at once: what fault.c does page by page, for all pages that one node of a blob's tree leads to.
 *
 *   fault-around   a fault that found its page resident enters its neighbours, too, that need nothing else
 *   cluster        a write fault where huge pages were asked for fills the absent pages around it
 *   populate       all pages of a range are made resident and entered, as if each were accessed
 *   commit         the same without a mapping
 *
 * Only the plain cases are served here: an absent page is filled, a page that is the blob's alone or is only
 * read is entered. Whatever else there is (copy on write, a pager, wired families) is left to vm_fault()
 * and obtain_page(), page by page. New pages are allocated and cleared with no lock held but the map's.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* Neighbours are entered within aligned groups of so many pages. */
#define AROUND_PAGES 16u

_Static_assert(TREE_FANOUT <= PMAP_WINDOW && TREE_FANOUT % AROUND_PAGES == 0, "a node's pages fit a window");

/* Pages of a blob below one node: those that an entry shows, or that are to be there. */
struct batch {
	struct blob *blob;
	struct map_entry *entry; /* NULL: nothing is entered */
	pgoff_t offset;          /* of the first, in pages of the blob */
	unsigned count;
	enum obtain_for purpose;
	struct pmap_window window; /* what is to be entered; NULL: it is no plain case */
	unsigned spares;           /* of `spare`: new pages */
	struct page *spare[TREE_FANOUT];
};

static inline uint64_t bit(unsigned i)
{
	return (uint64_t)1 << i;
}

/* The pages from `offset` on that are below the same node, and before `end`. */
static unsigned pages_in_node(const struct blob *blob, pgoff_t offset, pgoff_t end)
{
	pgoff_t left = TREE_FANOUT - ((blob->base + offset) & (TREE_FANOUT - 1));

	DEBUG_ASSERT(offset < end && end <= blob->pages);
	return (unsigned)(left < end - offset ? left : end - offset);
}

/* The tree index of the batch's last page. What covers it, covers the whole node. */
static inline pgoff_t last_index(const struct batch *batch)
{
	return batch->blob->base + batch->offset + batch->count - 1;
}

/* The slots of the batch's pages; NULL: some are missing in the tree. Family locked. */
static inline slot_t *batch_slots(const struct batch *batch, bool *shared)
{
	slot_t *last = tree_find(&batch->blob->tree, last_index(batch), shared);

	FAMILY_ASSERT_LOCKED(batch->blob->family);
	return last ? last - (batch->count - 1) : NULL;
}

/* May the page be written where it is entered: is it the blob's alone, and dirty? */
static inline bool is_writable(const struct page *page, bool shared)
{
	return !shared && page->refs == 1 && page_location(page) == 0;
}

/* Puts a page that is there into the window. */
static inline void batch_show(struct batch *batch, unsigned i, struct page *page, bool writable)
{
	batch->window.pages[i] = page;
	if (writable)
		batch->window.writable |= bit(i);
}

/* Enters what is in the window. Family locked. 0 or -ENOMEM, and then what was entered stays. */
static int batch_enter(struct batch *batch)
{
	const struct map_entry *entry = batch->entry;
	vm_prot_t rights = entry->prot | VM_READ | (entry->map->user ? VM_USER : 0);

	FAMILY_ASSERT_LOCKED(batch->blob->family);
	batch->window.start = entry->start + pages_to_bytes(batch->offset - entry->offset);
	batch->window.count = batch->count;
	return pmap_enter_window(entry->map->pmap, &batch->window, rights, batch->blob->cache);
}

/* ---- Fault-around ------------------------------------------------------------------------------- */

/* Makes the batch the pages around `offset` that lie in the same aligned group of `pages`, and in the entry. */
static void batch_around(struct batch *batch, struct map_entry *entry, pgoff_t offset, unsigned pages)
{
	pgoff_t base = entry->blob->base;
	pgoff_t first = (base + offset) & ~(pgoff_t)(pages - 1);
	pgoff_t end = first + pages;

	if (first < base + entry->offset)
		first = base + entry->offset;
	if (end > base + entry->offset + entry_pages(entry))
		end = base + entry->offset + entry_pages(entry);
	DEBUG_ASSERT(first <= base + offset && base + offset < end);
	batch->blob = entry->blob;
	batch->entry = entry;
	batch->offset = first - base;
	batch->count = (unsigned)(end - first);
}

/*
 * The group's pages that are resident, whatever else the entry shows there. The page that faulted is one of them, and as
 * writable as it was obtained.
 */
int enter_around(struct map_entry *entry, pgoff_t offset)
{
	struct batch batch;
	slot_t *slots;
	bool shared;

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	batch_around(&batch, entry, offset, AROUND_PAGES);
	slots = batch_slots(&batch, &shared);
	/* A tree that has only its first page has no node. */
	if (!slots)
		return -ENOENT;
	batch.window.writable = 0;
	for (unsigned i = 0; i < batch.count; i++) {
		batch.window.pages[i] = NULL;
		if (slot_is_page(slots[i]))
			batch_show(&batch, i, slot_page(slots[i]), is_writable(slot_page(slots[i]), shared));
	}
	DEBUG_ASSERT(batch.window.pages[offset - batch.offset]);
	return batch_enter(&batch);
}

/* ---- Filling -------------------------------------------------------------------------------------- */

/* Are absent pages of the batch shown as zeroes? */
static bool shows_zeroes(const struct batch *batch)
{
	return batch->purpose == OBTAIN_READ && batch->entry && entry_shows_zeroes(batch->entry) &&
	       !batch->blob->pager && !batch->blob->fixed;
}

/* How many of the batch's pages are within the extent: those from the first on. Family locked. */
static unsigned batch_inside(const struct batch *batch)
{
	pgoff_t end = blob_extent_end(batch->blob);

	if (end >= batch->offset + batch->count)
		return batch->count;
	return end > batch->offset ? (unsigned)(end - batch->offset) : 0;
}

/* How many pages have to be made for the batch. Family locked. */
static unsigned count_absent(const struct batch *batch)
{
	unsigned absent = 0, inside = batch_inside(batch);
	bool shared;
	slot_t *slots = batch_slots(batch, &shared);

	if (!slots)
		return inside;
#pragma GCC unroll 8
	for (unsigned i = 0; i < inside; i++)
		absent += slots[i] == SLOT_EMPTY;
	return absent;
}

/* Allocates the pages that the batch lacks, as far as they are at hand. Family not locked. */
static void batch_allocate(struct batch *batch)
{
	struct blob *blob = batch->blob;
	unsigned absent = 0;

	batch->spares = 0;
	if (blob->pager || blob->fixed || shows_zeroes(batch))
		return;
	spin_lock(&blob->family->lock);
	absent = count_absent(batch);
	family_unlock(blob->family);
	if (absent > 0)
		batch->spares =
			page_alloc_many(PAGE_BLOB, batch->purpose == OBTAIN_UNZEROED ? 0 : PAGE_ALLOC_ZERO,
					absent, batch->spare);
}

/* Frees the pages that the batch did not need, as others have filled their places meanwhile. */
static void batch_free(struct batch *batch)
{
	while (batch->spares > 0)
		page_free(batch->spare[--batch->spares]);
}

/* Stores a new page in an empty place. Family locked. */
static inline void batch_fill(struct batch *batch, unsigned i, slot_t *place)
{
	struct page *page = batch->spare[--batch->spares];

	DEBUG_ASSERT(*place == SLOT_EMPTY && page->refs == 1 && page_location(page) == 0);
	page->owner = batch->blob->family;
	page->index = batch->blob->base + batch->offset + i;
	*place = slot_of_page(page);
	if (unlikely(batch->blob->family->wired_count > 0))
		page_count_wirings(batch->blob->family, page);
	batch_show(batch, i, page, true);
}

/* One page of the batch, if it is a plain case. `shared` is never true where pages are made. Family locked. */
static inline void batch_page(struct batch *batch, unsigned i, slot_t *place, bool shared, bool zeroes)
{
	struct page *page = slot_page(*place);

	batch->window.pages[i] = NULL;
	if (*place == SLOT_EMPTY) {
		if (batch->spares > 0)
			batch_fill(batch, i, place);
		else if (zeroes)
			batch_show(batch, i, page_of_zeroes, false);
	} else if (slot_is_page(*place)) {
		bool writable = is_writable(page, shared);

		if (writable || batch->purpose == OBTAIN_READ)
			batch_show(batch, i, page, writable);
	}
}

/*
 * Finds the slots, making nodes for new pages, which come into nodes that are the blob's alone. NULL: there are
 * none. Family locked.
 */
static slot_t *batch_place(struct batch *batch, bool *shared)
{
	slot_t *slots = batch_slots(batch, shared);
	slot_t *last;

	if (batch->spares == 0 || (slots && !*shared))
		return slots;
	*shared = false;
	if (tree_place(&batch->blob->tree, last_index(batch), true, &last))
		return NULL;
	return last - (batch->count - 1);
}

/* Deals with every page of the batch that is a plain case. Family locked. Returns how many pages are new. */
static unsigned batch_pages(struct batch *batch)
{
	struct blob *blob = batch->blob;
	bool zeroes = shows_zeroes(batch);
	unsigned spares = batch->spares, inside = batch_inside(batch);
	bool shared;
	slot_t *slots = inside > 0 ? batch_place(batch, &shared) : NULL;

	FAMILY_ASSERT_LOCKED(blob->family);
	batch->window.writable = 0;
	if (spares > 0 && blob->family->zeroes)
		blob_forget_translations(blob, batch->offset, batch->offset + batch->count, batch->entry);
	blob->family->zeroes |= zeroes;
	for (unsigned i = 0; i < batch->count; i++) {
		if (i >= inside)
			batch->window.pages[i] = NULL;
		else if (slots)
			batch_page(batch, i, &slots[i], shared, zeroes);
		else
			batch->window.pages[i] = zeroes ? page_of_zeroes : NULL;
	}
	return spares - batch->spares;
}

/*
 * Makes the batch's pages resident, and enters them. Those that were not plain cases are not in its window afterwards.
 * 0 or -ENOMEM, and then not all are entered. The map is locked to read, if there is an entry.
 */
static int batch_run(struct batch *batch)
{
	struct family *family = batch->blob->family;
	unsigned made;
	int error = 0;

	batch_allocate(batch);
	spin_lock(&family->lock);
	made = batch_pages(batch);
	if (batch->entry) {
		error = batch_enter(batch);
		batch->entry->faults[FAULT_ZERO_FILL] += made;
	}
	family_unlock(family);
	batch_free(batch);
	return error;
}

/* ---- Clusters -------------------------------------------------------------------------------------- */

/* Is the page at `offset` absent? Then it is a demand-zero fault that brings others with it. */
static bool is_absent(struct blob *blob, pgoff_t offset)
{
	bool shared, absent;
	slot_t *place;

	spin_lock(&blob->family->lock);
	place = tree_find(&blob->tree, blob->base + offset, &shared);
	absent = !place || *place == SLOT_EMPTY;
	family_unlock(blob->family);
	return absent;
}

bool fill_cluster(struct map_entry *entry, pgoff_t offset)
{
	struct batch batch;

	MAP_ASSERT_LOCKED(entry->map);
	if (entry->blob->pager || entry->blob->fixed || !page_is_plentiful() ||
	    !is_absent(entry->blob, offset))
		return false;
	batch_around(&batch, entry, offset, TREE_FANOUT);
	batch.purpose = OBTAIN_WRITE;
	return batch_run(&batch) == 0 && batch.window.pages[offset - batch.offset];
}

/* ---- Populate and commit ------------------------------------------------------------------------------ */

/* May what is at an address be populated? 0, -ENOMEM, -EACCES. */
static int check_populate(const struct map_entry *entry, vm_prot_t access)
{
	if (!entry || entry->kind != ENTRY_BLOB)
		return -ENOMEM;
	return access & ~entry->prot ? -EACCES : 0;
}

/*
 * Populates what one entry shows from `va` on, of one node; the map is locked to read. 0 or -ENOMEM. The batch says how many pages
 * that are, and which of them are still to be dealt with.
 */
static int populate_part(struct batch *batch, struct map_entry *entry, vaddr_t va, vaddr_t end,
			 vm_prot_t access)
{
	pgoff_t offset = entry_offset_at(entry, va);

	MAP_ASSERT_LOCKED(entry->map);
	if (end > entry->end)
		end = entry->end;
	batch->blob = entry->blob;
	batch->entry = entry;
	batch->offset = offset;
	batch->count = pages_in_node(batch->blob, offset, offset + ((end - va) >> PAGE_SHIFT));
	batch->purpose = access & VM_WRITE ? OBTAIN_WRITE : OBTAIN_READ;
	return batch_run(batch);
}

/* The pages of a batch that were no plain cases, page by page. No locks held. */
static int populate_rest(struct map *root, vaddr_t va, const struct batch *batch, vm_prot_t access)
{
	struct fault_result result;
	int error = 0;

	for (unsigned i = 0; i < batch->count && !error; i++) {
		if (!batch->window.pages[i])
			error = vm_fault(root, va + i * PAGE_SIZE, access, &result);
	}
	/* Unmapped meanwhile: a hole. */
	return error == -EFAULT ? -ENOMEM : error;
}

int map_populate(struct map *root, vaddr_t start, uint64_t size_bytes, vm_prot_t access)
{
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	for (vaddr_t va = start; va < end && !error;) {
		struct map_entry *entry;
		struct batch batch;

		map_read_lock(root);
		entry = map_find(root, va);
		error = check_populate(entry, access);
		if (!error)
			error = populate_part(&batch, entry, va, end, access);
		map_read_unlock(root);
		/* unlocked: neither the entry nor the pages need be there any more. */
		if (error)
			break;
		error = populate_rest(root, va, &batch, access);
		va += batch.count * PAGE_SIZE;
	}
	return error;
}

int blob_commit(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	pgoff_t end = offset + pages;
	struct batch batch = {.blob = blob, .purpose = obtain_new(blob)};
	int error = 0;

	if (blob_check_window(blob, offset, pages) || (blob->fixed && !blob->contiguous))
		return -EINVAL;
	for (; offset < end && !error && !blob->fixed; offset += batch.count) {
		batch.offset = offset;
		batch.count = pages_in_node(blob, offset, end);
		error = batch_run(&batch);
		for (unsigned i = 0; i < batch.count && !error; i++) {
			struct obtained found;

			if (batch.window.pages[i])
				continue;
			error = blob_lock_and_obtain(blob, offset + i, batch.purpose, &found);
			if (!error)
				family_unlock(blob->family);
		}
	}
	return error;
}
