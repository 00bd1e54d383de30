/*
 * Floating point: printing, the SSE registers across system calls and page faults, and the control word.
 */
#include "check.h"
#include <math.h>
#include <xmmintrin.h>

#define PAGES 64

/* Sixteen registers' worth of live values over whatever `disturb` does. */
static double sum_over(void (*disturb)(int))
{
	double a = 1.5, b = 2.25, c = 3.125, d = 4.0625, e = 5.5, f = 6.25, g = 7.125, h = 8.0625;

	for (int i = 0; i < PAGES; i++) {
		a += b;
		b += c;
		disturb(i);
		c += d;
		d += e;
		e += f;
		f += g;
		g += h;
		h += 1.0;
	}
	return a + b + c + d + e + f + g + h;
}

static volatile char *memory;

static void nothing(int i)
{
	(void)i;
}

static void call(int i)
{
	struct utsname name;

	if (i % 2)
		uname(&name);
	else
		syscall(SYS_sched_yield);
}

static void fault(int i)
{
	memory[(size_t)i * PAGE] = (char)i;
}

static void test_registers(void)
{
	unsigned before[4] = {1, 2, 3, 4}, after[4];

	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	__asm__ volatile("movdqu %1, %%xmm15\n\t"
			 "mov %2, %%eax\n\t"
			 "syscall\n\t"
			 "movb $1, (%3)\n\t" /* a page fault */
			 "movdqu %%xmm15, %0"
			 : "=m"(after)
			 : "m"(before), "i"(SYS_getppid), "r"(memory)
			 : "rax", "rcx", "r11", "xmm15", "memory");
	CHECK(memcmp(before, after, sizeof(before)) == 0);
	CHECK(sum_over(nothing) == sum_over(call));
	CHECK(sum_over(nothing) == sum_over(fault));
}

static void test_control(void)
{
	char text[80];

	CHECK(_mm_getcsr() == 0x1f80); /* all exceptions masked, nearest: the ABI's initial value */
	_mm_setcsr(0x7f80);            /* toward zero */
	syscall(SYS_sched_yield);
	CHECK(_mm_getcsr() == 0x7f80);
	_mm_setcsr(0x1f80);
	snprintf(text, sizeof(text), "%.10f %g %.3e %a %Lf", M_PI, 1e100, 12345.678, 0.5, 1.25L);
	CHECK(strcmp(text, "3.1415926536 1e+100 1.235e+04 0x1p-1 1.250000") == 0);
	CHECK(sqrt(2.0) * sqrt(2.0) > 1.999999 && strtod("2.5e3", NULL) == 2500.0);
}

int main(void)
{
	test_registers();
	test_control();
	printf("pi is %.15f, e is %.15Lf\n", M_PI, expl(1.0L));
	return checks_end("float");
}
