/*
 * Names and directories: link, unlink, rename, symlink, mkdir, rmdir, getdents64, paths; stat in all its kinds, modes and
 * times, statfs.
 */
#include "tap.h"
#include <dirent.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#define MANY 500

static struct stat status_of(const char *path)
{
	struct stat status = {0};

	CHECK(lstat(path, &status) == 0);
	return status;
}

static void make(const char *path)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	NEED(file >= 0);
	close(file);
}

/* How many names the directory has, "." and ".." apart. */
static int entries(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int number = 0;

	NEED(directory != NULL);
	while ((entry = readdir(directory)))
		number += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(directory);
	return number;
}

TEST(links, "link: another name of the same file, until the last is gone")
{
	close(make_file("one", 10));
	CHECK(link("one", "two") == 0);
	CHECK(status_of("one").st_ino == status_of("two").st_ino && status_of("two").st_nlink == 2);
	CHECK(unlink("one") == 0 && status_of("two").st_nlink == 1 && status_of("two").st_size == 10);
	FAILS(link("missing", "x"), ENOENT);
	FAILS(link("two", "two"), EEXIST);
	NEED(mkdir("directory", 0755) == 0);
	FAILS(link("directory", "x"), EPERM);
	FAILS(unlink("missing"), ENOENT);
	FAILS(unlink("directory"), EISDIR);
	FAILS(unlink("two/x"), ENOTDIR);
}

TEST(symlinks, "symlink: followed, read, not followed where that is wanted; loops are ELOOP")
{
	char target[20] = "";
	int file;

	close(make_file("file", 10));
	CHECK(symlink("file", "link") == 0 && S_ISLNK(status_of("link").st_mode) &&
	      status_of("link").st_size == 4);
	file = open("link", O_RDONLY);
	CHECK(file >= 0 && file_size(file) == 10);
	CHECK(readlink("link", target, 20) == 4 && strcmp(target, "file") == 0);
	CHECK(readlink("link", target, 2) == 2);
	FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	FAILS(readlink("file", target, 20), EINVAL);
	FAILS(CALL(readlink, "link", target, 0), EINVAL);
	CHECK(symlink("missing", "dangling") == 0);
	FAILS(open("dangling", O_RDONLY), ENOENT);
	CHECK(open("dangling", O_RDWR | O_CREAT, 0600) >= 0 && access("missing", F_OK) == 0);
	FAILS(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK(symlink("loop", "loop") == 0);
	FAILS(open("loop", O_RDONLY), ELOOP);
	FAILS(symlink("x", "link"), EEXIST);
	FAILS(symlink("", "y"), ENOENT);
	NEED(mkdir("directory", 0755) == 0 && symlink("directory", "to") == 0);
	make("to/inside");
	CHECK(access("directory/inside", F_OK) == 0 && access("to/../file", F_OK) == 0);
	FAILS(rmdir("to"), ENOTDIR);
	CHECK(unlink("to") == 0 && access("directory/inside", F_OK) == 0);
}

TEST(rename, "rename: to a new name, over a file, over an empty directory, and its errors")
{
	close(make_file("a", 10));
	close(make_file("b", 20));
	CHECK(rename("a", "c") == 0 && access("a", F_OK) != 0 && status_of("c").st_size == 10);
	CHECK(rename("c", "b") == 0 && status_of("b").st_size == 10);
	CHECK(rename("b", "b") == 0);
	NEED(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0 && mkdir("e/f", 0755) == 0);
	FAILS(rename("missing", "x"), ENOENT);
	FAILS(rename("b", "d"), EISDIR);
	FAILS(rename("d", "b"), ENOTDIR);
	FAILS(rename("d", "e"), ENOTEMPTY);
	FAILS(rename("e", "e/f/g"), EINVAL);
	FAILS(rename("d", "missing/x"), ENOENT);
	CHECK(rename("e", "d") == 0 && access("d/f", F_OK) == 0 && access("e", F_OK) != 0);
	NEED(link("b", "h") == 0);
	CHECK(rename("b", "h") == 0 && access("b", F_OK) == 0); /* the same file: nothing happens */
	CHECK(rename("d/f", "moved") == 0 && entries("d") == 0);
	EQUAL(status_of("d").st_nlink == 2 || status_of("d").st_nlink == 1, true);
}

TEST(rename_open, "rename over an open file leaves it open")
{
	int file = make_file("old", 10);

	close(make_file("new", 20));
	CHECK(rename("new", "old") == 0 && file_size(file) == 10 && status_of("old").st_size == 20);
}

TEST(rename_flags, "renameat2: no replacement, exchange")
{
	close(make_file("a", 10));
	close(make_file("b", 20));
	FAILS(CALL(renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1), EEXIST);
	CHECK(CALL(renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2) == 0);
	CHECK(status_of("a").st_size == 20 && status_of("b").st_size == 10);
	FAILS(CALL(renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 3), EINVAL);
	FAILS(CALL(renameat2, AT_FDCWD, "a", AT_FDCWD, "missing", 2), ENOENT);
}

TEST(directories, "mkdir and rmdir, and their errors")
{
	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0700) == 0);
	CHECK(S_ISDIR(status_of("d/e").st_mode) && (status_of("d/e").st_mode & 0777) == 0700);
	FAILS(mkdir("d", 0755), EEXIST);
	FAILS(mkdir("x/y", 0755), ENOENT);
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(rmdir("x"), ENOENT);
	FAILS(rmdir("d/."), EINVAL);
	CHECK(rmdir("d/e") == 0);
	make("file");
	FAILS(rmdir("file"), ENOTDIR);
	FAILS(mkdir("file/x", 0755), ENOTDIR);
	CHECK(rmdir("d/") == 0);
	FAILS(open("file/", O_RDONLY), ENOTDIR);
	FAILS(mkdir("/", 0755), EEXIST);
}

TEST(removed_directory, "a directory that is removed while it is open or one works in it")
{
	char path[300];
	int directory;

	NEED(mkdir("d", 0755) == 0);
	directory = open("d", O_RDONLY);
	NEED(chdir("d") == 0 && rmdir("../d") == 0);
	FAILS(open("x", O_RDWR | O_CREAT, 0600), ENOENT);
	FAILS(CALL(getcwd, path, sizeof(path)), ENOENT);
	FAILS(mkdirat(directory, "x", 0755), ENOENT);
	CHECK(chdir("/") == 0);
}

TEST(many_names, "five hundred names in one directory, listed once each, in pieces")
{
	char name[32], seen[MANY] = {0};
	DIR *directory;
	struct dirent *entry;

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "name-%d", i);
		make(name);
	}
	EQUAL(entries("."), MANY);
	directory = opendir(".");
	while ((entry = readdir(directory))) {
		if (strncmp(entry->d_name, "name-", 5) == 0) {
			seen[atoi(entry->d_name + 5)]++;
			CHECK(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
			unlink(entry->d_name);
		}
	}
	for (int i = 0; i < MANY; i++)
		EQUAL(seen[i], 1);
	EQUAL(entries("."), 0);
}

TEST(raw_entries, "getdents64: too small a buffer is EINVAL, no directory ENOTDIR, bad pointers EFAULT")
{
	char buffer[1024];
	int directory = open(".", O_RDONLY), file = make_file("file", 0);

	FAILS(CALL(getdents64, directory, buffer, 10), EINVAL);
	FAILS(CALL(getdents64, file, buffer, 1024), ENOTDIR);
	FAILS(CALL(getdents64, directory, 8, 1024), EFAULT);
	FAILS(CALL(getdents64, 999, buffer, 1024), EBADF);
	CHECK(CALL(getdents64, directory, buffer, 1024) > 0 &&
	      CALL(getdents64, directory, buffer, 1024) == 0);
	CHECK(lseek(directory, 0, SEEK_SET) == 0 && CALL(getdents64, directory, buffer, 1024) > 0);
}

TEST(at_calls, "the calls with directory descriptors")
{
	struct stat status;
	char target[10];
	int directory;

	NEED(mkdir("d", 0755) == 0);
	directory = open("d", O_RDONLY | O_DIRECTORY);
	close(openat(directory, "file", O_RDWR | O_CREAT, 0600));
	CHECK(fstatat(directory, "file", &status, 0) == 0 && access("d/file", F_OK) == 0);
	CHECK(linkat(directory, "file", AT_FDCWD, "here", 0) == 0 && symlinkat("x", directory, "s") == 0);
	CHECK(readlinkat(directory, "s", target, 10) == 1 && mkdirat(directory, "sub", 0755) == 0);
	CHECK(renameat(AT_FDCWD, "here", directory, "there") == 0 &&
	      faccessat(directory, "there", F_OK, 0) == 0);
	CHECK(unlinkat(directory, "sub", AT_REMOVEDIR) == 0 && unlinkat(directory, "there", 0) == 0);
	FAILS(unlinkat(directory, "file", 0x1), EINVAL);
	FAILS(openat(999, "file", O_RDONLY), EBADF);
	CHECK(openat(999, "/", O_RDONLY) >= 0);
	FAILS(openat(open("d/file", O_RDONLY), "x", O_RDONLY), ENOTDIR);
	CHECK(fchdir(directory) == 0 && access("file", F_OK) == 0);
	FAILS(fchdir(999), EBADF);
	FAILS(chdir("file"), ENOTDIR);
	FAILS(chdir("missing"), ENOENT);
}

TEST(working_directory, "getcwd: the path, ERANGE if there is no room")
{
	char path[4096], small[4];

	NEED(mkdir("d", 0755) == 0 && chdir("d") == 0);
	CHECK(CALL(getcwd, path, sizeof(path)) == (long)strlen(path) + 1);
	CHECK(path[0] == '/' && strcmp(strrchr(path, '/'), "/d") == 0);
	FAILS(CALL(getcwd, small, sizeof(small)), ERANGE);
	FAILS(CALL(getcwd, 8, 4096), EFAULT);
	CHECK(chdir("/") == 0 && CALL(getcwd, small, sizeof(small)) == 2);
	CHECK(chdir("..") == 0 && CALL(getcwd, small, sizeof(small)) == 2); /* there is nothing above */
}

TEST(status, "stat: kind, size, links, owner, blocks; lstat; fstat")
{
	struct stat status;
	int file = make_file("file", PAGE + 1);

	CHECK(stat("file", &status) == 0 && S_ISREG(status.st_mode) && status.st_size == PAGE + 1);
	CHECK(status.st_nlink == 1 && status.st_uid == getuid() && status.st_blksize >= 512);
	CHECK(status.st_blocks >= 8);
	CHECK(fstat(file, &status) == 0 && status.st_ino == status_of("file").st_ino);
	CHECK(fstatat(file, "", &status, AT_EMPTY_PATH) == 0 && status.st_size == PAGE + 1);
	FAILS(stat("missing", &status), ENOENT);
	FAILS(fstat(999, &status), EBADF);
	FAILS(fstatat(AT_FDCWD, "file", &status, 0x1), EINVAL);
	FAILS(CALL(stat, "file", 8), EFAULT);
	CHECK(stat("/dev/null", &status) == 0 && S_ISCHR(status.st_mode));
	CHECK(major(status.st_rdev) == 1 && minor(status.st_rdev) == 3);
	NEED(mkdir("d", 0755) == 0);
	CHECK(S_ISDIR(status_of("d").st_mode) && status_of("d").st_ino != status_of("file").st_ino);
	NEED(mkfifo("fifo", 0600) == 0);
	CHECK(S_ISFIFO(status_of("fifo").st_mode));
}

struct statx_head {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size;
	char rest[256];
};

TEST(statx, "statx: what stat says")
{
	struct statx_head status;

	close(make_file("file", 77));
	CHECK(CALL(statx, AT_FDCWD, "file", 0, 0x7ff, &status) == 0);
	CHECK((status.mask & 0x7ff) == 0x7ff && status.size == 77 && status.nlink == 1);
	CHECK(status.ino == status_of("file").st_ino && S_ISREG(status.mode));
	FAILS(CALL(statx, AT_FDCWD, "missing", 0, 0x7ff, &status), ENOENT);
	FAILS(CALL(statx, AT_FDCWD, "file", 0, 0x80000000, &status), EINVAL);
	FAILS(CALL(statx, AT_FDCWD, "file", 0x6000, 0x7ff, &status), EINVAL);
	FAILS(CALL(statx, AT_FDCWD, "file", 0, 0x7ff, 8), EFAULT);
}

TEST(modes, "chmod, fchmod, umask, chown: stored as given")
{
	int file = make_file("file", 0);

	CHECK(chmod("file", 04751) == 0 && (status_of("file").st_mode & 07777) == 04751);
	CHECK(fchmod(file, 0600) == 0 && (status_of("file").st_mode & 07777) == 0600);
	CHECK(chown("file", 12, 34) == 0 && status_of("file").st_uid == 12 && status_of("file").st_gid == 34);
	CHECK(fchown(file, (uid_t)-1, 56) == 0 && status_of("file").st_uid == 12 &&
	      status_of("file").st_gid == 56);
	FAILS(chmod("missing", 0), ENOENT);
	umask(077);
	close(open("masked", O_RDWR | O_CREAT, 0666));
	EQUAL(status_of("masked").st_mode & 0777, 0600);
	CHECK(mkdir("d", 0777) == 0 && (status_of("d").st_mode & 0777) == 0700);
}

TEST(access, "access as the superuser and as nobody")
{
	int file = make_file("file", 0);

	CHECK(fchmod(file, 0600) == 0);
	CHECK(access("file", R_OK | W_OK) == 0);
	FAILS(access("file", X_OK), EACCES);
	FAILS(access("missing", F_OK), ENOENT);
	FAILS(access("file", 8), EINVAL);
	CHECK(chmod(".", 0755) == 0);
	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(access("file", R_OK), EACCES);
		FAILS(open("file", O_RDONLY), EACCES);
		FAILS(chmod("file", 0666), EPERM);
		FAILS(open("new", O_RDWR | O_CREAT, 0600), EACCES);
		FAILS(unlink("file"), EACCES);
	}
}

TEST(times, "utimensat sets times; writing sets them, too")
{
	struct timespec times[2] = {{1000, 5}, {2000, 7}}, bad[2] = {{0, 2000000000}, {0, 0}};
	int file = make_file("file", 10);
	struct stat status;

	CHECK(utimensat(AT_FDCWD, "file", times, 0) == 0 && fstat(file, &status) == 0);
	CHECK(status.st_atim.tv_sec == 1000 && status.st_mtim.tv_sec == 2000 && status.st_mtim.tv_nsec == 7);
	CHECK(status.st_ctim.tv_sec > 1000000);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	CHECK(futimens(file, times) == 0 && fstat(file, &status) == 0);
	CHECK(status.st_atim.tv_sec == 1000 && status.st_mtim.tv_sec > 1000000);
	FAILS(utimensat(AT_FDCWD, "file", bad, 0), EINVAL);
	FAILS(utimensat(AT_FDCWD, "missing", NULL, 0), ENOENT);
	times[0] = times[1] = (struct timespec){1000, 0};
	CHECK(futimens(file, times) == 0 && pwrite(file, "x", 1, 0) == 1 && fstat(file, &status) == 0);
	CHECK(status.st_mtim.tv_sec > 1000000 && status.st_atim.tv_sec == 1000);
	CHECK(utimensat(AT_FDCWD, ".", (struct timespec[2]){{1, 0}, {1, 0}}, 0) == 0);
	make("new");
	CHECK(status_of(".").st_mtim.tv_sec > 1000000);
}

TEST(file_systems, "statfs and fstatfs")
{
	struct statfs status;

	memset(&status, 0, sizeof(status));
	CHECK(statfs(".", &status) == 0 && status.f_bsize >= 512 && status.f_namelen >= 255);
	CHECK(fstatfs(open(".", O_RDONLY), &status) == 0);
	CHECK(statfs("/dev/shm", &status) == 0 && status.f_type == 0x01021994); /* tmpfs */
	CHECK(statfs("/proc", &status) == 0 && status.f_type == 0x9fa0);
	FAILS(statfs("missing", &status), ENOENT);
	FAILS(fstatfs(999, &status), EBADF);
	FAILS(CALL(statfs, ".", 8), EFAULT);
}

TEST(long_names, "a name of more than 255 bytes is ENAMETOOLONG, also for who removes it")
{
	char name[300] = "";

	memset(name, 'a', 255);
	FAILS(unlink(name), ENOENT);
	FAILS(rmdir(name), ENOENT);
	name[255] = 'a';
	FAILS(unlink(name), ENAMETOOLONG);
	FAILS(rmdir(name), ENAMETOOLONG);
	FAILS(open(name, O_RDONLY), ENAMETOOLONG);
	FAILS(open(name, O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
	FAILS(mkdir(name, 0755), ENAMETOOLONG);
	FAILS(symlink("x", name), ENAMETOOLONG);
	FAILS(rename(name, "b"), ENAMETOOLONG);
}

TEST(paths, "odd paths: many slashes, dots, trailing slashes, up from the root")
{
	NEED(mkdir("d", 0755) == 0);
	make("d/file");
	CHECK(access("d//file", F_OK) == 0 && access("./d/./file", F_OK) == 0 &&
	      access("d/../d/file", F_OK) == 0);
	CHECK(access("d/", F_OK) == 0 && access("/../../dev/null", F_OK) == 0 &&
	      access("//dev//null", F_OK) == 0);
	FAILS(access("d/file/", F_OK), ENOTDIR);
	FAILS(access("d/file/..", F_OK), ENOTDIR);
	FAILS(access("missing/..", F_OK), ENOENT);
}

TEST(mounted, "a tmpfs can be mounted and unmounted; what is below comes back")
{
	NEED(mkdir("m", 0755) == 0);
	make("m/below");
	if (CALL(mount, "none", "m", "tmpfs", 0, NULL) != 0)
		skip("no right to mount");
	CHECK(access("m/below", F_OK) != 0);
	make("m/above");
	FAILS(rmdir("m"), EBUSY);
	FAILS(rename("m/above", "x"), EXDEV);
	FAILS(link("m/above", "x"), EXDEV);
	CHECK(status_of("m").st_dev != status_of(".").st_dev);
	CHECK(strstr(contents("/proc/self/mounts"), "/m tmpfs ") != NULL);
	CHECK(CALL(umount2, "m", 0) == 0 && access("m/below", F_OK) == 0 && access("m/above", F_OK) != 0);
	FAILS(CALL(umount2, "m", 0), EINVAL);
	FAILS(CALL(mount, "none", "missing", "tmpfs", 0, NULL), ENOENT);
	FAILS(CALL(mount, "none", "m", "nosuchfs", 0, NULL), ENODEV);
}

TEST(detached, "a directory of a file system that was taken away can be used until it is closed")
{
	int directory, file;

	NEED(mkdir("m", 0755) == 0);
	if (CALL(mount, "none", "m", "tmpfs", 0, NULL) != 0)
		skip("no right to mount");
	directory = open("m", O_RDONLY | O_DIRECTORY);
	NEED(directory >= 0 && umount2("m", MNT_DETACH) == 0);
	/* Linux makes it, and it goes with the last descriptor; or it is not made. */
	file = openat(directory, "new", O_RDWR | O_CREAT, 0600);
	CHECK(file >= 0 || errno == ENOENT);
	CHECK(mkdirat(directory, "also", 0700) == 0 || errno == ENOENT);
	CHECK(access("m/new", F_OK) != 0);
}

TEST(inodes, "nr_inodes: a tmpfs has no more files than that, names of one file included: ENOSPC")
{
	char path[32];
	unsigned made = 0;

	NEED(mkdir("m", 0755) == 0);
	if (CALL(mount, "none", "m", "tmpfs", 0, "nr_inodes=8") != 0)
		skip("no right to mount");
	do
		sprintf(path, "m/%u", ++made);
	while (mknod(path, S_IFREG | 0600, 0) == 0);
	CHECK(errno == ENOSPC && made == 8);
	FAILS(mkdir("m/d", 0700), ENOSPC);
	FAILS(link("m/1", "m/another"), ENOSPC);
	CHECK(unlink("m/2") == 0 && link("m/1", "m/another") == 0);
	FAILS(symlink("x", "m/s"), ENOSPC);
	CHECK(unlink("m/1") == 0 && symlink("x", "m/s") == 0);
	CHECK(CALL(umount2, "m", 0) == 0);
}

TEST(inodes_of_all, "without nr_inodes there is a limit, too, which statfs tells of")
{
	struct statfs status;

	NEED(mkdir("m", 0755) == 0);
	if (CALL(mount, "none", "m", "tmpfs", 0, "") != 0)
		skip("no right to mount");
	CHECK(statfs("m", &status) == 0 && status.f_files > 100 && status.f_ffree < status.f_files);
	CHECK(CALL(umount2, "m", 0) == 0);
}

/* A copy of this program, with other permissions. */
static void copy_program(const char *to, mode_t mode)
{
	char bytes[PAGE];
	int from = open("/proc/self/exe", O_RDONLY), file = open(to, O_WRONLY | O_CREAT, 0700);
	ssize_t count;

	NEED(from >= 0 && file >= 0);
	while ((count = read(from, bytes, sizeof(bytes))) > 0)
		NEED(write(file, bytes, (size_t)count) == count);
	close(from);
	NEED(fchmod(file, mode) == 0 && close(file) == 0);
}

/* Runs the program, without its output, for a test of it: with the rights of nobody, if so wished. Its exit status, or 128 if it cannot be run. */
static int run_program(const char *path, char *test, bool as_nobody)
{
	char *words[] = {(char *)path, test, NULL};
	pid_t child = fork();
	int status;

	NEED(child >= 0);
	if (child == 0) {
		close(1);
		NEED(open("/dev/null", O_WRONLY) == 1);
		NEED(!as_nobody || CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		execv(path, words);
		_exit(128);
	}
	status = wait_status(child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Others look with this one whose rights they have. */
TEST(superuser, "this program has root's rights")
{
	CHECK(geteuid() == 0);
}

TEST(mount_flags, "MS_NOEXEC: no programs there; MS_NODEV: no devices; MS_NOSUID: no others' rights; till "
		  "they are taken away")
{
	NEED(mkdir("m", 0755) == 0 && chmod(".", 0755) == 0);
	if (CALL(mount, "none", "m", "tmpfs", MS_NOEXEC | MS_NODEV, NULL) != 0)
		skip("no right to mount");
	copy_program("m/program", 04755);
	FAILS(access("m/program", X_OK), EACCES);
	EQUAL(run_program("m/program", "root's", false), 128);
	CHECK(access("m/program", R_OK | W_OK) == 0 && access("m", X_OK) == 0);
	NEED(mknod("m/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	FAILS(open("m/null", O_RDWR), EACCES);
	CHECK(CALL(mount, "none", "m", NULL, MS_REMOUNT | MS_NOSUID, NULL) == 0);
	CHECK(access("m/program", X_OK) == 0 && open("m/null", O_RDWR) >= 0);
	EQUAL(run_program("m/program", "root's", false), 0);
	EQUAL(run_program("m/program", "root's", true), 1);
	CHECK(CALL(mount, "none", "m", NULL, MS_REMOUNT, NULL) == 0);
	EQUAL(run_program("m/program", "root's", true), 0);
	CHECK(CALL(umount2, "m", MNT_DETACH) == 0);
}
