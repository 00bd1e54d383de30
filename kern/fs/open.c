/*
 * Opening files by their paths.
 *
 * What is there is found, or made, with names_lock held; it is opened afterwards, as that may wait (for the other end of a FIFO).
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "fs_internal.h"
#include "walk.h"

#define O_TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* What stays in file->flags. */
#define FILE_FLAGS                                                                                  \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | __O_SYNC | FASYNC | O_DIRECT | O_LARGEFILE | \
	 O_NOATIME | O_PATH | O_DIRECTORY | O_NOFOLLOW)

int (*fifo_open)(struct file *file, struct task *task);
void (*fifo_destroy)(struct inode *inode);

/* ---- Files of a path only (O_PATH) -------------------------------------------------------------------------- */

static const struct file_ops path_file_ops = {.name = "path"};

/* ---- Finding or making what is opened ------------------------------------------------------------------------ */

/* What opening is to do. */
struct opening {
	unsigned flags, mode;
	bool created; /* out */
};

static unsigned lookup_flags(unsigned flags)
{
	bool exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);

	return (flags & O_NOFOLLOW || exclusive ? 0 : LOOKUP_FOLLOW) |
	       (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0);
}

/* Makes the regular file that is missing at the end of the walk. */
static int make_missing(struct walk *walk, struct opening *how)
{
	struct name *name;
	int error;

	if (walk->slash)
		return -EISDIR;
	error = names_make(walk, S_IFREG | (how->mode & S_IALLUGO), 0, NULL, &name);
	if (error)
		return error;
	walk->found = (struct path){name, inode_ref(name->inode)};
	how->created = true;
	return 0;
}

/* A regular file that has no name, in the file system of a directory. */
static int make_unnamed(struct walk *walk, struct opening *how)
{
	struct inode *inode, *directory = walk->found.inode;
	struct name *name;
	int error;

	if (directory->fs->type->fixed)
		return -EOPNOTSUPP;
	error = rights_check(&walk->rights, directory, MAY_WRITE | MAY_EXECUTE);
	if (!error)
		error = names_make_inode(walk, directory, S_IFREG | (how->mode & S_IALLUGO), 0, NULL, &inode);
	if (error)
		return error;
	inode->links = 0;
	inode->linkable = !(how->flags & O_EXCL);
	error = name_create(walk->found.name, "#tmpfile", 8, inode_ref(inode), &name);
	path_release(&walk->found);
	walk->found = (struct path){error ? NULL : name, inode};
	how->created = true;
	return error;
}

static int check_found(const struct walk *walk, const struct opening *how)
{
	uint32_t mode = walk->found.inode->mode;
	bool writes = (how->flags & O_ACCMODE) != O_RDONLY;

	if ((how->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (S_ISDIR(mode) && (writes || how->flags & O_CREAT || how->flags & O_TRUNC))
		return how->flags & O_PATH ? 0 : -EISDIR;
	if (S_ISLNK(mode) && !(how->flags & O_PATH))
		return -ELOOP;
	return 0;
}

static int find_or_make(struct walk *walk, struct task *task, int directory, const char *path,
			struct opening *how)
{
	int error = walk_begin(walk, task, directory, path);

	if (!error)
		error = walk_to_parent(walk);
	if (!error)
		error = walk_to_child(walk, lookup_flags(how->flags));
	if (how->flags & O_TMPFILE_BIT)
		return error ? error : make_unnamed(walk, how);
	if (error == -ENOENT && walk->missing && how->flags & O_CREAT)
		return make_missing(walk, how);
	return error ? error : check_found(walk, how);
}

/* ---- Opening it --------------------------------------------------------------------------------------------------- */

static unsigned access_of(unsigned flags)
{
	static const unsigned access[] = {[O_RDONLY] = MAY_READ,
					  [O_WRONLY] = MAY_WRITE,
					  [O_RDWR] = MAY_READ | MAY_WRITE,
					  [O_ACCMODE] = MAY_READ | MAY_WRITE};

	return access[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static const struct file_ops no_ops = {.name = "device"};

static const struct file_ops *ops_for(const struct inode *inode, unsigned flags)
{
	if (flags & O_PATH)
		return &path_file_ops;
	return inode->file_ops ? inode->file_ops : &no_ops;
}

/* What opening means for the kind of file. */
static int open_kind(struct file *file, struct task *task)
{
	struct inode *inode = file->inode;

	switch (inode->mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		return inode_mounted_with(inode, MS_NODEV) ? -EACCES : device_open(file, task);
	case S_IFIFO:
		return fifo_open ? fifo_open(file, task) : -ENXIO;
	case S_IFSOCK:
		return -ENXIO;
	default:
		return inode->ops->open ? inode->ops->open(file, task) : 0;
	}
}

/* A regular file that is going to be written, or emptied, is not executed meanwhile. */
static int begin_use(struct file *file, unsigned flags)
{
	enum inode_use use = access_of(flags) & MAY_WRITE ? INODE_WRITES : INODE_NO_USE;
	int error = 0;

	if (flags & O_PATH || !S_ISREG(file->inode->mode))
		return 0;
	error = inode_begin_use(file->inode, use);
	if (!error)
		file->use = use;
	return error;
}

/* May it be opened? What was just made may always. */
static int check_rights(struct task *task, struct inode *inode, const struct opening *how)
{
	struct rights rights = rights_of(task);
	int error = 0;

	if (!how->created && !(how->flags & O_PATH))
		error = rights_check(&rights, inode, access_of(how->flags));
	if (!error && how->flags & O_NOATIME && !rights_own(&rights, inode))
		error = -EPERM;
	return error;
}

/* Opens what was found as the file, which begins then; the references of `found` become its. */
static int open_found(struct task *task, struct path *found, const struct opening *how, struct file *file)
{
	struct inode *inode = found->inode;
	unsigned flags = how->flags;
	int error;

	file_begin(file, ops_for(inode, flags), inode, found->name, flags & (FILE_FLAGS | O_NOCTTY), NULL);
	error = begin_use(file, flags);
	if (!error && !(flags & O_PATH))
		error = open_kind(file, task);
	file->flags &= ~(uint32_t)O_NOCTTY; /* for who opens terminals only */
	if (error)
		file->ops = &no_ops; /* what failed to open is not released */
	if (!error && flags & O_TRUNC && S_ISREG(inode->mode) && inode->blob && !how->created)
		error = ramfs_truncate(inode, 0);
	return error;
}

static int check_flags(unsigned *flags)
{
	if (*flags & O_PATH)
		*flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (*flags & O_TMPFILE_BIT &&
	    (!(*flags & O_DIRECTORY) || (*flags & O_ACCMODE) == O_RDONLY || *flags & O_CREAT))
		return -EINVAL;
	return 0;
}

/* Finds it, or makes it, with names_lock held as that needs it. */
static int find(struct task *task, int directory, const char *path, struct opening *how, struct path *found)
{
	bool makes = how->flags & (O_CREAT | O_TMPFILE_BIT);
	struct walk walk;
	int error;

	if (makes)
		rw_write_lock(&names_lock);
	else
		rw_read_lock(&names_lock);
	error = find_or_make(&walk, task, directory, path, how);
	*found = walk.found;
	walk.found = (struct path){NULL, NULL};
	walk_end(&walk);
	if (makes)
		rw_write_unlock(&names_lock);
	else
		rw_read_unlock(&names_lock);
	return error;
}

/* There is memory for the open file before a name is made, which would stay. */
int fs_open(struct task *task, int directory, const char *path, unsigned flags, unsigned mode,
	    struct file **out)
{
	struct opening how = {.flags = flags, .mode = mode};
	struct path found;
	struct file *file;
	int error = check_flags(&how.flags);

	if (error)
		return error;
	file = file_reserve();
	if (!file)
		return -ENOMEM;
	error = find(task, directory, path, &how, &found);
	if (!error)
		error = check_rights(task, found.inode, &how);
	if (error) {
		path_release(&found);
		file_cancel(file);
		return error;
	}
	error = open_found(task, &found, &how, file);
	if (error)
		file_unref(file);
	else
		*out = file;
	return error;
}

int fs_open_exec(struct task *task, int directory, const char *path, unsigned flags, struct file **out)
{
	unsigned look = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
			(flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct path found;
	struct file *file;
	int error = path_lookup(task, directory, path, look, &found);

	if (error)
		return error;
	if (S_ISLNK(found.inode->mode))
		error = -ELOOP;
	else if (!S_ISREG(found.inode->mode))
		error = -EACCES;
	else
		error = inode_permission(task, found.inode, MAY_EXECUTE);
	if (error) {
		path_release(&found);
		return error;
	}
	file = file_create(ops_for(found.inode, O_RDONLY), found.inode, found.name, O_RDONLY, NULL);
	if (!file)
		return -ENOMEM;
	error = inode_begin_use(file->inode, INODE_EXECUTES);
	if (error) {
		file_unref(file);
		return error;
	}
	file->use = INODE_EXECUTES;
	*out = file;
	return 0;
}
