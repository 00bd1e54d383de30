/*
 * What is done to ranges of a map: map, reserve, unmap, protect, decommit, resize, and list.
 *
 * Every change is made in two steps: check and allocate, then a part that cannot fail, all in one section
 * of the map's lock. A range may lie in a submap or reach over several; entries at its ends are split,
 * and neighbours that become alike are joined again. The entries themselves are map.c's.
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

/* A submap whose entries are guarded by the same lock, so that range operations go into it. */
static bool goes_inside(const struct map_entry *entry)
{
	return entry->submap && entry->submap->top == entry->map->top;
}

/* ---- Visiting the entries of a range ---------------------------------------------------------- */

/* A step of a range operation: [start, end) is the entry's part of the range. 0 to go on. */
typedef int (*range_visit)(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context);

/*
 * Visits, in address order, each entry that meets the range and is not a passable submap. A visit may replace its
 * entry by others. With `whole`, -ENOMEM as soon as there is a hole.
 */
static int range_for_each(struct map *map, vaddr_t start, vaddr_t end, bool whole, range_visit visit,
			  void *context)
{
	struct map_entry *entry = map_first_above(map, start);
	vaddr_t cursor = start;

	while (entry && entry->start < end) {
		struct map_entry *next = entry->next;
		vaddr_t entry_end = entry->end;
		vaddr_t part_start = higher(entry->start, start);
		vaddr_t part_end = lower(entry->end, end);
		int error;

		if (whole && entry->start > cursor)
			return -ENOMEM;
		if (goes_inside(entry))
			error = range_for_each(entry->submap, part_start, part_end, whole, visit, context);
		else
			error = visit(entry, part_start, part_end, context);
		if (error)
			return error;
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

int split_reserve_fill(struct split_reserve *reserve, struct map *map, vaddr_t start, vaddr_t end)
{
	unsigned needed = splits_at(map, start) + splits_at(map, end);

	MAP_ASSERT_WRITING(map);
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

void split_reserve_drain(struct split_reserve *reserve)
{
	while (reserve->count > 0)
		entry_destroy(reserve->spare[--reserve->count]);
}

/* Makes [start, end), a part of the entry, an entry of its own, and returns it. */
static struct map_entry *clip(struct map_entry *entry, vaddr_t start, vaddr_t end,
			      struct split_reserve *reserve)
{
	if (entry->start < start) {
		struct map_entry *upper = reserve->spare[--reserve->count];

		entry_split(entry, start, upper);
		entry = upper;
	}
	if (end < entry->end)
		entry_split(entry, end, reserve->spare[--reserve->count]);
	return entry;
}

/* ---- Unmapping ----------------------------------------------------------------------------------- */

static int check_unmap(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	(void)start, (void)end, (void)context;
	return entry->permanent ? -EPERM : 0;
}

int range_check_unmap(struct map *map, vaddr_t start, vaddr_t end)
{
	return range_for_each(map, start, end, false, check_unmap, NULL);
}

/* After an entity or submap has lost [start, end), all of it or one end: it goes, or gives up the space. */
static void shrink_submap(struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	struct map *submap = entry->submap;

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

void range_unmap(struct map *map, vaddr_t start, vaddr_t end, struct split_reserve *reserve)
{
	struct map_entry *entry = map_first_above(map, start);

	while (entry && entry->start < end) {
		struct map_entry *next = entry->next;
		vaddr_t part_start = higher(entry->start, start);
		vaddr_t part_end = lower(entry->end, end);

		if (goes_inside(entry)) {
			range_unmap(entry->submap, part_start, part_end, reserve);
			shrink_submap(entry, part_start, part_end);
		} else {
			entry_remove(clip(entry, part_start, part_end, reserve));
		}
		entry = next;
	}
}

int map_unmap(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	struct split_reserve reserve;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	rw_write_lock(map->lock);
	if (start < map->start || start + size_bytes > map->end)
		error = -ENOMEM;
	if (!error)
		error = range_check_unmap(map, start, start + size_bytes);
	if (!error)
		error = split_reserve_fill(&reserve, map, start, start + size_bytes);
	if (!error)
		range_unmap(map, start, start + size_bytes, &reserve);
	rw_write_unlock(map->lock);
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

	*where = in->map;
	if ((place->flags & PLACE_FIXED) && place->address + in->bytes > place->address)
		*where = map_containing(in->map, place->address, place->address + in->bytes);
	error = map_choose(*where, place, in->bytes, address);
	if (error == -EEXIST && (place->flags & PLACE_REPLACE))
		error = range_check_unmap(*where, *address, *address + in->bytes);
	if (error)
		return error;
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

	entry->start = address;
	entry->end = address + in->bytes;
	entry->max_prot &= where->ceiling;
	entry_insert(where, entry);
	if (!entry->submap)
		return;
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

	rw_write_lock(in->map->lock);
	error = insertion_decide(in, &where, &address);
	if (!error && replace)
		error = split_reserve_fill(&reserve, where, address, address + in->bytes);
	if (!error) {
		if (replace)
			range_unmap(where, address, address + in->bytes, &reserve);
		insertion_commit(in, where, address);
		*out = address;
	}
	rw_write_unlock(in->map->lock);
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
		arena_ref(arena);
	}
	if (submap)
		error = insert_placed(&(struct insertion){.map = parent,
							  .place = place,
							  .bytes = size_bytes,
							  .entry = entry,
							  .layout = true},
				      &address);
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

	if (!entry)
		return NULL;
	entry->blob = blob;
	entry->offset = offset;
	entry->prot = how->prot;
	entry->max_prot = how->max_prot ? how->max_prot : VM_ALL;
	entry->inherit = how->inherit;
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

static int check_window(const struct blob *blob, pgoff_t offset, pgoff_t pages, const struct mapping *how)
{
	if (pages == 0 || offset >= blob->pages || pages > blob->pages - offset)
		return -EINVAL;
	return how->max_prot && (how->prot & ~how->max_prot) ? -EACCES : 0;
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

/* The entry of one segment: of the blob itself, or of a clone of the window. */
static struct map_entry *segment_entry(const struct segment *segment)
{
	bool private = segment->sharing == SEGMENT_PRIVATE;
	/* What all who map the entity see, none of them may make writable. */
	struct mapping how = {.prot = segment->prot,
			      .max_prot = private ? VM_ALL : segment->prot | VM_READ,
			      .inherit = private ? INHERIT_COPY : INHERIT_SHARE,
			      .name = segment->name};
	struct blob *blob = segment->blob;
	struct map_entry *entry;

	if (!private)
		blob_ref(blob);
	else if (blob_clone(segment->blob, segment->blob_offset, segment->pages, &blob))
		return NULL;
	entry = blob_entry(blob, private ? 0 : segment->blob_offset, &how);
	if (!entry)
		blob_unref(blob);
	return entry;
}

static void destroy_list(struct map_entry *list)
{
	while (list) {
		struct map_entry *entry = list;

		list = entry->next;
		entry_destroy(entry);
	}
}

/* Makes the entries of all segments, in a list through `next`, with addresses relative to the entity's start. */
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
		entry->next = list;
		list = entry;
	}
	return list;
}

int map_entity(struct map *map, const struct placement *place, struct entity *entity, vaddr_t *out)
{
	struct insertion in = {.map = map, .place = place, .bytes = pages_to_bytes(entity->pages)};
	int error = -ENOMEM;

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
	struct split_reserve reserve;
};

static int check_protect(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	const struct protection *change = context;

	(void)start, (void)end;
	return entry->kind != ENTRY_BLOB || (change->prot & ~entry->max_prot) ? -EACCES : 0;
}

static int protect_entry(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct protection *change = context;
	vm_prot_t taken = entry->prot & ~change->prot;

	if (entry->prot != change->prot) {
		entry = clip(entry, start, end, &change->reserve);
		spin_lock(&entry->blob->family->lock);
		entry->prot = change->prot;
		/* Rights that are added reach the page tables with the next fault. */
		if (taken)
			pmap_protect(entry->map->pmap, start, end, change->prot | VM_USER);
		spin_unlock(&entry->blob->family->lock);
	}
	/* The one before may just have become like this one, whether this one changed or not. */
	entry_merge(entry);
	return 0;
}

/* Joins the entry that begins where a changed range ends with the one before it. */
static void merge_at(struct map *map, vaddr_t address)
{
	struct map_entry *entry = map_find(map, address);

	if (entry && entry->start == address)
		entry_merge(entry);
}

int map_protect(struct map *map, vaddr_t start, uint64_t size_bytes, vm_prot_t prot)
{
	struct protection change = {.prot = prot};
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	if (prot & ~VM_ALL)
		return -EINVAL;
	rw_write_lock(map->lock);
	error = range_for_each(map, start, end, true, check_protect, &change);
	if (!error)
		error = split_reserve_fill(&change.reserve, map, start, end);
	if (!error) {
		(void)range_for_each(map, start, end, true, protect_entry, &change);
		merge_at(map, end);
		/* An entry at an end that had the rights already was not split. */
		split_reserve_drain(&change.reserve);
	}
	rw_write_unlock(map->lock);
	return error;
}

/* ---- Contents ------------------------------------------------------------------------------------------- */

/* Is the entry's part of a range a window of a blob? Anything else counts as a hole. */
static int check_blob(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	(void)start, (void)end, (void)context;
	return entry->kind == ENTRY_BLOB ? 0 : -ENOMEM;
}

/* The same for decommit, which has no meaning for a device. */
static int check_decommit(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	int error = check_blob(entry, start, end, context);

	return !error && entry->blob->device ? -EINVAL : error;
}

static pgoff_t offset_of(const struct map_entry *entry, vaddr_t address)
{
	return entry->offset + ((address - entry->start) >> PAGE_SHIFT);
}

static int decommit_entry(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	(void)context;
	return blob_decommit(entry->blob, offset_of(entry, start), (end - start) >> PAGE_SHIFT);
}

int map_decommit(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	rw_read_lock(map->lock);
	error = range_for_each(map, start, end, true, check_decommit, NULL);
	if (!error)
		error = range_for_each(map, start, end, true, decommit_entry, NULL);
	rw_read_unlock(map->lock);
	return error;
}

int map_check(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	rw_read_lock(map->lock);
	error = range_for_each(map, start, start + size_bytes, true, check_blob, NULL);
	rw_read_unlock(map->lock);
	return error;
}

static int residency_of_entry(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	unsigned char **vector = context;
	pgoff_t pages = (end - start) >> PAGE_SHIFT;

	blob_residency(entry->blob, offset_of(entry, start), pages, *vector);
	*vector += pages;
	return 0;
}

int map_residency(struct map *map, vaddr_t start, uint64_t size_bytes, unsigned char *vector)
{
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	rw_read_lock(map->lock);
	error = range_for_each(map, start, end, true, check_blob, NULL);
	if (!error)
		error = range_for_each(map, start, end, true, residency_of_entry, &vector);
	rw_read_unlock(map->lock);
	return error;
}

int map_lookup(struct map *map, vaddr_t address, struct lookup *out)
{
	struct map_entry *entry;
	int error = -EFAULT;

	rw_read_lock(map->lock);
	entry = map_find(map, address);
	if (entry && entry->kind == ENTRY_BLOB) {
		out->blob = entry->blob;
		blob_ref(entry->blob);
		out->offset = offset_of(entry, page_round_down(address));
		out->end = entry->end;
		out->how = (struct mapping){.prot = entry->prot,
					    .max_prot = entry->max_prot,
					    .inherit = entry->inherit,
					    .name = entry->name};
		error = 0;
	}
	rw_read_unlock(map->lock);
	return error;
}

/* ---- Changing the size of a mapping ---------------------------------------------------------------------- */

/*
 * May a mapping of `shown` pages of the entry's blob, from `offset` on, come to show `pages`: has the blob so many,
 * and does nobody show the further ones? What they held when somebody last did is gone then.
 */
static int check_growth(struct map_entry *entry, pgoff_t offset, pgoff_t shown, pgoff_t pages)
{
	struct blob *blob = entry->blob;
	int error = 0;

	if (pages > blob->pages - offset)
		return -EINVAL;
	spin_lock(&blob->family->lock);
	/* Where a part of the entry is to grow, that may be the entry's own rest. */
	if (blob_is_mapped(blob, offset + shown, offset + pages))
		error = -ENOMEM;
	else
		error = blob_trim(blob, offset + shown, offset + pages, 0);
	spin_unlock(&blob->family->lock);
	return error;
}

/* Space between the entry and the next, or the map's end. */
static uint64_t room_above(const struct map_entry *entry)
{
	return entry->next ? entry->next->gap : entry->map->end - entry->end;
}

/* A resize under way. */
struct resize {
	const struct resize_request *want;
	struct map *map;
	vaddr_t old_end, new_end;
	struct map_entry *entry; /* that shows the old range */
};

/* Finds the mapping and checks what does not depend on where it goes. Writing. */
static int resize_check(struct resize *resize, struct map *map)
{
	const struct resize_request *want = resize->want;
	struct map_entry *entry = map_find(map, want->start);

	if (!entry || entry->kind != ENTRY_BLOB || resize->old_end > entry->end)
		return -EFAULT;
	resize->entry = entry;
	if (want->new_bytes <= want->old_bytes)
		return 0;
	return check_growth(entry, offset_of(entry, want->start), want->old_bytes >> PAGE_SHIFT,
			    want->new_bytes >> PAGE_SHIFT);
}

/* Can the mapping grow where it is? */
static bool resize_fits(const struct resize *resize)
{
	return resize->old_end == resize->entry->end &&
	       room_above(resize->entry) >= resize->new_end - resize->old_end;
}

/* Chooses the place to move to, in `*target` or a submap of it, and checks it. Writing. */
static int resize_choose(const struct resize *resize, struct map **target, vaddr_t *address)
{
	const struct resize_request *want = resize->want;
	const struct placement *place = &want->place;
	int error;

	if (place->flags & PLACE_FIXED)
		*target = map_containing(*target, place->address, place->address + want->new_bytes);
	error = map_choose(*target, place, want->new_bytes, address);
	if (error == -EEXIST && (place->flags & PLACE_REPLACE))
		error = range_check_unmap(*target, *address, *address + want->new_bytes);
	if (error)
		return error;
	if ((*target)->depth == 0 && (*target)->user)
		return -ENOMEM;
	if (*address < resize->old_end && want->start < *address + want->new_bytes)
		return -EINVAL;
	return resize->entry->prot & ~(*target)->ceiling ? -EACCES : 0;
}

/* Moves the mapping to a place in `target`, with its new length. Writing. */
static int resize_by_moving(struct resize *resize, struct map *target, vaddr_t *out)
{
	const struct resize_request *want = resize->want;
	struct split_reserve old_ends, new_ends;
	struct map_entry *moved;
	vaddr_t address;
	int error = resize_choose(resize, &target, &address);

	if (error)
		return error;
	moved = entry_create(ENTRY_BLOB, resize->entry->name);
	if (!moved)
		return -ENOMEM;
	if (split_reserve_fill(&old_ends, resize->map, want->start, resize->old_end)) {
		entry_destroy(moved);
		return -ENOMEM;
	}
	if (split_reserve_fill(&new_ends, target, address, address + want->new_bytes)) {
		split_reserve_drain(&old_ends);
		entry_destroy(moved);
		return -ENOMEM;
	}
	moved->prot = resize->entry->prot;
	moved->max_prot = resize->entry->max_prot & target->ceiling;
	moved->inherit = resize->entry->inherit;
	moved->blob = resize->entry->blob;
	moved->offset = offset_of(resize->entry, want->start);
	moved->start = address;
	moved->end = address + want->new_bytes;
	/* From here on resize->entry may be gone: what is replaced can be another part of it. */
	range_unmap(target, moved->start, moved->end, &new_ends);
	/* Not before: a reference without a mapping would keep pages that were replaced. */
	blob_ref(moved->blob);
	entry_insert(target, moved);
	/* From the top, as map_unmap() does: an entity goes with the last of its parts. */
	range_unmap(resize->map, want->start, resize->old_end, &old_ends);
	/* Where both ranges cut the same entry, one of the splits made the other needless. */
	split_reserve_drain(&old_ends);
	*out = address;
	return 0;
}

static int resize_locked(struct resize *resize, struct map *map, struct map *target, vaddr_t *out)
{
	const struct resize_request *want = resize->want;
	int error = resize_check(resize, map);

	if (error)
		return error;
	if (want->place.flags & PLACE_FIXED)
		return want->may_move ? resize_by_moving(resize, target, out) : -EINVAL;
	if (resize->new_end > resize->old_end) {
		if (!resize_fits(resize))
			return want->may_move ? resize_by_moving(resize, target, out) : -ENOMEM;
		entry_set_range(resize->entry, resize->entry->start, resize->new_end);
	} else if (resize->new_end < resize->old_end) {
		struct split_reserve reserve;

		error = split_reserve_fill(&reserve, map, resize->new_end, resize->old_end);
		if (error)
			return error;
		range_unmap(map, resize->new_end, resize->old_end, &reserve);
	}
	*out = want->start;
	return 0;
}

int map_resize(struct map *map, struct map *target, const struct resize_request *want, vaddr_t *out)
{
	struct resize resize = {.want = want,
				.map = map,
				.old_end = want->start + want->old_bytes,
				.new_end = want->start + want->new_bytes};
	int error = range_check(want->start, want->old_bytes);

	if (!error)
		error = range_check(want->start, want->new_bytes);
	if (error)
		return error;
	rw_write_lock(map->lock);
	error = resize_locked(&resize, map, target, out);
	rw_write_unlock(map->lock);
	return error;
}

/* ---- Listing --------------------------------------------------------------------------------------------- */

static int walk_map(struct map *map, unsigned depth,
		    int (*visit)(const struct entry_info *info, void *context), void *context)
{
	for (struct map_entry *entry = map->first; entry; entry = entry->next) {
		struct entry_info info = {.depth = depth,
					  .kind = entry->kind,
					  .start = entry->start,
					  .end = entry->end,
					  .prot = entry->prot,
					  .max_prot = entry->max_prot,
					  .inherit = entry->inherit,
					  .name = entry->name,
					  .offset = entry->offset};
		int stop;

		if (entry->blob) {
			info.resident = blob_resident(entry->blob, entry->offset, entry_pages(entry));
			for (unsigned i = 0; i < FAULT_CASES; i++)
				info.faults[i] = entry->faults[i];
		}
		stop = visit(&info, context);
		if (!stop && goes_inside(entry))
			stop = walk_map(entry->submap, depth + 1, visit, context);
		if (stop)
			return stop;
	}
	return 0;
}

int map_walk(struct map *map, int (*visit)(const struct entry_info *info, void *context), void *context)
{
	int stop;

	rw_read_lock(map->lock);
	stop = walk_map(map, 0, visit, context);
	rw_read_unlock(map->lock);
	return stop;
}
