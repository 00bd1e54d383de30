/*
 * Fuzz target: any bytes as a stream of operations on the VM, in lockstep with the model of tests/suites/model.h, which checks
 * every result, all contents, and at the end that nothing is left. Where bytes are left over behind the last operation, pages go to swap.
 */
#include "fuzz.h"

#include "../suites/model.h"

#include <vm/env.h>

#define MAX_OPERATIONS 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct stream_op ops[MAX_OPERATIONS];
	size_t operations = count / sizeof(ops[0]);
	bool swaps = count % sizeof(ops[0]) != 0;
	ptrdiff_t wrong;

	if (operations == 0 || operations > MAX_OPERATIONS)
		return -1; /* not for the corpus */
	memcpy(ops, bytes, operations * sizeof(ops[0]));
	wrong = stream_run(ops, operations, swaps);
	if (wrong >= 0)
		panic("operation %td of %zu does not do what the model says", wrong, operations);
	return 0;
}
