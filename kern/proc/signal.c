/*
 * Signals, as far as ending processes needs them.
 */
#include <asm/errno.h>
#include <kern/proc.h>

int signal_process_begin(struct process *child, struct process *parent, bool share_handlers)
{
	(void)parent, (void)share_handlers;
	spin_init(&child->signals.lock, RANK_SIGNAL, "signals");
	TAILQ_INIT(&child->signals.tasks);
	return 0;
}

void signal_process_end(struct process *process)
{
	(void)process;
}

void signal_task_begin(struct task *task, const struct task *parent, bool keep_stack)
{
	struct process_signals *signals = &task->process->signals;

	(void)keep_stack;
	task->signals.blocked = parent ? parent->signals.blocked : 0;
	spin_lock(&signals->lock);
	TAILQ_INSERT_TAIL(&signals->tasks, task, signals.link);
	task->signals.listed = true;
	if (signals->exiting)
		thread_interrupt(&task->thread, INTERRUPT_KILL);
	spin_unlock(&signals->lock);
}

void signal_task_end(struct task *task)
{
	struct process_signals *signals = &task->process->signals;

	spin_lock(&signals->lock);
	if (task->signals.listed)
		TAILQ_REMOVE(&signals->tasks, task, signals.link);
	task->signals.listed = false;
	spin_unlock(&signals->lock);
}

int signal_send_process(struct process *process, const siginfo_t *info)
{
	if (info->si_signo == SIGKILL)
		signal_exit_group(process, WAIT_SIGNALED(SIGKILL));
	return 0;
}

void signal_send_process_kernel(struct process *process, int signo)
{
	const siginfo_t info = {.si_signo = signo, .si_code = SI_KERNEL};

	signal_send_process(process, &info);
}

struct child_signal signal_child_rule(struct process *parent)
{
	(void)parent;
	return (struct child_signal){.reap = false};
}

void signal_exit_group(struct process *process, int status)
{
	struct process_signals *signals = &process->signals;
	struct task *task;

	spin_lock(&signals->lock);
	if (!signals->exiting)
		signals->exit_status = status;
	signals->exiting = true;
	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	thread_interrupt(&task->thread, INTERRUPT_KILL);
	spin_unlock(&signals->lock);
}

void signal_kill_others(struct task *task)
{
	struct process_signals *signals = &task->process->signals;
	struct task *other;

	spin_lock(&signals->lock);
	TAILQ_FOREACH(other, &signals->tasks, signals.link)
	if (other != task)
		thread_interrupt(&other->thread, INTERRUPT_KILL);
	spin_unlock(&signals->lock);
}

bool signal_take_stopped(struct process *child, bool keep, int *signo)
{
	(void)child, (void)keep, (void)signo;
	return false;
}

bool signal_take_continued(struct process *child, bool keep)
{
	(void)child, (void)keep;
	return false;
}

void user_return(struct trapframe *frame)
{
	struct task *task = task_current();

	(void)frame;
	if (task->thread.interrupts & INTERRUPT_KILL)
		task_exit(task);
	thread_interrupt_clear(&task->thread, INTERRUPT_SIGNAL | INTERRUPT_STOP);
}
