/*
 * Benchmarks of memory calls, page faults and processes: a line "NAME <tab> UNIT <tab> VALUE" for each; VALUE is
 * "not available" where the system lacks what a case needs.
 *
 * A value is a difference of the clock divided by what was done: under QEMU's -icount shift=0 the clock
 * advances one nanosecond for each instruction, so that it is a number of instructions. The least of
 * ROUNDS rounds counts. bench/run runs it and compares; names and cases are those of bench/linux-6.1.tsv.
 * The arguments choose cases by the beginnings of their names; none: all. Here are the cases of one process and its memory; the
 * others are in bench/process.c and bench/swap.c, how it is measured in bench/measure.c.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS       2000
#define SMALL_PAGES 16ul
#define SMALL_BYTES (SMALL_PAGES * PAGE) /* 64 KiB */
#define FLIP_PAGES  64ul
#define FLIP_BYTES  (FLIP_PAGES * PAGE)
#define SPLIT_PAGE  16ul
#define MOVE_PAGES  4096ul
#define MOVE_BYTES  (MOVE_PAGES * PAGE)
#define GROW_STEPS  64ul
#define MAX_SCATTER 1000ul
#define PROTECTS    500ul

static uint32_t order[FAULT_PAGES];
static unsigned char resident[FAULT_PAGES];

/* A fixed shuffle (Fisher and Yates, with a linear congruential generator). */
static void shuffle(size_t count)
{
	uint64_t state = 12345;

	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t other;
		uint32_t held = order[i];

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		other = (state >> 33) % (i + 1);
		order[i] = order[other];
		order[other] = held;
	}
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static void bench_getppid(void)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < CALLS; i++)
			getppid();
		stop(&measure);
	}
	report("syscall_getppid", "instructions", &measure, CALLS);
}

static void bench_clock_gettime(void)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < CALLS; i++)
			now();
		stop(&measure);
	}
	report("clock_gettime", "instructions", &measure, CALLS);
}

static void bench_sched_yield(void)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < CALLS; i++)
			syscall(SYS_sched_yield);
		stop(&measure);
	}
	report("sched_yield_alone", "instructions", &measure, CALLS);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static void bench_fault_seq(void)
{
	struct measure fault = fresh, touch = fresh, core = fresh, forget = fresh, again = fresh,
		       gone = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map(FAULT_BYTES);

		start(&fault);
		write_pages(memory, FAULT_PAGES);
		stop(&fault);
		start(&touch);
		write_pages(memory, FAULT_PAGES);
		stop(&touch);
		start(&core);
		check(mincore(memory, FAULT_BYTES, resident) == 0, "mincore");
		stop(&core);
		start(&forget);
		check(madvise(memory, FAULT_BYTES, MADV_DONTNEED) == 0, "madvise");
		stop(&forget);
		start(&again);
		write_pages(memory, FAULT_PAGES);
		stop(&again);
		start(&gone);
		unmap(memory, FAULT_BYTES);
		stop(&gone);
	}
	report("fault_demand_zero_seq", "instructions/page", &fault, FAULT_PAGES);
	report("touch_resident_per_page", "instructions/page", &touch, FAULT_PAGES);
	report("mincore_touched", "instructions/page", &core, FAULT_PAGES);
	report("madvise_dontneed_touched", "instructions/page", &forget, FAULT_PAGES);
	report("fault_after_dontneed", "instructions/page", &again, FAULT_PAGES);
	report("munmap_touched", "instructions/page", &gone, FAULT_PAGES);
}

static void bench_fault_rand(void)
{
	struct measure fault = fresh;

	shuffle(FAULT_PAGES);
	for (int round = 0; round < ROUNDS; round++) {
		volatile char *memory = map(FAULT_BYTES);

		start(&fault);
		for (size_t i = 0; i < FAULT_PAGES; i++)
			memory[order[i] * PAGE] = 1;
		stop(&fault);
		unmap((char *)memory, FAULT_BYTES);
	}
	report("fault_demand_zero_rand", "instructions/page", &fault, FAULT_PAGES);
}

static void bench_fault_zeropage(void)
{
	struct measure reads = fresh, writes = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map(FAULT_BYTES);

		start(&reads);
		read_pages(memory, FAULT_PAGES);
		stop(&reads);
		start(&writes);
		write_pages(memory, FAULT_PAGES);
		stop(&writes);
		unmap(memory, FAULT_BYTES);
	}
	report("fault_read_zeropage", "instructions/page", &reads, FAULT_PAGES);
	report("fault_write_after_zeropage", "instructions/page", &writes, FAULT_PAGES);
}

static void bench_populate(void)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		char *memory;

		start(&measure);
		memory = map_as(FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
		stop(&measure);
		unmap(memory, FAULT_BYTES);
	}
	report("mmap_populate_or_thp", "instructions/page", &measure, FAULT_PAGES);
}

static void bench_cluster(void)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map_as(FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE);

		madvise(memory, FAULT_BYTES, MADV_HUGEPAGE);
		start(&measure);
		write_pages(memory, FAULT_PAGES);
		stop(&measure);
		unmap(memory, FAULT_BYTES);
	}
	report("fault_thp_per_4k", "instructions/page", &measure, FAULT_PAGES);
}

static void bench_shared(void)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map_as(FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);

		start(&measure);
		write_pages(memory, FAULT_PAGES);
		stop(&measure);
		unmap(memory, FAULT_BYTES);
	}
	report("fault_shared_anon_first", "instructions/page", &measure, FAULT_PAGES);
}

/* ---- Small mappings --------------------------------------------------------------------------- */

static void measure_pairs(const char *name, const char *unit, size_t bytes, bool touch)
{
	struct measure measure = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < CALLS; i++) {
			char *memory =
				mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (touch)
				write_pages(memory, bytes / PAGE);
			munmap(memory, bytes);
		}
		stop(&measure);
	}
	report(name, unit, &measure, CALLS);
}

static void bench_mmap_munmap(void)
{
	measure_pairs("mmap_munmap_64k_untouched", "instructions/pair", SMALL_BYTES, false);
	measure_pairs("mmap_touch_munmap_64k", "instructions/round", SMALL_BYTES, true);
	measure_pairs("mmap_touch_munmap_4k", "instructions/round", PAGE, true);
}

static void bench_mprotect(void)
{
	struct measure flip = fresh, touch = fresh, split = fresh;
	char *memory = map(FLIP_BYTES);

	write_pages(memory, FLIP_PAGES);
	for (int round = 0; round < ROUNDS; round++) {
		start(&flip);
		for (int i = 0; i < CALLS / 2; i++) {
			mprotect(memory, FLIP_BYTES, PROT_READ);
			mprotect(memory, FLIP_BYTES, PROT_READ | PROT_WRITE);
		}
		stop(&flip);
		start(&touch);
		for (int i = 0; i < CALLS / 4; i++) {
			mprotect(memory, FLIP_BYTES, PROT_READ);
			mprotect(memory, FLIP_BYTES, PROT_READ | PROT_WRITE);
			write_pages(memory, FLIP_PAGES);
		}
		stop(&touch);
		start(&split);
		for (int i = 0; i < CALLS / 2; i++) {
			mprotect(memory + SPLIT_PAGE * PAGE, PAGE, PROT_READ);
			mprotect(memory + SPLIT_PAGE * PAGE, PAGE, PROT_READ | PROT_WRITE);
		}
		stop(&split);
	}
	unmap(memory, FLIP_BYTES);
	report("mprotect_flip_64_touched", "instructions/call", &flip, CALLS);
	report("mprotect_flip_64_then_touch_all", "instructions/round", &touch, CALLS / 4);
	report("mprotect_split_merge_1_of_64", "instructions/call", &split, CALLS);
}

static void bench_brk(void)
{
	struct measure measure = fresh;
	uintptr_t top = (uintptr_t)syscall(SYS_brk, 0);

	top = (top + PAGE - 1) & -PAGE;
	for (int round = 0; round < ROUNDS; round++) {
		start(&measure);
		for (int i = 0; i < CALLS / 4; i++) {
			syscall(SYS_brk, top + SMALL_BYTES);
			write_pages((char *)top, SMALL_PAGES);
			syscall(SYS_brk, top);
		}
		stop(&measure);
	}
	report("brk_grow_shrink_64k", "instructions/pair", &measure, CALLS / 4);
}

static void bench_mremap(void)
{
	struct measure grow = fresh, move = fresh;

	for (int round = 0; round < ROUNDS; round++) {
		char *memory = map(SMALL_BYTES), *target;

		start(&grow);
		for (size_t i = 1; i <= GROW_STEPS && memory != MAP_FAILED; i++)
			memory = mremap(memory, i * SMALL_BYTES, (i + 1) * SMALL_BYTES, MREMAP_MAYMOVE);
		stop(&grow);
		check(memory != MAP_FAILED, "mremap");
		unmap(memory, (GROW_STEPS + 1) * SMALL_BYTES);

		memory = map(MOVE_BYTES);
		target = map(MOVE_BYTES);
		write_pages(memory, MOVE_PAGES);
		start(&move);
		memory = mremap(memory, MOVE_BYTES, MOVE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, target);
		stop(&move);
		check(memory == target, "mremap to a fixed place");
		unmap(target, MOVE_BYTES);
	}
	report("mremap_grow_64k_step", "instructions/call", &grow, GROW_STEPS);
	report("mremap_move_touched", "instructions/page", &move, MOVE_PAGES);
}

/* ---- Many mappings ------------------------------------------------------------------------------ */

static void report_many(size_t count, const char *what, const char *unit, const struct measure *measure,
			uint64_t done)
{
	char name[64];

	snprintf(name, sizeof(name), "vmas_%zu_%s", count, what);
	report(name, unit, measure, done);
}

/* One round with `count` neighbouring mappings of a page with alternating protection; entries of `m` as in bench_many. */
static void many_round(size_t count, size_t scatter, struct measure m[5])
{
	char *memory = map(count * PAGE);

	start(&m[0]);
	for (size_t i = 1; i < count; i += 2)
		mprotect(memory + i * PAGE, PAGE, PROT_READ);
	stop(&m[0]);
	start(&m[1]);
	for (int i = 0; i < CALLS / 10; i++) {
		char *small =
			mmap(NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(small, SMALL_BYTES);
	}
	stop(&m[1]);
	start(&m[2]);
	for (size_t i = 0; i < scatter; i++)
		((volatile char *)memory)[(order[i] & ~1u) * PAGE] = 1;
	stop(&m[2]);
	start(&m[3]);
	for (size_t i = 0; i < PROTECTS; i++) {
		char *page = memory + (order[i % scatter] | 1u) * PAGE;

		mprotect(page, PAGE, i / scatter % 2 ? PROT_READ : PROT_NONE);
	}
	stop(&m[3]);
	start(&m[4]);
	unmap(memory, count * PAGE);
	stop(&m[4]);
}

static void bench_many(size_t count)
{
	struct measure m[5] = {fresh, fresh, fresh, fresh, fresh};
	size_t scatter = count / 2 < MAX_SCATTER ? count / 2 : MAX_SCATTER;

	/* Distinct pairs of pages, far apart from one another in time. */
	shuffle(count / 2);
	for (size_t i = 0; i < scatter; i++)
		order[i] *= 2;
	for (int round = 0; round < ROUNDS; round++)
		many_round(count, scatter, m);
	report_many(count, "create", "instructions/mprotect", &m[0], count / 2);
	report_many(count, "mmap_munmap_64k", "instructions/pair", &m[1], CALLS / 10);
	report_many(count, "fault_scattered", "instructions/fault", &m[2], scatter);
	report_many(count, "mprotect", "instructions/call", &m[3], PROTECTS);
	report_many(count, "munmap_all", "instructions/vma", &m[4], count);
}

static void bench_vmas(void)
{
	static const size_t counts[] = {10, 1000, 10000, 30000};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		bench_many(counts[i]);
}

static const struct {
	const char *name; /* how the names of what it reports begin, or the first of them */
	void (*run)(void);
} benches[] = {
	{"syscall_getppid", bench_getppid},
	{"clock_gettime", bench_clock_gettime},
	{"sched_yield_alone", bench_sched_yield},
	{"fault_demand_zero_seq", bench_fault_seq},
	{"fault_demand_zero_rand", bench_fault_rand},
	{"fault_read_zeropage", bench_fault_zeropage},
	{"mmap_populate_or_thp", bench_populate},
	{"fault_thp_per_4k", bench_cluster},
	{"fault_cow_copy_in_child", bench_cow},
	{"fault_shared_anon_first", bench_shared},
	{"fault_shared_anon_minor", bench_shared_minor},
	{"mmap_munmap_64k_untouched", bench_mmap_munmap},
	{"mprotect_flip_64_touched", bench_mprotect},
	{"brk_grow_shrink_64k", bench_brk},
	{"mremap_grow_64k_step", bench_mremap},
	{"fork_exit_wait_0", bench_fork},
	{"vfork_exit_wait", bench_vfork},
	{"fork_exec_static_exit_wait", bench_exec},
	{"vmas", bench_vmas},
	{"pipe_pingpong_roundtrip", bench_pipe},
	{"file_read_fault_cached", bench_file},
	{"segv_handler_mprotect_fixup", bench_segv},
	{"swap", bench_swap},
};

static bool chosen(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(name, argv[i], strlen(argv[i])) == 0)
			return true;
	}
	return argc < 2;
}

/* Whether each argument chooses something; says what there is, if not. */
static bool all_known(int argc, char **argv)
{
	size_t count = sizeof(benches) / sizeof(benches[0]);

	for (int i = 1; i < argc; i++) {
		size_t known = 0;

		while (known < count && strncmp(benches[known].name, argv[i], strlen(argv[i])) != 0)
			known++;
		if (known < count)
			continue;
		printf("no case begins with \"%s\"; there are (some with more rows than one):\n", argv[i]);
		for (size_t j = 0; j < count; j++)
			printf("  %s\n", benches[j].name);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], DO_NOTHING) == 0)
		return 0;
	if (!all_known(argc, argv))
		return 2;
	own_path = argv[0];
	memset(order, 0, sizeof(order));
	memset(resident, 0, sizeof(resident));
	measure_init();
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		if (chosen(benches[i].name, argc, argv))
			benches[i].run();
	}
	return 0;
}
