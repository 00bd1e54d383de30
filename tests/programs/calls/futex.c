/*
 * Threads and futexes: creation, TLS, join, exit of all; FUTEX_WAIT, WAKE, BITSET, REQUEUE, CMP_REQUEUE; robust lists; and
 * the C library's mutexes, conditions, barriers and semaphores on top of them.
 */
#include "tap.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>

#define THREADS 8
#define ROUNDS  500

static int word, other_word;
static __thread int mine = 5;

static long futex(int *at, int operation, int value, const void *time_or_count, int *second, int last)
{
	return CALL(futex, at, operation, value, time_or_count, second, last);
}

static const struct timespec brief = {0, 20000000};

TEST(wait_value, "FUTEX_WAIT: another value is EAGAIN, no wake-up in time ETIMEDOUT")
{
	long start = now_ms();

	FAILS(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	FAILS(futex(&word, FUTEX_WAIT, 0, &brief, NULL, 0), ETIMEDOUT);
	FAILS(futex(&word, FUTEX_WAIT_PRIVATE, 0, &brief, NULL, 0), ETIMEDOUT);
	CHECK(now_ms() - start >= 38);
}

TEST(bad, "futex: odd addresses and times, and no operation at all")
{
	struct timespec bad = {0, 1000000000};

	FAILS(futex((int *)((char *)&word + 1), FUTEX_WAIT, 0, &brief, NULL, 0), EINVAL);
	FAILS(futex((int *)8, FUTEX_WAIT, 0, &brief, NULL, 0), EFAULT);
	FAILS(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
	FAILS(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	FAILS(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	FAILS(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	EQUAL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

static volatile int awake;

static void *wait_on_word(void *bits)
{
	long result = bits ? futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, (int)(long)bits)
			   : futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);

	__atomic_add_fetch(&awake, 1, __ATOMIC_SEQ_CST);
	return (void *)result;
}

static void start(pthread_t *threads, unsigned number, void *(*run)(void *), void *argument)
{
	for (unsigned i = 0; i < number; i++)
		NEED(pthread_create(&threads[i], NULL, run, argument) == 0);
}

static void join(pthread_t *threads, unsigned number)
{
	for (unsigned i = 0; i < number; i++)
		NEED(pthread_join(threads[i], NULL) == 0);
}

static void wait_awake(int wanted)
{
	for (int i = 0; i < 2000 && awake < wanted; i++)
		sleep_ms(1);
	EQUAL(awake, wanted);
}

TEST(wake, "FUTEX_WAKE wakes so many, and says how many")
{
	pthread_t threads[THREADS];

	start(threads, THREADS, wait_on_word, NULL);
	sleep_ms(100);
	EQUAL(awake, 0);
	EQUAL(futex(&word, FUTEX_WAKE, 3, NULL, NULL, 0), 3);
	wait_awake(3);
	EQUAL(futex(&word, FUTEX_WAKE, 1000, NULL, NULL, 0), THREADS - 3);
	join(threads, THREADS);
	EQUAL(futex(&word, FUTEX_WAKE, 1000, NULL, NULL, 0), 0);
}

TEST(bits, "FUTEX_WAKE_BITSET wakes those whose bits meet")
{
	pthread_t threads[2];

	start(threads, 1, wait_on_word, (void *)1l);
	start(threads + 1, 1, wait_on_word, (void *)2l);
	sleep_ms(100);
	EQUAL(futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 4), 0);
	EQUAL(futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 2), 1);
	join(threads + 1, 1);
	EQUAL(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0), 1);
	join(threads, 1);
}

TEST(bitset_time, "FUTEX_WAIT_BITSET takes an absolute time")
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	FAILS(futex(&word, FUTEX_WAIT_BITSET, 0, &time, NULL, -1), ETIMEDOUT);
	clock_gettime(CLOCK_REALTIME, &time);
	FAILS(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &time, NULL, -1), ETIMEDOUT);
}

TEST(requeue, "FUTEX_REQUEUE and FUTEX_CMP_REQUEUE move waiters to another word")
{
	pthread_t threads[THREADS];

	start(threads, THREADS, wait_on_word, NULL);
	sleep_ms(100);
	FAILS(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)100l, &other_word, 77), EAGAIN);
	EQUAL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)3l, &other_word, 0), 4);
	wait_awake(1);
	EQUAL(futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0), 4);
	EQUAL(futex(&other_word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	EQUAL(futex(&other_word, FUTEX_REQUEUE, 0, (void *)100l, &word, 0), 2);
	EQUAL(futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0), 2);
	join(threads, THREADS);
}

TEST(wake_operation, "FUTEX_WAKE_OP changes a word and wakes two")
{
	pthread_t thread;

	start(&thread, 1, wait_on_word, NULL);
	sleep_ms(50);
	/* other_word += 5; wakes the word's waiters, and the other's if it was above 10. */
	EQUAL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1l, &other_word,
		    (int)FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_GT, 10)),
	      1);
	EQUAL(other_word, 5);
	join(&thread, 1);
}

TEST(shared_word, "processes wait on a word in shared memory, at different addresses")
{
	int file = make_file("file", PAGE),
	    *here = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	pid_t child;

	NEED(here != MAP_FAILED);
	*here = 0;
	child = fork_counted();
	if (child == 0) {
		int *there = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

		NEED(there != MAP_FAILED);
		EQUAL(futex(there, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
		child_end();
	}
	for (int i = 0; i < 2000 && futex(here, FUTEX_WAKE, 1, NULL, NULL, 0) == 0; i++)
		sleep_ms(1);
	child_passed(child);
}

TEST(private_word, "a private word of a parent and a child is not the same")
{
	IN_CHILD
	{
		FAILS(futex(&word, FUTEX_WAIT, 0, &brief, NULL, 0), ETIMEDOUT);
	}
}

/* ---- Threads -------------------------------------------------------------------------------------- */

static void *use_tls(void *number)
{
	mine += (int)(long)number;
	sleep_ms(5);
	return (void *)(long)mine;
}

TEST(thread_storage, "each thread has its own TLS, stack and id")
{
	pthread_t threads[THREADS];
	void *result;

	for (long i = 0; i < THREADS; i++)
		NEED(pthread_create(&threads[i], NULL, use_tls, (void *)i) == 0);
	for (long i = 0; i < THREADS; i++) {
		NEED(pthread_join(threads[i], &result) == 0);
		EQUAL(result, 5 + i);
	}
	EQUAL(mine, 5);
}

static volatile int thread_pid, thread_tid;

static void *note_ids(void *unused)
{
	thread_pid = getpid();
	thread_tid = (int)gettid();
	return unused;
}

TEST(thread_ids, "threads share the pid; their tids differ")
{
	pthread_t thread;

	start(&thread, 1, note_ids, NULL);
	join(&thread, 1);
	CHECK(thread_pid == getpid() && thread_tid != getpid());
}

TEST(many_threads, "five hundred threads one after another")
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_t thread;

		start(&thread, 1, note_ids, NULL);
		join(&thread, 1);
	}
}

static void *sleep_long(void *unused)
{
	sleep(20);
	return unused;
}

TEST(exit_all, "exit_group ends all threads, at once")
{
	long begin = now_ms();
	pid_t child = fork();

	if (child == 0) {
		pthread_t threads[THREADS];

		start(threads, THREADS, sleep_long, NULL);
		_exit(6);
	}
	EQUAL(wait_status(child), 6 << 8);
	CHECK(now_ms() - begin < 5000);
}

static void *kill_process(void *unused)
{
	kill(getpid(), SIGTERM);
	sleep(20);
	return unused;
}

TEST(kill_all, "a signal that kills ends all threads, whoever gets it")
{
	pid_t child = fork();

	if (child == 0) {
		pthread_t threads[THREADS];

		start(threads, THREADS, kill_process, NULL);
		sleep(20);
		_exit(0);
	}
	EQUAL(wait_status(child), SIGTERM);
}

static void *exec_again(void *unused)
{
	execl("/proc/self/exe", "futex", "say-nothing", NULL);
	return unused;
}

TEST(exec_in_thread, "exec in a thread ends the others; the pid stays")
{
	int ends[2];
	pid_t child;
	char byte;

	NEED(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		pthread_t threads[2];

		dup2(ends[1], 1);
		start(threads, 1, sleep_long, NULL);
		start(threads + 1, 1, exec_again, NULL);
		sleep(20);
		_exit(9);
	}
	EQUAL(wait_status(child), 0);
	CHECK(read(ends[0], &byte, 1) == 1 && byte == '1');
}

TEST(nothing, "say-nothing") {}

static void *leader_leaves(void *unused)
{
	sleep_ms(50);
	_exit(8);
	return unused;
}

TEST(leader_exits, "the first thread may leave before the others")
{
	pid_t child = fork();

	if (child == 0) {
		pthread_t thread;

		start(&thread, 1, leader_leaves, NULL);
		CALL(exit, 0);
	}
	EQUAL(wait_status(child), 8 << 8);
}

static void *fork_in_thread(void *unused)
{
	IN_CHILD
	{
		EQUAL(gettid(), getpid());
	}
	return unused;
}

TEST(thread_forks, "fork in a thread copies that thread alone")
{
	pthread_t threads[THREADS];

	start(threads, THREADS, fork_in_thread, NULL);
	join(threads, THREADS);
}

/* ---- The C library's -------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int total, turn;

static void *add_locked(void *unused)
{
	for (int i = 0; i < 20 * ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		total++;
		pthread_mutex_unlock(&mutex);
	}
	return unused;
}

TEST(mutexes, "a mutex lets one in")
{
	pthread_t threads[THREADS];

	start(threads, THREADS, add_locked, NULL);
	join(threads, THREADS);
	EQUAL(total, THREADS * 20 * ROUNDS);
}

static void *take_turns(void *me)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != (int)(long)me)
			pthread_cond_wait(&condition, &mutex);
		turn = (turn + 1) % 3;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(conditions, "threads take turns with a condition")
{
	pthread_t threads[3];

	for (long i = 0; i < 3; i++)
		NEED(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
	join(threads, 3);
	EQUAL(turn, 0);
}

static pthread_barrier_t barrier;
static sem_t semaphore;

static void *meet(void *unused)
{
	for (int i = 0; i < 50; i++) {
		pthread_barrier_wait(&barrier);
		sem_post(&semaphore);
	}
	return unused;
}

TEST(barriers, "barriers and semaphores")
{
	pthread_t threads[4];

	NEED(pthread_barrier_init(&barrier, NULL, 4) == 0 && sem_init(&semaphore, 0, 0) == 0);
	start(threads, 4, meet, NULL);
	for (int i = 0; i < 200; i++)
		NEED(sem_wait(&semaphore) == 0);
	join(threads, 4);
	FAILS(sem_trywait(&semaphore), EAGAIN);
}

static void *die_with_mutex(void *robust)
{
	pthread_mutex_lock(robust);
	return NULL;
}

TEST(robust, "a robust mutex whose owner ended: EOWNERDEAD, for a thread and for a process")
{
	pthread_mutex_t *robust = (pthread_mutex_t *)anonymous_shared(PAGE);
	pthread_mutexattr_t attributes;
	pthread_t thread;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	NEED(pthread_mutex_init(robust, &attributes) == 0);
	start(&thread, 1, die_with_mutex, robust);
	join(&thread, 1);
	EQUAL(pthread_mutex_lock(robust), EOWNERDEAD);
	CHECK(pthread_mutex_consistent(robust) == 0 && pthread_mutex_unlock(robust) == 0);
	pid_t child = fork();
	if (child == 0) {
		pthread_mutex_lock(robust);
		kill(getpid(), SIGKILL);
	}
	wait_status(child);
	EQUAL(pthread_mutex_lock(robust), EOWNERDEAD);
	CHECK(pthread_mutex_consistent(robust) == 0 && pthread_mutex_unlock(robust) == 0);
}

TEST(robust_list, "set_robust_list: the wrong size is EINVAL; get_robust_list gives it back")
{
	struct robust_list_head head = {{&head.list}, 0, NULL}, *seen = NULL;
	size_t bytes = 0;

	FAILS(CALL(set_robust_list, &head, 1), EINVAL);
	CHECK(CALL(set_robust_list, &head, sizeof(head)) == 0);
	CHECK(CALL(get_robust_list, 0, &seen, &bytes) == 0 && seen == &head && bytes == sizeof(head));
	FAILS(CALL(get_robust_list, 999999, &seen, &bytes), ESRCH);
}

TEST(clear_tid, "a thread's word is cleared and woken when it ends")
{
	static volatile int tid_word;
	pid_t child;

	/* As a C library joins its threads. */
	child = fork();
	if (child == 0) {
		CALL(set_tid_address, &tid_word);
		_exit(0);
	}
	wait_status(child);
	EQUAL(tid_word, 0);
	EQUAL(CALL(set_tid_address, &tid_word), gettid());
}
