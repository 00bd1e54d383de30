/*
 * The model behind model.h: flat arrays that say what everything has to look like.
 *
 * A page of the model is an identity: whoever shares a page has the same number of it, and what it contains is stored
 * once, byte for byte. A blob is an array of such numbers, an address space an array of cells, one for each page of
 * a few windows. What the contracts leave open (which clones see a page of zeros that was made for one of them, how much is read
 * ahead) is looked up afterwards, and may not change contents. One file for each part:
 *
 *   model.c         the state, steps, results, digest       model_page.c    pages, their sharing, what may be found
 *   model_gen.c     streams out of seeds                    model_pager.c   pagers with contents of their own
 *   model_blob.c    operations of blobs                     model_space.c   cells, regions, prediction of places
 *   model_paging.c  pages out and in, wiring of blobs       model_place.c   operations that place something
 *   model_range.c   operations of ranges                    model_fault.c   accesses by CPUs
 *   model_check.c   comparing                               model_root.c    roots, arenas, clones of roots
 *   model_swap.c    swap on disks, reclaim
 *
 * One thread uses all of it: no locks.
 */
#ifndef TESTS_MODEL_INTERNAL_H
#define TESTS_MODEL_INTERNAL_H

#include "model.h"
#include "probe.h"
#include "store.h"
#include "vm_suite.h"

/* ---- Pages and blobs ------------------------------------------------------------------------- */

#define MODEL_BLOBS    32
#define BLOB_PAGES     40 /* of each that the model looks at: its last ones, others are never touched */
#define MODEL_PAGES    (MODEL_BLOBS * BLOB_PAGES + BLOB_PAGES)
#define MODEL_WIRINGS  6
#define MODEL_ENTITIES 4
#define NONE           0xffffu

enum model_state {
	MPAGE_UNUSED,
	MPAGE_MEMORY, /* resident */
	MPAGE_LENT,   /* resident, and the pager's */
	MPAGE_OUT,    /* at the store only */
	MPAGE_FIXED   /* of a contiguous blob */
};

/* Number 0 is none: absent. */
struct model_page {
	uint8_t state; /* enum model_state */
	bool located;  /* the store has it as it is now */
	bool lost;     /* and a disk that lied has something else instead */
	bool held; /* a disk that failed to write it may still have it: it stays dirty as long as it is resident */
	uint16_t holds; /* pages of blobs that are this one */
	slot_t slot;    /* what stands for it in trees; SLOT_EMPTY: not looked at yet */
};

enum model_kind {
	KIND_ANONYMOUS,
	KIND_LENDING, /* the pager lends its pages, and has not all of them */
	KIND_COPYING, /* the pager makes copies */
	KIND_STORED,  /* the pager is the store, which has nothing at first */
	KIND_DEVICE,
	KIND_CONTIGUOUS,
	MODEL_KINDS
};

struct model_blob {
	struct blob *blob; /* NULL: not in use */
	bool held;         /* the model has a reference */
	bool unzeroed;
	uint8_t kind;      /* enum model_kind */
	uint16_t segments; /* of entities, that refer to it */
	uint16_t cells;    /* that show it */
	uint16_t wirings;  /* by blob_wire */
	uint32_t family;
	pgoff_t low;   /* page of the blob that is page 0 here */
	pgoff_t index; /* and its tree index */
	unsigned pages;
	uint16_t page[BLOB_PAGES];
};

struct model_wiring {
	struct wiring *wiring; /* NULL: not in use */
	unsigned blob, first, pages;
};

struct model_segment {
	unsigned blob, offset, place, pages;
	vm_prot_t prot;
	bool private;
};

#define MODEL_SEGMENTS 3
struct model_entity {
	struct entity *entity; /* NULL: not in use */
	bool held;
	unsigned mappings;
	unsigned pages, count;
	struct model_segment segment[MODEL_SEGMENTS];
};

/* ---- Address spaces -------------------------------------------------------------------------- */

#define MODEL_ROOTS   4
#define PRIVATE_CELLS 48 /* with a wall before and after them */
#define ARENAS        2  /* of a root */
#define ARENA_PAGES   22
#define BEYOND_CELLS  2 /* after an arena: space that belongs to nobody */
#define ARENA_CELLS   (ARENA_PAGES + BEYOND_CELLS)
#define MODEL_CELLS   (PRIVATE_CELLS + ARENAS * ARENA_CELLS)
#define MODEL_REGIONS 64

enum cell_kind { CELL_FREE, CELL_RESERVED, CELL_BLOB };

struct model_cell {
	uint8_t kind;
	uint8_t region; /* the innermost map */
	uint8_t prot, max_prot, inherit, advice, name;
	bool wired, on_fault;
	bool omitted; /* from clones of the root: FORK_OMIT */
	uint16_t blob, offset;
};

/* A map with a range of cells. */
struct model_region {
	bool used;
	bool permanent;
	bool entity;       /* its map has no name */
	uint8_t which;     /* entity: which */
	uint8_t root;      /* number */
	uint8_t parent;    /* region; a root's: itself */
	uint8_t depth;     /* of the map */
	vm_prot_t ceiling; /* what new entries may have */
	unsigned first, end;
	struct map *map;
};

struct model_root {
	struct map *map; /* NULL: not in use */
	uint8_t region, private_region;
	vaddr_t arena[ARENAS]; /* 0: none */
	struct model_cell cell[MODEL_CELLS];
};

/* ---- All of it --------------------------------------------------------------------------------- */

struct model {
	struct model_page page[MODEL_PAGES];
	struct model_blob blob[MODEL_BLOBS];
	struct model_wiring wiring[MODEL_WIRINGS + 1]; /* the last: of a mapping that moves */
	struct model_entity entity[MODEL_ENTITIES];
	struct model_root root[MODEL_ROOTS];
	struct model_region region[MODEL_REGIONS];
	struct page *memory; /* where contents are: a run of MODEL_PAGES */
	unsigned pages_end;  /* above all pages that were ever in use */
	uint32_t families;
	bool store_set;
	bool swaps;          /* pages go to swap; but those of KIND_STORED */
	unsigned lost;       /* pages of blobs that were, after the last fault */
	uint64_t blob_pages; /* PAGE_BLOB before the stream */
	struct footprint before;
	uint8_t cpu_root[ENV_MAX_CPUS]; /* root that each runs in; MODEL_ROOTS: none */

	/* The step under way. */
	const struct stream_op *op;
	unsigned cpu;
	bool armed;            /* something may be made to fail */
	bool fired;            /* and was */
	int excuse;            /* what the call may say then */
	uint32_t chosen_blobs; /* a bit for each */
	unsigned chosen_roots;
	bool wrong; /* found: the stream ends */
	unsigned touched_root;
	uint64_t digest;
	uint64_t steps;
	unsigned complaints; /* failed checks before the stream */
};
extern struct model m;

/* ---- model.c ----------------------------------------------------------------------------------- */

/* A disagreement: ends the stream after this step. */
#define WRONG(...)                       \
	do {                             \
		test_print(__VA_ARGS__); \
		m.wrong = true;          \
	} while (0)

/* Notes a disagreement unless it holds; true if it does. */
#define AGREE(condition) model_agree((condition), #condition, __FILE__, __LINE__)
#define AGREE_EQ(found, expected) \
	model_agree_equal((uint64_t)(found), (uint64_t)(expected), #found, __FILE__, __LINE__)
bool model_agree(bool holds, const char *text, const char *file, int line);
bool model_agree_equal(uint64_t found, uint64_t expected, const char *text, const char *file, int line);

/* When tracing, prints what is about to be called. */
extern bool model_tracing;
#define SAY(...)                                 \
	do {                                     \
		if (model_tracing)               \
			test_print(__VA_ARGS__); \
	} while (0)

/* Before the call that an operation is about: from here on something may fail. */
void model_call(void);

/* Ends what model_call() began, where m.fired has to be known before the result is predicted. */
void model_end_call(void);

/*
 * After it: true if it succeeded, as predicted. If an allocation or I/O was made to fail, that error is as good; then the
 * model adopts what was done before, as far as contents stay.
 */
bool model_result(int error, int predicted);

/* May a call say -EIO because something is lost of what the operation has chosen? Then something was done before, perhaps. */
bool model_is_lost(int error);

/* The same where `other` is as good as what is predicted. */
bool model_result_or(int error, int predicted, int other);

void model_digest(uint64_t word);

/* The operation's choices. `odd` gives 0 for valid arguments, else which mistake, 1 to `mistakes`. */
unsigned model_odd(unsigned mistakes);

/* A number for choices that the operation has no field for: the same for the same operation. */
unsigned model_more(unsigned which);

/* Contents that follow from a number. */
void model_pattern(uint64_t seed, uint8_t *to, size_t bytes);

/* ---- model_page.c ------------------------------------------------------------------------------ */

uint8_t *page_bytes(unsigned page);
unsigned page_make(enum model_state state);
void page_hold(unsigned page);
void page_drop(unsigned page);

/* What page `i` of a blob contains; valid until the next such call. */
const uint8_t *blob_bytes(const struct model_blob *blob, unsigned i);

/* Absent, and nobody has contents for it: then reading and zeroing make no page. */
bool blob_is_zero(const struct model_blob *blob, unsigned i);

/* What stands in the blob's tree. */
slot_t blob_slot(const struct model_blob *blob, unsigned i);

/* What the VM has for a slot, which is not empty: in memory, or at the store. False: it cannot be had. */
bool copy_contents(const struct model_blob *blob, unsigned i, slot_t slot, uint8_t *to);

/* The page is looked at by a read, or is to be written to: what case a fault would be. */
enum fault_case model_obtain(struct model_blob *blob, unsigned i, bool write);

/* The page becomes absent. */
void model_forget(struct model_blob *blob, unsigned i);

/* Where wirings are: of the blob's own, and of the page over all blobs; how many of each page. */
bool blob_wired_at(const struct model_blob *blob, unsigned i);
bool page_wired(unsigned page);
void count_wirings(uint16_t counts[MODEL_PAGES]);

/* Takes over what has changed in a blob's family, or everywhere, and changes no contents. */
void model_adopt(const struct model_blob *blob);
void model_adopt_all(void);

/* Notes what stands for every page, so that changes of it can be seen. */
void model_note_slots(void);

/* ---- model_pager.c ----------------------------------------------------------------------------- */

void pagers_open(void);
void pagers_close(void);

/* A reference to the pager of that kind, which is the caller's. */
struct pager *pager_get(enum model_kind kind);
bool pager_has_index(enum model_kind kind, pgoff_t index);
void pager_contents(pgoff_t index, uint8_t *to);
void pagers_fail_io(unsigned after);
bool pagers_fail_stop(void);

/* ---- model_swap.c ------------------------------------------------------------------------------ */

bool disks_open(void);
void disks_close(void);

/* As of the pagers. Whether it was so bad that a call may fail for it, is *excuse. */
void disks_fail_io(unsigned after);
bool disks_fail_stop(bool *excuse);

/* Pages that disks keep, which did not answer, or that are under way to one: how often one, how many nobody else has; until they answer. */
unsigned disks_keep(const struct page *page);
unsigned disks_keep_alone(void);
void disks_let_go(void);
void disks_begin_step(void);

/* Do the blob's pages go to swap? */
bool is_in_swap(const struct model_blob *blob);
bool page_is_zeroes(unsigned page);
unsigned swap_used(void);
/* So many pages can go there for sure. */
unsigned swap_room(void);

/* After a fault, looks for what the disks have lost. Is something of a window lost, or may be in a moment? */
void model_find_lost(void);
bool blob_has_lost(const struct model_blob *blob, unsigned first, unsigned end);

/* Swap has the page as it should be; everything there adds up. */
bool check_swapped(const struct model_blob *blob, unsigned i);
void check_swap(void);

/* ---- model_blob.c, model_paging.c ---------------------------------------------------------------- */

/* A blob in use, or NULL. Held: by the model. */
struct model_blob *pick_blob(unsigned choice);
struct model_blob *pick_held(unsigned choice);
struct model_blob *pick_unused(void);
unsigned blob_number(const struct model_blob *blob);
unsigned unused_blobs(void);

static inline bool kind_is_fixed(unsigned kind)
{
	return kind == KIND_DEVICE || kind == KIND_CONTIGUOUS;
}

static inline bool kind_has_pager(unsigned kind)
{
	return kind == KIND_LENDING || kind == KIND_COPYING || kind == KIND_STORED;
}

/* Part of a blob, or what is none: as arguments, and as pages of the model. */
struct window {
	pgoff_t offset, pages; /* arguments */
	unsigned first, end;   /* if good */
	int error;
};
struct window pick_window(const struct model_blob *blob);

/* Makes the descriptors of the device's pages, which stay. */
bool model_prepare_device(void);

/* The clone of a window, in `to`, whose handle and holders are the caller's to set. */
void model_clone(struct model_blob *to, const struct model_blob *from, unsigned first, unsigned pages);

/* Part of a blob goes to its pager: prediction (`other` is as good), and what it does if it succeeds. */
#define STORE_LOCATIONS 512
int predict_page_out(const struct model_blob *blob, unsigned first, unsigned end, int *other);
void model_page_out(struct model_blob *blob, unsigned first, unsigned end, bool give_up);

struct blob_usage model_usage(const struct model_blob *blob, unsigned first, unsigned end);

/* After a mapping or wiring of a page has gone: the page goes, too, if nobody can reach it any more. */
void model_trim(struct model_blob *blob, unsigned i);

/* Is the page mapped, or wired? */
bool blob_shown_at(const struct model_blob *blob, unsigned i);

/* Blobs and entities that nobody has any more are gone. */
void model_collect(void);
void model_collect_entities(void);

/* ---- model_space.c ------------------------------------------------------------------------------- */

struct span {
	unsigned first, end;
};

struct model_root *pick_root(unsigned choice);
bool root_shows(const struct model_root *root, unsigned blob);
unsigned root_number(const struct model_root *root);
vaddr_t cell_address(const struct model_root *root, unsigned cell);
/* The cell at an address, or MODEL_CELLS. */
unsigned cell_at(const struct model_root *root, vaddr_t address);
struct span segment_of(const struct model_root *root, unsigned cell);

/* Cells of one segment. The second prefers what shows something. */
struct span pick_span(const struct model_root *root);
struct span pick_mapped(const struct model_root *root);

/* A map of the root that has a handle; most often one that the cells are in. */
unsigned pick_region(const struct model_root *root, unsigned cell);

bool is_root_region(unsigned region);
unsigned regions_left(void);
unsigned region_make(const struct model_region *region);
bool region_has(unsigned region, struct span span);
bool span_is_free(const struct model_root *root, unsigned region, struct span span);
bool is_within(unsigned region, unsigned ancestor);
void cells_map(struct model_root *root, struct span span, struct model_cell first);
/* Unmaps through a region: what is in it, and child regions that lose their ends. */
void cells_unmap(struct model_root *root, unsigned region, struct span span);

/* A range as argument of a call through a region. */
struct argument {
	struct model_root *root;
	unsigned region;
	struct map *map;
	struct span span; /* the cells it names, if it names cells */
	vaddr_t start;
	uint64_t bytes;
	int error; /* of the argument itself */
};
struct argument pick_argument(struct span (*pick)(const struct model_root *root));

/* A wish where to place something, and what the model says to it. */
struct wish {
	struct model_root *root;
	unsigned through; /* region that the call is made for */
	struct map *map;
	struct placement place;
	unsigned where; /* region it belongs in */
	struct span span;
	bool loose; /* any place that fits is right */
	int error;
};
struct wish pick_wish(struct model_root *root, unsigned pages);
/* Right behind a cell, if there is room in its segment. */
struct wish pick_wish_after(struct model_root *root, unsigned cell, unsigned pages);
/* What the region says to rights, and to a submap. */
void wish_check(struct wish *wish, vm_prot_t prot, bool submap);
/* Checks the address; frees the cells where something is replaced. True if all is well. */
bool wish_placed(struct wish *wish, vaddr_t address);

extern const char *const model_names[];
#define MODEL_NAMES 3
vm_prot_t pick_prot(unsigned choice);

/* ---- Operations ------------------------------------------------------------------------------------ */

#define OPERATIONS(OP)                \
	OP(blob_create, 14)           \
	OP(blob_create_paged, 12)     \
	OP(blob_create_device, 2)     \
	OP(blob_create_contiguous, 3) \
	OP(blob_drop, 14)             \
	OP(blob_clone, 14)            \
	OP(blob_read, 20)             \
	OP(blob_write, 30)            \
	OP(blob_zero, 10)             \
	OP(blob_copy, 16)             \
	OP(blob_commit, 8)            \
	OP(blob_decommit, 10)         \
	OP(blob_set_extent, 6)        \
	OP(blob_wire, 6)              \
	OP(blob_unwire, 6)            \
	OP(blob_sync, 10)             \
	OP(blob_page_out, 24)         \
	OP(blob_query, 8)             \
	OP(set_store, 1)              \
	OP(entity_create, 4)          \
	OP(entity_drop, 2)            \
	OP(map_create_root, 6)        \
	OP(map_unref, 3)              \
	OP(map_clone, 8)              \
	OP(map_create_arena, 2)       \
	OP(map_create_submap, 8)      \
	OP(map_reserve, 8)            \
	OP(map_blob, 40)              \
	OP(map_blob_private, 24)      \
	OP(map_entity, 10)            \
	OP(map_unmap, 24)             \
	OP(map_protect, 36)           \
	OP(map_wire, 10)              \
	OP(map_wire_on_fault, 6)      \
	OP(map_unwire, 8)             \
	OP(map_advise, 20)            \
	OP(map_set_fork, 6)           \
	OP(map_decommit, 12)          \
	OP(map_resize, 30)            \
	OP(map_lookup, 6)             \
	OP(map_check, 4)              \
	OP(map_residency, 8)          \
	OP(map_walk, 4)               \
	OP(load, 90)                  \
	OP(store, 110)                \
	OP(fetch, 8)                  \
	OP(fault, 10)                 \
	OP(explain, 10)               \
	OP(prefetch, 6)               \
	OP(map_populate, 12)          \
	OP(reclaim, 20)               \
	OP(swap, 4)

#define DECLARE_OPERATION(name, weight) void do_##name(void);
OPERATIONS(DECLARE_OPERATION)

/* ---- model_fault.c --------------------------------------------------------------------------------- */

/* A program that shows a page, and may write to it, does. False: there is none. */
bool model_store_to(const struct model_blob *blob, unsigned i);

/* ---- model_check.c --------------------------------------------------------------------------------- */

/* After each step: a part of everything; and all of it. */
void model_check_step(void);
void model_check_all(void);

/* Pages that an operation touched: compared at the end of the step. */
void model_touch(const struct model_blob *blob, unsigned first, unsigned end);
void model_touch_root(const struct model_root *root);

/* No two entries of the span that could be one. */
void model_check_merged(const struct model_root *root, struct span span);

/* ---- What a machine with several CPUs has: tests/host/stream_cpu.c. Weak: NULL elsewhere --------------- */

unsigned stream_cpus(void) __attribute__((weak));
void stream_become(unsigned cpu) __attribute__((weak));
/* One attempt of an access by this CPU; true if it is allowed. */
bool stream_access(vaddr_t va, vm_prot_t access, uint64_t *word) __attribute__((weak));
void stream_prefetch(vaddr_t va) __attribute__((weak));
void stream_fail_allocation(unsigned after) __attribute__((weak));
bool stream_fail_stop(void) __attribute__((weak));

/* Makes this CPU run in the root; NULL: in none. Any CPU leaves it. */
void model_enter(const struct model_root *root);
void model_leave(const struct model_root *root);

#endif
