/*
 * Operations of ranges of maps: unmap, protect, wire, advise, decommit, resize; and questions about them.
 *
 * The range is an argument of a call for some map of a root (struct argument); what of it lies outside that map is a hole.
 */
#include "model_internal.h"

#include <asm/errno.h>

/* ---- What is in a range ------------------------------------------------------------------------------- */

/* The cell, as the map sees it that the call is for; NULL: a hole. */
static struct model_cell *cell_of(const struct argument *argument, unsigned c)
{
	struct model_cell *cell = &argument->root->cell[c];

	if (cell->kind == CELL_FREE || !is_within(cell->region, argument->region))
		return NULL;
	return cell;
}

static void say_range(const char *what, const struct argument *argument)
{
	SAY("# %s: r%u, map at depth %u, 0x%llx, 0x%llx bytes", what, root_number(argument->root),
	    m.region[argument->region].depth, (unsigned long long)argument->start,
	    (unsigned long long)argument->bytes);
}

/* 0 if all of the range shows blobs. */
static int predict_blobs(const struct argument *argument)
{
	if (argument->error)
		return argument->error;
	for (unsigned c = argument->span.first; c < argument->span.end; c++) {
		const struct model_cell *cell = cell_of(argument, c);

		if (!cell || cell->kind != CELL_BLOB)
			return -ENOMEM;
	}
	return 0;
}

static struct model_blob *blob_of(const struct model_cell *cell)
{
	return &m.blob[cell->blob];
}

/* ---- Unmap, protect ----------------------------------------------------------------------------------------- */

/* Parts of the layout that nobody unmaps. */
static vaddr_t layout_address(unsigned choice)
{
	static const vaddr_t addresses[] = {0,
					    LAYOUT_KERNEL_START,
					    LAYOUT_GATE_START,
					    LAYOUT_SYSTEM_START,
					    LAYOUT_DYNAMIC_START,
					    LAYOUT_PHYSICAL_START};

	return addresses[choice % (sizeof(addresses) / sizeof(addresses[0]))];
}

void do_map_unmap(void)
{
	struct argument range = pick_argument(pick_span);
	int error;

	if (!range.root)
		return;
	error = range.error;
	if (!error && !region_has(range.region, range.span))
		error = -ENOMEM;
	if (!error && is_root_region(range.region) && model_more(50) % 32 == 0) {
		range.start = layout_address(model_more(51));
		range.bytes = PAGE_SIZE;
		error = -EPERM;
	}
	say_range("map_unmap", &range);
	model_call();
	if (model_result(map_unmap(range.map, range.start, range.bytes), error))
		cells_unmap(range.root, range.region, range.span);
}

static int predict_protect(const struct argument *range, vm_prot_t prot)
{
	if (range->error)
		return range->error;
	for (unsigned c = range->span.first; c < range->span.end; c++) {
		const struct model_cell *cell = cell_of(range, c);

		if (!cell)
			return -ENOMEM;
		if (cell->kind == CELL_RESERVED || (prot & ~cell->max_prot))
			return -EACCES;
	}
	return 0;
}

void do_map_protect(void)
{
	struct argument range = pick_argument(pick_mapped);
	vm_prot_t prot = pick_prot(model_more(52));
	int error;

	if (!range.root)
		return;
	error = predict_protect(&range, prot);
	if (model_more(53) % 64 == 0) {
		prot |= VM_USER;
		error = -EINVAL;
	}
	say_range("map_protect", &range);
	SAY("#     prot %x", prot);
	model_call();
	if (!model_result(map_protect(range.map, range.start, range.bytes, prot), error))
		return;
	for (unsigned c = range.span.first; c < range.span.end; c++)
		range.root->cell[c].prot = prot;
	model_check_merged(range.root, range.span);
}

/* ---- Wiring ---------------------------------------------------------------------------------------------------- */

/* All of the range is in memory, and what may be written is the blob's own. */
static void check_wired(const struct argument *range)
{
	for (unsigned c = range->span.first; c < range->span.end; c++) {
		const struct model_cell *cell = &range->root->cell[c];
		const struct model_page *page = &m.page[blob_of(cell)->page[cell->offset]];

		if (kind_is_fixed(blob_of(cell)->kind))
			continue;
		AGREE(page->state == MPAGE_MEMORY || page->state == MPAGE_LENT);
		if ((cell->prot & VM_WRITE) && !cell->wired)
			AGREE(page->state == MPAGE_MEMORY && page->holds == 1);
	}
}

static void cells_wire(const struct argument *range, bool wired, bool on_fault)
{
	for (unsigned c = range->span.first; c < range->span.end; c++) {
		range->root->cell[c].wired = wired;
		range->root->cell[c].on_fault = on_fault;
	}
	model_check_merged(range->root, range->span);
}

void do_map_wire(void)
{
	struct argument range = pick_argument(pick_mapped);
	int error;

	if (!range.root)
		return;
	error = predict_blobs(&range);
	say_range("map_wire", &range);
	model_note_slots();
	model_call();
	if (!model_result(map_wire(range.map, range.start, range.bytes), error))
		return;
	/* Several blobs of a family may have got pages: who shares which is not worth predicting. */
	model_adopt_all();
	check_wired(&range);
	cells_wire(&range, true, false);
}

/* No page is touched: those that are there are wired from now on, and others when they come. */
void do_map_wire_on_fault(void)
{
	struct argument range = pick_argument(pick_mapped);
	int error;

	if (!range.root)
		return;
	error = predict_blobs(&range);
	say_range("map_wire_on_fault", &range);
	model_call();
	if (model_result(map_wire_on_fault(range.map, range.start, range.bytes), error))
		cells_wire(&range, true, true);
}

void do_map_unwire(void)
{
	struct argument range = pick_argument(pick_mapped);
	int error;

	if (!range.root)
		return;
	error = predict_blobs(&range);
	say_range("map_unwire", &range);
	model_call();
	if (!model_result(map_unwire(range.map, range.start, range.bytes), error))
		return;
	cells_wire(&range, false, false);
}

/* ---- What a fork does ------------------------------------------------------------------------------------------ */

void do_map_set_fork(void)
{
	struct argument range = pick_argument(pick_mapped);
	unsigned odd = model_odd(2);
	bool omit = model_more(64) % 2;
	unsigned set = omit ? FORK_OMIT : 0, clear = omit ? 0 : FORK_OMIT;
	int error;

	if (!range.root)
		return;
	error = predict_blobs(&range);
	if (odd) {
		*(odd == 1 ? &set : &clear) |= DUMP_OMIT << 1;
		error = -EINVAL;
	}
	say_range("map_set_fork", &range);
	SAY("#     set %u, clear %u", set, clear);
	model_call();
	if (!model_result(map_set_fork(range.map, range.start, range.bytes, set, clear), error))
		return;
	for (unsigned c = range.span.first; c < range.span.end; c++)
		range.root->cell[c].omitted = omit;
	model_check_merged(range.root, range.span);
}

/* ---- Advice ------------------------------------------------------------------------------------------------------ */

/* The blobs of a range, once each. */
static uint64_t blobs_of(const struct argument *range)
{
	uint64_t blobs = 0;

	for (unsigned c = range->span.first; c < range->span.end; c++)
		blobs |= (uint64_t)1 << range->root->cell[c].blob;
	return blobs;
}

static void adopt_blobs(uint64_t blobs)
{
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		if ((blobs >> b & 1) && m.blob[b].blob)
			model_adopt(&m.blob[b]);
	}
}

/* What pagers have is in memory now. */
static void check_brought_in(const struct argument *range)
{
	for (unsigned c = range->span.first; c < range->span.end && !m.fired; c++) {
		const struct model_cell *cell = &range->root->cell[c];
		const struct model_blob *blob = blob_of(cell);
		unsigned page = blob->page[cell->offset];

		AGREE(m.page[page].state != MPAGE_OUT || m.page[page].lost);
		if (page == 0 && kind_has_pager(blob->kind))
			AGREE(!pager_has_index(blob->kind, blob->index + cell->offset));
	}
}

/*
 * Pages out window by window, as far as it goes; 0, or the first error. `other` is as good: the store may be full on the way.
 */
static int predict_advise_out(const struct argument *range, int *other)
{
	int error = 0;

	for (unsigned c = range->span.first; c < range->span.end; c++) {
		const struct model_cell *cell = &range->root->cell[c];
		int window_other;

		if (kind_is_fixed(blob_of(cell)->kind))
			continue;
		if (predict_page_out(blob_of(cell), cell->offset, cell->offset + 1, &window_other))
			error = -ENODEV;
	}
	*other = error;
	if (store_used() + (range->span.end - range->span.first) > STORE_LOCATIONS ||
	    (m.swaps && swap_room() < range->span.end - range->span.first))
		*other = -ENOSPC;
	return error;
}

static void advise_out(const struct argument *range, int error)
{
	int other = error;

	if (!error)
		error = predict_advise_out(range, &other);
	model_note_slots();
	model_call();
	if (model_result_or(map_advise(range->map, range->start, range->bytes, ADVISE_PAGE_OUT), error,
			    other)) {
		for (unsigned c = range->span.first; c < range->span.end; c++) {
			const struct model_cell *cell = &range->root->cell[c];

			if (!kind_is_fixed(blob_of(cell)->kind))
				model_page_out(blob_of(cell), cell->offset, cell->offset + 1, true);
		}
	} else if (error == 0 || error == -ENODEV) {
		model_adopt_all();
	}
}

void do_map_advise(void)
{
	struct argument range = pick_argument(pick_mapped);
	enum map_advice advice = model_more(54) % MAP_ADVICES;
	int error;

	if (!range.root)
		return;
	error = predict_blobs(&range);
	if (model_more(55) % 32 == 0) {
		advice = MAP_ADVICES + model_more(56) % 3;
		error = -EINVAL;
	}
	say_range("map_advise", &range);
	SAY("#     advice %u", advice);
	if (advice == ADVISE_PAGE_OUT) {
		advise_out(&range, error);
		return;
	}
	if (advice == ADVISE_WILLNEED)
		model_note_slots();
	model_call();
	if (!model_result(map_advise(range.map, range.start, range.bytes, advice), error))
		return;
	/* What it changes, only who looks for pages to give up can see. */
	if (advice == ADVISE_COLD)
		return;
	if (advice == ADVISE_WILLNEED) {
		adopt_blobs(blobs_of(&range));
		check_brought_in(&range);
		return;
	}
	for (unsigned c = range.span.first; c < range.span.end; c++)
		range.root->cell[c].advice = advice;
	model_check_merged(range.root, range.span);
}

/* ---- Contents ------------------------------------------------------------------------------------------------------ */

static int predict_decommit(const struct argument *range)
{
	if (range->error)
		return range->error;
	for (unsigned c = range->span.first; c < range->span.end; c++) {
		const struct model_cell *cell = cell_of(range, c);

		if (!cell || cell->kind != CELL_BLOB)
			return -ENOMEM;
		if (kind_is_fixed(blob_of(cell)->kind))
			return -EINVAL;
		if (blob_wired_at(blob_of(cell), cell->offset))
			return -EBUSY;
	}
	return 0;
}

void do_map_decommit(void)
{
	struct argument range = pick_argument(pick_mapped);
	bool good;
	int error;

	if (!range.root)
		return;
	error = predict_decommit(&range);
	say_range("map_decommit", &range);
	model_call();
	good = model_result(map_decommit(range.map, range.start, range.bytes), error);
	if (!good && (!m.fired || error))
		return;
	for (unsigned c = range.span.first; c < range.span.end; c++) {
		const struct model_cell *cell = &range.root->cell[c];

		/* After a failure an initial part of the range is forgotten. */
		if (!good && blob_slot(blob_of(cell), cell->offset) != SLOT_EMPTY)
			return;
		model_forget(blob_of(cell), cell->offset);
	}
}

/* ---- Questions --------------------------------------------------------------------------------------------------------- */

void do_map_check(void)
{
	struct argument range = pick_argument(pick_mapped);

	if (!range.root)
		return;
	say_range("map_check", &range);
	model_call();
	model_result(map_check(range.map, range.start, range.bytes), predict_blobs(&range));
}

void do_map_residency(void)
{
	unsigned char vector[MODEL_CELLS];
	struct argument range = pick_argument(pick_mapped);

	if (!range.root)
		return;
	say_range("map_residency", &range);
	model_call();
	if (!model_result(map_residency(range.map, range.start, range.bytes, vector), predict_blobs(&range)))
		return;
	for (unsigned c = range.span.first; c < range.span.end; c++) {
		const struct model_cell *cell = &range.root->cell[c];

		bool shown = pmap_query(map_pmap(range.root->map), cell_address(range.root, c)).page != NULL;

		/* What is shown as the page of zeroes counts: check_translation() has seen that it may be. */
		AGREE_EQ(vector[c - range.span.first],
			 shown || model_usage(blob_of(cell), cell->offset, cell->offset + 1).resident);
	}
}

void do_map_lookup(void)
{
	struct argument range = pick_argument(pick_mapped);
	const struct model_cell *cell;
	struct lookup found;
	vaddr_t address;

	if (!range.root)
		return;
	address = cell_address(range.root, range.span.first) + m.op->size % PAGE_SIZE;
	cell = cell_of(&range, range.span.first);
	SAY("# map_lookup: r%u, 0x%llx", root_number(range.root), (unsigned long long)address);
	model_call();
	if (!model_result(map_lookup(range.map, address, &found),
			  cell && cell->kind == CELL_BLOB ? 0 : -EFAULT))
		return;
	AGREE(found.blob == blob_of(cell)->blob);
	AGREE_EQ(found.offset, blob_of(cell)->low + cell->offset);
	AGREE_EQ(found.how.prot, cell->prot);
	AGREE_EQ(found.how.max_prot, cell->max_prot);
	AGREE_EQ(found.how.inherit, cell->inherit);
	AGREE(found.end > address);
	blob_unref(found.blob);
}

/* ---- Changing sizes ------------------------------------------------------------------------------------------------ */

/* Where the entry that shows a cell ends, which the model does not know: neighbours may be one entry or two. */
static unsigned entry_end(const struct model_root *root, unsigned c)
{
	struct map_entry *entry;
	unsigned end = 0;

	rw_read_lock(root->map->lock);
	entry = map_find(root->map, cell_address(root, c));
	if (entry)
		end = c + ((entry->end - cell_address(root, c)) >> PAGE_SHIFT);
	rw_read_unlock(root->map->lock);
	return end;
}

/* A resize as far as it does not depend on where the mapping goes. */
struct growth {
	struct argument old;
	struct model_cell first; /* what the old range begins with */
	unsigned pages;
};

static int predict_growth(const struct growth *growth)
{
	const struct model_cell *cell = cell_of(&growth->old, growth->old.span.first);
	unsigned old_pages = growth->old.span.end - growth->old.span.first;
	const struct model_blob *blob;

	if (growth->old.error)
		return growth->old.error;
	if (!cell || cell->kind != CELL_BLOB ||
	    growth->old.span.end > entry_end(growth->old.root, growth->old.span.first))
		return -EFAULT;
	blob = blob_of(cell);
	if (growth->pages > old_pages && growth->pages > blob->pages - cell->offset)
		return -EINVAL;
	for (unsigned i = old_pages; i < growth->pages; i++) {
		if (blob_shown_at(blob, cell->offset + i))
			return -ENOMEM;
	}
	return 0;
}

static bool fits_in_place(const struct growth *growth)
{
	struct span gained = {growth->old.span.end, growth->old.span.first + growth->pages};
	const struct model_root *root = growth->old.root;

	return growth->old.span.end == entry_end(root, growth->old.span.first) &&
	       gained.end <= segment_of(root, growth->old.span.first).end &&
	       span_is_free(root, root->cell[growth->old.span.first].region, gained);
}

/* What nobody showed is gone when the mapping comes to show it. */
static void forget_gained(const struct growth *growth)
{
	struct model_blob *blob = blob_of(&growth->first);
	unsigned first = growth->first.offset + (growth->old.span.end - growth->old.span.first);

	for (unsigned i = first; i < growth->first.offset + growth->pages; i++)
		model_trim(blob, i);
}

/* A mapping that is wired wires what it shows then: some of its pages may have been copied. */
static void adopt_wired(const struct growth *growth)
{
	if (growth->first.wired && blob_of(&growth->first)->blob)
		model_adopt(blob_of(&growth->first));
}

static void resize_in_place(const struct growth *growth, int error, vaddr_t at)
{
	struct span old = growth->old.span;
	struct span now = {old.first, old.first + growth->pages};
	struct model_root *root = growth->old.root;
	struct model_cell cell = growth->first;

	if (!model_result(error, 0) || !AGREE_EQ(at, growth->old.start))
		return;
	if (now.end <= old.end) {
		if (now.end < old.end)
			cells_unmap(root, growth->old.region, (struct span){now.end, old.end});
		return;
	}
	cell.offset += old.end - old.first;
	cells_map(root, (struct span){old.end, now.end}, cell);
	adopt_wired(growth);
	model_check_merged(root, (struct span){now.end, now.end});
}

static void resize_by_moving(const struct growth *growth, struct wish *wish, int error, vaddr_t at)
{
	struct model_wiring *wiring = &m.wiring[MODEL_WIRINGS];
	struct model_blob *blob = blob_of(&growth->first);
	struct span old = growth->old.span;
	struct model_cell cell = growth->first;

	wish_check(wish, 0, false);
	if (!wish->error && !wish->loose && wish->span.first < old.end && old.first < wish->span.end)
		wish->error = -EINVAL;
	wish_check(wish, cell.prot, false);
	if (!model_result(error, wish->error))
		return;
	/* Before anything is replaced, what will be shown is wired. */
	*wiring = (struct model_wiring){.blob = cell.blob, .first = cell.offset, .pages = growth->pages};
	if (cell.wired)
		wiring->wiring = (struct wiring *)wiring;
	blob->wirings += cell.wired;
	if (wish_placed(wish, at)) {
		cell.region = wish->where;
		cell.max_prot &= m.region[wish->where].ceiling;
		cells_map(wish->root, wish->span, cell);
		wiring->wiring = NULL;
		cells_unmap(growth->old.root, growth->old.region, old);
	}
	wiring->wiring = NULL;
	blob->wirings -= cell.wired;
	adopt_wired(growth);
}

/* A range that is mostly all of an entry. */
static struct span pick_entry(const struct model_root *root)
{
	struct span span = pick_mapped(root);

	if (model_more(60) % 4 && root->cell[span.first].kind == CELL_BLOB)
		span.end = entry_end(root, span.first);
	return span;
}

void do_map_resize(void)
{
	struct growth growth = {.old = pick_argument(pick_entry)};
	struct resize_request want = {.may_move = model_more(61) % 4};
	unsigned old_pages = growth.old.span.end - growth.old.span.first;
	struct wish wish;
	vaddr_t at = 0;
	int error, predicted;
	bool grows, moves;

	if (!growth.old.root)
		return;
	growth.first = growth.old.root->cell[growth.old.span.first];
	growth.pages = 1 + model_more(62) % (model_more(63) % 4 && old_pages < 20 ? old_pages + 3 : 20);
	predicted = predict_growth(&growth);
	grows = !predicted && growth.pages > old_pages;
	wish = pick_wish(growth.old.root, growth.pages);
	want.start = growth.old.start;
	want.old_bytes = growth.old.bytes;
	want.new_bytes = pages_to_bytes(growth.pages);
	want.place = wish.place;
	say_range("map_resize", &growth.old);
	SAY("#     to %u pages, %s 0x%llx of map at depth %u%s", growth.pages,
	    want.place.flags & PLACE_FIXED ? "moves to" : "may move to",
	    (unsigned long long)want.place.address, m.region[wish.through].depth,
	    want.may_move ? "" : ", may not move");
	moves = (want.place.flags & PLACE_FIXED) || (grows && !fits_in_place(&growth));
	if (!predicted && moves && !want.may_move)
		predicted = want.place.flags & PLACE_FIXED ? -EINVAL : -ENOMEM;
	if (growth.first.wired)
		model_note_slots();
	model_call();
	error = map_resize(growth.old.map, wish.map, &want, &at);
	if (grows)
		forget_gained(&growth);
	if (predicted)
		model_result(error, predicted);
	else if (moves)
		resize_by_moving(&growth, &wish, error, at);
	else
		resize_in_place(&growth, error, at);
}
