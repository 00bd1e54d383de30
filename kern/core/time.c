/*
 * Time: nanoseconds since boot, the time of day, and waiting.
 *
 * Time is the time-stamp counter, scaled. How fast it runs is measured in kern/arch/x86_64/clock.c; the
 * timer that interrupts is the APIC's.
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/sched.h>

#define NANOSECONDS 1000000000ull /* in a second */
#define SCALE_SHIFT 32

/* Set once, by time_start and time_init. */
static uint64_t tsc_at_boot;
static uint64_t scale = 1ull << SCALE_SHIFT; /* nanoseconds per TSC tick, times 2^SCALE_SHIFT */
static uint64_t timer_hz;                    /* 0: there is no timer */
static int64_t realtime_offset;

void time_start(void)
{
	tsc_at_boot = rdtsc();
}

void time_init(void)
{
	uint64_t tsc_hz;

	clock_calibrate(&tsc_hz, &timer_hz);
	scale = (NANOSECONDS << SCALE_SHIFT) / tsc_hz; /* below 2^62: fits */
	realtime_offset = clock_read_rtc() * (int64_t)NANOSECONDS - (int64_t)time_nanoseconds();
}

/* A product of 96 bits is enough for centuries. */
uint64_t time_nanoseconds(void)
{
	return (uint64_t)((unsigned __int128)(rdtsc() - tsc_at_boot) * scale >> SCALE_SHIFT);
}

int64_t time_realtime_offset(void)
{
	return realtime_offset;
}

/* The timer's ticks in that many nanoseconds, at least 1, at most what the timer can count. */
static uint32_t timer_ticks(uint64_t nanoseconds)
{
	uint64_t limit = NANOSECONDS; /* a second at a time keeps the product small */
	uint64_t ticks;

	nanoseconds = nanoseconds < limit ? nanoseconds : limit;
	ticks = nanoseconds * timer_hz / NANOSECONDS + 1;
	return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

void time_interrupt_at(uint64_t nanoseconds)
{
	uint64_t now = time_nanoseconds();

	if (timer_hz == 0)
		return;
	if (nanoseconds == TIME_NEVER)
		apic_timer_start(0, false);
	else
		apic_timer_start(timer_ticks(nanoseconds > now ? nanoseconds - now : 0), true);
}

/* An interrupt that comes between the caller's look at what there is to do and the halt is taken in the halt, and ends it. */
void time_wait_for_interrupt(void)
{
	if (timer_hz != 0)
		wait_for_interrupt();
	else
		cpu_relax();
}

void time_sleep_until(uint64_t nanoseconds)
{
	while (time_nanoseconds() < nanoseconds) {
		thread_sleep_begin(SLEEP_FIRM);
		thread_sleep(nanoseconds);
		thread_sleep_end();
	}
}
