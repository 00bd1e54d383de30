/*
 * Threads: their stacks and storage, mutexes and conditions under contention, ends of threads and of all of them, exec by a thread that is not
 * the first, robust mutexes, futexes as such.
 */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS = 8, ROUNDS = 2000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter, turn;
static __thread long own;
static char *self;

static long futex(void *word, int operation, long value, const void *timeout, void *other, long value3)
{
	return syscall(SYS_futex, word, operation, value, timeout, other, value3);
}

static void *count(void *argument)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		if (i % 64 == 0)
			sched_yield();
		pthread_mutex_unlock(&mutex);
		own++;
	}
	return (void *)(own + (long)argument);
}

static void contention(void)
{
	pthread_t threads[THREADS];
	void *result;

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, count, (void *)i) == 0);
	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], &result) == 0 && (long)result == ROUNDS + i);
	CHECK(counter == THREADS * ROUNDS && own == 0);
}

static void *take_turns(void *argument)
{
	long number = (long)argument;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < 50; i++) {
		while (turn % THREADS != number)
			pthread_cond_wait(&changed, &mutex);
		turn++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void conditions(void)
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(turn == 50 * THREADS);
}

/* ---- Ends ------------------------------------------------------------------------------------------------ */

static int in_child(void (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		what();
		_exit(99);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void *sleep_for_ever(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static void *exit_all(void *argument)
{
	exit((int)(long)argument);
}

static void exit_from_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleep_for_ever, NULL);
	pthread_create(&thread, NULL, exit_all, (void *)21);
	sleep_for_ever(NULL);
}

static void *end_late(void *argument)
{
	usleep(20000);
	syscall(SYS_exit, 5);
	return argument;
}

/* The first thread ends first; the status of the last one is the process's. */
static void first_ends_first(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, end_late, NULL);
	syscall(SYS_exit, 33);
}

static void *exec_self(void *argument)
{
	char *arguments[] = {self, "after", NULL};

	execv(self, arguments);
	return argument;
}

static void exec_from_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, sleep_for_ever, NULL);
	pthread_create(&thread, NULL, exec_self, NULL);
	sleep_for_ever(NULL);
}

static void crash_of_many(void)
{
	pthread_t thread;
	volatile char *volatile nowhere = (char *)16;

	for (int i = 0; i < 3; i++)
		pthread_create(&thread, NULL, sleep_for_ever, NULL);
	*nowhere = 1;
}

static void ends(void)
{
	CHECK(WEXITSTATUS(in_child(exit_from_thread)) == 21);
	CHECK(WEXITSTATUS(in_child(first_ends_first)) == 5);
	CHECK(WEXITSTATUS(in_child(exec_from_thread)) == 66);
	CHECK(WTERMSIG(in_child(crash_of_many)) == SIGSEGV);
}

/* ---- Robust mutexes ----------------------------------------------------------------------------------------- */

static void robust(void)
{
	pthread_mutex_t *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile int *locked = (volatile int *)((char *)shared + PAGE / 2);
	pthread_mutexattr_t how;
	pid_t pid;

	pthread_mutexattr_init(&how);
	pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	CHECK(pthread_mutex_init(shared, &how) == 0);
	pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(shared);
		*locked = 1;
		usleep(20000);
		_exit(0);
	}
	while (!*locked)
		usleep(1000);
	CHECK(pthread_mutex_lock(shared) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(shared) == 0);
	CHECK(pthread_mutex_unlock(shared) == 0 && pthread_mutex_lock(shared) == 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* ---- Futexes --------------------------------------------------------------------------------------------------- */

static void futex_errors(void)
{
	static int word = 5, other;
	const struct timespec none = {0, 0}, bad = {0, 1000000000}, little = {0, 3000000};
	char *mapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK_ERROR(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	CHECK_ERROR(futex(&word, FUTEX_WAIT, 5, &none, NULL, 0), ETIMEDOUT);
	CHECK_ERROR(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 5, &little, NULL, 0), ETIMEDOUT);
	CHECK_ERROR(futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0), EINVAL);
	CHECK_ERROR(futex((char *)&word + 1, FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL);
	CHECK_ERROR(futex((char *)&word + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERROR(futex(&word, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0), EINVAL);
	CHECK_ERROR(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERROR(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 4), EAGAIN);
	CHECK_ERROR(futex(&word, FUTEX_CMP_REQUEUE, -1, (void *)1, &other, 5), EINVAL);
	CHECK(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 5) == 0);
	CHECK(futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0) == 0);
	CHECK_ERROR(futex(&word, 77, 1, NULL, NULL, 0), ENOSYS);
	/* A wake only looks for the word if it may be another process's. */
	CHECK(mprotect(mapped, PAGE, PROT_NONE) == 0);
	CHECK_ERROR(futex(mapped, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, mapped, 5), EFAULT);
	CHECK(futex(mapped, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0) == 0);
	munmap(mapped, PAGE);
	CHECK_ERROR(futex(mapped, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(futex(mapped, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(futex(mapped, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERROR(futex(&word, FUTEX_WAIT, 5, (void *)8, NULL, 0), EFAULT);
}

static int words[2];

static void *wait_for_word(void *argument)
{
	return (void *)futex(&words[0], FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, (long)argument);
}

/* All wait for one word; one is woken and the others wait for another word, and are woken there. */
static void requeue(void)
{
	const int private = FUTEX_PRIVATE_FLAG;
	pthread_t threads[THREADS];
	long moved = 0, woken = 0;
	void *result;

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_for_word, NULL) == 0);
	/* Away as they come, and then back together. */
	while (moved < THREADS) {
		usleep(1000);
		moved += futex(&words[0], FUTEX_CMP_REQUEUE | private, 0, (void *)100, &words[1], 0);
	}
	CHECK(futex(&words[1], FUTEX_CMP_REQUEUE | private, 0, (void *)100, &words[0], 0) == THREADS);
	CHECK(futex(&words[0], FUTEX_CMP_REQUEUE | private, 1, (void *)100, &words[1], 0) == THREADS);
	CHECK(futex(&words[0], FUTEX_WAKE | private, 100, NULL, NULL, 0) == 0);
	woken = futex(&words[1], FUTEX_WAKE | private, 3, NULL, NULL, 0);
	CHECK(woken == 3);
	/* Sets the second word to 9; and as it was 0, those who wait for it are woken. */
	woken = futex(&words[0], FUTEX_WAKE_OP | private, 100, (void *)100, &words[1],
		      FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 0));
	CHECK(woken == THREADS - 4 && words[1] == 9);
	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], &result) == 0 && result == NULL);
}

/* A word of shared memory has two addresses in one process, and more in others. */
static void shared_word(void)
{
	int *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *again = mremap(word, 0, PAGE, MREMAP_MAYMOVE);
	int status;
	pid_t pid;

	CHECK(again != MAP_FAILED && again != word);
	pid = fork();
	if (pid == 0)
		_exit(futex(word, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	while (futex(again, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		usleep(1000);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* musl does not name it yet */
#endif

/* ---- Several words at once ----------------------------------------------------------------------------------------- */

static struct futex_waitv both[2];

static long wait_for(unsigned count, const struct timespec *until, clockid_t clock)
{
	return syscall(SYS_futex_waitv, both, count, 0, until, clock);
}

static void *wait_for_both(void *argument)
{
	(void)argument;
	return (void *)wait_for(2, NULL, CLOCK_MONOTONIC);
}

/* kill(2) takes the number of any task of a process. */
static void *killed_by_own_number(void *argument)
{
	(void)argument;
	return (void *)(long)kill((pid_t)syscall(SYS_gettid), 0);
}

static void numbers_of_tasks(void)
{
	pthread_t thread;
	void *result;

	CHECK(pthread_create(&thread, NULL, killed_by_own_number, NULL) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == NULL);
}

static void several(void)
{
	const struct timespec past = {0, 0};
	uint32_t first = 1, second = 2;
	pthread_t thread;
	void *result;

	both[0] = (struct futex_waitv){1, (uint64_t)&first, FUTEX_32 | FUTEX_PRIVATE_FLAG, 0};
	both[1] = (struct futex_waitv){2, (uint64_t)&second, FUTEX_32, 0};
	CHECK_ERROR(wait_for(0, NULL, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERROR(wait_for(129, NULL, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERROR(wait_for(2, &past, CLOCK_BOOTTIME), EINVAL);
	CHECK_ERROR(wait_for(2, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	CHECK_ERROR(wait_for(2, &past, CLOCK_REALTIME), ETIMEDOUT);
	both[1].val = 3;
	CHECK_ERROR(wait_for(2, NULL, CLOCK_MONOTONIC), EAGAIN);
	both[1].val = 2;
	both[1].flags = 0;
	CHECK_ERROR(wait_for(2, NULL, CLOCK_MONOTONIC), EINVAL);
	both[1].flags = FUTEX_32;
	for (int i = 0; i < 20; i++) {
		uint32_t *word = i % 2 ? &second : &first;

		CHECK(pthread_create(&thread, NULL, wait_for_both, NULL) == 0);
		while (futex(word, i % 2 ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0)
			sched_yield();
		CHECK(pthread_join(thread, &result) == 0 && (long)result == i % 2);
	}
	CHECK(futex(&first, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
	CHECK(futex(&second, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
}

int main(int count, char **arguments)
{
	self = arguments[0];
	if (count > 1)
		return getpid() == syscall(SYS_gettid) ? 66 : 1;
	contention();
	conditions();
	ends();
	robust();
	futex_errors();
	several();
	numbers_of_tasks();
	requeue();
	shared_word();
	return checks_end("threads");
}
