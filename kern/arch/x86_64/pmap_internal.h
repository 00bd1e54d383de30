/*
 * What pmap.c shares with the rest of kern/arch/x86_64: taking over the boot page tables, and the
 * place where a second CPU's invalidations come in.
 *
 * The contract with the VM core is include/vm/pmap.h. memory_init.c makes the kernel's tables and
 * sets kernel_pml4; pmap_init() then starts pmap.c.
 */
#ifndef ARCH_PMAP_INTERNAL_H
#define ARCH_PMAP_INTERNAL_H

#include <vm/env.h>
#include <vm/layout.h>
#include <vm/pmap.h>

#include <pte.h>

/*
 * The page table of an aligned block of addresses, to which W is set all the way. Faults come in runs, and most
 * need the table of the one before. Forgotten when a table is unlinked or W withdrawn.
 */
struct way {
	vaddr_t block; /* the addresses' common bits, or NO_BLOCK */
	pte_t *entries;
	struct page *page;
};
#define NO_BLOCK UINT64_MAX

/* Where a pmap may have translations of its own. */
struct region {
	vaddr_t start;
	uint64_t bytes;
};

/*
 * Locks: (l) the pmap's lock; (a) atomic; (-) set before anyone else sees the structure.
 */
#define PMAP_REGIONS 2
struct pmap {
	struct spinlock lock;
	const struct region *regions; /* (-) PMAP_REGIONS ranges that its own translations are in */
	pte_t leaf_bits;              /* (-) or'ed to every leaf: PTE_GLOBAL in the kernel's */
	pte_t *top;                   /* (-) the PML4, through the physical map */
	paddr_t top_paddr;            /* (-) */
	struct way way;               /* (l) the last page table that something writable was entered in */
	uint64_t resident;            /* (l) leaf entries made by pmap_enter and not yet removed */
	uint64_t tables;              /* (l) table pages this pmap allocated */
	struct page *table_list;      /* (l) these: doubly linked; the kernel's are only its later ones */
	_Atomic uint64_t active;      /* (a) a bit for each CPU that may have its translations cached */
};

/* (l) */
#define PMAP_ASSERT_LOCKED(pmap) DEBUG_ASSERT(spin_held(&(pmap)->lock))

/* ---- Entries ---------------------------------------------------------------------------------- */

/*
 * Page walks of other CPUs read entries, and set bits in present ones, at any moment; so whatever changes
 * a present entry is one locked instruction, which also orders it before the reading of pmap->active.
 */
static inline pte_t pte_load(const pte_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

static inline void pte_fill(pte_t *slot, pte_t pte)
{
	__atomic_store_n(slot, pte, __ATOMIC_RELEASE);
}

static inline pte_t pte_exchange(pte_t *slot, pte_t pte)
{
	return __atomic_exchange_n(slot, pte, __ATOMIC_SEQ_CST);
}

static inline pte_t pte_clear(pte_t *slot, pte_t bits)
{
	return __atomic_fetch_and(slot, ~bits, __ATOMIC_SEQ_CST);
}

static inline void pte_set(pte_t *slot, pte_t bits)
{
	__atomic_fetch_or(slot, bits, __ATOMIC_SEQ_CST);
}

static inline pte_t *table_entries(paddr_t table)
{
	return env_phys_to_virt(table);
}

/* May the pmap translate the page at `va`? */
static inline bool owns_page(const struct pmap *pmap, vaddr_t va)
{
	const struct region *r = pmap->regions;

	return likely(va - r[0].start < r[0].bytes) || va - r[1].start < r[1].bytes;
}

/* Is [start, end) in one region of the pmap's? */
bool pmap_owns_range(const struct pmap *pmap, vaddr_t start, vaddr_t end);

/* The end of the block of `level` that contains `va`, or `end` if that is nearer. */
static inline vaddr_t block_end(vaddr_t va, vaddr_t end, unsigned level)
{
	vaddr_t next = (va | (pte_span(level) - 1)) + 1;

	return next < end ? next : end;
}

/* ---- Boot tables, and other CPUs ---------------------------------------------------------------- */

/*
 * The kernel's top-level table. What it and those below must have by the time of pmap_init():
 *
 *   PML4[0] -> PDPT: [1] -> a directory whose entries 448..511 (the kernel window) all lead to
 *              tables; [2], [3] -> directories (system data space); all else absent
 *   PML4[223] -> PDPT (page descriptors, kernel dynamic memory)
 *   PML4[224..255] -> PDPTs, as far as there is RAM to map
 *
 * Entries above the leaves have PRESENT, WRITE and, on the way to the gate area only, USER. Every address
 * space copies these entries by value when it is made, so they never change again.
 */
extern paddr_t kernel_pml4;

/* Makes kernel_pmap usable and this CPU's. After page_init(), with EFER.NXE as it is going to stay. */
void pmap_init(void);

/* Addresses of one pmap whose translations a CPU has to forget. */
#define FLUSH_MAX 32
struct flush {
	bool full;      /* everything: too many to name */
	bool global;    /* they are the kernel's: global, and on every CPU */
	unsigned count; /* of `va` */
	vaddr_t va[FLUSH_MAX];
};

/* Does a flush on this CPU. */
void pmap_flush_local(const struct flush *flush);

/*
 * Does a flush on each of `cpus` (a bit for each) and returns when all of them have: the one place where
 * interprocessor interrupts come in. NULL as long as there is only one CPU. Called with a pmap's
 * lock held, so a CPU that waits for a lock must go on serving these.
 */
extern void (*pmap_shootdown)(uint64_t cpus, const struct flush *flush);

#endif
