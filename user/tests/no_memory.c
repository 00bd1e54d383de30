/*
 * Too little memory, as the first process: it is not ended while there are others, whether its access is its own or a system call's.
 * On Linux, which is not to be made short of memory, only the way through is checked.
 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define CHILDREN 4

static int file; /* a page of ones */

static size_t total_bytes(void)
{
	struct sysinfo info;

	CHECK(sysinfo(&info) == 0);
	return on_phoenix() ? info.totalram * info.mem_unit : 64 << 20;
}

static char *fresh(size_t bytes)
{
	char *at =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static void touch(char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		at[i] = 1;
}

/* Children that hold so much each, and tell when they do. */
static void start_holders(pid_t pids[CHILDREN], size_t each)
{
	int ready[2];

	CHECK(pipe(ready) == 0);
	for (int i = 0; i < CHILDREN; i++) {
		char byte;

		pids[i] = fork();
		if (pids[i] == 0) {
			touch(fresh(each), each);
			(void)!write(ready[1], "", 1);
			for (;;)
				pause();
		}
		CHECK(read(ready[0], &byte, 1) == 1);
	}
	close(ready[0]);
	close(ready[1]);
}

/* How many had been killed. */
static int end_holders(const pid_t pids[CHILDREN])
{
	int killed = 0, status;

	for (int i = 0; i < CHILDREN; i++) {
		if (waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
			continue;
		}
		kill(pids[i], SIGKILL);
		CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
	}
	return killed;
}

static bool pages_of_ones(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PAGE)
		if (at[i] != 1)
			return false;
	return true;
}

static void others_end(size_t total, void (*use)(char *, size_t))
{
	size_t mine = total / 2 / PAGE * PAGE;
	pid_t pids[CHILDREN];
	char *at = fresh(mine);
	int killed;

	start_holders(pids, total * 3 / 16);
	use(at, mine);
	killed = end_holders(pids);
	if (on_phoenix())
		CHECK(killed >= 1 && killed < CHILDREN);
	CHECK(pages_of_ones(at, mine));
	munmap(at, mine);
}

/* The same by the kernel: the file is read again and again. */
static void read_into(char *at, size_t bytes)
{
	bool failed = false;

	for (size_t i = 0; i + PAGE <= bytes && !failed; i += PAGE)
		failed = pread(file, at + i, PAGE, 0) != PAGE;
	CHECK(!failed);
}

/* Who is not the first ends by its own need: in ring 3, and in a call. */
static void own_end(size_t total, void (*use)(char *, size_t))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		use(fresh(total), total);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (on_phoenix())
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	size_t total = total_bytes();
	char ones[PAGE];

	file = (int)syscall(SYS_memfd_create, "ones", 0);
	memset(ones, 1, sizeof(ones));
	CHECK(write(file, ones, PAGE) == PAGE);

	own_end(total, touch);
	own_end(total, read_into);
	others_end(total, touch);
	others_end(total, read_into);
	return checks_end("no_memory");
}
