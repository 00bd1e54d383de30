/*
 * Pipes and FIFOs (pipe(7)): a ring of bytes in pages that come when they are written to and go when they have been read.
 *
 * A pipe is its inode's: of a name, a FIFO, or of none. How many files have it open to read and to write decides about ends and
 * errors. The system calls are in kern/proc/sys_pipe.c.
 */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <kern/inode.h>
#include <kern/pipe.h>
#include <kern/poll.h>
#include <kern/proc.h>
#include <kern/procfs.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <vm/page.h>
#include <vm/slab.h>
#include <vm/swap.h>

#define DEFAULT_PAGES 16u
#define MOST_PAGES    256u /* a pipe may have */
#define MOST_BYTES    ((int)(MOST_PAGES * PAGE_SIZE))
#define LARGEST_SIZE  (1u << 31) /* that makes any sense at all */
#define HAD_WRITER    UINT64_MAX /* a file's position: there were writers when it was opened */

/*
 * Locks: (l) its own lock; (-) set once.
 */
struct pipe {
	struct mutex lock;   /* (-) RANK_INODE */
	struct page **pages; /* (l) the ring's: NULL where nothing is; `few`, or an object of many_cache */
	struct page *few[DEFAULT_PAGES]; /* (l) */
	struct page *spare;  /* (l) an empty page, so that the next write need not ask for one; NULL: none */
	uint32_t page_count; /* (l) of the ring: a power of two */
	uint32_t put, taken; /* (l) bytes ever put in and taken out; both 0 when the ring has been emptied */
	uint32_t readers, writers;           /* (l) open files */
	uint32_t reader_opens, writer_opens; /* (l) ever: what waits in open looks at them */
	bool peeked;                         /* (l) a reader has the contents for itself */
	struct wait_queue readable;          /* (-) something was put in, or the last writer went */
	struct wait_queue writable;          /* (-) something was taken out, or the last reader went */
	struct wait_queue opened;            /* (-) somebody opened it */
};

static struct slab_cache pipe_cache, many_cache;

static const struct file_ops pipe_ops;

/* ---- The ring ------------------------------------------------------------------------------------------- */

static uint32_t capacity(const struct pipe *pipe)
{
	return pipe->page_count << PAGE_SHIFT;
}

static uint32_t used(const struct pipe *pipe)
{
	return pipe->put - pipe->taken;
}

static uint32_t room(const struct pipe *pipe)
{
	return capacity(pipe) - used(pipe);
}

/* Where the page of the ring is that position `at` is in. */
static struct page **page_slot(struct pipe *pipe, uint32_t at)
{
	return &pipe->pages[at >> PAGE_SHIFT & (pipe->page_count - 1)];
}

static uint32_t page_start(uint32_t at)
{
	return at & ~(uint32_t)(PAGE_SIZE - 1);
}

/* How much of a transfer from position `at` on is in one page. */
static uint32_t in_page(uint32_t at, uint64_t bytes)
{
	uint32_t rest = (uint32_t)PAGE_SIZE - (at & (PAGE_SIZE - 1));

	return bytes < rest ? (uint32_t)bytes : rest;
}

static char *byte_at(struct pipe *pipe, uint32_t at)
{
	return (char *)page_data(*page_slot(pipe, at)) + (at & (PAGE_SIZE - 1));
}

static void drop_page(struct pipe *pipe, struct page **slot)
{
	if (!pipe->spare)
		pipe->spare = *slot;
	else
		page_free(*slot);
	*slot = NULL;
}

/* Does the page of the first byte have the last ones in it, too? The ring is nearly full then. */
static bool is_wrapped(const struct pipe *pipe)
{
	return pipe->put - page_start(pipe->taken) > capacity(pipe);
}

/* Takes bytes out that have been read, and pages that are empty then. The last one stays for who writes next. */
static void take_out(struct pipe *pipe, uint32_t bytes)
{
	ASSERT(bytes <= used(pipe));
	while (bytes > 0) {
		uint32_t part = in_page(pipe->taken, bytes);
		struct page **slot = page_slot(pipe, pipe->taken);
		bool whole = page_start(pipe->taken + part) != page_start(pipe->taken);

		if (whole && !is_wrapped(pipe))
			drop_page(pipe, slot);
		pipe->taken += part;
		bytes -= part;
	}
	if (pipe->taken != pipe->put)
		return;
	if (pipe->taken & (PAGE_SIZE - 1)) {
		struct page **slot = page_slot(pipe, pipe->taken), *page = *slot;

		*slot = NULL;
		pipe->pages[0] = page;
	}
	pipe->put = pipe->taken = 0;
}

/* Forgets all that is in it. */
static void empty(struct pipe *pipe)
{
	take_out(pipe, used(pipe));
	if (pipe->pages[0])
		drop_page(pipe, &pipe->pages[0]);
	if (pipe->spare)
		page_free(pipe->spare);
	pipe->spare = NULL;
}

/* A page for what is written: if there is none, others are given up. NULL: that is of no use. The pipe's mutex may be held, but no spinlock. */
static struct page *take_page(void)
{
	struct page *page;

	do {
		page = page_alloc(PAGE_KERNEL, 0);
	} while (!page && vm_make_room());
	return page;
}

/* Puts into one page what there is of the io, at most `most` bytes. How many, or -EFAULT, or -ENOMEM. */
static int64_t put_in_page(struct pipe *pipe, struct io *io, uint32_t most)
{
	struct page **slot = page_slot(pipe, pipe->put);
	bool fresh = !*slot;
	int64_t moved;

	if (fresh) {
		*slot = pipe->spare ? pipe->spare : take_page();
		pipe->spare = NULL;
	}
	if (!*slot)
		return -ENOMEM;
	moved = io_get(io, byte_at(pipe, pipe->put), in_page(pipe->put, most));
	if (moved > 0)
		pipe->put += (uint32_t)moved;
	else if (fresh)
		drop_page(pipe, slot);
	return moved;
}

/* ---- Making and freeing ------------------------------------------------------------------------------------ */

/* /proc/sys/fs/pipe-max-size: what pipes may have, be it asked for or not, of programs that are not privileged. */
static _Atomic int most_bytes = MOST_BYTES;
const struct proc_setting pipe_setting = {&most_bytes, (int)PAGE_SIZE, MOST_BYTES};

static bool is_limited(void)
{
	return !task_capable(task_current(), CAP_SYS_RESOURCE);
}

/* How many pages a new one has: a power of two. */
static uint32_t first_count(void)
{
	const uint32_t most = (uint32_t)most_bytes;
	uint32_t count = DEFAULT_PAGES;

	while (count << PAGE_SHIFT > most && is_limited())
		count /= 2;
	return count;
}

static struct pipe *allocate(void)
{
	struct pipe *pipe = slab_alloc(&pipe_cache);

	if (!pipe)
		return NULL;
	memset(pipe, 0, sizeof(*pipe));
	mutex_init(&pipe->lock, RANK_INODE, "pipe");
	wait_queue_init(&pipe->readable);
	wait_queue_init(&pipe->writable);
	wait_queue_init(&pipe->opened);
	pipe->pages = pipe->few;
	pipe->page_count = first_count();
	return pipe;
}

static void set_pages(struct pipe *pipe, struct page **pages, uint32_t count)
{
	if (pipe->pages != pipe->few)
		slab_free(&many_cache, pipe->pages);
	pipe->pages = pages;
	pipe->page_count = count;
}

/* The inode goes. */
static void destroy(struct inode *inode)
{
	struct pipe *pipe = inode->private;

	if (!pipe)
		return;
	ASSERT(pipe->readers == 0 && pipe->writers == 0);
	empty(pipe);
	set_pages(pipe, pipe->few, DEFAULT_PAGES);
	slab_free(&pipe_cache, pipe);
}

static const struct inode_ops pipe_inode_ops = {.destroy = destroy};

/* Opens one end of a pipe without a name. */
static struct file *create_end(struct inode *inode, unsigned flags)
{
	struct pipe *pipe = inode->private;
	struct file *file = file_create(&pipe_ops, inode_ref(inode), NULL, flags, pipe);

	if (!file)
		return NULL;
	if ((flags & O_ACCMODE) == O_RDONLY)
		pipe->readers++;
	else
		pipe->writers = pipe->writer_opens = 1;
	return file;
}

int pipe_create(unsigned flags, struct file *ends[2])
{
	struct inode *inode = inode_create_unnamed(S_IFIFO | S_IRUSR | S_IWUSR);
	struct pipe *pipe = inode ? allocate() : NULL;

	if (!pipe) {
		inode_unref(inode);
		return -ENOMEM;
	}
	inode->ops = &pipe_inode_ops;
	inode->file_ops = &pipe_ops;
	inode->private = pipe;
	ends[0] = create_end(inode, O_RDONLY | flags);
	ends[1] = create_end(inode, O_WRONLY | flags);
	inode_unref(inode);
	if (ends[0] && ends[1])
		return 0;
	for (unsigned i = 0; i < 2; i++)
		if (ends[i])
			file_unref(ends[i]);
	return -ENOMEM;
}

/* ---- Reading and writing ------------------------------------------------------------------------------------- */

static bool is_nonblocking(const struct file *file)
{
	return file->flags & O_NONBLOCK;
}

/* Waits until there is something to read. How much; 0: the end. The pipe is locked. */
static int64_t wait_readable(struct pipe *pipe, bool nonblock)
{
	if (pipe->peeked || used(pipe) == 0) {
		if (!pipe->peeked && pipe->writers == 0)
			return 0;
		if (nonblock)
			return -EAGAIN;
		if (WAIT_EVENT_MUTEX(&pipe->readable, &pipe->lock,
				     !pipe->peeked && (used(pipe) > 0 || pipe->writers == 0),
				     SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			return -ERESTARTSYS;
	}
	return used(pipe);
}

static int64_t read_bytes(struct pipe *pipe, struct io *io)
{
	int64_t done = 0, moved = 0;

	while (io->left > 0 && used(pipe) > 0) {
		uint32_t part = in_page(pipe->taken, io->left < used(pipe) ? io->left : used(pipe));

		moved = io_put(io, byte_at(pipe, pipe->taken), part);
		if (moved <= 0)
			break;
		take_out(pipe, (uint32_t)moved);
		done += moved;
		if (moved < part)
			break;
	}
	return done > 0 ? done : moved;
}

static int64_t pipe_read(struct file *file, struct io *io, uint64_t *position)
{
	struct pipe *pipe = file->private;
	int64_t result;

	(void)position;
	if (io->left == 0)
		return 0;
	if (mutex_lock_killable(&pipe->lock) != 0)
		return -ERESTARTSYS;
	result = wait_readable(pipe, is_nonblocking(file) || io->no_wait);
	if (result > 0)
		result = read_bytes(pipe, io);
	mutex_unlock(&pipe->lock);
	if (result > 0) {
		wait_wake_all(&pipe->writable);
		inode_touch_accessed(file->inode);
	}
	return result;
}

/*
 * Waits until some of `left` bytes can be written, all of them if `whole`. How many; -EPIPE, -EAGAIN, -ERESTARTSYS. The pipe is
 * locked. A long write does not go on for each byte that is read.
 */
static int64_t wait_writable(struct pipe *pipe, uint64_t left, bool whole, bool nonblock)
{
	uint32_t least = left < PIPE_BUF ? (uint32_t)left : PIPE_BUF;

	if (pipe->readers > 0 && room(pipe) < (whole ? least : 1)) {
		if (nonblock)
			return -EAGAIN;
		if (WAIT_EVENT_MUTEX(&pipe->writable, &pipe->lock, pipe->readers == 0 || room(pipe) >= least,
				     SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			return -ERESTARTSYS;
	}
	return pipe->readers == 0 ? -EPIPE : (int64_t)(left < room(pipe) ? left : room(pipe));
}

/* All of the io, or what can be written without waiting. */
static int64_t write_bytes(struct pipe *pipe, struct io *io, bool nonblock)
{
	bool whole = io->left <= PIPE_BUF;
	int64_t done = 0, status = 0;

	while (io->left > 0) {
		status = wait_writable(pipe, io->left, whole && done == 0, nonblock);
		if (status > 0)
			status = put_in_page(pipe, io, (uint32_t)status);
		if (status <= 0)
			break;
		done += status;
		if (io->left > 0 && room(pipe) == 0)
			wait_wake_all(&pipe->readable);
	}
	return done > 0 ? done : status;
}

static int64_t pipe_write(struct file *file, struct io *io, uint64_t *position)
{
	struct pipe *pipe = file->private;
	bool broken;
	int64_t result;

	(void)position;
	if (io->left == 0)
		return 0;
	if (mutex_lock_killable(&pipe->lock) != 0)
		return -ERESTARTSYS;
	result = write_bytes(pipe, io, is_nonblocking(file) || io->no_wait);
	broken = pipe->readers == 0;
	mutex_unlock(&pipe->lock);
	if (broken)
		signal_send_task_kernel(task_current(), SIGPIPE);
	if (result > 0) {
		wait_wake_all(&pipe->readable);
		inode_touch_modified(file->inode);
	}
	return result;
}

/* ---- Its size ------------------------------------------------------------------------------------------------------ */

/* Moves the pages over to a ring of `count`, which all of them fit in. -ENOMEM: the page of both ends cannot be made two. */
static int move_pages(struct pipe *pipe, struct page **pages, uint32_t count)
{
	uint32_t first = page_start(pipe->taken);
	uint32_t kept = (uint32_t)page_round_up(pipe->put - first) >> PAGE_SHIFT;

	if (is_wrapped(pipe)) {
		pages[--kept] = page_alloc(PAGE_KERNEL, 0);
		if (!pages[kept])
			return -ENOMEM;
		memcpy(page_data(pages[kept]), page_data(*page_slot(pipe, pipe->put)),
		       pipe->put & (PAGE_SIZE - 1));
	}
	for (uint32_t i = 0; i < kept; i++)
		pages[i] = *page_slot(pipe, first + (i << PAGE_SHIFT));
	if (used(pipe) == 0 && pipe->pages[0])
		drop_page(pipe, &pipe->pages[0]);
	pipe->put -= first;
	pipe->taken -= first;
	set_pages(pipe, pages, count);
	return 0;
}

static int64_t resize(struct pipe *pipe, uint32_t count)
{
	struct page *few[DEFAULT_PAGES] = {NULL};
	struct page **pages = few;

	if (page_round_up(pipe->put - page_start(pipe->taken)) >> PAGE_SHIFT > count)
		return -EBUSY;
	if (count > DEFAULT_PAGES) {
		pages = slab_alloc(&many_cache);
		if (!pages)
			return -ENOMEM;
		memset(pages, 0, MOST_PAGES * sizeof(*pages));
	}
	if (move_pages(pipe, pages, count) != 0) {
		if (pages != few)
			slab_free(&many_cache, pages);
		return -ENOMEM;
	}
	if (pages == few) {
		memcpy(pipe->few, few, sizeof(few));
		pipe->pages = pipe->few;
	}
	return capacity(pipe);
}

/* F_SETPIPE_SZ of fcntl(2). */
static int64_t set_size(struct pipe *pipe, uint64_t bytes)
{
	uint32_t count = 1;
	int64_t result;

	if (bytes > LARGEST_SIZE)
		return -EINVAL;
	if (bytes > (uint64_t)MOST_BYTES)
		return -EPERM;
	while ((uint64_t)count << PAGE_SHIFT < bytes)
		count *= 2;
	mutex_lock(&pipe->lock);
	/* It may have more than the limit, and become smaller. */
	if (count > pipe->page_count && bytes > (uint64_t)most_bytes && is_limited())
		result = -EPERM;
	else
		result = resize(pipe, count);
	mutex_unlock(&pipe->lock);
	if (result > 0)
		wait_wake_all(&pipe->writable);
	return result;
}

/* ---- What else can be done with a pipe -------------------------------------------------------------------------- */

static bool reads(const struct file *file)
{
	return (file->flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct file *file)
{
	return (file->flags & O_ACCMODE) != O_RDONLY;
}

/* Is it of a pipe that pipe_create() made? */
static bool is_unnamed(const struct file *file)
{
	return file->inode->ops == &pipe_inode_ops;
}

/*
 * Who opened a FIFO when it had no writer has not missed one: `position`, which pipes have no other use for, is how many there ever were,
 * or HAD_WRITER.
 */
static uint32_t pipe_poll(struct file *file, struct poll_table *table)
{
	struct pipe *pipe = file->private;
	uint32_t events = 0;

	if (reads(file)) {
		poll_wait(table, &pipe->readable);
		if (used(pipe) > 0)
			events |= EPOLLIN | EPOLLRDNORM;
		if (pipe->writers == 0 && file->position != pipe->writer_opens)
			events |= EPOLLHUP;
	}
	if (writes(file)) {
		poll_wait(table, &pipe->writable);
		if (room(pipe) >= PIPE_BUF)
			events |= EPOLLOUT | EPOLLWRNORM;
		if (pipe->readers == 0)
			events |= EPOLLERR;
	}
	return events;
}

static int64_t pipe_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	struct pipe *pipe = file->private;
	int bytes = (int)used(pipe);

	(void)task;
	if (request != FIONREAD)
		return -ENOTTY;
	return copy_to_user(argument, &bytes, sizeof(bytes));
}

/* One file less; what a FIFO without any holds is lost. */
static void close_end(struct pipe *pipe, bool reader, bool writer)
{
	mutex_lock(&pipe->lock);
	pipe->readers -= reader;
	pipe->writers -= writer;
	if (pipe->readers == 0 && pipe->writers == 0)
		empty(pipe);
	mutex_unlock(&pipe->lock);
	wait_wake_all(&pipe->readable);
	wait_wake_all(&pipe->writable);
}

static void pipe_release(struct file *file)
{
	if (file->private)
		close_end(file->private, reads(file), writes(file));
}

static int64_t pipe_control(struct file *file, struct task *task, int command, uint64_t argument)
{
	(void)task;
	if (command == F_GETPIPE_SZ)
		return capacity(file->private);
	return command == F_SETPIPE_SZ ? set_size(file->private, argument) : -EINVAL;
}

static const struct file_ops pipe_ops = {
	.name = "pipe",
	.control = pipe_control,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

bool file_is_pipe(const struct file *file)
{
	return file->ops == &pipe_ops;
}

int64_t pipe_await_room(struct file *file, uint64_t bytes, bool nonblock)
{
	struct pipe *pipe = file->private;
	int64_t result;

	if (mutex_lock_killable(&pipe->lock) != 0)
		return -ERESTARTSYS;
	result = wait_writable(pipe, bytes, true, nonblock);
	mutex_unlock(&pipe->lock);
	if (result == -EPIPE)
		signal_send_task_kernel(task_current(), SIGPIPE);
	return result < 0 ? result : 0;
}

/* ---- Looking before taking: splice and tee ---------------------------------------------------------------------------- */

int64_t pipe_peek_begin(struct file *file, bool nonblock)
{
	struct pipe *pipe = file->private;
	int64_t result;

	if (mutex_lock_killable(&pipe->lock) != 0)
		return -ERESTARTSYS;
	result = wait_readable(pipe, nonblock);
	if (result > 0)
		pipe->peeked = true;
	mutex_unlock(&pipe->lock);
	return result;
}

size_t pipe_peek(struct file *file, uint64_t offset, void *to, size_t bytes)
{
	struct pipe *pipe = file->private;
	char *out = to;
	size_t done = 0;

	mutex_lock(&pipe->lock);
	ASSERT(pipe->peeked);
	while (done < bytes && offset + done < used(pipe)) {
		uint32_t at = pipe->taken + (uint32_t)(offset + done);
		uint64_t left = used(pipe) - (offset + done);
		uint32_t part = in_page(at, bytes - done < left ? bytes - done : left);

		memcpy(out + done, byte_at(pipe, at), part);
		done += part;
	}
	mutex_unlock(&pipe->lock);
	return done;
}

void pipe_peek_end(struct file *file, uint64_t taken)
{
	struct pipe *pipe = file->private;

	mutex_lock(&pipe->lock);
	ASSERT(pipe->peeked);
	take_out(pipe, (uint32_t)taken);
	pipe->peeked = false;
	mutex_unlock(&pipe->lock);
	wait_wake_all(&pipe->readable);
	wait_wake_all(&pipe->writable);
}

/* ---- FIFOs: opening (fifo(7)) ---------------------------------------------------------------------------------------------- */

/* The pipe of a FIFO's inode, made when it is opened first. */
static struct pipe *pipe_of_fifo(struct inode *inode)
{
	mutex_lock(&inode->lock);
	if (!inode->private)
		inode->private = allocate();
	mutex_unlock(&inode->lock);
	return inode->private;
}

/* Waits for the other side, which it is enough to have been there. The pipe is locked. */
static int wait_for_other(struct pipe *pipe, bool reader)
{
	uint32_t *opens = reader ? &pipe->writer_opens : &pipe->reader_opens, before = *opens;

	if ((reader ? pipe->writers : pipe->readers) > 0)
		return 0;
	return WAIT_EVENT_MUTEX(&pipe->opened, &pipe->lock, *opens != before, SLEEP_INTERRUPTIBLE,
				TIME_NEVER) != 0
		       ? -ERESTARTSYS
		       : 0;
}

/* What open does with the other side. A pipe without a name has had both. The pipe is locked, and the file counted. */
static int meet(struct pipe *pipe, const struct file *file)
{
	bool reader = reads(file);

	if ((reader && writes(file)) || is_unnamed(file))
		return 0;
	if (!is_nonblocking(file))
		return wait_for_other(pipe, reader);
	return reader || pipe->readers > 0 ? 0 : -ENXIO;
}

/* Opens a FIFO, or by way of /proc/PID/fd a pipe without a name. */
static int open_fifo(struct file *file, struct task *task)
{
	struct pipe *pipe = pipe_of_fifo(file->inode);
	int error;

	(void)task;
	if (!pipe)
		return -ENOMEM;
	file->ops = &pipe_ops;
	mutex_lock(&pipe->lock);
	pipe->readers += reads(file);
	pipe->writers += writes(file);
	pipe->reader_opens += reads(file);
	file->position = pipe->writers > 0 || is_unnamed(file) ? HAD_WRITER : pipe->writer_opens;
	pipe->writer_opens += writes(file);
	wait_wake_all(&pipe->opened);
	error = meet(pipe, file);
	mutex_unlock(&pipe->lock);
	if (error)
		close_end(pipe, reads(file), writes(file));
	else
		file->private = pipe;
	return error;
}

void pipes_init(void)
{
	slab_cache_init(&pipe_cache, "pipe", sizeof(struct pipe));
	slab_cache_init(&many_cache, "pipe pages", MOST_PAGES * sizeof(struct page *));
	fifo_open = open_fifo;
	fifo_destroy = destroy;
}
