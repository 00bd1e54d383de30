/*
 * Debug builds only: lets one allocation of a system call fail, which error paths are tried with (Linux's /proc/PID/fail-nth, docs/debugging.md).
 *
 * The linker sends calls from other files of what FAIL_WATCHED of the Makefile lists through the __wrap_ functions below (ld's --wrap), so that nothing of this
 * shows in the code under test. What a task allocates within a call is counted, with the page faults that the call's copies take; what
 * interrupts, kernel threads and page faults of ring 3 need is not.
 */
#include <asm/errno.h>
#include <kern/procfs.h>
#include <vm/page.h>
#include <vm/slab.h>
#include <vm/swap.h>

#ifdef DEBUG

#define NUMBER_BYTES 16

/* What of a task's counts now; NULL: nothing does. */
static struct fail_nth *counting(void)
{
	const struct thread *thread = thread_current();
	struct fail_nth *fail;

	/* Only programs' threads have tasks. */
	if (!thread || !thread->fpu)
		return NULL;
	fail = &task_current()->fail;
	return fail->counts ? fail : NULL;
}

/* Is this the allocation that is to fail? Who writes to the file at the same time comes before or after. */
static bool fails_now(void)
{
	struct fail_nth *fail = counting();
	uint32_t left = fail ? atomic_load(&fail->left) : 0;

	while (left != 0 && !atomic_compare_exchange_weak(&fail->left, &left, left - 1))
		;
	if (left != 1)
		return false;
	fail->failed = true;
	return true;
}

/* Did one fail in the call that the task is in? Then nobody is to give up memory for it: there is enough. */
static bool failed_here(void)
{
	const struct fail_nth *fail = counting();

	return fail && fail->failed;
}

/* ---- Calls that come this way ---------------------------------------------------------------------------------- */

void __real_syscall_handle(struct trapframe *frame);
void *__real_slab_alloc(struct slab_cache *cache);
struct page *__real_page_alloc(enum page_state state, unsigned flags);
unsigned __real_page_alloc_many(enum page_state state, unsigned flags, unsigned count, struct page **out);
struct page *__real_page_alloc_run(enum page_state state, size_t count, size_t align_pages, paddr_t limit,
				   unsigned flags);
bool __real_vm_make_room(void);
bool __real_task_made_room(void);
void __real_task_end_for_room(void);

void __wrap_syscall_handle(struct trapframe *frame)
{
	struct fail_nth *fail = &task_current()->fail;

	fail->counts = atomic_load(&fail->left) != 0;
	__real_syscall_handle(frame);
	fail->counts = fail->failed = false;
}

void *__wrap_slab_alloc(struct slab_cache *cache)
{
	return fails_now() ? NULL : __real_slab_alloc(cache);
}

struct page *__wrap_page_alloc(enum page_state state, unsigned flags)
{
	return fails_now() ? NULL : __real_page_alloc(state, flags);
}

unsigned __wrap_page_alloc_many(enum page_state state, unsigned flags, unsigned count, struct page **out)
{
	return fails_now() ? 0 : __real_page_alloc_many(state, flags, count, out);
}

struct page *__wrap_page_alloc_run(enum page_state state, size_t count, size_t align_pages, paddr_t limit,
				   unsigned flags)
{
	return fails_now() ? NULL : __real_page_alloc_run(state, count, align_pages, limit, flags);
}

bool __wrap_vm_make_room(void)
{
	return !failed_here() && __real_vm_make_room();
}

bool __wrap_task_made_room(void)
{
	return !failed_here() && __real_task_made_room();
}

void __wrap_task_end_for_room(void)
{
	if (!failed_here())
		__real_task_end_for_room();
}

/* ---- The file ----------------------------------------------------------------------------------------------------- */

/* The task of a file, with a reference; NULL: it has ended. */
static struct task *task_of(const struct proc_subject *subject)
{
	return task_find(subject->task ? subject->task->tid : subject->process->pid);
}

/* Allocates nothing, so that reading changes nothing. */
int64_t proc_read_fail_nth(const struct proc_subject *subject, struct io *io, uint64_t position)
{
	struct task *task = task_of(subject);
	char text[NUMBER_BYTES];
	uint64_t bytes;

	if (!task)
		return -ESRCH;
	bytes = (uint64_t)env_format(text, sizeof(text), "%u\n", atomic_load(&task->fail.left));
	task_unref(task);
	if (position >= bytes)
		return 0;
	bytes -= position;
	return io_put(io, text + position, io->left < bytes ? io->left : bytes);
}

int proc_store_fail_nth(const struct proc_subject *subject, char *text, size_t bytes)
{
	const char *at = text;
	struct task *task;
	uint64_t left;

	(void)bytes;
	if (proc_parse_number(&at, INT32_MAX, &left) != 0 || *at != '\0')
		return -EINVAL;
	task = task_of(subject);
	if (!task)
		return -ESRCH;
	atomic_store(&task->fail.left, (uint32_t)left);
	task_unref(task);
	return 0;
}

#endif
