/*
 * Cloning a root map, for fork: each entry by its inheritance.
 *
 *   copy    the new map has a clone of the blob: copy on write both ways (a device or contiguous blob is shared, as it cannot be copied)
 *   share   the new map has the same blob
 *   none    the new map has nothing there
 *
 * No page and no page table is visited: a clone shares the tree, what was writable is withdrawn
 * table by table (blob_clone), and the new map's translations come with its faults. The new map is
 * nobody else's until it is whole; after an error it is destroyed, and the old one is as before.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/*
 * A clone under way. Entries that were split off one mapping follow one another, and get one clone
 * together.
 */
struct cloning {
	struct blob *source; /* the blob that was cloned last */
	struct blob *clone;  /* its clone: a reference is held */
};

/*
 * The clone of `source`, with a reference that is the caller's: the last one made, if it is of the same
 * blob. 0 or -ENOMEM.
 */
static int clone_blob(struct cloning *cloning, struct blob *source, struct blob **out)
{
	int error;

	ASSERT(!source->fixed);
	DEBUG_ASSERT(!cloning->source == !cloning->clone);
	if (cloning->source != source) {
		if (cloning->clone)
			blob_unref(cloning->clone);
		cloning->source = NULL;
		cloning->clone = NULL;
		/*
		 * All of it, whatever the entry shows: then offsets are the same in the clone, and no
		 * node is copied.
		 */
		error = blob_clone(source, 0, source->pages, &cloning->clone);
		if (error)
			return error;
		cloning->source = source;
	}
	*out = cloning->clone;
	blob_ref(*out);
	return 0;
}

static int clone_entries(struct cloning *cloning, struct map *from, struct map *to);

/* Gives the entry what the original refers to, or a clone of it. */
static int clone_contents(struct cloning *cloning, const struct map_entry *original, struct map *to,
			  struct map_entry *entry)
{
	struct map *submap = original->submap;

	MAP_ASSERT_WRITING(to);
	if (original->entity) {
		entry->entity = original->entity;
		entity_ref(entry->entity);
	}
	if (submap) {
		entry->submap = map_allocate_submap(to, submap->name, submap->ceiling);
		if (!entry->submap)
			return -ENOMEM;
		map_set_bounds(entry->submap, submap->start, submap->end);
		if (submap->arena) {
			entry->submap->arena = submap->arena;
			arena_ref(submap->arena);
		}
		/*
		 * No entry leads to the submap yet: it and what it gets so far go with the entry if
		 * this fails.
		 */
		return clone_entries(cloning, submap, entry->submap);
	}
	if (!original->blob)
		return 0;
	if (original->inherit == INHERIT_COPY && !original->blob->fixed)
		return clone_blob(cloning, original->blob, &entry->blob);
	entry->blob = original->blob;
	blob_ref(entry->blob);
	return 0;
}

/* Gives the new map its own of one entry. 0 or -ENOMEM. */
static int clone_entry(struct cloning *cloning, const struct map_entry *original, struct map *to)
{
	struct map_entry *entry;
	int error;

	MAP_ASSERT_WRITING(to);
	ASSERT(!original->permanent || original->submap);
	entry = entry_create(original->kind, original->name);
	if (!entry)
		return -ENOMEM;
	entry->start = original->start;
	entry->end = original->end;
	entry->offset = original->offset;
	entry->prot = original->prot;
	entry->max_prot = original->max_prot;
	entry->inherit = original->inherit;
	entry->advice = original->advice;
	entry->permanent = original->permanent;
	/* Not `wired`: a fork's child has none of its parent's wirings. */
	error = clone_contents(cloning, original, to, entry);
	if (error)
		entry_destroy(entry);
	else
		entry_insert(to, entry);
	return error;
}

/*
 * The new root has the layout's regions already: of those, only what is in a submap of the
 * process's own is cloned.
 */
static int clone_entries(struct cloning *cloning, struct map *from, struct map *to)
{
	DEBUG_ASSERT(from->top != to->top);
	for (struct map_entry *original = from->first; original; original = original->next) {
		struct map_entry *there = map_first_above(to, original->start);
		int error = 0;

		/* locked: cloning a blob takes the family's lock, and neither map's. */
		MAP_ASSERT_LOCKED(from);
		MAP_ASSERT_WRITING(to);
		if (there && there->start == original->start) {
			if (original->submap && original->submap->top == from->top) {
				ASSERT(there->submap && there->end == original->end);
				error = clone_entries(cloning, original->submap, there->submap);
			}
		} else if (original->kind != ENTRY_BLOB || original->inherit != INHERIT_NONE) {
			error = clone_entry(cloning, original, to);
		}
		if (error)
			return error;
	}
	return 0;
}

int map_clone(struct map *root, const char *name, struct map **out)
{
	struct cloning cloning = {.source = NULL};
	struct map *clone;
	int error = map_create_root(name, &clone);

	if (error)
		return error;
	/* Nobody else knows the clone, so its lock may be taken inside another root's. */
	rw_init(&clone->own_lock, RANK_MAP_ROOT, "cloned root map (nested)");
	map_read_lock(root);
	map_write_lock(clone);
	error = clone_entries(&cloning, root, clone);
	map_write_unlock(clone);
	map_read_unlock(root);
	if (cloning.clone)
		blob_unref(cloning.clone);
	if (error)
		map_unref(clone);
	else
		*out = clone;
	return error;
}
