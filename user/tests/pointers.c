/*
 * Bad pointers in system calls: each gives EFAULT, and nothing else happens.
 */
#include "check.h"
#include <sys/uio.h>
#include <time.h>

#define NONCANONICAL 0x800000000000ul

static char text[] = "text";

struct place {
	const char *name;
	uintptr_t address;
	bool readable;
};

/* Calls that write to the pointer. */
static void check_writers(const struct place *place)
{
	void *bad = (void *)place->address;
	static char page[2 * PAGE];
	void *aligned = (void *)(((uintptr_t)page + PAGE - 1) & -PAGE);

	CHECK_ERROR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad), EFAULT);
	CHECK_ERROR(syscall(SYS_uname, bad), EFAULT);
	CHECK_ERROR(syscall(SYS_getrandom, bad, 16, 0), EFAULT);
	CHECK_ERROR(syscall(SYS_mincore, aligned, PAGE, bad), EFAULT);
	CHECK_ERROR(syscall(SYS_sysinfo, bad), EFAULT);
	CHECK_ERROR(syscall(SYS_gettimeofday, bad ? bad : (void *)1, NULL), EFAULT); /* NULL is allowed */
	CHECK_ERROR(syscall(SYS_fstat, 1, bad), EFAULT);
}

/* Calls that read from it. */
static void check_readers(const struct place *place)
{
	void *bad = (void *)place->address;
	struct iovec part = {bad, 16};

	CHECK_ERROR(write(1, bad, 16), EFAULT);
	CHECK_ERROR(syscall(SYS_writev, 1, bad, 1), EFAULT);
	CHECK_ERROR(syscall(SYS_writev, 1, &part, 1), EFAULT);
	CHECK_ERROR(syscall(SYS_nanosleep, bad, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_access, bad, 0), EFAULT);
}

/* Memory that ends at a page nobody may use: a transfer over the edge fails, and says so or is short. */
static void check_edge(void)
{
	char *pair = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(pair != MAP_FAILED && munmap(pair + PAGE, PAGE) == 0);
	CHECK_ERROR(syscall(SYS_uname, pair + PAGE - 8), EFAULT);
	CHECK_ERROR(syscall(SYS_sysinfo, pair + PAGE - 4), EFAULT);
	memset(pair, 'e', PAGE);
	CHECK_ERROR(syscall(SYS_access, pair, 0), ENAMETOOLONG);
	CHECK_ERROR(syscall(SYS_access, pair + PAGE - 8, 0), EFAULT);
	pair[PAGE - 1] = '\0';
	CHECK_ERROR(syscall(SYS_access, pair + PAGE - 8, 0), ENOENT);
	CHECK(munmap(pair, PAGE) == 0);
}

int main(void)
{
	char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *gone = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct place places[] = {
		{"null", 0, false},
		{"one", 1, false},
		{"guard page", PAGE - 1, false},
		{"no access", (uintptr_t)none, false},
		{"unmapped", (uintptr_t)gone, false},
		{"read-only", (uintptr_t)readonly, true},
		{"text", (uintptr_t)&main, true},
		{"noncanonical", NONCANONICAL, false},
		{"just below noncanonical", NONCANONICAL - 8, false},
		{"wraps", UINTPTR_MAX - 7, false},
		{"high half", 0xffff800000000000ul, false},
		/* Phoenix's kernel; on Linux nothing is there. */
		{"below the kernel", 0x77fffffful, false},
		{"kernel", 0x78100000ul, false},
		{"kernel's end", 0x7fffffffful, false},
		{"system data", 0x80000000ul, false},
		{"page descriptors", 0x6f8000000000ul, false},
		{"kernel dynamic memory", 0x6fc000000000ul, false},
		{"physical memory", 0x700000000000ul, false},
	};

	CHECK(munmap(gone, PAGE) == 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		unsigned failed = checks_failed;

		check_writers(&places[i]);
		if (!places[i].readable)
			check_readers(&places[i]);
		if (checks_failed != failed)
			printf("    with the pointer: %s\n", places[i].name);
	}
	check_edge();
	CHECK(strcmp(text, "text") == 0 && readonly[0] == 0);
	return checks_end("pointers");
}
