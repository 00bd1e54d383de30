/*
 * User spaces: their lives, and what a fork makes of one. What a program's memory looks like is exec.c's business.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/proc.h>
#include <vm/pmap.h>
#include <vm/slab.h>
#include <vm/swap.h>

#include "memory.h"

static struct slab_cache space_cache; /* set up by user_spaces_init */

void user_spaces_init(void)
{
	slab_cache_init(&space_cache, "user space", sizeof(struct user_space));
}

struct user_space *user_space_of(struct map *root)
{
	struct user_space *space = slab_alloc(&space_cache);

	if (!space) {
		map_unref(root);
		return NULL;
	}
	*space = (struct user_space){.refs = 1, .root = root};
	mutex_init(&space->lock, RANK_SPACE, "user space");
	return space;
}

void user_space_ref(struct user_space *space)
{
	space->refs++;
}

static void end(struct user_space *space)
{
	map_unref(space->root);
	if (space->program)
		file_unref(space->program);
	slab_free(&space_cache, space);
}

void user_space_unref(struct user_space *space)
{
	if (--space->refs == 0)
		end(space);
}

static void end_later(struct later *what)
{
	end((struct user_space *)((char *)what - offsetof(struct user_space, ending)));
}

void user_space_unref_later(struct user_space *space)
{
	if (--space->refs == 0)
		later(&space->ending, end_later);
}

/* The layout's figures, with the clone's arenas, which are where the original's are. The original is locked. */
static void copy_layout(struct user_space *to, const struct user_space *from)
{
	to->arena = map_arena_at(to->root, map_start(from->arena));
	ASSERT(to->arena);
	for (size_t i = 0; i < ADDED_ARENAS && from->added[i]; i++) {
		to->added[i] = map_arena_at(to->root, map_start(from->added[i]));
		ASSERT(to->added[i]);
	}
	to->heap_start = from->heap_start;
	to->heap_end = from->heap_end;
	to->mmap_low = from->mmap_low;
	to->mmap_high = from->mmap_high;
	to->barriers = from->barriers;
	if (from->program)
		to->program = file_ref(from->program);
	to->entry = from->entry;
	to->stack = from->stack;
	to->arguments = from->arguments;
	to->environment = from->environment;
	to->strings_end = from->strings_end;
}

int user_space_clone(struct user_space *space, const char *name, struct user_space **out)
{
	struct commitment commitment = {0};
	struct user_space *clone = NULL;
	struct map *root;
	int error;

	mutex_lock(&space->lock);
	error = commit_begin_copy(&commitment, space->root);
	if (!error)
		error = map_clone(space->root, name, &root);
	commit_end(&commitment);
	if (!error) {
		clone = user_space_of(root);
		if (clone)
			copy_layout(clone, space);
	}
	mutex_unlock(&space->lock);
	*out = clone;
	return clone ? 0 : -ENOMEM;
}

uint64_t user_space_most_pages(struct user_space *space)
{
	uint64_t now = pmap_stats(map_pmap(space->root)).resident_pages;
	uint64_t most = space->most_pages;

	if (now <= most)
		return most;
	space->most_pages = now;
	return now;
}

uint64_t mapping_swapped_pages(const struct lookup *found)
{
	struct blob_usage usage;

	if (blob_usage(found->blob, found->offset, bytes_to_pages(found->end - found->start), &usage) != 0)
		return 0;
	return usage.paged_out;
}

/* Nothing is looked at while nothing is in swap. */
uint64_t user_space_swapped_pages(struct user_space *space, bool waits)
{
	struct swap_stats swap;
	struct lookup found;
	uint64_t count = 0;
	vaddr_t at = 0;

	swap_stats(&swap);
	if (swap.used == 0)
		return 0;
	while ((waits || !map_is_busy(space->root)) &&
	       map_lookup_from(space->root, at, map_end(space->root), &found) == 0) {
		count += mapping_swapped_pages(&found);
		at = found.end;
		lookup_release(&found);
	}
	return count;
}
