/*
 * The kernel's side of <vm/env.h>: its locks, its CPU number, and where it sees physical memory.
 *
 * Interrupt handlers take no lock, and the kernel is not preempted, so spinlocks leave interrupts alone. With -DDEBUG, kern/core/lock_debug.c
 * checks every acquisition against the lock ranks. The host harness has a file of the same name.
 */
#ifndef VM_ENV_IMPL_H
#define VM_ENV_IMPL_H

#include <vm/layout.h>
#include <vm/types.h>

#define ENV_MAX_CPUS 8

#define page_array ((struct page *)LAYOUT_PAGES_START)

static inline void *env_phys_to_virt(paddr_t pa)
{
	return (void *)(LAYOUT_PHYSICAL_START + pa);
}

static inline paddr_t env_virt_to_phys(const void *address)
{
	return (paddr_t)address - LAYOUT_PHYSICAL_START;
}

/* Offsets in struct percpu (<kern/cpu.h>; asserted in cpu.c). */
#define PERCPU_NUMBER     24
#define PERCPU_LOCK_OWNER 28

static inline unsigned env_cpu(void)
{
	unsigned number;

	__asm__("movl %%gs:%c1, %0" : "=r"(number) : "i"(PERCPU_NUMBER));
	return number;
}

static inline uint32_t env_lock_owner(void)
{
	uint32_t owner;

	__asm__("movl %%gs:%c1, %0" : "=r"(owner) : "i"(PERCPU_LOCK_OWNER));
	return owner;
}

#ifdef DEBUG

/* Who a lock is, for the order check. Locks: (-) set once, by who initializes the lock. */
struct lock_identity {
	enum lock_rank rank; /* (-) */
	const char *name;    /* (-) */
};

#define ENV_LOCK_IDENTITY(rank, name) \
	,                             \
	{                             \
		rank, name            \
	}

#define LOCK_MAX_HELD 16

struct held_lock {
	const void *lock;
	const struct lock_identity *identity;
};

/* What a CPU (spinlocks) or a thread (others) holds; only it touches its own. */
struct lock_record {
	struct held_lock held[LOCK_MAX_HELD];
	unsigned count;
};

enum lock_kind { LOCK_SPINS, LOCK_SLEEPS };

/* `waits`: the caller would wait for the lock, so that the order matters. */
void lock_debug_take(const void *lock, const struct lock_identity *identity, enum lock_kind kind, bool waits);
void lock_debug_release(const void *lock, const struct lock_identity *identity, enum lock_kind kind);

/* Panics if this CPU holds a spinlock; `what` is for the message. */
void lock_debug_may_sleep(const char *what);

#define ENV_LOCK_TAKE(lock, kind, waits) lock_debug_take((lock), &(lock)->identity, (kind), (waits))
#define ENV_LOCK_RELEASE(lock, kind)     lock_debug_release((lock), &(lock)->identity, (kind))
#define ENV_LOCK_NAME(lock, r, n)        ((lock)->identity = (struct lock_identity){(r), (n)})

#else

#define ENV_LOCK_IDENTITY(rank, name)
#define ENV_LOCK_TAKE(lock, kind, waits) ((void)0)
#define ENV_LOCK_RELEASE(lock, kind)     ((void)0)
#define ENV_LOCK_NAME(lock, r, n)        ((void)(r), (void)(n))

#endif

/* Held by the CPU whose number is one less than `owner`; 0: free. */
struct spinlock {
	uint32_t owner; /* atomic */
#ifdef DEBUG
	struct lock_identity identity;
#endif
};

#define ENV_SPINLOCK_INIT(rank, name)           \
	{                                       \
		0 ENV_LOCK_IDENTITY(rank, name) \
	}

static inline void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name)
{
	__atomic_store_n(&lock->owner, 0, __ATOMIC_RELAXED);
	ENV_LOCK_NAME(lock, rank, name);
}

/* One attempt: four instructions in the usual case. */
static inline bool spin_take(struct spinlock *lock)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(&lock->owner, &free, env_lock_owner(), false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

/* For spin_lock: waits and takes the lock. Panics if this CPU has it already (kern/core/lock.c). */
void spin_lock_slowly(struct spinlock *lock);

static inline void spin_lock(struct spinlock *lock)
{
	ENV_LOCK_TAKE(lock, LOCK_SPINS, true);
	if (__builtin_expect(!spin_take(lock), 0))
		spin_lock_slowly(lock);
}

static inline bool spin_trylock(struct spinlock *lock)
{
	if (!spin_take(lock))
		return false;
	ENV_LOCK_TAKE(lock, LOCK_SPINS, false);
	return true;
}

static inline void spin_unlock(struct spinlock *lock)
{
	ENV_LOCK_RELEASE(lock, LOCK_SPINS);
	__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
}

static inline bool spin_held(const struct spinlock *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == env_lock_owner();
}

/*
 * A counter word: bit 0 is the writer's, bit 1 says that somebody waits for the lock (then all who come wait too, behind him), and
 * each reader counts RW_READER. Waiting, and giving the lock to who waits, are in kern/core/lock.c.
 */
struct rwlock {
	uint32_t word; /* atomic */
#ifdef DEBUG
	struct lock_identity identity;
#endif
};

#define RW_WRITER  1u
#define RW_WAITING 2u
#define RW_READER  4u

static inline void rw_init(struct rwlock *lock, enum lock_rank rank, const char *name)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELAXED);
	ENV_LOCK_NAME(lock, rank, name);
}

/* For those below: wait for the lock and take it (rw_read_slowly takes back the count that its caller added); give it to who waits. */
void rw_read_slowly(struct rwlock *lock);
void rw_write_slowly(struct rwlock *lock);
void rw_wake(struct rwlock *lock);

/* Counts itself in first and looks then: one atomic instruction in the usual case. */
static inline void rw_read_lock(struct rwlock *lock)
{
	ENV_LOCK_TAKE(lock, LOCK_SLEEPS, true);
	if (__builtin_expect(__atomic_fetch_add(&lock->word, RW_READER, __ATOMIC_ACQUIRE) &
				     (RW_WRITER | RW_WAITING),
			     0))
		rw_read_slowly(lock);
}

/* The last reader who goes gives the lock to who waits. */
static inline void rw_read_leave(struct rwlock *lock)
{
	if (__builtin_expect(__atomic_sub_fetch(&lock->word, RW_READER, __ATOMIC_RELEASE) == RW_WAITING, 0))
		rw_wake(lock);
}

static inline void rw_read_unlock(struct rwlock *lock)
{
	ENV_LOCK_RELEASE(lock, LOCK_SLEEPS);
	rw_read_leave(lock);
}

static inline void rw_write_lock(struct rwlock *lock)
{
	uint32_t free = 0;

	ENV_LOCK_TAKE(lock, LOCK_SLEEPS, true);
	if (__builtin_expect(!__atomic_compare_exchange_n(&lock->word, &free, RW_WRITER, false,
							  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
			     0))
		rw_write_slowly(lock);
}

static inline void rw_write_unlock(struct rwlock *lock)
{
	ENV_LOCK_RELEASE(lock, LOCK_SLEEPS);
	if (__builtin_expect(__atomic_sub_fetch(&lock->word, RW_WRITER, __ATOMIC_RELEASE) & RW_WAITING, 0))
		rw_wake(lock);
}

static inline bool rw_held(const struct rwlock *lock)
{
	return (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & ~RW_WAITING) != 0;
}

static inline bool rw_held_write(const struct rwlock *lock)
{
	return (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & RW_WRITER) != 0;
}

#endif
