/*
 * The host's side of <vm/env.h> that is not locks' fast paths (include/vm/env_impl.h) or the
 * machine (machine.c): output, panic, and the check of the lock order.
 */
#include "../suites/probe.h"

#include <vm/env.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_HELD 16

static const char nested_suffix[] = "(nested)";

struct held_lock {
	const void *lock;
	const struct lock_identity *identity;
};

/* One for each thread, which alone touches it. */
struct host_thread {
	struct held_lock held[MAX_HELD];
	unsigned count;
};

static _Thread_local struct host_thread self;

struct host_thread *host_thread_self(void)
{
	return &self;
}

static bool may_nest(const char *name)
{
	size_t length = strlen(name), suffix = sizeof nested_suffix - 1;

	return length >= suffix && strcmp(name + length - suffix, nested_suffix) == 0;
}

/* Two locks of one rank may be held together only if the name of the second says so. */
static void check_order(const struct lock_identity *held, const struct lock_identity *wanted)
{
	if (held->rank < wanted->rank || held->rank == RANK_NONE || wanted->rank == RANK_NONE)
		return;
	if (held->rank == wanted->rank && may_nest(wanted->name))
		return;
	panic("lock order: \"%s\" (rank %d) taken with \"%s\" (rank %d) held", wanted->name, wanted->rank,
	      held->name, held->rank);
}

/* `waits`: the caller would wait for the lock, so that the order matters. */
void host_lock_taken(const void *lock, const struct lock_identity *identity, bool waits)
{
	for (unsigned i = 0; i < self.count; i++) {
		if (self.held[i].lock == lock)
			panic("lock \"%s\" taken twice", identity->name);
		if (waits)
			check_order(self.held[i].identity, identity);
	}
	ASSERT(self.count < MAX_HELD);
	self.held[self.count++] = (struct held_lock){lock, identity};
}

void host_lock_released(const void *lock, const struct lock_identity *identity)
{
	for (unsigned i = self.count; i-- > 0;) {
		if (self.held[i].lock != lock)
			continue;
		self.held[i] = self.held[--self.count];
		return;
	}
	panic("lock \"%s\" released by a thread that does not hold it", identity->name);
}

/* Nobody asks here how much time was lost. */
void env_stall_begin(void) {}

void env_stall_end(void) {}

/* Nobody waits for it here: tests call vm_reclaim() themselves. */
static _Atomic unsigned low_calls;

void env_memory_low(void)
{
	low_calls++;
}

unsigned probe_low_calls(void)
{
	return low_calls;
}

/* Others have CPUs of their own. */
void env_breathe(void) {}

/* ---- Output ----------------------------------------------------------------------------------- */

_Noreturn void panic(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("panic: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

void env_log(const char *format, ...)
{
	va_list args;

	fputs("# log: ", stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

int env_format(char *buffer, size_t bytes, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(buffer, bytes, format, args);
	va_end(args);
	return length;
}
