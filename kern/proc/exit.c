/*
 * How tasks and processes end, and the system with the first process.
 *
 * A task ends in task_exit(), and nowhere else: what wants it to end from outside interrupts it (signal_exit_group). The last task of a
 * process gives its memory back before anybody sees that the process has ended; from then on it is a zombie, which
 * waitpid.c tells its parent of.
 */
#include <asm/errno.h>
#include <kern/tty.h>
#include <linux/signal.h>
#include <vm/pmap.h>

#include "process_internal.h"

/* Locks: (p) process_lock. */
static struct {
	bool ending; /* (p) the first process has ended */
} the_system;

bool system_ending_locked(void)
{
	ASSERT(spin_held(&process_lock));
	return the_system.ending;
}

/* ---- Telling parents --------------------------------------------------------------------------------------- */

void tell_parent_locked(struct process *child, int signo, int code, int status)
{
	struct usage_counts used = process_usage_locked(child);
	siginfo_t info;

	if (!child->parent)
		return;
	memset(&info, 0, sizeof(info));
	info.si_signo = signo;
	info.si_code = code;
	info.si_pid = child->pid;
	info.si_status = status;
	info.si_utime = (__kernel_clock_t)(used.user_ns / NS_PER_CLOCK_TICK);
	info.si_stime = (__kernel_clock_t)(used.kernel_ns / NS_PER_CLOCK_TICK);
	if (signo)
		signal_send_process(child->parent, &info);
	wait_wake_all(&child->parent->news);
}

void process_child_changed(struct process *child, int code, int signo)
{
	struct child_signal rule;

	spin_lock(&process_lock);
	if (child->parent) {
		rule = signal_child_rule(child->parent);
		tell_parent_locked(child, rule.no_stop || rule.ignored ? 0 : SIGCHLD, code, signo);
	}
	spin_unlock(&process_lock);
}

/* Tells of the end. Is there nobody who will wait for it? */
static bool tell_end_locked(struct process *process)
{
	int status = process->exit_status, code = CLD_EXITED, detail = status >> 8 & 0xff;
	int signo = process->exit_signal;
	struct child_signal rule;

	if (!process->parent)
		return false;
	rule = signal_child_rule(process->parent);
	if (WAIT_SIGNALED(status)) {
		code = status & WAIT_CORE ? CLD_DUMPED : CLD_KILLED;
		detail = WAIT_SIGNALED(status);
	}
	if (signo == SIGCHLD && rule.ignored)
		signo = 0;
	tell_parent_locked(process, signo, code, detail);
	return the_system.ending || (process->exit_signal == SIGCHLD && rule.reap);
}

/* ---- The family of a process that ends ------------------------------------------------------------------------ */

/* Who gets the children: the nearest ancestor who wants them, or the first process. */
static struct process *reaper_locked(const struct process *process)
{
	struct process *ancestor = process->parent;

	while (ancestor && ancestor->parent && !(ancestor->adopts && ancestor->state == PROCESS_ALIVE))
		ancestor = ancestor->parent;
	return ancestor;
}

/* Zombies that nobody will wait for are gathered in `reaped`, linked by `sibling`, which they do not need any more. */
LIST_HEAD(process_list, process);

static void reap_locked(struct process *process, struct process_list *reaped)
{
	process_unlink_locked(process);
	LIST_INSERT_HEAD(reaped, process, sibling);
	if (the_system.ending)
		wait_wake_all(&process_find_locked(FIRST_PID)->news);
}

static void give_children_away_locked(struct process *process, struct process_list *reaped)
{
	struct process *heir = reaper_locked(process), *child, *next;

	LIST_FOREACH_SAFE(child, &process->children, sibling, next)
	{
		LIST_REMOVE(child, sibling);
		child->parent = heir;
		child->adopted = true;
		/* As Linux: a child's end is always told by SIGCHLD to who adopts it. */
		child->exit_signal = SIGCHLD;
		LIST_INSERT_HEAD(&heir->children, child, sibling);
		group_orphan_locked(child, process, NULL);
		if (child->death_signal)
			signal_send_process_kernel(child, child->death_signal);
		if (child->state == PROCESS_ZOMBIE && tell_end_locked(child))
			reap_locked(child, reaped);
	}
}

static void free_reaped(struct process_list *reaped)
{
	struct process *process, *next;

	LIST_FOREACH_SAFE(process, reaped, sibling, next)
	process_unref(process);
}

/* ---- A process's end ---------------------------------------------------------------------------------------------- */

void process_end_borrowing(struct process *process)
{
	spin_lock(&process_lock);
	if (process->borrows) {
		__atomic_store_n(&process->borrows, false, __ATOMIC_RELEASE);
		wait_wake_all(&process->news);
	}
	spin_unlock(&process_lock);
}

void note_most_pages(struct process *process, struct user_space *space)
{
	uint64_t most = user_space_most_pages(space);

	if (most > process->ended.most_pages)
		process->ended.most_pages = most;
}

static void drop_space(struct process *process)
{
	struct user_space *space = process->space;

	spin_lock(&process_lock);
	process->space = NULL;
	spin_unlock(&process_lock);
	note_most_pages(process, space);
	user_space_unref(space);
	process_end_borrowing(process);
}

/* A session's terminal goes with its leader. Nobody else changes the group of a process that has no task any more. */
static void leave_terminal(struct process *process)
{
	struct session *session = process->group->session;

	if (session->id == process->pid)
		tty_leader_ends(session);
}

/* The last task of a process: the process has no more to do. */
static void end_process(struct process *process)
{
	struct process_list reaped = LIST_HEAD_INITIALIZER(reaped);

	if (process->pid == FIRST_PID)
		end_all_others(process);
	leave_terminal(process);
	sem_process_end(process);
	drop_space(process);
	signal_process_end(process);
	spin_lock(&process_lock);
	if (process->pid != FIRST_PID)
		give_children_away_locked(process, &reaped);
	if (process->parent)
		group_orphan_locked(process, process->parent, process);
	process->state = PROCESS_ZOMBIE;
	/* Who started the system waits for the first process there. */
	wait_wake_all(&process->news);
	if (tell_end_locked(process))
		reap_locked(process, &reaped);
	spin_unlock(&process_lock);
	free_reaped(&reaped);
}

/* Takes the task out of its process. Was it the last one? */
static bool leave(struct task *task)
{
	struct process *process = task->process;
	struct usage_counts used = task_usage(task);
	bool last;

	spin_lock(&process_lock);
	usage_add(&process->ended, &used);
	task_unlink_locked(task);
	last = process->task_count == 0;
	if (process->signals.exiting)
		process->exit_status = process->signals.exit_status;
	if (process->execing)
		wait_wake_all(&process->news);
	spin_unlock(&process_lock);
	return last;
}

void task_exit(struct task *task)
{
	later_run();
	robust_list_end(task);
	futex_pi_end(task, true);
	task_clear_tid(task);
	task_drop_files(task);
	signal_task_end(task);
	/* Before the last task, which may be another one, can give the memory back. */
	thread_use_map(NULL);
	if (leave(task))
		end_process(task->process);
	thread_exit();
}

int64_t sys_exit(struct task *task, struct trapframe *frame)
{
	/* As Linux: if all end by themselves, the process has the status of the one that does so last. */
	spin_lock(&process_lock);
	task->process->exit_status = WAIT_EXITED((int)frame->rdi);
	spin_unlock(&process_lock);
	task_exit(task);
}

int64_t sys_exit_group(struct task *task, struct trapframe *frame)
{
	signal_exit_group(task->process, WAIT_EXITED((int)frame->rdi));
	task_exit(task);
}

void task_clear_tid(struct task *task)
{
	const int none = 0;
	vaddr_t at = task->clear_tid;

	task->clear_tid = 0;
	/* As Linux: nobody is told who does not share the memory. */
	if (at && task->process->space->refs + task->process->task_count > 2 &&
	    copy_to_user(at, &none, sizeof(none)) == 0)
		futex_wake(task, at, 1);
}

int status_of_wait(int wait_status)
{
	if (WAIT_SIGNALED(wait_status))
		return STATUS_SIGNAL + WAIT_SIGNALED(wait_status);
	return wait_status >> 8 & 0xff;
}

/* ---- The system's end ------------------------------------------------------------------------------------------------ */

static void kill_all_but(const struct process *first)
{
	struct process *process = process_next(first->pid);

	while (process) {
		int pid = process->pid;

		signal_send_process_kernel(process, SIGKILL);
		process_unref(process);
		process = process_next(pid);
	}
}

/* Children that had ended before, and that nobody waited for. */
static void reap_children(struct process *first)
{
	struct process_list reaped = LIST_HEAD_INITIALIZER(reaped);
	struct process *child, *next;

	spin_lock(&process_lock);
	LIST_FOREACH_SAFE(child, &first->children, sibling, next)
	if (child->state == PROCESS_ZOMBIE)
		reap_locked(child, &reaped);
	spin_unlock(&process_lock);
	free_reaped(&reaped);
}

void end_all_others(struct process *first)
{
	spin_lock(&process_lock);
	the_system.ending = true;
	spin_unlock(&process_lock);
	kill_all_but(first);
	reap_children(first);
	WAIT_EVENT(&first->news, process_count() == 1, SLEEP_FIRM, TIME_NEVER);
	monitor_stop(first, MONITOR_EXIT, status_of_wait(first->exit_status));
	if (cmdline_get("stats"))
		stats_print(first);
}
