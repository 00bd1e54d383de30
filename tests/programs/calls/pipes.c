/*
 * Pipes, FIFOs, socket pairs, eventfd, and waiting for them: poll, select, epoll.
 */
#include "tap.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#define PIPE_BYTES 65536
#define MEGABYTE   (1ul << 20)

static int ends[2];

static void make_pipe(int flags)
{
	NEED(pipe2(ends, flags) == 0);
}

/* Pipes. */

TEST(pipe, "a pipe gives what it was given, in order, then the end")
{
	char text[16] = "";

	make_pipe(0);
	CHECK(write(ends[1], "hello ", 6) == 6 && write(ends[1], "world", 5) == 5);
	CHECK(read(ends[0], text, 4) == 4 && memcmp(text, "hell", 4) == 0);
	CHECK(read(ends[0], text, 16) == 7 && memcmp(text, "o world", 7) == 0);
	CHECK(write(ends[1], "end", 3) == 3);
	close(ends[1]);
	CHECK(read(ends[0], text, 16) == 3 && read(ends[0], text, 16) == 0 && read(ends[0], text, 16) == 0);
}

TEST(pipe_flags, "pipe2: O_CLOEXEC, O_NONBLOCK; unknown flags EINVAL")
{
	char byte;

	make_pipe(O_CLOEXEC | O_NONBLOCK);
	CHECK(fcntl(ends[0], F_GETFD) == FD_CLOEXEC && (fcntl(ends[1], F_GETFL) & O_NONBLOCK));
	FAILS(read(ends[0], &byte, 1), EAGAIN);
	FAILS(CALL(pipe2, ends, 0x1), EINVAL);
	FAILS(CALL(pipe2, 8, 0), EFAULT);
}

TEST(pipe_full, "a pipe has room for 64 KiB; beyond that EAGAIN, or a wait")
{
	char *bytes = anonymous(PIPE_BYTES * 2);

	make_pipe(O_NONBLOCK);
	EQUAL(write(ends[1], bytes, PIPE_BYTES * 2), PIPE_BYTES);
	FAILS(write(ends[1], bytes, 1), EAGAIN);
	EQUAL(read(ends[0], bytes, PAGE), PAGE);
	EQUAL(write(ends[1], bytes, PAGE), PAGE);
	int waiting = 0;
	CHECK(ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == PIPE_BYTES);
}

TEST(pipe_atomic, "up to PIPE_BUF bytes go in whole or not at all")
{
	char *bytes = anonymous(PIPE_BYTES);
	char text[100];

	make_pipe(O_NONBLOCK);
	EQUAL(write(ends[1], bytes, PIPE_BYTES), PIPE_BYTES);
	EQUAL(read(ends[0], text, 100), 100);
	FAILS(write(ends[1], bytes, PAGE), EAGAIN);
}

TEST(pipe_bad, "the wrong end is EBADF, seeking ESPIPE, a bad buffer EFAULT")
{
	char byte = 0;

	make_pipe(0);
	FAILS(read(ends[1], &byte, 1), EBADF);
	FAILS(write(ends[0], &byte, 1), EBADF);
	FAILS(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
	FAILS(pread(ends[0], &byte, 1, 0), ESPIPE);
	FAILS(pread(ends[1], &byte, 1, 0), ESPIPE);
	FAILS(pwrite(ends[0], &byte, 1, 0), ESPIPE);
	FAILS(CALL(write, ends[1], 8, 1), EFAULT);
	CHECK(write(ends[1], &byte, 1) == 1);
	FAILS(CALL(read, ends[0], 8, 1), EFAULT);
	EQUAL(write(ends[1], &byte, 0), 0);
}

TEST(pipe_stream, "a megabyte goes from child to parent through a pipe")
{
	char *bytes = anonymous(MEGABYTE);
	size_t done = 0;
	ssize_t count;
	pid_t child;

	make_pipe(0);
	child = fork_counted();
	if (child == 0) {
		for (size_t i = 0; i < MEGABYTE; i++)
			bytes[i] = (char)(i * 7 + (i >> 8));
		CHECK(write(ends[1], bytes, MEGABYTE) == (ssize_t)MEGABYTE);
		child_end();
	}
	close(ends[1]);
	while ((count = read(ends[0], bytes + done, 5000)) > 0)
		done += (size_t)count;
	EQUAL(done, MEGABYTE);
	for (size_t i = 0; i < MEGABYTE; i++) {
		if (bytes[i] != (char)(i * 7 + (i >> 8))) {
			EQUAL(i, MEGABYTE);
			break;
		}
	}
	child_passed(child);
}

TEST(vectors, "readv and writev, their limits and errors")
{
	char one[4] = "", two[10] = "";
	struct iovec from[] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}}, to[] = {{one, 4}, {two, 9}};

	make_pipe(0);
	EQUAL(writev(ends[1], from, 3), 8);
	EQUAL(readv(ends[0], to, 2), 8);
	CHECK(memcmp(one, "abcd", 4) == 0 && strcmp(two, "efgh") == 0);
	FAILS(CALL(writev, ends[1], from, 1025), EINVAL);
	FAILS(CALL(writev, ends[1], from, -1), EINVAL);
	FAILS(CALL(writev, ends[1], 8, 1), EFAULT);
	EQUAL(writev(ends[1], from, 0), 0);
	from[0].iov_len = -1ul;
	FAILS(CALL(writev, ends[1], from, 3), EINVAL);
}

TEST(fifo, "a FIFO joins two who open it; O_NONBLOCK without a reader is ENXIO")
{
	char text[6] = "";
	int file;

	NEED(mkfifo("fifo", 0600) == 0);
	FAILS(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	pid_t child = fork_counted();
	if (child == 0) {
		int writer = open("fifo", O_WRONLY);

		CHECK(writer >= 0 && write(writer, "hello", 5) == 5);
		child_end();
	}
	file = open("fifo", O_RDONLY);
	CHECK(file >= 0 && read(file, text, 5) == 5 && strcmp(text, "hello") == 0);
	child_passed(child);
	EQUAL(read(file, text, 5), 0);
}

/* Socket pairs. */

TEST(reopened, "a pipe can be opened again by its descriptor's name, without waiting for the other end")
{
	char path[64], text[16] = "";
	struct pollfd waiting;
	int again, writer;

	make_pipe(0);
	CHECK(write(ends[1], "kept", 4) == 4);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	writer = open(path, O_WRONLY);
	CHECK(writer >= 0);
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	again = open(path, O_RDONLY | O_NONBLOCK);
	CHECK(again >= 0 && read(again, text, 2) == 2 && memcmp(text, "ke", 2) == 0);
	waiting = (struct pollfd){again, POLLIN, 0};
	CHECK(poll(&waiting, 1, 0) == 1 && waiting.revents == POLLIN);
	close(writer);
	CHECK(poll(&waiting, 1, 0) == 1 && waiting.revents == (POLLIN | POLLHUP));
	close(again);
	again = open(path, O_RDONLY); /* nobody can write any more */
	CHECK(again >= 0 && read(again, text, sizeof(text)) == 2 && memcmp(text, "pt", 2) == 0);
	EQUAL(read(again, text, sizeof(text)), 0);
	waiting = (struct pollfd){again, POLLIN, 0};
	CHECK(poll(&waiting, 1, 0) == 1 && waiting.revents == POLLHUP);
}

TEST(fifo_hung_up, "who opens a FIFO that has a writer sees it hang up; who opens one that had none does not")
{
	struct pollfd waiting = {.events = POLLIN};
	int both, writer;

	NEED(mkfifo("fifo", 0600) == 0);
	waiting.fd = open("fifo", O_RDONLY | O_NONBLOCK);
	writer = open("fifo", O_WRONLY);
	NEED(waiting.fd >= 0 && writer >= 0);
	CHECK(poll(&waiting, 1, 0) == 0);
	close(writer);
	CHECK(poll(&waiting, 1, 0) == 1 && waiting.revents == POLLHUP);
	both = open("fifo", O_RDWR);
	close(waiting.fd);
	waiting.fd = open("fifo", O_RDONLY);
	CHECK(poll(&waiting, 1, 0) == 0);
	close(both);
	CHECK(poll(&waiting, 1, 0) == 1 && waiting.revents == POLLHUP);
	close(waiting.fd);
	waiting.fd = open("fifo", O_RDONLY | O_NONBLOCK);
	CHECK(poll(&waiting, 1, 0) == 0);
}

TEST(socket_pair, "a socket pair goes both ways; a closed peer is the end, or EPIPE")
{
	char text[8] = "";

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	CHECK(write(ends[0], "there", 5) == 5 && write(ends[1], "back", 4) == 4);
	CHECK(read(ends[1], text, 8) == 5 && memcmp(text, "there", 5) == 0);
	CHECK(read(ends[0], text, 8) == 4 && memcmp(text, "back", 4) == 0);
	close(ends[1]);
	EQUAL(read(ends[0], text, 8), 0);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(ends[0], "x", 1), EPIPE);
	FAILS(CALL(socketpair, AF_UNIX, 99, 0, ends), EINVAL);
	FAILS(CALL(socketpair, 999, SOCK_STREAM, 0, ends), EAFNOSUPPORT);
}

TEST(datagrams, "a pair of datagram sockets keeps messages apart")
{
	char text[8] = "";

	NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
	CHECK(write(ends[0], "one", 3) == 3 && write(ends[0], "two!", 4) == 4);
	CHECK(read(ends[1], text, 8) == 3 && read(ends[1], text, 2) == 2 && memcmp(text, "twe", 3) == 0);
}

/* Waiting. */

TEST(poll, "poll: readable, writable, hung up, not open; time-outs")
{
	struct pollfd polls[3];
	long start = now_ms();

	make_pipe(0);
	polls[0] = (struct pollfd){ends[0], POLLIN, 0};
	polls[1] = (struct pollfd){ends[1], POLLOUT, 0};
	polls[2] = (struct pollfd){999, POLLIN, 0};
	EQUAL(poll(polls, 1, 30), 0);
	CHECK(now_ms() - start >= 29);
	EQUAL(poll(polls, 3, -1), 2);
	CHECK(polls[0].revents == 0 && polls[1].revents == POLLOUT && polls[2].revents == POLLNVAL);
	CHECK(write(ends[1], "x", 1) == 1 && poll(polls, 1, -1) == 1 && polls[0].revents == POLLIN);
	close(ends[1]);
	CHECK(poll(polls, 1, -1) == 1 && polls[0].revents == (POLLIN | POLLHUP));
	polls[0].fd = -5; /* of no interest */
	EQUAL(poll(polls, 1, 0), 0);
	FAILS(CALL(poll, 8, 1, 0), EFAULT);
	FAILS(CALL(poll, polls, -1, 0), EINVAL);
}

TEST(poll_error, "poll: a pipe without a reader is POLLERR; files are always ready")
{
	struct pollfd polls[2];

	make_pipe(0);
	close(ends[0]);
	polls[0] = (struct pollfd){ends[1], POLLOUT, 0};
	polls[1] = (struct pollfd){make_file("file", 0), POLLIN | POLLOUT, 0};
	EQUAL(poll(polls, 2, -1), 2);
	CHECK(polls[0].revents & POLLERR);
	EQUAL(polls[1].revents, POLLIN | POLLOUT);
}

TEST(poll_wakes, "poll wakes when another process writes")
{
	struct pollfd one;
	pid_t child;

	make_pipe(0);
	one = (struct pollfd){ends[0], POLLIN, 0};
	child = fork_counted();
	if (child == 0) {
		sleep_ms(30);
		CHECK(write(ends[1], "x", 1) == 1);
		child_end();
	}
	EQUAL(poll(&one, 1, 5000), 1);
	child_passed(child);
}

TEST(select, "select and pselect: sets, time-outs, errors")
{
	struct timeval brief = {0, 20000}, bad = {-1, 0};
	struct timespec none = {0, 0};
	fd_set read_set, write_set;

	make_pipe(0);
	FD_ZERO(&read_set);
	FD_ZERO(&write_set);
	FD_SET(ends[0], &read_set);
	FD_SET(ends[1], &write_set);
	EQUAL(select(ends[1] + 1, &read_set, &write_set, NULL, NULL), 1);
	CHECK(!FD_ISSET(ends[0], &read_set) && FD_ISSET(ends[1], &write_set));
	FD_SET(ends[0], &read_set);
	EQUAL(CALL(select, ends[0] + 1, &read_set, NULL, NULL, &brief), 0);
	CHECK(!FD_ISSET(ends[0], &read_set) && brief.tv_sec == 0 && brief.tv_usec == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	FD_SET(ends[0], &read_set);
	EQUAL(pselect(ends[0] + 1, &read_set, NULL, NULL, &none, NULL), 1);
	CHECK(FD_ISSET(ends[0], &read_set));
	FD_SET(30, &read_set);
	FAILS(select(31, &read_set, NULL, NULL, NULL), EBADF);
	FAILS(CALL(select, 1, NULL, NULL, NULL, &bad), EINVAL);
	FAILS(CALL(select, -1, NULL, NULL, NULL, NULL), EINVAL);
	FAILS(CALL(select, 10, 8, NULL, NULL, NULL), EFAULT);
}

TEST(epoll, "epoll: added, changed, waited for, removed")
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, seen[4];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	make_pipe(0);
	NEED(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	EQUAL(epoll_wait(epoll, seen, 4, 20), 0);
	CHECK(write(ends[1], "xy", 2) == 2);
	EQUAL(epoll_wait(epoll, seen, 4, -1), 1);
	CHECK(seen[0].events == EPOLLIN && seen[0].data.u64 == 77);
	EQUAL(epoll_wait(epoll, seen, 4, 0), 1); /* as long as it is so */
	event.events = EPOLLIN | EPOLLONESHOT;
	CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event) == 0);
	CHECK(epoll_wait(epoll, seen, 4, 0) == 1 && epoll_wait(epoll, seen, 4, 0) == 0);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL) == 0);
	FAILS(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL), ENOENT);
}

TEST(epoll_edge, "EPOLLET tells of a change once")
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET}, seen;
	int epoll = epoll_create1(0);

	make_pipe(0);
	NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(epoll_wait(epoll, &seen, 1, 0) == 1 && epoll_wait(epoll, &seen, 1, 0) == 0);
	CHECK(write(ends[1], "y", 1) == 1 && epoll_wait(epoll, &seen, 1, 0) == 1);
}

TEST(epoll_bad, "epoll: bad descriptors, files, itself, twice, no room")
{
	struct epoll_event event = {.events = EPOLLIN}, seen;
	int epoll = epoll_create1(0);

	make_pipe(0);
	FAILS(CALL(epoll_create1, 0x1), EINVAL);
	FAILS(CALL(epoll_create, 0), EINVAL);
	FAILS(epoll_ctl(epoll, EPOLL_CTL_ADD, 999, &event), EBADF);
	FAILS(epoll_ctl(ends[0], EPOLL_CTL_ADD, ends[1], &event), EINVAL);
	FAILS(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &event), EINVAL);
	FAILS(epoll_ctl(epoll, EPOLL_CTL_ADD, make_file("file", 0), &event), EPERM);
	FAILS(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event), ENOENT);
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	FAILS(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), EEXIST);
	FAILS(epoll_ctl(epoll, 99, ends[0], &event), EINVAL);
	FAILS(CALL(epoll_wait, epoll, &seen, 0, 0), EINVAL);
	FAILS(CALL(epoll_wait, ends[0], &seen, 1, 0), EINVAL);
}

TEST(epoll_closed, "a closed descriptor is forgotten")
{
	struct epoll_event event = {.events = EPOLLIN}, seen;
	int epoll = epoll_create1(0);

	make_pipe(0);
	NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && epoll_wait(epoll, &seen, 1, 0) == 1);
	close(ends[0]);
	EQUAL(epoll_wait(epoll, &seen, 1, 0), 0);
}

TEST(events, "eventfd: adds, gives all and starts anew, or one at a time")
{
	uint64_t value = 3;
	int file = eventfd(2, EFD_NONBLOCK);

	NEED(file >= 0);
	CHECK(write(file, &value, 8) == 8 && read(file, &value, 8) == 8);
	EQUAL(value, 5);
	FAILS(read(file, &value, 8), EAGAIN);
	value = -1ul;
	FAILS(write(file, &value, 8), EINVAL);
	value = -2ul;
	CHECK(write(file, &value, 8) == 8);
	value = 1;
	FAILS(write(file, &value, 8), EAGAIN);
	FAILS(read(file, &value, 4), EINVAL);
	file = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK(read(file, &value, 8) == 8 && value == 1 && read(file, &value, 8) == 8);
	FAILS(read(file, &value, 8), EAGAIN);
	FAILS(CALL(eventfd2, 0, 0x2), EINVAL);
}

TEST(descriptors_sent, "descriptors pass through a socket pair")
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
	struct iovec data = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int file = make_file("file", 10), received = -1;

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	*header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(header), &file, sizeof(file));
	if (sendmsg(ends[0], &message, 0) != 1)
		skip("no descriptors through sockets");
	close(file);
	EQUAL(recvmsg(ends[1], &message, 0), 1);
	memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(received));
	EQUAL(file_size(received), 10);
}

TEST(most_bytes, "/proc/sys/fs/pipe-max-size is what F_SETPIPE_SZ may ask for")
{
	long most = atol(contents("/proc/sys/fs/pipe-max-size"));
	int ends[2];

	NEED(pipe(ends) == 0);
	CHECK(most >= (long)PAGE);
	EQUAL(fcntl(ends[0], F_SETPIPE_SZ, 0), PAGE);
	EQUAL(fcntl(ends[1], F_GETPIPE_SZ), PAGE);
	EQUAL(fcntl(ends[1], F_SETPIPE_SZ, most), most);
	if (geteuid() != 0)
		skip("the rest is for root");
	NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	FAILS(fcntl(ends[1], F_SETPIPE_SZ, 2 * most), EPERM);
}

static void set_most_bytes(long bytes)
{
	FILE *file = fopen("/proc/sys/fs/pipe-max-size", "w");

	NEED(file != NULL);
	CHECK(fprintf(file, "%ld", bytes) > 0 && fclose(file) == 0);
}

TEST(less_bytes,
     "who is not privileged has new pipes within pipe-max-size, and may make less of those that have more")
{
	long most = atol(contents("/proc/sys/fs/pipe-max-size"));
	char bytes[4 * PAGE] = {0};
	int before[2], after[2];

	skip_if_shared();
	if (geteuid() != 0)
		skip("for root");
	NEED(pipe(before) == 0);
	set_most_bytes(2 * PAGE);
	NEED(pipe(after) == 0);
	EQUAL(fcntl(after[1], F_GETPIPE_SZ), 16 * PAGE);
	IN_CHILD
	{
		NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
		EQUAL(fcntl(before[1], F_SETPIPE_SZ, 8 * PAGE), 8 * PAGE);
		FAILS(fcntl(before[1], F_SETPIPE_SZ, 16 * PAGE), EPERM);
		NEED(write(before[1], bytes, sizeof(bytes)) == sizeof(bytes));
		FAILS(fcntl(before[1], F_SETPIPE_SZ, 2 * PAGE), EBUSY);
		EQUAL(fcntl(before[1], F_SETPIPE_SZ, 4 * PAGE), 4 * PAGE);
		NEED(pipe(after) == 0);
		EQUAL(fcntl(after[1], F_GETPIPE_SZ), 2 * PAGE);
	}
	set_most_bytes(most);
}

#define NONBLOCK 2 /* SPLICE_F_NONBLOCK */

TEST(vmsplice, "vmsplice puts in what there is room for, and waits for no more; SPLICE_F_NONBLOCK for none")
{
	char *memory = anonymous(2 * PIPE_BYTES), *back = anonymous(2 * PIPE_BYTES);
	struct iovec part = {memory, 2 * PIPE_BYTES}, few = {memory, 10}, into = {back, 2 * PIPE_BYTES};

	memset(memory, 'x', 2 * PIPE_BYTES);
	make_pipe(0);
	FAILS(CALL(vmsplice, ends[0], &into, 1, NONBLOCK), EAGAIN);
	EQUAL(CALL(vmsplice, ends[1], &part, 1, 0), PIPE_BYTES);
	FAILS(CALL(vmsplice, ends[1], &few, 1, NONBLOCK), EAGAIN);
	EQUAL(CALL(vmsplice, ends[1], &few, 0, 0), 0);
	EQUAL(CALL(vmsplice, ends[0], &into, 1, NONBLOCK), PIPE_BYTES);
	CHECK(memcmp(memory, back, PIPE_BYTES) == 0 && back[PIPE_BYTES] == 0);
	EQUAL(CALL(vmsplice, ends[1], &few, 1, NONBLOCK), 10);
	EQUAL(CALL(vmsplice, ends[0], &into, 1, 0), 10);
	FAILS(CALL(vmsplice, ends[1], &few, 1, 0x100), EINVAL);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	FAILS(CALL(vmsplice, ends[1], &few, 1, 0), EPIPE);
}

static void do_nothing(int signal)
{
	(void)signal;
}

TEST(splice_interrupted, "splice to a full pipe: a signal ends it, and nothing is taken from the file")
{
	static char filling[PIPE_BYTES];
	const struct sigaction action = {.sa_handler = do_nothing};
	const struct itimerval soon = {.it_value = {.tv_usec = 20000}};
	int file = make_file("file", PAGE);

	make_pipe(0);
	NEED(lseek(file, 0, SEEK_SET) == 0 && write(ends[1], filling, PIPE_BYTES) == PIPE_BYTES);
	NEED(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	FAILS(splice(file, NULL, ends[1], NULL, 100, 0), EINTR);
	EQUAL(lseek(file, 0, SEEK_CUR), 0);
}
