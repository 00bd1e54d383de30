/*
 * What the files of kern/fs share, and nobody else needs. The objects are in <kern/inode.h>.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include <kern/inode.h>
#include <kern/kern.h>
#include <kern/proc.h>
#include <vm/slab.h>

/* Prepare slab caches and tables; once each. */
void names_init(void);
void inodes_init(void);
void inodes_end(void);
void files_init(void);
void descriptors_init(void);
void paths_init(void);
void mounts_init(void);
void devices_init(void);
void ramfs_init(void);
void file_locks_init(void);
void memfds_init(void);
void memfds_end(void);

/* Make the files in /dev. -ENOMEM. */
int devices_make_nodes(void);
void blocks_init(void);
int blocks_make_nodes(void);

/* ---- File systems (mount.c) ------------------------------------------------------------------------------ */

/* Makes a file system of a type, which is mounted nowhere yet: one reference. -ENOMEM, or what the type says. */
int filesystem_create(const struct filesystem_type *type, const char *source, const char *options,
		      struct filesystem **out);
void filesystem_unref(struct filesystem *fs);
/* May it have one more inode, or one more name of one? */
bool filesystem_takes_name(const struct filesystem *fs);

/* Lets its root cover a directory's name that nothing covers (NULL: it is the root of all); takes over the reference to fs. (n) to write. */
void filesystem_mount(struct filesystem *fs, struct name *at);
void filesystem_unmount(struct filesystem *fs);
/* Gives up one that is not mounted. */
void filesystem_drop(struct filesystem *fs);

extern struct name *root_name; /* the root of all names: set by fs_init() */

TAILQ_HEAD(filesystem_list, filesystem);
extern struct filesystem_list filesystems; /* (n) mounted */

/* ---- Names -------------------------------------------------------------------------------------------------- */

/* The name that a directory's ".." leads to, from which mounts have been left; itself for the root. Borrowed. (n). */
struct name *name_above(struct name *name);
/* The root that covers it, or the name itself. Borrowed. (n). */
struct name *name_top(struct name *name);

/* Storage for a text of that length and its 0; NULL: no memory. */
char *name_text_alloc(size_t length);
void name_text_free(char *text, size_t length);

/* Gives a name that is not linked another parent (NULL: the same), and text, in storage that it takes over. Cannot fail. (n) to write. */
void name_move(struct name *name, struct name *parent, char *text, size_t length);

/* The path of a name as seen from `root` (NULL: the system's), with " (deleted)". Its length, which may be more than fits. Takes the lock. */
size_t name_to_path(struct name *name, struct name *root, char *to, size_t bytes);

/* Was it in a directory once, and is no more? (n). */
bool name_is_deleted(const struct name *name);

/* Can names be made in the directory? Not if it was removed, or is the root of what was unmounted. (n). */
bool name_takes_children(const struct name *directory);

/* Takes all children of a name, and theirs, out of the tree. (n) to write. */
void name_unlink_all(struct name *name);

/* ---- Open files (file.c, directory.c, open.c) ---------------------------------------------------------------- */

typedef int directory_emit(void *context, const char *name, size_t length, uint64_t ino, unsigned type,
			   uint64_t next_position);

/* SEEK_SET, SEEK_CUR and SEEK_END, for a file of that length. */
int64_t file_seek_plain(struct file *file, int64_t offset, int whence, uint64_t bytes);

/* "." and "..", positions 0 and 1, for listings. Nonzero: emit's. */
int directory_emit_dots(struct file *file, uint64_t *position, directory_emit *emit, void *context);

/* DT_... of a mode. */
unsigned mode_to_type(uint32_t mode);

/* The driver of a device's file has it: sets its operations. -ENXIO. */
int device_open(struct file *file, struct task *task);

extern const struct file_ops directory_file_ops;

/* ---- Locks of fcntl and flock (locks.c) ------------------------------------------------------------------------ */

void file_locks_destroy(struct inode *inode);
void file_locks_release(struct file *file); /* flock's, and those of the open file */
void file_locks_release_table(struct file *file, const struct file_table *table); /* those of a process */
/* fcntl's commands for locks; `descriptor` is what the program called the file. */
int64_t file_lock_control(struct file *file, struct task *task, int descriptor, int command,
			  vaddr_t argument);

extern struct filesystem_type mqueue_type; /* mqueue.c */

/* ---- RAM file systems (ramfs.c, ramfs_data.c) ------------------------------------------------------------------- */

extern struct filesystem_type ramfs_type;

/* A regular file's length becomes `bytes`. Takes the inode's lock. -EFBIG, -ENOMEM, -EPERM (seals). */
int ramfs_truncate(struct inode *inode, uint64_t bytes);
/* fallocate(2). */
int ramfs_allocate(struct inode *inode, unsigned mode, uint64_t from, uint64_t bytes);
/* F_ADD_SEALS. */
int ramfs_add_seals(struct file *file, uint32_t seals);

#endif
