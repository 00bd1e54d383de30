/*
 * Signals that one reads: signalfd(2). What is read is what is pending for the task that reads, whoever made the descriptor.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/signalfd.h>

#include "signal_internal.h"
#include "syscall.h"

_Static_assert(sizeof(struct signalfd_siginfo) == 128, "signalfd(2)");

struct wait_queue signal_readers = WAIT_QUEUE_INIT(signal_readers);

/* The set is file->private: atomic, as it may be changed. */
static uint64_t set_of(struct file *file)
{
	return (uint64_t)__atomic_load_n(&file->private, __ATOMIC_RELAXED);
}

static void change_set(struct file *file, uint64_t set)
{
	__atomic_store_n(&file->private, (void *)set, __ATOMIC_RELAXED);
}

/* Which fields mean something goes by the signal and its code, as in sigaction(2); the others stay 0. */
static void convert(struct signalfd_siginfo *to, const siginfo_t *info)
{
	memset(to, 0, sizeof(*to));
	to->ssi_signo = (uint32_t)info->si_signo;
	to->ssi_errno = info->si_errno;
	to->ssi_code = info->si_code;
	if (info->si_code == SI_TIMER) {
		to->ssi_tid = (uint32_t)info->si_tid;
		to->ssi_overrun = (uint32_t)info->si_overrun;
		to->ssi_int = info->si_int;
		to->ssi_ptr = (uint64_t)info->si_ptr;
		return;
	}
	if (info->si_code > 0 && (SIGNAL_BIT(info->si_signo) & SYNCHRONOUS)) {
		to->ssi_addr = (uint64_t)info->si_addr;
		return;
	}
	to->ssi_pid = (uint32_t)info->si_pid;
	to->ssi_uid = info->si_uid;
	if (info->si_signo == SIGCHLD && info->si_code > 0) {
		to->ssi_status = info->si_status;
		to->ssi_utime = (uint64_t)info->si_utime;
		to->ssi_stime = (uint64_t)info->si_stime;
	} else if (info->si_code < 0) {
		to->ssi_int = info->si_int;
		to->ssi_ptr = (uint64_t)info->si_ptr;
	}
}

static bool take(struct task *task, uint64_t set, siginfo_t *info)
{
	struct process_signals *signals = &task->process->signals;
	bool taken;

	spin_lock(&signals->lock);
	taken = signal_take(task, set, info) != 0;
	if (taken)
		signal_recompute(task);
	spin_unlock(&signals->lock);
	return taken;
}

static int64_t signal_file_read(struct file *file, struct io *io, uint64_t *position)
{
	struct task *task = task_current();
	struct signalfd_siginfo one;
	siginfo_t info;
	int64_t done = 0;

	(void)position;
	if (io->left < sizeof(one))
		return -EINVAL;
	if (!take(task, set_of(file), &info)) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (WAIT_EVENT(&signal_readers, take(task, set_of(file), &info), SLEEP_INTERRUPTIBLE,
			       TIME_NEVER) != 0)
			return -ERESTARTSYS;
	}
	do {
		convert(&one, &info);
		if (io_put(io, &one, sizeof(one)) != sizeof(one))
			return done ? done : -EFAULT;
		done += sizeof(one);
	} while (io->left >= sizeof(one) && take(task, set_of(file), &info));
	return done;
}

static uint32_t signal_file_poll(struct file *file, struct poll_table *table)
{
	struct task *task = task_current();
	struct process_signals *signals = &task->process->signals;
	uint64_t pending;

	poll_wait(table, &signal_readers);
	spin_lock(&signals->lock);
	pending = signals->pending.set | task->signals.pending.set;
	spin_unlock(&signals->lock);
	return pending & set_of(file) ? EPOLLIN | EPOLLRDNORM : 0;
}

static void signal_file_release(struct file *file)
{
	(void)file;
}

static const struct file_ops signal_file_ops = {
	.name = "anon_inode:[signalfd]",
	.read = signal_file_read,
	.poll = signal_file_poll,
	.release = signal_file_release,
};

static int64_t create(struct task *task, uint64_t set, unsigned flags)
{
	struct inode *inode = inode_create_unnamed(S_IRUSR | S_IWUSR);
	struct file *file;
	int descriptor;

	if (!inode)
		return -ENOMEM;
	file = file_create(&signal_file_ops, inode, NULL, O_RDWR | (flags & O_NONBLOCK), (void *)set);
	if (!file)
		return -ENOMEM;
	descriptor = descriptor_install(task, file, 0, flags & O_CLOEXEC);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

/* Gives a descriptor that is there already another set. */
static int64_t change(struct task *task, int descriptor, uint64_t set)
{
	struct file *file = descriptor_get(task, descriptor);
	int64_t result = descriptor;

	if (!file)
		return -EBADF;
	if (file->ops == &signal_file_ops)
		change_set(file, set);
	else
		result = -EINVAL;
	file_unref(file);
	return result;
}

static int64_t signalfd(struct task *task, int descriptor, vaddr_t from, uint64_t bytes, unsigned flags)
{
	uint64_t set;

	if (bytes != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (copy_from_user(&set, from, sizeof(set)) != 0)
		return -EFAULT;
	if (flags & ~(unsigned)(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	set &= ~SIGNALS_SURE;
	return descriptor == -1 ? create(task, set, flags) : change(task, descriptor, set);
}

int64_t sys_signalfd(struct task *task, struct trapframe *frame)
{
	return signalfd(task, (int)frame->rdi, frame->rsi, frame->rdx, 0);
}

int64_t sys_signalfd4(struct task *task, struct trapframe *frame)
{
	return signalfd(task, (int)frame->rdi, frame->rsi, frame->rdx, (unsigned)frame->r10);
}
