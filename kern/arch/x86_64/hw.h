/*
 * The machine: instructions that C has no words for.
 *
 * Everything privileged or outside the language that more than one file needs is here, one small
 * function for each instruction. The host harness has its own hw.h, first in its include path, in which
 * the ones that pmap.c uses act on a simulated machine. Bit names of control registers are in
 * <asm/processor-flags.h>.
 */
#ifndef ARCH_HW_H
#define ARCH_HW_H

#include <asm/processor-flags.h>
#include <vm/types.h>

/* ---- Control registers (Intel SDM 3, 2.5) ----------------------------------------------------- */

static inline uint64_t read_cr0(void)
{
	uint64_t value;
	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static inline void write_cr0(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

/* The address of the last page fault. */
static inline uint64_t read_cr2(void)
{
	uint64_t value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

/* What the debug exception was about (SDM 3, 17.2.3). */
static inline uint64_t read_dr6(void)
{
	uint64_t value;
	__asm__ volatile("mov %%dr6, %0" : "=r"(value));
	return value;
}

static inline void write_dr6(uint64_t value)
{
	__asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static inline uint64_t read_cr3(void)
{
	uint64_t value;
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

/* Forgets every translation that is not global, and all paging-structure caches (SDM 3, 4.10.4.1). */
static inline void write_cr3(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t read_cr4(void)
{
	uint64_t value;
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

/* Forgets every translation when it changes PGE (SDM 3, 4.10.4.1). */
static inline void write_cr4(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* Forgets the translation of the page that contains `va`, and all paging-structure caches. */
static inline void invlpg(vaddr_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

/* ---- Model-specific registers (SDM 4) --------------------------------------------------------- */

#define MSR_APIC_BASE      0x1bu
#define MSR_PAT            0x277u
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define EFER_SCE ((uint64_t)1 << 0)  /* syscall and sysret */
#define EFER_LME ((uint64_t)1 << 8)  /* long mode */
#define EFER_NXE ((uint64_t)1 << 11) /* no-execute */

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* What cpu_fs_base() and cpu_gs_base() say, for each switch. While the kernel runs, the user's GS base waits where SWAPGS takes it from. */
static inline uint64_t user_fs_base(void)
{
	return rdmsr(MSR_FS_BASE);
}
static inline uint64_t user_gs_base(void)
{
	return rdmsr(MSR_KERNEL_GS_BASE);
}

/* ---- CPUID and time stamp --------------------------------------------------------------------- */

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;
	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* ---- Ports ------------------------------------------------------------------------------------ */

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;
	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

/* ---- Interrupts ------------------------------------------------------------------------------- */

static inline void interrupts_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void interrupts_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline uint64_t read_flags(void)
{
	uint64_t flags;
	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline bool interrupts_enabled(void)
{
	return (read_flags() & X86_EFLAGS_IF) != 0;
}

/* Sleeps until an interrupt has been served; with none missed between the two instructions. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

/* Stops this CPU for good. */
_Noreturn static inline void halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

/* A hint in a loop that waits for another CPU. */
static inline void cpu_relax(void)
{
	__asm__ volatile("pause");
}

/* ---- Supervisor access to user pages (SMAP; only where the CPU has it: else #UD) --------------- */

static inline void user_access_begin(void)
{
	__asm__ volatile("stac" : : : "memory");
}

static inline void user_access_end(void)
{
	__asm__ volatile("clac" : : : "memory");
}

/* ---- Blocks of memory ------------------------------------------------------------------------- */

/* Sets, copies `count` words of 8 bytes: one repeated instruction, an iteration for each word. */
static inline void fill_words(void *to, uint64_t value, size_t count)
{
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

static inline void copy_words(void *to, const void *from, size_t count)
{
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

#endif
