/*
 * brk: the program's break up and down, its limits, and what fork and exec make of it.
 */
#include "tap.h"

#define BYTES (16 * PAGE)

static uintptr_t set_break(uintptr_t to)
{
	return (uintptr_t)CALL(brk, to);
}

/* The first page above the break, which nobody has used. */
static uintptr_t first_page(void)
{
	return (set_break(0) + PAGE - 1) & -PAGE;
}

TEST(query, "brk(0) and what cannot be say where the break is, and change nothing")
{
	uintptr_t start = set_break(0);

	CHECK(start != 0);
	EQUAL(set_break(0), start);
	EQUAL(set_break(PAGE), start);
	EQUAL(set_break(USER_END), start);
	EQUAL(set_break(-PAGE), start);
	EQUAL(set_break(-1ul), start);
	EQUAL(set_break(0), start);
}

TEST(up, "the break goes up by bytes; the memory is zero, private and can be written")
{
	uintptr_t start = first_page();

	EQUAL(set_break(start + BYTES), start + BYTES);
	CHECK(all_are((char *)start, BYTES, 0));
	memset((char *)start, 'x', BYTES);
	EQUAL(set_break(start + BYTES + 1), start + BYTES + 1);
	*(char *)(start + BYTES) = 'y';
	FAULTS(ACCESS_READ, (char *)start + BYTES + PAGE, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_EXECUTE, (char *)start, SIGSEGV, SEGV_ACCERR);
	IN_CHILD
	{
		CHECK(all_are((char *)start, BYTES, 'x'));
		memset((char *)start, 'c', BYTES);
	}
	CHECK(all_are((char *)start, BYTES, 'x'));
}

TEST(down, "the break goes down: whole pages are gone, and come back as zeroes")
{
	uintptr_t start = first_page();

	EQUAL(set_break(start + BYTES), start + BYTES);
	memset((char *)start, 'x', BYTES);
	EQUAL(set_break(start + PAGE + 1), start + PAGE + 1);
	CHECK(readable((char *)start + 2 * PAGE - 1));
	FAULTS(ACCESS_READ, (char *)start + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
	EQUAL(set_break(start + BYTES), start + BYTES);
	CHECK(all_are((char *)start, 2 * PAGE, 'x') &&
	      all_are((char *)start + 2 * PAGE, BYTES - 2 * PAGE, 0));
	EQUAL(set_break(start), start);
	CHECK(!readable((char *)start));
}

TEST(in_the_way, "the break does not go over a mapping")
{
	uintptr_t start = first_page();

	EQUAL(mmap((void *)(start + 4 * PAGE), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0),
	      start + 4 * PAGE);
	EQUAL(set_break(start + 2 * PAGE), start + 2 * PAGE);
	EQUAL(set_break(start + 8 * PAGE), start + 2 * PAGE);
	CHECK(munmap((void *)(start + 4 * PAGE), PAGE) == 0);
	EQUAL(set_break(start + 8 * PAGE), start + 8 * PAGE);
}

TEST(unmapped, "the heap can be unmapped in part, and the break still moves")
{
	uintptr_t start = first_page();

	EQUAL(set_break(start + 8 * PAGE), start + 8 * PAGE);
	CHECK(munmap((void *)(start + 2 * PAGE), PAGE) == 0);
	EQUAL(set_break(start + 9 * PAGE), start + 9 * PAGE);
	EQUAL(set_break(start), start);
}

TEST(data_limit, "RLIMIT_DATA: the break stays below, and private memory counts too")
{
	IN_CHILD
	{
		struct rlimit limit = {16ul << 20, 16ul << 20};
		uintptr_t start = first_page();
		void *memory;

		NEED(setrlimit(RLIMIT_DATA, &limit) == 0);
		EQUAL(set_break(start + (8ul << 20)), start + (8ul << 20));
		EQUAL(set_break(start + (32ul << 20)), start + (8ul << 20));
		memory = mmap(NULL, 12ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(memory == MAP_FAILED && errno == ENOMEM);
		memory = mmap(NULL, 12ul << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(memory != MAP_FAILED); /* only what can be written is data */
		memory = mmap(NULL, 12ul << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(memory != MAP_FAILED); /* and private */
	}
}

TEST(as_limit, "RLIMIT_AS: the break, mmap and the stack stay below")
{
	IN_CHILD
	{
		struct rlimit limit = {32ul << 20, 32ul << 20};
		uintptr_t start = first_page();

		NEED(setrlimit(RLIMIT_AS, &limit) == 0);
		EQUAL(set_break(start + (8ul << 20)), start + (8ul << 20));
		EQUAL(set_break(start + (64ul << 20)), start + (8ul << 20));
		FAILS(mmap(NULL, 32ul << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
		CHECK(mmap(NULL, 8ul << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
		FAILS(mmap(NULL, 20ul << 20, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0), ENOMEM);
		EQUAL(set_break(start), start);
		CHECK(mmap(NULL, 8ul << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	}
}

TEST(others_limits, "another user's limits are EPERM; the superuser's hand reaches all")
{
	struct rlimit limit;
	pid_t child = fork();

	NEED(child >= 0);
	if (child == 0) {
		for (;;)
			pause();
	}
	CHECK(CALL(prlimit64, child, RLIMIT_AS, NULL, &limit) == 0);
	limit = (struct rlimit){1ul << 30, 1ul << 30};
	CHECK(CALL(prlimit64, child, RLIMIT_AS, &limit, NULL) == 0);
	limit.rlim_cur = 0;
	CHECK(CALL(prlimit64, child, RLIMIT_AS, NULL, &limit) == 0 && limit.rlim_cur == 1ul << 30);
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(CALL(prlimit64, child, RLIMIT_AS, NULL, &limit), EPERM);
		FAILS(CALL(prlimit64, child, RLIMIT_AS, &limit, NULL), EPERM);
	}
	kill(child, SIGKILL);
	wait_status(child);
}

TEST(sizes, "setrlimit and getrlimit: unknown limits and a soft limit above the hard one are EINVAL")
{
	struct rlimit limit, mine = {1ul << 30, 2ul << 30};

	CHECK(setrlimit(RLIMIT_AS, &mine) == 0 && getrlimit(RLIMIT_AS, &limit) == 0);
	CHECK(limit.rlim_cur == 1ul << 30 && limit.rlim_max == 2ul << 30);
	mine.rlim_cur = 3ul << 30;
	FAILS(CALL(prlimit64, 0, RLIMIT_AS, &mine, NULL), EINVAL);
	FAILS(CALL(prlimit64, 0, 99, NULL, &limit), EINVAL);
	FAILS(CALL(prlimit64, 0, RLIMIT_AS, NULL, 8), EFAULT);
	FAILS(CALL(prlimit64, 0, RLIMIT_AS, 8, NULL), EFAULT);
	FAILS(CALL(prlimit64, 999999, RLIMIT_AS, NULL, &limit), ESRCH);
	IN_CHILD
	{
		CHECK(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == 1ul << 30);
		CHECK(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		mine = (struct rlimit){1ul << 30, 4ul << 30};
		FAILS(CALL(prlimit64, 0, RLIMIT_AS, &mine, NULL), EPERM);
	}
}
