/*
 * Scale: what operations cost, in counted instructions (count.h), where there is much of something, against what they
 * cost where there is little. A benchmark with bars rather than a test: only run by name, on a machine with 5 GiB of
 * RAM; bench/run runs it on the host and in the kernel.
 *
 * Each row is a remark: what, of how many, value, unit, ratio to the row of the few, bar, and whether it is met; a
 * bar that is missed is also a failed check. Million-page blobs are really resident, but as nobody clears or
 * touches their pages' contents, the machine underneath need not have the RAM.
 */
#include "count.h"
#include "vm_suite.h"

void suite_scale(void);

#define THOUSAND 1000ul
#define MILLION  1000000ul
#define GIB      ((uint64_t)1 << 30)

#define INSTRUCTIONS "instructions"

#define RAM_NEEDED (4 * GIB + GIB / 2)

/* ---- Rows -------------------------------------------------------------------------------------- */

#define HUNDRED 100ul /* a ratio's unit */

static void print_row(const char *what, uint64_t n, uint64_t value, const char *unit, const char *ratio,
		      const char *bar, const char *verdict)
{
	test_print("# %-36s %9lu %9lu %-12s %8s %8s  %s", what, n, value, unit, ratio, bar, verdict);
}

/* A value that others are measured by, or that is only told. */
static void report(const char *what, uint64_t n, uint64_t value, const char *unit)
{
	print_row(what, n, value, unit, "", "", "");
}

/* A value that may be at most `bar` hundredths of `base`. */
static void report_ratio(const char *what, uint64_t n, uint64_t value, const char *unit, uint64_t base,
			 uint64_t bar)
{
	bool met = CHECK(value * HUNDRED <= base * bar);
	uint64_t ratio = base ? value * HUNDRED / base : 0;
	char ratio_text[16], bar_text[16];

	env_format(ratio_text, sizeof(ratio_text), "%lu.%02lux", ratio / HUNDRED, ratio % HUNDRED);
	env_format(bar_text, sizeof(bar_text), "%lu.%02lux", bar / HUNDRED, bar % HUNDRED);
	print_row(what, n, value, unit, ratio_text, bar_text, met ? "ok" : "FAILED");
}

/* A value that may be at most `bar`. */
static void report_most(const char *what, uint64_t n, uint64_t value, const char *unit, uint64_t bar)
{
	bool met = CHECK(value <= bar);
	char bar_text[16];

	env_format(bar_text, sizeof(bar_text), "%lu", bar);
	print_row(what, n, value, unit, "", bar_text, met ? "ok" : "FAILED");
}

/* ---- Where it happens --------------------------------------------------------------------------- */

static struct map *root, *arena;
static struct rng rng;

static bool open_arena(uint64_t size_bytes)
{
	root = space_open("scale");
	return root && CHECK_EQ(map_create_arena(root, size_bytes, &arena), 0);
}

static bool has_ram(void)
{
	return CHECK(pages_to_bytes(page_stats().free_pages) >= RAM_NEEDED);
}

/* ---- A map of many entries ------------------------------------------------------------------------ */

/*
 * Entries of a page each, with gaps of 3 between; only that before the last has more, where alone a piece of
 * WANTED_PAGES has room. All show pages of one blob, and no two neighbours pages that follow one another.
 */
#define STRIDE_PAGES 4ul
#define WANTED_PAGES 4ul
#define INSERT_PAGE  2ul /* of a stride: in the middle of the gap */
#define SHOWN_PAGES  (1ul << 20)
#define SHOWN_STEP   7919ul
#define ARENA_BYTES  (32 * GIB)
#define SAMPLES      128u
#define ENTRIES_BAR  300ul

enum entry_cost { COST_LOOKUP, COST_SEARCH, COST_INSERT, COST_REMOVE, ENTRY_COSTS };
static const char *const entry_cost_names[ENTRY_COSTS] = {
	"map: look up an entry",
	"map: find the only gap and reserve it",
	"map: insert an entry",
	"map: remove an entry",
};

static vaddr_t entry_address(uint64_t i, uint64_t n)
{
	vaddr_t plain = map_start(arena) + pages_to_bytes(i * STRIDE_PAGES);

	return i == n - 1 ? plain + pages_to_bytes(WANTED_PAGES) : plain;
}

static int insert_page(struct blob *blob, vaddr_t address, uint64_t i)
{
	struct mapping how = {.prot = RW, .name = "entry"};
	struct placement place = fixed_at(address);
	vaddr_t out;

	return map_blob(arena, &place, blob, i * SHOWN_STEP % SHOWN_PAGES, 1, &how, &out);
}

static bool fill_arena(uint64_t n)
{
	struct blob *blob = make_blob(SHOWN_PAGES);
	int error = blob ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < n && !error; i++)
		error = insert_page(blob, entry_address(i, n), i);
	/* As of a program's memory: only the entries hold it. */
	if (blob)
		blob_unref(blob);
	return CHECK_EQ(error, 0);
}

static void sample_entry(uint64_t n, uint64_t costs[ENTRY_COSTS])
{
	const struct placement anywhere = {0};
	uint64_t i = rng_below(&rng, n);
	vaddr_t address = entry_address(i, n);
	vaddr_t between = address + pages_to_bytes(INSERT_PAGE);
	struct lookup found;
	vaddr_t gap;
	int error;

	count_start();
	error = map_lookup(arena, address, &found);
	costs[COST_LOOKUP] += count_stop();
	if (!CHECK_EQ(error, 0))
		return;
	CHECK_EQ(found.offset, i * SHOWN_STEP % SHOWN_PAGES);

	count_start();
	error = map_reserve(arena, &anywhere, pages_to_bytes(WANTED_PAGES), "gap", &gap);
	costs[COST_SEARCH] += count_stop();
	if (CHECK_EQ(error, 0)) {
		CHECK_EQ(gap, entry_address(n - 2, n) + PAGE_SIZE);
		CHECK_EQ(map_unmap(arena, gap, pages_to_bytes(WANTED_PAGES)), 0);
	}

	count_start();
	error = insert_page(found.blob, between, i + 1);
	costs[COST_INSERT] += count_stop();
	CHECK_EQ(error, 0);
	blob_unref(found.blob);

	count_start();
	error = map_unmap(arena, between, PAGE_SIZE);
	costs[COST_REMOVE] += count_stop();
	CHECK_EQ(error, 0);
}

static void measure_entries(uint64_t n, uint64_t costs[ENTRY_COSTS])
{
	memset(costs, 0, ENTRY_COSTS * sizeof(costs[0]));
	if (!open_arena(ARENA_BYTES))
		return;
	if (fill_arena(n)) {
		for (unsigned i = 0; i < SAMPLES; i++)
			sample_entry(n, costs);
	}
	space_close(root);
	for (unsigned i = 0; i < ENTRY_COSTS; i++)
		costs[i] /= SAMPLES;
}

static void many_entries(void)
{
	uint64_t few[ENTRY_COSTS], many[ENTRY_COSTS];

	test_case("a map of 1,000,000 entries");
	measure_entries(THOUSAND, few);
	measure_entries(MILLION, many);
	for (unsigned i = 0; i < ENTRY_COSTS; i++) {
		report(entry_cost_names[i], THOUSAND, few[i], INSTRUCTIONS);
		report_ratio(entry_cost_names[i], MILLION, many[i], INSTRUCTIONS, few[i], ENTRIES_BAR);
	}
}

/* ---- A sparse blob ---------------------------------------------------------------------------------- */

#define SPARSE_PAGES ((pgoff_t)1 << 28) /* 2^40 bytes */
#define METADATA_BAR PAGE_SIZE

/* Pages in use that are not contents. */
static uint64_t metadata_pages(void)
{
	struct page_stats now = page_stats();

	return now.ram_pages - now.free_pages - now.by_state[PAGE_BLOB];
}

/* Touches pages at random, or as far from one another as can be, and reports the metadata for each. */
static void sparse_blob(const char *what, uint64_t n, bool at_random)
{
	uint64_t before = metadata_pages(), contents = blob_pages_now();
	struct blob *blob = make_blob(SPARSE_PAGES);

	if (!blob)
		return;
	for (uint64_t i = 0; i < n; i++)
		put_word(blob, at_random ? rng_below(&rng, SPARSE_PAGES) : i * (SPARSE_PAGES / n), i + 1);
	n = blob_pages_now() - contents;
	report_most(what, n, pages_to_bytes(metadata_pages() - before) / n, "bytes/page", METADATA_BAR);
	blob_unref(blob);
}

static void sparse(void)
{
	test_case("a blob of 2^40 bytes, touched here and there");
	sparse_blob("2^40-byte blob: metadata, at random", THOUSAND, true);
	sparse_blob("2^40-byte blob: metadata, far apart", THOUSAND, false);
}

/* ---- Clones ------------------------------------------------------------------------------------------- */

#define CLONE_BAR 200ul

enum clone_cost { COST_CLONE, COST_CLONE_MAPPED, COST_DROP, COST_FORK, CLONE_COSTS };
static const char *const clone_cost_names[CLONE_COSTS] = {
	"blob_clone: resident pages",
	"blob_clone: resident and mapped",
	"blob_unref of the clone",
	"map_clone: resident and mapped",
};

/* A blob with all its pages in memory, whose contents nobody has touched. */
static struct blob *make_resident(pgoff_t pages)
{
	struct blob *blob;

	if (!CHECK_EQ(blob_create(pages_to_bytes(pages), BLOB_UNZEROED, &blob), 0))
		return NULL;
	if (CHECK_EQ(blob_commit(blob, 0, pages), 0) && CHECK_EQ(blob_resident(blob, 0, pages), pages))
		return blob;
	blob_unref(blob);
	return NULL;
}

/* Makes every page of [start, ...) writable in the page tables. */
static void touch_all(vaddr_t start, pgoff_t pages)
{
	for (pgoff_t i = 0; i < pages; i++) {
		struct fault_result result;

		if (!CHECK_EQ(vm_fault(root, start + pages_to_bytes(i), VM_WRITE, &result), 0))
			return;
	}
}

/* Clones all of the blob, and drops the clone. */
static uint64_t clone_once(struct blob *blob, uint64_t *drop)
{
	struct blob *clone;
	uint64_t cost;
	int error;

	count_start();
	error = blob_clone(blob, 0, blob_size(blob) >> PAGE_SHIFT, &clone);
	cost = count_stop();
	if (!CHECK_EQ(error, 0))
		return 0;
	count_start();
	blob_unref(clone);
	*drop = count_stop();
	return cost;
}

static uint64_t fork_once(void)
{
	struct map *child;
	uint64_t cost;
	int error;

	count_start();
	error = map_clone(root, "child", &child);
	cost = count_stop();
	if (!CHECK_EQ(error, 0))
		return 0;
	map_unref(child);
	return cost;
}

static void measure_clones(pgoff_t pages, uint64_t costs[CLONE_COSTS])
{
	struct blob *blob;
	vaddr_t start;

	memset(costs, 0, CLONE_COSTS * sizeof(costs[0]));
	if (!open_arena(ARENA_BYTES))
		return;
	blob = make_resident(pages);
	if (blob) {
		/* Once in vain: the slab caches have what they need. */
		clone_once(blob, &costs[COST_DROP]);
		fork_once();
		costs[COST_CLONE] = clone_once(blob, &costs[COST_DROP]);
		start = map_start(arena);
		map_all_at(arena, start, blob);
		touch_all(start, pages);
		costs[COST_CLONE_MAPPED] = clone_once(blob, &costs[COST_DROP]);
		touch_all(start, pages);
		costs[COST_FORK] = fork_once();
		blob_unref(blob);
	}
	space_close(root);
}

static void clones(void)
{
	static const pgoff_t sizes[] = {1, THOUSAND, MILLION};
	enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
	uint64_t costs[SIZES][CLONE_COSTS];

	test_case("clones of 1,000,000 resident pages");
	if (!has_ram())
		return;
	for (unsigned size = 0; size < SIZES; size++)
		measure_clones(sizes[size], costs[size]);
	for (unsigned i = 0; i < CLONE_COSTS; i++) {
		report(clone_cost_names[i], sizes[0], costs[0][i], INSTRUCTIONS);
		for (unsigned size = 1; size < SIZES; size++)
			report_ratio(clone_cost_names[i], sizes[size], costs[size][i], INSTRUCTIONS,
				     costs[0][i], CLONE_BAR);
	}
}

/* ---- A fork of many mappings -------------------------------------------------------------------------- */

#define FORK_BAR 150ul

/* Private mappings, each of a blob of its own with a page that the program has written to. */
static bool map_private_ones(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		vaddr_t address = map_start(arena) + pages_to_bytes(i * STRIDE_PAGES);
		struct blob *blob = make_blob(SHOWN_PAGES);

		if (!blob)
			return false;
		{
			const struct mapping how = {.prot = RW, .name = "private"};
			struct placement place = fixed_at(address);
			vaddr_t at;
			int error = map_blob(arena, &place, blob, 0, 1, &how, &at);

			blob_unref(blob);
			if (!CHECK_EQ(error, 0))
				return false;
		}
		touch_all(address, 1);
	}
	return true;
}

/* What a fork of so many mappings costs for each. */
static uint64_t measure_fork(uint64_t n)
{
	uint64_t cost = 0;

	if (open_arena(ARENA_BYTES) && map_private_ones(n)) {
		/* Once in vain: the slab caches have what they need, and what was writable is so again. */
		fork_once();
		for (uint64_t i = 0; i < n; i++)
			touch_all(map_start(arena) + pages_to_bytes(i * STRIDE_PAGES), 1);
		cost = fork_once() / n;
	}
	space_close(root);
	return cost;
}

static void forks(void)
{
	const char *what = "map_clone: each private mapping";
	uint64_t few;

	test_case("a fork of 1000 private mappings costs so much for each as one of 100");
	few = measure_fork(HUNDRED);
	report(what, HUNDRED, few, INSTRUCTIONS);
	report_ratio(what, THOUSAND, measure_fork(THOUSAND), INSTRUCTIONS, few, FORK_BAR);
}

/* ---- Generations ---------------------------------------------------------------------------------------- */

#define GENERATIONS      10000u
#define GENERATION_PAGES 10000ul
#define WINDOW           32u /* generations whose mean counts */
#define FAULT_BAR        110ul
#define MEMORY_BAR       100ul

/* Clones the blob that is mapped at `start`, maps the clone there instead, writes to a page, drops the old. */
static bool next_generation(struct blob **blob, vaddr_t start, bool counted, uint64_t *cost)
{
	vaddr_t address = start + pages_to_bytes(rng_below(&rng, GENERATION_PAGES));
	struct mapping how = {.prot = RW, .name = "generation"};
	struct placement place = replace_at(start);
	struct fault_result result;
	struct blob *clone;
	int error;

	if (!CHECK_EQ(blob_clone(*blob, 0, GENERATION_PAGES, &clone), 0))
		return false;
	if (!CHECK_EQ(map_blob(arena, &place, clone, 0, GENERATION_PAGES, &how, &start), 0))
		return false;
	if (counted)
		count_start();
	error = vm_fault(root, address, VM_WRITE, &result);
	if (counted)
		*cost += count_stop();
	blob_unref(*blob);
	*blob = clone;
	return CHECK_EQ(error, 0) && CHECK_EQ(result.outcome, FAULT_COPY);
}

/* After the generations from `first` on: what a fault costs in them, and what memory they leave in use. */
static struct footprint measure_window(struct blob **blob, unsigned first, unsigned *done, uint64_t *cost)
{
	bool good = true;

	*cost = 0;
	while (good && *done < first - 1 + WINDOW) {
		(*done)++;
		good = next_generation(blob, map_start(arena), *done >= first, cost);
	}
	*cost /= WINDOW;
	return footprint_now();
}

static void generations(void)
{
	static const unsigned firsts[] = {1, 100, GENERATIONS - WINDOW + 1};
	enum { WINDOWS = sizeof(firsts) / sizeof(firsts[0]) };
	uint64_t costs[WINDOWS], used[WINDOWS];
	struct footprint memory[WINDOWS];
	struct blob *blob;
	unsigned done = 0;

	test_case("10,000 generations of clones");
	if (!open_arena(ARENA_BYTES))
		return;
	blob = make_resident(GENERATION_PAGES);
	if (blob) {
		for (unsigned i = 0; i < WINDOWS; i++) {
			memory[i] = measure_window(&blob, firsts[i], &done, &costs[i]);
			used[i] = page_stats().ram_pages - memory[i].pages;
			CHECK_EQ(memory[i].objects, memory[0].objects);
		}
		CHECK_EQ(done, GENERATIONS);
		blob_unref(blob);
		for (unsigned i = 0; i < WINDOWS; i++)
			report_ratio("generations: a fault that copies", i ? firsts[i] : 1, costs[i],
				     INSTRUCTIONS, costs[0], FAULT_BAR);
		for (unsigned i = 0; i < WINDOWS; i++)
			report_ratio("generations: pages in use after", firsts[i] + WINDOW - 1, used[i],
				     "pages", used[0], MEMORY_BAR);
	}
	space_close(root);
}

void suite_scale(void)
{
	rng.state = 1;
	many_entries();
	sparse();
	clones();
	forks();
	generations();
}
