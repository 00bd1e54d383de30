/*
 * Files: what descriptors, open files and file systems are to each other.
 *
 * A process has a table of descriptors; a descriptor leads to an open file (struct file: position, flags), which may be
 * shared with other descriptors and processes; an open file is of an inode, a thing with contents and attributes; and names
 * lead to inodes. What kinds of files there are: regular files and directories of the RAM file system (kern/fs/ramfs*.c), whose contents are
 * blobs; devices; pipes, sockets and other files without a name; /proc. Each brings a table of operations.
 *
 * Functions return 0 (or what they say) or a negative errno.
 */
#ifndef KERN_FS_H
#define KERN_FS_H

#include <kern/sched.h>
#include <linux/stat.h>
#include <vm/vm.h>

struct task;
struct process;
struct file;
struct inode;
struct poll_table;

/* ---- Moving bytes (kern/fs/io.c) --------------------------------------------------------------------- */

/* Where the bytes of a read go, or those of a write come from: a list of user memory, or kernel memory. */
struct io {
	const struct iovec
		*parts; /* user memory, checked for addresses that no user can have; NULL: `kernel` */
	size_t count;   /* parts left, the first of which may be used in part */
	uint64_t used;  /* bytes of the first part that are done */
	char *kernel;   /* kernel memory that is left */
	uint64_t left;  /* bytes left in all */
	uint64_t limit; /* no file may become longer by it: RLIMIT_FSIZE */
	bool sets_id;   /* what is written to stays set-user-ID: CAP_FSETID */
	bool writing;   /* from the program to the file */
	bool no_wait;   /* as if a pipe had O_NONBLOCK */
};

void io_init_kernel(struct io *io, void *memory, uint64_t bytes, bool writing);

/* As Linux: a buffer that no program can have is an error however little of it would be used. Not one that only is not mapped. */
bool io_may_be_buffer(vaddr_t start, uint64_t bytes);

/*
 * User memory: `parts` stays the caller's. -EFAULT where no program can have such buffers, -EINVAL where their lengths make no sense. Of more than
 * IO_MAX_BYTES only so many are moved, as Linux does.
 */
#define IO_MAX_BYTES 0x7ffff000ul
int io_init_user(struct io *io, const struct iovec *parts, size_t count, bool writing);

/*
 * Move bytes between kernel memory and the io, and it on. They take page faults: no spinlocks held. How many bytes were moved: fewer than `bytes` (at most
 * io->left) where the program's memory is bad from there on; -EFAULT if that is at the first.
 */
int64_t io_put(struct io *io, const void *from, uint64_t bytes); /* for reads: to the program */
int64_t io_get(struct io *io, void *to, uint64_t bytes);         /* for writes: from the program */
void io_skip(struct io *io, uint64_t bytes); /* as if they had been moved; at most io->left */

/*
 * Moves up to `bytes` between a blob, from `offset` on, and the io: from page to page without a copy in between. How many, or an error if none:
 * -EFAULT, -ENOMEM, -EIO, -ENXIO (beyond the blob's extent). No spinlocks held.
 */
int64_t io_move_blob(struct io *io, struct blob *blob, uint64_t offset, uint64_t bytes);

/* ---- Open files -------------------------------------------------------------------------------------- */

/* What mmap asks of a file. */
struct mmap_request {
	uint64_t offset; /* in bytes, page aligned */
	uint64_t bytes;
	bool shared;
	vm_prot_t prot, max_prot; /* the file may lower max_prot */
	struct blob *blob;        /* out: a reference; NULL: anonymous memory is meant (/dev/zero) */
	pgoff_t blob_offset;      /* out */
	bool device;              /* out: a device's memory */
};

struct file_ops {
	const char *name; /* for listings: "pipe", "socket", "anon_inode:[eventpoll]" */

	/*
	 * Move bytes at *position, which they advance (files without positions leave it). How many; 0: the end; -EAGAIN where it would wait and
	 * `file->flags` has O_NONBLOCK; -EINTR (as -ERESTARTSYS: see signal.h) where a signal ended the wait. NULL: -EINVAL.
	 */
	int64_t (*read)(struct file *file, struct io *io, uint64_t *position);
	int64_t (*write)(struct file *file, struct io *io, uint64_t *position);

	int64_t (*seek)(struct file *file, int64_t offset, int whence); /* NULL: -ESPIPE */

	/* What is possible now (EPOLLIN, EPOLLOUT, ...); puts the table's waiter into the queues that say when that changes, if it is not NULL. */
	uint32_t (*poll)(struct file *file,
			 struct poll_table *table); /* NULL: always readable and writable */

	int64_t (*ioctl)(struct file *file, struct task *task, unsigned request,
			 uint64_t argument);                          /* NULL: -ENOTTY */
	int (*mmap)(struct file *file, struct mmap_request *request); /* NULL: -ENODEV */

	/* Directory entries from *position on: calls `emit` for each until it returns nonzero (the buffer is full). NULL: -ENOTDIR. */
	int (*readdir)(struct file *file, uint64_t *position,
		       int (*emit)(void *context, const char *name, size_t length, uint64_t ino,
				   unsigned type, uint64_t next_position),
		       void *context);

	/* fcntl's commands that are not for all files (F_SETPIPE_SZ). NULL: -EINVAL. */
	int64_t (*control)(struct file *file, struct task *task, int command, uint64_t argument);

	int (*flush)(struct file *file,
		     struct process *process); /* a descriptor of it is closed; NULL: nothing to do */
	void (*release)(struct file *file);    /* the last reference is gone */
};

/* Locks: (a) atomic; (o) the file's lock; (-) set when it is opened. */
struct file {
	_Atomic uint32_t refs;      /* (a) descriptors, calls under way, mappings */
	const struct file_ops *ops; /* (-) */
	struct inode *inode;    /* (-) a reference; files without names have one, too: fstat works on all */
	struct name *name;      /* (-) the name it was opened by, a reference; NULL: none */
	_Atomic uint32_t flags; /* (a) O_...: those that fcntl may change, and the access mode */
	struct mutex lock;      /* (o) RANK_FILE */
	uint64_t position;      /* (o) */
	void *private;          /* (-) the operations' */
	int use;                /* (-) INODE_...: ended with the file */
	struct later ending;    /* (-) for file_unref_later */
	LIST_HEAD(, epoll_item) watchers; /* (-) epoll.c's */
};

/* Makes an open file, with one reference; takes over the references to inode and name. NULL: no memory, and then they are dropped. */
struct file *file_create(const struct file_ops *ops, struct inode *inode, struct name *name, uint32_t flags,
			 void *private);
/* The same in two steps, for who is not to fail once he has done something: memory for it, or NULL; file_begin() or file_cancel(). */
struct file *file_reserve(void);
void file_begin(struct file *file, const struct file_ops *ops, struct inode *inode, struct name *name,
		uint32_t flags, void *private);
void file_cancel(struct file *file);
static inline struct file *file_ref(struct file *file)
{
	file->refs++;
	return file;
}
void file_unref(struct file *file);
/* The same with locks held: if it was the last reference, the rest is put off. */
void file_unref_later(struct file *file);

/* Kernel's reads and writes at a position, to and from kernel memory. Bytes, or an error. */
int64_t file_read_at(struct file *file, void *to, uint64_t bytes, uint64_t position);
int64_t file_write_at(struct file *file, const void *from, uint64_t bytes, uint64_t position);

/* Moves bytes where the descriptor's position is, or at *position if that is not NULL. As read(2), write(2), pread(2), pwrite(2). */
int64_t file_read(struct file *file, struct io *io, uint64_t *position);
int64_t file_write(struct file *file, struct io *io, uint64_t *position);

/* lseek(2), ioctl(2), fcntl(2) for what is not about descriptors, ftruncate(2), fallocate(2). */
int64_t file_seek(struct file *file, int64_t offset, int whence);
int64_t file_ioctl(struct file *file, struct task *task, int descriptor, unsigned request, uint64_t argument);
int64_t file_control(struct file *file, struct task *task, int descriptor, int command, uint64_t argument);
int file_flock(struct file *file, unsigned operation); /* flock(2) */
int file_truncate(struct file *file, struct task *task, uint64_t bytes);
int file_allocate(struct file *file, struct task *task, unsigned mode, int64_t from, int64_t bytes);

/* ---- Polling (kern/fs/poll.c; more in <kern/poll.h>) --------------------------------------------------- */

/* Enters whoever polls into a queue; `table` may be NULL. */
void poll_wait(struct poll_table *table, struct wait_queue *queue);

/* What a file can do now; fills the table's waiters if it is not NULL. */
uint32_t file_poll(struct file *file, struct poll_table *table);

/* ---- Descriptors (kern/fs/descriptors.c) --------------------------------------------------------------- */

/* A process's, or several processes' (CLONE_FILES). */
struct file_table;

int file_table_create(struct file_table **out);
int file_table_copy(struct file_table *table,
		    struct file_table **out); /* fork: each open file gets a reference */
void file_table_ref(struct file_table *table);
void file_table_unref(struct file_table *table, struct process *process); /* the last one closes them all */
void file_table_unref_later(struct file_table *table); /* with locks held, by who only looked */
void file_table_close_on_exec(struct file_table *table, struct process *process);

/* The open file of a descriptor, with a reference; NULL: -EBADF, which it also is if it was opened with O_PATH; unless _any. */
struct file *descriptor_get(struct task *task, int descriptor);
struct file *descriptor_get_any(struct task *task, int descriptor);

/* The lowest free descriptor from `lowest` on becomes `file`'s, which takes over the reference on success. -EMFILE, -ENOMEM. `flags`: O_CLOEXEC. */
int descriptor_install(struct task *task, struct file *file, int lowest, unsigned flags);

/*
 * The same in two steps, for who must not fail after opening: a descriptor that is nobody's yet (-EMFILE, -ENOMEM), and then either its file,
 * whose reference is taken over, or its return.
 */
int descriptor_reserve(struct task *task, int lowest);
void descriptor_fill(struct task *task, int descriptor, struct file *file, unsigned flags);
void descriptor_cancel(struct task *task, int descriptor);

/* How many descriptors there can be in the table as it is: all that are open are below that, and at least 64. */
unsigned file_table_size(struct file_table *table);

/* close(2): -EBADF. */
int descriptor_close(struct task *task, int descriptor);
/* Makes `descriptor` the file's, whatever it was before: dup3(2). Takes over the reference on success. -EBADF, -EBUSY, -ENOMEM. */
int descriptor_replace(struct task *task, int descriptor, struct file *file, unsigned flags);
/* FD_CLOEXEC of an open descriptor; -EBADF. `set`: -1 asks only. */
int descriptor_flags(struct task *task, int descriptor, int set);
/* The first descriptor from `from` on that is open, with its file (a reference) if `out` is not NULL; -1: none. For listings, and for closing ranges. */
int descriptor_next(struct file_table *table, int from, struct file **out);
/* What listings say of an open descriptor. -ENOENT. */
struct descriptor_info {
	uint64_t position;
	uint32_t flags, device;
	uint64_t inode;
};
int descriptor_describe(struct file_table *table, int descriptor, struct descriptor_info *out);
/* What the file of a descriptor is of: references. -ENOENT. May be called with names_lock held, as a file's last reference may not be dropped. */
struct path;
int descriptor_path(struct file_table *table, int descriptor, struct path *out);

/* The process has its table for itself from now on (unshare(2), CLOSE_RANGE_UNSHARE). -ENOMEM. */
int files_unshare(struct task *task);

/* ---- Names (kern/fs/path.c) ---------------------------------------------------------------------------- */

/* Where a process's paths begin, and its umask; shared by CLONE_FS. */
struct fs_context;
int fs_context_create(struct fs_context **out); /* the root directory, umask 022 */
int fs_context_copy(struct fs_context *context, struct fs_context **out);
void fs_context_ref(struct fs_context *context);
void fs_context_unref(struct fs_context *context);

/*
 * Opens a path of kernel memory, or of a descriptor's directory (AT_FDCWD), as openat(2); with `task`'s rights and context.
 */
int fs_open(struct task *task, int directory, const char *path, unsigned flags, unsigned mode,
	    struct file **out);

/* Opens a program: a regular file that may be executed, -EACCES else; -ETXTBSY: it is open for writing. `flags`: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
int fs_open_exec(struct task *task, int directory, const char *path, unsigned flags, struct file **out);

/* The file's contents as a blob (a reference), and its length in bytes. -EACCES: not a regular file. */
int file_contents(struct file *file, struct blob **blob, uint64_t *bytes);

/* The absolute path of an open file, for /proc and listings; "name (deleted)", or "pipe:[INO]". Its length; cut at `bytes`. Takes names_lock. */
size_t file_path(struct file *file, char *to, size_t bytes);

/* A label for a mapping of the file (<vm/vm.h>): a reference. NULL: no memory. */
struct map_label *file_label(struct file *file);

/* The open file that a label is of, for as long as the label is held; NULL: it is none of a file's. */
struct file *label_file(struct map_label *label);

/* ---- Start ----------------------------------------------------------------------------------------------- */

/* Makes the root file system out of the boot archive, and what is mounted in it. Once, in a thread. */
void fs_init(void);

/* Frees all of it again, when no process is left: what is not free then has leaked. */
void fs_end(void);

#endif
