/*
 * wait4 and waitid with their options; process groups and sessions; stop and continue, as a shell's job control needs them.
 */
#include "tap.h"
#include <sys/prctl.h>

static pid_t child_that_exits(int code)
{
	pid_t child = fork();

	NEED(child >= 0);
	if (child == 0)
		_exit(code);
	return child;
}

/* A child that waits for signals, in a process group of its own if `group`. */
static pid_t child_that_waits(bool group)
{
	pid_t child = fork();

	NEED(child >= 0);
	if (child == 0) {
		for (;;)
			pause();
	}
	if (group)
		NEED(setpgid(child, child) == 0);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	wait_status(child);
}

TEST(any, "wait4(-1): each child once, then ECHILD")
{
	int status, seen = 0;

	for (int i = 0; i < 5; i++)
		child_that_exits(i);
	for (int i = 0; i < 5; i++) {
		CHECK(CALL(wait4, -1, &status, 0, NULL) > 0 && WIFEXITED(status));
		seen |= 1 << WEXITSTATUS(status);
	}
	EQUAL(seen, 0x1f);
	FAILS(CALL(wait4, -1, &status, 0, NULL), ECHILD);
	FAILS(CALL(wait4, -1, &status, WNOHANG, NULL), ECHILD);
}

TEST(no_hang, "WNOHANG: 0 while no child has ended")
{
	int status = 77;
	pid_t child = child_that_waits(false);

	EQUAL(CALL(wait4, -1, &status, WNOHANG, NULL), 0);
	EQUAL(status, 77);
	EQUAL(CALL(wait4, child, &status, WNOHANG, NULL), 0);
	kill(child, SIGKILL);
	for (int i = 0; i < 1000 && waitpid(child, &status, WNOHANG) == 0; i++)
		sleep_ms(1);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(bad, "wait4: unknown options are EINVAL, others' processes ECHILD, a bad pointer EFAULT")
{
	int status;
	pid_t child;

	FAILS(CALL(wait4, -1, &status, 0x100, NULL), EINVAL);
	FAILS(CALL(wait4, getppid(), &status, 0, NULL), ECHILD);
	FAILS(CALL(wait4, getpid(), &status, 0, NULL), ECHILD);
	FAILS(CALL(wait4, -getpid() - 100000, &status, 0, NULL), ECHILD);
	FAILS(CALL(wait4, 0x80000000, &status, 0, NULL), ESRCH); /* INT_MIN */
	child = child_that_exits(0);
	FAILS(CALL(wait4, child, 8, 0, NULL), EFAULT);
}

TEST(no_status, "wait4 without a place for the status, with one for the usage")
{
	struct rusage usage;

	memset(&usage, 0xff, sizeof(usage));
	pid_t child = child_that_exits(3);
	EQUAL(CALL(wait4, child, NULL, 0, &usage), child);
	CHECK(usage.ru_utime.tv_sec == 0 && usage.ru_maxrss >= 0);
}

TEST(groups, "wait4 for a process group: 0 its own, -N group N")
{
	int status;
	pid_t mine = child_that_exits(1), other = child_that_waits(true);

	kill(other, SIGTERM);
	EQUAL(waitpid(0, &status, 0), mine);
	EQUAL(waitpid(-other, &status, 0), other);
	FAILS(waitpid(-other, &status, 0), ECHILD);
}

TEST(stopped, "WUNTRACED tells of a stop once, WCONTINUED of going on once, SIGKILL ends a stopped one")
{
	int status;
	pid_t child = child_that_waits(true);

	kill(child, SIGSTOP);
	EQUAL(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	EQUAL(status, 0x137f);
	EQUAL(waitpid(child, &status, WUNTRACED | WNOHANG), 0);
	kill(child, SIGTERM); /* waits until it goes on */
	EQUAL(waitpid(child, &status, WNOHANG), 0);
	kill(child, SIGSTOP);
	kill(child, SIGKILL);
	EQUAL(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	child = child_that_waits(true);
	kill(child, SIGTSTP);
	EQUAL(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	kill(child, SIGCONT);
	EQUAL(waitpid(child, &status, WCONTINUED), child);
	CHECK(WIFCONTINUED(status));
	EQUAL(waitpid(child, &status, WCONTINUED | WUNTRACED | WNOHANG), 0);
	end(child);
}

TEST(stop_really_stops, "a stopped process does not run")
{
	volatile char *counter = anonymous_shared(PAGE);
	pid_t child = fork();
	int status;
	char seen;

	if (child == 0) {
		for (;;)
			(*counter)++;
	}
	sleep_ms(10);
	kill(child, SIGSTOP);
	EQUAL(waitpid(child, &status, WUNTRACED), child);
	seen = *counter;
	sleep_ms(30);
	EQUAL(*counter, seen);
	kill(child, SIGCONT);
	sleep_ms(30);
	CHECK(*counter != seen || (sleep_ms(7), *counter != seen));
	end(child);
}

TEST(waitid, "waitid: exits, with siginfo; WNOWAIT leaves the child to be waited for")
{
	siginfo_t info = {0};
	pid_t child = child_that_exits(9);

	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	EQUAL(info.si_pid, child);
	EQUAL(info.si_signo, SIGCHLD);
	EQUAL(info.si_code, CLD_EXITED);
	EQUAL(info.si_status, 9);
	EQUAL(info.si_uid, getuid());
	CHECK(waitid(P_ALL, 0, &info, WEXITED) == 0 && info.si_pid == child);
	FAILS(waitid(P_PID, (id_t)child, &info, WEXITED), ECHILD);
}

TEST(waitid_kinds, "waitid: killed, stopped, continued; nothing yet with WNOHANG")
{
	siginfo_t info;
	pid_t child = child_that_waits(true);

	memset(&info, 0xff, sizeof(info));
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG) == 0);
	CHECK(info.si_pid == 0 && info.si_signo == 0);
	kill(child, SIGSTOP);
	CHECK(waitid(P_PGID, (id_t)child, &info, WSTOPPED) == 0);
	CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP);
	kill(child, SIGCONT);
	CHECK(waitid(P_PID, (id_t)child, &info, WCONTINUED) == 0);
	CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
	kill(child, SIGTERM);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED) == 0);
	CHECK(info.si_code == CLD_KILLED && info.si_status == SIGTERM);
}

/* Markers of memory, which are nowhere but where they were put: even who looks for one makes it byte by byte. */
enum { MARK = 'm', SECRET = 's', MARK_BYTES = 64 };

static char mark_byte(char kind, size_t i)
{
	return (char)(kind * 31 + i * i * 7 + i);
}

static void put_mark(volatile char *to, char kind)
{
	for (size_t i = 0; i < MARK_BYTES; i++)
		to[i] = mark_byte(kind, i);
}

/* The wait status of a child that has a marker in its memory, and one that is not to be dumped, and ends by the signal. */
static int end_by(int signal, rlim_t limit)
{
	struct rlimit core = {limit, RLIM_INFINITY};
	pid_t child = fork();

	NEED(child >= 0);
	if (child == 0) {
		char *secret = anonymous(PAGE), *memory = anonymous(64 * PAGE);

		NEED(madvise(secret, PAGE, MADV_DONTDUMP) == 0 && setrlimit(RLIMIT_CORE, &core) == 0);
		put_mark(memory + 63 * PAGE, MARK);
		put_mark(secret, SECRET);
		if (signal == SIGSEGV)
			*(volatile char *)mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
		kill(getpid(), signal);
		_exit(1);
	}
	return wait_status(child);
}

/* Is the marker in the file? */
static bool is_in(const char *path, char kind)
{
	int file = open(path, O_RDONLY);
	size_t bytes = file < 0 ? 0 : (size_t)file_size(file), same = 0;
	const char *memory = file < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);

	NEED(memory != MAP_FAILED);
	for (size_t at = 0; at < bytes && same < MARK_BYTES; at++)
		same = memory[at] == mark_byte(kind, same) ? same + 1 : memory[at] == mark_byte(kind, 0);
	munmap((void *)(uintptr_t)memory, bytes);
	close(file);
	return same == MARK_BYTES;
}

TEST(core_files, "signals that dump: WCOREDUMP, and a file with what was in memory, but for MADV_DONTDUMP")
{
	const int dumping[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGFPE, SIGXCPU, SIGSYS};
	const int others[] = {SIGTERM, SIGKILL, SIGHUP, SIGUSR1};
	struct stat status;

	if (strcmp(contents("/proc/sys/kernel/core_pattern"), "core\n") != 0 ||
	    strcmp(contents("/proc/sys/kernel/core_uses_pid"), "1\n") == 0)
		skip("core files go elsewhere");
	for (unsigned i = 0; i < sizeof(dumping) / sizeof(*dumping); i++) {
		unlink("core");
		EQUAL(end_by(dumping[i], RLIM_INFINITY), dumping[i] | 0x80);
		CHECK(stat("core", &status) == 0 && (status.st_mode & 0777) == 0600 && status.st_nlink == 1);
		CHECK(strncmp(contents("core"), "\177ELF\2\1\1", 7) == 0 && contents("core")[16] == 4);
		CHECK(is_in("core", MARK) && !is_in("core", SECRET));
	}
	unlink("core");
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
		EQUAL(end_by(others[i], RLIM_INFINITY), others[i]);
	EQUAL(end_by(SIGABRT, 0), SIGABRT);
	EQUAL(end_by(SIGSEGV, PAGE - 1), SIGSEGV);
	FAILS(stat("core", &status), ENOENT);
	EQUAL(end_by(SIGABRT, 5 * PAGE), SIGABRT | 0x80);
	CHECK(stat("core", &status) == 0 && status.st_size <= 5 * (off_t)PAGE);
	unlink("core");
	NEED(symlink("elsewhere", "core") == 0);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY) & 0x7f, SIGABRT); /* newer Linux says that there was a file */
	FAILS(stat("elsewhere", &status), ENOENT);
}

TEST(core_replaces, "a core file is a new file: what had its name has it no more, and is not written to")
{
	struct stat status;

	if (strcmp(contents("/proc/sys/kernel/core_pattern"), "core\n") != 0 ||
	    strcmp(contents("/proc/sys/kernel/core_uses_pid"), "1\n") == 0)
		skip("core files go elsewhere");
	NEED(close(open("core", O_CREAT | O_WRONLY, 0644)) == 0 && truncate("core", PAGE) == 0);
	NEED(link("core", "before") == 0);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT | 0x80);
	CHECK(stat("before", &status) == 0 && status.st_size == PAGE && status.st_nlink == 1);
	CHECK(stat("core", &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0777) == 0600);
	CHECK(is_in("core", MARK));
	/* Nobody reads it. */
	NEED(unlink("core") == 0 && mkfifo("core", 0600) == 0);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT | 0x80);
	CHECK(stat("core", &status) == 0 && S_ISREG(status.st_mode) && is_in("core", MARK));
	NEED(unlink("core") == 0 && symlink("elsewhere", "core") == 0);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT | 0x80);
	FAILS(stat("elsewhere", &status), ENOENT);
	CHECK(lstat("core", &status) == 0 && S_ISREG(status.st_mode));
	NEED(unlink("core") == 0 && mkdir("core", 0700) == 0);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT);
}

TEST(core_name, "core_pattern: a task's name is one part of the path, whatever is in it")
{
	struct stat status;
	int pattern;

	skip_if_shared();
	pattern = open("/proc/sys/kernel/core_pattern", O_WRONLY);
	NEED(mkdir("core.a", 0700) == 0 && prctl(PR_SET_NAME, "a/../b") == 0);
	NEED(pattern >= 0 && write(pattern, "core.%e", 7) == 7);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT | 0x80);
	NEED(pwrite(pattern, "core", 4, 0) == 4);
	CHECK(stat("core.a!..!b", &status) == 0);
	FAILS(stat("b", &status), ENOENT);
}

TEST(core_filter,
     "/proc/self/coredump_filter says which mappings, and is inherited; PR_SET_DUMPABLE 0: no file")
{
	int file = open("/proc/self/coredump_filter", O_RDWR);
	struct stat status;

	if (file < 0 || strcmp(contents("/proc/sys/kernel/core_pattern"), "core\n") != 0)
		skip("core files go elsewhere");
	CHECK(strcmp(contents("/proc/self/coredump_filter"), "00000033\n") == 0);
	CHECK(write(file, "0x32", 4) == 4 &&
	      strcmp(contents("/proc/self/coredump_filter"), "00000032\n") == 0);
	FAILS(write(file, "x", 1), EINVAL);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT | 0x80);
	CHECK(!is_in("core", MARK));
	unlink("core");
	NEED(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	EQUAL(end_by(SIGABRT, RLIM_INFINITY), SIGABRT);
	FAILS(stat("core", &status), ENOENT);
}

TEST(waitid_bad, "waitid: no kind of change, unknown options or kinds of id are EINVAL")
{
	siginfo_t info;

	child_that_exits(0);
	FAILS(CALL(waitid, P_ALL, 0, &info, 0, NULL), EINVAL);
	FAILS(CALL(waitid, P_ALL, 0, &info, WNOHANG, NULL), EINVAL);
	FAILS(CALL(waitid, P_ALL, 0, &info, WEXITED | 0x100, NULL), EINVAL);
	FAILS(CALL(waitid, 99, 0, &info, WEXITED, NULL), EINVAL);
	FAILS(CALL(waitid, P_PID, 0, &info, WEXITED, NULL), EINVAL);
	FAILS(CALL(waitid, P_PID, getppid(), &info, WEXITED, NULL), ECHILD);
	FAILS(CALL(waitid, P_PIDFD, 999, &info, WEXITED, NULL), EBADF);
}

static volatile int caught;
static volatile siginfo_t caught_info;

static void catch (int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught += signal == SIGCHLD;
	caught_info = *info;
}

static void handle_children(int flags)
{
	struct sigaction action = {.sa_sigaction = catch, .sa_flags = SA_SIGINFO | flags};

	NEED(sigaction(SIGCHLD, &action, NULL) == 0);
}

TEST(child_signal, "SIGCHLD tells who, how, and with what")
{
	pid_t child;

	handle_children(SA_RESTART);
	child = child_that_exits(12);
	EQUAL(wait_status(child), 12 << 8);
	for (int i = 0; i < 100 && !caught; i++)
		sleep_ms(1);
	EQUAL(caught, 1);
	CHECK(caught_info.si_pid == child && caught_info.si_code == CLD_EXITED &&
	      caught_info.si_status == 12);
}

TEST(no_child_stop, "SA_NOCLDSTOP: no SIGCHLD for stops")
{
	pid_t child;
	int status;

	handle_children(SA_NOCLDSTOP | SA_RESTART);
	child = child_that_waits(true);
	kill(child, SIGSTOP);
	EQUAL(waitpid(child, &status, WUNTRACED), child);
	kill(child, SIGCONT);
	EQUAL(waitpid(child, &status, WCONTINUED), child);
	EQUAL(caught, 0);
	end(child);
	for (int i = 0; i < 100 && !caught; i++)
		sleep_ms(1);
	EQUAL(caught, 1);
}

TEST(no_zombies, "SIGCHLD ignored, or SA_NOCLDWAIT: children leave nothing to wait for")
{
	int status;

	signal(SIGCHLD, SIG_IGN);
	pid_t child = child_that_exits(1);
	FAILS(waitpid(child, &status, 0), ECHILD);
	FAILS(kill(child, 0), ESRCH);
	handle_children(SA_NOCLDWAIT | SA_RESTART);
	child = child_that_exits(1);
	FAILS(waitpid(child, &status, 0), ECHILD);
}

TEST(zombie, "a child that nobody waited for is still a process: signals go there without error")
{
	pid_t child = child_that_exits(0);
	siginfo_t info;

	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	CHECK(kill(child, 0) == 0 && kill(child, SIGKILL) == 0);
	EQUAL(wait_status(child), 0);
	FAILS(kill(child, 0), ESRCH);
}

TEST(group_calls, "setpgid and getpgid: a child's group, a group of one's own, an existing one")
{
	pid_t one = child_that_waits(true), two = child_that_waits(false);

	EQUAL(getpgid(0), getpgrp());
	EQUAL(getpgid(one), one);
	EQUAL(getpgid(two), getpgrp());
	CHECK(setpgid(two, one) == 0 && getpgid(two) == one);
	CHECK(setpgid(two, 0) == 0 && getpgid(two) == two);
	FAILS(setpgid(two, -1), EINVAL);
	FAILS(setpgid(two, 999999), EPERM);
	FAILS(setpgid(999999, 0), ESRCH);
	FAILS(setpgid(getppid(), 0), ESRCH);
	FAILS(getpgid(999999), ESRCH);
	end(one);
	end(two);
}

TEST(group_after_exec, "setpgid of a child that has run exec is EACCES")
{
	int ends[2];
	char byte;
	pid_t child;

	NEED(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		execl("/proc/self/exe", "wait", "-n", "wait-to-be-killed", NULL);
		_exit(9);
	}
	NEED(read(ends[0], &byte, 1) == 1);
	FAILS(setpgid(child, child), EACCES);
	end(child);
}

TEST(waiting, "wait-to-be-killed")
{
	if (memmem(contents("/proc/self/cmdline"), 200, "wait-to-be", 10))
		pause();
}

TEST(group_signals, "kill of a group reaches all of it and nobody else; 0 is one's own")
{
	pid_t one = child_that_waits(true), two = child_that_waits(false), other = child_that_waits(true);

	NEED(setpgid(two, one) == 0);
	CHECK(kill(-one, SIGTERM) == 0);
	EQUAL(wait_status(one), SIGTERM);
	EQUAL(wait_status(two), SIGTERM);
	EQUAL(waitpid(other, NULL, WNOHANG), 0);
	end(other);
	FAILS(kill(-one, SIGTERM), ESRCH);
	IN_CHILD
	{
		pid_t mine;

		NEED(setpgid(0, 0) == 0);
		mine = child_that_waits(false);
		signal(SIGUSR1, SIG_IGN);
		CHECK(kill(0, SIGUSR1) == 0);
		EQUAL(wait_status(mine), SIGUSR1);
	}
}

TEST(sessions, "setsid: a new session and group; a leader of a group cannot: EPERM")
{
	FAILS(setsid(), EPERM);
	IN_CHILD
	{
		EQUAL(setsid(), getpid());
		CHECK(getsid(0) == getpid() && getpgrp() == getpid());
		FAILS(setsid(), EPERM);
		FAILS(setpgid(0, 0), EPERM); /* a session's leader stays */
		pid_t child = child_that_waits(false);
		EQUAL(getsid(child), getpid());
		end(child);
		EQUAL(open("/dev/tty", O_RDWR), -1); /* no terminal */
		EQUAL(errno, ENXIO);
	}
	FAILS(getsid(999999), ESRCH);
}

TEST(other_session, "setpgid into another session is EPERM")
{
	int ends[2];
	char byte;
	pid_t child;

	NEED(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		setsid();
		if (write(ends[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	NEED(read(ends[0], &byte, 1) == 1);
	FAILS(setpgid(child, getpgrp()), EPERM);
	FAILS(setpgid(0, child), EPERM);
	end(child);
}

TEST(orphaned_group, "a stopped group that becomes an orphan gets SIGHUP and SIGCONT")
{
	int ends[2];
	pid_t child, stopped = 0;
	char bytes[2];

	NEED(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		stopped = fork();
		if (stopped == 0) {
			setpgid(0, 0);
			kill(getpid(), SIGSTOP);
			_exit(0); /* the end of the pipe says that it is gone */
		}
		setpgid(stopped, stopped);
		waitpid(stopped, NULL, WUNTRACED);
		_exit(write(ends[1], "s", 1) != 1);
	}
	close(ends[1]);
	EQUAL(wait_status(child), 0);
	EQUAL(read(ends[0], bytes, 2), 1);
	EQUAL(read(ends[0], bytes, 2), 0);
}

/* Until the process has had so much time of a CPU, however many others want it. */
static void work(long milliseconds)
{
	struct timespec used;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < milliseconds);
}

TEST(usage, "getrusage counts the time of this process, and of children that were waited for")
{
	struct rusage mine, children;

	work(50);
	IN_CHILD
	{
		work(50);
	}
	CHECK(getrusage(RUSAGE_SELF, &mine) == 0 && getrusage(RUSAGE_CHILDREN, &children) == 0);
	CHECK(mine.ru_utime.tv_usec + mine.ru_stime.tv_usec + 1000000 * mine.ru_utime.tv_sec >= 10000);
	CHECK(children.ru_utime.tv_usec + children.ru_stime.tv_usec + 1000000 * children.ru_utime.tv_sec >=
	      10000);
	CHECK(mine.ru_minflt > 0);
	FAILS(CALL(getrusage, 99, &mine), EINVAL);
}
