/*
 * Invariant checkers: what has to be true of maps, blobs and their translations while nobody changes
 * them.
 *
 * There are rules of an entry and its map (the map's lock held), rules of a family of blobs (the
 * family's lock), and rules of a translation (the family's lock as well, since without it nobody
 * enters or forgets one). map_verify() and blob_verify() check all of them; debug builds check a
 * part whenever a lock is given back (the slices at the end). A rule that is broken is a panic that
 * names the object, the address and the rule. Nothing is changed but marks. The page allocator's
 * rules are page_check()'s in page.c.
 */
#include <vm/layout.h>

#include "vm_internal.h"

#define MAP_RULE(map, address, rule, condition)                                          \
	do {                                                                             \
		if (unlikely(!(condition)))                                              \
			panic("map \"%s\" at %#lx: %s", (map)->name, (address), (rule)); \
	} while (0)

#define ENTRY_RULE(entry, rule, condition) MAP_RULE((entry)->map, (entry)->start, rule, condition)

/* `index` is a tree index, as the blob's base and its window of the tree are. */
#define BLOB_RULE(blob, index, rule, condition)                                                         \
	do {                                                                                            \
		if (unlikely(!(condition)))                                                             \
			panic("blob %p at page %#lx: %s", (const void *)(blob), (unsigned long)(index), \
			      (rule));                                                                  \
	} while (0)

/* The larger of two. */
static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What is wrong with a node's links, height and balance; NULL: nothing. */
static const char *avl_complaint(const struct avl_node *root, const struct avl_node *node)
{
	uint32_t left = avl_height(node->left);
	uint32_t right = avl_height(node->right);

	if (node->parent ? node->parent->left != node && node->parent->right != node : root != node)
		return "tree: not its parent's child";
	if ((node->left && node->left->parent != node) || (node->right && node->right->parent != node))
		return "tree: not its child's parent";
	if (node->height != most(left, right) + 1)
		return "tree: height";
	return left > right + 1 || right > left + 1 ? "tree: balance" : NULL;
}

/* ---- Blobs: mappings and wirings ----------------------------------------------------------------- */

/* A blob's mappings are linked by `by_offset`, which is not an entry's first member. */
static struct map_entry *entry_of_mapping(struct avl_node *node)
{
	return (struct map_entry *)((char *)node - offsetof(struct map_entry, by_offset));
}

/* Where the mappings below a node end. */
static pgoff_t farthest_below(struct avl_node *node)
{
	return node ? entry_of_mapping(node)->farthest : 0;
}

/* One node of a blob's mappings, as far as it can be said without the others. Family locked. */
static void check_mapping(struct blob *blob, struct avl_node *node)
{
	const struct map_entry *entry = entry_of_mapping(node);
	pgoff_t index = blob->base + entry->offset;
	pgoff_t end = entry->offset + entry_pages(entry);
	const char *complaint = avl_complaint(blob->mappings, node);

	FAMILY_ASSERT_LOCKED(blob->family);
	BLOB_RULE(blob, index, complaint, !complaint);
	BLOB_RULE(blob, index, "a mapping of another blob", entry->blob == blob);
	BLOB_RULE(blob, index, "a mapping outside the blob", entry->offset < end && end <= blob->pages);
	BLOB_RULE(blob, index, "a wiring that is not wired", entry->map || entry->wired);
	BLOB_RULE(blob, index, "wired on fault, and not wired", entry->wired || !entry->on_fault);
	BLOB_RULE(blob, index, "order of mappings",
		  !node->left || entry_of_mapping(node->left)->offset <= entry->offset);
	BLOB_RULE(blob, index, "order of mappings",
		  !node->right || entry_of_mapping(node->right)->offset >= entry->offset);
	BLOB_RULE(blob, index, "farthest end of mappings",
		  entry->farthest ==
			  most(end, most(farthest_below(node->left), farthest_below(node->right))));
}

/*
 * A wiring promises that each of its pages is there; unless it is one on fault, or a smaller extent has taken some. Fixed blobs have no
 * other pages than those that are. Family locked.
 */
static void check_wiring(struct blob *blob, const struct map_entry *entry)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	if (blob->fixed || entry->on_fault || (blob->family->extent_was_cut && !entry->held))
		return;
	for (pgoff_t i = 0; i < entry_pages(entry); i++) {
		pgoff_t index = blob->base + entry->offset + i;
		bool shared;
		slot_t *place = tree_find(&blob->tree, index, &shared);

		BLOB_RULE(blob, index, "a wired page is not resident", place && slot_is_page(*place));
	}
}

/* What a walk of a blob's mappings has counted. */
struct mapping_count {
	uint32_t all, wired;
	pgoff_t highest; /* offset so far */
};

/*
 * Walks the mappings below a node by ascending offset, checks each, and adds them to *count. Family
 * locked.
 */
static void check_mappings(struct blob *blob, struct avl_node *node, struct mapping_count *count)
{
	const struct map_entry *entry;

	if (!node)
		return;
	check_mapping(blob, node);
	check_mappings(blob, node->left, count);
	entry = entry_of_mapping(node);
	BLOB_RULE(blob, blob->base + entry->offset, "order of mappings", entry->offset >= count->highest);
	count->highest = entry->offset;
	count->all++;
	count->wired += entry->wired;
	if (entry->wired)
		check_wiring(blob, entry);
	check_mappings(blob, node->right, count);
}

/* A visit that counts the mappings that are wired; *context is an unsigned. */
static void count_wired(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)first, (void)end;
	*(unsigned *)context += entry->wired;
}

/* The wirings over all blobs of the family whose trees lead to the page at `index`. */
static unsigned wirings_of_page(struct family *family, const struct page *page, pgoff_t index)
{
	unsigned count = 0;

	FAMILY_ASSERT_LOCKED(family);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		pgoff_t offset = index - blob->base;
		slot_t *place;
		bool shared;

		if (blob->wired_count == 0 || offset >= blob->pages)
			continue;
		place = tree_find(&blob->tree, index, &shared);
		if (place && *place == slot_of_page((struct page *)page))
			blob_for_each_mapping(blob, offset, offset + 1, count_wired, &count);
	}
	return count;
}

/* ---- Blobs: trees -------------------------------------------------------------------------------- */

/* A page that a tree has at `index`: of the family's own, or lent by a pager. Family locked. */
static void check_page(struct blob *blob, pgoff_t index, const struct page *page)
{
	if (page->state != PAGE_BLOB) {
		BLOB_RULE(blob, index, "a page that is neither a blob's nor lent",
			  page->state == PAGE_KERNEL || page->state == PAGE_MODULE);
		BLOB_RULE(blob, index, "a lent page is not its lender's any more", page->refs >= 2);
		return;
	}
	BLOB_RULE(blob, index, "a page of another family", page->owner == blob->family);
	BLOB_RULE(blob, index, "a page of another index", page->index == index);
	BLOB_RULE(blob, index, "a page without references", page->refs >= 1);
	BLOB_RULE(blob, index, "a page has a location, and the family no store",
		  page_location(page) == 0 || blob->family->store);
}

/* What is at an index of a blob's tree, and not empty. */
static void check_leaf(struct blob *blob, pgoff_t index, slot_t slot)
{
	BLOB_RULE(blob, index, "something outside the blob", index - blob->base < blob->pages);
	BLOB_RULE(blob, index, "something beyond the extent", index < blob->family->extent);
	if (slot_is_page(slot)) {
		check_page(blob, index, slot_page(slot));
		return;
	}
	BLOB_RULE(blob, index, "a node where a page should be", slot_is_paged_out(slot));
	BLOB_RULE(blob, index, "paged out, and the family has no store", blob->family->store);
	BLOB_RULE(blob, index, "paged out to nowhere", slot_location(slot) != 0);
}

/* Does the slot have a page that counts its wirings, and whose descriptor is the family's to mark? */
static bool is_own_page(slot_t slot)
{
	return slot_is_page(slot) && slot_page(slot)->state == PAGE_BLOB;
}

/*
 * First visit: checks what is in the subtree's slots, and marks each node and each page of the
 * family's with the number of slots that lead to it. What is below a node is seen with the first of
 * them only.
 */
static void mark_subtree(struct blob *blob, slot_t slot, unsigned height, pgoff_t start)
{
	bool empty = true;
	struct node *node;

	DEBUG_ASSERT(height <= TREE_MAX_HEIGHT);
	if (slot == SLOT_EMPTY)
		return;
	if (height == 0) {
		check_leaf(blob, start, slot);
		if (is_own_page(slot))
			slot_page(slot)->scratch++;
		return;
	}
	BLOB_RULE(blob, start, "a page where a node should be",
		  !slot_is_page(slot) && !slot_is_paged_out(slot));
	node = slot_node(slot);
	if (node->scratch++ > 0)
		return;
	height--;
	for (unsigned i = 0; i < TREE_FANOUT; i++) {
		empty &= node->slots[i] == SLOT_EMPTY;
		mark_subtree(blob, node->slots[i], height, start + ((pgoff_t)i << (TREE_BITS * height)));
	}
	/* The tree of a blob that goes is emptied bit by bit. */
	BLOB_RULE(blob, start, "an empty node", !empty || blob->refs == 0);
}

/* Second visit: compares the marks with the references, and removes them. */
static void compare_subtree(struct blob *blob, slot_t slot, unsigned height, pgoff_t start)
{
	struct node *node;

	if (slot == SLOT_EMPTY)
		return;
	if (height == 0) {
		struct page *page = slot_page(slot);

		if (!is_own_page(slot) || page->scratch == 0)
			return;
		BLOB_RULE(blob, start, "more slots than references to a page", page->scratch <= page->refs);
		page->scratch = 0;
		BLOB_RULE(blob, start, "wirings of a page",
			  page->wired == wirings_of_page(blob->family, page, start));
		return;
	}
	node = slot_node(slot);
	if (node->scratch == 0)
		return;
	BLOB_RULE(blob, start, "references to a node", node->scratch == node->refs);
	node->scratch = 0;
	height--;
	for (unsigned i = 0; i < TREE_FANOUT; i++)
		compare_subtree(blob, node->slots[i], height, start + ((pgoff_t)i << (TREE_BITS * height)));
}

/* ---- Blobs and families -------------------------------------------------------------------------- */

/* What can be said of a blob in constant time. */
static void check_blob_itself(struct blob *blob)
{
	struct family *family = blob->family;

	BLOB_RULE(blob, blob->base, "size", blob->pages > 0 && blob->base + blob->pages > blob->base);
	BLOB_RULE(blob, blob->base, "the tree is of another family", blob->tree.family == family);
	BLOB_RULE(blob, blob->base, "height of the tree", blob->tree.height <= TREE_MAX_HEIGHT);
	BLOB_RULE(blob, blob->base, "pages of its own in a blob of fixed frames",
		  !blob->fixed || blob->tree.root == SLOT_EMPTY);
	BLOB_RULE(blob, blob->base, "contiguous, and not of fixed frames", blob->fixed || !blob->contiguous);
	BLOB_RULE(blob, blob->base, "more mappings than references", blob->mapping_count <= blob->refs);
	BLOB_RULE(blob, blob->base, "more wirings than mappings", blob->wired_count <= blob->mapping_count);
	BLOB_RULE(blob, blob->base, "an extent of fixed frames",
		  !blob->fixed || family->extent == EXTENT_NONE);
	BLOB_RULE(blob, blob->base, "list of the family",
		  (blob->previous ? blob->previous->next : family->blobs) == blob &&
			  (!blob->next || blob->next->previous == blob));
}

/* The frames of a contiguous blob are in no tree, but are its own from its beginning to its end. */
static void check_contiguous(struct blob *blob)
{
	struct page *first = page_from_paddr(blob->fixed_start);

	for (pgoff_t i = 0; i < blob->pages; i++)
		BLOB_RULE(blob, i, "a frame of its own is somebody else's", first[i].state == PAGE_KERNEL);
}

/* All rules of one blob, its tree's contents apart (mark_subtree). Family locked. */
static void check_blob(struct blob *blob)
{
	struct mapping_count count = {0};
	pgoff_t end = blob->base + blob->pages;
	slot_t *place;

	FAMILY_ASSERT_LOCKED(blob->family);
	check_blob_itself(blob);
	check_mappings(blob, blob->mappings, &count);
	BLOB_RULE(blob, blob->base, "number of mappings", count.all == blob->mapping_count);
	BLOB_RULE(blob, blob->base, "number of wirings", count.wired == blob->wired_count);
	if (blob->contiguous)
		check_contiguous(blob);
	/*
	 * Nodes that were seen in another blob's tree are not entered again, so what that one may
	 * have is asked for here.
	 */
	BLOB_RULE(blob, blob->base, "something before the blob",
		  tree_next(&blob->tree, 0, blob->base, &place) == blob->base);
	BLOB_RULE(blob, end, "something behind the blob",
		  tree_next(&blob->tree, end, UINT64_MAX, &place) == UINT64_MAX);
}

/* Those in the blob's list, and itself if it is one, which that cancels out over the family (modulo 2^32). Family locked. */
static uint32_t check_overlays(struct blob *blob)
{
	uint32_t listed = 0;
	const char *complaint = overlay_complaint(blob, &listed);

	BLOB_RULE(blob, blob->base, complaint, !complaint);
	return listed - (blob->below != NULL);
}

/* All rules of a family but those of translations. Family locked. */
static void check_family(struct family *family)
{
	uint32_t count = 0, wired = 0, overlays = 0;

	FAMILY_ASSERT_LOCKED(family);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		count++;
		wired += blob->wired_count;
		BLOB_RULE(blob, blob->base, "in the list of another family", blob->family == family);
		check_blob_itself(blob);
		mark_subtree(blob, blob->tree.root, blob->tree.height, 0);
	}
	if (unlikely(count != family->count))
		panic("blob family %p: %u blobs, and %u are counted", (void *)family, count, family->count);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		check_blob(blob);
		overlays += check_overlays(blob);
		compare_subtree(blob, blob->tree.root, blob->tree.height, 0);
	}
	if (unlikely(overlays != 0))
		panic("blob family %p: overlays that are not in their lists", (void *)family);
	if (unlikely(wired != family->wired_count))
		panic("blob family %p: %u wirings, and %u are counted", (void *)family, wired,
		      family->wired_count);
}

/* ---- Translations -------------------------------------------------------------------------------- */

/* A machine that cannot withhold the right to execute shows it even where nothing is ever executed. */
static bool machine_withholds_exec(void)
{
	return !(pmap_query(&kernel_pmap, LAYOUT_PHYSICAL_START).prot & VM_EXEC);
}

/*
 * The translation of `va`, where the entry shows `page` (NULL: nothing), which may be written to if
 * `writable`. Returns whether there is one. The family of the entry's blob is locked.
 */
static bool check_translation(const struct map_entry *entry, vaddr_t va, const struct page *page,
			      bool writable)
{
	const struct map *map = entry->map;
	struct pmap_query found = pmap_query(map->pmap, va);
	vm_prot_t beyond = found.prot & ~(entry->prot | VM_READ);

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	if (!found.page)
		return false;
	MAP_RULE(map, va, "a translation, and the blob has no page", page);
	MAP_RULE(map, va, "a translation to another page than the blob's", found.page == page);
	MAP_RULE(map, va, "a translation, and the entry allows no access", entry->prot != 0);
	MAP_RULE(map, va, "a translation may write, and the entry not", !(beyond & VM_WRITE));
	MAP_RULE(map, va, "a translation may execute, and the entry not",
		 !(beyond & VM_EXEC) || !machine_withholds_exec());
	MAP_RULE(map, va, "a translation for ring 3 in a map of the kernel's",
		 map->user || !(found.prot & VM_USER));
	MAP_RULE(map, va, "a translation may write a page that is shared or clean",
		 writable || !(found.prot & VM_WRITE));
	return true;
}

/* May the blob's translations of a page write to it? */
static bool is_writable(const struct page *page, bool shared)
{
	return !shared && page->state == PAGE_BLOB && page->refs == 1 && page_location(page) == 0;
}

/* The same for whatever the entry shows at `offset`, in pages of its blob. */
static bool check_translation_at(const struct map_entry *entry, pgoff_t offset)
{
	struct blob *blob = entry->blob;
	vaddr_t va = entry->start + pages_to_bytes(offset - entry->offset);
	struct page *page = NULL;
	bool shared, own;
	slot_t *place, slot;

	if (blob->fixed)
		return check_translation(entry, va,
					 page_from_paddr(blob->fixed_start + pages_to_bytes(offset)), true);
	place = tree_find(&blob->tree, blob->base + offset, &shared);
	own = place && *place != SLOT_EMPTY;
	slot = blob_shown(blob, blob->base + offset);
	if (slot_is_page(slot))
		page = slot_page(slot);
	else if (slot == SLOT_EMPTY && blob->family->zeroes && (entry_shows_zeroes(entry) || blob->below))
		page = page_of_zeroes;
	return check_translation(entry, va, page, own && page && is_writable(page, shared));
}

/* All translations of an entry. Returns how many. */
static uint64_t check_translations(const struct map_entry *entry)
{
	struct pmap *pmap = entry->map->pmap;
	uint64_t count = 0;

	FAMILY_ASSERT_LOCKED(entry->blob->family);
	for (vaddr_t va = entry->start; (va = pmap_next(pmap, va, entry->end)) < entry->end; va += PAGE_SIZE)
		count += check_translation_at(entry, entry->offset + ((va - entry->start) >> PAGE_SHIFT));
	return count;
}

/* Wirings without a map have no translations. */
static void visit_translations(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)first, (void)end, (void)context;
	if (entry->map)
		check_translations(entry);
}

void blob_verify(struct blob *blob)
{
	struct family *family = blob->family;
	bool listed = false;

	spin_lock(&family->lock);
	for (struct blob *member = family->blobs; member; member = member->next)
		listed |= member == blob;
	BLOB_RULE(blob, blob->base, "not in the list of its family", listed);
	check_family(family);
	for (struct blob *member = family->blobs; member; member = member->next)
		blob_for_each_mapping(member, 0, member->pages, visit_translations, NULL);
	spin_unlock(&family->lock);
}

/* ---- Entries ------------------------------------------------------------------------------------- */

/* A submap of the map tree's own. */
static bool is_own_submap(const struct map_entry *entry)
{
	return entry->submap && entry->submap->top == entry->map->top;
}

/* The widest gap below a node, which may be none. */
static uint64_t widest_below(const struct avl_node *node)
{
	return node ? ((const struct map_entry *)node)->widest : 0;
}

/* The entry's place among its neighbours, in the list and in the tree. */
static void check_place(const struct map *map, const struct map_entry *entry)
{
	const struct avl_node *node = &entry->by_address;
	vaddr_t before = entry->previous ? entry->previous->end : map->start;
	const char *complaint = avl_complaint(map->entries, node);

	MAP_RULE(map, entry->start, "an entry of another map", entry->map == map);
	ENTRY_RULE(entry, "range", entry->start < entry->end && page_aligned(entry->start | entry->end));
	ENTRY_RULE(entry, "list: the one before",
		   (entry->previous ? entry->previous->next : map->first) == entry);
	ENTRY_RULE(entry, "list: the next", (entry->next ? entry->next->previous : map->last) == entry);
	ENTRY_RULE(entry, "order of entries", before <= entry->start);
	ENTRY_RULE(entry, "outside the map", map->start <= entry->start && entry->end <= map->end);
	ENTRY_RULE(entry, "gap", entry->gap == entry->start - before);
	ENTRY_RULE(entry, complaint, !complaint);
	ENTRY_RULE(entry, "order in the tree", !node->left || entry_of(node->left)->end <= entry->start);
	ENTRY_RULE(entry, "order in the tree", !node->right || entry_of(node->right)->start >= entry->end);
	ENTRY_RULE(entry, "widest gap",
		   entry->widest ==
			   most(entry->gap, most(widest_below(node->left), widest_below(node->right))));
}

/* An entry and the submap behind it: what they say of one another. */
static void check_submap(const struct map_entry *entry)
{
	const struct map *map = entry->map;
	const struct map *submap = entry->submap;
	const struct arena *arena = submap->arena;

	ENTRY_RULE(entry, "bounds of the submap", submap->start == entry->start && submap->end == entry->end);
	ENTRY_RULE(entry, "references to the submap", submap->refs >= 1);
	ENTRY_RULE(entry, "range of the arena",
		   !arena || (arena->refs >= 1 && submap->start >= arena->start &&
			      submap->end - arena->start <= arena->bytes));
	if (!is_own_submap(entry)) {
		ENTRY_RULE(entry, "top of the submap", submap->top == submap && map->depth == 0);
		return;
	}
	ENTRY_RULE(entry, "depth of the submap",
		   submap->depth == map->depth + 1 && submap->depth <= MAP_MAX_DEPTH);
	ENTRY_RULE(entry, "ceiling of the submap", !(submap->ceiling & ~map->ceiling));
	ENTRY_RULE(entry, "the submap's lock, page tables or ring",
		   submap->lock == map->lock && submap->pmap == map->pmap && submap->user == map->user);
}

/* What the entry refers to, by its kind. */
static void check_kind(const struct map_entry *entry)
{
	bool blob = entry->blob != NULL, submap = entry->submap != NULL, entity = entry->entity != NULL;

	ENTRY_RULE(entry, "kind", entry->kind <= ENTRY_SUBMAP);
	ENTRY_RULE(entry, "a blob", blob == (entry->kind == ENTRY_BLOB));
	ENTRY_RULE(entry, "a submap", submap == (entry->kind == ENTRY_SUBMAP || entry->kind == ENTRY_ENTITY));
	ENTRY_RULE(entry, "an entity", entity == (entry->kind == ENTRY_ENTITY));
	ENTRY_RULE(entry, "references to the entity", !entity || entry->entity->refs >= 1);
	ENTRY_RULE(entry, "a permanent part of the layout",
		   !entry->permanent || (entry->map->depth == 0 &&
					 (entry->kind == ENTRY_RESERVED || entry->kind == ENTRY_SUBMAP)));
	ENTRY_RULE(entry, "wired, and no blob's", !entry->wired || blob);
	ENTRY_RULE(entry, "a mapping's, and no blob's", blob || (!entry->label && !entry->grows_down));
	ENTRY_RULE(entry, "a kernel's wiring", !entry->held);
	ENTRY_RULE(entry, "references to the label", !entry->label || entry->label->refs >= 1);
	if (submap)
		check_submap(entry);
}

/* An entry, as far as it can be said with the map's lock alone. */
static void check_entry(const struct map *map, const struct map_entry *entry)
{
	check_place(map, entry);
	ENTRY_RULE(entry, "rights beyond the map's ceiling", !(entry->max_prot & ~map->ceiling));
	ENTRY_RULE(entry, "rights beyond the entry's limit", !(entry->prot & ~entry->max_prot));
	ENTRY_RULE(entry, "inheritance", entry->inherit <= INHERIT_NONE);
	ENTRY_RULE(entry, "advice", entry->advice <= ADVISE_CLUSTER);
	ENTRY_RULE(entry, "what a fork does",
		   !(entry->fork & ~(FORK_OMIT | FORK_WIPE | DUMP_OMIT)) &&
			   (entry->kind == ENTRY_BLOB || entry->fork == 0));
	check_kind(entry);
}

/* The entry is in its blob's mappings: from there one comes to their root. Family locked. */
static void check_is_mapping(const struct map_entry *entry)
{
	struct blob *blob = entry->blob;
	const struct avl_node *node = &entry->by_offset;

	FAMILY_ASSERT_LOCKED(blob->family);
	for (;;) {
		const char *complaint = avl_complaint(blob->mappings, node);

		if (unlikely(complaint))
			panic("map \"%s\" at %#lx: not among its blob's mappings: %s", entry->map->name,
			      entry->start, complaint);
		if (!node->parent)
			return;
		node = node->parent;
	}
}

/* ---- Maps ---------------------------------------------------------------------------------------- */

/* What can be said of a map without its entries. Map locked. */
static void check_map_itself(const struct map *map)
{
	MAP_ASSERT_LOCKED(map);
	MAP_RULE(map, map->start, "bounds of the map", map->start < map->end);
	MAP_RULE(map, map->start, "references to the map", map->refs >= 1);
	MAP_RULE(map, map->start, "rights that do not exist in the ceiling", !(map->ceiling & ~VM_ALL));
	if (map->top == map)
		MAP_RULE(map, map->start, "a top's lock or depth",
			 map->lock == &map->own_lock && map->depth == 0);
}

/* The tree has the entries of the list, in their order; *expected is the list's next. */
static void check_order(const struct map *map, struct avl_node *node, const struct map_entry **expected)
{
	const struct map_entry *entry;

	if (!node)
		return;
	entry = entry_of(node);
	check_place(map, entry);
	check_order(map, node->left, expected);
	MAP_RULE(map, entry->start, "tree and list differ", entry == *expected);
	*expected = entry->next;
	check_order(map, node->right, expected);
}

/* All rules of a map's own entries that need no other lock. */
static void check_own_entries(const struct map *map)
{
	const struct map_entry *expected = map->first;
	uint64_t count = 0;

	MAP_ASSERT_LOCKED(map);
	check_map_itself(map);
	check_order(map, map->entries, &expected);
	MAP_RULE(map, expected ? expected->start : map->start, "tree and list differ", !expected);
	MAP_RULE(map, map->start, "the last entry", !map->first == !map->last);
	for (const struct map_entry *entry = map->first; entry; entry = entry->next) {
		check_entry(map, entry);
		count++;
	}
	MAP_RULE(map, map->start, "number of entries", count == map->entry_count);
}

/* A map_verify() under way. */
struct verification {
	uint32_t number;                /* families that were checked by it are marked with this */
	const struct map_entry *recent; /* that the top remembers */
	bool recent_seen;
	uint64_t translations;  /* found so far */
	struct map_usage usage; /* likewise */
};

static _Atomic uint32_t verifications;

/* Adds what an entry maps: the definitions of vm.h, said another way than entry_account() does. */
static void add_usage(struct map_usage *usage, const struct map_entry *entry)
{
	uint64_t pages = entry_pages(entry);
	bool blob = entry->kind == ENTRY_BLOB;
	bool write = entry->prot & VM_WRITE, exec = entry->prot & VM_EXEC;
	bool private = entry->inherit != INHERIT_SHARE;

	if (!blob && (entry->kind != ENTRY_RESERVED || entry->permanent))
		return;
	usage->entries++;
	usage->pages += pages;
	usage->wired += entry->wired ? pages : 0;
	usage->shared += blob && !private ? pages : 0;
	usage->stack += entry->grows_down ? pages : 0;
	usage->data += private && write && !entry->grows_down ? pages : 0;
	usage->exec += exec && !write && !entry->grows_down ? pages : 0;
}

/* The top's counts are those of all entries. */
static void check_usage(const struct map *map, const struct map_usage *found)
{
	const struct map_usage *usage = &map->usage;

	MAP_ASSERT_LOCKED(map);
	MAP_RULE(map, map->start, "counted entries", usage->entries == found->entries);
	MAP_RULE(map, map->start, "counted pages", usage->pages == found->pages);
	MAP_RULE(map, map->start, "counted pages of data", usage->data == found->data);
	MAP_RULE(map, map->start, "counted pages of stacks", usage->stack == found->stack);
	MAP_RULE(map, map->start, "counted executable pages", usage->exec == found->exec);
	MAP_RULE(map, map->start, "counted shared pages", usage->shared == found->shared);
	MAP_RULE(map, map->start, "counted wired pages", usage->wired == found->wired);
	MAP_RULE(map, map->start, "labels that are still to go", !map->dropped);
}

/*
 * The blob's side of an entry; the family as a whole only once in a map_verify(), however many entries
 * show it. Map locked.
 */
static void verify_blob_entry(struct verification *run, const struct map_entry *entry)
{
	struct family *family = entry->blob->family;

	spin_lock(&family->lock);
	if (family->verified != run->number) {
		check_family(family);
		family->verified = run->number;
	}
	check_is_mapping(entry);
	run->translations += check_translations(entry);
	spin_unlock(&family->lock);
}

/* The map's entries, and those of submaps that have the same lock. */
static void verify_entries(struct verification *run, const struct map *map)
{
	MAP_ASSERT_WRITING(map);
	check_own_entries(map);
	for (const struct map_entry *entry = map->first; entry; entry = entry->next) {
		run->recent_seen |= entry == run->recent;
		add_usage(&run->usage, entry);
		if (entry->blob)
			verify_blob_entry(run, entry);
		else if (is_own_submap(entry))
			verify_entries(run, entry->submap);
	}
}

/*
 * A translation more than those that entries and blobs explain is a stray. The map is locked to
 * write, so no fault enters any; others who share the blobs may take some away meanwhile, so that
 * there were between `before` and `after`.
 */
static void check_translation_count(const struct map *map, uint64_t found, uint64_t before)
{
	uint64_t after = pmap_stats(map->pmap).resident_pages;

	if (unlikely(found > before || found < after))
		panic("map \"%s\": %lu translations, and its entries explain %lu", map->name,
		      (unsigned long)after, (unsigned long)found);
}

/* Nobody has written to the page of zeroes. */
static void check_zeroes(void)
{
	const uint64_t *words = page_data(page_of_zeroes);

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
		if (unlikely(words[i] != 0))
			panic("the page of zeroes has %#lx at offset %zu", (unsigned long)words[i],
			      i * sizeof(*words));
	}
}

void map_verify(struct map *map)
{
	struct verification run = {.number = ++verifications};
	bool is_root = map->top == map && map->user;
	uint64_t before = 0;

	check_zeroes();
	rw_write_lock(map->lock);
	if (is_root)
		before = pmap_stats(map->pmap).resident_pages;
	run.recent = map->top->recent;
	verify_entries(&run, map);
	if (map->top == map) {
		MAP_RULE(map, map->start, "the entry of the last fault is gone",
			 !run.recent || run.recent_seen);
		check_usage(map, &run.usage);
	}
	if (is_root)
		check_translation_count(map, run.translations, before);
	rw_write_unlock(map->lock);
}

/* ---- Slices: what debug builds check whenever a lock is given back --------------------------------- */

#ifdef DEBUG

#define SLICE_ENTRIES 16
#define SLICE_SLOTS   4
#define SLICE_PAGES   4  /* of one entry */
#define SLICE_BLOBS   16 /* of a family, the youngest, take turns */
#define TURN_FACTOR   2654435769u
#define TURN_SHIFT    16

/* Up to this size a map's own entries, or a family, are checked as a whole. */
#define SMALL_ENTRIES  8
#define SMALL_BLOBS    2
#define SMALL_HEIGHT   1
#define SMALL_MAPPINGS 8

struct slice {
	vaddr_t cursor; /* where it goes on */
	unsigned left;  /* entries still to be checked */
	bool blob_seen; /* of one entry in a slice the blob's side is checked, too */
};

/* A part of what verify_blob_entry() checks. */
static void slice_blob_entry(const struct map_entry *entry)
{
	struct family *family = entry->blob->family;
	pgoff_t pages = entry_pages(entry);

	spin_lock(&family->lock);
	check_is_mapping(entry);
	for (pgoff_t i = 0; i < pages && i < SLICE_PAGES; i++)
		check_translation_at(entry, entry->offset + i);
	spin_unlock(&family->lock);
}

/* Checks entries from the cursor on, into submaps, until the slice is used up, and moves the cursor. */
static void slice_entries(struct slice *slice, struct map *map)
{
	struct map_entry *entry = map_first_above(map, slice->cursor);

	MAP_ASSERT_WRITING(map);
	check_map_itself(map);
	for (; entry && slice->left > 0; entry = entry->next) {
		check_entry(map, entry);
		slice->left--;
		if (entry->blob && !slice->blob_seen) {
			slice->blob_seen = true;
			slice_blob_entry(entry);
		}
		if (is_own_submap(entry)) {
			slice_entries(slice, entry->submap);
			if (slice->left == 0)
				return;
		}
		slice->cursor = entry->end;
	}
}

void map_check_slice(struct map *map)
{
	struct map *top = map->top;
	struct slice slice = {.cursor = top->check_cursor, .left = SLICE_ENTRIES};

	MAP_ASSERT_WRITING(map);
	if (map->entry_count <= SMALL_ENTRIES)
		check_own_entries(map);
	slice_entries(&slice, top);
	top->check_cursor = slice.left > 0 ? 0 : slice.cursor;
}

/* Does it cost little to check all of the family? Family locked. */
static bool is_small(const struct family *family)
{
	FAMILY_ASSERT_LOCKED(family);
	if (family->count > SMALL_BLOBS)
		return false;
	for (const struct blob *blob = family->blobs; blob; blob = blob->next) {
		if (blob->tree.height > SMALL_HEIGHT || blob->mapping_count > SMALL_MAPPINGS)
			return false;
	}
	return true;
}

/* The translation at the one page that is looked at. */
static void visit_slot(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)end, (void)context;
	if (entry->map)
		check_translation_at(entry, first);
}

/* Are there so few wirings that those of a page can be counted at every unlock? */
static bool has_few_wirings(const struct family *family)
{
	if (family->count > SLICE_BLOBS)
		return false;
	for (const struct blob *blob = family->blobs; blob; blob = blob->next) {
		if (blob->wired_count > SMALL_MAPPINGS)
			return false;
	}
	return true;
}

/* What is at one index, and, where there are few, the wirings and the mappings that show it. */
static void slice_slot(struct blob *blob, pgoff_t index, slot_t slot)
{
	struct family *family = blob->family;
	pgoff_t offset = index - blob->base;

	check_leaf(blob, index, slot);
	if (is_own_page(slot) && has_few_wirings(family))
		BLOB_RULE(blob, index, "wirings of a page",
			  slot_page(slot)->wired == wirings_of_page(family, slot_page(slot), index));
	if (blob->mapping_count <= SMALL_MAPPINGS)
		blob_for_each_mapping(blob, offset, offset + 1, visit_slot, NULL);
}

/* Some slots of a blob, from where the last slice of the family ended. Family locked. */
static void slice_blob(struct blob *blob)
{
	struct family *family = blob->family;
	pgoff_t end = blob->base + blob->pages;
	pgoff_t index = most(family->check_index, blob->base);
	slot_t *place;

	FAMILY_ASSERT_LOCKED(family);
	check_blob_itself(blob);
	if (blob->mappings)
		check_mapping(blob, blob->mappings);
	if (index >= end)
		index = blob->base;
	for (unsigned i = 0; i < SLICE_SLOTS && index < end; i++) {
		index = tree_next(&blob->tree, index, end, &place);
		if (index < end)
			slice_slot(blob, index++, *place);
	}
	family->check_index = index < end ? index : 0;
}

void family_check_slice(struct family *family)
{
	struct blob *blob = family->blobs;
	/*
	 * Spread (Knuth's multiplicative hashing), or a blob would meet the same part of the
	 * cursor's cycle again and again.
	 */
	uint32_t turn = (family->check_turn++ * TURN_FACTOR) >> TURN_SHIFT;
	uint32_t most_blobs = family->count < SLICE_BLOBS ? family->count : SLICE_BLOBS;

	FAMILY_ASSERT_LOCKED(family);
	if (!blob)
		return;
	if (is_small(family))
		check_family(family);
	for (turn %= most_blobs; turn > 0 && blob->next; turn--)
		blob = blob->next;
	slice_blob(blob);
}

#endif
