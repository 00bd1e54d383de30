/*
 * Maps and their entries: the sorted tree of entries, and the life of maps. The search for free space is in space.c.
 *
 * A root map, and all submaps that are its alone, have one lock; the submaps that all roots have
 * (system_map, dynamic_map) have their own. What is done to ranges of a map (map, unmap, protect,
 * ...) is in range.c, the page fault in fault.c.
 */
#include <asm/errno.h>
#include <vm/layout.h>

#include "vm_internal.h"

static struct slab_cache map_cache;
static struct slab_cache entry_cache;

struct map *system_map;
struct map *dynamic_map;

/* ---- The tree of entries --------------------------------------------------------------------- */

/* What an entry's `widest` is, by its own gap and its children's (avl_update). */
static bool entry_update(struct avl_node *node)
{
	struct map_entry *entry = entry_of(node);
	uint64_t widest = entry->gap;
	bool changed;

	if (node->left && entry_of(node->left)->widest > widest)
		widest = entry_of(node->left)->widest;
	if (node->right && entry_of(node->right)->widest > widest)
		widest = entry_of(node->right)->widest;
	changed = widest != entry->widest;
	entry->widest = widest;
	return changed;
}

/* After an entry's start, or the end of the one before it, has moved. `entry` may be NULL. */
static void update_gap(struct map *map, struct map_entry *entry)
{
	if (!entry)
		return;
	DEBUG_ASSERT(entry->start >= (entry->previous ? entry->previous->end : map->start));
	entry->gap = entry->start - (entry->previous ? entry->previous->end : map->start);
	avl_repair(&map->entries, &entry->by_address, entry_update);
}

struct map_entry *map_search(struct map *map, vaddr_t address)
{
	struct avl_node *node = map->entries;
	struct map *top = map->top;

	MAP_ASSERT_LOCKED(map);
	while (node) {
		struct map_entry *entry = entry_of(node);

		if (address < entry->start) {
			node = node->left;
		} else if (address >= entry->end) {
			node = node->right;
		} else if (entry->submap && entry->submap->top == top) {
			node = entry->submap->entries;
		} else {
			/*
			 * Only a hint, and readers race for it: whichever is kept, a writer clears it
			 * before the entry goes.
			 */
			atomic_store_explicit(&top->recent, entry, memory_order_relaxed);
			return entry;
		}
	}
	return NULL;
}

const char *map_region(struct map *map, vaddr_t address)
{
	for (;;) {
		struct map_entry *entry = map_first_above(map, address);

		if (!entry || address < entry->start)
			return map->name;
		if (!entry->submap || entry->submap->top != map->top)
			return entry->name;
		map = entry->submap;
	}
}

/* Entries do not overlap, so they are in the order of their ends as well as of their starts. */
struct map_entry *map_first_above(struct map *map, vaddr_t address)
{
	struct avl_node *node = map->entries;
	struct map_entry *found = NULL;

	MAP_ASSERT_LOCKED(map);
	while (node) {
		struct map_entry *entry = entry_of(node);

		if (entry->end > address) {
			found = entry;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return found;
}

struct map *map_containing(struct map *map, vaddr_t start, vaddr_t end)
{
	for (;;) {
		struct map_entry *entry = map_first_above(map, start);

		if (!entry || !entry->submap || entry->submap->top != map->top)
			return map;
		if (start < entry->start || end > entry->end)
			return map;
		/*
		 * All of an entity or of a passing submap: that is about the thing, not about its
		 * inside.
		 */
		if (!entry->permanent && start == entry->start && end == entry->end)
			return map;
		map = entry->submap;
	}
}

struct map_entry *map_find_above(struct map *map, vaddr_t address)
{
	for (;;) {
		struct map_entry *entry = map_first_above(map, address);

		if (!entry || address < entry->start || !entry_is_passable(entry))
			return entry;
		map = entry->submap;
	}
}

/* Does the entry count in its tree's usage? */
static bool entry_counts(const struct map_entry *entry)
{
	return !entry->permanent && !entry->submap;
}

static _Atomic uint64_t promised; /* atomic: pages that vm_promised_pages() tells of */

/* That many pages of an entry that counts, more or fewer, may be written privately if any of it may, in whatever map. */
static void account_promise(const struct map_entry *entry, uint64_t pages)
{
	if ((entry->prot & VM_WRITE) && entry->inherit != INHERIT_SHARE)
		promised += pages;
}

/*
 * Adds pages, such as the entry's are, to what its tree has mapped; the negative of a number takes them away. What counts as data, stack and
 * executable is as in Linux's limits (getrlimit(2)) and listings (proc(5)): what grows down is stack, whatever its rights.
 */
static void account_pages(const struct map_entry *entry, uint64_t pages)
{
	struct map_usage *usage = &entry->map->top->usage;
	bool shared = entry->inherit == INHERIT_SHARE;

	usage->pages += pages;
	if (entry->wired)
		usage->wired += pages;
	if (entry->kind == ENTRY_BLOB && shared)
		usage->shared += pages;
	if (entry->grows_down)
		usage->stack += pages;
	else if ((entry->prot & (VM_EXEC | VM_WRITE)) == VM_EXEC)
		usage->exec += pages;
	else if ((entry->prot & VM_WRITE) && !shared)
		usage->data += pages;
	account_promise(entry, pages);
}

void blob_promise(struct blob *blob, pgoff_t pages)
{
	promised += pages - blob->promised;
	blob->promised = pages;
}

pgoff_t blob_promised(const struct blob *blob)
{
	return blob->promised;
}

uint64_t vm_promised_pages(void)
{
	return promised;
}

void entry_account(const struct map_entry *entry, int sign)
{
	if (!entry_counts(entry))
		return;
	entry->map->top->usage.entries += (uint64_t)sign;
	account_pages(entry, (uint64_t)sign * entry_pages(entry));
}

/* Puts an entry into its map, where its range is free, right behind `previous`; NULL: as the first. */
static void link_after(struct map_entry *entry, struct map_entry *previous)
{
	struct map *map = entry->map;
	struct map_entry *next = previous ? previous->next : map->first;

	DEBUG_ASSERT(entry->start < entry->end && page_aligned(entry->start | entry->end));
	DEBUG_ASSERT(map->start <= entry->start && entry->end <= map->end);
	ASSERT(!previous || previous->end <= entry->start);
	ASSERT(!next || entry->end <= next->start);
	entry->previous = previous;
	entry->next = next;
	*(previous ? &previous->next : &map->first) = entry;
	*(next ? &next->previous : &map->last) = entry;
	entry->gap = entry->start - (previous ? previous->end : map->start);
	if (previous)
		avl_insert_after(&map->entries, &previous->by_address, &entry->by_address, entry_update);
	else if (next)
		avl_insert(&map->entries, &next->by_address, &next->by_address.left, &entry->by_address,
			   entry_update);
	else
		avl_insert(&map->entries, NULL, &map->entries, &entry->by_address, entry_update);
	update_gap(map, next);
	map->entry_count++;
	entry_account(entry, 1);
	DEBUG_ASSERT(map->first && !map->first->previous && map->last && !map->last->next);
}

/* Puts an entry into its map, where its range is free. */
static void link_entry(struct map_entry *entry)
{
	struct map *map = entry->map;
	struct map_entry *previous = map->last;

	/* What is made in the order of addresses, as a clone is, comes last each time. */
	if (previous && previous->start > entry->start) {
		struct map_entry *above = map_first_above(map, entry->start);

		previous = above->previous;
	}
	link_after(entry, previous);
}

/*
 * Takes an entry out of its map: its range is free then. What the entry refers to is not touched. The gap
 * before the next entry is not seen to, if that is about to be taken out as well. Writing.
 */
static void unlink_entry(struct map_entry *entry, bool next_goes)
{
	struct map *map = entry->map;
	struct map_entry *next = entry->next;

	MAP_ASSERT_WRITING(map);
	DEBUG_ASSERT(map->entry_count > 0);
	DEBUG_ASSERT((entry->previous ? entry->previous->next : map->first) == entry);
	DEBUG_ASSERT((next ? next->previous : map->last) == entry);
	entry_account(entry, -1);
	*(entry->previous ? &entry->previous->next : &map->first) = next;
	*(next ? &next->previous : &map->last) = entry->previous;
	avl_remove(&map->entries, &entry->by_address, entry_update);
	if (map->top->recent == entry)
		map->top->recent = NULL;
	if (!next_goes)
		update_gap(map, next);
	map->entry_count--;
	DEBUG_ASSERT((map->entry_count == 0) == !map->entries);
}

/* ---- Entries ------------------------------------------------------------------------------------------ */

struct map_entry *entry_create(enum entry_kind kind, const char *name)
{
	struct map_entry *entry = slab_alloc(&entry_cache);

	DEBUG_ASSERT(kind <= ENTRY_SUBMAP);
	if (!entry)
		return NULL;
	memset(entry, 0, sizeof(*entry));
	entry->kind = kind;
	entry->name = name;
	return entry;
}

/* Frees an entry that is in no map, and drops what it refers to; labels that nobody has any more are added to a list. */
static void entry_release(struct map_entry *entry, struct map_label **dropped)
{
	DEBUG_ASSERT(!entry->entity || entry->kind == ENTRY_ENTITY);
	DEBUG_ASSERT(!entry->blob || entry->kind == ENTRY_BLOB);
	if (entry->blob)
		blob_unref(entry->blob);
	if (entry->submap)
		map_unref(entry->submap);
	if (entry->entity)
		entity_release(entry->entity, dropped);
	map_label_drop(entry->label, dropped);
	slab_free(&entry_cache, entry);
}

void entry_destroy(struct map_entry *entry)
{
	struct map_label *dropped = NULL;

	entry_release(entry, &dropped);
	map_labels_destroy(dropped);
}

void entry_set_mapping(struct map_entry *entry, struct blob *blob, pgoff_t offset, const struct mapping *how)
{
	BLOB_ASSERT_LIVE(blob);
	ASSERT(entry->kind == ENTRY_BLOB && !entry->label);
	entry->blob = blob;
	entry->offset = offset;
	entry->prot = how->prot & ~VM_READ_UNASKED;
	entry->read_unasked = how->prot & VM_READ_UNASKED;
	entry->max_prot = how->max_prot ? how->max_prot : VM_ALL;
	entry->inherit = how->inherit;
	entry->grows_down = how->grows_down;
	entry->label = how->label;
	map_label_ref(entry->label);
}

void entry_copy_attributes(struct map_entry *to, const struct map_entry *from)
{
	DEBUG_ASSERT(!to->label && !to->map);
	to->kind = from->kind;
	to->name = from->name;
	to->prot = from->prot;
	to->read_unasked = from->read_unasked;
	to->max_prot = from->max_prot;
	to->inherit = from->inherit;
	to->fork = from->fork;
	to->advice = from->advice;
	to->grows_down = from->grows_down;
	to->permanent = from->permanent;
	to->label = from->label;
	map_label_ref(to->label);
}

bool entry_is_anonymous(const struct map_entry *entry)
{
	const struct blob *blob = entry->blob;
	bool has_extent;

	MAP_ASSERT_LOCKED(entry->map);
	if (entry->kind != ENTRY_BLOB || entry->inherit != INHERIT_COPY || entry->label || blob->pager ||
	    blob->fixed || blob->below)
		return false;
	spin_lock(&blob->family->lock);
	has_extent = blob->family->extent != EXTENT_NONE;
	family_unlock(blob->family);
	return !has_extent;
}

/* ---- Entries in their maps ---------------------------------------------------------------------------- */

void entry_insert(struct map *map, struct map_entry *entry)
{
	MAP_ASSERT_WRITING(map);
	DEBUG_ASSERT(!entry->wired && (entry->kind == ENTRY_BLOB) == (entry->blob != NULL));
	entry->map = map;
	link_entry(entry);
	if (entry->blob) {
		spin_lock(&entry->blob->family->lock);
		blob_add_mapping(entry);
		family_unlock(entry->blob->family);
	}
}

/*
 * Removes an entry's translations of a range. Of a blob that has nothing there are none: each leads to a page of its tree, of the blob
 * below it, to a frame of its own, or to the page of zeroes. So what was never touched goes without a look at page tables. Family locked.
 */
static void forget_entered(const struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	const struct blob *blob = entry->blob;

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(entry->start <= start && end <= entry->end);
	if (blob->tree.root != SLOT_EMPTY || blob->below || blob->fixed || blob->family->zeroes)
		pmap_remove(entry->map->pmap, start, end);
}

/* Translations go first, while the entry is still in the reverse map; then the pages that nobody else shows; last the entry, with its reference to the blob. */
void entry_remove(struct map_entry *entry)
{
	MAP_ASSERT_WRITING(entry->map);
	if (entry->blob) {
		struct blob *blob = entry->blob;

		spin_lock(&blob->family->lock);
		forget_entered(entry, entry->start, entry->end);
		if (entry->wired)
			entry_unwire(entry);
		DEBUG_ASSERT(!entry->wired);
		blob_remove_mapping(entry);
		/* Its failure only keeps pages longer; the entry has still its reference. */
		(void)blob_trim(blob, entry->offset, entry->offset + entry_pages(entry), 1);
		family_unlock(blob->family);
	}
	map_label_unmapped(entry->label, entry_written(entry));
	unlink_entry(entry, false);
	entry_release(entry, &entry->map->top->dropped);
}

void removal_finish(struct map_removal *removal)
{
	if (removal->blob)
		blob_leave(removal->blob, removal->first, removal->end - removal->first);
	removal->blob = NULL;
}

/*
 * As entry_remove(), with what can be done for several at once left to others: translations went before, and pages go
 * when the window that entries next to one another showed is known as a whole. Till then the removal is a visitor of
 * the blob: who comes to show the window meanwhile trims it first.
 */
void entry_remove_with(struct map_entry *entry, struct map_removal *removal, bool next_goes)
{
	struct blob *blob = entry->blob;

	MAP_ASSERT_WRITING(entry->map);
	if (blob && (removal->blob != blob || removal->end != entry->offset))
		removal_finish(removal);
	if (blob) {
		spin_lock(&blob->family->lock);
		if (!removal->blob) {
			blob_visit(blob);
			*removal = (struct map_removal){blob, entry->offset, entry->offset};
		}
		removal->end += entry_pages(entry);
		if (entry->wired)
			entry_unwire(entry);
		blob_remove_mapping(entry);
		family_unlock(blob->family);
	}
	map_label_unmapped(entry->label, entry_written(entry));
	unlink_entry(entry, next_goes);
	entry_release(entry, &entry->map->top->dropped);
}

/* The family's lock, where the entry has a blob. */
static void lock_family(const struct map_entry *entry)
{
	if (entry->blob)
		spin_lock(&entry->blob->family->lock);
}

static void unlock_family(const struct map_entry *entry)
{
	if (entry->blob)
		family_unlock(entry->blob->family);
}

/*
 * Changes the range within one section of the family's lock, so that the reverse map never misses
 * a page.
 */
static void move_bounds(struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	pgoff_t pages_before = entry_pages(entry);

	DEBUG_ASSERT(start < end);
	/* A window may grow at its front only as far as there is something of the blob before it. */
	ASSERT(!entry->blob || start >= entry->start ||
	       entry->start - start <= pages_to_bytes(entry->offset));
	entry->offset += entry->blob ? (pgoff_t)((int64_t)(start - entry->start) >> PAGE_SHIFT) : 0;
	entry->start = start;
	entry->end = end;
	if (entry_counts(entry))
		account_pages(entry, entry_pages(entry) - pages_before);
	if (entry->blob)
		blob_mapping_moved(entry);
}

void entry_set_range(struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	MAP_ASSERT_WRITING(entry->map);
	lock_family(entry);
	move_bounds(entry, start, end);
	unlock_family(entry);
	update_gap(entry->map, entry);
	update_gap(entry->map, entry->next);
}

void entry_cut(struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	struct blob *blob = entry->blob;
	pgoff_t first = entry_offset_at(entry, start), pages = (end - start) >> PAGE_SHIFT;
	bool front = start == entry->start;

	MAP_ASSERT_WRITING(entry->map);
	ASSERT(!entry->wired && front == (end != entry->end));
	spin_lock(&blob->family->lock);
	forget_entered(entry, start, end);
	move_bounds(entry, front ? end : entry->start, front ? entry->end : start);
	/* As in entry_remove(); the entry has its reference as a mapping. */
	(void)blob_trim(blob, first, first + pages, 0);
	family_unlock(blob->family);
	update_gap(entry->map, front ? entry : entry->next);
	map_label_unmapped(entry->label, entry_written(entry));
}

/*
 * The reverse map gets both parts within one section of the family's lock: a page between them is never
 * without a mapping. The upper first, so that the farthest end of all mappings stays where it is, for whole parts of their tree. Translations
 * stay as they are.
 */
void entry_split(struct map_entry *entry, vaddr_t address, struct map_entry *upper)
{
	MAP_ASSERT_WRITING(entry->map);
	ASSERT(!entry->submap && entry->start < address && address < entry->end);
	DEBUG_ASSERT(page_aligned(address) && !entry->permanent);
	entry_copy_attributes(upper, entry);
	upper->map = entry->map;
	upper->blob = entry->blob;
	upper->offset = entry->offset + ((address - entry->start) >> PAGE_SHIFT);
	upper->start = address;
	upper->end = entry->end;
	if (upper->blob)
		blob_ref(upper->blob);
	lock_family(entry);
	/* Each half counts as a wiring; the pages are counted as before. */
	upper->wired = entry->wired;
	upper->on_fault = entry->on_fault;
	if (upper->blob)
		blob_add_mapping_after(upper, entry);
	if (upper->wired)
		blob_count_wirings(upper->blob, 1);
	move_bounds(entry, entry->start, address);
	unlock_family(entry);
	link_after(upper, entry);
	DEBUG_ASSERT(entry->next == upper && entry->end == upper->start && upper->previous == entry);
}

/* May the two be one entry, but for their rights? What is told apart anywhere has to be the same. */
static bool entries_are_alike(const struct map_entry *lower, const struct map_entry *upper)
{
	return lower->kind == upper->kind && !lower->submap && !lower->permanent && !upper->permanent &&
	       lower->end == upper->start && lower->blob == upper->blob &&
	       lower->max_prot == upper->max_prot && lower->inherit == upper->inherit &&
	       lower->fork == upper->fork && lower->name == upper->name && lower->label == upper->label &&
	       lower->grows_down == upper->grows_down && lower->advice == upper->advice &&
	       lower->read_unasked == upper->read_unasked && lower->wired == upper->wired &&
	       lower->on_fault == upper->on_fault &&
	       (!lower->blob || lower->offset + entry_pages(lower) == upper->offset);
}

/* The upper entry goes, so that who iterates by address may go on from the one behind it. */
struct map_entry *entry_merge(struct map_entry *entry)
{
	struct map_entry *lower = entry->previous;

	MAP_ASSERT_WRITING(entry->map);
	if (!lower || lower->prot != entry->prot || !entries_are_alike(lower, entry))
		return entry;
	lock_family(entry);
	move_bounds(lower, lower->start, entry->end);
	if (entry->blob) {
		blob_remove_mapping(entry);
		if (entry->wired)
			blob_count_wirings(entry->blob, -1);
	}
	for (unsigned i = 0; i < FAULT_CASES; i++)
		lower->faults[i] += entry->faults[i];
	lower->told += entry->told;
	DEBUG_ASSERT(lower->end == entry->end);
	unlock_family(entry);
	/* Ranges overlap for a moment; only who has the lock of the map to write could see it. */
	unlink_entry(entry, false);
	entry_destroy(entry);
	return lower;
}

struct map_entry *entry_heir(const struct map_entry *entry, vaddr_t start, vaddr_t end, vm_prot_t prot)
{
	struct map_entry *previous = entry->previous, *next = entry->next;

	MAP_ASSERT_LOCKED(entry->map);
	DEBUG_ASSERT(entry->start <= start && end <= entry->end);
	/* Alike already, as a fork's child may have them: both are merged. */
	if (entry->prot == prot)
		return NULL;
	/* All of it has no end that goes to a neighbour: it becomes like one, perhaps like both, and is merged. */
	if (start == entry->start && end < entry->end && previous && previous->prot == prot &&
	    entries_are_alike(previous, entry))
		return previous;
	if (start > entry->start && end == entry->end && next && next->prot == prot &&
	    entries_are_alike(entry, next))
		return next;
	return NULL;
}

void entry_give(struct map_entry *entry, vaddr_t start, vaddr_t end, struct map_entry *heir)
{
	MAP_ASSERT_WRITING(entry->map);
	if (heir == entry->previous) {
		move_bounds(heir, heir->start, end);
		move_bounds(entry, end, entry->end);
	} else {
		DEBUG_ASSERT(heir == entry->next);
		move_bounds(heir, start, heir->end);
		move_bounds(entry, entry->start, start);
	}
}

void entry_replace_blob(struct map_entry *entry, struct blob *blob)
{
	struct blob *before = entry->blob;

	MAP_ASSERT_WRITING(entry->map);
	ASSERT(before && blob->pages == before->pages);
	spin_lock(&before->family->lock);
	pmap_remove(entry->map->pmap, entry->start, entry->end);
	if (entry->wired)
		entry_unwire(entry);
	blob_remove_mapping(entry);
	family_unlock(before->family);
	/* Between the two the entry is in no reverse map, and shows nothing: nobody faults, as the map is locked. */
	entry->blob = blob;
	spin_lock(&blob->family->lock);
	blob_add_mapping(entry);
	family_unlock(blob->family);
	blob_unref(before);
}

/* ---- Maps ---------------------------------------------------------------------------------------------- */

/*
 * A map with one reference, its own lock and no page tables: until the caller says otherwise, the top
 * of a tree. NULL: no memory.
 */
static struct map *map_allocate(const char *name, vaddr_t start, vaddr_t end)
{
	struct map *map = slab_alloc(&map_cache);

	if (!map)
		return NULL;
	memset(map, 0, sizeof(*map));
	map->refs = 1;
	map->start = start;
	map->end = end;
	map->ceiling = VM_ALL;
	map->lock = &map->own_lock;
	map->top = map;
	map->permanent = true;
	vm_copy_name(map->name, name);
	return map;
}

struct map *map_allocate_submap(struct map *parent, const char *name, vm_prot_t ceiling)
{
	struct map *map = map_allocate(name, 0, 0);

	if (!map)
		return NULL;
	DEBUG_ASSERT(parent->depth <= MAP_MAX_DEPTH);
	map->lock = parent->lock;
	map->top = parent->top;
	map->pmap = parent->pmap;
	map->user = parent->user;
	map->ceiling = ceiling & parent->ceiling;
	map->depth = parent->depth + 1;
	map->permanent = false;
	return map;
}

int map_create_shared(const char *name, vaddr_t start, vaddr_t end, vm_prot_t ceiling, struct map **out)
{
	struct map *map;

	if (!page_aligned(start) || !page_aligned(end) || start >= end)
		return -EINVAL;
	map = map_allocate(name, start, end);
	if (!map)
		return -ENOMEM;
	rw_init(&map->own_lock, RANK_MAP_SHARED, "shared submap");
	map->pmap = &kernel_pmap;
	map->ceiling = ceiling;
	*out = map;
	return 0;
}

void map_set_bounds(struct map *map, vaddr_t start, vaddr_t end)
{
	MAP_ASSERT_WRITING(map);
	DEBUG_ASSERT(start < end && page_aligned(start | end));
	DEBUG_ASSERT(!map->first || (start <= map->first->start && map->last->end <= end));
	map->start = start;
	map->end = end;
	update_gap(map, map->first);
}

void map_ref(struct map *map)
{
	MAP_ASSERT_LIVE(map);
	map->refs++;
}

/*
 * Takes apart a map that nobody can reach any more; a root's translations go with its pmap, later,
 * the kernel's now.
 */
static void destroy_entries(struct map *map)
{
	DEBUG_ASSERT(map->refs == 0);
	while (map->first) {
		struct map_entry *entry = map->first;

		if (entry->blob) {
			spin_lock(&entry->blob->family->lock);
			if (!map->user)
				pmap_remove(map->pmap, entry->start, entry->end);
			if (entry->wired)
				entry_unwire(entry);
			blob_remove_mapping(entry);
			family_unlock(entry->blob->family);
		}
		/* The map's own counts go with it; these are of all maps. */
		if (entry_counts(entry))
			account_promise(entry, -entry_pages(entry));
		map->first = entry->next;
		map_label_unmapped(entry->label, entry_written(entry));
		entry_destroy(entry);
	}
}

void map_unref(struct map *map)
{
	bool owns_pmap = map->top == map && map->user;

	MAP_ASSERT_LIVE(map);
	if (--map->refs > 0)
		return;
	/*
	 * Pages are freed while the dead page tables still name them: no CPU has the pmap active, so
	 * none can use them. The entries have left the reverse map before, so nobody comes to change
	 * the tables.
	 */
	destroy_entries(map);
	DEBUG_ASSERT(!map->first);
	if (owns_pmap)
		pmap_destroy(map->pmap);
	if (map->arena)
		arena_unref(map->arena);
	slab_free(&map_cache, map);
}

void map_usage(struct map *root, struct map_usage *out)
{
	map_read_lock(root);
	*out = root->top->usage;
	map_read_unlock(root);
}

struct pmap *map_pmap(struct map *map)
{
	return map->pmap;
}

vaddr_t map_start(const struct map *map)
{
	return map->start;
}

vaddr_t map_end(const struct map *map)
{
	return map->end;
}

/* ---- The layout that every root has ------------------------------------------------------------------ */

/*
 * A region of the layout. Without a shared map it is reserved, or the process's own if `own` says
 * so.
 */
struct region {
	const char *name;
	vaddr_t start, end;
	struct map **shared;
	bool own;
};

static const struct region regions[] = {
	{"guard page", 0, LAYOUT_GUARD_END, NULL, false},
	{"private space", LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END, NULL, true},
	{"kernel linkage space", LAYOUT_KERNEL_START, LAYOUT_GATE_START, NULL, false},
	{"gate area", LAYOUT_GATE_START, LAYOUT_GATE_END, NULL, false},
	{"system data space", LAYOUT_SYSTEM_START, LAYOUT_SYSTEM_END, &system_map, false},
	{"page descriptors", LAYOUT_PAGES_START, LAYOUT_PAGES_END, NULL, false},
	{"kernel dynamic memory", LAYOUT_DYNAMIC_START, LAYOUT_DYNAMIC_END, &dynamic_map, false},
	{"physical memory map", LAYOUT_PHYSICAL_START, LAYOUT_PHYSICAL_END, NULL, false},
};

/*
 * Gives a new root one region of the layout. Nobody else knows the root, so it is not locked. 0 or
 * -ENOMEM.
 */
static int insert_region(struct map *root, const struct region *region)
{
	bool is_submap = region->shared || region->own;
	struct map_entry *entry = entry_create(is_submap ? ENTRY_SUBMAP : ENTRY_RESERVED, region->name);

	DEBUG_ASSERT(!(region->shared && region->own));
	if (!entry)
		return -ENOMEM;
	entry->start = region->start;
	entry->end = region->end;
	entry->permanent = true;
	if (region->shared) {
		entry->submap = *region->shared;
		map_ref(entry->submap);
	} else if (region->own) {
		entry->submap = map_allocate_submap(root, region->name, VM_ALL);
		if (!entry->submap) {
			entry_destroy(entry);
			return -ENOMEM;
		}
		entry->submap->start = region->start;
		entry->submap->end = region->end;
		entry->submap->permanent = true;
	}
	entry->map = root;
	link_entry(entry);
	return 0;
}

/*
 * A root is whole from its beginning: the layout's regions are entries like any other, which cannot be
 * unmapped.
 */
int map_create_root(const char *name, struct map **out)
{
	struct map *root = map_allocate(name, 0, LAYOUT_PHYSICAL_END);
	int error;

	if (!root)
		return -ENOMEM;
	rw_init(&root->own_lock, RANK_MAP_ROOT, "root map");
	error = pmap_create(&root->pmap);
	if (error) {
		slab_free(&map_cache, root);
		return error;
	}
	root->user = true;
	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]) && !error; i++)
		error = insert_region(root, &regions[i]);
	if (error)
		map_unref(root);
	else
		*out = root;
	return error;
}

struct map *map_private_space(struct map *root)
{
	struct map_entry *entry;

	map_read_lock(root);
	entry = map_first_above(root, LAYOUT_PRIVATE_START);
	map_read_unlock(root);
	/* It is permanent, so it needs no reference, nor the lock. */
	DEBUG_ASSERT(entry && entry->permanent && entry->submap);
	return entry->submap;
}

struct map *map_arena_at(struct map *root, vaddr_t start)
{
	struct map_entry *entry;

	map_read_lock(root);
	entry = map_first_above(root, start);
	map_read_unlock(root);
	/* It is permanent, as above. */
	if (!entry || entry->start != start || !entry->permanent || !entry->submap)
		return NULL;
	return entry->submap;
}

/* Is the range in one of the parts of the layout that user code may use? */
bool user_range(vaddr_t start, uint64_t bytes)
{
	vaddr_t end = start + bytes;

	if (end < start)
		return false;
	if (start >= LAYOUT_ARENAS_START)
		return end <= LAYOUT_ARENAS_END;
	return start >= LAYOUT_PRIVATE_START && end <= LAYOUT_PRIVATE_END;
}

void map_init(void)
{
	slab_cache_init(&map_cache, "map", sizeof(struct map));
	slab_cache_init(&entry_cache, "map entry", sizeof(struct map_entry));
	if (map_create_shared("system data space", LAYOUT_SYSTEM_START, LAYOUT_SYSTEM_END, VM_READ | VM_WRITE,
			      &system_map) ||
	    map_create_shared("kernel dynamic memory", LAYOUT_DYNAMIC_START, LAYOUT_DYNAMIC_END,
			      VM_READ | VM_WRITE, &dynamic_map))
		panic("no memory for the kernel's own maps");
}
