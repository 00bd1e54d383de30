/*
 * Messages on their way between programs: what System V and POSIX message queues have in common.
 *
 * Implemented in kern/proc/message.c. A message is a copy of the sender's bytes, in a small object or in pages.
 */
#ifndef KERN_MESSAGE_H
#define KERN_MESSAGE_H

#include <kern/kern.h>
#include <kern/queue.h>

struct message_part;

/* Locks: (q) its queue's; (-) set when it is made. */
struct message {
	TAILQ_ENTRY(message) link; /* (q) in its queue: System V's */
	RB_ENTRY(message) place;   /* (q) the same: POSIX's */
	uint64_t number;           /* (q) the order of arrival, there */
	long type;                 /* (-) the queue's business: type or priority */
	size_t bytes;              /* (-) of the text */
	struct message_part *more; /* (-) what did not fit into `text` */
	char text[];               /* (-) */
};

TAILQ_HEAD(message_list, message);

void messages_init(void); /* once */

/*
 * The memory of messages and semaphores counts against nobody's limit, and stays when processes end: so all of it together is a share of RAM
 * at most. False: there would be more.
 */
bool ipc_charge(uint64_t bytes);
void ipc_uncharge(uint64_t bytes);

/* Copies a message in. -EFAULT; -ENOMEM: also if IPC has its share of RAM already. No spinlocks held. */
int message_load(vaddr_t from, size_t bytes, struct message **out);

/* Copies the first `bytes` of the text out, at most all of it. 0 or -EFAULT. */
int message_store(const struct message *message, vaddr_t to, size_t bytes);

/* A copy. NULL: no memory. */
struct message *message_copy(const struct message *message);

void message_free(struct message *message);

#endif
