/*
 * The balanced tree of kern/vm/avl.h, against a plain array: order, links, heights, balance, summaries.
 */
#include "vm_suite.h"

#define ITEMS 96
#define STEPS 3000

/* In the tree by its index; the summary is the largest value below. */
struct item {
	struct avl_node node;
	uint64_t value;
	uint64_t largest;
	bool in_tree; /* the model */
};

static struct item items[ITEMS];
static struct avl_node *root;

static struct item *item_of(const struct avl_node *node)
{
	return (struct item *)node;
}

static bool item_update(struct avl_node *node)
{
	struct item *item = item_of(node);
	uint64_t largest = item->value;
	bool changed;

	if (node->left && item_of(node->left)->largest > largest)
		largest = item_of(node->left)->largest;
	if (node->right && item_of(node->right)->largest > largest)
		largest = item_of(node->right)->largest;
	changed = largest != item->largest;
	item->largest = largest;
	return changed;
}

static void insert(struct item *item)
{
	struct avl_node **link = &root;
	struct avl_node *parent = NULL;

	while (*link) {
		parent = *link;
		link = item < item_of(parent) ? &parent->left : &parent->right;
	}
	avl_insert(&root, parent, link, &item->node, item_update);
	item->in_tree = true;
}

static void take_out(struct item *item)
{
	avl_remove(&root, &item->node, item_update);
	item->in_tree = false;
}

/* Visits a subtree in order: `*next` is the index that the model has next. Returns its height. */
static unsigned check_subtree(const struct avl_node *node, const struct avl_node *parent, size_t *next,
			      bool *good)
{
	uint64_t largest;
	unsigned left, right, height;

	if (!node)
		return 0;
	largest = item_of(node)->value;
	left = check_subtree(node->left, node, next, good);
	while (*next < ITEMS && !items[*next].in_tree)
		(*next)++;
	*good &= CHECK_EQ(item_of(node) - items, *next) & CHECK(node->parent == parent);
	(*next)++;
	right = check_subtree(node->right, node, next, good);
	height = (left > right ? left : right) + 1;
	if (node->left && item_of(node->left)->largest > largest)
		largest = item_of(node->left)->largest;
	if (node->right && item_of(node->right)->largest > largest)
		largest = item_of(node->right)->largest;
	*good &= CHECK_EQ(node->height, height) & CHECK(left <= right + 1 && right <= left + 1) &
		 CHECK_EQ(item_of(node)->largest, largest);
	return height;
}

static bool check_tree(void)
{
	bool good = true;
	size_t next = 0;

	check_subtree(root, NULL, &next, &good);
	while (next < ITEMS)
		good &= CHECK(!items[next++].in_tree);
	return good;
}

static void start_empty(const char *name)
{
	test_case(name);
	memset(items, 0, sizeof(items));
	root = NULL;
}

/* What a step does to an item that is in the tree already. */
static void change(struct rng *rng, struct item *item)
{
	if (rng_below(rng, 3)) {
		take_out(item);
		return;
	}
	item->value = rng_below(rng, 1000);
	avl_repair(&root, &item->node, item_update);
}

static void random_steps(uint64_t seed)
{
	struct rng rng = {seed};

	for (unsigned step = 0; step < STEPS; step++) {
		struct item *item = &items[rng_below(&rng, ITEMS)];

		if (item->in_tree) {
			change(&rng, item);
		} else {
			item->value = rng_below(&rng, 1000);
			insert(item);
		}
		if (!check_tree()) {
			test_print("# avl: seed %llu, step %u", (unsigned long long)seed, step);
			return;
		}
	}
}

static bool fill_in_order(bool ascending)
{
	bool good = true;

	for (size_t i = 0; i < ITEMS && good; i++) {
		struct item *item = &items[ascending ? i : ITEMS - 1 - i];

		item->value = i;
		insert(item);
		good = check_tree();
	}
	return good;
}

void suite_avl(void)
{
	start_empty("ascending insertion, removal at the root");
	fill_in_order(true);
	while (root) {
		take_out(item_of(root));
		if (!check_tree())
			break;
	}

	start_empty("descending insertion, removal at the left end");
	fill_in_order(false);
	for (size_t i = 0; i < ITEMS; i++) {
		take_out(&items[i]);
		if (!check_tree())
			break;
	}
	CHECK(root == NULL);

	start_empty("random insertions, removals and changes");
	for (uint64_t seed = 1; seed <= 3; seed++) {
		random_steps(seed);
		memset(items, 0, sizeof(items));
		root = NULL;
	}
}
