/*
 * The swap store: a pager that takes pages of any family, and keeps them on devices.
 *
 *   put   pages of zeroes are only noted; the others go, in runs, to consecutive places that are free. Where a write fails the places are
 *         quarantined, and others tried.
 *   get   what is in consecutive places comes with one request, and is looked at: a page is given back only if it is the
 *         one that was written for that family and index, the last time. What is not is tried once more, alone; then it is an error, and its place is
 *         quarantined.
 *
 * A place is free again with its last reference. Nothing here allocates memory but for the pages that come back. Who may be
 * put here, and when, is reclaim.c's business; devices come and go in swap_admin.c.
 */
#include <asm/errno.h>

#include "swap_internal.h"

/* How many runs may fail before a put is given up: each costs a request, which may have taken a device's time-out. */
#define WRITE_ATTEMPTS 3u

/* ---- Putting ------------------------------------------------------------------------------------------ */

/* How many pages from the first on are not of zeroes. */
static unsigned count_nonzero(const struct page_put *puts, unsigned count)
{
	unsigned i = 0;

	while (i < count && !swap_is_zero(puts[i].page))
		i++;
	return i;
}

/* Notes in the run's slots what is about to be written. The places are only ours. */
static void describe(const struct swap_run *run, const struct page_put *puts, uint32_t write)
{
	for (unsigned i = 0; i < run->count; i++) {
		struct swap_slot *slot = area_slot(run->area, run->first + i);

		slot->owner = swap_owner(puts[i].family, puts[i].index);
		slot->write = write + i;
		slot->sum = swap_sum(puts[i].page, slot->owner, slot->write);
	}
}

/* Says so before it gives up the run's references: with them the device may go. */
static void write_failed(const struct swap_run *run)
{
	env_log("swap: %s: writing %u pages to place %llu failed: these are not used again",
		run->area->device->name, run->count, (unsigned long long)run->first);
	spin_lock(&swap.lock);
	swap.stats.write_errors++;
	for (unsigned i = 0; i < run->count; i++) {
		area_quarantine(run->area, run->first + i);
		area_unref(run->area, run->first + i);
	}
	spin_unlock(&swap.lock);
}

/* Writes the first pages, none of them of zeroes, to a run. How many; 0: that failed, and may be tried again; or -ENOSPC. */
static int put_run(struct page_put *puts, unsigned count)
{
	struct page *pages[PAGER_CLUSTER];
	struct swap_device *device;
	struct swap_run run;
	uint32_t write;

	spin_lock(&swap.lock);
	if (!swap_take_run(count, &run)) {
		spin_unlock(&swap.lock);
		return -ENOSPC;
	}
	write = swap.write + 1;
	swap.write += run.count;
	spin_unlock(&swap.lock);
	/* unlocked: the run's references keep the places, and the area. */
	describe(&run, puts, write);
	for (unsigned i = 0; i < run.count; i++)
		pages[i] = puts[i].page;
	device = run.area->device;
	if (device->ops->transfer(device, true, run.first, pages, run.count)) {
		for (unsigned i = 0; i < run.count; i++)
			puts[i].held = true;
		write_failed(&run);
		return 0;
	}
	for (unsigned i = 0; i < run.count; i++)
		puts[i].location = swap_location(run.area, run.first + i);
	spin_lock(&swap.lock);
	swap.stats.writes++;
	swap.stats.pages_out += run.count;
	spin_unlock(&swap.lock);
	return (int)run.count;
}

static void count_zeroes(unsigned out, unsigned in)
{
	spin_lock(&swap.lock);
	swap.stats.zero_out += out;
	swap.stats.zero_in += in;
	spin_unlock(&swap.lock);
}

static int swap_put_pages(struct pager *pager, struct page_put *puts, unsigned count)
{
	unsigned done = 0, failures = 0;

	ASSERT(pager == &swap.pager && count > 0 && count <= PAGER_CLUSTER);
	while (done < count) {
		unsigned ready = count_nonzero(puts + done, count - done);
		int written;

		if (ready == 0) {
			puts[done++].location = LOCATION_ZERO;
			count_zeroes(1, 0);
			continue;
		}
		written = put_run(puts + done, ready);
		if (written < 0 || (written == 0 && ++failures == WRITE_ATTEMPTS))
			return done > 0 ? (int)done : written < 0 ? written : -EIO;
		done += (unsigned)written;
	}
	return (int)done;
}

/* ---- Getting ------------------------------------------------------------------------------------------ */

/* What is asked for, page by page; the pages that are to be filled are allocated. */
struct getting {
	const struct page_wanted *wanted;
	struct page **pages;
	unsigned count;
};

/* Pages for what is wanted, cleared where that is all there is to do. How many, perhaps none. */
static unsigned get_allocate(const struct page_wanted *wanted, unsigned count, struct page **out)
{
	unsigned done = 0;

	for (; done < count && wanted[done].location != 0; done++) {
		out[done] =
			page_alloc(PAGE_BLOB, wanted[done].location == LOCATION_ZERO ? PAGE_ALLOC_ZERO : 0);
		if (!out[done])
			break;
	}
	return done;
}

/* How many of the locations from `first` on are consecutive places of one device. */
static unsigned run_length(const struct getting *get, unsigned first)
{
	unsigned next = first + 1;

	while (next < get->count && get->wanted[next].location != LOCATION_ZERO &&
	       get->wanted[next].location == get->wanted[first].location + (next - first))
		next++;
	return next - first;
}

/* Is the page what was written? */
static bool is_right(const struct swap_area *area, uint64_t place, const struct page_wanted *wanted,
		     const struct page *page)
{
	const struct swap_slot *slot = area_slot(area, place);

	return slot->owner == swap_owner(wanted->family, wanted->index) &&
	       slot->sum == swap_sum(page, slot->owner, slot->write);
}

static void count_read(bool failed, unsigned right, unsigned wrong)
{
	spin_lock(&swap.lock);
	swap.stats.reads++;
	swap.stats.read_errors += failed;
	swap.stats.pages_in += right;
	swap.stats.mismatches += wrong;
	spin_unlock(&swap.lock);
}

/* Reads what is in consecutive places. How many of the pages, from the first on, are right; and the device's error, or 0. */
static unsigned get_run(const struct getting *get, unsigned first, unsigned count, int *error)
{
	uint64_t place;
	struct swap_area *area = swap_area_of(get->wanted[first].location, &place);
	unsigned right = 0;

	*error = area->device->ops->transfer(area->device, false, place, get->pages + first, count);
	while (!*error && right < count &&
	       is_right(area, place + right, &get->wanted[first + right], get->pages[first + right]))
		right++;
	count_read(*error != 0, right, !*error && right < count);
	return right;
}

/* The page cannot be had, for a device's error or as it has another one (0): says so, and lets its place not be used again. */
static void give_up_place(const struct page_wanted *wanted, int error)
{
	uint64_t place;
	struct swap_area *area = swap_area_of(wanted->location, &place);
	bool known;

	spin_lock(&swap.lock);
	known = bitset_has(&area->damaged, place);
	area_quarantine(area, place);
	spin_unlock(&swap.lock);
	if (known)
		return;
	env_log("swap: %s: place %llu %s page %llu of family %u%s", area->device->name,
		(unsigned long long)place, error ? "cannot be read:" : "does not have",
		(unsigned long long)wanted->index, wanted->family, error ? " is lost" : " as it was written");
}

/*
 * Tries the first page once more, alone, and with another frame: a device that failed may not be done with the first. 1, -EIO or -ENOMEM.
 */
static int get_again(const struct getting *get)
{
	int error;

	page_unref(get->pages[0]);
	get->pages[0] = page_alloc(PAGE_BLOB, 0);
	if (!get->pages[0])
		return -ENOMEM;
	if (get_run(get, 0, 1, &error) == 1)
		return 1;
	give_up_place(&get->wanted[0], error);
	return -EIO;
}

/* Fills the pages, as far as that is possible. How many, from the first on; or why not even that. */
static int get_fill(const struct getting *get)
{
	unsigned done = 0;

	while (done < get->count) {
		unsigned length, right;
		int error;

		if (get->wanted[done].location == LOCATION_ZERO) {
			count_zeroes(0, 1);
			done++;
			continue;
		}
		length = run_length(get, done);
		right = get_run(get, done, length, &error);
		done += right;
		/* What nobody has asked for may be asked for again. */
		if (right < length)
			return done > 0 ? (int)done : get_again(get);
	}
	return (int)done;
}

static int swap_get_pages(struct pager *pager, const struct page_wanted *wanted, unsigned count,
			  struct page **out)
{
	struct getting get = {.wanted = wanted, .pages = out};
	int filled;

	ASSERT(pager == &swap.pager && count > 0 && count <= PAGER_CLUSTER);
	/* It has nothing from the beginning. */
	ASSERT(wanted[0].location != 0);
	get.count = get_allocate(wanted, count, out);
	if (get.count == 0)
		return -ENOMEM;
	filled = get_fill(&get);
	for (unsigned i = filled > 0 ? (unsigned)filled : 0; i < get.count; i++) {
		if (out[i])
			page_unref(out[i]);
	}
	return filled;
}

/* ---- References ----------------------------------------------------------------------------------------- */

static bool swap_has_page(struct pager *pager, pgoff_t index)
{
	(void)index;
	ASSERT(pager == &swap.pager);
	return false;
}

static void swap_location_ref(struct pager *pager, uint32_t location)
{
	struct swap_area *area;
	uint64_t place;

	(void)pager;
	if (location == LOCATION_ZERO)
		return;
	area = swap_area_of(location, &place);
	spin_lock(&swap.lock);
	area_ref(area, place);
	spin_unlock(&swap.lock);
}

static void swap_location_unref(struct pager *pager, uint32_t location)
{
	struct swap_area *area;
	uint64_t place;

	(void)pager;
	if (location == LOCATION_ZERO)
		return;
	area = swap_area_of(location, &place);
	spin_lock(&swap.lock);
	area_unref(area, place);
	spin_unlock(&swap.lock);
}

/* It is never destroyed: it has a reference of its own. */
static void swap_destroy(struct pager *pager)
{
	panic("the %s store has lost a reference", pager->ops->name);
}

static const struct pager_ops swap_ops = {
	.name = "swap",
	.get_pages = swap_get_pages,
	.has_page = swap_has_page,
	.put_pages = swap_put_pages,
	.location_ref = swap_location_ref,
	.location_unref = swap_location_unref,
	.destroy = swap_destroy,
};

struct swap swap = {
	.lock = ENV_SPINLOCK_INIT(RANK_STORE, "swap"),
	.pager = {.ops = &swap_ops, .refs = 1},
};
