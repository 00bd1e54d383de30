/*
 * Everything at once: CPUs that map, replace, resize, protect, forget, clone, wire, page out and use the same blobs in two
 * address spaces, fork these, and destroy what they made, at random.
 *
 * Nothing can be said of what one access finds but this: a word is 0 or one that was stored, a refusal is one of
 * those documented, no page is freed while a CPU can reach it, and at the end all is where it was. The rest is
 * the sanitizers' and the assertions'.
 */
#include "program.h"

#include "../suites/disk.h"
#include "../suites/store.h"
#include "../suites/vm_suite.h"

#include <vm/swap.h>

#include <pthread.h>

#define PAGES         24
#define BLOB_PAGES    80 /* of the shared blob, which has more than one tree node */
#define STEPS         2500
#define SPACES        2
#define STORED        0x5701ed00ul /* in the upper half of each word that is stored */
#define MAX_WINDOW    12
#define ENTITY_SIZE   6
#define LOCATIONS     2048
#define PROGRAM_BYTES 32 /* of a page: what programs use */
#define KEPT          3  /* clones that a CPU keeps for a while */

static struct map *roots[SPACES];
static struct blob *shared;
static struct blob *paged;
static struct entity *entity;
static struct disk disk;
static bool swaps;  /* pages go to the disk, and not to the store */
static bool scarce; /* now and then an allocation fails, or a transfer from or to the store */

/* A pager that lends its pages to any number of CPUs at once. */
static struct page *lent[BLOB_PAGES];
static struct pager pager;

static int lend(struct pager *from, const struct page_wanted *wanted, unsigned count, struct page **out)
{
	(void)from;
	for (unsigned i = 0; i < count; i++) {
		out[i] = lent[wanted[i].index];
		page_ref(out[i]);
	}
	return (int)count;
}

static void end_of_pager(struct pager *from)
{
	CHECK(from == &pager);
}

static const struct pager_ops lender = {.name = "lender", .get_pages = lend, .destroy = end_of_pager};

/* One CPU's part. */
struct actor {
	struct rng rng;
	unsigned cpu;
	struct map *root;
	struct blob *kept[KEPT];
	struct wiring *wiring; /* of a window of the shared blob; NULL: none */
	uintptr_t wrong;
};

static vaddr_t some_page(struct actor *actor, pgoff_t *pages)
{
	pgoff_t first = rng_below(&actor->rng, PAGES);

	*pages = 1 + rng_below(&actor->rng, PAGES - first);
	if (*pages > MAX_WINDOW)
		*pages = MAX_WINDOW;
	return SPACE_BASE + pages_to_bytes(first);
}

static vm_prot_t some_rights(struct actor *actor)
{
	static const vm_prot_t rights[] = {RW, RW, RW, VM_READ, RX, 0};

	return rights[rng_below(&actor->rng, sizeof(rights) / sizeof(rights[0]))];
}

static void expect(struct actor *actor, int error, int other, int another)
{
	actor->wrong += error && error != other && error != another;
}

/* What goes to pagers, or needs their pages, may fail for these reasons. */
static void expect_io(struct actor *actor, int error)
{
	/* Somebody has just made the blob's extent smaller. */
	if (error == -ENXIO)
		return;
	if (error != -EIO || !scarce)
		actor->wrong += error && error != -ENOMEM && error != -EBUSY && error != -ENOSPC;
}

static void expect_access(struct actor *actor, int error)
{
	if (error != -ENXIO && ((error != -ENOMEM && error != -EIO) || !scarce))
		expect(actor, error, -EFAULT, -EACCES);
}

static void use(struct actor *actor)
{
	for (unsigned i = 0; i < 6; i++) {
		pgoff_t pages;
		vaddr_t va = some_page(actor, &pages) + 8 * rng_below(&actor->rng, PROGRAM_BYTES / 8);
		uint64_t word = STORED << 32 | rng_below(&actor->rng, 1000);
		int error;

		if (rng_below(&actor->rng, 2)) {
			error = program_store(actor->root, va, &word, sizeof(word));
		} else {
			error = program_load(actor->root, va, &word, sizeof(word));
			actor->wrong += !error && word != 0 && word >> 32 != STORED;
		}
		expect_access(actor, error);
	}
}

static void place_blob(struct actor *actor, struct blob *blob, bool private)
{
	pgoff_t pages, offset;
	struct placement place = replace_at(some_page(actor, &pages));
	struct mapping how = {.prot = some_rights(actor), .inherit = INHERIT_SHARE, .name = "raced"};
	vaddr_t at;

	offset = rng_below(&actor->rng, BLOB_PAGES - pages);
	expect(actor,
	       private ? map_blob_private(actor->root, &place, blob, offset, pages, &how, &at)
		       : map_blob(actor->root, &place, blob, offset, pages, &how, &at),
	       -ENOMEM, -ENOMEM);
}

/* A mapping that is the only holder of its blob. */
static void place_own(struct actor *actor)
{
	pgoff_t pages;
	struct placement place = replace_at(some_page(actor, &pages));
	struct mapping how = {.prot = RW, .inherit = INHERIT_COPY, .name = "own"};
	struct blob *blob = NULL;
	vaddr_t at;

	if (blob_create(BLOB_MAX_BYTES, 0, &blob)) {
		actor->wrong += !scarce;
		return;
	}
	expect(actor, map_blob(actor->root, &place, blob, 0, pages, &how, &at), -ENOMEM, -ENOMEM);
	blob_unref(blob);
}

static void place_entity(struct actor *actor)
{
	struct placement place =
		replace_at(SPACE_BASE + pages_to_bytes(rng_below(&actor->rng, PAGES - ENTITY_SIZE)));
	vaddr_t at;

	expect(actor, map_entity(actor->root, &place, entity, &at), -ENOMEM, -ENOMEM);
}

static void resize(struct actor *actor)
{
	struct resize_request want = {.may_move = rng_below(&actor->rng, 2)};
	pgoff_t pages;
	vaddr_t at;
	int error;

	want.start = some_page(actor, &pages);
	want.old_bytes = pages_to_bytes(1 + rng_below(&actor->rng, pages));
	if (rng_below(&actor->rng, 3) == 0)
		want.place = replace_at(some_page(actor, &pages));
	else
		want.place.low = SPACE_BASE, want.place.high = SPACE_BASE + pages_to_bytes(PAGES);
	want.new_bytes = pages_to_bytes(pages);
	error = map_resize(actor->root, map_private_space(actor->root), &want, &at);
	/* What is wired is brought in first. */
	if (error != -EINVAL && error != -ENXIO && (error != -EIO || !scarce))
		expect(actor, error, -EFAULT, -ENOMEM);
}

static void look(struct actor *actor)
{
	unsigned char resident[MAX_WINDOW];
	struct lookup found;
	pgoff_t pages;
	vaddr_t start = some_page(actor, &pages);

	expect(actor, map_residency(actor->root, start, pages_to_bytes(pages), resident), -ENOMEM, -ENOMEM);
	if (map_lookup(actor->root, start, &found) == 0) {
		blob_resident(found.blob, found.offset, 1);
		blob_verify(found.blob);
		blob_unref(found.blob);
	}
	map_verify(actor->root);
	actor->wrong += !check_map(actor->root);
}

static void window(struct actor *actor, pgoff_t *first, pgoff_t *pages)
{
	*first = rng_below(&actor->rng, BLOB_PAGES);
	*pages = 1 + rng_below(&actor->rng, BLOB_PAGES - *first);
}

static struct blob *some_blob(struct actor *actor)
{
	struct blob *kept = actor->kept[rng_below(&actor->rng, KEPT)];

	switch (rng_below(&actor->rng, 4)) {
	case 0:
		return paged;
	case 1:
		return kept && blob_size(kept) == pages_to_bytes(BLOB_PAGES) ? kept : shared;
	default:
		return shared;
	}
}

/* A clone that takes the place of one that was kept; or only the place. */
static void keep_clone(struct actor *actor)
{
	struct blob **place = &actor->kept[rng_below(&actor->rng, KEPT)];
	pgoff_t first = 0, pages = BLOB_PAGES;

	if (*place)
		blob_unref(*place);
	*place = NULL;
	if (rng_below(&actor->rng, 2))
		window(actor, &first, &pages);
	if (rng_below(&actor->rng, 3))
		expect(actor, blob_clone(some_blob(actor), first, pages, place), -ENOMEM, -ENOMEM);
}

static void wire_or_not(struct actor *actor)
{
	pgoff_t first, pages;

	if (actor->wiring) {
		blob_unwire(actor->wiring);
		actor->wiring = NULL;
		return;
	}
	window(actor, &first, &pages);
	if (pages > MAX_WINDOW)
		pages = MAX_WINDOW;
	expect_io(actor, blob_wire(some_blob(actor), first, pages, &actor->wiring));
}

/*
 * Some bytes of a page's that programs leave alone: they and the kernel, which does not map the page, would race for them,
 * as they do where the program is at fault.
 */
static uint64_t some_bytes(struct actor *actor, uint64_t *bytes)
{
	uint64_t start = PROGRAM_BYTES + 8 * rng_below(&actor->rng, (PAGE_SIZE - PROGRAM_BYTES) / 8);

	*bytes = 8 * rng_below(&actor->rng, (PAGE_SIZE - start) / 8 + 1);
	return pages_to_bytes(rng_below(&actor->rng, BLOB_PAGES)) + start;
}

static bool may_be_mapped(const struct blob *blob)
{
	return blob == shared || blob == paged;
}

static void zero_words(struct actor *actor, struct blob *blob)
{
	uint64_t bytes, start = some_bytes(actor, &bytes);

	if (!may_be_mapped(blob))
		bytes = rng_below(&actor->rng, pages_to_bytes(BLOB_PAGES) - start);
	expect_io(actor, blob_zero(blob, start, bytes));
}

/* Copies words from one blob to another, or to another place in it. */
static void copy_words(struct actor *actor, struct blob *to)
{
	struct blob *from = some_blob(actor);
	uint64_t bytes, target = some_bytes(actor, &bytes), source;

	if (!may_be_mapped(to))
		bytes = 8 * rng_below(&actor->rng, PAGE_SIZE / 4);
	if (target + bytes > pages_to_bytes(BLOB_PAGES))
		bytes = pages_to_bytes(BLOB_PAGES) - target;
	source = 8 * rng_below(&actor->rng, (pages_to_bytes(BLOB_PAGES) - bytes) / 8);
	if (from == to && source >> PAGE_SHIFT <= (target + bytes) >> PAGE_SHIFT &&
	    target >> PAGE_SHIFT <= (source + bytes) >> PAGE_SHIFT)
		return;
	expect_io(actor, blob_copy(to, target, from, source, bytes));
}

/* A file that is truncated, and grows again. */
static void truncate(struct actor *actor, struct blob *blob, pgoff_t pages)
{
	if (!may_be_mapped(blob))
		return;
	expect(actor, blob_set_extent(blob, pages), -EBUSY, -EBUSY);
	expect(actor, blob_set_extent(blob, BLOB_PAGES), 0, 0);
}

/* What others do to a blob, not knowing who maps it. */
static void meddle(struct actor *actor)
{
	struct blob *blob = some_blob(actor);
	uint64_t word = STORED << 32;
	pgoff_t first, pages;

	window(actor, &first, &pages);
	switch (rng_below(&actor->rng, 11)) {
	case 0:
		expect(actor, blob_decommit(blob, first, pages), -ENOMEM, -EBUSY);
		break;
	case 1:
		keep_clone(actor);
		break;
	case 2:
		expect_io(actor,
			  blob_write(blob, pages_to_bytes(first) + PROGRAM_BYTES, &word, sizeof(word)));
		break;
	case 3:
		expect_io(actor, blob_read(blob, pages_to_bytes(first) + PROGRAM_BYTES, &word, sizeof(word)));
		actor->wrong += word != 0 && word >> 32 != STORED;
		break;
	case 4:
		expect_io(actor, blob_page_out(blob, first, pages));
		break;
	case 5:
		expect_io(actor, blob_sync(blob, first, pages));
		break;
	case 10:
		/* Whosever pages they are. */
		(void)vm_reclaim((unsigned)pages);
		break;
	case 6:
		zero_words(actor, blob);
		break;
	case 7:
		copy_words(actor, blob);
		break;
	case 8:
		truncate(actor, blob, first);
		break;
	default:
		wire_or_not(actor);
	}
}

/* A forked child that faults a little, pages itself out, and goes. */
static void fork_and_go(struct actor *actor)
{
	struct fault_result result;
	struct map *child;
	pgoff_t pages;
	vaddr_t start;

	if (map_clone(actor->root, "child", &child)) {
		actor->wrong += !scarce;
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		int error = vm_fault(child, some_page(actor, &pages),
				     rng_below(&actor->rng, 2) ? VM_WRITE : VM_READ, &result);

		expect_access(actor, error);
	}
	start = some_page(actor, &pages);
	expect_io(actor, map_advise(child, start, pages_to_bytes(pages), ADVISE_PAGE_OUT));
	map_unref(child);
}

/* Populating of whatever is there, which may go meanwhile, or have fewer rights. */
static void populate(struct actor *actor, vaddr_t start, uint64_t bytes)
{
	vm_prot_t wanted = rng_below(&actor->rng, 2) ? VM_WRITE : VM_READ;
	int error = map_populate(actor->root, start, bytes, wanted);

	if (error != -EACCES)
		expect_io(actor, error);
}

/* Wiring, advice, forgetting, forks, reading from outside, of whatever is there. */
static void treat(struct actor *actor, vaddr_t start, uint64_t bytes)
{
	uint64_t word;

	switch (rng_below(&actor->rng, 10)) {
	case 6:
		expect(actor, map_wire_on_fault(actor->root, start, bytes), -ENOMEM, -ENOMEM);
		break;
	case 7:
		expect(actor,
		       map_set_fork(actor->root, start, bytes, rng_below(&actor->rng, 2),
				    rng_below(&actor->rng, 2)),
		       -ENOMEM, -ENOMEM);
		break;
	case 8:
		/* Not what programs use, as with some_bytes(). */
		if (map_read(actor->root, start + PROGRAM_BYTES, &word, sizeof(word)) != sizeof(word))
			break;
		actor->wrong += word != 0 && word >> 32 != STORED;
		map_write(actor->root, start + PROGRAM_BYTES, &word, sizeof(word));
		break;
	case 0:
		expect_io(actor, map_wire(actor->root, start, bytes));
		break;
	case 1:
	case 2:
		expect(actor, map_unwire(actor->root, start, bytes), -ENOMEM, -ENOMEM);
		break;
	case 3:
		expect(actor, map_decommit(actor->root, start, bytes), -ENOMEM, -EBUSY);
		break;
	case 4:
		populate(actor, start, bytes);
		break;
	default:
		expect_io(actor, map_advise(actor->root, start, bytes, rng_below(&actor->rng, MAP_ADVICES)));
	}
}

static void step(struct actor *actor)
{
	pgoff_t pages;
	vaddr_t start = some_page(actor, &pages);

	if (scarce && actor->cpu == 0)
		sim_fail_allocation(rng_below(&actor->rng, 20), rng_below(&actor->rng, 4) == 0);
	if (scarce && actor->cpu == 1)
		store_fail_io(rng_below(&actor->rng, 10), rng_below(&actor->rng, 4) == 0);
	if (scarce && swaps && actor->cpu == 2)
		disk_fail(&disk, DISK_FAILS, true, true, rng_below(&actor->rng, 10),
			  1 + rng_below(&actor->rng, 3));
	if (swaps && actor->cpu == 3 && rng_below(&actor->rng, 8) == 0)
		(void)vm_reclaim(pages);
	switch (rng_below(&actor->rng, 18)) {
	case 0:
		place_blob(actor, shared, false);
		break;
	case 1:
		place_blob(actor, shared, true);
		break;
	case 2:
		place_blob(actor, paged, rng_below(&actor->rng, 2));
		break;
	case 3:
		place_own(actor);
		break;
	case 4:
		place_entity(actor);
		break;
	case 5:
		expect(actor, map_unmap(actor->root, start, pages_to_bytes(pages)), -ENOMEM, -ENOMEM);
		break;
	case 6:
	case 7:
		expect(actor, map_protect(actor->root, start, pages_to_bytes(pages), some_rights(actor)),
		       -ENOMEM, -EACCES);
		break;
	case 8:
		resize(actor);
		break;
	case 9:
	case 10:
	case 11:
		treat(actor, start, pages_to_bytes(pages));
		break;
	case 12:
		look(actor);
		break;
	case 13:
		fork_and_go(actor);
		break;
	default:
		meddle(actor);
	}
	use(actor);
}

static void *act(void *argument)
{
	unsigned cpu = (unsigned)(uintptr_t)argument;
	struct actor actor = {.rng = {.state = 0x9e3779b97f4a7c15ul + cpu}, .cpu = cpu};

	sim_become(cpu);
	actor.root = roots[cpu % SPACES];
	program_enter(actor.root);
	for (unsigned i = 0; i < STEPS; i++)
		step(&actor);
	program_enter(NULL);
	if (actor.wiring)
		blob_unwire(actor.wiring);
	for (unsigned i = 0; i < KEPT; i++) {
		if (actor.kept[i])
			blob_unref(actor.kept[i]);
	}
	return (void *)actor.wrong;
}

static void set_up(void)
{
	struct segment segments[2];

	shared = make_blob(BLOB_PAGES);
	for (unsigned i = 0; i < BLOB_PAGES; i++) {
		lent[i] = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
		ASSERT(lent[i]);
	}
	pager = (struct pager){.ops = &lender, .refs = 1};
	CHECK_EQ(blob_create_paged(pages_to_bytes(BLOB_PAGES), &pager, &paged), 0);
	segments[0] = (struct segment){shared, 60, 0, 3, RW, SEGMENT_SHARED, "shared", NULL};
	segments[1] = (struct segment){paged, 0, 4, 2, RW, SEGMENT_PRIVATE, "private", NULL};
	CHECK_EQ(entity_create("raced", ENTITY_SIZE, segments, 2, &entity), 0);
	for (unsigned i = 0; i < SPACES; i++)
		CHECK_EQ(map_create_root("raced", &roots[i]), 0);
}

static void tear_down(void)
{
	for (unsigned i = 0; i < SPACES; i++) {
		CHECK(check_map(roots[i]));
		map_unref(roots[i]);
	}
	entity_unref(entity);
	CHECK_EQ(shared->refs, 1);
	CHECK_EQ(shared->mapping_count, 0);
	blob_unref(shared);
	CHECK_EQ(paged->refs, 1);
	blob_unref(paged);
	CHECK_EQ(pager.refs, 0);
	for (unsigned i = 0; i < BLOB_PAGES; i++) {
		CHECK_EQ(lent[i]->refs, 1);
		CHECK_EQ(*(uint64_t *)page_data(lent[i]), 0);
		page_free(lent[i]);
	}
}

static void race(bool with_failures, bool with_swap)
{
	struct footprint before = footprint_now();
	pthread_t threads[SIM_CPUS];

	ASSERT(store_open(LOCATIONS));
	swaps = with_swap;
	if (swaps) {
		ASSERT(disk_open(&disk, "raced disk", LOCATIONS));
		CHECK_EQ(swap_on(&disk.device, 0), 0);
	}
	set_up();
	scarce = with_failures;
	sim_expect_stale(true);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++)
		CHECK_EQ(pthread_create(&threads[cpu], NULL, act, (void *)(uintptr_t)cpu), 0);
	for (unsigned cpu = 0; cpu < SIM_CPUS; cpu++) {
		void *wrong;

		pthread_join(threads[cpu], &wrong);
		CHECK_EQ(wrong, 0);
	}
	(void)sim_fail_stop();
	(void)store_fail_stop();
	CHECK_EQ(sim_expect_stale(false), 0);
	if (swaps)
		disk_fail(&disk, DISK_GOOD, false, false, 0, 0);
	tear_down();
	if (swaps) {
		CHECK_EQ(swap_off(&disk.device), 0);
		disk_close(&disk);
	}
	store_close();
	check_footprint(&before);
}

void suite_races(void)
{
	test_case("CPUs do everything to the same blobs in two address spaces");
	race(false, false);
	test_case("the same, while now and then there is no memory, and the disk fails");
	race(true, false);
	test_case("the same, where pages go to swap, and reclaim gives up some");
	race(false, true);
	race(true, true);
}
