/*
 * System V shared memory: shmget, shmat, shmdt, shmctl (shmget(2) and its neighbours, ipc(2)).
 *
 * A segment is a blob, found by an identifier and perhaps by a key. Attaching maps it; the segment is the label of its
 * mappings, so that the number of attaches is that of the label's references, and the last mapping of a segment that was removed takes it
 * with it, however it went: by shmdt, munmap, exec or the end of the process.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/ipc.h>
#include <linux/shm.h>
#include <stdatomic.h>
#include <vm/slab.h>

#include "memory.h"
#include "sysv.h"

#define MAX_SEGMENTS 4096 /* SHMMNI, Linux's */
#define MAX_BYTES    (BLOB_MAX_BYTES / 2)
#define SHM_DEST     01000u /* in a mode that programs see (shmctl(2)) */
#define SHM_LOCKED   02000u

/* Locks: (m) the table's mutex; (a) atomic; (-) set when it is made. */
struct shm_segment {
	struct sysv_object object; /* (m) first */
	struct map_label label;    /* (-) one reference is the table's until it is removed */
	struct blob *blob;         /* (-) */
	uint64_t bytes;            /* (-) as asked for */
	int64_t attached;          /* (m) time since 1970, in seconds */
	_Atomic int64_t detached;  /* (a) the same, of the last mapping that went */
	int creator;               /* (-) pid */
	_Atomic int last;          /* (a) the pid of who attached or detached it last */
	bool removed;              /* (m) only its mappings are left */
};

struct sysv_table shm_table;
static struct slab_cache cache;
static uint64_t all_pages; /* of all segments; guarded by the table's lock */

static struct shm_segment *of_object(struct sysv_object *object)
{
	return (struct shm_segment *)object;
}

static struct shm_segment *of_label(const struct map_label *label)
{
	return (struct shm_segment *)((char *)label - offsetof(struct shm_segment, label));
}

/* ---- Segments --------------------------------------------------------------------------------------------- */

/* The segment was removed, and the last mapping is gone. */
static void destroy(struct map_label *label)
{
	struct shm_segment *segment = of_label(label);

	mutex_lock(&shm_table.lock);
	sysv_leave(&shm_table, &segment->object);
	all_pages -= bytes_to_pages(page_round_up(segment->bytes));
	mutex_unlock(&shm_table.lock);
	blob_unref(segment->blob);
	slab_free(&cache, segment);
}

/* By shmdt, munmap, exec, or the end of its process. Others who had looked at a process's memory, and are the last to have it, are no process. */
static void note_unmapped(struct map_label *label, bool written)
{
	struct shm_segment *segment = of_label(label);

	(void)written;
	segment->detached = sysv_now();
	if (thread_current()->fpu)
		segment->last = sysv_pid(task_current());
}

static size_t put_name(struct map_label *label, char *to, size_t bytes)
{
	const struct shm_segment *segment = of_label(label);

	return (size_t)env_format(to, bytes, "/SYSV%08x%s", (unsigned)segment->object.key,
				  segment->removed ? " (deleted)" : "");
}

static const struct map_label_ops segment_label = {
	.destroy = destroy, .name = put_name, .unmapped = note_unmapped};

void shm_init(void)
{
	sysv_init(&shm_table, "shared memory segments", MAX_SEGMENTS);
	slab_cache_init(&cache, "shm segment", sizeof(struct shm_segment));
}

/* How many mappings there are; the table is locked. */
static uint64_t attaches(const struct shm_segment *segment)
{
	return segment->label.refs - (segment->removed ? 0 : 1);
}

/* A segment by its identifier; the table is locked. NULL: there is none, or it is just going. */
static struct shm_segment *find_id(int id)
{
	struct shm_segment *segment = of_object(sysv_find(&shm_table, id));

	return segment && segment->label.refs > 0 ? segment : NULL;
}

/* One more reference to a segment that was found; the table is locked. False: its last one has gone meanwhile. */
static bool keep(struct shm_segment *segment)
{
	uint32_t refs = segment->label.refs;

	while (refs > 0)
		if (atomic_compare_exchange_weak(&segment->label.refs, &refs, refs + 1))
			return true;
	return false;
}

/* ---- shmget ----------------------------------------------------------------------------------------------- */

/* The table is locked. Its identifier, or -ENOSPC, -ENOMEM, -EINVAL. */
static int create(struct task *task, __kernel_key_t key, uint64_t bytes, unsigned mode)
{
	struct shm_segment *segment;
	int error;

	if (bytes == 0 || bytes > MAX_BYTES || bytes > sysv_limits.segment_bytes)
		return -EINVAL;
	if (all_pages + bytes_to_pages(page_round_up(bytes)) > sysv_limits.segments_pages)
		return -ENOSPC;
	segment = slab_alloc(&cache);
	if (!segment)
		return -ENOMEM;
	*segment = (struct shm_segment){
		.label = {.refs = 1, .ops = &segment_label},
		.bytes = bytes,
		.creator = sysv_pid(task),
	};
	error = blob_create(page_round_up(bytes), 0, &segment->blob);
	if (error) {
		slab_free(&cache, segment);
		return error;
	}
	error = commit_shared(segment->blob, bytes_to_pages(page_round_up(bytes)));
	if (!error)
		error = sysv_enter(&shm_table, &segment->object, task, key, mode);
	if (error) {
		blob_unref(segment->blob);
		slab_free(&cache, segment);
		return error;
	}
	segment->label.inode = (uint64_t)segment->object.id;
	all_pages += bytes_to_pages(page_round_up(bytes));
	return segment->object.id;
}

int64_t sys_shmget(struct task *task, struct trapframe *frame)
{
	__kernel_key_t key = (__kernel_key_t)frame->rdi;
	uint64_t bytes = frame->rsi;
	unsigned flags = (unsigned)frame->rdx;
	struct sysv_object *found;
	int result;

	if (flags & SHM_HUGETLB)
		return task_capable(task, CAP_IPC_LOCK) ? -ENOMEM : -EPERM; /* no huge pages are free */
	mutex_lock(&shm_table.lock);
	result = sysv_get(&shm_table, key, flags, &found);
	if (!result && !found)
		result = create(task, key, bytes, flags);
	else if (!result && bytes > of_object(found)->bytes)
		result = -EINVAL;
	else if (!result)
		result = sysv_permitted(task, found, flags) ? found->id : -EACCES;
	mutex_unlock(&shm_table.lock);
	return result;
}

/* ---- shmat, shmdt -------------------------------------------------------------------------------------------- */

/* Maps the segment, as shmat(2) says. */
static int64_t attach(struct task *task, struct shm_segment *segment, vaddr_t address, unsigned flags)
{
	struct user_space *space = task->process->space;
	vm_prot_t rights = VM_READ;
	struct request request = {
		.blob = segment->blob,
		.pages = bytes_to_pages(blob_size(segment->blob)),
	};
	int error;

	rights |= flags & SHM_RDONLY ? 0 : VM_WRITE;
	rights |= flags & SHM_EXEC ? VM_EXEC : 0;
	request.how = (struct mapping){
		.prot = rights,
		.max_prot = flags & SHM_RDONLY ? VM_READ | VM_EXEC : VM_ALL,
		.inherit = INHERIT_SHARE,
		.name = "shm",
		.label = &segment->label,
	};
	mutex_lock(&space->lock);
	error = check_space(task->process, request.pages, 0);
	if (!error && address)
		error = map_exactly(space, &request, address, flags & SHM_REMAP ? PLACE_REPLACE : 0);
	else if (!error)
		error = map_in_arenas(space, &request);
	if (!error && space->lock_future)
		map_wire(space->root, request.at, pages_to_bytes(request.pages));
	mutex_unlock(&space->lock);
	if (error)
		return error == -EEXIST || error == -EPERM ? -EINVAL : error;
	return (int64_t)request.at;
}

int64_t sys_shmat(struct task *task, struct trapframe *frame)
{
	vaddr_t address = frame->rsi;
	unsigned flags = (unsigned)frame->rdx;
	unsigned want = flags & SHM_RDONLY ? SYSV_MAY_READ : SYSV_MAY_READ | SYSV_MAY_WRITE;
	struct shm_segment *segment;
	int64_t result = 0;

	if (flags & SHM_RND)
		address = page_round_down(address);
	if ((address & PAGE_MASK) || (!address && (flags & SHM_REMAP)))
		return -EINVAL;
	mutex_lock(&shm_table.lock);
	segment = find_id((int)frame->rdi);
	if (!segment)
		result = -EINVAL;
	else if (!sysv_permitted(task, &segment->object, want))
		result = -EACCES;
	else if (!keep(segment))
		result = -EINVAL;
	mutex_unlock(&shm_table.lock);
	if (result)
		return result;
	result = attach(task, segment, address, flags);
	if (result > 0) {
		mutex_lock(&shm_table.lock);
		segment->attached = sysv_now();
		segment->last = sysv_pid(task);
		mutex_unlock(&shm_table.lock);
	}
	map_label_unref(&segment->label);
	return result;
}

/* What shmdt looks for: pieces of the segment where one attach put them. */
struct detaching {
	vaddr_t start;
	struct shm_segment *segment; /* of the first piece, with a reference */
};

static int detach_piece(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
			void *context)
{
	const struct detaching *detaching = context;

	if (found->how.label != &detaching->segment->label ||
	    pages_to_bytes(found->origin) + (start - found->start) != start - detaching->start)
		return 0;
	return map_unmap(space->root, start, bytes);
}

/* The segment that is attached at `start`: its first page is there. A reference; NULL: there is none. */
static struct shm_segment *attached_at(struct user_space *space, vaddr_t start)
{
	struct shm_segment *segment = NULL;
	struct lookup found;

	if (map_lookup(space->root, start, &found) != 0)
		return NULL;
	if (found.how.label && found.how.label->ops == &segment_label && found.offset == 0) {
		segment = of_label(found.how.label);
		map_label_ref(&segment->label);
	}
	lookup_release(&found);
	return segment;
}

int64_t sys_shmdt(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	struct detaching detaching = {.start = frame->rdi};

	if (!page_aligned(frame->rdi) || !user_range(frame->rdi, 1))
		return -EINVAL;
	mutex_lock(&space->lock);
	detaching.segment = attached_at(space, frame->rdi);
	if (detaching.segment)
		range_visit(space, frame->rdi, frame->rdi + blob_size(detaching.segment->blob), detach_piece,
			    &detaching);
	mutex_unlock(&space->lock);
	if (!detaching.segment)
		return -EINVAL;
	map_label_unref(&detaching.segment->label);
	return 0;
}

/* ---- shmctl ---------------------------------------------------------------------------------------------------- */

static void describe(const struct shm_segment *segment, struct shmid64_ds *out)
{
	*out = (struct shmid64_ds){
		.shm_perm = sysv_describe(&segment->object),
		.shm_segsz = segment->bytes,
		.shm_atime = segment->attached,
		.shm_dtime = segment->detached,
		.shm_ctime = segment->object.changed,
		.shm_cpid = segment->creator,
		.shm_lpid = segment->last,
		.shm_nattch = attaches(segment),
	};
}

/* The table is locked. Its key goes now; the segment, and its identifier, with the last mapping. */
static void remove_segment(struct shm_segment *segment)
{
	segment->removed = true;
	segment->object.mode |= SHM_DEST;
	sysv_forget_key(&shm_table, &segment->object);
}

static int64_t give_limits(vaddr_t to)
{
	const struct shminfo64 limits = {
		.shmmax = sysv_limits.segment_bytes,
		.shmmin = 1,
		.shmmni = (unsigned long)shm_table.limit,
		.shmseg = (unsigned long)shm_table.limit,
		.shmall = sysv_limits.segments_pages,
	};
	int highest;

	mutex_lock(&shm_table.lock);
	highest = sysv_highest(&shm_table);
	mutex_unlock(&shm_table.lock);
	return copy_to_user(to, &limits, sizeof(limits)) ? -EFAULT : highest;
}

static uint64_t resident(const struct shm_segment *segment)
{
	return blob_resident(segment->blob, 0, bytes_to_pages(blob_size(segment->blob)));
}

static int64_t give_figures(vaddr_t to)
{
	struct shm_info figures = {0};
	struct sysv_object *object;
	int highest, place = 0;

	mutex_lock(&shm_table.lock);
	highest = sysv_highest(&shm_table);
	figures.used_ids = (int)shm_table.count;
	figures.shm_tot = all_pages;
	while ((object = sysv_from(&shm_table, place)) != NULL) {
		figures.shm_rss += resident(of_object(object));
		place = object->id % SYSV_PLACES + 1;
	}
	mutex_unlock(&shm_table.lock);
	return copy_to_user(to, &figures, sizeof(figures)) ? -EFAULT : highest;
}

static int64_t give_status(struct task *task, int id, int command, vaddr_t to)
{
	struct shmid64_ds status;
	struct shm_segment *segment;
	int64_t result;

	mutex_lock(&shm_table.lock);
	if (command == IPC_STAT)
		segment = find_id(id);
	else
		segment = of_object(sysv_at(&shm_table, id));
	if (!segment || segment->label.refs == 0)
		result = -EINVAL;
	else if (command != SHM_STAT_ANY && !sysv_permitted(task, &segment->object, SYSV_MAY_READ))
		result = -EACCES;
	else {
		describe(segment, &status);
		result = command == IPC_STAT ? 0 : segment->object.id;
	}
	mutex_unlock(&shm_table.lock);
	if (result < 0)
		return result;
	return copy_to_user(to, &status, sizeof(status)) ? -EFAULT : result;
}

/* IPC_SET, IPC_RMID, SHM_LOCK, SHM_UNLOCK: the owner's. The table is locked. -EINVAL; 1: the table's reference is to be dropped. */
static int change(struct shm_segment *segment, int command, const struct shmid64_ds *wanted)
{
	switch (command) {
	case IPC_SET:
		return sysv_set(&segment->object, &wanted->shm_perm);
	case IPC_RMID:
		if (segment->removed)
			return 0;
		remove_segment(segment);
		return 1;
	case SHM_LOCK: /* nothing takes its pages away yet but what the mapping asks for */
		segment->object.mode |= SHM_LOCKED;
		return 0;
	default:
		segment->object.mode &= ~(unsigned)SHM_LOCKED;
		return 0;
	}
}

static int64_t owner_call(struct task *task, int id, int command, vaddr_t from)
{
	struct shmid64_ds wanted;
	struct shm_segment *segment;
	int64_t result;

	if (command == IPC_SET && copy_from_user(&wanted, from, sizeof(wanted)) != 0)
		return -EFAULT;
	mutex_lock(&shm_table.lock);
	segment = find_id(id);
	if (!segment)
		result = -EINVAL;
	else if (!sysv_is_owner(task, &segment->object))
		result = -EPERM;
	else
		result = change(segment, command, &wanted);
	mutex_unlock(&shm_table.lock);
	if (result <= 0)
		return result;
	map_label_unref(&segment->label);
	return 0;
}

void shm_end(void)
{
	struct sysv_object *object;

	while ((object = sysv_from(&shm_table, 0)) != NULL)
		map_label_unref(&of_object(object)->label);
}

int64_t sys_shmctl(struct task *task, struct trapframe *frame)
{
	int id = (int)frame->rdi, command = (int)frame->rsi;

	if (id < 0 || command < 0)
		return -EINVAL;
	switch (command & ~IPC_64) {
	case IPC_INFO:
		return give_limits(frame->rdx);
	case SHM_INFO:
		return give_figures(frame->rdx);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return give_status(task, id, command & ~IPC_64, frame->rdx);
	case IPC_SET:
	case IPC_RMID:
	case SHM_LOCK:
	case SHM_UNLOCK:
		return owner_call(task, id, command & ~IPC_64, frame->rdx);
	default:
		return -EINVAL;
	}
}

/* ---- /proc/sysvipc/shm ---------------------------------------------------------------------------------------- */

bool shm_next(int *place, int *id, struct sysv_segment *out)
{
	struct sysv_object *object;

	mutex_lock(&shm_table.lock);
	object = sysv_from(&shm_table, *place);
	if (object) {
		describe(of_object(object), &out->status);
		out->resident_bytes = pages_to_bytes(resident(of_object(object)));
		*id = object->id;
		*place = object->id % SYSV_PLACES + 1;
	}
	mutex_unlock(&shm_table.lock);
	return object != NULL;
}
