/*
 * Files: open and its flags, reading and writing, offsets, appending, holes, sizes, descriptors, locks, copies.
 * Names, directories and the kinds of stat are in names.c.
 */
#include "tap.h"
#include <pthread.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define RNDGETENTCNT _IOR('R', 0, int) /* <linux/random.h>, which musl does not have */

#define MEGABYTE (1ul << 20)

static char byte_at(int file, off_t offset)
{
	char byte = (char)0xee;

	CHECK(pread(file, &byte, 1, offset) == 1);
	return byte;
}

TEST(open, "open: makes, refuses, truncates, as its flags say")
{
	FAILS(open("new", O_RDWR), ENOENT);
	CHECK(open("new", O_RDWR | O_CREAT | O_EXCL, 0600) >= 0);
	FAILS(open("new", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	close(make_file("new", 100));
	EQUAL(file_size(open("new", O_RDONLY)), 100);
	EQUAL(file_size(open("new", O_RDONLY | O_CREAT, 0600)), 100);
	EQUAL(file_size(open("new", O_RDWR | O_TRUNC)), 0);
	FAILS(open("new/x", O_RDONLY), ENOTDIR);
	FAILS(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open(".", O_RDWR), EISDIR);
	FAILS(open(".", O_WRONLY | O_CREAT, 0600), EISDIR);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open("missing/x", O_RDWR | O_CREAT, 0600), ENOENT);
	FAILS(CALL(open, NULL, O_RDONLY), EFAULT);
	CHECK(open(".", O_RDONLY | O_DIRECTORY) >= 0);
}

TEST(names_too_long, "a name beyond 255 bytes, a path beyond 4095: ENAMETOOLONG")
{
	char *name = anonymous(2 * PAGE);

	memset(name, 'n', 255);
	CHECK(open(name, O_RDWR | O_CREAT, 0600) >= 0);
	name[255] = 'n';
	FAILS(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
	for (unsigned i = 0; i < 5000; i += 2)
		memcpy(name + i, "./", 2);
	FAILS(open(name, O_RDONLY), ENAMETOOLONG);
}

TEST(unnamed, "O_TMPFILE: a file without a name, or EOPNOTSUPP, or EISDIR")
{
	int file = open(".", O_TMPFILE | O_RDWR, 0600);

	CHECK(file >= 0 || errno == EOPNOTSUPP || errno == EISDIR);
	if (file >= 0)
		CHECK(write(file, "abc", 3) == 3 && byte_at(file, 1) == 'b');
}

TEST(lowest, "the lowest free descriptor is taken; dup, dup2, dup3, F_DUPFD")
{
	int file = make_file("file", 10), two;

	EQUAL(dup2(file, 50), 50);
	two = dup(file);
	close(two);
	EQUAL(dup(file), two);
	EQUAL(fcntl(file, F_DUPFD, 50), 51);
	EQUAL(fcntl(file, F_DUPFD_CLOEXEC, 50), 52);
	CHECK(fcntl(52, F_GETFD) == FD_CLOEXEC && fcntl(51, F_GETFD) == 0);
	EQUAL(dup3(file, 60, O_CLOEXEC), 60);
	EQUAL(fcntl(60, F_GETFD), FD_CLOEXEC);
	EQUAL(dup2(file, file), file);
	FAILS(CALL(dup3, file, file, 0), EINVAL);
	FAILS(CALL(dup3, file, 61, 0x1), EINVAL);
	FAILS(dup(999), EBADF);
	FAILS(dup2(999, 5), EBADF);
	FAILS(CALL(dup2, file, -1), EBADF);
	FAILS(CALL(dup2, 999, 999), EBADF);
	FAILS(close(999), EBADF);
	EQUAL(lseek(file, 7, SEEK_SET), 7);
	EQUAL(lseek(50, 0, SEEK_CUR), 7);
}

TEST(descriptor_limit, "RLIMIT_NOFILE: EMFILE")
{
	struct rlimit limit = {20, 20};
	int file, last = -1;

	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while ((file = open("/", O_RDONLY)) >= 0)
		last = file;
	EQUAL(errno, EMFILE);
	EQUAL(last, 19);
	FAILS(dup(0), EMFILE);
	FAILS(dup2(0, 20), EBADF);
	FAILS(fcntl(0, F_DUPFD, 20), EINVAL);
	FAILS(pipe((int[2]){0, 0}), EMFILE);
}

TEST(close_range, "close_range closes what it says, or marks it")
{
	int file = make_file("file", 0);

	for (int i = 40; i < 50; i++)
		NEED(dup2(file, i) == i);
	CHECK(CALL(close_range, 42, 45, 0) == 0);
	CHECK(fcntl(41, F_GETFD) == 0 && fcntl(46, F_GETFD) == 0);
	FAILS(fcntl(42, F_GETFD), EBADF);
	FAILS(fcntl(45, F_GETFD), EBADF);
	CHECK(CALL(close_range, 46, -1, 4) == 0 && fcntl(47, F_GETFD) == FD_CLOEXEC);
	FAILS(CALL(close_range, 5, 4, 0), EINVAL);
	FAILS(CALL(close_range, 60, 70, 0x80), EINVAL);
}

TEST(offsets, "lseek by all ways; before the start is EINVAL, behind the end is a place")
{
	int file = make_file("file", 100);

	EQUAL(lseek(file, 10, SEEK_SET), 10);
	EQUAL(lseek(file, 5, SEEK_CUR), 15);
	EQUAL(lseek(file, -20, SEEK_END), 80);
	EQUAL(lseek(file, 1l << 40, SEEK_SET), 1l << 40);
	FAILS(lseek(file, -1, SEEK_SET), EINVAL);
	FAILS(lseek(file, -200, SEEK_END), EINVAL);
	FAILS(lseek(file, 0, 99), EINVAL);
	FAILS(lseek(999, 0, SEEK_SET), EBADF);
	EQUAL(lseek(file, 0, SEEK_CUR), 1l << 40);
	char byte;
	EQUAL(read(file, &byte, 1), 0);
}

TEST(positions, "pread and pwrite leave the offset; negative ones are EINVAL")
{
	int file = make_file("file", 100);
	char text[10] = "";

	lseek(file, 50, SEEK_SET);
	CHECK(pwrite(file, "hello", 5, 10) == 5 && pread(file, text, 5, 10) == 5 &&
	      strcmp(text, "hello") == 0);
	EQUAL(lseek(file, 0, SEEK_CUR), 50);
	FAILS(pread(file, text, 5, -1), EINVAL);
	FAILS(pwrite(file, text, 5, -1), EINVAL);
	EQUAL(pread(file, text, 10, 95), 5);
	EQUAL(pread(file, text, 10, 100), 0);
	struct iovec pieces[] = {{text, 2}, {text + 5, 3}};
	CHECK(preadv(file, pieces, 2, 10) == 5 && text[0] == 'h' && text[5] == 'l');
	CHECK(pwritev(file, pieces, 2, 98) == 5 && file_size(file) == 103);
}

TEST(append, "O_APPEND: all writes go to the end, from several processes too")
{
	int file = open("file", O_RDWR | O_CREAT | O_APPEND, 0600);
	char text[50000];
	ssize_t count;

	NEED(file >= 0);
	CHECK(write(file, "abc", 3) == 3 && lseek(file, 0, SEEK_SET) == 0 && write(file, "def", 3) == 3);
	EQUAL(lseek(file, 0, SEEK_CUR), 6);
	pid_t children[4];
	for (int i = 0; i < 4; i++) {
		children[i] = fork_counted();
		if (children[i] == 0) {
			int mine = open("file", O_WRONLY | O_APPEND);

			for (int j = 0; j < 500; j++)
				CHECK(dprintf(mine, "%c%06d\n", 'a' + i, j) == 8);
			child_end();
		}
	}
	for (int i = 0; i < 4; i++)
		child_passed(children[i]);
	EQUAL(file_size(file), 6 + 4 * 500 * 8);
	count = pread(file, text, sizeof(text), 6);
	for (ssize_t at = 0; at < count; at += 8)
		NEED(text[at + 7] == '\n' && text[at] >= 'a' && text[at] <= 'd');
}

TEST(holes, "what was never written is zero; SEEK_DATA and SEEK_HOLE find the way")
{
	int file = make_file("file", PAGE);
	off_t data;

	CHECK(pwrite(file, "x", 1, 100 * PAGE) == 1);
	EQUAL(file_size(file), 100 * PAGE + 1);
	CHECK(byte_at(file, 50 * PAGE) == 0 && byte_at(file, 100 * PAGE - 1) == 0 &&
	      byte_at(file, PAGE - 1) == 1);
	struct stat status;
	CHECK(fstat(file, &status) == 0 && status.st_blocks * 512 < (blkcnt_t)(50 * PAGE));
	EQUAL(lseek(file, 0, SEEK_DATA), 0);
	EQUAL(lseek(file, 0, SEEK_HOLE), PAGE);
	data = lseek(file, PAGE, SEEK_DATA);
	CHECK(data > (off_t)PAGE && data <= 100 * (off_t)PAGE);
	EQUAL(lseek(file, 100 * PAGE, SEEK_HOLE), 100 * PAGE + 1);
	FAILS(lseek(file, 101 * PAGE, SEEK_DATA), ENXIO);
}

TEST(sizes, "truncate and ftruncate in both directions, and their errors")
{
	int file = make_file("file", 2 * PAGE), reader = open("file", O_RDONLY);

	CHECK(ftruncate(file, 10) == 0 && file_size(file) == 10);
	CHECK(ftruncate(file, PAGE) == 0 && byte_at(file, 9) == 1 && byte_at(file, 10) == 0);
	CHECK(truncate("file", 5) == 0 && file_size(file) == 5);
	CHECK(ftruncate(file, 1l << 40) == 0 && byte_at(file, 1l << 39) == 0 && ftruncate(file, 0) == 0);
	FAILS(ftruncate(file, -1), EINVAL);
	FAILS(truncate("file", -1), EINVAL);
	FAILS(ftruncate(reader, 0), EINVAL);
	FAILS(ftruncate(999, 0), EBADF);
	FAILS(truncate("missing", 0), ENOENT);
	FAILS(truncate(".", 0), EISDIR);
}

TEST(size_limit, "RLIMIT_FSIZE: SIGXFSZ, and EFBIG; a write that begins below it is cut short")
{
	struct rlimit limit = {PAGE, PAGE};

	IN_CHILD
	{
		int file = make_file("file", 0);
		char bytes[200];

		NEED(setrlimit(RLIMIT_FSIZE, &limit) == 0);
		signal(SIGXFSZ, SIG_IGN);
		EQUAL(pwrite(file, bytes, 200, PAGE - 100), 100);
		FAILS(pwrite(file, bytes, 200, PAGE), EFBIG);
		FAILS(ftruncate(file, PAGE + 1), EFBIG);
	}
}

TEST(allocate, "fallocate and posix_fadvise")
{
	int file = make_file("file", 10), ends[2];

	NEED(pipe(ends) == 0);
	CHECK(fallocate(file, 0, 0, 3 * PAGE) == 0 && file_size(file) == 3 * PAGE &&
	      byte_at(file, PAGE) == 0);
	CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 10 * PAGE) == 0 && file_size(file) == 3 * PAGE);
	FAILS(fallocate(file, 0, -1, PAGE), EINVAL);
	FAILS(fallocate(file, 0, 0, 0), EINVAL);
	FAILS(fallocate(file, 0x4000, 0, PAGE), EOPNOTSUPP);
	FAILS(fallocate(ends[1], 0, 0, PAGE), ESPIPE);
	FAILS(fallocate(open("file", O_RDONLY), 0, 0, PAGE), EBADF);
	CHECK(CALL(fadvise64, file, 0, 0, POSIX_FADV_WILLNEED) == 0);
	EQUAL(CALL(readahead, file, 0, PAGE), 0);
	FAILS(CALL(readahead, -1, 0, PAGE), EBADF);
	FAILS(CALL(readahead, ends[0], 0, PAGE), EINVAL);
	FAILS(CALL(readahead, ends[1], 0, PAGE), EBADF);
	FAILS(CALL(fadvise64, file, 0, 0, 99), EINVAL);
	FAILS(CALL(fadvise64, ends[0], 0, 0, 0), ESPIPE);
}

TEST(large, "a file of eight megabytes, written in odd pieces and read back")
{
	int file = make_file("file", 0);
	unsigned char bytes[10007];
	size_t done = 0;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i % 251);
	while (done < 8 * MEGABYTE) {
		NEED(write(file, bytes, sizeof(bytes)) == sizeof(bytes));
		done += sizeof(bytes);
	}
	lseek(file, 0, SEEK_SET);
	for (size_t at = 0; at < done; at += sizeof(bytes)) {
		NEED(read(file, bytes, sizeof(bytes)) == sizeof(bytes));
		NEED(bytes[0] == 0 && bytes[250] == 250 && bytes[251] == 0 && bytes[10006] == 10006 % 251);
	}
	EQUAL(read(file, bytes, 1), 0);
}

TEST(access_modes, "reading what is open to be written, and the other way: EBADF")
{
	char byte = 0;

	close(make_file("file", 10));
	FAILS(read(open("file", O_WRONLY), &byte, 1), EBADF);
	FAILS(write(open("file", O_RDONLY), &byte, 1), EBADF);
	FAILS(read(open(".", O_RDONLY), &byte, 1), EISDIR);
	FAILS(read(999, &byte, 1), EBADF);
	EQUAL(fcntl(open("file", O_RDWR | O_APPEND | O_NONBLOCK), F_GETFL) & 07777,
	      O_RDWR | O_APPEND | O_NONBLOCK);
}

TEST(flags, "F_SETFL changes O_APPEND and O_NONBLOCK, and not the access")
{
	int file = make_file("file", 10);

	CHECK(fcntl(file, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY) == 0);
	EQUAL(fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR | O_APPEND | O_NONBLOCK);
	CHECK(write(file, "x", 1) == 1 && file_size(file) == 11);
	CHECK(fcntl(file, F_SETFD, FD_CLOEXEC) == 0 && fcntl(file, F_GETFD) == FD_CLOEXEC);
	FAILS(fcntl(file, 9999), EINVAL);
	FAILS(fcntl(999, F_GETFL), EBADF);
}

/* Sets a lock, or asks for one, of so many bytes. */
static int lock(int file, int command, int type, off_t start, off_t length)
{
	struct flock wanted = {
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

	return fcntl(file, command, &wanted);
}

TEST(locks, "fcntl locks: ranges between processes, reading together, writing alone")
{
	struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
	int file = make_file("file", 100);
	pid_t parent = getpid();

	CHECK(lock(file, F_SETLK, F_WRLCK, 0, 10) == 0 && lock(file, F_SETLK, F_RDLCK, 20, 10) == 0);
	CHECK(lock(file, F_SETLK, F_WRLCK, 0, 10) == 0); /* one's own never is in the way */
	IN_CHILD
	{
		FAILS(lock(file, F_SETLK, F_WRLCK, 5, 10), EAGAIN);
		FAILS(lock(file, F_SETLK, F_RDLCK, 9, 1), EAGAIN);
		FAILS(lock(file, F_SETLK, F_WRLCK, 0, 0), EAGAIN); /* 0: to the end */
		CHECK(lock(file, F_SETLK, F_WRLCK, 10, 10) == 0 && lock(file, F_SETLK, F_RDLCK, 20, 5) == 0);
		FAILS(lock(file, F_SETLK, F_WRLCK, 20, 5), EAGAIN);
		CHECK(fcntl(file, F_GETLK, &asked) == 0);
		CHECK(asked.l_type == F_WRLCK && asked.l_pid == parent && asked.l_start == 0 &&
		      asked.l_len == 10);
	}
	CHECK(lock(file, F_SETLK, F_UNLCK, 3, 2) == 0);
	IN_CHILD
	{
		CHECK(lock(file, F_SETLK, F_WRLCK, 3, 2) == 0);
		FAILS(lock(file, F_SETLK, F_WRLCK, 2, 1), EAGAIN);
	}
	close(open("file", O_RDONLY)); /* any close of the file drops the process's locks */
	IN_CHILD
	{
		CHECK(lock(file, F_SETLK, F_WRLCK, 0, 0) == 0);
	}
}

TEST(lock_first, "F_GETLK tells of the lock that begins first, whichever was set first")
{
	struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int file = make_file("file", 100);

	CHECK(lock(file, F_SETLK, F_WRLCK, 10, 5) == 0 && lock(file, F_SETLK, F_RDLCK, 1, 5) == 0);
	IN_CHILD
	{
		CHECK(fcntl(file, F_GETLK, &asked) == 0);
		EQUAL(asked.l_type, F_RDLCK);
		EQUAL(asked.l_start, 1);
		EQUAL(asked.l_len, 5);
	}
}

TEST(lock_waits, "F_SETLKW waits; a deadlock is EDEADLK")
{
	int file = make_file("file", 100), ends[2];
	char byte;

	NEED(pipe(ends) == 0 && lock(file, F_SETLK, F_WRLCK, 0, 1) == 0);
	pid_t child = fork_counted();
	if (child == 0) {
		CHECK(lock(file, F_SETLK, F_WRLCK, 1, 1) == 0 && write(ends[1], "l", 1) == 1);
		CHECK(lock(file, F_SETLKW, F_WRLCK, 0, 1) == 0);
		child_end();
	}
	NEED(read(ends[0], &byte, 1) == 1);
	sleep_ms(50);
	FAILS(lock(file, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	CHECK(lock(file, F_SETLK, F_UNLCK, 0, 1) == 0);
	child_passed(child);
}

/*
 * This process has byte 1, the child 2, and this one waits for 2. A third has byte 0, so that two are in the way of who wants both 0 and 1: Linux sees the circle
 * when the third's lock goes, at the latest.
 */
TEST(lock_circle, "a circle is seen where a lock of somebody else's is in the way, too")
{
	int file = make_file("file", 100), ready[2], status;
	pid_t child, third;
	char byte;

	NEED(pipe(ready) == 0);
	CHECK(lock(file, F_SETLK, F_WRLCK, 1, 1) == 0);
	third = fork();
	if (third == 0) {
		lock(file, F_SETLK, F_WRLCK, 0, 1);
		CHECK(write(ready[1], "x", 1) == 1);
		sleep_ms(1000);
		_exit(0);
	}
	NEED(read(ready[0], &byte, 1) == 1);
	child = fork();
	if (child == 0) {
		lock(file, F_SETLK, F_WRLCK, 2, 1);
		CHECK(write(ready[1], "x", 1) == 1);
		sleep_ms(300);
		_exit(lock(file, F_SETLKW, F_WRLCK, 0, 2) == -1 && errno == EDEADLK ? 0 : 1);
	}
	NEED(read(ready[0], &byte, 1) == 1);
	EQUAL(lock(file, F_SETLKW, F_WRLCK, 2, 1), 0); /* when the child has ended */
	status = wait_status(child);
	EQUAL(status, 0);
	wait_status(third);
}

static int waits_for_lock;

static void *wait_for_lock(void *nothing)
{
	FAILS(lock(waits_for_lock, F_SETLKW, F_WRLCK, 0, 1), EBADF);
	return nothing;
}

TEST(lock_closed, "F_SETLKW of a descriptor that is closed meanwhile: EBADF, and nobody has the lock")
{
	int ends[2];
	pthread_t waiter;
	char byte;

	waits_for_lock = make_file("file", 100);
	NEED(pipe(ends) == 0);
	pid_t holder = fork_counted();
	if (holder == 0) {
		CHECK(lock(open("file", O_RDWR), F_SETLK, F_WRLCK, 0, 1) == 0 && write(ends[1], "l", 1) == 1);
		sleep_ms(200);
		child_end();
	}
	NEED(read(ends[0], &byte, 1) == 1);
	NEED(pthread_create(&waiter, NULL, wait_for_lock, NULL) == 0);
	sleep_ms(50);
	close(waits_for_lock);
	child_passed(holder);
	pthread_join(waiter, NULL);
	IN_CHILD
	{
		CHECK(lock(open("file", O_RDWR), F_SETLK, F_WRLCK, 0, 1) == 0);
	}
	CHECK(unlink("file") == 0);
}

TEST(lock_bad, "locks need a file that is open for it; unknown types are EINVAL")
{
	int file = make_file("file", 100), reader = open("file", O_RDONLY), writer = open("file", O_WRONLY);

	FAILS(lock(reader, F_SETLK, F_WRLCK, 0, 1), EBADF);
	FAILS(lock(writer, F_SETLK, F_RDLCK, 0, 1), EBADF);
	FAILS(lock(file, F_SETLK, 99, 0, 1), EINVAL);
	FAILS(lock(file, F_SETLK, F_RDLCK, -1, 1), EINVAL);
	FAILS(lock(file, F_SETLK, F_RDLCK, -5, INT64_MIN), EINVAL);
	FAILS(lock(file, F_SETLK, F_RDLCK, 5, INT64_MIN), EINVAL);
	FAILS(lock(file, F_SETLK, F_RDLCK, INT64_MAX, 2), EOVERFLOW);
	CHECK(lock(file, F_SETLK, F_RDLCK, INT64_MAX, 1) == 0 && lock(file, F_SETLK, F_RDLCK, 0, 1) == 0);
	FAILS(CALL(fcntl, file, F_SETLK, 8), EFAULT);
}

TEST(whole_locks, "flock: whole files, by open file, inherited by fork")
{
	int file = make_file("file", 10), other = open("file", O_RDWR);

	CHECK(flock(file, LOCK_EX) == 0);
	FAILS(flock(other, LOCK_EX | LOCK_NB), EAGAIN);
	FAILS(flock(other, LOCK_SH | LOCK_NB), EAGAIN);
	IN_CHILD
	{
		CHECK(flock(file, LOCK_EX | LOCK_NB) == 0);
	}
	CHECK(flock(file, LOCK_SH) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
	CHECK(flock(other, LOCK_UN) == 0 && flock(file, LOCK_EX | LOCK_NB) == 0);
	close(file);
	CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);
	FAILS(flock(other, 0), EINVAL);
}

TEST(send_file, "sendfile: file to file and to a pipe, with an offset or without")
{
	int from = make_file("from", 3 * PAGE), to = make_file("to", 0), ends[2];
	off_t offset = PAGE;

	NEED(pipe(ends) == 0);
	EQUAL(sendfile(to, from, &offset, PAGE + 10), PAGE + 10);
	CHECK(offset == 2 * (off_t)PAGE + 10 && byte_at(to, 0) == 2 && byte_at(to, PAGE) == 3);
	lseek(from, 3 * PAGE - 5, SEEK_SET);
	EQUAL(sendfile(ends[1], from, NULL, 100), 5);
	EQUAL(sendfile(ends[1], from, NULL, 100), 0);
	offset = 0;
	FAILS(sendfile(to, ends[0], NULL, 10), EINVAL);
	FAILS(sendfile(999, from, NULL, 10), EBADF);
	FAILS(sendfile(open("to", O_RDONLY), from, NULL, 10), EBADF);
}

TEST(copy_range, "copy_file_range")
{
	int from = make_file("from", 3 * PAGE), to = make_file("to", 0);
	off_t at = PAGE - 5, target = 100;

	EQUAL(copy_file_range(from, &at, to, &target, PAGE, 0), PAGE);
	CHECK(at == 2 * (off_t)PAGE - 5 && target == (off_t)PAGE + 100 && file_size(to) == PAGE + 100);
	CHECK(byte_at(to, 99) == 0 && byte_at(to, 104) == 1 && byte_at(to, 105) == 2);
	at = 3 * PAGE;
	EQUAL(copy_file_range(from, &at, to, &target, PAGE, 0), 0);
	FAILS(CALL(copy_file_range, from, NULL, to, NULL, 10, 1), EINVAL);
	at = 0, target = 10;
	FAILS(copy_file_range(from, &at, from, &target, 100, 0), EINVAL); /* overlapping */
	FAILS(copy_file_range(from, NULL, open("to", O_RDONLY), NULL, 10, 0), EBADF);
	FAILS(copy_file_range(from, NULL, open("to", O_WRONLY | O_APPEND), NULL, 10, 0), EBADF);
}

TEST(unlinked, "a file that is unlinked while it is open is there until it is closed")
{
	int file = make_file("file", PAGE);
	struct stat status;

	CHECK(unlink("file") == 0 && access("file", F_OK) == -1);
	CHECK(fstat(file, &status) == 0 && status.st_nlink == 0 && byte_at(file, 5) == 1);
	CHECK(pwrite(file, "x", 1, 5 * PAGE) == 1 && file_size(file) == 5 * PAGE + 1);
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	int again = open(path, O_RDONLY);
	CHECK(again >= 0 && byte_at(again, 5 * PAGE) == 'x');
}

TEST(syncing, "fsync, fdatasync, sync, syncfs")
{
	int file = make_file("file", 10), ends[2];

	NEED(pipe(ends) == 0);
	CHECK(fsync(file) == 0 && fdatasync(file) == 0 && CALL(syncfs, file) == 0);
	sync();
	FAILS(fsync(999), EBADF);
	FAILS(fsync(ends[0]), EINVAL);
	FAILS(CALL(sync_file_range, ends[0], 0, 1, 4), ESPIPE);
	FAILS(ioctl(file, 0x12345678, 0), ENOTTY);
}

TEST(devices, "/dev/null, zero, full, random, urandom, tty")
{
	char bytes[64], zeroes[64] = {0};
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR),
	    full = open("/dev/full", O_RDWR);
	int random = open("/dev/urandom", O_RDONLY), entropy = 0;

	NEED(null >= 0 && zero >= 0 && full >= 0 && random >= 0);
	CHECK(read(null, bytes, 10) == 0 && write(null, bytes, 10) == 10);
	memset(bytes, 'x', sizeof(bytes));
	CHECK(read(zero, bytes, 64) == 64 && memcmp(bytes, zeroes, 64) == 0 && write(zero, bytes, 10) == 10);
	FAILS(write(full, bytes, 1), ENOSPC);
	CHECK(read(full, bytes, 5) == 5);
	CHECK(read(random, bytes, 64) == 64 && memcmp(bytes, zeroes, 64) != 0);
	CHECK(ioctl(random, RNDGETENTCNT, &entropy) == 0 && entropy > 0);
	EQUAL(atoi(contents("/proc/sys/kernel/random/entropy_avail")), entropy);
	EQUAL(CALL(getrandom, bytes, 64, 0), 64);
	FAILS(CALL(getrandom, bytes, 64, 0x80), EINVAL);
	FAILS(CALL(getrandom, 8, 64, 0), EFAULT);
	CHECK(access("/dev/random", R_OK) == 0 && access("/dev/tty", F_OK) == 0 &&
	      access("/dev/console", F_OK) == 0);
}
