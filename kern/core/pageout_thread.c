/*
 * The page-out thread: while memory is low, it lets the VM give up pages (kern/vm/reclaim.c), so that others find some.
 *
 * It is woken by the page allocator, and sleeps again when there is enough, or nothing to be had. Who finds no memory all the same does the same for himself.
 */
#include <kern/kern.h>
#include <kern/sched.h>
#include <vm/page.h>
#include <vm/swap.h>

#define PAGES_AT_ONCE 64u

/* When nothing could be given up, the next try is not before this. */
#define PAUSE_NS 100000000ull

#define REST_NS 1000000ull /* between two looks whether it rests */

static struct thread thread;
static struct wait_queue low = WAIT_QUEUE_INIT(low);
static _Atomic bool asleep;  /* it waits for memory to become low */
static _Atomic bool stopped; /* it is not to look any more */

static _Atomic unsigned in_line; /* threads that wait for memory */

void memory_line_enter(void)
{
	in_line++;
	page_scarce_begin();
}

void memory_line_leave(void)
{
	page_scarce_end();
	in_line--;
}

void env_memory_low(void)
{
	if (asleep)
		wait_wake_all(&low);
	/* On its way back to ring 3 who got some lets those run who wait: it would take the rest as well. */
	if (in_line > 0)
		thread_end_turn();
}

static bool is_wanted(void)
{
	return vm_memory_is_low() && !stopped;
}

static void pageout(void *argument)
{
	(void)argument;
	for (;;) {
		asleep = true;
		WAIT_EVENT(&low, is_wanted(), SLEEP_FIRM, TIME_NEVER);
		asleep = false;
		while (is_wanted()) {
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

void pageout_stop(void)
{
	stopped = true;
	while (!asleep)
		WAIT_EVENT(&low, asleep, SLEEP_FIRM, time_nanoseconds() + REST_NS);
}
