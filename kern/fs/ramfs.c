/*
 * RAM file systems: their inodes, their directories' listings, their size.
 *
 * The names are name.c's, the contents of regular files ramfs_data.c's. What is here is the type "tmpfs", of which the root is one as well.
 */
#include <asm/errno.h>
#include <asm/statfs.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <vm/page.h>
#include <vm/swap.h>

#include "ramfs.h"

#define ROOT_MODE (S_IFDIR | 0755)

static struct slab_cache target_cache;

#define SHORT_TARGET 200

/* ---- Symbolic links ---------------------------------------------------------------------------------------- */

/* A short target is in an object of its own, a long one in a page. */
static int set_target(struct inode *inode, const char *target)
{
	size_t length = strlen(target);
	struct page *page = NULL;
	char *text;

	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	if (length < SHORT_TARGET) {
		text = slab_alloc(&target_cache);
	} else if (!ramfs_has_room(inode, 1)) {
		return -ENOSPC;
	} else {
		page = page_alloc(PAGE_KERNEL, 0);
		text = page ? page_data(page) : NULL;
	}
	if (!text)
		return -ENOMEM;
	memcpy(text, target, length + 1);
	inode->private = text;
	inode->bytes = length;
	return 0;
}

static void free_target(struct inode *inode)
{
	if (!inode->private)
		return;
	if (inode->bytes < SHORT_TARGET)
		slab_free(&target_cache, inode->private);
	else
		page_free(page_from_paddr(env_virt_to_phys(inode->private)));
}

static int64_t read_target(struct inode *inode, struct task *task, char *to, size_t bytes)
{
	size_t length = inode->bytes < bytes ? inode->bytes : bytes;

	(void)task;
	memcpy(to, inode->private, length);
	return (int64_t)length;
}

/* ---- Inodes -------------------------------------------------------------------------------------------------- */

static const struct inode_ops ramfs_link_ops = {.readlink = read_target, .destroy = free_target};

static const struct inode_ops plain_ops;

static void fifo_gone(struct inode *inode)
{
	if (fifo_destroy && inode->private)
		fifo_destroy(inode);
}

static const struct inode_ops fifo_ops = {.destroy = fifo_gone};

static const struct inode_ops *ops_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return &ramfs_link_ops;
	case S_IFREG:
		return &ramfs_inode_ops;
	case S_IFIFO:
		return &fifo_ops;
	default:
		return &plain_ops;
	}
}

static const struct file_ops *file_ops_of(uint32_t mode)
{
	if (S_ISREG(mode))
		return &ramfs_file_ops;
	return S_ISDIR(mode) ? &directory_file_ops : NULL;
}

int ramfs_inode(struct filesystem *fs, uint32_t mode, uint32_t rdev, const char *target, struct inode **out)
{
	struct inode *inode = inode_create(fs, ops_of(mode), mode);
	int error = 0;

	if (!inode)
		return filesystem_takes_name(fs) ? -ENOMEM : -ENOSPC;
	inode->file_ops = file_ops_of(mode);
	inode->rdev = rdev;
	if (S_ISDIR(mode))
		inode->links = 2; /* its name and "." */
	if (S_ISLNK(mode))
		error = set_target(inode, target);
	if (error)
		inode_unref(inode);
	else
		*out = inode;
	return error;
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

/* A number at *at, which it moves on: decimal, or octal. False: there is none. */
static bool take_number(const char **at, unsigned base, uint64_t *out)
{
	const char *start = *at;
	uint64_t value = 0;

	for (; **at >= '0' && **at < (char)('0' + base); (*at)++)
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
			return false;
	*out = value;
	return *at > start;
}

/* K, M, G, or % of RAM. */
static uint64_t take_unit(const char **at, uint64_t value)
{
	unsigned shift = 0;

	switch (**at) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case '%':
		(*at)++;
		return pages_to_bytes(page_stats().ram_pages) / 100 * value;
	default:
		return value;
	}
	(*at)++;
	return value << shift;
}

/* Takes "name=" off. */
static bool take_word(const char **at, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if ((*at)[i] != name[i])
			return false;
	*at += length;
	return true;
}

static bool take_option(struct filesystem *fs, const char **at, struct inode *root)
{
	uint64_t value;

	if (take_word(at, "size=")) {
		if (!take_number(at, 10, &value))
			return false;
		fs->limit_pages = bytes_to_pages(take_unit(at, value));
	} else if (take_word(at, "nr_inodes=")) {
		if (!take_number(at, 10, &value))
			return false;
		fs->limit_inodes = take_unit(at, value);
	} else if (take_word(at, "mode=")) {
		if (!take_number(at, 8, &value) || value & ~(uint64_t)S_IALLUGO)
			return false;
		root->mode = S_IFDIR | (uint32_t)value;
	} else if (take_word(at, "uid=")) {
		if (!take_number(at, 10, &value))
			return false;
		root->uid = (uint32_t)value;
	} else if (take_word(at, "gid=")) {
		if (!take_number(at, 10, &value))
			return false;
		root->gid = (uint32_t)value;
	} else {
		return false;
	}
	return true;
}

static int take_options(struct filesystem *fs, const char *options, struct inode *root)
{
	while (*options != '\0') {
		if (!take_option(fs, &options, root) || (*options != ',' && *options != '\0'))
			return -EINVAL;
		if (*options == ',')
			options++;
	}
	return 0;
}

/* ---- The type -------------------------------------------------------------------------------------------------- */

static uint64_t limit_of(const struct filesystem *fs)
{
	uint64_t ram = page_ram_count(), most = ram - ram / RAMFS_RESERVE_SHARE;
	struct swap_stats swap;

	swap_stats(&swap);
	most += swap.pages;
	return fs->limit_pages && fs->limit_pages < most ? fs->limit_pages : most;
}

static void ramfs_statfs(struct filesystem *fs, struct statfs *out)
{
	uint64_t limit = limit_of(fs), available = ramfs_free_pages();
	/* When a device that is paged to goes, more may be in use than the limit is then. */
	uint64_t left = limit > fs->used_pages ? limit - fs->used_pages : 0;

	if (fs->limit_pages && available > left)
		available = left;
	out->f_blocks = limit;
	out->f_bfree = out->f_bavail = available;
	out->f_files = fs->limit_inodes ? fs->limit_inodes : page_ram_count();
	out->f_ffree = out->f_files - (long)(fs->inodes + fs->extra_names);
}

static int ramfs_mount(struct filesystem *fs, const char *options)
{
	struct inode *inode;
	int error = ramfs_inode(fs, ROOT_MODE, 0, NULL, &inode);

	if (error)
		return error;
	/* A name with its file takes less than a quarter of a page: so names do not take all memory. */
	fs->limit_inodes = page_stats().ram_pages;
	error = take_options(fs, options, inode);
	if (error) {
		inode_unref(inode);
		return error;
	}
	return name_create(NULL, "", 0, inode, &fs->root);
}

struct filesystem_type ramfs_type = {
	.name = "tmpfs",
	.magic = TMPFS_MAGIC,
	.no_device = true,
	.statfs = ramfs_statfs,
	.mount = ramfs_mount,
};

void ramfs_init(void)
{
	slab_cache_init(&target_cache, "link target", SHORT_TARGET);
	filesystem_type_register(&ramfs_type);
}
