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

void arena_init(void)
{
	slab_cache_init(&arena_cache, "arena", sizeof(struct arena));
	if (map_create_shared("global data space", LAYOUT_ARENAS_START, LAYOUT_ARENAS_END, 0, &arenas))
		panic("no memory for the map of arenas");
}

/*
 * Reserves addresses for an arena with one reference, the caller's. 0, -ENOMEM, or what map_reserve()
 * says of the place.
 */
static int arena_create(const struct placement *place, uint64_t size_bytes, struct arena **out)
{
	struct arena *arena = slab_alloc(&arena_cache);
	int error;

	if (!arena)
		return -ENOMEM;
	arena->refs = 1;
	arena->bytes = size_bytes;
	error = map_reserve(arenas, place, size_bytes, "arena", &arena->start);
	DEBUG_ASSERT(error ||
		     (arena->start >= LAYOUT_ARENAS_START && arena->start + size_bytes <= LAYOUT_ARENAS_END));
	if (error)
		slab_free(&arena_cache, arena);
	else
		*out = arena;
	return error;
}

void arena_ref(struct arena *arena)
{
	ASSERT(arena->refs > 0);
	arena->refs++;
}

void arena_unref(struct arena *arena)
{
	int error;

	ASSERT(arena->refs > 0);
	if (--arena->refs > 0)
		return;
	/* One whole entry: nothing is split, so nothing is allocated. */
	error = map_unmap(arenas, arena->start, arena->bytes);
	ASSERT(!error);
	slab_free(&arena_cache, arena);
}

/*
 * Reserves an arena's addresses, from now on nobody else's, then gives the root a submap there; if the
 * root has something else there, the reservation goes again.
 */
static int create_placed(struct map *root, const struct placement *place, uint64_t size_bytes,
			 struct map **out)
{
	struct placement fixed = {.flags = PLACE_FIXED};
	struct arena *arena;
	int error = arena_create(place, size_bytes, &arena);

	if (error)
		return error;
	fixed.address = arena->start;
	error = map_place_submap(root, &fixed, size_bytes, VM_ALL, "arena", arena, out);
	/* The submap has its own reference. */
	arena_unref(arena);
	return error;
}

int map_create_arena(struct map *root, uint64_t size_bytes, struct map **out)
{
	static const struct placement anywhere = {.align = LAYOUT_ARENA_ALIGN};

	return create_placed(root, &anywhere, size_bytes, out);
}

int map_create_arena_at(struct map *root, vaddr_t start, uint64_t size_bytes, struct map **out)
{
	const struct placement fixed = {.address = start, .align = LAYOUT_ARENA_ALIGN, .flags = PLACE_FIXED};

	return create_placed(root, &fixed, size_bytes, out);
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
