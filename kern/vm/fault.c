/*
 * The page fault: from an address to a page that is there.
 *
 * vm_fault() finds the map entry, obtains the page of its blob, and enters it into the page tables.
 * Read it first; then map_find() in map.c, obtain() and the cases here, page_alloc() in page.c and
 * pmap_enter() in kern/arch. What is done to several pages at once is in populate.c. Trap handlers call it, and decide what a refusal means; nothing here
 * ends a program.
 *
 *   case         the page is                            and the access   what happens
 *   ----------   ------------------------------------   --------------   ------------------------------
 *   zero fill    absent, and the blob has no pager      write, or any    a zeroed page is stored
 *                                                       if it is shared
 *   zero page    the same                               read             the page of zeroes is entered,
 *                                                                        read-only, and nothing stored
 *   page in      absent with a pager, or paged out      any              the pager's page is stored, or a
 *                                                                        zeroed one if it has none; again
 *   resident     there                                  read             it is entered, read-only if shared or clean
 *   upgrade      there, and the blob's alone            write            it is dirty, and entered writable
 *   copy         there, and others see it too, or       write            the blob gets a copy of its own
 *                it is of the blob below an overlay
 *   reserved     reserved space                         any              refused, -EFAULT
 *   protection   -                                      not allowed      refused, -EACCES
 *   no entry     nothing is mapped                      any              refused, -EFAULT
 *   beyond ...   beyond the extent of the blob          any              refused, -ENXIO
 *
 * In an overlay, absent means that the blob below has nothing there either.
 *
 * Locks: the map's to read, so that the entry stays; then the blob family's, so that the page stays
 * until its translation is entered. A pager is asked with neither held: afterwards all is looked up
 * anew.
 */
#include <asm/errno.h>

#include <vm/swap.h>

#include "vm_internal.h"

/*
 * The demand-zero fault is the commonest: its way through here is one function, and straight. What
 * is on it and is also needed elsewhere is inlined by force, and what is seldom needed kept out.
 */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static _Atomic uint64_t fault_counts[FAULT_CASES];

struct page *page_of_zeroes;

void fault_init(void)
{
	page_of_zeroes = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	if (!page_of_zeroes)
		panic("no memory for the page of zeroes");
}

/* ---- Obtaining a page of a blob -------------------------------------------------------------------- */

/* The page at `index`, which is empty, is only read, in a private mapping. */
static ALWAYS_INLINE enum obtain show_zeroes(struct blob *blob, struct obtained *out)
{
	blob->family->zeroes = true;
	blob->family->careful = true;
	out->page = page_of_zeroes;
	out->how = FAULT_ZERO_PAGE;
	out->writable = false;
	return OBTAIN_DONE;
}

/*
 * Where a page has taken an empty place: whoever shows zeroes there is to show the page. `entry`, that
 * faulted, enters it itself. In a node that is shared, it has come to be there for others as well.
 */
static void forget_zeroes(struct blob *blob, pgoff_t index, bool for_all, const struct map_entry *entry)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	if (!for_all) {
		blob_forget_translations(blob, index - blob->base, index - blob->base + 1, entry);
		return;
	}
	for (struct blob *other = blob->family->blobs; other; other = other->next) {
		pgoff_t offset = index - other->base;

		if (offset < other->pages)
			blob_forget_translations(other, offset, offset + 1, other == blob ? entry : NULL);
	}
}

/* What there is to be done after a page was filled where the family is careful. */
static __attribute__((noinline)) void filled(struct blob *blob, struct page *page, bool for_all,
					     const struct map_entry *entry)
{
	if (blob->family->zeroes)
		forget_zeroes(blob, page->index, for_all, entry);
	if (blob->family->wired_count > 0)
		page_count_wirings(blob->family, page);
}

/* Fills the empty `place` of a blob without a pager; NULL: there is no place yet. */
static ALWAYS_INLINE enum obtain zero_fill(struct blob *blob, pgoff_t index, slot_t *place, bool shared,
					   enum obtain_for purpose, const struct map_entry *entry,
					   struct obtained *out)
{
	struct page *page = page_alloc(PAGE_BLOB, purpose == OBTAIN_UNZEROED ? 0 : PAGE_ALLOC_ZERO);
	bool write = purpose != OBTAIN_READ;

	if (unlikely(!page))
		return OBTAIN_NO_MEMORY;
	if (unlikely(!place || (shared && write)) && tree_place(&blob->tree, index, write, &place)) {
		page_free(page);
		return OBTAIN_NO_MEMORY;
	}
	DEBUG_ASSERT(*place == SLOT_EMPTY);
	DEBUG_ASSERT(page->refs == 1 && page_location(page) == 0);
	page->owner = blob->family;
	page->index = index;
	*place = slot_of_page(page);
	if (unlikely(blob->family->careful))
		filled(blob, page, shared && !write, entry);
	out->page = page;
	out->how = FAULT_ZERO_FILL;
	/* Read first and written later, as a fresh page often is: spare it the second fault. */
	out->writable = write || !shared;
	return OBTAIN_DONE;
}

/* The blob's own wirings of a page go to its copy; those of others stay. */
static void move_wirings(struct blob *blob, struct page *original, struct page *copy)
{
	DEBUG_ASSERT(copy->state == PAGE_BLOB && copy->wired == 0);
	copy->wired = blob_wirings_at(blob, copy->index - blob->base);
	/* What is lent is not counted, but its copy is. */
	if (original->state != PAGE_BLOB)
		return;
	ASSERT(original->wired >= copy->wired);
	original->wired -= copy->wired;
}

/* Replaces a page that others see too by a copy that is the blob's alone. */
static __attribute__((noinline)) enum obtain copy_on_write(struct blob *blob, pgoff_t index,
							   struct page *original,
							   const struct map_entry *entry,
							   struct obtained *out)
{
	struct page *copy = page_alloc(PAGE_BLOB, 0);
	slot_t *place;

	if (!copy)
		return OBTAIN_NO_MEMORY;
	if (tree_place(&blob->tree, index, true, &place)) {
		page_free(copy);
		return OBTAIN_NO_MEMORY;
	}
	/*
	 * Nodes may be copied by now, and have references of their own to what is in them: the original
	 * is still in its slot.
	 */
	DEBUG_ASSERT(*place == slot_of_page(original) && original->refs > 0);
	pmap_copy_page(copy, original);
	copy->owner = blob->family;
	copy->index = index;
	move_wirings(blob, original, copy);
	/* The faulting entry's own translation is replaced when the copy is entered. */
	blob_forget_translations(blob, index - blob->base, index - blob->base + 1, entry);
	*place = slot_of_page(copy);
	/* The slot's reference. Who else sees the original keeps it. */
	page_release(blob->family, original);
	out->page = copy;
	out->how = FAULT_COPY;
	out->writable = true;
	return OBTAIN_DONE;
}

/* Gives an overlay a copy of a page that the blob below it has. */
static enum obtain copy_from_below(struct blob *blob, pgoff_t index, struct page *original,
				   const struct map_entry *entry, struct obtained *out)
{
	struct page *copy = page_alloc(PAGE_BLOB, 0);
	slot_t *place;

	if (!copy)
		return OBTAIN_NO_MEMORY;
	if (tree_place(&blob->tree, index, true, &place)) {
		page_free(copy);
		return OBTAIN_NO_MEMORY;
	}
	DEBUG_ASSERT(*place == SLOT_EMPTY && original->refs > 0);
	pmap_copy_page(copy, original);
	copy->owner = blob->family;
	copy->index = index;
	/* The faulting entry's own translation is replaced when the copy is entered. */
	blob_forget_translations(blob, index - blob->base, index - blob->base + 1, entry);
	*place = slot_of_page(copy);
	if (blob->wired_count > 0)
		page_count_wirings(blob->family, copy);
	out->page = copy;
	out->how = FAULT_COPY;
	out->writable = true;
	return OBTAIN_DONE;
}

/*
 * An overlay has nothing at `index` (`place`, NULL: not even a place): what the blob below has is shown, as long as it is only read. What is wired is
 * always the overlay's own, so that nothing that becomes of the blob below can take it.
 */
static __attribute__((noinline)) enum obtain obtain_below(struct blob *blob, pgoff_t index, slot_t *place,
							  bool shared, enum obtain_for purpose,
							  const struct map_entry *entry, struct obtained *out)
{
	slot_t below = blob_below(blob, index);

	if (purpose == OBTAIN_READ && blob_wirings_at(blob, index - blob->base) > 0)
		purpose = OBTAIN_WRITE;
	if (slot_is_paged_out(below) || (below == SLOT_EMPTY && blob->below->pager))
		return OBTAIN_FROM_PAGER;
	if (below == SLOT_EMPTY && purpose == OBTAIN_READ)
		return show_zeroes(blob, out);
	if (below == SLOT_EMPTY)
		return zero_fill(blob, index, place, shared, purpose, entry, out);
	if (purpose != OBTAIN_READ)
		return copy_from_below(blob, index, slot_page(below), entry, out);
	out->page = slot_page(below);
	out->how = FAULT_RESIDENT;
	out->writable = false;
	return OBTAIN_DONE;
}

/* A page that is the blob's alone, and clean: it can be written only when it counts as dirty. */
static __attribute__((noinline)) bool make_dirty(struct blob *blob, struct page *page, bool write)
{
	DEBUG_ASSERT(page->state == PAGE_BLOB && page->refs == 1);
	if (write)
		page_forget_location(blob->family, page);
	return write;
}

/*
 * What vm_fault() and obtain_page() share: the cases that concern the page. Family locked, also when it
 * returns; unless it returns OBTAIN_DONE, the blob's contents are as they were.
 */
static ALWAYS_INLINE enum obtain obtain(struct blob *blob, pgoff_t offset, enum obtain_for purpose,
					const struct map_entry *entry, struct obtained *out)
{
	pgoff_t index = blob->base + offset;
	bool write = purpose != OBTAIN_READ;
	slot_t *place;
	bool shared;

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(offset < blob->pages);
	if (unlikely(blob->fixed)) {
		out->page = page_from_paddr(blob->fixed_start + pages_to_bytes(offset));
		out->writable = true;
		out->how = FAULT_RESIDENT;
		return OBTAIN_DONE;
	}
	if (unlikely(index >= blob->family->extent))
		return OBTAIN_BEYOND_EXTENT;
	place = tree_find(&blob->tree, index, &shared);
	if (!place || *place == SLOT_EMPTY) {
		if (unlikely(blob->below != NULL))
			return obtain_below(blob, index, place, shared, purpose, entry, out);
		if (unlikely(blob->pager != NULL))
			return OBTAIN_FROM_PAGER;
		if (!write && entry && entry_shows_zeroes(entry))
			return show_zeroes(blob, out);
		return zero_fill(blob, index, place, shared, purpose, entry, out);
	}
	if (slot_is_paged_out(*place))
		return OBTAIN_FROM_PAGER;
	DEBUG_ASSERT(slot_is_page(*place) && slot_page(*place)->refs > 0);
	out->page = slot_page(*place);
	out->writable = !shared && out->page->refs == 1;
	if (write && !out->writable)
		return copy_on_write(blob, index, out->page, entry, out);
	if (out->writable && unlikely(page_location(out->page) != 0))
		out->writable = make_dirty(blob, out->page, write);
	out->how = write ? FAULT_UPGRADE : FAULT_RESIDENT;
	return OBTAIN_DONE;
}

enum obtain obtain_page(struct blob *blob, pgoff_t offset, enum obtain_for purpose,
			const struct map_entry *entry, struct obtained *out)
{
	BLOB_ASSERT_LIVE(blob);
	DEBUG_ASSERT(!entry || entry->blob == blob);
	return obtain(blob, offset, purpose, entry, out);
}

/* ---- The fault ------------------------------------------------------------------------------------------ */

/* Why there is no entry for the access, or why it does not allow it. */
static __attribute__((noinline)) int refuse(struct map *root, vaddr_t address, const struct map_entry *entry,
					    struct fault_result *result)
{
	MAP_ASSERT_LOCKED(root);
	vm_copy_name(result->region, map_region(root, address));
	result->allowed = entry ? entry->prot : 0;
	if (!entry)
		result->outcome = FAULT_NO_ENTRY;
	else
		result->outcome = entry->kind == ENTRY_BLOB ? FAULT_PROTECTION : FAULT_RESERVED;
	return result->outcome == FAULT_PROTECTION ? -EACCES : -EFAULT;
}

/*
 * How many pages to ask a pager for at a fault: where access is said or seen to be sequential, those that follow in
 * the entry, too; where they are at hand, those that are entered together with the first. Family locked.
 */
static unsigned cluster_of(const struct map_entry *entry, pgoff_t offset)
{
	pgoff_t follow = entry->offset + entry_pages(entry) - offset;
	struct blob *blob = entry->blob;
	const struct pager *pager = blob->below ? blob->below->pager : blob->pager;
	unsigned most = 1;

	DEBUG_ASSERT(offset >= entry->offset && offset - entry->offset < entry_pages(entry));
	if (entry->advice == ADVISE_SEQUENTIAL)
		most = PAGER_CLUSTER;
	else if (entry->advice != ADVISE_RANDOM && pager && pager->ops->at_hand)
		most = AROUND_PAGES - ((blob->base + offset) & (AROUND_PAGES - 1));
	else if (entry->advice != ADVISE_RANDOM)
		most = page_in_ahead(blob, offset);
	return follow < most ? (unsigned)follow : most;
}

/*
 * What vm_fault does when the page is not to be had under its locks, which this unlocks: waits for
 * the pager, and then all is to be looked up again (0); or gives up.
 */
static __attribute__((noinline)) int not_obtained(struct map *root, struct map_entry *entry, pgoff_t offset,
						  enum obtain step, struct fault_result *result)
{
	struct blob *blob = entry->blob;
	unsigned cluster = cluster_of(entry, offset);
	int error;

	/* locked: the map to read, which keeps the entry, and the family. */
	MAP_ASSERT_LOCKED(root);
	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(step != OBTAIN_DONE);
	entry->faults[FAULT_PAGE_IN] += step == OBTAIN_FROM_PAGER;
	/*
	 * With no lock held neither the entry nor its reference to the blob may be relied on: hence one
	 * of its own.
	 */
	blob_visit(blob);
	family_unlock(blob->family);
	vm_copy_name(result->region, entry->name);
	map_read_unlock(root);
	if (step == OBTAIN_FROM_PAGER) {
		result->outcome = FAULT_PAGE_IN;
		fault_counts[FAULT_PAGE_IN]++;
		error = page_in(blob, offset, cluster);
	} else if (step == OBTAIN_BEYOND_EXTENT) {
		result->outcome = FAULT_BEYOND_EXTENT;
		fault_counts[FAULT_BEYOND_EXTENT]++;
		error = -ENXIO;
	} else {
		result->outcome = FAULT_ZERO_FILL;
		error = -ENOMEM;
	}
	blob_leave(blob, offset, cluster);
	/* All locks are gone: so this may wait until there is memory, and then all is looked up again. */
	return error == -ENOMEM && vm_make_room() ? 0 : error;
}

/*
 * The entry's rights, but without write where others see the page. The machine has no right to write or
 * execute without reading, so such an entry's pages can be read as long as they are entered.
 */
static inline vm_prot_t rights_of(const struct map_entry *entry, bool writable)
{
	vm_prot_t rights = entry->prot | VM_READ;

	if (unlikely(!writable))
		rights &= ~VM_WRITE;
	return likely(entry->map->user) ? rights | VM_USER : rights;
}

/* Enters a page as those around it would be: the machine notes by itself when it is written to, for map_take_written(). */
static int enter_alone(struct map_entry *entry, vaddr_t va, struct page *page, bool writable)
{
	struct pmap_window window;

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	window.start = va;
	window.count = 1;
	window.pages[0] = page;
	window.writable = writable;
	return pmap_enter_window(entry->map->pmap, &window, rights_of(entry, true), entry->blob->cache);
}

/*
 * Enters a page that was there already: those around it may be, too, and then they need no faults of their own.
 * Where access is said to be random that is not worth while.
 */
static __attribute__((noinline)) int enter_resident(struct map_entry *entry, vaddr_t va, pgoff_t offset,
						    struct page *page, bool writable)
{
	if (!entry->blob->fixed && entry->advice != ADVISE_RANDOM && entry_pages(entry) > 1 &&
	    enter_around(entry, offset) == 0)
		return 0;
	if (entry->label)
		return enter_alone(entry, va, page, writable);
	return pmap_enter(entry->map->pmap, va, page, rights_of(entry, writable), entry->blob->cache);
}

int vm_fault(struct map *root, vaddr_t address, vm_prot_t access, struct fault_result *result)
{
	for (;;) {
		struct map_entry *entry;
		struct obtained found;
		struct blob *blob;
		enum obtain step;
		pgoff_t offset;
		int error;

		map_read_lock(root);
		entry = map_find(root, address);
		if (unlikely(!entry || entry->kind != ENTRY_BLOB || (access & ~entry->prot))) {
			error = refuse(root, address, entry, result);
			map_read_unlock(root);
			fault_counts[result->outcome]++;
			return error;
		}
		DEBUG_ASSERT(address >= entry->start && address < entry->end);
		blob = entry->blob;
		offset = entry->offset + ((address - entry->start) >> PAGE_SHIFT);

		if (unlikely(entry->advice == ADVISE_CLUSTER) && (access & VM_WRITE) &&
		    fill_cluster(entry, offset)) {
			map_read_unlock(root);
			fault_counts[FAULT_ZERO_FILL]++;
			result->outcome = FAULT_ZERO_FILL;
			return 0;
		}
		spin_lock(&blob->family->lock);
		step = obtain(blob, offset, access & VM_WRITE ? OBTAIN_WRITE : OBTAIN_READ, entry, &found);
		/*
		 * locked: obtaining leaves both locks as they were, so the page is still what the entry
		 * shows.
		 */
		FAMILY_ASSERT_LOCKED(blob->family);
		MAP_ASSERT_LOCKED(root);
		if (likely(step == OBTAIN_DONE)) {
			/*
			 * Cannot fail where there is a translation, such as to the page of zeroes, that
			 * this replaces.
			 */
			if (found.how == FAULT_RESIDENT || found.how == FAULT_UPGRADE)
				error = enter_resident(entry, page_round_down(address), offset, found.page,
						       found.writable);
			else
				error = pmap_enter(entry->map->pmap, page_round_down(address), found.page,
						   rights_of(entry, found.writable), blob->cache);
			entry->faults[found.how]++;
			family_unlock(blob->family);
			fault_counts[found.how]++;
			result->outcome = found.how;
			if (unlikely(error))
				vm_copy_name(result->region, entry->name);
			map_read_unlock(root);
			/* A page table is lacking. */
			if (unlikely(error) && vm_make_room())
				continue;
			return error;
		}
		/* unlocked: both; what was found may be gone. */
		error = not_obtained(root, entry, offset, step, result);
		if (error)
			return error;
	}
}

void vm_fault_counts(uint64_t counts[FAULT_CASES])
{
	for (unsigned i = 0; i < FAULT_CASES; i++)
		counts[i] = fault_counts[i];
}

const char *fault_case_name(enum fault_case outcome)
{
	static const char *const names[FAULT_CASES] = {
		[FAULT_ZERO_FILL] = "zero fill", [FAULT_ZERO_PAGE] = "zero page",
		[FAULT_RESIDENT] = "resident",   [FAULT_PAGE_IN] = "page in",
		[FAULT_COPY] = "copy on write",  [FAULT_UPGRADE] = "upgrade",
		[FAULT_RESERVED] = "reserved",   [FAULT_PROTECTION] = "protection",
		[FAULT_NO_ENTRY] = "no entry",   [FAULT_BEYOND_EXTENT] = "beyond the end",
	};

	DEBUG_ASSERT(outcome < FAULT_CASES);
	return names[outcome];
}
