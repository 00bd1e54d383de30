/*
 * System V semaphores: semop, semtimedop, and what is taken back when a process ends (semop(2)).
 *
 * An operation's steps are all done, or none. One that cannot be done waits in its set's list; whoever changes values does what waits and has become
 * possible, in order of arrival, for those who wait (sem_update). A step that is blocked costs a look at the steps before it, so a change costs as
 * much as there are steps that wait for the set.
 */
#include <asm/errno.h>
#include <linux/time.h>
#include <vm/page.h>
#include <vm/slab.h>
#include <vm/vm.h>

#include "sem.h"

#define FEW_STEPS     8 /* are kept on the stack */
#define NS_PER_SECOND 1000000000l

RB_HEAD(undo_tree, sem_undo);

/* What is taken back when the last process that has it ends (CLONE_SYSVSEM). Locks: (m) the table's mutex. */
struct undo_list {
	uint32_t refs;          /* (m) processes, and calls that wait */
	struct undo_tree undos; /* (m) by their sets */
};

static struct slab_cache list_cache;

static int compare(const struct sem_undo *left, const struct sem_undo *right)
{
	return (uint64_t)left->set < (uint64_t)right->set ? -1 : (uint64_t)left->set > (uint64_t)right->set;
}

RB_GENERATE_STATIC(undo_tree, sem_undo, of_list, compare)

void sem_operations_init(void)
{
	slab_cache_init(&list_cache, "semaphores' undo list", sizeof(struct undo_list));
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

/* What is to be taken back of a step, after it, with what was before. */
static int adjusted(const struct sem_call *call, const struct sembuf *step)
{
	return call->undo->adjust[step->sem_num] - step->sem_op;
}

/* Does one step. 0; SEM_WAITS: it is blocked; -ERANGE. */
static int do_step(struct sem_set *set, const struct sem_call *call, const struct sembuf *step)
{
	int *value = &set->semaphores[step->sem_num].value;
	int next = *value + step->sem_op;

	if ((step->sem_op == 0 && *value != 0) || next < 0)
		return SEM_WAITS;
	if (next > SEMVMX)
		return -ERANGE;
	if (step->sem_flg & SEM_UNDO) {
		int adjust = adjusted(call, step);

		if (adjust < -SEMAEM - 1 || adjust > SEMAEM)
			return -ERANGE;
		call->undo->adjust[step->sem_num] = (short)adjust;
	}
	*value = next;
	return 0;
}

static void undo_step(struct sem_set *set, const struct sem_call *call, const struct sembuf *step)
{
	set->semaphores[step->sem_num].value -= step->sem_op;
	if (step->sem_flg & SEM_UNDO)
		call->undo->adjust[step->sem_num] = (short)(call->undo->adjust[step->sem_num] + step->sem_op);
}

/* Does all steps, or none: 0; SEM_WAITS, and call->stuck is the step that is blocked; -EAGAIN: that one shall not wait; -ERANGE. */
static int try_call(struct sem_set *set, struct sem_call *call)
{
	unsigned done = 0;
	int result = 0;

	while (done < call->count && (result = do_step(set, call, &call->steps[done])) == 0)
		done++;
	if (!result) {
		for (unsigned i = 0; i < call->count; i++)
			set->semaphores[call->steps[i].sem_num].pid = call->pid;
		set->operated = sysv_now();
		return 0;
	}
	call->stuck = &call->steps[done];
	while (done > 0)
		undo_step(set, call, &call->steps[--done]);
	return result == SEM_WAITS && (call->stuck->sem_flg & IPC_NOWAIT) ? -EAGAIN : result;
}

/* Can what the call did let others that wait go on? Not if it only lowered values, and none to 0. */
static bool helps_others(const struct sem_set *set, const struct sem_call *call)
{
	for (unsigned i = 0; i < call->count; i++)
		if (call->steps[i].sem_op > 0 ||
		    (call->steps[i].sem_op < 0 && set->semaphores[call->steps[i].sem_num].value == 0))
			return true;
	return false;
}

static void finish(struct sem_set *set, struct sem_call *call, int result)
{
	TAILQ_REMOVE(&set->waiting, call, link);
	call->result = result;
	wait_wake_all(&call->done);
}

void sem_update(struct sem_set *set)
{
	struct sem_call *call = TAILQ_FIRST(&set->waiting), *next;

	while (call) {
		int result = try_call(set, call);

		next = TAILQ_NEXT(call, link);
		if (result != SEM_WAITS) {
			bool again = result == 0 && helps_others(set, call);

			finish(set, call, result);
			if (again)
				next = TAILQ_FIRST(&set->waiting);
		}
		call = next;
	}
}

int sem_count_waits(const struct sem_set *set, unsigned number, bool zero)
{
	const struct sem_call *call;
	int count = 0;

	TAILQ_FOREACH(call, &set->waiting, link)
	if (call->stuck->sem_num == number && (call->stuck->sem_op == 0) == zero)
		count++;
	return count;
}

/* ---- What is taken back ------------------------------------------------------------------------------------------ */

static void unlink_undo(struct sem_undo *undo)
{
	RB_REMOVE(undo_tree, &undo->list->undos, undo);
	LIST_REMOVE(undo, of_set);
}

static struct sem_undo *find_undo(struct undo_list *list, struct sem_set *set)
{
	const struct sem_undo wanted = {.set = set};

	return RB_FIND(undo_tree, &list->undos, (struct sem_undo *)&wanted);
}

/* The process's list; NULL: no memory. */
static struct undo_list *list_of(struct process *process)
{
	struct undo_list *list = process->undo_list;

	if (list)
		return list;
	list = slab_alloc(&list_cache);
	if (!list)
		return NULL;
	*list = (struct undo_list){.refs = 1};
	RB_INIT(&list->undos);
	process->undo_list = list;
	return list;
}

/* Gives the call what it takes back into: the table is locked, and memory is allocated with it held. -ENOMEM. */
static int prepare_undo(struct process *process, struct sem_set *set, struct sem_call *call)
{
	struct undo_list *list = list_of(process);
	size_t bytes = sizeof(struct sem_undo) + set->count * sizeof(short);
	struct sem_undo *undo;

	if (!list)
		return -ENOMEM;
	call->undo = find_undo(list, set);
	if (call->undo)
		return 0;
	undo = sem_alloc(bytes);
	if (!undo)
		return -ENOMEM;
	memset(undo, 0, bytes);
	undo->list = list;
	undo->set = set;
	undo->bytes = bytes;
	RB_INSERT(undo_tree, &list->undos, undo);
	LIST_INSERT_HEAD(&set->undos, undo, of_set);
	call->undo = undo;
	return 0;
}

void sem_forget_undo(struct sem_set *set, int number)
{
	struct sem_undo *undo;

	LIST_FOREACH(undo, &set->undos, of_set)
	if (number >= 0)
		undo->adjust[number] = 0;
	else
		memset(undo->adjust, 0, set->count * sizeof(short));
}

void sem_end_waits(struct sem_set *set)
{
	struct sem_undo *undo, *next;

	while (!TAILQ_EMPTY(&set->waiting))
		finish(set, TAILQ_FIRST(&set->waiting), -EIDRM);
	LIST_FOREACH_SAFE(undo, &set->undos, of_set, next)
	{
		unlink_undo(undo);
		sem_free(undo, undo->bytes);
	}
}

/* Takes back what the list has of one set. A value stays what a value can be. */
static void take_back(struct sem_undo *undo, int pid)
{
	struct sem_set *set = undo->set;

	for (unsigned i = 0; i < set->count; i++) {
		int value = set->semaphores[i].value + undo->adjust[i];

		if (undo->adjust[i] == 0)
			continue;
		set->semaphores[i].value = value < 0 ? 0 : value > SEMVMX ? SEMVMX : value;
		set->semaphores[i].pid = pid;
	}
	unlink_undo(undo);
	sem_free(undo, undo->bytes);
	sem_update(set);
}

/* One user of a list less. What the last one wanted is taken back, in the name of `pid`. The table is locked. */
static void list_put(struct undo_list *list, int pid)
{
	struct sem_undo *undo;

	if (--list->refs > 0)
		return;
	while ((undo = RB_MIN(undo_tree, &list->undos)) != NULL)
		take_back(undo, pid);
	slab_free(&list_cache, list);
}

int sem_share_undo(struct process *child, struct process *parent)
{
	struct undo_list *list;

	mutex_lock(&sem_table.lock);
	list = list_of(parent);
	if (list)
		list->refs++;
	mutex_unlock(&sem_table.lock);
	child->undo_list = list;
	return list ? 0 : -ENOMEM;
}

void sem_process_end(struct process *process)
{
	struct undo_list *list;

	mutex_lock(&sem_table.lock);
	list = process->undo_list;
	process->undo_list = NULL;
	if (list)
		list_put(list, process->pid);
	mutex_unlock(&sem_table.lock);
}

/* ---- The calls ------------------------------------------------------------------------------------------------------ */

/* May the call be made on the set? 0, -EFBIG, -EACCES. */
static int check(const struct task *task, const struct sem_set *set, const struct sem_call *call)
{
	for (unsigned i = 0; i < call->count; i++)
		if (call->steps[i].sem_num >= set->count)
			return -EFBIG;
	return sysv_permitted(task, &set->object, call->changes ? SYSV_MAY_WRITE : SYSV_MAY_READ) ? 0
												  : -EACCES;
}

/* Waits until somebody has done the call, or the set is gone. The table is locked, and let go while it waits. */
static int wait_for(struct task *task, struct sem_set *set, struct sem_call *call, uint64_t deadline)
{
	struct undo_list *list = call->undoes ? task->process->undo_list : NULL;
	int result;

	/* Another task of the process may leave it (unshare(2)). */
	if (list)
		list->refs++;
	call->result = SEM_WAITS;
	TAILQ_INSERT_TAIL(&set->waiting, call, link);
	result = WAIT_EVENT_MUTEX(&call->done, &sem_table.lock, call->result != SEM_WAITS,
				  SLEEP_INTERRUPTIBLE, deadline);
	if (result) {
		TAILQ_REMOVE(&set->waiting, call, link);
		call->result = result == -ETIMEDOUT ? -EAGAIN : -EINTR;
	}
	if (list)
		list_put(list, call->pid);
	return call->result;
}

/* The table is locked, and let go while it waits. */
static int operate(struct task *task, int id, struct sem_call *call, uint64_t deadline)
{
	struct sysv_object *object = sysv_find(&sem_table, id);
	struct sem_set *set = sem_of_object(object);
	int result;

	if (!object)
		return -EINVAL;
	result = check(task, set, call);
	if (!result && call->undoes)
		result = prepare_undo(task->process, set, call);
	if (result)
		return result;
	result = try_call(set, call);
	if (result == SEM_WAITS)
		return wait_for(task, set, call, deadline);
	if (!result && helps_others(set, call))
		sem_update(set);
	return result;
}

static int64_t operate_steps(struct task *task, int id, const struct sembuf *steps, unsigned count,
			     uint64_t deadline)
{
	struct sem_call call = {.steps = steps, .count = count, .pid = sysv_pid(task)};
	int result;

	for (unsigned i = 0; i < count; i++) {
		call.changes |= steps[i].sem_op != 0;
		call.undoes |= (steps[i].sem_flg & SEM_UNDO) != 0;
	}
	wait_queue_init(&call.done);
	mutex_lock(&sem_table.lock);
	result = operate(task, id, &call, deadline);
	mutex_unlock(&sem_table.lock);
	return result;
}

static int64_t sem_operation(struct task *task, int id, vaddr_t from, uint64_t count, uint64_t deadline)
{
	struct sembuf few[FEW_STEPS], *steps = few;
	size_t bytes = count * sizeof(*steps);
	int64_t result = -EFAULT;

	if (count < 1 || id < 0)
		return -EINVAL;
	if (count > (uint64_t)sysv_limits.operations_most)
		return -E2BIG;
	if (count > FEW_STEPS)
		steps = sem_alloc(bytes);
	if (!steps)
		return -ENOMEM;
	if (copy_from_user(steps, from, bytes) == 0)
		result = operate_steps(task, id, steps, (unsigned)count, deadline);
	if (steps != few)
		sem_free(steps, bytes);
	return result;
}

int64_t sys_semop(struct task *task, struct trapframe *frame)
{
	return sem_operation(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx, TIME_NEVER);
}

int64_t sys_semtimedop(struct task *task, struct trapframe *frame)
{
	uint64_t now = time_nanoseconds(), deadline = TIME_NEVER;
	struct timespec length;

	if (frame->r10) {
		if (copy_from_user(&length, frame->r10, sizeof(length)) != 0)
			return -EFAULT;
		if (length.tv_sec < 0 || length.tv_nsec < 0 || length.tv_nsec >= NS_PER_SECOND)
			return -EINVAL;
		if (length.tv_sec < INT64_MAX / NS_PER_SECOND / 2)
			deadline = now + (uint64_t)(length.tv_sec * NS_PER_SECOND + length.tv_nsec);
	}
	return sem_operation(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx, deadline);
}
