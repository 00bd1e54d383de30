/*
 * Pressure: how much time threads lose because they have to wait for memory (/proc/pressure/memory).
 *
 * A thread is *stalled* from env_stall_begin() to env_stall_end(), asleep or not: while it gives up pages or waits for some that were paged out. It is *productive* while it
 * is runnable and not stalled. The time in which any thread is stalled is `some`, that in which one is and none is productive is `full`. The scheduler
 * says when threads become productive or cease to be; time is only looked at while somebody is stalled.
 *
 * Averages decay exponentially, over 10, 60 and 300 seconds, in steps of two seconds: what came between two looks counts as spread evenly over that time.
 */
#include <kern/kern.h>
#include <kern/sched.h>

#include "sched_internal.h"

#define STEP_NS     2000000000ull
#define NS_PER_US   1000u
#define FIXED_SHIFT 11
#define FIXED_ONE   (1u << FIXED_SHIFT)
#define PERCENT     100u

/* e to the power of -2/10, -2/60 and -2/300, times FIXED_ONE: what is left of an average after a step. */
static const uint64_t decay[PRESSURE_AVERAGES] = {1677, 1981, 2034};

struct pressure_counts pressure_counts;

/* Locks: (p) its lock. */
static struct {
	struct spinlock lock;
	bool some, full;                                      /* (p) what holds since `since` */
	uint64_t since;                                       /* (p) nanoseconds since boot */
	uint64_t total[PRESSURE_KINDS];                       /* (p) nanoseconds */
	uint64_t averaged[PRESSURE_KINDS];                    /* (p) of the total, what is in the averages */
	uint64_t averaged_until;                              /* (p) nanoseconds since boot */
	uint64_t averages[PRESSURE_KINDS][PRESSURE_AVERAGES]; /* (p) percent, times FIXED_ONE */
} pressure = {.lock = ENV_SPINLOCK_INIT(RANK_PRESSURE, "pressure")};

/* factor^steps, both factor and result times FIXED_ONE. */
static uint64_t power(uint64_t factor, uint64_t steps)
{
	uint64_t result = FIXED_ONE;

	for (; steps > 0; steps >>= 1) {
		if (steps & 1)
			result = result * factor >> FIXED_SHIFT;
		factor = factor * factor >> FIXED_SHIFT;
	}
	return result;
}

/* Brings the averages up to date, by whole steps. Locked. */
static void average(uint64_t now)
{
	uint64_t steps = (now - pressure.averaged_until) / STEP_NS;

	if (steps == 0)
		return;
	for (unsigned kind = 0; kind < PRESSURE_KINDS; kind++) {
		uint64_t lost = pressure.total[kind] - pressure.averaged[kind], time = steps * STEP_NS;
		uint64_t rate;

		/* What came after the last whole step is for the next time. */
		lost = lost < time ? lost : time;
		rate = lost * PERCENT / steps * FIXED_ONE / STEP_NS;
		pressure.averaged[kind] += lost;
		for (unsigned i = 0; i < PRESSURE_AVERAGES; i++) {
			uint64_t *average = &pressure.averages[kind][i], left = power(decay[i], steps);

			*average = (*average * left + rate * (FIXED_ONE - left)) >> FIXED_SHIFT;
		}
	}
	pressure.averaged_until += steps * STEP_NS;
}

/* Counts the time since the last change, and looks what holds from now on. Locked. */
static void look(void)
{
	uint64_t now = time_nanoseconds();

	if (pressure.some)
		pressure.total[PRESSURE_SOME] += now - pressure.since;
	if (pressure.full)
		pressure.total[PRESSURE_FULL] += now - pressure.since;
	pressure.since = now;
	pressure.some = pressure_counts.stalled > 0;
	pressure.full = pressure.some && pressure_counts.productive == 0;
	average(now);
}

void pressure_changed(void)
{
	spin_lock(&pressure.lock);
	look();
	spin_unlock(&pressure.lock);
}

/* Only the thread itself changes it, while it runs, and so is in no queue. */
void env_stall_begin(void)
{
	struct thread *current = thread_current();

	if (current->stalled++ > 0)
		return;
	pressure_counts.stalled++;
	pressure_counts.productive--;
	pressure_changed();
}

void env_stall_end(void)
{
	struct thread *current = thread_current();

	ASSERT(current->stalled > 0);
	if (--current->stalled > 0)
		return;
	pressure_counts.stalled--;
	pressure_counts.productive++;
	pressure_changed();
}

uint64_t pressure_stalled(void)
{
	return pressure_counts.stalled;
}

void pressure_figures(enum pressure_kind kind, struct pressure_figures *out)
{
	spin_lock(&pressure.lock);
	look();
	out->total_us = pressure.total[kind] / NS_PER_US;
	for (unsigned i = 0; i < PRESSURE_AVERAGES; i++)
		out->hundredths[i] = (unsigned)(pressure.averages[kind][i] * PERCENT >> FIXED_SHIFT);
	spin_unlock(&pressure.lock);
}
