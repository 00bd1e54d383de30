/*
 * Process groups and sessions (setpgid(2), setsid(2), credentials(7)), and their system calls.
 *
 * Groups and sessions have no life of their own: a group is there as long as a process is in it, zombies included, and a session as
 * long as a group is.
 */
#include <asm/errno.h>
#include <vm/slab.h>

#include "process_internal.h"

#define BUCKETS 256u /* a power of two */

static struct slab_cache group_cache, session_cache; /* groups_init */

/* Locks: (p) process_lock. */
static struct {
	LIST_HEAD(, process_group) groups[BUCKETS]; /* (p) */
	LIST_HEAD(, session) sessions[BUCKETS];     /* (p) */
} table;

void groups_init(void)
{
	slab_cache_init(&group_cache, "process group", sizeof(struct process_group));
	slab_cache_init(&session_cache, "session", sizeof(struct session));
}

struct process_group *group_find_locked(int id)
{
	struct process_group *group;

	ASSERT(spin_held(&process_lock));
	LIST_FOREACH(group, &table.groups[(unsigned)id % BUCKETS], chain)
	if (group->id == id)
		return group;
	return NULL;
}

struct session *session_find_locked(int id)
{
	struct session *session;

	ASSERT(spin_held(&process_lock));
	LIST_FOREACH(session, &table.sessions[(unsigned)id % BUCKETS], chain)
	if (session->id == id)
		return session;
	return NULL;
}

void session_unref_locked(struct session *session)
{
	ASSERT(spin_held(&process_lock) && session->refs > 0);
	if (--session->refs > 0)
		return;
	LIST_REMOVE(session, chain);
	number_put_locked(session->id);
	slab_free(&session_cache, session);
}

void group_leave_locked(struct process *process)
{
	struct process_group *group = process->group;
	struct session *session = group->session;
	int id = group->id;

	TAILQ_REMOVE(&group->members, process, member);
	process->group = NULL;
	if (!TAILQ_EMPTY(&group->members))
		return;
	LIST_REMOVE(group, chain);
	slab_free(&group_cache, group);
	session_unref_locked(session);
	number_put_locked(id);
}

/* Makes `group`, which is `process`'s own, in a session, and puts the process into it. */
static void group_begin_locked(struct process_group *group, struct session *session, struct process *process)
{
	*group = (struct process_group){.id = process->pid, .session = session};
	session->refs++;
	TAILQ_INIT(&group->members);
	LIST_INSERT_HEAD(&table.groups[(unsigned)group->id % BUCKETS], group, chain);
	if (process->group)
		group_leave_locked(process);
	process->group = group;
	TAILQ_INSERT_TAIL(&group->members, process, member);
}

static void session_begin_locked(struct session *session, struct process_group *group,
				 struct process *process)
{
	*session = (struct session){.id = process->pid};
	LIST_INSERT_HEAD(&table.sessions[(unsigned)session->id % BUCKETS], session, chain);
	group_begin_locked(group, session, process);
}

/* Memory for a group, and for a session. 0 or -ENOMEM. */
static int allocate(struct process_group **group, struct session **session)
{
	*group = slab_alloc(&group_cache);
	*session = slab_alloc(&session_cache);
	if (*group && *session)
		return 0;
	if (*group)
		slab_free(&group_cache, *group);
	if (*session)
		slab_free(&session_cache, *session);
	return -ENOMEM;
}

int groups_begin(struct process *first)
{
	struct process_group *group;
	struct session *session;
	int error = allocate(&group, &session);

	if (error)
		return error;
	spin_lock(&process_lock);
	session_begin_locked(session, group, first);
	spin_unlock(&process_lock);
	return 0;
}

/* ---- System calls ---------------------------------------------------------------------------------------- */

int64_t sys_setsid(struct task *task, struct trapframe *frame)
{
	struct process *process = task->process;
	struct process_group *group;
	struct session *session;
	int error = allocate(&group, &session);

	(void)frame;
	if (error)
		return error;
	spin_lock(&process_lock);
	if (group_find_locked(process->pid)) {
		spin_unlock(&process_lock);
		slab_free(&group_cache, group);
		slab_free(&session_cache, session);
		return -EPERM;
	}
	session_begin_locked(session, group, process);
	spin_unlock(&process_lock);
	return process->pid;
}

/* The process that a number means to `own`; 0: itself. */
static struct process *find_or_own(struct process *own, int pid)
{
	return pid == 0 ? own : process_find_locked(pid);
}

int64_t sys_getpgid(struct task *task, struct trapframe *frame)
{
	struct process *process;
	int64_t result = -ESRCH;

	spin_lock(&process_lock);
	process = find_or_own(task->process, (int)frame->rdi);
	if (process)
		result = process->group->id;
	spin_unlock(&process_lock);
	return result;
}

int64_t sys_getpgrp(struct task *task, struct trapframe *frame)
{
	int id;

	(void)frame;
	spin_lock(&process_lock);
	id = task->process->group->id;
	spin_unlock(&process_lock);
	return id;
}

int64_t sys_getsid(struct task *task, struct trapframe *frame)
{
	struct process *process;
	int64_t result = -ESRCH;

	spin_lock(&process_lock);
	process = find_or_own(task->process, (int)frame->rdi);
	if (process)
		result = process->group->session->id;
	spin_unlock(&process_lock);
	return result;
}

/* May `own` move `process` to a group? 0 or the error (setpgid(2)). */
static int may_move(const struct process *own, const struct process *process)
{
	if (!process || (process != own && process->parent != own))
		return -ESRCH;
	if (process != own && process->group->session != own->group->session)
		return -EPERM;
	if (process != own && process->has_execed)
		return -EACCES;
	return process->group->session->id == process->pid ? -EPERM : 0;
}

/* The table is locked. `*fresh` is memory for a new group; NULL afterwards if it was used. */
static int move_locked(struct process *own, int pid, int id, struct process_group **fresh)
{
	struct process *process = find_or_own(own, pid);
	struct process_group *group;
	int error = may_move(own, process);

	if (error)
		return error;
	id = id == 0 ? process->pid : id;
	if (process->group->id == id)
		return 0;
	group = group_find_locked(id);
	if (!group && id != process->pid)
		return -EPERM;
	if (group && group->session != process->group->session)
		return -EPERM;
	if (!group) {
		group_begin_locked(*fresh, process->group->session, process);
		*fresh = NULL;
		return 0;
	}
	group_leave_locked(process);
	process->group = group;
	TAILQ_INSERT_TAIL(&group->members, process, member);
	return 0;
}

int64_t sys_setpgid(struct task *task, struct trapframe *frame)
{
	int pid = (int)frame->rdi, id = (int)frame->rsi;
	struct process_group *fresh;
	int error;

	if (id < 0)
		return -EINVAL;
	fresh = slab_alloc(&group_cache);
	if (!fresh)
		return -ENOMEM;
	spin_lock(&process_lock);
	error = move_locked(task->process, pid, id, &fresh);
	spin_unlock(&process_lock);
	if (fresh)
		slab_free(&group_cache, fresh);
	return error;
}

/* ---- Orphaned groups (POSIX, 3.264) ------------------------------------------------------------------------- */

/* Has the group no member, `leaving` left out, whose parent is in another group of the session? */
static bool orphaned_locked(const struct process_group *group, const struct process *leaving)
{
	struct process *member;

	TAILQ_FOREACH(member, &group->members, member)
	{
		const struct process *parent = member->parent;

		if (member != leaving && member->state == PROCESS_ALIVE && parent && !member->adopted &&
		    parent->group != group && parent->group->session == group->session)
			return false;
	}
	return true;
}

static bool has_stopped_locked(const struct process_group *group)
{
	struct process *member;

	TAILQ_FOREACH(member, &group->members, member)
	{
		if (signal_is_stopped(member))
			return true;
	}
	return false;
}

void group_orphan_locked(struct process *process, const struct process *parent, const struct process *leaving)
{
	const struct process_group *group = process->group;
	struct process *member;

	if (parent->group == group || parent->group->session != group->session ||
	    !orphaned_locked(group, leaving) || !has_stopped_locked(group))
		return;
	TAILQ_FOREACH(member, &group->members, member)
	{
		signal_send_process_kernel(member, SIGHUP);
		signal_send_process_kernel(member, SIGCONT);
	}
}

bool process_group_orphaned(struct process *process)
{
	bool orphaned;

	spin_lock(&process_lock);
	orphaned = process->group && orphaned_locked(process->group, NULL);
	spin_unlock(&process_lock);
	return orphaned;
}
