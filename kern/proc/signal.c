/*
 * Signals: what processes and tasks have of them, and how they are sent.
 *
 * The contract is <kern/signal.h>'s. Queues are in signal_queue.c; how a task comes to handle what is pending is in signal_return.c; stopping,
 * going on and ending in signal_stop.c; faults in signal_fault.c; the system calls in sys_signal.c.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <vm/slab.h>

#include "signal_internal.h"

static struct slab_cache handlers_cache;

_Static_assert(sizeof(struct signal_action) == sizeof(struct sigaction), "rt_sigaction(2)'s layout");

/* ---- Handlers ------------------------------------------------------------------------------------- */

void signals_init(void)
{
	slab_cache_init(&handlers_cache, "signal handlers", sizeof(struct signal_handlers));
	signal_queue_init();
	posix_timers_init();
	timerfds_init();
}

struct signal_handlers *signal_handlers_create(void)
{
	struct signal_handlers *handlers = slab_alloc(&handlers_cache);

	if (!handlers)
		return NULL;
	memset(handlers, 0, sizeof(*handlers)); /* SIG_DFL is 0 */
	handlers->refs = 1;
	spin_init(&handlers->lock, RANK_SIGNAL, "signal handlers (nested)");
	return handlers;
}

void signal_handlers_unref(struct signal_handlers *handlers)
{
	if (--handlers->refs == 0)
		slab_free(&handlers_cache, handlers);
}

struct signal_action signal_action(struct process_signals *signals, int signo)
{
	struct signal_handlers *handlers = signals->handlers;
	struct stored_action stored;

	ASSERT(spin_held(&signals->lock));
	spin_lock(&handlers->lock);
	stored = handlers->actions[signo - 1];
	spin_unlock(&handlers->lock);
	return (struct signal_action){stored.handler, stored.flags, stored.restorer, stored.mask};
}

void signal_set_action(struct process_signals *signals, int signo, const struct signal_action *action)
{
	struct signal_handlers *handlers = signals->handlers;

	ASSERT(spin_held(&signals->lock));
	spin_lock(&handlers->lock);
	handlers->actions[signo - 1] = (struct stored_action){action->handler, action->restorer, action->mask,
							      (uint32_t)action->flags};
	spin_unlock(&handlers->lock);
}

void signal_handler_used(struct process_signals *signals, int signo, const struct signal_action *action)
{
	struct signal_action then = *action;

	if (!(action->flags & SA_RESETHAND))
		return;
	then.handler = (vaddr_t)SIG_DFL;
	signal_set_action(signals, signo, &then);
}

/* ---- Life ------------------------------------------------------------------------------------------ */

static struct signal_handlers *inherit_handlers(struct process *parent, bool share)
{
	struct signal_handlers *theirs = parent->signals.handlers, *handlers;

	if (share) {
		theirs->refs++;
		return theirs;
	}
	handlers = signal_handlers_create();
	if (!handlers)
		return NULL;
	spin_lock(&theirs->lock);
	memcpy(handlers->actions, theirs->actions, sizeof(handlers->actions));
	spin_unlock(&theirs->lock);
	return handlers;
}

int signal_process_begin(struct process *child, struct process *parent, bool share_handlers)
{
	struct process_signals *signals = &child->signals;

	memset(signals, 0, sizeof(*signals));
	signals->handlers = parent ? inherit_handlers(parent, share_handlers) : signal_handlers_create();
	if (!signals->handlers)
		return -ENOMEM;
	spin_init(&signals->lock, RANK_SIGNAL, "signals");
	TAILQ_INIT(&signals->tasks);
	pending_init(&signals->pending);
	wait_queue_init(&signals->continued);
	itimers_init(child);
	return 0;
}

void signal_reset_handlers(struct process *child)
{
	struct signal_handlers *handlers = child->signals.handlers;

	spin_lock(&handlers->lock);
	for (int i = 0; i < SIGNAL_MAX; i++)
		if (handlers->actions[i].handler != (vaddr_t)SIG_IGN)
			handlers->actions[i] = (struct stored_action){.handler = (vaddr_t)SIG_DFL};
	spin_unlock(&handlers->lock);
}

void signal_process_end(struct process *process)
{
	struct process_signals *signals = &process->signals;
	struct signal_handlers *handlers;

	itimers_end(process);
	timers_delete_all(process);
	spin_lock(&signals->lock);
	ASSERT(TAILQ_EMPTY(&signals->tasks));
	pending_discard(process, &signals->pending, UINT64_MAX);
	handlers = signals->handlers;
	signals->handlers = NULL;
	spin_unlock(&signals->lock);
	signal_handlers_unref(handlers);
}

void signal_task_begin(struct task *task, const struct task *parent, bool keep_stack)
{
	struct process_signals *signals = &task->process->signals;

	memset(&task->signals, 0, sizeof(task->signals));
	pending_init(&task->signals.pending);
	task->signals.stack_flags = SS_DISABLE;
	if (parent) {
		task->signals.blocked = parent->signals.blocked;
		if (keep_stack) {
			task->signals.stack = parent->signals.stack;
			task->signals.stack_bytes = parent->signals.stack_bytes;
			task->signals.stack_flags = parent->signals.stack_flags;
		}
	}
	if (task->process->limits[RLIMIT_CPU].rlim_cur != RLIM64_INFINITY && TAILQ_EMPTY(&signals->tasks))
		signal_cpu_limited(task->process);
	spin_lock(&signals->lock);
	TAILQ_INSERT_TAIL(&signals->tasks, task, signals.link);
	task->signals.listed = true;
	if (signals->exiting)
		thread_interrupt(&task->thread, INTERRUPT_KILL);
	else if (signals->stop != STOP_NONE)
		thread_interrupt(&task->thread, INTERRUPT_STOP);
	spin_unlock(&signals->lock);
}

/* Others take what the one that is gone might have taken. */
static void pass_on(struct process_signals *signals)
{
	struct task *task;

	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	{
		if (signals->pending.set & (~task->signals.blocked | task->signals.awaited))
			thread_interrupt(&task->thread, INTERRUPT_SIGNAL);
	}
}

void signal_task_end(struct task *task)
{
	struct process *process = task->process;
	struct process_signals *signals = &process->signals;
	bool stopped;

	spin_lock(&signals->lock);
	if (task->signals.listed)
		TAILQ_REMOVE(&signals->tasks, task, signals.link);
	task->signals.listed = false;
	pending_discard(process, &task->signals.pending, UINT64_MAX);
	pass_on(signals);
	stopped = stop_complete_locked(process);
	spin_unlock(&signals->lock);
	if (stopped)
		process_child_changed(process, CLD_STOPPED, signals->stop_signal);
}

void signal_exec(struct task *task, struct signal_handlers *handlers)
{
	struct process_signals *signals = &task->process->signals;
	struct signal_handlers *old;

	timers_delete_all(task->process);
	spin_lock(&signals->lock);
	old = signals->handlers;
	spin_lock(&old->lock);
	for (int i = 0; i < SIGNAL_MAX; i++)
		if (old->actions[i].handler == (vaddr_t)SIG_IGN)
			handlers->actions[i].handler = (vaddr_t)SIG_IGN;
	spin_unlock(&old->lock);
	signals->handlers = handlers;
	spin_unlock(&signals->lock);
	signal_handlers_unref(old);
	task->signals.stack = 0;
	task->signals.stack_bytes = 0;
	task->signals.stack_flags = SS_DISABLE;
	task->signals.restart.call = NULL;
}

/* ---- Sending ----------------------------------------------------------------------------------------- */

static bool blocks(const struct task *task, int signo)
{
	return (task->signals.blocked | task->signals.awaited) & SIGNAL_BIT(signo);
}

/* Would the task take the signal, if it came back to ring 3? */
static bool wants(const struct task *task, int signo)
{
	return ((~task->signals.blocked | task->signals.awaited) & SIGNAL_BIT(signo)) &&
	       !(task->thread.interrupts & INTERRUPT_KILL);
}

/* Is it ignored? What somebody blocks is not: he may want to wait for it. */
static bool is_dropped(struct process_signals *signals, const struct task *task, int signo)
{
	struct signal_action action = signal_action(signals, signo);
	const struct task *other;

	if (!action_ignores(&action, signo))
		return false;
	if (task)
		return !blocks(task, signo);
	TAILQ_FOREACH(other, &signals->tasks, signals.link)
	{
		if (blocks(other, signo))
			return false;
	}
	return true;
}

static void discard_everywhere(struct process *process, uint64_t set)
{
	struct task *task;

	pending_discard(process, &process->signals.pending, set);
	TAILQ_FOREACH(task, &process->signals.tasks, signals.link)
	{
		pending_discard(process, &task->signals.pending, set);
	}
}

/* Stops and going on take each other back, whatever else becomes of them (signal(7)). */
bool signal_prepare(struct process *process, struct task *task, int signo)
{
	if (!process->signals.handlers)
		return false;
	if (signo == SIGCONT) {
		discard_everywhere(process, DEFAULT_STOPS);
		stop_resume_locked(process);
	} else if (SIGNAL_BIT(signo) & DEFAULT_STOPS) {
		discard_everywhere(process, SIGNAL_BIT(SIGCONT));
	}
	return !is_dropped(&process->signals, task, signo);
}

/* Who shall take a signal: best one who has nothing else to take. NULL: all block it. */
static struct task *choose(struct process_signals *signals, int signo)
{
	struct task *task, *busy = NULL;

	TAILQ_FOREACH(task, &signals->tasks, signals.link)
	{
		if (!wants(task, signo))
			continue;
		if (!(task->thread.interrupts & INTERRUPT_SIGNAL))
			return task;
		busy = busy ? busy : task;
	}
	return busy;
}

/* Does it end the process, for sure and without more to do? */
static bool is_fatal(struct process_signals *signals, const struct task *task, int signo)
{
	struct signal_action action = signal_action(signals, signo);

	if (signo == SIGKILL)
		return true;
	return action.handler == (vaddr_t)SIG_DFL && !blocks(task, signo) &&
	       !(SIGNAL_BIT(signo) & (DEFAULT_IGNORES | DEFAULT_STOPS | DEFAULT_DUMPS));
}

void signal_announce(struct process *process, struct task *task, int signo)
{
	struct process_signals *signals = &process->signals;

	if (!task)
		task = choose(signals, signo);
	else if (!wants(task, signo))
		task = NULL;
	if (task && is_fatal(signals, task, signo))
		exit_group_locked(process, signo);
	else if (task)
		thread_interrupt(&task->thread, INTERRUPT_SIGNAL);
	wait_wake_all(&signal_readers);
}

int signal_send_locked(struct process *process, struct task *task, const siginfo_t *info)
{
	struct process_signals *signals = &process->signals;
	int signo = info->si_signo, status;

	if (!signal_prepare(process, task, signo) || (task && !task->signals.listed))
		return 0;
	status = pending_add(process, task ? &task->signals.pending : &signals->pending, info);
	if (!status)
		signal_announce(process, task, signo);
	return status;
}

static int send(struct process *process, struct task *task, const siginfo_t *info)
{
	int status;

	spin_lock(&process->signals.lock);
	status = signal_send_locked(process, task, info);
	spin_unlock(&process->signals.lock);
	return status;
}

int signal_send_process(struct process *process, const siginfo_t *info)
{
	return send(process, NULL, info);
}

int signal_send_task(struct task *task, const siginfo_t *info)
{
	return send(task->process, task, info);
}

static void set_sender(siginfo_t *info, const struct process *sender)
{
	info->si_pid = sender->pid;
	info->si_uid = sender->credentials.user.real;
}

void signal_info_init(siginfo_t *info, int signo, int code)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = signo;
	info->si_code = code;
	if (code == SI_USER || code == SI_TKILL || code == SI_QUEUE)
		set_sender(info, task_current()->process);
}

void signal_send_process_kernel(struct process *process, int signo)
{
	siginfo_t info;

	signal_info_init(&info, signo, SI_KERNEL);
	signal_send_process(process, &info);
}

void signal_send_task_kernel(struct task *task, int signo)
{
	siginfo_t info;

	signal_info_init(&info, signo, SI_KERNEL);
	signal_send_task(task, &info);
}

int signal_send_group(int group, int signo)
{
	struct process_group *found;
	struct process *process;

	spin_lock(&process_lock);
	found = group_find_locked(group);
	if (found)
		TAILQ_FOREACH(process, &found->members, member)
	signal_send_process_kernel(process, signo);
	spin_unlock(&process_lock);
	return found ? 0 : -ESRCH;
}

/* The ids that kill(2) names. */
int signal_may_send(const struct task *sender, const struct process *target, int signo)
{
	const struct identity *own = &sender->process->credentials.user;
	const struct identity *other = &target->credentials.user;

	if (sender->process == target || task_capable(sender, CAP_KILL))
		return 0;
	if (own->effective == other->real || own->effective == other->saved || own->real == other->real ||
	    own->real == other->saved)
		return 0;
	/* A shell goes on with its jobs, whoever they have become. */
	if (signo == SIGCONT && target->group && sender->process->group->session == target->group->session)
		return 0;
	return -EPERM;
}

/* ---- Questions ------------------------------------------------------------------------------------------ */

bool signal_is_ignored(struct process *process, int signo)
{
	struct process_signals *signals = &process->signals;
	struct signal_action action = {.handler = (vaddr_t)SIG_IGN};

	spin_lock(&signals->lock);
	if (signals->handlers)
		action = signal_action(signals, signo);
	spin_unlock(&signals->lock);
	return action.handler == (vaddr_t)SIG_IGN;
}

bool signal_is_ignored_or_blocked(struct task *task, int signo)
{
	return (task->signals.blocked & SIGNAL_BIT(signo)) || signal_is_ignored(task->process, signo);
}

struct child_signal signal_child_rule(struct process *parent)
{
	struct process_signals *signals = &parent->signals;
	struct child_signal rule = {.reap = true, .ignored = true, .no_stop = true};
	struct signal_action action;

	spin_lock(&signals->lock);
	if (signals->handlers) {
		action = signal_action(signals, SIGCHLD);
		rule.ignored = action.handler == (vaddr_t)SIG_IGN;
		rule.reap = rule.ignored || (action.flags & SA_NOCLDWAIT);
		rule.no_stop = rule.ignored || (action.flags & SA_NOCLDSTOP);
	}
	spin_unlock(&signals->lock);
	return rule;
}

/* ---- Masks ------------------------------------------------------------------------------------------------ */

void signal_recompute(struct task *task)
{
	struct process_signals *signals = &task->process->signals;
	uint64_t pending = signals->pending.set | task->signals.pending.set;

	ASSERT(spin_held(&signals->lock));
	if (pending & ~task->signals.blocked)
		thread_interrupt(&task->thread, INTERRUPT_SIGNAL);
	else
		thread_interrupt_clear(&task->thread, INTERRUPT_SIGNAL);
}

/* Signals for any task that this one blocks now are shown to the others. */
void signal_set_mask(struct task *task, uint64_t mask)
{
	struct process_signals *signals = &task->process->signals;

	mask &= ~SIGNALS_SURE;
	spin_lock(&signals->lock);
	if ((mask & ~task->signals.blocked & signals->pending.set) &&
	    TAILQ_NEXT(TAILQ_FIRST(&signals->tasks), signals.link)) {
		task->signals.blocked = mask;
		pass_on(signals);
	}
	task->signals.blocked = mask;
	signal_recompute(task);
	spin_unlock(&signals->lock);
}

void signal_mask_begin(struct task *task, uint64_t mask)
{
	task->signals.saved_mask = task->signals.blocked;
	task->signals.mask_saved = true;
	signal_set_mask(task, mask);
}

int signal_mask_begin_from_user(struct task *task, vaddr_t set, uint64_t set_bytes)
{
	uint64_t mask;

	if (set == 0)
		return 0;
	if (set_bytes != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (copy_from_user(&mask, set, sizeof(mask)) != 0)
		return -EFAULT;
	signal_mask_begin(task, mask);
	return 0;
}

/* Where it is kept, user_return() takes it back: the bit lets it be called. */
void signal_mask_end(struct task *task, int64_t result)
{
	if (!task->signals.mask_saved)
		return;
	if (result == -EINTR || signal_is_restart(result)) {
		thread_interrupt(&task->thread, INTERRUPT_SIGNAL);
		return;
	}
	task->signals.mask_saved = false;
	signal_set_mask(task, task->signals.saved_mask);
}
