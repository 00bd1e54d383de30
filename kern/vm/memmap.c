/*
 * Puts the firmware's memory map in order.
 *
 * Firmware and loaders report memory in any order, with overlaps, odd addresses and nonsense. This
 * file finds what is surely RAM in such a list, and knows nothing of page descriptors; the
 * allocator that gets the result is page.c. The list is swept from address 0 upwards, looking
 * through all of it for each next boundary: it has tens of ranges, once, at boot, before there
 * is anywhere to sort a copy.
 */
#include <asm/errno.h>
#include <vm/page.h>

/* Where the range really ends: see memmap_normalize about those that wrap. */
static paddr_t range_end(const struct phys_range *range)
{
	if (range->end >= range->start)
		return range->end;
	return range->usable ? range->start : UINT64_MAX;
}

static paddr_t lower(paddr_t left, paddr_t right)
{
	return left < right ? left : right;
}

/*
 * How far [at, ...) is covered without a gap by ranges of one kind, up to `stop`; `at` if not at
 * all.
 */
static paddr_t covered_to(const struct phys_range *in, size_t count, bool usable, paddr_t at, paddr_t stop)
{
	DEBUG_ASSERT(at <= stop);
	for (bool grew = true; grew && at < stop;) {
		grew = false;
		for (size_t i = 0; i < count; i++) {
			if (in[i].usable != usable || in[i].start > at || range_end(&in[i]) <= at)
				continue;
			at = range_end(&in[i]);
			grew = true;
		}
	}
	return lower(at, stop);
}

/* The lowest start above `at` of a range of one kind that is not empty; UINT64_MAX if none. */
static paddr_t next_start(const struct phys_range *in, size_t count, bool usable, paddr_t at)
{
	paddr_t lowest = UINT64_MAX;

	for (size_t i = 0; i < count; i++) {
		if (in[i].usable == usable && in[i].start > at && in[i].start < lowest &&
		    range_end(&in[i]) > in[i].start)
			lowest = in[i].start;
	}
	return lowest;
}

int memmap_normalize(const struct phys_range *in, size_t in_count, paddr_t limit, struct phys_range *out,
		     size_t out_count)
{
	size_t found = 0;
	paddr_t at = 0;

	/* All below `at` is dealt with. Every turn moves it, to the next boundary at least. */
	while (at < limit) {
		paddr_t end = covered_to(in, in_count, false, at, limit);
		DEBUG_ASSERT(end >= at && end <= limit);
		if (end > at) {
			at = end;
			continue;
		}
		paddr_t stop = lower(limit, next_start(in, in_count, false, at));
		end = covered_to(in, in_count, true, at, stop);
		if (end == at) {
			at = next_start(in, in_count, true, at);
			continue;
		}

		/* Rounding up wraps to 0 in the last page of all, which has no end to be known by. */
		paddr_t first = page_round_up(at), last = page_round_down(end);
		if (first >= at && first < last) {
			if (found == out_count)
				return -ENOSPC;
			DEBUG_ASSERT(found == 0 || out[found - 1].end <= first);
			out[found++] = (struct phys_range){.start = first, .end = last, .usable = true};
		}
		at = end;
	}
	return (int)found;
}
