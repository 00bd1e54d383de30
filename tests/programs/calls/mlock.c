/*
 * mlock, mlock2, munlock, mlockall, munlockall and their limit; and msync.
 */
#include "tap.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#define LOCK_ONFAULT 1 /* MLOCK_ONFAULT */
#define PAGES        8

static const int rw = PROT_READ | PROT_WRITE;

static unsigned resident_pages(const char *memory, size_t pages)
{
	unsigned char resident[PAGES * 8];
	unsigned count = 0;

	NEED(mincore((void *)(uintptr_t)memory, pages * PAGE, resident) == 0);
	for (size_t i = 0; i < pages; i++)
		count += resident[i] & 1;
	return count;
}

/* Of /proc/self/status, in KiB. */
static long locked_kib(void)
{
	const char *line = strstr(contents("/proc/self/status"), "VmLck:");

	return line ? strtol(line + 6, NULL, 10) : -1;
}

/* From here on this process has no privilege, and may lock so much. */
static void limit_to(size_t bytes)
{
	struct rlimit limit = {bytes, bytes};

	NEED(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
}

TEST(lock, "mlock makes the pages at once, and counts whole pages")
{
	char *memory = anonymous(PAGES * PAGE);

	EQUAL(locked_kib(), 0);
	CHECK(mlock(memory + PAGE + 1, PAGE) == 0); /* two pages */
	CHECK(resident_pages(memory, PAGES) == 2 && resident_pages(memory + PAGE, 2) == 2);
	EQUAL(locked_kib(), 8);
	CHECK(mlock(memory, PAGES * PAGE) == 0 && mlock(memory, PAGES * PAGE) == 0);
	EQUAL(locked_kib(), 32); /* once locked is locked */
	CHECK(all_are(memory, PAGES * PAGE, 0));
	CHECK(munlock(memory, 1) == 0);
	EQUAL(locked_kib(), 28);
	CHECK(munmap(memory, PAGES * PAGE) == 0);
	EQUAL(locked_kib(), 0);
}

TEST(lock_bad, "mlock and munlock: a hole is ENOMEM, a range that wraps EINVAL, length 0 nothing")
{
	char *memory = anonymous(PAGES * PAGE);

	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	FAILS(mlock(memory, PAGES * PAGE), ENOMEM);
	FAILS(mlock(memory + 3 * PAGE, PAGE), ENOMEM);
	FAILS(munlock(memory, PAGES * PAGE), ENOMEM);
	FAILS(munlock(memory + 3 * PAGE, PAGE), ENOMEM);
	FAILS(CALL(mlock, memory, -PAGE), EINVAL);
	FAILS(CALL(munlock, memory, -PAGE), EINVAL);
	CHECK(mlock(memory, 0) == 0 && munlock(memory, 0) == 0);
	CHECK(mlock(memory + 3 * PAGE, 0) == 0);
}

TEST(lock_none, "mlock of memory without any right is ENOMEM; the lock stays")
{
	char *memory = anonymous(PAGE);

	CHECK(mprotect(memory, PAGE, PROT_NONE) == 0);
	FAILS(mlock(memory, PAGE), ENOMEM);
	CHECK(mprotect(memory, PAGE, rw) == 0);
	CHECK(munlock(memory, PAGE) == 0);
}

TEST(lock_file, "mlock of a file's mapping; behind its end is ENOMEM")
{
	int file = make_file("file", PAGE);
	char *memory = mmap(NULL, 2 * PAGE, rw, MAP_SHARED, file, 0);

	NEED(memory != MAP_FAILED);
	CHECK(mlock(memory, PAGE) == 0 && memory[0] == 1);
	FAILS(mlock(memory + PAGE, PAGE), ENOMEM);
}

TEST(lock_copies, "mlock of a private mapping gives it its own pages, which stay its own")
{
	int file = make_file("file", PAGE);
	char *memory = mmap(NULL, PAGE, rw, MAP_PRIVATE, file, 0);

	NEED(memory != MAP_FAILED && mlock(memory, PAGE) == 0);
	CHECK(pwrite(file, "n", 1, 0) == 1);
	EQUAL(memory[0], 1);
}

TEST(lock2, "mlock2: without flags as mlock; with MLOCK_ONFAULT pages come when they are touched")
{
	char *memory = anonymous(PAGES * PAGE);

	CHECK(CALL(mlock2, memory, PAGE, 0) == 0 && resident_pages(memory, PAGES) == 1);
	CHECK(CALL(mlock2, memory, PAGES * PAGE, LOCK_ONFAULT) == 0);
	EQUAL(resident_pages(memory, PAGES), 1);
	EQUAL(locked_kib(), 32);
	memory[3 * PAGE] = 'x';
	EQUAL(resident_pages(memory, PAGES), 2);
	FAILS(madvise(memory + 3 * PAGE, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(mlock(memory, PAGES * PAGE) == 0 && resident_pages(memory, PAGES) == PAGES);
}

TEST(lock2_bad, "mlock2: unknown flags are EINVAL, a hole ENOMEM")
{
	char *memory = anonymous(2 * PAGE);

	FAILS(CALL(mlock2, memory, PAGE, 2), EINVAL);
	FAILS(CALL(mlock2, memory, PAGE, -1), EINVAL);
	CHECK(munmap(memory + PAGE, PAGE) == 0);
	FAILS(CALL(mlock2, memory, 2 * PAGE, LOCK_ONFAULT), ENOMEM);
}

TEST(limit, "beyond RLIMIT_MEMLOCK: ENOMEM; with a limit of 0: EPERM; what is locked already counts once")
{
	IN_CHILD
	{
		char *memory = anonymous(PAGES * PAGE);

		limit_to(4 * PAGE);
		FAILS(mlock(memory, 5 * PAGE), ENOMEM);
		FAILS(CALL(mlock2, memory, 5 * PAGE, LOCK_ONFAULT), ENOMEM);
		EQUAL(locked_kib(), 0);
		CHECK(mlock(memory, 4 * PAGE) == 0);
		CHECK(mlock(memory, 4 * PAGE) == 0);
		FAILS(mlock(memory + 4 * PAGE, PAGE), ENOMEM);
		CHECK(munlock(memory, PAGE) == 0 && mlock(memory + 4 * PAGE, PAGE) == 0);
		FAILS(CALL(mlockall, MCL_CURRENT), ENOMEM);
	}
	IN_CHILD
	{
		char *memory = anonymous(PAGE);

		limit_to(0);
		FAILS(mlock(memory, PAGE), EPERM);
		FAILS(CALL(mlockall, MCL_FUTURE), EPERM);
		CHECK(munlock(memory, PAGE) == 0);
	}
}

TEST(limit_privileged, "the superuser has no limit")
{
	struct rlimit limit = {PAGE, PAGE};
	char *memory = anonymous(PAGES * PAGE);

	NEED(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	CHECK(mlock(memory, PAGES * PAGE) == 0);
}

TEST(lock_all, "mlockall(MCL_CURRENT) locks what is mapped, munlockall gives it back")
{
	char *memory = anonymous(PAGES * PAGE), *later;

	CHECK(CALL(mlockall, MCL_CURRENT) == 0);
	EQUAL(resident_pages(memory, PAGES), PAGES);
	CHECK(locked_kib() >= 32);
	later = anonymous(PAGES * PAGE);
	EQUAL(resident_pages(later, PAGES), 0);
	CHECK(CALL(munlockall) == 0);
	EQUAL(locked_kib(), 0);
	CHECK(madvise(memory, PAGE, MADV_DONTNEED) == 0);
}

TEST(lock_future, "mlockall(MCL_FUTURE) locks what is mapped later, until munlockall")
{
	char *memory = anonymous(PAGES * PAGE), *later;

	CHECK(CALL(mlockall, MCL_FUTURE) == 0);
	EQUAL(resident_pages(memory, PAGES), 0);
	later = anonymous(PAGES * PAGE);
	EQUAL(resident_pages(later, PAGES), PAGES);
	CHECK(CALL(munlockall) == 0);
	later = anonymous(PAGES * PAGE);
	EQUAL(resident_pages(later, PAGES), 0);
}

TEST(lock_all_on_fault, "MCL_ONFAULT: pages come when they are touched, and stay")
{
	char *memory = anonymous(PAGES * PAGE);

	CHECK(CALL(mlockall, MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0);
	EQUAL(resident_pages(memory, PAGES), 0);
	FAILS(madvise(memory, PAGE, MADV_DONTNEED), EINVAL);
	memory = anonymous(PAGES * PAGE);
	EQUAL(resident_pages(memory, PAGES), 0);
	memory[0] = 1;
	EQUAL(resident_pages(memory, PAGES), 1);
	CHECK(CALL(munlockall) == 0);
}

TEST(lock_all_bad, "mlockall: no flags, unknown ones, and MCL_ONFAULT alone are EINVAL")
{
	FAILS(CALL(mlockall, 0), EINVAL);
	FAILS(CALL(mlockall, 8), EINVAL);
	FAILS(CALL(mlockall, MCL_CURRENT | 16), EINVAL);
	FAILS(CALL(mlockall, MCL_ONFAULT), EINVAL);
}

TEST(lock_fork, "locks are not inherited")
{
	char *memory = anonymous(PAGE);

	CHECK(mlock(memory, PAGE) == 0);
	IN_CHILD
	{
		EQUAL(locked_kib(), 0);
		CHECK(madvise(memory, PAGE, MADV_DONTNEED) == 0);
	}
	EQUAL(locked_kib(), 4);
}

TEST(sync, "msync of a shared mapping, a private one and anonymous memory succeeds, with each good flag")
{
	int good[] = {0, MS_ASYNC, MS_SYNC, MS_INVALIDATE, MS_SYNC | MS_INVALIDATE, MS_ASYNC | MS_INVALIDATE};
	int file = make_file("file", PAGES * PAGE);
	char *shared = mmap(NULL, PAGES * PAGE, rw, MAP_SHARED, file, 0), byte;
	char *copied = mmap(NULL, PAGES * PAGE, rw, MAP_PRIVATE, file, 0), *memory = anonymous(PAGES * PAGE);

	NEED(shared != MAP_FAILED && copied != MAP_FAILED);
	shared[5 * PAGE] = 'x';
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++) {
		CHECK(msync(shared, PAGES * PAGE, good[i]) == 0);
		CHECK(msync(copied, PAGES * PAGE, good[i]) == 0);
		CHECK(msync(memory, PAGES * PAGE, good[i]) == 0);
	}
	CHECK(pread(file, &byte, 1, 5 * PAGE) == 1 && byte == 'x');
	CHECK(msync(shared, 0, MS_SYNC) == 0);
}

TEST(sync_bad,
     "msync: an odd address, both MS_SYNC and MS_ASYNC, and unknown flags are EINVAL; a hole is ENOMEM")
{
	char *memory = anonymous(PAGES * PAGE);

	FAILS(CALL(msync, memory + 1, PAGE, MS_SYNC), EINVAL);
	FAILS(CALL(msync, memory, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	FAILS(CALL(msync, memory, PAGE, 8), EINVAL);
	FAILS(CALL(msync, memory, PAGE, -1), EINVAL);
	FAILS(CALL(msync, memory, -PAGE, MS_SYNC), ENOMEM);
	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	FAILS(CALL(msync, memory, PAGES * PAGE, MS_SYNC), ENOMEM);
	FAILS(CALL(msync, memory + 3 * PAGE, PAGE, MS_ASYNC), ENOMEM);
}

TEST(sync_locked, "msync with MS_INVALIDATE of locked memory is EBUSY")
{
	char *memory = anonymous(2 * PAGE);

	CHECK(mlock(memory, PAGE) == 0);
	FAILS(msync(memory, PAGE, MS_INVALIDATE), EBUSY);
	FAILS(msync(memory, 2 * PAGE, MS_SYNC | MS_INVALIDATE), EBUSY);
	CHECK(msync(memory, PAGE, MS_SYNC) == 0 && msync(memory + PAGE, PAGE, MS_INVALIDATE) == 0);
}
