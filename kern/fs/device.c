/*
 * Devices: from numbers to files' operations, and the memory devices.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/major.h>
#include <linux/random.h>

#include "fs_internal.h"

#define CHUNK_BYTES 256

static struct device *devices; /* device_lock */
static struct spinlock device_lock = ENV_SPINLOCK_INIT(RANK_FILES, "devices");

void device_register(struct device *device)
{
	spin_lock(&device_lock);
	device->next = devices;
	devices = device;
	spin_unlock(&device_lock);
}

struct device *device_find(uint32_t type, uint32_t rdev)
{
	struct device *device;

	spin_lock(&device_lock);
	for (device = devices; device; device = device->next)
		if (device->type == type && device->major == DEVICE_MAJOR(rdev) &&
		    DEVICE_MINOR(rdev) - device->first_minor < device->minors)
			break;
	spin_unlock(&device_lock);
	return device;
}

int device_open(struct file *file, struct task *task)
{
	struct inode *inode = file->inode;
	struct device *device = device_find(inode->mode & S_IFMT, inode->rdev);

	if (!device)
		return -ENXIO;
	file->ops = device->ops;
	return device->open ? device->open(file, task) : 0;
}

/* ---- /dev/null, zero, full, random ------------------------------------------------------------------------------ */

enum { MINOR_NULL = 3, MINOR_ZERO = 5, MINOR_FULL = 7, MINOR_RANDOM = 8, MINOR_URANDOM = 9 };

static int64_t read_nothing(struct file *file, struct io *io, uint64_t *position)
{
	(void)file, (void)io, (void)position;
	return 0;
}

static int64_t write_away(struct file *file, struct io *io, uint64_t *position)
{
	int64_t bytes = (int64_t)io->left;

	(void)file, (void)position;
	io_skip(io, io->left);
	return bytes;
}

static int64_t write_full(struct file *file, struct io *io, uint64_t *position)
{
	(void)file, (void)io, (void)position;
	return -ENOSPC;
}

static void fill_zero(void *to, size_t bytes)
{
	memset(to, 0, bytes);
}

/* Reads what `fill` makes, until a signal comes. */
static int64_t read_made(struct io *io, void (*fill)(void *to, size_t bytes))
{
	uint64_t done = 0;
	char chunk[CHUNK_BYTES];

	while (io->left > 0) {
		size_t piece = io->left < sizeof(chunk) ? io->left : sizeof(chunk);
		int64_t moved;

		fill(chunk, piece);
		moved = io_put(io, chunk, piece);
		if (moved < 0)
			return done > 0 ? (int64_t)done : moved;
		done += (uint64_t)moved;
		thread_breathe();
		if ((size_t)moved < piece || thread_interrupted())
			break;
	}
	return (int64_t)done;
}

static int64_t read_zero(struct file *file, struct io *io, uint64_t *position)
{
	(void)file, (void)position;
	return read_made(io, fill_zero);
}

static int64_t read_random(struct file *file, struct io *io, uint64_t *position)
{
	(void)file, (void)position;
	return read_made(io, random_bytes);
}

/* As Linux since 5.18, whose generator is always full, and as /proc/sys/kernel/random/entropy_avail. */
static int64_t random_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	const int bits = RANDOM_POOL_BITS;

	(void)file, (void)task;
	return request == RNDGETENTCNT ? copy_to_user(argument, &bits, sizeof(bits)) : -ENOTTY;
}

static int64_t seek_nowhere(struct file *file, int64_t offset, int whence)
{
	(void)offset, (void)whence;
	file->position = 0;
	return 0;
}

/* Private mappings of /dev/zero are anonymous memory; so are shared ones. */
static int map_zero(struct file *file, struct mmap_request *request)
{
	(void)file;
	request->blob = NULL;
	return 0;
}

static const struct file_ops null_ops = {
	.name = "null", .read = read_nothing, .write = write_away, .seek = seek_nowhere};
static const struct file_ops zero_ops = {
	.name = "zero", .read = read_zero, .write = write_away, .seek = seek_nowhere, .mmap = map_zero};
static const struct file_ops full_ops = {
	.name = "full", .read = read_zero, .write = write_full, .seek = seek_nowhere};
static const struct file_ops random_ops = {.name = "random",
					   .read = read_random,
					   .write = write_away,
					   .seek = seek_nowhere,
					   .ioctl = random_ioctl};

static struct device memory_devices[] = {
	{.name = "null", .first_minor = MINOR_NULL, .ops = &null_ops},
	{.name = "zero", .first_minor = MINOR_ZERO, .ops = &zero_ops},
	{.name = "full", .first_minor = MINOR_FULL, .ops = &full_ops},
	{.name = "random", .first_minor = MINOR_RANDOM, .ops = &random_ops},
	{.name = "urandom", .first_minor = MINOR_URANDOM, .ops = &random_ops},
};

void devices_init(void)
{
	for (size_t i = 0; i < sizeof(memory_devices) / sizeof(memory_devices[0]); i++) {
		struct device *device = &memory_devices[i];

		device->type = S_IFCHR;
		device->major = MEM_MAJOR;
		device->minors = 1;
		device_register(device);
	}
}

/* ---- /dev ------------------------------------------------------------------------------------------------------------ */

#define DEV            "/dev/"
#define DEV_PATH_BYTES 64
#define ALL_MAY_USE    (S_IFCHR | 0666)

static void dev_path(char *to, const char *path)
{
	env_format(to, DEV_PATH_BYTES, DEV "%s", path);
}

int device_node(const char *path, uint32_t mode, uint32_t rdev)
{
	char full[DEV_PATH_BYTES];

	dev_path(full, path);
	return fs_make_node(NULL, 0, full, mode, rdev, NULL, NULL);
}

void device_node_remove(const char *path)
{
	char full[DEV_PATH_BYTES];

	dev_path(full, path);
	fs_unlink(NULL, 0, full);
}

int devices_make_nodes(void)
{
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(memory_devices) / sizeof(memory_devices[0]); i++) {
		error = device_node(memory_devices[i].name, ALL_MAY_USE,
				    DEVICE_NUMBER(MEM_MAJOR, memory_devices[i].first_minor));
		if (error == -EEXIST)
			error = 0;
	}
	return error;
}
