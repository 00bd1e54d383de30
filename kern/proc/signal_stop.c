/*
 * Processes that are stopped and continued by signals, and that end by them.
 *
 * A process is stopped when each of its tasks waits where it would go back to ring 3. What the parent is told of it is exit.c's and waitpid.c's.
 */
#include "signal_internal.h"

/* ---- Ending ------------------------------------------------------------------------------------------ */

void exit_group_locked(struct process *process, int status)
{
	struct process_signals *signals = &process->signals;
	struct task *task;

	ASSERT(spin_held(&signals->lock));
	if (!signals->exiting) {
		signals->exiting = true;
		signals->exit_status = status;
	}
	signals->stop = STOP_NONE;
	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	{
		thread_interrupt(&task->thread, INTERRUPT_KILL);
	}
}

void signal_exit_group(struct process *process, int status)
{
	spin_lock(&process->signals.lock);
	exit_group_locked(process, status);
	spin_unlock(&process->signals.lock);
}

void signal_kill_others(struct task *task)
{
	struct process_signals *signals = &task->process->signals;
	struct task *other;

	spin_lock(&signals->lock);
	TAILQ_FOREACH(other, &signals->tasks, signals.link)
	{
		if (other != task)
			thread_interrupt(&other->thread, INTERRUPT_KILL);
	}
	spin_unlock(&signals->lock);
}

/* ---- Stopping ------------------------------------------------------------------------------------------ */

void stop_begin_locked(struct process *process, int signo)
{
	struct process_signals *signals = &process->signals;
	struct task *task;

	signals->stop_taken = false;
	if (signals->exiting || signals->stop != STOP_NONE)
		return;
	signals->stop = STOP_WANTED;
	signals->stop_signal = signo;
	signals->continue_unreported = false;
	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	{
		thread_interrupt(&task->thread, INTERRUPT_STOP);
	}
}

bool stop_complete_locked(struct process *process)
{
	struct process_signals *signals = &process->signals;
	struct task *task;

	if (signals->stop != STOP_WANTED || TAILQ_EMPTY(&signals->tasks))
		return false;
	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	{
		if (!task->signals.stopped)
			return false;
	}
	signals->stop = STOP_DONE;
	signals->stop_unreported = true;
	return true;
}

void stop_wait_locked(struct task *task)
{
	struct process *process = task->process;
	struct process_signals *signals = &process->signals;

	task->signals.stopped = true;
	if (stop_complete_locked(process)) {
		int signo = signals->stop_signal;

		spin_unlock(&signals->lock);
		process_child_changed(process, CLD_STOPPED, signo);
		spin_lock(&signals->lock);
	}
	WAIT_EVENT_SPIN(&signals->continued, &signals->lock, signals->stop == STOP_NONE, SLEEP_KILLABLE,
			TIME_NEVER);
	task->signals.stopped = false;
}

/* The parent is told by a task of the process: who sends the signal may hold any lock. */
void stop_resume_locked(struct process *process)
{
	struct process_signals *signals = &process->signals;

	signals->stop_taken = false;
	if (signals->stop == STOP_NONE)
		return;
	if (signals->stop == STOP_DONE) {
		signals->notify_continued = true;
		signals->continue_unreported = true;
	}
	signals->stop = STOP_NONE;
	signals->stop_unreported = false;
	wait_wake_all(&signals->continued);
}

bool signal_take_stopped(struct process *child, bool keep, int *signo)
{
	struct process_signals *signals = &child->signals;
	bool news;

	spin_lock(&signals->lock);
	news = signals->stop == STOP_DONE && signals->stop_unreported;
	*signo = signals->stop_signal;
	if (news && !keep)
		signals->stop_unreported = false;
	spin_unlock(&signals->lock);
	return news;
}

bool signal_take_continued(struct process *child, bool keep)
{
	struct process_signals *signals = &child->signals;
	bool news;

	spin_lock(&signals->lock);
	news = signals->continue_unreported;
	if (news && !keep)
		signals->continue_unreported = false;
	spin_unlock(&signals->lock);
	return news;
}

bool signal_is_stopped(struct process *process)
{
	bool stopped;

	spin_lock(&process->signals.lock);
	stopped = process->signals.stop == STOP_DONE;
	spin_unlock(&process->signals.lock);
	return stopped;
}
