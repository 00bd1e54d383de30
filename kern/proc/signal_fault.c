/*
 * Faults of programs: from what the CPU or the VM refused to a signal's handler, or to the program's end with a line on the console.
 *
 * Comes from kern/arch/x86_64/trap.c. Signals that are sent are in signal.c.
 */
#include "process_internal.h"
#include "signal_internal.h"

static void note_fault(struct task *task, const struct trapframe *frame, const siginfo_t *info)
{
	struct fault_registers *fault = &task->signals.fault;

	fault->vector = frame->vector;
	fault->error = frame->error;
	if (frame->vector == VECTOR_PAGE_FAULT)
		fault->address = (vaddr_t)info->si_addr;
}

bool signal_fault(struct trapframe *frame, const siginfo_t *info)
{
	struct task *task = task_current();
	struct process_signals *signals = &task->process->signals;
	int signo = info->si_signo;
	struct signal_action action;
	bool handled;

	if (task->thread.interrupts & INTERRUPT_KILL)
		return true;
	if (frame->vector < VECTOR_FIRST_INTERRUPT)
		note_fault(task, frame, info);
	spin_lock(&signals->lock);
	action = signal_action(signals, signo);
	handled = action.handler != (vaddr_t)SIG_DFL && action.handler != (vaddr_t)SIG_IGN &&
		  !(task->signals.blocked & SIGNAL_BIT(signo));
	if (handled)
		signal_handler_used(signals, signo, &action);
	spin_unlock(&signals->lock);
	if (!handled)
		return false;
	if (signal_run_handler(task, frame, &action, info) == 0)
		return true;
	if (signo == SIGSEGV)
		return false;
	signal_frame_failed(frame, signo);
	return true;
}

/* There may be room elsewhere for the handler of the fault that this is. */
void signal_frame_failed(struct trapframe *frame, int signo)
{
	siginfo_t info;

	signal_info_init(&info, SIGSEGV, SI_KERNEL);
	if (signo == SIGSEGV || !signal_fault(frame, &info))
		task_fault(frame, SIGSEGV, "the handler of a signal cannot be called", NULL);
}

static const char *signal_name(int signo)
{
	static const char *const names[] = {
		[SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",
		[SIGFPE] = "SIGFPE", [SIGKILL] = "SIGKILL", [SIGSEGV] = "SIGSEGV", [SIGSYS] = "SIGSYS",
	};

	if (signo < 0 || (size_t)signo >= sizeof(names) / sizeof(names[0]) || !names[signo])
		return "a signal";
	return names[signo];
}

void task_fault(const struct trapframe *frame, int signo, const char *why,
		const struct refused_access *refused)
{
	struct task *task = task_current();
	struct process *process = task->process;
	bool dumped;

	env_log("phoenix: %s[%d] killed by %s: %s (rip 0x%llx)", process->name, process->pid,
		signal_name(signo), why, (unsigned long long)frame->rip);
	if (refused) {
		process->refused = *refused;
		stats_print_access(process, "  why: ", refused->address, refused->access);
	}
	monitor_stop(process, MONITOR_CRASH, STATUS_SIGNAL + signo);
	if (core_dump(task, frame, signo, &dumped))
		signal_exit_group(process, WAIT_SIGNALED(signo) | (dumped ? WAIT_CORE : 0));
	task_exit(task);
}
