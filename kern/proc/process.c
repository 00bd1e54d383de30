/*
 * Processes: who is running now, and every way a process ends.
 *
 * There is one process yet, and its end is the system's. How its memory is made is in exec.c, what it is
 * given to run in first.c.
 */
#include <asm/errno.h>
#include <kern/proc.h>
#include <linux/signal.h>
#include <vm/pmap.h>
#include <vm/slab.h>

#define FIRST_PID 1

static struct slab_cache process_cache;
static struct usage usage_before; /* set before the first process has any memory of its own */

/* ---- Start ------------------------------------------------------------------------------------ */

static void set_name(struct process *process, const char *path)
{
	const char *name = path;
	size_t length;

	for (const char *at = path; *at != '\0'; at++)
		if (at[0] == '/' && at[1] != '\0')
			name = at + 1;
	length = strlen(name);
	if (length >= PROCESS_NAME_BYTES)
		length = PROCESS_NAME_BYTES - 1;
	memcpy(process->name, name, length);
	process->name[length] = '\0';
}

static struct process *process_create(void)
{
	struct process *process = slab_alloc(&process_cache);

	if (!process)
		return NULL;
	memset(process, 0, sizeof(*process));
	process->kernel_stack = kernel_alloc(PROCESS_STACK_BYTES, "kernel stack");
	if (!process->kernel_stack) {
		slab_free(&process_cache, process);
		return NULL;
	}
	for (int i = 0; i < STANDARD_DESCRIPTORS; i++)
		process->open[i] = true;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		process->limits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
	process->limits[RLIMIT_STACK].rlim_cur = STACK_BYTES;
	return process;
}

void process_run_first(const char *path, const struct string_pack *arguments,
		       const struct string_pack *environment, struct reason *reason)
{
	struct process *process;

	slab_cache_init(&process_cache, "process", sizeof(struct process));
	process = process_create();
	if (!process) {
		env_format(reason->text, REASON_BYTES, "no memory for a process");
		return;
	}
	process->pid = FIRST_PID;
	set_name(process, path);
	usage_before = usage_now();
	if (user_space_create(path, arguments, environment, &process->space, reason) != 0) {
		usage_check(&usage_before);
		return;
	}
	process->start_time = time_nanoseconds();
	cpu_set_process(process, process->space.root);
	cpu_set_kernel_stack((vaddr_t)process->kernel_stack + PROCESS_STACK_BYTES);
	cpu_set_fs_base(0);
	pmap_activate(map_pmap(process->space.root));
	monitor_stop(process, MONITOR_START, 0);
	cpu_enter_user(process->space.entry, process->space.stack);
}

/* ---- End -------------------------------------------------------------------------------------- */

void process_exit(struct process *process, int status)
{
	ASSERT(process == process_current() && process->pid == FIRST_PID);
	monitor_stop(process, MONITOR_EXIT, status);
	if (cmdline_get("stats"))
		stats_print(process);
	/* Its kernel stack, on which this runs, stays; the count of pages began with it in place. */
	pmap_activate(&kernel_pmap);
	cpu_set_process(NULL, NULL);
	user_space_destroy(&process->space);
	usage_check(&usage_before);
	power_off(status);
}

static const char *signal_name(int signo)
{
	static const char *const names[] = {
		[SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",
		[SIGFPE] = "SIGFPE", [SIGKILL] = "SIGKILL", [SIGSEGV] = "SIGSEGV", [SIGSYS] = "SIGSYS",
	};

	if (signo < 0 || (size_t)signo >= sizeof(names) / sizeof(names[0]) || !names[signo])
		return "a signal";
	return names[signo];
}

void process_fault(struct process *process, const struct trapframe *frame, int signo, const char *why,
		   const struct refused_access *refused)
{
	env_log("phoenix: %s[%d] killed by %s: %s (rip 0x%llx)", process->name, process->pid,
		signal_name(signo), why, (unsigned long long)frame->rip);
	if (refused) {
		process->refused = *refused;
		stats_print_access(process, "  why: ", refused->address, refused->access);
	}
	monitor_stop(process, MONITOR_CRASH, STATUS_SIGNAL + signo);
	process_exit(process, STATUS_SIGNAL + signo);
}
