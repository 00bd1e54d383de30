/*
 * Terminals: what becomes of what is typed (termios(3)). Editing a line, special characters, echoes; signals for ^C and the like are collected while
 * the terminal is locked, and sent then.
 *
 * What goes out is in tty_output.c, reading it in tty_file.c.
 */
#include <asm/signal.h>

#include "tty.h"

#define TAB_COLUMNS 8u
#define BELL        '\a'
#define DISABLED    '\0' /* a special character that there is not */

/* What tty_receive finds out: signals to be sent when the terminal is not locked. */
struct outcome {
	int signo; /* 0: none */
	bool wake_readers;
};

#define CONTROL(letter) ((letter)&0x1f)

void tty_begin(struct tty *tty, const struct tty_driver *driver, uint32_t device, unsigned number)
{
	spin_init(&tty->lock, RANK_TTY, "terminal");
	wait_queue_init(&tty->readable);
	wait_queue_init(&tty->writable);
	tty->driver = driver;
	tty->device = device;
	tty->number = number;
	tty->mode = (struct termios){
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = B115200 | CS8 | CREAD | HUPCL | CLOCAL,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.c_cc = {[VINTR] = CONTROL('C'),
			 [VQUIT] = CONTROL('\\'),
			 [VERASE] = 0x7f,
			 [VKILL] = CONTROL('U'),
			 [VEOF] = CONTROL('D'),
			 [VMIN] = 1,
			 [VSTART] = CONTROL('Q'),
			 [VSTOP] = CONTROL('S'),
			 [VSUSP] = CONTROL('Z'),
			 [VREPRINT] = CONTROL('R'),
			 [VDISCARD] = CONTROL('O'),
			 [VWERASE] = CONTROL('W'),
			 [VLNEXT] = CONTROL('V')},
	};
}

static bool local(const struct tty *tty, unsigned flag)
{
	return tty->mode.c_lflag & flag;
}

/* Is the byte the special character `which`? */
static bool is_special(const struct tty *tty, unsigned char byte, unsigned which)
{
	return byte == tty->mode.c_cc[which] && byte != DISABLED;
}

/* ---- The ring -------------------------------------------------------------------------------------------- */

static uint32_t used(const struct tty *tty)
{
	return tty->put - tty->taken;
}

static void put(struct tty *tty, unsigned value)
{
	ASSERT(used(tty) < TTY_RING);
	tty->input[tty->put++ % TTY_RING] = (uint16_t)value;
}

static unsigned char byte_at(const struct tty *tty, uint32_t at)
{
	return (unsigned char)tty->input[at % TTY_RING];
}

/* The line that was edited can be read. */
static void end_line(struct tty *tty, unsigned value, struct outcome *outcome)
{
	put(tty, value | INPUT_LINE_END);
	tty->line = tty->put;
	outcome->wake_readers = true;
}

bool tty_is_readable(const struct tty *tty)
{
	uint32_t least = tty->mode.c_cc[VTIME] == 0 && tty->mode.c_cc[VMIN] > 1 ? tty->mode.c_cc[VMIN] : 1;

	return local(tty, ICANON) ? tty->line != tty->taken : used(tty) >= least;
}

uint32_t tty_input_count(const struct tty *tty)
{
	uint32_t end = local(tty, ICANON) ? tty->line : tty->put, count = 0;

	for (uint32_t at = tty->taken; at != end; at++)
		count += !(tty->input[at % TTY_RING] & INPUT_NO_BYTE);
	return count;
}

void tty_flush_input(struct tty *tty)
{
	tty->taken = tty->line = tty->put;
	tty->literal = false;
}

size_t tty_take_input(struct tty *tty, char *to, size_t most, bool *over)
{
	bool lines = local(tty, ICANON);
	uint32_t end = lines ? tty->line : tty->put;
	size_t count = 0;

	*over = false;
	while (tty->taken != end && !*over) {
		unsigned value = tty->input[tty->taken % TTY_RING];
		bool is_end = lines && (value & INPUT_NO_BYTE);

		if (count == most && !is_end)
			break;
		if (!is_end)
			to[count++] = (char)value;
		*over = lines && (value & INPUT_LINE_END);
		tty->taken++;
	}
	*over = *over || tty->taken == end;
	return count;
}

/* Without lines, all that has been typed can be read; with them, what there is counts as a line. */
void tty_mode_changed(struct tty *tty, const struct termios *before)
{
	if (!((tty->mode.c_lflag ^ before->c_lflag) & ICANON))
		return;
	tty->line = tty->put;
	tty->line_column = tty->column;
	tty->literal = false;
}

/* ---- Editing --------------------------------------------------------------------------------------------------- */

static void echo(struct tty *tty, unsigned char byte)
{
	if (local(tty, ECHO))
		tty_echo(tty, byte);
}

static bool is_continuation(const struct tty *tty, unsigned char byte)
{
	return (tty->mode.c_iflag & IUTF8) && (byte & 0xc0) == 0x80;
}

/* Where the cursor is after an echo of the byte, if it was at `column`. */
static unsigned column_after(const struct tty *tty, unsigned column, unsigned char byte)
{
	if (byte == '\t')
		return column / TAB_COLUMNS * TAB_COLUMNS + TAB_COLUMNS;
	if (byte < ' ' || byte == 0x7f)
		return local(tty, ECHOCTL) ? column + 2 : column;
	return is_continuation(tty, byte) ? column : column + 1;
}

/* Where the cursor is at the end of the edited line. */
static unsigned line_end_column(const struct tty *tty)
{
	unsigned column = tty->line_column;

	for (uint32_t at = tty->line; at != tty->put; at++)
		column = column_after(tty, column, byte_at(tty, at));
	return column;
}

static void wipe_columns(struct tty *tty, unsigned count, bool blank)
{
	for (unsigned i = 0; i < count; i++) {
		tty_put(tty, '\b');
		if (blank) {
			tty_put(tty, ' ');
			tty_put(tty, '\b');
		}
		if (tty->column > 0)
			tty->column--;
	}
}

/* Takes back the last character of the line, which there is, from the line and from the screen. */
static void erase_one(struct tty *tty, bool on_screen)
{
	unsigned before = line_end_column(tty), after;
	bool tab;

	while (tty->put - tty->line > 1 && is_continuation(tty, byte_at(tty, tty->put - 1)))
		tty->put--;
	tty->put--;
	tab = byte_at(tty, tty->put) == '\t';
	after = line_end_column(tty);
	if (on_screen && before > after)
		wipe_columns(tty, before - after, !tab);
}

/* ERASE. */
static void erase_character(struct tty *tty, unsigned char byte)
{
	if (tty->put == tty->line)
		return;
	erase_one(tty, local(tty, ECHO) && local(tty, ECHOE));
	if (!local(tty, ECHOE))
		echo(tty, byte);
}

static bool is_word(unsigned char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       byte == '_' || byte >= 0x80;
}

/* WERASE: what is no word, and the word before it. */
static void erase_word(struct tty *tty, unsigned char byte)
{
	bool on_screen = local(tty, ECHO) && local(tty, ECHOE);

	while (tty->put != tty->line && !is_word(byte_at(tty, tty->put - 1)))
		erase_one(tty, on_screen);
	while (tty->put != tty->line && is_word(byte_at(tty, tty->put - 1)))
		erase_one(tty, on_screen);
	if (!local(tty, ECHOE))
		echo(tty, byte);
}

/* KILL. */
static void erase_line(struct tty *tty, unsigned char byte)
{
	bool on_screen = local(tty, ECHO) && local(tty, ECHOK) && local(tty, ECHOKE) && local(tty, ECHOE);

	while (on_screen && tty->put != tty->line)
		erase_one(tty, true);
	tty->put = tty->line;
	if (on_screen)
		return;
	echo(tty, byte);
	if (local(tty, ECHOK))
		echo(tty, '\n');
}

/* REPRINT: the line once more, on a line of its own. */
static void reprint(struct tty *tty, unsigned char byte)
{
	echo(tty, byte);
	echo(tty, '\n');
	tty->line_column = tty->column;
	for (uint32_t at = tty->line; at != tty->put; at++)
		echo(tty, byte_at(tty, at));
}

/* Does the byte edit the line? */
static bool edit(struct tty *tty, unsigned char byte)
{
	if (is_special(tty, byte, VERASE))
		erase_character(tty, byte);
	else if (is_special(tty, byte, VKILL))
		erase_line(tty, byte);
	else if (is_special(tty, byte, VWERASE) && local(tty, IEXTEN))
		erase_word(tty, byte);
	else if (is_special(tty, byte, VREPRINT) && local(tty, IEXTEN) && local(tty, ECHO))
		reprint(tty, byte);
	else
		return false;
	return true;
}

/* A byte of the line. Where there is no room but for the line's end, it is lost. */
static void add_to_line(struct tty *tty, unsigned char byte)
{
	if (used(tty) >= TTY_RING - 1) {
		if (tty->mode.c_iflag & IMAXBEL)
			tty_put(tty, BELL);
		return;
	}
	if (tty->put == tty->line)
		tty->line_column = tty->column;
	put(tty, byte);
	echo(tty, byte);
}

static bool ends_line(const struct tty *tty, unsigned char byte)
{
	return byte == '\n' || is_special(tty, byte, VEOL) ||
	       (is_special(tty, byte, VEOL2) && local(tty, IEXTEN));
}

static void receive_in_line(struct tty *tty, unsigned char byte, struct outcome *outcome)
{
	if (edit(tty, byte))
		return;
	if (is_special(tty, byte, VLNEXT) && local(tty, IEXTEN)) {
		tty->literal = true;
		if (local(tty, ECHO) && local(tty, ECHOCTL)) {
			tty_put(tty, '^');
			tty_put(tty, '\b');
		}
	} else if (is_special(tty, byte, VEOF)) {
		end_line(tty, INPUT_NO_BYTE, outcome);
	} else if (ends_line(tty, byte)) {
		if (local(tty, ECHO) || (local(tty, ECHONL) && byte == '\n'))
			tty_echo(tty, byte);
		end_line(tty, byte, outcome);
	} else {
		add_to_line(tty, byte);
	}
}

static void receive_raw(struct tty *tty, unsigned char byte, struct outcome *outcome)
{
	if (used(tty) == TTY_RING)
		return;
	put(tty, byte);
	tty->line = tty->put;
	echo(tty, byte);
	outcome->wake_readers = true;
}

/* ---- Special characters of both modes ------------------------------------------------------------------------- */

static int signal_of(const struct tty *tty, unsigned char byte)
{
	if (!local(tty, ISIG))
		return 0;
	if (is_special(tty, byte, VINTR))
		return SIGINT;
	if (is_special(tty, byte, VQUIT))
		return SIGQUIT;
	return is_special(tty, byte, VSUSP) ? SIGTSTP : 0;
}

static void receive_signal(struct tty *tty, unsigned char byte, int signo, struct outcome *outcome)
{
	if (!local(tty, NOFLSH)) {
		tty_flush_input(tty);
		tty->sent = tty->sent_put;
	}
	tty->stopped = false;
	echo(tty, byte);
	outcome->signo = signo;
}

/* STOP and START. Is the byte used up? */
static bool control_flow(struct tty *tty, unsigned char byte)
{
	if (!(tty->mode.c_iflag & IXON))
		return false;
	if (is_special(tty, byte, VSTOP)) {
		tty->stopped = !(tty->stopped && tty->mode.c_cc[VSTOP] == tty->mode.c_cc[VSTART]);
		return true;
	}
	if (is_special(tty, byte, VSTART)) {
		tty->stopped = false;
		return true;
	}
	if (tty->mode.c_iflag & IXANY)
		tty->stopped = false;
	return false;
}

/* What the input modes make of a byte; -1: it is dropped. */
static int translate(const struct tty *tty, unsigned char byte)
{
	unsigned flags = tty->mode.c_iflag;

	if (byte == '\r' && (flags & IGNCR))
		return -1;
	if (byte == '\r' && (flags & ICRNL))
		return '\n';
	if (byte == '\n' && (flags & INLCR))
		return '\r';
	if ((flags & IUCLC) && byte >= 'A' && byte <= 'Z')
		return byte + ('a' - 'A');
	return byte;
}

/* The terminal is locked. */
static void receive_byte(struct tty *tty, unsigned char byte, struct outcome *outcome)
{
	int signo, translated;

	if (tty->mode.c_iflag & ISTRIP)
		byte &= 0x7f;
	if (tty->literal) {
		tty->literal = false;
		add_to_line(tty, byte);
		return;
	}
	if (control_flow(tty, byte))
		return;
	signo = signal_of(tty, byte);
	if (signo) {
		receive_signal(tty, byte, signo, outcome);
		return;
	}
	translated = translate(tty, byte);
	if (translated < 0)
		return;
	if (local(tty, ICANON))
		receive_in_line(tty, (unsigned char)translated, outcome);
	else
		receive_raw(tty, (unsigned char)translated, outcome);
}

/* An edited line that is too long goes on being typed, as its end could not come else; what is behind a whole line waits. */
static size_t room(const struct tty *tty)
{
	if (local(tty, ICANON) && tty->line == tty->taken)
		return TTY_RING;
	return TTY_RING - 1 - (used(tty) < TTY_RING - 1 ? used(tty) : TTY_RING - 1);
}

size_t tty_input_room(struct tty *tty)
{
	size_t bytes;

	spin_lock(&tty->lock);
	bytes = room(tty);
	spin_unlock(&tty->lock);
	return bytes;
}

size_t tty_receive(struct tty *tty, const char *bytes, size_t count)
{
	size_t done = 0;

	while (done < count) {
		struct outcome outcome = {0, false};

		spin_lock(&tty->lock);
		while (done < count && room(tty) > 0 && !outcome.signo)
			receive_byte(tty, (unsigned char)bytes[done++], &outcome);
		spin_unlock(&tty->lock);
		if (outcome.wake_readers || outcome.signo)
			wait_wake_all(&tty->readable);
		if (outcome.signo) {
			tty_signal_foreground(tty, outcome.signo);
			wait_wake_all(&tty->writable);
		} else {
			break;
		}
	}
	tty->driver->output(tty);
	return done;
}
