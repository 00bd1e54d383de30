/*
 * Robust lists (get_robust_list(2)): locks of a program's that say so when their owner has ended.
 */
#include <asm/errno.h>

#include "futex_internal.h"

#define MOST_ENTRIES 2048         /* of a list are followed (Linux: ROBUST_LIST_LIMIT) */
#define PI_MARK      ((vaddr_t)1) /* in a pointer to an entry: its lock is one of FUTEX_LOCK_PI */

int64_t sys_set_robust_list(struct task *task, struct trapframe *frame)
{
	if (frame->rsi != sizeof(struct robust_list_head))
		return -EINVAL;
	task->robust_list = frame->rdi;
	return 0;
}

int64_t sys_get_robust_list(struct task *task, struct trapframe *frame)
{
	const uint64_t bytes = sizeof(struct robust_list_head);
	struct task *other;
	vaddr_t list = task->robust_list;

	if (frame->rdi != 0) {
		bool allowed;

		other = task_find((int)frame->rdi);
		if (!other)
			return -ESRCH;
		list = other->robust_list;
		allowed = task_may_look(task, other->process);
		task_unref(other);
		if (!allowed)
			return -EPERM;
	}
	if (copy_to_user(frame->rdx, &bytes, sizeof(bytes)) != 0 ||
	    copy_to_user(frame->rsi, &list, sizeof(list)) != 0)
		return -EFAULT;
	return 0;
}

/*
 * A lock that the task may hold: says that its owner died, and wakes one who waits for it; those who wait for one with an owner that the kernel knows
 * (`pi`) get it from futex_pi_end(). `pending`: it may have been about to take it.
 */
static int let_go(struct task *task, vaddr_t word, bool pending, bool pi)
{
	uint32_t value, was;
	int error;

	if (word % FUTEX_BYTES != 0)
		return -EINVAL;
	error = copy_from_user(&value, word, sizeof(value));
	while (!error) {
		if (pending && !pi && value == 0)
			return futex_wake(task, word, 1);
		if ((value & FUTEX_TID_MASK) != (uint32_t)task->tid)
			return 0;
		error = user_word_exchange(word, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &was);
		if (!error && was == value)
			return !pi && (value & FUTEX_WAITERS) ? futex_wake(task, word, 1) : 0;
		value = was;
	}
	return error;
}

/* The list is the program's: whatever is in it, it ends somewhere. The lowest bit of a pointer marks a lock with an owner. */
void robust_list_end(struct task *task)
{
	struct robust_list_head head;
	vaddr_t at, pending, list = task->robust_list;

	task->robust_list = 0;
	if (!list || copy_from_user(&head, list, sizeof(head)) != 0)
		return;
	pending = (vaddr_t)head.list_op_pending;
	at = (vaddr_t)head.list.next;
	for (unsigned i = 0; i < MOST_ENTRIES && (at & ~PI_MARK) != list; i++) {
		vaddr_t next, entry = at & ~PI_MARK;
		bool more = copy_from_user(&next, entry, sizeof(next)) == 0;

		if (entry != (pending & ~PI_MARK) &&
		    let_go(task, entry + (uint64_t)head.futex_offset, false, at & PI_MARK) < 0)
			break;
		if (!more)
			break;
		at = next;
	}
	if (pending & ~PI_MARK)
		let_go(task, (pending & ~PI_MARK) + (uint64_t)head.futex_offset, true, pending & PI_MARK);
}
