/*
 * Terminals, as the rest of the kernel sees them: kern/dev/tty*.c. Their meaning is termios(3)'s, ioctl_tty(2)'s and, for
 * sessions, credentials(7)'s.
 */
#ifndef KERN_TTY_H
#define KERN_TTY_H

#include <kern/fs.h>

struct session;
struct tty;

/* Makes the console's terminal, and the devices of all terminals and ports. Before fs_init makes their names; once. */
void ttys_init(void);

/* Makes /dev/console, tty, ptmx, ttyS0 and so on. 0, -ENOMEM. */
int ttys_make_nodes(void);

/* The descriptors 0 to 2 of the first process: the serial ports that the command line says. */
int ttys_open_standard(struct task *task);

/* Where the first process has got the console as a descriptor, that is its session's terminal. */
void tty_attach_first(struct task *task);

/*
 * A session's leader ends: its terminal has no session any more, the foreground group gets SIGHUP, and files that are open on the
 * terminal are hung up, unless it is a pseudo terminal. No spinlocks held.
 */
void tty_leader_ends(struct session *session);

/* Waits until the console has got all that was written to its terminal, but not for ever. For the end of the system. */
void tty_drain_console(void);

/* The controlling terminal's device number, as st_rdev, and its foreground group, for /proc; 0 and -1 if there is none. process_lock is held. */
uint32_t tty_session_device(const struct session *session, int *foreground);

#endif
