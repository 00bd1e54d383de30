/*
 * Counting the instructions of a piece of code, for the suite of scale.
 *
 * In the kernel (count.c) it is the clock of QEMU's -icount shift=0, which advances one nanosecond for each
 * instruction; on the host (bench/count_host.c) the CPU steps one instruction at a time. Both count each iteration of a
 * repeated string instruction.
 */
#ifndef TESTS_COUNT_H
#define TESTS_COUNT_H

#include <stdint.h>

/* Starts counting; returns how many there were since, but for those of the counting itself. Not nested. */
void count_start(void);
uint64_t count_stop(void);

#endif
