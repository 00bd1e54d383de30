/*
 * A process's arenas: where in global data space its mappings go. The first has heap and stack too (exec.c);
 * more are made when something has no room in it, or a fixed place elsewhere. They stay until there are as many as there may be: then one that is
 * empty makes room for the next.
 */
#include <asm/errno.h>
#include <vm/layout.h>

#include "syscall.h"

/* The place for another arena, behind the others; NULL: there are as many as there may be, and something in each. */
static struct map **free_place(struct user_space *space)
{
	struct map **last = &space->added[ADDED_ARENAS - 1];

	ASSERT(mutex_held(&space->lock));
	for (size_t i = 0; i < ADDED_ARENAS; i++) {
		if (!space->added[i])
			return &space->added[i];
	}
	for (size_t i = 0; i < ADDED_ARENAS; i++) {
		if (map_remove_arena(space->root, space->added[i]) != 0)
			continue;
		space->added[i] = *last;
		*last = NULL;
		return last;
	}
	return NULL;
}

static bool meets(const struct map *arena, vaddr_t start, vaddr_t end)
{
	return start < map_end(arena) && map_start(arena) < end;
}

/* Is one of the process's own arenas, or a part of it, in the range? */
static bool meets_own(const struct user_space *space, vaddr_t start, vaddr_t end)
{
	if (meets(space->arena, start, end))
		return true;
	for (size_t i = 0; i < ADDED_ARENAS && space->added[i]; i++) {
		if (meets(space->added[i], start, end))
			return true;
	}
	return false;
}

int arenas_add_at(struct user_space *space, vaddr_t address, uint64_t bytes)
{
	const uint64_t align = LAYOUT_ARENA_ALIGN;
	vaddr_t start = address & ~(align - 1);
	vaddr_t end = (address + bytes + align - 1) & ~(align - 1);
	struct map **place = free_place(space);

	if (!place || start < LAYOUT_ARENAS_START || end > LAYOUT_ARENAS_END || meets_own(space, start, end))
		return -ENOMEM;
	return map_create_arena_at(space->root, start, end - start, place);
}

int arenas_try(struct user_space *space, uint64_t bytes, bool add, arena_attempt *attempt, void *context)
{
	const struct placement own = {.low = space->mmap_low, .high = space->mmap_high};
	const struct placement anywhere = {.low = 0};
	struct map **arena = space->added;
	int error = attempt(space->arena, &own, context);

	while (error == -ENOMEM && arena < space->added + ADDED_ARENAS && *arena)
		error = attempt(*arena++, &anywhere, context);
	if (error != -ENOMEM || !add)
		return error;
	arena = free_place(space);
	if (!arena)
		return -ENOMEM;
	error = map_add_arena(space->root, bytes > LAYOUT_ARENA_BYTES ? bytes : LAYOUT_ARENA_BYTES, arena);
	return error ? error : attempt(*arena, &anywhere, context);
}
