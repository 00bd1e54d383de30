/*
 * The CPU as the kernel's C code sees it: per-CPU data through %gs, vectors, accesses that may fail, timers.
 * Set up in kern/arch/x86_64/cpu.c; single instructions are in kern/arch/x86_64/hw.h, page tables in
 * <vm/pmap.h>.
 */
#ifndef KERN_CPU_H
#define KERN_CPU_H

#include <vm/types.h>

struct map;
struct thread;

/*
 * What each CPU has for itself. %gs points at it whenever the kernel runs; cpu.c, vectors.asm and
 * env_impl.h know the offsets of the first fields (asserted in cpu.c). Only its own CPU touches it.
 */
struct percpu {
	struct percpu *self;  /* 0: this structure's own address */
	vaddr_t kernel_stack; /* 8: top of the stack that system calls start on (the TSS has the same) */
	uint64_t user_rsp;    /* 16: the user's stack pointer, for the first instructions of a system call */
	uint32_t number;      /* 24: this CPU's, from 0 */
	uint32_t lock_owner;  /* 28: number + 1: who holds a spinlock */
	uint32_t
		work; /* 32: CPU_WORK_... (<kern/sched.h>); interrupts and other CPUs set bits, too: atomic */
	uint32_t unused;
	struct thread *thread; /* 40: that runs here; before there are any, the one that started this CPU */
	struct map *map;       /* the root whose user memory is used here; NULL: none */
};

static inline struct percpu *this_cpu(void)
{
	struct percpu *cpu;

	__asm__("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* ---- Exception vectors (Intel SDM vol 3, 6.15) --------------------------------------------------- */

enum {
	VECTOR_DIVIDE = 0,
	VECTOR_DEBUG = 1,
	VECTOR_NMI = 2,
	VECTOR_BREAKPOINT = 3,
	VECTOR_OVERFLOW = 4,
	VECTOR_BOUND = 5,
	VECTOR_INVALID_OPCODE = 6,
	VECTOR_NO_FPU = 7,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_INVALID_TSS = 10,
	VECTOR_NOT_PRESENT = 11,
	VECTOR_STACK_SEGMENT = 12,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_X87 = 16,
	VECTOR_ALIGNMENT = 17,
	VECTOR_MACHINE_CHECK = 18,
	VECTOR_SIMD = 19,
	VECTOR_FIRST_INTERRUPT = 32, /* those below are the CPU's own */
};

/* How many interrupts came that nobody asked for, and the last one's vector (kern/arch/x86_64/trap.c). */
uint64_t trap_unexpected_interrupts(uint64_t *last_vector);

/* What programs may use of the CPU that CPUID does not tell them: HWCAP2_... of <asm/hwcap2.h>, for AT_HWCAP2. */
uint64_t cpu_user_capabilities(void);

/* ---- Probing memory (kern/arch/x86_64/usercopy.c) ------------------------------------------------ */

#define PROBE_WORKS (-1l)

/*
 * Tries a one-byte access of the kernel at `address`: VM_READ, VM_WRITE (writes back what it read), or VM_EXEC
 * (calls it: a RET must be there). PROBE_WORKS, or the page fault's error code (bits: PF_...). For tests.
 */
long cpu_probe(vaddr_t address, vm_prot_t access);

/* Reads kernel memory that may not be there. False: some of it is not. Takes no locks; may be called in a panic. */
bool kernel_read_safely(void *to, vaddr_t from, size_t bytes);

/* Error code of a page fault (Intel SDM vol 3, 4.7). */
#define PF_PRESENT  1u /* the translation exists, and forbids the access */
#define PF_WRITE    2u
#define PF_USER     4u /* by code in ring 3 */
#define PF_RESERVED 8u /* a reserved bit is set in a page table */
#define PF_FETCH    16u

/* ---- Threads' registers (kern/arch/x86_64/switch.asm, fpu.c) ------------------------------------------ */

/* Saves the registers that a function keeps on the stack, its end in *saved_rsp, and goes on where next_rsp was saved. */
void switch_context(vaddr_t *saved_rsp, vaddr_t next_rsp);

/* What switch_context finds in a new thread, which begins in thread_main() (kern/core/thread.c) with `top`, aligned to 16, as its stack's end. */
vaddr_t thread_first_rsp(vaddr_t top);

/* The room for the registers of FPU, SSE and AVX, as XSAVE writes them. */
#define FPU_AREA_BYTES 832
#define FPU_AREA_ALIGN 64

/* What XSAVE saves: bits of XCR0 (SDM vol 1, 13.1). */
#define FPU_X87    1u
#define FPU_SSE    2u
#define FPU_AVX    4u
#define FPU_LEGACY (FPU_X87 | FPU_SSE)

/* Which exceptions of x87 (or else SSE) have happened and are not masked: bits FPU_... as in the status word and MXCSR. */
uint32_t fpu_exceptions(bool x87);
#define FPU_INVALID   0x01u
#define FPU_DENORMAL  0x02u
#define FPU_ZERO      0x04u
#define FPU_OVERFLOW  0x08u
#define FPU_UNDERFLOW 0x10u
#define FPU_INEXACT   0x20u

void fpu_start(void);            /* on each CPU */
void fpu_prepare(void *area);    /* makes any memory something that fpu_save can save to */
void fpu_init(void *area);       /* a program's initial state */
void fpu_reset(void);            /* the same, to the CPU */
void fpu_make_valid(void *area); /* makes whatever is in it something that fpu_load can load */
uint64_t fpu_components(void);   /* XSAVE's components that are saved; 0: the legacy 512 bytes only */
uint32_t fpu_bytes(void);        /* how many bytes of the area are in use on this CPU */

/* fpu_components(), for each switch. Set once, by fpu_start. */
extern uint32_t fpu_saved;

/* From the CPU to an area. */
static inline void fpu_save(void *area)
{
	unsigned char(*bytes)[FPU_AREA_BYTES] = area;

	if (fpu_saved != 0)
		__asm__ volatile("xsave64 %0" : "+m"(*bytes) : "a"(fpu_saved), "d"(0));
	else
		__asm__ volatile("fxsave64 %0" : "=m"(*bytes));
}

/* From an area to the CPU. */
static inline void fpu_load(const void *area)
{
	const unsigned char(*bytes)[FPU_AREA_BYTES] = area;

	if (fpu_saved != 0)
		__asm__ volatile("xrstor64 %0" : : "m"(*bytes), "a"(fpu_saved), "d"(0));
	else
		__asm__ volatile("fxrstor64 %0" : : "m"(*bytes));
}

/* ---- The local APIC (kern/arch/x86_64/apic.c) ---------------------------------------------------- */

/* Vectors above the 32 of the CPU's own. The 8259s are masked; what they still raise is spurious. */
#define VECTOR_PIC_MASTER 0x20
#define VECTOR_PIC_SLAVE  0x28
#define VECTOR_PIC_LINES  8
#define VECTOR_TIMER      0x40
#define VECTOR_LINES      0x50 /* of ISA's 16 lines, through an I/O APIC */
#define VECTOR_MESSAGES   0x60 /* of devices that interrupt by messages */
#define MESSAGE_VECTORS   16
#define VECTOR_SPURIOUS   0xff

void apic_init(void);
bool apic_present(void);
uint32_t apic_id(void); /* this CPU's */
void apic_end_of_interrupt(void);
/* Lets the 8259s interrupt this CPU, or not. */
void apic_pass_8259(bool on);
/* The timer counts down from `count` once and interrupts (or not); 0 stops it. */
void apic_timer_start(uint32_t count, bool interrupt);
uint32_t apic_timer_remaining(void);

/* ---- Interrupt lines (kern/arch/x86_64/irq.c) ---------------------------------------------------- */

#define ISA_LINES 16

/*
 * Masks the 8259s. Before apic_init: what they ask for is taken back while the local APIC still passes it on. (QEMU 7.2 has an interrupt
 * without a vector for the CPU else.)
 */
void irq_mask_8259s(void);

/* Finds the I/O APICs that ACPI names, and masks all their lines; if there are none, the 8259s are used. After apic_init. */
void irq_init(void);

/*
 * Lets an ISA line interrupt this CPU: `handler` is called, with the line, interrupts off; it takes no locks. Several devices
 * of a line share a handler. False: the line leads nowhere, or has another handler.
 */
bool irq_enable(unsigned line, void (*handler)(unsigned line));

/*
 * Finds a vector for a device that interrupts by writing *data to *address (MSI, MSI-X): handler(context) is called, interrupts off; it takes no locks.
 * False: this CPU cannot be reached so, or all vectors are taken.
 */
bool irq_add_message(void (*handler)(void *context), void *context, uint64_t *address, uint32_t *data);

/* An interrupt has come: calls the handler of its line or message and acknowledges it. False: it is nobody's. */
bool irq_handle(uint64_t vector);

/* ---- The clock (kern/arch/x86_64/clock.c) -------------------------------------------------------- */

/* Hertz of the TSC, and of the APIC's timer (0: none), measured against the PIT. */
void clock_calibrate(uint64_t *tsc_hz, uint64_t *timer_hz);
/* Seconds since 1970 by the battery clock, taken as UTC; 0 if it makes no sense. */
int64_t clock_read_rtc(void);

/* Turns the machine off through ACPI; returns if that does not work (kern/dev/acpi.c). */
void acpi_power_off(void);

/* A whole and valid table of ACPI's, with its header, by its four letters; NULL: there is none (kern/dev/acpi.c). */
const uint8_t *acpi_find_table(const char *signature, uint32_t *length);

#endif
