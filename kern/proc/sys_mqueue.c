/*
 * POSIX message queues: mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr. The queues are kern/fs/mqueue.c's.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/mqueue.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/time.h>
#include <vm/page.h>

#include "syscall.h"
#include "times.h"

/* ---- Names ---------------------------------------------------------------------------------------------------- */

/* Copies a name into a page. -EFAULT, -ENAMETOOLONG, -ENOMEM. */
static int get_name(vaddr_t from, struct page **out)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	long length;

	if (!page)
		return -ENOMEM;
	length = copy_string_from_user(page_data(page), from, PATH_MAX);
	if (length < 0) {
		page_free(page);
		return (int)length;
	}
	*out = page;
	return 0;
}

static int64_t open_queue(struct task *task, const char *name, const struct trapframe *frame,
			  const struct mq_attr *attributes)
{
	int descriptor = descriptor_reserve(task, 0), error;
	struct file *file;

	if (descriptor < 0)
		return descriptor;
	error = mqueue_open(task, name, (unsigned)frame->rsi, (unsigned)frame->rdx, attributes, &file);
	if (error) {
		descriptor_cancel(task, descriptor);
		return error;
	}
	/* As Linux: whatever was asked for. */
	descriptor_fill(task, descriptor, file, O_CLOEXEC);
	return descriptor;
}

int64_t sys_mq_open(struct task *task, struct trapframe *frame)
{
	struct mq_attr attributes;
	struct page *page;
	int64_t result;

	if (frame->r10 && copy_from_user(&attributes, frame->r10, sizeof(attributes)) != 0)
		return -EFAULT;
	result = get_name(frame->rdi, &page);
	if (result)
		return result;
	result = open_queue(task, page_data(page), frame, frame->r10 ? &attributes : NULL);
	page_free(page);
	return result;
}

int64_t sys_mq_unlink(struct task *task, struct trapframe *frame)
{
	struct page *page;
	int64_t result = get_name(frame->rdi, &page);

	if (result)
		return result;
	result = mqueue_unlink(task, page_data(page));
	page_free(page);
	return result;
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

/* The deadline of a call: a time of day, or none. -EFAULT, -EINVAL. */
static int get_deadline(vaddr_t from, uint64_t *out)
{
	const struct clock real = {.kind = CLOCK_KIND_REAL};
	int64_t time;
	int error;

	*out = TIME_NEVER;
	if (!from)
		return 0;
	error = time_from_user(from, &time);
	if (!error)
		*out = clock_to_boot(&real, time);
	return error;
}

/* The queue of a descriptor that is open for that (mqueue_is_open_for); a reference. NULL: -EBADF. */
static struct file *get_queue(struct task *task, int descriptor, unsigned access)
{
	struct file *file = descriptor_get(task, descriptor);

	if (!file || mqueue_is_open_for(file, access))
		return file;
	file_unref(file);
	return NULL;
}

static int64_t send(struct task *task, struct file *file, const struct trapframe *frame, uint64_t deadline)
{
	struct message *message;
	int error;

	if (frame->rdx > mqueue_message_bytes(file))
		return -EMSGSIZE;
	error = message_load(frame->rsi, frame->rdx, &message);
	if (error)
		return error;
	message->type = (long)(uint32_t)frame->r10;
	error = mqueue_send(file, task, message, deadline);
	if (error)
		message_free(message);
	return error;
}

int64_t sys_mq_timedsend(struct task *task, struct trapframe *frame)
{
	uint64_t deadline;
	struct file *file;
	int64_t result = get_deadline(frame->r8, &deadline);

	if (result)
		return result;
	if ((uint32_t)frame->r10 >= MQUEUE_PRIORITIES)
		return -EINVAL;
	file = get_queue(task, (int)frame->rdi, O_WRONLY);
	if (!file)
		return -EBADF;
	result = send(task, file, frame, deadline);
	file_unref(file);
	return result;
}

/* As on Linux a message is lost that the program has no memory for. */
static int64_t hand_over(const struct message *message, vaddr_t to, vaddr_t priority_to)
{
	const uint32_t priority = (uint32_t)message->type;

	if ((priority_to && copy_to_user(priority_to, &priority, sizeof(priority)) != 0) ||
	    message_store(message, to, message->bytes) != 0)
		return -EFAULT;
	return (int64_t)message->bytes;
}

int64_t sys_mq_timedreceive(struct task *task, struct trapframe *frame)
{
	struct message *message;
	uint64_t deadline;
	struct file *file;
	int64_t result = get_deadline(frame->r8, &deadline);

	if (result)
		return result;
	file = get_queue(task, (int)frame->rdi, O_RDONLY);
	if (!file)
		return -EBADF;
	if (frame->rdx < mqueue_message_bytes(file))
		result = -EMSGSIZE;
	else
		result = mqueue_receive(file, deadline, &message);
	file_unref(file);
	if (result)
		return result;
	result = hand_over(message, frame->rsi, frame->r10);
	message_free(message);
	return result;
}

/* ---- The others --------------------------------------------------------------------------------------------------- */

int64_t sys_mq_notify(struct task *task, struct trapframe *frame)
{
	sigevent_t event;
	struct file *file;
	int64_t result;

	if (frame->rsi) {
		if (copy_from_user(&event, frame->rsi, sizeof(event)) != 0)
			return -EFAULT;
		/* For threads the C library reads from a socket of a kind that there is none of here. */
		if (event.sigev_notify == SIGEV_THREAD)
			return -EBADF;
		if (event.sigev_notify != SIGEV_NONE && event.sigev_notify != SIGEV_SIGNAL)
			return -EINVAL;
		if (event.sigev_notify == SIGEV_SIGNAL && (uint32_t)event.sigev_signo > SIGNAL_MAX)
			return -EINVAL;
	}
	file = get_queue(task, (int)frame->rdi, O_RDWR);
	if (!file)
		return -EBADF;
	result = mqueue_notify(file, task, frame->rsi ? &event : NULL);
	file_unref(file);
	return result;
}

int64_t sys_mq_getsetattr(struct task *task, struct trapframe *frame)
{
	struct mq_attr wanted, before;
	struct file *file;

	if (frame->rsi) {
		if (copy_from_user(&wanted, frame->rsi, sizeof(wanted)) != 0)
			return -EFAULT;
		if (wanted.mq_flags & ~(long)O_NONBLOCK)
			return -EINVAL;
	}
	file = get_queue(task, (int)frame->rdi, O_RDWR);
	if (!file)
		return -EBADF;
	mqueue_attributes(file, frame->rsi ? (int)wanted.mq_flags : -1, &before);
	file_unref(file);
	return frame->rdx && copy_to_user(frame->rdx, &before, sizeof(before)) != 0 ? -EFAULT : 0;
}
