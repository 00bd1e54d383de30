/*
 * Descriptors of processes (pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), CLONE_PIDFD of clone(2)).
 *
 * The open file has a reference to the process, so that its number cannot come to mean another. It becomes readable when the process ends.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/pidfd.h>

#include "process_internal.h"

static bool is_alive(const struct process *process)
{
	bool alive;

	spin_lock(&process_lock);
	alive = process->state == PROCESS_ALIVE;
	spin_unlock(&process_lock);
	return alive;
}

static uint32_t pidfd_poll(struct file *file, struct poll_table *table)
{
	struct process *process = file->private;

	poll_wait(table, &process->news);
	return is_alive(process) ? 0 : EPOLLIN | EPOLLRDNORM;
}

static void pidfd_release(struct file *file)
{
	process_unref(file->private);
}

static const struct file_ops pidfd_ops = {
	.name = "anon_inode:[pidfd]",
	.poll = pidfd_poll,
	.release = pidfd_release,
};

struct file *pidfd_create(struct process *process, unsigned flags)
{
	struct inode *inode = inode_create_unnamed(S_IRUSR | S_IWUSR);
	struct file *file = NULL;

	if (inode)
		file = file_create(&pidfd_ops, inode, NULL, O_RDWR | (flags & O_NONBLOCK), process);
	if (file)
		process_ref(process);
	return file;
}

struct process *pidfd_process(struct task *task, int descriptor, bool *waits)
{
	struct file *file = descriptor_get(task, descriptor);
	struct process *process = NULL;

	if (file && file->ops == &pidfd_ops) {
		process = file->private;
		process_ref(process);
		*waits = !(file->flags & O_NONBLOCK);
	}
	if (file)
		file_unref(file);
	return process;
}

/* A new descriptor of the process; takes over the reference to it. */
static int64_t open_process(struct task *task, struct process *process, unsigned flags)
{
	struct file *file = pidfd_create(process, flags);
	int64_t descriptor = -ENOMEM;

	process_unref(process);
	if (!file)
		return descriptor;
	descriptor = descriptor_install(task, file, 0, O_CLOEXEC);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

/* A task that is not its process's first is none that could be opened: -EINVAL, as Linux 6.1. */
int64_t sys_pidfd_open(struct task *task, struct trapframe *frame)
{
	int pid = (int)frame->rdi;
	unsigned flags = (unsigned)frame->rsi;
	struct process *process;
	struct task *other;

	if ((flags & ~PIDFD_NONBLOCK) || pid <= 0)
		return -EINVAL;
	process = process_find(pid);
	if (process)
		return open_process(task, process, flags);
	other = task_find(pid);
	if (!other)
		return -ESRCH;
	task_unref(other);
	return -EINVAL;
}

int process_file(struct process *process, int descriptor, struct file **out)
{
	struct file_table *files = process_files(process);
	int found;

	if (!files)
		return -ESRCH;
	*out = NULL;
	found = descriptor < 0 ? -1 : descriptor_next(files, descriptor, out);
	file_table_unref(files, NULL);
	if (found == descriptor && *out)
		return 0;
	if (*out)
		file_unref(*out);
	return -EBADF;
}

int64_t sys_pidfd_getfd(struct task *task, struct trapframe *frame)
{
	struct process *process;
	struct file *file;
	int64_t result;
	bool waits;

	if ((unsigned)frame->rdx != 0)
		return -EINVAL;
	process = pidfd_process(task, (int)frame->rdi, &waits);
	if (!process)
		return -EBADF;
	if (!is_alive(process))
		result = -ESRCH;
	else
		result =
			task_may_look(task, process) ? process_file(process, (int)frame->rsi, &file) : -EPERM;
	process_unref(process);
	if (result)
		return result;
	result = descriptor_install(task, file, 0, O_CLOEXEC);
	if (result < 0)
		file_unref(file);
	return result;
}
