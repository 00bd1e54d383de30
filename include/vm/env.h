/*
 * The boundary between the VM core and the rest of the kernel.
 *
 * kern/vm uses what is declared here and nothing else of the system around it. Who lifts the
 * VM into another kernel provides a <vm/env_impl.h> with these things in it; the kernel's own
 * is include/kern/vm/env_impl.h, the host harness's is tests/host/include/vm/env_impl.h, with real
 * pthread locks, so that the thread sanitizer means something.
 *
 * env_impl.h defines:
 *
 *   struct spinlock, struct rwlock
 *       with ENV_SPINLOCK_INIT(rank, name) to initialize a static spinlock.
 *   page_array
 *       an expression: the `struct page *` that describes physical frame 0 (entries exist only
 *       for frames that are RAM or that page_add_device() was told of).
 *   void *env_phys_to_virt(paddr_t pa)
 *       the address at which the kernel always sees physical RAM address `pa`.
 *   paddr_t env_virt_to_phys(const void *address)
 *       the inverse: `address` is one that env_phys_to_virt could have returned.
 *   unsigned env_cpu(void)
 *       this CPU's number, below ENV_MAX_CPUS; exact only while the caller cannot move.
 *   ENV_MAX_CPUS
 *
 * and, as inline functions, the locks declared below.
 */
#ifndef VM_ENV_H
#define VM_ENV_H

#include <vm/types.h>

struct page;

/*
 * Lock ranks. A thread takes locks in increasing order of rank; two of one rank only where the
 * name says so. Debug builds (DEBUG=1) check it at run time.
 *
 *   what is around the VM -> root map -> shared submap -> blob family -> store -> pmap -> slab cache -> a CPU's pages ->
 *   buddy allocator -> block device -> wait queue -> timers -> run queue -> console -> serial port
 */
enum lock_rank {
	RANK_NONE, /* not checked */
	/* Of the kernel around the VM; the VM takes none of them, and its callers may hold them. */
	RANK_EXEC,      /* one exec, or change of threads, in a process at a time */
	RANK_SPACE,     /* a user space's heap, arenas and limits */
	RANK_POLL,      /* epoll instances */
	RANK_FILE,      /* an open file's position */
	RANK_NAMESPACE, /* the tree of file names */
	RANK_INODE,     /* a file's contents and attributes; pipes, sockets, serial streams */
	RANK_PASSING,   /* files on their way through sockets */
	RANK_TTY,       /* a terminal */
	RANK_FILES,     /* a table of descriptors */
	RANK_SHORTAGE,  /* who is to end for want of memory */
	RANK_PROCESS,   /* the table and tree of processes */
	RANK_SIGNAL,    /* a process's signals */
	RANK_FUTEX,     /* a bucket of futex waiters */
	RANK_FUTEX_PI,  /* futexes that have an owner */
	RANK_MAP_ROOT,
	RANK_MAP_SHARED,
	RANK_ENTITY,
	RANK_FAMILIES, /* the list of all families */
	RANK_FAMILY,
	RANK_RETURNED, /* pages that came back from a store */
	RANK_STORE,    /* of pagers that take pages: who has which location */
	RANK_PMAP,
	RANK_SLAB,
	RANK_PAGES,    /* a CPU's cache of free pages */
	RANK_BUDDY,    /* the page allocator's lists */
	RANK_BLOCK,    /* a block device's requests */
	RANK_WAIT,     /* a wait queue */
	RANK_READY,    /* the files of an epoll instance that may be ready */
	RANK_TIMER,    /* a CPU's timers */
	RANK_RUN,      /* a CPU's run queue */
	RANK_PRESSURE, /* how much time was lost */
	RANK_CONSOLE,
	RANK_SERIAL, /* a serial port's input */
};

#include <vm/env_impl.h>

/* Spinlocks: held for short, bounded times; the holder does not sleep and takes no page fault. */
static inline void spin_init(struct spinlock *lock, enum lock_rank rank, const char *name);
static inline void spin_lock(struct spinlock *lock);
static inline bool spin_trylock(struct spinlock *lock);
static inline void spin_unlock(struct spinlock *lock);
static inline bool spin_held(const struct spinlock *lock); /* by this CPU; for assertions */

/* Read-write locks: many readers or one writer; the holder may sleep. Not recursive. */
static inline void rw_init(struct rwlock *lock, enum lock_rank rank, const char *name);
static inline void rw_read_lock(struct rwlock *lock);
static inline void rw_read_unlock(struct rwlock *lock);
static inline void rw_write_lock(struct rwlock *lock);
static inline void rw_write_unlock(struct rwlock *lock);
static inline bool rw_held(const struct rwlock *lock);       /* by anyone, either way; for assertions */
static inline bool rw_held_write(const struct rwlock *lock); /* by anyone, to write; for assertions */

/*
 * Makes the descriptors of the frames in [start, end) exist, page aligned and not RAM: those that did
 * not are zero, those that did keep their contents. 0, or -ENOMEM (then some may have come to
 * exist). Serializes callers itself; called without locks, it may allocate pages.
 */
int env_page_array_extend(paddr_t start, paddr_t end);

/* Ends the system (on the host: the test) with a message. Only for broken kernel invariants. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line for the console; no newline at its end. May be called with any lock but RANK_CONSOLE. */
void env_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Memory is short, and somebody should call vm_reclaim() soon (<vm/swap.h>). May be called again and again, and with any lock that comes before
 * RANK_WAIT.
 */
void env_memory_low(void);

/*
 * The thread waits for memory from here on, or sees to it that there is some, until the second is called: for figures of how much is lost by that. They nest. Any
 * lock that comes before RANK_RUN may be held.
 */
void env_stall_begin(void);
void env_stall_end(void);

/* Long work comes by here between two parts: what has come up is done, timers above all, and others may have the CPU. Called without spinlocks; may sleep. */
void env_breathe(void);

/* As snprintf, without floating point. */
int env_format(char *buffer, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The compiler may call these four whatever we write; string.h's contracts hold. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);
size_t strlen(const char *string);
int strcmp(const char *left, const char *right);

/* For hot paths: which way a condition mostly goes. */
#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* An invariant of the kernel itself: checked in every build, so keep the condition cheap. */
#define ASSERT(condition)                                                                        \
	do {                                                                                     \
		if (unlikely(!(condition)))                                                      \
			panic("assertion failed: %s, at %s:%d", #condition, __FILE__, __LINE__); \
	} while (0)

/* The same for what is too costly to check always, or too hot: only in debug builds. */
#ifdef DEBUG
#define DEBUG_ASSERT(condition) ASSERT(condition)
#else
#define DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
