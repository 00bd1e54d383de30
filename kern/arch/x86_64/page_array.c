/*
 * Grows the array of page descriptors after boot: for frames that are not RAM, when a device
 * blob first covers them.
 *
 * The descriptors of RAM, and the tables that all of the array hangs from, are made by memory_init.c. Nothing
 * of the array ever goes away, so that no CPU has a translation to forget. What the
 * descriptors mean is kern/vm/page.c's business.
 */
#include <asm-generic/errno-base.h>
#include <vm/env.h>
#include <vm/layout.h>
#include <vm/page.h>

#include <hw.h>
#include <pmap_internal.h>
#include <pte.h>

/* Held while entries are filled in; page_alloc() is called with it. */
static struct spinlock array_lock = ENV_SPINLOCK_INIT(RANK_PMAP, "page array");

/* Maps the array's page at `va` unless it is there. 0, or -ENOMEM. */
static int make_page(vaddr_t va, pte_t no_execute)
{
	pte_t *table = env_phys_to_virt(kernel_pml4);

	for (unsigned level = PTE_LEVELS; level > 0; level--) {
		pte_t *entry = &table[pte_index(va, level)];

		if (!(*entry & PTE_PRESENT)) {
			struct page *page = page_alloc(level > 1 ? PAGE_TABLE : PAGE_KERNEL, PAGE_ALLOC_ZERO);
			pte_t bits = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;

			if (!page)
				return -ENOMEM;
			if (level == 1)
				bits |= PTE_DIRTY | PTE_GLOBAL | no_execute;
			__atomic_store_n(entry, page_paddr(page) | bits, __ATOMIC_RELEASE);
		}
		if (pte_is_leaf(*entry, level))
			break;
		table = env_phys_to_virt(pte_frame(*entry));
	}
	return 0;
}

int env_page_array_extend(paddr_t start, paddr_t end)
{
	vaddr_t va = page_round_down((vaddr_t)(page_array + (start >> PAGE_SHIFT)));
	vaddr_t last = page_round_up((vaddr_t)(page_array + (end >> PAGE_SHIFT)));
	pte_t no_execute = rdmsr(MSR_EFER) & EFER_NXE ? PTE_NX : 0;
	int error = 0;

	spin_lock(&array_lock);
	for (; va < last && error == 0; va += PAGE_SIZE)
		error = make_page(va, no_execute);
	spin_unlock(&array_lock);
	return error;
}
