/*
 * System calls on signals: actions, masks, the alternative stack, waiting, and the return from a handler. Sending is in
 * sys_kill.c; what the signals do in signal*.c.
 */
#include <asm/errno.h>

#include "signal_internal.h"
#include "syscall.h"
#include "times.h"

/* What rt_sigaction keeps of the flags: programs find out by the others what a kernel has (sigaction(2), SA_UNSUPPORTED). */
#define KNOWN_SA                                                                                          \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | \
	 SA_EXPOSE_TAGBITS | SA_RESTORER)

static bool is_signal(int signo)
{
	return signo >= 1 && signo <= SIGNAL_MAX;
}

/* ---- Actions --------------------------------------------------------------------------------------- */

/* A signal that is ignored from now on is not pending any more. */
static void change_action(struct process *process, int signo, struct signal_action *action)
{
	struct process_signals *signals = &process->signals;
	struct task *task;

	action->flags &= KNOWN_SA;
	action->mask &= ~SIGNALS_SURE;
	signal_set_action(signals, signo, action);
	if (!action_ignores(action, signo))
		return;
	pending_discard(process, &signals->pending, SIGNAL_BIT(signo));
	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	{
		pending_discard(process, &task->signals.pending, SIGNAL_BIT(signo));
	}
}

int64_t sys_rt_sigaction(struct task *task, struct trapframe *frame)
{
	int signo = (int)frame->rdi;
	struct process *process = task->process;
	struct signal_action action, old;

	if (frame->r10 != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (frame->rsi && copy_from_user(&action, frame->rsi, sizeof(action)) != 0)
		return -EFAULT;
	if (!is_signal(signo) || (frame->rsi && (SIGNAL_BIT(signo) & SIGNALS_SURE)))
		return -EINVAL;
	spin_lock(&process->signals.lock);
	old = signal_action(&process->signals, signo);
	if (frame->rsi)
		change_action(process, signo, &action);
	spin_unlock(&process->signals.lock);
	return frame->rdx ? copy_to_user(frame->rdx, &old, sizeof(old)) : 0;
}

/* ---- Masks ------------------------------------------------------------------------------------------ */

static int64_t change_mask(struct task *task, int how, uint64_t set)
{
	uint64_t mask = task->signals.blocked;

	if (how == SIG_BLOCK)
		mask |= set;
	else if (how == SIG_UNBLOCK)
		mask &= ~set;
	else if (how == SIG_SETMASK)
		mask = set;
	else
		return -EINVAL;
	signal_set_mask(task, mask);
	return 0;
}

int64_t sys_rt_sigprocmask(struct task *task, struct trapframe *frame)
{
	uint64_t old = task->signals.blocked, set;
	int64_t status = 0;

	if (frame->r10 != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (frame->rsi) {
		if (copy_from_user(&set, frame->rsi, sizeof(set)) != 0)
			return -EFAULT;
		status = change_mask(task, (int)frame->rdi, set);
	}
	if (!status && frame->rdx)
		status = copy_to_user(frame->rdx, &old, sizeof(old));
	return status;
}

int64_t sys_rt_sigpending(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	uint64_t set;

	if (frame->rsi > SIGNAL_SET_BYTES)
		return -EINVAL;
	spin_lock(&signals->lock);
	set = (signals->pending.set | task->signals.pending.set) & task->signals.blocked;
	spin_unlock(&signals->lock);
	return copy_to_user(frame->rdi, &set, frame->rsi);
}

/* ---- Waiting ------------------------------------------------------------------------------------------ */

/* Sleeps until a signal comes. If that was taken by another task, the call is made again. */
static int64_t wait_for_signal(void)
{
	int status;

	do {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		status = thread_sleep(TIME_NEVER);
	} while (status != -EINTR);
	thread_sleep_end();
	return -ERESTARTNOHAND;
}

int64_t sys_pause(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	return wait_for_signal();
}

int64_t sys_rt_sigsuspend(struct task *task, struct trapframe *frame)
{
	uint64_t mask;
	int64_t status;

	if (frame->rsi != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (copy_from_user(&mask, frame->rdi, sizeof(mask)) != 0)
		return -EFAULT;
	signal_mask_begin(task, mask);
	status = wait_for_signal();
	signal_mask_end(task, status);
	return status;
}

/*
 * Waits for one of a set, which the task normally blocks. The number; -EAGAIN: the deadline has come; -EINTR. The process's signals are
 * locked, before and after.
 */
static int await(struct task *task, uint64_t set, uint64_t deadline, siginfo_t *info)
{
	struct process_signals *signals = &task->process->signals;
	int signo, status = 0;

	task->signals.awaited = set;
	signal_recompute(task);
	for (;;) {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		signo = signal_take(task, set, info);
		if (signo || status)
			break;
		spin_unlock(&signals->lock);
		status = thread_sleep(deadline);
		spin_lock(&signals->lock);
	}
	thread_sleep_end();
	task->signals.awaited = 0;
	signal_recompute(task);
	if (signo)
		return signo;
	return status == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

int64_t sys_rt_sigtimedwait(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	uint64_t deadline = TIME_NEVER, set;
	siginfo_t info;
	int signo;

	if (frame->r10 != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (copy_from_user(&set, frame->rdi, sizeof(set)) != 0)
		return -EFAULT;
	if (frame->rdx) {
		int error = time_deadline_from_user(frame->rdx, &deadline);

		if (error)
			return error;
	}
	spin_lock(&signals->lock);
	signo = await(task, set & ~SIGNALS_SURE, deadline, &info);
	spin_unlock(&signals->lock);
	if (signo > 0 && frame->rsi && copy_to_user(frame->rsi, &info, sizeof(info)) != 0)
		return -EFAULT;
	return signo;
}

/* ---- The alternative stack ------------------------------------------------------------------------------ */

static int set_stack(struct task *task, const stack_t *wanted, vaddr_t rsp)
{
	struct task_signals *mine = &task->signals;
	stack_t now = signal_stack(task);
	uint32_t flags = (uint32_t)wanted->ss_flags, mode = flags & ~SS_AUTODISARM;

	if (sigframe_on_stack(&now, rsp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode != SS_DISABLE && wanted->ss_size < MINSIGSTKSZ)
		return -ENOMEM;
	mine->stack_flags = flags;
	mine->stack = mode == SS_DISABLE ? 0 : (vaddr_t)wanted->ss_sp;
	mine->stack_bytes = mode == SS_DISABLE ? 0 : wanted->ss_size;
	return 0;
}

int64_t sys_sigaltstack(struct task *task, struct trapframe *frame)
{
	stack_t old = signal_stack(task), wanted;
	bool on = sigframe_on_stack(&old, frame->rsp);
	int error = 0;

	memset(&wanted, 0, sizeof(wanted));
	if (frame->rdi && copy_from_user(&wanted, frame->rdi, sizeof(wanted)) != 0)
		return -EFAULT;
	if (frame->rdi)
		error = set_stack(task, &wanted, frame->rsp);
	if (error || !frame->rsi)
		return error;
	old.ss_flags = (int)((uint32_t)old.ss_flags & SS_AUTODISARM);
	if (old.ss_size == 0)
		old.ss_flags |= SS_DISABLE;
	else if (on)
		old.ss_flags |= SS_ONSTACK;
	return copy_to_user(frame->rsi, &old, sizeof(old));
}

/* ---- Back from a handler, and on with a call ---------------------------------------------------------------- */

static bool stack_differs(const struct task *task, const stack_t *stack)
{
	const struct task_signals *mine = &task->signals;

	return mine->stack != (vaddr_t)stack->ss_sp || mine->stack_bytes != stack->ss_size ||
	       mine->stack_flags != (uint32_t)stack->ss_flags;
}

/* All registers are what the handler's frame says, rax too. */
int64_t sys_rt_sigreturn(struct task *task, struct trapframe *frame)
{
	uint64_t mask;
	siginfo_t info;
	stack_t stack;

	if (sigframe_pop(frame, &mask, &stack) != 0) {
		signal_info_init(&info, SIGSEGV, SI_KERNEL);
		if (!signal_fault(frame, &info))
			task_fault(frame, SIGSEGV, "a signal handler's frame is damaged", NULL);
		return (int64_t)frame->rax;
	}
	task->signals.restart.call = NULL;
	signal_set_mask(task, mask);
	/* What makes no sense there leaves the stack as it is, as on Linux. */
	if (stack_differs(task, &stack))
		set_stack(task, &stack, frame->rsp);
	return (int64_t)frame->rax;
}

int64_t sys_restart_syscall(struct task *task, struct trapframe *frame)
{
	struct restart_block *block = &task->signals.restart;

	(void)frame;
	return block->call ? block->call(task, block) : -EINTR;
}
