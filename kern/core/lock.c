/*
 * The waiting halves of the kernel's locks. The fast halves, and what the words mean, are in
 * include/kern/vm/env_impl.h; the order check of debug builds is in lock_debug.c.
 */
#include <vm/env.h>

/* The holder of a spinlock is another CPU and about to let go, or this one and never will. */
void spin_lock_slowly(struct spinlock *lock)
{
	ASSERT(!spin_held(lock));
	do {
		while (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
	} while (!spin_take(lock));
}

void rw_read_slowly(struct rwlock *lock)
{
	do {
		__atomic_fetch_sub(&lock->word, RW_READER, __ATOMIC_RELAXED);
		while (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & (RW_WRITER | RW_WAITING))
			__builtin_ia32_pause();
	} while (__atomic_fetch_add(&lock->word, RW_READER, __ATOMIC_ACQUIRE) & (RW_WRITER | RW_WAITING));
}

/* The one who gets the lock clears RW_WAITING; any other waiting writer sets it again at once. */
void rw_write_slowly(struct rwlock *lock)
{
	for (;;) {
		uint32_t word = __atomic_fetch_or(&lock->word, RW_WAITING, __ATOMIC_RELAXED) | RW_WAITING;

		if (word == RW_WAITING && __atomic_compare_exchange_n(&lock->word, &word, RW_WRITER, false,
								      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return;
		__builtin_ia32_pause();
	}
}
