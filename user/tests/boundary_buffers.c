/*
 * Buffers that no program can have: EFAULT from every call that moves bytes, also where there is nothing to
 * read, and nothing is written or read of them. Runs with an empty standard input.
 */
#include "check.h"
#include <sys/uio.h>

#define NONCANONICAL 0x800000000000ul
#define TOP          0xfffffffffffff000ul

#ifndef MADV_POPULATE_READ /* <linux/mman.h> */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static char good[16] = "good";

static void check_address(uintptr_t address)
{
	void *bad = (void *)address;
	struct iovec parts[2] = {{good, 0}, {bad, 8}};

	CHECK_ERROR(syscall(SYS_read, 0, bad, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_write, 1, bad, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_readv, 0, parts, 2), EFAULT);
	CHECK_ERROR(syscall(SYS_writev, 1, parts, 2), EFAULT);
	CHECK(syscall(SYS_write, 1, good, 0) == 0);
}

static void check_lengths(void)
{
	struct iovec parts[2] = {{good, SIZE_MAX / 2}, {good, 1}};

	CHECK_ERROR(syscall(SYS_write, 1, good, SIZE_MAX), EFAULT);
	CHECK_ERROR(syscall(SYS_write, 1, good, NONCANONICAL), EFAULT);
	CHECK_ERROR(syscall(SYS_read, 0, good, SIZE_MAX), EFAULT);
	CHECK_ERROR(syscall(SYS_writev, 1, parts, 2), EINVAL);
	CHECK_ERROR(syscall(SYS_writev, 1, parts, 1025), EINVAL);
	parts[0].iov_len = SIZE_MAX;
	CHECK_ERROR(syscall(SYS_readv, 0, parts, 1), EINVAL);
	CHECK(syscall(SYS_read, 0, good, sizeof(good)) == 0);
}

static void check_populate(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK_ERROR(madvise(page, PAGE, MADV_POPULATE_WRITE), EINVAL);
	CHECK(madvise(page, PAGE, MADV_POPULATE_READ) == 0);
	CHECK(munmap(page, PAGE) == 0);
}

int main(void)
{
	check_address(NONCANONICAL);
	check_address(TOP);
	if (on_phoenix()) {
		check_address(0);
		check_address(0x78100000);
		check_address(0x80000000);
		check_address(0x6fc000000000);
		check_address(0x700000000000);
	}
	check_lengths();
	check_populate();
	CHECK(strcmp(good, "good") == 0);
	return checks_end("boundary_buffers");
}
