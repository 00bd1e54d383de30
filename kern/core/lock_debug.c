/*
 * Debug builds only: checks at run time that locks are taken in the order of their ranks (include/vm/env.h), that nobody lets go
 * of what he does not hold, and that nobody sleeps with a spinlock.
 *
 * Spinlocks are recorded by CPU: their holder stays on it. The others go with their thread, which may sleep and let
 * others run. Two locks of one rank may be held together only if the name of the second ends in "(nested)".
 */
#include <kern/sched.h>
#include <vm/env.h>

#ifdef DEBUG

static const char nested_suffix[] = "(nested)";

/* Only its own CPU touches an element. */
static struct lock_record spinning[ENV_MAX_CPUS];

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

static void check_against(const struct lock_record *record, const void *lock,
			  const struct lock_identity *identity, bool waits)
{
	for (unsigned i = 0; i < record->count; i++) {
		if (record->held[i].lock == lock)
			panic("lock \"%s\" taken twice", identity->name);
		if (waits)
			check_order(record->held[i].identity, identity);
	}
}

static struct lock_record *record_for(enum lock_kind kind)
{
	return kind == LOCK_SPINS ? &spinning[env_cpu()] : &thread_current()->locks;
}

void lock_debug_take(const void *lock, const struct lock_identity *identity, enum lock_kind kind, bool waits)
{
	struct lock_record *record = record_for(kind);

	check_against(&spinning[env_cpu()], lock, identity, waits);
	check_against(&thread_current()->locks, lock, identity, waits);
	if (waits && kind == LOCK_SLEEPS)
		lock_debug_may_sleep(identity->name);
	if (record->count == LOCK_MAX_HELD)
		panic("more than %d locks held, \"%s\" on top", LOCK_MAX_HELD, identity->name);
	record->held[record->count++] = (struct held_lock){lock, identity};
}

void lock_debug_release(const void *lock, const struct lock_identity *identity, enum lock_kind kind)
{
	struct lock_record *record = record_for(kind);

	for (unsigned i = record->count; i-- > 0;) {
		if (record->held[i].lock != lock)
			continue;
		record->count--;
		for (unsigned j = i; j < record->count; j++)
			record->held[j] = record->held[j + 1];
		return;
	}
	panic("lock \"%s\" released and not held", identity->name);
}

void lock_debug_may_sleep(const char *what)
{
	const struct lock_record *record = &spinning[env_cpu()];

	if (record->count > 0)
		panic("%s: may sleep, with spinlock \"%s\" held", what,
		      record->held[record->count - 1].identity->name);
}

#endif
