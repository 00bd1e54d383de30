/*
 * POSIX message queues: mq_open, mq_unlink, mq_send, mq_receive, mq_notify, mq_getattr, mq_setattr.
 */
#include "tap.h"
#include <limits.h>
#include <mqueue.h>
#include <poll.h>

#define NAME       "/phoenix-test"
#define MESSAGES   4
#define BYTES      64
#define PRIORITIES 32768

static mqd_t queue = -1;
static char text[BYTES * 2];

static void unlink_queue(void)
{
	mq_unlink(NAME);
}

static mqd_t open_queue(int flags)
{
	struct mq_attr attributes = {.mq_maxmsg = MESSAGES, .mq_msgsize = BYTES};

	mq_unlink(NAME);
	queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attributes);
	if (queue < 0 && errno == ENOSYS)
		skip("the kernel has no message queues");
	NEED(queue >= 0);
	atexit(unlink_queue);
	return queue;
}

static long count(void)
{
	struct mq_attr attributes;

	NEED(mq_getattr(queue, &attributes) == 0);
	return attributes.mq_curmsgs;
}

/* Receives a message of these words and this priority. */
static void get(const char *words, unsigned priority)
{
	unsigned got = 99;

	memset(text, 0, sizeof(text));
	EQUAL(mq_receive(queue, text, BYTES, &got), strlen(words));
	EQUAL(got, priority);
	CHECK(strcmp(text, words) == 0);
}

static struct timespec in_ms(long milliseconds)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += milliseconds * 1000000;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	return time;
}

static volatile sig_atomic_t told;
static siginfo_t told_info;

static void note(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	told_info = *info;
	told++;
}

static void handle(int signal)
{
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};

	sigaction(signal, &action, NULL);
}

TEST(open, "mq_open: made, found, refused")
{
	struct mq_attr attributes, bad = {.mq_maxmsg = 0, .mq_msgsize = 1};
	struct stat status;
	mqd_t other;

	open_queue(0);
	EQUAL(mq_getattr(queue, &attributes), 0);
	EQUAL(attributes.mq_maxmsg, MESSAGES);
	EQUAL(attributes.mq_msgsize, BYTES);
	EQUAL(attributes.mq_flags, 0);
	EQUAL(attributes.mq_curmsgs, 0);
	EQUAL(fcntl(queue, F_GETFD), FD_CLOEXEC);
	EQUAL(fstat(queue, &status), 0);
	EQUAL(status.st_size, 80);
	EQUAL(status.st_mode, S_IFREG | 0600);
	other = mq_open(NAME, O_RDONLY);
	CHECK(other >= 0 && other != queue);
	EQUAL(mq_close(other), 0);
	FAILS(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	FAILS(mq_open("/phoenix-none", O_RDWR), ENOENT);
	FAILS(CALL(mq_open, "a/b", O_RDWR | O_CREAT, 0600, 0), EACCES);
	FAILS(CALL(mq_open, "..", O_RDWR | O_CREAT, 0600, 0), EACCES);
	FAILS(CALL(mq_open, "", O_RDWR | O_CREAT, 0600, 0), ENOENT);
	FAILS(CALL(mq_open, 16, O_RDWR, 0, 0), EFAULT);
	FAILS(CALL(mq_open, "phoenix-none", O_RDWR | O_CREAT, 0600, 16), EFAULT);
	FAILS(mq_open("/phoenix-none", O_RDWR | O_CREAT, 0600, &bad), EINVAL);
	bad = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = INT_MAX};
	FAILS(mq_open("/phoenix-none", O_RDWR | O_CREAT, 0600, &bad), EINVAL);
	EQUAL(mq_unlink(NAME), 0);
	FAILS(mq_unlink(NAME), ENOENT);
	FAILS(mq_open(NAME, O_RDWR), ENOENT);
	EQUAL(mq_send(queue, "still", 5, 0), 0);
	get("still", 0);
}

TEST(name, "mq_open: a name may have 255 bytes, and no more")
{
	char name[300];

	open_queue(0);
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	queue = CALL(mq_open, name, O_RDWR | O_CREAT, 0600, 0);
	CHECK(queue >= 0);
	EQUAL(CALL(mq_unlink, name), 0);
	name[255] = 'n';
	name[256] = '\0';
	FAILS(CALL(mq_open, name, O_RDWR | O_CREAT, 0600, 0), ENAMETOOLONG);
	FAILS(CALL(mq_unlink, name), ENAMETOOLONG);
}

TEST(order, "the highest priority comes first, and of one priority what was sent first")
{
	open_queue(0);
	EQUAL(mq_send(queue, "low", 3, 1), 0);
	EQUAL(mq_send(queue, "high", 4, PRIORITIES - 1), 0);
	EQUAL(mq_send(queue, "low again", 9, 1), 0);
	EQUAL(mq_send(queue, "", 0, 2), 0);
	EQUAL(count(), 4);
	get("high", PRIORITIES - 1);
	get("", 2);
	get("low", 1);
	get("low again", 1);
	EQUAL(count(), 0);
}

TEST(errors, "arguments that are refused")
{
	mqd_t reader, writer;
	struct timespec bad = {0, 1000000000};
	int file = make_file("file", 10);

	open_queue(0);
	FAILS(mq_send(queue, text, BYTES + 1, 0), EMSGSIZE);
	FAILS(mq_send(queue, text, 1, PRIORITIES), EINVAL);
	FAILS(mq_receive(queue, text, BYTES - 1, NULL), EMSGSIZE);
	FAILS(CALL(mq_timedsend, queue, 16, 4, 0, 0), EFAULT);
	FAILS(CALL(mq_timedsend, queue, text, 4, 0, 16), EFAULT);
	FAILS(CALL(mq_timedsend, queue, text, 4, 0, &bad), EINVAL);
	FAILS(CALL(mq_timedreceive, queue, text, BYTES, 0, &bad), EINVAL);
	EQUAL(count(), 0);
	FAILS(mq_send(file, text, 1, 0), EBADF);
	FAILS(mq_receive(file, text, BYTES, NULL), EBADF);
	FAILS(CALL(mq_getsetattr, file, 0, text), EBADF);
	FAILS(CALL(mq_getsetattr, queue, 0, 16), EFAULT);
	FAILS(mq_send(-1, text, 1, 0), EBADF);
	reader = mq_open(NAME, O_RDONLY);
	writer = mq_open(NAME, O_WRONLY);
	FAILS(mq_send(reader, text, 1, 0), EBADF);
	FAILS(mq_receive(writer, text, BYTES, NULL), EBADF);
	EQUAL(mq_send(writer, "x", 1, 7), 0);
	EQUAL(mq_receive(reader, text, sizeof(text), NULL), 1);
	EQUAL(mq_send(writer, "x", 1, 7), 0);
	FAILS(CALL(mq_timedreceive, queue, 16, BYTES, 0, 0), EFAULT);
}

TEST(nonblocking, "O_NONBLOCK, as opened and as set: EAGAIN when empty, and when full")
{
	struct mq_attr attributes = {.mq_flags = 0}, before;

	open_queue(O_NONBLOCK);
	FAILS(mq_receive(queue, text, BYTES, NULL), EAGAIN);
	for (int i = 0; i < MESSAGES; i++)
		EQUAL(mq_send(queue, "x", 1, 0), 0);
	FAILS(mq_send(queue, "x", 1, 0), EAGAIN);
	EQUAL(mq_setattr(queue, &attributes, &before), 0);
	EQUAL(before.mq_flags, O_NONBLOCK);
	EQUAL(before.mq_curmsgs, MESSAGES);
	EQUAL(fcntl(queue, F_GETFL) & O_NONBLOCK, 0);
	attributes.mq_flags = O_APPEND;
	FAILS(mq_setattr(queue, &attributes, NULL), EINVAL);
}

TEST(waiting, "who waits for a message, or for room, gets it in order of arrival; the time may be limited")
{
	struct timespec later = in_ms(60);
	pid_t first, second;

	open_queue(0);
	FAILS(mq_timedreceive(queue, text, BYTES, NULL, &later), ETIMEDOUT);
	later = in_ms(0);
	FAILS(mq_timedreceive(queue, text, BYTES, NULL, &later), ETIMEDOUT);
	first = fork_counted();
	if (first == 0) {
		get("one", 3);
		child_end();
	}
	sleep_ms(50);
	second = fork_counted();
	if (second == 0) {
		get("two", 9);
		child_end();
	}
	sleep_ms(50);
	EQUAL(mq_send(queue, "one", 3, 3), 0);
	EQUAL(mq_send(queue, "two", 3, 9), 0);
	child_passed(first);
	child_passed(second);
	for (int i = 0; i < MESSAGES; i++)
		EQUAL(mq_send(queue, "x", 1, 0), 0);
	later = in_ms(60);
	FAILS(mq_timedsend(queue, "y", 1, 5, &later), ETIMEDOUT);
	first = fork_counted();
	if (first == 0) {
		EQUAL(mq_send(queue, "y", 1, 5), 0);
		child_end();
	}
	sleep_ms(50);
	EQUAL(count(), MESSAGES);
	get("x", 0);
	child_passed(first);
	get("y", 5);
}

TEST(interrupted, "a signal ends a wait with EINTR, but for handlers with SA_RESTART")
{
	struct sigaction again = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
	pid_t own = getpid();

	open_queue(0);
	handle(SIGUSR1);
	sigaction(SIGUSR2, &again, NULL);
	if (fork() == 0) {
		sleep_ms(50);
		kill(own, SIGUSR1);
		sleep_ms(50);
		kill(own, SIGUSR2);
		sleep_ms(50);
		mq_send(queue, "end", 3, 0);
		_exit(0);
	}
	FAILS(mq_receive(queue, text, BYTES, NULL), EINTR);
	get("end", 0);
	EQUAL(told, 2);
	wait(NULL);
}

TEST(notify, "mq_notify: a signal, once, for a message that comes to an empty queue and to nobody who waits")
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	pid_t child;

	open_queue(0);
	handle(SIGUSR1);
	event.sigev_value.sival_int = 4711;
	EQUAL(mq_notify(queue, &event), 0);
	FAILS(mq_notify(queue, &event), EBUSY);
	child = fork();
	if (child == 0) {
		mq_send(queue, "x", 1, 0);
		_exit(0);
	}
	wait_status(child);
	EQUAL(told, 1);
	EQUAL(told_info.si_code, SI_MESGQ);
	EQUAL(told_info.si_value.sival_int, 4711);
	EQUAL(told_info.si_pid, child);
	EQUAL(told_info.si_uid, getuid());
	EQUAL(mq_notify(queue, &event), 0); /* the queue is not empty */
	EQUAL(mq_send(queue, "y", 1, 0), 0);
	EQUAL(told, 1);
	get("x", 0);
	get("y", 0);
	child = fork_counted();
	if (child == 0) {
		get("z", 0);
		child_end();
	}
	sleep_ms(50);
	EQUAL(mq_send(queue, "z", 1, 0), 0);
	child_passed(child);
	EQUAL(told, 1);
	EQUAL(mq_send(queue, "w", 1, 0), 0);
	EQUAL(told, 2);
}

TEST(notify_end, "mq_notify: taken back by NULL, by closing, and by the end of the process")
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	open_queue(0);
	EQUAL(mq_notify(queue, &event), 0);
	IN_CHILD
	{
		FAILS(mq_notify(queue, &event), EBUSY);
		EQUAL(mq_notify(queue, NULL), 0); /* not its own */
		FAILS(mq_notify(queue, &event), EBUSY);
	}
	EQUAL(mq_notify(queue, NULL), 0);
	EQUAL(mq_notify(queue, NULL), 0);
	IN_CHILD
	{
		EQUAL(mq_notify(queue, &event), 0);
	}
	EQUAL(mq_notify(queue, &event), 0);
	EQUAL(mq_close(mq_open(NAME, O_RDONLY)), 0);
	EQUAL(mq_notify(queue, &event), 0);
	EQUAL(mq_notify(queue, NULL), 0);
	event.sigev_notify = 77;
	FAILS(mq_notify(queue, &event), EINVAL);
	event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	FAILS(mq_notify(queue, &event), EINVAL);
	FAILS(CALL(mq_notify, queue, 16), EFAULT);
	FAILS(mq_notify(-1, NULL), EBADF);
}

TEST(poll, "poll tells of messages and of room")
{
	struct pollfd entry;

	entry = (struct pollfd){.fd = open_queue(0), .events = POLLIN | POLLOUT};
	EQUAL(poll(&entry, 1, 0), 1);
	EQUAL(entry.revents, POLLOUT);
	for (int i = 0; i < MESSAGES; i++)
		EQUAL(mq_send(queue, "x", 1, 0), 0);
	EQUAL(poll(&entry, 1, 0), 1);
	EQUAL(entry.revents, POLLIN);
	get("x", 0);
	EQUAL(poll(&entry, 1, 0), 1);
	EQUAL(entry.revents, POLLIN | POLLOUT);
	entry.events = POLLIN;
	while (count() > 0)
		get("x", 0);
	if (fork() == 0) {
		sleep_ms(50);
		mq_send(queue, "x", 1, 0);
		_exit(0);
	}
	EQUAL(poll(&entry, 1, 5000), 1);
	wait(NULL);
}

TEST(status, "reading a queue tells of it")
{
	char line[128] = {0};

	open_queue(0);
	EQUAL(mq_send(queue, "12345", 5, 0), 0);
	CHECK(read(queue, line, sizeof(line)) > 0);
	CHECK(strcmp(line, "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n") == 0);
	EQUAL(read(queue, line, sizeof(line)), 0);
}

TEST(limits, "RLIMIT_MSGQUEUE: EMFILE; who may not: EACCES")
{
	struct rlimit limit = {5000, 5000};

	open_queue(0);
	EQUAL(setrlimit(RLIMIT_MSGQUEUE, &limit), 0);
	FAILS(mq_open("/phoenix-none", O_RDWR | O_CREAT, 0600, NULL), EMFILE);
	if (geteuid() != 0)
		skip("the rest is for root");
	NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	FAILS(mq_open(NAME, O_RDONLY), EACCES);
	FAILS(mq_unlink(NAME), EACCES);
}
