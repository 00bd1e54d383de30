/*
 * Futexes that are locks with an owner: FUTEX_LOCK_PI, LOCK_PI2, TRYLOCK_PI, UNLOCK_PI, WAIT_REQUEUE_PI, CMP_REQUEUE_PI; what becomes of them
 * when the owner ends; and the C library's mutexes of PTHREAD_PRIO_INHERIT.
 */
#include "tap.h"
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define THREADS 4
#define ROUNDS  300

static unsigned lock_word, other_word, condition;
static volatile long results[THREADS];
static volatile int order[THREADS];
static volatile int passed;

static long futex(unsigned *at, int operation, unsigned value, const void *time_or_count, unsigned *second,
		  unsigned last)
{
	long result = CALL(futex, at, operation, value, time_or_count, second, last);

	return result;
}

static unsigned tid(void)
{
	return (unsigned)CALL(gettid);
}

static unsigned word_of(unsigned *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static struct timespec in_ms(clockid_t clock, long milliseconds)
{
	struct timespec time;

	clock_gettime(clock, &time);
	time.tv_nsec += milliseconds * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

/* A thread that locks, notes its turn, and unlocks. */
static void *take_turn(void *number)
{
	results[(long)number] = futex(&lock_word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
	EQUAL(word_of(&lock_word) & FUTEX_TID_MASK, tid());
	order[passed++] = (int)(long)number;
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	return NULL;
}

static pthread_t start(void *(*run)(void *), long number)
{
	pthread_t thread;

	NEED(pthread_create(&thread, NULL, run, (void *)number) == 0);
	return thread;
}

TEST(plain, "a free lock gets the tid, an own one is EDEADLK, unlocking it makes it 0, another's is EPERM")
{
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(lock_word, tid());
	FAILS(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	FAILS(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(lock_word, 0);
	FAILS(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
	EQUAL(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI2, 0, NULL, NULL, 0), 0);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	lock_word = FUTEX_OWNER_DIED;
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(lock_word, tid() | FUTEX_OWNER_DIED);
}

TEST(bad, "odd addresses, times, and owners that there are not")
{
	struct timespec bad = {0, 1000000000};

	FAILS(futex((unsigned *)((char *)&lock_word + 1), FUTEX_LOCK_PI, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex((unsigned *)8, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EFAULT);
	FAILS(futex((unsigned *)8, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EFAULT);
	FAILS(futex(&lock_word, FUTEX_LOCK_PI, 0, &bad, NULL, 0), EINVAL);
	FAILS(futex(&lock_word, FUTEX_LOCK_PI, 0, (void *)8, NULL, 0), EFAULT);
	FAILS(futex(&lock_word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	lock_word = 0x3ffffff0;
	FAILS(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH);
	FAILS(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &condition, 0), EINVAL);
	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &lock_word, 0), EAGAIN);
	FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &lock_word, 0), EINVAL);
	FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock_word, 5), EAGAIN);
	FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &condition, 0), EINVAL);
}

TEST(turns, "who waits gets the lock in order of arrival, and the word says so")
{
	pthread_t threads[THREADS];

	EQUAL(futex(&lock_word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	for (long i = 0; i < THREADS; i++) {
		threads[i] = start(take_turn, i);
		sleep_ms(30);
	}
	EQUAL(lock_word, tid() | FUTEX_WAITERS);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		EQUAL(results[i], 0);
		EQUAL(order[i], i);
	}
	EQUAL(lock_word, 0);
}

static void *hold_until_told(void *unused)
{
	(void)unused;
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	while (!passed)
		sleep_ms(5);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	return NULL;
}

TEST(times, "waiting ends at its time, by either clock; trying does not wait")
{
	pthread_t thread = start(hold_until_told, 0);
	struct timespec later;
	long begin;

	while (word_of(&lock_word) == 0)
		sleep_ms(5);
	FAILS(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
	begin = now_ms();
	later = in_ms(CLOCK_REALTIME, 50);
	FAILS(futex(&lock_word, FUTEX_LOCK_PI, 0, &later, NULL, 0), ETIMEDOUT);
	later = in_ms(CLOCK_MONOTONIC, 50);
	FAILS(futex(&lock_word, FUTEX_LOCK_PI2, 0, &later, NULL, 0), ETIMEDOUT);
	later = in_ms(CLOCK_REALTIME, 50);
	FAILS(futex(&lock_word, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &later, NULL, 0), ETIMEDOUT);
	CHECK(now_ms() - begin >= 145);
	passed = 1;
	pthread_join(thread, NULL);
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
}

static void *lock_other_then_first(void *unused)
{
	(void)unused;
	EQUAL(futex(&other_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	futex(&other_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	return NULL;
}

TEST(circle, "a circle of two threads and two locks is EDEADLK")
{
	pthread_t thread;

	EQUAL(futex(&lock_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	thread = start(lock_other_then_first, 0);
	while (!(word_of(&lock_word) & FUTEX_WAITERS))
		sleep_ms(5);
	sleep_ms(20);
	FAILS(futex(&other_word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
	pthread_join(thread, NULL);
}

TEST(death, "the owner ends: who waits gets the lock, with FUTEX_OWNER_DIED; across processes, too")
{
	unsigned *word = (unsigned *)anonymous_shared(PAGE);
	pid_t owner = fork();

	if (owner == 0) {
		futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
		while (!(word_of(word) & FUTEX_WAITERS))
			sleep_ms(5);
		sleep_ms(30);
		_exit(0);
	}
	while (word_of(word) == 0)
		sleep_ms(5);
	EQUAL(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
	EQUAL(word_of(word) & FUTEX_TID_MASK, tid());
	CHECK(word_of(word) & FUTEX_OWNER_DIED);
	wait_status(owner);
	EQUAL(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
}

static void *wait_on_condition(void *number)
{
	results[(long)number] = futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &lock_word, 0);
	if (results[(long)number] == 0) {
		EQUAL(word_of(&lock_word) & FUTEX_TID_MASK, tid());
		order[passed++] = (int)(long)number;
		EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	}
	return NULL;
}

TEST(requeue, "from a condition to a lock that is held: one after another gets it")
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++) {
		threads[i] = start(wait_on_condition, i);
		sleep_ms(30);
	}
	FAILS(futex(&condition, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), EINVAL);
	EQUAL(futex(&lock_word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	EQUAL(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)(long)THREADS, &lock_word, 0),
	      THREADS);
	EQUAL(lock_word, tid() | FUTEX_WAITERS);
	EQUAL(passed, 0);
	EQUAL(futex(&lock_word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		EQUAL(results[i], 0);
		EQUAL(order[i], i);
	}
}

TEST(requeue_free, "from a condition to a lock that is free: the first has it at once")
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++) {
		threads[i] = start(wait_on_condition, i);
		sleep_ms(30);
	}
	EQUAL(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, NULL, &lock_word, 0), 1);
	pthread_join(threads[0], NULL);
	EQUAL(passed, 1);
	EQUAL(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)(long)THREADS, &lock_word, 0),
	      THREADS - 1);
	for (int i = 1; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EQUAL(passed, THREADS);
}

TEST(requeue_time, "waiting on a condition ends at its time")
{
	struct timespec later = in_ms(CLOCK_MONOTONIC, 50);

	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, &later, &lock_word, 0), ETIMEDOUT);
	later = in_ms(CLOCK_REALTIME, 50);
	FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &later, &lock_word, 0),
	      ETIMEDOUT);
	EQUAL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, NULL, &lock_word, 0), 0);
}

static pthread_mutex_t mutex;
static long counter;

static void *count(void *unused)
{
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(pthread_mutex_lock(&mutex) == 0);
		counter++;
		if (i % 7 == 0)
			sched_yield();
		CHECK(pthread_mutex_unlock(&mutex) == 0);
	}
	return unused;
}

static void *lock_and_end(void *unused)
{
	pthread_mutex_lock(&mutex);
	sleep_ms(60);
	return unused;
}

TEST(mutexes, "mutexes of PTHREAD_PRIO_INHERIT let one in; a robust one whose owner ended is EOWNERDEAD")
{
	pthread_mutexattr_t kind;
	pthread_t threads[THREADS];

	pthread_mutexattr_init(&kind);
	NEED(pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT) == 0);
	NEED(pthread_mutex_init(&mutex, &kind) == 0);
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(count, i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EQUAL(counter, THREADS * ROUNDS);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	NEED(pthread_mutex_init(&mutex, &kind) == 0);
	threads[0] = start(lock_and_end, 0);
	sleep_ms(20);
	EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
	EQUAL(pthread_mutex_consistent(&mutex), 0);
	EQUAL(pthread_mutex_unlock(&mutex), 0);
	pthread_join(threads[0], NULL);
	threads[0] = start(lock_and_end, 0);
	pthread_join(threads[0], NULL);
	EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
}
