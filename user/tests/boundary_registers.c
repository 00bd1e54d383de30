/*
 * What a system call and a page fault leave alone: general registers, flags (also those that the kernel has to clear
 * for itself), segment selectors and bases, the red zone, FPU and AVX state.
 */
#include "check.h"
#include <immintrin.h>

#define ARCH_SET_GS 0x1001 /* <asm/prctl.h>, which musl does not have */
#define ARCH_GET_GS 0x1004

#define FLAG_FIXED 0x2ul
#define FLAG_IF    0x200ul
#define FLAG_DF    0x400ul
#define FLAG_NT    0x4000ul
#define FLAG_AC    0x40000ul
#define FLAGS_ALU  0x8d5ul /* CF PF AF ZF SF OF */

#define SELECTOR_USER_DATA 0x23

static char *pages; /* each used once, for a fault */

static char *fresh_page(void)
{
	static unsigned used;

	return pages + PAGE * used++;
}

/* The flags after a getpid() that was called with `flags`. */
static uint64_t flags_after_call(uint64_t flags)
{
	uint64_t after, number = SYS_getpid;

	__asm__ volatile("push %[flags]; popfq; syscall; pushfq; pop %%rcx; push %[plain]; popfq"
			 : "+a"(number), "=&c"(after)
			 : [flags] "r"(flags), [plain] "r"(FLAG_FIXED | FLAG_IF)
			 : "r11", "memory", "cc");
	CHECK(number == (uint64_t)getpid());
	return after;
}

static uint64_t flags_after_fault(uint64_t flags)
{
	char *page = fresh_page();
	uint64_t after;

	__asm__ volatile(
		"push %[flags]; popfq; movb $7, (%[page]); pushfq; pop %[after]; push %[plain]; popfq"
		: [after] "=&r"(after)
		: [flags] "r"(flags), [page] "r"(page), [plain] "r"(FLAG_FIXED | FLAG_IF)
		: "memory", "cc");
	CHECK(*page == 7);
	return after;
}

static void test_flags(void)
{
	static const uint64_t sets[] = {0, FLAG_DF, FLAG_NT, FLAG_AC, FLAGS_ALU};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		uint64_t flags = FLAG_FIXED | FLAG_IF | sets[i];

		CHECK(flags_after_call(flags) == flags);
		CHECK(flags_after_fault(flags) == flags);
	}
}

/* Calls that copy, with the direction and alignment flags set. */
static void test_copies(void)
{
	struct utsname name = {.machine = ""};
	long result;

	__asm__ volatile("std; syscall; cld"
			 : "=a"(result)
			 : "a"(SYS_uname), "D"(&name)
			 : "rcx", "r11", "memory");
	CHECK(result == 0 && strcmp(name.machine, "x86_64") == 0);
}

static void test_general_registers(void)
{
	uint64_t number = SYS_getpid, rdi = 1, rsi = 2, rdx = 3, rbx = 4;
	register uint64_t r8 __asm__("r8") = 5, r9 __asm__("r9") = 6, r10 __asm__("r10") = 7;
	register uint64_t r12 __asm__("r12") = 8, r13 __asm__("r13") = 9;
	register uint64_t r14 __asm__("r14") = 10, r15 __asm__("r15") = 11;

	__asm__ volatile("syscall; movb $1, %[page]"
			 : "+a"(number), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+b"(rbx), "+r"(r8), "+r"(r9),
			   "+r"(r10), "+r"(r12), "+r"(r13), "+r"(r14), "+r"(r15)
			 : [page] "m"(*fresh_page())
			 : "rcx", "r11", "memory");
	CHECK(rdi == 1 && rsi == 2 && rdx == 3 && rbx == 4 && r8 == 5 && r9 == 6 && r10 == 7);
	CHECK(r12 == 8 && r13 == 9 && r14 == 10 && r15 == 11);
}

static void test_segments(void)
{
	static uint64_t cell = 0x123456789;
	uint64_t base = 0, seen;
	uint16_t gs;

	__asm__ volatile("mov %w0, %%gs; mov %w0, %%ds; mov %w0, %%es" : : "r"(SELECTOR_USER_DATA));
	CHECK(getppid() >= 0);
	*fresh_page() = 1;
	__asm__ volatile("mov %%gs, %0" : "=r"(gs));
	CHECK(gs == SELECTOR_USER_DATA);
	__asm__ volatile("mov %w0, %%gs; mov %w0, %%ds; mov %w0, %%es" : : "r"(0));

	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &cell) == 0);
	*fresh_page() = 1;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(seen));
	CHECK(seen == cell);
	CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == (uintptr_t)&cell);
	CHECK_ERROR(syscall(SYS_arch_prctl, ARCH_SET_GS, 1ul << 63), EPERM);
	CHECK_ERROR(syscall(SYS_arch_prctl, ARCH_GET_GS, 1ul << 63), EFAULT);
}

static void test_fpu(void)
{
	const uint64_t vector[4] = {1, 2, 3, 4};
	const uint16_t control = 0x27f; /* double precision */
	const uint32_t mxcsr = 0x7f80;  /* round towards zero */
	uint64_t vector_after[4];
	uint16_t control_after;
	uint32_t mxcsr_before, mxcsr_after;
	double pi = 0;
	char *page = fresh_page();

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr_before));
	__asm__ volatile("vmovdqu %[vector], %%ymm5; fldcw %[control]; ldmxcsr %[mxcsr]; fldpi\n\t"
			 "movb $1, (%[page]); syscall\n\t"
			 "vmovdqu %%ymm5, %[vector_after]; fstpl %[pi]\n\t"
			 "fnstcw %[control_after]; stmxcsr %[mxcsr_after]; fninit; ldmxcsr %[mxcsr_before]"
			 : [vector_after] "=m"(vector_after), [pi] "=m"(pi),
			   [control_after] "=m"(control_after), [mxcsr_after] "=m"(mxcsr_after)
			 : "a"(SYS_getpid), [vector] "m"(vector), [control] "m"(control), [mxcsr] "m"(mxcsr),
			   [page] "r"(page), [mxcsr_before] "m"(mxcsr_before)
			 : "rcx", "r11", "memory", "xmm5");
	CHECK(memcmp(vector, vector_after, sizeof(vector)) == 0);
	CHECK(pi > 3.14159 && pi < 3.14160);
	CHECK(control_after == control && mxcsr_after == mxcsr);
}

static void test_red_zone(void)
{
	uint64_t sum, number = SYS_getpid;

	__asm__ volatile("movq $0x5000, -8(%%rsp); movq $0x600, -128(%%rsp); movb $1, (%[page]); syscall\n\t"
			 "mov -8(%%rsp), %[sum]; add -128(%%rsp), %[sum]"
			 : [sum] "=&r"(sum), "+a"(number)
			 : [page] "r"(fresh_page())
			 : "rcx", "r11", "memory", "cc");
	CHECK(sum == 0x5600);
}

/* Numbers that no table has: all 64 bits count, and x32's bit makes no call of it. */
static void test_call_numbers(void)
{
	CHECK_ERROR(syscall(-1l), ENOSYS);
	CHECK_ERROR(syscall(0x40000000l + SYS_getpid), ENOSYS);
	CHECK_ERROR(syscall(511), ENOSYS);
}

int main(void)
{
	pages = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pages != MAP_FAILED);
	test_flags();
	test_copies();
	test_general_registers();
	test_segments();
	if (__builtin_cpu_supports("avx"))
		test_fpu();
	test_red_zone();
	test_call_numbers();
	return checks_end("boundary_registers");
}
