/*
 * Time: sleeping, clocks of CPU time, and the timers that send signals: setitimer, alarm, timer_create.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND       1000000000l
#define MILLISECOND  1000000l
#define HOUR         (60 * 60 * SECOND)
#define NO_CLOCK     1000
#define THREAD_ID    4 /* SIGEV_THREAD_ID, which some C libraries hide */
#define KERNEL_BYTES 64

static volatile unsigned came;
static siginfo_t last;
static volatile long receiver;

static void count(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	last = *info;
	receiver = syscall(SYS_gettid);
	came++;
}

static void handle(int signo, int flags)
{
	struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO | flags};

	CHECK(sigaction(signo, &action, NULL) == 0);
	came = 0;
}

static int64_t now(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time) != 0)
		return -1;
	return time.tv_sec * SECOND + time.tv_nsec;
}

static struct timespec spec(int64_t nanoseconds)
{
	return (struct timespec){nanoseconds / SECOND, nanoseconds % SECOND};
}

/* In ring 3 alone. */
static void compute(void)
{
	for (volatile int i = 0; i < 100000; i++)
		;
}

static void work(int64_t nanoseconds)
{
	int64_t end = now(CLOCK_PROCESS_CPUTIME_ID) + nanoseconds;

	while (now(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

static void sleeping(void)
{
	struct timespec time = spec(20 * MILLISECOND), bad = {0, SECOND}, negative = {-1, 0};
	int64_t start = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);

	CHECK(nanosleep(&time, NULL) == 0);
	CHECK(now(CLOCK_MONOTONIC) - start >= 20 * MILLISECOND);
	/* Whatever else the machine does, the sleep itself uses none. */
	used = now(CLOCK_PROCESS_CPUTIME_ID) - used;
	CHECK(used < now(CLOCK_MONOTONIC) - start - 10 * MILLISECOND);
	start = now(CLOCK_REALTIME) + 20 * MILLISECOND;
	time = spec(start);
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL) == 0 &&
	      now(CLOCK_REALTIME) >= start);
	start = now(CLOCK_MONOTONIC) - MILLISECOND;
	time = spec(start);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == 0);
	CHECK_ERROR(nanosleep(&bad, NULL), EINVAL);
	CHECK_ERROR(nanosleep(&negative, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_nanosleep, 8, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_clock_nanosleep, NO_CLOCK, 0, &time, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &time, NULL), EOPNOTSUPP);
}

static void alarm_after(int64_t ns)
{
	const struct itimerval value = {{0, 0}, {0, ns / 1000}};

	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
}

/* A handler ends a sleep whatever its flags; the rest is told. Without a handler it goes on. */
static void interrupted(void)
{
	struct timespec time = spec(SECOND / 2), rest = {7, 7};
	int64_t start = now(CLOCK_MONOTONIC);
	int status;
	pid_t child;

	handle(SIGALRM, SA_RESTART);
	alarm_after(50 * MILLISECOND);
	CHECK_ERROR(nanosleep(&time, &rest), EINTR);
	CHECK(came == 1 && last.si_code == SI_KERNEL);
	CHECK(rest.tv_sec == 0 && rest.tv_nsec > 0 && rest.tv_nsec < SECOND / 2);
	rest.tv_sec = 7;
	alarm_after(10 * MILLISECOND);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &rest) == EINTR && rest.tv_sec == 0);
	start = now(CLOCK_MONOTONIC);
	alarm_after(10 * MILLISECOND);
	time = spec(start + SECOND);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR);
	/* Stopped and continued, it sleeps to its end. */
	child = fork();
	if (child == 0) {
		time = spec(100 * MILLISECOND);
		_exit(nanosleep(&time, NULL) != 0);
	}
	time = spec(20 * MILLISECOND);
	nanosleep(&time, NULL);
	CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void interval_timers(void)
{
	struct itimerval value = {{0, 2000}, {0, 1000}}, old;
	int64_t start = now(CLOCK_MONOTONIC);
	int kinds[] = {ITIMER_VIRTUAL, ITIMER_PROF}, signals[] = {SIGVTALRM, SIGPROF};

	handle(SIGALRM, 0);
	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_interval.tv_usec == 2000);
	CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 2000);
	while (came < 10)
		pause();
	CHECK(now(CLOCK_MONOTONIC) - start >= 19 * MILLISECOND);
	memset(&value, 0, sizeof(value));
	CHECK(setitimer(ITIMER_REAL, &value, &old) == 0 && old.it_interval.tv_usec == 2000);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_usec == 0 && old.it_interval.tv_usec == 0);
	for (int i = 0; i < 2; i++) {
		handle(signals[i], 0);
		value.it_value.tv_usec = 20000;
		CHECK(setitimer(kinds[i], &value, NULL) == 0);
		start = now(CLOCK_PROCESS_CPUTIME_ID);
		while (came == 0 && now(CLOCK_PROCESS_CPUTIME_ID) - start < 2 * SECOND)
			compute();
		CHECK(came == 1 && now(CLOCK_PROCESS_CPUTIME_ID) - start >= 5 * MILLISECOND);
		CHECK(getitimer(kinds[i], &old) == 0 && old.it_value.tv_usec == 0);
	}
	value.it_value.tv_usec = 1000000;
	CHECK_ERROR(setitimer(ITIMER_REAL, &value, NULL), EINVAL);
	CHECK_ERROR(setitimer(3, &old, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_getitimer, ITIMER_REAL, 8), EFAULT);
	CHECK_ERROR(getitimer(3, &old), EINVAL);
	CHECK(alarm(100) == 0 && alarm(10) == 100 && alarm(0) == 10 && alarm(0) == 0);
	/* One that is ignored does nothing, and costs little. */
	signal(SIGALRM, SIG_IGN);
	value = (struct itimerval){{0, 1}, {0, 1}};
	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
	work(5 * MILLISECOND);
	CHECK(alarm(0) <= 1);
}

/* timer_create as the kernel has it: with a number and nothing else. */
static int create(clockid_t clock, int notify, int signo, long value)
{
	union {
		struct sigevent event;
		struct {
			long value;
			int signo, notify, tid;
		} kernel;
		char bytes[KERNEL_BYTES];
	} event;
	int id = -1;

	memset(&event, 0, sizeof(event));
	event.kernel.value = value;
	event.kernel.signo = signo;
	event.kernel.notify = notify;
	event.kernel.tid = (int)syscall(SYS_gettid);
	return syscall(SYS_timer_create, clock, &event, &id) == 0 ? id : -1;
}

static int set(int id, int64_t value, int64_t interval, int flags)
{
	const struct itimerspec to = {spec(interval), spec(value)};

	return (int)syscall(SYS_timer_settime, id, flags, &to, NULL);
}

static int64_t left(int id)
{
	struct itimerspec state;

	CHECK(syscall(SYS_timer_gettime, id, &state) == 0);
	return state.it_value.tv_sec * SECOND + state.it_value.tv_nsec;
}

static void wait_for(unsigned number)
{
	for (int64_t end = now(CLOCK_MONOTONIC) + 2 * SECOND; came < number && now(CLOCK_MONOTONIC) < end;)
		;
}

static void timers(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
					   CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	int id;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		int64_t start = now(clocks[i]);

		handle(SIGRTMIN, 0);
		id = create(clocks[i], SIGEV_SIGNAL, SIGRTMIN, 100 + (long)i);
		CHECK(id >= 0 && left(id) == 0);
		CHECK(set(id, 10 * MILLISECOND, 0, 0) == 0 && left(id) > 0 && left(id) <= 10 * MILLISECOND);
		wait_for(1);
		CHECK(came == 1 && now(clocks[i]) - start >= 10 * MILLISECOND && left(id) == 0);
		CHECK(last.si_code == SI_TIMER && last.si_value.sival_int == 100 + (int)i &&
		      last.si_timerid == id);
		start = now(clocks[i]) + 10 * MILLISECOND;
		CHECK(set(id, start, 0, TIMER_ABSTIME) == 0);
		wait_for(2);
		CHECK(came == 2 && now(clocks[i]) >= start);
		CHECK(set(id, 1, 3 * MILLISECOND, 0) == 0);
		wait_for(5);
		CHECK(came >= 5 && set(id, 0, 0, 0) == 0 && left(id) == 0);
		CHECK(syscall(SYS_timer_delete, id) == 0);
		CHECK_ERROR(syscall(SYS_timer_delete, id), EINVAL);
	}
}

static void overruns(void)
{
	struct timespec time = spec(50 * MILLISECOND);
	int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 1);
	sigset_t mask;

	handle(SIGRTMIN, 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	CHECK(set(id, MILLISECOND, MILLISECOND, 0) == 0);
	nanosleep(&time, NULL);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	CHECK(came >= 1 && syscall(SYS_timer_getoverrun, id) >= 0);
	CHECK(came > 1 || last.si_overrun >= 40);
	set(id, 0, 0, 0);
	/* A timer that is deleted takes its pending signal with it. */
	sigprocmask(SIG_BLOCK, &mask, NULL);
	CHECK(set(id, 1, 0, 0) == 0);
	nanosleep(&time, NULL);
	sigpending(&mask);
	CHECK(sigismember(&mask, SIGRTMIN));
	came = 0;
	CHECK(syscall(SYS_timer_delete, id) == 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGRTMIN);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	CHECK(came <= 1);
}

static void *own_timer(void *argument)
{
	sigset_t *old = argument;
	int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL | THREAD_ID, SIGRTMIN + 1, 0);
	bool elsewhere = false;

	pthread_sigmask(SIG_SETMASK, old, NULL);
	CHECK(id >= 0 && set(id, 1, MILLISECOND, 0) == 0);
	while (came < 3)
		elsewhere |= came > 0 && receiver != syscall(SYS_gettid);
	CHECK(!elsewhere);
	CHECK(syscall(SYS_timer_delete, id) == 0);
	return NULL;
}

static void thread_timer(void)
{
	pthread_t thread;
	sigset_t none;

	handle(SIGRTMIN + 1, 0);
	sigemptyset(&none);
	CHECK(pthread_create(&thread, NULL, own_timer, &none) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(came >= 3);
}

static void timer_errors(void)
{
	struct itimerspec bad = {{0, SECOND}, {0, 1}}, good = {{0, 0}, {0, 0}};
	int id;

	CHECK(create(NO_CLOCK, SIGEV_SIGNAL, SIGRTMIN, 0) == -1 && errno == EINVAL);
	CHECK(create(CLOCK_MONOTONIC, 77, SIGRTMIN, 0) == -1 && errno == EINVAL);
	CHECK(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 65, 0) == -1 && errno == EINVAL);
	CHECK(create(CLOCK_MONOTONIC_COARSE, SIGEV_SIGNAL, SIGRTMIN, 0) == -1 && errno == EOPNOTSUPP);
	CHECK_ERROR(syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &id), EFAULT);
	CHECK_ERROR(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_timer_settime, 12345, 0, &good, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_timer_gettime, 12345, &good), EINVAL);
	CHECK_ERROR(syscall(SYS_timer_getoverrun, 12345), EINVAL);
	id = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
	CHECK(id >= 0);
	CHECK_ERROR(syscall(SYS_timer_settime, id, 0, &bad, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_timer_settime, id, 0, 8, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_timer_gettime, id, 8), EFAULT);
	/* Nobody is told, but it can be asked. */
	CHECK(set(id, 5 * MILLISECOND, 0, 0) == 0 && left(id) > 0);
	work(10 * MILLISECOND);
	CHECK(left(id) == 0 && syscall(SYS_timer_delete, id) == 0);
}

/* A fork has none of its parent's timers, exec none of timer_create's. */
static void not_inherited(void)
{
	struct itimerval state;
	int status, id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0);
	pid_t child;

	alarm(100);
	child = fork();
	if (child == 0)
		_exit(getitimer(ITIMER_REAL, &state) != 0 || state.it_value.tv_sec != 0 ||
		      syscall(SYS_timer_getoverrun, id) != -1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(alarm(0) == 100 && syscall(SYS_timer_delete, id) == 0);
}

/* SIGXCPU at the soft limit, and SIGKILL at the hard one, also where it was inherited. */
static void limited(void)
{
	const struct rlimit limit = {1, 2};
	int status;
	pid_t child = fork();

	if (child == 0) {
		handle(SIGXCPU, 0);
		setrlimit(RLIMIT_CPU, &limit);
		if (fork() == 0) {
			signal(SIGXCPU, SIG_DFL);
			for (;;)
				compute();
		}
		if (wait(&status) < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGXCPU)
			_exit(1);
		while (came == 0)
			compute();
		if (now(CLOCK_PROCESS_CPUTIME_ID) < SECOND / 2) /* Linux goes by its ticks */
			_exit(1);
		for (;;)
			compute();
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void cpu_clocks(void)
{
	struct timespec time;
	clockid_t clock;
	pid_t child;
	int64_t process = now(CLOCK_PROCESS_CPUTIME_ID), thread = now(CLOCK_THREAD_CPUTIME_ID);

	work(10 * MILLISECOND);
	CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - process >= 10 * MILLISECOND);
	CHECK(now(CLOCK_THREAD_CPUTIME_ID) - thread >= 9 * MILLISECOND);
	CHECK(clock_getcpuclockid(getpid(), &clock) == 0 && now(clock) >= process);
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	CHECK(clock_getcpuclockid(child, &clock) == 0 && now(clock) < 100 * MILLISECOND);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	CHECK_ERROR(syscall(SYS_clock_gettime, clock, &time), EINVAL);
	CHECK(clock_getres(CLOCK_MONOTONIC, &time) == 0 && time.tv_sec == 0 && time.tv_nsec > 0);
	CHECK(clock_getres(CLOCK_MONOTONIC, NULL) == 0);
	CHECK_ERROR(clock_getres(NO_CLOCK, &time), EINVAL);
	CHECK_ERROR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
	time = spec(0);
	CHECK_ERROR(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time), EINVAL);
}

/* Sets the clock so far forward, or back. */
static void turn_clock(int64_t by)
{
	struct timespec time = spec(now(CLOCK_REALTIME) + by);

	CHECK(clock_settime(CLOCK_REALTIME, &time) == 0);
}

/* For who sleeps: turns the clock an hour forward after a while, and exits. */
static pid_t turn_later(void)
{
	struct timespec wait = spec(20 * MILLISECOND);
	pid_t child = fork();

	if (child == 0) {
		nanosleep(&wait, NULL);
		turn_clock(HOUR);
		_exit(0);
	}
	return child;
}

/* What was given a time of day goes by the clock though somebody sets it; what was given a length of time does not. */
static void clock_set(void)
{
	struct itimerspec in_minutes = {.it_value = spec(0)}, relative = {.it_value = spec(10 * 60 * SECOND)},
			  left;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t absolute_timer, relative_timer;
	int file = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	struct timespec until;
	int64_t start;
	uint64_t times;
	pid_t child;

	/* The clock of the machine that tests this on Linux is not ours to set. */
	if (!on_phoenix())
		return;
	handle(SIGUSR1, 0);
	in_minutes.it_value = spec(now(CLOCK_REALTIME) + 10 * 60 * SECOND);
	CHECK(timer_create(CLOCK_REALTIME, &event, &absolute_timer) == 0);
	CHECK(timer_create(CLOCK_REALTIME, &event, &relative_timer) == 0);
	CHECK(timer_settime(absolute_timer, TIMER_ABSTIME, &in_minutes, NULL) == 0);
	CHECK(timer_settime(relative_timer, 0, &relative, NULL) == 0);
	CHECK(timerfd_settime(file, TFD_TIMER_ABSTIME, &in_minutes, NULL) == 0);
	turn_clock(5 * 60 * SECOND);
	CHECK(timer_gettime(absolute_timer, &left) == 0 && left.it_value.tv_sec / 60 == 4);
	CHECK(timer_gettime(relative_timer, &left) == 0 && left.it_value.tv_sec / 60 == 9);
	CHECK(timerfd_gettime(file, &left) == 0 && left.it_value.tv_sec / 60 == 4);
	CHECK(came == 0);
	CHECK_ERROR(read(file, &times, sizeof(times)), EAGAIN);
	turn_clock(-HOUR);
	CHECK(timer_gettime(absolute_timer, &left) == 0 && left.it_value.tv_sec / 60 == 64);
	turn_clock(2 * HOUR);
	usleep(1000);
	CHECK(came == 1 && last.si_code == SI_TIMER);
	CHECK(read(file, &times, sizeof(times)) == sizeof(times) && times == 1);
	CHECK(timer_gettime(relative_timer, &left) == 0 && left.it_value.tv_sec / 60 == 9);
	CHECK(timer_delete(absolute_timer) == 0 && timer_delete(relative_timer) == 0 && close(file) == 0);

	/* One that repeats has its intervals on the new clock. */
	in_minutes.it_value = spec(now(CLOCK_REALTIME) + HOUR - 10 * 60 * SECOND);
	in_minutes.it_interval = spec(60 * SECOND);
	CHECK(timer_create(CLOCK_REALTIME, &event, &absolute_timer) == 0);
	CHECK(timer_settime(absolute_timer, TIMER_ABSTIME, &in_minutes, NULL) == 0);
	came = 0;
	turn_clock(HOUR);
	usleep(1000);
	CHECK(came == 1 && timer_getoverrun(absolute_timer) == 10);
	CHECK(timer_delete(absolute_timer) == 0);

	start = now(CLOCK_MONOTONIC);
	until = spec(now(CLOCK_REALTIME) + HOUR);
	child = turn_later();
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0);
	CHECK(now(CLOCK_REALTIME) >= until.tv_sec * SECOND + until.tv_nsec);
	CHECK(now(CLOCK_MONOTONIC) - start < 10 * SECOND);
	waitpid(child, NULL, 0);
	/* Back to where it was. */
	turn_clock(-(5 * 60 * SECOND) - 3 * HOUR);
}

int main(void)
{
	sleeping();
	interrupted();
	interval_timers();
	timers();
	overruns();
	thread_timer();
	timer_errors();
	not_inherited();
	cpu_clocks();
	limited();
	clock_set();
	return checks_end("timing");
}
