/*
 * The search for free space in a map: where a new entry may go.
 *
 * Each entry knows the gap before it, and the widest in the subtree below it (map.c keeps both), so that a search visits
 * only subtrees that have what is sought. What is done with the place is range.c's.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* What a search for free space is after: `bytes` at a multiple of `align` within [low, high). */
struct search {
	vaddr_t low, high;
	uint64_t bytes, align;
	uint64_t gap; /* smaller gaps are not looked at */
	vaddr_t found;
};

/* What is left of a gap for who has no address of his own, below an entry that may grow into it. */
static vaddr_t gap_end(const struct map_entry *entry)
{
	uint64_t kept = entry->grows_down ? MAP_GROW_GUARD : 0;

	return entry->start - (kept < entry->gap ? kept : entry->gap);
}

/* Does the gap have a place for what is sought? Then it is search->found. */
static bool search_takes(struct search *search, vaddr_t gap_start, vaddr_t gap_limit)
{
	vaddr_t start = gap_start > search->low ? gap_start : search->low;
	vaddr_t end = gap_limit < search->high ? gap_limit : search->high;

	start = (start + search->align - 1) & ~(search->align - 1);
	if (start < gap_start || start >= end || end - start < search->bytes)
		return false;
	DEBUG_ASSERT(start >= search->low && start + search->bytes <= gap_limit);
	search->found = start;
	return true;
}

/* The lowest gap that does, among those before the entries below `node`. */
static bool search_subtree(struct search *search, struct avl_node *node)
{
	while (node && entry_of(node)->widest >= search->gap) {
		struct map_entry *entry = entry_of(node);

		if (entry->start > search->low) {
			if (search_subtree(search, node->left))
				return true;
			if (search_takes(search, entry->start - entry->gap, gap_end(entry)))
				return true;
			if (entry->start >= search->high)
				return false;
		}
		node = node->right;
	}
	return false;
}

/* Searches all gaps of the map: those before its entries, and the one after the last. */
static bool search_map(struct map *map, struct search *search)
{
	return search_subtree(search, map->entries) ||
	       search_takes(search, map->last ? map->last->end : map->start, map->end);
}

/*
 * The lowest place in a gap that is larger by the alignment, which always does: so looking for one
 * takes O(log n). Only if there is none are smaller gaps tried, which may turn out to lie badly.
 */
static bool search_aligned(struct map *map, struct search *search)
{
	search->gap = search->bytes + search->align - PAGE_SIZE;
	if (search->gap >= search->bytes && search_map(map, search))
		return true;
	search->gap = search->bytes;
	return search->align > PAGE_SIZE && search_map(map, search);
}

/* Is nothing mapped in the range? It may reach beyond the map. */
static bool is_free(struct map *map, vaddr_t start, uint64_t bytes)
{
	struct map_entry *entry = map_first_above(map, start);

	return !entry || entry->start >= start + bytes;
}

/* The same for a range that is only wished for: it is not to lie just below what grows down. */
static bool may_have(struct map *map, vaddr_t start, uint64_t bytes)
{
	struct map_entry *entry = map_first_above(map, start);

	return !entry || (start < entry->start && start + bytes <= gap_end(entry));
}

/* Does the map have the range? Written so that no sum can wrap. */
static bool is_inside(const struct map *map, vaddr_t start, uint64_t bytes)
{
	return start >= map->start && start < map->end && bytes <= map->end - start;
}

/*
 * Addresses that are only wished for are taken if nothing is in the way, and else chosen, lowest first.
 * Guards are searched for as part of the gap and left out of the result: they are free space like any
 * other, unless somebody asks for it by its address.
 */
int map_choose(struct map *map, const struct placement *place, uint64_t bytes, vaddr_t *out)
{
	uint64_t align = place->align ? place->align : PAGE_SIZE;
	struct search search = {
		.low = place->low, .high = place->high, .bytes = bytes + 2 * place->guard, .align = align};

	MAP_ASSERT_LOCKED(map);
	if (bytes == 0 || !page_aligned(bytes) || (align & (align - 1)) || align < PAGE_SIZE ||
	    (place->guard & (align - 1)))
		return -EINVAL;
	if (place->flags & PLACE_FIXED) {
		if (place->address & (align - 1))
			return -EINVAL;
		if (!is_inside(map, place->address, bytes))
			return -ENOMEM;
		*out = place->address;
		return is_free(map, place->address, bytes) ? 0 : -EEXIST;
	}
	if (search.low < map->start)
		search.low = map->start;
	if (search.high == 0 || search.high > map->end)
		search.high = map->end;
	/* A wish: where it cannot be had, anything else will do. */
	if (place->address && !(place->address & (align - 1)) && is_inside(map, place->address, bytes) &&
	    place->address >= search.low && place->address < search.high &&
	    bytes <= search.high - place->address && may_have(map, place->address, bytes)) {
		*out = place->address;
		return 0;
	}
	if (place->guard > (UINT64_MAX - bytes) / 2 || !search_aligned(map, &search))
		return -ENOMEM;
	DEBUG_ASSERT(is_inside(map, search.found, search.bytes) && is_free(map, search.found, search.bytes));
	*out = search.found + place->guard;
	return 0;
}
