/*
 * The simulated machine's CPUs for the model of tests/suites/model.h: each one by itself, with its own caches.
 */
#include "machine.h"

#include "../suites/model_internal.h"

unsigned stream_cpus(void)
{
	return SIM_CPUS;
}

void stream_become(unsigned cpu)
{
	sim_become(cpu);
}

bool stream_access(vaddr_t va, vm_prot_t access, uint64_t *word)
{
	enum sim_kind kind = access & VM_WRITE ? SIM_STORE : access & VM_EXEC ? SIM_FETCH : SIM_LOAD;

	/* A fault drops what the CPU had cached; one that only that caused does not come twice. */
	return sim_access(va, kind, true, word, sizeof(*word)) == 0 ||
	       sim_access(va, kind, true, word, sizeof(*word)) == 0;
}

void stream_prefetch(vaddr_t va)
{
	sim_prefetch(va);
}

void stream_fail_allocation(unsigned after)
{
	sim_fail_allocation(after, false);
}

bool stream_fail_stop(void)
{
	return sim_fail_stop();
}
