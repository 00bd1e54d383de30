/*
 * The waiting halves of the kernel's locks. The fast halves, and what the words mean, are in
 * include/kern/vm/env_impl.h; the order check of debug builds is in lock_debug.c.
 *
 * Who cannot have a read-write lock at once waits in one of a few queues, which the lock's address chooses, until it is given to
 * him: to all in the order of their arrival, and to readers who are next to each other in it together. So neither writers nor
 * readers starve. It also means that a thread must not read what it reads already: it would wait for itself as soon as a writer had come in
 * between. Debug builds panic where one takes a lock twice.
 */
#include <asm/errno.h>
#include <kern/sched.h>
#include <vm/env.h>

#define QUEUES       64u /* a power of two */
#define ADDRESS_BITS 6   /* low bits of an address that say little: locks are in larger structures */

/* Who waits, on its own stack. Locks: (w) its queue's; (-) set once. */
struct rw_waiter {
	TAILQ_ENTRY(rw_waiter) link; /* (w) */
	struct rwlock *lock;         /* (-) */
	struct thread *thread;       /* (-) */
	uint32_t what;               /* (-) RW_READER or RW_WRITER */
	bool given;                  /* (w) it has the lock, and is in the queue no more */
};

/*
 * As long as somebody waits for a lock here, and only then, the lock's word has RW_WAITING; both change together. Locks: (w) its own.
 */
static struct rw_queue {
	struct spinlock lock;            /* RANK_WAIT */
	TAILQ_HEAD(, rw_waiter) waiters; /* (w) of all its locks, in order of arrival */
} queues[QUEUES];

void locks_init(void)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		spin_init(&queues[i].lock, RANK_WAIT, "read-write locks");
		TAILQ_INIT(&queues[i].waiters);
	}
}

/* The holder of a spinlock is another CPU and about to let go, or this one and never will. */
void spin_lock_slowly(struct spinlock *lock)
{
	ASSERT(!spin_held(lock));
	do {
		while (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
	} while (!spin_take(lock));
}

static struct rw_queue *queue_of(const struct rwlock *lock)
{
	return &queues[(uintptr_t)lock >> ADDRESS_BITS & (QUEUES - 1)];
}

/* What keeps a lock from being given to who waits for it longest. */
static uint32_t conflict_of(uint32_t what)
{
	return what == RW_READER ? RW_WRITER : ~RW_WAITING;
}

/*
 * Adds `what` to the word if nobody has the lock who is in the way, nor waits for it; else makes sure that RW_WAITING is set, so that whoever
 * lets go gives the lock on. The queue is locked.
 */
static bool take_or_mark(struct rwlock *lock, uint32_t what)
{
	uint32_t word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
	bool free;

	do {
		free = !(word & (conflict_of(what) | RW_WAITING));
		if (!free && (word & RW_WAITING))
			return false;
	} while (!__atomic_compare_exchange_n(&lock->word, &word, free ? word + what : word | RW_WAITING,
					      false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return free;
}

/* Is it this thread's now? Looked at with the queue locked, so that who gave it is done with `waiter`. */
static bool was_given(struct rw_queue *queue, const struct rw_waiter *waiter)
{
	bool given;

	spin_lock(&queue->lock);
	given = waiter->given;
	spin_unlock(&queue->lock);
	return given;
}

static void take(struct rwlock *lock, uint32_t what)
{
	struct rw_waiter waiter = {.lock = lock, .thread = thread_current(), .what = what};
	struct rw_queue *queue = queue_of(lock);

	spin_lock(&queue->lock);
	if (take_or_mark(lock, what))
		waiter.given = true;
	else
		TAILQ_INSERT_TAIL(&queue->waiters, &waiter, link);
	spin_unlock(&queue->lock);
	while (thread_sleep_begin(SLEEP_FIRM), !was_given(queue, &waiter))
		thread_sleep(TIME_NEVER);
	thread_sleep_end();
}

void rw_read_slowly(struct rwlock *lock)
{
	rw_read_leave(lock);
	take(lock, RW_READER);
}

void rw_write_slowly(struct rwlock *lock)
{
	take(lock, RW_WRITER);
}

/* Who waits for the lock longest, from `waiter` on; NULL: nobody does. */
static struct rw_waiter *next_for(const struct rwlock *lock, struct rw_waiter *waiter)
{
	while (waiter && waiter->lock != lock)
		waiter = TAILQ_NEXT(waiter, link);
	return waiter;
}

/*
 * Adds `what` to the word in its waiter's stead, and takes RW_WAITING away unless there are `more`. False: somebody is in the way, perhaps a reader who counted
 * himself in and is about to find out that others wait; when he leaves, rw_wake() is called again.
 */
static bool give(struct rwlock *lock, uint32_t what, bool more)
{
	uint32_t word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);

	do {
		if (word & conflict_of(what))
			return false;
	} while (!__atomic_compare_exchange_n(&lock->word, &word, (more ? word : word & ~RW_WAITING) + what,
					      false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

/* The lock is free, or was: it is given to who waits longest, and after a reader to those readers who are next. */
void rw_wake(struct rwlock *lock)
{
	struct rw_queue *queue = queue_of(lock);
	struct rw_waiter *waiter, *next;

	spin_lock(&queue->lock);
	for (waiter = next_for(lock, TAILQ_FIRST(&queue->waiters)); waiter; waiter = next) {
		next = next_for(lock, TAILQ_NEXT(waiter, link));
		if (!give(lock, waiter->what, next))
			break;
		TAILQ_REMOVE(&queue->waiters, waiter, link);
		waiter->given = true;
		thread_wake(waiter->thread);
	}
	spin_unlock(&queue->lock);
}
