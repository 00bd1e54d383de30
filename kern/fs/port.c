/*
 * Serial ports as files: what the descriptors 0 to 2 of the first process are, and /dev/ttyS0 to ttyS3.
 *
 * On the port that is the kernel's console too, a file behaves as a terminal in the simplest mode: '\n' goes out as CR LF, a CR comes in as '\n',
 * reading stops at the end of a line. On another port bytes pass as they are. On both, 0x04 (^D) ends the input: on a terminal once, elsewhere for
 * good. docs/command-line.md says how ports are chosen.
 */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/fcntl.h>
#include <linux/major.h>

#include "fs_internal.h"

#define PORTS          4
#define OUTPUT_CHUNK   256
#define INPUT_BYTES    256
#define POLL_NS        500000ul /* between looks at a serial port that had nothing */
#define QUICK_LOOKS    2000     /* before that: a port that is being sent to has its next bytes soon */
#define END_OF_INPUT   0x04
#define QUOTE_INPUT    0x10 /* on other ports than the console: the next byte is data, whatever it is */
#define TTY_MINOR_BASE 64   /* of ttyS0 (Linux, Documentation/admin-guide/devices.txt) */
#define TTY_MODE       (S_IFCHR | 0620)

/* What came in at a port and was not read yet. Locks: (i) its lock. */
struct input {
	struct mutex lock;                /* (i) */
	unsigned char bytes[INPUT_BYTES]; /* (i) */
	size_t first, count;              /* (i) */
	bool ended;                       /* (i) END_OF_INPUT is what comes next */
	bool quoted;                      /* (i) QUOTE_INPUT came last */
};

static struct input inputs[PORTS + 1];

/* ---- Which ports ------------------------------------------------------------------------------------------ */

/* "comN" as the value of an option; `otherwise` if the option is absent or makes no sense, which is logged. */
static unsigned port_option(const char *name, unsigned otherwise)
{
	const char *value = cmdline_get(name);

	if (!value)
		return otherwise;
	if (strlen(value) == 4 && memcmp(value, "com", 3) == 0 && value[3] >= '1' && value[3] < '1' + PORTS)
		return (unsigned)(value[3] - '0');
	env_log("phoenix: %s=%s is not a serial port: com%u is used", name, value, otherwise);
	return otherwise;
}

static unsigned port_of(const struct file *file)
{
	return DEVICE_MINOR(file->inode->rdev) - TTY_MINOR_BASE + 1;
}

static bool is_terminal(unsigned port)
{
	return port == console_port();
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

/* Nothing of a program's output is lost, however long the other side takes. */
static void put_raw(unsigned port, const char *bytes, size_t count)
{
	size_t done = serial_write(port, bytes, count);

	while (done < count) {
		time_sleep_until(time_nanoseconds() + POLL_NS);
		done += serial_write(port, bytes + done, count - done);
	}
}

static void put_bytes(unsigned port, const char *bytes, size_t count)
{
	char translated[2 * OUTPUT_CHUNK];
	size_t used = 0;

	if (!is_terminal(port)) {
		put_raw(port, bytes, count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n')
			translated[used++] = '\r';
		translated[used++] = bytes[i];
	}
	put_raw(port, translated, used);
}

static int64_t port_write(struct file *file, struct io *io, uint64_t *position)
{
	char chunk[OUTPUT_CHUNK];
	uint64_t done = 0;

	(void)position;
	while (io->left > 0) {
		uint64_t part = io->left < OUTPUT_CHUNK ? io->left : OUTPUT_CHUNK;
		int64_t moved = io_get(io, chunk, part);

		if (moved < 0)
			return done > 0 ? (int64_t)done : moved;
		put_bytes(port_of(file), chunk, (size_t)moved);
		done += (uint64_t)moved;
		if ((uint64_t)moved < part)
			break;
	}
	return (int64_t)done;
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

/* Takes over what has come in at the port. Its input is locked. */
static void fill_input(unsigned port, struct input *input)
{
	while (input->count < INPUT_BYTES && !input->ended) {
		int byte = serial_read_byte(port);

		if (byte < 0)
			return;
		if (byte == QUOTE_INPUT && !input->quoted && !is_terminal(port)) {
			input->quoted = true;
			continue;
		}
		if (byte == END_OF_INPUT && !input->quoted) {
			input->ended = true;
			return;
		}
		input->quoted = false;
		if (byte == '\r' && is_terminal(port))
			byte = '\n';
		input->bytes[(input->first + input->count++) % INPUT_BYTES] = (unsigned char)byte;
	}
}

/* Gives the program what is there, up to the end of a line on a terminal. What it could not take stays. */
static int64_t take_input(unsigned port, struct input *input, struct io *io)
{
	unsigned char chunk[INPUT_BYTES];
	size_t count = 0;
	int64_t moved;

	while (count < io->left && count < input->count) {
		chunk[count] = input->bytes[(input->first + count) % INPUT_BYTES];
		if (chunk[count++] == '\n' && is_terminal(port))
			break;
	}
	moved = io_put(io, chunk, count);
	if (moved > 0) {
		input->first = (input->first + (size_t)moved) % INPUT_BYTES;
		input->count -= (size_t)moved;
	}
	return moved;
}

static int64_t port_read(struct file *file, struct io *io, uint64_t *position)
{
	unsigned port = port_of(file);
	struct input *input = &inputs[port];
	int64_t moved = 0;

	(void)position;
	if (io->left == 0)
		return 0;
	mutex_lock(&input->lock);
	fill_input(port, input);
	for (unsigned looks = 0; input->count == 0 && !input->ended; looks++) {
		if (looks >= QUICK_LOOKS)
			time_sleep_until(time_nanoseconds() + POLL_NS);
		fill_input(port, input);
	}
	if (input->count > 0)
		moved = take_input(port, input, io);
	else if (is_terminal(port))
		input->ended = false;
	mutex_unlock(&input->lock);
	return moved;
}

/* ---- Terminals' modes ---------------------------------------------------------------------------------------------- */

/* Asks only: a terminal's mode cannot be changed. */
static int64_t port_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	const struct termios mode = {.c_iflag = ICRNL,
				     .c_oflag = OPOST | ONLCR,
				     .c_cflag = B115200 | CS8 | CREAD | CLOCAL,
				     .c_lflag = ICANON,
				     .c_cc = {[VEOF] = END_OF_INPUT}};
	const struct winsize unknown_size = {0, 0, 0, 0};

	(void)task;
	if (!is_terminal(port_of(file)))
		return -ENOTTY;
	switch (request) {
	case TCGETS:
		return copy_to_user(argument, &mode, sizeof(mode));
	case TIOCGWINSZ:
		return copy_to_user(argument, &unknown_size, sizeof(unknown_size));
	default:
		return -ENOTTY;
	}
}

static const struct file_ops port_ops = {
	.name = "serial port", .read = port_read, .write = port_write, .ioctl = port_ioctl};

static struct device port_device = {.name = "ttyS",
				    .type = S_IFCHR,
				    .major = TTY_MAJOR,
				    .first_minor = TTY_MINOR_BASE,
				    .minors = PORTS,
				    .ops = &port_ops};

void ports_init(void)
{
	for (unsigned i = 0; i <= PORTS; i++)
		mutex_init(&inputs[i].lock, RANK_INODE, "serial input");
	device_register(&port_device);
}

int ports_make_nodes(void)
{
	int error = 0;

	for (unsigned port = 1; !error && port <= PORTS; port++) {
		char path[] = "ttyS0";

		path[4] = (char)('0' + port - 1);
		error = device_node(path, TTY_MODE, DEVICE_NUMBER(TTY_MAJOR, TTY_MINOR_BASE + port - 1));
		if (error == -EEXIST)
			error = 0;
	}
	return error;
}

/* ---- Descriptors 0 to 2 ---------------------------------------------------------------------------------------------- */

static int open_port(struct task *task, unsigned port)
{
	char path[] = "/dev/ttyS0";
	struct file *file;
	int error;

	path[sizeof(path) - 2] = (char)('0' + port - 1);
	error = fs_open(NULL, AT_FDCWD, path, O_RDWR | O_NOCTTY, 0, &file);
	if (error)
		return error;
	error = descriptor_install(task, file, 0, 0);
	if (error < 0)
		file_unref(file);
	return error;
}

int fs_open_standard(struct task *task)
{
	unsigned output = port_option("stdout", console_port());
	const unsigned ports[] = {port_option("stdin", output), output,
				  port_option("stderr", console_port())};
	int error = 0;

	for (unsigned i = 0; error >= 0 && i < sizeof(ports) / sizeof(ports[0]); i++)
		error = open_port(task, ports[i]);
	return error < 0 ? error : 0;
}
