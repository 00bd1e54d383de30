/*
 * Using up what there is: processes, threads, descriptors, mappings, files and what pipes hold. Each ends in the error that the manual names, or in the end of who
 * went too far, and then all is there again. As much as there is of it on a small machine: on Linux the limits here are met first.
 */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define MOST        2000 /* processes, threads */
#define MOST_FILES  4096
#define MOST_MAPS   50000
#define MOST_BYTES  (256ul << 20) /* of a file, or in pipes */
#define STACK_BYTES 16384
#define CHUNK       65536
#define PAUSE_NS    20000000l
#define QUIET       10 /* pauses without news */

static struct counts {
	_Atomic int made, refused, odd; /* odd: with an error that it should not be */
} * counts;

static void pause_short(void)
{
	nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
}

static void count_refusal(int error)
{
	counts->refused++;
	counts->odd += error != EAGAIN && error != ENOMEM;
}

/* Runs it in a child, which may be killed for want of memory, but may not fail. */
static void in_child(void (*what)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		checks_made = checks_failed = 0;
		what();
		fflush(stdout);
		_exit(checks_failed ? 1 : 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : status == 0);
}

/* ---- Processes -------------------------------------------------------------------------------------------- */

static void bomb(void)
{
	while (counts->made < MOST) {
		pid_t pid = fork();

		if (pid < 0) {
			count_refusal(errno);
			break;
		}
		if (pid > 0)
			counts->made++;
	}
	for (;;)
		pause();
}

static void processes(void)
{
	int before = -1, quiet = 0, status;
	pid_t leader;

	*counts = (struct counts){0};
	leader = fork();
	if (leader == 0) {
		setpgid(0, 0);
		bomb();
	}
	CHECK(leader > 0);
	while (quiet < QUIET) {
		int now = counts->made + counts->refused;

		quiet = now == before ? quiet + 1 : 0;
		before = now;
		pause_short();
	}
	CHECK(counts->made > 20 && counts->odd == 0);
	CHECK(counts->refused > 0 || counts->made >= MOST);
	/* Orphans are the first process's children: here that is this one, elsewhere only the leader is. */
	CHECK(kill(-leader, SIGKILL) == 0);
	while (waitpid(-1, &status, 0) > 0)
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* ---- Threads ------------------------------------------------------------------------------------------------ */

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void threads(void)
{
	pthread_attr_t attributes;
	pthread_t id;
	int error = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (int i = 0; i < MOST && !error; i++)
		error = pthread_create(&id, &attributes, wait_for_ever, NULL);
	CHECK(error == 0 || error == EAGAIN || error == ENOMEM);
}

/* ---- Descriptors -------------------------------------------------------------------------------------------- */

static void descriptors(void)
{
	struct rlimit limit = {MOST_FILES, MOST_FILES};
	int fds = 0, pair[2];

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (fds <= MOST_FILES && dup(0) >= 0)
		fds++;
	CHECK(fds > MOST_FILES / 2 && fds < MOST_FILES);
	CHECK(errno == EMFILE);
	CHECK_ERROR(pipe(pair), EMFILE);
	CHECK_ERROR(open("/", O_RDONLY), EMFILE);
	CHECK(close(3) == 0 && dup(0) == 3);
}

/* What pipes hold. */
static void pipes(void)
{
	struct rlimit limit = {MOST_FILES, MOST_FILES};
	static char bytes[CHUNK];
	size_t done = 0;
	int pair[2];

	setrlimit(RLIMIT_NOFILE, &limit);
	errno = 0;
	while (done < MOST_BYTES && pipe2(pair, O_NONBLOCK) == 0) {
		ssize_t put = write(pair[1], bytes, sizeof(bytes));

		if (put <= 0)
			break;
		done += (size_t)put;
	}
	CHECK(done > CHUNK && (done >= MOST_BYTES || errno == ENOMEM || errno == EMFILE || errno == ENFILE));
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

/* Neighbours that cannot be one mapping. */
static void mappings(void)
{
	char *at = mmap(NULL, MOST_MAPS * 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	int made = 0;

	CHECK(at != MAP_FAILED);
	while (made < MOST_MAPS && mprotect(at + (size_t)made * 2 * PAGE, PAGE, PROT_READ) == 0)
		made++;
	CHECK(made > 1000 && (made == MOST_MAPS || errno == ENOMEM));
	CHECK(munmap(at, MOST_MAPS * 2 * PAGE) == 0);
}

static void file(void)
{
	int fd = open("/tmp/exhaust", O_RDWR | O_CREAT | O_TRUNC, 0600);
	static char bytes[CHUNK];
	size_t done = 0;
	ssize_t put;

	CHECK(fd >= 0);
	memset(bytes, 1, sizeof(bytes));
	while (done < MOST_BYTES && (put = write(fd, bytes, sizeof(bytes))) > 0)
		done += (size_t)put;
	CHECK(done > (1 << 20) && (done >= MOST_BYTES || errno == ENOSPC || errno == ENOMEM));
	/* Nobody else needs to be hurt by it, and it can be taken back. */
	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, sizeof(bytes), 0) == sizeof(bytes));
	CHECK(unlink("/tmp/exhaust") == 0 && close(fd) == 0);
}

/* More than there is: its own end, if the machine does not have so much. */
static void memory(void)
{
	for (size_t done = 0; done < MOST_BYTES; done += CHUNK) {
		char *at = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED) {
			CHECK(errno == ENOMEM);
			return;
		}
		memset(at, 1, CHUNK);
	}
}

int main(void)
{
	static void (*const children[])(void) = {threads, descriptors, pipes, mappings, file, memory};

	mkdir("/tmp", 0777);
	counts = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(counts != MAP_FAILED);
	/* Twice: what the first round leaves behind the second one misses. */
	for (int round = 0; round < 2; round++) {
		processes();
		for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++)
			in_child(children[i]);
	}
	return checks_end("exhaust");
}
