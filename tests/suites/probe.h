/*
 * What the machine itself makes of the page tables, for suites that run on several machines.
 *
 * Weak references: where the surroundings provide none, they are NULL and only what pmap_query()
 * says is tested. The host's are in tests/host/probe.c.
 */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include <vm/pmap.h>

/* Makes the pmap active on every CPU that probes. */
void probe_activate(struct pmap *pmap) __attribute__((weak));

/*
 * Does every CPU let code do this at `va`, at the first or, as after a fault, the second attempt? `access` is one of VM_READ, VM_WRITE,
 * VM_EXEC, with VM_USER for ring 3. Reads to, or writes from, *word, 8 bytes at the start of the page.
 */
bool probe_access(vaddr_t va, vm_prot_t access, uint64_t *word) __attribute__((weak));

#endif
