/*
 * Tests of the simulated machine itself, so that what it says about pmap.c can be believed.
 *
 * Page tables are made by hand here. The rules that are tested are the SDM's (see mmu.c); what is expected
 * of each access is written out, not computed.
 */
#include "machine.h"

#include <hw.h>
#include <kern/test.h>
#include <pte.h>
#include <vm/page.h>

#define P  PTE_PRESENT
#define W  PTE_WRITE
#define U  PTE_USER
#define NX PTE_NX
#define G  PTE_GLOBAL

#define VA ((vaddr_t)0x123456789000)

/* The tables on the way to VA, by level (5: what CR3 has), and two pages. */
static struct page *tables[PTE_LEVELS + 1];
static struct page *first, *second;
static uint64_t kernel_cr3;

static pte_t *entry(unsigned level)
{
	return (pte_t *)page_data(tables[level]) + pte_index(VA, level);
}

static void map_page(const struct page *page, pte_t bits)
{
	*entry(1) = page_paddr(page) | bits;
}

/* A way with all rights, `first` as a page at VA, and empty caches. */
static void reset(void)
{
	for (unsigned level = 2; level <= PTE_LEVELS; level++)
		*entry(level) = page_paddr(tables[level - 1]) | P | W | U;
	map_page(first, P | W | U);
	write_cr4(read_cr4() & ~X86_CR4_PGE);
	write_cr4(read_cr4() | X86_CR4_PGE);
}

static unsigned load(uint64_t *word)
{
	return sim_access(VA, SIM_LOAD, true, word, sizeof(*word));
}

static unsigned store(uint64_t word)
{
	return sim_access(VA, SIM_STORE, true, &word, sizeof(word));
}

/* The word that a load finds; all ones if it faults. */
static uint64_t loaded(void)
{
	uint64_t word;

	return load(&word) == 0 ? word : UINT64_MAX;
}

/* ---- Rights ----------------------------------------------------------------------------------- */

#define ALLOWED 0
#define ABSENT  SIM_FAULT
#define DENIED  (SIM_FAULT | SIM_ERROR_PRESENT)

#define WP_OFF   1u
#define SMEP_OFF 2u
#define SMAP_OFF 4u
#define AC_ON    8u
#define NXE_OFF  16u

struct right {
	pte_t upper, leaf; /* `upper` is the level 3 entry, the others have all rights */
	enum sim_kind kind;
	bool user;
	unsigned setting;
	unsigned expected;
};

static const struct right rights[] = {
	/* Ring 3. */
	{P | W | U, P | U, SIM_LOAD, true, 0, ALLOWED},
	{P | W | U, P | U, SIM_STORE, true, 0, DENIED | SIM_ERROR_WRITE | SIM_ERROR_USER},
	{P | W | U, P | U, SIM_STORE, true, WP_OFF, DENIED | SIM_ERROR_WRITE | SIM_ERROR_USER},
	{P | W | U, P | W | U, SIM_STORE, true, 0, ALLOWED},
	{P | U, P | W | U, SIM_STORE, true, 0, DENIED | SIM_ERROR_WRITE | SIM_ERROR_USER},
	{P | W | U, P | W, SIM_LOAD, true, 0, DENIED | SIM_ERROR_USER},
	{P | W, P | W | U, SIM_LOAD, true, 0, DENIED | SIM_ERROR_USER},
	{P | W | U, P | U, SIM_FETCH, true, 0, ALLOWED},
	{P | W | U, P | U | NX, SIM_FETCH, true, 0, DENIED | SIM_ERROR_USER | SIM_ERROR_FETCH},
	{P | W | U | NX, P | U, SIM_FETCH, true, 0, DENIED | SIM_ERROR_USER | SIM_ERROR_FETCH},
	{P | W | U, P | U | NX, SIM_LOAD, true, 0, ALLOWED},
	{P | W | U, 0, SIM_LOAD, true, 0, ABSENT | SIM_ERROR_USER},
	{0, P | W | U, SIM_STORE, true, 0, ABSENT | SIM_ERROR_USER | SIM_ERROR_WRITE},
	{P | W | U, 0, SIM_FETCH, true, 0, ABSENT | SIM_ERROR_USER | SIM_ERROR_FETCH},
	{P | W | U, 0, SIM_FETCH, true, NXE_OFF | SMEP_OFF, ABSENT | SIM_ERROR_USER},
	/* Ring 0, its own pages. */
	{P | W | U, P | W, SIM_STORE, false, 0, ALLOWED},
	{P | W | U, P, SIM_LOAD, false, 0, ALLOWED},
	{P | W | U, P, SIM_STORE, false, 0, DENIED | SIM_ERROR_WRITE},
	{P | U, P | W, SIM_STORE, false, 0, DENIED | SIM_ERROR_WRITE},
	{P | W | U, P, SIM_STORE, false, WP_OFF, ALLOWED},
	{P | W | U, P, SIM_FETCH, false, 0, ALLOWED},
	{P | W | U, P | NX, SIM_FETCH, false, 0, DENIED | SIM_ERROR_FETCH},
	/* Ring 0, user pages: SMAP and SMEP. A page is a user page only if U is set at every level. */
	{P | W | U, P | W | U, SIM_LOAD, false, 0, DENIED},
	{P | W | U, P | W | U, SIM_STORE, false, 0, DENIED | SIM_ERROR_WRITE},
	{P | W, P | W | U, SIM_STORE, false, 0, ALLOWED},
	{P | W | U, P | W | U, SIM_LOAD, false, AC_ON, ALLOWED},
	{P | W | U, P | W | U, SIM_LOAD, false, SMAP_OFF, ALLOWED},
	{P | W | U, P | U, SIM_STORE, false, AC_ON, DENIED | SIM_ERROR_WRITE},
	{P | W | U, P | U, SIM_STORE, false, AC_ON | WP_OFF, ALLOWED},
	{P | W | U, P | U, SIM_STORE, false, WP_OFF, DENIED | SIM_ERROR_WRITE},
	{P | W | U, P | U, SIM_FETCH, false, 0, DENIED | SIM_ERROR_FETCH},
	{P | W | U, P | U, SIM_FETCH, false, AC_ON, DENIED | SIM_ERROR_FETCH},
	{P | W | U, P | U, SIM_FETCH, false, SMEP_OFF, ALLOWED},
	/* Reserved bits. */
	{P | W | U, P | U | NX, SIM_LOAD, true, NXE_OFF, DENIED | SIM_ERROR_USER | SIM_ERROR_RESERVED},
	{P | W | U, P | U | ((pte_t)1 << 50), SIM_LOAD, true, 0,
	 DENIED | SIM_ERROR_USER | SIM_ERROR_RESERVED},
};

static void test_rights(void)
{
	struct sim_registers *regs = sim_registers(), saved = *regs;

	test_case("rights, settings and error codes");
	for (unsigned i = 0; i < sizeof rights / sizeof rights[0]; i++) {
		const struct right *r = &rights[i];
		uint64_t word = 1;

		reset();
		*entry(3) = r->upper ? page_paddr(tables[2]) | r->upper : 0;
		if (r->leaf)
			map_page(first, r->leaf);
		else
			*entry(1) = 0;
		regs->cr0 &= r->setting & WP_OFF ? ~X86_CR0_WP : UINT64_MAX;
		regs->cr4 &= r->setting & SMEP_OFF ? ~X86_CR4_SMEP : UINT64_MAX;
		regs->cr4 &= r->setting & SMAP_OFF ? ~X86_CR4_SMAP : UINT64_MAX;
		regs->efer &= r->setting & NXE_OFF ? ~EFER_NXE : UINT64_MAX;
		regs->ac = r->setting & AC_ON;
		if (!CHECK_EQ(sim_access(VA, r->kind, r->user, &word, sizeof word), r->expected))
			test_print("# row %u", i);
		if (r->expected != ALLOWED)
			CHECK_EQ(regs->cr2, VA);
		CHECK_EQ((*entry(1) & PTE_ACCESSED) != 0, r->expected == ALLOWED);
		CHECK_EQ((*entry(1) & PTE_DIRTY) != 0, r->expected == ALLOWED && r->kind == SIM_STORE);
		saved.cr2 = regs->cr2;
		*regs = saved;
	}
	CHECK_EQ(sim_access((vaddr_t)1 << 47, SIM_LOAD, false, &saved.cr2, 1), SIM_GP);
	CHECK_EQ(sim_access(UINT64_MAX >> 1, SIM_LOAD, true, &saved.cr2, 1), SIM_GP);
}

static void test_walk(void)
{
	uint64_t word = 5;

	test_case("accessed bits at every level, the dirty bit with the first store");
	reset();
	CHECK_EQ(loaded(), 1);
	for (unsigned level = 1; level <= PTE_LEVELS; level++)
		CHECK(*entry(level) & PTE_ACCESSED);
	CHECK(!(*entry(1) & PTE_DIRTY));
	CHECK_EQ(store(1), 0);
	CHECK(*entry(1) & PTE_DIRTY);
	CHECK(!(*entry(2) & PTE_DIRTY));

	test_case("large pages");
	reset();
	*entry(2) = P | W | U | PTE_LARGE;
	word = 0;
	CHECK_EQ(load(&word), 0);
	CHECK_EQ(word, *(uint64_t *)env_phys_to_virt(VA & (pte_span(2) - 1)));
	*entry(2) |= PAGE_SIZE << 1;
	invlpg(VA);
	CHECK_EQ(load(&word), DENIED | SIM_ERROR_USER | SIM_ERROR_RESERVED);
	reset();
	*entry(3) = SIM_PHYSICAL_BYTES / 2 | P | W | U | PTE_LARGE;
	CHECK_EQ(load(&word), 0);
	CHECK_EQ(word, UINT64_MAX); /* no RAM there */
	CHECK(sim_tlb_has(VA + PAGE_SIZE));
	invlpg(VA + PAGE_SIZE);
	CHECK(!sim_tlb_has(VA));
	*entry(4) |= PTE_LARGE;
	CHECK_EQ(load(&word), DENIED | SIM_ERROR_USER | SIM_ERROR_RESERVED);
}

/* ---- Caches ----------------------------------------------------------------------------------- */

static void test_tlb(void)
{
	test_case("the TLB forgets only what it is told to forget");
	reset();
	CHECK_EQ(loaded(), 1);
	map_page(second, P | W | U);
	CHECK_EQ(loaded(), 1);
	invlpg(VA + PAGE_SIZE);
	CHECK_EQ(loaded(), 1);
	invlpg(VA);
	CHECK_EQ(loaded(), 2);
	map_page(first, P | W | U);
	write_cr3(read_cr3());
	CHECK_EQ(loaded(), 1);
	*entry(1) = 0;
	CHECK_EQ(loaded(), 1);
	write_cr4(read_cr4() ^ X86_CR4_PGE);
	CHECK_EQ(loaded(), UINT64_MAX);

	test_case("global translations survive a load of CR3, and nothing else");
	reset();
	map_page(first, P | W | U | G);
	CHECK_EQ(loaded(), 1);
	map_page(second, P | W | U | G);
	write_cr3(read_cr3());
	CHECK_EQ(loaded(), 1);
	invlpg(VA);
	CHECK_EQ(loaded(), 2);
	map_page(first, P | W | U | G);
	write_cr4(read_cr4() ^ X86_CR4_PGE);
	CHECK_EQ(loaded(), 1);
	map_page(second, P | W | U | G);
	write_cr3(read_cr3()); /* PGE is off: not global */
	CHECK_EQ(loaded(), 2);

	test_case("each CPU has a TLB of its own");
	reset();
	sim_become(1);
	write_cr3(page_paddr(tables[PTE_LEVELS]));
	CHECK_EQ(loaded(), 1);
	sim_become(0);
	CHECK_EQ(loaded(), 1);
	map_page(second, P | W | U);
	invlpg(VA);
	CHECK_EQ(loaded(), 2);
	sim_become(1);
	CHECK_EQ(loaded(), 1);
	write_cr3(kernel_cr3);
	sim_become(0);
}

static void test_ways(void)
{
	test_case("cached ways to tables are used until they are forgotten");
	reset();
	sim_prefetch(VA + PAGE_SIZE); /* no translation: but the way there is cached */
	CHECK(!sim_tlb_has(VA + PAGE_SIZE));
	*entry(3) = 0;
	CHECK_EQ(loaded(), 1);
	reset();
	sim_prefetch(VA + PAGE_SIZE);
	*entry(3) = 0;
	invlpg(VA + pte_span(3)); /* any address will do */
	CHECK_EQ(loaded(), UINT64_MAX);

	test_case("a cached way keeps the rights that it had");
	reset();
	*entry(4) &= ~W;
	sim_prefetch(VA + PAGE_SIZE);
	*entry(4) |= W;
	CHECK_EQ(loaded(), 1);
	CHECK_EQ(store(1), DENIED | SIM_ERROR_USER | SIM_ERROR_WRITE);
	CHECK_EQ(store(1), 0); /* the fault dropped the way */
}

static void test_faults(void)
{
	test_case("a fault drops what was cached for its address, and only that");
	reset();
	map_page(first, P | U);
	CHECK_EQ(loaded(), 1);
	map_page(first, P | W | U);
	CHECK_EQ(store(1), DENIED | SIM_ERROR_USER | SIM_ERROR_WRITE);
	CHECK(!sim_tlb_has(VA));
	CHECK_EQ(store(1), 0);
	map_page(first, P | U);
	CHECK_EQ(store(1), 0); /* dirty and writable, as cached */

	test_case("a store through a clean translation walks again");
	reset();
	CHECK_EQ(loaded(), 1);
	map_page(first, P | U);
	CHECK_EQ(store(1), DENIED | SIM_ERROR_USER | SIM_ERROR_WRITE);
}

/* ---- What watches, and what disturbs ---------------------------------------------------------- */

static void test_watch(void)
{
	struct page *page;

	test_case("a page that is freed while a TLB has it is noticed");
	reset();
	page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	map_page(page, P | W | U);
	CHECK_EQ(loaded(), 0);
	map_page(first, P | W | U);
	sim_expect_stale(true);
	page_free(page);
	CHECK_EQ(sim_expect_stale(true), 1);
	invlpg(VA);
	page = page_alloc(PAGE_KERNEL, 0);
	page_free(page);
	CHECK_EQ(sim_expect_stale(true), 0);

	test_case("a table that is freed while a way to it is cached is noticed");
	page = page_alloc(PAGE_TABLE, PAGE_ALLOC_ZERO);
	*entry(2) = page_paddr(page) | P | W | U;
	CHECK_EQ(loaded(), UINT64_MAX); /* drops the way, as it faults on it */
	*(pte_t *)page_data(page) = page_paddr(first) | P | U;
	sim_prefetch(VA & ~(pte_span(2) - 1));
	page_free(page);
	CHECK_EQ(sim_expect_stale(false), 1);
	reset();

	test_case("allocations fail when they are told to");
	sim_fail_allocation(1, false);
	page = page_alloc(PAGE_KERNEL, 0);
	CHECK(page != NULL);
	CHECK(page_alloc_run(PAGE_KERNEL, 2, 1, PAGE_ANYWHERE, 0) == NULL);
	page_free(page);
	page = page_alloc(PAGE_KERNEL, 0);
	CHECK(page != NULL);
	CHECK(sim_fail_stop());
	page_free(page);
	sim_fail_allocation(0, true);
	CHECK(page_alloc(PAGE_KERNEL, 0) == NULL);
	CHECK(page_alloc(PAGE_KERNEL, 0) == NULL);
	CHECK(sim_fail_stop());
	sim_fail_allocation(1, true);
	CHECK(!sim_fail_stop());
}

void suite_mmu(void)
{
	for (unsigned level = 1; level <= PTE_LEVELS; level++)
		tables[level] = page_alloc(PAGE_TABLE, PAGE_ALLOC_ZERO);
	first = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	second = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	*(uint64_t *)page_data(first) = 1;
	*(uint64_t *)page_data(second) = 2;
	kernel_cr3 = read_cr3();
	write_cr3(page_paddr(tables[PTE_LEVELS]));

	test_rights();
	test_walk();
	test_tlb();
	test_ways();
	test_faults();
	test_watch();

	write_cr4(read_cr4() | X86_CR4_PGE);
	write_cr3(kernel_cr3);
	invlpg(VA);
	page_free(first);
	page_free(second);
	for (unsigned level = 1; level <= PTE_LEVELS; level++)
		page_free(tables[level]);
}
