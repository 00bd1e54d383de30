/*
 * Names: directories and their listings, hard and symbolic links, renaming, permissions, owners, times; with the errors of each call.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <utime.h>

#define NOREPLACE 1 /* RENAME_... of <linux/fs.h> */
#define EXCHANGE  2

static char directory[] = "/dev/shm/names.XXXXXX";

static int rename_with(const char *from, const char *to, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void make(const char *name)
{
	int file = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);

	CHECK(file >= 0);
	close(file);
}

static ino_t number(const char *name)
{
	struct stat stat;

	return lstat(name, &stat) ? 0 : stat.st_ino;
}

static nlink_t links(const char *name)
{
	struct stat stat;

	return lstat(name, &stat) ? 0 : stat.st_nlink;
}

static mode_t mode(const char *name)
{
	struct stat stat;

	return lstat(name, &stat) ? 0 : stat.st_mode;
}

/* ---- Directories ------------------------------------------------------------------------------------------- */

static void directories(void)
{
	char name[300];

	CHECK(mkdir("d", 0777) == 0 && mode("d") == (S_IFDIR | 0755) && links("d") == 2);
	CHECK_ERROR(mkdir("d", 0777), EEXIST);
	CHECK(mkdir("d/e/", 0700) == 0 && links("d") == 3);
	CHECK_ERROR(mkdir("missing/e", 0700), ENOENT);
	CHECK_ERROR(rmdir("d"), ENOTEMPTY);
	CHECK_ERROR(rmdir("d/e/."), EINVAL);
	CHECK_ERROR(rmdir("d/e/.."), ENOTEMPTY);
	CHECK_ERROR(rmdir("missing"), ENOENT);
	CHECK_ERROR(unlink("d"), EISDIR);
	CHECK_ERROR(rmdir("/"), EBUSY);
	make("d/file");
	CHECK_ERROR(mkdir("d/file", 0700), EEXIST);
	CHECK_ERROR(mkdir("d/file/x", 0700), ENOTDIR);
	CHECK_ERROR(rmdir("d/file"), ENOTDIR);
	CHECK_ERROR(unlink("d/file/"), ENOTDIR);
	CHECK_ERROR(unlinkat(AT_FDCWD, "d/file", 1), EINVAL);
	CHECK(unlink("d/file") == 0);
	CHECK(unlinkat(AT_FDCWD, "d/e", AT_REMOVEDIR) == 0 && links("d") == 2);
	memset(name, 'n', 299);
	name[255] = '\0';
	make(name);
	CHECK(unlink(name) == 0);
	name[255] = 'n';
	name[256] = '\0';
	CHECK_ERROR(open(name, O_CREAT | O_RDWR, 0600), ENAMETOOLONG);
	CHECK_ERROR(open(name, O_RDONLY), ENAMETOOLONG);
	CHECK_ERROR(mkdir(name, 0700), ENAMETOOLONG);
	CHECK(rmdir("d") == 0);
}

static void long_paths(void)
{
	static char path[5000];

	for (size_t i = 0; i < 4094; i += 2)
		memcpy(path + i, "./", 2);
	strcpy(path + 4094, "f");
	make("f");
	CHECK(access(path, F_OK) == 0);
	strcpy(path + 4094, "ff");
	CHECK_ERROR(access(path, F_OK), ENAMETOOLONG);
	CHECK(unlink("f") == 0);
}

static void listings(void)
{
	bool seen[500] = {false};
	unsigned count = 0, dots = 0;
	struct dirent *entry;
	char name[300];
	long place = 0;
	DIR *list;

	CHECK(mkdir("many", 0700) == 0);
	for (int i = 0; i < 500; i++) {
		sprintf(name, "many/%d", i);
		make(name);
	}
	list = opendir("many");
	CHECK(list != NULL);
	while ((entry = readdir(list)) != NULL) {
		if (entry->d_name[0] == '.') {
			dots++;
			CHECK(entry->d_type == DT_DIR);
			continue;
		}
		CHECK(entry->d_type == DT_REG && !seen[atoi(entry->d_name)]);
		seen[atoi(entry->d_name)] = true;
		if (++count == 250)
			place = telldir(list);
	}
	CHECK(count == 500 && dots == 2);
	seekdir(list, place);
	for (count = 0; readdir(list); count++)
		;
	CHECK(count == 250);
	rewinddir(list);
	for (count = 0; (entry = readdir(list)) != NULL; count++) {
		sprintf(name, "many/%s", entry->d_name);
		if (entry->d_name[0] != '.')
			CHECK(unlink(name) == 0);
	}
	CHECK(count == 502);
	CHECK(syscall(SYS_getdents64, dirfd(list), name, 5) == 0 && lseek(dirfd(list), 0, SEEK_SET) == 0);
	CHECK_ERROR(syscall(SYS_getdents64, dirfd(list), name, 5), EINVAL);
	closedir(list);
	CHECK(rmdir("many") == 0);
	CHECK_ERROR(syscall(SYS_getdents64, 99, name, 20), EBADF);
	CHECK_ERROR(syscall(SYS_getdents64, open("/dev/null", O_RDONLY), name, 20), ENOTDIR);
}

static void current_directory(void)
{
	char path[PATH_MAX], expected[PATH_MAX];
	int file;

	sprintf(expected, "%s/a/b", directory);
	CHECK(mkdir("a", 0700) == 0 && mkdir("a/b", 0700) == 0);
	file = open(".", O_RDONLY);
	CHECK(chdir("a/b") == 0 && getcwd(path, sizeof(path)) && strcmp(path, expected) == 0);
	CHECK_ERROR(syscall(SYS_getcwd, path, 5), ERANGE);
	CHECK(rename("../../a", "../../renamed") == 0);
	sprintf(expected, "%s/renamed/b", directory);
	CHECK(getcwd(path, sizeof(path)) && strcmp(path, expected) == 0);
	CHECK(rmdir("../b") == 0);
	CHECK_ERROR(syscall(SYS_getcwd, path, sizeof(path)), ENOENT);
	CHECK_ERROR(open("x", O_CREAT | O_RDWR, 0600), ENOENT);
	CHECK_ERROR(chdir("missing"), ENOENT);
	CHECK(fchdir(file) == 0 && getcwd(path, sizeof(path)) && strcmp(path, directory) == 0);
	CHECK_ERROR(chdir("missing"), ENOENT);
	make("plain");
	CHECK_ERROR(chdir("plain"), ENOTDIR);
	CHECK_ERROR(fchdir(99), EBADF);
	CHECK(unlink("plain") == 0 && rmdir("renamed") == 0);
	close(file);
}

/* ---- Links -------------------------------------------------------------------------------------------------- */

static void hard_links(void)
{
	int file;

	make("one");
	CHECK(link("one", "two") == 0 && number("one") == number("two") && links("one") == 2);
	CHECK_ERROR(link("one", "two"), EEXIST);
	CHECK_ERROR(link("missing", "three"), ENOENT);
	CHECK_ERROR(link("one", "missing/three"), ENOENT);
	CHECK_ERROR(link(".", "three"), EPERM);
	CHECK_ERROR(link("one", "/dev/three"), EXDEV);
	CHECK_ERROR(linkat(AT_FDCWD, "one", AT_FDCWD, "three", 1), EINVAL);
	file = open("one", O_RDWR);
	CHECK(unlink("one") == 0 && links("two") == 1);
	CHECK(write(file, "x", 1) == 1);
	CHECK(unlink("two") == 0);
	CHECK(write(file, "y", 1) == 1 && lseek(file, 0, SEEK_END) == 2);
	CHECK_ERROR(linkat(file, "", AT_FDCWD, "again", AT_EMPTY_PATH), ENOENT);
	close(file);
}

static void symbolic_links(void)
{
	char target[PATH_MAX], name[20];
	struct stat stat_of;

	make("real");
	CHECK(symlink("real", "link") == 0 && mode("link") == (S_IFLNK | 0777));
	CHECK(lstat("link", &stat_of) == 0 && stat_of.st_size == 4);
	CHECK(stat("link", &stat_of) == 0 && stat_of.st_ino == number("real"));
	CHECK(readlink("link", target, sizeof(target)) == 4 && memcmp(target, "real", 4) == 0);
	CHECK(readlink("link", target, 2) == 2);
	CHECK_ERROR(readlink("real", target, 10), EINVAL);
	CHECK_ERROR(readlink("missing", target, 10), ENOENT);
	CHECK_ERROR(readlink("", target, 10), ENOENT);
	CHECK_ERROR(syscall(SYS_readlink, "link", target, 0), EINVAL);
	CHECK_ERROR(symlink("real", "link"), EEXIST);
	CHECK_ERROR(symlink("", "empty"), ENOENT);
	CHECK_ERROR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERROR(open("link", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERROR(open("link/", O_RDONLY), ENOTDIR);
	CHECK(symlink("nowhere", "dangling") == 0);
	CHECK_ERROR(open("dangling", O_RDONLY), ENOENT);
	CHECK(close(open("dangling", O_RDWR | O_CREAT, 0600)) == 0 && number("nowhere") != 0);
	CHECK(unlink("nowhere") == 0 && unlink("dangling") == 0);
	CHECK(symlink("loop", "loop") == 0);
	CHECK_ERROR(open("loop", O_RDONLY), ELOOP);
	CHECK_ERROR(stat("loop/x", &stat_of), ELOOP);
	CHECK(unlink("loop") == 0);
	for (int i = 0; i < 41; i++) {
		char to[20];

		sprintf(name, "chain%d", i);
		sprintf(to, "chain%d", i + 1);
		CHECK(symlink(i == 40 ? "real" : to, name) == 0);
	}
	CHECK(stat("chain1", &stat_of) == 0);
	CHECK_ERROR(stat("chain0", &stat_of), ELOOP);
	for (int i = 0; i < 41; i++) {
		sprintf(name, "chain%d", i);
		CHECK(unlink(name) == 0);
	}
	CHECK(mkdir("dir", 0700) == 0 && symlink("../real", "dir/up") == 0 && symlink("dir", "into") == 0);
	CHECK(stat("into/up", &stat_of) == 0 && stat_of.st_ino == number("real"));
	CHECK(lstat("into/", &stat_of) == 0 && S_ISDIR(stat_of.st_mode));
	CHECK_ERROR(unlink("into/"), ENOTDIR);
	CHECK_ERROR(rmdir("into"), ENOTDIR);
	CHECK(linkat(AT_FDCWD, "link", AT_FDCWD, "hard", AT_SYMLINK_FOLLOW) == 0 &&
	      number("hard") == number("real"));
	CHECK(link("link", "hard2") == 0 && number("hard2") == number("link"));
	CHECK(unlink("hard") == 0 && unlink("hard2") == 0);
	memset(target, 'x', sizeof(target));
	memcpy(target, "/", 1);
	for (size_t i = 200; i < 4000; i += 200)
		target[i] = '/';
	target[4000] = '\0';
	CHECK(symlink(target, "long") == 0 && readlink("long", target, sizeof(target)) == 4000);
	CHECK_ERROR(open("long", O_RDONLY), ENOENT);
	CHECK(unlink("long") == 0 && unlink("into") == 0 && unlink("dir/up") == 0 && rmdir("dir") == 0);
	CHECK(unlink("link") == 0 && unlink("real") == 0);
}

/* ---- rename --------------------------------------------------------------------------------------------------- */

static void renaming(void)
{
	ino_t a, b;

	make("a");
	make("b");
	a = number("a");
	b = number("b");
	CHECK(rename("a", "c") == 0 && number("c") == a && number("a") == 0);
	CHECK(rename("c", "b") == 0 && number("b") == a && number("c") == 0);
	CHECK_ERROR(rename("missing", "x"), ENOENT);
	CHECK_ERROR(rename("b", "missing/x"), ENOENT);
	CHECK(rename("b", "b") == 0);
	CHECK(link("b", "same") == 0 && rename("b", "same") == 0 && number("b") == a && number("same") == a);
	CHECK(unlink("same") == 0);
	CHECK(mkdir("d", 0700) == 0 && mkdir("d/e", 0700) == 0 && mkdir("empty", 0700) == 0);
	CHECK_ERROR(rename("d", "d/e/f"), EINVAL);
	CHECK_ERROR(rename("d", "d/f"), EINVAL);
	CHECK_ERROR(rename("d/e", "d"), ENOTEMPTY);
	CHECK_ERROR(rename("b", "d"), EISDIR);
	CHECK_ERROR(rename("d", "b"), ENOTDIR);
	CHECK_ERROR(rename("empty", "d"), ENOTEMPTY);
	CHECK_ERROR(rename("b/", "x"), ENOTDIR);
	CHECK_ERROR(rename("b", "x/"), ENOTDIR);
	CHECK_ERROR(rename(".", "x"), EBUSY);
	CHECK_ERROR(rename("d/..", "x"), EBUSY);
	CHECK(rename("d", "empty") == 0 && links("empty") == 3);
	CHECK(rename("empty/e", "top/") == 0 && links("empty") == 2 && number("top") != 0);
	CHECK_ERROR(rename("b", "/proc/b"), EXDEV);
	make("z");
	CHECK_ERROR(rename_with("b", "z", NOREPLACE), EEXIST);
	CHECK(rename_with("b", "y", NOREPLACE) == 0 && number("y") == a);
	b = number("z");
	CHECK(rename_with("y", "z", EXCHANGE) == 0 && number("z") == a && number("y") == b);
	CHECK_ERROR(rename_with("y", "missing", EXCHANGE), ENOENT);
	CHECK_ERROR(rename_with("y", "z", 3), EINVAL);
	CHECK_ERROR(rename_with("y", "z", 64), EINVAL);
	CHECK(rename_with("y", "top", EXCHANGE) == 0 && S_ISDIR(mode("y")) && S_ISREG(mode("top")));
	CHECK_ERROR(rename_with("empty", "empty/x", EXCHANGE), ENOENT);
	CHECK(unlink("top") == 0 && rmdir("y") == 0 && unlink("z") == 0 && rmdir("empty") == 0);
}

/* ---- Attributes ------------------------------------------------------------------------------------------------ */

static void permissions(void)
{
	struct stat stat_of;
	int file;

	make("p");
	CHECK(chmod("p", 07777) == 0 && mode("p") == (S_IFREG | 07777));
	CHECK(chmod("p", 0640) == 0 && mode("p") == (S_IFREG | 0640));
	CHECK_ERROR(chmod("missing", 0), ENOENT);
	CHECK_ERROR(fchmod(99, 0), EBADF);
	file = open("p", O_RDONLY);
	CHECK(fchmod(file, 0400) == 0 && mode("p") == (S_IFREG | 0400));
	CHECK(chmod("p", 06755) == 0 && chown("p", 1, 2) == 0);
	CHECK(stat("p", &stat_of) == 0 && stat_of.st_uid == 1 && stat_of.st_gid == 2 &&
	      stat_of.st_mode == (S_IFREG | 0755));
	CHECK(chown("p", -1, 3) == 0 && fchown(file, 4, -1) == 0);
	CHECK(stat("p", &stat_of) == 0 && stat_of.st_uid == 4 && stat_of.st_gid == 3);
	CHECK(symlink("p", "q") == 0 && lchown("q", 7, 7) == 0);
	CHECK(lstat("q", &stat_of) == 0 && stat_of.st_uid == 7 && stat("p", &stat_of) == 0 &&
	      stat_of.st_uid == 4);
	CHECK(access("p", R_OK | W_OK | X_OK) == 0);
	CHECK(chmod("p", 0644) == 0 && access("p", R_OK | W_OK) == 0);
	CHECK_ERROR(access("p", X_OK), EACCES);
	CHECK_ERROR(access("p", 8), EINVAL);
	CHECK_ERROR(access("missing", F_OK), ENOENT);
	CHECK(faccessat(AT_FDCWD, "q", F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK(umask(0) == 022);
	make("u");
	CHECK(mode("u") == (S_IFREG | 0644) && mkdir("v", 01777) == 0 && mode("v") == (S_IFDIR | 01777));
	CHECK(umask(022) == 0);
	close(file);
	CHECK(mkdir("g", 0755) == 0 && chown("g", 0, 77) == 0 && chmod("g", 02755) == 0);
	make("g/f");
	CHECK(stat("g/f", &stat_of) == 0 && stat_of.st_gid == 77);
	CHECK(mkdir("g/d", 0755) == 0 && mode("g/d") == (S_IFDIR | S_ISGID | 0755));
	CHECK(unlink("g/f") == 0 && rmdir("g/d") == 0 && rmdir("g") == 0);
	CHECK(unlink("p") == 0 && unlink("q") == 0 && unlink("u") == 0 && rmdir("v") == 0);
}

/* What another user may do. */
static void without_rights(void)
{
	CHECK_ERROR(open("private", O_RDONLY), EACCES);
	CHECK_ERROR(open("private", O_WRONLY), EACCES);
	CHECK_ERROR(open("private/x", O_RDONLY), ENOTDIR);
	CHECK_ERROR(access("private", R_OK), EACCES);
	CHECK_ERROR(chmod("private", 0777), EPERM);
	CHECK_ERROR(chown("private", 1000, 1000), EPERM);
	CHECK_ERROR(truncate("private", 0), EACCES);
	CHECK_ERROR(utimes("private", NULL), EACCES);
	CHECK_ERROR(utimes("private", (struct timeval[2]){{0}}), EPERM);
	CHECK_ERROR(open("closed/x", O_RDONLY), EACCES);
	CHECK_ERROR(open("new", O_CREAT | O_RDWR, 0600), EACCES);
	CHECK_ERROR(unlink("private"), EACCES);
	CHECK_ERROR(mkdir("new", 0700), EACCES);
	CHECK_ERROR(rename("private", "other"), EACCES);
	CHECK_ERROR(unlink("sticky/roots"), EPERM);
	CHECK_ERROR(rename("sticky/roots", "sticky/mine"), EPERM);
	CHECK_ERROR(mknod("sticky/device", S_IFCHR | 0600, makedev(1, 3)), EPERM);
	CHECK_ERROR(chroot("."), EPERM);
	CHECK_ERROR(chroot("closed"), EACCES);
	CHECK_ERROR(chroot("group"), ENOTDIR);
	CHECK(open("group", O_RDONLY) >= 0);
	CHECK_ERROR(open("group", O_WRONLY), EACCES);
	make("sticky/own");
	CHECK(chmod("sticky/own", 04755) == 0);
	CHECK(chown("sticky/own", 1000, 1000) == 0 && mode("sticky/own") == (S_IFREG | 0755));
	CHECK(chmod("sticky/own", 06755) == 0);
	CHECK(write(open("sticky/own", O_WRONLY), "x", 1) == 1 && mode("sticky/own") == (S_IFREG | 0755));
	CHECK(utimes("sticky/own", (struct timeval[2]){{0}}) == 0);
	CHECK(unlink("sticky/own") == 0);
}

static void rights(void)
{
	int status = -1;
	pid_t pid;

	CHECK(chmod(".", 0755) == 0);
	make("private");
	make("group");
	CHECK(chmod("private", 0600) == 0 && chmod("group", 0640) == 0 && chown("group", 0, 1000) == 0);
	CHECK(mkdir("closed", 0700) == 0 && mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
	make("closed/x");
	make("sticky/roots");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		checks_failed = 0;
		if (setgid(1000) || setuid(1000))
			_exit(99);
		without_rights();
		fflush(stdout);
		_exit((int)checks_failed);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(unlink("closed/x") == 0 && unlink("sticky/roots") == 0 && rmdir("closed") == 0 &&
	      rmdir("sticky") == 0);
	CHECK(unlink("private") == 0 && unlink("group") == 0);
}

static void times(void)
{
	struct timespec both[2] = {{1000, 5}, {2000, 999999999}};
	struct utimbuf seconds = {11, 12};
	struct stat before, after;

	make("t");
	CHECK(utimensat(AT_FDCWD, "t", both, 0) == 0 && stat("t", &after) == 0);
	CHECK(after.st_atim.tv_sec == 1000 && after.st_atim.tv_nsec == 5);
	CHECK(after.st_mtim.tv_sec == 2000 && after.st_mtim.tv_nsec == 999999999);
	both[0].tv_nsec = UTIME_OMIT;
	both[1].tv_sec = -5;
	CHECK(utimensat(AT_FDCWD, "t", both, 0) == 0 && stat("t", &after) == 0);
	CHECK(after.st_atim.tv_sec == 1000 && after.st_mtim.tv_sec == -5 &&
	      after.st_mtim.tv_nsec == 999999999);
	both[1].tv_nsec = UTIME_NOW;
	CHECK(utimensat(AT_FDCWD, "t", both, 0) == 0 && stat("t", &after) == 0);
	CHECK(after.st_atim.tv_sec == 1000 && after.st_mtim.tv_sec > 1000000000);
	both[1].tv_nsec = 1000000000;
	CHECK_ERROR(utimensat(AT_FDCWD, "t", both, 0), EINVAL);
	CHECK_ERROR(utimensat(AT_FDCWD, "missing", NULL, 0), ENOENT);
	CHECK_ERROR(utimensat(AT_FDCWD, "t", NULL, 1), EINVAL);
	CHECK(utime("t", &seconds) == 0 && stat("t", &after) == 0 && after.st_atime == 11 &&
	      after.st_mtime == 12);
	CHECK(utimes("t", NULL) == 0 && stat("t", &after) == 0 && after.st_atime > 1000000000);
	before = after;
	usleep(20000);
	CHECK(truncate("t", 100) == 0 && stat("t", &after) == 0);
	CHECK(after.st_mtim.tv_nsec != before.st_mtim.tv_nsec ||
	      after.st_mtim.tv_sec != before.st_mtim.tv_sec);
	CHECK(unlink("t") == 0);
}

/* ---- Other kinds, and file systems ------------------------------------------------------------------------------- */

static void nodes(void)
{
	struct statfs fs;
	struct stat stat_of;

	CHECK(mknod("n", S_IFREG | 0600, 0) == 0 && mode("n") == (S_IFREG | 0600));
	CHECK(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	CHECK(stat("null", &stat_of) == 0 && stat_of.st_rdev == makedev(1, 3));
	CHECK(write(open("null", O_WRONLY), "x", 1) == 1);
	CHECK(mknod("nothing", S_IFCHR | 0666, makedev(200, 3)) == 0);
	CHECK_ERROR(open("nothing", O_RDONLY), ENXIO);
	CHECK(mknod("socket", S_IFSOCK | 0600, 0) == 0);
	CHECK_ERROR(open("socket", O_RDONLY), ENXIO);
	CHECK_ERROR(mknod("dir", S_IFDIR | 0600, 0), EPERM);
	CHECK_ERROR(mknod("odd", 0170000 | 0600, 0), EINVAL);
	CHECK_ERROR(mknod("n", S_IFREG | 0600, 0), EEXIST);
	CHECK(unlink("n") == 0 && unlink("null") == 0 && unlink("nothing") == 0 && unlink("socket") == 0);
	CHECK(statfs(".", &fs) == 0 && fs.f_type == 0x01021994 && fs.f_bsize == 4096 && fs.f_namelen == 255);
	CHECK(fs.f_blocks > 0 && fs.f_bfree > 0 && fs.f_bfree <= fs.f_blocks);
	CHECK_ERROR(statfs("missing", &fs), ENOENT);
	CHECK_ERROR(fstatfs(99, &fs), EBADF);
}

int main(void)
{
	umask(022);
	CHECK(mkdtemp(directory) && chdir(directory) == 0);
	directories();
	long_paths();
	listings();
	current_directory();
	hard_links();
	symbolic_links();
	renaming();
	permissions();
	rights();
	times();
	nodes();
	CHECK(chdir("/") == 0 && rmdir(directory) == 0);
	return checks_end("names");
}
