/*
 * What the CPU enforces for the kernel: rights of the kernel's own memory, SMEP, SMAP, no-execute, guard
 * pages; each by doing what is forbidden. Also the suites that end the system on purpose, "panic" and
 * "stack-overflow", for the scripts that look at how it ends.
 */
#include <hw.h>
#include <image.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/test.h>
#include <vm/layout.h>
#include <vm/pmap.h>
#include <vm/vm.h>

#define NEAR_RETURN     0xc3 /* the instruction */
#define USER_PLACE      0x400000ul
#define STACK_BYTES     (4 * PAGE_SIZE)
#define CPUID_7_SMEP    (1u << 7)
#define CPUID_7_SMAP    (1u << 20)
#define CPUID_7_UMIP    (1u << 2) /* in ecx */
#define CPUID_1_PGE     (1u << 13)
#define STRUCTURED_LEAF 7u

static const uint8_t constant[] = {NEAR_RETURN};
static uint8_t variable[] = {NEAR_RETURN};

/* No page in [start, end) may be both written and executed. How many are mapped. */
static size_t check_rights(vaddr_t start, vaddr_t end)
{
	size_t mapped = 0;

	for (vaddr_t va = start; va < end; va += PAGE_SIZE) {
		struct pmap_query found = pmap_query(&kernel_pmap, va);

		if (!found.page)
			continue;
		mapped++;
		if (!CHECK(!(found.prot & VM_WRITE) || !(found.prot & VM_EXEC)) ||
		    !CHECK(!(found.prot & VM_USER)))
			test_print("# at 0x%llx", (unsigned long long)va);
	}
	return mapped;
}

static void test_kernel_image(void)
{
	vaddr_t text = (vaddr_t)kernel_text_start;
	size_t image_pages = (size_t)(kernel_image_end - kernel_text_start) / PAGE_SIZE;

	test_case("no page of the kernel window is writable and executable, or the user's");
	CHECK_EQ(check_rights(LAYOUT_KERNEL_START, LAYOUT_GATE_START), image_pages - 1); /* a guard page */

	test_case("the kernel's text can be read, and not written");
	CHECK_EQ(cpu_probe(text, VM_READ), PROBE_WORKS);
	CHECK_EQ(cpu_probe(text, VM_WRITE), PF_PRESENT | PF_WRITE);

	test_case("read-only data can be neither written nor executed");
	CHECK_EQ(cpu_probe((vaddr_t)constant, VM_READ), PROBE_WORKS);
	CHECK_EQ(cpu_probe((vaddr_t)constant, VM_WRITE), PF_PRESENT | PF_WRITE);
	CHECK_EQ(cpu_probe((vaddr_t)constant, VM_EXEC), PF_PRESENT | PF_FETCH);

	test_case("data can be written and not executed");
	CHECK_EQ(cpu_probe((vaddr_t)variable, VM_WRITE), PROBE_WORKS);
	CHECK_EQ(cpu_probe((vaddr_t)variable, VM_EXEC), PF_PRESENT | PF_FETCH);

	test_case("the physical map gives no way round: the image's text and constants are read-only there");
	CHECK_EQ(cpu_probe((vaddr_t)env_phys_to_virt(image_paddr(kernel_text_start)), VM_WRITE),
		 PF_PRESENT | PF_WRITE);
	CHECK_EQ(cpu_probe((vaddr_t)env_phys_to_virt(image_paddr(constant)), VM_WRITE),
		 PF_PRESENT | PF_WRITE);

	test_case("nothing in the physical map can be executed");
	CHECK_EQ(cpu_probe((vaddr_t)env_phys_to_virt(image_paddr(variable)), VM_WRITE), PROBE_WORKS);
	CHECK_EQ(cpu_probe((vaddr_t)env_phys_to_virt(image_paddr(variable)), VM_EXEC), PF_PRESENT | PF_FETCH);
}

static void test_absent_memory(void)
{
	uint8_t *stack;

	test_case("address 0 is not mapped");
	CHECK_EQ(cpu_probe(0, VM_READ), 0);
	CHECK_EQ(cpu_probe(0, VM_WRITE), PF_WRITE);
	CHECK_EQ(cpu_probe(LAYOUT_GUARD_END - 1, VM_READ), 0);
	CHECK_EQ(cpu_probe(0, VM_EXEC), PF_FETCH);

	test_case("a kernel stack has an unmapped page below and above, and cannot be executed");
	stack = kernel_alloc(STACK_BYTES, "test stack");
	if (CHECK(stack)) {
		CHECK_EQ(cpu_probe((vaddr_t)stack, VM_WRITE), PROBE_WORKS);
		CHECK_EQ(cpu_probe((vaddr_t)stack + STACK_BYTES - 1, VM_WRITE), PROBE_WORKS);
		CHECK_EQ(cpu_probe((vaddr_t)stack - 1, VM_WRITE), PF_WRITE);
		CHECK_EQ(cpu_probe((vaddr_t)stack + STACK_BYTES, VM_WRITE), PF_WRITE);
		*stack = NEAR_RETURN;
		CHECK_EQ(cpu_probe((vaddr_t)stack, VM_EXEC), PF_PRESENT | PF_FETCH);
		kernel_free(stack);
		CHECK_EQ(cpu_probe((vaddr_t)stack, VM_READ), 0);
	}

	test_case("the boot stack has an unmapped page below");
	CHECK_EQ(cpu_probe((vaddr_t)boot_stack_guard + PAGE_SIZE - 1, VM_WRITE), PF_WRITE);
	CHECK_EQ(cpu_probe((vaddr_t)boot_stack_guard + PAGE_SIZE, VM_WRITE), PROBE_WORKS);

	test_case("reading memory that may not be there");
	CHECK(kernel_read_safely(&(uint64_t){0}, (vaddr_t)variable, sizeof variable));
	CHECK(!kernel_read_safely(&(uint64_t){0}, 0, sizeof(uint64_t)));
	CHECK(!kernel_read_safely(&(uint64_t){0}, LAYOUT_PHYSICAL_END, sizeof(uint64_t))); /* non-canonical */
}

/* A user map with one page at USER_PLACE that begins with a RET, with those rights. Active until end_user_page. */
static struct map *begin_user_page(vm_prot_t prot)
{
	const uint8_t code[] = {NEAR_RETURN};
	const struct placement place = {.address = USER_PLACE, .flags = PLACE_FIXED};
	const struct mapping how = {.prot = prot, .inherit = INHERIT_COPY, .name = "test"};
	struct fault_result result;
	struct map *map;
	struct blob *blob;
	vaddr_t at;

	if (!CHECK_EQ(map_create_root("test", &map), 0))
		return NULL;
	if (CHECK_EQ(blob_create(PAGE_SIZE, 0, &blob), 0)) {
		CHECK_EQ(blob_write(blob, 0, code, sizeof code), 0);
		CHECK_EQ(map_blob(map, &place, blob, 0, 1, &how, &at), 0);
		blob_unref(blob);
	}
	pmap_activate(map_pmap(map));
	for (vm_prot_t access = VM_READ; access <= VM_EXEC; access = (vm_prot_t)(access << 1)) {
		if (prot & access)
			CHECK_EQ(vm_fault(map, USER_PLACE, access, &result), 0);
	}
	return map;
}

static void end_user_page(struct map *map)
{
	pmap_activate(&kernel_pmap);
	map_unref(map);
}

/* Each access is tried with the protection on, and, to know that nothing else forbids it, off. */
static void test_user_memory(void)
{
	uint64_t cr4 = read_cr4(), cr0 = read_cr0();
	struct map *map;

	test_case("SMEP: the kernel cannot execute a user's page");
	map = begin_user_page(VM_READ | VM_EXEC);
	if (!(cr4 & X86_CR4_SMEP)) {
		test_skip("this CPU has no SMEP");
	} else if (map) {
		CHECK_EQ(cpu_probe(USER_PLACE, VM_EXEC), PF_PRESENT | PF_FETCH);
		write_cr4(cr4 & ~X86_CR4_SMEP);
		CHECK_EQ(cpu_probe(USER_PLACE, VM_EXEC), PROBE_WORKS);
		write_cr4(cr4);
	}
	if (map)
		end_user_page(map);

	test_case("SMAP: the kernel can neither read nor write a user's page outside a user copy");
	map = begin_user_page(VM_READ | VM_WRITE);
	if (!(cr4 & X86_CR4_SMAP)) {
		test_skip("this CPU has no SMAP");
	} else if (map) {
		CHECK_EQ(cpu_probe(USER_PLACE, VM_READ), PF_PRESENT);
		CHECK_EQ(cpu_probe(USER_PLACE, VM_WRITE), PF_PRESENT | PF_WRITE);
		write_cr4(cr4 & ~X86_CR4_SMAP);
		CHECK_EQ(cpu_probe(USER_PLACE, VM_READ), PROBE_WORKS);
		CHECK_EQ(cpu_probe(USER_PLACE, VM_WRITE), PROBE_WORKS);
		write_cr4(cr4);
	}
	if (map)
		end_user_page(map);

	test_case("write protection holds for the kernel, also where SMAP does not");
	map = begin_user_page(VM_READ);
	if (map) {
		write_cr4(cr4 & ~X86_CR4_SMAP);
		CHECK_EQ(cpu_probe(USER_PLACE, VM_WRITE), PF_PRESENT | PF_WRITE);
		write_cr0(cr0 & ~X86_CR0_WP);
		CHECK_EQ(cpu_probe(USER_PLACE, VM_WRITE), PROBE_WORKS);
		write_cr0(cr0);
		write_cr4(cr4);
		end_user_page(map);
	}
}

/* Every protection that the CPU offers is on. */
static void test_control_registers(void)
{
	struct cpuid structured = {0, 0, 0, 0};
	uint64_t cr4 = read_cr4();

	if (cpuid(0, 0).eax >= STRUCTURED_LEAF)
		structured = cpuid(STRUCTURED_LEAF, 0);
	test_case("the protections that the CPU has are on");
	CHECK(read_cr0() & X86_CR0_WP);
	CHECK_EQ((cr4 & X86_CR4_SMEP) != 0, (structured.ebx & CPUID_7_SMEP) != 0);
	CHECK_EQ((cr4 & X86_CR4_SMAP) != 0, (structured.ebx & CPUID_7_SMAP) != 0);
	CHECK_EQ((cr4 & X86_CR4_UMIP) != 0, (structured.ecx & CPUID_7_UMIP) != 0);
	CHECK_EQ((cr4 & X86_CR4_PGE) != 0, (cpuid(1, 0).edx & CPUID_1_PGE) != 0);
}

/* INT `vector`, where nothing is expected: it is counted as what it is, and changes no register. */
#define CHECK_INTERRUPT(vector)                                          \
	do {                                                             \
		uint64_t kept = 0x1122334455667788, seen, last;          \
		uint64_t before = trap_unexpected_interrupts(&last);     \
                                                                         \
		__asm__ volatile("movq %1, %%r11\n\t"                    \
				 "int %2\n\t"                            \
				 "movq %%r11, %0"                        \
				 : "=r"(seen)                            \
				 : "r"(kept), "i"(vector)                \
				 : "r11", "memory");                     \
		CHECK_EQ(seen, kept);                                    \
		CHECK_EQ(trap_unexpected_interrupts(&last), before + 1); \
		CHECK_EQ(last, vector);                                  \
	} while (0)

static void test_interrupts(void)
{
	test_case("an interrupt that nobody expects is counted, and changes no register");
	CHECK_INTERRUPT(0x30);
	CHECK_INTERRUPT(0x7f);
	CHECK_INTERRUPT(0x80);
	CHECK_INTERRUPT(0xfe);

	test_case("per-CPU data is the CPU's own");
	CHECK_EQ(this_cpu()->self, this_cpu());
	CHECK_EQ(this_cpu()->number, env_cpu());
}

void suite_cpu(void);
void suite_panic(void);
void suite_stack_overflow(void);

void suite_cpu(void)
{
	if (!(rdmsr(MSR_EFER) & EFER_NXE)) {
		test_case("what the CPU enforces");
		test_skip("this CPU has no no-execute bit");
		return;
	}
	test_control_registers();
	test_kernel_image();
	test_absent_memory();
	test_user_memory();
	test_interrupts();
}

void suite_panic(void)
{
	test_case("a deliberate panic");
	panic("the test asked for it (%d)", 42);
}

/* Uses up any stack; what follows the call keeps it from becoming a loop. */
static __attribute__((noinline)) uint64_t recurse(uint64_t depth)
{
	volatile uint64_t used[16];

	used[depth % 16] = depth;
	if (depth == UINT64_MAX)
		return 0;
	return recurse(depth + 1) + used[depth % 16];
}

static void overflow(void)
{
	test_print("# %llu", (unsigned long long)recurse(0));
}

void suite_stack_overflow(void)
{
	uint8_t *stack = kernel_alloc(STACK_BYTES, "test stack");

	test_case("recursion without end");
	if (!CHECK(stack))
		return;
	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "movq %0, %%rsp\n\t"
			 "call *%1\n\t"
			 "movq %%rbx, %%rsp"
			 :
			 : "r"(stack + STACK_BYTES), "r"(overflow)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}
