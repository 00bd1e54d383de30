/*
 * The model's blobs and memory: commit and decommit, wiring, pages written to the store and given up, usage.
 *
 * What map_decommit, map_wire and map_advise do to ranges of maps is in model_range.c, which uses what is here.
 */
#include "model_internal.h"

#include <asm/errno.h>

/* ---- Commit and decommit ------------------------------------------------------------------------------ */

/*
 * New pages of a blob that is not zeroed contain whatever they did: who has asked for them writes to them before
 * anybody can look.
 */
static void overwrite_new(struct model_blob *blob, const struct window *window, const uint16_t *before)
{
	for (unsigned i = window->first; i < window->end; i++) {
		if (before[i] != 0 || blob_slot(blob, i) == SLOT_EMPTY)
			continue;
		if (blob->page[i] == 0)
			model_obtain(blob, i, true);
		model_pattern(m.steps, page_bytes(blob->page[i]), PAGE_SIZE);
		AGREE_EQ(blob_write(blob->blob, pages_to_bytes(blob->low + i), page_bytes(blob->page[i]),
				    PAGE_SIZE),
			 0);
	}
}

/* The window was made resident and the blob's own, or after a failure a part of it. */
static void model_own(struct model_blob *blob, const struct window *window, bool good)
{
	uint16_t before[BLOB_PAGES];

	memcpy(before, blob->page, sizeof(before));
	for (unsigned i = window->first; i < window->end && good; i++)
		model_obtain(blob, i, true);
	if (blob->unzeroed)
		overwrite_new(blob, window, before);
}

void do_blob_commit(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct window window;
	bool good;

	if (!blob)
		return;
	window = pick_window(blob);
	if (blob->kind == KIND_DEVICE)
		window.error = -EINVAL;
	SAY("# blob_commit(b%u, %#llx, %llu)", blob_number(blob), (unsigned long long)window.offset,
	    (unsigned long long)window.pages);
	model_call();
	good = model_result(blob_commit(blob->blob, window.offset, window.pages), window.error);
	if (!window.error)
		model_own(blob, &window, good);
}

void do_blob_decommit(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct window window;

	if (!blob)
		return;
	window = pick_window(blob);
	if (kind_is_fixed(blob->kind))
		window.error = -EINVAL;
	for (unsigned i = window.first; i < window.end && !window.error; i++) {
		if (blob_wired_at(blob, i))
			window.error = -EBUSY;
	}
	SAY("# blob_decommit(b%u, %#llx, %llu)", blob_number(blob), (unsigned long long)window.offset,
	    (unsigned long long)window.pages);
	model_call();
	if (!model_result(blob_decommit(blob->blob, window.offset, window.pages), window.error))
		return;
	for (unsigned i = window.first; i < window.end; i++)
		model_forget(blob, i);
}

/* ---- Extents ---------------------------------------------------------------------------------------------- */

/* Has blob_wire() wired anything of the family at or behind a tree index? */
static bool family_is_held(uint32_t family, pgoff_t extent)
{
	for (unsigned w = 0; w < MODEL_WIRINGS; w++) {
		const struct model_wiring *wiring = &m.wiring[w];
		const struct model_blob *blob = &m.blob[wiring->blob];

		if (wiring->wiring && blob->family == family &&
		    blob->index + wiring->first + wiring->pages > extent)
			return true;
	}
	return false;
}

/* What is behind the extent is gone, for the whole family; and then the extent is as large as its blobs again. */
static void model_cut(uint32_t family, pgoff_t extent)
{
	const struct model_blob *longest = NULL;

	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		struct model_blob *blob = &m.blob[b];

		if (!blob->blob || blob->family != family)
			continue;
		if (extent >= blob->index && extent <= blob->index + blob->pages)
			AGREE_EQ(blob_extent(blob->blob), blob->low + (extent - blob->index));
		for (unsigned i = 0; i < blob->pages; i++) {
			if (blob->index + i >= extent)
				model_forget(blob, i);
		}
		if (!longest || blob->index + blob->pages > longest->index + longest->pages)
			longest = blob;
	}
	AGREE_EQ(blob_set_extent(longest->blob, longest->low + longest->pages), 0);
}

void do_blob_set_extent(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	unsigned first;
	int error = 0;

	if (!blob)
		return;
	first = m.op->at[0] % (blob->pages + 1);
	if (kind_is_fixed(blob->kind))
		error = -EINVAL;
	else if (family_is_held(blob->family, blob->index + first))
		error = -EBUSY;
	if (model_odd(1)) {
		first = blob->pages + 1 + m.op->at[1] % 8;
		error = -EINVAL;
	}
	SAY("# blob_set_extent(b%u, %#llx), and back", blob_number(blob),
	    (unsigned long long)(blob->low + first));
	model_call();
	if (model_result(blob_set_extent(blob->blob, blob->low + first), error))
		model_cut(blob->family, blob->index + first);
}

/* ---- Wiring ------------------------------------------------------------------------------------------------ */

void do_blob_wire(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct wiring *wiring = NULL;
	struct window window;
	unsigned w = 0;
	bool good;

	while (w < MODEL_WIRINGS && m.wiring[w].wiring)
		w++;
	if (!blob || w == MODEL_WIRINGS)
		return;
	window = pick_window(blob);
	SAY("# blob_wire(b%u, %#llx, %llu): w%u", blob_number(blob), (unsigned long long)window.offset,
	    (unsigned long long)window.pages, w);
	model_call();
	good = model_result(blob_wire(blob->blob, window.offset, window.pages, &wiring), window.error);
	if (!window.error)
		model_own(blob, &window, good);
	if (!good)
		return;
	m.wiring[w] =
		(struct model_wiring){wiring, blob_number(blob), window.first, window.end - window.first};
	blob->wirings++;
}

void do_blob_unwire(void)
{
	struct model_wiring *wiring = &m.wiring[m.op->who[0] % MODEL_WIRINGS];
	struct model_blob *blob = &m.blob[wiring->blob];

	if (!wiring->wiring)
		return;
	SAY("# blob_unwire(w%u)", (unsigned)(wiring - m.wiring));
	blob_unwire(wiring->wiring);
	wiring->wiring = NULL;
	blob->wirings--;
	for (unsigned i = wiring->first; i < wiring->first + wiring->pages; i++)
		model_trim(blob, i);
}

/* ---- To the store ----------------------------------------------------------------------------------------- */

/* How many pages can be written of a blob. */
static unsigned room_for(const struct model_blob *blob)
{
	bool swaps = blob->blob->family->store ? is_in_swap(blob) : m.swaps && blob->kind != KIND_STORED;

	return swaps ? swap_room() : STORE_LOCATIONS - store_used();
}

int predict_page_out(const struct model_blob *blob, unsigned first, unsigned end, int *other)
{
	unsigned dirty = 0;

	*other = 0;
	if (kind_is_fixed(blob->kind))
		return *other = -EINVAL;
	/* Those that have written a page stay with the pager they had then. */
	if (!blob->blob->family->store && blob->kind != KIND_STORED && !m.store_set)
		return *other = -ENODEV;
	for (unsigned i = first; i < end; i++) {
		const struct model_page *page = &m.page[blob->page[i]];

		dirty += page->state == MPAGE_MEMORY && !page->located;
	}
	if (dirty > room_for(blob))
		*other = -ENOSPC;
	return 0;
}

void model_page_out(struct model_blob *blob, unsigned first, unsigned end, bool give_up)
{
	model_touch(blob, first, end);
	for (unsigned i = first; i < end; i++) {
		struct model_page *page = &m.page[blob->page[i]];

		if (page->state != MPAGE_MEMORY || (give_up && page_wired(blob->page[i])))
			continue;
		page->located = give_up || !page->held;
		if (!give_up)
			continue;
		page->state = MPAGE_OUT;
		page->held = false;
		page->slot = SLOT_EMPTY;
	}
}

static void write_out(bool give_up)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct window window;
	int error, other;

	if (!blob)
		return;
	window = pick_window(blob);
	error = other = window.error;
	if (!error)
		error = predict_page_out(blob, window.first, window.end, &other);
	SAY("# blob_%s(b%u, %#llx, %llu)", give_up ? "page_out" : "sync", blob_number(blob),
	    (unsigned long long)window.offset, (unsigned long long)window.pages);
	if (other != error)
		model_note_slots();
	model_call();
	if (model_result_or(give_up ? blob_page_out(blob->blob, window.offset, window.pages)
				    : blob_sync(blob->blob, window.offset, window.pages),
			    error, other)) {
		model_page_out(blob, window.first, window.end, give_up);
	} else if (!error) {
		model_adopt(blob);
	}
}

void do_blob_sync(void)
{
	write_out(false);
}

void do_blob_page_out(void)
{
	write_out(true);
}

void do_set_store(void)
{
	if (m.swaps)
		return;
	m.store_set = m.op->how % 4 != 0;
	SAY("# vm_set_store(%s)", m.store_set ? "store" : "NULL");
	AGREE_EQ(vm_set_store(m.store_set ? store_pager() : NULL), 0);
	if (model_odd(1)) {
		struct pager *pager = pager_get(KIND_LENDING);

		AGREE_EQ(vm_set_store(pager), -EINVAL);
		pager->refs--;
	}
}

/* ---- What there is ---------------------------------------------------------------------------------------- */

struct blob_usage model_usage(const struct model_blob *blob, unsigned first, unsigned end)
{
	struct blob_usage usage = {0};

	for (unsigned i = first; i < end; i++) {
		const struct model_page *page = &m.page[blob->page[i]];
		bool memory = page->state == MPAGE_MEMORY;
		bool nowhere = page->state == MPAGE_OUT && is_in_swap(blob) && page_is_zeroes(blob->page[i]);

		usage.resident += memory || page->state == MPAGE_LENT || kind_is_fixed(blob->kind);
		usage.paged_out += page->state == MPAGE_OUT && !nowhere;
		usage.zeroes += nowhere;
		usage.dirty += memory && !page->located;
		usage.wired += memory && page_wired(blob->page[i]);
	}
	return usage;
}

void do_blob_query(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct blob_usage usage, expected;
	struct window window;
	paddr_t ignored;

	if (!blob)
		return;
	window = pick_window(blob);
	SAY("# blob_usage(b%u, %#llx, %llu)", blob_number(blob), (unsigned long long)window.offset,
	    (unsigned long long)window.pages);
	AGREE_EQ(blob_size(blob->blob) >> PAGE_SHIFT, blob->low + blob->pages);
	AGREE_EQ(blob_physical(blob->blob, &ignored), kind_is_fixed(blob->kind) ? 0 : -EINVAL);
	model_call();
	if (!model_result(blob_usage(blob->blob, window.offset, window.pages, &usage), window.error)) {
		AGREE_EQ(blob_resident(blob->blob, window.offset, window.pages), 0);
		return;
	}
	expected = model_usage(blob, window.first, window.end);
	AGREE_EQ(usage.resident, expected.resident);
	AGREE_EQ(usage.paged_out, expected.paged_out);
	AGREE_EQ(usage.zeroes, expected.zeroes);
	AGREE_EQ(usage.dirty, expected.dirty);
	AGREE_EQ(usage.wired, expected.wired);
	AGREE_EQ(blob_resident(blob->blob, window.offset, window.pages), expected.resident);
	/* What is given up depends on what CPUs have accessed. */
	if (!m.swaps)
		model_digest(usage.resident << 32 | usage.dirty);
}
