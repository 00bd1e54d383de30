/*
 * What the cases of fail_nth.c share. A case is one call: what prepares it, the call, and how it may fail. Each attempt is a process of its own, so whatever it has at
 * its end goes with it; what outlives it has one of the names and keys below, or is in the working directory.
 */
#ifndef FAIL_NTH_H
#define FAIL_NTH_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE         4096ul
#define BUFFER_PAGES 16
#define KEY          0x6e7468 /* of System V's objects */
#define QUEUE        "/nth"   /* a message queue */
#define MOUNT        "mount"  /* a directory that something may be mounted at */
#define MAX_ALSO     3

struct call {
	const char *name;
	void (*prepare)(void);
	long (*make)(void);
	int also[MAX_ALSO]; /* how it may fail besides ENOMEM, as its manual page has it */
	const char *needs;  /* a file without which it is not tried; NULL: none */
	bool copes;         /* it may succeed, or do a part, though an allocation failed */
	bool changes;       /* a part may have been done when it fails */
};

/* A case, which the linker puts into a table: statements, an expression, and more of struct call. */
#define CASE(id, statements, expression, ...)                                      \
	static void id##_prepare(void)                                             \
	{                                                                          \
		statements;                                                        \
	}                                                                          \
	static long id##_make(void)                                                \
	{                                                                          \
		return (long)(expression);                                         \
	}                                                                          \
	static const struct call id##_call                                         \
		__attribute__((used, section("calls"), aligned(sizeof(long)))) = { \
			.name = #id, .prepare = id##_prepare, .make = id##_make, ##__VA_ARGS__}

/* What a preparation needs has to succeed. */
#define MUST(expression) must((long)(expression), #expression, __LINE__)
long must(long result, const char *what, int line);

/* For cases' use. The buffer is in memory. */
extern char buffer[BUFFER_PAGES * PAGE];
extern int fd, fds[2];
extern int control; /* the file fail-nth, open */
extern char *area;

/* So many pages, each in memory. */
char *touched(size_t pages, int flags);
/* A file of so many pages in the working directory, open. */
int file_of(const char *name, size_t pages);

#endif
