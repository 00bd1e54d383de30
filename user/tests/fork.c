/*
 * Processes: fork, vfork, exec of itself, wait; statuses, memory that is the child's own, orphans.
 */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *self;
static int variable = 1;

/* Runs `what` in a child; its wait status. */
static int in_child(int (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(what());
	CHECK(pid > 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static int changes_memory(void)
{
	variable = 2;
	return variable == 2 ? 7 : 1;
}

static void memory_is_copied(void)
{
	int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	*shared = *private = 5;
	CHECK(WEXITSTATUS(in_child(changes_memory)) == 7);
	CHECK(variable == 1);
	if (fork() == 0) {
		*shared = *private = 6;
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(*shared == 6 && *private == 5);
}

static void vfork_shares(void)
{
	int status;
	pid_t pid = vfork();

	if (pid == 0) {
		*(volatile int *)&variable = 3;
		_exit(9);
	}
	CHECK(*(volatile int *)&variable == 3);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
	variable = 1;
}

static int aborts(void)
{
	char *volatile nowhere = (char *)8;

	*nowhere = 1;
	return 0;
}

static int runs_itself(void)
{
	char *arguments[] = {self, "child", "with", "", "arguments", NULL};
	char *environment[] = {"A=1", "B=", NULL};

	execve(self, arguments, environment);
	return errno;
}

static int execs_nothing(void)
{
	char *arguments[] = {self, NULL};

	execve("/no/such/file", arguments, NULL);
	return errno;
}

static void errors(void)
{
	int status;

	CHECK(wait(&status) == -1 && errno == ECHILD);
	CHECK(waitpid(getpid(), &status, 0) == -1 && errno == ECHILD);
	CHECK(wait4(-1, NULL, 0x1000, NULL) == -1 && errno == EINVAL);
	CHECK(WEXITSTATUS(in_child(execs_nothing)) == ENOENT);
}

static void nohang(void)
{
	int status = 1;
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0) {
		usleep(20000);
		_exit(4);
	}
	CHECK(waitpid(pid, &status, WNOHANG) == 0);
	CHECK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == pid);
	CHECK(info.si_code == CLD_EXITED && info.si_status == 4);
	CHECK(waitpid(pid, &status, WNOHANG) == pid && WEXITSTATUS(status) == 4);
	CHECK(waitpid(pid, &status, WNOHANG) == -1 && errno == ECHILD);
}

static void many(void)
{
	enum { COUNT = 40 };
	pid_t pids[COUNT];
	int status;

	for (int i = 0; i < COUNT; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(i);
	}
	for (int i = 0; i < COUNT; i++)
		CHECK(waitpid(pids[i], &status, 0) == pids[i] && WEXITSTATUS(status) == i);
}

/* ---- Descriptors of processes ------------------------------------------------------------------------------------- */

static int pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int send_to(int descriptor, int signo, const siginfo_t *info)
{
	return (int)syscall(SYS_pidfd_send_signal, descriptor, signo, info, 0);
}

static bool readable_now(int descriptor)
{
	struct pollfd poller = {.fd = descriptor, .events = POLLIN};

	return poll(&poller, 1, 0) == 1;
}

static void descriptors(void)
{
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	int ends[2], descriptor, other;
	pid_t pid;

	CHECK(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(1);
	}
	CHECK_ERROR(pidfd_open(0, 0), EINVAL);
	CHECK_ERROR(pidfd_open(pid, 1), EINVAL);
	CHECK_ERROR(pidfd_open(1 << 21, 0), ESRCH);
	CHECK_ERROR(send_to(ends[0], SIGKILL, NULL), EBADF);
	CHECK_ERROR(waitid(P_PIDFD, (id_t)ends[0], &info, WEXITED), EBADF);
	descriptor = pidfd_open(pid, O_NONBLOCK);
	CHECK(descriptor >= 0 && fcntl(descriptor, F_GETFD) == FD_CLOEXEC);
	CHECK_ERROR(read(descriptor, &info, 1), EINVAL);
	CHECK(!readable_now(descriptor) && send_to(descriptor, 0, NULL) == 0);
	CHECK_ERROR(waitid(P_PIDFD, (id_t)descriptor, &info, WEXITED), EAGAIN);
	info = (siginfo_t){.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	CHECK_ERROR(send_to(descriptor, SIGUSR2, &info), EINVAL);
	info.si_code = SI_USER;
	CHECK_ERROR(send_to(descriptor, SIGUSR1, &info), EPERM);
	other = (int)syscall(SYS_pidfd_getfd, descriptor, ends[1], 0);
	CHECK(other >= 0 && write(other, "x", 1) == 1 && read(ends[0], &info, 1) == 1);
	CHECK_ERROR(syscall(SYS_pidfd_getfd, descriptor, 1000, 0), EBADF);
	CHECK(send_to(descriptor, SIGKILL, NULL) == 0);
	CHECK(poll(&(struct pollfd){.fd = descriptor, .events = POLLIN}, 1, -1) == 1);
	CHECK(waitid(P_PIDFD, (id_t)descriptor, &info, WEXITED) == 0 && info.si_pid == pid);
	CHECK(info.si_code == CLD_KILLED && info.si_status == SIGKILL);
	CHECK_ERROR(send_to(descriptor, 0, NULL), ESRCH);
	CHECK_ERROR(waitid(P_PIDFD, (id_t)descriptor, &info, WEXITED), ECHILD);
	CHECK(close(descriptor) == 0 && close(other) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void cloned_with_descriptor(void)
{
	int descriptor = -1;
	siginfo_t info = {.si_pid = 0};
	long pid;

	CHECK_ERROR(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, (int *)8, NULL, 0), EFAULT);
	CHECK_ERROR(
		syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &descriptor, NULL, 0),
		EINVAL);
	pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &descriptor, NULL, 0);
	if (pid == 0)
		_exit(fcntl(descriptor, F_GETFD) == -1 ? 9 : 1);
	CHECK(pid > 0 && descriptor >= 0);
	CHECK(waitid(P_PIDFD, (id_t)descriptor, &info, WEXITED) == 0 && info.si_pid == pid &&
	      info.si_status == 9);
	CHECK(readable_now(descriptor));
	CHECK(close(descriptor) == 0);
}

static int in_new_exec(int count, char **arguments, char **environment)
{
	CHECK(count == 5 && !strcmp(arguments[2], "with") && !strcmp(arguments[3], "") && !arguments[5]);
	CHECK(!strcmp(environment[0], "A=1") && !strcmp(environment[1], "B=") && !environment[2]);
	return checks_failed ? 1 : 42;
}

int main(int count, char **arguments, char **environment)
{
	if (count > 1)
		return in_new_exec(count, arguments, environment);
	self = arguments[0];
	memory_is_copied();
	vfork_shares();
	errors();
	nohang();
	many();
	descriptors();
	cloned_with_descriptor();
	CHECK(WEXITSTATUS(in_child(runs_itself)) == 42);
	CHECK(WTERMSIG(in_child(aborts)) == SIGSEGV);
	return checks_end("fork");
}
