/*
 * Prints its arguments and environment and exits with the status that the argument after "status" names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

int main(int argc, char **argv)
{
	int status = 0;

	printf("argc %d\n", argc);
	for (int i = 0; i < argc; i++) {
		printf("argv[%d] <%s>\n", i, argv[i]);
		if (i > 0 && strcmp(argv[i - 1], "status") == 0)
			status = atoi(argv[i]);
	}
	if (argv[argc] != NULL)
		return 1;
	for (char **variable = environ; *variable; variable++)
		printf("env <%s>\n", *variable);
	return status;
}
