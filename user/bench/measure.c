/*
 * How the benchmark measures: differences of the clock, the least of several rounds (bench.c says what they mean).
 */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define NANOSECONDS 1000000000ull

uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

/* What asking for the time itself costs. */
static uint64_t clock_cost(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 100; i++) {
		uint64_t start = now(), cost = now() - start;

		if (cost < least)
			least = cost;
	}
	return least;
}

static uint64_t overhead;

void measure_init(void)
{
	overhead = clock_cost();
}

void start(struct measure *measure)
{
	measure->start = now();
}

void stop(struct measure *measure)
{
	uint64_t cost = now() - measure->start;

	cost = cost > overhead ? cost - overhead : 0;
	if (cost < measure->least)
		measure->least = cost;
}

void report(const char *name, const char *unit, const struct measure *measure, uint64_t count)
{
	double value = (double)measure->least / (double)count;

	printf(value < 1000 ? "%s\t%s\t%.1f\n" : "%s\t%s\t%.0f\n", name, unit, value);
	fflush(stdout);
}

void report_missing(const char *name, const char *unit)
{
	printf("%s\t%s\tnot available\n", name, unit);
	fflush(stdout);
}

void report_number(const char *name, const char *unit, uint64_t number)
{
	printf("%s\t%s\t%llu\n", name, unit, (unsigned long long)number);
	fflush(stdout);
}

void check(bool holds, const char *what)
{
	if (holds)
		return;
	printf("bench: failed: %s\n", what);
	exit(1);
}

char *map_as(size_t bytes, int prot, int flags)
{
	char *memory = mmap(NULL, bytes, prot, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	check(memory != MAP_FAILED, "mmap");
	return memory;
}

char *map(size_t bytes)
{
	char *memory = map_as(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

void unmap(char *memory, size_t bytes)
{
	check(munmap(memory, bytes) == 0, "munmap");
}

void write_pages(volatile char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		memory[i * PAGE] = 1;
}

void read_pages(const volatile char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		(void)memory[i * PAGE];
}
