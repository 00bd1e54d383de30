/*
 * Boot files: what the loader put in memory next to the kernel, found by path.
 *
 * A boot module is either a cpio archive ("newc" format), each regular file of which is a boot
 * file, or one file by itself. The contents stay where the loader put them; nothing is copied
 * until a page has to be.
 */
#ifndef KERN_BOOTFILE_H
#define KERN_BOOTFILE_H

#include <vm/types.h>

struct blob;

struct bootfile {
	const char *path; /* without a leading '/' or './'; in the module, or in `bootinfo` */
	paddr_t start;    /* where the contents are; any alignment */
	uint64_t bytes;
};

/*
 * Looks through the boot modules. An archive that is malformed gets a console line, and what
 * comes after the damage in it is ignored. After vm_init(); once.
 */
void bootfile_init(void);

/*
 * Finds a file by path; leading '/' and './' are ignored on both sides, the last of several counts. 0,
 * or -ENOENT.
 */
int bootfile_find(const char *path, struct bootfile *out);

/* The contents where the kernel always sees them; nobody writes there. */
const char *bootfile_data(const struct bootfile *file);

struct lent;

/*
 * Makes a blob of `size_bytes`, a multiple of the page size and enough for the file's contents, with them at its beginning and zero after them: whole aligned
 * pages are lent, others are copied when they are first used. *lent, if not NULL, is what lends, for as long as there is the blob. -EINVAL for an
 * empty file, which has no blob; -ENOMEM.
 */
int bootfile_blob(const struct bootfile *file, uint64_t size_bytes, struct blob **out, struct lent **lent);

/* From now on no more than `bytes` are lent; pages beyond must not be in the blob (blob_set_extent). And how much it is. */
void bootfile_cut(struct lent *lent, uint64_t bytes);
uint64_t bootfile_lent_bytes(const struct lent *lent);

/* What an archive says of one of its members, besides the contents. */
struct bootfile_member {
	struct bootfile
		file; /* file.bytes is 0 for what is no regular file; a symbolic link's target is its contents */
	uint32_t mode; /* type and permissions, as st_mode */
	uint32_t uid, gid;
	uint32_t mtime; /* seconds since 1970 */
	uint32_t
		links; /* more than 1: those with the same `inode` are one file, the last of which has the contents */
	uint64_t inode; /* with the archive's number: unique */
	uint32_t rdev_major, rdev_minor;
};

/*
 * Visits all that the loader brought: the members of archives in their order, and modules that are one file by themselves (mode 0755). Stops at the first
 * nonzero, which it returns.
 */
int bootfile_walk(int (*visit)(const struct bootfile_member *member, void *context), void *context);

#endif
