/*
 * System V semaphores: semget, semop, semtimedop, semctl.
 */
#include "tap.h"
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#define KEY        0x50485345
#define COUNT      4
#define MOST_VALUE 32767
#define MOST_STEPS 500
#define MOST_COUNT 32000

static int set = -1;

static void remove_set(void)
{
	if (set >= 0)
		semctl(set, 0, IPC_RMID);
}

static void make_set(void)
{
	set = semget(IPC_PRIVATE, COUNT, IPC_CREAT | 0600);
	NEED(set >= 0);
	atexit(remove_set);
}

static int step(int number, int change, int flags)
{
	struct sembuf one = {(unsigned short)number, (short)change, (short)flags};

	return semop(set, &one, 1);
}

static int value(int number)
{
	return semctl(set, number, GETVAL);
}

static struct semid_ds status_of(int id)
{
	struct semid_ds status = {0};

	NEED(semctl(id, 0, IPC_STAT, &status) == 0);
	return status;
}

/* Waits until so many wait for a semaphore to be raised, or to become 0. */
static void await(int number, int command, int count)
{
	for (int i = 0; i < 200 && semctl(set, number, command) != count; i++)
		sleep_ms(10);
	EQUAL(semctl(set, number, command), count);
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

TEST(get, "semget: a new set, found again by its key")
{
	int old = semget(KEY, 0, 0);

	if (old >= 0)
		semctl(old, 0, IPC_RMID);
	FAILS(semget(KEY, COUNT, 0600), ENOENT);
	FAILS(semget(KEY, 0, IPC_CREAT | 0600), EINVAL);
	FAILS(semget(KEY, -1, IPC_CREAT | 0600), EINVAL);
	FAILS(semget(KEY, MOST_COUNT + 1, IPC_CREAT | 0600), EINVAL);
	set = semget(KEY, COUNT, IPC_CREAT | IPC_EXCL | 0640);
	NEED(set >= 0);
	atexit(remove_set);
	EQUAL(semget(KEY, 0, 0), set);
	EQUAL(semget(KEY, COUNT, IPC_CREAT), set);
	FAILS(semget(KEY, COUNT + 1, 0), EINVAL);
	FAILS(semget(KEY, COUNT, IPC_CREAT | IPC_EXCL), EEXIST);
	EQUAL(status_of(set).sem_nsems, COUNT);
	EQUAL(status_of(set).sem_perm.mode, 0640);
	EQUAL(status_of(set).sem_otime, 0);
	CHECK(labs(status_of(set).sem_ctime - time(NULL)) < 3);
	for (int i = 0; i < COUNT; i++)
		EQUAL(value(i), 0);
}

TEST(large, "a set of many semaphores")
{
	set = semget(IPC_PRIVATE, MOST_COUNT, 0600);
	NEED(set >= 0);
	atexit(remove_set);
	EQUAL(step(MOST_COUNT - 1, 3, SEM_UNDO), 0);
	EQUAL(value(MOST_COUNT - 1), 3);
	EQUAL(value(0), 0);
	FAILS(step(MOST_COUNT, 1, 0), EFBIG);
}

TEST(values, "SETVAL, GETVAL, SETALL, GETALL, GETPID")
{
	unsigned short all[COUNT] = {1, 2, 3, MOST_VALUE}, got[COUNT];

	make_set();
	EQUAL(semctl(set, 1, SETVAL, 7), 0);
	EQUAL(value(1), 7);
	EQUAL(semctl(set, 1, GETPID), getpid());
	EQUAL(semctl(set, 0, SETALL, all), 0);
	EQUAL(semctl(set, 0, GETALL, got), 0);
	CHECK(memcmp(all, got, sizeof(all)) == 0);
	all[2] = MOST_VALUE + 1;
	FAILS(semctl(set, 0, SETALL, all), ERANGE);
	EQUAL(value(0), 1);
	FAILS(semctl(set, 0, SETVAL, MOST_VALUE + 1), ERANGE);
	FAILS(semctl(set, 0, SETVAL, -1), ERANGE);
	FAILS(semctl(set, COUNT, SETVAL, 1), EINVAL);
	FAILS(semctl(set, -1, GETVAL), EINVAL);
	FAILS(semctl(set, COUNT, GETNCNT), EINVAL);
	FAILS(semctl(set, 0, 99), EINVAL);
	FAILS(semctl(-1, 0, GETVAL), EINVAL);
	FAILS(semctl(set, 0, GETALL, (void *)16), EFAULT);
	FAILS(semctl(set, 0, SETALL, (void *)16), EFAULT);
	FAILS(semctl(set, 0, IPC_STAT, (void *)16), EFAULT);
}

TEST(steps, "semop: all steps or none, each seeing those before it")
{
	struct sembuf steps[] = {{0, 2, 0}, {1, -1, IPC_NOWAIT}};
	struct sembuf up_and_down[] = {{0, 1, 0}, {0, -1, 0}, {0, 0, 0}, {2, 5, 0}};

	make_set();
	FAILS(semop(set, steps, 2), EAGAIN);
	EQUAL(value(0), 0);
	EQUAL(step(1, 1, 0), 0);
	EQUAL(semop(set, steps, 2), 0);
	EQUAL(value(0), 2);
	EQUAL(value(1), 0);
	CHECK(labs(status_of(set).sem_otime - time(NULL)) < 3);
	EQUAL(step(0, -2, 0), 0);
	EQUAL(semop(set, up_and_down, 4), 0);
	EQUAL(value(2), 5);
	EQUAL(semctl(set, 0, GETPID), getpid());
	FAILS(step(0, MOST_VALUE, 0) == 0 ? step(0, 1, 0) : 0, ERANGE);
	EQUAL(value(0), MOST_VALUE);
}

TEST(errors, "semop: arguments that are refused")
{
	static struct sembuf many[MOST_STEPS + 1];
	struct sembuf one = {COUNT, 1, 0};
	struct timespec bad = {0, 1000000000};

	make_set();
	FAILS(semop(set, many, 0), EINVAL);
	FAILS(semop(set, many, MOST_STEPS + 1), E2BIG);
	EQUAL(semop(set, many, MOST_STEPS), 0);
	FAILS(semop(-1, many, 1), EINVAL);
	FAILS(semop(set, &one, 1), EFBIG);
	FAILS(CALL(semop, set, 16, 1), EFAULT);
	FAILS(semtimedop(set, many, 1, &bad), EINVAL);
	FAILS(CALL(semtimedop, set, many, 1, 16), EFAULT);
}

TEST(waiting, "semop waits until it can be done, in order of arrival; GETNCNT and GETZCNT count who waits")
{
	pid_t first, second, zero;

	make_set();
	first = fork_counted();
	if (first == 0) {
		EQUAL(step(0, -2, 0), 0);
		child_end();
	}
	await(0, GETNCNT, 1);
	second = fork_counted();
	if (second == 0) {
		EQUAL(step(0, -1, 0), 0);
		child_end();
	}
	await(0, GETNCNT, 2);
	EQUAL(semctl(set, 0, GETZCNT), 0);
	EQUAL(step(0, 1, 0), 0); /* enough for the second only */
	child_passed(second);
	await(0, GETNCNT, 1);
	EQUAL(step(1, 1, 0), 0);
	zero = fork_counted();
	if (zero == 0) {
		EQUAL(step(1, 0, 0), 0);
		child_end();
	}
	await(1, GETZCNT, 1);
	EQUAL(step(1, -1, 0), 0);
	child_passed(zero);
	EQUAL(semctl(set, 0, SETVAL, 2), 0);
	child_passed(first);
	EQUAL(value(0), 0);
	EQUAL(semctl(set, 0, GETPID), first);
}

TEST(chain, "what one waiting call does lets another go on")
{
	pid_t first, second;
	struct sembuf hand_on[] = {{0, -1, 0}, {1, 1, 0}};

	make_set();
	second = fork_counted();
	if (second == 0) {
		EQUAL(step(1, -1, 0), 0);
		child_end();
	}
	await(1, GETNCNT, 1);
	first = fork_counted();
	if (first == 0) {
		EQUAL(semop(set, hand_on, 2), 0);
		child_end();
	}
	await(0, GETNCNT, 1);
	EQUAL(step(0, 1, 0), 0);
	child_passed(first);
	child_passed(second);
}

TEST(times, "semtimedop gives up when its time is over")
{
	struct sembuf one = {0, -1, 0};
	struct timespec length = {0, 60000000};
	long start = now_ms();

	make_set();
	FAILS(semtimedop(set, &one, 1, &length), EAGAIN);
	CHECK(now_ms() - start >= 60);
	EQUAL(semctl(set, 0, GETNCNT), 0);
	EQUAL(step(0, 1, 0), 0);
	EQUAL(semtimedop(set, &one, 1, &length), 0);
}

TEST(removal, "IPC_RMID ends those who wait, with EIDRM; a signal does with EINTR")
{
	struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
	pid_t child;

	make_set();
	sigaction(SIGUSR1, &action, NULL);
	child = fork_counted();
	if (child == 0) {
		FAILS(step(0, -1, SEM_UNDO), EINTR);
		FAILS(step(0, -1, SEM_UNDO), EIDRM);
		child_end();
	}
	await(0, GETNCNT, 1);
	kill(child, SIGUSR1);
	sleep_ms(50);
	await(0, GETNCNT, 1);
	EQUAL(semctl(set, 0, IPC_RMID), 0);
	child_passed(child);
	FAILS(semctl(set, 0, GETVAL), EINVAL);
	set = -1;
}

TEST(undo, "SEM_UNDO: taken back when the process ends, but for what SETVAL came after")
{
	make_set();
	EQUAL(semctl(set, 0, SETVAL, 5), 0);
	IN_CHILD
	{
		EQUAL(step(0, -3, SEM_UNDO), 0);
		EQUAL(step(0, 1, SEM_UNDO), 0);
		EQUAL(step(1, 4, SEM_UNDO), 0);
		EQUAL(step(2, 4, SEM_UNDO), 0);
		EQUAL(step(3, 4, 0), 0);
		EQUAL(semctl(set, 2, SETVAL, 9), 0);
		EQUAL(value(0), 3);
	}
	EQUAL(value(0), 5);
	EQUAL(value(1), 0);
	EQUAL(value(2), 9);
	EQUAL(value(3), 4);
	IN_CHILD
	{
		EQUAL(step(3, 4, SEM_UNDO), 0);
		EQUAL(step(3, -8, 0), 0);
	}
	EQUAL(value(3), 0); /* no value is below 0 */
}

TEST(undo_wakes, "what is taken back lets others go on; a child does not take back its parent's")
{
	pid_t holder;

	make_set();
	EQUAL(semctl(set, 0, SETVAL, 1), 0);
	EQUAL(step(1, 1, SEM_UNDO), 0);
	IN_CHILD {}
	EQUAL(value(1), 1);
	holder = fork();
	if (holder == 0) {
		step(0, -1, SEM_UNDO);
		pause();
	}
	for (int i = 0; i < 200 && value(0) != 0; i++)
		sleep_ms(10);
	IN_CHILD
	{
		pid_t other = fork();

		if (other == 0) {
			sleep_ms(50);
			kill(holder, SIGKILL);
			_exit(0);
		}
		EQUAL(step(0, -1, 0), 0);
		wait_status(other);
	}
	wait_status(holder);
}

TEST(undo_range, "SEM_UNDO: what is to be taken back has bounds, too")
{
	make_set();
	EQUAL(step(0, MOST_VALUE, SEM_UNDO), 0);
	EQUAL(step(0, -MOST_VALUE, 0), 0);
	EQUAL(step(0, 1, SEM_UNDO), 0);
	FAILS(step(0, 1, SEM_UNDO), ERANGE);
	EQUAL(value(0), 1);
}

TEST(unshare, "unshare(CLONE_SYSVSEM) takes back now")
{
	make_set();
	EQUAL(step(0, 2, SEM_UNDO), 0);
	EQUAL(unshare(CLONE_SYSVSEM), 0);
	EQUAL(value(0), 0);
}

TEST(rights, "who may neither read nor write: EACCES; who is no owner: EPERM; IPC_SET changes that")
{
	struct semid_ds status;

	make_set();
	IN_CHILD
	{
		become_nobody();
		FAILS(step(0, 1, 0), EACCES);
		FAILS(step(0, 0, 0), EACCES);
		FAILS(value(0), EACCES);
		FAILS(semctl(set, 0, SETVAL, 1), EACCES);
		FAILS(semctl(set, 0, IPC_RMID), EPERM);
		FAILS(semctl(set, 0, IPC_SET, &status), EPERM);
	}
	status = status_of(set);
	status.sem_perm.mode = 0644;
	EQUAL(semctl(set, 0, IPC_SET, &status), 0);
	IN_CHILD
	{
		become_nobody();
		FAILS(step(0, 1, 0), EACCES);
		EQUAL(step(0, 0, 0), 0);
		EQUAL(value(0), 0);
	}
}

TEST(info, "IPC_INFO, SEM_INFO, SEM_STAT and /proc tell of sets")
{
	struct seminfo limits, use;
	struct semid_ds status;
	int highest, found = -1, numbers[4];
	char line[128];

	make_set();
	highest = semctl(0, 0, IPC_INFO, &limits);
	CHECK(highest >= 0);
	EQUAL(limits.semvmx, MOST_VALUE);
	EQUAL(limits.semmsl, MOST_COUNT);
	EQUAL(limits.semopm, MOST_STEPS);
	EQUAL(semctl(0, 0, SEM_INFO, &use), highest);
	CHECK(use.semusz >= 1 && use.semaem >= COUNT);
	for (int place = 0; place <= highest; place++)
		if (semctl(place, 0, SEM_STAT, &status) == set)
			found = place;
	CHECK(found >= 0);
	EQUAL(status.sem_nsems, COUNT);
	snprintf(line, sizeof(line), "\n%10d %10d  %4o %10d ", 0, set, 0600, COUNT);
	CHECK(strstr(contents("/proc/sysvipc/sem"), line) != NULL);
	EQUAL(sscanf(contents("/proc/sys/kernel/sem"), "%d %d %d %d", &numbers[0], &numbers[1], &numbers[2],
		     &numbers[3]),
	      4);
	EQUAL(numbers[0], limits.semmsl);
	EQUAL(numbers[3], limits.semmni);
}
