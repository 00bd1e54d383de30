/*
 * A process's arenas: where in global data space its mappings go. The first has heap and stack too (exec.c);
 * more are made when something has no room in it, and then stay.
 */
#include <asm/errno.h>
#include <vm/layout.h>

#include "syscall.h"

/* The place for another arena; NULL: there are as many as there may be. */
static struct map **free_place(struct user_space *space)
{
	for (size_t i = 0; i < ADDED_ARENAS; i++) {
		if (!space->added[i])
			return &space->added[i];
	}
	return NULL;
}

int arenas_add_at(struct user_space *space, vaddr_t address, uint64_t bytes)
{
	const uint64_t align = LAYOUT_ARENA_ALIGN;
	vaddr_t start = address & ~(align - 1);
	vaddr_t end = (address + bytes + align - 1) & ~(align - 1);
	struct map **place = free_place(space);

	if (!place || start < LAYOUT_ARENAS_START || end > LAYOUT_ARENAS_END)
		return -ENOMEM;
	return map_create_arena_at(space->root, start, end - start, place) ? -ENOMEM : 0;
}

int arenas_try(struct user_space *space, uint64_t bytes, bool add, arena_attempt *attempt, void *context)
{
	const struct placement own = {.low = space->mmap_low, .high = space->mmap_high};
	const struct placement anywhere = {.low = 0};
	struct map **arena = space->added;
	int error = attempt(space->arena, &own, context);

	while (error == -ENOMEM && arena < space->added + ADDED_ARENAS && *arena)
		error = attempt(*arena++, &anywhere, context);
	if (error != -ENOMEM || !add || arena == space->added + ADDED_ARENAS)
		return error;
	error = map_create_arena(space->root, bytes > LAYOUT_ARENA_BYTES ? bytes : LAYOUT_ARENA_BYTES, arena);
	return error ? error : attempt(*arena, &anywhere, context);
}
