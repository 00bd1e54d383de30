/*
 * What the fuzz targets share: the simulated machine, started once, and checks that end the run when they fail.
 *
 * A target is a file target_NAME.c with LLVMFuzzerTestOneInput(), and a directory corpus/NAME; rules.mk builds each with
 * libFuzzer (see LLVM's manual of that name), tests/fuzz/run runs them. Whatever an input builds has to be gone at its end.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <vm/types.h>

/* libFuzzer's: one input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* libFuzzer's: once, before the first. It starts the machine and the VM, and calls fuzz_prepare. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments);

/* What the target has to prepare, if anything. */
void fuzz_prepare(void) __attribute__((weak));

#endif
