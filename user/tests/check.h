/*
 * What the test programs share: a check that counts, a summary, and ways to ask the system about memory
 * without being killed for it.
 *
 * The programs run on Linux as well: what they check is Linux's interface. on_phoenix() tells where
 * they check an address layout that only Phoenix has.
 */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <errno.h>
#include <kern/phoenix_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PAGE 4096ul

static unsigned checks_made, checks_failed;

#define CHECK(condition)                                                                                    \
	do {                                                                                                \
		checks_made++;                                                                              \
		if (!(condition)) {                                                                         \
			checks_failed++;                                                                    \
			printf("failed: %s, at %s:%d (errno %d)\n", #condition, __FILE__, __LINE__, errno); \
		}                                                                                           \
	} while (0)

/* The call fails with this errno. */
#define CHECK_ERROR(call, error)                                                                       \
	do {                                                                                           \
		long result_;                                                                          \
		errno = 0;                                                                             \
		result_ = (long)(call);                                                                \
		checks_made++;                                                                         \
		if (result_ != -1 || errno != (error)) {                                               \
			checks_failed++;                                                               \
			printf("failed: %s: %ld, errno %d, not %s, at %s:%d\n", #call, result_, errno, \
			       #error, __FILE__, __LINE__);                                            \
		}                                                                                      \
	} while (0)

/* Prints the counts; what main() returns. */
static inline int checks_end(const char *name)
{
	printf("%s: %u checks, %u failed\n", name, checks_made, checks_failed);
	return checks_failed ? 1 : 0;
}

static inline bool on_phoenix(void)
{
	struct phoenix_vm_stats stats;

	return syscall(PHOENIX_SYS_VM_STATS, &stats, sizeof(stats)) == 0;
}

/* May the program read, or write, at the address? The kernel is asked to, and says EFAULT if not. */
static inline bool readable(const volatile void *address)
{
	errno = 0;
	/* A path: one character of it, or its end, is read in any case. */
	return syscall(SYS_access, address, 0) == 0 || errno != EFAULT;
}

/* Overwrites the byte there. */
static inline bool writable(volatile void *address)
{
	static char page[2 * PAGE];
	uintptr_t resident = ((uintptr_t)page + PAGE - 1) & -PAGE;

	return syscall(SYS_mincore, resident, PAGE, address) == 0;
}

#endif
