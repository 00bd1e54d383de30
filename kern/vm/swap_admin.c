/*
 * Swap devices come and go, and what there is to be known of them.
 *
 * A device goes when nothing is on it any more. Its places are not taken from then on that it is to go; what is there is brought back, family by
 * family (store_evacuate), and gone with the last reference. If that fails it is a device like the others again.
 */
#include <asm/errno.h>

#include "swap_internal.h"

/* One device comes or goes at a time: false, if another does. */
static bool begin(void)
{
	bool free;

	spin_lock(&swap.lock);
	free = !swap.busy;
	swap.busy = true;
	spin_unlock(&swap.lock);
	return free;
}

static void end(void)
{
	spin_lock(&swap.lock);
	swap.busy = false;
	spin_unlock(&swap.lock);
}

/* The area of a device; NULL: it is not in use. Only between begin() and end(). */
static struct swap_area *find_area(const struct swap_device *device)
{
	for (unsigned i = 0; i < SWAP_MAX_DEVICES; i++) {
		if (swap.areas[i].device == device)
			return &swap.areas[i];
	}
	return NULL;
}

/* ---- On ------------------------------------------------------------------------------------------------- */

/* Puts an area behind those of its priority, and before those of lower ones. Swap locked. */
static void order_insert(struct swap_area *area)
{
	unsigned rank = swap.count++;

	SWAP_ASSERT_LOCKED();
	for (; rank > 0 && swap.areas[swap.order[rank - 1]].priority < area->priority; rank--)
		swap.order[rank] = swap.order[rank - 1];
	swap.order[rank] = (unsigned)(area - swap.areas);
}

static void order_remove(const struct swap_area *area)
{
	unsigned rank = 0;

	SWAP_ASSERT_LOCKED();
	while (&swap.areas[swap.order[rank]] != area)
		rank++;
	for (swap.count--; rank < swap.count; rank++)
		swap.order[rank] = swap.order[rank + 1];
}

static int add_device(struct swap_device *device, int priority)
{
	struct swap_area fresh = {.device = device, .priority = priority, .cursor = 0};
	struct swap_area *area;
	int error;

	if (find_area(device))
		return -EBUSY;
	area = find_area(NULL);
	if (!area)
		return -ENOSPC;
	error = area_create(&fresh, device->pages);
	if (error)
		return error;
	spin_lock(&swap.lock);
	*area = fresh;
	order_insert(area);
	spin_unlock(&swap.lock);
	vm_reclaim_enable(true);
	return vm_set_store(&swap.pager);
}

int swap_on(struct swap_device *device, int priority)
{
	int error;

	if (device->pages < 2 || device->pages > SWAP_MAX_PAGES)
		return -EINVAL;
	if (!begin())
		return -EBUSY;
	error = add_device(device, priority);
	end();
	return error;
}

/* ---- Off ------------------------------------------------------------------------------------------------ */

static bool is_leaving(uint32_t location)
{
	uint64_t place;

	return location != LOCATION_ZERO && swap_area_of(location, &place)->leaving;
}

static uint64_t area_used(struct swap_area *area)
{
	uint64_t used;

	spin_lock(&swap.lock);
	used = area->used;
	spin_unlock(&swap.lock);
	return used;
}

static void set_leaving(struct swap_area *area, bool leaving)
{
	spin_lock(&swap.lock);
	area->leaving = leaving;
	spin_unlock(&swap.lock);
}

/* Is there room, in memory and on other devices, for what is on one? A guess, so that nobody's memory is taken for what cannot succeed. */
static bool has_room(const struct swap_area *area, uint64_t used)
{
	struct swap_stats all;
	uint64_t elsewhere;

	swap_stats(&all);
	/* Its own are among all: but for the first of its places, which is never used, and for what came and went meanwhile. */
	elsewhere = all.pages - (area->places - 1) - (all.used > used ? all.used - used : 0);
	return used <= elsewhere + page_free_count();
}

/*
 * What is on its way to the device when that is to go has its references already, and becomes known to its family a moment later: so families are
 * gone through until nothing is left, and as long as that becomes less.
 */
static int evacuate(struct swap_area *area)
{
	uint64_t used = area_used(area), before;
	int error = has_room(area, used) ? 0 : -ENOMEM;

	do {
		before = used;
		if (!error)
			error = store_evacuate(&swap.pager, is_leaving);
		used = area_used(area);
	} while (!error && used > 0 && used < before);
	return error || used == 0 ? error : -EBUSY;
}

static void remove_device(struct swap_area *area)
{
	struct swap_area gone = *area;

	spin_lock(&swap.lock);
	order_remove(area);
	area->device = NULL;
	spin_unlock(&swap.lock);
	area_destroy(&gone);
	/* Nobody has anything there: families that had keep the pager, and may come back to it. */
	if (swap.count == 0) {
		vm_reclaim_enable(false);
		(void)vm_set_store(NULL);
	}
}

int swap_off(struct swap_device *device)
{
	struct swap_area *area;
	int error = -EINVAL;

	if (!begin())
		return -EBUSY;
	area = find_area(device);
	if (area) {
		set_leaving(area, true);
		error = evacuate(area);
		if (error)
			set_leaving(area, false);
		else
			remove_device(area);
	}
	end();
	return error;
}

/* ---- Figures -------------------------------------------------------------------------------------------- */

unsigned swap_devices(struct swap_info *out, unsigned most)
{
	unsigned count;

	spin_lock(&swap.lock);
	count = swap.count;
	for (unsigned rank = 0; rank < count && rank < most; rank++) {
		const struct swap_area *area = &swap.areas[swap.order[rank]];

		out[rank] = (struct swap_info){
			.name = area->device->name,
			.priority = area->priority,
			.pages = area->places - 1,
			.used = area->used,
			.bad = area->bad,
		};
	}
	spin_unlock(&swap.lock);
	return count;
}

void swap_stats(struct swap_stats *out)
{
	spin_lock(&swap.lock);
	*out = swap.stats;
	for (unsigned rank = 0; rank < swap.count; rank++) {
		const struct swap_area *area = &swap.areas[swap.order[rank]];

		out->pages += area->places - 1;
		out->used += area->used;
		out->bad += area->bad;
	}
	spin_unlock(&swap.lock);
}
