/*
 * System calls about the contents of mappings that exist: madvise, process_madvise, mincore, msync, membarrier.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/inode.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/mman.h>
#include <linux/uio.h>

#include "memory.h"
#include "process_internal.h"

#define RESIDENT_CHUNK 1024 /* mincore's pages at a time */

/* ---- madvise ------------------------------------------------------------------------------------------ */

static bool is_private_anonymous(const struct lookup *found)
{
	return found->how.inherit == INHERIT_COPY && !found->how.label;
}

int show_file_again(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		    struct file *file)
{
	struct mmap_request ask = {
		.offset = pages_to_bytes(found->origin),
		.bytes = bytes,
		.prot = found->how.prot,
		.max_prot = VM_ALL,
	};
	struct request request = {.pages = bytes_to_pages(bytes), .how = found->how};
	int error = file->ops->mmap(file, &ask);

	if (error || !ask.blob)
		return error;
	request.blob = ask.blob;
	request.offset = ask.blob_offset;
	error = request_overlay(&request);
	if (!error)
		error = map_exactly(space, &request, start, PLACE_REPLACE);
	blob_unref(request.blob);
	if (!error && found->fork)
		error = map_set_fork(space->root, start, bytes, found->fork, 0);
	return error;
}

/*
 * What an overlay forgets it shows as the file has it. A part of a program that was made when it was loaded, of the file and zeroes, is none: it is mapped anew, which needs
 * the space's lock.
 */
static bool is_mapped_anew(const struct lookup *found)
{
	return found->how.inherit != INHERIT_SHARE && label_file(found->how.label) &&
	       !blob_is_overlay(found->blob);
}

/* Private contents are forgotten; shared ones are others' as well, and stay. */
static int forget(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found)
{
	if (is_mapped_anew(found))
		return show_file_again(space, start, bytes, found, label_file(found->how.label));
	return found->how.inherit == INHERIT_SHARE ? 0 : map_decommit(space->root, start, bytes);
}

static int dont_need(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		     void *context)
{
	int error;

	(void)context;
	if (found->wired)
		return -EINVAL;
	if (!is_mapped_anew(found))
		return forget(space, start, bytes, found);
	mutex_lock(&space->lock);
	error = forget(space, start, bytes, found);
	mutex_unlock(&space->lock);
	return error;
}

/*
 * As MADV_DONTNEED; what is locked stays locked, and is made resident when it is accessed again. Should memory be too short even for that, it is not locked any more: -ENOMEM.
 */
static int dont_need_locked(struct user_space *space, vaddr_t start, uint64_t bytes,
			    const struct lookup *found, void *context)
{
	int error, again;

	if (!found->wired || found->how.inherit == INHERIT_SHARE)
		return found->wired ? 0 : dont_need(space, start, bytes, found, context);
	mutex_lock(&space->lock);
	error = map_unwire(space->root, start, bytes);
	if (!error) {
		error = forget(space, start, bytes, found);
		again = map_wire_on_fault(space->root, start, bytes);
		error = error ? error : again;
	}
	mutex_unlock(&space->lock);
	return error;
}

/* "May be forgotten from now on": it is, at once. */
static int may_free(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		    void *context)
{
	if (!is_private_anonymous(found))
		return -EINVAL;
	return dont_need(space, start, bytes, found, context);
}

/* A hole is punched into what is shared, for all. */
static int remove_pages(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
			void *context)
{
	(void)context;
	if (found->wired || is_private_anonymous(found))
		return -EINVAL;
	if (found->how.inherit != INHERIT_SHARE || !(found->how.max_prot & VM_WRITE))
		return -EACCES;
	return map_decommit(space->root, start, bytes);
}

/* Flags that fork, or a core file, obeys: what to set and what to clear. */
struct fork_change {
	unsigned set, clear;
};

static int change_fork(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		       void *context)
{
	const struct fork_change *change = context;

	if (change->set & FORK_WIPE && !is_private_anonymous(found))
		return -EINVAL;
	return map_set_fork(space->root, start, bytes, change->set, change->clear);
}

static int advise(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		  void *context)
{
	(void)found;
	return map_advise(space->root, start, bytes, *(const enum map_advice *)context);
}

/* What is wired is not given up, and that somebody asks for it is an error. */
static int page_out(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		    void *context)
{
	int error;

	if (found->wired)
		return -EINVAL;
	error = advise(space, start, bytes, found, context);
	/* There may be nowhere to put it: as Linux without swap space, that is no error. */
	return error == -ENOMEM ? error : 0;
}

static int cold(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		void *context)
{
	return found->wired ? -EINVAL : advise(space, start, bytes, found, context);
}

static int only_look(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		     void *context)
{
	(void)space, (void)start, (void)bytes, (void)found, (void)context;
	return 0;
}

/* How a value of madvise is served: by visiting each mapping, with a context. */
struct advice {
	range_visitor *visit; /* NULL: there is no such advice, or it is none of this table's */
	struct fork_change fork;
	enum map_advice advice;
};

#define HIGHEST_ADVICE MADV_DONTNEED_LOCKED

static const struct advice advices[HIGHEST_ADVICE + 1] = {
	[MADV_NORMAL] = {.visit = advise, .advice = ADVISE_NORMAL},
	[MADV_RANDOM] = {.visit = advise, .advice = ADVISE_RANDOM},
	[MADV_SEQUENTIAL] = {.visit = advise, .advice = ADVISE_SEQUENTIAL},
	[MADV_WILLNEED] = {.visit = advise, .advice = ADVISE_WILLNEED},
	[MADV_DONTNEED] = {.visit = dont_need},
	[MADV_DONTNEED_LOCKED] = {.visit = dont_need_locked},
	[MADV_FREE] = {.visit = may_free},
	[MADV_REMOVE] = {.visit = remove_pages},
	[MADV_DONTFORK] = {.visit = change_fork, .fork = {.set = FORK_OMIT}},
	[MADV_DOFORK] = {.visit = change_fork, .fork = {.clear = FORK_OMIT}},
	[MADV_WIPEONFORK] = {.visit = change_fork, .fork = {.set = FORK_WIPE}},
	[MADV_KEEPONFORK] = {.visit = change_fork, .fork = {.clear = FORK_WIPE}},
	[MADV_HUGEPAGE] = {.visit = advise, .advice = ADVISE_CLUSTER},
	[MADV_NOHUGEPAGE] = {.visit = advise, .advice = ADVISE_NORMAL},
	[MADV_MERGEABLE] = {.visit = only_look},
	[MADV_UNMERGEABLE] = {.visit = only_look},
	[MADV_DONTDUMP] = {.visit = change_fork, .fork = {.set = DUMP_OMIT}},
	[MADV_DODUMP] = {.visit = change_fork, .fork = {.clear = DUMP_OMIT}},
	[MADV_COLD] = {.visit = cold, .advice = ADVISE_COLD},
	[MADV_PAGEOUT] = {.visit = page_out, .advice = ADVISE_PAGE_OUT},
};

/* MADV_POPULATE_READ or _WRITE on its way through the range. */
struct population {
	vaddr_t next; /* all before is there */
	vm_prot_t access;
};

/* The manual page has the errors. Memory that can be read though nobody asked for that counts as what was asked for. */
static int populate_one(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
			void *context)
{
	struct population *population = context;
	int error;

	if (start != population->next)
		return -ENOMEM;
	if (population->access == VM_READ && found->how.prot & VM_READ_UNASKED)
		return -EINVAL;
	population->next = start + bytes;
	error = map_populate(space->root, start, bytes, population->access);
	switch (error) {
	case -EACCES:
		return -EINVAL;
	case -ENXIO: /* a program's own access would end in SIGBUS */
		return -EFAULT;
	default:
		return error;
	}
}

/* madvise(2), of any space. */
static int64_t advise_range(struct user_space *space, vaddr_t start, uint64_t length, int value)
{
	uint64_t bytes = whole_pages(length);
	bool populates = value == MADV_POPULATE_READ || value == MADV_POPULATE_WRITE;
	struct population population = {start, value == MADV_POPULATE_READ ? VM_READ : VM_WRITE};
	struct advice advice;
	void *context;

	if (value < 0 || value > HIGHEST_ADVICE || (!populates && !advices[value].visit))
		return -EINVAL;
	if (!page_aligned(start) || (length != 0 && bytes == 0) || start + bytes < start)
		return -EINVAL;
	if (bytes == 0)
		return 0;
	if (!user_range(start, bytes))
		return -ENOMEM;
	if (populates)
		return range_visit(space, start, start + bytes, populate_one, &population);
	advice = advices[value];
	context = advice.visit == change_fork ? (void *)&advice.fork : (void *)&advice.advice;
	return range_visit(space, start, start + bytes, advice.visit, context);
}

int64_t sys_madvise(struct task *task, struct trapframe *frame)
{
	return advise_range(task->process->space, frame->rdi, frame->rsi, (int)frame->rdx);
}

/* ---- process_madvise ----------------------------------------------------------------------------------- */

/* The space of a pidfd's process, if the caller may advise it, with a reference. 0, -EBADF, -ESRCH, -EPERM. */
static int space_of_pidfd(struct task *task, int descriptor, struct user_space **out)
{
	bool waits;
	struct process *process = pidfd_process(task, descriptor, &waits);
	int error = 0;

	if (!process)
		return -EBADF;
	if (process != task->process && (!task_may_look(task, process) || !task_capable(task, CAP_SYS_NICE)))
		error = -EPERM;
	else if (!(*out = process_space(process)))
		error = -ESRCH;
	process_unref(process);
	return error;
}

/* Only what changes no contents may be said of others' memory (process_madvise(2)). */
static bool is_for_others(int value)
{
	return value == MADV_COLD || value == MADV_PAGEOUT || value == MADV_WILLNEED;
}

/* Ranges of the caller's list, each as madvise() would. How many bytes they have up to the first that fails; its error if it is the first of all. */
static int64_t advise_list(struct user_space *space, vaddr_t list, uint64_t count, int value)
{
	struct iovec one;
	int64_t done = 0, error = 0;

	for (uint64_t i = 0; i < count && !error; i++) {
		if (copy_from_user(&one, list + i * sizeof(one), sizeof(one)) != 0)
			error = -EFAULT;
		else if (one.iov_len > (uint64_t)(INT64_MAX - done))
			error = -EINVAL;
		else
			error = advise_range(space, (vaddr_t)one.iov_base, one.iov_len, value);
		if (!error)
			done += (int64_t)one.iov_len;
		thread_breathe();
	}
	return done > 0 ? done : error;
}

int64_t sys_process_madvise(struct task *task, struct trapframe *frame)
{
	int value = (int)frame->r10;
	struct user_space *space;
	int64_t result;

	if (frame->r8 != 0 || frame->rdx > UIO_MAXIOV)
		return -EINVAL;
	result = space_of_pidfd(task, (int)frame->rdi, &space);
	if (result)
		return result;
	result = is_for_others(value) ? advise_list(space, frame->rsi, frame->rdx, value) : -EINVAL;
	user_space_unref(space);
	return result;
}

/* ---- mincore -------------------------------------------------------------------------------------------- */

int64_t sys_mincore(struct task *task, struct trapframe *frame)
{
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi);
	unsigned char resident[RESIDENT_CHUNK];

	if (!page_aligned(start))
		return -EINVAL;
	if (frame->rsi == 0)
		return 0;
	if (bytes == 0 || !user_range(start, bytes))
		return -ENOMEM;
	for (pgoff_t done = 0, pages = bytes_to_pages(bytes); done < pages;) {
		pgoff_t part = pages - done < RESIDENT_CHUNK ? pages - done : RESIDENT_CHUNK;
		int error = map_residency(task->process->space->root, start + pages_to_bytes(done),
					  pages_to_bytes(part), resident);

		if (!error)
			error = copy_to_user(frame->rdx + done, resident, part);
		if (error)
			return error;
		done += part;
	}
	return 0;
}

/* ---- msync ---------------------------------------------------------------------------------------------- */

/* Files are in memory: there is nothing to write, but for their times. What is locked cannot be made invalid. */
static int sync_one(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		    void *context)
{
	bool invalidate = *(const bool *)context;
	struct file *file = label_file(found->how.label);

	if (file && map_take_written(space->root, start, bytes))
		inode_touch_modified(file->inode);
	return invalidate && found->wired ? -EBUSY : 0;
}

int64_t sys_msync(struct task *task, struct trapframe *frame)
{
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi);
	int flags = (int)frame->rdx;
	bool invalidate = flags & MS_INVALIDATE;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !page_aligned(start) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if ((frame->rsi != 0 && bytes == 0) || start + bytes < start)
		return -ENOMEM;
	if (bytes == 0)
		return 0;
	return range_visit(task->process->space, start, start + bytes, sync_one, &invalidate);
}

/* ---- membarrier ------------------------------------------------------------------------------------------ */

#define EXPEDITED_CALLS                                                                 \
	(MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |   \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

/* A thread that does not run has passed a barrier in the switch away from it, so with one CPU there is nothing to do but to keep the rules. */
int64_t sys_membarrier(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	int command = (int)frame->rdi;

	if (frame->rsi != 0)
		return -EINVAL;
	switch (command) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_CMD_GLOBAL | EXPEDITED_CALLS;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		mutex_lock(&space->lock);
		space->barriers |= (unsigned)command;
		mutex_unlock(&space->lock);
		return 0;
	/* The registering command of each is the next bit. */
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return space->barriers & (unsigned)command << 1 ? 0 : -EPERM;
	default:
		return -EINVAL;
	}
}
