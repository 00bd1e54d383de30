/*
 * Debug builds only: checks at run time that each CPU takes its locks in the order of their
 * ranks (include/vm/env.h), and lets go only of what it holds.
 *
 * What is held is recorded by CPU: one thread runs on each and keeps it. Two locks of one rank may be held
 * together only if the name of the second ends in "(nested)".
 */
#include <vm/env.h>

#ifdef DEBUG

#define MAX_HELD 16

static const char nested_suffix[] = "(nested)";

struct held_lock {
	const void *lock;
	const struct lock_identity *identity;
};

/* Only its own CPU touches an element. */
static struct {
	struct held_lock held[MAX_HELD];
	unsigned count;
} cpus[ENV_MAX_CPUS];

static bool may_nest(const char *name)
{
	size_t length = strlen(name), suffix = sizeof nested_suffix - 1;

	return length >= suffix && strcmp(name + length - suffix, nested_suffix) == 0;
}

static void check_order(const struct lock_identity *held, const struct lock_identity *wanted)
{
	if (held->rank < wanted->rank || held->rank == RANK_NONE || wanted->rank == RANK_NONE)
		return;
	if (held->rank == wanted->rank && may_nest(wanted->name))
		return;
	panic("lock order: \"%s\" (rank %d) taken with \"%s\" (rank %d) held", wanted->name, wanted->rank,
	      held->name, held->rank);
}

void lock_debug_take(const void *lock, const struct lock_identity *identity, bool waits)
{
	unsigned cpu = env_cpu();

	for (unsigned i = 0; i < cpus[cpu].count; i++) {
		if (cpus[cpu].held[i].lock == lock)
			panic("lock \"%s\" taken twice", identity->name);
		if (waits)
			check_order(cpus[cpu].held[i].identity, identity);
	}
	if (cpus[cpu].count == MAX_HELD)
		panic("more than %d locks held, \"%s\" on top", MAX_HELD, identity->name);
	cpus[cpu].held[cpus[cpu].count++] = (struct held_lock){lock, identity};
}

void lock_debug_release(const void *lock, const struct lock_identity *identity)
{
	unsigned cpu = env_cpu();

	for (unsigned i = cpus[cpu].count; i-- > 0;) {
		if (cpus[cpu].held[i].lock != lock)
			continue;
		cpus[cpu].count--;
		for (unsigned j = i; j < cpus[cpu].count; j++)
			cpus[cpu].held[j] = cpus[cpu].held[j + 1];
		return;
	}
	panic("lock \"%s\" released and not held", identity->name);
}

#endif
