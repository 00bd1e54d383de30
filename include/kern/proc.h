/*
 * Processes: what kern/proc shares between its files.
 *
 * The rest of the kernel needs only the few calls in <kern/kern.h>. How a program gets into memory is in
 * kern/proc/exec.c, what it may ask for in syscall.c and the sys_*.c, how it ends in process.c.
 */
#ifndef KERN_PROC_H
#define KERN_PROC_H

#include <kern/elf.h>
#include <kern/kern.h>
#include <kern/queue.h>
#include <kern/sched.h>
#include <kern/signal.h>
#include <linux/resource.h>
#include <vm/vm.h>

/* ---- Strings for a new program (kern/proc/strings.c) ------------------------------------------- */

/* Strings one after another, each ended by a NUL, in memory or in a blob; at the end of the last one in memory it may be missing. */
struct string_pack {
	const char *bytes; /* NULL: in the blob */
	struct blob *blob; /* not a reference */
	uint64_t offset;   /* in the blob */
	size_t size;
};

/* The last part of a path. */
const char *path_last_part(const char *path);

/* How many strings are in a pack. 0, -ENOMEM or -EIO. */
int string_pack_count(const struct string_pack *pack, size_t *count);

/* Makes the pack begin with its second string. 0, -ENOMEM or -EIO. */
int string_pack_drop_first(struct string_pack *pack);

/* Calls `visit` with the offset of each string in the pack, in order, until it returns an error. 0, that error, -ENOMEM or -EIO. */
int string_pack_visit(const struct string_pack *pack, int (*visit)(uint64_t offset, void *context),
		      void *context);

/* Copies of a program's strings on their way to the next program: whole pages go to the blob. Private to strings.c. */
struct string_store {
	struct page *page; /* the bytes that came last */
	size_t in_page;
	struct blob *blob; /* those before; NULL: there are none */
	uint64_t in_blob;
	uint64_t room; /* what they may take in all, with the pointers to them */
};

/* Begins with no strings, and room for `room` bytes. 0 or -ENOMEM; string_store_end frees what is in it. */
int string_store_begin(struct string_store *store, uint64_t room);
void string_store_end(struct string_store *store);

/*
 * Copies the strings of a vector of pointers that ends with NULL; the vector NULL is an empty one. `pack` is what was added, `count`
 * how many. -EFAULT; -E2BIG: no room, or one of STRING_MAX_BYTES; -ENOMEM, -EIO.
 */
#define STRING_MAX_BYTES ((size_t)128 << 10)
int string_store_add_vector(struct string_store *store, vaddr_t vector, struct string_pack *pack,
			    size_t *count);

/* Adds an empty string, as the only one of the pack. */
int string_store_add_empty(struct string_store *store, struct string_pack *pack);

/* Makes the packs of a store usable, when all strings are in. */
int string_store_finish(struct string_store *store, struct string_pack *packs, size_t count);

/* ---- A program's memory (kern/proc/exec.c) ------------------------------------------------------ */

/*
 * Where things are in an arena, from its start: the heap, then mappings, a guard, and the stack at its
 * end.
 */
#define HEAP_MAX_BYTES ((uint64_t)16 << 30)
#define STACK_BYTES    ((uint64_t)8 << 20) /* RLIMIT_STACK of the first process */
#define ADDED_ARENAS   32

/*
 * Strings of argv and envp, and the pointers to them, may take a quarter of the stack, but always the first of these, and never more than the
 * second (execve(2)).
 */
#define ARGUMENTS_SURE_BYTES ((uint64_t)128 << 10)
#define ARGUMENTS_MAX_BYTES  ((uint64_t)6 << 20)

/*
 * Shared by all tasks of a process, and by a vfork's child until it execs. Locks: (a) atomic; (m) its mutex; (p) process_lock; (-) set once.
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
	struct file *program; /* (-) the executable, a reference; NULL: none */
	vaddr_t entry, stack; /* (-) the registers that the program starts with */
	vaddr_t arguments, environment,
		strings_end;         /* (-) where argv's strings begin, envp's, and where those end */
	_Atomic uint64_t most_pages; /* (a) the most that were seen resident */
	_Atomic uint64_t
		joined; /* (a) entries that are no mapping of their own for who lists them, when last counted */
	unsigned spared;     /* (p) marked by no_memory.c: not given up for others */
	struct later ending; /* (-) for user_space_unref_later */
};

/* User or group: real, effective, saved, and the file system's (credentials(7)). */
struct identity {
	uint32_t real, effective, saved, files;
};

/* What a program gets from who starts it, besides its image. */
struct program_start {
	const char *path;          /* AT_EXECFN */
	struct string_pack script; /* what comes before the arguments: an interpreter, and a script's path */
	struct string_pack arguments;   /* argv */
	struct string_pack environment; /* envp */
	uint64_t stack_bytes;           /* how large the stack may become */
	bool secure;                    /* AT_SECURE: the program has rights that its caller did not have */
	struct identity user, group;    /* AT_UID, ... */
};

/*
 * Makes a user space with the program and its interpreter (NULL: it has none) in it, and its stack filled. 0; or -ENOMEM, -EEXIST: they want the same
 * addresses, -EIO; and the reason, and nothing is left of it.
 */
int user_space_create(const struct program_image *program, const struct program_image *interpreter,
		      const struct program_start *start, struct user_space **out, struct reason *reason);

/* Prepares the slab cache of space.c; once. */
void user_spaces_init(void);

/* A space with nothing in it, around a root map, whose reference it takes over. NULL: no memory, and the map is gone. */
struct user_space *user_space_of(struct map *root);

/* A space with what is to be inherited of another (fork(2)). 0 or -ENOMEM. Takes the space's lock. */
int user_space_clone(struct user_space *space, const char *name, struct user_space **out);

/* Notes how many pages are resident now, and says how many at most ever were. */
uint64_t user_space_most_pages(struct user_space *space);

/*
 * Of a mapping's pages, and of all of a space's, those that are in swap. They may sleep; the space is held. Who does not wait counts no further when somebody is
 * changing the mappings.
 */
struct lookup;
uint64_t mapping_swapped_pages(const struct lookup *found);
uint64_t user_space_swapped_pages(struct user_space *space, bool waits);

/* One more holder; one less, the last of which frees all of it: it is active on no CPU then. */
void user_space_ref(struct user_space *space);
void user_space_unref(struct user_space *space);
/* The same with locks held: if it was the last reference, the rest is put off. */
void user_space_unref_later(struct user_space *space);

/* ---- Processes and tasks (kern/proc/process.c, groups.c) -------------------------------------------- */

#define PROCESS_NAME_BYTES 16
#define FIRST_PID          1
#define PID_LIMIT          32768 /* numbers of tasks, processes, groups and sessions are below it */
#define PID_MAX_LEAST      301   /* as low as pid_max() may be set */

/*
 * One spinlock of rank RANK_PROCESS for the table and the tree of processes: numbers, parents and children, groups and
 * sessions, lists of tasks, and what wait(2) sees. It is held for short: nothing is allocated or freed, and nobody waits.
 * What it guards is marked (p).
 */
extern struct spinlock process_lock;

struct process;
struct task;
struct tty;
struct file;
struct file_table;
struct fs_context;
struct undo_list;

/* ---- Credentials (kern/proc/credentials.c) --------------------------------------------------------------- */

/* Supplementary groups; several processes may have the same. Private to credentials.c. */
struct group_list;

/*
 * Whose rights a process has: all its tasks have the same. What is read without the lock may be of before or after a change. Capabilities
 * are kept and given as capabilities(7) says; what they allow is all or nothing (task_capable).
 */
struct credentials {
	struct identity user, group;
	struct group_list *groups; /* a reference; NULL: none */
	uint64_t permitted, usable, inheritable, bounding, ambient;
	bool keeps;           /* PR_SET_KEEPCAPS */
	bool no_more_ambient; /* SECBIT_NO_CAP_AMBIENT_RAISE */
	bool no_new_rights;
};

/* The kernel's: root's, with all capabilities. */
void credentials_init(struct credentials *credentials);
/* A copy, with a reference to the groups; what takes it back. */
void credentials_copy(struct credentials *to, const struct credentials *from);
void credentials_drop(struct credentials *credentials);
/* What an exec makes of them; `user`, `group`: the file's owner where it is set-user-ID or set-group-ID, or -1. */
void credentials_exec(struct credentials *credentials, int64_t user, int64_t group);

/* May the task do what only those may who have the capability (CAP_..., <linux/capability.h>)? */
bool task_capable(const struct task *task, int capability);
/* May the task see, and change, what the process has in its memory (ptrace(2), "Ptrace access mode checking")? */
bool task_may_look(const struct task *task, const struct process *process);
/* The same of those who are root in all but name: CAP_SYS_ADMIN. */
bool task_is_privileged(const struct task *task);
/* Is the process in the group, the file system's one or a supplementary one? Takes process_lock. */
bool credentials_in_group(const struct credentials *credentials, uint32_t group);

/* A session (setsid(2)). Locks: (p) process_lock; (-) set once. */
struct session {
	int id;                    /* (-) */
	uint32_t refs;             /* (p) its groups, and who else keeps it */
	struct tty *terminal;      /* (p) the controlling terminal; NULL: none */
	LIST_ENTRY(session) chain; /* (p) the table's */
};

/* A process group (setpgid(2)). Locks: (p) process_lock; (-) set once. */
struct process_group {
	int id;                          /* (-) */
	struct session *session;         /* (-) a reference */
	TAILQ_HEAD(, process) members;   /* (p) zombies too; the group goes with the last one */
	LIST_ENTRY(process_group) chain; /* (p) the table's */
};

/* An allocation that is to fail (kern/proc/fail_nth.c). Locks: (t) only the task itself; (a) atomic. */
struct fail_nth {
	_Atomic uint32_t left; /* (a) it is the one so many from now; 0: none is to fail */
	bool counts;           /* (t) the task is in a call that began when there was one to fail, ... */
	bool failed;           /* (t) ... and in which it has failed */
};

/* Where a task's memory is to come from: MPOL_* with its flags, and whether node 0 is named, the only one. */
struct memory_policy {
	uint16_t mode;
	bool node;
};

/*
 * A thread of a program: "task", to tell it from the scheduler's thread that it begins with.
 * Locks: (p) process_lock; (t) only the task itself; (a) atomic; (f) the lock of futex_pi.c; (-) set before it runs first.
 */
struct task {
	struct thread thread;          /* (-) the scheduler's */
	_Atomic uint32_t refs;         /* (a) its thread's, until that is dead, and who else looks at it */
	struct process *process;       /* (-) a reference */
	int tid;                       /* (p) the first task's is the pid, and so is that of one that execs */
	bool listed;                   /* (p) it is in the table and in process->tasks */
	char name[PROCESS_NAME_BYTES]; /* (t) */
	TAILQ_ENTRY(task) link;        /* (p) in process->tasks */
	LIST_ENTRY(task) chain;        /* (p) the table's */
	struct task_signals signals;   /* (-) marked in <kern/signal.h> */
	struct file_table *files;      /* (p) to change; a reference. NULL: it has ended */
	struct fs_context *context;    /* (p) to change; a reference. NULL: it has ended */
	int nice;             /* (p) getpriority's; its thread is served as it and the next two say */
	int policy, priority; /* (p) sched_setscheduler's */
	int io_priority;      /* (p) ioprio_set's; kept and told; 0: none was set */
	struct memory_policy memory_policy; /* (t) set_mempolicy's; kept and told */
	bool resets;     /* (p) SCHED_RESET_ON_FORK: its children begin as ordinary tasks */
	vaddr_t set_tid; /* (-) where its tid is to be written when it begins (CLONE_CHILD_SETTID); 0: nowhere */
	vaddr_t clear_tid;   /* (t) set_tid_address's: zeroed, and a futex there woken, when the task ends */
	vaddr_t robust_list; /* (t) set_robust_list's */
	LIST_HEAD(, pi_lock) owned_locks; /* (f) futexes that it owns and others wait for */
	struct pi_lock *waits_for;        /* (f) the one of that kind that it waits for; NULL: none */
	bool owns_no_more;                /* (f) it has given them away, and ends */
	uint64_t failures_seen;           /* (t) page_failures() when a call of it last found no memory */
#ifdef DEBUG
	struct fail_nth fail; /* (-) marked above */
#endif
};

enum process_state {
	PROCESS_ALIVE,
	PROCESS_ZOMBIE, /* its memory and files are gone; wait(2) has not told of it yet */
	PROCESS_GONE    /* it is in no table any more: somebody has a reference */
};

/* CPU time and events, of a process or of its children that were waited for (getrusage(2)). */
struct usage_counts {
	uint64_t user_ns, kernel_ns;
	uint64_t minor_faults, major_faults;
	uint64_t switches, preemptions;
	uint64_t most_pages; /* the most that were resident at a time: of a process, not the sum of several */
};

/*
 * Locks: (p) process_lock; (t) only its tasks, one at a time; (a) atomic; (u) the lock of all semaphores; (-) set before it runs first.
 */
struct process {
	_Atomic uint32_t refs;         /* (a) the table's, its tasks', and who else looks at it */
	int pid;                       /* (-) */
	enum process_state state;      /* (p) */
	struct process *parent;        /* (p) NULL: the kernel, for the first one */
	LIST_HEAD(, process) children; /* (p) zombies too */
	LIST_ENTRY(process) sibling;   /* (p) in parent->children */
	LIST_ENTRY(process) chain;     /* (p) the table's */
	struct process_group *group;   /* (p) */
	TAILQ_ENTRY(process) member;   /* (p) in group->members */
	TAILQ_HEAD(, task) tasks;      /* (p) those that have not ended */
	unsigned task_count;           /* (p) of them */
	char name[PROCESS_NAME_BYTES]; /* (p) to change: its first task's */
	struct user_space *space;      /* (p) to change; a reference. NULL: it has ended */
	bool borrows;                  /* (p) the space is vfork's parent's, who waits */
	bool has_execed; /* (p) since it was forked: its parent may not move it to another group */
	bool adopts;     /* (p) PR_SET_CHILD_SUBREAPER */
	bool adopted;    /* (p) its parent ended: it has another one now */
	bool execing;    /* (p) a task of it waits for the others' end */
	struct credentials credentials; /* (p) to change */
	int exit_signal;                /* (p) what its parent gets at its end; 0: nothing */
	int death_signal;               /* (p) what it gets when its parent ends; 0: nothing */
	int exit_status;                /* (p) as wait(2) gives it */
	struct usage_counts ended;      /* (p) of its tasks that have ended */
	struct usage_counts reaped;     /* (p) of children that were waited for, and theirs */
	struct wait_queue news;         /* (-) woken when a child or a task of it has changed */
	struct process_signals signals; /* (-) marked in <kern/signal.h> */
	bool not_dumpable;              /* (p) PR_SET_DUMPABLE */
	_Atomic unsigned dump_filter;   /* (a) coredump_filter (core(5)): which mappings are in core files */
	bool no_large_pages;            /* (p) PR_SET_THP_DISABLE */
	unsigned slack_ns;              /* (p) PR_SET_TIMERSLACK; 0: nobody has set it */
	unsigned first_slack_ns;        /* (-) what it began with, and what 0 sets again */
	uint32_t personality;           /* (p) personality(2)'s */
	_Atomic int end_adjust;   /* (a) oom_score_adj (proc(5)): OOM_SCORE_ADJ_MIN to OOM_SCORE_ADJ_MAX */
	_Atomic int least_adjust; /* (a) the least of it that is allowed without CAP_SYS_RESOURCE */
	_Atomic uint64_t end_due; /* (a) until when who needs memory waits for its end; 0: nobody did */
	uint64_t start_time;      /* (-) nanoseconds since boot */
	struct rlimit64 limits[RLIM_NLIMITS]; /* (p) to change */
	struct refused_access refused;        /* (t) the one that ended it */
	struct undo_list *undo_list;          /* (u) what semop(2) takes back at its end; NULL: nothing */
};

/* The task that runs on this CPU, in a trap or call from ring 3. Read once, at the trap's or call's entry. */
static inline struct task *task_current(void)
{
	return (struct task *)thread_current();
}

/* Status of a program that cannot be run; 128 + n when signal n ended it. */
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_SIGNAL         128

/* Statuses as wait(2) gives them. */
#define WAIT_EXITED(code)    (((code)&0xff) << 8)
#define WAIT_SIGNALED(signo) ((signo)&0x7f)
#define WAIT_STOPPED(signo)  ((signo) << 8 | 0x7f)
#define WAIT_CONTINUED       0xffff
#define WAIT_CORE            0x80 /* with WAIT_SIGNALED: there is a core file */

/* Prepares the table; once. */
void process_init(void);

/* By number, with a reference that is the caller's; NULL: there is none. The first also finds zombies. */
struct process *process_find(int pid);
struct task *task_find(int tid);

/* The same without a reference; the table is locked, and what is found stays as long as it is. */
struct process *process_find_locked(int pid);
struct task *task_find_locked(int tid);
struct process_group *group_find_locked(int id);
struct session *session_find_locked(int id);

/* The process with the lowest number above `pid`, with a reference: for going through all. NULL: none. */
struct process *process_next(int pid);
/* The same without a reference; the table is locked. */
struct process *process_next_locked(int pid);

/* One more holder; one less: the memory goes with the last one. They do not sleep. */
void process_ref(struct process *process);
void process_unref(struct process *process);
void task_ref(struct task *task);
void task_unref(struct task *task);
static inline void session_ref_locked(struct session *session)
{
	session->refs++;
}
void session_unref_locked(struct session *session);

/* The user space of a process, or the file table of its first task, with a reference that is the caller's; NULL: it has ended. */
struct user_space *process_space(struct process *process);
struct file_table *process_files(struct process *process);

/* What uname(2) says (kern/proc/sys_system.c). */
struct new_utsname;
void system_names(struct new_utsname *out);
/* hostname or domainname: up to the end or a newline, as much as fits. */
void system_set_name(bool domain, const char *text, size_t bytes);

/* How many tasks there may be: /proc/sys/kernel/threads-max. */
unsigned tasks_most(void);

/* Numbers are given below this: /proc/sys/kernel/pid_max. PID_MAX_LEAST to PID_LIMIT, or -EINVAL. */
int pid_max(void);
int pid_max_set(int value);

/* The number that was given last to a task or process. */
int process_last_id(void);

/* How many processes there are, zombies included, and tasks. */
unsigned process_count(void);
unsigned task_count(void);

/* ---- Making them and letting them go, for fork.c, execve.c, exit.c and waitpid.c ------------------------ */

/* A process without tasks, or a task of `process` with its thread, that are in no table; they have one reference. NULL: no memory. */
struct process *process_create(void);
struct task *task_create(struct process *process);
/* Takes back a task that never ran. */
void task_destroy_unrun(struct task *task);

/*
 * Gives a number to a new process and puts it into the table, the tree and its parent's group (the first one: a group and session of its
 * own, given). Or gives one to a task. The table is locked. -EAGAIN: there are too many.
 */
int process_link_locked(struct process *process, struct process *parent);
int task_link_locked(struct task *task, int tid);
#define TID_NEW 0 /* for task_link_locked: any number that is free */

/* The task has ended, or the process has been waited for: out of the table and the tree. The table's reference becomes the caller's. */
void task_unlink_locked(struct task *task);
void process_unlink_locked(struct process *process);

/* Counts of what a process's tasks, also those that live, have used. The table is locked. */
struct usage_counts process_usage_locked(struct process *process);
void usage_add(struct usage_counts *sum, const struct usage_counts *more);

/* ---- Executables (kern/proc/execve.c) ---------------------------------------------------------------- */

/* A program's file, its image, and that of its interpreter: their entities are NULL until executable_load has been. */
struct executable {
	struct file *file;
	struct blob *blob;
	uint64_t bytes;
	struct program_image image;
	struct program_image interpreter; /* its entity stays NULL where the program needs none */
};

/* Opens the file at `path`. -ENOENT, -EACCES, -ENOEXEC: it is empty; -ENOMEM. */
int executable_open(struct executable *executable, struct task *task, int directory, const char *path,
		    unsigned flags);
/*
 * Makes its image, and that of its interpreter, which is sought as `task` does. -ENOEXEC, -ELIBBAD: the interpreter is none, or why it cannot be opened: all
 * with the reason; -ENOMEM, -EIO.
 */
int executable_load(struct executable *executable, struct task *task, const char *path,
		    struct reason *reason);
void executable_close(struct executable *executable);

/* Makes the first session and group. -ENOMEM. */
int groups_begin(struct process *first);
void group_leave_locked(struct process *process);

/* Sets the names of a task, and of its process if it is the first: as much as there is room for. */
void task_set_name(struct task *task, const char *name);

/* A wait status as the one number that the machine is turned off with: 128 + n for signal n. */
int status_of_wait(int wait_status);

/* ---- When there is no memory (kern/proc/no_memory.c) ------------------------------------------------------ */

/* In pages. */
struct process_memory {
	uint64_t resident, swapped, tables;
};

/* What a process has; false: it has none any more. May sleep; mutexes may be held. */
bool process_memory(struct process *process, struct process_memory *out);

/* How much it counts where somebody has to end, in pages, perhaps fewer than none: its memory, and what its oom_score_adj adds. */
int64_t process_weight(const struct process *process, const struct process_memory *memory);
#define PROCESS_NEVER_ENDED INT64_MIN

/* ---- Futexes (kern/proc/futex.c) --------------------------------------------------------------------------- */

void futex_init(void);

/* Wakes up to `count` tasks that wait for the word at `address` of the current task's memory. How many, or -EFAULT. */
int futex_wake(struct task *task, vaddr_t address, unsigned count);

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
#define USAGE_CACHES 64
struct usage {
	uint64_t free_pages, slab_pages, kernel_tables;
	const struct slab_cache *newest; /* of the caches that there were; objects[] goes on from there */
	uint64_t objects[USAGE_CACHES];
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
#define RANDOM_POOL_BITS 256 /* what is said to be known of the state; it never becomes less */
void random_bytes(void *to, size_t bytes);

#endif
