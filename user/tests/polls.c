/*
 * Waiting for files: poll, select, epoll, eventfd; how long they wait, what interrupts them, what they say. Checked on Linux first.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

#define MS 1000000ll

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void put(int fd)
{
	CHECK(write(fd, "x", 1) == 1);
}

static void take(int fd)
{
	char byte;

	CHECK(read(fd, &byte, 1) == 1);
}

/* A child that does something a while later. */
static pid_t later(void (*what)(int), int argument)
{
	pid_t pid = fork();

	if (pid == 0) {
		usleep(30000);
		what(argument);
		_exit(0);
	}
	return pid;
}

static void reap(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void interrupt_parent(int signo)
{
	kill(getppid(), signo);
}

static volatile sig_atomic_t handled;

static void handler(int signo)
{
	handled = signo;
}

/* ---- poll ---------------------------------------------------------------------------------------------- */

static void poll_says(void)
{
	int ends[2], flags;
	struct pollfd fds[4];
	long long start;
	pid_t pid;

	CHECK(pipe(ends) == 0);
	fds[0] = (struct pollfd){ends[0], POLLIN, -1};
	fds[1] = (struct pollfd){ends[1], POLLOUT, -1};
	fds[2] = (struct pollfd){-5, POLLIN, -1};
	fds[3] = (struct pollfd){1000, POLLIN, -1};
	CHECK(poll(fds, 3, 0) == 1 && fds[0].revents == 0 && fds[1].revents == POLLOUT &&
	      fds[2].revents == 0);
	CHECK(poll(fds, 4, -1) == 2 && fds[3].revents == POLLNVAL);
	start = now();
	CHECK(poll(fds, 1, 50) == 0);
	CHECK(now() - start >= 50 * MS);
	start = now();
	CHECK(poll(NULL, 0, 20) == 0);
	CHECK(now() - start >= 20 * MS && now() - start < 2000 * MS);
	pid = later(put, ends[1]);
	CHECK(poll(fds, 1, 10000) == 1 && fds[0].revents == POLLIN);
	reap(pid);
	take(ends[0]);
	/* Full: not writable before a whole page is free again. */
	flags = fcntl(ends[1], F_GETFL);
	fcntl(ends[1], F_SETFL, flags | O_NONBLOCK);
	while (write(ends[1], "0123456789abcdef", 16) == 16)
		;
	CHECK(errno == EAGAIN);
	CHECK(poll(fds + 1, 1, 0) == 0 && fds[1].revents == 0);
	take(ends[0]);
	CHECK(poll(fds + 1, 1, 0) == 0);
	for (int i = 1; i < 4096; i++)
		take(ends[0]);
	CHECK(poll(fds + 1, 1, 0) == 1 && fds[1].revents == POLLOUT);
	close(ends[0]);
	CHECK(poll(fds + 1, 1, 0) == 1 && (fds[1].revents & POLLERR));
	close(ends[1]);
	CHECK(pipe(ends) == 0);
	put(ends[1]);
	close(ends[1]);
	CHECK(poll(fds, 1, 0) == 1 && fds[0].revents == (POLLIN | POLLHUP));
	take(ends[0]);
	CHECK(poll(fds, 1, 0) == 1 && fds[0].revents == POLLHUP);
	close(ends[0]);
}

static void poll_errors(void)
{
	struct rlimit limit;
	struct timespec bad = {0, 1000000000}, negative = {-1, 0};
	struct pollfd fd = {0, 0, 0};

	CHECK_ERROR(poll((void *)8, 1, 0), EFAULT);
	getrlimit(RLIMIT_NOFILE, &limit);
	CHECK_ERROR(syscall(SYS_poll, &fd, limit.rlim_cur + 1, 0), EINVAL);
	CHECK_ERROR(syscall(SYS_poll, &fd, -1, 0), EINVAL);
	CHECK_ERROR(syscall(SYS_ppoll, &fd, 0, &bad, NULL, 8), EINVAL);
	CHECK_ERROR(syscall(SYS_ppoll, &fd, 0, &negative, NULL, 8), EINVAL);
}

/* Signals end the wait, also one that is blocked but for the call. */
static void poll_is_interrupted(void)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigset_t blocked, none;
	pid_t pid;

	sigaction(SIGUSR1, &action, NULL);
	handled = 0;
	pid = later(interrupt_parent, SIGUSR1);
	CHECK_ERROR(poll(NULL, 0, 10000), EINTR);
	CHECK(handled == SIGUSR1);
	reap(pid);
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	handled = 0;
	raise(SIGUSR1);
	CHECK(handled == 0);
	CHECK_ERROR(ppoll(NULL, 0, NULL, &none), EINTR);
	CHECK(handled == SIGUSR1);
	handled = 0;
	raise(SIGUSR1);
	CHECK_ERROR(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
	CHECK(handled == SIGUSR1);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

/* ---- select ------------------------------------------------------------------------------------------------- */

static void select_says(void)
{
	int ends[2], far;
	fd_set in, out;
	struct timeval time = {0, 30000};
	long long start = now();

	CHECK(pipe(ends) == 0);
	FD_ZERO(&in);
	FD_SET(ends[0], &in);
	CHECK(syscall(SYS_select, ends[0] + 1, &in, NULL, NULL, &time) == 0 && !FD_ISSET(ends[0], &in));
	CHECK(now() - start >= 30 * MS);
	CHECK(time.tv_sec == 0 && time.tv_usec == 0);
	put(ends[1]);
	far = dup2(ends[0], 200);
	CHECK(far == 200);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(ends[0], &in);
	FD_SET(far, &in);
	FD_SET(ends[1], &out);
	FD_SET(ends[1], &in);
	CHECK(select(far + 1, &in, &out, NULL, NULL) == 3);
	CHECK(FD_ISSET(ends[0], &in) && FD_ISSET(far, &in) && FD_ISSET(ends[1], &out) &&
	      !FD_ISSET(ends[1], &in));
	FD_ZERO(&in);
	FD_SET(100, &in);
	FD_SET(ends[0], &in);
	CHECK_ERROR(select(101, &in, NULL, NULL, NULL), EBADF);
	CHECK_ERROR(select(-1, NULL, NULL, NULL, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_select, 5, 8, NULL, NULL, NULL), EFAULT);
	/* What is beyond the count is not looked at. */
	FD_ZERO(&in);
	FD_SET(100, &in);
	FD_SET(ends[0], &in);
	CHECK(select(ends[0] + 1, &in, NULL, NULL, NULL) == 1);
	close(far);
	close(ends[0]);
	close(ends[1]);
}

/* ---- epoll -------------------------------------------------------------------------------------------------------- */

static int control(int epoll, int operation, int fd, unsigned events)
{
	struct epoll_event event = {.events = events, .data.u64 = 0x123456789abcdef0ull + fd};

	return epoll_ctl(epoll, operation, fd, &event);
}

static struct epoll_event got[8];

static void epoll_levels_and_edges(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), ends[2];
	long long start;
	pid_t pid;

	CHECK(fcntl(epoll, F_GETFD) == FD_CLOEXEC);
	CHECK(pipe(ends) == 0);
	CHECK(control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN) == 0);
	start = now();
	CHECK(epoll_wait(epoll, got, 8, 30) == 0);
	CHECK(now() - start >= 30 * MS);
	put(ends[1]);
	for (int i = 0; i < 2; i++) {
		CHECK(epoll_wait(epoll, got, 8, 0) == 1 && got[0].events == EPOLLIN);
		CHECK(got[0].data.u64 == 0x123456789abcdef0ull + ends[0]);
	}
	take(ends[0]);
	CHECK(epoll_wait(epoll, got, 8, 0) == 0);
	CHECK(control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET) == 0);
	put(ends[1]);
	CHECK(epoll_wait(epoll, got, 8, 0) == 1);
	CHECK(epoll_wait(epoll, got, 8, 0) == 0);
	put(ends[1]);
	CHECK(epoll_wait(epoll, got, 8, 0) == 1);
	CHECK(control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT) == 0);
	CHECK(epoll_wait(epoll, got, 8, 0) == 1);
	put(ends[1]);
	CHECK(epoll_wait(epoll, got, 8, 0) == 0);
	CHECK(control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN) == 0);
	CHECK(epoll_wait(epoll, got, 8, 0) == 1);
	CHECK(control(epoll, EPOLL_CTL_ADD, ends[1], EPOLLOUT) == 0);
	CHECK(epoll_wait(epoll, got, 8, 0) == 2);
	CHECK(epoll_wait(epoll, got, 1, 0) == 1);
	CHECK(control(epoll, EPOLL_CTL_DEL, ends[1], 0) == 0);
	for (int i = 0; i < 3; i++)
		take(ends[0]);
	pid = later(put, ends[1]);
	CHECK(epoll_wait(epoll, got, 8, 10000) == 1);
	reap(pid);
	close(ends[0]);
	CHECK(epoll_wait(epoll, got, 8, 0) == 0);
	close(ends[1]);
	close(epoll);
}

static void epoll_errors(void)
{
	int epoll = epoll_create(1), other = epoll_create(1), file = open("/", O_RDONLY), ends[2];

	CHECK(pipe(ends) == 0);
	CHECK_ERROR(syscall(SYS_epoll_create, 0), EINVAL);
	CHECK_ERROR(epoll_create1(1), EINVAL);
	CHECK_ERROR(control(1000, EPOLL_CTL_ADD, ends[0], EPOLLIN), EBADF);
	CHECK_ERROR(control(epoll, EPOLL_CTL_ADD, 1000, EPOLLIN), EBADF);
	CHECK_ERROR(control(epoll, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
	CHECK_ERROR(control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN), EINVAL);
	CHECK_ERROR(control(ends[1], EPOLL_CTL_ADD, ends[0], EPOLLIN), EINVAL);
	CHECK_ERROR(control(epoll, 77, ends[0], EPOLLIN), EINVAL);
	CHECK_ERROR(control(epoll, EPOLL_CTL_MOD, ends[0], EPOLLIN), ENOENT);
	CHECK_ERROR(control(epoll, EPOLL_CTL_DEL, ends[0], EPOLLIN), ENOENT);
	CHECK_ERROR(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], (void *)8), EFAULT);
	CHECK(control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN) == 0);
	CHECK_ERROR(control(epoll, EPOLL_CTL_ADD, ends[0], EPOLLIN), EEXIST);
	CHECK_ERROR(epoll_wait(epoll, got, 0, 0), EINVAL);
	CHECK_ERROR(epoll_wait(ends[0], got, 1, 0), EINVAL);
	CHECK_ERROR(epoll_wait(1000, got, 1, 0), EBADF);
	put(ends[1]);
	CHECK_ERROR(epoll_wait(epoll, (void *)8, 1, 0), EFAULT);
	CHECK(epoll_wait(epoll, got, 1, 0) == 1);
	CHECK(control(other, EPOLL_CTL_ADD, epoll, EPOLLIN) == 0);
	CHECK_ERROR(control(epoll, EPOLL_CTL_ADD, other, EPOLLIN), ELOOP);
	close(file);
	close(epoll);
	close(other);
	close(ends[0]);
	close(ends[1]);
}

/* An instance is ready when one of its files is. */
static void epoll_nests(void)
{
	int inner = epoll_create(1), outer = epoll_create(1), ends[2], copy;
	struct pollfd fd = {outer, POLLIN, 0};
	pid_t pid;

	CHECK(pipe(ends) == 0);
	CHECK(control(inner, EPOLL_CTL_ADD, ends[0], EPOLLIN) == 0);
	CHECK(control(outer, EPOLL_CTL_ADD, inner, EPOLLIN) == 0);
	CHECK(poll(&fd, 1, 0) == 0);
	pid = later(put, ends[1]);
	CHECK(poll(&fd, 1, 10000) == 1 && fd.revents == POLLIN);
	reap(pid);
	CHECK(epoll_wait(outer, got, 8, 0) == 1 && epoll_wait(inner, got, 8, 0) == 1);
	take(ends[0]);
	CHECK(poll(&fd, 1, 0) == 0);
	CHECK(epoll_wait(outer, got, 8, 0) == 0);
	/* The file is watched until its last descriptor is closed. */
	copy = dup(ends[0]);
	close(ends[0]);
	put(ends[1]);
	CHECK(epoll_wait(outer, got, 8, 0) == 1);
	close(copy);
	CHECK(epoll_wait(outer, got, 8, 0) == 0 && epoll_wait(inner, got, 8, 0) == 0);
	close(inner);
	CHECK(epoll_wait(outer, got, 8, 0) == 0);
	close(outer);
	close(ends[1]);
}

/* ---- eventfd ---------------------------------------------------------------------------------------------------------- */

static void add_one(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		_exit(1);
}

static void eventfd_counts(void)
{
	int fd = eventfd(3, EFD_NONBLOCK), semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK),
	    waits = eventfd(0, 0);
	uint64_t value = 4, most = UINT64_MAX - 1, bad = UINT64_MAX;
	struct pollfd ready = {fd, POLLIN | POLLOUT, 0};
	pid_t pid;

	CHECK(write(fd, &value, 8) == 8);
	CHECK(poll(&ready, 1, 0) == 1 && ready.revents == (POLLIN | POLLOUT));
	CHECK(read(fd, &value, 8) == 8 && value == 7);
	CHECK_ERROR(read(fd, &value, 8), EAGAIN);
	CHECK_ERROR(read(fd, &value, 7), EINVAL);
	CHECK_ERROR(write(fd, &value, 7), EINVAL);
	CHECK_ERROR(write(fd, &bad, 8), EINVAL);
	CHECK(write(fd, &most, 8) == 8);
	value = 1;
	CHECK_ERROR(write(fd, &value, 8), EAGAIN);
	CHECK(poll(&ready, 1, 0) == 1 && ready.revents == POLLIN);
	CHECK(read(semaphore, &value, 8) == 8 && value == 1);
	CHECK(read(semaphore, &value, 8) == 8 && value == 1);
	CHECK_ERROR(read(semaphore, &value, 8), EAGAIN);
	CHECK_ERROR(eventfd(0, 0x10), EINVAL);
	pid = later(add_one, waits);
	CHECK(read(waits, &value, 8) == 8 && value == 1);
	reap(pid);
	close(fd);
	close(semaphore);
	close(waits);
}

/* More files than any table on a stack holds. */
static void many_files(void)
{
	static struct pollfd fds[900];
	int ends[2];
	pid_t pid;

	CHECK(pipe(ends) == 0);
	for (int i = 0; i < 900; i++)
		fds[i] = (struct pollfd){i == 700 ? ends[0] : dup(ends[0]), POLLIN, 0};
	CHECK(poll(fds, 900, 0) == 0);
	pid = later(put, ends[1]);
	CHECK(poll(fds, 900, 10000) == 900 && fds[0].revents == POLLIN && fds[899].revents == POLLIN);
	reap(pid);
	for (int i = 0; i < 900; i++)
		close(fds[i].fd);
	close(ends[1]);
}

int main(void)
{
	poll_says();
	poll_errors();
	poll_is_interrupted();
	select_says();
	epoll_levels_and_edges();
	epoll_errors();
	epoll_nests();
	eventfd_counts();
	many_files();
	return checks_end("polls");
}
