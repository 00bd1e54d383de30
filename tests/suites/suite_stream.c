/*
 * Streams of operations of all kinds against the model (model.h): a few of them, or the one that was asked for.
 *
 * In the kernel stream.seed=N and stream.ops=M on the command line ask for one, whose digest is then the same as the host's
 * (build/host/stream --seed N --ops M); stream.only=LIST for some of its operations. Many more run on the host: tests/host/stream.c.
 */
#include "model.h"
#include "vm_suite.h"

#define OPERATIONS 2000u
#define PORTION    64u

/* The kernel's command line (kern.h), where there is one. */
uint64_t cmdline_number(const char *name, uint64_t otherwise) __attribute__((weak));
const char *cmdline_get(const char *name) __attribute__((weak));

static void run_seed(uint64_t seed, uint64_t count)
{
	struct stream_op ops[PORTION];
	bool good = stream_begin(stream_swaps(seed));

	for (uint64_t done = 0; good && done < count; done++) {
		if (done % PORTION == 0)
			stream_generate(seed, done, ops, PORTION);
		good = stream_step(&ops[done % PORTION]);
	}
	good = good && stream_end();
	CHECK(good);
	test_print("# stream: seed %llu, %llu operations, digest %016llx", (unsigned long long)seed,
		   (unsigned long long)count, (unsigned long long)stream_digest());
}

/* Some operations of a seed, by their numbers, with commas between; each is printed. */
static void run_only(uint64_t seed, const char *list)
{
	bool good = stream_begin(stream_swaps(seed));

	stream_trace(true);
	stream_compare_every(1);
	while (good && *list) {
		struct stream_op op;
		uint64_t number = 0;

		for (; *list >= '0' && *list <= '9'; list++)
			number = number * 10 + (uint64_t)(*list - '0');
		stream_generate(seed, number, &op, 1);
		good = stream_step(&op);
		list += *list != '\0';
	}
	CHECK(good && stream_end());
}

void suite_stream(void)
{
	static const uint64_t seeds[] = {1, 2, 3, 6};
	uint64_t seed = cmdline_number ? cmdline_number("stream.seed", 0) : 0;
	uint64_t count = cmdline_number ? cmdline_number("stream.ops", OPERATIONS) : OPERATIONS;
	const char *only = cmdline_get ? cmdline_get("stream.only") : NULL;

	test_case("streams of operations do what the model says");
	if (seed != 0 && only) {
		run_only(seed, only);
		return;
	}
	if (seed != 0) {
		run_seed(seed, count);
		return;
	}
	for (unsigned i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		run_seed(seeds[i], count);
}
