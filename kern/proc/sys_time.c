/*
 * System calls on time: clocks and sleeping.
 *
 * The clock itself is kern/core/time.c's. The clocks of processes and threads count all the time
 * since the program started: there is nothing else that could run.
 */
#include <asm/errno.h>
#include <linux/time.h>

#include "syscall.h"

#define NS_PER_SECOND 1000000000l
#define NS_PER_US     1000l

/* What a clock says now, in nanoseconds. -EINVAL: no such clock. */
static int read_clock(const struct process *process, uint64_t clock, int64_t *out)
{
	int64_t now = (int64_t)time_nanoseconds();

	switch ((int)clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		*out = now + time_realtime_offset();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		*out = now;
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		*out = now - (int64_t)process->start_time;
		return 0;
	default:
		return -EINVAL;
	}
}

static int put_timespec(vaddr_t to, int64_t nanoseconds)
{
	const struct timespec time = {nanoseconds / NS_PER_SECOND, nanoseconds % NS_PER_SECOND};

	return copy_to_user(to, &time, sizeof(time));
}

/* Reads a time that is not negative, cut to what 64 bits hold. */
static int get_timespec(vaddr_t from, int64_t *out)
{
	struct timespec time;

	if (copy_from_user(&time, from, sizeof(time)) != 0)
		return -EFAULT;
	if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= NS_PER_SECOND)
		return -EINVAL;
	*out = time.tv_sec >= INT64_MAX / NS_PER_SECOND ? INT64_MAX
							: time.tv_sec * NS_PER_SECOND + time.tv_nsec;
	return 0;
}

int64_t sys_clock_gettime(struct task *task, struct trapframe *frame)
{
	int64_t now;
	int error = read_clock(task->process, frame->rdi, &now);

	return error ? error : put_timespec(frame->rsi, now);
}

int64_t sys_clock_getres(struct task *task, struct trapframe *frame)
{
	int64_t now;
	int error = read_clock(task->process, frame->rdi, &now);

	if (error || frame->rsi == 0)
		return error;
	return put_timespec(frame->rsi, 1);
}

int64_t sys_gettimeofday(struct task *task, struct trapframe *frame)
{
	const struct timezone zone = {0, 0};
	struct timeval time;
	int64_t now;
	int error;

	read_clock(task->process, CLOCK_REALTIME, &now);
	time = (struct timeval){now / NS_PER_SECOND, now % NS_PER_SECOND / NS_PER_US};
	error = frame->rdi ? copy_to_user(frame->rdi, &time, sizeof(time)) : 0;
	if (!error && frame->rsi)
		error = copy_to_user(frame->rsi, &zone, sizeof(zone));
	return error;
}

int64_t sys_time(struct task *task, struct trapframe *frame)
{
	int64_t now;

	read_clock(task->process, CLOCK_REALTIME, &now);
	now /= NS_PER_SECOND;
	if (frame->rdi && copy_to_user(frame->rdi, &now, sizeof(now)) != 0)
		return -EFAULT;
	return now;
}

/*
 * Sleeps for `wait` more nanoseconds. Nothing interrupts it, so that there is never time remaining to
 * tell of.
 */
static void sleep_for(int64_t wait)
{
	uint64_t now = time_nanoseconds();

	if (wait > 0)
		time_sleep_until((uint64_t)wait > INT64_MAX - now ? INT64_MAX : now + (uint64_t)wait);
}

int64_t sys_nanosleep(struct task *task, struct trapframe *frame)
{
	int64_t wait;
	int error = get_timespec(frame->rdi, &wait);

	(void)task;
	if (!error)
		sleep_for(wait);
	return error;
}

int64_t sys_clock_nanosleep(struct task *task, struct trapframe *frame)
{
	int64_t now, wait;
	int error = read_clock(task->process, frame->rdi, &now);

	/* The manual page: a thread cannot sleep by its own CPU time. */
	if (error || (int)frame->rdi == CLOCK_THREAD_CPUTIME_ID || (frame->rsi & ~(uint64_t)TIMER_ABSTIME))
		return -EINVAL;
	error = get_timespec(frame->rdx, &wait);
	if (error)
		return error;
	sleep_for(frame->rsi & TIMER_ABSTIME ? wait - now : wait);
	return 0;
}
