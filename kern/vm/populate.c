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

#include <vm/swap.h>

#include "vm_internal.h"

/* A cluster is an aligned group of so many: 2 MiB, as those who ask for huge pages expect. */
#define CLUSTER_PAGES 512u

_Static_assert(TREE_FANOUT <= PMAP_WINDOW && TREE_FANOUT % AROUND_PAGES == 0, "a node's pages fit a window");

/* Pages of a blob below one node: those that an entry shows, or that are to be there. */
struct batch {
	struct blob *blob;
	struct map_entry *entry; /* NULL: nothing is entered */
	pgoff_t offset;          /* of the first, in pages of the blob */
	unsigned count;
	enum obtain_for purpose;
	struct pmap_window window; /* what is to be entered */
	uint64_t missing;          /* a bit for each page that is no plain case */
	unsigned spares;           /* new pages, and the next of them: in `spare`, or, where ... */
	unsigned spare_next;
	bool spare_in_window; /* ... there is one for each, in the window */
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

/* Pages of a blob that an entry shows: [first, end). */
struct group {
	pgoff_t first, end;
};

/* The pages around `offset` that lie in the same aligned group of `pages` of the tree, and in the entry. */
static struct group group_around(const struct map_entry *entry, pgoff_t offset, unsigned pages)
{
	pgoff_t base = entry->blob->base;
	pgoff_t first = (base + offset) & ~(pgoff_t)(pages - 1);
	pgoff_t end = first + pages;

	if (first < base + entry->offset)
		first = base + entry->offset;
	if (end > base + entry->offset + entry_pages(entry))
		end = base + entry->offset + entry_pages(entry);
	DEBUG_ASSERT(first <= base + offset && base + offset < end);
	return (struct group){first - base, end - base};
}

/* Is the tree but its first page, without a node, and that one of the batch's? Family locked. */
static bool has_only_first(const struct batch *batch)
{
	const struct tree *tree = &batch->blob->tree;

	FAMILY_ASSERT_LOCKED(batch->blob->family);
	return tree->height == 0 && tree->root != SLOT_EMPTY && batch->blob->base + batch->offset == 0;
}

/* The slots that the blob below an overlay has for the batch's pages; NULL: none. Family locked. */
static slot_t *slots_below(const struct batch *batch)
{
	struct blob *below = batch->blob->below;
	slot_t *last;
	bool shared;

	FAMILY_ASSERT_LOCKED(batch->blob->family);
	last = below ? tree_find(&below->tree, last_index(batch), &shared) : NULL;
	return last ? last - (batch->count - 1) : NULL;
}

/*
 * Adds to the window what the blob below has where the overlay, whose slots are `slots` (NULL: none), has nothing. What is wired is to be made the
 * overlay's own, one page after the other. Family locked.
 */
static void show_below(struct batch *batch, const slot_t *slots)
{
	const slot_t *below = slots_below(batch);

	if (blob_is_wired(batch->blob, batch->offset, batch->offset + batch->count))
		return;

	for (unsigned i = 0; below && i < batch->count; i++) {
		if ((!slots || slots[i] == SLOT_EMPTY) && slot_is_page(below[i]))
			batch_show(batch, i, slot_page(below[i]), false);
	}
}

/*
 * The group's pages that are resident, whatever else the entry shows there. The page that faulted is one of them, and as
 * writable as it was obtained.
 */
int enter_around(struct map_entry *entry, pgoff_t offset)
{
	struct group group = group_around(entry, offset, AROUND_PAGES);
	uint64_t writable = 0;
	struct batch batch;
	slot_t *slots;
	bool shared;

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	batch.blob = entry->blob;
	batch.entry = entry;
	batch.offset = group.first;
	batch.count = (unsigned)(group.end - group.first);
	slots = batch_slots(&batch, &shared);
	/* A tree that has only its first page has no node; an overlay's may have nothing there. */
	if (!slots && (!batch.blob->below || has_only_first(&batch)))
		return -ENOENT;
	for (unsigned i = 0; i < batch.count; i++) {
		struct page *page = NULL;

		if (slots && slot_is_page(slots[i])) {
			page = slot_page(slots[i]);
			writable |= (uint64_t)is_writable(page, shared) << i;
		}
		batch.window.pages[i] = page;
	}
	batch.window.writable = writable;
	if (batch.blob->below)
		show_below(&batch, slots);
	return batch.window.pages[offset - batch.offset] ? batch_enter(&batch) : -ENOENT;
}

/* ---- Filling -------------------------------------------------------------------------------------- */

/* Are absent pages of the batch shown as zeroes? */
static bool shows_zeroes(const struct batch *batch)
{
	return batch->purpose == OBTAIN_READ && batch->entry && entry_shows_zeroes(batch->entry) &&
	       !batch->blob->pager && !batch->blob->fixed && !batch->blob->below;
}

/* How many of the batch's pages are within the extent: those from the first on. Family locked. */
static unsigned batch_inside(const struct batch *batch)
{
	pgoff_t end;

	if (likely(last_index(batch) < batch->blob->family->extent))
		return batch->count;
	end = blob_extent_end(batch->blob);
	if (end >= batch->offset + batch->count)
		return batch->count;
	return end > batch->offset ? (unsigned)(end - batch->offset) : 0;
}

/* Are all of the slots empty? */
static bool all_empty(const slot_t *slots, unsigned count)
{
	slot_t any = SLOT_EMPTY;

#pragma GCC unroll 8
	for (unsigned i = 0; i < count; i++)
		any |= slots[i];
	return any == SLOT_EMPTY;
}

/* How many pages have to be made for the batch. Family locked. */
static unsigned count_absent(const struct batch *batch)
{
	unsigned absent = 0, inside = batch_inside(batch);
	bool shared;
	slot_t *slots = batch_slots(batch, &shared);

	if (!slots || all_empty(slots, inside))
		return inside;
	for (unsigned i = 0; i < inside; i++)
		absent += slots[i] == SLOT_EMPTY;
	return absent;
}

/* The new pages are not to be entered just as they are. */
static void spares_leave_window(struct batch *batch)
{
	DEBUG_ASSERT(batch->spare_in_window && batch->spare_next == 0);
	memcpy(batch->spare, batch->window.pages, batch->spares * sizeof(batch->spare[0]));
	batch->spare_in_window = false;
}

/* Allocates the pages that the batch lacks, as far as they are at hand. Family not locked. */
static void batch_allocate(struct batch *batch)
{
	struct blob *blob = batch->blob;
	unsigned absent = 0;

	batch->spares = 0;
	batch->spare_next = 0;
	batch->spare_in_window = false;
	if (blob->pager || blob->fixed || blob->below || shows_zeroes(batch))
		return;
	spin_lock(&blob->family->lock);
	absent = count_absent(batch);
	family_unlock(blob->family);
	if (absent == 0)
		return;
	batch->spare_in_window = absent == batch->count;
	batch->spares = page_alloc_many(PAGE_BLOB, batch->purpose == OBTAIN_UNZEROED ? 0 : PAGE_ALLOC_ZERO,
					absent, batch->spare_in_window ? batch->window.pages : batch->spare);
	/* Not enough for all. */
	if (batch->spare_in_window && batch->spares < batch->count)
		spares_leave_window(batch);
}

/* Frees the pages that the batch did not need, as others have filled their places meanwhile. */
static void batch_free(struct batch *batch)
{
	while (batch->spare_next < batch->spares)
		page_free(batch->spare[batch->spare_next++]);
}

/* Stores a new page in an empty place. Family locked. */
static inline void store_new(struct page *page, slot_t *place, struct family *family, pgoff_t index)
{
	DEBUG_ASSERT(*place == SLOT_EMPTY && page->refs == 1 && page_location(page) == 0);
	page->owner = family;
	page->index = index;
	*place = slot_of_page(page);
}

/* One page of the batch, if it is a plain case. `shared` is never true where pages are made. Family locked. */
static void batch_page(struct batch *batch, unsigned i, slot_t *place, bool shared, bool zeroes)
{
	struct blob *blob = batch->blob;

	if (*place == SLOT_EMPTY && batch->spare_next < batch->spares) {
		struct page *page = batch->spare[batch->spare_next++];

		store_new(page, place, blob->family, blob->base + batch->offset + i);
		batch_show(batch, i, page, true);
	} else if (*place == SLOT_EMPTY && zeroes) {
		batch_show(batch, i, page_of_zeroes, false);
	} else if (slot_is_page(*place)) {
		bool writable = is_writable(slot_page(*place), shared);

		if (writable || batch->purpose == OBTAIN_READ)
			batch_show(batch, i, slot_page(*place), writable);
	}
}

/*
 * Finds the slots, making nodes for new pages, which come into nodes that are the blob's alone; *made: all of the slots' node.
 * NULL: there are none. Family locked.
 */
static slot_t *batch_place(struct batch *batch, bool *shared, bool *made)
{
	slot_t *slots = batch_slots(batch, shared);
	slot_t *last;

	*made = false;
	if (batch->spares == 0 || (slots && !*shared))
		return slots;
	*shared = false;
	*made = !slots && batch->blob->tree.height > 0;
	if (tree_place(&batch->blob->tree, last_index(batch), true, &last))
		return NULL;
	return last - (batch->count - 1);
}

/* The commonest batch: none of the pages is there, and there is a new one for each. Family locked. */
static void batch_fill_all(struct batch *batch, slot_t *slots)
{
	struct family *family = batch->blob->family;
	pgoff_t index = batch->blob->base + batch->offset;
	unsigned count = batch->count;

	FAMILY_ASSERT_LOCKED(family);
#pragma GCC unroll 8
	for (unsigned i = 0; i < count; i++)
		store_new(batch->window.pages[i], &slots[i], family, index + i);
	batch->spare_next = count;
	batch->window.writable = UINT64_MAX;
	batch->missing = 0;
}

/* Any other batch, page by page. `slots` NULL: nothing is there, nor can it be made. Family locked. */
static void batch_pages(struct batch *batch, slot_t *slots, bool shared)
{
	unsigned inside = batch_inside(batch);
	bool zeroes = shows_zeroes(batch);

	batch->window.writable = 0;
	batch->missing = 0;
	batch->blob->family->zeroes |= zeroes;
	batch->blob->family->careful |= zeroes;
	for (unsigned i = 0; i < batch->count; i++) {
		slot_t none = SLOT_EMPTY;

		batch->window.pages[i] = NULL;
		if (i < inside)
			batch_page(batch, i, slots ? &slots[i] : &none, shared, zeroes);
	}
	if (batch->blob->below && batch->purpose == OBTAIN_READ)
		show_below(batch, slots);
	for (unsigned i = 0; i < batch->count; i++) {
		if (!batch->window.pages[i])
			batch->missing |= bit(i);
	}
}

/* Deals with every page of the batch that is a plain case. Family locked. */
static void batch_serve(struct batch *batch)
{
	struct blob *blob = batch->blob;
	bool shared = false, made = false;
	slot_t *slots = batch_inside(batch) > 0 ? batch_place(batch, &shared, &made) : NULL;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (batch->spares > 0 && blob->family->zeroes)
		blob_forget_translations(blob, batch->offset, batch->offset + batch->count, batch->entry);
	if (batch->spare_in_window && slots && (made || all_empty(slots, batch->count))) {
		batch_fill_all(batch, slots);
		if (unlikely(blob->family->wired_count > 0)) {
			for (unsigned i = 0; i < batch->count; i++)
				page_count_wirings(blob->family, batch->window.pages[i]);
		}
		return;
	}
	if (batch->spare_in_window)
		spares_leave_window(batch);
	if (slots || (batch->spares == 0 && !has_only_first(batch)))
		batch_pages(batch, slots, shared);
	else
		batch->missing = UINT64_MAX;
	for (unsigned i = 0; blob->family->wired_count > 0 && i < batch->spare_next; i++)
		page_count_wirings(blob->family, batch->spare[i]);
}

/*
 * Makes the batch's pages resident, and enters them, but for what is `missing` then. 0 or -ENOMEM, and then not all are
 * entered. The map is locked to read, if there is an entry.
 */
static int batch_run(struct batch *batch)
{
	struct family *family = batch->blob->family;
	int error = 0;

	batch_allocate(batch);
	spin_lock(&family->lock);
	batch_serve(batch);
	if (batch->entry) {
		if (~batch->missing)
			error = batch_enter(batch);
		batch->entry->faults[FAULT_ZERO_FILL] += batch->spare_next;
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
	struct group group = group_around(entry, offset, CLUSTER_PAGES);
	bool served = false;

	MAP_ASSERT_LOCKED(entry->map);
	if (entry->blob->pager || entry->blob->fixed || entry->blob->below || !is_absent(entry->blob, offset))
		return false;
	while (group.first < group.end && page_is_plentiful()) {
		struct batch batch;

		batch.blob = entry->blob;
		batch.entry = entry;
		batch.purpose = OBTAIN_WRITE;
		batch.offset = group.first;
		batch.count = pages_in_node(batch.blob, group.first, group.end);
		group.first += batch.count;
		if (batch_run(&batch) == 0 && offset - batch.offset < batch.count)
			served = !(batch.missing & bit((unsigned)(offset - batch.offset)));
	}
	return served;
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

	for (unsigned i = 0; batch->missing && i < batch->count && !error; i++) {
		if (batch->missing & bit(i))
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
		bool allowed;

		map_read_lock(root);
		entry = map_find(root, va);
		error = check_populate(entry, access);
		allowed = !error;
		if (allowed)
			error = populate_part(&batch, entry, va, end, access);
		map_read_unlock(root);
		/* unlocked: neither the entry nor the pages need be there any more. */
		if (error && allowed && vm_make_room()) {
			error = 0;
			continue;
		}
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
		for (unsigned i = 0; batch.missing && i < batch.count && !error; i++) {
			struct obtained found;

			if (!(batch.missing & bit(i)))
				continue;
			error = blob_lock_and_obtain(blob, offset + i, batch.purpose, &found);
			if (!error)
				family_unlock(blob->family);
		}
	}
	return error;
}
