/*
 * What programs change about open files: flags, lengths, and what fcntl and ioctl ask of any file.
 */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "fs_internal.h"

#define SETTABLE (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | FASYNC)

static bool may_write(const struct file *file)
{
	return (file->flags & O_ACCMODE) == O_WRONLY || (file->flags & O_ACCMODE) == O_RDWR;
}

/* RLIMIT_FSIZE is in the way: the program is told twice (setrlimit(2)). */
static int too_long(struct task *task)
{
	signal_send_task_kernel(task, SIGXFSZ);
	return -EFBIG;
}

/* ---- Lengths ------------------------------------------------------------------------------------------------- */

int file_truncate(struct file *file, struct task *task, uint64_t bytes)
{
	if (!may_write(file) || !S_ISREG(file->inode->mode) || !file->inode->blob)
		return -EINVAL;
	return inode_truncate(file->inode, task, bytes);
}

int inode_truncate(struct inode *inode, struct task *task, uint64_t bytes)
{
	if (task && bytes > inode->bytes && bytes > task->process->limits[RLIMIT_FSIZE].rlim_cur)
		return too_long(task);
	return ramfs_truncate(inode, bytes);
}

int file_allocate(struct file *file, struct task *task, unsigned mode, int64_t from, int64_t bytes)
{
	const unsigned known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	int64_t end;

	if (from < 0 || bytes <= 0)
		return -EINVAL;
	if (mode & ~known || (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE)) ||
	    (mode & FALLOC_FL_PUNCH_HOLE && mode & FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (!may_write(file))
		return -EBADF;
	if (S_ISFIFO(file->inode->mode))
		return -ESPIPE;
	if (S_ISDIR(file->inode->mode))
		return -EISDIR;
	if (!S_ISREG(file->inode->mode) || !file->inode->blob)
		return -ENODEV;
	if (__builtin_add_overflow(from, bytes, &end))
		return -EFBIG;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && (uint64_t)end > task->process->limits[RLIMIT_FSIZE].rlim_cur)
		return too_long(task);
	return ramfs_allocate(file->inode, mode, (uint64_t)from, (uint64_t)bytes);
}

/* ---- Flags ---------------------------------------------------------------------------------------------------- */

static void set_flags(struct file *file, unsigned set, unsigned clear)
{
	uint32_t before = file->flags;

	while (!__atomic_compare_exchange_n((uint32_t *)&file->flags, &before, (before & ~clear) | set, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static int64_t set_status(struct file *file, uint64_t flags)
{
	set_flags(file, (unsigned)flags & SETTABLE, SETTABLE & ~(unsigned)flags);
	return 0;
}

/* ---- fcntl ---------------------------------------------------------------------------------------------------------- */

int64_t file_control(struct file *file, struct task *task, int descriptor, int command, uint64_t argument)
{
	if (command == F_GETFL)
		return file->flags & ~(unsigned)O_DIRECTORY;
	if (file->flags & O_PATH)
		return -EBADF;
	switch (command) {
	case F_SETFL:
		return set_status(file, argument);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return file_lock_control(file, task, descriptor, command, argument);
	case F_ADD_SEALS:
		return file->inode->blob ? ramfs_add_seals(file, (uint32_t)argument) : -EINVAL;
	case F_GET_SEALS:
		return file->inode->blob ? (int64_t)file->inode->seals : -EINVAL;
	default:
		return file->ops->control ? file->ops->control(file, task, command, argument) : -EINVAL;
	}
}

/* ---- ioctl ---------------------------------------------------------------------------------------------------------- */

static int64_t set_flag_from(struct file *file, unsigned flag, vaddr_t argument)
{
	int on;

	if (copy_from_user(&on, argument, sizeof(on)) != 0)
		return -EFAULT;
	set_flags(file, on ? flag : 0, on ? 0 : flag);
	return 0;
}

static int64_t bytes_to_read(struct file *file, vaddr_t argument)
{
	int64_t left;
	int count;

	mutex_lock(&file->lock);
	left = (int64_t)(file->inode->bytes - file->position);
	mutex_unlock(&file->lock);
	count = left > INT32_MAX ? INT32_MAX : (int)left;
	return copy_to_user(argument, &count, sizeof(count));
}

int64_t file_ioctl(struct file *file, struct task *task, int descriptor, unsigned request, uint64_t argument)
{
	switch (request) {
	case FIOCLEX:
		descriptor_flags(task, descriptor, FD_CLOEXEC);
		return 0;
	case FIONCLEX:
		descriptor_flags(task, descriptor, 0);
		return 0;
	case FIONBIO:
		return set_flag_from(file, O_NONBLOCK, argument);
	case FIOASYNC:
		return set_flag_from(file, FASYNC, argument);
	case FIONREAD:
		if (S_ISREG(file->inode->mode) && file->inode->blob)
			return bytes_to_read(file, argument);
		break;
	default:
		break;
	}
	return file->ops->ioctl ? file->ops->ioctl(file, task, request, argument) : -ENOTTY;
}
