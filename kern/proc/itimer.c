/*
 * Interval timers: setitimer(2), getitimer(2), alarm(2). A process has one of real time and two of CPU time.
 *
 * The one of real time goes on when its signal is taken, so that a short interval cannot keep the kernel busy. CPU time is looked at when
 * it may have been used up: a kernel timer comes at the earliest time at which that can be. timer_create(2)'s timers are in timers.c.
 */
#include <asm/errno.h>
#include <linux/time.h>

#include "signal_internal.h"
#include "syscall.h"
#include "times.h"

#define SHORTEST_STEP_NS 1000000ull /* between two looks at CPU time, and two signals that nobody takes */

static struct process *owner_of_real(struct timer *timer)
{
	return (struct process *)((char *)timer - offsetof(struct process, signals.real_timer));
}

static struct process *owner_of_cpu(struct timer *timer)
{
	return (struct process *)((char *)timer - offsetof(struct process, signals.cpu_timer));
}

static void send_locked(struct process *process, int signo)
{
	siginfo_t info = {.si_signo = signo, .si_code = SI_KERNEL};

	signal_send_locked(process, NULL, &info);
}

/* Past what has expired at `now`, by whole intervals. */
static void skip_expired(struct interval_timer *timer, uint64_t now)
{
	if (timer->interval == 0)
		timer->when = 0;
	else if (timer->when <= now)
		timer->when += ((now - timer->when) / timer->interval + 1) * timer->interval;
}

/* ---- Real time ---------------------------------------------------------------------------------------- */

static void fire_real(struct timer *timer)
{
	struct process *process = owner_of_real(timer);
	struct process_signals *signals = &process->signals;
	uint64_t now = time_nanoseconds();

	spin_lock(&signals->lock);
	if (signals->real.when != 0 && signals->real.when <= now) {
		send_locked(process, SIGALRM);
		if (signals->real.interval == 0) {
			signals->real.when = 0;
		} else if (!(signals->pending.set & SIGNAL_BIT(SIGALRM))) {
			/* It is ignored: nobody takes it. */
			skip_expired(&signals->real, now + SHORTEST_STEP_NS);
			timer_start(timer, signals->real.when);
		}
	}
	spin_unlock(&signals->lock);
}

void real_timer_taken(struct process *process)
{
	struct interval_timer *real = &process->signals.real;
	uint64_t now = time_nanoseconds();

	if (real->when == 0 || real->when > now)
		return;
	skip_expired(real, now);
	if (real->when != 0)
		timer_start(&process->signals.real_timer, real->when);
}

/* ---- CPU time ------------------------------------------------------------------------------------------- */

static uint64_t total(struct thread_times times)
{
	return times.user_ns + times.kernel_ns;
}

/* The CPU time at which RLIMIT_CPU has something to say next: a SIGXCPU at the soft limit and each second from there on. */
static uint64_t limit_due(const struct process *process)
{
	const struct rlimit64 *limit = &process->limits[RLIMIT_CPU];
	uint64_t second = limit->rlim_cur;

	if (process->signals.cpu_seconds_told >= second)
		second = process->signals.cpu_seconds_told + 1;
	second = limit->rlim_max < second ? limit->rlim_max : second;
	return second < INT64_MAX / NS_PER_SECOND ? second * NS_PER_SECOND : TIME_NEVER;
}

static uint64_t until(uint64_t due, uint64_t used)
{
	if (due == TIME_NEVER)
		return TIME_NEVER;
	return due > used ? due - used : 0;
}

static uint64_t least(uint64_t left, uint64_t right)
{
	return left < right ? left : right;
}

/* Starts the timer for the next time at which a process that has used so much may have used enough. */
static void arm_cpu(struct process *process, struct thread_times used)
{
	struct process_signals *signals = &process->signals;
	uint64_t step = until(limit_due(process), total(used));

	if (signals->virtual.when != 0)
		step = least(step, until(signals->virtual.when, used.user_ns));
	if (signals->profile.when != 0)
		step = least(step, until(signals->profile.when, total(used)));
	if (step == TIME_NEVER)
		timer_cancel(&signals->cpu_timer);
	else
		timer_start(&signals->cpu_timer,
			    time_after((int64_t)(step < SHORTEST_STEP_NS ? SHORTEST_STEP_NS : step)));
}

static void expire(struct process *process, struct interval_timer *timer, uint64_t used, int signo)
{
	if (timer->when == 0 || timer->when > used)
		return;
	send_locked(process, signo);
	skip_expired(timer, used);
}

static void check_limit(struct process *process, uint64_t used)
{
	uint64_t seconds = used / NS_PER_SECOND;

	if (used < limit_due(process))
		return;
	process->signals.cpu_seconds_told = seconds;
	send_locked(process, seconds >= process->limits[RLIMIT_CPU].rlim_max ? SIGKILL : SIGXCPU);
}

static void fire_cpu(struct timer *timer)
{
	struct process *process = owner_of_cpu(timer);
	struct process_signals *signals = &process->signals;
	struct thread_times used = process_times(process);

	spin_lock(&signals->lock);
	expire(process, &signals->virtual, used.user_ns, SIGVTALRM);
	expire(process, &signals->profile, total(used), SIGPROF);
	check_limit(process, total(used));
	if (!signals->ended)
		arm_cpu(process, used);
	spin_unlock(&signals->lock);
}

void signal_cpu_limited(struct process *process)
{
	struct process_signals *signals = &process->signals;

	spin_lock(&signals->lock);
	signals->cpu_seconds_told = 0;
	if (!signals->ended)
		timer_start(&signals->cpu_timer, time_after(SHORTEST_STEP_NS));
	spin_unlock(&signals->lock);
}

void itimers_init(struct process *process)
{
	timer_init(&process->signals.real_timer, fire_real);
	timer_init(&process->signals.cpu_timer, fire_cpu);
}

void itimers_end(struct process *process)
{
	struct process_signals *signals = &process->signals;

	spin_lock(&signals->lock);
	signals->ended = true;
	signals->real.when = signals->virtual.when = signals->profile.when = 0;
	spin_unlock(&signals->lock);
	timer_cancel_wait(&signals->real_timer);
	timer_cancel_wait(&signals->cpu_timer);
}

/* ---- The calls ------------------------------------------------------------------------------------------- */

static struct interval_timer *find(struct process_signals *signals, int which)
{
	if (which == ITIMER_REAL)
		return &signals->real;
	if (which == ITIMER_VIRTUAL)
		return &signals->virtual;
	return which == ITIMER_PROF ? &signals->profile : NULL;
}

/* What the timer's clock says now. */
static uint64_t clock_of(struct process *process, int which)
{
	struct thread_times used;

	if (which == ITIMER_REAL)
		return time_nanoseconds();
	used = process_times(process);
	return which == ITIMER_VIRTUAL ? used.user_ns : total(used);
}

/* How long until it expires next: at least something while it is set. */
static uint64_t left(const struct interval_timer *timer, uint64_t now)
{
	struct interval_timer next = *timer;

	if (timer->when == 0)
		return 0;
	if (timer->when <= now)
		skip_expired(&next, now);
	return next.when > now ? next.when - now : NS_PER_US;
}

/* Sets it to expire after `wait` (0: never), and says what it was set to: the time left, and the interval. */
static struct interval_timer exchange(struct process *process, int which, uint64_t wait, uint64_t interval)
{
	struct process_signals *signals = &process->signals;
	struct interval_timer *timer = find(signals, which), old;
	uint64_t now = clock_of(process, which);
	struct thread_times used = process_times(process);

	spin_lock(&signals->lock);
	old = (struct interval_timer){left(timer, now), timer->interval};
	*timer = (struct interval_timer){wait ? now + wait : 0, wait ? interval : 0};
	if (which != ITIMER_REAL)
		arm_cpu(process, used);
	else if (wait)
		timer_start(&signals->real_timer, timer->when);
	else
		timer_cancel(&signals->real_timer);
	spin_unlock(&signals->lock);
	return old;
}

/* Rounded up to microseconds: what is set does not look as if it were not. */
static struct timeval to_timeval(uint64_t nanoseconds)
{
	uint64_t us = (nanoseconds + NS_PER_US - 1) / NS_PER_US, per_second = NS_PER_SECOND / NS_PER_US;

	return (struct timeval){(__kernel_old_time_t)(us / per_second),
				(__kernel_suseconds_t)(us % per_second)};
}

static int from_timeval(const struct timeval *time, uint64_t *nanoseconds)
{
	const int64_t longest = INT64_MAX / 4 / NS_PER_SECOND; /* sums do not overflow */
	int64_t seconds = time->tv_sec < longest ? time->tv_sec : longest;

	if (time->tv_sec < 0 || time->tv_usec < 0 || time->tv_usec >= NS_PER_SECOND / NS_PER_US)
		return -EINVAL;
	*nanoseconds = (uint64_t)(seconds * NS_PER_SECOND + time->tv_usec * NS_PER_US);
	return 0;
}

static int put_timer(vaddr_t to, const struct interval_timer *timer)
{
	const struct itimerval value = {to_timeval(timer->interval), to_timeval(timer->when)};

	return copy_to_user(to, &value, sizeof(value));
}

int64_t sys_getitimer(struct task *task, struct trapframe *frame)
{
	struct process_signals *signals = &task->process->signals;
	int which = (int)frame->rdi;
	struct interval_timer *timer = find(signals, which), now;
	uint64_t time;

	if (!timer)
		return -EINVAL;
	time = clock_of(task->process, which);
	spin_lock(&signals->lock);
	now = (struct interval_timer){left(timer, time), timer->interval};
	spin_unlock(&signals->lock);
	return put_timer(frame->rsi, &now);
}

int64_t sys_setitimer(struct task *task, struct trapframe *frame)
{
	struct itimerval value = {{0, 0}, {0, 0}};
	int which = (int)frame->rdi;
	struct interval_timer old;
	uint64_t wait, interval;

	if (frame->rsi && copy_from_user(&value, frame->rsi, sizeof(value)) != 0)
		return -EFAULT;
	if (!find(&task->process->signals, which) || from_timeval(&value.it_value, &wait) != 0 ||
	    from_timeval(&value.it_interval, &interval) != 0)
		return -EINVAL;
	old = exchange(task->process, which, wait, interval);
	return frame->rdx ? put_timer(frame->rdx, &old) : 0;
}

/* Seconds that were left, rounded, but not to 0. */
int64_t sys_alarm(struct task *task, struct trapframe *frame)
{
	uint64_t wait = (unsigned)frame->rdi * (uint64_t)NS_PER_SECOND;
	uint64_t before = exchange(task->process, ITIMER_REAL, wait, 0).when;

	if (before > 0 && before < NS_PER_SECOND)
		return 1;
	return (int64_t)((before + NS_PER_SECOND / 2) / NS_PER_SECOND);
}
