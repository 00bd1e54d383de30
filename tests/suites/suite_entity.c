/*
 * Entities: validation, mapping as a whole and more than once, what partial unmapping leaves, refusals.
 */
#include "vm_suite.h"

#define BASE      SPACE_BASE
#define MAX_LISTS 16

/* The layout of the entity under test, in pages: text, a hole, shared data, private data, a hole. */
#define TEXT_PAGES   4
#define SHARED_PLACE 6
#define SHARED_PAGES 2
#define DATA_PLACE   8
#define DATA_PAGES   4
#define PAGES        16

static struct map *root;
static struct blob *file; /* 16 pages; page i's first word is 500 + i */
static struct entity *entity;
static struct entry_info list[MAX_LISTS];

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

static struct segment good_segment(void)
{
	return (struct segment){
		.blob = file, .pages = 1, .prot = VM_READ, .sharing = SEGMENT_PRIVATE, .name = "segment"};
}

/* Makes the entity under test; its segments are not in order of address. */
static void make_entity(void)
{
	const struct segment segments[] = {
		{file, 4, DATA_PLACE, DATA_PAGES, RW, SEGMENT_PRIVATE, "data", NULL},
		{file, 0, 0, TEXT_PAGES, RX, SEGMENT_SHARED, "text", NULL},
		{file, 10, SHARED_PLACE, SHARED_PAGES, RW, SEGMENT_SHARED, "shared", NULL},
	};

	for (pgoff_t i = 0; i < 16; i++)
		put_word(file, i, 500 + i);
	CHECK_EQ(entity_create("program", PAGES, segments, 3, &entity), 0);
}

static int create(struct segment segment, pgoff_t pages)
{
	struct entity *made = NULL;
	int error = entity_create("bad", pages, &segment, 1, &made);

	if (!error)
		entity_unref(made);
	else
		CHECK(made == NULL);
	return error;
}

static void validation(void)
{
	static struct segment many[ENTITY_MAX_SEGMENTS + 1];
	struct segment pair[2] = {good_segment(), good_segment()};
	struct footprint before = footprint_now();
	struct entity *made = NULL;
	struct segment s;
	uint32_t refs = file->refs;

	test_case("bad segments are refused");
	CHECK_EQ(create(good_segment(), 1), 0);
	CHECK_EQ(create(good_segment(), 0), -EINVAL);
	s = good_segment();
	s.pages = 0;
	CHECK_EQ(create(s, 1), -EINVAL);
	s = good_segment();
	s.blob = NULL;
	CHECK_EQ(create(s, 1), -EINVAL);
	s = good_segment();
	s.place = 1;
	CHECK_EQ(create(s, 1), -EINVAL);
	CHECK_EQ(create(s, 2), 0);
	s.place = UINT64_MAX;
	s.pages = 2;
	CHECK_EQ(create(s, 16), -EINVAL);
	s.place = 0;
	s.pages = UINT64_MAX;
	CHECK_EQ(create(s, 16), -EINVAL);
	s.pages = 3;
	CHECK_EQ(create(s, 2), -EINVAL);
	s.blob_offset = 14;
	CHECK_EQ(create(s, 16), -EINVAL);
	s.blob_offset = 16;
	CHECK_EQ(create(s, 16), -EINVAL);
	s.blob_offset = UINT64_MAX;
	CHECK_EQ(create(s, 16), -EINVAL);
	s = good_segment();
	s.prot = VM_USER;
	CHECK_EQ(create(s, 1), -EINVAL);

	test_case("none, too many, or segments that overlap are refused");
	CHECK_EQ(entity_create("bad", 1, pair, 0, &made), -EINVAL);
	CHECK_EQ(entity_create("bad", 4, pair, 2, &made), -EINVAL);
	pair[0].pages = 3;
	pair[1].place = 2;
	CHECK_EQ(entity_create("bad", 4, pair, 2, &made), -EINVAL);
	pair[1].place = 3;
	CHECK_EQ(entity_create("good", 4, pair, 2, &made), 0);
	CHECK_EQ(entity_pages(made), 4);
	entity_unref(made);
	for (size_t i = 0; i <= ENTITY_MAX_SEGMENTS; i++) {
		many[i] = good_segment();
		many[i].place = i;
	}
	CHECK_EQ(entity_create("bad", 100, many, ENTITY_MAX_SEGMENTS + 1, &made), -EINVAL);
	CHECK_EQ(entity_create("a name that is longer than what fits into one", 100, many,
			       ENTITY_MAX_SEGMENTS, &made),
		 0);
	CHECK_EQ(file->refs, refs + ENTITY_MAX_SEGMENTS);
	entity_ref(made);
	entity_unref(made);
	CHECK_EQ(file->refs, refs + ENTITY_MAX_SEGMENTS);
	entity_unref(made);
	CHECK_EQ(file->refs, refs);
	check_footprint(&before);
}

static void map_at(vaddr_t address)
{
	struct placement place = fixed_at(address);
	vaddr_t at = 0;

	CHECK_EQ(map_entity(root, &place, entity, &at), 0);
	CHECK_EQ(at, address);
	CHECK(check_map(root));
}

static void unmap_all(void)
{
	CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(64)), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 0);
	CHECK(check_map(root));
}

static void listing(void)
{
	static const struct {
		const char *name;
		unsigned place, pages, offset;
		vm_prot_t prot;
	} parts[] = {
		{"text", 0, TEXT_PAGES, 0, RX},
		{"shared", SHARED_PLACE, SHARED_PAGES, 10, RW},
		{"data", DATA_PLACE, DATA_PAGES, 0, RW},
	};

	test_case("an entity is one entry, which names it, with a part for each segment");
	map_at(BASE);
	if (!CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), 4))
		return;
	CHECK(list[0].kind == ENTRY_ENTITY);
	CHECK_STR(list[0].name, "program");
	CHECK_EQ(list[0].start, BASE);
	CHECK_EQ(list[0].end, page_at(PAGES));
	for (unsigned i = 0; i < 3; i++) {
		const struct entry_info *part = &list[i + 1];

		CHECK(part->kind == ENTRY_BLOB);
		CHECK_STR(part->name, parts[i].name);
		CHECK_EQ(part->start, page_at(parts[i].place));
		CHECK_EQ(part->end, page_at(parts[i].place + parts[i].pages));
		CHECK_EQ(part->prot, parts[i].prot);
		CHECK_EQ(part->offset, parts[i].offset);
		CHECK_EQ(part->depth, list[0].depth + 1);
	}
	unmap_all();
}

static void contents(void)
{
	uint64_t pages = blob_pages_now();

	test_case("mapped twice: shared segments share their pages, private ones are each their own");
	map_at(BASE);
	map_at(page_at(32));
	CHECK_EQ(word_at(root, page_at(1)), 501);
	CHECK_EQ(word_at(root, page_at(33)), 501);
	CHECK(pmap_query(map_pmap(root), page_at(1)).page == pmap_query(map_pmap(root), page_at(33)).page);
	CHECK_EQ(user_store(root, page_at(1), 0), -EACCES);
	CHECK_EQ(user_store(root, page_at(SHARED_PLACE), 1), 0);
	CHECK_EQ(word_at(root, page_at(32 + SHARED_PLACE)), 1);
	CHECK_EQ(get_word(file, 10), 1);
	CHECK_EQ(word_at(root, page_at(DATA_PLACE)), 504);
	CHECK_EQ(blob_pages_now(), pages);
	CHECK_EQ(user_store(root, page_at(DATA_PLACE), 2), 0);
	CHECK_EQ(word_at(root, page_at(32 + DATA_PLACE)), 504);
	CHECK_EQ(user_store(root, page_at(32 + DATA_PLACE), 3), 0);
	CHECK_EQ(word_at(root, page_at(DATA_PLACE)), 2);
	CHECK_EQ(get_word(file, 4), 504);
	CHECK_EQ(blob_pages_now(), pages + 2);
	/* Holes are the entity's, and empty. */
	CHECK_EQ(user_store(root, page_at(5), 0), -EFAULT);
	CHECK_EQ(user_store(root, page_at(DATA_PLACE + DATA_PAGES), 0), -EFAULT);
	unmap_all();
	CHECK_EQ(blob_pages_now(), pages);
	put_word(file, 10, 510);
}

static void all_or_nothing(void)
{
	const struct placement nowhere = {.low = page_at(0), .high = page_at(PAGES - 1)};
	struct placement place = fixed_at(page_at(20));
	struct map *map = NULL;
	struct footprint before;
	vaddr_t at = 77;

	test_case("what cannot be mapped as a whole changes nothing");
	CHECK_EQ(map_create_submap(root, &place, pages_to_bytes(8), VM_READ, "read only", &map), 0);
	before = footprint_now();
	place = fixed_at(page_at(20 - PAGES + 1));
	CHECK_EQ(map_entity(root, &place, entity, &at), -EEXIST);
	place = fixed_at(page_at(27));
	CHECK_EQ(map_entity(root, &place, entity, &at), -EEXIST);
	CHECK_EQ(map_entity(root, &nowhere, entity, &at), -ENOMEM);
	place = fixed_at(LAYOUT_PRIVATE_END - PAGE_SIZE);
	CHECK_EQ(map_entity(root, &place, entity, &at), -EEXIST);
	place = replace_at(LAYOUT_PRIVATE_END - PAGE_SIZE);
	CHECK_EQ(map_entity(root, &place, entity, &at), -EPERM);
	place = fixed_at(BASE + 1);
	CHECK_EQ(map_entity(root, &place, entity, &at), -EINVAL);
	CHECK_EQ(at, 77);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	check_footprint(&before);
	unmap_all();
	place = fixed_at(BASE);
	CHECK_EQ(map_create_submap(root, &place, pages_to_bytes(PAGES + 1), VM_READ, "read only", &map), 0);
	before = footprint_now();
	CHECK_EQ(map_entity(root, &place, entity, &at), -EACCES);
	CHECK_EQ(map_entity(map, &(struct placement){0}, entity, &at), -EACCES);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 1);
	check_footprint(&before);
	unmap_all();
}

static void depth_limit(void)
{
	struct placement place = fixed_at(BASE);
	struct map *map = root;
	struct footprint before;
	vaddr_t at;

	test_case("an entity is a level of its own: none fits below MAP_MAX_DEPTH");
	for (unsigned depth = 2; depth <= MAP_MAX_DEPTH; depth++)
		CHECK_EQ(map_create_submap(map, &place, pages_to_bytes(64 - depth), VM_ALL, "nested", &map),
			 0);
	before = footprint_now();
	CHECK_EQ(map_entity(map, &place, entity, &at), -EMFILE);
	check_footprint(&before);
	CHECK_EQ(map_unmap(map, map_end(map) - PAGE_SIZE, PAGE_SIZE), 0);
	unmap_all();
}

static void partial_unmap(void)
{
	struct footprint before;
	struct blob *blob = make_blob(1);

	test_case("unmapping the ends of an entity gives up their space");
	before = footprint_now();
	map_at(BASE);
	CHECK_EQ(map_unmap(root, BASE, 2 * PAGE_SIZE), 0);
	CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), 4);
	CHECK_EQ(list[0].start, page_at(2));
	CHECK_EQ(list[0].end, page_at(PAGES));
	CHECK_EQ(list[1].start, page_at(2));
	CHECK_EQ(list[1].offset, 2);
	CHECK_EQ(word_at(root, page_at(2)), 502);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, page_at(DATA_PLACE + 2), 40 * PAGE_SIZE), 0);
	CHECK_EQ(list_entries(root, BASE, page_at(64), list, MAX_LISTS), 4);
	CHECK_EQ(list[0].end, page_at(DATA_PLACE + 2));
	map_all_at(root, BASE, blob);
	map_all_at(root, page_at(DATA_PLACE + 2), blob);
	CHECK(check_map(root));

	test_case("a hole in the middle stays the entity's");
	CHECK_EQ(map_unmap(root, page_at(SHARED_PLACE), SHARED_PAGES * PAGE_SIZE), 0);
	CHECK_EQ(list_entries(root, page_at(1), page_at(DATA_PLACE + 2), list, MAX_LISTS), 3);
	CHECK_EQ(list[0].start, page_at(2));
	CHECK_EQ(list[0].end, page_at(DATA_PLACE + 2));
	CHECK_EQ(user_store(root, page_at(SHARED_PLACE), 1), -EFAULT);
	CHECK(check_map(root));

	test_case("an entity goes with the last of its parts");
	CHECK_EQ(map_unmap(root, page_at(DATA_PLACE), PAGE_SIZE), 0);
	CHECK_EQ(map_unmap(root, page_at(DATA_PLACE + 1), PAGE_SIZE), 0);
	CHECK_EQ(map_unmap(root, page_at(3), PAGE_SIZE), 0);
	CHECK_EQ(count_entries(root, page_at(1), page_at(DATA_PLACE + 2)), 2);
	CHECK(check_map(root));
	CHECK_EQ(map_unmap(root, page_at(2), PAGE_SIZE), 0);
	CHECK_EQ(count_entries(root, page_at(1), page_at(DATA_PLACE + 2)), 0);
	unmap_all();
	check_footprint(&before);
	blob_unref(blob);
}

/*
 * A page of the blob is shown below an entity that refers to the blob, and by nothing else. Returns how many pages are left when both are unmapped; a mapping of
 * another page stays.
 */
static uint64_t pages_left(bool at_once)
{
	const struct mapping how = {.prot = RW, .name = "page"};
	struct placement place = fixed_at(page_at(0));
	uint64_t before = blob_pages_now(), left;
	struct segment segment = good_segment();
	struct entity *other = NULL;
	vaddr_t at;

	segment.blob = make_blob(3);
	segment.sharing = SEGMENT_SHARED;
	segment.prot = RW;
	CHECK_EQ(entity_create("other", 1, &segment, 1, &other), 0);
	CHECK_EQ(map_blob(root, &place, segment.blob, 1, 1, &how, &at), 0);
	place = fixed_at(page_at(1));
	CHECK_EQ(map_entity(root, &place, other, &at), 0);
	place = fixed_at(page_at(40));
	CHECK_EQ(map_blob(root, &place, segment.blob, 2, 1, &how, &at), 0);
	entity_unref(other);
	blob_unref(segment.blob);
	CHECK_EQ(user_store(root, page_at(0), 1), 0);
	CHECK_EQ(user_store(root, page_at(1), 2), 0);
	CHECK_EQ(user_store(root, page_at(40), 3), 0);
	CHECK_EQ(map_unmap(root, page_at(0), at_once ? 2 * PAGE_SIZE : PAGE_SIZE), 0);
	if (!at_once)
		CHECK_EQ(map_unmap(root, page_at(1), PAGE_SIZE), 0);
	left = blob_pages_now() - before;
	CHECK_EQ(word_at(root, page_at(40)), 3);
	unmap_all();
	CHECK_EQ(blob_pages_now(), before);
	return left;
}

static void unmap_at_once(void)
{
	test_case("what is unmapped at once leaves the pages that it leaves one by one");
	CHECK_EQ(pages_left(true), pages_left(false));
}

static void changes(void)
{
	struct placement place;
	vaddr_t at;
	struct resize_request move = {.start = page_at(DATA_PLACE),
				      .old_bytes = pages_to_bytes(DATA_PAGES),
				      .new_bytes = pages_to_bytes(DATA_PAGES),
				      .may_move = true,
				      .place = fixed_at(page_at(40))};

	test_case("parts are protected, and all of it replaced, as of other entries");
	map_at(BASE);
	CHECK_EQ(map_protect(root, page_at(DATA_PLACE + 1), PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 6);
	CHECK_EQ(user_store(root, page_at(DATA_PLACE + 1), 1), -EACCES);
	CHECK_EQ(user_store(root, page_at(DATA_PLACE + 2), 1), 0);
	CHECK_EQ(map_protect(root, page_at(DATA_PLACE + 1), PAGE_SIZE, RW), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 4);
	CHECK_EQ(map_protect(root, page_at(3), 2 * PAGE_SIZE, VM_READ), -ENOMEM);
	place = replace_at(page_at(0));
	CHECK_EQ(map_entity(root, &place, entity, &at), 0);
	CHECK_EQ(count_entries(root, BASE, page_at(64)), 4);
	CHECK_EQ(word_at(root, page_at(DATA_PLACE + 2)), 506);
	CHECK(check_map(root));

	test_case("moving the last of its parts elsewhere ends an entity, too");
	CHECK_EQ(map_unmap(root, BASE, pages_to_bytes(DATA_PLACE)), 0);
	CHECK_EQ(user_store(root, page_at(DATA_PLACE), 4), 0);
	CHECK_EQ(map_resize(root, root, &move, &at), 0);
	CHECK_EQ(word_at(root, page_at(40)), 4);
	CHECK_EQ(count_entries(root, BASE, page_at(40)), 0);
	CHECK(check_map(root));
	unmap_all();
}

/* The recipe is independent of who made it and of where it is mapped. */
static void lifetime(void)
{
	struct blob *held = file;
	struct fault_result result;

	test_case("a mapped entity needs nobody's reference");
	map_at(BASE);
	entity_unref(entity);
	blob_ref(held);
	blob_unref(file);
	CHECK_EQ(word_at(root, page_at(1)), 501);
	CHECK_EQ(vm_fault(root, page_at(5), VM_READ, &result), -EFAULT);
	CHECK_STR(result.region, "program");
	CHECK_EQ(vm_fault(root, page_at(1), VM_WRITE, &result), -EACCES);
	CHECK_STR(result.region, "text");
	unmap_all();
	CHECK_EQ(held->refs, 1);
	blob_unref(held);
}

void suite_entity(void)
{
	struct footprint before = footprint_now();

	test_case("start");
	root = space_open("entity suite");
	if (!root)
		return;
	file = make_blob(16);
	make_entity();
	validation();
	listing();
	contents();
	all_or_nothing();
	depth_limit();
	partial_unmap();
	unmap_at_once();
	changes();
	lifetime();
	test_case("all memory is back");
	space_close(root);
	check_footprint(&before);
}
