/*
 * Everything at once: CPUs that map, replace, resize, protect, forget, clone and use the same blobs in two
 * address spaces, at random.
 *
 * Nothing can be said of what one access finds but this: a word is 0 or one that was stored, a refusal is one of
 * those documented, no page is freed while a CPU can reach it, and at the end all is where it was. The rest is
 * the sanitizers' and the assertions'.
 */
#include "program.h"

#include "../suites/vm_suite.h"

#include <pthread.h>

#define PAGES       24
#define BLOB_PAGES  80 /* of the shared blob, which has more than one tree node */
#define STEPS       2500
#define SPACES      2
#define STORED      0x5701ed00ul /* in the upper half of each word that is stored */
#define MAX_WINDOW  12
#define ENTITY_SIZE 6

static struct map *roots[SPACES];
static struct blob *shared;
static struct blob *paged;
static struct entity *entity;
static bool scarce; /* now and then an allocation fails */

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

static void use(struct actor *actor)
{
	for (unsigned i = 0; i < 6; i++) {
		pgoff_t pages;
		vaddr_t va = some_page(actor, &pages) + 8 * rng_below(&actor->rng, 4);
		uint64_t word = STORED << 32 | rng_below(&actor->rng, 1000);
		int error;

		if (rng_below(&actor->rng, 2)) {
			error = program_store(actor->root, va, &word, sizeof(word));
		} else {
			error = program_load(actor->root, va, &word, sizeof(word));
			actor->wrong += !error && word != 0 && word >> 32 != STORED;
		}
		if (error != -ENOMEM || !scarce)
			expect(actor, error, -EFAULT, -EACCES);
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
	if (error != -EINVAL)
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
		blob_unref(found.blob);
	}
	actor->wrong += !check_map(actor->root);
}

/* What others do to a blob, not knowing who maps it. */
static void meddle(struct actor *actor)
{
	pgoff_t first = rng_below(&actor->rng, BLOB_PAGES);
	pgoff_t pages = 1 + rng_below(&actor->rng, BLOB_PAGES - first);
	uint64_t word = STORED << 32;
	struct blob *clone;

	switch (rng_below(&actor->rng, 4)) {
	case 0:
		expect(actor, blob_decommit(shared, first, pages), -ENOMEM, -ENOMEM);
		break;
	case 1:
		if (blob_clone(shared, first, pages, &clone))
			break;
		expect(actor, blob_write(clone, 0, &word, sizeof(word)), -ENOMEM, -ENOMEM);
		blob_unref(clone);
		break;
	case 2:
		expect(actor, blob_write(shared, pages_to_bytes(first), &word, sizeof(word)), -ENOMEM,
		       -ENOMEM);
		break;
	default:
		expect(actor, blob_read(paged, pages_to_bytes(first), &word, sizeof(word)), -ENOMEM, -ENOMEM);
	}
}

static void step(struct actor *actor)
{
	pgoff_t pages;
	vaddr_t start = some_page(actor, &pages);

	if (scarce && actor->cpu == 0)
		sim_fail_allocation(rng_below(&actor->rng, 20), rng_below(&actor->rng, 4) == 0);
	switch (rng_below(&actor->rng, 12)) {
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
		expect(actor, map_decommit(actor->root, start, pages_to_bytes(pages)), -ENOMEM, -ENOMEM);
		break;
	case 10:
		look(actor);
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
	segments[0] = (struct segment){shared, 60, 0, 3, RW, SEGMENT_SHARED, "shared"};
	segments[1] = (struct segment){paged, 0, 4, 2, RW, SEGMENT_PRIVATE, "private"};
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

static void race(bool with_failures)
{
	struct footprint before = footprint_now();
	pthread_t threads[SIM_CPUS];

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
	CHECK_EQ(sim_expect_stale(false), 0);
	tear_down();
	check_footprint(&before);
}

void suite_races(void)
{
	test_case("CPUs do everything to the same blobs in two address spaces");
	race(false);
	test_case("the same, while now and then there is no memory");
	race(true);
}
