/*
 * System calls on who a process is.
 */
#include "syscall.h"

int64_t sys_getpid(struct task *task, struct trapframe *frame)
{
	(void)frame;
	return task->process->pid;
}

int64_t sys_getppid(struct task *task, struct trapframe *frame)
{
	int pid;

	(void)frame;
	spin_lock(&process_lock);
	pid = task->process->parent ? task->process->parent->pid : 0;
	spin_unlock(&process_lock);
	return pid;
}

int64_t sys_gettid(struct task *task, struct trapframe *frame)
{
	(void)frame;
	return task->tid;
}

int64_t sys_set_tid_address(struct task *task, struct trapframe *frame)
{
	task->clear_tid = frame->rdi;
	return task->tid;
}
