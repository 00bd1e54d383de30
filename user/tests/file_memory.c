/*
 * Files and memory: mappings of files, what lengths do to them, reads and writes of what is mapped; files of memory and their seals; locks
 * on files; mounting and /proc where the program may.
 */
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define PAGES 8

static char directory[] = "/dev/shm/memory.XXXXXX";
static sigjmp_buf out_of_access;
static char buffer[PAGES * PAGE];
static bool zeroes_what_is_beyond; /* the end of a file, when it gets longer: Linux's tmpfs does not */

static void leave(int signo)
{
	siglongjmp(out_of_access, signo);
}

/* The signal that reading (or writing) the byte brings; 0: none. */
static int signal_of(volatile char *address, bool write)
{
	int signo = sigsetjmp(out_of_access, 1);

	if (signo)
		return signo;
	if (write)
		*address = 1;
	else
		(void)*address;
	return 0;
}

static int make(const char *name, size_t bytes)
{
	int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (size_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = (char)(i * 7 + i / PAGE);
	CHECK(file >= 0 && write(file, buffer, bytes) == (ssize_t)bytes);
	return file;
}

static bool is_zero(const char *bytes, size_t count)
{
	while (count-- > 0)
		if (*bytes++ != 0)
			return false;
	return true;
}

/* ---- Mappings ---------------------------------------------------------------------------------------------------- */

static void shared_and_private(void)
{
	int file = make("map", 3 * PAGE);
	char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	char *second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, PAGE);
	char byte;

	CHECK(memcmp(shared, buffer, 3 * PAGE) == 0 && memcmp(private, buffer, 3 * PAGE) == 0);
	CHECK(memcmp(second, buffer + PAGE, PAGE) == 0);
	shared[PAGE] = 'S';
	CHECK(second[0] == 'S');
	CHECK(pread(file, &byte, 1, PAGE) == 1 && byte == 'S');
	private[PAGE] = 'P';
	CHECK(second[0] == 'S' && pread(file, &byte, 1, PAGE) == 1 && byte == 'S');
	CHECK(pwrite(file, "W", 1, PAGE) == 1 && shared[PAGE] == 'W' && private[PAGE] == 'P');
	/* Whether a private mapping shows what is written to the file after it was made is not specified (mmap(2)). */
	CHECK(pwrite(file, "V", 1, 2 * PAGE) == 1 && shared[2 * PAGE] == 'V');
	close(file);
	CHECK(unlink("map") == 0);
	shared[0] = 'X';
	CHECK(shared[PAGE] == 'W' && private[PAGE] == 'P');
	munmap(shared, 3 * PAGE);
	munmap(private, 3 * PAGE);
	munmap(second, PAGE);
}

static void rights_of_mappings(void)
{
	int file, writer;
	char *map;

	file = make("rights", PAGE);
	close(file);
	file = open("rights", O_RDONLY);
	writer = open("rights", O_WRONLY);
	CHECK_ERROR((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EACCES);
	CHECK_ERROR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0), EACCES);
	map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	CHECK(map != MAP_FAILED);
	CHECK_ERROR(mprotect(map, PAGE, PROT_READ | PROT_WRITE), EACCES);
	munmap(map, PAGE);
	map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	CHECK(mprotect(map, PAGE, PROT_READ | PROT_WRITE) == 0 && signal_of(map, true) == 0);
	munmap(map, PAGE);
	CHECK_ERROR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open(".", O_RDONLY), 0), ENODEV);
	CHECK_ERROR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 99, 0), EBADF);
	CHECK_ERROR((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 1), EINVAL);
	close(file);
	close(writer);
	unlink("rights");
}

static void lengths(void)
{
	int file = make("length", 3 * PAGE);
	char *map = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	CHECK(signal_of(map + 2 * PAGE, false) == 0 && signal_of(map + 3 * PAGE, false) == SIGBUS);
	private[2 * PAGE] = 'p';
	CHECK(ftruncate(file, PAGE + 100) == 0);
	CHECK(signal_of(map + 2 * PAGE, false) == SIGBUS && signal_of(private + 2 * PAGE, false) == SIGBUS);
	CHECK(map[PAGE + 99] == buffer[PAGE + 99] && is_zero(map + PAGE + 100, PAGE - 100));
	/* What is written beyond the end in its page is nowhere when the file gets longer. */
	memset(map + PAGE + 100, 'x', PAGE - 100);
	CHECK(ftruncate(file, 3 * PAGE) == 0);
	CHECK(pread(file, buffer, 2 * PAGE, PAGE + 100) == (ssize_t)(2 * PAGE - 100));
	CHECK(!zeroes_what_is_beyond || is_zero(buffer, 2 * PAGE - 100));
	CHECK(signal_of(map + 2 * PAGE, true) == 0 && map[2 * PAGE] == 1);
	memset(map + PAGE, 'y', PAGE);
	CHECK(ftruncate(file, PAGE + 10) == 0);
	memset(map + PAGE + 10, 'z', 100);
	CHECK(pwrite(file, "end", 3, 4 * PAGE) == 3);
	CHECK(map[PAGE + 9] == 'y' && map[4 * PAGE] == 'e');
	CHECK(!zeroes_what_is_beyond || is_zero(map + PAGE + 10, 3 * PAGE - 10));
	CHECK(ftruncate(file, 0) == 0 && signal_of(map, false) == SIGBUS);
	munmap(map, 6 * PAGE);
	munmap(private, 3 * PAGE);
	close(file);
	unlink("length");
}

/* A read into, and a write from, a mapping of the same file. */
static void into_itself(void)
{
	int file = make("self", 4 * PAGE);
	char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	CHECK(pread(file, map + 2 * PAGE, PAGE, 0) == PAGE);
	CHECK(memcmp(map + 2 * PAGE, buffer, PAGE) == 0);
	CHECK(pwrite(file, map + 3 * PAGE, PAGE, PAGE) == PAGE);
	CHECK(memcmp(map + PAGE, buffer + 3 * PAGE, PAGE) == 0);
	CHECK(pwrite(file, map + 100, PAGE, 4 * PAGE) == PAGE);
	CHECK(lseek(file, 0, SEEK_END) == 5 * PAGE);
	munmap(map, 4 * PAGE);
	/* With nothing of either resident. */
	map = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(pread(file, map + 17, 4 * PAGE, 0) == 4 * PAGE);
	munmap(map, 5 * PAGE);
	close(file);
	unlink("self");
}

static void forked(void)
{
	int file = make("fork", PAGE), status;
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);

	fflush(stdout);
	if (fork() == 0) {
		shared[0] = 'c';
		private[1] = 'c';
		lseek(file, 10, SEEK_SET);
		_exit(0);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(shared[0] == 'c' && private[1] == buffer[1]);
	CHECK(lseek(file, 0, SEEK_CUR) == 10);
	munmap(shared, PAGE);
	munmap(private, PAGE);
	close(file);
	unlink("fork");
}

/* ---- Files of memory ------------------------------------------------------------------------------------------------- */

static void memory_files(void)
{
	char path[64], target[64] = "";
	struct stat stat;
	char *map;
	int file;

	CHECK_ERROR(memfd_create("x", 0x800), EINVAL);
	CHECK_ERROR(memfd_create((char *)8, 0), EFAULT);
	file = memfd_create("name", MFD_CLOEXEC);
	CHECK(file >= 0 && fcntl(file, F_GETFD) == FD_CLOEXEC);
	CHECK(fstat(file, &stat) == 0 && stat.st_mode == (S_IFREG | 0777) && stat.st_nlink == 0 &&
	      stat.st_size == 0);
	sprintf(path, "/proc/self/fd/%d", file);
	CHECK(readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, "/memfd:name (deleted)") == 0);
	CHECK(fcntl(file, F_GET_SEALS) == F_SEAL_SEAL);
	CHECK_ERROR(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(file);
	file = memfd_create("sealed", MFD_ALLOW_SEALING);
	CHECK(fcntl(file, F_GET_SEALS) == 0 && ftruncate(file, 2 * PAGE) == 0);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
	CHECK_ERROR(ftruncate(file, 3 * PAGE), EPERM);
	CHECK_ERROR(ftruncate(file, PAGE), EPERM);
	CHECK_ERROR(pwrite(file, "x", 1, 2 * PAGE), EPERM);
	CHECK(pwrite(file, "x", 1, 2 * PAGE - 1) == 1);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK_ERROR(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(map, PAGE);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	CHECK_ERROR(pwrite(file, "x", 1, 0), EPERM);
	CHECK_ERROR((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), EPERM);
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	CHECK(map != MAP_FAILED && signal_of(map, true) == 0);
	munmap(map, PAGE);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_SEAL) == 0);
	CHECK_ERROR(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	CHECK_ERROR(fallocate(file, 3, 0, PAGE), EPERM);
	close(file);
}

/* ---- Locks ------------------------------------------------------------------------------------------------------------- */

static int lock(int file, int command, short type, off_t start, off_t length)
{
	struct flock said = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

	return fcntl(file, command, &said);
}

/* Which lock is in the way; F_UNLCK: none. */
static struct flock asked(int file, short type, off_t start, off_t length)
{
	struct flock said = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

	CHECK(fcntl(file, F_GETLK, &said) == 0);
	return said;
}

static void in_the_way(int file, pid_t parent)
{
	struct flock found = asked(file, F_WRLCK, 0, 0);

	CHECK(found.l_type == F_WRLCK && found.l_start == 10 && found.l_len == 10 && found.l_pid == parent);
	found = asked(file, F_RDLCK, 30, 0);
	CHECK(found.l_type == F_UNLCK);
	found = asked(file, F_WRLCK, 30, 0);
	CHECK(found.l_type == F_RDLCK && found.l_start == 30 && found.l_len == 0);
	CHECK_ERROR(lock(file, F_SETLK, F_RDLCK, 19, 1), EAGAIN);
	CHECK(lock(file, F_SETLK, F_WRLCK, 20, 10) == 0);
	CHECK(lock(file, F_SETLK, F_RDLCK, 100, 1) == 0);
}

static void process_locks(void)
{
	int file = make("lock", 100), copy, status;
	pid_t self = getpid();

	CHECK(lock(file, F_SETLK, F_WRLCK, 0, 20) == 0 && lock(file, F_SETLK, F_UNLCK, 0, 10) == 0);
	CHECK(lock(file, F_SETLK, F_RDLCK, 30, 0) == 0);
	CHECK_ERROR(lock(file, F_SETLK, 7, 0, 0), EINVAL);
	CHECK_ERROR(lock(file, F_SETLK, F_RDLCK, -1, 0), EINVAL);
	CHECK_ERROR(lock(99, F_SETLK, F_RDLCK, 0, 0), EBADF);
	fflush(stdout);
	if (fork() == 0) {
		checks_failed = 0;
		in_the_way(file, self);
		fflush(stdout);
		_exit((int)checks_failed);
	}
	CHECK(wait(&status) > 0 && status == 0);
	/* Closing any descriptor of the file lets the process's locks go. */
	copy = open("lock", O_RDONLY);
	CHECK_ERROR(lock(copy, F_SETLK, F_WRLCK, 50, 1), EBADF);
	close(copy);
	if (fork() == 0)
		_exit(asked(file, F_WRLCK, 0, 0).l_type == F_UNLCK ? 0 : 1);
	CHECK(wait(&status) > 0 && status == 0);
	close(file);
	unlink("lock");
}

/* Two processes, each of which waits for the other: one of them is told. */
static void deadlock(void)
{
	int file = make("dead", 100), ready[2], status;
	char byte;

	CHECK(pipe(ready) == 0);
	CHECK(lock(file, F_SETLK, F_WRLCK, 0, 1) == 0);
	fflush(stdout);
	if (fork() == 0) {
		if (lock(file, F_SETLK, F_WRLCK, 1, 1) != 0)
			_exit(2);
		if (write(ready[1], "x", 1) != 1)
			_exit(3);
		_exit(lock(file, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 4);
	}
	CHECK(read(ready[0], &byte, 1) == 1);
	usleep(100000);
	CHECK_ERROR(lock(file, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	CHECK(lock(file, F_SETLK, F_UNLCK, 0, 0) == 0);
	CHECK(wait(&status) > 0 && status == 0);
	close(ready[0]);
	close(ready[1]);
	close(file);
	unlink("dead");
}

static void locks_of_files(void)
{
	int file = make("flock", 100), other = open("flock", O_RDWR), copy = dup(file);
	struct flock whole = {.l_type = F_WRLCK};

	CHECK(flock(file, LOCK_EX) == 0);
	CHECK_ERROR(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(copy, LOCK_SH) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
	CHECK_ERROR(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	close(file);
	CHECK_ERROR(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	close(copy);
	CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);
	CHECK_ERROR(flock(other, 16), EINVAL);
	CHECK_ERROR(flock(99, LOCK_EX), EBADF);
	file = open("flock", O_RDWR);
	CHECK(fcntl(other, F_OFD_SETLK, &whole) == 0);
	CHECK_ERROR(fcntl(file, F_OFD_SETLK, &whole), EAGAIN);
	CHECK_ERROR(fcntl(file, F_SETLK, &whole), EAGAIN);
	close(other);
	CHECK(fcntl(file, F_OFD_SETLK, &whole) == 0);
	close(file);
	unlink("flock");
}

/* ---- Mounting ------------------------------------------------------------------------------------------------------------ */

static void mounts(void)
{
	struct statfs fs;
	struct stat stat;
	int file;

	CHECK(mkdir("mount", 0755) == 0);
	if (mount("none", "mount", "tmpfs", 0, "size=64k,mode=700") != 0) {
		CHECK(errno == EPERM && rmdir("mount") == 0);
		return;
	}
	CHECK(lstat("mount", &stat) == 0 && stat.st_mode == (S_IFDIR | 0700));
	CHECK(statfs("mount", &fs) == 0 && fs.f_blocks == 16 && fs.f_bfree == 16);
	file = open("mount/file", O_RDWR | O_CREAT, 0600);
	CHECK(write(file, buffer, PAGES * PAGE) == PAGES * PAGE);
	CHECK(lseek(file, 0, SEEK_SET) == 0 && statfs("mount", &fs) == 0 && fs.f_bfree == 8);
	for (int i = 0; i < 2; i++)
		CHECK(write(file, buffer, PAGES * PAGE) == PAGES * PAGE);
	CHECK_ERROR(write(file, buffer, PAGE), ENOSPC);
	CHECK(ftruncate(file, PAGE) == 0 && statfs("mount", &fs) == 0 && fs.f_bfree == 15);
	CHECK_ERROR(umount("mount"), EBUSY);
	close(file);
	CHECK_ERROR(rmdir("mount"), EBUSY);
	CHECK_ERROR(rename("mount", "other"), EBUSY);
	CHECK_ERROR(rename("mount/file", "other"), EXDEV);
	CHECK(chdir("mount") == 0);
	CHECK_ERROR(umount("../mount"), EBUSY);
	CHECK(chdir("..") == 0 && umount("mount") == 0);
	CHECK_ERROR(umount("mount"), EINVAL);
	CHECK_ERROR(access("mount/file", F_OK), ENOENT);
	CHECK_ERROR(mount("none", "mount", "nosuchfs", 0, ""), ENODEV);
	CHECK_ERROR(mount("none", "missing", "tmpfs", 0, ""), ENOENT);
	CHECK_ERROR(mount("none", "mount", "tmpfs", 0, "size=x"), EINVAL);
	CHECK(mount("none", "mount", "tmpfs", MS_RDONLY, "") == 0);
	CHECK_ERROR(open("mount/file", O_RDWR | O_CREAT, 0600), EROFS);
	CHECK(umount2("mount", MNT_DETACH) == 0);
	CHECK(rmdir("mount") == 0);
}

int main(void)
{
	zeroes_what_is_beyond = on_phoenix();
	signal(SIGBUS, leave);
	signal(SIGSEGV, leave);
	CHECK(mkdtemp(directory) && chdir(directory) == 0);
	shared_and_private();
	rights_of_mappings();
	lengths();
	into_itself();
	forked();
	memory_files();
	process_locks();
	deadlock();
	locks_of_files();
	mounts();
	CHECK(chdir("/") == 0 && rmdir(directory) == 0);
	return checks_end("file_memory");
}
