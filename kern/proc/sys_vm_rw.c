/*
 * The system calls process_vm_readv and process_vm_writev: another process's memory, copied without its help.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <linux/uio.h>

#include "memory.h"

#define CHUNK_BYTES 1024

/* A list of ranges in some process's memory, on the way through. */
struct ranges {
	vaddr_t list;     /* what is left of the caller's array */
	uint64_t count;   /* left in it */
	struct iovec now; /* what is left of the range in hand */
};

/*
 * What is wrong with a list, before anything is copied; how long it is in all in `*total`. Memory of one's own has to be where a program's can
 * be. -EFAULT, -EINVAL. The list may change before it is read again, so that nothing relies on this.
 */
static int check_list(const struct ranges *ranges, bool own, uint64_t *total)
{
	struct iovec one;

	*total = 0;
	for (uint64_t i = 0; i < ranges->count; i++) {
		if (copy_from_user(&one, ranges->list + i * sizeof(one), sizeof(one)) != 0)
			return -EFAULT;
		if (one.iov_len > INT64_MAX)
			return -EINVAL;
		if (own && !io_may_be_buffer((vaddr_t)one.iov_base, one.iov_len))
			return -EFAULT;
		*total = one.iov_len > INT64_MAX - *total ? INT64_MAX : *total + one.iov_len;
	}
	return 0;
}

/* Sees to it that the range in hand is not empty. 1; 0: there is no more; -EFAULT. */
static int next_range(struct ranges *ranges)
{
	while (ranges->now.iov_len == 0) {
		if (ranges->count == 0)
			return 0;
		if (copy_from_user(&ranges->now, ranges->list, sizeof(ranges->now)) != 0)
			return -EFAULT;
		ranges->list += sizeof(ranges->now);
		ranges->count--;
	}
	return 1;
}

static void advance(struct ranges *ranges, uint64_t bytes)
{
	ranges->now.iov_base = (char *)ranges->now.iov_base + bytes;
	ranges->now.iov_len -= bytes;
}

/* Copies up to a chunk; how many bytes, or -EFAULT. */
static int64_t copy_chunk(struct map *root, struct ranges *own, struct ranges *other, bool writing)
{
	char chunk[CHUNK_BYTES];
	uint64_t bytes = own->now.iov_len < other->now.iov_len ? own->now.iov_len : other->now.iov_len;
	vaddr_t here = (vaddr_t)own->now.iov_base, there = (vaddr_t)other->now.iov_base;
	int64_t done;

	if (bytes > CHUNK_BYTES)
		bytes = CHUNK_BYTES;
	/* Not over the end of a page, so that what is not copied is not there. */
	if (bytes > PAGE_SIZE - (here & PAGE_MASK))
		bytes = PAGE_SIZE - (here & PAGE_MASK);
	if (!user_range(there, bytes))
		return -EFAULT;
	if (writing) {
		if (copy_from_user(chunk, here, bytes) != 0)
			return -EFAULT;
		return map_write(root, there, chunk, bytes);
	}
	done = map_read(root, there, chunk, bytes);
	if (done > 0 && copy_to_user(here, chunk, (size_t)done) != 0)
		return -EFAULT;
	return done;
}

static int64_t copy_ranges(struct map *root, struct ranges *own, struct ranges *other, bool writing)
{
	int64_t total = 0;

	for (;;) {
		int more = next_range(own);
		int64_t done;

		if (more > 0)
			more = next_range(other);
		if (more <= 0)
			return total > 0 || more == 0 ? total : more;
		done = copy_chunk(root, own, other, writing);
		if (done <= 0)
			return total > 0 ? total : done;
		advance(own, (uint64_t)done);
		advance(other, (uint64_t)done);
		total += done;
		thread_breathe();
		/* As much at a time as by one of read's kin; and who is to end does not copy on. */
		if (total >= (int64_t)IO_MAX_BYTES || (thread_current()->interrupts & INTERRUPT_KILL))
			return total;
	}
}

static int64_t vm_call(struct task *task, const struct trapframe *frame, bool writing)
{
	struct ranges own = {.list = frame->rsi, .count = frame->rdx};
	struct ranges other = {.list = frame->r10, .count = frame->r8};
	struct user_space *space;
	uint64_t total;
	int64_t result;

	if (frame->r9 != 0 || own.count > UIO_MAXIOV)
		return -EINVAL;
	result = check_list(&own, true, &total);
	if (result || total == 0)
		return result;
	if (other.count > UIO_MAXIOV)
		return -EINVAL;
	result = check_list(&other, false, &total);
	if (result || total == 0)
		return result;
	result = space_of_process(task, (int)frame->rdi, &space);
	if (result)
		return result;
	result = copy_ranges(space->root, &own, &other, writing);
	user_space_unref(space);
	return result;
}

int64_t sys_process_vm_readv(struct task *task, struct trapframe *frame)
{
	return vm_call(task, frame, false);
}

int64_t sys_process_vm_writev(struct task *task, struct trapframe *frame)
{
	return vm_call(task, frame, true);
}
