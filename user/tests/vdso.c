/*
 * The vDSO: its functions agree with the system calls, and its image is where AT_SYSINFO_EHDR says.
 */
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000l

static long nanoseconds(const struct timespec *t)
{
	return t->tv_sec * SECOND + t->tv_nsec;
}

/* Between two calls that ask the kernel, the function says a time between theirs. */
static void check_clock(clockid_t clock)
{
	struct timespec before, here, after;

	CHECK(syscall(SYS_clock_gettime, clock, &before) == 0);
	CHECK(clock_gettime(clock, &here) == 0);
	CHECK(syscall(SYS_clock_gettime, clock, &after) == 0);
	CHECK(nanoseconds(&before) <= nanoseconds(&here) && nanoseconds(&here) <= nanoseconds(&after));
}

int main(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
					   CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID};
	const Elf64_Ehdr *image = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	struct timespec here;
	struct timeval day;
	time_t seconds;

	CHECK(image && memcmp(image->e_ident, ELFMAG, SELFMAG) == 0 && image->e_type == ET_DYN);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++)
		check_clock(clocks[i]);
	CHECK_ERROR(clock_gettime(1000, &here), EINVAL);
	clock_gettime(CLOCK_REALTIME, &here);
	gettimeofday(&day, NULL);
	seconds = time(NULL);
	CHECK(labs(day.tv_sec * SECOND + day.tv_usec * 1000 - nanoseconds(&here)) < SECOND);
	CHECK(seconds == day.tv_sec || seconds == day.tv_sec + 1);
	return checks_end("vdso");
}
