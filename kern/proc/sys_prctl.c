/*
 * prctl(2), personality(2), unshare(2), arch_prctl(2): what a process says about itself.
 */
#include <asm/errno.h>
#include <asm/prctl.h>
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <vm/layout.h>

#include "process_internal.h"

#define LAST_SIGNAL      64
#define DEFAULT_SLACK_NS 50000u
#define KNOWN_UNSHARE    (CLONE_THREAD | CLONE_FS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES | CLONE_SYSVSEM)
#define NAMESPACES                                                                                    \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	 CLONE_NEWNET)
#define PERSONALITY_ASK 0xffffffffu

/* ---- prctl ------------------------------------------------------------------------------------------------- */

static int64_t set_name(struct task *task, vaddr_t from)
{
	char name[PROCESS_NAME_BYTES];
	long length = copy_string_from_user(name, from, sizeof(name));

	if (length == -EFAULT)
		return -EFAULT;
	name[PROCESS_NAME_BYTES - 1] = '\0';
	task_set_name(task, name);
	return 0;
}

static int64_t put_int(vaddr_t to, int value)
{
	return copy_to_user(to, &value, sizeof(value));
}

/* Flags of the process that are 0 or 1. */
static int64_t set_flag(bool *flag, uint64_t value, uint64_t rest)
{
	if (value > 1 || rest)
		return -EINVAL;
	spin_lock(&process_lock);
	*flag = value;
	spin_unlock(&process_lock);
	return 0;
}

static int64_t set_death_signal(struct process *process, uint64_t signo)
{
	if (signo > LAST_SIGNAL)
		return -EINVAL;
	spin_lock(&process_lock);
	process->death_signal = (int)signo;
	spin_unlock(&process_lock);
	return 0;
}

/* What is about the process as a member of its family, and about its memory. -ENOSYS: neither. */
static int64_t control_process(struct process *process, const struct trapframe *frame)
{
	uint64_t argument = frame->rsi, rest = frame->rdx | frame->r10 | frame->r8;

	switch ((int)frame->rdi) {
	case PR_SET_PDEATHSIG:
		return set_death_signal(process, argument);
	case PR_GET_PDEATHSIG:
		return put_int(argument, process->death_signal);
	case PR_SET_CHILD_SUBREAPER:
		return set_flag(&process->adopts, argument != 0, 0);
	case PR_GET_CHILD_SUBREAPER:
		return put_int(argument, process->adopts);
	case PR_GET_DUMPABLE:
		return !process->not_dumpable;
	case PR_SET_DUMPABLE:
		return argument > 1 ? -EINVAL : set_flag(&process->not_dumpable, !argument, 0);
	case PR_SET_THP_DISABLE:
		return set_flag(&process->no_large_pages, argument != 0, rest);
	case PR_GET_THP_DISABLE:
		return argument || rest ? -EINVAL : process->no_large_pages;
	case PR_SET_TIMERSLACK:
		process->slack_ns = (int64_t)argument <= 0 ? process->first_slack_ns : (unsigned)argument;
		return 0;
	case PR_GET_TIMERSLACK:
		return process->slack_ns ? process->slack_ns : DEFAULT_SLACK_NS;
	default:
		return -ENOSYS;
	}
}

int64_t sys_prctl(struct task *task, struct trapframe *frame)
{
	uint64_t argument = frame->rsi;
	int64_t result = credentials_control(task, frame);

	if (result == -ENOSYS)
		result = control_process(task->process, frame);
	if (result != -ENOSYS)
		return result;
	switch ((int)frame->rdi) {
	case PR_SET_NAME:
		return set_name(task, argument);
	case PR_GET_NAME:
		return copy_to_user(argument, task->name, sizeof(task->name));
	case PR_GET_TID_ADDRESS:
		return copy_to_user(argument, &task->clear_tid, sizeof(task->clear_tid));
	case PR_GET_TSC:
		return put_int(argument, PR_TSC_ENABLE);
	case PR_SET_TSC:
		return argument == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_TIMING:
	case PR_GET_SECCOMP:
		return 0;
	case PR_SET_TIMING:
		return argument == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_SET_VMA:
		/* Names of anonymous memory are checked as far as they matter, and forgotten. */
		return argument == PR_SET_VMA_ANON_NAME && page_aligned(frame->rdx) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

/* ---- The others ---------------------------------------------------------------------------------------------- */

int64_t sys_personality(struct task *task, struct trapframe *frame)
{
	uint32_t wanted = (uint32_t)frame->rdi, before = task->process->personality;

	if (wanted == PERSONALITY_ASK)
		return before;
	/* Kept and told, but for one that select(2) knows; and no memory is more than it was asked to be. */
	if (wanted & READ_IMPLIES_EXEC)
		return -EINVAL;
	task->process->personality = wanted;
	return before;
}

int64_t sys_unshare(struct task *task, struct trapframe *frame)
{
	uint64_t flags = frame->rdi;
	int error = 0;

	if (flags & ~(uint64_t)(KNOWN_UNSHARE | NAMESPACES))
		return -EINVAL;
	/* What there is only one of. */
	if (flags & NAMESPACES)
		return task_is_privileged(task) ? -EINVAL : -EPERM;
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && task->process->task_count > 1)
		return -EINVAL;
	if ((flags & CLONE_VM) && task->process->space->refs > 1)
		return -EINVAL;
	if (flags & CLONE_FILES)
		error = files_unshare(task);
	if (!error && (flags & CLONE_FS))
		error = context_unshare(task);
	if (!error && (flags & CLONE_SYSVSEM))
		sem_process_end(task->process);
	return error;
}

int64_t sys_arch_prctl(struct task *task, struct trapframe *frame)
{
	uint64_t base;

	(void)task;
	switch ((int)frame->rdi) {
	case ARCH_SET_FS:
		if (frame->rsi >= LAYOUT_PHYSICAL_END)
			return -EPERM;
		cpu_set_fs_base(frame->rsi);
		return 0;
	case ARCH_GET_FS:
		base = cpu_fs_base();
		return copy_to_user(frame->rsi, &base, sizeof(base));
	case ARCH_SET_GS:
		if (frame->rsi >= LAYOUT_PHYSICAL_END)
			return -EPERM;
		cpu_set_gs_base(frame->rsi);
		return 0;
	case ARCH_GET_GS:
		base = cpu_gs_base();
		return copy_to_user(frame->rsi, &base, sizeof(base));
	case ARCH_GET_CPUID: /* 1: the instruction does not fault, and cannot be made to */
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	default:
		return -EINVAL;
	}
}
