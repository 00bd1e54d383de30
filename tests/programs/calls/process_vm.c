/*
 * Calls on memory that fit nowhere else: process_vm_readv and process_vm_writev, remap_file_pages, membarrier,
 * userfaultfd.
 */
#include "tap.h"
#include <linux/membarrier.h>
#include <sys/uio.h>

#define PAGES    4
#define TOO_MANY 1025 /* one more than IOV_MAX */

static const int rw = PROT_READ | PROT_WRITE;

static long vm_read(pid_t pid, const struct iovec *to, unsigned to_count, const struct iovec *from,
		    unsigned from_count)
{
	return CALL(process_vm_readv, pid, to, to_count, from, from_count, 0);
}

static long vm_write(pid_t pid, const struct iovec *from, unsigned from_count, const struct iovec *to,
		     unsigned to_count)
{
	return CALL(process_vm_writev, pid, from, from_count, to, to_count, 0);
}

/* A child that has the memory filled with 'c' and waits to be killed. */
static pid_t waiting_child(char *memory, size_t bytes)
{
	int ready[2];
	char byte;
	pid_t child;

	NEED(pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		memset(memory, 'c', bytes);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	NEED(child > 0 && read(ready[0], &byte, 1) == 1);
	return child;
}

TEST(read, "process_vm_readv: another process's memory, gathered from pieces into pieces")
{
	char *memory = anonymous(PAGES * PAGE), text[20] = "";
	pid_t child = waiting_child(memory, PAGES * PAGE);
	struct iovec to[] = {{text, 3}, {text + 5, 7}};
	struct iovec from[] = {{memory + PAGE - 2, 4}, {memory + 3 * PAGE, 6}};

	EQUAL(vm_read(child, to, 2, from, 2), 10);
	CHECK(memcmp(text, "ccc\0\0ccccccc", 13) == 0);
	EQUAL(memory[0], 0);
	kill(child, SIGKILL);
	wait_status(child);
	FAILS(vm_read(child, to, 2, from, 2), ESRCH);
}

TEST(write, "process_vm_writev: the other process's private copy, not one's own")
{
	char *memory = anonymous(PAGES * PAGE), back[8] = "";
	pid_t child = waiting_child(memory, PAGES * PAGE);
	struct iovec from = {"hello", 6}, to = {memory + PAGE - 3, 6}, here = {back, 6};

	EQUAL(vm_write(child, &from, 1, &to, 1), 6);
	EQUAL(vm_read(child, &here, 1, &to, 1), 6);
	CHECK(strcmp(back, "hello") == 0 && memory[PAGE - 3] == 0);
	kill(child, SIGKILL);
	wait_status(child);
}

TEST(itself, "a process may name itself")
{
	char from[] = "from", to[5] = "";
	struct iovec source = {from, 5}, target = {to, 5};

	EQUAL(vm_read(getpid(), &target, 1, &source, 1), 5);
	CHECK(strcmp(to, "from") == 0);
}

TEST(partial, "what cannot be read ends the transfer; nothing at all is EFAULT")
{
	char *memory = anonymous(PAGES * PAGE), *to = anonymous(PAGES * PAGE);
	struct iovec target = {to, 3 * PAGE}, source = {memory + PAGE, 3 * PAGE},
		     hole = {memory + 2 * PAGE, PAGE};
	struct iovec pieces[] = {{memory + PAGE, PAGE}, {memory + 2 * PAGE, PAGE}};

	memset(memory, 'x', PAGES * PAGE);
	CHECK(munmap(memory + 2 * PAGE, PAGE) == 0);
	EQUAL(vm_read(getpid(), &target, 1, &source, 1), PAGE);
	EQUAL(vm_read(getpid(), &target, 1, pieces, 2), PAGE);
	FAILS(vm_read(getpid(), &target, 1, &hole, 1), EFAULT);
	CHECK(mprotect(memory + PAGE, PAGE, PROT_READ) == 0);
	FAILS(vm_write(getpid(), &target, 1, pieces, 1), EFAULT); /* its protection counts */
	target.iov_base = memory + 2 * PAGE;
	FAILS(vm_read(getpid(), &target, 1, &(struct iovec){memory, PAGE}, 1), EFAULT);
}

TEST(transfer_bad, "unknown flags and too many pieces are EINVAL, a bad vector EFAULT, no process ESRCH")
{
	static struct iovec many[TOO_MANY];
	char byte;
	struct iovec here = {&byte, 1};

	FAILS(CALL(process_vm_readv, getpid(), &here, 1, &here, 1, 1), EINVAL);
	FAILS(CALL(process_vm_writev, getpid(), &here, 1, &here, 1, 1), EINVAL);
	FAILS(vm_read(getpid(), many, TOO_MANY, &here, 1), EINVAL);
	FAILS(vm_read(getpid(), &here, 1, many, TOO_MANY), EINVAL);
	FAILS(vm_read(getpid(), (void *)8, 1, &here, 1), EFAULT);
	FAILS(vm_read(getpid(), &here, 1, (void *)8, 1), EFAULT);
	FAILS(vm_read(999999, &here, 1, &here, 1), ESRCH);
	FAILS(vm_read(getpid(), &(struct iovec){&byte, -1ul}, 1, &here, 1), EINVAL);
	EQUAL(vm_read(getpid(), &here, 0, &here, 1), 0);
	EQUAL(vm_read(getpid(), &here, 1, &here, 0), 0);
}

TEST(permission, "another user's process is EPERM")
{
	char *memory = anonymous(PAGE);
	pid_t child = waiting_child(memory, PAGE);

	IN_CHILD
	{
		char byte;
		struct iovec to = {&byte, 1}, from = {memory, 1};

		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(vm_read(child, &to, 1, &from, 1), EPERM);
	}
	kill(child, SIGKILL);
	wait_status(child);
}

TEST(rearrange, "remap_file_pages: pages of a shared mapping in another order")
{
	int file = make_file("file", PAGES * PAGE);
	char *memory = mmap(NULL, PAGES * PAGE, rw, MAP_SHARED, file, 0), byte;

	NEED(memory != MAP_FAILED);
	CHECK(CALL(remap_file_pages, memory, PAGE, 0, 3, 0) == 0);
	CHECK(CALL(remap_file_pages, memory + 2 * PAGE, 2 * PAGE, 0, 0, 0) == 0);
	CHECK(memory[0] == 4 && memory[PAGE] == 2 && memory[2 * PAGE] == 1 && memory[3 * PAGE] == 2);
	memory[5] = 'x';
	CHECK(pread(file, &byte, 1, 3 * PAGE + 5) == 1 && byte == 'x');
}

TEST(rearrange_bad, "remap_file_pages: private memory, a protection, and length 0 are EINVAL")
{
	int file = make_file("file", PAGES * PAGE);
	char *memory = mmap(NULL, PAGES * PAGE, rw, MAP_SHARED, file, 0);
	char *copied = mmap(NULL, PAGES * PAGE, rw, MAP_PRIVATE, file, 0), *hole = anonymous(PAGE);

	FAILS(CALL(remap_file_pages, copied, PAGE, 0, 1, 0), EINVAL);
	FAILS(CALL(remap_file_pages, memory, PAGE, PROT_READ, 1, 0), EINVAL);
	FAILS(CALL(remap_file_pages, memory, 0, 0, 1, 0), EINVAL);
	FAILS(CALL(remap_file_pages, memory, 2 * PAGES * PAGE, 0, 1, 0), EINVAL);
	CHECK(munmap(hole, PAGE) == 0);
	FAILS(CALL(remap_file_pages, hole, PAGE, 0, 0, 0), EINVAL);
	CHECK(memory[0] == 1 && memory[PAGE] == 2);
}

TEST(barrier, "membarrier: what it can do is asked for, and done; private barriers need registration")
{
	long commands = CALL(membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	NEED(commands >= 0);
	CHECK(commands & MEMBARRIER_CMD_GLOBAL);
	CHECK(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	EQUAL(CALL(membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), 0);
	FAILS(CALL(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
	EQUAL(CALL(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0), 0);
	EQUAL(CALL(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
	EQUAL(CALL(membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0), 0);
	EQUAL(CALL(membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0), 0);
}

TEST(barrier_bad, "membarrier: unknown commands and flags are EINVAL")
{
	FAILS(CALL(membarrier, 0x40000000, 0, 0), EINVAL);
	FAILS(CALL(membarrier, 3, 0, 0), EINVAL); /* two commands at once */
	FAILS(CALL(membarrier, MEMBARRIER_CMD_QUERY, 99, 0), EINVAL);
	FAILS(CALL(membarrier, MEMBARRIER_CMD_GLOBAL, 99, 0), EINVAL);
}

TEST(user_faults, "userfaultfd is a descriptor, or ENOSYS or EPERM")
{
	long file = CALL(userfaultfd, O_CLOEXEC);

	CHECK(file >= 0 || errno == ENOSYS || errno == EPERM);
}
