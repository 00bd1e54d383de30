/*
 * Does one thing that a program must not do; the argument says which. None of them comes back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RET_OPCODE 0xc3

static volatile char sink;
static char data_code[16];
static const char constant[16] = "read-only";

/* The compiler shall not know what the address is. */
static volatile char *hide(uintptr_t address)
{
	__asm__("" : "+r"(address));
	return (volatile char *)address;
}

static void read_at(uintptr_t address)
{
	sink = *hide(address);
}

static void write_at(uintptr_t address)
{
	*hide(address) = 1;
}

/* Puts a `ret` there and calls it. */
static void jump_to(void *code)
{
	void (*function)(void);

	*(volatile unsigned char *)code = RET_OPCODE;
	memcpy(&function, &code, sizeof(function));
	function();
}

static void jump_at(uintptr_t address)
{
	((void (*)(void))address)();
}

static void read_null(void)
{
	read_at(0);
}
static void write_null(void)
{
	write_at(0);
}
static void read_guard(void)
{
	read_at(0xff8);
}
static void write_text(void)
{
	write_at((uintptr_t)&write_text);
}
static void write_constant(void)
{
	write_at((uintptr_t)constant);
}
static void jump_null(void)
{
	jump_at(0);
}
static void jump_stack(void)
{
	char code[16];

	jump_to(code);
}
static void jump_heap(void)
{
	jump_to(malloc(16));
}
static void jump_data(void)
{
	jump_to(data_code);
}
static void read_kernel(void)
{
	read_at(0x78100000);
}
static void write_kernel(void)
{
	write_at(0x78100000);
}
static void jump_kernel(void)
{
	jump_at(0x78100000);
}
static void read_system(void)
{
	read_at(0x80000000);
}
static void read_pages(void)
{
	read_at(0x6f8000000000);
}
static void read_dynamic(void)
{
	read_at(0x6fc000000000);
}
static void read_physical(void)
{
	read_at(0x700000000000);
}
static void write_physical(void)
{
	write_at(0x700000000000);
}
static void read_noncanonical(void)
{
	read_at(0x800000000000);
}
static void read_high(void)
{
	read_at(0xffff800000000000);
}
static void jump_noncanonical(void)
{
	jump_at(0x800000000000);
}
static void read_unmapped(void)
{
	read_at(0x10000000);
}

static void read_none(void)
{
	read_at((uintptr_t)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static void write_readonly(void)
{
	write_at((uintptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
static void read_unmapped_again(void)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memory[0] = 1;
	munmap(memory, 4096);
	read_at((uintptr_t)memory);
}

static void halt(void)
{
	__asm__ volatile("hlt");
}
static void mask_interrupts(void)
{
	__asm__ volatile("cli");
}
static void port_output(void)
{
	__asm__ volatile("outb %%al, $0xf4" ::"a"(0));
}
static void read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
}
static void read_msr(void)
{
	__asm__ volatile("rdmsr" ::"c"(0xc0000080) : "rax", "rdx");
}
static void store_gdt(void)
{
	char table[10];

	__asm__ volatile("sgdt %0" : "=m"(table)); /* UMIP */
	sink = table[0];
}
static void interrupt_13(void)
{
	__asm__ volatile("int $13");
}
static void undefined(void)
{
	__asm__ volatile("ud2");
}
static void breakpoint(void)
{
	__asm__ volatile("int3");
}
static void divide(void)
{
	volatile int one = 1, zero = 0;

	sink = (char)(one / zero);
}

/* Not a tail call, and each level is large: the compiler must keep them all. */
static int recurse(int depth)
{
	volatile char frame[1024];

	frame[0] = (char)depth;
	return sink == 99 ? 0 : recurse(depth + 1) + frame[0];
}
static void overflow(void)
{
	sink = (char)recurse(0);
}
/* With no stack left to push anything on. */
static void lose_stack(void)
{
	__asm__ volatile("xor %%esp, %%esp\n\t"
			 "push %%rax" ::
				 : "memory");
}

static const struct {
	const char *name;
	void (*crash)(void);
} crashes[] = {
	{"read-null", read_null},
	{"write-null", write_null},
	{"read-guard", read_guard},
	{"write-text", write_text},
	{"write-constant", write_constant},
	{"jump-null", jump_null},
	{"jump-stack", jump_stack},
	{"jump-heap", jump_heap},
	{"jump-data", jump_data},
	{"read-kernel", read_kernel},
	{"write-kernel", write_kernel},
	{"jump-kernel", jump_kernel},
	{"read-system", read_system},
	{"read-pages", read_pages},
	{"read-dynamic", read_dynamic},
	{"read-physical", read_physical},
	{"write-physical", write_physical},
	{"read-noncanonical", read_noncanonical},
	{"read-high", read_high},
	{"jump-noncanonical", jump_noncanonical},
	{"read-unmapped", read_unmapped},
	{"read-none", read_none},
	{"write-readonly", write_readonly},
	{"read-unmapped-again", read_unmapped_again},
	{"hlt", halt},
	{"cli", mask_interrupts},
	{"out", port_output},
	{"cr3", read_cr3},
	{"rdmsr", read_msr},
	{"sgdt", store_gdt},
	{"int13", interrupt_13},
	{"ud2", undefined},
	{"int3", breakpoint},
	{"divide", divide},
	{"overflow", overflow},
	{"lose-stack", lose_stack},
	{"abort", abort},
};

int main(int argc, char **argv)
{
	size_t count = sizeof(crashes) / sizeof(crashes[0]);

	for (size_t i = 0; argc > 1 && i < count; i++) {
		if (strcmp(argv[1], crashes[i].name) == 0) {
			printf("before\n");
			fflush(stdout);
			crashes[i].crash();
			printf("after\n");
			return 0;
		}
	}
	for (size_t i = 0; i < count; i++)
		printf("%s\n", crashes[i].name);
	return 2;
}
