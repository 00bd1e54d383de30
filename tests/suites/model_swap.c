/*
 * The model's disks: in some streams pages go to swap, which is on two of them, and reclaim chooses pages, too.
 *
 * Disks come and go, are full, fail, do not answer, and lie. A disk that lies has pages that nobody can have any more: the model looks on the disk
 * which they are, after a fault and never else. To whoever needs one it is an error, and to nobody else. That pages are lost otherwise, or that
 * something else is delivered, does not agree with the model.
 */
#include "disk.h"
#include "model_internal.h"

#include "../../kern/vm/swap_internal.h"

#include <asm/errno.h>

#define DISKS       2
#define MOST_FAULTS 3  /* of one operation; as often as that a write is tried */
#define STEPS_KEPT  16 /* until a disk answers, on average */
#define MOST_REFS   (MODEL_BLOBS + 1)

static const unsigned places[DISKS] = {260, 70};
static struct disk disks[DISKS];
static bool on[DISKS];

/* ---- Faults ------------------------------------------------------------------------------------------ */

/* More often those that a disk admits. */
static const enum disk_fault faults[] = {DISK_FAILS, DISK_FAILS, DISK_FAILS, DISK_SHORT,      DISK_SHORT,
					 DISK_KEEPS, DISK_KEEPS, DISK_LOSES, DISK_MISDIRECTS, DISK_FLIPS};

static enum disk_fault chosen_fault(void)
{
	return faults[model_more(80) % (sizeof(faults) / sizeof(faults[0]))];
}

void disks_fail_io(unsigned after)
{
	enum disk_fault fault = chosen_fault();
	unsigned which = model_more(81) % 4;
	unsigned count = 1 + model_more(82) % MOST_FAULTS;

	/* What a disk can keep is limited. */
	disks_let_go();
	for (unsigned d = 0; m.swaps && d < DISKS; d++)
		disk_fail(&disks[d], fault, which != 0, which != 1, after, count);
}

bool disks_fail_stop(bool *excuse)
{
	enum disk_fault fault = chosen_fault();
	unsigned failed = 0;

	for (unsigned d = 0; m.swaps && d < DISKS; d++) {
		failed += disks[d].faults;
		disk_fail(&disks[d], DISK_GOOD, false, false, 0, 0);
	}
	/* What failed once is tried again; unless it is said to be good, and is not. */
	*excuse = failed > 1 ||
		  (failed == 1 && fault != DISK_FAILS && fault != DISK_SHORT && fault != DISK_KEEPS);
	return failed > 0;
}

void disks_let_go(void)
{
	for (unsigned d = 0; m.swaps && d < DISKS; d++)
		disk_let_go(&disks[d]);
}

void disks_begin_step(void)
{
	if (!m.swaps || disks[0].kept_count + disks[1].kept_count == 0)
		return;
	if (model_more(83) % STEPS_KEPT == 0)
		disks_let_go();
	/* Who writes to a page gets a copy, if it is one that a disk has. */
	model_note_slots();
}

unsigned disks_keep(const struct page *page)
{
	unsigned count = 0;

	for (unsigned d = 0; m.swaps && d < DISKS; d++) {
		for (unsigned i = 0; i < disks[d].kept_count; i++)
			count += disks[d].kept[i] == page;
		for (unsigned i = 0; i < disks[d].under_way_count; i++)
			count += disks[d].under_way[i] == page;
	}
	return count;
}

unsigned disks_keep_alone(void)
{
	unsigned count = 0;

	for (unsigned d = 0; m.swaps && d < DISKS; d++) {
		for (unsigned i = 0; i < disks[d].kept_count; i++) {
			const struct page *page = disks[d].kept[i];
			bool again = false;

			for (unsigned before = 0; before < i; before++)
				again |= disks[d].kept[before] == page;
			for (unsigned before = 0; d > 0 && before < disks[0].kept_count; before++)
				again |= disks[0].kept[before] == page;
			count += !again && page->refs == disks_keep(page);
		}
	}
	return count;
}

/* ---- What is on the disks ------------------------------------------------------------------------------- */

bool is_in_swap(const struct model_blob *blob)
{
	return blob->blob->family->store == &swap.pager;
}

/* What a disk has at a location. */
static const void *bytes_at(uint32_t location)
{
	uint64_t place;
	struct swap_area *area = swap_area_of(location, &place);

	return page_data(((struct disk *)area->device)->pages[place]);
}

/* Where the page is in swap; 0: nowhere, or not there. */
static uint32_t location_of(const struct model_blob *blob, unsigned i)
{
	slot_t slot;

	if (blob->page[i] == 0 || kind_is_fixed(blob->kind) || !is_in_swap(blob))
		return 0;
	slot = blob_slot(blob, i);
	if (slot_is_paged_out(slot))
		return slot_location(slot);
	return slot_is_page(slot) && slot_page(slot)->state == PAGE_BLOB ? page_location(slot_page(slot)) : 0;
}

bool page_is_zeroes(unsigned page)
{
	const uint64_t *words = (const uint64_t *)page_bytes(page);
	unsigned i = 0;

	while (i < PAGE_SIZE / sizeof(*words) && words[i] == 0)
		i++;
	return i == PAGE_SIZE / sizeof(*words);
}

/* Is what swap has of the page what it should have? */
static bool is_good(const struct model_blob *blob, unsigned i)
{
	uint32_t location = location_of(blob, i);

	if (location == 0)
		return true;
	if (location == LOCATION_ZERO)
		return page_is_zeroes(blob->page[i]);
	return memcmp(bytes_at(location), page_bytes(blob->page[i]), PAGE_SIZE) == 0;
}

void model_find_lost(void)
{
	m.lost = 0;
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && i < blob->pages; i++) {
			m.page[blob->page[i]].lost = !is_good(blob, i);
			m.lost += m.page[blob->page[i]].lost;
		}
	}
}

bool blob_has_lost(const struct model_blob *blob, unsigned first, unsigned end)
{
	for (unsigned i = first; m.lost && i < end; i++) {
		const struct model_page *page = &m.page[blob->page[i]];

		if (page->lost && (page->state == MPAGE_OUT || page->located))
			return true;
	}
	return false;
}

bool check_swapped(const struct model_blob *blob, unsigned i)
{
	return !m.swaps || m.page[blob->page[i]].lost || AGREE(is_good(blob, i));
}

/* Who refers to each place: slots of trees, and pages that are as they are there. */
static struct {
	const void *who[MOST_REFS];
	unsigned count;
} refs[DISKS][DISK_MAX_PAGES];

static void note_reference(const struct model_blob *blob, unsigned i)
{
	uint32_t location = location_of(blob, i);
	const void *who;
	uint64_t place;
	unsigned d, r;
	bool shared;

	if (location == 0 || location == LOCATION_ZERO)
		return;
	d = swap_area_of(location, &place)->device == &disks[1].device;
	who = tree_find(&blob->blob->tree, blob->index + i, &shared);
	if (slot_is_page(*(const slot_t *)who))
		who = slot_page(*(const slot_t *)who);
	for (r = 0; r < refs[d][place].count && refs[d][place].who[r] != who; r++)
		;
	if (r == refs[d][place].count && AGREE(r < MOST_REFS))
		refs[d][place].who[refs[d][place].count++] = who;
}

static void check_area(const struct swap_area *area, unsigned d)
{
	uint64_t used = 0, bad = 0;

	for (uint64_t place = 1; place < area->places && !m.wrong; place++) {
		const struct swap_slot *slot = area_slot(area, place);
		bool damaged = bitset_has(&area->damaged, place);

		AGREE_EQ(slot->refs, refs[d][place].count);
		AGREE_EQ(bitset_has(&area->free, place), slot->refs == 0 && !damaged);
		used += slot->refs > 0;
		bad += damaged;
	}
	AGREE_EQ(area->used, used);
	AGREE_EQ(area->bad, bad);
}

void check_swap(void)
{
	if (!m.swaps)
		return;
	memset(refs, 0, sizeof(refs));
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		for (unsigned i = 0; m.blob[b].blob && i < m.blob[b].pages; i++)
			note_reference(&m.blob[b], i);
	}
	for (unsigned a = 0; a < SWAP_MAX_DEVICES && !m.wrong; a++) {
		for (unsigned d = 0; d < DISKS; d++) {
			if (swap.areas[a].device == &disks[d].device)
				check_area(&swap.areas[a], d);
		}
	}
}

/* ---- Room ------------------------------------------------------------------------------------------------ */

static struct swap_stats stats(void)
{
	struct swap_stats now;

	swap_stats(&now);
	return now;
}

unsigned swap_used(void)
{
	return m.swaps ? (unsigned)stats().used : 0;
}

unsigned swap_room(void)
{
	struct swap_stats now = stats();

	/* What fails takes places, too. */
	if (m.op->fail != 0)
		return 0;
	return now.pages > now.used + now.bad ? (unsigned)(now.pages - now.used - now.bad) : 0;
}

/* ---- Beginning and end ----------------------------------------------------------------------------------- */

/* Pages that a disk failed to write are held from then on. */
static void note_refused(struct page *const *pages, unsigned count)
{
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && !kind_is_fixed(blob->kind) && i < blob->pages; i++) {
			slot_t slot = blob->page[i] != 0 ? blob_slot(blob, i) : SLOT_EMPTY;

			for (unsigned n = 0; slot_is_page(slot) && n < count; n++)
				m.page[blob->page[i]].held |= slot_page(slot) == pages[n];
		}
	}
}

bool disks_open(void)
{
	for (unsigned d = 0; d < DISKS; d++) {
		if (!disk_open(&disks[d], d ? "second disk" : "first disk", places[d]))
			return false;
		disks[d].refused = note_refused;
		on[d] = swap_on(&disks[d].device, 0) == 0;
		if (!on[d])
			return false;
	}
	return true;
}

void disks_close(void)
{
	AGREE_EQ(swap_used(), 0);
	for (unsigned d = 0; d < DISKS; d++) {
		AGREE_EQ(swap_off(&disks[d].device), on[d] ? 0 : -EINVAL);
		disk_close(&disks[d]);
	}
}

/* ---- Operations ------------------------------------------------------------------------------------------ */

/* Who looks through a blob that nobody has any more lets go of what is only in reach through it. */
static void adopt_visited(void)
{
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && i < blob->pages; i++) {
			if (blob->page[i] != 0 && blob_slot(blob, i) == SLOT_EMPTY)
				model_trim(blob, i);
		}
	}
	model_adopt_all();
}

/* While a page is written: the kernel writes to it, or a program does; it is forgotten; or written out by somebody else as well. */
#define MEANWHILE 4

static void write_meanwhile(struct model_blob *blob, unsigned i)
{
	uint64_t word = m.steps << 16 | m.op->how;
	unsigned at = m.op->at[1] % (PAGE_SIZE / sizeof(word)) * sizeof(word);

	SAY("# meanwhile: blob_write(b%u) to page %u", blob_number(blob), i);
	if (!AGREE_EQ(blob_write(blob->blob, pages_to_bytes(blob->low + i) + at, &word, sizeof(word)), 0))
		return;
	model_obtain(blob, i, true);
	memcpy(page_bytes(blob->page[i]) + at, &word, sizeof(word));
}

static void forget_meanwhile(struct model_blob *blob, unsigned i)
{
	int error = blob_wired_at(blob, i) ? -EBUSY : 0;

	SAY("# meanwhile: blob_decommit(b%u) of page %u", blob_number(blob), i);
	if (AGREE_EQ(blob_decommit(blob->blob, blob->low + i, 1), error) && !error)
		model_forget(blob, i);
}

static void sync_meanwhile(const struct model_blob *blob, unsigned i)
{
	int error = blob_sync(blob->blob, blob->low + i, 1);

	SAY("# meanwhile: blob_sync(b%u) of page %u = %d", blob_number(blob), i, error);
	AGREE(error == 0 || (error == -ENOSPC && swap_room() == 0));
}

static void use_meanwhile(struct model_blob *blob, unsigned i)
{
	switch (model_odd(MEANWHILE)) {
	case 1:
		write_meanwhile(blob, i);
		break;
	case 2:
		if (!model_store_to(blob, i))
			write_meanwhile(blob, i);
		break;
	case 3:
		forget_meanwhile(blob, i);
		break;
	default:
		sync_meanwhile(blob, i);
	}
}

/* Uses one of the pages that are under way to a disk, through one of the blobs that have it. */
static void meanwhile(void)
{
	const struct disk *disk = disks[0].under_way_count ? &disks[0] : &disks[1];
	struct page *page = disk->under_way[m.op->at[0] % disk->under_way_count];

	/* Since the call began pages have gone; and the second disk may have what was made while the first was at work. */
	model_adopt_all();
	for (unsigned n = 0; n < MODEL_BLOBS; n++) {
		struct model_blob *blob = &m.blob[(m.op->who[0] + n) % MODEL_BLOBS];

		for (unsigned i = 0; blob->blob && !kind_is_fixed(blob->kind) && i < blob->pages; i++) {
			if (blob->page[i] != 0 && blob_slot(blob, i) == slot_of_page(page)) {
				use_meanwhile(blob, i);
				return;
			}
		}
	}
}

static void begin_meanwhile(void (*what)(void))
{
	for (unsigned d = 0; d < DISKS; d++)
		disks[d].meanwhile = what;
}

void do_reclaim(void)
{
	unsigned pages = 1 + m.op->size % 64;

	if (!m.swaps)
		return;
	SAY("# vm_reclaim(%u)", pages);
	model_note_slots();
	/* What may fail besides is enough in other streams. */
	if (m.op->fail == 0 && model_odd(MEANWHILE))
		begin_meanwhile(meanwhile);
	model_call();
	vm_reclaim(pages);
	model_end_call();
	begin_meanwhile(NULL);
	adopt_visited();
}

/* Is a page on the disk that cannot be brought back? `clean`: or that is resident, but could not if it were given up. */
static bool has_lost(unsigned d, bool clean)
{
	for (unsigned b = 0; b < MODEL_BLOBS && m.lost; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && i < blob->pages; i++) {
			const struct model_page *page = &m.page[blob->page[i]];
			uint64_t place;

			if ((page->state == MPAGE_OUT || (clean && page->located)) && page->lost &&
			    swap_area_of(location_of(blob, i), &place)->device == &disks[d].device)
				return true;
		}
	}
	return false;
}

static void go_off(unsigned d)
{
	int error = !on[d] ? -EINVAL : has_lost(d, false) ? -EIO : 0, other = error, said;
	bool may_lose = !error && has_lost(d, true);

	SAY("# swap_off(disk %u)", d);
	model_note_slots();
	model_call();
	said = swap_off(&disks[d].device);
	model_end_call();
	/* A disk that lies a second time may give what it had put elsewhere the first time. */
	if (error == -EIO && m.fired)
		other = 0;
	/* Where an allocation failed, room was made for what is on the disk, perhaps of a page that cannot be had again. */
	if (may_lose && m.fired && m.excuse == -ENOMEM)
		other = -EIO;
	if (model_result_or(said, error, other))
		on[d] = false;
	adopt_visited();
}

static void go_on(unsigned d)
{
	int priority = (int)(m.op->how / 2 % 2);

	SAY("# swap_on(disk %u, %d)", d, priority);
	model_call();
	if (model_result(swap_on(&disks[d].device, priority), on[d] ? -EBUSY : 0))
		on[d] = true;
}

void do_swap(void)
{
	unsigned d = m.op->who[0] % DISKS;

	if (!m.swaps)
		return;
	if (m.op->how % 2)
		go_on(d);
	else
		go_off(d);
	m.store_set = on[0] || on[1];
}
