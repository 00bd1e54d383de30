/*
 * Operations of roots: making and destroying them, their arenas, and clones of them.
 */
#include "model_internal.h"

#include <asm/errno.h>

#define ARENA_PLACES 6 /* where arenas are asked for */

/* ---- Making them ------------------------------------------------------------------------------------------ */

static struct model_root *unused_root(void)
{
	for (unsigned r = 0; r < MODEL_ROOTS; r++) {
		if (!m.root[r].map)
			return &m.root[r];
	}
	return NULL;
}

/* Cells of space that is the root's own. */
static void clear_cells(struct model_root *root, unsigned first, unsigned end, unsigned region)
{
	for (unsigned c = first; c < end; c++)
		root->cell[c] = (struct model_cell){.kind = CELL_FREE, .region = region};
}

/* Private space is larger than the model's window: what is looked for shall not be found beyond. */
static bool build_walls(const struct model_root *root)
{
	struct placement before = fixed_at(SPACE_BASE - PAGE_SIZE);
	struct placement after = fixed_at(SPACE_BASE + pages_to_bytes(PRIVATE_CELLS));
	vaddr_t at;

	return AGREE_EQ(map_reserve(root->map, &before, PAGE_SIZE, "wall", &at), 0) &&
	       AGREE_EQ(map_reserve(root->map, &after, PAGE_SIZE, "wall", &at), 0);
}

void do_map_create_root(void)
{
	struct model_root *root = unused_root();
	struct map *map = NULL;
	unsigned number;

	if (!root)
		do_map_unref();
	if (!root || regions_left() < 2)
		return;
	number = root_number(root);
	SAY("# map_create_root: r%u", number);
	model_call();
	if (!model_result(map_create_root("model", &map), 0))
		return;
	memset(root, 0, sizeof(*root));
	root->map = map;
	root->region = region_make(&(struct model_region){
		.permanent = true, .root = number, .ceiling = VM_ALL, .end = MODEL_CELLS, .map = map});
	m.region[root->region].parent = root->region;
	root->private_region = region_make(&(struct model_region){.permanent = true,
								  .root = number,
								  .parent = root->region,
								  .depth = 1,
								  .ceiling = VM_ALL,
								  .end = PRIVATE_CELLS,
								  .map = map_private_space(map)});
	clear_cells(root, 0, PRIVATE_CELLS, root->private_region);
	clear_cells(root, PRIVATE_CELLS, MODEL_CELLS, root->region);
	build_walls(root);
}

void do_map_unref(void)
{
	struct model_root *root = pick_root(m.op->who[0]);

	if (!root)
		return;
	SAY("# map_unref(r%u)", root_number(root));
	model_leave(root);
	map_unref(root->map);
	root->map = NULL;
	for (unsigned c = 0; c < MODEL_CELLS; c++) {
		/* What only these mappings showed stays with its blob, as long as somebody has that. */
		if (root->cell[c].kind == CELL_BLOB)
			m.blob[root->cell[c].blob].cells--;
	}
	for (unsigned r = 0; r < MODEL_REGIONS; r++) {
		if (!m.region[r].used || m.region[r].root != root_number(root))
			continue;
		m.region[r].used = false;
		if (m.region[r].entity)
			m.entity[m.region[r].which].mappings--;
	}
}

/* ---- Arenas -------------------------------------------------------------------------------------------------- */

static bool arena_is_taken(vaddr_t start)
{
	for (unsigned r = 0; r < MODEL_ROOTS; r++) {
		for (unsigned a = 0; m.root[r].map && a < ARENAS; a++) {
			if (m.root[r].arena[a] == start)
				return true;
		}
	}
	return false;
}

static void model_create_arena(struct model_root *root, unsigned slot, struct map *map)
{
	unsigned first = PRIVATE_CELLS + slot * ARENA_CELLS;
	struct model_region made = {.permanent = true,
				    .root = root_number(root),
				    .parent = root->region,
				    .depth = 1,
				    .ceiling = VM_ALL,
				    .first = first,
				    .end = first + ARENA_PAGES,
				    .map = map};

	AGREE_EQ(map_end(map) - map_start(map), pages_to_bytes(ARENA_PAGES));
	root->arena[slot] = map_start(map);
	clear_cells(root, first, first + ARENA_PAGES, region_make(&made));
	model_digest(map_start(map));
}

void do_map_create_arena(void)
{
	struct model_root *root = pick_root(m.op->who[0]);
	vaddr_t start = LAYOUT_ARENAS_START + (1 + m.op->at[0] % ARENA_PLACES) * LAYOUT_ARENA_ALIGN;
	uint64_t bytes = pages_to_bytes(ARENA_PAGES);
	bool anywhere = m.op->how % 2;
	struct map *map = NULL;
	unsigned slot = 0;
	int error = 0;

	while (root && slot < ARENAS && root->arena[slot])
		slot++;
	if (!root || slot == ARENAS || regions_left() == 0)
		return;
	if (!anywhere && arena_is_taken(start))
		error = -EEXIST;
	switch (model_odd(4)) {
	case 0:
		break;
	case 1:
		start += LAYOUT_ARENA_ALIGN / 2;
		error = anywhere ? 0 : -EINVAL;
		break;
	case 2:
		bytes = 0;
		error = -EINVAL;
		break;
	case 3:
		bytes++;
		error = -EINVAL;
		break;
	default:
		bytes = LAYOUT_ARENAS_END;
		error = -ENOMEM;
	}
	SAY("# map_create_arena%s(r%u, 0x%llx, 0x%llx bytes)", anywhere ? "" : "_at", root_number(root),
	    (unsigned long long)start, (unsigned long long)bytes);
	model_call();
	if (!model_result(anywhere ? map_create_arena(root->map, bytes, &map)
				   : map_create_arena_at(root->map, start, bytes, &map),
			  error))
		return;
	AGREE(anywhere ? !arena_is_taken(map_start(map)) : map_start(map) == start);
	AGREE((map_start(map) & (LAYOUT_ARENA_ALIGN - 1)) == 0);
	model_create_arena(root, slot, map);
}

/* ---- Clones --------------------------------------------------------------------------------------------------- */

static bool is_copied(const struct model_cell *cell)
{
	return cell->kind == CELL_BLOB && cell->inherit == INHERIT_COPY && !cell->omitted &&
	       !kind_is_fixed(m.blob[cell->blob].kind);
}

/* What cannot be copied is not in the clone. */
static bool is_left_out(const struct model_cell *cell)
{
	if (cell->kind != CELL_BLOB)
		return false;
	return cell->inherit == INHERIT_NONE || cell->omitted ||
	       (cell->inherit == INHERIT_COPY && !is_copied(cell));
}

/* Is there room for what the clone of a root may need at most? */
static bool has_room(const struct model_root *root)
{
	unsigned copies = 0, regions = 0;
	unsigned last = NONE;

	for (unsigned c = 0; c < MODEL_CELLS; c++) {
		/* Arenas need not be in the order of addresses, in which neighbours get one clone together. */
		if (segment_of(root, c).first == c)
			last = NONE;
		if (!is_copied(&root->cell[c]))
			continue;
		copies += root->cell[c].blob != last;
		last = root->cell[c].blob;
	}
	for (unsigned r = 0; r < MODEL_REGIONS; r++)
		regions += m.region[r].used && m.region[r].root == root_number(root);
	return unused_blobs() >= copies && regions_left() >= regions;
}

/* The submap of a root around an address, so deep. */
static struct map *submap_at(struct map *map, unsigned depth, vaddr_t address)
{
	struct map *root = map;

	rw_read_lock(root->lock);
	for (; depth > 0 && map; depth--) {
		struct map_entry *entry = map_first_above(map, address);

		map = entry && entry->start <= address ? entry->submap : NULL;
	}
	rw_read_unlock(root->lock);
	AGREE(map);
	return map;
}

/* The same regions in the clone; `same` says which is which. */
static void clone_regions(const struct model_root *from, struct model_root *to, uint8_t same[MODEL_REGIONS])
{
	for (unsigned depth = 0; depth <= MAP_MAX_DEPTH; depth++) {
		for (unsigned r = 0; r < MODEL_REGIONS; r++) {
			struct model_region region = m.region[r];

			if (!region.used || region.depth != depth || region.root != root_number(from))
				continue;
			region.root = root_number(to);
			region.parent = same[region.parent];
			region.map = depth == 0 ? to->map
						: submap_at(to->map, depth, cell_address(from, region.first));
			same[r] = region_make(&region);
			if (depth == 0)
				m.region[same[r]].parent = same[r];
			if (region.entity)
				m.entity[region.which].mappings++;
		}
	}
	to->region = same[from->region];
	to->private_region = same[from->private_region];
}

/* The number of the blob that a cell of the clone shows. `made` are those that this clone has made, with their sources. */
static unsigned clone_of(const struct model_root *to, unsigned c, unsigned source, uint16_t made[MODEL_BLOBS])
{
	struct model_blob *blob;
	struct lookup found;

	if (!AGREE_EQ(map_lookup(to->map, cell_address(to, c), &found), 0))
		return source;
	blob_unref(found.blob);
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		if (m.blob[b].blob != found.blob)
			continue;
		AGREE_EQ(made[b], source);
		return b;
	}
	blob = pick_unused();
	model_clone(blob, &m.blob[source], 0, m.blob[source].pages);
	blob->low = m.blob[source].low;
	blob->blob = found.blob;
	made[blob_number(blob)] = source;
	return blob_number(blob);
}

static void clone_cells(const struct model_root *from, struct model_root *to,
			const uint8_t same[MODEL_REGIONS])
{
	uint16_t made[MODEL_BLOBS];

	for (unsigned b = 0; b < MODEL_BLOBS; b++)
		made[b] = NONE;
	for (unsigned c = 0; c < MODEL_CELLS; c++) {
		struct model_cell cell = from->cell[c];

		cell.region = same[cell.region];
		cell.wired = cell.on_fault = false;
		if (is_left_out(&cell))
			cell = (struct model_cell){.kind = CELL_FREE, .region = cell.region};
		if (is_copied(&cell))
			cell.blob = clone_of(to, c, cell.blob, made);
		to->cell[c] = cell;
		if (cell.kind == CELL_BLOB)
			m.blob[cell.blob].cells++;
	}
}

void do_map_clone(void)
{
	struct model_root *from = pick_root(m.op->who[0]);
	struct model_root *to = unused_root();
	uint8_t same[MODEL_REGIONS] = {0};
	struct map *map = NULL;

	if (!to)
		do_map_unref();
	if (!from || !to || !has_room(from))
		return;
	SAY("# map_clone(r%u): r%u", root_number(from), root_number(to));
	model_call();
	if (!model_result(map_clone(from->map, "clone", &map), 0))
		return;
	memset(to, 0, sizeof(*to));
	to->map = map;
	memcpy(to->arena, from->arena, sizeof(to->arena));
	clone_regions(from, to, same);
	clone_cells(from, to, same);
	model_touch_root(to);
}
