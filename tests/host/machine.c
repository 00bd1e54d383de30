/*
 * The simulated machine around the CPUs: RAM, the tables that the kernel boots with, the allocator's
 * start; and what watches and disturbs it: pages freed too early, allocations made to fail.
 *
 * The CPUs are in mmu.c. The linker sends calls of the allocator's functions from other files through the
 * __wrap_ functions below (ld's --wrap), so that nothing of this shows in the code under test.
 */
#include "machine_internal.h"

#include <kern/test.h>
#include <pmap_internal.h>
#include <vm/page.h>
#include <vm/slab.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Tables are put here at boot; the rest of RAM below FREE_START is reserved, as on a PC. */
#define TABLES_START ((paddr_t)0x1000)
#define FREE_START   ((paddr_t)0x100000)

#define KERNEL_LINK (PTE_PRESENT | PTE_WRITE)

uint8_t *sim_ram;
struct page *sim_page_array;

/* ---- Memory ----------------------------------------------------------------------------------- */

void *env_phys_to_virt(paddr_t pa)
{
	ASSERT(pa < SIM_RAM_BYTES);
	return sim_ram + pa;
}

paddr_t env_virt_to_phys(const void *address)
{
	const uint8_t *byte = address;

	ASSERT(byte >= sim_ram && byte < sim_ram + SIM_RAM_BYTES);
	return (paddr_t)(byte - sim_ram);
}

/* All descriptors are there from the beginning; the host gives them memory when they are touched. */
int env_page_array_extend(paddr_t start, paddr_t end)
{
	return start < end && end <= SIM_PHYSICAL_BYTES ? 0 : -ENOMEM;
}

/* ---- Boot ------------------------------------------------------------------------------------- */

static paddr_t next_table = TABLES_START;

/* The table below an entry of another, made if it is not there. */
static paddr_t boot_table(paddr_t table, unsigned index, pte_t bits)
{
	pte_t *slot = (pte_t *)env_phys_to_virt(table) + index;

	if (!(*slot & PTE_PRESENT)) {
		*slot = next_table | bits;
		next_table += PAGE_SIZE;
		ASSERT(next_table <= FREE_START);
	}
	return pte_frame(*slot);
}

/* What memory_init.c makes: see pmap_internal.h. */
static void boot_tables(void)
{
	paddr_t low, directory, physical;
	pte_t *entries;

	kernel_pml4 = next_table;
	next_table += PAGE_SIZE;
	low = boot_table(kernel_pml4, pte_index(LAYOUT_KERNEL_START, 4), KERNEL_LINK | PTE_USER);
	directory = boot_table(low, pte_index(LAYOUT_KERNEL_START, 3), KERNEL_LINK | PTE_USER);
	for (vaddr_t va = LAYOUT_KERNEL_START; va < LAYOUT_KERNEL_END; va += pte_span(2)) {
		bool gate = va + pte_span(2) == LAYOUT_GATE_END;

		boot_table(directory, pte_index(va, 2), gate ? KERNEL_LINK | PTE_USER : KERNEL_LINK);
	}
	for (vaddr_t va = LAYOUT_SYSTEM_START; va < LAYOUT_SYSTEM_END; va += pte_span(3))
		boot_table(low, pte_index(va, 3), KERNEL_LINK);
	boot_table(kernel_pml4, pte_index(LAYOUT_DYNAMIC_START, 4), KERNEL_LINK);
	physical = boot_table(kernel_pml4, pte_index(LAYOUT_PHYSICAL_START, 4), KERNEL_LINK);
	for (paddr_t pa = 0; pa < SIM_RAM_BYTES; pa += pte_span(2)) {
		entries = env_phys_to_virt(boot_table(physical, pte_index(pa, 3), KERNEL_LINK));
		entries[pte_index(pa, 2)] = pa | KERNEL_LINK | PTE_LARGE | PTE_GLOBAL | PTE_NX;
	}
}

void machine_init(void)
{
	const struct phys_range ram = {.start = 0, .end = SIM_RAM_BYTES, .usable = true};
	const struct phys_range free = {.start = FREE_START, .end = SIM_RAM_BYTES, .usable = true};

	sim_ram = aligned_alloc(PAGE_SIZE, SIM_RAM_BYTES);
	sim_page_array = mmap(NULL, (SIM_PHYSICAL_BYTES >> PAGE_SHIFT) * sizeof(struct page),
			      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT(sim_ram && sim_page_array != MAP_FAILED);
	memset(sim_ram, 0, FREE_START);
	boot_tables();
	mmu_init(kernel_pml4);
	page_init(&ram, 1, &free, 1);
	pmap_shootdown = mmu_shootdown;
	pmap_init();
	for (unsigned cpu = 1; cpu < SIM_CPUS; cpu++) {
		sim_become(cpu);
		pmap_activate(&kernel_pmap);
	}
	sim_become(0);
}

/* ---- Pages freed too early -------------------------------------------------------------------- */

static _Atomic bool stale_expected;
static _Atomic unsigned stale_count;

unsigned sim_expect_stale(bool expect)
{
	stale_expected = expect;
	return atomic_exchange(&stale_count, 0);
}

static void check_stale(const struct page *page)
{
	if (!mmu_caches_frame(page_paddr(page)))
		return;
	stale_count++;
	if (!stale_expected)
		CHECK(!"a page is freed that a CPU can still reach through its caches");
}

void __real_page_free(struct page *page);
void __real_page_free_zeroed(struct page *page);
void __real_page_free_run(struct page *first, size_t count);
void __real_page_unref(struct page *page);

void __wrap_page_free(struct page *page)
{
	check_stale(page);
	__real_page_free(page);
}

void __wrap_page_free_zeroed(struct page *page)
{
	check_stale(page);
	__real_page_free_zeroed(page);
}

void __wrap_page_free_run(struct page *first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_stale(first + i);
	__real_page_free_run(first, count);
}

void __wrap_page_unref(struct page *page)
{
	if (page->refs == 1 && page->state != PAGE_MODULE && page->state != PAGE_DEVICE)
		check_stale(page);
	__real_page_unref(page);
}

/* ---- Failing allocations ---------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	bool armed, forever, failed;
	unsigned after;
} failing = {.lock = PTHREAD_MUTEX_INITIALIZER};

void sim_fail_allocation(unsigned after, bool forever)
{
	pthread_mutex_lock(&failing.lock);
	failing.armed = true;
	failing.forever = forever;
	failing.failed = false;
	failing.after = after;
	pthread_mutex_unlock(&failing.lock);
}

bool sim_fail_stop(void)
{
	bool failed;

	pthread_mutex_lock(&failing.lock);
	failing.armed = false;
	failed = failing.failed;
	pthread_mutex_unlock(&failing.lock);
	return failed;
}

static bool fails_now(void)
{
	bool fails = false;

	pthread_mutex_lock(&failing.lock);
	if (failing.armed && failing.after > 0) {
		failing.after--;
	} else if (failing.armed) {
		fails = failing.failed = true;
		failing.armed = failing.forever;
	}
	pthread_mutex_unlock(&failing.lock);
	return fails;
}

struct page *__real_page_alloc(enum page_state state, unsigned flags);
struct page *__real_page_alloc_run(enum page_state state, size_t count, size_t align_pages, paddr_t limit,
				   unsigned flags);
void *__real_slab_alloc(struct slab_cache *cache);

struct page *__wrap_page_alloc(enum page_state state, unsigned flags)
{
	return fails_now() ? NULL : __real_page_alloc(state, flags);
}

unsigned __real_page_alloc_many(enum page_state state, unsigned flags, unsigned count, struct page **out);

/* Each page counts. One that fails ends it, as if there were no more at hand. */
unsigned __wrap_page_alloc_many(enum page_state state, unsigned flags, unsigned count, struct page **out)
{
	unsigned most = 0;

	while (most < count && !fails_now())
		most++;
	return __real_page_alloc_many(state, flags, most, out);
}

struct page *__wrap_page_alloc_run(enum page_state state, size_t count, size_t align_pages, paddr_t limit,
				   unsigned flags)
{
	return fails_now() ? NULL : __real_page_alloc_run(state, count, align_pages, limit, flags);
}

void *__wrap_slab_alloc(struct slab_cache *cache)
{
	return fails_now() ? NULL : __real_slab_alloc(cache);
}
