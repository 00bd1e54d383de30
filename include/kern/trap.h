/*
 * What was in the registers when the CPU came into the kernel: one layout for exceptions,
 * interrupts and system calls. kern/arch/x86_64/vectors.asm builds it; keep the two in step.
 */
#ifndef KERN_TRAP_H
#define KERN_TRAP_H

#include <vm/types.h>

struct trapframe {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector; /* exception or interrupt number; TRAP_SYSCALL for a system call */
	uint64_t error;  /* the CPU's error code, or 0; for a system call, its number */
	uint64_t rip, cs, rflags, rsp, ss;
};

#define TRAP_SYSCALL 256
#define TRAP_REPLACED \
	257 /* a system call, all of whose registers have been replaced: it has to go back by IRETQ */

/* The selector's low bits are the ring; 1 and 2 are not used. */
static inline bool trap_from_user(const struct trapframe *frame)
{
	return (frame->cs & 3) != 0;
}

/* Called by vectors.asm. */
void trap_handle(struct trapframe *frame);
void trap_page_fault(struct trapframe *frame);

#endif
