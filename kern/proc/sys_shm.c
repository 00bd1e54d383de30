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

#define MAX_SEGMENTS 4096 /* SHMMNI, Linux's */
#define MAX_BYTES    (BLOB_MAX_BYTES / 2)
#define ID_SEQUENCE \
	MAX_SEGMENTS /* an identifier is a place in the table + a multiple of this: old ones are not valid again soon */
#define SHM_DEST   01000u /* in a mode that programs see (shmctl(2)) */
#define SHM_LOCKED 02000u
#define MODE_BITS  0777u
#define MAY_READ   0444u
#define MAY_WRITE  0222u
#define NS_PER_S   1000000000l

/* Locks: (m) the table's mutex; (-) set when it is made. */
struct shm_segment {
	struct map_label label;              /* (-) first; one reference is the table's until it is removed */
	struct blob *blob;                   /* (-) */
	uint64_t bytes;                      /* (-) as asked for */
	int id;                              /* (-) */
	__kernel_key_t key;                  /* (m) */
	unsigned mode;                       /* (m) permissions, SHM_DEST, SHM_LOCKED */
	uint32_t uid, gid;                   /* (m) the owner */
	uint32_t cuid, cgid;                 /* (-) the creator */
	int64_t attached, detached, changed; /* (m) times since 1970, in seconds */
	int creator, last;                   /* (m) pids */
	bool removed;                        /* (m) only its mappings are left */
};

/* Locks: (m) its own mutex; (-) set by shm_init. */
static struct {
	struct mutex lock;
	struct slab_cache cache;                  /* (-) */
	struct shm_segment *places[MAX_SEGMENTS]; /* (m) */
	unsigned sequences[MAX_SEGMENTS];         /* (m) how often each was used */
	unsigned count;                           /* (m) segments */
	uint64_t pages;                           /* (m) of them all */
} table;

static int64_t seconds_now(void)
{
	return ((int64_t)time_nanoseconds() + time_realtime_offset()) / NS_PER_S;
}

/* ---- Segments --------------------------------------------------------------------------------------------- */

/* The segment was removed, and the last mapping is gone. */
static void destroy(struct map_label *label)
{
	struct shm_segment *segment = (struct shm_segment *)label;

	mutex_lock(&table.lock);
	table.places[segment->id % ID_SEQUENCE] = NULL;
	table.count--;
	table.pages -= bytes_to_pages(segment->bytes);
	mutex_unlock(&table.lock);
	blob_unref(segment->blob);
	slab_free(&table.cache, segment);
}

static size_t put_name(struct map_label *label, char *to, size_t bytes)
{
	const struct shm_segment *segment = (const struct shm_segment *)label;

	return (size_t)env_format(to, bytes, "/SYSV%08x%s", (unsigned)segment->key,
				  segment->removed ? " (deleted)" : "");
}

static const struct map_label_ops segment_label = {.destroy = destroy, .name = put_name};

void shm_init(void)
{
	mutex_init(&table.lock, RANK_INODE, "shared memory segments");
	slab_cache_init(&table.cache, "shm segment", sizeof(struct shm_segment));
}

/* How many mappings there are; the table is locked. */
static uint64_t attaches(const struct shm_segment *segment)
{
	return segment->label.refs - (segment->removed ? 0 : 1);
}

/* A segment by its identifier; the table is locked. NULL: there is none, or it is just going. */
static struct shm_segment *find_id(int id)
{
	struct shm_segment *segment = id < 0 ? NULL : table.places[id % ID_SEQUENCE];

	return segment && segment->id == id && segment->label.refs > 0 ? segment : NULL;
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

static struct shm_segment *find_key(__kernel_key_t key)
{
	for (unsigned i = 0; i < MAX_SEGMENTS; i++)
		if (table.places[i] && table.places[i]->key == key)
			return table.places[i];
	return NULL;
}

/* `want`: MAY_READ, MAY_WRITE, as bits of all three classes. */
static bool permitted(struct task *task, const struct shm_segment *segment, unsigned want)
{
	const struct credentials *ids = &task->process->credentials;
	unsigned have = segment->mode;

	if (ids->user.effective == segment->uid || ids->user.effective == segment->cuid)
		have >>= 6;
	else if (credentials_in_group(ids, segment->gid) || credentials_in_group(ids, segment->cgid))
		have >>= 3;
	return (want & ~have & 07) == 0 || task_capable(task, CAP_IPC_OWNER);
}

static bool is_owner(struct task *task, const struct shm_segment *segment)
{
	const struct credentials *ids = &task->process->credentials;

	return ids->user.effective == segment->uid || ids->user.effective == segment->cuid ||
	       task_capable(task, CAP_IPC_OWNER);
}

/* ---- shmget ----------------------------------------------------------------------------------------------- */

/* The table is locked. Its identifier, or -ENOSPC, -ENOMEM, -EINVAL. */
static int create(struct task *task, __kernel_key_t key, uint64_t bytes, unsigned mode)
{
	const struct credentials *ids = &task->process->credentials;
	struct shm_segment *segment;
	unsigned place = 0;
	int error;

	if (bytes == 0 || bytes > MAX_BYTES)
		return -EINVAL;
	while (place < MAX_SEGMENTS && table.places[place])
		place++;
	if (place == MAX_SEGMENTS)
		return -ENOSPC;
	segment = slab_alloc(&table.cache);
	if (!segment)
		return -ENOMEM;
	*segment = (struct shm_segment){
		.label = {.refs = 1, .ops = &segment_label},
		.bytes = bytes,
		.id = (int)(place + table.sequences[place] % (INT32_MAX / ID_SEQUENCE) * ID_SEQUENCE),
		.key = key,
		.mode = mode & MODE_BITS,
		.uid = ids->user.effective,
		.gid = ids->group.effective,
		.cuid = ids->user.effective,
		.cgid = ids->group.effective,
		.changed = seconds_now(),
		.creator = task->process->pid,
	};
	segment->label.inode = (uint64_t)segment->id;
	error = blob_create(page_round_up(bytes), 0, &segment->blob);
	if (error) {
		slab_free(&table.cache, segment);
		return error;
	}
	table.places[place] = segment;
	table.sequences[place]++;
	table.count++;
	table.pages += bytes_to_pages(bytes);
	return segment->id;
}

int64_t sys_shmget(struct task *task, struct trapframe *frame)
{
	__kernel_key_t key = (__kernel_key_t)frame->rdi;
	uint64_t bytes = frame->rsi;
	unsigned flags = (unsigned)frame->rdx;
	struct shm_segment *segment = NULL;
	int result;

	if (flags & SHM_HUGETLB)
		return -ENOMEM; /* no huge pages are free */
	mutex_lock(&table.lock);
	if (key != IPC_PRIVATE)
		segment = find_key(key);
	if (!segment)
		result =
			key == IPC_PRIVATE || (flags & IPC_CREAT) ? create(task, key, bytes, flags) : -ENOENT;
	else if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		result = -EEXIST;
	else if (!permitted(task, segment, (flags | flags >> 3 | flags >> 6) & 07))
		result = -EACCES;
	else
		result = bytes > segment->bytes ? -EINVAL : segment->id;
	mutex_unlock(&table.lock);
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
	unsigned want = flags & SHM_RDONLY ? MAY_READ : MAY_READ | MAY_WRITE;
	struct shm_segment *segment;
	int64_t result = 0;

	if (flags & SHM_RND)
		address = page_round_down(address);
	if ((address & PAGE_MASK) || (!address && (flags & SHM_REMAP)))
		return -EINVAL;
	mutex_lock(&table.lock);
	segment = find_id((int)frame->rdi);
	if (!segment)
		result = -EINVAL;
	else if (!permitted(task, segment, want))
		result = -EACCES;
	else if (!keep(segment))
		result = -EINVAL;
	mutex_unlock(&table.lock);
	if (result)
		return result;
	result = attach(task, segment, address, flags);
	if (result > 0) {
		mutex_lock(&table.lock);
		segment->attached = seconds_now();
		segment->last = task->process->pid;
		mutex_unlock(&table.lock);
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
		segment = (struct shm_segment *)found.how.label;
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
	mutex_lock(&table.lock);
	detaching.segment->detached = seconds_now();
	detaching.segment->last = task->process->pid;
	mutex_unlock(&table.lock);
	map_label_unref(&detaching.segment->label);
	return 0;
}

/* ---- shmctl ---------------------------------------------------------------------------------------------------- */

static void describe(const struct shm_segment *segment, struct shmid64_ds *out)
{
	*out = (struct shmid64_ds){
		.shm_perm = {.key = segment->key,
			     .uid = segment->uid,
			     .gid = segment->gid,
			     .cuid = segment->cuid,
			     .cgid = segment->cgid,
			     .mode = segment->mode,
			     .seq = (unsigned short)(segment->id / ID_SEQUENCE)},
		.shm_segsz = segment->bytes,
		.shm_atime = segment->attached,
		.shm_dtime = segment->detached,
		.shm_ctime = segment->changed,
		.shm_cpid = segment->creator,
		.shm_lpid = segment->last,
		.shm_nattch = attaches(segment),
	};
}

/* The table is locked. Its key goes now; the segment, and its identifier, with the last mapping. */
static void remove_segment(struct shm_segment *segment)
{
	segment->removed = true;
	segment->mode |= SHM_DEST;
	segment->key = IPC_PRIVATE;
}

/* The highest place in use, which IPC_INFO and SHM_INFO return. */
static int highest_place(void)
{
	int highest = 0;

	for (int i = 0; i < MAX_SEGMENTS; i++)
		if (table.places[i])
			highest = i;
	return highest;
}

static int64_t give_limits(vaddr_t to)
{
	const struct shminfo64 limits = {
		.shmmax = MAX_BYTES,
		.shmmin = 1,
		.shmmni = MAX_SEGMENTS,
		.shmseg = MAX_SEGMENTS,
		.shmall = bytes_to_pages(MAX_BYTES),
	};
	int highest;

	mutex_lock(&table.lock);
	highest = highest_place();
	mutex_unlock(&table.lock);
	return copy_to_user(to, &limits, sizeof(limits)) ? -EFAULT : highest;
}

static int64_t give_figures(vaddr_t to)
{
	struct shm_info figures = {0};
	int highest;

	mutex_lock(&table.lock);
	highest = highest_place();
	figures.used_ids = (int)table.count;
	figures.shm_tot = table.pages;
	for (int i = 0; i <= highest; i++)
		if (table.places[i])
			figures.shm_rss += blob_resident(table.places[i]->blob, 0,
							 bytes_to_pages(blob_size(table.places[i]->blob)));
	mutex_unlock(&table.lock);
	return copy_to_user(to, &figures, sizeof(figures)) ? -EFAULT : highest;
}

static int64_t give_status(struct task *task, int id, int command, vaddr_t to)
{
	struct shmid64_ds status;
	struct shm_segment *segment;
	int64_t result;

	mutex_lock(&table.lock);
	if (command == IPC_STAT)
		segment = find_id(id);
	else
		segment = id >= 0 && id < MAX_SEGMENTS ? table.places[id] : NULL;
	if (!segment || segment->label.refs == 0)
		result = -EINVAL;
	else if (command != SHM_STAT_ANY && !permitted(task, segment, MAY_READ))
		result = -EACCES;
	else {
		describe(segment, &status);
		result = command == IPC_STAT ? 0 : segment->id;
	}
	mutex_unlock(&table.lock);
	if (result < 0)
		return result;
	return copy_to_user(to, &status, sizeof(status)) ? -EFAULT : result;
}

/* IPC_SET, IPC_RMID, SHM_LOCK, SHM_UNLOCK: the owner's. The table is locked; true: the table's reference is to be dropped. */
static bool change(struct shm_segment *segment, int command, const struct shmid64_ds *wanted)
{
	switch (command) {
	case IPC_SET:
		segment->uid = wanted->shm_perm.uid;
		segment->gid = wanted->shm_perm.gid;
		segment->mode = (segment->mode & ~MODE_BITS) | (wanted->shm_perm.mode & MODE_BITS);
		segment->changed = seconds_now();
		return false;
	case IPC_RMID:
		if (segment->removed)
			return false;
		remove_segment(segment);
		return true;
	case SHM_LOCK: /* nothing takes its pages away yet but what the mapping asks for */
		segment->mode |= SHM_LOCKED;
		return false;
	default:
		segment->mode &= ~(unsigned)SHM_LOCKED;
		return false;
	}
}

static int64_t owner_call(struct task *task, int id, int command, vaddr_t from)
{
	struct shmid64_ds wanted;
	struct shm_segment *segment;
	bool dropped = false;
	int64_t result = 0;

	if (command == IPC_SET && copy_from_user(&wanted, from, sizeof(wanted)) != 0)
		return -EFAULT;
	mutex_lock(&table.lock);
	segment = find_id(id);
	if (!segment)
		result = -EINVAL;
	else if (!is_owner(task, segment))
		result = -EPERM;
	else
		dropped = change(segment, command, &wanted);
	mutex_unlock(&table.lock);
	if (dropped)
		map_label_unref(&segment->label);
	return result;
}

void shm_end(void)
{
	for (unsigned i = 0; i < MAX_SEGMENTS; i++)
		if (table.places[i])
			map_label_unref(&table.places[i]->label);
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
