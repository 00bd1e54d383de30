/*
 * The table of processes and tasks: numbers, look-up, the tree, and the structures' lives.
 *
 * Process groups and sessions are in groups.c; how processes come to be in fork.c, how they end in exit.c, what their parents learn of it in
 * waitpid.c.
 */
#include <asm/errno.h>
#include <kern/proc.h>
#include <linux/signal.h>
#include <vm/pmap.h>
#include <vm/slab.h>

#include "process_internal.h"

#define BUCKETS         1024u /* of each of the tables; a power of two */
#define WORD_BITS       64
#define LEAST_TASKS     64  /* however little memory there is */
#define PAGES_A_TASK    32  /* there may be one task for so many pages of RAM */
#define FIRST_REUSED_ID 300 /* numbers below it are given once: what started the system has them */

struct spinlock process_lock = ENV_SPINLOCK_INIT(RANK_PROCESS, "process table");

static struct slab_cache process_cache, task_cache; /* process_init */

/* Locks: (p) process_lock; (a) atomic; (-) set by process_init. */
static struct {
	uint64_t used[PID_LIMIT /
		      WORD_BITS];  /* (p) bit n: the number n is a task's, process's, group's or session's */
	int last;                  /* (p) the number given last */
	_Atomic int number_end;    /* (a) numbers are given below it */
	unsigned processes, tasks; /* (p) how many are in the table */
	unsigned most_tasks;       /* (-) */
	_Atomic unsigned objects;  /* (a) structures that are not freed yet, of both kinds */
	struct wait_queue freed;   /* (-) woken when `objects` becomes 0 */
	LIST_HEAD(, process) pids[BUCKETS]; /* (p) */
	LIST_HEAD(, task) tids[BUCKETS];    /* (p) */
} table;

void process_init(void)
{
	unsigned most = (unsigned)(page_stats().ram_pages / PAGES_A_TASK);

	slab_cache_init(&process_cache, "process", sizeof(struct process));
	slab_cache_init(&task_cache, "task", sizeof(struct task));
	wait_queue_init(&table.freed);
	table.number_end = PID_LIMIT;
	table.most_tasks = most < LEAST_TASKS ? LEAST_TASKS : most;
	groups_init();
}

/* ---- Numbers -------------------------------------------------------------------------------------- */

static bool number_used(int number)
{
	return table.used[number / WORD_BITS] >> number % WORD_BITS & 1;
}

static void set_used(int number, bool used)
{
	uint64_t bit = (uint64_t)1 << number % WORD_BITS;

	if (used)
		table.used[number / WORD_BITS] |= bit;
	else
		table.used[number / WORD_BITS] &= ~bit;
}

/* A number that nobody has, the lowest above the one given last; -EAGAIN: there is none. */
static int take_number(void)
{
	int number = table.last, end = table.number_end;

	ASSERT(spin_held(&process_lock));
	for (int tried = 0; tried < end; tried++) {
		number++;
		if (number >= end)
			number = FIRST_REUSED_ID;
		if (!number_used(number)) {
			set_used(number, true);
			table.last = number;
			return number;
		}
	}
	return -EAGAIN;
}

unsigned tasks_most(void)
{
	return table.most_tasks;
}

int pid_max(void)
{
	return table.number_end;
}

int pid_max_set(int value)
{
	if (value < PID_MAX_LEAST || value > PID_LIMIT)
		return -EINVAL;
	table.number_end = value;
	return 0;
}

void number_put_locked(int number)
{
	if (!process_find_locked(number) && !task_find_locked(number) && !group_find_locked(number) &&
	    !session_find_locked(number))
		set_used(number, false);
}

/* ---- Look-up -------------------------------------------------------------------------------------- */

static unsigned bucket_of(int number)
{
	return (unsigned)number % BUCKETS;
}

struct process *process_find_locked(int pid)
{
	struct process *process;

	ASSERT(spin_held(&process_lock));
	LIST_FOREACH(process, &table.pids[bucket_of(pid)], chain)
	if (process->pid == pid)
		return process;
	return NULL;
}

struct task *task_find_locked(int tid)
{
	struct task *task;

	ASSERT(spin_held(&process_lock));
	LIST_FOREACH(task, &table.tids[bucket_of(tid)], chain)
	if (task->tid == tid)
		return task;
	return NULL;
}

struct process *process_find(int pid)
{
	struct process *process;

	spin_lock(&process_lock);
	process = process_find_locked(pid);
	if (process)
		process_ref(process);
	spin_unlock(&process_lock);
	return process;
}

struct task *task_find(int tid)
{
	struct task *task;

	spin_lock(&process_lock);
	task = task_find_locked(tid);
	if (task)
		task_ref(task);
	spin_unlock(&process_lock);
	return task;
}

/* The first number that is used in the word of `number`, from it on; 0: none. */
static int used_in_word(int number)
{
	uint64_t word = table.used[number / WORD_BITS] >> number % WORD_BITS;

	return word ? number + __builtin_ctzll(word) : 0;
}

struct process *process_next_locked(int pid)
{
	struct process *found = NULL;
	int number = pid < 0 ? 0 : pid + 1;

	while (!found && number < PID_LIMIT) {
		int used = used_in_word(number);

		if (used) {
			found = process_find_locked(used);
			number = used + 1;
		} else {
			number = (number / WORD_BITS + 1) * WORD_BITS;
		}
	}
	return found;
}

struct process *process_next(int pid)
{
	struct process *found;

	spin_lock(&process_lock);
	found = process_next_locked(pid);
	if (found)
		process_ref(found);
	spin_unlock(&process_lock);
	return found;
}

unsigned tasks_of_user_locked(uint32_t user)
{
	struct process *process;
	unsigned count = 0;

	ASSERT(spin_held(&process_lock));
	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_FOREACH(process, &table.pids[i], chain)
	if (process->credentials.user.real == user)
		count += process->task_count;
	return count;
}

int process_last_id(void)
{
	return table.last;
}

unsigned process_count(void)
{
	return table.processes;
}

unsigned task_count(void)
{
	return table.tasks;
}

/* ---- The structures ----------------------------------------------------------------------------------- */

static void object_freed(void)
{
	if (--table.objects == 0)
		wait_wake_all(&table.freed);
}

void process_wait_all_freed(void)
{
	WAIT_EVENT(&table.freed, table.objects == 0, SLEEP_FIRM, TIME_NEVER);
}

void process_ref(struct process *process)
{
	process->refs++;
}

void process_unref(struct process *process)
{
	if (--process->refs > 0)
		return;
	ASSERT(!process->space && process->task_count == 0 && !process->group);
	credentials_drop(&process->credentials);
	slab_free(&process_cache, process);
	object_freed();
}

void task_ref(struct task *task)
{
	task->refs++;
}

void task_unref(struct task *task)
{
	struct process *process = task->process;

	if (--task->refs > 0)
		return;
	ASSERT(!task->listed && !task->files && !task->context);
	slab_free(&task_cache, task);
	object_freed();
	process_unref(process);
}

static void task_release(struct thread *thread)
{
	task_unref((struct task *)thread);
}

struct process *process_create(void)
{
	struct process *process = slab_alloc(&process_cache);

	if (!process)
		return NULL;
	memset(process, 0, sizeof(*process));
	process->refs = 1;
	process->start_time = time_nanoseconds();
	LIST_INIT(&process->children);
	TAILQ_INIT(&process->tasks);
	wait_queue_init(&process->news);
	table.objects++;
	return process;
}

struct task *task_create(struct process *process)
{
	struct task *task = slab_alloc(&task_cache);

	if (!task)
		return NULL;
	memset((char *)task + sizeof(task->thread), 0, sizeof(*task) - sizeof(task->thread));
	if (thread_create(&task->thread, task->name, task_begin, task, true, task_release) != 0) {
		slab_free(&task_cache, task);
		return NULL;
	}
	task->refs = 1;
	task->process = process;
	process_ref(process);
	table.objects++;
	return task;
}

void task_destroy_unrun(struct task *task)
{
	thread_destroy_unrun(&task->thread);
	task_unref(task);
}

struct user_space *process_space(struct process *process)
{
	struct user_space *space;

	spin_lock(&process_lock);
	space = process->space;
	if (space)
		user_space_ref(space);
	spin_unlock(&process_lock);
	return space;
}

struct file_table *process_files(struct process *process)
{
	struct file_table *files = NULL;
	struct task *first;

	spin_lock(&process_lock);
	first = TAILQ_FIRST(&process->tasks);
	if (first)
		files = first->files;
	if (files)
		file_table_ref(files);
	spin_unlock(&process_lock);
	return files;
}

/* ---- Into the table and out of it ------------------------------------------------------------------------- */

int process_link_locked(struct process *process, struct process *parent)
{
	int pid = take_number();

	if (pid < 0)
		return pid;
	process->pid = pid;
	process->parent = parent;
	process_ref(process);
	LIST_INSERT_HEAD(&table.pids[bucket_of(pid)], process, chain);
	table.processes++;
	if (parent) {
		LIST_INSERT_HEAD(&parent->children, process, sibling);
		process->group = parent->group;
		TAILQ_INSERT_TAIL(&process->group->members, process, member);
	}
	return 0;
}

int task_link_locked(struct task *task, int tid)
{
	struct process *process = task->process;

	if (table.tasks >= table.most_tasks)
		return -EAGAIN;
	if (tid == TID_NEW)
		tid = take_number();
	if (tid < 0)
		return tid;
	task->tid = tid;
	task->listed = true;
	LIST_INSERT_HEAD(&table.tids[bucket_of(tid)], task, chain);
	TAILQ_INSERT_TAIL(&process->tasks, task, link);
	process->task_count++;
	table.tasks++;
	return 0;
}

void task_unlink_locked(struct task *task)
{
	struct process *process = task->process;

	ASSERT(task->listed);
	LIST_REMOVE(task, chain);
	TAILQ_REMOVE(&process->tasks, task, link);
	task->listed = false;
	process->task_count--;
	table.tasks--;
	if (task->tid != process->pid)
		number_put_locked(task->tid);
}

void task_take_pid_locked(struct task *task)
{
	int tid = task->tid, pid = task->process->pid;

	if (tid == pid)
		return;
	LIST_REMOVE(task, chain);
	task->tid = pid;
	LIST_INSERT_HEAD(&table.tids[bucket_of(pid)], task, chain);
	number_put_locked(tid);
}

void process_unlink_locked(struct process *process)
{
	int group = process->group->id;

	ASSERT(process->state == PROCESS_ZOMBIE && process->task_count == 0);
	process->state = PROCESS_GONE;
	if (process->parent)
		LIST_REMOVE(process, sibling);
	process->parent = NULL;
	LIST_REMOVE(process, chain);
	table.processes--;
	group_leave_locked(process);
	if (process->pid != group)
		number_put_locked(process->pid);
}

/* ---- What they have used ------------------------------------------------------------------------------------- */

void usage_add(struct usage_counts *sum, const struct usage_counts *more)
{
	sum->user_ns += more->user_ns;
	sum->kernel_ns += more->kernel_ns;
	sum->minor_faults += more->minor_faults;
	sum->major_faults += more->major_faults;
	sum->switches += more->switches;
	sum->preemptions += more->preemptions;
	if (more->most_pages > sum->most_pages)
		sum->most_pages = more->most_pages;
}

struct usage_counts task_usage(struct task *task)
{
	struct thread_times times = thread_times(&task->thread);

	return (struct usage_counts){
		.user_ns = times.user_ns,
		.kernel_ns = times.kernel_ns,
		.minor_faults = task->thread.faults - task->thread.major_faults,
		.major_faults = task->thread.major_faults,
		.switches = task->thread.switches,
		.preemptions = task->thread.preemptions,
	};
}

struct usage_counts process_usage_locked(struct process *process)
{
	struct usage_counts sum = process->ended;
	struct task *task;

	ASSERT(spin_held(&process_lock));
	TAILQ_FOREACH(task, &process->tasks, link)
	{
		struct usage_counts one = task_usage(task);

		usage_add(&sum, &one);
	}
	return sum;
}

/* ---- Names ------------------------------------------------------------------------------------------------------ */

static void copy_name(char to[PROCESS_NAME_BYTES], const char *name)
{
	size_t length = strlen(name);

	if (length >= PROCESS_NAME_BYTES)
		length = PROCESS_NAME_BYTES - 1;
	memset(to, 0, PROCESS_NAME_BYTES);
	memcpy(to, name, length);
}

void task_set_name(struct task *task, const char *name)
{
	spin_lock(&process_lock);
	copy_name(task->name, name);
	if (task->tid == task->process->pid)
		copy_name(task->process->name, name);
	spin_unlock(&process_lock);
}
