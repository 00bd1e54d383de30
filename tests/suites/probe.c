/*
 * The machine's eyes for suites in the kernel (probe.h): this CPU tries, with the TLB that it has.
 *
 * Ring 3 is not entered: what it may do is told from what the kernel may do with and without leave to touch user
 * pages. Whether it may execute cannot be told that way, except by changes to CR4 that would empty the TLB.
 */
#include "probe.h"

#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>

#define ATTEMPTS 2

void probe_activate(struct pmap *pmap)
{
	pmap_activate(pmap);
}

static bool try_user(vaddr_t va, vm_prot_t access, uint64_t *word)
{
	/* SMAP: the kernel may read its own pages, and not the user's. */
	if ((read_cr4() & X86_CR4_SMAP) && cpu_probe(va, VM_READ) == PROBE_WORKS)
		return false;
	if (access & VM_WRITE)
		return copy_to_user(va, word, sizeof(*word)) == 0;
	return copy_from_user(word, va, sizeof(*word)) == 0;
}

static bool try_kernel(vaddr_t va, vm_prot_t access, uint64_t *word)
{
	volatile uint64_t *place = (volatile uint64_t *)va;

	if (cpu_probe(va, access) != PROBE_WORKS)
		return false;
	if (access & VM_WRITE)
		*place = *word;
	else
		*word = *place;
	return true;
}

bool probe_access(vaddr_t va, vm_prot_t access, uint64_t *word)
{
	for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
		if (access & VM_USER ? try_user(va, access, word) : try_kernel(va, access, word))
			return true;
	}
	return false;
}
