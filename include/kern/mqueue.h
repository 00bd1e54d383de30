/*
 * POSIX message queues (mq_overview(7)): what the system calls ask of kern/fs/mqueue.c.
 *
 * A queue is an inode of a file system that is mounted on /dev/mqueue; a descriptor of one is an ordinary descriptor.
 */
#ifndef KERN_MQUEUE_H
#define KERN_MQUEUE_H

#include <kern/fs.h>
#include <kern/message.h>
#include <linux/mqueue.h>
#include <linux/signal.h>

#define MQUEUE_PRIORITIES 32768 /* MQ_PRIO_MAX: priorities are below it */

void mqueues_init(void); /* once */
void mqueues_end(void);  /* when there are no processes: queues do not go with them */

/*
 * mq_open(3): `attributes` of a new queue, or NULL. `flags`: O_... -ENOENT, -EEXIST, -EACCES, -EINVAL, -ENAMETOOLONG, -EMFILE (RLIMIT_MSGQUEUE), -ENOSPC,
 * -ENOMEM.
 */
int mqueue_open(struct task *task, const char *name, unsigned flags, unsigned mode,
		const struct mq_attr *attributes, struct file **out);

/* mq_unlink(3): -ENOENT, -EACCES, -EPERM. */
int mqueue_unlink(struct task *task, const char *name);

/* Is it a queue's file that was opened for that? O_RDONLY, O_WRONLY; O_RDWR: for either. */
bool mqueue_is_open_for(const struct file *file, unsigned access);

/* The longest message of the queue, in bytes. */
size_t mqueue_message_bytes(const struct file *file);

/*
 * mq_timedsend(3), mq_timedreceive(3), with a deadline in nanoseconds since boot. The message is taken over on success, or given. -EAGAIN, -ETIMEDOUT, -ERESTARTSYS.
 */
int mqueue_send(struct file *file, struct task *task, struct message *message, uint64_t deadline);
int mqueue_receive(struct file *file, uint64_t deadline, struct message **out);

/* mq_getattr(3), and mq_setattr(3) of the flags: -1 leaves them. *out is as it was before. */
void mqueue_attributes(struct file *file, int flags, struct mq_attr *out);

/* mq_notify(3); NULL: not any more. -EBUSY. */
int mqueue_notify(struct file *file, struct task *task, const sigevent_t *event);

#endif
