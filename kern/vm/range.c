/*
 * What is done to ranges of a map: map, reserve, unmap, protect.
 *
 * Every change is made in two steps: check and allocate, then a part that cannot fail, all in one
 * section of the map's lock. A range may lie in a submap or reach over several; entries at its ends
 * are split, and neighbours that become alike are joined again. The entries themselves are map.c's;
 * what does not change the layout (contents, wiring, advice, listing) is in range_use.c, changing a
 * mapping's size in resize.c.
 */
#include <asm/errno.h>
#include <vm/layout.h>

#include "vm_internal.h"

int range_check(vaddr_t start, uint64_t size_bytes)
{
	bool wraps = start + size_bytes < start;

	return size_bytes == 0 || wraps || !page_aligned(start) || !page_aligned(size_bytes) ? -EINVAL : 0;
}

static vaddr_t higher(vaddr_t a, vaddr_t b)
{
	return a > b ? a : b;
}
static vaddr_t lower(vaddr_t a, vaddr_t b)
{
	return a < b ? a : b;
}

/* ---- Visiting the entries of a range ---------------------------------------------------------- */

int range_for_each(struct map *map, vaddr_t start, vaddr_t end, bool whole, range_visit visit, void *context)
{
	struct map_entry *entry = map_first_above(map, start);
	vaddr_t cursor = start;

	MAP_ASSERT_LOCKED(map);
	DEBUG_ASSERT(start < end);
	while (entry && entry->start < end) {
		struct map_entry *next = entry->next;
		vaddr_t entry_end = entry->end;
		vaddr_t part_start = higher(entry->start, start);
		vaddr_t part_end = lower(entry->end, end);
		int error;

		if (whole && entry->start > cursor)
			return -ENOMEM;
		if (entry_is_passable(entry))
			error = range_for_each(entry->submap, part_start, part_end, whole, visit, context);
		else
			error = visit(entry, part_start, part_end, context);
		if (error)
			return error;
		/*
		 * locked: a visit may replace its entry and join it with the one before, but neither
		 * unlocks the map nor touches the next.
		 */
		MAP_ASSERT_LOCKED(map);
		DEBUG_ASSERT(!next || next->start >= entry_end);
		cursor = entry_end;
		entry = next;
	}
	return whole && cursor < end ? -ENOMEM : 0;
}

/* ---- Splitting at the ends of a range ----------------------------------------------------------- */

/* Would a change of a range that starts or ends at `address` split an entry? */
static bool splits_at(struct map *map, vaddr_t address)
{
	struct map_entry *entry = map_find(map, address);

	return entry && entry->start < address;
}

/* Entries for so many splits. 0 or -ENOMEM. */
static int reserve_splits(struct split_reserve *reserve, unsigned needed)
{
	for (reserve->count = 0; reserve->count < needed; reserve->count++) {
		struct map_entry *spare = entry_create(ENTRY_RESERVED, "");

		if (!spare) {
			split_reserve_drain(reserve);
			return -ENOMEM;
		}
		reserve->spare[reserve->count] = spare;
	}
	return 0;
}

int split_reserve_fill(struct split_reserve *reserve, struct map *map, vaddr_t start, vaddr_t end)
{
	MAP_ASSERT_WRITING(map);
	DEBUG_ASSERT(start < end);
	return reserve_splits(reserve, splits_at(map, start) + splits_at(map, end));
}

/* Frees what was not used: spares are in no map, and refer to nothing. */
void split_reserve_drain(struct split_reserve *reserve)
{
	while (reserve->count > 0)
		entry_destroy(reserve->spare[--reserve->count]);
}

/*
 * Where a range cuts an entry at both ends, its middle part is what is returned, and both others stay
 * beside it.
 */
struct map_entry *entry_clip(struct map_entry *entry, vaddr_t start, vaddr_t end,
			     struct split_reserve *reserve)
{
	MAP_ASSERT_WRITING(entry->map);
	DEBUG_ASSERT(entry->start < end && start < entry->end);
	DEBUG_ASSERT(entry->start >= start || reserve->count > 0);
	if (entry->start < start) {
		struct map_entry *upper = reserve->spare[--reserve->count];

		entry_split(entry, start, upper);
		entry = upper;
	}
	DEBUG_ASSERT(end >= entry->end || reserve->count > 0);
	if (end < entry->end)
		entry_split(entry, end, reserve->spare[--reserve->count]);
	DEBUG_ASSERT(entry->start >= start && entry->end <= end);
	return entry;
}

/* ---- Unmapping ----------------------------------------------------------------------------------- */

/*
 * Entries of the layout stay. What is in a submap of the layout may go: that is not visited as an
 * entry.
 */
static int check_unmap(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	(void)start, (void)end, (void)context;
	return entry->permanent ? -EPERM : 0;
}

int range_check_unmap(struct map *map, vaddr_t start, vaddr_t end)
{
	MAP_ASSERT_WRITING(map);
	return range_for_each(map, start, end, false, check_unmap, NULL);
}

/*
 * After an entity or submap has lost [start, end), all of it or one end: it goes, or gives up the
 * space.
 */
static void shrink_submap(struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	struct map *submap = entry->submap;

	MAP_ASSERT_WRITING(entry->map);
	DEBUG_ASSERT(submap->top == entry->map->top && start < end);
	if (entry->permanent)
		return;
	if (start <= entry->start && end >= entry->end) {
		entry_remove(entry);
	} else if (entry->kind == ENTRY_ENTITY && !submap->first) {
		entry_remove(entry);
	} else if (start <= entry->start) {
		entry_set_range(entry, end, entry->end);
		map_set_bounds(submap, end, submap->end);
	} else if (end >= entry->end) {
		entry_set_range(entry, entry->start, start);
		map_set_bounds(submap, submap->start, start);
	}
}

/*
 * What is at the ends is split, so that only whole entries are removed. An entity or submap shrinks
 * with what it loses at an end; one that is left without its middle keeps its range, with a hole in it.
 *
 * What becomes of pages is what becomes of them where the mappings are unmapped one by one, in the order of their addresses: an entity has
 * its blobs' pages until it goes itself.
 */
void range_unmap(struct map *map, vaddr_t start, vaddr_t end, struct split_reserve *reserve)
{
	struct map_entry *entry = map_first_above(map, start);
	struct map_removal removal = {NULL, 0, 0};
	bool several;

	MAP_ASSERT_WRITING(map);
	DEBUG_ASSERT(start < end);
	/* A root's own level is the layout, which has no translations of its own. */
	several = entry && entry->next && entry->next->start < end && map->pmap &&
		  (map->depth > 0 || !map->user);
	if (several)
		pmap_remove(map->pmap, higher(entry->start, start), lower(map->end, end));
	while (entry && entry->start < end) {
		struct map_entry *next = entry->next;
		vaddr_t part_start = higher(entry->start, start);
		vaddr_t part_end = lower(entry->end, end);

		if (entry_is_passable(entry)) {
			removal_finish(&removal);
			range_unmap(entry->submap, part_start, part_end, reserve);
			shrink_submap(entry, part_start, part_end);
		} else {
			bool next_goes = next && next->end <= end && !entry_is_passable(next);

			entry = entry_clip(entry, part_start, part_end, reserve);
			if (several)
				entry_remove_with(entry, &removal, next_goes);
			else
				entry_remove(entry);
		}
		entry = next;
	}
	removal_finish(&removal);
}

/*
 * Most ranges are one mapping, or an end of one: then that is all there is to be searched for, nothing is split, and it cannot fail. False: it is not
 * such a range. Writing.
 */
static bool unmap_one(struct map *map, vaddr_t start, vaddr_t end)
{
	struct map_entry *entry = map_find(map, start);

	MAP_ASSERT_WRITING(map);
	/* What is around an entity's parts shrinks with them. */
	if (!entry || entry->kind != ENTRY_BLOB || !entry->map->permanent || end > entry->end)
		return false;
	if (start == entry->start && end == entry->end)
		entry_remove(entry);
	else if (!entry->wired && (start == entry->start || end == entry->end))
		entry_cut(entry, start, end);
	else
		return false;
	return true;
}

/* Any range of the map. Writing. */
static int unmap_locked(struct map *map, vaddr_t start, vaddr_t end)
{
	struct split_reserve reserve;
	int error = range_check_unmap(map, start, end);

	if (!error)
		error = split_reserve_fill(&reserve, map, start, end);
	if (error)
		return error;
	range_unmap(map, start, end, &reserve);
	/*
	 * What is unmapped is split at both ends, if at all: nothing is left over to be
	 * freed.
	 */
	DEBUG_ASSERT(reserve.count == 0);
	return 0;
}

int map_unmap(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	map_write_lock(map);
	if (start < map->start || start + size_bytes > map->end)
		error = -ENOMEM;
	else if (!unmap_one(map, start, start + size_bytes))
		error = unmap_locked(map, start, start + size_bytes);
	map_write_unlock(map);
	return error;
}

/* ---- Placing new entries --------------------------------------------------------------------------- */

/* A new entry on its way into a map. */
struct insertion {
	struct map *map;
	const struct placement *place;
	uint64_t bytes;
	struct map_entry *entry;
	struct map_entry
		*parts; /* of an entity: a list through `next`, their addresses relative to its start */
	bool layout;    /* may go to free space of the root's own level, which is the layout's */
};

/* Chooses the map and the address, and checks that the entry may be there. Writing. */
static int insertion_decide(const struct insertion *in, struct map **where, vaddr_t *address)
{
	const struct placement *place = in->place;
	int error;

	MAP_ASSERT_WRITING(in->map);
	*where = in->map;
	if ((place->flags & PLACE_FIXED) && place->address + in->bytes > place->address)
		*where = map_containing(in->map, place->address, place->address + in->bytes);
	error = map_choose(*where, place, in->bytes, address);
	if (error == -EEXIST && (place->flags & PLACE_REPLACE))
		error = range_check_unmap(*where, *address, *address + in->bytes);
	if (error)
		return error;
	/* A root's own level is the layout: only who makes arenas adds to it. */
	if ((*where)->depth == 0 && (*where)->user && (!in->layout || (place->flags & PLACE_REPLACE)))
		return -ENOMEM;
	if (in->entry->prot & ~(*where)->ceiling)
		return -EACCES;
	return in->entry->submap && (*where)->depth >= MAP_MAX_DEPTH ? -EMFILE : 0;
}

/* Inserts the entry, and an entity's parts into its own map. Writing. Cannot fail. */
static void insertion_commit(const struct insertion *in, struct map *where, vaddr_t address)
{
	struct map_entry *entry = in->entry;
	struct map_entry *part = in->parts;

	DEBUG_ASSERT(where->lock == in->map->lock);
	DEBUG_ASSERT(!part || entry->kind == ENTRY_ENTITY);
	entry->start = address;
	entry->end = address + in->bytes;
	entry->max_prot &= where->ceiling;
	entry_insert(where, entry);
	if (!entry->submap)
		return;
	/* The submap was made for in->map; what it is below of has been decided since. */
	entry->submap->depth = where->depth + 1;
	entry->submap->ceiling &= where->ceiling;
	map_set_bounds(entry->submap, address, address + in->bytes);
	while (part) {
		struct map_entry *next = part->next;

		part->start += address;
		part->end += address;
		part->max_prot &= where->ceiling;
		entry_insert(entry->submap, part);
		part = next;
	}
}

/* Puts a new entry where its placement says; on an error the caller still has it. */
static int insert_placed(const struct insertion *in, vaddr_t *out)
{
	bool replace = in->place->flags & PLACE_REPLACE;
	struct split_reserve reserve;
	struct map *where;
	vaddr_t address;
	int error;

	map_write_lock(in->map);
	error = insertion_decide(in, &where, &address);
	if (!error && replace)
		error = split_reserve_fill(&reserve, where, address, address + in->bytes);
	if (!error) {
		if (replace) {
			range_unmap(where, address, address + in->bytes, &reserve);
			DEBUG_ASSERT(reserve.count == 0);
		}
		DEBUG_ASSERT(page_aligned(address) && address >= where->start);
		insertion_commit(in, where, address);
		*out = address;
	}
	map_write_unlock(in->map);
	return error;
}

int map_place_submap(struct map *parent, const struct placement *place, uint64_t size_bytes,
		     vm_prot_t ceiling, const char *name, struct arena *arena, struct map **out)
{
	struct map_entry *entry = entry_create(ENTRY_SUBMAP, name);
	struct map *submap;
	vaddr_t address;
	int error = -ENOMEM;

	if (!entry)
		return -ENOMEM;
	submap = map_allocate_submap(parent, name, ceiling);
	entry->submap = submap;
	entry->permanent = arena != NULL;
	if (submap && arena) {
		submap->arena = arena;
		submap->permanent = true;
		arena_ref(arena);
	}
	if (submap)
		error = insert_placed(&(struct insertion){.map = parent,
							  .place = place,
							  .bytes = size_bytes,
							  .entry = entry,
							  .layout = true},
				      &address);
	/* On an error the entry takes the submap along, and that its reference to the arena. */
	if (error)
		entry_destroy(entry);
	else
		*out = submap;
	return error;
}

int map_create_submap(struct map *parent, const struct placement *place, uint64_t size_bytes,
		      vm_prot_t ceiling, const char *name, struct map **out)
{
	return map_place_submap(parent, place, size_bytes, ceiling, name, NULL, out);
}

int map_reserve(struct map *map, const struct placement *place, uint64_t size_bytes, const char *name,
		vaddr_t *out)
{
	struct map_entry *entry = entry_create(ENTRY_RESERVED, name);
	int error;

	if (!entry)
		return -ENOMEM;
	error = insert_placed(
		&(struct insertion){.map = map, .place = place, .bytes = size_bytes, .entry = entry}, out);
	if (error)
		entry_destroy(entry);
	return error;
}

/* An entry for a window of a blob, which takes over the caller's reference to it if it succeeds. */
static struct map_entry *blob_entry(struct blob *blob, pgoff_t offset, const struct mapping *how)
{
	struct map_entry *entry = entry_create(ENTRY_BLOB, how->name);

	if (entry)
		entry_set_mapping(entry, blob, offset, how);
	return entry;
}

/* Maps a window of a blob, with the caller's reference to it, which is given up on an error too. */
static int map_blob_taking(struct map *map, const struct placement *place, struct blob *blob, pgoff_t offset,
			   pgoff_t pages, const struct mapping *how, vaddr_t *out)
{
	struct map_entry *entry = blob_entry(blob, offset, how);
	int error;

	if (!entry) {
		blob_unref(blob);
		return -ENOMEM;
	}
	error = insert_placed(
		&(struct insertion){
			.map = map, .place = place, .bytes = pages_to_bytes(pages), .entry = entry},
		out);
	if (error)
		entry_destroy(entry);
	return error;
}

/*
 * 0, or what is wrong with the request for a mapping: -EINVAL, -EACCES. Which rights the map allows is
 * decided with its lock held.
 */
static int check_window(const struct blob *blob, pgoff_t offset, pgoff_t pages, const struct mapping *how)
{
	if (blob_check_window(blob, offset, pages) || how->inherit > INHERIT_NONE)
		return -EINVAL;
	return how->max_prot && (how->prot & ~VM_READ_UNASKED & ~how->max_prot) ? -EACCES : 0;
}

int map_blob(struct map *map, const struct placement *place, struct blob *blob, pgoff_t offset, pgoff_t pages,
	     const struct mapping *how, vaddr_t *out)
{
	int error = check_window(blob, offset, pages, how);

	if (error)
		return error;
	blob_ref(blob);
	return map_blob_taking(map, place, blob, offset, pages, how, out);
}

int map_blob_private(struct map *map, const struct placement *place, struct blob *blob, pgoff_t offset,
		     pgoff_t pages, const struct mapping *how, vaddr_t *out)
{
	struct blob *clone;
	int error = check_window(blob, offset, pages, how);

	if (!error)
		error = blob_clone(blob, offset, pages, &clone);
	if (error)
		return error;
	return map_blob_taking(map, place, clone, 0, pages, how, out);
}

/* ---- Entities ------------------------------------------------------------------------------------------ */

/* What a segment shows: the blob itself, with one more reference, or what is made of its window. 0 or -ENOMEM. */
static int segment_blob(const struct segment *segment, struct blob **out)
{
	switch (segment->sharing) {
	case SEGMENT_PRIVATE:
		return blob_clone(segment->blob, segment->blob_offset, segment->pages, out);
	case SEGMENT_OVERLAY:
		return blob_overlay(segment->blob, segment->blob_offset, segment->pages, out);
	case SEGMENT_SHARED:
		break;
	}
	*out = segment->blob;
	blob_ref(*out);
	return 0;
}

/* The entry of one segment; NULL: no memory. */
static struct map_entry *segment_entry(const struct segment *segment)
{
	bool private = segment->sharing != SEGMENT_SHARED;
	/* What all who map the entity see, none of them may make writable. */
	struct mapping how = {.prot = segment->prot,
			      .max_prot = private ? VM_ALL : segment->prot | VM_READ,
			      .inherit = private ? INHERIT_COPY : INHERIT_SHARE,
			      .name = segment->name,
			      .label = segment->label};
	struct map_entry *entry;
	struct blob *blob;

	if (segment_blob(segment, &blob))
		return NULL;
	entry = blob_entry(blob, private ? 0 : segment->blob_offset, &how);
	if (!entry)
		blob_unref(blob);
	return entry;
}

/* Destroys entries that are in no map yet, in a list through `next`. */
static void destroy_list(struct map_entry *list)
{
	while (list) {
		struct map_entry *entry = list;

		list = entry->next;
		entry_destroy(entry);
	}
}

/*
 * Makes the entries of all segments, in a list through `next`, with addresses relative to the
 * entity's start.
 */
static struct map_entry *segment_entries(const struct entity *entity)
{
	struct map_entry *list = NULL;

	for (size_t i = 0; i < entity->count; i++) {
		struct map_entry *entry = segment_entry(&entity->segments[i]);

		if (!entry) {
			destroy_list(list);
			return NULL;
		}
		entry->start = pages_to_bytes(entity->segments[i].place);
		entry->end = entry->start + pages_to_bytes(entity->segments[i].pages);
		DEBUG_ASSERT(entry->end <= pages_to_bytes(entity->pages));
		entry->next = list;
		list = entry;
	}
	return list;
}

/*
 * All parts are made before the map is locked: clones may take long, and can fail. They go in together
 * or not at all.
 */
int map_entity(struct map *map, const struct placement *place, struct entity *entity, vaddr_t *out)
{
	struct insertion in = {.map = map, .place = place, .bytes = pages_to_bytes(entity->pages)};
	int error = -ENOMEM;

	ENTITY_ASSERT_LIVE(entity);
	in.entry = entry_create(ENTRY_ENTITY, entity->name);
	if (!in.entry)
		return -ENOMEM;
	entity_ref(entity);
	in.entry->entity = entity;
	for (size_t i = 0; i < entity->count; i++)
		in.entry->prot |= entity->segments[i].prot;
	in.entry->max_prot = VM_ALL;
	in.entry->submap = map_allocate_submap(map, entity->name, VM_ALL);
	in.parts = segment_entries(entity);
	if (in.entry->submap && in.parts)
		error = insert_placed(&in, out);
	if (error) {
		destroy_list(in.parts);
		entry_destroy(in.entry);
	}
	return error;
}

/* ---- Protection --------------------------------------------------------------------------------------- */

struct protection {
	vm_prot_t prot;
	bool read_unasked;
	struct split_reserve reserve;
};

/* Only mappings have rights to be changed, and no more than their limit says. */
static int check_protect(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	const struct protection *change = context;

	(void)start, (void)end;
	return entry->kind != ENTRY_BLOB || (change->prot & ~entry->max_prot) ? -EACCES : 0;
}

/*
 * Gives the entry's part of the range the rights, and joins it with the one before if it can be. Cannot
 * fail.
 */
static int protect_entry(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct protection *change = context;
	vm_prot_t taken = entry->prot & ~change->prot;

	MAP_ASSERT_WRITING(entry->map);
	DEBUG_ASSERT(!(change->prot & ~entry->max_prot));
	if (entry->prot != change->prot || entry->read_unasked != change->read_unasked) {
		entry = entry_clip(entry, start, end, &change->reserve);
		spin_lock(&entry->blob->family->lock);
		entry_account(entry, -1);
		entry->prot = change->prot;
		entry->read_unasked = change->read_unasked;
		entry_account(entry, 1);
		/* Rights that are added reach the page tables with the next fault. */
		if (taken)
			pmap_protect(entry->map->pmap, start, end, change->prot | VM_USER);
		family_unlock(entry->blob->family);
	}
	/* The one before may just have become like this one, whether this one changed or not. */
	entry_merge(entry);
	return 0;
}

void range_merge_at(struct map *map, vaddr_t address)
{
	struct map_entry *entry = map_find(map, address);

	MAP_ASSERT_WRITING(map);
	if (entry && entry->start == address)
		entry_merge(entry);
}

/* A part of an entry gets the rights of its neighbour, as when a program makes more of its heap accessible: it becomes the neighbour's. */
static void protect_by_giving(struct map_entry *entry, vaddr_t start, vaddr_t end, struct map_entry *heir)
{
	struct family *family = entry->blob->family;

	MAP_ASSERT_WRITING(entry->map);
	spin_lock(&family->lock);
	entry_give(entry, start, end, heir);
	if (entry->prot & ~heir->prot)
		pmap_protect(entry->map->pmap, start, end, heir->prot | VM_USER);
	family_unlock(family);
}

/* Most ranges are one entry, or a part of one: then there is nothing to be searched for but that. Writing. */
static int protect_one(struct map_entry *entry, vaddr_t start, vaddr_t end, struct protection *change)
{
	struct map_entry *next = entry->end == end ? entry->next : NULL, *heir;
	int error = check_protect(entry, start, end, change);

	if (error)
		return error;
	heir = entry_heir(entry, start, end, change->prot);
	if (heir) {
		protect_by_giving(entry, start, end, heir);
		return 0;
	}
	error = reserve_splits(&change->reserve, (entry->start < start) + (end < entry->end));
	if (error)
		return error;
	(void)protect_entry(entry, start, end, change);
	if (next && next->start == end)
		entry_merge(next);
	split_reserve_drain(&change->reserve);
	return 0;
}

/* Checked for the whole range first: then no part of it changes unless all does. Writing. */
static int protect_locked(struct map *map, vaddr_t start, vaddr_t end, vm_prot_t prot)
{
	struct protection change = {.prot = prot & ~VM_READ_UNASKED, .read_unasked = prot & VM_READ_UNASKED};
	struct map_entry *entry = map_find(map, start);
	int error;

	if (entry && end <= entry->end)
		return protect_one(entry, start, end, &change);
	error = range_for_each(map, start, end, true, check_protect, &change);
	if (!error)
		error = split_reserve_fill(&change.reserve, map, start, end);
	if (error)
		return error;
	(void)range_for_each(map, start, end, true, protect_entry, &change);
	range_merge_at(map, end);
	/* An entry at an end that had the rights already was not split. */
	split_reserve_drain(&change.reserve);
	return 0;
}

int map_protect(struct map *map, vaddr_t start, uint64_t size_bytes, vm_prot_t prot)
{
	int error = range_check(start, size_bytes);

	if (error || (prot & ~(VM_ALL | VM_READ_UNASKED)))
		return -EINVAL;
	map_write_lock(map);
	error = protect_locked(map, start, start + size_bytes, prot);
	map_write_unlock(map);
	return error;
}

int map_protect_down(struct map *map, vaddr_t start, uint64_t size_bytes, vm_prot_t prot)
{
	vaddr_t end = start + size_bytes;
	struct map_entry *entry;
	int error = range_check(start, size_bytes);

	if (error || (prot & ~(VM_ALL | VM_READ_UNASKED)))
		return -EINVAL;
	map_write_lock(map);
	entry = map_find_above(map, start);
	if (!entry || entry->start >= end)
		error = -ENOMEM;
	else if (!entry->grows_down)
		error = -EINVAL;
	else
		error = protect_locked(map, entry->start, end, prot);
	map_write_unlock(map);
	return error;
}
