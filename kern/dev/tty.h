/*
 * What the terminals' files share: tty.c (input, line by line or byte by byte), tty_output.c (what goes out), tty_file.c (reading, writing,
 * waiting), tty_ioctl.c (modes), tty_job.c (sessions and groups), tty_devices.c (the devices, and the console's port), pty.c
 * (terminals whose other side is a program) and stream.c (ports that are no terminals).
 *
 * A terminal has two rings. What its other side sends (a serial port, or a program at a pseudo terminal) is edited into the input ring by
 * tty_receive(), which also fills the output ring with echoes; what programs write goes, translated, into the output ring. The driver takes
 * from that. All of it is under one spinlock, as input comes in where nobody may sleep.
 */
#ifndef DEV_TTY_H
#define DEV_TTY_H

#include <asm/errno.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <kern/inode.h>
#include <kern/kern.h>
#include <kern/proc.h>
#include <kern/tty.h>

#define TTY_RING 4096u /* bytes of each ring; a line of input is shorter than that by one */

/* Marks on what is in the input ring, above a byte. */
#define INPUT_LINE_END 0x100u /* a line ends after it */
#define INPUT_NO_BYTE  0x200u /* and it is not a part of it: the end of the input was typed */

struct tty;

/* The other side. */
struct tty_driver {
	/* There is output: the driver is to take it with tty_take_output. No spinlocks held; may not sleep. */
	void (*output)(struct tty *tty);
	/* There is room for input again. May be NULL. */
	void (*room)(struct tty *tty);
	/* Somebody begins to wait for input. May be NULL. */
	void (*expect)(struct tty *tty);
	/* The last file of the terminal is closed. May be NULL. */
	void (*closed)(struct tty *tty);
	bool is_pseudo; /* the end of its session does not hang it up (as Linux) */
};

/*
 * Locks: (l) its own lock; (p) process_lock; (a) atomic; (-) set when it is made.
 */
struct tty {
	struct spinlock lock;            /* RANK_TTY */
	const struct tty_driver *driver; /* (-) */
	uint32_t device;                 /* (-) its number, as st_rdev has it */
	unsigned number;                 /* (-) the port's, or the pseudo terminal's */
	struct termios mode;             /* (l) */
	struct winsize size;             /* (l) */

	uint16_t input[TTY_RING]; /* (l) bytes and marks */
	uint32_t put;             /* (l) positions in the input, ever growing: where the next byte goes, */
	uint32_t line;            /* (l) where the line begins that is being edited, */
	uint32_t taken;           /* (l) and where reading goes on */
	bool literal;             /* (l) the next byte is none that means anything: LNEXT was typed */
	unsigned line_column;     /* (l) where on the screen the edited line begins */

	char output[TTY_RING]; /* (l) */
	uint32_t sent_put,
		sent;    /* (l) positions in the output: where the next byte goes, what the driver took */
	unsigned column; /* (l) of the cursor */
	bool stopped;    /* (l) by STOP, or by tcflow */

	_Atomic bool reading, writing; /* (a) a file's read, or write, is under way: one at a time */
	_Atomic uint32_t generation;   /* (a) hangups: files opened before the last one are dead */
	_Atomic uint32_t files;        /* (a) that are open on it */
	_Atomic bool gone;             /* (a) the other side is closed */
	_Atomic bool exclusive;        /* (a) TIOCEXCL */
	struct wait_queue readable;    /* (-) */
	struct wait_queue writable;    /* (-) */

	struct session *session; /* (p) whose controlling terminal it is; NULL: nobody's */
	int foreground;          /* (p) the process group that may read; 0: none */
};

/* Makes a terminal in its first mode, of memory that is zeroed. */
void tty_begin(struct tty *tty, const struct tty_driver *driver, uint32_t device, unsigned number);

/* ---- Input (tty.c) ------------------------------------------------------------------------------------- */

/*
 * Takes bytes that the other side sent. How many: those that there is no room for are left. No spinlocks held; does not sleep. Signals are sent.
 */
size_t tty_receive(struct tty *tty, const char *bytes, size_t count);

/* How many bytes tty_receive would take at least. */
size_t tty_input_room(struct tty *tty);

/* The terminal is locked: */
bool tty_is_readable(
	const struct tty *tty); /* is there a line, or in the other mode as many bytes as VMIN says? */
uint32_t tty_input_count(const struct tty *tty); /* how many bytes could be read */
void tty_flush_input(struct tty *tty);
/* Copies what a read takes, at most `most` bytes, and takes it out. *over: a line ends here. */
size_t tty_take_input(struct tty *tty, char *to, size_t most, bool *over);
/* The mode has changed: what is there is treated by the new one. */
void tty_mode_changed(struct tty *tty, const struct termios *before);

/* ---- Output (tty_output.c) ------------------------------------------------------------------------------ */

/* The terminal is locked: */
bool tty_put(struct tty *tty, char byte);           /* as it is; false: no room */
bool tty_put_processed(struct tty *tty, char byte); /* as the mode says: all of it, or nothing and false */
void tty_echo(struct tty *tty, unsigned char byte); /* control characters as ^X where the mode says so */
uint32_t tty_output_count(const struct tty *tty);

/*
 * Copies what is to go out, at most `most` bytes, from position *at on; tty_sent takes it out then, unless it has been flushed. 0 while output
 * is stopped. For drivers; they take the lock.
 */
size_t tty_peek_output(struct tty *tty, char *to, size_t most, uint32_t *at);
void tty_sent(struct tty *tty, uint32_t at, size_t count);

/* Stops output, and lets it go on. No spinlocks held. */
void tty_stop(struct tty *tty, bool stopped);
void tty_flush_output(struct tty *tty);

/* ---- Files (tty_file.c) ------------------------------------------------------------------------------------ */

extern const struct file_ops tty_file_ops;

/* What opening a terminal does: its session, if the flags say so. -EIO: its other side is closed; -EBUSY. */
int tty_open_file(struct tty *tty, struct file *file, struct task *task, bool may_control);

/* All files that are open on it are dead from now on, and who waits is woken. */
void tty_hang_up_files(struct tty *tty);
bool tty_is_hung_up(const struct file *file);

/* Waits until all output is gone. 0, -ERESTARTSYS, -EIO. */
int tty_drain(struct file *file);

/* ---- Modes (tty_ioctl.c) ------------------------------------------------------------------------------------- */

int64_t tty_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument);
int tty_set_size(struct tty *tty, const struct winsize *size); /* SIGWINCH if it is another one */

/* ---- Sessions (tty_job.c) -------------------------------------------------------------------------------------- */

/* May the task read from its terminal (SIGTTIN), or change it or write to it (SIGTTOU)? 0; -EIO; -ERESTARTSYS, and its group has got the signal. */
int tty_check_job(struct tty *tty, struct task *task, int signo);

/* Makes it the controlling terminal of the task's session, whose leader the task is; `steal`: even if another has it. -EPERM. */
int tty_acquire(struct tty *tty, struct task *task, bool steal);
/* The task's process gives its terminal up (TIOCNOTTY). -ENOTTY. */
int tty_give_up(struct tty *tty, struct task *task);
/* The other side is closed: the session has no terminal any more, its foreground gets SIGHUP. */
void tty_lost(struct tty *tty);

/*
 * The controlling terminal of a task; NULL: none. Without a reference: a pseudo terminal may be gone when this returns, so that `pseudo`, where it is
 * not -1, says which one to look for.
 */
struct tty *tty_of_task(struct task *task, int *pseudo);

int tty_get_foreground(struct tty *tty, struct task *task, bool own, int *group);
int tty_set_foreground(struct tty *tty, struct task *task, bool own, int group);
int tty_get_session(struct tty *tty, struct task *task, bool own, int *session);
void tty_signal_foreground(struct tty *tty, int signo);

/* ---- Pseudo terminals (pty.c), ports that are no terminals (stream.c) --------------------------------------------- */

void ptys_init(void);
/* Opens the task's own terminal, which is the pseudo terminal of that number. -ENXIO: it is not any more; -EIO. */
int pty_open_own(struct file *file, struct task *task, unsigned number);
void streams_init(void);
extern const struct file_ops stream_ops;
/* Opens a port that is not the console's: file->private. */
int stream_open(struct file *file, unsigned port);

#endif
