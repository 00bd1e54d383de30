/*
 * System V shared memory: shmget, shmat, shmdt, shmctl.
 */
#include "tap.h"
#include <sys/ipc.h>
#include <sys/shm.h>

#ifndef SHM_REMAP
#define SHM_REMAP 040000
#endif
#ifndef SHM_EXEC
#define SHM_EXEC 0100000
#endif
#define SEGMENT_LOCKED 02000 /* SHM_LOCKED of <linux/shm.h> */
#define SHM_ANY        15    /* SHM_STAT_ANY, which needs no right */
#define KEY            0x50484f45
#define PAGES          4

/* The test's segment, which goes with its last attachment or at the end. */
static int segment = -1;

static void remove_segment(void)
{
	if (segment >= 0)
		shmctl(segment, IPC_RMID, NULL);
}

static int make_segment(size_t bytes)
{
	segment = shmget(IPC_PRIVATE, bytes, IPC_CREAT | 0600);
	NEED(segment >= 0);
	atexit(remove_segment);
	return segment;
}

static struct shmid_ds status_of(int id)
{
	struct shmid_ds status = {0};

	NEED(shmctl(id, IPC_STAT, &status) == 0);
	return status;
}

TEST(get, "shmget: a new segment, found again by its key")
{
	int old = shmget(KEY, 0, 0);

	if (old >= 0)
		shmctl(old, IPC_RMID, NULL);
	FAILS(shmget(KEY, PAGE, 0600), ENOENT);
	segment = shmget(KEY, PAGES * PAGE - 5, IPC_CREAT | IPC_EXCL | 0640);
	NEED(segment >= 0);
	atexit(remove_segment);
	EQUAL(shmget(KEY, 0, 0), segment);
	EQUAL(shmget(KEY, PAGE, IPC_CREAT | 0600), segment);
	FAILS(shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	FAILS(shmget(KEY, PAGES * PAGE, 0), EINVAL); /* larger than it is */
	EQUAL(status_of(segment).shm_segsz, PAGES * PAGE - 5);
	EQUAL(status_of(segment).shm_perm.mode & 0777, 0640);
	EQUAL(status_of(segment).shm_cpid, getpid());
	EQUAL(status_of(segment).shm_nattch, 0);
}

TEST(get_bad, "shmget: size 0 of a new segment, and one beyond any memory")
{
	FAILS(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
	CHECK(shmget(IPC_PRIVATE, -1ul, IPC_CREAT | 0600) == -1 && (errno == EINVAL || errno == ENOSPC));
}

TEST(rights, "another user needs the segment's permission: EACCES; and only its owner may change it: EPERM")
{
	const key_t key = KEY ^ getpid(); /* whoever else runs this */
	int id = shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0644);
	struct shmid_ds status;

	NEED(id >= 0);
	segment = id;
	atexit(remove_segment);
	status = status_of(id);
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		EQUAL(shmget(key, PAGE, 0004), id);
		FAILS(shmget(key, PAGE, 0006), EACCES);
		FAILS(shmat(id, NULL, 0), EACCES);
		CHECK(shmat(id, NULL, SHM_RDONLY) != (void *)-1);
		CHECK(shmctl(id, IPC_STAT, &status) == 0);
		FAILS(shmctl(id, IPC_SET, &status), EPERM);
		FAILS(shmctl(id, IPC_RMID, NULL), EPERM);
		FAILS(shmctl(id, SHM_LOCK, NULL), EPERM);
		FAILS(shmctl(id, SHM_UNLOCK, NULL), EPERM);
		segment = -1;
	}
	status.shm_perm.mode = 0600;
	CHECK(shmctl(id, IPC_SET, &status) == 0);
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(shmctl(id, IPC_STAT, &status), EACCES);
		FAILS(shmat(id, NULL, SHM_RDONLY), EACCES);
		FAILS(shmget(key, PAGE, 0004), EACCES);
		EQUAL(shmget(key, PAGE, 0), id);
		segment = -1;
	}
}

TEST(locked, "SHM_LOCK and SHM_UNLOCK mark the segment; it can be used as before")
{
	int id = make_segment(2 * PAGE);
	char *memory = shmat(id, NULL, 0);

	NEED(memory != (void *)-1);
	CHECK(shmctl(id, SHM_LOCK, NULL) == 0);
	CHECK(status_of(id).shm_perm.mode & SEGMENT_LOCKED);
	memory[PAGE] = 'x';
	CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0);
	CHECK(!(status_of(id).shm_perm.mode & SEGMENT_LOCKED));
	EQUAL(memory[PAGE], 'x');
}

TEST(by_index, "SHM_STAT and SHM_STAT_ANY find segments by their index, which SHM_INFO has the highest of")
{
	int id = make_segment(3 * PAGE), found = 0;
	struct shmid_ds status;
	struct { /* struct shm_info of <linux/shm.h> */
		int used_ids;
		unsigned long pages, resident, swapped, attempts, successes;
	} info;
	int highest = shmctl(id, SHM_INFO, (struct shmid_ds *)&info);

	for (int i = 0; i <= highest; i++) {
		if (shmctl(i, SHM_STAT, &status) == id) {
			found++;
			EQUAL(status.shm_segsz, 3 * PAGE);
			EQUAL(shmctl(i, SHM_ANY, &status), id);
		}
	}
	EQUAL(found, 1);
	EQUAL(shmctl(id, SHM_STAT, &status), id); /* an identifier, for its place */
	FAILS(shmctl(highest + 100, SHM_STAT, &status), EINVAL);
	FAILS(shmctl(-1, SHM_STAT, &status), EINVAL);
}

TEST(attach, "shmat: zeroes, shared by all attachments and with children; shmdt ends one")
{
	int id = make_segment(PAGES * PAGE);
	char *one = shmat(id, NULL, 0), *two = shmat(id, NULL, 0);

	NEED(one != (void *)-1 && two != (void *)-1 && one != two);
	CHECK(all_are(one, PAGES * PAGE, 0));
	one[PAGE] = 'x';
	EQUAL(two[PAGE], 'x');
	EQUAL(status_of(id).shm_nattch, 2);
	IN_CHILD
	{
		EQUAL(status_of(id).shm_nattch, 4);
		two[2 * PAGE] = 'c';
	}
	EQUAL(one[2 * PAGE], 'c');
	EQUAL(status_of(id).shm_nattch, 2);
	CHECK(shmdt(one) == 0);
	FAULTS(ACCESS_READ, one, SIGSEGV, SEGV_MAPERR);
	EQUAL(two[PAGE], 'x');
	EQUAL(status_of(id).shm_nattch, 1);
}

TEST(attach_read_only, "SHM_RDONLY")
{
	int id = make_segment(PAGE);
	char *memory = shmat(id, NULL, SHM_RDONLY);

	NEED(memory != (void *)-1);
	EQUAL(memory[0], 0);
	FAULTS(ACCESS_WRITE, memory + 5, SIGSEGV, SEGV_ACCERR);
}

TEST(attach_at, "shmat at an address: rounded with SHM_RND, else EINVAL; over a mapping only with SHM_REMAP")
{
	int id = make_segment(PAGE);
	char *place = anonymous(4 * PAGE);

	place[PAGE] = 'x';
	FAILS(shmat(id, place + PAGE, 0), EINVAL);
	FAILS(shmat(id, NULL, SHM_REMAP), EINVAL);
	CHECK(munmap(place, PAGE) == 0);
	EQUAL(shmat(id, place, 0), place);
	CHECK(shmdt(place) == 0);
	FAILS(shmat(id, place + 10, 0), EINVAL);
	EQUAL(shmat(id, place + 10, SHM_RND), place);
	EQUAL(place[PAGE], 'x');
	EQUAL(shmat(id, place + PAGE, SHM_REMAP), place + PAGE);
	EQUAL(place[PAGE], 0);
	EQUAL(status_of(id).shm_nattch, 2);
}

TEST(attach_bad, "shmat: no such segment is EINVAL")
{
	FAILS(shmat(0x7fffffff, NULL, 0), EINVAL);
	FAILS(shmat(-1, NULL, 0), EINVAL);
}

TEST(detach_bad, "shmdt of what is no attachment is EINVAL")
{
	int id = make_segment(2 * PAGE);
	char *memory = shmat(id, NULL, 0), *other = anonymous(PAGE);

	FAILS(shmdt(other), EINVAL);
	FAILS(shmdt(memory + 1), EINVAL);
	FAILS(shmdt(memory + PAGE), EINVAL);
	CHECK(shmdt(memory) == 0);
	FAILS(shmdt(memory), EINVAL);
}

TEST(detach_pieces, "munmap of a part leaves the rest attached; shmdt takes it")
{
	int id = make_segment(3 * PAGE);
	char *memory = shmat(id, NULL, 0);

	CHECK(munmap(memory + PAGE, PAGE) == 0);
	memory[0] = memory[2 * PAGE] = 'x';
	CHECK(shmdt(memory) == 0);
	CHECK(!readable(memory) && !readable(memory + 2 * PAGE));
	EQUAL(status_of(id).shm_nattch, 0);
}

TEST(remove, "IPC_RMID: gone for new users, alive for those attached, until the last detaches")
{
	int id = make_segment(PAGE);
	char *memory = shmat(id, NULL, 0);

	memory[0] = 'x';
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	EQUAL(memory[0], 'x');
	CHECK(status_of(id).shm_perm.mode & 01000); /* SHM_DEST */
	IN_CHILD
	{
		EQUAL(memory[0], 'x');
	}
	CHECK(shmdt(memory) == 0);
	FAILS(shmctl(id, IPC_STAT, &(struct shmid_ds){0}), EINVAL);
	FAILS(shmat(id, NULL, 0), EINVAL);
	segment = -1;
}

TEST(set, "IPC_SET changes the mode")
{
	int id = make_segment(PAGE);
	struct shmid_ds status = status_of(id);

	status.shm_perm.mode = 0644;
	CHECK(shmctl(id, IPC_SET, &status) == 0);
	EQUAL(status_of(id).shm_perm.mode & 0777, 0644);
}

TEST(control_bad, "shmctl: unknown commands and segments are EINVAL, a bad pointer EFAULT")
{
	int id = make_segment(PAGE);

	FAILS(CALL(shmctl, id, 9999, NULL), EINVAL);
	FAILS(CALL(shmctl, -1, IPC_STAT, &(struct shmid_ds){0}), EINVAL);
	FAILS(CALL(shmctl, id, IPC_STAT, 8), EFAULT);
	FAILS(CALL(shmctl, id, IPC_SET, 8), EFAULT);
}

TEST(info, "IPC_INFO and SHM_INFO tell limits and use")
{
	struct shminfo limits = {0};
	struct shm_info use = {0};
	int id = make_segment(PAGES * PAGE);
	char *memory = shmat(id, NULL, 0);

	memset(memory, 'x', PAGES * PAGE);
	CHECK(CALL(shmctl, 0, IPC_INFO, &limits) >= 0);
	CHECK(limits.shmmin == 1 && limits.shmmax > 1ul << 20 && limits.shmmni >= 100);
	CHECK(CALL(shmctl, 0, SHM_INFO, &use) >= 0);
	CHECK(use.used_ids >= 1 && use.shm_tot >= PAGES && use.shm_rss >= 1);
}

TEST(last_place, "the last identifier that there can be is found by who lists all segments")
{
	struct shm_info use = {0};
	int next = open("/proc/sys/kernel/shm_next_id", O_WRONLY), id;

	if (next < 0)
		skip("only root may say what the next identifier is");
	EQUAL(write(next, "32767", 5), 5);
	id = make_segment(PAGE);
	EQUAL(id % 32768, 32767);
	EQUAL(CALL(shmctl, 0, SHM_INFO, &use), 32767);
	CHECK(use.used_ids >= 1);
	CHECK(strstr(contents("/proc/sysvipc/shm"), "32767 ") != NULL);
}

TEST(exec_and_exit, "the end of a process detaches")
{
	int id = make_segment(PAGE);

	IN_CHILD
	{
		char *memory = shmat(id, NULL, 0);

		NEED(memory != (void *)-1);
		memory[0] = 'c';
		EQUAL(status_of(id).shm_nattch, 1);
	}
	EQUAL(status_of(id).shm_nattch, 0);
	char *memory = shmat(id, NULL, 0);
	CHECK(memory != (void *)-1 && memory[0] == 'c');
}

TEST(who_was_last, "shm_lpid and shm_dtime tell of a process that ended, and of munmap, without shmdt")
{
	int id = make_segment(2 * PAGE);
	pid_t child = fork_counted();
	char *memory;

	if (child == 0) {
		CHECK(shmat(id, NULL, 0) != (void *)-1 && status_of(id).shm_dtime == 0);
		child_end();
	}
	child_passed(child);
	EQUAL(status_of(id).shm_lpid, child);
	EQUAL(status_of(id).shm_nattch, 0);
	CHECK(labs(status_of(id).shm_dtime - time(NULL)) <= 2);
	memory = shmat(id, NULL, 0);
	NEED(memory != (void *)-1);
	child = fork_counted();
	if (child == 0) {
		EQUAL(status_of(id).shm_nattch, 2);
		close(1);
		execl("/proc/self/exe", "again", "no such test", NULL);
		_exit(1);
	}
	child_passed(child);
	EQUAL(status_of(id).shm_lpid, child);
	EQUAL(status_of(id).shm_nattch, 1);
	CHECK(munmap(memory, 2 * PAGE) == 0);
	EQUAL(status_of(id).shm_lpid, getpid());
	EQUAL(status_of(id).shm_nattch, 0);
}

TEST(parts, "shm_dtime tells of a part that is unmapped, and not of parts that are one again")
{
	int id = make_segment(4 * PAGE);
	char *memory = shmat(id, NULL, 0);

	NEED(memory != (void *)-1);
	CHECK(mprotect(memory + PAGE, PAGE, PROT_READ) == 0);
	CHECK(mprotect(memory + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	EQUAL(status_of(id).shm_dtime, 0);
	CHECK(munmap(memory + 3 * PAGE, PAGE) == 0);
	CHECK(labs(status_of(id).shm_dtime - time(NULL)) <= 2);
}

TEST(huge, "SHM_HUGETLB: who is not privileged may not")
{
	if (geteuid() != 0)
		skip("only root may become another user");
	NEED(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	FAILS(shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | 04000 | 0600), EPERM);
}
