/*
 * What happens seldom in a run queue: threads of different weight, realtime threads, changes of urgency. The rest, and what it is all about, is in
 * run_queue.h.
 */
#include "run_queue.h"

#define WEIGHT_NICE_0  1024u /* sched(7) gives ratios only; what SCHED_IDLE weighs is Linux's */
#define WEIGHT_IDLE    3u
#define STEP_NUMERATOR 5u /* a step of niceness: 1.25 */
#define STEP_DIVISOR   4u

/* As Linux does unless told (sched(7)): in each second, what is beyond this is for others, if there are any that want it. */
#define PERIOD_NS        1000000000ull
#define REALTIME_PART_NS 950000000ull

/* The rate of each level of ordinary threads. Set by the first queue_init(). */
static uint32_t rates[ORDINARY_LEVELS];

static uint32_t rate_of(unsigned urgency)
{
	return urgency < URGENCY_ORDINARY ? 0 : rates[urgency - URGENCY_ORDINARY];
}

static void rates_init(void)
{
	const unsigned middle = URGENCY_NICE(0) - URGENCY_ORDINARY, idle = URGENCY_IDLE - URGENCY_ORDINARY;

	rates[middle] = RATE_ONE;
	for (unsigned i = middle; i > 0; i--)
		rates[i - 1] = rates[i] * STEP_DIVISOR / STEP_NUMERATOR;
	for (unsigned i = middle + 1; i < idle; i++)
		rates[i] = rates[i - 1] / STEP_DIVISOR * STEP_NUMERATOR;
	rates[idle] = RATE_ONE / WEIGHT_IDLE * WEIGHT_NICE_0;
}

void queue_init(struct run_queue *queue)
{
	if (rates[0] == 0)
		rates_init();
	spin_init(&queue->lock, RANK_RUN, "run queue");
	for (unsigned i = 0; i < URGENCIES; i++)
		TAILQ_INIT(&queue->lists[i]);
}

unsigned queue_count(const struct run_queue *queue)
{
	const struct thread *thread;
	unsigned count = 0;

	for (unsigned i = 0; i < URGENCIES; i++) {
		TAILQ_FOREACH(thread, &queue->lists[i], link)
		{
			count++;
		}
	}
	return count;
}

/* ---- Ordinary threads ---------------------------------------------------------------------------------- */

/* Who of the first ones of several lists has had least. */
static struct thread *first_of_several(struct run_queue *queue)
{
	uint64_t levels = queue->levels & ~LEVEL_REALTIME;
	struct thread *best = NULL;

	for (; levels; levels &= levels - 1) {
		struct thread *first = TAILQ_FIRST(&queue->lists[heaviest(levels)]);

		if (!best || first->virtual_ns < best->virtual_ns)
			best = first;
	}
	return best;
}

/* The heaviest that waits is to have as long a turn meanwhile as any has, so that it does not wait long for it. */
void queue_shorten_turn(struct thread *next, unsigned heaviest)
{
	uint64_t turn = TURN_NS * rate_of(heaviest) / next->rate;

	turn = turn > SHORTEST_TURN_NS ? turn : SHORTEST_TURN_NS;
	if (turn < next->left_ns)
		next->left_ns = turn;
}

/* ---- Realtime threads ------------------------------------------------------------------------------------ */

/* What of the running thread's time until now is in the period, and not counted yet. */
static uint64_t running_in_period(const struct run_queue *queue, uint64_t now)
{
	uint64_t since = queue->running->since;

	return now - (since > queue->period_start ? since : queue->period_start);
}

void queue_charge_realtime(struct run_queue *queue, uint64_t now)
{
	queue->realtime_ns += running_in_period(queue, now);
}

/*
 * Have they had their part? What ran is counted. What they had beyond it, as nobody looked in time, they have had of the next; not more than one period holds:
 * when nobody else wanted the CPU they owe nothing for it.
 */
static bool is_spent(struct run_queue *queue, uint64_t now)
{
	if (now - queue->period_start >= PERIOD_NS) {
		uint64_t ran = queue->realtime_ns < PERIOD_NS ? queue->realtime_ns : PERIOD_NS;

		queue->period_start = now;
		queue->realtime_ns = ran > REALTIME_PART_NS ? ran - REALTIME_PART_NS : 0;
	}
	return queue->realtime_ns >= REALTIME_PART_NS;
}

static struct thread *first_realtime(struct run_queue *queue)
{
	if (queue->realtime[0])
		return TAILQ_FIRST(&queue->lists[__builtin_ctzll(queue->realtime[0])]);
	return TAILQ_FIRST(&queue->lists[WORD_BITS + (unsigned)__builtin_ctzll(queue->realtime[1])]);
}

/* Do ordinary threads wait? */
static bool has_ordinary(const struct run_queue *queue)
{
	return (queue->levels & ~LEVEL_REALTIME) != 0;
}

struct thread *queue_choose(struct run_queue *queue, uint64_t now)
{
	bool may = (queue->levels & LEVEL_REALTIME) && (!is_spent(queue, now) || !has_ordinary(queue));

	return may ? first_realtime(queue) : first_of_several(queue);
}

void queue_note_realtime(struct run_queue *queue, unsigned urgency)
{
	uint64_t bit = (uint64_t)1 << urgency % WORD_BITS;

	if (TAILQ_EMPTY(&queue->lists[urgency]))
		queue->realtime[urgency / WORD_BITS] &= ~bit;
	else
		queue->realtime[urgency / WORD_BITS] |= bit;
	if (queue->realtime[0] | queue->realtime[1])
		queue->levels |= LEVEL_REALTIME;
}

/* Of one that waits behind an ordinary thread the period may be over; that is not known better than by the tick. */
bool queue_realtime_changes(const struct run_queue *queue, uint64_t now)
{
	if (is_realtime(queue->running))
		return has_ordinary(queue) &&
		       queue->realtime_ns + running_in_period(queue, now) >= REALTIME_PART_NS;
	return (queue->levels & LEVEL_REALTIME) != 0;
}

/* ---- Changes ---------------------------------------------------------------------------------------------- */

/*
 * Where it stands in its new list is as sched(7) says for realtime threads: who has become less urgent comes first there. An ordinary thread comes with at most
 * what a short turn costs: what it had as one of another weight does not count.
 */
void queue_set_urgency(struct run_queue *queue, struct thread *thread, unsigned urgency, uint64_t turn_ns)
{
	bool first = urgency < URGENCY_ORDINARY && urgency > thread->urgency, queued = thread->queued;
	uint64_t most, now = time_nanoseconds();

	if (thread == queue->running) {
		queue_charge(queue, now);
		thread->since = now;
	}
	if (queued)
		queue_remove(queue, thread);
	thread->urgency = urgency;
	thread->level = urgency < URGENCY_ORDINARY ? LEVEL_REALTIME : LEVEL_ORDINARY(urgency);
	thread->rate = rate_of(urgency);
	thread->turn_ns = thread->left_ns = turn_ns;
	most = queue->virtual_ns + virtual_of(SHORTEST_TURN_NS, thread->rate);
	if (thread->virtual_ns > most)
		thread->virtual_ns = most;
	if (thread->virtual_ns < queue->virtual_ns)
		thread->virtual_ns = queue->virtual_ns;
	if (queued)
		queue_insert(queue, thread, first);
	if (thread == queue->running) {
		thread->turn_end = now + turn_ns;
		queue->rate = has_ordinary(queue) ? thread->rate : 0;
	}
	cpu_note_work(CPU_WORK_SCHEDULE);
}
