/*
 * kcmp(2): do two tasks share something, or have two descriptors one open file?
 */
#include <asm/errno.h>
#include <linux/kcmp.h>

#include "process_internal.h"

/* As kcmp(2) says it: 0 for the same, else which comes first. */
static int64_t compare(const void *one, const void *other)
{
	if (one == other)
		return 0;
	return (uintptr_t)one < (uintptr_t)other ? 1 : 2;
}

static int64_t compare_files(const struct task *one, int descriptor, const struct task *other, int others)
{
	struct file *file, *others_file;
	int64_t result = process_file(one->process, descriptor, &file);

	if (result)
		return result;
	result = process_file(other->process, others, &others_file);
	if (!result) {
		result = compare(file, others_file);
		file_unref(others_file);
	}
	file_unref(file);
	return result;
}

/* What of a task a type means; nobody has a context of I/O. */
static int shared_by(const struct task *task, int type, const void **out)
{
	switch (type) {
	case KCMP_VM:
		*out = task->process->space;
		return 0;
	case KCMP_FILES:
		*out = task->files;
		return 0;
	case KCMP_FS:
		*out = task->context;
		return 0;
	case KCMP_SIGHAND:
		*out = task->process->signals.handlers;
		return 0;
	case KCMP_SYSVSEM:
		*out = task->process->undo_list;
		return 0;
	case KCMP_IO:
		*out = NULL;
		return 0;
	default:
		return -EINVAL;
	}
}

static int64_t compare_shared(const struct task *one, const struct task *other, int type)
{
	const void *first, *second;
	int error;

	spin_lock(&process_lock);
	error = shared_by(one, type, &first);
	if (!error)
		error = shared_by(other, type, &second);
	spin_unlock(&process_lock);
	return error ? error : compare(first, second);
}

int64_t sys_kcmp(struct task *task, struct trapframe *frame)
{
	struct task *one = task_find((int)frame->rdi), *other = task_find((int)frame->rsi);
	int type = (int)frame->rdx;
	int64_t result;

	if (!one || !other)
		result = -ESRCH;
	else if (!task_may_look(task, one->process) || !task_may_look(task, other->process))
		result = -EPERM;
	else if (type == KCMP_FILE)
		result = compare_files(one, (int)frame->r10, other, (int)frame->r8);
	else
		result = compare_shared(one, other, type);
	if (one)
		task_unref(one);
	if (other)
		task_unref(other);
	return result;
}
