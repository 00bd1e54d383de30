/*
 * /proc/PID: what a process is and has. /proc/PID/task/TID says the same of a task.
 *
 * The maps are in proc_maps.c. Formats are proc(5)'s.
 */
#include <asm/errno.h>
#include <kern/procfs.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <vm/pmap.h>

#include "proc_internal.h"
#include "walk.h"

#define TICK_NS     10000000u /* a hundredth of a second: times(2)'s unit */
#define CHUNK_BYTES 512

/* ---- What a process is, while it may end ------------------------------------------------------------------- */

/* Figures of a process and a task, taken with the table locked. */
struct snapshot {
	char name[PROCESS_NAME_BYTES];
	char state;
	int pid, tid, parent, group, session, exit_signal, nice, priority, policy;
	unsigned tasks;
	struct usage_counts used, reaped;
	uint64_t start_ns, blocked;
	uint32_t exit_status;
};

static char state_of(const struct process *process, const struct task *task)
{
	if (process->state != PROCESS_ALIVE || !task)
		return 'Z';
	if (process->signals.stop == STOP_DONE)
		return 'T';
	if (task->thread.state == THREAD_RUNNABLE)
		return 'R';
	return task->thread.mode == SLEEP_FIRM ? 'D' : 'S';
}

/* -ESRCH: it is in no table any more. */
static int take(const struct proc_subject *subject, struct snapshot *out)
{
	const struct process *process = subject->process;
	const struct task *task;
	int error = 0;

	spin_lock(&process_lock);
	task = subject->task ? subject->task : TAILQ_FIRST(&process->tasks);
	if (process->state == PROCESS_GONE || (subject->task && !task->listed))
		error = -ESRCH;
	if (!error) {
		*out = (struct snapshot){
			.state = state_of(process, task),
			.pid = process->pid,
			.tid = subject->task ? task->tid : process->pid,
			.parent = process->parent ? process->parent->pid : 0,
			.group = process->group->id,
			.session = process->group->session->id,
			.exit_signal = process->exit_signal,
			.nice = task ? task->nice : 0,
			.priority = task ? task->priority : 0,
			.policy = task ? task->policy : 0,
			.tasks = process->task_count,
			.used = process_usage_locked(subject->process),
			.reaped = process->reaped,
			.start_ns = process->start_time,
			.blocked = task ? task->signals.blocked : 0,
			.exit_status = (uint32_t)process->exit_status,
		};
		memcpy(out->name, subject->task ? task->name : process->name, sizeof(out->name));
	}
	spin_unlock(&process_lock);
	return error;
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	case 'Z':
		return "zombie";
	default:
		return "sleeping";
	}
}

/* ---- Memory that the program has: its arguments --------------------------------------------------------------- */

/* Copies [start, end) of the process's memory to the text; what is not there ends it. */
static int show_memory(struct seq *seq, const struct proc_subject *subject, bool environment)
{
	struct user_space *space = process_space(subject->process);
	char chunk[CHUNK_BYTES];
	vaddr_t at, end;

	if (!space)
		return 0;
	at = environment ? space->environment : space->arguments;
	end = environment ? space->strings_end : space->environment;
	while (at < end) {
		size_t bytes = end - at < sizeof(chunk) ? end - at : sizeof(chunk);
		int64_t got = map_read(space->root, at, chunk, bytes);

		if (got <= 0)
			break;
		seq_put(seq, chunk, (size_t)got);
		at += (uint64_t)got;
	}
	user_space_unref_later(space);
	return 0;
}

static int show_cmdline(struct seq *seq, const struct proc_subject *subject)
{
	return show_memory(seq, subject, false);
}

static int show_environ(struct seq *seq, const struct proc_subject *subject)
{
	return show_memory(seq, subject, true);
}

/* ---- stat, statm, status ------------------------------------------------------------------------------------------ */

/* Sizes of a process's memory, in pages. */
struct memory_figures {
	struct map_usage usage;
	uint64_t resident, most, tables;
	vaddr_t stack, heap_start, arguments, environment, strings_end;
};

static struct memory_figures memory_of(const struct proc_subject *subject)
{
	struct memory_figures figures = {.resident = 0};
	struct user_space *space = process_space(subject->process);
	struct pmap_stats stats;

	if (!space)
		return figures;
	map_usage(space->root, &figures.usage);
	stats = pmap_stats(map_pmap(space->root));
	figures.resident = stats.resident_pages;
	figures.tables = stats.table_pages;
	figures.most = user_space_most_pages(space);
	figures.stack = space->stack;
	figures.heap_start = space->heap_start;
	figures.arguments = space->arguments;
	figures.environment = space->environment;
	figures.strings_end = space->strings_end;
	user_space_unref_later(space);
	return figures;
}

static unsigned long long ticks(uint64_t ns)
{
	return ns / TICK_NS;
}

#define NUMBER(value) ((unsigned long long)(value))

static int show_stat(struct seq *seq, const struct proc_subject *subject)
{
	struct memory_figures memory = memory_of(subject);
	struct snapshot now;
	int error = take(subject, &now);

	if (error)
		return error;
	seq_print(seq, "%d (%s) %c %d %d %d 0 -1 0 ", now.tid, now.name, now.state, now.parent, now.group,
		  now.session);
	seq_print(seq, "%llu %llu %llu %llu ", NUMBER(now.used.minor_faults), NUMBER(now.reaped.minor_faults),
		  NUMBER(now.used.major_faults), NUMBER(now.reaped.major_faults));
	seq_print(seq, "%llu %llu %llu %llu ", ticks(now.used.user_ns), ticks(now.used.kernel_ns),
		  ticks(now.reaped.user_ns), ticks(now.reaped.kernel_ns));
	/* priority nice num_threads itrealvalue starttime vsize rss rsslim */
	seq_print(seq, "%d %d %u 0 %llu %llu %llu %llu ",
		  now.priority > 0 ? -1 - now.priority : 20 + now.nice, now.nice, now.tasks,
		  ticks(now.start_ns), NUMBER(pages_to_bytes(memory.usage.pages)), NUMBER(memory.resident),
		  NUMBER(subject->process->limits[RLIMIT_RSS].rlim_cur));
	/* startcode endcode startstack kstkesp kstkeip, signal blocked sigignore sigcatch, wchan nswap cnswap */
	seq_print(seq, "1 1 %llu 0 0 0 %llu 0 0 0 0 0 ", NUMBER(memory.stack), NUMBER(now.blocked));
	/* exit_signal processor rt_priority policy delayacct_blkio_ticks guest_time cguest_time start_data end_data */
	seq_print(seq, "%d 0 %d %d 0 0 0 0 0 ", now.exit_signal, now.priority, now.policy);
	/* start_brk arg_start arg_end env_start env_end exit_code */
	seq_print(seq, "%llu %llu %llu %llu %llu %u\n", NUMBER(memory.heap_start), NUMBER(memory.arguments),
		  NUMBER(memory.environment), NUMBER(memory.environment), NUMBER(memory.strings_end),
		  now.exit_status);
	return 0;
}

static int show_statm(struct seq *seq, const struct proc_subject *subject)
{
	struct memory_figures memory = memory_of(subject);

	seq_print(seq, "%llu %llu %llu %llu 0 %llu 0\n", NUMBER(memory.usage.pages), NUMBER(memory.resident),
		  NUMBER(memory.usage.shared), NUMBER(memory.usage.exec),
		  NUMBER(memory.usage.data + memory.usage.stack));
	return 0;
}

static void show_kib(struct seq *seq, const char *name, uint64_t pages)
{
	seq_print(seq, "%s:\t%8llu kB\n", name, NUMBER(pages * (PAGE_SIZE / 1024)));
}

static void show_identity(struct seq *seq, const char *name, const struct identity *identity)
{
	seq_print(seq, "%s:\t%u\t%u\t%u\t%u\n", name, identity->real, identity->effective, identity->saved,
		  identity->files);
}

static void show_rights(struct seq *seq, const struct process *process)
{
	const struct credentials *credentials = &process->credentials;

	seq_print(seq, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\n",
		  NUMBER(credentials->inheritable), NUMBER(credentials->permitted),
		  NUMBER(credentials->usable));
	seq_print(seq, "CapBnd:\t%016llx\nCapAmb:\t%016llx\nNoNewPrivs:\t%d\n", NUMBER(credentials->bounding),
		  NUMBER(credentials->ambient), credentials->no_new_rights);
}

static uint64_t swapped_of(const struct proc_subject *subject)
{
	struct user_space *space = process_space(subject->process);
	uint64_t pages = space ? user_space_swapped_pages(space, true) : 0;

	if (space)
		user_space_unref(space);
	return pages;
}

static int show_status(struct seq *seq, const struct proc_subject *subject)
{
	struct memory_figures memory = memory_of(subject);
	struct snapshot now;
	int error = take(subject, &now);

	if (error)
		return error;
	seq_print(seq, "Name:\t%s\n", now.name);
	seq_print(seq, "State:\t%c (%s)\n", now.state, state_name(now.state));
	seq_print(seq, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", now.pid, now.tid,
		  now.parent);
	show_identity(seq, "Uid", &subject->process->credentials.user);
	show_identity(seq, "Gid", &subject->process->credentials.group);
	if (now.state != 'Z') {
		show_kib(seq, "VmPeak", memory.usage.pages);
		show_kib(seq, "VmSize", memory.usage.pages);
		show_kib(seq, "VmLck", memory.usage.wired);
		show_kib(seq, "VmPin", 0);
		show_kib(seq, "VmHWM", memory.most);
		show_kib(seq, "VmRSS", memory.resident);
		show_kib(seq, "VmData", memory.usage.data);
		show_kib(seq, "VmStk", memory.usage.stack);
		show_kib(seq, "VmExe", memory.usage.exec);
		show_kib(seq, "VmLib", 0);
		show_kib(seq, "VmPTE", memory.tables);
		show_kib(seq, "VmSwap", swapped_of(subject));
	}
	seq_print(seq, "Threads:\t%u\n", now.tasks);
	seq_print(seq, "SigBlk:\t%016llx\n", NUMBER(now.blocked));
	show_rights(seq, subject->process);
	seq_print(seq, "Seccomp:\t0\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n");
	seq_print(seq, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
	seq_print(seq, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
		  NUMBER(now.used.switches), NUMBER(now.used.preemptions));
	return 0;
}

static int show_comm(struct seq *seq, const struct proc_subject *subject)
{
	struct snapshot now;
	int error = take(subject, &now);

	if (!error)
		seq_print(seq, "%s\n", now.name);
	return error;
}

/* A process renames its own tasks only; one that has ended has none. */
static int store_comm(const struct proc_subject *subject, char *text, size_t bytes)
{
	struct process *process = subject->process;
	struct task *task;

	(void)bytes;
	if (process != task_current()->process)
		return -EINVAL;
	task = task_find(subject->task ? subject->task->tid : process->pid);
	if (!task)
		return -ESRCH;
	if (task->process == process)
		task_set_name(task, text);
	task_unref(task);
	return 0;
}

/* ---- limits ------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *unit;
} limit_names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = {"Max cpu time", "seconds"},
	[RLIMIT_FSIZE] = {"Max file size", "bytes"},
	[RLIMIT_DATA] = {"Max data size", "bytes"},
	[RLIMIT_STACK] = {"Max stack size", "bytes"},
	[RLIMIT_CORE] = {"Max core file size", "bytes"},
	[RLIMIT_RSS] = {"Max resident set", "bytes"},
	[RLIMIT_NPROC] = {"Max processes", "processes"},
	[RLIMIT_NOFILE] = {"Max open files", "files"},
	[RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
	[RLIMIT_AS] = {"Max address space", "bytes"},
	[RLIMIT_LOCKS] = {"Max file locks", "locks"},
	[RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
	[RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
	[RLIMIT_NICE] = {"Max nice priority", ""},
	[RLIMIT_RTPRIO] = {"Max realtime priority", ""},
	[RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void show_limit(struct seq *seq, uint64_t limit)
{
	if (limit == RLIM64_INFINITY)
		seq_print(seq, "%-20s ", "unlimited");
	else
		seq_print(seq, "%-20llu ", NUMBER(limit));
}

static int show_limits(struct seq *seq, const struct proc_subject *subject)
{
	seq_print(seq, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
		seq_print(seq, "%-25s ", limit_names[i].name);
		show_limit(seq, subject->process->limits[i].rlim_cur);
		show_limit(seq, subject->process->limits[i].rlim_max);
		seq_print(seq, "%-10s\n", limit_names[i].unit);
	}
	return 0;
}

/* ---- Links: where it is, and what it has open -------------------------------------------------------------------- */

/* The context of the process's first task, with a reference. NULL: it has ended. */
static struct fs_context *context_of(const struct proc_subject *subject)
{
	struct fs_context *context = NULL;
	struct task *first;

	spin_lock(&process_lock);
	first = subject->task ? subject->task : TAILQ_FIRST(&subject->process->tasks);
	if (first && first->context) {
		context = first->context;
		fs_context_ref(context);
	}
	spin_unlock(&process_lock);
	return context;
}

/* Its directory, or its root. (n). */
static int place_of(const struct proc_subject *subject, bool root, struct path *out)
{
	struct fs_context *context = context_of(subject);

	if (!context)
		return -ENOENT;
	out->name = name_ref(root ? context->root : context->directory);
	out->inode = inode_ref(out->name->inode);
	fs_context_unref(context);
	return 0;
}

static int follow_cwd(const struct proc_subject *subject, struct path *out)
{
	return place_of(subject, false, out);
}

static int follow_root(const struct proc_subject *subject, struct path *out)
{
	return place_of(subject, true, out);
}

static int64_t place_path(const struct proc_subject *subject, bool root, char *to, size_t bytes)
{
	struct path found;
	size_t length;
	int error;

	rw_read_lock(&names_lock);
	error = place_of(subject, root, &found);
	rw_read_unlock(&names_lock);
	if (error)
		return error;
	length = name_to_path(found.name, NULL, to, bytes);
	path_release(&found);
	return (int64_t)(length < bytes ? length : bytes);
}

static int64_t cwd_target(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes)
{
	(void)reader;
	return place_path(subject, false, to, bytes);
}

static int64_t root_target(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes)
{
	(void)reader;
	return place_path(subject, true, to, bytes);
}

/* The program that it runs, while it has memory. (n) is not needed: the space holds the file open. */
static int follow_exe(const struct proc_subject *subject, struct path *out)
{
	struct user_space *space = process_space(subject->process);
	int error = -ENOENT;

	if (space && space->program) {
		*out = (struct path){name_ref(space->program->name), inode_ref(space->program->inode)};
		error = 0;
	}
	if (space)
		user_space_unref_later(space);
	return error;
}

static int64_t exe_target(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes)
{
	struct user_space *space = process_space(subject->process);
	int64_t length = -ENOENT;

	(void)reader;
	if (space && space->program)
		length = (int64_t)file_path(space->program, to, bytes);
	if (space)
		user_space_unref_later(space);
	return length;
}

/* Of an open file; -ENOENT: it has been closed. */
static int64_t fd_target(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes)
{
	struct file_table *files = process_files(subject->process);
	struct file *file = NULL;
	int64_t length = -ENOENT;

	(void)reader;
	if (!files)
		return -ENOENT;
	if (descriptor_next(files, subject->number, &file) == subject->number)
		length = (int64_t)file_path(file, to, bytes);
	if (file)
		file_unref(file);
	file_table_unref_later(files);
	return length;
}

static int fd_follow(const struct proc_subject *subject, struct path *out)
{
	struct file_table *files = process_files(subject->process);
	int error;

	if (!files)
		return -ENOENT;
	error = descriptor_path(files, subject->number, out);
	file_table_unref_later(files);
	return error;
}

static int fd_next(const struct proc_subject *subject, int from)
{
	struct file_table *files = process_files(subject->process);
	int found;

	if (!files)
		return -1;
	found = descriptor_next(files, from, NULL);
	file_table_unref_later(files);
	return found;
}

static int fd_find(const struct proc_subject *subject, int number, struct proc_subject *out)
{
	struct path found;
	struct proc_subject wanted = {.process = subject->process, .number = number};
	int error = fd_follow(&wanted, &found);

	if (error)
		return error;
	path_release(&found);
	process_ref(subject->process);
	*out = wanted;
	return 0;
}

static int show_fdinfo(struct seq *seq, const struct proc_subject *subject)
{
	struct file_table *files = process_files(subject->process);
	struct descriptor_info info;
	int error = -ENOENT;

	if (!files)
		return error;
	error = descriptor_describe(files, subject->number, &info);
	if (!error)
		seq_print(seq, "pos:\t%llu\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", NUMBER(info.position),
			  info.flags, info.device, NUMBER(info.inode));
	file_table_unref_later(files);
	return error;
}

static const struct proc_entry fd_entry = {
	.mode = S_IFLNK | 0700, .target = fd_target, .follow = fd_follow, .guarded = true};
static const struct proc_numbers fd_numbers = {.next = fd_next, .find = fd_find, .entry = &fd_entry};
static const struct proc_entry fdinfo_entry = {.mode = S_IFREG | 0444, .show = show_fdinfo};
static const struct proc_numbers fdinfo_numbers = {.next = fd_next, .find = fd_find, .entry = &fdinfo_entry};

/* ---- Tasks ------------------------------------------------------------------------------------------------------------ */

static int task_next(const struct proc_subject *subject, int from)
{
	const struct task *task;
	int found = -1;

	spin_lock(&process_lock);
	TAILQ_FOREACH(task, &subject->process->tasks, link)
	{
		if (task->tid >= from && (found < 0 || task->tid < found))
			found = task->tid;
	}
	spin_unlock(&process_lock);
	return found;
}

static int task_find_in(const struct proc_subject *subject, int number, struct proc_subject *out)
{
	struct task *task = task_find(number);

	if (!task)
		return -ENOENT;
	if (task->process != subject->process) {
		task_unref(task);
		return -ENOENT;
	}
	process_ref(subject->process);
	*out = (struct proc_subject){.process = subject->process, .task = task};
	return 0;
}

/* What there is of a process and of each of its tasks. */
#define COMMON_ENTRIES                                                                                   \
	{.name = "clear_refs", .mode = S_IFREG | 0200, .store = proc_store_clear_refs, .guarded = true}, \
		{.name = "cmdline", .mode = S_IFREG | 0444, .show = show_cmdline},                       \
		{.name = "comm", .mode = S_IFREG | 0644, .show = show_comm, .store = store_comm},        \
		{.name = "coredump_filter",                                                              \
		 .mode = S_IFREG | 0644,                                                                 \
		 .show = core_show_filter,                                                               \
		 .store = core_store_filter,                                                             \
		 .guarded = true},                                                                       \
		{.name = "cwd",                                                                          \
		 .mode = S_IFLNK | 0777,                                                                 \
		 .target = cwd_target,                                                                   \
		 .follow = follow_cwd,                                                                   \
		 .guarded = true},                                                                       \
		{.name = "environ", .mode = S_IFREG | 0400, .show = show_environ, .guarded = true},      \
		{.name = "exe",                                                                          \
		 .mode = S_IFLNK | 0777,                                                                 \
		 .target = exe_target,                                                                   \
		 .follow = follow_exe,                                                                   \
		 .guarded = true},                                                                       \
		{.name = "fd", .mode = S_IFDIR | 0500, .numbers = &fd_numbers},                          \
		{.name = "fdinfo", .mode = S_IFDIR | 0555, .numbers = &fdinfo_numbers},                  \
		{.name = "limits", .mode = S_IFREG | 0444, .show = show_limits},                         \
		{.name = "maps", .mode = S_IFREG | 0444, .list = proc_list_maps, .guarded = true},       \
		{.name = "mountinfo", .mode = S_IFREG | 0444, .show = proc_show_mountinfo},              \
		{.name = "mounts", .mode = S_IFREG | 0444, .show = proc_show_mounts},                    \
		{.name = "oom_adj",                                                                      \
		 .mode = S_IFREG | 0644,                                                                 \
		 .show = proc_show_oom_adj,                                                              \
		 .store = proc_store_oom_adj},                                                           \
		{.name = "oom_score", .mode = S_IFREG | 0444, .show = proc_show_oom_score},              \
		{.name = "oom_score_adj",                                                                \
		 .mode = S_IFREG | 0644,                                                                 \
		 .show = proc_show_oom_score_adj,                                                        \
		 .store = proc_store_oom_score_adj},                                                     \
		{.name = "pagemap", .mode = S_IFREG | 0400, .read = proc_read_pagemap, .guarded = true}, \
		{.name = "root",                                                                         \
		 .mode = S_IFLNK | 0777,                                                                 \
		 .target = root_target,                                                                  \
		 .follow = follow_root,                                                                  \
		 .guarded = true},                                                                       \
		{.name = "smaps", .mode = S_IFREG | 0444, .list = proc_list_smaps, .guarded = true},     \
		{.name = "stat", .mode = S_IFREG | 0444, .show = show_stat},                             \
		{.name = "statm", .mode = S_IFREG | 0444, .show = show_statm},                           \
	{                                                                                                \
		.name = "status", .mode = S_IFREG | 0444, .show = show_status                            \
	}

static const struct proc_entry task_entries[] = {COMMON_ENTRIES, FAIL_NTH_ENTRY, {.name = NULL}};
static const struct proc_entry task_entry = {.mode = S_IFDIR | 0555, .children = task_entries};
static const struct proc_numbers task_numbers = {
	.next = task_next, .find = task_find_in, .entry = &task_entry};

/* ---- The process ------------------------------------------------------------------------------------------------------- */

static const struct proc_entry process_entries[] = {
	COMMON_ENTRIES,
	{.name = "task", .mode = S_IFDIR | 0555, .numbers = &task_numbers},
	FAIL_NTH_ENTRY,
	{.name = NULL},
};

const struct proc_entry proc_process_entry = {.mode = S_IFDIR | 0555, .children = process_entries};

static int process_number_next(const struct proc_subject *subject, int from)
{
	struct process *process = process_next(from - 1);
	int pid = process ? process->pid : -1;

	(void)subject;
	if (process)
		process_unref(process);
	return pid;
}

static int process_number_find(const struct proc_subject *subject, int number, struct proc_subject *out)
{
	struct process *process = process_find(number);

	(void)subject;
	if (!process)
		return -ENOENT;
	*out = (struct proc_subject){.process = process};
	return 0;
}

const struct proc_numbers proc_processes = {
	.next = process_number_next, .find = process_number_find, .entry = &proc_process_entry};
