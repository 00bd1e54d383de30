/*
 * What the files of the benchmark share: how something is measured and reported, and mappings.
 */
#ifndef USER_BENCH_H
#define USER_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE        4096ul
#define ROUNDS      5
#define FAULT_PAGES 16384ul
#define FAULT_BYTES (FAULT_PAGES * PAGE)

/* As the first argument: the program that fork_exec_static runs, which does nothing. */
#define DO_NOTHING "--nothing"

/* A measurement in progress: the least of its rounds. */
struct measure {
	uint64_t start, least;
};

static const struct measure fresh = {.least = UINT64_MAX};

/* Finds out what asking for the time costs, which is then taken off. */
void measure_init(void);

uint64_t now(void);
void start(struct measure *measure);
void stop(struct measure *measure);

/* A line for what was measured, `count` of something at a time; or for what the system lacks something for. */
void report(const char *name, const char *unit, const struct measure *measure, uint64_t count);
void report_missing(const char *name, const char *unit);

/* A line for what was counted, and not measured. */
void report_number(const char *name, const char *unit, uint64_t number);

/* Ends the program unless it holds. */
void check(bool holds, const char *what);

/* Anonymous memory; the second kind readable, writable, private, and not of huge pages. */
char *map_as(size_t bytes, int prot, int flags);
char *map(size_t bytes);
void unmap(char *memory, size_t bytes);

void write_pages(volatile char *memory, size_t pages);
void read_pages(const volatile char *memory, size_t pages);

/* Where the program itself is found. */
extern const char *own_path;

/* Cases of process.c. */
void bench_cow(void);
void bench_shared_minor(void);
void bench_fork(void);
void bench_vfork(void);
void bench_exec(void);
void bench_pipe(void);
void bench_file(void);
void bench_segv(void);

/* Of swap.c. */
void bench_swap(void);

#endif
