/*
 * What parents learn of their children: wait4 and waitid.
 *
 * A call looks at the children; if none has something to tell it sleeps in the process's `news`, which is woken by whatever changes a child.
 */
#include <asm/errno.h>
#include <linux/signal.h>
#include <linux/wait.h>

#include "process_internal.h"

#define US_PER_SECOND   1000000u
#define NS_PER_US       1000u
#define NS_PER_SECOND   1000000000u
#define KB_PER_PAGE     (PAGE_SIZE / 1024)
#define ONLY_WITH_WAIT4 (WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)
#define WITH_WAITID     (WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)

/* Which children, what about them, and what came out. */
struct inquiry {
	struct process *parent;
	enum { ANY_CHILD, ONE_CHILD, CHILDREN_OF_GROUP } which;
	int number;           /* of the child or the group */
	struct process *only; /* the one child, where that was given by a descriptor: a reference */
	int options;          /* W... */

	int child;        /* its pid; 0: none has anything to tell */
	int code, status; /* CLD_..., and what goes with it */
	int wait_status;  /* both, as wait4 has them */
	struct usage_counts used;
	struct process *gone; /* it has been reaped: the table's reference */
	bool never_waits;     /* a descriptor with O_NONBLOCK was given: -EAGAIN where it would wait */
};

/* ---- Looking ------------------------------------------------------------------------------------------------- */

static bool is_meant(const struct inquiry *inquiry, const struct process *child)
{
	bool is_clone = child->exit_signal != SIGCHLD;

	if (inquiry->which == ONE_CHILD && child->pid != inquiry->number)
		return false;
	if (inquiry->which == CHILDREN_OF_GROUP && child->group->id != inquiry->number)
		return false;
	return (inquiry->options & __WALL) || is_clone == !!(inquiry->options & __WCLONE);
}

static void tell_end(struct inquiry *inquiry, struct process *child)
{
	struct usage_counts all = child->ended;

	usage_add(&all, &child->reaped);
	inquiry->used = all;
	inquiry->wait_status = child->exit_status;
	if (WAIT_SIGNALED(child->exit_status)) {
		inquiry->code = child->exit_status & WAIT_CORE ? CLD_DUMPED : CLD_KILLED;
		inquiry->status = WAIT_SIGNALED(child->exit_status);
	} else {
		inquiry->code = CLD_EXITED;
		inquiry->status = child->exit_status >> 8 & 0xff;
	}
	if (inquiry->options & WNOWAIT)
		return;
	usage_add(&inquiry->parent->reaped, &all);
	process_unlink_locked(child);
	inquiry->gone = child;
}

/* Has the child something to tell? */
static bool ask(struct inquiry *inquiry, struct process *child)
{
	bool keep = inquiry->options & WNOWAIT;
	int signo;

	if (child->state == PROCESS_ZOMBIE) {
		if (!(inquiry->options & WEXITED))
			return false;
		inquiry->child = child->pid;
		tell_end(inquiry, child);
		return true;
	}
	if ((inquiry->options & WSTOPPED) && signal_take_stopped(child, keep, &signo)) {
		inquiry->code = CLD_STOPPED;
		inquiry->status = signo;
		inquiry->wait_status = WAIT_STOPPED(signo);
	} else if ((inquiry->options & WCONTINUED) && signal_take_continued(child, keep)) {
		inquiry->code = CLD_CONTINUED;
		inquiry->status = SIGCONT;
		inquiry->wait_status = WAIT_CONTINUED;
	} else {
		return false;
	}
	inquiry->used = process_usage_locked(child);
	inquiry->child = child->pid;
	return true;
}

/* Is this child one that may yet have something to tell of what was asked for? */
static bool may_tell(const struct inquiry *inquiry, const struct process *child)
{
	return child->state == PROCESS_ALIVE || (inquiry->options & WEXITED);
}

static int look_at_one(struct inquiry *inquiry)
{
	struct process *child = inquiry->only ? inquiry->only : process_find_locked(inquiry->number);

	if (!child || child->state == PROCESS_GONE || child->parent != inquiry->parent ||
	    !is_meant(inquiry, child) || !may_tell(inquiry, child))
		return -ECHILD;
	ask(inquiry, child);
	return 0;
}

/* Fills in what the first child has to tell that has anything. -ECHILD: there is none to be waited for. */
static int look_locked(struct inquiry *inquiry)
{
	struct process *child;
	int result = -ECHILD;

	if (inquiry->which == ONE_CHILD)
		return look_at_one(inquiry);
	LIST_FOREACH(child, &inquiry->parent->children, sibling)
	{
		if (!is_meant(inquiry, child))
			continue;
		if (ask(inquiry, child))
			return 0;
		if (may_tell(inquiry, child))
			result = 0;
	}
	return result;
}

static int look(struct inquiry *inquiry)
{
	int result;

	spin_lock(&process_lock);
	result = look_locked(inquiry);
	spin_unlock(&process_lock);
	if (inquiry->gone)
		process_unref(inquiry->gone);
	inquiry->gone = NULL;
	return result;
}

/* 0, with inquiry->child or, with WNOHANG, none; or -ECHILD, -ERESTARTSYS. */
static int inquire(struct inquiry *inquiry)
{
	int result = 0;

	if (WAIT_EVENT(&inquiry->parent->news,
		       (result = look(inquiry)) != 0 || inquiry->child || (inquiry->options & WNOHANG),
		       SLEEP_INTERRUPTIBLE, TIME_NEVER) == -EINTR)
		return -ERESTARTSYS;
	return result;
}

/* ---- The calls --------------------------------------------------------------------------------------------------- */

static struct __kernel_old_timeval timeval_of(uint64_t nanoseconds)
{
	return (struct __kernel_old_timeval){(__kernel_long_t)(nanoseconds / NS_PER_SECOND),
					     (__kernel_long_t)(nanoseconds / NS_PER_US % US_PER_SECOND)};
}

struct rusage rusage_of(const struct usage_counts *used)
{
	const struct __kernel_old_timeval user = timeval_of(used->user_ns),
					  kernel = timeval_of(used->kernel_ns);

	return (struct rusage){
		.ru_utime = {user.tv_sec, user.tv_usec},
		.ru_stime = {kernel.tv_sec, kernel.tv_usec},
		.ru_maxrss = (__kernel_long_t)(used->most_pages * KB_PER_PAGE),
		.ru_minflt = (__kernel_long_t)used->minor_faults,
		.ru_majflt = (__kernel_long_t)used->major_faults,
		.ru_nvcsw = (__kernel_long_t)used->switches,
		.ru_nivcsw = (__kernel_long_t)used->preemptions,
	};
}

static int own_group(struct process *process)
{
	int id;

	spin_lock(&process_lock);
	id = process->group->id;
	spin_unlock(&process_lock);
	return id;
}

/* wait4's way to say which. */
static void choose(struct inquiry *inquiry, int pid)
{
	inquiry->which = ANY_CHILD;
	if (pid > 0) {
		inquiry->which = ONE_CHILD;
		inquiry->number = pid;
	} else if (pid != -1) {
		inquiry->which = CHILDREN_OF_GROUP;
		inquiry->number = pid == 0 ? own_group(inquiry->parent) : -pid;
	}
}

int64_t sys_wait4(struct task *task, struct trapframe *frame)
{
	int pid = (int)frame->rdi, options = (int)frame->rdx;
	struct inquiry inquiry = {.parent = task->process, .options = options | WEXITED};
	struct rusage usage;
	int error;

	if (options & ~(int)ONLY_WITH_WAIT4)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	choose(&inquiry, pid);
	error = inquire(&inquiry);
	if (error || inquiry.child == 0)
		return error;
	if (frame->rsi && copy_to_user(frame->rsi, &inquiry.wait_status, sizeof(inquiry.wait_status)) != 0)
		return -EFAULT;
	usage = rusage_of(&inquiry.used);
	if (frame->r10 && copy_to_user(frame->r10, &usage, sizeof(usage)) != 0)
		return -EFAULT;
	return inquiry.child;
}

static int choose_by_descriptor(struct task *task, struct inquiry *inquiry, int descriptor)
{
	struct process *process;
	bool waits;

	if (descriptor < 0)
		return -EINVAL;
	process = pidfd_process(task, descriptor, &waits);
	if (!process)
		return -EBADF;
	inquiry->which = ONE_CHILD;
	inquiry->number = process->pid;
	inquiry->only = process;
	inquiry->never_waits = !waits && !(inquiry->options & WNOHANG);
	return 0;
}

/* waitid's way. */
static int choose_by_type(struct task *task, struct inquiry *inquiry, int type, int id)
{
	switch (type) {
	case P_ALL:
		inquiry->which = ANY_CHILD;
		return 0;
	case P_PID:
		inquiry->which = ONE_CHILD;
		inquiry->number = id;
		return id > 0 ? 0 : -EINVAL;
	case P_PGID:
		inquiry->which = CHILDREN_OF_GROUP;
		inquiry->number = id == 0 ? own_group(inquiry->parent) : id;
		return id >= 0 ? 0 : -EINVAL;
	case P_PIDFD:
		return choose_by_descriptor(task, inquiry, id);
	default:
		return -EINVAL;
	}
}

/* The fields that waitid(2) names; all zero where no child had anything to tell. */
static int put_info(vaddr_t to, const struct inquiry *inquiry)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	if (inquiry->child) {
		info.si_signo = SIGCHLD;
		info.si_code = inquiry->code;
		info.si_pid = inquiry->child;
		info.si_status = inquiry->status;
	}
	return to ? copy_to_user(to, &info, sizeof(info)) : 0;
}

int64_t sys_waitid(struct task *task, struct trapframe *frame)
{
	int options = (int)frame->r10;
	struct inquiry inquiry = {.parent = task->process, .options = options};
	struct rusage usage;
	int error;

	if ((options & ~(int)WITH_WAITID) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	error = choose_by_type(task, &inquiry, (int)frame->rdi, (int)frame->rsi);
	if (inquiry.never_waits)
		inquiry.options |= WNOHANG;
	if (!error)
		error = inquire(&inquiry);
	if (inquiry.only)
		process_unref(inquiry.only);
	if (!error && inquiry.never_waits && !inquiry.child)
		error = -EAGAIN;
	if (error)
		return error;
	usage = rusage_of(&inquiry.used);
	if (inquiry.child && frame->r8 && copy_to_user(frame->r8, &usage, sizeof(usage)) != 0)
		return -EFAULT;
	return put_info(frame->rdx, &inquiry);
}
