/*
 * memfd_create with its seals, and files of /dev/shm.
 */
#include "tap.h"
#include <limits.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static const int rw = PROT_READ | PROT_WRITE;
static const char shm_name[] = "/phoenix-test-shm";

static int sealable(size_t bytes)
{
	int file = (int)CALL(memfd_create, "test", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	NEED(file >= 0 && ftruncate(file, (off_t)bytes) == 0);
	return file;
}

TEST(create, "a new memfd is empty, can be written, read, grown and mapped")
{
	int file = (int)CALL(memfd_create, "test", 0);
	char *memory, byte;

	NEED(file >= 0);
	EQUAL(file_size(file), 0);
	EQUAL(fcntl(file, F_GETFD), 0);
	EQUAL(fcntl(file, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK(write(file, "abc", 3) == 3 && file_size(file) == 3);
	CHECK(ftruncate(file, 3 * PAGE) == 0);
	memory = mmap(NULL, 3 * PAGE, rw, MAP_SHARED, file, 0);
	NEED(memory != MAP_FAILED);
	CHECK(memcmp(memory, "abc", 4) == 0);
	memory[2 * PAGE] = 'x';
	CHECK(pread(file, &byte, 1, 2 * PAGE) == 1 && byte == 'x');
	close(file);
	EQUAL(memory[2 * PAGE], 'x');
}

TEST(create_bad, "memfd_create: unknown flags and too long a name are EINVAL, a bad name is EFAULT")
{
	char name[300];

	memset(name, 'n', sizeof(name));
	name[249] = '\0';
	CHECK(CALL(memfd_create, name, 0) >= 0);
	name[249] = 'n';
	name[250] = '\0';
	FAILS(CALL(memfd_create, name, 0), EINVAL);
	FAILS(CALL(memfd_create, "test", 0x100), EINVAL);
	FAILS(CALL(memfd_create, NULL, 0), EFAULT);
	CHECK(CALL(memfd_create, "", 0) >= 0);
}

TEST(close_on_exec, "MFD_CLOEXEC")
{
	EQUAL(fcntl((int)CALL(memfd_create, "test", MFD_CLOEXEC), F_GETFD), FD_CLOEXEC);
}

TEST(same_names, "equal names are different files")
{
	int one = sealable(PAGE), two = sealable(PAGE);
	char byte = 1;

	CHECK(pwrite(one, "x", 1, 0) == 1 && pread(two, &byte, 1, 0) == 1 && byte == 0);
}

TEST(no_sealing, "without MFD_ALLOW_SEALING there is one seal: no others")
{
	int file = (int)CALL(memfd_create, "test", 0);

	EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_SEAL);
	FAILS(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
}

TEST(other_files, "a pipe has no seals: EINVAL")
{
	int ends[2];

	NEED(pipe(ends) == 0);
	FAILS(fcntl(ends[0], F_GET_SEALS), EINVAL);
	FAILS(fcntl(ends[1], F_ADD_SEALS, F_SEAL_WRITE), EINVAL);
}

TEST(seal_shrink, "F_SEAL_SHRINK: no smaller, but larger")
{
	int file = sealable(2 * PAGE);

	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_SHRINK);
	FAILS(ftruncate(file, PAGE), EPERM);
	CHECK(ftruncate(file, 2 * PAGE) == 0 && ftruncate(file, 3 * PAGE) == 0);
}

TEST(seal_grow, "F_SEAL_GROW: no larger by any way, but smaller")
{
	int file = sealable(2 * PAGE);

	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_GROW) == 0);
	FAILS(ftruncate(file, 3 * PAGE), EPERM);
	FAILS(fallocate(file, 0, 0, 3 * PAGE), EPERM);
	FAILS(pwrite(file, "x", 1, 2 * PAGE), EPERM);
	CHECK(pwrite(file, "x", 1, 2 * PAGE - 1) == 1 && ftruncate(file, PAGE) == 0);
	EQUAL(file_size(file), PAGE);
}

TEST(seal_write, "F_SEAL_WRITE: neither written nor mapped writable, EBUSY while it is")
{
	int file = sealable(2 * PAGE);
	char *memory = mmap(NULL, PAGE, rw, MAP_SHARED, file, 0), byte;

	NEED(memory != MAP_FAILED);
	memory[0] = 'x';
	FAILS(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	EQUAL(fcntl(file, F_GET_SEALS), 0);
	CHECK(munmap(memory, PAGE) == 0 && fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	FAILS(pwrite(file, "y", 1, 0), EPERM);
	FAILS(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	FAILS(mmap(NULL, PAGE, rw, MAP_SHARED, file, 0), EPERM);
	memory = mmap(NULL, PAGE, rw, MAP_PRIVATE, file, 0);
	NEED(memory != MAP_FAILED && memory[0] == 'x');
	memory[0] = 'y';
	CHECK(pread(file, &byte, 1, 0) == 1 && byte == 'x');
	CHECK(ftruncate(file, PAGE) == 0);
}

TEST(seal_future_write, "F_SEAL_FUTURE_WRITE: what is mapped already can be written, nothing else")
{
	int file = sealable(2 * PAGE);
	char *memory = mmap(NULL, PAGE, rw, MAP_SHARED, file, 0), *later, byte;

	NEED(memory != MAP_FAILED);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	memory[0] = 'x';
	CHECK(pread(file, &byte, 1, 0) == 1 && byte == 'x');
	FAILS(pwrite(file, "y", 1, 0), EPERM);
	FAILS(mmap(NULL, PAGE, rw, MAP_SHARED, file, 0), EPERM);
	later = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	NEED(later != MAP_FAILED && later[0] == 'x');
	FAILS(mprotect(later, PAGE, rw), EACCES);
}

TEST(seal_seal, "F_SEAL_SEAL: no more seals; unknown ones are EINVAL")
{
	int file = sealable(PAGE);

	FAILS(fcntl(file, F_ADD_SEALS, 0x1000), EINVAL);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_GROW) == 0);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK) == 0);
	EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_SHRINK);
	FAILS(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
}

TEST(seal_reader, "a descriptor that cannot write adds no seals: EPERM")
{
	char path[40];
	int file = sealable(PAGE), reader;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	reader = open(path, O_RDONLY);
	NEED(reader >= 0);
	FAILS(fcntl(reader, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	EQUAL(fcntl(reader, F_GET_SEALS), 0);
}

TEST(proc_name, "/proc/self/fd names it")
{
	char path[40], name[80] = "";
	int file = sealable(PAGE);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	CHECK(readlink(path, name, sizeof(name) - 1) > 0);
	CHECK(strcmp(name, "/memfd:test (deleted)") == 0);
}

TEST(inherited, "a child shares the memfd")
{
	int file = sealable(PAGE);
	char *memory = mmap(NULL, PAGE, rw, MAP_SHARED, file, 0);

	NEED(memory != MAP_FAILED);
	IN_CHILD
	{
		memory[0] = 'c';
		CHECK(ftruncate(file, 2 * PAGE) == 0);
	}
	CHECK(memory[0] == 'c' && file_size(file) == 2 * PAGE);
}

TEST(no_descriptors,
     "memfd_create and shm_open without a descriptor to spare are EMFILE; MFD_HUGETLB's sizes alone EINVAL")
{
	struct rlimit limit;

	for (int file = 3; file < 100; file++)
		close(file);
	FAILS(CALL(memfd_create, "sized", 21u << MAP_HUGE_SHIFT), EINVAL);
	FAILS(CALL(memfd_create, "no such size", MFD_HUGETLB | 16u << MAP_HUGE_SHIFT), ENODEV);
	NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 3;
	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	FAILS(CALL(memfd_create, "none", 0), EMFILE);
	FAILS(shm_open(shm_name, O_RDWR | O_CREAT, 0600), EMFILE);
	limit.rlim_cur = 4;
	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	EQUAL(CALL(memfd_create, "one", 0), 3);
}

TEST(shm_rights,
     "shm_open: another user's is EACCES; names with a slash within EINVAL, too long ones ENAMETOOLONG")
{
	char name[NAME_MAX + 3], mine[32];
	int file;

	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	FAILS(shm_open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
	FAILS(shm_open("/a/b", O_RDWR | O_CREAT, 0600), EINVAL);
	snprintf(mine, sizeof(mine), "/phoenix-test-%d", getpid()); /* whoever else runs this */
	file = shm_open(mine, O_RDWR | O_CREAT | O_EXCL, 0644);
	NEED(file >= 0);
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(shm_open(mine, O_RDWR, 0), EACCES);
		CHECK(shm_open(mine, O_RDONLY, 0) >= 0);
		FAILS(shm_unlink(mine), EPERM); /* the directory's sticky bit */
	}
	CHECK(shm_unlink(mine) == 0);
}

TEST(shm_open, "shm_open: a file of /dev/shm, shared by all who open it, until its last user has gone")
{
	int file, second;
	char *memory, *other;

	shm_unlink(shm_name);
	file = shm_open(shm_name, O_RDWR | O_CREAT | O_EXCL, 0600);
	NEED(file >= 0);
	FAILS(shm_open(shm_name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	second = shm_open(shm_name, O_RDWR, 0);
	NEED(second >= 0 && ftruncate(file, 2 * PAGE) == 0);
	CHECK(file_size(second) == 2 * PAGE);
	memory = mmap(NULL, 2 * PAGE, rw, MAP_SHARED, file, 0);
	other = mmap(NULL, 2 * PAGE, rw, MAP_SHARED, second, 0);
	NEED(memory != MAP_FAILED && other != MAP_FAILED);
	memory[PAGE] = 'x';
	EQUAL(other[PAGE], 'x');
	CHECK(shm_unlink(shm_name) == 0);
	FAILS(shm_open(shm_name, O_RDWR, 0), ENOENT);
	FAILS(shm_unlink(shm_name), ENOENT);
	close(file);
	close(second);
	other[0] = 'y';
	CHECK(memory[0] == 'y' && memory[PAGE] == 'x');
}

TEST(shm_unrelated, "two processes that share nothing else meet in /dev/shm")
{
	int file = shm_open(shm_name, O_RDWR | O_CREAT, 0600);
	char *memory;

	NEED(file >= 0 && ftruncate(file, PAGE) == 0);
	IN_CHILD
	{
		int mine = shm_open(shm_name, O_RDWR, 0);
		char *theirs = mmap(NULL, PAGE, rw, MAP_SHARED, mine, 0);

		NEED(theirs != MAP_FAILED);
		strcpy(theirs, "from the child");
	}
	memory = mmap(NULL, PAGE, rw, MAP_SHARED, file, 0);
	shm_unlink(shm_name);
	NEED(memory != MAP_FAILED);
	CHECK(strcmp(memory, "from the child") == 0);
}
