/*
 * The simulated CPUs: page walks, permission checks, TLBs and paging-structure caches.
 *
 * Rules are the Intel SDM's, volume 3: 4.5 for the walk, 4.6 for access rights, 4.7 for error codes,
 * 4.8 for accessed and dirty bits, 4.10 for caching. Where the manual lets a CPU choose, this one does what
 * is worst for careless software: it caches whatever it sees, keeps it until told, and believes it.
 * RAM and the kernel's tables are machine.c's.
 */
#include "machine_internal.h"

#include <hw.h>
#include <pmap_internal.h>
#include <vm/page.h>

#include <stdlib.h>

#define BUCKETS         256u
#define CANONICAL_SHIFT 47
#define LARGE_PAT       ((pte_t)1 << PAGE_SHIFT) /* a large page's PAT bit is its lowest frame bit */
#define DEVICE_BYTE     0xff                     /* what is read where there is no RAM */

/* What a CPU remembers: a leaf (TLB), or the way to a table (paging-structure cache). */
struct cached {
	struct cached *next;
	vaddr_t base;
	unsigned level; /* of the entry that leads to `target` */
	paddr_t target;
	bool write, user, exec; /* and'ed over the way */
	bool global, dirty;     /* leaves only */
};

struct cache {
	bool ways; /* tables rather than pages */
	unsigned count;
	struct cached *buckets[BUCKETS];
};

/* Locks: (l) the CPU's lock. */
struct sim_cpu {
	pthread_mutex_t lock;      /* recursive: a shootdown runs instructions with it held */
	struct sim_registers regs; /* (l) */
	struct cache tlb;          /* (l) */
	struct cache ways;         /* (l) */
	struct sim_counts counts;  /* (l) */
};

static struct sim_cpu cpus[SIM_CPUS];
static _Thread_local unsigned this_cpu;

/* How many caches hold a frame of RAM, as a 4 KiB page or as a table. */
static _Atomic uint32_t cached_frames[SIM_RAM_BYTES >> PAGE_SHIFT];

static struct sim_cpu *cpu_lock(void)
{
	pthread_mutex_lock(&cpus[this_cpu].lock);
	return &cpus[this_cpu];
}

static void cpu_unlock(struct sim_cpu *cpu)
{
	pthread_mutex_unlock(&cpu->lock);
}

/* ---- Caches ----------------------------------------------------------------------------------- */

static struct cached **bucket_of(struct cache *cache, vaddr_t va, unsigned level)
{
	return &cache->buckets[(va >> pte_shift(level)) % BUCKETS];
}

static vaddr_t base_of(vaddr_t va, unsigned level)
{
	return va & ~(pte_span(level) - 1);
}

static void count_frame(const struct cache *cache, const struct cached *entry, int change)
{
	if ((cache->ways || entry->level == 1) && entry->target < SIM_RAM_BYTES)
		cached_frames[entry->target >> PAGE_SHIFT] += (uint32_t)change;
}

static struct cached *cache_find(struct cache *cache, vaddr_t va, unsigned level)
{
	for (struct cached *c = *bucket_of(cache, va, level); c; c = c->next) {
		if (c->base == base_of(va, level) && c->level == level)
			return c;
	}
	return NULL;
}

static void cache_drop(struct cache *cache, vaddr_t va, unsigned level)
{
	for (struct cached **link = bucket_of(cache, va, level); *link; link = &(*link)->next) {
		struct cached *c = *link;

		if (c->base != base_of(va, level) || c->level != level)
			continue;
		*link = c->next;
		count_frame(cache, c, -1);
		cache->count--;
		free(c);
		return;
	}
}

static void cache_add(struct cache *cache, const struct cached *entry)
{
	struct cached *copy = malloc(sizeof(*copy)), **bucket = bucket_of(cache, entry->base, entry->level);

	cache_drop(cache, entry->base, entry->level);
	*copy = *entry;
	copy->next = *bucket;
	*bucket = copy;
	count_frame(cache, copy, 1);
	cache->count++;
}

static void cache_empty(struct cache *cache, bool globals_too)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct cached **link = &cache->buckets[i];

		while (*link) {
			struct cached *c = *link;

			if (c->global && !globals_too) {
				link = &c->next;
				continue;
			}
			*link = c->next;
			count_frame(cache, c, -1);
			cache->count--;
			free(c);
		}
	}
}

/* The TLB's entry for an address, of whatever page size. */
static struct cached *tlb_find(struct sim_cpu *cpu, vaddr_t va)
{
	struct cached *found = NULL;

	for (unsigned level = 1; level < PTE_LEVELS && !found; level++)
		found = cache_find(&cpu->tlb, va, level);
	return found;
}

static void tlb_drop(struct sim_cpu *cpu, vaddr_t va)
{
	for (unsigned level = 1; level < PTE_LEVELS; level++)
		cache_drop(&cpu->tlb, va, level);
}

bool mmu_caches_frame(paddr_t frame)
{
	if (cached_frames[frame >> PAGE_SHIFT] > 0)
		return true;
	for (unsigned i = 0; i < SIM_CPUS; i++) {
		pthread_mutex_lock(&cpus[i].lock);
		bool is_top = pte_frame(cpus[i].regs.cr3) == frame;
		pthread_mutex_unlock(&cpus[i].lock);
		if (is_top)
			return true;
	}
	return false;
}

/* ---- The walk --------------------------------------------------------------------------------- */

static pte_t *entry_at(paddr_t table, vaddr_t va, unsigned level)
{
	return (pte_t *)env_phys_to_virt(table) + pte_index(va, level);
}

/* Bits that must be 0 in a present entry; physical addresses are as wide as SIM_PHYSICAL_BYTES needs. */
static pte_t reserved_bits(const struct sim_cpu *cpu, pte_t pte, unsigned level)
{
	pte_t reserved = PTE_FRAME & ~(SIM_PHYSICAL_BYTES - 1);

	if (!(cpu->regs.efer & EFER_NXE))
		reserved |= PTE_NX;
	if (level == PTE_LEVELS)
		reserved |= PTE_LARGE;
	else if (level > 1 && (pte & PTE_LARGE))
		reserved |= (pte_span(level) - 1) & PTE_FRAME & ~LARGE_PAT;
	return reserved;
}

static unsigned fault_code(const struct sim_cpu *cpu, enum sim_kind kind, bool user, unsigned code)
{
	if (kind == SIM_STORE)
		code |= SIM_ERROR_WRITE;
	if (user)
		code |= SIM_ERROR_USER;
	if (kind == SIM_FETCH && ((cpu->regs.efer & EFER_NXE) || (cpu->regs.cr4 & X86_CR4_SMEP)))
		code |= SIM_ERROR_FETCH;
	return SIM_FAULT | code;
}

/* SDM 3, 4.6.1. */
static bool allowed(const struct sim_cpu *cpu, const struct cached *way, enum sim_kind kind, bool user)
{
	if (kind == SIM_FETCH) {
		if (user)
			return way->user && way->exec;
		return way->exec && !(way->user && (cpu->regs.cr4 & X86_CR4_SMEP));
	}
	if (user)
		return way->user && (kind == SIM_LOAD || way->write);
	if (way->user && (cpu->regs.cr4 & X86_CR4_SMAP) && !cpu->regs.ac)
		return false;
	return kind == SIM_LOAD || way->write || !(cpu->regs.cr0 & X86_CR0_WP);
}

/* Sets bits in an entry; false if it has changed since `pte` was read. */
static bool update_entry(pte_t *slot, pte_t pte, pte_t bits)
{
	return (pte & bits) == bits ||
	       __atomic_compare_exchange_n(slot, &pte, pte | bits, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Where a walk can start: the deepest table that the paging-structure caches know the way to. */
static struct cached walk_start(struct sim_cpu *cpu, vaddr_t va)
{
	struct cached top = {.level = PTE_LEVELS + 1, .write = true, .user = true, .exec = true};

	for (unsigned level = 2; level <= PTE_LEVELS; level++) {
		struct cached *way = cache_find(&cpu->ways, va, level);

		if (way)
			return *way;
	}
	top.target = pte_frame(cpu->regs.cr3);
	return top;
}

/*
 * Walks to the leaf and fills the caches. With `check`, it faults unless the access is allowed, and marks the leaf
 * dirty for a store; without, as a prefetch, it needs only a translation. 0 or the fault.
 */
static unsigned walk(struct sim_cpu *cpu, vaddr_t va, enum sim_kind kind, bool user, bool check)
{
	struct cached way = walk_start(cpu, va);

	cpu->counts.walks++;
	for (unsigned level = way.level - 1;;) {
		pte_t *slot = entry_at(way.target, va, level), pte = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
		struct cached step = way;
		pte_t used = PTE_ACCESSED;

		if (!(pte & PTE_PRESENT))
			return fault_code(cpu, kind, user, 0);
		if (pte & reserved_bits(cpu, pte, level))
			return fault_code(cpu, kind, user, SIM_ERROR_PRESENT | SIM_ERROR_RESERVED);
		step.base = base_of(va, level);
		step.level = level;
		step.target = pte_frame(pte);
		step.write = way.write && (pte & PTE_WRITE);
		step.user = way.user && (pte & PTE_USER);
		step.exec = way.exec && !(pte & PTE_NX);
		if (!pte_is_leaf(pte, level)) {
			if (!update_entry(slot, pte, used))
				continue;
			cache_add(&cpu->ways, &step);
			way = step;
			level--;
			continue;
		}
		if (check && !allowed(cpu, &step, kind, user))
			return fault_code(cpu, kind, user, SIM_ERROR_PRESENT);
		if (check && kind == SIM_STORE)
			used |= PTE_DIRTY;
		if (!update_entry(slot, pte, used))
			continue;
		step.target &= ~(pte_span(level) - 1);
		step.global = (pte & PTE_GLOBAL) && (cpu->regs.cr4 & X86_CR4_PGE);
		step.dirty = ((pte | used) & PTE_DIRTY) != 0;
		tlb_drop(cpu, va);
		cache_add(&cpu->tlb, &step);
		return 0;
	}
}

/* A fault drops what the CPU cached for the address (SDM 3, 4.10.4.1). */
static unsigned take_fault(struct sim_cpu *cpu, vaddr_t va, unsigned fault)
{
	cpu->regs.cr2 = va;
	tlb_drop(cpu, va);
	for (unsigned level = 2; level <= PTE_LEVELS; level++)
		cache_drop(&cpu->ways, va, level);
	return fault;
}

/* A program's own races are no errors: its words are copied whole, as hardware does, the rest by the byte. */
static void copy_relaxed(void *to, const void *from, size_t bytes)
{
	if ((((uintptr_t)to | (uintptr_t)from | bytes) & (sizeof(uint64_t) - 1)) == 0) {
		for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
			__atomic_store_n((uint64_t *)to + i,
					 __atomic_load_n((const uint64_t *)from + i, __ATOMIC_RELAXED),
					 __ATOMIC_RELAXED);
	} else {
		for (size_t i = 0; i < bytes; i++)
			__atomic_store_n((uint8_t *)to + i,
					 __atomic_load_n((const uint8_t *)from + i, __ATOMIC_RELAXED),
					 __ATOMIC_RELAXED);
	}
}

static void copy_data(paddr_t pa, enum sim_kind kind, void *buffer, size_t bytes)
{
	if (pa >= SIM_RAM_BYTES) {
		if (kind != SIM_STORE)
			memset(buffer, DEVICE_BYTE, bytes);
	} else if (kind == SIM_STORE) {
		copy_relaxed(env_phys_to_virt(pa), buffer, bytes);
	} else {
		copy_relaxed(buffer, env_phys_to_virt(pa), bytes);
	}
}

static unsigned translate(struct sim_cpu *cpu, vaddr_t va, enum sim_kind kind, bool user, paddr_t *pa)
{
	struct cached *hit = tlb_find(cpu, va);
	unsigned fault = 0;

	if (hit && !allowed(cpu, hit, kind, user))
		return take_fault(cpu, va, fault_code(cpu, kind, user, SIM_ERROR_PRESENT));
	if (!hit || (kind == SIM_STORE && !hit->dirty)) {
		fault = walk(cpu, va, kind, user, true);
		if (fault)
			return take_fault(cpu, va, fault);
		hit = tlb_find(cpu, va);
	}
	*pa = hit->target + (va - hit->base);
	return 0;
}

unsigned sim_access(vaddr_t va, enum sim_kind kind, bool user, void *buffer, size_t bytes)
{
	struct sim_cpu *cpu;
	unsigned fault;
	paddr_t pa = 0;

	ASSERT((va & PAGE_MASK) + bytes <= PAGE_SIZE);
	if ((int64_t)va >> CANONICAL_SHIFT != 0 && (int64_t)va >> CANONICAL_SHIFT != -1)
		return SIM_GP;
	cpu = cpu_lock();
	fault = translate(cpu, va, kind, user, &pa);
	if (!fault)
		copy_data(pa, kind, buffer, bytes);
	cpu_unlock(cpu);
	return fault;
}

void sim_prefetch(vaddr_t va)
{
	struct sim_cpu *cpu = cpu_lock();

	if (!tlb_find(cpu, va))
		walk(cpu, va, SIM_LOAD, false, false);
	cpu_unlock(cpu);
}

/* ---- Instructions ----------------------------------------------------------------------------- */

uint64_t read_cr3(void)
{
	struct sim_cpu *cpu = cpu_lock();
	uint64_t value = cpu->regs.cr3;

	cpu_unlock(cpu);
	return value;
}

void write_cr3(uint64_t value)
{
	struct sim_cpu *cpu = cpu_lock();

	cpu->regs.cr3 = value;
	cpu->counts.flushes++;
	cache_empty(&cpu->tlb, false);
	cache_empty(&cpu->ways, true);
	cpu_unlock(cpu);
}

uint64_t read_cr4(void)
{
	struct sim_cpu *cpu = cpu_lock();
	uint64_t value = cpu->regs.cr4;

	cpu_unlock(cpu);
	return value;
}

void write_cr4(uint64_t value)
{
	struct sim_cpu *cpu = cpu_lock();

	if ((cpu->regs.cr4 ^ value) & X86_CR4_PGE) {
		cpu->counts.flushes++;
		cache_empty(&cpu->tlb, true);
		cache_empty(&cpu->ways, true);
	}
	cpu->regs.cr4 = value;
	cpu_unlock(cpu);
}

void invlpg(vaddr_t va)
{
	struct sim_cpu *cpu = cpu_lock();

	cpu->counts.invlpgs++;
	tlb_drop(cpu, va);
	cache_empty(&cpu->ways, true);
	cpu_unlock(cpu);
}

uint64_t rdmsr(uint32_t msr)
{
	ASSERT(msr == MSR_EFER);
	return cpus[this_cpu].regs.efer;
}

/* ---- CPUs ------------------------------------------------------------------------------------- */

void mmu_init(paddr_t cr3)
{
	pthread_mutexattr_t recursive;

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	for (unsigned i = 0; i < SIM_CPUS; i++) {
		pthread_mutex_init(&cpus[i].lock, &recursive);
		cpus[i].ways.ways = true;
		cpus[i].regs = (struct sim_registers){
			.cr0 = X86_CR0_PE | X86_CR0_WP | X86_CR0_PG,
			.cr3 = cr3,
			.cr4 = X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP | X86_CR4_SMAP,
			.efer = EFER_NXE,
		};
	}
}

unsigned env_cpu(void)
{
	return this_cpu;
}

void sim_become(unsigned cpu)
{
	ASSERT(cpu < SIM_CPUS);
	this_cpu = cpu;
}

struct sim_registers *sim_registers(void)
{
	return &cpus[this_cpu].regs;
}

/* Each CPU's own lock is held throughout, so that it runs nothing between the parts of its flush. */
void mmu_shootdown(uint64_t targets, const struct flush *flush)
{
	unsigned self = this_cpu;

	for (unsigned i = 0; i < SIM_CPUS; i++) {
		if (!(targets >> i & 1))
			continue;
		this_cpu = i;
		struct sim_cpu *cpu = cpu_lock();
		cpu->counts.shootdowns++;
		pmap_flush_local(flush);
		cpu_unlock(cpu);
	}
	this_cpu = self;
}

unsigned sim_tlb_count(void)
{
	struct sim_cpu *cpu = cpu_lock();
	unsigned count = cpu->tlb.count;

	cpu_unlock(cpu);
	return count;
}

bool sim_tlb_has(vaddr_t va)
{
	struct sim_cpu *cpu = cpu_lock();
	bool has = tlb_find(cpu, va) != NULL;

	cpu_unlock(cpu);
	return has;
}

struct sim_counts sim_counts(void)
{
	struct sim_counts sum = {0};

	for (unsigned i = 0; i < SIM_CPUS; i++) {
		pthread_mutex_lock(&cpus[i].lock);
		sum.walks += cpus[i].counts.walks;
		sum.invlpgs += cpus[i].counts.invlpgs;
		sum.flushes += cpus[i].counts.flushes;
		sum.shootdowns += cpus[i].counts.shootdowns;
		pthread_mutex_unlock(&cpus[i].lock);
	}
	return sum;
}
