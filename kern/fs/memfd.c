/*
 * Files of memory that have no name (memfd_create(2)).
 *
 * They are regular files of a RAM file system of their own, which is mounted nowhere.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>

#include "ramfs.h"

#define PREFIX       "memfd:"
#define PREFIX_BYTES (sizeof(PREFIX) - 1)
#define MEMFD_MODE   (S_IFREG | S_IRWXUGO)

static struct filesystem *memfds;

void memfds_init(void)
{
	if (filesystem_create(&ramfs_type, "memfd", "", &memfds) != 0)
		panic("no memory for file systems");
}

void memfds_end(void)
{
	filesystem_drop(memfds);
}

int memfd_open(const char *name, unsigned flags, struct file **out)
{
	char text[PREFIX_BYTES + MEMFD_NAME_MAX + 1];
	size_t length = strlen(name);
	struct inode *inode;
	struct name *of;
	int error = ramfs_inode(memfds, MEMFD_MODE, 0, NULL, &inode);

	ASSERT(length <= MEMFD_NAME_MAX);
	if (error)
		return error;
	inode->links = 0;
	error = ramfs_contents(inode, NULL);
	if (error) {
		inode_unref(inode);
		return error;
	}
	inode->seals = flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
	memcpy(text, PREFIX, PREFIX_BYTES);
	memcpy(text + PREFIX_BYTES, name, length + 1);
	error = name_create(NULL, text, PREFIX_BYTES + length, inode_ref(inode), &of);
	if (error) {
		inode_unref(inode);
		return error;
	}
	*out = file_create(&ramfs_file_ops, inode, of, O_RDWR | O_LARGEFILE, NULL);
	return *out ? 0 : -ENOMEM;
}
