/*
 * Moving bytes between files and programs' memory.
 *
 * What a call reads or writes is described by struct io: pieces of user memory, or kernel memory. Between a blob and a program bytes go
 * straight from page to page: io_move_blob() copies with the blob's page held in place, which allows no page fault; where the program's page is
 * missing, it is brought in first, and the copy tried again.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/kern.h>
#include <linux/uio.h>
#include <vm/layout.h>

#define DIRECT_ATTEMPTS 3 /* then a page that will not stay is copied by way of the kernel's memory */
#define BOUNCE_BYTES    256

void io_init_kernel(struct io *io, void *memory, uint64_t bytes, bool writing)
{
	*io = (struct io){
		.kernel = memory, .left = bytes, .limit = UINT64_MAX, .sets_id = true, .writing = writing};
}

bool io_may_be_buffer(vaddr_t start, uint64_t bytes)
{
	return bytes == 0 ||
	       (bytes <= LAYOUT_PHYSICAL_END && start <= LAYOUT_PHYSICAL_END - bytes && user_range(start, 1));
}

int io_init_user(struct io *io, const struct iovec *parts, size_t count, bool writing)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++) {
		total += parts[i].iov_len;
		if (parts[i].iov_len > INT64_MAX || total > INT64_MAX)
			return -EINVAL;
	}
	for (size_t i = 0; i < count; i++)
		if (!io_may_be_buffer((vaddr_t)parts[i].iov_base, parts[i].iov_len))
			return -EFAULT;
	*io = (struct io){.parts = parts,
			  .count = count,
			  .left = total < IO_MAX_BYTES ? total : IO_MAX_BYTES,
			  .limit = UINT64_MAX,
			  .writing = writing};
	return 0;
}

void io_skip(struct io *io, uint64_t bytes)
{
	ASSERT(bytes <= io->left);
	io->left -= bytes;
	if (!io->parts) {
		io->kernel += bytes;
		return;
	}
	io->used += bytes;
	while (io->count > 0 && io->used >= io->parts->iov_len) {
		io->used -= io->parts->iov_len;
		io->parts++;
		io->count--;
	}
}

/* The user memory that comes next: its address, and how many of `bytes` lie in the same page and part. */
static vaddr_t next_user(struct io *io, uint64_t *bytes)
{
	vaddr_t at;
	uint64_t in_part, in_page;

	io_skip(io, 0); /* over parts that are empty */
	at = (vaddr_t)io->parts->iov_base + io->used;
	in_part = io->parts->iov_len - io->used;
	in_page = PAGE_SIZE - (at & PAGE_MASK);
	if (*bytes > in_part)
		*bytes = in_part;
	if (*bytes > in_page)
		*bytes = in_page;
	return at;
}

/* Moves bytes, `writing` or not; page by page of the user's memory, so that it is known where it is bad. */
static int64_t move(struct io *io, char *memory, uint64_t bytes, bool writing)
{
	uint64_t done = 0;

	ASSERT(bytes <= io->left);
	if (!io->parts) {
		if (writing)
			memcpy(memory, io->kernel, bytes);
		else
			memcpy(io->kernel, memory, bytes);
		io_skip(io, bytes);
		return (int64_t)bytes;
	}
	while (done < bytes) {
		uint64_t piece = bytes - done;
		vaddr_t at = next_user(io, &piece);
		int error = writing ? copy_from_user(memory + done, at, piece)
				    : copy_to_user(at, memory + done, piece);

		if (error)
			return done > 0 ? (int64_t)done : error;
		io_skip(io, piece);
		done += piece;
		if (done < bytes)
			thread_breathe();
	}
	return (int64_t)done;
}

int64_t io_put(struct io *io, const void *from, uint64_t bytes)
{
	return move(io, (char *)from, bytes, false);
}

int64_t io_get(struct io *io, void *to, uint64_t bytes)
{
	return move(io, to, bytes, true);
}

/* ---- Blobs ------------------------------------------------------------------------------------------ */

/* Called with the blob's bytes in place, and a spinlock held: how many of them were moved. */
static size_t move_in_place(void *context, void *data, size_t bytes)
{
	struct io *io = context;
	size_t done = 0;

	if (!io->parts)
		return (size_t)move(io, data, bytes, io->writing);
	while (done < bytes) {
		uint64_t piece = bytes - done;
		vaddr_t at = next_user(io, &piece);

		if (!copy_user_present(io->writing ? (vaddr_t)data + done : at,
				       io->writing ? at : (vaddr_t)data + done, piece))
			break;
		io_skip(io, piece);
		done += piece;
	}
	return done;
}

/* Makes the user memory that comes next present. */
static int bring_in(struct io *io)
{
	uint64_t bytes = io->left;
	vaddr_t at = next_user(io, &bytes);

	return user_bring_in(at, io->writing ? VM_READ : VM_WRITE);
}

/* Moves some bytes, at least one, by way of the stack. */
static int64_t move_by_bounce(struct io *io, struct blob *blob, uint64_t offset, uint64_t bytes)
{
	char bounce[BOUNCE_BYTES];
	int64_t moved;
	int error;

	if (bytes > sizeof(bounce))
		bytes = sizeof(bounce);
	if (io->writing) {
		moved = io_get(io, bounce, bytes);
		error = moved > 0 ? blob_write(blob, offset, bounce, (size_t)moved) : 0;
	} else {
		error = blob_read(blob, offset, bounce, bytes);
		moved = error ? error : io_put(io, bounce, bytes);
	}
	return error ? error : moved;
}

/* Moves bytes that lie within one page of the blob, at least one of them. */
static int64_t move_some(struct io *io, struct blob *blob, uint64_t offset, uint64_t bytes)
{
	for (int attempt = 0; attempt < DIRECT_ATTEMPTS; attempt++) {
		size_t moved;
		int error = blob_in_place(blob, offset, bytes, io->writing, move_in_place, io, &moved);

		if (error || moved > 0)
			return error ? error : (int64_t)moved;
		error = bring_in(io);
		if (error)
			return error;
	}
	return move_by_bounce(io, blob, offset, bytes);
}

int64_t io_move_blob(struct io *io, struct blob *blob, uint64_t offset, uint64_t bytes)
{
	uint64_t done = 0;

	if (bytes > io->left)
		bytes = io->left;
	while (done < bytes) {
		uint64_t at = offset + done, piece = PAGE_SIZE - (at & PAGE_MASK);
		int64_t moved = move_some(io, blob, at, piece < bytes - done ? piece : bytes - done);

		if (moved < 0)
			return done > 0 ? (int64_t)done : moved;
		done += (uint64_t)moved;
		if (done < bytes)
			thread_breathe();
	}
	return (int64_t)done;
}
