/*
 * Futexes (futex(2), futex_waitv(2)): waiting for a word of user memory to change.
 *
 * A word is known by a key: in memory that is shared between processes by the blob it is in and its place there, else by the user space and the
 * address. Waiters are in buckets by their key. A waiter looks at the word with its bucket locked, and who changes the word wakes with the bucket locked:
 * so a wake-up comes after the look, and finds the waiter, or before it, and then the look sees the change.
 *
 * A bucket's lock is a spinlock, so that looks under it do not take page faults: where one would, the lock is let go, the page is brought in, and all
 * begins anew.
 */
#include <asm/errno.h>
#include <linux/futex.h>
#include <linux/time.h>

#include "futex_internal.h"

#define BUCKETS         256u /* a power of two */
#define NS_PER_SECOND   1000000000l
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ul

static struct bucket buckets[BUCKETS];

void futex_init(void)
{
	futex_pi_init();
	for (unsigned i = 0; i < BUCKETS; i++) {
		spin_init(&buckets[i].lock, RANK_FUTEX, "futex bucket (nested)");
		TAILQ_INIT(&buckets[i].waiters);
	}
}

/* ---- Keys ---------------------------------------------------------------------------------------------- */

int futex_bring_in(vaddr_t address)
{
	uint32_t value;

	return copy_from_user(&value, address, sizeof(value));
}

int futex_key_get(struct task *task, vaddr_t address, bool private, struct futex_key *key)
{
	struct user_space *space = task->process->space;
	struct lookup found;

	if (address % FUTEX_BYTES != 0)
		return -EINVAL;
	if (!user_range(address, FUTEX_BYTES))
		return -EFAULT;
	*key = (struct futex_key){.object = space, .place = address};
	if (private)
		return 0;
	if (futex_bring_in(address) != 0)
		return -EFAULT;
	if (map_lookup(space->root, address, &found) != 0)
		return -EFAULT;
	if (found.how.inherit == INHERIT_SHARE) {
		*key = (struct futex_key){
			.object = found.blob,
			.place = pages_to_bytes(found.offset) + (address & PAGE_MASK),
			.is_blob = true,
		};
		blob_ref(found.blob);
	}
	lookup_release(&found);
	return 0;
}

void futex_key_put(const struct futex_key *key)
{
	if (key->is_blob)
		blob_unref((struct blob *)key->object);
}

bool futex_key_equal(const struct futex_key *left, const struct futex_key *right)
{
	return left->object == right->object && left->place == right->place;
}

struct bucket *futex_bucket_of(const struct futex_key *key)
{
	uint64_t hash = ((uint64_t)key->object + key->place / FUTEX_BYTES) * HASH_MULTIPLIER;

	return &buckets[hash >> 32 & (BUCKETS - 1)];
}

/* ---- Waiting --------------------------------------------------------------------------------------------- */

/* The bucket is locked. */
static void remove_waiter(struct bucket *bucket, struct futex_waiter *waiter)
{
	TAILQ_REMOVE(&bucket->waiters, waiter, link);
	waiter->bucket = NULL;
}

bool futex_leave(struct futex_waiter *waiter)
{
	struct bucket *bucket;

	while ((bucket = waiter->bucket) != NULL) {
		spin_lock(&bucket->lock);
		if (waiter->bucket == bucket) {
			remove_waiter(bucket, waiter);
			spin_unlock(&bucket->lock);
			return true;
		}
		spin_unlock(&bucket->lock);
	}
	return false;
}

/*
 * Enters the waiter if the word is what was expected, and, if so wanted, begins to sleep. 0; -EAGAIN if it is not; -EFAULT if the page is not there: to be brought
 * in.
 */
static int enter(struct futex_waiter *waiter, vaddr_t address, uint32_t expected, bool sleeps)
{
	struct bucket *bucket = futex_bucket_of(&waiter->key);
	uint32_t value;
	int error = 0;

	spin_lock(&bucket->lock);
	if (!user_word_read_now(address, &value))
		error = -EFAULT;
	else if (value != expected)
		error = -EAGAIN;
	if (!error) {
		waiter->bucket = bucket;
		TAILQ_INSERT_TAIL(&bucket->waiters, waiter, link);
		if (sleeps)
			thread_sleep_begin(SLEEP_INTERRUPTIBLE);
	}
	spin_unlock(&bucket->lock);
	return error;
}

int futex_enter(struct futex_waiter *waiter, vaddr_t address, uint32_t expected)
{
	int error;

	while ((error = enter(waiter, address, expected, true)) == -EFAULT) {
		error = futex_bring_in(address);
		if (error)
			break;
	}
	return error;
}

/* Has nobody woken the waiter? */
static bool still_waits(const struct futex_waiter *waiter)
{
	struct bucket *bucket;
	bool same;

	while ((bucket = waiter->bucket) != NULL) {
		spin_lock(&bucket->lock);
		same = waiter->bucket == bucket;
		spin_unlock(&bucket->lock);
		if (same)
			return true;
	}
	return false;
}

/* Sleeps until the waiter is woken: 0; or -ETIMEDOUT, -EINTR. A thread may be woken by others than who meant the waiter. */
static int sleep(struct futex_waiter *waiter, uint64_t deadline)
{
	int status = thread_sleep(deadline);

	while (status == 0 && still_waits(waiter)) {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		if (still_waits(waiter))
			status = thread_sleep(deadline);
		else
			thread_sleep_end();
	}
	return futex_leave(waiter) ? status : 0;
}

static int64_t futex_wait(const struct futex_call *call, uint32_t mask)
{
	struct futex_waiter waiter = {.thread = thread_current(), .mask = mask};
	int error;

	if (mask == 0)
		return -EINVAL;
	error = futex_key_get(call->task, call->address, call->private, &waiter.key);
	if (error)
		return error;
	error = futex_enter(&waiter, call->address, call->value);
	if (!error)
		error = sleep(&waiter, call->deadline);
	/* A requeue has changed the key, and taken its references with it. */
	futex_key_put(&waiter.key);
	return error == -EINTR ? -ERESTARTSYS : error;
}

/* ---- Waiting for several words (futex_waitv(2)) ------------------------------------------------------------ */

/* Waiters of one thread, as many as were asked for. On pages of their own. */
struct futex_group {
	struct task *task;
	unsigned count;    /* words */
	unsigned with_key; /* of them have a key */
	unsigned entered;  /* of them are in buckets, or have been woken */
	struct {
		struct futex_waiter waiter;
		vaddr_t address;
		uint32_t expected;
	} word[];
};

/* The first that has been woken; -1: none. */
static int woken_of(const struct futex_group *group)
{
	for (unsigned i = 0; i < group->entered; i++)
		if (!still_waits(&group->word[i].waiter))
			return (int)i;
	return -1;
}

/* Takes all out of their buckets. The last that had been woken before, as on Linux; -1: none had. */
static int leave_all(struct futex_group *group)
{
	int woken = -1;

	for (unsigned i = 0; i < group->entered; i++)
		if (!futex_leave(&group->word[i].waiter))
			woken = (int)i;
	group->entered = 0;
	return woken;
}

/* Enters all. -1; or the number of one that was woken meanwhile; or, with none entered, *error. */
static int enter_all(struct futex_group *group, int *error)
{
	int woken = -1;

	*error = 0;
	while (group->entered < group->count) {
		unsigned i = group->entered;

		*error =
			enter(&group->word[i].waiter, group->word[i].address, group->word[i].expected, false);
		if (!*error) {
			group->entered++;
			continue;
		}
		woken = leave_all(group);
		if (woken < 0 && *error == -EFAULT)
			*error = futex_bring_in(group->word[i].address);
		if (woken >= 0 || *error)
			break;
	}
	return woken;
}

/* The number of a word that was woken; or -EAGAIN, -EFAULT, -ETIMEDOUT, -ERESTARTSYS. */
static int64_t wait_for_group(struct futex_group *group, uint64_t deadline)
{
	int status, woken = enter_all(group, &status);

	if (woken >= 0 || status)
		return woken >= 0 ? woken : status;
	while (status == 0 && woken_of(group) < 0) {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		if (woken_of(group) < 0)
			status = thread_sleep(deadline);
		else
			thread_sleep_end();
	}
	woken = leave_all(group);
	if (woken >= 0)
		return woken;
	return status == -EINTR ? -ERESTARTSYS : status;
}

/* Reads what the call was given. 0, -EFAULT, -EINVAL. */
static int get_words(struct futex_group *group, vaddr_t from)
{
	for (unsigned i = 0; i < group->count; i++) {
		struct futex_waitv asked;

		if (copy_from_user(&asked, from + i * sizeof(asked), sizeof(asked)) != 0)
			return -EFAULT;
		if ((asked.flags & ~(uint32_t)FUTEX_PRIVATE_FLAG) != FUTEX_32 || asked.__reserved != 0)
			return -EINVAL;
		group->word[i].address = asked.uaddr;
		group->word[i].expected = (uint32_t)asked.val;
		group->word[i].waiter = (struct futex_waiter){
			.thread = thread_current(),
			.mask = FUTEX_BITSET_MATCH_ANY,
			.private = asked.flags & FUTEX_PRIVATE_FLAG,
		};
	}
	return 0;
}

static int get_keys(struct futex_group *group)
{
	int error = 0;

	while (!error && group->with_key < group->count) {
		unsigned i = group->with_key;

		error = futex_key_get(group->task, group->word[i].address, group->word[i].waiter.private,
				      &group->word[i].waiter.key);
		if (!error)
			group->with_key++;
	}
	return error;
}

static int64_t wait_for_words(struct futex_group *group, vaddr_t from, uint64_t deadline)
{
	int64_t result = get_words(group, from);

	if (!result)
		result = get_keys(group);
	if (!result)
		result = wait_for_group(group, deadline);
	for (unsigned i = 0; i < group->with_key; i++)
		futex_key_put(&group->word[i].waiter.key);
	return result;
}

/* ---- Waking ----------------------------------------------------------------------------------------------- */

void futex_wake_waiter(struct bucket *bucket, struct futex_waiter *waiter)
{
	TAILQ_REMOVE(&bucket->waiters, waiter, link);
	thread_wake(waiter->thread);
	waiter->bucket = NULL;
}

/*
 * Wakes up to `count` waiters for a key whose masks meet `mask`. How many; -EINVAL: there is one that only FUTEX_CMP_REQUEUE_PI may wake. The bucket is
 * locked.
 */
static int wake_locked(struct bucket *bucket, const struct futex_key *key, uint32_t mask, unsigned count)
{
	struct futex_waiter *waiter, *next;
	unsigned woken = 0;

	TAILQ_FOREACH_SAFE(waiter, &bucket->waiters, link, next)
	{
		if (woken >= count)
			break;
		if (!futex_key_equal(&waiter->key, key) || !(waiter->mask & mask))
			continue;
		if (waiter->pi)
			return woken ? (int)woken : -EINVAL;
		futex_wake_waiter(bucket, waiter);
		woken++;
	}
	return (int)woken;
}

static int wake_key(const struct futex_key *key, uint32_t mask, unsigned count)
{
	struct bucket *bucket = futex_bucket_of(key);
	int woken;

	spin_lock(&bucket->lock);
	woken = wake_locked(bucket, key, mask, count);
	spin_unlock(&bucket->lock);
	return woken;
}

/* As Linux: at least one is woken, whatever the number says. */
static unsigned wake_count(uint32_t value)
{
	return value == 0 || value > INT32_MAX ? 1 : value;
}

static int64_t futex_wake_call(const struct futex_call *call, uint32_t mask)
{
	struct futex_key key;
	int result;

	if (mask == 0)
		return -EINVAL;
	result = futex_key_get(call->task, call->address, call->private, &key);
	if (result)
		return result;
	result = wake_key(&key, mask, wake_count(call->value));
	futex_key_put(&key);
	return result;
}

int futex_wake(struct task *task, vaddr_t address, unsigned count)
{
	const struct futex_call call = {.task = task, .address = address, .value = count};

	return (int)futex_wake_call(&call, FUTEX_BITSET_MATCH_ANY);
}

/* ---- Two words -------------------------------------------------------------------------------------------------- */

void futex_lock_both(struct bucket *left, struct bucket *right)
{
	spin_lock(left < right ? &left->lock : &right->lock);
	if (left != right)
		spin_lock(left < right ? &right->lock : &left->lock);
}

void futex_unlock_both(struct bucket *left, struct bucket *right)
{
	spin_unlock(&left->lock);
	if (left != right)
		spin_unlock(&right->lock);
}

int futex_keys_get(const struct futex_call *call, struct futex_key *key, struct futex_key *other)
{
	int error = futex_key_get(call->task, call->address, call->private, key);

	if (error)
		return error;
	error = futex_key_get(call->task, call->other, call->private, other);
	if (error)
		futex_key_put(key);
	return error;
}

/* Lets up to `count` waiters for `key` wait for `other`. How many, or -EINVAL as above. Both buckets are locked. */
static int requeue_locked(const struct futex_key *key, const struct futex_key *other, unsigned count)
{
	struct bucket *from = futex_bucket_of(key), *to = futex_bucket_of(other);
	struct futex_waiter *waiter, *next;
	unsigned moved = 0;

	TAILQ_FOREACH_SAFE(waiter, &from->waiters, link, next)
	{
		if (moved >= count)
			break;
		if (!futex_key_equal(&waiter->key, key))
			continue;
		if (waiter->pi)
			return moved ? (int)moved : -EINVAL;
		/* Its reference to the old blob becomes the caller's. */
		if (other->is_blob)
			blob_ref((struct blob *)other->object);
		TAILQ_REMOVE(&from->waiters, waiter, link);
		waiter->key = *other;
		waiter->bucket = to;
		TAILQ_INSERT_TAIL(&to->waiters, waiter, link);
		moved++;
	}
	return (int)moved;
}

/* With both buckets locked: is the first word what was expected? 0, -EAGAIN, or -EFAULT for a page that has to be brought in. */
static int compare_locked(const struct futex_call *call)
{
	uint32_t value;

	if (!user_word_read_now(call->address, &value))
		return -EFAULT;
	return value == call->value3 ? 0 : -EAGAIN;
}

static int64_t requeue_once(const struct futex_call *call, bool compare, const struct futex_key *key,
			    const struct futex_key *other)
{
	struct bucket *from = futex_bucket_of(key), *to = futex_bucket_of(other);
	int woken = 0, moved = 0, error;

	futex_lock_both(from, to);
	error = compare ? compare_locked(call) : 0;
	if (!error) {
		woken = wake_locked(from, key, FUTEX_BITSET_MATCH_ANY, call->value);
		if (woken >= 0 && !futex_key_equal(key, other))
			moved = requeue_locked(key, other, call->value2);
	}
	futex_unlock_both(from, to);
	for (int i = 0; i < moved; i++)
		futex_key_put(key);
	if (error || woken < 0)
		return error ? error : woken;
	return moved < 0 ? moved : woken + moved;
}

static int64_t futex_requeue(const struct futex_call *call, bool compare)
{
	struct futex_key key, other;
	int64_t result;

	if ((int32_t)call->value < 0 || (int32_t)call->value2 < 0)
		return -EINVAL;
	result = futex_keys_get(call, &key, &other);
	if (result)
		return result;
	while ((result = requeue_once(call, compare, &key, &other)) == -EFAULT) {
		result = futex_bring_in(call->address);
		if (result)
			break;
	}
	futex_key_put(&other);
	futex_key_put(&key);
	return result;
}

/* ---- FUTEX_WAKE_OP: value3 says what is done with the second word, and what it is compared with ------------- */

#define OPERAND_BITS 12

static int32_t signed_field(uint32_t from, unsigned shift)
{
	return (int32_t)(from << (32 - OPERAND_BITS - shift)) >> (32 - OPERAND_BITS);
}

/* What the second word becomes. -ENOSYS: no such operation. */
static int operate(uint32_t encoded, uint32_t word, uint32_t *out)
{
	uint32_t operation = encoded >> 28, operand = (uint32_t)signed_field(encoded, OPERAND_BITS);

	if (operation & FUTEX_OP_OPARG_SHIFT)
		operand = 1u << (operand & 31);
	switch (operation & ~(uint32_t)FUTEX_OP_OPARG_SHIFT) {
	case FUTEX_OP_SET:
		*out = operand;
		return 0;
	case FUTEX_OP_ADD:
		*out = word + operand;
		return 0;
	case FUTEX_OP_OR:
		*out = word | operand;
		return 0;
	case FUTEX_OP_ANDN:
		*out = word & ~operand;
		return 0;
	case FUTEX_OP_XOR:
		*out = word ^ operand;
		return 0;
	default:
		return -ENOSYS;
	}
}

/* What the second word was, compared with what value3 says. 1, 0, or -ENOSYS. */
static int compares(uint32_t encoded, uint32_t word)
{
	int32_t was = (int32_t)word, with = signed_field(encoded, 0);

	switch (encoded >> 24 & 0xf) {
	case FUTEX_OP_CMP_EQ:
		return was == with;
	case FUTEX_OP_CMP_NE:
		return was != with;
	case FUTEX_OP_CMP_LT:
		return was < with;
	case FUTEX_OP_CMP_GE:
		return was >= with;
	case FUTEX_OP_CMP_LE:
		return was <= with;
	case FUTEX_OP_CMP_GT:
		return was > with;
	default:
		return -ENOSYS;
	}
}

/* Does it, in one step. *was is the word before. -EFAULT: its page has to be brought in. No page faults. */
static int change_word(const struct futex_call *call, uint32_t *was)
{
	uint32_t seen, next;
	int error;

	if (!user_word_read_now(call->other, &seen))
		return -EFAULT;
	do {
		*was = seen;
		error = operate(call->value3, *was, &next);
		if (error)
			return error;
		if (!user_word_exchange_now(call->other, *was, next, &seen))
			return -EFAULT;
	} while (seen != *was);
	return 0;
}

static int64_t wake_op_once(const struct futex_call *call, const struct futex_key *key,
			    const struct futex_key *other)
{
	struct bucket *left = futex_bucket_of(key), *right = futex_bucket_of(other);
	int64_t result;
	uint32_t was;

	futex_lock_both(left, right);
	result = change_word(call, &was);
	if (result == 0)
		result = compares(call->value3, was);
	if (result >= 0) {
		int64_t second = 0;
		bool both = result == 1;

		result = wake_locked(left, key, FUTEX_BITSET_MATCH_ANY, wake_count(call->value));
		if (result >= 0 && both)
			second = wake_locked(right, other, FUTEX_BITSET_MATCH_ANY, wake_count(call->value2));
		result = second < 0 ? second : result + second;
	}
	futex_unlock_both(left, right);
	return result;
}

static int64_t futex_wake_op(const struct futex_call *call)
{
	struct futex_key key, other;
	int64_t result = futex_keys_get(call, &key, &other);
	uint32_t was;

	if (result)
		return result;
	while ((result = wake_op_once(call, &key, &other)) == -EFAULT) {
		result = user_word_exchange(call->other, 0, 0, &was);
		if (result)
			break;
	}
	futex_key_put(&other);
	futex_key_put(&key);
	return result;
}

/* ---- The call ---------------------------------------------------------------------------------------------------- */

/* The deadline of a wait: `from` is a length of time for FUTEX_WAIT, else a time of one of two clocks. */
static int get_deadline(vaddr_t from, int operation, bool realtime, uint64_t *out)
{
	struct timespec time;
	int64_t when;

	*out = TIME_NEVER;
	if (!from)
		return 0;
	if (copy_from_user(&time, from, sizeof(time)) != 0)
		return -EFAULT;
	if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= NS_PER_SECOND)
		return -EINVAL;
	if (time.tv_sec >= INT64_MAX / NS_PER_SECOND / 2)
		return 0;
	when = time.tv_sec * NS_PER_SECOND + time.tv_nsec;
	if (operation == FUTEX_WAIT)
		when += (int64_t)time_nanoseconds();
	else if (realtime)
		when -= time_realtime_offset();
	*out = when > 0 ? (uint64_t)when : 0;
	return 0;
}

/* A wait with a deadline that a signal interrupted goes on to the same deadline. */
static int64_t wait_again(struct task *task, struct restart_block *block)
{
	const struct futex_call call = {
		.task = task,
		.address = block->argument[0],
		.value = (uint32_t)block->argument[1],
		.private = block->argument[2],
		.deadline = block->deadline,
	};
	int64_t result = futex_wait(&call, (uint32_t)block->argument[3]);

	return result == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : result;
}

static int64_t wait_to_deadline(const struct futex_call *call, uint32_t mask)
{
	int64_t result = futex_wait(call, mask);

	if (result != -ERESTARTSYS || call->deadline == TIME_NEVER)
		return result;
	call->task->signals.restart = (struct restart_block){
		.call = wait_again,
		.deadline = call->deadline,
		.argument = {call->address, call->value, call->private, mask},
	};
	return -ERESTART_RESTARTBLOCK;
}

static int64_t dispatch(struct futex_call *call, int operation)
{
	switch (operation) {
	case FUTEX_WAIT:
		return wait_to_deadline(call, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAIT_BITSET:
		return wait_to_deadline(call, call->value3);
	case FUTEX_WAKE:
		return futex_wake_call(call, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake_call(call, call->value3);
	case FUTEX_REQUEUE:
		return futex_requeue(call, false);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(call, true);
	case FUTEX_WAKE_OP:
		return futex_wake_op(call);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(call, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(call, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(call);
	case FUTEX_WAIT_REQUEUE_PI:
		call->value3 = FUTEX_BITSET_MATCH_ANY;
		return futex_wait_requeue_pi(call);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_requeue_pi(call);
	default:
		return -ENOSYS;
	}
}

/* Does the operation have a deadline where others have a number? */
static bool has_deadline(int operation)
{
	return operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET || operation == FUTEX_LOCK_PI ||
	       operation == FUTEX_LOCK_PI2 || operation == FUTEX_WAIT_REQUEUE_PI;
}

/* As Linux: FUTEX_CLOCK_REALTIME is only for operations that know it. FUTEX_WAIT does not; FUTEX_LOCK_PI's clock is always that one. */
static bool knows_realtime(int operation)
{
	return operation == FUTEX_WAIT_BITSET || operation == FUTEX_WAIT_REQUEUE_PI ||
	       operation == FUTEX_LOCK_PI2;
}

int64_t sys_futex(struct task *task, struct trapframe *frame)
{
	int flags = (int)frame->rsi, operation = flags & FUTEX_CMD_MASK;
	bool realtime = flags & FUTEX_CLOCK_REALTIME;
	struct futex_call call = {
		.task = task,
		.address = frame->rdi,
		.other = frame->r8,
		.private = flags & FUTEX_PRIVATE_FLAG,
		.value = (uint32_t)frame->rdx,
		.value2 = (uint32_t)frame->r10,
		.value3 = (uint32_t)frame->r9,
	};
	int error;

	if (realtime && !knows_realtime(operation))
		return -ENOSYS;
	realtime |= operation == FUTEX_LOCK_PI;
	error = has_deadline(operation) ? get_deadline(frame->r10, operation, realtime, &call.deadline) : 0;
	return error ? error : dispatch(&call, operation);
}

int64_t sys_futex_waitv(struct task *task, struct trapframe *frame)
{
	unsigned count = (unsigned)frame->rsi;
	bool realtime = (int)frame->r8 == CLOCK_REALTIME;
	uint64_t deadline = TIME_NEVER;
	struct futex_group *group;
	struct page *pages;
	size_t page_count;
	int64_t result;

	if ((unsigned)frame->rdx != 0 || count == 0 || count > FUTEX_WAITV_MAX || frame->rdi == 0)
		return -EINVAL;
	if (frame->r10 && !realtime && (int)frame->r8 != CLOCK_MONOTONIC)
		return -EINVAL;
	result = get_deadline(frame->r10, FUTEX_WAIT_BITSET, realtime, &deadline);
	if (result)
		return result;
	page_count = bytes_to_pages(page_round_up(sizeof(*group) + count * sizeof(group->word[0])));
	pages = page_alloc_run(PAGE_KERNEL, page_count, 1, PAGE_ANYWHERE, 0);
	if (!pages)
		return -ENOMEM;
	group = page_data(pages);
	*group = (struct futex_group){.task = task, .count = count};
	result = wait_for_words(group, frame->rdi, deadline);
	page_free_run(pages, page_count);
	return result;
}
