/*
 * The system calls that keep memory resident: mlock, mlock2, munlock, mlockall, munlockall.
 */
#include <asm/errno.h>
#include <linux/mman.h>

#include "memory.h"

/*
 * The pages that [start, start + bytes) touches, as [*from, *to). -EINVAL if they wrap, as mlock(2) has it; -ENOMEM: no program
 * can have them.
 */
static int touched(vaddr_t start, uint64_t bytes, vaddr_t *from, vaddr_t *to)
{
	*from = page_round_down(start);
	*to = page_round_up(start + bytes);
	if (start + bytes < start || (bytes > 0 && *to <= *from))
		return -EINVAL;
	return *to > *from && !user_range(*from, *to - *from) ? -ENOMEM : 0;
}

/* What populating the range failed with, as mlock(2) says it. */
static int lock_error(int error)
{
	switch (error) {
	case 0:
	case -EINVAL:
		return error;
	case -EAGAIN:
		return -EAGAIN;
	default:
		return -ENOMEM;
	}
}

static int forbids_access(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
			  void *context)
{
	(void)space, (void)start, (void)bytes, (void)context;
	return found->how.prot == 0 ? -ENOMEM : 0;
}

static int64_t lock_range(struct task *task, vaddr_t start, uint64_t bytes, bool on_fault)
{
	struct user_space *space = task->process->space;
	vaddr_t from, to;
	pgoff_t already;
	int error = check_may_lock(task);

	if (error)
		return error;
	error = touched(start, bytes, &from, &to);
	if (error || from == to)
		return error;
	mutex_lock(&space->lock);
	already = range_wired(space, from, to);
	error = check_locked(task, bytes_to_pages(to - from) - already, -ENOMEM);
	if (!error)
		error = on_fault ? map_wire_on_fault(space->root, from, to - from)
				 : map_wire(space->root, from, to - from);
	/* As Linux: what allows no access is locked, but none of it can be made resident. */
	if (!error && !on_fault)
		error = range_visit(space, from, to, forbids_access, NULL);
	mutex_unlock(&space->lock);
	return lock_error(error);
}

int64_t sys_mlock(struct task *task, struct trapframe *frame)
{
	return lock_range(task, frame->rdi, frame->rsi, false);
}

int64_t sys_mlock2(struct task *task, struct trapframe *frame)
{
	if ((int)frame->rdx & ~MLOCK_ONFAULT)
		return -EINVAL;
	return lock_range(task, frame->rdi, frame->rsi, frame->rdx & MLOCK_ONFAULT);
}

int64_t sys_munlock(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	vaddr_t from, to;
	int error = touched(frame->rdi, frame->rsi, &from, &to);

	if (error || from == to)
		return error;
	mutex_lock(&space->lock);
	error = map_unwire(space->root, from, to - from);
	mutex_unlock(&space->lock);
	return error;
}

/* ---- All of the memory --------------------------------------------------------------------------------- */

/*
 * What cannot be made resident, as what allows no access or is beyond a file's end, is locked from the moment on that it can: as Linux, that is no error.
 * Where there is no memory for one part, all that follow are locked so: looking for some takes long when there is none.
 */
static int wire_one(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		    void *context)
{
	bool *on_fault = context;
	int error = *on_fault ? 0 : map_wire(space->root, start, bytes);

	(void)found;
	*on_fault |= error == -ENOMEM;
	if (*on_fault || error)
		map_wire_on_fault(space->root, start, bytes);
	thread_breathe();
	return 0;
}

static int unwire_one(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		      void *context)
{
	(void)context;
	return found->wired ? map_unwire(space->root, start, bytes) : 0;
}

static void visit_all(struct user_space *space, range_visitor *visit, void *context)
{
	range_visit(space, map_start(space->root), map_end(space->root), visit, context);
}

int64_t sys_mlockall(struct task *task, struct trapframe *frame)
{
	struct process *process = task->process;
	struct user_space *space = process->space;
	int flags = (int)frame->rdi, known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
	bool on_fault = flags & MCL_ONFAULT;
	struct map_usage usage;
	int error = 0;

	if (flags == 0 || (flags & ~known) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (check_may_lock(task) != 0)
		return -EPERM;
	mutex_lock(&space->lock);
	map_usage(space->root, &usage);
	if (flags & MCL_CURRENT)
		error = check_locked(task, usage.pages - usage.wired, -ENOMEM);
	if (!error) {
		space->lock_future = flags & MCL_FUTURE ? (unsigned)(flags & ~MCL_CURRENT) : 0;
		if (flags & MCL_CURRENT)
			visit_all(space, wire_one, &on_fault);
	}
	mutex_unlock(&space->lock);
	return error;
}

int64_t sys_munlockall(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;

	(void)frame;
	mutex_lock(&space->lock);
	space->lock_future = 0;
	visit_all(space, unwire_one, NULL);
	mutex_unlock(&space->lock);
	return 0;
}
