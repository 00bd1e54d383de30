/*
 * File systems: made, mounted, unmounted, listed.
 *
 * A file system is mounted at one place at most: its root covers that directory's name, and lookups go from the one to the other.
 */
#include <asm/errno.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>

#include "walk.h"

#define DEVICE_FIRST 20 /* st_dev of the first file system; devices without a driver have major number 0 */

struct filesystem_list filesystems = TAILQ_HEAD_INITIALIZER(filesystems);

static struct slab_cache fs_cache;
static struct filesystem_type *types; /* names_lock */
static _Atomic uint32_t next_device = DEVICE_FIRST;

void mounts_init(void)
{
	slab_cache_init(&fs_cache, "file system", sizeof(struct filesystem));
}

void filesystem_type_register(struct filesystem_type *type)
{
	rw_write_lock(&names_lock);
	type->next = types;
	types = type;
	rw_write_unlock(&names_lock);
}

struct filesystem_type *filesystem_type_find(const char *name)
{
	struct filesystem_type *type;

	rw_read_lock(&names_lock);
	for (type = types; type && strcmp(type->name, name) != 0; type = type->next)
		;
	rw_read_unlock(&names_lock);
	return type;
}

struct filesystem_type *filesystem_type_after(struct filesystem_type *type)
{
	return type ? type->next : types;
}

int filesystem_create(const struct filesystem_type *type, const char *source, const char *options,
		      struct filesystem **out)
{
	struct filesystem *fs = slab_alloc(&fs_cache);
	size_t length = strlen(source);
	int error = 0;

	if (!fs)
		return -ENOMEM;
	memset(fs, 0, sizeof(*fs));
	fs->type = type;
	fs->refs = 1;
	fs->device = next_device++;
	if (length >= sizeof(fs->source))
		length = sizeof(fs->source) - 1;
	memcpy(fs->source, source, length);
	if (type->mount)
		error = type->mount(fs, options);
	if (error)
		filesystem_unref(fs);
	else
		*out = fs;
	return error;
}

void filesystem_unref(struct filesystem *fs)
{
	if (--fs->refs > 0)
		return;
	ASSERT(!fs->covers && fs->inodes == 0);
	if (fs->type->destroy)
		fs->type->destroy(fs);
	slab_free(&fs_cache, fs);
}

void filesystem_drop(struct filesystem *fs)
{
	struct name *root = fs->root;

	fs->root = NULL;
	name_unref(root);
	filesystem_unref(fs);
}

void filesystem_mount(struct filesystem *fs, struct name *at)
{
	ASSERT(rw_held_write(&names_lock) && !fs->covers);
	if (at) {
		ASSERT(!at->mounted);
		at->mounted = fs;
		fs->covers = name_ref(at);
	}
	TAILQ_INSERT_TAIL(&filesystems, fs, link);
}

/* Takes its names out of the tree; what is still in use by a file goes when that does. Takes over the mount's reference. (n) to write. */
void filesystem_unmount(struct filesystem *fs)
{
	struct name *root = fs->root, *covers = fs->covers;

	TAILQ_REMOVE(&filesystems, fs, link);
	if (covers)
		covers->mounted = NULL;
	fs->covers = NULL;
	fs->root = NULL;
	name_unlink_all(root);
	name_unref(root);
	name_unref(covers);
	filesystem_unref(fs);
}

/* ---- For programs ------------------------------------------------------------------------------------------------------ */

/* The directory that a path leads to, where nothing is mounted on its name yet. */
static int find_mount_point(struct task *task, const char *path, struct path *out)
{
	int error = path_lookup(task, AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, out);

	if (!error && (!out->name || out->inode->ops->lookup)) {
		path_release(out);
		error = -EINVAL;
	}
	return error;
}

/* mount(2) with MS_REMOUNT: other flags. */
int fs_remount(struct task *task, const char *path, uint32_t flags)
{
	struct path found;
	int error = path_lookup(task, AT_FDCWD, path, LOOKUP_FOLLOW, &found);

	if (error)
		return error;
	rw_write_lock(&names_lock);
	if (found.name && found.inode->fs->root == found.name)
		found.inode->fs->mount_flags = flags & MOUNT_FLAGS;
	else
		error = -EINVAL;
	rw_write_unlock(&names_lock);
	path_release(&found);
	return error;
}

int fs_mount(struct task *task, const struct filesystem_type *type, const char *source, const char *path,
	     uint32_t flags, const char *options)
{
	struct filesystem *fs;
	struct path found;
	int error = find_mount_point(task, path, &found);

	if (error)
		return error;
	error = filesystem_create(type, source, options, &fs);
	if (error) {
		path_release(&found);
		return error;
	}
	fs->mount_flags = flags & MOUNT_FLAGS;
	rw_write_lock(&names_lock);
	/* Meanwhile it may have been removed, or mounted on: then the new one comes on top. */
	if (!name_takes_children(found.name))
		error = -ENOENT;
	else
		filesystem_mount(fs, name_top(found.name));
	rw_write_unlock(&names_lock);
	if (error)
		filesystem_drop(fs);
	path_release(&found);
	return error;
}

/* ---- Unmounting ------------------------------------------------------------------------------------------------------------ */

/* umount2(2)'s flags; no header of the ABI's has them. */
#define UMOUNT_FORCE    1u
#define UMOUNT_DETACH   2u
#define UMOUNT_EXPIRE   4u
#define UMOUNT_NOFOLLOW 8u

/* The next name of a tree after `at`, from the root down; NULL: it was the last one. */
static struct name *next_in_tree(struct name *root, struct name *at)
{
	struct name *next = name_child_from(at, 0);

	while (!next && at != root) {
		next = name_child_from(at->parent, at->place + 1);
		at = at->parent;
	}
	return next;
}

/*
 * Does anybody use it, or is anything mounted in it? Who uses a name or an inode has a reference that the tree does not account for; an inode that is in use without a
 * name, one to the file system. (n) to write.
 */
static bool is_busy(const struct filesystem *fs)
{
	uint64_t names = 0;

	for (struct name *at = fs->root; at; at = next_in_tree(fs->root, at)) {
		struct inode *inode = at->inode;

		names++;
		if (at->mounted || at->refs != 1 + at->children ||
		    inode->refs != (S_ISDIR(inode->mode) ? 1 : inode->links))
			return true;
	}
	return names - fs->extra_names != fs->inodes;
}

/* Takes a file system out, and before it those that are mounted in it, the innermost first. (n) to write. */
static void unmount_with_inner(struct filesystem *fs)
{
	struct filesystem *inner = fs, *candidate;

	for (;;) {
		TAILQ_FOREACH(candidate, &filesystems, link)
		{
			if (candidate->covers && candidate->covers->inode->fs == inner)
				break;
		}
		if (candidate) {
			inner = candidate;
			continue;
		}
		if (inner == fs)
			break;
		filesystem_unmount(inner);
		inner = fs;
	}
	filesystem_unmount(fs);
}

/* The file system whose root a path leads to. (n) to write. -EINVAL: it is no root. */
static int find_mounted(struct task *task, const char *path, unsigned lookup, struct filesystem **out)
{
	struct walk walk;
	int error = walk_begin(&walk, task, AT_FDCWD, path);

	if (!error)
		error = walk_to_parent(&walk);
	if (!error)
		error = walk_to_child(&walk, lookup);
	if (!error) {
		*out = walk.found.inode->fs;
		error = (*out)->root == walk.found.name ? 0 : -EINVAL;
	}
	walk_end(&walk);
	return error;
}

int fs_umount(struct task *task, const char *path, unsigned flags)
{
	struct filesystem *fs;
	int error;

	if (flags & ~(UMOUNT_FORCE | UMOUNT_DETACH | UMOUNT_EXPIRE | UMOUNT_NOFOLLOW) ||
	    (flags & UMOUNT_EXPIRE && flags & (UMOUNT_FORCE | UMOUNT_DETACH)))
		return -EINVAL;
	rw_write_lock(&names_lock);
	error = find_mounted(task, path, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &fs);
	if (!error && (!fs->covers || (!(flags & UMOUNT_DETACH) && is_busy(fs))))
		error = fs->covers ? -EBUSY : -EINVAL;
	/* The first time it is only marked; that nobody used it since, the second time finds (umount2(2)). */
	if (!error && flags & UMOUNT_EXPIRE && !fs->expiring) {
		fs->expiring = true;
		error = -EAGAIN;
	}
	if (!error)
		unmount_with_inner(fs);
	rw_write_unlock(&names_lock);
	return error;
}

/* ---- statfs ------------------------------------------------------------------------------------------------------------------ */

#define ST_VALID 0x20 /* f_flags has a meaning (statfs(2)) */

void filesystem_stat(struct filesystem *fs, struct statfs *out)
{
	*out = (struct statfs){
		.f_type = (long)fs->type->magic,
		.f_bsize = PAGE_SIZE,
		.f_frsize = PAGE_SIZE,
		.f_namelen = NAME_MAX,
		.f_fsid = {{(int)fs->device, 0}},
		.f_flags = ST_VALID | (long)(fs->mount_flags & MOUNT_FLAGS),
	};
	if (fs->type->statfs)
		fs->type->statfs(fs, out);
}
