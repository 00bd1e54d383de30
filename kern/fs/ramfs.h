/*
 * RAM file systems: what ramfs.c, ramfs_data.c, ramfs_options.c and archive.c share.
 */
#ifndef FS_RAMFS_H
#define FS_RAMFS_H

#include "fs_internal.h"

#define RAMFS_RESERVE_SHARE 4 /* as much as a quarter of RAM is never files' */

/* An inode of a RAM file system: mode with its type; `target` of a symbolic link. Regular files have no contents yet. -ENOMEM, -ENOSPC, -ENAMETOOLONG. */
int ramfs_inode(struct filesystem *fs, uint32_t mode, uint32_t rdev, const char *target, struct inode **out);

extern const struct file_ops ramfs_file_ops;
extern const struct inode_ops ramfs_inode_ops;

/* What files, and what belongs to them, may still take of memory and of the devices that are paged to; and is there room for so many pages more? */
uint64_t ramfs_free_pages(void);
bool ramfs_has_room(const struct inode *inode, uint64_t pages);

/* How many pages of the file are stored, in memory or elsewhere. May take the inode's lock. */
uint64_t ramfs_stored(struct inode *inode);

/* Gives a new regular file its contents: none, or what a boot file lends (NULL: nothing). -ENOMEM. */
struct bootfile;
int ramfs_contents(struct inode *inode, const struct bootfile *lent);

#endif
