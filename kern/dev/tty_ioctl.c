/*
 * Terminals: their modes and everything else that ioctl_tty(2) lists.
 */
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/tty.h>

#include "tty.h"

/* What TCSETSW and TCSETSF do first. */
enum set_when { SET_NOW, SET_DRAINED, SET_FLUSHED };

/* ---- Modes ------------------------------------------------------------------------------------------------ */

static struct termios get_mode(struct tty *tty)
{
	struct termios mode;

	spin_lock(&tty->lock);
	mode = tty->mode;
	spin_unlock(&tty->lock);
	return mode;
}

static int64_t set_mode(struct file *file, const struct termios *mode, enum set_when when)
{
	struct tty *tty = file->private;
	struct termios before;
	int error = when == SET_NOW ? 0 : tty_drain(file);

	if (error)
		return error;
	spin_lock(&tty->lock);
	if (when == SET_FLUSHED)
		tty_flush_input(tty);
	before = tty->mode;
	tty->mode = *mode;
	if (!(mode->c_iflag & IXON))
		tty->stopped = false;
	tty_mode_changed(tty, &before);
	spin_unlock(&tty->lock);
	tty->driver->output(tty);
	wait_wake_all(&tty->readable);
	wait_wake_all(&tty->writable);
	return 0;
}

/* The form of termios that has the speeds in numbers: they mean nothing here. */
static int64_t get_mode_2(struct tty *tty, uint64_t to)
{
	struct termios mode = get_mode(tty);
	struct termios2 out = {.c_iflag = mode.c_iflag,
			       .c_oflag = mode.c_oflag,
			       .c_cflag = mode.c_cflag,
			       .c_lflag = mode.c_lflag,
			       .c_line = mode.c_line,
			       .c_ispeed = 115200,
			       .c_ospeed = 115200};

	memcpy(out.c_cc, mode.c_cc, sizeof(out.c_cc));
	return copy_to_user(to, &out, sizeof(out));
}

/* The old form, of 16 bits each. */
static int64_t get_mode_old(struct tty *tty, uint64_t to)
{
	struct termios mode = get_mode(tty);
	struct termio out = {.c_iflag = (unsigned short)mode.c_iflag,
			     .c_oflag = (unsigned short)mode.c_oflag,
			     .c_cflag = (unsigned short)mode.c_cflag,
			     .c_lflag = (unsigned short)mode.c_lflag,
			     .c_line = mode.c_line};

	memcpy(out.c_cc, mode.c_cc, sizeof(out.c_cc));
	return copy_to_user(to, &out, sizeof(out));
}

static int64_t set_mode_old(struct file *file, uint64_t from, enum set_when when)
{
	struct termios mode = get_mode(file->private);
	struct termio in;

	if (copy_from_user(&in, from, sizeof(in)) != 0)
		return -EFAULT;
	mode.c_iflag = (mode.c_iflag & ~0xffffu) | in.c_iflag;
	mode.c_oflag = (mode.c_oflag & ~0xffffu) | in.c_oflag;
	mode.c_cflag = (mode.c_cflag & ~0xffffu) | in.c_cflag;
	mode.c_lflag = (mode.c_lflag & ~0xffffu) | in.c_lflag;
	memcpy(mode.c_cc, in.c_cc, sizeof(in.c_cc));
	return set_mode(file, &mode, when);
}

/* Of either form: the longer one begins as the short one does. */
static int64_t set_mode_from(struct file *file, uint64_t from, enum set_when when)
{
	struct termios mode;

	if (copy_from_user(&mode, from, sizeof(mode)) != 0)
		return -EFAULT;
	return set_mode(file, &mode, when);
}

static int64_t mode_ioctl(struct file *file, unsigned request, uint64_t argument)
{
	struct tty *tty = file->private;
	struct termios mode;

	switch (request) {
	case TCGETS:
		mode = get_mode(tty);
		return copy_to_user(argument, &mode, sizeof(mode));
	case TCSETS:
	case TCSETS2:
		return set_mode_from(file, argument, SET_NOW);
	case TCSETSW:
	case TCSETSW2:
		return set_mode_from(file, argument, SET_DRAINED);
	case TCSETSF:
	case TCSETSF2:
		return set_mode_from(file, argument, SET_FLUSHED);
	case TCGETS2:
		return get_mode_2(tty, argument);
	case TCGETA:
		return get_mode_old(tty, argument);
	case TCSETA:
		return set_mode_old(file, argument, SET_NOW);
	case TCSETAW:
		return set_mode_old(file, argument, SET_DRAINED);
	case TCSETAF:
		return set_mode_old(file, argument, SET_FLUSHED);
	default:
		return -ENOTTY;
	}
}

/* ---- Rings --------------------------------------------------------------------------------------------------- */

static int64_t flush(struct tty *tty, uint64_t what)
{
	if (what != TCIFLUSH && what != TCOFLUSH && what != TCIOFLUSH)
		return -EINVAL;
	if (what != TCOFLUSH) {
		spin_lock(&tty->lock);
		tty_flush_input(tty);
		spin_unlock(&tty->lock);
		if (tty->driver->room)
			tty->driver->room(tty);
	}
	if (what != TCIFLUSH)
		tty_flush_output(tty);
	return 0;
}

static int64_t flow(struct tty *tty, uint64_t what)
{
	char byte;

	switch (what) {
	case TCOOFF:
	case TCOON:
		tty_stop(tty, what == TCOOFF);
		return 0;
	case TCIOFF:
	case TCION:
		spin_lock(&tty->lock);
		byte = (char)tty->mode.c_cc[what == TCIOFF ? VSTOP : VSTART];
		if (byte != 0)
			tty_put(tty, byte);
		spin_unlock(&tty->lock);
		tty->driver->output(tty);
		return 0;
	default:
		return -EINVAL;
	}
}

static int64_t put_count(struct tty *tty, bool input, uint64_t to)
{
	int count;

	spin_lock(&tty->lock);
	count = (int)(input ? tty_input_count(tty) : tty_output_count(tty));
	spin_unlock(&tty->lock);
	return copy_to_user(to, &count, sizeof(count));
}

/* TIOCSTI: as if it had been typed, so into one's own terminal only (ioctl_tty(2)). */
static int64_t type_byte(struct tty *tty, struct task *task, uint64_t from)
{
	int pseudo;
	char byte;

	if (tty_of_task(task, &pseudo) != tty && !task_capable(task, CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&byte, from, 1) != 0)
		return -EFAULT;
	tty_receive(tty, &byte, 1);
	return 0;
}

static int64_t ring_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	struct tty *tty = file->private;

	switch (request) {
	case TCFLSH:
		return flush(tty, argument);
	case TCXONC:
		return flow(tty, argument);
	case TCSBRK:
	case TCSBRKP:
		return tty_drain(file);
	case TIOCSTI:
		return type_byte(tty, task, argument);
	default:
		return -ENOTTY;
	}
}

/* ---- Sessions, size, and the rest -------------------------------------------------------------------------------- */

int tty_set_size(struct tty *tty, const struct winsize *size)
{
	bool differs;

	spin_lock(&tty->lock);
	differs = memcmp(&tty->size, size, sizeof(*size)) != 0;
	tty->size = *size;
	spin_unlock(&tty->lock);
	if (differs)
		tty_signal_foreground(tty, SIGWINCH);
	return 0;
}

static int64_t set_size_from(struct tty *tty, uint64_t from)
{
	struct winsize size;

	if (copy_from_user(&size, from, sizeof(size)) != 0)
		return -EFAULT;
	return tty_set_size(tty, &size);
}

static int64_t get_size(struct tty *tty, uint64_t to)
{
	struct winsize size;

	spin_lock(&tty->lock);
	size = tty->size;
	spin_unlock(&tty->lock);
	return copy_to_user(to, &size, sizeof(size));
}

static int64_t job_ioctl(struct tty *tty, struct task *task, unsigned request, uint64_t argument)
{
	int number = 0, error;

	switch (request) {
	case TIOCGPGRP:
		error = tty_get_foreground(tty, task, true, &number);
		return error ? error : copy_to_user(argument, &number, sizeof(number));
	case TIOCSPGRP:
		error = tty_check_job(tty, task, SIGTTOU);
		if (!error && copy_from_user(&number, argument, sizeof(number)) != 0)
			error = -EFAULT;
		return error ? error : tty_set_foreground(tty, task, true, number);
	case TIOCGSID:
		error = tty_get_session(tty, task, true, &number);
		return error ? error : copy_to_user(argument, &number, sizeof(number));
	case TIOCSCTTY:
		return tty_acquire(tty, task, argument == 1 && task_capable(task, CAP_SYS_ADMIN));
	case TIOCNOTTY:
		return tty_give_up(tty, task);
	default:
		return -ENOTTY;
	}
}

/* What changes the terminal, and so is not for background processes. */
static bool is_change(unsigned request)
{
	switch (request) {
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
	case TCFLSH:
	case TCXONC:
	case TCSBRK:
	case TCSBRKP:
	case TIOCSETD:
		return true;
	default:
		return false;
	}
}

static int64_t small_ioctl(struct tty *tty, unsigned request, uint64_t argument)
{
	const int discipline = N_TTY; /* the only one */
	int number;

	switch (request) {
	case FIONREAD:
		return put_count(tty, true, argument);
	case TIOCOUTQ:
		return put_count(tty, false, argument);
	case TIOCGWINSZ:
		return get_size(tty, argument);
	case TIOCSWINSZ:
		return set_size_from(tty, argument);
	case TIOCGETD:
		return copy_to_user(argument, &discipline, sizeof(discipline));
	case TIOCSETD:
		if (copy_from_user(&number, argument, sizeof(number)) != 0)
			return -EFAULT;
		return number == discipline ? 0 : -EINVAL;
	case TIOCEXCL:
	case TIOCNXCL:
		tty->exclusive = request == TIOCEXCL;
		return 0;
	default:
		return -ENOTTY;
	}
}

int64_t tty_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	struct tty *tty = file->private;
	int64_t result;

	if (tty_is_hung_up(file))
		return -EIO;
	if (is_change(request)) {
		result = tty_check_job(tty, task, SIGTTOU);
		if (result)
			return result;
	}
	result = mode_ioctl(file, request, argument);
	if (result == -ENOTTY)
		result = ring_ioctl(file, task, request, argument);
	if (result == -ENOTTY)
		result = small_ioctl(tty, request, argument);
	return result == -ENOTTY ? job_ioctl(tty, task, request, argument) : result;
}
