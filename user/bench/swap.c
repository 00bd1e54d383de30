/*
 * The benchmark of paging: more is written than fits, read twice in order, and accessed at random, with the contents verified. It says what each of these
 * costs and how many pages came in and went out, by /proc/vmstat. It needs a device to page to, and is meaningful on one of RAM only where instructions
 * are counted: the clock jumps while a disk is waited for. bench/run says with how much memory.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWAP_PAGES    49152ul /* 192 MiB */
#define SWAP_PASSES   2
#define SWAP_ACCESSES 20000ul
#define FILE_BYTES    8192

struct moved {
	uint64_t in, out; /* pages, since the start of the machine */
};

/* The number behind a name that begins a line. */
static uint64_t number_of(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	check(line != NULL, name);
	return strtoull(line + strlen(name), NULL, 10);
}

/* A file of /proc, as a string. */
static void read_file(const char *path, char text[FILE_BYTES])
{
	int file = open(path, O_RDONLY);
	size_t length = 0;
	ssize_t got;

	check(file >= 0, path);
	while (length < FILE_BYTES - 1 && (got = read(file, text + length, FILE_BYTES - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(file);
}

static struct moved pages_moved(void)
{
	char text[FILE_BYTES];

	read_file("/proc/vmstat", text);
	return (struct moved){number_of(text, "\npswpin "), number_of(text, "\npswpout ")};
}

static bool there_is_swap(void)
{
	char text[FILE_BYTES];

	read_file("/proc/meminfo", text);
	return number_of(text, "\nSwapTotal:") * 1024 >= SWAP_PAGES * PAGE;
}

static uint64_t *page_at(char *memory, size_t page)
{
	return (uint64_t *)(void *)(memory + page * PAGE);
}

/* No page is zero, and no two are the same. */
static void write_numbers(char *memory)
{
	for (size_t i = 0; i < SWAP_PAGES; i++)
		*page_at(memory, i) = i + 1;
}

static void verify_in_order(char *memory)
{
	for (size_t i = 0; i < SWAP_PAGES; i++)
		check(*page_at(memory, i) == i + 1, "what was written, read in order");
}

static void verify_at_random(char *memory)
{
	uint64_t state = 88172645463325252ull; /* Marsaglia's xorshift; any but 0 */

	for (size_t i = 0; i < SWAP_ACCESSES; i++) {
		size_t page;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		page = state % SWAP_PAGES;
		check(*page_at(memory, page) == page + 1, "what was written, read at random");
	}
}

void bench_swap(void)
{
	struct measure writes = fresh, random = fresh, reads = {.least = 0};
	struct moved before, after;
	char *memory;

	if (!there_is_swap()) {
		report_missing("swap_write", "instructions/page");
		return;
	}
	before = pages_moved();
	memory = map(SWAP_PAGES * PAGE);
	start(&writes);
	write_numbers(memory);
	stop(&writes);
	for (int pass = 0; pass < SWAP_PASSES; pass++) {
		struct measure read = fresh;

		start(&read);
		verify_in_order(memory);
		stop(&read);
		reads.least += read.least;
	}
	start(&random);
	verify_at_random(memory);
	stop(&random);
	after = pages_moved();
	unmap(memory, SWAP_PAGES * PAGE);
	report("swap_write", "instructions/page", &writes, SWAP_PAGES);
	report("swap_read_seq", "instructions/page", &reads, SWAP_PASSES * SWAP_PAGES);
	report("swap_read_rand", "instructions/access", &random, SWAP_ACCESSES);
	report_number("swap_pages_in", "pages", after.in - before.in);
	report_number("swap_pages_out", "pages", after.out - before.out);
}
