/*
 * Timers of programs: timer_create(2) and what belongs to it.
 *
 * A timer's signal has an entry of its own, so that expiring needs no memory. One that goes by real time is started anew when its signal
 * is taken, and the times that it would have expired meanwhile are its overruns: a short interval cannot keep the kernel busy. One that goes by CPU
 * time is looked at when that may have been used up. Interval timers (setitimer) are in itimer.c.
 */
#include <asm/errno.h>
#include <linux/time.h>
#include <vm/slab.h>

#include "signal_internal.h"
#include "syscall.h"
#include "times.h"

#define SHORTEST_STEP_NS 1000000ull /* as in itimer.c */
#define MOST_OVERRUNS    INT32_MAX  /* DELAYTIMER_MAX */

/* Locks: (g) the lock of the process's signals; (-) set once. */
struct posix_timer {
	struct timer timer;           /* (g) the kernel's */
	LIST_ENTRY(posix_timer) link; /* (g) in the process's list */
	struct process *process;      /* (-) */
	struct queued_signal *queued; /* (-) its signal's entry */
	struct clock clock;           /* (-) */
	int id;                       /* (-) */
	int notify;                   /* (-) SIGEV_... */
	int signo;                    /* (-) */
	int tid;                      /* (-) which task gets it; 0: any */
	sigval_t value;               /* (-) */
	uint64_t when;     /* (g) nanoseconds since boot, of CPU time or, by_day, since 1970; 0: not set */
	bool by_day;       /* (g) it was given a time of day, and goes by the clock though that be set */
	uint64_t interval; /* (g) 0: once */
	uint64_t overruns; /* (g) since the signal was made pending */
	int last_overruns; /* (g) what the last signal that was taken said */
};

static struct slab_cache timer_cache;

/* ---- Expiring ----------------------------------------------------------------------------------------- */

static bool counts_cpu_time(const struct posix_timer *timer)
{
	return timer->clock.kind == CLOCK_KIND_CPU;
}

/* The time since boot, or of CPU time by a clock that counts that. False: whose it was is gone. */
static bool time_by(const struct clock *clock, uint64_t *now)
{
	int64_t time;

	*now = time_nanoseconds();
	if (clock->kind != CLOCK_KIND_CPU)
		return true;
	if (clock_read(clock, &time) != 0)
		return false;
	*now = (uint64_t)time;
	return true;
}

/* What `when` is compared with, `now` being what time_by() said. */
static uint64_t shown_by(const struct posix_timer *timer, uint64_t now)
{
	return timer->by_day ? now + (uint64_t)time_realtime_offset() : now;
}

/* Lets the kernel's timer come when this one may expire, `now` being what its clock says. */
static void start(struct posix_timer *timer, uint64_t now)
{
	uint64_t left = timer->when > now ? timer->when - now : 0;

	if (timer->notify == SIGEV_NONE)
		return;
	if (!counts_cpu_time(timer))
		timer_start_by(&timer->timer, timer->by_day ? TIMER_DAY : TIMER_BOOT, timer->when);
	else
		timer_start(&timer->timer,
			    time_after((int64_t)(left < SHORTEST_STEP_NS ? SHORTEST_STEP_NS : left)));
}

/* Past what has expired at `now`. How many times that was, besides the first. */
static uint64_t skip_expired(struct posix_timer *timer, uint64_t now)
{
	uint64_t times;

	if (timer->interval == 0 || timer->when > now) {
		timer->when = timer->interval ? timer->when : 0;
		return 0;
	}
	times = (now - timer->when) / timer->interval;
	timer->when += (times + 1) * timer->interval;
	return times;
}

static struct task *task_of(struct posix_timer *timer)
{
	struct task *task;

	TAILQ_FOREACH(task, &timer->process->signals.tasks, signals.link)
	{
		if (task->tid == timer->tid)
			return task;
	}
	return NULL;
}

/* Makes its signal pending. False: nobody wants it. */
static bool notify(struct posix_timer *timer)
{
	struct process *process = timer->process;
	struct task *task = timer->tid ? task_of(timer) : NULL;

	if (timer->queued->in) {
		timer->overruns++;
		return true;
	}
	timer->overruns = 0;
	timer->queued->info = (siginfo_t){.si_signo = timer->signo, .si_code = SI_TIMER};
	timer->queued->info.si_tid = timer->id;
	timer->queued->info.si_value = timer->value;
	if ((timer->tid && !task) || !signal_prepare(process, task, timer->signo))
		return false;
	pending_add_queued(task ? &task->signals.pending : &process->signals.pending, timer->queued);
	signal_announce(process, task, timer->signo);
	return true;
}

/* The timer has expired. One that repeats and goes by real time waits for its signal to be taken. */
static void expire(struct posix_timer *timer, uint64_t now)
{
	bool wanted = notify(timer);

	if (timer->interval == 0) {
		timer->when = 0;
	} else if (counts_cpu_time(timer)) {
		timer->overruns += skip_expired(timer, now);
		start(timer, now);
	} else if (!wanted) {
		skip_expired(timer, now + SHORTEST_STEP_NS);
		start(timer, now);
	}
}

static void fire(struct timer *kernel_timer)
{
	struct posix_timer *timer = (struct posix_timer *)kernel_timer;
	struct process_signals *signals = &timer->process->signals;
	uint64_t now;
	bool lives = time_by(&timer->clock, &now);

	spin_lock(&signals->lock);
	if (timer->when != 0 && lives) {
		now = shown_by(timer, now);
		if (timer->when <= now)
			expire(timer, now);
		else
			start(timer, now);
	}
	spin_unlock(&signals->lock);
}

void posix_timer_taken(struct posix_timer *timer, siginfo_t *info)
{
	uint64_t now = shown_by(timer, time_nanoseconds());

	if (timer->when != 0 && timer->when <= now && !counts_cpu_time(timer)) {
		timer->overruns += skip_expired(timer, now);
		start(timer, now);
	}
	timer->last_overruns = timer->overruns < MOST_OVERRUNS ? (int)timer->overruns : MOST_OVERRUNS;
	info->si_overrun = timer->last_overruns;
}

/* ---- Life ---------------------------------------------------------------------------------------------- */

void posix_timers_init(void)
{
	slab_cache_init(&timer_cache, "timer", sizeof(struct posix_timer));
}

static struct posix_timer *find(struct process_signals *signals, int id)
{
	struct posix_timer *timer;

	LIST_FOREACH(timer, &signals->timers, link)
	{
		if (timer->id == id)
			break;
	}
	return timer;
}

/* Ends a timer that is in the list no more. No locks held. */
static void destroy(struct posix_timer *timer)
{
	timer_cancel_wait(&timer->timer);
	queued_signal_free(timer->queued);
	slab_free(&timer_cache, timer);
}

/* Takes it out of the list: it does not expire any more. The process's signals are locked. */
static void detach(struct process_signals *signals, struct posix_timer *timer)
{
	LIST_REMOVE(timer, link);
	timer->when = 0;
	pending_withdraw(timer->queued);
	signals->queued--;
}

void timers_delete_all(struct process *process)
{
	struct process_signals *signals = &process->signals;
	struct posix_timer *timer;

	do {
		spin_lock(&signals->lock);
		timer = LIST_FIRST(&signals->timers);
		if (timer)
			detach(signals, timer);
		spin_unlock(&signals->lock);
		if (timer)
			destroy(timer);
	} while (timer);
}

/* ---- The calls -------------------------------------------------------------------------------------------- */

/* Is that the number of a task of the caller's process? */
static bool is_ours(const struct task *task, int tid)
{
	struct task *target;
	bool ours;

	spin_lock(&process_lock);
	target = task_find_locked(tid);
	ours = target && target->process == task->process;
	spin_unlock(&process_lock);
	return ours;
}

/* What the program wants when it expires. It need not say. */
static int get_event(const struct task *task, vaddr_t from, struct posix_timer *timer)
{
	sigevent_t event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};

	if (from && copy_from_user(&event, from, sizeof(event)) != 0)
		return -EFAULT;
	timer->notify = event.sigev_notify;
	timer->signo = event.sigev_signo;
	timer->value = event.sigev_value;
	if (event.sigev_notify == SIGEV_NONE)
		return 0;
	if (event.sigev_notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID)) {
		timer->tid = event.sigev_notify_thread_id;
		if (!is_ours(task, timer->tid))
			return -EINVAL;
	} else if (event.sigev_notify != SIGEV_SIGNAL && event.sigev_notify != SIGEV_THREAD) {
		return -EINVAL;
	}
	return timer->signo >= 1 && timer->signo <= SIGNAL_MAX ? 0 : -EINVAL;
}

/* Gives it a number, which is its signal's value too if the program has not said one. -EAGAIN: the process has as many as it may. */
static int enlist(struct process *process, struct posix_timer *timer, bool show_id, int *id)
{
	struct process_signals *signals = &process->signals;
	int status = -EAGAIN;

	spin_lock(&signals->lock);
	if (signals->queued < process->limits[RLIMIT_SIGPENDING].rlim_cur) {
		signals->queued++;
		*id = timer->id = signals->next_timer++ & INT32_MAX;
		if (show_id)
			timer->value.sival_int = timer->id;
		LIST_INSERT_HEAD(&signals->timers, timer, link);
		status = 0;
	}
	spin_unlock(&signals->lock);
	return status;
}

/* Another task may have been faster. */
static int timer_delete(struct process_signals *signals, int id)
{
	struct posix_timer *timer;

	spin_lock(&signals->lock);
	timer = find(signals, id);
	if (timer)
		detach(signals, timer);
	spin_unlock(&signals->lock);
	if (!timer)
		return -EINVAL;
	destroy(timer);
	return 0;
}

static struct posix_timer *allocate(struct process *process, const struct clock *clock)
{
	struct posix_timer *timer = slab_alloc(&timer_cache);

	if (!timer)
		return NULL;
	*timer = (struct posix_timer){.process = process, .clock = *clock};
	timer_init(&timer->timer, fire);
	timer->queued = queued_signal_create(timer);
	if (timer->queued)
		return timer;
	slab_free(&timer_cache, timer);
	return NULL;
}

int64_t sys_timer_create(struct task *task, struct trapframe *frame)
{
	struct process *process = task->process;
	struct posix_timer *timer;
	struct clock clock;
	int64_t now;
	int id, error = clock_find(task, (int)frame->rdi, &clock);

	if (error || clock_read(&clock, &now) != 0)
		return -EINVAL;
	if (!clock.waits && !clock.own_task)
		return -EOPNOTSUPP;
	timer = allocate(process, &clock);
	if (!timer)
		return -EAGAIN;
	error = get_event(task, frame->rsi, timer);
	if (!error)
		error = enlist(process, timer, frame->rsi == 0, &id);
	if (error) {
		destroy(timer);
		return error;
	}
	error = copy_to_user(frame->rdx, &id, sizeof(id));
	if (error)
		timer_delete(&process->signals, id);
	return error;
}

/* As timer_gettime(2) has it: one that is set is never at 0, but for those that nobody is told of. */
static struct interval_timer state(const struct posix_timer *timer, uint64_t now)
{
	struct posix_timer next = *timer;

	if (timer->when == 0)
		return (struct interval_timer){0, timer->interval};
	if (timer->interval != 0)
		skip_expired(&next, now);
	if (next.when > now)
		return (struct interval_timer){next.when - now, timer->interval};
	return (struct interval_timer){timer->notify == SIGEV_NONE ? 0 : 1, timer->interval};
}

static int put_state(vaddr_t to, const struct interval_timer *state)
{
	int error = time_to_user(to + offsetof(struct itimerspec, it_interval), (int64_t)state->interval);

	return error ? error : time_to_user(to + offsetof(struct itimerspec, it_value), (int64_t)state->when);
}

/* Sets a timer; the process's signals are locked. `now`: what time_by() said. */
static void set(struct posix_timer *timer, uint64_t now, int64_t value, int64_t interval, bool absolute)
{
	timer_cancel(&timer->timer);
	timer->overruns = 0;
	timer->last_overruns = 0;
	timer->when = 0;
	timer->interval = (uint64_t)interval;
	if (value == 0)
		return;
	timer->by_day = absolute && timer->clock.kind == CLOCK_KIND_REAL;
	if (absolute)
		timer->when = (uint64_t)value;
	else
		timer->when = (uint64_t)value > INT64_MAX - now ? INT64_MAX : now + (uint64_t)value;
	start(timer, shown_by(timer, now));
}

static struct interval_timer exchange(struct posix_timer *timer, uint64_t now, int64_t value,
				      int64_t interval, bool absolute)
{
	struct interval_timer old = state(timer, shown_by(timer, now));

	set(timer, now, value, interval, absolute);
	return old;
}

/* What time_by() says of a timer's clock, before the process's signals are locked. -EINVAL: there is no such timer. */
static int read_timer_clock(struct process_signals *signals, int id, uint64_t *now)
{
	struct posix_timer *timer;
	struct clock clock;

	spin_lock(&signals->lock);
	timer = find(signals, id);
	if (timer)
		clock = timer->clock;
	spin_unlock(&signals->lock);
	if (!timer)
		return -EINVAL;
	time_by(&clock, now);
	return 0;
}

int64_t sys_timer_settime(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	int id = (int)frame->rdi;
	int64_t value, interval;
	struct interval_timer old;
	struct posix_timer *timer;
	uint64_t now;
	int error;

	if (frame->rdx == 0)
		return -EINVAL;
	error = time_from_user(frame->rdx + offsetof(struct itimerspec, it_interval), &interval);
	if (!error)
		error = time_from_user(frame->rdx + offsetof(struct itimerspec, it_value), &value);
	if (!error)
		error = read_timer_clock(signals, id, &now);
	if (error)
		return error;
	spin_lock(&signals->lock);
	timer = find(signals, id);
	if (timer)
		old = exchange(timer, now, value, interval, frame->rsi & TIMER_ABSTIME);
	spin_unlock(&signals->lock);
	if (!timer)
		return -EINVAL;
	return frame->r10 ? put_state(frame->r10, &old) : 0;
}

int64_t sys_timer_gettime(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	int id = (int)frame->rdi;
	struct interval_timer now_set;
	struct posix_timer *timer;
	uint64_t now;

	if (read_timer_clock(signals, id, &now) != 0)
		return -EINVAL;
	spin_lock(&signals->lock);
	timer = find(signals, id);
	if (timer)
		now_set = state(timer, shown_by(timer, now));
	spin_unlock(&signals->lock);
	return timer ? put_state(frame->rsi, &now_set) : -EINVAL;
}

int64_t sys_timer_getoverrun(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	struct posix_timer *timer;
	int64_t result = -EINVAL;

	spin_lock(&signals->lock);
	timer = find(signals, (int)frame->rdi);
	if (timer)
		result = timer->last_overruns;
	spin_unlock(&signals->lock);
	return result;
}

int64_t sys_timer_delete(struct task *task, struct trapframe *frame)
{
	return timer_delete(&task->process->signals, (int)frame->rdi);
}
