/*
 * memmap_normalize: a table of cases that firmware really reports, or might; and random maps, each
 * answer compared with that of a model which marks every 512 bytes of a small memory.
 */
#include <asm/errno.h>
#include <kern/test.h>
#include <vm/page.h>

#define MAX_RANGES 8
#define LIMIT      ((paddr_t)1 << 44)
#define NOWRAP     UINT64_MAX

#define RAM  true
#define HOLE false

/* Three lines each: the name; how many ranges go in, and which; below what limit how many come out, and which. */
struct memmap_case {
	const char *name;
	size_t in_count;
	struct phys_range in[MAX_RANGES];
	paddr_t limit;
	size_t out_count;
	struct phys_range out[MAX_RANGES];
};

/* clang-format off */
static const struct memmap_case cases[] = {
	{"no range at all",
	 0, {{0}},
	 LIMIT, 0, {{0}}},
	{"one range",
	 1, {{0x1000, 0x5000, RAM}},
	 LIMIT, 1, {{0x1000, 0x5000, RAM}}},
	{"a range from address 0",
	 1, {{0, 0x5000, RAM}},
	 LIMIT, 1, {{0, 0x5000, RAM}}},
	{"only unusable ranges",
	 2, {{0, 0x5000, HOLE}, {0x8000, 0x9000, HOLE}},
	 LIMIT, 0, {{0}}},
	{"unsorted",
	 3, {{0x9000, 0xa000, RAM}, {0x1000, 0x2000, RAM}, {0x5000, 0x6000, RAM}},
	 LIMIT, 3, {{0x1000, 0x2000, RAM}, {0x5000, 0x6000, RAM}, {0x9000, 0xa000, RAM}}},
	{"neighbours are merged",
	 3, {{0x3000, 0x4000, RAM}, {0x1000, 0x2000, RAM}, {0x2000, 0x3000, RAM}},
	 LIMIT, 1, {{0x1000, 0x4000, RAM}}},
	{"overlapping ranges are merged",
	 2, {{0x1000, 0x6000, RAM}, {0x4000, 0x9000, RAM}},
	 LIMIT, 1, {{0x1000, 0x9000, RAM}}},
	{"the same range twice",
	 2, {{0x1000, 0x6000, RAM}, {0x1000, 0x6000, RAM}},
	 LIMIT, 1, {{0x1000, 0x6000, RAM}}},
	{"a range within another",
	 2, {{0x2000, 0x3000, RAM}, {0x1000, 0x6000, RAM}},
	 LIMIT, 1, {{0x1000, 0x6000, RAM}}},
	{"a hole in the middle",
	 2, {{0x1000, 0x9000, RAM}, {0x4000, 0x5000, HOLE}},
	 LIMIT, 2, {{0x1000, 0x4000, RAM}, {0x5000, 0x9000, RAM}}},
	{"unusable wins, whichever comes first",
	 3, {{0x1000, 0x3000, HOLE}, {0x1000, 0x4000, RAM}, {0x2000, 0x3000, HOLE}},
	 LIMIT, 1, {{0x3000, 0x4000, RAM}}},
	{"unusable throughout",
	 2, {{0x2000, 0x4000, RAM}, {0x1000, 0x5000, HOLE}},
	 LIMIT, 0, {{0}}},
	{"a hole over a boundary of two ranges",
	 3, {{0x1000, 0x4000, RAM}, {0x4000, 0x8000, RAM}, {0x3000, 0x5000, HOLE}},
	 LIMIT, 2, {{0x1000, 0x3000, RAM}, {0x5000, 0x8000, RAM}}},
	{"partial pages at both ends",
	 1, {{0x1001, 0x4fff, RAM}},
	 LIMIT, 1, {{0x2000, 0x4000, RAM}}},
	{"less than a page",
	 1, {{0x1001, 0x1fff, RAM}},
	 LIMIT, 0, {{0}}},
	{"less than two pages, and no whole one",
	 1, {{0x1001, 0x2fff, RAM}},
	 LIMIT, 0, {{0}}},
	{"two ranges make a whole page",
	 2, {{0x1800, 0x3000, RAM}, {0x1000, 0x1800, RAM}},
	 LIMIT, 1, {{0x1000, 0x3000, RAM}}},
	{"two ranges with a byte missing do not",
	 2, {{0x1000, 0x17ff, RAM}, {0x1800, 0x3000, RAM}},
	 LIMIT, 1, {{0x2000, 0x3000, RAM}}},
	{"one byte of a hole costs its page",
	 2, {{0x1000, 0x4000, RAM}, {0x2fff, 0x3000, HOLE}},
	 LIMIT, 2, {{0x1000, 0x2000, RAM}, {0x3000, 0x4000, RAM}}},
	{"empty ranges",
	 4, {{0x3000, 0x3000, RAM}, {0x1000, 0x5000, RAM}, {0x2000, 0x2000, HOLE}, {0, 0, HOLE}},
	 LIMIT, 1, {{0x1000, 0x5000, RAM}}},
	{"a wrapping usable range is ignored",
	 2, {{0x8000, 0x2000, RAM}, {0x1000, 0x5000, RAM}},
	 LIMIT, 1, {{0x1000, 0x5000, RAM}}},
	{"a wrapping unusable range reaches to the top",
	 2, {{0x1000, 0x9000, RAM}, {0x8000, 0x2000, HOLE}},
	 LIMIT, 1, {{0x1000, 0x8000, RAM}}},
	{"an unusable range that ends at 2^64",
	 2, {{0x1000, 0x9000, RAM}, {0x4000, 0, HOLE}},
	 NOWRAP, 1, {{0x1000, 0x4000, RAM}}},
	{"up to the last byte but one of the address space",
	 1, {{0xfffffffffffec000, UINT64_MAX, RAM}},
	 NOWRAP, 1, {{0xfffffffffffec000, 0xfffffffffffff000, RAM}}},
	{"a start in the very last page",
	 1, {{0xfffffffffffff001, UINT64_MAX, RAM}},
	 NOWRAP, 0, {{0}}},
	{"the limit in the middle of a range",
	 2, {{0x1000, 0x9000, RAM}, {0x9000, 0xa000, RAM}},
	 0x5000, 1, {{0x1000, 0x5000, RAM}}},
	{"the limit between ranges",
	 2, {{0x1000, 0x3000, RAM}, {0x8000, 0xa000, RAM}},
	 0x5000, 1, {{0x1000, 0x3000, RAM}}},
	{"an unaligned limit",
	 1, {{0x1000, 0x9000, RAM}},
	 0x5fff, 1, {{0x1000, 0x5000, RAM}}},
	{"a limit of 0",
	 1, {{0, 0x9000, RAM}},
	 0, 0, {{0}}},
	{"a limit at a hole",
	 3, {{0x1000, 0x9000, RAM}, {0x4000, 0x6000, HOLE}, {0x8000, 0, HOLE}},
	 0x5000, 1, {{0x1000, 0x4000, RAM}}},
	/* QEMU's pc machine with 256 MiB, SeaBIOS. */
	{"a PC's map",
	 7, {{0, 0x9fc00, RAM}, {0x9fc00, 0xa0000, HOLE}, {0xf0000, 0x100000, HOLE}, {0x100000, 0xffe0000, RAM},
	  {0xffe0000, 0x10000000, HOLE}, {0xfffc0000, 0x100000000, HOLE}, {0xfd00000000, 0x10000000000, HOLE}},
	 LIMIT, 2, {{0, 0x9f000, RAM}, {0x100000, 0xffe0000, RAM}}},
};
/* clang-format on */

static bool same_range(const struct phys_range *left, const struct phys_range *right)
{
	return left->start == right->start && left->end == right->end && left->usable == right->usable;
}

static void run_case(const struct memmap_case *c)
{
	struct phys_range out[MAX_RANGES];

	test_case(c->name);
	if (!CHECK_EQ(memmap_normalize(c->in, c->in_count, c->limit, out, MAX_RANGES), c->out_count))
		return;
	for (size_t i = 0; i < c->out_count; i++) {
		CHECK_EQ(out[i].start, c->out[i].start);
		CHECK_EQ(out[i].end, c->out[i].end);
		CHECK(out[i].usable);
	}
}

static void output_overflow(void)
{
	static const struct phys_range in[] = {
		{0x5000, 0x6000, RAM}, {0x1000, 0x2000, RAM}, {0x3000, 0x4000, RAM}};
	struct phys_range out[3] = {{0}};

	test_case("more ranges than the output has room for");
	CHECK_EQ(memmap_normalize(in, 3, LIMIT, out, 2), -ENOSPC);
	CHECK(out[0].start == 0x1000 && out[1].start == 0x3000 && out[1].end == 0x4000);
	CHECK_EQ(out[2].end, 0);
	CHECK_EQ(memmap_normalize(in, 3, LIMIT, NULL, 0), -ENOSPC);
	CHECK_EQ(memmap_normalize(in, 0, LIMIT, NULL, 0), 0);
	CHECK_EQ(memmap_normalize(in, 3, LIMIT, out, 3), 3);
}

/* ---- Random maps ------------------------------------------------------------------------------- */

#define UNIT         512u
#define MODEL_UNITS  1024u
#define PAGE_UNITS   (PAGE_SIZE / UNIT)
#define MODEL_PAGES  (MODEL_UNITS / PAGE_UNITS)
#define RANDOM_MAPS  2000u
#define RANDOM_COUNT 12u

static uint64_t random_state;

/* xorshift64: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003. */
static uint64_t random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % bound;
}

static void random_map(struct phys_range *map, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		map[i].usable = random_below(3) != 0;
		map[i].start = random_below(MODEL_UNITS) * UNIT;
		if (random_below(2))
			map[i].start = page_round_down(map[i].start);
		map[i].end = random_below(8) ? map[i].start + random_below(200) * UNIT
					     : random_below(MODEL_UNITS) * UNIT;
	}
}

/* Marks the units that ranges of one kind cover. */
static void model_mark(bool *units, const struct phys_range *map, size_t count, bool usable)
{
	for (size_t i = 0; i < count; i++) {
		bool wraps = map[i].end < map[i].start;
		uint64_t end = wraps ? MODEL_UNITS : map[i].end / UNIT;
		if (map[i].usable != usable || (wraps && usable))
			continue;
		for (uint64_t unit = map[i].start / UNIT; unit < end && unit < MODEL_UNITS; unit++)
			units[unit] = usable;
	}
}

static size_t model_normalize(const struct phys_range *map, size_t count, paddr_t limit,
			      struct phys_range *out)
{
	static bool units[MODEL_UNITS];
	size_t found = 0;

	memset(units, 0, sizeof(units));
	model_mark(units, map, count, true);
	model_mark(units, map, count, false);
	for (uint64_t page = 0; page < MODEL_PAGES; page++) {
		paddr_t start = pages_to_bytes(page), end = pages_to_bytes(page + 1);
		bool whole = end <= limit;
		for (uint64_t unit = 0; unit < PAGE_UNITS; unit++)
			whole = whole && units[page * PAGE_UNITS + unit];
		if (!whole)
			continue;
		if (found > 0 && out[found - 1].end == start)
			out[found - 1].end = end;
		else
			out[found++] = (struct phys_range){start, end, RAM};
	}
	return found;
}

static bool random_map_agrees(void)
{
	static struct phys_range expected[MODEL_PAGES], out[MODEL_PAGES];
	struct phys_range in[RANDOM_COUNT], copy[RANDOM_COUNT];
	size_t count = random_below(RANDOM_COUNT + 1);
	paddr_t limit = (random_below(3) ? MODEL_UNITS : random_below(MODEL_UNITS + 1)) * UNIT;

	random_map(in, count);
	memcpy(copy, in, sizeof(in));
	size_t found = model_normalize(in, count, limit, expected);
	if (!CHECK_EQ(memmap_normalize(in, count, limit, out, MODEL_PAGES), found))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!CHECK(same_range(&in[i], &copy[i])))
			return false;
	}
	for (size_t i = 0; i < found; i++) {
		if (!CHECK(same_range(&out[i], &expected[i])))
			return false;
	}
	return true;
}

static void random_maps(void)
{
	test_case("random maps agree with the model");
	random_state = 20231122;
	for (unsigned i = 0; i < RANDOM_MAPS; i++) {
		if (!random_map_agrees()) {
			test_print("# in random map %u", i);
			return;
		}
	}
}

void suite_memmap(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_case(&cases[i]);
	output_overflow();
	random_maps();
}
