/*
 * Random streams of map operations against a model: an array that says what each page of a window shows.
 *
 * The model predicts every result: the error, the address, who sees which word. After each step all of the map is
 * compared with it, and every translation in the page tables. A failure prints the seed and the step; the streams are
 * the same in every run.
 */
#include "vm_suite.h"

#define WINDOW     96 /* pages, with a reserved page before and after, that nothing grows beyond */
#define BLOBS      16
#define BLOB_PAGES 40
#define MAX_PAGES  24 /* of one operation */
#define STEPS      1200

/* What a page of the window is. */
struct cell {
	enum { CELL_FREE, CELL_RESERVED, CELL_BLOB } kind;
	unsigned blob; /* CELL_BLOB: in blobs[] */
	unsigned offset;
	vm_prot_t prot, max_prot;
};

struct model_blob {
	struct blob *blob; /* NULL: not in use */
	bool held;         /* the suite has a reference; else only mappings have */
	unsigned pages;
	uint64_t words[BLOB_PAGES];
};

/* A submap in the window, or an entity, which is one with another end. Empty if first == end. */
struct model_submap {
	unsigned first, end;
	struct map *map; /* NULL: an entity's, which nobody names */
	vm_prot_t ceiling;
};

/* A range of pages of the window. */
struct range {
	unsigned first, end;
};

static struct map *root, *private_map;
static struct cell cells[WINDOW];
static struct model_blob blobs[BLOBS];
static struct model_submap sub;
static struct rng rng;
static const char *operation; /* under way, for messages */

static unsigned below(unsigned limit)
{
	return rng_below(&rng, limit);
}

static vaddr_t page_at(unsigned page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

static struct range random_range(void)
{
	unsigned first = below(WINDOW);
	unsigned pages = 1 + below(below(4) ? 8 : MAX_PAGES);

	return (struct range){first, first + pages < WINDOW ? first + pages : WINDOW};
}

/* Mostly all pages of a run that show something, or the first of them. */
static struct range mapped_range(void)
{
	struct range range = random_range();
	unsigned end;

	if (below(4) == 0)
		return range;
	for (unsigned tries = 0; tries < WINDOW && cells[range.first].kind != CELL_BLOB; tries++)
		range.first = (range.first + 1) % WINDOW;
	end = range.first + 1;
	while (end < WINDOW && cells[end].kind == CELL_BLOB && below(8))
		end++;
	range.end = end;
	return range;
}

static vm_prot_t random_prot(void)
{
	static const vm_prot_t prots[] = {RW, RW, RW, VM_READ, VM_READ, RX, VM_ALL, 0};

	return prots[below(sizeof(prots) / sizeof(prots[0]))];
}

/* ---- The model ------------------------------------------------------------------------------- */

static bool in_sub(unsigned page)
{
	return page >= sub.first && page < sub.end;
}

/* Does an entry at the range belong in the submap, when it is placed through the root? */
static bool belongs_in_sub(struct range range)
{
	bool whole = range.first == sub.first && range.end == sub.end;

	return range.first >= sub.first && range.end <= sub.end && !whole;
}

/* Is the page free for a new entry of the submap (`inside`), or of private space? */
static bool is_free(unsigned page, bool inside)
{
	return cells[page].kind == CELL_FREE && in_sub(page) == inside;
}

static bool range_is_free(struct range range, bool inside)
{
	for (unsigned p = range.first; p < range.end; p++) {
		if (!is_free(p, inside))
			return false;
	}
	return true;
}

static bool is_shown(unsigned blob, unsigned offset)
{
	for (unsigned p = 0; p < WINDOW; p++) {
		if (cells[p].kind == CELL_BLOB && cells[p].blob == blob && cells[p].offset == offset)
			return true;
	}
	return false;
}

static bool is_mapped(unsigned blob)
{
	for (unsigned p = 0; p < WINDOW; p++) {
		if (cells[p].kind == CELL_BLOB && cells[p].blob == blob)
			return true;
	}
	return false;
}

static void forget_dead_blobs(void)
{
	for (unsigned b = 0; b < BLOBS; b++) {
		if (blobs[b].blob && !blobs[b].held && !is_mapped(b))
			blobs[b].blob = NULL;
	}
}

/* After a mapping of a blob's page is gone: the page is, too, if that was its last. */
static void model_trim(unsigned blob, unsigned offset)
{
	if (!blobs[blob].held && !is_shown(blob, offset))
		blobs[blob].words[offset] = 0;
}

/* The submap or entity gives up what lies at its ends. */
static void model_shrink(struct range range)
{
	bool has_parts = false;

	if (range.end <= sub.first || range.first >= sub.end)
		return;
	for (unsigned p = sub.first; p < sub.end; p++)
		has_parts |= cells[p].kind != CELL_FREE;
	if ((range.first <= sub.first && range.end >= sub.end) || (!sub.map && !has_parts))
		sub.first = sub.end = 0;
	else if (range.first <= sub.first)
		sub.first = range.end;
	else if (range.end >= sub.end)
		sub.end = range.first;
}

/* Frees the cells of a range; `shrink` where that is done from above the submap. */
static void model_unmap(struct range range, bool shrink)
{
	for (unsigned p = range.first; p < range.end; p++) {
		struct cell old = cells[p];

		cells[p] = (struct cell){.kind = CELL_FREE};
		if (old.kind == CELL_BLOB)
			model_trim(old.blob, old.offset);
	}
	if (shrink)
		model_shrink(range);
}

static void model_map(struct range range, struct cell first)
{
	for (unsigned p = range.first; p < range.end; p++) {
		cells[p] = first;
		first.offset++;
	}
}

/* ---- Blobs of the model ---------------------------------------------------------------------- */

/* A blob's place, or BLOBS when all are in use. */
static unsigned unused_blob(void)
{
	unsigned b = 0;

	while (b < BLOBS && blobs[b].blob)
		b++;
	return b;
}

/* A blob that the suite holds, or a new one. BLOBS: only mappings hold those that are in use, and all are. */
static unsigned some_held_blob(void)
{
	unsigned start = below(BLOBS);

	for (unsigned i = 0; i < BLOBS; i++) {
		unsigned b = (start + i) % BLOBS;

		if (blobs[b].blob && blobs[b].held)
			return b;
		if (blobs[b].blob)
			continue;
		memset(&blobs[b], 0, sizeof(blobs[b]));
		blobs[b].pages = below(4) ? BLOB_PAGES : 1 + below(BLOB_PAGES);
		blobs[b].blob = make_blob(blobs[b].pages);
		blobs[b].held = true;
		return b;
	}
	return BLOBS;
}

static void model_clone(unsigned to, unsigned from, unsigned offset, unsigned pages, bool held)
{
	memset(&blobs[to], 0, sizeof(blobs[to]));
	blobs[to].held = held;
	blobs[to].pages = pages;
	memcpy(blobs[to].words, blobs[from].words + offset, pages * sizeof(uint64_t));
}

static void clone_blob(void)
{
	unsigned from = some_held_blob();
	unsigned to = unused_blob();
	unsigned offset, pages;

	operation = "clone";
	if (from == BLOBS || to == BLOBS)
		return;
	offset = below(2) ? 0 : below(blobs[from].pages);
	pages = below(2) ? blobs[from].pages - offset : 1 + below(blobs[from].pages - offset);
	model_clone(to, from, offset, pages, true);
	CHECK_EQ(blob_clone(blobs[from].blob, offset, pages, &blobs[to].blob), 0);
}

static void drop_blob(void)
{
	unsigned b = below(BLOBS);

	operation = "drop";
	if (!blobs[b].blob || !blobs[b].held)
		return;
	blob_unref(blobs[b].blob);
	blobs[b].held = false;
	forget_dead_blobs();
}

static void write_blob(void)
{
	unsigned b = some_held_blob();
	unsigned page;

	operation = "write";
	if (b == BLOBS)
		return;
	page = below(blobs[b].pages);
	blobs[b].words[page] = rng_next(&rng);
	put_word(blobs[b].blob, page, blobs[b].words[page]);
}

/* ---- Placing --------------------------------------------------------------------------------- */

/* A wish where to place something, and what the model says to it. */
struct wish {
	struct map *map;
	struct placement place;
	struct range range; /* where it has to end up, when there is no error and `exact` */
	bool exact;
	bool inside; /* the submap's entry */
	int error;
};

/* The lowest free run that does, or an error. */
static void predict_lowest(struct wish *wish, unsigned low, unsigned high, unsigned pages)
{
	wish->error = -ENOMEM;
	for (unsigned first = low; first + pages <= high; first++) {
		if (page_at(first) & (wish->place.align - 1))
			continue;
		if (!range_is_free((struct range){first, first + pages}, wish->inside))
			continue;
		wish->range = (struct range){first, first + pages};
		wish->error = 0;
		return;
	}
}

/* Anywhere within limits, in private space or in the submap. */
static struct wish wish_anywhere(unsigned pages)
{
	struct wish wish = {.exact = true};
	unsigned hint = below(WINDOW);
	struct range limits;

	wish.inside = sub.map && sub.first != sub.end && below(3) == 0;
	wish.map = wish.inside ? sub.map : private_map;
	limits = wish.inside && below(2) ? (struct range){sub.first, sub.end} : random_range();
	if (below(2))
		limits = (struct range){0, WINDOW};
	wish.place.low = page_at(limits.first);
	wish.place.high = page_at(limits.end);
	wish.place.align = below(4) ? PAGE_SIZE : PAGE_SIZE << below(5);
	/* With an alignment, any place that does is right. */
	wish.exact = wish.place.align == PAGE_SIZE;
	predict_lowest(&wish, limits.first, limits.end, pages);
	if (below(3) == 0) {
		wish.place.address = page_at(hint);
		if (!(page_at(hint) & (wish.place.align - 1)) && hint >= limits.first &&
		    hint + pages <= limits.end &&
		    range_is_free((struct range){hint, hint + pages}, wish.inside)) {
			wish.range = (struct range){hint, hint + pages};
			wish.exact = true;
		}
	}
	return wish;
}

/* Exactly there, through the root or the submap. */
static struct wish wish_fixed(struct range range)
{
	bool through_sub = sub.map && sub.first != sub.end && below(4) == 0;
	struct wish wish = {.map = through_sub ? sub.map : root, .range = range, .exact = true};

	wish.place = below(3) == 0 ? fixed_at(page_at(range.first)) : replace_at(page_at(range.first));
	wish.inside = through_sub || belongs_in_sub(range);
	if (through_sub && (range.first < sub.first || range.end > sub.end))
		wish.error = -ENOMEM;
	else if (!(wish.place.flags & PLACE_REPLACE) && !range_is_free(range, wish.inside))
		wish.error = -EEXIST;
	return wish;
}

static struct wish random_wish(struct range range)
{
	return below(2) ? wish_fixed(range) : wish_anywhere(range.end - range.first);
}

static vm_prot_t ceiling_of(const struct wish *wish)
{
	return wish->inside ? sub.ceiling : VM_ALL;
}

/* Checks a call's result and takes over the address where the model leaves it open. True: it succeeded. */
static bool placed(struct wish *wish, int error, vaddr_t address)
{
	unsigned pages = wish->range.end - wish->range.first;
	unsigned page = (address - SPACE_BASE) >> PAGE_SHIFT;

	if (!CHECK_EQ(error, wish->error) || error)
		return false;
	if (!wish->exact) {
		if (!CHECK((address & (wish->place.align - 1)) == 0) || !CHECK(address >= wish->place.low) ||
		    !CHECK(address + pages_to_bytes(pages) <= wish->place.high))
			return false;
		wish->range = (struct range){page, page + pages};
	}
	if (!CHECK_EQ(address, page_at(wish->range.first)))
		return false;
	if (wish->place.flags & PLACE_REPLACE)
		model_unmap(wish->range, !wish->inside);
	return CHECK(range_is_free(wish->range, wish->inside));
}

static void map_a_blob(bool private)
{
	unsigned b = some_held_blob();
	unsigned copy = private ? unused_blob() : b;
	struct range range = random_range();
	struct mapping how = {.prot = random_prot(), .name = "model"};
	unsigned offset, pages;
	struct cell cell;
	struct wish wish;
	vaddr_t at = 0;
	int error;

	operation = private ? "map private" : "map";
	if (b == BLOBS || copy == BLOBS)
		return;
	offset = below(blobs[b].pages);
	pages = blobs[b].pages - offset;
	if (range.end - range.first > pages)
		range.end = range.first + pages;
	pages = range.end - range.first;
	wish = random_wish(range);
	how.max_prot = below(3) ? 0 : how.prot | VM_READ;
	if (!wish.error && (how.prot & ~ceiling_of(&wish)))
		wish.error = -EACCES;
	error = private ? map_blob_private(wish.map, &wish.place, blobs[b].blob, offset, pages, &how, &at)
			: map_blob(wish.map, &wish.place, blobs[b].blob, offset, pages, &how, &at);
	cell = (struct cell){CELL_BLOB, copy, private ? 0 : offset, how.prot,
			     (how.max_prot ? how.max_prot : VM_ALL) & ceiling_of(&wish)};
	if (!placed(&wish, error, at))
		return;
	if (private) {
		struct lookup found;

		/* What was replaced may have been the last of a blob whose place this takes. */
		model_clone(copy, b, offset, pages, false);
		CHECK_EQ(map_lookup(root, at, &found), 0);
		blobs[copy].blob = found.blob;
		blob_unref(found.blob);
	}
	model_map(wish.range, cell);
}

static void reserve(void)
{
	struct range range = random_range();
	struct wish wish = random_wish(range);
	vaddr_t at = 0;
	int error;

	operation = "reserve";
	error = map_reserve(wish.map, &wish.place, pages_to_bytes(range.end - range.first), "model", &at);
	if (placed(&wish, error, at))
		model_map(wish.range, (struct cell){.kind = CELL_RESERVED});
}

static void make_submap(struct range range)
{
	struct wish wish = wish_fixed(range);
	struct model_submap made = {range.first, range.end, NULL, below(3) ? VM_ALL : RX};
	int error = map_create_submap(wish.map, &wish.place, pages_to_bytes(range.end - range.first),
				      made.ceiling, "model", &made.map);

	operation = "submap";
	if (placed(&wish, error, made.map ? map_start(made.map) : 0))
		sub = made;
}

/* An entity of two parts with a hole between them, if the range is long enough. */
static void map_an_entity(struct range range)
{
	unsigned pages = range.end - range.first;
	unsigned half = pages / 2 - 1;
	unsigned b = some_held_blob();
	unsigned copy = unused_blob();
	struct wish wish = wish_fixed(range);
	struct entity *entity;
	struct lookup found;
	vaddr_t at = 0;
	int error;

	operation = "entity";
	if (pages < 4 || b == BLOBS || copy == BLOBS || blobs[b].pages < half)
		return;
	const struct segment segments[] = {
		{blobs[b].blob, 0, half + 1, half, RW, SEGMENT_PRIVATE, "model", NULL},
		{blobs[b].blob, 0, 0, half, RX, SEGMENT_SHARED, "model", NULL},
	};
	CHECK_EQ(entity_create("model", pages, segments, 2, &entity), 0);
	error = map_entity(wish.map, &wish.place, entity, &at);
	entity_unref(entity);
	if (!placed(&wish, error, at))
		return;
	sub = (struct model_submap){range.first, range.end, NULL, VM_ALL};
	model_map((struct range){range.first, range.first + half}, (struct cell){CELL_BLOB, b, 0, RX, RX});
	model_clone(copy, b, 0, half, false);
	CHECK_EQ(map_lookup(root, page_at(range.first + half + 1), &found), 0);
	blobs[copy].blob = found.blob;
	blob_unref(found.blob);
	model_map((struct range){range.first + half + 1, range.first + 2 * half + 1},
		  (struct cell){CELL_BLOB, copy, 0, RW, VM_ALL});
}

static void make_inner_map(void)
{
	if (sub.first != sub.end)
		return;
	if (below(2))
		make_submap(random_range());
	else
		map_an_entity(random_range());
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

static void unmap(void)
{
	struct range range = random_range();
	bool through_sub = sub.map && sub.first != sub.end && below(4) == 0;
	int error = map_unmap(through_sub ? sub.map : root, page_at(range.first),
			      pages_to_bytes(range.end - range.first));

	operation = "unmap";
	if (through_sub && (range.first < sub.first || range.end > sub.end)) {
		CHECK_EQ(error, -ENOMEM);
		return;
	}
	CHECK_EQ(error, 0);
	model_unmap(range, !through_sub);
}

static int predict_protect(struct range range, vm_prot_t prot)
{
	for (unsigned p = range.first; p < range.end; p++) {
		if (cells[p].kind == CELL_FREE)
			return -ENOMEM;
		if (cells[p].kind == CELL_RESERVED || (prot & ~cells[p].max_prot))
			return -EACCES;
	}
	return 0;
}

static void protect(void)
{
	struct range range = mapped_range();
	vm_prot_t prot = random_prot();
	int error = predict_protect(range, prot);

	operation = "protect";
	CHECK_EQ(map_protect(root, page_at(range.first), pages_to_bytes(range.end - range.first), prot),
		 error);
	for (unsigned p = range.first; p < range.end && !error; p++)
		cells[p].prot = prot;
}

static void decommit(void)
{
	struct range range = mapped_range();
	int error = 0;

	operation = "decommit";
	for (unsigned p = range.first; p < range.end; p++) {
		if (cells[p].kind != CELL_BLOB)
			error = -ENOMEM;
	}
	CHECK_EQ(map_decommit(root, page_at(range.first), pages_to_bytes(range.end - range.first)), error);
	for (unsigned p = range.first; p < range.end && !error; p++)
		blobs[cells[p].blob].words[cells[p].offset] = 0;
}

/* ---- Changing sizes -------------------------------------------------------------------------- */

/* Where the entry that shows a page ends, which the model does not know: neighbours may be one entry or two. */
static unsigned entry_end(unsigned page)
{
	struct map_entry *entry;
	unsigned end = 0;

	rw_read_lock(root->lock);
	entry = map_find(root, page_at(page));
	if (entry)
		end = (entry->end - SPACE_BASE) >> PAGE_SHIFT;
	rw_read_unlock(root->lock);
	return end;
}

/* What does not depend on where the mapping goes. */
static int predict_resize(struct range old, unsigned pages)
{
	const struct cell *cell = &cells[old.first];
	unsigned old_pages = old.end - old.first;

	if (cell->kind != CELL_BLOB || old.end > entry_end(old.first))
		return -EFAULT;
	if (pages > old_pages && pages > blobs[cell->blob].pages - cell->offset)
		return -EINVAL;
	for (unsigned i = old_pages; i < pages; i++) {
		if (is_shown(cell->blob, cell->offset + i))
			return -ENOMEM;
	}
	return 0;
}

static bool can_grow(struct range old, unsigned pages)
{
	struct range gained = {old.end, old.first + pages};

	return old.end == entry_end(old.first) && gained.end <= WINDOW &&
	       range_is_free(gained, in_sub(old.first));
}

static void model_move(struct wish *wish, struct range old, int error, vaddr_t at)
{
	struct cell cell = cells[old.first];
	bool overlap = wish->range.first < old.end && old.first < wish->range.end;

	if (!wish->error && wish->exact && overlap)
		wish->error = -EINVAL;
	else if (!wish->error && (cell.prot & ~ceiling_of(wish)))
		wish->error = -EACCES;
	cell.max_prot &= ceiling_of(wish);
	if (!placed(wish, error, at))
		return;
	model_map(wish->range, cell);
	model_unmap(old, true);
}

/* A new size for what a range shows, which is mostly all of an entry. */
static struct range range_to_resize(void)
{
	struct range old = mapped_range();

	if (below(4) && cells[old.first].kind == CELL_BLOB)
		old.end = entry_end(old.first);
	return old;
}

static void resize(void)
{
	struct range old = range_to_resize();
	unsigned old_pages = old.end - old.first;
	unsigned pages = 1 + below(below(4) && old_pages < MAX_PAGES ? old_pages + 3 : MAX_PAGES);
	unsigned first = below(WINDOW - pages);
	bool fixed = below(3) == 0;
	struct wish wish = fixed ? wish_fixed((struct range){first, first + pages}) : wish_anywhere(pages);
	struct resize_request want = {.start = page_at(old.first),
				      .old_bytes = pages_to_bytes(old_pages),
				      .new_bytes = pages_to_bytes(pages),
				      .may_move = below(4) != 0,
				      .place = wish.place};
	int predicted = predict_resize(old, pages);
	bool moves = fixed || (!predicted && pages > old_pages && !can_grow(old, pages));
	vaddr_t at = 0;
	int error;

	operation = "resize";
	if (!predicted && moves && !want.may_move)
		predicted = fixed ? -EINVAL : -ENOMEM;
	error = map_resize(root, wish.map, &want, &at);
	if (predicted) {
		CHECK_EQ(error, predicted);
		return;
	}
	if (moves) {
		model_move(&wish, old, error, at);
		return;
	}
	CHECK_EQ(error, 0);
	CHECK_EQ(at, want.start);
	if (pages < old_pages)
		model_unmap((struct range){old.first + pages, old.end}, true);
	else
		model_map((struct range){old.first, old.first + pages}, cells[old.first]);
}

/* ---- Accesses -------------------------------------------------------------------------------- */

static void access(void)
{
	unsigned page = mapped_range().first;
	const struct cell *cell = &cells[page];
	bool write = below(2);
	vm_prot_t needed = VM_READ | (write ? VM_WRITE : 0);
	uint64_t word = rng_next(&rng);
	uint64_t *expected = cell->kind == CELL_BLOB ? &blobs[cell->blob].words[cell->offset] : NULL;
	int predicted = !expected ? -EFAULT : needed & ~cell->prot ? -EACCES : 0;

	operation = write ? "store" : "load";
	if (write) {
		CHECK_EQ(user_store(root, page_at(page), word), predicted);
		if (!predicted)
			*expected = word;
	} else {
		CHECK_EQ(user_load(root, page_at(page), &word), predicted);
		if (!predicted)
			CHECK_EQ(word, *expected);
	}
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* Compares an entry's part of the window with the model; marks what it has seen. */
static bool compare_entry(const struct map_entry *entry, bool inside, bool seen[WINDOW])
{
	bool good = true;

	for (vaddr_t va = entry->start; va < entry->end; va += PAGE_SIZE) {
		unsigned p = (va - SPACE_BASE) >> PAGE_SHIFT;
		const struct cell *cell = cells;

		if (va < SPACE_BASE || p >= WINDOW)
			continue;
		cell += p;
		seen[p] = true;
		good &= CHECK_EQ(in_sub(p), inside);
		if (entry->kind != ENTRY_BLOB) {
			good &= CHECK(entry->kind == ENTRY_RESERVED && cell->kind == CELL_RESERVED);
			continue;
		}
		if (!CHECK(cell->kind == CELL_BLOB))
			return false;
		good &= CHECK(blobs[cell->blob].blob == entry->blob) & CHECK_EQ(entry->prot, cell->prot) &
			CHECK_EQ(entry->max_prot, cell->max_prot) &
			CHECK_EQ(entry->offset + ((va - entry->start) >> PAGE_SHIFT), cell->offset);
	}
	return good;
}

static bool compare_entries(struct map *map, bool inside, bool seen[WINDOW])
{
	bool good = true;

	for (const struct map_entry *entry = map->first; entry; entry = entry->next) {
		if (!entry->submap) {
			good &= compare_entry(entry, inside, seen);
			continue;
		}
		good &= CHECK_EQ(entry->start, page_at(sub.first)) & CHECK_EQ(entry->end, page_at(sub.end)) &
			CHECK(!sub.map || sub.map == entry->submap) &
			compare_entries(entry->submap, true, seen);
	}
	return good;
}

/* Page tables may have less than what the model shows, but nothing else. */
static bool compare_translation(unsigned page)
{
	struct pmap_query found = pmap_query(map_pmap(root), page_at(page));
	const struct cell *cell = &cells[page];

	if (!found.page)
		return true;
	return CHECK(cell->kind == CELL_BLOB) &&
	       (CHECK((found.prot & ~(cell->prot | VM_USER)) == 0) &
		CHECK_EQ(*(uint64_t *)page_data(found.page), blobs[cell->blob].words[cell->offset]));
}

static bool compare_contents(void)
{
	bool good = true;

	for (unsigned b = 0; b < BLOBS; b++) {
		for (unsigned i = 0; i < blobs[b].pages && blobs[b].blob && blobs[b].held; i++)
			good &= CHECK_EQ(get_word(blobs[b].blob, i), blobs[b].words[i]);
	}
	return good;
}

static bool compare(bool contents)
{
	static bool seen[WINDOW];
	bool good = check_map(root);

	memset(seen, 0, sizeof(seen));
	rw_read_lock(root->lock);
	good &= compare_entries(private_map, false, seen);
	rw_read_unlock(root->lock);
	for (unsigned p = 0; p < WINDOW; p++)
		good &= CHECK_EQ(seen[p], cells[p].kind != CELL_FREE) & compare_translation(p);
	return good && (!contents || compare_contents());
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void step(void)
{
	unsigned choice = below(32);

	if (choice < 5)
		map_a_blob(false);
	else if (choice < 7)
		map_a_blob(true);
	else if (choice < 8)
		reserve();
	else if (choice < 10)
		make_inner_map();
	else if (choice < 12)
		unmap();
	else if (choice < 15)
		protect();
	else if (choice < 16)
		decommit();
	else if (choice < 20)
		resize();
	else if (choice < 21)
		clone_blob();
	else if (choice < 23)
		drop_blob();
	else if (choice < 24)
		write_blob();
	else
		access();
	forget_dead_blobs();
}

static bool stream_start(uint64_t seed)
{
	struct placement before = fixed_at(page_at(0) - PAGE_SIZE);
	struct placement after = fixed_at(page_at(WINDOW));
	vaddr_t at;

	memset(cells, 0, sizeof(cells));
	memset(blobs, 0, sizeof(blobs));
	memset(&sub, 0, sizeof(sub));
	rng.state = seed;
	root = space_open("map model");
	if (!root)
		return false;
	rw_read_lock(root->lock);
	private_map = map_containing(root, page_at(0), page_at(WINDOW));
	rw_read_unlock(root->lock);
	CHECK_EQ(map_reserve(root, &before, PAGE_SIZE, "wall", &at), 0);
	CHECK_EQ(map_reserve(root, &after, PAGE_SIZE, "wall", &at), 0);
	return true;
}

static void stream(uint64_t seed)
{
	struct footprint before = footprint_now();

	if (!stream_start(seed))
		return;
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (!compare(i % 16 == 0)) {
			test_print("# map_model: seed %llu, step %u, after \"%s\"", (unsigned long long)seed,
				   i, operation);
			break;
		}
	}
	space_close(root);
	for (unsigned b = 0; b < BLOBS; b++) {
		if (blobs[b].blob && blobs[b].held)
			blob_unref(blobs[b].blob);
	}
	check_footprint(&before);
}

void suite_map_model(void)
{
	test_case("a random stream of map operations does what the model says");
	for (uint64_t seed = 21; seed < 25; seed++)
		stream(seed);
}
