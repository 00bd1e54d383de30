/*
 * The places of a swap device: which are free, and how many refer to each of the others.
 *
 * Runs are taken from groups of 64 places that are all free, as long as there are such groups; then from wherever there is room. So what is
 * written together lies together, and finding a place takes the time of the set's depth, however large and full the device is.
 */
#include <asm/errno.h>

#include "swap_internal.h"

#define GROUP 64u /* a word of the set of free places */

uint32_t swap_location(const struct swap_area *area, uint64_t place)
{
	DEBUG_ASSERT(place > 0 && place < area->places);
	return (uint32_t)(area - swap.areas) << AREA_SHIFT | (uint32_t)place;
}

struct swap_area *swap_area_of(uint32_t location, uint64_t *place)
{
	struct swap_area *area = &swap.areas[location >> AREA_SHIFT];

	*place = location & PLACE_MASK;
	ASSERT(area->device && *place > 0 && *place < area->places);
	return area;
}

/* ---- Memory ------------------------------------------------------------------------------------------ */

static struct page *run_of(size_t bytes)
{
	return page_alloc_run(PAGE_KERNEL, (size_t)bytes_to_pages(bytes), 1, PAGE_ANYWHERE, PAGE_ALLOC_ZERO);
}

static uint64_t groups_of(uint64_t places)
{
	return (places + GROUP - 1) / GROUP;
}

static size_t slot_pages(uint64_t places)
{
	return (size_t)((places + SLOTS_PER_PAGE - 1) / SLOTS_PER_PAGE);
}

static size_t directory_bytes(uint64_t places)
{
	return slot_pages(places) * sizeof(struct swap_slot *);
}

static size_t words_bytes(uint64_t places)
{
	return (2 * bitset_words(places) + bitset_words(groups_of(places))) * sizeof(uint64_t);
}

/* Frees pages of slots, the first `count` of them, and the rest. */
static void free_memory(struct swap_area *area, size_t count)
{
	struct swap_slot **pages = page_data(area->directory);

	for (size_t i = 0; i < count; i++)
		page_free(page_from_paddr(env_virt_to_phys(pages[i])));
	page_free_run(area->directory, (size_t)bytes_to_pages(directory_bytes(area->places)));
	page_free_run(area->words, (size_t)bytes_to_pages(words_bytes(area->places)));
}

static int allocate(struct swap_area *area)
{
	struct swap_slot **pages;

	area->directory = run_of(directory_bytes(area->places));
	if (!area->directory)
		return -ENOMEM;
	area->words = run_of(words_bytes(area->places));
	if (!area->words) {
		page_free_run(area->directory, (size_t)bytes_to_pages(directory_bytes(area->places)));
		return -ENOMEM;
	}
	pages = page_data(area->directory);
	for (size_t i = 0; i < slot_pages(area->places); i++) {
		struct page *page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);

		if (!page) {
			free_memory(area, i);
			return -ENOMEM;
		}
		pages[i] = page_data(page);
	}
	return 0;
}

int area_create(struct swap_area *area, uint64_t places)
{
	uint64_t *words;
	int error;

	ASSERT(places > 1 && places <= SWAP_MAX_PAGES);
	area->places = places;
	error = allocate(area);
	if (error)
		return error;
	words = page_data(area->words);
	bitset_init(&area->free, places, words);
	words += bitset_words(places);
	bitset_init(&area->damaged, places, words);
	words += bitset_words(places);
	bitset_init(&area->whole, groups_of(places), words);
	/* All but the first, which keeps what is there: so the first group is never whole. */
	for (uint64_t place = 1; place < places; place++)
		bitset_add(&area->free, place);
	for (uint64_t group = 1; group < places / GROUP; group++)
		bitset_add(&area->whole, group);
	return 0;
}

void area_destroy(struct swap_area *area)
{
	ASSERT(area->used == 0);
	free_memory(area, slot_pages(area->places));
}

/* ---- Taking and giving back ---------------------------------------------------------------------------- */

static void take(struct swap_area *area, uint64_t place)
{
	SWAP_ASSERT_LOCKED();
	ASSERT(area_slot(area, place)->refs == 0);
	bitset_remove(&area->free, place);
	bitset_remove(&area->whole, place / GROUP);
	area_slot(area, place)->refs = 1;
	area->used++;
}

static void give_back(struct swap_area *area, uint64_t place)
{
	SWAP_ASSERT_LOCKED();
	area->used--;
	if (bitset_has(&area->damaged, place))
		return;
	bitset_add(&area->free, place);
	if (bitset_word(&area->free, place) == UINT64_MAX)
		bitset_add(&area->whole, place / GROUP);
}

/* Where the next run begins; BITSET_NONE: nowhere. */
static uint64_t next_place(const struct swap_area *area)
{
	uint64_t cursor = area->cursor, group, place;

	if (cursor % GROUP != 0 && cursor < area->places && bitset_has(&area->free, cursor))
		return cursor;
	group = bitset_next(&area->whole, cursor / GROUP);
	if (group == BITSET_NONE)
		group = bitset_next(&area->whole, 0);
	if (group != BITSET_NONE)
		return group * GROUP;
	place = bitset_next(&area->free, cursor);
	return place != BITSET_NONE ? place : bitset_next(&area->free, 0);
}

static bool take_run(struct swap_area *area, unsigned count, struct swap_run *out)
{
	uint64_t first = area->leaving ? BITSET_NONE : next_place(area);
	unsigned taken = 0;

	if (first == BITSET_NONE)
		return false;
	while (taken < count && first + taken < area->places && bitset_has(&area->free, first + taken))
		take(area, first + taken++);
	area->cursor = first + taken;
	*out = (struct swap_run){area, first, taken};
	return true;
}

/* Lets the others of its priority have their turn before the device at `rank` has another. */
static void end_turn(unsigned rank)
{
	unsigned number = swap.order[rank];

	for (; rank + 1 < swap.count; rank++) {
		if (swap.areas[swap.order[rank + 1]].priority != swap.areas[number].priority)
			break;
		swap.order[rank] = swap.order[rank + 1];
	}
	swap.order[rank] = number;
}

bool swap_take_run(unsigned count, struct swap_run *out)
{
	SWAP_ASSERT_LOCKED();
	DEBUG_ASSERT(count > 0);
	for (unsigned rank = 0; rank < swap.count; rank++) {
		if (take_run(&swap.areas[swap.order[rank]], count, out)) {
			end_turn(rank);
			return true;
		}
	}
	return false;
}

void area_ref(struct swap_area *area, uint64_t place)
{
	SWAP_ASSERT_LOCKED();
	ASSERT(area_slot(area, place)->refs > 0);
	area_slot(area, place)->refs++;
}

void area_unref(struct swap_area *area, uint64_t place)
{
	SWAP_ASSERT_LOCKED();
	ASSERT(area_slot(area, place)->refs > 0);
	if (--area_slot(area, place)->refs == 0)
		give_back(area, place);
}

void area_quarantine(struct swap_area *area, uint64_t place)
{
	SWAP_ASSERT_LOCKED();
	if (bitset_has(&area->damaged, place))
		return;
	bitset_add(&area->damaged, place);
	area->bad++;
}
