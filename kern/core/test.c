/*
 * The reporting side of the self-tests: which suites run, which checks failed, TAP lines.
 *
 * The suites are in tests/suites; what they may use is in include/kern/test.h. This file compiles on
 * the host as well: it knows nothing of the kernel but <vm/env.h>.
 */
#include <kern/test.h>

#define MAX_COMPLAINTS 8 /* failed checks that a case prints; the rest are only counted */

/* Where the run is. One thread runs the suites: no lock. */
static struct {
	const char *suite;
	const char *name; /* the open case; NULL: none */
	const char *skip; /* why it is skipped; NULL: it is not */
	unsigned complaints;
	int cases;
	int failed;
} run;

static void close_case(void)
{
	if (!run.name)
		return;
	run.cases++;
	run.failed += run.complaints != 0;
	test_print("%s %d - %s: %s%s%s", run.complaints ? "not ok" : "ok", run.cases, run.suite, run.name,
		   run.skip ? " # SKIP " : "", run.skip ? run.skip : "");
	run.name = NULL;
}

void test_case(const char *name)
{
	close_case();
	run.name = name;
	run.skip = NULL;
	run.complaints = 0;
}

void test_skip(const char *reason)
{
	run.skip = reason;
}

unsigned test_complaints(void)
{
	return run.complaints;
}

/* Counts a failed check; true if it should be printed. Checks before the first case get one of their own. */
static bool complain(void)
{
	if (!run.name)
		test_case("preparations");
	run.complaints++;
	return run.complaints <= MAX_COMPLAINTS;
}

int test_check(bool holds, const char *text, const char *file, int line)
{
	if (!holds && complain())
		test_print("# %s:%d: failed: %s", file, line, text);
	return holds;
}

int test_check_equal(uint64_t left, uint64_t right, const char *left_text, const char *right_text,
		     const char *file, int line)
{
	bool holds = left == right;

	if (!holds && complain())
		test_print("# %s:%d: failed: %s == %s: %lld (0x%llx) is not %lld (0x%llx)", file, line,
			   left_text, right_text, (long long)left, (unsigned long long)left, (long long)right,
			   (unsigned long long)right);
	return holds;
}

int test_check_string(const char *left, const char *right, const char *left_text, const char *right_text,
		      const char *file, int line)
{
	bool holds = left && right && strcmp(left, right) == 0;

	if (!holds && complain())
		test_print("# %s:%d: failed: %s equals %s: \"%s\" is not \"%s\"", file, line, left_text,
			   right_text, left ? left : "(null)", right ? right : "(null)");
	return holds;
}

static void run_suite(const struct test_suite *suite)
{
	run.suite = suite->name;
	suite->run();
	close_case();
}

/* Is `name` the `length` bytes at `word`? */
static bool names_suite(const char *word, size_t length, const char *name)
{
	return strlen(name) == length && memcmp(word, name, length) == 0;
}

/* Runs the suite, or with "all" the suites, that one word of the list names. */
static void run_word(const char *word, size_t length)
{
	bool all = names_suite(word, length, "all");
	bool found = all;

	for (size_t i = 0; i < test_suite_count; i++) {
		const struct test_suite *suite = &test_suites[i];

		if (!suite->run || (all ? suite->only_named : !names_suite(word, length, suite->name)))
			continue;
		found = true;
		run_suite(suite);
	}
	if (!found) {
		run.cases++;
		run.failed++;
		test_print("not ok %d - %.*s: there is no such suite", run.cases, (int)length, word);
	}
}

int tests_run(const char *names)
{
	run.cases = 0;
	run.failed = 0;
	while (*names) {
		size_t length = 0;

		while (names[length] && names[length] != ',')
			length++;
		if (length)
			run_word(names, length);
		names += length + (names[length] == ',');
	}
	if (run.cases == 0) {
		run.failed++;
		test_print("# no suite was named, or none has a case");
	}
	test_print("1..%d", run.cases);
	return run.failed;
}
