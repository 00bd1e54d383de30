/*
 * System V message queues: msgget, msgsnd, msgrcv, msgctl.
 */
#include "tap.h"
#include <limits.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#define KEY         0x50484d51
#define QUEUE_BYTES 16384
#define MOST_BYTES  8192

struct text {
	long type;
	char bytes[MOST_BYTES + 8];
};

static int queue = -1;
static struct text text;

static void remove_queue(void)
{
	if (queue >= 0)
		msgctl(queue, IPC_RMID, NULL);
}

static void make_queue(void)
{
	queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	NEED(queue >= 0);
	atexit(remove_queue);
}

static int put(long type, const char *words, int flags)
{
	text.type = type;
	strcpy(text.bytes, words);
	return msgsnd(queue, &text, strlen(words), flags);
}

/* Receives a message of these words and this type. */
static void get(long wanted, int flags, long type, const char *words)
{
	memset(&text, 0, sizeof(text));
	EQUAL(msgrcv(queue, &text, MOST_BYTES, wanted, flags | IPC_NOWAIT), strlen(words));
	EQUAL(text.type, type);
	CHECK(strcmp(text.bytes, words) == 0);
}

static struct msqid_ds status_of(int id)
{
	struct msqid_ds status = {0};

	NEED(msgctl(id, IPC_STAT, &status) == 0);
	return status;
}

static void become_nobody(void)
{
	if (geteuid() != 0)
		skip("only root may become another user");
	NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void do_nothing(int signal)
{
	(void)signal;
}

TEST(get, "msgget: a new queue, found again by its key")
{
	int old = msgget(KEY, 0);

	if (old >= 0)
		msgctl(old, IPC_RMID, NULL);
	FAILS(msgget(KEY, 0600), ENOENT);
	queue = msgget(KEY, IPC_CREAT | IPC_EXCL | 0640);
	NEED(queue >= 0);
	atexit(remove_queue);
	EQUAL(msgget(KEY, 0), queue);
	EQUAL(msgget(KEY, IPC_CREAT | 0600), queue);
	FAILS(msgget(KEY, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	EQUAL(status_of(queue).msg_perm.mode, 0640);
	EQUAL(status_of(queue).msg_qbytes, QUEUE_BYTES);
	EQUAL(status_of(queue).msg_qnum, 0);
	EQUAL(status_of(queue).msg_perm.__key, KEY);
	CHECK(labs(status_of(queue).msg_ctime - time(NULL)) < 3);
	EQUAL(status_of(queue).msg_stime, 0);
}

TEST(ids, "identifiers: private queues are different ones, and a removed one's number is not valid again")
{
	int other = msgget(IPC_PRIVATE, 0600), third;

	make_queue();
	CHECK(other >= 0 && other != queue);
	EQUAL(msgctl(other, IPC_RMID, NULL), 0);
	FAILS(msgctl(other, IPC_RMID, NULL), EINVAL);
	third = msgget(IPC_PRIVATE, 0600);
	CHECK(third != other);
	FAILS(msgsnd(other, &text, 0, 0), EINVAL);
	EQUAL(msgctl(third, IPC_RMID, NULL), 0);
}

TEST(order, "msgrcv: the first of all, of a type, of the lowest types, of all others")
{
	make_queue();
	EQUAL(put(3, "three", 0), 0);
	EQUAL(put(2, "two", 0), 0);
	EQUAL(put(1, "one", 0), 0);
	EQUAL(put(2, "two again", 0), 0);
	get(2, 0, 2, "two");
	get(-2, 0, 1, "one");
	get(3, MSG_EXCEPT, 2, "two again");
	get(0, 0, 3, "three");
	FAILS(msgrcv(queue, &text, 10, 0, IPC_NOWAIT), ENOMSG);
	EQUAL(put(5, "five", 0), 0);
	FAILS(msgrcv(queue, &text, 10, -4, IPC_NOWAIT), ENOMSG);
	FAILS(msgrcv(queue, &text, 10, 5, IPC_NOWAIT | MSG_EXCEPT), ENOMSG);
	get(LONG_MIN, 0, 5, "five");
}

TEST(copies, "MSG_COPY: the message of a number, which stays")
{
	make_queue();
	EQUAL(put(1, "first", 0), 0);
	EQUAL(put(2, "second", 0), 0);
	errno = 0;
	if (msgrcv(queue, &text, 10, 0, MSG_COPY | IPC_NOWAIT) < 0 && errno == ENOSYS)
		skip("the kernel has no MSG_COPY");
	get(1, MSG_COPY, 2, "second");
	get(0, MSG_COPY, 1, "first");
	FAILS(msgrcv(queue, &text, 10, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
	FAILS(msgrcv(queue, &text, 10, 0, MSG_COPY), EINVAL);
	FAILS(msgrcv(queue, &text, 10, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT), EINVAL);
	FAILS(msgrcv(queue, &text, 3, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
	EQUAL(status_of(queue).msg_qnum, 2);
}

TEST(lengths, "messages of 0 to 8192 bytes come as they went")
{
	static const size_t lengths[] = {0, 1, 200, 210, 216, 4048, 4056, 4096, 8000, MOST_BYTES};

	make_queue();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		bool same = true;

		text.type = 7;
		for (size_t j = 0; j < lengths[i]; j++)
			text.bytes[j] = (char)(j * 7 + i);
		EQUAL(msgsnd(queue, &text, lengths[i], 0), 0);
		memset(&text, 0xee, sizeof(text));
		EQUAL(msgrcv(queue, &text, MOST_BYTES, 0, 0), lengths[i]);
		for (size_t j = 0; j < lengths[i]; j++)
			same &= text.bytes[j] == (char)(j * 7 + i);
		CHECK(same);
		CHECK(text.bytes[lengths[i]] == (char)0xee);
	}
}

TEST(cut, "a message that is too long: E2BIG and it stays, or MSG_NOERROR and it is cut")
{
	make_queue();
	EQUAL(put(1, "abcdef", 0), 0);
	FAILS(msgrcv(queue, &text, 3, 0, 0), E2BIG);
	EQUAL(status_of(queue).msg_qnum, 1);
	memset(&text, 0, sizeof(text));
	EQUAL(msgrcv(queue, &text, 3, 0, MSG_NOERROR), 3);
	CHECK(strcmp(text.bytes, "abc") == 0);
	EQUAL(status_of(queue).msg_qnum, 0);
}

TEST(errors, "arguments that are refused")
{
	make_queue();
	text.type = 0;
	FAILS(msgsnd(queue, &text, 1, 0), EINVAL);
	text.type = -1;
	FAILS(msgsnd(queue, &text, 1, 0), EINVAL);
	text.type = 1;
	FAILS(msgsnd(queue, &text, MOST_BYTES + 1, 0), EINVAL);
	FAILS(CALL(msgsnd, queue, &text, -1, 0), EINVAL);
	FAILS(CALL(msgsnd, -1, &text, 1, 0), EINVAL);
	FAILS(CALL(msgsnd, queue, 16, 1, 0), EFAULT);
	FAILS(CALL(msgrcv, queue, &text, -1, 0, IPC_NOWAIT), EINVAL);
	FAILS(CALL(msgrcv, -1, &text, 1, 0, IPC_NOWAIT), EINVAL);
	FAILS(msgctl(queue, 99, NULL), EINVAL);
	FAILS(CALL(msgctl, queue, IPC_STAT, 16), EFAULT);
	FAILS(CALL(msgctl, queue, IPC_SET, 16), EFAULT);
	FAILS(CALL(msgctl, -1, IPC_RMID, 0), EINVAL);
	EQUAL(status_of(queue).msg_qnum, 0);
	EQUAL(put(1, "x", 0), 0);
	FAILS(CALL(msgrcv, queue, 16, 10, 0, 0), EFAULT);
}

TEST(full, "a full queue: EAGAIN with IPC_NOWAIT; who waits goes on when there is room")
{
	int sent = 0;
	pid_t child;

	make_queue();
	text.type = 1;
	while (msgsnd(queue, &text, 4096, IPC_NOWAIT) == 0)
		sent++;
	EQUAL(errno, EAGAIN);
	EQUAL(sent, QUEUE_BYTES / 4096);
	EQUAL(status_of(queue).msg_cbytes, QUEUE_BYTES);
	EQUAL(msgsnd(queue, &text, 0, IPC_NOWAIT), 0); /* takes no bytes */
	child = fork_counted();
	if (child == 0) {
		text.type = 2;
		EQUAL(msgsnd(queue, &text, 10, 0), 0);
		child_end();
	}
	sleep_ms(50);
	EQUAL(waitpid(child, NULL, WNOHANG), 0);
	EQUAL(msgrcv(queue, &text, MOST_BYTES, 1, 0), 4096);
	child_passed(child);
	EQUAL(msgrcv(queue, &text, MOST_BYTES, 2, IPC_NOWAIT), 10);
	EQUAL(status_of(queue).msg_lspid, child);
	EQUAL(status_of(queue).msg_lrpid, getpid());
	CHECK(labs(status_of(queue).msg_rtime - time(NULL)) < 3);
}

TEST(wait, "msgrcv waits for a message of its type")
{
	pid_t child;

	make_queue();
	child = fork_counted();
	if (child == 0) {
		EQUAL(msgrcv(queue, &text, 10, 2, 0), 5);
		CHECK(memcmp(text.bytes, "right", 5) == 0);
		child_end();
	}
	sleep_ms(30);
	EQUAL(put(1, "wrong", 0), 0);
	sleep_ms(30);
	EQUAL(waitpid(child, NULL, WNOHANG), 0);
	EQUAL(put(2, "right", 0), 0);
	child_passed(child);
	EQUAL(status_of(queue).msg_qnum, 1);
}

TEST(removal, "IPC_RMID ends those who wait, with EIDRM")
{
	pid_t child;

	make_queue();
	child = fork_counted();
	if (child == 0) {
		FAILS(msgrcv(queue, &text, 10, 9, 0), EIDRM);
		child_end();
	}
	sleep_ms(50);
	EQUAL(msgctl(queue, IPC_RMID, NULL), 0);
	child_passed(child);
	FAILS(msgctl(queue, IPC_STAT, &(struct msqid_ds){0}), EINVAL);
	queue = -1;
}

TEST(interrupted, "a signal ends both waits with EINTR, with SA_RESTART, too")
{
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};

	make_queue();
	sigaction(SIGUSR1, &action, NULL);
	IN_CHILD
	{
		pid_t waiter = getpid();

		if (fork() == 0) {
			sleep_ms(50);
			kill(waiter, SIGUSR1);
			_exit(0);
		}
		FAILS(msgrcv(queue, &text, 10, 0, 0), EINTR);
		wait(NULL);
	}
	text.type = 1;
	while (msgsnd(queue, &text, MOST_BYTES, IPC_NOWAIT) == 0)
		continue;
	IN_CHILD
	{
		pid_t waiter = getpid();

		if (fork() == 0) {
			sleep_ms(50);
			kill(waiter, SIGUSR1);
			_exit(0);
		}
		FAILS(msgsnd(queue, &text, MOST_BYTES, 0), EINTR);
		wait(NULL);
	}
}

TEST(set, "IPC_SET changes mode, owner and the size of the queue, which only privileged processes raise")
{
	struct msqid_ds status;

	make_queue();
	status = status_of(queue);
	status.msg_perm.mode = 0606;
	status.msg_qbytes = 10;
	EQUAL(msgctl(queue, IPC_SET, &status), 0);
	EQUAL(status_of(queue).msg_perm.mode, 0606);
	text.type = 1;
	FAILS(msgsnd(queue, &text, 11, IPC_NOWAIT), EAGAIN);
	EQUAL(msgsnd(queue, &text, 10, IPC_NOWAIT), 0);
	if (geteuid() != 0)
		skip("the rest is for root");
	status.msg_qbytes = 2 * QUEUE_BYTES;
	if (msgctl(queue, IPC_SET, &status) == 0) {
		EQUAL(status_of(queue).msg_qbytes, 2 * QUEUE_BYTES);
	} else {
		EQUAL(errno, EPERM); /* a root without the capability */
	}
	status.msg_qbytes = 10;
	status.msg_perm.uid = (uid_t)-1;
	FAILS(msgctl(queue, IPC_SET, &status), EINVAL);
	status.msg_perm.uid = NOBODY;
	EQUAL(msgctl(queue, IPC_SET, &status), 0);
	IN_CHILD
	{
		become_nobody();
		EQUAL(status_of(queue).msg_perm.uid, NOBODY);
		status.msg_qbytes = 2 * QUEUE_BYTES;
		FAILS(msgctl(queue, IPC_SET, &status), EPERM);
		status.msg_qbytes = 5;
		EQUAL(msgctl(queue, IPC_SET, &status), 0);
	}
	EQUAL(status_of(queue).msg_qbytes, 5);
}

TEST(rights, "who may neither read nor write: EACCES; who is no owner: EPERM")
{
	make_queue();
	EQUAL(put(1, "x", 0), 0);
	IN_CHILD
	{
		become_nobody();
		FAILS(msgsnd(queue, &text, 1, 0), EACCES);
		FAILS(msgrcv(queue, &text, 1, 0, 0), EACCES);
		FAILS(msgctl(queue, IPC_STAT, &(struct msqid_ds){0}), EACCES);
		FAILS(msgctl(queue, IPC_SET, &(struct msqid_ds){0}), EPERM);
		FAILS(msgctl(queue, IPC_RMID, NULL), EPERM);
	}
	EQUAL(status_of(queue).msg_qnum, 1);
}

TEST(info, "IPC_INFO, MSG_INFO, MSG_STAT and /proc/sysvipc/msg tell of queues")
{
	struct msginfo limits, use;
	struct msqid_ds status;
	char line[128];
	int highest, found = -1;

	make_queue();
	EQUAL(put(1, "1234567", 0), 0);
	highest = msgctl(0, IPC_INFO, (struct msqid_ds *)&limits);
	CHECK(highest >= 0);
	EQUAL(limits.msgmax, MOST_BYTES);
	EQUAL(limits.msgmnb, QUEUE_BYTES);
	CHECK(limits.msgmni > 0);
	EQUAL(msgctl(0, MSG_INFO, (struct msqid_ds *)&use), highest);
	CHECK(use.msgpool >= 1 && use.msgmap >= 1 && use.msgtql >= 7);
	for (int place = 0; place <= highest; place++)
		if (msgctl(place, MSG_STAT, &status) == queue)
			found = place;
	CHECK(found >= 0);
	EQUAL(msgctl(found, 13 /* MSG_STAT_ANY */, &status), queue);
	EQUAL(status.msg_qnum, 1);
	FAILS(msgctl(highest + 1, MSG_STAT, &status), EINVAL);
	snprintf(line, sizeof(line), "\n%10d %10d  %4o %11lu %10lu %5d %5d ", 0, queue, 0600, 7ul, 1ul,
		 getpid(), 0);
	CHECK(strstr(contents("/proc/sysvipc/msg"), line) != NULL);
}
