/*
 * Inodes, names and file systems: what <kern/fs.h> stands on, for who brings kinds of files.
 *
 * An inode is a thing with attributes and contents. A name is a place in the tree of names, and leads to an inode; the names
 * of a RAM file system are its directories' contents, those of /proc are made when they are looked up and go when nobody
 * needs them. A file system is one tree of names; its root covers the directory that it is mounted on.
 *
 * Locks, for all of this file:
 *   (n) names_lock: to write, or to read for who only reads
 *   (i) the inode's lock
 *   (a) atomic
 *   (-) set before anyone else sees it
 */
#ifndef KERN_INODE_H
#define KERN_INODE_H

#include <kern/fs.h>
#include <kern/queue.h>
#include <linux/stat.h>
#include <linux/time_types.h>

struct path;
struct statfs;
struct filesystem;

/* ---- File systems (kern/fs/mount.c) ------------------------------------------------------------------- */

#define SOURCE_BYTES 64

struct filesystem_type {
	const char *name; /* "tmpfs" */
	uint64_t magic;   /* of statfs(2), <linux/magic.h> */
	bool no_device;   /* "nodev" in /proc/filesystems: nothing is stored on a device */
	bool fixed;       /* programs cannot make, remove or rename anything in it */
	bool hidden;      /* of the kernel's own: not in /proc/filesystems, and not to be mounted */

	/* Fills in sizes and counts. NULL: all zero. */
	void (*statfs)(struct filesystem *fs, struct statfs *out);
	/* Makes the root's name in a new file system: fs->root. `options` as mount(2) has them, may be empty. -EINVAL, -ENOMEM. */
	int (*mount)(struct filesystem *fs, const char *options);
	void (*destroy)(struct filesystem *fs); /* the last reference is gone; NULL: nothing to do */
	struct filesystem_type *next;           /* mount.c's */
};

struct filesystem {
	const struct filesystem_type *type; /* (-) */
	_Atomic uint32_t refs;              /* (a) inodes, and the mount */
	uint32_t device;                    /* (-) st_dev */
	struct name *root;                  /* (n) a reference; NULL: unmounted */
	struct name *covers;                /* (n) the name it is mounted on, a reference; NULL: nowhere */
	char source[SOURCE_BYTES];          /* (-) for /proc/mounts; cut */
	uint32_t mount_flags;               /* (n) MS_RDONLY, ... */
	bool expiring;                      /* (n) umount2(2) was told so once */
	uint64_t extra_names;               /* (n) names of inodes that have another one */
	TAILQ_ENTRY(filesystem) link;       /* (n) in the order of mounts */
	_Atomic uint64_t next_inode;        /* (a) the number that the next inode gets */
	_Atomic uint64_t inodes;            /* (a) that exist */
	uint64_t limit_pages, limit_inodes; /* (-) 0: none of its own */
	_Atomic uint64_t used_pages;        /* (a) that writes added, where there is a limit */
	void *private;                      /* (-) the type's */
};

/* Lets programs mount file systems of a type, which stays for ever. */
void filesystem_type_register(struct filesystem_type *type);

struct filesystem_type *filesystem_type_find(const char *name); /* NULL: none */
struct filesystem_type *
filesystem_type_after(struct filesystem_type *type); /* NULL: the first; NULL: it was the last */

/* statfs(2). */
void filesystem_stat(struct filesystem *fs, struct statfs *out);

/* ---- Inodes (kern/fs/inode.c) --------------------------------------------------------------------------- */

struct inode_ops {
	/* Directories that make their names when asked: a new name with a reference. -ENOENT, -ENOMEM. NULL: the tree has all. */
	int (*lookup)(struct name *directory, const char *text, size_t length, struct name **out);

	/* Symbolic links: writes the target, cut at `bytes`; its length, or an error. */
	int64_t (*readlink)(struct inode *inode, struct task *task, char *to, size_t bytes);
	/* Links that lead to a thing and not to a path (/proc/PID/fd/N): what it is, with references. NULL: follow the target. */
	int (*follow)(struct inode *inode, struct task *task, struct path *out);

	/* Opens: `file` has all but private, and ops as the inode says. May wait. NULL: nothing to do. */
	int (*open)(struct file *file, struct task *task);

	void (*destroy)(struct inode *inode); /* the last reference is gone; NULL: nothing to do */
};

#define FILE_MAX_BYTES BLOB_MAX_BYTES /* the longest regular file */

struct inode {
	_Atomic uint32_t refs;           /* (a) names, open files, mappings, calls under way */
	_Atomic uint32_t links;          /* (a) st_nlink; changed with (n) */
	struct filesystem *fs;           /* (-) a reference */
	const struct inode_ops *ops;     /* (-) */
	const struct file_ops *file_ops; /* (-) of files opened by a name; NULL: cannot be opened */
	uint64_t number;                 /* (-) st_ino */
	bool linkable;                   /* (-) it may get a name though it has none (O_TMPFILE) */
	uint32_t rdev;                   /* (-) of devices: makedev's form, as st_rdev */
	_Atomic uint32_t mode;           /* (a) type and permissions; changed with (i) */
	_Atomic uint32_t uid, gid;       /* (a) changed with (i) */
	_Atomic uint32_t seals;          /* (a) F_SEAL_...; changed with (i) */
	_Atomic int32_t writers;         /* (a) opened for writing so often; below 0: executed, so often */
	_Atomic int64_t accessed, modified, changed, created; /* (a) nanoseconds since 1970 */
	struct mutex lock;                                    /* (i) RANK_INODE */
	_Atomic uint64_t bytes;                               /* (a) length; changed with (i) */
	struct blob *blob;      /* (-) regular files' contents: a reference; NULL: none */
	struct lent *lent;      /* (-) what of the contents the boot archive lends; NULL: nothing */
	_Atomic int64_t stored; /* (a) pages of it that are stored; -1: to be counted. Changed with (i) */
	uint64_t charged;       /* (i) pages of fs->used_pages */
	struct lock_list *_Atomic locks; /* (a) of fcntl and flock; NULL: there never were any */
	void *private;                   /* (-) the ops' or file_ops'; of sockets and FIFOs: (i) */
};

/*
 * Makes an inode with one reference: times are now, all else zero. NULL: no memory, or no inodes left.
 */
struct inode *inode_create(struct filesystem *fs, const struct inode_ops *ops, uint32_t mode);

/* The same in the file system of files without names: pipes (S_IFIFO), sockets, and so on. 0600, the caller's ids. */
struct inode *inode_create_unnamed(uint32_t mode);

static inline struct inode *inode_ref(struct inode *inode)
{
	inode->refs++;
	return inode;
}
void inode_unref(struct inode *inode); /* NULL: nothing */

/* Nanoseconds since 1970, for times. */
int64_t inode_now(void);
/* What is written, and what is read, was that now. */
void inode_touch_modified(struct inode *inode);
void inode_touch_accessed(struct inode *inode);

/*
 * A file is written or executed, never both at a time. -ETXTBSY: it is what the caller's is not. What succeeded is taken back by
 * inode_end_use with the same use.
 */
enum inode_use { INODE_NO_USE = 0, INODE_WRITES = 1, INODE_EXECUTES = -1 };
int inode_begin_use(struct inode *inode, enum inode_use use);
void inode_end_use(struct inode *inode, enum inode_use use);

/* Somebody wrote to it who is not to make programs of others: it is set-user-ID no more. The inode's lock is held. */
void inode_drop_privileges(struct inode *inode);

/* Fills in what stat(2) says: the part that all kinds of files have in common. */
void inode_stat(struct inode *inode, struct statx *out);

/* ---- Names (kern/fs/name.c) --------------------------------------------------------------------------------- */

extern struct rwlock names_lock; /* RANK_NAMESPACE */

RB_HEAD(name_texts, name);
RB_HEAD(name_places, name);

struct name {
	_Atomic uint32_t refs;       /* (a) files, lookups; the tree has one; each child has one */
	bool linked;                 /* (n) it is in its directory; false: deleted, or never was in one */
	uint16_t length;             /* (n) */
	char *text;                  /* (n) ends with a 0 */
	struct name *parent;         /* (n) a reference; NULL: a root */
	struct inode *inode;         /* (-) a reference */
	struct filesystem *mounted;  /* (n) whose root covers it */
	struct name_texts by_text;   /* (n) children */
	struct name_places by_place; /* (n) children */
	RB_ENTRY(name) text_link;    /* (n) */
	RB_ENTRY(name) place_link;   /* (n) */
	uint64_t place;              /* (n) in the directory, for readdir: never used twice */
	uint64_t next_place;         /* (n) of the next child */
	uint32_t children;           /* (n) how many */
};

/*
 * Makes a name that is in no directory, with one reference; takes over the reference to `inode`, also when it fails. `parent` (may be NULL)
 * gets a reference. -ENOMEM, -ENAMETOOLONG.
 */
int name_create(struct name *parent, const char *text, size_t length, struct inode *inode, struct name **out);
static inline struct name *name_ref(struct name *name)
{
	name->refs++;
	return name;
}
void name_unref(struct name *name); /* NULL: nothing */

/* Puts a name into its parent directory; (n) to write. It has no such name yet. The tree takes a reference of its own. */
void name_link(struct name *name);
/* Takes it out, and drops the tree's reference: the caller has one. (n) to write. */
void name_unlink(struct name *name);
/* The child of that text; the first one that is at a place from `place` on. Without a reference; NULL: none. (n). */
struct name *name_child(struct name *directory, const char *text, size_t length);
struct name *name_child_from(struct name *directory, uint64_t place);

/* ---- Looking up (kern/fs/path.c) --------------------------------------------------------------------------------- */

/* Where a path leads: references. `name` is NULL for what has none. */
struct path {
	struct name *name;
	struct inode *inode;
};
void path_release(struct path *path);

#define LOOKUP_FOLLOW    1u /* a symbolic link at the end is followed */
#define LOOKUP_DIRECTORY 2u /* -ENOTDIR if it is none */
#define LOOKUP_EMPTY     4u /* an empty path means what the descriptor is of (AT_EMPTY_PATH) */

/* Finds what a path of kernel memory leads to, from a descriptor's directory (or AT_FDCWD), with the task's rights and root. */
int path_lookup(struct task *task, int directory, const char *path, unsigned flags, struct path *out);

/* chdir(2), of a directory that was found; chroot(2). They take no reference of the caller's. -EACCES, -ENOTDIR. */
int fs_change_directory(struct task *task, const struct path *found);
int fs_change_root(struct task *task, const struct path *found);

/* getcwd(2): the path, ended by 0, in a buffer of the caller's of at least PATH_MAX bytes; its length with the 0. -ENOENT: it was deleted. */
int fs_current_directory(struct task *task, char *to, size_t bytes);

/* umask(2): the mask before. */
uint32_t fs_set_umask(struct task *task, uint32_t mask);

/* A file of memory without a name (memfd_create(2)); the name is for listings, of at most MEMFD_NAME_MAX bytes. */
#define MEMFD_NAME_MAX 249
int memfd_open(const char *name, unsigned flags, struct file **out);

/*
 * Makes a thing that is no directory and no link: FIFO, socket, device, regular file. `private` becomes the inode's. The inode with a reference in *out
 * if that is not NULL. -EEXIST and what mknod(2) says. (bind(2) of a UNIX socket.)
 */
int fs_make_node(struct task *task, int directory, const char *path, uint32_t mode, uint32_t rdev,
		 void *private, struct inode **out);

/* As the system calls of these names, with `task`'s rights (NULL: the kernel's, from the root on). */
int fs_mkdir(struct task *task, int directory, const char *path, unsigned mode);
int fs_symlink(struct task *task, const char *target, int directory, const char *path);
int fs_mknod(struct task *task, int directory, const char *path, uint32_t mode, uint32_t rdev);
int fs_link(struct task *task, int from_directory, const char *from, unsigned lookup, int directory,
	    const char *path); /* `lookup`: LOOKUP_... of `from` */
int fs_unlink(struct task *task, int directory, const char *path);
int fs_rmdir(struct task *task, int directory, const char *path);
int fs_rename(struct task *task, int from_directory, const char *from, int directory, const char *path,
	      unsigned flags);
/* The flags of a mount that statfs(2) and /proc/mounts show. They have the same numbers in both. */
#define MOUNT_FLAGS \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_NOATIME | MS_NODIRATIME)
int fs_remount(struct task *task, const char *path, uint32_t flags);
int fs_umount(struct task *task, const char *path, unsigned flags);
int fs_mount(struct task *task, const struct filesystem_type *type, const char *source, const char *path,
	     uint32_t flags, const char *options);

/* Types and permissions, in groups that <linux/stat.h> has no names for. */
#define S_IRWXUGO (S_IRWXU | S_IRWXG | S_IRWXO)
#define S_IALLUGO (S_ISUID | S_ISGID | S_ISVTX | S_IRWXUGO)

/* chmod(2) and chown(2) of what a path led to. */
int inode_set_mode(struct inode *inode, struct task *task, uint32_t mode);
#define OWNER_SAME UINT32_MAX
int inode_set_owner(struct inode *inode, struct task *task, uint32_t uid, uint32_t gid);

/* utimensat(2): of access, of modification. The two values of tv_nsec are from its page. */
#define UTIME_NOW  ((1l << 30) - 1)
#define UTIME_OMIT ((1l << 30) - 2)
int inode_set_times(struct inode *inode, struct task *task, const struct __kernel_timespec times[2]);

#define MAY_EXECUTE 1u /* or search */
#define MAY_WRITE   2u
#define MAY_READ    4u
/* 0, or -EACCES (-EROFS). */
int inode_permission(struct task *task, struct inode *inode, unsigned access);
/* With the real ids instead of the effective ones, if `real`: access(2). */
int inode_permission_as(struct task *task, struct inode *inode, unsigned access, bool real);
/* Was its file system mounted with the flag, MS_NOEXEC for example? Flags may change at any time (mount(2), MS_REMOUNT). */
bool inode_mounted_with(const struct inode *inode, uint32_t flag);

/* truncate(2) of a regular file. */
int inode_truncate(struct inode *inode, struct task *task, uint64_t bytes);

/* ---- Devices (kern/fs/device.c) --------------------------------------------------------------------------------------- */

/* Device numbers as st_rdev has them (makedev(3)). */
#define DEVICE_NUMBER(major, minor) (((major)&0xfffu) << 8 | ((minor)&0xffu) | ((minor)&0xfff00u) << 12)
#define DEVICE_MAJOR(number)        ((number) >> 8 & 0xfffu)
#define DEVICE_MINOR(number)        (((number)&0xffu) | ((number) >> 12 & 0xfff00u))

/* A range of device numbers and the files that are opened by them. Whoever registers it keeps it for ever. Locks: (-) set before it is registered. */
struct device {
	const char *name;                    /* (-) for /proc/devices */
	uint32_t type;                       /* (-) S_IFCHR or S_IFBLK */
	uint32_t major, first_minor, minors; /* (-) */
	const struct file_ops *ops;          /* (-) */
	int (*open)(struct file *file,
		    struct task *task); /* (-) may set file->ops and private, and wait; NULL: nothing to do */
	struct device *next;            /* (-) device.c's */
};
void device_register(struct device *device);

/* Makes /dev/PATH for it ("tty", "pts/3"), owner root; removes it. In the RAM file system of the root; for drivers. */
int device_node(const char *path, uint32_t mode, uint32_t rdev);
void device_node_remove(const char *path);

/* Opens a FIFO of a name: set by who implements pipes. The inode's `private`, guarded by its lock, is that code's; `destroy` is called with it when the inode goes. */
extern int (*fifo_open)(struct file *file, struct task *task);
extern void (*fifo_destroy)(struct inode *inode);

#endif
