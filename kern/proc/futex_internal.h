/*
 * Futexes: what futex.c (waiting and waking), futex_pi.c (locks with an owner) and robust_list.c share.
 */
#ifndef PROC_FUTEX_INTERNAL_H
#define PROC_FUTEX_INTERNAL_H

#include <linux/futex.h>

#include "process_internal.h"

#define FUTEX_BYTES 4

/* What a word is known by. */
struct futex_key {
	const void *object; /* a blob, which is referenced, or a user space, which is not */
	uint64_t place;     /* in bytes */
	bool is_blob;
};

/* Somebody who waits. On its thread's stack. Locks: (b) its bucket's lock, of `bucket` the old one's; (-) set once. */
struct futex_waiter {
	TAILQ_ENTRY(futex_waiter) link; /* (b) */
	struct bucket *_Atomic bucket;  /* (b) to change; NULL: woken */
	struct futex_key key;           /* (b) */
	struct thread *thread;          /* (-) */
	uint32_t mask;                  /* (-) of FUTEX_WAIT_BITSET */
	bool private;                   /* (-) for futex_waitv: how its key is to be made */
	struct pi_waiter *pi;           /* (-) of FUTEX_WAIT_REQUEUE_PI: how it waits on; else NULL */
};

/* Locks: (b) its own lock. */
struct bucket {
	struct spinlock lock;
	TAILQ_HEAD(, futex_waiter) waiters; /* (b) in order of arrival */
};

/* One call's arguments. */
struct futex_call {
	struct task *task;
	vaddr_t address, other; /* uaddr, uaddr2 */
	bool private;
	uint32_t value, value2, value3;
	uint64_t deadline; /* nanoseconds since boot */
};

/* Makes the word's page readable. -EFAULT. */
int futex_bring_in(vaddr_t address);

/*
 * The key of a word. -EINVAL: unaligned; -EFAULT: nobody's memory, or, unless it is private, none that can be read, as on Linux, which looks for
 * its page. It is given back with futex_key_put. The second: of both words of a call, or of none.
 */
int futex_key_get(struct task *task, vaddr_t address, bool private, struct futex_key *key);
int futex_keys_get(const struct futex_call *call, struct futex_key *key, struct futex_key *other);
void futex_key_put(const struct futex_key *key);
bool futex_key_equal(const struct futex_key *left, const struct futex_key *right);

struct bucket *futex_bucket_of(const struct futex_key *key);

/* The buckets of two words, locked in the order of their addresses. */
void futex_lock_both(struct bucket *left, struct bucket *right);
void futex_unlock_both(struct bucket *left, struct bucket *right);

/* Enters the waiter if the word is what was expected, and begins to sleep. -EAGAIN: it is not; -EFAULT. */
int futex_enter(struct futex_waiter *waiter, vaddr_t address, uint32_t expected);

/* Takes the waiter out of the bucket it is in by now. Was it still in one, so that nobody has woken it? */
bool futex_leave(struct futex_waiter *waiter);

/* Wakes a waiter: the last that is done with it is to say so, as it goes when it sees that. Its bucket is locked. */
void futex_wake_waiter(struct bucket *bucket, struct futex_waiter *waiter);

/* ---- Locks with an owner (futex_pi.c) -------------------------------------------------------------------------- */

void futex_pi_init(void); /* once */

/* FUTEX_LOCK_PI and its kin; FUTEX_TRYLOCK_PI; FUTEX_UNLOCK_PI; FUTEX_WAIT_REQUEUE_PI; FUTEX_CMP_REQUEUE_PI. */
int64_t futex_lock_pi(const struct futex_call *call, bool tries);
int64_t futex_unlock_pi(const struct futex_call *call);
int64_t futex_wait_requeue_pi(const struct futex_call *call);
int64_t futex_requeue_pi(const struct futex_call *call);

#endif
