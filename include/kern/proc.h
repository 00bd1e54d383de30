/*
 * Processes: what kern/proc shares between its files.
 *
 * The rest of the kernel needs only the few calls in <kern/kern.h>. How a program gets into memory is in
 * kern/proc/exec.c, what it may ask for in syscall.c and the sys_*.c, how it ends in process.c.
 */
#ifndef KERN_PROC_H
#define KERN_PROC_H

#include <kern/kern.h>
#include <kern/sched.h>
#include <kern/signal.h>
#include <linux/resource.h>
#include <vm/vm.h>

/* ---- Strings for a new program --------------------------------------------------------------- */

/* Strings one after another, each ended by a NUL; at the end of the last one it may be missing. */
struct string_pack {
	const char *bytes;
	size_t size;
};

/* How many strings are in a pack. */
size_t string_pack_count(const struct string_pack *pack);

/* ---- ELF (kern/proc/elf.c) ------------------------------------------------------------------- */

/* One line of text that says why a program cannot be run. */
#define REASON_BYTES 192
struct reason {
	char text[REASON_BYTES];
};

/* An executable, ready to be mapped. Addresses are as linked: add (where it is) - start. */
struct program_image {
	struct entity *entity;
	vaddr_t start;   /* where the entity was linked to be */
	uint64_t align;  /* what its place must be a multiple of */
	bool relocates;  /* may be anywhere: position independent */
	vaddr_t entry;   /* the first instruction */
	vaddr_t headers; /* the program headers in memory; 0: not in memory */
	uint16_t header_count;
};

/*
 * Makes an entity of the executable that fills the first `bytes` of `file`; checks all of it before it makes
 * anything. The caller owns image->entity. -ENOEXEC with the reason, -ENOMEM, or -EIO.
 */
int elf_load(struct blob *file, uint64_t bytes, const char *name, struct program_image *image,
	     struct reason *reason);

/* Prepares the slab cache of elf.c; once. */
void elf_init(void);

/* ---- A program's memory (kern/proc/exec.c) ------------------------------------------------------ */

/*
 * Where things are in an arena, from its start: the heap, then mappings, a guard, and the stack at its
 * end.
 */
#define HEAP_MAX_BYTES      ((uint64_t)16 << 30)
#define STACK_BYTES         ((uint64_t)8 << 20)
#define STACK_GUARD_BYTES   ((uint64_t)64 << 10)
#define ADDED_ARENAS        32
#define ARGUMENTS_MAX_BYTES ((size_t)128 << 10) /* strings of argv and envp, and the pointers to them */

/*
 * Shared by all tasks of a process, and by a vfork's child until it execs. Locks: (a) atomic; (m) its mutex; (-) set once.
 */
struct user_space {
	_Atomic uint32_t refs; /* (a) processes, and others who look at it */
	struct mutex
		lock; /* (m) RANK_SPACE: one change of the layout at a time, with the limits it has to keep */
	struct map *root;                /* (-) */
	struct map *arena;               /* (-) a submap of root, which owns it */
	struct map *added[ADDED_ARENAS]; /* (m) more of them, for what has no room; the rest NULL */
	vaddr_t heap_start;              /* (-) */
	vaddr_t heap_end;                /* (m) what brk(2) says: any alignment */
	vaddr_t mmap_low, mmap_high;     /* (-) where mappings go that have no wish */
	unsigned lock_future; /* (m) mlockall's MCL_FUTURE and MCL_ONFAULT: how new mappings are locked */
	unsigned barriers;    /* (m) what membarrier(2) was registered for */
	vaddr_t entry, stack; /* (-) the registers that the program starts with */
};

/*
 * Makes a user space and puts the program of the boot file `path` in it, with its stack filled. 0; or
 * a negative errno and the reason, and nothing is left of it.
 */
int user_space_create(const char *path, const struct string_pack *arguments,
		      const struct string_pack *environment, struct user_space **out, struct reason *reason);

/* Prepares the slab cache of exec.c; once. */
void exec_init(void);

/* One more holder; one less, the last of which frees all of it: it is active on no CPU then. */
void user_space_ref(struct user_space *space);
void user_space_unref(struct user_space *space);

/* ---- Processes and tasks (kern/proc/process.c) ---------------------------------------------------- */

#define PROCESS_NAME_BYTES 16
#define FIRST_PID          1

#define STANDARD_DESCRIPTORS 3

struct process;

/*
 * A thread of a program: "task", to tell it from the scheduler's thread that it begins with.
 * Locks: (p) the process table's lock; (t) only the task itself; (-) set before it runs first.
 */
struct task {
	struct thread thread;        /* (-) the scheduler's */
	struct process *process;     /* (-) */
	int tid;                     /* (-) the first task's is the pid */
	TAILQ_ENTRY(task) link;      /* (p) in process->tasks */
	struct task_signals signals; /* (-) marked in <kern/signal.h> */
	vaddr_t clear_tid;   /* (t) set_tid_address's: zeroed, and a futex there woken, when the task ends */
	vaddr_t robust_list; /* (t) set_robust_list's */
};

/*
 * Locks: (p) the process table's lock; (t) only its tasks, one at a time; (-) set before it runs first.
 */
struct process {
	int pid;                              /* (-) */
	int parent;                           /* (p) the parent's pid; 0: the kernel's */
	char name[PROCESS_NAME_BYTES];        /* (t) */
	TAILQ_HEAD(, task) tasks;             /* (p) */
	struct user_space *space;             /* (t) a reference */
	struct process_signals signals;       /* (-) marked in <kern/signal.h> */
	uint64_t start_time;                  /* (-) nanoseconds since boot */
	struct rlimit64 limits[RLIM_NLIMITS]; /* (t) */
	struct refused_access refused;        /* (t) the one that ended it */
	bool open[STANDARD_DESCRIPTORS];      /* (t) descriptors that are not closed */
};

/* The task that runs on this CPU, in a trap or call from ring 3. Read once, at the trap's or call's entry. */
static inline struct task *task_current(void)
{
	return (struct task *)thread_current();
}

/* Status of a program that cannot be run; 128 + n when signal n ended it. */
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_SIGNAL         128

/*
 * Makes the first process out of the boot file `path` and lets it run. 0, or an error with the reason; then nothing is left of it.
 */
int process_run_first(const char *path, const struct string_pack *arguments,
		      const struct string_pack *environment, struct reason *reason);

/* Ends the current process with `status`; with the first one, the system. */
_Noreturn void process_exit(struct task *task, int status);

/* ---- Statistics (kern/proc/stats.c) --------------------------------------------------------------- */

/* Formats one entry as map_list() in <kern/phoenix_abi.h> says, without a newline. As env_format. */
int stats_format_entry(char *line, size_t bytes, const struct entry_info *entry);

/*
 * Print on the console: the process's map tree, with what happened in each entry; faults by case, pages by state and
 * page-table sizes; all of it, and what vm_explain() says of the addresses that matter.
 */
void stats_print_map(struct process *process);
void stats_print_totals(struct process *process);
void stats_print(struct process *process);

/* The length to which a line of vm_explain()'s is printed: enough for a few submaps. */
#define EXPLAIN_BYTES 320

/* Prints what vm_explain() says of an access, after `what`. */
void stats_print_access(struct process *process, const char *what, vaddr_t address, vm_prot_t access);

/* What was in use before a program started, to tell afterwards whether all of it came back. */
struct usage {
	uint64_t free_pages, slab_pages, kernel_tables;
	uint64_t slab_objects;
};
struct usage usage_now(void);

/* Logs what is missing since `before`, if anything is. */
void usage_check(const struct usage *before);

/* ---- The monitor (kern/proc/monitor.c) ------------------------------------------------------------- */

/* When the monitor may stop a process. */
enum monitor_event { MONITOR_START, MONITOR_CRASH, MONITOR_EXIT, MONITOR_EVENTS };

/* Reads from the command line when it shall; once. */
void monitor_init(void);

/*
 * If it shall: takes commands from the console until one says to go on. `status` is what the process ends with, as far as
 * that is known. No locks held; may sleep.
 */
void monitor_stop(struct process *process, enum monitor_event event, int status);

/* ---- Random bytes (kern/proc/random.c) --------------------------------------------------------------- */

/* Fills `to` from the CPU's generator, or, where it has none, from its time stamps: not for secrets then. */
void random_bytes(void *to, size_t bytes);

/*
 * ---- Program input and output (kern/proc/sys_io.c)
 * ------------------------------------------------------
 */

/* Reads from the command line which serial ports carry the descriptors 0 to 2; once. */
void program_io_init(void);

#endif
