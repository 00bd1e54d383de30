/*
 * Threads: their making and their end. When they run is sched.c's business.
 *
 * A stack has an unmapped page at both ends; stacks that were given back are kept for the next threads, a few of them.
 */
#include <asm/errno.h>
#include <hw.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <vm/vm.h>

#include "sched_internal.h"

#define SPARE_STACKS 16

/* Locks: (l) its own lock. */
static struct {
	struct spinlock lock;
	void *stacks[SPARE_STACKS]; /* (l) */
	unsigned count;             /* (l) */
} spare;

void threads_init(void)
{
	spin_init(&spare.lock, RANK_TIMER, "spare stacks");
}

static void *stack_alloc(void)
{
	void *stack = NULL;

	spin_lock(&spare.lock);
	if (spare.count > 0)
		stack = spare.stacks[--spare.count];
	spin_unlock(&spare.lock);
	return stack ? stack : kernel_alloc(THREAD_STACK_BYTES, "kernel stack");
}

static void stack_free(void *stack)
{
	spin_lock(&spare.lock);
	if (spare.count < SPARE_STACKS) {
		spare.stacks[spare.count++] = stack;
		stack = NULL;
	}
	spin_unlock(&spare.lock);
	if (stack)
		kernel_free(stack);
}

void threads_trim(void)
{
	for (;;) {
		void *stack = NULL;

		spin_lock(&spare.lock);
		if (spare.count > 0)
			stack = spare.stacks[--spare.count];
		spin_unlock(&spare.lock);
		if (!stack)
			return;
		kernel_free(stack);
	}
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
		.cpu = env_cpu(),
	};
	if (user)
		fpu_init(thread->fpu);
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
