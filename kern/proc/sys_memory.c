/*
 * System calls on memory: mmap, munmap, mprotect, brk, madvise, mincore; mremap is in sys_mremap.c.
 *
 * What a call may name and where a mapping goes is decided here; what then happens is kern/vm's. An
 * anonymous mapping is a window at the start of a blob of its own that is as large as blobs can be,
 * which costs nothing, so that mremap has room to grow it.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <linux/mman.h>
#include <vm/layout.h>

#include "syscall.h"

#define KNOWN_PROT     (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)
#define LOWEST_WISH    0x10000ul /* mappings in the low 2 GB go no lower unless MAP_FIXED says so */
#define RESIDENT_CHUNK 512       /* mincore's pages at a time */

/* As Linux on x86: what may be written or executed may be read. */
static vm_prot_t rights_of(uint64_t prot)
{
	vm_prot_t rights = 0;

	if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		rights |= VM_READ;
	if (prot & PROT_WRITE)
		rights |= VM_WRITE;
	if (prot & PROT_EXEC)
		rights |= VM_EXEC;
	return rights;
}

/* ---- mmap ------------------------------------------------------------------------------------ */

/* What is to be mapped, on its way to a place. */
struct request {
	struct blob *blob;
	pgoff_t pages;
	struct mapping how;
	vaddr_t at; /* where it has come to be */
};

static int map_at(struct map *map, struct request *request, const struct placement *place)
{
	return map_blob(map, place, request->blob, 0, request->pages, &request->how, &request->at);
}

/* As arena_attempt. */
static int map_in_arena(struct map *arena, const struct placement *place, void *context)
{
	return map_at(arena, context, place);
}

static int map_fixed(struct user_space *space, struct request *request, vaddr_t address, unsigned flags)
{
	const struct placement place = {.address = address, .flags = PLACE_FIXED | flags};

	if (!page_aligned(address))
		return -EINVAL;
	if (address < LAYOUT_GUARD_END)
		return -EPERM;
	if (!user_range(address, pages_to_bytes(request->pages)))
		return -ENOMEM;
	return map_at(space->root, request, &place);
}

static int map_in_low_memory(struct user_space *space, struct request *request)
{
	const struct placement place = {.low = LOWEST_WISH};

	return map_at(map_private_space(space->root), request, &place);
}

/* As map_fixed; where the program has no arena at the address it insists on, it gets one. */
static int map_exactly(struct user_space *space, struct request *request, vaddr_t address, unsigned flags)
{
	int error = map_fixed(space, request, address, flags);

	if (error != -ENOMEM || arenas_add_at(space, address, pages_to_bytes(request->pages)) != 0)
		return error;
	return map_fixed(space, request, address, flags);
}

static int map_anywhere(struct user_space *space, struct request *request, vaddr_t hint, uint64_t flags)
{
	hint = page_round_down(hint);
	if (hint >= LOWEST_WISH && map_fixed(space, request, hint, 0) == 0)
		return 0;
	if (flags & MAP_32BIT)
		return map_in_low_memory(space, request);
	return arenas_try(space, pages_to_bytes(request->pages), true, map_in_arena, request);
}

static bool is_open(struct task *task, int descriptor)
{
	struct file *file = descriptor_get(task, descriptor);

	if (file)
		file_unref(file);
	return file != NULL;
}

static int check_mmap(struct task *task, const struct trapframe *frame)
{
	uint64_t prot = frame->rdx, flags = frame->r10, type = flags & MAP_TYPE;

	if (!page_aligned(frame->r9))
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS) && !is_open(task, (int)frame->r8))
		return -EBADF;
	if (frame->rsi == 0 || (prot & ~(uint64_t)KNOWN_PROT) || (flags & MAP_HUGETLB))
		return -EINVAL;
	if (type != MAP_PRIVATE && type != MAP_SHARED &&
	    (type != MAP_SHARED_VALIDATE || (flags & MAP_ANONYMOUS)))
		return -EINVAL;
	if (whole_pages(frame->rsi) == 0 || whole_pages(frame->rsi) > BLOB_MAX_BYTES)
		return -ENOMEM;
	return flags & MAP_ANONYMOUS ? 0 : -ENODEV;
}

int64_t sys_mmap(struct task *task, struct trapframe *frame)
{
	uint64_t bytes = whole_pages(frame->rsi), flags = frame->r10;
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	struct request request = {
		.pages = bytes_to_pages(bytes),
		.how = {.prot = rights_of(frame->rdx),
			.inherit = shared ? INHERIT_SHARE : INHERIT_COPY,
			.name = shared ? "shared" : "anonymous"},
	};
	int error = check_mmap(task, frame);

	if (!error)
		error = blob_create(BLOB_MAX_BYTES, 0, &request.blob);
	if (error)
		return error;
	if (flags & MAP_FIXED_NOREPLACE)
		error = map_exactly(task->process->space, &request, frame->rdi, 0);
	else if (flags & MAP_FIXED)
		error = map_exactly(task->process->space, &request, frame->rdi, PLACE_REPLACE);
	else
		error = map_anywhere(task->process->space, &request, frame->rdi, flags);
	blob_unref(request.blob);
	if (error)
		return error;
	/* As Linux: that populating fails does not make the call fail. */
	if ((flags & (MAP_POPULATE | MAP_LOCKED)) && request.how.prot)
		(void)map_populate(task->process->space->root, request.at, bytes,
				   request.how.prot & (VM_READ | VM_WRITE));
	return (int64_t)request.at;
}

/* ---- munmap, mprotect --------------------------------------------------------------------------- */

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
	return map_unmap(task->process->space->root, start, bytes);
}

int64_t sys_mprotect(struct task *task, struct trapframe *frame)
{
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi), prot = frame->rdx;

	/* PROT_GROWSDOWN and PROT_GROWSUP are for mappings that grow, which there are none of. */
	if (!page_aligned(start))
		return -EINVAL;
	if (frame->rsi == 0)
		return 0;
	if (prot & ~(uint64_t)KNOWN_PROT)
		return -EINVAL;
	if (bytes == 0 || !user_range(start, bytes))
		return -ENOMEM;
	return map_protect(task->process->space->root, start, bytes, rights_of(prot));
}

/* ---- brk ------------------------------------------------------------------------------------------ */

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
	error = map_fixed(space, &request, start, 0);
	blob_unref(request.blob);
	return error;
}

/*
 * Grows the heap's window; where the program has cut it up itself, the new part becomes a mapping of
 * its own.
 */
static int heap_grow(struct user_space *space, vaddr_t from, vaddr_t to)
{
	const struct resize_request want = {.start = space->heap_start,
					    .old_bytes = from - space->heap_start,
					    .new_bytes = to - space->heap_start};
	vaddr_t at;

	if (want.old_bytes > 0 && map_resize(space->root, space->root, &want, &at) == 0)
		return 0;
	return heap_map(space, from, to);
}

/*
 * Like Linux's call, not the C library's function: returns where the heap ends now, whether that was
 * asked for or not.
 */
int64_t sys_brk(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	vaddr_t wish = frame->rdi;
	vaddr_t from = page_round_up(space->heap_end);
	vaddr_t to;
	int error = 0;

	if (wish < space->heap_start || wish > space->heap_start + HEAP_MAX_BYTES)
		return (int64_t)space->heap_end;
	to = page_round_up(wish);
	if (to > from)
		error = heap_grow(space, from, to);
	else if (to < from)
		error = map_unmap(space->root, to, from - to);
	if (!error)
		space->heap_end = wish;
	return (int64_t)space->heap_end;
}

/* ---- madvise -------------------------------------------------------------------------------------- */

enum advice {
	ADVICE_HINT,
	ADVICE_FORGET,
	ADVICE_READ,
	ADVICE_WRITE,
	ADVICE_CLUSTER,
	ADVICE_NORMAL,
	ADVICE_UNKNOWN
};

static enum advice classify_advice(uint64_t advice)
{
	switch ((int)advice) {
	case MADV_DONTNEED:
	case MADV_FREE: /* "may be forgotten from now on": it is, at once */
		return ADVICE_FORGET;
	case MADV_POPULATE_READ:
		return ADVICE_READ;
	case MADV_POPULATE_WRITE:
		return ADVICE_WRITE;
	case MADV_HUGEPAGE:
		return ADVICE_CLUSTER;
	case MADV_NOHUGEPAGE:
		return ADVICE_NORMAL;
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_DONTFORK: /* there is no fork yet */
	case MADV_DOFORK:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
		return ADVICE_HINT;
	default:
		return ADVICE_UNKNOWN;
	}
}

/* As Linux: private contents are forgotten, shared ones are others' as well and stay. */
static int forget_private(struct map *root, vaddr_t start, uint64_t bytes)
{
	vaddr_t end = start + bytes, next;
	int error = map_check(root, start, bytes);

	for (vaddr_t at = start; at < end && !error; at = next) {
		struct lookup found;

		error = map_lookup(root, at, &found);
		if (error)
			break;
		next = found.end < end ? found.end : end;
		if (found.how.inherit != INHERIT_SHARE)
			error = map_decommit(root, at, next - at);
		lookup_release(&found);
	}
	return error;
}

int64_t sys_madvise(struct task *task, struct trapframe *frame)
{
	struct map *root = task->process->space->root;
	vaddr_t start = frame->rdi;
	uint64_t bytes = whole_pages(frame->rsi);
	enum advice advice = classify_advice(frame->rdx);
	int error;

	if (advice == ADVICE_UNKNOWN || !page_aligned(start))
		return -EINVAL;
	if (frame->rsi == 0)
		return 0;
	if (bytes == 0 || start + bytes < start)
		return -EINVAL;
	if (!user_range(start, bytes))
		return -ENOMEM;
	switch (advice) {
	case ADVICE_FORGET:
		return forget_private(root, start, bytes);
	case ADVICE_READ:
	case ADVICE_WRITE:
		if (map_check(root, start, bytes) != 0)
			return -ENOMEM;
		error = map_populate(root, start, bytes, advice == ADVICE_READ ? VM_READ : VM_WRITE);
		return error == -EACCES ? -EINVAL : error; /* the manual page has it so */
	case ADVICE_CLUSTER:
		return map_advise(root, start, bytes, ADVISE_CLUSTER);
	case ADVICE_NORMAL:
		return map_advise(root, start, bytes, ADVISE_NORMAL);
	case ADVICE_HINT:
	case ADVICE_UNKNOWN:
		break;
	}
	return map_check(root, start, bytes);
}

/*
 * ---- mincore
 * --------------------------------------------------------------------------------------------
 */

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
