/*
 * Changing the size and the place of a mapping (map_resize), and letting stacks grow (map_grow_down).
 *
 * A mapping that grows shows more of its blob. It stays where it is, if there is room; else it
 * moves, to a place that is chosen like that of a new entry, and its pages with it, as they are the
 * blob's. Everything is checked and allocated first.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/*
 * May a mapping of the entry's blob come to show [first, end), too: does nobody show any of that? What was there when
 * somebody last did is gone then.
 */
static int check_growth(struct map_entry *entry, pgoff_t first, pgoff_t end)
{
	struct blob *blob = entry->blob;
	int error = 0;

	MAP_ASSERT_WRITING(entry->map);
	ASSERT(first < end && end <= blob->pages);
	spin_lock(&blob->family->lock);
	/* Where a part of the entry is to grow, that may be the entry's own rest. */
	if (blob_is_mapped(blob, first, end))
		error = -ENOMEM;
	else
		error = blob_trim(blob, first, end, 0);
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
	pgoff_t offset;

	MAP_ASSERT_WRITING(map);
	if (!entry || entry->kind != ENTRY_BLOB || resize->old_end > entry->end)
		return -EFAULT;
	resize->entry = entry;
	if (want->leave_zeroes &&
	    (!want->may_move || want->new_bytes != want->old_bytes || !entry_is_anonymous(entry)))
		return -EINVAL;
	if (want->new_bytes <= want->old_bytes)
		return 0;
	offset = entry_offset_at(entry, want->start);
	if (want->new_bytes >> PAGE_SHIFT > entry->blob->pages - offset)
		return -EINVAL;
	return check_growth(entry, offset + (want->old_bytes >> PAGE_SHIFT),
			    offset + (want->new_bytes >> PAGE_SHIFT));
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
static int resize_wire(const struct map_entry *entry, pgoff_t offset, pgoff_t pages, struct wiring **out)
{
	MAP_ASSERT_WRITING(entry->map);
	*out = NULL;
	return entry->wired ? entry_make_wiring(entry, offset, pages, entry->on_fault, out) : 0;
}

/* Lets the mapping begin or end further out, where it is free; the pages it gains are its blob's next. Writing. */
static int entry_stretch(struct map_entry *entry, vaddr_t start, vaddr_t end)
{
	struct wiring *wiring;
	int error = resize_wire(entry, entry->offset - ((entry->start - start) >> PAGE_SHIFT),
				(end - start) >> PAGE_SHIFT, &wiring);

	if (error)
		return error;
	/* The new wiring counts all pages already, so that none is unwired while the old one ends. */
	if (wiring) {
		spin_lock(&entry->blob->family->lock);
		entry_unwire(entry);
		family_unlock(entry->blob->family);
	}
	ASSERT(start <= entry->start && end >= entry->end && !entry->wired);
	entry_set_range(entry, start, end);
	if (wiring)
		wiring_give(wiring, entry);
	return 0;
}

/* ---- Moving ------------------------------------------------------------------------------------- */

/* What a move needs, allocated before anything changes. */
struct move {
	struct map *target;
	struct map_entry *moved; /* the entry at the new place */
	struct wiring *wiring;   /* for it; NULL: not wired */
	struct blob *zeroes;     /* for the old place, if that is to stay; NULL: it goes */
	struct split_reserve old_ends, new_ends;
};

/* Gives back what a move did not take. */
static void move_cancel(struct move *move)
{
	/* A wiring is what is made last: then nothing is cancelled any more. */
	ASSERT(!move->wiring);
	split_reserve_drain(&move->new_ends);
	split_reserve_drain(&move->old_ends);
	if (move->zeroes)
		blob_unref(move->zeroes);
	if (move->moved)
		entry_destroy(move->moved);
}

/* Allocates all of it, for a place that was chosen. 0, -ENOMEM, or an error of blob_wire: then it is to be cancelled. Writing. */
static int move_prepare(struct move *move, const struct resize *resize, vaddr_t address)
{
	const struct resize_request *want = resize->want;
	const struct map_entry *entry = resize->entry;
	int error;

	move->moved = entry_create(ENTRY_BLOB, entry->name);
	if (!move->moved)
		return -ENOMEM;
	entry_copy_attributes(move->moved, entry);
	move->moved->max_prot &= move->target->ceiling;
	move->moved->offset = entry_offset_at(entry, want->start);
	move->moved->start = address;
	move->moved->end = address + want->new_bytes;
	DEBUG_ASSERT(!(move->moved->prot & ~move->moved->max_prot));
	error = split_reserve_fill(&move->old_ends, resize->map, want->start, resize->old_end);
	if (!error)
		error = split_reserve_fill(&move->new_ends, move->target, address, address + want->new_bytes);
	if (!error && want->leave_zeroes)
		error = blob_create(blob_size(entry->blob), 0, &move->zeroes);
	if (error)
		return error;
	return resize_wire(entry, move->moved->offset, want->new_bytes >> PAGE_SHIFT, &move->wiring);
}

/* Carries it out. Writing. Cannot fail. */
static void move_commit(struct move *move, const struct resize *resize)
{
	const struct resize_request *want = resize->want;
	struct map_entry *moved = move->moved;
	struct blob *blob = resize->entry->blob;

	/* From here on resize->entry may be gone: what is replaced can be another part of it. */
	range_unmap(move->target, moved->start, moved->end, &move->new_ends);
	DEBUG_ASSERT(move->new_ends.count == 0);
	/* Not before: a reference without a mapping would keep pages that were replaced. */
	blob_ref(blob);
	moved->blob = blob;
	entry_insert(move->target, moved);
	if (move->wiring)
		wiring_give(move->wiring, moved);
	if (move->zeroes)
		entry_replace_blob(entry_clip(map_find(resize->map, want->start), want->start,
					      resize->old_end, &move->old_ends),
				   move->zeroes);
	else
		/* From the top, as map_unmap() does: an entity goes with the last of its parts. */
		range_unmap(resize->map, want->start, resize->old_end, &move->old_ends);
	/* Where both ranges cut the same entry, one of the splits made the other needless. */
	split_reserve_drain(&move->old_ends);
}

/* Moves the mapping to a place in `target`, with its new length. Writing. */
static int resize_by_moving(const struct resize *resize, struct map *target, vaddr_t *out)
{
	struct move move = {.target = target};
	vaddr_t address;
	int error = resize_choose(resize, &move.target, &address);

	if (!error)
		error = move_prepare(&move, resize, address);
	if (error) {
		move_cancel(&move);
		return error;
	}
	move_commit(&move, resize);
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
	if (want->leave_zeroes || (want->place.flags & PLACE_FIXED))
		return want->may_move ? resize_by_moving(resize, target, out) : -EINVAL;
	if (resize->new_end > resize->old_end) {
		if (!resize_fits(resize))
			return want->may_move ? resize_by_moving(resize, target, out) : -ENOMEM;
		error = entry_stretch(resize->entry, resize->entry->start, resize->new_end);
		if (error)
			return error;
		/* It may have come up to what was once a part of it. */
		range_merge_at(map, resize->new_end);
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

/* ---- Growing down --------------------------------------------------------------------------------- */

/* Does what grows down keep its distance from the entry? What it cannot run into unnoticed may be near. */
static bool is_kept_from(const struct map_entry *entry)
{
	if (entry->kind == ENTRY_BLOB)
		return entry->prot != 0 && !entry->grows_down;
	return entry->kind != ENTRY_RESERVED;
}

/* map_grow_down() with the next entry found, which begins above the address's page. Writing. */
static int grow_down_to(struct map_entry *entry, vaddr_t start, uint64_t gap_bytes, uint64_t limit_bytes)
{
	const struct map_entry *below = entry->previous;
	pgoff_t pages = (entry->start - start) >> PAGE_SHIFT;
	int error;

	MAP_ASSERT_WRITING(entry->map);
	ASSERT(pages > 0 && (!below || below->end <= start));
	if (!entry->grows_down)
		return -EFAULT;
	if (entry->end - start > limit_bytes || pages > entry->offset)
		return -ENOMEM;
	if (below && is_kept_from(below) && start - below->end < gap_bytes)
		return -ENOMEM;
	error = check_growth(entry, entry->offset - pages, entry->offset);
	if (!error)
		error = entry_stretch(entry, start, entry->end);
	if (!error)
		entry_merge(entry);
	return error;
}

int map_grow_down(struct map *root, vaddr_t address, uint64_t gap_bytes, uint64_t limit_bytes)
{
	struct map_entry *entry;
	int error;

	map_write_lock(root);
	entry = map_find_above(root, address);
	if (!entry)
		error = -EFAULT;
	else if (address >= entry->start)
		error = entry->kind == ENTRY_BLOB ? 0 : -EFAULT;
	else
		error = grow_down_to(entry, page_round_down(address), gap_bytes, limit_bytes);
	map_write_unlock(root);
	return error;
}
