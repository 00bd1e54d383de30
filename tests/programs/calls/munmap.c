/*
 * munmap and mprotect: what they do to whole mappings and parts of them, and every error of their manual pages.
 */
#include "tap.h"

#define PAGES 8

static const int rw = PROT_READ | PROT_WRITE;

static char *filled(size_t pages)
{
	char *memory = anonymous(pages * PAGE);

	memset(memory, 'x', pages * PAGE);
	return memory;
}

TEST(unmap_bad, "munmap: an odd address, length 0, or a range beyond the address space is EINVAL")
{
	char *memory = filled(PAGES);

	FAILS(CALL(munmap, memory + 1, PAGE), EINVAL);
	FAILS(CALL(munmap, memory, 0), EINVAL);
	FAILS(CALL(munmap, USER_END - PAGE, 2 * PAGE), EINVAL);
	FAILS(CALL(munmap, memory, -PAGE), EINVAL);
	FAILS(CALL(munmap, memory, -1), EINVAL);
	FAILS(CALL(munmap, -PAGE, PAGE), EINVAL);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(unmap_parts, "munmap takes the start, the end or the middle of a mapping away")
{
	char *memory = filled(PAGES);

	CHECK(munmap(memory, PAGE) == 0);
	CHECK(munmap(memory + 7 * PAGE, 1) == 0); /* the whole page */
	CHECK(munmap(memory + 3 * PAGE, PAGE + 1) == 0);
	for (unsigned i = 0; i < PAGES; i++) {
		if (i == 0 || i == 3 || i == 4 || i == 7)
			FAULTS(ACCESS_READ, memory + i * PAGE + 8, SIGSEGV, SEGV_MAPERR);
		else
			CHECK(all_are(memory + i * PAGE, PAGE, 'x'));
	}
}

TEST(unmap_holes, "munmap of holes is no error, and takes all mappings of the range")
{
	char *memory = filled(PAGES);

	CHECK(munmap(memory + 2 * PAGE, PAGE) == 0);
	CHECK(munmap(memory + 5 * PAGE, PAGE) == 0);
	CHECK(munmap(memory + PAGE, 6 * PAGE) == 0);
	CHECK(munmap(memory + PAGE, 6 * PAGE) == 0);
	CHECK(readable(memory) && readable(memory + 7 * PAGE));
	for (unsigned i = 1; i < 7; i++)
		CHECK(!readable(memory + i * PAGE));
}

TEST(unmap_again, "what is mapped again is new")
{
	char *memory = filled(PAGES);

	CHECK(munmap(memory + PAGE, PAGE) == 0);
	EQUAL(mmap(memory + PAGE, PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), memory + PAGE);
	CHECK(all_are(memory + PAGE, PAGE, 0) && all_are(memory + 2 * PAGE, PAGE, 'x'));
}

TEST(protect_bad, "mprotect: an odd address and unknown or contradictory bits are EINVAL")
{
	char *memory = filled(PAGES);

	FAILS(CALL(mprotect, memory + 1, PAGE, PROT_READ), EINVAL);
	FAILS(CALL(mprotect, memory, PAGE, 0x40), EINVAL);
	FAILS(CALL(mprotect, memory, PAGE, -1), EINVAL);
	FAILS(CALL(mprotect, memory, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
	FAILS(CALL(mprotect, memory, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL); /* no such mapping */
	CHECK(all_are(memory, PAGES * PAGE, 'x') && writable(memory));
}

TEST(protect_limit, "mprotect: private memory that becomes writable counts against RLIMIT_DATA")
{
	char *memory = mmap(NULL, 8ul << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, 8ul << 20, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rlimit limit = {6ul << 20, RLIM_INFINITY};

	NEED(memory != MAP_FAILED && shared != MAP_FAILED && setrlimit(RLIMIT_DATA, &limit) == 0);
	FAILS(mprotect(memory, 8ul << 20, PROT_READ | PROT_WRITE), ENOMEM);
	CHECK(!writable(memory));
	CHECK(mprotect(memory, 4ul << 20, PROT_READ | PROT_WRITE) == 0 && writable(memory));
	CHECK(mprotect(memory, 4ul << 20, PROT_READ | PROT_WRITE) == 0);
	FAILS(mprotect(memory + (4ul << 20), 4ul << 20, PROT_READ | PROT_WRITE), ENOMEM);
	CHECK(mprotect(memory, 8ul << 20, PROT_READ) == 0);
	CHECK(mprotect(shared, 8ul << 20, PROT_READ | PROT_WRITE) == 0);
}

TEST(protect_unmapped, "mprotect: a range that wraps, or with any hole, is ENOMEM")
{
	char *memory = filled(PAGES);

	FAILS(CALL(mprotect, memory, -PAGE, PROT_READ), ENOMEM);
	CHECK(munmap(memory + 4 * PAGE, PAGE) == 0);
	FAILS(mprotect(memory + 4 * PAGE, PAGE, PROT_READ), ENOMEM);
	FAILS(mprotect(memory + 3 * PAGE, 3 * PAGE, PROT_READ), ENOMEM);
	FAILS(CALL(mprotect, USER_END, PAGE, PROT_READ), ENOMEM);
	CHECK(munmap(memory, PAGES * PAGE) == 0);
	FAILS(mprotect(memory, PAGE, PROT_READ), ENOMEM);
}

TEST(protect_nothing, "mprotect of length 0 does nothing")
{
	char *memory = filled(1);

	CHECK(CALL(mprotect, memory, 0, PROT_NONE) == 0);
	CHECK(writable(memory));
}

TEST(protect_parts, "mprotect changes whole pages of a part, there and back, and keeps the contents")
{
	char *memory = filled(PAGES);

	CHECK(mprotect(memory + 2 * PAGE, 2 * PAGE - 1, PROT_READ) == 0);
	CHECK(mprotect(memory + 5 * PAGE, PAGE, PROT_NONE) == 0);
	for (unsigned i = 0; i < PAGES; i++) {
		char *page = memory + i * PAGE;

		if (i == 5)
			FAULTS(ACCESS_READ, page + 1, SIGSEGV, SEGV_ACCERR);
		else if (i == 2 || i == 3)
			FAULTS(ACCESS_WRITE, page + 2, SIGSEGV, SEGV_ACCERR);
		else
			CHECK(writable(page));
	}
	CHECK(mprotect(memory, PAGES * PAGE, rw) == 0);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
	memset(memory, 'y', PAGES * PAGE);
}

TEST(protect_translation, "a right is gone as soon as mprotect returns, however often it was used")
{
	char *memory = filled(1);

	for (unsigned i = 0; i < 20; i++) {
		memory[i] = 'y';
		CHECK(mprotect(memory, PAGE, PROT_READ) == 0);
		FAULTS(ACCESS_WRITE, memory + i, SIGSEGV, SEGV_ACCERR);
		CHECK(mprotect(memory, PAGE, PROT_NONE) == 0);
		FAULTS(ACCESS_READ, memory + i, SIGSEGV, SEGV_ACCERR);
		CHECK(mprotect(memory, PAGE, rw) == 0);
	}
	CHECK(all_are(memory, 20, 'y'));
}

TEST(protect_execute, "code is written, made executable, run, and made data again")
{
	char *memory = filled(1);

	memcpy(memory, "\xb8\x07\x00\x00\x00\xc3", 6); /* mov $7, %eax; ret */
	FAULTS(ACCESS_EXECUTE, memory, SIGSEGV, SEGV_ACCERR);
	CHECK(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0);
	EQUAL(((int (*)(void))(uintptr_t)memory)(), 7);
	FAULTS(ACCESS_WRITE, memory, SIGSEGV, SEGV_ACCERR);
	CHECK(mprotect(memory, PAGE, rw) == 0);
	FAULTS(ACCESS_EXECUTE, memory, SIGSEGV, SEGV_ACCERR);
}

TEST(protect_file, "a shared mapping of a file that was opened to be read cannot become writable: EACCES")
{
	char *memory;
	int file;

	close(make_file("file", 2 * PAGE));
	file = open("file", O_RDONLY);
	memory = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, 0);
	NEED(memory != MAP_FAILED);
	FAILS(mprotect(memory, PAGE, rw), EACCES);
	FAILS(mprotect(memory, PAGE, PROT_WRITE), EACCES);
	CHECK(mprotect(memory, PAGE, PROT_NONE) == 0 && mprotect(memory, PAGE, PROT_READ) == 0);
	EQUAL(memory[0], 1);
	memory = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	NEED(memory != MAP_FAILED && mprotect(memory, PAGE, rw) == 0);
	memory[0] = 'x'; /* its own copy */
	char byte;
	CHECK(pread(file, &byte, 1, 0) == 1 && byte == 1);
}

TEST(protect_no_partial, "the part before what is refused has changed, the part after it has not")
{
	char *memory = filled(3);

	CHECK(munmap(memory + PAGE, PAGE) == 0);
	FAILS(mprotect(memory, 3 * PAGE, PROT_READ), ENOMEM);
	CHECK(writable(memory + 2 * PAGE));
}

TEST(protect_write_none, "private memory made PROT_NONE keeps what was written before fork, in both")
{
	char *memory = filled(2);

	CHECK(mprotect(memory, 2 * PAGE, PROT_NONE) == 0);
	IN_CHILD
	{
		CHECK(mprotect(memory, 2 * PAGE, rw) == 0);
		CHECK(all_are(memory, 2 * PAGE, 'x'));
		memset(memory, 'c', 2 * PAGE);
	}
	FAULTS(ACCESS_READ, memory, SIGSEGV, SEGV_ACCERR);
	CHECK(mprotect(memory, 2 * PAGE, PROT_READ) == 0);
	CHECK(all_are(memory, 2 * PAGE, 'x'));
}

TEST(protect_many, "many mappings made by mprotect join again, and keep their contents")
{
	size_t pages = 2000;
	char *memory = filled(pages);

	for (size_t i = 0; i < pages; i += 2)
		CHECK(mprotect(memory + i * PAGE, PAGE, PROT_READ) == 0);
	for (size_t i = 1; i < pages; i += 2)
		CHECK(mprotect(memory + i * PAGE, PAGE, PROT_READ) == 0);
	CHECK(mprotect(memory, pages * PAGE, rw) == 0);
	CHECK(all_are(memory, pages * PAGE, 'x'));
}
