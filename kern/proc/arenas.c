/*
 * A process's arenas: where in global data space its mappings go. The first has heap and stack too (exec.c);
 * more are made when something has no room in it, and then stay.
 */
#include <asm/errno.h>
#include <vm/layout.h>

#include "syscall.h"

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
