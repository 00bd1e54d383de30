/*
 * Time: nanoseconds since boot, the time of day, and waiting.
 *
 * Time is the time-stamp counter, scaled. How fast it runs is measured in kern/arch/x86_64/clock.c; the
 * timer that ends a wait is the APIC's.
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/page.h>

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

/* An interrupt that comes between the look at the clock and the halt is taken in the halt, and ends it. */
void time_sleep_until(uint64_t nanoseconds)
{
	bool were_on = interrupts_enabled();
	uint64_t now;

	interrupts_disable();
	while ((now = time_nanoseconds()) < nanoseconds) {
		/* The CPU has nothing else to do: it clears a page for later. */
		if (page_zero_one())
			continue;
		if (timer_hz == 0) {
			cpu_relax();
			continue;
		}
		apic_timer_start(timer_ticks(nanoseconds - now), true);
		wait_for_interrupt();
		interrupts_disable();
	}
	if (timer_hz != 0)
		apic_timer_start(0, false);
	if (were_on)
		interrupts_enable();
}
