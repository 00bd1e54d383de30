/*
 * vmexplain PID ADDRESS [read|write|execute]: what an access of a process would meet, step by step, and what it would do.
 */
#include <errno.h>
#include <kern/phoenix_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "help.h"

#define LINE_BYTES 512

static int usage(FILE *to, int status)
{
	fputs("usage: vmexplain [-h] PID ADDRESS [read|write|execute]\n"
	      "Says in a line what an access of the process (0: vmexplain itself) at the address meets: "
	      "maps, entry, rights,\n"
	      "page, translation, and what it would do. The status is 0 if it would succeed, 1 if not, 2 if "
	      "that "
	      "cannot be\n"
	      "told: a mistake in the arguments, or no such process.\n",
	      to);
	return status;
}

static unsigned access_of(const char *word)
{
	if (strcmp(word, "read") == 0)
		return PHOENIX_READ;
	if (strcmp(word, "write") == 0)
		return PHOENIX_WRITE;
	return strcmp(word, "execute") == 0 ? PHOENIX_EXEC : 0;
}

int main(int argc, char **argv)
{
	char line[LINE_BYTES], *end_of_pid, *end_of_address;
	unsigned access = PHOENIX_READ;
	unsigned long address;
	long pid, result;

	if (asks_for_help(argc, argv))
		return usage(stdout, 0);
	if ((argc != 3 && argc != 4) || has_options(argc, argv))
		return usage(stderr, 2);
	pid = strtol(argv[1], &end_of_pid, 10);
	errno = 0;
	address = strtoul(argv[2], &end_of_address, 16);
	if (argc == 4)
		access = access_of(argv[3]);
	if (*end_of_pid || end_of_pid == argv[1] || pid < 0) {
		fprintf(stderr, "vmexplain: %s is no process number\n", argv[1]);
		return 2;
	}
	if (*end_of_address || end_of_address == argv[2] || errno) {
		fprintf(stderr, "vmexplain: %s is no address (hexadecimal, with or without 0x)\n", argv[2]);
		return 2;
	}
	if (!access) {
		fprintf(stderr, "vmexplain: %s is no access: read, write or execute\n", argv[3]);
		return 2;
	}
	result = syscall(PHOENIX_SYS_EXPLAIN, pid, address, access, line, sizeof(line));
	if (result < 0) {
		fprintf(stderr, "vmexplain: %ld: %s\n", pid,
			errno == ENOSYS ? "this system explains nothing: it is not Phoenix"
					: strerror(errno));
		return 2;
	}
	puts(line);
	return (int)result;
}
