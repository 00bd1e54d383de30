/*
 * Sockets within the machine: pairs of each kind, limits of messages, files that are passed, names, connections, what their ends
 * say. Checked on Linux first.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#define PATH    "/tmp/socket-test"
#define CIRCLES 4000 /* in 48 MiB there is no room for so many */

static int pair[2];
static char buffer[300000];

static void make_pair(int type)
{
	CHECK(socketpair(AF_UNIX, type, 0, pair) == 0);
}

static void close_pair(void)
{
	close(pair[0]);
	close(pair[1]);
}

/* Waits for a child that is to end well. */
static void reap(void)
{
	int status = -1;

	CHECK(wait(&status) > 0 && status == 0);
}

/* ---- Pairs ----------------------------------------------------------------------------------------------- */

static void streams(void)
{
	struct pollfd fd;

	make_pair(SOCK_STREAM);
	CHECK(write(pair[0], "hello", 5) == 5 && send(pair[0], " world", 6, 0) == 6);
	CHECK(recv(pair[1], buffer, 5, MSG_PEEK) == 5 && memcmp(buffer, "hello", 5) == 0);
	CHECK(read(pair[1], buffer, sizeof(buffer)) == 11 && memcmp(buffer, "hello world", 11) == 0);
	CHECK_ERROR(recv(pair[1], buffer, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(write(pair[1], "back", 4) == 4 && read(pair[0], buffer, 2) == 2 &&
	      read(pair[0], buffer, 9) == 2);
	/* More than fits, with somebody who reads it. */
	if (fork() == 0) {
		size_t sum = 0;
		ssize_t count;

		close(pair[0]);
		while ((count = read(pair[1], buffer, 7777)) > 0)
			for (ssize_t i = 0; i < count; i++)
				sum += (unsigned char)buffer[i];
		_exit(sum == 4ul * sizeof(buffer) * 'x' ? 0 : 1);
	}
	memset(buffer, 'x', sizeof(buffer));
	for (int i = 0; i < 4; i++)
		CHECK(write(pair[0], buffer, sizeof(buffer)) == sizeof(buffer));
	CHECK(shutdown(pair[0], SHUT_WR) == 0);
	CHECK_ERROR(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	reap();
	close_pair();
	make_pair(SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(fcntl(pair[0], F_GETFD) == FD_CLOEXEC && (fcntl(pair[1], F_GETFL) & O_NONBLOCK));
	CHECK_ERROR(read(pair[0], buffer, 1), EAGAIN);
	while (write(pair[0], buffer, 1000) > 0)
		;
	CHECK(errno == EAGAIN);
	fd = (struct pollfd){pair[0], POLLIN | POLLOUT, 0};
	CHECK(poll(&fd, 1, 0) == 0);
	while (read(pair[1], buffer, sizeof(buffer)) > 0)
		;
	CHECK(poll(&fd, 1, 0) == 1 && fd.revents == POLLOUT);
	close(pair[1]);
	CHECK(poll(&fd, 1, 0) == 1 && (fd.revents & (POLLIN | POLLHUP)) == (POLLIN | POLLHUP));
	CHECK(read(pair[0], buffer, 1) == 0);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERROR(write(pair[0], "x", 1), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	close(pair[0]);
}

static void messages(int type)
{
	struct iovec part = {buffer, 4};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	make_pair(type);
	CHECK(write(pair[0], "one", 3) == 3 && write(pair[0], "second", 6) == 6);
	CHECK(read(pair[1], buffer, sizeof(buffer)) == 3);
	CHECK(recvmsg(pair[1], &header, 0) == 4 && (header.msg_flags & MSG_TRUNC) &&
	      memcmp(buffer, "seco", 4) == 0);
	CHECK_ERROR(recv(pair[1], buffer, 10, MSG_DONTWAIT), EAGAIN);
	CHECK(send(pair[1], "12345", 5, 0) == 5 && recv(pair[0], buffer, 2, MSG_TRUNC) == 5);
	CHECK(send(pair[1], buffer, 100000, 0) == 100000 &&
	      recv(pair[0], buffer, sizeof(buffer), 0) == 100000);
	CHECK_ERROR(send(pair[1], buffer, sizeof(buffer), 0), EMSGSIZE);
	close(pair[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERROR(write(pair[1], "x", 1), type == SOCK_DGRAM ? ECONNREFUSED : EPIPE);
	signal(SIGPIPE, SIG_DFL);
	close(pair[1]);
}

static void errors(void)
{
	int type = 0, size = 1;
	socklen_t length = sizeof(type);
	struct timeval time = {0, 30000};

	CHECK_ERROR(socketpair(AF_UNIX, 77, 0, pair), EINVAL);
	CHECK_ERROR(socketpair(AF_UNIX, SOCK_STREAM, 99, pair), EPROTONOSUPPORT);
	CHECK_ERROR(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT);
	CHECK_ERROR(socket(999, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERROR(recv(0, buffer, 1, 0), ENOTSOCK);
	CHECK_ERROR(recv(1000, buffer, 1, 0), EBADF);
	make_pair(SOCK_STREAM);
	CHECK_ERROR(lseek(pair[0], 0, SEEK_SET), ESPIPE);
	CHECK(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM);
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == 0);
	CHECK_ERROR(read(pair[0], buffer, 1), EAGAIN);
	CHECK_ERROR(setsockopt(pair[0], SOL_SOCKET, 9999, &size, sizeof(size)), ENOPROTOOPT);
	close_pair();
	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERROR(send(pair[0], "x", 1, 0), ENOTCONN);
	CHECK_ERROR(recv(pair[0], buffer, 1, 0), EINVAL);
	CHECK_ERROR(listen(pair[0], 1), EINVAL);
	CHECK_ERROR(accept(pair[0], NULL, NULL), EINVAL);
	CHECK_ERROR(shutdown(pair[0], 5), EINVAL);
	close(pair[0]);
}

/* ---- Files that are passed -------------------------------------------------------------------------------------- */

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(2 * sizeof(int))];
};

static ssize_t send_files(int to, const int *files, int count)
{
	union control control;
	struct iovec part = {"f", 1};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = CMSG_SPACE(count * sizeof(int))};

	memset(&control, 0, sizeof(control));
	control.header = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), files, count * sizeof(int));
	return sendmsg(to, &header, 0);
}

/* How many came. */
static int receive_files(int from, int *files, int *flags)
{
	union control control;
	struct iovec part = {buffer, 10};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof(control)};

	CHECK(recvmsg(from, &header, MSG_CMSG_CLOEXEC) == 1);
	*flags = header.msg_flags;
	if (header.msg_controllen < sizeof(struct cmsghdr))
		return 0;
	memcpy(files, CMSG_DATA(&control.header), control.header.cmsg_len - CMSG_LEN(0));
	return (int)((control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static void files_pass(int type)
{
	int ends[2], came[2], flags;
	const int bad[] = {1000};

	make_pair(type);
	CHECK(pipe(ends) == 0);
	CHECK(send_files(pair[0], ends, 2) == 1);
	close(ends[0]);
	close(ends[1]);
	CHECK(receive_files(pair[1], came, &flags) == 2 && !(flags & MSG_CTRUNC));
	CHECK(write(came[1], "through", 7) == 7 && read(came[0], buffer, 10) == 7);
	CHECK(fcntl(came[0], F_GETFD) == FD_CLOEXEC);
	CHECK_ERROR(send_files(pair[0], bad, 1), EBADF);
	/* A socket goes through itself, and with all that is in it at the end. */
	CHECK(send_files(pair[0], pair, 2) == 1 && send_files(pair[0], came, 1) == 1);
	CHECK(receive_files(pair[1], ends, &flags) == 2);
	close(ends[0]);
	close(ends[1]);
	/* Where there is no room for them, they are closed. */
	CHECK(recv(pair[1], buffer, 10, 0) == 1);
	close(came[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERROR(write(came[1], "x", 1), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	close(came[1]);
	close_pair();
}

/* A chain of sockets, each in the queue of the one before, is closed without trouble. */
static void long_chain(void)
{
	int before[2], next[2];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, before) == 0);
	for (int i = 0; i < 1000; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, next) == 0);
		CHECK(send_files(next[0], before, 2) == 1);
		close(before[0]);
		close(before[1]);
		memcpy(before, next, sizeof(before));
	}
	close(before[0]);
	close(before[1]);
}

/* Two pairs, each in the queue of the other, and of nobody else. */
static void one_circle(void)
{
	int first[2], second[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, first) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, second) == 0);
	CHECK(send_files(first[0], second, 2) == 1 && send_files(second[0], first, 2) == 1);
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
	}
}

/* A listener, and the connection if it accepts it, in a message to that connection. */
static void listening_circle(bool accepts)
{
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(nowhere);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), server;

	CHECK(bind(listener, (struct sockaddr *)&nowhere, sizeof(sa_family_t)) == 0 &&
	      listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&nowhere, &length) == 0);
	CHECK(connect(client, (struct sockaddr *)&nowhere, length) == 0);
	CHECK(send_files(client, &listener, 1) == 1);
	if (accepts) {
		CHECK((server = accept(listener, NULL, NULL)) >= 0 && send_files(client, &server, 1) == 1);
		close(server);
	}
	close(listener);
	close(client);
}

/* What only a circle refers to goes, or memory would be out soon; what somebody can still receive stays. */
static void circles(void)
{
	int outer[2], inner[2], came[2], flags;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, outer) == 0 &&
	      socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
	make_pair(SOCK_STREAM);
	CHECK(send_files(outer[0], inner, 2) == 1 && send_files(inner[0], outer, 1) == 1);
	CHECK(send_files(pair[0], outer, 2) == 1);
	for (int i = 0; i < 2; i++) {
		close(outer[i]);
		close(inner[i]);
	}
	for (int i = 0; i < CIRCLES; i++) {
		one_circle();
		listening_circle(false);
		listening_circle(true);
	}
	CHECK(receive_files(pair[1], outer, &flags) == 2 && receive_files(outer[1], inner, &flags) == 2);
	CHECK(receive_files(inner[1], came, &flags) == 1);
	CHECK(send(came[0], "there", 5, 0) == 5 && recv(outer[1], buffer, 9, 0) == 5);
	close(came[0]);
	for (int i = 0; i < 2; i++) {
		close(outer[i]);
		close(inner[i]);
	}
	close_pair();
	one_circle();
}

/* ---- Names ---------------------------------------------------------------------------------------------------------- */

static struct sockaddr_un address;

static socklen_t name(const char *text, size_t length)
{
	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, text, length);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void connections(const char *text, size_t bytes, int type)
{
	int listener = socket(AF_UNIX, type, 0), other = socket(AF_UNIX, type, 0), server, client;
	socklen_t length = name(text, bytes);
	struct sockaddr_un peer;
	struct ucred who;
	struct pollfd fd = {listener, POLLIN, 0};

	CHECK_ERROR(connect(other, (void *)&address, length), text[0] ? ENOENT : ECONNREFUSED);
	CHECK(bind(listener, (void *)&address, length) == 0);
	CHECK_ERROR(bind(other, (void *)&address, length), EADDRINUSE);
	CHECK_ERROR(connect(other, (void *)&address, length), ECONNREFUSED);
	CHECK(listen(listener, 5) == 0);
	CHECK(poll(&fd, 1, 0) == 0);
	if (fork() == 0) {
		client = socket(AF_UNIX, type, 0);
		usleep(20000);
		if (connect(client, (void *)&address, length) != 0 || write(client, "ping", 4) != 4 ||
		    read(client, buffer, 10) != 4 || memcmp(buffer, "pong", 4) != 0)
			_exit(1);
		_exit(0);
	}
	length = sizeof(peer);
	server = accept4(listener, (void *)&peer, &length, SOCK_CLOEXEC);
	CHECK(server >= 0 && peer.sun_family == AF_UNIX && length == offsetof(struct sockaddr_un, sun_path));
	CHECK(fcntl(server, F_GETFD) == FD_CLOEXEC);
	length = sizeof(who);
	CHECK(getsockopt(server, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && who.pid > 0 &&
	      who.pid != getpid());
	length = sizeof(peer);
	CHECK(getsockname(server, (void *)&peer, &length) == 0 && memcmp(peer.sun_path, text, bytes) == 0);
	CHECK(read(server, buffer, 10) == 4 && memcmp(buffer, "ping", 4) == 0 &&
	      write(server, "pong", 4) == 4);
	reap();
	CHECK(read(server, buffer, 10) == 0);
	close(server);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	CHECK_ERROR(accept(listener, NULL, NULL), EAGAIN);
	length = name(text, bytes);
	CHECK(connect(other, (void *)&address, length) == 0);
	CHECK_ERROR(connect(other, (void *)&address, length), EISCONN);
	CHECK(poll(&fd, 1, 0) == 1 && fd.revents == POLLIN);
	close(listener);
	CHECK(read(other, buffer, 1) == -1 && errno == ECONNRESET);
	close(other);
}

static void datagrams_by_name(void)
{
	int to = socket(AF_UNIX, SOCK_DGRAM, 0), from = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t length = name(PATH, sizeof(PATH)), room = sizeof(address);
	struct sockaddr_un sender;
	struct stat stat_of;

	unlink(PATH);
	CHECK(bind(to, (void *)&address, length) == 0);
	CHECK(stat(PATH, &stat_of) == 0 && S_ISSOCK(stat_of.st_mode));
	CHECK_ERROR(open(PATH, O_RDWR), ENXIO);
	CHECK_ERROR(send(from, "x", 1, 0), ENOTCONN);
	CHECK(sendto(from, "anonymous", 9, 0, (void *)&address, length) == 9);
	CHECK(recvfrom(to, buffer, 100, 0, (void *)&sender, &room) == 9 && room <= sizeof(sa_family_t));
	CHECK(bind(from, &(struct sockaddr){AF_UNIX, ""}, sizeof(sa_family_t)) == 0);
	CHECK(connect(from, (void *)&address, length) == 0 && send(from, "named", 5, 0) == 5);
	room = sizeof(sender);
	CHECK(recvfrom(to, buffer, 100, 0, (void *)&sender, &room) == 5 && sender.sun_path[0] == 0 &&
	      room == sizeof(sa_family_t) + 6);
	CHECK(sendto(to, "answer", 6, 0, (void *)&sender, room) == 6 && recv(from, buffer, 100, 0) == 6);
	close(to);
	CHECK_ERROR(send(from, "x", 1, 0), ECONNREFUSED);
	close(from);
	CHECK(unlink(PATH) == 0);
}

int main(void)
{
	streams();
	messages(SOCK_DGRAM);
	messages(SOCK_SEQPACKET);
	errors();
	files_pass(SOCK_STREAM);
	files_pass(SOCK_DGRAM);
	long_chain();
	circles();
	unlink(PATH);
	connections(PATH, sizeof(PATH), SOCK_STREAM);
	unlink(PATH);
	connections("\0abstract", 9, SOCK_STREAM);
	connections("\0abstract", 9, SOCK_SEQPACKET);
	datagrams_by_name();
	return checks_end("sockets");
}
