/*
 * System calls that read, write and move positions: of descriptors, whatever they are of.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/inode.h>
#include <linux/capability.h>
#include <linux/fadvise.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/uio.h>
#include <vm/page.h>

#include "syscall.h"

#define PARTS_ON_STACK 8 /* of a vector; more are in pages */

/* ---- What reading and writing have in common ------------------------------------------------------------ */

/* What a call is to do with a descriptor: at a position of its own, or at the file's. */
struct transfer {
	struct task *task;
	int descriptor;
	bool writing;
	bool at_position;
	bool no_wait; /* a pipe's readers or writers */
	int64_t position;
};

static int64_t do_transfer(const struct transfer *how, const struct iovec *parts, size_t count)
{
	struct file *file = descriptor_get(how->task, how->descriptor);
	uint64_t position = (uint64_t)how->position;
	int64_t moved;
	struct io io;

	if (!file)
		return -EBADF;
	moved = how->at_position && how->position < 0 ? -EINVAL
						      : io_init_user(&io, parts, count, how->writing);
	if (moved == 0) {
		io.limit = how->task->process->limits[RLIMIT_FSIZE].rlim_cur;
		io.sets_id = task_capable(how->task, CAP_FSETID);
		io.no_wait = how->no_wait;
		moved = (how->writing ? file_write : file_read)(file, &io,
								how->at_position ? &position : NULL);
	}
	/* The length that there may be, not the one that there can be. */
	if (moved == -EFBIG && io.limit < FILE_MAX_BYTES)
		signal_send_task_kernel(how->task, SIGXFSZ);
	file_unref(file);
	return moved;
}

static int64_t transfer_one(const struct transfer *how, vaddr_t buffer, uint64_t bytes)
{
	const struct iovec part = {.iov_base = (void *)buffer, .iov_len = bytes};

	/* As Linux: no program has a buffer of that length, and that is said first. */
	if (bytes > INT64_MAX) {
		struct file *file = descriptor_get(how->task, how->descriptor);

		if (!file)
			return -EBADF;
		file_unref(file);
		return -EFAULT;
	}
	return do_transfer(how, &part, 1);
}

/* A vector of user memory. */
static int64_t transfer_vector(const struct transfer *how, vaddr_t vector, uint64_t count)
{
	struct iovec few[PARTS_ON_STACK], *parts = few;
	size_t bytes = count * sizeof(*parts), pages = page_round_up(bytes) / PAGE_SIZE;
	struct page *page = NULL;
	int64_t moved;

	if (count > UIO_MAXIOV)
		return -EINVAL;
	if (count > PARTS_ON_STACK) {
		page = page_alloc_run(PAGE_KERNEL, pages, 1, PAGE_ANYWHERE, 0);
		if (!page)
			return -ENOMEM;
		parts = page_data(page);
	}
	moved = copy_from_user(parts, vector, bytes);
	if (moved == 0)
		moved = do_transfer(how, parts, count);
	if (page)
		page_free_run(page, pages);
	return moved;
}

/* ---- read, write and their forms ---------------------------------------------------------------------------- */

int64_t sys_read(struct task *task, struct trapframe *frame)
{
	const struct transfer how = {.task = task, .descriptor = (int)frame->rdi};

	return transfer_one(&how, frame->rsi, frame->rdx);
}

int64_t sys_write(struct task *task, struct trapframe *frame)
{
	const struct transfer how = {.task = task, .descriptor = (int)frame->rdi, .writing = true};

	return transfer_one(&how, frame->rsi, frame->rdx);
}

static struct transfer at_position(struct task *task, const struct trapframe *frame, bool writing)
{
	return (struct transfer){.task = task,
				 .descriptor = (int)frame->rdi,
				 .writing = writing,
				 .at_position = true,
				 .position = (int64_t)frame->r10};
}

int64_t sys_pread64(struct task *task, struct trapframe *frame)
{
	const struct transfer how = at_position(task, frame, false);

	return transfer_one(&how, frame->rsi, frame->rdx);
}

int64_t sys_pwrite64(struct task *task, struct trapframe *frame)
{
	const struct transfer how = at_position(task, frame, true);

	return transfer_one(&how, frame->rsi, frame->rdx);
}

int64_t sys_readv(struct task *task, struct trapframe *frame)
{
	const struct transfer how = {.task = task, .descriptor = (int)frame->rdi};

	return transfer_vector(&how, frame->rsi, frame->rdx);
}

int64_t sys_writev(struct task *task, struct trapframe *frame)
{
	const struct transfer how = {.task = task, .descriptor = (int)frame->rdi, .writing = true};

	return transfer_vector(&how, frame->rsi, frame->rdx);
}

int64_t transfer_without_waiting(struct task *task, const struct trapframe *frame, bool writing)
{
	const struct transfer how = {
		.task = task, .descriptor = (int)frame->rdi, .writing = writing, .no_wait = true};

	return transfer_vector(&how, frame->rsi, frame->rdx);
}

int64_t sys_preadv(struct task *task, struct trapframe *frame)
{
	const struct transfer how = at_position(task, frame, false);

	return transfer_vector(&how, frame->rsi, frame->rdx);
}

int64_t sys_pwritev(struct task *task, struct trapframe *frame)
{
	const struct transfer how = at_position(task, frame, true);

	return transfer_vector(&how, frame->rsi, frame->rdx);
}

/* preadv2(2): position -1 means the file's; of the flags only those that ask for nothing more than is done anyway. */
static int64_t vector_with_flags(struct task *task, const struct trapframe *frame, bool writing)
{
	struct transfer how = at_position(task, frame, writing);

	if (frame->r9 & ~(uint64_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -EOPNOTSUPP;
	how.at_position = how.position != -1;
	return transfer_vector(&how, frame->rsi, frame->rdx);
}

int64_t sys_preadv2(struct task *task, struct trapframe *frame)
{
	return vector_with_flags(task, frame, false);
}

int64_t sys_pwritev2(struct task *task, struct trapframe *frame)
{
	return vector_with_flags(task, frame, true);
}

/* ---- Positions --------------------------------------------------------------------------------------------------- */

int64_t sys_lseek(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t position;

	if (!file)
		return -EBADF;
	position = frame->rdx > SEEK_MAX ? -EINVAL : file_seek(file, (int64_t)frame->rsi, (int)frame->rdx);
	file_unref(file);
	return position;
}

/* ---- ioctl ----------------------------------------------------------------------------------------------------------- */

int64_t sys_ioctl(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t result;

	if (!file)
		return -EBADF;
	result = file_ioctl(file, task, (int)frame->rdi, (unsigned)frame->rsi, frame->rdx);
	file_unref(file);
	return result;
}

/* ---- Lengths ------------------------------------------------------------------------------------------------------------ */

int64_t sys_ftruncate(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t error;

	if (!file)
		return -EBADF;
	if ((int64_t)frame->rsi < 0)
		error = -EINVAL;
	else
		error = file_truncate(file, task, frame->rsi);
	file_unref(file);
	return error;
}

int64_t sys_fallocate(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t error;

	if (!file)
		return -EBADF;
	error = file_allocate(file, task, (unsigned)frame->rsi, (int64_t)frame->rdx, (int64_t)frame->r10);
	file_unref(file);
	return error;
}

/* ---- What has nothing to do here: all is in memory -------------------------------------------------------------------- */

/* `refusal`: the error where it is no file nor directory; 0: none. */
static int64_t check_only(struct task *task, uint64_t descriptor, int refusal)
{
	struct file *file = descriptor_get(task, (int)descriptor);
	int64_t error = 0;

	if (!file)
		return -EBADF;
	if (!S_ISREG(file->inode->mode) && !S_ISDIR(file->inode->mode))
		error = refusal;
	file_unref(file);
	return error;
}

int64_t sys_fsync(struct task *task, struct trapframe *frame)
{
	return check_only(task, frame->rdi, -EINVAL);
}

int64_t sys_syncfs(struct task *task, struct trapframe *frame)
{
	return check_only(task, frame->rdi, 0);
}

int64_t sys_sync(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	return 0;
}

int64_t sys_sync_file_range(struct task *task, struct trapframe *frame)
{
	if ((int64_t)frame->rsi < 0 || (int64_t)frame->rdx < 0 || frame->r10 > 7)
		return -EINVAL;
	return check_only(task, frame->rdi, -ESPIPE);
}

int64_t sys_readahead(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t error = 0;

	if (!file)
		return -EBADF;
	if ((file->flags & O_ACCMODE) == O_WRONLY)
		error = -EBADF;
	else if (!S_ISREG(file->inode->mode) && !S_ISBLK(file->inode->mode))
		error = -EINVAL;
	file_unref(file);
	return error;
}

int64_t sys_fadvise64(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t error = 0;

	if (!file)
		return -EBADF;
	if (S_ISFIFO(file->inode->mode))
		error = -ESPIPE;
	else if (frame->r10 > POSIX_FADV_NOREUSE || (int64_t)frame->rdx < 0)
		error = -EINVAL;
	file_unref(file);
	return error;
}
