/*
 * System calls about the system as a whole: its name, its figures, its end.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include "process_internal.h"

#define NS_PER_SECOND 1000000000ul
#define LOAD_SHIFT    16 /* sysinfo(2)'s loads are multiples of 1 / 65536 */
#define RANDOM_CHUNK  256
#define RANDOM_MAX    0x1fffffful /* as Linux: one call gives no more */
#define KNOWN_GRND    (GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)

/* syslog(2)'s actions. */
#define SYSLOG_READ_ALL    3
#define SYSLOG_SIZE_UNREAD 9
#define SYSLOG_SIZE_BUFFER 10
#define SYSLOG_LAST        10

/* ---- Names ------------------------------------------------------------------------------------------------ */

/*
 * The name of the interface, which programs ask for, not of who provides it: that is the version. C libraries compare the release with the
 * oldest Linux that they work with. Names change with process_lock held.
 */
static struct new_utsname system_name = {
	.sysname = "Linux",
	.nodename = "phoenix",
	.release = "6.1.0-phoenix",
	.version = "Phoenix VM",
	.machine = "x86_64",
	.domainname = "(none)",
};

void system_names(struct new_utsname *out)
{
	spin_lock(&process_lock);
	*out = system_name;
	spin_unlock(&process_lock);
}

int64_t sys_uname(struct task *task, struct trapframe *frame)
{
	struct new_utsname name;

	(void)task;
	system_names(&name);
	return copy_to_user(frame->rdi, &name, sizeof(name));
}

static void change_name(char to[__NEW_UTS_LEN + 1], const char name[__NEW_UTS_LEN + 1])
{
	spin_lock(&process_lock);
	memcpy(to, name, __NEW_UTS_LEN + 1);
	spin_unlock(&process_lock);
}

void system_set_name(bool domain, const char *text, size_t bytes)
{
	char name[__NEW_UTS_LEN + 1] = "";

	for (size_t i = 0; i < bytes && i < __NEW_UTS_LEN && text[i] != '\n'; i++)
		name[i] = text[i];
	change_name(domain ? system_name.domainname : system_name.nodename, name);
}

static int64_t set_name(struct task *task, const struct trapframe *frame, char to[__NEW_UTS_LEN + 1])
{
	char name[__NEW_UTS_LEN + 1] = "";
	int length = (int)frame->rsi;

	if (!task_is_privileged(task))
		return -EPERM;
	if (length < 0 || length > __NEW_UTS_LEN)
		return -EINVAL;
	if (copy_from_user(name, frame->rdi, (size_t)length) != 0)
		return -EFAULT;
	change_name(to, name);
	return 0;
}

int64_t sys_sethostname(struct task *task, struct trapframe *frame)
{
	return set_name(task, frame, system_name.nodename);
}

int64_t sys_setdomainname(struct task *task, struct trapframe *frame)
{
	return set_name(task, frame, system_name.domainname);
}

/* ---- Figures ------------------------------------------------------------------------------------------------ */

int64_t sys_sysinfo(struct task *task, struct trapframe *frame)
{
	const struct page_stats pages = page_stats();
	const __kernel_ulong_t load = (__kernel_ulong_t)sched_runnable() << LOAD_SHIFT;
	const struct sysinfo info = {
		.uptime = (__kernel_long_t)(time_nanoseconds() / NS_PER_SECOND),
		.loads = {load, load, load},
		.totalram = pages_to_bytes(pages.ram_pages),
		.freeram = pages_to_bytes(pages.free_pages),
		.procs = (unsigned short)task_count(),
		.mem_unit = 1,
	};

	(void)task;
	return copy_to_user(frame->rdi, &info, sizeof(info));
}

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
		thread_breathe();
		if (thread_interrupted())
			return (int64_t)done;
	}
	return (int64_t)bytes;
}

/* The kernel's messages are on the console, and kept nowhere. */
int64_t sys_syslog(struct task *task, struct trapframe *frame)
{
	int action = (int)frame->rdi;

	if (action < 0 || action > SYSLOG_LAST)
		return -EINVAL;
	if (action != SYSLOG_READ_ALL && action != SYSLOG_SIZE_BUFFER && !task_capable(task, CAP_SYSLOG))
		return -EPERM;
	return 0;
}

/* ---- Its end ------------------------------------------------------------------------------------------------- */

/* As if the first process had been ended: all others go first, and the machine is turned off. There is no way to start it again from here. */
int64_t sys_reboot(struct task *task, struct trapframe *frame)
{
	struct process *first;

	if (!task_capable(task, CAP_SYS_BOOT))
		return -EPERM;
	if ((uint32_t)frame->rdi != LINUX_REBOOT_MAGIC1)
		return -EINVAL;
	switch ((uint32_t)frame->rdx) {
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0;
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_HALT:
	case LINUX_REBOOT_CMD_POWER_OFF:
		break;
	default:
		return -EINVAL;
	}
	first = process_find(FIRST_PID);
	if (first) {
		signal_exit_group(first, WAIT_EXITED(0));
		process_unref(first);
	}
	return 0;
}

/* What there is not, by design: no line on the console. */
int64_t sys_not_here(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	return -ENOSYS;
}
