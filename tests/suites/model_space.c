/*
 * The model's address spaces: cells, the maps they are in, and where something new will go.
 *
 * A root has cells in private space, between two walls, and in up to two arenas, each followed by cells beyond it that are the
 * root's own. Every map that has cells is a region; a cell belongs to the innermost. Operations are in model_place.c, model_range.c
 * and model_root.c.
 */
#include "model_internal.h"

#include <asm/errno.h>

const char *const model_names[MODEL_NAMES] = {"one", "two", "three"};

unsigned model_more(unsigned which)
{
	const struct stream_op *op = m.op;
	uint64_t all =
		((uint64_t)op->at[0] << 48 | (uint64_t)op->at[1] << 32 | (uint64_t)op->how << 16 | op->size) ^
		(uint64_t)op->who[1] << 24;

	all = (all + which) * 0x9e3779b97f4a7c15ul;
	all = (all ^ all >> 29) * 0xbf58476d1ce4e5b9ul;
	return (all ^ all >> 32) & 0xffffff;
}

vm_prot_t pick_prot(unsigned choice)
{
	static const vm_prot_t prots[] = {RW, RW, RW, RW, VM_READ, VM_READ, RX, VM_ALL, VM_WRITE, VM_EXEC, 0};

	return prots[choice % sizeof(prots)];
}

/* ---- Cells and addresses ------------------------------------------------------------------------------- */

unsigned root_number(const struct model_root *root)
{
	return root - m.root;
}

struct model_root *pick_root(unsigned choice)
{
	for (unsigned i = 0; i < MODEL_ROOTS; i++) {
		struct model_root *root = &m.root[(choice + i) % MODEL_ROOTS];

		if (root->map) {
			m.chosen_roots |= 1u << root_number(root);
			return root;
		}
	}
	return NULL;
}

bool root_shows(const struct model_root *root, unsigned blob)
{
	for (unsigned c = 0; root->map && c < MODEL_CELLS; c++) {
		if (root->cell[c].kind == CELL_BLOB && root->cell[c].blob == blob)
			return true;
	}
	return false;
}

/* 0: private space; then the arenas. */
static unsigned segment_number(unsigned cell)
{
	return cell < PRIVATE_CELLS ? 0 : 1 + (cell - PRIVATE_CELLS) / ARENA_CELLS;
}

static struct span segment(unsigned number)
{
	unsigned first = number == 0 ? 0 : PRIVATE_CELLS + (number - 1) * ARENA_CELLS;

	return (struct span){first, first + (number == 0 ? PRIVATE_CELLS : ARENA_CELLS)};
}

static vaddr_t segment_address(const struct model_root *root, unsigned number)
{
	return number == 0 ? SPACE_BASE : root->arena[number - 1];
}

struct span segment_of(const struct model_root *root, unsigned cell)
{
	(void)root;
	return segment(segment_number(cell));
}

vaddr_t cell_address(const struct model_root *root, unsigned cell)
{
	unsigned number = segment_number(cell);

	return segment_address(root, number) + pages_to_bytes(cell - segment(number).first);
}

unsigned cell_at(const struct model_root *root, vaddr_t address)
{
	for (unsigned number = 0; number <= ARENAS; number++) {
		vaddr_t start = segment_address(root, number);
		struct span span = segment(number);

		if (start != 0 && address >= start && address < start + pages_to_bytes(span.end - span.first))
			return span.first + ((address - start) >> PAGE_SHIFT);
	}
	return MODEL_CELLS;
}

/* A cell of a segment that is there. */
static unsigned pick_cell(const struct model_root *root, unsigned choice)
{
	unsigned cell = choice % MODEL_CELLS;
	unsigned number = segment_number(cell);

	return segment_address(root, number) ? cell : cell % PRIVATE_CELLS;
}

struct span pick_span(const struct model_root *root)
{
	unsigned first = pick_cell(root, m.op->at[0]);
	unsigned size = m.op->size >> 2;
	unsigned most[] = {1, 5, 10, 26};
	unsigned end = first + 1 + size % most[m.op->size % 4];
	unsigned limit = segment_of(root, first).end;

	return (struct span){first, end < limit ? end : limit};
}

struct span pick_mapped(const struct model_root *root)
{
	struct span span = pick_span(root);
	unsigned pages = span.end - span.first;
	unsigned limit;

	if (model_more(1) % 4 == 0)
		return span;
	for (unsigned i = 0; i < MODEL_CELLS && root->cell[span.first].kind != CELL_BLOB; i++)
		span.first = (span.first + 1) % MODEL_CELLS;
	if (root->cell[span.first].kind != CELL_BLOB)
		return pick_span(root);
	limit = segment_of(root, span.first).end;
	span.end = span.first + 1;
	while (span.end < limit && span.end - span.first < pages && root->cell[span.end].kind == CELL_BLOB)
		span.end++;
	return span;
}

/* ---- Regions --------------------------------------------------------------------------------------------- */

unsigned region_make(const struct model_region *region)
{
	for (unsigned r = 0; r < MODEL_REGIONS; r++) {
		if (m.region[r].used)
			continue;
		m.region[r] = *region;
		m.region[r].used = true;
		return r;
	}
	return MODEL_REGIONS;
}

unsigned regions_left(void)
{
	unsigned left = 0;

	for (unsigned r = 0; r < MODEL_REGIONS; r++)
		left += !m.region[r].used;
	return left;
}

bool is_root_region(unsigned region)
{
	return m.region[region].parent == region;
}

bool is_within(unsigned region, unsigned ancestor)
{
	while (region != ancestor) {
		if (is_root_region(region))
			return false;
		region = m.region[region].parent;
	}
	return true;
}

bool region_has(unsigned region, struct span span)
{
	return is_root_region(region) ||
	       (span.first >= m.region[region].first && span.end <= m.region[region].end);
}

unsigned pick_region(const struct model_root *root, unsigned cell)
{
	unsigned region = root->cell[cell].region;
	unsigned choice = model_more(2);

	if (choice % 4 < 2)
		return root->region;
	if (choice % 4 == 2) {
		while (m.region[region].entity)
			region = m.region[region].parent;
		return region;
	}
	for (unsigned i = 0; i < MODEL_REGIONS; i++) {
		region = ((choice >> 2) + i) % MODEL_REGIONS;
		if (m.region[region].used && !m.region[region].entity &&
		    m.region[region].root == root_number(root))
			return region;
	}
	return root->region;
}

/* The innermost map that a fixed placement of the span belongs in. */
static unsigned descend(unsigned region, struct span span)
{
	for (unsigned r = 0; r < MODEL_REGIONS; r++) {
		const struct model_region *inner = &m.region[r];

		if (!inner->used || r == region || inner->parent != region ||
		    inner->root != m.region[region].root || !region_has(r, span))
			continue;
		/* All of an entity or of a passing submap: that is about the thing, not about its inside. */
		if (!inner->permanent && span.first == inner->first && span.end == inner->end)
			return region;
		return descend(r, span);
	}
	return region;
}

bool span_is_free(const struct model_root *root, unsigned region, struct span span)
{
	for (unsigned c = span.first; c < span.end; c++) {
		if (root->cell[c].kind != CELL_FREE || root->cell[c].region != region)
			return false;
	}
	return true;
}

static void region_remove(unsigned r)
{
	struct model_region *region = &m.region[r];

	for (unsigned c = region->first; c < region->end; c++)
		m.root[region->root].cell[c].region = region->parent;
	if (region->entity)
		m.entity[region->which].mappings--;
	region->used = false;
}

static bool region_is_empty(unsigned r)
{
	const struct model_region *region = &m.region[r];

	return span_is_free(&m.root[region->root], r, (struct span){region->first, region->end});
}

/* After what is in the span has been unmapped from outside of the region. */
static void region_shrink(unsigned r, struct span span)
{
	struct model_region *region = &m.region[r];
	struct model_root *root = &m.root[region->root];

	if (region->permanent || span.first >= region->end || span.end <= region->first)
		return;
	if ((span.first <= region->first && span.end >= region->end) ||
	    (region->entity && region_is_empty(r))) {
		region_remove(r);
		return;
	}
	if (span.first <= region->first) {
		for (unsigned c = region->first; c < span.end; c++)
			root->cell[c].region = region->parent;
		region->first = span.end;
	} else if (span.end >= region->end) {
		for (unsigned c = span.first; c < region->end; c++)
			root->cell[c].region = region->parent;
		region->end = span.first;
	}
}

/* ---- Changing cells --------------------------------------------------------------------------------------- */

void cells_map(struct model_root *root, struct span span, struct model_cell first)
{
	for (unsigned c = span.first; c < span.end; c++) {
		root->cell[c] = first;
		if (first.kind == CELL_BLOB)
			m.blob[first.blob].cells++;
		first.offset++;
	}
}

/*
 * Regions below `region` whose part of the span ends before cell `end`, from the inside out. An entity that goes gives up its
 * references then, and not later: what is unmapped after that may be the last that has a page.
 */
static void shrink_regions(unsigned region, struct span span, unsigned end)
{
	for (unsigned depth = MAP_MAX_DEPTH; depth > m.region[region].depth; depth--) {
		for (unsigned r = 0; r < MODEL_REGIONS; r++) {
			const struct model_region *inner = &m.region[r];

			if (inner->used && inner->depth == depth && inner->first < end &&
			    (inner->end == end || (end == span.end && inner->end > end)) &&
			    is_within(r, region))
				region_shrink(r, span);
		}
	}
	model_collect_entities();
}

void cells_unmap(struct model_root *root, unsigned region, struct span span)
{
	for (unsigned c = span.first; c < span.end; c++) {
		struct model_cell *cell = &root->cell[c];
		struct model_cell old = *cell;

		*cell = (struct model_cell){.kind = CELL_FREE, .region = old.region};
		if (old.kind == CELL_BLOB) {
			m.blob[old.blob].cells--;
			model_trim(&m.blob[old.blob], old.offset);
		}
		shrink_regions(region, span, c + 1);
	}
}

/* ---- Arguments ----------------------------------------------------------------------------------------------- */

struct argument pick_argument(struct span (*pick)(const struct model_root *root))
{
	struct argument argument = {.root = pick_root(m.op->who[0])};

	if (!argument.root)
		return argument;
	argument.span = pick(argument.root);
	argument.region = pick_region(argument.root, argument.span.first);
	argument.map = m.region[argument.region].map;
	argument.start = cell_address(argument.root, argument.span.first);
	argument.bytes = pages_to_bytes(argument.span.end - argument.span.first);
	model_touch_root(argument.root);
	switch (model_odd(4)) {
	case 0:
		return argument;
	case 1:
		argument.bytes = 0;
		break;
	case 2:
		argument.start += 1 + m.op->how % (PAGE_SIZE - 1);
		break;
	case 3:
		argument.bytes += 1 + m.op->how % (PAGE_SIZE - 1);
		break;
	default:
		argument.bytes = -argument.start + pages_to_bytes(m.op->how % 4);
	}
	/* A range that ends with the address space does not wrap, it is none too. */
	argument.error = -EINVAL;
	return argument;
}

/* ---- Placing ---------------------------------------------------------------------------------------------------- */

/* Does the placement, without an address, accept the span with a guard of so many pages? */
static bool fits(const struct wish *wish, struct span limits, unsigned guard, unsigned first, unsigned pages)
{
	struct span span = {first, first + pages + 2 * guard};

	if (span.first < limits.first || span.end > limits.end)
		return false;
	if (cell_address(wish->root, first) & (wish->place.align - 1))
		return false;
	return span_is_free(wish->root, wish->where, span);
}

/* The lowest that fits, or with an alignment any. */
static void predict_anywhere(struct wish *wish, struct span limits, unsigned guard, unsigned pages)
{
	wish->error = -ENOMEM;
	wish->loose = wish->place.align > PAGE_SIZE;
	for (unsigned first = limits.first; first < limits.end; first++) {
		if (!fits(wish, limits, guard, first, pages))
			continue;
		wish->span = (struct span){first + guard, first + guard + pages};
		wish->error = 0;
		return;
	}
}

static struct span clip_span(struct span span, unsigned first, unsigned end)
{
	return (struct span){span.first > first ? span.first : first, span.end < end ? span.end : end};
}

static struct wish wish_anywhere(struct model_root *root, unsigned region, unsigned pages)
{
	struct wish wish = {.root = root, .through = region, .where = region};
	struct span all = {m.region[region].first, m.region[region].end};
	struct span limits = all;
	unsigned guard;
	unsigned hint = all.first + model_more(4) % (all.end - all.first + 2);

	if (model_more(5) % 2) {
		limits.first = all.first + model_more(6) % (all.end - all.first);
		limits.end = limits.first + 1 + model_more(7) % 30;
	}
	limits.end =
		limits.end < segment_of(root, all.first).end ? limits.end : segment_of(root, all.first).end;
	/* Private space is larger than what the model has of it. */
	if (region == root->private_region || limits.first != all.first || limits.end != all.end) {
		wish.place.low = cell_address(root, limits.first);
		wish.place.high = cell_address(root, limits.end - 1) + PAGE_SIZE;
	}
	limits = clip_span(limits, all.first, all.end);
	wish.place.align = model_more(8) % 4 ? PAGE_SIZE : PAGE_SIZE << model_more(9) % 5;
	guard = model_more(10) % 4 ? 0 : (1 + model_more(11) % 2) * (wish.place.align >> PAGE_SHIFT);
	wish.place.guard = pages_to_bytes(guard);
	predict_anywhere(&wish, limits, guard, pages);
	if (model_more(12) % 3 == 0 && hint < segment_of(root, all.first).end) {
		wish.place.address = cell_address(root, hint);
		if (fits(&wish, limits, 0, hint, pages)) {
			wish.span = (struct span){hint, hint + pages};
			wish.error = 0;
			wish.loose = false;
		}
	}
	if (model_more(13) % 2 && wish.place.align == PAGE_SIZE)
		wish.place.align = 0;
	return wish;
}

static struct wish wish_fixed(struct model_root *root, unsigned region, struct span span)
{
	struct wish wish = {.root = root, .through = region, .span = span};
	bool replace = model_more(14) % 3 != 0;

	wish.where = region_has(region, span) ? descend(region, span) : region;
	wish.place.address = cell_address(root, span.first);
	wish.place.flags = replace ? PLACE_FIXED | PLACE_REPLACE : PLACE_FIXED;
	if (model_more(15) % 8 == 0)
		wish.place.align = PAGE_SIZE << model_more(16) % 3;
	if (wish.place.align && (wish.place.address & (wish.place.align - 1)))
		wish.error = -EINVAL;
	else if (!region_has(wish.where, span))
		wish.error = -ENOMEM;
	else if (!replace && !span_is_free(root, wish.where, span))
		wish.error = -EEXIST;
	return wish;
}

struct wish pick_wish(struct model_root *root, unsigned pages)
{
	struct span span = pick_span(root);
	unsigned region = pick_region(root, span.first);
	struct wish wish;

	span.end = span.first + pages;
	if (span.end > segment_of(root, span.first).end) {
		span.end = segment_of(root, span.first).end;
		span.first = span.end - pages;
	}
	if (is_root_region(region) || model_more(3) % 2)
		wish = wish_fixed(root, region, span);
	else
		wish = wish_anywhere(root, region, pages);
	wish.map = m.region[region].map;
	model_touch_root(root);
	switch (model_odd(3)) {
	case 0:
		return wish;
	case 1:
		wish.place.align = 3 * PAGE_SIZE;
		break;
	case 2:
		wish.place.align = PAGE_SIZE / 2;
		break;
	default:
		wish.place.address += 1 + m.op->how % (PAGE_SIZE - 1);
		/* A hint that cannot be is none. */
		if (!(wish.place.flags & PLACE_FIXED)) {
			wish.place.address = 0;
			wish.place.align = PAGE_SIZE - 1;
		}
	}
	wish.error = -EINVAL;
	return wish;
}

struct wish pick_wish_after(struct model_root *root, unsigned cell, unsigned pages)
{
	struct span span = {cell + 1, cell + 1 + pages};
	struct wish wish;

	if (span.end > segment_of(root, cell).end)
		return pick_wish(root, pages);
	wish = wish_fixed(root, root->region, span);
	wish.map = root->map;
	model_touch_root(root);
	return wish;
}

void wish_check(struct wish *wish, vm_prot_t prot, bool submap)
{
	const struct model_region *where = &m.region[wish->where];

	if (wish->error)
		return;
	if (is_root_region(wish->where) && (!submap || (wish->place.flags & PLACE_REPLACE)))
		wish->error = -ENOMEM;
	else if (prot & ~where->ceiling)
		wish->error = -EACCES;
	else if (submap && where->depth >= MAP_MAX_DEPTH)
		wish->error = -EMFILE;
}

bool wish_placed(struct wish *wish, vaddr_t address)
{
	unsigned pages = wish->span.end - wish->span.first;
	unsigned cell = cell_at(wish->root, address);

	model_digest(cell);
	SAY("#     at 0x%llx", (unsigned long long)address);
	if (!AGREE(cell < MODEL_CELLS))
		return false;
	if (wish->loose) {
		uint64_t guard = wish->place.guard;
		vaddr_t high = wish->place.high;

		wish->span = (struct span){cell, cell + pages};
		if (!AGREE((address & (wish->place.align - 1)) == 0) ||
		    !AGREE(address - guard >= wish->place.low) ||
		    !AGREE(high == 0 || address + pages_to_bytes(pages) + guard <= high) ||
		    !AGREE(region_has(wish->where, (struct span){cell - (guard >> PAGE_SHIFT),
								 cell + pages + (guard >> PAGE_SHIFT)})))
			return false;
	}
	if (!AGREE_EQ(cell, wish->span.first))
		return false;
	if (wish->place.flags & PLACE_REPLACE)
		cells_unmap(wish->root, wish->where, wish->span);
	return AGREE(span_is_free(wish->root, wish->where, wish->span));
}
