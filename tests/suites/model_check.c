/*
 * Comparing: what operations touched after every step, a part of everything else in turn, and now and then all of it.
 *
 * What is compared is read from the VM's own structures, as looking through its calls could change something. do_map_walk() and others
 * compare what those say.
 */
#include "model_internal.h"

#define TOUCHED      8
#define CELLS_A_STEP 6
#define PEEKS_A_STEP 2
#define PRIME_STRIDE 37 /* of turns: comes by every cell */

static struct {
	uint8_t blob, first, end;
} touched[TOUCHED];
static unsigned touched_count;

void model_touch(const struct model_blob *blob, unsigned first, unsigned end)
{
	unsigned number = blob_number(blob);
	unsigned last = touched_count - 1;

	if (touched_count > 0 && touched[last].blob == number && touched[last].end == first) {
		touched[last].end = end;
		return;
	}
	if (touched_count == TOUCHED)
		return;
	touched[touched_count].blob = number;
	touched[touched_count].first = first;
	touched[touched_count++].end = end;
}

void model_touch_root(const struct model_root *root)
{
	m.touched_root = root_number(root);
}

/* ---- Blobs ----------------------------------------------------------------------------------------------- */

static bool check_contents(const struct model_blob *blob, unsigned i, const void *data)
{
	if (memcmp(data, page_bytes(blob->page[i]), PAGE_SIZE) == 0)
		return true;
	WRONG("# stream: page %u of b%u is not as the model has it", i, blob_number(blob));
	return false;
}

static bool check_page(const struct model_blob *blob, unsigned i)
{
	unsigned number = blob->page[i];
	struct model_page *page = &m.page[number];
	const struct page *frame;
	slot_t slot;

	if (blob->kind == KIND_DEVICE)
		return true;
	if (blob->kind == KIND_CONTIGUOUS)
		return check_contents(blob, i, env_phys_to_virt(blob->blob->fixed_start + pages_to_bytes(i)));
	slot = blob_slot(blob, i);
	if (number == 0)
		return AGREE_EQ(slot, SLOT_EMPTY);
	if (page->slot == SLOT_EMPTY)
		page->slot = slot;
	if (!AGREE_EQ(slot, page->slot))
		return false;
	if (page->state == MPAGE_OUT)
		return AGREE(slot_is_paged_out(slot)) && check_swapped(blob, i);
	if (!AGREE(slot_is_page(slot)))
		return false;
	frame = slot_page(slot);
	return AGREE_EQ(frame->state == PAGE_BLOB, page->state == MPAGE_MEMORY) &&
	       AGREE(page->state != MPAGE_MEMORY || ((frame->age & PAGE_HELD) != 0) == page->held) &&
	       AGREE(page->state != MPAGE_MEMORY || (page_location(frame) != 0) == page->located) &&
	       check_contents(blob, i, page_data(frame)) && check_swapped(blob, i);
}

static void check_blob(const struct model_blob *blob, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end && blob->blob && i < blob->pages; i++) {
		if (!check_page(blob, i)) {
			test_print("# stream: page %u of b%u, page %u of the model", i, blob_number(blob),
				   blob->page[i]);
			return;
		}
	}
}

static void check_wirings(void)
{
	static uint16_t counts[MODEL_PAGES];

	count_wirings(counts);
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && i < blob->pages; i++) {
			if (m.page[blob->page[i]].state == MPAGE_MEMORY)
				AGREE_EQ(slot_page(blob_slot(blob, i))->wired, counts[blob->page[i]]);
		}
	}
}

static bool is_located(const struct model_page *page)
{
	return page->state == MPAGE_OUT || (page->state == MPAGE_MEMORY && page->located);
}

/* How many pages there are in memory, and locations at the store, and in swap. */
static void check_counts(void)
{
	unsigned memory = 0, stored = 0, swapped = 0;
	bool seen[MODEL_PAGES] = {true};

	for (unsigned page = 1; page < m.pages_end; page++)
		memory += m.page[page].state == MPAGE_MEMORY;
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		const struct model_blob *blob = &m.blob[b];

		for (unsigned i = 0; blob->blob && i < blob->pages; i++) {
			unsigned page = blob->page[i];

			if (!seen[page] && is_located(&m.page[page])) {
				stored += !is_in_swap(blob);
				swapped += is_in_swap(blob) && !page_is_zeroes(page);
			}
			seen[page] = true;
		}
	}
	AGREE_EQ(blob_pages_now() - m.blob_pages, memory + disks_keep_alone());
	AGREE_EQ(store_used(), stored);
	AGREE_EQ(swap_used(), swapped);
}

/* ---- Maps ---------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct model_cell *cell)
{
	static const char *const segments[] = {"text", "data", "rest"};

	return cell->name < MODEL_NAMES ? model_names[cell->name] : segments[cell->name - MODEL_NAMES];
}

/* What an entry says of one cell. */
static bool check_cell(const struct map_entry *entry, const struct model_cell *cell, unsigned page)
{
	if (entry->kind == ENTRY_RESERVED)
		return AGREE(cell->kind == CELL_RESERVED) && AGREE(strcmp(entry->name, name_of(cell)) == 0);
	return AGREE(entry->kind == ENTRY_BLOB && cell->kind == CELL_BLOB) &&
	       AGREE(m.blob[cell->blob].blob == entry->blob) &&
	       AGREE_EQ(entry->offset + page, m.blob[cell->blob].low + cell->offset) &&
	       AGREE_EQ(entry->prot, cell->prot) && AGREE_EQ(entry->max_prot, cell->max_prot) &&
	       AGREE_EQ(entry->inherit, cell->inherit) && AGREE_EQ(entry->advice, cell->advice) &&
	       AGREE_EQ(entry->wired, cell->wired) && AGREE(strcmp(entry->name, name_of(cell)) == 0);
}

/* A submap or entity in the window is a region. Returns its number. */
static unsigned check_region(const struct model_root *root, const struct map_entry *entry, unsigned parent)
{
	unsigned first = cell_at(root, entry->start);

	for (unsigned r = 0; r < MODEL_REGIONS; r++) {
		const struct model_region *region = &m.region[r];

		if (!region->used || region->root != root_number(root) || region->parent != parent ||
		    r == parent || (r != root->private_region && region->first != first))
			continue;
		if (r == root->private_region && entry->start != LAYOUT_PRIVATE_START)
			continue;
		AGREE(region->entity || region->map == entry->submap);
		AGREE_EQ(region->entity, entry->kind == ENTRY_ENTITY);
		if (r != root->private_region)
			AGREE_EQ(entry->end - entry->start, pages_to_bytes(region->end - region->first));
		return r;
	}
	WRONG("# stream: a map at 0x%llx that the model does not have", (unsigned long long)entry->start);
	return MODEL_REGIONS;
}

static void check_entries(const struct model_root *root, const struct map *map, unsigned region,
			  bool seen[MODEL_CELLS])
{
	for (const struct map_entry *entry = map->first; entry && !m.wrong; entry = entry->next) {
		unsigned first = cell_at(root, entry->start);

		if (entry->submap) {
			unsigned inner;

			if (entry->submap->top != map->top)
				continue;
			inner = check_region(root, entry, region);
			if (inner != MODEL_REGIONS)
				check_entries(root, entry->submap, inner, seen);
			continue;
		}
		for (unsigned i = 0; first != MODEL_CELLS && i < entry_pages(entry) && !m.wrong; i++) {
			AGREE_EQ(root->cell[first + i].region, region);
			check_cell(entry, &root->cell[first + i], i);
			seen[first + i] = true;
		}
	}
}

static void check_root(const struct model_root *root)
{
	static bool seen[MODEL_CELLS];

	memset(seen, 0, sizeof(seen));
	rw_read_lock(root->map->lock);
	check_entries(root, root->map, root->region, seen);
	rw_read_unlock(root->map->lock);
	for (unsigned c = 0; c < MODEL_CELLS && !m.wrong; c++) {
		if (!AGREE_EQ(seen[c], root->cell[c].kind != CELL_FREE))
			test_print("# stream: cell %u of r%u", c, root_number(root));
	}
}

/* Page tables may have less than what the model shows, but nothing else. */
static void check_translation(const struct model_root *root, unsigned c)
{
	const struct model_cell *cell = &root->cell[c];
	const struct model_page *page;
	const struct model_blob *blob;
	vaddr_t va = cell_address(root, c);
	struct pmap_query found;

	if (va < LAYOUT_GUARD_END || cell_at(root, va) != c)
		return;
	found = pmap_query(map_pmap(root->map), va);
	if (!found.page)
		return;
	if (!AGREE(cell->kind == CELL_BLOB) || !AGREE(cell->prot != 0))
		return;
	AGREE((found.prot & ~(cell->prot | VM_READ | VM_USER)) == 0);
	blob = &m.blob[cell->blob];
	page = &m.page[blob->page[cell->offset]];
	if (kind_is_fixed(blob->kind)) {
		AGREE_EQ(page_paddr(found.page), blob->blob->fixed_start + pages_to_bytes(cell->offset));
		return;
	}
	if (found.page == page_of_zeroes) {
		AGREE(blob_is_zero(blob, cell->offset) && cell->inherit != INHERIT_SHARE);
		AGREE(!(found.prot & VM_WRITE));
		return;
	}
	AGREE(slot_of_page(found.page) == blob_slot(blob, cell->offset));
	if (found.prot & VM_WRITE)
		AGREE(page->state == MPAGE_MEMORY && page->holds == 1 && !page->located &&
		      disks_keep(found.page) == 0);
}

void model_check_merged(const struct model_root *root, struct span span)
{
	rw_read_lock(root->map->lock);
	for (unsigned c = span.first; c <= span.end && c < MODEL_CELLS; c++) {
		const struct map_entry *entry = map_find(root->map, cell_address(root, c));
		const struct map_entry *lower = entry ? entry->previous : NULL;

		if (!lower || entry->start != cell_address(root, c) || lower->end != entry->start ||
		    lower->kind != ENTRY_BLOB || entry->kind != ENTRY_BLOB)
			continue;
		if (!AGREE(lower->blob != entry->blob || lower->prot != entry->prot ||
			   lower->max_prot != entry->max_prot || lower->inherit != entry->inherit ||
			   lower->name != entry->name || lower->wired != entry->wired ||
			   lower->on_fault != entry->on_fault || lower->fork != entry->fork ||
			   lower->advice != entry->advice ||
			   lower->offset + entry_pages(lower) != entry->offset))
			break;
	}
	rw_read_unlock(root->map->lock);
}

/* ---- What CPUs have cached -------------------------------------------------------------------------------------- */

/* A load by this CPU, in the root that it runs in, that is not served if it faults. */
static void peek(unsigned turn)
{
	const struct model_root *root;
	const struct model_cell *cell;
	uint64_t word = 0;
	unsigned c, at;

	if (!stream_access || m.cpu_root[m.cpu] == MODEL_ROOTS)
		return;
	root = &m.root[m.cpu_root[m.cpu]];
	c = turn * PRIME_STRIDE % MODEL_CELLS;
	cell = &root->cell[c];
	at = turn % (PAGE_SIZE / sizeof(word));
	if (cell_at(root, cell_address(root, c)) != c ||
	    (cell->kind == CELL_BLOB && m.blob[cell->blob].kind == KIND_DEVICE))
		return;
	if (!stream_access(cell_address(root, c) + at * sizeof(word), VM_READ, &word))
		return;
	if (AGREE(cell->kind == CELL_BLOB) && AGREE(cell->prot != 0))
		AGREE_EQ(word, ((const uint64_t *)blob_bytes(&m.blob[cell->blob], cell->offset))[at]);
}

/* ---- Steps ---------------------------------------------------------------------------------------------------------- */

static void check_touched(void)
{
	for (unsigned i = 0; i < touched_count; i++)
		check_blob(&m.blob[touched[i].blob], touched[i].first, touched[i].end);
	touched_count = 0;
}

void model_check_step(void)
{
	const struct model_root *root = pick_root(m.steps);
	const struct model_blob *blob = pick_blob(m.steps);

	check_touched();
	check_counts();
	if (m.touched_root < MODEL_ROOTS && m.root[m.touched_root].map) {
		check_root(&m.root[m.touched_root]);
		root = &m.root[m.touched_root];
	}
	if (blob && m.steps % 4 == 0)
		check_blob(blob, 0, blob->pages);
	for (unsigned i = 0; root && i < CELLS_A_STEP; i++)
		check_translation(root, (m.steps * CELLS_A_STEP + i) * PRIME_STRIDE % MODEL_CELLS);
	for (unsigned i = 0; i < PEEKS_A_STEP; i++)
		peek(m.steps * PEEKS_A_STEP + i);
}

void model_check_all(void)
{
	check_touched();
	check_counts();
	for (unsigned b = 0; b < MODEL_BLOBS && !m.wrong; b++)
		check_blob(&m.blob[b], 0, m.blob[b].pages);
	for (unsigned r = 0; r < MODEL_ROOTS && !m.wrong; r++) {
		if (!m.root[r].map)
			continue;
		check_root(&m.root[r]);
		for (unsigned c = 0; c < MODEL_CELLS && !m.wrong; c++)
			check_translation(&m.root[r], c);
	}
	if (m.wrong)
		return;
	check_wirings();
	check_swap();
	for (unsigned r = 0; r < MODEL_ROOTS; r++) {
		if (m.root[r].map)
			map_verify(m.root[r].map);
	}
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		if (m.blob[b].blob)
			blob_verify(m.blob[b].blob);
	}
}

/* ---- What the VM says itself ------------------------------------------------------------------------------------- */

static int visit_entry(const struct entry_info *info, void *context)
{
	const struct model_root *root = context;
	unsigned first = cell_at(root, info->start);
	const struct model_cell *cell;
	struct blob_usage usage;
	unsigned pages = (info->end - info->start) >> PAGE_SHIFT;

	if (info->kind != ENTRY_BLOB || !AGREE(first != MODEL_CELLS))
		return m.wrong;
	cell = &root->cell[first];
	if (!AGREE(cell->kind == CELL_BLOB))
		return 1;
	usage = model_usage(&m.blob[cell->blob], cell->offset, cell->offset + pages);
	AGREE_EQ(info->depth + 1, m.region[cell->region].depth + 1);
	AGREE_EQ(info->prot, cell->prot);
	AGREE_EQ(info->offset, m.blob[cell->blob].low + cell->offset);
	AGREE_EQ(info->usage.resident, usage.resident);
	AGREE_EQ(info->usage.paged_out, usage.paged_out);
	AGREE_EQ(info->usage.zeroes, usage.zeroes);
	AGREE_EQ(info->wired, cell->wired);
	AGREE_EQ(info->on_fault, cell->on_fault);
	AGREE_EQ(info->fork, cell->omitted ? FORK_OMIT : 0);
	AGREE_EQ(info->advice, cell->advice);
	return m.wrong;
}

void do_map_walk(void)
{
	struct model_root *root = pick_root(m.op->who[0]);

	if (!root)
		return;
	SAY("# map_walk(r%u)", root_number(root));
	AGREE_EQ(map_walk(root->map, visit_entry, root), 0);
}
