/*
 * Contract conformance of the pmap: everything that include/vm/pmap.h promises, of one CPU.
 *
 * One source for the kernel on real page tables and for the host on simulated ones. It looks through
 * pmap_query(), statistics and, where there is one, the machine's own eyes (probe.h). Invalidations on
 * several CPUs are tests/host/suite_tlb.c's.
 */
#include "probe.h"

#include <asm/errno.h>
#include <kern/test.h>
#include <vm/layout.h>
#include <vm/page.h>

#define RU  ((vm_prot_t)(VM_READ | VM_USER))
#define RWU ((vm_prot_t)(VM_READ | VM_WRITE | VM_USER))
#define RXU ((vm_prot_t)(VM_READ | VM_EXEC | VM_USER))
#define ALL ((vm_prot_t)(VM_ALL | VM_USER))

/* What the levels' entries cover. */
#define BLOCK_2M   ((uint64_t)1 << 21)
#define BLOCK_1G   ((uint64_t)1 << 30)
#define BLOCK_512G ((uint64_t)1 << 39)

#define EMPTY_TABLES 3 /* of a user pmap without translations */

/* Aligned to BLOCK_512G, in user space; nothing else uses the pmaps of this suite. */
#define BASE (16 * BLOCK_512G)

#define PAGES 4

static struct pmap *pmap;
static struct page *pages[PAGES];

static uint64_t tables_in_use(void)
{
	return page_stats().by_state[PAGE_TABLE];
}

static uint64_t zeroed_pages(void)
{
	return page_stats().by_state[PAGE_ZEROED];
}

/* A pmap, and pages whose first word is their place in pages[]. */
static bool set_up(void)
{
	if (!CHECK_EQ(pmap_create(&pmap), 0))
		return false;
	for (unsigned i = 0; i < PAGES; i++) {
		pages[i] = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
		if (!CHECK(pages[i] != NULL))
			return false;
		*(uint64_t *)page_data(pages[i]) = i;
	}
	if (probe_activate)
		probe_activate(pmap);
	return true;
}

static void tear_down(void)
{
	if (probe_activate)
		probe_activate(&kernel_pmap);
	pmap_destroy(pmap);
	for (unsigned i = 0; i < PAGES; i++)
		page_free(pages[i]);
}

static int enter(vaddr_t va, unsigned page, vm_prot_t prot)
{
	return pmap_enter(pmap, va, pages[page], prot, CACHE_WRITE_BACK);
}

static bool probe(vaddr_t va, vm_prot_t access, bool expected, unsigned page)
{
	uint64_t word = page;
	bool allowed = probe_access(va, access | VM_USER, &word);

	return allowed == expected && (!allowed || word == page);
}

/* Are these the rights at `va` (0: no translation), of pages[page], for pmap_query and for the machine? */
static bool has(vaddr_t va, unsigned page, vm_prot_t prot)
{
	struct pmap_query found = pmap_query(pmap, va);
	vm_prot_t user = prot & VM_USER ? prot : 0;

	if (found.page != (prot ? pages[page] : NULL) || (prot && found.prot != prot))
		return false;
	if (!probe_access)
		return true;
	return probe(va, VM_READ, user & VM_READ, page) && probe(va, VM_WRITE, user & VM_WRITE, page) &&
	       (!probe_fetch || probe_fetch(va) == ((user & VM_EXEC) != 0));
}

static bool sizes(uint64_t resident, uint64_t tables)
{
	struct pmap_stats stats = pmap_stats(pmap);
	bool as_many = CHECK_EQ(stats.resident_pages, resident);

	return CHECK_EQ(stats.table_pages, tables) && as_many;
}

/* ---- One page --------------------------------------------------------------------------------- */

static void test_life(void)
{
	uint64_t before;

	test_case("a pmap starts empty, and its tables come back with its end");
	before = tables_in_use();
	if (!set_up())
		return;
	sizes(0, EMPTY_TABLES);
	CHECK_EQ(tables_in_use(), before + EMPTY_TABLES);
	CHECK(has(BASE, 0, 0) && has(LAYOUT_PRIVATE_START, 0, 0));
	CHECK_EQ(enter(BASE, 0, RWU), 0);
	CHECK_EQ(enter(LAYOUT_PRIVATE_START, 1, RXU), 0);
	CHECK_EQ(enter(LAYOUT_PRIVATE_END - PAGE_SIZE, 2, RU), 0);
	CHECK_EQ(enter(LAYOUT_ARENAS_START, 3, RU), 0);
	CHECK_EQ(enter(LAYOUT_ARENAS_END - PAGE_SIZE, 3, RU), 0);
	sizes(5, EMPTY_TABLES + 11);
	CHECK_EQ(tables_in_use(), before + EMPTY_TABLES + 11);
	tear_down();
	CHECK_EQ(tables_in_use(), before);
}

static void test_rights(void)
{
	test_case("enter gives exactly the rights it is told");
	for (vm_prot_t prot = 0; prot <= ALL; prot++) {
		CHECK_EQ(enter(BASE, 1, prot), 0);
		CHECK(has(BASE, 1, prot & VM_READ ? prot : 0));
		if (prot & VM_READ) {
			CHECK(pmap_query(pmap, BASE).accessed);
			CHECK_EQ(pmap_query(pmap, BASE).dirty, (prot & VM_WRITE) != 0);
		}
		pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
		CHECK(has(BASE, 1, 0));
		sizes(0, EMPTY_TABLES);
	}
	test_case("enter with every kind of caching");
	for (enum vm_cache cache = CACHE_WRITE_BACK; cache <= CACHE_UNCACHED; cache++) {
		CHECK_EQ(pmap_enter(pmap, BASE, pages[0], RWU, cache), 0);
		CHECK(has(BASE, 0, RWU));
	}
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
}

static void test_replace(void)
{
	test_case("enter replaces, from any rights to any");
	for (vm_prot_t from = VM_READ; from <= ALL; from++) {
		for (vm_prot_t to = 0; to <= ALL; to++) {
			CHECK_EQ(enter(BASE, 0, from), 0);
			CHECK_EQ(enter(BASE, 0, to), 0);
			CHECK(has(BASE, 0, to & VM_READ ? to : 0));
			CHECK_EQ(enter(BASE, 1, from), 0);
			CHECK(has(BASE, 1, from & VM_READ ? from : 0));
			CHECK_EQ(enter(BASE, 2, to), 0);
			CHECK(has(BASE, 2, to & VM_READ ? to : 0));
		}
	}
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
	sizes(0, EMPTY_TABLES);

	test_case("a replaced page keeps its dirty bit only if it stays");
	CHECK_EQ(enter(BASE, 0, RWU), 0);
	CHECK_EQ(enter(BASE, 0, RU), 0);
	CHECK(pmap_query(pmap, BASE).dirty);
	CHECK_EQ(enter(BASE, 1, RU), 0);
	CHECK(!pmap_query(pmap, BASE).dirty);
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
}

static void test_protect(void)
{
	test_case("protect takes rights away and adds none, and VM_USER is none of its business");
	for (vm_prot_t from = VM_READ; from <= ALL; from++) {
		for (vm_prot_t to = 0; from & VM_READ && to <= ALL; to++) {
			CHECK_EQ(enter(BASE, 0, from), 0);
			CHECK_EQ(enter(BASE + PAGE_SIZE, 1, from), 0);
			pmap_protect(pmap, BASE, BASE + PAGE_SIZE, to);
			CHECK(has(BASE, 0, to & VM_READ ? from & (to | VM_USER) : 0));
			CHECK(has(BASE + PAGE_SIZE, 1, from));
		}
	}
	pmap_remove(pmap, BASE, BASE + 2 * PAGE_SIZE);
	sizes(0, EMPTY_TABLES);
}

static void test_harvest(void)
{
	vaddr_t last = BASE + (PMAP_WINDOW - 1) * PAGE_SIZE;
	uint64_t word;

	test_case("harvest reads and clears accessed bits, and leaves the dirty bit");
	CHECK_EQ(pmap_harvest(pmap, BASE, PMAP_WINDOW), 0);
	CHECK_EQ(enter(BASE, 0, RU), 0);
	CHECK_EQ(pmap_harvest(pmap, BASE, 1), 1);
	CHECK_EQ(pmap_harvest(pmap, BASE, 1), 0);
	CHECK(!pmap_query(pmap, BASE).accessed && !pmap_query(pmap, BASE).dirty);
	CHECK_EQ(enter(BASE, 0, RWU), 0);
	CHECK_EQ(enter(last, 1, RWU), 0);
	CHECK_EQ(pmap_harvest(pmap, BASE, PMAP_WINDOW), 1 | (uint64_t)1 << (PMAP_WINDOW - 1));
	CHECK_EQ(pmap_harvest(pmap, BASE, PMAP_WINDOW), 0);
	CHECK(!pmap_query(pmap, BASE).accessed && pmap_query(pmap, BASE).dirty);
	for (unsigned round = 0; probe_access && round < 2; round++) {
		CHECK(probe_access(BASE, VM_READ | VM_USER, &word));
		CHECK_EQ(pmap_harvest(pmap, BASE, PMAP_WINDOW), 1);
		CHECK(pmap_query(pmap, BASE).dirty);
	}
	pmap_remove(pmap, BASE, last + PAGE_SIZE);
}

static void test_contents(void)
{
	uint8_t *from = page_data(pages[2]), *to = page_data(pages[3]);

	test_case("zero_page and copy_page do all of a page, and no more");
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		from[i] = (uint8_t)(i * 7 + 1);
	memset(to, 0xaa, PAGE_SIZE);
	pmap_copy_page(pages[3], pages[2]);
	CHECK_EQ(memcmp(from, to, PAGE_SIZE), 0);
	pmap_zero_page(pages[3]);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		CHECK(to[i] == 0);
	CHECK(from[0] == 1);
	*(uint64_t *)from = 2;
	*(uint64_t *)to = 3;
}

/* ---- Ranges ----------------------------------------------------------------------------------- */

static void test_window(void)
{
	static struct pmap_window window;
	vaddr_t start = BASE + BLOCK_2M - 2 * PAGE_SIZE;

	test_case("a window: what it names is entered, across tables, and the rest stays as it is");
	enter(start + PAGE_SIZE, 3, RU);
	enter(start + 3 * PAGE_SIZE, 0, RU);
	window = (struct pmap_window){.start = start,
				      .count = 5,
				      .writable = 0x15,
				      .pages = {pages[0], pages[1], pages[2], NULL, pages[3]}};
	CHECK_EQ(pmap_enter_window(pmap, &window, RWU, CACHE_WRITE_BACK), 0);
	CHECK(!pmap_query(pmap, start).accessed && !pmap_query(pmap, start).dirty);
	CHECK(has(start, 0, RWU) && has(start + PAGE_SIZE, 1, RU) && has(start + 2 * PAGE_SIZE, 2, RWU));
	CHECK(has(start + 3 * PAGE_SIZE, 0, RU) && has(start + 4 * PAGE_SIZE, 3, RWU));
	sizes(5, EMPTY_TABLES + 4);

	test_case("a window gives back what was withdrawn, to no more pages than it names");
	pmap_protect(pmap, BASE, BASE + 2 * BLOCK_2M, RU | VM_EXEC);
	CHECK(has(start, 0, RU) && has(start + 4 * PAGE_SIZE, 3, RU));
	window.count = 3;
	window.writable = 0x1;
	CHECK_EQ(pmap_enter_window(pmap, &window, RWU, CACHE_WRITE_BACK), 0);
	CHECK(has(start, 0, RWU) && has(start + PAGE_SIZE, 1, RU) && has(start + 2 * PAGE_SIZE, 2, RU));
	CHECK(has(start + 4 * PAGE_SIZE, 3, RU));
	sizes(5, EMPTY_TABLES + 4);

	test_case("a window takes no right away, and makes no table for what it does not name");
	window.writable = 0x7;
	CHECK_EQ(pmap_enter_window(pmap, &window, RU, CACHE_WRITE_BACK), 0);
	CHECK(has(start, 0, RWU) && has(start + PAGE_SIZE, 1, RU));
	window = (struct pmap_window){.start = BASE + BLOCK_1G, .count = PMAP_WINDOW};
	CHECK_EQ(pmap_enter_window(pmap, &window, RWU, CACHE_WRITE_BACK), 0);
	sizes(5, EMPTY_TABLES + 4);

	test_case("the next translation of a range");
	CHECK_EQ(pmap_next(pmap, BASE, BASE + BLOCK_1G), start);
	CHECK_EQ(pmap_next(pmap, start + PAGE_SIZE, BASE + BLOCK_1G), start + PAGE_SIZE);
	CHECK_EQ(pmap_next(pmap, start + 5 * PAGE_SIZE, BASE + BLOCK_1G), BASE + BLOCK_1G);
	CHECK_EQ(pmap_next(pmap, BASE, BASE), BASE);
	pmap_remove(pmap, BASE, BASE + BLOCK_1G);
	sizes(0, EMPTY_TABLES);
}

static void test_boundaries(void)
{
	static const uint64_t spans[] = {BLOCK_2M, BLOCK_1G, BLOCK_512G};

	test_case("ranges across table boundaries: exactly the tables that hold something");
	for (unsigned i = 0; i < 3; i++) {
		vaddr_t middle = BASE + spans[i], low = middle - PAGE_SIZE;
		uint64_t tables =
			EMPTY_TABLES + 4 + i; /* a way to `low`, and from where they part, one to `middle` */

		CHECK_EQ(enter(low, 0, RWU), 0);
		CHECK_EQ(enter(middle, 1, RWU), 0);
		sizes(2, tables);
		pmap_remove(pmap, BASE, low);
		pmap_remove(pmap, middle + PAGE_SIZE, middle + spans[i]);
		sizes(2, tables);
		pmap_protect(pmap, BASE, middle + spans[i], RU);
		CHECK(has(low, 0, RU) && has(middle, 1, RU));
		pmap_remove(pmap, low, middle);
		CHECK(has(low, 0, 0) && has(middle, 1, RU));
		sizes(1, EMPTY_TABLES + 3);
		CHECK_EQ(enter(low, 2, RWU), 0);
		pmap_remove(pmap, middle - spans[i], middle + spans[i]);
		CHECK(has(low, 0, 0) && has(middle, 1, 0));
		sizes(0, EMPTY_TABLES);
	}

	test_case("an empty range is no error");
	pmap_remove(pmap, BASE, BASE);
	pmap_protect(pmap, BASE, BASE, RU);
	sizes(0, EMPTY_TABLES);
}

#define MANY 40u /* pages: more than are named to the TLB one by one */

static void test_clear_tables(void)
{
	uint64_t cleared;

	test_case("tables that become empty are zeroed pages; but not those that are given up with what is "
		  "in them");
	page_zero_pool_enable(false);
	page_zero_pool_enable(true);
	CHECK_EQ(enter(BASE, 0, RWU), 0);
	pmap_remove(pmap, BASE, BASE + PAGE_SIZE);
	CHECK_EQ(zeroed_pages(), 3);
	cleared = page_stats().zero_misses;
	for (unsigned i = 0; i < MANY; i++)
		CHECK_EQ(enter(BASE + i * PAGE_SIZE, i % PAGES, RWU), 0);
	CHECK_EQ(page_stats().zero_misses, cleared);
	CHECK_EQ(zeroed_pages(), 0);
	pmap_remove(pmap, BASE, BASE + BLOCK_2M);
	CHECK_EQ(zeroed_pages(), 2);
	CHECK_EQ(enter(BASE + MANY * PAGE_SIZE, 1, RWU), 0);
	CHECK_EQ(pmap_next(pmap, BASE, BASE + BLOCK_2M), BASE + MANY * PAGE_SIZE);
	pmap_remove(pmap, BASE, BASE + BLOCK_2M);
}

static void test_many_pages(void)
{
	const unsigned count = 3 * 512 + 17;
	const vaddr_t start = BASE + BLOCK_1G - 700 * PAGE_SIZE, end = start + count * PAGE_SIZE;

	test_case("many pages, removed in one call and in pieces");
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < count; i++)
			CHECK_EQ(enter(start + i * PAGE_SIZE, i % PAGES, RWU), 0);
		CHECK_EQ(pmap_stats(pmap).resident_pages, count);
		if (round == 0) {
			pmap_remove(pmap, start, end);
		} else {
			pmap_remove(pmap, start + PAGE_SIZE, end - PAGE_SIZE);
			CHECK(has(start, 0, RWU) && has(end - PAGE_SIZE, (count - 1) % PAGES, RWU));
			CHECK_EQ(pmap_stats(pmap).resident_pages, 2);
			pmap_remove(pmap, BASE, BASE + BLOCK_512G);
		}
		for (unsigned i = 0; i < count; i++)
			CHECK(!pmap_query(pmap, start + i * PAGE_SIZE).page);
		sizes(0, EMPTY_TABLES);
	}
}

/* ---- The withdrawn right to write ------------------------------------------------------------- */

/* Places in a block of any size: where tables part inside it. */
static void withdraw(uint64_t span)
{
	const vaddr_t first = BASE, last = BASE + span - PAGE_SIZE, middle = BASE + span / 2;
	uint64_t tables;

	CHECK_EQ(enter(first, 0, ALL), 0);
	CHECK_EQ(enter(first + PAGE_SIZE, 1, RWU), 0);
	CHECK_EQ(enter(middle, 2, RWU), 0);
	CHECK_EQ(enter(last, 3, RU), 0);
	tables = pmap_stats(pmap).table_pages;
	pmap_protect(pmap, BASE, BASE + span, RXU);
	CHECK(has(first, 0, RXU) && has(first + PAGE_SIZE, 1, RU) && has(middle, 2, RU) && has(last, 3, RU));

	/* A read-only enter below changes nothing for the others, in a new table or an old one. */
	CHECK_EQ(enter(first + 2 * PAGE_SIZE, 3, RU), 0);
	CHECK_EQ(enter(middle - PAGE_SIZE, 3, RU), 0);
	CHECK(has(first, 0, RXU) && has(first + 2 * PAGE_SIZE, 3, RU) && has(middle - PAGE_SIZE, 3, RU));

	/* One page gets the right back: no other does. */
	CHECK_EQ(enter(middle, 2, RWU), 0);
	CHECK(has(first, 0, RXU) && has(first + PAGE_SIZE, 1, RU) && has(middle, 2, RWU) && has(last, 3, RU));
	CHECK(has(middle - PAGE_SIZE, 3, RU) && has(first + 2 * PAGE_SIZE, 3, RU));

	/* Withdrawn again, and a part of the block on its own. */
	pmap_protect(pmap, BASE, BASE + span, RXU);
	CHECK(has(middle, 2, RU));
	CHECK_EQ(enter(middle, 1, RWU), 0);
	CHECK_EQ(enter(first, 2, RWU), 0);
	pmap_protect(pmap, middle, BASE + span, RXU);
	CHECK(has(first, 2, RWU) && has(middle, 1, RU) && has(first + PAGE_SIZE, 1, RU));
	pmap_remove(pmap, first + 2 * PAGE_SIZE, first + 3 * PAGE_SIZE);
	pmap_remove(pmap, middle - PAGE_SIZE, middle);
	sizes(4, tables);

	/* Emptied while withdrawn, and made again: writable, with nothing else coming back. */
	pmap_protect(pmap, BASE, BASE + span, RXU);
	pmap_remove(pmap, first, first + 2 * PAGE_SIZE);
	CHECK_EQ(enter(first, 0, RWU), 0);
	CHECK(has(first, 0, RWU) && has(middle, 1, RU) && has(last, 3, RU));
	pmap_remove(pmap, BASE, BASE + span);
	sizes(0, EMPTY_TABLES);
	CHECK_EQ(enter(last, 0, RWU), 0);
	CHECK(has(last, 0, RWU));
	pmap_remove(pmap, BASE, BASE + span);
}

static void test_withdrawal(void)
{
	test_case("the right to write, withdrawn from pages");
	withdraw(16 * PAGE_SIZE);
	test_case("the right to write, withdrawn from 2 MiB");
	withdraw(BLOCK_2M);
	test_case("the right to write, withdrawn from 1 GiB");
	withdraw(BLOCK_1G);
	test_case("the right to write, withdrawn from 512 GiB");
	withdraw(BLOCK_512G);
	test_case("the right to write, withdrawn from several blocks and parts of some");
	withdraw(2 * BLOCK_1G + 6 * BLOCK_2M + 10 * PAGE_SIZE);
}

/* Withdrawn from all of a block but `less` bytes at one end, where another page lies: that one keeps the right. */
static void withdraw_beside(uint64_t span, uint64_t less)
{
	const vaddr_t first = BASE, last = BASE + span - PAGE_SIZE, middle = BASE + span / 2;

	CHECK_EQ(enter(first, 0, RWU), 0);
	CHECK_EQ(enter(middle, 1, RWU), 0);
	CHECK_EQ(enter(last, 2, RWU), 0);
	pmap_protect(pmap, BASE, BASE + span - less, RXU);
	CHECK(has(first, 0, RU) && has(middle, 1, less > span / 2 ? RWU : RU) && has(last, 2, RWU));
	CHECK_EQ(enter(first, 0, RWU), 0);
	CHECK_EQ(enter(middle, 1, RWU), 0);
	pmap_protect(pmap, BASE + less, BASE + span, RXU);
	CHECK(has(first, 0, RWU) && has(middle, 1, less > span / 2 ? RWU : RU) && has(last, 2, RU));

	/* With nothing beside, and then something new there. */
	pmap_remove(pmap, first, first + PAGE_SIZE);
	CHECK_EQ(enter(last, 2, RWU), 0);
	CHECK_EQ(enter(middle, 1, RWU), 0);
	pmap_protect(pmap, BASE + less, BASE + span, RXU);
	CHECK(has(middle, 1, less > span / 2 ? RWU : RU) && has(last, 2, RU));
	CHECK_EQ(enter(first, 3, RWU), 0);
	CHECK(has(first, 3, RWU) && has(middle, 1, less > span / 2 ? RWU : RU) && has(last, 2, RU));
	pmap_remove(pmap, BASE, BASE + span);
	sizes(0, EMPTY_TABLES);
}

static void test_withdrawal_beside(void)
{
	test_case("the right to write, withdrawn from a part of a block, and what is in the rest of it");
	withdraw_beside(BLOCK_2M, PAGE_SIZE);
	withdraw_beside(BLOCK_2M, BLOCK_2M - 64 * PAGE_SIZE);
	withdraw_beside(BLOCK_1G, PAGE_SIZE);
	withdraw_beside(BLOCK_1G, BLOCK_2M);
	withdraw_beside(BLOCK_1G, BLOCK_1G - 64 * BLOCK_2M + PAGE_SIZE);
	withdraw_beside(BLOCK_512G, PAGE_SIZE);
	withdraw_beside(BLOCK_512G, BLOCK_512G - 64 * BLOCK_1G);
}

static void test_withdrawal_below_kernel(void)
{
	const vaddr_t low = LAYOUT_PRIVATE_START, high = LAYOUT_PRIVATE_END - PAGE_SIZE;

	test_case("withdrawing all of private space leaves the kernel window alone");
	CHECK_EQ(enter(low, 0, RWU), 0);
	CHECK_EQ(enter(high, 1, RWU), 0);
	pmap_protect(pmap, LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END, RXU);
	CHECK(has(low, 0, RU) && has(high, 1, RU));
	CHECK_EQ(enter(high, 1, RWU), 0);
	CHECK(has(low, 0, RU) && has(high, 1, RWU));
	for (vaddr_t va = LAYOUT_KERNEL_START; va < LAYOUT_KERNEL_END; va += PAGE_SIZE) {
		struct pmap_query own = pmap_query(pmap, va), kernel = pmap_query(&kernel_pmap, va);
		/* On the way through a user's tables ring 3 has a say, but it reaches the gate area only. */
		vm_prot_t user = va >= LAYOUT_GATE_START && own.page ? own.prot & VM_USER : 0;

		if (!CHECK(own.page == kernel.page && own.prot == (kernel.prot | user)))
			break;
	}
	pmap_remove(pmap, LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END);
	sizes(0, EMPTY_TABLES);
}

/* ---- Windows of the kernel -------------------------------------------------------------------- */

/* Is the kernel's translation at `va` this one, seen from all sides? */
static bool kernel_has(vaddr_t va, unsigned page, vm_prot_t prot)
{
	struct pmap_query kernel = pmap_query(&kernel_pmap, va), own = pmap_query(pmap, va);
	uint64_t word = page;

	if (kernel.page != (prot ? pages[page] : NULL) || own.page != kernel.page ||
	    own.prot != kernel.prot || kernel.prot != prot)
		return false;
	if (!probe_access)
		return true;
	return probe_access(va, VM_READ, &word) == (prot != 0) && word == page &&
	       probe_access(va, VM_WRITE, &word) == ((prot & VM_WRITE) != 0) &&
	       !probe_access(va, VM_READ | VM_USER, &word);
}

static void test_kernel_windows(void)
{
	static const vaddr_t places[] = {LAYOUT_GATE_START - PAGE_SIZE, LAYOUT_SYSTEM_END - PAGE_SIZE,
					 LAYOUT_DYNAMIC_END - PAGE_SIZE, LAYOUT_DYNAMIC_END - 8 * BLOCK_1G};
	const vm_prot_t rw = VM_READ | VM_WRITE;

	test_case("what the kernel enters in its windows is in every pmap at once");
	for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
		vaddr_t va = places[i];

		if (!CHECK(kernel_has(va, 0, 0)))
			continue;
		CHECK_EQ(pmap_enter(&kernel_pmap, va, pages[0], rw, CACHE_WRITE_BACK), 0);
		CHECK(kernel_has(va, 0, rw));
		CHECK_EQ(pmap_enter(&kernel_pmap, va, pages[1], rw, CACHE_WRITE_BACK), 0);
		CHECK(kernel_has(va, 1, rw));
		pmap_protect(&kernel_pmap, va, va + PAGE_SIZE, VM_READ);
		CHECK(kernel_has(va, 1, VM_READ));
		CHECK_EQ(pmap_enter(&kernel_pmap, va, pages[1], rw, CACHE_WRITE_BACK), 0);
		CHECK(kernel_has(va, 1, rw));
		pmap_remove(&kernel_pmap, va, va + PAGE_SIZE);
		CHECK(kernel_has(va, 1, 0));
	}
	sizes(0, EMPTY_TABLES);
}

/* ---- No memory -------------------------------------------------------------------------------- */

/* Takes all pages that there are, as a list. */
static struct page *hoard(void)
{
	struct page *list = NULL, *page;

	while ((page = page_alloc(PAGE_KERNEL, 0)) != NULL) {
		page->next = list;
		list = page;
	}
	return list;
}

static struct page *give_back(struct page *list)
{
	struct page *next = list->next;

	page_free(list);
	return next;
}

static void test_no_memory(void)
{
	const vaddr_t below = BASE + BLOCK_1G;
	struct pmap *other = NULL;
	struct page *list, *rest;
	int error;

	test_case("enter without memory for tables: -ENOMEM, and nothing has changed");
	CHECK_EQ(enter(BASE, 0, RWU), 0);
	pmap_protect(pmap, BASE, BASE + BLOCK_512G, RXU);
	list = hoard();
	CHECK_EQ(pmap_create(&other), -ENOMEM);
	CHECK(other == NULL);
	while (list && (error = enter(below, 1, RWU)) != 0) {
		CHECK_EQ(error, -ENOMEM);
		sizes(1, EMPTY_TABLES + 3);
		CHECK(has(BASE, 0, RU) && has(below, 0, 0));
		list = give_back(list);
	}
	CHECK(has(BASE, 0, RU) && has(below, 1, RWU));
	sizes(2, EMPTY_TABLES + 5);

	/* The tables being there, nothing is needed. */
	rest = hoard();
	CHECK_EQ(enter(BASE + PAGE_SIZE, 2, RWU), 0);
	CHECK(has(BASE, 0, RU) && has(BASE + PAGE_SIZE, 2, RWU));
	while (list)
		list = give_back(list);
	while (rest)
		rest = give_back(rest);
	pmap_remove(pmap, BASE, BASE + BLOCK_512G);
	sizes(0, EMPTY_TABLES);
}

/* ---- A model ---------------------------------------------------------------------------------- */

/* Places that share tables with their neighbours at every level, or do not. */
static const vaddr_t places[] = {
	BASE,
	BASE + PAGE_SIZE,
	BASE + BLOCK_2M - PAGE_SIZE,
	BASE + BLOCK_2M,
	BASE + 5 * BLOCK_2M,
	BASE + BLOCK_1G - PAGE_SIZE,
	BASE + BLOCK_1G,
	BASE + BLOCK_1G + 7 * PAGE_SIZE,
	BASE + 3 * BLOCK_1G,
	BASE + BLOCK_512G - PAGE_SIZE,
	BASE + BLOCK_512G,
	BASE + BLOCK_512G + BLOCK_2M,
};
#define PLACES (sizeof places / sizeof places[0])

static struct {
	vm_prot_t prot; /* 0: no translation */
	unsigned page;
} model[PLACES];

static uint64_t random_state;

static unsigned random_below(unsigned limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % limit;
}

/* Tables that the model's translations need: one for each different block at each level. */
static uint64_t model_tables(void)
{
	static const uint64_t spans[] = {BLOCK_2M, BLOCK_1G, BLOCK_512G};
	uint64_t tables = EMPTY_TABLES;

	for (unsigned level = 0; level < 3; level++) {
		uint64_t last = 0;

		for (unsigned i = 0; i < PLACES; i++) {
			if (!model[i].prot || places[i] / spans[level] == last)
				continue;
			last = places[i] / spans[level];
			tables++;
		}
	}
	return tables;
}

static void step(void)
{
	static const uint64_t grains[] = {PAGE_SIZE, BLOCK_2M, BLOCK_1G, BLOCK_512G};
	static const vm_prot_t rights[] = {RXU, RXU, RXU, RU, VM_READ | VM_EXEC, RWU, 0};
	uint64_t grain = grains[random_below(4)];
	unsigned place = random_below(PLACES), page = random_below(PAGES), op = random_below(8);
	vm_prot_t prot = VM_READ | VM_USER | random_below(ALL + 1);
	vaddr_t start = places[place] & ~(grain - 1), end = start + grain * (1 + random_below(4));

	if (op < 4) {
		CHECK_EQ(enter(places[place], page, prot), 0);
		model[place].prot = prot;
		model[place].page = page;
		return;
	}
	prot = op == 4 ? 0 : rights[random_below(sizeof rights)];
	if (op == 4)
		pmap_remove(pmap, start, end);
	else
		pmap_protect(pmap, start, end, prot);
	for (unsigned i = 0; i < PLACES; i++) {
		if (places[i] >= start && places[i] < end)
			model[i].prot = prot & VM_READ ? model[i].prot & (prot | VM_USER) : 0;
	}
}

static void test_model(void)
{
	enum { STEPS = 3000 };

	test_case("a random stream of operations agrees with a model");
	random_state = 1;
	memset(model, 0, sizeof model);
	for (unsigned n = 0; n < STEPS; n++) {
		uint64_t resident = 0;
		bool agrees = true;

		step();
		for (unsigned i = 0; i < PLACES; i++) {
			resident += model[i].prot != 0;
			agrees &= has(places[i], model[i].page, model[i].prot);
		}
		if (!CHECK(agrees) || !sizes(resident, model_tables())) {
			test_print("# at step %u", n);
			break;
		}
	}
	pmap_remove(pmap, LAYOUT_ARENAS_START, LAYOUT_ARENAS_END);
	sizes(0, EMPTY_TABLES);
}

void suite_pmap(void)
{
	uint64_t free_pages, kernel_tables;

	test_life();
	free_pages = page_stats().free_pages;
	kernel_tables = pmap_stats(&kernel_pmap).table_pages;
	if (!set_up())
		return;
	test_rights();
	test_replace();
	test_protect();
	test_harvest();
	test_contents();
	test_window();
	test_boundaries();
	test_clear_tables();
	test_many_pages();
	test_withdrawal();
	test_withdrawal_beside();
	test_withdrawal_below_kernel();
	test_kernel_windows();
	test_no_memory();
	test_model();
	test_case("all pages come back, but for tables in the kernel's windows");
	tear_down();
	kernel_tables = pmap_stats(&kernel_pmap).table_pages - kernel_tables;
	CHECK_EQ(page_stats().free_pages, free_pages - kernel_tables);
}
