/*
 * What /proc, /sys and /dev have to say, as far as programs read it; sysinfo, uname and their like; and system calls that
 * nobody has.
 */
#include "tap.h"
#include <dirent.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>

#define PAGES 64

/* The number behind the name in a file of lines "Name: number", or -1. */
static long number_of(const char *path, const char *name)
{
	const char *line = contents(path);

	for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, name, strlen(name)) == 0 && strchr(": \t", line[strlen(name)]))
			return strtol(line + strlen(name) + 1, NULL, 10);
	}
	return -1;
}

/* The line of /proc/self/maps that has the address, as text; empty if there is none. */
static const char *map_line(const void *address)
{
	static char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;

	NEED(maps != NULL);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start <= (uintptr_t)address &&
		    (uintptr_t)address < end) {
			fclose(maps);
			return line;
		}
	}
	fclose(maps);
	return "";
}

TEST(memory_info,
     "/proc/meminfo: total, free, available, in the right order of size; swap; more for harnesses")
{
	long total = number_of("/proc/meminfo", "MemTotal"), unused = number_of("/proc/meminfo", "MemFree");
	const char *others[] = {"Buffers", "Cached",      "SwapTotal",   "SwapFree",
				"Shmem",   "CommitLimit", "Committed_AS"};

	CHECK(total > 10000 && unused > 0 && unused < total);
	CHECK(number_of("/proc/meminfo", "MemAvailable") <= total);
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++)
		CHECK(number_of("/proc/meminfo", others[i]) >= 0);
}

TEST(memory_moves, "/proc/meminfo: free memory goes down by what is used, and is not lost")
{
	long before = number_of("/proc/meminfo", "MemFree");
	size_t bytes = 32ul << 20;

	skip_if_shared();
	for (int i = 0; i < 20; i++) {
		char *memory = anonymous(bytes);

		memset(memory, 'x', bytes);
		CHECK(number_of("/proc/meminfo", "MemFree") < before - 16 * 1024);
		CHECK(munmap(memory, bytes) == 0);
	}
	/* A kernel may keep pages at hand that it does not count as free. */
	CHECK(number_of("/proc/meminfo", "MemFree") > before - 48 * 1024);
}

TEST(maps, "/proc/self/maps: rights, sharing, offset and name of each mapping")
{
	int file = make_file("mapped", 4 * PAGE);
	char *private_map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, PAGE);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 2 * PAGE);
	char *nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(strstr(map_line(private_map), " r--p 00001000 ") && strstr(map_line(private_map), "/mapped\n"));
	CHECK(strstr(map_line(shared), " rw-s 00002000 ") && strstr(map_line(shared), "/mapped\n"));
	CHECK(strstr(map_line(nothing), " ---p 00000000 "));
	CHECK(strstr(map_line((void *)(uintptr_t)map_line), " r-xp ") != NULL);
	CHECK(strstr(map_line((void *)(uintptr_t)map_line), "/proc\n") != NULL); /* this program's name */
	CHECK(strstr(map_line(&file), "[stack]") != NULL);
	CHECK(strstr(map_line(sbrk(0) - 1), "rw-p") != NULL || sbrk(0) == NULL);
}

/* What is mapped there: how many of PAGES pages have a line of their own that begins with them, and the last goes no further. */
static int lines_of(const char *memory, size_t pages)
{
	int lines = 0;

	for (size_t i = 0; i < pages; i++)
		lines += strtoul(map_line(memory + i * PAGE), NULL, 16) == (uintptr_t)memory + i * PAGE;
	CHECK(strtoul(strchr(map_line(memory + (pages - 1) * PAGE), '-') + 1, NULL, 16) ==
	      (uintptr_t)memory + pages * PAGE);
	return lines;
}

static void map_fixed(char *memory)
{
	NEED(mmap(memory, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	     memory);
}

TEST(maps_forked, "/proc/self/maps: neighbours are one line, also after fork; but for what a child got with "
		  "contents and maps itself")
{
	char *memory = mmap(NULL, 7 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(memory != MAP_FAILED);
	map_fixed(memory + PAGE);
	memory[PAGE] = 'x';
	map_fixed(memory + 2 * PAGE);
	EQUAL(lines_of(memory + PAGE, 2), 1);
	map_fixed(memory + 4 * PAGE);
	IN_CHILD
	{
		EQUAL(lines_of(memory + PAGE, 2), 1);
		map_fixed(memory + 3 * PAGE);
		CHECK(mprotect(memory + 4 * PAGE, PAGE, PROT_READ) == 0);
		EQUAL(lines_of(memory + PAGE, 3), 2);
		memory[3 * PAGE] = 'y';
		EQUAL(lines_of(memory + PAGE, 3), 2);
		map_fixed(memory + 5 * PAGE);
		CHECK(mprotect(memory + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
		EQUAL(lines_of(memory + 3 * PAGE, 3), 1);
		IN_CHILD
		{
			EQUAL(lines_of(memory + PAGE, 5), 2);
		}
	}
	map_fixed(memory + 3 * PAGE);
	EQUAL(lines_of(memory + PAGE, 4), 1);
}

TEST(maps_asked,
     "/proc/self/maps: the rights that were asked for, though what may be written or executed can be read")
{
	int only_write = PROT_WRITE, file = make_file("mapped", PAGE);
	char *memory = mmap(NULL, 4 * PAGE, only_write, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, PAGE, only_write | PROT_EXEC, MAP_SHARED, file, 0);

	NEED(memory != MAP_FAILED && shared != MAP_FAILED);
	memory[0] = 'x';
	CHECK(memory[0] == 'x' && strstr(map_line(memory), " -w-p ") && strstr(map_line(shared), " -wxs "));
	CHECK(mprotect(memory, PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(strstr(map_line(memory), " rw-p ") && strstr(map_line(memory + PAGE), " -w-p "));
	CHECK(mprotect(memory + PAGE, PAGE, PROT_EXEC) == 0);
	CHECK(strstr(map_line(memory + PAGE), " --xp ") && strstr(map_line(memory + 2 * PAGE), " -w-p "));
}

TEST(smaps_flags, "/proc/self/smaps: VmFlags")
{
	char *memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0), start[32];
	const char *entry;

	NEED(memory != MAP_FAILED && madvise(memory, PAGE, MADV_DONTFORK) == 0 && mlock(memory, PAGE) == 0);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)memory);
	entry = strstr(contents("/proc/self/smaps"), start);
	NEED(entry != NULL && (entry = strstr(entry, "VmFlags: ")) != NULL);
	CHECK(strncmp(entry + 9, "rd sh mr mw me ms ", 18) == 0);
	*strchr(entry, '\n') = '\0';
	CHECK(strstr(entry, " lo ") && strstr(entry, " dc "));
}

TEST(maps_heap, "/proc/self/maps: the heap is called so")
{
	uintptr_t start = (uintptr_t)CALL(brk, 0), end = (start + 4 * PAGE) & -PAGE;

	NEED((uintptr_t)CALL(brk, end) == end);
	CHECK(strstr(map_line((void *)(end - 1)), "[heap]") != NULL);
}

TEST(smaps, "/proc/self/smaps: sizes of each mapping, those that are in memory, locked ones")
{
	char *memory = anonymous(PAGES * PAGE), start[32];
	const char *entry;

	memset(memory, 'x', 10 * PAGE);
	NEED(mlock(memory, PAGE) == 0);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)memory);
	entry = strstr(contents("/proc/self/smaps"), start);
	NEED(entry != NULL);
	CHECK(strstr(entry, "Size:") && strstr(entry, "Rss:") && strstr(entry, "VmFlags:"));
	EQUAL(strtol(strstr(entry, "Size:") + 5, NULL, 10), 4);
	EQUAL(strtol(strstr(entry, "Rss:") + 4, NULL, 10), 4);
	EQUAL(strtol(strstr(entry, "Locked:") + 7, NULL, 10), 4);
	snprintf(start, sizeof(start), "%lx-", (unsigned long)memory + PAGE);
	entry = strstr(contents("/proc/self/smaps"), start);
	NEED(entry != NULL);
	EQUAL(strtol(strstr(entry, "Size:") + 5, NULL, 10), (PAGES - 1) * 4);
	EQUAL(strtol(strstr(entry, "Rss:") + 4, NULL, 10), 36);
	EQUAL(strtol(strstr(entry, "KernelPageSize:") + 15, NULL, 10), 4);
}

TEST(status, "/proc/self/status: name, state, ids, memory, signals")
{
	long size = number_of("/proc/self/status", "VmSize"),
	     resident = number_of("/proc/self/status", "VmRSS");
	char *memory = anonymous(PAGES * PAGE * 16);

	CHECK(strncmp(contents("/proc/self/status"), "Name:\tproc\n", 11) == 0);
	CHECK(strstr(contents("/proc/self/status"), "State:\tR"));
	EQUAL(number_of("/proc/self/status", "Pid"), getpid());
	EQUAL(number_of("/proc/self/status", "PPid"), getppid());
	EQUAL(number_of("/proc/self/status", "Uid"), getuid());
	EQUAL(number_of("/proc/self/status", "Threads"), 1);
	EQUAL(number_of("/proc/self/status", "VmSize"), size + PAGES * 16 * 4);
	memset(memory, 'x', PAGES * PAGE * 16);
	CHECK(number_of("/proc/self/status", "VmRSS") >= resident + PAGES * 12 * 4);
	CHECK(number_of("/proc/self/status", "VmPeak") >= size &&
	      number_of("/proc/self/status", "VmHWM") > 0);
	CHECK(strstr(contents("/proc/self/status"), "\nSigBlk:\t") != NULL);
}

TEST(stat_file, "/proc/self/stat and statm")
{
	int pid, parent, group, session;
	char name[64], state;
	long pages[7];

	NEED(sscanf(contents("/proc/self/stat"), "%d (%[^)]) %c %d %d %d", &pid, name, &state, &parent,
		    &group, &session) == 6);
	CHECK(pid == getpid() && strcmp(name, "proc") == 0 && state == 'R' && parent == getppid());
	CHECK(group == getpgrp() && session == getsid(0));
	NEED(sscanf(contents("/proc/self/statm"), "%ld %ld %ld %ld %ld %ld %ld", pages, pages + 1, pages + 2,
		    pages + 3, pages + 4, pages + 5, pages + 6) == 7);
	CHECK(pages[0] > pages[1] && pages[1] > 0);
	EQUAL(pages[0] * 4, number_of("/proc/self/status", "VmSize"));
}

TEST(others_process, "/proc/PID of another process: its state, its end")
{
	char path[64];
	pid_t child = fork();
	int status;

	if (child == 0) {
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	sleep_ms(50);
	CHECK(strstr(contents(path), "State:\tS") != NULL);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	CHECK(strstr(contents(path), "State:\tT") != NULL);
	kill(child, SIGKILL);
	CHECK(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT) == 0);
	CHECK(strstr(contents(path), "State:\tZ") != NULL);
	wait_status(child);
	FAILS(open(path, O_RDONLY), ENOENT);
}

TEST(words, "/proc/self/cmdline, comm, exe, cwd, root, environ")
{
	char path[512] = "", here[512] = "";
	char *text;

	CHECK(strlen(contents("/proc/self/cmdline")) > 0);
	CHECK(strcmp(contents("/proc/self/comm"), "proc\n") == 0);
	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 && strstr(path, "/proc") != NULL);
	CHECK(access("/proc/self/exe", X_OK) == 0);
	memset(path, 0, sizeof(path));
	CHECK(readlink("/proc/self/cwd", path, sizeof(path) - 1) > 0 && getcwd(here, sizeof(here)));
	CHECK(strcmp(path, here) == 0);
	memset(path, 0, sizeof(path));
	CHECK(readlink("/proc/self/root", path, sizeof(path) - 1) == 1 && path[0] == '/');
	memset(path, 0, sizeof(path));
	snprintf(here, sizeof(here), "%d", getpid());
	CHECK(readlink("/proc/self", path, sizeof(path) - 1) > 0 && strcmp(path, here) == 0);
	text = "renamed";
	int file = open("/proc/self/comm", O_WRONLY);
	CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(strcmp(contents("/proc/self/comm"), "renamed\n") == 0);
}

TEST(descriptors, "/proc/self/fd: one link for each descriptor, to what it is")
{
	int file = make_file("file", 10), ends[2], number = 0;
	char path[64], target[512] = "";
	DIR *directory;
	struct dirent *entry;

	NEED(pipe(ends) == 0);
	directory = opendir("/proc/self/fd");
	NEED(directory != NULL);
	while ((entry = readdir(directory)))
		number += atoi(entry->d_name) == file || atoi(entry->d_name) == ends[0] ||
			  atoi(entry->d_name) == ends[1];
	EQUAL(number, 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	CHECK(readlink(path, target, sizeof(target) - 1) > 0 && strcmp(strrchr(target, '/'), "/file") == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	CHECK(readlink(path, target, sizeof(target) - 1) > 0 && strncmp(target, "pipe:[", 6) == 0);
	FAILS(readlink("/proc/self/fd/999", target, sizeof(target)), ENOENT);
}

TEST(processes, "/proc lists the processes")
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	bool me = false, parent = false;

	NEED(directory != NULL);
	while ((entry = readdir(directory))) {
		me |= atoi(entry->d_name) == getpid();
		parent |= atoi(entry->d_name) == getppid();
	}
	CHECK(me && parent);
}

TEST(system, "/proc/vmstat, stat, filesystems, mounts, version, uptime, loadavg, cpuinfo, sys/vm")
{
	struct utsname name;
	long per_second;

	CHECK(number_of("/proc/vmstat", "nr_free_pages") > 0 && number_of("/proc/vmstat", "pgfault") > 0);
	CHECK(strstr(contents("/proc/filesystems"), "\ttmpfs\n") &&
	      strstr(contents("/proc/filesystems"), "\tproc\n"));
	CHECK(strstr(contents("/proc/mounts"), " /proc proc ") &&
	      strstr(contents("/proc/self/mounts"), " / "));
	CHECK(strncmp(contents("/proc/stat"), "cpu ", 4) == 0 &&
	      strstr(contents("/proc/stat"), "\nbtime ") != NULL);
	CHECK(strtod(contents("/proc/uptime"), NULL) > 0);
	CHECK(strtol(contents("/proc/sys/vm/overcommit_memory"), NULL, 10) <= 2 &&
	      strlen(contents("/proc/sys/vm/overcommit_memory")) == 2);
	CHECK(strtol(contents("/proc/sys/vm/max_map_count"), NULL, 10) > 1000);
	CHECK(strlen(contents("/proc/sys/vm/mmap_min_addr")) >= 2);
	CHECK(strtol(contents("/proc/sys/kernel/pid_max"), NULL, 10) > 100);
	CHECK(strtol(contents("/proc/sys/kernel/threads-max"), NULL, 10) > 100);
	NEED(uname(&name) == 0);
	CHECK(strncmp(contents("/proc/sys/kernel/version"), name.version, strlen(name.version)) == 0);
	CHECK(strcmp(contents("/proc/sys/kernel/domainname"), "(none)\n") == 0);
	CHECK(strchr(contents("/sys/devices/system/cpu/online"), '0') ==
	      contents("/sys/devices/system/cpu/online"));
	per_second = sysconf(_SC_CLK_TCK);
	EQUAL(per_second, 100);
	CHECK(strstr(contents("/proc/cpuinfo"), "processor") != NULL);
}

/* Writes the text; 0, or the error. */
static int written(const char *path, const char *text)
{
	int file = open(path, O_WRONLY), error = 0;

	NEED(file >= 0);
	if (write(file, text, strlen(text)) != (ssize_t)strlen(text))
		error = errno;
	close(file);
	return error;
}

TEST(set_names, "the system's names can be written, too")
{
	struct utsname before, after;

	skip_if_shared();
	NEED(uname(&before) == 0);
	EQUAL(written("/proc/sys/kernel/hostname", "a-name"), 0);
	EQUAL(written("/proc/sys/kernel/domainname", "a.domain\n"), 0);
	CHECK(uname(&after) == 0 && strcmp(after.nodename, "a-name") == 0);
	CHECK(strcmp(contents("/proc/sys/kernel/domainname"), "a.domain\n") == 0);
	EQUAL(written("/proc/sys/kernel/hostname", before.nodename), 0);
	EQUAL(written("/proc/sys/kernel/domainname", "(none)"), 0);
}

TEST(settings, "/proc/sys/vm: settings are kept and put back; what cannot be is EINVAL")
{
	const char *kept[] = {"swappiness", "overcommit_ratio", "overcommit_memory", "min_free_kbytes"};
	const char *value[] = {"1\n", "90\n", "1\n", "4098\n"};

	skip_if_shared();
	for (unsigned i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		char path[64], before[32];

		sprintf(path, "/proc/sys/vm/%s", kept[i]);
		snprintf(before, sizeof(before), "%s", contents(path));
		CHECK(written(path, value[i]) == 0 && strcmp(contents(path), value[i]) == 0);
		CHECK(written(path, before) == 0 && strcmp(contents(path), before) == 0);
		EQUAL(written(path, "x"), EINVAL);
	}
	EQUAL(written("/proc/sys/vm/swappiness", "201"), EINVAL);
	EQUAL(written("/proc/sys/vm/overcommit_memory", "3"), EINVAL);
	CHECK(written("/proc/sys/vm/drop_caches", "1") == 0 &&
	      written("/proc/sys/vm/drop_caches", "3\n") == 0);
	EQUAL(written("/proc/sys/vm/drop_caches", "0"), EINVAL);
	EQUAL(written("/proc/sys/vm/drop_caches", "8"), EINVAL);
	CHECK(written("/proc/sys/vm/panic_on_oom", "0") == 0);
	CHECK(strtol(contents("/proc/sys/vm/nr_hugepages"), NULL, 10) >= 0);
}

TEST(promises,
     "vm.overcommit_kbytes and overcommit_ratio: setting one takes the other back; CommitLimit follows")
{
	long ratio = strtol(contents("/proc/sys/vm/overcommit_ratio"), NULL, 10);
	long usual = number_of("/proc/meminfo", "CommitLimit"),
	     swap = number_of("/proc/meminfo", "SwapTotal");
	char text[32];

	skip_if_shared();
	CHECK(written("/proc/sys/vm/overcommit_kbytes", "65536") == 0);
	EQUAL(number_of("/proc/meminfo", "CommitLimit"), 65536 + swap);
	EQUAL(strtol(contents("/proc/sys/vm/overcommit_ratio"), NULL, 10), 0);
	snprintf(text, sizeof(text), "%ld", ratio);
	CHECK(written("/proc/sys/vm/overcommit_ratio", text) == 0);
	EQUAL(strtol(contents("/proc/sys/vm/overcommit_kbytes"), NULL, 10), 0);
	EQUAL(number_of("/proc/meminfo", "CommitLimit"), usual);
}

TEST(promised_twice, "overcommit_memory 2: what MREMAP_DONTUNMAP leaves behind is promised, too: ENOMEM")
{
	char before[32], *memory;
	long room, moved;
	size_t bytes;

	skip_if_shared();
	snprintf(before, sizeof(before), "%s", contents("/proc/sys/vm/overcommit_memory"));
	CHECK(written("/proc/sys/vm/overcommit_memory", "2") == 0);
	room = number_of("/proc/meminfo", "CommitLimit") - number_of("/proc/meminfo", "Committed_AS");
	bytes = (size_t)room * 1024 * 2 / 3 / PAGE * PAGE;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = syscall(SYS_mremap, memory, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	CHECK(written("/proc/sys/vm/overcommit_memory", before) == 0);
	CHECK(memory != MAP_FAILED);
	EQUAL(moved, -1);
}

TEST(clear_refs,
     "/proc/self/clear_refs: 1 to 3 change no contents, 5 makes the peak what there is; else EINVAL")
{
	size_t bytes = 32ul << 20;
	char *memory = anonymous(bytes);
	long peak;

	if (access("/proc/self/clear_refs", F_OK) != 0)
		skip("it is not there");
	memset(memory, 'x', bytes);
	CHECK(written("/proc/self/clear_refs", "1\n") == 0 && written("/proc/self/clear_refs", "2") == 0 &&
	      written("/proc/self/clear_refs", "3") == 0);
	CHECK(all_are(memory, bytes, 'x'));
	peak = number_of("/proc/self/status", "VmHWM");
	NEED(munmap(memory, bytes) == 0);
	CHECK(written("/proc/self/clear_refs", "5") == 0);
	CHECK(number_of("/proc/self/status", "VmHWM") < peak - 16 * 1024);
	EQUAL(written("/proc/self/clear_refs", "0"), EINVAL);
	EQUAL(written("/proc/self/clear_refs", "6"), EINVAL);
	EQUAL(written("/proc/self/clear_refs", "x"), EINVAL);
}

TEST(nodes, "one node has all memory: /sys/devices/system/node, and Mems_allowed")
{
	CHECK(strcmp(contents("/sys/devices/system/node/online"), "0\n") == 0);
	CHECK(strcmp(contents("/sys/devices/system/node/node0/distance"), "10\n") == 0);
	EQUAL(number_of("/proc/self/status", "Mems_allowed_list"), 0);
	CHECK(strchr(contents("/sys/kernel/mm/transparent_hugepage/enabled"), '[') != NULL);
}

TEST(killers, "/proc/self/oom_score_adj can be read, and written within its bounds")
{
	int file = open("/proc/self/oom_score_adj", O_RDWR);

	NEED(file >= 0);
	CHECK(write(file, "500", 3) == 3 && strcmp(contents("/proc/self/oom_score_adj"), "500\n") == 0);
	FAILS(write(file, "1001", 4), EINVAL);
	FAILS(write(file, "-1001", 5), EINVAL);
	FAILS(write(file, "x", 1), EINVAL);
	EQUAL(strtol(contents("/proc/self/oom_adj"), NULL, 10), 8);
	CHECK(strtol(contents("/proc/self/oom_score"), NULL, 10) >= 990);
	IN_CHILD
	{
		CHECK(strcmp(contents("/proc/self/oom_score_adj"), "500\n") == 0);
	}
	CHECK(write(file, "0", 1) == 1);
}

TEST(read_only, "what /proc does not let be written, removed or made")
{
	CHECK(open("/proc/self/newfile", O_RDWR | O_CREAT, 0600) == -1 && errno != EFAULT);
	CHECK(unlink("/proc/self/maps") == -1 && (errno == EPERM || errno == EACCES));
	CHECK(mkdir("/proc/new", 0755) == -1);
	CHECK(open("/proc/meminfo", O_RDONLY) >= 0);
	FAILS(open("/proc/999999/maps", O_RDONLY), ENOENT);
}

static int open_of(pid_t pid, const char *name)
{
	char path[64];

	sprintf(path, "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY);
}

TEST(rights, "what another user's process has in its memory and files is not shown, what it is is")
{
	static const char *const shown[] = {"stat", "statm", "status", "cmdline", "limits", "task", "."};
	static const char *const hidden[] = {"maps", "smaps", "environ", "pagemap", "fd",
					     "fd/0", "exe",   "cwd",     "root"};
	static const char *const links[] = {"exe", "cwd", "root"};
	pid_t parent = getpid(), child = fork_counted();
	char path[64], target[64];

	if (child != 0) {
		CHECK(open_of(child, "maps") >= 0);
		child_passed(child);
		return;
	}
	NEED(CALL(setresgid, NOBODY, NOBODY, NOBODY) == 0 && CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
	for (unsigned i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		CHECK(open_of(parent, shown[i]) >= 0);
	for (unsigned i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
		FAILS(open_of(parent, hidden[i]), EACCES);
	}
	for (unsigned i = 0; i < sizeof(links) / sizeof(*links); i++) {
		sprintf(path, "/proc/%d/%s", parent, links[i]);
		FAILS(readlink(path, target, sizeof(target)), EACCES);
	}
	child_end();
}

TEST(own, "one's own maps can be read by whoever one is, but no more by a name if one is not dumpable")
{
	CHECK(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0 && open("/proc/self/maps", O_RDONLY) >= 0);
	CHECK(readlink("/proc/self/exe", (char[64]){0}, 64) > 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && open("/proc/self/environ", O_RDONLY) >= 0);
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && open("/proc/self/maps", O_RDONLY) >= 0);
	FAILS(open("/proc/self/environ", O_RDONLY), EACCES);
}

#define ENDING 200

TEST(ending, "descriptors of processes can be listed and followed while these end")
{
	for (int i = 0; i < ENDING; i++) {
		pid_t child = fork_counted();
		char path[64], target[64];

		if (child == 0) {
			NEED(pipe((int[2]){0}) == 0 && open("/proc/self/fd", O_RDONLY) >= 0);
			child_end();
		}
		for (int fd = 0; fd < 8; fd++) {
			sprintf(path, "/proc/%d/fd/%d", child, fd);
			readlink(path, target, sizeof(target));
			close(open(path, O_RDONLY | O_NONBLOCK));
			sprintf(path, "/proc/%d/exe", child);
			close(open(path, O_RDONLY));
			sched_yield();
		}
		child_passed(child);
	}
}

TEST(offsets, "a file of /proc can be read in any pieces")
{
	int file = open("/proc/self/maps", O_RDONLY);
	char pieces[4096] = "", whole[4096] = "";
	size_t length = 0;
	ssize_t count;

	NEED(file >= 0);
	while (length < 300 && (count = read(file, pieces + length, 7)) > 0)
		length += (size_t)count;
	CHECK(pread(file, whole, 4000, 0) > 0 && length >= 300 && memcmp(pieces, whole, 300) == 0);
}

TEST(far_places, "directories of /proc and /sys can be read from any place, however far behind their end")
{
	static const char *const directories[] = {"/proc", "/proc/self/fd", "/proc/self/fdinfo",
						  "/proc/self/task", "/sys"};
	char entries[PAGE];

	for (unsigned i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
		int directory = open(directories[i], O_RDONLY | O_DIRECTORY);

		NEED(directory >= 0);
		for (unsigned shift = 24; shift < 63; shift++) {
			off_t place = 1l << shift;

			/* Numbers begin at some place, and may become too large for an int from another one on. */
			for (off_t more = 0; more <= 1 << 20; more += 1 << 20) {
				if (lseek(directory, place + more, SEEK_SET) == place + more)
					CHECK(CALL(getdents64, directory, entries, sizeof(entries)) >= 0);
			}
		}
		close(directory);
	}
}

TEST(pagemap,
     "/proc/self/pagemap: the pages that are there, and nothing between what is a program's, up to its end")
{
	const size_t bytes = 1 << 20;
	static char there[PAGE];
	char *words = anonymous(bytes);
	int file = open("/proc/self/pagemap", O_RDONLY);
	uint64_t word = 0;

	NEED(file >= 0);
	there[0] = 'x';
	CHECK(pread(file, &word, 8, (off_t)((uintptr_t)there / PAGE * 8)) == 8 && word >> 63 == 1);
	/* The first 8 GB, and what is at each power of two from there on. */
	for (uintptr_t at = 0; at < 8ul << 30; at += bytes / 8 * PAGE)
		EQUAL(pread(file, words, bytes, (off_t)(at / PAGE * 8)), bytes);
	for (unsigned shift = 33; shift < 47; shift++)
		CHECK(pread(file, words, bytes, (off_t)((1ul << shift) / PAGE * 8)) >= 0);
	EQUAL(pread(file, words, bytes, (off_t)(USER_END / PAGE * 8)), 0);
}

/* Every second page may be written to, so that no two are one mapping. */
static char *many_mappings(size_t count)
{
	char *memory =
		mmap(NULL, count * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	NEED(memory != MAP_FAILED);
	for (size_t i = 1; i < count; i += 2)
		NEED(mprotect(memory + i * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	return memory;
}

TEST(many_mappings,
     "smaps of 20,000 mappings can be read: all of it, each mapping once; from the middle; and again")
{
	enum { MAPPINGS = 20000, LINE = 4096 };
	uintptr_t memory = (uintptr_t)many_mappings(MAPPINGS);
	static char line[LINE], again[LINE], middle[LINE];
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end, seen = 0, offset = 0, position = 0;
	int file = open("/proc/self/smaps", O_RDONLY);

	NEED(smaps && file >= 0);
	for (; fgets(line, sizeof(line), smaps); offset += strlen(line)) {
		if (seen == MAPPINGS || sscanf(line, "%lx-%lx ", &start, &end) != 2 ||
		    start != memory + seen * PAGE)
			continue;
		if (++seen == MAPPINGS / 2) {
			position = offset;
			memcpy(middle, line, sizeof(line));
		}
	}
	CHECK(seen == MAPPINGS && offset > MAPPINGS * 500ul);
	CHECK(pread(file, again, strlen(middle), (off_t)position) == (ssize_t)strlen(middle));
	CHECK(memcmp(again, middle, strlen(middle)) == 0);
	CHECK(read(file, again, LINE) > 0 && read(file, middle, LINE) > 0);
	CHECK(pread(file, line, LINE, 0) > 0 && memcmp(line, again, 1000) == 0);
	CHECK(pread(file, line, LINE, 1l << 40) == 0);
}

TEST(names, "uname: Linux, x86_64, a release that starts with a number")
{
	struct utsname names;

	CHECK(uname(&names) == 0 && strcmp(names.sysname, "Linux") == 0 &&
	      strcmp(names.machine, "x86_64") == 0);
	CHECK(atoi(names.release) >= 5);
	FAILS(CALL(uname, 8), EFAULT);
}

TEST(information, "sysinfo, times, sched_getaffinity, getcpu")
{
	struct sysinfo info;
	struct tms times_now;
	cpu_set_t set;
	unsigned cpu = 99, node = 99;

	CHECK(sysinfo(&info) == 0 && info.totalram > 0 && info.freeram <= info.totalram && info.mem_unit > 0);
	CHECK(info.procs > 0);
	CHECK(times(&times_now) != (clock_t)-1);
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1);
	CHECK(CALL(getcpu, &cpu, &node, NULL) == 0 && cpu < 1024 && node == 0);
	FAILS(CALL(sched_getaffinity, 0, 1, &set), EINVAL);
	FAILS(CALL(sched_getaffinity, 999999, 128, &set), ESRCH);
	FAILS(CALL(sysinfo, 8), EFAULT);
}

TEST(unknown, "system calls that nobody has are ENOSYS")
{
	FAILS(syscall(9999), ENOSYS);
	FAILS(syscall(-1l), ENOSYS);
	FAILS(syscall(0x7fffffff), ENOSYS);
	FAILS(syscall(400), ENOSYS);
	FAILS(CALL(vserver), ENOSYS);
}
