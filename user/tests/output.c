/*
 * Writes lines to both outputs until the very end, and ends: nothing of it may be lost. The argument: how many lines.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	int lines = argc > 1 ? atoi(argv[1]) : 1;

	for (int i = 1; i <= lines; i++) {
		printf("line %d of the standard output: %0100d\n", i, i);
		if (i % 100 == 0)
			fprintf(stderr, "line %d of the error output\n", i);
	}
	printf("no newline at the end");
	return 0;
}
