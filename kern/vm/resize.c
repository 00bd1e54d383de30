/*
 * Changing the size and the place of a mapping (map_resize).
 *
 * A mapping that grows shows more of its blob. It stays where it is, if there is room; else it
 * moves, to a place that is chosen like that of a new entry, and its pages with it, as they are the
 * blob's. Everything is checked and allocated first.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/*
 * May a mapping of `shown` pages of the entry's blob, from `offset` on, come to show `pages`: has
 * the blob so many, and does nobody show the further ones? What they held when somebody last did is
 * gone then.
 */
static int check_growth(struct map_entry *entry, pgoff_t offset, pgoff_t shown, pgoff_t pages)
{
	struct blob *blob = entry->blob;
	int error = 0;

	MAP_ASSERT_WRITING(entry->map);
	ASSERT(shown < pages && offset < blob->pages);
	if (pages > blob->pages - offset)
		return -EINVAL;
	spin_lock(&blob->family->lock);
	/* Where a part of the entry is to grow, that may be the entry's own rest. */
	if (blob_is_mapped(blob, offset + shown, offset + pages))
		error = -ENOMEM;
	else
		error = blob_trim(blob, offset + shown, offset + pages, 0);
	family_unlock(blob->family);
	return error;
}

/* Space between the entry and the next, or the map's end. */
static uint64_t room_above(const struct map_entry *entry)
{
	MAP_ASSERT_WRITING(entry->map);
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

	MAP_ASSERT_WRITING(map);
	if (!entry || entry->kind != ENTRY_BLOB || resize->old_end > entry->end)
		return -EFAULT;
	resize->entry = entry;
	if (want->new_bytes <= want->old_bytes)
		return 0;
	return check_growth(entry, entry_offset_at(entry, want->start), want->old_bytes >> PAGE_SHIFT,
			    want->new_bytes >> PAGE_SHIFT);
}

/* Can the mapping grow where it is? */
static bool resize_fits(const struct resize *resize)
{
	DEBUG_ASSERT(resize->new_end > resize->old_end);
	return resize->old_end == resize->entry->end &&
	       room_above(resize->entry) >= resize->new_end - resize->old_end;
}

/* Chooses the place to move to, in `*target` or a submap of it, and checks it. Writing. */
static int resize_choose(const struct resize *resize, struct map **target, vaddr_t *address)
{
	const struct resize_request *want = resize->want;
	const struct placement *place = &want->place;
	int error;

	MAP_ASSERT_WRITING(*target);
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
	/* Rights that the target does not allow are not taken away in silence. */
	return resize->entry->prot & ~(*target)->ceiling ? -EACCES : 0;
}

/* Wires what a mapping that is wired will show, before it does. *out is NULL if it is not wired. */
static int resize_wire(const struct resize *resize, pgoff_t offset, pgoff_t pages, struct wiring **out)
{
	const struct map_entry *entry = resize->entry;

	MAP_ASSERT_WRITING(entry->map);
	*out = NULL;
	if (!entry->wired)
		return 0;
	return wiring_create(entry->blob, offset, pages, entry->prot & VM_WRITE ? OBTAIN_WRITE : OBTAIN_READ,
			     out);
}

/* Lets the mapping grow where it is. Writing. */
static int resize_in_place(const struct resize *resize)
{
	struct map_entry *entry = resize->entry;
	struct wiring *wiring;
	int error =
		resize_wire(resize, entry->offset, (resize->new_end - entry->start) >> PAGE_SHIFT, &wiring);

	if (error)
		return error;
	/* The new wiring counts all pages already, so that none is unwired while the old one ends. */
	if (wiring) {
		spin_lock(&entry->blob->family->lock);
		entry_unwire(entry);
		family_unlock(entry->blob->family);
	}
	ASSERT(resize->new_end > entry->end && !entry->wired);
	entry_set_range(entry, entry->start, resize->new_end);
	if (wiring)
		wiring_give(wiring, entry);
	return 0;
}

/* Moves the mapping to a place in `target`, with its new length. Writing. */
static int resize_by_moving(struct resize *resize, struct map *target, vaddr_t *out)
{
	const struct resize_request *want = resize->want;
	struct split_reserve old_ends, new_ends;
	struct wiring *wiring;
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
	moved->advice = resize->entry->advice;
	moved->blob = resize->entry->blob;
	moved->offset = entry_offset_at(resize->entry, want->start);
	DEBUG_ASSERT(!(moved->prot & ~moved->max_prot));
	moved->start = address;
	moved->end = address + want->new_bytes;
	error = resize_wire(resize, moved->offset, want->new_bytes >> PAGE_SHIFT, &wiring);
	if (error) {
		/* Its reference is not taken yet. */
		moved->blob = NULL;
		split_reserve_drain(&new_ends);
		split_reserve_drain(&old_ends);
		entry_destroy(moved);
		return error;
	}
	/* From here on resize->entry may be gone: what is replaced can be another part of it. */
	range_unmap(target, moved->start, moved->end, &new_ends);
	DEBUG_ASSERT(new_ends.count == 0);
	/* Not before: a reference without a mapping would keep pages that were replaced. */
	blob_ref(moved->blob);
	entry_insert(target, moved);
	if (wiring)
		wiring_give(wiring, moved);
	/* From the top, as map_unmap() does: an entity goes with the last of its parts. */
	range_unmap(resize->map, want->start, resize->old_end, &old_ends);
	/* Where both ranges cut the same entry, one of the splits made the other needless. */
	split_reserve_drain(&old_ends);
	*out = address;
	return 0;
}

/*
 * map_resize() with the request checked. A fixed place means a move, whatever the lengths are; else the
 * mapping stays where it is as long as it can. Writing.
 */
static int resize_locked(struct resize *resize, struct map *map, struct map *target, vaddr_t *out)
{
	const struct resize_request *want = resize->want;
	int error = resize_check(resize, map);

	DEBUG_ASSERT(target->lock == map->lock);
	if (error)
		return error;
	if (want->place.flags & PLACE_FIXED)
		return want->may_move ? resize_by_moving(resize, target, out) : -EINVAL;
	if (resize->new_end > resize->old_end) {
		if (!resize_fits(resize))
			return want->may_move ? resize_by_moving(resize, target, out) : -ENOMEM;
		error = resize_in_place(resize);
		if (error)
			return error;
	} else if (resize->new_end < resize->old_end) {
		struct split_reserve reserve;

		error = split_reserve_fill(&reserve, map, resize->new_end, resize->old_end);
		if (error)
			return error;
		range_unmap(map, resize->new_end, resize->old_end, &reserve);
		DEBUG_ASSERT(reserve.count == 0);
	}
	*out = want->start;
	return 0;
}

/*
 * Both maps have one lock, as they are of one tree; so the old and the new place change in one section.
 */
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
	map_write_lock(map);
	error = resize_locked(&resize, map, target, out);
	map_write_unlock(map);
	return error;
}
