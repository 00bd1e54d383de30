/*
 * Changing what inodes are: permissions, owners, times; and who may.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "walk.h"

#define NS_PER_SECOND 1000000000
#define SECONDS_MOST \
	9223372035 /* of times that there can be, before and after 1970: nanoseconds in 64 bits */

/* May attributes change at all there? */
static int check_changeable(const struct inode *inode)
{
	if (inode->fs->mount_flags & MS_RDONLY)
		return -EROFS;
	return inode->fs->type->fixed && !inode->fs->type->hidden ? -EPERM : 0;
}

/* ---- chmod ------------------------------------------------------------------------------------------------- */

int inode_set_mode(struct inode *inode, struct task *task, uint32_t mode)
{
	struct rights rights = rights_of(task);
	int error = check_changeable(inode);

	if (S_ISLNK(inode->mode))
		return -EOPNOTSUPP;
	if (!error && !rights_own(&rights, inode))
		error = -EPERM;
	if (error)
		return error;
	/* Nobody makes a program set-group-ID for a group that he is not in. */
	if (!rights.sets_id && !rights_in_group(&rights, inode->gid))
		mode &= ~(uint32_t)S_ISGID;
	mutex_lock(&inode->lock);
	inode->mode = (inode->mode & S_IFMT) | (mode & S_IALLUGO);
	inode->changed = inode_now();
	mutex_unlock(&inode->lock);
	return 0;
}

/* ---- chown ------------------------------------------------------------------------------------------------- */

static int check_owner(struct task *task, const struct inode *inode, uint32_t uid, uint32_t gid)
{
	const struct rights own = rights_of(task), *rights = &own;

	if (!task || task_capable(task, CAP_CHOWN))
		return 0;
	if (uid != OWNER_SAME && (rights->uid != inode->uid || uid != inode->uid))
		return -EPERM;
	if (gid != OWNER_SAME &&
	    (rights->uid != inode->uid || (gid != inode->gid && !rights_in_group(rights, gid))))
		return -EPERM;
	return 0;
}

int inode_set_owner(struct inode *inode, struct task *task, uint32_t uid, uint32_t gid)
{
	const uint32_t group_program = S_ISGID | S_IXGRP;
	int error = check_changeable(inode);

	if (!error)
		error = check_owner(task, inode, uid, gid);
	if (error)
		return error;
	mutex_lock(&inode->lock);
	if (uid != OWNER_SAME)
		inode->uid = uid;
	if (gid != OWNER_SAME)
		inode->gid = gid;
	/* A program of another's is not to run with the new owner's rights. */
	if (!S_ISDIR(inode->mode)) {
		bool program = (inode->mode & group_program) == group_program;

		inode->mode &= ~(uint32_t)(S_ISUID | (program ? S_ISGID : 0));
	}
	inode->changed = inode_now();
	mutex_unlock(&inode->lock);
	return 0;
}

/* ---- Times --------------------------------------------------------------------------------------------------- */

/* A time as inodes have it, cut at what they can have. */
static int64_t nanoseconds(const struct __kernel_timespec *time, int64_t now)
{
	int64_t seconds = time->tv_sec;

	if (time->tv_nsec == UTIME_NOW)
		return now;
	if (seconds > SECONDS_MOST)
		seconds = SECONDS_MOST;
	if (seconds < -SECONDS_MOST)
		seconds = -SECONDS_MOST;
	return seconds * NS_PER_SECOND + time->tv_nsec;
}

static bool is_time(const struct __kernel_timespec *time)
{
	return time->tv_nsec == UTIME_NOW || time->tv_nsec == UTIME_OMIT ||
	       (time->tv_nsec >= 0 && time->tv_nsec < NS_PER_SECOND);
}

/* Both times "now": who may write may do it, too. */
static int check_times(struct task *task, struct inode *inode, const struct __kernel_timespec times[2])
{
	struct rights rights = rights_of(task);
	bool now = times[0].tv_nsec == UTIME_NOW && times[1].tv_nsec == UTIME_NOW;

	if (rights_own(&rights, inode))
		return 0;
	return now ? rights_check(&rights, inode, MAY_WRITE) : -EPERM;
}

int inode_set_times(struct inode *inode, struct task *task, const struct __kernel_timespec times[2])
{
	int64_t now = inode_now();
	int error;

	if (!is_time(&times[0]) || !is_time(&times[1]))
		return -EINVAL;
	if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
		return 0;
	error = check_changeable(inode);
	if (!error)
		error = check_times(task, inode, times);
	if (error)
		return error;
	if (times[0].tv_nsec != UTIME_OMIT)
		inode->accessed = nanoseconds(&times[0], now);
	if (times[1].tv_nsec != UTIME_OMIT)
		inode->modified = nanoseconds(&times[1], now);
	inode->changed = now;
	return 0;
}
