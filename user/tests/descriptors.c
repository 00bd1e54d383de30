/*
 * Timers and signals that are read from descriptors: timerfd and signalfd.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND      1000000000l
#define MILLISECOND 1000000l
#define KERNEL_SET  8

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static struct itimerspec spec(int64_t value, int64_t interval)
{
	return (struct itimerspec){{interval / SECOND, interval % SECOND}, {value / SECOND, value % SECOND}};
}

static int ready(int fd, int ms)
{
	struct pollfd one = {fd, POLLIN, 0};

	return poll(&one, 1, ms) == 1 && one.revents == POLLIN;
}

static void timers(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		int fd = timerfd_create(clocks[i], TFD_NONBLOCK | TFD_CLOEXEC);
		struct itimerspec set = spec(5 * MILLISECOND, 0), state;
		int64_t start = now(clocks[i]);
		uint64_t times = 0;

		CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
		CHECK_ERROR(read(fd, &times, 8), EAGAIN);
		CHECK(!ready(fd, 0) && timerfd_settime(fd, 0, &set, NULL) == 0);
		/* On a busy machine it may have come already. */
		CHECK(timerfd_gettime(fd, &state) == 0 && state.it_value.tv_nsec <= 5 * MILLISECOND);
		CHECK(state.it_value.tv_nsec > 0 || now(clocks[i]) - start >= 5 * MILLISECOND);
		CHECK_ERROR(read(fd, &times, 7), EINVAL);
		CHECK(ready(fd, 1000) && read(fd, &times, 8) == 8 && times == 1);
		CHECK(now(clocks[i]) - start >= 5 * MILLISECOND && !ready(fd, 0));
		/* Several at once, counted; with a time that has passed at once. */
		set = spec(now(clocks[i]) - 10 * MILLISECOND, 3 * MILLISECOND);
		CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
		CHECK(ready(fd, 1000) && read(fd, &times, 8) == 8 && times >= 4);
		CHECK(timerfd_gettime(fd, &state) == 0 && state.it_interval.tv_nsec == 3 * MILLISECOND);
		fcntl(fd, F_SETFL, 0);
		CHECK(read(fd, &times, 8) == 8 && times >= 1);
		set = spec(0, 0);
		CHECK(timerfd_settime(fd, 0, &set, &state) == 0 &&
		      state.it_interval.tv_nsec == 3 * MILLISECOND);
		CHECK(!ready(fd, 10));
		close(fd);
	}
}

static void timer_errors(void)
{
	struct itimerspec bad = {{0, SECOND}, {0, 0}}, good = spec(0, 0);
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	CHECK_ERROR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	CHECK_ERROR(timerfd_create(1000, 0), EINVAL);
	CHECK_ERROR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	CHECK_ERROR(timerfd_settime(fd, 16, &good, NULL), EINVAL);
	CHECK_ERROR(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
	CHECK_ERROR(timerfd_settime(-1, 0, &good, NULL), EBADF);
	CHECK_ERROR(timerfd_settime(0, 0, &good, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_timerfd_settime, fd, 0, 8, NULL), EFAULT);
	CHECK_ERROR(timerfd_gettime(-1, &good), EBADF);
	CHECK_ERROR(syscall(SYS_timerfd_gettime, fd, 8), EFAULT);
	close(fd);
}

static void signals(void)
{
	struct signalfd_siginfo info[3];
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0 && !ready(fd, 0));
	CHECK_ERROR(read(fd, info, sizeof(info)), EAGAIN);
	CHECK_ERROR(read(fd, info, sizeof(info[0]) - 1), EINVAL);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 4711});
	kill(getpid(), SIGUSR1);
	CHECK(ready(fd, 0) && read(fd, info, sizeof(info)) == 2 * sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_USER &&
	      info[0].ssi_pid == (uint32_t)getpid());
	CHECK(info[1].ssi_signo == (uint32_t)SIGRTMIN && info[1].ssi_code == SI_QUEUE &&
	      info[1].ssi_int == 4711);
	CHECK(!ready(fd, 0));
	/* One who waits is woken. */
	fcntl(fd, F_SETFL, 0);
	if (fork() == 0)
		_exit(42);
	CHECK(read(fd, info, sizeof(info[0])) == sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGCHLD && info[0].ssi_code == CLD_EXITED && info[0].ssi_status == 42);
	CHECK(wait(NULL) > 0);
	/* Another set. */
	sigdelset(&set, SIGUSR1);
	CHECK(signalfd(fd, &set, 0) == fd);
	kill(getpid(), SIGUSR1);
	CHECK(!ready(fd, 0));
	sigaddset(&set, SIGUSR1);
	CHECK(signalfd(fd, &set, 0) == fd && ready(fd, 0) && read(fd, info, sizeof(info)) == sizeof(info[0]));
	CHECK_ERROR(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
	CHECK_ERROR(syscall(SYS_signalfd4, -1, 8, KERNEL_SET, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_signalfd4, -1, &set, KERNEL_SET, 1), EINVAL);
	CHECK_ERROR(signalfd(1000, &set, 0), EBADF);
	CHECK_ERROR(signalfd(0, &set, 0), EINVAL);
	close(fd);
}

/* An epoll instance waits for both; and outlives the process that made it. */
static void with_epoll(void)
{
	int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0), status, fd;
	struct epoll_event event = {EPOLLIN, {.fd = timer}};
	struct itimerspec set = spec(5 * MILLISECOND, 0);
	sigset_t signals;
	pid_t child;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	fd = signalfd(-1, &signals, 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) == 0);
	event.data.fd = fd;
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(timerfd_settime(timer, 0, &set, NULL) == 0);
	CHECK(epoll_wait(epoll, &event, 1, 1000) == 1 && event.data.fd == timer);
	set = spec(0, 0);
	timerfd_settime(timer, 0, &set, NULL);
	CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
	child = fork();
	if (child == 0) {
		event.data.fd = dup(fd);
		_exit(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) != 0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	kill(getpid(), SIGUSR1);
	CHECK(epoll_wait(epoll, &event, 1, 1000) == 1);
	close(fd);
	close(timer);
	close(epoll);
}

int main(void)
{
	timers();
	timer_errors();
	signals();
	with_epoll();
	return checks_end("descriptors");
}
