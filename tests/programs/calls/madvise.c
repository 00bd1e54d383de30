/*
 * madvise: every advice that programs are known to give, those that nobody gives, and mincore, which tells what came of it.
 */
#include "tap.h"
#include <sys/uio.h>

#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#define UNKNOWN_ADVICE 9999
#define PAGES          8

static const int rw = PROT_READ | PROT_WRITE;

static long advise(const void *at, size_t bytes, int advice)
{
	return CALL(madvise, at, bytes, advice);
}

static char *filled(void)
{
	char *memory = anonymous(PAGES * PAGE);

	memset(memory, 'x', PAGES * PAGE);
	return memory;
}

static bool is_resident(const char *page)
{
	unsigned char resident = 0;

	NEED(mincore((void *)(uintptr_t)page, PAGE, &resident) == 0);
	return resident & 1;
}

TEST(bad_arguments, "an odd address, a range that wraps and unknown advice are EINVAL")
{
	char *memory = filled();

	FAILS(advise(memory + 1, PAGE, MADV_NORMAL), EINVAL);
	FAILS(advise(memory, -PAGE, MADV_DONTNEED), EINVAL);
	FAILS(advise(memory, -1ul, MADV_DONTNEED), EINVAL);
	FAILS(advise(memory, PAGE, UNKNOWN_ADVICE), EINVAL);
	FAILS(advise(memory, PAGE, -1), EINVAL);
	FAILS(advise(memory, PAGE, 5), EINVAL);
	FAILS(advise(memory, 0, UNKNOWN_ADVICE), EINVAL);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(nothing, "length 0 does nothing, wherever it is")
{
	char *memory = filled();

	CHECK(advise(memory, 0, MADV_DONTNEED) == 0);
	EQUAL(memory[0], 'x');
	CHECK(munmap(memory, PAGES * PAGE) == 0);
	CHECK(advise(memory, 0, MADV_DONTNEED) == 0);
}

TEST(unmapped, "a hole in the range is ENOMEM, and the advice is taken by the rest")
{
	int hints[] = {MADV_NORMAL,   MADV_RANDOM,   MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
		       MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_COLD,     MADV_PAGEOUT};
	char *memory = filled();

	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	for (unsigned i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		FAILS(advise(memory + 3 * PAGE, PAGE, hints[i]), ENOMEM);
		FAILS(advise(memory + 2 * PAGE, 3 * PAGE, hints[i]), ENOMEM);
	}
	CHECK(all_are(memory + 2 * PAGE, PAGE, 0) && all_are(memory + 4 * PAGE, PAGE, 0));
	EQUAL(memory[PAGE], 'x');
}

TEST(hints, "hints are taken, and change no contents")
{
	int hints[] = {MADV_NORMAL, MADV_RANDOM,   MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTFORK,
		       MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP,     MADV_COLD,     MADV_PAGEOUT};
	char *memory = filled();

	for (unsigned i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		EQUAL(advise(memory, PAGES * PAGE, hints[i]), 0);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
	memset(memory, 'y', PAGES * PAGE);
}

TEST(configured, "advice for what a kernel may be built without is taken, or EINVAL")
{
	int hints[] = {MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE, MADV_UNMERGEABLE};
	char *memory = filled();

	for (unsigned i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		CHECK(advise(memory, PAGES * PAGE, hints[i]) == 0 || errno == EINVAL);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(dont_need, "MADV_DONTNEED: private memory is zero again, the rest is not touched")
{
	char *memory = filled();

	CHECK(advise(memory + PAGE, 2 * PAGE - 1, MADV_DONTNEED) == 0);
	CHECK(!is_resident(memory + PAGE) && !is_resident(memory + 2 * PAGE) && is_resident(memory));
	CHECK(all_are(memory + PAGE, 2 * PAGE, 0));
	CHECK(all_are(memory, PAGE, 'x') && all_are(memory + 3 * PAGE, 5 * PAGE, 'x'));
	memory[PAGE] = 'y';
	EQUAL(memory[PAGE], 'y');
}

TEST(dont_need_private_file, "MADV_DONTNEED: a private mapping of a file shows the file again")
{
	int file = make_file("file", 2 * PAGE);
	char *memory = mmap(NULL, 2 * PAGE, rw, MAP_PRIVATE, file, 0);

	NEED(memory != MAP_FAILED);
	memory[0] = memory[PAGE] = 'x';
	CHECK(pwrite(file, "n", 1, 0) == 1);
	CHECK(advise(memory, PAGE, MADV_DONTNEED) == 0);
	CHECK(memory[0] == 'n' && memory[1] == 1 && memory[PAGE] == 'x');
}

TEST(dont_need_shared, "MADV_DONTNEED: shared memory keeps its contents")
{
	char *memory = anonymous_shared(2 * PAGE);

	memset(memory, 's', 2 * PAGE);
	CHECK(advise(memory, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(all_are(memory, 2 * PAGE, 's'));
}

TEST(dont_need_read_only, "MADV_DONTNEED needs no right to the memory")
{
	char *memory = filled();

	CHECK(mprotect(memory, PAGES * PAGE, PROT_NONE) == 0);
	CHECK(advise(memory, PAGE, MADV_DONTNEED) == 0);
	CHECK(mprotect(memory, PAGES * PAGE, PROT_READ) == 0);
	CHECK(all_are(memory, PAGE, 0) && all_are(memory + PAGE, PAGE, 'x'));
}

TEST(dont_need_locked, "MADV_DONTNEED of locked memory is EINVAL, as MADV_FREE, MADV_PAGEOUT and MADV_COLD")
{
	char *memory = filled();

	NEED(mlock(memory, PAGE) == 0);
	FAILS(advise(memory, PAGE, MADV_DONTNEED), EINVAL);
	FAILS(advise(memory, PAGE, MADV_FREE), EINVAL);
	FAILS(advise(memory, PAGE, MADV_PAGEOUT), EINVAL);
	FAILS(advise(memory, PAGE, MADV_COLD), EINVAL);
	EQUAL(memory[0], 'x');
	CHECK(munlock(memory, PAGE) == 0 && advise(memory, PAGE, MADV_DONTNEED) == 0);
	EQUAL(memory[0], 0);
}

TEST(dont_need_even_locked,
     "MADV_DONTNEED_LOCKED: as MADV_DONTNEED, and what is locked is forgotten but stays locked")
{
	int file = make_file("file", PAGE);
	char *memory = filled(), *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *copied = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	NEED(shared != MAP_FAILED && copied != MAP_FAILED && mlock(memory + PAGE, PAGE) == 0);
	NEED(mlock(shared, PAGE) == 0 && mlock(copied, PAGE) == 0);
	copied[0] = 'x';
	shared[1] = 'y';
	CHECK(advise(memory, 3 * PAGE, MADV_DONTNEED_LOCKED) == 0);
	CHECK(advise(shared, PAGE, MADV_DONTNEED_LOCKED) == 0);
	CHECK(advise(copied, PAGE, MADV_DONTNEED_LOCKED) == 0);
	CHECK(all_are(memory, 3 * PAGE, 0) && memory[3 * PAGE] == 'x');
	CHECK(copied[0] == 1 && copied[1] == 'y' && shared[1] == 'y');
	FAILS(advise(memory + PAGE, PAGE, MADV_DONTNEED), EINVAL);
	FAILS(advise(copied, PAGE, MADV_DONTNEED), EINVAL);
	memory[PAGE] = 'z';
	CHECK(is_resident(memory + PAGE) && munlock(memory + PAGE, PAGE) == 0);
	EQUAL(memory[PAGE], 'z');
}

TEST(dont_need_fork, "MADV_DONTNEED in a child leaves the parent's")
{
	char *memory = filled();

	IN_CHILD
	{
		CHECK(advise(memory, PAGES * PAGE, MADV_DONTNEED) == 0);
		CHECK(all_are(memory, PAGES * PAGE, 0));
	}
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(free, "MADV_FREE: each page is as it was or zero; what is written afterwards stays")
{
	char *memory = filled();

	CHECK(advise(memory, PAGES * PAGE, MADV_FREE) == 0);
	memory[5] = 'y';
	EQUAL(memory[5], 'y');
	for (unsigned i = 1; i < PAGES; i++)
		CHECK(all_are(memory + i * PAGE, PAGE, 'x') || all_are(memory + i * PAGE, PAGE, 0));
}

TEST(free_not_private, "MADV_FREE of what is not private and anonymous is EINVAL")
{
	int file = make_file("file", PAGE);
	char *mapped = mmap(NULL, PAGE, rw, MAP_PRIVATE, file, 0), *shared = anonymous_shared(PAGE);

	FAILS(advise(mapped, PAGE, MADV_FREE), EINVAL);
	FAILS(advise(shared, PAGE, MADV_FREE), EINVAL);
}

TEST(remove, "MADV_REMOVE: a hole in what is shared, and in its file")
{
	int file = make_file("/dev/shm/phoenix-test-remove", 3 * PAGE);
	char *memory = mmap(NULL, 3 * PAGE, rw, MAP_SHARED, file, 0), *shared = anonymous_shared(2 * PAGE),
	     byte = 1;

	NEED(memory != MAP_FAILED);
	unlink("/dev/shm/phoenix-test-remove");
	CHECK(advise(memory + PAGE, PAGE, MADV_REMOVE) == 0);
	CHECK(memory[0] == 1 && all_are(memory + PAGE, PAGE, 0) && memory[2 * PAGE] == 3);
	CHECK(pread(file, &byte, 1, PAGE) == 1 && byte == 0);
	EQUAL(file_size(file), 3 * PAGE);
	memset(shared, 's', 2 * PAGE);
	CHECK(advise(shared, PAGE, MADV_REMOVE) == 0);
	CHECK(all_are(shared, PAGE, 0) && all_are(shared + PAGE, PAGE, 's'));
}

TEST(remove_bad,
     "MADV_REMOVE: private memory is EINVAL, shared memory that cannot be written EACCES, locked EINVAL")
{
	char *memory = filled(), *shared = anonymous_shared(PAGE);

	FAILS(advise(memory, PAGE, MADV_REMOVE), EINVAL);
	shared[0] = 's';
	NEED(mlock(shared, PAGE) == 0);
	FAILS(advise(shared, PAGE, MADV_REMOVE), EINVAL);
	EQUAL(shared[0], 's');
	close(make_file("/dev/shm/phoenix-test-remove", PAGE));
	int file = open("/dev/shm/phoenix-test-remove", O_RDONLY);
	shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	unlink("/dev/shm/phoenix-test-remove");
	NEED(shared != MAP_FAILED);
	FAILS(advise(shared, PAGE, MADV_REMOVE), EACCES);
}

TEST(dont_fork, "MADV_DONTFORK: a child does not have it, until MADV_DOFORK")
{
	char *memory = filled();

	CHECK(advise(memory + 2 * PAGE, PAGE, MADV_DONTFORK) == 0);
	IN_CHILD
	{
		FAULTS(ACCESS_READ, memory + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
		CHECK(all_are(memory, 2 * PAGE, 'x') && all_are(memory + 3 * PAGE, 5 * PAGE, 'x'));
	}
	CHECK(advise(memory, PAGES * PAGE, MADV_DOFORK) == 0);
	IN_CHILD
	{
		CHECK(all_are(memory, PAGES * PAGE, 'x'));
	}
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(wipe_on_fork, "MADV_WIPEONFORK: a child has zeroes there, and its children too, until MADV_KEEPONFORK")
{
	char *memory = filled();

	CHECK(advise(memory + PAGE, PAGE, MADV_WIPEONFORK) == 0);
	IN_CHILD
	{
		CHECK(all_are(memory, PAGE, 'x') && all_are(memory + PAGE, PAGE, 0) &&
		      memory[2 * PAGE] == 'x');
		memory[PAGE] = 'c';
		IN_CHILD
		{
			EQUAL(memory[PAGE], 0);
		}
		EQUAL(memory[PAGE], 'c');
	}
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
	CHECK(advise(memory + PAGE, PAGE, MADV_KEEPONFORK) == 0);
	IN_CHILD
	{
		CHECK(all_are(memory, PAGES * PAGE, 'x'));
	}
}

TEST(wipe_not_private, "MADV_WIPEONFORK of what is not private and anonymous is EINVAL")
{
	int file = make_file("file", PAGE);
	char *mapped = mmap(NULL, PAGE, rw, MAP_PRIVATE, file, 0), *shared = anonymous_shared(PAGE);

	FAILS(advise(mapped, PAGE, MADV_WIPEONFORK), EINVAL);
	FAILS(advise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
}

TEST(populate_read, "MADV_POPULATE_READ makes the pages readable at once")
{
	int file = make_file("file", PAGES * PAGE);
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, file, 0);
	char *read_only = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(memory != MAP_FAILED && read_only != MAP_FAILED);
	CHECK(advise(memory, PAGES * PAGE, MADV_POPULATE_READ) == 0 && is_resident(memory + 7 * PAGE));
	CHECK(advise(read_only, PAGES * PAGE, MADV_POPULATE_READ) == 0);
	CHECK(all_are(read_only, PAGES * PAGE, 0));
}

TEST(populate_write, "MADV_POPULATE_WRITE makes the pages writable at once, and keeps their contents")
{
	char *memory = anonymous(PAGES * PAGE);

	memory[PAGE] = 'x';
	CHECK(advise(memory, PAGES * PAGE, MADV_POPULATE_WRITE) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK(is_resident(memory + i * PAGE));
	CHECK(memory[PAGE] == 'x' && memory[2 * PAGE] == 0);
}

TEST(populate_bad, "MADV_POPULATE: no right is EINVAL, a hole ENOMEM, behind the end of a file EFAULT")
{
	int file = make_file("file", PAGE);
	char *memory = anonymous(4 * PAGE), *mapped = mmap(NULL, 2 * PAGE, rw, MAP_SHARED, file, 0);

	CHECK(mprotect(memory, PAGE, PROT_READ) == 0 && mprotect(memory + PAGE, PAGE, PROT_NONE) == 0);
	FAILS(advise(memory, PAGE, MADV_POPULATE_WRITE), EINVAL);
	FAILS(advise(memory + PAGE, PAGE, MADV_POPULATE_READ), EINVAL);
	CHECK(mprotect(memory + PAGE, PAGE, PROT_WRITE) == 0);
	FAILS(advise(memory, 2 * PAGE, MADV_POPULATE_READ),
	      EINVAL); /* the second page cannot be read, as far as is known */
	CHECK(is_resident(memory) && !is_resident(memory + PAGE));
	CHECK(advise(memory + PAGE, PAGE, MADV_POPULATE_WRITE) == 0 && is_resident(memory + PAGE));
	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	FAILS(advise(memory + 2 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE), ENOMEM);
	FAILS(advise(memory + 3 * PAGE, PAGE, MADV_POPULATE_READ), ENOMEM);
	FAILS(advise(mapped, 2 * PAGE, MADV_POPULATE_READ), EFAULT);
	FAILS(advise(mapped, 2 * PAGE, MADV_POPULATE_WRITE), EFAULT);
}

TEST(others, "process_madvise: advice for another process's ranges, as many bytes as were advised")
{
	char *memory = filled();
	struct iovec ranges[] = {
		{memory, 2 * PAGE}, {memory + 4 * PAGE, PAGE}, {memory + PAGES * PAGE, PAGE}};
	pid_t child = fork_counted();
	int process;

	if (child == 0) {
		pause();
		_exit(1);
	}
	process = (int)CALL(pidfd_open, child, 0);
	NEED(process >= 0 && munmap(memory, PAGES * PAGE) == 0);
	EQUAL(CALL(process_madvise, process, ranges, 2, MADV_COLD, 0), 3 * PAGE);
	EQUAL(CALL(process_madvise, process, ranges, 2, MADV_PAGEOUT, 0), 3 * PAGE);
	EQUAL(CALL(process_madvise, process, ranges, 2, MADV_WILLNEED, 0), 3 * PAGE);
	EQUAL(CALL(process_madvise, process, ranges, 0, MADV_COLD, 0), 0);
	FAILS(CALL(process_madvise, process, ranges, 2, MADV_DONTNEED, 0), EINVAL);
	FAILS(CALL(process_madvise, process, ranges, 2, UNKNOWN_ADVICE, 0), EINVAL);
	FAILS(CALL(process_madvise, process, ranges, 2, MADV_COLD, 1), EINVAL);
	FAILS(CALL(process_madvise, process, ranges, 1025, MADV_COLD, 0), EINVAL);
	FAILS(CALL(process_madvise, process, USER_END, 1, MADV_COLD, 0), EFAULT);
	FAILS(CALL(process_madvise, -1, ranges, 2, MADV_COLD, 0), EBADF);
	FAILS(CALL(process_madvise, 0, ranges, 2, MADV_COLD, 0), EBADF);
	ranges[0].iov_base = memory + 1;
	FAILS(CALL(process_madvise, process, ranges, 2, MADV_COLD, 0), EINVAL);
	kill(child, SIGKILL);
	wait_status(child);
	FAILS(CALL(process_madvise, process, ranges, 2, MADV_COLD, 0), ESRCH);
}

TEST(will_need_anonymous, "MADV_WILLNEED is taken for anonymous memory and files")
{
	int file = make_file("file", PAGES * PAGE);
	char *memory = filled(), *mapped = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, file, 0);

	CHECK(advise(memory, PAGES * PAGE, MADV_WILLNEED) == 0);
	CHECK(advise(mapped, PAGES * PAGE, MADV_WILLNEED) == 0 && mapped[7 * PAGE] == 8);
}

TEST(mincore_pages, "mincore: pages of private memory that were touched, and no others")
{
	char *memory = anonymous(PAGES * PAGE);
	unsigned char resident[PAGES];

	memory[PAGE] = 1;
	memory[6 * PAGE] = 1;
	memset(resident, 0xfe, sizeof(resident));
	CHECK(mincore(memory, PAGES * PAGE - 1, resident) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, i == 1 || i == 6);
}

TEST(mincore_file, "mincore: a file's pages that are in memory, mapped or not")
{
	int file = make_file("file", PAGES * PAGE);
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, file, 0);
	unsigned char resident[PAGES];

	NEED(memory != MAP_FAILED);
	CHECK(mincore(memory, PAGES * PAGE, resident) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1); /* written a moment ago */
}

TEST(mincore_locked, "mincore: a file's pages that another process has locked are in memory")
{
	int file = make_file("file", 0), turn[2];
	unsigned char resident[PAGES];
	char *memory;

	NEED(ftruncate(file, PAGES * PAGE) == 0 && pipe(turn) == 0);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	NEED(memory != MAP_FAILED);
	pid_t child = fork_counted();
	if (child == 0) {
		CHECK(mlock(memory, PAGES * PAGE) == 0 && write(turn[1], "", 1) == 1);
		pause();
	}
	NEED(read(turn[0], resident, 1) == 1);
	CHECK(mincore(memory, PAGES * PAGE, resident) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1);
	kill(child, SIGKILL);
	wait_status(child);
	EQUAL(memory[0], 0);
}

TEST(mincore_bad, "mincore: an odd address is EINVAL, a hole ENOMEM, a bad vector EFAULT")
{
	char *memory = anonymous(PAGES * PAGE);
	unsigned char resident[PAGES];

	FAILS(CALL(mincore, memory + 1, PAGE, resident), EINVAL);
	CHECK(CALL(mincore, memory, 0, resident) == 0);
	FAILS(CALL(mincore, memory, -PAGE, resident), ENOMEM);
	FAILS(CALL(mincore, memory, PAGE, NULL), EFAULT);
	FAILS(CALL(mincore, memory, PAGE, USER_END), EFAULT);
	CHECK(mprotect(memory, PAGE, PROT_READ) == 0);
	FAILS(CALL(mincore, memory + PAGE, PAGE, memory), EFAULT);
	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	FAILS(CALL(mincore, memory, PAGES * PAGE, resident), ENOMEM);
	FAILS(CALL(mincore, memory + 3 * PAGE, PAGE, resident), ENOMEM);
}
