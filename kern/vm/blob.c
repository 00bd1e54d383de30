/*
 * Blobs: creation, cloning, access without mapping, and the reverse map.
 *
 * A blob is a tree of pages (tree.c), perhaps a pager that has the contents of absent pages, and the
 * list of map entries that show it. How one page is found or made, for a fault or for the calls here, is
 * obtain_page() in fault.c.
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

/* A blob in a family of its own. */
static struct blob *blob_found_family(pgoff_t pages)
{
	struct blob *blob = blob_allocate(pages);
	struct family *family;

	if (!blob)
		return NULL;
	family = slab_alloc(&family_cache);
	if (!family) {
		slab_free(&blob_cache, blob);
		return NULL;
	}
	spin_init(&family->lock, RANK_FAMILY, "blob family");
	family->blobs = 1;
	blob->family = family;
	return blob;
}

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

	if (!size_is_valid(size_bytes) || !page_aligned(start) || start + size_bytes < start)
		return -EINVAL;
	blob = blob_found_family(size_bytes >> PAGE_SHIFT);
	if (!blob)
		return -ENOMEM;
	blob->device = true;
	blob->device_start = start;
	blob->cache = cache;
	error = page_add_device(start, start + size_bytes);
	if (error)
		blob_unref(blob);
	else
		*out = blob;
	return error;
}

void blob_ref(struct blob *blob)
{
	blob->refs++;
}

static void pager_unref(struct pager *pager)
{
	if (pager && --pager->refs == 0)
		pager->ops->destroy(pager);
}

void blob_unref(struct blob *blob)
{
	struct family *family = blob->family;
	bool last_of_family;

	if (--blob->refs > 0)
		return;
	spin_lock(&family->lock);
	ASSERT(blob->mapping_count == 0);
	/* All of the tree: no node is copied for that, so it cannot fail. */
	tree_clear(&blob->tree, 0, UINT64_MAX);
	last_of_family = --family->blobs == 0;
	spin_unlock(&family->lock);
	if (last_of_family)
		slab_free(&family_cache, family);
	pager_unref(blob->pager);
	slab_free(&blob_cache, blob);
}

uint64_t blob_size(const struct blob *blob)
{
	return pages_to_bytes(blob->pages);
}

static bool window_is_inside(const struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	return pages > 0 && offset < blob->pages && pages <= blob->pages - offset;
}

/* ---- Cloning ---------------------------------------------------------------------------------- */

static void withdraw_write(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	vaddr_t start = entry->start + pages_to_bytes(first - entry->offset);

	(void)context;
	/* All rights but one: the pmap takes only write at a constant cost for each large block. */
	pmap_protect(entry->map->pmap, start, start + pages_to_bytes(end - first),
		     VM_READ | VM_EXEC | VM_USER);
}

int blob_clone(struct blob *source, pgoff_t offset, pgoff_t pages, struct blob **out)
{
	struct family *family = source->family;
	struct blob *clone;
	int error;

	if (source->device || !window_is_inside(source, offset, pages))
		return -EINVAL;
	clone = blob_allocate(pages);
	if (!clone)
		return -ENOMEM;
	clone->flags = source->flags;
	clone->cache = source->cache;
	clone->base = source->base + offset;
	clone->family = family;
	clone->pager = source->pager;

	spin_lock(&family->lock);
	/* Outside of the blob there is nothing: a clone of all of it need not cut anything off. */
	if (pages == source->pages)
		error = tree_share(&clone->tree, &source->tree, 0, UINT64_MAX);
	else
		error = tree_share(&clone->tree, &source->tree, clone->base, clone->base + pages);
	if (error) {
		spin_unlock(&family->lock);
		slab_free(&blob_cache, clone);
		return error;
	}
	family->blobs++;
	if (clone->pager)
		clone->pager->refs++;
	/* What the source has entered writable is shared now: its next write has to fault. */
	if (clone->tree.root != SLOT_EMPTY)
		blob_for_each_mapping(source, offset, offset + pages, withdraw_write, NULL);
	spin_unlock(&family->lock);
	*out = clone;
	return 0;
}

/* ---- Access without mapping ---------------------------------------------------------------------- */

/* Obtains a page, asking the pager where needed. On 0 the family is locked, and the page stays till it is unlocked. */
static int lock_and_obtain(struct blob *blob, pgoff_t offset, bool write, struct obtained *out)
{
	for (;;) {
		enum obtain step;
		int error;

		spin_lock(&blob->family->lock);
		step = obtain_page(blob, offset, write, NULL, out);
		if (step == OBTAIN_DONE)
			return 0;
		spin_unlock(&blob->family->lock);
		if (step == OBTAIN_NO_MEMORY)
			return -ENOMEM;
		error = page_in(blob, offset);
		if (error)
			return error;
	}
}

/* Reads within one page. An absent page that would be zero is not made for it. */
static int read_within_page(struct blob *blob, uint64_t offset, void *to, size_t bytes)
{
	pgoff_t page_offset = offset >> PAGE_SHIFT;
	struct obtained found;
	bool shared, zero;
	slot_t *place;
	int error;

	if (!blob->pager && !blob->device) {
		spin_lock(&blob->family->lock);
		place = tree_find(&blob->tree, blob->base + page_offset, &shared);
		zero = !place || *place == SLOT_EMPTY;
		spin_unlock(&blob->family->lock);
		if (zero) {
			memset(to, 0, bytes);
			return 0;
		}
	}
	error = lock_and_obtain(blob, page_offset, false, &found);
	if (error)
		return error;
	memcpy(to, (char *)page_data(found.page) + (offset & PAGE_MASK), bytes);
	spin_unlock(&blob->family->lock);
	return 0;
}

static int write_within_page(struct blob *blob, uint64_t offset, const void *from, size_t bytes)
{
	struct obtained found;
	int error = lock_and_obtain(blob, offset >> PAGE_SHIFT, true, &found);

	if (error)
		return error;
	memcpy((char *)page_data(found.page) + (offset & PAGE_MASK), from, bytes);
	spin_unlock(&blob->family->lock);
	return 0;
}

static bool bytes_are_inside(const struct blob *blob, uint64_t offset, size_t bytes)
{
	uint64_t size = blob_size(blob);

	return !blob->device && offset <= size && bytes <= size - offset;
}

static size_t bytes_left_in_page(uint64_t offset, size_t bytes)
{
	size_t left = PAGE_SIZE - (offset & PAGE_MASK);

	return bytes < left ? bytes : left;
}

int blob_read(struct blob *blob, uint64_t offset, void *to, size_t bytes)
{
	if (!bytes_are_inside(blob, offset, bytes))
		return -EINVAL;
	while (bytes > 0) {
		size_t piece = bytes_left_in_page(offset, bytes);
		int error = read_within_page(blob, offset, to, piece);

		if (error)
			return error;
		offset += piece;
		to = (char *)to + piece;
		bytes -= piece;
	}
	return 0;
}

int blob_write(struct blob *blob, uint64_t offset, const void *from, size_t bytes)
{
	if (!bytes_are_inside(blob, offset, bytes))
		return -EINVAL;
	while (bytes > 0) {
		size_t piece = bytes_left_in_page(offset, bytes);
		int error = write_within_page(blob, offset, from, piece);

		if (error)
			return error;
		offset += piece;
		from = (const char *)from + piece;
		bytes -= piece;
	}
	return 0;
}

int blob_commit(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	if (!window_is_inside(blob, offset, pages) || blob->device)
		return -EINVAL;
	for (pgoff_t i = 0; i < pages; i++) {
		struct obtained found;
		int error = lock_and_obtain(blob, offset + i, true, &found);

		if (error)
			return error;
		spin_unlock(&blob->family->lock);
	}
	return 0;
}

int blob_decommit(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	int error;

	if (!window_is_inside(blob, offset, pages) || blob->device)
		return -EINVAL;
	spin_lock(&blob->family->lock);
	/* First the translations, which faults bring back: then the pages may go. */
	blob_forget_translations(blob, offset, offset + pages, NULL);
	error = tree_clear(&blob->tree, blob->base + offset, blob->base + offset + pages);
	spin_unlock(&blob->family->lock);
	return error;
}

pgoff_t blob_resident(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	pgoff_t count;

	if (blob->device || !window_is_inside(blob, offset, pages))
		return 0;
	spin_lock(&blob->family->lock);
	count = tree_count(&blob->tree, blob->base + offset, blob->base + offset + pages);
	spin_unlock(&blob->family->lock);
	return count;
}

void blob_residency(struct blob *blob, pgoff_t offset, pgoff_t pages, unsigned char *vector)
{
	spin_lock(&blob->family->lock);
	for (pgoff_t i = 0; i < pages; i++) {
		bool shared;
		slot_t *place = tree_find(&blob->tree, blob->base + offset + i, &shared);

		vector[i] = blob->device || (place && *place != SLOT_EMPTY);
	}
	spin_unlock(&blob->family->lock);
}

/* ---- The reverse map: which entries show a window of the blob --------------------------------------- */

static struct map_entry *entry_of_mapping(struct avl_node *node)
{
	return (struct map_entry *)((char *)node - offsetof(struct map_entry, by_offset));
}

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

	FAMILY_ASSERT_LOCKED(blob->family);
	while (*link) {
		parent = *link;
		link = entry->offset < entry_of_mapping(parent)->offset ? &parent->left : &parent->right;
	}
	avl_insert(&blob->mappings, parent, link, &entry->by_offset, mapping_update);
	blob->mapping_count++;
}

void blob_remove_mapping(struct map_entry *entry)
{
	FAMILY_ASSERT_LOCKED(entry->blob->family);
	avl_remove(&entry->blob->mappings, &entry->by_offset, mapping_update);
	entry->blob->mapping_count--;
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
	FAMILY_ASSERT_LOCKED(blob->family);
	visit_mappings(blob->mappings, first, end, visit, context);
}

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

static void forget_translations(struct map_entry *entry, pgoff_t first, pgoff_t end, void *except)
{
	vaddr_t start = entry->start + pages_to_bytes(first - entry->offset);

	if (entry != except)
		pmap_remove(entry->map->pmap, start, start + pages_to_bytes(end - first));
}

void blob_forget_translations(struct blob *blob, pgoff_t first, pgoff_t end, const struct map_entry *except)
{
	/* A fault in the blob's only mapping need not look for others. */
	if (blob->mapping_count > (except != NULL))
		blob_for_each_mapping(blob, first, end, forget_translations, (void *)except);
}

/* The pages of a blob from `cursor` on are free of mappings up to where the next visit begins. */
struct trim {
	struct blob *blob;
	pgoff_t cursor;
	int error;
};

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
 * Where the range's ends lie in nodes that clones share, clearing them takes memory. If there is none when a mapping
 * goes, the pages stay with the blob until it goes or map_resize() is to show them again: they are the clones' as
 * well, so little is held back.
 */
int blob_trim(struct blob *blob, pgoff_t first, pgoff_t end, uint32_t own)
{
	struct trim trim = {.blob = blob, .cursor = first};

	FAMILY_ASSERT_LOCKED(blob->family);
	/* Who has a reference beyond the mappings' may read or map the pages again. */
	if (blob->device || blob->mapping_count == 0 || blob->refs != blob->mapping_count + own)
		return 0;
	blob_for_each_mapping(blob, first, end, trim_before, &trim);
	if (trim.cursor < end && tree_clear(&blob->tree, blob->base + trim.cursor, blob->base + end))
		trim.error = -ENOMEM;
	return trim.error;
}
