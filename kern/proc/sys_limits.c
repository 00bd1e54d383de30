/*
 * System calls on what processes may use and have used: limits, usage, priorities and scheduling policies.
 *
 * How threads of which policy and niceness are served is kern/core/run_queue.h's.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/time.h>
#include <linux/times.h>
#include <vm/layout.h>

#include "process_internal.h"

#define NS_PER_SECOND   1000000000ul
#define NICE_A_LEVEL    5        /* so many are one priority of I/O */
#define UTIL_MOST       1024     /* a whole CPU: what util_max is that nobody has set */
#define OPEN_FILES_EVER 1048576u /* RLIMIT_NOFILE goes no higher: Linux's fs.nr_open */

/* ---- Limits ------------------------------------------------------------------------------------------------- */

static int check_limit(const struct task *task, const struct process *process, unsigned resource,
		       const struct rlimit64 *limit)
{
	if (limit->rlim_cur > limit->rlim_max)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && limit->rlim_max > OPEN_FILES_EVER)
		return -EPERM;
	if (limit->rlim_max > process->limits[resource].rlim_max && !task_capable(task, CAP_SYS_RESOURCE))
		return -EPERM;
	return 0;
}

/* May the task see and set another process's limits (prlimit(2))? */
static bool may_limit(const struct task *task, const struct process *process)
{
	const struct credentials *own = &task->process->credentials, *other = &process->credentials;
	uint32_t user = own->user.real, group = own->group.real;

	if (process == task->process || task_capable(task, CAP_SYS_RESOURCE))
		return true;
	return user == other->user.real && user == other->user.effective && user == other->user.saved &&
	       group == other->group.real && group == other->group.effective && group == other->group.saved;
}

/* rlimit and rlimit64 are the same on x86-64. */
static int64_t limit_call(struct task *task, int pid, unsigned resource, vaddr_t new_limit, vaddr_t old_limit)
{
	struct rlimit64 limit, before = {0, 0};
	struct process *process;
	int error = 0;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new_limit && copy_from_user(&limit, new_limit, sizeof(limit)) != 0)
		return -EFAULT;
	spin_lock(&process_lock);
	process = pid == 0 ? task->process : process_find_locked(pid);
	if (!process)
		error = -ESRCH;
	else if (!may_limit(task, process))
		error = -EPERM;
	else if (new_limit)
		error = check_limit(task, process, resource, &limit);
	if (!error)
		before = process->limits[resource];
	if (!error && new_limit)
		process->limits[resource] = limit;
	if (!error && new_limit && resource == RLIMIT_CPU)
		signal_cpu_limited(process);
	spin_unlock(&process_lock);
	if (!error && old_limit && copy_to_user(old_limit, &before, sizeof(before)) != 0)
		return -EFAULT;
	return error;
}

int64_t sys_getrlimit(struct task *task, struct trapframe *frame)
{
	return frame->rsi ? limit_call(task, 0, (unsigned)frame->rdi, 0, frame->rsi) : -EFAULT;
}

int64_t sys_setrlimit(struct task *task, struct trapframe *frame)
{
	return frame->rsi ? limit_call(task, 0, (unsigned)frame->rdi, frame->rsi, 0) : -EFAULT;
}

int64_t sys_prlimit64(struct task *task, struct trapframe *frame)
{
	return limit_call(task, (int)frame->rdi, (unsigned)frame->rsi, frame->rdx, frame->r10);
}

/* ---- Usage -------------------------------------------------------------------------------------------------- */

int64_t sys_getrusage(struct task *task, struct trapframe *frame)
{
	struct process *process = task->process;
	struct usage_counts used;
	struct rusage usage;

	user_space_most_pages(process->space);
	spin_lock(&process_lock);
	switch ((int)frame->rdi) {
	case RUSAGE_SELF:
		used = process_usage_locked(process);
		break;
	case RUSAGE_CHILDREN:
		used = process->reaped;
		break;
	case RUSAGE_THREAD:
		used = task_usage(task);
		break;
	default:
		spin_unlock(&process_lock);
		return -EINVAL;
	}
	spin_unlock(&process_lock);
	if ((int)frame->rdi != RUSAGE_CHILDREN && process->space->most_pages > used.most_pages)
		used.most_pages = process->space->most_pages;
	usage = rusage_of(&used);
	return copy_to_user(frame->rsi, &usage, sizeof(usage));
}

int64_t sys_times(struct task *task, struct trapframe *frame)
{
	struct usage_counts own, children;
	struct tms times;

	spin_lock(&process_lock);
	own = process_usage_locked(task->process);
	children = task->process->reaped;
	spin_unlock(&process_lock);
	times = (struct tms){
		.tms_utime = (__kernel_clock_t)(own.user_ns / NS_PER_CLOCK_TICK),
		.tms_stime = (__kernel_clock_t)(own.kernel_ns / NS_PER_CLOCK_TICK),
		.tms_cutime = (__kernel_clock_t)(children.user_ns / NS_PER_CLOCK_TICK),
		.tms_cstime = (__kernel_clock_t)(children.kernel_ns / NS_PER_CLOCK_TICK),
	};
	if (frame->rdi && copy_to_user(frame->rdi, &times, sizeof(times)) != 0)
		return -EFAULT;
	return (int64_t)(time_nanoseconds() / NS_PER_CLOCK_TICK);
}

/* ---- How tasks are served ------------------------------------------------------------------------------------- */

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* SCHED_BATCH is no other than SCHED_NORMAL: nobody takes the CPU from who is as nice. */
void task_apply_schedule(struct task *task)
{
	if (is_realtime(task->policy))
		thread_set_urgency(&task->thread, URGENCY_REALTIME(task->priority),
				   task->policy == SCHED_RR ? ROUND_ROBIN_TURN_NS : TURN_ENDLESS);
	else
		thread_set_urgency(&task->thread,
				   task->policy == SCHED_IDLE ? URGENCY_IDLE : URGENCY_NICE(task->nice),
				   TURN_NS);
}

/* ---- Niceness ------------------------------------------------------------------------------------------------- */

/* Whose niceness is meant (getpriority(2)). */
struct whose {
	int which; /* PRIO_... */
	int id;    /* of the task, group or user; 0: the caller's own */
};

/* Is the task one of those? The table is locked. */
static bool is_meant(const struct whose *whose, const struct task *caller, const struct task *task)
{
	int id = whose->id;

	switch (whose->which) {
	case PRIO_PROCESS:
		return id == 0 ? task == caller : task->tid == id;
	case PRIO_PGRP:
		return id == 0 ? task->process->group == caller->process->group
			       : task->process->group->id == id;
	default:
		return id == 0 ? task->process->credentials.user.real ==
					 caller->process->credentials.user.real
			       : task->process->credentials.user.real == (uint32_t)id;
	}
}

static bool may_renice(const struct task *caller, const struct task *task)
{
	uint32_t user = caller->process->credentials.user.effective;
	const struct identity *other = &task->process->credentials.user;

	return user == other->real || user == other->effective || task_capable(caller, CAP_SYS_NICE);
}

/* Does the task's limit allow the niceness to who has no privilege? It counts from 1, the least urgent, to 40. */
static bool limit_allows(const struct task *task, int nice)
{
	return (uint64_t)(NICE_MOST + 1 - nice) <= task->process->limits[RLIMIT_NICE].rlim_cur;
}

static int renice(const struct task *caller, struct task *task, int nice)
{
	if (!may_renice(caller, task))
		return -EPERM;
	if (nice < task->nice && !limit_allows(task, nice) && !task_capable(caller, CAP_SYS_NICE))
		return -EACCES;
	task->nice = nice;
	task_apply_schedule(task);
	return 0;
}

/* Calls `visit` for each task that is meant. 0, -ESRCH: there is none, or the last error. */
static int64_t for_all_meant(const struct whose *whose, struct task *caller,
			     int (*visit)(struct task *caller, struct task *task, int *value), int *value)
{
	struct process *process = NULL, *next;
	int64_t result = -ESRCH;
	struct task *task;

	for (next = process_next(0); next; next = process_next(process->pid)) {
		if (process)
			process_unref(process);
		process = next;
		spin_lock(&process_lock);
		TAILQ_FOREACH(task, &process->tasks, link)
		{
			if (!is_meant(whose, caller, task))
				continue;
			if (result == -ESRCH)
				result = 0;
			if (visit(caller, task, value) != 0)
				result = visit(caller, task, value);
		}
		spin_unlock(&process_lock);
	}
	if (process)
		process_unref(process);
	return result;
}

static int set_one(struct task *caller, struct task *task, int *value)
{
	return renice(caller, task, *value);
}

static int find_lowest(struct task *caller, struct task *task, int *value)
{
	(void)caller;
	if (task->nice < *value)
		*value = task->nice;
	return 0;
}

int64_t sys_setpriority(struct task *task, struct trapframe *frame)
{
	const struct whose whose = {(int)frame->rdi, (int)frame->rsi};
	int nice = (int)frame->rdx;

	if (whose.which < PRIO_PROCESS || whose.which > PRIO_USER)
		return -EINVAL;
	nice = nice < NICE_LEAST ? NICE_LEAST : nice;
	nice = nice > NICE_MOST ? NICE_MOST : nice;
	return for_all_meant(&whose, task, set_one, &nice);
}

/* The call itself gives 40 to 1 for -20 to 19, so that no value looks like an error. */
int64_t sys_getpriority(struct task *task, struct trapframe *frame)
{
	const struct whose whose = {(int)frame->rdi, (int)frame->rsi};
	int nice = NICE_MOST;
	int64_t error;

	if (whose.which < PRIO_PROCESS || whose.which > PRIO_USER)
		return -EINVAL;
	error = for_all_meant(&whose, task, find_lowest, &nice);
	return error ? error : NICE_MOST + 1 - nice;
}

/* ---- Priorities of I/O (ioprio_set(2)) ------------------------------------------------------------------------- */

/* Disks serve all alike. */
static int check_io_priority(const struct task *task, int priority)
{
	int level = IOPRIO_PRIO_DATA(priority);

	switch (IOPRIO_PRIO_CLASS(priority)) {
	case IOPRIO_CLASS_RT:
		if (!task_capable(task, CAP_SYS_ADMIN) && !task_capable(task, CAP_SYS_NICE))
			return -EPERM;
		return level < IOPRIO_NR_LEVELS ? 0 : -EINVAL;
	case IOPRIO_CLASS_BE:
		return level < IOPRIO_NR_LEVELS ? 0 : -EINVAL;
	case IOPRIO_CLASS_IDLE:
		return 0;
	default:
		return IOPRIO_PRIO_CLASS(priority) == IOPRIO_CLASS_NONE && level == 0 ? 0 : -EINVAL;
	}
}

static int set_io_priority(struct task *caller, struct task *task, int *value)
{
	uint32_t owner = task->process->credentials.user.real;
	const struct identity *user = &caller->process->credentials.user;

	if (owner != user->effective && owner != user->real && !task_capable(caller, CAP_SYS_NICE))
		return -EPERM;
	task->io_priority = *value;
	return 0;
}

/* Who has not set any has one by niceness, where several are asked for. */
static int find_best_io_priority(struct task *caller, struct task *task, int *value)
{
	int priority = task->io_priority;

	(void)caller;
	if (priority == 0)
		priority = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, (task->nice - NICE_LEAST) / NICE_A_LEVEL);
	if (*value == 0 || priority < *value)
		*value = priority;
	return 0;
}

static int get_io_priority(struct task *caller, struct task *task, int *value)
{
	(void)caller;
	*value = task->io_priority;
	return 0;
}

/* IOPRIO_WHO_... are the same three as PRIO_..., from 1 on. */
static struct whose whose_io(const struct trapframe *frame)
{
	return (struct whose){(int)frame->rdi - IOPRIO_WHO_PROCESS + PRIO_PROCESS, (int)frame->rsi};
}

int64_t sys_ioprio_set(struct task *task, struct trapframe *frame)
{
	const struct whose whose = whose_io(frame);
	int priority = (int)frame->rdx;
	int error = check_io_priority(task, priority);

	if (!error && (whose.which < PRIO_PROCESS || whose.which > PRIO_USER))
		error = -EINVAL;
	return error ? error : for_all_meant(&whose, task, set_io_priority, &priority);
}

int64_t sys_ioprio_get(struct task *task, struct trapframe *frame)
{
	const struct whose whose = whose_io(frame);
	int priority = 0;
	int64_t error;

	if (whose.which < PRIO_PROCESS || whose.which > PRIO_USER)
		return -EINVAL;
	error = for_all_meant(&whose, task,
			      whose.which == PRIO_PROCESS ? get_io_priority : find_best_io_priority,
			      &priority);
	return error ? error : priority;
}

/* ---- Scheduling policies ---------------------------------------------------------------------------------------- */

/* The task of a number, 0 being the caller; NULL: none. The table is locked. */
static struct task *find_or_own(struct task *task, int tid)
{
	return tid == 0 ? task : task_find_locked(tid);
}

/* Without privilege as sched(7) has it. */
static int check_policy(const struct task *caller, const struct task *task, int policy, int priority)
{
	bool realtime = is_realtime(policy);
	uint64_t most;

	if (!realtime && policy != SCHED_NORMAL && policy != SCHED_BATCH && policy != SCHED_IDLE)
		return -EINVAL;
	if (realtime ? priority < 1 || priority > REALTIME_MOST : priority != 0)
		return -EINVAL;
	if (task_capable(caller, CAP_SYS_NICE))
		return 0;
	if (!may_renice(caller, task))
		return -EPERM;
	if (task->policy == SCHED_IDLE && policy != SCHED_IDLE && !limit_allows(task, task->nice))
		return -EPERM;
	/* What it has already it may have less of, whatever the limit. */
	most = task->process->limits[RLIMIT_RTPRIO].rlim_cur;
	if (realtime && ((policy != task->policy && most == 0) ||
			 (priority > task->priority && (uint64_t)priority > most)))
		return -EPERM;
	return 0;
}

/* Only who may raise niceness at will may take SCHED_RESET_ON_FORK back. */
static bool may_reset(const struct task *caller, const struct task *task, bool resets)
{
	return resets || !task->resets || task_capable(caller, CAP_SYS_NICE);
}

/* `policy` -1: as it is, and the flag, too; else it may have SCHED_RESET_ON_FORK. */
static int64_t set_policy(struct task *task, int tid, int policy, vaddr_t from)
{
	bool resets = policy >= 0 && policy & SCHED_RESET_ON_FORK;
	struct task *whose;
	int priority, error;

	if (tid < 0 || !from)
		return -EINVAL;
	if (copy_from_user(&priority, from, sizeof(priority)) != 0)
		return -EFAULT;
	spin_lock(&process_lock);
	whose = find_or_own(task, tid);
	if (policy >= 0)
		policy &= ~SCHED_RESET_ON_FORK;
	error = whose ? check_policy(task, whose, policy < 0 ? whose->policy : policy, priority) : -ESRCH;
	if (!error && policy >= 0 && !may_reset(task, whose, resets))
		error = -EPERM;
	if (!error) {
		whose->policy = policy < 0 ? whose->policy : policy;
		whose->resets = policy < 0 ? whose->resets : resets;
		whose->priority = priority;
		task_apply_schedule(whose);
	}
	spin_unlock(&process_lock);
	return error;
}

int64_t sys_sched_setscheduler(struct task *task, struct trapframe *frame)
{
	int policy = (int)frame->rsi;

	return policy < 0 ? -EINVAL : set_policy(task, (int)frame->rdi, policy, frame->rdx);
}

int64_t sys_sched_setparam(struct task *task, struct trapframe *frame)
{
	return set_policy(task, (int)frame->rdi, -1, frame->rsi);
}

/* Policy and priority of a task. 0, -EINVAL, -ESRCH. */
static int get_policy(struct task *task, int tid, int *policy, int *priority)
{
	struct task *whose;

	if (tid < 0)
		return -EINVAL;
	spin_lock(&process_lock);
	whose = find_or_own(task, tid);
	if (whose) {
		*policy = whose->policy;
		*priority = whose->priority;
	}
	spin_unlock(&process_lock);
	return whose ? 0 : -ESRCH;
}

int64_t sys_sched_getscheduler(struct task *task, struct trapframe *frame)
{
	int result = -ESRCH, tid = (int)frame->rdi;
	const struct task *whose;

	if (tid < 0)
		return -EINVAL;
	spin_lock(&process_lock);
	whose = find_or_own(task, tid);
	if (whose)
		result = whose->policy | (whose->resets ? SCHED_RESET_ON_FORK : 0);
	spin_unlock(&process_lock);
	return result;
}

int64_t sys_sched_getparam(struct task *task, struct trapframe *frame)
{
	int policy, priority, error;

	if (!frame->rsi)
		return -EINVAL;
	error = get_policy(task, (int)frame->rdi, &policy, &priority);
	return error ? error : copy_to_user(frame->rsi, &priority, sizeof(priority));
}

/* ---- sched_setattr(2), sched_getattr(2) -------------------------------------------------------------------------- */

#define KNOWN_SCHED_FLAGS (SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS)

/*
 * Reads what a program knows of the structure; what it knows more of has to be 0. 0; -EFAULT; -EINVAL; -E2BIG, and the size that is known here is written to the
 * program's.
 */
static int attributes_from_user(struct sched_attr *out, vaddr_t from)
{
	const uint32_t known = sizeof(*out);
	uint32_t size;
	uint8_t byte;

	if (copy_from_user(&size, from, sizeof(size)) != 0)
		return -EFAULT;
	size = size == 0 ? SCHED_ATTR_SIZE_VER0 : size;
	if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE) {
		(void)copy_to_user(from, &known, sizeof(known));
		return -E2BIG;
	}
	for (uint32_t at = known; at < size; at++) {
		if (copy_from_user(&byte, from + at, 1) != 0)
			return -EFAULT;
		if (byte != 0) {
			(void)copy_to_user(from, &known, sizeof(known));
			return -E2BIG;
		}
	}
	memset(out, 0, sizeof(*out));
	if (copy_from_user(out, from, size < known ? size : known) != 0)
		return -EFAULT;
	return out->sched_flags & ~(uint64_t)KNOWN_SCHED_FLAGS ? -EINVAL : 0;
}

/* The table is locked. -EINVAL, -EPERM. */
static int set_attributes_locked(struct task *caller, struct task *task, const struct sched_attr *wanted)
{
	bool keeps_policy = wanted->sched_flags & SCHED_FLAG_KEEP_POLICY;
	bool keeps_values = wanted->sched_flags & SCHED_FLAG_KEEP_PARAMS;
	bool resets = wanted->sched_flags & SCHED_FLAG_RESET_ON_FORK;
	/* As Linux: the policy is one of the values. */
	int policy = keeps_policy || keeps_values ? task->policy : (int)wanted->sched_policy;
	int priority = keeps_values ? task->priority : (int)wanted->sched_priority;
	int error = check_policy(caller, task, policy, priority);

	if (!error && !may_reset(caller, task, resets))
		error = -EPERM;
	if (!error && !keeps_values && !is_realtime(policy) && wanted->sched_nice != task->nice)
		error = renice(caller, task, wanted->sched_nice);
	if (error)
		return error;
	task->policy = policy;
	task->priority = priority;
	task->resets = resets;
	task_apply_schedule(task);
	return 0;
}

int64_t sys_sched_setattr(struct task *task, struct trapframe *frame)
{
	struct sched_attr wanted;
	struct task *whose;
	int error;

	if (!frame->rsi || (int)frame->rdi < 0 || (unsigned)frame->rdx != 0)
		return -EINVAL;
	error = attributes_from_user(&wanted, frame->rsi);
	if (error)
		return error;
	if ((int)wanted.sched_policy < 0)
		return -EINVAL;
	wanted.sched_nice = wanted.sched_nice < NICE_LEAST ? NICE_LEAST : wanted.sched_nice;
	wanted.sched_nice = wanted.sched_nice > NICE_MOST ? NICE_MOST : wanted.sched_nice;
	spin_lock(&process_lock);
	whose = find_or_own(task, (int)frame->rdi);
	error = whose ? set_attributes_locked(task, whose, &wanted) : -ESRCH;
	spin_unlock(&process_lock);
	return error;
}

int64_t sys_sched_getattr(struct task *task, struct trapframe *frame)
{
	uint32_t size = (uint32_t)frame->rdx;
	struct sched_attr found = {.size = size < sizeof(found) ? size : sizeof(found)};
	const struct task *whose;

	if (!frame->rsi || (int)frame->rdi < 0 || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE ||
	    (unsigned)frame->r10 != 0)
		return -EINVAL;
	spin_lock(&process_lock);
	whose = find_or_own(task, (int)frame->rdi);
	if (whose) {
		found.sched_policy = (uint32_t)whose->policy;
		found.sched_flags = whose->resets ? SCHED_FLAG_RESET_ON_FORK : 0;
		found.sched_nice = is_realtime(whose->policy) ? 0 : whose->nice;
		found.sched_priority = (uint32_t)whose->priority;
		found.sched_util_max = UTIL_MOST;
	}
	spin_unlock(&process_lock);
	return whose ? copy_to_user(frame->rsi, &found, found.size) : -ESRCH;
}

static int64_t priority_bound(int policy, int of_realtime)
{
	if (is_realtime(policy))
		return of_realtime;
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ||
			       policy == SCHED_DEADLINE
		       ? 0
		       : -EINVAL;
}

int64_t sys_sched_get_priority_max(struct task *task, struct trapframe *frame)
{
	(void)task;
	return priority_bound((int)frame->rdi, REALTIME_MOST);
}

int64_t sys_sched_get_priority_min(struct task *task, struct trapframe *frame)
{
	(void)task;
	return priority_bound((int)frame->rdi, 1);
}

int64_t sys_sched_rr_get_interval(struct task *task, struct trapframe *frame)
{
	int policy, priority;
	int error = get_policy(task, (int)frame->rdi, &policy, &priority);
	struct timespec turn = {0, 0};

	if (error)
		return error;
	if (policy != SCHED_FIFO)
		turn.tv_nsec = policy == SCHED_RR ? ROUND_ROBIN_TURN_NS : TURN_NS;
	return copy_to_user(frame->rsi, &turn, sizeof(turn));
}

/* ---- CPUs ----------------------------------------------------------------------------------------------------------- */

/* There is one CPU that runs programs: the set of those that a task may use has its bit, and no other. */
#define CPU_SET ((uint64_t)1)

int64_t sys_sched_getaffinity(struct task *task, struct trapframe *frame)
{
	const uint64_t set = CPU_SET;
	int policy, priority, error;

	/* As Linux: whole words, enough for all CPUs. */
	if ((unsigned)frame->rsi < sizeof(set) || (unsigned)frame->rsi % sizeof(set) != 0)
		return -EINVAL;
	error = get_policy(task, (int)frame->rdi, &policy, &priority);
	if (error)
		return error == -EINVAL ? -ESRCH : error;
	return copy_to_user(frame->rdx, &set, sizeof(set)) ? -EFAULT : (int64_t)sizeof(set);
}

int64_t sys_sched_setaffinity(struct task *task, struct trapframe *frame)
{
	unsigned bytes = (unsigned)frame->rsi;
	struct task *whose;
	uint64_t set = 0;
	bool may;

	if (copy_from_user(&set, frame->rdx, bytes < sizeof(set) ? bytes : sizeof(set)) != 0)
		return -EFAULT;
	spin_lock(&process_lock);
	whose = find_or_own(task, (int)frame->rdi);
	may = whose && may_renice(task, whose);
	spin_unlock(&process_lock);
	if (!whose)
		return -ESRCH;
	if (!may)
		return -EPERM;
	return set & CPU_SET ? 0 : -EINVAL;
}

int64_t sys_getcpu(struct task *task, struct trapframe *frame)
{
	const unsigned cpu = env_cpu(), node = 0;

	(void)task;
	if (frame->rdi && copy_to_user(frame->rdi, &cpu, sizeof(cpu)) != 0)
		return -EFAULT;
	return frame->rsi ? copy_to_user(frame->rsi, &node, sizeof(node)) : 0;
}

int64_t sys_sched_yield(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	thread_yield();
	return 0;
}
