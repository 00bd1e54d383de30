/*
 * The demo that `make run` starts: an ordinary static program that uses memory in a few ways, and shows
 * what the system paid for each, and what its own address space looks like.
 *
 * Counters and map tree come from Phoenix's own system calls (<kern/phoenix_abi.h>); everything else
 * is Linux's interface. On Linux it runs too, without the figures.
 */
#define _GNU_SOURCE
#include <kern/phoenix_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE         4096ul
#define GIB          (1ul << 30)
#define SPARSE_BYTES (16 * GIB)
#define SPARSE_STEP  (2 * GIB)
#define RUN_PAGES    64
#define SHARED_PAGES 4
#define LIST_BYTES   16384
#define PATTERN      0x70686f656e697800ul

static struct phoenix_vm_stats before, after;
static char list[LIST_BYTES + 1];
static int have_stats;

/* Nothing that a step costs may come from taking the figures: both structures have been written before. */
static void take(struct phoenix_vm_stats *stats)
{
	if (have_stats)
		syscall(PHOENIX_SYS_VM_STATS, stats, sizeof(*stats));
}

static void begin(void)
{
	take(&before);
}

static void end(const char *step)
{
	static const char *const names[PHOENIX_FAULT_CASES] = {"zero fill", "zero page",  "resident",
							       "page in",   "copy",       "upgrade",
							       "reserved",  "protection", "no entry"};
	uint64_t faults = 0;

	take(&after);
	for (int i = 0; i < PHOENIX_FAULT_CASES; i++)
		faults += after.faults[i] - before.faults[i];
	if (!have_stats) {
		printf("  %-44s\n", step);
		return;
	}
	printf("  %-44s %6llu %7lld %7lld %9lld", step, (unsigned long long)faults,
	       (long long)(after.resident_pages - before.resident_pages),
	       (long long)(after.table_pages - before.table_pages),
	       (long long)((before.free_pages - after.free_pages) * (PAGE / 1024)));
	for (int i = 0; i < PHOENIX_FAULT_CASES; i++) {
		if (after.faults[i] != before.faults[i])
			printf("   %s %llu", names[i],
			       (unsigned long long)(after.faults[i] - before.faults[i]));
	}
	printf("\n");
}

static void fail(const char *what)
{
	printf("demo: failed: %s\n", what);
	exit(1);
}

static volatile uint64_t *map_anonymous(size_t bytes, int sharing)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

/* A large region of which little is used: it costs what is touched. */
static void sparse(void)
{
	volatile uint64_t *region;
	size_t step = SPARSE_STEP / sizeof(*region), page = PAGE / sizeof(*region);

	begin();
	region = map_anonymous(SPARSE_BYTES, MAP_PRIVATE);
	end("reserve 16 GiB");

	begin();
	for (size_t i = 0; i < SPARSE_BYTES / SPARSE_STEP; i++)
		region[i * step] = PATTERN + i;
	end("write 8 pages of it, 2 GiB apart");

	begin();
	for (size_t i = 1; i <= RUN_PAGES; i++)
		region[i * page] = PATTERN ^ i;
	end("write 64 pages in a row");

	begin();
	for (size_t i = 0; i < SPARSE_BYTES / SPARSE_STEP; i++) {
		if (region[i * step] != PATTERN + i)
			fail("a sparse page lost what was written");
	}
	for (size_t i = 1; i <= RUN_PAGES; i++) {
		if (region[i * page] != (PATTERN ^ i))
			fail("a page lost what was written");
	}
	end("read all of it back");

	begin();
	if (region[step / 2] != 0)
		fail("an untouched page is not zero");
	end("read a page never written: it is zero");

	begin();
	munmap((void *)region, SPARSE_BYTES);
	end("give the 16 GiB back");
}

/* One blob at two addresses: mremap() of length 0 leaves a shared mapping and makes another of the same pages. */
static void twice(void)
{
	size_t words = SHARED_PAGES * PAGE / sizeof(uint64_t);
	volatile uint64_t *first, *second;

	begin();
	first = map_anonymous(SHARED_PAGES * PAGE, MAP_SHARED);
	second = mremap((void *)first, 0, SHARED_PAGES * PAGE, MREMAP_MAYMOVE);
	if (second == MAP_FAILED || second == first)
		fail("mapping one blob twice");
	end("map one blob of 4 pages twice");

	begin();
	for (size_t i = 0; i < words; i++)
		first[i] = PATTERN + i;
	end("write it through the first mapping");

	begin();
	for (size_t i = 0; i < words; i++) {
		if (second[i] != PATTERN + i)
			fail("the second mapping does not show what was written");
	}
	end("read it through the second");

	begin();
	second[words - 1] = ~PATTERN;
	if (first[words - 1] != ~PATTERN)
		fail("the first mapping does not show what was written");
	end("write through the second, read the first");
	if (!have_stats)
		return;
	printf("\n  one blob, two addresses: %p and %p\n", (void *)first, (void *)second);
}

static void print_map(void)
{
	long length = syscall(PHOENIX_SYS_MAP_LIST, 0, list, LIST_BYTES);

	if (length < 0)
		fail("map_list");
	if (length > LIST_BYTES)
		length = LIST_BYTES;
	list[length] = '\0';
	printf("\nThe map of this process:\n\n"
	       "  start        end          may what     resident  name\n");
	for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n"))
		printf("  %s\n", line);
	printf("\nThe arena is this process's part of the global data space, 0x100000000 to "
	       "0x6f8000000000.\n");
}

int main(void)
{
	have_stats = syscall(PHOENIX_SYS_VM_STATS, &before, sizeof(before)) == 0;
	printf("What memory costs\n\n");
	if (have_stats)
		printf("  %-44s %6s %7s %7s %9s\n", "", "faults", "mapped", "tables", "KiB");
	take(&after);
	sparse();
	twice();
	if (have_stats)
		print_map();
	printf("\ndemo: all that was written was read back\n");
	return 0;
}
