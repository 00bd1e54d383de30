/*
 * A balanced (AVL) search tree, intrusive and augmented, used twice: a map's entries by address,
 * with the largest free gap below each node; and a blob's mappings by offset, with the farthest
 * end below each node. Lookup, insertion and removal take O(log n).
 *
 * The user walks down by itself, since only it knows its keys, and says with an avl_update
 * function how a node's summary follows from its own fields and its children's. That function is
 * given as a constant, so the compiler inlines it. The tree has no lock of its own.
 */
#ifndef KERN_VM_AVL_H
#define KERN_VM_AVL_H

#include <vm/env.h>

struct avl_node {
	struct avl_node *left, *right, *parent;
	uint32_t height; /* 1 for a leaf */
};

/* Recomputes the node's summary; returns whether it changed. */
typedef bool (*avl_update)(struct avl_node *node);

#define AVL_INLINE static inline __attribute__((always_inline))

AVL_INLINE uint32_t avl_height(const struct avl_node *node)
{
	return node ? node->height : 0;
}

AVL_INLINE bool avl_set_height(struct avl_node *node)
{
	uint32_t left = avl_height(node->left);
	uint32_t right = avl_height(node->right);
	uint32_t height = (left > right ? left : right) + 1;
	bool changed = height != node->height;

	node->height = height;
	return changed;
}

/* Puts `to` where `from` hangs; `to` may be NULL. */
AVL_INLINE void avl_replace(struct avl_node **root, struct avl_node *from, struct avl_node *to)
{
	struct avl_node *parent = from->parent;

	if (!parent)
		*root = to;
	else if (parent->left == from)
		parent->left = to;
	else
		parent->right = to;
	if (to)
		to->parent = parent;
}

/* Lifts the left child of `node` above it; returns the child. */
AVL_INLINE struct avl_node *avl_rotate_right(struct avl_node **root, struct avl_node *node, avl_update update)
{
	struct avl_node *up = node->left;

	avl_replace(root, node, up);
	node->left = up->right;
	if (node->left)
		node->left->parent = node;
	up->right = node;
	node->parent = up;
	avl_set_height(node);
	update(node);
	avl_set_height(up);
	update(up);
	return up;
}

AVL_INLINE struct avl_node *avl_rotate_left(struct avl_node **root, struct avl_node *node, avl_update update)
{
	struct avl_node *up = node->right;

	avl_replace(root, node, up);
	node->right = up->left;
	if (node->right)
		node->right->parent = node;
	up->left = node;
	node->parent = up;
	avl_set_height(node);
	update(node);
	avl_set_height(up);
	update(up);
	return up;
}

/* Restores heights, balance and summaries from `node` up, as far as anything still changes. */
AVL_INLINE void avl_repair(struct avl_node **root, struct avl_node *node, avl_update update)
{
	while (node) {
		uint32_t left = avl_height(node->left);
		uint32_t right = avl_height(node->right);
		bool changed = true;

		if (left > right + 1) {
			if (avl_height(node->left->right) > avl_height(node->left->left))
				avl_rotate_left(root, node->left, update);
			node = avl_rotate_right(root, node, update);
		} else if (right > left + 1) {
			if (avl_height(node->right->left) > avl_height(node->right->right))
				avl_rotate_right(root, node->right, update);
			node = avl_rotate_left(root, node, update);
		} else {
			changed = avl_set_height(node);
			changed |= update(node);
		}
		if (!changed)
			return;
		node = node->parent;
	}
}

/* Hangs `node` at `*link`, an empty child link of `parent` (or the root, with parent NULL). */
AVL_INLINE void avl_insert(struct avl_node **root, struct avl_node *parent, struct avl_node **link,
			   struct avl_node *node, avl_update update)
{
	node->left = NULL;
	node->right = NULL;
	node->parent = parent;
	node->height = 1;
	update(node);
	*link = node;
	avl_repair(root, parent, update);
}

/* The node behind `node` in the order; NULL: it is the last. */
AVL_INLINE struct avl_node *avl_next(struct avl_node *node)
{
	struct avl_node *next = node->right;

	if (next) {
		while (next->left)
			next = next->left;
		return next;
	}
	for (next = node->parent; next && node == next->right; next = next->parent)
		node = next;
	return next;
}

/* The node before `node` in the order; NULL: it is the first. */
AVL_INLINE struct avl_node *avl_previous(struct avl_node *node)
{
	struct avl_node *previous = node->left;

	if (previous) {
		while (previous->right)
			previous = previous->right;
		return previous;
	}
	for (previous = node->parent; previous && node == previous->left; previous = previous->parent)
		node = previous;
	return previous;
}

/* Hangs `node` in the order right behind `previous`, which is in the tree. */
AVL_INLINE void avl_insert_after(struct avl_node **root, struct avl_node *previous, struct avl_node *node,
				 avl_update update)
{
	struct avl_node *parent = previous;
	struct avl_node **link = &previous->right;

	while (*link) {
		parent = *link;
		link = &parent->left;
	}
	avl_insert(root, parent, link, node, update);
}

AVL_INLINE void avl_remove(struct avl_node **root, struct avl_node *node, avl_update update)
{
	struct avl_node *successor;
	struct avl_node *repair_from;

	if (!node->left || !node->right) {
		repair_from = node->parent;
		avl_replace(root, node, node->left ? node->left : node->right);
		avl_repair(root, repair_from, update);
		return;
	}
	successor = node->right;
	while (successor->left)
		successor = successor->left;
	repair_from = successor->parent;
	if (repair_from == node) {
		repair_from = successor;
	} else {
		avl_replace(root, successor, successor->right);
		successor->right = node->right;
		successor->right->parent = successor;
	}
	avl_replace(root, node, successor);
	successor->left = node->left;
	successor->left->parent = successor;
	/* Its summary is that of another place. No node has height 0, so a repair cannot take it for right. */
	successor->height = 0;
	avl_repair(root, repair_from, update);
	if (successor->height == 0)
		avl_repair(root, successor, update);
}

#endif
