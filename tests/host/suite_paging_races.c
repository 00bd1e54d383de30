/*
 * No store is lost: CPUs that page out, sync, copy, clone, fork, wire and protect what all of them use, while each has words
 * of its own in every page and knows what it stored there last.
 *
 * suite_races.c does more things at once, but cannot say what is to be found; what one CPU can show is in
 * ../suites/suite_paging_corners.c.
 */
#include "program.h"

#include "../suites/disk.h"
#include "../suites/store.h"
#include "../suites/vm_suite.h"

#include <vm/swap.h>

#include <pthread.h>
#include <sched.h>

/* What the thread counted as wrong. */
static uintptr_t finish(pthread_t thread)
{
	void *wrong;

	pthread_join(thread, &wrong);
	return (uintptr_t)wrong;
}

/* ---- Stores to a page that is being copied from ---------------------------------------------------- */

#define COPIES         400
#define MAX_YIELDS     100
#define SOURCE_WORDS   16   /* that the program uses */
#define KERNELS_OFFSET 2048 /* of the word that the kernel writes */

static struct map *source_root;
static struct blob *source;
static _Atomic bool copied;     /* all COPIES times */
static _Atomic uint64_t stores; /* of the program */

/* Until the program is at it, on another CPU; but not for ever, should it get no time. */
static void let_program_store(void)
{
	uint64_t enough = stores + SOURCE_WORDS;

	for (unsigned i = 0; i < MAX_YIELDS && stores < enough; i++)
		sched_yield();
}

/*
 * A pager that is slow: while a copy waits for its page, the source is written, which has to copy the page that is being
 * copied from; the program's stores meanwhile are the point.
 */
static int slow_get(struct pager *pager, const struct page_wanted *wanted, unsigned count, struct page **out)
{
	(void)pager, (void)count;
	let_program_store();
	if (blob_write(source, KERNELS_OFFSET, &wanted[0].index, sizeof(uint64_t)))
		return -EIO;
	out[0] = page_alloc(PAGE_BLOB, PAGE_ALLOC_ZERO);
	return out[0] ? 1 : -ENOMEM;
}

static void slow_destroy(struct pager *pager)
{
	(void)pager;
}

static const struct pager_ops slow_ops = {.name = "slow", .get_pages = slow_get, .destroy = slow_destroy};

static void *copy_often(void *argument)
{
	struct blob *to = argument;
	uintptr_t wrong = 0;

	sim_become(1);
	for (unsigned i = 0; i < COPIES; i++) {
		wrong += blob_decommit(to, 0, 1) != 0;
		/* Not all of the page: what is left of it has to be had from the pager. */
		wrong += blob_copy(to, 0, source, PAGE_SIZE / 2, PAGE_SIZE / 4) != 0;
	}
	copied = true;
	return (void *)wrong;
}

/* Stores to its words by turns, and looks each time whether what it stored a round before is still there. */
static void *store_often(void *argument)
{
	uint64_t stored[SOURCE_WORDS] = {0};
	uintptr_t wrong = 0;

	(void)argument;
	sim_become(2);
	program_enter(source_root);
	for (uint64_t i = 0; !copied || i % SOURCE_WORDS; i++) {
		vaddr_t va = SPACE_BASE + 8 * (i % SOURCE_WORDS);
		uint64_t *last = &stored[i % SOURCE_WORDS], found = 0;

		wrong += program_load(source_root, va, &found, sizeof(found)) || found != *last;
		*last = found + 1;
		wrong += program_store(source_root, va, last, sizeof(*last)) != 0;
		stores++;
	}
	program_enter(NULL);
	return (void *)wrong;
}

static void stores_while_copied(void)
{
	struct pager slow = {.ops = &slow_ops, .refs = 1};
	struct footprint before = footprint_now();
	pthread_t copier, program;
	struct blob *to;

	test_case("a store to a page that is being copied from is not lost");
	copied = false;
	CHECK_EQ(map_create_root("copied", &source_root), 0);
	source = make_blob(1);
	map_all_at(source_root, SPACE_BASE, source);
	CHECK_EQ(blob_create_paged(PAGE_SIZE, &slow, &to), 0);
	sim_expect_stale(true);
	CHECK_EQ(pthread_create(&copier, NULL, copy_often, to), 0);
	CHECK_EQ(pthread_create(&program, NULL, store_often, NULL), 0);
	CHECK_EQ(finish(copier), 0);
	CHECK_EQ(finish(program), 0);
	CHECK_EQ(sim_expect_stale(false), 0);
	map_unref(source_root);
	blob_unref(source);
	blob_unref(to);
	CHECK_EQ(slow.refs, 0);
	check_footprint(&before);
}

/* ---- Everything at once ------------------------------------------------------------------------------- */

#define PAGES      96 /* of the blob that all use, which has more than one tree node */
#define SPACES     2
#define LOCATIONS  2048
#define STEPS      1000
#define ACCESSES   4 /* in each step */
#define MAX_WIRED  8
#define OTHER_WORD (8 * SIM_CPUS) /* offset in a page of one that is nobody's */

/* Of the disks, if there are some: together they take all pages, and one nearly does. */
#define DISKS       2
#define DISK_PLACES 300
#define FIRST_FAULT 100 /* requests */
#define FAULTS      3

static struct map *roots[SPACES];
static struct blob *common;
static struct disk disks[DISKS];
static bool
	on_disks; /* pages go to disks, which come and go, and fail to write; else to a store that is always there */

/* One CPU's part. */
struct actor {
	struct rng rng;
	unsigned cpu;
	struct map *root;
	struct wiring *wiring; /* of the common blob; NULL: none */
	uint64_t mine[PAGES];  /* what its word of each page is */
	uintptr_t wrong;
};

/* A part of the common blob, and where it is mapped. */
struct part {
	pgoff_t first, pages;
	vaddr_t start;
	uint64_t bytes;
};

static struct part some_part(struct actor *actor)
{
	pgoff_t first = rng_below(&actor->rng, PAGES);
	pgoff_t pages = 1 + rng_below(&actor->rng, PAGES - first);

	return (struct part){first, pages, SPACE_BASE + pages_to_bytes(first), pages_to_bytes(pages)};
}

static bool maybe(struct actor *actor)
{
	return rng_below(&actor->rng, 2);
}

static uint64_t my_word(const struct actor *actor, pgoff_t page)
{
	return pages_to_bytes(page) + 8 * actor->cpu;
}

/* There is no disk just now, or it is full, or fails: then pages stay where they are. */
static int unless_no_disk(int error)
{
	return on_disks && (error == -ENODEV || error == -ENOSPC || error == -EIO) ? 0 : error;
}

/* A clone has what was stored before it was made, whatever becomes of the blob or of other clones. */
static int clone_part(struct actor *actor, struct part part)
{
	pgoff_t page = rng_below(&actor->rng, part.pages);
	uint64_t found = 0, other = 1;
	struct blob *clone;
	int error;

	error = blob_clone(common, part.first, part.pages, &clone);
	if (error)
		return error;
	error = blob_write(clone, pages_to_bytes(page) + OTHER_WORD, &other, sizeof(other));
	if (!error && maybe(actor))
		error = unless_no_disk(blob_page_out(clone, 0, part.pages));
	if (!error)
		error = blob_read(clone, my_word(actor, page), &found, sizeof(found));
	actor->wrong += !error && found != actor->mine[part.first + page];
	if (!error && maybe(actor))
		error = blob_decommit(clone, 0, part.pages);
	blob_unref(clone);
	return error;
}

static int copy_part(struct actor *actor, struct part part)
{
	pgoff_t page = rng_below(&actor->rng, part.pages);
	uint64_t found = 0;
	struct blob *copy;
	int error;

	error = blob_create(part.bytes, 0, &copy);
	if (error)
		return error;
	error = blob_copy(copy, 0, common, pages_to_bytes(part.first), part.bytes);
	if (!error)
		error = blob_read(copy, my_word(actor, page), &found, sizeof(found));
	actor->wrong += !error && found != actor->mine[part.first + page];
	blob_unref(copy);
	return error;
}

static int wire_or_not(struct actor *actor, struct part part)
{
	if (!actor->wiring)
		return blob_wire(common, part.first, part.pages < MAX_WIRED ? part.pages : MAX_WIRED,
				 &actor->wiring);
	blob_unwire(actor->wiring);
	actor->wiring = NULL;
	return 0;
}

/* Takes the right to write, and gives it again. */
static int protect_part(struct actor *actor, struct part part)
{
	int error = map_protect(actor->root, part.start, part.bytes, VM_READ);

	return error ? error : map_protect(actor->root, part.start, part.bytes, RW);
}

static int fork_and_go(struct actor *actor)
{
	struct map *child;
	int error = map_clone(actor->root, "child", &child);

	if (!error)
		map_unref(child);
	return error;
}

/* One disk goes, or comes. What is there need not fit elsewhere; and another CPU may be about the same. */
static int swap_disks(struct actor *actor)
{
	struct swap_device *device = &disks[rng_below(&actor->rng, DISKS)].device;
	int error;

	if (!on_disks)
		return 0;
	if (maybe(actor)) {
		error = swap_off(device);
		return error == -EINVAL || error == -EBUSY || error == -ENOMEM ? 0 : error;
	}
	error = swap_on(device, (int)rng_below(&actor->rng, 2));
	return error == -EBUSY ? 0 : error;
}

/* Something that changes no contents. */
static void disturb(struct actor *actor)
{
	struct part part = some_part(actor);
	int error = 0;

	switch (rng_below(&actor->rng, 12)) {
	case 0:
		error = unless_no_disk(blob_page_out(common, part.first, part.pages));
		break;
	case 1:
		(void)vm_reclaim((unsigned)part.pages);
		break;
	case 2:
		error = unless_no_disk(blob_sync(common, part.first, part.pages));
		break;
	case 3:
		error = clone_part(actor, part);
		break;
	case 4:
		error = copy_part(actor, part);
		break;
	case 5:
		error = wire_or_not(actor, part);
		break;
	case 6:
		if (part.pages > MAX_WIRED)
			part.bytes = pages_to_bytes(MAX_WIRED);
		error = map_wire(actor->root, part.start, part.bytes);
		break;
	case 7:
		error = map_unwire(actor->root, part.start, part.bytes);
		break;
	case 8:
		error = unless_no_disk(
			map_advise(actor->root, part.start, part.bytes, rng_below(&actor->rng, MAP_ADVICES)));
		break;
	case 9:
		error = protect_part(actor, part);
		break;
	case 10:
		error = swap_disks(actor);
		break;
	default:
		error = fork_and_go(actor);
	}
	actor->wrong += error != 0;
}

/* The right to write may be missing for as long as another CPU is in protect_part(). */
static int store_at(struct actor *actor, vaddr_t va, const uint64_t *word)
{
	int error;

	do
		error = program_store(actor->root, va, word, sizeof(*word));
	while (error == -EACCES);
	return error;
}

/* Finds its word of a page as it was stored last, and stores another: as a program, or as the kernel does. */
static void use(struct actor *actor)
{
	pgoff_t page = rng_below(&actor->rng, PAGES);
	vaddr_t va = SPACE_BASE + my_word(actor, page);
	uint64_t *mine = &actor->mine[page], found = 0;
	int error = program_load(actor->root, va, &found, sizeof(found));

	actor->wrong += error || found != *mine;
	*mine = found + 1;
	if (rng_below(&actor->rng, 4) == 0)
		error = blob_write(common, my_word(actor, page), mine, sizeof(*mine));
	else
		error = store_at(actor, va, mine);
	actor->wrong += error != 0;
}

static void *act(void *argument)
{
	unsigned cpu = (unsigned)(uintptr_t)argument;
	struct actor actor = {.rng = {.state = 0x9e3779b97f4a7c15ul + cpu}, .cpu = cpu};

	sim_become(cpu);
	actor.root = roots[cpu % SPACES];
	program_enter(actor.root);
	for (unsigned i = 0; i < STEPS; i++) {
		if (rng_below(&actor.rng, 3) == 0)
			disturb(&actor);
		for (unsigned j = 0; j < ACCESSES; j++)
			use(&actor);
	}
	program_enter(NULL);
	if (actor.wiring)
		blob_unwire(actor.wiring);
	return (void *)actor.wrong;
}

/* Forks share the common blob with one of the spaces, and get clones of it from the other. */
static void map_common(struct map *root, enum map_inherit inherit)
{
	struct placement place = fixed_at(SPACE_BASE);
	struct mapping how = {.prot = RW, .inherit = inherit, .name = "common"};
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, common, 0, PAGES, &how, &at), 0);
}

static void tear_down(void)
{
	for (unsigned i = 0; i < SPACES; i++) {
		CHECK(check_map(roots[i]));
		map_unref(roots[i]);
	}
	blob_verify(common);
	CHECK_EQ(common->refs, 1);
	CHECK_EQ(common->wired_count, 0);
	blob_unref(common);
}

/* Returns how many mismatches there were before: other suites have disks that lie. */
static uint64_t open_disks(void)
{
	struct swap_stats stats;

	for (unsigned i = 0; i < DISKS; i++) {
		ASSERT(disk_open(&disks[i], i ? "second disk" : "first disk", DISK_PLACES));
		/* Now and then a write fails, which takes its places out of use; and one disk does not say when it is done with the pages. */
		disk_fail(&disks[i], i ? DISK_KEEPS : DISK_FAILS, true, false, FIRST_FAULT, FAULTS);
		CHECK_EQ(swap_on(&disks[i].device, 0), 0);
	}
	swap_stats(&stats);
	return stats.mismatches;
}

static void close_disks(uint64_t mismatches)
{
	struct swap_stats stats;

	for (unsigned i = 0; i < DISKS; i++)
		disk_let_go(&disks[i]);
	swap_stats(&stats);
	CHECK_EQ(stats.used, 0);
	CHECK_EQ(stats.mismatches, mismatches);
	for (unsigned i = 0; i < DISKS; i++) {
		int error = swap_off(&disks[i].device);

		CHECK(error == 0 || error == -EINVAL);
		disk_close(&disks[i]);
	}
}

static void everything_at_once(bool disks_come_and_go)
{
	struct footprint before = footprint_now();
	pthread_t threads[SIM_CPUS];
	uint64_t mismatches = 0;

	on_disks = disks_come_and_go;
	if (on_disks) {
		test_case("nor where pages go to disks that come and go");
		mismatches = open_disks();
	} else {
		test_case("no store is lost, whatever the other CPUs do to the same pages");
		ASSERT(store_open(LOCATIONS));
	}
	common = make_blob(PAGES);
	for (unsigned i = 0; i < SPACES; i++) {
		CHECK_EQ(map_create_root("common", &roots[i]), 0);
		map_common(roots[i], i ? INHERIT_COPY : INHERIT_SHARE);
	}
	sim_expect_stale(true);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++)
		CHECK_EQ(pthread_create(&threads[cpu], NULL, act, (void *)(uintptr_t)cpu), 0);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++)
		CHECK_EQ(finish(threads[cpu]), 0);
	CHECK_EQ(sim_expect_stale(false), 0);
	tear_down();
	if (on_disks)
		close_disks(mismatches);
	else
		store_close();
	check_footprint(&before);
}

void suite_paging_races(void)
{
	stores_while_copied();
	everything_at_once(false);
	everything_at_once(true);
}
