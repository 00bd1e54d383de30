/*
 * Signals, as far as the rest of the kernel needs them. Linux's meaning: signal(7). Implemented in kern/proc/signal*.c.
 */
#ifndef KERN_SIGNAL_H
#define KERN_SIGNAL_H

#include <kern/sched.h>

struct process;
struct task;

/*
 * What calls return that a signal interrupted: before ring 3 sees it, it becomes -EINTR or the call is made again, as the
 * signal's handler asks (SA_RESTART). Numbers that programs never see, as Linux's.
 */
#define ERESTARTSYS    512 /* again, if the handler has SA_RESTART, or there is none */
#define ERESTARTNOINTR 513 /* again */
#define ERESTARTNOHAND 514 /* again, if there is no handler */
#define ERESTART_RESTARTBLOCK \
	516 /* by restart_syscall(2), if there is no handler: task->signals.restart is set */

/* What a task has of its own about signals: the mask, what is pending for it alone, its alternative stack. Filled in by signal.c. */
struct task_signals {
	uint64_t blocked; /* bit n - 1: signal n is not delivered now */
};

/* What a process has: handlers, what is pending for any of its tasks. */
struct process_signals {
	struct spinlock lock; /* RANK_SIGNAL */
};

#endif
