/*
 * Timers: what shall be called when its time has come. Each CPU has a tree of its own, ordered by time; the hardware's timer is armed by
 * sched.c.
 */
#include <kern/kern.h>
#include <kern/sched.h>

#include "sched_internal.h"

RB_HEAD(timer_tree, timer);

/* Locks: (t) its own lock. */
struct timer_queue {
	struct spinlock lock;
	struct timer_tree tree; /* (t) */
	_Atomic uint64_t first; /* (t) writes; the time of the first timer, TIME_NEVER: none */
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
		RB_INIT(&queues[i].tree);
		queues[i].first = TIME_NEVER;
	}
}

uint64_t timers_next(void)
{
	return queues[env_cpu()].first;
}

/* The queue is locked. */
static void note_first(struct timer_queue *queue)
{
	struct timer *first = RB_MIN(timer_tree, &queue->tree);

	queue->first = first ? first->when : TIME_NEVER;
}

static void remove(struct timer_queue *queue, struct timer *timer)
{
	RB_REMOVE(timer_tree, &queue->tree, timer);
	timer->active = false;
	note_first(queue);
}

void timer_init(struct timer *timer, void (*fire)(struct timer *))
{
	*timer = (struct timer){.fire = fire, .cpu = env_cpu()};
}

void timer_start(struct timer *timer, uint64_t when)
{
	struct timer_queue *queue = &queues[timer->cpu];

	spin_lock(&queue->lock);
	if (timer->active)
		remove(queue, timer);
	timer->when = when;
	if (when != TIME_NEVER) {
		timer->active = true;
		RB_INSERT(timer_tree, &queue->tree, timer);
		note_first(queue);
	}
	spin_unlock(&queue->lock);
	if (when <= time_nanoseconds())
		cpu_note_work(CPU_WORK_TIMER);
	else
		timer_armed_before(when);
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

	spin_lock(&queue->lock);
	first = RB_MIN(timer_tree, &queue->tree);
	if (first && first->when > time_nanoseconds())
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
