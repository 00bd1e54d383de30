/*
 * mmap, munmap, mprotect, mremap, brk, madvise and mincore: what they do, and every error they have to give.
 */
#include "check.h"
#include <fcntl.h>

#define BYTES        (16 * PAGE)
#define HUGE         (1ul << 46)
#define FAR_AWAY     0x500000000000ul
#define MANY         1000
#define KEEP_PATTERN 0x5a

static char *map(size_t bytes, int prot)
{
	char *memory = mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED && (uintptr_t)memory % PAGE == 0);
	return memory;
}

static long map_error(void *at, size_t bytes, int prot, int flags, int descriptor, off_t offset)
{
	/* Not the library's function, which looks at some arguments itself. */
	return syscall(SYS_mmap, at, bytes, prot, flags, descriptor, offset);
}

static bool all_are(const char *memory, size_t bytes, char value)
{
	for (size_t i = 0; i < bytes; i++) {
		if (memory[i] != value)
			return false;
	}
	return true;
}

static void test_mmap(void)
{
	int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	char *memory = map(BYTES, PROT_READ | PROT_WRITE), *other;

	CHECK(all_are(memory, BYTES, 0));
	memset(memory, KEEP_PATTERN, BYTES);
	CHECK_ERROR(map_error(NULL, 0, PROT_READ, anonymous, -1, 0), EINVAL);
	CHECK_ERROR(map_error(NULL, PAGE, PROT_READ, anonymous, -1, 1), EINVAL);
	CHECK_ERROR(map_error(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERROR(map_error(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERROR(map_error(NULL, PAGE, PROT_READ, MAP_PRIVATE, 77, 0), EBADF);
	CHECK_ERROR(map_error(memory + 1, PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERROR(map_error(NULL, 1ul << 47, PROT_READ, anonymous, -1, 0), ENOMEM);
	CHECK_ERROR(map_error(NULL, -PAGE, PROT_READ, anonymous, -1, 0), ENOMEM);
	CHECK_ERROR(map_error(NULL, -1ul, PROT_READ, anonymous, -1, 0), ENOMEM);
	CHECK_ERROR(map_error((void *)(HUGE * 2 - PAGE), 2 * PAGE, PROT_READ, anonymous | MAP_FIXED, -1, 0),
		    ENOMEM);
	/* An address that nothing has ever been near. */
	other = mmap((void *)FAR_AWAY, 2 * PAGE, PROT_READ | PROT_WRITE, anonymous | MAP_FIXED_NOREPLACE, -1,
		     0);
	CHECK(other == (char *)FAR_AWAY);
	if (other == (char *)FAR_AWAY) {
		other[PAGE] = 1;
		CHECK(munmap(other, 2 * PAGE) == 0);
	}
	CHECK_ERROR(map_error(memory, PAGE, PROT_READ, anonymous | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK(all_are(memory, BYTES, KEEP_PATTERN));

	/* A length that is not whole pages; a fixed mapping over the middle; a hint that is taken or not. */
	other = mmap(memory + 4 * PAGE, 2 * PAGE - 1, PROT_READ | PROT_WRITE, anonymous | MAP_FIXED, -1, 0);
	CHECK(other == memory + 4 * PAGE && all_are(other, 2 * PAGE, 0));
	CHECK(all_are(memory, 4 * PAGE, KEEP_PATTERN) && all_are(other + 2 * PAGE, 10 * PAGE, KEEP_PATTERN));
	other = mmap(memory + 5, PAGE, PROT_READ, anonymous, -1, 0);
	CHECK(other != MAP_FAILED && (other >= memory + BYTES || other < memory));
	CHECK(munmap(other, PAGE) == 0);
	other = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, anonymous | MAP_POPULATE, -1, 0);
	CHECK(other != MAP_FAILED && all_are(other, BYTES, 0));
	CHECK(munmap(other, BYTES) == 0 && munmap(memory, BYTES) == 0);
}

static void test_munmap(void)
{
	char *memory = map(BYTES, PROT_READ | PROT_WRITE);

	memset(memory, KEEP_PATTERN, BYTES);
	CHECK_ERROR(munmap(memory + 1, PAGE), EINVAL);
	CHECK_ERROR(munmap(memory, 0), EINVAL);
	CHECK_ERROR(munmap((void *)(HUGE * 2 - PAGE), 2 * PAGE), EINVAL);
	CHECK_ERROR(munmap(memory, -PAGE), EINVAL);
	CHECK(munmap(memory + 2 * PAGE, PAGE) == 0 && munmap(memory + 4 * PAGE, 1) == 0);
	CHECK(readable(memory + PAGE) && !readable(memory + 2 * PAGE) && readable(memory + 3 * PAGE));
	CHECK(!readable(memory + 4 * PAGE) && readable(memory + 5 * PAGE));
	CHECK(all_are(memory + 5 * PAGE, BYTES - 5 * PAGE, KEEP_PATTERN));
	CHECK(munmap(memory, BYTES) == 0); /* holes are no error */
	CHECK(munmap(memory, BYTES) == 0); /* nor is nothing but a hole */
	CHECK(!readable(memory) && !readable(memory + BYTES - 1));
}

static void test_mprotect(void)
{
	char *memory = map(BYTES, PROT_READ | PROT_WRITE);

	memset(memory, KEEP_PATTERN, BYTES);
	CHECK_ERROR(syscall(SYS_mprotect, memory + 1, PAGE, PROT_READ), EINVAL);
	CHECK_ERROR(mprotect(memory, PAGE, 0x40), EINVAL);
	CHECK(mprotect(memory, 0, PROT_NONE) == 0);
	CHECK(mprotect(memory + 4 * PAGE, 4 * PAGE, PROT_READ) == 0);
	CHECK(writable(memory + 3 * PAGE) && !writable(memory + 4 * PAGE) && !writable(memory + 7 * PAGE));
	CHECK(writable(memory + 8 * PAGE) && readable(memory + 4 * PAGE));
	CHECK(mprotect(memory + 5 * PAGE, PAGE, PROT_NONE) == 0);
	CHECK(!readable(memory + 5 * PAGE) && !writable(memory + 5 * PAGE) && readable(memory + 6 * PAGE));
	CHECK(mprotect(memory, BYTES, PROT_READ | PROT_WRITE) == 0);
	CHECK(writable(memory + 5 * PAGE));
	memset(memory + 3 * PAGE, KEEP_PATTERN, 6 * PAGE);
	CHECK(all_are(memory, BYTES, KEEP_PATTERN));
	CHECK(munmap(memory + 15 * PAGE, PAGE) == 0);
	CHECK_ERROR(mprotect(memory + 14 * PAGE, 2 * PAGE, PROT_READ), ENOMEM);
	CHECK(munmap(memory, BYTES) == 0);
	CHECK_ERROR(mprotect(memory, PAGE, PROT_READ), ENOMEM);

	/* Code that the program makes itself: written, then made executable. */
	memory = map(PAGE, PROT_READ | PROT_WRITE);
	memcpy(memory, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
	CHECK(mprotect(memory, PAGE, PROT_READ | PROT_EXEC) == 0);
	CHECK(((int (*)(void))(uintptr_t)memory)() == 42);
	CHECK(!writable(memory) && munmap(memory, PAGE) == 0);
}

static void test_mremap(void)
{
	char *memory = map(BYTES, PROT_READ | PROT_WRITE), *moved, *second;

	memset(memory, KEEP_PATTERN, BYTES);
	CHECK_ERROR((long)mremap(memory + 1, PAGE, PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERROR((long)mremap(memory, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERROR((long)mremap(memory, PAGE, PAGE, 0x80), EINVAL);
	CHECK(mremap(memory, BYTES, HUGE * 2, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK(mremap(memory, BYTES, BYTES, 0) == memory);
	/* Smaller: the tail goes. In place again: zeroes behind. */
	CHECK(mremap(memory, BYTES, 8 * PAGE, 0) == memory);
	CHECK(readable(memory + 7 * PAGE) && !readable(memory + 8 * PAGE));
	CHECK(mmap(memory + 8 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	      MAP_FAILED);
	/* Something is behind it: not in place, but elsewhere. */
	CHECK_ERROR((long)mremap(memory, 8 * PAGE, 9 * PAGE, 0), ENOMEM);
	CHECK(munmap(memory + 8 * PAGE, PAGE) == 0);
	CHECK(mmap(memory + 8 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	      MAP_FAILED);
	moved = mremap(memory, 8 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != memory && !readable(memory));
	CHECK(all_are(moved, 8 * PAGE, KEEP_PATTERN) && all_are(moved + 8 * PAGE, 56 * PAGE, 0));
	CHECK(munmap(moved, 64 * PAGE) == 0 && munmap(memory + 8 * PAGE, PAGE) == 0);
	CHECK_ERROR((long)mremap(memory, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);

	/* Length 0 of a shared mapping: the same pages at another address as well. */
	memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	second = mremap(memory, 0, BYTES, MREMAP_MAYMOVE);
	CHECK(second != MAP_FAILED && second != memory);
	if (second == MAP_FAILED)
		return;
	memory[5 * PAGE] = 'a';
	second[6 * PAGE] = 'b';
	CHECK(second[5 * PAGE] == 'a' && memory[6 * PAGE] == 'b');
	CHECK(munmap(memory, BYTES) == 0 && second[5 * PAGE] == 'a' && munmap(second, BYTES) == 0);
}

static void test_brk(void)
{
	uintptr_t start = (uintptr_t)syscall(SYS_brk, 0);
	uintptr_t top = (start + 2 * PAGE - 1) & -PAGE;

	CHECK((uintptr_t)syscall(SYS_brk, top + BYTES) == top + BYTES);
	CHECK(all_are((char *)top, BYTES, 0));
	memset((char *)top, KEEP_PATTERN, BYTES);
	CHECK((uintptr_t)syscall(SYS_brk, top + PAGE + 1) == top + PAGE + 1);
	CHECK(readable((char *)top + PAGE) && !readable((char *)top + 2 * PAGE));
	CHECK((uintptr_t)syscall(SYS_brk, top + BYTES) == top + BYTES);
	CHECK(all_are((char *)top, 2 * PAGE, KEEP_PATTERN));
	CHECK(all_are((char *)top + 2 * PAGE, BYTES - 2 * PAGE, 0));
	/* What cannot be: the break stays. */
	CHECK((uintptr_t)syscall(SYS_brk, PAGE) == top + BYTES);
	CHECK((uintptr_t)syscall(SYS_brk, HUGE * 2) == top + BYTES);
	CHECK((uintptr_t)syscall(SYS_brk, start) == start);
	CHECK(!readable((char *)top + PAGE));
}

static void test_madvise(void)
{
	char *memory = map(BYTES, PROT_READ | PROT_WRITE);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	memset(memory, KEEP_PATTERN, BYTES);
	CHECK_ERROR(madvise(memory + 1, PAGE, MADV_NORMAL), EINVAL);
	CHECK_ERROR(madvise(memory, PAGE, 9999), EINVAL);
	CHECK_ERROR(madvise(memory, -PAGE, MADV_DONTNEED), EINVAL);
	CHECK(madvise(memory, 0, MADV_DONTNEED) == 0);
	CHECK(madvise(memory + PAGE, 2 * PAGE, MADV_DONTNEED) == 0);
	CHECK(all_are(memory, PAGE, KEEP_PATTERN) && all_are(memory + PAGE, 2 * PAGE, 0));
	CHECK(all_are(memory + 3 * PAGE, BYTES - 3 * PAGE, KEEP_PATTERN));
	CHECK(madvise(memory, BYTES, MADV_WILLNEED) == 0 && madvise(memory, BYTES, MADV_SEQUENTIAL) == 0);
	CHECK(all_are(memory + 3 * PAGE, BYTES - 3 * PAGE, KEEP_PATTERN));
	CHECK(munmap(memory + 8 * PAGE, PAGE) == 0);
	CHECK_ERROR(madvise(memory + 7 * PAGE, 2 * PAGE, MADV_NORMAL), ENOMEM);
	CHECK(munmap(memory, BYTES) == 0);
	CHECK_ERROR(madvise(memory, PAGE, MADV_DONTNEED), ENOMEM);

	/* Of a shared mapping only the translation is forgotten. */
	CHECK(shared != MAP_FAILED);
	shared[0] = KEEP_PATTERN;
	CHECK(madvise(shared, PAGE, MADV_DONTNEED) == 0 && shared[0] == KEEP_PATTERN);
	CHECK(munmap(shared, PAGE) == 0);
}

static void test_mincore(void)
{
	char *memory = map(BYTES, PROT_READ | PROT_WRITE);
	unsigned char resident[16];

	memory[PAGE] = 1;
	memory[5 * PAGE] = 1;
	memset(resident, 0xff, sizeof(resident));
	CHECK(mincore(memory, BYTES, resident) == 0);
	for (unsigned i = 0; i < sizeof(resident); i++)
		CHECK((resident[i] & 1) == (i == 1 || i == 5));
	CHECK_ERROR(mincore(memory + 1, PAGE, resident), EINVAL);
	CHECK(mincore(memory, 0, resident) == 0);
	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	CHECK_ERROR(mincore(memory, BYTES, resident), ENOMEM);
	CHECK(munmap(memory, BYTES) == 0);
	CHECK_ERROR(mincore(memory, PAGE, resident), ENOMEM);
}

/* Many mappings that cannot be joined, then holes between them, then all gone. */
static void test_many(void)
{
	char *memory = map(MANY * PAGE, PROT_READ | PROT_WRITE);

	for (size_t i = 0; i < MANY; i++)
		memory[i * PAGE] = (char)i;
	for (size_t i = 0; i < MANY; i += 2)
		CHECK(mprotect(memory + i * PAGE, PAGE, PROT_READ) == 0);
	for (size_t i = 0; i < MANY; i++)
		CHECK(memory[i * PAGE] == (char)i);
	for (size_t i = 0; i < MANY; i += 3)
		CHECK(munmap(memory + i * PAGE, PAGE) == 0);
	for (size_t i = 0; i < MANY; i++)
		CHECK(readable(memory + i * PAGE) == (i % 3 != 0));
	CHECK(munmap(memory, MANY * PAGE) == 0);
}

/* ---- What /proc says ------------------------------------------------------------------------------------- */

/* A figure of smaps, in pages, of the mapping that begins at `memory`; -1: there is none. */
static long listed(const char *memory, const char *figure)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[512], start[32];
	bool inside = false;
	long kib = -1;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)memory);
	while (file && kib < 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = true;
		else if (inside && strncmp(line, figure, strlen(figure)) == 0)
			kib = strtol(line + strlen(figure) + 1, NULL, 10);
	}
	if (file)
		fclose(file);
	return kib < 0 ? -1 : kib / (long)(PAGE / 1024);
}

static void test_listings(void)
{
	char *whole = map(BYTES, PROT_NONE), *memory = whole + PAGE;
	int file = open("/proc/self/pagemap", O_RDONLY);
	off_t at = (off_t)((unsigned long)memory / PAGE * sizeof(uint64_t));
	uint64_t words[3];

	CHECK(mprotect(memory, BYTES - 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
	memory[PAGE] = 1;
	CHECK(listed(memory, "Size") == BYTES / PAGE - 2 && listed(memory, "Rss") == 1);
	CHECK(listed(memory, "Locked") == 0);
	CHECK(pread(file, words, sizeof(words), at) == sizeof(words));
	CHECK(words[0] >> 63 == 0 && words[1] >> 63 == 1 && words[2] >> 63 == 0);
	CHECK_ERROR(pread(file, words, 7, at), EINVAL);
	CHECK_ERROR(pread(file, words, 8, at + 4), EINVAL);
	CHECK(mlock(memory, 4 * PAGE) == 0);
	CHECK(listed(memory, "Rss") == 4 && listed(memory, "Locked") == 4);
	CHECK(munmap(whole, BYTES) == 0);
	close(file);
}

int main(void)
{
	test_mmap();
	test_munmap();
	test_mprotect();
	test_mremap();
	test_brk();
	test_madvise();
	test_mincore();
	test_many();
	test_listings();
	return checks_end("memory");
}
