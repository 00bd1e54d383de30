/*
 * What machine.c, mmu.c and env.c share.
 */
#ifndef HOST_MACHINE_INTERNAL_H
#define HOST_MACHINE_INTERNAL_H

#include "machine.h"

/* Simulated RAM, SIM_RAM_BYTES of it. */
extern uint8_t *sim_ram;

/* Every CPU as after the boot code, with paging on through the table at `cr3`. */
void mmu_init(paddr_t cr3);

/* Does any CPU cache the frame, as a page or a table, or run on it as its top table? */
bool mmu_caches_frame(paddr_t frame);

/* pmap_shootdown on this machine. */
struct flush;
void mmu_shootdown(uint64_t cpus, const struct flush *flush);

#endif
