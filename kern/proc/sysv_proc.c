/*
 * System V IPC in /proc: what there is (/proc/sysvipc) and what there may be (/proc/sys/kernel; proc(5)).
 */
#include <asm/errno.h>
#include <kern/procfs.h>

#include "sysv.h"

#define LINUX_SHM_ROOM ((uint64_t)1 << 24) /* Linux's shmmax and shmall are ULONG_MAX but for that */

struct sysv_limits sysv_limits = {
	.message_most = MSGMAX,
	.queue_bytes = MSGMNB,
	.set_most = SEMMSL,
	.semaphores_most = SEMMNS,
	.operations_most = SEMOPM,
	.segment_bytes = UINT64_MAX - LINUX_SHM_ROOM,
	.segments_pages = UINT64_MAX - LINUX_SHM_ROOM,
};

/* ---- /proc/sysvipc ------------------------------------------------------------------------------------------ */

static void show_object(struct seq *seq, int id, const struct ipc64_perm *object)
{
	seq_print(seq, "%10d %10d  %4o ", object->key, id, object->mode);
}

static void show_owners(struct seq *seq, const struct ipc64_perm *object)
{
	seq_print(seq, "%5u %5u %5u %5u ", object->uid, object->gid, object->cuid, object->cgid);
}

static int show_messages(struct seq *seq, const struct proc_subject *subject)
{
	struct msqid64_ds queue;
	int place = 0, id;

	(void)subject;
	seq_print(seq,
		  "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
		  "      stime      rtime      ctime\n");
	while (msg_next(&place, &id, &queue)) {
		show_object(seq, id, &queue.msg_perm);
		seq_print(seq, "%11lu %10lu %5u %5u ", queue.msg_cbytes, queue.msg_qnum,
			  (unsigned)queue.msg_lspid, (unsigned)queue.msg_lrpid);
		show_owners(seq, &queue.msg_perm);
		seq_print(seq, "%10ld %10ld %10ld\n", queue.msg_stime, queue.msg_rtime, queue.msg_ctime);
	}
	return 0;
}

static int show_semaphores(struct seq *seq, const struct proc_subject *subject)
{
	struct semid64_ds set;
	int place = 0, id;

	(void)subject;
	seq_print(seq,
		  "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	while (sem_next(&place, &id, &set)) {
		show_object(seq, id, &set.sem_perm);
		seq_print(seq, "%10lu ", set.sem_nsems);
		show_owners(seq, &set.sem_perm);
		seq_print(seq, "%10ld %10ld\n", set.sem_otime, set.sem_ctime);
	}
	return 0;
}

static int show_segments(struct seq *seq, const struct proc_subject *subject)
{
	struct sysv_segment segment;
	const struct shmid64_ds *of = &segment.status;
	int place = 0, id;

	(void)subject;
	seq_print(
		seq,
		"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
		"      atime      dtime      ctime                   rss                  swap\n");
	while (shm_next(&place, &id, &segment)) {
		show_object(seq, id, &of->shm_perm);
		seq_print(seq, "%21lu %5u %5u  %5lu ", of->shm_segsz, (unsigned)of->shm_cpid,
			  (unsigned)of->shm_lpid, of->shm_nattch);
		show_owners(seq, &of->shm_perm);
		seq_print(seq, "%10ld %10ld %10ld %21lu %21lu\n", of->shm_atime, of->shm_dtime, of->shm_ctime,
			  segment.resident_bytes, 0ul);
	}
	return 0;
}

const struct proc_entry proc_sysvipc[] = {{.name = "msg", .mode = S_IFREG | 0444, .show = show_messages},
					  {.name = "sem", .mode = S_IFREG | 0444, .show = show_semaphores},
					  {.name = "shm", .mode = S_IFREG | 0444, .show = show_segments},
					  {.name = NULL}};

/* ---- /proc/sys/kernel ------------------------------------------------------------------------------------------ */

const struct proc_setting message_most_setting = {&sysv_limits.message_most, 0, INT32_MAX};
const struct proc_setting queue_bytes_setting = {&sysv_limits.queue_bytes, 0, INT32_MAX};
const struct proc_setting msg_limit_setting = {&msg_table.limit, 0, SYSV_PLACES};
const struct proc_setting shm_limit_setting = {&shm_table.limit, 0, SYSV_PLACES};
const struct proc_setting msg_next_setting = {&msg_table.next_id, 0, INT32_MAX};
const struct proc_setting sem_next_setting = {&sem_table.next_id, 0, INT32_MAX};
const struct proc_setting shm_next_setting = {&shm_table.next_id, 0, INT32_MAX};

/* The four numbers of /proc/sys/kernel/sem, in their order, and what they may be at most. */
static const struct {
	_Atomic int *value;
	uint64_t most;
} sem_limits[] = {
	{&sysv_limits.set_most, INT32_MAX},
	{&sysv_limits.semaphores_most, INT32_MAX},
	{&sysv_limits.operations_most, INT32_MAX / (int)sizeof(struct sembuf)},
	{&sem_table.limit, SYSV_PLACES},
};
#define SEM_LIMITS (sizeof(sem_limits) / sizeof(sem_limits[0]))

int sysv_show_sem_limits(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	for (size_t i = 0; i < SEM_LIMITS; i++)
		seq_print(seq, "%d%s", *sem_limits[i].value, i + 1 < SEM_LIMITS ? "\t" : "\n");
	return 0;
}

/* The first ones may be given alone. All are good, or none is taken. */
int sysv_store_sem_limits(const struct proc_subject *subject, char *text, size_t bytes)
{
	uint64_t values[SEM_LIMITS];
	const char *rest = text;
	size_t count = 0;

	(void)subject, (void)bytes;
	while (count < SEM_LIMITS && *rest != '\0') {
		if (proc_parse_number(&rest, sem_limits[count].most, &values[count]) != 0)
			return -EINVAL;
		count++;
	}
	if (*rest != '\0')
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		*sem_limits[i].value = (int)values[i];
	return 0;
}

static int show_large(struct seq *seq, uint64_t value)
{
	seq_print(seq, "%llu\n", (unsigned long long)value);
	return 0;
}

static int store_large(_Atomic uint64_t *value, const char *text)
{
	uint64_t wanted;

	if (proc_parse_number(&text, UINT64_MAX, &wanted) != 0 || *text != '\0')
		return -EINVAL;
	*value = wanted;
	return 0;
}

int sysv_show_shmmax(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	return show_large(seq, sysv_limits.segment_bytes);
}

int sysv_store_shmmax(const struct proc_subject *subject, char *text, size_t bytes)
{
	(void)subject, (void)bytes;
	return store_large(&sysv_limits.segment_bytes, text);
}

int sysv_show_shmall(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	return show_large(seq, sysv_limits.segments_pages);
}

int sysv_store_shmall(const struct proc_subject *subject, char *text, size_t bytes)
{
	(void)subject, (void)bytes;
	return store_large(&sysv_limits.segments_pages, text);
}
