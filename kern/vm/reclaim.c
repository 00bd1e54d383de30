/*
 * Reclaim: which pages are given up when memory is short.
 *
 * Pages of blobs are of two kinds:
 *
 *   resident   a hand goes round all families, blob by blob, through the nodes of their trees, and looks at the pages of a node at a time: a page that was accessed
 *              since it came by last is young again, another one grows older, and goes when it is old enough. A node that clones share is looked at once a round, for
 *              all of them.
 *   returned   a page that came back from a store, and was not written to since, is in a list, in the order in which pages came back. The first is
 *              looked at twice: if it was accessed between the two it becomes one of the others, else it goes.
 *
 * As long as the list has more than its share, pages go from there. That is what keeps a program that goes through more than fits from driving out everything, itself included: what
 * it reads once goes by, and what stayed resident stays, and is there when it comes by again. The hand follows at some distance, so that what nobody uses any more makes
 * room for what comes back.
 *
 * Clean pages cost nothing to give up; dirty ones are written, those of one node together. Nothing here allocates memory. What is wired, or a device's, is not in reach.
 */
#include <asm/errno.h>
#include <vm/swap.h>

#include "vm_internal.h"

/* The list's share: this part of all RAM, at least so many pages, so that what was read ahead is used before it goes. */
#define RETURNED_SHARE 512u
#define RETURNED_LEAST 64u

/* The hand looks at so many pages for each that goes from the list; a page that it found idle so often is in nobody's use. */
#define HAND_PAGES 2u
#define STALE_AGE  4u

/* Where pages are needed at once, one that was not accessed since the hand came by last is good enough. */
#define IDLE_AGE 1u

/* The hand has been everywhere twice, taking the accessed bits first and then what was idle, and once more, as others may have been at work. */
#define ROUNDS_MAX 3u

/*
 * Where nothing else can be given up, the list's last pages go, too: more of them than an instruction needs. If only such went so often, one after the
 * other, they may be driving each other out for an instruction that needs several, which would go on for ever: then there is no memory.
 */
#define LAST_PAGES 16u
#define LAST_MOST  256u

/* What is kept for the kernel, and when to begin: shares of all RAM, and at most so many pages. */
#define KEPT_SHARE 256u
#define KEPT_MAX   1024u
#define KEPT_LEAST 16u

/* Paging out goes on for at most this part of what is not kept. */
#define MORE_SHARE 8u

/* At once, where somebody waits. */
#define DIRECT_PAGES 32u

/* Locks: (r) its lock; (a) atomic. */
static struct {
	struct spinlock lock;
	struct page *first, *last;  /* (r) through next and previous */
	_Atomic uint64_t count;     /* (a) changed under the lock */
	_Atomic bool on;            /* (a) there is somewhere to put pages */
	_Atomic bool full;          /* (a) the last page that was to be written could not be */
	_Atomic uint64_t enough;    /* (a) so many free pages besides the reserve are enough */
	_Atomic uint64_t went_last; /* (a) of the list's last pages, since others went */
	_Atomic uint64_t wanted;    /* (a) what vm_keep_free() said; 0: nothing */
	_Atomic uint64_t scanned, given_up, promoted, returned; /* (a) figures */
	_Atomic uint64_t direct, failed;                        /* (a) */
	_Atomic uint64_t direct_scanned, direct_given_up;       /* (a) parts of the above */
} reclaim = {.lock = ENV_SPINLOCK_INIT(RANK_RETURNED, "returned pages")};

/* ---- The list of pages that came back ------------------------------------------------------------------------ */

void page_returned_add(struct page *page)
{
	DEBUG_ASSERT(page->state == PAGE_BLOB && !(page->age & PAGE_RETURNED));
	page->age = PAGE_RETURNED;
	page->next = NULL;
	reclaim.returned++;
	spin_lock(&reclaim.lock);
	page->previous = reclaim.last;
	*(reclaim.last ? &reclaim.last->next : &reclaim.first) = page;
	reclaim.last = page;
	reclaim.count++;
	spin_unlock(&reclaim.lock);
}

void page_returned_remove(struct page *page)
{
	DEBUG_ASSERT(page->age & PAGE_RETURNED);
	page->age = 0;
	spin_lock(&reclaim.lock);
	*(page->previous ? &page->previous->next : &reclaim.first) = page->next;
	*(page->next ? &page->next->previous : &reclaim.last) = page->previous;
	reclaim.count--;
	spin_unlock(&reclaim.lock);
}

/* Puts a page of the list, which was looked at, at its end. Family locked. */
static void returned_again(struct page *page)
{
	page_returned_remove(page);
	page_returned_add(page);
	reclaim.returned--;
	page->age |= PAGE_SEEN;
}

/*
 * The first page of the list whose family can be locked at once, and it is; NULL: there is none, or others have the families. The order of the locks is the other way
 * round: hence no waiting. A page of the list is in its family's trees, or held by who has one of its blobs, which keeps the family.
 */
static struct page *returned_first(void)
{
	struct page *page;

	spin_lock(&reclaim.lock);
	page = reclaim.first;
	while (page && !spin_trylock(&((struct family *)page->owner)->lock))
		page = page->next;
	spin_unlock(&reclaim.lock);
	return page;
}

/* ---- One node's pages ------------------------------------------------------------------------------------------ */

/* The slots of one node, and which of them are looked at. */
struct scan {
	struct blob *blob;
	pgoff_t index; /* tree index of the first */
	slot_t *slots;
	unsigned count;
	uint64_t candidates; /* a bit for each */
	unsigned looked_at;  /* how many these are */
	uint64_t accessed;
	bool shared; /* other blobs may see some of them */
};

static inline uint64_t bit(unsigned i)
{
	return (uint64_t)1 << i;
}

static uint8_t round_bit(const struct family *family)
{
	return family->round & 1 ? PAGE_ROUND : 0;
}

/* Does the page belong to nobody but blobs, and is it of the kind that is looked at now, and was not looked at in this round, through another node? */
static bool is_candidate(const struct family *family, slot_t slot, bool returned)
{
	const struct page *page = slot_page(slot);

	if (!slot_is_page(slot) || page->state != PAGE_BLOB || page->wired > 0)
		return false;
	if (returned || (page->age & PAGE_RETURNED))
		return returned && (page->age & PAGE_RETURNED);
	return page->refs == 1 || (page->age & PAGE_ROUND) != round_bit(family);
}

/* Sees what is in the node. */
static void scan_begin(struct scan *scan, bool returned)
{
	bool shared;

	FAMILY_ASSERT_LOCKED(scan->blob->family);
	scan->candidates = 0;
	scan->looked_at = 0;
	(void)tree_find(&scan->blob->tree, scan->index, &shared);
	for (unsigned i = 0; i < scan->count; i++) {
		if (!is_candidate(scan->blob->family, scan->slots[i], returned))
			continue;
		scan->candidates |= bit(i);
		scan->looked_at++;
		shared |= slot_page(scan->slots[i])->refs > 1;
	}
	scan->shared = shared;
}

struct harvest {
	pgoff_t first; /* of the blob, for bit 0 */
	uint64_t accessed;
};

/* A wiring has no translations. */
static void harvest_entry(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	struct harvest *harvest = context;
	vaddr_t start = entry->start + pages_to_bytes(first - entry->offset);

	if (entry->map)
		harvest->accessed |= pmap_harvest(entry->map->pmap, start, (unsigned)(end - first))
				     << (first - harvest->first);
}

/* What of the scan's pages was accessed through a blob's mappings; it has the scan's slots, or at least pages of `same`. Family locked. */
static uint64_t harvest_blob(const struct scan *scan, struct blob *blob, uint64_t same)
{
	pgoff_t first = scan->index > blob->base ? scan->index - blob->base : 0;
	pgoff_t end = scan->index + scan->count - blob->base;
	struct harvest harvest = {.first = first};

	FAMILY_ASSERT_LOCKED(blob->family);
	if (scan->index + scan->count <= blob->base || first >= blob->pages)
		return 0;
	if (end > blob->pages)
		end = blob->pages;
	blob_for_each_mapping(blob, first, end, harvest_entry, &harvest);
	return harvest.accessed << (first + blob->base - scan->index) & same;
}

/* The same of pages that a blob's overlays show of it: where they have none of their own, whose marks are not taken. Family locked. */
static uint64_t harvest_overlays(const struct scan *scan, struct blob *blob, uint64_t same)
{
	uint64_t accessed = 0;

	FAMILY_ASSERT_LOCKED(blob->family);
	for (struct blob *overlay = blob->overlays; overlay; overlay = overlay->next_overlay) {
		for (unsigned i = 0; overlay->mapping_count > 0 && i < scan->count; i++) {
			pgoff_t offset = scan->index + i - overlay->base;
			struct harvest harvest = {.first = offset};
			bool shared;
			slot_t *own;

			if (!(same & bit(i)) || offset >= overlay->pages)
				continue;
			own = tree_find(&overlay->tree, scan->index + i, &shared);
			if (own && *own != SLOT_EMPTY)
				continue;
			blob_for_each_mapping(overlay, offset, offset + 1, harvest_entry, &harvest);
			accessed |= (harvest.accessed & 1) << i;
		}
	}
	return accessed;
}

/* Which of the scan's candidates another blob of the family sees, too. Family locked. */
static uint64_t seen_by(const struct scan *scan, struct blob *blob)
{
	bool shared;
	slot_t *slots = tree_find(&blob->tree, scan->index, &shared);
	uint64_t same = 0;

	if (slots == scan->slots)
		return scan->candidates;
	/* A tree of one page has but its slot. */
	if (scan->count > 1 && blob->tree.height == 0)
		return 0;
	for (unsigned i = 0; slots && i < scan->count; i++) {
		if (slots[i] == scan->slots[i])
			same |= scan->candidates & bit(i);
	}
	return same;
}

static void scan_harvest(struct scan *scan)
{
	struct family *family = scan->blob->family;

	FAMILY_ASSERT_LOCKED(family);
	scan->accessed = 0;
	if (!scan->shared) {
		scan->accessed = harvest_blob(scan, scan->blob, scan->candidates) |
				 harvest_overlays(scan, scan->blob, scan->candidates);
		return;
	}
	for (struct blob *blob = family->blobs; blob; blob = blob->next) {
		uint64_t same = seen_by(scan, blob);

		scan->accessed |= harvest_blob(scan, blob, same) | harvest_overlays(scan, blob, same);
	}
}

/* ---- Giving up --------------------------------------------------------------------------------------------------- */

/* One search for pages. */
struct search {
	unsigned wanted;
	unsigned found;
	unsigned scanned;
	unsigned rounds;   /* that the hand has begun */
	bool cannot_write; /* a store took nothing more */
	bool whatever;     /* the list has no share any more */
	struct writing writing[TREE_FANOUT / PAGER_CLUSTER];
	unsigned writings; /* of them in use */
};
_Static_assert(TREE_FANOUT % PAGER_CLUSTER == 0, "a node's pages fill whole clusters");

/* Gives a page up, or lets it be written first. Family locked. */
static void search_take(struct search *search, struct blob *blob, struct page *page)
{
	struct writing *writing;

	if (page_location(page) != 0) {
		page_give_up(blob, page, 0);
		search->found++;
		return;
	}
	if (search->cannot_write)
		return;
	if (search->writings == 0 || search->writing[search->writings - 1].count == PAGER_CLUSTER) {
		writing = &search->writing[search->writings++];
		writing->blob = blob;
		writing->give_up = true;
		writing->count = 0;
	}
	writing_add(&search->writing[search->writings - 1], page);
}

/* Writes what was taken and is dirty. Family not locked; the blob is visited. */
static void search_write(struct search *search, struct pager *pager)
{
	for (unsigned i = 0; i < search->writings; i++) {
		unsigned count = search->writing[i].count;
		int done = writing_carry_out(&search->writing[i], pager);

		if (done > 0)
			search->found += (unsigned)done;
		if (done < (int)count)
			search->cannot_write = true;
	}
	reclaim.full = search->cannot_write;
	search->writings = 0;
}

/*
 * The pager that the blob's dirty pages may be written to, with a reference, and the blob is visited then; NULL: they may not. Asked once: the store for
 * all families may be another one a moment later, or none. Family locked.
 */
static struct pager *begin_writing(struct search *search, struct blob *blob)
{
	struct pager *pager;

	FAMILY_ASSERT_LOCKED(blob->family);
	if (search->cannot_write)
		return NULL;
	pager = family_choose_pager(blob->family, blob->pager);
	if (!pager || blob_try_visit(blob))
		return pager;
	pager_unref(pager);
	return NULL;
}

/* Gives up those pages of the scan that are in `victims`. Family locked, and unlocked when it returns. */
static void search_give_up(struct search *search, struct scan *scan, uint64_t victims)
{
	struct blob *blob = scan->blob;
	struct family *family = blob->family;
	struct pager *pager = begin_writing(search, blob);
	bool cannot = search->cannot_write;

	search->cannot_write |= !pager;
	for (; victims; victims &= victims - 1)
		search_take(search, blob, slot_page(scan->slots[__builtin_ctzll(victims)]));
	search->cannot_write = cannot;
	family_unlock(family);
	/* unlocked: the visit keeps the blob. */
	if (!pager)
		return;
	if (search->writings > 0)
		search_write(search, pager);
	pager_unref(pager);
	blob_leave(blob, scan->index > blob->base ? scan->index - blob->base : 0, 1);
}

/* ---- The hand ------------------------------------------------------------------------------------------------------ */

/* The next node that the hand comes to in the family, which is locked. False: it has been everywhere there. */
static bool hand_next(struct family *family, struct scan *scan)
{
	FAMILY_ASSERT_LOCKED(family);
	if (!family->hand_blob) {
		family->hand_blob = family->blobs;
		family->hand_index = 0;
		family->round++;
	}
	while (family->hand_blob) {
		struct blob *blob = family->hand_blob;

		scan->blob = blob;
		scan->index = family->hand_index;
		scan->slots = tree_scan(&blob->tree, &scan->index, family->round, &scan->count);
		if (scan->slots) {
			family->hand_index = scan->index + scan->count;
			return true;
		}
		family->hand_blob = blob->next;
		family->hand_index = 0;
	}
	return false;
}

/* Lets the candidates grow older, or young; those that are `old` enough are returned. Family locked. */
static uint64_t grow_older(const struct scan *scan, unsigned old)
{
	uint64_t victims = 0;

	for (uint64_t rest = scan->candidates; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctzll(rest);
		struct page *page = slot_page(scan->slots[i]);
		unsigned idle = page->age & PAGE_IDLE_MASK;

		if (scan->accessed & bit(i))
			idle = 0;
		else if (idle < PAGE_IDLE_MASK)
			idle++;
		page->age = (uint8_t)(idle | (page->age & PAGE_HELD) | round_bit(scan->blob->family));
		if (idle >= old)
			victims |= bit(i);
	}
	return victims;
}

/* Lets the hand look at one node, if there is one, and gives up what is `old` enough there. */
static void hand_move(struct search *search, unsigned old)
{
	struct family *family = family_lock_at_hand();
	struct scan scan;
	uint64_t victims;

	if (!family) {
		search->rounds++;
		return;
	}
	if (!hand_next(family, &scan)) {
		family_unlock(family);
		search->rounds += family_advance(family);
		return;
	}
	scan_begin(&scan, false);
	victims = 0;
	if (scan.candidates) {
		scan_harvest(&scan);
		victims = grow_older(&scan, old);
	}
	search->scanned += scan.looked_at;
	if (victims)
		search_give_up(search, &scan, victims);
	else
		family_unlock(family);
}

/* ---- From the list --------------------------------------------------------------------------------------------------- */

/* How many slots beside `place`, in one direction and at most `most`, have pages that are in the list, too, and as far. */
static unsigned neighbours(const slot_t *place, int direction, unsigned most, uint8_t age)
{
	unsigned count = 0;

	while (count < most) {
		const slot_t *next = place + direction * (int)(count + 1);

		if (!slot_is_page(*next) || slot_page(*next)->state != PAGE_BLOB ||
		    slot_page(*next)->age != age)
			break;
		count++;
	}
	return count;
}

/*
 * The blob whose tree has the page, and the slots around it in its node with pages that are as far: they came back with it. False: no tree has it any more, and
 * only somebody who copies from it holds it. Family locked.
 */
static bool find_scan(struct page *page, struct scan *scan)
{
	struct family *family = page->owner;
	unsigned before, after, position;
	slot_t *place = NULL;

	FAMILY_ASSERT_LOCKED(family);
	for (scan->blob = family->blobs;; scan->blob = scan->blob->next) {
		bool shared;

		if (!scan->blob)
			return false;
		place = tree_find(&scan->blob->tree, page->index, &shared);
		if (place && *place == slot_of_page(page))
			break;
	}
	scan->index = page->index;
	scan->slots = place;
	scan->count = 1;
	if (scan->blob->tree.height == 0)
		return true;
	position = page->index % TREE_FANOUT;
	before = neighbours(place, -1, position, page->age);
	after = neighbours(place, 1, TREE_FANOUT - 1 - position, page->age);
	scan->index -= before;
	scan->slots -= before;
	scan->count += before + after;
	return true;
}

/* Pages of the list are seen for the first time, or leave it. What goes is returned. Family locked. */
static uint64_t judge_returned(const struct scan *scan, bool seen)
{
	uint64_t victims = 0;

	for (uint64_t rest = scan->candidates; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctzll(rest);
		struct page *page = slot_page(scan->slots[i]);
		bool accessed = scan->accessed & bit(i);

		if (!accessed) {
			victims |= bit(i);
		} else if (seen) {
			page_returned_remove(page);
			reclaim.promoted++;
		} else {
			returned_again(page);
		}
	}
	return victims;
}

/* Looks at the first page of the list, and its neighbours that came back with it. False: the list is empty, or out of reach. */
static bool take_returned(struct search *search)
{
	struct page *page = returned_first();
	struct scan scan;
	uint64_t victims;

	if (!page)
		return false;
	scan.candidates = 0;
	if (find_scan(page, &scan))
		scan_begin(&scan, true);
	/* What is in nobody's reach any more, or was wired since, is not for the list. */
	if (!scan.candidates || !(scan.candidates & bit((unsigned)(page->index - scan.index)))) {
		struct family *family = page->owner;

		page_returned_remove(page);
		family_unlock(family);
		return true;
	}
	scan_harvest(&scan);
	search->scanned += scan.looked_at;
	victims = judge_returned(&scan, page->age & PAGE_SEEN);
	search_give_up(search, &scan, victims);
	return true;
}

/* Has the list more than its share, or, where there is nothing else, than what has to stay? */
static bool returned_is_long(const struct search *search)
{
	uint64_t share = page_ram_count() / RETURNED_SHARE;

	if (share < RETURNED_LEAST)
		share = RETURNED_LEAST;
	if (search->whatever || reclaim.full)
		share = reclaim.went_last < LAST_MOST ? 0 : LAST_PAGES;
	return reclaim.count > share;
}

/* ---- What is said to be cold --------------------------------------------------------------------------------------------- */

/* Of a node's slots, those that are before `end`. Others may use what they share. Family locked. */
static void cool_node(struct scan *scan)
{
	bool shared;

	FAMILY_ASSERT_LOCKED(scan->blob->family);
	scan->candidates = 0;
	(void)tree_find(&scan->blob->tree, scan->index, &shared);
	for (unsigned i = 0; !shared && i < scan->count; i++) {
		struct page *page = slot_page(scan->slots[i]);

		if (slot_is_page(scan->slots[i]) && page->state == PAGE_BLOB && page->wired == 0 &&
		    page->refs == 1)
			scan->candidates |= bit(i);
	}
	if (scan->candidates)
		(void)harvest_blob(scan, scan->blob, scan->candidates);
	for (uint64_t rest = scan->candidates; rest; rest &= rest - 1) {
		struct page *page = slot_page(scan->slots[__builtin_ctzll(rest)]);

		page->age |= page->age & PAGE_RETURNED ? PAGE_SEEN : PAGE_IDLE_MASK;
	}
}

void blob_cool(struct blob *blob, pgoff_t offset, pgoff_t pages)
{
	struct scan scan = {.blob = blob, .index = blob->base + offset};
	pgoff_t end = scan.index + pages;

	DEBUG_ASSERT(!blob_check_window(blob, offset, pages));
	while (scan.index < end) {
		pgoff_t rest;

		spin_lock(&blob->family->lock);
		scan.index = tree_next(&blob->tree, scan.index, end, &scan.slots);
		rest = end - scan.index;
		scan.count = TREE_FANOUT - scan.index % TREE_FANOUT;
		if (blob->tree.height == 0)
			scan.count = 1;
		if (scan.count > rest)
			scan.count = (unsigned)rest;
		if (rest > 0)
			cool_node(&scan);
		family_unlock(blob->family);
		scan.index += scan.count;
	}
}

/* ---- Searching ----------------------------------------------------------------------------------------------------------- */

/* Gives up about as many pages as are wanted. */
static void search_run(struct search *search)
{
	unsigned allowance = 0; /* pages that the hand may look at for what went from the list */

	while (search->found < search->wanted && search->rounds <= ROUNDS_MAX) {
		bool last = reclaim.count <= LAST_PAGES;
		unsigned found = search->found;

		env_breathe();
		/* The store takes no more, and only what is dirty is left: looking at all of it would change nothing. */
		if (search->cannot_write && vm_clean_pages() == 0)
			break;
		if (!returned_is_long(search) || !take_returned(search)) {
			hand_move(search, IDLE_AGE);
			if (search->found > found)
				reclaim.went_last = 0;
			/* It has been everywhere and found nothing: then the list's share, too. */
			search->whatever |= search->rounds > 1 && search->found == 0;
			continue;
		}
		reclaim.went_last = last ? reclaim.went_last + search->found - found : 0;
		allowance += HAND_PAGES * (search->found - found);
		if (allowance >= TREE_FANOUT) {
			allowance -= TREE_FANOUT;
			hand_move(search, STALE_AGE);
		}
	}
	reclaim.scanned += search->scanned;
	reclaim.given_up += search->found;
}

unsigned vm_reclaim(unsigned wanted)
{
	struct search search = {.wanted = wanted};

	env_stall_begin();
	search_run(&search);
	env_stall_end();
	return search.found;
}

bool vm_make_room(void)
{
	struct search search = {.wanted = DIRECT_PAGES};

	if (!reclaim.on)
		return false;
	env_stall_begin();
	search_run(&search);
	env_stall_end();
	reclaim.direct++;
	reclaim.direct_scanned += search.scanned;
	reclaim.direct_given_up += search.found;
	reclaim.failed += search.found == 0;
	return search.found > 0;
}

bool vm_may_make_room(void)
{
	return reclaim.on;
}

bool vm_memory_is_low(void)
{
	return reclaim.on && page_spare_count() < reclaim.enough;
}

uint64_t vm_kept_free(void)
{
	uint64_t usual = page_ram_count() / KEPT_SHARE;

	if (reclaim.wanted)
		return reclaim.wanted;
	if (!reclaim.on)
		return 0;
	return usual < KEPT_LEAST ? KEPT_LEAST : usual > KEPT_MAX ? KEPT_MAX : usual;
}

/* Paging out begins half as much above what is kept, and ends with twice as much; where little is left for blobs, a part of that is so much. */
static void set_watermarks(void)
{
	uint64_t kept = vm_kept_free(), more = (page_ram_count() - kept) / MORE_SHARE;

	if (more > kept)
		more = kept;
	reclaim.enough = kept + more;
	page_set_watermarks(kept, reclaim.on ? kept + more / 2 : 0);
}

int vm_keep_free(uint64_t pages)
{
	if (pages > page_ram_count() / 2)
		return -EINVAL;
	reclaim.wanted = pages;
	set_watermarks();
	return 0;
}

void vm_reclaim_enable(bool on)
{
	reclaim.on = on;
	reclaim.full = false;
	set_watermarks();
}

void vm_reclaim_stats(struct reclaim_stats *out)
{
	*out = (struct reclaim_stats){
		.scanned = reclaim.scanned,
		.given_up = reclaim.given_up,
		.promoted = reclaim.promoted,
		.returned = reclaim.returned,
		.direct = reclaim.direct,
		.direct_scanned = reclaim.direct_scanned,
		.direct_given_up = reclaim.direct_given_up,
		.failed = reclaim.failed,
	};
}
