/*
 * Who ends when a page fault finds no memory: the process whose fault it is, but never the first one as long as another could be.
 *
 * Comes from kern/arch/x86_64/trap.c, in ring 3's faults and in the midst of copies, with any mutexes held. What a process that is to end waits for
 * may be one of these; so nobody is waited for without a limit.
 */
#include <linux/oom.h>
#include <vm/pmap.h>

#include "process_internal.h"

#define PATIENCE_NS 1000000000ull /* for the end of another process */

/*
 * How large a process counts: its resident pages, which its end might give, and as many thousandths of all RAM more, or fewer, as its oom_score_adj
 * says (proc(5)). -1 if it is never ended for others, has no memory any more, or shares the one in need.
 */
static int64_t weight_of(struct process *process, const struct user_space *needy)
{
	int adjust = process->end_adjust;
	int64_t pages = -1;

	spin_lock(&process_lock);
	if (process->space && process->space != needy)
		pages = (int64_t)pmap_stats(map_pmap(process->space->root)).resident_pages;
	spin_unlock(&process_lock);
	if (pages < 0 || adjust == OOM_SCORE_ADJ_MIN)
		return -1;
	pages += adjust * (int64_t)page_ram_count() / OOM_SCORE_ADJ_MAX;
	return pages > 0 ? pages : 0;
}

/* The largest process that is being ended already, or that is not, with a reference. NULL: none. */
static struct process *largest(const struct user_space *needy, bool exiting)
{
	struct process *process, *found = NULL;
	int64_t most = -1;

	for (int pid = FIRST_PID; (process = process_next(pid)) != NULL; process_unref(process)) {
		int64_t weight = weight_of(process, needy);

		pid = process->pid;
		if (process->signals.exiting != exiting || weight <= most)
			continue;
		if (found)
			process_unref(found);
		process_ref(process);
		found = process;
		most = weight;
	}
	return found;
}

/* Has it ended within the time? Takes over the reference. */
static bool await(struct process *process)
{
	uint64_t deadline = time_nanoseconds() + PATIENCE_NS;
	bool ended;

	WAIT_EVENT(&process->news, __atomic_load_n(&process->state, __ATOMIC_ACQUIRE) != PROCESS_ALIVE,
		   SLEEP_KILLABLE, deadline);
	ended = process->state != PROCESS_ALIVE;
	process_unref(process);
	return ended;
}

/* For the first process. False: there is nobody else whose end would help. */
static bool end_another(const struct process *first)
{
	struct process *process = largest(first->space, true);

	if (process && await(process))
		return true;
	process = largest(first->space, false);
	if (!process)
		return false;
	env_log("phoenix: %s[%d] killed: no memory for %s[%d]", process->name, process->pid, first->name,
		first->pid);
	signal_send_process_kernel(process, SIGKILL);
	(void)await(process);
	return true;
}

bool task_made_room(void)
{
	struct thread *thread = thread_current();

	/* Kernel threads that copy, in tests, have no task. */
	if (!thread->fpu || (thread->interrupts & INTERRUPT_KILL))
		return false;
	return task_current()->process->pid == FIRST_PID && end_another(task_current()->process);
}

void task_end_for_room(void)
{
	struct process *process;

	if (!thread_current()->fpu || (thread_current()->interrupts & INTERRUPT_KILL))
		return;
	process = task_current()->process;
	env_log("phoenix: %s[%d] killed: no memory for a system call", process->name, process->pid);
	signal_send_process_kernel(process, SIGKILL);
}
