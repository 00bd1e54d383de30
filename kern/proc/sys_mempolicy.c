/*
 * System calls on memory policies (set_mempolicy(2), get_mempolicy(2), mbind(2)): from which nodes memory is to come.
 *
 * The machine is one node, so that every policy that can be set means the same. A task's is kept and told, for who asks what it set; those of ranges are
 * checked only.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/mempolicy.h>

#include "memory.h"

#define WORD_BITS  64u
#define WORD_BYTES sizeof(uint64_t)
#define NODES      1u              /* node 0 */
#define MASK_BITS  (PAGE_SIZE * 8) /* masks are no longer, as on Linux */
#define KNOWN_GET  (MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)

/* ---- Masks ------------------------------------------------------------------------------------------------ */

/* The calls count one bit more than a mask has. */
static uint64_t mask_bits(uint64_t said)
{
	return said > 0 ? said - 1 : 0;
}

/* What is in a program's mask: no node, the one that there is, or others only. */
enum nodes { NODES_NONE, NODES_OURS, NODES_OTHERS };

/* Of a mask of `bits` bits. -EINVAL, -EFAULT. */
static int read_mask(vaddr_t from, uint64_t bits)
{
	uint64_t word, ours = 0, any = 0;

	if (bits == 0 || !from)
		return NODES_NONE;
	if (bits > MASK_BITS)
		return -EINVAL;
	for (uint64_t at = 0; at < bits; at += WORD_BITS) {
		if (copy_from_user(&word, from + at / 8, sizeof(word)) != 0)
			return -EFAULT;
		if (bits - at < WORD_BITS)
			word &= ((uint64_t)1 << (bits - at)) - 1;
		ours |= at == 0 ? word & NODES : 0;
		any |= word;
	}
	return ours ? NODES_OURS : any ? NODES_OTHERS : NODES_NONE;
}

/* Writes a mask of `bits` bits, rounded up to words, with our node or none. -EINVAL, -EFAULT. */
static int write_mask(vaddr_t to, uint64_t bits, bool node)
{
	uint64_t word = node;

	if (bits > MASK_BITS)
		return -EINVAL;
	for (uint64_t at = 0; at < bits; at += WORD_BITS) {
		if (copy_to_user(to + at / WORD_BITS * WORD_BYTES, &word, sizeof(word)) != 0)
			return -EFAULT;
		word = 0;
	}
	return 0;
}

/* A policy that a program wants, of whose mask is known what is in it. -EINVAL. */
static int check_policy(unsigned mode, unsigned flags, enum nodes nodes, struct memory_policy *out)
{
	bool relates = flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);

	if (mode >= MPOL_MAX || (flags & MPOL_F_STATIC_NODES && flags & MPOL_F_RELATIVE_NODES) ||
	    (flags & MPOL_F_NUMA_BALANCING && mode != MPOL_BIND))
		return -EINVAL;
	*out = (struct memory_policy){.mode = (uint16_t)(mode | flags), .node = nodes == NODES_OURS};
	switch (mode) {
	case MPOL_DEFAULT:
		out->mode = MPOL_DEFAULT;
		return nodes == NODES_NONE ? 0 : -EINVAL;
	case MPOL_LOCAL:
		return nodes == NODES_NONE && !relates ? 0 : -EINVAL;
	case MPOL_PREFERRED: /* none in particular: the nearest */
		if (nodes == NODES_NONE)
			out->mode = MPOL_LOCAL;
		return nodes == NODES_OURS || (nodes == NODES_NONE && !relates) ? 0 : -EINVAL;
	default:
		return nodes == NODES_OURS ? 0 : -EINVAL;
	}
}

/* The same, read from the program; -EFAULT, too. */
static int read_policy(unsigned mode, vaddr_t mask, uint64_t bits, struct memory_policy *out)
{
	int nodes = read_mask(mask, mask_bits(bits));

	if (nodes < 0)
		return nodes;
	return check_policy(mode & ~(unsigned)MPOL_MODE_FLAGS, mode & MPOL_MODE_FLAGS, (enum nodes)nodes,
			    out);
}

/* ---- The calls ----------------------------------------------------------------------------------------------- */

int64_t sys_set_mempolicy(struct task *task, struct trapframe *frame)
{
	struct memory_policy policy;
	int error = read_policy((unsigned)frame->rdi, frame->rsi, frame->rdx, &policy);

	if (!error)
		task->memory_policy = policy;
	return error;
}

/* What is wrong with the flags; 0: nothing. */
static int check_get(const struct task *task, unsigned flags, vaddr_t address)
{
	if ((flags & ~(unsigned)KNOWN_GET) || (flags & MPOL_F_MEMS_ALLOWED && flags != MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & (MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return 0;
	/* Of a task the node that is next is asked for, which only interleaving has. */
	if (address || (flags & MPOL_F_NODE && task->memory_policy.mode != MPOL_INTERLEAVE))
		return -EINVAL;
	return 0;
}

int64_t sys_get_mempolicy(struct task *task, struct trapframe *frame)
{
	vaddr_t mode_to = frame->rdi, mask_to = frame->rsi, address = frame->r10;
	unsigned flags = (unsigned)frame->r8;
	struct memory_policy policy = task->memory_policy;
	int mode, error = check_get(task, flags, address);
	struct lookup found;

	if (!error && mask_to && frame->rdx < NODES)
		error = -EINVAL;
	if (error)
		return error;
	if (flags & MPOL_F_ADDR) {
		if (!user_range(address, 1) || map_lookup(task->process->space->root, address, &found) != 0)
			return -EFAULT;
		lookup_release(&found);
		policy = (struct memory_policy){.mode = MPOL_DEFAULT};
	}
	if (flags & MPOL_F_MEMS_ALLOWED)
		policy = (struct memory_policy){.mode = MPOL_DEFAULT, .node = true};
	mode = flags & MPOL_F_NODE ? 0 : policy.mode;
	if (mode_to && copy_to_user(mode_to, &mode, sizeof(mode)) != 0)
		return -EFAULT;
	return mask_to ? write_mask(mask_to, mask_bits(frame->rdx), policy.node) : 0;
}

static int is_mapped(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		     void *context)
{
	(void)space, (void)start, (void)bytes, (void)found, (void)context;
	return 0;
}

int64_t sys_mbind(struct task *task, struct trapframe *frame)
{
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi);
	unsigned flags = (unsigned)frame->r9;
	struct memory_policy policy;
	int error;

	if (flags & ~(unsigned)MPOL_MF_VALID)
		return -EINVAL;
	error = read_policy((unsigned)frame->rdx, frame->r10, frame->r8, &policy);
	if (error)
		return error;
	if (flags & MPOL_MF_MOVE_ALL && !task_capable(task, CAP_SYS_NICE))
		return -EPERM;
	if (!page_aligned(start) || (frame->rsi != 0 && bytes == 0) || start + bytes < start)
		return -EINVAL;
	if (bytes == 0)
		return 0;
	if (!user_range(start, bytes))
		return -EFAULT;
	return range_visit(task->process->space, start, start + bytes, is_mapped, NULL) ? -EFAULT : 0;
}
