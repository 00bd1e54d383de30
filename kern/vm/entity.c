/*
 * Entities: recipes for mapping several blobs as one thing.
 *
 * An entity holds references to blobs and labels, and nothing else: no pages, no locks. It never changes after
 * entity_create(), so that any number of maps may use it at once. map_entity() in map.c carries it out.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/*
 * Is the segment inside the entity and inside its blob? Compared without sums that wrap. What cannot be
 * cloned cannot be private.
 */
static bool segment_is_valid(const struct segment *segment, pgoff_t entity_pages)
{
	pgoff_t blob_pages;

	if (!segment->blob || segment->pages == 0 || (segment->prot & ~VM_ALL))
		return false;
	blob_pages = segment->blob->pages;
	if (segment->place >= entity_pages || segment->pages > entity_pages - segment->place)
		return false;
	if (segment->blob_offset >= blob_pages || segment->pages > blob_pages - segment->blob_offset)
		return false;
	return segment->sharing == SEGMENT_SHARED || !segment->blob->fixed;
}

/* Both are inside the entity, so that nothing wraps. */
static bool segments_overlap(const struct segment *a, const struct segment *b)
{
	return a->place < b->place + b->pages && b->place < a->place + a->pages;
}

/* Each by itself, and each pair: there are few. */
static bool segments_are_valid(pgoff_t pages, const struct segment *segments, size_t count)
{
	if (count == 0 || count > ENTITY_MAX_SEGMENTS)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!segment_is_valid(&segments[i], pages))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (segments_overlap(&segments[i], &segments[j]))
				return false;
		}
	}
	return true;
}

int entity_create(const char *name, pgoff_t pages, const struct segment *segments, size_t count,
		  struct entity **out)
{
	struct entity *entity;
	struct page *page;

	/* More would be no number of bytes. */
	if (pages > BLOB_MAX_BYTES >> PAGE_SHIFT || !segments_are_valid(pages, segments, count))
		return -EINVAL;
	page = page_alloc(PAGE_KERNEL, 0);
	if (!page)
		return -ENOMEM;
	entity = page_data(page);
	DEBUG_ASSERT(count <= ENTITY_MAX_SEGMENTS);
	entity->refs = 1;
	entity->pages = pages;
	entity->count = count;
	vm_copy_name(entity->name, name);
	memcpy(entity->segments, segments, count * sizeof(*segments));
	/* The caller keeps its own references. */
	for (size_t i = 0; i < count; i++) {
		blob_ref(segments[i].blob);
		map_label_ref(segments[i].label);
	}
	*out = entity;
	return 0;
}

void entity_ref(struct entity *entity)
{
	ENTITY_ASSERT_LIVE(entity);
	entity->refs++;
}

/* What maps the entity has a reference to it, and its mappings have their own to the blobs. */
void entity_release(struct entity *entity, struct map_label **dropped)
{
	ENTITY_ASSERT_LIVE(entity);
	if (--entity->refs > 0)
		return;
	ASSERT(entity->count > 0 && entity->count <= ENTITY_MAX_SEGMENTS);
	for (size_t i = 0; i < entity->count; i++) {
		blob_unref(entity->segments[i].blob);
		map_label_drop(entity->segments[i].label, dropped);
	}
	page_free(page_from_paddr(env_virt_to_phys(entity)));
}

void entity_unref(struct entity *entity)
{
	struct map_label *dropped = NULL;

	entity_release(entity, &dropped);
	map_labels_destroy(dropped);
}

pgoff_t entity_pages(const struct entity *entity)
{
	ENTITY_ASSERT_LIVE(entity);
	return entity->pages;
}
