/*
 * The gate area: what of the kernel's window user code may read and execute. A page of data, then the vDSO: a small ELF
 * shared object (vdso(7)) that tells the time from that page, without a system call. It is at the same address in every process.
 *
 * kern/arch/x86_64/vdso/ is the vDSO's code, which includes this file too; gate.c puts it in its place.
 */
#ifndef KERN_GATE_H
#define KERN_GATE_H

#include <stdint.h>
#include <vm/layout.h>

#define GATE_DATA LAYOUT_GATE_START
#define GATE_VDSO (LAYOUT_GATE_START + 0x1000ul) /* the ELF header: AT_SYSINFO_EHDR */

/*
 * How to tell the time from the time-stamp counter: nanoseconds since boot are (TSC - tsc_at_boot) * scale >> 32; those
 * since 1970 are realtime_offset more. Written by kern/core/time.c; each word changes by itself, and only the last one after boot.
 */
struct gate_data {
	uint64_t tsc_at_boot;
	uint64_t scale;
	int64_t realtime_offset;
};
#define GATE_SCALE_SHIFT 32

/* The selector of a segment whose limit is the CPU's number (set up in cpu.c). */
#define GATE_CPU_SELECTOR 0x43

#endif
