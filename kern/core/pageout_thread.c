/*
 * The page-out thread: while memory is low, it lets the VM give up pages (kern/vm/reclaim.c), so that others find some.
 *
 * It is woken by the page allocator, and sleeps again when there is enough, or nothing to be had. Who finds no memory all the same does the same for himself.
 */
#include <kern/kern.h>
#include <kern/sched.h>
#include <vm/swap.h>

#define PAGES_AT_ONCE 64u

/* When nothing could be given up, the next try is not before this. */
#define PAUSE_NS 100000000ull

static struct thread thread;
static struct wait_queue low = WAIT_QUEUE_INIT(low);
static _Atomic bool asleep; /* it waits for memory to become low */

void env_memory_low(void)
{
	if (asleep)
		wait_wake_all(&low);
}

static void pageout(void *argument)
{
	(void)argument;
	for (;;) {
		asleep = true;
		WAIT_EVENT(&low, vm_memory_is_low(), SLEEP_FIRM, TIME_NEVER);
		asleep = false;
		while (vm_memory_is_low()) {
			if (vm_reclaim(PAGES_AT_ONCE) == 0)
				WAIT_EVENT(&low, false, SLEEP_FIRM, time_nanoseconds() + PAUSE_NS);
			/* The others go on with what there is. */
			thread_yield();
		}
	}
}

void pageout_start(void)
{
	if (thread_create(&thread, "page-out", pageout, NULL, false, NULL) != 0)
		panic("no memory for a thread");
	thread_run(&thread);
}
