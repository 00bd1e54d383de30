/*
 * What a pmap has: queries, the accessed bit, statistics. Nothing here makes or takes a translation; that is pmap.c.
 */
#include "pmap_internal.h"

#include <hw.h>
#include <vm/page.h>

/* The leaf that translates `va`, its level, and the rights of the way there; NULL: none. Pmap locked. */
static pte_t *find_leaf(struct pmap *pmap, vaddr_t va, unsigned *level, vm_prot_t *prot)
{
	paddr_t table = pmap->top_paddr;

	PMAP_ASSERT_LOCKED(pmap);
	*prot = VM_ALL | VM_USER;
	for (*level = PTE_LEVELS;; (*level)--) {
		pte_t *slot = &table_entries(table)[pte_index(va, *level)], pte = pte_load(slot);

		if (!(pte & PTE_PRESENT))
			return NULL;
		if (!(pte & PTE_WRITE))
			*prot &= ~VM_WRITE;
		if (!(pte & PTE_USER))
			*prot &= ~VM_USER;
		if (pte & PTE_NX)
			*prot &= ~VM_EXEC;
		if (pte_is_leaf(pte, *level))
			return slot;
		table = pte_frame(pte);
	}
}

struct pmap_query pmap_query(struct pmap *pmap, vaddr_t va)
{
	struct pmap_query found = {0};
	unsigned level;
	vm_prot_t prot;
	pte_t *slot;

	spin_lock(&pmap->lock);
	slot = find_leaf(pmap, va, &level, &prot);
	if (slot) {
		pte_t pte = pte_load(slot);
		uint64_t inside = va & (pte_span(level) - 1);

		/* In a large page the lowest frame bit is the PAT's: cut the frame to the page's size. */
		found.page = page_from_paddr((pte_frame(pte) & ~(pte_span(level) - 1)) + inside);
		found.prot = prot;
		found.accessed = (pte & PTE_ACCESSED) != 0;
		found.dirty = (pte & PTE_DIRTY) != 0;
	}
	spin_unlock(&pmap->lock);
	return found;
}

/* The first translated address of [start, end), which a table at `level` covers; `end`: none. Pmap locked. */
static vaddr_t next_below(const struct pmap *pmap, paddr_t table, unsigned level, vaddr_t start, vaddr_t end)
{
	vaddr_t next;

	PMAP_ASSERT_LOCKED(pmap);
	for (vaddr_t va = start; va < end; va = next) {
		pte_t pte = pte_load(&table_entries(table)[pte_index(va, level)]);
		vaddr_t found;

		next = block_end(va, end, level);
		if (!(pte & PTE_PRESENT))
			continue;
		if (pte_is_leaf(pte, level))
			return va;
		found = next_below(pmap, pte_frame(pte), level - 1, va, next);
		if (found < next)
			return found;
	}
	return end;
}

vaddr_t pmap_next(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	vaddr_t found;

	ASSERT(pmap_owns_range(pmap, start, end));
	spin_lock(&pmap->lock);
	found = next_below(pmap, pmap->top_paddr, PTE_LEVELS, start, end);
	spin_unlock(&pmap->lock);
	return found;
}

/* The entry for `va` in a page table; NULL: there is no page table. Pmap locked. */
static pte_t *find_place(const struct pmap *pmap, vaddr_t va)
{
	paddr_t table = pmap->top_paddr;

	PMAP_ASSERT_LOCKED(pmap);
	for (unsigned level = PTE_LEVELS; level > 1; level--) {
		pte_t pte = pte_load(&table_entries(table)[pte_index(va, level)]);

		if (!(pte & PTE_PRESENT) || pte_is_leaf(pte, level))
			return NULL;
		table = pte_frame(pte);
	}
	return &table_entries(table)[pte_index(va, 1)];
}

/*
 * A CPU that has the translation cached does not set the bit again until it forgets it (SDM 3,
 * 4.8). This CPU is made to forget; the others are not worth an interrupt, as the bit is only a hint.
 */
uint64_t pmap_harvest(struct pmap *pmap, vaddr_t start, unsigned count)
{
	vaddr_t end = start + count * PAGE_SIZE, next;
	bool active;
	uint64_t accessed = 0;

	ASSERT(count > 0 && count <= PMAP_WINDOW && pmap_owns_range(pmap, start, end));
	spin_lock(&pmap->lock);
	active = pmap->active & (uint64_t)1 << env_cpu();
	for (vaddr_t va = start; va < end; va = next) {
		pte_t *slot = find_place(pmap, va);

		next = block_end(va, end, 2);
		for (; slot && va < next; va += PAGE_SIZE, slot++) {
			if ((pte_load(slot) & (PTE_PRESENT | PTE_ACCESSED)) != (PTE_PRESENT | PTE_ACCESSED))
				continue;
			pte_clear(slot, PTE_ACCESSED);
			accessed |= (uint64_t)1 << ((va - start) >> PAGE_SHIFT);
			if (active)
				invlpg(va);
		}
	}
	spin_unlock(&pmap->lock);
	return accessed;
}

struct pmap_stats pmap_stats(struct pmap *pmap)
{
	struct pmap_stats stats;

	spin_lock(&pmap->lock);
	stats.resident_pages = pmap->resident;
	stats.table_pages = pmap->tables;
	spin_unlock(&pmap->lock);
	return stats;
}
