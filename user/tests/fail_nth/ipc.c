/*
 * Cases of fail_nth: pipes, sockets, message queues, System V IPC.
 */
#include "fail_nth.h"

#include <mqueue.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#define PIPE_BYTES 65536
#define FEW        4
#define SOME       60
#define MANY       1000 /* semaphores */
#define LONG_TEXT  6000
#define RIGHTS     200 /* descriptors in a message */
#define DATAGRAMS  8
#define PARTS      600 /* of a vector, more than fit on the kernel\'s stack */

static const struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "socket"};
static struct sembuf operations[2] = {{0, 1, SEM_UNDO}, {1, 1, 0}};
static struct {
	long type;
	char text[LONG_TEXT];
} letter;
static int id, accepted;
static unsigned short values[MANY];
static struct iovec part, parts[PARTS];
static union {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(RIGHTS * sizeof(int))];
} ancillary;
static struct msghdr message;
static struct mmsghdr messages[DATAGRAMS];

/* ---- Pipes ----------------------------------------------------------------------------------------------------------- */

static void have_pipe(size_t bytes)
{
	MUST(pipe2(fds, O_NONBLOCK));
	if (bytes)
		MUST(write(fds[1], buffer, bytes));
}

/* Another one, in fd and accepted. */
static void have_pipes(size_t bytes)
{
	have_pipe(0);
	fd = fds[0];
	accepted = fds[1];
	have_pipe(bytes);
}

static int bytes_in(int pipe_end)
{
	int bytes = -1;

	ioctl(pipe_end, FIONREAD, &bytes);
	return bytes;
}

/* What a call moved, or an error that none has, if more or less is where it came from or has come. */
static long conserved(long moved, long left, long there)
{
	long done = moved < 0 ? 0 : moved;

	if (left + done == (long)(FEW * PAGE) && there == done)
		return moved;
	errno = EXDEV;
	return -1;
}

/* Of a file, where the next byte comes from or goes to. */
static long at_of(int file)
{
	return lseek(file, 0, SEEK_CUR);
}

static long splice_file_in(void)
{
	long moved = splice(fd, NULL, fds[1], NULL, FEW * PAGE, 0);

	return conserved(moved, FEW * PAGE - at_of(fd), bytes_in(fds[0]));
}

static long splice_file_out(void)
{
	long moved = splice(fds[0], NULL, fd, NULL, FEW * PAGE, 0);

	return conserved(moved, bytes_in(fds[0]), at_of(fd));
}

static long splice_over(void)
{
	long moved = splice(fds[0], NULL, accepted, NULL, FEW * PAGE, 0);

	return conserved(moved, bytes_in(fds[0]), bytes_in(fd));
}

static long send_file(void)
{
	long moved = sendfile(fds[0], fd, NULL, FEW * PAGE);

	return conserved(moved, FEW * PAGE - at_of(fd), bytes_in(fds[1]));
}

CASE(pipe, , pipe(fds));
CASE(pipe_sixty, while (dup(0) < 62), pipe(fds));
CASE(pipe_write, have_pipe(0), write(fds[1], buffer, 1));
CASE(pipe_write_many, have_pipe(0), write(fds[1], buffer, PIPE_BYTES), .copes = true);
CASE(pipe_read, have_pipe(PIPE_BYTES), read(fds[0], buffer, PIPE_BYTES));
CASE(pipe_more, have_pipe(PAGE), fcntl(fds[0], F_SETPIPE_SZ, 1 << 20), .also = {EBUSY});
CASE(pipe_wrapped, have_pipe(PIPE_BYTES); MUST(read(fds[0], buffer, 100));
     MUST(write(fds[1], buffer, 50)), fcntl(fds[0], F_SETPIPE_SZ, 1 << 20), .also = {EBUSY});
CASE(pipe_less, have_pipe(PAGE), fcntl(fds[0], F_SETPIPE_SZ, PAGE), .also = {EBUSY});
CASE(splice_in, have_pipe(0); fd = file_of("old", FEW), splice_file_in(), .copes = true);
CASE(splice_out, have_pipe(FEW *PAGE);
     fd = file_of("old", 0), splice_file_out(), .also = {ENOSPC}, .copes = true);
CASE(splice_pipe, have_pipes(FEW *PAGE), splice_over(), .copes = true);
CASE(tee, have_pipes(FEW *PAGE), tee(fds[0], accepted, FEW *PAGE, 0), .copes = true);

/* ---- Sockets ----------------------------------------------------------------------------------------------------------- */

static void have_pair(int type)
{
	MUST(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds));
}

static void have_listener(void)
{
	fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	MUST(bind(fd, (const void *)&place, sizeof(place)));
	MUST(listen(fd, FEW));
	fds[0] = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0));
}

/* Of datagrams: fd has a name, fds[0] has none. */
static void have_named(void)
{
	fd = (int)MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
	MUST(bind(fd, (const void *)&place, sizeof(place)));
	fds[0] = (int)MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
}

static void have_caller(void)
{
	have_listener();
	MUST(connect(fds[0], (const void *)&place, sizeof(place)));
}

static void have_message(size_t bytes)
{
	part = (struct iovec){buffer, bytes};
	message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
}

static void have_parts(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		parts[i] = (struct iovec){buffer + i, 1};
	message = (struct msghdr){.msg_iov = parts, .msg_iovlen = PARTS};
}

static void have_rights(unsigned count)
{
	int *to;

	have_message(1);
	memset(&ancillary, 0, sizeof(ancillary));
	message.msg_control = &ancillary;
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	ancillary.header.cmsg_level = SOL_SOCKET;
	ancillary.header.cmsg_type = SCM_RIGHTS;
	ancillary.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	to = (int *)(void *)CMSG_DATA(&ancillary.header);
	for (unsigned i = 0; i < count; i++)
		to[i] = fds[0];
}

static void have_credentials(void)
{
	struct ucred *to;

	have_rights(0);
	message.msg_controllen = CMSG_SPACE(sizeof(*to));
	ancillary.header.cmsg_type = SCM_CREDENTIALS;
	ancillary.header.cmsg_len = CMSG_LEN(sizeof(*to));
	to = (struct ucred *)(void *)CMSG_DATA(&ancillary.header);
	*to = (struct ucred){.pid = getpid()};
}

static void have_sent(unsigned count)
{
	have_pair(SOCK_STREAM);
	have_rights(count);
	MUST(sendmsg(fds[0], &message, 0));
	memset(&ancillary, 0, sizeof(ancillary));
	message.msg_controllen = sizeof(ancillary);
}

static void have_messages(void)
{
	have_message(1);
	for (unsigned i = 0; i < DATAGRAMS; i++)
		messages[i].msg_hdr = message;
}

CASE(vmsplice, have_pipe(0); have_message(FEW * PAGE), vmsplice(fds[1], &part, 1, 0), .copes = true);
CASE(socket_stream, , socket(AF_UNIX, SOCK_STREAM, 0), .also = {ENOBUFS, ENFILE});
CASE(socket_datagram, , socket(AF_UNIX, SOCK_DGRAM, 0), .also = {ENOBUFS, ENFILE});
CASE(socketpair, , socketpair(AF_UNIX, SOCK_STREAM, 0, fds), .also = {ENOBUFS, ENFILE});
CASE(bind, fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0)), bind(fd, (const void *)&place, sizeof(place)));
CASE(bind_abstract, fd = (int)MUST(socket(AF_UNIX, SOCK_STREAM, 0)), bind(fd, (const void *)&place, 2));
CASE(connect, have_listener(), connect(fds[0], (const void *)&place, sizeof(place)), .also = {ENOBUFS});
CASE(accept, have_caller(), accept(fd, NULL, NULL), .also = {ENOBUFS, ENFILE});
CASE(send, have_pair(SOCK_STREAM), send(fds[0], buffer, 1, 0), .also = {ENOBUFS});
CASE(send_many, have_pair(SOCK_STREAM), send(fds[0], buffer, PIPE_BYTES, 0), .also = {ENOBUFS},
     .copes = true);
CASE(send_datagram, have_pair(SOCK_DGRAM), send(fds[0], buffer, 1, 0), .also = {ENOBUFS});
CASE(send_datagram_large, have_pair(SOCK_DGRAM), send(fds[0], buffer, 5 * PAGE, 0), .also = {ENOBUFS});
CASE(send_packet, have_pair(SOCK_SEQPACKET), send(fds[0], buffer, 5 * PAGE, 0), .also = {ENOBUFS});
CASE(send_rights, have_pair(SOCK_STREAM); have_rights(1), sendmsg(fds[0], &message, 0), .also = {ENOBUFS});
CASE(send_rights_many, have_pair(SOCK_DGRAM);
     have_rights(RIGHTS), sendmsg(fds[0], &message, 0), .also = {ENOBUFS});
CASE(send_credentials, have_pair(SOCK_DGRAM);
     have_credentials(), sendmsg(fds[0], &message, 0), .also = {ENOBUFS});
CASE(send_parts, have_pair(SOCK_STREAM); have_parts(), sendmsg(fds[0], &message, 0), .also = {ENOBUFS});
CASE(sendmmsg, have_pair(SOCK_DGRAM);
     have_messages(), sendmmsg(fds[0], messages, DATAGRAMS, 0), .also = {ENOBUFS}, .copes = true);
CASE(receive, have_pair(SOCK_STREAM); MUST(send(fds[0], buffer, PAGE, 0)), recv(fds[1], buffer, PAGE, 0));
CASE(receive_rights, have_sent(1), recvmsg(fds[1], &message, 0));
CASE(receive_rights_many, have_sent(RIGHTS), recvmsg(fds[1], &message, 0), .copes = true);
CASE(recvmmsg, have_pair(SOCK_DGRAM); have_messages();
     MUST(send(fds[0], buffer, 1, 0)), recvmmsg(fds[1], messages, DATAGRAMS, MSG_DONTWAIT, NULL));
CASE(socket_sendfile, have_pair(SOCK_STREAM); fd = file_of("old", FEW), send_file(), .copes = true);
CASE(send_to, have_named(), sendto(fds[0], buffer, 10, 0, (const void *)&place, sizeof(place)),
     .also = {ENOBUFS});
CASE(connect_datagrams, have_named(), connect(fds[0], (const void *)&place, sizeof(place)));
CASE(send_socket_itself, have_pair(SOCK_STREAM);
     have_rights(2), sendmsg(fds[1], &message, 0), .also = {ENOBUFS});
CASE(peek_rights, have_sent(2), recvmsg(fds[1], &message, MSG_PEEK));
CASE(set_option, have_pair(SOCK_STREAM), setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
CASE(getsockname, have_listener(), getsockname(fd, (void *)buffer, &(socklen_t){PAGE}));

/* ---- Message queues --------------------------------------------------------------------------------------------------------- */

static int make_queue(void)
{
	struct mq_attr how = {.mq_maxmsg = FEW, .mq_msgsize = PAGE};

	return mq_open(QUEUE, O_CREAT | O_RDWR, 0600, &how);
}

static void have_queue(size_t bytes)
{
	fd = (int)MUST(make_queue());
	if (bytes)
		MUST(mq_send(fd, buffer, bytes, 1));
}

static struct sigevent notice = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

CASE(mq_open, , make_queue(), .also = {ENOSPC});
CASE(mq_open_old, have_queue(0), mq_open(QUEUE, O_RDWR));
CASE(mq_unlink, have_queue(1), syscall(SYS_mq_unlink, QUEUE + 1));
CASE(mq_send, have_queue(0), mq_send(fd, buffer, 10, 1));
CASE(mq_send_long, have_queue(0), mq_send(fd, buffer, PAGE, 1));
CASE(mq_receive, have_queue(PAGE), mq_receive(fd, buffer, PAGE, NULL));
CASE(mq_notify, have_queue(0), mq_notify(fd, &notice));

/* ---- System V ---------------------------------------------------------------------------------------------------------------- */

static void have_segment(void)
{
	id = (int)MUST(shmget(KEY, FEW * PAGE, IPC_CREAT | 0600));
}

static long attach(void)
{
	area = shmat(id, NULL, 0);
	return area == (void *)-1 ? -1 : 0;
}

static void have_semaphores(int count)
{
	id = (int)MUST(semget(KEY, count, IPC_CREAT | 0600));
}

static void have_letters(size_t bytes)
{
	id = (int)MUST(msgget(KEY, IPC_CREAT | 0600));
	letter.type = 1;
	if (bytes)
		MUST(msgsnd(id, &letter, bytes, IPC_NOWAIT));
}

CASE(shmget, , shmget(KEY, FEW *PAGE, IPC_CREAT | 0600), .also = {ENOSPC});
CASE(shmat, have_segment(), attach(), .copes = true);
CASE(shmdt, have_segment(); MUST(attach()), shmdt(area));
CASE(shm_remove, have_segment(); MUST(attach()), shmctl(id, IPC_RMID, NULL));
CASE(shm_lock, have_segment(), shmctl(id, SHM_LOCK, NULL));
CASE(semget, , semget(KEY, FEW, IPC_CREAT | 0600), .also = {ENOSPC});
CASE(semget_some, , semget(KEY, SOME, IPC_CREAT | 0600), .also = {ENOSPC});
CASE(semget_many, , semget(KEY, MANY, IPC_CREAT | 0600), .also = {ENOSPC});
CASE(semop, have_semaphores(FEW), semop(id, operations + 1, 1));
CASE(semop_undo, have_semaphores(FEW), semop(id, operations, 2));
CASE(semop_undo_some, have_semaphores(SOME), semop(id, operations, 2));
CASE(semctl_all, have_semaphores(MANY), semctl(id, 0, SETALL, values));
CASE(semctl_get_all, have_semaphores(MANY), semctl(id, 0, GETALL, values));
CASE(msgget, , msgget(KEY, IPC_CREAT | 0600), .also = {ENOSPC});
CASE(msgsnd, have_letters(0), msgsnd(id, &letter, 1, IPC_NOWAIT));
CASE(msgsnd_long, have_letters(0), msgsnd(id, &letter, LONG_TEXT, IPC_NOWAIT));
CASE(msgrcv, have_letters(LONG_TEXT), msgrcv(id, &letter, LONG_TEXT, 0, IPC_NOWAIT));
