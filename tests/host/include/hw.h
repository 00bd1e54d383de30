/*
 * The host's stand-in for kern/arch/x86_64/hw.h: the instructions that pmap.c uses, done by the
 * simulated CPU that the calling thread is (machine.c).
 */
#ifndef ARCH_HW_H
#define ARCH_HW_H

#include <asm/processor-flags.h>
#include <vm/types.h>

#include <string.h>

#define MSR_EFER 0xc0000080u
#define EFER_NXE ((uint64_t)1 << 11)

uint64_t read_cr3(void);
void write_cr3(uint64_t value);
uint64_t read_cr4(void);
void write_cr4(uint64_t value);
void invlpg(vaddr_t va);
uint64_t rdmsr(uint32_t msr);

static inline void fill_words(void *to, uint64_t value, size_t count)
{
	for (uint64_t *word = to; count > 0; count--)
		*word++ = value;
}

static inline void copy_words(void *to, const void *from, size_t count)
{
	memcpy(to, from, count * sizeof(uint64_t));
}

#endif
