/*
 * The list of all families of blobs, for who looks for pages whosever they are: reclaim.c, and a store that loses a device.
 *
 * Its lock comes before a family's. So who has found a family in the list can lock it before he lets go of the list, and then it stays: a
 * family's last blob leaves it under its lock, and only then it is taken out of the list.
 */
#include <asm/errno.h>

#include <vm/swap.h>

#include "vm_internal.h"

/* Slots that are looked at in one section of a family's lock. */
#define EVACUATE_SLOTS 64u

/* Locks: (l) its lock; (a) atomic. */
static struct {
	struct spinlock lock;
	struct family *first, *last; /* (l) */
	struct family *hand;         /* (l) where reclaim.c goes on; NULL: with the first */
	_Atomic uint32_t number;     /* (a) of the newest */
} families = {.lock = ENV_SPINLOCK_INIT(RANK_FAMILIES, "families")};

void family_register(struct family *family)
{
	family->number = ++families.number;
	family->next = NULL;
	spin_lock(&families.lock);
	family->previous = families.last;
	*(families.last ? &families.last->next : &families.first) = family;
	families.last = family;
	spin_unlock(&families.lock);
}

void family_unregister(struct family *family)
{
	spin_lock(&families.lock);
	*(family->previous ? &family->previous->next : &families.first) = family->next;
	*(family->next ? &family->next->previous : &families.last) = family->previous;
	if (families.hand == family)
		families.hand = family->next;
	spin_unlock(&families.lock);
}

bool blob_try_visit(struct blob *blob)
{
	uint32_t refs = blob->refs;

	FAMILY_ASSERT_LOCKED(blob->family);
	do {
		/* With its last reference a blob begins to go, and must not come back. */
		if (refs == 0)
			return false;
	} while (!atomic_compare_exchange_weak(&blob->refs, &refs, refs + 1));
	blob->visitors++;
	return true;
}

/* The first blob from `blob` on, in its family's list, of which a reference can be had. Family locked. */
static struct blob *visit_from(struct blob *blob)
{
	while (blob && !blob_try_visit(blob))
		blob = blob->next;
	return blob;
}

struct blob *family_visit_next(const struct family *family)
{
	struct family *next;
	struct blob *found = NULL;

	spin_lock(&families.lock);
	next = family ? family->next : families.first;
	for (; next && !found; next = next->next) {
		spin_lock(&next->lock);
		found = visit_from(next->blobs);
		family_unlock(next);
	}
	spin_unlock(&families.lock);
	return found;
}

struct family *family_lock_at_hand(void)
{
	struct family *family;

	spin_lock(&families.lock);
	family = families.hand ? families.hand : families.first;
	for (; family; family = family->next) {
		spin_lock(&family->lock);
		if (family->count > 0)
			break;
		/* It is about to be taken out of the list, and freed: it is let go before the list is. */
		spin_unlock(&family->lock);
	}
	families.hand = family;
	spin_unlock(&families.lock);
	return family;
}

bool family_advance(const struct family *family)
{
	bool anew = false;

	spin_lock(&families.lock);
	/* `family` may be gone: then the hand is not there any more. */
	if (families.hand == family && family) {
		families.hand = family->next;
		anew = !families.hand;
	}
	spin_unlock(&families.lock);
	return anew;
}

/* ---- Evacuation ----------------------------------------------------------------------------------------- */

struct evacuation {
	struct pager *store;
	bool (*leaving)(uint32_t location);
};

/*
 * Makes resident pages dirty that are at a location which is leaving, from `offset` on, until one is found that is paged out there: *found is where;
 * or some slots were looked at. Returns where to go on. Family locked.
 */
static pgoff_t evacuate_part(const struct evacuation *evacuation, struct blob *blob, pgoff_t offset,
			     bool *found)
{
	pgoff_t end = blob->base + blob->pages;

	FAMILY_ASSERT_LOCKED(blob->family);
	*found = false;
	for (unsigned slots = 0; slots < EVACUATE_SLOTS; slots++) {
		slot_t *place;
		pgoff_t index = tree_next(&blob->tree, blob->base + offset, end, &place);

		offset = index - blob->base;
		if (index == end)
			return offset;
		if (slot_is_paged_out(*place)) {
			*found = evacuation->leaving(slot_location(*place));
			if (*found)
				return offset;
		} else if (slot_page(*place)->state == PAGE_BLOB && page_location(slot_page(*place)) != 0 &&
			   evacuation->leaving(page_location(slot_page(*place)))) {
			page_forget_location(blob->family, slot_page(*place));
		}
		offset++;
	}
	return offset;
}

/* The caller is a visitor. 0 or an error of page_in(). */
static int evacuate_blob(const struct evacuation *evacuation, struct blob *blob)
{
	pgoff_t offset = 0;
	int error = 0;

	while (offset < blob->pages && !error) {
		bool found = false;

		spin_lock(&blob->family->lock);
		if (blob->family->store == evacuation->store)
			offset = evacuate_part(evacuation, blob, offset, &found);
		else
			offset = blob->pages;
		family_unlock(blob->family);
		/* unlocked: it is looked at again, and then it is resident, or gone. */
		if (found)
			error = page_in(blob, offset, 1);
		if (error == -ENOMEM && vm_make_room())
			error = 0;
	}
	return error;
}

/* All blobs of a family, one of which the caller visits. */
static int evacuate_family(const struct evacuation *evacuation, struct family *family)
{
	struct blob *blob, *next;
	int error = 0;

	spin_lock(&family->lock);
	blob = visit_from(family->blobs);
	family_unlock(family);
	while (blob) {
		if (!error)
			error = evacuate_blob(evacuation, blob);
		spin_lock(&family->lock);
		next = error ? NULL : visit_from(blob->next);
		family_unlock(family);
		blob_leave(blob, 0, blob->pages);
		blob = next;
	}
	return error;
}

int store_evacuate(struct pager *store, bool (*leaving)(uint32_t location))
{
	const struct evacuation evacuation = {store, leaving};
	struct blob *blob = family_visit_next(NULL), *next;
	int error = 0;

	while (blob) {
		if (!error)
			error = evacuate_family(&evacuation, blob->family);
		next = error ? NULL : family_visit_next(blob->family);
		blob_leave(blob, 0, blob->pages);
		blob = next;
	}
	return error;
}
