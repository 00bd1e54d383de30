/*
 * What fork makes of each kind of mapping, and what exec leaves of them.
 */
#include "tap.h"

#define PAGES 8

static const int rw = PROT_READ | PROT_WRITE;

static char data[2 * PAGE] = "data";
static char bss[2 * PAGE];

/* Two processes take turns: each step() lets the other one go on and waits for it. */
struct turns {
	int to_child[2], to_parent[2];
};

static void make_turns(struct turns *turns)
{
	NEED(pipe(turns->to_child) == 0 && pipe(turns->to_parent) == 0);
}

static void give(const int *ends)
{
	NEED(write(ends[1], "t", 1) == 1);
}

static void await(const int *ends)
{
	char byte;

	NEED(read(ends[0], &byte, 1) == 1);
}

TEST(private_both_ways, "private memory: neither sees what the other writes, whoever writes first")
{
	char *memory = anonymous(PAGES * PAGE);
	struct turns turns;
	pid_t child;

	make_turns(&turns);
	memset(memory, 'x', PAGES * PAGE);
	child = fork_counted();
	if (child == 0) {
		memset(memory, 'c', PAGE);
		give(turns.to_parent);
		await(turns.to_child);
		CHECK(all_are(memory, PAGE, 'c') && all_are(memory + PAGE, 7 * PAGE, 'x'));
		memset(memory + PAGE, 'c', PAGE);
		child_end();
	}
	await(turns.to_parent);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
	memset(memory + PAGE, 'p', 2 * PAGE);
	give(turns.to_child);
	child_passed(child);
	CHECK(all_are(memory, PAGE, 'x') && all_are(memory + PAGE, 2 * PAGE, 'p'));
}

TEST(private_untouched, "private memory that nobody has touched is zero and apart in both")
{
	char *memory = anonymous(PAGES * PAGE);

	IN_CHILD
	{
		CHECK(all_are(memory, PAGES * PAGE, 0));
		memset(memory, 'c', PAGES * PAGE);
	}
	CHECK(all_are(memory, PAGES * PAGE, 0));
}

TEST(generations, "contents pass through many generations, each with a change of its own")
{
	char *memory = anonymous(PAGES * PAGE);

	memset(memory, 0, PAGES * PAGE);
	for (unsigned depth = 0; depth < 30; depth++) {
		pid_t child = fork();

		NEED(child >= 0);
		if (child > 0) {
			int status = wait_status(child);

			if (depth == 0)
				EQUAL(status, 0);
			else
				_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
			CHECK(all_are(memory, PAGES * PAGE, 0));
			return;
		}
		failures = 0;
		for (unsigned i = 0; i < depth; i++)
			CHECK(memory[(i % PAGES) * PAGE + i] == (char)(i + 1));
		memory[(depth % PAGES) * PAGE + depth] = (char)(depth + 1);
		if (failures)
			_exit(1);
	}
	_exit(0);
}

TEST(brothers, "several children of one parent are apart from each other")
{
	char *memory = anonymous(PAGES * PAGE);
	pid_t children[10];

	memset(memory, 'x', PAGES * PAGE);
	for (unsigned i = 0; i < 10; i++) {
		children[i] = fork_counted();
		if (children[i] == 0) {
			memset(memory + PAGE, (int)i, PAGE);
			sleep_ms(5);
			CHECK(all_are(memory + PAGE, PAGE, (char)i) && all_are(memory + 2 * PAGE, PAGE, 'x'));
			child_end();
		}
		memory[2 * PAGE] = 'x';
	}
	for (unsigned i = 0; i < 10; i++)
		child_passed(children[i]);
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(shared, "shared memory is shared, touched before or not")
{
	char *memory = anonymous_shared(PAGES * PAGE);

	memory[0] = 'p';
	IN_CHILD
	{
		EQUAL(memory[0], 'p');
		memory[0] = memory[5 * PAGE] = 'c';
	}
	CHECK(memory[0] == 'c' && memory[5 * PAGE] == 'c');
}

TEST(image, "a program's data and BSS, heap and stack are copied")
{
	char stack[2 * PAGE], *heap = malloc(2 * PAGE);

	memset(stack, 's', sizeof(stack));
	memset(heap, 'h', 2 * PAGE);
	IN_CHILD
	{
		CHECK(strcmp(data, "data") == 0 && bss[PAGE] == 0 && stack[PAGE] == 's' && heap[PAGE] == 'h');
		data[0] = bss[PAGE] = stack[PAGE] = heap[PAGE] = 'c';
	}
	CHECK(strcmp(data, "data") == 0 && bss[PAGE] == 0 && stack[PAGE] == 's' && heap[PAGE] == 'h');
}

TEST(files, "file mappings: shared ones stay shared, private copies are copied")
{
	int file = make_file("file", 3 * PAGE);
	char *shared = mmap(NULL, 3 * PAGE, rw, MAP_SHARED, file, 0);
	char *copied = mmap(NULL, 3 * PAGE, rw, MAP_PRIVATE, file, 0);

	NEED(shared != MAP_FAILED && copied != MAP_FAILED);
	copied[PAGE] = 'p';
	IN_CHILD
	{
		CHECK(copied[PAGE] == 'p' && copied[0] == 1);
		shared[0] = 'c';
		copied[PAGE] = copied[2 * PAGE] = 'd';
		EQUAL(copied[0], 'c'); /* not copied yet: the file's */
	}
	CHECK(shared[0] == 'c' && copied[PAGE] == 'p' && copied[2 * PAGE] == 3);
}

TEST(rights, "rights and holes are inherited, and changed apart")
{
	char *memory = anonymous(PAGES * PAGE);

	memset(memory, 'x', PAGES * PAGE);
	CHECK(mprotect(memory, PAGE, PROT_READ) == 0 && munmap(memory + 2 * PAGE, PAGE) == 0);
	IN_CHILD
	{
		FAULTS(ACCESS_WRITE, memory, SIGSEGV, SEGV_ACCERR);
		FAULTS(ACCESS_READ, memory + 2 * PAGE, SIGSEGV, SEGV_MAPERR);
		CHECK(mprotect(memory, PAGE, rw) == 0 && munmap(memory + 4 * PAGE, PAGE) == 0);
		memory[0] = 'c';
	}
	CHECK(!writable(memory) && memory[0] == 'x' && readable(memory + 4 * PAGE));
}

TEST(parent_unmaps, "what the parent unmaps, the child keeps")
{
	char *memory = anonymous(PAGES * PAGE);
	struct turns turns;
	pid_t child;

	make_turns(&turns);
	memset(memory, 'x', PAGES * PAGE);
	child = fork_counted();
	if (child == 0) {
		await(turns.to_child);
		CHECK(all_are(memory, PAGES * PAGE, 'x'));
		child_end();
	}
	CHECK(munmap(memory, PAGES * PAGE) == 0);
	give(turns.to_child);
	child_passed(child);
	CHECK(!readable(memory));
}

TEST(calls_copy, "a system call that writes into copied memory does not write into the other's")
{
	char *memory = anonymous(PAGES * PAGE);
	int ends[2];

	memset(memory, 'x', PAGES * PAGE);
	NEED(pipe(ends) == 0 && write(ends[1], "hello", 5) == 5);
	IN_CHILD
	{
		CHECK(read(ends[0], memory + PAGE - 2, 5) == 5 && memcmp(memory + PAGE - 2, "hello", 5) == 0);
	}
	CHECK(all_are(memory, PAGES * PAGE, 'x'));
}

TEST(new_mappings, "after fork both map anew, without disturbing each other")
{
	IN_CHILD
	{
		char *mine = anonymous(PAGES * PAGE);

		memset(mine, 'c', PAGES * PAGE);
		sleep_ms(5);
		CHECK(all_are(mine, PAGES * PAGE, 'c'));
	}
	char *memory = anonymous(PAGES * PAGE);
	memset(memory, 'p', PAGES * PAGE);
	CHECK(all_are(memory, PAGES * PAGE, 'p'));
}

TEST(large, "64 MiB of written memory are forked and changed in part")
{
	size_t bytes = 64ul << 20;
	char *memory = anonymous(bytes);

	for (size_t at = 0; at < bytes; at += PAGE)
		memory[at] = (char)(at / PAGE);
	IN_CHILD
	{
		for (size_t at = 0; at < bytes; at += 16 * PAGE)
			memory[at] = 'c';
		for (size_t at = PAGE; at < bytes; at += 16 * PAGE)
			CHECK(memory[at] == (char)(at / PAGE));
	}
	for (size_t at = 0; at < bytes; at += PAGE) {
		if (!CHECK(memory[at] == (char)(at / PAGE)))
			break;
	}
}

TEST(exec_replaces, "exec replaces all of it: private, shared, locked; the name is the new one's")
{
	int ends[2];
	char text[64] = "";
	ssize_t length = 0, count;
	pid_t child;

	NEED(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		char *memory = mmap((void *)0x500000000000, PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CALL(mlockall, MCL_CURRENT);
		(void)memory;
		dup2(ends[1], 1);
		execl("/proc/self/exe", "again", "exec-target", NULL);
		_exit(9);
	}
	close(ends[1]);
	while (length < 60 && (count = read(ends[0], text + length, (size_t)(60 - length))) > 0)
		length += count;
	EQUAL(wait_status(child), 0);
	CHECK(strncmp(text, "1..1\nok 1 - ", 12) == 0);
}

TEST(exec_target, "exec-target: nothing is at a place that nobody mapped, and nothing is locked")
{
	const char *locked = strstr(contents("/proc/self/status"), "VmLck:");

	FAULTS(ACCESS_READ, (char *)0x500000000000, SIGSEGV, SEGV_MAPERR);
	CHECK(locked && strtol(locked + 6, NULL, 10) == 0);
}
