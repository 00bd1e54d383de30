/*
 * Bad pointers in the calls on files, pipes, sockets, polling, signals, time, processes and limits: each gives EFAULT, wherever the pointer goes
 * to, and also where only the last byte of the structure is bad. pointers.c has the older calls, and what else may be wrong with memory.
 */
#include "check.h"
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>

#define NONCANONICAL 0x800000000000ul
#define STRING       0 /* of no certain size */
#define SIGSET       8
#define BAD          0xbadul /* stands for the pointer */

/* How the call uses the memory. */
enum use {
	READS = 1,
	WRITES = 2,
	NULL_IS_FINE = 4, /* ... or means something else */
	ALIGNED = 8       /* EINVAL otherwise */
};

struct entry {
	const char *name;
	long number;
	size_t bytes;
	int use;
	uint64_t arguments[6];
};

/* Descriptors that the table may name. */
enum { DIRECTORY = 20, REGULAR, PIPE_READ, PIPE_WRITE, PAIR, POLLED, COUNTER, TIMER, TERMINAL };

/* Stand for numbers that are known later. */
#define SELF    0x5e1ful
#define SEGMENT 0x5e6ul

#define PATH "/tmp/pointer_table"
static struct timespec zero_time;
static struct iovec part;
static uint64_t word, length = 4, name_length = 110, offset;
static struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};

static int segment;

static void at_number(int from, int to)
{
	CHECK(from >= 0 && dup2(from, to) == to);
	close(from);
}

static void prepare(void)
{
	static char buffer[64];
	struct epoll_event event = {.events = EPOLLIN};
	int two[2];

	part = (struct iovec){buffer, sizeof(buffer)};
	at_number(open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600), REGULAR);
	at_number(open("/", O_RDONLY | O_DIRECTORY), DIRECTORY);
	CHECK(write(REGULAR, buffer, sizeof(buffer)) == sizeof(buffer));
	CHECK(pipe(two) == 0 && write(two[1], buffer, sizeof(buffer)) == sizeof(buffer));
	at_number(two[0], PIPE_READ);
	at_number(two[1], PIPE_WRITE);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, two) == 0 &&
	      write(two[1], buffer, sizeof(buffer)) == sizeof(buffer));
	at_number(two[0], PAIR);
	at_number(eventfd(1, EFD_NONBLOCK), COUNTER);
	at_number(epoll_create1(0), POLLED);
	CHECK(epoll_ctl(POLLED, EPOLL_CTL_ADD, COUNTER, &event) == 0);
	at_number(timerfd_create(CLOCK_MONOTONIC, 0), TIMER);
	at_number(open("/dev/ptmx", O_RDWR | O_NOCTTY), TERMINAL);
	segment = shmget(IPC_PRIVATE, PAGE, 0600 | IPC_CREAT);
	CHECK(segment >= 0);
}

#define P(pointer) ((uintptr_t)(pointer))

static const struct entry table[] = {
	/* names */
	{"open", SYS_open, STRING, READS, {BAD}},
	{"openat", SYS_openat, STRING, READS, {DIRECTORY, BAD}},
	{"creat", SYS_creat, STRING, READS, {BAD}},
	{"mkdir", SYS_mkdir, STRING, READS, {BAD}},
	{"mknod", SYS_mknod, STRING, READS, {BAD, S_IFIFO | 0600}},
	{"rmdir", SYS_rmdir, STRING, READS, {BAD}},
	{"unlink", SYS_unlink, STRING, READS, {BAD}},
	{"unlinkat", SYS_unlinkat, STRING, READS, {DIRECTORY, BAD}},
	{"rename from", SYS_rename, STRING, READS, {BAD, P(PATH)}},
	{"rename to", SYS_rename, STRING, READS, {P(PATH), BAD}},
	{"link", SYS_link, STRING, READS, {P(PATH), BAD}},
	{"symlink", SYS_symlink, STRING, READS, {BAD, P("/tmp/pointer_link")}},
	{"symlink at", SYS_symlink, STRING, READS, {P(PATH), BAD}},
	{"readlink of", SYS_readlink, STRING, READS, {BAD, P(&word), 8}},
	{"chmod", SYS_chmod, STRING, READS, {BAD, 0600}},
	{"chown", SYS_chown, STRING, READS, {BAD, -1ul, -1ul}},
	{"truncate", SYS_truncate, STRING, READS, {BAD, 0}},
	{"chdir", SYS_chdir, STRING, READS, {BAD}},
	{"stat of", SYS_stat, STRING, READS, {BAD, P(&word)}},
	{"statfs of", SYS_statfs, STRING, READS, {BAD, P(&word)}},
	{"execve", SYS_execve, STRING, READS, {BAD}},
	{"execve's words", SYS_execve, 8, READS | NULL_IS_FINE, {P("/proc/self/exe"), BAD}},
	{"execve's environment", SYS_execve, 8, READS | NULL_IS_FINE, {P("/proc/self/exe"), 0, BAD}},
	{"memfd_create", SYS_memfd_create, STRING, READS, {BAD}},
	/* what is known of files */
	{"stat", SYS_stat, sizeof(struct stat), WRITES, {P(PATH), BAD}},
	{"lstat", SYS_lstat, sizeof(struct stat), WRITES, {P(PATH), BAD}},
	{"fstat", SYS_fstat, sizeof(struct stat), WRITES, {REGULAR, BAD}},
	{"newfstatat", SYS_newfstatat, sizeof(struct stat), WRITES, {DIRECTORY, P(PATH), BAD}},
	{"statx", SYS_statx, 256, WRITES, {DIRECTORY, P(PATH), 0, 0x7ff, BAD}},
	{"statfs", SYS_statfs, 120, WRITES, {P(PATH), BAD}},
	{"fstatfs", SYS_fstatfs, 120, WRITES, {REGULAR, BAD}},
	{"readlink", SYS_readlink, STRING, WRITES, {P("/proc/self/exe"), BAD, 16}},
	{"getcwd", SYS_getcwd, STRING, WRITES, {BAD, 4096}},
	{"getdents64", SYS_getdents64, STRING, WRITES, {DIRECTORY, BAD, 4096}},
	{"utimensat", SYS_utimensat, 32, READS | NULL_IS_FINE, {DIRECTORY, P(PATH), BAD}},
	{"utimes", SYS_utimes, 32, READS | NULL_IS_FINE, {P(PATH), BAD}},
	{"utime", SYS_utime, 16, READS | NULL_IS_FINE, {P(PATH), BAD}},
	{"fcntl F_GETLK", SYS_fcntl, sizeof(struct flock), READS, {REGULAR, F_GETLK, BAD}},
	{"fcntl F_SETLK", SYS_fcntl, sizeof(struct flock), READS, {REGULAR, F_SETLK, BAD}},
	/* contents */
	{"read", SYS_read, STRING, WRITES, {REGULAR, BAD, 16}},
	{"pread64", SYS_pread64, STRING, WRITES, {REGULAR, BAD, 16, 0}},
	{"pwrite64", SYS_pwrite64, STRING, READS, {REGULAR, BAD, 16, 0}},
	{"preadv", SYS_preadv, 16, READS, {REGULAR, BAD, 1, 0}},
	{"pwritev", SYS_pwritev, 16, READS, {REGULAR, BAD, 1, 0}},
	{"sendfile's offset", SYS_sendfile, 8, READS | NULL_IS_FINE, {PIPE_WRITE, REGULAR, BAD, 1}},
	{"splice's offset", SYS_splice, 8, READS | NULL_IS_FINE, {REGULAR, BAD, PIPE_WRITE, 0, 1, 0}},
	{"copy_file_range's offset",
	 SYS_copy_file_range,
	 8,
	 READS | NULL_IS_FINE,
	 {REGULAR, BAD, REGULAR, P(&offset), 1, 0}},
	{"vmsplice", SYS_vmsplice, 16, READS, {PIPE_WRITE, BAD, 1, 0}},
	{"read of a pipe", SYS_read, STRING, WRITES, {PIPE_READ, BAD, 16}},
	{"write to a pipe", SYS_write, STRING, READS, {PIPE_WRITE, BAD, 16}},
	{"read of a counter", SYS_read, 8, WRITES, {COUNTER, BAD, 8}},
	{"write to a counter", SYS_write, 8, READS, {COUNTER, BAD, 8}},
	{"process_vm_readv's pieces", SYS_process_vm_readv, 16, READS, {SELF, BAD, 1, P(&part), 1, 0}},
	{"process_vm_readv of", SYS_process_vm_readv, 16, READS, {SELF, P(&part), 1, BAD, 1, 0}},
	/* pipes, sockets, polling */
	{"pipe", SYS_pipe, 8, WRITES, {BAD}},
	{"pipe2", SYS_pipe2, 8, WRITES, {BAD, 0}},
	{"socketpair", SYS_socketpair, 8, WRITES, {AF_UNIX, SOCK_STREAM, 0, BAD}},
	{"bind", SYS_bind, 110, READS, {PAIR, BAD, 110}},
	{"connect", SYS_connect, 110, READS, {PAIR, BAD, 110}},
	{"getsockname", SYS_getsockname, 2, WRITES, {PAIR, BAD, P(&name_length)}},
	{"getsockname's length", SYS_getsockname, 4, READS, {PAIR, P(&word), BAD}},
	{"getsockopt", SYS_getsockopt, 4, WRITES, {PAIR, SOL_SOCKET, SO_TYPE, BAD, P(&length)}},
	{"getsockopt's length", SYS_getsockopt, 4, READS, {PAIR, SOL_SOCKET, SO_TYPE, P(&word), BAD}},
	{"setsockopt", SYS_setsockopt, 4, READS, {PAIR, SOL_SOCKET, SO_PASSCRED, BAD, 4}},
	{"sendto", SYS_sendto, STRING, READS, {PAIR, BAD, 16, 0, 0, 0}},
	{"recvfrom", SYS_recvfrom, STRING, WRITES, {PAIR, BAD, 16, MSG_DONTWAIT, 0, 0}},
	{"sendmsg", SYS_sendmsg, sizeof(struct msghdr), READS, {PAIR, BAD, 0}},
	{"recvmsg", SYS_recvmsg, sizeof(struct msghdr), READS, {PAIR, BAD, MSG_DONTWAIT}},
	{"poll", SYS_poll, 8, READS, {BAD, 1, 0}},
	{"ppoll's time", SYS_ppoll, 16, READS | NULL_IS_FINE, {0, 0, BAD, 0, SIGSET}},
	{"ppoll's signals", SYS_ppoll, SIGSET, READS | NULL_IS_FINE, {0, 0, P(&zero_time), BAD, SIGSET}},
	{"select", SYS_select, 8, READS | NULL_IS_FINE, {3, BAD, 0, 0, P(&zero_time)}},
	{"select's time", SYS_select, 16, READS | NULL_IS_FINE, {0, 0, 0, 0, BAD}},
	{"pselect6's signals", SYS_pselect6, 16, READS | NULL_IS_FINE, {0, 0, 0, 0, P(&zero_time), BAD}},
	{"epoll_ctl", SYS_epoll_ctl, 12, READS, {POLLED, EPOLL_CTL_ADD, PAIR, BAD}},
	{"epoll_wait", SYS_epoll_wait, 12, WRITES, {POLLED, BAD, 1, 0}},
	{"ioctl FIONREAD", SYS_ioctl, 4, WRITES, {PIPE_READ, FIONREAD, BAD}},
	{"ioctl TIOCGPTN", SYS_ioctl, 4, WRITES, {TERMINAL, TIOCGPTN, BAD}},
	{"ioctl TCGETS", SYS_ioctl, 36, WRITES, {TERMINAL, TCGETS, BAD}},
	{"ioctl TCSETS", SYS_ioctl, 36, READS, {TERMINAL, TCSETS, BAD}},
	{"ioctl TIOCGWINSZ", SYS_ioctl, 8, WRITES, {TERMINAL, TIOCGWINSZ, BAD}},
	{"ioctl TIOCSWINSZ", SYS_ioctl, 8, READS, {TERMINAL, TIOCSWINSZ, BAD}},
	/* signals and time */
	{"rt_sigaction", SYS_rt_sigaction, 32, READS | NULL_IS_FINE, {SIGUSR1, BAD, 0, SIGSET}},
	{"rt_sigaction's old", SYS_rt_sigaction, 32, WRITES | NULL_IS_FINE, {SIGUSR1, 0, BAD, SIGSET}},
	{"rt_sigprocmask", SYS_rt_sigprocmask, SIGSET, READS | NULL_IS_FINE, {SIG_BLOCK, BAD, 0, SIGSET}},
	{"rt_sigprocmask's old",
	 SYS_rt_sigprocmask,
	 SIGSET,
	 WRITES | NULL_IS_FINE,
	 {SIG_BLOCK, 0, BAD, SIGSET}},
	{"rt_sigpending", SYS_rt_sigpending, SIGSET, WRITES, {BAD, SIGSET}},
	{"rt_sigtimedwait", SYS_rt_sigtimedwait, SIGSET, READS, {BAD, 0, P(&zero_time), SIGSET}},
	{"rt_sigtimedwait's time", SYS_rt_sigtimedwait, 16, READS | NULL_IS_FINE, {P(&word), 0, BAD, SIGSET}},
	{"rt_sigsuspend", SYS_rt_sigsuspend, SIGSET, READS, {BAD, SIGSET}},
	{"rt_sigqueueinfo", SYS_rt_sigqueueinfo, 128, READS, {SELF, SIGURG, BAD}},
	{"sigaltstack", SYS_sigaltstack, 24, READS | NULL_IS_FINE, {BAD, 0}},
	{"sigaltstack's old", SYS_sigaltstack, 24, WRITES | NULL_IS_FINE, {0, BAD}},
	{"signalfd4", SYS_signalfd4, SIGSET, READS, {-1ul, BAD, SIGSET, 0}},
	{"timerfd_settime", SYS_timerfd_settime, 32, READS, {TIMER, 0, BAD, 0}},
	{"timerfd_gettime", SYS_timerfd_gettime, 32, WRITES, {TIMER, BAD}},
	{"timer_create", SYS_timer_create, 64, READS | NULL_IS_FINE, {CLOCK_MONOTONIC, BAD, P(&word)}},
	{"timer_create's number", SYS_timer_create, 4, WRITES, {CLOCK_MONOTONIC, 0, BAD}},
	{"setitimer", SYS_setitimer, 32, READS | NULL_IS_FINE, {ITIMER_REAL, BAD, 0}},
	{"getitimer", SYS_getitimer, 32, WRITES, {ITIMER_REAL, BAD}},
	{"clock_getres", SYS_clock_getres, 16, WRITES | NULL_IS_FINE, {CLOCK_MONOTONIC, BAD}},
	{"clock_nanosleep", SYS_clock_nanosleep, 16, READS, {CLOCK_MONOTONIC, 0, BAD, 0}},
	{"time", SYS_time, 8, WRITES | NULL_IS_FINE, {BAD}},
	{"times", SYS_times, 32, WRITES | NULL_IS_FINE, {BAD}},
	/* processes and limits */
	{"clone3", SYS_clone3, 64, READS, {BAD, 64}},
	{"futex", SYS_futex, 4, READS | ALIGNED, {BAD, FUTEX_WAIT, 0, P(&zero_time)}},
	{"get_robust_list", SYS_get_robust_list, 8, WRITES, {0, BAD, P(&word)}},
	{"arch_prctl", SYS_arch_prctl, 8, WRITES, {ARCH_GET_FS, BAD}},
	{"prctl PR_SET_NAME", SYS_prctl, STRING, READS, {PR_SET_NAME, BAD}},
	{"prctl PR_GET_NAME", SYS_prctl, 16, WRITES, {PR_GET_NAME, BAD}},
	{"prctl PR_GET_PDEATHSIG", SYS_prctl, 4, WRITES, {PR_GET_PDEATHSIG, BAD}},
	{"getrlimit", SYS_getrlimit, 16, WRITES, {RLIMIT_CORE, BAD}},
	{"setrlimit", SYS_setrlimit, 16, READS, {RLIMIT_CORE, BAD}},
	{"prlimit64", SYS_prlimit64, 16, READS | NULL_IS_FINE, {0, RLIMIT_CORE, BAD, 0}},
	{"prlimit64's old", SYS_prlimit64, 16, WRITES | NULL_IS_FINE, {0, RLIMIT_CORE, 0, BAD}},
	{"getrusage", SYS_getrusage, sizeof(struct rusage) - 128, WRITES, {RUSAGE_SELF, BAD}},
	{"getresuid", SYS_getresuid, 4, WRITES, {BAD, P(&word), P(&word)}},
	{"capget", SYS_capget, 4, READS, {BAD, P(&word)}},
	{"capget's data", SYS_capget, 24, WRITES | NULL_IS_FINE, {P(&header), BAD}},
	{"sched_getaffinity", SYS_sched_getaffinity, 8, WRITES, {0, 8, BAD}},
	{"sched_setaffinity", SYS_sched_setaffinity, 8, READS, {0, 8, BAD}},
	{"sched_getparam", SYS_sched_getparam, 4, WRITES | NULL_IS_FINE, {0, BAD}},
	{"sched_setparam", SYS_sched_setparam, 4, READS | NULL_IS_FINE, {0, BAD}},
	{"sched_rr_get_interval", SYS_sched_rr_get_interval, 16, WRITES, {0, BAD}},
	{"getcpu", SYS_getcpu, 4, WRITES | NULL_IS_FINE, {BAD, 0}},
	{"shmctl", SYS_shmctl, sizeof(struct shmid_ds), WRITES, {SEGMENT, IPC_STAT, BAD}},
};

struct place {
	const char *name;
	uintptr_t address;
	bool readable;
};

static void check(const struct entry *entry, const char *place, uintptr_t at)
{
	unsigned failed = checks_failed;
	uint64_t a[6];

	for (int i = 0; i < 6; i++) {
		uint64_t argument = entry->arguments[i];

		a[i] = argument == BAD       ? at
		       : argument == SELF    ? (uint64_t)getpid()
		       : argument == SEGMENT ? (uint64_t)segment
					     : argument;
	}
	length = 4;
	name_length = 110;
	CHECK(eventfd_write(COUNTER, 1) == 0); /* a read takes it, though it fails */
	lseek(REGULAR, 0, SEEK_SET);
	lseek(DIRECTORY, 0, SEEK_SET);
	CHECK_ERROR(syscall(entry->number, a[0], a[1], a[2], a[3], a[4], a[5]), EFAULT);
	if (checks_failed != failed)
		printf("    %s with %s\n", entry->name, place);
}

static void check_entry(const struct entry *entry, const struct place *places, size_t count, uintptr_t edge)
{
	for (size_t i = 0; i < count; i++) {
		if (places[i].readable && !(entry->use & WRITES))
			continue;
		if (places[i].address == 0 && (entry->use & NULL_IS_FINE))
			continue;
		if (entry->use & ALIGNED && places[i].address % 4)
			continue;
		check(entry, places[i].name, places[i].address);
	}
	if (entry->bytes != STRING && !(entry->use & ALIGNED))
		check(entry, "its end over the edge", edge - entry->bytes + 1);
}

int main(void)
{
	char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct place places[] = {
		{"null", 0, false},
		{"one", 1, false},
		{"no access", (uintptr_t)none, false},
		{"unmapped", (uintptr_t)two + PAGE, false},
		{"read-only", (uintptr_t)readonly, true},
		{"noncanonical", NONCANONICAL, false},
		{"just below noncanonical", NONCANONICAL - 8, false},
		{"wraps", UINTPTR_MAX - 7, false},
		{"high half", 0xffff800000000000ul, false},
		/* Phoenix's kernel; on Linux nothing is there. */
		{"below the kernel", 0x77fffffful, false},
		{"kernel", 0x78100000ul, false},
		{"system data", 0x80000000ul, false},
		{"page descriptors", 0x6f8000000000ul, false},
		{"kernel dynamic memory", 0x6fc000000000ul, false},
		{"physical memory", 0x700000000000ul, false},
	};

	prepare();
	CHECK(munmap(two + PAGE, PAGE) == 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		check_entry(&table[i], places, sizeof(places) / sizeof(places[0]), (uintptr_t)two + PAGE);
	shmctl(segment, IPC_RMID, NULL);
	unlink(PATH);
	return checks_end("pointer_table");
}
