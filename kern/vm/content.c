/*
 * The contents of blobs, without mapping them: read, write, zero, copy. Commit is in populate.c.
 *
 * Everything goes page by page through blob_lock_and_obtain(), which makes the page resident as a
 * fault would. What is to be written never meets another's contents: copy on write happens here as
 * in a fault.
 */
#include <asm/errno.h>

#include <vm/swap.h>

#include "vm_internal.h"

int blob_lock_and_obtain(struct blob *blob, pgoff_t offset, enum obtain_for purpose, struct obtained *out)
{
	BLOB_ASSERT_LIVE(blob);
	ASSERT(offset < blob->pages);
	for (;;) {
		enum obtain step;
		int error;

		spin_lock(&blob->family->lock);
		step = obtain_page(blob, offset, purpose, NULL, out);
		/* locked: still, and that is how the caller gets it. */
		FAMILY_ASSERT_LOCKED(blob->family);
		if (step == OBTAIN_DONE)
			return 0;
		family_unlock(blob->family);
		if (step == OBTAIN_NO_MEMORY) {
			if (vm_make_room())
				continue;
			return -ENOMEM;
		}
		if (step == OBTAIN_BEYOND_EXTENT)
			return -ENXIO;
		/*
		 * unlocked: what the pager brings may be gone again before the next look. Then it is
		 * asked again.
		 */
		error = page_in(blob, offset, 1);
		if (error && (error != -ENOMEM || !vm_make_room()))
			return error;
	}
}

/* Is the page absent, and would be zero? Then it need not be made to read it. */
static bool is_absent_and_zero(struct blob *blob, pgoff_t offset)
{
	bool absent;

	if (blob->fixed)
		return false;
	spin_lock(&blob->family->lock);
	absent = blob_shown(blob, blob->base + offset) == SLOT_EMPTY && !page_is_at_pager(blob, offset);
	family_unlock(blob->family);
	return absent;
}

/* Reads bytes that lie within one page. 0, -ENOMEM, -EIO, -ENXIO; as do those that follow. */
static int read_within_page(struct blob *blob, uint64_t offset, void *to, size_t bytes)
{
	struct obtained found;
	int error;

	ASSERT(bytes > 0 && (offset & PAGE_MASK) + bytes <= PAGE_SIZE);
	if (is_absent_and_zero(blob, offset >> PAGE_SHIFT)) {
		memset(to, 0, bytes);
		return 0;
	}
	error = blob_lock_and_obtain(blob, offset >> PAGE_SHIFT, OBTAIN_READ, &found);
	if (error)
		return error;
	memcpy(to, (char *)page_data(found.page) + (offset & PAGE_MASK), bytes);
	family_unlock(blob->family);
	return 0;
}

/*
 * Writes bytes that lie within one page. A page that is all written need not be zeroed first, but has
 * to be the blob's alone all the same.
 */
static int write_within_page(struct blob *blob, uint64_t offset, const void *from, size_t bytes)
{
	struct obtained found;
	int error = blob_lock_and_obtain(blob, offset >> PAGE_SHIFT,
					 bytes == PAGE_SIZE ? OBTAIN_UNZEROED : OBTAIN_WRITE, &found);

	ASSERT(bytes > 0 && (offset & PAGE_MASK) + bytes <= PAGE_SIZE);
	if (error)
		return error;
	ASSERT(found.writable);
	memcpy((char *)page_data(found.page) + (offset & PAGE_MASK), from, bytes);
	family_unlock(blob->family);
	return 0;
}

/*
 * Clears bytes that lie within one page. A page that is absent, and would be zero, is left so; but not in an overlay, where it would show what the
 * blob below gets there.
 */
static int zero_within_page(struct blob *blob, uint64_t offset, size_t bytes)
{
	struct obtained found;
	int error;

	ASSERT(bytes > 0 && (offset & PAGE_MASK) + bytes <= PAGE_SIZE);
	if (!blob->below && is_absent_and_zero(blob, offset >> PAGE_SHIFT))
		return 0;
	error = blob_lock_and_obtain(blob, offset >> PAGE_SHIFT, OBTAIN_WRITE, &found);
	if (error)
		return error;
	ASSERT(found.writable);
	memset((char *)page_data(found.page) + (offset & PAGE_MASK), 0, bytes);
	family_unlock(blob->family);
	return 0;
}

/* Takes the right to write to a page from all mappings, those of the blob below an overlay included. Family locked. */
static void hold_still(struct blob *blob, pgoff_t offset)
{
	struct blob *below = blob->below;

	blob_withdraw_write(blob, offset, offset + 1);
	if (below) {
		offset += blob->base - below->base;
		blob_withdraw_write(below, offset, offset + 1);
	}
}

/* Copies bytes that lie within one page at both ends. */
static int copy_within_page(struct blob *to, uint64_t to_offset, struct blob *from, uint64_t from_offset,
			    size_t bytes)
{
	bool one_page = to == from && to_offset >> PAGE_SHIFT == from_offset >> PAGE_SHIFT;
	struct obtained source;
	int error;

	ASSERT(bytes > 0 && (to_offset & PAGE_MASK) + bytes <= PAGE_SIZE);
	ASSERT((from_offset & PAGE_MASK) + bytes <= PAGE_SIZE);
	if (is_absent_and_zero(from, from_offset >> PAGE_SHIFT))
		return zero_within_page(to, to_offset, bytes);
	error = blob_lock_and_obtain(from, from_offset >> PAGE_SHIFT, one_page ? OBTAIN_WRITE : OBTAIN_READ,
				     &source);
	if (error)
		return error;
	if (one_page) {
		char *data = page_data(source.page);

		memcpy(data + (to_offset & PAGE_MASK), data + (from_offset & PAGE_MASK), bytes);
		family_unlock(from->family);
		return 0;
	}
	/*
	 * Two families' locks are never held together; so the source's page is kept by a reference,
	 * and still, as whoever wants to write to it faults and has to copy it: before the copy is
	 * used, all other translations are forgotten.
	 */
	if (!from->fixed)
		hold_still(from, from_offset >> PAGE_SHIFT);
	page_ref(source.page);
	family_unlock(from->family);
	error = write_within_page(to, to_offset, (char *)page_data(source.page) + (from_offset & PAGE_MASK),
				  bytes);
	spin_lock(&from->family->lock);
	page_release(from->family, source.page);
	family_unlock(from->family);
	return error;
}

/*
 * 0 if contents may be read and written there: -EINVAL outside the blob, and of a device, whose registers are not memory; -ENXIO beyond the
 * extent, which may change as soon as this has looked.
 */
static int check_bytes(struct blob *blob, uint64_t offset, uint64_t bytes)
{
	uint64_t size = blob_size(blob);

	BLOB_ASSERT_LIVE(blob);
	if ((blob->fixed && !blob->contiguous) || offset > size || bytes > size - offset)
		return -EINVAL;
	return bytes == 0 || bytes_to_pages(offset + bytes) <= blob_extent(blob) ? 0 : -ENXIO;
}

/* The bytes from `offset` on that are in the same page, of as many as there are. */
static size_t bytes_left_in_page(uint64_t offset, uint64_t bytes)
{
	size_t left = PAGE_SIZE - (offset & PAGE_MASK);

	return bytes < left ? bytes : left;
}

int blob_read(struct blob *blob, uint64_t offset, void *to, size_t bytes)
{
	int error = check_bytes(blob, offset, bytes);

	while (!error && bytes > 0) {
		size_t piece = bytes_left_in_page(offset, bytes);

		error = read_within_page(blob, offset, to, piece);
		offset += piece;
		to = (char *)to + piece;
		bytes -= piece;
	}
	return error;
}

int blob_write(struct blob *blob, uint64_t offset, const void *from, size_t bytes)
{
	int error = check_bytes(blob, offset, bytes);

	while (!error && bytes > 0) {
		size_t piece = bytes_left_in_page(offset, bytes);

		error = write_within_page(blob, offset, from, piece);
		offset += piece;
		from = (const char *)from + piece;
		bytes -= piece;
	}
	return error;
}

/* What an absent page would read as. */
static const char zeroes[PAGE_SIZE];

/* Reads in place what needs nothing to be done first: a resident page, or an absent one that would be zero. False: it was neither. */
static bool read_in_place(struct blob *blob, uint64_t offset, size_t bytes,
			  size_t (*move)(void *context, void *data, size_t bytes), void *context,
			  size_t *moved)
{
	pgoff_t index = blob->base + (offset >> PAGE_SHIFT);
	const char *data = NULL;
	slot_t slot;

	if (blob->fixed)
		return false;
	spin_lock(&blob->family->lock);
	if (likely(index < blob->family->extent)) {
		slot = blob_shown(blob, index);
		if (slot_is_page(slot))
			data = page_data(slot_page(slot));
		else if (slot == SLOT_EMPTY && !page_is_at_pager(blob, offset >> PAGE_SHIFT))
			data = zeroes;
	}
	if (data)
		*moved = move(context, (char *)data + (offset & PAGE_MASK), bytes);
	family_unlock(blob->family);
	return data != NULL;
}

int blob_in_place(struct blob *blob, uint64_t offset, size_t bytes, bool write,
		  size_t (*move)(void *context, void *data, size_t bytes), void *context, size_t *moved)
{
	bool whole = write && bytes == PAGE_SIZE;
	struct obtained found;
	char *data;
	int error;

	BLOB_ASSERT_LIVE(blob);
	ASSERT(bytes > 0 && (offset & PAGE_MASK) + bytes <= PAGE_SIZE);
	if ((blob->fixed && !blob->contiguous) || offset >= blob_size(blob))
		return -EINVAL;
	if (!write && read_in_place(blob, offset, bytes, move, context, moved))
		return 0;
	error = blob_lock_and_obtain(blob, offset >> PAGE_SHIFT,
				     whole   ? OBTAIN_UNZEROED
				     : write ? OBTAIN_WRITE
					     : OBTAIN_READ,
				     &found);
	if (error)
		return error;
	ASSERT(found.writable || !write);
	data = (char *)page_data(found.page) + (offset & PAGE_MASK);
	*moved = move(context, data, bytes);
	/* Nobody sees what was in a new page before. */
	if (whole && *moved < bytes && found.how == FAULT_ZERO_FILL)
		memset(data + *moved, 0, bytes - *moved);
	family_unlock(blob->family);
	return 0;
}

/*
 * The first byte at or after `offset` that is not in an absent page that would be zero; `end` if
 * there is none before.
 */
static uint64_t skip_absent(struct blob *blob, uint64_t offset, uint64_t end)
{
	pgoff_t first = blob->base + (offset >> PAGE_SHIFT), found;
	pgoff_t last = blob->base + bytes_to_pages(end);
	slot_t *place;

	if (blob->pager || blob->fixed || blob->below || offset == end)
		return offset;
	spin_lock(&blob->family->lock);
	found = tree_next(&blob->tree, first, last, &place);
	family_unlock(blob->family);
	/* What was found may be gone by now, or more have come: callers look at each page again. */
	DEBUG_ASSERT(found >= first && found <= last);
	if (found == first)
		return offset;
	return found == last ? end : pages_to_bytes(found - blob->base);
}

/* The ends are cleared byte by byte, in pages that are there; what lies between need not be touched. */
int blob_zero(struct blob *blob, uint64_t offset, uint64_t bytes)
{
	uint64_t end = offset + bytes;
	uint64_t first_whole = page_round_up(offset), last_whole = page_round_down(end);
	int error = check_bytes(blob, offset, bytes);

	if (error)
		return error;
	/*
	 * Whole pages are just given up; if some are wired, or there is no memory for that, what
	 * is there is cleared.
	 */
	if (!blob->pager && !blob->fixed && !blob->below && first_whole < last_whole) {
		DEBUG_ASSERT(last_whole <= blob_size(blob));
		(void)blob_decommit(blob, first_whole >> PAGE_SHIFT,
				    (last_whole - first_whole) >> PAGE_SHIFT);
	}
	while ((offset = skip_absent(blob, offset, end)) < end) {
		size_t piece = bytes_left_in_page(offset, end - offset);

		error = zero_within_page(blob, offset, piece);
		if (error)
			return error;
		offset += piece;
	}
	return 0;
}

/* Do two stretches of one blob have bytes in common? Both lie inside, so nothing wraps. */
static bool bytes_overlap(uint64_t a, uint64_t b, uint64_t bytes)
{
	return a < b + bytes && b < a + bytes;
}

/*
 * Never more at once than lies within one page on both sides: two families' pages are at work, and one
 * lock.
 */
int blob_copy(struct blob *to, uint64_t to_offset, struct blob *from, uint64_t from_offset, uint64_t bytes)
{
	int error = check_bytes(to, to_offset, bytes);

	if (!error)
		error = check_bytes(from, from_offset, bytes);
	if (!error && to == from && bytes_overlap(to_offset, from_offset, bytes))
		error = -EINVAL;
	while (!error && bytes > 0) {
		size_t piece = bytes_left_in_page(to_offset, bytes_left_in_page(from_offset, bytes));

		error = copy_within_page(to, to_offset, from, from_offset, piece);
		to_offset += piece;
		from_offset += piece;
		bytes -= piece;
	}
	return error;
}
