/*
 * Polling: what a file can do now, and being told when that changes.
 *
 * A file's poll operation calls poll_wait() for the queues that it wakes, at most POLL_QUEUES of them, and then looks. Who polls brings a table: threads that
 * wait for several files one of kern/fs/poll.c's, an epoll instance one of its own.
 */
#ifndef KERN_POLL_H
#define KERN_POLL_H

#include <kern/fs.h>

#define POLL_QUEUES 2

struct poll_table {
	void (*enter)(struct poll_table *table, struct wait_queue *queue);
};

/* ---- Waiting for several files (kern/fs/poll.c) ------------------------------------------------------------- */

#define POLL_FEW_WAITERS 24

struct waiter_chunk;

/* Waiters of one thread: a few without any allocation, more in chunks. On the thread's stack. */
struct poll_waiters {
	struct poll_table table;
	unsigned used; /* of `few` */
	struct waiter few[POLL_FEW_WAITERS];
	struct waiter_chunk *more;
	int error; /* -ENOMEM: some queue was not entered */
};

/* One file of those that are waited for. */
struct poll_entry {
	struct file *file; /* a reference; NULL: none, and it is never ready */
	int descriptor;
	uint32_t events;  /* what is asked for; EPOLLERR and EPOLLHUP always are */
	uint32_t revents; /* out */
};

/*
 * Waits until one of the files is ready, in `revents`, or the deadline has come. How many are ready; 0: the time is over; -EINTR: a signal; -ENOMEM.
 */
int64_t poll_files(struct poll_entry *entries, size_t count, uint64_t deadline);

/* Makes slab caches; once. */
void polls_init(void);
void epolls_init(void);
void eventfds_init(void);

/* ---- epoll (kern/fs/epoll.c) ------------------------------------------------------------------------------------ */

struct epoll_event;

/* A new instance. NULL: no memory. */
struct file *epoll_create_file(void);

/* epoll_ctl(2): `event` is NULL for EPOLL_CTL_DEL. The caller holds references to both files. */
int epoll_control(struct file *epoll, int operation, struct file *file, int descriptor,
		  const struct epoll_event *event);

/* epoll_wait(2), with a deadline; the events are put into user memory. How many; -EINVAL: it is no epoll instance; -EFAULT, -EINTR. */
int64_t epoll_wait_user(struct file *epoll, vaddr_t events, size_t most, uint64_t deadline);

/* The last reference to a file is about to go: it is taken out of all epoll instances. */
void epoll_forget(struct file *file);

/* ---- eventfd (kern/fs/eventfd.c) ----------------------------------------------------------------------------------- */

#define EFD_SEMAPHORE 1u /* eventfd(2); its other flags are open's */

/* A new one. `flags`: EFD_SEMAPHORE, O_NONBLOCK. NULL: no memory. */
struct file *eventfd_create(unsigned initial, unsigned flags);

#endif
