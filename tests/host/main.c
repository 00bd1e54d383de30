/*
 * The host test program: the suites of tests/suites that need no hardware, on the simulated machine.
 *
 * Arguments are lists of suites as for the kernel's test=; none means all. Output is TAP.
 */
#include "machine.h"

#include <kern/test.h>
#include <vm/vm.h>

#include <stdio.h>

/* The VM above the pmap; a weak reference, so that the lower part can be tested alone. */
void vm_init(void) __attribute__((weak));

void test_line(const char *line)
{
	puts(line);
	fflush(stdout);
}

int main(int count, char **arguments)
{
	int failed = 0;

	machine_init();
	if (vm_init)
		vm_init();
	if (count < 2)
		failed = tests_run("all");
	for (int i = 1; i < count; i++)
		failed += tests_run(arguments[i]);
	return failed != 0;
}
