/*
 * The system calls mmap, munmap, mprotect, brk, remap_file_pages; where a mapping goes is decided in memory.c, what is asked of
 * mappings that exist is in sys_madvise.c, sys_mlock.c and sys_mremap.c.
 *
 * An anonymous mapping is a window at the start of a blob of its own that is as large as blobs can be, which costs
 * nothing, so that mremap has room to grow it; one that grows down is a window at the end. A private mapping of a file is a window of an
 * overlay of all that follows it in the file's blob, for the same reason.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <kern/inode.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <vm/layout.h>

#include "memory.h"

/* Flags that MAP_SHARED_VALIDATE knows (mmap(2)); with it, others are an error. */
#define VALIDATED_FLAGS                                                                                      \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE | \
	 MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |                \
	 MAP_FIXED_NOREPLACE)

/* ---- mmap -------------------------------------------------------------------------------------------- */

/* A call of mmap. */
struct call {
	vaddr_t address;
	uint64_t bytes; /* whole pages */
	uint64_t prot, flags, offset;
	struct file *file; /* a reference; NULL: anonymous */
};

static bool is_shared(const struct call *call)
{
	return (call->flags & MAP_TYPE) != MAP_PRIVATE;
}

/* Is there a kind of huge pages, on this kind of machine, of the size that the flags tell the logarithm of? */
static bool is_huge_size(uint64_t flags)
{
	uint64_t size = flags & (MAP_HUGE_MASK << MAP_HUGE_SHIFT);

	return size == 0 || size == MAP_HUGE_2MB || size == MAP_HUGE_1GB;
}

/* What is wrong with an anonymous mapping's type; 0: nothing. */
static int check_anonymous(const struct call *call)
{
	uint64_t type = call->flags & MAP_TYPE;

	if (type != MAP_PRIVATE && type != MAP_SHARED)
		return -EINVAL;
	if (type == MAP_SHARED && (call->flags & MAP_GROWSDOWN))
		return -EINVAL;
	if (!(call->flags & MAP_HUGETLB))
		return 0;
	/* There are no huge pages: none are free. */
	return is_huge_size(call->flags) ? -ENOMEM : -EINVAL;
}

/* May the file be mapped so? The order of errors is Linux's. */
static int check_file(const struct call *call)
{
	uint64_t type = call->flags & MAP_TYPE;
	uint32_t access = call->file->flags & O_ACCMODE;

	if (call->flags & MAP_HUGETLB)
		return -EINVAL;
	if (call->file->flags & O_PATH)
		return -EBADF;
	if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (type == MAP_SHARED_VALIDATE && (call->flags & ~(uint64_t)VALIDATED_FLAGS))
		return -EOPNOTSUPP;
	if (type != MAP_PRIVATE && (call->prot & PROT_WRITE) && access == O_RDONLY)
		return -EACCES;
	if (access == O_WRONLY)
		return -EACCES;
	if (call->prot & PROT_EXEC && inode_mounted_with(call->file->inode, MS_NOEXEC))
		return -EPERM;
	if (!call->file->ops->mmap)
		return -ENODEV;
	return call->flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

/* Makes a blob for anonymous memory; shared memory's ends where the mapping does, even if that grows. */
static int anonymous_blob(const struct call *call, struct request *request)
{
	int error = blob_create(BLOB_MAX_BYTES, 0, &request->blob);

	if (error)
		return error;
	request->how.name = is_shared(call) ? "shared" : "anonymous";
	if (call->flags & MAP_GROWSDOWN) {
		request->how.name = "stack";
		request->how.grows_down = true;
		request->offset = bytes_to_pages(BLOB_MAX_BYTES) - request->pages;
	}
	if (is_shared(call))
		error = blob_set_extent(request->blob, request->pages);
	if (error)
		blob_unref(request->blob);
	return error;
}

/* Asks the file for its blob; private mappings get an overlay. */
static int file_blob(const struct call *call, struct request *request)
{
	struct mmap_request ask = {
		.offset = call->offset,
		.bytes = call->bytes,
		.shared = is_shared(call),
		.prot = request->how.prot,
		.max_prot = VM_ALL,
	};
	int error;

	if (is_shared(call) && (call->file->flags & O_ACCMODE) == O_RDONLY)
		ask.max_prot &= (vm_prot_t)~VM_WRITE;
	if (inode_mounted_with(call->file->inode, MS_NOEXEC))
		ask.max_prot &= (vm_prot_t)~VM_EXEC;
	error = call->file->ops->mmap(call->file, &ask);
	if (error)
		return error;
	request->how.max_prot = ask.max_prot;
	if (!ask.blob)
		return anonymous_blob(call, request);
	request->blob = ask.blob;
	request->offset = ask.blob_offset;
	request->how.name = "file";
	if (!is_shared(call) && !ask.device)
		error = request_overlay(request);
	if (!error) {
		request->how.label = file_label(call->file);
		error = request->how.label ? 0 : -ENOMEM;
	}
	if (error)
		blob_unref(request->blob);
	return error;
}

/* The limits that a mapping has to keep; those of what it replaces are not taken off before, but for the address space's. */
static int check_limits(struct task *task, const struct call *call, const struct request *request,
			struct commitment *commitment)
{
	bool data = !is_shared(call) && (call->prot & PROT_WRITE);
	bool promised = (!(call->flags & MAP_NORESERVE) || commit_is_strict()) &&
			(data || (is_shared(call) && !request->how.label));
	int error = check_space(task->process, request->pages, data ? request->pages : 0);

	if (!error && promised)
		error = commit_begin(commitment, request->pages);
	if (error || !((call->flags & MAP_LOCKED) || task->process->space->lock_future))
		return error;
	return check_locked(task, request->pages, -EAGAIN);
}

static int place(struct user_space *space, const struct call *call, struct request *request)
{
	const struct preference wish = {
		.hint = call->address,
		.low = call->file != NULL,
		.low_only = (call->flags & MAP_32BIT) != 0,
	};

	if (call->flags & MAP_FIXED_NOREPLACE)
		return map_exactly(space, request, call->address, 0);
	if (call->flags & MAP_FIXED)
		return map_exactly(space, request, call->address, PLACE_REPLACE);
	return map_anywhere(space, request, &wish);
}

/* As Linux: that locking or populating fails does not make the call fail. */
static void make_resident(struct user_space *space, const struct call *call, const struct request *request)
{
	vm_prot_t access = request->how.prot & (VM_READ | VM_WRITE);

	if (space->lock_future & MCL_ONFAULT)
		map_wire_on_fault(space->root, request->at, call->bytes);
	else if ((call->flags & MAP_LOCKED) || space->lock_future)
		map_wire(space->root, request->at, call->bytes);
	if ((call->flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE && access)
		map_populate(space->root, request->at, call->bytes,
			     is_shared(call)     ? VM_READ
			     : access & VM_WRITE ? VM_WRITE
						 : VM_READ);
}

/* The call is checked: does it. */
static int64_t map_memory(struct task *task, const struct call *call)
{
	struct user_space *space = task->process->space;
	struct request request = {
		.pages = bytes_to_pages(call->bytes),
		.how = {.prot = protection_of(call->prot),
			.inherit = is_shared(call) ? INHERIT_SHARE : INHERIT_COPY},
	};
	struct commitment commitment = {0};
	int error = call->file ? file_blob(call, &request) : anonymous_blob(call, &request);

	if (error)
		return error;
	mutex_lock(&space->lock);
	error = check_limits(task, call, &request, &commitment);
	if (!error)
		error = place(space, call, &request);
	/* Shared memory is of nobody's entry alone: it counts until the last one has gone. */
	if (!error && is_shared(call) && !request.how.label)
		blob_promise(request.blob, request.pages);
	commit_end(&commitment);
	if (!error && ((call->flags & (MAP_POPULATE | MAP_LOCKED)) || space->lock_future))
		make_resident(space, call, &request);
	mutex_unlock(&space->lock);
	blob_unref(request.blob);
	map_label_unref(request.how.label);
	return error ? error : (int64_t)request.at;
}

static int64_t check_and_map(struct task *task, struct call *call)
{
	int error = call->file ? check_file(call) : check_anonymous(call);

	if (error)
		return error;
	if ((call->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && !page_aligned(call->address))
		return -EINVAL;
	if ((call->flags & MAP_LOCKED) && check_may_lock(task) != 0)
		return -EPERM;
	return map_memory(task, call);
}

int64_t sys_mmap(struct task *task, struct trapframe *frame)
{
	struct call call = {
		.address = frame->rdi,
		.bytes = whole_pages(frame->rsi),
		.prot = frame->rdx & KNOWN_PROT,
		.flags = frame->r10,
		.offset = frame->r9,
	};
	int64_t result;

	if (!page_aligned(call.offset))
		return -EINVAL;
	if (!(call.flags & MAP_ANONYMOUS)) {
		call.file = descriptor_get(task, (int)frame->r8);
		if (!call.file)
			return -EBADF;
	}
	if (frame->rsi == 0)
		result = -EINVAL;
	else if (call.bytes == 0 || call.bytes > BLOB_MAX_BYTES)
		result = -ENOMEM;
	else if (call.file && call.offset + call.bytes < call.offset)
		result = -EOVERFLOW;
	else
		result = check_and_map(task, &call);
	if (call.file)
		file_unref(call.file);
	return result;
}

/* ---- munmap, mprotect ----------------------------------------------------------------------------------- */

int64_t sys_munmap(struct task *task, struct trapframe *frame)
{
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi);

	if (!page_aligned(start) || bytes == 0)
		return -EINVAL;
	/* Nothing is ever in the guard page: a hole, and no error. */
	if (start < LAYOUT_GUARD_END) {
		start += LAYOUT_GUARD_END;
		bytes -= LAYOUT_GUARD_END;
		if (bytes == 0)
			return 0;
	}
	if (!user_range(start, bytes))
		return -EINVAL;
	if (check_cuts(task->process, start, start + bytes, true) != 0)
		return -ENOMEM;
	return map_unmap(task->process->space->root, start, bytes);
}

int64_t sys_mprotect(struct task *task, struct trapframe *frame)
{
	struct map *root = task->process->space->root;
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi), prot = frame->rdx;
	uint64_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	struct commitment commitment = {0};
	int error = 0;

	prot &= ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !page_aligned(start))
		return -EINVAL;
	if (frame->rsi == 0)
		return 0;
	if (bytes == 0 || start + bytes < start)
		return -ENOMEM;
	if ((prot & ~(uint64_t)KNOWN_PROT) || grows == PROT_GROWSUP) /* nothing grows up */
		return -EINVAL;
	if (!user_range(start, bytes))
		return -ENOMEM;
	if (check_cuts(task->process, start, start + bytes, false) != 0)
		return -ENOMEM;
	if (prot & PROT_WRITE)
		error = check_write(task->process, start, start + bytes);
	if (!error && (prot & PROT_WRITE))
		error = commit_begin_write(&commitment, task->process->space, start, start + bytes);
	if (!error && grows)
		error = map_protect_down(root, start, bytes, protection_of(prot));
	else if (!error)
		error = map_protect(root, start, bytes, protection_of(prot));
	commit_end(&commitment);
	return error;
}

/* ---- brk ---------------------------------------------------------------------------------------------- */

/* Maps zeroes at [start, end) of the heap. */
static int heap_map(struct user_space *space, vaddr_t start, vaddr_t end)
{
	struct request request = {
		.pages = bytes_to_pages(end - start),
		.how = {.prot = VM_READ | VM_WRITE, .inherit = INHERIT_COPY, .name = "heap"},
	};
	int error = blob_create(HEAP_MAX_BYTES, 0, &request.blob);

	if (error)
		return error;
	error = map_exactly(space, &request, start, 0);
	blob_unref(request.blob);
	return error;
}

/*
 * Grows the heap's window; where the program has cut it up itself, the new part becomes a mapping of
 * its own.
 */
static int heap_grow(struct task *task, vaddr_t from, vaddr_t to)
{
	struct user_space *space = task->process->space;
	const struct resize_request want = {.start = space->heap_start,
					    .old_bytes = from - space->heap_start,
					    .new_bytes = to - space->heap_start};
	pgoff_t pages = bytes_to_pages(to - from);
	struct commitment commitment = {0};
	vaddr_t at;
	int error = check_space(task->process, pages, pages);

	if (!error && space->lock_future)
		error = check_locked(task, pages, -EAGAIN);
	if (!error)
		error = commit_begin(&commitment, pages);
	if (error)
		return error;
	if (want.old_bytes == 0 || map_resize(space->root, space->root, &want, &at) != 0)
		error = heap_map(space, from, to);
	commit_end(&commitment);
	if (!error && space->lock_future & MCL_ONFAULT)
		map_wire_on_fault(space->root, from, to - from);
	else if (!error && space->lock_future)
		map_wire(space->root, from, to - from);
	return error;
}

/*
 * Like Linux's call, not the C library's function: returns where the heap ends now, whether that was
 * asked for or not.
 */
int64_t sys_brk(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	vaddr_t wish = frame->rdi, from, to, end;
	int error = 0;

	mutex_lock(&space->lock);
	if (wish >= space->heap_start && wish <= space->heap_start + HEAP_MAX_BYTES) {
		from = page_round_up(space->heap_end);
		to = page_round_up(wish);
		if (to > from)
			error = heap_grow(task, from, to);
		else if (to < from)
			error = map_unmap(space->root, to, from - to);
		if (!error)
			space->heap_end = wish;
	}
	end = space->heap_end;
	mutex_unlock(&space->lock);
	return (int64_t)end;
}

/* ---- remap_file_pages ------------------------------------------------------------------------------------ */

/* The shared mapping at `start` shows its blob from page `offset` on, in [start, start + bytes). */
static int64_t remap(struct user_space *space, vaddr_t start, uint64_t bytes, pgoff_t offset)
{
	struct lookup found;
	struct request request = {.pages = bytes_to_pages(bytes)};
	int64_t error = map_lookup(space->root, start, &found);

	if (error)
		return -EINVAL;
	request.blob = found.blob;
	request.how = found.how;
	request.offset = offset;
	error = -EINVAL;
	if (found.how.inherit == INHERIT_SHARE && found.end >= start + bytes &&
	    offset + request.pages <= bytes_to_pages(blob_size(found.blob)))
		error = map_exactly(space, &request, start, PLACE_REPLACE);
	lookup_release(&found);
	return error;
}

/* As Linux since 4.0: the mapping is cut up, and each part shows another window. */
int64_t sys_remap_file_pages(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	vaddr_t start = page_round_down(frame->rdi);
	uint64_t bytes = page_round_down(frame->rsi);
	pgoff_t offset = frame->r10;
	int64_t result;

	if (frame->rdx != 0 || start + bytes <= start || offset + bytes_to_pages(bytes) < offset)
		return -EINVAL;
	if (!user_range(start, bytes))
		return -EINVAL;
	mutex_lock(&space->lock);
	result = remap(space, start, bytes, offset);
	mutex_unlock(&space->lock);
	return result;
}

/* ---- Stacks ---------------------------------------------------------------------------------------------- */

/*
 * Takes no lock but the map's own: a fault may come in the midst of a copy for which a file is locked, say. So two tasks whose
 * stacks grow at once may go beyond RLIMIT_AS by a page. Kernel threads that copy, in tests, have no task.
 */
bool task_grow_stack(vaddr_t address)
{
	struct process *process;
	uint64_t limit;

	if (!thread_current()->fpu || !user_range(address, 1))
		return false;
	process = task_current()->process;
	limit = process->limits[RLIMIT_STACK].rlim_cur;
	if (check_space(process, 1, 0) != 0 || !commit_allows_stack())
		return false;
	return map_grow_down(process->space->root, page_round_down(address), MAP_GROW_GUARD,
			     limit < BLOB_MAX_BYTES ? limit : BLOB_MAX_BYTES) == 0;
}
