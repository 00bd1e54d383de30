/*
 * Random system calls with random and boundary arguments, from several processes at once: fuzz_calls SECONDS [SEED [PROCESSES [-v]]].
 *
 * The first process only starts others, ends those that hang, and starts new ones in their place; so a program that
 * shoots itself in the foot, as most do sooner or later, ends nothing but itself. What is looked for are panics, hangs and
 * broken invariants of the kernel: whoever runs this watches its console. A process's calls follow from its seed alone, which
 * -v prints; which process runs when does not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE          4096ul
#define ARENA_PAGES   64
#define MAX_WORKERS   32
#define LIFETIME_NS   5000000000l /* a worker that is older is killed */
#define STUCK_NS      500000000l  /* ... and one that has made no call for so long */
#define TICK_US       15000       /* between signals that end calls which wait */
#define HIGHEST_CALL  462         /* a little above the last that Linux 6.1 has */
#define OWN_CALLS     0x5000      /* Phoenix's own */
#define OWN_COUNT     4
#define WORKER_BYTES  (96ul << 20)
#define WORKER_CALLS  4000
#define RESTORE_EVERY 16 /* calls, after which a worker's signals are put in order */
#define THREADS       4  /* of a worker, at a time */
#define THREAD_BYTES  16384
#define THREAD_CALLS  12
#define SIGNALS       64
#define HOG_PAGES     2048
#define NS_PER_SECOND 1000000000l

static uint64_t state;

/* xorshift64*: what matters is that it is the same everywhere. */
static uint64_t random_word(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(uint64_t limit)
{
	return random_word() % limit;
}

static long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* ---- Arguments ------------------------------------------------------------------------------------ */

/* Memory of the worker's to point into: readable and writable, with read-only pages, holes, and file pages among them. */
static char *arena;

static int nowhere; /* /dev/null */

/* What the first process sees of its workers; shared. */
static struct progress {
	_Atomic uint64_t calls;
} * progress;

static const char *const paths[] = {
	"/",
	"/tmp",
	"/tmp/a",
	"/tmp/b",
	"/tmp/dir",
	"/tmp/dir/c",
	"/dev/null",
	"/dev/zero",
	"/dev/tty",
	"/proc/self/maps",
	"/proc",
	".",
	"..",
	"",
	"/dev/shm/x",
	"/tmp/link",
	"/proc/self/fd",
	"/dev/full",
	"/tmp/fifo",
	"/dev/ptmx",
	"/proc/1/status",
	"/tmp/a/b",
	"/proc/self/exe",
	"/dev/urandom",
	"/nowhere",
	"/tmp/../tmp/./a",
	"/proc/self/smaps",
	"/proc/self/task",
	"/proc/self/environ",
	"/proc/self/pagemap",
	"/proc/meminfo",
	"/proc/sysvipc/shm",
	"/proc/sys/kernel/pid_max",
	"/proc/self/cwd/a",
	"/proc/self/root/tmp",
	"/proc/self/comm",
};

/* What another process has, which may end meanwhile. */
static const char *process_path(void)
{
	static const char *const parts[] = {"fd",   "fd/3", "fd/7", "exe",     "cwd",
					    "maps", "task", "stat", "root/tmp"};
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)(getpid() + 4 - (int)below(12)),
		 parts[below(sizeof(parts) / sizeof(parts[0]))]);
	return path;
}

/* A string in the arena, or what is close to being one. */
static uint64_t path_argument(void)
{
	const char *path = below(8) ? paths[below(sizeof(paths) / sizeof(paths[0]))] : process_path();
	size_t length = strlen(path) + 1;
	char *at = arena + below(8) * 256;

	if (below(16) == 0) /* it ends where the memory does */
		at = arena + 8 * PAGE - length + below(2);
	if (at + length <= arena + 8 * PAGE)
		memcpy(at, path, length);
	return (uint64_t)at;
}

static uint64_t address_argument(void)
{
	static const uint64_t odd[] = {
		0,
		1,
		PAGE - 1,
		PAGE,
		0x78000000ul, /* the kernel's window */
		0x77fff000ul,
		0x7fff0000ul, /* the gate area */
		0x80000000ul,
		0x6f8000000000ul,
		0x6fc000000000ul,
		0x700000000000ul, /* the physical map */
		0x7fffffffffffull,
		0x7ffffffff000ull,
		0x800000000000ull, /* not canonical */
		0xffff800000000000ull,
		UINT64_MAX,
		UINT64_MAX - PAGE + 1,
	};

	switch (below(8)) {
	case 0:
		return odd[below(sizeof(odd) / sizeof(odd[0]))];
	case 1:
		return (uint64_t)arena + below(ARENA_PAGES) * PAGE;
	case 2:
		return (uint64_t)arena + below(ARENA_PAGES) * PAGE + PAGE - below(16);
	default:
		return (uint64_t)arena + below(4 * PAGE) / 8 * 8;
	}
}

static uint64_t number_argument(void)
{
	static const uint64_t odd[] = {
		0,
		1,
		2,
		3,
		4,
		7,
		8,
		16,
		63,
		64,
		255,
		256,
		512,
		1023,
		1024,
		4095,
		4096,
		4097,
		8192,
		65535,
		65536,
		1 << 20,
		INT32_MAX,
		1u << 31,
		UINT32_MAX,
		1ull << 32,
		1ull << 47,
		1ull << 62,
		INT64_MAX,
		1ull << 63,
		UINT64_MAX,
		(uint64_t)-2,
		(uint64_t)-100,
		(uint64_t)-4096,
		0x7ffff000,
	};

	switch (below(6)) {
	case 0:
		return odd[below(sizeof(odd) / sizeof(odd[0]))];
	case 1:
		return 1ull << below(64);
	case 2:
		return random_word() & random_word() & random_word(); /* few flags */
	case 3:
		return below(ARENA_PAGES) * PAGE;
	default:
		return below(40);
	}
}

static uint64_t argument(void)
{
	switch (below(8)) {
	case 0:
	case 1:
	case 2:
		return address_argument();
	case 3:
		return path_argument();
	case 4:
		return below(24); /* a descriptor */
	default:
		return number_argument();
	}
}

/* Random contents where calls look for structures: small numbers, descriptors and pointers among them. */
static void stir(void)
{
	uint64_t *words = (uint64_t *)arena;
	size_t first = below(PAGE / 4);

	for (size_t i = 0; i < 32; i++)
		words[first + i] = argument();
}

/* ---- Calls ------------------------------------------------------------------------------------------- */

/* Calls that are made more often than their number would have it: those on memory, and on processes. */
static const short favourites[] = {
	SYS_mmap,
	SYS_munmap,
	SYS_mprotect,
	SYS_mremap,
	SYS_madvise,
	SYS_brk,
	SYS_mincore,
	SYS_mlock,
	SYS_munlock,
	SYS_msync,
	SYS_mlockall,
	SYS_fork,
	SYS_futex,
	SYS_clone,
	SYS_read,
	SYS_write,
	SYS_open,
	SYS_close,
	SYS_pipe2,
	SYS_dup2,
	SYS_poll,
	SYS_shmget,
	SYS_shmat,
	SYS_shmdt,
	SYS_shmctl,
	SYS_msgget,
	SYS_msgsnd,
	SYS_msgrcv,
	SYS_msgctl,
	SYS_semget,
	SYS_semop,
	SYS_semtimedop,
	SYS_semctl,
	SYS_mq_open,
	SYS_mq_timedsend,
	SYS_mq_timedreceive,
	SYS_mq_notify,
	SYS_mq_unlink,
	SYS_wait4,
	SYS_ftruncate,
	SYS_memfd_create,
	SYS_rt_sigaction,
	SYS_epoll_ctl,
	SYS_epoll_wait,
	SYS_epoll_create1,
	SYS_socketpair,
	SYS_sendmsg,
	SYS_recvmsg,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_remap_file_pages,
	SYS_rename,
	SYS_unlink,
	SYS_fcntl,
	SYS_timer_create,
	SYS_timer_settime,
	SYS_timerfd_create,
	SYS_timerfd_settime,
	SYS_openat,
	SYS_readlink,
	SYS_getdents64,
	SYS_splice,
	SYS_unshare,
	SYS_close_range,
	SYS_accept,
	SYS_sendto,
	SYS_clone3,
};

/* Not these: they would end the run, or stop the worker for no gain. */
static bool is_excluded(long number)
{
	switch (number) {
	case SYS_reboot:
	case SYS_exit:
	case SYS_exit_group:
	case SYS_pause:
	case SYS_settimeofday:
	case SYS_clock_settime:
	case SYS_setitimer:
	case SYS_alarm:
	case SYS_umount2:
	case SYS_mount:
	case SYS_chroot:
		return true;
	default:
		return false;
	}
}

static bool mostly(void)
{
	return below(64) != 0;
}

/* Changes of memory stay in the arena, for the program's own is not there: *start and *bytes. */
static void into_arena(uint64_t *start, uint64_t *bytes)
{
	uint64_t from = below(ARENA_PAGES) * PAGE;

	if (mostly()) {
		*start = (uint64_t)arena + from + (below(16) == 0);
		*bytes = below(ARENA_PAGES * PAGE - from + 1);
	}
}

static void aim_at_memory(long number, uint64_t *a)
{
	uint64_t bytes = PAGE;

	switch (number) {
	case SYS_mmap:
		if (!(a[3] & MAP_FIXED))
			break;
		into_arena(&a[0], &a[1]);
		break;
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_madvise:
	case SYS_remap_file_pages:
		into_arena(&a[0], &a[1]);
		break;
	case SYS_mremap:
		into_arena(&a[0], &a[1]);
		into_arena(&a[4], &a[2]);
		break;
	case SYS_shmat:
		if (a[1])
			into_arena(&a[1], &bytes);
		break;
	case SYS_arch_prctl: /* the C library's thread pointer */
		a[0] = mostly() ? below(0x1001) : a[0];
		break;
	default:
		break;
	}
}

static void aim_signal(uint64_t *signo)
{
	if ((*signo == SIGKILL || *signo == SIGSTOP) && mostly())
		*signo = SIGUSR1;
}

/* Signals go to the worker's own group, never to the first process or to all. */
static void aim(long number, uint64_t *a)
{
	aim_at_memory(number, a);
	switch (number) {
	case SYS_kill:
	case SYS_tkill:
	case SYS_rt_sigqueueinfo:
		a[0] = below(3) ? (uint64_t)getpid() : 0;
		aim_signal(&a[1]);
		break;
	case SYS_tgkill:
	case SYS_rt_tgsigqueueinfo:
		a[0] = (uint64_t)getpid();
		if (mostly())
			a[1] = a[0];
		aim_signal(&a[2]);
		break;
	case SYS_pidfd_open:
		a[0] = (uint64_t)getpid();
		break;
	case SYS_process_vm_writev:
	case SYS_prlimit64:
		if (a[0] <= 1)
			a[0] = (uint64_t)getpid();
		break;
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		a[1] = below(2);
		break;
	case SYS_clone: /* a child on the same stack would take the worker's away */
		if (mostly())
			a[0] &= ~(uint64_t)CLONE_VM;
		break;
	default:
		break;
	}
}

/* Calls that end the worker as a rule. */
static bool is_rare(long number)
{
	return number == SYS_rt_sigreturn || number == SYS_setrlimit || number == SYS_prlimit64;
}

/* In place, so that a child on the same stack finds nothing there that it would spoil. */
static inline __attribute__((always_inline)) long call(long number, const uint64_t *a)
{
	register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long choose(void)
{
	long number;

	do {
		if (below(3) == 0)
			number = favourites[below(sizeof(favourites) / sizeof(favourites[0]))];
		else if (below(40) == 0)
			number = (long)(OWN_CALLS + below(OWN_COUNT));
		else
			number = (long)below(HIGHEST_CALL);
	} while (is_excluded(number) || (is_rare(number) && mostly()));
	return number;
}

static void one_call(unsigned *forked)
{
	static const uint64_t zero[6];
	uint64_t a[6];
	long number = choose(), result;

	for (int i = 0; i < 6; i++)
		a[i] = argument();
	aim(number, a);
	progress->calls++;
	result = call(number, a);
	/* In a child: a little of the same, and gone. */
	if (result == 0 &&
	    (number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3)) {
		if (number == SYS_vfork)
			call(SYS_exit_group, zero);
		state ^= (uint64_t)getpid() << 32 | 1;
		if (++*forked > 2 || number != SYS_fork)
			call(SYS_exit_group, zero);
	}
}

/* Memory that is used, so that there is none left for others sometimes. */
static void hog(void)
{
	size_t bytes = (below(HOG_PAGES) + 1) * PAGE;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return;
	for (size_t i = 0; i < bytes; i += PAGE)
		at[i] = 1;
	if (below(2))
		munmap(at, bytes);
}

/* ---- Threads ------------------------------------------------------------------------------------------- */

static struct {
	char stack[THREAD_BYTES] __attribute__((aligned(16)));
	volatile int lives; /* the kernel clears it */
} threads[THREADS];

static int thread(void *unused)
{
	unsigned forked = 2;

	(void)unused;
	for (int i = 0; i < THREAD_CALLS; i++)
		one_call(&forked);
	syscall(SYS_exit, 0);
	return 0;
}

/* Most share all; some are processes with the same memory. */
static void start_thread(void)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
	unsigned i = (unsigned)below(THREADS);

	if (threads[i].lives)
		return;
	if (below(4) == 0)
		flags = CLONE_VM | (int)(below(2) * CLONE_FILES) | SIGCHLD;
	threads[i].lives = 1;
	if (clone(thread, threads[i].stack + THREAD_BYTES, flags | CLONE_CHILD_CLEARTID, NULL, NULL, NULL,
		  &threads[i].lives) < 0)
		threads[i].lives = 0;
}

/* ---- A worker ------------------------------------------------------------------------------------------ */

static sigjmp_buf after_fault;
static pid_t jumper; /* the thread whose that is */
static char handler_stack[THREAD_BYTES];

/* A fault is the arena's: it is made again. Other threads end. */
static void handle(int signo)
{
	if (signo != SIGSEGV && signo != SIGBUS && signo != SIGFPE && signo != SIGILL)
		return;
	if (syscall(SYS_gettid) != jumper)
		syscall(SYS_exit, 0);
	siglongjmp(after_fault, 1);
}

/* What was done to the timer, the mask and the handlers is undone. */
static void restore_signals(bool all)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
	struct itimerval tick = {{0, TICK_US}, {0, TICK_US}};
	stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaltstack(&stack, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	for (int signo = 1; all && signo <= SIGNALS; signo++)
		if (signo != SIGCHLD)
			sigaction(signo, &action, NULL);
}

static void make_arena(void)
{
	int fd;

	arena = mmap(arena, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | (arena ? MAP_FIXED : 0), -1, 0);
	if (arena == MAP_FAILED)
		_exit(3);
	for (size_t i = 0; i < 8; i++)
		arena[i * PAGE] = 1;
	munmap(arena + 8 * PAGE, PAGE);
	mprotect(arena + 9 * PAGE, PAGE, PROT_READ);
	mprotect(arena + 10 * PAGE, PAGE, PROT_NONE);
	mmap(arena + 16 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
	     0);
	fd = open("/tmp/a", O_RDWR | O_CREAT, 0666);
	if (fd >= 0 && ftruncate(fd, 2 * PAGE + 100) == 0)
		mmap(arena + 20 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

static void open_some(void)
{
	int pair[2];

	/* What workers write is nobody's business. Others may have taken the file's name away. */
	for (int i = 0; i < 3; i++)
		dup2(nowhere, i);
	mkdir("/tmp", 0777);
	open("/dev/zero", O_RDWR);
	mkdir("/tmp/dir", 0777);
	open("/tmp/dir", O_RDONLY);
	open("/tmp/dir/c", O_RDWR | O_CREAT, 0666);
	if (pipe(pair) == 0)
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)
		fcntl(pair[1], F_SETFL, O_NONBLOCK);
	syscall(SYS_memfd_create, "m", 0);
	syscall(SYS_eventfd2, 0, O_NONBLOCK);
	syscall(SYS_epoll_create1, 0);
}

static void work(uint64_t seed)
{
	struct rlimit bytes = {WORKER_BYTES, WORKER_BYTES}, processes = {64, 64}, core = {0, 0};
	volatile unsigned i = 0;
	unsigned forked = 0;

	state = seed * 0x9e3779b97f4a7c15ull | 1;
	jumper = getpid();
	setsid();
	setrlimit(RLIMIT_AS, &bytes);
	setrlimit(RLIMIT_FSIZE, &bytes);
	setrlimit(RLIMIT_NPROC, &processes);
	setrlimit(RLIMIT_CORE, &core);
	make_arena();
	open_some();
	if (sigsetjmp(after_fault, 1) != 0)
		make_arena();
	restore_signals(true);
	while (i++ < WORKER_CALLS) {
		if (i % RESTORE_EVERY == 0)
			restore_signals(i % (RESTORE_EVERY * RESTORE_EVERY) == 0);
		if (below(4) == 0)
			stir();
		if (below(64) == 0)
			start_thread();
		if (below(256) == 0)
			hog();
		one_call(&forked);
	}
	_exit(0);
}

/* ---- The first process ---------------------------------------------------------------------------------- */

static struct {
	pid_t pid; /* 0: none */
	uint64_t seed;
	long started;
	long moved;     /* when it had made another call */
	uint64_t calls; /* that it had made then */
} workers[MAX_WORKERS];

static struct progress *all_progress; /* a worker's is at its place */
static unsigned long ended, killed, signalled;
static uint64_t calls;

static void reap(unsigned count)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned i = 0; i < count; i++) {
			if (workers[i].pid != pid)
				continue;
			workers[i].pid = 0;
			calls += all_progress[i].calls;
			ended++;
			signalled += WIFSIGNALED(status) != 0;
		}
	}
}

static void kill_worker(unsigned i)
{
	kill(-workers[i].pid, SIGKILL);
	kill(workers[i].pid, SIGKILL);
}

static void start_missing(unsigned count, uint64_t *next_seed, bool verbose)
{
	for (unsigned i = 0; i < count; i++) {
		if (workers[i].pid)
			continue;
		workers[i].seed = (*next_seed)++;
		workers[i].started = workers[i].moved = now_ns();
		workers[i].calls = 0;
		all_progress[i].calls = 0;
		progress = &all_progress[i];
		if (verbose)
			printf("fuzz_calls: worker of seed %llu\n", (unsigned long long)workers[i].seed);
		fflush(stdout);
		workers[i].pid = fork();
		if (workers[i].pid == 0)
			work(workers[i].seed);
		if (workers[i].pid < 0)
			workers[i].pid = 0;
	}
}

static void kill_old(unsigned count)
{
	long now = now_ns();

	for (unsigned i = 0; i < count; i++) {
		if (all_progress[i].calls != workers[i].calls) {
			workers[i].calls = all_progress[i].calls;
			workers[i].moved = now;
		}
		if (workers[i].pid &&
		    (now - workers[i].started > LIFETIME_NS || now - workers[i].moved > STUCK_NS)) {
			kill_worker(i);
			killed++;
			workers[i].started = workers[i].moved = now;
		}
	}
}

int main(int argc, char **argv)
{
	long seconds = argc > 1 ? atol(argv[1]) : 10, end = now_ns() + seconds * NS_PER_SECOND;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, first = seed * 1000000;
	unsigned count = argc > 3 ? (unsigned)atoi(argv[3]) : 4;
	bool verbose = argc > 4 && strcmp(argv[4], "-v") == 0;

	/* A worker may exec it. */
	if (argc < 2 || seconds <= 0 || count == 0 || count > MAX_WORKERS) {
		fprintf(stderr, "usage: fuzz_calls SECONDS [SEED [PROCESSES (1 to %d) [-v]]]\n", MAX_WORKERS);
		return 2;
	}
	all_progress = mmap(NULL, MAX_WORKERS * sizeof(*all_progress), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (all_progress == MAP_FAILED || nowhere < 0)
		return 3;
	while (now_ns() < end) {
		struct timespec pause = {0, 5000000};

		start_missing(count, &first, verbose);
		nanosleep(&pause, NULL);
		reap(count);
		kill_old(count);
	}
	for (unsigned i = 0; i < count; i++)
		if (workers[i].pid)
			kill_worker(i);
	/* Workers' children that outlived them are the first process's to end. */
	if (getpid() == 1)
		kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	printf("fuzz_calls: seed %llu: %lu workers ended, %lu by a signal, %lu killed for age; %llu calls\n",
	       (unsigned long long)seed, ended, signalled, killed, (unsigned long long)calls);
	return 0;
}
