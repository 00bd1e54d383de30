/*
 * Signals at a high rate: against calls that wait and are made again, between processes and between threads, against stopping and going on, and
 * against processes that come and go. What is queued arrives, in order; calls that are made again give what they gave without signals.
 */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_WORD  0 /* FUTEX_WAIT, FUTEX_WAKE: musl has no header of futexes */
#define WAKE_WORD  1
#define QUEUED     2000
#define WINDOW     100 /* sent before they are waited for: RLIMIT_SIGPENDING is larger */
#define SENDERS    3
#define STOPS      100
#define FORKS      40
#define GROUP      8
#define SLEEPS     20
#define CALLS_EACH 300
#define SLEEP_NS   3000000l
#define SECOND     1000000000l

static volatile unsigned ticks;

static void tick(int signo)
{
	(void)signo;
	ticks++;
}

static void timer(int us)
{
	const struct itimerval value = {{0, us}, {0, us}};

	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static void begin(void)
{
	struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};

	sigaction(SIGALRM, &action, NULL);
	ticks = 0;
	timer(300);
}

static void end(void)
{
	timer(0);
	CHECK(ticks > 5);
}

/* ---- Calls that are made again -------------------------------------------------------------------------- */

static void waiting_for_children(void)
{
	int status;

	begin();
	for (int i = 0; i < SLEEPS; i++) {
		struct timespec time = {0, SLEEP_NS};
		pid_t child = fork();

		if (child == 0) {
			signal(SIGALRM, SIG_IGN);
			nanosleep(&time, NULL);
			_exit(i);
		}
		CHECK(wait4(child, &status, 0, NULL) == child && WIFEXITED(status) &&
		      WEXITSTATUS(status) == i);
	}
	end();
}

/* The rest is slept in the next call, until nothing is left. */
static void sleeping(void)
{
	begin();
	for (int i = 0; i < SLEEPS; i++) {
		struct timespec time = {0, SLEEP_NS};
		int64_t start = now();

		while (nanosleep(&time, &time) != 0)
			CHECK(errno == EINTR);
		CHECK(now() - start >= SLEEP_NS);
	}
	end();
}

static int word;

static void *wake_up(void *argument)
{
	(void)argument;
	for (int i = 0; i < SLEEPS; i++) {
		struct timespec time = {0, SLEEP_NS};

		nanosleep(&time, NULL);
		__atomic_add_fetch(&word, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &word, WAKE_WORD, INT32_MAX, NULL, NULL, 0);
	}
	return NULL;
}

static void waiting_for_words(void)
{
	pthread_t thread;
	sigset_t set, old;

	begin();
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	CHECK(pthread_create(&thread, NULL, wake_up, NULL) == 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (int seen = 0; seen < SLEEPS; seen = __atomic_load_n(&word, __ATOMIC_SEQ_CST)) {
		long result = syscall(SYS_futex, &word, WAIT_WORD, seen, NULL, NULL, 0);

		/* Without a time it is made again, and never interrupted. */
		CHECK(result == 0 || errno == EAGAIN);
	}
	pthread_join(thread, NULL);
	end();
}

/* Calls that do not wait are not disturbed at all. */
static void short_calls(void)
{
	bool wrong = false;

	begin();
	for (int64_t until = now() + 200000000; now() < until;) {
		char *memory =
			mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		wrong |= memory == MAP_FAILED || syscall(SYS_getppid) != getppid();
		memory[0] = memory[3 * PAGE] = 1;
		wrong |= mprotect(memory, PAGE, PROT_READ) != 0 || munmap(memory, 4 * PAGE) != 0;
	}
	CHECK(!wrong);
	end();
}

/* ---- Queues ------------------------------------------------------------------------------------------------- */

/* Waits for QUEUED signals that carry 0, 1, 2 ..., and tells the sender after each WINDOW. */
static int receive(void)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	for (int i = 0; i < QUEUED; i++) {
		if (sigwaitinfo(&set, &info) != SIGRTMIN + 1 || info.si_value.sival_int != i)
			return 1;
		if (i % WINDOW == WINDOW - 1)
			kill(getppid(), SIGRTMIN + 2);
	}
	return 0;
}

static void between_processes(void)
{
	sigset_t set, old;
	int status;
	pid_t child;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &set, &old);
	child = fork();
	if (child == 0)
		_exit(receive());
	sigdelset(&set, SIGRTMIN + 1);
	for (int i = 0; i < QUEUED; i++) {
		CHECK(sigqueue(child, SIGRTMIN + 1, (union sigval){.sival_int = i}) == 0);
		if (i % WINDOW == WINDOW - 1)
			CHECK(sigwaitinfo(&set, NULL) == SIGRTMIN + 2);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static unsigned handled;

static void count(int signo)
{
	(void)signo;
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void *send_many(void *argument)
{
	(void)argument;
	for (int i = 0; i < CALLS_EACH; i++) {
		while (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) != 0)
			sched_yield();
	}
	return NULL;
}

/* Whichever thread takes them, each is handled once. */
static void between_threads(void)
{
	struct sigaction action = {.sa_handler = count};
	pthread_t threads[SENDERS];

	sigaction(SIGRTMIN, &action, NULL);
	for (int i = 0; i < SENDERS; i++)
		CHECK(pthread_create(&threads[i], NULL, send_many, NULL) == 0);
	for (int i = 0; i < SENDERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (int64_t until = now() + SECOND; handled < SENDERS * CALLS_EACH && now() < until;)
		sched_yield();
	CHECK(handled == SENDERS * CALLS_EACH);
}

/* ---- Stopping and ending ----------------------------------------------------------------------------------------- */

static void *spin(void *argument)
{
	for (;;)
		__atomic_add_fetch((unsigned *)argument, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Two threads that compute: when the parent has been told that they are stopped, both are. */
static void stopping(void)
{
	const struct timespec both_run = {0, 30000000};
	unsigned *counts = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child = fork();

	setpgid(child, child);
	if (child == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, spin, &counts[0]);
		spin(&counts[1]);
	}
	for (int i = 0; i < STOPS; i++) {
		unsigned before[2];

		CHECK(kill(child, i % 2 ? SIGSTOP : SIGTSTP) == 0);
		CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
		CHECK(WSTOPSIG(status) == (i % 2 ? SIGSTOP : SIGTSTP));
		memcpy(before, counts, sizeof(before));
		sched_yield();
		CHECK(memcmp(before, counts, sizeof(before)) == 0);
		CHECK(kill(child, SIGCONT) == 0);
		CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
		if (i % 10 == 0)
			nanosleep(&both_run, NULL);
	}
	CHECK(counts[0] > 0 && counts[1] > 0);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	munmap(counts, PAGE);
}

/* A stop is taken back by SIGCONT before anybody has seen it, and the other way round. */
static void taking_back(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGTSTP);
	raise(SIGCONT);
	sigpending(&set);
	CHECK(!sigismember(&set, SIGTSTP) && sigismember(&set, SIGCONT));
	raise(SIGTSTP);
	sigpending(&set);
	CHECK(sigismember(&set, SIGTSTP) && !sigismember(&set, SIGCONT));
	kill(getpid(), SIGCONT);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void fork_and_wait(void)
{
	if (fork() == 0)
		_exit(0);
	waitpid(-1, NULL, 0);
}

/* A group whose members fork all the time is killed as a whole. */
static void ending(void)
{
	for (int round = 0; round < FORKS / GROUP; round++) {
		struct timespec little = {0, 10000000};
		int status, ended = 0;
		int *begun = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		pid_t leader = fork();

		if (leader == 0) {
			setpgid(0, 0);
			for (int i = 1; i < GROUP; i++) {
				if (fork() == 0) {
					__atomic_add_fetch(begun, 1, __ATOMIC_SEQ_CST);
					for (;;)
						fork_and_wait();
				}
			}
			for (;;)
				pause();
		}
		setpgid(leader, leader);
		/* Who is in fork() then blocks signals, and its child would not be told. */
		while (__atomic_load_n(begun, __ATOMIC_SEQ_CST) < GROUP - 1)
			sched_yield();
		nanosleep(&little, NULL);
		CHECK(kill(-leader, round % 2 ? SIGKILL : SIGTERM) == 0);
		CHECK(waitpid(leader, &status, 0) == leader && WIFSIGNALED(status));
		/* Orphans are the first process's to wait for, which may be this one. */
		while (kill(-leader, 0) == 0 && ended++ < 1000) {
			if (waitpid(-leader, NULL, WNOHANG) <= 0)
				nanosleep(&little, NULL);
		}
		CHECK_ERROR(kill(-leader, 0), ESRCH);
		munmap(begun, PAGE);
	}
}

int main(void)
{
	waiting_for_children();
	sleeping();
	waiting_for_words();
	short_calls();
	between_processes();
	between_threads();
	stopping();
	taking_back();
	ending();
	return checks_end("storm");
}
