/*
 * A long random stream of memory calls over one range, each step of which a model of one record per page
 * predicts: which pages are mapped, with which rights, and what is in them. The argument is the seed.
 */
#include "check.h"

#define PAGES 128
#define STEPS 6000
#define AUDIT 100 /* steps between looks at everything */

/* What the model knows of a page. */
struct model_page {
	bool mapped;
	int prot;
	uint64_t value; /* its first word */
};

static struct model_page model[PAGES];
static char *base;
static uint64_t state;

static uint64_t next_random(uint64_t below)
{
	state ^= state << 13; /* xorshift (Marsaglia) */
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static volatile uint64_t *word(size_t page)
{
	return (volatile uint64_t *)(base + page * PAGE);
}

static int random_prot(void)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE};

	return prots[next_random(4)];
}

static bool all_mapped(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		if (!model[i].mapped)
			return false;
	}
	return true;
}

static void step_map(size_t first, size_t count)
{
	int prot = random_prot();

	CHECK(mmap(base + first * PAGE, count * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      base + first * PAGE);
	for (size_t i = first; i < first + count; i++)
		model[i] = (struct model_page){.mapped = true, .prot = prot};
}

static void step_unmap(size_t first, size_t count)
{
	CHECK(munmap(base + first * PAGE, count * PAGE) == 0);
	for (size_t i = first; i < first + count; i++)
		model[i] = (struct model_page){.mapped = false};
}

/* Only over what is mapped: with holes, Linux changes a part and fails. */
static void step_protect(size_t first, size_t count)
{
	int prot = random_prot();

	if (!all_mapped(first, count))
		return;
	CHECK(mprotect(base + first * PAGE, count * PAGE, prot) == 0);
	for (size_t i = first; i < first + count; i++)
		model[i].prot = prot;
}

static void step_forget(size_t first, size_t count)
{
	if (!all_mapped(first, count))
		return;
	CHECK(madvise(base + first * PAGE, count * PAGE, MADV_DONTNEED) == 0);
	for (size_t i = first; i < first + count; i++)
		model[i].value = 0;
}

static void step_write(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		if (!model[i].mapped || !(model[i].prot & PROT_WRITE))
			continue;
		model[i].value = state + i;
		*word(i) = model[i].value;
	}
}

static void audit(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		bool may_read = model[i].mapped && (model[i].prot & PROT_READ);

		CHECK(readable(word(i)) == may_read);
		if (may_read)
			CHECK(*word(i) == model[i].value);
		if (may_read && !(model[i].prot & PROT_WRITE))
			CHECK(!writable(word(i)));
	}
}

int main(int argc, char **argv)
{
	state = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	state = state * 0x9e3779b97f4a7c15ul | 1;
	base = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(base != MAP_FAILED && munmap(base, PAGES * PAGE) == 0);
	for (unsigned step = 1; step <= STEPS && checks_failed == 0; step++) {
		static void (*const steps[])(size_t, size_t) = {step_map,     step_unmap, step_protect,
								step_protect, step_write, step_write,
								step_forget,  audit};
		size_t first = next_random(PAGES);
		size_t count = 1 + next_random(PAGES - first < 16 ? PAGES - first : 16);

		steps[next_random(sizeof(steps) / sizeof(steps[0]))](first, count);
		if (step % AUDIT == 0)
			audit(0, PAGES);
	}
	return checks_end("random_memory");
}
