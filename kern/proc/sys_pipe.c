/*
 * System calls about pipes: pipe, pipe2, and splice, tee and vmsplice, which copy. The pipe itself is kern/fs/pipe.c's.
 */
#include <asm/errno.h>
#include <kern/pipe.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/uio.h>

#include "syscall.h"

#define PIPE_FLAGS (O_CLOEXEC | O_NONBLOCK | O_DIRECT)
#define SPLICE_FLAGS \
	0xfu /* SPLICE_F_MOVE, NONBLOCK, MORE, GIFT (splice(2)): the kernel's headers for programs lack them */
#define SPLICE_NONBLOCK 2u
#define COPY_BYTES      1024 /* at a time, on the stack */

/* ---- pipe -------------------------------------------------------------------------------------------------- */

int64_t install_pair(struct task *task, struct file *files[2], vaddr_t to, unsigned flags)
{
	int numbers[2], error = 0;

	numbers[0] = descriptor_reserve(task, 0);
	numbers[1] = numbers[0] < 0 ? numbers[0] : descriptor_reserve(task, 0);
	if (numbers[1] < 0)
		error = numbers[1];
	else if (copy_to_user(to, numbers, sizeof(numbers)) != 0)
		error = -EFAULT;
	for (unsigned i = 0; i < 2; i++) {
		if (!error)
			descriptor_fill(task, numbers[i], files[i], flags & O_CLOEXEC);
		else if (numbers[i] >= 0)
			descriptor_cancel(task, numbers[i]);
	}
	if (error) {
		file_unref(files[0]);
		file_unref(files[1]);
	}
	return error;
}

static int64_t make_pipe(struct task *task, vaddr_t to, unsigned flags)
{
	struct file *ends[2];
	int64_t result;

	if (flags & ~(unsigned)PIPE_FLAGS)
		return -EINVAL;
	result = pipe_create(flags & (O_NONBLOCK | O_DIRECT), ends);
	if (result)
		return result;
	return install_pair(task, ends, to, flags);
}

int64_t sys_pipe(struct task *task, struct trapframe *frame)
{
	return make_pipe(task, frame->rdi, 0);
}

int64_t sys_pipe2(struct task *task, struct trapframe *frame)
{
	return make_pipe(task, frame->rdi, (unsigned)frame->rsi);
}

/* ---- Moving bytes between files ------------------------------------------------------------------------------- */

/* One end of a transfer. */
struct end {
	struct file *file;
	uint64_t position;
	uint64_t *at; /* &position, or NULL: where the file itself is */
};

static int64_t write_part(struct end *to, const char *bytes, size_t count)
{
	struct io io;

	io_init_kernel(&io, (void *)bytes, count, true);
	return file_write(to->file, &io, to->at);
}

/* From a pipe to any file. What could not be written stays in the pipe; `keep`: so does the rest. */
static int64_t move_from_pipe(struct file *from, struct end *to, uint64_t bytes, bool nonblock, bool keep)
{
	char part[COPY_BYTES];
	uint64_t done = 0;
	int64_t there = pipe_peek_begin(from, nonblock), status = 0;

	if (there <= 0)
		return there;
	if (bytes > (uint64_t)there)
		bytes = (uint64_t)there;
	while (done < bytes) {
		size_t most = bytes - done < COPY_BYTES ? bytes - done : COPY_BYTES;
		size_t count = pipe_peek(from, done, part, most);

		status = write_part(to, part, count);
		if (status <= 0)
			break;
		done += (uint64_t)status;
		if ((size_t)status < count)
			break;
	}
	pipe_peek_end(from, keep ? 0 : done);
	return done > 0 ? (int64_t)done : status;
}

/* Bytes that were read and found no place are to be read again, if the file can go back. */
static void give_back(struct end *from, int64_t bytes)
{
	if (from->at)
		*from->at -= (uint64_t)bytes;
	else
		(void)file_seek(from->file, -bytes, SEEK_CUR);
}

/*
 * From any file to a pipe, as much as is there and fits without waiting once something was moved. Bytes are read only when they can be
 * written, unless another writer comes in between, and then that is waited for.
 */
static int64_t move_to_pipe(struct end *from, struct file *to, uint64_t bytes)
{
	struct end end = {.file = to};
	char part[COPY_BYTES];
	uint64_t done = 0;
	int64_t got, put = 0;

	while (done < bytes) {
		size_t most = bytes - done < COPY_BYTES ? bytes - done : COPY_BYTES;
		struct io io;

		put = pipe_await_room(to, most, done > 0 || to->flags & O_NONBLOCK);
		if (put < 0)
			break;
		io_init_kernel(&io, part, most, false);
		put = got = file_read(from->file, &io, from->at);
		if (got <= 0)
			break;
		put = write_part(&end, part, (size_t)got);
		if (put < got)
			give_back(from, got - (put > 0 ? put : 0));
		if (put <= 0)
			break;
		done += (uint64_t)put;
		if (put < COPY_BYTES)
			break;
	}
	return done > 0 ? (int64_t)done : put;
}

/* ---- splice, tee, vmsplice ---------------------------------------------------------------------------------------- */

/* The file and the position that splice was given; a pipe has none. */
static int64_t get_end(struct task *task, int descriptor, vaddr_t offset, struct end *end)
{
	int64_t position;

	end->file = descriptor_get(task, descriptor);
	end->at = NULL;
	if (!end->file)
		return -EBADF;
	if (!offset)
		return 0;
	if (file_is_pipe(end->file))
		return -ESPIPE;
	if (!end->file->ops->seek)
		return -EINVAL;
	if (copy_from_user(&position, offset, sizeof(position)) != 0)
		return -EFAULT;
	end->position = (uint64_t)position;
	end->at = &end->position;
	return position < 0 ? -EINVAL : 0;
}

static void put_end(struct end *end, vaddr_t offset, int64_t *result)
{
	if (end->at && *result > 0 && copy_to_user(offset, &end->position, sizeof(end->position)) != 0)
		*result = -EFAULT;
	if (end->file)
		file_unref(end->file);
}

static bool may_read(const struct file *file)
{
	return (file->flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct file *file)
{
	return (file->flags & O_ACCMODE) != O_RDONLY;
}

static int64_t splice(struct end *from, struct end *to, uint64_t bytes, bool nonblock)
{
	bool from_pipe = file_is_pipe(from->file), to_pipe = file_is_pipe(to->file);

	if (!may_read(from->file) || !may_write(to->file))
		return -EBADF;
	if (!from_pipe && !to_pipe)
		return -EINVAL;
	if (from_pipe && to_pipe && from->file->private == to->file->private)
		return -EINVAL;
	if (!from_pipe && !from->file->ops->read)
		return -EINVAL;
	if (to->file->flags & O_APPEND)
		return -EINVAL;
	if (to_pipe && nonblock && !(file_poll(to->file, NULL) & EPOLLOUT))
		return -EAGAIN;
	if (from_pipe)
		return move_from_pipe(from->file, to, bytes, nonblock || (from->file->flags & O_NONBLOCK),
				      false);
	return move_to_pipe(from, to->file, bytes);
}

int64_t sys_splice(struct task *task, struct trapframe *frame)
{
	struct end from = {.file = NULL}, to = {.file = NULL};
	int64_t result;

	if ((frame->r9 & ~(uint64_t)SPLICE_FLAGS) != 0)
		return -EINVAL;
	if (frame->r8 == 0)
		return 0;
	result = get_end(task, (int)frame->rdi, frame->rsi, &from);
	if (!result)
		result = get_end(task, (int)frame->rdx, frame->r10, &to);
	if (!result)
		result = splice(&from, &to, frame->r8, frame->r9 & SPLICE_NONBLOCK);
	put_end(&to, frame->r10, &result);
	put_end(&from, frame->rsi, &result);
	return result;
}

int64_t sys_tee(struct task *task, struct trapframe *frame)
{
	struct end from = {.file = NULL}, to = {.file = NULL};
	int64_t result;

	if ((frame->r10 & ~(uint64_t)SPLICE_FLAGS) != 0)
		return -EINVAL;
	if (frame->rdx == 0)
		return 0;
	result = get_end(task, (int)frame->rdi, 0, &from);
	if (!result)
		result = get_end(task, (int)frame->rsi, 0, &to);
	if (!result && (!may_read(from.file) || !may_write(to.file)))
		result = -EBADF;
	if (!result &&
	    (!file_is_pipe(from.file) || !file_is_pipe(to.file) || from.file->private == to.file->private))
		result = -EINVAL;
	if (!result)
		result = move_from_pipe(from.file, &to, frame->rdx, frame->r10 & SPLICE_NONBLOCK, true);
	put_end(&to, 0, &result);
	put_end(&from, 0, &result);
	return result;
}

/* Once there is room, as much goes into the pipe as fits; the rest is not waited for. */
static int64_t memory_to_pipe(struct task *task, struct file *file, const struct trapframe *frame,
			      bool nonblock)
{
	int64_t result;

	if (frame->rdx == 0)
		return 0;
	do {
		result = pipe_await_room(file, PIPE_BUF, nonblock);
		if (!result)
			result = transfer_without_waiting(task, frame, true);
	} while (result == -EAGAIN && !nonblock);
	return result;
}

/* Copies, in the direction that the end of the pipe allows. */
int64_t sys_vmsplice(struct task *task, struct trapframe *frame)
{
	bool nonblock = frame->r10 & SPLICE_NONBLOCK;
	struct file *file;
	int64_t result;

	if ((frame->r10 & ~(uint64_t)SPLICE_FLAGS) != 0)
		return -EINVAL;
	file = descriptor_get(task, (int)frame->rdi);
	if (!file)
		return -EBADF;
	if (!file_is_pipe(file))
		result = -EBADF;
	else if (may_write(file))
		result = memory_to_pipe(task, file, frame, nonblock);
	else
		result = nonblock ? transfer_without_waiting(task, frame, false) : sys_readv(task, frame);
	file_unref(file);
	return result;
}
