/*
 * Serial ports that are no terminals: streams of bytes, for a program's input and output.
 *
 * Bytes pass as they are, but that 0x04 (^D) ends the input, for good, and that 0x10 (^P) says that the byte after it is data, whatever it is:
 * the line itself has no end. tools/phoenix-run is the other side.
 */
#include <kern/poll.h>
#include <kern/serial.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "tty.h"

#define INPUT_BYTES  256
#define OUTPUT_CHUNK 1024
#define END_OF_INPUT 0x04
#define QUOTE_INPUT  0x10

/* Locks: (i) its input's lock; (-) set once. */
struct stream {
	struct serial_reader reader;      /* (-) */
	unsigned port;                    /* (-) */
	struct mutex input;               /* (-) RANK_INODE */
	struct mutex output;              /* (-) RANK_INODE: one write at a time */
	unsigned char bytes[INPUT_BYTES]; /* (i) what came in and was not read yet */
	size_t first, count;              /* (i) */
	bool ended;                       /* (i) END_OF_INPUT is what comes next */
	bool quoted;                      /* (i) QUOTE_INPUT came last */
	struct wait_queue readable;       /* (-) */
	struct wait_queue pause;          /* (-) where writers wait for the port; nobody wakes it */
};

static struct stream streams[SERIAL_PORTS];

/* ---- Reading ----------------------------------------------------------------------------------------------- */

static void add_byte(struct stream *stream, unsigned char byte)
{
	if (!stream->quoted && byte == QUOTE_INPUT) {
		stream->quoted = true;
	} else if (!stream->quoted && byte == END_OF_INPUT) {
		stream->ended = true;
	} else {
		stream->quoted = false;
		stream->bytes[(stream->first + stream->count++) % INPUT_BYTES] = byte;
	}
}

/* Takes over what has come in at the port. Is there anything to read, or the end? The input is locked. */
static bool fill(struct stream *stream)
{
	unsigned char part[INPUT_BYTES];
	size_t count = 1;

	while (count > 0 && stream->count < INPUT_BYTES && !stream->ended) {
		count = serial_take(stream->port, part, INPUT_BYTES - stream->count);
		for (size_t i = 0; i < count && !stream->ended; i++)
			add_byte(stream, part[i]);
	}
	return stream->count > 0 || stream->ended;
}

/* Gives the program what there is; what it could not take stays. */
static int64_t give(struct stream *stream, struct io *io)
{
	int64_t done = 0, moved = 0;

	while (io->left > 0 && stream->count > 0) {
		size_t part = INPUT_BYTES - stream->first;

		part = part < stream->count ? part : stream->count;
		part = part < io->left ? part : io->left;
		moved = io_put(io, stream->bytes + stream->first, part);
		if (moved <= 0)
			break;
		stream->first = (stream->first + (size_t)moved) % INPUT_BYTES;
		stream->count -= (size_t)moved;
		done += moved;
		if (stream->count == 0)
			fill(stream);
	}
	return done > 0 ? done : moved;
}

static int64_t wait_for_input(struct stream *stream, bool nonblock)
{
	if (fill(stream))
		return 0;
	if (nonblock)
		return -EAGAIN;
	serial_expect(stream->port);
	return WAIT_EVENT_MUTEX(&stream->readable, &stream->input, fill(stream), SLEEP_INTERRUPTIBLE,
				TIME_NEVER) != 0
		       ? -ERESTARTSYS
		       : 0;
}

static int64_t stream_read(struct file *file, struct io *io, uint64_t *position)
{
	struct stream *stream = file->private;
	int64_t result;

	(void)position;
	if (io->left == 0)
		return 0;
	if (mutex_lock_killable(&stream->input) != 0)
		return -ERESTARTSYS;
	result = wait_for_input(stream, file->flags & O_NONBLOCK);
	if (!result)
		result = give(stream, io);
	mutex_unlock(&stream->input);
	return result;
}

static void receive(struct serial_reader *reader)
{
	wait_wake_all(&((struct stream *)reader)->readable);
}

static bool waits(struct serial_reader *reader)
{
	return !wait_queue_empty(&((struct stream *)reader)->readable);
}

/* ---- Writing -------------------------------------------------------------------------------------------------- */

/* Nothing of a program's output is lost, however long the other side takes; but a signal ends the wait. How many bytes went. */
static size_t put_bytes(struct stream *stream, const char *bytes, size_t count)
{
	size_t done = serial_write_some(stream->port, bytes, count);

	while (done < count) {
		uint64_t next = time_nanoseconds() + SERIAL_PAUSE_NS;

		if (WAIT_EVENT(&stream->pause, time_nanoseconds() >= next, SLEEP_INTERRUPTIBLE, next) ==
		    -EINTR)
			break;
		done += serial_write_some(stream->port, bytes + done, count - done);
	}
	return done;
}

static int64_t write_all(struct stream *stream, struct io *io)
{
	char chunk[OUTPUT_CHUNK];
	int64_t done = 0;

	while (io->left > 0) {
		int64_t count = io_get(io, chunk, io->left < OUTPUT_CHUNK ? io->left : OUTPUT_CHUNK);
		size_t put;

		if (count <= 0)
			return done > 0 ? done : count;
		put = put_bytes(stream, chunk, (size_t)count);
		done += (int64_t)put;
		if (put < (size_t)count)
			return done > 0 ? done : -ERESTARTSYS;
	}
	return done;
}

static int64_t stream_write(struct file *file, struct io *io, uint64_t *position)
{
	struct stream *stream = file->private;
	int64_t result;

	(void)position;
	if (mutex_lock_killable(&stream->output) != 0)
		return -ERESTARTSYS;
	result = write_all(stream, io);
	mutex_unlock(&stream->output);
	return result;
}

static uint32_t stream_poll(struct file *file, struct poll_table *table)
{
	struct stream *stream = file->private;
	uint32_t events = EPOLLOUT | EPOLLWRNORM;

	poll_wait(table, &stream->readable);
	if (table)
		serial_expect(stream->port);
	mutex_lock(&stream->input);
	if (fill(stream))
		events |= EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&stream->input);
	return events;
}

/* ---- As files ----------------------------------------------------------------------------------------------------- */

const struct file_ops stream_ops = {
	.name = "serial port", .read = stream_read, .write = stream_write, .poll = stream_poll};

int stream_open(struct file *file, unsigned port)
{
	file->ops = &stream_ops;
	file->private = &streams[port - 1];
	return 0;
}

void streams_init(void)
{
	for (unsigned port = 1; port <= SERIAL_PORTS; port++) {
		struct stream *stream = &streams[port - 1];

		stream->port = port;
		stream->reader = (struct serial_reader){.receive = receive, .waits = waits};
		mutex_init(&stream->input, RANK_INODE, "serial input");
		mutex_init(&stream->output, RANK_INODE, "serial output");
		wait_queue_init(&stream->readable);
		wait_queue_init(&stream->pause);
		if (port != console_port())
			serial_set_reader(port, &stream->reader);
	}
}
