/*
 * Threads, and how they wait: the scheduler, wait queues, mutexes and timers.
 *
 * A thread is a flow of control in the kernel, with a stack of its own; what a program's thread is beyond that
 * is a task (<kern/proc.h>), which begins with one. The kernel is not preempted: a thread runs until it sleeps, or until it is
 * about to return to ring 3 with its turn over. Interrupt handlers take no locks: they note what there is to do
 * (CPU_WORK_...), and threads do it before they return to ring 3, the idle thread at once.
 *
 * Each CPU has a run queue of its own, and a thread stays with its CPU. Who waits for something does it in this
 * order: enter the queue, begin to sleep, look whether it has come already, and only then sleep. A wake in
 * between is not lost. WAIT_EVENT() is that; use it.
 */
#ifndef KERN_SCHED_H
#define KERN_SCHED_H

#include <kern/cpu.h>
#include <kern/later.h>
#include <kern/queue.h>
#include <kern/trap.h>
#include <vm/env.h>

struct map;
struct thread;

#define TIME_NEVER UINT64_MAX /* a deadline that does not come; others are time_nanoseconds() */

/* ---- Timers (kern/core/timer.c) ------------------------------------------------------------------- */

/* What a timer goes by. Who sets the clock changes when those of the time of day fire. */
enum timer_clock {
	TIMER_BOOT, /* nanoseconds since boot */
	TIMER_DAY,  /* nanoseconds since 1970 */
	TIMER_CLOCKS
};

/*
 * Calls `fire` once, when its time has come, in some thread that holds no spinlocks, and no mutexes above RANK_INODE, and that may not sleep then. Embedded in what it is about.
 * Locks: (t) the timer lock of its CPU; (-) set once.
 */
struct timer {
	RB_ENTRY(timer) link;         /* (t) */
	uint64_t when;                /* (t) by its clock */
	enum timer_clock clock;       /* (t) */
	void (*fire)(struct timer *); /* (-) */
	unsigned cpu;                 /* (t) whose queue it is in */
	bool active;                  /* (t) it is in a queue */
	bool firing;                  /* (t) `fire` is being called */
};

void timer_init(struct timer *timer, void (*fire)(struct timer *));

/*
 * (Re)starts it, by the time since boot or by either clock. With a time that has passed it fires soon. Any spinlock of a rank below
 * RANK_TIMER may be held.
 */
void timer_start(struct timer *timer, uint64_t when);
void timer_start_by(struct timer *timer, enum timer_clock clock, uint64_t when);

/*
 * Stops it: it does not fire any more. False: it was not active. timer_cancel_wait also waits until a `fire` that is being called
 * has returned, so that the timer's memory may go: the caller holds no lock that `fire` takes.
 */
bool timer_cancel(struct timer *timer);
bool timer_cancel_wait(struct timer *timer);

/* ---- Threads (kern/core/thread.c, sched.c) --------------------------------------------------------- */

#define THREAD_STACK_BYTES ((size_t)16 << 10) /* with the FPU's saved state at its top */

enum thread_state {
	THREAD_RUNNABLE, /* runs, or would */
	THREAD_SLEEPING, /* waits, or is about to: a wake makes it runnable */
	THREAD_DEAD      /* has run its last instruction, or is about to */
};

/*
 * How urgent a thread is, 0 the most, as sched(7) has it: realtime priorities from 99 down to 1, niceness from -20 to 19, and last SCHED_IDLE.
 * Of realtime threads the most urgent runs; the others share what is left by weight: each step of niceness is a factor of 1.25. A turn is how long others of the same
 * urgency wait.
 */
#define REALTIME_MOST              99 /* the highest realtime priority; the lowest is 1 */
#define NICE_LEAST                 (-20)
#define NICE_MOST                  19
#define URGENCY_REALTIME(priority) ((unsigned)(REALTIME_MOST - (priority)))
#define URGENCY_NICE(nice)         ((unsigned)(REALTIME_MOST + (nice)-NICE_LEAST))
#define URGENCY_IDLE               URGENCY_NICE(NICE_MOST + 1)
#define URGENCIES                  (URGENCY_IDLE + 1)

#define TURN_NS             10000000ull      /* of ordinary threads; less where heavier ones wait */
#define ROUND_ROBIN_TURN_NS 100000000ull     /* of SCHED_RR */
#define TURN_ENDLESS        (UINT64_MAX / 2) /* of SCHED_FIFO: a time since boot can be added to it */

/* What may end a sleep before what it waits for has come. */
enum sleep_mode {
	SLEEP_FIRM,         /* nothing: for waits that are short for sure */
	SLEEP_KILLABLE,     /* INTERRUPT_KILL */
	SLEEP_INTERRUPTIBLE /* any of the bits but INTERRUPT_LATER */
};
#define INTERRUPT_SIGNAL 1u /* there is a signal to be handled */
#define INTERRUPT_KILL   2u /* the thread shall end */
#define INTERRUPT_STOP \
	4u /* the process is being stopped: the thread shall come to where it returns to ring 3 */
#define INTERRUPT_LATER \
	8u /* the thread has put something off until it comes there (<kern/later.h>): ends no sleep */

/*
 * Locks: (q) the run queue's of its CPU; (s) only the thread itself; (a) atomic; (-) set before it runs first.
 */
struct thread {
	vaddr_t saved_rsp; /* (q) while it does not run; first: switch.asm */
	void *stack;       /* (-) NULL: the boot stack */
	vaddr_t stack_top; /* (-) where the kernel is entered from ring 3; 16-byte aligned */
	void *fpu;         /* (s) registers of ring 3 while it does not run; NULL: it never is in ring 3 */
	vaddr_t fs_base, gs_base; /* (s) of ring 3, while it does not run */
	struct map *map;       /* (s) the root whose user memory it uses; NULL: none. Set by thread_use_map */
	const char *name;      /* (-) for messages; not freed */
	void (*entry)(void *); /* (-) */
	void *argument;        /* (-) */
	/* (-) called when it is dead and its stack is given back: frees it. May not sleep */
	void (*release)(struct thread *);
	TAILQ_ENTRY(thread) link; /* (q) in the run queue, in the list of its urgency */
	unsigned
		urgency; /* (q) URGENCY_...; the idle thread's is 0: nobody who comes needs to take the CPU from it */
	uint64_t level;      /* (q) the run queue's bit for that: LEVEL_... (run_queue.h) */
	uint32_t rate;       /* (q) virtual time for CPU time; 0: realtime */
	uint64_t virtual_ns; /* (q) its virtual time */
	uint64_t turn_ns;    /* (q) its turn */
	uint64_t left_ns;    /* (q) of it, when it comes to run */
	enum thread_state
		state; /* (a) only the thread itself begins to sleep; with (q) others make it runnable */
	enum sleep_mode mode;        /* (s) looked at by others, with (q), while it sleeps */
	bool queued;                 /* (q) it is in the run queue */
	unsigned cpu;                /* (-) where it runs */
	_Atomic uint32_t interrupts; /* (a) INTERRUPT_... */
	struct later *put_off;       /* (s) later.c's */
	uint64_t turn_end;           /* (s) nanoseconds since boot */
	uint64_t since;              /* (q) it runs since then */
	uint64_t run_ns;             /* (q) CPU time until it was last switched away from */
	uint64_t
		sampled_ns; /* (q) of its CPU time, what samples have told the place of; its CPU's tick, too */
	uint64_t user_ns;   /* (q) of that, in ring 3; the same */
	uint64_t told_ns;   /* (q) the most that thread_times() said of ring 3 */
	uint64_t faults;    /* (s) page faults of ring 3 that were served, and ... */
	uint64_t major_faults; /* (s) ... those of them that waited for a pager */
	unsigned stalled;      /* (s) calls of env_stall_begin() that have not ended */
	uint64_t switches;     /* (q) how often it gave the CPU away, having to wait */
	uint64_t preemptions;  /* (q) ... its turn being over, or for a more urgent one */
#ifdef DEBUG
	struct lock_record locks; /* (s) mutexes and read-write locks that it holds */
#endif
};

static inline struct thread *thread_current(void)
{
	return this_cpu()->thread;
}

/*
 * Makes a thread, which begins with entry(argument) on a stack of its own after thread_run(). `user`: it will be in ring 3, and has FPU state,
 * which the caller fills in. `thread` is the caller's memory until `release`. -ENOMEM.
 */
int thread_create(struct thread *thread, const char *name, void (*entry)(void *), void *argument, bool user,
		  void (*release)(struct thread *));

/* Where the registers of ring 3 are while the thread is in the kernel: the top of its stack. */
static inline struct trapframe *thread_frame(const struct thread *thread)
{
	return (struct trapframe *)thread->stack_top - 1;
}

/* Lets a new thread run. */
void thread_run(struct thread *thread);

/* Takes back a thread that thread_create made and that never ran; does not call `release`. */
void thread_destroy_unrun(struct thread *thread);

/* Gives back the stacks that are kept for new threads. */
void threads_trim(void);

/* Ends the current thread. It holds no locks. */
_Noreturn void thread_exit(void);

/* Makes the current thread use another root map's user memory, or none; the caller keeps the map alive. */
void thread_use_map(struct map *map);

/* Lets other runnable threads have the CPU. */
void thread_yield(void);

/* The current thread's turn is over: the others of its urgency come first when it returns to ring 3. May be called with any lock. */
void thread_end_turn(void);

/* Serves a thread with an urgency (URGENCY_...) and a turn from now on, whatever it does at the moment. A new one has niceness 0; one that is told to end no less. */
void thread_set_urgency(struct thread *thread, unsigned urgency, uint64_t turn_ns);

/*
 * For long work of a call, between two parts of it: does what has come up meanwhile, timers above all, and lets others have the CPU when the turn
 * is over. No spinlocks are held, mutexes may be; and the thread is not about to sleep.
 */
void thread_do_work(void);
static inline void thread_breathe(void)
{
	if (unlikely(this_cpu()->work != 0))
		thread_do_work();
}

/* CPU time of a thread in nanoseconds, in ring 3 and in the kernel (estimated by samples of the timer's tick). */
struct thread_times {
	uint64_t user_ns, kernel_ns;
};
struct thread_times thread_times(struct thread *thread);

/* How many threads are runnable, on all CPUs; the load that /proc/loadavg and sysinfo show. */
unsigned sched_runnable(void);
/* Nanoseconds that CPUs have been idle since boot. */
uint64_t sched_idle_ns(void);
/* Context switches since boot. */
uint64_t sched_switches(void);

/* ---- Pressure (kern/core/pressure.c) -------------------------------------------------------------------------- */

enum pressure_kind {
	PRESSURE_SOME, /* a thread waits for memory */
	PRESSURE_FULL, /* and no other gets on with its work */
	PRESSURE_KINDS
};

#define PRESSURE_AVERAGES 3 /* over the last 10, 60 and 300 seconds */

struct pressure_figures {
	unsigned hundredths[PRESSURE_AVERAGES]; /* of a percent of the time */
	uint64_t total_us;                      /* since boot */
};
void pressure_figures(enum pressure_kind kind, struct pressure_figures *out);

/* How many threads wait for memory now. */
uint64_t pressure_stalled(void);

/* ---- Sleeping --------------------------------------------------------------------------------------- */

/* The current thread is about to sleep: from now on a thread_wake() counts. */
void thread_sleep_begin(enum sleep_mode mode);

/*
 * Sleeps, unless it was woken since thread_sleep_begin. 0: woken; -ETIMEDOUT: the deadline has come; -EINTR: interrupted, as its mode
 * allows. No spinlocks held.
 */
int thread_sleep(uint64_t deadline);
int thread_sleep_by(enum timer_clock clock, uint64_t deadline);

/* The current thread does not sleep after all. */
void thread_sleep_end(void);

/* Wakes a thread, if it sleeps or is about to. The caller knows that it still exists. */
void thread_wake(struct thread *thread);

/* Sets bits (INTERRUPT_...) and wakes the thread if its mode says so; if it runs, it comes to user_return() soon. */
void thread_interrupt(struct thread *thread, uint32_t bits);
void thread_interrupt_clear(struct thread *thread, uint32_t bits);
/* Shall the current thread come to user_return() soon? For long work that may as well end early. */
static inline bool thread_interrupted(void)
{
	return (thread_current()->interrupts & ~INTERRUPT_LATER) != 0;
}

/* ---- Wait queues (kern/core/wait.c) ------------------------------------------------------------------- */

/*
 * A place in a queue: a thread's, or somebody's who wants to be called (epoll). Locks: (w) the queue's lock; (-) set by who enters it.
 */
struct waiter {
	TAILQ_ENTRY(waiter) link; /* (w) */
	struct wait_queue *queue; /* (w) NULL: in none */
	struct thread *thread;    /* (-) to be woken, if not NULL */
	void (*notify)(
		struct
		waiter *); /* (-) called if not NULL, with the queue's lock held: takes only locks of ranks above RANK_WAIT */
};

/* Locks: (w) the queue's own lock. */
struct wait_queue {
	struct spinlock lock;
	TAILQ_HEAD(, waiter) waiters; /* (w) in order of arrival */
};

#define WAIT_QUEUE_INIT(queue)                                      \
	{                                                           \
		.lock = ENV_SPINLOCK_INIT(RANK_WAIT, "wait queue"), \
		.waiters = TAILQ_HEAD_INITIALIZER((queue).waiters)  \
	}

void wait_queue_init(struct wait_queue *queue);

/* Enters the current thread into a queue; takes it out (it may have been taken out by who destroyed the queue). */
void wait_enter(struct wait_queue *queue, struct waiter *waiter);
void wait_leave(struct waiter *waiter);

/* Enters a waiter whose `thread` and `notify` are filled in already. */
void wait_enter_prepared(struct wait_queue *queue, struct waiter *waiter);

/* Wakes all, or the first `count` that are threads and all that are not. They stay in the queue until they leave it. */
void wait_wake_all(struct wait_queue *queue);
void wait_wake(struct wait_queue *queue, unsigned count);

/* Is nobody in the queue? A glance without the lock: for who knows that nobody can enter who has to be woken. */
static inline bool wait_queue_empty(const struct wait_queue *queue)
{
	return TAILQ_EMPTY(&queue->waiters);
}

/*
 * Waits until `condition`, which is evaluated again and again, by the current thread, with no lock held that it did not hold. 0;
 * -EINTR or -ETIMEDOUT if it does not hold then.
 */
#define WAIT_EVENT(queue, condition, mode, deadline) \
	WAIT_EVENT_BETWEEN(queue, condition, mode, deadline, (void)0, (void)0)

/* The same with a spinlock, or a mutex, held that guards what the condition is about: it is let go while the thread sleeps. */
#define WAIT_EVENT_SPIN(queue, spinlock, condition, mode, deadline) \
	WAIT_EVENT_BETWEEN(queue, condition, mode, deadline, spin_unlock(spinlock), spin_lock(spinlock))
#define WAIT_EVENT_MUTEX(queue, mutex, condition, mode, deadline) \
	WAIT_EVENT_BETWEEN(queue, condition, mode, deadline, mutex_unlock(mutex), mutex_lock(mutex))

#define WAIT_EVENT_BETWEEN(queue, condition, mode, deadline, unlock, relock) \
	({                                                                   \
		struct waiter waiter_;                                       \
		int status_ = 0;                                             \
                                                                             \
		if (!(condition)) {                                          \
			wait_enter(queue, &waiter_);                         \
			for (;;) {                                           \
				thread_sleep_begin(mode);                    \
				if (condition) {                             \
					status_ = 0;                         \
					break;                               \
				}                                            \
				if (status_)                                 \
					break;                               \
				unlock;                                      \
				status_ = thread_sleep(deadline);            \
				relock;                                      \
			}                                                    \
			thread_sleep_end();                                  \
			wait_leave(&waiter_);                                \
		}                                                            \
		status_;                                                     \
	})

/* ---- Mutexes (kern/core/wait.c) ----------------------------------------------------------------------- */

/* Held by a thread, which may sleep; others that want it sleep. Locks: (a) atomic. */
struct mutex {
	struct thread *_Atomic owner; /* (a) */
	_Atomic uint32_t waiting;     /* (a) threads that wait for it, or are about to */
	struct wait_queue queue;      /* (a) its own lock */
#ifdef DEBUG
	struct lock_identity identity; /* (a) set once */
#endif
};

#define MUTEX_INIT(mutex, rank, name)                                              \
	{                                                                          \
		.queue = WAIT_QUEUE_INIT((mutex).queue) MUTEX_IDENTITY(rank, name) \
	}
#ifdef DEBUG
#define MUTEX_IDENTITY(r, n) , .identity = {r, n}
#else
#define MUTEX_IDENTITY(r, n)
#endif

void mutex_init(struct mutex *mutex, enum lock_rank rank, const char *name);
void mutex_lock(struct mutex *mutex);
/* -EINTR where a killing signal ended the wait. */
int mutex_lock_killable(struct mutex *mutex);
bool mutex_trylock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
bool mutex_held(const struct mutex *mutex); /* by the current thread */

/* ---- CPUs' own business (kern/core/sched.c) -------------------------------------------------------------- */

/* What a CPU has to do before it returns to ring 3: bits of percpu.work. Set by anyone with cpu_note_work, also in interrupts. */
#define CPU_WORK_TIMER    1u  /* a timer's time may have come */
#define CPU_WORK_SCHEDULE 2u  /* another thread should run */
#define CPU_WORK_USER     4u  /* the thread has INTERRUPT_ bits */
#define CPU_WORK_SERIAL   8u  /* a serial port has something */
#define CPU_WORK_BLOCK    16u /* a block device has answered */
#define CPU_WORK_STACKS   32u /* there are more spare stacks than are kept */

void cpu_note_work(uint32_t bits);

/* The timer's interrupt; interrupts off. `user`: it came while ring 3 ran. */
void sched_tick(bool user);

/* Called by vectors.asm with interrupts off when there is work, on the way back to ring 3; returns with interrupts off and none left. */
void return_work(struct trapframe *frame);

/* Called there with interrupts on: what INTERRUPT_ bits ask for (kern/proc). It may end the thread, or change the frame. */
void user_return(struct trapframe *frame);

/* Called where CPU_WORK_SERIAL was noted, in some thread that holds no spinlocks, and no mutexes above RANK_INODE (kern/dev). */
void serial_work(void);

/* Makes the queues in which threads wait for read-write locks (kern/core/lock.c). Once, before the scheduler starts. */
void locks_init(void);

/* Starts the scheduler on the boot CPU: the caller is its idle thread from now on. Once, before any thread is made. */
void sched_init(void);

/* What idle threads do; the boot thread when all is started. */
_Noreturn void sched_idle(void);

#endif
