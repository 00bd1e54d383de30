/*
 * What the files of the VM core share: the structures behind the handles of vm.h, and the
 * calls between its files.
 *
 * Which lock guards a field is the letter in its comment:
 *
 *   (m) the map tree's lock, map->lock, to read or to write as the access is
 *   (f) the blob family's spinlock
 *   (mf) either reads, both write: a fault reads with (m), the reverse map with (f)
 *   (l) the lock of the list of families
 *   (a) atomic
 *   (-) set before anyone else sees the structure, and constant
 *
 * Lock order: map lock -> list of families -> family -> pmap -> slab cache -> page allocator (enum lock_rank).
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

/*
 * What is at one place of a tree: nothing, a node, a page, or the location at a pager to which a page was written
 * before it was given up; told apart by the low bits.
 */
typedef uintptr_t slot_t;
#define SLOT_EMPTY     ((slot_t)0)
#define SLOT_PAGE      ((slot_t)1)
#define SLOT_PAGED_OUT ((slot_t)2)
#define SLOT_KIND_BITS 2

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

static inline bool slot_is_paged_out(slot_t slot)
{
	return slot & SLOT_PAGED_OUT;
}
static inline uint32_t slot_location(slot_t slot)
{
	return slot >> SLOT_KIND_BITS;
}
static inline slot_t slot_of_location(uint32_t location)
{
	return (slot_t)location << SLOT_KIND_BITS | SLOT_PAGED_OUT;
}

struct node;
static inline struct node *slot_node(slot_t slot)
{
	DEBUG_ASSERT(!(slot & (SLOT_PAGE | SLOT_PAGED_OUT)));
	return (struct node *)slot;
}

/* Locks: (f) everything, the lock of the family whose trees the node is in. */
struct node {
	uint32_t refs;             /* (f) slots, in nodes or roots, that refer to it; shared if more than 1 */
	uint32_t scratch;          /* (f) of check.c, while it checks */
	uint32_t round;            /* (f) of reclaim.c: in which it was looked at last */
	slot_t slots[TREE_FANOUT]; /* (f) */
};

/*
 * A tree of height h covers indexes below 64^h; of height 0, only index 0, with no node at all.
 * It grows to the highest index that was ever filled.
 *
 * Locks: (f) the family's; (-) constant.
 */
struct tree {
	slot_t root;           /* (f) */
	unsigned height;       /* (f) */
	struct family *family; /* (-) whose pager has the paged-out pages */
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

/* Empties a part of a tree that nobody uses any more; false: it is empty now. Needs no memory. */
bool tree_shed(struct tree *tree);

/*
 * Empties everything at `first` and beyond, in nodes that other trees share as well: all trees of the family are to be cut, one after the other,
 * in one section of its lock. Needs no memory.
 */
void tree_cut(struct tree *tree, pgoff_t first);

/* Lets tree_clear() of [first, end) not fail until the tree is next shared: no contents change. 0 or -ENOMEM. */
int tree_unshare_ends(struct tree *tree, pgoff_t first, pgoff_t end);

/* Makes `to`, an empty tree, the same as `from` within [first, end), and empty outside. 0 or -ENOMEM. */
int tree_share(struct tree *to, const struct tree *from, pgoff_t first, pgoff_t end);

/* Resident pages in [first, end). Those that follow: family locked. */
pgoff_t tree_count(const struct tree *tree, pgoff_t first, pgoff_t end);

/* Makes it 1 for each that is resident; the others stay. */
void tree_residency(const struct tree *tree, pgoff_t first, pgoff_t end, unsigned char *vector);

/* The count, and what else there is. */
void tree_usage(const struct tree *tree, pgoff_t first, pgoff_t end, struct blob_usage *usage);

/* Adds what `below` has where `above` has nothing. */
void tree_usage_below(struct tree *above, struct tree *below, pgoff_t first, pgoff_t end,
		      struct blob_usage *usage);

/* The first index of [first, end) whose slot is not empty, and the slot's place; `end` if there is none. */
pgoff_t tree_next(struct tree *tree, pgoff_t first, pgoff_t end, slot_t **out);

/*
 * Finds the next node of the lowest level whose slots are at *index or beyond and that was not looked at in `round`, and notes that it is now. Returns its slots,
 * TREE_FANOUT of them, and in *index the first one's; for a tree without nodes its only slot, if *index is 0. NULL: there are no more.
 */
slot_t *tree_scan(struct tree *tree, pgoff_t *index, uint32_t round, unsigned *count);

/* ---- All families (family.c) ------------------------------------------------------------- */

/* Gives a new family its number, and puts it into the list of all, where it is found when it has a blob; takes it out, when it has none. */
void family_register(struct family *family);
void family_unregister(struct family *family);

/*
 * The first family after `family` (NULL: of all) that has a blob which is still referred to, of which the caller gets a reference as a visitor,
 * to be given up with blob_leave(). NULL: there is none. `family` is kept by the caller's own reference to a blob of it.
 */
struct blob *family_visit_next(const struct family *family);

/*
 * Locks and returns the family that the search for pages to give up has come to, which has blobs; NULL: there is none, or none any more in this round. family_advance() lets it go on, if it is still at that family: true
 * if it begins anew with the first. Family not locked.
 */
struct family *family_lock_at_hand(void);
bool family_advance(const struct family *family);

/* A visitor's reference, if anyone has one yet. Family locked. */
bool blob_try_visit(struct blob *blob);

/*
 * Lets nothing in any family be at a location of the store for which `leaving` says so: what is paged out there comes back, what is resident
 * becomes dirty. 0; -ENOMEM, -EIO: not all of it. No locks held; may sleep.
 */
int store_evacuate(struct pager *store, bool (*leaving)(uint32_t location));

/* ---- Blobs (blob.c) --------------------------------------------------------------------- */

#define EXTENT_NONE UINT64_MAX

/* A page counts its wirings in 16 bits. */
#define WIRINGS_MAX UINT16_MAX

/* Blobs that were cloned from one another, and may share nodes. Freed with its last blob. */
struct family {
	struct spinlock lock;
	uint32_t number;                /* (-) that pagers know it by */
	struct family *next, *previous; /* (l) in the list of all families */
	uint32_t count;                 /* (f) blobs */
	struct blob *blobs;             /* (f) a list through blob->next */
	struct blob *founder;           /* (f) the first, of which all others are clones; NULL: it is gone */
	struct pager *
		store; /* (f) that has the paged-out pages; NULL: none was ever paged out. A reference is held */
	bool zeroes;  /* (f) the page of zeroes was entered for absent pages, and may still be */
	bool careful; /* (f) that, or something was wired: more is to be done where a page is filled */
	uint32_t
		wired_count; /* (f) mappings of all its blobs that are wired; at most WIRINGS_MAX when one is added */
	bool extent_was_cut;    /* (f) pages that were wired have gone with a smaller extent */
	uint32_t cuts;          /* (f) how often the extent became smaller */
	struct blob *hand_blob; /* (f) of reclaim.c: where it goes on; NULL: it is to begin ... */
	pgoff_t hand_index;     /* (f) ... with this tree index */
	uint32_t round;         /* (f) of reclaim.c: how often it has begun */
	pgoff_t extent; /* (f) tree index: at it and beyond there is nothing; EXTENT_NONE: all there is of the blobs */
	uint32_t verified;   /* (f) of check.c: the map_verify() that checked it last */
	uint32_t check_turn; /* (f) of check.c: the blob of the next slice */
	pgoff_t check_index; /* (f) of check.c: where in the tree that begins */
};

struct blob {
	pgoff_t pages;         /* (-) size; first, as what is first in a freed object says nothing of it */
	_Atomic uint32_t refs; /* (a) one for each map entry and wiring, one for each other holder */
	uint32_t flags;        /* (-) BLOB_* */
	enum vm_cache cache;   /* (-) */
	bool fixed;      /* (-) its pages are the frames from fixed_start on: a device's, or its own RAM */
	bool contiguous; /* (-) fixed, and its own RAM */
	paddr_t fixed_start;          /* (-) */
	bool copied;                  /* (-) it is a clone, or one of a clone, of what had contents */
	uint32_t forks;               /* (-) how many map_clone() it has come through */
	pgoff_t base;                 /* (-) tree index of page 0 */
	struct pager *pager;          /* (-) NULL: absent pages are zero */
	struct family *family;        /* (-) */
	struct blob *next, *previous; /* (f) in the family */
	struct blob *
		below; /* (-) an overlay's: has what is absent here; no overlay. A reference is held; NULL: no overlay */
	struct blob *overlays;                        /* (f) of this blob, a list through ... */
	struct blob *next_overlay, *previous_overlay; /* (f) ... these of theirs */
	struct tree tree;                             /* (f) */
	struct avl_node *mappings;                    /* (f) map entries, and wirings, by offset */
	uint32_t mapping_count;                       /* (f) */
	uint32_t wired_count;                         /* (f) of them, those that are wired */
	uint32_t visitors; /* (f) of the references, those of page faults that wait for a pager */
	pgoff_t promised;  /* (a) of blob_promise(), whose caller puts the calls in order */
};

#define BLOB_ASSERT_LIVE(blob)       DEBUG_ASSERT((int32_t)(blob)->refs > 0)
#define FAMILY_ASSERT_LOCKED(family) DEBUG_ASSERT(spin_held(&(family)->lock))

void blob_init(void);
void pager_unref(struct pager *pager); /* NULL: nothing */

/* The structures of a blob with one reference, in a family of its own; NULL: no memory. */
struct blob *blob_found_family(pgoff_t pages);

/*
 * A reference for who needs the blob, but does not hold its pages: a page fault that waits for a pager. Family locked. It is
 * given up with blob_leave(), which trims the window that the visitor may have filled; family not locked.
 */
void blob_visit(struct blob *blob);
void blob_leave(struct blob *blob, pgoff_t offset, pgoff_t pages);

/*
 * Writes 1 or 0 for each page of a window: is it in memory? Returns whether mappings may show the page of zeroes where there
 * is none.
 */
bool blob_residency(struct blob *blob, pgoff_t offset, pgoff_t pages, unsigned char *vector);

/* What the blob below an overlay, or none, has at a tree index. Family locked. */
static inline slot_t blob_below(struct blob *blob, pgoff_t index)
{
	bool shared;
	slot_t *place = blob->below ? tree_find(&blob->below->tree, index, &shared) : NULL;

	FAMILY_ASSERT_LOCKED(blob->family);
	return place ? *place : SLOT_EMPTY;
}

/* What a blob shows at a tree index: its own, or what the blob below has. Family locked. */
static inline slot_t blob_shown(struct blob *blob, pgoff_t index)
{
	bool shared;
	slot_t *place = tree_find(&blob->tree, index, &shared);

	FAMILY_ASSERT_LOCKED(blob->family);
	return place && *place != SLOT_EMPTY ? *place : blob_below(blob, index);
}

/* What is wrong with a blob as an overlay, or with the list of its own, which are counted; NULL: nothing. Family locked. */
const char *overlay_complaint(const struct blob *blob, uint32_t *listed);

/* -EINVAL unless the window is not empty, and inside the blob. */
int blob_check_window(const struct blob *blob, pgoff_t offset, pgoff_t pages);

/*
 * The reverse map: `visit` each entry that maps any of [first, end), in pages of the blob. A wiring is an entry
 * without a map. Family locked.
 */
struct map_entry;
void blob_for_each_mapping(struct blob *blob, pgoff_t first, pgoff_t end,
			   void (*visit)(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context),
			   void *context);

bool blob_is_mapped(struct blob *blob, pgoff_t first, pgoff_t end);

/* Adds an entry to, removes it from, its blob's mappings; its range and offset do not change meanwhile. Family locked. */
void blob_add_mapping(struct map_entry *entry);
void blob_remove_mapping(struct map_entry *entry);

/* Adds an entry that begins in the blob where another one ends, which shows what is before. Family locked. */
void blob_add_mapping_after(struct map_entry *entry, struct map_entry *lower);

/* After an entry's range or offset has changed while it was among its blob's mappings: in the same section of the family's lock. */
void blob_mapping_moved(struct map_entry *entry);

/*
 * Frees those pages of [first, end) that nobody can reach any more, because the blob has no holders but mappings and
 * the caller, who has `own` references, and no mapping covers the page. 0, or -ENOMEM: then not all of them. Family locked.
 */
int blob_trim(struct blob *blob, pgoff_t first, pgoff_t end, uint32_t own);

/* The page of the blob where its extent ends: from 0 to all of its pages. Family locked. */
pgoff_t blob_extent_end(const struct blob *blob);

/* Removes translations of [first, end), those of the blob's overlays included, from every pmap but at the entry `except`. Family locked. */
void blob_forget_translations(struct blob *blob, pgoff_t first, pgoff_t end, const struct map_entry *except);

/* Takes the right to write from all mappings of a window: what is in it is shared, or about to be. Family locked. */
void blob_withdraw_write(struct blob *blob, pgoff_t first, pgoff_t end);

/* ---- Obtaining a page of a blob (fault.c) ----------------------------------------------- */

/*
 * What is entered, read-only, where a private mapping of an absent page is only read. Nobody ever writes to it. It is in no
 * tree: that a translation leads to it means that the blob has nothing there, and whoever stores something there forgets such
 * translations first (forget_zeroes). Set by fault_init.
 */
extern struct page *page_of_zeroes;
void fault_init(void);

/* What a page is wanted for. */
enum obtain_for {
	OBTAIN_READ,
	OBTAIN_WRITE,
	OBTAIN_UNZEROED, /* to write; should it be new, it need not be zero */
};

/* What a page is obtained for by calls that make pages for the kernel to overwrite. */
static inline enum obtain_for obtain_new(const struct blob *blob)
{
	return blob->flags & BLOB_UNZEROED ? OBTAIN_UNZEROED : OBTAIN_WRITE;
}

enum obtain { OBTAIN_DONE, OBTAIN_FROM_PAGER, OBTAIN_NO_MEMORY, OBTAIN_BEYOND_EXTENT };

struct obtained {
	struct page *page;
	bool writable; /* the blob's alone, and dirty: writing it shows nowhere else */
	enum fault_case how;
};

/*
 * Finds or makes the page at `offset` (in pages of the blob). `entry` is the one that faulted, or NULL: other mappings of a
 * page that is replaced by its copy lose their translations. Family locked, also when it returns.
 */
enum obtain obtain_page(struct blob *blob, pgoff_t offset, enum obtain_for purpose,
			const struct map_entry *entry, struct obtained *out);

/* ---- Several pages at once (populate.c) --------------------------------------------------- */

/* Pages are entered, and asked of pagers that have them at hand, in aligned groups of so many at most. */
#define AROUND_PAGES 16u

/* Enters the resident pages in the entry around the one at `offset`, which is. 0; or -ENOMEM, -ENOENT: perhaps not that one. Family locked. */
struct map_entry;
int enter_around(struct map_entry *entry, pgoff_t offset);

/*
 * A write fault at `offset` of an entry that is advised ADVISE_CLUSTER: fills and enters the absent pages around it. False: it was not one
 * that this is for, or there is too little memory. The map is locked to read.
 */
bool fill_cluster(struct map_entry *entry, pgoff_t offset);

/* ---- Contents (content.c), pagers (pagein.c, pageout.c), wiring (wire.c) ----------------------------------- */

/* Obtains a page, asking pagers where needed. 0: the family is locked, and the page stays till it is unlocked; -ENOMEM, -EIO, -ENXIO. */
int blob_lock_and_obtain(struct blob *blob, pgoff_t offset, enum obtain_for purpose, struct obtained *out);

/*
 * Asks the pager for the page at `offset`, which is absent or paged out, and for up to `cluster` - 1 after it, and stores
 * them. No spinlocks held; may sleep. 0 (the page may be gone again), -ENOMEM, -EIO.
 */
int page_in(struct blob *blob, pgoff_t offset, unsigned cluster);

/*
 * How many pages to ask for at `offset`, which is paged out: as many more as there are just before it, if the last of these came back a moment ago. So who goes through
 * pages in order gets twice as many each time, and who does not gets one. 1 to PAGER_CLUSTER. Family locked.
 */
unsigned page_in_ahead(struct blob *blob, pgoff_t offset);

/* Has a pager the page at `offset`, which is not resident? Family locked. */
bool page_is_at_pager(struct blob *blob, pgoff_t offset);

/* Brings in what pagers have of a window, as far as there is memory. May sleep. */
void page_in_window(struct blob *blob, pgoff_t offset, pgoff_t pages);

/* Replaces `from`, a page or location, by `to` at `index` in all trees of the family; returns in how many slots. References are the caller's business. Family locked. */
unsigned family_replace(struct family *family, pgoff_t index, slot_t from, slot_t to);

/* ---- Paging out (pageout.c), and who is to be (reclaim.c) ---- */

/* Pages on their way to a pager. A reference to each is held. */
struct writing {
	struct blob *blob;
	bool give_up;   /* else they stay, clean */
	pgoff_t cursor; /* tree index: what is before has been dealt with */
	pgoff_t end;
	unsigned count;
	struct page_put puts[PAGER_CLUSTER];
};

/* Adds a dirty page of the blob to those that are to be written. Family locked. */
void writing_add(struct writing *writing, struct page *page);

/*
 * Writes what was collected, and does with it what was asked for. How many pages were written; or an error of put_pages. Family not locked; who calls
 * has a reference to the blob. May sleep.
 */
int writing_carry_out(struct writing *writing, struct pager *pager);

/* The pager that takes the family's pages, with a reference; NULL: none. Family locked. */
struct pager *family_choose_pager(struct family *family, struct pager *own);

/*
 * Puts a page's location, which it has, in its place everywhere. The caller found it in the blob, and has `own` references, which keep it. It is not wired. Family
 * locked.
 */
void page_give_up(struct blob *blob, struct page *page, uint32_t own);

/* A page's age. */
#define PAGE_IDLE_MASK \
	0x0fu           /* how often it was looked at without having been accessed since the time before */
#define PAGE_HELD 0x10u /* a device that failed may still have it: see written() */
#define PAGE_ROUND \
	0x20u /* the lowest bit of the family's round in which it was looked at last: several nodes may have it */
#define PAGE_RETURNED \
	0x40u /* it came back from a store, is clean since then, and in reclaim.c's list of such pages */
#define PAGE_SEEN 0x80u /* that, and it was looked at once */

/* Lets the pages of a window that only this blob has look as if they had not been accessed for long (reclaim.c). No locks but the map's. */
void blob_cool(struct blob *blob, pgoff_t offset, pgoff_t pages);

/* A page has come back, or is not to be in the list of those that have any more. Family locked. */
void page_returned_add(struct page *page);
void page_returned_remove(struct page *page);

/* The page, which was dirty, has a location from now on, whose reference becomes its own; or, with 0, has none any more. Family locked. */
void page_set_location(struct page *page, uint32_t location);

/* Gives up the reference to the location where a page's contents are, if it has one, as they are about to change or go. Family locked. */
void page_forget_location(struct family *family, struct page *page);

/* Sets a page's count of wirings, after it was stored in a tree of a family that has any. Family locked. */
void page_count_wirings(struct family *family, struct page *page);

/* Drops a reference to a page of the family's, and with the last its location. Family locked. */
static inline void page_release(struct family *family, struct page *page)
{
	FAMILY_ASSERT_LOCKED(family);
	/* Who wires a page holds it: the last reference does not go meanwhile. */
	DEBUG_ASSERT(page->refs > 1 || page->wired == 0);
	if (unlikely(page_location(page) != 0) && page->refs == 1)
		page_forget_location(family, page);
	page_unref(page);
}

/*
 * As blob_wire, for a window that is inside; `purpose` is what each page is obtained for. `held`: a smaller extent may not
 * take its pages.
 */
struct wiring;
int wiring_create(struct blob *blob, pgoff_t offset, pgoff_t pages, enum obtain_for purpose, bool held,
		  struct wiring **out);

/*
 * A wiring of pages of the entry's blob, for what the entry allows; with `on_fault` of those that are resident, or become so.
 * Errors as blob_wire. The entry's map is locked to write.
 */
int entry_make_wiring(const struct map_entry *entry, pgoff_t offset, pgoff_t pages, bool on_fault,
		      struct wiring **out);

/* Wirings in the order in which they were made. */
struct wiring_list {
	struct wiring *first, *last;
};
void wiring_append(struct wiring_list *list, struct wiring *wiring);
struct wiring *wiring_take(struct wiring_list *list);

/* Makes the wiring the entry's own, which shows just its window and is not wired; and frees it. The entry's map is locked to write. */
void wiring_give(struct wiring *wiring, struct map_entry *entry);

/* Ends the wiring of an entry that is wired. Its map is locked to write, and the family. */
void entry_unwire(struct map_entry *entry);

/* Counts `change` more mappings of the blob that are wired, or fewer. Family locked. */
void blob_count_wirings(struct blob *blob, int change);

/* Is any page of the window wired by blob_wire()? Family locked. */
bool blob_is_held(struct blob *blob, pgoff_t first, pgoff_t end);

/* The pages of the window are about to go whoever has wired them: they are counted as wired no more. Family locked. */
void blob_forget_wirings(struct blob *blob, pgoff_t first, pgoff_t end);

/* The wirings of a blob that cover a page. Family locked. */
uint32_t blob_wirings_at(struct blob *blob, pgoff_t offset);
/* Is any page of the window wired by the blob's own? Family locked. */
bool blob_is_wired(struct blob *blob, pgoff_t first, pgoff_t end);

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

/*
 * As entity_unref(); labels that nobody has any more are added to a list, for map_labels_destroy(): as with
 * map_label_drop(), and where locks are held.
 */
void entity_release(struct entity *entity, struct map_label **dropped);

/* ---- Labels (map.c) ------------------------------------------------------------------------------------ */

void map_label_drop(struct map_label *label, struct map_label **dropped); /* NULL: nothing */
/* Calls map_label_ops' `unmapped`, if there is one. NULL: nothing. */
void map_label_unmapped(struct map_label *label, bool written);
void map_labels_destroy(struct map_label *list); /* no locks held */

/* ---- Maps (map.c) and ranges of them (range.c) -------------------------------------------- */

/* Locks: (m) is the lock of the tree that the entry's map belongs to. */
struct map_entry {
	struct avl_node by_address;        /* (m) first: entry_of() relies on it */
	struct map_entry *previous, *next; /* (m) in address order */
	vaddr_t start, end;                /* (mf) */
	uint64_t gap;    /* (m) free bytes between the previous entry, or the map's start, and this */
	uint64_t widest; /* (m) the largest gap in the subtree below this entry */
	struct map *map; /* (-) NULL: a wiring of the blob's */
	uint8_t kind;    /* (-) enum entry_kind */
	uint8_t inherit; /* (m) enum map_inherit */
	uint8_t advice;  /* (m) enum map_advice: one of those that are kept */
	bool wired;      /* (mf) its resident pages are counted as wired; and all are resident, if not ... */
	bool on_fault;   /* (mf) ... wired: only what becomes resident */
	bool held;       /* (-) a wiring of blob_wire(): its pages may not go for a smaller extent */
	bool grows_down; /* (-) map_grow_down() */
	uint8_t fork;    /* (m) FORK_* */
	bool permanent; /* (-) part of the layout: map_unmap empties a submap but keeps it, and refuses reserved space */
	bool read_unasked;            /* (m) VM_READ_UNASKED */
	vm_prot_t prot;               /* (mf) */
	vm_prot_t max_prot;           /* (-) */
	const char *name;             /* (-) */
	struct map_label *label;      /* (-) a reference is held; NULL: none */
	struct map *submap;           /* (-) ENTRY_SUBMAP and ENTRY_ENTITY */
	struct entity *entity;        /* (-) ENTRY_ENTITY */
	struct blob *blob;            /* (m) ENTRY_BLOB; constant while it is among the blob's mappings */
	pgoff_t offset;               /* (mf) ENTRY_BLOB: of `start` in the blob */
	struct avl_node by_offset;    /* (f) in blob->mappings */
	pgoff_t farthest;             /* (f) the largest offset + pages in the subtree of by_offset */
	uint32_t faults[FAULT_CASES]; /* (f) */
	uint32_t told; /* (f) of faults for writing, those that map_take_written() has told of */
};

static inline struct map_entry *entry_of(struct avl_node *node)
{
	return (struct map_entry *)node;
}

static inline pgoff_t entry_pages(const struct map_entry *entry)
{
	return (entry->end - entry->start) >> PAGE_SHIFT;
}

static inline uint32_t entry_write_faults(const struct map_entry *entry)
{
	return entry->faults[FAULT_ZERO_FILL] + entry->faults[FAULT_UPGRADE] + entry->faults[FAULT_COPY];
}

/* Is there a fault for writing to shared memory that nobody was told of? */
static inline bool entry_written(const struct map_entry *entry)
{
	return entry->inherit == INHERIT_SHARE && (entry->prot & VM_WRITE) &&
	       entry_write_faults(entry) != entry->told;
}

/* May the page of zeroes stand for absent pages in the entry? What is shared is made for all at once. */
static inline bool entry_shows_zeroes(const struct map_entry *entry)
{
	return entry->inherit != INHERIT_SHARE;
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
	struct map_usage usage;         /* (m) in a top: of its whole tree */
	struct map_label
		*dropped;    /* (m) in a top: to be destroyed when it is unlocked, a list through `next` */
	vm_prot_t ceiling;   /* (-) no entry's rights exceed it */
	bool user;           /* (-) ring 3 may use what is mapped here */
	bool permanent;      /* (-) keeps its range, whatever goes: a top, or a permanent entry's submap */
	struct arena *arena; /* (-) whose addresses it has; NULL: it is no arena */
	uint8_t depth;       /* (-) */
	char name[VM_NAME_BYTES]; /* (-) */
	vaddr_t check_cursor;     /* (m) in a top, of check.c: where the next slice begins */
};

#define MAP_ASSERT_LIVE(map)       DEBUG_ASSERT((int32_t)(map)->refs > 0)
#define ENTITY_ASSERT_LIVE(entity) DEBUG_ASSERT((int32_t)(entity)->refs > 0)
#define MAP_ASSERT_LOCKED(map)     DEBUG_ASSERT(rw_held((map)->lock))
#define MAP_ASSERT_WRITING(map)    DEBUG_ASSERT(rw_held_write((map)->lock))

/* A part of global data space (arena.c). */
struct arena {
	_Atomic uint32_t refs; /* (a) submaps */
	vaddr_t start;         /* (-) */
	uint64_t bytes;        /* (-) */
	bool added;            /* (-) it is not its process's first */
};

void arena_init(void);
void arena_ref(struct arena *arena);
void arena_unref(struct arena *arena);

void map_init(void);

/* The innermost entry that contains `address`, in this map or a submap with the same lock; NULL: none. */
struct map_entry *map_search(struct map *map, vaddr_t address);

/* The same: accesses come in runs, and most are in the entry of the last fault, which tops remember. */
static inline struct map_entry *map_find(struct map *map, vaddr_t address)
{
	struct map_entry *entry = atomic_load_explicit(&map->recent, memory_order_relaxed);

	MAP_ASSERT_LOCKED(map);
	if (likely(entry && address >= entry->start && address < entry->end))
		return entry;
	return map_search(map, address);
}

/* The name of the innermost entry or map around `address`, for messages. */
const char *map_region(struct map *map, vaddr_t address);

/* The first entry of this very map that ends above `address`; NULL: none. */
struct map_entry *map_first_above(struct map *map, vaddr_t address);

/* The entry that has `address`, or else the next above it in the innermost map around; NULL: none. */
struct map_entry *map_find_above(struct map *map, vaddr_t address);

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

/* Takes [start, end), one end of a blob's entry, from it in the same way. It is not wired. Nothing is allocated, and no entry made. Writing. */
void entry_cut(struct map_entry *entry, vaddr_t start, vaddr_t end);

/*
 * Several entries are removed, one after the other, whose translations are gone. `next_goes`: the next in the map is removed after
 * this, whole. Then removal_finish(). Writing.
 */
struct map_removal {
	struct blob *blob;  /* NULL: nothing to finish. A reference is held */
	pgoff_t first, end; /* what of it was shown */
};
void entry_remove_with(struct map_entry *entry, struct map_removal *removal, bool next_goes);
void removal_finish(struct map_removal *removal);

/* Adds an entry to what its tree has mapped (1), or takes it away (-1), around a change of what counts. Writing. */
void entry_account(const struct map_entry *entry, int sign);

/* Is it private anonymous memory (vm.h)? Map locked. */
bool entry_is_anonymous(const struct map_entry *entry);

/* Lets the entry show the same window of another blob, whose reference it takes; as a new entry would, not wired. Writing. */
void entry_replace_blob(struct map_entry *entry, struct blob *blob);

/* Gives a new entry a window of a blob, with the caller's reference to it, and the rest of what `how` says. */
void entry_set_mapping(struct map_entry *entry, struct blob *blob, pgoff_t offset, const struct mapping *how);

/* What an entry passes on to another one that takes over a part of it, or its place in a clone: all but range, blob and wiring. */
void entry_copy_attributes(struct map_entry *to, const struct map_entry *from);

/* Moves an entry's start or end into free space, or back; its blob has the pages. Writing. */
void entry_set_range(struct map_entry *entry, vaddr_t start, vaddr_t end);

/* Makes `upper`, just created, the part of `entry` from `address` on. Writing. */
void entry_split(struct map_entry *entry, vaddr_t address, struct map_entry *upper);

/* Joins the entry with the one before it if they are adjacent and alike; returns what is left. Writing. */
struct map_entry *entry_merge(struct map_entry *entry);

/*
 * [start, end) is a part of an entry at one of its ends. The neighbour there which it would belong to if it had the rights `prot`;
 * NULL: none. Map locked.
 */
struct map_entry *entry_heir(const struct map_entry *entry, vaddr_t start, vaddr_t end, vm_prot_t prot);

/* Gives the part of the entry to that neighbour: only the border between the two moves. Writing, and the family is locked. */
void entry_give(struct map_entry *entry, vaddr_t start, vaddr_t end, struct map_entry *heir);

/* Moves the bounds of a map; its entries lie inside. Writing. */
void map_set_bounds(struct map *map, vaddr_t start, vaddr_t end);

/* An empty map below `parent`, with its lock, at an address yet to be set; NULL: no memory. */
struct map *map_allocate_submap(struct map *parent, const char *name, vm_prot_t ceiling);

/* A submap whose entries are guarded by the same lock, so that range operations go into it. */
static inline bool entry_is_passable(const struct map_entry *entry)
{
	return entry->submap && entry->submap->top == entry->map->top;
}

/* The page of the entry's blob that is at `address`. */
static inline pgoff_t entry_offset_at(const struct map_entry *entry, vaddr_t address)
{
	DEBUG_ASSERT(address >= entry->start && address < entry->end);
	return entry->offset + ((address - entry->start) >> PAGE_SHIFT);
}

/* The parts of range operations that have to work in one locked section with others (range.c). */

/* A step of a range operation: [start, end) is the entry's part of the range. 0 to go on. */
typedef int (*range_visit)(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context);

/*
 * Visits, in address order, each entry that meets the range and is not a passable submap. A visit may replace its
 * entry by others. With `whole`, -ENOMEM as soon as there is a hole. Map locked.
 */
int range_for_each(struct map *map, vaddr_t start, vaddr_t end, bool whole, range_visit visit, void *context);

/* Entries for the splits at the two ends of a range, so that a change of it cannot fail. */
struct split_reserve {
	struct map_entry *spare[2];
	unsigned count;
};
/* 0, or -ENOMEM. Writing, and nothing changes in the map before the reserve is used. */
int split_reserve_fill(struct split_reserve *reserve, struct map *map, vaddr_t start, vaddr_t end);
void split_reserve_drain(struct split_reserve *reserve);

/* Makes [start, end), a part of the entry, an entry of its own, and returns it. Writing. */
struct map_entry *entry_clip(struct map_entry *entry, vaddr_t start, vaddr_t end,
			     struct split_reserve *reserve);

/* Joins the entry that begins where a changed range ends with the one before it. Writing. */
void range_merge_at(struct map *map, vaddr_t address);

/* 0 if [start, end) may be unmapped; -EPERM where it meets a part of the layout. Writing. */
int range_check_unmap(struct map *map, vaddr_t start, vaddr_t end);

/* Unmaps what is in a range that range_check_unmap() allowed. Writing. Cannot fail. */
void range_unmap(struct map *map, vaddr_t start, vaddr_t end, struct split_reserve *reserve);

/* As map_create_submap; with `arena`, which gets a reference, it is one, and permanent. */
int map_place_submap(struct map *parent, const struct placement *place, uint64_t size_bytes,
		     vm_prot_t ceiling, const char *name, struct arena *arena, struct map **out);

/* -EINVAL unless the range is aligned, not empty and does not wrap. */
int range_check(vaddr_t start, uint64_t size_bytes);

/* ---- Locks of maps and families, and the invariant checkers (check.c) -------------------------------------------------------- */

#ifdef DEBUG
/* Check a part of a map tree, or of a family, that moves on with every call, or all if it is small. Writing; family locked. */
void map_check_slice(struct map *map);
void family_check_slice(struct family *family);
#endif

static inline void map_read_lock(struct map *map)
{
	MAP_ASSERT_LIVE(map);
	rw_read_lock(map->lock);
}

static inline void map_read_unlock(struct map *map)
{
	rw_read_unlock(map->lock);
}

static inline void map_write_lock(struct map *map)
{
	MAP_ASSERT_LIVE(map);
	rw_write_lock(map->lock);
}

/*
 * Give a lock back. What it guards is in order again, which debug builds check. Labels that went with their
 * last mapping are destroyed afterwards, so that this may sleep.
 */
static inline void map_write_unlock(struct map *map)
{
	struct map_label *dropped = map->top->dropped;

#ifdef DEBUG
	map_check_slice(map);
#endif
	map->top->dropped = NULL;
	rw_write_unlock(map->lock);
	if (unlikely(dropped != NULL))
		map_labels_destroy(dropped);
}

static inline void family_unlock(struct family *family)
{
#ifdef DEBUG
	family_check_slice(family);
#endif
	spin_unlock(&family->lock);
}

#endif
