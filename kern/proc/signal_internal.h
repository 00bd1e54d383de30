/*
 * What the files about signals share: signal*.c, sys_signal.c, timers.c.
 */
#ifndef PROC_SIGNAL_INTERNAL_H
#define PROC_SIGNAL_INTERNAL_H

#include <kern/proc.h>

/* ---- Handlers (signal.c) ------------------------------------------------------------------------------ */

/* As struct signal_action, but smaller: the flags have 32 bits, as all of Linux's. */
struct stored_action {
	vaddr_t handler, restorer;
	uint64_t mask;
	uint32_t flags;
} __attribute__((packed, aligned(4)));

/* Locks: (a) atomic; (h) its own lock, which is taken with a process's signals.lock held. */
struct signal_handlers {
	_Atomic uint32_t refs; /* (a) */
	struct spinlock lock;
	struct stored_action actions[SIGNAL_MAX]; /* (h) */
};

/* The process's action for a signal; its signals are locked. */
struct signal_action signal_action(struct process_signals *signals, int signo);
void signal_set_action(struct process_signals *signals, int signo, const struct signal_action *action);
/* Its handler is about to run; SA_RESETHAND: it was the last time. Flags and mask stay, as Linux has it. */
void signal_handler_used(struct process_signals *signals, int signo, const struct signal_action *action);

/* What SIG_DFL means: sets of signals; what is in none of them ends the process. */
#define DEFAULT_IGNORES \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))
#define DEFAULT_STOPS (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
/* These end it with a core file, if it may have one (core_dump.c); a process that has other work to do first is not ended at once. */
#define DEFAULT_DUMPS                                                                           \
	(SIGNAL_BIT(SIGQUIT) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGABRT) | \
	 SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGXCPU) |  \
	 SIGNAL_BIT(SIGXFSZ) | SIGNAL_BIT(SIGSYS))

/* A program's own instructions cause them: they are handled before others. */
#define SYNCHRONOUS                                                                            \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | \
	 SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))

#define FIRST_REALTIME 32 /* from here on each signal that is sent is kept */

/* Does an action ignore the signal? */
static inline bool action_ignores(const struct signal_action *action, int signo)
{
	if (action->handler == (vaddr_t)SIG_DFL)
		return DEFAULT_IGNORES & SIGNAL_BIT(signo);
	return action->handler == (vaddr_t)SIG_IGN;
}

/* ---- Pending signals (signal_queue.c) ------------------------------------------------------------------- */

/* Locks: (g) the lock of the process's signals; (-) set once. */
struct queued_signal {
	TAILQ_ENTRY(queued_signal) link; /* (g) */
	siginfo_t info;                  /* (g) */
	struct posix_timer *timer;       /* (-) whose it is, for ever; NULL: freed when it is taken */
	struct pending_signals *in;      /* (g) NULL: in no queue */
};

void signal_queue_init(void);
void pending_init(struct pending_signals *pending);

/* A queued_signal for a timer; NULL: no memory. */
struct queued_signal *queued_signal_create(struct posix_timer *timer);
void queued_signal_free(struct queued_signal *queued);

/* All of these: the process's signals are locked. */

/* Makes a signal pending. -EAGAIN: see signal_send_process. */
int pending_add(struct process *process, struct pending_signals *pending, const siginfo_t *info);
/* The same with a timer's entry, which is in no queue. */
void pending_add_queued(struct pending_signals *pending, struct queued_signal *queued);
/* Takes an entry out again. */
void pending_withdraw(struct queued_signal *queued);
/* Drops what is in `set`. */
void pending_discard(struct process *process, struct pending_signals *pending, uint64_t set);
/* Takes the task's next signal, or its process's, of those in `wanted`, and says what is known of it. 0: there is none. */
int signal_take(struct task *task, uint64_t wanted, siginfo_t *info);

/* ---- Sending, with the process's signals locked (signal.c) ---------------------------------------------- */

/* What to do before and after making a signal pending; see signal_send_process. `task` NULL: it is for any. */
bool signal_prepare(struct process *process, struct task *task, int signo); /* false: it is ignored */
void signal_announce(struct process *process, struct task *task, int signo);

/* Who reads signals with signalfd(2): woken when any has come to anybody, as a queue of a process would go with it (signalfd.c). */
extern struct wait_queue signal_readers;

/* Both, and what is between: signal_send_process, signal_send_task. */
int signal_send_locked(struct process *process, struct task *task, const siginfo_t *info);

/* Sets or clears the current task's INTERRUPT_SIGNAL by what is pending. */
void signal_recompute(struct task *task);

/* ---- Stopping and ending, with the process's signals locked (signal_stop.c) ------------------------------ */

void exit_group_locked(struct process *process, int status);
void stop_resume_locked(struct process *process);
/* Have all tasks stopped that should? Then it is stopped from now on, and the parent has to be told. */
bool stop_complete_locked(struct process *process);
/* Lets the process stop, by a signal that the current task has taken. */
void stop_begin_locked(struct process *process, int signo);
/* The current task waits while its process is stopped. Lets go of the lock meanwhile. */
void stop_wait_locked(struct task *task);

/* ---- Delivery (signal_return.c) --------------------------------------------------------------------------- */

/* Sets up the handler's frame and the mask that goes with it. -EFAULT: the frame cannot be written. */
int signal_run_handler(struct task *task, struct trapframe *frame, const struct signal_action *action,
		       const siginfo_t *info);

/* The handler of a signal cannot be called: the task faults, or its program ends (signal_fault.c). */
void signal_frame_failed(struct trapframe *frame, int signo);

/* The alternative stack as sigaltstack(2) shows it, but for SS_ONSTACK. */
stack_t signal_stack(const struct task *task);

/* ---- Timers (timers.c, itimer.c) ---------------------------------------------------------------------------- */

/* Makes the slab cache; once. */
void posix_timers_init(void);
void timerfds_init(void);

void itimers_init(struct process *process);
/* Stops them, for good. No locks held. */
void itimers_end(struct process *process);
/* Deletes timer_create's. The same. */
void timers_delete_all(struct process *process);

/* A timer's signal is being taken: fills in the overruns, and starts it anew. The process's signals are locked. */
void posix_timer_taken(struct posix_timer *timer, siginfo_t *info);
/* SIGALRM is being taken from the process: ITIMER_REAL goes on. The same. */
void real_timer_taken(struct process *process);

#endif
