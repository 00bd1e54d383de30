/*
 * What is done with ranges of a map without changing what is mapped there: contents, look-ups,
 * wiring, advice, and the list of entries.
 *
 * As in range.c, whose visits of a range's entries all of this uses, what can fail is checked and
 * allocated first.
 */
#include <asm/errno.h>

#include "vm_internal.h"

/* ---- Contents ------------------------------------------------------------------------------------------- */

/* Is the entry's part of a range a window of a blob? Anything else counts as a hole. */
static int check_blob(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	(void)start, (void)end, (void)context;
	return entry->kind == ENTRY_BLOB ? 0 : -ENOMEM;
}

/*
 * The same for decommit; and what it may need memory for is done here, so that all of the range is
 * forgotten, or nothing.
 */
static int prepare_decommit(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	int error = check_blob(entry, start, end, context);
	struct blob *blob = entry->blob;
	pgoff_t first, last;

	MAP_ASSERT_LOCKED(entry->map);
	if (error)
		return error;
	if (blob->fixed)
		return -EINVAL;
	first = entry_offset_at(entry, start);
	last = first + ((end - start) >> PAGE_SHIFT);
	spin_lock(&blob->family->lock);
	DEBUG_ASSERT(!blob_check_window(blob, first, last - first));
	error = blob_is_wired(blob, first, last) ? -EBUSY : 0;
	if (!error)
		error = tree_unshare_ends(&blob->tree, blob->base + first, blob->base + last);
	family_unlock(blob->family);
	return error;
}

/* The second pass: fails only if somebody shares or wires the blob between the two. */
static int decommit_entry(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	MAP_ASSERT_LOCKED(entry->map);
	(void)context;
	return blob_decommit(entry->blob, entry_offset_at(entry, start), (end - start) >> PAGE_SHIFT);
}

/* Between the two passes only the map is locked, to read: its entries stay, and with them the blobs. */
int map_decommit(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	map_read_lock(map);
	error = range_for_each(map, start, end, true, prepare_decommit, NULL);
	if (!error)
		error = range_for_each(map, start, end, true, decommit_entry, NULL);
	map_read_unlock(map);
	return error;
}

int map_check(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	map_read_lock(map);
	error = range_for_each(map, start, start + size_bytes, true, check_blob, NULL);
	map_read_unlock(map);
	return error;
}

/* Notes the pages that are shown as the page of zeroes: what no tree has and is translated all the same. */
static void note_zeroes(const struct map_entry *entry, vaddr_t start, pgoff_t pages, unsigned char *vector)
{
	MAP_ASSERT_LOCKED(entry->map);
	for (pgoff_t i = 0; i < pages; i++) {
		if (!vector[i])
			vector[i] = pmap_query(entry->map->pmap, start + pages_to_bytes(i)).page != NULL;
	}
}

/* *context is where the next page's byte goes: visits come in the order of addresses, without holes. */
static int residency_of_entry(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	unsigned char **vector = context;
	pgoff_t pages = (end - start) >> PAGE_SHIFT;

	MAP_ASSERT_LOCKED(entry->map);
	if (blob_residency(entry->blob, entry_offset_at(entry, start), pages, *vector))
		note_zeroes(entry, start, pages, *vector);
	*vector += pages;
	return 0;
}

/* In two passes, so that nothing is written to the vector for a range with a hole in it. */
int map_residency(struct map *map, vaddr_t start, uint64_t size_bytes, unsigned char *vector)
{
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	map_read_lock(map);
	error = range_for_each(map, start, end, true, check_blob, NULL);
	if (!error)
		error = range_for_each(map, start, end, true, residency_of_entry, &vector);
	map_read_unlock(map);
	return error;
}

int map_lookup(struct map *map, vaddr_t address, struct lookup *out)
{
	struct map_entry *entry;
	int error = -EFAULT;

	map_read_lock(map);
	entry = map_find(map, address);
	if (entry && entry->kind == ENTRY_BLOB) {
		out->blob = entry->blob;
		/* The caller's, as the entry may be gone as soon as the map is unlocked. */
		blob_ref(entry->blob);
		out->offset = entry_offset_at(entry, page_round_down(address));
		out->end = entry->end;
		out->how = (struct mapping){.prot = entry->prot,
					    .max_prot = entry->max_prot,
					    .inherit = entry->inherit,
					    .name = entry->name};
		error = 0;
	}
	map_read_unlock(map);
	return error;
}

/* ---- Wiring ------------------------------------------------------------------------------------------------- */

/*
 * Wiring a range, in two passes: every entry's part as a wiring of its own; then these become the
 * entries'.
 */
struct wire_range {
	struct wiring_list wirings;
	struct split_reserve reserve;
};

/*
 * The first pass: a wiring for the entry's part. Nothing of the map changes. Whoever wires the pages
 * also has them writable where the entry may write, or the first write to them would need a copy.
 */
static int prepare_wiring(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct wire_range *range = context;
	enum obtain_for purpose = entry->prot & VM_WRITE ? OBTAIN_WRITE : OBTAIN_READ;
	struct wiring *wiring;
	int error;

	MAP_ASSERT_WRITING(entry->map);
	if (entry->wired)
		return 0;
	error = wiring_create(entry->blob, entry_offset_at(entry, start), (end - start) >> PAGE_SHIFT,
			      purpose, &wiring);
	if (!error)
		wiring_append(&range->wirings, wiring);
	return error;
}

/*
 * The second pass: visits the same parts in the same order, and so takes the wirings in the order in
 * which they were made. Cannot fail.
 */
static int commit_wiring(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct wire_range *range = context;

	MAP_ASSERT_WRITING(entry->map);
	if (!entry->wired) {
		entry = entry_clip(entry, start, end, &range->reserve);
		wiring_give(wiring_take(&range->wirings), entry);
	}
	entry_merge(entry);
	return 0;
}

int map_wire(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	struct wire_range range = {.wirings = {NULL, NULL}};
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	/* To the end in one section, pagers' work included: who faults meanwhile waits. */
	map_write_lock(map);
	error = range_for_each(map, start, end, true, check_blob, NULL);
	if (!error)
		error = split_reserve_fill(&range.reserve, map, start, end);
	if (!error) {
		error = range_for_each(map, start, end, true, prepare_wiring, &range);
		if (error) {
			while (range.wirings.first)
				blob_unwire(wiring_take(&range.wirings));
		} else {
			(void)range_for_each(map, start, end, true, commit_wiring, &range);
			/*
			 * The visits of both passes were the same: every wiring has become an entry's.
			 */
			ASSERT(!range.wirings.first);
			range_merge_at(map, end);
		}
		split_reserve_drain(&range.reserve);
	}
	map_write_unlock(map);
	return error;
}

/* Parts of a range that are not wired stay as they are. */
static int unwire_part(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct split_reserve *reserve = context;

	MAP_ASSERT_WRITING(entry->map);
	if (entry->wired) {
		entry = entry_clip(entry, start, end, reserve);
		spin_lock(&entry->blob->family->lock);
		entry_unwire(entry);
		family_unlock(entry->blob->family);
	}
	entry_merge(entry);
	return 0;
}

int map_unwire(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	struct split_reserve reserve;
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error)
		return error;
	map_write_lock(map);
	error = range_for_each(map, start, end, true, check_blob, NULL);
	if (!error)
		error = split_reserve_fill(&reserve, map, start, end);
	if (!error) {
		(void)range_for_each(map, start, end, true, unwire_part, &reserve);
		range_merge_at(map, end);
		split_reserve_drain(&reserve);
	}
	map_write_unlock(map);
	return error;
}

/* ---- Advice ---------------------------------------------------------------------------------------------- */

struct advising {
	enum map_advice advice;
	struct split_reserve reserve;
};

/* The advice is the entry's own, and no translation depends on it: the family need not be locked. */
static int advise_part(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct advising *advising = context;

	MAP_ASSERT_WRITING(entry->map);
	DEBUG_ASSERT(advising->advice <= ADVISE_SEQUENTIAL);
	if (entry->advice != advising->advice) {
		entry = entry_clip(entry, start, end, &advising->reserve);
		entry->advice = advising->advice;
	}
	entry_merge(entry);
	return 0;
}

/* Advice that is kept, for later faults. Writing. */
static int advise_for_later(struct map *map, vaddr_t start, vaddr_t end, enum map_advice advice)
{
	struct advising advising = {.advice = advice};
	int error = split_reserve_fill(&advising.reserve, map, start, end);

	if (error)
		return error;
	(void)range_for_each(map, start, end, true, advise_part, &advising);
	range_merge_at(map, end);
	/* Entries at the ends that had the advice already were not split. */
	split_reserve_drain(&advising.reserve);
	return 0;
}

/*
 * Only a help: if memory or a pager fails, the faults will find out. Sleeps with the map locked to
 * read.
 */
static int will_need_part(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	MAP_ASSERT_LOCKED(entry->map);
	(void)context;
	if (!entry->blob->fixed)
		page_in_window(entry->blob, entry_offset_at(entry, start), (end - start) >> PAGE_SHIFT);
	return 0;
}

/* Pages that others have wired stay, and are no error. Sleeps with the map locked to read. */
static int page_out_part(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	MAP_ASSERT_LOCKED(entry->map);
	(void)context;
	if (entry->blob->fixed)
		return 0;
	return blob_page_out(entry->blob, entry_offset_at(entry, start), (end - start) >> PAGE_SHIFT);
}

int map_advise(struct map *map, vaddr_t start, uint64_t size_bytes, enum map_advice advice)
{
	bool for_later = advice <= ADVISE_SEQUENTIAL;
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error || advice >= MAP_ADVICES)
		return -EINVAL;
	if (for_later)
		map_write_lock(map);
	else
		map_read_lock(map);
	error = range_for_each(map, start, end, true, check_blob, NULL);
	if (!error && for_later)
		error = advise_for_later(map, start, end, advice);
	else if (!error)
		error = range_for_each(map, start, end, true,
				       advice == ADVISE_WILLNEED ? will_need_part : page_out_part, NULL);
	if (for_later)
		map_write_unlock(map);
	else
		map_read_unlock(map);
	return error;
}

/* ---- Listing --------------------------------------------------------------------------------------------- */

/*
 * Visits the entries of the map and, behind each passable submap's own, those in it. What a visit
 * returns, if not 0, ends it.
 */
static int walk_map(struct map *map, unsigned depth,
		    int (*visit)(const struct entry_info *info, void *context), void *context)
{
	MAP_ASSERT_LOCKED(map);
	DEBUG_ASSERT(depth <= MAP_MAX_DEPTH);
	for (struct map_entry *entry = map->first; entry; entry = entry->next) {
		struct entry_info info = {.depth = depth,
					  .kind = entry->kind,
					  .start = entry->start,
					  .end = entry->end,
					  .prot = entry->prot,
					  .max_prot = entry->max_prot,
					  .inherit = entry->inherit,
					  .wired = entry->wired,
					  .advice = entry->advice,
					  .name = entry->name,
					  .offset = entry->offset};
		int stop;

		if (entry->blob) {
			struct blob_usage usage;

			(void)blob_usage(entry->blob, entry->offset, entry_pages(entry), &usage);
			info.resident = usage.resident;
			info.paged_out = usage.paged_out;
			for (unsigned i = 0; i < FAULT_CASES; i++)
				info.faults[i] = entry->faults[i];
		}
		stop = visit(&info, context);
		if (!stop && entry_is_passable(entry))
			stop = walk_map(entry->submap, depth + 1, visit, context);
		if (stop)
			return stop;
	}
	return 0;
}

int map_walk(struct map *map, int (*visit)(const struct entry_info *info, void *context), void *context)
{
	int stop;

	map_read_lock(map);
	stop = walk_map(map, 0, visit, context);
	map_read_unlock(map);
	return stop;
}
