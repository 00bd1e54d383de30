/*
 * Open files: made, shared, freed; reading and writing at their positions.
 *
 * What reading and writing are for a kind of file is its operations' business. Descriptors are in descriptors.c.
 */
#include <asm/errno.h>
#include <kern/poll.h>
#include <linux/fcntl.h>

#include "walk.h"

static struct slab_cache file_cache, label_cache;

/* A mapping's label: it keeps the file open. Locks: (-) set once. */
struct file_label {
	struct map_label label; /* (-) the VM's */
	struct file *file;      /* (-) a reference */
};

void files_init(void)
{
	slab_cache_init(&file_cache, "file", sizeof(struct file));
	slab_cache_init(&label_cache, "file label", sizeof(struct file_label));
}

struct file *file_reserve(void)
{
	return slab_alloc(&file_cache);
}

void file_cancel(struct file *file)
{
	slab_free(&file_cache, file);
}

void file_begin(struct file *file, const struct file_ops *ops, struct inode *inode, struct name *name,
		uint32_t flags, void *private)
{
	*file = (struct file){
		.refs = 1, .ops = ops, .inode = inode, .name = name, .flags = flags, .private = private};
	mutex_init(&file->lock, RANK_FILE, "file");
}

struct file *file_create(const struct file_ops *ops, struct inode *inode, struct name *name, uint32_t flags,
			 void *private)
{
	struct file *file = file_reserve();

	if (!file) {
		inode_unref(inode);
		name_unref(name);
		return NULL;
	}
	file_begin(file, ops, inode, name, flags, private);
	return file;
}

static void end(struct file *file)
{
	epoll_forget(file);
	file_locks_release(file);
	if (file->ops->release)
		file->ops->release(file);
	inode_end_use(file->inode, file->use);
	inode_unref(file->inode);
	name_unref(file->name);
	slab_free(&file_cache, file);
}

void file_unref(struct file *file)
{
	if (--file->refs == 0)
		end(file);
}

static void end_later(struct later *what)
{
	end((struct file *)((char *)what - offsetof(struct file, ending)));
}

void file_unref_later(struct file *file)
{
	if (--file->refs == 0)
		later(&file->ending, end_later);
}

/* ---- Reading and writing ------------------------------------------------------------------------------- */

static bool may_read(const struct file *file)
{
	return (file->flags & O_ACCMODE) == O_RDONLY || (file->flags & O_ACCMODE) == O_RDWR;
}

static bool may_write(const struct file *file)
{
	return (file->flags & O_ACCMODE) == O_WRONLY || (file->flags & O_ACCMODE) == O_RDWR;
}

typedef int64_t file_transfer(struct file *file, struct io *io, uint64_t *position);

/* At the file's own position, which is one call's at a time; files without positions need none, and may wait for long. */
static int64_t transfer_at_own(file_transfer *transfer, struct file *file, struct io *io)
{
	uint64_t none = 0;
	int64_t moved;

	if (!file->ops->seek)
		return transfer(file, io, &none);
	mutex_lock(&file->lock);
	moved = transfer(file, io, &file->position);
	mutex_unlock(&file->lock);
	return moved;
}

static int64_t do_transfer(file_transfer *transfer, struct file *file, struct io *io, uint64_t *position)
{
	if (!transfer)
		return -EINVAL;
	return position ? transfer(file, io, position) : transfer_at_own(transfer, file, io);
}

/* As Linux: this comes before the question whether the file is open for it. */
static bool has_no_positions(const struct file *file, const uint64_t *position)
{
	return position && !file->ops->seek;
}

int64_t file_read(struct file *file, struct io *io, uint64_t *position)
{
	if (has_no_positions(file, position))
		return -ESPIPE;
	return may_read(file) ? do_transfer(file->ops->read, file, io, position) : -EBADF;
}

int64_t file_write(struct file *file, struct io *io, uint64_t *position)
{
	if (has_no_positions(file, position))
		return -ESPIPE;
	return may_write(file) ? do_transfer(file->ops->write, file, io, position) : -EBADF;
}

int64_t file_read_at(struct file *file, void *to, uint64_t bytes, uint64_t position)
{
	struct io io;

	io_init_kernel(&io, to, bytes, false);
	return file->ops->read ? file->ops->read(file, &io, &position) : -EINVAL;
}

int64_t file_write_at(struct file *file, const void *from, uint64_t bytes, uint64_t position)
{
	struct io io;

	io_init_kernel(&io, (void *)from, bytes, true);
	return file->ops->write ? file->ops->write(file, &io, &position) : -EINVAL;
}

int64_t file_seek(struct file *file, int64_t offset, int whence)
{
	int64_t position;

	if (!file->ops->seek)
		return -ESPIPE;
	mutex_lock(&file->lock);
	position = file->ops->seek(file, offset, whence);
	mutex_unlock(&file->lock);
	return position;
}

/* ---- For programs and mappings --------------------------------------------------------------------------- */

int file_contents(struct file *file, struct blob **blob, uint64_t *bytes)
{
	struct inode *inode = file->inode;

	if (!S_ISREG(inode->mode) || !inode->blob)
		return -EACCES;
	*blob = inode->blob;
	*bytes = inode->bytes;
	blob_ref(inode->blob);
	return 0;
}

/* ---- Paths and labels -------------------------------------------------------------------------------------------- */

#define DELETED " (deleted)"

/* Of a file without a name: "pipe:[5]"; or what the operations say, if it is the whole of it: "anon_inode:[eventfd]". */
static size_t unnamed_path(struct file *file, char *to, size_t bytes)
{
	const char *name = file->ops->name;

	for (const char *at = name; *at != '\0'; at++)
		if (*at == ':')
			return (size_t)env_format(to, bytes, "%s", name);
	return (size_t)env_format(to, bytes, "%s:[%llu]", name, (unsigned long long)file->inode->number);
}

size_t name_to_path(struct name *name, struct name *root, char *to, size_t bytes)
{
	bool deleted;
	size_t length;
	char *at;

	rw_read_lock(&names_lock);
	deleted = name_is_deleted(name);
	if (name_path(name, root ? root : root_name, to, bytes, &at) < 0)
		length = 0;
	else
		length = strlen(at);
	memmove(to, at, length + (length > 0));
	rw_read_unlock(&names_lock);
	if (length == 0)
		return (size_t)env_format(to, bytes, "?");
	if (deleted)
		length += (size_t)env_format(to + length, bytes - length, DELETED);
	return length;
}

size_t file_path(struct file *file, char *to, size_t bytes)
{
	size_t length =
		file->name ? name_to_path(file->name, NULL, to, bytes) : unnamed_path(file, to, bytes);

	return length < bytes ? length : bytes - 1;
}

static void label_destroy(struct map_label *label)
{
	struct file_label *mine = (struct file_label *)label;

	file_unref(mine->file);
	slab_free(&label_cache, mine);
}

static size_t label_name(struct map_label *label, char *to, size_t bytes)
{
	return file_path(((struct file_label *)label)->file, to, bytes);
}

/* A shared mapping wrote to the file. */
static void label_unmapped(struct map_label *label, bool written)
{
	if (written)
		inode_touch_modified(((struct file_label *)label)->file->inode);
}

static const struct map_label_ops label_ops = {
	.destroy = label_destroy, .name = label_name, .unmapped = label_unmapped};

struct file *label_file(struct map_label *label)
{
	return label && label->ops == &label_ops ? ((struct file_label *)label)->file : NULL;
}

struct map_label *file_label(struct file *file)
{
	struct file_label *label = slab_alloc(&label_cache);

	if (!label)
		return NULL;
	*label = (struct file_label){.label = {.refs = 1,
					       .ops = &label_ops,
					       .device = file->inode->fs->device,
					       .inode = file->inode->number},
				     .file = file_ref(file)};
	return &label->label;
}
