/*
 * Mappings that grow down: map_grow_down, map_protect_down, and what else may be near them.
 */
#include "vm_suite.h"

void sim_fail_allocation(unsigned after, bool forever) __attribute__((weak));
bool sim_fail_stop(void) __attribute__((weak));

#define STACK_PAGES 4    /* at first */
#define BLOB_PAGES  1000 /* it may become so large */
#define GAP_PAGES   16
#define GAP         (GAP_PAGES * PAGE_SIZE)
#define NO_LIMIT    UINT64_MAX

static struct map *root;
static struct blob *blob;

/* Of the stack's first pages, and, negative, of those below. */
static vaddr_t page_at(int page)
{
	return SPACE_BASE + (uint64_t)((int64_t)page * (int64_t)PAGE_SIZE);
}

static int map_at(struct map *map, vaddr_t address, struct blob *what, pgoff_t offset, pgoff_t pages,
		  vm_prot_t prot, bool grows_down)
{
	const struct mapping how = {.prot = prot, .name = "stack", .grows_down = grows_down};
	struct placement place = fixed_at(address);
	vaddr_t at;

	return map_blob(map, &place, what, offset, pages, &how, &at);
}

/* A stack that shows the last pages of its blob, and holds it alone. */
static void stack_open(void)
{
	root = space_open("grows");
	blob = make_blob(BLOB_PAGES);
	CHECK_EQ(map_at(root, page_at(0), blob, BLOB_PAGES - STACK_PAGES, STACK_PAGES, RW, true), 0);
	blob_unref(blob);
	for (int i = 0; i < STACK_PAGES; i++)
		CHECK_EQ(user_store(root, page_at(i), 100 + i), 0);
}

static void stack_close(void)
{
	CHECK(check_map(root));
	space_close(root);
}

/* An entry of the stack's: its first page. */
static vaddr_t start_of(vaddr_t inside)
{
	struct lookup found;

	if (!CHECK_EQ(map_lookup(root, inside, &found), 0))
		return 0;
	lookup_release(&found);
	return found.start;
}

/* What the trap handler does with a program's access. */
static int store_growing(vaddr_t va, uint64_t word)
{
	int error = user_store(root, va, word);

	if (error == -EFAULT)
		error = map_grow_down(root, va, GAP, NO_LIMIT);
	return error ? error : user_store(root, va, word);
}

static void grows(void)
{
	struct footprint before = footprint_now();
	struct entry_info entry;

	test_case("a stack grows to the page that is accessed, in one piece");
	stack_open();
	CHECK_EQ(store_growing(page_at(-1) + PAGE_SIZE - 8, 1), 0);
	CHECK_EQ(start_of(page_at(0)), page_at(-1));
	CHECK_EQ(store_growing(page_at(-30) + 8, 2), 0);
	CHECK_EQ(list_entries(root, page_at(-100), page_at(100), &entry, 1), 1);
	CHECK_EQ(entry.start, page_at(-30));
	CHECK_EQ(entry.end, page_at(STACK_PAGES));
	CHECK_EQ(entry.offset, BLOB_PAGES - STACK_PAGES - 30);
	CHECK(entry.grows_down);
	CHECK_EQ(entry.usage.resident, STACK_PAGES + 2);
	CHECK_EQ(word_at(root, page_at(-29)), 0);
	CHECK_EQ(word_at(root, page_at(-1) + PAGE_SIZE - 8), 1);
	CHECK_EQ(word_at(root, page_at(2)), 102);

	test_case("where it has come already, nothing more is done; nor where nothing grows");
	CHECK_EQ(map_grow_down(root, page_at(-10), GAP, NO_LIMIT), 0);
	CHECK_EQ(start_of(page_at(0)), page_at(-30));
	CHECK_EQ(map_grow_down(root, page_at(STACK_PAGES), GAP, NO_LIMIT), -EFAULT);
	CHECK_EQ(map_at(root, page_at(200), blob, 0, 1, RW, false), 0);
	CHECK_EQ(map_grow_down(root, page_at(199), GAP, NO_LIMIT), -EFAULT);
	CHECK_EQ(map_grow_down(root, LAYOUT_KERNEL_START, GAP, NO_LIMIT), -EFAULT);
	CHECK_EQ(map_grow_down(root, LAYOUT_ARENAS_START, GAP, NO_LIMIT), -EFAULT);

	test_case("what was unmapped at its end comes back as zeroes");
	CHECK_EQ(map_unmap(root, page_at(-30), 31 * PAGE_SIZE), 0);
	CHECK_EQ(store_growing(page_at(-2), 3), 0);
	CHECK_EQ(word_at(root, page_at(-1) + PAGE_SIZE - 8), 0);
	CHECK_EQ(word_at(root, page_at(0)), 0);
	CHECK_EQ(word_at(root, page_at(1)), 101);
	stack_close();
	check_footprint(&before);
}

static void refused(void)
{
	struct placement place = fixed_at(page_at(-40));
	vaddr_t at;

	test_case("it keeps its distance from what is below, but not from what cannot be accessed");
	stack_open();
	CHECK_EQ(map_at(root, page_at(-41), blob, 0, 1, RW, false), 0);
	CHECK_EQ(map_grow_down(root, page_at(-40 + GAP_PAGES) - 1, GAP, NO_LIMIT), -ENOMEM);
	CHECK_EQ(start_of(page_at(0)), page_at(0));
	CHECK_EQ(map_grow_down(root, page_at(-40 + GAP_PAGES), GAP, NO_LIMIT), 0);
	CHECK_EQ(map_grow_down(root, page_at(-39), 0, NO_LIMIT), 0);
	CHECK_EQ(map_unmap(root, page_at(-39), 30 * PAGE_SIZE), 0);
	CHECK_EQ(map_protect(root, page_at(-41), PAGE_SIZE, 0), 0);
	CHECK_EQ(map_grow_down(root, page_at(-39), GAP, NO_LIMIT), 0);
	CHECK_EQ(map_unmap(root, page_at(-41), 35 * PAGE_SIZE), 0);
	CHECK_EQ(map_reserve(root, &place, PAGE_SIZE, "guard", &at), 0);
	CHECK_EQ(map_grow_down(root, page_at(-39), GAP, NO_LIMIT), 0);
	CHECK_EQ(map_grow_down(root, page_at(-40), GAP, NO_LIMIT), -EFAULT);
	CHECK_EQ(map_unmap(root, page_at(-40), 30 * PAGE_SIZE), 0);
	CHECK_EQ(map_at(root, page_at(-40), blob, 0, 1, RW, true), 0);
	CHECK_EQ(map_grow_down(root, page_at(-39), GAP, NO_LIMIT), 0);
	CHECK_EQ(map_unmap(root, page_at(-40), 30 * PAGE_SIZE), 0);
	{
		struct map *submap;

		CHECK_EQ(map_create_submap(root, &place, PAGE_SIZE, VM_ALL, "below", &submap), 0);
		CHECK_EQ(map_grow_down(root, page_at(-39), GAP, NO_LIMIT), -ENOMEM);
		CHECK_EQ(map_unmap(root, page_at(-40), PAGE_SIZE), 0);
	}
	stack_close();

	test_case("it becomes no longer than it may, nor than its blob is");
	stack_open();
	CHECK_EQ(map_grow_down(root, page_at(-5), GAP, (STACK_PAGES + 5) * PAGE_SIZE - 1), -ENOMEM);
	CHECK_EQ(map_grow_down(root, page_at(-5), GAP, (STACK_PAGES + 5) * PAGE_SIZE), 0);
	CHECK_EQ(map_grow_down(root, page_at(STACK_PAGES - BLOB_PAGES - 1), GAP, NO_LIMIT), -ENOMEM);
	CHECK_EQ(map_grow_down(root, page_at(STACK_PAGES - BLOB_PAGES), GAP, NO_LIMIT), 0);
	stack_close();

	test_case("nor does it show what is mapped elsewhere");
	stack_open();
	CHECK_EQ(map_at(root, page_at(100), blob, BLOB_PAGES - STACK_PAGES - 3, 1, RW, false), 0);
	CHECK_EQ(map_grow_down(root, page_at(-3), GAP, NO_LIMIT), -ENOMEM);
	CHECK_EQ(map_grow_down(root, page_at(-2), GAP, NO_LIMIT), 0);
	stack_close();
}

static void wired(void)
{
	struct entry_info entry;

	test_case("a wired stack grows wired; or not, if there is no memory");
	stack_open();
	CHECK_EQ(map_wire(root, page_at(0), STACK_PAGES * PAGE_SIZE), 0);
	if (sim_fail_allocation) {
		for (unsigned after = 0, failed = 1; failed; after++) {
			int error;

			sim_fail_allocation(after, false);
			error = map_grow_down(root, page_at(-5), GAP, NO_LIMIT);
			failed = sim_fail_stop();
			CHECK_EQ(error, failed ? -ENOMEM : 0);
			CHECK_EQ(start_of(page_at(0)), page_at(failed ? 0 : -5));
			CHECK(check_map(root));
		}
	} else {
		CHECK_EQ(map_grow_down(root, page_at(-5), GAP, NO_LIMIT), 0);
	}
	CHECK_EQ(list_entries(root, page_at(-100), page_at(100), &entry, 1), 1);
	CHECK(entry.wired && !entry.on_fault);
	CHECK_EQ(entry.usage.wired, STACK_PAGES + 5);
	CHECK_EQ(map_unwire(root, page_at(-5), (STACK_PAGES + 5) * PAGE_SIZE), 0);

	test_case("one that is wired on fault grows so");
	CHECK_EQ(map_wire_on_fault(root, page_at(-5), (STACK_PAGES + 5) * PAGE_SIZE), 0);
	CHECK_EQ(store_growing(page_at(-9), 9), 0);
	CHECK_EQ(list_entries(root, page_at(-100), page_at(100), &entry, 1), 1);
	CHECK(entry.wired && entry.on_fault);
	CHECK_EQ(entry.usage.wired, STACK_PAGES + 6);
	stack_close();
}

static void protection(void)
{
	struct entry_info entries[3];

	test_case("map_protect_down reaches to the start of what grows down");
	stack_open();
	CHECK_EQ(map_grow_down(root, page_at(-10), GAP, NO_LIMIT), 0);
	CHECK_EQ(map_protect_down(root, page_at(1), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(list_entries(root, page_at(-100), page_at(100), entries, 3), 2);
	CHECK_EQ(entries[0].start, page_at(-10));
	CHECK_EQ(entries[0].end, page_at(2));
	CHECK_EQ(entries[0].prot, VM_READ);
	CHECK_EQ(entries[1].prot, RW);
	CHECK_EQ(user_store(root, page_at(-1), 1), -EACCES);

	test_case("both parts grow on, and join again when they are alike");
	CHECK_EQ(map_grow_down(root, page_at(-12), GAP, NO_LIMIT), 0);
	CHECK_EQ(user_store(root, page_at(-12), 1), -EACCES);
	CHECK_EQ(map_protect_down(root, page_at(-20), 22 * PAGE_SIZE, RW), 0);
	CHECK_EQ(list_entries(root, page_at(-100), page_at(100), entries, 3), 1);
	CHECK_EQ(entries[0].start, page_at(-12));
	CHECK_EQ(user_store(root, page_at(-12), 1), 0);
	CHECK_EQ(map_unmap(root, page_at(-8), 4 * PAGE_SIZE), 0);
	CHECK_EQ(map_grow_down(root, page_at(-8), GAP, NO_LIMIT), 0);
	CHECK_EQ(list_entries(root, page_at(-100), page_at(100), entries, 3), 1);

	test_case("errors: nothing there, what does not grow, rights that there are not, beyond the limit");
	CHECK_EQ(map_protect_down(root, page_at(STACK_PAGES), PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect_down(root, page_at(-100), PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_protect_down(root, page_at(0), PAGE_SIZE, VM_USER), -EINVAL);
	CHECK_EQ(map_protect_down(root, page_at(0) + 1, PAGE_SIZE, RW), -EINVAL);
	CHECK_EQ(map_protect_down(root, page_at(STACK_PAGES - 1), 2 * PAGE_SIZE, RW), -ENOMEM);
	CHECK_EQ(map_at(root, page_at(100), blob, 0, 1, RW, false), 0);
	CHECK_EQ(map_protect_down(root, page_at(100), PAGE_SIZE, RW), -EINVAL);
	CHECK_EQ(map_protect_down(root, LAYOUT_KERNEL_START, PAGE_SIZE, RW), -EINVAL);
	stack_close();
}

/* Free space is looked for in [stack - `below` pages, stack). */
static int place_below(unsigned below, vaddr_t hint, vaddr_t *at)
{
	struct placement place = {
		.address = hint, .low = page_at(0) - pages_to_bytes(below), .high = page_at(0)};

	return map_reserve(map_private_space(root), &place, PAGE_SIZE, "placed", at);
}

static void guard(void)
{
	const unsigned guard = MAP_GROW_GUARD >> PAGE_SHIFT;
	struct placement exactly = fixed_at(page_at(-1));
	vaddr_t at;

	test_case("nothing is placed just below what grows down, unless it is to be exactly there");
	stack_open();
	CHECK_EQ(place_below(guard, 0, &at), -ENOMEM);
	CHECK_EQ(place_below(guard, page_at(-3), &at), -ENOMEM);
	CHECK_EQ(place_below(guard + 1, page_at(-3), &at), 0);
	CHECK_EQ(at, page_at(-(int)guard - 1));
	CHECK_EQ(map_unmap(root, at, PAGE_SIZE), 0);
	CHECK_EQ(place_below(2 * guard, page_at(-(int)guard - 1), &at), 0);
	CHECK_EQ(at, page_at(-(int)guard - 1));
	CHECK_EQ(place_below(2 * guard, page_at(-(int)guard), &at), 0);
	CHECK_EQ(at, page_at(-2 * (int)guard));
	CHECK_EQ(map_reserve(root, &exactly, PAGE_SIZE, "exactly", &at), 0);
	CHECK_EQ(map_grow_down(root, page_at(-1), GAP, NO_LIMIT), -EFAULT);
	stack_close();
}

static void in_other_maps(void)
{
	const struct placement anywhere = {.guard = 0};
	struct map *arena, *submap, *child;
	vaddr_t stack;

	test_case("a stack in a submap of an arena grows to its map's start, and no further; a forked "
		  "child's by itself");
	root = space_open("grows");
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_ALIGN, &arena), 0);
	CHECK_EQ(map_create_submap(arena, &anywhere, 64 * PAGE_SIZE, VM_ALL, "stacks", &submap), 0);
	blob = make_blob(BLOB_PAGES);
	stack = map_end(submap) - PAGE_SIZE;
	CHECK_EQ(map_at(root, stack, blob, BLOB_PAGES - 1, 1, RW, true), 0);
	blob_unref(blob);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(store_growing(stack - 5 * PAGE_SIZE, 5), 0);
	CHECK_EQ(store_growing(map_start(submap), 6), 0);
	CHECK_EQ(map_grow_down(root, map_start(submap) - 1, GAP, NO_LIMIT), -EFAULT);
	CHECK_EQ(start_of(stack), map_start(submap));
	space_use(child);
	CHECK_EQ(user_store(child, stack - PAGE_SIZE, 1), -EFAULT);
	CHECK_EQ(map_grow_down(child, stack - PAGE_SIZE, GAP, NO_LIMIT), 0);
	CHECK_EQ(word_at(child, stack - PAGE_SIZE), 0);
	CHECK(check_map(child));
	space_use(root);
	map_unref(child);
	stack_close();
}

void suite_grow(void)
{
	grows();
	refused();
	wired();
	protection();
	guard();
	in_other_maps();
}
