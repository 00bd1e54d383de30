/*
 * map_clone: what a forked child sees of its parent's memory, and the other way round; and vm_explain, which says so.
 */
#include "vm_suite.h"

#define BASE        SPACE_BASE
#define LINE_BYTES  256
#define GENERATIONS 200

static struct map *parent, *child;

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

/* Maps a new blob of so many pages there; page i's first word is `word` + i. The map has the only reference. */
static void map_words(vaddr_t at, pgoff_t pages, enum map_inherit inherit, uint64_t word)
{
	struct mapping how = {.prot = RW, .inherit = inherit, .name = "words"};
	struct placement place = fixed_at(at);
	struct blob *blob = make_blob(pages);
	vaddr_t out;

	CHECK_EQ(map_blob(parent, &place, blob, 0, pages, &how, &out), 0);
	for (pgoff_t i = 0; i < pages; i++)
		put_word(blob, i, word + i);
	blob_unref(blob);
}

static void make_child(void)
{
	CHECK_EQ(map_clone(parent, "child", &child), 0);
	CHECK(check_map(parent) && check_map(child));
}

static uint64_t word_of(struct map *map, vaddr_t va)
{
	space_use(map);
	return word_at(map, va);
}

static void store(struct map *map, vaddr_t va, uint64_t word)
{
	space_use(map);
	CHECK_EQ(user_store(map, va, word), 0);
}

static void end_child(void)
{
	space_use(parent);
	map_unref(child);
	child = NULL;
}

static void inheritance(void)
{
	struct footprint before = footprint_now();
	struct fault_result result;

	test_case("copied memory is private both ways, shared memory is shared, the rest is not there");
	parent = space_open("parent");
	map_words(page_at(0), 80, INHERIT_COPY, 100);
	map_words(page_at(100), 4, INHERIT_SHARE, 500);
	map_words(page_at(200), 4, INHERIT_NONE, 900);
	/* Entered writable before: the clone has to withdraw that. */
	store(parent, page_at(1), 1);
	store(parent, page_at(101), 2);
	make_child();
	store(parent, page_at(1), 11);
	store(child, page_at(2), 22);
	CHECK_EQ(word_of(child, page_at(1)), 1);
	CHECK_EQ(word_of(parent, page_at(1)), 11);
	CHECK_EQ(word_of(parent, page_at(2)), 102);
	CHECK_EQ(word_of(child, page_at(2)), 22);
	CHECK_EQ(word_of(child, page_at(79)), 179);
	store(child, page_at(101), 3);
	CHECK_EQ(word_of(parent, page_at(101)), 3);
	store(parent, page_at(100), 4);
	CHECK_EQ(word_of(child, page_at(100)), 4);
	CHECK_EQ(vm_fault(child, page_at(200), VM_READ, &result), -EFAULT);
	CHECK_EQ(word_of(parent, page_at(203)), 903);

	test_case("what the parent alone has again it may write without a copy");
	end_child();
	CHECK_EQ(vm_fault(parent, page_at(5), VM_WRITE, &result), 0);
	CHECK_EQ(result.outcome, FAULT_UPGRADE);

	test_case("the child outlives the parent");
	make_child();
	space_use(child);
	map_unref(parent);
	CHECK_EQ(word_at(child, page_at(7)), 107);
	CHECK_EQ(user_store(child, page_at(7), 8), 0);
	CHECK_EQ(word_at(child, page_at(7)), 8);
	space_close(child);
	check_footprint(&before);
}

static void structure(void)
{
	struct footprint before = footprint_now();
	struct map *arena, *other;
	struct segment segment = {
		.pages = 4, .place = 1, .prot = RW, .sharing = SEGMENT_PRIVATE, .name = "data"};
	struct placement place = fixed_at(page_at(300));
	struct entity *entity;
	struct map *submap;
	vaddr_t at, start;

	test_case("submaps, entities, arenas, reserved space and pieces of one mapping come along");
	parent = space_open("parent");
	map_words(page_at(0), 8, INHERIT_COPY, 100);
	CHECK_EQ(map_protect(parent, page_at(3), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_create_submap(parent, &place, 64 * PAGE_SIZE, RW, "inner", &submap), 0);
	map_words(page_at(310), 4, INHERIT_COPY, 310);
	place = fixed_at(page_at(400));
	segment.blob = make_blob(4);
	put_word(segment.blob, 0, 77);
	CHECK_EQ(entity_create("program", 8, &segment, 1, &entity), 0);
	CHECK_EQ(map_entity(parent, &place, entity, &at), 0);
	entity_unref(entity);
	blob_unref(segment.blob);
	place = fixed_at(page_at(450));
	CHECK_EQ(map_reserve(parent, &place, PAGE_SIZE, "kept", &at), 0);
	CHECK_EQ(map_create_arena(parent, LAYOUT_ARENA_BYTES, &arena), 0);
	start = map_start(arena);
	map_words(start, 2, INHERIT_COPY, 1000);
	make_child();
	CHECK_EQ(count_entries(child, 0, LAYOUT_PHYSICAL_END), count_entries(parent, 0, LAYOUT_PHYSICAL_END));
	CHECK_EQ(word_of(child, page_at(3)), 103);
	CHECK_EQ(user_store(child, page_at(3), 0), -EACCES);
	store(child, page_at(4), 44);
	CHECK_EQ(word_of(parent, page_at(4)), 104);
	CHECK_EQ(word_of(child, page_at(310)), 310);
	CHECK_EQ(word_of(child, page_at(401)), 77);
	CHECK_EQ(word_of(child, start), 1000);
	/* The pieces show one clone: alike again, they are joined. */
	CHECK_EQ(map_protect(child, page_at(3), PAGE_SIZE, RW), 0);
	CHECK_EQ(count_entries(child, page_at(0), page_at(8)), 1);

	test_case("an arena's addresses are free again when its last map is gone");
	space_close(parent);
	CHECK_EQ(map_create_root("other", &parent), 0);
	CHECK_EQ(map_create_arena(parent, LAYOUT_ARENA_BYTES, &other), 0);
	CHECK(map_start(other) != start);
	map_unref(parent);
	map_unref(child);
	CHECK_EQ(map_create_root("other", &parent), 0);
	CHECK_EQ(map_create_arena(parent, LAYOUT_ARENA_BYTES, &other), 0);
	CHECK_EQ(map_start(other), start);
	map_unref(parent);
	check_footprint(&before);
}

static void generations(void)
{
	struct footprint before = footprint_now();
	uint64_t pages;

	test_case("generation after generation: one page written in each, and memory stays what it was");
	parent = space_open("parent");
	map_words(page_at(0), 70, INHERIT_COPY, 0);
	pages = blob_pages_now();
	for (unsigned i = 0; i < GENERATIONS; i++) {
		make_child();
		store(child, page_at(i % 70), 1000 + i);
		CHECK_EQ(blob_pages_now(), pages + 1);
		space_use(child);
		map_unref(parent);
		parent = child;
		CHECK_EQ(blob_pages_now(), pages);
	}
	CHECK_EQ(word_of(parent, page_at((GENERATIONS - 1) % 70)), 1000 + GENERATIONS - 1);
	space_close(parent);
	check_footprint(&before);
}

static void expect_line(vaddr_t va, vm_prot_t access, int status, const char *expected)
{
	char line[LINE_BYTES];

	CHECK_EQ(vm_explain(parent, va, access, line, sizeof(line)), status);
	CHECK_STR(line, expected);
}

static void explanations(void)
{
	struct footprint before = footprint_now();
	struct placement place = fixed_at(page_at(450));
	char line[LINE_BYTES];
	vaddr_t at;

	test_case("vm_explain says the way, the states and the verdict");
	parent = space_open("parent");
	map_words(page_at(0), 2, INHERIT_COPY, 100);
	CHECK_EQ(map_decommit(parent, page_at(1), PAGE_SIZE), 0);
	CHECK_EQ(map_reserve(parent, &place, PAGE_SIZE, "kept", &at), 0);
	expect_line(page_at(0) + 5, VM_READ, 0,
		    "parent > private space > words rw- > page 0 resident > no translation > read faults: "
		    "resident");
	expect_line(
		page_at(1), VM_WRITE, 0,
		"parent > private space > words rw- > page 1 absent, zero > no translation > write faults: "
		"zero fill");
	expect_line(page_at(1), VM_EXEC, -EACCES,
		    "parent > private space > words rw- > page 1 absent, zero > no translation > execute "
		    "refused: not allowed here");
	expect_line(page_at(450), VM_READ, -EFAULT, "parent > private space > kept, reserved > read refused");
	expect_line(page_at(9), VM_READ, -EFAULT,
		    "parent > private space > nothing is mapped > read refused");
	expect_line(8, VM_WRITE, -EFAULT, "parent > guard page, reserved > write refused");
	store(parent, page_at(0), 1);
	CHECK_EQ(vm_explain(parent, page_at(0), VM_WRITE, line, sizeof(line)), 0);
	CHECK_STR(line + strlen(line) - strlen(" rw- > write succeeds"), " rw- > write succeeds");
	make_child();
	CHECK_EQ(vm_explain(parent, page_at(0), VM_WRITE, line, sizeof(line)), 0);
	CHECK_STR(line + strlen(line) - strlen(" r-- > write faults: copy on write"),
		  " r-- > write faults: copy on write");

	test_case("a line that does not fit is cut off, and ends");
	CHECK_EQ(vm_explain(parent, page_at(0), VM_READ, line, 10), 0);
	CHECK_STR(line, "parent > ");
	CHECK_EQ(vm_explain(parent, page_at(0), VM_READ, line, 1), 0);
	CHECK_STR(line, "");
	end_child();
	space_close(parent);
	check_footprint(&before);
}

void suite_clone(void)
{
	inheritance();
	structure();
	generations();
	explanations();
}
