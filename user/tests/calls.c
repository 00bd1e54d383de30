/*
 * The other calls: time, identity, randomness, limits, and calls that are not there.
 */
#include "check.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>

#define ARCH_SET_FS    0x1002 /* <asm/prctl.h>, which musl does not have */
#define ARCH_GET_FS    0x1003
#define ARCH_GET_CPUID 0x1011
#define ARCH_SET_CPUID 0x1012
#define NANOSECONDS    1000000000l
#define SLEEP          20000000l

static long now(clockid_t clock)
{
	struct timespec time;

	CHECK(syscall(SYS_clock_gettime, clock, &time) == 0);
	CHECK(time.tv_nsec >= 0 && time.tv_nsec < NANOSECONDS);
	return time.tv_sec * NANOSECONDS + time.tv_nsec;
}

static void test_time(void)
{
	struct timespec nap = {.tv_nsec = SLEEP}, bad = {.tv_nsec = NANOSECONDS};
	long start = now(CLOCK_MONOTONIC), previous = start;

	for (unsigned i = 0; i < 1000; i++) {
		long time = now(CLOCK_MONOTONIC);

		CHECK(time >= previous);
		previous = time;
	}
	start = now(CLOCK_MONOTONIC);
	CHECK(nanosleep(&nap, NULL) == 0);
	CHECK(now(CLOCK_MONOTONIC) - start >= SLEEP);
	CHECK_ERROR(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_clock_gettime, 9999, &nap), EINVAL);
	CHECK(now(CLOCK_REALTIME) / NANOSECONDS > 1600000000l); /* after 2020 */
}

static void test_identity(void)
{
	struct utsname name;

	CHECK(getpid() >= 1 && syscall(SYS_gettid) == getpid() && getppid() >= 0);
	CHECK(uname(&name) == 0 && strcmp(name.machine, "x86_64") == 0);
	CHECK(getuid() == geteuid() && getgid() == getegid());
	printf("pid %d, parent %d, system %s\n", getpid(), getppid(), name.sysname);
}

static void test_random(void)
{
	unsigned char first[32] = {0}, second[32] = {0};

	CHECK(syscall(SYS_getrandom, first, sizeof(first), 0) == sizeof(first));
	CHECK(syscall(SYS_getrandom, second, sizeof(second), 0) == sizeof(second));
	CHECK(memcmp(first, second, sizeof(first)) != 0);
}

static void test_limits(void)
{
	struct rlimit limit;
	struct sysinfo info;

	CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 64 * 1024);
	CHECK_ERROR(syscall(SYS_prlimit64, 0, 999, NULL, &limit), EINVAL);
	CHECK(sysinfo(&info) == 0 && info.totalram > 0 && info.freeram <= info.totalram);
}

static void test_output(void)
{
	struct iovec parts[3] = {{"one ", 4}, {NULL, 0}, {"two\n", 4}};
	struct winsize size;

	CHECK(writev(1, parts, 3) == 8);
	CHECK(write(1, "", 0) == 0);
	CHECK_ERROR(write(77, "x", 1), EBADF);
	CHECK_ERROR(read(77, &size, 1), EBADF);
	CHECK_ERROR(close(77), EBADF);
	CHECK_ERROR(syscall(SYS_writev, 1, parts, -1), EINVAL);
	CHECK_ERROR(ioctl(77, TIOCGWINSZ, &size), EBADF);
	CHECK_ERROR(lseek(77, 0, SEEK_CUR), EBADF);
}

static void test_thread_pointer(void)
{
	unsigned long base = 0, self;

	CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &base) == 0);
	__asm__("mov %%fs:0, %0" : "=r"(self)); /* the ABI: the first word is its own address */
	CHECK(base != 0 && base == self);
	CHECK_ERROR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
	CHECK_ERROR(syscall(SYS_arch_prctl, ARCH_SET_FS, 1ul << 63), EPERM);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0) == 1);
	/* There are CPUs that can be told to refuse it. */
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1) == 0 || errno == ENODEV);
}

static void test_absent(void)
{
	CHECK_ERROR(syscall(400), ENOSYS);
	CHECK_ERROR(syscall(1ul << 20), ENOSYS);
	CHECK_ERROR(syscall(-1l), ENOSYS);
	CHECK_ERROR(syscall(SYS_access, "/no/such/file", 0), ENOENT);
	CHECK_ERROR(syscall(SYS_open, "/no/such/file", 0), ENOENT);
}

/* A deep stack: a megabyte of it, a page at a time. */
static unsigned use_stack(unsigned depth)
{
	volatile char frame[PAGE];

	frame[0] = (char)depth;
	return depth == 0 ? 0 : use_stack(depth - 1) + (frame[0] == (char)depth);
}

int main(void)
{
	test_time();
	test_identity();
	test_random();
	test_limits();
	test_output();
	test_thread_pointer();
	test_absent();
	CHECK(use_stack(256) == 256);
	return checks_end("calls");
}
