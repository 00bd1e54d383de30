/*
 * What the programs of this directory share: tests that are run each in a child of its own, checks that say what they
 * saw, and ways to access memory without being killed for it.
 *
 * What is expected is Linux's interface: the same binaries run on Linux first. Each program prints TAP; with words
 * on its command line it runs only the tests whose names contain one of them; with -n it runs them without children.
 */
#ifndef TAP_H
#define TAP_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE         4096ul
#define USER_END     (1ul << 47)
#define MAX_TESTS    200
#define TEST_SECONDS 30
#define SKIPPED      77 /* exit status of a test that does not apply */
#define NOBODY       65534

/* The system call itself, past whatever the C library checks or changes. */
#define CALL(name, ...) CALL_PADDED(SYS_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_PADDED(number, a, b, c, d, e, f, ...) \
	syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

struct test {
	const char *name;
	void (*run)(void);
};

static struct test tests[MAX_TESTS];
static unsigned test_count;
static unsigned failures;

/* A test: TEST(identifier, "what is true if it passes") { ... }, run in the order of the file. */
#define TEST(id, text)                                                \
	static void test_##id(void);                                  \
	__attribute__((constructor)) static void add_##id(void)       \
	{                                                             \
		tests[test_count++] = (struct test){text, test_##id}; \
	}                                                             \
	static void test_##id(void)

#define CHECK(condition) check_(condition, #condition, __FILE__, __LINE__)
/* Both are equal integers or pointers. */
#define EQUAL(got, wanted) equal_((long)(got), (long)(wanted), #got, #wanted, __FILE__, __LINE__)
/* The call, or function, returns -1 (or MAP_FAILED) and sets errno to this. */
#define FAILS(call, error) (errno = 0, fails_((long)(call), error, #call, #error, __FILE__, __LINE__))
/* What has to work for the rest of the test to mean anything. */
#define NEED(condition)                \
	do {                           \
		if (!CHECK(condition)) \
			exit(1);       \
	} while (0)

static inline bool check_(bool good, const char *what, const char *file, int line)
{
	if (!good) {
		__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
		dprintf(1, "# %s:%d: failed: %s (errno %d)\n", file, line, what, errno);
	}
	return good;
}

static inline bool equal_(long got, long wanted, const char *what, const char *as, const char *file, int line)
{
	if (got == wanted)
		return true;
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	dprintf(1, "# %s:%d: %s is %ld (0x%lx), not %s, %ld (0x%lx) (errno %d)\n", file, line, what, got, got,
		as, wanted, wanted, errno);
	return false;
}

static inline bool fails_(long got, int error, const char *what, const char *as, const char *file, int line)
{
	if (got == -1 && errno == error)
		return true;
	__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	dprintf(1, "# %s:%d: %s is %ld with errno %d, not -1 with %s (%d)\n", file, line, what, got, errno,
		as, error);
	return false;
}

/* Ends a test that does not apply here. */
static inline void skip(const char *why)
{
	dprintf(1, "# not here: %s\n", why);
	exit(SKIPPED);
}

/* Ends a test that changes what is the whole machine's, or that nobody else may disturb, where there are others: a machine of some size. */
static inline void skip_if_shared(void)
{
	if (sysconf(_SC_PHYS_PAGES) > (4l << 30) / (long)PAGE)
		skip("a machine that others use as well");
}

/* ---- Memory ------------------------------------------------------------------------------------- */

/* Anonymous private memory that can be read and written. */
static inline char *anonymous(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(memory != MAP_FAILED);
	return memory;
}

static inline char *anonymous_shared(size_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	NEED(memory != MAP_FAILED);
	return memory;
}

static inline bool all_are(const char *memory, size_t bytes, char value)
{
	for (size_t i = 0; i < bytes; i++) {
		if (memory[i] != value)
			return false;
	}
	return true;
}

/* ---- Accesses that may fail ----------------------------------------------------------------------- */

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_REWRITE, ACCESS_EXECUTE };

/* What an access brought: signal 0 if nothing. */
struct fault {
	int signal, code;
	char *address;
};

static sigjmp_buf fault_jump;
static volatile struct fault fault_seen;

static inline void note_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	fault_seen.signal = signal;
	fault_seen.code = info->si_code;
	fault_seen.address = info->si_addr;
	siglongjmp(fault_jump, 1);
}

/* Makes one access, of one byte, at the address, and says what came of it. ACCESS_WRITE changes it, ACCESS_REWRITE
 * writes what was there. */
static inline struct fault try_access(enum access access, const volatile void *address)
{
	struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO}, old_segv, old_bus;
	volatile char *byte = (volatile char *)(uintptr_t)address;

	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	fault_seen.signal = 0;
	if (sigsetjmp(fault_jump, 1) == 0) {
		if (access == ACCESS_READ)
			(void)*byte;
		else if (access == ACCESS_WRITE)
			*byte = 'w';
		else if (access == ACCESS_REWRITE)
			*byte = *byte;
		else
			((void (*)(void))(uintptr_t)byte)();
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);
	return (struct fault){fault_seen.signal, fault_seen.code, fault_seen.address};
}

static inline bool readable(const volatile void *address)
{
	return try_access(ACCESS_READ, address).signal == 0;
}

static inline bool writable(const volatile void *address)
{
	return try_access(ACCESS_REWRITE, address).signal == 0;
}

/* The access brings this signal, with this code and exactly this address. */
#define FAULTS(kind, at, wanted_signal, wanted_code)        \
	do {                                                \
		struct fault fault_ = try_access(kind, at); \
		EQUAL(fault_.signal, wanted_signal);        \
		if (fault_.signal == (wanted_signal)) {     \
			EQUAL(fault_.code, wanted_code);    \
			EQUAL(fault_.address, at);          \
		}                                           \
	} while (0)

/* ---- Files --------------------------------------------------------------------------------------- */

/* A new directory that the test works in; the parent removes it. */
static char test_directory[64];

/* A new file of the working directory with so many bytes, each its offset's page number plus 1; open for both. */
static inline int make_file(const char *name, size_t bytes)
{
	int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	NEED(file >= 0);
	for (size_t done = 0; done < bytes;) {
		char page[PAGE];
		size_t part = bytes - done < PAGE ? bytes - done : PAGE;

		memset(page, (char)(done / PAGE + 1), part);
		NEED(write(file, page, part) == (ssize_t)part);
		done += part;
	}
	return file;
}

/* The size of the open file, or -1. */
static inline off_t file_size(int file)
{
	struct stat status;

	return fstat(file, &status) == 0 ? status.st_size : -1;
}

/* The start of a small file as a string, empty if there is no such file. */
static inline const char *contents(const char *path)
{
	static char text[65536];
	int file = open(path, O_RDONLY);
	size_t length = 0;
	ssize_t count;

	while (file >= 0 && length < sizeof(text) - 1 &&
	       (count = read(file, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)count;
	text[length] = '\0';
	if (file >= 0)
		close(file);
	return text;
}

/* ---- Processes ------------------------------------------------------------------------------------- */

/* The wait status of the child, which has to end. */
static inline int wait_status(pid_t child)
{
	int status = -1;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

/* The child, whose checks are to count here, exited with none failed. */
static inline bool child_passed(pid_t child)
{
	int status = wait_status(child);

	return CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* In a child whose checks are its parent's: the end. */
static inline _Noreturn void child_end(void)
{
	_exit(failures ? 1 : 0);
}

static inline pid_t fork_counted(void)
{
	pid_t child = fork();

	NEED(child >= 0);
	if (child == 0)
		failures = 0;
	return child;
}

/* The block after it runs in a child, which is waited for, and whose checks count here. */
#define IN_CHILD \
	for (pid_t child_ = fork_counted(); child_ == 0 || (child_passed(child_), false); child_end())

static inline void sleep_ms(long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		continue;
}

/* Milliseconds of the monotonic clock. */
static inline long now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ---- The run --------------------------------------------------------------------------------------- */

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status, (void)type, (void)place;
	remove(path);
	return 0;
}

/* Runs a test in a child and prints its line. */
static inline bool run_test(unsigned number, const struct test *test)
{
	const char *root = getenv("TEST_DIR");
	bool made, passed;
	pid_t child;
	int status;

	snprintf(test_directory, sizeof(test_directory), "%s/calls-XXXXXX", root ? root : "/tmp");
	made = mkdtemp(test_directory) != NULL;
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		alarm(TEST_SECONDS);
		if (made && chdir(test_directory) != 0)
			_exit(1);
		test->run();
		exit(failures ? 1 : 0);
	}
	status = child < 0 ? -1 : wait_status(child);
	if (child > 0)
		kill(-child, SIGKILL); /* what it left running */
	if (made)
		nftw(test_directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	passed = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SKIPPED);
	if (status != -1 && WIFSIGNALED(status))
		dprintf(1, "# killed by signal %d\n", WTERMSIG(status));
	dprintf(1, "%s %u - %s%s\n", passed ? "ok" : "not ok", number, test->name,
		passed && WEXITSTATUS(status) == SKIPPED ? " # SKIP" : "");
	return passed;
}

static inline bool is_wanted(const struct test *test, char **words)
{
	if (!*words)
		return true;
	for (; *words; words++) {
		if (strstr(test->name, *words))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned number = 0, failed = 0, wanted = 0;
	bool children = true;

	(void)argc;
	for (argv++; *argv && strcmp(*argv, "-n") == 0; argv++)
		children = false;
	for (unsigned i = 0; i < test_count; i++)
		wanted += is_wanted(&tests[i], argv);
	dprintf(1, "1..%u\n", wanted);
	for (unsigned i = 0; i < test_count; i++) {
		if (!is_wanted(&tests[i], argv))
			continue;
		if (children) {
			failed += !run_test(++number, &tests[i]);
			continue;
		}
		failures = 0;
		tests[i].run();
		dprintf(1, "%s %u - %s\n", failures ? "not ok" : "ok", ++number, tests[i].name);
		failed += failures != 0;
	}
	return failed ? 1 : 0;
}

#endif
