/*
 * Timers: what shall be called when its time has come. Each CPU has a tree of its own for each clock, ordered by that clock's time, so that who sets
 * the time of day moves no timer; the hardware's timer is armed by sched.c.
 */
#include <kern/kern.h>
#include <kern/sched.h>

#include "sched_internal.h"

RB_HEAD(timer_tree, timer);

/* Locks: (t) its own lock. */
struct timer_queue {
	struct spinlock lock;
	struct timer_tree tree[TIMER_CLOCKS]; /* (t) */
	_Atomic uint64_t first; /* (t) writes; when the first one is due, since boot, or TIME_NEVER */
};

static struct timer_queue queues[ENV_MAX_CPUS];

/* Equal times are ordered by address, as the tree holds no equals. */
static int compare(struct timer *left, struct timer *right)
{
	if (left->when != right->when)
		return left->when < right->when ? -1 : 1;
	return (left > right) - (left < right);
}

RB_GENERATE_STATIC(timer_tree, timer, link, compare)

void timers_init(void)
{
	for (unsigned i = 0; i < ENV_MAX_CPUS; i++) {
		spin_init(&queues[i].lock, RANK_TIMER, "timers");
		for (unsigned clock = 0; clock < TIMER_CLOCKS; clock++)
			RB_INIT(&queues[i].tree[clock]);
		queues[i].first = TIME_NEVER;
	}
}

uint64_t timers_next(void)
{
	return queues[env_cpu()].first;
}

/* Since boot. */
static uint64_t due_at(enum timer_clock clock, uint64_t when)
{
	return clock == TIMER_DAY ? time_since_boot(when) : when;
}

/* The timer that is due first, and when that is; NULL: there is none. The queue is locked. */
static struct timer *find_first(struct timer_queue *queue, uint64_t *due)
{
	struct timer *first = NULL;

	*due = TIME_NEVER;
	for (unsigned clock = 0; clock < TIMER_CLOCKS; clock++) {
		struct timer *timer = RB_MIN(timer_tree, &queue->tree[clock]);

		if (timer && (!first || due_at(clock, timer->when) < *due)) {
			first = timer;
			*due = due_at(clock, timer->when);
		}
	}
	return first;
}

/* The queue is locked. */
static void note_first(struct timer_queue *queue)
{
	uint64_t due;

	find_first(queue, &due);
	queue->first = due;
}

static void remove(struct timer_queue *queue, struct timer *timer)
{
	RB_REMOVE(timer_tree, &queue->tree[timer->clock], timer);
	timer->active = false;
	note_first(queue);
}

void timer_init(struct timer *timer, void (*fire)(struct timer *))
{
	*timer = (struct timer){.fire = fire, .cpu = env_cpu()};
}

/* This CPU has a timer that is due then. */
static void expect(uint64_t due)
{
	if (due <= time_nanoseconds())
		cpu_note_work(CPU_WORK_TIMER);
	else
		timer_armed_before(due);
}

void timer_start(struct timer *timer, uint64_t when)
{
	timer_start_by(timer, TIMER_BOOT, when);
}

void timer_start_by(struct timer *timer, enum timer_clock clock, uint64_t when)
{
	struct timer_queue *queue = &queues[timer->cpu];

	spin_lock(&queue->lock);
	if (timer->active)
		remove(queue, timer);
	timer->when = when;
	timer->clock = clock;
	if (when != TIME_NEVER) {
		timer->active = true;
		RB_INSERT(timer_tree, &queue->tree[clock], timer);
		note_first(queue);
	}
	spin_unlock(&queue->lock);
	expect(due_at(clock, when));
}

void timers_day_set(void)
{
	for (unsigned i = 0; i < ENV_MAX_CPUS; i++) {
		spin_lock(&queues[i].lock);
		note_first(&queues[i]);
		spin_unlock(&queues[i].lock);
	}
	expect(timers_next());
}

bool timer_cancel(struct timer *timer)
{
	struct timer_queue *queue = &queues[timer->cpu];
	bool was_active;

	spin_lock(&queue->lock);
	was_active = timer->active;
	if (was_active)
		remove(queue, timer);
	spin_unlock(&queue->lock);
	return was_active;
}

/* Who calls `fire` may have been switched away from, if `fire` let it: that it comes back needs this CPU. */
bool timer_cancel_wait(struct timer *timer)
{
	bool was_active = timer_cancel(timer);

	while (__atomic_load_n(&timer->firing, __ATOMIC_ACQUIRE))
		thread_yield();
	return was_active;
}

/* Takes the first timer that is due; NULL: none is. */
static struct timer *take_due(struct timer_queue *queue)
{
	struct timer *first;
	uint64_t due;

	spin_lock(&queue->lock);
	first = find_first(queue, &due);
	if (first && due > time_nanoseconds())
		first = NULL;
	if (first) {
		remove(queue, first);
		first->firing = true;
	}
	spin_unlock(&queue->lock);
	return first;
}

void timers_run(void)
{
	struct timer_queue *queue = &queues[env_cpu()];
	struct timer *timer;

	while ((timer = take_due(queue)) != NULL) {
		timer->fire(timer);
		/* The last access: its memory may go now. */
		__atomic_store_n(&timer->firing, false, __ATOMIC_RELEASE);
	}
}
