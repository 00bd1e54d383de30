/*
 * A user's program on the simulated machine: what kern/arch/x86_64/trap.c does with a page fault
 * of ring 3, done for simulated CPUs. The accesses themselves are mmu.c's.
 */
#include "program.h"

#include <errno.h>

/* A served fault may come again where a CPU had cached less, or another takes the page away. */
#define MAX_FAULTS 1000

void program_enter(struct map *root)
{
	pmap_activate(root ? map_pmap(root) : &kernel_pmap);
}

static vm_prot_t needed_right(unsigned fault)
{
	if (fault & SIM_ERROR_FETCH)
		return VM_EXEC;
	return fault & SIM_ERROR_WRITE ? VM_WRITE : VM_READ;
}

static int access_in_page(struct map *root, vaddr_t va, enum sim_kind kind, void *buffer, size_t bytes)
{
	for (unsigned attempt = 0; attempt < MAX_FAULTS; attempt++) {
		unsigned fault = sim_access(va, kind, true, buffer, bytes);
		struct fault_result result;
		int error;

		if (fault == 0)
			return 0;
		if (fault == SIM_GP)
			return -EFAULT;
		ASSERT(!(fault & SIM_ERROR_RESERVED));
		error = vm_fault(root, sim_registers()->cr2, needed_right(fault), &result);
		if (error)
			return error;
	}
	panic("faults at %#lx are served, and come again", va);
}

int program_access(struct map *root, vaddr_t va, enum sim_kind kind, void *buffer, size_t bytes)
{
	while (bytes > 0) {
		size_t part = PAGE_SIZE - (va & PAGE_MASK);
		int error;

		if (part > bytes)
			part = bytes;
		error = access_in_page(root, va, kind, buffer, part);
		if (error)
			return error;
		va += part;
		buffer = (char *)buffer + part;
		bytes -= part;
	}
	return 0;
}

int program_load(struct map *root, vaddr_t va, void *to, size_t bytes)
{
	return program_access(root, va, SIM_LOAD, to, bytes);
}

int program_store(struct map *root, vaddr_t va, const void *from, size_t bytes)
{
	return program_access(root, va, SIM_STORE, (void *)from, bytes);
}
