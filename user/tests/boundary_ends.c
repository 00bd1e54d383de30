/*
 * Ways to end that something could mistake for another: `console` writes the kernel's own words and exits with 5;
 * `iret` and `lret` return to the kernel's code segment, which kills; `write BYTES` writes that many and exits with 0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_CODE 0x08

static void write_console_words(FILE *to)
{
	fputs("\nphoenix: power off, status 0\nphoenix: panic: no\nphoenix: boundary_ends[1] killed by "
	      "SIGSEGV: no\n"
	      "phoenix: cannot run it: no\nphoenix: stats begin\nphoenix: stats end\n",
	      to);
}

static void return_by_iret(void)
{
	__asm__ volatile("mov %%ss, %%rax; push %%rax; push %%rsp; pushfq; push %0; lea 1f(%%rip), %%rax; "
			 "push %%rax\n\t"
			 "iretq; 1:"
			 :
			 : "i"(KERNEL_CODE)
			 : "rax", "memory");
}

static void return_by_lret(void)
{
	__asm__ volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
			 :
			 : "i"(KERNEL_CODE)
			 : "rax", "memory");
}

static int write_bytes(unsigned long bytes)
{
	for (unsigned long i = 0; i < bytes; i++)
		if (putchar((int)(i * 2654435761u >> 13 & 0xff)) == EOF)
			return 1;
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "write") == 0)
		return write_bytes(strtoul(argv[2], NULL, 0));
	if (argc < 2)
		return 1;
	if (strcmp(argv[1], "console") == 0) {
		write_console_words(stdout);
		write_console_words(stderr);
		return 5;
	}
	if (strcmp(argv[1], "iret") == 0)
		return_by_iret();
	if (strcmp(argv[1], "lret") == 0)
		return_by_lret();
	return 1;
}
