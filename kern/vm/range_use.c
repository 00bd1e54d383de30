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

/* Does the map have a translation in the range through which something was written? */
static bool has_dirty(struct pmap *pmap, vaddr_t start, vaddr_t end)
{
	for (vaddr_t at = pmap_next(pmap, start, end); at < end; at = pmap_next(pmap, at + PAGE_SIZE, end))
		if (pmap_query(pmap, at).dirty)
			return true;
	return false;
}

static int take_written(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	bool *written = context;

	if (entry->kind != ENTRY_BLOB || entry->inherit != INHERIT_SHARE || !(entry->prot & VM_WRITE))
		return 0;
	spin_lock(&entry->blob->family->lock);
	if (entry_written(entry) || has_dirty(entry->map->pmap, start, end)) {
		*written = true;
		entry->told = entry_write_faults(entry);
		pmap_remove(entry->map->pmap, start, end);
	}
	family_unlock(entry->blob->family);
	return 0;
}

bool map_take_written(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	bool written = false;

	if (range_check(start, size_bytes) != 0)
		return false;
	map_read_lock(map);
	(void)range_for_each(map, start, start + size_bytes, false, take_written, &written);
	map_read_unlock(map);
	return written;
}

/*
 * With references of the caller's, as the entry may be gone as soon as the map is unlocked. A visitor's to the blob does not keep pages that are
 * unmapped meanwhile.
 */
static void describe_entry(struct map_entry *entry, vaddr_t address, bool visits, struct lookup *out)
{
	MAP_ASSERT_LOCKED(entry->map);
	if (visits) {
		spin_lock(&entry->blob->family->lock);
		blob_visit(entry->blob);
		family_unlock(entry->blob->family);
	} else {
		blob_ref(entry->blob);
	}
	map_label_ref(entry->label);
	*out = (struct lookup){
		.blob = entry->blob,
		.offset = entry_offset_at(entry, page_round_down(address)),
		.start = entry->start,
		.end = entry->end,
		.how = {.prot = entry->prot | (entry->read_unasked ? VM_READ_UNASKED : 0),
			.max_prot = entry->max_prot,
			.inherit = entry->inherit,
			.name = entry->name,
			.label = entry->label,
			.grows_down = entry->grows_down},
		.fork = entry->fork,
		.forks = entry->blob->forks,
		.copied = entry->blob->copied,
		.wired = entry->wired || entry->on_fault,
		.visits = visits,
		.first = entry->offset,
		.pages = entry_pages(entry),
	};
	out->origin = entry->blob->base + out->offset;
}

int map_lookup(struct map *map, vaddr_t address, struct lookup *out)
{
	struct map_entry *entry;
	int error = -EFAULT;

	map_read_lock(map);
	entry = map_find(map, address);
	if (entry && entry->kind == ENTRY_BLOB) {
		describe_entry(entry, address, false, out);
		error = 0;
	}
	map_read_unlock(map);
	return error;
}

/* Ends the visits at the first entry that is a window of a blob. */
static int describe_first(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	(void)end;
	if (entry->kind != ENTRY_BLOB)
		return 0;
	describe_entry(entry, start, true, context);
	return 1;
}

bool map_is_busy(const struct map *map)
{
	return rw_held_write(map->lock);
}

int map_lookup_from(struct map *map, vaddr_t start, vaddr_t end, struct lookup *out)
{
	int found;

	map_read_lock(map);
	found = range_for_each(map, start, end, false, describe_first, out);
	map_read_unlock(map);
	return found == 1 ? 0 : -EFAULT;
}

void lookup_release(struct lookup *found)
{
	if (found->visits)
		blob_leave(found->blob, found->first, found->pages);
	else
		blob_unref(found->blob);
	map_label_unref(found->how.label);
}

/* ---- Access to another program's memory ------------------------------------------------------------------- */

/* An access of the kernel to what is mapped in a root. */
struct foreign_access {
	vaddr_t address;
	vm_prot_t wanted; /* VM_READ or VM_WRITE */
	char *buffer;     /* kernel memory: only read from, where VM_WRITE is wanted */
	size_t bytes;
};

/* As much of it as lies within one page. 0, -EFAULT, -ENOMEM, -EIO. Locked to read, so that the mapping stays; sleeps. */
static int access_page(struct map *root, const struct foreign_access *access, size_t piece)
{
	struct map_entry *entry = map_find(root, access->address);
	uint64_t offset;
	int error;

	MAP_ASSERT_LOCKED(root);
	if (!entry || entry->kind != ENTRY_BLOB || (access->wanted & ~entry->prot))
		return -EFAULT;
	offset = pages_to_bytes(entry_offset_at(entry, access->address)) + (access->address & PAGE_MASK);
	if (access->wanted & VM_WRITE)
		error = blob_write(entry->blob, offset, access->buffer, piece);
	else
		error = blob_read(entry->blob, offset, access->buffer, piece);
	/* The blob is a device, or has ended. */
	return error == -EINVAL || error == -ENXIO ? -EFAULT : error;
}

/* The map is locked for one page at a time: others need not wait for a long copy. */
static int64_t access_foreign(struct map *root, struct foreign_access access)
{
	size_t wanted = access.bytes;
	int error = 0;

	while (access.bytes > 0) {
		size_t piece = PAGE_SIZE - (access.address & PAGE_MASK);

		if (piece > access.bytes)
			piece = access.bytes;
		map_read_lock(root);
		error = access_page(root, &access, piece);
		map_read_unlock(root);
		if (error)
			break;
		access.address += piece;
		access.buffer += piece;
		access.bytes -= piece;
	}
	return access.bytes == wanted ? error : (int64_t)(wanted - access.bytes);
}

int64_t map_read(struct map *root, vaddr_t address, void *to, size_t bytes)
{
	return access_foreign(root, (struct foreign_access){address, VM_READ, to, bytes});
}

int64_t map_write(struct map *root, vaddr_t address, const void *from, size_t bytes)
{
	return access_foreign(root, (struct foreign_access){address, VM_WRITE, (char *)from, bytes});
}

/* ---- Wiring ------------------------------------------------------------------------------------------------- */

/*
 * Wiring a range, in two passes: every entry's part as a wiring of its own; then these become the
 * entries'.
 */
struct wire_range {
	bool on_fault;
	struct wiring_list wirings;
	struct split_reserve reserve;
};

/* The first pass: a wiring for the entry's part, wired already or not. Nothing of the map changes. */
static int prepare_wiring(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct wire_range *range = context;
	struct wiring *wiring;
	int error = entry_make_wiring(entry, entry_offset_at(entry, start), (end - start) >> PAGE_SHIFT,
				      range->on_fault, &wiring);

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
	entry = entry_clip(entry, start, end, &range->reserve);
	if (entry->wired) {
		spin_lock(&entry->blob->family->lock);
		entry_unwire(entry);
		family_unlock(entry->blob->family);
	}
	wiring_give(wiring_take(&range->wirings), entry);
	entry_merge(entry);
	return 0;
}

static int wire_range(struct map *map, vaddr_t start, uint64_t size_bytes, bool on_fault)
{
	struct wire_range range = {.on_fault = on_fault};
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

int map_wire(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	return wire_range(map, start, size_bytes, false);
}

int map_wire_on_fault(struct map *map, vaddr_t start, uint64_t size_bytes)
{
	return wire_range(map, start, size_bytes, true);
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
	DEBUG_ASSERT(advising->advice <= ADVISE_CLUSTER);
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

/* Sleeps not, and cannot fail. */
static int cool_part(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	MAP_ASSERT_LOCKED(entry->map);
	(void)context;
	if (!entry->blob->fixed)
		blob_cool(entry->blob, entry_offset_at(entry, start), (end - start) >> PAGE_SHIFT);
	return 0;
}

/* What is done at once for each entry of a range. */
static const range_visit advice_now[MAP_ADVICES] = {
	[ADVISE_WILLNEED] = will_need_part,
	[ADVISE_COLD] = cool_part,
	[ADVISE_PAGE_OUT] = page_out_part,
};

int map_advise(struct map *map, vaddr_t start, uint64_t size_bytes, enum map_advice advice)
{
	bool for_later = advice <= ADVISE_CLUSTER;
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
		error = range_for_each(map, start, end, true, advice_now[advice], NULL);
	if (for_later)
		map_write_unlock(map);
	else
		map_read_unlock(map);
	return error;
}

/* ---- What a fork does with a range -------------------------------------------------------------------------- */

struct fork_change {
	unsigned set, clear;
	struct split_reserve reserve;
};

static int check_fork(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	const struct fork_change *change = context;
	int error = check_blob(entry, start, end, context);

	if (!error && (change->set & FORK_WIPE) && !entry_is_anonymous(entry))
		error = -EINVAL;
	return error;
}

/* No translation depends on it: the family need not be locked. */
static int set_fork_of_part(struct map_entry *entry, vaddr_t start, vaddr_t end, void *context)
{
	struct fork_change *change = context;
	uint8_t fork = (entry->fork & ~change->clear) | change->set;

	MAP_ASSERT_WRITING(entry->map);
	if (entry->fork != fork) {
		entry = entry_clip(entry, start, end, &change->reserve);
		entry->fork = fork;
	}
	entry_merge(entry);
	return 0;
}

int map_set_fork(struct map *map, vaddr_t start, uint64_t size_bytes, unsigned set, unsigned clear)
{
	struct fork_change change = {.set = set, .clear = clear};
	vaddr_t end = start + size_bytes;
	int error = range_check(start, size_bytes);

	if (error || ((set | clear) & ~(FORK_OMIT | FORK_WIPE | DUMP_OMIT)))
		return -EINVAL;
	map_write_lock(map);
	error = range_for_each(map, start, end, true, check_fork, &change);
	if (!error)
		error = split_reserve_fill(&change.reserve, map, start, end);
	if (!error) {
		(void)range_for_each(map, start, end, true, set_fork_of_part, &change);
		range_merge_at(map, end);
		split_reserve_drain(&change.reserve);
	}
	map_write_unlock(map);
	return error;
}

/* ---- Listing --------------------------------------------------------------------------------------------- */

/* A visit that counts the mappings that are of a map. */
static void count_mapping(struct map_entry *entry, pgoff_t first, pgoff_t end, void *context)
{
	(void)first, (void)end;
	*(uint32_t *)context += entry->map != NULL;
}

/* What there is to say of the blob that an entry shows. Map locked. */
static void tell_blob(const struct map_entry *entry, struct entry_info *info)
{
	struct blob *blob = entry->blob;
	pgoff_t end = entry->offset + entry_pages(entry);

	MAP_ASSERT_LOCKED(entry->map);
	info->offset = entry->offset;
	info->origin = blob->base + entry->offset;
	info->anonymous = entry_is_anonymous(entry);
	(void)blob_usage(blob, entry->offset, entry_pages(entry), &info->usage);
	spin_lock(&blob->family->lock);
	blob_for_each_mapping(blob, entry->offset, end, count_mapping, &info->mappings);
	for (unsigned i = 0; i < FAULT_CASES; i++)
		info->faults[i] = entry->faults[i];
	family_unlock(blob->family);
}

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
					  .fork = entry->fork,
					  .wired = entry->wired,
					  .on_fault = entry->on_fault,
					  .grows_down = entry->grows_down,
					  .advice = entry->advice,
					  .name = entry->name,
					  .label = entry->label};
		int stop;

		if (entry->blob)
			tell_blob(entry, &info);
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
