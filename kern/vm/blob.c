/*
 * Blobs: creation, cloning, families, and the reverse map.
 *
 * A blob is a tree of pages (tree.c), perhaps a pager that has the contents of absent pages, and the
 * list of map entries that show it. Its contents are read and written without mapping it in
 * content.c; how one page is found or made is obtain_page() in fault.c; how pages go to a pager and
 * come back, pageout.c and pagein.c.
 */
#include <asm/errno.h>

#include "vm_internal.h"

static struct slab_cache blob_cache;
static struct slab_cache family_cache;

void blob_init(void)
{
	slab_cache_init(&blob_cache, "blob", sizeof(struct blob));
	slab_cache_init(&family_cache, "blob family", sizeof(struct family));
}

/* ---- Creation and destruction --------------------------------------------------------------- */

/* A blob without a family, with one reference, the caller's; all else is zero. NULL: no memory. */
static struct blob *blob_allocate(pgoff_t pages)
{
	struct blob *blob = slab_alloc(&blob_cache);

	if (!blob)
		return NULL;
	memset(blob, 0, sizeof(*blob));
	blob->refs = 1;
	blob->pages = pages;
	return blob;
}

/*
 * Puts a blob into a family, as its youngest: the slices of check.c look at the youngest. The family is
 * locked, or nobody else knows it yet.
 */
static void family_join(struct family *family, struct blob *blob)
{
	ASSERT(!blob->family && !blob->next && !blob->previous);
	DEBUG_ASSERT((family->count == 0) == (family->blobs == NULL));
	blob->family = family;
	blob->tree.family = family;
	blob->next = family->blobs;
	if (blob->next)
		blob->next->previous = blob;
	family->blobs = blob;
	family->count++;
}

/* Returns whether the blob was the last. Family locked. */
static bool family_leave(struct blob *blob)
{
	struct family *family = blob->family;

	FAMILY_ASSERT_LOCKED(family);
	ASSERT(family->count > 0);
	ASSERT((blob->previous ? blob->previous->next : family->blobs) == blob);
	if (family->hand_blob == blob) {
		family->hand_blob = blob->next;
		family->hand_index = 0;
	}
	*(blob->previous ? &blob->previous->next : &family->blobs) = blob->next;
	if (blob->next)
		blob->next->previous = blob->previous;
	if (family->founder == blob)
		family->founder = NULL;
	return --family->count == 0;
}

/* Makes a blob an overlay of another one, no overlay, of its family. Family locked. */
static void overlay_join(struct blob *blob, struct blob *below)
{
	FAMILY_ASSERT_LOCKED(below->family);
	ASSERT(!below->below && !blob->pager && blob->family == below->family);
	blob_ref(below);
	blob->below = below;
	blob->next_overlay = below->overlays;
	if (blob->next_overlay)
		blob->next_overlay->previous_overlay = blob;
	below->overlays = blob;
}

/* The reference to the blob below stays, to be dropped when the family is not locked. Family locked. */
static void overlay_leave(struct blob *blob)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	*(blob->previous_overlay ? &blob->previous_overlay->next_overlay : &blob->below->overlays) =
		blob->next_overlay;
	if (blob->next_overlay)
		blob->next_overlay->previous_overlay = blob->previous_overlay;
}

struct blob *blob_found_family(pgoff_t pages)
{
	struct blob *blob = blob_allocate(pages);
	struct family *family;

	DEBUG_ASSERT(pages > 0 && pages <= BLOB_MAX_BYTES >> PAGE_SHIFT);
	if (!blob)
		return NULL;
	family = slab_alloc(&family_cache);
	if (!family) {
		slab_free(&blob_cache, blob);
		return NULL;
	}
	spin_init(&family->lock, RANK_FAMILY, "blob family");
	family->count = 0;
	family->blobs = NULL;
	family->founder = blob;
	family->store = NULL;
	family->zeroes = false;
	family->careful = false;
	family->wired_count = 0;
	family->extent_was_cut = false;
	family->cuts = 0;
	family->hand_blob = NULL;
	family->hand_index = 0;
	family->round = 0;
	family->extent = EXTENT_NONE;
	family_join(family, blob);
	family_register(family);
	return blob;
}

/* May a blob be so large? What is larger than BLOB_MAX_BYTES has indexes that no tree reaches. */
static bool size_is_valid(uint64_t size_bytes)
{
	return size_bytes > 0 && size_bytes <= BLOB_MAX_BYTES && page_aligned(size_bytes);
}

int blob_create(uint64_t size_bytes, unsigned flags, struct blob **out)
{
	struct blob *blob;

	if (!size_is_valid(size_bytes) || (flags & ~BLOB_UNZEROED))
		return -EINVAL;
	blob = blob_found_family(size_bytes >> PAGE_SHIFT);
	if (!blob)
		return -ENOMEM;
	blob->flags = flags;
	*out = blob;
	return 0;
}

int blob_create_paged(uint64_t size_bytes, struct pager *pager, struct blob **out)
{
	int error = blob_create(size_bytes, 0, out);

	if (!error)
		(*out)->pager = pager;
	return error;
}

int blob_create_device(paddr_t start, uint64_t size_bytes, enum vm_cache cache, struct blob **out)
{
	struct blob *blob;
	int error;

	if (!size_is_valid(size_bytes) || !page_aligned(start) || start + size_bytes < start ||
	    cache > CACHE_UNCACHED)
		return -EINVAL;
	blob = blob_found_family(size_bytes >> PAGE_SHIFT);
	if (!blob)
		return -ENOMEM;
	blob->fixed = true;
	blob->fixed_start = start;
	blob->cache = cache;
	/* Last: descriptors stay for good once they exist, and need nobody who gives them back. */
	error = page_add_device(start, start + size_bytes);
	if (error)
		blob_unref(blob);
	else
		*out = blob;
	return error;
}

int blob_create_contiguous(uint64_t size_bytes, uint64_t align_bytes, paddr_t limit, enum vm_cache cache,
			   struct blob **out)
{
	pgoff_t pages = size_bytes >> PAGE_SHIFT;
	struct page *first;
	struct blob *blob;

	if (!size_is_valid(size_bytes) || align_bytes < PAGE_SIZE || (align_bytes & (align_bytes - 1)) ||
	    cache > CACHE_UNCACHED || pages > page_stats().ram_pages)
		return -EINVAL;
	blob = blob_found_family(pages);
	if (!blob)
		return -ENOMEM;
	first = page_alloc_run(PAGE_KERNEL, pages, align_bytes >> PAGE_SHIFT, limit, PAGE_ALLOC_ZERO);
	if (!first) {
		blob_unref(blob);
		return -ENOMEM;
	}
	DEBUG_ASSERT((page_paddr(first) & (align_bytes - 1)) == 0);
	DEBUG_ASSERT(page_paddr(first) + size_bytes <= limit);
	blob->fixed = true;
	blob->contiguous = true;
	blob->fixed_start = page_paddr(first);
	blob->cache = cache;
	*out = blob;
	return 0;
}

int blob_physical(const struct blob *blob, paddr_t *out)
{
	if (!blob->fixed)
		return -EINVAL;
	*out = blob->fixed_start;
	return 0;
}

void blob_ref(struct blob *blob)
{
	BLOB_ASSERT_LIVE(blob);
	blob->refs++;
}

void pager_unref(struct pager *pager)
{
	ASSERT(!pager || pager->refs > 0);
	if (pager && --pager->refs == 0)
		pager->ops->destroy(pager);
}

void blob_unref(struct blob *blob)
{
	struct family *family = blob->family;
	struct blob *below = blob->below;
	bool last_of_family;

	BLOB_ASSERT_LIVE(blob);
	if (--blob->refs > 0)
		return;
	spin_lock(&family->lock);
	/* Every mapping, wiring and visitor has a reference: with the last reference, all are gone. */
	ASSERT(blob->mapping_count == 0 && blob->wired_count == 0 && blob->visitors == 0);
	/* So has every overlay. */
	ASSERT(!blob->overlays);
	/* Bit by bit, so that the family need not wait long for a large blob to go. */
	while (tree_shed(&blob->tree)) {
		family_unlock(family);
		spin_lock(&family->lock);
	}
	/* locked: the family, now without anything of the blob's. */
	FAMILY_ASSERT_LOCKED(family);
	ASSERT(blob->tree.root == SLOT_EMPTY);
	if (blob->below)
		overlay_leave(blob);
	last_of_family = family_leave(blob);
	family_unlock(family);
	if (last_of_family) {
		ASSERT(!family->blobs);
		family_unregister(family);
		pager_unref(family->store);
		slab_free(&family_cache, family);
	}
	pager_unref(blob->pager);
	blob_promise(blob, 0);
	/* With the last reference all translations are gone: who had mapped the frames cannot reach them. */
	if (blob->contiguous)
		page_free_run(page_from_paddr(blob->fixed_start), blob->pages);
	slab_free(&blob_cache, blob);
	/* Not deeper than this: what is below is no overlay. */
	if (below)
		blob_unref(below);
}

void blob_visit(struct blob *blob)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	blob_ref(blob);
	blob->visitors++;
}

/*
 * A visitor is counted besides its reference, as a trim must not take it for a holder, who may read or
 * map the pages again. So it also has to trim what it brought in: the mapping that it came from may be
 * gone.
 */
void blob_leave(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	struct family *family = blob->family;
	uint32_t refs;

	spin_lock(&family->lock);
	ASSERT(blob->visitors > 0);
	DEBUG_ASSERT(!blob_check_window(blob, offset, pages));
	blob->visitors--;
	/* What the visitor brought in may be mapped by nobody any more. */
	(void)blob_trim(blob, offset, offset + pages, 1);
	/*
	 * Within the section, so that no trim takes a visitor that leaves for a holder; unless
	 * nobody else is left.
	 */
	refs = blob->refs;
	while (refs > 1 && !atomic_compare_exchange_weak(&blob->refs, &refs, refs - 1))
		;
	family_unlock(family);
	if (refs == 1)
		blob_unref(blob);
}

uint64_t blob_size(const struct blob *blob)
{
	return pages_to_bytes(blob->pages);
}

bool blob_is_overlay(const struct blob *blob)
{
	return blob->below != NULL;
}

int blob_check_window(const struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	BLOB_ASSERT_LIVE(blob);
	return pages > 0 && offset < blob->pages && pages <= blob->pages - offset ? 0 : -EINVAL;
}

/* ---- Cloning ---------------------------------------------------------------------------------- */

/* Takes the right to write from what one entry shows of [first, end). A wiring has no translations. */
static void withdraw_write(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	vaddr_t start = entry->start + pages_to_bytes(first - entry->offset);

	DEBUG_ASSERT(first >= entry->offset && first < end);
	(void)context;
	if (!entry->map)
		return;
	/* All rights but one: the pmap takes only write at a constant cost for each large block. */
	pmap_protect(entry->map->pmap, start, start + pages_to_bytes(end - first),
		     VM_READ | VM_EXEC | VM_USER);
}

void blob_withdraw_write(struct blob *blob, pgoff_t first, pgoff_t end)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	blob_for_each_mapping(blob, first, end, withdraw_write, NULL);
}

/*
 * A clone costs one reference to the source's nodes, and at most a way down the tree at each end of the
 * window. Its tree has the same indexes as the source's, whatever part of it is cloned, so that nodes
 * are shared as they are: `base` says where the blob begins in it.
 */
int blob_clone(struct blob *source, pgoff_t offset, pgoff_t pages, struct blob **out)
{
	struct family *family = source->family;
	struct blob *clone;
	int error;

	if (source->fixed || blob_check_window(source, offset, pages))
		return -EINVAL;
	clone = blob_allocate(pages);
	if (!clone)
		return -ENOMEM;
	clone->flags = source->flags;
	clone->cache = source->cache;
	clone->base = source->base + offset;
	clone->pager = source->pager;
	clone->copied = source->copied;
	clone->forks = source->forks;

	spin_lock(&family->lock);
	/* Outside of the blob there is nothing: a clone of all of it need not cut anything off. */
	if (pages == source->pages)
		error = tree_share(&clone->tree, &source->tree, 0, UINT64_MAX);
	else
		error = tree_share(&clone->tree, &source->tree, clone->base, clone->base + pages);
	FAMILY_ASSERT_LOCKED(family);
	if (error) {
		family_unlock(family);
		slab_free(&blob_cache, clone);
		return error;
	}
	/* From here on nothing fails: others may find the clone, and its pages, through the family. */
	family_join(family, clone);
	ASSERT(!clone->pager || clone->pager->refs > 0);
	if (clone->pager)
		clone->pager->refs++;
	if (source->below)
		overlay_join(clone, source->below);
	/* What the source has entered writable is shared now: its next write has to fault. */
	if (clone->tree.root != SLOT_EMPTY) {
		clone->copied = true;
		blob_withdraw_write(source, offset, offset + pages);
	}
	family_unlock(family);
	*out = clone;
	return 0;
}

/* Nothing of the source changes: not even the right to write is withdrawn. */
int blob_overlay(struct blob *source, pgoff_t offset, pgoff_t pages, struct blob **out)
{
	struct blob *overlay;

	if (source->fixed || blob_check_window(source, offset, pages))
		return -EINVAL;
	if (source->below)
		return blob_clone(source, offset, pages, out);
	overlay = blob_allocate(pages);
	if (!overlay)
		return -ENOMEM;
	overlay->cache = source->cache;
	overlay->base = source->base + offset;
	spin_lock(&source->family->lock);
	family_join(source->family, overlay);
	overlay_join(overlay, source);
	family_unlock(source->family);
	*out = overlay;
	return 0;
}

const char *overlay_complaint(const struct blob *blob, uint32_t *listed)
{
	const struct blob *below = blob->below, *previous = NULL;

	FAMILY_ASSERT_LOCKED(blob->family);
	for (struct blob *overlay = blob->overlays; overlay; overlay = overlay->next_overlay) {
		if (overlay->below != blob || overlay->previous_overlay != previous)
			return "list of overlays";
		previous = overlay;
		++*listed;
	}
	if (*listed > blob->refs)
		return "more overlays than references";
	if (!below)
		return NULL;
	if (below->family != blob->family)
		return "an overlay of another family";
	if (below->below || blob->overlays)
		return "an overlay of an overlay";
	if (blob->pager || blob->fixed)
		return "an overlay with a pager or frames";
	if (blob->base < below->base || blob->pages > below->pages ||
	    blob->base - below->base > below->pages - blob->pages)
		return "an overlay that is not inside the blob below";
	return below->refs > 0 ? NULL : "references to the blob below";
}

/* ---- The extent ----------------------------------------------------------------------------------- */

pgoff_t blob_extent_end(const struct blob *blob)
{
	pgoff_t extent = blob->family->extent;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (extent <= blob->base)
		return 0;
	return extent - blob->base < blob->pages ? extent - blob->base : blob->pages;
}

pgoff_t blob_extent(struct blob *blob)
{
	pgoff_t end;

	BLOB_ASSERT_LIVE(blob);
	spin_lock(&blob->family->lock);
	end = blob_extent_end(blob);
	family_unlock(blob->family);
	return end;
}

/* Does blob_wire() keep any page beyond the new extent? Family locked. */
static bool family_is_held(struct family *family, pgoff_t extent)
{
	FAMILY_ASSERT_LOCKED(family);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		pgoff_t first = extent > blob->base ? extent - blob->base : 0;

		if (blob_is_held(blob, first, blob->pages))
			return true;
	}
	return false;
}

/*
 * Forgets what is beyond the family's extent. As that is the extent of all its blobs, what goes is gone for all of them, and
 * shared nodes are cleared as they are: no memory is needed. Family locked.
 */
static void family_cut(struct family *family)
{
	FAMILY_ASSERT_LOCKED(family);
	/* Translations first, everywhere: a page may be seen by several blobs. */
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		pgoff_t first = blob_extent_end(blob);

		if (first == blob->pages)
			continue;
		blob_forget_translations(blob, first, blob->pages, NULL);
		blob_forget_wirings(blob, first, blob->pages);
	}
	for (struct blob *blob = family->blobs; blob; blob = blob->next)
		tree_cut(&blob->tree, family->extent);
}

int blob_set_extent(struct blob *blob, pgoff_t pages)
{
	struct family *family = blob->family;
	pgoff_t extent = blob->base + pages;
	int error = 0;

	BLOB_ASSERT_LIVE(blob);
	if (blob->fixed || pages > blob->pages)
		return -EINVAL;
	spin_lock(&family->lock);
	if (extent >= family->extent) {
		family->extent = extent;
	} else if (family_is_held(family, extent)) {
		error = -EBUSY;
	} else {
		family->extent = extent;
		family->cuts++;
		family_cut(family);
	}
	family_unlock(family);
	return error;
}

/* ---- What is there -------------------------------------------------------------------------------- */

/*
 * Clones keep what they see: only this blob's slots are emptied. Without memory for the nodes that this
 * copies the translations are gone all the same, which costs faults and nothing else.
 */
int blob_decommit(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	int error = blob_check_window(blob, offset, pages);

	if (error || blob->fixed)
		return -EINVAL;
	spin_lock(&blob->family->lock);
	if (blob_is_wired(blob, offset, offset + pages)) {
		error = -EBUSY;
	} else {
		/* First the translations, which faults bring back: then the pages may go. */
		blob_forget_translations(blob, offset, offset + pages, NULL);
		error = tree_clear(&blob->tree, blob->base + offset, blob->base + offset + pages);
	}
	family_unlock(blob->family);
	return error;
}

int blob_usage(struct blob *blob, pgoff_t offset, pgoff_t pages, struct blob_usage *out)
{
	int error = blob_check_window(blob, offset, pages);

	if (error)
		return error;
	spin_lock(&blob->family->lock);
	tree_usage(&blob->tree, blob->base + offset, blob->base + offset + pages, out);
	if (blob->below)
		tree_usage_below(&blob->tree, &blob->below->tree, blob->base + offset,
				 blob->base + offset + pages, out);
	/* The frames of a fixed blob are in no tree. */
	if (blob->fixed)
		out->resident = pages;
	DEBUG_ASSERT(out->shared_dirty <= out->shared && out->shared <= out->resident);
	family_unlock(blob->family);
	return 0;
}

pgoff_t blob_resident(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	pgoff_t count;

	if (blob_check_window(blob, offset, pages))
		return 0;
	if (blob->fixed)
		return pages;
	spin_lock(&blob->family->lock);
	count = tree_count(&blob->tree, blob->base + offset, blob->base + offset + pages);
	family_unlock(blob->family);
	return count;
}

/* Marks the pages of a window that the overlays of `below` have of their own. There may be many, each with little. The family is locked. */
static void mark_overlays(const struct blob *below, pgoff_t first, pgoff_t pages, unsigned char *vector)
{
	FAMILY_ASSERT_LOCKED(below->family);
	for (struct blob *overlay = below->overlays; overlay; overlay = overlay->next_overlay)
		tree_residency(&overlay->tree, first, first + pages, vector);
}

bool blob_residency(struct blob *blob, pgoff_t offset, pgoff_t pages, unsigned char *vector)
{
	bool zeroes;

	DEBUG_ASSERT(!blob_check_window(blob, offset, pages));
	if (blob->fixed) {
		memset(vector, 1, pages);
		return false;
	}
	memset(vector, 0, pages);
	spin_lock(&blob->family->lock);
	tree_residency(&blob->tree, blob->base + offset, blob->base + offset + pages, vector);
	for (pgoff_t i = 0; blob->below && i < pages; i++)
		vector[i] = slot_is_page(blob_shown(blob, blob->base + offset + i));
	mark_overlays(blob->below ? blob->below : blob, blob->base + offset, pages, vector);
	zeroes = blob->family->zeroes;
	family_unlock(blob->family);
	return zeroes;
}

/* ---- The reverse map: which entries show a window of the blob --------------------------------------- */

/* A blob's mappings are linked by `by_offset`, which is not an entry's first member. */
static struct map_entry *entry_of_mapping(struct avl_node *node)
{
	return (struct map_entry *)((char *)node - offsetof(struct map_entry, by_offset));
}

/* What a mapping's `farthest` is, by its own end and its children's (avl_update). */
static bool mapping_update(struct avl_node *node)
{
	struct map_entry *entry = entry_of_mapping(node);
	pgoff_t farthest = entry->offset + entry_pages(entry);
	bool changed;

	if (node->left && entry_of_mapping(node->left)->farthest > farthest)
		farthest = entry_of_mapping(node->left)->farthest;
	if (node->right && entry_of_mapping(node->right)->farthest > farthest)
		farthest = entry_of_mapping(node->right)->farthest;
	changed = farthest != entry->farthest;
	entry->farthest = farthest;
	return changed;
}

void blob_add_mapping(struct map_entry *entry)
{
	struct blob *blob = entry->blob;
	struct avl_node **link = &blob->mappings;
	struct avl_node *parent = NULL;

	DEBUG_ASSERT(entry->start < entry->end);
	DEBUG_ASSERT(entry->offset + entry_pages(entry) <= blob->pages);
	FAMILY_ASSERT_LOCKED(blob->family);
	while (*link) {
		parent = *link;
		link = entry->offset < entry_of_mapping(parent)->offset ? &parent->left : &parent->right;
	}
	avl_insert(&blob->mappings, parent, link, &entry->by_offset, mapping_update);
	blob->mapping_count++;
}

void blob_add_mapping_after(struct map_entry *entry, struct map_entry *lower)
{
	struct blob *blob = entry->blob;
	struct avl_node *next = avl_next(&lower->by_offset);

	DEBUG_ASSERT(lower->blob == blob && lower->offset <= entry->offset);
	FAMILY_ASSERT_LOCKED(blob->family);
	/* Another mapping begins between the two. */
	if (next && entry_of_mapping(next)->offset < entry->offset) {
		blob_add_mapping(entry);
		return;
	}
	avl_insert_after(&blob->mappings, &lower->by_offset, &entry->by_offset, mapping_update);
	blob->mapping_count++;
}

/* Is the entry at its place in the order of offsets? */
static bool mapping_is_ordered(struct map_entry *entry)
{
	struct avl_node *previous = avl_previous(&entry->by_offset);
	struct avl_node *next = avl_next(&entry->by_offset);

	return (!previous || entry_of_mapping(previous)->offset <= entry->offset) &&
	       (!next || entry->offset <= entry_of_mapping(next)->offset);
}

void blob_mapping_moved(struct map_entry *entry)
{
	FAMILY_ASSERT_LOCKED(entry->blob->family);
	if (likely(mapping_is_ordered(entry))) {
		avl_repair(&entry->blob->mappings, &entry->by_offset, mapping_update);
		return;
	}
	blob_remove_mapping(entry);
	blob_add_mapping(entry);
}

void blob_remove_mapping(struct map_entry *entry)
{
	DEBUG_ASSERT(entry->blob->mapping_count > 0 && entry->blob->mappings);
	FAMILY_ASSERT_LOCKED(entry->blob->family);
	avl_remove(&entry->blob->mappings, &entry->by_offset, mapping_update);
	entry->blob->mapping_count--;
	DEBUG_ASSERT((entry->blob->mapping_count == 0) == !entry->blob->mappings);
}

/* A visit of the mappings below `node` that meet [first, end), by ascending offset. */
static void visit_mappings(struct avl_node *node, pgoff_t first, pgoff_t end,
			   void (*visit)(struct map_entry *, pgoff_t, pgoff_t, void *), void *context)
{
	struct map_entry *entry;
	pgoff_t entry_end;

	if (!node || entry_of_mapping(node)->farthest <= first)
		return;
	entry = entry_of_mapping(node);
	visit_mappings(node->left, first, end, visit, context);
	if (entry->offset >= end)
		return;
	entry_end = entry->offset + entry_pages(entry);
	if (entry_end > first)
		visit(entry, entry->offset > first ? entry->offset : first, entry_end < end ? entry_end : end,
		      context);
	visit_mappings(node->right, first, end, visit, context);
}

void blob_for_each_mapping(struct blob *blob, pgoff_t first, pgoff_t end,
			   void (*visit)(struct map_entry *, pgoff_t, pgoff_t, void *), void *context)
{
	DEBUG_ASSERT(first <= end);
	FAMILY_ASSERT_LOCKED(blob->family);
	visit_mappings(blob->mappings, first, end, visit, context);
}

/* A visit that only says that there was one. */
static void note_mapping(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)entry, (void)first, (void)end;
	*(bool *)context = true;
}

bool blob_is_mapped(struct blob *blob, pgoff_t first, pgoff_t end)
{
	bool found = false;

	blob_for_each_mapping(blob, first, end, note_mapping, &found);
	return found;
}

/* What is asked of a blob's mappings. */
struct rights_sought {
	vm_prot_t max_prot;
	bool found;
};

/* A wiring allows nobody anything. */
static void seek_rights(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	struct rights_sought *sought = context;

	(void)first, (void)end;
	if (entry->map && (entry->max_prot & sought->max_prot) == sought->max_prot)
		sought->found = true;
}

bool blob_mapped(struct blob *blob, vm_prot_t max_prot)
{
	struct rights_sought sought = {.max_prot = max_prot};

	BLOB_ASSERT_LIVE(blob);
	spin_lock(&blob->family->lock);
	blob_for_each_mapping(blob, 0, blob->pages, seek_rights, &sought);
	family_unlock(blob->family);
	return sought.found;
}

/*
 * Removes what one entry has entered of [first, end); `except` is an entry that is to keep it, or NULL.
 */
static void forget_translations(struct map_entry *entry, pgoff_t first, pgoff_t end, void *except)
{
	vaddr_t start = entry->start + pages_to_bytes(first - entry->offset);

	DEBUG_ASSERT(first >= entry->offset && first < end);
	if (entry != except && entry->map)
		pmap_remove(entry->map->pmap, start, start + pages_to_bytes(end - first));
}

/* What overlays show of [first, end) of the blob below them. Pages of their own lose translations as well, which costs faults. */
static void forget_in_overlays(struct blob *blob, pgoff_t first, pgoff_t end)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	for (struct blob *overlay = blob->overlays; overlay; overlay = overlay->next_overlay) {
		/* An overlay is a window of the blob that begins at page `base`. */
		pgoff_t base = overlay->base - blob->base;
		pgoff_t from = first > base ? first - base : 0;
		pgoff_t to = end > base ? end - base : 0;

		if (to > overlay->pages)
			to = overlay->pages;
		if (from < to)
			blob_for_each_mapping(overlay, from, to, forget_translations, NULL);
	}
}

/*
 * All that shows a page is found here, by the blob's mappings, and its overlays'; other blobs that share the page have
 * translations of their own, which stay.
 */
void blob_forget_translations(struct blob *blob, pgoff_t first, pgoff_t end, const struct map_entry *except)
{
	FAMILY_ASSERT_LOCKED(blob->family);
	/* A fault in the blob's only mapping need not look for others. */
	if (blob->mapping_count > (except != NULL))
		blob_for_each_mapping(blob, first, end, forget_translations, (void *)except);
	if (unlikely(blob->overlays != NULL))
		forget_in_overlays(blob, first, end);
}

/* The pages of a blob from `cursor` on are free of mappings up to where the next visit begins. */
struct trim {
	struct blob *blob;
	pgoff_t cursor;
	int error;
};

/*
 * Clears what lies between the cursor and a mapping. Mappings come by ascending offset, but may
 * overlap.
 */
static void trim_before(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	struct trim *trim = context;
	pgoff_t base = trim->blob->base;

	(void)entry;
	if (first > trim->cursor && tree_clear(&trim->blob->tree, base + trim->cursor, base + first))
		trim->error = -ENOMEM;
	if (end > trim->cursor)
		trim->cursor = end;
}

/*
 * Where the range's ends lie in nodes that clones share, clearing them takes memory. If there is
 * none when a mapping goes, the pages stay with the blob until it goes or map_resize() is to show
 * them again: they are the clones' as well, so little is held back. The range may be empty, as a
 * wiring is that failed with its first page.
 */
int blob_trim(struct blob *blob, pgoff_t first, pgoff_t end, uint32_t own)
{
	struct trim trim = {.blob = blob, .cursor = first};

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(first <= end && end <= blob->pages);
	DEBUG_ASSERT(blob->refs >= blob->mapping_count + blob->visitors + own);
	/* Who has a reference beyond the mappings' may read or map the pages again. */
	if (blob->fixed || blob->mapping_count == 0 ||
	    blob->refs != blob->mapping_count + blob->visitors + own)
		return 0;
	blob_for_each_mapping(blob, first, end, trim_before, &trim);
	if (trim.cursor < end && tree_clear(&blob->tree, blob->base + trim.cursor, blob->base + end))
		trim.error = -ENOMEM;
	return trim.error;
}
