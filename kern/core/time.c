/*
 * Time: nanoseconds since boot, the time of day, and waiting.
 *
 * Time is the time-stamp counter, scaled. How fast it runs is measured in kern/arch/x86_64/clock.c; the
 * timer that interrupts is the APIC's.
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/gate.h>
#include <kern/kern.h>
#include <kern/sched.h>

#include "sched_internal.h"

#define NANOSECONDS 1000000000ull /* in a second */

/* On a page of its own, which users read (gate.c). Locks: (-) the first two, set by time_start and time_init; the last is one word. */
static union {
	struct gate_data time;
	uint8_t page[PAGE_SIZE];
} gate __attribute__((aligned(PAGE_SIZE))) = {.time = {.scale = 1ull << GATE_SCALE_SHIFT}};

static uint64_t timer_hz; /* set by time_init; 0: there is no timer */

const void *time_gate_data(void)
{
	return &gate;
}

void time_start(void)
{
	gate.time.tsc_at_boot = rdtsc();
}

void time_init(void)
{
	uint64_t tsc_hz;

	clock_calibrate(&tsc_hz, &timer_hz);
	gate.time.scale = (NANOSECONDS << GATE_SCALE_SHIFT) / tsc_hz; /* below 2^62: fits */
	gate.time.realtime_offset = clock_read_rtc() * (int64_t)NANOSECONDS - (int64_t)time_nanoseconds();
}

/* A product of 96 bits is enough for centuries. */
uint64_t time_nanoseconds(void)
{
	return (uint64_t)((unsigned __int128)(rdtsc() - gate.time.tsc_at_boot) * gate.time.scale >>
			  GATE_SCALE_SHIFT);
}

int64_t time_realtime_offset(void)
{
	return __atomic_load_n(&gate.time.realtime_offset, __ATOMIC_RELAXED);
}

void time_set_realtime_offset(int64_t offset)
{
	__atomic_store_n(&gate.time.realtime_offset, offset, __ATOMIC_SEQ_CST);
	timers_day_set();
}

uint64_t time_since_boot(uint64_t time_of_day)
{
	int64_t offset = time_realtime_offset();

	if (offset > 0 && time_of_day < (uint64_t)offset)
		return 0;
	return time_of_day - (uint64_t)offset;
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
