/*
 * A user's program on the simulated machine: accesses in ring 3 whose faults are served as by the
 * kernel's trap handler.
 */
#ifndef HOST_PROGRAM_H
#define HOST_PROGRAM_H

#include <vm/vm.h>

#include "machine.h"

/* Makes this CPU run in the map's address space; NULL: in none. */
void program_enter(struct map *root);

/*
 * Loads, stores or fetches `bytes` at `va`, across pages too, on this CPU, which runs in `root`. 0, or what
 * vm_fault() said of the first page that is refused; -EFAULT also for what is no address. Panics when
 * a fault that was served comes again and again.
 */
int program_access(struct map *root, vaddr_t va, enum sim_kind kind, void *buffer, size_t bytes);

int program_load(struct map *root, vaddr_t va, void *to, size_t bytes);
int program_store(struct map *root, vaddr_t va, const void *from, size_t bytes);

#endif
