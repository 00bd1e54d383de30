/*
 * System calls on descriptors: 0, 1 and 2, which are serial ports; and on paths, of which there are
 * none yet.
 *
 * On the port that is the kernel's console too, a descriptor behaves as a terminal in the simplest
 * mode: '\n' goes out as CR LF, a CR comes in as '\n', reading stops at the end of a line. On another
 * port bytes pass as they are. On both, 0x04 (^D) ends the input: on a terminal once, elsewhere for
 * good. docs/command-line.md says how ports are chosen.
 */
#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/stat.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/major.h>
#include <linux/stat.h>
#include <linux/uio.h>
#include <vm/layout.h>
#include <vm/slab.h>

#include "syscall.h"

#define PORTS          4
#define OUTPUT_CHUNK   256
#define INPUT_BYTES    256
#define PATH_CHUNK     256
#define POLL_NS        500000ul     /* between looks at a serial port that had nothing */
#define QUICK_LOOKS    2000         /* before that: a port that is being sent to has its next bytes soon */
#define MAX_TRANSFER   0x7ffff000ul /* as Linux: one call moves no more */
#define END_OF_INPUT   0x04
#define QUOTE_INPUT    0x10 /* on other ports than the console: the next byte is data, whatever it is */
#define TTY_MINOR_BASE 64   /* of ttyS0 (Linux, Documentation/admin-guide/devices.txt) */
#define TTY_MODE       (S_IFCHR | 0620)

/* What came in at a port and was not read yet. Used by the one process that there is. */
struct input {
	unsigned char bytes[INPUT_BYTES];
	size_t first, count;
	bool ended;  /* END_OF_INPUT is what comes next */
	bool quoted; /* QUOTE_INPUT came last */
};

static struct input inputs[PORTS + 1];
static unsigned ports[STANDARD_DESCRIPTORS]; /* set by program_io_init */

/* ---- Ports ----------------------------------------------------------------------------------- */

/*
 * "comN" as the value of an option; `otherwise` if the option is absent or makes no sense, which is
 * logged.
 */
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

void program_io_init(void)
{
	ports[1] = port_option("stdout", console_port());
	ports[0] = port_option("stdin", ports[1]);
	ports[2] = port_option("stderr", console_port());
}

static bool is_terminal(unsigned descriptor)
{
	return ports[descriptor] == console_port();
}

/* 0 with the descriptor, which is open; or -EBADF. */
static int find_descriptor(const struct process *process, uint64_t number, unsigned *out)
{
	*out = (unsigned)number;
	return *out < STANDARD_DESCRIPTORS && process->open[*out] ? 0 : -EBADF;
}

/*
 * As Linux: a buffer that no program can have is an error whatever there is to read or to write, and however
 * little of it would be used. Not one that only is not mapped, or not all of it.
 */
static bool may_be_buffer(vaddr_t start, uint64_t bytes)
{
	return bytes == 0 ||
	       (bytes <= LAYOUT_PHYSICAL_END && start <= LAYOUT_PHYSICAL_END - bytes && user_range(start, 1));
}

static uint64_t transfer_bytes(uint64_t bytes)
{
	return bytes < MAX_TRANSFER ? bytes : MAX_TRANSFER;
}

/* The descriptor of read(2) and write(2); -EBADF, or -EFAULT for their buffer. */
static int find_transfer(const struct process *process, const struct trapframe *frame, unsigned *out)
{
	int error = find_descriptor(process, frame->rdi, out);

	return error || may_be_buffer(frame->rsi, frame->rdx) ? error : -EFAULT;
}

/* Nothing of a program's output is lost, however long the other side takes. */
static void put_raw(unsigned descriptor, const char *bytes, size_t count)
{
	size_t done = serial_write(ports[descriptor], bytes, count);

	while (done < count) {
		time_sleep_until(time_nanoseconds() + POLL_NS);
		done += serial_write(ports[descriptor], bytes + done, count - done);
	}
}

static void put_bytes(unsigned descriptor, const char *bytes, size_t count)
{
	char translated[2 * OUTPUT_CHUNK];
	size_t used = 0;

	if (!is_terminal(descriptor)) {
		put_raw(descriptor, bytes, count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n')
			translated[used++] = '\r';
		translated[used++] = bytes[i];
	}
	put_raw(descriptor, translated, used);
}

/* Takes over what has come in at the descriptor's port. */
static void fill_input(unsigned descriptor, struct input *input)
{
	while (input->count < INPUT_BYTES && !input->ended) {
		int byte = serial_read_byte(ports[descriptor]);

		if (byte < 0)
			return;
		if (byte == QUOTE_INPUT && !input->quoted && !is_terminal(descriptor)) {
			input->quoted = true;
			continue;
		}
		if (byte == END_OF_INPUT && !input->quoted) {
			input->ended = true;
			return;
		}
		input->quoted = false;
		if (byte == '\r' && is_terminal(descriptor))
			byte = '\n';
		input->bytes[(input->first + input->count++) % INPUT_BYTES] = (unsigned char)byte;
	}
}

/* ---- write, writev ------------------------------------------------------------------------------ */

/* The bytes written; or -EFAULT if not even the first part could be read. */
static int64_t write_bytes(unsigned descriptor, vaddr_t from, uint64_t bytes)
{
	char chunk[OUTPUT_CHUNK];
	uint64_t done = 0;

	while (done < bytes) {
		size_t part = bytes - done < OUTPUT_CHUNK ? bytes - done : OUTPUT_CHUNK;

		if (copy_from_user(chunk, from + done, part) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		put_bytes(descriptor, chunk, part);
		done += part;
	}
	return (int64_t)done;
}

int64_t sys_write(struct task *task, struct trapframe *frame)
{
	unsigned descriptor;
	int error = find_transfer(task->process, frame, &descriptor);

	return error ? error : write_bytes(descriptor, frame->rsi, transfer_bytes(frame->rdx));
}

/* ---- read ----------------------------------------------------------------------------------------- */

/*
 * Gives the program what is there, up to the end of a line on a terminal. The bytes, or -EFAULT and
 * nothing is lost.
 */
static int64_t take_input(unsigned descriptor, struct input *input, vaddr_t to, uint64_t bytes)
{
	unsigned char chunk[INPUT_BYTES];
	size_t count = 0;

	while (count < bytes && count < input->count) {
		chunk[count] = input->bytes[(input->first + count) % INPUT_BYTES];
		if (chunk[count++] == '\n' && is_terminal(descriptor))
			break;
	}
	if (copy_to_user(to, chunk, count) != 0)
		return -EFAULT;
	input->first = (input->first + count) % INPUT_BYTES;
	input->count -= count;
	return (int64_t)count;
}

/* Waits for input, if `wait`, and reads what there is; 0 at its end, or if there is none. */
static int64_t read_bytes(unsigned descriptor, vaddr_t to, uint64_t bytes, bool wait)
{
	struct input *input = &inputs[ports[descriptor]];

	if (bytes == 0)
		return 0;
	fill_input(descriptor, input);
	for (unsigned looks = 0; wait && input->count == 0 && !input->ended; looks++) {
		if (looks >= QUICK_LOOKS)
			time_sleep_until(time_nanoseconds() + POLL_NS);
		fill_input(descriptor, input);
	}
	if (input->count > 0)
		return take_input(descriptor, input, to, bytes);
	if (wait && is_terminal(descriptor))
		input->ended = false;
	return 0;
}

int64_t sys_read(struct task *task, struct trapframe *frame)
{
	unsigned descriptor;
	int error = find_transfer(task->process, frame, &descriptor);

	return error ? error : read_bytes(descriptor, frame->rsi, transfer_bytes(frame->rdx), true);
}

/* ---- readv, writev ---------------------------------------------------------------------------------- */

static int64_t transfer(unsigned descriptor, const struct iovec *part, bool writing, bool first)
{
	if (writing)
		return write_bytes(descriptor, (vaddr_t)part->iov_base, part->iov_len);
	return read_bytes(descriptor, (vaddr_t)part->iov_base, part->iov_len, first);
}

/* 0 if all of the vector can be read and its lengths make sense. */
static int check_vector(vaddr_t vector, uint64_t count)
{
	uint64_t total = 0;
	bool bad = false;

	if (count > UIO_MAXIOV)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		struct iovec part;

		if (copy_from_user(&part, vector + i * sizeof(part), sizeof(part)) != 0)
			return -EFAULT;
		total += part.iov_len;
		if (part.iov_len > INT64_MAX || total > INT64_MAX)
			return -EINVAL;
		bad = bad || !may_be_buffer((vaddr_t)part.iov_base, part.iov_len);
	}
	return bad ? -EFAULT : 0;
}

static int64_t vector_call(const struct process *process, const struct trapframe *frame, bool writing)
{
	uint64_t done = 0;
	unsigned descriptor;
	int error = find_descriptor(process, frame->rdi, &descriptor);

	if (!error)
		error = check_vector(frame->rsi, frame->rdx);
	if (error)
		return error;
	for (uint64_t i = 0; i < frame->rdx && done < MAX_TRANSFER; i++) {
		struct iovec part;
		int64_t moved;

		if (copy_from_user(&part, frame->rsi + i * sizeof(part), sizeof(part)) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		if (part.iov_len > MAX_TRANSFER - done)
			part.iov_len = MAX_TRANSFER - done;
		moved = transfer(descriptor, &part, writing, done == 0);
		if (moved < 0)
			return done > 0 ? (int64_t)done : moved;
		done += (uint64_t)moved;
		if ((uint64_t)moved < part.iov_len)
			break;
	}
	return (int64_t)done;
}

int64_t sys_readv(struct task *task, struct trapframe *frame)
{
	return vector_call(task->process, frame, false);
}

int64_t sys_writev(struct task *task, struct trapframe *frame)
{
	return vector_call(task->process, frame, true);
}

/* ---- close, lseek, fstat, ioctl, fcntl ---------------------------------------------------------------- */

int64_t sys_close(struct task *task, struct trapframe *frame)
{
	unsigned descriptor;
	int error = find_descriptor(task->process, frame->rdi, &descriptor);

	if (!error)
		task->process->open[descriptor] = false;
	return error;
}

int64_t sys_lseek(struct task *task, struct trapframe *frame)
{
	unsigned descriptor;
	int error = find_descriptor(task->process, frame->rdi, &descriptor);

	return error ? error : -ESPIPE;
}

static int64_t stat_descriptor(const struct process *process, uint64_t number, vaddr_t to)
{
	struct stat stat = {.st_nlink = 1, .st_mode = TTY_MODE, .st_blksize = PAGE_SIZE};
	unsigned descriptor;
	int error = find_descriptor(process, number, &descriptor);

	if (error)
		return error;
	stat.st_ino = ports[descriptor];
	stat.st_rdev = TTY_MAJOR << 8 | (TTY_MINOR_BASE + ports[descriptor] - 1);
	return copy_to_user(to, &stat, sizeof(stat));
}

int64_t sys_fstat(struct task *task, struct trapframe *frame)
{
	return stat_descriptor(task->process, frame->rdi, frame->rsi);
}

/* Asks only: a terminal's mode cannot be changed. */
int64_t sys_ioctl(struct task *task, struct trapframe *frame)
{
	const struct termios mode = {.c_iflag = ICRNL,
				     .c_oflag = OPOST | ONLCR,
				     .c_cflag = B115200 | CS8 | CREAD | CLOCAL,
				     .c_lflag = ICANON,
				     .c_cc = {[VEOF] = END_OF_INPUT}};
	const struct winsize unknown_size = {0, 0, 0, 0};
	unsigned descriptor;
	int error = find_descriptor(task->process, frame->rdi, &descriptor);

	if (error)
		return error;
	if (!is_terminal(descriptor))
		return -ENOTTY;
	switch ((unsigned)frame->rsi) {
	case TCGETS:
		return copy_to_user(frame->rdx, &mode, sizeof(mode));
	case TIOCGWINSZ:
		return copy_to_user(frame->rdx, &unknown_size, sizeof(unknown_size));
	default:
		return -ENOTTY;
	}
}

int64_t sys_fcntl(struct task *task, struct trapframe *frame)
{
	unsigned descriptor;
	int error = find_descriptor(task->process, frame->rdi, &descriptor);

	if (error)
		return error;
	switch ((int)frame->rsi) {
	case F_GETFL:
		return O_RDWR;
	case F_GETFD:
	case F_SETFD: /* close-on-exec: there is no exec */
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- Paths: there is no file system ---------------------------------------------------------------- */

/* -ENOENT, or what is wrong with the path itself. */
static int64_t look_up(vaddr_t path)
{
	char chunk[PATH_CHUNK];

	for (size_t done = 0; done < PATH_MAX; done += sizeof(chunk)) {
		long length = copy_string_from_user(chunk, path + done, sizeof(chunk));

		if (length >= 0 || length == -EFAULT)
			return length == -EFAULT ? -EFAULT : -ENOENT;
	}
	return -ENAMETOOLONG;
}

int64_t sys_path_first(struct task *task, struct trapframe *frame)
{
	(void)task;
	return look_up(frame->rdi);
}

int64_t sys_path_second(struct task *task, struct trapframe *frame)
{
	(void)task;
	return look_up(frame->rsi);
}

static int64_t open_path(vaddr_t path, uint64_t flags)
{
	int64_t error = look_up(path);

	return error == -ENOENT && (flags & O_CREAT) ? -EROFS : error;
}

int64_t sys_open(struct task *task, struct trapframe *frame)
{
	(void)task;
	return open_path(frame->rdi, frame->rsi);
}

int64_t sys_openat(struct task *task, struct trapframe *frame)
{
	(void)task;
	return open_path(frame->rsi, frame->rdx);
}

int64_t sys_newfstatat(struct task *task, struct trapframe *frame)
{
	char first;

	if (!(frame->r10 & AT_EMPTY_PATH))
		return look_up(frame->rsi);
	if (copy_from_user(&first, frame->rsi, 1) != 0)
		return -EFAULT;
	return first == '\0' ? stat_descriptor(task->process, frame->rdi, frame->rdx) : look_up(frame->rsi);
}
