/*
 * The contents of regular files of a RAM file system.
 *
 * A file's contents are a blob as large as blobs can be, which costs nothing; its extent follows the file's length. What mmap
 * shows is the same pages. Reading takes no lock; whatever changes the length or what is beyond it has the inode's.
 *
 * The inode's lock is held while bytes are copied from user memory, which may take page faults: serving one takes no lock of a file.
 *
 * Beyond the end of a file that ends within a page a mapping may have written into that page: this is cleared when the file gets longer.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <kern/bootfile.h>
#include <kern/commit.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <vm/page.h>
#include <vm/swap.h>

#include "fs_internal.h"
#include "ramfs.h"

#define SPACE_EVERY 16 /* pages are written between looks whether there is room */

/* ---- Space -------------------------------------------------------------------------------------------------- */

uint64_t ramfs_free_pages(void)
{
	uint64_t free = page_free_count(), reserve = page_ram_count() / RAMFS_RESERVE_SHARE;
	struct swap_stats swap;

	swap_stats(&swap);
	free += swap.pages - swap.used - swap.bad;
	return free > reserve ? free - reserve : 0;
}

bool ramfs_has_room(const struct inode *inode, uint64_t pages)
{
	const struct filesystem *fs = inode->fs;

	if (fs->limit_pages && fs->used_pages + pages > fs->limit_pages)
		return false;
	/* Where memory alone has enough, devices are not asked. */
	return page_free_count() >= page_ram_count() / RAMFS_RESERVE_SHARE + pages ||
	       ramfs_free_pages() >= pages;
}

/* Pages of [from, end) that are stored: in memory, at a pager, or lent. */
static pgoff_t stored_pages(struct inode *inode, pgoff_t from, pgoff_t end)
{
	pgoff_t lent = inode->lent ? bytes_to_pages(bootfile_lent_bytes(inode->lent)) : 0, sum = 0;
	struct blob_usage usage;

	if (from < lent) {
		sum = (end < lent ? end : lent) - from;
		from += sum;
	}
	if (from < end && blob_usage(inode->blob, from, end - from, &usage) == 0)
		sum += usage.resident + usage.paged_out;
	return sum;
}

/* While the file can be written through a mapping, they are counted each time. */
uint64_t ramfs_stored(struct inode *inode)
{
	bool mapped = blob_mapped(inode->blob, VM_WRITE);
	int64_t stored = inode->stored;

	if (stored < 0 || mapped) {
		mutex_lock(&inode->lock);
		stored = (int64_t)stored_pages(inode, 0, bytes_to_pages(inode->bytes));
		inode->stored = mapped ? -1 : stored;
		mutex_unlock(&inode->lock);
	}
	return (uint64_t)stored;
}

/* Counts pages of [from, to) that a change made come, or go: `before` were resident. Inode locked. */
static void charge(struct inode *inode, pgoff_t from, pgoff_t to, uint64_t before)
{
	uint64_t after = blob_resident(inode->blob, from, to - from);
	int64_t change = (int64_t)after - (int64_t)before;

	if (change < 0 && (uint64_t)-change > inode->charged)
		change = -(int64_t)inode->charged;
	inode->charged += (uint64_t)change;
	inode->fs->used_pages += (uint64_t)change;
}

/* ---- The length ------------------------------------------------------------------------------------------------ */

/*
 * So much of the file may come to be in memory: all up to its end; and of one that the boot archive lends as soon as it may be written to. -ENOSPC: more is
 * forbidden than there was. Inode locked.
 */
static int promise(struct inode *inode, uint64_t bytes)
{
	return commit_shared(inode->blob, bytes_to_pages(bytes)) ? -ENOSPC : 0;
}

/* A call is over, and as much is promised as the file has bytes in the end. Inode locked. */
static void promise_rest(struct inode *inode)
{
	if (blob_promised(inode->blob) > bytes_to_pages(inode->bytes))
		(void)promise(inode, inode->bytes);
}

/* The blob's pages up to `bytes` can be accessed, and none beyond. Inode locked. */
static int set_extent(struct inode *inode, uint64_t bytes)
{
	return blob_set_extent(inode->blob, bytes_to_pages(bytes));
}

/* What mappings wrote beyond the end, within its page, is zero from now on. Inode locked. */
static int clear_tail(struct inode *inode, uint64_t end)
{
	uint64_t in_page = end & PAGE_MASK;

	if (in_page == 0)
		return 0;
	return blob_zero(inode->blob, end, PAGE_SIZE - in_page);
}

int ramfs_contents(struct inode *inode, const struct bootfile *lent)
{
	int error;

	if (lent && lent->bytes > 0)
		error = bootfile_blob(lent, FILE_MAX_BYTES, &inode->blob, &inode->lent);
	else
		error = blob_create(FILE_MAX_BYTES, 0, &inode->blob);
	if (error)
		return error;
	inode->bytes = lent ? lent->bytes : 0;
	inode->seals = F_SEAL_SEAL;
	inode->stored = lent ? -1 : 0;
	return set_extent(inode, inode->bytes);
}

void ramfs_data_gone(struct inode *inode)
{
	inode->fs->used_pages -= inode->charged;
}

/* What may not be done any more to the contents: -EPERM. `bytes`: the length that it would have. */
static int check_seals(const struct inode *inode, bool write, uint64_t bytes)
{
	uint32_t seals = inode->seals;

	if ((write && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) ||
	    (bytes > inode->bytes && seals & F_SEAL_GROW) || (bytes < inode->bytes && seals & F_SEAL_SHRINK))
		return -EPERM;
	return 0;
}

/* The end of a write becomes the length. Inode locked. */
static int grow(struct inode *inode, uint64_t bytes)
{
	int error = clear_tail(inode, inode->bytes);

	if (!error)
		error = set_extent(inode, bytes);
	return error;
}

/* What is beyond `bytes` is forgotten; what the boot archive lent of it does not come back. Inode locked. */
static int shrink(struct inode *inode, uint64_t bytes)
{
	pgoff_t first = bytes_to_pages(bytes), end = bytes_to_pages(inode->bytes);
	uint64_t before;
	int error = clear_tail(inode, bytes);

	if (error)
		return error;
	before = inode->charged && first < end ? blob_resident(inode->blob, first, end - first) : 0;
	if (inode->lent)
		bootfile_cut(inode->lent, bytes);
	error = set_extent(inode, bytes);
	before = before < inode->charged ? before : inode->charged;
	inode->charged -= before;
	inode->fs->used_pages -= before;
	return error;
}

int ramfs_truncate(struct inode *inode, uint64_t bytes)
{
	int error;

	if (bytes > FILE_MAX_BYTES)
		return -EFBIG;
	mutex_lock(&inode->lock);
	error = check_seals(inode, false, bytes);
	if (!error && bytes > inode->bytes)
		error = promise(inode, bytes);
	if (!error && bytes > inode->bytes)
		error = grow(inode, bytes);
	else if (!error && bytes < inode->bytes)
		error = shrink(inode, bytes);
	if (!error) {
		inode->stored = bytes == 0 ? 0 : bytes < inode->bytes ? -1 : (int64_t)inode->stored;
		inode->bytes = bytes;
		inode_touch_modified(inode);
	}
	promise_rest(inode);
	mutex_unlock(&inode->lock);
	return error;
}

/* ---- Reading and writing ----------------------------------------------------------------------------------------- */

/* Without the lock: if the file gets shorter meanwhile, the read ends there. */
static int64_t ramfs_read(struct file *file, struct io *io, uint64_t *position)
{
	struct inode *inode = file->inode;
	uint64_t bytes = inode->bytes, left;
	int64_t moved;

	if (io->left == 0 || *position >= bytes)
		return 0;
	left = bytes - *position;
	moved = io_move_blob(io, inode->blob, *position, io->left < left ? io->left : left);
	if (!(file->flags & O_NOATIME))
		inode_touch_accessed(inode);
	if (moved > 0)
		*position += (uint64_t)moved;
	return moved == -ENXIO ? 0 : moved;
}

/* How much of a write may be made: io->left, cut at the limits; -EFBIG if none, -EPERM. Inode locked. */
static int64_t writable_bytes(struct inode *inode, const struct io *io, uint64_t position)
{
	uint64_t end, limit = io->limit < FILE_MAX_BYTES ? io->limit : FILE_MAX_BYTES;
	int error;

	if (position >= limit)
		return -EFBIG;
	end = io->left < limit - position ? position + io->left : limit;
	error = check_seals(inode, true, end > inode->bytes ? end : inode->bytes);
	return error ? error : (int64_t)(end - position);
}

/* Moves a piece; its pages are there already, or there is room for them. */
static int64_t write_piece(struct inode *inode, struct io *io, uint64_t position, uint64_t bytes)
{
	pgoff_t first = position >> PAGE_SHIFT, end = bytes_to_pages(position + bytes);
	uint64_t before = blob_resident(inode->blob, first, end - first);
	int64_t moved;

	if (before == end - first) {
		moved = io_move_blob(io, inode->blob, position, bytes);
	} else if (!ramfs_has_room(inode, end - first - before)) {
		moved = -ENOSPC;
	} else {
		uint64_t stored = stored_pages(inode, first, end);

		moved = io_move_blob(io, inode->blob, position, bytes);
		if (inode->stored >= 0)
			inode->stored += (int64_t)(stored_pages(inode, first, end) - stored);
		if (inode->fs->limit_pages)
			charge(inode, first, end, before);
	}
	return moved == -ENOMEM ? -ENOSPC : moved;
}

static int64_t write_pieces(struct inode *inode, struct io *io, uint64_t position, uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t piece = SPACE_EVERY * PAGE_SIZE - ((position + done) & PAGE_MASK);
		int64_t moved;

		if (piece > bytes - done)
			piece = bytes - done;
		moved = write_piece(inode, io, position + done, piece);
		if (moved < 0)
			return done > 0 ? (int64_t)done : moved;
		done += (uint64_t)moved;
		if ((uint64_t)moved < piece)
			break;
	}
	return (int64_t)done;
}

/* Inode locked. */
static int64_t write_at(struct inode *inode, struct io *io, uint64_t position)
{
	int64_t moved, bytes = writable_bytes(inode, io, position);
	uint64_t end = position + (uint64_t)bytes;
	bool longer = bytes > 0 && end > inode->bytes;
	int error;

	if (bytes < 0)
		return bytes;
	error = promise(inode, longer ? end : inode->bytes);
	if (error)
		return error;
	if (longer) {
		error = grow(inode, end);
		if (error)
			return error == -ENOMEM ? -ENOSPC : error;
	}
	moved = write_pieces(inode, io, position, (uint64_t)bytes);
	if (moved > 0 && position + (uint64_t)moved > inode->bytes)
		inode->bytes = position + (uint64_t)moved;
	/* What a page got beyond the bytes that count is lost. */
	if (longer && moved < bytes) {
		inode->stored = -1;
		set_extent(inode, inode->bytes);
		clear_tail(inode, inode->bytes);
	}
	return moved;
}

static int64_t ramfs_write(struct file *file, struct io *io, uint64_t *position)
{
	struct inode *inode = file->inode;
	int64_t moved;

	if (io->left == 0)
		return 0;
	mutex_lock(&inode->lock);
	if (file->flags & O_APPEND)
		*position = inode->bytes;
	moved = write_at(inode, io, *position);
	promise_rest(inode);
	if (moved > 0) {
		*position += (uint64_t)moved;
		inode_touch_modified(inode);
		if (!io->sets_id && inode->mode & (S_ISUID | S_ISGID))
			inode_drop_privileges(inode);
	}
	mutex_unlock(&inode->lock);
	return moved;
}

/* ---- Positions ------------------------------------------------------------------------------------------------------ */

/* The first page of [from, end) that is stored, or that is not; `end`: there is none. By halves. */
static pgoff_t find_page(struct inode *inode, pgoff_t from, pgoff_t end, bool stored)
{
	while (from < end) {
		pgoff_t half = from + (end - from + 1) / 2;
		pgoff_t count = stored_pages(inode, from, half);
		bool other = stored ? count == 0 : count == half - from;

		if (other)
			from = half;
		else if (half == from + 1)
			return from;
		else
			end = half;
	}
	return end;
}

/* SEEK_DATA and SEEK_HOLE. */
static int64_t seek_stored(struct inode *inode, int64_t offset, bool data)
{
	uint64_t bytes = inode->bytes, found;
	pgoff_t first, end = bytes_to_pages(bytes);

	if (offset < 0 || (uint64_t)offset >= bytes)
		return -ENXIO;
	first = (uint64_t)offset >> PAGE_SHIFT;
	found = pages_to_bytes(find_page(inode, first, end, data));
	if (data && found >= bytes)
		return -ENXIO;
	if (found > bytes)
		found = bytes;
	return found > (uint64_t)offset ? (int64_t)found : offset;
}

static int64_t ramfs_seek(struct file *file, int64_t offset, int whence)
{
	int64_t position;

	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		position = seek_stored(file->inode, offset, whence == SEEK_DATA);
	else
		return file_seek_plain(file, offset, whence, file->inode->bytes);
	if (position >= 0)
		file->position = (uint64_t)position;
	return position;
}

/* ---- Mappings ---------------------------------------------------------------------------------------------------------- */

/* What is mapped so that it may be written to is promised, if it was not yet. -ENOSPC. */
static int map_to_write(struct inode *inode)
{
	int error;

	mutex_lock(&inode->lock);
	error = promise(inode, inode->bytes);
	mutex_unlock(&inode->lock);
	return error;
}

static int ramfs_mmap(struct file *file, struct mmap_request *request)
{
	struct inode *inode = file->inode;
	unsigned access = file->flags & O_ACCMODE;

	if (access == O_WRONLY)
		return -EACCES;
	if (request->offset > FILE_MAX_BYTES || request->bytes > FILE_MAX_BYTES - request->offset)
		return -EOVERFLOW;
	if (request->shared) {
		bool sealed = inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);

		if (request->prot & VM_WRITE && (access != O_RDWR || sealed))
			return access != O_RDWR ? -EACCES : -EPERM;
		if (access != O_RDWR || sealed)
			request->max_prot &= ~(vm_prot_t)VM_WRITE;
		else if (map_to_write(inode) != 0)
			return -ENOMEM;
		/* Pages may come by the mapping from now on. */
		inode->stored = -1;
	}
	blob_ref(inode->blob);
	request->blob = inode->blob;
	request->blob_offset = request->offset >> PAGE_SHIFT;
	inode_touch_accessed(inode);
	return 0;
}

/* ---- fallocate ------------------------------------------------------------------------------------------------------------ */

/* Whole pages of [from, end) that are not lent become absent. Only a blob with a pager needs that: of others blob_zero() does it. */
static int forget_pages(struct inode *inode, uint64_t from, uint64_t end)
{
	uint64_t lent = page_round_up(bootfile_lent_bytes(inode->lent));
	uint64_t first = page_round_up(from < lent ? lent : from), last = page_round_down(end);

	if (first >= last)
		return 0;
	return blob_decommit(inode->blob, first >> PAGE_SHIFT, (last - first) >> PAGE_SHIFT);
}

/* Zeroes [from, end), of which blob_zero() would look at each page, but for those of the middle that are forgotten. */
static int zero_around(struct inode *inode, uint64_t from, uint64_t end)
{
	uint64_t lent = page_round_up(bootfile_lent_bytes(inode->lent));
	uint64_t first = page_round_up(from < lent ? lent : from), last = page_round_down(end);
	int error;

	if (first >= last)
		return blob_zero(inode->blob, from, end - from);
	error = from < first ? blob_zero(inode->blob, from, first - from) : 0;
	return error || last == end ? error : blob_zero(inode->blob, last, end - last);
}

/* Makes the bytes zero, as far as the file reaches. Inode locked. */
static int zero_range(struct inode *inode, uint64_t from, uint64_t end)
{
	int error;

	if (end > inode->bytes)
		end = inode->bytes;
	if (from >= end)
		return 0;
	if (!inode->lent)
		return blob_zero(inode->blob, from, end - from);
	error = zero_around(inode, from, end);
	return error ? error : forget_pages(inode, from, end);
}

/* Makes pages exist, as far as the file reaches. Inode locked. */
static int reserve_range(struct inode *inode, uint64_t from, uint64_t end)
{
	pgoff_t page = from >> PAGE_SHIFT, last;

	if (end > inode->bytes)
		end = inode->bytes;
	for (last = bytes_to_pages(end); page < last;) {
		pgoff_t count = last - page < SPACE_EVERY ? last - page : SPACE_EVERY;
		uint64_t before = blob_resident(inode->blob, page, count);
		int error = ramfs_has_room(inode, count - before) ? blob_commit(inode->blob, page, count)
								  : -ENOSPC;

		if (inode->fs->limit_pages)
			charge(inode, page, page + count, before);
		if (error)
			return error == -ENOMEM ? -ENOSPC : error;
		page += count;
	}
	return 0;
}

int ramfs_allocate(struct inode *inode, unsigned mode, uint64_t from, uint64_t bytes)
{
	uint64_t end = from + bytes, before = 0;
	bool punch = mode & FALLOC_FL_PUNCH_HOLE, keep = mode & FALLOC_FL_KEEP_SIZE;
	int error;

	if (bytes > FILE_MAX_BYTES || from > FILE_MAX_BYTES - bytes)
		return -EFBIG;
	mutex_lock(&inode->lock);
	before = inode->bytes;
	error = check_seals(inode, punch || mode & FALLOC_FL_ZERO_RANGE, keep || end < before ? before : end);
	if (!error)
		error = promise(inode, keep || end < before ? before : end);
	if (!error && !keep && end > before) {
		error = grow(inode, end);
		if (!error)
			inode->bytes = end;
	}
	if (!error && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		error = zero_range(inode, from, end);
	if (!error && !punch)
		error = reserve_range(inode, from, end);
	/* All or nothing, as far as the length goes. */
	if (error && inode->bytes > before) {
		inode->bytes = before;
		set_extent(inode, before);
	}
	inode->stored = -1;
	promise_rest(inode);
	if (!error)
		inode_touch_modified(inode);
	mutex_unlock(&inode->lock);
	return error;
}

/* ---- Seals -------------------------------------------------------------------------------------------------------------------- */

int ramfs_add_seals(struct file *file, uint32_t seals)
{
	const uint32_t known = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	struct inode *inode = file->inode;
	int error = 0;

	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return -EPERM;
	if (seals & ~known)
		return -EINVAL;
	mutex_lock(&inode->lock);
	if (inode->seals & F_SEAL_SEAL)
		error = -EPERM;
	else if (seals & ~inode->seals & F_SEAL_WRITE && blob_mapped(inode->blob, VM_WRITE))
		error = -EBUSY;
	else
		inode->seals |= seals;
	mutex_unlock(&inode->lock);
	return error;
}

const struct file_ops ramfs_file_ops = {
	.name = "file",
	.read = ramfs_read,
	.write = ramfs_write,
	.seek = ramfs_seek,
	.mmap = ramfs_mmap,
};

const struct inode_ops ramfs_inode_ops = {.destroy = ramfs_data_gone};
