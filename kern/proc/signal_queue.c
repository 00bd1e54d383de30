/*
 * Pending signals: sets of numbers, and what is known of each that is in them.
 *
 * Who sends them is in signal.c, who takes them in signal_return.c and sys_signal.c.
 */
#include <asm/errno.h>
#include <vm/slab.h>

#include "signal_internal.h"

static struct slab_cache queued_cache;

void signal_queue_init(void)
{
	slab_cache_init(&queued_cache, "queued signal", sizeof(struct queued_signal));
}

void pending_init(struct pending_signals *pending)
{
	pending->set = 0;
	TAILQ_INIT(&pending->queue);
}

struct queued_signal *queued_signal_create(struct posix_timer *timer)
{
	struct queued_signal *queued = slab_alloc(&queued_cache);

	if (queued)
		*queued = (struct queued_signal){.timer = timer};
	return queued;
}

void queued_signal_free(struct queued_signal *queued)
{
	ASSERT(!queued->in);
	slab_free(&queued_cache, queued);
}

static void insert(struct pending_signals *pending, struct queued_signal *queued)
{
	queued->in = pending;
	TAILQ_INSERT_TAIL(&pending->queue, queued, link);
}

/* Out of its queue; what was allocated for this one signal is freed. */
static void drop(struct process *process, struct queued_signal *queued)
{
	TAILQ_REMOVE(&queued->in->queue, queued, link);
	queued->in = NULL;
	if (queued->timer)
		return;
	process->signals.queued--;
	queued_signal_free(queued);
}

/* Room for the information of one more. What the kernel says of the classical signals is above the limit: there are few of them. */
static struct queued_signal *allocate(struct process *process, const siginfo_t *info)
{
	bool sure = info->si_signo < FIRST_REALTIME && info->si_code >= 0;
	struct queued_signal *queued = NULL;

	if (sure || process->signals.queued < process->limits[RLIMIT_SIGPENDING].rlim_cur)
		queued = queued_signal_create(NULL);
	if (queued)
		process->signals.queued++;
	return queued;
}

int pending_add(struct process *process, struct pending_signals *pending, const siginfo_t *info)
{
	int signo = info->si_signo;
	struct queued_signal *queued;

	ASSERT(spin_held(&process->signals.lock));
	if (signo < FIRST_REALTIME && (pending->set & SIGNAL_BIT(signo)))
		return 0;
	queued = signo == SIGKILL ? NULL : allocate(process, info);
	if (queued) {
		queued->info = *info;
		insert(pending, queued);
	} else if (signo >= FIRST_REALTIME && info->si_code != SI_USER) {
		return -EAGAIN;
	}
	pending->set |= SIGNAL_BIT(signo);
	return 0;
}

void pending_add_queued(struct pending_signals *pending, struct queued_signal *queued)
{
	ASSERT(!queued->in);
	insert(pending, queued);
	pending->set |= SIGNAL_BIT(queued->info.si_signo);
}

/* The first entry of a signal; *more: there is another one. */
static struct queued_signal *find(struct pending_signals *pending, int signo, bool *more)
{
	struct queued_signal *queued, *found = NULL;

	*more = false;
	TAILQ_FOREACH(queued, &pending->queue, link)
	{
		if (queued->info.si_signo != signo)
			continue;
		*more = found != NULL;
		if (found)
			break;
		found = queued;
	}
	return found;
}

void pending_withdraw(struct queued_signal *queued)
{
	struct pending_signals *pending = queued->in;
	int signo = queued->info.si_signo;
	bool more;

	if (!pending)
		return;
	TAILQ_REMOVE(&pending->queue, queued, link);
	queued->in = NULL;
	if (!find(pending, signo, &more))
		pending->set &= ~SIGNAL_BIT(signo);
}

void pending_discard(struct process *process, struct pending_signals *pending, uint64_t set)
{
	struct queued_signal *queued, *next;

	if (!(pending->set & set))
		return;
	pending->set &= ~set;
	TAILQ_FOREACH_SAFE(queued, &pending->queue, link, next)
	{
		if (set & SIGNAL_BIT(queued->info.si_signo))
			drop(process, queued);
	}
}

static int next_signal(uint64_t set)
{
	if (set == 0)
		return 0;
	if (set & SYNCHRONOUS)
		set &= SYNCHRONOUS;
	return __builtin_ctzll(set) + 1;
}

static int take_from(struct process *process, struct pending_signals *pending, uint64_t wanted,
		     siginfo_t *info)
{
	int signo = next_signal(pending->set & wanted);
	struct queued_signal *queued;
	bool more = false;

	if (signo == 0)
		return 0;
	queued = find(pending, signo, &more);
	if (queued) {
		*info = queued->info;
		if (queued->timer)
			posix_timer_taken(queued->timer, info);
		drop(process, queued);
	} else {
		memset(info, 0, sizeof(*info));
		info->si_signo = signo;
	}
	if (!more)
		pending->set &= ~SIGNAL_BIT(signo);
	return signo;
}

int signal_take(struct task *task, uint64_t wanted, siginfo_t *info)
{
	struct process *process = task->process;
	int signo;

	ASSERT(spin_held(&process->signals.lock));
	signo = take_from(process, &task->signals.pending, wanted, info);
	if (signo)
		return signo;
	signo = take_from(process, &process->signals.pending, wanted, info);
	if (signo == SIGALRM)
		real_timer_taken(process);
	return signo;
}
