/*
 * What the bits of an x86-64 page-table entry mean, and how an address selects entries.
 *
 * Source: Intel SDM volume 3, section 4.5 (4-level paging), tables 4-15 to 4-20. Only code under
 * kern/arch, and what stands in for the hardware in tests/host, includes this file. Page tables
 * themselves are pmap.c's, and before it memory_init.c's.
 */
#ifndef ARCH_PTE_H
#define ARCH_PTE_H

#include <vm/types.h>

typedef uint64_t pte_t;

#define PTE_PRESENT  ((pte_t)1 << 0)
#define PTE_WRITE    ((pte_t)1 << 1) /* and'ed over all levels */
#define PTE_USER     ((pte_t)1 << 2) /* and'ed over all levels */
#define PTE_PWT      ((pte_t)1 << 3) /* with PCD: index into the PAT */
#define PTE_PCD      ((pte_t)1 << 4)
#define PTE_ACCESSED ((pte_t)1 << 5)
#define PTE_DIRTY    ((pte_t)1 << 6)  /* leaf entries only */
#define PTE_LARGE    ((pte_t)1 << 7)  /* in levels 2 and 3: a 2 MiB or 1 GiB page */
#define PTE_GLOBAL   ((pte_t)1 << 8)  /* leaf entries only: survives a load of CR3 */
#define PTE_NX       ((pte_t)1 << 63) /* or'ed over all levels; reserved unless EFER.NXE is set */
#define PTE_FRAME    ((pte_t)0x000ffffffffff000)

/*
 * Kinds of caching, with PAT_VALUE in IA32_PAT: entry 1 is write combining instead of the reset
 * value's write through, the others are as after reset (SDM 3, 11.12.4).
 */
#define PTE_CACHE_WB ((pte_t)0)
#define PTE_CACHE_WC PTE_PWT
#define PTE_CACHE_UC (PTE_PWT | PTE_PCD)
#define PAT_VALUE    0x0007010600070106ul

/* Level 4 is the PML4, 3 a PDPT, 2 a page directory, 1 a page table; a table has 512 entries. */
#define PTE_LEVELS     4
#define PTE_INDEX_BITS 9
#define PTE_ENTRIES    512u

/* The address bits below those that select an entry at `level`. */
static inline unsigned pte_shift(unsigned level)
{
	return PAGE_SHIFT + PTE_INDEX_BITS * (level - 1);
}

/* The bytes that one entry of `level` covers: 4 KiB, 2 MiB, 1 GiB, 512 GiB. */
static inline uint64_t pte_span(unsigned level)
{
	return (uint64_t)1 << pte_shift(level);
}

/* Which entry of a table at `level` translates `va`. */
static inline unsigned pte_index(vaddr_t va, unsigned level)
{
	return (va >> pte_shift(level)) & (PTE_ENTRIES - 1);
}

/* The table or page that an entry leads to. */
static inline paddr_t pte_frame(pte_t pte)
{
	return pte & PTE_FRAME;
}

/* Does the entry, found at `level`, lead to a page rather than to a table? */
static inline bool pte_is_leaf(pte_t pte, unsigned level)
{
	return level == 1 || (pte & PTE_LARGE) != 0;
}

#endif
