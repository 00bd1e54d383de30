/*
 * Writes more than fits into memory, and looks whether all of it is there: pagecheck MIB [PROCESSES [SEED]].
 *
 * Each process writes a pattern that follows from the seed, the page and a round to MIB of private memory, and verifies it in order, in reverse
 * and at random; then it forks, both sides write every third page, and each verifies that it sees its own; meanwhile a thread moves, protects and unprotects
 * memory of its own, with a pattern, too. A mapping that parent and child share is written by both. Ends with 0, or 1 and a line that says what was wrong.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE          4096u
#define WORDS         (PAGE / sizeof(uint64_t))
#define PAGES_OF_MIB  256u
#define MAX_PROCESSES 64u
#define PROBES        5000u /* pages verified at random */
#define THIRD         3u
#define THREAD_PAGES  64u
#define SHARED_PART   16u /* a mapping of this part of the memory is shared */

struct area {
	char *bytes;
	size_t pages;
	uint64_t seed;
};

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 31) * 0x9e3779b97f4a7c15;
	return value ^ value >> 29;
}

/* A page is a series, of which both the first member and the step follow from what the page is. */
struct series {
	uint64_t first, step;
};

static struct series series_of(const struct area *area, size_t page, uint64_t round)
{
	uint64_t first = mix(area->seed + page + (round << 48));

	return (struct series){first, mix(first) | 1};
}

static void write_page(const struct area *area, size_t page, uint64_t round)
{
	uint64_t *words = (uint64_t *)(void *)(area->bytes + page * PAGE);
	struct series series = series_of(area, page, round);

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = series.first + i * series.step;
}

static void check_page(const struct area *area, size_t page, uint64_t round, const char *when)
{
	const uint64_t *words = (const uint64_t *)(const void *)(area->bytes + page * PAGE);
	struct series series = series_of(area, page, round);

	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t right = series.first + i * series.step;

		if (words[i] == right)
			continue;
		printf("pagecheck: %s: page %zu, word %u: %llx is not %llx\n", when, page, i,
		       (unsigned long long)words[i], (unsigned long long)right);
		exit(1);
	}
}

static struct area make_area(size_t pages, uint64_t seed, int sharing)
{
	struct area area = {.pages = pages, .seed = seed};

	area.bytes = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	if (area.bytes == MAP_FAILED) {
		perror("pagecheck: mmap");
		exit(1);
	}
	for (size_t i = 0; i < pages; i++)
		write_page(&area, i, 0);
	return area;
}

static void check_orders(const struct area *area)
{
	uint64_t state = area->seed | 1;

	for (size_t i = 0; i < area->pages; i++)
		check_page(area, i, 0, "in order");
	for (size_t i = area->pages; i-- > 0;)
		check_page(area, i, 0, "in reverse");
	for (unsigned i = 0; i < PROBES; i++) {
		state = mix(state + i);
		check_page(area, state % area->pages, 0, "at random");
	}
}

/* Every third page was written by this side, the others by neither. */
static void write_and_check(const struct area *area, uint64_t round, const char *side)
{
	for (size_t i = 0; i < area->pages; i += THIRD)
		write_page(area, i, round);
	for (size_t i = 0; i < area->pages; i++)
		check_page(area, i, i % THIRD == 0 ? round : 0, side);
}

static void await(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		printf("pagecheck: a child failed\n");
		exit(1);
	}
}

/* In shared memory the child writes one half, and the parent the other. */
static void check_fork(const struct area *area)
{
	struct area shared = make_area(area->pages / SHARED_PART, area->seed + 1, MAP_SHARED);
	pid_t child;

	fflush(stdout);
	child = fork();
	for (size_t i = child == 0; i < shared.pages; i += 2)
		write_page(&shared, i, 1);
	write_and_check(area, child == 0 ? 2 : 1, child == 0 ? "the child's side" : "the parent's side");
	if (child == 0)
		exit(0);
	await(child);
	for (size_t i = 0; i < shared.pages; i++)
		check_page(&shared, i, 1, "what is shared");
	munmap(shared.bytes, shared.pages * PAGE);
}

/* What is paged out comes along when a piece of a mapping grows, and goes elsewhere for that. */
static void check_growth(uint64_t seed)
{
	struct area area = make_area(THREAD_PAGES, seed + 3, MAP_PRIVATE), piece = area;
	size_t bytes = THREAD_PAGES / 2 * PAGE;

	madvise(area.bytes, THREAD_PAGES * PAGE, MADV_PAGEOUT);
	piece.bytes = mremap(area.bytes, bytes, 4 * bytes, MREMAP_MAYMOVE);
	if (piece.bytes == MAP_FAILED) {
		perror("pagecheck: mremap");
		exit(1);
	}
	for (size_t i = 0; i < THREAD_PAGES / 2; i++)
		check_page(&piece, i, 0, "a piece that grew");
	for (size_t i = THREAD_PAGES / 2; i < THREAD_PAGES; i++)
		check_page(&area, i, 0, "what was behind it");
	for (size_t i = bytes; i < 4 * bytes; i++) {
		if (piece.bytes[i] != 0) {
			printf("pagecheck: what a piece grew by is not zero at %zu\n", i - bytes);
			exit(1);
		}
	}
	munmap(piece.bytes, 4 * bytes);
	munmap(area.bytes + bytes, bytes);
}

static _Atomic int ending;

static void *disturb(void *argument)
{
	struct area area = make_area(THREAD_PAGES, *(uint64_t *)argument + 2, MAP_PRIVATE);
	size_t bytes = THREAD_PAGES * PAGE;

	while (!ending) {
		area.bytes = mremap(area.bytes, bytes, bytes * 2, MREMAP_MAYMOVE);
		if (area.bytes == MAP_FAILED || mprotect(area.bytes, bytes, PROT_READ)) {
			perror("pagecheck: mremap, mprotect");
			exit(1);
		}
		for (size_t i = 0; i < area.pages; i++)
			check_page(&area, i, 0, "the thread's");
		mprotect(area.bytes, bytes, PROT_READ | PROT_WRITE);
		area.bytes = mremap(area.bytes, bytes * 2, bytes, 0);
		usleep(1000);
	}
	munmap(area.bytes, bytes);
	return NULL;
}

static int check(size_t pages, uint64_t seed)
{
	struct area area = make_area(pages, seed, MAP_PRIVATE);
	pthread_t thread;

	if (pthread_create(&thread, NULL, disturb, &seed)) {
		printf("pagecheck: no thread\n");
		return 1;
	}
	check_orders(&area);
	check_growth(seed);
	check_fork(&area);
	ending = 1;
	pthread_join(thread, NULL);
	return 0;
}

int main(int count, char **arguments)
{
	size_t pages = count > 1 ? strtoul(arguments[1], NULL, 0) * PAGES_OF_MIB : 0;
	unsigned processes = count > 2 ? (unsigned)atoi(arguments[2]) : 1;
	uint64_t seed = count > 3 ? strtoull(arguments[3], NULL, 0) : 1;
	pid_t children[MAX_PROCESSES];

	if (pages == 0 || processes == 0 || processes > MAX_PROCESSES) {
		fprintf(stderr, "usage: pagecheck MIB [PROCESSES [SEED]]\n");
		return 2;
	}
	for (unsigned i = 1; i < processes; i++) {
		children[i] = fork();
		if (children[i] == 0)
			return check(pages, seed + i * UINT32_MAX);
	}
	if (check(pages, seed))
		return 1;
	for (unsigned i = 1; i < processes; i++)
		await(children[i]);
	printf("all is right\n");
	return 0;
}
