/*
 * The host's side of <vm/env.h>: the VM core's locks are pthread locks, its memory is an array.
 *
 * Every acquisition is checked against the lock ranks. What a thread holds is in env.c; the
 * machine that it all runs on, simulated RAM included, is machine.c.
 */
#ifndef VM_ENV_IMPL_H
#define VM_ENV_IMPL_H

#include <pthread.h>

#include <vm/types.h>

/*
 * A lock ends with the memory that it is in, without being told. The thread sanitizer would take the next one there for
 * the same, and find it in the wrong order.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define FORGET_LOCK(lock) __tsan_mutex_destroy((lock), 0)
#else
#define FORGET_LOCK(lock) ((void)(lock))
#endif

#define ENV_MAX_CPUS 8

struct page;

/* Descriptors of all frames below SIM_PHYSICAL_BYTES (machine.h). */
extern struct page *sim_page_array;
#define page_array sim_page_array

/* End the test when the address is outside of simulated RAM. */
void *env_phys_to_virt(paddr_t pa);
paddr_t env_virt_to_phys(const void *address);

/* The simulated CPU that this thread is. */
unsigned env_cpu(void);

struct host_thread; /* what identifies a thread: the address of something of its own */

/* Who a lock is, for the order check. */
struct lock_identity {
	enum lock_rank rank; /* (-) set once */
	const char *name;    /* (-) set once */
};

struct spinlock {
	pthread_mutex_t mutex;
	struct host_thread *owner; /* atomic; NULL: free */
	struct lock_identity identity;
};

#define ENV_SPINLOCK_INIT(rank, name)            \
	{                                        \
		PTHREAD_MUTEX_INITIALIZER, NULL, \
		{                                \
			(rank), (name)           \
		}                                \
	}

struct rwlock {
	pthread_rwlock_t lock;
	struct host_thread *writer; /* atomic; NULL: none */
	uint32_t readers;           /* atomic */
	struct lock_identity identity;
};

/* This thread, and its list of what it holds: checks the order, or that the lock is held. */
struct host_thread *host_thread_self(void);
void host_lock_taken(const void *lock, const struct lock_identity *identity, bool waits);
void host_lock_released(const void *lock, const struct lock_identity *identity);

static inline void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name)
{
	FORGET_LOCK(&lock->mutex);
	pthread_mutex_init(&lock->mutex, NULL);
	lock->owner = NULL;
	lock->identity = (struct lock_identity){rank, name};
}

static inline void spin_lock(struct spinlock *lock)
{
	host_lock_taken(lock, &lock->identity, true);
	pthread_mutex_lock(&lock->mutex);
	__atomic_store_n(&lock->owner, host_thread_self(), __ATOMIC_RELAXED);
}

static inline bool spin_trylock(struct spinlock *lock)
{
	if (pthread_mutex_trylock(&lock->mutex) != 0)
		return false;
	host_lock_taken(lock, &lock->identity, false);
	__atomic_store_n(&lock->owner, host_thread_self(), __ATOMIC_RELAXED);
	return true;
}

static inline void spin_unlock(struct spinlock *lock)
{
	host_lock_released(lock, &lock->identity);
	__atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock->mutex);
}

static inline bool spin_held(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == host_thread_self();
}

static inline void rw_init(struct rwlock *lock, enum lock_rank rank, const char *name)
{
	FORGET_LOCK(&lock->lock);
	pthread_rwlock_init(&lock->lock, NULL);
	lock->writer = NULL;
	lock->readers = 0;
	lock->identity = (struct lock_identity){rank, name};
}

static inline void rw_read_lock(struct rwlock *lock)
{
	host_lock_taken(lock, &lock->identity, true);
	pthread_rwlock_rdlock(&lock->lock);
	__atomic_fetch_add(&lock->readers, 1, __ATOMIC_RELAXED);
}

static inline void rw_read_unlock(struct rwlock *lock)
{
	host_lock_released(lock, &lock->identity);
	__atomic_fetch_sub(&lock->readers, 1, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&lock->lock);
}

static inline void rw_write_lock(struct rwlock *lock)
{
	host_lock_taken(lock, &lock->identity, true);
	pthread_rwlock_wrlock(&lock->lock);
	__atomic_store_n(&lock->writer, host_thread_self(), __ATOMIC_RELAXED);
}

static inline void rw_write_unlock(struct rwlock *lock)
{
	host_lock_released(lock, &lock->identity);
	__atomic_store_n(&lock->writer, NULL, __ATOMIC_RELAXED);
	pthread_rwlock_unlock(&lock->lock);
}

static inline bool rw_held_write(const struct rwlock *lock)
{
	return __atomic_load_n(&lock->writer, __ATOMIC_RELAXED) != NULL;
}

static inline bool rw_held(const struct rwlock *lock)
{
	return rw_held_write(lock) || __atomic_load_n(&lock->readers, __ATOMIC_RELAXED) > 0;
}

#endif
