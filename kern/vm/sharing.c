/*
 * How many mappings show a page: what lists of a program's memory say of who shares it.
 *
 * Nothing is counted when pages are mapped. Who wants to know goes from a translation to the page, and from the mapping's blob by the reverse map to all
 * mappings of the family that could show the same page, and looks whether they do.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* Fractions of a page are summed in parts of a byte, so that many small ones are not lost. */
#define PARTS_SHIFT 12

struct count {
	struct page *page;
	unsigned mappings;
};

/* A reverse map's visit. One page: does this mapping show it? */
static void count_if_shown(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	struct count *count = context;
	vaddr_t at = entry->start + pages_to_bytes(first - entry->offset);

	(void)end;
	if (entry->map && pmap_query(entry->map->pmap, at).page == count->page)
		count->mappings++;
}

/* How many mappings show the page that `entry` shows at page `index` of its family. At least 1. */
static unsigned count_mappings(const struct map_entry *entry, struct page *page, pgoff_t index)
{
	struct family *family = entry->blob->family;
	struct count count = {.page = page};

	spin_lock(&family->lock);
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		pgoff_t at = index - blob->base;

		if (at < blob->pages)
			blob_for_each_mapping(blob, at, at + 1, count_if_shown, &count);
	}
	family_unlock(family);
	return count.mappings > 0 ? count.mappings : 1;
}

/* A visit of a range: adds what its translations show. */
static int add_sharing(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct map_sharing *sum = context;
	struct pmap *pmap = entry->map->pmap;

	MAP_ASSERT_LOCKED(entry->map);
	if (entry->kind != ENTRY_BLOB)
		return 0;
	for (vaddr_t at = start; (at = pmap_next(pmap, at, end)) < end; at += PAGE_SIZE) {
		struct pmap_query shown = pmap_query(pmap, at);
		pgoff_t index = entry->blob->base + entry_offset_at(entry, at);
		unsigned mappings;

		/* Zeroes that were only read are nobody's memory. */
		if (!shown.page || shown.page == page_of_zeroes)
			continue;
		mappings = count_mappings(entry, shown.page, index);
		sum->shown++;
		sum->shared += mappings > 1;
		sum->dirty += shown.dirty;
		sum->shared_dirty += mappings > 1 && shown.dirty;
		sum->part_bytes += (PAGE_SIZE << PARTS_SHIFT) / mappings;
	}
	return 0;
}

int map_sharing(struct map *map, vaddr_t start, uint64_t size_bytes, struct map_sharing *out)
{
	int error = range_check(start, size_bytes);

	*out = (struct map_sharing){.shown = 0};
	if (error)
		return error;
	map_read_lock(map);
	range_for_each(map, start, start + size_bytes, false, add_sharing, out);
	map_read_unlock(map);
	out->part_bytes >>= PARTS_SHIFT;
	return 0;
}
