/*
 * The VM's public face: blobs, entities, maps, and the page fault.
 *
 * A blob is data; an entity says how blobs lie together in memory; a map is a range of address
 * space, divided into map entries; maps nest as submaps, and a root map owns page tables. How
 * they work is in docs/design.md; what each call promises is here.
 *
 * Functions return 0 or a negative errno; what cannot fail returns void. After an error everything
 * is as it was before. Unless a comment says otherwise a call may wait for a map's lock, and takes
 * locks of rank RANK_MAP_ROOT and above itself: the caller holds none of those.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <vm/page.h>
#include <vm/types.h>

/* Names are copied up to this many bytes, terminator included. */
#define VM_NAME_BYTES 32

struct blob;
struct entity;
struct map;
struct pager;

/* ---- Pagers: where pages come from, and go to --------------------------------------------- */

/* At most so many pages are asked of a pager, or given to it, at a time. */
#define PAGER_CLUSTER 32

/* The location of pages of zeroes, of which a pager keeps nothing: it may give it to any of them, and does not count references to it. */
#define LOCATION_ZERO UINT32_MAX

/* A page asked of a pager. */
struct page_wanted {
	pgoff_t index;     /* tree index */
	uint32_t location; /* where put_pages put it; 0: what the pager has there from the beginning */
	uint32_t family;   /* whose page it is: a number that blobs have which were cloned from one another */
};

/* A page given to a pager. */
struct page_put {
	struct page *page;
	pgoff_t index;     /* tree index */
	uint32_t location; /* not 0: out, where it is now; one reference to it is the caller's */
	uint32_t family;   /* whose page it is */
	bool held; /* out: a device that failed may still have the page, with a reference of its own */
};

struct pager_ops {
	const char *name; /* for messages: "boot module", "swap" */

	/*
	 * Provides the first page of `wanted`, and where that is cheap those after it, which have the next indexes:
	 * each the pager's own page, lent (one more reference, which the caller gives back), or a new PAGE_BLOB page
	 * filled by the pager (its one reference is the caller's); for a location always the latter. What a pager has from the beginning never
	 * changes: a writer copies. Returns how many, 1 to `count`; -ENOMEM; or -EIO where the contents cannot
	 * be had. Called without spinlocks; may sleep.
	 */
	int (*get_pages)(struct pager *pager, const struct page_wanted *wanted, unsigned count,
			 struct page **out);

	/* Has the pager contents at `index` from the beginning? If not they are zero. NULL: it has them all. May not sleep. */
	bool (*has_page)(struct pager *pager, pgoff_t index);

	/*
	 * Writes the contents of `count` pages (1 to PAGER_CLUSTER), with neighbouring indexes as a rule, to new
	 * locations. Returns how many it has written, from the first on, 1 to `count`; or -ENOSPC, -EIO, -ENOMEM, and none was. The pages do
	 * not change meanwhile. Called without spinlocks; may sleep. NULL: the pager takes no pages.
	 */
	int (*put_pages)(struct pager *pager, struct page_put *pages, unsigned count);

	/*
	 * One reference more, or less, to a location; what is there goes with the last. Only with put_pages. May not
	 * sleep: a family's spinlock is held.
	 */
	void (*location_ref)(struct pager *pager, uint32_t location);
	void (*location_unref)(struct pager *pager, uint32_t location);

	/* The last reference to the pager is gone. */
	void (*destroy)(struct pager *pager);

	/* What it has from the beginning is in memory, and lent: a page fault asks for neighbouring pages as well. */
	bool at_hand;
};

/* Embedded at the start of whatever the pager needs to know. */
struct pager {
	const struct pager_ops *ops;
	_Atomic uint32_t refs; /* atomic */
};

/*
 * The pager that takes the pages of blobs whose own pager does not, or who have none; NULL: nobody does. Takes a
 * reference of its own. Blobs of which a page was written before stay, with their clones, with the pager they had. -EINVAL: it takes no pages.
 */
int vm_set_store(struct pager *store);

/* ---- Blobs ------------------------------------------------------------------------------ */

#define BLOB_MAX_BYTES ((uint64_t)1 << 47)

/* Flags of blob_create. */
#define BLOB_UNZEROED \
	1u /* the kernel overwrites what blob_commit and blob_wire make before a user sees it: it is not zeroed */

/*
 * Makes an anonymous blob of `size_bytes` (a multiple of the page size, 1 page to BLOB_MAX_BYTES).
 * Costs no page until one is touched. -EINVAL for the size or flags, -ENOMEM.
 */
int blob_create(uint64_t size_bytes, unsigned flags, struct blob **out);

/* Makes a blob whose absent pages come from `pager`; takes over the caller's reference to it. */
int blob_create_paged(uint64_t size_bytes, struct pager *pager, struct blob **out);

/*
 * Makes a blob of a physical range that is not RAM: device registers or memory. Page aligned.
 * Never paged, zeroed or freed. -EINVAL for a bad range or one that is RAM; -ENOMEM.
 */
int blob_create_device(paddr_t start, uint64_t size_bytes, enum vm_cache cache, struct blob **out);

/*
 * Makes a blob of consecutive frames of RAM, for a device's DMA: the first at a multiple of `align_bytes` (a power of two
 * of at least PAGE_SIZE), all below physical address `limit` (PAGE_ANYWHERE: no limit). Zeroed when it is made; then never
 * paged, zeroed or moved. -EINVAL for the size or alignment, or a size beyond all RAM's; -ENOMEM.
 */
int blob_create_contiguous(uint64_t size_bytes, uint64_t align_bytes, paddr_t limit, enum vm_cache cache,
			   struct blob **out);

/* The physical address of a device or contiguous blob. -EINVAL for any other. */
int blob_physical(const struct blob *blob, paddr_t *out);

/*
 * The extent says how much of a blob is there. A blob's size is fixed: a file's blob is as large as blobs can be, costs nothing,
 * and its extent follows the file's length, rounded up to pages. At first it is the whole blob.
 *
 * A blob has its extent together with all clones of it, their clones, and what it was cloned from, before and after it is set: a
 * private mapping of a file ends where the file ends, grows and shrinks with it. `pages` counts from the beginning of
 * `blob`, up to its size, which for a clone of a window means: as many pages of the window.
 *
 * At or beyond the extent there are no pages: vm_fault() is refused (-ENXIO, FAULT_BEYOND_EXTENT), as is everything that would make a page
 * resident. A smaller extent forgets the pages beyond it, in all these blobs, private copies and wired pages included (what
 * map_wire() wired: a wired mapping has a hole there, and wires the page again that comes back with a larger extent); when it returns no CPU can use
 * any of their translations. What a larger extent adds is absent: zero, or the pager's.
 *
 * blob_set_extent: -EINVAL: more than the blob has, or a device or contiguous blob; -EBUSY: blob_wire() has a page beyond.
 * Allocates nothing. Calls of it for one blob are the caller's to put in order, as are those that rely on the extent.
 */
int blob_set_extent(struct blob *blob, pgoff_t pages);
pgoff_t blob_extent(struct blob *blob);

/*
 * Makes a blob with the contents that [offset, offset + pages) of `source` has now, and from then on
 * its own: copy on write, on both sides alike. Costs O(height of the tree), not O(pages).
 * The extent is one for both (blob_set_extent); for a copy with an extent of its own there is blob_copy.
 * -EINVAL if the window is empty or not inside `source`, or `source` is a device or contiguous blob; -ENOMEM.
 */
int blob_clone(struct blob *source, pgoff_t offset, pgoff_t pages, struct blob **out);

/*
 * Makes an overlay of [offset, offset + pages) of `source`: it shows what `source` has there at any time, but for the pages that it was itself
 * written to, which are its own from then on. Of an overlay it makes one more like it, as blob_clone does: with the same pages of its own, of the same blob. A clone of an overlay is
 * an overlay. So there are never more than two blobs to look at. An overlay holds a reference to what it shows; what it forgets (blob_decommit), it shows as that has it. Costs and errors
 * are blob_clone's.
 */
int blob_overlay(struct blob *source, pgoff_t offset, pgoff_t pages, struct blob **out);

/* One more reference; one less, the last of which destroys the blob. */
void blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);

uint64_t blob_size(const struct blob *blob); /* in bytes */
bool blob_is_overlay(const struct blob *blob);

/*
 * Is any of the blob mapped with `max_prot`, or can it become so without being mapped anew (max_prot of the mapping)? Mappings of
 * clones do not count: they write to the clone.
 */
bool blob_mapped(struct blob *blob, vm_prot_t max_prot);

/*
 * Copies bytes between a blob and kernel memory, without mapping it. -EINVAL for a device blob, and when [offset,
 * offset + bytes) is not inside the blob; -ENXIO when it is not inside the extent, which a writer extends first; -ENOMEM or -EIO when a page
 * cannot be had, and then blob_write may have written the bytes of earlier pages. So it may have if the extent becomes smaller meanwhile.
 */
int blob_read(struct blob *blob, uint64_t offset, void *to, size_t bytes);
int blob_write(struct blob *blob, uint64_t offset, const void *from, size_t bytes);

/* Makes the bytes of [offset, offset + bytes) zero; whole pages become absent where they can. Errors as blob_write: some bytes, in any order, may be zero then. */
int blob_zero(struct blob *blob, uint64_t offset, uint64_t bytes);

/*
 * Lets `move` read or write bytes of a blob where they are: [offset, offset + bytes), within one page. It is called at most once, with a spinlock held: it may not sleep
 * or fault; and returns how many bytes it moved, which comes in *moved. It may have written any of those that it did not count, which are lost. Errors as blob_read and blob_write; then it was not called.
 */
int blob_in_place(struct blob *blob, uint64_t offset, size_t bytes, bool write,
		  size_t (*move)(void *context, void *data, size_t bytes), void *context, size_t *moved);

/*
 * Copies bytes from one blob to another, or within one. Errors as blob_read and blob_write; -EINVAL also when the ranges
 * overlap in one blob.
 */
int blob_copy(struct blob *to, uint64_t to_offset, struct blob *from, uint64_t from_offset, uint64_t bytes);

/*
 * The calls that follow take a window [offset, offset + pages), and return -EINVAL when it is empty or not inside the
 * blob; those that make pages resident -ENXIO for one beyond the extent. What else they return is said with each. Those that have done a part before they fail have lost nothing: no
 * contents change but by blob_decommit, which does all or nothing.
 */

/*
 * Makes every page of the window resident and this blob's own, so that writes cannot fail. -EINVAL for a device blob;
 * -ENOMEM or -EIO when a page cannot be had, and then those before it are.
 */
int blob_commit(struct blob *blob, pgoff_t offset, pgoff_t pages);

/*
 * Forgets pages: they are absent again, as if never touched, in all mappings of the blob. -EINVAL for a device or contiguous
 * blob; -EBUSY where a page of the window is wired; -ENOMEM.
 */
int blob_decommit(struct blob *blob, pgoff_t offset, pgoff_t pages);

/*
 * Makes every page of the window resident and this blob's own, and keeps it resident until blob_unwire. A page
 * stays in the same frame for as long as the blob is not cloned, synced or copied from. -ENOMEM (also for more than 65535 wirings of a
 * blob and its clones), -EIO: then nothing is wired; but pages that were made resident on the way stay so.
 */
struct wiring;
int blob_wire(struct blob *blob, pgoff_t offset, pgoff_t pages, struct wiring **out);
void blob_unwire(struct wiring *wiring);

/*
 * Writes those pages of the window that changed since they were last written (or are new) to the pager that takes them;
 * they stay resident. blob_page_out does the same with those that are not wired, and then gives them up: the next access
 * brings them back. Pages that are lent by the blob's pager stay. -EINVAL for a device or contiguous blob; -ENODEV: no pager takes its pages; -ENOSPC, -EIO,
 * -ENOMEM from the pager. A page that somebody writes to meanwhile stays as it is.
 */
int blob_sync(struct blob *blob, pgoff_t offset, pgoff_t pages);
int blob_page_out(struct blob *blob, pgoff_t offset, pgoff_t pages);

/* Resident pages in the window, shared with clones or not; of an overlay its own. All of a device or contiguous blob's are. 0 for a window not inside. */
pgoff_t blob_resident(struct blob *blob, pgoff_t offset, pgoff_t pages);

/* What the pages of a window are, in an overlay with what it shows of the blob below; those that are in none of the first two are absent. */
struct blob_usage {
	pgoff_t resident;
	pgoff_t paged_out;
	pgoff_t zeroes; /* paged out, but known to be zero, and nowhere */
	pgoff_t dirty;  /* resident, and not at the pager as they are now */
	pgoff_t wired;  /* resident, and kept so */
	pgoff_t lent;   /* resident, and the pager's: never dirty, shared with all who have it from there */
	pgoff_t shared; /* resident, and seen by clones as well; with what is lent */
	pgoff_t shared_dirty; /* of these, those that are dirty */
};
int blob_usage(struct blob *blob, pgoff_t offset, pgoff_t pages, struct blob_usage *out);

/* ---- Labels: what a mapping is of, for who lists it -------------------------------------- */

struct map_label;

struct map_label_ops {
	/*
	 * The last reference is gone. Called after the map that had it was unlocked, by the thread that unmapped: may sleep, and
	 * take locks that come before a map's.
	 */
	void (*destroy)(struct map_label *label);

	/*
	 * Writes what the label names, a path, to `to`: as much as fits into `bytes`, with a 0 at the end. Returns its whole length without
	 * the 0. Called by who lists mappings, not by the VM itself; in a visit of map_walk() only if it takes no lock that
	 * anyone has who accesses user memory. NULL: the label has no name.
	 */
	size_t (*name)(struct map_label *label, char *to, size_t bytes);

	/*
	 * A mapping that had the label has gone, for whatever reason, or a piece of one; its reference is still there. `written`: it was shared, and written to since map_take_written(),
	 * as far as is known: where the first access to a page only read it, that is not. Called with maps locked: may not sleep. NULL: nothing is to be
	 * done.
	 */
	void (*unmapped)(struct map_label *label, bool written);
};

/*
 * Embedded in what the mapping is of: a file that is open, say. Whoever makes one has its first reference.
 *
 * Locks: (a) atomic; (-) set before anyone else sees it; (d) nobody: of the VM, for one that is about to be destroyed.
 */
struct map_label {
	_Atomic uint32_t refs;           /* (a) */
	const struct map_label_ops *ops; /* (-) */
	uint64_t device, inode;          /* (-) numbers for listings */
	struct map_label *next;          /* (d) */
};

void map_label_ref(struct map_label *label);   /* NULL: nothing */
void map_label_unref(struct map_label *label); /* NULL: nothing. No locks of maps held. */

/* ---- Entities --------------------------------------------------------------------------- */

/* Private: a clone of the window, as it is when the entity is mapped. Overlay: private, but what was not written to follows the blob. */
enum segment_sharing { SEGMENT_SHARED, SEGMENT_PRIVATE, SEGMENT_OVERLAY };

/* One piece of an entity: a window of a blob at a place in it. */
struct segment {
	struct blob *blob;
	pgoff_t blob_offset; /* in pages */
	pgoff_t place;       /* in pages from the entity's start */
	pgoff_t pages;
	vm_prot_t prot;
	enum segment_sharing sharing;
	const char *name;        /* for listings: "text"; a string that is never freed */
	struct map_label *label; /* NULL: none; the entity takes a reference of its own */
};

#define ENTITY_MAX_SEGMENTS 64

/*
 * Makes an entity of `pages` pages in all, which takes a reference to each blob. Segments
 * may be in any order, and leave holes. -EINVAL: no segment, too many, one that is empty, outside
 * the entity or outside its blob, overlaps another, is private of a device or contiguous blob, or has rights that there are not; more
 * pages than BLOB_MAX_BYTES have; -ENOMEM. `name` is copied (up to 31 bytes).
 */
int entity_create(const char *name, pgoff_t pages, const struct segment *segments, size_t count,
		  struct entity **out);
void entity_ref(struct entity *entity);
void entity_unref(struct entity *entity);
pgoff_t entity_pages(const struct entity *entity);

/* ---- Maps ------------------------------------------------------------------------------- */

#define MAP_MAX_DEPTH 12 /* a root is at depth 0 */

enum map_inherit { INHERIT_COPY, INHERIT_SHARE, INHERIT_NONE };

/* What besides a fork does with an entry, said after it was made; all may be set (map_set_fork). */
#define FORK_OMIT 1u /* the child has nothing there */
#define FORK_WIPE 2u /* the child has zeroes there: for private anonymous memory */
#define DUMP_OMIT 4u /* no fork's: what is not to be in a file of the process's memory */

/* Where a new entry may go. Addresses in bytes, page aligned; 0 in a field means "no wish". */
struct placement {
	vaddr_t address;   /* with PLACE_FIXED: exactly here; else a hint, taken if it is free */
	vaddr_t low, high; /* anywhere in [low, high) of the map; high 0: to the map's end */
	uint64_t align;    /* a power of two of at least PAGE_SIZE */
	uint64_t guard; /* free bytes before and after it, a multiple of `align`, where no address is given */
	unsigned flags;
};
#define PLACE_FIXED   1u /* at `address`, or fail with -EEXIST if anything is there */
#define PLACE_REPLACE 2u /* with PLACE_FIXED: unmap what is there first */

/* How a new entry behaves. */
struct mapping {
	vm_prot_t prot;
	vm_prot_t max_prot; /* mprotect may not go beyond; 0 means VM_ALL, cut by the map's ceiling */
	enum map_inherit inherit;
	const char *name;        /* for listings; a string that is never freed */
	struct map_label *label; /* what it is of; NULL: none. Each entry holds a reference of its own */
	bool grows_down;         /* as map_grow_down() says: a stack */
};

/*
 * A mapping is private anonymous if it is inherited as a copy, has no label, and its blob has neither a pager, nor fixed frames, nor
 * an extent, and is no overlay.
 *
 * Every call below that takes a range descends from the map it is given into the submap that
 * contains the range; map_unmap, map_protect and map_decommit work on every entry in the range.
 * Errors that all of them share: -EINVAL for an unaligned, empty or wrapping range; -ENOMEM for want of
 * memory, and for a range that is not inside the map, or for which there is no room; -EPERM where the range, or what
 * PLACE_REPLACE would unmap, meets a part of the layout (the kernel's regions, an arena). For a placement: -EINVAL if `align` is no power
 * of two of at least PAGE_SIZE, `guard` no multiple of it, or a fixed address not aligned to it.
 */

/* Makes a process's root map: page tables, the shared kernel regions, and private space. */
int map_create_root(const char *name, struct map **out);

/* A map for kernel use that can be a shared submap of roots: own lock, kernel page tables. -EINVAL: unaligned, or empty; -ENOMEM. */
int map_create_shared(const char *name, vaddr_t start, vaddr_t end, vm_prot_t ceiling, struct map **out);

/* The submap of a root for what is linked, or mapped, in the low 2 GB. */
struct map *map_private_space(struct map *root);

/* One more holder; one less, the last of which removes all that is in the map and frees it. */
void map_ref(struct map *map);
void map_unref(struct map *map);

/*
 * Makes a submap of `size_bytes` in `parent`, which takes the only reference to it: map_unmap of
 * its whole range destroys it. Nothing in it can have rights outside `ceiling`. -EMFILE when it would be deeper
 * than MAP_MAX_DEPTH. `name` is a string that is never freed.
 */
int map_create_submap(struct map *parent, const struct placement *place, uint64_t size_bytes,
		      vm_prot_t ceiling, const char *name, struct map **out);

/* Reserves space: nothing is placed there unless it replaces it, and an access fails. */
int map_reserve(struct map *map, const struct placement *place, uint64_t size_bytes, const char *name,
		vaddr_t *out);

/*
 * Maps [offset, offset + pages) of a blob; takes its own reference. -EINVAL: window not inside the blob, or no such inheritance;
 * -EACCES: rights beyond the ceiling or max_prot, or that there are not.
 */
int map_blob(struct map *map, const struct placement *place, struct blob *blob, pgoff_t offset, pgoff_t pages,
	     const struct mapping *how, vaddr_t *out);

/* Maps a clone of the window instead: writes stay private. Errors as map_blob and blob_clone. */
int map_blob_private(struct map *map, const struct placement *place, struct blob *blob, pgoff_t offset,
		     pgoff_t pages, const struct mapping *how, vaddr_t *out);

/* Maps all of an entity, or changes nothing: one entry, which names it, with a part for each segment. */
int map_entity(struct map *map, const struct placement *place, struct entity *entity, vaddr_t *out);

/* Removes whatever is in the range, parts of entries and of entities included. Holes are no error. */
int map_unmap(struct map *map, vaddr_t start, uint64_t size_bytes);

/*
 * Sets the rights of everything in the range. -ENOMEM if part of it is not mapped; -EACCES beyond a ceiling, and for reserved
 * space; -EINVAL: there are no such rights.
 */
int map_protect(struct map *map, vaddr_t start, uint64_t size_bytes, vm_prot_t prot);

/*
 * The same for the whole of [the start of the entry that has `start`, or is the next above it; start + size_bytes): -EINVAL unless that entry
 * grows down, -ENOMEM if there is none below the range's end.
 */
int map_protect_down(struct map *map, vaddr_t start, uint64_t size_bytes, vm_prot_t prot);

/*
 * Sets and clears FORK_* of everything in the range. -ENOMEM if part of it is not mapped, and for reserved space; -EINVAL: there are no such
 * flags, or FORK_WIPE of what is not private anonymous.
 */
int map_set_fork(struct map *map, vaddr_t start, uint64_t size_bytes, unsigned set, unsigned clear);

/*
 * Lets a mapping that grows down reach `address`, where nothing is mapped: the next entry above it, in the same map, if that
 * grows down, from then on begins with the page of `address`, and shows the pages of its blob before those that it showed. So whoever maps a
 * stack maps the END of a blob as large as the stack may become; blobs cost nothing.
 * -EFAULT: no entry that grows down is the next above, or reserved space is there. -ENOMEM: it would be longer than `limit_bytes`; less than
 * `gap_bytes` from what is mapped below it (what grows down itself, or allows no access, may be nearer); its blob has no pages
 * before, or they are mapped elsewhere; or it is wired and a page cannot be had (also -EIO). 0 also where something is mapped by now: the access may fault again.
 *
 * MAP_GROW_GUARD bytes below what grows down are taken by nothing that is placed without PLACE_FIXED.
 */
#define MAP_GROW_GUARD ((uint64_t)256 * PAGE_SIZE)
int map_grow_down(struct map *root, vaddr_t address, uint64_t gap_bytes, uint64_t limit_bytes);

/*
 * Makes every page of the range resident, and keeps it so until map_unwire or until it is unmapped. Wiring is the entries',
 * and not counted: one map_unwire undoes it. What a fork's child gets is not wired. -ENOMEM if part of the range is
 * not mapped or a page cannot be had, -EIO, -ENXIO (a page beyond its blob's extent): then nothing is wired more than before, as blob_wire says. map_unwire: -ENOMEM.
 *
 * map_wire_on_fault makes no page resident: what is resident is kept so, and what becomes so later, from then on. Where the range is
 * wired already, the later of the two calls says how. -ENOMEM.
 */
int map_wire(struct map *map, vaddr_t start, uint64_t size_bytes);
int map_wire_on_fault(struct map *map, vaddr_t start, uint64_t size_bytes);
int map_unwire(struct map *map, vaddr_t start, uint64_t size_bytes);

enum map_advice {
	ADVISE_NORMAL, /* of the first four, the last said is kept in the entry */
	ADVISE_RANDOM, /* a pager is asked for the page that faulted, and no other */
	ADVISE_SEQUENTIAL, /* a pager is asked for the pages that follow, too; without advice so it is where that is seen */
	ADVISE_CLUSTER, /* a write that finds an absent page of anonymous memory fills those around it, too, while memory is plentiful */
	ADVISE_WILLNEED, /* now: what pagers have of the range is brought in, as far as it goes: no error of theirs is returned */
	ADVISE_COLD, /* now: pages that only one blob has look as if they had not been accessed for long */
	ADVISE_PAGE_OUT, /* now: blob_page_out of all but device and contiguous blobs, whose errors it returns */
	MAP_ADVICES
};

/* How the range will be used. -EINVAL: no such advice; -ENOMEM if part of the range is not mapped. */
int map_advise(struct map *map, vaddr_t start, uint64_t size_bytes, enum map_advice advice);

/*
 * Forgets the contents of the range (blob_decommit). -ENOMEM if part of it is not mapped; -EINVAL if a device is; -EBUSY if it is wired.
 * -ENOMEM also where nodes shared with clones cannot be copied. All of the range is forgotten, or nothing: unless somebody clones or wires one of
 * the blobs at this moment.
 */
int map_decommit(struct map *map, vaddr_t start, uint64_t size_bytes);

/* What map_resize is to do: the mapping's range, its new length, and where it may go. */
struct resize_request {
	vaddr_t start;
	uint64_t old_bytes, new_bytes;
	bool may_move; /* if it cannot grow where it is */
	bool leave_zeroes; /* moves in any case, and what is left at the old place is as if never touched; not wired */
	struct placement place; /* PLACE_FIXED: moves in any case */
};

/*
 * Changes the length of a mapping, one entry or a part of one; what it gains shows the pages of the blob that follow,
 * which are absent at first if only mappings hold the blob.
 * If it moves, then to a place in `target`, a map of the same tree. *out is where it is now. -EFAULT: not mapped, or not by one entry;
 * -EINVAL: the blob ends before, or the old and the new place overlap; -ENOMEM: no room, or the blob's pages that follow are mapped elsewhere.
 * -EINVAL also for a fixed place without may_move; and for leave_zeroes without may_move, with another length, or for what is not private
 * anonymous. -EACCES: the target's ceiling; -EEXIST as said of placements; -EIO and -ENXIO if it is wired.
 */
int map_resize(struct map *map, struct map *target, const struct resize_request *want, vaddr_t *out);

/*
 * Makes what vm_fault() would of each page of the range, for less: resident, and entered. -ENOMEM: a part is not mapped, or a page cannot be had;
 * -EACCES: an entry does not allow `access`; -EIO: a pager failed; -ENXIO: a page is beyond its blob's extent. What comes before stays done.
 */
int map_populate(struct map *root, vaddr_t start, uint64_t size_bytes, vm_prot_t access);

/*
 * What the translations of a range show: pages; those of them that other mappings show as well; those that were written through a translation of this map; those that are
 * both; and how many bytes that is, if each page is divided among the mappings that show it. -EINVAL: no such range. Cost: for each page the blobs of its family.
 */
struct map_sharing {
	pgoff_t shown, shared, dirty, shared_dirty;
	uint64_t part_bytes;
};
int map_sharing(struct map *map, vaddr_t start, uint64_t size_bytes, struct map_sharing *out);

/* What is mapped at an address, with references to the blob and the label, which lookup_release() gives back. */
struct lookup {
	struct blob *blob;
	pgoff_t offset;     /* of the address in the blob, in pages */
	pgoff_t origin;     /* the same in the blob that it is, at last, a clone of */
	vaddr_t start, end; /* of the entry */
	struct mapping how;
	unsigned fork; /* FORK_* */
	uint32_t
		forks; /* how many map_clone() the blob has come through, itself or what it is a clone of ... */
	bool copied;   /* ... and had something in it then */
	bool wired;    /* by map_wire or map_wire_on_fault */
	bool visits; /* the reference to the blob is one of who only looks, as map_lookup_from() gives it ... */
	pgoff_t first; /* ... and this the entry's window in the blob */
	pgoff_t pages;
};

/* -EFAULT: no blob is mapped there. */
int map_lookup(struct map *map, vaddr_t address, struct lookup *out);

/*
 * The first mapping of a blob that has an address in [start, end), page aligned; `offset` and `origin` are those of the first address that is in both.
 * For who looks, and does not map the blob again: what is unmapped meanwhile is gone, and not kept by the reference. -EFAULT: there is none.
 */
int map_lookup_from(struct map *map, vaddr_t start, vaddr_t end, struct lookup *out);

/* Is somebody changing the map, which may take long? A glance without the lock, for who would rather not wait. */
bool map_is_busy(const struct map *map);
void lookup_release(struct lookup *found);

/*
 * Copies bytes between kernel memory and what is mapped in a root, which need not be active on any CPU, as its own program could: a write
 * to a private page is to a copy. Returns how many bytes were copied, from the beginning on; if none, and `bytes` is not 0: -EFAULT (nothing is mapped there, or
 * a device, the entry does not allow it, or the page is beyond its blob's extent), -ENOMEM or -EIO. May sleep.
 */
int64_t map_read(struct map *root, vaddr_t address, void *to, size_t bytes);
int64_t map_write(struct map *root, vaddr_t address, const void *from, size_t bytes);

/*
 * Has a shared mapping in the range been written to, by this map's own translations, since this was last asked of it? The translations go if so, so that the next write is noticed. What is not mapped, was
 * not written to.
 */
bool map_take_written(struct map *map, vaddr_t start, uint64_t size_bytes);

/* Is all of the range mapped? 0, or -ENOMEM. */
int map_check(struct map *map, vaddr_t start, uint64_t size_bytes);

/*
 * Writes 1 or 0 to `vector` for each page: contents resident or not. What was only read, and is shown as the page of zeroes, is.
 * -ENOMEM if part of it is not mapped.
 */
int map_residency(struct map *map, vaddr_t start, uint64_t size_bytes, unsigned char *vector);

/*
 * Makes a root with each entry of `root` as its inheritance and FORK_* say: a clone of the blob, the blob itself, zeroes, or nothing; nothing also
 * where a device or contiguous blob would have to be copied.
 * Arenas keep their addresses. Cost: entries, not pages. -ENOMEM.
 */
int map_clone(struct map *root, const char *name, struct map **out);

struct pmap *map_pmap(struct map *map);

/* How much is mapped in a map tree (a root and its own submaps), in pages; kept up to date, so that asking costs nothing. */
struct map_usage {
	uint64_t pages;   /* of all mappings and of reserved space that is no part of the layout */
	uint64_t data;    /* private, writable, and not growing down */
	uint64_t stack;   /* growing down */
	uint64_t exec;    /* executable, not writable, and not growing down */
	uint64_t shared;  /* inherited shared */
	uint64_t wired;   /* of entries that are wired, whether resident or not */
	uint64_t entries; /* these mappings and reservations */
};
void map_usage(struct map *root, struct map_usage *out);

/* So many pages may come to be needed: private ones that may be written, of all maps, stacks included, and what blob_promise() said of blobs that are shared. */
uint64_t vm_promised_pages(void);

/*
 * So many pages may come to be in a blob that is no private memory: they count in vm_promised_pages() until another number is said, or the blob goes. Only a figure: nothing
 * is refused for it. Calls of it for one blob are the caller's to put in order.
 */
void blob_promise(struct blob *blob, pgoff_t pages);
pgoff_t blob_promised(const struct blob *blob);

/* The range [map_start, map_end) that a map covers: set when it is made. */
vaddr_t map_start(const struct map *map);
vaddr_t map_end(const struct map *map);

/* What a page fault came to (vm_fault). */
enum fault_case {
	FAULT_ZERO_FILL,     /* absent, anonymous: a zeroed page */
	FAULT_ZERO_PAGE,     /* the same, only read, and private: the page of zeroes that all share */
	FAULT_RESIDENT,      /* in memory: only the translation was missing */
	FAULT_PAGE_IN,       /* absent and the pager has it, or paged out */
	FAULT_COPY,          /* write to a page that a clone shares */
	FAULT_UPGRADE,       /* write to a page that is ours alone, entered read-only */
	FAULT_RESERVED,      /* refused: reserved space */
	FAULT_PROTECTION,    /* refused: the entry does not allow it */
	FAULT_NO_ENTRY,      /* refused: nothing is mapped there */
	FAULT_BEYOND_EXTENT, /* refused: the blob ends before */
	FAULT_CASES
};

/* What map_walk tells of an entry; in address order, a submap before what is in it. */
enum entry_kind { ENTRY_RESERVED, ENTRY_BLOB, ENTRY_ENTITY, ENTRY_SUBMAP };
struct entry_info {
	unsigned depth; /* 0: an entry of the map that was walked */
	enum entry_kind kind;
	vaddr_t start, end;
	vm_prot_t prot, max_prot;
	enum map_inherit inherit;
	unsigned fork;    /* FORK_* */
	const char *name; /* the entry's, or the submap's */
	struct map_label *
		label; /* NULL: none; stays for as long as the visit lasts, or the visitor takes a reference */
	pgoff_t offset; /* ENTRY_BLOB: in the blob */
	pgoff_t origin; /* ENTRY_BLOB: the same in the blob that it is, at last, a clone of: in the file */
	struct blob_usage
		usage; /* ENTRY_BLOB: the window's pages, whether this map has touched them or not */
	uint32_t
		mappings; /* ENTRY_BLOB: mappings, this one too, that show any of the window: if more than 1, all of it is shared */
	bool anonymous;       /* ENTRY_BLOB: private anonymous */
	bool wired, on_fault; /* wired; only what becomes resident */
	bool grows_down;
	enum map_advice advice;
	uint64_t faults[FAULT_CASES]; /* ENTRY_BLOB */
};

/*
 * Calls `visit` for every entry, the map locked for reading; stops at its first nonzero, which it returns. Cost: the resident
 * pages, for `usage`.
 */
int map_walk(struct map *map, int (*visit)(const struct entry_info *info, void *context), void *context);

/* ---- The page fault --------------------------------------------------------------------- */

struct fault_result {
	enum fault_case outcome;
	char region[VM_NAME_BYTES]; /* after an error: the innermost entry or map that contains the address */
	vm_prot_t allowed;          /* FAULT_PROTECTION: what the entry allows */
};

/*
 * Serves a page fault: makes `access` (VM_READ, VM_WRITE, VM_EXEC) at `address` possible. 0, or why not:
 * -EFAULT (no entry, or reserved space), -EACCES (the entry does not allow it), -ENXIO (beyond the blob's extent), -ENOMEM (no page to be
 * had), -EIO (the pager failed). `result` is always filled in. May sleep; no locks held.
 */
int vm_fault(struct map *root, vaddr_t address, vm_prot_t access, struct fault_result *result);

/*
 * Says in one line what an access meets and what it would do, changing nothing: root > submaps > entry and its rights >
 * the page's state in its blob > its translation > the verdict. What does not fit into `bytes` (at least 1) is
 * cut off. 0 if the access would succeed, at once or after a fault; else what vm_fault would return for it:
 * -EFAULT, -EACCES or -ENXIO.
 */
int vm_explain(struct map *root, vaddr_t address, vm_prot_t access, char *text, size_t bytes);

/* How often each case happened since boot. */
void vm_fault_counts(uint64_t counts[FAULT_CASES]);
const char *fault_case_name(enum fault_case outcome); /* "zero fill", ... */

/*
 * May user code name [start, start + bytes)? False for any range that touches a region of the kernel, wraps or ends
 * above user space; says nothing about whether anything is mapped there.
 */
bool user_range(vaddr_t start, uint64_t bytes);

/* ---- Invariants ------------------------------------------------------------------------- */

/*
 * Check everything that has to be true of a map and its own submaps, their blobs and their translations; or of a blob and
 * its family. Panic, naming what is wrong. Cost: all entries and resident pages. Debug builds check a part, which
 * moves on, whenever a map's or a family's lock is given back.
 */
void map_verify(struct map *map);
void blob_verify(struct blob *blob);

/* ---- Kernel memory ---------------------------------------------------------------------- */

/* Starts the VM: slab caches, the regions that all roots share. After page_init. */
void vm_init(void);

/* The shared regions: system data space (device registers) and kernel dynamic memory. */
extern struct map *system_map;
extern struct map *dynamic_map;

/* Makes a root's new arena, a submap of global data space at addresses no other process's has. */
int map_create_arena(struct map *root, uint64_t size_bytes, struct map **out);

/* The same for one besides its first: of the addresses, such may have LAYOUT_ADDED_ARENAS altogether, whosever they are. */
int map_add_arena(struct map *root, uint64_t size_bytes, struct map **out);

/* Adds one as well, at an address, a multiple of LAYOUT_ARENA_ALIGN. -EEXIST: a part of it is another arena's; -EINVAL; -ENOMEM. */
int map_create_arena_at(struct map *root, vaddr_t start, uint64_t size_bytes, struct map **out);

/* The arena of a root that begins at an address, in a clone for example; NULL: there is none. It goes with the root, if not before. */
struct map *map_arena_at(struct map *root, vaddr_t start);

/* Takes an arena of a root away, and with the last of its clones the addresses. -EBUSY: something is mapped in it. Nobody may use it otherwise meanwhile. */
int map_remove_arena(struct map *root, struct map *arena);

/* Maps a device's registers for the kernel, for ever. Unaligned `start` is fine. NULL: no memory. */
volatile void *kernel_map_device(paddr_t start, uint64_t bytes, enum vm_cache cache);

/*
 * Allocates `bytes` (rounded up to pages) of mapped, wired, zeroed kernel memory with an unmapped page
 * below and above it. NULL: no memory. Frees it, given what kernel_alloc returned.
 */
void *kernel_alloc(size_t bytes, const char *name);
void kernel_free(void *memory);

#endif
