/*
 * System calls about the process itself and the system: who it is, its limits, its end.
 */
#include <asm/errno.h>
#include <asm/prctl.h>
#include <linux/random.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include <vm/layout.h>

#include "syscall.h"

#define NS_PER_SECOND 1000000000ul
#define RANDOM_CHUNK  256
#define RANDOM_MAX    0x1fffffful /* as Linux: one call gives no more */
#define KNOWN_GRND    (GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)

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

/* User and group, real and effective: all is root's. */
int64_t sys_get_user(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	return 0;
}

int64_t sys_uname(struct task *task, struct trapframe *frame)
{
	/* C libraries compare the release with the oldest Linux that they work with. */
	static const struct new_utsname name = {
		.sysname = "Phoenix",
		.nodename = "phoenix",
		.release = "6.1.0-phoenix",
		.version = "Phoenix VM",
		.machine = "x86_64",
		.domainname = "(none)",
	};

	(void)task;
	return copy_to_user(frame->rdi, &name, sizeof(name));
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
	default:
		return -EINVAL;
	}
}

int64_t sys_set_tid_address(struct task *task, struct trapframe *frame)
{
	task->clear_tid = frame->rdi;
	return task->tid;
}

int64_t sys_sched_yield(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	thread_yield();
	return 0;
}

/* ---- Limits: kept and reported, not enforced -------------------------------------------------------- */

static int check_limit(const struct process *process, uint64_t resource, const struct rlimit64 *limit)
{
	if (limit->rlim_cur > limit->rlim_max)
		return -EINVAL;
	return limit->rlim_max > process->limits[resource].rlim_max ? -EPERM : 0;
}

/* rlimit and rlimit64 are the same on x86-64. */
static int64_t limit_call(struct process *process, uint64_t resource, vaddr_t new_limit, vaddr_t old_limit)
{
	struct rlimit64 limit, before;
	int error;

	if ((unsigned)resource >= RLIM_NLIMITS)
		return -EINVAL;
	resource = (unsigned)resource;
	before = process->limits[resource];
	if (new_limit) {
		if (copy_from_user(&limit, new_limit, sizeof(limit)) != 0)
			return -EFAULT;
		error = check_limit(process, resource, &limit);
		if (error)
			return error;
	}
	if (old_limit && copy_to_user(old_limit, &before, sizeof(before)) != 0)
		return -EFAULT;
	if (new_limit)
		process->limits[resource] = limit;
	return 0;
}

int64_t sys_getrlimit(struct task *task, struct trapframe *frame)
{
	return frame->rsi ? limit_call(task->process, frame->rdi, 0, frame->rsi) : -EFAULT;
}

int64_t sys_setrlimit(struct task *task, struct trapframe *frame)
{
	return frame->rsi ? limit_call(task->process, frame->rdi, frame->rsi, 0) : -EFAULT;
}

int64_t sys_prlimit64(struct task *task, struct trapframe *frame)
{
	int pid = (int)frame->rdi;

	if (pid != 0 && pid != task->process->pid)
		return -ESRCH;
	return limit_call(task->process, frame->rsi, frame->rdx, frame->r10);
}

/* ---- getrandom, sysinfo ------------------------------------------------------------------------------- */

int64_t sys_getrandom(struct task *task, struct trapframe *frame)
{
	uint64_t bytes = frame->rsi < RANDOM_MAX ? frame->rsi : RANDOM_MAX;
	unsigned char chunk[RANDOM_CHUNK];

	(void)task;
	if (frame->rdx & ~(uint64_t)KNOWN_GRND)
		return -EINVAL;
	for (uint64_t done = 0; done < bytes;) {
		size_t part = bytes - done < RANDOM_CHUNK ? bytes - done : RANDOM_CHUNK;

		random_bytes(chunk, part);
		if (copy_to_user(frame->rdi + done, chunk, part) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		done += part;
	}
	return (int64_t)bytes;
}

int64_t sys_sysinfo(struct task *task, struct trapframe *frame)
{
	const struct page_stats pages = page_stats();
	const struct sysinfo info = {
		.uptime = (__kernel_long_t)(time_nanoseconds() / NS_PER_SECOND),
		.totalram = pages_to_bytes(pages.ram_pages),
		.freeram = pages_to_bytes(pages.free_pages),
		.procs = (unsigned short)task_count(),
		.mem_unit = 1,
	};

	(void)task;
	return copy_to_user(frame->rdi, &info, sizeof(info));
}
