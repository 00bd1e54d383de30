/*
 * The machine's eyes for the suites of tests/suites (probe.h): every simulated CPU tries.
 */
#include "machine.h"

#include "../suites/probe.h"

#include <kern/test.h>

void probe_activate(struct pmap *pmap)
{
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		sim_become(cpu);
		pmap_activate(pmap);
	}
	sim_become(0);
}

static bool try_access(vaddr_t va, enum sim_kind kind, bool user, uint64_t *word)
{
	/* A fault drops what the CPU had cached; one that only that caused does not come twice. */
	return sim_access(va, kind, user, word, sizeof(*word)) == 0 ||
	       sim_access(va, kind, user, word, sizeof(*word)) == 0;
}

/* Every CPU tries, and all have to agree. */
static bool try_everywhere(vaddr_t va, enum sim_kind kind, bool user, uint64_t *word)
{
	unsigned allowed = 0;
	uint64_t first = *word;

	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		uint64_t seen = *word;

		sim_become(cpu);
		if (!try_access(va, kind, user, &seen))
			continue;
		if (allowed++ == 0)
			first = seen;
		else
			CHECK_EQ(seen, first);
	}
	sim_become(0);
	if (allowed != 0)
		CHECK_EQ(allowed, SIM_CPUS);
	*word = first;
	return allowed != 0;
}

bool probe_access(vaddr_t va, vm_prot_t access, uint64_t *word)
{
	return try_everywhere(va, access & VM_WRITE ? SIM_STORE : SIM_LOAD, access & VM_USER, word);
}

bool probe_fetch(vaddr_t va)
{
	uint64_t ignored = 0;

	return try_everywhere(va, SIM_FETCH, true, &ignored);
}
