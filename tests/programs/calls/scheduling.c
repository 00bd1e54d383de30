/*
 * Scheduling policies and niceness, as they are told (what they do is in user/tests/priorities.c): sched_setscheduler, sched_setattr, sched_getattr, setpriority, and who may what.
 */
#include "tap.h"
#include <sched.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>

#define RESET_ON_FORK 0x40000000
#define FLAG_RESET    1ul
#define FLAG_POLICY   8ul
#define FLAG_VALUES   16ul
#define SHORTEST      48

/* The first published form of struct sched_attr, and room behind it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t least, most;
	uint64_t beyond;
};

static struct attributes get(void)
{
	struct attributes found = {0};

	NEED(CALL(sched_getattr, 0, &found, SHORTEST, 0) == 0);
	return found;
}

static long set(struct attributes wanted)
{
	wanted.size = wanted.size ? wanted.size : SHORTEST;
	return CALL(sched_setattr, 0, &wanted, 0);
}

static void become_nobody(void)
{
	if (geteuid() != 0)
		skip("only root may become another user");
	NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

TEST(attributes, "sched_setattr and sched_getattr: policy, niceness, flags")
{
	EQUAL(set((struct attributes){.policy = SCHED_BATCH, .nice = 5, .flags = FLAG_RESET}), 0);
	EQUAL(get().size, SHORTEST);
	EQUAL(get().policy, SCHED_BATCH);
	EQUAL(get().nice, 5);
	EQUAL(get().flags, FLAG_RESET);
	EQUAL(get().priority, 0);
	EQUAL(CALL(sched_getscheduler, 0), SCHED_BATCH | RESET_ON_FORK);
	EQUAL(getpriority(PRIO_PROCESS, 0), 5);
	EQUAL(set((struct attributes){.flags = FLAG_RESET | FLAG_POLICY, .nice = 7}), 0);
	EQUAL(get().policy, SCHED_BATCH);
	EQUAL(get().nice, 7);
	EQUAL(set((struct attributes){.flags = FLAG_RESET | FLAG_VALUES, .policy = SCHED_OTHER, .nice = 1}),
	      0);
	EQUAL(get().policy, SCHED_BATCH); /* goes with the values */
	EQUAL(get().nice, 7);
}

TEST(errors, "sched_setattr, sched_getattr: arguments that are refused")
{
	struct attributes found = {0}, larger = {.size = sizeof(larger) + 8};
	char page[2 * PAGE] = {0};

	FAILS(CALL(sched_setattr, 0, 0, 0), EINVAL);
	FAILS(CALL(sched_setattr, 0, 16, 0), EFAULT);
	FAILS(CALL(sched_setattr, -1, &found, 0), EINVAL);
	FAILS(CALL(sched_setattr, 0, &found, 1), EINVAL);
	FAILS(CALL(sched_setattr, 0x7ffffff0, &found, 0), ESRCH);
	FAILS(set((struct attributes){.policy = 99}), EINVAL);
	FAILS(set((struct attributes){.policy = SCHED_OTHER, .priority = 1}), EINVAL);
	FAILS(set((struct attributes){.policy = SCHED_FIFO, .priority = 0}), EINVAL);
	FAILS(set((struct attributes){.flags = 1ul << 40}), EINVAL);
	FAILS(set((struct attributes){.size = 20}), E2BIG);
	memcpy(page, &larger, sizeof(larger));
	EQUAL(CALL(sched_setattr, 0, page, 0), 0);
	page[sizeof(larger) + 1] = 1;
	FAILS(CALL(sched_setattr, 0, page, 0), E2BIG);
	FAILS(CALL(sched_getattr, 0, 0, SHORTEST, 0), EINVAL);
	FAILS(CALL(sched_getattr, 0, 16, SHORTEST, 0), EFAULT);
	FAILS(CALL(sched_getattr, 0, &found, SHORTEST - 1, 0), EINVAL);
	FAILS(CALL(sched_getattr, 0, &found, SHORTEST, 1), EINVAL);
	FAILS(CALL(sched_getattr, -1, &found, SHORTEST, 0), EINVAL);
	FAILS(CALL(sched_getattr, 0x7ffffff0, &found, SHORTEST, 0), ESRCH);
}

TEST(reset, "SCHED_RESET_ON_FORK: children begin as ordinary tasks")
{
	struct sched_param high = {.sched_priority = 5};

	if (CALL(sched_setscheduler, 0, SCHED_FIFO | RESET_ON_FORK, &high) != 0)
		skip("only for who may have such a policy");
	EQUAL(CALL(sched_getscheduler, 0), SCHED_FIFO | RESET_ON_FORK);
	IN_CHILD
	{
		EQUAL(CALL(sched_getscheduler, 0), SCHED_OTHER);
		EQUAL(get().priority, 0);
	}
	EQUAL(CALL(sched_setscheduler, 0, SCHED_FIFO, &high), 0);
	IN_CHILD
	{
		EQUAL(CALL(sched_getscheduler, 0), SCHED_FIFO);
		EQUAL(get().priority, 5);
	}
}

TEST(unprivileged,
     "without privilege: a realtime priority may become less, SCHED_IDLE is left only as RLIMIT_NICE allows")
{
	struct sched_param none = {0}, less = {.sched_priority = 40}, some = {.sched_priority = 50},
			   more = {.sched_priority = 60};
	const struct rlimit nothing = {0, 0};

	if (CALL(sched_setscheduler, 0, SCHED_FIFO, &some) != 0)
		skip("only for who may have such a policy");
	NEED(setrlimit(RLIMIT_RTPRIO, &nothing) == 0 && setrlimit(RLIMIT_NICE, &nothing) == 0);
	become_nobody();
	FAILS(CALL(sched_setscheduler, 0, SCHED_FIFO, &more), EPERM);
	EQUAL(CALL(sched_setscheduler, 0, SCHED_FIFO, &less), 0);
	FAILS(CALL(sched_setscheduler, 0, SCHED_FIFO, &some), EPERM);
	FAILS(CALL(sched_setscheduler, 0, SCHED_RR, &less), EPERM);
	EQUAL(CALL(sched_setscheduler, 0, SCHED_IDLE, &none), 0);
	FAILS(CALL(sched_setscheduler, 0, SCHED_FIFO, &less), EPERM);
	FAILS(CALL(sched_setscheduler, 0, SCHED_OTHER, &none), EPERM);
	FAILS(CALL(sched_setscheduler, 0, SCHED_BATCH, &none), EPERM);
	EQUAL(CALL(sched_setscheduler, 0, SCHED_IDLE, &none), 0);
}

#define IO_PRIORITY(class, level) ((class) << 13 | (level))
#define IO_REALTIME               1
#define IO_BEST                   2
#define IO_IDLE                   3
#define OF_PROCESS                1
#define OF_GROUP                  2

TEST(io_priorities, "ioprio_set and ioprio_get: classes, levels, whose; children inherit them")
{
	NEED(setpgid(0, 0) == 0);
	EQUAL(CALL(ioprio_get, OF_PROCESS, 0), 0);
	EQUAL(CALL(ioprio_get, OF_GROUP, 0), IO_PRIORITY(IO_BEST, 4));
	EQUAL(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_BEST, 7)), 0);
	EQUAL(CALL(ioprio_get, OF_PROCESS, getpid()), IO_PRIORITY(IO_BEST, 7));
	/* Newer kernels have hints beside the level. */
	if (CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_BEST, 8)) == 0)
		EQUAL(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_BEST, 7)), 0);
	EQUAL(CALL(ioprio_get, OF_PROCESS, 0), IO_PRIORITY(IO_BEST, 7));
	FAILS(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(0, 1)), EINVAL);
	FAILS(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(4, 0)), EINVAL);
	FAILS(CALL(ioprio_set, 9, 0, IO_PRIORITY(IO_BEST, 0)), EINVAL);
	FAILS(CALL(ioprio_get, 0, 0), EINVAL);
	FAILS(CALL(ioprio_get, OF_PROCESS, 999999), ESRCH);
	IN_CHILD
	{
		EQUAL(CALL(ioprio_get, OF_PROCESS, 0), IO_PRIORITY(IO_BEST, 7));
		EQUAL(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_BEST, 1)), 0);
		EQUAL(CALL(ioprio_get, OF_GROUP, 0), IO_PRIORITY(IO_BEST, 1));
	}
	EQUAL(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_IDLE, 0)), 0);
	become_nobody();
	EQUAL(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_BEST, 0)), 0);
	FAILS(CALL(ioprio_set, OF_PROCESS, 0, IO_PRIORITY(IO_REALTIME, 4)), EPERM);
	FAILS(CALL(ioprio_set, OF_PROCESS, getppid(), IO_PRIORITY(IO_BEST, 4)), EPERM);
}

#define PIECES 1024

/* Reads a lot with one call, into the same memory again and again. */
static ssize_t read_much(const char *path, size_t piece_bytes)
{
	static struct iovec pieces[PIECES];
	char *memory = anonymous(piece_bytes);
	int file = open(path, O_RDONLY);

	NEED(file >= 0);
	memset(memory, 'x', piece_bytes);
	for (unsigned i = 0; i < PIECES; i++)
		pieces[i] = (struct iovec){memory, piece_bytes};
	return readv(file, pieces, PIECES);
}

static volatile sig_atomic_t rang;

static void ring(int signal)
{
	(void)signal;
	rang = 1;
}

TEST(long_calls, "a timer comes in the midst of a long call, which it ends where that may end early")
{
	struct sigaction action = {.sa_handler = ring};
	struct itimerval soon = {.it_value.tv_usec = 50000};
	ssize_t count;

	NEED(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	count = read_much("/dev/urandom", 256 << 10);
	CHECK(rang && count > 0 && count < PIECES * 256l << 10);
}

TEST(long_calls_of_others, "others run while a long call is made")
{
	volatile long *turns = (volatile long *)anonymous_shared(PAGE);
	pid_t child = fork_counted();
	long before;

	if (child == 0) {
		for (;;) {
			sleep_ms(1);
			++*turns;
		}
	}
	while (*turns == 0)
		sleep_ms(1);
	before = *turns;
	EQUAL(read_much("/dev/zero", 1 << 20), PIECES * 1l << 20);
	/* One more may have come before the call, and one at its end. */
	CHECK(*turns >= before + 3);
	kill(child, SIGKILL);
	wait_status(child);
}

/* What /proc tells (proc(5)). */
static int told_priority(void)
{
	FILE *stat = fopen("/proc/self/stat", "r");
	int priority = 0;

	NEED(stat != NULL);
	NEED(fscanf(stat, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d",
		    &priority) == 1);
	fclose(stat);
	return priority;
}

TEST(proc_stat, "/proc/self/stat: the priority that goes with a niceness or a realtime priority")
{
	struct sched_param high = {.sched_priority = 5};

	EQUAL(told_priority(), 20);
	EQUAL(setpriority(PRIO_PROCESS, 0, 7), 0);
	EQUAL(told_priority(), 27);
	if (CALL(sched_setscheduler, 0, SCHED_RR, &high) != 0)
		skip("only for who may have such a policy");
	EQUAL(told_priority(), -6);
}

TEST(rights, "who is not privileged raises neither niceness nor policy, and keeps SCHED_RESET_ON_FORK")
{
	struct sched_param high = {.sched_priority = 5}, low = {.sched_priority = 0};
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_NICE, &none);
	setrlimit(RLIMIT_RTPRIO, &none);
	become_nobody();
	FAILS(setpriority(PRIO_PROCESS, 0, -1), EACCES);
	FAILS(nice(-1), EPERM);
	FAILS(CALL(sched_setscheduler, 0, SCHED_FIFO, &high), EPERM);
	EQUAL(CALL(sched_setscheduler, 0, SCHED_OTHER | RESET_ON_FORK, &low), 0);
	FAILS(CALL(sched_setscheduler, 0, SCHED_OTHER, &low), EPERM);
	EQUAL(setpriority(PRIO_PROCESS, 0, 3), 0);
	FAILS(setpriority(PRIO_PROCESS, 0, 2), EACCES);
}
