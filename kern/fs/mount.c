/*
 * File systems: made, mounted, unmounted, listed.
 *
 * A file system is mounted at one place at most: its root covers that directory's name, and lookups go from the one to the other.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "fs_internal.h"

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

/* Gives up one that is not mounted. */
static void filesystem_drop(struct filesystem *fs)
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
	fs->mount_flags = flags;
	rw_write_lock(&names_lock);
	/* Meanwhile it may have been removed, or mounted on: then the new one comes on top. */
	if (found.name->parent && !found.name->linked)
		error = -ENOENT;
	else
		filesystem_mount(fs, name_top(found.name));
	rw_write_unlock(&names_lock);
	if (error)
		filesystem_drop(fs);
	path_release(&found);
	return error;
}
