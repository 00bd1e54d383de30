/*
 * Self-tests that run inside the kernel and, where they need no hardware, on the host: suites of
 * cases of checks, reported as TAP (testanything.org).
 *
 * A suite is a function suite_NAME() in tests/suites, listed in tests/suites/suites.c. It calls
 * test_case() to start each case and CHECK...() within it; a case ends where the next starts. The
 * reporting is in kern/core/test.c, which uses only <vm/env.h> and test_line().
 */
#ifndef KERN_TEST_H
#define KERN_TEST_H

#include <vm/env.h>

struct test_suite {
	const char *name;
	void (*run)(void); /* NULL: not part of this build */
	bool only_named;   /* not in "all": it ends the system */
};

/* Every suite, in the order in which "all" runs them (tests/suites/suites.c). */
extern const struct test_suite test_suites[];
extern const size_t test_suite_count;

/*
 * Runs the suites that `names` lists ("all", or names with commas between) and prints TAP. Returns how many cases
 * failed; a name that no suite has counts as one.
 */
int tests_run(const char *names);

/* Ends the case before, if any, and starts another. `name` stays the caller's and is read until the case ends. */
void test_case(const char *name);

/* Marks the present case as skipped: it counts as passed unless a check fails. */
void test_skip(const char *reason);

/* Checks that failed in the present case so far. */
unsigned test_complaints(void);

/*
 * Checks. Each is an expression that is true when the check holds, so that a suite can stop
 * where going on makes no sense:   if (!CHECK(page)) return;
 * CHECK_EQ compares as 64-bit numbers (pointers and negative error numbers included) and prints both.
 */
#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQ(left, right) \
	test_check_equal((uint64_t)(left), (uint64_t)(right), #left, #right, __FILE__, __LINE__)
#define CHECK_STR(left, right) test_check_string((left), (right), #left, #right, __FILE__, __LINE__)

/* 1 or 0, as int so that checks may be joined with &, which makes them all. */
int test_check(bool holds, const char *text, const char *file, int line);
int test_check_equal(uint64_t left, uint64_t right, const char *left_text, const char *right_text,
		     const char *file, int line);
int test_check_string(const char *left, const char *right, const char *left_text, const char *right_text,
		      const char *file, int line);

#define TEST_LINE_BYTES 320 /* longer lines are cut */

/* One line of output, formatted as env_format() does; a remark starts with "# ". */
#define test_print(...)                                               \
	do {                                                          \
		char test_text[TEST_LINE_BYTES];                      \
		env_format(test_text, sizeof test_text, __VA_ARGS__); \
		test_line(test_text);                                 \
	} while (0)

/* Provided by the surroundings: one line of output, without its newline (kernel: kern/core/console.c). */
void test_line(const char *line);

#endif
