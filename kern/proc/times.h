/*
 * Times that programs give and get, and clocks: what the calls that wait, and timers, share. Implemented in sys_time.c.
 */
#ifndef PROC_TIMES_H
#define PROC_TIMES_H

#include <kern/proc.h>

#define NS_PER_SECOND 1000000000l
#define NS_PER_US     1000l

/* struct timespec in user memory. Reads a time that is not negative, cut to what 64 bits hold: 0, -EFAULT, -EINVAL. */
int time_from_user(vaddr_t from, int64_t *nanoseconds);
int time_to_user(vaddr_t to, int64_t nanoseconds);

/* The time since boot that is so many nanoseconds from now; never TIME_NEVER. */
uint64_t time_after(int64_t nanoseconds);

/* The time since boot that a relative struct timespec in user memory means. As time_from_user. */
int time_deadline_from_user(vaddr_t from, uint64_t *deadline);

/* CPU time of a process. No locks at or above RANK_PROCESS are held. */
struct thread_times process_times(struct process *process);

/* What a clock counts. */
enum clock_kind {
	CLOCK_KIND_BOOT, /* nanoseconds since boot */
	CLOCK_KIND_REAL, /* the same, and an offset */
	CLOCK_KIND_CPU   /* CPU time of a process or of a task */
};

struct clock {
	enum clock_kind kind;
	bool waits;    /* one can sleep by it, and set timers */
	bool own_task; /* CPU time of the caller's task, under the number that means that */
	bool of_task;  /* CPU time of a task, else of a process: */
	bool user;     /* only in ring 3 */
	int id;        /* whose */
};

/* The clock of a number (clock_gettime(2)), as `task` sees it. 0, or -EINVAL. It says nothing about whether the process or task exists. */
int clock_find(const struct task *task, int number, struct clock *clock);

/* What it says now, in nanoseconds. -EINVAL: nobody has that process's or task's number. No locks held. */
int clock_read(const struct clock *clock, int64_t *now);

/* What timers of absolute times by a clock go by that is not CPU time. */
enum timer_clock clock_timer(const struct clock *clock);

/* The time since boot of a time by such a clock, as it is set now. */
uint64_t clock_to_boot(const struct clock *clock, int64_t time);

#endif
