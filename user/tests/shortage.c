/*
 * What happens when there is no memory left: shortage WHAT. For the booted system only, where it is the first process.
 *
 *   rule       who is ended: by size and oom_score_adj, never one with -1000; oom_score says so before
 *   exit       without swap: processes that are killed end though there is not one page left; calls fail with ENOMEM, and nobody is ended for them
 *   calls      what calls need for the kernel pushes out what programs have; a handler returns to a call that failed (with swap)
 *   bomb       processes that fork and take memory for ever: the others go on
 *   fair       as bomb, and nobody waits for long, though all want more: for a clock that counts instructions, so that it does not matter what else the machine does (with swap)
 *   processes  1,000 processes, each with memory of its own
 *   advice     MADV_PAGEOUT, WILLNEED, COLD, FREE and mlock (with swap)
 *   lock       mlockall of thousands of mappings when there is not one page left does not look for one thousands of times (with swap)
 *   busy       who is to end is found though a process's map is locked for long, as its memory comes back to be locked (with slow swap)
 *   strict     what is promised can be had, whatever others do (with vm.overcommit=2)
 *   hold       a child takes all there is, and is ended: as often as it likes
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <linux/mman.h>
#include <signal.h>
#include <sys/shm.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

#define KIB              1024ul
#define NS_PER_MS        1000000
#define MIB              (1024 * KIB)
#define PROTECTED        (-1000)
#define BOMB_NS          5000000000ll
#define FAIR_NS          2000000000ll /* what is asked of a process between two looks takes 0.1 s */
#define BUSY_NS          4000000000ll /* much less than the pages take that come back to be locked */
#define MANY             1000
#define MANY_PAGES       16
#define PIPES            400
#define PIPE_BYTES       65536
#define HOLD_TIMES       5
#define MAPPINGS         10000
#define TEXT_BYTES       64
#define LEAST_FORWARD_NS 20000000000ll /* a small child has to get through within this time */

static size_t total_bytes(void)
{
	struct sysinfo info;

	CHECK(sysinfo(&info) == 0);
	return info.totalram * info.mem_unit;
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static char *fresh(size_t bytes)
{
	char *at =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

/* Each page is different, so that none is dropped as one of zeroes, or like another. */
static void touch(char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		*(size_t *)(void *)(at + i) = i + 1;
}

static bool is_touched(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		if (*(const size_t *)(const void *)(at + i) != i + 1)
			return false;
	return true;
}

static void set_adjust(int adjust)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	char text[TEXT_BYTES];
	int length = snprintf(text, sizeof(text), "%d\n", adjust);

	CHECK(fd >= 0 && write(fd, text, (size_t)length) == length);
	close(fd);
}

static int score_of(pid_t pid)
{
	char path[TEXT_BYTES];
	int score = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/oom_score", pid);
	file = fopen(path, "r");
	CHECK(file && fscanf(file, "%d", &score) == 1);
	if (file)
		fclose(file);
	return score;
}

/* A child that has so much, and waits. */
static pid_t holder(size_t bytes, int adjust)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		set_adjust(adjust);
		touch(fresh(bytes), bytes);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK(pid > 0 && read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	return pid;
}

/* A child that takes memory until it is ended. */
static pid_t hog(void)
{
	size_t bytes = 1024 * MIB;
	pid_t pid = fork();

	if (pid == 0) {
		touch(fresh(bytes), bytes);
		_exit(0);
	}
	CHECK(pid > 0);
	return pid;
}

static bool was_killed(pid_t pid)
{
	int status = 0;

	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool lives(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(was_killed(pid));
}

/* A small child begins, runs and ends: the system goes on. */
static void goes_on(void)
{
	long long before = now_ns();
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		touch(fresh(16 * PAGE), 16 * PAGE);
		_exit(7);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK(now_ns() - before < LEAST_FORWARD_NS);
}

/* ---- What is tested ---------------------------------------------------------------------------------------- */

static void rule(void)
{
	size_t total = total_bytes();
	pid_t plain = holder(total / 5, 0), small = holder(total / 10, 600);
	pid_t large = holder(total * 3 / 10, PROTECTED), needy;

	CHECK(score_of(small) > score_of(plain));
	CHECK(score_of(large) == 0);
	CHECK(score_of(plain) > score_of(getpid()));
	needy = hog();
	/* What it took, with what there was, is more than the small one counts in the end. */
	CHECK(was_killed(needy));
	CHECK(was_killed(small));
	CHECK(lives(large) && lives(plain));
	goes_on();
	end(plain);
	end(large);
}

static void no_page_left(void)
{
	enum { CHILDREN = 3 };
	size_t total = 2 * total_bytes(), bytes = 4 * MIB; /* more than there is, swap included */
	char *at = fresh(total), *small = fresh(PAGE);
	pid_t pids[CHILDREN];
	size_t done = 0;
	int fds[2], calls_failed = 0;

	for (int i = 0; i < CHILDREN; i++)
		pids[i] = holder(bytes, 0);
	small[0] = 1;
	/* Fails where a program that touches it would be ended, or another one. */
	for (; done < total && madvise(at + done, PAGE, MADV_POPULATE_WRITE) == 0; done += PAGE)
		touch(at + done, PAGE);
	CHECK(errno == ENOMEM && done > total / 4);
	for (int i = 0; i < 2000 && !calls_failed; i++)
		calls_failed += pipe(fds) < 0 && (errno == ENOMEM || errno == EMFILE);
	CHECK(calls_failed);
	for (int i = 0; i < CHILDREN; i++)
		CHECK(lives(pids[i]));
	for (int i = 0; i < CHILDREN; i++)
		end(pids[i]);
	CHECK(small[0] == 1);
	CHECK(munmap(at, total) == 0);
	for (int fd = 3; fd < 4096; fd++)
		close(fd);
	goes_on();
}

static long raise_here(int signo)
{
	return syscall(SYS_tgkill, getpid(), getpid(), signo);
}

/* The call that the signal came in, or was about to return from, failed. */
static void answer(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = -ENOMEM;
}

/* The way back from a handler is no call that failed, whatever is in the registers then: it is not made again. */
static void return_to_failed_calls(void)
{
	struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO};
	size_t bytes = 2 * total_bytes();
	char *at = fresh(bytes);

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	/* Each page may be the one for which others have to go. */
	for (size_t i = 0; i + PAGE <= bytes; i += PAGE) {
		touch(at + i, PAGE);
		CHECK_ERROR(raise_here(SIGUSR1), ENOMEM);
	}
	munmap(at, bytes);
}

static void calls(void)
{
	size_t bytes = total_bytes() * 3 / 4;
	static char chunk[PIPE_BYTES];
	int fds[PIPES][2], made = 0;
	char *at = fresh(bytes);

	return_to_failed_calls();
	touch(at, bytes);
	for (; made < PIPES; made++)
		if (pipe2(fds[made], O_NONBLOCK) < 0 ||
		    write(fds[made][1], chunk, sizeof(chunk)) != (ssize_t)sizeof(chunk))
			break;
	CHECK(made == PIPES);
	goes_on();
	CHECK(is_touched(at, bytes));
	for (int i = 0; i < made; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
	munmap(at, bytes);
}

static void bomb_forever(void)
{
	for (;;) {
		pid_t pid = fork();

		touch(fresh(64 * PAGE), 64 * PAGE);
		if (pid < 0)
			usleep(1000);
	}
}

/* The longest time that the process took between two looks. */
static long long longest_under_bomb(void)
{
	long long until = now_ns() + BOMB_NS, longest = 0, before;
	char *at = fresh(MIB);
	pid_t leader;

	touch(at, MIB);
	leader = fork();
	if (leader == 0) {
		setpgid(0, 0);
		bomb_forever();
	}
	setpgid(leader, leader);
	while ((before = now_ns()) < until) {
		CHECK(is_touched(at, MIB));
		usleep(100000);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (now_ns() - before > longest)
			longest = now_ns() - before;
	}
	/* Whoever is forked meanwhile is in the group as well. */
	while (kill(-leader, SIGKILL) == 0)
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	while (waitpid(-1, NULL, 0) > 0)
		;
	goes_on();
	return longest;
}

static void bomb(void)
{
	printf("# at most %lld ms\n", longest_under_bomb() / NS_PER_MS);
}

static void fair(void)
{
	long long longest = longest_under_bomb();

	printf("# at most %lld ms\n", longest / NS_PER_MS);
	CHECK(longest < FAIR_NS);
}

static void processes(void)
{
	static pid_t pids[MANY];
	int made = 0, killed = 0;

	for (; made < MANY; made++) {
		pid_t pid = fork();

		if (pid == 0) {
			touch(fresh(MANY_PAGES * PAGE), MANY_PAGES * PAGE);
			for (;;)
				pause();
		}
		if (pid < 0)
			break;
		pids[made] = pid;
	}
	printf("# %d processes\n", made);
	CHECK(made == MANY || errno == EAGAIN || errno == ENOMEM);
	for (int i = 0; i < made; i++) {
		kill(pids[i], SIGKILL);
		killed += was_killed(pids[i]);
	}
	CHECK(killed == made);
	goes_on();
}

static void hold(void)
{
	char *at = fresh(MIB);

	touch(at, MIB);
	for (int i = 0; i < HOLD_TIMES; i++) {
		CHECK(was_killed(hog()));
		goes_on();
	}
	CHECK(is_touched(at, MIB));
	munmap(at, MIB);
}

/* ---- Advice, with swap ------------------------------------------------------------------------------------- */

static size_t resident_pages(char *at, size_t bytes)
{
	static unsigned char vector[4096];
	size_t count = 0;

	CHECK(bytes / PAGE <= sizeof(vector) && mincore(at, bytes, vector) == 0);
	for (size_t i = 0; i < bytes / PAGE; i++)
		count += vector[i] & 1;
	return count;
}

/* Lets somebody else take most of what there is. */
static void press(void)
{
	pid_t pid = holder(total_bytes() * 3 / 4, 0);

	end(pid);
}

static void advice(void)
{
	size_t bytes = 4 * MIB, all = bytes / PAGE;
	char *locked = fresh(bytes), *at = fresh(bytes), *cold = fresh(bytes);

	touch(locked, bytes);
	CHECK(mlock(locked, bytes) == 0);
	touch(at, bytes);
	CHECK(madvise(at, bytes, MADV_PAGEOUT) == 0);
	CHECK(resident_pages(at, bytes) == 0);
	CHECK(madvise(at, bytes, MADV_WILLNEED) == 0);
	CHECK(resident_pages(at, bytes) == all);
	CHECK(is_touched(at, bytes));
	CHECK_ERROR(madvise(locked, bytes, MADV_PAGEOUT), EINVAL);
	CHECK_ERROR(madvise(locked, bytes, MADV_COLD), EINVAL);

	/* A third of what there is, used a moment ago, and as much that was, too, but is said to be cold. */
	touch(cold, bytes);
	CHECK(madvise(cold, bytes, MADV_COLD) == 0);
	CHECK(is_touched(cold, bytes));
	press();
	CHECK(resident_pages(locked, bytes) == all);
	CHECK(is_touched(cold, bytes) && is_touched(at, bytes) && is_touched(locked, bytes));

	CHECK(madvise(at, bytes, MADV_PAGEOUT) == 0);
	CHECK(madvise(at, bytes, MADV_FREE) == 0);
	for (size_t i = 0; i < bytes; i += PAGE)
		CHECK(*(size_t *)(void *)(at + i) == 0 || *(size_t *)(void *)(at + i) == i + 1);
	CHECK(munlock(locked, bytes) == 0);
	press();
	CHECK(is_touched(locked, bytes));
	munmap(locked, bytes);
	munmap(at, bytes);
	munmap(cold, bytes);
}

/* Pages that nobody has touched are locked when they are, if there is none for them now. */
static void lock(void)
{
	size_t total = 2 * total_bytes(); /* more than there is, swap included */
	char *pages, *at;
	long long before;

	/* The program itself stays. */
	CHECK(mlockall(MCL_CURRENT) == 0);
	pages = fresh(MAPPINGS * PAGE);
	at = fresh(total);
	/* Neighbours with other rights are other mappings. */
	for (size_t i = 0; i < MAPPINGS; i += 2)
		CHECK(mprotect(pages + i * PAGE, PAGE, PROT_READ) == 0);
	for (size_t done = 0; done < total && madvise(at + done, PAGE, MADV_POPULATE_WRITE) == 0;
	     done += PAGE)
		touch(at + done, PAGE);
	before = now_ns();
	CHECK(mlockall(MCL_CURRENT) == 0);
	CHECK(now_ns() - before < LEAST_FORWARD_NS);
	CHECK(munlockall() == 0);
	CHECK(munmap(at, total) == 0);
	CHECK(munmap(pages, MAPPINGS * PAGE) == 0);
	goes_on();
}

static void busy(void)
{
	size_t bytes = 8 * MIB;
	int ready[2];
	char byte = 0;
	long long before;
	pid_t pid;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		char *at = fresh(bytes);

		touch(at, bytes);
		madvise(at, bytes, MADV_PAGEOUT);
		(void)!write(ready[1], "", 1);
		mlock(at, bytes);
		for (;;)
			pause();
	}
	CHECK(pid > 0 && read(ready[0], &byte, 1) == 1);
	before = now_ns();
	CHECK(was_killed(hog()));
	CHECK(now_ns() - before < BUSY_NS);
	CHECK(lives(pid));
	end(pid);
	goes_on();
}

/* ---- Promises ------------------------------------------------------------------------------------------------ */

/* Of a file of /proc with a line "name: number kB". */
static size_t kib_of(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[TEXT_BYTES];
	size_t value = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = strtoul(line + strlen(name) + 1, NULL, 10);
	if (file)
		fclose(file);
	CHECK(value > 0 || strcmp(name, "Committed_AS") == 0);
	return value;
}

static void take_shared(void)
{
	char *at;

	while ((at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) !=
	       MAP_FAILED)
		touch(at, MIB);
	CHECK(errno == ENOMEM);
}

static void take_written(void)
{
	int fd = (int)syscall(SYS_memfd_create, "written", 0);
	static char bytes[PIPE_BYTES];
	ssize_t put;

	memset(bytes, 1, sizeof(bytes));
	while ((put = write(fd, bytes, sizeof(bytes))) == (ssize_t)sizeof(bytes))
		;
	CHECK(put > 0 || errno == ENOSPC);
}

static void take_mapped(void)
{
	for (;;) {
		int fd = (int)syscall(SYS_memfd_create, "mapped", 0);
		char *at;

		if (ftruncate(fd, MIB) < 0)
			break;
		at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK(at != MAP_FAILED);
		close(fd);
		touch(at, MIB);
	}
	CHECK(errno == ENOSPC);
}

static void take_segments(void)
{
	int id;

	while ((id = shmget(IPC_PRIVATE, MIB, 0600)) >= 0) {
		char *at = shmat(id, NULL, 0);

		shmctl(id, IPC_RMID, NULL);
		touch(at, MIB);
	}
	CHECK(errno == ENOMEM);
}

static void take_private(void)
{
	char *at;

	while ((at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			  0)) != MAP_FAILED)
		touch(at, MIB);
	CHECK(errno == ENOMEM);
}

static void strict(void)
{
	static void (*const ways[])(void) = {take_shared, take_written, take_mapped, take_segments,
					     take_private};
	size_t before = kib_of("Committed_AS"), bytes = kib_of("CommitLimit") * KIB / 2 / PAGE * PAGE;
	int status;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		int done[2], go[2];
		char byte = 0, *at;
		pid_t pid;

		CHECK(pipe(done) == 0 && pipe(go) == 0);
		pid = fork();
		if (pid == 0) {
			checks_failed = 0;
			close(done[0]);
			close(go[1]);
			(void)!read(go[0], &byte, 1);
			ways[i]();
			(void)!write(done[1], "", 1);
			(void)!read(go[0], &byte, 1);
			_exit(checks_failed ? 1 : 0);
		}
		close(done[1]);
		close(go[0]);
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(at != MAP_FAILED && write(go[1], "", 1) == 1);
		CHECK(pid > 0 && read(done[0], &byte, 1) == 1);
		/* Nothing is left to be promised; what was promised before is there. */
		CHECK(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		      MAP_FAILED);
		touch(at, bytes);
		CHECK(is_touched(at, bytes));
		CHECK(write(go[1], "", 1) == 1);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		munmap(at, bytes);
		close(done[0]);
		close(go[1]);
	}
	CHECK(kib_of("Committed_AS") == before);
}

int main(int count, char **words)
{
	static const struct {
		const char *name;
		void (*test)(void);
	} tests[] = {{"rule", rule}, {"exit", no_page_left}, {"calls", calls},         {"bomb", bomb},
		     {"fair", fair}, {"hold", hold},         {"processes", processes}, {"advice", advice},
		     {"lock", lock}, {"busy", busy},         {"strict", strict}};

	for (size_t i = 0; count == 2 && i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(words[1], tests[i].name) == 0) {
			tests[i].test();
			return checks_end("shortage");
		}
	}
	fputs("usage: shortage rule|exit|calls|bomb|fair|hold|processes|advice|lock|busy|strict\n", stderr);
	return 2;
}
