/*
 * What socket.c (sockets and who is connected to whom), socket_data.c (what they send each other) and socket_files.c (files that come along) share.
 *
 * A socket's queue is of what has been sent to it. Who is connected to whom, and by which name a socket is found, is under one
 * spinlock, `socket_links`, held for a few pointers; who follows such a pointer takes a reference.
 */
#ifndef FS_UNIX_SOCKET_H
#define FS_UNIX_SOCKET_H

#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/kern.h>
#include <kern/proc.h>
#include <kern/socket.h>
#include <vm/slab.h>

enum socket_state { SOCKET_FREE, SOCKET_LISTENING, SOCKET_CONNECTED };

struct message;

/* A message's files. Locks: (p) socket_files.c's, while it is in a queue. */
struct held_parcel {
	struct file_parcel *parcel;   /* (p) NULL: none */
	LIST_ENTRY(held_parcel) link; /* (p) among those of the queue */
};

/* Locks: (c) socket_links; (l) its own lock; (p) socket_files.c's; (a) atomic; (-) set when it is made. */
struct socket {
	_Atomic uint32_t refs;            /* (a) its file; its peer; who looks at it */
	struct file *file;                /* (-) no reference; NULL: it is not accepted yet */
	int type;                         /* (-) SOCK_... */
	_Atomic enum socket_state state;  /* (a) changed with (c) */
	struct socket *peer;              /* (c) whom it sends to, a reference; NULL: nobody */
	bool bound;                       /* (c) it has a name, and is in the list of those that have */
	struct socket_name name;          /* (c) */
	struct inode *inode;              /* (c) of a name in the file system: a reference */
	TAILQ_ENTRY(socket) link;         /* (c) in that list; or in a listener's */
	TAILQ_HEAD(, socket) waiting;     /* (c) connections that wait to be accepted: a reference each */
	unsigned backlog, waiting_count;  /* (c) */
	struct socket_credentials owner;  /* (c) who made, or connected, or lets it listen */
	struct socket_credentials others; /* (c) its peer's */

	struct mutex lock;                /* (-) RANK_INODE */
	TAILQ_HEAD(, message) queue;      /* (l) */
	uint64_t charged;                 /* (l) what the queue costs */
	uint64_t bytes;                   /* (l) in the queue */
	LIST_HEAD(, held_parcel) parcels; /* (p) in the queue */
	unsigned flies;                   /* (p) how often it is in a parcel in a queue */
	TAILQ_ENTRY(socket) flying;       /* (p) among those that are */
	bool suspect;                     /* (p) during a look: nothing else may refer to it ... */
	unsigned outside;                 /* (p) ... but so many parcels, of other sockets than suspects */
	TAILQ_ENTRY(socket) reached;      /* (p) */
	_Atomic bool no_more_input;       /* (a) shut down for reading, or the peer for writing */
	_Atomic bool no_more_output;      /* (a) shut down for writing */
	_Atomic bool closed;              /* (a) its file is gone */
	_Atomic int error;                /* (a) to be told once: a negative errno */
	_Atomic int receive_buffer;       /* (a) how much the queue may cost */
	_Atomic int send_buffer;          /* (a) how long a message may be */
	_Atomic bool passes_credentials;  /* (a) SO_PASSCRED */
	_Atomic uint64_t receive_timeout, send_timeout; /* (a) nanoseconds; 0: none */
	struct wait_queue readable;                     /* (-) */
	struct wait_queue writable; /* (-) where it sends to there is room, or nobody any more */
	struct wait_queue room;     /* (-) there is room in its own queue: who sends waits here */
};

extern struct spinlock socket_links;

static inline struct socket *socket_of(const struct file *file)
{
	return file->private;
}

static inline struct socket *socket_ref(struct socket *socket)
{
	socket->refs++;
	return socket;
}
void socket_unref(struct socket *socket); /* NULL: nothing */

/* Whom it sends to, with a reference; NULL: nobody. */
struct socket *socket_peer(struct socket *socket);

/* The socket of a name, with a reference, which is of the type. -ECONNREFUSED, -EPROTOTYPE, and errors of paths. */
int socket_find(struct task *task, const struct socket_name *name, int type, struct socket **out);

struct socket_credentials socket_credentials_of(struct task *task);

/* Takes the error that is to be told; 0: none. */
int socket_take_error(struct socket *socket);

/* Frees what is in a socket's queue. Was there anything? Takes the lock. */
bool socket_drop_queue(struct socket *socket);
void socket_data_init(void);

/* A message's parcel goes into a queue with it, or is taken out (NULL: there is none), or copied there (NULL: no memory). They take RANK_PASSING. */
void socket_parcel_hold(struct socket *holder, struct held_parcel *held);
struct file_parcel *socket_parcel_take(struct held_parcel *held);
struct file_parcel *socket_parcel_copy(const struct held_parcel *held);
void socket_files_init(void);

/* Frees sockets that only each other's queues refer to: whenever it may be worth while, after a message was sent, or a socket closed. With no lock held. */
void socket_files_sent(void);
void socket_files_closed(void);

/* Wakes everybody who waits for anything of it. */
void socket_wake(struct socket *socket);

#endif
