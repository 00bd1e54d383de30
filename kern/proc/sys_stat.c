/*
 * System calls that say what files are: stat and its forms, access, readlink.
 */
#include <asm/errno.h>
#include <asm/stat.h>
#include <kern/inode.h>
#include <linux/fcntl.h>

#include "user_path.h"

/* ---- stat -------------------------------------------------------------------------------------------------- */

/* The one form in the other (stat(2), statx(2)). */
static struct stat plain_stat(const struct statx *said)
{
	return (struct stat){
		.st_dev = DEVICE_NUMBER(said->stx_dev_major, said->stx_dev_minor),
		.st_ino = said->stx_ino,
		.st_nlink = said->stx_nlink,
		.st_mode = said->stx_mode,
		.st_uid = said->stx_uid,
		.st_gid = said->stx_gid,
		.st_rdev = DEVICE_NUMBER(said->stx_rdev_major, said->stx_rdev_minor),
		.st_size = (long)said->stx_size,
		.st_blksize = said->stx_blksize,
		.st_blocks = (long)said->stx_blocks,
		.st_atime = (unsigned long)said->stx_atime.tv_sec,
		.st_atime_nsec = said->stx_atime.tv_nsec,
		.st_mtime = (unsigned long)said->stx_mtime.tv_sec,
		.st_mtime_nsec = said->stx_mtime.tv_nsec,
		.st_ctime = (unsigned long)said->stx_ctime.tv_sec,
		.st_ctime_nsec = said->stx_ctime.tv_nsec,
	};
}

static int64_t put_stat(struct inode *inode, vaddr_t to)
{
	struct statx said;
	struct stat stat;

	inode_stat(inode, &said);
	stat = plain_stat(&said);
	return copy_to_user(to, &stat, sizeof(stat));
}

/* What a path leads to, as calls with AT_... flags ask for it. */
static int look_up(struct task *task, int directory, vaddr_t from, unsigned flags, struct path *out)
{
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
			  (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct user_path path;
	int error = user_path_get(&path, from);

	if (error)
		return error;
	error = path_lookup(task, directory, path.text, lookup, out);
	user_path_put(&path);
	return error;
}

static int64_t stat_at(struct task *task, int directory, vaddr_t from, unsigned flags, vaddr_t to)
{
	struct path found;
	int64_t error = look_up(task, directory, from, flags, &found);

	if (error)
		return error;
	error = put_stat(found.inode, to);
	path_release(&found);
	return error;
}

int64_t sys_stat(struct task *task, struct trapframe *frame)
{
	return stat_at(task, AT_FDCWD, frame->rdi, 0, frame->rsi);
}

int64_t sys_lstat(struct task *task, struct trapframe *frame)
{
	return stat_at(task, AT_FDCWD, frame->rdi, AT_SYMLINK_NOFOLLOW, frame->rsi);
}

int64_t sys_fstat(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get_any(task, (int)frame->rdi);
	int64_t error;

	if (!file)
		return -EBADF;
	error = put_stat(file->inode, frame->rsi);
	file_unref(file);
	return error;
}

int64_t sys_newfstatat(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->r10;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	return stat_at(task, (int)frame->rdi, frame->rsi, flags, frame->rdx);
}

int64_t sys_statx(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->rdx;
	struct path found;
	struct statx said;
	int64_t error;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || frame->r10 & STATX__RESERVED)
		return -EINVAL;
	error = look_up(task, (int)frame->rdi, frame->rsi, flags, &found);
	if (error)
		return error;
	inode_stat(found.inode, &said);
	path_release(&found);
	return copy_to_user(frame->r8, &said, sizeof(said));
}

/* ---- access ---------------------------------------------------------------------------------------------------- */

static int64_t check_access(struct task *task, int directory, vaddr_t from, unsigned mode, unsigned flags)
{
	struct path found;
	int64_t error;

	if (mode & ~(MAY_READ | MAY_WRITE | MAY_EXECUTE) ||
	    flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = look_up(task, directory, from, flags & ~(unsigned)AT_EACCESS, &found);
	if (error)
		return error;
	error = inode_permission_as(task, found.inode, mode, !(flags & AT_EACCESS));
	path_release(&found);
	return error;
}

int64_t sys_access(struct task *task, struct trapframe *frame)
{
	return check_access(task, AT_FDCWD, frame->rdi, (unsigned)frame->rsi, 0);
}

int64_t sys_faccessat(struct task *task, struct trapframe *frame)
{
	return check_access(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx, 0);
}

int64_t sys_faccessat2(struct task *task, struct trapframe *frame)
{
	return check_access(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx, (unsigned)frame->r10);
}

/* ---- readlink ------------------------------------------------------------------------------------------------------ */

static int64_t read_target(struct task *task, struct inode *inode, vaddr_t to, uint64_t bytes)
{
	struct page *page;
	int64_t length;

	page = page_alloc(PAGE_KERNEL, 0);
	if (!page)
		return -ENOMEM;
	length = inode->ops->readlink(inode, task, page_data(page), bytes < PAGE_SIZE ? bytes : PAGE_SIZE);
	if (length > 0 && copy_to_user(to, page_data(page), (size_t)length) != 0)
		length = -EFAULT;
	page_free(page);
	return length;
}

static int64_t readlink_at(struct task *task, int directory, vaddr_t from, vaddr_t to, int bytes)
{
	struct path found;
	int64_t length;
	char first;

	if (bytes <= 0)
		return -EINVAL;
	length = look_up(task, directory, from, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &found);
	if (length)
		return length;
	if (S_ISLNK(found.inode->mode))
		length = read_target(task, found.inode, to, (uint64_t)bytes);
	else
		length = copy_from_user(&first, from, 1) == 0 && first == '\0' ? -ENOENT : -EINVAL;
	path_release(&found);
	return length;
}

int64_t sys_readlink(struct task *task, struct trapframe *frame)
{
	return readlink_at(task, AT_FDCWD, frame->rdi, frame->rsi, (int)frame->rdx);
}

int64_t sys_readlinkat(struct task *task, struct trapframe *frame)
{
	return readlink_at(task, (int)frame->rdi, frame->rsi, frame->rdx, (int)frame->r10);
}
