/*
 * The invariant checkers: in a state that has some of everything they find nothing; and each rule, broken by itself, is
 * found, by the complete checks and by the slices that debug builds check at every unlock.
 *
 * What is broken is broken in a copy of the system (probe_panics()), which only the host has. There each rule is one
 * line of the lists below: the message that has to come, and the statement that breaks it.
 */
#include "probe.h"
#include "store.h"
#include "vm_suite.h"

#define BASE(number) (SPACE_BASE + (vaddr_t)(number)*0x100000)

/* What is mapped, and where. */
#define BLOB_AT   BASE(0) /* all of it */
#define WINDOW_AT BASE(1)
#define SECOND_AT BASE(2)
#define CLONE_AT  BASE(3)
#define LENT_AT   BASE(4)
#define SWAP_AT   BASE(5)
#define WIRED_AT  BASE(6)
#define LARGE_AT  BASE(32)
#define DMA_AT    BASE(8)
#define ENTITY_AT BASE(9)
#define COMB_AT   BASE(10)
#define OUTER_AT  BASE(11)
#define OVER_AT   BASE(13)

#define PAGES         8
#define LARGE_PAGES   ((pgoff_t)1 << 16)
#define LARGE_TOUCHED 40
#define COMB_TEETH    15u /* reservations with gaps of the same size: a tree without a hole */
#define STORE_PAGES   64
#define GOING_NODES   8   /* as many as a blob that goes gives up at a time */
#define SLICES        400 /* unlocks that come by everything in the fixture */

/* Some of everything. */
static struct fixture {
	struct map *root, *space, *comb, *outer, *inner, *arena;
	struct blob *blob;  /* mapped three times; no store */
	struct blob *clone; /* of it, with pages of its own and shared ones */
	struct blob *low;   /* its first half, cloned before `whole`, and not mapped */
	struct blob *high;  /* its second half, the same */
	struct blob *whole; /* all of it, younger than both */
	struct blob *lent, *swap, *wired, *large, *dma;
	struct blob *over; /* an overlay of `lent` */
	struct entity *entity;
	struct wiring *wiring;
	void *kernel;
	struct test_pager pager;
} f;

/* ---- The fixture ----------------------------------------------------------------------------------- */

static void map_window(vaddr_t address, struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	struct placement place = fixed_at(address);
	struct mapping how = {.prot = RW, .name = "window"};
	vaddr_t at;

	CHECK_EQ(map_blob(f.root, &place, blob, offset, pages, &how, &at), 0);
}

static void store_words(vaddr_t address, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		CHECK_EQ(user_store(f.root, address + pages_to_bytes(i), i), 0);
}

static void make_family(void)
{
	f.blob = make_blob(PAGES);
	map_all_at(f.root, BLOB_AT, f.blob);
	map_window(WINDOW_AT, f.blob, 2, 4);
	map_window(SECOND_AT, f.blob, 3, 3);
	store_words(BLOB_AT, PAGES);
	CHECK_EQ(blob_clone(f.blob, 0, PAGES / 2, &f.low), 0);
	CHECK_EQ(blob_clone(f.blob, PAGES / 2, PAGES / 2, &f.high), 0);
	CHECK_EQ(blob_clone(f.blob, 0, PAGES, &f.whole), 0);
	CHECK_EQ(blob_clone(f.blob, 0, PAGES, &f.clone), 0);
	map_all_at(f.root, CLONE_AT, f.clone);
	store_words(CLONE_AT, 2);
	word_at(f.root, CLONE_AT + pages_to_bytes(3));
	store_words(BLOB_AT, 1);
	/* Page 7 goes, so that it is absent in all of the blob's mappings. */
	CHECK_EQ(blob_decommit(f.blob, 7, 1), 0);
}

static void make_paged(void)
{
	test_pager_init(&f.pager);
	CHECK_EQ(blob_create_paged(pages_to_bytes(PAGES), &f.pager.pager, &f.lent), 0);
	map_all_at(f.root, LENT_AT, f.lent);
	word_at(f.root, LENT_AT);
	store_words(LENT_AT + PAGE_SIZE, 1);
	CHECK_EQ(blob_overlay(f.lent, 0, PAGES, &f.over), 0);
	map_all_at(f.root, OVER_AT, f.over);
	word_at(f.root, OVER_AT);
	f.swap = make_blob(PAGES);
	map_all_at(f.root, SWAP_AT, f.swap);
	store_words(SWAP_AT, 4);
	CHECK_EQ(blob_sync(f.swap, 0, 1), 0);
	word_at(f.root, SWAP_AT);
	CHECK_EQ(blob_page_out(f.swap, 1, 2), 0);
}

static void make_others(void)
{
	f.wired = make_blob(PAGES);
	map_all_at(f.root, WIRED_AT, f.wired);
	CHECK_EQ(map_wire(f.root, WIRED_AT, 2 * PAGE_SIZE), 0);
	CHECK_EQ(blob_wire(f.wired, 4, 2, &f.wiring), 0);
	f.large = make_blob(LARGE_PAGES);
	map_all_at(f.root, LARGE_AT, f.large);
	for (pgoff_t i = 0; i < LARGE_TOUCHED; i++)
		put_word(f.large, i * i * i, i);
	store_words(LARGE_AT, 3);
	CHECK_EQ(blob_create_contiguous(2 * PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_UNCACHED, &f.dma), 0);
	map_all_at(f.root, DMA_AT, f.dma);
	store_words(DMA_AT, 2);
	f.kernel = kernel_alloc(PAGE_SIZE, "checked");
	CHECK(f.kernel);
}

static void make_maps(void)
{
	const struct segment segments[] = {
		{f.lent, 0, 0, 2, RX, SEGMENT_SHARED, "text", NULL},
		{f.lent, 2, 4, 4, RW, SEGMENT_PRIVATE, "data", NULL},
	};
	struct placement place = fixed_at(ENTITY_AT);
	vaddr_t at;

	CHECK_EQ(entity_create("program", PAGES, segments, 2, &f.entity), 0);
	CHECK_EQ(map_entity(f.root, &place, f.entity, &at), 0);
	store_words(ENTITY_AT + pages_to_bytes(5), 2);
	place = fixed_at(COMB_AT);
	CHECK_EQ(map_create_submap(f.space, &place, 0x100000, RW, "comb", &f.comb), 0);
	for (unsigned i = 0; i < COMB_TEETH; i++) {
		place = fixed_at(COMB_AT + pages_to_bytes(2 * i + 1));
		CHECK_EQ(map_reserve(f.comb, &place, PAGE_SIZE, "tooth", &at), 0);
	}
	place = fixed_at(OUTER_AT);
	CHECK_EQ(map_create_submap(f.space, &place, 0x100000, RW, "outer", &f.outer), 0);
	CHECK_EQ(map_create_submap(f.outer, &place, 0x10000, RW, "inner", &f.inner), 0);
	CHECK_EQ(map_create_arena(f.root, LAYOUT_ARENA_ALIGN, &f.arena), 0);
	map_window(map_start(f.arena), f.blob, 0, 1);
	store_words(map_start(f.arena), 1);
}

static bool fixture_open(void)
{
	memset(&f, 0, sizeof(f));
	if (!CHECK(store_open(STORE_PAGES)))
		return false;
	f.root = space_open("checked");
	if (!f.root)
		return false;
	f.space = map_private_space(f.root);
	make_family();
	make_paged();
	make_others();
	make_maps();
	return true;
}

static void fixture_close(void)
{
	space_close(f.root);
	blob_unwire(f.wiring);
	entity_unref(f.entity);
	kernel_free(f.kernel);
	blob_unref(f.blob);
	blob_unref(f.clone);
	blob_unref(f.low);
	blob_unref(f.high);
	blob_unref(f.whole);
	blob_unref(f.over);
	blob_unref(f.lent);
	blob_unref(f.swap);
	blob_unref(f.wired);
	blob_unref(f.large);
	blob_unref(f.dma);
	test_pager_finish(&f.pager);
	store_close();
}

/* The innermost first, so that what is broken in a map is seen there and not from its parent. */
static void verify_all(void)
{
	struct blob *const blobs[] = {f.blob, f.lent, f.swap, f.wired, f.large, f.dma};

	map_verify(f.comb);
	map_verify(f.outer);
	map_verify(f.space);
	map_verify(f.root);
	map_verify(system_map);
	map_verify(dynamic_map);
	for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++)
		blob_verify(blobs[i]);
}

/* ---- What is broken -------------------------------------------------------------------------------- */

static struct map_entry *entry_at(struct map *map, vaddr_t address)
{
	struct map_entry *entry;

	rw_read_lock(map->lock);
	entry = map_first_above(map, address);
	rw_read_unlock(map->lock);
	return entry;
}

/* The comb's entry at the top of its tree; and the lowest one that has children. */
static struct map_entry *top(void)
{
	return entry_of(f.comb->entries);
}
static struct avl_node *knee(void)
{
	struct avl_node *node = f.comb->entries;

	while (node->left->left)
		node = node->left;
	return node;
}

static void swap_children(struct avl_node *node)
{
	struct avl_node *left = node->left;

	node->left = node->right;
	node->right = left;
}

/* The mapping at the top of the blob's tree of them. */
static struct map_entry *mapping(void)
{
	return (struct map_entry *)((char *)f.blob->mappings - offsetof(struct map_entry, by_offset));
}

static slot_t *slot_at(struct blob *blob, pgoff_t offset)
{
	bool shared;

	return tree_find(&blob->tree, blob->base + offset, &shared);
}

static struct page *page_at(struct blob *blob, pgoff_t offset)
{
	return slot_page(*slot_at(blob, offset));
}

static struct node *root_node(struct blob *blob)
{
	return slot_node(blob->tree.root);
}

static void enter(vaddr_t va, struct page *page, vm_prot_t prot)
{
	CHECK_EQ(pmap_enter(map_pmap(f.root), va, page, prot | VM_USER, CACHE_WRITE_BACK), 0);
}

/* Gives a blob the tree of another in the family, window or not. */
static void graft(struct blob *blob, struct blob *from)
{
	root_node(from)->refs++;
	blob->tree = from->tree;
}

/* Takes the blob out of its family's list. */
static void unlist(struct blob *blob)
{
	*(blob->previous ? &blob->previous->next : &blob->family->blobs) = blob->next;
	if (blob->next)
		blob->next->previous = blob->previous;
	blob->family->count--;
	blob_verify(blob);
}

/* An unbalanced tree that is right otherwise. */
static void unbalance(void)
{
	struct avl_node *node = f.comb->entries;

	node->left = NULL;
	node->height = node->right->height + 1;
}

static void free_slots(struct node *node)
{
	memset(node->slots, 0, sizeof(node->slots));
}

/* The family's store is forgotten, and the clean page's location. */
static void lose_store(void)
{
	page_at(f.swap, 0)->in_use = 0;
	f.swap->family->store = NULL;
}

/* A mapping leaves its blob's tree, but stays in the map. */
static void drop_mapping(struct map_entry *entry)
{
	spin_lock(&entry->blob->family->lock);
	blob_remove_mapping(entry);
	spin_unlock(&entry->blob->family->lock);
}

/* The kernel's own tables have no way that ring 3 may go; so a map of a process becomes the kernel's. */
static void change_ring(void)
{
	f.arena->user = false;
	map_verify(f.arena);
}

/* A smaller extent may make holes in what is wired, but not in what the kernel has wired. */
static void cut_wiring(void)
{
	f.wired->family->extent_was_cut = true;
	*slot_at(f.wired, 4) = SLOT_EMPTY;
}

/* A label that nobody holds. */
static struct map_label label;

/* A rule, the message when it is broken, and what breaks it. */
#define BREAKS(X)                                                                                        \
	X(entry_map, "an entry of another map", top()->map = f.outer)                                    \
	X(empty_range, "range", top()->end = top()->start)                                               \
	X(odd_range, "range", top()->end--)                                                              \
	X(previous, "list: the one before", top()->previous->next = top()->next)                         \
	X(next, "list: the next", top()->next->previous = top()->previous)                               \
	X(order, "order of entries", top()->previous->end = top()->end)                                  \
	X(outside, "outside the map", f.comb->end = top()->start)                                        \
	X(gap, "gap", top()->gap += PAGE_SIZE)                                                           \
	X(tree_parent, "tree: not its parent's child", top()->by_address.parent = f.comb->entries->left) \
	X(tree_child, "tree: not its child's parent", f.comb->entries->left->parent = NULL)              \
	X(tree_height, "tree: height", top()->by_address.height++)                                       \
	X(tree_balance, "tree: balance", unbalance())                                                    \
	X(tree_order, "order in the tree", swap_children(f.comb->entries))                               \
	X(widest, "widest gap", top()->widest += PAGE_SIZE)                                              \
	X(tree_lacks, "tree and list differ", knee()->left = NULL)                                       \
	X(last, "the last entry", f.inner->last = top())                                                 \
	X(entry_count, "number of entries", f.comb->entry_count++)                                       \
	X(bounds, "bounds of the map", f.comb->end = f.comb->start)                                      \
	X(map_refs, "references to the map", f.comb->refs = 0)                                           \
	X(ceiling, "rights that do not exist in the ceiling", f.comb->ceiling |= VM_USER)                \
	X(top_depth, "a top's lock or depth", f.root->depth = 1)                                         \
	X(max_prot, "rights beyond the map's ceiling", top()->max_prot = VM_ALL)                         \
	X(prot, "rights beyond the entry's limit", top()->prot = VM_READ)                                \
	X(inherit, "inheritance", top()->inherit = INHERIT_NONE + 1)                                     \
	X(advice, "advice", top()->advice = ADVISE_WILLNEED)                                             \
	X(kind, "kind", top()->kind = ENTRY_SUBMAP + 1)                                                  \
	X(kind_blob, "a blob", top()->blob = f.blob)                                                     \
	X(kind_submap, "a submap", top()->submap = f.inner)                                              \
	X(kind_entity, "an entity", top()->entity = f.entity)                                            \
	X(entity_refs, "references to the entity", f.entity->refs = 0)                                   \
	X(permanent, "a permanent part of the layout", top()->permanent = true)                          \
	X(wired_nothing, "wired, and no blob's", top()->wired = true)                                    \
	X(labelled, "a mapping's, and no blob's", top()->label = &label)                                 \
	X(grows, "a mapping's, and no blob's", top()->grows_down = true)                                 \
	X(held, "a kernel's wiring", top()->held = true)                                                 \
	X(label_refs, "references to the label", entry_at(f.space, BLOB_AT)->label = &label)             \
	X(fork, "what a fork does", entry_at(f.space, BLOB_AT)->fork = 8)                                \
	X(fork_reserved, "what a fork does", top()->fork = FORK_OMIT)                                    \
	X(used_entries, "counted entries", f.root->usage.entries++)                                      \
	X(used_pages, "counted pages", f.root->usage.pages--)                                            \
	X(used_data, "counted pages of data", f.root->usage.data++)                                      \
	X(used_stack, "counted pages of stacks", f.root->usage.stack++)                                  \
	X(used_exec, "counted executable pages", f.root->usage.exec++)                                   \
	X(used_shared, "counted shared pages", f.root->usage.shared++)                                   \
	X(used_wired, "counted wired pages", f.root->usage.wired++)                                      \
	X(dropped, "labels that are still to go", f.root->dropped = &label)                              \
	X(submap_bounds, "bounds of the submap", f.inner->end += PAGE_SIZE)                              \
	X(submap_refs, "references to the submap", f.inner->refs = 0)                                    \
	X(arena, "range of the arena", f.arena->arena->start += PAGE_SIZE)                               \
	X(submap_top, "top of the submap", f.inner->top = f.inner)                                       \
	X(depth, "depth of the submap", f.inner->depth++)                                                \
	X(submap_ceiling, "ceiling of the submap", f.inner->ceiling = VM_ALL)                            \
	X(submap_user, "the submap's lock, page tables or ring", f.inner->user = false)                  \
	X(recent, "the entry of the last fault is gone", f.root->recent = entry_at(dynamic_map, 0))      \
	X(not_a_mapping, "not among its blob's mappings", drop_mapping(entry_at(f.space, WINDOW_AT)))    \
	X(stray, "translations, and its entries explain", enter(BASE(12), page_at(f.blob, 0), VM_READ))  \
	X(stray_in_entry, "a translation, and the blob has no page",                                     \
	  enter(BLOB_AT + 7 * PAGE_SIZE, page_at(f.blob, 1), VM_READ))                                   \
	X(stray_paged_out, "a translation, and the blob has no page",                                    \
	  enter(SWAP_AT + PAGE_SIZE, page_at(f.swap, 0), VM_READ))                                       \
	X(other_page, "a translation to another page", enter(BLOB_AT, page_at(f.blob, 1), VM_READ))      \
	X(other_frame, "a translation to another page", enter(DMA_AT, page_at(f.blob, 1), VM_READ))      \
	X(no_access, "the entry allows no access", entry_at(f.space, BLOB_AT)->prot = 0)                 \
	X(may_write, "may write, and the entry not", entry_at(f.space, BLOB_AT)->prot = VM_READ)         \
	X(may_execute, "may execute, and the entry not", enter(BLOB_AT, page_at(f.blob, 0), VM_ALL))     \
	X(ring, "for ring 3 in a map of the kernel's", change_ring())                                    \
	X(writes_shared, "shared or clean", enter(CLONE_AT + 3 * PAGE_SIZE, page_at(f.clone, 3), RW))    \
	X(writes_lent, "shared or clean", enter(LENT_AT, page_at(f.lent, 0), RW))                        \
	X(writes_clean, "shared or clean", enter(SWAP_AT, page_at(f.swap, 0), RW))                       \
	X(writes_below, "shared or clean", enter(OVER_AT + PAGE_SIZE, page_at(f.lent, 1), RW))           \
	X(overlay_list, "list of overlays", f.over->previous_overlay = f.over)                           \
	X(overlay_unlisted, "overlays that are not in their lists", f.lent->overlays = NULL)             \
	X(overlay_pager, "an overlay with a pager", f.over->pager = &f.pager.pager)                      \
	X(overlay_window, "an overlay that is not inside", f.over->base++)                               \
	X(family_count, "are counted", f.blob->family->count++)                                          \
	X(other_list, "in the list of another family", f.low->family = f.wired->family)                  \
	X(unlisted, "not in the list of its family", unlist(f.blob))                                     \
	X(list, "list of the family", f.blob->previous = NULL)                                           \
	X(blob_size, "size", f.blob->pages = 0)                                                          \
	X(tree_family, "the tree is of another family", f.blob->tree.family = f.wired->family)           \
	X(tree_too_high, "height of the tree", f.blob->tree.height = TREE_MAX_HEIGHT + 1)                \
	X(fixed, "pages of its own in a blob of fixed frames", f.blob->fixed = true)                     \
	X(contiguous, "contiguous, and not of fixed frames", f.blob->contiguous = true)                  \
	X(dma_frame, "a frame of its own", page_from_paddr(f.dma->fixed_start)->state = PAGE_BLOB)       \
	X(mapping_refs, "more mappings than references", f.blob->refs = 1)                               \
	X(wirings, "more wirings than mappings", f.blob->wired_count = f.blob->mapping_count + 1)        \
	X(mapping_count, "number of mappings", f.blob->mapping_count++)                                  \
	X(wired_count, "number of wirings", f.wired->wired_count++)                                      \
	X(mapping_tree, "tree: height", f.blob->mappings->height++)                                      \
	X(mapping_blob, "a mapping of another blob", mapping()->blob = f.clone)                          \
	X(mapping_window, "a mapping outside the blob", mapping()->offset = PAGES)                       \
	X(mapping_order, "order of mappings", mapping()->offset = 4)                                     \
	X(farthest, "farthest end of mappings", mapping()->farthest++)                                   \
	X(wiring, "a wiring that is not wired", ((struct map_entry *)f.wiring)->wired = false)           \
	X(not_resident, "a wired page is not resident", *slot_at(f.wired, 4) = SLOT_EMPTY)               \
	X(held_cut, "a wired page is not resident", cut_wiring())                                        \
	X(family_wired, "wirings, and", f.wired->family->wired_count++)                                  \
	X(on_fault, "wired on fault, and not wired", mapping()->on_fault = true)                         \
	X(beyond_extent, "something beyond the extent", f.large->family->extent = 5)                     \
	X(fixed_extent, "an extent of fixed frames", f.dma->family->extent = 1)                          \
	X(page_wired, "wirings of a page", page_at(f.wired, 0)->wired++)                                 \
	X(page_not_wired, "wirings of a page", page_at(f.wired, 5)->wired--)                             \
	X(before, "something before the blob", graft(f.high, f.whole))                                   \
	X(behind, "something behind the blob", graft(f.low, f.whole))                                    \
	X(outside_window, "something outside the blob", f.large->pages = 5)                              \
	X(node_refs, "references to a node", root_node(f.large)->refs++)                                 \
	X(small_node_refs, "references to a node", root_node(f.wired)->refs++)                           \
	X(page_for_node, "a page where a node should be", f.swap->tree.root |= SLOT_PAGE)                \
	X(out_for_node, "a page where a node should be", f.swap->tree.root |= SLOT_PAGED_OUT)            \
	X(node_for_page, "a node where a page should be", f.swap->tree.height--)                         \
	X(empty_node, "an empty node", free_slots(root_node(f.swap)))                                    \
	X(page_state, "neither a blob's nor lent", page_at(f.blob, 0)->state = PAGE_SLAB)                \
	X(lent_refs, "a lent page is not its lender's", page_at(f.lent, 0)->refs = 1)                    \
	X(page_owner, "a page of another family", page_at(f.blob, 0)->owner = f.wired->family)           \
	X(page_index, "a page of another index", page_at(f.large, 1)->index++)                           \
	X(page_refs, "a page without references", page_at(f.blob, 0)->refs = 0)                          \
	X(slots, "more slots than references to a page", page_at(f.clone, 3)->refs = 1)                  \
	X(location, "a page has a location, and the family no store", page_at(f.blob, 0)->in_use = 1)    \
	X(no_store, "paged out, and the family has no store", lose_store())                              \
	X(nowhere, "paged out to nowhere", *slot_at(f.swap, 1) = slot_of_location(0))

#define BREAKING_FUNCTION(name, message, statement) \
	static void break_##name(void)              \
	{                                           \
		statement;                          \
	}
BREAKS(BREAKING_FUNCTION)

struct breaking {
	const char *name, *message;
	void (*action)(void);
};

#define BREAKING_LINE(name, message, statement) {#name, message, break_##name},
static const struct breaking breakings[] = {BREAKS(BREAKING_LINE)};

/* Of those, what the slices have to find, too. */
static void (*const sliced[])(void) = {
	break_gap,       break_kind,         break_depth,         break_last,
	break_list,      break_mapping_tree, break_page_index,    break_page_wired,
	break_may_write, break_writes_clean, break_writes_shared, break_small_node_refs,
};

/* ---- The cases ------------------------------------------------------------------------------------- */

static void break_and_verify(void *context)
{
	const struct breaking *breaking = context;

	breaking->action();
	verify_all();
}

/* Gives locks back until every slice has been seen. */
static void break_and_unlock(void *context)
{
	struct map *const maps[] = {f.root, f.comb, f.inner};
	struct blob *const blobs[] = {f.blob, f.lent, f.swap, f.wired, f.large};
	const struct breaking *breaking = context;

	breaking->action();
	for (unsigned i = 0; i < SLICES; i++) {
		struct map *map = maps[i % 3];
		struct family *family = blobs[i % 5]->family;

		rw_write_lock(map->lock);
		map_write_unlock(map);
		spin_lock(&family->lock);
		family_unlock(family);
	}
}

static bool contains(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; strlen(text) >= length; text++) {
		if (memcmp(text, part, length) == 0)
			return true;
	}
	return false;
}

static void check_panics(void (*action)(void *context), const struct breaking *breaking)
{
	char message[TEST_LINE_BYTES / 2];
	bool panics = probe_panics(action, (void *)breaking, message, sizeof(message));

	if (!CHECK(panics && contains(message, breaking->message)))
		test_print("# %s: \"%s\" was expected, and there was: \"%s\"", breaking->name,
			   breaking->message, message);
}

static void whole_state(void)
{
	test_case("a state with some of everything breaks no rule");
	verify_all();
	/* Twice: the marks of the first time are gone. */
	verify_all();
	page_check();
}

/* A large blob is emptied bit by bit when it goes; between two bits, others of its family may look. */
static void going(void)
{
	struct blob *blob = make_blob(LARGE_PAGES);
	bool more;

	test_case("a blob that is half gone breaks no rule");
	for (unsigned i = 0; i < GOING_NODES; i++)
		put_word(blob, i * TREE_FANOUT, i);
	blob->refs = 0;
	do {
		spin_lock(&blob->family->lock);
		more = tree_shed(&blob->tree);
		family_unlock(blob->family);
		blob_verify(blob);
	} while (more);
	blob->refs = 1;
	blob_unref(blob);
}

static void every_rule(void)
{
	test_case("each rule that is broken is found");
	if (!probe_panics) {
		test_skip("a panic would be the end");
		return;
	}
	for (size_t i = 0; i < sizeof(breakings) / sizeof(breakings[0]); i++)
		check_panics(break_and_verify, &breakings[i]);
}

static void slices(void)
{
	unsigned done = 0;

	test_case("at unlocks, in a debug build");
	if (!probe_panics) {
		test_skip("a panic would be the end");
		return;
	}
	for (size_t i = 0; i < sizeof(breakings) / sizeof(breakings[0]); i++) {
		for (size_t j = 0; j < sizeof(sliced) / sizeof(sliced[0]); j++) {
			if (breakings[i].action != sliced[j])
				continue;
			check_panics(break_and_unlock, &breakings[i]);
			done++;
		}
	}
	CHECK_EQ(done, sizeof(sliced) / sizeof(sliced[0]));
}

/* What breaks nothing is not found: else the cases above would prove little. */
static void break_nothing(void) {}

static void nothing_broken(void)
{
	const struct breaking nothing = {.action = break_nothing};
	char message[TEST_LINE_BYTES / 2];

	test_case("where nothing is broken, nothing is found");
	if (!probe_panics) {
		test_skip("a panic would be the end");
		return;
	}
	CHECK(!probe_panics(break_and_verify, (void *)&nothing, message, sizeof(message)));
	CHECK_STR(message, "");
	CHECK(!probe_panics(break_and_unlock, (void *)&nothing, message, sizeof(message)));
	CHECK_STR(message, "");
}

void suite_check(void)
{
	struct footprint before;

	/* Page tables of the kernel's are never given back. */
	kernel_free(kernel_alloc(PAGE_SIZE, "before"));
	before = footprint_now();
	test_case("some of everything");
	if (!fixture_open())
		return;
	whole_state();
	going();
	nothing_broken();
	every_rule();
	slices();
	test_case("all is given back");
	fixture_close();
	check_footprint(&before);
}
