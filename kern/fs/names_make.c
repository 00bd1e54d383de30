/*
 * Making and removing names: mknod, mkdir, symlink, link, unlink, rmdir.
 *
 * Everything is done with names_lock held to write, so that what was looked at stays so until it is changed. What can fail is done before
 * anything changes. Renaming is in names_rename.c.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "ramfs.h"
#include "walk.h"

/* ---- What making and removing have in common -------------------------------------------------------------------- */

/* May names of the directory be made and removed? */
int names_check_directory(const struct rights *rights, struct inode *directory)
{
	if (directory->fs->type->fixed)
		return -EPERM;
	return rights_check(rights, directory, MAY_WRITE | MAY_EXECUTE);
}

/* In a sticky directory, only by the owner of it or of the file (unlink(2)). */
bool names_is_protected(const struct rights *rights, const struct inode *directory, const struct inode *inode)
{
	return directory->mode & S_ISVTX && !rights_own(rights, directory) && !rights_own(rights, inode);
}

/* Is the last component a name that can be made, or removed? `dots` is the error for "." and "..", and the root. */
static bool is_dots(const struct walk *walk)
{
	return (walk->length == 1 && walk->last[0] == '.') ||
	       (walk->length == 2 && walk->last[0] == '.' && walk->last[1] == '.');
}

void names_directory_changed(struct inode *directory, int subdirectories)
{
	directory->links += (uint32_t)subdirectories;
	inode_touch_modified(directory);
}

/* Begins a walk to a directory that a name is to be made in: 0, -EEXIST if there is such a name. */
int names_begin_making(struct walk *walk, struct task *task, int directory, const char *path)
{
	int error = walk_begin(walk, task, directory, path);

	if (!error)
		error = walk_to_parent(walk);
	if (error)
		return error;
	if (walk->length == 0 || is_dots(walk))
		return -EEXIST;
	if (walk->length > NAME_MAX)
		return -ENAMETOOLONG;
	return name_child(walk->at, walk->last, walk->length) ? -EEXIST : 0;
}

/* ---- Making --------------------------------------------------------------------------------------------------------- */

static uint32_t umask_of(const struct task *task)
{
	return task ? task->context->umask : 0;
}

int names_make_inode(struct walk *walk, struct inode *directory, uint32_t mode, uint32_t rdev,
		     const char *target, struct inode **out)
{
	struct inode *inode;
	int error;

	if (!S_ISLNK(mode))
		mode &= ~umask_of(walk->task);
	error = ramfs_inode(directory->fs, mode, rdev, target, &inode);
	if (!error && S_ISREG(mode)) {
		error = ramfs_contents(inode, NULL);
		if (error)
			inode_unref(inode);
	}
	if (error)
		return error;
	inode->uid = walk->rights.uid;
	inode->gid = walk->rights.gid;
	/* What is made in a directory that is set-group-ID has its group, as System V has it; directories are so, too. */
	if (directory->mode & S_ISGID) {
		inode->gid = directory->gid;
		if (S_ISDIR(mode))
			inode->mode |= S_ISGID;
	}
	*out = inode;
	return 0;
}

int names_make(struct walk *walk, uint32_t mode, uint32_t rdev, const char *target, struct name **out)
{
	struct inode *directory = walk->at->inode, *inode;
	struct name *name;
	int error = names_check_directory(&walk->rights, directory);

	if (!error && !name_takes_children(walk->at))
		error = -ENOENT;
	if (!error)
		error = names_make_inode(walk, directory, mode, rdev, target, &inode);
	if (!error)
		error = name_create(walk->at, walk->last, walk->length, inode, &name);
	if (error)
		return error;
	name_link(name);
	names_directory_changed(directory, S_ISDIR(mode) ? 1 : 0);
	if (out)
		*out = name;
	else
		name_unref(name);
	return 0;
}

/* Makes a name of any kind at a path. */
static int make_at(struct task *task, int directory, const char *path, uint32_t mode, uint32_t rdev,
		   const char *target, struct name **out)
{
	struct walk walk;
	int error;

	rw_write_lock(&names_lock);
	error = names_begin_making(&walk, task, directory, path);
	/* A slash at the end is for directories. */
	if (!error && walk.slash && !S_ISDIR(mode))
		error = -ENOENT;
	if (!error)
		error = names_make(&walk, mode, rdev, target, out);
	walk_end(&walk);
	rw_write_unlock(&names_lock);
	return error;
}

int fs_mkdir(struct task *task, int directory, const char *path, unsigned mode)
{
	return make_at(task, directory, path, S_IFDIR | (mode & (S_IRWXUGO | S_ISVTX)), 0, NULL, NULL);
}

int fs_symlink(struct task *task, const char *target, int directory, const char *path)
{
	return make_at(task, directory, path, S_IFLNK | S_IRWXUGO, 0, target, NULL);
}

int fs_mknod(struct task *task, int directory, const char *path, uint32_t mode, uint32_t rdev)
{
	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (task && !task_capable(task, CAP_MKNOD))
			return -EPERM;
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make_at(task, directory, path, mode & (S_IFMT | S_IALLUGO), rdev, NULL, NULL);
}

int fs_make_node(struct task *task, int directory, const char *path, uint32_t mode, uint32_t rdev,
		 void *private, struct inode **out)
{
	struct name *name;
	int error = make_at(task, directory, path, mode, rdev, NULL, &name);

	if (error)
		return error;
	name->inode->private = private;
	if (out)
		*out = inode_ref(name->inode);
	name_unref(name);
	return 0;
}

/* ---- Hard links --------------------------------------------------------------------------------------------------------- */

#define LINKS_MAX 65000u

/* May the inode get one more name, in the walk's directory? */
static int check_link(const struct walk *walk, const struct inode *inode)
{
	if (S_ISDIR(inode->mode))
		return -EPERM;
	if (inode->fs != walk->at->inode->fs)
		return -EXDEV;
	if (inode->links == 0)
		return inode->linkable ? 0 : -ENOENT;
	if (inode->links >= LINKS_MAX)
		return -EMLINK;
	return filesystem_takes_name(inode->fs) ? 0 : -ENOSPC;
}

/* Gives the inode a name where the walk has come to. */
static int link_here(struct walk *walk, struct inode *inode)
{
	struct name *name;
	int error = check_link(walk, inode);

	if (!error)
		error = names_check_directory(&walk->rights, walk->at->inode);
	if (!error && !name_takes_children(walk->at))
		error = -ENOENT;
	if (!error)
		error = name_create(walk->at, walk->last, walk->length, inode_ref(inode), &name);
	if (error)
		return error;
	if (inode->links++ > 0)
		inode->fs->extra_names++;
	inode->changed = inode_now();
	name_link(name);
	name_unref(name);
	names_directory_changed(walk->at->inode, 0);
	return 0;
}

int fs_link(struct task *task, int from_directory, const char *from, unsigned lookup, int directory,
	    const char *path)
{
	struct path found;
	struct walk walk;
	int error = path_lookup(task, from_directory, from, lookup, &found);

	if (error)
		return error;
	rw_write_lock(&names_lock);
	error = names_begin_making(&walk, task, directory, path);
	if (!error && walk.slash)
		error = -ENOENT;
	if (!error)
		error = link_here(&walk, found.inode);
	walk_end(&walk);
	rw_write_unlock(&names_lock);
	path_release(&found);
	return error;
}

/* ---- Removing ------------------------------------------------------------------------------------------------------------ */

int names_check_removing(const struct rights *rights, const struct name *directory, const struct name *name)
{
	int error = names_check_directory(rights, directory->inode);

	if (error)
		return error;
	if (names_is_protected(rights, directory->inode, name->inode))
		return -EPERM;
	return name->mounted ? -EBUSY : 0;
}

void names_removed(struct name *name)
{
	struct inode *inode = name->inode;
	bool directory = S_ISDIR(inode->mode);

	names_directory_changed(name->parent->inode, directory ? -1 : 0);
	inode->changed = inode_now();
	if (!directory && inode->links > 1)
		inode->fs->extra_names--;
	inode->links = directory ? 0 : inode->links - 1;
	name_unlink(name);
}

/* The child that is to be removed, borrowed; dynamic names cannot be. */
static int find_removed(struct walk *walk, struct name **out)
{
	int error = rights_check(&walk->rights, walk->at->inode, MAY_EXECUTE);

	if (error)
		return error;
	*out = name_child(walk->at, walk->last, walk->length);
	if (*out)
		return 0;
	if (walk->at->inode->fs->type->fixed)
		return -EPERM;
	return walk->length > NAME_MAX ? -ENAMETOOLONG : -ENOENT;
}

static int unlink_here(struct walk *walk)
{
	struct name *name;
	int error;

	if (walk->length == 0 || is_dots(walk))
		return -EISDIR;
	error = find_removed(walk, &name);
	if (!error)
		error = names_check_removing(&walk->rights, walk->at, name);
	if (!error && S_ISDIR(name->inode->mode))
		error = -EISDIR;
	if (!error && walk->slash)
		error = -ENOTDIR;
	if (!error)
		names_removed(name);
	return error;
}

static int rmdir_here(struct walk *walk)
{
	struct name *name;
	int error;

	if (walk->length == 0)
		return -EBUSY;
	if (is_dots(walk))
		return walk->length == 1 ? -EINVAL : -ENOTEMPTY;
	error = find_removed(walk, &name);
	if (!error)
		error = names_check_removing(&walk->rights, walk->at, name);
	if (!error && !S_ISDIR(name->inode->mode))
		error = -ENOTDIR;
	if (!error && name->children > 0)
		error = -ENOTEMPTY;
	if (!error)
		names_removed(name);
	return error;
}

static int remove_at(struct task *task, int directory, const char *path, int (*remove)(struct walk *))
{
	struct walk walk;
	int error;

	rw_write_lock(&names_lock);
	error = walk_begin(&walk, task, directory, path);
	if (!error)
		error = walk_to_parent(&walk);
	if (!error)
		error = remove(&walk);
	walk_end(&walk);
	rw_write_unlock(&names_lock);
	return error;
}

int fs_unlink(struct task *task, int directory, const char *path)
{
	return remove_at(task, directory, path, unlink_here);
}

int fs_rmdir(struct task *task, int directory, const char *path)
{
	return remove_at(task, directory, path, rmdir_here);
}
