/*
 * Files: opening, reading, writing, positions, lengths, holes, descriptors, flags; with the errors of each call.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define BIG            (1 << 20)
#define COLLAPSE_RANGE 8 /* FALLOC_FL_COLLAPSE_RANGE of <linux/falloc.h>, which musl-gcc does not find */

static char directory[] = "/dev/shm/files.XXXXXX";
static char buffer[BIG], other[BIG];

static void fill(char *to, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (char)((i * 2654435761u + seed) >> 13);
}

static int make(const char *name, const void *contents, size_t bytes)
{
	int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	CHECK(file >= 0);
	CHECK(write(file, contents, bytes) == (ssize_t)bytes);
	return file;
}

static off_t length(int file)
{
	struct stat stat;

	return fstat(file, &stat) ? -1 : stat.st_size;
}

/* ---- open ------------------------------------------------------------------------------------------------ */

static void opening(void)
{
	struct stat stat_before, stat_after;
	int file;

	CHECK_ERROR(open("missing", O_RDONLY), ENOENT);
	CHECK_ERROR(open("", O_RDONLY), ENOENT);
	CHECK_ERROR(open("missing/x", O_RDWR | O_CREAT, 0600), ENOENT);
	CHECK_ERROR(open((char *)1, O_RDONLY), EFAULT);
	file = open("new", O_WRONLY | O_CREAT | O_EXCL, 0666);
	CHECK(file >= 0);
	CHECK(fstat(file, &stat_before) == 0 && stat_before.st_mode == (S_IFREG | 0644));
	CHECK(stat_before.st_nlink == 1 && stat_before.st_size == 0 && stat_before.st_blocks == 0);
	CHECK_ERROR(read(file, buffer, 1), EBADF);
	CHECK(write(file, "abc", 3) == 3);
	close(file);
	CHECK_ERROR(open("new", O_WRONLY | O_CREAT | O_EXCL, 0666), EEXIST);
	CHECK_ERROR(open("new/x", O_RDONLY), ENOTDIR);
	CHECK_ERROR(open("new/", O_RDONLY), ENOTDIR);
	CHECK_ERROR(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERROR(open(".", O_RDWR), EISDIR);
	CHECK_ERROR(open(".", O_RDONLY | O_CREAT, 0600), EISDIR);
	file = open("new", O_RDONLY);
	CHECK_ERROR(write(file, buffer, 1), EBADF);
	CHECK(read(file, buffer, 10) == 3 && memcmp(buffer, "abc", 3) == 0);
	CHECK(read(file, buffer, 10) == 0);
	CHECK_ERROR(ftruncate(file, 1), EINVAL);
	close(file);
	file = open("new", O_RDWR | O_TRUNC);
	CHECK(length(file) == 0);
	CHECK(stat("new", &stat_after) == 0 && stat_after.st_ino == stat_before.st_ino);
	close(file);
	file = open(".", O_RDONLY);
	CHECK_ERROR(read(file, buffer, 1), EISDIR);
	CHECK(openat(file, "new", O_RDONLY) >= 0);
	close(file);
	CHECK_ERROR(openat(99, "new", O_RDONLY), EBADF);
	CHECK_ERROR(openat(0x7fffffff, "new", O_RDONLY), EBADF);
	file = open("new", O_PATH);
	CHECK(file >= 0 && fstat(file, &stat_after) == 0);
	CHECK_ERROR(read(file, buffer, 1), EBADF);
	CHECK_ERROR(syscall(SYS_fchmod, file, 0600), EBADF);
	CHECK(fcntl(file, F_GETFL) == O_PATH);
	close(file);
	unlink("new");
}

static void temporary_file(void)
{
	int file = open(".", O_TMPFILE | O_RDWR, 0600);
	struct stat stat;

	CHECK(file >= 0);
	CHECK(fstat(file, &stat) == 0 && stat.st_nlink == 0 && stat.st_mode == (S_IFREG | 0600));
	CHECK(write(file, "x", 1) == 1);
	CHECK(linkat(file, "", AT_FDCWD, "named", AT_EMPTY_PATH) == 0);
	CHECK(fstat(file, &stat) == 0 && stat.st_nlink == 1);
	CHECK(unlink("named") == 0);
	close(file);
	CHECK_ERROR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	CHECK_ERROR(open("missing", O_TMPFILE | O_RDWR, 0600), ENOENT);
}

/* ---- Reading and writing ------------------------------------------------------------------------------------ */

static void contents(void)
{
	static const size_t sizes[] = {1, 7, 4095, 4096, 4097, 10000, 65536, BIG - 1};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];
		int file;

		fill(buffer, size, (unsigned)i);
		file = make("data", buffer, size);
		CHECK(length(file) == (off_t)size);
		CHECK(lseek(file, 0, SEEK_SET) == 0);
		memset(other, 0x55, sizeof(other));
		CHECK(read(file, other, sizeof(other)) == (ssize_t)size);
		CHECK(memcmp(buffer, other, size) == 0);
		CHECK(pread(file, other, 100, (off_t)size / 2) ==
		      (ssize_t)(size - size / 2 < 100 ? size - size / 2 : 100));
		CHECK(memcmp(buffer + size / 2, other, size - size / 2 < 100 ? size - size / 2 : 100) == 0);
		/* Over a page boundary of the file and of memory, unaligned. */
		if (size > 5000 && size < BIG / 2) {
			CHECK(pwrite(file, "0123456789", 10, 4091) == 10);
			memcpy(buffer + 4091, "0123456789", 10);
			CHECK(pread(file, other + 4090, size - 3, 3) == (ssize_t)size - 3);
			CHECK(memcmp(other + 4090, buffer + 3, size - 3) == 0);
		}
		close(file);
	}
	CHECK_ERROR(pread(open("data", O_RDONLY), buffer, 1, -1), EINVAL);
	unlink("data");
}

static void positions(void)
{
	int file = make("position", "0123456789", 10);

	CHECK(lseek(file, 0, SEEK_CUR) == 10);
	CHECK(lseek(file, -3, SEEK_END) == 7);
	CHECK(read(file, buffer, 2) == 2 && buffer[0] == '7');
	CHECK(lseek(file, -4, SEEK_CUR) == 5);
	CHECK_ERROR(lseek(file, -1, SEEK_SET), EINVAL);
	CHECK_ERROR(lseek(file, -11, SEEK_END), EINVAL);
	CHECK_ERROR(lseek(file, 0, 9), EINVAL);
	CHECK_ERROR(lseek(99, 0, SEEK_SET), EBADF);
	CHECK(lseek(file, 0, SEEK_CUR) == 5);
	CHECK(lseek(file, 100, SEEK_SET) == 100);
	CHECK(read(file, buffer, 1) == 0);
	CHECK(write(file, "x", 1) == 1 && length(file) == 101);
	memset(buffer, 0x55, 200);
	CHECK(pread(file, buffer, 200, 0) == 101);
	CHECK(memcmp(buffer, "0123456789", 10) == 0 && buffer[10] == 0 && buffer[99] == 0 &&
	      buffer[100] == 'x');
	close(file);
	file = open("position", O_WRONLY | O_APPEND);
	CHECK(lseek(file, 0, SEEK_SET) == 0 && write(file, "yz", 2) == 2);
	CHECK(length(file) == 103 && lseek(file, 0, SEEK_CUR) == 103);
	close(file);
	unlink("position");
}

static void vectors(void)
{
	struct iovec parts[4] = {{"ab", 2}, {NULL, 0}, {"cdef", 4}, {"g", 1}};
	struct iovec into[3] = {{buffer, 1}, {buffer + 10, 3}, {buffer + 20, 100}};
	int file = open("vector", O_RDWR | O_CREAT, 0600);

	CHECK(writev(file, parts, 4) == 7);
	CHECK(pwritev(file, parts, 1, 5) == 2);
	CHECK(preadv(file, into, 3, 0) == 7);
	CHECK(buffer[0] == 'a' && memcmp(buffer + 10, "bcd", 3) == 0 && memcmp(buffer + 20, "eab", 3) == 0);
	CHECK(lseek(file, 0, SEEK_SET) == 0 && readv(file, into, 3) == 7);
	CHECK_ERROR(readv(file, into, -1), EINVAL);
	CHECK_ERROR(readv(file, into, 1025), EINVAL);
	CHECK_ERROR(readv(file, (struct iovec *)8, 1), EFAULT);
	CHECK(readv(file, into, 0) == 0);
	into[1].iov_len = (size_t)-1;
	CHECK_ERROR(readv(file, into, 3), EINVAL);
	CHECK(syscall(SYS_preadv2, file, parts, 0, 0, 0, 0) == 0);
	CHECK_ERROR(syscall(SYS_preadv2, file, into, 1, 0, 0, 0x80), EOPNOTSUPP);
	close(file);
	unlink("vector");
}

/* Bad memory in the middle of what is to be moved. */
static void bad_memory(void)
{
	char *pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file = open("bad", O_RDWR | O_CREAT, 0600);

	fill(pages, 4 * PAGE, 9);
	CHECK(mprotect(pages + 2 * PAGE, PAGE, PROT_NONE) == 0);
	CHECK_ERROR(write(file, pages + 2 * PAGE, 10), EFAULT);
	CHECK_ERROR(write(file, (char *)-4096, 10), EFAULT);
	CHECK(length(file) == 0);
	CHECK(write(file, pages, 4 * PAGE) == 2 * PAGE);
	CHECK(length(file) == 2 * PAGE);
	CHECK(lseek(file, 0, SEEK_SET) == 0);
	CHECK_ERROR(read(file, pages + 2 * PAGE, 10), EFAULT);
	CHECK(lseek(file, 0, SEEK_CUR) == 0);
	CHECK(read(file, pages + PAGE, 2 * PAGE) == PAGE);
	CHECK(mprotect(pages, PAGE, PROT_READ) == 0);
	CHECK_ERROR(pread(file, pages, 10, 0), EFAULT);
	CHECK(pwrite(file, pages, 10, 0) == 10);
	CHECK(read(file, pages, 0) == 0 && write(file, pages, 0) == 0);
	/* What a failed write left beyond the end shows nowhere. */
	CHECK(ftruncate(file, 0) == 0 && ftruncate(file, 4 * PAGE) == 0);
	CHECK(pread(file, other, 4 * PAGE, 0) == 4 * PAGE);
	for (size_t i = 0; i < 4 * PAGE; i++)
		if (other[i]) {
			CHECK(!"zeroes after truncation");
			break;
		}
	munmap(pages, 4 * PAGE);
	close(file);
	unlink("bad");
}

/* ---- Lengths and holes ----------------------------------------------------------------------------------------- */

static void lengths(void)
{
	int file;
	struct stat stat;

	fill(buffer, 10000, 3);
	file = make("length", buffer, 10000);
	CHECK(ftruncate(file, 5000) == 0 && length(file) == 5000);
	CHECK(ftruncate(file, 9000) == 0 && length(file) == 9000);
	CHECK(pread(file, other, 10000, 0) == 9000);
	CHECK(memcmp(other, buffer, 5000) == 0);
	CHECK(other[5000] == 0 && other[8191] == 0 && other[8192] == 0 && other[8999] == 0);
	CHECK(truncate("length", 1) == 0 && length(file) == 1);
	CHECK_ERROR(ftruncate(file, -1), EINVAL);
	CHECK_ERROR(truncate("length", -1), EINVAL);
	CHECK_ERROR(truncate("missing", 1), ENOENT);
	CHECK_ERROR(truncate(".", 1), EISDIR);
	CHECK(ftruncate(file, 1ul << 40) == 0 && length(file) == 1l << 40);
	CHECK(fstat(file, &stat) == 0 && stat.st_blocks == 8);
	CHECK(pwrite(file, "far", 3, 1l << 39) == 3);
	CHECK(fstat(file, &stat) == 0 && stat.st_blocks == 16);
	CHECK(lseek(file, 0, SEEK_DATA) == 0);
	CHECK(lseek(file, 1, SEEK_HOLE) == PAGE);
	CHECK(lseek(file, 2 * PAGE, SEEK_DATA) == 1l << 39);
	CHECK(lseek(file, (1l << 39) + 5, SEEK_HOLE) == (1l << 39) + (off_t)PAGE);
	CHECK_ERROR(lseek(file, (1l << 39) + 5000, SEEK_DATA), ENXIO);
	CHECK(lseek(file, (1l << 39) + 5000, SEEK_HOLE) == (1l << 39) + 5000);
	CHECK_ERROR(lseek(file, 1l << 40, SEEK_HOLE), ENXIO);
	CHECK(ftruncate(file, 0) == 0 && fstat(file, &stat) == 0 && stat.st_blocks == 0);
	close(file);
	unlink("length");
}

static void allocation(void)
{
	int file = open("allocate", O_RDWR | O_CREAT, 0600);
	struct stat stat;

	CHECK(fallocate(file, 0, 0, 3 * PAGE) == 0 && length(file) == 3 * PAGE);
	CHECK(fstat(file, &stat) == 0 && stat.st_blocks == 24);
	fill(buffer, 3 * PAGE, 1);
	CHECK(pwrite(file, buffer, 3 * PAGE, 0) == 3 * PAGE);
	CHECK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 2 * PAGE) == 0);
	memset(buffer + 100, 0, 2 * PAGE);
	CHECK(pread(file, other, 3 * PAGE, 0) == 3 * PAGE && memcmp(other, buffer, 3 * PAGE) == 0);
	CHECK(fstat(file, &stat) == 0 && stat.st_blocks == 16);
	CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 10 * PAGE) == 0 && length(file) == 3 * PAGE);
	CHECK_ERROR(fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
	CHECK_ERROR(fallocate(file, COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP);
	CHECK_ERROR(fallocate(file, 0, -1, PAGE), EINVAL);
	CHECK_ERROR(fallocate(file, 0, 0, 0), EINVAL);
	CHECK_ERROR(fallocate(99, 0, 0, 1), EBADF);
	close(file);
	unlink("allocate");
}

static volatile int file_size_signals;

static void count_signal(int signo)
{
	file_size_signals += signo == SIGXFSZ;
}

static void size_limit(void)
{
	const struct rlimit limit = {10000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	int file = open("limit", O_RDWR | O_CREAT, 0600);

	signal(SIGXFSZ, count_signal);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(write(file, buffer, 9990) == 9990);
	CHECK(write(file, buffer, 20) == 10);
	CHECK(file_size_signals == 0);
	CHECK_ERROR(write(file, buffer, 1), EFBIG);
	CHECK(file_size_signals == 1);
	CHECK_ERROR(ftruncate(file, 10001), EFBIG);
	CHECK(file_size_signals == 2);
	CHECK(length(file) == 10000);
	CHECK(setrlimit(RLIMIT_FSIZE, &none) == 0);
	signal(SIGXFSZ, SIG_DFL);
	close(file);
	unlink("limit");
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------------ */

static void descriptors(void)
{
	const struct rlimit few = {20, 4096}, usual = {1024, 4096};
	int file = make("descriptor", "0123456789", 10), copy, last = -1;

	copy = dup(file);
	CHECK(copy > file);
	CHECK(lseek(copy, 3, SEEK_SET) == 3 && lseek(file, 0, SEEK_CUR) == 3);
	CHECK(dup2(file, 30) == 30 && dup2(file, file) == file);
	CHECK_ERROR(dup2(99, 31), EBADF);
	CHECK_ERROR(dup2(99, 99), EBADF);
	CHECK_ERROR(dup2(file, -1), EBADF);
	CHECK_ERROR(dup3(file, file, 0), EINVAL);
	CHECK_ERROR(syscall(SYS_dup3, file, 31, O_APPEND), EINVAL);
	CHECK(dup3(file, 31, O_CLOEXEC) == 31 && fcntl(31, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(30, F_GETFD) == 0 && fcntl(30, F_SETFD, FD_CLOEXEC) == 0 &&
	      fcntl(30, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(file, F_DUPFD, 40) == 40 && fcntl(file, F_DUPFD_CLOEXEC, 40) == 41);
	CHECK(fcntl(41, F_GETFD) == FD_CLOEXEC && fcntl(40, F_GETFD) == 0);
	CHECK_ERROR(fcntl(file, F_DUPFD, 1 << 30), EINVAL);
	CHECK_ERROR(fcntl(99, F_GETFD), EBADF);
	CHECK_ERROR(fcntl(file, 9999, 0), EINVAL);
	CHECK((fcntl(file, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fcntl(file, F_SETFL, O_APPEND | O_NONBLOCK) == 0);
	CHECK((fcntl(copy, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
	CHECK(write(copy, "x", 1) == 1 && length(file) == 11);
	CHECK(syscall(SYS_close_range, 30, 40, 0) == 0);
	CHECK_ERROR(fcntl(30, F_GETFD), EBADF);
	CHECK_ERROR(fcntl(40, F_GETFD), EBADF);
	CHECK(fcntl(41, F_GETFD) == FD_CLOEXEC);
	CHECK_ERROR(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	CHECK(close(41) == 0);
	CHECK_ERROR(close(41), EBADF);
	CHECK_ERROR(close(-1), EBADF);
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while ((copy = dup(file)) >= 0)
		last = copy;
	CHECK(errno == EMFILE && last == 19);
	CHECK_ERROR(open("never made", O_CREAT | O_RDWR, 0600), EMFILE);
	CHECK_ERROR(access("never made", F_OK), ENOENT);
	CHECK(setrlimit(RLIMIT_NOFILE, &usual) == 0);
	CHECK(dup2(file, 1000) == 1000 && close(1000) == 0);
	for (int i = file + 1; i < 20; i++)
		close(i);
	close(file);
	unlink("descriptor");
}

static void controls(void)
{
	int file = make("control", "0123456789", 10), count = 0, on = 1;

	CHECK(lseek(file, 4, SEEK_SET) == 4 && ioctl(file, FIONREAD, &count) == 0 && count == 6);
	CHECK(ioctl(file, FIOCLEX) == 0 && fcntl(file, F_GETFD) == FD_CLOEXEC);
	CHECK(ioctl(file, FIONCLEX) == 0 && fcntl(file, F_GETFD) == 0);
	CHECK(ioctl(file, FIONBIO, &on) == 0 && (fcntl(file, F_GETFL) & O_NONBLOCK));
	CHECK_ERROR(ioctl(file, TIOCGWINSZ, buffer), ENOTTY);
	CHECK_ERROR(ioctl(99, FIONREAD, &count), EBADF);
	CHECK(!isatty(file));
	CHECK(fsync(file) == 0 && fdatasync(file) == 0);
	CHECK_ERROR(fsync(99), EBADF);
	CHECK(posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
	close(file);
	unlink("control");
}

/* ---- Copies -------------------------------------------------------------------------------------------------------------- */

static void copies(void)
{
	loff_t from = 10, to = 20;
	off_t position = 5;
	int source, target;

	fill(buffer, 100000, 6);
	source = make("source", buffer, 100000);
	target = open("target", O_RDWR | O_CREAT, 0600);
	CHECK(sendfile(target, source, &position, 50000) == 50000 && position == 50005);
	CHECK(lseek(source, 0, SEEK_CUR) == 100000 && lseek(target, 0, SEEK_CUR) == 50000);
	CHECK(pread(target, other, 50000, 0) == 50000 && memcmp(other, buffer + 5, 50000) == 0);
	CHECK(lseek(source, 99990, SEEK_SET) == 99990 && sendfile(target, source, NULL, 1000) == 10);
	CHECK(sendfile(target, source, NULL, 1000) == 0);
	CHECK_ERROR(sendfile(99, source, NULL, 1), EBADF);
	CHECK(copy_file_range(source, &from, target, &to, 70000, 0) == 70000);
	CHECK(from == 70010 && to == 70020);
	CHECK(pread(target, other, 70000, 20) == 70000 && memcmp(other, buffer + 10, 70000) == 0);
	CHECK_ERROR(copy_file_range(source, &from, target, &to, 1, 1), EINVAL);
	from = 0;
	to = 5;
	CHECK_ERROR(copy_file_range(source, &from, source, &to, 10, 0), EINVAL);
	close(source);
	close(target);
	unlink("source");
	unlink("target");
}

/* ---- Devices --------------------------------------------------------------------------------------------------------------- */

static void devices(void)
{
	int file = open("/dev/null", O_RDWR);
	struct stat stat;
	char *pages;

	CHECK(read(file, buffer, 10) == 0 && write(file, buffer, 12345) == 12345);
	CHECK(fstat(file, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == 0x103);
	close(file);
	file = open("/dev/zero", O_RDWR);
	memset(buffer, 1, 5000);
	CHECK(read(file, buffer, 5000) == 5000 && buffer[0] == 0 && buffer[4999] == 0);
	CHECK(lseek(file, 5, SEEK_SET) >= 0);
	close(file);
	file = open("/dev/zero", O_RDONLY);
	pages = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	CHECK(pages != MAP_FAILED && *pages == 0);
	CHECK_ERROR(mprotect(pages, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(munmap(pages, PAGE) == 0);
	close(file);
	file = open("/dev/full", O_RDWR);
	CHECK_ERROR(write(file, buffer, 1), ENOSPC);
	CHECK(read(file, buffer, 1) == 1);
	close(file);
	file = open("/dev/urandom", O_RDONLY);
	memset(buffer, 0, 64);
	CHECK(read(file, buffer, 64) == 64);
	memset(other, 0, 64);
	CHECK(memcmp(buffer, other, 64) != 0);
	close(file);
}

int main(void)
{
	umask(022);
	CHECK(mkdtemp(directory) && chdir(directory) == 0);
	opening();
	temporary_file();
	contents();
	positions();
	vectors();
	bad_memory();
	lengths();
	allocation();
	size_limit();
	descriptors();
	controls();
	copies();
	devices();
	CHECK(chdir("/") == 0 && rmdir(directory) == 0);
	return checks_end("files");
}
