/*
 * Programs on the whole VM, and several CPUs in it at once: what single-threaded suites cannot see.
 *
 * Built with the thread sanitizer too. The suites of blobs, maps and faults alone are in
 * tests/suites; the TLB's in suite_tlb.c.
 */
#include "program.h"

#include <errno.h>
#include <kern/test.h>
#include <pthread.h>
#include <vm/layout.h>
#include <vm/page.h>
#include <vm/pmap.h>

#define SPACE  ((vaddr_t)0x10000000)
#define PAGES  48
#define ROUNDS 300

#define RW ((vm_prot_t)(VM_READ | VM_WRITE))

static struct map *root;

/* Maps a blob, or with `copy` a clone of it, at a place in a map. */
static int map_at(struct map *map, vaddr_t at, struct blob *blob, vm_prot_t prot, bool copy)
{
	struct placement place = {.address = at, .flags = PLACE_FIXED};
	struct mapping how = {.prot = prot, .name = "test"};
	pgoff_t pages = bytes_to_pages(blob_size(blob));
	vaddr_t where;

	return copy ? map_blob_private(map, &place, blob, 0, pages, &how, &where)
		    : map_blob(map, &place, blob, 0, pages, &how, &where);
}

/* 0 or the error. */
static int map_new_blob(vaddr_t at, pgoff_t pages, vm_prot_t prot)
{
	struct blob *blob;
	int error = blob_create(pages_to_bytes(pages), 0, &blob);

	if (!error) {
		error = map_at(root, at, blob, prot, false);
		blob_unref(blob);
	}
	return error;
}

/* Runs `body` as CPUs `first` to the last, each on a thread, with its number as the argument. */
static void on_cpus(unsigned first, void *(*body)(void *))
{
	pthread_t threads[SIM_CPUS];

	sim_expect_stale(true);
	for (unsigned cpu = first; cpu < SIM_CPUS; cpu++)
		CHECK_EQ(pthread_create(&threads[cpu], NULL, body, (void *)(uintptr_t)cpu), 0);
	for (unsigned cpu = first; cpu < SIM_CPUS; cpu++) {
		void *wrong;

		pthread_join(threads[cpu], &wrong);
		CHECK_EQ(wrong, 0);
	}
	CHECK_EQ(sim_expect_stale(false), 0);
}

static void test_accesses(void)
{
	char text[] = "across a page's end", found[sizeof text];
	struct placement place = {.address = SPACE + 16 * PAGE_SIZE, .flags = PLACE_FIXED};
	vaddr_t reserved;
	uint64_t word = 1;

	test_case("loads, stores and fetches of a program");
	program_enter(root);
	CHECK_EQ(map_new_blob(SPACE, 4, RW), 0);
	CHECK_EQ(map_new_blob(SPACE + 8 * PAGE_SIZE, 1, VM_READ), 0);
	CHECK_EQ(map_reserve(root, &place, PAGE_SIZE, "reserved", &reserved), 0);
	CHECK_EQ(program_load(root, SPACE, &word, sizeof word), 0);
	CHECK_EQ(word, 0);
	CHECK_EQ(program_store(root, SPACE + PAGE_SIZE - 7, text, sizeof text), 0);
	CHECK_EQ(program_load(root, SPACE + PAGE_SIZE - 7, found, sizeof found), 0);
	CHECK_STR(found, text);
	CHECK_EQ(program_store(root, SPACE + 8 * PAGE_SIZE, &word, sizeof word), -EACCES);
	CHECK_EQ(program_load(root, SPACE + 8 * PAGE_SIZE, &word, sizeof word), 0);
	CHECK_EQ(program_access(root, SPACE, SIM_FETCH, &word, 1), -EACCES);
	CHECK_EQ(program_load(root, reserved, &word, sizeof word), -EFAULT);
	CHECK_EQ(program_load(root, SPACE + 4 * PAGE_SIZE - 4, &word, sizeof word), -EFAULT);
	CHECK_EQ(program_load(root, 0, &word, sizeof word), -EFAULT);
	CHECK_EQ(program_load(root, LAYOUT_PHYSICAL_START, &word, sizeof word), -EFAULT);
	CHECK_EQ(program_load(root, UINT64_MAX / 2, &word, 1), -EFAULT);
	CHECK_EQ(map_unmap(root, SPACE, 32 * PAGE_SIZE), 0);
	program_enter(NULL);
}

/* ---- The same pages, faulted by all --------------------------------------------------------------- */

static vaddr_t own_word(unsigned cpu, unsigned page)
{
	return SPACE + page * PAGE_SIZE + cpu * sizeof(uint64_t);
}

static void *write_own_words(void *argument)
{
	unsigned cpu = (unsigned)(uintptr_t)argument;
	uintptr_t wrong = 0;

	sim_become(cpu);
	program_enter(root);
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t word = cpu + 1;

		wrong += program_store(root, own_word(cpu, (i + cpu / 2) % PAGES), &word, sizeof word) != 0;
	}
	program_enter(NULL);
	return (void *)wrong;
}

static void test_same_pages(void)
{
	uint64_t blob_pages = page_stats().by_state[PAGE_BLOB];

	test_case("CPUs that fault on the same pages get the same pages");
	for (unsigned round = 0; round < 20; round++) {
		CHECK_EQ(map_new_blob(SPACE, PAGES, RW), 0);
		on_cpus(0, write_own_words);
		CHECK_EQ(page_stats().by_state[PAGE_BLOB], blob_pages + PAGES);
		program_enter(root);
		for (unsigned i = 0; i < PAGES * SIM_CPUS; i++) {
			uint64_t word = 0;

			CHECK_EQ(program_load(root, own_word(i % SIM_CPUS, i / SIM_CPUS), &word, sizeof word),
				 0);
			CHECK_EQ(word, i % SIM_CPUS + 1);
		}
		program_enter(NULL);
		CHECK_EQ(map_unmap(root, SPACE, PAGES * PAGE_SIZE), 0);
	}
	CHECK_EQ(page_stats().by_state[PAGE_BLOB], blob_pages);
}

/* ---- Regions that come and go ----------------------------------------------------------------------- */

/* CPU n maps, uses and unmaps a region of its own, and looks into everyone's: a word is 0 or its place. */
static void *come_and_go(void *argument)
{
	unsigned cpu = (unsigned)(uintptr_t)argument;
	vaddr_t own = SPACE + cpu * 4 * PAGE_SIZE;
	uintptr_t wrong = 0;

	sim_become(cpu);
	program_enter(root);
	for (unsigned n = 0; n < ROUNDS; n++) {
		vaddr_t other = SPACE + (n % (4 * SIM_CPUS)) * PAGE_SIZE, at = own + n % 4 * PAGE_SIZE;
		uint64_t word;
		int error;

		if (n % 8 == 0)
			wrong += map_new_blob(own, 4, RW) != 0;
		wrong += program_store(root, at, &at, sizeof at) != 0;
		error = program_load(root, other, &word, sizeof word);
		wrong += error ? error != -EFAULT : word != 0 && word != other;
		wrong += program_load(root, at, &word, sizeof word) != 0 || word != at;
		if (n % 8 == 7)
			wrong += map_unmap(root, own, 4 * PAGE_SIZE) != 0;
	}
	map_unmap(root, own, 4 * PAGE_SIZE);
	program_enter(NULL);
	return (void *)wrong;
}

static void test_come_and_go(void)
{
	test_case("regions come and go under the eyes of other CPUs");
	on_cpus(0, come_and_go);
}

/* ---- Copies of what is being written ----------------------------------------------------------------- */

#define COUNTER_PAGES 3 /* for each CPU; its counter is in the first and the last of them */

static vaddr_t counter(unsigned cpu, bool second)
{
	return SPACE + (cpu * COUNTER_PAGES + (second ? COUNTER_PAGES - 1 : 0)) * PAGE_SIZE;
}

static _Atomic bool stop_counting;

static struct blob *counters;

/* Counts in two pages, the first always first. */
static void *count(void *argument)
{
	unsigned cpu = (unsigned)(uintptr_t)argument;
	uintptr_t wrong = 0;

	sim_become(cpu);
	program_enter(root);
	for (uint64_t n = 1; !stop_counting; n++) {
		wrong += program_store(root, counter(cpu, false), &n, sizeof n) != 0;
		wrong += program_store(root, counter(cpu, true), &n, sizeof n) != 0;
	}
	program_enter(NULL);
	return (void *)wrong;
}

static void *copy_and_compare(void *argument)
{
	uintptr_t wrong = 0;

	sim_become((unsigned)(uintptr_t)argument);
	for (unsigned n = 0; n < ROUNDS / 4; n++) {
		struct map *copy;

		if (map_create_root("copy", &copy) != 0)
			return (void *)1;
		wrong += map_at(copy, SPACE, counters, RW, true) != 0;
		program_enter(copy);
		for (unsigned cpu = 1; cpu < SIM_CPUS; cpu++) {
			uint64_t first = 0, second = 0, again = 0, mine = n;

			wrong += program_load(copy, counter(cpu, false), &first, sizeof first) != 0;
			wrong += program_load(copy, counter(cpu, true), &second, sizeof second) != 0;
			wrong += first != second && first != second + 1;
			wrong += program_load(copy, counter(cpu, false), &again, sizeof again) != 0;
			wrong += again != first;
			wrong += program_store(copy, counter(cpu, true), &mine, sizeof mine) != 0;
			wrong += program_load(copy, counter(cpu, true), &again, sizeof again) != 0;
			wrong += again != mine;
		}
		program_enter(NULL);
		map_unref(copy);
	}
	stop_counting = true;
	return (void *)wrong;
}

static void *count_or_copy(void *argument)
{
	return argument ? count(argument) : copy_and_compare(argument);
}

static void test_copies(void)
{
	uint64_t blob_pages = page_stats().by_state[PAGE_BLOB];

	test_case("a copy is of one moment, while other CPUs write");
	CHECK_EQ(blob_create(SIM_CPUS * COUNTER_PAGES * PAGE_SIZE, 0, &counters), 0);
	CHECK_EQ(map_at(root, SPACE, counters, RW, false), 0);
	stop_counting = false;
	on_cpus(0, count_or_copy);
	CHECK_EQ(map_unmap(root, SPACE, SIM_CPUS * COUNTER_PAGES * PAGE_SIZE), 0);
	blob_unref(counters);
	CHECK_EQ(page_stats().by_state[PAGE_BLOB], blob_pages);
}

void suite_program(void)
{
	CHECK_EQ(map_create_root("test", &root), 0);
	test_accesses();
	test_same_pages();
	test_come_and_go();
	test_copies();
	map_unref(root);
}
