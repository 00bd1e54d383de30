/*
 * Operations that put something into a map: reservations, blobs, entities, submaps; and the making of entities.
 *
 * Where it goes is predicted in model_space.c.
 */
#include "model_internal.h"

#include <asm/errno.h>

#define CEILINGS 4

static const char *flags_of(const struct wish *wish)
{
	if (!(wish->place.flags & PLACE_FIXED))
		return "hint";
	return wish->place.flags & PLACE_REPLACE ? "replace" : "fixed";
}

static void say_wish(const char *what, const struct wish *wish, unsigned pages)
{
	SAY("# %s: r%u, map at depth %u, %s 0x%llx, in [0x%llx, 0x%llx), align 0x%llx, guard 0x%llx, %u "
	    "pages",
	    what, root_number(wish->root), m.region[wish->through].depth, flags_of(wish),
	    (unsigned long long)wish->place.address, (unsigned long long)wish->place.low,
	    (unsigned long long)wish->place.high, (unsigned long long)wish->place.align,
	    (unsigned long long)wish->place.guard, pages);
}

static unsigned pick_pages(unsigned most)
{
	unsigned pages = 1 + (m.op->size >> 3) % (m.op->size % 4 ? 6 : 24);

	return pages < most ? pages : most;
}

/* ---- Reserved space, submaps ---------------------------------------------------------------------------- */

void do_map_reserve(void)
{
	struct model_root *root = pick_root(m.op->who[0]);
	unsigned name = m.op->how % MODEL_NAMES;
	unsigned pages = pick_pages(MODEL_CELLS);
	struct wish wish;
	vaddr_t at = 0;

	if (!root)
		return;
	wish = pick_wish(root, pages);
	wish_check(&wish, 0, false);
	say_wish("map_reserve", &wish, pages);
	model_call();
	if (model_result(map_reserve(wish.map, &wish.place, pages_to_bytes(pages), model_names[name], &at),
			 wish.error) &&
	    wish_placed(&wish, at))
		cells_map(root, wish.span,
			  (struct model_cell){.kind = CELL_RESERVED, .region = wish.where, .name = name});
}

void do_map_create_submap(void)
{
	static const vm_prot_t ceilings[CEILINGS] = {VM_ALL, VM_ALL, RW, RX};
	struct model_root *root = pick_root(m.op->who[0]);
	vm_prot_t ceiling = ceilings[m.op->how % CEILINGS];
	unsigned pages = pick_pages(MODEL_CELLS);
	struct model_region made;
	struct map *map = NULL;
	struct wish wish;
	unsigned region;

	if (!root || regions_left() == 0)
		return;
	wish = pick_wish(root, pages);
	wish_check(&wish, 0, true);
	say_wish("map_create_submap", &wish, pages);
	model_call();
	if (!model_result(map_create_submap(wish.map, &wish.place, pages_to_bytes(pages), ceiling,
					    model_names[0], &map),
			  wish.error) ||
	    !wish_placed(&wish, map_start(map)))
		return;
	AGREE_EQ(map_end(map), map_start(map) + pages_to_bytes(pages));
	made = (struct model_region){.root = root_number(root),
				     .parent = wish.where,
				     .depth = m.region[wish.where].depth + 1,
				     .ceiling = ceiling & m.region[wish.where].ceiling,
				     .first = wish.span.first,
				     .end = wish.span.end,
				     .map = map};
	region = region_make(&made);
	cells_map(root, wish.span, (struct model_cell){.kind = CELL_FREE, .region = region});
}

/* ---- Blobs ------------------------------------------------------------------------------------------------- */

/* How a mapping is to behave; *error if that is contradictory in itself. */
static struct mapping pick_mapping(unsigned *name, int *error)
{
	unsigned how = m.op->how;
	struct mapping mapping = {.prot = pick_prot(how), .inherit = (how >> 4) % 4 % 3};

	*name = (how >> 6) % 8 ? 0 : (how >> 9) % MODEL_NAMES;
	mapping.name = model_names[*name];
	if ((how >> 10) % 3 == 0)
		mapping.max_prot = mapping.prot | VM_READ;
	if ((how >> 12) % 16 == 0) {
		mapping.max_prot = VM_EXEC;
		*error = mapping.prot & ~VM_EXEC ? -EACCES : 0;
	}
	return mapping;
}

static struct model_cell cell_of(const struct wish *wish, const struct mapping *how, unsigned name,
				 unsigned blob, unsigned offset)
{
	vm_prot_t most = how->max_prot ? how->max_prot : VM_ALL;

	return (struct model_cell){.kind = CELL_BLOB,
				   .region = wish->where,
				   .prot = how->prot,
				   .max_prot = most & m.region[wish->where].ceiling,
				   .inherit = how->inherit,
				   .name = name,
				   .blob = blob,
				   .offset = offset};
}

/* The blob that is mapped at an address: the handle of one that the VM has made. */
static struct blob *handle_at(const struct model_root *root, vaddr_t address)
{
	struct lookup found;

	if (!AGREE_EQ(map_lookup(root->map, address, &found), 0))
		return NULL;
	blob_unref(found.blob);
	return found.blob;
}

/* What may follow a mapping, so that the two could be one entry: the cell, or MODEL_CELLS; the blob and offset that it goes on with. */
static unsigned pick_continuation(const struct model_root *root, struct model_blob **blob, unsigned *offset)
{
	unsigned c = pick_mapped(root).end - 1;
	const struct model_cell *cell = &root->cell[c];

	if (model_more(22) % 3 != 0 || cell->kind != CELL_BLOB ||
	    cell->offset + 1u >= m.blob[cell->blob].pages)
		return MODEL_CELLS;
	*blob = &m.blob[cell->blob];
	*offset = cell->offset + 1;
	return c;
}

static void map_some(bool private)
{
	struct model_root *root = pick_root(m.op->who[0]);
	struct model_blob *blob = pick_blob(m.op->who[1]);
	struct model_blob *clone = pick_unused();
	int error = 0;
	unsigned name, offset, pages, after;
	struct mapping how = pick_mapping(&name, &error);
	struct wish wish;
	vaddr_t at = 0;

	if (!clone)
		do_blob_drop();
	if (!root || !blob || !clone)
		return;
	offset = model_more(20) % blob->pages;
	after = private ? MODEL_CELLS : pick_continuation(root, &blob, &offset);
	pages = pick_pages(blob->pages - offset);
	wish = after == MODEL_CELLS ? pick_wish(root, pages) : pick_wish_after(root, after, pages);
	wish_check(&wish, how.prot, false);
	if (error || (private && kind_is_fixed(blob->kind)))
		wish.error = error ? error : -EINVAL;
	say_wish(private ? "map_blob_private" : "map_blob", &wish, pages);
	SAY("#     b%u at %u, prot %x of %x, inherit %u", blob_number(blob), offset, how.prot, how.max_prot,
	    how.inherit);
	/* What is replaced goes while the call has a reference to the blob; to what it is cloned from it has none. */
	blob->segments += !private;
	if (model_more(21) % 64 == 0) {
		pages = blob->pages - offset + 1;
		wish.error = -EINVAL;
	}
	model_call();
	if (model_result((private ? map_blob_private : map_blob)(wish.map, &wish.place, blob->blob,
								 blob->low + offset, pages, &how, &at),
			 wish.error)) {
		if (private)
			model_clone(clone, blob, offset, pages);
		if (wish_placed(&wish, at)) {
			if (private)
				clone->blob = handle_at(root, at);
			cells_map(root, wish.span,
				  cell_of(&wish, &how, name, blob_number(private ? clone : blob),
					  private ? 0 : offset));
			model_touch(blob, offset, offset + pages);
		}
	}
	blob->segments -= !private;
}

void do_map_blob(void)
{
	map_some(false);
}

void do_map_blob_private(void)
{
	map_some(true);
}

/* ---- Entities ------------------------------------------------------------------------------------------------ */

static const char *const segment_names[MODEL_SEGMENTS] = {"text", "data", "rest"};

static void fill_segments(const struct model_entity *entity, struct segment *out)
{
	for (unsigned s = 0; s < entity->count; s++) {
		const struct model_segment *segment = &entity->segment[s];
		const struct model_blob *blob = &m.blob[segment->blob];

		out[s] = (struct segment){
			blob->blob,       blob->low + segment->offset,
			segment->place,   segment->pages,
			segment->prot,    segment->private ? SEGMENT_PRIVATE : SEGMENT_SHARED,
			segment_names[s], NULL};
	}
}

/* Up to three pieces of blobs with holes between them; false if there is no blob for them. */
static bool choose_segments(struct model_entity *entity)
{
	unsigned place = model_more(30) % 2;

	entity->count = 1 + m.op->size % MODEL_SEGMENTS;
	for (unsigned s = 0; s < entity->count; s++) {
		struct model_segment *segment = &entity->segment[s];
		const struct model_blob *blob = pick_blob(model_more(31 + s));
		unsigned most;

		if (!blob)
			return false;
		segment->blob = blob_number(blob);
		segment->offset = model_more(34 + s) % blob->pages;
		most = blob->pages - segment->offset;
		segment->pages = 1 + model_more(37 + s) % (most < 5 ? most : 5);
		segment->place = place;
		segment->prot = pick_prot(model_more(40 + s));
		segment->private = model_more(43 + s) % 2 && !kind_is_fixed(blob->kind);
		place += segment->pages + model_more(46 + s) % 2;
	}
	entity->pages = place;
	return true;
}

/* Makes something wrong with one segment, or with how many there are. */
static void spoil_segments(struct segment *segments, unsigned *count, unsigned odd)
{
	switch (odd) {
	case 1:
		*count = 0;
		break;
	case 2:
		segments[0].pages = 0;
		break;
	case 3:
		segments[0].blob_offset += blob_size(segments[0].blob) >> PAGE_SHIFT;
		break;
	case 4:
		segments[0].place = UINT64_MAX;
		break;
	case 5:
		*count = ENTITY_MAX_SEGMENTS + 1;
		break;
	default:
		segments[*count] = segments[0];
		segments[*count].place += segments[0].pages - 1;
		++*count;
	}
}

void do_entity_create(void)
{
	static struct segment segments[ENTITY_MAX_SEGMENTS + 1];
	struct model_entity made = {.held = true};
	unsigned odd = model_odd(6);
	unsigned e = 0, count;

	while (e < MODEL_ENTITIES && m.entity[e].entity)
		e++;
	if (e == MODEL_ENTITIES || !choose_segments(&made))
		return;
	fill_segments(&made, segments);
	count = made.count;
	if (odd)
		spoil_segments(segments, &count, odd);
	SAY("# entity_create(%u pages, %u segments): e%u", made.pages, count, e);
	for (unsigned s = 0; s < made.count; s++)
		SAY("#     b%u at %u, place %u, %u pages, prot %x%s", made.segment[s].blob,
		    made.segment[s].offset, made.segment[s].place, made.segment[s].pages,
		    made.segment[s].prot, made.segment[s].private ? ", private" : "");
	model_call();
	if (!model_result(entity_create("model", made.pages, segments, count, &made.entity),
			  odd ? -EINVAL : 0))
		return;
	AGREE_EQ(entity_pages(made.entity), made.pages);
	m.entity[e] = made;
	for (unsigned s = 0; s < made.count; s++)
		m.blob[made.segment[s].blob].segments++;
}

void do_entity_drop(void)
{
	struct model_entity *entity = &m.entity[m.op->who[0] % MODEL_ENTITIES];

	if (!entity->entity || !entity->held)
		return;
	SAY("# entity_unref(e%u)", (unsigned)(entity - m.entity));
	entity->held = false;
	entity_unref(entity->entity);
}

/* The cells of one segment, which is mapped from page `start` on. */
static void map_segment(struct model_root *root, const struct model_segment *segment, unsigned s,
			unsigned start, unsigned region, struct model_blob *clone)
{
	struct span span = {start + segment->place, start + segment->place + segment->pages};
	vm_prot_t most = segment->private ? VM_ALL : segment->prot | VM_READ;

	if (segment->private)
		clone->blob = handle_at(root, cell_address(root, span.first));
	cells_map(root, span,
		  (struct model_cell){
			  .kind = CELL_BLOB,
			  .region = region,
			  .prot = segment->prot,
			  .max_prot = most & m.region[region].ceiling,
			  .inherit = segment->private ? INHERIT_COPY : INHERIT_SHARE,
			  .name = MODEL_NAMES + s,
			  .blob = segment->private ? blob_number(clone) : segment->blob,
			  .offset = segment->private ? 0 : segment->offset,
		  });
}

static void model_map_entity(struct model_entity *entity, struct wish *wish, vaddr_t at)
{
	struct model_blob *clones[MODEL_SEGMENTS] = {NULL};
	unsigned region;

	/* References and clones were taken before anything was replaced. */
	entity->mappings++;
	for (unsigned s = 0; s < entity->count; s++) {
		const struct model_segment *segment = &entity->segment[s];

		if (!segment->private)
			continue;
		clones[s] = pick_unused();
		model_clone(clones[s], &m.blob[segment->blob], segment->offset, segment->pages);
		/* So that the next clone gets another place. */
		clones[s]->blob = m.blob[segment->blob].blob;
	}
	if (!wish_placed(wish, at))
		return;
	region = region_make(&(struct model_region){.entity = true,
						    .which = entity - m.entity,
						    .root = root_number(wish->root),
						    .parent = wish->where,
						    .depth = m.region[wish->where].depth + 1,
						    .ceiling = m.region[wish->where].ceiling,
						    .first = wish->span.first,
						    .end = wish->span.end});
	cells_map(wish->root, wish->span, (struct model_cell){.kind = CELL_FREE, .region = region});
	for (unsigned s = 0; s < entity->count; s++)
		map_segment(wish->root, &entity->segment[s], s, wish->span.first, region, clones[s]);
}

void do_map_entity(void)
{
	struct model_root *root = pick_root(m.op->who[0]);
	struct model_entity *entity = &m.entity[m.op->who[1] % MODEL_ENTITIES];
	vm_prot_t prot = 0;
	struct wish wish;
	vaddr_t at = 0;

	if (!root || !entity->entity || unused_blobs() < MODEL_SEGMENTS || regions_left() == 0)
		return;
	for (unsigned s = 0; s < entity->count; s++)
		prot |= entity->segment[s].prot;
	wish = pick_wish(root, entity->pages);
	wish_check(&wish, prot, true);
	/* That would be for submaps only. */
	if (!wish.error && is_root_region(wish.where))
		wish.error = -ENOMEM;
	say_wish("map_entity", &wish, entity->pages);
	SAY("#     e%u", m.op->who[1] % MODEL_ENTITIES);
	model_call();
	if (model_result(map_entity(wish.map, &wish.place, entity->entity, &at), wish.error))
		model_map_entity(entity, &wish, at);
}
