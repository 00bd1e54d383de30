/*
 * Processes: fork, vfork, clone, clone3, exec, exit; what is inherited and what is not.
 */
#include "tap.h"
#include <sched.h>
#include <linux/sched.h>
#include <sys/prctl.h>

#define MANY         200
#define CLONE_STACK  (16 * PAGE)
#define CLONE3_SMALL 64 /* CLONE_ARGS_SIZE_VER0 */

static long clone3(struct clone_args *arguments, size_t bytes)
{
	return CALL(clone3, arguments, bytes);
}

TEST(fork, "fork: the child's 0, the parent's child; identities differ, parents are right")
{
	pid_t me = getpid(), child = fork_counted();

	if (child == 0) {
		CHECK(getpid() != me && getppid() == me);
		EQUAL(gettid(), getpid());
		child_end();
	}
	CHECK(child > 0 && child != me);
	child_passed(child);
}

TEST(exit_codes, "exit codes and signals reach the parent")
{
	for (int code = 0; code < 256; code += 51) {
		pid_t child = fork();

		if (child == 0)
			_exit(code);
		EQUAL(wait_status(child), code << 8);
	}
	for (int signal = 1; signal < 16; signal++) {
		pid_t child = fork();

		if (child == 0) {
			struct rlimit none = {0, 0};

			setrlimit(RLIMIT_CORE, &none);
			kill(getpid(), signal);
			_exit(0);
		}
		EQUAL(wait_status(child) & 0x7f, signal);
	}
	pid_t child = fork();
	if (child == 0)
		_exit(0x12345);
	EQUAL(wait_status(child), 0x45 << 8);
}

TEST(many, "two hundred children one after another, and fifty at once")
{
	pid_t children[50];

	for (int i = 0; i < MANY; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(i);
		NEED(wait_status(child) == i << 8);
	}
	for (int i = 0; i < 50; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			sleep_ms(20);
			_exit(i);
		}
		NEED(children[i] > 0);
	}
	for (int i = 0; i < 50; i++)
		EQUAL(wait_status(children[i]), i << 8);
}

TEST(orphans, "an orphan gets a new parent")
{
	int ends[2];
	pid_t child, grandchild_parent = 0;

	NEED(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		if (fork() == 0) {
			pid_t parent = getppid();

			for (int i = 0; i < 500 && (parent = getppid()) != 1; i++)
				sleep_ms(2);
			_exit(write(ends[1], &parent, sizeof(parent)) != sizeof(parent));
		}
		_exit(0);
	}
	wait_status(child);
	CHECK(read(ends[0], &grandchild_parent, sizeof(grandchild_parent)) == sizeof(grandchild_parent));
	EQUAL(grandchild_parent, 1);
}

TEST(subreaper, "PR_SET_CHILD_SUBREAPER: orphans come here")
{
	int status;
	pid_t child;

	NEED(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	child = fork();
	if (child == 0) {
		if (fork() == 0) {
			sleep_ms(20);
			_exit(33);
		}
		_exit(0);
	}
	wait_status(child);
	CHECK(wait(&status) > 0);
	EQUAL(status, 33 << 8);
}

TEST(descriptors, "descriptors are inherited, offsets shared, closing is one's own")
{
	int file = make_file("file", PAGE);

	NEED(lseek(file, 10, SEEK_SET) == 10);
	IN_CHILD
	{
		EQUAL(lseek(file, 5, SEEK_CUR), 15);
		close(file);
	}
	EQUAL(lseek(file, 0, SEEK_CUR), 15);
}

TEST(working_directory, "working directory and umask are inherited, and changed apart")
{
	char before[256], after[256];

	NEED(getcwd(before, sizeof(before)) && mkdir("sub", 0755) == 0);
	umask(027);
	IN_CHILD
	{
		EQUAL(umask(077), 027);
		CHECK(chdir("sub") == 0);
	}
	CHECK(getcwd(after, sizeof(after)) && strcmp(before, after) == 0);
	EQUAL(umask(022), 027);
}

static char vfork_said;

TEST(vfork, "vfork: the child uses the parent's memory, which waits until it exits")
{
	pid_t child = vfork();

	if (child == 0) {
		vfork_said = 'c';
		_exit(7);
	}
	EQUAL(vfork_said, 'c');
	EQUAL(wait_status(child), 7 << 8);
}

TEST(vfork_exec, "vfork: or until it runs another program")
{
	int ends[2];
	char text[5] = "";
	pid_t child;

	NEED(pipe(ends) == 0);
	child = vfork();
	if (child == 0) {
		dup2(ends[1], 1);
		execl("/proc/self/exe", "child", "say-hello", NULL);
		_exit(9);
	}
	EQUAL(wait_status(child), 0);
	CHECK(read(ends[0], text, 4) == 4 && strcmp(text, "1..1") == 0);
}

TEST(hello, "say-hello") {}

/* The child's function of clone(). */
static int add_one(void *number)
{
	*(int *)number += 1;
	return 5;
}

TEST(clone_plain, "clone without flags is fork, with another stack; the exit signal is the caller's choice")
{
	char *stack = anonymous(CLONE_STACK);
	int number = 1, status;
	pid_t child = clone(add_one, stack + CLONE_STACK, SIGCHLD, &number);

	NEED(child > 0);
	EQUAL(wait_status(child), 5 << 8);
	EQUAL(number, 1);
	child = clone(add_one, stack + CLONE_STACK, 0, &number); /* no signal */
	FAILS(waitpid(child, &status, 0), ECHILD);
	EQUAL(waitpid(child, &status, __WALL), child);
}

TEST(clone_vm, "clone with CLONE_VM shares memory, with CLONE_FILES descriptors, with CLONE_FS the directory")
{
	char *stack = anonymous(CLONE_STACK);
	int number = 1;
	pid_t child =
		clone(add_one, stack + CLONE_STACK, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, &number);

	NEED(child > 0);
	EQUAL(wait_status(child), 5 << 8);
	EQUAL(number, 2);
}

static int close_and_move(void *file)
{
	return close(*(int *)file) != 0 || chdir("/") != 0;
}

TEST(clone_files, "CLONE_FILES and CLONE_FS: what the child closes is closed, where it goes all go")
{
	char *stack = anonymous(CLONE_STACK), where[64];
	int file = make_file("file", 10);
	pid_t child = clone(close_and_move, stack + CLONE_STACK, CLONE_FILES | CLONE_FS | SIGCHLD, &file);

	NEED(child > 0);
	EQUAL(wait_status(child), 0);
	FAILS(fcntl(file, F_GETFD), EBADF);
	CHECK(getcwd(where, sizeof(where)) && strcmp(where, "/") == 0);
}

TEST(clone_bad, "clone: flags that need others are EINVAL")
{
	FAILS(CALL(clone, CLONE_THREAD, 0), EINVAL);
	FAILS(CALL(clone, CLONE_SIGHAND, 0), EINVAL);
	FAILS(CALL(clone, CLONE_THREAD | CLONE_VM, 0), EINVAL);
	FAILS(CALL(clone, CLONE_FS | CLONE_NEWNS, 0), EINVAL);
	NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
	FAILS(CALL(clone, CLONE_NEWNS | SIGCHLD, 0), EPERM);
	FAILS(CALL(clone, CLONE_NEWPID | SIGCHLD, 0), EPERM);
	FAILS(CALL(clone, CLONE_NEWNET | SIGCHLD, 0), EPERM);
}

TEST(clone3, "clone3: fork with the tid stored in both")
{
	pid_t stored = 0, mine = 0;
	struct clone_args arguments = {.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
				       .parent_tid = (uintptr_t)&stored,
				       .child_tid = (uintptr_t)&mine,
				       .exit_signal = SIGCHLD};
	pid_t child = (pid_t)clone3(&arguments, sizeof(arguments));

	NEED(child >= 0);
	if (child == 0)
		_exit(mine == CALL(getpid) ? 4 : 5);
	EQUAL(stored, child);
	EQUAL(mine, 0);
	EQUAL(wait_status(child), 4 << 8);
}

TEST(clone3_bad, "clone3: too small is EINVAL, too large E2BIG, bad pointers EFAULT, bad values EINVAL")
{
	struct clone_args arguments = {.exit_signal = SIGCHLD};
	char *large = anonymous(2 * PAGE);

	memset(large, 1, PAGE);
	FAILS(clone3(&arguments, CLONE3_SMALL - 1), EINVAL);
	FAILS(clone3((void *)large, PAGE), E2BIG);
	FAILS(clone3((void *)large, PAGE + 1), E2BIG);
	FAILS(clone3((void *)8, sizeof(arguments)), EFAULT);
	arguments.exit_signal = 999;
	FAILS(clone3(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.flags = CLONE_THREAD, .exit_signal = SIGCHLD};
	FAILS(clone3(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.stack = 4096, .exit_signal = SIGCHLD};
	FAILS(clone3(&arguments, sizeof(arguments)), EINVAL); /* a stack without a size */
	arguments = (struct clone_args){.stack_size = 4096, .exit_signal = SIGCHLD};
	FAILS(clone3(&arguments, sizeof(arguments)), EINVAL);
	arguments = (struct clone_args){.flags = 0xff, .exit_signal = SIGCHLD};
	FAILS(clone3(&arguments, sizeof(arguments)), EINVAL);
}

TEST(exec_bad,
     "execve: no file ENOENT, no program ENOEXEC, no right or a directory EACCES, bad pointers EFAULT")
{
	char *no_words[] = {NULL};
	int file = make_file("text", 10);

	FAILS(CALL(execve, "missing", no_words, no_words), ENOENT);
	FAILS(CALL(execve, "text", no_words, no_words), EACCES);
	CHECK(fchmod(file, 0755) == 0);
	close(file);
	FAILS(CALL(execve, "text", no_words, no_words), ENOEXEC);
	FAILS(CALL(execve, ".", no_words, no_words), EACCES);
	FAILS(CALL(execve, "text/x", no_words, no_words), ENOTDIR);
	FAILS(CALL(execve, "", no_words, no_words), ENOENT);
	FAILS(CALL(execve, NULL, no_words, no_words), EFAULT);
	FAILS(CALL(execve, "/proc/self/exe", 8, no_words), EFAULT);
	FAILS(CALL(execve, "/proc/self/exe", no_words, 8), EFAULT);
	close(make_file("empty", 0));
	CHECK(chmod("empty", 0755) == 0);
	FAILS(CALL(execve, "empty", no_words, no_words), ENOEXEC);
}

TEST(exec_too_big, "execve: a word beyond 128 KiB is E2BIG")
{
	char *words[] = {anonymous(64 * PAGE), NULL};

	memset(words[0], 'x', 33 * PAGE);
	FAILS(CALL(execve, "/proc/self/exe", words, words + 1), E2BIG);
}

static void note_signal_for_exec(int signal)
{
	(void)signal;
}

/* Runs this program for its test "exec-..." and wants it to pass. */
static void again(const char *test)
{
	pid_t child = fork();

	if (child == 0) {
		dup2(open("/dev/null", O_WRONLY), 1);
		execl("/proc/self/exe", "processes", "-n", test, NULL);
		_exit(9);
	}
	EQUAL(wait_status(child), 0);
}

TEST(exec_keeps,
     "exec keeps the pid, ignored signals, the mask, open descriptors and the directory; not handlers")
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	if (getenv("EXECED"))
		return;
	setenv("EXECED", "1", 1);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGINT, note_signal_for_exec);
	sigprocmask(SIG_BLOCK, &set, NULL);
	dup2(make_file("file", 10), 40);
	fcntl(dup2(40, 41), F_SETFD, FD_CLOEXEC);
	again("exec-kept");
}

TEST(exec_kept, "exec-kept: (run by the test before)")
{
	struct sigaction action;
	sigset_t set;

	if (!getenv("EXECED"))
		return;
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR2) == 1);
	CHECK(fcntl(40, F_GETFD) == 0);
	FAILS(fcntl(41, F_GETFD), EBADF);
	CHECK(access("file", F_OK) == 0);
}

TEST(script, "a script with #! is run by its interpreter, with the rest of the line as one word")
{
	int file = open("script", O_WRONLY | O_CREAT, 0755), ends[2];
	char *words[] = {"script", "say-hello", NULL}, path[256], line[300], text[5] = "";
	pid_t child;

	NEED(file >= 0 && pipe(ends) == 0);
	path[readlink("/proc/self/exe", path, sizeof(path) - 1)] = '\0';
	snprintf(line, sizeof(line), "#! %s  -n\n", path);
	NEED(write(file, line, strlen(line)) == (ssize_t)strlen(line));
	close(file);
	child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		execv("./script", words);
		_exit(9);
	}
	EQUAL(wait_status(child), 0);
	CHECK(read(ends[0], text, 4) == 4 && strcmp(text, "1..1") == 0);
}

TEST(execveat, "execveat runs a descriptor, or a path under one")
{
	char *words[] = {"at", "say-hello", NULL}, *none[] = {NULL};
	int self = open("/proc/self/exe", O_RDONLY);
	pid_t child = fork();

	if (child == 0) {
		close(1);
		CALL(execveat, self, "", words, none, AT_EMPTY_PATH);
		_exit(9);
	}
	EQUAL(wait_status(child), 0);
	FAILS(CALL(execveat, self, "", words, none, 0), ENOENT);
	FAILS(CALL(execveat, self, "x", words, none, 0x80000), EINVAL);
	FAILS(CALL(execveat, 999, "x", words, none, 0), EBADF);
	FAILS(CALL(execveat, self, "x", words, none, 0), ENOTDIR);
}

TEST(names, "the process's name is the program's, and PR_SET_NAME's")
{
	char name[17] = "";

	CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "processes") == 0);
	CHECK(prctl(PR_SET_NAME, "a/b") == 0 && prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a/b") == 0);
	CHECK(prctl(PR_SET_NAME, "0123456789abcdefXYZ") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "0123456789abcde") == 0);
}

TEST(death_signal, "PR_SET_PDEATHSIG: a signal when the parent ends")
{
	int ends[2], status;
	char byte;
	pid_t child;

	NEED(pipe(ends) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	child = fork();
	if (child == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			if (write(ends[1], "r", 1) == 1)
				pause();
			_exit(0);
		}
		_exit(read(ends[0], &byte, 1) != 1);
	}
	EQUAL(wait_status(child), 0);
	CHECK(wait(&status) > 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST(process_limit, "RLIMIT_NPROC: fork is EAGAIN")
{
	IN_CHILD
	{
		struct rlimit limit = {0, 0};

		NEED(setrlimit(RLIMIT_NPROC, &limit) == 0 && CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(fork(), EAGAIN);
	}
}

#define COMPARE_FILE     0
#define COMPARE_VM       1
#define COMPARE_FILES    2
#define COMPARE_HANDLERS 4

TEST(compare, "kcmp tells what two tasks share, and whether two descriptors have one open file")
{
	int file = open("/dev/null", O_RDONLY), same = dup(file), other = open("/dev/null", O_RDONLY);
	pid_t self = getpid();

	NEED(file >= 0 && same >= 0 && other >= 0);
	if (CALL(kcmp, self, self, COMPARE_VM, 0, 0) == -1 && errno == ENOSYS)
		skip("a kernel without it");
	EQUAL(CALL(kcmp, self, self, COMPARE_FILE, file, same), 0);
	CHECK(CALL(kcmp, self, self, COMPARE_FILE, file, other) > 0);
	CHECK(CALL(kcmp, self, self, COMPARE_FILE, file, other) +
		      CALL(kcmp, self, self, COMPARE_FILE, other, file) ==
	      3);
	FAILS(CALL(kcmp, self, self, COMPARE_FILE, file, 999), EBADF);
	FAILS(CALL(kcmp, self, self, 99, 0, 0), EINVAL);
	FAILS(CALL(kcmp, self, 999999, COMPARE_VM, 0, 0), ESRCH);
	EQUAL(CALL(kcmp, self, self, COMPARE_VM, 0, 0), 0);
	IN_CHILD
	{
		EQUAL(CALL(kcmp, self, getpid(), COMPARE_FILE, file, same), 0);
		CHECK(CALL(kcmp, self, getpid(), COMPARE_VM, 0, 0) > 0);
		CHECK(CALL(kcmp, self, getpid(), COMPARE_FILES, 0, 0) > 0);
		CHECK(CALL(kcmp, self, getpid(), COMPARE_HANDLERS, 0, 0) > 0);
		if (geteuid() == 0) {
			NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
			FAILS(CALL(kcmp, self, getpid(), COMPARE_VM, 0, 0), EPERM);
		}
	}
}

TEST(priorities, "getpriority and nice")
{
	errno = 0;
	EQUAL(getpriority(PRIO_PROCESS, 0), 0);
	CHECK(nice(5) == 5 && getpriority(PRIO_PROCESS, 0) == 5);
	FAILS(getpriority(99, 0), EINVAL);
	FAILS(getpriority(PRIO_PROCESS, 999999), ESRCH);
}

TEST(identities, "real, effective and saved identities")
{
	IN_CHILD
	{
		uid_t real, effective, saved;

		CHECK(setresuid(1000, 1001, 1002) == 0 && getresuid(&real, &effective, &saved) == 0);
		CHECK(real == 1000 && effective == 1001 && saved == 1002);
		FAILS(CALL(setresuid, 5, -1, -1), EPERM);
		CHECK(CALL(setresuid, 1002, 1000, -1) == 0);
		FAILS(CALL(setuid, 0), EPERM);
	}
	IN_CHILD
	{
		gid_t groups[3] = {1, 2, 3};

		CHECK(CALL(setgroups, 3, groups) == 0);
		memset(groups, 0, sizeof(groups));
		CHECK(CALL(getgroups, 0, NULL) == 3 && CALL(getgroups, 3, groups) == 3 && groups[2] == 3);
		FAILS(CALL(getgroups, 2, groups), EINVAL);
		CHECK(CALL(setgid, 77) == 0 && getegid() == 77 && getgid() == 77);
	}
}
