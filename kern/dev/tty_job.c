/*
 * Terminals and sessions: whose controlling terminal one is, which process group is in its foreground, and what becomes of those
 * in the background (credentials(7), tcsetpgrp(3), POSIX 11.1).
 */
#include <asm/signal.h>

#include "tty.h"

/* ---- Who has which terminal --------------------------------------------------------------------------------- */

/* The session of a task's process. process_lock is held. */
static struct session *session_of(const struct task *task)
{
	return task->process->group->session;
}

struct tty *tty_of_task(struct task *task, int *pseudo)
{
	struct tty *tty;

	spin_lock(&process_lock);
	tty = session_of(task)->terminal;
	*pseudo = tty && tty->driver->is_pseudo ? (int)tty->number : -1;
	spin_unlock(&process_lock);
	return tty;
}

/* process_lock is held. */
static void attach(struct tty *tty, struct process *leader)
{
	struct session *session = leader->group->session;

	if (tty->session)
		tty->session->terminal = NULL;
	session->terminal = tty;
	tty->session = session;
	tty->foreground = leader->group->id;
}

int tty_acquire(struct tty *tty, struct task *task, bool steal)
{
	struct session *session;
	int error = 0;

	spin_lock(&process_lock);
	session = session_of(task);
	if (session->terminal == tty)
		error = 0;
	else if (session->id != task->process->pid || session->terminal || (tty->session && !steal))
		error = -EPERM;
	else
		attach(tty, task->process);
	spin_unlock(&process_lock);
	return error;
}

/* The terminal has no session any more. Which group was in its foreground; 0: none. process_lock is held. */
static int detach(struct tty *tty)
{
	int group = tty->foreground;

	if (tty->session)
		tty->session->terminal = NULL;
	tty->session = NULL;
	tty->foreground = 0;
	return group;
}

static void signal_group(int group, int signo)
{
	if (group > 0)
		signal_send_group(group, signo);
}

/* One process of a session gives up its terminal: here all of the session do, as it is the session's; only the leader's doing is told. */
int tty_give_up(struct tty *tty, struct task *task)
{
	bool is_leader;
	int group = 0;

	spin_lock(&process_lock);
	if (session_of(task)->terminal != tty) {
		spin_unlock(&process_lock);
		return -ENOTTY;
	}
	is_leader = session_of(task)->id == task->process->pid;
	if (is_leader)
		group = detach(tty);
	spin_unlock(&process_lock);
	signal_group(group, SIGHUP);
	signal_group(group, SIGCONT);
	return 0;
}

void tty_leader_ends(struct session *session)
{
	struct tty *tty;
	int group = 0;

	spin_lock(&process_lock);
	tty = session->terminal;
	if (tty)
		group = detach(tty);
	spin_unlock(&process_lock);
	if (!tty)
		return;
	signal_group(group, SIGHUP);
	if (!tty->driver->is_pseudo)
		tty_hang_up_files(tty);
}

void tty_lost(struct tty *tty)
{
	int group, leader = 0;

	spin_lock(&process_lock);
	if (tty->session)
		leader = tty->session->id;
	group = detach(tty);
	spin_unlock(&process_lock);
	signal_group(leader, SIGHUP);
	signal_group(leader, SIGCONT);
	if (group != leader) {
		signal_group(group, SIGHUP);
		signal_group(group, SIGCONT);
	}
}

uint32_t tty_session_device(const struct session *session, int *foreground)
{
	const struct tty *tty = session->terminal;

	*foreground = tty ? tty->foreground : -1;
	return tty ? tty->device : 0;
}

/* ---- The foreground ---------------------------------------------------------------------------------------------- */

void tty_signal_foreground(struct tty *tty, int signo)
{
	int group;

	spin_lock(&process_lock);
	group = tty->foreground;
	spin_unlock(&process_lock);
	signal_group(group, signo);
}

int tty_check_job(struct tty *tty, struct task *task, int signo)
{
	struct process_group *group;
	bool background;
	int number;

	spin_lock(&process_lock);
	group = task->process->group;
	number = group->id;
	background = group->session->terminal == tty && tty->foreground != 0 && tty->foreground != number;
	spin_unlock(&process_lock);
	if (!background)
		return 0;
	if (signal_is_ignored_or_blocked(task, signo))
		return signo == SIGTTIN ? -EIO : 0;
	if (process_group_orphaned(task->process))
		return -EIO;
	signal_send_group(number, signo);
	return -ERESTARTSYS;
}

/* `own`: only the session whose terminal it is may ask; the other side of a pseudo terminal always may. */
int tty_get_foreground(struct tty *tty, struct task *task, bool own, int *group)
{
	int error = 0;

	spin_lock(&process_lock);
	if (own && session_of(task)->terminal != tty)
		error = -ENOTTY;
	*group = tty->foreground;
	spin_unlock(&process_lock);
	return error;
}

int tty_set_foreground(struct tty *tty, struct task *task, bool own, int number)
{
	struct process_group *group;
	int error = 0;

	if (number < 0)
		return -EINVAL;
	spin_lock(&process_lock);
	group = group_find_locked(number);
	if (!tty->session || (own && session_of(task) != tty->session))
		error = -ENOTTY;
	else if (!group)
		error = -ESRCH;
	else if (group->session != tty->session)
		error = -EPERM;
	else
		tty->foreground = number;
	spin_unlock(&process_lock);
	return error;
}

int tty_get_session(struct tty *tty, struct task *task, bool own, int *session)
{
	int error = 0;

	spin_lock(&process_lock);
	if (!tty->session || (own && session_of(task) != tty->session))
		error = -ENOTTY;
	else
		*session = tty->session->id;
	spin_unlock(&process_lock);
	return error;
}
