/*
 * Cases of fail_nth: processes, programs, threads, signals, timers, futexes.
 */
#include "fail_nth.h"

#include <grp.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define GROUPS      2000 /* more than fit into a page */
#define HIGH_FD     900
#define POLLED      600  /* more than the kernel looks at on its stack */
#define WORDS       4000 /* of arguments */
#define STACK_BYTES 16384
#define NAP_NS      1000000 /* a wait that nothing ends */
#define FUTEXES     100
#define LOW         (64ul << 20) /* an address that no arena has */

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static gid_t groups[GROUPS];
static struct pollfd polled[POLLED];
static char *words[WORDS + 2];
static char digits[16], program[] = "/proc/self/exe";
static char stack[STACK_BYTES] __attribute__((aligned(16)));
static const struct timespec nap = {.tv_nsec = NAP_NS};
static struct epoll_event event = {.events = EPOLLIN}, events[4];
static sigset_t set;
static timer_t timer;
static uint32_t word, other_word;
static uint64_t clone3_words[11]; /* struct clone_args */
static struct {
	uint64_t value, address;
	uint32_t flags, reserved;
} waits[FUTEXES];

/* ---- Processes ------------------------------------------------------------------------------------------------------ */

/* The child ends at once. */
static long twin(long result)
{
	if (result == 0)
		_exit(0);
	return result;
}

static _Noreturn int end_at_once(void *argument)
{
	(void)argument;
	_exit(0);
}

static long clone_with(unsigned long flags)
{
	return clone(end_at_once, stack + STACK_BYTES, (int)flags, NULL);
}

/* A thread, which waits for ever. */
static _Noreturn int wait_for_ever(void *argument)
{
	(void)argument;
	for (;;)
		pause();
}

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static long clone_thread(void)
{
	return clone(wait_for_ever, stack + STACK_BYTES, THREAD, NULL);
}

static void have_much_memory(void)
{
	for (unsigned i = 0; i < 8; i++)
		touched(i + 1, i & 1 ? MAP_SHARED : MAP_PRIVATE);
	file_of("old", 4);
}

static void have_clone3(uint64_t flags)
{
	memset(clone3_words, 0, sizeof(clone3_words));
	clone3_words[0] = flags;
	clone3_words[1] = (uint64_t)&fd;
	clone3_words[4] = SIGCHLD;
}

/* Of all kinds, so that a child gets some of each. */
static void have_everything(void)
{
	static struct sembuf undone[2] = {{0, 1, SEM_UNDO}, {1, 1, SEM_UNDO}};
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	char *at;
	int id;

	have_much_memory();
	fd = file_of("other", 4);
	for (int flags = MAP_SHARED; flags <= MAP_PRIVATE; flags++) {
		at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
		at[PAGE] = 1;
	}
	at = touched(9, MAP_PRIVATE);
	MUST(madvise(at, PAGE, MADV_DONTFORK));
	MUST(madvise(at + 2 * PAGE, PAGE, MADV_WIPEONFORK));
	MUST(mlock(at + 4 * PAGE, PAGE));
	MUST(mmap((void *)LOW, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED
		     ? -1
		     : 0);
	id = (int)MUST(shmget(KEY, 4 * PAGE, IPC_CREAT | 0600));
	*(volatile char *)shmat(id, NULL, 0) = 1;
	id = (int)MUST(semget(KEY, 2, IPC_CREAT | 0600));
	MUST(semop(id, undone, 2));
	MUST(timer_create(CLOCK_MONOTONIC, &how, &timer));
	MUST(mlockall(MCL_FUTURE));
}

CASE(fork, , twin(fork()), .also = {EAGAIN});
CASE(fork_much, have_much_memory(), twin(syscall(SYS_fork)), .also = {EAGAIN});
CASE(fork_files, dup2(0, HIGH_FD), twin(syscall(SYS_fork)), .also = {EAGAIN});
CASE(fork_everything, have_everything(), twin(syscall(SYS_fork)), .also = {EAGAIN});
CASE(vfork, , clone_with(CLONE_VFORK | CLONE_VM | SIGCHLD), .also = {EAGAIN});
CASE(clone_memory, , clone_with(CLONE_VM | SIGCHLD), .also = {EAGAIN});
CASE(clone_all, , clone_with(CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD), .also = {EAGAIN});
CASE(clone_thread, , clone_thread(), .also = {EAGAIN});
CASE(clone_pidfd, , clone(end_at_once, stack + STACK_BYTES, CLONE_PIDFD | CLONE_VM | SIGCHLD, NULL, &fd),
     .also = {EAGAIN});
CASE(clone3, have_clone3(0), twin(syscall(SYS_clone3, clone3_words, sizeof(clone3_words))), .also = {EAGAIN});
/* Where the descriptor goes has to be copied by then. */
CASE(clone3_pidfd, have_clone3(CLONE_PIDFD), twin(syscall(SYS_clone3, clone3_words, sizeof(clone3_words))),
     .also = {EAGAIN, EFAULT});
CASE(pidfd_open, , syscall(SYS_pidfd_open, getpid(), 0));
CASE(pidfd_getfd, fd = (int)MUST(syscall(SYS_pidfd_open, getpid(), 0)), syscall(SYS_pidfd_getfd, fd, 0, 0));
CASE(setsid, MUST(twin(fork())), setsid());
CASE(setpgid, , setpgid(0, 0));
CASE(setgroups, , syscall(SYS_setgroups, GROUPS, groups));
CASE(getgroups, MUST(syscall(SYS_setgroups, GROUPS, groups)), syscall(SYS_getgroups, GROUPS, groups));
CASE(setuid, , syscall(SYS_setresuid, 1, 1, 1), .also = {EAGAIN});
CASE(setrlimit, , syscall(SYS_prlimit64, 0, 7, NULL, &(uint64_t[2]){[0] = 500, [1] = 500}));
CASE(sched_setaffinity, buffer[0] = 1, syscall(SYS_sched_setaffinity, 0, 8, buffer));
CASE(sched_getaffinity, , syscall(SYS_sched_getaffinity, 0, 8, buffer));
CASE(wait4, MUST(twin(fork())), syscall(SYS_wait4, -1, buffer, 0, NULL));
CASE(getrandom, , syscall(SYS_getrandom, buffer, PAGE, 0));
CASE(map_list, , syscall(0x5000, 0, buffer, sizeof(buffer)));

/* ---- Programs ---------------------------------------------------------------------------------------------------------- */

/* A program that says how it went: fail_nth executed N. */
static void have_words(unsigned count)
{
	snprintf(digits, sizeof(digits), "%d", control);
	words[0] = program;
	words[1] = (char *)"executed";
	words[2] = digits;
	for (unsigned i = 3; i < count; i++)
		words[i] = program;
	words[count] = NULL;
}

/* A script, whose interpreter is this program, and whose name is the third word. */
static void have_script(void)
{
	char text[64];

	have_words(3);
	snprintf(text, sizeof(text), "#!%s executed\n", program);
	fd = (int)MUST(creat("old", 0700));
	MUST(write(fd, text, strlen(text)));
	close(fd);
	MUST(rename("old", digits));
	words[1] = NULL;
}

/* The program in a file that was written. */
static void have_copy(void)
{
	struct stat of;
	int from = (int)MUST(open(program, O_RDONLY));

	have_words(3);
	MUST(fstat(from, &of));
	fd = (int)MUST(creat("old", 0700));
	MUST(sendfile(fd, from, NULL, (size_t)of.st_size));
	close(fd);
	close(from);
}

static void have_thread(void)
{
	have_words(3);
	MUST(clone_thread());
}

/* Another process with the same descriptors, which ends with this one. */
static int wait_for_parent(void *argument)
{
	(void)argument;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!write(fds[1], "", 1);
	return wait_for_ever(NULL);
}

static void have_sharer(void)
{
	have_words(3);
	MUST(dup2(0, HIGH_FD));
	MUST(pipe(fds));
	MUST(clone(wait_for_parent, stack + STACK_BYTES, CLONE_FILES | CLONE_FS | SIGCHLD, NULL));
	MUST(read(fds[0], buffer, 1));
}

CASE(execve_sharer, have_sharer(), execve(program, words, NULL));
CASE(execve_script, have_script(), execve(digits, words, NULL));
CASE(execve_copy, have_copy(), execve("old", words, NULL));
CASE(execve_thread, have_thread(), execve(program, words, NULL));
CASE(execve_everything, have_words(3); have_everything(), execve(program, words, NULL), .also = {EAGAIN});
CASE(execve, have_words(3), execve(program, words, NULL));
CASE(execve_much, have_words(WORDS); words[3] = NULL, execve(program, words, words + 4));
CASE(execveat, have_words(3);
     fd = (int)MUST(open(program, O_RDONLY)), syscall(SYS_execveat, fd, "", words, NULL, AT_EMPTY_PATH));

/* ---- Threads' locks -------------------------------------------------------------------------------------------------------- */

/* A thread has the lock. */
static int own_for_ever(void *argument)
{
	(void)argument;
	syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL);
	return wait_for_ever(NULL);
}

static void have_owner(void)
{
	word = 0;
	MUST(clone(own_for_ever, stack + STACK_BYTES, THREAD, NULL));
	while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
}

static void have_waits(void)
{
	for (unsigned i = 0; i < FUTEXES; i++) {
		waits[i].address = (uint64_t)&word;
		waits[i].value = 1;
		waits[i].flags = 2; /* FUTEX2_SIZE_U32 */
	}
}

/* Waiting in vain is no error here. */
static long timed(long result)
{
	return result == -1 && (errno == ETIMEDOUT || errno == EAGAIN) ? 0 : result;
}

static long lock_in_vain(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec = (until.tv_nsec + NAP_NS) % 1000000000;
	return timed(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, &until));
}

CASE(futex_wait, word = 1, timed(syscall(SYS_futex, &word, FUTEX_WAIT, 1, &nap)));
CASE(futex_waitv, have_waits(), timed(syscall(SYS_futex_waitv, waits, FUTEXES, 0, NULL, 0)));
CASE(futex_lock_pi, word = 0, syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL));
CASE(futex_lock_owned, have_owner(), lock_in_vain());
static long requeue_in_vain(void)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	return timed(syscall(SYS_futex, &other_word, FUTEX_WAIT_REQUEUE_PI, 0, &until, &word, 0));
}

CASE(futex_wait_requeue, have_owner(), requeue_in_vain());
CASE(futex_requeue, , syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 1, &other_word, word));

/* ---- Signals ------------------------------------------------------------------------------------------------------------------- */

static void have_signals_blocked(void)
{
	sigfillset(&set);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
}

static long queue_signal(void)
{
	union sigval value = {.sival_int = 1};

	return sigqueue(getpid(), SIGRTMIN, value);
}

static long make_timer(void)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

	return syscall(SYS_timer_create, CLOCK_MONOTONIC, &how, &timer);
}

static const struct itimerspec soon = {.it_value = {.tv_nsec = NAP_NS}};

CASE(kill, have_signals_blocked(), kill(getpid(), SIGUSR1), .copes = true);
CASE(sigqueue, have_signals_blocked(), queue_signal(), .also = {EAGAIN});
CASE(tgkill, have_signals_blocked(), syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN), .also = {EAGAIN},
     .copes = true);
CASE(sigtimedwait, have_signals_blocked(); MUST(kill(getpid(), SIGUSR1)), sigtimedwait(&set, NULL, &nap));
CASE(signalfd, sigfillset(&set), syscall(SYS_signalfd4, -1, &set, 8, 0));
CASE(timer_create, , make_timer(), .also = {EAGAIN});
CASE(timer_settime, have_signals_blocked();
     MUST(make_timer()), syscall(SYS_timer_settime, timer, 0, &soon, NULL));
CASE(timerfd, , timerfd_create(CLOCK_MONOTONIC, 0));
CASE(timerfd_settime, fd = (int)MUST(timerfd_create(CLOCK_MONOTONIC, 0)),
     timerfd_settime(fd, 0, &soon, NULL));
CASE(setitimer, have_signals_blocked(), setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {1, 0}}, NULL));

/* ---- Polling ----------------------------------------------------------------------------------------------------------------------- */

static void have_polled(void)
{
	MUST(pipe(fds));
	for (unsigned i = 0; i < POLLED; i++)
		polled[i] = (struct pollfd){.fd = fds[0], .events = POLLIN};
}

/* As many descriptors as select() has. */
static void have_many(void)
{
	have_polled();
	for (int to = 100; to < FD_SETSIZE; to++)
		MUST(dup2(fds[0], to));
	memset(buffer, 0, PAGE);
	memset(buffer + 16, 0xff, FD_SETSIZE / 8 - 16);
}

static void have_epoll(void)
{
	MUST(pipe(fds));
	fd = (int)MUST(epoll_create1(0));
}

CASE(poll, have_polled(), poll(polled, POLLED, 1));
CASE(poll_few, have_polled(), poll(polled, 2, 1));
CASE(select, have_many(), syscall(SYS_pselect6, FD_SETSIZE, buffer, NULL, NULL, &nap, NULL));
CASE(epoll_create, , epoll_create1(0));
CASE(epoll_add, have_epoll(), epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &event));
CASE(epoll_nest, have_epoll();
     fds[0] = (int)MUST(epoll_create1(0)), epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &event));
CASE(epoll_modify, have_epoll();
     MUST(epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &event)), epoll_ctl(fd, EPOLL_CTL_MOD, fds[0], &event));
CASE(epoll_wait, have_epoll();
     MUST(epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &event)), epoll_wait(fd, events, 4, 1));
CASE(eventfd, , eventfd(0, 0));
