/*
 * What the files about processes share among themselves: process.c, groups.c, fork.c, execve.c, exit.c, waitpid.c.
 */
#ifndef PROC_PROCESS_INTERNAL_H
#define PROC_PROCESS_INTERNAL_H

#include <kern/fs.h>
#include <kern/proc.h>

#include "syscall.h"

/* A number is free again, unless a process, task, group or session still has it. The table is locked. */
void number_put_locked(int number);

/* The only task left of its process takes the process's number, in exec. The table is locked. */
void task_take_pid_locked(struct task *task);

/* How many tasks a user has. Cost: all processes. */
unsigned tasks_of_user_locked(uint32_t user);

/* Waits until all processes and tasks, their stacks and structures are gone. */
void process_wait_all_freed(void);

void groups_init(void);

/*
 * A process of a group loses `parent`, or leaves (`leaving`): if the group is an orphan by that, and stopped, nobody would let it go on any more, and so it
 * gets SIGHUP and SIGCONT (setpgid(2)). The table is locked.
 */
void group_orphan_locked(struct process *process, const struct process *parent,
			 const struct process *leaving);

/* The parts of prctl(2) that are about capabilities; -ENOSYS: it is about something else (credentials.c). */
int64_t credentials_control(struct task *task, const struct trapframe *frame);

/* The task has a current directory and umask of its own from now on. -ENOMEM (fork.c). */
int context_unshare(struct task *task);

/* As getrusage(2) has it (waitpid.c). */
struct rusage rusage_of(const struct usage_counts *used);

/* Keeps for getrusage(2) how much of a space that goes was resident at most (exit.c). */
void note_most_pages(struct process *process, struct user_space *space);

/* What one task has used. */
struct usage_counts task_usage(struct task *task);

/* Has the task's thread served as its niceness and policy say (sys_limits.c). The table is locked, or does not know the task yet. */
void task_apply_schedule(struct task *task);

/* A task's first steps in the kernel (fork.c): entry of its thread. */
void task_begin(void *argument);

/* The process of the current task does not use its parent's memory any more: wakes a vfork (exit.c). */
void process_end_borrowing(struct process *process);

/* What a signal tells the parent of a child that has changed (CLD_...; `status` as waitid has it). The table is locked. */
void tell_parent_locked(struct process *child, int signo, int code, int status);

/* Zeroes what set_tid_address said, if others share the memory, and wakes who waits for that (exit.c). */
void task_clear_tid(struct task *task);

/* The futexes that the current task owns become those of who waits for them; if it `ends`, it can have no others (futex_pi.c). */
void futex_pi_end(struct task *task, bool ends);

/* The locks of the task's robust list say that their owner died (robust_list.c). */
void robust_list_end(struct task *task);

/* Ends all other tasks of the process, so that it has no more but this one. -EINTR: somebody else ends this one (execve.c). */
int end_other_tasks(struct task *task);

/*
 * Writes a core file for a process that a signal is about to end, if there is to be one; *dumped: there is. Called by the task that takes the signal, with no locks; nothing else of the
 * process runs afterwards. False: another task has come first, to dump or to execute a program, or the process ends already; this one ends, and no more is its business (core_dump.c).
 */
bool core_dump(struct task *task, const struct trapframe *frame, int signo, bool *dumped);

/* An open file of a process, without a descriptor; `flags`: O_NONBLOCK. NULL: no memory (pidfd.c). */
struct file *pidfd_create(struct process *process, unsigned flags);
/* The process that a descriptor is of, with a reference; NULL: it is of none. `waits`: waitid does, as there is no O_NONBLOCK. */
struct process *pidfd_process(struct task *task, int descriptor, bool *waits);

/* Semaphores: what the child's operations are taken back with is the parent's (CLONE_SYSVSEM): -ENOMEM; what is to be is taken back now (sem_operations.c). */
int sem_share_undo(struct process *child, struct process *parent);
void sem_process_end(struct process *process);

#define NS_PER_CLOCK_TICK 10000000u /* times(2)'s: 100 a second */

/* Ends all other processes; the current one is the first, and the machine is about to be turned off (exit.c). */
void end_all_others(struct process *first);

/* Does the system end? Then nothing is made any more, and what ends leaves nothing. The table is locked. */
bool system_ending_locked(void);

/* Reads how much memory may be promised ("vm.overcommit"; commit.c). */
void commit_init(void);

/* Files and paths of a new task: its parent's own (CLONE_FILES, CLONE_FS), or copies. 0 or -ENOMEM. They go with task_drop_files. */
int task_inherit_files(struct task *task, struct task *parent, bool share_files, bool share_context);
void task_drop_files(struct task *task);

/* The file of a process's descriptor, with a reference; -EBADF, -ESRCH: it has ended (pidfd.c). */
int process_file(struct process *process, int descriptor, struct file **out);

#endif
