/*
 * System calls that copy from file to file: sendfile and copy_file_range; and files of memory.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/memfd.h>

#include "user_path.h"

#define COPY_PAGES 4 /* at a time */

/* One side of a copy. `position` NULL: the file's own. */
struct side {
	struct file *file;
	uint64_t *position;
};

/*
 * Copies by way of `buffer`. What was read and could not be written is not lost: the reading side's position is put back. How many, or an error if none.
 */
static int64_t copy_by(struct side from, struct side to, uint64_t bytes, char *buffer, uint64_t room)
{
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t piece = bytes - done < room ? bytes - done : room;
		int64_t got, put;
		struct io io;

		io_init_kernel(&io, buffer, piece, false);
		got = file_read(from.file, &io, from.position);
		if (got <= 0)
			return done > 0 ? (int64_t)done : got;
		io_init_kernel(&io, buffer, (uint64_t)got, true);
		put = file_write(to.file, &io, to.position);
		if (put < got && from.position)
			*from.position -= (uint64_t)(got - (put > 0 ? put : 0));
		else if (put < got)
			file_seek(from.file, (put > 0 ? put : 0) - got, SEEK_CUR);
		if (put <= 0)
			return done > 0 ? (int64_t)done : put;
		done += (uint64_t)put;
		thread_breathe();
		if (put < got || thread_interrupted())
			break;
	}
	return (int64_t)done;
}

static int64_t copy(struct side from, struct side to, uint64_t bytes)
{
	struct page *pages = page_alloc_run(PAGE_KERNEL, COPY_PAGES, 1, PAGE_ANYWHERE, 0);
	int64_t copied;

	if (!pages)
		return -ENOMEM;
	copied = copy_by(from, to, bytes < IO_MAX_BYTES ? bytes : IO_MAX_BYTES, page_data(pages),
			 COPY_PAGES * PAGE_SIZE);
	page_free_run(pages, COPY_PAGES);
	return copied;
}

/* A position in user memory; 0: there is none. -EFAULT, -EINVAL. */
static int get_position(vaddr_t from, uint64_t *out)
{
	if (from && copy_from_user(out, from, sizeof(*out)) != 0)
		return -EFAULT;
	return from && (int64_t)*out < 0 ? -EINVAL : 0;
}

/* ---- sendfile ----------------------------------------------------------------------------------------------------- */

int64_t sys_sendfile(struct task *task, struct trapframe *frame)
{
	struct side to = {.file = descriptor_get(task, (int)frame->rdi)};
	struct side from = {.file = descriptor_get(task, (int)frame->rsi)};
	uint64_t position = 0;
	int64_t copied = to.file && from.file ? get_position(frame->rdx, &position) : -EBADF;

	if (!copied &&
	    ((from.file->flags & O_ACCMODE) == O_WRONLY || (to.file->flags & O_ACCMODE) == O_RDONLY))
		copied = -EBADF;
	/* The source can be read anywhere; what is appended to is refused (sendfile(2)). */
	if (!copied && (!from.file->ops->seek || !from.file->ops->read || to.file->flags & O_APPEND))
		copied = from.file->ops->seek || !frame->rdx ? -EINVAL : -ESPIPE;
	if (!copied) {
		if (frame->rdx)
			from.position = &position;
		copied = copy(from, to, frame->r10);
		if (copied >= 0 && frame->rdx && copy_to_user(frame->rdx, &position, sizeof(position)) != 0)
			copied = -EFAULT;
	}
	if (from.file)
		file_unref(from.file);
	if (to.file)
		file_unref(to.file);
	return copied;
}

/* ---- copy_file_range ------------------------------------------------------------------------------------------------ */

/* May the one be copied to the other? */
static int check_sides(const struct file *from, const struct file *to)
{
	if (S_ISDIR(from->inode->mode) || S_ISDIR(to->inode->mode))
		return -EISDIR;
	if (!S_ISREG(from->inode->mode) || !S_ISREG(to->inode->mode))
		return -EINVAL;
	if ((from->flags & O_ACCMODE) == O_WRONLY || (to->flags & O_ACCMODE) == O_RDONLY ||
	    to->flags & O_APPEND)
		return -EBADF;
	return 0;
}

/* Copies at positions that are not beyond what there is; in one file not onto itself. */
static int64_t copy_range(struct side from, struct side to, uint64_t bytes)
{
	uint64_t start = *from.position, target = *to.position, end = from.file->inode->bytes;

	if (start >= end)
		return 0;
	if (bytes > end - start)
		bytes = end - start;
	if (from.file->inode == to.file->inode && start < target + bytes && target < start + bytes)
		return -EINVAL;
	return copy(from, to, bytes);
}

int64_t sys_copy_file_range(struct task *task, struct trapframe *frame)
{
	struct file *from = descriptor_get(task, (int)frame->rdi);
	struct file *to = descriptor_get(task, (int)frame->rdx);
	uint64_t source = 0, target = 0;
	int64_t copied = from && to ? check_sides(from, to) : -EBADF;

	if (!copied && frame->r9)
		copied = -EINVAL;
	if (!copied)
		copied = get_position(frame->rsi, &source);
	if (!copied)
		copied = get_position(frame->r10, &target);
	if (!copied) {
		/* Positions of the files themselves are moved when it is done. */
		source = frame->rsi ? source : (uint64_t)file_seek(from, 0, SEEK_CUR);
		target = frame->r10 ? target : (uint64_t)file_seek(to, 0, SEEK_CUR);
		copied = copy_range((struct side){from, &source}, (struct side){to, &target}, frame->r8);
	}
	if (copied > 0) {
		bool bad = (frame->rsi && copy_to_user(frame->rsi, &source, sizeof(source)) != 0) ||
			   (frame->r10 && copy_to_user(frame->r10, &target, sizeof(target)) != 0);

		if (!frame->rsi)
			file_seek(from, (int64_t)source, SEEK_SET);
		if (!frame->r10)
			file_seek(to, (int64_t)target, SEEK_SET);
		copied = bad ? -EFAULT : copied;
	}
	if (from)
		file_unref(from);
	if (to)
		file_unref(to);
	return copied;
}

/* ---- memfd_create ----------------------------------------------------------------------------------------------------- */

int64_t sys_memfd_create(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->rsi, known = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	char name[MEMFD_NAME_MAX + 1];
	struct file *file;
	int64_t descriptor;

	if (flags & MFD_HUGETLB)
		known |= MFD_HUGETLB | (unsigned)MFD_HUGE_MASK << MFD_HUGE_SHIFT;
	if (flags & ~known)
		return -EINVAL;
	descriptor = copy_string_from_user(name, frame->rdi, sizeof(name));
	if (descriptor < 0)
		return descriptor == -ENAMETOOLONG ? -EINVAL : descriptor;
	/* There are no huge pages of any size. */
	if (flags & MFD_HUGETLB)
		return -ENODEV;
	descriptor = memfd_open(name, flags, &file);
	if (descriptor < 0)
		return descriptor;
	descriptor = descriptor_install(task, file, 0, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}
