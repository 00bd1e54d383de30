/*
 * mmap: every flag and every error of mmap(2), on anonymous memory and on files. What follows from a mapping later is in
 * file_maps.c, fork_maps.c, faults.c and stack.c.
 */
#include "tap.h"
#include <sys/mount.h>

#define PAGES 8

static const int rw = PROT_READ | PROT_WRITE;
static const int private_memory = MAP_PRIVATE | MAP_ANONYMOUS;

/* The raw call, which returns -1 on errors. */
static long map(void *at, size_t bytes, int prot, int flags, int file, off_t offset)
{
	return CALL(mmap, at, bytes, prot, flags, file, offset);
}

/* A range of so many pages where nothing is. */
static char *hole(size_t pages)
{
	char *memory = anonymous(pages * PAGE);

	NEED(munmap(memory, pages * PAGE) == 0);
	return memory;
}

TEST(zeroed, "anonymous memory is zero, page aligned, and keeps what is written")
{
	char *memory = anonymous(PAGES * PAGE);

	EQUAL((uintptr_t)memory % PAGE, 0);
	CHECK(all_are(memory, PAGES * PAGE, 0));
	memset(memory, 'x', PAGES * PAGE);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(apart, "mappings made one after another do not overlap")
{
	char *memory[64];

	for (unsigned i = 0; i < 64; i++) {
		memory[i] = anonymous((i + 1) * PAGE);
		memset(memory[i], (int)i, (i + 1) * PAGE);
	}
	for (unsigned i = 0; i < 64; i++)
		CHECK(all_are(memory[i], (i + 1) * PAGE, (char)i));
}

TEST(bad_length, "length 0 is EINVAL; one that no address space has is ENOMEM")
{
	FAILS(map(NULL, 0, rw, private_memory, -1, 0), EINVAL);
	FAILS(map(NULL, -1ul, rw, private_memory, -1, 0), ENOMEM);
	FAILS(map(NULL, -PAGE, rw, private_memory, -1, 0), ENOMEM);
	FAILS(map(NULL, USER_END, rw, private_memory, -1, 0), ENOMEM);
	FAILS(map(NULL, 1ul << 63, rw, private_memory, -1, 0), ENOMEM);
}

TEST(odd_length, "a length that is not whole pages maps the whole of the last")
{
	char *memory = (char *)map(NULL, PAGE + 1, rw, private_memory, -1, 0);

	memory[2 * PAGE - 1] = 1;
	CHECK(munmap(memory, PAGE + 1) == 0);
	FAULTS(ACCESS_READ, memory + PAGE, SIGSEGV, SEGV_MAPERR);
}

TEST(bad_type, "neither private nor shared, or both wrongly, is EINVAL")
{
	FAILS(map(NULL, PAGE, rw, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(map(NULL, PAGE, rw, MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	FAILS(map(NULL, PAGE, rw, 0, -1, 0), EBADF);
	/* Both bits are MAP_SHARED_VALIDATE, which only files know. */
	FAILS(map(NULL, PAGE, rw, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0), EINVAL);
}

TEST(bad_descriptor, "no such descriptor is EBADF")
{
	FAILS(map(NULL, PAGE, rw, MAP_PRIVATE, -1, 0), EBADF);
	FAILS(map(NULL, PAGE, rw, MAP_SHARED, 999, 0), EBADF);
	CHECK(map(NULL, PAGE, rw, private_memory, 999, 0) != -1); /* of no interest */
}

TEST(bad_offset, "an offset that is not whole pages is EINVAL")
{
	int file = make_file("file", 2 * PAGE);

	FAILS(map(NULL, PAGE, rw, MAP_PRIVATE, file, 1), EINVAL);
	FAILS(map(NULL, PAGE, rw, MAP_SHARED, file, PAGE - 1), EINVAL);
	FAILS(map(NULL, PAGE, rw, private_memory, -1, 100), EINVAL);
}

TEST(offset_overflow, "offset and length beyond what an offset can say are EOVERFLOW")
{
	int file = make_file("file", PAGE);

	FAILS(map(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, (off_t)-PAGE), EOVERFLOW);
}

TEST(access_of_file, "what the file was not opened for is EACCES")
{
	int reader, writer;

	close(make_file("file", PAGE));
	reader = open("file", O_RDONLY);
	writer = open("file", O_WRONLY);
	FAILS(map(NULL, PAGE, rw, MAP_SHARED, reader, 0), EACCES);
	FAILS(map(NULL, PAGE, PROT_WRITE, MAP_SHARED, reader, 0), EACCES);
	CHECK(map(NULL, PAGE, rw, MAP_PRIVATE, reader, 0) != -1);
	CHECK(map(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0) != -1);
	FAILS(map(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0), EACCES);
	FAILS(map(NULL, PAGE, PROT_WRITE, MAP_SHARED, writer, 0), EACCES);
	FAILS(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0), EACCES);
	FAILS(map(NULL, PAGE, PROT_NONE, MAP_PRIVATE, writer, 0), EACCES);
}

TEST(path_descriptor, "a descriptor that only names a file is EBADF")
{
	int named;

	close(make_file("file", PAGE));
	named = open("file", O_PATH);
	NEED(named >= 0);
	FAILS(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, named, 0), EBADF);
}

TEST(not_mappable, "directories and pipes are ENODEV")
{
	int directory = open(".", O_RDONLY), ends[2];

	NEED(pipe(ends) == 0);
	FAILS(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, directory, 0), ENODEV);
	FAILS(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
}

TEST(unknown_flags, "unknown flags are ignored, but with MAP_SHARED_VALIDATE they are EOPNOTSUPP")
{
	int file = make_file("file", PAGE), unknown = 0x200000;

	CHECK(map(NULL, PAGE, PROT_READ, MAP_PRIVATE | unknown, file, 0) != -1);
	CHECK(map(NULL, PAGE, PROT_READ, MAP_SHARED | unknown, file, 0) != -1);
	CHECK(map(NULL, PAGE, PROT_READ, private_memory | unknown, -1, 0) != -1);
	FAILS(map(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | unknown, file, 0), EOPNOTSUPP);
	CHECK(map(NULL, PAGE, rw, MAP_SHARED_VALIDATE, file, 0) != -1);
}

TEST(validate_shares, "MAP_SHARED_VALIDATE shares")
{
	int file = make_file("file", PAGE);
	char *memory = (char *)map(NULL, PAGE, rw, MAP_SHARED_VALIDATE, file, 0), byte = 0;

	NEED((long)memory != -1);
	memory[5] = 'v';
	CHECK(pread(file, &byte, 1, 5) == 1 && byte == 'v');
}

TEST(sync_flag, "MAP_SYNC is EOPNOTSUPP where the memory is not a file's own")
{
	int file = make_file("file", PAGE);

	FAILS(map(NULL, PAGE, rw, MAP_SHARED_VALIDATE | MAP_SYNC, file, 0), EOPNOTSUPP);
}

TEST(fixed, "MAP_FIXED takes the address, and replaces what is there, whole pages of it")
{
	char *memory = anonymous(PAGES * PAGE), *other;

	memset(memory, 'x', PAGES * PAGE);
	other = (char *)map(memory + 2 * PAGE, 2 * PAGE - 1, rw, private_memory | MAP_FIXED, -1, 0);
	EQUAL(other, memory + 2 * PAGE);
	CHECK(all_are(memory, 2 * PAGE, 'x') && all_are(other, 2 * PAGE, 0));
	CHECK(all_are(memory + 4 * PAGE, 4 * PAGE, 'x'));
	EQUAL(map(memory - PAGE + PAGE, PAGES * PAGE, PROT_NONE, private_memory | MAP_FIXED, -1, 0), memory);
	FAULTS(ACCESS_READ, memory, SIGSEGV, SEGV_ACCERR);
}

TEST(fixed_bad, "MAP_FIXED: an odd address is EINVAL, one beyond the end of the address space ENOMEM")
{
	char *memory = anonymous(2 * PAGE);

	memset(memory, 'x', 2 * PAGE);
	FAILS(map(memory + 1, PAGE, rw, private_memory | MAP_FIXED, -1, 0), EINVAL);
	FAILS(map((void *)USER_END, PAGE, rw, private_memory | MAP_FIXED, -1, 0), ENOMEM);
	FAILS(map((void *)(USER_END - PAGE), 2 * PAGE, rw, private_memory | MAP_FIXED, -1, 0), ENOMEM);
	FAILS(map((void *)-PAGE, PAGE, rw, private_memory | MAP_FIXED, -1, 0), ENOMEM);
	FAILS(map((void *)-(8 * PAGE), 16 * PAGE, rw, private_memory | MAP_FIXED, -1, 0), ENOMEM);
	CHECK(all_are(memory, 2 * PAGE, 'x'));
}

TEST(fixed_no_harm, "MAP_FIXED that fails for its file leaves what was there")
{
	char *memory = anonymous(2 * PAGE);

	memset(memory, 'x', 2 * PAGE);
	FAILS(map(memory, PAGE, rw, MAP_PRIVATE | MAP_FIXED, 999, 0), EBADF);
	FAILS(map(memory, PAGE, rw, MAP_FIXED | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK(all_are(memory, 2 * PAGE, 'x'));
}

TEST(fixed_noreplace, "MAP_FIXED_NOREPLACE takes a free address, and is EEXIST over any part of a mapping")
{
	char *memory = hole(PAGES);
	int flags = private_memory | MAP_FIXED_NOREPLACE;

	EQUAL(map(memory + PAGE, 2 * PAGE, rw, flags, -1, 0), memory + PAGE);
	memory[PAGE] = 'x';
	FAILS(map(memory + PAGE, 2 * PAGE, rw, flags, -1, 0), EEXIST);
	FAILS(map(memory, 2 * PAGE, rw, flags, -1, 0), EEXIST);
	FAILS(map(memory + 2 * PAGE, 2 * PAGE, rw, flags, -1, 0), EEXIST);
	FAILS(map(memory, 4 * PAGE, rw, flags, -1, 0), EEXIST);
	FAILS(map(memory + PAGE, PAGE, rw, flags | MAP_FIXED, -1, 0), EEXIST);
	EQUAL(map(memory, PAGE, rw, flags, -1, 0), memory);
	EQUAL(map(memory + 3 * PAGE, PAGE, rw, flags, -1, 0), memory + 3 * PAGE);
	EQUAL(memory[PAGE], 'x');
	FAILS(map(memory + 1, PAGE, rw, flags, -1, 0), EINVAL);
}

TEST(fixed_noreplace_anywhere,
     "MAP_FIXED_NOREPLACE at any address that a program can have works, or is EEXIST, and then another does")
{
	const uintptr_t gib = 1ul << 30;
	unsigned had = 0;

	for (uintptr_t at = gib; at < 200 * gib; at += gib) {
		char *memory =
			(char *)map((char *)at, 2 * gib, rw,
				    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

		if (memory == (char *)-1) {
			CHECK(errno == EEXIST);
			continue;
		}
		had++;
		CHECK(memory == (char *)at && memory[gib] == 0);
		memory[2 * gib - 1] = 'x';
		CHECK(munmap(memory, 2 * gib) == 0);
	}
	CHECK(had > 20);
}

TEST(hint, "a hint is no order: what is at the address stays")
{
	char *memory = anonymous(PAGES * PAGE), *other;

	memset(memory, 'x', PAGES * PAGE);
	other = (char *)map(memory + 5, 2 * PAGE, rw, private_memory, -1, 0);
	CHECK(other != (char *)-1 && (other >= memory + PAGES * PAGE || other + 2 * PAGE <= memory));
	EQUAL((uintptr_t)other % PAGE, 0);
	CHECK(all_are(memory, PAGES * PAGE, 'x') && all_are(other, 2 * PAGE, 0));
	CHECK(map((void *)-PAGE, PAGE, rw, private_memory, -1, 0) != -1);
	CHECK(map((void *)1, PAGE, rw, private_memory, -1, 0) != -1);
}

TEST(low, "the first page of the address space is nobody's: EPERM for MAP_FIXED")
{
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(map(NULL, PAGE, rw, private_memory | MAP_FIXED, -1, 0), EPERM);
	}
	CHECK(map(NULL, PAGE, rw, private_memory, -1, 0) > 0);
}

TEST(in_32_bits, "MAP_32BIT gives an address below 2 GiB")
{
	char *memory = (char *)map(NULL, PAGES * PAGE, rw, private_memory | MAP_32BIT, -1, 0);

	CHECK((uintptr_t)memory + PAGES * PAGE <= 1ul << 31);
	CHECK(all_are(memory, PAGES * PAGE, 0));
	memory[PAGE] = 1;
	CHECK(munmap(memory, PAGES * PAGE) == 0);
}

TEST(protections, "each protection allows what it says, and faults are SEGV_ACCERR")
{
	char *none = (char *)map(NULL, PAGE, PROT_NONE, private_memory, -1, 0);
	char *read_only = (char *)map(NULL, PAGE, PROT_READ, private_memory, -1, 0);
	char *write_only = (char *)map(NULL, PAGE, PROT_WRITE, private_memory, -1, 0);
	char *both = (char *)map(NULL, PAGE, rw, private_memory, -1, 0);

	FAULTS(ACCESS_READ, none, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_WRITE, none + 5, SIGSEGV, SEGV_ACCERR);
	CHECK(readable(read_only));
	FAULTS(ACCESS_WRITE, read_only + PAGE - 1, SIGSEGV, SEGV_ACCERR);
	*write_only = 1;
	CHECK(readable(both) && writable(both));
	FAULTS(ACCESS_EXECUTE, both, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_EXECUTE, read_only, SIGSEGV, SEGV_ACCERR);
}

TEST(executable, "PROT_EXEC memory runs")
{
	char *code = (char *)map(NULL, PAGE, rw | PROT_EXEC, private_memory, -1, 0);

	NEED((long)code != -1);
	memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
	EQUAL(((int (*)(void))(uintptr_t)code)(), 42);
}

TEST(populate, "MAP_POPULATE makes the pages at once; MAP_NONBLOCK with it does not have to")
{
	unsigned char resident[PAGES];
	int file = make_file("file", PAGES * PAGE);
	char *memory = (char *)map(NULL, PAGES * PAGE, rw, private_memory | MAP_POPULATE, -1, 0);

	NEED((long)memory != -1 && mincore(memory, PAGES * PAGE, resident) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1);
	CHECK(all_are(memory, PAGES * PAGE, 0));
	memory = (char *)map(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
	NEED((long)memory != -1 && memory[PAGE] == 2);
	CHECK(map(NULL, PAGE, rw, private_memory | MAP_POPULATE | MAP_NONBLOCK, -1, 0) != -1);
	/* Nothing can be made without a right to it: no error. */
	CHECK(map(NULL, PAGE, PROT_NONE, private_memory | MAP_POPULATE, -1, 0) != -1);
	/* Beyond the end of the file there is nothing to make: no error. */
	CHECK(map(NULL, 2 * PAGES * PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0) != -1);
}

TEST(locked, "MAP_LOCKED makes the pages, and keeps them")
{
	unsigned char resident[PAGES];
	char *memory = (char *)map(NULL, PAGES * PAGE, rw, private_memory | MAP_LOCKED, -1, 0);

	NEED((long)memory != -1 && mincore(memory, PAGES * PAGE, resident) == 0);
	for (unsigned i = 0; i < PAGES; i++)
		EQUAL(resident[i] & 1, 1);
	FAILS(madvise(memory, PAGE, MADV_DONTNEED), EINVAL); /* which locked pages refuse */
}

TEST(locked_limit, "MAP_LOCKED beyond RLIMIT_MEMLOCK is EAGAIN")
{
	struct rlimit limit = {4 * PAGE, 4 * PAGE};

	IN_CHILD
	{
		NEED(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(map(NULL, PAGES * PAGE, rw, private_memory | MAP_LOCKED, -1, 0), EAGAIN);
		CHECK(map(NULL, 4 * PAGE, rw, private_memory | MAP_LOCKED, -1, 0) != -1);
		FAILS(map(NULL, PAGE, rw, private_memory | MAP_LOCKED, -1, 0), EAGAIN);
	}
}

TEST(ignored, "flags that only hint are taken: MAP_NORESERVE, MAP_STACK, MAP_DENYWRITE, MAP_EXECUTABLE")
{
	int flags[] = {MAP_NORESERVE, MAP_STACK, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_NORESERVE | MAP_STACK};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		char *memory = (char *)map(NULL, PAGE, rw, private_memory | flags[i], -1, 0);

		NEED((long)memory != -1);
		CHECK(all_are(memory, PAGE, 0));
		memory[7] = 1;
	}
}

TEST(huge_reserve, "address space costs no memory: 64 GiB of MAP_NORESERVE, a page touched here and there")
{
	char *memory = (char *)map(NULL, 64ul << 30, rw, private_memory | MAP_NORESERVE, -1, 0);

	NEED((long)memory != -1);
	for (size_t at = 0; at < 64ul << 30; at += 4ul << 30)
		memory[at + 100] = 'x';
	EQUAL(memory[(60ul << 30) + 100], 'x');
	EQUAL(memory[(60ul << 30) + PAGE], 0);
	CHECK(munmap(memory, 64ul << 30) == 0);
}

TEST(grows_down_shared, "MAP_GROWSDOWN cannot be shared: EINVAL")
{
	FAILS(map(NULL, PAGE, rw, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL);
	CHECK(map(NULL, PAGE, rw, private_memory | MAP_GROWSDOWN, -1, 0) != -1);
}

TEST(huge_pages, "MAP_HUGETLB without huge pages is ENOMEM, with a size that no machine has EINVAL")
{
	long got = map(NULL, 2ul << 20, rw, private_memory | MAP_HUGETLB, -1, 0);

	if (got != -1)
		skip("the machine has huge pages");
	CHECK(errno == ENOMEM);
	FAILS(map(NULL, 2ul << 20, rw, private_memory | MAP_HUGETLB | (13 << MAP_HUGE_SHIFT), -1, 0), EINVAL);
}

TEST(no_programs, "where nothing may be executed, PROT_EXEC is EPERM, and EACCES for mprotect")
{
	char *memory;
	int file;

	NEED(mkdir("mounted", 0755) == 0);
	if (mount("none", "mounted", "tmpfs", MS_NOEXEC, "") != 0)
		skip("no right to mount");
	file = make_file("mounted/file", PAGE);
	FAILS(map(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0), EPERM);
	FAILS(map(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0), EPERM);
	memory = (char *)map(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK((long)memory != -1 && *memory == 1);
	FAILS(mprotect(memory, PAGE, PROT_READ | PROT_EXEC), EACCES);
	CHECK(munmap(memory, PAGE) == 0 && close(file) == 0);
	CHECK(umount("mounted") == 0);
}

TEST(file_contents, "a file's mapping shows the file, from the offset, and zeroes behind its end")
{
	int file = make_file("file", 3 * PAGE + 10);
	char *memory = (char *)map(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, file, PAGE);

	NEED((long)memory != -1);
	CHECK(all_are(memory, PAGE, 2) && all_are(memory + PAGE, PAGE, 3));
	CHECK(all_are(memory + 2 * PAGE, 10, 4) && all_are(memory + 2 * PAGE + 10, PAGE - 10, 0));
	close(file);
	CHECK(all_are(memory, PAGE, 2));
}

TEST(file_no_size, "an empty file can be mapped; an access is SIGBUS")
{
	int file = make_file("file", 0);
	char *memory = (char *)map(NULL, PAGE, rw, MAP_SHARED, file, 0);

	NEED((long)memory != -1);
	FAULTS(ACCESS_READ, memory, SIGBUS, BUS_ADRERR);
	FAULTS(ACCESS_WRITE, memory + 10, SIGBUS, BUS_ADRERR);
}

TEST(zero_device, "/dev/zero is anonymous memory, private or shared with a child")
{
	int zero = open("/dev/zero", O_RDWR);
	char *mine = (char *)map(NULL, PAGE, rw, MAP_PRIVATE, zero, 0);
	char *ours = (char *)map(NULL, PAGE, rw, MAP_SHARED, zero, 0);

	NEED((long)mine != -1 && (long)ours != -1);
	CHECK(all_are(mine, PAGE, 0) && all_are(ours, PAGE, 0));
	IN_CHILD
	{
		*mine = *ours = 'x';
	}
	CHECK(*mine == 0 && *ours == 'x');
}

TEST(null_device, "/dev/null is ENODEV")
{
	int null = open("/dev/null", O_RDWR);

	FAILS(map(NULL, PAGE, PROT_READ, MAP_PRIVATE, null, 0), ENODEV);
}

/* How many mappings the process has, but for the page of calls, which Linux does not count. */
static long mappings(void)
{
	int maps = open("/proc/self/maps", O_RDONLY);
	static char text[PAGE];
	long lines = 0;
	ssize_t count;

	NEED(maps >= 0);
	while ((count = read(maps, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < count; i++)
			lines += text[i] == '\n';
	close(maps);
	return lines - (strstr(contents("/proc/self/maps"), "[vsyscall]") != NULL);
}

TEST(exactly_so_many, "vm.max_map_count: there is one mapping more when there can be no more")
{
	char before[16];
	ssize_t length;
	int file;

	skip_if_shared();
	file = open("/proc/sys/vm/max_map_count", O_RDWR);
	length = read(file, before, sizeof(before));
	NEED(length > 0 && pwrite(file, "200", 3, 0) == 3);
	while ((long)map(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != -1)
		continue;
	EQUAL(errno, ENOMEM);
	CHECK(pwrite(file, before, (size_t)length, 0) == length);
	EQUAL(mappings(), 201);
}

TEST(all_addresses, "who takes all addresses that can be had takes none that other programs need")
{
	for (size_t bytes = USER_END / 2; bytes >= 1ul << 30; bytes /= 2) {
		while (map(NULL, bytes, PROT_NONE, private_memory, -1, 0) != -1)
			continue;
	}
	IN_CHILD
	{
		dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
		execl("/proc/self/exe", "mmap", "words that no test has", NULL);
		CHECK(!"another program runs");
	}
}

TEST(too_many, "mappings end in ENOMEM, and none is lost")
{
	char *memory = (char *)map(NULL, 200000 * PAGE, PROT_READ, private_memory | MAP_NORESERVE, -1, 0);
	size_t i = 0;

	NEED((long)memory != -1);
	while (i < 100000 && CALL(mprotect, memory + 2 * i * PAGE, PAGE, PROT_NONE) == 0)
		i++;
	if (i == 100000)
		skip("there is no limit below 200000 mappings");
	EQUAL(errno, ENOMEM);
	CHECK(i > 1000);
	CHECK(readable(memory + PAGE) && !readable(memory) && readable(memory + 2 * i * PAGE));
	/* What would make two of one is refused; what shortens one is not. */
	FAILS(munmap(memory + (2 * i + 10) * PAGE, PAGE), ENOMEM);
	CHECK(readable(memory + (2 * i + 10) * PAGE) && munmap(memory + 199999 * PAGE, PAGE) == 0);
	CHECK(munmap(memory, 200000 * PAGE) == 0);
}
