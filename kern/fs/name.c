/*
 * The tree of names: what is called how in which directory.
 *
 * Names of a RAM file system are here from when they are made until they are deleted, and longer where a file or directory is still
 * used by that name. How paths lead through them is in path.c, what changes them in names_*.c.
 */
#include <asm/errno.h>
#include <linux/limits.h>

#include "fs_internal.h"

struct rwlock names_lock;

#define SHORT_TEXT 31 /* most names are no longer */

static struct slab_cache name_cache, short_cache, long_cache;

void names_init(void)
{
	rw_init(&names_lock, RANK_NAMESPACE, "names");
	slab_cache_init(&name_cache, "name", sizeof(struct name));
	slab_cache_init(&short_cache, "short text", SHORT_TEXT + 1);
	slab_cache_init(&long_cache, "long text", NAME_MAX + 1);
}

/* ---- The order of children ----------------------------------------------------------------------------- */

static int compare_texts(const struct name *left, const struct name *right)
{
	if (left->length != right->length)
		return left->length < right->length ? -1 : 1;
	return memcmp(left->text, right->text, left->length);
}

static int compare_places(const struct name *left, const struct name *right)
{
	return left->place < right->place ? -1 : left->place > right->place;
}

RB_GENERATE_STATIC(name_texts, name, text_link, compare_texts)
RB_GENERATE_STATIC(name_places, name, place_link, compare_places)

struct name *name_child(struct name *directory, const char *text, size_t length)
{
	struct name wanted;

	wanted.text = (char *)text;
	wanted.length = (uint16_t)length;
	return RB_FIND(name_texts, &directory->by_text, &wanted);
}

struct name *name_child_from(struct name *directory, uint64_t place)
{
	struct name wanted;

	wanted.place = place;
	return RB_NFIND(name_places, &directory->by_place, &wanted);
}

void name_link(struct name *name)
{
	struct name *directory = name->parent;

	ASSERT(rw_held_write(&names_lock) && !name->linked);
	name->place = directory->next_place++;
	RB_INSERT(name_texts, &directory->by_text, name);
	RB_INSERT(name_places, &directory->by_place, name);
	directory->children++;
	name->linked = true;
	name_ref(name);
}

void name_unlink(struct name *name)
{
	struct name *directory = name->parent;

	ASSERT(rw_held_write(&names_lock) && name->linked);
	RB_REMOVE(name_texts, &directory->by_text, name);
	RB_REMOVE(name_places, &directory->by_place, name);
	directory->children--;
	name->linked = false;
	name_unref(name);
}

/* ---- Making and freeing ------------------------------------------------------------------------------------ */

static struct slab_cache *text_cache(size_t length)
{
	return length <= SHORT_TEXT ? &short_cache : &long_cache;
}

char *name_text_alloc(size_t length)
{
	return slab_alloc(text_cache(length));
}

void name_text_free(char *text, size_t length)
{
	slab_free(text_cache(length), text);
}

int name_create(struct name *parent, const char *text, size_t length, struct inode *inode, struct name **out)
{
	struct name *name = length <= NAME_MAX ? slab_alloc(&name_cache) : NULL;
	char *copy = name ? name_text_alloc(length) : NULL;

	if (!copy) {
		if (name)
			slab_free(&name_cache, name);
		inode_unref(inode);
		return length > NAME_MAX ? -ENAMETOOLONG : -ENOMEM;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';
	*name = (struct name){.refs = 1,
			      .text = copy,
			      .length = (uint16_t)length,
			      .inode = inode,
			      .parent = parent ? name_ref(parent) : NULL};
	*out = name;
	return 0;
}

/* A name that goes may be the last that held its parent, and so on. What is linked, or has children, has references. */
void name_unref(struct name *name)
{
	while (name && --name->refs == 0) {
		struct name *parent = name->parent;

		ASSERT(!name->linked && !name->mounted && RB_EMPTY(&name->by_text));
		inode_unref(name->inode);
		name_text_free(name->text, name->length);
		slab_free(&name_cache, name);
		name = parent;
	}
}

/* ---- Changing ------------------------------------------------------------------------------------------------- */

void name_move(struct name *name, struct name *parent, char *text, size_t length)
{
	struct name *before = name->parent;

	ASSERT(rw_held_write(&names_lock) && !name->linked);
	name_text_free(name->text, name->length);
	name->text = text;
	name->length = (uint16_t)length;
	if (parent && parent != before) {
		name->parent = name_ref(parent);
		name_unref(before);
	}
}

/* Names that are made when they are looked up are in no tree. */
bool name_is_deleted(const struct name *name)
{
	if (!name->parent)
		return name->length > 0;
	return !name->linked && !name->parent->inode->ops->lookup;
}

/* What was made there could not be found, and would keep the directory, which keeps it. */
bool name_takes_children(const struct name *directory)
{
	return directory->parent ? directory->linked : directory->inode->fs->root == directory;
}

/* Depth first, without recursion: down to a name without children, which goes, and on from its parent. */
void name_unlink_all(struct name *top)
{
	struct name *at = top;

	for (;;) {
		struct name *child = RB_MIN(name_texts, &at->by_text);
		struct name *parent = at->parent;

		if (child) {
			at = child;
			continue;
		}
		if (at == top)
			return;
		at->inode->links = 0;
		name_unlink(at);
		at = parent;
	}
}

/* ---- Mounts ------------------------------------------------------------------------------------------------------ */

struct name *name_top(struct name *name)
{
	while (name->mounted)
		name = name->mounted->root;
	return name;
}

struct name *name_above(struct name *name)
{
	while (!name->parent && name->inode->fs->root == name && name->inode->fs->covers)
		name = name->inode->fs->covers;
	return name->parent ? name->parent : name;
}
