/*
 * What the files of the VM core share: the structures behind the handles of vm.h, and the
 * calls between tree.c, blob.c, entity.c, map.c, range.c and fault.c.
 *
 * Which lock guards a field is the letter in its comment:
 *
 *   (m) the map tree's lock, map->lock, to read or to write as the access is
 *   (f) the blob family's spinlock
 *   (mf) either reads, both write: a fault reads with (m), the reverse map with (f)
 *   (a) atomic
 *   (-) set before anyone else sees the structure, and constant
 *
 * Lock order: map lock -> family -> pmap -> slab cache -> page allocator (enum lock_rank).
 */
#ifndef KERN_VM_INTERNAL_H
#define KERN_VM_INTERNAL_H

#include <vm/pmap.h>
#include <vm/slab.h>
#include <vm/vm.h>

#include "avl.h"

/* Copies a name, cut to what fits. */
static inline void vm_copy_name(char to[VM_NAME_BYTES], const char *from)
{
	size_t length = strlen(from);

	if (length >= VM_NAME_BYTES)
		length = VM_NAME_BYTES - 1;
	memcpy(to, from, length);
	to[length] = '\0';
}

/* ---- Trees of pages (tree.c) ------------------------------------------------------------ */

#define TREE_BITS       6
#define TREE_FANOUT     (1u << TREE_BITS)
#define TREE_MAX_HEIGHT 6 /* 2^36 pages: a blob's 2^47 bytes are 2^35 */

/* What is at one place of a tree: nothing, a node, or a page; told apart by the low bits. */
typedef uintptr_t slot_t;
#define SLOT_EMPTY ((slot_t)0)
#define SLOT_PAGE  ((slot_t)1)

static inline bool slot_is_page(slot_t slot)
{
	return slot & SLOT_PAGE;
}
static inline struct page *slot_page(slot_t slot)
{
	return (struct page *)(slot & ~SLOT_PAGE);
}
static inline slot_t slot_of_page(struct page *page)
{
	return (slot_t)page | SLOT_PAGE;
}

struct node;
static inline struct node *slot_node(slot_t slot)
{
	return (struct node *)slot;
}

/* Locks: (f) everything, the lock of the family whose trees the node is in. */
struct node {
	uint32_t refs;             /* (f) slots, in nodes or roots, that refer to it; shared if more than 1 */
	slot_t slots[TREE_FANOUT]; /* (f) */
};

/*
 * A tree of height h covers indexes below 64^h; of height 0, only index 0, with no node at all.
 * It grows to the highest index that was ever filled.
 *
 * Locks: (f) everything.
 */
struct tree {
	slot_t root;     /* (f) */
	unsigned height; /* (f) */
};

void tree_init(void);

/*
 * The place of `index`, or NULL if nodes on the way to it are missing: then it is empty. *shared says whether
 * another tree has a part of the way, and so sees what is there. Family locked.
 */
static inline slot_t *tree_find(struct tree *tree, pgoff_t index, bool *shared)
{
	slot_t *place = &tree->root;
	unsigned shift = TREE_BITS * tree->height;
	bool is_shared = false;

	*shared = false;
	if (index >> shift != 0)
		return NULL;
	while (shift > 0) {
		struct node *node = slot_node(*place);

		if (!node)
			break;
		is_shared |= node->refs > 1;
		shift -= TREE_BITS;
		place = &node->slots[(index >> shift) & (TREE_FANOUT - 1)];
	}
	*shared = is_shared;
	return shift > 0 ? NULL : place;
}

/*
 * Finds the place of `index`, making nodes that are missing. With `own`, no other tree sees what is then stored
 * there: shared nodes on the way are copied. Without, shared nodes are used as they are, for a change that
 * keeps contents. The place is valid until the family is unlocked. 0, or -ENOMEM and nothing changed.
 */
int tree_place(struct tree *tree, pgoff_t index, bool own, slot_t **out);

/* Empties [first, end). 0, or -ENOMEM and nothing changed (only where the tree shares nodes at the range's ends). */
int tree_clear(struct tree *tree, pgoff_t first, pgoff_t end);

/* Makes `to`, an empty tree, the same as `from` within [first, end), and empty outside. 0 or -ENOMEM. */
int tree_share(struct tree *to, const struct tree *from, pgoff_t first, pgoff_t end);

/* Pages in [first, end). */
pgoff_t tree_count(const struct tree *tree, pgoff_t first, pgoff_t end);

/* ---- Blobs (blob.c) --------------------------------------------------------------------- */

/* Blobs that were cloned from one another, and may share nodes. Freed with its last blob. */
struct family {
	struct spinlock lock;
	uint32_t blobs; /* (f) */
};

struct blob {
	_Atomic uint32_t refs;     /* (a) one for each map entry, one for each other holder */
	uint32_t flags;            /* (-) BLOB_* */
	enum vm_cache cache;       /* (-) */
	bool device;               /* (-) its pages are the device's, from device_start */
	paddr_t device_start;      /* (-) */
	pgoff_t pages;             /* (-) size */
	pgoff_t base;              /* (-) tree index of page 0 */
	struct pager *pager;       /* (-) NULL: absent pages are zero */
	struct family *family;     /* (-) */
	struct tree tree;          /* (f) */
	struct avl_node *mappings; /* (f) map entries by offset */
	uint32_t mapping_count;    /* (f) */
};

void blob_init(void);

/* Writes 1 or 0 for each page of a window: is it in memory? */
void blob_residency(struct blob *blob, pgoff_t offset, pgoff_t pages, unsigned char *vector);

/* The reverse map: `visit` each entry that maps any of [first, end), in pages of the blob. Family locked. */
struct map_entry;
void blob_for_each_mapping(struct blob *blob, pgoff_t first, pgoff_t end,
			   void (*visit)(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context),
			   void *context);

bool blob_is_mapped(struct blob *blob, pgoff_t first, pgoff_t end);

/* Adds an entry to, removes it from, its blob's mappings; its range and offset do not change meanwhile. Family locked. */
void blob_add_mapping(struct map_entry *entry);
void blob_remove_mapping(struct map_entry *entry);

/*
 * Frees those pages of [first, end) that nobody can reach any more, because the blob has no holders but mappings and
 * the caller, who has `own` references, and no mapping covers the page. 0, or -ENOMEM: then not all of them. Family locked.
 */
int blob_trim(struct blob *blob, pgoff_t first, pgoff_t end, uint32_t own);

/* Removes translations of [first, end) from every pmap but at the entry `except`. Family locked. */
void blob_forget_translations(struct blob *blob, pgoff_t first, pgoff_t end, const struct map_entry *except);

/* ---- Obtaining a page of a blob (fault.c) ----------------------------------------------- */

enum obtain { OBTAIN_DONE, OBTAIN_FROM_PAGER, OBTAIN_NO_MEMORY };

struct obtained {
	struct page *page;
	bool writable; /* the blob's alone: writing it shows nowhere else */
	enum fault_case how;
};

/*
 * Finds or makes the page at `offset` (in pages of the blob) for reading or writing. `entry` is the one that
 * faulted, or NULL: other mappings of a page that is replaced by its copy lose their translations. Family locked, also when it returns.
 */
enum obtain obtain_page(struct blob *blob, pgoff_t offset, bool write, const struct map_entry *entry,
			struct obtained *out);

/* Asks the pager for the page at `offset` and stores it. No locks held; may sleep. 0, -ENOMEM, -EIO. */
int page_in(struct blob *blob, pgoff_t offset);

/* ---- Entities (entity.c) ---------------------------------------------------------------- */

/* Fills one page at most. Constant once made, so only its reference count needs care. */
struct entity {
	_Atomic uint32_t refs;                        /* (a) */
	uint32_t count;                               /* (-) segments */
	pgoff_t pages;                                /* (-) */
	char name[VM_NAME_BYTES];                     /* (-) */
	struct segment segments[ENTITY_MAX_SEGMENTS]; /* (-) */
};
_Static_assert(sizeof(struct entity) <= PAGE_SIZE, "an entity is allocated as one page");

/* ---- Maps (map.c) and ranges of them (range.c) -------------------------------------------- */

/* Locks: (m) is the lock of the tree that the entry's map belongs to. */
struct map_entry {
	struct avl_node by_address;        /* (m) first: entry_of() relies on it */
	struct map_entry *previous, *next; /* (m) in address order */
	vaddr_t start, end;                /* (mf) */
	uint64_t gap;    /* (m) free bytes between the previous entry, or the map's start, and this */
	uint64_t widest; /* (m) the largest gap in the subtree below this entry */
	struct map *map; /* (-) */
	uint8_t kind;    /* (-) enum entry_kind */
	uint8_t inherit; /* (m) enum map_inherit */
	bool permanent; /* (-) part of the layout: map_unmap empties a submap but keeps it, and refuses reserved space */
	vm_prot_t prot;               /* (mf) */
	vm_prot_t max_prot;           /* (-) */
	const char *name;             /* (-) */
	struct map *submap;           /* (-) ENTRY_SUBMAP and ENTRY_ENTITY */
	struct entity *entity;        /* (-) ENTRY_ENTITY */
	struct blob *blob;            /* (-) ENTRY_BLOB */
	pgoff_t offset;               /* (mf) ENTRY_BLOB: of `start` in the blob */
	struct avl_node by_offset;    /* (f) in blob->mappings */
	pgoff_t farthest;             /* (f) the largest offset + pages in the subtree of by_offset */
	uint32_t faults[FAULT_CASES]; /* (f) */
};

static inline struct map_entry *entry_of(struct avl_node *node)
{
	return (struct map_entry *)node;
}

static inline pgoff_t entry_pages(const struct map_entry *entry)
{
	return (entry->end - entry->start) >> PAGE_SHIFT;
}

struct map {
	struct rwlock *lock;    /* (-) that of the map tree's top */
	struct rwlock own_lock; /* a top's; the others' is not used */
	_Atomic uint32_t refs;  /* (a) */
	struct map *top;        /* (-) the root or shared submap that this map's tree hangs from */
	struct map_entry *_Atomic
		recent;     /* (a) in a top: the entry of the last fault; (m) keeps it from being freed */
	struct pmap *pmap;  /* (-) the root's, or kernel_pmap; NULL: space is only accounted here */
	vaddr_t start, end; /* (m) */
	struct avl_node *entries;       /* (m) by address */
	struct map_entry *first, *last; /* (m) */
	uint64_t entry_count;           /* (m) */
	vm_prot_t ceiling;              /* (-) no entry's rights exceed it */
	bool user;                      /* (-) ring 3 may use what is mapped here */
	struct arena *arena;            /* (-) whose addresses it has; NULL: it is no arena */
	uint8_t depth;                  /* (-) */
	char name[VM_NAME_BYTES];       /* (-) */
};

#define MAP_ASSERT_LOCKED(map)       DEBUG_ASSERT(rw_held((map)->lock))
#define MAP_ASSERT_WRITING(map)      DEBUG_ASSERT(rw_held_write((map)->lock))
#define FAMILY_ASSERT_LOCKED(family) DEBUG_ASSERT(spin_held(&(family)->lock))

/* A part of global data space (arena.c). */
struct arena {
	_Atomic uint32_t refs; /* (a) submaps */
	vaddr_t start;         /* (-) */
	uint64_t bytes;        /* (-) */
};

void arena_init(void);
void arena_ref(struct arena *arena);
void arena_unref(struct arena *arena);

void map_init(void);

/* The innermost entry that contains `address`, in this map or a submap with the same lock; NULL: none. */
struct map_entry *map_find(struct map *map, vaddr_t address);

/* The name of the innermost entry or map around `address`, for messages. */
const char *map_region(struct map *map, vaddr_t address);

/* The first entry of this very map that ends above `address`; NULL: none. */
struct map_entry *map_first_above(struct map *map, vaddr_t address);

/* The map that an entry at [start, end) belongs in: the innermost of the tree that has all of it. */
struct map *map_containing(struct map *map, vaddr_t start, vaddr_t end);

/*
 * Chooses an address for `bytes` in this very map, as `place` says; its PLACE_REPLACE is the caller's to handle.
 * -EEXIST: PLACE_FIXED and something is there; -ENOMEM: no room, or outside the map; -EINVAL: unaligned.
 */
int map_choose(struct map *map, const struct placement *place, uint64_t bytes, vaddr_t *out);

/* An entry, zeroed but for kind and name; NULL: no memory. */
struct map_entry *entry_create(enum entry_kind kind, const char *name);

/* Frees an entry that is in no map, and drops what it refers to. */
void entry_destroy(struct map_entry *entry);

/* Inserts an entry at its range, which is free; adds a blob's entry to its mappings. Writing. */
void entry_insert(struct map *map, struct map_entry *entry);

/* Takes an entry out of its map, its translations removed, its blob trimmed, and destroys it. Writing. */
void entry_remove(struct map_entry *entry);

/* Moves an entry's start or end into free space, or back; its blob has the pages. Writing. */
void entry_set_range(struct map_entry *entry, vaddr_t start, vaddr_t end);

/* Makes `upper`, just created, the part of `entry` from `address` on. Writing. */
void entry_split(struct map_entry *entry, vaddr_t address, struct map_entry *upper);

/* Joins the entry with the one before it if they are adjacent and alike; returns what is left. Writing. */
struct map_entry *entry_merge(struct map_entry *entry);

/* Moves the bounds of a map; its entries lie inside. Writing. */
void map_set_bounds(struct map *map, vaddr_t start, vaddr_t end);

/* An empty map below `parent`, with its lock, at an address yet to be set; NULL: no memory. */
struct map *map_allocate_submap(struct map *parent, const char *name, vm_prot_t ceiling);

/* The parts of range operations that have to work in one locked section with others (range.c). */

/* Entries for the splits at the two ends of a range, so that a change of it cannot fail. */
struct split_reserve {
	struct map_entry *spare[2];
	unsigned count;
};
/* 0, or -ENOMEM. Writing, and nothing changes in the map before the reserve is used. */
int split_reserve_fill(struct split_reserve *reserve, struct map *map, vaddr_t start, vaddr_t end);
void split_reserve_drain(struct split_reserve *reserve);

/* 0 if [start, end) may be unmapped; -EPERM where it meets a part of the layout. Writing. */
int range_check_unmap(struct map *map, vaddr_t start, vaddr_t end);

/* Unmaps what is in a range that range_check_unmap() allowed. Writing. Cannot fail. */
void range_unmap(struct map *map, vaddr_t start, vaddr_t end, struct split_reserve *reserve);

/* As map_create_submap; with `arena`, which gets a reference, it is one, and permanent. */
int map_place_submap(struct map *parent, const struct placement *place, uint64_t size_bytes,
		     vm_prot_t ceiling, const char *name, struct arena *arena, struct map **out);

/* -EINVAL unless the range is aligned, not empty and does not wrap. */
int range_check(vaddr_t start, uint64_t size_bytes);

#endif
