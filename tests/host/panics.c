/*
 * Code that has to end in a panic, tried in a child process: so the test program, whose state it breaks, goes on
 * (probe_panics() of probe.h).
 */
#include "../suites/probe.h"

#include <vm/env.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child: does not return. What panic() says goes to `out`. */
static _Noreturn void run_child(void (*action)(void *context), void *context, int out)
{
	const struct rlimit no_core = {0};

	setrlimit(RLIMIT_CORE, &no_core);
	dup2(out, STDERR_FILENO);
	action(context);
	_exit(0);
}

/* Everything that comes from a pipe until it is closed; what does not fit is dropped. */
static void read_all(int from, char *text, size_t bytes)
{
	size_t length = 0;
	char c;

	while (read(from, &c, 1) == 1) {
		if (length + 1 < bytes)
			text[length++] = c;
	}
	text[length] = '\0';
}

bool probe_panics(void (*action)(void *context), void *context, char *message, size_t bytes)
{
	int ends[2], status;
	pid_t child;

	fflush(stdout);
	ASSERT(pipe(ends) == 0);
	child = fork();
	ASSERT(child >= 0);
	if (child == 0)
		run_child(action, context, ends[1]);
	close(ends[1]);
	read_all(ends[0], message, bytes);
	close(ends[0]);
	ASSERT(waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) && strncmp(message, "panic: ", 7) == 0;
}
