/*
 * Signals, as far as the rest of the kernel needs them. Linux's meaning: signal(7). Implemented in kern/proc/signal*.c;
 * the system calls are in sys_signal.c, the frame that a handler gets is kern/arch/x86_64/sigframe.c's.
 *
 * A signal is pending for a task or for a process until some task takes it, on its way back to ring 3 (user_return() in
 * <kern/sched.h>): nothing happens to a task in the midst of a system call, but that its sleep may end early. The bits INTERRUPT_... of its
 * thread say that there is something: others set them, and only the task itself takes them back.
 *
 * A call that a signal interrupted returns one of the ERESTART codes below, or -EINTR where the manual page says that it is never made again.
 * thread_sleep()'s -EINTR must become one of them.
 */
#ifndef KERN_SIGNAL_H
#define KERN_SIGNAL_H

#include <kern/sched.h>
#include <linux/signal.h>

struct process;
struct task;
struct queued_signal;
struct posix_timer;

/*
 * What calls return that a signal interrupted: before ring 3 sees it, it becomes -EINTR or the call is made again, as the
 * signal's handler asks (SA_RESTART). Numbers that programs never see, as Linux's.
 */
#define ERESTARTSYS    512 /* again, if the handler has SA_RESTART, or there is none */
#define ERESTARTNOINTR 513 /* again */
#define ERESTARTNOHAND 514 /* again, if there is no handler */
#define ERESTART_RESTARTBLOCK \
	516 /* by restart_syscall(2), if there is no handler: task->signals.restart is set */

/* Is `result` one of them? */
static inline bool signal_is_restart(int64_t result)
{
	return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
}

#define SIGNAL_MAX        64 /* signals are numbered 1 to 64 */
#define SIGNAL_SET_BYTES  8  /* what calls must give as the size of their set */
#define SIGNAL_BIT(signo) ((uint64_t)1 << ((signo)-1))
#define SIGNALS_QUEUED \
	4096 /* how many may wait for a process with what is known of them, if nobody sets RLIMIT_SIGPENDING */
/* What cannot be blocked, caught or ignored. */
#define SIGNALS_SURE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))

/* ---- What tasks and processes have -------------------------------------------------------------------- */

/* The layout is rt_sigaction(2)'s. */
struct signal_action {
	vaddr_t handler; /* or SIG_DFL, SIG_IGN */
	uint64_t flags;  /* SA_... */
	vaddr_t restorer;
	uint64_t mask;
};

/* Which handlers there are: a process's, or several processes' (CLONE_SIGHAND). Private to signal*.c. */
struct signal_handlers;

/* Signals that have come and have not been taken. Guarded by the lock of the process's signals. */
struct pending_signals {
	uint64_t set;                      /* bit n - 1: n is pending */
	TAILQ_HEAD(, queued_signal) queue; /* with information, in order of arrival; some may be without */
};

/* How a call goes on that was interrupted after it had done a part (ERESTART_RESTARTBLOCK). Only the task itself uses it. */
struct restart_block {
	int64_t (*call)(struct task *task, struct restart_block *block); /* NULL: -EINTR */
	uint64_t deadline; /* nanoseconds since boot, or what `call` means */
	uint64_t argument[4];
};

/* What the CPU said of a fault: handlers see it in their context. */
struct fault_registers {
	uint64_t vector, error, address;
};

/*
 * Locks: (g) its process's signals.lock; (o) the same to write, and only the task itself writes: it may read without; (t) only the task itself.
 */
struct task_signals {
	TAILQ_ENTRY(task) link;         /* (g) in its process's signals.tasks */
	bool listed;                    /* (g) it is there: it can be given signals */
	bool stopped;                   /* (g) it waits to be continued */
	uint64_t blocked;               /* (o) bit n - 1: signal n is not delivered now */
	uint64_t awaited;               /* (g) what sigtimedwait waits for: comes though it is blocked */
	struct pending_signals pending; /* (g) for this task alone */
	uint64_t saved_mask;            /* (t) what `blocked` shall be again, if `mask_saved` */
	bool mask_saved;                /* (t) see signal_mask_begin */
	vaddr_t stack;                  /* (t) sigaltstack's */
	uint64_t stack_bytes;           /* (t) */
	uint32_t stack_flags;           /* (t) SS_DISABLE, SS_AUTODISARM */
	struct restart_block restart;   /* (t) */
	struct fault_registers fault;   /* (t) of its last fault */
};

enum stop_state {
	STOP_NONE,
	STOP_WANTED, /* its tasks are on their way to where they wait */
	STOP_DONE
};

/* An interval timer: setitimer's. */
struct interval_timer {
	uint64_t when;     /* 0: not set. Nanoseconds since boot, or of CPU time */
	uint64_t interval; /* 0: once */
};

/* Locks: (g) its own lock; (-) set once. */
struct process_signals {
	struct spinlock lock; /* RANK_SIGNAL */
	struct signal_handlers
		*handlers;        /* (g) a reference; NULL: the process has ended, and takes no signals */
	TAILQ_HEAD(, task) tasks; /* (g) those that can be given signals */
	struct pending_signals pending; /* (g) for any of its tasks */
	uint64_t queued;          /* (g) signals with information that are pending here: RLIMIT_SIGPENDING */
	enum stop_state stop;     /* (g) */
	int stop_signal;          /* (g) which one stops it, or stopped it last */
	bool stop_taken;          /* (g) a task is about to stop it: SIGCONT takes this back */
	bool stop_unreported;     /* (g) it has been stopped, and wait(2) has not told yet */
	bool continue_unreported; /* (g) the same, of being continued */
	bool notify_continued;    /* (g) the parent has to be told */
	struct wait_queue continued;     /* (-) where stopped tasks wait */
	bool exiting;                    /* (g) all its tasks are ending or shall end */
	int exit_status;                 /* (g) then: as wait(2) gives it */
	struct interval_timer real;      /* (g) ITIMER_REAL */
	struct interval_timer virtual;   /* (g) ITIMER_VIRTUAL */
	struct interval_timer profile;   /* (g) ITIMER_PROF */
	struct timer real_timer;         /* (g) */
	uint64_t cpu_seconds_told;       /* (g) of CPU time, when RLIMIT_CPU's signal came last; 0: never */
	bool ended;                      /* (g) no timer starts any more */
	struct timer cpu_timer;          /* (g) looks at the timers that count CPU time */
	LIST_HEAD(, posix_timer) timers; /* (g) timer_create's */
	int next_timer;                  /* (g) the number of the next one */
};

/* ---- Life (signal.c) ----------------------------------------------------------------------------------- */

/* Makes the slab caches; once. */
void signals_init(void);

/*
 * Fills child->signals, as fork and clone have it: the handlers are `parent`'s own (CLONE_SIGHAND), or a copy of them. `parent`
 * NULL: the first process, all signals are SIG_DFL. 0, or -ENOMEM. Takes back with signal_process_end.
 */
int signal_process_begin(struct process *child, struct process *parent, bool share_handlers);

/* What CLONE_CLEAR_SIGHAND asks of a new process with handlers of its own: all but ignored signals are SIG_DFL. */
void signal_reset_handlers(struct process *child);

/*
 * Fills task->signals: the mask is `parent`'s (none, if that is NULL), and so, if `keep_stack`, is the alternative stack (all but
 * CLONE_VM without CLONE_VFORK). Then the task can be given signals; it has a process. If the process is already exiting or
 * stopping, so is the task. Locks: takes RANK_SIGNAL.
 */
void signal_task_begin(struct task *task, const struct task *parent, bool keep_stack);

/* The current task ends: it gets no more signals, and others take what it had not taken. */
void signal_task_end(struct task *task);

/* The last task is gone: drops all that is pending, timers and handlers. From then on signals to it go nowhere. No spinlocks held. */
void signal_process_end(struct process *process);

/*
 * exec. First, where it may still fail: makes handlers for the new program (NULL: no memory). Then, when the current task is the only one: handlers
 * become SIG_DFL, ignored signals stay ignored; the alternative stack goes, and so do timer_create's timers. Takes over `handlers`.
 */
struct signal_handlers *signal_handlers_create(void);
void signal_handlers_unref(struct signal_handlers *handlers); /* where exec failed in between */
void signal_exec(struct task *task, struct signal_handlers *handlers);

/* ---- Sending (signal.c) ---------------------------------------------------------------------------------- */

/*
 * The process, or task, is kept alive by the caller: a reference, or the process table's lock. Locks: RANK_SIGNAL is taken; any lock of a lower
 * rank may be held. Nobody's rights are checked: signal_may_send does that. A signal that is ignored is not even kept.
 * 0, or -EAGAIN: no room for the information of one that was sent by sigqueue(3) (others go without).
 */
int signal_send_process(struct process *process, const siginfo_t *info);
int signal_send_task(struct task *task, const siginfo_t *info);

/* The same by number, from the kernel: SI_KERNEL. */
void signal_send_process_kernel(struct process *process, int signo);
void signal_send_task_kernel(struct task *task, int signo);

/* Sends to all of a process group, from the kernel (terminals). 0, or -ESRCH. Takes the process table's lock. */
int signal_send_group(int group, int signo);

/* All zero but si_signo and si_code; for SI_USER, SI_TKILL and SI_QUEUE with the current process as the sender. */
void signal_info_init(siginfo_t *info, int signo, int code);

/* May the task send that signal (0: any) to the process? 0 or -EPERM (kill(2)). The process table is locked. */
int signal_may_send(const struct task *sender, const struct process *target, int signo);

/* Does the process have a handler for it, or ignore it? A glance, for SIGTTIN, SIGTTOU, SIGPIPE. */
bool signal_is_ignored(struct process *process, int signo);
/* The same, or the task blocks it: terminals' rule for SIGTTIN and SIGTTOU. */
bool signal_is_ignored_or_blocked(struct task *task, int signo);

/* What the parent says about SIGCHLD (sigaction(2)). */
struct child_signal {
	bool reap;    /* SIG_IGN or SA_NOCLDWAIT: children that end leave nothing to wait for */
	bool ignored; /* SIG_IGN: no signal is sent */
	bool no_stop; /* SA_NOCLDSTOP: none is sent for children that stop or go on */
};
struct child_signal signal_child_rule(struct process *parent);

/* ---- Waiting with another mask (signal.c) ------------------------------------------------------------------ */

/* Has the task a reason to come back to ring 3 early? A glance. */
static inline bool signal_interrupted(const struct thread *thread)
{
	return thread->interrupts != 0;
}

/* The task's own mask from now on; SIGKILL and SIGSTOP are left out. */
void signal_set_mask(struct task *task, uint64_t mask);

/*
 * For ppoll, pselect, epoll_pwait, sigsuspend: `mask` for the time of the call. signal_mask_end, with what the call will return,
 * takes the old one back, but where a signal interrupted the call (-EINTR or ERESTART...): then a handler runs with the mask first.
 * `from_user`: the mask is read from ring 3 (NULL: there is none, and the call keeps the task's mask). -EFAULT, -EINVAL.
 */
void signal_mask_begin(struct task *task, uint64_t mask);
int signal_mask_begin_from_user(struct task *task, vaddr_t set, uint64_t set_bytes);
void signal_mask_end(struct task *task, int64_t result);

/* ---- A handler's frame (kern/arch/x86_64/sigframe.c) -------------------------------------------------------- */

/* What goes into the frame beside the registers, and what of it comes back. */
struct signal_frame {
	const struct signal_action *action;
	const siginfo_t *info;
	const struct fault_registers *fault;
	uint64_t mask; /* what is blocked again when the handler returns */
	stack_t stack; /* the alternative stack, as sigaltstack(2) shows it */
};

/*
 * Makes room on the program's stack, or on the alternative one where the action asks for that, writes the registers there, also the FPU's, and
 * makes `frame` enter the handler. -EFAULT: it cannot be written, and `frame` is as it was.
 */
int sigframe_push(struct trapframe *frame, const struct signal_frame *what);

/* The most room that a frame takes on a stack: AT_MINSIGSTKSZ. */
size_t sigframe_most_bytes(void);

/* rt_sigreturn: the registers are again what the frame says; `mask` and `stack` are filled in. -EFAULT: that is no frame, or makes no sense. */
int sigframe_pop(struct trapframe *frame, uint64_t *mask, stack_t *stack);

/* Is the stack pointer in the alternative stack? */
bool sigframe_on_stack(const stack_t *stack, vaddr_t rsp);

/* ---- Faults (signal_fault.c) --------------------------------------------------------------------------------- */

/*
 * The current task's program made a mistake, `info` says which. True: its handler's frame is set up (or somebody kills the process anyway), go back to
 * ring 3. False: there is none, or the signal is blocked or ignored, or the frame cannot be written: the program has to end (task_fault in <kern/kern.h>).
 */
bool signal_fault(struct trapframe *frame, const siginfo_t *info);

/* ---- Ending and stopping (signal_stop.c) ----------------------------------------------------------------------- */

/*
 * All tasks of the process shall end: exit_group(2) and killing signals. `status` is as wait(2) gives it; the first one counts. Each task then
 * comes to user_return(), or to the end of a wait that may be killed, and task_exit(). Takes RANK_SIGNAL.
 */
void signal_exit_group(struct process *process, int status);

/* The same for all tasks but the caller, for exec: the process goes on. The tasks are counted by who calls. */
void signal_kill_others(struct task *task);

/*
 * What wait(2) has to tell of a child that has not ended. True: it has been stopped (by *signo), or has been continued, since that was told last;
 * `keep`: it will be told again (WNOWAIT). Locks: the process table's, which keeps the child there.
 */
bool signal_take_stopped(struct process *child, bool keep, int *signo);
bool signal_take_continued(struct process *child, bool keep);

/* Is it stopped now? */
bool signal_is_stopped(struct process *process);

/* RLIMIT_CPU has been set, or inherited: its signals come from now on (itimer.c). */
void signal_cpu_limited(struct process *process);

/* ---- What kern/proc has for signals (process.c, exit.c) ---------------------------------------------------------- */

/* The current task ends; with the last one the process, with signals.exit_status if signals.exiting. Its thread holds no locks. */
_Noreturn void task_exit(struct task *task);

/*
 * The process has been stopped or continued (`code`: CLD_STOPPED, CLD_CONTINUED; `signo`: by what): its parent gets a SIGCHLD, as
 * signal_child_rule says, and who waits for children is woken. No locks held.
 */
void process_child_changed(struct process *child, int code, int signo);

/* Has the process's group nobody in its session who could continue it (POSIX: an orphaned process group)? No spinlocks held. */
bool process_group_orphaned(struct process *process);

#endif
