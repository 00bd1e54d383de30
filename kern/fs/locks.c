/*
 * Locks that programs put on files: fcntl's of processes and of open files, and flock's (fcntl(2), flock(2)).
 *
 * A lock has an owner: for a process's its descriptor table, for the others the open file. Locks of one owner never overlap: a new one cuts or
 * swallows those it meets. One mutex for all files guards them, so that a circle of processes that wait for each other can be seen.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "fs_internal.h"

#define RANGE_END INT64_MAX /* the last byte that can be locked */

enum lock_kind_of_file { LOCK_RANGE, LOCK_WHOLE }; /* fcntl's, flock's: they do not meet */

/* Locks: (l) locks_mutex. */
struct file_lock {
	TAILQ_ENTRY(file_lock) link; /* (l) */
	enum lock_kind_of_file kind; /* (l) */
	bool exclusive;              /* (l) */
	int64_t start, end;          /* (l) both included */
	const void *owner;           /* (l) */
	int pid;                     /* (l) for F_GETLK; -1: an open file's */
};

/* Of an inode. Locks: (l) locks_mutex. */
struct lock_list {
	TAILQ_HEAD(, file_lock) held; /* (l) */
	struct wait_queue freed;      /* (l) its own lock; woken when a lock goes */
};

/* Somebody who waits. Locks: (l) locks_mutex. */
struct lock_wait {
	TAILQ_ENTRY(lock_wait) link;    /* (l) */
	const struct file_lock *wanted; /* (l) */
	struct lock_list *list;         /* (l) */
	bool reached;                   /* (l) in the search for a circle that is under way */
	SLIST_ENTRY(lock_wait) next;    /* (l) the same: it is to be looked at */
};

SLIST_HEAD(wait_stack, lock_wait);

static struct mutex locks_mutex;
static TAILQ_HEAD(, lock_wait) waits = TAILQ_HEAD_INITIALIZER(waits); /* locks_mutex */
static struct slab_cache lock_cache, list_cache;

void file_locks_init(void)
{
	mutex_init(&locks_mutex, RANK_INODE, "file locks");
	slab_cache_init(&lock_cache, "file lock", sizeof(struct file_lock));
	slab_cache_init(&list_cache, "file locks", sizeof(struct lock_list));
}

/* ---- Lists -------------------------------------------------------------------------------------------- */

/* The inode's list, made if it has none. NULL: no memory. */
static struct lock_list *list_of(struct inode *inode)
{
	struct lock_list *list = inode->locks;

	if (list)
		return list;
	list = slab_alloc(&list_cache);
	if (!list)
		return NULL;
	TAILQ_INIT(&list->held);
	wait_queue_init(&list->freed);
	mutex_lock(&locks_mutex);
	if (inode->locks)
		slab_free(&list_cache, list);
	else
		inode->locks = list;
	mutex_unlock(&locks_mutex);
	return inode->locks;
}

void file_locks_destroy(struct inode *inode)
{
	if (!inode->locks)
		return;
	ASSERT(TAILQ_EMPTY(&inode->locks->held));
	slab_free(&list_cache, inode->locks);
}

static bool overlap(const struct file_lock *one, const struct file_lock *other)
{
	return one->kind == other->kind && one->start <= other->end && other->start <= one->end;
}

static bool in_the_way(const struct file_lock *held, const struct file_lock *wanted)
{
	return held->owner != wanted->owner && overlap(held, wanted) &&
	       (held->exclusive || wanted->exclusive);
}

/* The lock that is in the way of `wanted`, of several the one that begins first; NULL: none. */
static struct file_lock *find_conflict(struct lock_list *list, const struct file_lock *wanted)
{
	struct file_lock *held, *first = NULL;

	TAILQ_FOREACH(held, &list->held, link)
	{
		if (in_the_way(held, wanted) && (!first || held->start < first->start))
			first = held;
	}
	return first;
}

/* ---- Changing an owner's locks ---------------------------------------------------------------------------- */

/* Takes the bytes of `range` away from what its owner has. `spare` is used where one lock becomes two. True: it was. */
static bool cut(struct lock_list *list, const struct file_lock *range, struct file_lock *spare)
{
	struct file_lock *held, *next;

	TAILQ_FOREACH_SAFE(held, &list->held, link, next)
	{
		if (held->owner != range->owner || !overlap(held, range))
			continue;
		if (held->start < range->start && held->end > range->end) {
			*spare = *held;
			spare->start = range->end + 1;
			held->end = range->start - 1;
			TAILQ_INSERT_AFTER(&list->held, held, spare, link);
			return true;
		}
		if (held->start < range->start) {
			held->end = range->start - 1;
		} else if (held->end > range->end) {
			held->start = range->end + 1;
		} else {
			TAILQ_REMOVE(&list->held, held, link);
			slab_free(&lock_cache, held);
		}
	}
	return false;
}

/* Neighbours of one owner and kind become one lock. */
static void join(struct lock_list *list, struct file_lock *lock)
{
	struct file_lock *held, *next;

	TAILQ_FOREACH_SAFE(held, &list->held, link, next)
	{
		bool touch = held->end == lock->start - 1 || lock->end == held->start - 1;

		if (held == lock || !touch || held->owner != lock->owner || held->kind != lock->kind ||
		    held->exclusive != lock->exclusive)
			continue;
		lock->start = held->start < lock->start ? held->start : lock->start;
		lock->end = held->end > lock->end ? held->end : lock->end;
		TAILQ_REMOVE(&list->held, held, link);
		slab_free(&lock_cache, held);
	}
}

/* ---- Waiting ------------------------------------------------------------------------------------------------- */

/* What an owner waits for is to be looked at, too. */
static void reach_waits_of(const void *owner, struct wait_stack *stack)
{
	struct lock_wait *wait;

	TAILQ_FOREACH(wait, &waits, link)
	{
		if (wait->wanted->owner == owner && !wait->reached) {
			wait->reached = true;
			SLIST_INSERT_HEAD(stack, wait, next);
		}
	}
}

/* Is a lock of `owner` in the way of `wanted`? The waits of the others whose locks are go onto the stack. */
static bool meets_owner(struct lock_list *list, const struct file_lock *wanted, const void *owner,
			struct wait_stack *stack)
{
	struct file_lock *held;

	TAILQ_FOREACH(held, &list->held, link)
	{
		if (!in_the_way(held, wanted))
			continue;
		if (held->owner == owner)
			return true;
		reach_waits_of(held->owner, stack);
	}
	return false;
}

/* Would the owner of `wanted` wait for itself? All are looked at whose locks are in the way, theirs, and so on. */
static bool would_deadlock(struct lock_list *list, const struct file_lock *wanted)
{
	struct wait_stack stack = SLIST_HEAD_INITIALIZER(stack);
	struct lock_wait *wait;

	TAILQ_FOREACH(wait, &waits, link)
	{
		wait->reached = false;
	}
	if (meets_owner(list, wanted, wanted->owner, &stack))
		return true;
	while ((wait = SLIST_FIRST(&stack)) != NULL) {
		SLIST_REMOVE_HEAD(&stack, next);
		if (meets_owner(wait->list, wait->wanted, wanted->owner, &stack))
			return true;
	}
	return false;
}

/* Until nothing is in the way. The mutex is held, and let go meanwhile. -EDEADLK, -ERESTARTSYS. */
static int wait_for_lock(struct lock_list *list, const struct file_lock *wanted)
{
	struct lock_wait wait = {.wanted = wanted, .list = list};
	int error;

	if (wanted->kind == LOCK_RANGE && wanted->pid >= 0 && would_deadlock(list, wanted))
		return -EDEADLK;
	TAILQ_INSERT_TAIL(&waits, &wait, link);
	error = WAIT_EVENT_MUTEX(&list->freed, &locks_mutex, !find_conflict(list, wanted),
				 SLEEP_INTERRUPTIBLE, TIME_NEVER);
	TAILQ_REMOVE(&waits, &wait, link);
	return error ? -ERESTARTSYS : 0;
}

/* Sets the lock. Takes over `made` and `spare`, or what it does not use of them is freed by the caller: they become NULL. */
static int set_lock(struct lock_list *list, const struct file_lock *wanted, bool waits,
		    struct file_lock **made, struct file_lock **spare)
{
	int error;

	if (find_conflict(list, wanted)) {
		error = waits ? wait_for_lock(list, wanted) : -EAGAIN;
		if (error)
			return error;
	}
	if (cut(list, wanted, *spare))
		*spare = NULL;
	**made = *wanted;
	TAILQ_INSERT_TAIL(&list->held, *made, link);
	join(list, *made);
	*made = NULL;
	return 0;
}

/* Sets or, with `unlock`, takes a lock away. -EAGAIN, -EDEADLK, -ENOLCK, -ERESTARTSYS. */
static int change(struct inode *inode, const struct file_lock *wanted, bool unlock, bool waits)
{
	struct lock_list *list = list_of(inode);
	struct file_lock *made = slab_alloc(&lock_cache), *spare = slab_alloc(&lock_cache);
	int error = 0;

	if (!list || !made || !spare) {
		error = -ENOLCK;
	} else {
		mutex_lock(&locks_mutex);
		if (!unlock)
			error = set_lock(list, wanted, waits, &made, &spare);
		else if (cut(list, wanted, spare))
			spare = NULL;
		mutex_unlock(&locks_mutex);
		/* A lock that became shared lets others in as well. */
		wait_wake_all(&list->freed);
	}
	if (made)
		slab_free(&lock_cache, made);
	if (spare)
		slab_free(&lock_cache, spare);
	return error;
}

/* ---- What owners lose ----------------------------------------------------------------------------------------- */

/* All locks of an owner on a file go. */
static void drop_all(struct inode *inode, const void *owner)
{
	struct lock_list *list = inode->locks;
	struct file_lock *held, *next;

	if (!list)
		return;
	mutex_lock(&locks_mutex);
	TAILQ_FOREACH_SAFE(held, &list->held, link, next)
	{
		if (held->owner != owner)
			continue;
		TAILQ_REMOVE(&list->held, held, link);
		slab_free(&lock_cache, held);
	}
	mutex_unlock(&locks_mutex);
	wait_wake_all(&list->freed);
}

void file_locks_release(struct file *file)
{
	drop_all(file->inode, file);
}

void file_locks_release_table(struct file *file, const struct file_table *table)
{
	drop_all(file->inode, table);
}

/* ---- fcntl -------------------------------------------------------------------------------------------------------- */

/* The bytes that a program means. -EINVAL, -EOVERFLOW. */
static int range_of(struct file *file, const struct flock *said, struct file_lock *out)
{
	int64_t from = 0, start, end;

	switch (said->l_whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		from = (int64_t)file->position;
		break;
	case SEEK_END:
		from = (int64_t)file->inode->bytes;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(from, said->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	end = RANGE_END;
	if (said->l_len > 0) {
		if (__builtin_add_overflow(start, said->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (said->l_len < 0) {
		end = start - 1;
		start += said->l_len;
	}
	if (start < 0)
		return -EINVAL;
	out->start = start;
	out->end = end;
	return 0;
}

static bool is_of_file(int command)
{
	return command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
}

/* What the program asks for. */
static int wanted_of(struct file *file, struct task *task, int command, const struct flock *said,
		     struct file_lock *out)
{
	if (is_of_file(command) && said->l_pid != 0)
		return -EINVAL;
	if (said->l_type != F_RDLCK && said->l_type != F_WRLCK && said->l_type != F_UNLCK)
		return -EINVAL;
	*out = (struct file_lock){.kind = LOCK_RANGE,
				  .exclusive = said->l_type == F_WRLCK,
				  .owner = is_of_file(command) ? (const void *)file : task->files,
				  .pid = is_of_file(command) ? -1 : task->process->pid};
	return range_of(file, said, out);
}

static int64_t get_lock(struct file *file, struct task *task, int command, vaddr_t argument,
			struct flock *said)
{
	struct file_lock wanted, *conflict = NULL;
	int error = said->l_type == F_UNLCK ? -EINVAL : wanted_of(file, task, command, said, &wanted);

	if (error)
		return error;
	mutex_lock(&locks_mutex);
	if (file->inode->locks)
		conflict = find_conflict(file->inode->locks, &wanted);
	if (conflict) {
		*said = (struct flock){
			.l_type = conflict->exclusive ? F_WRLCK : F_RDLCK,
			.l_whence = SEEK_SET,
			.l_start = conflict->start,
			.l_len = conflict->end == RANGE_END ? 0 : conflict->end - conflict->start + 1,
			.l_pid = conflict->pid,
		};
	} else {
		said->l_type = F_UNLCK;
	}
	mutex_unlock(&locks_mutex);
	return copy_to_user(argument, said, sizeof(*said));
}

/*
 * The lock has been set. Another task may have closed the descriptor before, and dropped the locks that there were then: this one would be
 * nobody's to drop, as closing another descriptor of the file does it, and there may be none.
 */
static int check_still_open(struct file *file, struct task *task, int descriptor)
{
	struct file *now = descriptor_get_any(task, descriptor);

	if (now)
		file_unref(now);
	if (now == file)
		return 0;
	drop_all(file->inode, task->files);
	return -EBADF;
}

int64_t file_lock_control(struct file *file, struct task *task, int descriptor, int command, vaddr_t argument)
{
	unsigned access = file->flags & O_ACCMODE;
	struct file_lock wanted;
	struct flock said;
	int error;

	if (copy_from_user(&said, argument, sizeof(said)) != 0)
		return -EFAULT;
	if (command == F_GETLK || command == F_OFD_GETLK)
		return get_lock(file, task, command, argument, &said);
	error = wanted_of(file, task, command, &said, &wanted);
	if (error)
		return error;
	if ((said.l_type == F_RDLCK && access == O_WRONLY) || (said.l_type == F_WRLCK && access == O_RDONLY))
		return -EBADF;
	error = change(file->inode, &wanted, said.l_type == F_UNLCK,
		       command == F_SETLKW || command == F_OFD_SETLKW);
	if (error || said.l_type == F_UNLCK || is_of_file(command))
		return error;
	return check_still_open(file, task, descriptor);
}

/* ---- flock ---------------------------------------------------------------------------------------------------------- */

/* One that has a lock of the other kind loses it before it waits, as flock(2) says. */
int file_flock(struct file *file, unsigned operation)
{
	unsigned what = operation & ~(unsigned)LOCK_NB;
	const struct file_lock wanted = {
		.kind = LOCK_WHOLE, .exclusive = what == LOCK_EX, .end = RANGE_END, .owner = file, .pid = -1};
	int error;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
		return -EINVAL;
	error = change(file->inode, &wanted, what == LOCK_UN, false);
	if (error != -EAGAIN)
		return error;
	change(file->inode, &wanted, true, false);
	return operation & LOCK_NB ? -EAGAIN : change(file->inode, &wanted, false, true);
}
