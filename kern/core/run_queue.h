/*
 * A CPU's run queue: who waits for it, and who comes next.
 *
 * Here: what each switch and wake-up does, for sched.c. What is seldom (realtime threads that have had too much, changes of urgency) is in run_queue.c.
 *
 * There is a list for each urgency. *Realtime* threads come first, the most urgent list before others, unless they have had their part of the period. *Ordinary* threads
 * share the CPU by weight: each counts the CPU time that it has had divided by its weight, its *virtual time*, and of the first ones of all lists
 * comes who has had least. Within a list it is in order of arrival. The queue's virtual time is that of who came last: a thread that slept does not
 * come with less, so that sleep cannot be saved up.
 */
#ifndef CORE_RUN_QUEUE_H
#define CORE_RUN_QUEUE_H

#include <kern/kern.h>
#include <kern/sched.h>

#define URGENCY_ORDINARY URGENCY_NICE(NICE_LEAST) /* from here on they share */
#define ORDINARY_LEVELS  (URGENCIES - URGENCY_ORDINARY)

/* A bit for each list of ordinary threads, in a word whose first one is for all realtime threads. */
#define LEVEL_REALTIME          ((uint64_t)1)
#define LEVEL_ORDINARY(urgency) (LEVEL_REALTIME << ((urgency) + 1 - URGENCY_ORDINARY))

/* The shortest turn of one that keeps heavier ones waiting. */
#define SHORTEST_TURN_NS 1000000ull

/* A rate is how many virtual nanoseconds each of CPU time is, in fixed point; one for niceness 0. */
#define RATE_SHIFT 20
#define RATE_ONE   (1u << RATE_SHIFT)

#define WORD_BITS 64u

TAILQ_HEAD(thread_list, thread);

/* Locks: (q) its own lock; (c) only its own CPU, interrupts off; (-) set by sched_init. */
struct run_queue {
	struct spinlock lock;
	struct thread_list lists[URGENCIES]; /* (q) runnable, and not running */
	uint64_t levels; /* (q) LEVEL_... of lists that are not empty; others glance at it */
	uint64_t realtime
		[2]; /* (q) bit n % 64 of realtime[n / 64]: lists[n], of realtime threads, is not empty */
	uint64_t virtual_ns;     /* (q) the most that an ordinary thread had had when its turn came */
	uint32_t rate;           /* (q) of who runs; 0: no ordinary thread waited when its turn began */
	uint64_t period_start;   /* (q) of the period in which realtime threads have a part */
	uint64_t realtime_ns;    /* (q) what they have had in it, but for who runs */
	struct thread *idle;     /* (-) */
	struct thread *running;  /* (q) */
	struct thread *previous; /* (q) in the midst of a switch: who ran before */
	uint64_t switches;       /* (q) */
	uint64_t idle_ns;        /* (q) */
	uint64_t armed;          /* (c) when the timer will interrupt; TIME_NEVER: not */
};

/* ---- run_queue.c ------------------------------------------------------------------------------------ */

void queue_init(struct run_queue *queue);

/* How many threads wait. */
unsigned queue_count(const struct run_queue *queue);

/* Counts what a realtime thread ran until now. */
void queue_charge_realtime(struct run_queue *queue, uint64_t now);

/* Who comes first where there are realtime threads, or several lists. */
struct thread *queue_choose(struct run_queue *queue, uint64_t now);

/* Notes that a list of realtime threads has become empty, or is not any more. */
void queue_note_realtime(struct run_queue *queue, unsigned urgency);

/* Shortens the turn of a thread that is about to run, as heavier ones wait. */
void queue_shorten_turn(struct thread *next, unsigned heaviest);

/* Asked by the tick, without the lock: is it time to look whether realtime threads have had too much, or may run again? */
bool queue_realtime_changes(const struct run_queue *queue, uint64_t now);

/* Serves a thread with another urgency and turn, at once. */
void queue_set_urgency(struct run_queue *queue, struct thread *thread, unsigned urgency, uint64_t turn_ns);

/* ---- Coming and going; the queue is locked ------------------------------------------------------------ */

static inline bool is_realtime(const struct thread *thread)
{
	return thread->urgency < URGENCY_ORDINARY;
}

static inline uint64_t virtual_of(uint64_t nanoseconds, uint32_t rate)
{
	return nanoseconds * rate >> RATE_SHIFT;
}

static inline void queue_insert(struct run_queue *queue, struct thread *thread, bool first)
{
	struct thread_list *list = &queue->lists[thread->urgency];

	ASSERT(!thread->queued && thread->state == THREAD_RUNNABLE);
	if (first)
		TAILQ_INSERT_HEAD(list, thread, link);
	else
		TAILQ_INSERT_TAIL(list, thread, link);
	thread->queued = true;
	queue->levels |= thread->level;
	if (unlikely(thread->level == LEVEL_REALTIME))
		queue_note_realtime(queue, thread->urgency);
}

static inline void queue_remove(struct run_queue *queue, struct thread *thread)
{
	struct thread_list *list = &queue->lists[thread->urgency];

	TAILQ_REMOVE(list, thread, link);
	thread->queued = false;
	if (!TAILQ_EMPTY(list))
		return;
	queue->levels &= ~thread->level;
	if (unlikely(thread->level == LEVEL_REALTIME))
		queue_note_realtime(queue, thread->urgency);
}

/* A thread becomes runnable. */
static inline void queue_arrive(struct run_queue *queue, struct thread *thread)
{
	if (thread->virtual_ns < queue->virtual_ns)
		thread->virtual_ns = queue->virtual_ns;
	queue_insert(queue, thread, false);
}

/* The one that ran goes back, runnable: behind the others where its turn is over, else before them, with what is left of it. */
static inline void queue_return(struct run_queue *queue, struct thread *thread, uint64_t now, bool yields)
{
	bool over = yields || now >= thread->turn_end;

	thread->left_ns = over ? thread->turn_ns : thread->turn_end - now;
	queue_insert(queue, thread, !over);
}

/* Counts what the running thread ran until now. */
static inline void queue_charge(struct run_queue *queue, uint64_t now)
{
	struct thread *thread = queue->running;
	uint64_t ran = now - thread->since;

	thread->run_ns += ran;
	thread->virtual_ns += virtual_of(ran, queue->rate);
	if (thread == queue->idle)
		queue->idle_ns += ran;
	else if (unlikely(is_realtime(thread)))
		queue_charge_realtime(queue, now);
}

/* The urgency of the heaviest ordinary threads that wait. There are some; what there is of realtime ones is not in `levels`. */
static inline unsigned heaviest(uint64_t levels)
{
	return URGENCY_ORDINARY - 1 + (unsigned)__builtin_ctzll(levels);
}

/* Takes out who comes next; the idle thread where nobody waits. */
static inline struct thread *queue_take_next(struct run_queue *queue, uint64_t now)
{
	uint64_t levels = queue->levels;
	struct thread *next;

	queue->rate = 0;
	if (!levels)
		return queue->idle;
	if (unlikely((levels & (levels - 1)) != 0 || levels == LEVEL_REALTIME))
		next = queue_choose(queue, now);
	else
		next = TAILQ_FIRST(&queue->lists[heaviest(levels)]);
	queue_remove(queue, next);
	levels = queue->levels & ~LEVEL_REALTIME;
	if (levels) {
		queue->rate = next->rate;
		if (next->virtual_ns > queue->virtual_ns)
			queue->virtual_ns = next->virtual_ns;
		if (unlikely(heaviest(levels) < next->urgency))
			queue_shorten_turn(next, heaviest(levels));
	}
	return next;
}

#endif
