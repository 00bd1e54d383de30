/*
 * The vDSO (vdso(7)): clock_gettime, clock_getres, gettimeofday, time and getcpu as functions that programs call in the gate area. What it
 * cannot answer from the gate's data it asks the kernel.
 *
 * Runs in ring 3, in any program, on any stack: it uses nothing but its arguments, the gate's data page and the CPU.
 */
#include <asm/unistd_64.h>
#include <kern/gate.h>
#include <linux/time.h>

#define NS_PER_SECOND 1000000000ull
#define NS_PER_US     1000

/* vdso.ld puts it on the page before the image. */
extern const volatile struct gate_data gate_data __attribute__((visibility("hidden")));

int __vdso_clock_gettime(int clock, struct timespec *to);
int __vdso_clock_getres(int clock, struct timespec *to);
int __vdso_gettimeofday(struct timeval *to, struct timezone *zone);
__kernel_time_t __vdso_time(__kernel_time_t *to);
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static inline long system_call(long number, long first, void *second)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(first), "S"(second)
			 : "rcx", "r11", "memory");
	return result;
}

/* RDTSC may run ahead of loads before it; LFENCE keeps it behind them (Intel SDM vol 2, RDTSC). */
static inline uint64_t since_boot(void)
{
	uint32_t low, high;
	uint64_t ticks;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	ticks = ((uint64_t)high << 32 | low) - gate_data.tsc_at_boot;
	return (uint64_t)((unsigned __int128)ticks * gate_data.scale >> GATE_SCALE_SHIFT);
}

int __vdso_clock_gettime(int clock, struct timespec *to)
{
	uint64_t now;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		now = since_boot() + (uint64_t)gate_data.realtime_offset;
		break;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
		now = since_boot();
		break;
	default:
		return (int)system_call(__NR_clock_gettime, clock, to);
	}
	to->tv_sec = (__kernel_time_t)(now / NS_PER_SECOND);
	to->tv_nsec = (long)(now % NS_PER_SECOND);
	return 0;
}

int __vdso_clock_getres(int clock, struct timespec *to)
{
	return (int)system_call(__NR_clock_getres, clock, to);
}

int __vdso_gettimeofday(struct timeval *to, struct timezone *zone)
{
	if (to) {
		uint64_t now = since_boot() + (uint64_t)gate_data.realtime_offset;

		to->tv_sec = (__kernel_time_t)(now / NS_PER_SECOND);
		to->tv_usec = (long)(now % NS_PER_SECOND / NS_PER_US);
	}
	if (zone)
		*zone = (struct timezone){0, 0};
	return 0;
}

__kernel_time_t __vdso_time(__kernel_time_t *to)
{
	__kernel_time_t now =
		(__kernel_time_t)((since_boot() + (uint64_t)gate_data.realtime_offset) / NS_PER_SECOND);

	if (to)
		*to = now;
	return now;
}

/* The limit of a segment that each CPU has for itself is its number. */
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	unsigned number;

	(void)unused;
	__asm__ volatile("lsl %1, %0" : "=r"(number) : "r"(GATE_CPU_SELECTOR));
	if (cpu)
		*cpu = number;
	if (node)
		*node = 0;
	return 0;
}

int clock_gettime(int clock, struct timespec *to) __attribute__((weak, alias("__vdso_clock_gettime")));
int clock_getres(int clock, struct timespec *to) __attribute__((weak, alias("__vdso_clock_getres")));
int gettimeofday(struct timeval *to, struct timezone *zone)
	__attribute__((weak, alias("__vdso_gettimeofday")));
__kernel_time_t time(__kernel_time_t *to) __attribute__((weak, alias("__vdso_time")));
int getcpu(unsigned *cpu, unsigned *node, void *unused) __attribute__((weak, alias("__vdso_getcpu")));
