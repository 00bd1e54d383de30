/*
 * System calls of our own, described in <kern/phoenix_abi.h>: a program may look at its map tree, and at
 * what the VM has counted.
 */
#include <asm/errno.h>
#include <kern/phoenix_abi.h>
#include <vm/pmap.h>
#include <vm/swap.h>

#include "memory.h"

#define LINE_BYTES 128

_Static_assert(PHOENIX_FAULT_CASES == FAULT_CASES && PHOENIX_FAULT_COPY == FAULT_COPY &&
		       PHOENIX_FAULT_RESERVED == FAULT_RESERVED,
	       "one order of fault cases");
_Static_assert(PHOENIX_READ == VM_READ && PHOENIX_WRITE == VM_WRITE && PHOENIX_EXEC == VM_EXEC,
	       "one set of rights");

/* A listing in the making; with no buffer, only its length. */
struct listing {
	char *buffer;
	size_t room, length;
};

static int list_entry(const struct entry_info *entry, void *context)
{
	struct listing *listing = context;
	char line[LINE_BYTES];
	size_t length;

	stats_format_entry(line, sizeof(line) - 1, entry);
	length = strlen(line);
	line[length++] = '\n';
	if (listing->length < listing->room) {
		size_t room = listing->room - listing->length;

		memcpy(listing->buffer + listing->length, line, length < room ? length : room);
	}
	listing->length += length;
	return 0;
}

/* The text is made in kernel memory: the map is locked meanwhile, and copying to the program may fault. */
static int64_t list_map(struct map *root, vaddr_t to, size_t room)
{
	struct listing listing = {.buffer = NULL};
	size_t bytes;
	int error;

	map_walk(root, list_entry, &listing);
	bytes = room < listing.length ? room : listing.length;
	if (bytes == 0)
		return (int64_t)listing.length;
	listing.buffer = kernel_alloc(bytes, "map listing");
	if (!listing.buffer)
		return -ENOMEM;
	listing.room = bytes;
	listing.length = 0;
	map_walk(root, list_entry, &listing);
	if (listing.length < bytes)
		bytes = listing.length;
	error = copy_to_user(to, listing.buffer, bytes);
	kernel_free(listing.buffer);
	return error ? error : (int64_t)listing.length;
}

int64_t sys_map_list(struct task *task, struct trapframe *frame)
{
	struct user_space *space;
	int64_t result = space_of_process(task, (int)frame->rdi, &space);

	if (result)
		return result;
	result = list_map(space->root, frame->rsi, frame->rdx);
	user_space_unref(space);
	return result;
}

int64_t sys_explain(struct task *task, struct trapframe *frame)
{
	size_t bytes = frame->r8 < EXPLAIN_BYTES ? frame->r8 : EXPLAIN_BYTES;
	unsigned access = (unsigned)frame->rdx;
	struct user_space *space;
	char text[EXPLAIN_BYTES];
	int64_t result;

	if (bytes == 0 || (access != VM_READ && access != VM_WRITE && access != VM_EXEC))
		return -EINVAL;
	result = space_of_process(task, (int)frame->rdi, &space);
	if (result)
		return result;
	result = vm_explain(space->root, frame->rsi, (vm_prot_t)access, text, bytes) != 0;
	user_space_unref(space);
	return copy_to_user(frame->r10, text, strlen(text) + 1) ? -EFAULT : result;
}

static void add_paging(struct phoenix_vm_stats *stats)
{
	struct reclaim_stats reclaim;
	struct swap_stats swap;

	swap_stats(&swap);
	vm_reclaim_stats(&reclaim);
	stats->swap_pages = swap.pages;
	stats->swap_used = swap.used;
	stats->pages_in = swap.pages_in;
	stats->pages_out = swap.pages_out;
	stats->scanned = reclaim.scanned;
	stats->given_up = reclaim.given_up;
	stats->runnable = sched_runnable();
	stats->stalled = pressure_stalled();
}

int64_t sys_vm_stats(struct task *task, struct trapframe *frame)
{
	const struct page_stats pages = page_stats();
	const struct pmap_stats tables = pmap_stats(map_pmap(task->process->space->root));
	struct phoenix_vm_stats stats = {
		.ram_pages = pages.ram_pages,
		.free_pages = pages.free_pages,
		.resident_pages = tables.resident_pages,
		.table_pages = tables.table_pages,
	};

	if (frame->rsi > sizeof(stats))
		return -EINVAL;
	vm_fault_counts(stats.faults);
	add_paging(&stats);
	return copy_to_user(frame->rdi, &stats, frame->rsi);
}
