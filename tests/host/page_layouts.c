/*
 * The page allocator on other machines than the simulated one: RAM in pieces, 16 GiB of it, several
 * CPUs at once, and the mistakes that it must not survive. tests/suites/suite_page.c tests it in place.
 *
 * Each case is a child process with descriptors of its own, in which page_init starts afresh; so
 * the simulated machine is not disturbed. A child that finds a fault says where, and exits with 1.
 */
#include "machine_internal.h"

#include <kern/test.h>
#include <vm/page.h>
#include <vm/slab.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAMES        4096u        /* of the random layouts; below SIM_RAM_BYTES, as contents are touched */
#define BIG_FRAMES    (17ul << 18) /* 17 GiB */
#define LAYOUTS       12u
#define LAYOUT_STEPS  1000u
#define MAX_RAM       8u
#define MAX_FREE      60u
#define THREADS       4u
#define THREAD_STEPS  20000u
#define MESSAGE_BYTES 256u

#define EXPECT(condition)                                                                \
	do {                                                                             \
		if (!(condition)) {                                                      \
			printf("# %s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
			fflush(stdout);                                                  \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

static uint64_t random_state = 20231122;

/* xorshift64: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003. */
static uint64_t random_step(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t random_below(uint64_t bound)
{
	return random_step(&random_state) % bound;
}

static void fresh_descriptors(size_t frames)
{
	sim_page_array = mmap(NULL, frames * sizeof(struct page), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EXPECT(sim_page_array != MAP_FAILED);
}

/* Runs `body` in a child. Its wait status; what it wrote to standard error in `message`. */
static int in_child(void (*body)(void), char *message, size_t bytes)
{
	int pipes[2], status = -1;

	fflush(stdout);
	ASSERT(pipe(pipes) == 0);
	pid_t child = fork();
	ASSERT(child >= 0);
	if (child == 0) {
		dup2(pipes[1], STDERR_FILENO);
		close(pipes[0]);
		sim_expect_stale(true); /* what the machine's CPUs cached is of no interest here */
		body();
		_exit(0);
	}
	close(pipes[1]);
	size_t length = 0;
	for (ssize_t got = 1; got > 0 && length < bytes - 1; length += (size_t)got) {
		got = read(pipes[0], message + length, bytes - 1 - length);
		if (got < 0)
			got = 0;
	}
	message[length] = '\0';
	close(pipes[0]);
	waitpid(child, &status, 0);
	return status;
}

static void passes(const char *name, void (*body)(void))
{
	char message[4096];

	test_case(name);
	if (!CHECK_EQ(in_child(body, message, sizeof(message)), 0))
		test_print("# %s", message);
}

/* ---- RAM in pieces ------------------------------------------------------------------------------- */

enum frame_state { NOT_RAM, RESERVED, FREE, TAKEN };

static struct layout {
	struct phys_range ram[MAX_RAM], free[MAX_FREE];
	size_t ram_count, free_count;
	uint8_t frames[FRAMES]; /* enum frame_state: the model */
	uint64_t free_frames;
	struct page *taken[FRAMES];
	size_t taken_count;
} layout;

static void layout_add_free(pgoff_t first, pgoff_t end)
{
	layout.free[layout.free_count++] =
		(struct phys_range){pages_to_bytes(first), pages_to_bytes(end), true};
	for (pgoff_t frame = first; frame < end; frame++)
		layout.frames[frame] = FREE;
	layout.free_frames += end - first;
}

/* RAM in up to MAX_RAM ranges with gaps, each with free parts and reserved ones. */
static void layout_make(void)
{
	pgoff_t frame = random_below(50);

	memset(&layout, 0, sizeof(layout));
	while (layout.ram_count < MAX_RAM) {
		pgoff_t end = frame + 1 + random_below(random_below(2) ? 40 : 1200);
		if (end > FRAMES)
			break;
		layout.ram[layout.ram_count++] =
			(struct phys_range){pages_to_bytes(frame), pages_to_bytes(end), true};
		memset(layout.frames + frame, RESERVED, end - frame);
		for (pgoff_t at = frame; layout.free_count < MAX_FREE;) {
			at += random_below(3) ? 0 : random_below(20);
			if (at >= end)
				break;
			pgoff_t stop = at + 1 + random_below(end - at);
			layout_add_free(at, stop);
			at = stop + 1;
		}
		frame = end + 1 + random_below(60);
	}
}

static void layout_take(struct page *page, size_t count, enum page_state state)
{
	for (size_t i = 0; i < count; i++) {
		EXPECT(layout.frames[page - sim_page_array + (ptrdiff_t)i] == FREE);
		EXPECT(page[i].state == state && page[i].refs == 1 && page[i].next == NULL);
		EXPECT(page[i].owner == NULL && page[i].index == 0 && page[i].order == 0);
		page[i].owner = page[i].next = page + i;
		memset(page_data(page + i), 0x77, PAGE_SIZE);
		layout.frames[page - sim_page_array + (ptrdiff_t)i] = TAKEN;
		layout.taken[layout.taken_count++] = page + i;
	}
	layout.free_frames -= count;
}

static bool model_has_run(size_t count, size_t align, pgoff_t limit)
{
	for (pgoff_t first = 0; first + count <= limit; first += align) {
		size_t length = 0;
		while (length < count && layout.frames[first + length] == FREE)
			length++;
		if (length == count)
			return true;
	}
	return false;
}

static void layout_run(enum page_state state)
{
	size_t count = 1 + random_below(random_below(2) ? 5 : 200);
	size_t align = (size_t)1 << random_below(random_below(4) ? 3 : 9);
	pgoff_t limit = random_below(2) ? FRAMES : random_below(FRAMES);
	struct page *run = page_alloc_run(state, count, align, pages_to_bytes(limit), PAGE_ALLOC_RESERVE);

	EXPECT((run != NULL) == model_has_run(count, align, limit));
	if (run == NULL)
		return;
	pgoff_t first = (pgoff_t)(run - sim_page_array);
	EXPECT(first % align == 0 && first + count <= limit);
	layout_take(run, count, state);
}

static void layout_step(unsigned step)
{
	enum page_state state = PAGE_KERNEL + random_below(4);
	unsigned taking = step / 200 % 2 ? 40 : 60, what = (unsigned)random_below(100);

	sim_become((unsigned)random_below(SIM_CPUS));
	if (what < 5) {
		layout_run(state);
	} else if (what < 8) {
		page_zero_one();
	} else if (what < 10) {
		page_zero_pool_enable(random_below(2));
	} else if (what < taking) {
		struct page *page = page_alloc(state, random_below(2) ? PAGE_ALLOC_RESERVE : PAGE_ALLOC_ZERO);
		if (page != NULL)
			layout_take(page, 1, state);
	} else if (layout.taken_count > 0) {
		size_t i = random_below(layout.taken_count);
		struct page *page = layout.taken[i];
		layout.taken[i] = layout.taken[--layout.taken_count];
		layout.frames[page - sim_page_array] = FREE;
		layout.free_frames++;
		page_free(page);
	}
}

/* The descriptor of a frame that is not RAM might not be mapped: it must not be touched. */
static void layout_check_outside(void)
{
	static const struct page untouched;

	for (size_t i = 0; i < FRAMES; i++)
		EXPECT(layout.frames[i] != NOT_RAM ||
		       memcmp(&sim_page_array[i], &untouched, sizeof(untouched)) == 0);
}

static void random_layouts(void)
{
	for (unsigned i = 0; i < LAYOUTS; i++) {
		fresh_descriptors(FRAMES);
		layout_make();
		page_init(layout.ram, layout.ram_count, layout.free, layout.free_count);
		for (unsigned step = 0; step < LAYOUT_STEPS; step++) {
			layout_step(step);
			page_check();
			EXPECT(page_stats().free_pages == layout.free_frames);
		}
		layout_check_outside();
	}
}

/* ---- 16 GiB --------------------------------------------------------------------------------------- */

static void large_memory(void)
{
	static const struct phys_range ram[] = {
		{0, 0x9f000, true}, {0x100000, 0xc0000000, true}, {0x100000000, 0x440000000, true}};
	const size_t frames_5g = (size_t)5 << 18;

	fresh_descriptors(BIG_FRAMES);
	page_init(ram, 3, ram, 3);
	page_check();
	EXPECT(page_stats().free_pages == 0x9f + (0xc0000 - 0x100) + 0x340000);

	/* Longer than the longest buddy run, so made of several; not poisoned, as nothing is freed. */
	struct page *run = page_alloc_run(PAGE_KERNEL, frames_5g, (size_t)1 << 18, PAGE_ANYWHERE, 0);
	EXPECT(run != NULL && (run - sim_page_array) % (1 << 18) == 0);
	EXPECT(page_alloc_run(PAGE_KERNEL, (size_t)9 << 18, 1, PAGE_ANYWHERE, 0) == NULL);
	EXPECT(page_alloc_run(PAGE_KERNEL, 160, 1, 0x9f000, 0) == NULL);
	EXPECT(page_alloc_run(PAGE_KERNEL, 159, 1, 0x9f000, 0) == sim_page_array);
	page_check();
}

/* ---- Several CPUs ----------------------------------------------------------------------------------- */

static struct slab_cache objects;

struct holding {
	struct page *page; /* NULL: an object */
	uint64_t *words;
	uint64_t value;
};

static void *several_thread(void *argument)
{
	uint64_t state = (uint64_t)(uintptr_t)argument * 7919 + 1;
	struct holding held[200];
	size_t count = 0;

	for (unsigned step = 0; step < THREAD_STEPS; step++) {
		uint64_t number = random_step(&state);
		unsigned what = (unsigned)(number % 100);
		if (step % 1000 == 0)
			sim_become((unsigned)(number >> 32) % SIM_CPUS);
		if (what < 48 && count < 200) {
			struct holding *new = &held[count];
			new->page = what < 10   ? page_alloc_run(PAGE_KERNEL, 1, 1, PAGE_ANYWHERE, 0)
				    : what < 30 ? page_alloc(PAGE_BLOB, what < 20 ? PAGE_ALLOC_ZERO : 0)
						: NULL;
			new->words = new->page != NULL ? page_data(new->page) : slab_alloc(&objects);
			new->value = number;
			if (new->words == NULL)
				continue;
			new->words[0] = new->words[5] = number;
			count++;
		} else if (what < 52) {
			page_zero_one();
		} else if (what == 52) {
			page_zero_pool_enable(number >> 32 & 1);
		} else if (count > 0) {
			struct holding *old = &held[(number >> 32) % count];
			EXPECT(old->words[0] == old->value && old->words[5] == old->value);
			if (old->page != NULL)
				page_unref(old->page);
			else
				slab_free(&objects, old->words);
			*old = held[--count];
		}
	}
	while (count-- > 0) {
		if (held[count].page != NULL)
			page_free(held[count].page);
		else
			slab_free(&objects, held[count].words);
	}
	return NULL;
}

/* Little memory, so that the CPUs often run out and empty each other's caches. */
static void several_cpus(void)
{
	const struct phys_range ram = {0, pages_to_bytes(450), true};
	pthread_t threads[THREADS];

	fresh_descriptors(FRAMES);
	page_init(&ram, 1, &ram, 1);
	slab_cache_init(&objects, "objects", 48);
	for (uintptr_t i = 0; i < THREADS; i++)
		EXPECT(pthread_create(&threads[i], NULL, several_thread, (void *)i) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	page_check();
	EXPECT(objects.objects == 0 && objects.pages <= 1);
	EXPECT(page_stats().free_pages + objects.pages == 450);
}

/* ---- Mistakes --------------------------------------------------------------------------------------- */

static void start_small(void)
{
	static const struct phys_range ram = {PAGE_SIZE, 0x800000, true}, free = {0x100000, 0x700000, true};

	fresh_descriptors(FRAMES);
	page_init(&ram, 1, &free, 1);
}

static void page_freed_twice(void)
{
	start_small();
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	page_free(page);
	page_free(page);
}

static void run_freed_twice(void)
{
	start_small();
	struct page *run = page_alloc_run(PAGE_KERNEL, 8, 8, PAGE_ANYWHERE, 0);
	page_free_run(run, 8);
	page_free(run + 3);
}

static void reserved_page_freed(void)
{
	start_small();
	page_free(page_from_paddr(0x2000));
}

static void module_freed(void)
{
	start_small();
	page_mark_module(0x700000, 0x702001);
	page_mark_module(0x702000, 0x703000);
	EXPECT(page_stats().by_state[PAGE_MODULE] == 3);
	struct page *page = page_from_paddr(0x702000);
	page_ref(page);
	page_unref(page);
	page_unref(page);
	EXPECT(page->state == PAGE_MODULE);
	page_free(page);
}

static void module_in_free_memory(void)
{
	start_small();
	page_mark_module(0x200000, 0x201000);
}

static void page_written_after_free(void)
{
	start_small();
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	page_free(page);
	((char *)page_data(page))[100] = 1;
	page_alloc(PAGE_KERNEL, 0);
}

static void object_freed_twice(void)
{
	start_small();
	slab_cache_init(&objects, "objects", 40);
	void *object = slab_alloc(&objects);
	slab_free(&objects, object);
	slab_free(&objects, object);
}

static void object_freed_at_its_middle(void)
{
	start_small();
	slab_cache_init(&objects, "objects", 40);
	slab_free(&objects, (char *)slab_alloc(&objects) + 16);
}

static void object_freed_to_another_cache(void)
{
	static struct slab_cache others;

	start_small();
	slab_cache_init(&objects, "objects", 40);
	slab_cache_init(&others, "others", 40);
	slab_free(&others, slab_alloc(&objects));
}

static void object_written_after_free(void)
{
	start_small();
	slab_cache_init(&objects, "objects", 40);
	char *object = slab_alloc(&objects);
	slab_free(&objects, object);
	object[20] = 1;
	slab_alloc(&objects);
}

static void panics(const char *name, void (*body)(void), const char *expected)
{
	char message[MESSAGE_BYTES];

	test_case(name);
	int status = in_child(body, message, sizeof(message));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	if (!CHECK(strstr(message, expected) != NULL))
		test_print("# it said: %s", message);
}

void suite_page_layouts(void)
{
	passes("RAM in pieces, at random", random_layouts);
	passes("16 GiB", large_memory);
	passes("several CPUs, little memory", several_cpus);
	panics("a page freed twice", page_freed_twice, "is freed while it is free");
	panics("a page of a free run freed", run_freed_twice, "is freed while it is reserved");
	panics("a reserved page freed", reserved_page_freed, "page 0x2000 is freed while it is reserved");
	panics("a module's page freed", module_freed, "page 0x702000 is freed while it is boot module");
	panics("a module in free memory", module_in_free_memory, "assertion failed");
	panics("a page written to after it was freed", page_written_after_free,
	       "written to after it was freed");
	panics("an object freed twice", object_freed_twice, "freed twice");
	panics("an object freed at its middle", object_freed_at_its_middle, "not the start of an object");
	panics("an object freed to another cache", object_freed_to_another_cache, "assertion failed");
	panics("an object written to after it was freed", object_written_after_free,
	       "written to after it was freed");
}
