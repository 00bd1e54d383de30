/*
 * Block devices as files: /dev/vda and so on. Bytes go through a page of the kernel's, one at a time; what is not a whole page is
 * read before it is written. What somebody has for himself, swap say, is only read here.
 */
#include <asm/errno.h>
#include <kern/block.h>
#include <linux/fs.h>
#include <linux/major.h>

#include "fs_internal.h"

#define NODE_MODE (S_IFBLK | 0660)

static uint64_t size_of(const struct block_device *device)
{
	return pages_to_bytes(block_pages(device));
}

/* What of a page a read or write is about. */
struct piece {
	uint64_t place; /* in pages */
	uint64_t offset, bytes;
};

static struct piece next_piece(const struct io *io, uint64_t position, uint64_t end)
{
	struct piece piece = {.place = position >> PAGE_SHIFT, .offset = position & PAGE_MASK};

	piece.bytes = PAGE_SIZE - piece.offset;
	if (piece.bytes > end - position)
		piece.bytes = end - position;
	if (piece.bytes > io->left)
		piece.bytes = io->left;
	return piece;
}

static int transfer(struct block_device *device, enum block_op op, uint64_t place, struct page *page)
{
	struct block_request request = {
		.op = op, .count = 1, .sector = place * BLOCK_PAGE_SECTORS, .pages = {page}};

	return block_io(device, &request) ? -EIO : 0;
}

static int64_t move_out(struct block_device *device, struct io *io, const struct piece *piece,
			struct page *page)
{
	int error = transfer(device, BLOCK_READ, piece->place, page);

	return error ? error : io_put(io, (char *)page_data(page) + piece->offset, piece->bytes);
}

static int64_t move_in(struct block_device *device, struct io *io, const struct piece *piece,
		       struct page *page)
{
	int64_t moved;
	int error = 0;

	if (device->claimed)
		return -EBUSY;
	if (piece->bytes < PAGE_SIZE)
		error = transfer(device, BLOCK_READ, piece->place, page);
	if (error)
		return error;
	moved = io_get(io, (char *)page_data(page) + piece->offset, piece->bytes);
	/* Of a whole page that came in only in part the rest is not known. */
	if (moved <= 0 || ((uint64_t)moved < piece->bytes && piece->bytes == PAGE_SIZE))
		return moved < 0 ? moved : -EFAULT;
	error = transfer(device, BLOCK_WRITE, piece->place, page);
	return error ? error : moved;
}

/* Moves what there is between the device and the io, a page at a time. Each has a page of its own: after an error the device may keep it. */
static int64_t move_all(struct file *file, struct io *io, uint64_t *position,
			int64_t (*move)(struct block_device *, struct io *, const struct piece *,
					struct page *))
{
	struct block_device *device = file->private;
	uint64_t end = size_of(device);
	int64_t done = 0, moved = 1;

	while (io->left > 0 && *position < end && moved > 0) {
		struct piece piece = next_piece(io, *position, end);
		struct page *page = page_alloc(PAGE_KERNEL, 0);

		if (!page)
			return done > 0 ? done : -ENOMEM;
		moved = move(device, io, &piece, page);
		page_unref(page);
		if (moved < 0)
			return done > 0 ? done : moved;
		done += moved;
		*position += (uint64_t)moved;
		if ((uint64_t)moved < piece.bytes || thread_current()->interrupts)
			break;
	}
	return done;
}

static int64_t read(struct file *file, struct io *io, uint64_t *position)
{
	return move_all(file, io, position, move_out);
}

static int64_t write(struct file *file, struct io *io, uint64_t *position)
{
	if (io->left > 0 && *position >= size_of(file->private))
		return -ENOSPC;
	return move_all(file, io, position, move_in);
}

static int64_t seek(struct file *file, int64_t offset, int whence)
{
	return file_seek_plain(file, offset, whence, size_of(file->private));
}

static int64_t ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	const struct block_device *device = file->private;
	uint64_t bytes = size_of(device);
	uint64_t sectors = bytes / BLOCK_SECTOR_BYTES;
	int sector_bytes = BLOCK_SECTOR_BYTES;

	(void)task;
	switch (request) {
	case BLKGETSIZE64:
		return copy_to_user(argument, &bytes, sizeof(bytes));
	case BLKGETSIZE:
		return copy_to_user(argument, &sectors, sizeof(sectors));
	case BLKSSZGET:
		return copy_to_user(argument, &sector_bytes, sizeof(sector_bytes));
	default:
		return -ENOTTY;
	}
}

static const struct file_ops block_ops = {
	.name = "block", .read = read, .write = write, .seek = seek, .ioctl = ioctl};

static int open_block(struct file *file, struct task *task)
{
	(void)task;
	file->private = block_by_number(file->inode->rdev);
	return file->private ? 0 : -ENXIO;
}

static struct device families[] = {
	{.name = "ramdisk", .major = RAMDISK_MAJOR},
	{.name = "virtblk", .major = BLOCK_VIRTIO_MAJOR},
};

void blocks_init(void)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		families[i].type = S_IFBLK;
		families[i].minors = BLOCK_MINORS;
		families[i].ops = &block_ops;
		families[i].open = open_block;
		device_register(&families[i]);
	}
}

int blocks_make_nodes(void)
{
	struct block_device *device;
	int error = 0;

	for (unsigned n = 0; !error && (device = block_nth(n)) != NULL; n++) {
		error = device_node(device->name, NODE_MODE, device->number);
		if (error == -EEXIST)
			error = 0;
	}
	return error;
}
