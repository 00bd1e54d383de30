/*
 * The waiting halves of the kernel's locks. The fast halves, and what the words mean, are in
 * include/kern/vm/env_impl.h; the order check of debug builds is in lock_debug.c.
 *
 * Who waits for a read-write lock sleeps in one of a few queues, which the lock's address chooses.
 */
#include <asm/errno.h>
#include <kern/sched.h>
#include <vm/env.h>

#define QUEUES       64u /* a power of two */
#define ADDRESS_BITS 6   /* low bits of an address that say little: locks are in larger structures */

static struct wait_queue queues[QUEUES];

void locks_init(void)
{
	for (unsigned i = 0; i < QUEUES; i++)
		wait_queue_init(&queues[i]);
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

static struct wait_queue *queue_of(const struct rwlock *lock)
{
	return &queues[(uintptr_t)lock >> ADDRESS_BITS & (QUEUES - 1)];
}

/*
 * Adds `what` to the word if nothing in `conflict` is set there; else makes sure that RW_WAITING is, so that whoever lets go
 * wakes the sleepers.
 */
static bool take_or_mark(struct rwlock *lock, uint32_t conflict, uint32_t what)
{
	uint32_t word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);

	for (;;) {
		bool free = !(word & conflict);

		if (!free && (word & RW_WAITING))
			return false;
		if (__atomic_compare_exchange_n(&lock->word, &word, free ? word + what : word | RW_WAITING,
						false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return free;
	}
}

/* Readers who come while somebody waits wait too: a writer is not passed for ever. */
void rw_read_slowly(struct rwlock *lock)
{
	rw_read_leave(lock);
	WAIT_EVENT(queue_of(lock), take_or_mark(lock, RW_WRITER, RW_READER), SLEEP_FIRM, TIME_NEVER);
}

void rw_write_slowly(struct rwlock *lock)
{
	WAIT_EVENT(queue_of(lock), take_or_mark(lock, ~RW_WAITING, RW_WRITER), SLEEP_FIRM, TIME_NEVER);
}

/* The lock is free, or was: the sleepers look again, and mark the word again if they have to wait. */
void rw_wake(struct rwlock *lock)
{
	__atomic_fetch_and(&lock->word, ~RW_WAITING, __ATOMIC_SEQ_CST);
	wait_wake_all(queue_of(lock));
}
