/*
 * The way back to ring 3: a task takes what is pending for it, stops, ends, or goes to a handler; and calls that were interrupted are
 * made again, or fail.
 *
 * Comes from return_work() in kern/core/sched.c; the handler's frame is kern/arch/x86_64/sigframe.c's.
 */
#include <asm/errno.h>
#include <asm/unistd_64.h>

#include "process_internal.h"
#include "signal_internal.h"

#define SYSCALL_INSTRUCTION_BYTES 2

/* ---- Calls that were interrupted ------------------------------------------------------------------------ */

/* What a call returned that a signal interrupted; 0: there is none. */
static int64_t restart_code(const struct trapframe *frame)
{
	int64_t result = (int64_t)frame->rax;

	return frame->vector == TRAP_SYSCALL && signal_is_restart(result) ? -result : 0;
}

/* Lets ring 3 make the call again, by its own number or another one. */
static void call_again(struct trapframe *frame, uint64_t number)
{
	frame->rax = number;
	frame->rip -= SYSCALL_INSTRUCTION_BYTES;
}

static void restart_before_handler(struct trapframe *frame, const struct signal_action *action)
{
	int64_t code = restart_code(frame);

	if (code == ERESTARTNOINTR || (code == ERESTARTSYS && (action->flags & SA_RESTART)))
		call_again(frame, frame->error);
	else if (code)
		frame->rax = (uint64_t)-EINTR;
}

static void restart_without_handler(struct trapframe *frame)
{
	int64_t code = restart_code(frame);

	if (code)
		call_again(frame, code == ERESTART_RESTARTBLOCK ? __NR_restart_syscall : frame->error);
}

/* ---- Handlers --------------------------------------------------------------------------------------------- */

stack_t signal_stack(const struct task *task)
{
	stack_t stack;

	/* Programs get it as it is, with what is between the fields. */
	memset(&stack, 0, sizeof(stack));
	stack.ss_sp = (void *)task->signals.stack;
	stack.ss_flags = (int)task->signals.stack_flags;
	stack.ss_size = task->signals.stack_bytes;
	return stack;
}

int signal_run_handler(struct task *task, struct trapframe *frame, const struct signal_action *action,
		       const siginfo_t *info)
{
	struct task_signals *mine = &task->signals;
	uint64_t rax = frame->rax, rip = frame->rip;
	const struct signal_frame what = {
		.action = action,
		.info = info,
		.fault = &mine->fault,
		.mask = mine->mask_saved ? mine->saved_mask : mine->blocked,
		.stack = signal_stack(task),
	};
	uint64_t mask = mine->blocked | action->mask;
	int error;

	restart_before_handler(frame, action);
	error = sigframe_push(frame, &what);
	if (error) {
		frame->rax = rax;
		frame->rip = rip;
		return error;
	}
	mine->mask_saved = false;
	if (mine->stack_flags & SS_AUTODISARM) {
		mine->stack = mine->stack_bytes = 0;
		mine->stack_flags = SS_DISABLE;
	}
	if (!(action->flags & SA_NODEFER))
		mask |= SIGNAL_BIT(info->si_signo);
	signal_set_mask(task, mask);
	return 0;
}

/* ---- Taking signals ------------------------------------------------------------------------------------------ */

/* The rule of orphaned groups needs the process table: a SIGCONT that comes meanwhile takes the stop back. Locked, before and after. */
static void stop_by(struct task *task, int signo)
{
	struct process_signals *signals = &task->process->signals;
	bool orphaned;

	if (signo != SIGSTOP) {
		signals->stop_taken = true;
		spin_unlock(&signals->lock);
		orphaned = process_group_orphaned(task->process);
		spin_lock(&signals->lock);
		if (orphaned || !signals->stop_taken)
			return;
	}
	stop_begin_locked(task->process, signo);
}

/* The end, by a signal; before it, perhaps a core file. Locked, before and after. */
static void end_by(struct task *task, const struct trapframe *frame, int signo)
{
	struct process_signals *signals = &task->process->signals;
	bool first, dumped;

	spin_unlock(&signals->lock);
	first = core_dump(task, frame, signo, &dumped);
	spin_lock(&signals->lock);
	if (first)
		exit_group_locked(task->process, WAIT_SIGNALED(signo) | (dumped ? WAIT_CORE : 0));
	else
		thread_interrupt(&task->thread, INTERRUPT_KILL);
}

/*
 * Takes the next signal for which there is a handler, and does what the others mean by themselves; true: there was one. The process's
 * signals are locked, before and after.
 */
static bool take_handled(struct task *task, const struct trapframe *frame, struct signal_action *action,
			 siginfo_t *info)
{
	struct process_signals *signals = &task->process->signals;
	int signo;

	while ((signo = signal_take(task, ~task->signals.blocked, info)) != 0) {
		*action = signal_action(signals, signo);
		if (action_ignores(action, signo))
			continue;
		if (action->handler != (vaddr_t)SIG_DFL) {
			signal_handler_used(signals, signo, action);
			return true;
		}
		if (!(SIGNAL_BIT(signo) & DEFAULT_STOPS)) {
			end_by(task, frame, signo);
			return false;
		}
		stop_by(task, signo);
		if (signals->stop != STOP_NONE)
			return false;
	}
	return false;
}

/* Whatever comes before signals: the end, news for the parent, being stopped. Locked, before and after. */
static void obey(struct task *task)
{
	struct process *process = task->process;
	struct process_signals *signals = &process->signals;

	while (!(task->thread.interrupts & INTERRUPT_KILL)) {
		if (signals->stop != STOP_NONE) {
			stop_wait_locked(task);
		} else if (signals->notify_continued) {
			signals->notify_continued = false;
			spin_unlock(&signals->lock);
			process_child_changed(process, CLD_CONTINUED, SIGCONT);
			spin_lock(&signals->lock);
		} else {
			return;
		}
	}
	spin_unlock(&signals->lock);
	task_exit(task);
}

/* One round; true: there may be more. */
static bool handle_next(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	struct signal_action action;
	siginfo_t info;
	bool handled;

	spin_lock(&signals->lock);
	thread_interrupt_clear(&task->thread, INTERRUPT_STOP);
	obey(task);
	handled = take_handled(task, frame, &action, &info);
	signal_recompute(task);
	spin_unlock(&signals->lock);
	if (handled && signal_run_handler(task, frame, &action, &info) != 0)
		signal_frame_failed(frame, info.si_signo);
	return handled || (task->thread.interrupts & (INTERRUPT_KILL | INTERRUPT_STOP | INTERRUPT_SIGNAL));
}

void user_return(struct trapframe *frame)
{
	struct task *task = task_current();

	later_run();
	do {
		while (handle_next(task, frame))
			;
		restart_without_handler(frame);
		if (!task->signals.mask_saved)
			return;
		task->signals.mask_saved = false;
		signal_set_mask(task, task->signals.saved_mask);
	} while (task->thread.interrupts);
}
