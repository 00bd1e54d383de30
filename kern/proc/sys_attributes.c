/*
 * System calls that change what files are: permissions, owners, times, lengths; and extended attributes, of which there are none.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/utime.h>
#include <linux/xattr.h>

#include "user_path.h"

/* ---- Finding the inode ----------------------------------------------------------------------------------------- */

static int find_at(struct task *task, int directory, vaddr_t from, unsigned lookup, struct path *out)
{
	struct user_path path;
	int error = user_path_get(&path, from);

	if (error)
		return error;
	error = path_lookup(task, directory, path.text, lookup, out);
	user_path_put(&path);
	return error;
}

/* What a descriptor is of. -EBADF: also for O_PATH, unless `any`. */
static int find_descriptor(struct task *task, int descriptor, bool any, struct path *out)
{
	struct file *file = any ? descriptor_get_any(task, descriptor) : descriptor_get(task, descriptor);

	if (!file)
		return -EBADF;
	*out = (struct path){NULL, inode_ref(file->inode)};
	file_unref(file);
	return 0;
}

static unsigned lookup_of(unsigned flags)
{
	return (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}

/* ---- chmod ------------------------------------------------------------------------------------------------------- */

static int64_t set_mode(struct task *task, int error, struct path *found, uint64_t mode)
{
	if (error)
		return error;
	error = inode_set_mode(found->inode, task, (uint32_t)mode);
	path_release(found);
	return error;
}

int64_t sys_chmod(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error = find_at(task, AT_FDCWD, frame->rdi, LOOKUP_FOLLOW, &found);

	return set_mode(task, error, &found, frame->rsi);
}

int64_t sys_fchmod(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error = find_descriptor(task, (int)frame->rdi, false, &found);

	return set_mode(task, error, &found, frame->rsi);
}

int64_t sys_fchmodat(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error = find_at(task, (int)frame->rdi, frame->rsi, LOOKUP_FOLLOW, &found);

	return set_mode(task, error, &found, frame->rdx);
}

/* ---- chown ------------------------------------------------------------------------------------------------------- */

static int64_t set_owner(struct task *task, int error, struct path *found, uint64_t uid, uint64_t gid)
{
	if (error)
		return error;
	error = inode_set_owner(found->inode, task, (uint32_t)uid, (uint32_t)gid);
	path_release(found);
	return error;
}

int64_t sys_chown(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error = find_at(task, AT_FDCWD, frame->rdi, LOOKUP_FOLLOW, &found);

	return set_owner(task, error, &found, frame->rsi, frame->rdx);
}

int64_t sys_lchown(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error = find_at(task, AT_FDCWD, frame->rdi, 0, &found);

	return set_owner(task, error, &found, frame->rsi, frame->rdx);
}

int64_t sys_fchown(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error = find_descriptor(task, (int)frame->rdi, false, &found);

	return set_owner(task, error, &found, frame->rsi, frame->rdx);
}

int64_t sys_fchownat(struct task *task, struct trapframe *frame)
{
	struct path found;
	int error;

	if (frame->r8 & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	error = find_at(task, (int)frame->rdi, frame->rsi, lookup_of((unsigned)frame->r8), &found);
	return set_owner(task, error, &found, frame->rdx, frame->r10);
}

/* ---- Times --------------------------------------------------------------------------------------------------------- */

#define NS_PER_US     1000
#define US_PER_SECOND 1000000

/* `times` NULL: now. `from` 0: what the descriptor is of. */
static int64_t set_times(struct task *task, int directory, vaddr_t from, unsigned flags,
			 const struct __kernel_timespec *times)
{
	const struct __kernel_timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	struct path found;
	int64_t error;

	if (from == 0 && directory != AT_FDCWD)
		error = flags ? -EINVAL : find_descriptor(task, directory, false, &found);
	else
		error = find_at(task, directory, from, lookup_of(flags), &found);
	if (error)
		return error;
	error = inode_set_times(found.inode, task, times ? times : now);
	path_release(&found);
	return error;
}

int64_t sys_utimensat(struct task *task, struct trapframe *frame)
{
	struct __kernel_timespec times[2];
	unsigned flags = (unsigned)frame->r10;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (frame->rdx && copy_from_user(times, frame->rdx, sizeof(times)) != 0)
		return -EFAULT;
	/* Nothing is to be done: nothing is looked at. */
	if (frame->rdx && times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	return set_times(task, (int)frame->rdi, frame->rsi, flags, frame->rdx ? times : NULL);
}

/* Of microseconds. */
static int64_t set_times_us(struct task *task, int directory, vaddr_t from, vaddr_t times_from)
{
	struct __kernel_timespec times[2];
	struct timeval said[2];

	if (!times_from)
		return set_times(task, directory, from, 0, NULL);
	if (copy_from_user(said, times_from, sizeof(said)) != 0)
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (said[i].tv_usec < 0 || said[i].tv_usec >= US_PER_SECOND)
			return -EINVAL;
		times[i].tv_sec = said[i].tv_sec;
		times[i].tv_nsec = said[i].tv_usec * NS_PER_US;
	}
	return set_times(task, directory, from, 0, times);
}

int64_t sys_utimes(struct task *task, struct trapframe *frame)
{
	return set_times_us(task, AT_FDCWD, frame->rdi, frame->rsi);
}

int64_t sys_futimesat(struct task *task, struct trapframe *frame)
{
	return set_times_us(task, (int)frame->rdi, frame->rsi, frame->rdx);
}

int64_t sys_utime(struct task *task, struct trapframe *frame)
{
	struct utimbuf said;
	struct __kernel_timespec times[2] = {{.tv_nsec = 0}, {.tv_nsec = 0}};

	if (!frame->rsi)
		return set_times(task, AT_FDCWD, frame->rdi, 0, NULL);
	if (copy_from_user(&said, frame->rsi, sizeof(said)) != 0)
		return -EFAULT;
	times[0].tv_sec = said.actime;
	times[1].tv_sec = said.modtime;
	return set_times(task, AT_FDCWD, frame->rdi, 0, times);
}

/* ---- truncate -------------------------------------------------------------------------------------------------------- */

int64_t sys_truncate(struct task *task, struct trapframe *frame)
{
	struct path found;
	int64_t error;

	if ((int64_t)frame->rsi < 0)
		return -EINVAL;
	error = find_at(task, AT_FDCWD, frame->rdi, LOOKUP_FOLLOW, &found);
	if (error)
		return error;
	if (S_ISDIR(found.inode->mode))
		error = -EISDIR;
	else if (!S_ISREG(found.inode->mode) || !found.inode->blob)
		error = -EINVAL;
	else
		error = inode_permission(task, found.inode, MAY_WRITE);
	if (!error)
		error = inode_begin_use(found.inode, INODE_WRITES);
	if (!error) {
		error = inode_truncate(found.inode, task, frame->rsi);
		inode_end_use(found.inode, INODE_WRITES);
	}
	path_release(&found);
	return error;
}

/* ---- Extended attributes: as of a tmpfs that has none -------------------------------------------------------------------- */

/* The namespaces that there are have nothing in them; user's is not there. */
static int64_t missing_attribute(vaddr_t name_from, bool set)
{
	static const char *const known[] = {XATTR_SECURITY_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_SYSTEM_PREFIX};
	char name[XATTR_NAME_MAX + 1];
	long length = copy_string_from_user(name, name_from, sizeof(name));

	if (length == -EFAULT)
		return -EFAULT;
	if (length <= 0)
		return -ERANGE;
	for (size_t i = 0; !set && i < sizeof(known) / sizeof(known[0]); i++)
		if (memcmp(name, known[i], strlen(known[i])) == 0)
			return -ENODATA;
	return -EOPNOTSUPP;
}

/* The file has to be there all the same. */
static int64_t attribute_at(struct task *task, vaddr_t from, unsigned lookup, vaddr_t name, bool set)
{
	struct path found;
	int64_t error = find_at(task, AT_FDCWD, from, lookup, &found);

	if (error)
		return error;
	path_release(&found);
	return name ? missing_attribute(name, set) : 0;
}

static int64_t attribute_of(struct task *task, uint64_t descriptor, vaddr_t name, bool set)
{
	struct path found;
	int64_t error = find_descriptor(task, (int)descriptor, false, &found);

	if (error)
		return error;
	path_release(&found);
	return name ? missing_attribute(name, set) : 0;
}

int64_t sys_getxattr(struct task *task, struct trapframe *frame)
{
	return attribute_at(task, frame->rdi, LOOKUP_FOLLOW, frame->rsi, false);
}

int64_t sys_lgetxattr(struct task *task, struct trapframe *frame)
{
	return attribute_at(task, frame->rdi, 0, frame->rsi, false);
}

int64_t sys_fgetxattr(struct task *task, struct trapframe *frame)
{
	return attribute_of(task, frame->rdi, frame->rsi, false);
}

int64_t sys_setxattr(struct task *task, struct trapframe *frame)
{
	return attribute_at(task, frame->rdi, LOOKUP_FOLLOW, frame->rsi, true);
}

int64_t sys_lsetxattr(struct task *task, struct trapframe *frame)
{
	return attribute_at(task, frame->rdi, 0, frame->rsi, true);
}

int64_t sys_fsetxattr(struct task *task, struct trapframe *frame)
{
	return attribute_of(task, frame->rdi, frame->rsi, true);
}

int64_t sys_listxattr(struct task *task, struct trapframe *frame)
{
	return attribute_at(task, frame->rdi, LOOKUP_FOLLOW, 0, false);
}

int64_t sys_llistxattr(struct task *task, struct trapframe *frame)
{
	return attribute_at(task, frame->rdi, 0, 0, false);
}

int64_t sys_flistxattr(struct task *task, struct trapframe *frame)
{
	return attribute_of(task, frame->rdi, 0, false);
}
