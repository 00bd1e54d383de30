/*
 * What the three kinds of System V IPC have in common (ipc(2), sysvipc(7)): identifiers, keys, owners and permissions.
 *
 * An object of a kind is in a place of the kind's table, and its identifier is that place and how often places have been used again, as
 * Linux's (ipc/util.h). Private to sysv.c, sys_shm.c, sys_msg.c, sys_sem.c and proc_sysvipc.c.
 *
 *   (m) the table's mutex
 *   (a) atomic
 *   (-) set when it is made
 */
#ifndef PROC_SYSV_H
#define PROC_SYSV_H

#include <kern/proc.h>
#include <linux/ipc.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>

#define SYSV_PLACES    32768 /* IPCMNI: an identifier is a place + a multiple of this */
#define SYSV_MODE_BITS 0777u
#define SYSV_MAY_READ  0444u /* of all three classes: what sysv_permitted is asked */
#define SYSV_MAY_WRITE 0222u

/* The first member of each kind's objects. */
struct sysv_object {
	RB_ENTRY(sysv_object) place_link; /* (m) */
	RB_ENTRY(sysv_object) key_link;   /* (m) unless the key is IPC_PRIVATE */
	int id;                           /* (-) */
	__kernel_key_t key;               /* (m) */
	unsigned mode;                    /* (m) permissions, and what else the kind shows with them */
	uint32_t uid, gid;                /* (m) the owner */
	uint32_t cuid, cgid;              /* (-) the creator */
	int64_t changed; /* (m) when it was made, or an owner's call changed it: seconds since 1970 */
};

RB_HEAD(sysv_places, sysv_object);
RB_HEAD(sysv_keys, sysv_object);

struct sysv_table {
	struct mutex lock;               /* RANK_INODE: guards the objects, too */
	struct sysv_places by_place;     /* (m) */
	struct sysv_keys by_key;         /* (m) */
	uint64_t used[SYSV_PLACES / 64]; /* (m) a bit for each place */
	unsigned count;                  /* (m) objects */
	_Atomic int limit;               /* (a) how many there may be */
	unsigned last_place, sequence;   /* (m) of the last identifier that was given */
	_Atomic int next_id;             /* (a) what the next identifier is to be like; -1: any */
};

void sysv_init(struct sysv_table *table, const char *name, int limit);

/* Seconds since 1970. */
int64_t sysv_now(void);

/* The process's number, as objects remember it. */
static inline int sysv_pid(const struct task *task)
{
	return task->process->pid;
}

/* ---- With the table's lock held ---------------------------------------------------------------------------- */

/*
 * Gives a new object an identifier, the caller as its owner, and a place in the table. -ENOSPC: there are too many. Nothing else can fail, so
 * it comes last.
 */
int sysv_enter(struct sysv_table *table, struct sysv_object *object, const struct task *task,
	       __kernel_key_t key, unsigned mode);
/* Takes it out; its memory is the caller's. */
void sysv_leave(struct sysv_table *table, struct sysv_object *object);
/* The key leads to it no more. */
void sysv_forget_key(struct sysv_table *table, struct sysv_object *object);

/* By identifier; by place, or as on Linux the place of an identifier, though it may be another object's now; the first at a place from `place` on. NULL: there is none. */
struct sysv_object *sysv_find(struct sysv_table *table, int id);
struct sysv_object *sysv_at(struct sysv_table *table, int place);
struct sysv_object *sysv_from(struct sysv_table *table, int place);

/* The highest place in use, which IPC_INFO and its kin return. */
int sysv_highest(struct sysv_table *table);

/*
 * What ...get(2) finds by a key: 0, and the object, or NULL if a new one is to be made; -ENOENT, -EEXIST. What else is asked of it, and then
 * sysv_permitted(), is the caller's to check.
 */
int sysv_get(struct sysv_table *table, __kernel_key_t key, unsigned flags, struct sysv_object **out);

/* `want`: permissions, those of one class or of all. */
bool sysv_permitted(const struct task *task, const struct sysv_object *object, unsigned want);
/* May it be set and removed? */
bool sysv_is_owner(const struct task *task, const struct sysv_object *object);

struct ipc64_perm sysv_describe(const struct sysv_object *object);

/* IPC_SET's part that all kinds have. -EINVAL: there are no such owners. */
int sysv_set(struct sysv_object *object, const struct ipc64_perm *wanted);

/* ---- Limits, and /proc/sysvipc (sysv_proc.c) ------------------------------------------------------------------ */

/* What there may be, besides numbers of objects. Programs change it in /proc/sys/kernel, where the names are what is in brackets. */
struct sysv_limits {
	_Atomic int message_most;        /* (a) bytes of a message (msgmax) */
	_Atomic int queue_bytes;         /* (a) of a new queue (msgmnb) */
	_Atomic int set_most;            /* (a) semaphores of a set (sem, the first) */
	_Atomic int semaphores_most;     /* (a) of all sets (sem, the second) */
	_Atomic int operations_most;     /* (a) of a semop(2) (sem, the third) */
	_Atomic uint64_t segment_bytes;  /* (a) of a new segment (shmmax) */
	_Atomic uint64_t segments_pages; /* (a) of all segments together (shmall) */
};
extern struct sysv_limits sysv_limits;

extern struct sysv_table msg_table, sem_table, shm_table;

/* Fills `out` from the first object at a place from *place on, which becomes the next place. False: there is none. */
struct sysv_segment {
	struct shmid64_ds status;
	uint64_t resident_bytes;
};
bool msg_next(int *place, int *id, struct msqid64_ds *out);
bool sem_next(int *place, int *id, struct semid64_ds *out);
bool shm_next(int *place, int *id, struct sysv_segment *out);

#endif
