/*
 * The benchmark's cases with several processes, files and signals: fork, exec, copy on write, pipes, faults in files.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define COW_PAGES   8192ul
#define COW_BYTES   (COW_PAGES * PAGE)
#define FILE_PAGES  4096ul
#define FILE_BYTES  (FILE_PAGES * PAGE) /* 16 MiB */
#define SEGV_PAGES  1024ul
#define PINGS       1000
#define SMALL_FORKS 20

/* ---- Processes -------------------------------------------------------------------------------------- */

/* Measurements that children make, where the parent sees them. */
static struct measure *shared;

static void share_measures(void)
{
	shared = (struct measure *)map_as(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t i = 0; i < PAGE / sizeof(*shared); i++)
		shared[i] = fresh;
}

/* Does fork work? A child that does what it should is the test. */
static bool can_fork(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(7);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 7;
}

static void end_child(pid_t child)
{
	int status = 0;

	check(child > 0, "fork");
	check(waitpid(child, &status, 0) == child && status == 0, "a child");
}

void bench_cow(void)
{
	struct measure reuse = fresh, call = fresh;

	if (!can_fork()) {
		report_missing("fault_cow_copy_in_child", "instructions/page");
		report_missing("fault_cow_reuse_in_parent", "instructions/page");
		report_missing("fork_call_8k_pages_parent_side", "instructions");
		return;
	}
	share_measures();
	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map(COW_BYTES);
		pid_t child;

		write_pages(memory, COW_PAGES);
		start(&call);
		child = fork();
		if (child == 0) {
			start(&shared[0]);
			write_pages(memory, COW_PAGES);
			stop(&shared[0]);
			_exit(0);
		}
		stop(&call);
		end_child(child);
		start(&reuse);
		write_pages(memory, COW_PAGES);
		stop(&reuse);
		unmap(memory, COW_BYTES);
	}
	report("fault_cow_copy_in_child", "instructions/page", &shared[0], COW_PAGES);
	report("fault_cow_reuse_in_parent", "instructions/page", &reuse, COW_PAGES);
	report("fork_call_8k_pages_parent_side", "instructions", &call, 1);
	unmap((char *)shared, PAGE);
}

void bench_shared_minor(void)
{
	if (!can_fork()) {
		report_missing("fault_shared_anon_minor", "instructions/page");
		report_missing("munmap_shared_minor", "instructions/page");
		return;
	}
	share_measures();
	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map_as(FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
		pid_t child;

		write_pages(memory, FAULT_PAGES);
		child = fork();
		if (child == 0) {
			start(&shared[0]);
			write_pages(memory, FAULT_PAGES);
			stop(&shared[0]);
			start(&shared[1]);
			unmap(memory, FAULT_BYTES);
			stop(&shared[1]);
			_exit(0);
		}
		end_child(child);
		unmap(memory, FAULT_BYTES);
	}
	report("fault_shared_anon_minor", "instructions/page", &shared[0], FAULT_PAGES);
	report("munmap_shared_minor", "instructions/page", &shared[1], FAULT_PAGES);
	unmap((char *)shared, PAGE);
}

/* fork, exit and wait of a process with `pages` pages that it has written to; then it writes to them again. */
static void measure_fork(const char *name, size_t pages, int forks)
{
	char *memory = pages > 0 ? map(pages * PAGE) : NULL;
	struct measure whole = fresh, rewrite = fresh;
	char rewrite_name[64];

	write_pages(memory, pages);
	for (int round = 0; round < ROUNDS; round++) {
		start(&whole);
		for (int i = 0; i < forks; i++) {
			pid_t child = fork();

			if (child == 0)
				_exit(0);
			end_child(child);
		}
		stop(&whole);
		start(&rewrite);
		write_pages(memory, pages);
		stop(&rewrite);
	}
	report(name, "instructions", &whole, (uint64_t)forks);
	if (pages == 0)
		return;
	snprintf(rewrite_name, sizeof(rewrite_name), "%s_parent_rewrite", name);
	report(rewrite_name, "instructions/page", &rewrite, pages);
	unmap(memory, pages * PAGE);
}

void bench_fork(void)
{
	if (!can_fork()) {
		report_missing("fork_exit_wait_0", "instructions");
		report_missing("fork_exit_wait_1k", "instructions");
		report_missing("fork_exit_wait_16k", "instructions");
		return;
	}
	measure_fork("fork_exit_wait_0", 0, SMALL_FORKS);
	measure_fork("fork_exit_wait_1k", 1024, 1);
	measure_fork("fork_exit_wait_16k", FAULT_PAGES, 1);
}

/* A function of its own, as the child runs on its stack. */
static __attribute__((noinline)) pid_t vfork_nothing(void)
{
	pid_t child = vfork();

	if (child == 0)
		_exit(0);
	return child;
}

void bench_vfork(void)
{
	struct measure measure = fresh;

	if (!can_fork()) {
		report_missing("vfork_exit_wait", "instructions");
		return;
	}
	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < SMALL_FORKS; i++)
			end_child(vfork_nothing());
		stop(&measure);
	}
	report("vfork_exit_wait", "instructions", &measure, SMALL_FORKS);
}

const char *own_path;

/* Runs this program with DO_NOTHING, and waits for it. False: it cannot be run. */
static bool run_nothing(void)
{
	char *arguments[] = {(char *)own_path, DO_NOTHING, NULL}, *environment[] = {NULL};
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		execve(own_path, arguments, environment);
		_exit(1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

void bench_exec(void)
{
	struct measure measure = fresh;

	if (!can_fork() || !run_nothing()) {
		report_missing("fork_exec_static_exit_wait", "instructions");
		return;
	}
	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < SMALL_FORKS; i++)
			check(run_nothing(), "exec");
		stop(&measure);
	}
	report("fork_exec_static_exit_wait", "instructions", &measure, SMALL_FORKS);
}

/* Gives back every byte that comes, until there are no more. */
static void give_back(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		;
}

void bench_pipe(void)
{
	struct measure measure = fresh;
	int there[2], back[2];
	char byte = 0;
	pid_t child;

	if (!can_fork() || pipe(there) != 0 || pipe(back) != 0) {
		report_missing("pipe_pingpong_roundtrip", "instructions");
		return;
	}
	child = fork();
	if (child == 0) {
		close(there[1]);
		give_back(there[0], back[1]);
		_exit(0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < PINGS; i++)
			check(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "pipe");
		stop(&measure);
	}
	close(there[1]);
	end_child(child);
	close(there[0]);
	close(back[0]);
	close(back[1]);
	report("pipe_pingpong_roundtrip", "instructions", &measure, PINGS);
}

/* ---- Files and signals -------------------------------------------------------------------------------- */

/* Makes a file of FILE_PAGES pages, whose name is gone already; -1: it cannot be made, or not be mapped. */
static int make_file(void)
{
	static const char *const names[] = {"/tmp/bench.file", "/bench.file"};
	static char page[PAGE];
	void *memory;
	int file = -1;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && file < 0; i++) {
		file = open(names[i], O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (file >= 0)
			unlink(names[i]);
	}
	for (size_t i = 0; i < FILE_PAGES && file >= 0; i++) {
		page[0] = (char)i;
		if (write(file, page, PAGE) != (ssize_t)PAGE)
			return -1;
	}
	memory = file >= 0 ? mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
	if (memory == MAP_FAILED)
		return -1;
	unmap(memory, FILE_BYTES);
	return file;
}

/* Touches every page of a new mapping of the file. */
static void measure_file(struct measure *measure, int file, int prot, int flags)
{
	char *memory = mmap(NULL, FILE_BYTES, prot, flags, file, 0);

	check(memory != MAP_FAILED, "mmap of a file");
	start(measure);
	if (prot & PROT_WRITE)
		write_pages(memory, FILE_PAGES);
	else
		read_pages(memory, FILE_PAGES);
	stop(measure);
	unmap(memory, FILE_BYTES);
}

void bench_file(void)
{
	struct measure reads = fresh, writes = fresh, copies = fresh;
	int file = make_file();

	if (file < 0) {
		report_missing("file_read_fault_cached", "instructions/page");
		report_missing("file_shared_write_fault_cached", "instructions/page");
		report_missing("file_private_cow_fault_cached", "instructions/page");
		return;
	}
	for (int round = 0; round < ROUNDS; round++) {
		measure_file(&reads, file, PROT_READ, MAP_SHARED);
		measure_file(&writes, file, PROT_READ | PROT_WRITE, MAP_SHARED);
		measure_file(&copies, file, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	}
	close(file);
	report("file_read_fault_cached", "instructions/page", &reads, FILE_PAGES);
	report("file_shared_write_fault_cached", "instructions/page", &writes, FILE_PAGES);
	report("file_private_cow_fault_cached", "instructions/page", &copies, FILE_PAGES);
}

static volatile sig_atomic_t fixups;

/* Lets the page that was written to be written. */
static void fix_up(int signal, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)info->si_addr & -PAGE;

	(void)signal, (void)context;
	fixups++;
	if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE) != 0)
		_exit(1);
}

/* Does a handler come back? In a child, as a system without signals ends the program. */
static bool can_catch(void)
{
	struct sigaction action = {.sa_sigaction = fix_up, .sa_flags = SA_SIGINFO};
	pid_t child;
	int status = 0;

	if (!can_fork())
		return false;
	child = fork();
	if (child == 0) {
		volatile char *memory = map_as(PAGE, PROT_READ, MAP_PRIVATE);

		if (sigaction(SIGSEGV, &action, NULL) != 0)
			_exit(1);
		*memory = 1;
		_exit(fixups == 1 ? 0 : 1);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

void bench_segv(void)
{
	struct sigaction action = {.sa_sigaction = fix_up, .sa_flags = SA_SIGINFO}, before;
	struct measure measure = fresh;

	if (!can_catch()) {
		report_missing("segv_handler_mprotect_fixup", "instructions/page");
		return;
	}
	check(sigaction(SIGSEGV, &action, &before) == 0, "sigaction");
	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map_as(SEGV_PAGES * PAGE, PROT_NONE, MAP_PRIVATE);

		start(&measure);
		write_pages(memory, SEGV_PAGES);
		stop(&measure);
		unmap(memory, SEGV_PAGES * PAGE);
	}
	sigaction(SIGSEGV, &before, NULL);
	report("segv_handler_mprotect_fixup", "instructions/page", &measure, SEGV_PAGES);
}
