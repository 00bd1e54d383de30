/*
 * System V semaphores: what sys_sem.c (sets, and what owners do with them) and sem_operations.c (semop(2), waiting, undoing) share.
 *
 * All of it is guarded by the mutex of sem_table, under which no memory of a program is touched.
 *
 *   (m) that mutex
 *   (-) set when it is made
 */
#ifndef PROC_SEM_H
#define PROC_SEM_H

#include "syscall.h"
#include "sysv.h"

/* One semaphore. */
struct semaphore {
	int value; /* (m) 0 to SEMVMX */
	int pid;   /* (m) who changed it last, or waited for its zero */
};

/* An operation of several steps on its way: on the stack of the thread that asked for it. */
struct sem_call {
	TAILQ_ENTRY(sem_call) link; /* (m) in its set's list while it waits */
	const struct sembuf *steps; /* (-) */
	unsigned count;             /* (-) of them */
	bool changes;               /* (-) a step is not a wait for zero */
	bool undoes;                /* (-) a step has SEM_UNDO */
	int pid;                    /* (-) */
	struct sem_undo *undo;      /* (m) where `undoes` */
	const struct sembuf *stuck; /* (m) the step that it waits for */
	int result;                 /* (m) SEM_WAITS while it waits */
	struct wait_queue done;     /* (-) woken when that changes */
};
#define SEM_WAITS 1

struct sem_set {
	struct sysv_object object;      /* (m) first */
	unsigned count;                 /* (-) semaphores */
	int64_t operated;               /* (m) when there was a semop(2) last: seconds since 1970 */
	TAILQ_HEAD(, sem_call) waiting; /* (m) in order of arrival */
	LIST_HEAD(, sem_undo) undos;    /* (m) of all processes */
	struct semaphore *semaphores;   /* (-) */
};

/* What is taken back of a set when a process ends. */
struct sem_undo {
	RB_ENTRY(sem_undo) of_list;  /* (m) */
	LIST_ENTRY(sem_undo) of_set; /* (m) */
	struct undo_list *list;      /* (-) */
	struct sem_set *set;         /* (-) goes before the set does */
	size_t bytes;                /* (-) of memory that this takes */
	short adjust[];              /* (m) for each semaphore, what is added to it then */
};

static inline struct sem_set *sem_of_object(struct sysv_object *object)
{
	return (struct sem_set *)object;
}

void sem_operations_init(void);

/* Memory for what there is of semaphores; its contents are undefined. NULL: none, or IPC has its share of RAM already (message.h). */
void *sem_alloc(size_t bytes);
void sem_free(void *memory, size_t bytes);

/* ---- With the table's lock held (sem_operations.c) ----------------------------------------------------------- */

/* Values have changed: does, in order of arrival, what waits and can be done now. */
void sem_update(struct sem_set *set);

/* The set goes: ends all that waits for it, with -EIDRM, and all undoing. */
void sem_end_waits(struct sem_set *set);

/* How many wait for the semaphore: to become 0 (`zero`), or to be raised. */
int sem_count_waits(const struct sem_set *set, unsigned number, bool zero);

/* What processes wanted to take back of a semaphore (of all: -1) is forgotten, as its value is set. */
void sem_forget_undo(struct sem_set *set, int number);

#endif
