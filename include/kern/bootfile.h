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

/*
 * Makes a blob of the file's contents, zero after its end: whole aligned pages are lent, others are
 * copied when they are first used. -EINVAL for an empty file, which has no blob; -ENOMEM.
 */
int bootfile_blob(const struct bootfile *file, struct blob **out);

#endif
