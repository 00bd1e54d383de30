/*
 * Where things are: image in the low 2 GiB, below the kernel; heap, stack and anonymous mappings in the
 * process's arena; and what the initial stack says. Phoenix only; on Linux it just prints.
 *
 * Also built as a static PIE.
 */
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>

#define PRIVATE_START 0x1000ul
#define PRIVATE_END   0x78000000ul
#define ARENAS_START  0x100000000ul
#define ARENAS_END    0x6f8000000000ul
#define ARENA_BYTES   0x1000000000ul

static int initialized = 1;
static int zero[3 * 4096];
static const int constant = 7;

static uintptr_t print(const char *name, const volatile void *address)
{
	printf("%-12s 0x%lx\n", name, (uintptr_t)address);
	return (uintptr_t)address;
}

static bool phoenix;

static bool in_image(uintptr_t address)
{
	return !phoenix || (address >= PRIVATE_START && address < PRIVATE_END);
}

static bool in_arena(uintptr_t address)
{
	return address >= ARENAS_START && address < ARENAS_END;
}

static void check_image(void)
{
	CHECK(in_image(print("text", (void *)check_image)));
	CHECK(in_image(print("constant", &constant)));
	CHECK(in_image(print("data", &initialized)));
	CHECK(in_image(print("bss", zero)));
	CHECK(in_image(print("entry", (void *)getauxval(AT_ENTRY))));
	CHECK(in_image(print("headers", (void *)getauxval(AT_PHDR))));
}

static void check_arena(const volatile void *stack)
{
	uintptr_t at[5];
	char *mapping = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	at[0] = print("stack", stack);
	at[1] = print("break", (void *)syscall(SYS_brk, 0));
	at[2] = print("small malloc", malloc(100));
	at[3] = print("large malloc", malloc(10ul << 20));
	at[4] = print("mmap", mapping);
	for (unsigned i = 0; phoenix && i < 5; i++) {
		CHECK(in_arena(at[i]));
		/* All of it is in one arena: no two are further apart than it is large. */
		CHECK(at[i] - at[0] < ARENA_BYTES || at[0] - at[i] < ARENA_BYTES);
	}
	CHECK(munmap(mapping, 4 * PAGE) == 0);
	CHECK(mmap(mapping + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      mapping + 2 * PAGE);
	/* A hint that is taken: another place. */
	CHECK(mmap(&initialized, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	CHECK(initialized == 1);
	/* MAP_32BIT is the low 2 GiB, where the kernel begins at PRIVATE_END. */
	mapping = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	print("MAP_32BIT", mapping);
	CHECK(in_image((uintptr_t)mapping));
}

static void check_kernel_regions(void)
{
	static const uintptr_t kernel[] = {0,
					   PRIVATE_END - PAGE,
					   PRIVATE_END,
					   0x78100000,
					   0x7ffff000,
					   0x80000000,
					   0xfffff000,
					   ARENAS_END,
					   0x6fc000000000,
					   0x700000000000,
					   0x7ffffffff000,
					   0x800000000000};

	for (unsigned i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++) {
		void *got;

		if (i == 1)
			continue; /* the last page of private space is a program's like any other */
		got = mmap((void *)kernel[i], PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			   0);
		CHECK(got == MAP_FAILED);
		CHECK(munmap((void *)kernel[i], PAGE) == -1 || i == 0);
		CHECK(mprotect((void *)kernel[i], PAGE, PROT_READ) == -1);
	}
	/* A fixed mapping that runs into the kernel from below fails as a whole. */
	CHECK(mmap((void *)(PRIVATE_END - PAGE), 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == MAP_FAILED);
	CHECK(!readable((void *)(PRIVATE_END - PAGE)));
}

/* auxv(3): what the kernel tells a program about itself. */
static void check_auxv(char **argv)
{
	const Elf64_Phdr *header = (const Elf64_Phdr *)getauxval(AT_PHDR);
	bool loads = false;

	CHECK(getauxval(AT_PAGESZ) == PAGE);
	CHECK(getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
	for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
		loads = loads || header[i].p_type == PT_LOAD;
	CHECK(loads);
	CHECK(getauxval(AT_RANDOM) != 0 && readable((void *)getauxval(AT_RANDOM)));
	CHECK(strcmp((const char *)getauxval(AT_EXECFN), argv[0]) == 0);
	CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_SECURE) == 0);
}

static bool stack_aligned(void)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	return frame % 16 == 0;
}

int main(int argc, char **argv)
{
	int local = argc;
	unsigned nonzero = 0;

	phoenix = on_phoenix();
	for (unsigned i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		nonzero += zero[i] != 0;
	CHECK(nonzero == 0 && initialized == 1 && constant == 7);
	CHECK(stack_aligned());
	check_auxv(argv);
	check_image();
	check_arena(&local);
	if (phoenix)
		check_kernel_regions();
	return checks_end("addresses");
}
