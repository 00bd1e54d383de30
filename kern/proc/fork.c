/*
 * How processes and tasks come to be: fork, vfork, clone and clone3.
 *
 * All that may fail is done first, while nobody knows the new ones; then they are put into the table, and run. What
 * a new process has of its parent's is copied or shared part by part: memory (user_space_clone in space.c), files, signals.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <vm/layout.h>

#include "process_internal.h"

#ifndef CSIGNAL
#define CSIGNAL 0xff
#endif

#define LAST_SIGNAL     64
#define MOST_SET_TID    32           /* levels of PID namespaces that clone3(2) may name */
#define CLONE_DETACHED_ 0x00400000ul /* <linux/sched.h>'s is an int */

/* What there is only one of here: it cannot be had anew. */
#define NAMESPACES                                                                                    \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
	 CLONE_NEWNET)

/* What clone(2) was asked for. Addresses are the user's. */
struct clone_request {
	uint64_t flags;     /* CLONE_..., without the signal */
	int exit_signal;    /* 0: none */
	vaddr_t stack;      /* the stack pointer that it begins with; 0: the caller's */
	vaddr_t parent_tid; /* where CLONE_PARENT_SETTID writes */
	vaddr_t child_tid;  /* where CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID write */
	vaddr_t thread;     /* the FS base, with CLONE_SETTLS */
	vaddr_t pidfd;      /* where CLONE_PIDFD writes */
};

/* ---- A task's first steps ---------------------------------------------------------------------------------- */

/* Its frame is at the top of its stack, and its memory is active. */
void task_begin(void *argument)
{
	struct task *task = argument;
	int tid = task->tid;

	/* As Linux: where it cannot be written nobody is told. */
	if (task->set_tid)
		(void)copy_to_user(task->set_tid, &tid, sizeof(tid));
	if (tid == FIRST_PID)
		monitor_stop(task->process, MONITOR_START, 0);
	return_to_user(thread_frame(&task->thread));
}

/* ---- Parts ------------------------------------------------------------------------------------------------------ */

int task_inherit_files(struct task *task, struct task *parent, bool share_files, bool share_context)
{
	int error = 0;

	if (share_files)
		file_table_ref(task->files = parent->files);
	else
		error = file_table_copy(parent->files, &task->files);
	if (error)
		return error;
	if (share_context)
		fs_context_ref(task->context = parent->context);
	else
		error = fs_context_copy(parent->context, &task->context);
	if (error)
		task_drop_files(task);
	return error;
}

int context_unshare(struct task *task)
{
	struct fs_context *own, *before;
	int error = fs_context_copy(task->context, &own);

	if (error)
		return error;
	spin_lock(&process_lock);
	before = task->context;
	task->context = own;
	spin_unlock(&process_lock);
	fs_context_unref(before);
	return 0;
}

void task_drop_files(struct task *task)
{
	struct file_table *files;
	struct fs_context *context;

	spin_lock(&process_lock);
	files = task->files;
	context = task->context;
	task->files = NULL;
	task->context = NULL;
	spin_unlock(&process_lock);
	if (files)
		file_table_unref(files, task->process);
	if (context)
		fs_context_unref(context);
}

static int inherit_space(struct process *process, struct process *parent, const struct clone_request *request)
{
	if (!(request->flags & CLONE_VM))
		return user_space_clone(parent->space, parent->name, &process->space);
	user_space_ref(parent->space);
	process->space = parent->space;
	process->borrows = request->flags & CLONE_VFORK;
	return 0;
}

/* The registers with which the new task comes to ring 3: the caller's, but for what it asked. */
static void inherit_registers(struct task *task, const struct trapframe *frame,
			      const struct clone_request *request)
{
	struct trapframe *own = thread_frame(&task->thread);

	*own = *frame;
	own->rax = 0;
	if (request->stack)
		own->rsp = request->stack;
	fpu_save(task->thread.fpu);
	task->thread.fs_base = request->flags & CLONE_SETTLS ? request->thread : cpu_fs_base();
	task->thread.gs_base = cpu_gs_base();
	task->thread.map = task->process->space->root;
}

/* Gives a new process all but its task. It is taken back with abandon_process. */
static int fill_process(struct process *process, struct task *parent, const struct clone_request *request)
{
	struct process *of = parent->process;
	int error = signal_process_begin(process, of, request->flags & CLONE_SIGHAND);

	if (error)
		return error;
	if (request->flags & CLONE_CLEAR_SIGHAND)
		signal_reset_handlers(process);
	spin_lock(&process_lock);
	memcpy(process->limits, of->limits, sizeof(process->limits));
	memcpy(process->name, parent->name, sizeof(process->name));
	credentials_copy(&process->credentials, &of->credentials);
	process->not_dumpable = of->not_dumpable;
	process->dump_filter = of->dump_filter;
	process->no_large_pages = of->no_large_pages;
	process->slack_ns = process->first_slack_ns = of->slack_ns;
	process->personality = of->personality;
	process->end_adjust = of->end_adjust;
	process->least_adjust = of->least_adjust;
	spin_unlock(&process_lock);
	process->exit_signal = request->exit_signal;
	if (request->flags & CLONE_SYSVSEM)
		error = sem_share_undo(process, of);
	if (!error)
		error = inherit_space(process, of, request);
	if (error) {
		sem_process_end(process);
		signal_process_end(process);
	}
	return error;
}

static void abandon_process(struct process *process)
{
	user_space_unref(process->space);
	process->space = NULL;
	sem_process_end(process);
	signal_process_end(process);
}

/* SCHED_RESET_ON_FORK: no realtime policy, and no niceness below 0 (sched(7)). */
static void inherit_schedule(struct task *task, const struct task *parent)
{
	bool realtime = parent->priority > 0;

	task->nice = parent->resets && (realtime || parent->nice < 0) ? 0 : parent->nice;
	task->policy = parent->resets && realtime ? SCHED_NORMAL : parent->policy;
	task->priority = parent->resets ? 0 : parent->priority;
	task->io_priority = parent->io_priority;
	task->memory_policy = parent->memory_policy;
	if (task->policy != SCHED_NORMAL || task->nice != 0)
		task_apply_schedule(task);
}

/* A task of a process with all that it needs to run, but in no table. */
static int make_task(struct process *process, struct task *parent, const struct trapframe *frame,
		     const struct clone_request *request, struct task **out)
{
	struct task *task = task_create(process);
	int error;

	if (!task)
		return -ENOMEM;
	error = task_inherit_files(task, parent, request->flags & CLONE_FILES, request->flags & CLONE_FS);
	if (error) {
		task_destroy_unrun(task);
		return error;
	}
	memcpy(task->name, parent->name, sizeof(task->name));
	inherit_schedule(task, parent);
	inherit_registers(task, frame, request);
	task->set_tid = request->flags & CLONE_CHILD_SETTID ? request->child_tid : 0;
	task->clear_tid = request->flags & CLONE_CHILD_CLEARTID ? request->child_tid : 0;
	*out = task;
	return 0;
}

/* ---- Into the table ---------------------------------------------------------------------------------------------- */

/* May its user have another task (RLIMIT_NPROC)? Root may, and who has the capability. */
static bool user_may_locked(const struct task *parent)
{
	uint64_t limit = parent->process->limits[RLIMIT_NPROC].rlim_cur;

	return limit == RLIM64_INFINITY || parent->process->credentials.user.real == 0 ||
	       task_capable(parent, CAP_SYS_RESOURCE) || task_capable(parent, CAP_SYS_ADMIN) ||
	       tasks_of_user_locked(parent->process->credentials.user.real) < limit;
}

/* Processes of the same process group that a signal ends must not leave children: who is about to end makes none. */
static bool may_begin_locked(const struct task *parent)
{
	return !system_ending_locked() && !(parent->thread.interrupts & INTERRUPT_KILL) &&
	       !parent->process->execing;
}

static int link_locked(struct process *process, struct task *task, struct task *parent, uint64_t flags)
{
	struct process *of = parent->process;
	int error;

	if (!may_begin_locked(parent))
		return -ERESTARTNOINTR;
	if (!user_may_locked(parent))
		return -EAGAIN;
	if (process == of)
		return task_link_locked(task, TID_NEW);
	if (flags & CLONE_PARENT) {
		process->exit_signal = of->exit_signal;
		of = of->parent;
	}
	error = process_link_locked(process, of);
	if (error)
		return error;
	error = task_link_locked(task, process->pid);
	if (error) {
		process->state = PROCESS_ZOMBIE;
		process_unlink_locked(process);
		process_unref(process);
	}
	return error;
}

/* vfork(2): the caller, whose child it need not be, goes on when the process has ended or has a memory of its own. */
static void wait_for_loan(struct process *child)
{
	WAIT_EVENT(&child->news, !__atomic_load_n(&child->borrows, __ATOMIC_ACQUIRE), SLEEP_KILLABLE,
		   TIME_NEVER);
}

/* Lets a complete task run. Its number, as the caller gets it; or an error, and nothing has happened. */
static int64_t begin(struct process *process, struct task *task, struct task *parent,
		     const struct clone_request *request)
{
	bool is_process = process != parent->process;
	bool keeps_stack = (request->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM;
	int error, tid;

	/* First, so that who ends the process's tasks meets it, or it meets may_begin_locked(). */
	signal_task_begin(task, parent, keeps_stack);
	spin_lock(&process_lock);
	error = link_locked(process, task, parent, request->flags);
	tid = task->tid;
	spin_unlock(&process_lock);
	if (error) {
		signal_task_end(task);
		return error;
	}
	if (request->flags & CLONE_PARENT_SETTID)
		(void)copy_to_user(request->parent_tid, &tid, sizeof(tid));
	if (is_process)
		process_ref(process);
	thread_run(&task->thread);
	if (is_process && (request->flags & CLONE_VFORK))
		wait_for_loan(process);
	if (is_process)
		process_unref(process);
	return tid;
}

static int64_t clone_task(struct task *parent, const struct trapframe *frame,
			  const struct clone_request *request)
{
	struct task *task;
	int64_t result = make_task(parent->process, parent, frame, request, &task);

	if (result)
		return result;
	result = begin(parent->process, task, parent, request);
	if (result < 0) {
		task_drop_files(task);
		task_destroy_unrun(task);
	}
	return result;
}

/* CLONE_PIDFD: what the child's descriptor becomes, when there is a child. */
struct child_descriptor {
	struct file *file; /* NULL: none was asked for */
	int number;
};

/* Does all that may fail. Not before the child has its copy of the descriptors, in which this one is not. */
static int child_descriptor_prepare(struct task *parent, struct process *child,
				    const struct clone_request *request, struct child_descriptor *out)
{
	out->file = NULL;
	if (!(request->flags & CLONE_PIDFD))
		return 0;
	out->number = descriptor_reserve(parent, 0);
	if (out->number < 0)
		return out->number;
	out->file = pidfd_create(child, 0);
	if (out->file && copy_to_user(request->pidfd, &out->number, sizeof(out->number)) == 0)
		return 0;
	descriptor_cancel(parent, out->number);
	if (!out->file)
		return -ENOMEM;
	file_unref(out->file);
	out->file = NULL;
	return -EFAULT;
}

static void child_descriptor_finish(struct task *parent, const struct child_descriptor *descriptor,
				    bool begun)
{
	if (!descriptor->file)
		return;
	if (begun) {
		descriptor_fill(parent, descriptor->number, descriptor->file, O_CLOEXEC);
	} else {
		descriptor_cancel(parent, descriptor->number);
		file_unref(descriptor->file);
	}
}

static int64_t clone_process(struct task *parent, const struct trapframe *frame,
			     const struct clone_request *request)
{
	struct process *process = process_create();
	struct child_descriptor descriptor = {.file = NULL};
	struct task *task = NULL;
	int64_t result;

	if (!process)
		return -ENOMEM;
	result = fill_process(process, parent, request);
	if (result) {
		process_unref(process);
		return result;
	}
	result = make_task(process, parent, frame, request, &task);
	if (!result)
		result = child_descriptor_prepare(parent, process, request, &descriptor);
	if (!result)
		result = begin(process, task, parent, request);
	child_descriptor_finish(parent, &descriptor, result > 0);
	if (result < 0) {
		abandon_process(process);
		if (task) {
			task_drop_files(task);
			task_destroy_unrun(task);
		}
	}
	/* The table has its own reference, if it came that far, and so has the task. */
	process_unref(process);
	return result;
}

/* ---- The calls --------------------------------------------------------------------------------------------------------- */

/* Mixes that clone(2) calls invalid. */
static bool flags_make_sense(uint64_t flags)
{
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return false;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return false;
	if ((flags & CLONE_PIDFD) && (flags & (CLONE_THREAD | CLONE_DETACHED_)))
		return false;
	return true;
}

static int64_t do_clone(struct task *task, const struct trapframe *frame, const struct clone_request *request)
{
	if (!flags_make_sense(request->flags))
		return -EINVAL;
	if ((request->flags & CLONE_PIDFD) && (request->flags & CLONE_PARENT_SETTID) &&
	    request->pidfd == request->parent_tid)
		return -EINVAL;
	/* The first process has no parent whose child another one could be. */
	if ((request->flags & CLONE_PARENT) && task->process->pid == FIRST_PID)
		return -EINVAL;
	/* What there is only one of. */
	if (request->flags & NAMESPACES)
		return task_capable(task, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
	if ((request->flags & CLONE_SETTLS) && request->thread >= LAYOUT_PHYSICAL_END)
		return -EPERM;
	if (request->flags & CLONE_THREAD)
		return clone_task(task, frame, request);
	return clone_process(task, frame, request);
}

int64_t sys_fork(struct task *task, struct trapframe *frame)
{
	const struct clone_request request = {.exit_signal = SIGCHLD};

	return do_clone(task, frame, &request);
}

int64_t sys_vfork(struct task *task, struct trapframe *frame)
{
	const struct clone_request request = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

	return do_clone(task, frame, &request);
}

int64_t sys_clone(struct task *task, struct trapframe *frame)
{
	unsigned signo = frame->rdi & CSIGNAL;
	const struct clone_request request = {
		.flags = (uint32_t)frame->rdi & ~(uint64_t)CSIGNAL,
		.exit_signal = signo <= LAST_SIGNAL ? (int)signo : 0, /* as Linux */
		.stack = frame->rsi,
		.parent_tid = frame->rdx,
		.pidfd = frame->rdx,
		.child_tid = frame->r10,
		.thread = frame->r8,
	};

	return do_clone(task, frame, &request);
}

/* ---- clone3 ------------------------------------------------------------------------------------------------------------- */

/* Reads the structure, which may be older (shorter) or newer (longer, and then zero) than ours. */
static int get_arguments(struct clone_args *arguments, vaddr_t from, uint64_t bytes)
{
	uint64_t known = bytes < sizeof(*arguments) ? bytes : sizeof(*arguments);

	if (bytes > PAGE_SIZE)
		return -E2BIG;
	if (bytes < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	memset(arguments, 0, sizeof(*arguments));
	if (copy_from_user(arguments, from, known) != 0)
		return -EFAULT;
	for (uint64_t at = known; at < bytes; at++) {
		char byte;

		if (copy_from_user(&byte, from + at, 1) != 0)
			return -EFAULT;
		if (byte != 0)
			return -E2BIG;
	}
	return 0;
}

static int check_arguments(const struct clone_args *arguments)
{
	uint64_t flags = arguments->flags;

	if (arguments->set_tid_size > MOST_SET_TID || !arguments->set_tid != !arguments->set_tid_size)
		return -EINVAL;
	if (arguments->exit_signal > LAST_SIGNAL)
		return -EINVAL;
	if ((flags & (CSIGNAL | CLONE_DETACHED_)) || (flags >> 32 & ~(CLONE_CLEAR_SIGHAND >> 32)))
		return -EINVAL;
	if ((flags & CLONE_CLEAR_SIGHAND) && (flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & (CLONE_THREAD | CLONE_PARENT)) && arguments->exit_signal)
		return -EINVAL;
	if (!arguments->stack != !arguments->stack_size)
		return -EINVAL;
	if (arguments->stack && !user_range(arguments->stack, arguments->stack_size))
		return -EINVAL;
	/* Numbers are not the program's to choose. */
	return arguments->set_tid_size ? -EPERM : 0;
}

int64_t sys_clone3(struct task *task, struct trapframe *frame)
{
	struct clone_args arguments;
	struct clone_request request;
	int error = get_arguments(&arguments, frame->rdi, frame->rsi);

	if (!error)
		error = check_arguments(&arguments);
	if (error)
		return error;
	request = (struct clone_request){
		.flags = arguments.flags,
		.exit_signal = (int)arguments.exit_signal,
		.stack = arguments.stack ? arguments.stack + arguments.stack_size : 0,
		.parent_tid = arguments.parent_tid,
		.pidfd = arguments.pidfd,
		.child_tid = arguments.child_tid,
		.thread = arguments.tls,
	};
	return do_clone(task, frame, &request);
}
