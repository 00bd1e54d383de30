/*
 * Stacks: growth of the initial one to its limit, the gap below it, threads' stacks, MAP_GROWSDOWN, signals on an
 * alternate stack.
 */
#include "tap.h"
#include <pthread.h>

#define STACK_BYTES (1ul << 20)
#define FRAME_BYTES 1024

static const int rw = PROT_READ | PROT_WRITE;

/* Uses so much stack, a frame at a time, and returns how much it wrote. */
static __attribute__((noinline)) size_t use_stack(size_t bytes)
{
	volatile char frame[FRAME_BYTES];

	for (size_t i = 0; i < FRAME_BYTES; i += 64)
		frame[i] = (char)i;
	return bytes <= FRAME_BYTES ? (size_t)frame[0] + FRAME_BYTES
				    : use_stack(bytes - FRAME_BYTES) + FRAME_BYTES + (size_t)frame[0];
}

/* The start of the mapping of the initial stack, and its end. */
static char *stack_ends(char **end)
{
	const char *line = strstr(contents("/proc/self/maps"), "[stack]");
	unsigned long start = 0, stop = 0;

	NEED(line != NULL);
	while (line > contents("/proc/self/maps") && line[-1] != '\n')
		line--;
	NEED(sscanf(line, "%lx-%lx", &start, &stop) == 2);
	*end = (char *)stop;
	return (char *)start;
}

/* Where the stack is now, nothing that the compiler knows the size of. */
static __attribute__((noinline)) char *here(void)
{
	char *volatile frame = __builtin_frame_address(0);

	return frame;
}

TEST(grows, "the stack grows as it is used, to its limit")
{
	CHECK(use_stack(7ul << 20) >= 7ul << 20);
}

TEST(ends, "beyond RLIMIT_STACK is SIGSEGV, on the alternate stack if there is one")
{
	stack_t alternate = {.ss_sp = anonymous(65536), .ss_size = 65536};
	struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct rlimit limit = {STACK_BYTES, RLIM_INFINITY};
	char *stack = here();

	NEED(setrlimit(RLIMIT_STACK, &limit) == 0 && sigaltstack(&alternate, NULL) == 0);
	NEED(sigaction(SIGSEGV, &action, NULL) == 0);
	if (sigsetjmp(fault_jump, 1) == 0) {
		use_stack(64ul << 20);
		CHECK(!"the stack has an end");
	}
	EQUAL(fault_seen.signal, SIGSEGV);
	EQUAL(fault_seen.code, SEGV_MAPERR);
	CHECK(fault_seen.address < stack && fault_seen.address >= stack - STACK_BYTES - 16 * PAGE);
	CHECK(use_stack(STACK_BYTES / 2) > 0);
}

TEST(kills, "without an alternate stack the process is killed by SIGSEGV")
{
	struct rlimit limit = {STACK_BYTES, RLIM_INFINITY};
	struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
	pid_t child = fork();
	int status;

	if (child == 0) {
		setrlimit(RLIMIT_STACK, &limit);
		sigaction(SIGSEGV, &action, NULL);
		if (sigsetjmp(fault_jump, 1) == 0)
			use_stack(64ul << 20);
		_exit(1);
	}
	status = wait_status(child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST(far_below, "an access far below the stack's pointer but within the limit grows the stack")
{
	CHECK(writable(here() - (2ul << 20)));
	CHECK(writable(here() - PAGE));
}

TEST(raised, "a raised limit counts at once")
{
	struct rlimit limit = {STACK_BYTES, RLIM_INFINITY};
	NEED(setrlimit(RLIMIT_STACK, &limit) == 0);
	FAULTS(ACCESS_WRITE, here() - 3 * STACK_BYTES, SIGSEGV, SEGV_MAPERR);
	limit.rlim_cur = 6 * STACK_BYTES;
	NEED(setrlimit(RLIMIT_STACK, &limit) == 0);
	CHECK(writable(here() - 3 * STACK_BYTES));
}

TEST(not_executable, "the stack is no code")
{
	char code[] = "\xc3";

	FAULTS(ACCESS_EXECUTE, code, SIGSEGV, SEGV_ACCERR);
}

TEST(named, "/proc/self/maps shows it, and where it is")
{
	char *end, *start = stack_ends(&end);

	CHECK(start <= here() && here() < end);
}

/* A mapping that grows down, with a hole below and above it. */
static char *growing(size_t hole_pages)
{
	char *memory = anonymous((hole_pages + 2) * PAGE), *growing_page = memory + hole_pages * PAGE;

	NEED(munmap(memory, (hole_pages + 2) * PAGE) == 0);
	EQUAL(mmap(growing_page, PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0),
	      growing_page);
	return growing_page;
}

TEST(grows_down, "MAP_GROWSDOWN: an access below makes it larger, and it keeps what is written")
{
	char *memory = growing(1024);

	memory[0] = 'x';
	CHECK(writable(memory - 1));
	CHECK(writable(memory - 100 * PAGE));
	memory[-50 * (long)PAGE] = 'y';
	CHECK(memory[0] == 'x' && memory[-50 * (long)PAGE] == 'y' && memory[-51 * (long)PAGE] == 0);
	FAULTS(ACCESS_READ, memory + PAGE, SIGSEGV, SEGV_MAPERR);
}

TEST(guard_gap, "MAP_GROWSDOWN: no growth into the gap of 256 pages above another mapping")
{
	char *memory = growing(1024), *below = memory - 600 * PAGE;

	EQUAL(mmap(below, PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), below);
	below[0] = 'b';
	CHECK(writable(memory - 300 * PAGE));
	FAULTS(ACCESS_WRITE, below + 200 * PAGE, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_WRITE, below + PAGE, SIGSEGV, SEGV_MAPERR);
	EQUAL(below[0], 'b');
}

TEST(grow_bits, "mprotect with PROT_GROWSDOWN changes down to the start")
{
	char *memory = growing(1024);

	CHECK(writable(memory - 10 * PAGE));
	CHECK(CALL(mprotect, memory, PAGE, PROT_READ | PROT_GROWSDOWN) == 0);
	FAULTS(ACCESS_WRITE, memory - 5 * PAGE, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_WRITE, memory, SIGSEGV, SEGV_ACCERR);
	CHECK(readable(memory - 10 * PAGE));
}

static void *use_thread_stack(void *bytes)
{
	return (void *)use_stack((size_t)bytes);
}

TEST(threads, "threads' stacks are apart, and as large as was wanted")
{
	pthread_t threads[4];
	pthread_attr_t attributes;
	void *used;

	pthread_attr_init(&attributes);
	NEED(pthread_attr_setstacksize(&attributes, 4 * STACK_BYTES) == 0);
	for (unsigned i = 0; i < 4; i++)
		NEED(pthread_create(&threads[i], &attributes, use_thread_stack, (void *)(3 * STACK_BYTES)) ==
		     0);
	for (unsigned i = 0; i < 4; i++) {
		NEED(pthread_join(threads[i], &used) == 0);
		CHECK((size_t)used >= 3 * STACK_BYTES);
	}
}

TEST(fork_grows, "after fork, both grow their own")
{
	size_t before = use_stack(STACK_BYTES);

	CHECK(before >= STACK_BYTES);
	IN_CHILD
	{
		CHECK(use_stack(4 * STACK_BYTES) >= 4 * STACK_BYTES);
	}
	CHECK(use_stack(5 * STACK_BYTES) >= 5 * STACK_BYTES);
}
