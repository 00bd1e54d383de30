/*
 * Who a process is and what it may: users and groups, capabilities, limits, priorities, names. It has to be root; each part runs in a child.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define NO_AMBIENT_RAISE 0x40 /* SECBIT_NO_CAP_AMBIENT_RAISE of <linux/securebits.h> */

static void in_child(void (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		checks_made = checks_failed = 0;
		what();
		fflush(stdout);
		_exit(checks_failed ? 1 : 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Real, effective and saved user; the raw calls, as C libraries change all threads. */
static int is(uid_t real, uid_t effective, uid_t saved)
{
	uid_t r, e, s;

	return getresuid(&r, &e, &s) == 0 && r == real && e == effective && s == saved && getuid() == real &&
	       geteuid() == effective;
}

/* Another user's: not to be seen. */
static void others_memory(void)
{
	static char here[8];
	void *head;
	size_t bytes;
	struct iovec part = {here, sizeof(here)};

	CHECK(syscall(SYS_get_robust_list, 0, &head, &bytes) == 0);
	CHECK_ERROR(syscall(SYS_get_robust_list, getppid(), &head, &bytes), EPERM);
	CHECK(process_vm_readv(getpid(), &part, 1, &part, 1, 0) == sizeof(here));
	CHECK_ERROR(process_vm_readv(getppid(), &part, 1, &part, 1, 0), EPERM);
	CHECK_ERROR(process_vm_writev(getppid(), &part, 1, &part, 1, 0), EPERM);
}

static void users(void)
{
	int file;

	CHECK(is(0, 0, 0));
	CHECK(syscall(SYS_setresuid, -1, 1000, 2000) == 0 && is(0, 1000, 2000));
	CHECK_ERROR(syscall(SYS_setresuid, 3000, -1, -1), EPERM);
	CHECK_ERROR(syscall(SYS_setuid, 3000), EPERM);
	CHECK(syscall(SYS_setuid, 2000) == 0 && is(0, 2000, 2000));
	CHECK(syscall(SYS_setreuid, -1, 0) == 0 && is(0, 0, 2000));
	CHECK(syscall(SYS_setfsuid, 5) == 0 && syscall(SYS_setfsuid, -1) == 5);
	/* Root that is another one for files has no more rights with them than that one. */
	CHECK(syscall(SYS_setresuid, 0, 0, 2000) == 0);
	file = open("roots", O_CREAT | O_RDWR, 0600);
	CHECK(file >= 0 && syscall(SYS_setfsuid, 1000) == 0);
	CHECK_ERROR(open("roots", O_RDWR), EACCES);
	CHECK_ERROR(chown("roots", 1000, 1000), EPERM);
	CHECK(syscall(SYS_setfsuid, 0) == 1000 && unlink("roots") == 0 && close(file) == 0);
	CHECK(syscall(SYS_setresuid, 0, 0, 2000) == 0);
	CHECK(syscall(SYS_setreuid, 1000, -1) == 0 && is(1000, 0, 0));
	CHECK(syscall(SYS_setuid, 1000) == 0 && is(1000, 1000, 1000));
	CHECK_ERROR(syscall(SYS_setuid, 0), EPERM);
	CHECK_ERROR(syscall(SYS_setreuid, 0, -1), EPERM);
	CHECK_ERROR(syscall(SYS_setuid, -1), EINVAL);
	CHECK_ERROR(syscall(SYS_getresuid, 8, 8, 8), EFAULT);
	CHECK_ERROR(sethostname("x", 1), EPERM);
	CHECK_ERROR(setgroups(0, NULL), EPERM);
	CHECK_ERROR(kill(getppid(), 0), EPERM);
	others_memory();
}

static void user_groups(void)
{
	gid_t list[] = {7, 8, 9}, back[4];

	CHECK(setgroups(3, list) == 0 && getgroups(0, NULL) == 3 && getgroups(4, back) == 3 && back[2] == 9);
	CHECK_ERROR(getgroups(2, back), EINVAL);
	CHECK_ERROR(getgroups(-1, back), EINVAL);
	CHECK_ERROR(syscall(SYS_getgroups, 4, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_setgroups, 65537, list), EINVAL);
	CHECK_ERROR(syscall(SYS_setgroups, 3, 8), EFAULT);
	CHECK(getgroups(0, NULL) == 3 && setgroups(0, NULL) == 0 && getgroups(0, NULL) == 0);
	CHECK(syscall(SYS_setresgid, 5, 6, 7) == 0 && getgid() == 5 && getegid() == 6);
	CHECK(syscall(SYS_setregid, 6, 5) == 0 && getgid() == 6 && getegid() == 5);
}

static void capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2], none[2] = {{0, 0, 0}, {0, 0, 0}};

	CHECK(syscall(SYS_capget, &header, data) == 0 && data[0].effective & 1 << CAP_CHOWN);
	header.version = 1;
	CHECK_ERROR(syscall(SYS_capget, &header, data), EINVAL);
	CHECK(header.version == _LINUX_CAPABILITY_VERSION_3);
	CHECK_ERROR(syscall(SYS_capget, 8, data), EFAULT);
	header.pid = 1 << 20;
	CHECK_ERROR(syscall(SYS_capget, &header, data), ESRCH);
	header.pid = 0;
	data[0].inheritable |= 1u << CAP_CHOWN;
	CHECK(syscall(SYS_capset, &header, data) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECUREBITS, NO_AMBIENT_RAISE) == 0 &&
	      prctl(PR_GET_SECUREBITS) == NO_AMBIENT_RAISE);
	CHECK_ERROR(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM);
	CHECK(prctl(PR_SET_SECUREBITS, 0) == 0 && prctl(PR_GET_SECUREBITS) == 0);
	CHECK_ERROR(prctl(PR_SET_SECUREBITS, 1ul << 20), EPERM);
	data[0].effective &= ~(1u << CAP_SYS_ADMIN | 1u << CAP_SETPCAP);
	CHECK(syscall(SYS_capset, &header, data) == 0);
	CHECK_ERROR(prctl(PR_SET_SECUREBITS, 0), EPERM);
	CHECK_ERROR(sethostname("x", 1), EPERM);
	CHECK(syscall(SYS_capset, &header, none) == 0);
	data[0].effective = data[0].permitted = 1;
	CHECK_ERROR(syscall(SYS_capset, &header, data), EPERM);
	CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
	CHECK_ERROR(prctl(PR_CAPBSET_READ, 100), EINVAL);
	CHECK_ERROR(prctl(PR_CAPBSET_DROP, CAP_CHOWN), EPERM);
}

static void keeping(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
	CHECK(syscall(SYS_setuid, 1000) == 0);
	CHECK(syscall(SYS_capget, &header, data) == 0 && data[0].effective == 0 && data[0].permitted != 0);
}

static void limits(void)
{
	struct rlimit limit, before;

	CHECK(getrlimit(RLIMIT_STACK, &before) == 0 && before.rlim_cur >= 1 << 20);
	limit = (struct rlimit){10, 5};
	CHECK_ERROR(setrlimit(RLIMIT_CORE, &limit), EINVAL);
	CHECK_ERROR(getrlimit(100, &limit), EINVAL);
	CHECK_ERROR(syscall(SYS_getrlimit, RLIMIT_CORE, 8), EFAULT);
	CHECK_ERROR(prlimit(1 << 20, RLIMIT_CORE, NULL, &before), ESRCH);
	limit = (struct rlimit){5, 10};
	CHECK(setrlimit(RLIMIT_CORE, &limit) == 0 && getrlimit(RLIMIT_CORE, &limit) == 0);
	CHECK(limit.rlim_cur == 5 && limit.rlim_max == 10);
	CHECK(prlimit(getpid(), RLIMIT_CORE, &(struct rlimit){6, 10}, &limit) == 0 && limit.rlim_cur == 5);
	CHECK(syscall(SYS_setuid, 1000) == 0);
	CHECK_ERROR(setrlimit(RLIMIT_CORE, &(struct rlimit){6, 11}), EPERM);
	CHECK(setrlimit(RLIMIT_CORE, &(struct rlimit){6, 7}) == 0);
	CHECK_ERROR(prlimit(getppid(), RLIMIT_CORE, NULL, &limit), EPERM);
	/* One more process of this user than there is. */
	CHECK(setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1}) == 0);
	CHECK_ERROR(fork(), EAGAIN);
}

static void priorities(void)
{
	struct sched_param parameter = {.sched_priority = 5};
	struct timespec slice;
	cpu_set_t cpus;

	CHECK(getpriority(PRIO_PROCESS, 0) == 0);
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
	CHECK(setpriority(PRIO_PROCESS, getpid(), 100) == 0 && getpriority(PRIO_PROCESS, getpid()) == 19);
	CHECK(setpriority(PRIO_PROCESS, 0, -100) == 0 && getpriority(PRIO_PROCESS, 0) == -20);
	CHECK_ERROR(setpriority(7, 0, 5), EINVAL);
	CHECK_ERROR(getpriority(-1, 0), EINVAL);
	CHECK_ERROR(setpriority(PRIO_PROCESS, 1 << 20, 5), ESRCH);
	CHECK_ERROR(getpriority(PRIO_PGRP, 1 << 20), ESRCH);
	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
	CHECK_ERROR(syscall(SYS_sched_getscheduler, -1), EINVAL);
	CHECK_ERROR(syscall(SYS_sched_getscheduler, 1 << 20), ESRCH);
	CHECK_ERROR(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameter), EINVAL);
	CHECK_ERROR(syscall(SYS_sched_setscheduler, 0, 77, &parameter), EINVAL);
	CHECK_ERROR(syscall(SYS_sched_setscheduler, 0, SCHED_RR, 8), EFAULT);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
	CHECK_ERROR(sched_get_priority_min(77), EINVAL);
	CHECK(sched_rr_get_interval(0, &slice) == 0 && slice.tv_sec == 0);
	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) >= 1);
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	CPU_ZERO(&cpus);
	CHECK_ERROR(sched_setaffinity(0, sizeof(cpus), &cpus), EINVAL);
	CHECK_ERROR(syscall(SYS_sched_getaffinity, 0, 4, &cpus), EINVAL);
	CHECK_ERROR(syscall(SYS_sched_getaffinity, 1 << 20, sizeof(cpus), &cpus), ESRCH);
	CHECK(sched_getcpu() >= 0);
}

static void names(void)
{
	struct timeval wait = {0, 10};
	char name[16] = "";
	int value = -1, status;
	pid_t child;

	CHECK(prctl(PR_SET_NAME, "a name that is too long") == 0);
	CHECK(prctl(PR_GET_NAME, name) == 0 && !strcmp(name, "a name that is "));
	CHECK_ERROR(prctl(PR_SET_NAME, 8), EFAULT);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0);
	CHECK(value == SIGUSR1);
	CHECK_ERROR(prctl(PR_SET_PDEATHSIG, 100), EINVAL);
	CHECK(prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
	CHECK_ERROR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	CHECK_ERROR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	CHECK_ERROR(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0), EINVAL);
	CHECK_ERROR(prctl(12345), EINVAL);
	CHECK(personality(0xffffffff) == 0 && personality(ADDR_NO_RANDOMIZE) == 0);
	CHECK(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
	CHECK(personality(PER_SVR4) == ADDR_NO_RANDOMIZE && personality(STICKY_TIMEOUTS) == PER_SVR4);
	CHECK(syscall(SYS_select, 0, NULL, NULL, NULL, &wait) == 0 && wait.tv_usec == 10);
	CHECK(personality(ADDR_NO_RANDOMIZE) == STICKY_TIMEOUTS);
	CHECK(syscall(SYS_select, 0, NULL, NULL, NULL, &wait) == 0 && wait.tv_usec == 0);
	CHECK(prctl(PR_SET_TIMERSLACK, 70000) == 0 && prctl(PR_GET_TIMERSLACK) == 70000);
	child = fork();
	if (child == 0)
		_exit(prctl(PR_GET_TIMERSLACK) == 70000 && prctl(PR_SET_TIMERSLACK, 1) == 0 &&
		      prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 70000);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 1);
	CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 50000);
	CHECK(unshare(0) == 0 && unshare(CLONE_FILES | CLONE_FS) == 0);
	CHECK_ERROR(unshare(1), EINVAL);
}

static void usage(void)
{
	struct rusage rusage;
	struct sysinfo info;
	struct tms tms;
	clock_t until = clock() + CLOCKS_PER_SEC / 20;
	static volatile char memory[4 << 20];

	/* Linux counts roughly. */
	for (size_t i = 0; i < sizeof(memory); i += PAGE)
		memory[i] = 1;
	while (clock() < until)
		;
	CHECK(getrusage(RUSAGE_SELF, &rusage) == 0 && rusage.ru_maxrss > 3 << 10);
	CHECK(rusage.ru_utime.tv_usec + rusage.ru_stime.tv_usec >= 40000 || rusage.ru_utime.tv_sec > 0);
	CHECK(getrusage(RUSAGE_CHILDREN, &rusage) == 0 && getrusage(RUSAGE_THREAD, &rusage) == 0);
	CHECK_ERROR(getrusage(5, &rusage), EINVAL);
	CHECK_ERROR(syscall(SYS_getrusage, RUSAGE_SELF, 8), EFAULT);
	CHECK(times(&tms) != (clock_t)-1);
	CHECK_ERROR(syscall(SYS_times, 8), EFAULT);
	CHECK(sysinfo(&info) == 0 && info.procs >= 2 && info.totalram > info.freeram && info.freeram > 0);
}

/* Numbers start anew at the end that is set. */
static void numbers(void)
{
	const char path[] = "/proc/sys/kernel/pid_max";
	char before[16];
	int file = open(path, O_RDWR), highest = 0;
	ssize_t bytes = read(file, before, sizeof(before));

	CHECK(bytes > 0);
	CHECK_ERROR(pwrite(file, "300\n", 4, 0), EINVAL);
	CHECK_ERROR(pwrite(file, "four hundred", 12, 0), EINVAL);
	CHECK(pwrite(file, "400\n", 4, 0) == 4);
	for (int i = 0; i < 450; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		CHECK(waitpid(pid, NULL, 0) == pid);
		highest = pid > highest ? pid : highest;
	}
	CHECK(highest == 399);
	CHECK(pwrite(file, before, (size_t)bytes, 0) == bytes);
	close(file);
}

int main(void)
{
	in_child(users);
	in_child(user_groups);
	in_child(capabilities);
	in_child(keeping);
	in_child(limits);
	in_child(priorities);
	in_child(names);
	in_child(usage);
	in_child(numbers);
	return checks_end("identity");
}
