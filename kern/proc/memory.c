/*
 * What the system calls on memory have in common: where a new mapping goes, how much a process may have, and
 * going through the mappings of a range. The calls are in sys_mmap.c and its neighbours.
 */
#include <asm/errno.h>
#include <kern/procfs.h>
#include <linux/capability.h>
#include <linux/mman.h>
#include <vm/layout.h>

#include "memory.h"

vm_prot_t protection_of(uint64_t prot)
{
	vm_prot_t rights = 0;

	if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		rights |= VM_READ;
	if (prot & PROT_WRITE)
		rights |= VM_WRITE;
	if (prot & PROT_EXEC)
		rights |= VM_EXEC;
	if (rights && !(prot & PROT_READ))
		rights |= VM_READ_UNASKED;
	return rights;
}

/* ---- Placing ---------------------------------------------------------------------------------------- */

static int map_at(struct map *map, struct request *request, const struct placement *place)
{
	return map_blob(map, place, request->blob, request->offset, request->pages, &request->how,
			&request->at);
}

int request_overlay(struct request *request)
{
	struct blob *overlay;
	int error = blob_overlay(request->blob, request->offset,
				 bytes_to_pages(blob_size(request->blob)) - request->offset, &overlay);

	if (error)
		return error;
	blob_unref(request->blob);
	request->blob = overlay;
	request->offset = 0;
	return 0;
}

/* As arena_attempt. */
static int map_in_arena(struct map *arena, const struct placement *place, void *context)
{
	return map_at(arena, context, place);
}

static int map_fixed(struct user_space *space, struct request *request, vaddr_t address, unsigned flags)
{
	const struct placement place = {.address = address, .flags = PLACE_FIXED | flags};

	if (!page_aligned(address))
		return -EINVAL;
	if (address < LAYOUT_GUARD_END)
		return -EPERM;
	/* The kernel's part in the midst of user space counts as taken; there is nothing to be had above it all. */
	if (!user_range(address, pages_to_bytes(request->pages)))
		return address < LAYOUT_ARENAS_START && !(flags & PLACE_REPLACE) ? -EEXIST : -ENOMEM;
	return map_at(space->root, request, &place);
}

int map_exactly(struct user_space *space, struct request *request, vaddr_t address, unsigned flags)
{
	int error = map_fixed(space, request, address, flags), added;

	if (error != -ENOMEM)
		return error;
	added = arenas_add_at(space, address, pages_to_bytes(request->pages));
	if (added)
		return added == -EEXIST && !(flags & PLACE_REPLACE) ? -EEXIST : -ENOMEM;
	return map_fixed(space, request, address, flags);
}

int map_in_low_memory(struct user_space *space, struct request *request)
{
	const struct placement place = {.low = LOWEST_WISH};

	return map_at(map_private_space(space->root), request, &place);
}

int map_in_arenas(struct user_space *space, struct request *request)
{
	return arenas_try(space, pages_to_bytes(request->pages), true, map_in_arena, request);
}

int map_anywhere(struct user_space *space, struct request *request, const struct preference *wish)
{
	vaddr_t hint = page_round_down(wish->hint);
	int error;

	if (hint >= LOWEST_WISH && map_fixed(space, request, hint, 0) == 0)
		return 0;
	if (wish->low || wish->low_only) {
		error = map_in_low_memory(space, request);
		if (error != -ENOMEM || wish->low_only)
			return error;
	}
	return map_in_arenas(space, request);
}

/* ---- Limits ------------------------------------------------------------------------------------------- */

static bool exceeds(const struct process *process, unsigned resource, uint64_t pages, uint64_t more)
{
	uint64_t limit = process->limits[resource].rlim_cur;

	return limit != RLIM64_INFINITY && (pages > limit / PAGE_SIZE || more > limit / PAGE_SIZE - pages);
}

/* Linux's figure; programs plan with it. */
#define USUAL_MAPPINGS 65530

static _Atomic int mappings_most = USUAL_MAPPINGS;

const struct proc_setting max_map_count_setting = {&mappings_most, 0, INT32_MAX};

/*
 * Has the space more mappings than `most`? What a program lists as one counts as one, though it may be several entries: as many entries more are allowed as were found to be such
 * when it was last looked, but never more than as many again.
 */
static bool has_more(struct user_space *space, uint64_t entries, uint64_t most)
{
	if (likely(entries <= most)) {
		space->joined = 0;
		return false;
	}
	if (entries > most + space->joined && entries <= 2 * most)
		space->joined = entries - proc_count_mappings(space);
	return entries > 2 * most || entries > most + space->joined;
}

/* Does a mapping go over an address? *end: where it ends. */
static bool lies_within(struct user_space *space, vaddr_t address, vaddr_t *end)
{
	struct lookup found;

	if (map_lookup(space->root, address, &found) != 0)
		return false;
	*end = found.end;
	lookup_release(&found);
	return found.start < address;
}

int check_cuts(struct process *process, vaddr_t start, vaddr_t end, bool removed)
{
	struct user_space *space = process->space;
	struct map_usage usage;
	vaddr_t upto = 0, beyond;
	bool cut;

	map_usage(space->root, &usage);
	if (!has_more(space, usage.entries + 1, (uint64_t)mappings_most))
		return 0;
	cut = lies_within(space, start, &upto);
	if (removed)
		return cut && upto > end ? -ENOMEM : 0;
	return cut || lies_within(space, end, &beyond) ? -ENOMEM : 0;
}

int check_space(struct process *process, pgoff_t pages, pgoff_t data)
{
	struct map_usage usage;

	map_usage(process->space->root, &usage);
	if (has_more(process->space, usage.entries, (uint64_t)mappings_most) ||
	    exceeds(process, RLIMIT_AS, usage.pages, pages))
		return -ENOMEM;
	return data > 0 && exceeds(process, RLIMIT_DATA, usage.data, data) ? -ENOMEM : 0;
}

int check_write(struct process *process, vaddr_t start, vaddr_t end)
{
	struct map_usage usage;
	pgoff_t pages;

	if (process->limits[RLIMIT_DATA].rlim_cur == RLIM64_INFINITY)
		return 0;
	pages = range_unwritable(process->space, start, end, false);
	map_usage(process->space->root, &usage);
	return pages > 0 && exceeds(process, RLIMIT_DATA, usage.data, pages) ? -ENOMEM : 0;
}

int check_may_lock(struct task *task)
{
	return task->process->limits[RLIMIT_MEMLOCK].rlim_cur == 0 && !task_capable(task, CAP_IPC_LOCK)
		       ? -EPERM
		       : 0;
}

int check_locked(struct task *task, pgoff_t pages, int error)
{
	struct map_usage usage;

	map_usage(task->process->space->root, &usage);
	return exceeds(task->process, RLIMIT_MEMLOCK, usage.wired, pages) && !task_capable(task, CAP_IPC_LOCK)
		       ? error
		       : 0;
}

int space_of_process(struct task *task, int pid, struct user_space **out)
{
	struct process *process = pid == 0 ? NULL : process_find(pid);
	bool allowed;

	if (pid == 0) {
		*out = task->process->space;
		user_space_ref(*out);
		return 0;
	}
	if (!process)
		return -ESRCH;
	*out = NULL;
	allowed = task_may_look(task, process);
	if (allowed)
		*out = process_space(process);
	process_unref(process);
	if (!allowed)
		return -EPERM;
	return *out ? 0 : -ESRCH;
}

/* ---- Ranges ------------------------------------------------------------------------------------------- */

int range_visit(struct user_space *space, vaddr_t start, vaddr_t end, range_visitor *visit, void *context)
{
	bool holes = false;

	for (vaddr_t at = start; at < end;) {
		struct lookup found;
		vaddr_t from, to;
		int error;

		if (map_lookup_from(space->root, at, end, &found) != 0)
			return -ENOMEM;
		from = found.start > at ? found.start : at;
		to = found.end < end ? found.end : end;
		holes = holes || from > at;
		error = visit(space, from, to - from, &found, context);
		lookup_release(&found);
		if (error)
			return error;
		at = to;
	}
	return holes ? -ENOMEM : 0;
}

static int count_wired(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		       void *context)
{
	(void)space, (void)start;
	if (found->wired)
		*(pgoff_t *)context += bytes_to_pages(bytes);
	return 0;
}

pgoff_t range_wired(struct user_space *space, vaddr_t start, vaddr_t end)
{
	pgoff_t pages = 0;

	range_visit(space, start, end, count_wired, &pages);
	return pages;
}

/* A count on its way through a range. */
struct unwritable {
	bool stacks;
	pgoff_t pages;
};

static int count_unwritable(struct user_space *space, vaddr_t start, uint64_t bytes,
			    const struct lookup *found, void *context)
{
	struct unwritable *count = context;

	(void)space, (void)start;
	if (found->how.inherit != INHERIT_SHARE && !(found->how.prot & VM_WRITE) &&
	    (count->stacks || !found->how.grows_down))
		count->pages += bytes_to_pages(bytes);
	return 0;
}

pgoff_t range_unwritable(struct user_space *space, vaddr_t start, vaddr_t end, bool stacks)
{
	struct unwritable count = {.stacks = stacks};

	range_visit(space, start, end, count_unwritable, &count);
	return count.pages;
}
