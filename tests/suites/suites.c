/*
 * The list of self-test suites. One line adds a suite: SUITE(name) for a function suite_NAME().
 *
 * The functions are weak references, so that the same list serves the kernel, which has all of
 * them, and the host, which has those that need no hardware: a missing one is skipped.
 */
#include <kern/test.h>

#define SUITES(SUITE)         \
	SUITE(mmu)            \
	SUITE(memmap)         \
	SUITE(page)           \
	SUITE(page_layouts)   \
	SUITE(slab)           \
	SUITE(pmap)           \
	SUITE(tlb)            \
	SUITE(avl)            \
	SUITE(tree)           \
	SUITE(blob)           \
	SUITE(entity)         \
	SUITE(map)            \
	SUITE(resize)         \
	SUITE(map_model)      \
	SUITE(fault)          \
	SUITE(zero_page)      \
	SUITE(sharing)        \
	SUITE(populate)       \
	SUITE(clone)          \
	SUITE(explain)        \
	SUITE(extent)         \
	SUITE(overlay)        \
	SUITE(grow)           \
	SUITE(label)          \
	SUITE(space)          \
	SUITE(paging)         \
	SUITE(paging_maps)    \
	SUITE(wire)           \
	SUITE(content)        \
	SUITE(paging_corners) \
	SUITE(swap)           \
	SUITE(reclaim)        \
	SUITE(cache)          \
	SUITE(bad_input)      \
	SUITE(no_memory)      \
	SUITE(corners)        \
	SUITE(gaps)           \
	SUITE(check)          \
	SUITE(kmem)           \
	SUITE(program)        \
	SUITE(races)          \
	SUITE(paging_races)   \
	SUITE(stream)         \
	SUITE(cpu)            \
	SUITE(serial)         \
	SUITE(block)          \
	SUITE(usercopy)       \
	SUITE(time)           \
	SUITE(sched)          \
	SUITE(elf)            \
	SUITE(files)          \
	SUITE(process)

#define DECLARE_SUITE(suite) void suite_##suite(void) __attribute__((weak));
SUITES(DECLARE_SUITE)

/* Run only by name: one takes long, and 5 GiB of RAM; one is for disks with faults; the others end the system, on purpose. */
void suite_scale(void) __attribute__((weak));
void suite_block_faults(void) __attribute__((weak));
void suite_panic(void) __attribute__((weak));
void suite_stack_overflow(void) __attribute__((weak));

#define LIST_SUITE(suite) {#suite, suite_##suite, false},
const struct test_suite test_suites[] = {
	SUITES(LIST_SUITE){"scale", suite_scale, true},
	{"block_faults", suite_block_faults, true},
	{"panic", suite_panic, true},
	{"stack-overflow", suite_stack_overflow, true},
};
const size_t test_suite_count = sizeof test_suites / sizeof test_suites[0];
