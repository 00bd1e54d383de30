/*
 * Labels of mappings: who holds them, and when the last reference goes.
 */
#include "vm_suite.h"

#define PAGES 16
#define OTHER (SPACE_BASE + pages_to_bytes(1024))
#define THIRD (SPACE_BASE + pages_to_bytes(2048))

/* What a mapping is of. */
struct thing {
	struct map_label label; /* first: the label's address is the thing's */
	struct map *map;        /* whose lock may be taken when the label goes */
	unsigned destroyed;
};

static struct map *root;
static struct blob *blob;
static struct thing one, two;

static void destroy_thing(struct map_label *label)
{
	struct thing *thing = (struct thing *)label;
	struct map_usage usage;

	CHECK_EQ(label->refs, 0);
	/* No lock is held: it would wait for itself here. */
	if (thing->map)
		map_usage(thing->map, &usage);
	thing->destroyed++;
}

static const struct map_label_ops ops = {.destroy = destroy_thing};

static void thing_init(struct thing *thing)
{
	*thing = (struct thing){.label = {.ops = &ops}, .map = root};
	thing->label.refs = 1;
}

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

static int map_labelled(vaddr_t address, struct thing *thing, pgoff_t offset, pgoff_t pages)
{
	const struct mapping how = {.prot = RW, .name = "labelled", .label = thing ? &thing->label : NULL};
	struct placement place = replace_at(address);
	vaddr_t at;

	return map_blob(root, &place, blob, offset, pages, &how, &at);
}

static void label_open(void)
{
	root = space_open("labels");
	blob = make_blob(PAGES);
	thing_init(&one);
	thing_init(&two);
	CHECK_EQ(map_labelled(SPACE_BASE, &one, 0, PAGES), 0);
}

static void label_close(void)
{
	CHECK(check_map(root));
	one.map = two.map = NULL;
	space_close(root);
	blob_unref(blob);
	map_label_unref(&one.label);
	map_label_unref(&two.label);
	CHECK_EQ(one.destroyed, 1);
	CHECK_EQ(two.destroyed, 1);
}

static void held(void)
{
	struct entry_info entries[4];
	struct lookup found;

	test_case("each entry holds its label, and look-ups and listings say it");
	label_open();
	CHECK_EQ(one.label.refs, 2);
	CHECK_EQ(map_lookup(root, page_at(3), &found), 0);
	CHECK(found.how.label == &one.label);
	CHECK_EQ(one.label.refs, 3);
	lookup_release(&found);
	CHECK_EQ(list_entries(root, SPACE_BASE, page_at(PAGES), entries, 4), 1);
	CHECK(entries[0].label == &one.label);
	CHECK(!entries[0].anonymous);

	test_case("parts that are split off hold it too, and join again");
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(one.label.refs, 4);
	CHECK_EQ(list_entries(root, SPACE_BASE, page_at(PAGES), entries, 4), 3);
	CHECK(entries[2].label == &one.label);
	CHECK_EQ(map_protect(root, page_at(4), 4 * PAGE_SIZE, RW), 0);
	CHECK_EQ(one.label.refs, 2);

	test_case("neighbours with different labels are not joined");
	CHECK_EQ(map_labelled(page_at(8), &two, 8, 8), 0);
	CHECK_EQ(map_protect(root, SPACE_BASE, PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, page_at(PAGES)), 2);
	CHECK_EQ(map_labelled(page_at(8), NULL, 8, 8), 0);
	CHECK_EQ(two.label.refs, 1);
	CHECK_EQ(map_protect(root, SPACE_BASE, PAGES * PAGE_SIZE, RW), 0);
	CHECK_EQ(count_entries(root, SPACE_BASE, page_at(PAGES)), 2);
	label_close();
}

static void passed_on(void)
{
	struct resize_request move = {.start = SPACE_BASE,
				      .old_bytes = 4 * PAGE_SIZE,
				      .new_bytes = 4 * PAGE_SIZE,
				      .may_move = true};
	struct map *child;
	struct lookup found;
	vaddr_t at;

	test_case("what is moved keeps it, and a forked child has it");
	label_open();
	move.place = fixed_at(OTHER);
	CHECK_EQ(map_resize(root, root, &move, &at), 0);
	CHECK_EQ(map_lookup(root, OTHER, &found), 0);
	CHECK(found.how.label == &one.label);
	lookup_release(&found);
	CHECK_EQ(one.label.refs, 3);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(one.label.refs, 5);
	map_unref(child);
	CHECK_EQ(one.label.refs, 3);
	label_close();
}

static void of_entities(void)
{
	struct segment segments[2];
	struct placement place = fixed_at(THIRD);
	struct entity *entity;
	vaddr_t at;

	test_case("an entity's segments give their labels to what is mapped, and hold them as long as it is "
		  "there");
	label_open();
	segments[0] = (struct segment){blob, 0, 0, 4, RX, SEGMENT_SHARED, "text", &one.label};
	segments[1] = (struct segment){blob, 4, 4, 4, RW, SEGMENT_PRIVATE, "data", &two.label};
	CHECK_EQ(entity_create("labelled", 8, segments, 2, &entity), 0);
	CHECK_EQ(one.label.refs, 3);
	CHECK_EQ(map_entity(root, &place, entity, &at), 0);
	CHECK_EQ(one.label.refs, 4);
	CHECK_EQ(two.label.refs, 3);
	entity_unref(entity);

	test_case("with the last mapping the entity goes, and what only that held");
	map_label_unref(&two.label);
	CHECK_EQ(map_unmap(root, THIRD, 7 * PAGE_SIZE), 0);
	CHECK_EQ(two.destroyed, 0);
	CHECK_EQ(map_unmap(root, THIRD, 8 * PAGE_SIZE), 0);
	CHECK_EQ(two.destroyed, 1);
	CHECK_EQ(one.label.refs, 2);
	thing_init(&two);
	two.destroyed = 0;
	label_close();

	test_case("an entity that was never mapped gives them up, too");
	label_open();
	segments[0] = (struct segment){blob, 0, 0, 4, RX, SEGMENT_SHARED, "text", &two.label};
	CHECK_EQ(entity_create("labelled", 8, segments, 1, &entity), 0);
	map_label_unref(&two.label);
	entity_unref(entity);
	CHECK_EQ(two.destroyed, 1);
	thing_init(&two);
	label_close();
}

static void last_reference(void)
{
	test_case("the last reference goes with the map unlocked: unmapped, replaced, or with its map");
	label_open();
	map_label_ref(NULL);
	map_label_unref(NULL);
	map_label_unref(&one.label);
	CHECK_EQ(map_unmap(root, SPACE_BASE, 4 * PAGE_SIZE), 0);
	CHECK_EQ(one.destroyed, 0);
	CHECK_EQ(map_labelled(page_at(4), &two, 4, 12), 0);
	CHECK_EQ(one.destroyed, 1);
	CHECK_EQ(map_labelled(OTHER, &two, 0, 1), 0);
	map_label_unref(&two.label);
	CHECK_EQ(map_unmap(root, SPACE_BASE, (OTHER - SPACE_BASE) + PAGE_SIZE), 0);
	CHECK_EQ(two.destroyed, 1);
	thing_init(&one);
	thing_init(&two);
	CHECK_EQ(map_labelled(SPACE_BASE, &one, 0, 1), 0);
	map_label_unref(&one.label);
	one.map = NULL;
	space_close(root);
	CHECK_EQ(one.destroyed, 1);
	blob_unref(blob);
}

void suite_label(void)
{
	held();
	passed_on();
	of_entities();
	last_reference();
}
