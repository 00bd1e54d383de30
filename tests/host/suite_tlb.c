/*
 * Invalidations: that pmap.c makes every CPU forget what it must, in time, and no more than that.
 *
 * The machine's own errors count here as much as the checks: it complains when a page, or a table, is freed
 * that a CPU can still reach. What a single CPU sees is tests/suites/suite_pmap.c's.
 */
#include "machine.h"

#include <kern/test.h>
#include <pmap_internal.h>
#include <vm/page.h>

#include <pthread.h>

#define RU  ((vm_prot_t)(VM_READ | VM_USER))
#define RWU ((vm_prot_t)(VM_READ | VM_WRITE | VM_USER))
#define RXU ((vm_prot_t)(VM_READ | VM_EXEC | VM_USER))

#define BASE ((vaddr_t)0x200000000000) /* aligned to 512 GiB */

static struct pmap *pmap;

static void activate(unsigned first, unsigned end, struct pmap *which)
{
	for (unsigned cpu = first; cpu < end; cpu++) {
		sim_become(cpu);
		pmap_activate(which);
	}
	sim_become(0);
}

static unsigned load(unsigned cpu, vaddr_t va, bool user, uint64_t *word)
{
	unsigned fault;

	sim_become(cpu);
	fault = sim_access(va, SIM_LOAD, user, word, sizeof(*word));
	sim_become(0);
	return fault;
}

static unsigned store(unsigned cpu, vaddr_t va, uint64_t word)
{
	unsigned fault;

	sim_become(cpu);
	fault = sim_access(va, SIM_STORE, true, &word, sizeof(word));
	sim_become(0);
	return fault;
}

static void load_everywhere(vaddr_t va)
{
	uint64_t word;

	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++)
		CHECK_EQ(load(cpu, va, true, &word), 0);
}

static bool cached_anywhere(vaddr_t va)
{
	bool cached = false;

	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		sim_become(cpu);
		cached |= sim_tlb_has(va);
	}
	sim_become(0);
	return cached;
}

static struct page *enter(vaddr_t va, vm_prot_t prot)
{
	struct page *page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);

	CHECK_EQ(pmap_enter(pmap, va, page, prot, CACHE_WRITE_BACK), 0);
	return page;
}

/* What happened since `before`, as counts. */
static struct sim_counts since(struct sim_counts before)
{
	struct sim_counts now = sim_counts();

	now.invlpgs -= before.invlpgs;
	now.flushes -= before.flushes;
	now.shootdowns -= before.shootdowns;
	return now;
}

static pte_t *raw_entry(vaddr_t va, unsigned wanted)
{
	pte_t *table = pmap->top;

	for (unsigned level = PTE_LEVELS; level > wanted; level--)
		table = env_phys_to_virt(pte_frame(table[pte_index(va, level)]));
	return &table[pte_index(va, wanted)];
}

/* ---- Forgetting in time ----------------------------------------------------------------------- */

static void test_remove(void)
{
	struct page *page, *many[FLUSH_MAX + 8];
	struct sim_counts before;

	test_case("a removed page is forgotten by all CPUs before it can be freed");
	page = enter(BASE, RWU);
	load_everywhere(BASE);
	before = sim_counts();
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
	CHECK(!cached_anywhere(BASE));
	CHECK_EQ(since(before).shootdowns, SIM_CPUS - 1);
	CHECK_EQ(since(before).invlpgs, SIM_CPUS);
	CHECK_EQ(since(before).flushes, 0);
	page_free(page);

	test_case("many removed pages are forgotten in one go");
	for (unsigned i = 0; i < FLUSH_MAX + 8; i++) {
		many[i] = enter(BASE + i * PAGE_SIZE, RWU);
		load_everywhere(BASE + i * PAGE_SIZE);
	}
	before = sim_counts();
	pmap_remove(pmap, BASE, BASE + pte_span(2));
	CHECK_EQ(since(before).shootdowns, SIM_CPUS - 1);
	CHECK_EQ(since(before).flushes, SIM_CPUS);
	CHECK_EQ(since(before).invlpgs, 0);
	for (unsigned i = 0; i < FLUSH_MAX + 8; i++) {
		CHECK(!cached_anywhere(BASE + i * PAGE_SIZE));
		page_free(many[i]);
	}
}

static void test_replace(void)
{
	struct page *page = enter(BASE, RWU), *other = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	struct sim_counts before;
	uint64_t word;

	test_case("a replaced page is forgotten by all CPUs");
	load_everywhere(BASE);
	*(uint64_t *)page_data(other) = 7;
	CHECK_EQ(pmap_enter(pmap, BASE, other, RWU, CACHE_WRITE_BACK), 0);
	page_free(page);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		CHECK_EQ(load(cpu, BASE, true, &word), 0);
		CHECK_EQ(word, 7);
	}

	test_case("taken rights are gone on all CPUs, by enter and by protect");
	for (unsigned round = 0; round < 2; round++) {
		CHECK_EQ(pmap_enter(pmap, BASE, other, RWU, CACHE_WRITE_BACK), 0);
		for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
			store(cpu, BASE, 7);
			CHECK_EQ(store(cpu, BASE, 7), 0);
		}
		if (round == 0)
			CHECK_EQ(pmap_enter(pmap, BASE, other, RU, CACHE_WRITE_BACK), 0);
		else
			pmap_protect(pmap, BASE, BASE + PAGE_SIZE, RXU);
		for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++)
			CHECK(store(cpu, BASE, 8) != 0);
	}

	test_case("what adds rights, or fills an empty place, makes nobody forget anything");
	before = sim_counts();
	CHECK_EQ(pmap_enter(pmap, BASE, other, RWU, CACHE_WRITE_BACK), 0);
	page = enter(BASE + PAGE_SIZE, RWU);
	CHECK_EQ(since(before).shootdowns + since(before).invlpgs + since(before).flushes, 0);
	pmap_remove(pmap, BASE, BASE + 2 * PAGE_SIZE);
	page_free(page);
	page_free(other);
}

static void test_who(void)
{
	struct sim_counts before;
	struct page *page;
	uint64_t word;

	test_case("only the CPUs that run the pmap are disturbed");
	activate(2, SIM_CPUS, &kernel_pmap);
	page = enter(BASE, RWU);
	CHECK_EQ(load(1, BASE, true, &word), 0);
	CHECK(load(2, BASE, true, &word) != 0);
	before = sim_counts();
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
	CHECK_EQ(since(before).shootdowns, 1);
	page_free(page);

	test_case("a CPU that stops using the pmap has forgotten it");
	page = enter(BASE, RWU);
	CHECK_EQ(load(1, BASE, true, &word), 0);
	activate(0, 2, &kernel_pmap);
	CHECK(!cached_anywhere(BASE));
	before = sim_counts();
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
	CHECK_EQ(since(before).shootdowns + since(before).invlpgs + since(before).flushes, 0);
	page_free(page);
	activate(0, SIM_CPUS, pmap);
}

static void test_kernel(void)
{
	const vaddr_t va = LAYOUT_DYNAMIC_END - 4 * pte_span(2);
	struct page *page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	uint64_t word;

	test_case("what the kernel removes, every CPU forgets, whatever it runs");
	activate(2, SIM_CPUS, &kernel_pmap);
	for (unsigned count = 1; count <= 2 * FLUSH_MAX; count *= 2 * FLUSH_MAX) {
		for (unsigned i = 0; i < count; i++) {
			CHECK_EQ(
				pmap_enter(&kernel_pmap, va + i * PAGE_SIZE, page, VM_READ, CACHE_WRITE_BACK),
				0);
			for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++)
				CHECK_EQ(load(cpu, va + i * PAGE_SIZE, false, &word), 0);
		}
		pmap_remove(&kernel_pmap, va, va + count * PAGE_SIZE);
		for (unsigned i = 0; i < count; i++)
			CHECK(!cached_anywhere(va + i * PAGE_SIZE));
	}
	page_free(page);
	activate(0, SIM_CPUS, pmap);
}

/* ---- Withdrawal ------------------------------------------------------------------------------- */

static void test_withdrawal(void)
{
	const vaddr_t far = BASE + pte_span(3) - PAGE_SIZE;
	struct sim_counts before;
	struct page *near_page, *far_page;

	test_case("withdrawing from 1 GiB changes one entry, and flushes once");
	near_page = enter(BASE, RWU);
	far_page = enter(far, RWU);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		CHECK_EQ(store(cpu, BASE, cpu), 0);
		CHECK_EQ(store(cpu, far, cpu), 0);
	}
	before = sim_counts();
	pmap_protect(pmap, BASE, BASE + pte_span(3), RXU);
	CHECK_EQ(since(before).flushes, SIM_CPUS);
	CHECK_EQ(since(before).shootdowns, SIM_CPUS - 1);
	CHECK(!(*raw_entry(BASE, 3) & PTE_WRITE));
	CHECK(*raw_entry(BASE, 2) & PTE_WRITE);
	CHECK(*raw_entry(BASE, 1) & PTE_WRITE);
	CHECK(*raw_entry(far, 1) & PTE_WRITE);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		CHECK(store(cpu, BASE, 9) != 0);
		CHECK(store(cpu, far, 9) != 0);
	}
	before = sim_counts();
	pmap_protect(pmap, BASE, BASE + pte_span(3), RXU);
	pmap_protect(pmap, BASE, BASE + pte_span(1), RXU);
	CHECK_EQ(since(before).flushes + since(before).invlpgs, 0);

	test_case("handing the right down gives it to nobody else, whatever was cached, and flushes nothing");
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		sim_become(cpu);
		sim_prefetch(BASE);
		sim_prefetch(far);
	}
	sim_become(0);
	before = sim_counts();
	CHECK_EQ(pmap_enter(pmap, BASE, near_page, RWU, CACHE_WRITE_BACK), 0);
	CHECK_EQ(since(before).flushes + since(before).invlpgs + since(before).shootdowns, 0);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		CHECK(store(cpu, far, 9) != 0);
		CHECK(store(cpu, BASE, 3) != 0); /* spurious: cached without the right */
		CHECK_EQ(store(cpu, BASE, 3), 0);
		CHECK(store(cpu, far, 9) != 0);
	}
	CHECK(*raw_entry(BASE, 3) & PTE_WRITE);
	CHECK(!(*raw_entry(far, 2) & PTE_WRITE));
	CHECK(*raw_entry(far, 1) & PTE_WRITE);
	pmap_remove(pmap, BASE, BASE + pte_span(3));
	page_free(near_page);
	page_free(far_page);
}

/* ---- All at once ------------------------------------------------------------------------------ */

#define ROUNDS 4000
#define PLACES 24

static vaddr_t place(unsigned i)
{
	return BASE + (i % 3) * PAGE_SIZE + (i / 3 % 4) * pte_span(2) + i / 12 * pte_span(3);
}

/*
 * CPU n enters, protects and removes the places of its own (i % SIM_CPUS == n), each with new pages that name
 * their place, and reads everyone's: what it reads, if anything, is what belongs there.
 */
static void *race(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	uint64_t seed = self + 1;
	struct page *pages[PLACES] = {0};
	uintptr_t wrong = 0;

	sim_become(self);
	for (unsigned n = 0; n < ROUNDS; n++) {
		unsigned i, own;
		uint64_t word;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		i = (unsigned)(seed >> 33) % PLACES;
		own = i / SIM_CPUS * SIM_CPUS + self;
		if (sim_access(place(i), SIM_LOAD, true, &word, sizeof word) == 0 && word != place(i))
			wrong++;
		if (!pages[own]) {
			pages[own] = page_alloc(PAGE_KERNEL, 0);
			*(uint64_t *)page_data(pages[own]) = place(own);
			if (pmap_enter(pmap, place(own), pages[own], RWU, CACHE_WRITE_BACK) != 0)
				wrong++;
		} else if (seed >> 60 & 1) {
			word = place(own);
			pmap_protect(pmap, place(own), place(own) + PAGE_SIZE, RXU);
			if (sim_access(place(own), SIM_STORE, true, &word, sizeof word) == 0)
				wrong++;
		} else {
			pmap_remove(pmap, place(own), place(own) + PAGE_SIZE);
			page_free(pages[own]);
			pages[own] = NULL;
		}
	}
	for (unsigned i = self; i < PLACES; i += SIM_CPUS) {
		pmap_remove(pmap, place(i), place(i) + PAGE_SIZE);
		if (pages[i])
			page_free(pages[i]);
	}
	return (void *)wrong;
}

static void test_race(void)
{
	pthread_t threads[SIM_CPUS];

	test_case("four CPUs at once, on four threads");
	sim_expect_stale(true);
	for (unsigned i = 0; i < SIM_CPUS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, race, (void *)(uintptr_t)i), 0);
	for (unsigned i = 0; i < SIM_CPUS; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		CHECK_EQ(wrong, 0);
	}
	CHECK_EQ(sim_expect_stale(false), 0);
	CHECK_EQ(pmap_stats(pmap).resident_pages, 0);
	CHECK_EQ(pmap_stats(pmap).table_pages, 3);
}

void suite_tlb(void)
{
	CHECK_EQ(pmap_create(&pmap), 0);
	activate(0, SIM_CPUS, pmap);
	test_remove();
	test_replace();
	test_who();
	test_kernel();
	test_withdrawal();
	test_race();
	activate(0, SIM_CPUS, &kernel_pmap);
	pmap_destroy(pmap);
}
