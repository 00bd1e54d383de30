/*
 * Trees of pages: radix trees of 64 slots a node, whose nodes several trees may share.
 *
 * This is what copy on write rests on (docs/design.md, "Copy on write without chains"). A clone's tree
 * starts out as one more reference to the source's nodes. A node with more than one reference, or
 * below one, is shared. Two kinds of change are told apart:
 *
 *  - a change of contents (a write, a decommit) concerns one blob: shared nodes on the way are copied first;
 *  - a change that keeps contents (an absent page becomes the page that its pager has; a page goes to a pager, or comes
 *    back) is true for all who share the node, and is made in place.
 *
 * All trees of a family are guarded by the family's lock, so neither kind can be seen half done.
 * What pages mean to a blob, and who maps them, is blob.c's business.
 */
#include <asm/errno.h>

#include "vm_internal.h"

static struct slab_cache node_cache;

void tree_init(void)
{
	slab_cache_init(&node_cache, "tree node", sizeof(struct node));
}

/* How many indexes a subtree of `height` covers. */
static pgoff_t span(unsigned height)
{
	DEBUG_ASSERT(height <= TREE_MAX_HEIGHT);
	return (pgoff_t)1 << (TREE_BITS * height);
}

/* Which slot of a node that heads a subtree of `height` leads to `index`. */
static unsigned slot_index(pgoff_t index, unsigned height)
{
	DEBUG_ASSERT(height > 0 && height <= TREE_MAX_HEIGHT);
	return (index >> (TREE_BITS * (height - 1))) & (TREE_FANOUT - 1);
}

/* Is `index` one that the tree's height reaches? If not it is empty, whatever the tree has. */
static bool tree_covers(const struct tree *tree, pgoff_t index)
{
	return index >> (TREE_BITS * tree->height) == 0;
}

/* One more reference to what is in a slot: for a second slot with the same. */
static void slot_ref(struct family *family, slot_t slot)
{
	DEBUG_ASSERT(!slot_is_paged_out(slot) || family->store);
	if (slot_is_page(slot))
		page_ref(slot_page(slot));
	else if (slot_is_paged_out(slot))
		family->store->ops->location_ref(family->store, slot_location(slot));
	else if (slot != SLOT_EMPTY)
		slot_node(slot)->refs++;
}

/* Slots that are looked at in one go, as most nodes have either many or few that are not empty. */
#define SLOTS_AT_ONCE 8u

static inline bool group_is_empty(const slot_t *slots)
{
	slot_t any = SLOT_EMPTY;

#pragma GCC unroll 8
	for (unsigned i = 0; i < SLOTS_AT_ONCE; i++)
		any |= slots[i];
	return any == SLOT_EMPTY;
}

static void slot_unref(struct family *family, slot_t slot);

/*
 * Drops a reference to a node; with the last one what it refers to, and the node. As deep as the tree
 * is high.
 */
static __attribute__((noinline)) void node_unref(struct family *family, struct node *node)
{
	FAMILY_ASSERT_LOCKED(family);
	ASSERT(node->refs > 0);
	if (--node->refs > 0)
		return;
	for (unsigned i = 0; i < TREE_FANOUT; i += SLOTS_AT_ONCE) {
		if (group_is_empty(&node->slots[i]))
			continue;
		for (unsigned j = i; j < i + SLOTS_AT_ONCE; j++)
			slot_unref(family, node->slots[j]);
	}
	slab_free(&node_cache, node);
}

/* Drops a reference to what is in a slot, and with the last one all that is below. Most are pages. */
static inline __attribute__((always_inline)) void slot_unref(struct family *family, slot_t slot)
{
	if (slot_is_page(slot))
		page_release(family, slot_page(slot));
	else if (slot_is_paged_out(slot))
		family->store->ops->location_unref(family->store, slot_location(slot));
	else if (slot != SLOT_EMPTY)
		node_unref(family, slot_node(slot));
}

/* ---- Nodes set aside before a change, so that the change cannot fail --------------------- */

/* Uninitialized nodes, all of which a change takes: it is counted beforehand exactly. */
struct node_reserve {
	struct family *family;
	struct node *nodes[2 * TREE_MAX_HEIGHT];
	unsigned count;
};

/* Frees what is left of a reserve that could not be filled; a change leaves nothing over. */
static void reserve_drain(struct node_reserve *reserve)
{
	while (reserve->count > 0)
		slab_free(&node_cache, reserve->nodes[--reserve->count]);
}

/* Sets aside `count` nodes. 0, or -ENOMEM and none. */
static int reserve_fill(struct node_reserve *reserve, struct family *family, unsigned count)
{
	ASSERT(count <= 2 * TREE_MAX_HEIGHT);
	reserve->family = family;
	for (reserve->count = 0; reserve->count < count; reserve->count++) {
		struct node *node = slab_alloc(&node_cache);

		if (!node) {
			reserve_drain(reserve);
			return -ENOMEM;
		}
		reserve->nodes[reserve->count] = node;
	}
	return 0;
}

/* An empty node with one reference. */
static struct node *reserve_take_empty(struct node_reserve *reserve)
{
	DEBUG_ASSERT(reserve->count > 0);

	struct node *node = reserve->nodes[--reserve->count];

	memset(node, 0, sizeof(*node));
	node->refs = 1;
	return node;
}

/* A copy of `shared` with one reference, which is taken from the original's. */
static struct node *reserve_take_copy(struct node_reserve *reserve, struct node *shared)
{
	DEBUG_ASSERT(reserve->count > 0 && shared->refs > 1);

	struct node *node = reserve->nodes[--reserve->count];

	memcpy(node, shared, sizeof(*node));
	node->refs = 1;
	for (unsigned i = 0; i < TREE_FANOUT; i += SLOTS_AT_ONCE) {
		if (group_is_empty(&node->slots[i]))
			continue;
		for (unsigned j = i; j < i + SLOTS_AT_ONCE; j++)
			slot_ref(reserve->family, node->slots[j]);
	}
	shared->refs--;
	return node;
}

/* ---- Finding a place --------------------------------------------------------------------- */

/* The levels that the tree must grow by to cover `index`. */
static unsigned levels_missing(const struct tree *tree, pgoff_t index)
{
	unsigned levels = 0;

	while (index >> (TREE_BITS * (tree->height + levels)) != 0)
		levels++;
	DEBUG_ASSERT(tree->height + levels <= TREE_MAX_HEIGHT);
	return levels;
}

/* How many nodes tree_place() has to make: for growing, for what is missing, for what it copies. */
static unsigned nodes_missing(const struct tree *tree, pgoff_t index, bool own)
{
	unsigned growth = levels_missing(tree, index);
	slot_t slot = tree->root;

	if (slot == SLOT_EMPTY)
		return tree->height + growth;
	if (growth > 0)
		return growth + tree->height + growth - 1;
	for (unsigned height = tree->height; height > 0; height--) {
		if (slot == SLOT_EMPTY || (own && slot_node(slot)->refs > 1))
			return height;
		slot = slot_node(slot)->slots[slot_index(index, height)];
	}
	return 0;
}

/* Puts nodes above the root until the tree covers `index`. An empty tree only becomes higher. */
static void tree_grow(struct tree *tree, pgoff_t index, struct node_reserve *reserve)
{
	while (!tree_covers(tree, index)) {
		if (tree->root != SLOT_EMPTY) {
			struct node *node = reserve_take_empty(reserve);

			node->slots[0] = tree->root;
			tree->root = (slot_t)node;
		}
		tree->height++;
	}
}

/* tree_place() where nodes have to be made. 0, or -ENOMEM and nothing changed. */
static int tree_build(struct tree *tree, pgoff_t index, bool own, slot_t **out)
{
	struct node_reserve reserve;
	slot_t *place;

	if (reserve_fill(&reserve, tree->family, nodes_missing(tree, index, own)))
		return -ENOMEM;
	/* From here on nothing fails. */
	tree_grow(tree, index, &reserve);
	place = &tree->root;
	for (unsigned height = tree->height; height > 0; height--) {
		struct node *node = slot_node(*place);

		if (!node) {
			node = reserve_take_empty(&reserve);
			*place = (slot_t)node;
		} else if (own && node->refs > 1) {
			node = reserve_take_copy(&reserve, node);
			*place = (slot_t)node;
		}
		place = &node->slots[slot_index(index, height)];
	}
	DEBUG_ASSERT(reserve.count == 0 && tree_covers(tree, index));
	reserve_drain(&reserve);
	*out = place;
	return 0;
}

/* The way down is walked twice only where nodes have to be made: then it is counted first how many. */
int tree_place(struct tree *tree, pgoff_t index, bool own, slot_t **out)
{
	slot_t *place = &tree->root;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (!tree_covers(tree, index))
		return tree_build(tree, index, own, out);
	for (unsigned height = tree->height; height > 0; height--) {
		struct node *node = slot_node(*place);

		if (!node || (own && node->refs > 1))
			return tree_build(tree, index, own, out);
		place = &node->slots[slot_index(index, height)];
	}
	*out = place;
	return 0;
}

/* ---- Clearing ------------------------------------------------------------------------------ */

/* Clips [first, end) to what the tree covers; false if nothing is left. */
static bool clip_to_tree(const struct tree *tree, pgoff_t first, pgoff_t *end)
{
	if (*end > span(tree->height))
		*end = span(tree->height);
	return first < *end && tree->root != SLOT_EMPTY;
}

/* A subtree at work: its height, and the index where it starts. */
struct subtree {
	unsigned height;
	pgoff_t start;
};

/* Is all of the subtree in [first, end)? Then it need not be entered to be cleared. */
static bool subtree_inside(struct subtree sub, pgoff_t first, pgoff_t end)
{
	return first <= sub.start && sub.start + span(sub.height) <= end;
}

/* What is below slot `i` of the subtree's node. */
static struct subtree subtree_child(struct subtree sub, unsigned i)
{
	DEBUG_ASSERT(sub.height > 0 && i < TREE_FANOUT);
	return (struct subtree){sub.height - 1, sub.start + i * span(sub.height - 1)};
}

/* The slots of a node that meet [first, end), which meets the subtree. */
static unsigned first_slot(struct subtree sub, pgoff_t first)
{
	DEBUG_ASSERT(first < sub.start + span(sub.height));
	return first <= sub.start ? 0 : (first - sub.start) >> (TREE_BITS * (sub.height - 1));
}

static unsigned last_slot(struct subtree sub, pgoff_t end)
{
	pgoff_t last = end - sub.start - 1;

	DEBUG_ASSERT(end > sub.start);
	return last >= span(sub.height) ? TREE_FANOUT - 1 : last >> (TREE_BITS * (sub.height - 1));
}

/*
 * Shared nodes that clearing [first, end) has to copy: those at its ends, which it clears only in
 * part.
 */
static unsigned nodes_to_copy(slot_t slot, struct subtree sub, pgoff_t first, pgoff_t end, bool shared)
{
	unsigned left, right, count;

	if (slot == SLOT_EMPTY || subtree_inside(sub, first, end))
		return 0;
	shared |= slot_node(slot)->refs > 1;
	left = first_slot(sub, first);
	right = last_slot(sub, end);
	count = shared;
	count += nodes_to_copy(slot_node(slot)->slots[left], subtree_child(sub, left), first, end, shared);
	if (right != left)
		count += nodes_to_copy(slot_node(slot)->slots[right], subtree_child(sub, right), first, end,
				       shared);
	return count;
}

/* An empty node is never kept: a tree is as large as what it has. */
static bool node_is_empty(const struct node *node)
{
	for (unsigned i = 0; i < TREE_FANOUT; i += SLOTS_AT_ONCE) {
		if (!group_is_empty(&node->slots[i]))
			return false;
	}
	return true;
}

/*
 * Empties [first, end), which meets the subtree at `place`, and frees nodes that become empty. The
 * reserve has the copies that nodes_to_copy() counted.
 */
static void subtree_clear(slot_t *place, struct subtree sub, pgoff_t first, pgoff_t end,
			  struct node_reserve *reserve)
{
	struct node *node;
	unsigned last;

	if (*place == SLOT_EMPTY)
		return;
	if (subtree_inside(sub, first, end)) {
		slot_unref(reserve->family, *place);
		*place = SLOT_EMPTY;
		return;
	}
	node = slot_node(*place);
	if (node->refs > 1) {
		node = reserve_take_copy(reserve, node);
		*place = (slot_t)node;
	}
	DEBUG_ASSERT(node->refs == 1);
	last = last_slot(sub, end);
	for (unsigned i = first_slot(sub, first); i <= last; i++)
		subtree_clear(&node->slots[i], subtree_child(sub, i), first, end, reserve);
	if (node_is_empty(node)) {
		slab_free(&node_cache, node);
		*place = SLOT_EMPTY;
	}
}

/* Copies the shared nodes at the ends of a range, which clearing it would copy. */
static void subtree_unshare(slot_t *place, struct subtree sub, pgoff_t first, pgoff_t end,
			    struct node_reserve *reserve)
{
	struct node *node;
	unsigned left, right;

	if (*place == SLOT_EMPTY || subtree_inside(sub, first, end))
		return;
	node = slot_node(*place);
	if (node->refs > 1) {
		node = reserve_take_copy(reserve, node);
		*place = (slot_t)node;
	}
	left = first_slot(sub, first);
	right = last_slot(sub, end);
	subtree_unshare(&node->slots[left], subtree_child(sub, left), first, end, reserve);
	if (right != left)
		subtree_unshare(&node->slots[right], subtree_child(sub, right), first, end, reserve);
}

int tree_unshare_ends(struct tree *tree, pgoff_t first, pgoff_t end)
{
	struct subtree all = {tree->height, 0};
	struct node_reserve reserve;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (!clip_to_tree(tree, first, &end))
		return 0;
	if (reserve_fill(&reserve, tree->family, nodes_to_copy(tree->root, all, first, end, false)))
		return -ENOMEM;
	subtree_unshare(&tree->root, all, first, end, &reserve);
	DEBUG_ASSERT(reserve.count == 0);
	reserve_drain(&reserve);
	return 0;
}

/*
 * What is shared and all inside the range loses a reference, and is not entered: so clearing takes the
 * time of what is the tree's alone. An empty tree gets height 0 again.
 */
int tree_clear(struct tree *tree, pgoff_t first, pgoff_t end)
{
	struct subtree all = {tree->height, 0};
	struct node_reserve reserve;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (!clip_to_tree(tree, first, &end))
		return 0;
	if (reserve_fill(&reserve, tree->family, nodes_to_copy(tree->root, all, first, end, false)))
		return -ENOMEM;
	subtree_clear(&tree->root, all, first, end, &reserve);
	DEBUG_ASSERT(reserve.count == 0);
	reserve_drain(&reserve);
	if (tree->root == SLOT_EMPTY)
		tree->height = 0;
	return 0;
}

/*
 * Empties what is at `first` and beyond, in shared nodes as in others: whoever shares them loses it, too, and comes by later to give up
 * nodes that have become empty.
 */
static void subtree_cut(struct family *family, slot_t *place, struct subtree sub, pgoff_t first)
{
	struct node *node;

	if (*place == SLOT_EMPTY || sub.start + span(sub.height) <= first)
		return;
	if (first <= sub.start) {
		slot_unref(family, *place);
		*place = SLOT_EMPTY;
		return;
	}
	node = slot_node(*place);
	for (unsigned i = first_slot(sub, first); i < TREE_FANOUT; i++)
		subtree_cut(family, &node->slots[i], subtree_child(sub, i), first);
	if (node_is_empty(node)) {
		node_unref(family, node);
		*place = SLOT_EMPTY;
	}
}

void tree_cut(struct tree *tree, pgoff_t first)
{
	FAMILY_ASSERT_LOCKED(tree->family);
	subtree_cut(tree->family, &tree->root, (struct subtree){tree->height, 0}, first);
	if (tree->root == SLOT_EMPTY)
		tree->height = 0;
}

/* Nodes that tree_shed() drops at a time. */
#define SHED_NODES 8u

/*
 * Drops what is below `place`, a node's, until `budget` nodes of the lowest level, or shared ones,
 * are dropped.
 */
static void subtree_shed(struct family *family, slot_t *place, unsigned height, unsigned *budget)
{
	struct node *node = slot_node(*place);

	DEBUG_ASSERT(height > 0 && height <= TREE_MAX_HEIGHT && *budget > 0 && node);
	for (unsigned i = 0; height > 1 && node->refs == 1 && i < TREE_FANOUT; i++) {
		if (node->slots[i] == SLOT_EMPTY) {
			if (i % SLOTS_AT_ONCE == 0 && group_is_empty(&node->slots[i]))
				i += SLOTS_AT_ONCE - 1;
			continue;
		}
		subtree_shed(family, &node->slots[i], height - 1, budget);
		/* The node stays, without what it has lost: the next turn goes on in it. */
		if (*budget == 0)
			return;
	}
	node_unref(family, node);
	*place = SLOT_EMPTY;
	--*budget;
}

bool tree_shed(struct tree *tree)
{
	unsigned budget = SHED_NODES;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (tree->height > 0 && tree->root != SLOT_EMPTY)
		subtree_shed(tree->family, &tree->root, tree->height, &budget);
	else
		slot_unref(tree->family, tree->root);
	if (tree->height == 0)
		tree->root = SLOT_EMPTY;
	return tree->root != SLOT_EMPTY;
}

/*
 * What of [first, end) is in the subtree, which it meets: nodes that are inside as a whole with one reference more, and those at the ends, of
 * which the reserve has as many as there can be, made anew with what is inside.
 */
static slot_t subtree_share(slot_t slot, struct subtree sub, pgoff_t first, pgoff_t end,
			    struct node_reserve *reserve)
{
	struct node *node;
	unsigned last;

	if (slot == SLOT_EMPTY)
		return SLOT_EMPTY;
	if (subtree_inside(sub, first, end)) {
		slot_ref(reserve->family, slot);
		return slot;
	}
	node = reserve_take_empty(reserve);
	last = last_slot(sub, end);
	for (unsigned i = first_slot(sub, first); i <= last; i++)
		node->slots[i] =
			subtree_share(slot_node(slot)->slots[i], subtree_child(sub, i), first, end, reserve);
	if (!node_is_empty(node))
		return (slot_t)node;
	slab_free(&node_cache, node);
	return SLOT_EMPTY;
}

/* `to` is written last, so that it is still empty after an error. */
int tree_share(struct tree *to, const struct tree *from, pgoff_t first, pgoff_t end)
{
	struct subtree all = {from->height, 0};
	struct node_reserve reserve;
	slot_t root;

	FAMILY_ASSERT_LOCKED(from->family);
	DEBUG_ASSERT(to->root == SLOT_EMPTY && to->height == 0);
	to->family = from->family;
	if (!clip_to_tree(from, first, &end))
		return 0;
	/* As if all nodes were shared already: those at the ends are not to be the source's. */
	if (reserve_fill(&reserve, from->family, nodes_to_copy(from->root, all, first, end, true)))
		return -ENOMEM;
	root = subtree_share(from->root, all, first, end, &reserve);
	DEBUG_ASSERT(reserve.count == 0);
	reserve_drain(&reserve);
	to->root = root;
	to->height = root == SLOT_EMPTY ? 0 : from->height;
	return 0;
}

/* ---- Looking ------------------------------------------------------------------------------- */

/* Resident pages in the part of [first, end) that is in the subtree, which it meets. */
static pgoff_t subtree_count(slot_t slot, struct subtree sub, pgoff_t first, pgoff_t end)
{
	pgoff_t count = 0;
	unsigned last;

	if (slot == SLOT_EMPTY)
		return 0;
	if (sub.height == 0)
		return slot_is_page(slot);
	last = last_slot(sub, end);
	for (unsigned i = first_slot(sub, first); i <= last; i++)
		count += subtree_count(slot_node(slot)->slots[i], subtree_child(sub, i), first, end);
	return count;
}

pgoff_t tree_count(const struct tree *tree, pgoff_t first, pgoff_t end)
{
	FAMILY_ASSERT_LOCKED(tree->family);
	if (!clip_to_tree(tree, first, &end))
		return 0;
	return subtree_count(tree->root, (struct subtree){tree->height, 0}, first, end);
}

/* The node of the lowest level that has the place of `index`, which the tree covers; NULL: none. */
static const struct node *leaf_of(const struct tree *tree, pgoff_t index)
{
	slot_t slot = tree->root;

	DEBUG_ASSERT(tree->height > 0 && tree_covers(tree, index));
	for (unsigned height = tree->height; height > 1 && slot != SLOT_EMPTY; height--)
		slot = slot_node(slot)->slots[slot_index(index, height)];
	return slot_node(slot);
}

/* Node by node: the way down to each is walked once. */
void tree_residency(const struct tree *tree, pgoff_t first, pgoff_t end, unsigned char *vector)
{
	pgoff_t covered = end, next;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (tree->height == 0 || !clip_to_tree(tree, first, &covered)) {
		if (first == 0 && tree->height == 0)
			vector[0] |= slot_is_page(tree->root);
		return;
	}
	for (pgoff_t index = first; index < covered; index = next) {
		const struct node *leaf = leaf_of(tree, index);
		const slot_t *slots;
		unsigned count;

		next = (index | (TREE_FANOUT - 1)) + 1;
		count = (unsigned)((next < covered ? next : covered) - index);
		if (!leaf)
			continue;
		slots = &leaf->slots[index & (TREE_FANOUT - 1)];
		for (unsigned i = 0; i < count; i++)
			vector[index - first + i] |= slot_is_page(slots[i]);
	}
}

/* The first index of [first, end), which meets the subtree, whose slot is not empty; `end`: none. */
static pgoff_t subtree_next(slot_t *place, struct subtree sub, pgoff_t first, pgoff_t end, slot_t **out)
{
	unsigned last;

	if (*place == SLOT_EMPTY)
		return end;
	if (sub.height == 0) {
		*out = place;
		return sub.start;
	}
	last = last_slot(sub, end);
	for (unsigned i = first_slot(sub, first); i <= last; i++) {
		pgoff_t found =
			subtree_next(&slot_node(*place)->slots[i], subtree_child(sub, i), first, end, out);

		if (found < end)
			return found;
	}
	return end;
}

/* Empty subtrees are skipped as a whole: a sparse tree is walked in the time of what it has. */
pgoff_t tree_next(struct tree *tree, pgoff_t first, pgoff_t end, slot_t **out)
{
	pgoff_t clipped = end;
	pgoff_t found;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (!clip_to_tree(tree, first, &clipped))
		return end;
	found = subtree_next(&tree->root, (struct subtree){tree->height, 0}, first, clipped, out);
	DEBUG_ASSERT(found >= first && found <= clipped);
	return found < clipped ? found : end;
}

/* The first node of the lowest level at `first` or beyond that was not looked at in the round; *start: the first index in it. */
static struct node *scan_subtree(slot_t slot, struct subtree sub, pgoff_t first, uint32_t round,
				 pgoff_t *start)
{
	struct node *node, *found = NULL;

	if (slot == SLOT_EMPTY || first >= sub.start + span(sub.height))
		return NULL;
	node = slot_node(slot);
	if (sub.height > 1) {
		for (unsigned i = first_slot(sub, first); i < TREE_FANOUT && !found; i++)
			found = scan_subtree(node->slots[i], subtree_child(sub, i), first, round, start);
		return found;
	}
	if (node->round == round)
		return NULL;
	node->round = round;
	*start = sub.start;
	return node;
}

slot_t *tree_scan(struct tree *tree, pgoff_t *index, uint32_t round, unsigned *count)
{
	struct node *node;

	FAMILY_ASSERT_LOCKED(tree->family);
	if (tree->height == 0) {
		*count = 1;
		return *index == 0 && tree->root != SLOT_EMPTY ? &tree->root : NULL;
	}
	node = scan_subtree(tree->root, (struct subtree){tree->height, 0}, *index, round, index);
	*count = TREE_FANOUT;
	return node ? node->slots : NULL;
}

/* Adds what is in a slot of the lowest level; `shared`: other trees have it as well. */
static void count_usage(struct blob_usage *usage, slot_t slot, bool shared)
{
	const struct page *page = slot_page(slot);
	bool dirty;

	if (slot_is_paged_out(slot)) {
		if (slot_location(slot) == LOCATION_ZERO)
			usage->zeroes++;
		else
			usage->paged_out++;
		return;
	}
	usage->resident++;
	/* What is lent is the lender's to keep, and never written. */
	if (page->state != PAGE_BLOB) {
		usage->lent++;
		usage->shared++;
		return;
	}
	dirty = page_location(page) == 0;
	shared |= page->refs > 1;
	usage->dirty += dirty;
	usage->wired += page->wired > 0;
	usage->shared += shared;
	usage->shared_dirty += shared && dirty;
}

/* Adds the part of [first, end) that is in the subtree, which it meets. */
static void subtree_usage(slot_t slot, struct subtree sub, pgoff_t first, pgoff_t end, bool shared,
			  struct blob_usage *usage)
{
	unsigned last;

	if (slot == SLOT_EMPTY)
		return;
	if (sub.height == 0) {
		count_usage(usage, slot, shared);
		return;
	}
	shared |= slot_node(slot)->refs > 1;
	last = last_slot(sub, end);
	for (unsigned i = first_slot(sub, first); i <= last; i++)
		subtree_usage(slot_node(slot)->slots[i], subtree_child(sub, i), first, end, shared, usage);
}

void tree_usage(const struct tree *tree, pgoff_t first, pgoff_t end, struct blob_usage *usage)
{
	FAMILY_ASSERT_LOCKED(tree->family);
	*usage = (struct blob_usage){0};
	if (clip_to_tree(tree, first, &end))
		subtree_usage(tree->root, (struct subtree){tree->height, 0}, first, end, false, usage);
}

/* From one page that is there to the next, below: what is above hides it. */
void tree_usage_below(struct tree *above, struct tree *below, pgoff_t first, pgoff_t end,
		      struct blob_usage *usage)
{
	slot_t *place;

	while ((first = tree_next(below, first, end, &place)) < end) {
		bool shared;
		slot_t *hiding = tree_find(above, first, &shared);

		/* Others see it, too: those who have the blob below. */
		if (!hiding || *hiding == SLOT_EMPTY)
			count_usage(usage, *place, true);
		first++;
	}
}
