/*
 * Processes and their tasks: how they come to be, and every way one ends.
 *
 * There is one process yet, and its end is the system's. How its memory is made is in exec.c, what it is
 * given to run in first.c.
 */
#include <asm/errno.h>
#include <kern/proc.h>
#include <linux/signal.h>
#include <vm/pmap.h>
#include <vm/slab.h>

static struct slab_cache process_cache, task_cache;
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

static void task_release(struct thread *thread)
{
	slab_free(&task_cache, thread);
}

/* Where a task's first instruction is: its frame is at the top of its stack. */
static void task_start(void *argument)
{
	struct task *task = argument;

	thread_use_map(task->process->space->root);
	cpu_set_fs_base(0);
	monitor_stop(task->process, MONITOR_START, 0);
	return_to_user(thread_frame(&task->thread));
}

/* Makes a process with one task, which has not run. NULL: no memory. */
static struct task *process_create(int pid, const char *path, struct user_space *space)
{
	struct process *process = slab_alloc(&process_cache);
	struct task *task = slab_alloc(&task_cache);

	if (!process || !task ||
	    thread_create(&task->thread, "task", task_start, task, true, task_release) != 0) {
		if (process)
			slab_free(&process_cache, process);
		if (task)
			slab_free(&task_cache, task);
		return NULL;
	}
	memset(process, 0, sizeof(*process));
	memset((char *)task + sizeof(task->thread), 0, sizeof(*task) - sizeof(task->thread));
	*process = (struct process){.pid = pid, .space = space, .start_time = time_nanoseconds()};
	TAILQ_INIT(&process->tasks);
	task->process = process;
	task->tid = pid;
	TAILQ_INSERT_TAIL(&process->tasks, task, link);
	set_name(process, path);
	for (int i = 0; i < 3; i++)
		process->open[i] = true;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		process->limits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
	process->limits[RLIMIT_STACK].rlim_cur = STACK_BYTES;
	trapframe_init_user(thread_frame(&task->thread), space->entry, space->stack);
	return task;
}

int process_run_first(const char *path, const struct string_pack *arguments,
		      const struct string_pack *environment, struct reason *reason)
{
	struct user_space *space;
	struct task *task;
	int error;

	slab_cache_init(&process_cache, "process", sizeof(struct process));
	slab_cache_init(&task_cache, "task", sizeof(struct task));
	usage_before = usage_now();
	error = user_space_create(path, arguments, environment, &space, reason);
	if (error)
		return error;
	task = process_create(FIRST_PID, path, space);
	if (!task) {
		user_space_unref(space);
		env_format(reason->text, REASON_BYTES, "no memory for a process");
		return -ENOMEM;
	}
	thread_run(&task->thread);
	return 0;
}

/* ---- End -------------------------------------------------------------------------------------- */

void process_exit(struct task *task, int status)
{
	struct process *process = task->process;

	ASSERT(process->pid == FIRST_PID);
	monitor_stop(process, MONITOR_EXIT, status);
	if (cmdline_get("stats"))
		stats_print(process);
	thread_use_map(NULL);
	user_space_unref(process->space);
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

void task_fault(const struct trapframe *frame, int signo, const char *why,
		const struct refused_access *refused)
{
	struct task *task = task_current();
	struct process *process = task->process;

	env_log("phoenix: %s[%d] killed by %s: %s (rip 0x%llx)", process->name, process->pid,
		signal_name(signo), why, (unsigned long long)frame->rip);
	if (refused) {
		process->refused = *refused;
		stats_print_access(process, "  why: ", refused->address, refused->access);
	}
	monitor_stop(process, MONITOR_CRASH, STATUS_SIGNAL + signo);
	process_exit(task, STATUS_SIGNAL + signo);
}

void user_return(struct trapframe *frame)
{
	(void)frame;
	thread_interrupt_clear(thread_current(), INTERRUPT_SIGNAL | INTERRUPT_STOP);
}
