/*
 * Threads: their making and their end. When they run is sched.c's business.
 *
 * A stack has an unmapped page at both ends; stacks that were given back are kept for the next threads. Whoever runs next
 * buries a dead thread, and may have any lock, even that of the memory where stacks are: so those that are too many
 * are freed only by a thread on its way to ring 3.
 */
#include <asm/errno.h>
#include <hw.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <vm/vm.h>

#include "run_queue.h"
#include "sched_internal.h"

/* The beginning of a stack that nobody has. Locks: (l) the list's. */
struct spare_stack {
	struct spare_stack *next; /* (l) */
};

/* Locks: (l) its own lock. */
static struct {
	struct spinlock lock;
	struct spare_stack *first; /* (l) */
} spare;

_Atomic unsigned spare_stacks;

void threads_init(void)
{
	spin_init(&spare.lock, RANK_TIMER, "spare stacks");
}

/* One of the stacks that are spare, as long as there are more than `kept`; NULL: there are not. */
static void *spare_take(unsigned kept)
{
	struct spare_stack *stack = NULL;

	spin_lock(&spare.lock);
	if (spare_stacks > kept) {
		stack = spare.first;
		spare.first = stack->next;
		spare_stacks--;
	}
	spin_unlock(&spare.lock);
	return stack;
}

static void *stack_alloc(void)
{
	void *stack = spare_take(0);

	return stack ? stack : kernel_alloc(THREAD_STACK_BYTES, "kernel stack");
}

static void stack_free(void *memory)
{
	struct spare_stack *stack = memory;

	spin_lock(&spare.lock);
	stack->next = spare.first;
	spare.first = stack;
	spare_stacks++;
	spin_unlock(&spare.lock);
}

static void trim_to(unsigned kept)
{
	void *stack;

	while ((stack = spare_take(kept)) != NULL)
		kernel_free(stack);
}

void threads_trim_excess(void)
{
	trim_to(SPARE_STACKS);
}

void threads_trim(void)
{
	trim_to(0);
}

/* Where switch_context "returns" to in a new thread, by way of thread_begin in switch.asm. */
_Noreturn void thread_main(void);

_Noreturn void thread_main(void)
{
	struct thread *current = thread_current();

	sched_finish_switch();
	interrupts_enable();
	current->entry(current->argument);
	thread_exit();
}

int thread_create(struct thread *thread, const char *name, void (*entry)(void *), void *argument, bool user,
		  void (*release)(struct thread *))
{
	void *stack = stack_alloc();
	vaddr_t top;

	if (!stack)
		return -ENOMEM;
	top = (vaddr_t)stack + THREAD_STACK_BYTES - FPU_AREA_BYTES;
	*thread = (struct thread){
		.stack = stack,
		.stack_top = top,
		.fpu = user ? (void *)top : NULL,
		.name = name,
		.entry = entry,
		.argument = argument,
		.release = release,
		.state = THREAD_SLEEPING,
		.urgency = URGENCY_NICE(0),
		.level = LEVEL_ORDINARY(URGENCY_NICE(0)),
		.rate = RATE_ONE,
		.turn_ns = TURN_NS,
		.left_ns = TURN_NS,
		.cpu = env_cpu(),
	};
	if (user)
		fpu_prepare(thread->fpu);
	thread->saved_rsp = thread_first_rsp((vaddr_t)thread_frame(thread));
	return 0;
}

void thread_destroy_unrun(struct thread *thread)
{
	stack_free(thread->stack);
}

void thread_bury(struct thread *thread)
{
	stack_free(thread->stack);
	if (thread->release)
		thread->release(thread);
}
