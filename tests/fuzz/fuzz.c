/*
 * The surroundings of a fuzz target: fuzz.h says what they are.
 *
 * Checks (<kern/test.h>) are not reported as TAP here, as kern/core/test.c does: the first that fails says so and aborts, which
 * is what libFuzzer takes for a finding.
 */
#include "fuzz.h"

#include "../host/machine.h"

#include <kern/test.h>
#include <vm/vm.h>

#include <stdio.h>

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
	(void)argument_count;
	(void)arguments;
	machine_init();
	vm_init();
	if (fuzz_prepare)
		fuzz_prepare();
	return 0;
}

void test_case(const char *name)
{
	(void)name;
}

void test_skip(const char *reason)
{
	(void)reason;
}

/* None ever is left to be counted. */
unsigned test_complaints(void)
{
	return 0;
}

void test_line(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

int test_check(bool holds, const char *text, const char *file, int line)
{
	if (!holds)
		panic("%s:%d: failed: %s", file, line, text);
	return holds;
}

int test_check_equal(uint64_t left, uint64_t right, const char *left_text, const char *right_text,
		     const char *file, int line)
{
	if (left != right)
		panic("%s:%d: failed: %s == %s: %#lx is not %#lx", file, line, left_text, right_text, left,
		      right);
	return 1;
}

int test_check_string(const char *left, const char *right, const char *left_text, const char *right_text,
		      const char *file, int line)
{
	if (!left || !right || strcmp(left, right) != 0)
		panic("%s:%d: failed: %s equals %s", file, line, left_text, right_text);
	return 1;
}
