/*
 * Inodes: made, counted, freed; their times; what stat says of them.
 *
 * What is in them is their kinds' business: ramfs.c, device.c, and others.
 */
#include <asm/errno.h>
#include <linux/magic.h>
#include <stdatomic.h>

#include "ramfs.h"

#define RELATIME_NS   (24ull * 60 * 60 * 1000000000) /* an access time older than this is brought up to date */
#define NS_PER_SECOND 1000000000
#define BLOCK_BYTES   512 /* the unit of st_blocks */

static struct slab_cache inode_cache;
static struct filesystem *unnamed;

static const struct filesystem_type unnamed_type = {.name = "anon_inodefs",
						    .magic = ANON_INODE_FS_MAGIC,
						    .no_device = true,
						    .fixed = true,
						    .hidden = true};
static const struct inode_ops unnamed_ops;

void inodes_init(void)
{
	slab_cache_init(&inode_cache, "inode", sizeof(struct inode));
	if (filesystem_create(&unnamed_type, "none", "", &unnamed) != 0)
		panic("no memory for file systems");
}

void inodes_end(void)
{
	filesystem_unref(unnamed);
}

/* ---- Times ------------------------------------------------------------------------------------------------ */

int64_t inode_now(void)
{
	return (int64_t)time_nanoseconds() + time_realtime_offset();
}

void inode_touch_modified(struct inode *inode)
{
	int64_t now = inode_now();

	inode->modified = now;
	inode->changed = now;
}

/* As Linux's "relatime": only if it was not read since it was changed, or for a day. */
void inode_touch_accessed(struct inode *inode)
{
	int64_t now, accessed = inode->accessed;

	if (accessed > inode->modified && accessed > inode->changed && inode->fs->device != unnamed->device) {
		now = inode_now();
		if (now - accessed < (int64_t)RELATIME_NS)
			return;
		inode->accessed = now;
		return;
	}
	inode->accessed = inode_now();
}

/* ---- Making and freeing ------------------------------------------------------------------------------------- */

/* A glance: several at once may go past the limit by as many. */
bool filesystem_takes_name(const struct filesystem *fs)
{
	return fs->limit_inodes == 0 || fs->inodes + fs->extra_names < fs->limit_inodes;
}

struct inode *inode_create(struct filesystem *fs, const struct inode_ops *ops, uint32_t mode)
{
	struct inode *inode;
	int64_t now = inode_now();

	if (!filesystem_takes_name(fs))
		return NULL;
	inode = slab_alloc(&inode_cache);
	if (!inode)
		return NULL;
	fs->inodes++;
	memset(inode, 0, sizeof(*inode));
	mutex_init(&inode->lock, RANK_INODE, "inode");
	inode->refs = 1;
	inode->links = 1;
	inode->fs = fs;
	fs->refs++;
	inode->ops = ops;
	inode->number = ++fs->next_inode;
	inode->mode = mode;
	inode->accessed = inode->modified = inode->changed = inode->created = now;
	return inode;
}

struct inode *inode_create_unnamed(uint32_t mode)
{
	return inode_create(unnamed, &unnamed_ops, mode);
}

void inode_unref(struct inode *inode)
{
	struct filesystem *fs;

	if (!inode || --inode->refs > 0)
		return;
	fs = inode->fs;
	if (inode->ops->destroy)
		inode->ops->destroy(inode);
	file_locks_destroy(inode);
	if (inode->blob)
		blob_unref(inode->blob);
	slab_free(&inode_cache, inode);
	fs->inodes--;
	filesystem_unref(fs);
}

int inode_begin_use(struct inode *inode, enum inode_use use)
{
	int32_t writers = inode->writers;

	do {
		if ((use == INODE_WRITES && writers < 0) || (use == INODE_EXECUTES && writers > 0))
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&inode->writers, &writers, writers + use));
	return 0;
}

void inode_end_use(struct inode *inode, enum inode_use use)
{
	inode->writers -= use;
}

void inode_drop_privileges(struct inode *inode)
{
	const uint32_t group_program = S_ISGID | S_IXGRP;
	uint32_t drop = S_ISUID;

	if ((inode->mode & group_program) == group_program)
		drop |= S_ISGID;
	inode->mode &= ~drop;
}

/* ---- stat --------------------------------------------------------------------------------------------------- */

static struct statx_timestamp timestamp(int64_t ns)
{
	int64_t seconds = ns / NS_PER_SECOND, rest = ns % NS_PER_SECOND;

	if (rest < 0) {
		rest += NS_PER_SECOND;
		seconds--;
	}
	return (struct statx_timestamp){.tv_sec = seconds, .tv_nsec = (uint32_t)rest};
}

void inode_stat(struct inode *inode, struct statx *out)
{
	*out = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_BTIME,
		.stx_blksize = PAGE_SIZE,
		.stx_nlink = inode->links,
		.stx_uid = inode->uid,
		.stx_gid = inode->gid,
		.stx_mode = (uint16_t)inode->mode,
		.stx_ino = inode->number,
		.stx_size = inode->bytes,
		.stx_blocks = inode->blob ? ramfs_stored(inode) * (PAGE_SIZE / BLOCK_BYTES) : 0,
		.stx_atime = timestamp(inode->accessed),
		.stx_btime = timestamp(inode->created),
		.stx_ctime = timestamp(inode->changed),
		.stx_mtime = timestamp(inode->modified),
		.stx_rdev_major = DEVICE_MAJOR(inode->rdev),
		.stx_rdev_minor = DEVICE_MINOR(inode->rdev),
		.stx_dev_major = DEVICE_MAJOR(inode->fs->device),
		.stx_dev_minor = DEVICE_MINOR(inode->fs->device),
	};
}
