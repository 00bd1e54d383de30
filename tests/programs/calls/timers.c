/*
 * Time: clocks (those of the vDSO too), sleeping, alarm, setitimer, POSIX timers, timerfd.
 */
#include "tap.h"
#include <sys/auxv.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#define BILLION 1000000000l

static volatile sig_atomic_t count;
static volatile siginfo_t last_info;

static void note_info(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	count++;
	last_info = *info;
}

static void handle(int signal)
{
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO | SA_RESTART};

	NEED(sigaction(signal, &action, NULL) == 0);
}

static long nanoseconds(const struct timespec *time)
{
	return time->tv_sec * BILLION + time->tv_nsec;
}

/* Waits until the count is reached, 2 s at most. */
static void wait_for(int wanted)
{
	for (int i = 0; i < 2000 && count < wanted; i++)
		sleep_ms(1);
}

TEST(clocks, "each clock goes on and never back; vDSO, system call, time and gettimeofday agree")
{
	int clocks[] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,        CLOCK_MONOTONIC_RAW,
			CLOCK_REALTIME_COARSE,    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
			CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	struct timespec fast, call, again;
	struct timeval day;

	for (unsigned i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		CHECK(clock_gettime(clocks[i], &fast) == 0);
		CHECK(CALL(clock_gettime, clocks[i], &call) == 0);
		CHECK(clock_gettime(clocks[i], &again) == 0);
		CHECK(nanoseconds(&fast) <= nanoseconds(&call) && nanoseconds(&call) <= nanoseconds(&again));
		CHECK(nanoseconds(&again) - nanoseconds(&fast) < BILLION && call.tv_nsec < BILLION);
	}
	CHECK(clock_gettime(CLOCK_REALTIME, &fast) == 0 && gettimeofday(&day, NULL) == 0);
	CHECK(day.tv_sec - fast.tv_sec <= 1 && time(NULL) - day.tv_sec <= 1);
	CHECK(fast.tv_sec > 1600000000);
}

TEST(monotonic, "a million readings of the monotonic clock never go back")
{
	struct timespec before, now;

	clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < 1000000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (nanoseconds(&now) < nanoseconds(&before)) {
			CHECK(!"it went back");
			break;
		}
		before = now;
	}
}

TEST(vdso, "there is a vDSO, an ELF image")
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);

	NEED(image != NULL);
	CHECK(memcmp(image, "\177ELF", 4) == 0);
	FAULTS(ACCESS_WRITE, image, SIGSEGV, SEGV_ACCERR);
}

TEST(clocks_bad, "unknown clocks are EINVAL, bad pointers EFAULT")
{
	struct timespec time;

	FAILS(CALL(clock_gettime, 99, &time), EINVAL);
	FAILS(CALL(clock_getres, 99, &time), EINVAL);
	FAILS(CALL(clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
	CHECK(CALL(clock_getres, CLOCK_MONOTONIC, NULL) == 0 &&
	      CALL(clock_getres, CLOCK_MONOTONIC, &time) == 0);
	CHECK(time.tv_sec == 0 && time.tv_nsec > 0 && time.tv_nsec <= 10000000);
}

TEST(set_clock, "the wall clock can be set; the monotonic one cannot: EINVAL; without privilege EPERM")
{
	struct timespec time;

	CHECK(clock_gettime(CLOCK_REALTIME, &time) == 0);
	FAILS(CALL(clock_settime, CLOCK_MONOTONIC, &time), EINVAL);
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(CALL(clock_settime, CLOCK_REALTIME, &time), EPERM);
	}
}

TEST(sleep, "nanosleep and clock_nanosleep sleep as long as they should, at least")
{
	struct timespec time = {0, 30000000};
	long start = now_ms();

	CHECK(nanosleep(&time, NULL) == 0);
	CHECK(now_ms() - start >= 29 && now_ms() - start < 2000);
	start = now_ms();
	CHECK(CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL) == 0 && now_ms() - start >= 29);
	clock_gettime(CLOCK_MONOTONIC, &time);
	start = now_ms();
	time.tv_nsec += 30000000;
	time.tv_sec += time.tv_nsec / BILLION;
	time.tv_nsec %= BILLION;
	CHECK(CALL(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == 0 &&
	      now_ms() - start >= 29);
	CHECK(CALL(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == 0); /* long ago */
}

TEST(sleep_bad, "times that are none are EINVAL")
{
	struct timespec bad = {0, BILLION}, negative = {-1, 0}, good = {0, 1};

	FAILS(CALL(nanosleep, &bad, NULL), EINVAL);
	FAILS(CALL(nanosleep, &negative, NULL), EINVAL);
	FAILS(CALL(nanosleep, 8, NULL), EFAULT);
	FAILS(CALL(clock_nanosleep, 99, 0, &good, NULL), EINVAL);
}

TEST(sleep_used, "sleeping by a process's CPU time: as long as there is, and interrupted, with what is left")
{
	struct timespec forever = {INT64_MAX, 0}, left = {0, 0};
	struct itimerval soon = {{0, 0}, {0, 20000}};
	int before;

	handle(SIGALRM);
	before = count;
	NEED(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	FAILS(CALL(clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &forever, &left), EINTR);
	CHECK(count == before + 1 && left.tv_sec > BILLION);
}

TEST(alarm_clock, "alarm: once, tells what was left, is not inherited, can be taken back")
{
	handle(SIGALRM);
	alarm(100);
	CHECK(alarm(50) >= 99);
	IN_CHILD
	{
		EQUAL(alarm(0), 0);
	}
	EQUAL(alarm(0), 50);
	EQUAL(alarm(0), 0);
	EQUAL(count, 0);
}

TEST(real_timer, "setitimer(ITIMER_REAL): once or again and again, with what is left to read")
{
	struct itimerval once = {{0, 0}, {0, 20000}}, again = {{0, 5000}, {0, 5000}}, none = {{0, 0}, {0, 0}},
			 now;

	handle(SIGALRM);
	CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0 && getitimer(ITIMER_REAL, &now) == 0);
	CHECK(now.it_value.tv_usec > 0 && now.it_value.tv_usec <= 20000 && now.it_interval.tv_usec == 0);
	wait_for(1);
	CHECK(count == 1 && getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_usec == 0);
	CHECK(setitimer(ITIMER_REAL, &again, NULL) == 0);
	wait_for(5);
	CHECK(count >= 5);
	CHECK(setitimer(ITIMER_REAL, &none, &now) == 0 && now.it_interval.tv_usec == 5000);
	EQUAL(last_info.si_code, SI_KERNEL);
}

TEST(cpu_timers, "ITIMER_VIRTUAL and ITIMER_PROF count the time that the program runs")
{
	struct itimerval timer = {{0, 0}, {0, 20000}};
	long end_at = now_ms() + 3000;

	handle(SIGVTALRM);
	handle(SIGPROF);
	CHECK(setitimer(ITIMER_VIRTUAL, &timer, NULL) == 0 && setitimer(ITIMER_PROF, &timer, NULL) == 0);
	while (count < 2 && now_ms() < end_at)
		continue;
	EQUAL(count, 2);
}

TEST(timers_bad, "setitimer: unknown kinds and times that are none are EINVAL")
{
	struct itimerval bad = {{0, 0}, {0, 1000000}};

	FAILS(CALL(setitimer, 3, &bad, NULL), EINVAL);
	FAILS(CALL(setitimer, ITIMER_REAL, &bad, NULL), EINVAL);
	FAILS(CALL(getitimer, 3, &bad), EINVAL);
	FAILS(CALL(getitimer, ITIMER_REAL, 8), EFAULT);
}

TEST(posix_timer, "timer_create: a signal with a value, once or again and again, counted overruns")
{
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
	struct itimerspec once = {{0, 0}, {0, 10000000}}, again = {{0, 1000000}, {0, 1000000}}, now;
	sigset_t set;
	timer_t timer;

	handle(SIGUSR1);
	NEED(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &once, NULL) == 0 && timer_gettime(timer, &now) == 0);
	CHECK(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 10000000);
	wait_for(1);
	CHECK(count == 1 && last_info.si_code == SI_TIMER && last_info.si_value.sival_int == 77);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(timer_settime(timer, 0, &again, NULL) == 0);
	sleep_ms(50);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK(count >= 2 && timer_getoverrun(timer) >= 0);
	CHECK(timer_delete(timer) == 0);
	FAILS(CALL(timer_delete, timer), EINVAL);
}

TEST(posix_timer_bad, "timer_create: unknown clocks, signals and notifications are EINVAL")
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 999};
	struct itimerspec bad = {{0, 0}, {0, BILLION}};
	int timer;

	FAILS(CALL(timer_create, 99, NULL, &timer), EINVAL);
	FAILS(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event = (struct sigevent){.sigev_notify = 99, .sigev_signo = SIGUSR1};
	FAILS(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	/* A thread of the process, named by its number: neither none nor another's. */
	event = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	FAILS(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event.sigev_notify_thread_id = getppid();
	FAILS(CALL(timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	FAILS(CALL(timer_create, CLOCK_MONOTONIC, NULL, 8), EFAULT);
	NEED(CALL(timer_create, CLOCK_MONOTONIC, NULL, &timer) == 0);
	FAILS(CALL(timer_settime, timer, 0, &bad, NULL), EINVAL);
	FAILS(CALL(timer_settime, timer, 0, NULL, NULL), EINVAL);
	FAILS(CALL(timer_settime, 999, 0, &bad, NULL), EINVAL);
	FAILS(CALL(timer_gettime, 999, &bad), EINVAL);
}

TEST(timer_descriptor, "timerfd counts expirations, or is not there")
{
	struct itimerspec again = {{0, 5000000}, {0, 5000000}};
	int file = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t expired = 0;

	if (file < 0 && errno == ENOSYS)
		skip("no timerfd");
	CHECK(timerfd_settime(file, 0, &again, NULL) == 0);
	sleep_ms(30);
	CHECK(read(file, &expired, sizeof(expired)) == sizeof(expired) && expired >= 3);
}

TEST(cpu_clock, "the process's clock stands while it sleeps")
{
	struct timespec before, after;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	sleep_ms(200);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	CHECK(nanoseconds(&after) - nanoseconds(&before) < 150000000);
}
