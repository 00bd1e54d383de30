/*
 * pmap: an address space's hardware page tables, behind the contract of include/vm/pmap.h.
 *
 * Real 4-level tables: enter, remove, protect, and the invalidations they owe. Why
 * a page is mapped is map.c's and fault.c's business; looking without changing is pmap_look.c's; the kernel's own tables are made by memory_init.c; an
 * entry's bits are in pte.h. Reading order: pmap_enter, then withdrawal below, then pmap_remove.
 *
 * Sharing. A process owns its PML4, the PDPT of the lowest 512 GiB, and in that the directory of
 * the second GiB, which holds 64 entries of the kernel window beside its own. Everything else of the
 * kernel's is reached by entries copied from kernel_pmap's tables (see pmap_internal.h). Tables of the
 * kernel's are never freed, so a walk through them needs no lock.
 *
 * Accounting. page->in_use of a table's page is the number of present entries in it, shared ones included. A
 * table of a process whose count falls to 0 is unlinked at once, and freed when no CPU can be walking it.
 * The three permanent ones never get there, as each holds something of the kernel's.
 *
 * Withdrawal. The CPU and's the W bits of all levels (SDM 3, 4.6.1). So pmap_protect takes the right to
 * write from an aligned block by clearing W in the one entry that covers it. The W bits below stay as they are and
 * mean nothing: W clear in an entry above the leaves says "nobody may write below". To let one page be
 * written, pmap_enter hands the withdrawal down: it clears W in all entries of the table below, only then sets W
 * above, and so on down to the page table. The kernel's entries, which are copied, are never withdrawn like this.
 */
#include "pmap_internal.h"

#include <asm-generic/errno-base.h>
#include <hw.h>
#include <vm/page.h>
#include <vm/slab.h>

/* Bits of every entry that leads to a table; the leaf decides, so all rights are on. */
#define TABLE_BITS (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)

/* Tables that a user pmap has from its creation to its end. */
#define PERMANENT_TABLES 3

/* Entries that are looked at in one go where most are absent. */
#define ENTRIES_AT_ONCE 8u

#define PRIVATE_PML4 pte_index(LAYOUT_PRIVATE_START, 4)
#define KERNEL_PDPT  pte_index(LAYOUT_KERNEL_START, 3)
#define KERNEL_PDE   pte_index(LAYOUT_KERNEL_START, 2)
#define SYSTEM_PDPT  pte_index(LAYOUT_SYSTEM_START, 3)
#define ARENAS_PDPT  pte_index(LAYOUT_ARENAS_START, 3)
#define PAGES_PML4   pte_index(LAYOUT_PAGES_START, 4)
#define SHARED_PML4S (pte_index(LAYOUT_PHYSICAL_END - 1, 4) + 1)

/* Where each may have translations of its own. */
static const struct region user_regions[PMAP_REGIONS] = {
	{LAYOUT_ARENAS_START, LAYOUT_ARENAS_END - LAYOUT_ARENAS_START},
	{LAYOUT_PRIVATE_START, LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START},
};
static const struct region kernel_regions[PMAP_REGIONS] = {
	{LAYOUT_DYNAMIC_START, LAYOUT_DYNAMIC_END - LAYOUT_DYNAMIC_START},
	{LAYOUT_KERNEL_START, LAYOUT_SYSTEM_END - LAYOUT_KERNEL_START},
};

struct pmap kernel_pmap = {
	.lock = ENV_SPINLOCK_INIT(RANK_PMAP, "kernel pmap"),
	.regions = kernel_regions,
	.leaf_bits = PTE_GLOBAL,
	.way = {.block = NO_BLOCK},
};

paddr_t kernel_pml4;
void (*pmap_shootdown)(uint64_t cpus, const struct flush *flush);

static struct slab_cache pmap_cache;

/* What each CPU runs on; NULL before its first activation. Only the CPU itself uses its place. */
static struct pmap *running[ENV_MAX_CPUS];

/* Leaf bits by vm_prot_t and by enum vm_cache. */
static pte_t prot_bits[(VM_ALL | VM_USER) + 1];
static const pte_t cache_bits[] = {
	[CACHE_WRITE_BACK] = PTE_CACHE_WB,
	[CACHE_WRITE_COMBINING] = PTE_CACHE_WC,
	[CACHE_UNCACHED] = PTE_CACHE_UC,
};

/* ---- Entries ---------------------------------------------------------------------------------- */

static inline bool is_kernel(const struct pmap *pmap)
{
	return pmap == &kernel_pmap;
}

bool pmap_owns_range(const struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	for (unsigned i = 0; i < PMAP_REGIONS; i++) {
		vaddr_t low = pmap->regions[i].start, high = low + pmap->regions[i].bytes;

		if (low <= start && start <= end && end <= high)
			return true;
	}
	return false;
}

/* Is any of the entries from `first` to before `end` present? */
static bool any_present(const pte_t *entries, unsigned first, unsigned end)
{
	pte_t all = 0;

#pragma GCC unroll 8
	for (unsigned i = first; i < end; i++)
		all |= pte_load(&entries[i]);
	return all & PTE_PRESENT;
}

/* ---- Invalidation ----------------------------------------------------------------------------- */

/* Not an initializer: the array need not be cleared. */
static inline void flush_init(struct flush *flush)
{
	flush->full = false;
	flush->count = 0;
}

static void flush_add(struct flush *flush, vaddr_t va)
{
	if (flush->count < FLUSH_MAX)
		flush->va[flush->count++] = va;
	else
		flush->full = true;
}

/*
 * Either way, the paging-structure caches are emptied too, whatever the address: there are no
 * PCIDs (SDM 3, 4.10.4.1). That is what makes it safe to free tables after a flush of their last leaf.
 */
void pmap_flush_local(const struct flush *flush)
{
	if (!flush->full) {
		for (unsigned i = 0; i < flush->count; i++)
			invlpg(flush->va[i]);
	} else if (flush->global) {
		uint64_t cr4 = read_cr4();

		write_cr4(cr4 ^ X86_CR4_PGE);
		write_cr4(cr4);
	} else {
		write_cr3(read_cr3());
	}
}

/* Returns when no CPU can use what was taken from the tables and noted in `flush`. Pmap locked. */
static void flush_run(struct pmap *pmap, struct flush *flush)
{
	uint64_t cpus, self = (uint64_t)1 << env_cpu();

	PMAP_ASSERT_LOCKED(pmap);
	if (!flush->full && flush->count == 0)
		return;
	flush->global = is_kernel(pmap);
	cpus = pmap->active;
	if (cpus & self)
		pmap_flush_local(flush);
	if (cpus & ~self) {
		ASSERT(pmap_shootdown != NULL);
		pmap_shootdown(cpus & ~self, flush);
	}
}

/* ---- Life ------------------------------------------------------------------------------------- */

/* Counts what is in a boot-time table and those below, so that they are kept like later ones. */
static void adopt_table(paddr_t table, unsigned level)
{
	struct page *page = page_from_paddr(table);
	const pte_t *entries = table_entries(table);

	page->owner = &kernel_pmap;
	page->in_use = 0;
	kernel_pmap.tables++;
	for (unsigned i = 0; i < PTE_ENTRIES; i++) {
		if (!(entries[i] & PTE_PRESENT))
			continue;
		page->in_use++;
		if (!pte_is_leaf(entries[i], level))
			adopt_table(pte_frame(entries[i]), level - 1);
	}
}

void pmap_init(void)
{
	bool have_nx = (rdmsr(MSR_EFER) & EFER_NXE) != 0;

	for (unsigned prot = 0; prot <= (VM_ALL | VM_USER); prot++) {
		pte_t bits = PTE_PRESENT | PTE_ACCESSED;

		if (prot & VM_WRITE)
			bits |= PTE_WRITE | PTE_DIRTY;
		if (prot & VM_USER)
			bits |= PTE_USER;
		if (!(prot & VM_EXEC) && have_nx)
			bits |= PTE_NX;
		prot_bits[prot] = bits;
	}
	ASSERT(kernel_pml4 != 0 && running[env_cpu()] == NULL);
	kernel_pmap.top_paddr = kernel_pml4;
	kernel_pmap.top = table_entries(kernel_pml4);
	adopt_table(kernel_pml4, PTE_LEVELS);
	kernel_pmap.active = (uint64_t)1 << env_cpu();
	running[env_cpu()] = &kernel_pmap;
	slab_cache_init(&pmap_cache, "pmap", sizeof(struct pmap));
}

/* `are_clear`: every entry of every table is 0. */
static void free_tables(struct page *list, bool are_clear)
{
	while (list) {
		struct page *next = list->next;

		if (are_clear)
			page_free_zeroed(list);
		else
			page_free(list);
		list = next;
	}
}

/* Allocates `count` zeroed tables as a list through page->next, or none. False: no memory. */
static bool alloc_tables(struct pmap *pmap, unsigned count, struct page **list)
{
	*list = NULL;
	while (count-- > 0) {
		struct page *page = page_alloc(PAGE_TABLE, PAGE_ALLOC_ZERO);

		if (!page) {
			free_tables(*list, true);
			return false;
		}
		page->owner = pmap;
		page->next = *list;
		*list = page;
	}
	return true;
}

/* Takes a table off a list of alloc_tables(), for the pmap: from now on it is in the pmap's own list. */
static struct page *take_table(struct pmap *pmap, struct page **list)
{
	struct page *page = *list;

	*list = page->next;
	page->previous = NULL;
	page->next = pmap->table_list;
	if (page->next)
		page->next->previous = page;
	pmap->table_list = page;
	pmap->tables++;
	return page;
}

/* Moves a table from the pmap's list to one of tables that are to be freed. Pmap locked. */
static void drop_table(struct pmap *pmap, struct page *page, struct page **list)
{
	PMAP_ASSERT_LOCKED(pmap);
	DEBUG_ASSERT(pmap->tables > 0 && page->owner == pmap);
	if (page->next)
		page->next->previous = page->previous;
	*(page->previous ? &page->previous->next : &pmap->table_list) = page->next;
	pmap->tables--;
	page->next = *list;
	*list = page;
}

static void put_entry(struct page *table, unsigned index, pte_t pte)
{
	pte_t *entries = page_data(table);

	if (pte & PTE_PRESENT) {
		pte_fill(&entries[index], pte);
		table->in_use++;
	}
}

int pmap_create(struct pmap **out)
{
	struct pmap *pmap = slab_alloc(&pmap_cache);
	struct page *list, *pml4, *pdpt, *directory;
	pte_t *kernel_top = kernel_pmap.top, *kernel_pdpt, *kernel_directory;

	if (!pmap)
		return -ENOMEM;
	if (!alloc_tables(pmap, PERMANENT_TABLES, &list)) {
		slab_free(&pmap_cache, pmap);
		return -ENOMEM;
	}
	*pmap = (struct pmap){.regions = user_regions, .way = {.block = NO_BLOCK}};
	spin_init(&pmap->lock, RANK_PMAP, "pmap");
	pml4 = take_table(pmap, &list);
	pdpt = take_table(pmap, &list);
	directory = take_table(pmap, &list);
	pmap->top = page_data(pml4);
	pmap->top_paddr = page_paddr(pml4);
	kernel_pdpt = table_entries(pte_frame(kernel_top[PRIVATE_PML4]));
	kernel_directory = table_entries(pte_frame(kernel_pdpt[KERNEL_PDPT]));

	for (unsigned i = KERNEL_PDE; i < PTE_ENTRIES; i++)
		put_entry(directory, i, kernel_directory[i]);
	put_entry(pdpt, KERNEL_PDPT, page_paddr(directory) | TABLE_BITS | PTE_USER);
	for (unsigned i = SYSTEM_PDPT; i < ARENAS_PDPT; i++)
		put_entry(pdpt, i, kernel_pdpt[i]);
	put_entry(pml4, PRIVATE_PML4, page_paddr(pdpt) | TABLE_BITS | PTE_USER);
	for (unsigned i = PAGES_PML4; i < SHARED_PML4S; i++)
		put_entry(pml4, i, kernel_top[i]);

	*out = pmap;
	return 0;
}

void pmap_activate(struct pmap *pmap)
{
	unsigned cpu = env_cpu();
	struct pmap *before = running[cpu];

	ASSERT(cpu < ENV_MAX_CPUS);
	if (before == pmap)
		return;
	ASSERT(before || is_kernel(pmap));

	/* In the mask before the first walk, and until after the last; in the kernel's mask for ever. */
	pmap->active |= (uint64_t)1 << cpu;
	running[cpu] = pmap;
	write_cr3(pmap->top_paddr);
	if (before && !is_kernel(before))
		before->active &= ~((uint64_t)1 << cpu);
}

/* ---- Enter ------------------------------------------------------------------------------------ */

/*
 * Hands a withdrawn right to write down from `slot`, an entry above the leaves, to the table below.
 *
 * No effective right changes, and nothing has to be invalidated: a CPU that cached an entry of the
 * table below since the withdrawal cached it with the and of W on the way to it, which is 0 (SDM 3, 4.10.3.1;
 * what was cached before was flushed by the withdrawal), and a walk under way that finds W set in `slot`
 * reads the table after that, when W is clear in it. A cached W=0 that outlives this costs its CPU one
 * spurious fault, which drops it (4.10.4.1).
 */
static void hand_down(pte_t *slot)
{
	struct page *below = page_from_paddr(pte_frame(*slot));
	pte_t *entries = page_data(below);

	DEBUG_ASSERT(below->owner != &kernel_pmap);
	for (unsigned i = 0, live = below->in_use; live > 0; i++) {
		pte_t pte;

		while (i % ENTRIES_AT_ONCE == 0 && !any_present(entries, i, i + ENTRIES_AT_ONCE))
			i += ENTRIES_AT_ONCE;
		pte = pte_load(&entries[i]);
		if (!(pte & PTE_PRESENT))
			continue;
		live--;
		if (pte & PTE_WRITE)
			pte_clear(&entries[i], PTE_WRITE);
	}
	pte_set(slot, PTE_WRITE);
}

/*
 * Makes the way down to the page table of `va`, and with `write` a way with W set at each level. All memory
 * is allocated before anything changes. The table, or 0: no memory.
 */
static __attribute__((noinline)) paddr_t make_way(struct pmap *pmap, vaddr_t va, bool write)
{
	pte_t link = is_kernel(pmap) ? TABLE_BITS : TABLE_BITS | PTE_USER;
	paddr_t table = pmap->top_paddr;
	struct page *spare;
	unsigned level;

	PMAP_ASSERT_LOCKED(pmap);
	for (level = PTE_LEVELS; level > 1; level--) {
		pte_t pte = table_entries(table)[pte_index(va, level)];

		if (!(pte & PTE_PRESENT))
			break;
		ASSERT(!pte_is_leaf(pte, level));
		table = pte_frame(pte);
	}
	if (!alloc_tables(pmap, level - 1, &spare))
		return 0;

	table = pmap->top_paddr;
	for (level = PTE_LEVELS; level > 1; level--) {
		pte_t *slot = &table_entries(table)[pte_index(va, level)];

		if (!(*slot & PTE_PRESENT))
			put_entry(page_from_paddr(table), pte_index(va, level),
				  page_paddr(take_table(pmap, &spare)) | link);
		else if (write && !(*slot & PTE_WRITE))
			hand_down(slot);
		table = pte_frame(*slot);
	}
	return table;
}

/*
 * Replaces a present leaf. CPUs have to be told only if something is taken away, which is noted in `flush`; the first use of a
 * right that is added faults at most once where the old translation is cached, and the fault drops it
 * (SDM 3, 4.10.4.1 and 4.10.4.3).
 */
static void replace_leaf(vaddr_t va, pte_t *slot, pte_t leaf, struct flush *flush)
{
	const pte_t identity = PTE_FRAME | PTE_PWT | PTE_PCD;
	pte_t old = pte_load(slot);

	if (((old ^ leaf) & PTE_FRAME) == 0)
		leaf |= old & (PTE_DIRTY | PTE_ACCESSED);
	old = pte_exchange(slot, leaf);
	if (((old ^ leaf) & identity) || (old & ~leaf & (PTE_WRITE | PTE_USER)) || (leaf & ~old & PTE_NX))
		flush_add(flush, va);
}

/* The page table of `va` if every entry on the way there has the bits `need`; 0 if one has not. */
static paddr_t find_way(const struct pmap *pmap, vaddr_t va, pte_t need)
{
	paddr_t table = pmap->top_paddr;

#pragma GCC unroll 3
	for (unsigned level = PTE_LEVELS; level > 1; level--) {
		pte_t pte = pte_load(&table_entries(table)[pte_index(va, level)]);

		if (unlikely(need & ~pte))
			return 0;
		table = pte_frame(pte);
	}
	return table;
}

static inline vaddr_t block_of(vaddr_t va)
{
	return va / pte_span(2);
}

static inline void forget_way(struct pmap *pmap)
{
	pmap->way.block = NO_BLOCK;
}

/* Fills an empty place in the page table `page`. Pmap locked. */
static inline void fill_place(struct pmap *pmap, struct page *page, pte_t *slot, pte_t leaf)
{
	PMAP_ASSERT_LOCKED(pmap);
	pte_fill(slot, leaf);
	page->in_use++;
	pmap->resident++;
}

/* What is remembered of the way to a page table, if W is set all the way, as it is where something writable is entered. */
static inline void remember_way(struct pmap *pmap, vaddr_t va, paddr_t table, pte_t leaf)
{
	if (likely(leaf & PTE_WRITE))
		pmap->way = (struct way){block_of(va), table_entries(table), page_from_paddr(table)};
}

/* The page table of `va`, with W set on the way to it if the leaf has W; 0: no memory. */
static paddr_t find_or_make_way(struct pmap *pmap, vaddr_t va, pte_t leaf)
{
	paddr_t table = find_way(pmap, va, leaf & (PTE_PRESENT | PTE_WRITE));

	if (!table)
		table = make_way(pmap, va, leaf & PTE_WRITE);
	if (table)
		remember_way(pmap, va, table, leaf);
	return table;
}

/* The rest of pmap_enter(), step by step, where something has to be made or replaced. Unlocks the pmap. */
static __attribute__((noinline)) int enter_with_care(struct pmap *pmap, vaddr_t va, pte_t leaf)
{
	paddr_t table = find_or_make_way(pmap, va, leaf);
	struct flush flush;
	pte_t *slot;

	if (!table) {
		spin_unlock(&pmap->lock);
		return -ENOMEM;
	}
	flush_init(&flush);
	slot = table_entries(table) + pte_index(va, 1);
	if (pte_load(slot) & PTE_PRESENT)
		replace_leaf(va, slot, leaf, &flush);
	else
		fill_place(pmap, page_from_paddr(table), slot, leaf);
	flush_run(pmap, &flush);
	spin_unlock(&pmap->lock);
	return 0;
}

/* The rest of pmap_enter() where the way is not that of the last time. Unlocks the pmap. */
static __attribute__((noinline)) int enter_elsewhere(struct pmap *pmap, vaddr_t va, pte_t leaf)
{
	paddr_t table = find_way(pmap, va, leaf & (PTE_PRESENT | PTE_WRITE));
	pte_t *slot = table_entries(table) + pte_index(va, 1);

	if (unlikely(!table) || unlikely(pte_load(slot) & PTE_PRESENT))
		return enter_with_care(pmap, va, leaf);
	remember_way(pmap, va, table, leaf);
	fill_place(pmap, page_from_paddr(table), slot, leaf);
	spin_unlock(&pmap->lock);
	return 0;
}

/* pmap_enter() where the lock is another CPU's. */
static __attribute__((noinline)) int enter_waiting(struct pmap *pmap, vaddr_t va, pte_t leaf)
{
	spin_lock(&pmap->lock);
	return enter_with_care(pmap, va, leaf);
}

static __attribute__((noinline)) int enter_nothing(struct pmap *pmap, vaddr_t va)
{
	pmap_remove(pmap, va, va + PAGE_SIZE);
	return 0;
}

/*
 * Without VM_READ nothing can be entered, as x86 has no such right to withhold: the place is then empty. The usual
 * cases call nothing, and so save no registers.
 */
int pmap_enter(struct pmap *pmap, vaddr_t va, struct page *page, vm_prot_t prot, enum vm_cache cache)
{
	pte_t leaf = page_paddr(page) | prot_bits[prot] | cache_bits[cache] | pmap->leaf_bits;
	pte_t *slot;

	ASSERT(owns_page(pmap, va));
	if (unlikely(!(prot & VM_READ)))
		return enter_nothing(pmap, va);
	if (unlikely(!spin_trylock(&pmap->lock)))
		return enter_waiting(pmap, va, leaf);
	if (unlikely(pmap->way.block != block_of(va)))
		return enter_elsewhere(pmap, va, leaf);
	slot = &pmap->way.entries[pte_index(va, 1)];
	if (unlikely(pte_load(slot) & PTE_PRESENT))
		return enter_with_care(pmap, va, leaf);
	fill_place(pmap, pmap->way.page, slot, leaf);
	spin_unlock(&pmap->lock);
	return 0;
}

/* A part of a window at work: pages that have the same page table. */
struct part {
	struct page *const *pages;
	unsigned count;
	uint64_t writable;   /* a bit for each */
	vaddr_t va;          /* of the first */
	pte_t *slot;         /* likewise */
	pte_t read, write;   /* the bits of their leaves */
	struct flush *flush; /* what is to be forgotten of what they replace */
};

/* The place of page `i` is taken: it gets more rights, or the page is replaced. Pmap locked. */
static void enter_taken(const struct part *part, unsigned i, pte_t leaf)
{
	pte_t *slot = part->slot + i, old = pte_load(slot);

	if (((old ^ leaf) & ~(PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)) == 0) {
		if (leaf & ~old & PTE_WRITE)
			pte_set(slot, PTE_WRITE);
	} else if ((leaf & ~old) || ((old ^ leaf) & (PTE_FRAME | PTE_NX))) {
		replace_leaf(part->va + i * PAGE_SIZE, slot, leaf, part->flush);
	}
}

/* Enters the part's pages. Returns how many places were empty. Pmap locked. */
static __attribute__((noinline)) unsigned enter_mixed(const struct part *part)
{
	unsigned filled = 0;

	for (unsigned i = 0; i < part->count; i++) {
		struct page *page = part->pages[i];
		pte_t leaf = part->writable >> i & 1 ? part->write : part->read;

		if (!page)
			continue;
		leaf |= page_paddr(page);
		if (pte_load(&part->slot[i]) & PTE_PRESENT) {
			enter_taken(part, i, leaf);
		} else {
			pte_fill(&part->slot[i], leaf);
			filled++;
		}
	}
	return filled;
}

/* The same where all are writable, and all places empty: new pages, most of which follow one another in memory. */
static __attribute__((noinline)) void enter_new(const struct part *part)
{
	struct page *const *pages = part->pages;
	pte_t write = part->write, leaf = 0;
	const struct page *expected = NULL;
	unsigned count = part->count;
	pte_t *slot = part->slot;

#pragma GCC unroll 8
	for (unsigned i = 0; i < count; i++) {
		if (unlikely(pages[i] != expected)) {
			expected = pages[i];
			leaf = page_paddr(expected) | write;
		}
		pte_fill(&slot[i], leaf);
		expected++;
		leaf += PAGE_SIZE;
	}
}

/* Enters a part, of which the first page is there, so that no table stays empty. 0 or -ENOMEM. */
static int enter_part(struct pmap *pmap, struct part *part)
{
	uint64_t all = UINT64_MAX >> (PMAP_WINDOW - part->count);
	struct way way = pmap->way;
	unsigned filled;

	PMAP_ASSERT_LOCKED(pmap);
	DEBUG_ASSERT(part->count > 0 && part->pages[0]);
	if (way.block != block_of(part->va)) {
		paddr_t table =
			find_or_make_way(pmap, part->va, part->writable & all ? part->write : part->read);

		if (!table)
			return -ENOMEM;
		way.entries = table_entries(table);
		way.page = page_from_paddr(table);
	}
	part->slot = way.entries + pte_index(part->va, 1);
	if ((part->writable & all) == all && !any_present(part->slot, 0, part->count)) {
		enter_new(part);
		filled = part->count;
	} else {
		filled = enter_mixed(part);
	}
	way.page->in_use += filled;
	pmap->resident += filled;
	return 0;
}

/* Where there is no memory for one page table, what has another is entered all the same: it may replace something. */
int pmap_enter_window(struct pmap *pmap, const struct pmap_window *window, vm_prot_t prot,
		      enum vm_cache cache)
{
	pte_t bits = cache_bits[cache] | pmap->leaf_bits;
	vaddr_t last = window->start + window->count * PAGE_SIZE;
	struct flush flush;
	/* The CPU sets both bits itself when the page is used: these may never be. */
	struct part part = {.read = (prot_bits[prot & ~VM_WRITE] & ~PTE_ACCESSED) | bits,
			    .write = (prot_bits[prot] & ~(PTE_ACCESSED | PTE_DIRTY)) | bits,
			    .flush = &flush};
	unsigned i = 0;
	int error = 0;

	ASSERT(prot & VM_READ);
	ASSERT(window->count > 0 && window->count <= PMAP_WINDOW);
	ASSERT(pmap_owns_range(pmap, window->start, last));
	flush_init(&flush);
	spin_lock(&pmap->lock);
	while (i < window->count) {
		vaddr_t va = window->start + i * PAGE_SIZE;
		unsigned end = i + (unsigned)((block_end(va, last, 2) - va) >> PAGE_SHIFT);

		while (i < end && !window->pages[i])
			i++;
		if (i == end)
			continue;
		part.pages = &window->pages[i];
		part.count = end - i;
		part.writable = window->writable >> i;
		part.va = window->start + i * PAGE_SIZE;
		if (enter_part(pmap, &part))
			error = -ENOMEM;
		i = end;
	}
	flush_run(pmap, &flush);
	spin_unlock(&pmap->lock);
	return error;
}

/* ---- Remove ----------------------------------------------------------------------------------- */

/* What a removal leaves to be done: translations to be forgotten, and then tables to be freed. */
struct removal {
	struct flush flush;
	struct page *tables; /* with what was in them */
	struct page *clear_tables;
};

/* Empties a whole page table in one go, where naming its pages to the TLB would be too much. */
static bool drop_contents(struct pmap *pmap, struct page *table, struct removal *gone)
{
	if (gone->flush.count + table->in_use <= FLUSH_MAX)
		return false;
	pmap->resident -= table->in_use;
	table->in_use = 0;
	gone->flush.full = true;
	return true;
}

/* The first address from `va` on, at most `end`, whose entry at `level` is present; `va`'s is not. Most of large ranges is absent. */
static vaddr_t skip_absent(const pte_t *entries, vaddr_t va, vaddr_t end, unsigned level)
{
	unsigned i = pte_index(va, level) + 1;
	uint64_t span = pte_span(level);
	vaddr_t next = (va & ~(span - 1)) + span;

	while (i % ENTRIES_AT_ONCE == 0 && i < PTE_ENTRIES && next < end &&
	       !any_present(entries, i, i + ENTRIES_AT_ONCE)) {
		i += ENTRIES_AT_ONCE;
		next += ENTRIES_AT_ONCE * span;
	}
	return next < end ? next : end;
}

/* Empties [start, end) of a table at `level`, and unlinks the tables below that are then empty. */
static void remove_range(struct pmap *pmap, struct page *table, unsigned level, vaddr_t start, vaddr_t end,
			 struct removal *gone)
{
	pte_t *entries = page_data(table);
	vaddr_t next;

	PMAP_ASSERT_LOCKED(pmap);
	for (vaddr_t va = start; va < end && table->in_use > 0; va = next) {
		pte_t *slot = &entries[pte_index(va, level)];
		struct page *below;
		bool whole;

		next = block_end(va, end, level);
		if (!(pte_load(slot) & PTE_PRESENT)) {
			next = skip_absent(entries, va, end, level);
			continue;
		}
		if (level == 1) {
			pte_exchange(slot, 0);
			table->in_use--;
			pmap->resident--;
			flush_add(&gone->flush, va);
			continue;
		}
		ASSERT(!pte_is_leaf(*slot, level));
		below = page_from_paddr(pte_frame(*slot));
		DEBUG_ASSERT(is_kernel(pmap) || below->owner == pmap);
		whole = level == 2 && !is_kernel(pmap) && next - va == pte_span(level) &&
			drop_contents(pmap, below, gone);
		if (!whole)
			remove_range(pmap, below, level - 1, va, next, gone);
		if (below->in_use == 0 && !is_kernel(pmap)) {
			pte_exchange(slot, 0);
			table->in_use--;
			drop_table(pmap, below, whole ? &gone->tables : &gone->clear_tables);
		}
	}
}

void pmap_remove(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	struct removal gone;

	ASSERT(pmap_owns_range(pmap, start, end));
	flush_init(&gone.flush);
	gone.tables = gone.clear_tables = NULL;
	spin_lock(&pmap->lock);
	remove_range(pmap, page_from_paddr(pmap->top_paddr), PTE_LEVELS, start, end, &gone);
	flush_run(pmap, &gone.flush);
	if (gone.tables || gone.clear_tables)
		forget_way(pmap);
	spin_unlock(&pmap->lock);
	free_tables(gone.tables, false);
	free_tables(gone.clear_tables, true);
}

/* What it maps is not looked at: all of its tables are in a list. */
void pmap_destroy(struct pmap *pmap)
{
	ASSERT(!is_kernel(pmap) && pmap->active == 0 && pmap->tables >= PERMANENT_TABLES);
	free_tables(pmap->table_list, false);
	slab_free(&pmap_cache, pmap);
}

/* ---- Protect ---------------------------------------------------------------------------------- */

/* How many of the entries from `first` to before `end` are present. */
static unsigned count_present(const pte_t *entries, unsigned first, unsigned end)
{
	unsigned present = 0;

#pragma GCC unroll 8
	for (unsigned i = first; i < end; i++)
		present += (unsigned)(pte_load(&entries[i]) & PTE_PRESENT);
	return present;
}

static bool end_inside(const pte_t *entries, unsigned level, vaddr_t start, vaddr_t end);

/*
 * Is all that a table at `level` translates inside of [start, end)? Costs a look at half its entries at most, and the same
 * for the tables at the range's two ends.
 */
static bool all_inside(const struct page *table, unsigned level, vaddr_t start, vaddr_t end)
{
	unsigned first = pte_index(start, level), last = pte_index(end - 1, level);
	const pte_t *entries = page_data(table);
	bool inside;

	if (last - first < PTE_ENTRIES / 2)
		inside = count_present(entries, first, last + 1) == table->in_use;
	else
		inside = !any_present(entries, 0, first) && !any_present(entries, last + 1, PTE_ENTRIES);
	if (!inside || level == 1)
		return inside;
	/* Only the blocks at the two ends can lie in the range in part. */
	return end_inside(entries, level, start, block_end(start, end, level)) &&
	       (first == last || end_inside(entries, level, (end - 1) & ~(pte_span(level) - 1), end));
}

/* As all_inside, for what is below one entry of a table at `level`. */
static bool end_inside(const pte_t *entries, unsigned level, vaddr_t start, vaddr_t end)
{
	pte_t pte = pte_load(&entries[pte_index(start, level)]);

	return !(pte & PTE_PRESENT) || end - start == pte_span(level) ||
	       all_inside(page_from_paddr(pte_frame(pte)), level - 1, start, end);
}

/* Fewer entries than this are changed one by one: to hand write down again to all of a table would cost more. */
#define WITHDRAW_MIN 65u

/* May write be withdrawn in the entry at `slot`, for [start, end) below it? If nothing else is translated there. */
static bool may_withdraw(const pte_t *slot, unsigned level, vaddr_t start, vaddr_t end)
{
	if (end - start == pte_span(level))
		return true;
	return end - start >= WITHDRAW_MIN * pte_span(level - 1) &&
	       all_inside(page_from_paddr(pte_frame(pte_load(slot))), level - 1, start, end);
}

/* Clears the bits `clear` and sets `set` in the leaves of [start, end) of a table at `level`. */
static void protect_range(struct pmap *pmap, struct page *table, unsigned level, vaddr_t start, vaddr_t end,
			  pte_t clear, pte_t set, struct flush *flush)
{
	bool only_write = clear == PTE_WRITE && set == 0;
	pte_t *entries = page_data(table);
	vaddr_t next;

	PMAP_ASSERT_LOCKED(pmap);
	for (vaddr_t va = start; va < end; va = next) {
		pte_t *slot = &entries[pte_index(va, level)], pte = pte_load(slot);

		next = block_end(va, end, level);
		if (!(pte & PTE_PRESENT)) {
			next = skip_absent(entries, va, end, level);
			continue;
		}
		if (only_write && !(pte & PTE_WRITE))
			continue;
		if (level == 1) {
			if (!(pte & clear) && !(set & ~pte))
				continue;
			pte_set(slot, set);
			pte_clear(slot, clear);
			flush_add(flush, va);
		} else if (only_write && !is_kernel(pmap) && may_withdraw(slot, level, va, next)) {
			pte_clear(slot, PTE_WRITE);
			flush->full = true;
		} else {
			ASSERT(!pte_is_leaf(pte, level));
			protect_range(pmap, page_from_paddr(pte_frame(pte)), level - 1, va, next, clear, set,
				      flush);
		}
	}
}

void pmap_protect(struct pmap *pmap, vaddr_t start, vaddr_t end, vm_prot_t prot)
{
	pte_t clear = 0, set = prot_bits[prot] & PTE_NX;
	struct flush flush;

	if (!(prot & VM_READ)) {
		pmap_remove(pmap, start, end);
		return;
	}
	ASSERT(pmap_owns_range(pmap, start, end));
	if (!(prot & VM_WRITE))
		clear |= PTE_WRITE;
	flush_init(&flush);
	spin_lock(&pmap->lock);
	protect_range(pmap, page_from_paddr(pmap->top_paddr), PTE_LEVELS, start, end, clear, set, &flush);
	flush_run(pmap, &flush);
	forget_way(pmap);
	spin_unlock(&pmap->lock);
}
