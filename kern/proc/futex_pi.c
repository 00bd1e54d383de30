/*
 * Futexes that are locks with an owner (futex(2), "Priority-inheritance futexes"): FUTEX_LOCK_PI and what belongs to it.
 *
 * The word says who owns the lock: 0, or a tid, with FUTEX_WAITERS where the kernel has to be asked to unlock. As long as somebody waits, the kernel knows the lock, too
 * (struct pi_lock), by its key; the owner then gives it to the first who waits, and writes his tid into the word. An owner that ends gives away what it has: who gets it writes the word himself, with
 * FUTEX_OWNER_DIED, as he knows where it is.
 *
 * All threads are served alike, so that nobody has to be lent a priority. What is left of inheritance is its order, and that circles of waiting are refused.
 *
 * One spinlock guards all of this. Words are read and written under it, by instructions that take no page faults, as in futex.c.
 */
#include <asm/errno.h>
#include <vm/slab.h>

#include "futex_internal.h"

#define MOST_DEPTH 1024 /* owners that wait for owners: deeper than that is refused (Linux: max_lock_depth) */
/* Results of steps, besides 0 and errors, which programs never see. */
#define TRY_AGAIN (-1000) /* the word has changed meanwhile */
#define WAITS     (-1001) /* the waiter has been entered */

/*
 * A lock that somebody waits for. Made by who waits first, and gone when nobody does; the waiters keep the key's reference.
 * Locks: (p) pi.lock.
 */
struct pi_lock {
	RB_ENTRY(pi_lock) link;          /* (p) */
	struct futex_key key;            /* (p) */
	struct task *owner;              /* (p) it gives the lock away before it ends */
	LIST_ENTRY(pi_lock) owned;       /* (p) in owner->owned_locks */
	TAILQ_HEAD(, pi_waiter) waiters; /* (p) in order of arrival */
};
RB_HEAD(pi_locks, pi_lock);

/* Where a waiter is. */
enum pi_place {
	PI_NOWHERE, /* it does not wait for a lock (yet) */
	PI_QUEUED,
	PI_GIVEN /* the lock is the task's */
};

/* Somebody who waits for a lock; on its thread's stack. Locks: (p) pi.lock; (a) atomic; (-) set once. */
struct pi_waiter {
	TAILQ_ENTRY(pi_waiter) link; /* (p) */
	struct task *task;           /* (-) */
	struct futex_key key;        /* (-) of the lock */
	struct pi_lock *lock;        /* (p) while it is queued */
	struct pi_lock *spare;       /* (p) memory for a lock that is not known yet; NULL: used */
	_Atomic enum pi_place place; /* (a) changed with (p) */
	bool written;                /* (p) with the lock given: the word says so */
};

/* Locks: (p) its own lock. */
static struct {
	struct spinlock lock;
	struct pi_locks locks; /* (p) */
} pi = {.locks = RB_INITIALIZER(&pi.locks)};

static struct slab_cache lock_cache;

static int compare(const struct pi_lock *left, const struct pi_lock *right)
{
	if (left->key.object != right->key.object)
		return left->key.object < right->key.object ? -1 : 1;
	return left->key.place < right->key.place ? -1 : left->key.place > right->key.place;
}

RB_GENERATE_STATIC(pi_locks, pi_lock, link, compare)

void futex_pi_init(void)
{
	spin_init(&pi.lock, RANK_FUTEX_PI, "futexes with owners");
	slab_cache_init(&lock_cache, "futex lock", sizeof(struct pi_lock));
}

/* ---- Locks that are waited for: pi.lock is held ------------------------------------------------------------------ */

static struct pi_lock *find_lock(const struct futex_key *key)
{
	const struct pi_lock wanted = {.key = *key};

	return RB_FIND(pi_locks, &pi.locks, (struct pi_lock *)&wanted);
}

static void set_owner(struct pi_lock *lock, struct task *owner)
{
	lock->owner = owner;
	LIST_INSERT_HEAD(&owner->owned_locks, lock, owned);
}

/* Takes a waiter out. The lock goes with the last one. */
static void take_out(struct pi_waiter *waiter)
{
	struct pi_lock *lock = waiter->lock;

	TAILQ_REMOVE(&lock->waiters, waiter, link);
	waiter->lock = NULL;
	waiter->task->waits_for = NULL;
	if (!TAILQ_EMPTY(&lock->waiters))
		return;
	RB_REMOVE(pi_locks, &pi.locks, lock);
	LIST_REMOVE(lock, owned);
	slab_free(&lock_cache, lock);
}

/* Puts a waiter in; the first one makes the lock out of its spare memory. */
static void put_in(struct pi_waiter *waiter, struct pi_lock *lock, struct task *owner)
{
	if (!lock) {
		lock = waiter->spare;
		waiter->spare = NULL;
		*lock = (struct pi_lock){.key = waiter->key};
		TAILQ_INIT(&lock->waiters);
		set_owner(lock, owner);
		RB_INSERT(pi_locks, &pi.locks, lock);
	}
	TAILQ_INSERT_TAIL(&lock->waiters, waiter, link);
	waiter->lock = lock;
	waiter->task->waits_for = lock;
	waiter->place = PI_QUEUED;
}

/* Gives the lock to the first who waits. `written`: the word says so already. */
static void give(struct pi_lock *lock, bool written)
{
	struct pi_waiter *first = TAILQ_FIRST(&lock->waiters);

	LIST_REMOVE(lock, owned);
	set_owner(lock, first->task);
	take_out(first);
	first->written = written;
	first->place = PI_GIVEN;
	/* It goes no sooner than it has had pi.lock, too. */
	thread_wake(&first->task->thread);
}

/* Does `owner`, or whom it waits for, and so on, wait for `task`? */
static bool is_circle(const struct task *owner, const struct task *task)
{
	for (unsigned depth = 0; depth < MOST_DEPTH; depth++) {
		if (owner == task)
			return true;
		if (!owner->waits_for)
			return false;
		owner = owner->waits_for->owner;
	}
	return true;
}

void futex_pi_end(struct task *task, bool ends)
{
	spin_lock(&pi.lock);
	task->owns_no_more = ends;
	while (!LIST_EMPTY(&task->owned_locks))
		give(LIST_FIRST(&task->owned_locks), false);
	spin_unlock(&pi.lock);
}

/* ---- Locking ----------------------------------------------------------------------------------------------------------- */

/* What is known of a word before pi.lock is taken. */
struct owner {
	uint32_t value;    /* the word */
	struct task *task; /* whose tid is in it, a reference; NULL: there is none */
};

static int owner_get(vaddr_t address, struct owner *out)
{
	int error = copy_from_user(&out->value, address, sizeof(out->value));
	uint32_t tid = out->value & FUTEX_TID_MASK;

	out->task = !error && tid ? task_find((int)tid) : NULL;
	return error;
}

static void owner_put(const struct owner *owner)
{
	if (owner->task)
		task_unref(owner->task);
}

/* Changes the word from what was seen. 0, TRY_AGAIN, or -EFAULT: its page has to be brought in. No page faults. */
static int change_word(vaddr_t address, uint32_t from, uint32_t to)
{
	uint32_t was;

	if (!user_word_exchange_now(address, from, to, &was))
		return -EFAULT;
	return was == from ? 0 : TRY_AGAIN;
}

/* Does what the word says fit what is known? 0: it does, and there is somebody to wait for. pi.lock is held. */
static int check_owner(const struct owner *seen, const struct pi_lock *lock, const struct task *task)
{
	uint32_t tid = seen->value & FUTEX_TID_MASK;

	if (lock) {
		/* Who was given the lock of one that died may not have written the word yet. */
		if (tid != 0 ? (uint32_t)lock->owner->tid != tid && !(seen->value & FUTEX_OWNER_DIED)
			     : !(seen->value & FUTEX_OWNER_DIED))
			return -EINVAL;
		return is_circle(lock->owner, task) ? -EDEADLK : 0;
	}
	if (!seen->task || seen->task->owns_no_more)
		return -ESRCH;
	return is_circle(seen->task, task) ? -EDEADLK : 0;
}

/*
 * Gets the lock for the waiter's task (0), or enters it (WAITS; with FUTEX_WAITERS in the word). `more`: others are going to wait, too. `tries`: it
 * does not wait, -EAGAIN. TRY_AGAIN, -EFAULT, -EDEADLK, -ESRCH, -EINVAL. pi.lock is held.
 */
static int lock_once(struct pi_waiter *waiter, vaddr_t address, const struct owner *seen, bool more,
		     bool tries)
{
	struct pi_lock *lock = find_lock(&waiter->key);
	uint32_t value, own = (uint32_t)waiter->task->tid;
	int error;

	if (!user_word_read_now(address, &value))
		return -EFAULT;
	if (value != seen->value)
		return TRY_AGAIN;
	if ((value & FUTEX_TID_MASK) == own)
		return -EDEADLK;
	if (!lock && (value & FUTEX_TID_MASK) == 0)
		return change_word(address, value,
				   (value & FUTEX_OWNER_DIED) | own | (more ? FUTEX_WAITERS : 0));
	error = check_owner(seen, lock, waiter->task);
	if (error)
		return error;
	if (tries)
		return -EAGAIN;
	if (!(value & FUTEX_WAITERS))
		error = change_word(address, value, value | FUTEX_WAITERS);
	if (error)
		return error;
	put_in(waiter, lock, seen->task);
	return WAITS;
}

/* Prepares what a waiter needs. -ENOMEM. The spare memory goes with waiter_end. */
static int waiter_begin(struct pi_waiter *waiter, struct task *task)
{
	waiter->task = task;
	waiter->spare = slab_alloc(&lock_cache);
	return waiter->spare ? 0 : -ENOMEM;
}

static void waiter_end(struct pi_waiter *waiter)
{
	if (waiter->spare)
		slab_free(&lock_cache, waiter->spare);
}

/* The lock is the current task's, but the word does not say so yet. As Linux: FUTEX_WAITERS stays, so that the kernel is asked to unlock. */
static int write_word(const struct pi_waiter *waiter, vaddr_t address)
{
	uint32_t value, was, own = (uint32_t)waiter->task->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED;
	int error = copy_from_user(&value, address, sizeof(value));

	while (!error) {
		error = user_word_exchange(address, value, own, &was);
		if (!error && was == value)
			return 0;
		value = was;
	}
	return error;
}

/* After the sleep: 0 if the task has the lock, else `status`. */
static int settle(struct pi_waiter *waiter, vaddr_t address, int status)
{
	bool given;

	spin_lock(&pi.lock);
	given = waiter->place == PI_GIVEN;
	if (waiter->place == PI_QUEUED)
		take_out(waiter);
	spin_unlock(&pi.lock);
	if (!given)
		return status;
	return waiter->written ? 0 : write_word(waiter, address);
}

/* Sleeps until the lock is given to it. */
static int sleep(struct pi_waiter *waiter, uint64_t deadline)
{
	int status = thread_sleep(deadline);

	while (status == 0 && waiter->place == PI_QUEUED) {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		if (waiter->place == PI_QUEUED)
			status = thread_sleep(deadline);
		else
			thread_sleep_end();
	}
	return status;
}

/* One attempt: as lock_once. */
static int attempt(struct pi_waiter *waiter, vaddr_t address, bool tries)
{
	struct owner seen;
	int result = owner_get(address, &seen);

	if (result)
		return result;
	spin_lock(&pi.lock);
	result = lock_once(waiter, address, &seen, false, tries);
	if (result == WAITS)
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
	spin_unlock(&pi.lock);
	owner_put(&seen);
	if (result != -EFAULT)
		return result;
	return user_bring_in(address, VM_WRITE) ? -EFAULT : TRY_AGAIN;
}

int64_t futex_lock_pi(const struct futex_call *call, bool tries)
{
	struct pi_waiter waiter = {.place = PI_NOWHERE};
	int result = futex_key_get(call->task, call->address, call->private, &waiter.key);

	if (result)
		return result;
	result = waiter_begin(&waiter, call->task);
	if (!result) {
		do
			result = attempt(&waiter, call->address, tries);
		while (result == TRY_AGAIN && !(call->task->thread.interrupts & INTERRUPT_KILL));
		if (result == WAITS)
			result = settle(&waiter, call->address, sleep(&waiter, call->deadline));
		waiter_end(&waiter);
	}
	futex_key_put(&waiter.key);
	return result == -EINTR || result == TRY_AGAIN ? -ERESTARTNOINTR : result;
}

/* ---- Unlocking ---------------------------------------------------------------------------------------------------------- */

/* 0, TRY_AGAIN, or an error. pi.lock is held. */
static int unlock_once(const struct futex_call *call, const struct futex_key *key, uint32_t value)
{
	struct pi_lock *lock = find_lock(key);
	int error;

	if (!lock)
		return change_word(call->address, value, 0);
	if (lock->owner != call->task)
		return -EINVAL;
	error = change_word(call->address, value,
			    (uint32_t)TAILQ_FIRST(&lock->waiters)->task->tid | FUTEX_WAITERS);
	if (!error)
		give(lock, true);
	return error;
}

int64_t futex_unlock_pi(const struct futex_call *call)
{
	struct futex_key key;
	uint32_t value;
	int result = futex_key_get(call->task, call->address, call->private, &key);

	if (result)
		return result;
	do {
		result = copy_from_user(&value, call->address, sizeof(value));
		if (!result && (value & FUTEX_TID_MASK) != (uint32_t)call->task->tid)
			result = -EPERM;
		if (result)
			break;
		spin_lock(&pi.lock);
		result = unlock_once(call, &key, value);
		spin_unlock(&pi.lock);
		if (result == -EFAULT && user_bring_in(call->address, VM_WRITE) == 0)
			result = TRY_AGAIN;
	} while (result == TRY_AGAIN && !(call->task->thread.interrupts & INTERRUPT_KILL));
	futex_key_put(&key);
	return result == TRY_AGAIN ? -ERESTARTNOINTR : result;
}

/* ---- From a condition to its lock ------------------------------------------------------------------------------------------ */

/* Has nothing happened yet? The bucket first: who requeues sets it last. */
static bool still_waits(const struct futex_waiter *waiter)
{
	return waiter->bucket != NULL || waiter->pi->place == PI_QUEUED;
}

static int sleep_through(const struct futex_waiter *waiter, uint64_t deadline)
{
	int status = thread_sleep(deadline);

	while (status == 0 && still_waits(waiter)) {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		if (still_waits(waiter))
			status = thread_sleep(deadline);
		else
			thread_sleep_end();
	}
	return status;
}

static int wait_for_both(const struct futex_call *call, struct futex_waiter *waiter)
{
	int status = futex_enter(waiter, call->address, call->value);

	if (status)
		return status;
	status = sleep_through(waiter, call->deadline);
	if (futex_leave(waiter))
		return status == -EINTR ? -ERESTARTNOINTR : status;
	/* It has been moved: whoever interrupts it then gets it to look at the condition again. */
	return settle(waiter->pi, call->other, status == -EINTR || !status ? -EAGAIN : status);
}

int64_t futex_wait_requeue_pi(const struct futex_call *call)
{
	struct pi_waiter own = {.place = PI_NOWHERE};
	struct futex_waiter waiter = {.thread = &call->task->thread, .mask = call->value3, .pi = &own};
	int result;

	if (call->address == call->other || call->value3 == 0)
		return -EINVAL;
	result = futex_keys_get(call, &waiter.key, &own.key);
	if (result)
		return result;
	result = futex_key_equal(&waiter.key, &own.key) ? -EINVAL : waiter_begin(&own, call->task);
	if (!result) {
		result = wait_for_both(call, &waiter);
		waiter_end(&own);
	}
	futex_key_put(&own.key);
	futex_key_put(&waiter.key);
	return result;
}

/* The next that waits for `key`, from `waiter` on. The bucket is locked. */
static struct futex_waiter *next_of(struct futex_waiter *waiter, const struct futex_key *key)
{
	while (waiter && !futex_key_equal(&waiter->key, key))
		waiter = TAILQ_NEXT(waiter, link);
	return waiter;
}

/* One waiter leaves the condition: it has the lock (`given`), or is in the queue for it. Both are locked; the waiter goes no sooner than it has had pi.lock, too. */
static void move(struct bucket *bucket, struct futex_waiter *waiter, bool given)
{
	TAILQ_REMOVE(&bucket->waiters, waiter, link);
	waiter->pi->written = given;
	if (given)
		waiter->pi->place = PI_GIVEN;
	waiter->bucket = NULL;
	if (given)
		thread_wake(waiter->thread);
}

/* Moves waiters for the first word to the lock. How many, or an error if none. The bucket is locked, and pi.lock held. */
static int move_waiters(const struct futex_call *call, const struct futex_key *key,
			const struct futex_key *other, const struct owner *seen)
{
	struct bucket *bucket = futex_bucket_of(key);
	struct futex_waiter *waiter = next_of(TAILQ_FIRST(&bucket->waiters), key), *next;
	unsigned most = call->value2 < INT32_MAX ? call->value2 + 1 : INT32_MAX, moved = 0;
	struct owner owner = *seen;
	int result = 0;

	for (; waiter && moved < most; waiter = next) {
		next = next_of(TAILQ_NEXT(waiter, link), key);
		if (!waiter->pi || !futex_key_equal(&waiter->pi->key, other)) {
			result = -EINVAL;
			break;
		}
		result = lock_once(waiter->pi, call->other, &owner, next && moved + 1 < most, false);
		if (result != 0 && result != WAITS)
			break;
		/* From now on the word is as this has left it. */
		if (result == 0)
			owner.task = waiter->pi->task;
		(void)user_word_read_now(call->other, &owner.value);
		move(bucket, waiter, result == 0);
		moved++;
	}
	return moved > 0 ? (int)moved : result;
}

static int requeue_once(const struct futex_call *call, const struct futex_key *key,
			const struct futex_key *other)
{
	struct bucket *bucket = futex_bucket_of(key);
	struct owner seen;
	uint32_t value;
	int result = owner_get(call->other, &seen);

	if (result)
		return result;
	spin_lock(&bucket->lock);
	spin_lock(&pi.lock);
	if (!user_word_read_now(call->address, &value))
		result = -EFAULT;
	else if (value != call->value3)
		result = -EAGAIN;
	else
		result = move_waiters(call, key, other, &seen);
	spin_unlock(&pi.lock);
	spin_unlock(&bucket->lock);
	owner_put(&seen);
	return result;
}

int64_t futex_requeue_pi(const struct futex_call *call)
{
	struct futex_key key, other;
	int result;

	if (call->address == call->other || call->value != 1 || (int32_t)call->value2 < 0)
		return -EINVAL;
	result = futex_keys_get(call, &key, &other);
	if (result)
		return result;
	do {
		result = futex_key_equal(&key, &other) ? -EINVAL : requeue_once(call, &key, &other);
		if (result == -EFAULT && futex_bring_in(call->address) == 0 &&
		    user_bring_in(call->other, VM_WRITE) == 0)
			result = TRY_AGAIN;
	} while (result == TRY_AGAIN && !(call->task->thread.interrupts & INTERRUPT_KILL));
	futex_key_put(&other);
	futex_key_put(&key);
	return result;
}
