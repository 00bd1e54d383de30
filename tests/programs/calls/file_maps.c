/*
 * Mappings of files: what private and shared ones see of each other, of read and write, and of the file becoming shorter
 * or longer; holes; files that are unlinked while they are mapped.
 */
#include "tap.h"

#define PAGES 4

static const int rw = PROT_READ | PROT_WRITE;

static char *map(int file, size_t pages, int flags)
{
	char *memory = mmap(NULL, pages * PAGE, rw, flags, file, 0);

	NEED(memory != MAP_FAILED);
	return memory;
}

static char byte_at(int file, off_t offset)
{
	char byte = (char)0xee;

	CHECK(pread(file, &byte, 1, offset) == 1);
	return byte;
}

TEST(shared, "a shared mapping is the file: writes are seen both ways, by every mapping, at once")
{
	int file = make_file("file", PAGES * PAGE), other = open("file", O_RDWR);
	char *one = map(file, PAGES, MAP_SHARED), *two = map(other, PAGES, MAP_SHARED);

	one[PAGE + 5] = 'x';
	CHECK(two[PAGE + 5] == 'x' && byte_at(other, PAGE + 5) == 'x');
	CHECK(pwrite(other, "yz", 2, 2 * PAGE - 1) == 2);
	CHECK(one[2 * PAGE - 1] == 'y' && one[2 * PAGE] == 'z' && two[2 * PAGE] == 'z');
}

TEST(private_copy, "what a private mapping writes is its own")
{
	int file = make_file("file", PAGES * PAGE);
	char *one = map(file, PAGES, MAP_PRIVATE), *two = map(file, PAGES, MAP_PRIVATE);

	one[0] = 'x';
	CHECK(two[0] == 1 && byte_at(file, 0) == 1);
	CHECK(pwrite(file, "n", 1, 0) == 1);
	EQUAL(one[0], 'x');
	CHECK(one[1] == 1 && two[1] == 1);
}

TEST(private_follows,
     "a private mapping shows what is written to the file later, but in pages that it wrote to itself")
{
	int file = make_file("file", PAGES * PAGE);
	char *copied = map(file, PAGES, MAP_PRIVATE), *shared = map(file, PAGES, MAP_SHARED);

	CHECK(copied[0] == 1 && copied[PAGE] == 2);
	copied[0] = 'x';
	CHECK(pwrite(file, "no", 2, 0) == 2 && pwrite(file, "y", 1, PAGE) == 1);
	shared[2 * PAGE] = 'z';
	CHECK(copied[0] == 'x' && copied[1] == 1 && copied[PAGE] == 'y' && copied[2 * PAGE] == 'z');
	CHECK(madvise(copied, PAGE, MADV_DONTNEED) == 0);
	EQUAL(copied[0], 'n');
}

TEST(private_follows_longer,
     "what a file gets at its end later shows in a private mapping, and in a hole that is filled")
{
	int file = make_file("file", PAGE);
	char *copied = map(file, PAGES, MAP_PRIVATE);

	CHECK(ftruncate(file, PAGES * PAGE) == 0);
	EQUAL(copied[PAGE], 0);
	CHECK(pwrite(file, "a", 1, PAGE) == 1 && pwrite(file, "b", 1, 3 * PAGE) == 1);
	CHECK(copied[PAGE] == 'a' && copied[3 * PAGE] == 'b');
	copied[2 * PAGE] = 'c';
	CHECK(pwrite(file, "d", 1, 2 * PAGE) == 1);
	EQUAL(copied[2 * PAGE], 'c');
}

TEST(private_follows_fork,
     "parent and child each keep their own pages of a private mapping, and the others follow the file")
{
	int file = make_file("file", PAGES * PAGE);
	char *copied = map(file, PAGES, MAP_PRIVATE);
	int status = -1;
	pid_t child;

	copied[0] = 'p';
	child = fork();
	NEED(child >= 0);
	if (child == 0) {
		copied[0] = 'c';
		copied[PAGE] = 'c';
		if (pwrite(file, "f", 1, PAGE) != 1 || pwrite(file, "g", 1, 2 * PAGE) != 1)
			_exit(1);
		_exit(copied[0] != 'c' || copied[PAGE] != 'c' || copied[2 * PAGE] != 'g');
	}
	CHECK(waitpid(child, &status, 0) == child);
	EQUAL(status, 0);
	CHECK(copied[0] == 'p' && copied[PAGE] == 'f' && copied[2 * PAGE] == 'g');
}

TEST(read_into, "read into a mapping and write from it, of the same file too")
{
	int file = make_file("file", PAGES * PAGE);
	char *shared = map(file, PAGES, MAP_SHARED), *copied = map(file, PAGES, MAP_PRIVATE);

	CHECK(pread(file, copied + 10, PAGE, PAGE) == (ssize_t)PAGE);
	CHECK(copied[9] == 1 && all_are(copied + 10, PAGE, 2) && copied[PAGE + 10] == 2 && shared[10] == 1);
	CHECK(pwrite(file, shared, PAGE, 3 * PAGE) == (ssize_t)PAGE);
	CHECK(all_are(shared + 3 * PAGE, PAGE, 1));
	CHECK(pread(file, shared + 3 * PAGE, PAGE, PAGE) == (ssize_t)PAGE);
	CHECK(all_are(shared + 3 * PAGE, PAGE, 2) && byte_at(file, 3 * PAGE) == 2);
}

TEST(shorter, "ftruncate down: mappings lose the pages behind the end, and the bytes behind it are zero")
{
	int file = make_file("file", PAGES * PAGE);
	char *shared = map(file, PAGES, MAP_SHARED), *copied = map(file, PAGES, MAP_PRIVATE);

	CHECK(all_are(shared, PAGE, 1) && copied[3 * PAGE] == 4);
	CHECK(ftruncate(file, PAGE + 100) == 0);
	CHECK(all_are(shared, PAGE, 1) && all_are(shared + PAGE, 100, 2) &&
	      all_are(shared + PAGE + 100, PAGE - 100, 0));
	FAULTS(ACCESS_READ, shared + 2 * PAGE, SIGBUS, BUS_ADRERR);
	FAULTS(ACCESS_READ, copied + 3 * PAGE, SIGBUS, BUS_ADRERR);
	CHECK(ftruncate(file, 0) == 0);
	FAULTS(ACCESS_READ, shared, SIGBUS, BUS_ADRERR);
	FAULTS(ACCESS_WRITE, shared + 10, SIGBUS, BUS_ADRERR);
}

TEST(shorter_copies, "ftruncate down takes private copies behind the end, too")
{
	int file = make_file("file", PAGES * PAGE);
	char *copied = map(file, PAGES, MAP_PRIVATE);

	copied[0] = copied[2 * PAGE] = 'x';
	CHECK(ftruncate(file, PAGE) == 0);
	EQUAL(copied[0], 'x');
	FAULTS(ACCESS_READ, copied + 2 * PAGE, SIGBUS, BUS_ADRERR);
	CHECK(ftruncate(file, PAGES * PAGE) == 0);
	EQUAL(copied[2 * PAGE], 0);
}

TEST(longer, "ftruncate up: mappings made before see the new pages, which are zero")
{
	int file = make_file("file", PAGE);
	char *shared = map(file, PAGES, MAP_SHARED), *copied = map(file, PAGES, MAP_PRIVATE);

	FAULTS(ACCESS_READ, shared + PAGE, SIGBUS, BUS_ADRERR);
	CHECK(ftruncate(file, 3 * PAGE) == 0);
	CHECK(all_are(shared + PAGE, 2 * PAGE, 0) && all_are(copied + PAGE, 2 * PAGE, 0));
	FAULTS(ACCESS_READ, shared + 3 * PAGE, SIGBUS, BUS_ADRERR);
	shared[2 * PAGE] = 'x';
	EQUAL(byte_at(file, 2 * PAGE), 'x'); /* whether `copied` shows it is not specified (mmap(2)) */
	CHECK(pwrite(file, "y", 1, 4 * PAGE - 1) == 1);
	CHECK(shared[4 * PAGE - 1] == 'y' && shared[3 * PAGE] == 0);
}

TEST(down_and_up, "what was cut off does not come back")
{
	int file = make_file("file", PAGES * PAGE);
	char *shared = map(file, PAGES, MAP_SHARED);

	CHECK(ftruncate(file, 10) == 0 && ftruncate(file, PAGES * PAGE) == 0);
	CHECK(all_are(shared, 10, 1) && all_are(shared + 10, PAGES * PAGE - 10, 0));
	EQUAL(byte_at(file, 10), 0);
	EQUAL(byte_at(file, 2 * PAGE), 0);
}

TEST(behind_end, "what is written behind the end, within the last page, is never the file's")
{
	int file = make_file("file", 100);
	char *shared = map(file, 1, MAP_SHARED), bytes[200];

	memset(shared + 100, 'x', 50);
	EQUAL(file_size(file), 100);
	EQUAL(pread(file, bytes, 200, 0), 100);
	CHECK(pwrite(file, "y", 1, 199) == 1);
	EQUAL(byte_at(file, 198) == 0 || byte_at(file, 198) == 'x', true);
	EQUAL(shared[199], 'y');
}

TEST(hole, "a hole is zeroes, in the mapping too, until it is written")
{
	int file = make_file("file", PAGE);
	char *shared;

	CHECK(pwrite(file, "x", 1, 3 * PAGE) == 1);
	EQUAL(file_size(file), 3 * PAGE + 1);
	shared = map(file, PAGES, MAP_SHARED);
	CHECK(all_are(shared + PAGE, 2 * PAGE, 0) && shared[3 * PAGE] == 'x');
	shared[2 * PAGE] = 'y';
	CHECK(byte_at(file, 2 * PAGE) == 'y' && byte_at(file, PAGE) == 0);
}

TEST(punch, "fallocate makes a hole in what is mapped")
{
	int file = make_file("file", PAGES * PAGE), punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char *shared = map(file, PAGES, MAP_SHARED);

	EQUAL(shared[PAGE], 2);
	if (fallocate(file, punch, PAGE - 10, PAGE + 20) != 0 && errno == EOPNOTSUPP)
		skip("this file system makes no holes");
	CHECK(all_are(shared, PAGE - 10, 1) && all_are(shared + PAGE - 10, PAGE + 20, 0));
	CHECK(all_are(shared + 2 * PAGE + 10, PAGE - 10, 3));
	EQUAL(file_size(file), PAGES * PAGE);
}

TEST(unlinked, "a file that is unlinked and closed lives on in its mappings, and takes writes")
{
	int file = make_file("file", PAGES * PAGE);
	char *shared = map(file, PAGES, MAP_SHARED), *second;

	CHECK(unlink("file") == 0);
	second = map(file, PAGES, MAP_SHARED);
	close(file);
	shared[PAGE] = 'x';
	CHECK(second[PAGE] == 'x' && second[2 * PAGE] == 3);
	file = make_file("file", PAGE); /* another file */
	EQUAL(byte_at(file, 0), 1);
	EQUAL(shared[PAGE], 'x');
}

TEST(open_truncates, "O_TRUNC under a mapping")
{
	int file = make_file("file", PAGES * PAGE);
	char *shared = map(file, PAGES, MAP_SHARED);

	close(open("file", O_WRONLY | O_TRUNC));
	FAULTS(ACCESS_READ, shared, SIGBUS, BUS_ADRERR);
	CHECK(pwrite(file, "n", 1, 0) == 1);
	CHECK(shared[0] == 'n' && shared[1] == 0);
}

TEST(windows, "windows of a file at several offsets, overlapping")
{
	int file = make_file("file", 8 * PAGE);
	char *windows[6];

	for (unsigned i = 0; i < 6; i++) {
		windows[i] = mmap(NULL, 3 * PAGE, rw, MAP_SHARED, file, i * (off_t)PAGE);
		NEED(windows[i] != MAP_FAILED);
		CHECK(windows[i][0] == (char)(i + 1) && windows[i][2 * PAGE] == (char)(i + 3));
	}
	windows[2][2 * PAGE + 9] = 'x';
	CHECK(windows[3][PAGE + 9] == 'x' && windows[4][9] == 'x' && windows[0][9] == 1);
}

TEST(far_offset, "a mapping far behind the end, and a file that grows to it")
{
	int file = make_file("file", PAGE);
	off_t far = 1l << 35;
	char *memory = mmap(NULL, PAGE, rw, MAP_SHARED, file, far);

	NEED(memory != MAP_FAILED);
	FAULTS(ACCESS_READ, memory, SIGBUS, BUS_ADRERR);
	NEED(ftruncate(file, far + 10) == 0);
	memory[5] = 'x';
	EQUAL(byte_at(file, far + 5), 'x');
	EQUAL(file_size(file), far + 10);
}

/* Says that the file was written to long ago. */
static void make_old(int file)
{
	const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};

	NEED(futimens(file, times) == 0);
}

static bool is_old(int file)
{
	struct stat status;

	NEED(fstat(file, &status) == 0);
	return status.st_mtime == 1000000;
}

/* What was written to can be written to again without anybody's notice: this changes that, and the time after. */
static void settle(int file, char *memory, size_t pages)
{
	NEED(msync(memory, pages * PAGE, MS_SYNC) == 0);
	make_old(file);
}

TEST(times,
     "a file's time of change is that of writes to shared mappings, at msync or when they go; of no others")
{
	int file = make_file("file", PAGES * PAGE);
	char *shared = map(file, PAGES, MAP_SHARED), *copied = map(file, PAGES, MAP_PRIVATE);
	char *one = map(file, 1, MAP_SHARED);
	volatile char seen;

	settle(file, shared, PAGES);
	copied[0] = 'x';
	seen = shared[PAGE];
	seen = one[0];
	CHECK(msync(shared, PAGES * PAGE, MS_SYNC) == 0 && msync(copied, PAGES * PAGE, MS_SYNC) == 0 &&
	      msync(one, PAGE, MS_SYNC) == 0 && is_old(file));
	shared[PAGE] = (char)(seen + 1); /* read before */
	CHECK(msync(shared, PAGES * PAGE, MS_SYNC) == 0 && !is_old(file));
	settle(file, shared, PAGES);
	CHECK(msync(shared, PAGES * PAGE, MS_ASYNC) == 0 && is_old(file));
	shared[2 * PAGE] = shared[PAGE] = 'y';
	CHECK(msync(shared + PAGE, PAGE, MS_ASYNC) == 0 && !is_old(file));
	settle(file, shared, PAGES);
	CHECK(munmap(one, PAGE) == 0 && is_old(file));
	one = map(file, 1, MAP_SHARED);
	one[0] = 'z';
	CHECK(munmap(one, PAGE) == 0 && !is_old(file));
	settle(file, shared, PAGES);
	IN_CHILD
	{
		shared[3 * PAGE] = 'c';
	}
	CHECK(!is_old(file));
	settle(file, shared, PAGES);
	IN_CHILD
	{
		seen = shared[3 * PAGE];
		copied[3 * PAGE] = seen;
	}
	CHECK(munmap(shared, PAGES * PAGE) == 0 && munmap(copied, PAGES * PAGE) == 0 && is_old(file));
}

TEST(running, "a program that runs cannot be written: ETXTBSY, but unlinked")
{
	int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_WRONLY | O_CREAT, 0755), ends[2];
	char buffer[65536], byte;
	ssize_t count;
	pid_t child;

	NEED(from >= 0 && to >= 0 && pipe(ends) == 0);
	while ((count = read(from, buffer, sizeof(buffer))) > 0)
		NEED(write(to, buffer, (size_t)count) == count);
	close(to);
	child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		execl("./copy", "copy", "-n", "wait-for-signal", NULL);
		_exit(9);
	}
	NEED(read(ends[0], &byte, 1) == 1); /* its plan: it runs */
	FAILS(open("copy", O_WRONLY), ETXTBSY);
	FAILS(open("copy", O_RDWR | O_TRUNC), ETXTBSY);
	CHECK(unlink("copy") == 0);
	kill(child, SIGKILL);
	wait_status(child);
}

TEST(waiting, "wait-for-signal")
{
	if (contents("/proc/self/comm")[0] == 'c')
		pause();
}

TEST(many_writers, "children write their own pages of one file through mappings and calls")
{
	int file = make_file("file", 0);
	pid_t children[8];

	NEED(ftruncate(file, 64 * PAGE) == 0);
	for (unsigned i = 0; i < 8; i++) {
		children[i] = fork_counted();
		if (children[i] == 0) {
			char *memory = map(file, 64, MAP_SHARED), page[PAGE];

			memset(page, 'a' + (int)i, PAGE);
			for (unsigned j = i; j < 64; j += 8) {
				if (j & 8)
					memcpy(memory + j * PAGE, page, PAGE);
				else
					CHECK(pwrite(file, page, PAGE, j * (off_t)PAGE) == (ssize_t)PAGE);
			}
			child_end();
		}
	}
	for (unsigned i = 0; i < 8; i++)
		child_passed(children[i]);
	char *memory = map(file, 64, MAP_SHARED);
	for (unsigned j = 0; j < 64; j++)
		CHECK(all_are(memory + j * PAGE, PAGE, (char)('a' + j % 8)));
}
