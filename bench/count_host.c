/*
 * The host's side of count.h: between start and stop the CPU traps after each instruction (the trap flag, Intel SDM 3,
 * 17.3.2), and the signal's handler counts. It needs no leave to use the CPU's counters, and counts the same in every
 * run; each instruction takes about a microsecond.
 */
#include "../tests/suites/count.h"

#include <vm/env.h>

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/* In every measurement: what is left of count_start after the flag was set, and of count_stop before it is cleared. */
static uint64_t overhead;
static volatile uint64_t traps;

static void count_trap(int signal)
{
	(void)signal;
	traps++;
}

/* Compiled without a red zone (bench/rules.mk): the stack below its pointer is free. */
static inline __attribute__((always_inline)) void set_trap_flag(void)
{
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" : : : "cc", "memory");
}

static inline __attribute__((always_inline)) void clear_trap_flag(void)
{
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "cc", "memory");
}

__attribute__((noinline)) void count_start(void)
{
	traps = 0;
	set_trap_flag();
}

__attribute__((noinline)) uint64_t count_stop(void)
{
	clear_trap_flag();
	return traps > overhead ? traps - overhead : 0;
}

__attribute__((constructor)) static void count_init(void)
{
	struct sigaction action = {.sa_handler = count_trap};

	if (sigaction(SIGTRAP, &action, NULL) != 0)
		panic("no handler for the trap of single steps");
	count_start();
	overhead = count_stop();
	if (overhead == 0)
		panic("this machine does not trap after single instructions");
}
