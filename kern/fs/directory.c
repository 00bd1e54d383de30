/*
 * Directories as open files: listing them.
 *
 * A position is 0 for ".", 1 for "..", and from FIRST_PLACE on the place of a child: places are never used twice, so a listing goes on where it was
 * whatever was made and removed meanwhile.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "fs_internal.h"

#define FIRST_PLACE 2

int64_t file_seek_plain(struct file *file, int64_t offset, int whence, uint64_t bytes)
{
	int64_t from;

	switch (whence) {
	case SEEK_SET:
		from = 0;
		break;
	case SEEK_CUR:
		from = (int64_t)file->position;
		break;
	case SEEK_END:
		from = (int64_t)bytes;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(from, offset, &from))
		return -EOVERFLOW;
	if (from < 0)
		return -EINVAL;
	file->position = (uint64_t)from;
	return from;
}

static int64_t directory_read(struct file *file, struct io *io, uint64_t *position)
{
	(void)file, (void)io, (void)position;
	return -EISDIR;
}

static int64_t directory_seek(struct file *file, int64_t offset, int whence)
{
	return file_seek_plain(file, offset, whence, INT64_MAX);
}

unsigned mode_to_type(uint32_t mode)
{
	return (mode & S_IFMT) >> 12;
}

/* One child from a position on; the name with a reference, and the position after it. NULL: there is none. */
static struct name *next_child(struct name *directory, uint64_t *position)
{
	uint64_t place = *position < FIRST_PLACE ? 0 : *position - FIRST_PLACE;
	struct name *child;

	rw_read_lock(&names_lock);
	child = name_child_from(directory, place);
	if (child) {
		*position = child->place + FIRST_PLACE + 1;
		name_ref(child);
	}
	rw_read_unlock(&names_lock);
	return child;
}

int directory_emit_dots(struct file *file, uint64_t *position, directory_emit *emit, void *context)
{
	int status = 0;
	uint64_t above;

	if (*position == 0) {
		status = emit(context, ".", 1, file->inode->number, mode_to_type(S_IFDIR), 1);
		if (status)
			return status;
		*position = 1;
	}
	if (*position == 1) {
		rw_read_lock(&names_lock);
		above = name_above(file->name)->inode->number;
		rw_read_unlock(&names_lock);
		status = emit(context, "..", 2, above, mode_to_type(S_IFDIR), FIRST_PLACE);
		if (!status)
			*position = FIRST_PLACE;
	}
	return status;
}

static int directory_readdir(struct file *file, uint64_t *position, directory_emit *emit, void *context)
{
	int status = directory_emit_dots(file, position, emit, context);
	struct name *child;
	uint64_t next = *position;

	inode_touch_accessed(file->inode);
	while (!status && (child = next_child(file->name, &next)) != NULL) {
		/* Its text may change by a rename, but stays as long as the lock is held: so it is copied. */
		char text[NAME_MAX + 1];
		size_t length;

		rw_read_lock(&names_lock);
		length = child->length;
		memcpy(text, child->text, length);
		rw_read_unlock(&names_lock);
		status = emit(context, text, length, child->inode->number, mode_to_type(child->inode->mode),
			      next);
		name_unref(child);
		if (!status)
			*position = next;
	}
	return status;
}

const struct file_ops directory_file_ops = {
	.name = "directory",
	.read = directory_read,
	.seek = directory_seek,
	.readdir = directory_readdir,
};
