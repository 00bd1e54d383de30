/*
 * Cases of fail_nth: names, files, descriptors, /proc, mounts, terminals.
 */
#include "fail_nth.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#define LONG_NAME                                                                                     \
	"a-name-that-is-longer-than-those-that-are-kept-in-the-name-itself-and-longer-than-the-ones-" \
	"that-have-a-small-object-of-their-own"
#define HIGH_FD     900
#define PARTS       600   /* of a vector, more than fit on the kernel's stack */
#define ENTRIES     40    /* names in a directory */
#define NULL_DEVICE 0x103 /* 1:3 */

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2 /* <linux/fs.h> */
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2 /* <linux/close_range.h> */
#endif

static struct stat status;
static struct statfs about;
static struct iovec parts[PARTS];
static struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
static const struct flock reading = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 60};
static const struct flock middle = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 40, .l_len = 10};

static void fill_parts(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		parts[i] = (struct iovec){buffer + i, 1};
}

static void fill_directory(void)
{
	char name[16];

	for (unsigned i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "entry%u", i);
		close((int)MUST(creat(name, 0600)));
	}
}

static void make_mount(void)
{
	MUST(mkdir(MOUNT, 0700));
	MUST(mount("none", MOUNT, "tmpfs", 0, NULL));
}

static int opened(const char *path, int flags)
{
	return (int)MUST(open(path, flags));
}

/* ---- Names ----------------------------------------------------------------------------------------------------- */

CASE(open_new, , open("new", O_CREAT | O_RDWR, 0600));
CASE(open_new_long, , open(LONG_NAME, O_CREAT | O_RDWR, 0600));
CASE(open_sixty, while (dup(0) < 63), open("new", O_CREAT | O_RDWR, 0600));
CASE(open_old, close(file_of("old", 1)), open("old", O_RDONLY));
CASE(open_truncate, close(file_of("old", 4)), open("old", O_RDWR | O_TRUNC));
CASE(open_unnamed, , open(".", O_TMPFILE | O_RDWR, 0600));
CASE(open_directory, , open("/", O_RDONLY | O_DIRECTORY));
CASE(open_path, , open("/tmp", O_PATH));
CASE(open_null, , open("/dev/null", O_RDWR));
CASE(open_fifo, MUST(mkfifo("fifo", 0600)), open("fifo", O_RDWR));
CASE(creat, , creat("new", 0600));
CASE(mkdir, , mkdir("new", 0700));
CASE(mkdir_long, , mkdir(LONG_NAME, 0700));
CASE(mknod_fifo, , mknod("new", S_IFIFO | 0600, 0));
CASE(mknod_device, , mknod("new", S_IFCHR | 0600, NULL_DEVICE));
CASE(symlink, , symlink("target", "new"));
CASE(symlink_long, , symlink(LONG_NAME "/" LONG_NAME "/" LONG_NAME, "new"));
CASE(link, close(file_of("old", 1)), link("old", "new"));
CASE(link_unnamed, fd = (int)MUST(open(".", O_TMPFILE | O_RDWR, 0600)),
     linkat(fd, "", AT_FDCWD, "new", AT_EMPTY_PATH));
CASE(rename, close(file_of("old", 1)), rename("old", "new"));
CASE(rename_long, close(file_of("old", 1)), rename("old", LONG_NAME));
CASE(rename_over, close(file_of("old", 1)); close(file_of("new", 1)), rename("old", "new"));
CASE(rename_exchange, close(file_of("old", 1));
     close(file_of("new", 1)), syscall(SYS_renameat2, AT_FDCWD, "old", AT_FDCWD, "new", RENAME_EXCHANGE));
CASE(rename_directory, MUST(mkdir("old", 0700)); MUST(mkdir("old/in", 0700)), rename("old/in", LONG_NAME));
CASE(link_long, close(file_of("old", 1)), link("old", LONG_NAME));
CASE(unlink_open, fd = file_of("old", 4), unlink("old"));
CASE(unlink, close(file_of("old", 4)), unlink("old"));
CASE(rmdir, MUST(mkdir("old", 0700)), rmdir("old"));
CASE(readlink, MUST(symlink("target", "old")), readlink("old", buffer, PAGE));
CASE(readlink_proc, , readlink("/proc/self/exe", buffer, PAGE));
CASE(getcwd, , syscall(SYS_getcwd, buffer, PAGE));
CASE(chdir, , chdir("/proc/self/fd"));
CASE(chroot, , chroot("."));
CASE(stat, , stat("/proc/self/status", &status));
CASE(lstat, MUST(symlink("target", "old")), lstat("old", &status));
CASE(statfs, , statfs("/proc", &about));
CASE(access, , access("/dev/null", R_OK));
CASE(chmod, close(file_of("old", 1)), chmod("old", 0644));
CASE(chown, close(file_of("old", 1)), chown("old", 1, 1));
CASE(utimensat, close(file_of("old", 1)), utimensat(AT_FDCWD, "old", NULL, 0));
CASE(truncate, close(file_of("old", 1)), truncate("old", 1 << 20));
CASE(truncate_in_page, close(file_of("old", 3)), truncate("old", PAGE + 1));
CASE(getdents, fill_directory();
     fd = opened(".", O_RDONLY), syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
CASE(getdents_proc, fd = opened("/proc", O_RDONLY), syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
CASE(getdents_fd, fd = opened("/proc/self/fd", O_RDONLY),
     syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
CASE(getdents_task, fd = opened("/proc/self/task", O_RDONLY),
     syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));

/* ---- Contents ---------------------------------------------------------------------------------------------------- */

CASE(write, fd = file_of("old", 0), write(fd, buffer, PAGE), .also = {ENOSPC});
CASE(write_many, fd = file_of("old", 0), write(fd, buffer, sizeof(buffer)), .also = {ENOSPC}, .copes = true);
CASE(write_far, fd = file_of("old", 0), pwrite(fd, buffer, 1, 1l << 40), .also = {ENOSPC});
CASE(write_old, fd = file_of("old", 1), pwrite(fd, buffer, PAGE, 0), .also = {ENOSPC});
CASE(writev, fd = file_of("old", 0); fill_parts(), writev(fd, parts, PARTS), .also = {ENOSPC});
CASE(read, fd = file_of("old", 4), pread(fd, buffer, 4 * PAGE, 0));
CASE(read_hole, fd = file_of("old", 0); MUST(ftruncate(fd, 4 * PAGE)), pread(fd, buffer, 4 * PAGE, 0));
CASE(readv, fd = file_of("old", 1); fill_parts(), preadv(fd, parts, PARTS, 0));
CASE(fallocate, fd = file_of("old", 0), fallocate(fd, 0, 0, 8 * PAGE), .also = {ENOSPC}, .copes = true,
     .changes = true);
CASE(fallocate_punch, fd = file_of("old", 8),
     fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, PAGE + 1, 4 * PAGE), .changes = true);
CASE(fsync, fd = file_of("old", 1), fsync(fd));
CASE(sendfile, fd = file_of("old", 4); fds[0] = file_of("new", 0),
				       sendfile(fds[0], fd, &(off_t){0}, 4 * PAGE), .also = {ENOSPC},
				       .copes = true);
CASE(copy_file_range, fd = file_of("old", 4);
     fds[0] = file_of("new", 0),
     syscall(SYS_copy_file_range, fd, &(off_t){0}, fds[0], &(off_t){0}, 4 * PAGE, 0), .also = {ENOSPC},
     .copes = true);
CASE(memfd, , syscall(SYS_memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
CASE(memfd_write, fd = (int)MUST(syscall(SYS_memfd_create, "name", MFD_ALLOW_SEALING)),
     write(fd, buffer, PAGE), .also = {ENOSPC});
CASE(memfd_seal, fd = (int)MUST(syscall(SYS_memfd_create, "name", MFD_ALLOW_SEALING)),
     fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));

/* ---- Descriptors --------------------------------------------------------------------------------------------------- */

CASE(dup_high, , fcntl(0, F_DUPFD, HIGH_FD));
CASE(dup2_high, , dup2(0, HIGH_FD));
CASE(dup3, , dup3(0, HIGH_FD, O_CLOEXEC));
CASE(close, fd = file_of("old", 1), close(fd));
CASE(unshare_files, dup2(0, HIGH_FD), syscall(SYS_unshare, CLONE_FILES));
CASE(unshare_context, , syscall(SYS_unshare, CLONE_FS));
CASE(close_range, dup2(0, HIGH_FD), syscall(SYS_close_range, HIGH_FD, ~0u, CLOSE_RANGE_UNSHARE));
CASE(lock, fd = file_of("old", 1), fcntl(fd, F_SETLK, &lock), .also = {ENOLCK});
CASE(lock_split, fd = file_of("old", 1);
     MUST(fcntl(fd, F_SETLK, &lock)), fcntl(fd, F_SETLK, &middle), .also = {ENOLCK});
CASE(lock_wait, fd = file_of("old", 1), fcntl(fd, F_SETLKW, &lock), .also = {ENOLCK});
CASE(lock_description, fd = file_of("old", 1), fcntl(fd, F_OFD_SETLK, &lock), .also = {ENOLCK});
CASE(lock_convert, fd = file_of("old", 1);
     MUST(fcntl(fd, F_SETLK, &lock)), fcntl(fd, F_SETLK, &reading), .also = {ENOLCK});
CASE(lock_get, fd = file_of("old", 1), fcntl(fd, F_GETLK, &lock));
CASE(flock_convert, fd = file_of("old", 1);
     MUST(flock(fd, LOCK_SH)), syscall(SYS_flock, fd, LOCK_EX), .also = {ENOLCK});
CASE(flock, fd = file_of("old", 1), syscall(SYS_flock, fd, LOCK_EX), .also = {ENOLCK});

/* ---- /proc ----------------------------------------------------------------------------------------------------------- */

#define PROC(name, path)                                    \
	CASE(open_##name, , open("/proc/" path, O_RDONLY)); \
	CASE(read_##name, fd = opened("/proc/" path, O_RDONLY), read(fd, buffer, PAGE))

PROC(maps, "self/maps");
PROC(smaps, "self/smaps");
PROC(status, "self/status");
PROC(stat, "self/stat");
PROC(cmdline, "self/cmdline");
PROC(environ, "self/environ");
PROC(mounts, "self/mounts");
PROC(mountinfo, "self/mountinfo");
PROC(limits, "self/limits");
PROC(pagemap, "self/pagemap");
PROC(fdinfo, "self/fdinfo/0");
PROC(task, "self/task/../comm");
PROC(first, "1/oom_score");
PROC(meminfo, "meminfo");
PROC(slabinfo, "slabinfo");
PROC(pid_max, "sys/kernel/pid_max");
PROC(segments, "sysvipc/shm");
CASE(open_fd, fd = file_of("old", 1); MUST(dup2(fd, 77)), open("/proc/self/fd/77", O_RDONLY));
CASE(open_exe, , open("/proc/self/exe", O_RDONLY));
CASE(open_link, MUST(symlink(LONG_NAME, "old")); close(file_of(LONG_NAME, 0)), open("old", O_RDONLY));
CASE(write_comm, fd = opened("/proc/self/comm", O_RDWR), write(fd, "name", 4));
CASE(write_adjust, fd = opened("/proc/self/oom_score_adj", O_RDWR), write(fd, "3", 1));

/* ---- Mounts, terminals -------------------------------------------------------------------------------------------------- */

CASE(mount, MUST(mkdir(MOUNT, 0700)), mount("none", MOUNT, "tmpfs", 0, NULL));
CASE(mount_proc, MUST(mkdir(MOUNT, 0700)), mount("none", MOUNT, "proc", 0, NULL));
CASE(umount, make_mount(), umount2(MOUNT, 0));
CASE(umount_lazily, make_mount(); close(file_of(MOUNT "/file", 2)), umount2(MOUNT, MNT_DETACH));
CASE(mount_open, make_mount(), open(MOUNT "/new", O_CREAT | O_RDWR, 0600));
CASE(open_master, , open("/dev/ptmx", O_RDWR | O_NOCTTY));
CASE(open_slave, fd = opened("/dev/ptmx", O_RDWR | O_NOCTTY);
     MUST(ioctl(fd, TIOCSPTLCK, &(int){0})), ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY));
CASE(write_slave, fd = opened("/dev/ptmx", O_RDWR | O_NOCTTY); MUST(ioctl(fd, TIOCSPTLCK, &(int){0}));
     fds[0] = (int)MUST(ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY)), write(fds[0], buffer, 100));
CASE(read_random, fd = opened("/dev/urandom", O_RDONLY), read(fd, buffer, PAGE));
CASE(read_master, fd = opened("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
     MUST(ioctl(fd, TIOCSPTLCK, &(int){0})); fds[0] = (int)MUST(ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY));
     MUST(write(fds[0], buffer, 100)), read(fd, buffer, 100));
CASE(set_terminal, fd = opened("/dev/ptmx", O_RDWR | O_NOCTTY); MUST(ioctl(fd, TIOCSPTLCK, &(int){0}));
     fds[0] = (int)MUST(ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY));
     MUST(setsid()), ioctl(fds[0], TIOCSCTTY, 0));
CASE(getdents_terminals, fd = opened("/dev/pts", O_RDONLY),
     syscall(SYS_getdents64, fd, buffer, sizeof(buffer)));
CASE(open_shared, , open("/dev/shm", O_TMPFILE | O_RDWR, 0600));
CASE(write_setting, fd = opened("/proc/sys/kernel/pid_max", O_RDWR), write(fd, "32768", 5));
CASE(write_append, fd = file_of("old", 1);
     MUST(fcntl(fd, F_SETFL, O_APPEND)), write(fd, buffer, PAGE), .also = {ENOSPC});
CASE(truncate_mapped, fd = file_of("old", 8);
     area = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0); area[0] = area[5 * PAGE] = 1;
     MUST(fork() == 0 ? (_exit(0), 0) : 0), ftruncate(fd, PAGE + 1));
