/*
 * Niceness and scheduling policies: who gets how much of one CPU, and who comes first. What is compared is CPU time and order, never how fast anything is.
 */
#include "check.h"
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define MS             1000000ull
#define ENOUGH         (800 * MS) /* of CPU time, to tell shares */
#define BEGINNING      (100 * MS)
#define ENOUGH_OF_IDLE (1500 * MS) /* where one has a small one */
#define REALTIME_SPAN  (2500 * MS) /* more than two periods in which realtime threads have a part */
#define MOST_EVENTS    4096
#define ROUND_ROBIN_MS 100
#define STEPS          100 /* to ring 3 and back */

/* What all processes see. */
static struct shared {
	volatile int count;
	volatile char events[MOST_EVENTS];
	volatile int flag;
} * shared;

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) == 0 ? (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec : 0;
}

static void sleep_ms(unsigned ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * (long)MS};

	nanosleep(&time, NULL);
}

static void burn_ms(unsigned ms)
{
	uint64_t end = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) + ms * MS;

	while (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

static uint64_t cpu_time(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) == 0 ? nanoseconds(clock) : 0;
}

/* For ever, by instructions of which an emulator makes many at a time. */
static _Noreturn void spin(void)
{
	for (;;)
		__asm__ volatile(".rept 64\n\tnop\n\t.endr");
}

static int set_policy(pid_t pid, int policy, int priority)
{
	const struct sched_param parameter = {.sched_priority = priority};

	/* The C library's own function refuses. */
	return (int)syscall(SYS_sched_setscheduler, pid, policy, &parameter);
}

static void event(char what)
{
	if (shared->count < MOST_EVENTS)
		shared->events[shared->count++] = what;
}

/* ---- Shares ----------------------------------------------------------------------------------------------- */

struct hog {
	int policy, nice;
	pid_t pid;
	uint64_t before, ran;
};

static void start(struct hog *hog)
{
	hog->pid = fork();
	if (hog->pid == 0) {
		if (setpriority(PRIO_PROCESS, 0, hog->nice) != 0 || set_policy(0, hog->policy, 0) != 0)
			_exit(1);
		spin();
	}
}

/* Lets them run until they have had that together, from now on. */
static void watch(struct hog *hogs, unsigned count, uint64_t enough)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < count; i++)
		hogs[i].before = cpu_time(hogs[i].pid);
	while (all < enough) {
		sleep_ms(50);
		all = 0;
		for (unsigned i = 0; i < count; i++) {
			hogs[i].ran = cpu_time(hogs[i].pid) - hogs[i].before;
			all += hogs[i].ran;
		}
	}
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void share(struct hog *hogs, unsigned count, uint64_t enough)
{
	for (unsigned i = 0; i < count; i++)
		start(&hogs[i]);
	watch(hogs, count, enough);
	for (unsigned i = 0; i < count; i++)
		end(hogs[i].pid);
}

/* Is `more` between so many hundredths of `less`? */
static bool is_between(uint64_t more, uint64_t less, unsigned least, unsigned most)
{
	bool is = more * 100 >= less * least && more * 100 <= less * most;

	if (!is)
		printf("%llu us and %llu us: not a ratio of %u to %u hundredths\n",
		       (unsigned long long)more / 1000, (unsigned long long)less / 1000, least, most);
	return is;
}

/* sched(7): a step is a factor of about 1.25. */
static void shares(void)
{
	struct hog equal[] = {{.nice = 0}, {.nice = 0}, {.nice = 0}}, five[] = {{.nice = 0}, {.nice = 5}};
	struct hog nice[] = {{.nice = 10}, {.nice = 15}},
		   many[] = {{.nice = 0}, {.nice = 3}, {.nice = 3}, {.nice = 3}};
	struct hog batch[] = {{.policy = SCHED_BATCH, .nice = 0}, {.nice = 0}};

	share(equal, 3, ENOUGH);
	CHECK(is_between(equal[0].ran, equal[1].ran, 70, 143));
	CHECK(is_between(equal[0].ran, equal[2].ran, 70, 143));
	share(five, 2, ENOUGH);
	CHECK(is_between(five[0].ran, five[1].ran, 215, 430)); /* 3.05 */
	share(nice, 2, ENOUGH);
	CHECK(is_between(nice[0].ran, nice[1].ran, 215, 430));
	share(many, 4, ENOUGH);
	CHECK(is_between(many[0].ran, many[1].ran, 138, 275)); /* 1.95 */
	CHECK(is_between(many[1].ran, many[3].ran, 70, 143));
	share(batch, 2, ENOUGH);
	CHECK(is_between(batch[0].ran, batch[1].ran, 70, 143));
}

/* Nobody gets nothing. */
static void extremes(void)
{
	struct hog nice[] = {{.nice = 0}, {.nice = 19}}, idle[] = {{.nice = 0}, {.policy = SCHED_IDLE}};
	struct hog last[] = {{.nice = 19}, {.policy = SCHED_IDLE}}, first[] = {{.nice = -20}, {.nice = 0}};

	/* From the start: who has just become nice does not end the turn that it had. */
	share(nice, 2, BEGINNING);
	CHECK(nice[1].ran < 5 * MS || !on_phoenix());
	share(nice, 2, ENOUGH);
	CHECK(is_between(nice[0].ran, nice[1].ran, 2000, 20000)); /* 69 */
	share(idle, 2, ENOUGH_OF_IDLE);
	CHECK(is_between(idle[0].ran, idle[1].ran, 3000, 200000)); /* 341 */
	share(last, 2, ENOUGH);
	CHECK(is_between(last[0].ran, last[1].ran, 250, 1000)); /* 5 */
	if (setpriority(PRIO_PROCESS, 0, -1) != 0)
		return;
	setpriority(PRIO_PROCESS, 0, 0);
	share(first, 2, ENOUGH);
	CHECK(is_between(first[0].ran, first[1].ran, 2500, 25000)); /* 87 */
}

static void changes(void)
{
	struct hog hogs[] = {{.nice = 0}, {.nice = 0}};

	start(&hogs[0]);
	start(&hogs[1]);
	watch(hogs, 2, ENOUGH);
	CHECK(is_between(hogs[0].ran, hogs[1].ran, 70, 143));
	CHECK(setpriority(PRIO_PROCESS, hogs[1].pid, 10) == 0);
	watch(hogs, 2, ENOUGH);
	CHECK(is_between(hogs[0].ran, hogs[1].ran, 600, 1400)); /* 9.3 */
	CHECK(set_policy(hogs[0].pid, SCHED_IDLE, 0) == 0);
	watch(hogs, 2, ENOUGH);
	CHECK(is_between(hogs[1].ran, hogs[0].ran, 1000, 8000)); /* 37 */
	end(hogs[0].pid);
	watch(hogs + 1, 1, ENOUGH);
	end(hogs[1].pid);
}

static uint64_t used(const struct rusage *usage)
{
	return ((uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
		(uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec)) *
	       1000;
}

/* Short lives are no way to get more than one's share. */
static void short_lives(void)
{
	struct hog hog = {.nice = 0};
	struct rusage usage;
	pid_t pid;

	start(&hog);
	pid = fork();
	if (pid == 0) {
		setpriority(PRIO_PROCESS, 0, 19);
		while (!shared->flag) {
			pid_t child = fork();

			if (child == 0) {
				burn_ms(2);
				_exit(0);
			}
			waitpid(child, NULL, 0);
		}
		_exit(0);
	}
	watch(&hog, 1, ENOUGH);
	shared->flag = 1;
	end(hog.pid);
	CHECK(wait4(pid, NULL, 0, &usage) == pid);
	CHECK(is_between(hog.ran, used(&usage), 500, 20000));
}

/* A process that nobody waits for long may be ended all the same. */
static void ends_soon(void)
{
	struct hog hog = {.nice = 0}, idle = {.policy = SCHED_IDLE};
	uint64_t before;

	start(&idle);
	start(&hog);
	watch(&hog, 1, ENOUGH);
	before = cpu_time(hog.pid);
	end(idle.pid);
	if (on_phoenix())
		CHECK(cpu_time(hog.pid) - before < 100 * MS);
	end(hog.pid);
}

/* ---- Realtime --------------------------------------------------------------------------------------------------- */

static pid_t start_realtime(int policy, int priority, void (*run)(char name), char name)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (set_policy(0, policy, priority) != 0)
			_exit(1);
		run(name);
		_exit(0);
	}
	return pid;
}

static void wait_all(void)
{
	int status;

	while (wait(&status) > 0)
		CHECK(status == 0);
}

static bool events_are(const char *expected)
{
	bool are = shared->count == (int)strlen(expected) &&
		   memcmp((const char *)shared->events, expected, (size_t)shared->count) == 0;

	if (!are)
		printf("events: %.*s, not %s\n", shared->count, (const char *)shared->events, expected);
	shared->count = 0;
	return are;
}

static void begin_and_end(char name)
{
	event(name);
	burn_ms(30);
	event(name);
}

static void yield_in_turn(char name)
{
	for (unsigned i = 0; i < 4; i++) {
		event(name);
		sched_yield();
	}
}

/* Notes itself each time that somebody else was there before. */
static void note_turns(char name)
{
	uint64_t end = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) + 4 * ROUND_ROBIN_MS * MS;

	while (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) < end)
		if (shared->count == 0 || shared->events[shared->count - 1] != name)
			event(name);
}

static void raise_flag(char name)
{
	(void)name;
	shared->flag++;
}

/* The most urgent first, and of one priority who came first, to its end. The process itself is more urgent than they. */
static void order(void)
{
	CHECK(set_policy(0, SCHED_FIFO, 50) == 0);
	start_realtime(SCHED_FIFO, 10, begin_and_end, 'a');
	start_realtime(SCHED_FIFO, 20, begin_and_end, 'b');
	start_realtime(SCHED_OTHER, 0, begin_and_end, 'c');
	start_realtime(SCHED_FIFO, 10, begin_and_end, 'd');
	start_realtime(SCHED_RR, 15, begin_and_end, 'e');
	/* All are forked as urgent as this one, and become what they are to be now: who becomes less urgent comes before others that have. */
	wait_all();
	CHECK(events_are("bbeeddaacc"));
	start_realtime(SCHED_FIFO, 10, yield_in_turn, 'a');
	start_realtime(SCHED_FIFO, 10, yield_in_turn, 'b');
	wait_all();
	CHECK(events_are("babababa"));
}

static void round_robin(void)
{
	struct timespec turn;

	start_realtime(SCHED_RR, 10, note_turns, 'a');
	start_realtime(SCHED_RR, 10, note_turns, 'b');
	wait_all();
	CHECK(shared->count >= 5 && shared->count <= 12);
	shared->count = 0;
	CHECK(set_policy(0, SCHED_RR, 50) == 0 && sched_rr_get_interval(0, &turn) == 0);
	CHECK(turn.tv_sec == 0 && (turn.tv_nsec == ROUND_ROBIN_MS * (long)MS || !on_phoenix()));
	CHECK(set_policy(0, SCHED_FIFO, 50) == 0 && sched_rr_get_interval(0, &turn) == 0);
	CHECK(turn.tv_sec == 0 && turn.tv_nsec == 0);
}

/* A change of priority has its effect before the call returns, also where it is another's. */
static void at_once(void)
{
	pid_t child;

	shared->flag = 0;
	child = start_realtime(SCHED_FIFO, 10, raise_flag, 'a');
	sched_yield(); /* the child becomes less urgent, and waits */
	CHECK(shared->flag == 0);
	CHECK(set_policy(child, SCHED_FIFO, 60) == 0);
	CHECK(shared->flag == 1);
	wait_all();
	child = start_realtime(SCHED_FIFO, 10, raise_flag, 'a');
	sched_yield();
	CHECK(shared->flag == 1);
	CHECK(set_policy(0, SCHED_FIFO, 5) == 0);
	CHECK(shared->flag == 2);
	wait_all();
	CHECK(set_policy(0, SCHED_OTHER, 0) == 0);
}

/* Who is waked and is more urgent runs before the waking call returns. */
static void wakes(void)
{
	int ends[2];
	bool all = true;
	pid_t child;
	char byte;

	CHECK(pipe(ends) == 0);
	shared->flag = 0;
	child = fork();
	if (child == 0) {
		close(ends[1]);
		set_policy(0, SCHED_FIFO, 10);
		shared->count = 1;
		while (read(ends[0], &byte, 1) == 1)
			shared->flag++;
		_exit(0);
	}
	while (shared->count == 0)
		sleep_ms(1);
	sleep_ms(20);
	for (int i = 0; i < 100; i++) {
		CHECK(write(ends[1], "x", 1) == 1);
		all &= shared->flag == i + 1;
	}
	CHECK(all);
	close(ends[0]);
	close(ends[1]);
	wait_all();
	shared->count = 0;
}

/* A realtime thread that never waits leaves the others a part (sched(7)): the machine does not hang. */
static void runaway(void)
{
	struct hog other = {.nice = 0};
	uint64_t begin;
	pid_t pid = fork();

	if (pid == 0) {
		set_policy(0, SCHED_FIFO, 99);
		spin();
	}
	start(&other);
	begin = nanoseconds(CLOCK_MONOTONIC);
	while (nanoseconds(CLOCK_MONOTONIC) - begin < REALTIME_SPAN)
		sleep_ms(10);
	CHECK(is_between(cpu_time(pid), cpu_time(other.pid), 500, 5000)); /* 19, less this process's part */
	end(pid);
	end(other.pid);
}

/* One that sleeps for moments only does not come between the others and what they do: each time before they are in ring 3. */
static void naps(void)
{
	uint64_t begin;
	int status;
	pid_t pid;

	shared->flag = shared->count = 0;
	pid = fork();
	if (pid == 0) {
		const struct timespec moment = {0, 1};

		set_policy(0, SCHED_FIFO, 99);
		shared->count = 1;
		begin = nanoseconds(CLOCK_MONOTONIC);
		while (shared->flag < STEPS && nanoseconds(CLOCK_MONOTONIC) - begin < REALTIME_SPAN)
			nanosleep(&moment, NULL);
		_exit(shared->flag < STEPS);
	}
	while (shared->count == 0)
		sleep_ms(1);
	for (int i = 0; i < STEPS; i++) {
		shared->flag++;
		getppid();
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	shared->count = 0;
}

static void realtime(void)
{
	if (set_policy(0, SCHED_FIFO, 50) != 0) {
		printf("not allowed to have a realtime policy\n");
		return;
	}
	order();
	round_robin();
	at_once();
	wakes();
	runaway();
	naps();
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	CHECK(shared != MAP_FAILED && sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	if (argc < 2 || strcmp(argv[1], "realtime") != 0) {
		shares();
		extremes();
		changes();
		short_lives();
		ends_soon();
	}
	if (argc < 2 || strcmp(argv[1], "shares") != 0)
		realtime();
	return checks_end("priorities");
}
