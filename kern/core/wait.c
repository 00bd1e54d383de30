/*
 * Wait queues and mutexes. How a thread sleeps is in sched.c; <kern/sched.h> says how the pieces are used.
 */
#include <asm/errno.h>
#include <kern/kern.h>
#include <kern/sched.h>

/* ---- Wait queues ---------------------------------------------------------------------------------- */

void wait_queue_init(struct wait_queue *queue)
{
	spin_init(&queue->lock, RANK_WAIT, "wait queue");
	TAILQ_INIT(&queue->waiters);
}

void wait_enter_prepared(struct wait_queue *queue, struct waiter *waiter)
{
	spin_lock(&queue->lock);
	waiter->queue = queue;
	TAILQ_INSERT_TAIL(&queue->waiters, waiter, link);
	spin_unlock(&queue->lock);
}

void wait_enter(struct wait_queue *queue, struct waiter *waiter)
{
	waiter->thread = thread_current();
	waiter->notify = NULL;
	wait_enter_prepared(queue, waiter);
}

void wait_leave(struct waiter *waiter)
{
	struct wait_queue *queue = waiter->queue;

	if (!queue)
		return;
	spin_lock(&queue->lock);
	TAILQ_REMOVE(&queue->waiters, waiter, link);
	waiter->queue = NULL;
	spin_unlock(&queue->lock);
}

void wait_wake(struct wait_queue *queue, unsigned count)
{
	struct waiter *waiter, *next;

	spin_lock(&queue->lock);
	TAILQ_FOREACH_SAFE(waiter, &queue->waiters, link, next)
	{
		if (waiter->notify)
			waiter->notify(waiter);
		if (waiter->thread && count > 0) {
			count--;
			thread_wake(waiter->thread);
		}
	}
	spin_unlock(&queue->lock);
}

/* What the waiters wait for was written before; the fence keeps the look at the queue from coming earlier. */
void wait_wake_all(struct wait_queue *queue)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!wait_queue_empty(queue))
		wait_wake(queue, UINT32_MAX);
}

/* ---- Mutexes --------------------------------------------------------------------------------------- */

#ifdef DEBUG
#define NOTE_TAKEN(mutex, waits) lock_debug_take((mutex), &(mutex)->identity, LOCK_SLEEPS, (waits))
#define NOTE_RELEASED(mutex)     lock_debug_release((mutex), &(mutex)->identity, LOCK_SLEEPS)
#else
#define NOTE_TAKEN(mutex, waits) ((void)0)
#define NOTE_RELEASED(mutex)     ((void)0)
#endif

void mutex_init(struct mutex *mutex, enum lock_rank rank, const char *name)
{
	mutex->owner = NULL;
	mutex->waiting = 0;
	wait_queue_init(&mutex->queue);
	(void)rank, (void)name;
#ifdef DEBUG
	mutex->identity = (struct lock_identity){rank, name};
#endif
}

static bool take(struct mutex *mutex)
{
	struct thread *nobody = NULL;

	return __atomic_compare_exchange_n((struct thread **)&mutex->owner, &nobody, thread_current(), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 * Counts itself before it looks: who lets the mutex go after that wakes it. Who gives up may have been woken in another one's place, having looked
 * before and not yet left the queue: it hands that on.
 */
static int wait_for(struct mutex *mutex, enum sleep_mode mode)
{
	int status;

	ASSERT(!mutex_held(mutex));
	mutex->waiting++;
	status = WAIT_EVENT(&mutex->queue, take(mutex), mode, TIME_NEVER);
	mutex->waiting--;
	if (status && !mutex->owner)
		wait_wake(&mutex->queue, 1);
	return status;
}

void mutex_lock(struct mutex *mutex)
{
	NOTE_TAKEN(mutex, true);
	if (!take(mutex))
		wait_for(mutex, SLEEP_FIRM);
}

int mutex_lock_killable(struct mutex *mutex)
{
	int status = 0;

	NOTE_TAKEN(mutex, true);
	if (!take(mutex))
		status = wait_for(mutex, SLEEP_KILLABLE);
	if (status)
		NOTE_RELEASED(mutex);
	return status;
}

bool mutex_trylock(struct mutex *mutex)
{
	if (!take(mutex))
		return false;
	NOTE_TAKEN(mutex, false);
	return true;
}

void mutex_unlock(struct mutex *mutex)
{
	ASSERT(mutex_held(mutex));
	NOTE_RELEASED(mutex);
	mutex->owner = NULL;
	if (mutex->waiting)
		wait_wake(&mutex->queue, 1);
}

bool mutex_held(const struct mutex *mutex)
{
	return mutex->owner == thread_current();
}
