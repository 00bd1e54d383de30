/*
 * The beginning and the end of files: the root file system out of the boot archive, what every system has, what is mounted.
 */
#include <asm/errno.h>
#include <kern/bootfile.h>
#include <kern/mqueue.h>
#include <kern/pipe.h>
#include <kern/poll.h>
#include <kern/procfs.h>
#include <kern/socket.h>
#include <kern/tty.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <vm/page.h>

#include "fs_internal.h"
#include "ramfs.h"
#include "walk.h"

#define NS_PER_SECOND   1000000000
#define PLAIN_DIRECTORY 0755u

/* ---- Directories and links that there always are -------------------------------------------------------------- */

static const struct {
	const char *path;
	uint32_t mode;
} standard_directories[] = {
	{"/dev", 0755},  {"/dev/shm", 01777}, {"/dev/mqueue", 01777}, {"/dev/pts", 0755},
	{"/proc", 0555}, {"/sys", 0555},      {"/tmp", 01777},        {"/etc", 0755},
	{"/bin", 0755},  {"/root", 0700},     {"/run", 0755},         {"/var", 0755},
};

static const struct {
	const char *path, *target;
} standard_links[] = {
	{"/dev/fd", "/proc/self/fd"},
	{"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"},
	{"/dev/stderr", "/proc/self/fd/2"},
};

static int make_standard_names(void)
{
	for (size_t i = 0; i < sizeof(standard_directories) / sizeof(standard_directories[0]); i++) {
		int error =
			fs_mkdir(NULL, AT_FDCWD, standard_directories[i].path, standard_directories[i].mode);

		if (error && error != -EEXIST && error != -ENOTDIR)
			return error;
	}
	for (size_t i = 0; i < sizeof(standard_links) / sizeof(standard_links[0]); i++) {
		int error = fs_symlink(NULL, standard_links[i].target, AT_FDCWD, standard_links[i].path);

		if (error && error != -EEXIST && error != -ENOTDIR)
			return error;
	}
	return 0;
}

/* ---- The boot archive -------------------------------------------------------------------------------------------- */

/* While the archive is read: too large for a stack. */
struct filling {
	char path[PATH_MAX];
	char target[PATH_MAX]; /* of a symbolic link */
	char first[PATH_MAX];  /* the first name of a file that has several */
	uint64_t linked;       /* that file, as bootfile_member's inode; 0: none */
	unsigned refused;      /* members that could not be made */
	int error;             /* and the first reason */
};
#define FILLING_PAGES (page_round_up(sizeof(struct filling)) / PAGE_SIZE)

/* Makes the directories on the way to a file that the archive does not have as members. */
static void make_directories_to(char *path)
{
	for (char *at = path + 1; *at != '\0'; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		fs_mkdir(NULL, AT_FDCWD, path, PLAIN_DIRECTORY);
		*at = '/';
	}
}

/* Makes the name that a member has. What it was the name of before goes, but for a directory. */
static int make_name(struct filling *filling, const struct bootfile_member *member)
{
	const char *path = filling->path;
	uint32_t type = member->mode & S_IFMT;

	if (!S_ISDIR(member->mode))
		fs_unlink(NULL, AT_FDCWD, path);
	switch (type) {
	case S_IFDIR:
		return fs_mkdir(NULL, AT_FDCWD, path, member->mode);
	case S_IFLNK:
		memcpy(filling->target, bootfile_data(&member->file), member->file.bytes);
		filling->target[member->file.bytes] = '\0';
		return fs_symlink(NULL, filling->target, AT_FDCWD, path);
	case S_IFREG:
		if (member->links > 1 && filling->linked == member->inode)
			return fs_link(NULL, AT_FDCWD, filling->first, 0, AT_FDCWD, path);
		filling->linked = 0;
		if (member->links > 1) {
			filling->linked = member->inode;
			memcpy(filling->first, path, strlen(path) + 1);
		}
		break;
	}
	return fs_mknod(NULL, AT_FDCWD, path, member->mode,
			DEVICE_NUMBER(member->rdev_major, member->rdev_minor));
}

static void set_times(struct inode *inode, const struct bootfile_member *member)
{
	inode->accessed = inode->modified = inode->changed = (int64_t)member->mtime * NS_PER_SECOND;
}

/* Its attributes, and its contents, which a file with several names has with the last of them. */
static int fill_inode(struct inode *inode, const struct bootfile_member *member)
{
	int error = 0;

	if (S_ISREG(inode->mode) && member->file.bytes > 0) {
		struct blob *before = inode->blob;

		error = ramfs_contents(inode, &member->file);
		if (!error)
			blob_unref(before);
	}
	inode->mode = (inode->mode & S_IFMT) | (member->mode & S_IALLUGO);
	inode->uid = member->uid;
	inode->gid = member->gid;
	set_times(inode, member);
	return error;
}

static int make_member(struct filling *filling, const struct bootfile_member *member)
{
	struct path found;
	int error;

	if (env_format(filling->path, PATH_MAX, "/%s", member->file.path) >= PATH_MAX ||
	    (S_ISLNK(member->mode) && member->file.bytes >= PATH_MAX))
		return -ENAMETOOLONG;
	make_directories_to(filling->path);
	error = make_name(filling, member);
	if (error && !(error == -EEXIST && S_ISDIR(member->mode)))
		return error;
	error = path_lookup(NULL, AT_FDCWD, filling->path, 0, &found);
	if (error)
		return error;
	error = fill_inode(found.inode, member);
	path_release(&found);
	return error;
}

static int visit_member(const struct bootfile_member *member, void *context)
{
	struct filling *filling = context;
	int error = make_member(filling, member);

	if (error && filling->refused++ == 0)
		filling->error = error;
	return 0;
}

/* A directory's times changed as files were made in it. */
static int visit_directory_again(const struct bootfile_member *member, void *context)
{
	struct filling *filling = context;
	struct path found;

	if (!S_ISDIR(member->mode) ||
	    env_format(filling->path, PATH_MAX, "/%s", member->file.path) >= PATH_MAX ||
	    path_lookup(NULL, AT_FDCWD, filling->path, 0, &found) != 0)
		return 0;
	set_times(found.inode, member);
	path_release(&found);
	return 0;
}

/* What cannot be made is left out; a line says so. */
static void fill_from_archive(void)
{
	struct page *pages = page_alloc_run(PAGE_KERNEL, FILLING_PAGES, 1, PAGE_ANYWHERE, 0);
	struct filling *filling;

	if (!pages)
		panic("no memory for the root file system");
	filling = page_data(pages);
	filling->linked = 0;
	filling->refused = 0;
	bootfile_walk(visit_member, filling);
	bootfile_walk(visit_directory_again, filling);
	if (filling->refused > 0)
		env_log("phoenix: %u files of the boot archive are left out: error %d", filling->refused,
			-filling->error);
	page_free_run(pages, FILLING_PAGES);
}

/* ---- Start and end ---------------------------------------------------------------------------------------------------- */

static void mount_at(const struct filesystem_type *type, const char *path, const char *options)
{
	int error = fs_mount(NULL, type, type->name, path, 0, options);

	if (error)
		env_log("phoenix: %s cannot be mounted at %s: error %d", type->name, path, -error);
}

static void start_root(void)
{
	struct filesystem *fs;

	if (filesystem_create(&ramfs_type, ramfs_type.name, "", &fs) != 0)
		panic("no memory for the root file system");
	rw_write_lock(&names_lock);
	filesystem_mount(fs, NULL);
	root_name = fs->root;
	rw_write_unlock(&names_lock);
}

void fs_init(void)
{
	names_init();
	mounts_init();
	inodes_init();
	files_init();
	descriptors_init();
	paths_init();
	devices_init();
	blocks_init();
	ttys_init();
	pipes_init();
	sockets_init();
	polls_init();
	epolls_init();
	eventfds_init();
	ramfs_init();
	procfs_init();
	file_locks_init();
	memfds_init();
	mqueues_init();
	start_root();
	fill_from_archive();
	if (make_standard_names() != 0)
		env_log("phoenix: no memory for the standard directories");
	mount_at(&ramfs_type, "/dev/shm", "mode=1777");
	mount_at(&mqueue_type, "/dev/mqueue", "");
	mount_at(filesystem_type_find("proc"), "/proc", "");
	mount_at(filesystem_type_find("sysfs"), "/sys", "");
	if (devices_make_nodes() != 0 || blocks_make_nodes() != 0 || ttys_make_nodes() != 0)
		env_log("phoenix: no memory for the devices' files");
}

void fs_end(void)
{
	socket_files_collect();
	rw_write_lock(&names_lock);
	while (!TAILQ_EMPTY(&filesystems))
		filesystem_unmount(TAILQ_LAST(&filesystems, filesystem_list));
	root_name = NULL;
	rw_write_unlock(&names_lock);
	mqueues_end();
	memfds_end();
	inodes_end();
}
