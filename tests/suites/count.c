/*
 * The kernel's side of count.h: the time-stamp counter, which under QEMU's -icount shift=0 counts instructions. Without
 * -icount it counts time, and what is made of it means little.
 */
#include "count.h"

#include <hw.h>

static uint64_t started;

void count_start(void)
{
	started = rdtsc();
}

uint64_t count_stop(void)
{
	static uint64_t overhead = UINT64_MAX;
	uint64_t counted = rdtsc() - started;

	if (overhead == UINT64_MAX) {
		overhead = 0;
		count_start();
		overhead = count_stop();
	}
	return counted > overhead ? counted - overhead : 0;
}
