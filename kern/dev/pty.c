/*
 * Pseudo terminals (pts(4)): a terminal whose other side is a program's file, the master, made by opening /dev/ptmx.
 *
 * What the master writes is typed at the terminal; what programs write to the terminal the master reads from its output ring. The terminal itself, /dev/pts/N, is
 * tty.c's like any other.
 */
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/major.h>
#include <vm/page.h>

#include "tty.h"

#define PTMX_MINOR  2   /* of TTYAUX_MAJOR */
#define MAX_PTYS    256 /* the minors of UNIX98_PTY_SLAVE_MAJOR */
#define CHUNK_BYTES 256
#define PATH_BYTES  16
#define SLAVE_MODE  0620u

/* Locks: (t) the table's lock; (a) atomic; (-) set when it is made. */
struct pty {
	struct tty tty;        /* (-) first: its own locks */
	uint32_t refs;         /* (t) the master, and files of the terminal */
	_Atomic bool locked;   /* (a) until the master's program unlocks it, nobody opens the terminal */
	_Atomic bool was_open; /* (a) the terminal has been opened: when it is closed, the master is told */
	struct wait_queue readable; /* (-) masters wait here */
	struct wait_queue writable; /* (-) */
};

#define PTY_PAGES (page_round_up(sizeof(struct pty)) / PAGE_SIZE)

/* Locks: (t) its own lock. */
static struct {
	struct spinlock lock;
	struct pty *ptys[MAX_PTYS]; /* (t) */
} table;

/* ---- Making and freeing -------------------------------------------------------------------------------------- */

static void make_path(char path[PATH_BYTES], unsigned number)
{
	env_format(path, PATH_BYTES, "pts/%u", number);
}

static void pty_unref(struct pty *pty)
{
	bool last;

	spin_lock(&table.lock);
	last = --pty->refs == 0;
	if (last)
		table.ptys[pty->tty.number] = NULL;
	spin_unlock(&table.lock);
	if (last)
		page_free_run(page_from_paddr(env_virt_to_phys(pty)), PTY_PAGES);
}

/* Puts it into the table; its number, or -ENOSPC. */
static int choose_number(struct pty *pty)
{
	int number = -ENOSPC;

	spin_lock(&table.lock);
	for (int i = 0; i < MAX_PTYS && number < 0; i++) {
		if (table.ptys[i])
			continue;
		table.ptys[i] = pty;
		number = i;
	}
	spin_unlock(&table.lock);
	return number;
}

/* The terminal's output is for the master. */
static void pty_output(struct tty *tty)
{
	struct pty *pty = (struct pty *)tty;

	if (tty_output_count(tty) > 0)
		wait_wake_all(&pty->readable);
}

static void pty_room(struct tty *tty)
{
	wait_wake_all(&((struct pty *)tty)->writable);
}

static void pty_closed(struct tty *tty)
{
	wait_wake_all(&((struct pty *)tty)->readable);
}

static const struct tty_driver pty_driver = {
	.output = pty_output, .room = pty_room, .closed = pty_closed, .is_pseudo = true};

static struct pty *pty_create(void)
{
	struct page *pages = page_alloc_run(PAGE_KERNEL, PTY_PAGES, 1, PAGE_ANYWHERE, PAGE_ALLOC_ZERO);
	struct pty *pty = pages ? page_data(pages) : NULL;
	int number = pty ? choose_number(pty) : -ENOMEM;

	if (number < 0) {
		if (pages)
			page_free_run(pages, PTY_PAGES);
		return NULL;
	}
	tty_begin(&pty->tty, &pty_driver, DEVICE_NUMBER(UNIX98_PTY_SLAVE_MAJOR, (unsigned)number),
		  (unsigned)number);
	wait_queue_init(&pty->readable);
	wait_queue_init(&pty->writable);
	pty->locked = true;
	/* Now it can be found. */
	__atomic_store_n(&pty->refs, 1, __ATOMIC_RELEASE);
	return pty;
}

/* ---- The master's file ---------------------------------------------------------------------------------------------- */

/* Has the terminal been closed by all who had it open? */
static bool is_abandoned(const struct pty *pty)
{
	return pty->was_open && pty->tty.files == 0;
}

static bool can_read(struct pty *pty)
{
	return (tty_output_count(&pty->tty) > 0 && !pty->tty.stopped) || is_abandoned(pty);
}

static int64_t take_output(struct pty *pty, struct io *io)
{
	char chunk[CHUNK_BYTES];
	int64_t done = 0;

	while (io->left > 0) {
		uint32_t at;
		size_t count = tty_peek_output(&pty->tty, chunk,
					       io->left < CHUNK_BYTES ? io->left : CHUNK_BYTES, &at);
		int64_t moved = count > 0 ? io_put(io, chunk, count) : 0;

		if (moved <= 0)
			return done > 0 ? done : moved;
		tty_sent(&pty->tty, at, (size_t)moved);
		done += moved;
	}
	return done;
}

static int64_t master_read(struct file *file, struct io *io, uint64_t *position)
{
	struct pty *pty = file->private;
	int64_t done;

	(void)position;
	if (io->left == 0)
		return 0;
	for (;;) {
		done = take_output(pty, io);
		if (done != 0)
			return done;
		if (is_abandoned(pty))
			return -EIO;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (WAIT_EVENT(&pty->readable, can_read(pty), SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			return -ERESTARTSYS;
	}
}

/* Types a chunk. How many bytes; -EAGAIN, -ERESTARTSYS if none. */
static int64_t type_chunk(struct file *file, const char *bytes, size_t count)
{
	struct pty *pty = file->private;
	size_t done = 0;

	for (;;) {
		done += tty_receive(&pty->tty, bytes + done, count - done);
		if (done == count)
			return (int64_t)done;
		if (file->flags & O_NONBLOCK)
			return done > 0 ? (int64_t)done : -EAGAIN;
		if (WAIT_EVENT(&pty->writable, tty_input_room(&pty->tty) > 0, SLEEP_INTERRUPTIBLE,
			       TIME_NEVER) != 0)
			return done > 0 ? (int64_t)done : -ERESTARTSYS;
	}
}

static int64_t master_write(struct file *file, struct io *io, uint64_t *position)
{
	char chunk[CHUNK_BYTES];
	int64_t done = 0, status = 0;

	(void)position;
	while (io->left > 0) {
		int64_t count = io_get(io, chunk, io->left < CHUNK_BYTES ? io->left : CHUNK_BYTES);

		status = count > 0 ? type_chunk(file, chunk, (size_t)count) : count;
		if (status <= 0)
			break;
		done += status;
		if (status < count)
			break;
	}
	return done > 0 ? done : status;
}

static uint32_t master_poll(struct file *file, struct poll_table *table)
{
	struct pty *pty = file->private;
	uint32_t events = 0;

	poll_wait(table, &pty->readable);
	poll_wait(table, &pty->writable);
	if (can_read(pty))
		events |= EPOLLIN | EPOLLRDNORM;
	if (tty_input_room(&pty->tty) > 0)
		events |= EPOLLOUT | EPOLLWRNORM;
	if (is_abandoned(pty))
		events |= EPOLLHUP;
	return events;
}

/* Gives the caller a descriptor of the terminal (TIOCGPTPEER). */
static int64_t open_peer(struct pty *pty, struct task *task, unsigned flags)
{
	char path[PATH_BYTES + 5] = "/dev/";
	struct file *file;
	int result;

	make_path(path + 5, pty->tty.number);
	result = fs_open(task, AT_FDCWD, path, flags, 0, &file);
	if (result)
		return result;
	result = descriptor_install(task, file, 0, flags & O_CLOEXEC);
	if (result < 0)
		file_unref(file);
	return result;
}

static int64_t set_locked(struct pty *pty, uint64_t from)
{
	int locked;

	if (copy_from_user(&locked, from, sizeof(locked)) != 0)
		return -EFAULT;
	pty->locked = locked != 0;
	return 0;
}

static int64_t put_number(uint64_t to, int number)
{
	return copy_to_user(to, &number, sizeof(number));
}

static int64_t send_signal(struct pty *pty, uint64_t signo)
{
	if (signo != SIGINT && signo != SIGQUIT && signo != SIGTSTP)
		return -EINVAL;
	tty_signal_foreground(&pty->tty, (int)signo);
	return 0;
}

static int64_t master_job(struct pty *pty, struct task *task, unsigned request, uint64_t argument)
{
	int number = 0, error;

	if (request == TIOCSPGRP) {
		if (copy_from_user(&number, argument, sizeof(number)) != 0)
			return -EFAULT;
		return tty_set_foreground(&pty->tty, task, false, number);
	}
	if (request == TIOCGPGRP)
		error = tty_get_foreground(&pty->tty, task, false, &number);
	else
		error = tty_get_session(&pty->tty, task, false, &number);
	return error ? error : put_number(argument, number);
}

/* What is not the master's own is asked of the terminal. */
static int64_t master_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	struct pty *pty = file->private;
	struct file terminal = {.private = &pty->tty, .flags = file->flags, .position = pty->tty.generation};

	switch (request) {
	case TIOCGPTN:
		return put_number(argument, (int)pty->tty.number);
	case TIOCSPTLCK:
		return set_locked(pty, argument);
	case TIOCGPTLCK:
		return put_number(argument, pty->locked);
	case TIOCGPTPEER:
		return open_peer(pty, task, (unsigned)argument);
	case TIOCSIG:
		return send_signal(pty, argument);
	case FIONREAD:
		return put_number(argument, (int)tty_output_count(&pty->tty));
	case TIOCOUTQ:
		return put_number(argument, 0);
	case TIOCGPGRP:
	case TIOCSPGRP:
	case TIOCGSID:
		return master_job(pty, task, request, argument);
	case TIOCSCTTY:
	case TIOCNOTTY:
		return -ENOTTY;
	default:
		return tty_ioctl(&terminal, task, request, argument);
	}
}

static void master_release(struct file *file)
{
	struct pty *pty = file->private;
	char path[PATH_BYTES];

	if (!pty)
		return;
	make_path(path, pty->tty.number);
	device_node_remove(path);
	pty->tty.gone = true;
	tty_lost(&pty->tty);
	tty_hang_up_files(&pty->tty);
	pty_unref(pty);
}

static const struct file_ops master_ops = {
	.name = "ptmx",
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.release = master_release,
};

/* ---- Opening ------------------------------------------------------------------------------------------------------------ */

static int open_master(struct file *file, struct task *task)
{
	struct pty *pty = pty_create();
	char path[PATH_BYTES];
	int error;

	(void)task;
	if (!pty)
		return -ENOMEM;
	make_path(path, pty->tty.number);
	error = device_node(path, S_IFCHR | SLAVE_MODE, pty->tty.device);
	if (error) {
		pty_unref(pty);
		return error;
	}
	file->ops = &master_ops;
	file->private = pty;
	return 0;
}

/* The pseudo terminal of a number, with a reference; NULL: there is none, or, but for who has it already, nobody may open it yet. */
static struct pty *find(unsigned number, bool has_it)
{
	struct pty *pty = NULL;

	spin_lock(&table.lock);
	if (number < MAX_PTYS)
		pty = table.ptys[number];
	if (pty && pty->refs > 0 && (has_it || !pty->locked))
		pty->refs++;
	else
		pty = NULL;
	spin_unlock(&table.lock);
	return pty;
}

static void slave_release(struct file *file)
{
	struct tty *tty = file->private;

	if (!tty)
		return;
	tty_file_ops.release(file);
	pty_unref((struct pty *)tty);
}

static struct file_ops slave_ops; /* a terminal's, but for the reference: ptys_init */

/* Takes over the reference, which becomes the file's. */
static int open_terminal(struct pty *pty, struct file *file, struct task *task, bool may_control)
{
	int error;

	pty->was_open = true;
	error = tty_open_file(&pty->tty, file, task, may_control);
	file->ops = &slave_ops;
	if (error)
		pty_unref(pty);
	return error;
}

static int open_slave(struct file *file, struct task *task)
{
	struct pty *pty = find(DEVICE_MINOR(file->inode->rdev), false);

	return pty ? open_terminal(pty, file, task, true) : -EIO;
}

/* Whether it still is the one that was meant can be told with a reference to it. */
int pty_open_own(struct file *file, struct task *task, unsigned number)
{
	struct pty *pty = find(number, true);
	int pseudo;

	if (!pty)
		return -ENXIO;
	if (tty_of_task(task, &pseudo) == &pty->tty)
		return open_terminal(pty, file, task, false);
	pty_unref(pty);
	return -ENXIO;
}

static struct device master_device = {.name = "/dev/ptmx",
				      .type = S_IFCHR,
				      .major = TTYAUX_MAJOR,
				      .first_minor = PTMX_MINOR,
				      .minors = 1,
				      .ops = &master_ops,
				      .open = open_master};
static struct device slave_device = {.name = "pts",
				     .type = S_IFCHR,
				     .major = UNIX98_PTY_SLAVE_MAJOR,
				     .first_minor = 0,
				     .minors = MAX_PTYS,
				     .ops = &tty_file_ops,
				     .open = open_slave};

void ptys_init(void)
{
	spin_init(&table.lock, RANK_TTY, "pseudo terminals");
	slave_ops = tty_file_ops;
	slave_ops.release = slave_release;
	device_register(&master_device);
	device_register(&slave_device);
}
