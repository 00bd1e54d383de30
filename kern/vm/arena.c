/*
 * Arenas: parts of global data space at addresses that no other process's allocations have.
 *
 * An arena is addresses and nothing else. It is reserved in one map that holds nothing but
 * reservations, and lives as long as a submap of it does: the one that was made with it, and those
 * of forked children, which have the same addresses.
 */
#include <asm/errno.h>
#include <vm/layout.h>

#include "vm_internal.h"

static struct map *arenas;
static struct slab_cache arena_cache;
static _Atomic uint64_t
	added_bytes; /* atomic: of arenas that are no first ones; for a moment more than there may be */

void arena_init(void)
{
	slab_cache_init(&arena_cache, "arena", sizeof(struct arena));
	if (map_create_shared("global data space", LAYOUT_ARENAS_START, LAYOUT_ARENAS_END, 0, &arenas))
		panic("no memory for the map of arenas");
}

/* Gives the addresses back. One whole entry: nothing is split, so nothing is allocated. */
static void release(struct arena *arena)
{
	int error = map_unmap(arenas, arena->start, arena->bytes);

	ASSERT(!error);
	if (arena->added)
		added_bytes -= arena->bytes;
	slab_free(&arena_cache, arena);
}

/*
 * Reserves addresses for an arena with one reference, the caller's. 0, -ENOMEM, or what map_reserve()
 * says of the place.
 */
static int arena_create(const struct placement *place, uint64_t size_bytes, bool added, struct arena **out)
{
	struct arena *arena = slab_alloc(&arena_cache);
	int error;

	if (!arena)
		return -ENOMEM;
	arena->refs = 1;
	arena->bytes = size_bytes;
	arena->added = added;
	error = map_reserve(arenas, place, size_bytes, "arena", &arena->start);
	DEBUG_ASSERT(error ||
		     (arena->start >= LAYOUT_ARENAS_START && arena->start + size_bytes <= LAYOUT_ARENAS_END));
	if (error) {
		slab_free(&arena_cache, arena);
		return error;
	}
	if (added && atomic_fetch_add(&added_bytes, size_bytes) + size_bytes > LAYOUT_ADDED_ARENAS) {
		release(arena);
		return -ENOMEM;
	}
	*out = arena;
	return 0;
}

void arena_ref(struct arena *arena)
{
	ASSERT(arena->refs > 0);
	arena->refs++;
}

void arena_unref(struct arena *arena)
{
	ASSERT(arena->refs > 0);
	if (--arena->refs == 0)
		release(arena);
}

/*
 * Reserves an arena's addresses, from now on nobody else's, then gives the root a submap there; if the
 * root has something else there, the reservation goes again.
 */
static int create_placed(struct map *root, const struct placement *place, uint64_t size_bytes, bool added,
			 struct map **out)
{
	struct placement fixed = {.flags = PLACE_FIXED};
	struct arena *arena;
	int error = arena_create(place, size_bytes, added, &arena);

	if (error)
		return error;
	fixed.address = arena->start;
	error = map_place_submap(root, &fixed, size_bytes, VM_ALL, "arena", arena, out);
	/* The submap has its own reference. */
	arena_unref(arena);
	return error;
}

static const struct placement anywhere = {.align = LAYOUT_ARENA_ALIGN};

int map_create_arena(struct map *root, uint64_t size_bytes, struct map **out)
{
	return create_placed(root, &anywhere, size_bytes, false, out);
}

int map_add_arena(struct map *root, uint64_t size_bytes, struct map **out)
{
	return create_placed(root, &anywhere, size_bytes, true, out);
}

int map_create_arena_at(struct map *root, vaddr_t start, uint64_t size_bytes, struct map **out)
{
	const struct placement fixed = {.address = start, .align = LAYOUT_ARENA_ALIGN, .flags = PLACE_FIXED};

	return create_placed(root, &fixed, size_bytes, true, out);
}

int map_remove_arena(struct map *root, struct map *arena)
{
	struct map_entry *entry;
	int error = 0;

	map_write_lock(root);
	entry = map_first_above(root, arena->start);
	ASSERT(entry && entry->submap == arena && entry->permanent);
	if (arena->first)
		error = -EBUSY;
	else
		entry_remove(entry);
	map_write_unlock(root);
	return error;
}
