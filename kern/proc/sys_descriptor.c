/*
 * System calls on descriptors as such: close, dup, fcntl.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/inode.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>

#include "syscall.h"

int64_t sys_close(struct task *task, struct trapframe *frame)
{
	return descriptor_close(task, (int)frame->rdi);
}

/* ---- dup ------------------------------------------------------------------------------------------------------ */

static int64_t duplicate(struct task *task, int descriptor, int lowest, unsigned flags)
{
	struct file *file = descriptor_get_any(task, descriptor);
	int made;

	if (!file)
		return -EBADF;
	made = descriptor_install(task, file, lowest, flags);
	if (made < 0)
		file_unref(file);
	return made;
}

int64_t sys_dup(struct task *task, struct trapframe *frame)
{
	return duplicate(task, (int)frame->rdi, 0, 0);
}

static int64_t duplicate_to(struct task *task, int from, int to, unsigned flags)
{
	struct file *file = descriptor_get_any(task, from);
	int error;

	if (!file)
		return -EBADF;
	error = descriptor_replace(task, to, file, flags);
	if (error)
		file_unref(file);
	return error ? error : to;
}

int64_t sys_dup2(struct task *task, struct trapframe *frame)
{
	int from = (int)frame->rdi, to = (int)frame->rsi;

	if (from == to)
		return descriptor_flags(task, from, -1) < 0 ? -EBADF : to;
	return duplicate_to(task, from, to, 0);
}

int64_t sys_dup3(struct task *task, struct trapframe *frame)
{
	int from = (int)frame->rdi, to = (int)frame->rsi;

	if (from == to || frame->rdx & ~(uint64_t)O_CLOEXEC)
		return -EINVAL;
	return duplicate_to(task, from, to, (unsigned)frame->rdx);
}

/* ---- close_range ------------------------------------------------------------------------------------------------ */

int64_t sys_close_range(struct task *task, struct trapframe *frame)
{
	uint64_t first = (unsigned)frame->rdi, last = (unsigned)frame->rsi;
	unsigned flags = (unsigned)frame->rdx;
	struct file *file;
	int at;

	if (first > last || flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		int error = files_unshare(task);

		if (error)
			return error;
	}
	for (at = first > INT32_MAX ? INT32_MAX : (int)first;
	     (at = descriptor_next(task->files, at, &file)) >= 0 && (uint64_t)at <= last; at++) {
		file_unref(file);
		if (flags & CLOSE_RANGE_CLOEXEC)
			descriptor_flags(task, at, FD_CLOEXEC);
		else
			descriptor_close(task, at);
	}
	if (at >= 0)
		file_unref(file);
	return 0;
}

/* ---- fcntl ---------------------------------------------------------------------------------------------------------- */

static int64_t duplicate_from(struct task *task, int descriptor, uint64_t lowest, unsigned flags)
{
	if (lowest >= task->process->limits[RLIMIT_NOFILE].rlim_cur || lowest > INT32_MAX)
		return descriptor_flags(task, descriptor, -1) < 0 ? -EBADF : -EINVAL;
	return duplicate(task, descriptor, (int)lowest, flags);
}

int64_t sys_fcntl(struct task *task, struct trapframe *frame)
{
	int descriptor = (int)frame->rdi;
	struct file *file;
	int64_t result;

	switch ((int)frame->rsi) {
	case F_DUPFD:
		return duplicate_from(task, descriptor, frame->rdx, 0);
	case F_DUPFD_CLOEXEC:
		return duplicate_from(task, descriptor, frame->rdx, O_CLOEXEC);
	case F_GETFD:
		return descriptor_flags(task, descriptor, -1);
	case F_SETFD:
		result = descriptor_flags(task, descriptor, (int)(frame->rdx & FD_CLOEXEC));
		return result < 0 ? result : 0;
	default:
		break;
	}
	file = descriptor_get_any(task, descriptor);
	if (!file)
		return -EBADF;
	result = file_control(file, task, descriptor, (int)frame->rsi, frame->rdx);
	file_unref(file);
	return result;
}

int64_t sys_flock(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int64_t error;

	if (!file)
		return -EBADF;
	error = file_flock(file, (unsigned)frame->rsi);
	file_unref(file);
	return error;
}
