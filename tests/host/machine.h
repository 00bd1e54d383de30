/*
 * The simulated machine: RAM, and CPUs that translate addresses by walking page tables in it.
 *
 * The tables are those that kern/arch/x86_64/pmap.c makes, compiled for the host. Each CPU has a
 * TLB and paging-structure caches that forget only what they are told to forget, or what a fault drops, so that
 * a missing invalidation shows, at once and every time. A thread of the host is one CPU at a time:
 * sim_become() says which.
 */
#ifndef HOST_MACHINE_H
#define HOST_MACHINE_H

#include <vm/pmap.h>

#ifndef SIM_RAM_BYTES /* the benchmarks have more */
#define SIM_RAM_BYTES ((uint64_t)64 << 20)
#endif
#define SIM_PHYSICAL_BYTES ((uint64_t)64 << 30) /* has descriptors; of it, RAM is from 0 to SIM_RAM_BYTES */
#define SIM_CPUS           4

/* RAM, kernel page tables, page allocator, kernel_pmap on all CPUs. Once. */
void machine_init(void);

/* This thread is now CPU `cpu`. Threads start as CPU 0. */
void sim_become(unsigned cpu);

/* ---- Accesses --------------------------------------------------------------------------------- */

enum sim_kind { SIM_LOAD, SIM_STORE, SIM_FETCH };

/* What an access ended in: 0, or the page fault's error code with SIM_FAULT, or SIM_GP. */
#define SIM_ERROR_PRESENT  0x1u /* bits of the error code (SDM 3, 4.7) */
#define SIM_ERROR_WRITE    0x2u
#define SIM_ERROR_USER     0x4u
#define SIM_ERROR_RESERVED 0x8u
#define SIM_ERROR_FETCH    0x10u
#define SIM_FAULT          0x10000u
#define SIM_GP             0x20000u

/*
 * One access by this CPU, within a page; `user` in ring 3. If it is allowed, copies `bytes` to or from
 * `buffer` (a fetch copies what it finds, too).
 */
unsigned sim_access(vaddr_t va, enum sim_kind kind, bool user, void *buffer, size_t bytes);

/* The CPU decides to cache the translation of `va` now, if there is one, as it may at any time. */
void sim_prefetch(vaddr_t va);

/* ---- Registers of this CPU -------------------------------------------------------------------- */

struct sim_registers {
	uint64_t cr0, cr2, cr3, cr4, efer;
	bool ac; /* RFLAGS.AC: supervisor access to user pages in spite of SMAP */
};
struct sim_registers *sim_registers(void);

/* ---- What the caches hold --------------------------------------------------------------------- */

/* Translations in this CPU's TLB. */
unsigned sim_tlb_count(void);
bool sim_tlb_has(vaddr_t va);

/* Counted by all CPUs since the start. */
struct sim_counts {
	uint64_t walks;      /* page walks */
	uint64_t invlpgs;    /* single translations forgotten by instruction */
	uint64_t flushes;    /* loads of CR3 and changes of CR4.PGE */
	uint64_t shootdowns; /* invalidations that one CPU asked another for */
};
struct sim_counts sim_counts(void);

/*
 * A page that was freed while a CPU could still reach it through its caches is an error of the running case.
 * After sim_expect_stale(true) it is only counted; (false) ends that and returns how many there were.
 */
unsigned sim_expect_stale(bool expect);

/* ---- Failing allocations ---------------------------------------------------------------------- */

/*
 * Lets the next `after` calls of page_alloc, page_alloc_run and slab_alloc by code under test succeed, and
 * the one after them fail (`forever`: and all others). slab.c's calls of page_alloc count too.
 */
void sim_fail_allocation(unsigned after, bool forever);

/* Ends that. Returns whether one failed. */
bool sim_fail_stop(void);

#endif
