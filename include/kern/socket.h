/*
 * Sockets within the machine (unix(7)), for the system calls in kern/proc/sys_socket.c. What they are is kern/fs/socket.c's and
 * socket_data.c's business.
 */
#ifndef KERN_SOCKET_H
#define KERN_SOCKET_H

#include <kern/fs.h>
#include <linux/un.h>

/* Numbers of socket(2), send(2) and recv(2), which the kernel's headers for programs lack. */
#define AF_UNSPEC        0
#define AF_UNIX          1
#define AF_MAX           46
#define SOCK_STREAM      1
#define SOCK_DGRAM       2
#define SOCK_SEQPACKET   5
#define SOCK_TYPE_MASK   0xf
#define SHUT_RD          0
#define SHUT_WR          1
#define SHUT_RDWR        2
#define MSG_OOB          0x1u
#define MSG_PEEK         0x2u
#define MSG_CTRUNC       0x8u
#define MSG_TRUNC        0x20u
#define MSG_DONTWAIT     0x40u
#define MSG_EOR          0x80u
#define MSG_WAITALL      0x100u
#define MSG_NOSIGNAL     0x4000u
#define MSG_WAITFORONE   0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define SCM_RIGHTS       1
#define SCM_CREDENTIALS  2
#define SCM_MAX_FILES    253

/* A name: what is in sun_path, which may begin with a 0 (an abstract name); of length 0: none. */
struct socket_name {
	unsigned length;
	char path[UNIX_PATH_MAX + 1]; /* a path of the file system ends with a 0 here */
};

struct socket_credentials {
	int pid;
	uint32_t uid, gid;
};

/* Files on their way from one process to another: references. */
struct file_parcel {
	struct file_parcel *next; /* socket_files.c's */
	unsigned count;
	struct file *files[SCM_MAX_FILES];
};

/* What sendmsg and recvmsg are about, beside the bytes. */
struct socket_message {
	unsigned flags;             /* MSG_... */
	struct socket_name name;    /* where to, if its length is not 0; or where from */
	struct file_parcel *parcel; /* NULL: none. Taken over by a send that succeeds; given by a receive */
	struct socket_credentials sender; /* of a message that was received */
	bool has_sender;                  /* it was asked for (SO_PASSCRED) */
	unsigned out_flags;               /* of recvmsg: MSG_TRUNC */
	uint64_t whole;                   /* bytes that the message had that was received */
};

/* Makes slab caches; once. */
void sockets_init(void);

/* Frees all sockets that only each other's queues refer to. With no lock held. */
void socket_files_collect(void);

/* New sockets as files. `type`: SOCK_...; `flags`: O_NONBLOCK. -ENOMEM. A pair is connected. */
int socket_create(int type, unsigned flags, struct file **out);
int socket_create_pair(int type, unsigned flags, struct file *out[2]);

bool file_is_socket(const struct file *file);
int socket_type(const struct file *file);

/* As the system calls of these names. */
int socket_bind(struct file *file, struct task *task, const struct socket_name *name);
int socket_listen(struct file *file, int backlog);
int64_t socket_connect(struct file *file, struct task *task,
		       const struct socket_name *name); /* length 0: takes the connection of datagrams back */
int64_t socket_accept(struct file *file, unsigned flags, struct file **out);
int socket_shutdown(struct file *file, int how);
int socket_get_name(struct file *file, bool peer, struct socket_name *name);

/* Bytes, or an error; SIGPIPE is sent unless message->flags say otherwise. The files of message->parcel go along. */
int64_t socket_send(struct file *file, struct io *io, struct socket_message *message);
int64_t socket_receive(struct file *file, struct io *io, struct socket_message *message);

void file_parcel_free(struct file_parcel *parcel); /* and the references; NULL: nothing */
struct file_parcel *file_parcel_create(void);      /* NULL: no memory */

/* Options (socket(7)) with an int as value: -ENOPROTOOPT. */
int socket_get_option(struct file *file, int option, int *value);
int socket_set_option(struct file *file, int option, int value);
/* SO_PEERCRED; SO_RCVTIMEO, SO_SNDTIMEO in nanoseconds, 0: none. */
int socket_get_peer(struct file *file, struct socket_credentials *peer);
uint64_t socket_get_timeout(struct file *file, bool send);
void socket_set_timeout(struct file *file, bool send, uint64_t nanoseconds);

#endif
