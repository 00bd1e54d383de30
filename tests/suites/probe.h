/*
 * What the machine itself makes of the page tables, for suites that run on several machines.
 *
 * The kernel's are in tests/suites/probe.c, the host's, where every simulated CPU tries, in
 * tests/host/probe.c. A weak reference is NULL where the surroundings have no such probe.
 */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include <vm/pmap.h>

/* Makes the pmap active on every CPU that probes. */
void probe_activate(struct pmap *pmap) __attribute__((weak));

/*
 * May code do this at `va`, the start of a page? `access` is VM_READ or VM_WRITE, with VM_USER for code in
 * ring 3. Reads 8 bytes to *word, or writes them from there. No fault is served, but a second attempt is made:
 * the first may have failed because a CPU had cached less, and then dropped that.
 */
bool probe_access(vaddr_t va, vm_prot_t access, uint64_t *word) __attribute__((weak));

/* May code in ring 3 execute what is at `va`? */
bool probe_fetch(vaddr_t va) __attribute__((weak));

/*
 * Does `action` end in a panic? What it does happens to a copy of the system and is gone afterwards. What the panic said, or
 * whatever else there was to say, is in `message`.
 */
bool probe_panics(void (*action)(void *context), void *context, char *message, size_t bytes)
	__attribute__((weak));

/* How often env_memory_low() was called: on a machine where nobody waits for that. */
unsigned probe_low_calls(void) __attribute__((weak));

#endif
