/*
 * Cloning a root map, for fork: each entry by its inheritance.
 *
 *   copy    the new map has a clone of the blob: copy on write both ways
 *   share   the new map has the same blob
 *   none    the new map has nothing there; nor where a device or contiguous blob would have to be copied
 *   wipe    (FORK_WIPE) the new map has a blob that is as new
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
	struct blob *clone;  /* its clone, and ... */
	struct blob *
		wiped; /* ... what is there instead of it where it is wiped: references are held; NULL: not needed yet */
};

/* Goes on to another blob, or to none. */
static void cloning_turn_to(struct cloning *cloning, struct blob *source)
{
	if (cloning->clone)
		blob_unref(cloning->clone);
	if (cloning->wiped)
		blob_unref(cloning->wiped);
	*cloning = (struct cloning){.source = source};
}

/*
 * The clone of `source`, or a new blob instead, with a reference that is the caller's: the last one made, if it is of the same
 * blob. 0 or -ENOMEM.
 */
static int clone_blob(struct cloning *cloning, struct blob *source, bool wipe, struct blob **out)
{
	struct blob **made = wipe ? &cloning->wiped : &cloning->clone;
	int error = 0;

	ASSERT(!source->fixed);
	if (cloning->source != source)
		cloning_turn_to(cloning, source);
	/*
	 * All of it, whatever the entry shows: then offsets are the same in the clone, and no
	 * node is copied.
	 */
	if (!*made && wipe)
		error = blob_create(blob_size(source), 0, made);
	else if (!*made)
		error = blob_clone(source, 0, source->pages, made);
	if (error)
		return error;
	/* Nobody else can ask for it yet. */
	(*made)->forks = source->forks + 1;
	*out = *made;
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
		entry->submap->permanent = submap->permanent;
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
	if (original->inherit == INHERIT_COPY)
		return clone_blob(cloning, original->blob, original->fork & FORK_WIPE, &entry->blob);
	entry->blob = original->blob;
	blob_ref(entry->blob);
	return 0;
}

/* Does the new map get anything of the entry? */
static bool is_inherited(const struct map_entry *entry)
{
	if (entry->kind != ENTRY_BLOB)
		return true;
	if (entry->inherit == INHERIT_NONE || (entry->fork & FORK_OMIT))
		return false;
	return entry->inherit == INHERIT_SHARE || !entry->blob->fixed;
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
	entry_copy_attributes(entry, original);
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
		} else if (is_inherited(original)) {
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
	cloning_turn_to(&cloning, NULL);
	if (error)
		map_unref(clone);
	else
		*out = clone;
	return error;
}
