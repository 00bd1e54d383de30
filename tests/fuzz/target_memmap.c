/*
 * Fuzz target: any bytes as a firmware's memory map, put in order by memmap_normalize.
 *
 * The model asks of single pages whether every byte of them is RAM. It needs to ask of few: between two pages in which a
 * range begins or ends, or the limit is, all are alike.
 */
#include "fuzz.h"

#include <kern/test.h>
#include <vm/page.h>

#include <asm/errno.h>
#include <stdlib.h>

#define MAX_RANGES 24
#define MAX_EDGES  (2 * MAX_RANGES + 1) /* both ends of each, and the limit */
#define MAX_RUNS   (2 * MAX_EDGES)
#define LAST_PAGE  (UINT64_MAX >> PAGE_SHIFT)

/* What is left of an input. */
struct input {
	const uint8_t *bytes;
	size_t count;
};

static uint8_t take_byte(struct input *input)
{
	if (input->count == 0)
		return 0;
	input->count--;
	return *input->bytes++;
}

/* Three bytes are an address: 16 bits, shifted to anywhere, perhaps counted down from the top. */
static paddr_t take_address(struct input *input)
{
	uint8_t form = take_byte(input);
	paddr_t address = take_byte(input);

	address = (address << 8 | take_byte(input)) << (form & 63) % 49;
	return form & 0x80 ? UINT64_MAX - address : address;
}

struct memory_map {
	struct phys_range in[MAX_RANGES];
	size_t count;
	paddr_t limit;
	paddr_t edges[MAX_EDGES]; /* addresses at which something changes */
	size_t edge_count;
};

/* A byte of address `at` is RAM that may be used: said by one range, contradicted by none. */
static bool byte_is_ram(const struct memory_map *map, paddr_t at)
{
	bool usable = false;

	if (at >= map->limit)
		return false;
	for (size_t i = 0; i < map->count; i++) {
		const struct phys_range *range = &map->in[i];
		bool wraps = range->end < range->start;

		if (at < range->start || (!wraps && at >= range->end))
			continue;
		if (!range->usable)
			return false;
		usable = usable || !wraps;
	}
	return usable;
}

/* The last page has no end that a range could say: it never is. */
static bool page_is_ram(const struct memory_map *map, uint64_t page)
{
	paddr_t start = page << PAGE_SHIFT;

	if (page == LAST_PAGE || !byte_is_ram(map, start))
		return false;
	for (size_t i = 0; i < map->edge_count; i++) {
		if (map->edges[i] >> PAGE_SHIFT == page && !byte_is_ram(map, map->edges[i]))
			return false;
	}
	return true;
}

static int compare_numbers(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* What memmap_normalize has to answer: the runs of pages that are RAM. */
static size_t expected_runs(const struct memory_map *map, struct phys_range *out)
{
	uint64_t pages[2 * MAX_EDGES + 1] = {0};
	size_t count = 1, runs = 0;

	for (size_t i = 0; i < map->edge_count; i++) {
		uint64_t page = map->edges[i] >> PAGE_SHIFT;

		pages[count++] = page;
		pages[count++] = page + (page < LAST_PAGE);
	}
	qsort(pages, count, sizeof(pages[0]), compare_numbers);
	for (size_t i = 0; i < count; i++) {
		uint64_t next = i + 1 < count ? pages[i + 1] : LAST_PAGE;

		if (pages[i] == next || !page_is_ram(map, pages[i]))
			continue;
		if (runs > 0 && out[runs - 1].end == pages[i] << PAGE_SHIFT)
			out[runs - 1].end = next << PAGE_SHIFT;
		else
			out[runs++] = (struct phys_range){pages[i] << PAGE_SHIFT, next << PAGE_SHIFT, true};
	}
	return runs;
}

static struct memory_map take_map(struct input *input)
{
	struct memory_map map = {.limit = take_address(input)};

	map.edges[map.edge_count++] = map.limit;
	while (input->count > 0 && map.count < MAX_RANGES) {
		struct phys_range *range = &map.in[map.count++];

		range->usable = take_byte(input) & 1;
		range->start = take_address(input);
		range->end = take_address(input);
		map.edges[map.edge_count++] = range->start;
		map.edges[map.edge_count++] = range->end;
	}
	return map;
}

static void check_answer(const struct memory_map *map, const struct phys_range *expected, size_t count,
			 size_t room)
{
	static const struct phys_range untouched = {1, 2, false};
	struct phys_range found[MAX_RUNS + 1];

	for (size_t i = 0; i <= MAX_RUNS; i++)
		found[i] = untouched;
	CHECK_EQ(memmap_normalize(map->in, map->count, map->limit, found, room),
		 count > room ? -ENOSPC : (int)count);
	for (size_t i = 0; i <= MAX_RUNS; i++) {
		const struct phys_range *right = i < count && i < room ? &expected[i] : &untouched;

		CHECK_EQ(found[i].start, right->start);
		CHECK_EQ(found[i].end, right->end);
		CHECK_EQ(found[i].usable, right->usable);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct input input = {bytes, count};
	struct memory_map map = take_map(&input);
	struct phys_range expected[MAX_RUNS];
	size_t runs = expected_runs(&map, expected);

	check_answer(&map, expected, runs, MAX_RUNS);
	if (runs > 0)
		check_answer(&map, expected, runs, runs - 1);
	return 0;
}
