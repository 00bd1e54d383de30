/*
 * The buddy allocator: free runs of frames, in lists by length (buddy.h says what a run is).
 *
 * Freeing joins a run with its buddy, the neighbour with which it makes an aligned run of twice the
 * length, for as long as that is free; allocating splits one. Contiguous runs of any length are
 * cut out of the free runs they lie in. Who gets pages, and when, is decided in page.c.
 */
#include "buddy.h"

struct buddy buddy;

/* The RAM range that contains the frame, which is RAM. */
static const struct frame_range *ram_find(pgoff_t frame)
{
	size_t low = 0, high = buddy.ram_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (buddy.ram[middle].first <= frame)
			low = middle;
		else
			high = middle;
	}
	const struct frame_range *range = &buddy.ram[low];
	ASSERT(low < buddy.ram_count && frame >= range->first && frame < range->end);
	return range;
}

/* Is the page, which is RAM, the first of a free run of 2^order pages? */
static inline bool run_is_free(const struct page *page, unsigned order)
{
	return state_get(page) == PAGE_FREE && page->order == order;
}

/* Puts a run into the list of its length, first. It is not joined: that is buddy_put()'s business. */
static void run_insert(struct page *page, unsigned order)
{
	struct page *first = buddy.free[order];

	BUDDY_ASSERT_LOCKED();
	DEBUG_ASSERT(order <= BUDDY_ORDER_MAX && (page_frame(page) & (((pgoff_t)1 << order) - 1)) == 0);
	DEBUG_ASSERT(state_get(page) != PAGE_FREE);
	page->previous = NULL;
	page->next = first;
	if (first != NULL)
		first->previous = page;
	buddy.free[order] = page;
	buddy.nonempty |= 1u << order;
	page->order = (uint8_t)order;
	state_set(page, PAGE_FREE);
	counter_add(&buddy.free_pages, (int64_t)1 << order);
}

/* Takes a run out of its list. Its pages are nobody's then, and look like the inside of a run. */
static void run_remove(struct page *page)
{
	unsigned order = page->order;

	BUDDY_ASSERT_LOCKED();
	DEBUG_ASSERT(run_is_free(page, order) && order <= BUDDY_ORDER_MAX);
	DEBUG_ASSERT((page->previous != NULL ? page->previous->next : buddy.free[order]) == page);
	if (page->next != NULL)
		page->next->previous = page->previous;
	if (page->previous != NULL) {
		page->previous->next = page->next;
	} else {
		buddy.free[order] = page->next;
		if (page->next == NULL)
			buddy.nonempty &= ~(1u << order);
	}
	page->order = 0;
	state_set(page, PAGE_RESERVED);
	counter_add(&buddy.free_pages, -((int64_t)1 << order));
}

/* Joined as far as the RAM range reaches, and no run is longer than 2^BUDDY_ORDER_MAX pages. */
void buddy_put(struct page *page, unsigned order)
{
	pgoff_t frame = page_frame(page);
	const struct frame_range *range = ram_find(frame);

	BUDDY_ASSERT_LOCKED();
	ASSERT(range->end - frame >= (pgoff_t)1 << order);
	state_set(page, PAGE_RESERVED);
	for (; order < BUDDY_ORDER_MAX; order++) {
		pgoff_t other = frame ^ ((pgoff_t)1 << order);
		if (other < range->first || other >= range->end || !run_is_free(page_array + other, order))
			break;
		run_remove(page_array + other);
		frame &= ~((pgoff_t)1 << order);
	}
	run_insert(page_array + frame, order);
}

/* A longer run is split in halves until one has the length that is wanted; the others stay free. */
struct page *buddy_take(unsigned order)
{
	uint32_t large_enough = buddy.nonempty >> order << order;

	BUDDY_ASSERT_LOCKED();
	if (large_enough == 0)
		return NULL;
	unsigned from = (unsigned)__builtin_ctz(large_enough);
	struct page *page = buddy.free[from];
	run_remove(page);
	/* The lower half is kept at every step, so that what is taken is the lowest. */
	while (from > order) {
		from--;
		run_insert(page + ((size_t)1 << from), from);
	}
	return page;
}

/* Of a number that is not 0. */
static unsigned log2_down(uint64_t number)
{
	DEBUG_ASSERT(number != 0);
	return 63 - (unsigned)__builtin_clzll(number);
}

void buddy_put_frames(pgoff_t first, pgoff_t end)
{
	BUDDY_ASSERT_LOCKED();
	DEBUG_ASSERT(first <= end);
	/* In the longest aligned runs that fit. */
	while (first < end) {
		unsigned order = log2_down(end - first);
		if (order > BUDDY_ORDER_MAX)
			order = BUDDY_ORDER_MAX;
		if (first != 0 && (unsigned)__builtin_ctzll(first) < order)
			order = (unsigned)__builtin_ctzll(first);
		buddy_put(page_array + first, order);
		first += (pgoff_t)1 << order;
	}
}

/* Takes a whole run that fits, or the longest part of one that does: a short one of those that there are, so that long ones last, or a long one. */
static inline __attribute__((always_inline)) struct page *take_some(unsigned most, uint64_t kept,
								    bool long_first, unsigned *count)
{
	uint64_t free_pages = counter_get(&buddy.free_pages);
	unsigned order, fits;
	uint32_t fitting;

	BUDDY_ASSERT_LOCKED();
	DEBUG_ASSERT(most > 0);
	if (free_pages <= kept)
		return NULL;
	if (most > free_pages - kept)
		most = (unsigned)(free_pages - kept);
	DEBUG_ASSERT(buddy.nonempty != 0);
	fits = log2_down(most);
	fitting = buddy.nonempty & (((uint32_t)2 << fits) - 1);
	if (fitting == 0)
		order = fits;
	else
		order = long_first ? log2_down(fitting) : (unsigned)__builtin_ctz(fitting);
	*count = 1u << order;
	return buddy_take(order);
}

/* Who wants many at once is served with few runs, and leaves the short ones to those who want one page. */
struct page *buddy_take_some(unsigned most, uint64_t kept, unsigned *count)
{
	return take_some(most, kept, true, count);
}

unsigned buddy_take_pages(struct page **out, unsigned most, uint64_t kept, enum page_state state)
{
	unsigned taken = 0, count;
	struct page *page;

	BUDDY_ASSERT_LOCKED();
	while (taken < most && (page = take_some(most - taken, kept, false, &count)) != NULL) {
		for (unsigned i = 0; i < count; i++) {
			state_set(page + i, state);
			out[taken++] = page + i;
		}
	}
	return taken;
}

/* ---- Contiguous runs of any length ----------------------------------------------------------- */

/* Finds the lowest place for the run in the free frames [first, end). */
static bool run_fits(const struct frame_request *request, pgoff_t first, pgoff_t end, pgoff_t *found)
{
	pgoff_t start = (first + request->align - 1) & ~(request->align - 1);

	DEBUG_ASSERT(request->count > 0 && (request->align & (request->align - 1)) == 0);
	if (end > request->limit)
		end = request->limit;
	if (start >= end || end - start < request->count)
		return false;
	*found = start;
	return true;
}

/* The first frame of the free run that ends just below `frame`; `frame` itself if there is none. */
static pgoff_t free_run_below(const struct frame_range *range, pgoff_t frame)
{
	for (unsigned order = 0; order <= BUDDY_ORDER_MAX; order++) {
		pgoff_t length = (pgoff_t)1 << order;
		if ((frame & (length - 1)) != 0 || frame - range->first < length)
			break;
		if (run_is_free(page_array + frame - length, order))
			return frame - length;
	}
	return frame;
}

/* Looks for the run in the free run at `page` and the free runs before and after it. */
static bool run_fits_around(const struct frame_request *request, const struct page *page, pgoff_t *found)
{
	pgoff_t start = page_frame(page), first = start, end = start + ((pgoff_t)1 << page->order);
	pgoff_t enough_end = end + request->count;
	const struct frame_range *range = ram_find(first);

	while (first + request->count > start) {
		pgoff_t below = free_run_below(range, first);
		if (below == first)
			break;
		first = below;
	}
	while (end < enough_end && end < range->end && state_get(page_array + end) == PAGE_FREE)
		end += (pgoff_t)1 << page_array[end].order;
	return run_fits(request, first, end, found);
}

/*
 * Finds free frames for the run. The first loop looks for one buddy run that contains it. Only if
 * there is none, the second looks across neighbouring buddy runs: `count` consecutive frames
 * contain an aligned run of at least a quarter of count, rounded up to a power of two, so
 * that smaller free runs need not be looked at.
 */
static bool run_find(const struct frame_request *request, pgoff_t *found)
{
	unsigned down = log2_down(request->count), up = down + ((request->count & (request->count - 1)) != 0);
	unsigned align = log2_down(request->align);

	BUDDY_ASSERT_LOCKED();
	for (unsigned order = up > align ? up : align; order <= BUDDY_ORDER_MAX; order++) {
		for (struct page *page = buddy.free[order]; page != NULL; page = page->next) {
			pgoff_t frame = page_frame(page);
			if (run_fits(request, frame, frame + ((pgoff_t)1 << order), found))
				return true;
		}
	}
	unsigned least = down > 0 ? down - 1 : 0;
	for (unsigned order = least < BUDDY_ORDER_MAX ? least : BUDDY_ORDER_MAX; order <= BUDDY_ORDER_MAX;
	     order++) {
		for (struct page *page = buddy.free[order]; page != NULL; page = page->next) {
			if (run_fits_around(request, page, found))
				return true;
		}
	}
	return false;
}

struct page *buddy_run_of(pgoff_t frame)
{
	const struct frame_range *range = ram_find(frame);

	for (unsigned order = 0; order <= BUDDY_ORDER_MAX; order++) {
		pgoff_t first = frame & ~(((pgoff_t)1 << order) - 1);
		if (first < range->first)
			break;
		if (run_is_free(page_array + first, order))
			return page_array + first;
	}
	return NULL;
}

/* Takes [first, end) out of the free runs that it lies in; what else is in them stays free. */
static void frames_take(pgoff_t first, pgoff_t end)
{
	BUDDY_ASSERT_LOCKED();
	for (pgoff_t frame = first; frame < end;) {
		struct page *page = buddy_run_of(frame);
		ASSERT(page != NULL);
		pgoff_t start = page_frame(page), stop = start + ((pgoff_t)1 << page->order);
		DEBUG_ASSERT(start <= frame && frame < stop);
		run_remove(page);
		if (start < first)
			buddy_put_frames(start, first);
		if (stop > end)
			buddy_put_frames(end, stop);
		frame = stop;
	}
}

bool buddy_take_frames(const struct frame_request *request, pgoff_t *found)
{
	if (!run_find(request, found))
		return false;
	frames_take(*found, *found + request->count);
	DEBUG_ASSERT((*found & (request->align - 1)) == 0 && *found + request->count <= request->limit);
	return true;
}

/* ---- Start, and questions -------------------------------------------------------------------- */

void buddy_init(const struct phys_range *ram, size_t ram_count)
{
	ASSERT(ram_count <= PAGE_MAX_RANGES);
	memset(&buddy, 0, sizeof(buddy));
	spin_init(&buddy.lock, RANK_BUDDY, "buddy allocator");
	for (size_t i = 0; i < ram_count; i++) {
		struct frame_range range = {ram[i].start >> PAGE_SHIFT, ram[i].end >> PAGE_SHIFT};
		ASSERT(range.first < range.end && (i == 0 || buddy.ram[i - 1].end <= range.first));
		buddy.ram[i] = range;
	}
	buddy.ram_count = ram_count;
}

bool buddy_touches_ram(pgoff_t first, pgoff_t end)
{
	DEBUG_ASSERT(first <= end);
	for (size_t i = 0; i < buddy.ram_count; i++) {
		if (first < buddy.ram[i].end && buddy.ram[i].first < end)
			return true;
	}
	return false;
}

/* One free run is what it claims to be, and could not have been joined with its buddy. */
static void run_check(const struct page *page, unsigned order)
{
	pgoff_t frame = page_frame(page), length = (pgoff_t)1 << order, other = frame ^ length;
	const struct frame_range *range = ram_find(frame);

	ASSERT(run_is_free(page, order));
	ASSERT((frame & (length - 1)) == 0 && range->end - frame >= length);
	ASSERT(page->next == NULL || page->next->previous == page);
	if (order < BUDDY_ORDER_MAX && other >= range->first && other < range->end)
		ASSERT(!run_is_free(page_array + other, order));
}

void buddy_check(void)
{
	uint64_t free_pages = 0;

	BUDDY_ASSERT_LOCKED();
	for (unsigned order = 0; order <= BUDDY_ORDER_MAX; order++) {
		struct page *page = buddy.free[order];
		ASSERT((page != NULL) == (buddy.nonempty >> order & 1));
		ASSERT(page == NULL || page->previous == NULL);
		for (; page != NULL; page = page->next) {
			run_check(page, order);
			free_pages += (uint64_t)1 << order;
		}
	}
	ASSERT(free_pages == counter_get(&buddy.free_pages));
}
