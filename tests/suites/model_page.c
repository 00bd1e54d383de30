/*
 * The model's pages: who shares which, what they contain, and what the VM is free to do with them.
 *
 * Where a page of zeros or of a pager is made for one blob, its clones may come to share it or not, as it is
 * convenient to the VM. The model looks who does, and holds it to that: from then on a write has to copy. What stands in
 * trees is looked at for that, and for nothing else. What operations mean is in model_blob.c and its neighbours.
 */
#include "model_internal.h"

/* ---- Identities ---------------------------------------------------------------------------------- */

uint8_t *page_bytes(unsigned page)
{
	return (uint8_t *)page_data(m.memory) + pages_to_bytes(page);
}

unsigned page_make(enum model_state state)
{
	unsigned page = 1;

	while (page < MODEL_PAGES && m.page[page].state != MPAGE_UNUSED)
		page++;
	ASSERT(page < MODEL_PAGES);
	m.page[page] = (struct model_page){.state = state};
	if (page >= m.pages_end)
		m.pages_end = page + 1;
	return page;
}

void page_hold(unsigned page)
{
	m.page[page].holds++;
}

void page_drop(unsigned page)
{
	if (page != 0 && --m.page[page].holds == 0)
		m.page[page].state = MPAGE_UNUSED;
}

/* Makes the page what page `i` of a blob is. */
static void blob_set(struct model_blob *blob, unsigned i, unsigned page)
{
	if (page != 0)
		page_hold(page);
	page_drop(blob->page[i]);
	blob->page[i] = page;
}

/* ---- Contents -------------------------------------------------------------------------------------- */

static bool pager_has(const struct model_blob *blob, unsigned i)
{
	return kind_has_pager(blob->kind) && pager_has_index(blob->kind, blob->index + i);
}

static void absent_contents(const struct model_blob *blob, unsigned i, uint8_t *to)
{
	if (pager_has(blob, i))
		pager_contents(blob->index + i, to);
	else
		memset(to, 0, PAGE_SIZE);
}

const uint8_t *blob_bytes(const struct model_blob *blob, unsigned i)
{
	/* Page 0 is nobody's: room for what is absent. */
	if (blob->page[i] == 0)
		absent_contents(blob, i, page_bytes(0));
	return page_bytes(blob->page[i]);
}

bool blob_is_zero(const struct model_blob *blob, unsigned i)
{
	return blob->page[i] == 0 && !kind_is_fixed(blob->kind) && !pager_has(blob, i);
}

slot_t blob_slot(const struct model_blob *blob, unsigned i)
{
	bool shared;
	slot_t *place, slot;

	spin_lock(&blob->blob->family->lock);
	place = tree_find(&blob->blob->tree, blob->index + i, &shared);
	slot = place ? *place : SLOT_EMPTY;
	spin_unlock(&blob->blob->family->lock);
	return slot;
}

static unsigned page_of_slot(uint32_t family, slot_t slot);
static enum model_state state_of(slot_t slot);

/* ---- What reads and writes do to pages --------------------------------------------------------------- */

/* The blob's page at a tree index, or BLOB_PAGES. */
static unsigned page_at_index(const struct model_blob *blob, pgoff_t index)
{
	pgoff_t i = index - blob->index;

	return i < blob->pages ? (unsigned)i : BLOB_PAGES;
}

/* The page of the family that stands for a slot, and contains the same as another; made if there is none. */
static unsigned page_like(uint32_t family, slot_t slot, unsigned other)
{
	unsigned page = page_of_slot(family, slot);

	if (page != 0 && memcmp(page_bytes(page), page_bytes(other), PAGE_SIZE) == 0)
		return page;
	page = page_make(state_of(slot));
	memcpy(page_bytes(page), page_bytes(other), PAGE_SIZE);
	m.page[page].slot = slot;
	return page;
}

/*
 * Clones that had nothing at the place either, and have now, have the page; of which the one it was made for may have got a copy, if
 * it was to be written: then it is what the first of the others has. Who has another one got it later in the same call.
 */
static void adopt_sharers(const struct model_blob *filled, unsigned i, unsigned page, bool write)
{
	slot_t made = write ? SLOT_EMPTY : blob_slot(filled, i);

	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		struct model_blob *blob = &m.blob[b];
		unsigned at = page_at_index(blob, filled->index + i);
		slot_t slot;

		if (!blob->blob || blob->family != filled->family || at == BLOB_PAGES || blob == filled ||
		    blob->page[at] != 0)
			continue;
		slot = blob_slot(blob, at);
		if (slot == SLOT_EMPTY)
			continue;
		if (made == SLOT_EMPTY)
			made = slot;
		blob_set(blob, at, slot == made ? page : page_like(filled->family, slot, page));
	}
}

static void fill_absent(struct model_blob *blob, unsigned i, bool write)
{
	bool lent = blob->kind == KIND_LENDING && pager_has(blob, i);
	unsigned page = page_make(lent ? MPAGE_LENT : MPAGE_MEMORY);

	absent_contents(blob, i, page_bytes(page));
	blob_set(blob, i, page);
	if (!write || kind_has_pager(blob->kind))
		adopt_sharers(blob, i, page, write);
}

/* Has a disk the page, too, which did not answer? */
static bool is_kept(const struct model_page *page)
{
	return slot_is_page(page->slot) && disks_keep(slot_page(page->slot)) > 0;
}

/*
 * In swap all zeroes are in the same place: a page of them that comes back is from then on that of all blobs of the family that have others
 * there.
 */
static void merge_zeroes(const struct model_blob *filled, unsigned i)
{
	unsigned page = filled->page[i];

	if (!is_in_swap(filled) || !page_is_zeroes(page))
		return;
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		struct model_blob *blob = &m.blob[b];
		unsigned at = page_at_index(blob, filled->index + i);

		if (blob->blob && blob->family == filled->family && at != BLOB_PAGES &&
		    m.page[blob->page[at]].state == MPAGE_OUT && page_is_zeroes(blob->page[at]))
			blob_set(blob, at, page);
	}
}

enum fault_case model_obtain(struct model_blob *blob, unsigned i, bool write)
{
	struct model_page *page;

	model_touch(blob, i, i + 1);
	if (kind_is_fixed(blob->kind))
		return FAULT_RESIDENT;
	if (blob->page[i] == 0) {
		bool paged = kind_has_pager(blob->kind);

		fill_absent(blob, i, write);
		if (!paged)
			return FAULT_ZERO_FILL;
	}
	page = &m.page[blob->page[i]];
	if (page->state == MPAGE_OUT) {
		page->state = MPAGE_MEMORY;
		page->slot = SLOT_EMPTY;
		merge_zeroes(blob, i);
	}
	if (!write)
		return FAULT_RESIDENT;
	if (page->holds > 1 || page->state == MPAGE_LENT || is_kept(page)) {
		unsigned copy = page_make(MPAGE_MEMORY);

		memcpy(page_bytes(copy), page_bytes(blob->page[i]), PAGE_SIZE);
		blob_set(blob, i, copy);
		return FAULT_COPY;
	}
	page->located = page->lost = false;
	return FAULT_UPGRADE;
}

void model_forget(struct model_blob *blob, unsigned i)
{
	blob_set(blob, i, 0);
	model_touch(blob, i, i + 1);
}

/* ---- Wiring -------------------------------------------------------------------------------------------- */

static unsigned wirings_at(const struct model_blob *blob, unsigned i)
{
	unsigned count = 0;

	for (unsigned w = 0; w <= MODEL_WIRINGS && blob->wirings; w++) {
		const struct model_wiring *wiring = &m.wiring[w];

		count += wiring->wiring && &m.blob[wiring->blob] == blob && i >= wiring->first &&
			 i < wiring->first + wiring->pages;
	}
	for (unsigned r = 0; r < MODEL_ROOTS && blob->cells; r++) {
		for (unsigned c = 0; m.root[r].map && c < MODEL_CELLS; c++) {
			const struct model_cell *cell = &m.root[r].cell[c];

			count += cell->wired && &m.blob[cell->blob] == blob && cell->offset == i;
		}
	}
	return count;
}

bool blob_wired_at(const struct model_blob *blob, unsigned i)
{
	return wirings_at(blob, i) > 0;
}

void count_wirings(uint16_t counts[MODEL_PAGES])
{
	memset(counts, 0, MODEL_PAGES * sizeof(counts[0]));
	for (unsigned w = 0; w < MODEL_WIRINGS; w++) {
		const struct model_wiring *wiring = &m.wiring[w];

		for (unsigned i = 0; wiring->wiring && i < wiring->pages; i++)
			counts[m.blob[wiring->blob].page[wiring->first + i]]++;
	}
	for (unsigned r = 0; r < MODEL_ROOTS; r++) {
		for (unsigned c = 0; m.root[r].map && c < MODEL_CELLS; c++) {
			const struct model_cell *cell = &m.root[r].cell[c];

			if (cell->wired)
				counts[m.blob[cell->blob].page[cell->offset]]++;
		}
	}
}

bool page_wired(unsigned page)
{
	static uint16_t counts[MODEL_PAGES];

	count_wirings(counts);
	return counts[page] > 0;
}

/* ---- What was done without being asked for ------------------------------------------------------------------ */

/* The page of the family that stands for a slot; 0: none. */
static unsigned page_of_slot(uint32_t family, slot_t slot)
{
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		/* Zeroes in swap are all in the same place, and not one page. */
		if (slot == slot_of_location(LOCATION_ZERO))
			return 0;
		for (unsigned i = 0; blob->blob && blob->family == family && i < blob->pages; i++) {
			if (blob->page[i] != 0 && m.page[blob->page[i]].slot == slot)
				return blob->page[i];
		}
	}
	return 0;
}

/* Have all blobs that share the page this slot for it? */
static bool is_everywhere(uint32_t family, unsigned page, slot_t slot)
{
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && blob->family == family && i < blob->pages; i++) {
			if (blob->page[i] == page && blob_slot(blob, i) != slot)
				return false;
		}
	}
	return true;
}

static enum model_state state_of(slot_t slot)
{
	if (slot_is_paged_out(slot))
		return MPAGE_OUT;
	return slot_page(slot)->state == PAGE_BLOB ? MPAGE_MEMORY : MPAGE_LENT;
}

bool copy_contents(const struct model_blob *blob, unsigned i, slot_t slot, uint8_t *to)
{
	struct page_wanted wanted = {blob->index + i, slot_location(slot), blob->blob->family->number};
	struct pager *store = blob->blob->family->store;
	struct page *page = slot_page(slot);

	if (slot_is_paged_out(slot) && store->ops->get_pages(store, &wanted, 1, &page) != 1)
		return false;
	memcpy(to, page_data(page), PAGE_SIZE);
	if (slot_is_paged_out(slot))
		page_free(page);
	return true;
}

/* Can nobody come by the page any more? Then it may be given up, and be there again as at first when others come to have it. */
static bool is_out_of_reach(const struct model_blob *blob, unsigned i)
{
	return !blob->held && !blob->segments && !blob_shown_at(blob, i);
}

/* After a failure on the way: was it given up, and is there again? */
static bool is_there_anew(const struct model_blob *blob, unsigned i, slot_t slot)
{
	static uint8_t contents[PAGE_SIZE];

	if (!m.fired || blob->page[i] == 0 || !is_out_of_reach(blob, i) ||
	    !copy_contents(blob, i, slot, contents) ||
	    memcmp(contents, page_bytes(blob->page[i]), PAGE_SIZE) == 0)
		return false;
	absent_contents(blob, i, page_bytes(0));
	return AGREE(memcmp(contents, page_bytes(0), PAGE_SIZE) == 0);
}

/* What the VM has there now, as a page of the model whose contents are those that the blob had. */
static void adopt_slot(struct model_blob *blob, unsigned i, slot_t slot)
{
	unsigned known, page;
	const uint8_t *bytes;

	if (is_there_anew(blob, i, slot))
		blob_set(blob, i, 0);
	known = page_of_slot(blob->family, slot);
	page = blob->page[i];
	bytes = blob_bytes(blob, i);
	/* What nobody could reach any more, and was to be given up, stays as it is. */
	if (page == 0 && !blob->held)
		copy_contents(blob, i, slot, page_bytes(0));
	/* What went in and out on the way may be where another page was. */
	if (known != 0 && memcmp(page_bytes(known), bytes, PAGE_SIZE) == 0) {
		blob_set(blob, i, known);
		return;
	}
	if (page == 0 || !is_everywhere(blob->family, page, slot)) {
		page = page_make(state_of(slot));
		memcpy(page_bytes(page), bytes, PAGE_SIZE);
		blob_set(blob, i, page);
	}
	m.page[page].state = state_of(slot);
	m.page[page].held = false;
	m.page[page].slot = slot;
	m.page[page].located = m.page[page].state == MPAGE_OUT;
}

/* Pages that are where they were may have been written to the store, or be about to be changed. */
static void adopt_location(unsigned page, slot_t slot)
{
	if (slot_is_page(slot) && m.page[page].state == MPAGE_MEMORY)
		m.page[page].located = page_location(slot_page(slot)) != 0;
	if (!m.page[page].located && m.page[page].state != MPAGE_OUT)
		m.page[page].lost = false;
}

/* After a failure on the way: the page has what it would have if it were absent, or nobody could reach it any more. */
static bool was_never_made(const struct model_blob *blob, unsigned i)
{
	if (!m.fired || blob->page[i] == 0)
		return false;
	if (is_out_of_reach(blob, i))
		return true;
	absent_contents(blob, i, page_bytes(0));
	return memcmp(page_bytes(0), page_bytes(blob->page[i]), PAGE_SIZE) == 0;
}

void model_adopt(const struct model_blob *like)
{
	uint32_t family = like->family;

	/* Those that went with what they were shown by are not looked at any more. */
	model_collect();
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		struct model_blob *blob = &m.blob[b];

		if (!blob->blob || blob->family != family || kind_is_fixed(blob->kind))
			continue;
		for (unsigned i = 0; i < blob->pages; i++) {
			slot_t slot = blob_slot(blob, i);
			slot_t was = blob->page[i] ? m.page[blob->page[i]].slot : SLOT_EMPTY;

			if (slot != SLOT_EMPTY && slot != was)
				adopt_slot(blob, i, slot);
			else if (slot == SLOT_EMPTY && was_never_made(blob, i))
				blob_set(blob, i, 0);
			if (blob->page[i] != 0)
				adopt_location(blob->page[i], slot);
		}
	}
}

void model_adopt_all(void)
{
	uint64_t done = 0;

	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		if (!m.blob[b].blob || (done >> b & 1))
			continue;
		model_adopt(&m.blob[b]);
		for (unsigned other = b; other < MODEL_BLOBS; other++)
			done |= (uint64_t)(m.blob[other].family == m.blob[b].family) << other;
	}
}

void model_note_slots(void)
{
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && i < blob->pages; i++) {
			if (blob->page[i] != 0 && m.page[blob->page[i]].slot == SLOT_EMPTY)
				m.page[blob->page[i]].slot = blob_slot(blob, i);
		}
	}
}

/* ---- Who shows a page ------------------------------------------------------------------------------------------ */

bool blob_shown_at(const struct model_blob *blob, unsigned i)
{
	unsigned number = blob_number(blob);

	for (unsigned w = 0; w <= MODEL_WIRINGS && blob->wirings; w++) {
		const struct model_wiring *wiring = &m.wiring[w];

		if (wiring->wiring && wiring->blob == number && i >= wiring->first &&
		    i < wiring->first + wiring->pages)
			return true;
	}
	for (unsigned r = 0; r < MODEL_ROOTS && blob->cells; r++) {
		for (unsigned c = 0; m.root[r].map && c < MODEL_CELLS; c++) {
			const struct model_cell *cell = &m.root[r].cell[c];

			if (cell->kind == CELL_BLOB && cell->blob == number && cell->offset == i)
				return true;
		}
	}
	return false;
}

void model_trim(struct model_blob *blob, unsigned i)
{
	if (!kind_is_fixed(blob->kind) && is_out_of_reach(blob, i))
		model_forget(blob, i);
}
