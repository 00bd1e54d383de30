/*
 * vmmap [PID]: a process's map tree, with the names that the VM has for it; without a number, its own.
 */
#include <errno.h>
#include <kern/phoenix_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "help.h"

#define FIRST_BYTES 16384

static int usage(FILE *to, int status)
{
	fputs("usage: vmmap [-h] [PID]\n"
	      "Lists a process's maps and map entries (without PID: vmmap's own): range, rights, kind, "
	      "resident "
	      "pages, name.\n"
	      "The status is 0, 1 if there is no such process or nothing of it to be seen, or 2 for a "
	      "mistake in "
	      "the arguments.\n",
	      to);
	return status;
}

/* The whole listing, in memory of the caller's; NULL and errno if there is none. */
static char *list(int pid, size_t *length)
{
	size_t bytes = FIRST_BYTES;
	char *text = NULL;

	for (;;) {
		char *larger = realloc(text, bytes);
		long needed;

		if (!larger) {
			free(text);
			return NULL;
		}
		text = larger;
		needed = syscall(PHOENIX_SYS_MAP_LIST, pid, text, bytes);
		if (needed < 0) {
			free(text);
			return NULL;
		}
		*length = (size_t)needed;
		if (*length <= bytes)
			return text;
		bytes = *length + FIRST_BYTES;
	}
}

int main(int argc, char **argv)
{
	char *text, *end;
	size_t length;
	long pid = 0;

	if (asks_for_help(argc, argv))
		return usage(stdout, 0);
	if (argc > 2 || has_options(argc, argv))
		return usage(stderr, 2);
	if (argc == 2) {
		pid = strtol(argv[1], &end, 10);
		if (*end || end == argv[1] || pid <= 0) {
			fprintf(stderr, "vmmap: %s is no process number\n", argv[1]);
			return 2;
		}
	}
	text = list((int)pid, &length);
	if (!text) {
		fprintf(stderr, "vmmap: %ld: %s\n", pid,
			errno == ENOSYS ? "this system has no map listing: it is not Phoenix"
					: strerror(errno));
		return 1;
	}
	printf("           start-end           rights kind    resident  name\n");
	fwrite(text, 1, length, stdout);
	return 0;
}
