/*
 * The terminals' devices, and the terminal on the console's port.
 *
 * /dev/console and the ttyS of the console's port are that terminal, /dev/tty is the caller's own, other ports are streams of bytes
 * (stream.c). docs/command-line.md says how ports are chosen for a program's descriptors.
 */
#include <kern/serial.h>
#include <linux/fcntl.h>
#include <linux/major.h>

#include "tty.h"

#define SERIAL_MINOR  64 /* of ttyS0 (Linux, Documentation/admin-guide/devices.txt) */
#define OWN_MINOR     0  /* of TTYAUX_MAJOR: /dev/tty */
#define CONSOLE_MINOR 1
#define PART_BYTES    64
#define DRAIN_NS      5000000000ull /* how long the end of the system waits for output that nobody takes */
#define MAX_DIMENSION UINT16_MAX
#define DECIMAL       10

/* What was taken from the port and the terminal has not taken yet. Locks: (f) who has `feeding`; (a) atomic. */
static struct {
	_Atomic bool feeding;  /* (a) */
	_Atomic bool pushing;  /* (a) somebody moves output to the port */
	char held[PART_BYTES]; /* (f) */
	size_t first, count;   /* (f) */
} port;

static struct tty console;
static struct timer retry; /* for output that the port did not take */
static bool
	standard_is_console; /* a descriptor that the first process began with: set by ttys_open_standard */

/* ---- Output ----------------------------------------------------------------------------------------------- */

/* Moves output to the port until there is none, or the port takes none: false. Who has `pushing` does it. */
static bool push_all(struct tty *tty)
{
	char part[PART_BYTES];
	uint32_t at;
	size_t count, done = 0;

	while ((count = tty_peek_output(tty, part, sizeof(part), &at)) > 0) {
		done = serial_write_some(tty->number, part, count);
		tty_sent(tty, at, done);
		if (done < count)
			return false;
	}
	return true;
}

static void console_output(struct tty *tty)
{
	bool all = true;

	while (all && !tty->stopped && tty_output_count(tty) > 0) {
		if (atomic_exchange(&port.pushing, true))
			return;
		all = push_all(tty);
		port.pushing = false;
	}
	if (!all)
		timer_start(&retry, time_nanoseconds() + SERIAL_PAUSE_NS);
}

static void output_again(struct timer *timer)
{
	(void)timer;
	console_output(&console);
}

void tty_drain_console(void)
{
	uint64_t end = time_nanoseconds() + DRAIN_NS;

	tty_stop(&console, false);
	while (tty_output_count(&console) > 0 && time_nanoseconds() < end) {
		time_sleep_until(time_nanoseconds() + SERIAL_PAUSE_NS);
		console_output(&console);
	}
}

/* ---- Input ---------------------------------------------------------------------------------------------------- */

/* Moves input from the port to the terminal while that takes it. Who has `feeding` does it. */
static void feed_all(struct tty *tty)
{
	for (;;) {
		size_t taken;

		if (port.count == 0) {
			if (tty_input_room(tty) == 0)
				return;
			port.first = 0;
			port.count = serial_take(tty->number, port.held, sizeof(port.held));
		}
		taken = tty_receive(tty, port.held + port.first, port.count);
		port.first += taken;
		port.count -= taken;
		if (taken == 0)
			return;
	}
}

/* While nobody has the terminal open, what is typed waits: the monitor may want it. */
static void console_room(struct tty *tty)
{
	while (tty->files > 0 && (port.count > 0 || serial_has_input(tty->number)) &&
	       tty_input_room(tty) > 0) {
		if (atomic_exchange(&port.feeding, true))
			return;
		feed_all(tty);
		port.feeding = false;
	}
}

static void console_receive(struct serial_reader *reader)
{
	(void)reader;
	console_room(&console);
}

static bool console_waits(struct serial_reader *reader)
{
	(void)reader;
	return !wait_queue_empty(&console.readable);
}

static void console_expect(struct tty *tty)
{
	serial_expect(tty->number);
}

static struct serial_reader console_reader = {.receive = console_receive, .waits = console_waits};

static const struct tty_driver console_driver = {
	.output = console_output, .room = console_room, .expect = console_expect};

/* ---- Its size ---------------------------------------------------------------------------------------------------- */

/* A number up to MAX_DIMENSION that ends at `end`; 0: it is none. Steps over it. */
static uint16_t take_number(const char **text, char end)
{
	unsigned number = 0;

	while (**text >= '0' && **text <= '9' && number <= MAX_DIMENSION)
		number = number * DECIMAL + (unsigned)(*(*text)++ - '0');
	if (**text != end || number > MAX_DIMENSION)
		return 0;
	*text += end != '\0';
	return (uint16_t)number;
}

/* "winsize=ROWSxCOLUMNS". */
static void read_size(struct tty *tty)
{
	const char *value = cmdline_get("winsize"), *at = value;
	struct winsize size = {0};

	if (!value)
		return;
	size.ws_row = take_number(&at, 'x');
	size.ws_col = take_number(&at, '\0');
	if (size.ws_row > 0 && size.ws_col > 0)
		tty->size = size;
	else
		env_log("phoenix: winsize=%s is not ROWSxCOLUMNS; it is ignored", value);
}

/* ---- Devices -------------------------------------------------------------------------------------------------------- */

static int open_serial(struct file *file, struct task *task)
{
	unsigned number = DEVICE_MINOR(file->inode->rdev) - SERIAL_MINOR + 1;

	if (number == console_port())
		return tty_open_file(&console, file, task, true);
	return stream_open(file, number);
}

static int open_own(struct file *file, struct task *task)
{
	int pseudo = -1;
	struct tty *tty = task ? tty_of_task(task, &pseudo) : NULL;

	if (pseudo >= 0)
		return pty_open_own(file, task, (unsigned)pseudo);
	return tty ? tty_open_file(tty, file, task, false) : -ENXIO;
}

static int open_console(struct file *file, struct task *task)
{
	return tty_open_file(&console, file, task, false);
}

static struct device serial_device = {.name = "ttyS",
				      .type = S_IFCHR,
				      .major = TTY_MAJOR,
				      .first_minor = SERIAL_MINOR,
				      .minors = SERIAL_PORTS,
				      .ops = &tty_file_ops,
				      .open = open_serial};
static struct device own_device = {.name = "/dev/tty",
				   .type = S_IFCHR,
				   .major = TTYAUX_MAJOR,
				   .first_minor = OWN_MINOR,
				   .minors = 1,
				   .ops = &tty_file_ops,
				   .open = open_own};
static struct device console_device = {.name = "/dev/console",
				       .type = S_IFCHR,
				       .major = TTYAUX_MAJOR,
				       .first_minor = CONSOLE_MINOR,
				       .minors = 1,
				       .ops = &tty_file_ops,
				       .open = open_console};

void ttys_init(void)
{
	tty_begin(&console, &console_driver, DEVICE_NUMBER(TTY_MAJOR, SERIAL_MINOR + console_port() - 1),
		  console_port());
	read_size(&console);
	timer_init(&retry, output_again);
	serial_set_reader(console_port(), &console_reader);
	device_register(&serial_device);
	device_register(&own_device);
	device_register(&console_device);
	streams_init();
	ptys_init();
}

int ttys_make_nodes(void)
{
	static const struct {
		const char *path;
		uint32_t mode, rdev;
	} nodes[] = {
		{"tty", 0666, DEVICE_NUMBER(TTYAUX_MAJOR, OWN_MINOR)},
		{"console", 0600, DEVICE_NUMBER(TTYAUX_MAJOR, CONSOLE_MINOR)},
		{"ptmx", 0666, DEVICE_NUMBER(TTYAUX_MAJOR, 2)},
		{"ttyS0", 0660, DEVICE_NUMBER(TTY_MAJOR, SERIAL_MINOR)},
		{"ttyS1", 0660, DEVICE_NUMBER(TTY_MAJOR, SERIAL_MINOR + 1)},
		{"ttyS2", 0660, DEVICE_NUMBER(TTY_MAJOR, SERIAL_MINOR + 2)},
		{"ttyS3", 0660, DEVICE_NUMBER(TTY_MAJOR, SERIAL_MINOR + 3)},
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int error = device_node(nodes[i].path, S_IFCHR | nodes[i].mode, nodes[i].rdev);

		if (error && error != -EEXIST)
			return error;
	}
	return 0;
}

/* ---- The first process ---------------------------------------------------------------------------------------------------- */

/* "comN" as the value of an option; `otherwise` if the option is absent or makes no sense, which is logged. */
static unsigned port_option(const char *name, unsigned otherwise)
{
	const char *value = cmdline_get(name);

	if (!value)
		return otherwise;
	if (strlen(value) == 4 && memcmp(value, "com", 3) == 0 && value[3] >= '1' &&
	    value[3] < '1' + SERIAL_PORTS)
		return (unsigned)(value[3] - '0');
	env_log("phoenix: %s=%s is not a serial port: com%u is used", name, value, otherwise);
	return otherwise;
}

static int open_port(struct task *task, unsigned number)
{
	char path[] = "/dev/ttyS0";
	struct file *file;
	int error;

	path[sizeof(path) - 2] = (char)('0' + number - 1);
	error = fs_open(NULL, AT_FDCWD, path, O_RDWR | O_NOCTTY, 0, &file);
	if (error)
		return error;
	error = descriptor_install(task, file, 0, 0);
	if (error < 0)
		file_unref(file);
	return error;
}

int ttys_open_standard(struct task *task)
{
	unsigned output = port_option("stdout", console_port());
	const unsigned ports[] = {port_option("stdin", output), output,
				  port_option("stderr", console_port())};
	int error = 0;

	for (unsigned i = 0; error >= 0 && i < sizeof(ports) / sizeof(ports[0]); i++) {
		error = open_port(task, ports[i]);
		standard_is_console |= ports[i] == console_port();
	}
	return error < 0 ? error : 0;
}

void tty_attach_first(struct task *task)
{
	if (standard_is_console)
		tty_acquire(&console, task, false);
}
