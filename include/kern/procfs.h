/*
 * File systems of generated text: /proc and /sys (kern/fs/procfs.c).
 *
 * What there is, is in tables: a directory is a table of entries, an entry a file that is written when it is read, a link, or another table. A table
 * below /proc/PID serves all processes. What the files say is in kern/fs/proc_*.c and sysfs.c.
 */
#ifndef KERN_PROCFS_H
#define KERN_PROCFS_H

#include <kern/fs.h>
#include <kern/inode.h>
#include <kern/proc.h>

/* ---- Text in the making ------------------------------------------------------------------------------------ */

/* What does not fit is only counted: then it is made again with more room. */
struct seq {
	char *text;
	size_t room, used;
};

/* Was there too little room? One byte stays free, for the 0 that formatting ends with. */
static inline bool seq_is_full(const struct seq *seq)
{
	return seq->used >= seq->room;
}

void seq_put(struct seq *seq, const char *bytes, size_t count);
void seq_print(struct seq *seq, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number in base 8 to 16, of at least `width` characters, which are at most 32: `pad` before it. What is printed for each mapping goes this way: formats take ten times as long. */
void seq_put_number(struct seq *seq, uint64_t value, unsigned base, size_t width, char pad);
/* As seq_put, with \ooo for what is in `escaped`, and for a backslash. */
void seq_put_escaped(struct seq *seq, const char *bytes, size_t count, const char *escaped);

/*
 * A decimal number, perhaps with white space around it, at *text, which it moves on. -EINVAL: there is none, or it is above `most`.
 */
int proc_parse_number(const char **text, uint64_t most, uint64_t *out);

/* ---- Entries --------------------------------------------------------------------------------------------------- */

/* What an entry is of. */
struct proc_subject {
	struct process *process; /* below /proc/PID: a reference; NULL elsewhere */
	struct task *
		task; /* below /proc/PID/task/TID: a reference; else NULL: the process's first, or one that has ended */
	int number; /* of an entry of a `numbers` directory: the descriptor */
};

/* The numbers that are names in a directory. */
struct proc_numbers {
	/* The first from `from` on; -1: none. */
	int (*next)(const struct proc_subject *subject, int from);
	/* Fills in the subject of an entry, with references. -ENOENT. */
	int (*find)(const struct proc_subject *subject, int number, struct proc_subject *out);
	const struct proc_entry *entry; /* what each of them is; without a name */
};

/* A number that programs may read, and set where the entry's mode says so. -EINVAL beyond its bounds. Locks: (-) constant. */
struct proc_setting {
	_Atomic int *value; /* (-) */
	int least, most;    /* (-) */
};

/* vm.overcommit_memory, its ratio and kbytes; the limit that they mean, in pages (kern/proc/commit.c). */
extern const struct proc_setting overcommit_setting;
int commit_show_ratio(struct seq *seq, const struct proc_subject *subject);
int commit_store_ratio(const struct proc_subject *subject, char *text, size_t bytes);
int commit_show_kbytes(struct seq *seq, const struct proc_subject *subject);
int commit_store_kbytes(const struct proc_subject *subject, char *text, size_t bytes);
uint64_t commit_limit(void);

/* What a `list` says. */
#define SEQ_MORE 0
#define SEQ_END  1

/* Locks: (-) constant. */
struct proc_entry {
	const char *name; /* (-) NULL ends a table */
	uint32_t mode;    /* (-) type and permissions */

	/* (-) Files: writes the text. An error instead, -ESRCH where the process has ended. */
	int (*show)(struct seq *seq, const struct proc_subject *subject);
	/*
	 * (-) Files that are long lists, which are made as they are read: in `show`'s place, writes the list's items from number *at on as long as there is room
	 * (seq_is_full), without the one that did not fit, and leaves in *at where to go on. SEQ_MORE, SEQ_END, or an error.
	 */
	int (*list)(struct seq *seq, const struct proc_subject *subject, uint64_t *at);
	/* (-) Files whose contents are no text: in `show`'s place, moves bytes as file_ops' read does, from a position on. */
	int64_t (*read)(const struct proc_subject *subject, struct io *io, uint64_t position);
	/* (-) Files that can be written: of what a program wrote, with a 0 after it. */
	int (*store)(const struct proc_subject *subject, char *text, size_t bytes);
	const struct proc_setting *setting; /* (-) files of one number: in the place of `show` and `store` */
	/* (-) Links: the target. Its length. */
	int64_t (*target)(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes);
	/* (-) Links that lead to a thing. NULL: to the target. */
	int (*follow)(const struct proc_subject *subject, struct path *out);

	/* (-) Only who may look into the process (task_may_look) may open the file or follow the link: -EACCES. */
	bool guarded;

	const struct proc_entry *children;  /* (-) directories: the table, or NULL */
	const struct proc_numbers *numbers; /* (-) and the numbers that are in it, or NULL */
};

/* The last entry of a task's table: in debug builds, which allocation is to fail (kern/proc/fail_nth.c); else the table's end. */
#ifdef DEBUG
int64_t proc_read_fail_nth(const struct proc_subject *subject, struct io *io, uint64_t position);
int proc_store_fail_nth(const struct proc_subject *subject, char *text, size_t bytes);
#define FAIL_NTH_ENTRY                                                                  \
	{                                                                               \
		.name = "fail-nth", .mode = S_IFREG | 0644, .read = proc_read_fail_nth, \
		.store = proc_store_fail_nth, .guarded = true                           \
	}
#else
#define FAIL_NTH_ENTRY       \
	{                    \
		.name = NULL \
	}
#endif

/* The process whose directory /proc/PID a file is, with a reference; NULL: it is another file. */
struct process *proc_directory_process(const struct file *file);

/* Registers the two types of file systems; once. */
void procfs_init(void);

/* The tables: proc_system.c, proc_process.c, sysfs.c; sysv_proc.c's /proc/sysvipc. */
extern const struct proc_entry proc_root[], proc_process_entry, sys_root[], proc_sysvipc[];

extern const struct proc_numbers proc_processes;

/* POSIX message queues' limits, in the order of their names (kern/fs/mqueue.c): msg_default, msg_max, msgsize_default, msgsize_max, queues_max. */
extern const struct proc_setting mqueue_settings[];

/* /proc/sys/fs/pipe-max-size (kern/fs/pipe.c). */
extern const struct proc_setting pipe_setting;

/* How many mappings /proc/PID/maps lists of a space; may sleep. */
uint64_t proc_count_mappings(struct user_space *space);

/* kernel.core_pattern, and /proc/PID/coredump_filter (kern/proc/core_dump.c). */
int core_show_filter(struct seq *seq, const struct proc_subject *subject);
int core_store_filter(const struct proc_subject *subject, char *text, size_t bytes);
int core_show_pattern(struct seq *seq, const struct proc_subject *subject);
int core_store_pattern(const struct proc_subject *subject, char *text, size_t bytes);

/* The most mappings that a process may have (kern/proc/memory.c). */
extern const struct proc_setting max_map_count_setting;

/* System V IPC's part of /proc/sys/kernel (kern/proc/sysv_proc.c): limits, and what the next identifiers are to be. */
extern const struct proc_setting message_most_setting, queue_bytes_setting, msg_limit_setting,
	shm_limit_setting, msg_next_setting, sem_next_setting, shm_next_setting;
int sysv_show_sem_limits(struct seq *seq, const struct proc_subject *subject);
int sysv_store_sem_limits(const struct proc_subject *subject, char *text, size_t bytes);
int sysv_show_shmmax(struct seq *seq, const struct proc_subject *subject);
int sysv_store_shmmax(const struct proc_subject *subject, char *text, size_t bytes);
int sysv_show_shmall(struct seq *seq, const struct proc_subject *subject);
int sysv_store_shmall(const struct proc_subject *subject, char *text, size_t bytes);

#endif
