/*
 * Process groups, sessions, orphans and who adopts them; what wait says of children of all kinds; clone's flags.
 */
#define _GNU_SOURCE
#include "check.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static int in_child(int (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(what());
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int failures(void)
{
	return checks_failed ? 1 : 0;
}

/* ---- Groups and sessions ------------------------------------------------------------------------------------ */

static int session(void)
{
	pid_t own = getpid();

	CHECK(getsid(0) != own && getpgrp() != own);
	CHECK(setsid() == own && getsid(0) == own && getpgrp() == own && getpgid(0) == own);
	CHECK_ERROR(setsid(), EPERM);
	CHECK_ERROR(setpgid(0, 0), EPERM);
	return failures();
}

static int group_leader(void)
{
	CHECK(setpgid(0, 0) == 0 && getpgrp() == getpid());
	CHECK_ERROR(setsid(), EPERM);
	return failures();
}

static _Noreturn void pause_for_ever(void)
{
	for (;;)
		pause();
}

static void groups(void)
{
	pid_t child = fork(), other;
	int status;

	if (child == 0)
		pause_for_ever();
	other = fork();
	if (other == 0)
		pause_for_ever();
	CHECK_ERROR(setpgid(0, -1), EINVAL);
	CHECK_ERROR(setpgid(1 << 20, 0), ESRCH);
	CHECK_ERROR(setpgid(getppid() ? getppid() : 1 << 20, 0), ESRCH);
	CHECK_ERROR(getpgid(1 << 20), ESRCH);
	CHECK_ERROR(getsid(1 << 20), ESRCH);
	CHECK_ERROR(setpgid(child, 1 << 20), EPERM);
	CHECK(setpgid(child, child) == 0 && getpgid(child) == child);
	CHECK(setpgid(other, child) == 0 && getpgid(other) == child);
	CHECK(setpgid(child, child) == 0);
	CHECK(waitpid(-child, &status, WNOHANG) == 0);
	CHECK_ERROR(waitpid(0, &status, WNOHANG), ECHILD);
	CHECK(kill(-child, SIGTERM) == 0);
	CHECK(waitpid(-child, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
	CHECK(waitpid(-child, &status, 0) > 0 && WTERMSIG(status) == SIGTERM);
	CHECK_ERROR(waitpid(-child, &status, 0), ECHILD);
	CHECK(in_child(session) == 0);
	CHECK(in_child(group_leader) == 0);
}

static void after_exec(void)
{
	int ready[2], status;
	pid_t pid;

	if (pipe(ready) != 0)
		return; /* there are no pipes */
	pid = fork();
	if (pid == 0) {
		dup2(ready[1], 1);
		execl("/proc/self/exe", "groups", "sleeps", NULL);
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &status, 1) == 1)
		CHECK_ERROR(setpgid(pid, pid), EACCES);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	close(ready[0]);
}

/* ---- Orphans ----------------------------------------------------------------------------------------------------- */

/* The child of a child that ends, with its parent then. */
static int orphan(void)
{
	int *parent = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			while (getppid() != *(volatile int *)parent)
				usleep(1000);
			_exit(17);
		}
		_exit(3);
	}
	*(volatile int *)parent = getpid();
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
	CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 17);
	CHECK_ERROR(wait(&status), ECHILD);
	return failures();
}

static int death_signal(void)
{
	int *ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGUSR1);
			*(volatile int *)ready = 1;
			pause_for_ever();
		}
		while (!*(volatile int *)ready)
			usleep(1000);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(wait(&status) > 0 && WTERMSIG(status) == SIGUSR1);
	return failures();
}

static int ignored_children(void)
{
	int status;

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 3; i++)
		if (fork() == 0)
			_exit(0);
	CHECK_ERROR(wait(&status), ECHILD);
	return failures();
}

/* ---- wait ------------------------------------------------------------------------------------------------------------ */

static void waits(void)
{
	siginfo_t info;
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		pause_for_ever();
	CHECK_ERROR(waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
	CHECK_ERROR(waitid(P_ALL, 0, &info, 0x4000000 | WEXITED), EINVAL);
	CHECK_ERROR(waitid(77, 0, &info, WEXITED), EINVAL);
	CHECK_ERROR(waitid(P_PID, 0, &info, WEXITED), EINVAL);
	CHECK_ERROR(waitid(P_PID, 1 << 20, &info, WEXITED), ECHILD);
	memset(&info, 1, sizeof(info));
	CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0 && info.si_signo == 0);
	CHECK(kill(pid, SIGSTOP) == 0);
	CHECK(waitid(P_PID, pid, &info, WSTOPPED) == 0 && info.si_code == CLD_STOPPED &&
	      info.si_status == SIGSTOP && info.si_pid == pid && info.si_signo == SIGCHLD);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	CHECK(kill(pid, SIGSTOP) == 0);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0 && info.si_code == CLD_KILLED &&
	      info.si_status == SIGKILL);
	CHECK(wait4(pid, &status, 0, &usage) == pid && WTERMSIG(status) == SIGKILL);
	CHECK(usage.ru_utime.tv_sec == 0);
	CHECK_ERROR(wait4(-1, &status, 0, &usage), ECHILD);
	CHECK_ERROR(waitpid(INT32_MIN, &status, 0), ESRCH);
}

/* ---- clone ------------------------------------------------------------------------------------------------------------- */

static long clone_call(unsigned long flags)
{
	return syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

static long clone3_call(struct clone_args *arguments, size_t bytes)
{
	return syscall(SYS_clone3, arguments, bytes);
}

static void clones(void)
{
	struct clone_args arguments = {.exit_signal = SIGCHLD};
	char larger[sizeof(arguments) + 16] = {0};
	int status, tid = 0;
	long pid;

	CHECK_ERROR(clone_call(CLONE_THREAD), EINVAL);
	CHECK_ERROR(clone_call(CLONE_SIGHAND), EINVAL);
	CHECK_ERROR(clone_call(CLONE_THREAD | CLONE_VM), EINVAL);
	/* A child that ends with another signal is none for those who do not ask for such. It may end at once. */
	signal(SIGUSR1, SIG_IGN);
	pid = clone_call(SIGUSR1);
	if (pid == 0)
		_exit(4);
	CHECK_ERROR(waitpid(pid, &status, 0), ECHILD);
	CHECK(waitpid(pid, &status, __WCLONE) == pid && WEXITSTATUS(status) == 4);
	signal(SIGUSR1, SIG_DFL);
	pid = syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, NULL, &tid, NULL, NULL);
	if (pid == 0)
		_exit(0);
	CHECK(tid == pid && waitpid(pid, &status, 0) == pid);

	CHECK_ERROR(clone3_call(&arguments, 32), EINVAL);
	CHECK_ERROR(clone3_call(&arguments, 5000), E2BIG);
	CHECK_ERROR(clone3_call((void *)8, sizeof(arguments)), EFAULT);
	arguments.exit_signal = 100;
	CHECK_ERROR(clone3_call(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.flags = SIGCHLD};
	CHECK_ERROR(clone3_call(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack = 0x100000};
	CHECK_ERROR(clone3_call(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 0x100000};
	CHECK_ERROR(clone3_call(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLONE_PARENT};
	CHECK_ERROR(clone3_call(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.exit_signal = SIGCHLD};
	memcpy(larger, &arguments, sizeof(arguments));
	larger[sizeof(larger) - 1] = 1;
	CHECK_ERROR(clone3_call((struct clone_args *)larger, sizeof(larger)), E2BIG);
	larger[sizeof(larger) - 1] = 0;
	pid = clone3_call((struct clone_args *)larger, sizeof(larger));
	if (pid == 0)
		_exit(6);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 6);
}

int main(int count, char **arguments)
{
	(void)arguments;
	if (count > 1) {
		if (write(1, "x", 1) == 1)
			pause_for_ever();
		return 1;
	}
	groups();
	after_exec();
	CHECK(in_child(orphan) == 0);
	CHECK(in_child(death_signal) == 0);
	CHECK(in_child(ignored_children) == 0);
	waits();
	clones();
	return checks_end("groups");
}
