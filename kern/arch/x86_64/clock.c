/*
 * The hardware that knows about time: how fast the time-stamp counter and the APIC's timer run, measured
 * against the PIT, and the battery clock.
 *
 * What the kernel makes of it is in kern/core/time.c.
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>

/* The PIT's channel 2, whose output can be read back (Intel 8254 data sheet; IBM PC/AT port 0x61). */
#define PIT_HZ             1193182u
#define PIT_CHANNEL_2      0x42
#define PIT_COMMAND        0x43
#define PIT_ONCE           0xb0 /* channel 2, low byte then high byte, mode 0: output rises at the end */
#define PIT_LATCH          0x80 /* channel 2: the count of this moment is what is read next */
#define PIT_CONTROL        0x61
#define PIT_CONTROL_GATE   0x01
#define PIT_CONTROL_SOUND  0x02
#define PIT_CONTROL_OUTPUT 0x20

#define PIT_COUNT    0xffffu /* 55 ms: a measurement that takes longer, as it was interrupted, is none */
#define PIT_MEASURED 11932u  /* 10 ms: at least so long is measured */

/* A reading takes about 4 us on real machines: many times what is needed, and then give up. */
#define PIT_MAX_READINGS 200000u

#define READINGS        4    /* of which the narrowest counts */
#define MEASUREMENTS    32   /* at most */
#define GOOD_ENOUGH     2000 /* the measured time over its uncertainty */
#define ASSUMED_HZ      1000000000ull
#define CPUID_LEAF_TSC  0x15u /* SDM vol 2: eax / ebx times the crystal's frequency in ecx */
#define APIC_TIMER_FULL UINT32_MAX

/* All three clocks at one moment, which lies between two looks at the TSC. */
struct reading {
	uint64_t tsc;   /* in the middle */
	uint64_t width; /* TSC ticks between the two */
	uint32_t timer; /* what is left of the APIC timer's count; 0 without an APIC */
	uint32_t pit;   /* what is left of the PIT's */
};

/* Between two readings, in ticks of each. */
struct measurement {
	uint64_t tsc, uncertainty; /* the latter of the TSC, too */
	uint32_t timer, pit;
};

static void start_counting(void)
{
	uint8_t control = inb(PIT_CONTROL) & (uint8_t) ~(PIT_CONTROL_GATE | PIT_CONTROL_SOUND);

	outb(PIT_CONTROL, control | PIT_CONTROL_GATE);
	outb(PIT_COMMAND, PIT_ONCE);
	if (apic_present())
		apic_timer_start(APIC_TIMER_FULL, false);
	outb(PIT_CHANNEL_2, PIT_COUNT & 0xff);
	outb(PIT_CHANNEL_2, PIT_COUNT >> 8);
}

static void stop_counting(void)
{
	outb(PIT_CONTROL, inb(PIT_CONTROL) & (uint8_t) ~(PIT_CONTROL_GATE | PIT_CONTROL_SOUND));
}

/* False if the PIT has reached its end: its count says nothing then. */
static bool read_once(struct reading *out)
{
	uint64_t before = rdtsc(), after;

	outb(PIT_COMMAND, PIT_LATCH);
	out->timer = apic_present() ? apic_timer_remaining() : 0;
	after = rdtsc();
	out->pit = inb(PIT_CHANNEL_2);
	out->pit |= (uint32_t)inb(PIT_CHANNEL_2) << 8;
	out->tsc = before + (after - before) / 2;
	out->width = after - before;
	return !(inb(PIT_CONTROL) & PIT_CONTROL_OUTPUT);
}

/*
 * The narrowest of a few readings. An emulated CPU is taken away from its guest at any instruction, for milliseconds: a
 * reading in which that happened shows it by its width, and the next one is as good as any.
 */
static bool read_clocks(struct reading *out)
{
	struct reading once;

	out->width = UINT64_MAX;
	for (unsigned i = 0; i < READINGS; i++) {
		if (!read_once(&once))
			return false;
		if (once.width < out->width)
			*out = once;
	}
	return true;
}

/* Two readings, at least PIT_MEASURED apart. False if it took too long, or there is no PIT. */
static bool measure(struct measurement *out)
{
	struct reading first, last;
	unsigned readings = 0;
	bool counts;

	start_counting();
	/* The count is there with the clock after the one that loads it: a reading later. */
	counts = read_once(&first) && read_clocks(&first);
	do {
		counts = counts && ++readings < PIT_MAX_READINGS && read_once(&last);
	} while (counts && first.pit - last.pit < PIT_MEASURED);
	counts = counts && read_clocks(&last);
	stop_counting();
	*out = (struct measurement){last.tsc - first.tsc, first.width + last.width, first.timer - last.timer,
				    first.pit - last.pit};
	return counts;
}

/* The TSC's frequency as the CPU states it, for machines without a PIT; a guess where it does not. */
static uint64_t stated_tsc_hz(void)
{
	struct cpuid tsc = {0, 0, 0, 0};

	if (cpuid(0, 0).eax >= CPUID_LEAF_TSC)
		tsc = cpuid(CPUID_LEAF_TSC, 0);
	if (tsc.eax && tsc.ebx && tsc.ecx)
		return (uint64_t)tsc.ecx * tsc.ebx / tsc.eax;
	kprintf("phoenix: no clock to measure time by: the TSC is taken to run at 1 GHz\n");
	return ASSUMED_HZ;
}

/* The best of some measurements: what disturbs one (another guest, a system-management interrupt) shows by its uncertainty. */
void clock_calibrate(uint64_t *tsc_hz, uint64_t *timer_hz)
{
	struct measurement best = {0, UINT64_MAX, 0, 0}, once;

	for (unsigned i = 0; i < MEASUREMENTS; i++) {
		if (measure(&once) && once.uncertainty < best.uncertainty)
			best = once;
		if (best.tsc / GOOD_ENOUGH > best.uncertainty)
			break;
	}
	if (best.pit == 0) {
		*tsc_hz = stated_tsc_hz();
		*timer_hz = 0;
		return;
	}
	*tsc_hz = best.tsc * PIT_HZ / best.pit;
	*timer_hz = (uint64_t)best.timer * PIT_HZ / best.pit;
}

/* ---- The battery clock (Motorola MC146818A data sheet) ------------------------------------------- */

#define RTC_INDEX       0x70
#define RTC_DATA        0x71
#define RTC_SECONDS     0x00
#define RTC_MINUTES     0x02
#define RTC_HOURS       0x04
#define RTC_DAY         0x07
#define RTC_MONTH       0x08
#define RTC_YEAR        0x09
#define RTC_STATUS_A    0x0a
#define RTC_STATUS_B    0x0b
#define RTC_UPDATING    0x80 /* in status A */
#define RTC_BINARY      0x04 /* in status B; else binary-coded decimal */
#define RTC_24_HOURS    0x02
#define RTC_AFTERNOON   0x80 /* in the hours, with 12-hour counting */
#define RTC_CENTURY     2000
#define RTC_MAX_POLLS   100000u
#define RTC_MAX_READS   16
#define SECONDS_PER_DAY 86400

struct rtc_time {
	uint8_t second, minute, hour, day, month, year;
};

static uint8_t read_rtc_register(uint8_t index)
{
	outb(RTC_INDEX, index);
	return inb(RTC_DATA);
}

static void read_rtc_once(struct rtc_time *time)
{
	for (unsigned i = 0; i < RTC_MAX_POLLS && (read_rtc_register(RTC_STATUS_A) & RTC_UPDATING); i++)
		cpu_relax();
	time->second = read_rtc_register(RTC_SECONDS);
	time->minute = read_rtc_register(RTC_MINUTES);
	time->hour = read_rtc_register(RTC_HOURS);
	time->day = read_rtc_register(RTC_DAY);
	time->month = read_rtc_register(RTC_MONTH);
	time->year = read_rtc_register(RTC_YEAR);
}

static void decode_bcd(uint8_t *value)
{
	*value = (uint8_t)((*value >> 4) * 10 + (*value & 0xf));
}

/* Days from 1970-01-01 to a date of the Gregorian calendar; years counted from March put the leap day last. */
static int64_t days_since_1970(int year, int month, int day)
{
	int from_march = (month + 9) % 12;
	int y = year - (month <= 2);
	int64_t days = 365ll * y + y / 4 - y / 100 + y / 400 + (from_march * 306 + 5) / 10 + day - 1;

	return days - 719468; /* 1970-01-01 by the same formula */
}

int64_t clock_read_rtc(void)
{
	struct rtc_time time, again;
	uint8_t mode = read_rtc_register(RTC_STATUS_B);
	bool afternoon;
	int reads = 0;

	/* Two equal readings: no update came between the registers. */
	read_rtc_once(&again);
	do {
		time = again;
		read_rtc_once(&again);
	} while (memcmp(&time, &again, sizeof time) != 0 && ++reads < RTC_MAX_READS);
	afternoon = !(mode & RTC_24_HOURS) && (time.hour & RTC_AFTERNOON);
	if (!(mode & RTC_24_HOURS))
		time.hour &= (uint8_t)~RTC_AFTERNOON;
	if (!(mode & RTC_BINARY)) {
		uint8_t *values[] = {&time.second, &time.minute, &time.hour,
				     &time.day,    &time.month,  &time.year};

		for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
			decode_bcd(values[i]);
	}
	if (!(mode & RTC_24_HOURS))
		time.hour = (uint8_t)(time.hour % 12 + (afternoon ? 12 : 0));
	if (time.second > 59 || time.minute > 59 || time.hour > 23 || time.day < 1 || time.day > 31 ||
	    time.month < 1 || time.month > 12 || time.year > 99)
		return 0;
	return days_since_1970(RTC_CENTURY + time.year, time.month, time.day) * SECONDS_PER_DAY +
	       time.hour * 3600 + time.minute * 60 + time.second;
}
