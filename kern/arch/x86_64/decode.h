/*
 * What a program's instruction was about to do, where the CPU does not say: see decode.c.
 */
#ifndef ARCH_DECODE_H
#define ARCH_DECODE_H

#include <kern/trap.h>

enum decoded_kind { DECODED_UNKNOWN, DECODED_PRIVILEGED, DECODED_READ, DECODED_WRITE, DECODED_JUMP };

struct decoded {
	enum decoded_kind kind;
	vaddr_t address; /* DECODED_READ, _WRITE and _JUMP: what was accessed, canonical or not */
};

/*
 * Decodes the instruction at which a program had a general-protection or stack fault. Reads the program's memory: no locks
 * held. An explanation for people: nothing may depend on it.
 */
struct decoded decode_fault(const struct trapframe *frame);

#endif
