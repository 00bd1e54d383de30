/*
 * Setting up a CPU: control registers, descriptor tables, system-call entry, FPU state, and what each
 * CPU has for itself.
 *
 * Where the descriptor tables lead to is in vectors.asm and trap.c; page tables are pmap.c's. "SDM" is the
 * Intel 64 and IA-32 Architectures Software Developer's Manual, "APM" AMD64 Architecture Programmer's Manual.
 */
#include <asm/hwcap2.h>
#include <hw.h>
#include <pte.h>
#include <kern/cpu.h>
#include <kern/gate.h>
#include <kern/kern.h>
#include <vm/layout.h>

/* ---- CPUID bits (SDM vol 2, CPUID; APM vol 3, appendix E) ---------------------------------------- */

#define CPUID_1_ECX_XSAVE     (1u << 26)
#define CPUID_1_EDX_MCE       (1u << 7)
#define CPUID_1_EDX_PGE       (1u << 13)
#define CPUID_1_EDX_PAT       (1u << 16)
#define CPUID_7_EBX_FSGSBASE  (1u << 0)
#define CPUID_7_EBX_SMEP      (1u << 7)
#define CPUID_7_EBX_SMAP      (1u << 20)
#define CPUID_7_ECX_UMIP      (1u << 2)
#define CPUID_81_EDX_SYSCALL  (1u << 11)
#define CPUID_81_EDX_NX       (1u << 20)
#define CPUID_LEAF_FEATURES   1u
#define CPUID_LEAF_STRUCTURED 7u
#define CPUID_EXTENDED        0x80000000u
#define CPUID_LEAF_EXTENDED   0x80000001u

/* ---- Segments (SDM vol 3, 3.4.5 and 7.2) --------------------------------------------------------- */

/*
 * The order is SYSCALL's and SYSRET's: kernel data follows kernel code; user data and then user code
 * follow the selector that STAR holds for SYSRET, which is the place of a 32-bit user code segment.
 */
#define KERNEL_CODE      0x08
#define KERNEL_DATA      0x10
#define USER_CODE32      0x18
#define TASK_STATE       0x30
#define CPU_NUMBER       0x40 /* a segment whose limit is the CPU's number: LSL tells it to ring 3 */
#define RING_3           3u
#define SEGMENT_CODE     0x00209b0000000000ull /* long mode, present, read, accessed */
#define SEGMENT_DATA     0x0000930000000000ull
#define SEGMENT_USER     0x0000600000000000ull /* privilege level 3 */
#define SEGMENT_TSS      0x0000890000000000ull /* available 64-bit TSS */
#define GATE_INTERRUPT   0x8e00u               /* present, turns interrupts off */
#define GATE_FROM_USER   0x6000u               /* INT from ring 3 is allowed */
#define VECTORS          256
#define VECTOR_STUB_SIZE 16

enum { GDT_ENTRIES = CPU_NUMBER / 8 + 1 };
_Static_assert((CPU_NUMBER | RING_3) == GATE_CPU_SELECTOR, "the vDSO");
enum { IST_NONE, IST_DOUBLE_FAULT, IST_NMI, IST_MACHINE_CHECK, IST_END };

struct task_state {
	uint32_t reserved0;
	uint64_t rsp[3]; /* for ring 0, 1, 2 */
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map; /* at or beyond the limit: ring 3 has no ports */
} __attribute__((packed));

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t type; /* bits 0 to 2: the stack (IST) */
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* A stack for one of the traps that may come anywhere; ends with what vectors.asm expects above its frame. */
struct trap_stack {
	uint8_t bytes[8192 - 16];
	struct percpu *cpu;
	uint64_t unused;
} __attribute__((aligned(16)));

/* Only its own CPU touches it, after cpu_init. */
struct cpu_tables {
	struct percpu cpu; /* first: this_cpu() leads here */
	struct task_state task;
	uint64_t gdt[GDT_ENTRIES];
	struct trap_stack stacks[IST_END - 1];
};

_Static_assert(sizeof(struct gate) == 16, "SDM vol 3, 6.14.1");
_Static_assert(sizeof(struct task_state) == 104, "SDM vol 3, 7.7");
_Static_assert(offsetof(struct percpu, kernel_stack) == 8, "vectors.asm");
_Static_assert(offsetof(struct percpu, user_rsp) == 16, "vectors.asm");
_Static_assert(offsetof(struct percpu, number) == PERCPU_NUMBER, "env_impl.h");
_Static_assert(offsetof(struct percpu, lock_owner) == PERCPU_LOCK_OWNER, "env_impl.h");
_Static_assert(offsetof(struct percpu, work) == 32, "vectors.asm");
_Static_assert(sizeof(struct trapframe) == 176, "vectors.asm");
_Static_assert(offsetof(struct trapframe, vector) == 120, "vectors.asm");

static struct cpu_tables boot_cpu; /* the only CPU that is started */
static struct gate idt[VECTORS];   /* the same for every CPU */

extern const uint8_t vector_stubs[], page_fault_stub[], syscall_entry[];
extern const uint32_t vectors_smap_sites[], vectors_smap_sites_end[];
extern const uint32_t copy_smap_sites[], copy_smap_sites_end[];
extern struct thread boot_thread; /* kern/core/sched.c */
extern const uint8_t thread_begin[];

/* All zero for a leaf that the CPU does not have. */
static struct cpuid supported_cpuid(uint32_t leaf)
{
	if (cpuid(leaf & CPUID_EXTENDED, 0).eax < leaf)
		return (struct cpuid){0, 0, 0, 0};
	return cpuid(leaf, 0);
}

static void set_percpu(struct cpu_tables *t, uint32_t number)
{
	t->cpu.self = &t->cpu;
	t->cpu.number = number;
	t->cpu.lock_owner = number + 1;
	t->cpu.thread = &boot_thread;
	wrmsr(MSR_GS_BASE, (uint64_t)&t->cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0); /* the first program's */
}

static void load_segments(struct cpu_tables *t, uint32_t number)
{
	uint64_t base = (uint64_t)&t->task;
	struct table_register gdtr = {sizeof t->gdt - 1, (uint64_t)t->gdt};

	t->gdt[KERNEL_CODE / 8] = SEGMENT_CODE;
	t->gdt[KERNEL_DATA / 8] = SEGMENT_DATA;
	t->gdt[USER_CODE32 / 8 + 1] = SEGMENT_DATA | SEGMENT_USER;
	t->gdt[USER_CODE32 / 8 + 2] = SEGMENT_CODE | SEGMENT_USER;
	t->gdt[TASK_STATE / 8] =
		SEGMENT_TSS | (sizeof t->task - 1) | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	t->gdt[TASK_STATE / 8 + 1] = base >> 32;
	t->gdt[CPU_NUMBER / 8] = SEGMENT_DATA | SEGMENT_USER | number;
	t->task.io_map = sizeof t->task;
	for (unsigned i = IST_NONE + 1; i < IST_END; i++) {
		t->stacks[i - 1].cpu = &t->cpu;
		t->task.ist[i - 1] = (uint64_t)&t->stacks[i - 1].cpu;
	}
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%ss\n\t"
			 "movl %3, %%ds\n\t"
			 "movl %3, %%es\n\t"
			 "movl %3, %%fs\n\t"
			 "movl %3, %%gs\n\t"
			 "ltr %w4"
			 :
			 : "m"(gdtr), "i"(KERNEL_CODE), "r"(KERNEL_DATA), "r"(0), "r"(TASK_STATE)
			 : "rax", "memory");
}

static void load_idt(void)
{
	static const uint8_t stacks[] = {
		[VECTOR_NMI] = IST_NMI,
		[VECTOR_DOUBLE_FAULT] = IST_DOUBLE_FAULT,
		[VECTOR_MACHINE_CHECK] = IST_MACHINE_CHECK,
	};
	struct table_register idtr = {sizeof idt - 1, (uint64_t)idt};

	for (unsigned vector = 0; vector < VECTORS; vector++) {
		uint64_t stub = (uint64_t)vector_stubs + vector * VECTOR_STUB_SIZE;
		unsigned stack = vector < sizeof stacks ? stacks[vector] : IST_NONE;
		/* INT3 and INTO are a program's own to execute. */
		bool from_user = vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW;

		if (vector == VECTOR_PAGE_FAULT)
			stub = (uint64_t)page_fault_stub;
		idt[vector] = (struct gate){
			.offset_low = (uint16_t)stub,
			.selector = KERNEL_CODE,
			.type = (uint16_t)(GATE_INTERRUPT | (from_user ? GATE_FROM_USER : 0) | stack),
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

/* STAC and CLAC do not exist without SMAP: there, they become no-ops of three bytes. Text is still writable. */
static void remove_smap_sites(const uint32_t *site, const uint32_t *end)
{
	static const uint8_t no_op[] = {0x0f, 0x1f, 0x00};

	for (; site < end; site++)
		memcpy((void *)(uint64_t)*site, no_op, sizeof no_op);
}

/* Switches on what protects the kernel from users and from itself, wherever the CPU has it. */
static void set_control_registers(void)
{
	struct cpuid features = supported_cpuid(CPUID_LEAF_FEATURES);
	struct cpuid structured = supported_cpuid(CPUID_LEAF_STRUCTURED);
	struct cpuid extended = supported_cpuid(CPUID_LEAF_EXTENDED);
	uint64_t cr0 = read_cr0() & ~(X86_CR0_EM | X86_CR0_TS | X86_CR0_CD | X86_CR0_NW);
	uint64_t cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;

	if (!(extended.edx & CPUID_81_EDX_SYSCALL) || !(features.edx & CPUID_1_EDX_PAT))
		panic("this CPU has no SYSCALL, or no page attribute table");
	cr4 |= features.edx & CPUID_1_EDX_MCE ? X86_CR4_MCE : 0;
	cr4 |= features.edx & CPUID_1_EDX_PGE ? X86_CR4_PGE : 0;
	cr4 |= features.ecx & CPUID_1_ECX_XSAVE ? X86_CR4_OSXSAVE : 0;
	cr4 |= structured.ebx & CPUID_7_EBX_FSGSBASE ? X86_CR4_FSGSBASE : 0;
	cr4 |= structured.ebx & CPUID_7_EBX_SMEP ? X86_CR4_SMEP : 0;
	cr4 |= structured.ebx & CPUID_7_EBX_SMAP ? X86_CR4_SMAP : 0;
	cr4 |= structured.ecx & CPUID_7_ECX_UMIP ? X86_CR4_UMIP : 0;
	if (!(cr4 & X86_CR4_SMAP)) {
		remove_smap_sites(vectors_smap_sites, vectors_smap_sites_end);
		remove_smap_sites(copy_smap_sites, copy_smap_sites_end);
	}
	write_cr0(cr0 | X86_CR0_WP | X86_CR0_NE | X86_CR0_MP | X86_CR0_AM);
	write_cr4(cr4);
	wrmsr(MSR_PAT, PAT_VALUE);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (extended.edx & CPUID_81_EDX_NX ? EFER_NXE : 0));
}

uint64_t cpu_user_capabilities(void)
{
	return read_cr4() & X86_CR4_FSGSBASE ? HWCAP2_FSGSBASE : 0;
}

/* SYSCALL's ways in and out (SDM vol 3, 5.8.8). */
static void set_syscall_entry(void)
{
	wrmsr(MSR_STAR, (uint64_t)(USER_CODE32 | RING_3) << 48 | (uint64_t)KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_AC | X86_EFLAGS_TF | X86_EFLAGS_NT);
}

/* ---- Public -------------------------------------------------------------------------------------- */

void cpu_init(void)
{
	load_segments(&boot_cpu, 0); /* clears %gs's base */
	set_percpu(&boot_cpu, 0);
	load_idt();
	set_control_registers();
	set_syscall_entry();
	fpu_start();
}

void cpu_set_kernel_stack(vaddr_t top)
{
	struct cpu_tables *tables = (struct cpu_tables *)this_cpu();

	ASSERT(top % 16 == 0);
	tables->cpu.kernel_stack = top;
	tables->task.rsp[0] = top;
}

void cpu_set_fs_base(vaddr_t base)
{
	ASSERT(base < LAYOUT_PHYSICAL_END); /* WRMSR faults on a non-canonical one */
	wrmsr(MSR_FS_BASE, base);
}

vaddr_t cpu_fs_base(void)
{
	return user_fs_base();
}

void cpu_set_gs_base(vaddr_t base)
{
	ASSERT(base < LAYOUT_PHYSICAL_END);
	wrmsr(MSR_KERNEL_GS_BASE, base);
}

vaddr_t cpu_gs_base(void)
{
	return user_gs_base();
}

/* What switch_context pops, and then where it returns to; CALL leaves the stack there as the ABI has it. */
vaddr_t thread_first_rsp(vaddr_t top)
{
	enum { POPPED = 6 };
	uint64_t *words = (uint64_t *)top - (POPPED + 2);

	ASSERT(top % 16 == 0);
	memset(words, 0, (POPPED + 2) * sizeof *words);
	words[POPPED] = (uint64_t)thread_begin;
	return (vaddr_t)words;
}

void trapframe_init_user(struct trapframe *frame, vaddr_t rip, vaddr_t rsp)
{
	*frame = (struct trapframe){
		.rip = rip,
		.cs = USER_CODE32 + 16 + RING_3,
		.rflags = X86_EFLAGS_IF | X86_EFLAGS_FIXED,
		.rsp = rsp,
		.ss = USER_CODE32 + 8 + RING_3,
	};
}
