/*
 * Calls that find no memory: fail_nth [-v] [PREFIX...], all or those whose names begin so. Each is made again and again, with its first allocation failing, its second, ... until it has no more of them
 * (/proc/PID/fail-nth, docs/debugging.md). It has to fail as its manual page says, and then all is to be as it was: descriptors, mappings and names; the call
 * succeeds when it is made again; and when the process has ended, with an allocation failing on the way, the kernel has its small objects and pages back.
 *
 * For debug builds of the kernel. The cases are in fail_nth/.
 */
#include "fail_nth/fail_nth.h"

#include <limits.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DIRECTORY    "/tmp/fail_nth"
#define STATE_BYTES  16384
#define TEXT_BYTES   64
#define LENGTH_PLACE 16 /* in what getdents64() gives */
#define NAME_PLACE   19
#define MOST         10000 /* allocations of a call */
#define SPARE_STACKS 20    /* more than the kernel keeps */
#define SETTLE_TRIES 200
#define SETTLE_US    1000
#define EXEC_DONE    100 /* the status of a program that was executed; one more: nothing had failed */

char buffer[BUFFER_PAGES * PAGE];
int fd, fds[2], control = -1;
char *area;

/* The linker's. */
extern const struct call __start_calls[], __stop_calls[];
extern char __executable_start[], __bss_start[], end[];

/* What an attempt tells; and all else that is written to, so that no page of the first process is copied when it writes to it after a fork. Shared memory. */
static struct report {
	bool made;
	long result;
	int error;
	unsigned left;
	bool changed; /* it failed, and something is not as it was */
	long again;   /* then it was made once more, with nothing failing */
	char before[STATE_BYTES], after[STATE_BYTES];
	char entries[STATE_BYTES], names[STATE_BYTES];
	char objects[STATE_BYTES], objects_now[STATE_BYTES], text[STATE_BYTES];
} * report;

static const struct call *current;
static unsigned attempt, checks, failed;

static void complain(const char *what)
{
	failed++;
	printf("failed: %s, allocation %u: %s (result %ld, errno %d)\n", current->name, attempt, what,
	       report->result, report->error);
}

static void check(bool holds, const char *what)
{
	checks++;
	if (!holds)
		complain(what);
}

long must(long result, const char *what, int line)
{
	if (result < 0) {
		printf("failed: %s is not prepared: %s, line %d (errno %d)\n", current->name, what, line,
		       errno);
		fflush(stdout);
		_exit(1);
	}
	return result;
}

char *touched(size_t pages, int flags)
{
	char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	MUST(at == MAP_FAILED ? -1 : 0);
	for (size_t i = 0; i < pages; i++)
		at[i * PAGE] = (char)(i + 1);
	return at;
}

int file_of(const char *name, size_t pages)
{
	int made = (int)MUST(open(name, O_CREAT | O_RDWR, 0700));

	for (size_t i = 0; i < pages; i++)
		MUST(pwrite(made, buffer, PAGE, (off_t)(i * PAGE)));
	return made;
}

/* ---- The file fail-nth ------------------------------------------------------------------------------------- */

static unsigned allocations_left(void)
{
	char text[TEXT_BYTES] = "";

	MUST(pread(control, text, sizeof(text) - 1, 0));
	return (unsigned)strtoul(text, NULL, 10);
}

static void arm(unsigned nth)
{
	char text[TEXT_BYTES];
	int length = snprintf(text, sizeof(text), "%u", nth);

	MUST(write(control, text, (size_t)length));
}

/* Writing needs memory, too. */
static void disarm(void)
{
	while (allocations_left() != 0)
		(void)!write(control, "0", 1);
}

/* ---- What an attempt must not change ------------------------------------------------------------------------ */

/* All but the dots. */
static size_t list_names(int directory, char *to)
{
	const char *entries = report->entries;
	size_t used = 0;
	long bytes;

	MUST(lseek(directory, 0, SEEK_SET));
	while ((bytes = syscall(SYS_getdents64, directory, entries, STATE_BYTES)) > 0)
		for (long at = 0; at < bytes;) {
			const char *entry = entries + at;

			if (entry[NAME_PLACE] != '.')
				used += (size_t)sprintf(to + used, "%s\n", entry + NAME_PLACE);
			at += *(const unsigned short *)(const void *)(entry + LENGTH_PLACE);
		}
	return used;
}

/* What the names are of. */
static size_t list_files(const char *names, char *to)
{
	char name[NAME_MAX + 1];
	size_t used = 0, length;
	struct stat of;

	for (; (length = strcspn(names, "\n")) > 0; names += length + 1) {
		memcpy(name, names, length);
		name[length] = '\0';
		if (lstat(name, &of) == 0)
			used += (size_t)sprintf(to + used, "%llu %o %u %lld\n", (unsigned long long)of.st_ino,
						of.st_mode, (unsigned)of.st_nlink, (long long)of.st_size);
	}
	return used;
}

/* All of /proc/self/status but what may change at any time, as pages and page tables come in. */
static size_t list_status(char *to)
{
	static const char *const fickle[] = {"VmPeak", "VmHWM",     "VmRSS",       "VmPTE",
					     "VmSwap", "voluntary", "nonvoluntary"};
	static int status = -1;
	char *line, *text = report->text;
	size_t used = 0;

	if (status < 0)
		status = (int)MUST(open("/proc/self/status", O_RDONLY));
	memset(text, 0, STATE_BYTES);
	MUST(pread(status, text, STATE_BYTES - 1, 0));
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		bool keeps = true;

		for (unsigned i = 0; i < sizeof(fickle) / sizeof(fickle[0]); i++)
			keeps &= strncmp(line, fickle[i], strlen(fickle[i])) != 0;
		if (keeps)
			used += (size_t)sprintf(to + used, "%s\n", line);
	}
	return used;
}

static void take_state(char *to)
{
	static int open_files = -1, maps = -1, here = -1;
	const char *names = to;
	ssize_t bytes;

	if (here < 0) {
		here = (int)MUST(open(DIRECTORY, O_RDONLY));
		maps = (int)MUST(open("/proc/self/maps", O_RDONLY));
		open_files = (int)MUST(open("/proc/self/fd", O_RDONLY));
	}
	memset(to, 0, STATE_BYTES);
	to += list_names(here, to);
	to += list_files(names, to);
	to += list_names(open_files, to);
	to += list_status(to);
	for (off_t at = 0; (bytes = pread(maps, to, PAGE, at)) > 0; at += bytes)
		to += bytes;
}

/* ---- An attempt: a process ------------------------------------------------------------------------------------ */

/* So that what the call copies takes no page faults. */
static void touch_memory(void)
{
	for (volatile char *at = __bss_start; at < end; at += PAGE)
		*at = *at;
	fds[0] = fds[1] = fd = -1;
}

static _Noreturn void child(void)
{
	control = (int)MUST(open("/proc/self/fail-nth", O_RDWR));
	touch_memory();
	current->prepare();
	take_state(report->before);
	take_state(report->after);
	take_state(report->before);
	arm(attempt);
	errno = 0;
	report->result = current->make();
	report->error = errno;
	report->left = allocations_left();
	disarm();
	report->made = true;
	take_state(report->after);
	report->changed = strcmp(report->before, report->after) != 0;
	report->again = 0;
	if (report->result == -1)
		report->again = current->make();
	arm(attempt);
	_exit(0);
}

/* Removes what outlives processes. Without malloc(), which would take and give memory now and then. */
static void clean_up(void)
{
	char *names = report->names;
	int id, here = open(".", O_RDONLY);

	umount2(MOUNT, MNT_DETACH);
	memset(names, 0, STATE_BYTES);
	list_names(here, names);
	close(here);
	for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n"))
		if (unlink(name) < 0)
			rmdir(name);
	if ((id = shmget(KEY, 0, 0)) >= 0)
		shmctl(id, IPC_RMID, NULL);
	if ((id = semget(KEY, 0, 0)) >= 0)
		semctl(id, 0, IPC_RMID);
	if ((id = msgget(KEY, 0)) >= 0)
		msgctl(id, IPC_RMID, NULL);
	mq_unlink(QUEUE);
}

/* ---- The kernel's objects -------------------------------------------------------------------------------------- */

static long kib_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

/* Names and numbers of objects; how many pages are neither free nor theirs nor page tables; how many are promised. */
static void take_objects(char *to)
{
	static int slabs = -1, memory = -1;
	char *text = report->text;
	const char *line;

	if (slabs < 0) {
		slabs = open("/proc/slabinfo", O_RDONLY);
		memory = open("/proc/meminfo", O_RDONLY);
	}
	memset(text, 0, STATE_BYTES);
	(void)!pread(slabs, text, STATE_BYTES - 1, 0);
	for (line = text; (line = strchr(line, '\n')) != NULL && *++line;) {
		char name[TEXT_BYTES];
		long objects;

		if (sscanf(line, "%63s %ld", name, &objects) == 2)
			to += sprintf(to, "%s %ld\n", name, objects);
	}
	memset(text, 0, STATE_BYTES);
	(void)!pread(memory, text, STATE_BYTES - 1, 0);
	to += sprintf(to, "KiB %ld\n",
		      kib_of(text, "MemTotal:") - kib_of(text, "MemFree:") - kib_of(text, "Slab:") -
			      kib_of(text, "PageTables:"));
	sprintf(to, "promised %ld\n", kib_of(text, "Committed_AS:"));
}

/* The lines of two texts that differ, whose lines are of the same things, or else all from the first one that does. */
static void show_difference(const char *before, const char *after)
{
	while (*before || *after) {
		int left = (int)strcspn(before, "\n"), right = (int)strcspn(after, "\n");

		if (left != right || strncmp(before, after, (size_t)left) != 0)
			printf("#   %.*s -> %.*s\n", left, before, right, after);
		before += left + (before[left] != '\0');
		after += right + (after[right] != '\0');
	}
}

/* The same when all that goes has gone. */
static void take_settled_objects(void)
{
	char *to = report->objects, *again = report->objects_now;
	bool same = false;

	take_objects(to);
	for (unsigned i = 0; i < SETTLE_TRIES && !same; i++) {
		usleep(SETTLE_US);
		take_objects(again);
		same = strcmp(to, again) == 0;
		strcpy(to, again);
	}
}

/* The kernel keeps some stacks of threads that have ended: from here on it has them. */
static void fill_spare_stacks(void)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		return;
	for (unsigned i = 0; i < SPARE_STACKS; i++)
		if (fork() == 0) {
			close(ends[1]);
			_exit((int)read(ends[0], &byte, 1));
		}
	close(ends[1]);
	close(ends[0]);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* The program's own pages, its data included, are brought in, which else would count when they are. */
static void bring_in_program(void)
{
	for (const volatile char *at = __executable_start; at < end; at += PAGE)
		(void)*at;
}

/* What has ended may take a moment to go. */
static void check_objects(void)
{
	const char *before = report->objects;
	char *now = report->objects_now;

	for (unsigned i = 0; i < SETTLE_TRIES; i++) {
		take_objects(now);
		if (strcmp(before, now) == 0)
			break;
		usleep(SETTLE_US);
	}
	check(strcmp(before, now) == 0, "the kernel has other objects than before");
	if (strcmp(before, now) != 0)
		show_difference(before, now);
}

/* ---- All attempts of a case ---------------------------------------------------------------------------------------- */

static bool may_fail_with(int error)
{
	for (unsigned i = 0; i < MAX_ALSO; i++)
		if (current->also[i] && current->also[i] == error)
			return true;
	return error == ENOMEM;
}

/* What the process told, or how it ended. True: no allocation failed. */
static bool judge(int status)
{
	if (WIFSIGNALED(status)) {
		check(false, "it is ended by a signal");
		return false;
	}
	if (!report->made && WEXITSTATUS(status) >= EXEC_DONE) {
		report->left = WEXITSTATUS(status) - EXEC_DONE;
		check(report->left != 0 || current->copes, "it succeeds though an allocation failed");
		return report->left != 0;
	}
	check(report->made, "it ends early");
	if (!report->made)
		return true;
	if (report->left != 0) {
		check(report->result != -1, "it fails though no allocation does");
		return true;
	}
	if (report->result != -1) {
		check(current->copes, "it succeeds though an allocation failed");
		return false;
	}
	check(may_fail_with(report->error), "it fails with another error");
	check(report->again != -1, "it fails and does not succeed after that");
	check(!report->changed || current->changes, "it fails and changes something");
	if (report->changed && !current->changes)
		show_difference(report->before, report->after);
	return false;
}

static bool make_attempt(unsigned nth)
{
	int status = 0;
	pid_t pid;

	attempt = nth;
	report->made = report->changed = false;
	report->result = report->error = 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child();
	while (waitpid(pid, &status, 0) != pid)
		;
	while (waitpid(-1, NULL, 0) > 0)
		;
	clean_up();
	return judge(status);
}

/* The first attempt, in which nothing fails, makes what stays for good. */
static void run(const struct call *call, bool verbose)
{
	unsigned nth = 1;
	bool done;

	current = call;
	check(make_attempt(MOST), "an allocation failed that was not to");
	take_settled_objects();
	do {
		done = make_attempt(nth++);
		if (verbose)
			printf("# %s %u: %ld, errno %d%s\n", call->name, nth - 1, report->result,
			       report->error, done ? ", done" : "");
		check_objects();
	} while (!done && nth < MOST);
	if (verbose)
		printf("# %s: %u allocations\n", call->name, nth - 2);
}

static bool is_chosen(const char *name, char **chosen)
{
	if (!*chosen)
		return true;
	for (; *chosen; chosen++)
		if (strncmp(*chosen, name, strlen(*chosen)) == 0)
			return true;
	return false;
}

/* What execve's cases run: the number of what was there of the old program. */
static _Noreturn void executed(const char *descriptor)
{
	control = atoi(descriptor);
	_exit(EXEC_DONE + (allocations_left() != 0));
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	unsigned calls = 0;

	if (argc == 3 && strcmp(argv[1], "executed") == 0)
		executed(argv[2]);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (report == MAP_FAILED || mkdir(DIRECTORY, 0700) < 0 || chdir(DIRECTORY) < 0)
		return 1;
	bring_in_program();
	fill_spare_stacks();
	for (const struct call *call = __start_calls; call < __stop_calls; call++)
		if (is_chosen(call->name, argv + 1 + verbose) &&
		    (!call->needs || access(call->needs, F_OK) == 0)) {
			run(call, verbose);
			calls++;
		}
	if (chdir("/") < 0 || rmdir(DIRECTORY) < 0)
		return 1;
	printf("fail_nth: %u calls, %u checks, %u failed\n", calls, checks, failed);
	return failed ? 1 : 0;
}
