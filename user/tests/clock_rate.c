/*
 * Says how many ticks of the time-stamp counter there are in a second of the system's clock. The counter is the machine's, so the
 * answer is the same on Linux and on Phoenix, however busy the machine was when the system measured it.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define SECOND   1000000000ull
#define MEASURED (SECOND / 20)
#define READINGS 64

struct reading {
	uint64_t clock, tsc;
};

/* The clock and the counter at one moment: the reading of several that took the shortest time. */
static struct reading read_both(void)
{
	struct reading best = {0, 0};
	uint64_t width = UINT64_MAX;

	for (int i = 0; i < READINGS; i++) {
		struct timespec time;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC, &time);
		after = __rdtsc();
		if (after - before >= width)
			continue;
		width = after - before;
		best.clock = (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
		best.tsc = before + width / 2;
	}
	return best;
}

int main(void)
{
	struct reading first = read_both(), last;

	do {
		last = read_both();
	} while (last.clock - first.clock < MEASURED);
	printf("%.0f\n", (double)(last.tsc - first.tsc) * SECOND / (double)(last.clock - first.clock));
	return 0;
}
