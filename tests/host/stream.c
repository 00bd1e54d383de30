/*
 * The program that runs many streams of operations against the model (tests/suites/model.h), each in a process of its own.
 *
 *   stream --total OPS [--jobs N] [--first SEED]    so many operations in all, one seed after another; TAP
 *   stream --hours H [--jobs N] [--first SEED]      as many seeds as there is time for, and a line a minute
 *   stream --seed SEED [--ops OPS] [--only LIST] [--trace]   one stream, or some operations of it
 *
 * Where a stream disagrees with the model, panics or is stopped by a sanitizer, operations are left out as long as that
 * goes on; what remains is printed. Status 1 then, 2 for wrong arguments.
 */
#include "machine.h"

#include "../suites/model.h"

#include <kern/test.h>
#include <vm/vm.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEED_OPS    20000u /* operations of a seed */
#define MAX_JOBS    16
#define MAX_SECONDS 600 /* for one stream */
#define CLOSE_COMPARE \
	200u /* streams that are shorter are compared as a whole after each step, while shrinking */
#define COMPARE       32u /* the others after so many */
#define MINUTE        60
#define MAX_SHRINKING 120           /* seconds */
#define MAX_PRINTED   150           /* operations */
#define SANITIZER     "exitcode=99" /* unlike that of a disagreement */

static struct {
	uint64_t seed, ops, total, first;
	unsigned jobs;
	double hours;
	const char *only;
	bool trace;
} options = {.ops = SEED_OPS, .first = 1, .jobs = 2};

/* What processes tell the first one: shared memory. */
struct report {
	_Atomic uint64_t steps; /* done */
	uint64_t digest;
};

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return SANITIZER;
}

const char *__ubsan_default_options(void)
{
	return SANITIZER;
}

void test_line(const char *line)
{
	puts(line);
	fflush(stdout);
}

static struct report *make_report(void)
{
	struct report *report =
		mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (report == MAP_FAILED)
		exit(2);
	return report;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- One stream --------------------------------------------------------------------------------------- */

/* Operations of a seed, by their numbers. */
struct list {
	uint64_t seed;
	uint32_t *numbers;
	size_t count;
};

static bool run_list(const struct list *list, struct report *report)
{
	bool good = stream_begin(stream_swaps(list->seed));

	for (size_t i = 0; good && i < list->count; i++) {
		struct stream_op op;

		stream_generate(list->seed, list->numbers[i], &op, 1);
		good = stream_step(&op);
		if (good)
			report->steps = i + 1;
	}
	good = good && stream_end();
	report->digest = stream_digest();
	return good;
}

static struct list list_all(uint64_t seed, size_t count)
{
	struct list list = {.seed = seed, .numbers = malloc(count * sizeof(uint32_t)), .count = count};

	if (!list.numbers)
		exit(2);
	for (size_t i = 0; i < count; i++)
		list.numbers[i] = i;
	return list;
}

/* Starts a process that runs the list. */
static pid_t start(const struct list *list, struct report *report, bool quiet)
{
	pid_t child;

	report->steps = 0;
	fflush(stdout);
	child = fork();
	if (child != 0)
		return child;
	alarm(MAX_SECONDS);
	if (quiet) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	_exit(run_list(list, report) ? 0 : 1);
}

/* Does it fail in the same way: by disagreement, or by a panic or sanitizer? */
static bool fails(const struct list *list, struct report *report, int as)
{
	int status = 0;
	pid_t child;

	stream_compare_every(list->count < CLOSE_COMPARE ? 1 : COMPARE);
	child = start(list, report, true);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status == as;
}

/* ---- Shrinking ------------------------------------------------------------------------------------------ */

/* The list without numbers[from] to numbers[end - 1]. */
static struct list without(const struct list *list, size_t from, size_t end)
{
	struct list rest = {.seed = list->seed,
			    .numbers = malloc((list->count + 1) * sizeof(uint32_t)),
			    .count = list->count - (end - from)};

	if (!rest.numbers)
		exit(2);
	memcpy(rest.numbers, list->numbers, from * sizeof(uint32_t));
	memcpy(rest.numbers + from, list->numbers + end, (list->count - end) * sizeof(uint32_t));
	return rest;
}

/* Takes over a list that fails, up to the operation that does. */
static void adopt_list(struct list *list, struct list shorter, const struct report *report)
{
	free(list->numbers);
	*list = shorter;
	if (report->steps + 1 < list->count)
		list->count = report->steps + 1;
}

/* Leaves out whatever can be left out, larger pieces first, until nothing can. */
static void shrink(struct list *list, struct report *report, int status)
{
	size_t piece = list->count / 2;
	double started = now();
	unsigned trials = 0;

	while (piece > 0 && now() - started < MAX_SHRINKING) {
		bool smaller = false;

		/* From the end: what is needed to fail is mostly not long before. */
		for (size_t end = list->count; end > 0 && now() - started < MAX_SHRINKING;) {
			size_t from = end > piece ? end - piece : 0;
			struct list rest = without(list, from, end);

			trials++;
			if (rest.count > 0 && fails(&rest, report, status)) {
				adopt_list(list, rest, report);
				smaller = true;
				end = from < list->count ? from : list->count;
			} else {
				free(rest.numbers);
				end = from;
			}
		}
		if (piece > list->count / 2)
			piece = list->count / 2;
		else if (piece > 1 || !smaller)
			piece /= 2;
	}
	printf("# shrunk to %zu operations in %u trials\n", list->count, trials);
}

static void print_replay(const struct list *list)
{
	if (list->count > MAX_PRINTED) {
		printf("# again on the host:   build/host/stream --trace --seed %llu --ops %u\n",
		       (unsigned long long)list->seed, list->numbers[list->count - 1] + 1);
		return;
	}
	printf("# again on the host:   build/host/stream --trace --seed %llu --only ",
	       (unsigned long long)list->seed);
	for (size_t i = 0; i < list->count; i++)
		printf("%s%u", i ? "," : "", list->numbers[i]);
	printf("\n# and in the kernel:   tools/phoenix-run --verbose --append 'test=stream stream.seed=%llu "
	       "stream.only=",
	       (unsigned long long)list->seed);
	for (size_t i = 0; i < list->count; i++)
		printf("%s%u", i ? "," : "", list->numbers[i]);
	printf("' /bin/true\n");
}

/* A stream that failed, after so many steps: what of it is needed for that. */
static void explain(uint64_t seed, uint64_t steps, struct report *report, int status)
{
	struct list list = list_all(seed, steps + 1);

	printf("# seed %llu fails at operation %llu; shrinking\n", (unsigned long long)seed,
	       (unsigned long long)steps);
	fflush(stdout);
	shrink(&list, report, status);
	print_replay(&list);
	stream_compare_every(1);
	stream_trace(list.count <= MAX_PRINTED);
	fflush(stdout);
	/* Its messages, a sanitizer's too. */
	waitpid(start(&list, report, false), &status, 0);
	free(list.numbers);
}

/* ---- Many streams --------------------------------------------------------------------------------------- */

struct job {
	pid_t child; /* 0: none */
	uint64_t seed, ops;
	double started;
	struct report *report;
};

struct run {
	struct job job[MAX_JOBS];
	uint64_t next_seed, done, begun;
	unsigned seeds, failed;
	double started, told;
};

static bool wants_more(const struct run *run)
{
	if (run->failed)
		return false;
	if (options.hours > 0)
		return now() - run->started < options.hours * MINUTE * MINUTE;
	return run->begun < options.total;
}

static void begin_job(struct run *run, struct job *job)
{
	uint64_t left = options.hours > 0 ? SEED_OPS : options.total - run->begun;
	struct list list;

	job->seed = run->next_seed++;
	job->ops = left < SEED_OPS ? left : SEED_OPS;
	job->started = now();
	run->begun += job->ops;
	list = list_all(job->seed, job->ops);
	job->child = start(&list, job->report, false);
	free(list.numbers);
}

static void end_job(struct run *run, struct job *job, int status)
{
	job->child = 0;
	run->done += job->report->steps;
	run->seeds++;
	if (status != 0) {
		run->failed++;
		explain(job->seed, job->report->steps, job->report, status);
		return;
	}
	if (options.hours == 0)
		printf("# seed %llu: %llu operations, %.1f s, digest %016llx\n",
		       (unsigned long long)job->seed, (unsigned long long)job->ops, now() - job->started,
		       (unsigned long long)job->report->digest);
	if (options.hours > 0 && now() - run->told >= MINUTE) {
		run->told = now();
		printf("# %.0f min: %llu operations, %u seeds, up to %llu\n", (now() - run->started) / MINUTE,
		       (unsigned long long)run->done, run->seeds, (unsigned long long)job->seed);
	}
	fflush(stdout);
}

static int run_many(void)
{
	struct run run = {.next_seed = options.first, .started = now(), .told = now()};
	unsigned running = 0;

	for (unsigned i = 0; i < options.jobs; i++)
		run.job[i].report = make_report();
	for (;;) {
		int status = 0;
		pid_t ended;

		for (unsigned i = 0; i < options.jobs && wants_more(&run); i++) {
			if (run.job[i].child)
				continue;
			begin_job(&run, &run.job[i]);
			running++;
		}
		if (running == 0)
			break;
		ended = wait(&status);
		for (unsigned i = 0; i < options.jobs; i++) {
			if (run.job[i].child != ended || ended <= 0)
				continue;
			running--;
			end_job(&run, &run.job[i], status);
		}
	}
	printf("# %llu operations of %u seeds in %.0f s\n", (unsigned long long)run.done, run.seeds,
	       now() - run.started);
	printf("%s 1 - streams of operations do what the model says\n1..1\n", run.failed ? "not ok" : "ok");
	return run.failed != 0;
}

/* ---- Arguments ---------------------------------------------------------------------------------------- */

static int run_one(void)
{
	struct list list = list_all(options.seed, options.ops);
	struct report *report = make_report();
	bool good;

	if (options.only) {
		char *text = (char *)options.only;

		for (list.count = 0; *text && list.count < options.ops; list.count++)
			list.numbers[list.count] = strtoul(text + (list.count > 0), &text, 10);
		stream_compare_every(1);
	}
	stream_trace(options.trace);
	good = run_list(&list, report);
	free(list.numbers);
	printf("# stream: seed %llu, %zu operations, digest %016llx\n", (unsigned long long)options.seed,
	       list.count, (unsigned long long)report->digest);
	printf("%s 1 - stream\n1..1\n", good ? "ok" : "not ok");
	return !good;
}

static int usage(void)
{
	fputs("usage: stream --total OPS | --hours H [--jobs N] [--first SEED]\n"
	      "       stream --seed SEED [--ops OPS] [--only LIST] [--trace]\n",
	      stderr);
	return 2;
}

static bool parse(int count, char **arguments)
{
	for (int i = 1; i < count; i++) {
		const char *name = arguments[i], *value = arguments[i + 1];

		if (strcmp(name, "--trace") == 0) {
			options.trace = true;
			continue;
		}
		if (!value)
			return false;
		i++;
		if (strcmp(name, "--seed") == 0)
			options.seed = strtoull(value, NULL, 10);
		else if (strcmp(name, "--ops") == 0)
			options.ops = strtoull(value, NULL, 10);
		else if (strcmp(name, "--only") == 0)
			options.only = value;
		else if (strcmp(name, "--total") == 0)
			options.total = strtoull(value, NULL, 10);
		else if (strcmp(name, "--hours") == 0)
			options.hours = strtod(value, NULL);
		else if (strcmp(name, "--first") == 0)
			options.first = strtoull(value, NULL, 10);
		else if (strcmp(name, "--jobs") == 0)
			options.jobs = strtoul(value, NULL, 10);
		else
			return false;
	}
	return options.jobs >= 1 && options.jobs <= MAX_JOBS;
}

int main(int count, char **arguments)
{
	if (!parse(count, arguments))
		return usage();
	if (options.seed == 0 && options.total == 0 && options.hours == 0)
		return usage();
	machine_init();
	vm_init();
	return options.seed != 0 ? run_one() : run_many();
}
