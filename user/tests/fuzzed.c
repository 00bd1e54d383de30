/*
 * What random system calls (fuzz_calls.c) found, one case each.
 */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NO_SIGNAL 200 /* above all that there are, in clone's lowest byte */
#define PATIENCE  10  /* seconds */

/* A process's end is told by no signal if there is none of that number. */
static void odd_exit_signal(void)
{
	sigset_t all, pending;
	int status;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pid = (pid_t)syscall(SYS_clone, NO_SIGNAL, 0, 0, 0, 0);
	if (pid == 0)
		_exit(7);
	CHECK(pid > 0 && waitpid(pid, &status, __WALL) == pid && WEXITSTATUS(status) == 7);
	sigpending(&pending);
	for (int signo = 1; signo < NSIG; signo++)
		CHECK(sigismember(&pending, signo) <= 0);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
}

/* Makes a process that borrows the memory, and is at once at its end; whose child it is does not matter to who waits for that. */
static inline __attribute__((always_inline)) long borrow(uint64_t flags)
{
	register uint64_t r10 __asm__("r10") = 0, r8 __asm__("r8") = 0;
	long result;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %[exit], %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n"
			 "1:"
			 : "=a"(result)
			 : "a"(SYS_clone), "D"(flags | CLONE_VM | CLONE_VFORK | SIGCHLD), "S"(0), "d"(0),
			   "r"(r10), "r"(r8), [exit] "i"(SYS_exit_group)
			 : "rcx", "r11", "memory");
	return result;
}

static void borrowed_for_the_parent(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(PATIENCE);
		_exit(borrow(CLONE_PARENT) > 0 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(waitpid(-1, &status, 0) > 0 && status == 0);
	CHECK(borrow(0) > 0 && wait(&status) > 0 && status == 0);
}

/* A program that runs is not written to, and what is open for writing is not run. */
static void busy_text(void)
{
	static char path[] = "/tmp/fuzzedXXXXXX";
	static const char script[] = "#!/bin/true\n";
	char *arguments[] = {path, NULL};
	int file = mkstemp(path);

	CHECK_ERROR(open("/proc/self/exe", O_WRONLY), ETXTBSY);
	CHECK_ERROR(open("/proc/self/exe", O_RDWR), ETXTBSY);
	CHECK_ERROR(open("/proc/self/exe", O_RDONLY | O_TRUNC), ETXTBSY);
	CHECK_ERROR(truncate("/proc/self/exe", 100), ETXTBSY);
	CHECK(write(file, script, sizeof(script) - 1) == sizeof(script) - 1 && fchmod(file, 0755) == 0);
	CHECK_ERROR(execv(path, arguments), ETXTBSY);
	close(file);
	file = open(path, O_WRONLY | O_TRUNC);
	CHECK(file >= 0 && truncate(path, 10) == 0);
	close(file);
	unlink(path);
}

/* Listing takes names' lock with the file's held. */
static void listing(void)
{
	DIR *directory = opendir("/tmp");
	unsigned count = 0;

	CHECK(directory != NULL);
	while (directory && readdir(directory))
		count++;
	CHECK(count >= 2);
	closedir(directory);
}

/* A segment that is left is there until the system ends: then it goes, too. */
static void left_segment(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600 | IPC_CREAT);
	char *at = shmat(id, NULL, 0);

	CHECK(id >= 0 && at != (char *)-1);
	at[0] = 1;
	CHECK(shmdt(at) == 0);
	if (!on_phoenix())
		shmctl(id, IPC_RMID, NULL);
}

/* A file is read to where the stack has not been yet: it grows, as by any access. */
static void into_the_stack(void)
{
	char *below = (char *)__builtin_frame_address(0) - (1 << 20);
	int file = open("/proc/self/exe", O_RDONLY);

	CHECK(read(file, below, 16) == 16);
	close(file);
}

int main(void)
{
	odd_exit_signal();
	borrowed_for_the_parent();
	busy_text();
	listing();
	into_the_stack();
	left_segment();
	return checks_end("fuzzed");
}
