/*
 * System calls that send signals: to processes, groups, all, and tasks. Everything else about signals is in sys_signal.c.
 */
#include <asm/errno.h>
#include <kern/procfs.h>

#include "process_internal.h"
#include "signal_internal.h"

/* The table is locked; signal 0 only asks whether it might be sent. */
static int send_checked(const struct task *sender, struct process *target, struct task *task,
			const siginfo_t *info)
{
	int signo = info->si_signo, error;

	if (signo < 0 || signo > SIGNAL_MAX)
		return -EINVAL;
	error = signal_may_send(sender, target, signo);
	if (error || signo == 0)
		return error;
	return task ? signal_send_task(task, info) : signal_send_process(target, info);
}

/* As Linux: the number of any of its tasks will do. */
static int send_to_process(const struct task *sender, int pid, const siginfo_t *info)
{
	struct process *target;
	struct task *task;
	int status = -ESRCH;

	spin_lock(&process_lock);
	target = process_find_locked(pid);
	task = target ? NULL : task_find_locked(pid);
	if (task)
		target = task->process;
	if (target)
		status = send_checked(sender, target, NULL, info);
	spin_unlock(&process_lock);
	return status;
}

/* It succeeds if it does for one. */
static int send_to_group(const struct task *sender, struct process_group *group, const siginfo_t *info)
{
	struct process *process;
	int status = -ESRCH;

	TAILQ_FOREACH(process, &group->members, member)
	{
		int one = send_checked(sender, process, NULL, info);

		status = status == 0 ? 0 : one;
	}
	return status;
}

static int send_to_group_of(const struct task *sender, int id, const siginfo_t *info)
{
	struct process_group *group;
	int status = -ESRCH;

	spin_lock(&process_lock);
	group = id == 0 ? sender->process->group : group_find_locked(id);
	if (group)
		status = send_to_group(sender, group, info);
	spin_unlock(&process_lock);
	return status;
}

/*
 * All but the first process and the sender's. Those that may not be sent it do not count. None is begun meanwhile: a child's number may be one that was
 * passed already.
 */
static int send_to_all(const struct task *sender, const siginfo_t *info)
{
	struct process *process;
	int status = -ESRCH;

	spin_lock(&process_lock);
	for (int pid = FIRST_PID; (process = process_next_locked(pid)) != NULL; pid = process->pid) {
		int one = process == sender->process ? -EPERM : send_checked(sender, process, NULL, info);

		if (one != -EPERM && one != -ESRCH)
			status = one;
	}
	spin_unlock(&process_lock);
	return status;
}

int64_t sys_kill(struct task *task, struct trapframe *frame)
{
	int pid = (int)frame->rdi;
	siginfo_t info;

	signal_info_init(&info, (int)frame->rsi, SI_USER);
	if (pid > 0)
		return send_to_process(task, pid, &info);
	if (pid == -1)
		return send_to_all(task, &info);
	if (pid == INT32_MIN)
		return -ESRCH;
	return send_to_group_of(task, -pid, &info);
}

/* `process` 0: whichever it is in. */
static int send_to_task(const struct task *sender, int process, int tid, const siginfo_t *info)
{
	struct task *target;
	int status = -ESRCH;

	spin_lock(&process_lock);
	target = task_find_locked(tid);
	if (target && (process == 0 || target->process->pid == process))
		status = send_checked(sender, target->process, target, info);
	spin_unlock(&process_lock);
	return status;
}

int64_t sys_tkill(struct task *task, struct trapframe *frame)
{
	siginfo_t info;

	if ((int)frame->rdi <= 0)
		return -EINVAL;
	signal_info_init(&info, (int)frame->rsi, SI_TKILL);
	return send_to_task(task, 0, (int)frame->rdi, &info);
}

int64_t sys_tgkill(struct task *task, struct trapframe *frame)
{
	siginfo_t info;

	if ((int)frame->rdi <= 0 || (int)frame->rsi <= 0)
		return -EINVAL;
	signal_info_init(&info, (int)frame->rdx, SI_TKILL);
	return send_to_task(task, (int)frame->rdi, (int)frame->rsi, &info);
}

/* What the kernel or kill(2) says, others may not say to others. */
static int check_info(const struct task *task, int target, const siginfo_t *info)
{
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && target != task->tid)
		return -EPERM;
	return 0;
}

static int get_info(const struct task *task, int target, vaddr_t from, int signo, siginfo_t *info)
{
	if (copy_from_user(info, from, sizeof(*info)) != 0)
		return -EFAULT;
	info->si_signo = signo;
	return check_info(task, target, info);
}

int64_t sys_rt_sigqueueinfo(struct task *task, struct trapframe *frame)
{
	siginfo_t info;
	int error = get_info(task, (int)frame->rdi, frame->rdx, (int)frame->rsi, &info);

	return error ? error : send_to_process(task, (int)frame->rdi, &info);
}

int64_t sys_rt_tgsigqueueinfo(struct task *task, struct trapframe *frame)
{
	siginfo_t info;
	int error;

	if ((int)frame->rdi <= 0 || (int)frame->rsi <= 0)
		return -EINVAL;
	error = get_info(task, (int)frame->rsi, frame->r10, (int)frame->rdx, &info);
	return error ? error : send_to_task(task, (int)frame->rdi, (int)frame->rsi, &info);
}

/* As get_info, but the signal has to be the one that is in it. */
static int get_own_info(const struct task *task, const struct process *target, vaddr_t from, int signo,
			siginfo_t *info)
{
	if (copy_from_user(info, from, sizeof(*info)) != 0)
		return -EFAULT;
	return info->si_signo == signo ? check_info(task, target->pid, info) : -EINVAL;
}

/* As kill(2), or with information as rt_sigqueueinfo(2). The process may be a zombie, but not one that was waited for. */
/* Whom a descriptor is of: a pidfd, or a process's directory in /proc. A reference; NULL: it is neither. */
static struct process *process_of(struct task *task, int descriptor)
{
	bool waits;
	struct process *process = pidfd_process(task, descriptor, &waits);
	struct file *file = process ? NULL : descriptor_get(task, descriptor);

	if (file) {
		process = proc_directory_process(file);
		file_unref(file);
	}
	return process;
}

int64_t sys_pidfd_send_signal(struct task *task, struct trapframe *frame)
{
	int signo = (int)frame->rsi;
	struct process *process;
	siginfo_t info;
	int64_t result = 0;

	if ((unsigned)frame->r10 != 0)
		return -EINVAL;
	process = process_of(task, (int)frame->rdi);
	if (!process)
		return -EBADF;
	signal_info_init(&info, signo, SI_USER);
	if (frame->rdx)
		result = get_own_info(task, process, frame->rdx, signo, &info);
	spin_lock(&process_lock);
	if (!result)
		result = process->state == PROCESS_GONE ? -ESRCH : send_checked(task, process, NULL, &info);
	spin_unlock(&process_lock);
	process_unref(process);
	return result;
}
