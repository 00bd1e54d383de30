/*
 * Terminals: what goes out (the output modes of termios(3)), echoes included. The driver takes it from the ring.
 */
#include "tty.h"

#define TAB_COLUMNS 8u

static uint32_t room(const struct tty *tty)
{
	return TTY_RING - (tty->sent_put - tty->sent);
}

bool tty_put(struct tty *tty, char byte)
{
	if (room(tty) == 0)
		return false;
	tty->output[tty->sent_put++ % TTY_RING] = byte;
	return true;
}

static bool put_two(struct tty *tty, char first, char second)
{
	return room(tty) >= 2 && tty_put(tty, first) && tty_put(tty, second);
}

static bool put_newline(struct tty *tty)
{
	unsigned flags = tty->mode.c_oflag;

	if (flags & ONLCR) {
		if (!put_two(tty, '\r', '\n'))
			return false;
		tty->column = 0;
		return true;
	}
	if (flags & ONLRET)
		tty->column = 0;
	return tty_put(tty, '\n');
}

static bool put_return(struct tty *tty)
{
	unsigned flags = tty->mode.c_oflag;

	if ((flags & ONOCR) && tty->column == 0)
		return true;
	if (flags & OCRNL) {
		if (flags & ONLRET)
			tty->column = 0;
		return tty_put(tty, '\n');
	}
	tty->column = 0;
	return tty_put(tty, '\r');
}

static bool put_tab(struct tty *tty)
{
	unsigned spaces = TAB_COLUMNS - tty->column % TAB_COLUMNS;

	if ((tty->mode.c_oflag & TABDLY) != XTABS) {
		tty->column += spaces;
		return tty_put(tty, '\t');
	}
	if (room(tty) < spaces)
		return false;
	tty->column += spaces;
	while (spaces--)
		tty_put(tty, ' ');
	return true;
}

static bool put_other(struct tty *tty, char byte)
{
	unsigned char value = (unsigned char)byte;

	if (room(tty) == 0)
		return false;
	if (byte == '\b')
		tty->column -= tty->column > 0;
	else if (value >= ' ' && value != 0x7f && !((tty->mode.c_iflag & IUTF8) && (value & 0xc0) == 0x80))
		tty->column++;
	if ((tty->mode.c_oflag & OLCUC) && byte >= 'a' && byte <= 'z')
		byte = (char)(byte - ('a' - 'A'));
	return tty_put(tty, byte);
}

bool tty_put_processed(struct tty *tty, char byte)
{
	if (!(tty->mode.c_oflag & OPOST))
		return tty_put(tty, byte);
	switch (byte) {
	case '\n':
		return room(tty) > 0 && put_newline(tty);
	case '\r':
		return room(tty) > 0 && put_return(tty);
	case '\t':
		return room(tty) > 0 && put_tab(tty);
	default:
		return put_other(tty, byte);
	}
}

/* What there is no room for is lost. */
void tty_echo(struct tty *tty, unsigned char byte)
{
	if ((tty->mode.c_lflag & ECHOCTL) && (byte < ' ' || byte == 0x7f) && byte != '\t' && byte != '\n') {
		if (put_two(tty, '^', (char)(byte ^ 0x40)))
			tty->column += 2;
	} else {
		tty_put_processed(tty, (char)byte);
	}
}

uint32_t tty_output_count(const struct tty *tty)
{
	return tty->sent_put - tty->sent;
}

size_t tty_peek_output(struct tty *tty, char *to, size_t most, uint32_t *at)
{
	size_t count = 0;

	spin_lock(&tty->lock);
	*at = tty->sent;
	while (!tty->stopped && count < most && tty->sent + count != tty->sent_put) {
		to[count] = tty->output[(tty->sent + count) % TTY_RING];
		count++;
	}
	spin_unlock(&tty->lock);
	return count;
}

void tty_sent(struct tty *tty, uint32_t at, size_t count)
{
	spin_lock(&tty->lock);
	if (tty->sent == at)
		tty->sent += (uint32_t)count;
	spin_unlock(&tty->lock);
	wait_wake_all(&tty->writable);
}

void tty_stop(struct tty *tty, bool stopped)
{
	spin_lock(&tty->lock);
	tty->stopped = stopped;
	spin_unlock(&tty->lock);
	if (!stopped)
		tty->driver->output(tty);
	wait_wake_all(&tty->writable);
}

void tty_flush_output(struct tty *tty)
{
	spin_lock(&tty->lock);
	tty->sent = tty->sent_put;
	spin_unlock(&tty->lock);
	wait_wake_all(&tty->writable);
}
