/*
 * System calls on time: clocks and sleeping.
 *
 * The clock itself is kern/core/time.c's; most programs read it without a call (kern/arch/x86_64/vdso). Timers are in timers.c and itimer.c.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/time.h>

#include "signal_internal.h"
#include "syscall.h"
#include "times.h"

/* How often who waits for CPU time to pass looks at it at most. */
#define CPU_TIME_STEP_NS 1000000l

/* A clock's number that is negative is ~pid and these three bits (clock_getcpuclockid(3), as C libraries make it). */
#define CPU_CLOCK_BITS    3
#define CPU_CLOCK_KIND    3u
#define CPU_CLOCK_USER    1u
#define CPU_CLOCK_INVALID 3u
#define CPU_CLOCK_OF_TASK 4u

/* ---- Times in user memory ------------------------------------------------------------------------ */

int time_to_user(vaddr_t to, int64_t nanoseconds)
{
	const struct timespec time = {nanoseconds / NS_PER_SECOND, nanoseconds % NS_PER_SECOND};

	return copy_to_user(to, &time, sizeof(time));
}

int time_from_user(vaddr_t from, int64_t *out)
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

uint64_t time_after(int64_t nanoseconds)
{
	uint64_t now = time_nanoseconds();

	if (nanoseconds < 0)
		return now;
	return (uint64_t)nanoseconds > INT64_MAX - now ? INT64_MAX : now + (uint64_t)nanoseconds;
}

int time_deadline_from_user(vaddr_t from, uint64_t *deadline)
{
	int64_t wait;
	int error = time_from_user(from, &wait);

	if (!error)
		*deadline = time_after(wait);
	return error;
}

/* ---- Clocks ------------------------------------------------------------------------------------------ */

/* Numbers that are negative name a process, or a task; 0 is the caller's. */
static int find_cpu_clock(const struct task *task, int number, struct clock *clock)
{
	unsigned kind = (unsigned)number & CPU_CLOCK_KIND;

	if (kind == CPU_CLOCK_INVALID)
		return -EINVAL;
	*clock = (struct clock){
		.kind = CLOCK_KIND_CPU,
		.waits = true,
		.of_task = (unsigned)number & CPU_CLOCK_OF_TASK,
		.user = kind == CPU_CLOCK_USER,
		.id = ~(number >> CPU_CLOCK_BITS),
	};
	if (clock->id == 0)
		clock->id = clock->of_task ? task->tid : task->process->pid;
	return 0;
}

int clock_find(const struct task *task, int number, struct clock *clock)
{
	static const struct clock known[] = {
		[CLOCK_REALTIME] = {.kind = CLOCK_KIND_REAL, .waits = true},
		[CLOCK_MONOTONIC] = {.kind = CLOCK_KIND_BOOT, .waits = true},
		[CLOCK_PROCESS_CPUTIME_ID] = {.kind = CLOCK_KIND_CPU, .waits = true},
		[CLOCK_THREAD_CPUTIME_ID] = {.kind = CLOCK_KIND_CPU, .own_task = true, .of_task = true},
		[CLOCK_MONOTONIC_RAW] = {.kind = CLOCK_KIND_BOOT},
		[CLOCK_REALTIME_COARSE] = {.kind = CLOCK_KIND_REAL},
		[CLOCK_MONOTONIC_COARSE] = {.kind = CLOCK_KIND_BOOT},
		[CLOCK_BOOTTIME] = {.kind = CLOCK_KIND_BOOT, .waits = true},
	};

	if (number < 0)
		return find_cpu_clock(task, number, clock);
	if (number == CLOCK_TAI) {
		*clock = known[CLOCK_REALTIME];
		return 0;
	}
	if ((size_t)number >= sizeof(known) / sizeof(known[0]))
		return -EINVAL;
	*clock = known[number];
	if (clock->kind == CLOCK_KIND_CPU)
		clock->id = clock->of_task ? task->tid : task->process->pid;
	return 0;
}

struct thread_times process_times(struct process *process)
{
	struct usage_counts usage;

	spin_lock(&process_lock);
	usage = process_usage_locked(process);
	spin_unlock(&process_lock);
	return (struct thread_times){usage.user_ns, usage.kernel_ns};
}

static int read_cpu_clock(const struct clock *clock, int64_t *now)
{
	struct thread_times times = {0, 0};
	struct process *process;
	struct task *task;
	bool found;

	spin_lock(&process_lock);
	if (clock->of_task) {
		task = task_find_locked(clock->id);
		found = task != NULL;
		if (found)
			times = thread_times(&task->thread);
	} else {
		process = process_find_locked(clock->id);
		found = process != NULL;
		if (found) {
			struct usage_counts usage = process_usage_locked(process);

			times = (struct thread_times){usage.user_ns, usage.kernel_ns};
		}
	}
	spin_unlock(&process_lock);
	*now = (int64_t)(times.user_ns + (clock->user ? 0 : times.kernel_ns));
	return found ? 0 : -EINVAL;
}

int clock_read(const struct clock *clock, int64_t *now)
{
	if (clock->kind == CLOCK_KIND_CPU)
		return read_cpu_clock(clock, now);
	*now = (int64_t)time_nanoseconds();
	if (clock->kind == CLOCK_KIND_REAL)
		*now += time_realtime_offset();
	return 0;
}

enum timer_clock clock_timer(const struct clock *clock)
{
	ASSERT(clock->kind != CLOCK_KIND_CPU);
	return clock->kind == CLOCK_KIND_REAL ? TIMER_DAY : TIMER_BOOT;
}

uint64_t clock_to_boot(const struct clock *clock, int64_t time)
{
	if (clock->kind == CLOCK_KIND_REAL)
		time -= time_realtime_offset();
	return time > 0 ? (uint64_t)time : 0;
}

/* ---- Reading and setting ---------------------------------------------------------------------------- */

int64_t sys_clock_gettime(struct task *task, struct trapframe *frame)
{
	struct clock clock;
	int64_t now;
	int error = clock_find(task, (int)frame->rdi, &clock);

	if (!error)
		error = clock_read(&clock, &now);
	return error ? error : time_to_user(frame->rsi, now);
}

int64_t sys_clock_getres(struct task *task, struct trapframe *frame)
{
	struct clock clock;
	int64_t now;
	int error = clock_find(task, (int)frame->rdi, &clock);

	if (!error)
		error = clock_read(&clock, &now);
	if (error || frame->rsi == 0)
		return error;
	return time_to_user(frame->rsi, 1);
}

static void set_realtime(int64_t now)
{
	time_set_realtime_offset(now - (int64_t)time_nanoseconds());
}

int64_t sys_clock_settime(struct task *task, struct trapframe *frame)
{
	int64_t now;
	int error;

	if ((int)frame->rdi != CLOCK_REALTIME)
		return -EINVAL;
	error = time_from_user(frame->rsi, &now);
	if (error)
		return error;
	if (now == INT64_MAX)
		return -EINVAL;
	if (!task_capable(task, CAP_SYS_TIME))
		return -EPERM;
	set_realtime(now);
	return 0;
}

int64_t sys_gettimeofday(struct task *task, struct trapframe *frame)
{
	const struct timezone zone = {0, 0};
	int64_t now = (int64_t)time_nanoseconds() + time_realtime_offset();
	const struct timeval time = {now / NS_PER_SECOND, now % NS_PER_SECOND / NS_PER_US};
	int error = frame->rdi ? copy_to_user(frame->rdi, &time, sizeof(time)) : 0;

	(void)task;
	if (!error && frame->rsi)
		error = copy_to_user(frame->rsi, &zone, sizeof(zone));
	return error;
}

/* A time zone is read, and forgotten. */
int64_t sys_settimeofday(struct task *task, struct trapframe *frame)
{
	struct timezone zone;
	struct timeval time;

	if (frame->rdi && copy_from_user(&time, frame->rdi, sizeof(time)) != 0)
		return -EFAULT;
	if (frame->rsi && copy_from_user(&zone, frame->rsi, sizeof(zone)) != 0)
		return -EFAULT;
	if (!frame->rdi)
		return 0;
	if (time.tv_sec < 0 || time.tv_sec >= INT64_MAX / NS_PER_SECOND || time.tv_usec < 0 ||
	    time.tv_usec >= NS_PER_SECOND / NS_PER_US)
		return -EINVAL;
	if (!task_capable(task, CAP_SYS_TIME))
		return -EPERM;
	set_realtime(time.tv_sec * NS_PER_SECOND + time.tv_usec * NS_PER_US);
	return 0;
}

int64_t sys_time(struct task *task, struct trapframe *frame)
{
	int64_t now = ((int64_t)time_nanoseconds() + time_realtime_offset()) / NS_PER_SECOND;

	(void)task;
	if (frame->rdi && copy_to_user(frame->rdi, &now, sizeof(now)) != 0)
		return -EFAULT;
	return now;
}

/* ---- Sleeping ----------------------------------------------------------------------------------------- */

/* 0, or -EINTR. */
static int sleep_until_by(enum timer_clock clock, uint64_t deadline)
{
	int status;

	do {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		status = thread_sleep_by(clock, deadline);
	} while (!status);
	thread_sleep_end();
	return status == -EINTR ? -EINTR : 0;
}

/* Until a time since boot. */
static int sleep_until(uint64_t deadline)
{
	return sleep_until_by(TIMER_BOOT, deadline);
}

/* Until a process has used so much CPU time: it is looked at when it might have. */
static int sleep_until_used(const struct clock *clock, int64_t target)
{
	int64_t now;
	int error;

	while ((error = clock_read(clock, &now)) == 0 && now < target) {
		int64_t wait = target - now < CPU_TIME_STEP_NS ? CPU_TIME_STEP_NS : target - now;

		if (sleep_until(time_after(wait)) != 0)
			return -EINTR;
	}
	return error;
}

static int64_t interrupted(struct restart_block *block, uint64_t deadline, vaddr_t remaining);

static int64_t sleep_on(struct task *task, struct restart_block *block)
{
	(void)task;
	if (sleep_until(block->deadline) == 0)
		return 0;
	return interrupted(block, block->deadline, block->argument[0]);
}

/* Says how much time is left, and how it goes on if there is no handler. */
static int64_t interrupted(struct restart_block *block, uint64_t deadline, vaddr_t remaining)
{
	uint64_t now = time_nanoseconds();

	if (now >= deadline)
		return 0;
	if (remaining && time_to_user(remaining, (int64_t)(deadline - now)) != 0)
		return -EFAULT;
	*block = (struct restart_block){.call = sleep_on, .deadline = deadline, .argument = {remaining}};
	return -ERESTART_RESTARTBLOCK;
}

static int64_t sleep_for(struct task *task, int64_t wait, vaddr_t remaining)
{
	uint64_t deadline = time_after(wait);

	if (sleep_until(deadline) == 0)
		return 0;
	return interrupted(&task->signals.restart, deadline, remaining);
}

int64_t sys_nanosleep(struct task *task, struct trapframe *frame)
{
	int64_t wait;
	int error = time_from_user(frame->rdi, &wait);

	return error ? error : sleep_for(task, wait, frame->rsi);
}

static int64_t sleep_on_used(struct task *task, struct restart_block *block);

/* Until the clock of CPU time with this number shows so much; as sleep_for(), it says how much was left. */
static int64_t sleep_for_used(struct task *task, int number, int64_t target, vaddr_t remaining)
{
	struct clock clock;
	int64_t now;
	int error = clock_find(task, number, &clock);

	if (!error)
		error = sleep_until_used(&clock, target);
	if (error != -EINTR || clock_read(&clock, &now) != 0 || now >= target)
		return error == -EINTR ? 0 : error;
	if (remaining && time_to_user(remaining, target - now) != 0)
		return -EFAULT;
	task->signals.restart = (struct restart_block){.call = sleep_on_used,
						       .deadline = (uint64_t)target,
						       .argument = {remaining, (uint64_t)number}};
	return -ERESTART_RESTARTBLOCK;
}

static int64_t sleep_on_used(struct task *task, struct restart_block *block)
{
	return sleep_for_used(task, (int)block->argument[1], (int64_t)block->deadline, block->argument[0]);
}

static int64_t sleep_by_cpu_time(struct task *task, const struct clock *clock, int64_t time,
				 const struct trapframe *frame)
{
	int64_t now;
	int error;

	if (frame->rsi & TIMER_ABSTIME) {
		error = sleep_until_used(clock, time);
		return error == -EINTR ? -ERESTARTNOHAND : error;
	}
	error = clock_read(clock, &now);
	if (error)
		return error;
	return sleep_for_used(task, (int)frame->rdi, time > INT64_MAX - now ? INT64_MAX : now + time,
			      frame->r10);
}

int64_t sys_clock_nanosleep(struct task *task, struct trapframe *frame)
{
	bool absolute = frame->rsi & TIMER_ABSTIME;
	struct clock clock;
	int64_t time;
	int error = clock_find(task, (int)frame->rdi, &clock);

	if (error)
		return error;
	if (!clock.waits)
		return -EOPNOTSUPP;
	error = time_from_user(frame->rdx, &time);
	if (error)
		return error;
	if (clock.kind == CLOCK_KIND_CPU)
		return clock.of_task && clock.id == task->tid ? -EINVAL
							      : sleep_by_cpu_time(task, &clock, time, frame);
	if (!absolute)
		return sleep_for(task, time, frame->r10);
	return sleep_until_by(clock_timer(&clock), (uint64_t)time) == 0 ? 0 : -ERESTARTNOHAND;
}
