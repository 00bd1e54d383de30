/*
 * Putting off: see <kern/later.h>. A thread that has put something off has INTERRUPT_LATER, so that it does not get back to ring 3 without coming
 * to user_return(); it interrupts no sleep.
 */
#include <kern/later.h>
#include <kern/sched.h>

void later(struct later *what, void (*run)(struct later *))
{
	struct thread *current = thread_current();

	if (!current->fpu) {
		run(what);
		return;
	}
	*what = (struct later){.next = current->put_off, .run = run};
	current->put_off = what;
	thread_interrupt(current, INTERRUPT_LATER);
}

/* What is run may put off more. */
void later_run(void)
{
	struct thread *current = thread_current();
	struct later *first;

	while ((first = current->put_off) != NULL) {
		current->put_off = first->next;
		first->run(first);
	}
	thread_interrupt_clear(current, INTERRUPT_LATER);
}
