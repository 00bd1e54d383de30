/*
 * What the scheduler's files share: sched.c, thread.c, timer.c; and what they need of the machine.
 */
#ifndef CORE_SCHED_INTERNAL_H
#define CORE_SCHED_INTERNAL_H

#include <kern/sched.h>
#include <stdatomic.h>

/* The thread that booted; the first CPU's idle thread. */
extern struct thread boot_thread;

/* Completes a switch: the first thing a new thread does. The run queue is locked before, and not after. */
void sched_finish_switch(void);

/* Makes a dead thread's stack a spare one and calls its release. Any locks may be held that may be while one sleeps. */
void thread_bury(struct thread *thread);

#define SPARE_STACKS 16 /* that are kept */

/* How many spare stacks there are; changed with the list's lock (thread.c). */
extern _Atomic unsigned spare_stacks;

/* Are there more than are kept? A glance without the lock. Frees those; no locks held. */
static inline bool threads_excessive(void)
{
	return spare_stacks > SPARE_STACKS;
}
void threads_trim_excess(void);

void threads_init(void);
void timers_init(void);

/* When this CPU's first timer fires; TIME_NEVER: there is none. A glance without the lock, for interrupts. */
uint64_t timers_next(void);

/* Calls what is due on this CPU. No locks held. */
void timers_run(void);

/* The time of day is another now. */
void timers_day_set(void);

/* The timer's interrupt has to come no later than `when`. */
void timer_armed_before(uint64_t when);

/* Threads that are runnable and not stalled, and those that are stalled (pressure.c). Atomic. */
struct pressure_counts {
	_Atomic uint64_t productive, stalled;
};
extern struct pressure_counts pressure_counts;

/* What holds has changed, and somebody is stalled. */
void pressure_changed(void);

/* A thread that is not stalled became runnable (1), or ceased to be (-1). Its run queue is locked. */
static inline void pressure_productive(int change)
{
	uint64_t before = atomic_fetch_add(&pressure_counts.productive, (uint64_t)change);

	if (unlikely(pressure_counts.stalled > 0) && (before == 0 || pressure_counts.productive == 0))
		pressure_changed();
}

#endif
