/*
 * Terminals as files: reading a line or bytes, writing, polling, hanging up.
 */
#include <asm/signal.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "tty.h"

#define CHUNK_BYTES  256
#define NS_PER_TENTH 100000000ull /* the unit of VTIME */
#define POLL_ROOM    256u         /* in the output, for a terminal to count as writable */

/* ---- Opening and hanging up ---------------------------------------------------------------------------- */

static struct tty *tty_of(const struct file *file)
{
	return file->private;
}

/* A terminal's file has no position: there is the number of hangups that it has not seen. */
int tty_open_file(struct tty *tty, struct file *file, struct task *task, bool may_control)
{
	if (tty->gone)
		return -EIO;
	file->ops = &tty_file_ops;
	file->private = tty;
	file->position = tty->generation;
	tty->files++;
	if (may_control && task && !(file->flags & O_NOCTTY) && (file->flags & O_ACCMODE) != O_WRONLY)
		tty_acquire(tty, task, false);
	if (tty->driver->room)
		tty->driver->room(tty);
	return 0;
}

bool tty_is_hung_up(const struct file *file)
{
	return file->position != tty_of(file)->generation || tty_of(file)->gone;
}

void tty_hang_up_files(struct tty *tty)
{
	tty->generation++;
	wait_wake_all(&tty->readable);
	wait_wake_all(&tty->writable);
}

static void release(struct file *file)
{
	struct tty *tty = tty_of(file);

	if (tty && --tty->files == 0 && tty->driver->closed)
		tty->driver->closed(tty);
}

/* One read, or write, goes on at a time: others wait. */
static bool begin(_Atomic bool *busy)
{
	bool was_busy = false;

	return __atomic_compare_exchange_n((bool *)busy, &was_busy, true, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static int64_t wait_begin(struct file *file, struct wait_queue *queue, _Atomic bool *busy)
{
	if (begin(busy))
		return 0;
	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	return WAIT_EVENT(queue, begin(busy), SLEEP_INTERRUPTIBLE, TIME_NEVER) ? -ERESTARTSYS : 0;
}

static void end(struct wait_queue *queue, _Atomic bool *busy)
{
	*busy = false;
	wait_wake_all(queue);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* Gives the program what there is, of one line at most. *over: the line has ended. */
static int64_t give(struct tty *tty, struct io *io, bool *over)
{
	char chunk[CHUNK_BYTES];
	int64_t done = 0;

	*over = false;
	while (!*over) {
		size_t count;
		int64_t moved;

		spin_lock(&tty->lock);
		count = tty_take_input(tty, chunk, io->left < CHUNK_BYTES ? io->left : CHUNK_BYTES, over);
		spin_unlock(&tty->lock);
		moved = io_put(io, chunk, count);
		if (count > 0 && moved <= 0)
			return done > 0 ? done : -EFAULT;
		done += moved;
		if (io->left == 0)
			break;
	}
	if (tty->driver->room)
		tty->driver->room(tty);
	return done;
}

static bool can_read(struct file *file, bool any)
{
	struct tty *tty = tty_of(file);
	bool can;

	spin_lock(&tty->lock);
	can = any && !(tty->mode.c_lflag & ICANON) ? tty->put != tty->taken : tty_is_readable(tty);
	spin_unlock(&tty->lock);
	return can || tty_is_hung_up(file);
}

/* Waits for a line, or for bytes: as many as VMIN says, or `any`. 0; -EAGAIN, -ERESTARTSYS, -ETIMEDOUT. */
static int64_t wait_for_input(struct file *file, bool any, uint64_t deadline)
{
	struct tty *tty = tty_of(file);
	int status;

	if (can_read(file, any))
		return 0;
	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	if (tty->driver->expect)
		tty->driver->expect(tty);
	status = WAIT_EVENT(&tty->readable, can_read(file, any), SLEEP_INTERRUPTIBLE, deadline);
	return status == -EINTR ? -ERESTARTSYS : status;
}

static int64_t read_line(struct file *file, struct io *io)
{
	int64_t status = wait_for_input(file, false, TIME_NEVER);
	bool over;

	if (status)
		return status;
	return tty_is_hung_up(file) ? 0 : give(tty_of(file), io, &over);
}

/* When a read of bytes that has got `done` has waited long enough (termios(3), "Canonical and noncanonical mode"). */
static uint64_t raw_deadline(const struct tty *tty, int64_t done, uint64_t start)
{
	uint64_t time = tty->mode.c_cc[VTIME] * NS_PER_TENTH;

	if (tty->mode.c_cc[VMIN] == 0)
		return start + time;
	return time > 0 && done > 0 ? time_nanoseconds() + time : TIME_NEVER;
}

static int64_t read_raw(struct file *file, struct io *io)
{
	struct tty *tty = tty_of(file);
	uint64_t start = time_nanoseconds();
	int64_t done = 0, status = 0;
	bool over;

	while (io->left > 0) {
		uint64_t least = tty->mode.c_cc[VMIN] > 0 ? tty->mode.c_cc[VMIN] : 1;

		if (tty_is_hung_up(file))
			break;
		status = give(tty, io, &over);
		if (status < 0)
			break;
		done += status;
		status = 0;
		if (done >= (int64_t)least || (tty->mode.c_cc[VMIN] == 0 && tty->mode.c_cc[VTIME] == 0))
			break;
		status = wait_for_input(file, true, raw_deadline(tty, done, start));
		if (status)
			break;
	}
	return done > 0 || status == -ETIMEDOUT ? done : status;
}

static int64_t tty_read(struct file *file, struct io *io, uint64_t *position)
{
	struct tty *tty = tty_of(file);
	int64_t result;

	(void)position;
	if (tty_is_hung_up(file) || io->left == 0)
		return 0;
	result = tty_check_job(tty, task_current(), SIGTTIN);
	if (!result)
		result = wait_begin(file, &tty->readable, &tty->reading);
	if (result)
		return result;
	result = tty->mode.c_lflag & ICANON ? read_line(file, io) : read_raw(file, io);
	end(&tty->readable, &tty->reading);
	return result;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

/* Translates bytes into the ring until it is full. How many. */
static size_t put_bytes(struct tty *tty, const char *bytes, size_t count)
{
	size_t done = 0;

	spin_lock(&tty->lock);
	while (done < count && tty_put_processed(tty, bytes[done]))
		done++;
	spin_unlock(&tty->lock);
	tty->driver->output(tty);
	return done;
}

static bool has_room(struct file *file)
{
	return tty_output_count(tty_of(file)) <= TTY_RING - POLL_ROOM || tty_is_hung_up(file);
}

/* Writes a chunk, waiting for room. How many bytes; or an error if none. */
static int64_t write_chunk(struct file *file, const char *bytes, size_t count)
{
	struct tty *tty = tty_of(file);
	size_t done = 0;

	for (;;) {
		if (tty_is_hung_up(file))
			return -EIO;
		done += put_bytes(tty, bytes + done, count - done);
		if (done == count)
			return (int64_t)done;
		if (file->flags & O_NONBLOCK)
			return done > 0 ? (int64_t)done : -EAGAIN;
		if (WAIT_EVENT(&tty->writable, has_room(file), SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			return done > 0 ? (int64_t)done : -ERESTARTSYS;
	}
}

static int64_t write_all(struct file *file, struct io *io)
{
	char chunk[CHUNK_BYTES];
	int64_t done = 0, status = 0;

	while (io->left > 0) {
		int64_t count = io_get(io, chunk, io->left < CHUNK_BYTES ? io->left : CHUNK_BYTES);

		status = count > 0 ? write_chunk(file, chunk, (size_t)count) : count;
		if (status <= 0)
			break;
		done += status;
		if (status < count)
			break;
	}
	return done > 0 ? done : status;
}

static int64_t tty_write(struct file *file, struct io *io, uint64_t *position)
{
	struct tty *tty = tty_of(file);
	int64_t result = 0;

	(void)position;
	if (tty_is_hung_up(file))
		return -EIO;
	if (tty->mode.c_lflag & TOSTOP)
		result = tty_check_job(tty, task_current(), SIGTTOU);
	if (!result)
		result = wait_begin(file, &tty->writable, &tty->writing);
	if (result)
		return result;
	result = write_all(file, io);
	end(&tty->writable, &tty->writing);
	return result;
}

int tty_drain(struct file *file)
{
	struct tty *tty = tty_of(file);

	tty->driver->output(tty);
	if (WAIT_EVENT(&tty->writable, tty_output_count(tty) == 0 || tty_is_hung_up(file),
		       SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
		return -ERESTARTSYS;
	return tty_is_hung_up(file) ? -EIO : 0;
}

/* ---- Polling -------------------------------------------------------------------------------------------------------- */

static uint32_t tty_poll(struct file *file, struct poll_table *table)
{
	struct tty *tty = tty_of(file);
	uint32_t events = 0;

	poll_wait(table, &tty->readable);
	poll_wait(table, &tty->writable);
	if (table && tty->driver->expect)
		tty->driver->expect(tty);
	if (can_read(file, false))
		events |= EPOLLIN | EPOLLRDNORM;
	if (has_room(file) && !tty->stopped)
		events |= EPOLLOUT | EPOLLWRNORM;
	if (tty_is_hung_up(file))
		events |= EPOLLHUP | EPOLLERR;
	return events;
}

const struct file_ops tty_file_ops = {
	.name = "tty",
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
	.release = release,
};
