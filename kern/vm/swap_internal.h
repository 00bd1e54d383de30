/*
 * What the files of the swap store share: its devices, and what it knows of each of their places.
 *
 *   swap.c         the pager: pages to places and back
 *   swap_slots.c   which places are free, who has the others, and what was written there
 *   swap_check.c   checksums
 *   swap_admin.c   devices come and go; figures
 *
 * A location (vm.h) is a device's number and a place's. Which lock guards a field is the letter in its comment:
 *
 *   (s) swap.lock
 *   (r) who has just taken the place, before anybody else knows of it; then constant for as long as somebody has a reference
 *   (-) constant while the device is in use
 */
#ifndef KERN_VM_SWAP_INTERNAL_H
#define KERN_VM_SWAP_INTERNAL_H

#include <vm/swap.h>

#include "bitset.h"
#include "vm_internal.h"

#define AREA_SHIFT 28 /* a location: the place below, the area above */
#define PLACE_MASK ((1u << AREA_SHIFT) - 1)
_Static_assert(SWAP_MAX_PAGES <= PLACE_MASK,
	       "a place fits its part of a location, and none makes it LOCATION_ZERO");
_Static_assert(SWAP_MAX_DEVICES <= 1ull << (32 - AREA_SHIFT), "an area fits its part of a location");

/* What is known of a place. */
struct swap_slot {
	uint32_t refs;  /* (s) to the location; 0: free, or bad */
	uint32_t owner; /* (r) whose page it is: swap_owner() of its family and index */
	uint32_t write; /* (r) the number of the write */
	uint32_t sum;   /* (r) of what was written, and of owner and write */
};

#define SLOTS_PER_PAGE (PAGE_SIZE / sizeof(struct swap_slot))

/* A device in use. */
struct swap_area {
	struct swap_device *device; /* (-) NULL: the area is not in use */
	int priority;               /* (-) */
	bool leaving;               /* (s) nothing more is written there */
	uint64_t places;            /* (-) of the device, the first one, which is never used, among them */
	struct page *directory;     /* (-) a run: pointers to pages of slots */
	struct page *words;         /* (-) a run: of the two sets */
	struct bitset free;         /* (s) places that may be taken */
	struct bitset whole;        /* (s) groups of 64 places, all of which may be */
	uint64_t cursor;            /* (s) where the last run ended: the next goes on there */
	uint64_t used;              /* (s) places with references */
	uint64_t
		bad; /* (s) places that are not used any more, or will not be when their references are gone */
	struct bitset damaged; /* (s) these */
};

struct swap {
	struct spinlock lock;
	struct pager pager;                       /* (-) */
	struct swap_area areas[SWAP_MAX_DEVICES]; /* (s) by number */
	unsigned order[SWAP_MAX_DEVICES];         /* (s) numbers of those in use, by falling priority */
	unsigned count;                           /* (s) of those */
	bool busy;                                /* (s) a device is coming or going */
	uint32_t write;                           /* (s) of the last page written */
	struct swap_stats stats;                  /* (s) but for the first line, which is counted by area */
};
extern struct swap swap;

#define SWAP_ASSERT_LOCKED() DEBUG_ASSERT(spin_held(&swap.lock))

/* ---- swap_check.c ---- */

/* Whose page: a short form of the blob family's number and the tree index. */
uint32_t swap_owner(uint32_t family, pgoff_t index);

/* The checksum of a page's contents, begun with who it is and which write it was. Any change of one 8-byte word changes it but for one time in 2^32. */
uint32_t swap_sum(const struct page *page, uint32_t owner, uint32_t write);

/* Is all of the page 0? */
bool swap_is_zero(const struct page *page);

/* ---- swap_slots.c ---- */

static inline struct swap_slot *area_slot(const struct swap_area *area, uint64_t place)
{
	struct swap_slot **pages = page_data(area->directory);

	DEBUG_ASSERT(place > 0 && place < area->places);
	return &pages[place / SLOTS_PER_PAGE][place % SLOTS_PER_PAGE];
}

/* Memory for an area of so many places, all free. 0 or -ENOMEM. */
int area_create(struct swap_area *area, uint64_t places);
void area_destroy(struct swap_area *area);

/* A run of places that were taken, with one reference each. */
struct swap_run {
	struct swap_area *area;
	uint64_t first;
	unsigned count;
};

/* Takes up to `count` consecutive places, at least one, of the device whose turn it is. False: none is free. Swap locked. */
bool swap_take_run(unsigned count, struct swap_run *out);

uint32_t swap_location(const struct swap_area *area, uint64_t place);

/* The area of a location that somebody has a reference to, and its place there. */
struct swap_area *swap_area_of(uint32_t location, uint64_t *place);

/* One reference more, or less. Swap locked. */
void area_ref(struct swap_area *area, uint64_t place);
void area_unref(struct swap_area *area, uint64_t place);

/* The place is not used again. Swap locked. */
void area_quarantine(struct swap_area *area, uint64_t place);

#endif
