/*
 * The model's blobs: making, cloning and dropping them, and their contents without mapping them.
 *
 * Pages out and in, and wiring, are in model_paging.c; how a read or write changes who shares what in model_page.c.
 */
#include "model_internal.h"

#include <asm/errno.h>

#define MAX_IO_PAGES 4
#define DEVICE_START ((paddr_t)0xfee00000) /* beyond the RAM of any machine that runs the suites */
#define DEVICE_PAGES 8
#define RAM_ADDRESS  ((paddr_t)0x200000) /* RAM everywhere */
#define MAX_RUN      8                   /* pages of a contiguous blob */
#define MAX_ALIGN    4                   /* log2, in pages */

/* ---- Choosing -------------------------------------------------------------------------------------- */

unsigned blob_number(const struct model_blob *blob)
{
	return blob - m.blob;
}

/* From the chosen place on: so the choice depends little on what else there is, which makes for streams that shrink well. */
static struct model_blob *pick(unsigned choice, bool held)
{
	for (unsigned i = 0; i < MODEL_BLOBS; i++) {
		struct model_blob *blob = &m.blob[(choice + i) % MODEL_BLOBS];

		if (blob->blob && (blob->held || !held)) {
			m.chosen_blobs |= 1u << blob_number(blob);
			return blob;
		}
	}
	return NULL;
}

/*
 * What of a blob is only in reach through a call like these, as nobody has a reference and nothing shows it, goes when somebody who makes room
 * comes by: where pages go to swap, that is in the middle of any call.
 */
struct model_blob *pick_blob(unsigned choice)
{
	return pick(choice, m.swaps);
}

struct model_blob *pick_held(unsigned choice)
{
	return pick(choice, true);
}

unsigned unused_blobs(void)
{
	unsigned count = 0;

	for (unsigned b = 0; b < MODEL_BLOBS; b++)
		count += !m.blob[b].blob;
	return count;
}

struct model_blob *pick_unused(void)
{
	unsigned start = model_more(70);

	for (unsigned i = 0; i < MODEL_BLOBS; i++) {
		struct model_blob *blob = &m.blob[(start + i) % MODEL_BLOBS];

		if (!blob->blob)
			return blob;
	}
	return NULL;
}

struct window pick_window(const struct model_blob *blob)
{
	const struct stream_op *op = m.op;
	unsigned first = op->at[0] % blob->pages;
	unsigned room = blob->pages - first;
	unsigned pages = op->size % 4 == 0 ? 1 : op->size % 4 == 1 ? room : 1 + (op->size >> 2) % room;
	struct window window = {blob->low + first, pages, first, first + pages, 0};

	switch (model_odd(4)) {
	case 0:
		return window;
	case 1:
		window.pages = 0;
		break;
	case 2:
		window.pages = room + 1 + op->size % 64;
		break;
	case 3:
		window.offset = blob->low + blob->pages + op->at[1] % 2;
		break;
	default:
		window.offset = UINT64_MAX - op->at[1] % 8;
		window.pages = 1 + op->at[1] % 16;
	}
	window.error = -EINVAL;
	return window;
}

/* ---- Making them ------------------------------------------------------------------------------------ */

/* Where in a blob the pages are that the model looks at: its last ones, at a node's border or the tree's. */
static pgoff_t choose_low(unsigned choice, unsigned pages)
{
	switch (choice % 4) {
	case 0:
		return 0;
	case 1:
		return TREE_FANOUT - pages / 2;
	case 2:
		return TREE_FANOUT * TREE_FANOUT - pages / 2;
	default:
		return (BLOB_MAX_BYTES >> PAGE_SHIFT) - pages;
	}
}

/* A blob of the model, without a handle, of the size that the operation says. Where there is no place for it, one is dropped instead. */
static struct model_blob *found_blob(enum model_kind kind)
{
	struct model_blob *blob = pick_unused();

	if (!blob) {
		do_blob_drop();
		return NULL;
	}
	*blob = (struct model_blob){.kind = kind, .family = ++m.families};
	blob->pages = m.op->size % 4 ? BLOB_PAGES : 1 + (m.op->size >> 2) % BLOB_PAGES;
	blob->low = choose_low(m.op->at[0], blob->pages);
	blob->index = blob->low;
	return blob;
}

/* A size that is none. */
static uint64_t wrong_size(unsigned odd)
{
	switch (odd) {
	case 1:
		return 0;
	case 2:
		return PAGE_SIZE * (1 + m.op->size % 8) + 1 + m.op->at[1] % (PAGE_SIZE - 1);
	default:
		return BLOB_MAX_BYTES + pages_to_bytes(1 + m.op->size);
	}
}

void do_blob_create(void)
{
	struct model_blob *blob = found_blob(KIND_ANONYMOUS);
	struct blob *made = NULL;
	unsigned odd = model_odd(4);
	uint64_t bytes;
	unsigned flags;

	if (!blob)
		return;
	bytes = odd && odd < 4 ? wrong_size(odd) : pages_to_bytes(blob->low + blob->pages);
	flags = odd == 4 ? 2u << m.op->how % 31 : m.op->how % 4 == 0 ? BLOB_UNZEROED : 0;
	SAY("# blob_create(0x%llx bytes, %#x): b%u", (unsigned long long)bytes, flags, blob_number(blob));
	model_call();
	if (!model_result(blob_create(bytes, flags, &made), odd ? -EINVAL : 0))
		return;
	blob->unzeroed = flags & BLOB_UNZEROED;
	blob->held = true;
	blob->blob = made;
	AGREE_EQ(blob_size(made), bytes);
}

void do_blob_create_paged(void)
{
	struct model_blob *blob = found_blob(KIND_LENDING + m.op->how % 3);
	struct blob *made = NULL;
	unsigned odd = model_odd(3);
	struct pager *pager;
	uint64_t bytes;

	if (!blob)
		return;
	bytes = odd ? wrong_size(odd) : pages_to_bytes(blob->low + blob->pages);
	SAY("# blob_create_paged(0x%llx bytes, pager %u): b%u", (unsigned long long)bytes, blob->kind,
	    blob_number(blob));
	pager = pager_get(blob->kind);
	model_call();
	if (!model_result(blob_create_paged(bytes, pager, &made), odd ? -EINVAL : 0)) {
		pager->refs--;
		return;
	}
	blob->held = true;
	blob->blob = made;
}

bool model_prepare_device(void)
{
	struct blob *blob;

	if (blob_create_device(DEVICE_START, pages_to_bytes(DEVICE_PAGES), CACHE_UNCACHED, &blob))
		return false;
	blob_unref(blob);
	return true;
}

void do_blob_create_device(void)
{
	struct model_blob *blob = found_blob(KIND_DEVICE);
	enum vm_cache cache = m.op->how % 3;
	uint64_t bytes = pages_to_bytes(1 + m.op->size % DEVICE_PAGES);
	unsigned page = m.op->at[0] % (DEVICE_PAGES + 1 - (bytes >> PAGE_SHIFT));
	paddr_t start = DEVICE_START + pages_to_bytes(page);
	struct blob *made = NULL;
	unsigned odd = model_odd(6);
	paddr_t found = 0;

	if (!blob)
		return;
	switch (odd) {
	case 1:
		start++;
		break;
	case 2:
		bytes = m.op->at[1] % 2 ? 0 : bytes + 1;
		break;
	case 3:
		start = ~PAGE_MASK;
		bytes = 2 * PAGE_SIZE;
		break;
	case 4:
		start = RAM_ADDRESS;
		break;
	case 5:
		start = LAYOUT_PHYSICAL_BYTES;
		break;
	case 6:
		cache = CACHE_UNCACHED + 1;
	}
	SAY("# blob_create_device(0x%llx, 0x%llx bytes, cache %u): b%u", (unsigned long long)start,
	    (unsigned long long)bytes, cache, blob_number(blob));
	model_call();
	if (!model_result(blob_create_device(start, bytes, cache, &made), odd ? -EINVAL : 0))
		return;
	blob->low = blob->index = 0;
	blob->pages = bytes >> PAGE_SHIFT;
	blob->held = true;
	blob->blob = made;
	AGREE_EQ(blob_physical(made, &found), 0);
	AGREE_EQ(found, start);
}

void do_blob_create_contiguous(void)
{
	struct model_blob *blob = found_blob(KIND_CONTIGUOUS);
	uint64_t bytes = pages_to_bytes(1 + m.op->size % MAX_RUN);
	uint64_t align = PAGE_SIZE << m.op->at[0] % MAX_ALIGN;
	paddr_t limit = m.op->at[1] % 2 ? PAGE_ANYWHERE : (paddr_t)32 << 20;
	unsigned odd = model_odd(5);
	struct blob *made = NULL;
	paddr_t found = 0;
	int error = odd == 0 ? 0 : odd == 5 ? -ENOMEM : -EINVAL;

	if (!blob)
		return;
	if (odd == 1 || odd == 2)
		bytes = wrong_size(odd);
	else if (odd == 3)
		align = m.op->at[1] % 2 ? 3 * align : PAGE_SIZE / 2;
	else if (odd == 4)
		bytes = BLOB_MAX_BYTES;
	else if (odd == 5)
		limit = 0;
	SAY("# blob_create_contiguous(0x%llx bytes, 0x%llx, 0x%llx): b%u", (unsigned long long)bytes,
	    (unsigned long long)align, (unsigned long long)limit, blob_number(blob));
	model_call();
	if (!model_result(blob_create_contiguous(bytes, align, limit, m.op->how % 3, &made), error))
		return;
	blob->low = blob->index = 0;
	blob->pages = bytes >> PAGE_SHIFT;
	blob->held = true;
	blob->blob = made;
	for (unsigned i = 0; i < blob->pages; i++) {
		blob->page[i] = page_make(MPAGE_FIXED);
		page_hold(blob->page[i]);
		memset(page_bytes(blob->page[i]), 0, PAGE_SIZE);
	}
	AGREE_EQ(blob_physical(made, &found), 0);
	AGREE((found & (align - 1)) == 0 && found + bytes <= limit);
	model_touch(blob, 0, blob->pages);
}

void do_blob_drop(void)
{
	struct model_blob *blob = pick_held(m.op->who[0]);

	if (!blob)
		return;
	SAY("# blob_unref(b%u)", blob_number(blob));
	blob->held = false;
	blob_unref(blob->blob);
}

void model_clone(struct model_blob *to, const struct model_blob *from, unsigned first, unsigned pages)
{
	*to = (struct model_blob){.kind = from->kind,
				  .unzeroed = from->unzeroed,
				  .family = from->family,
				  .index = from->index + first,
				  .pages = pages};
	for (unsigned i = 0; i < pages; i++) {
		to->page[i] = from->page[first + i];
		if (to->page[i])
			page_hold(to->page[i]);
	}
}

void do_blob_clone(void)
{
	struct model_blob *from = pick_blob(m.op->who[0]);
	struct model_blob *to = pick_unused();
	struct blob *made = NULL;
	struct window window;
	bool whole;

	if (!to)
		do_blob_drop();
	if (!from || !to)
		return;
	window = pick_window(from);
	/* All of it, with what the model does not look at. */
	whole = !window.error && m.op->how % 2;
	if (whole)
		window = (struct window){0, from->low + from->pages, 0, from->pages, 0};
	if (kind_is_fixed(from->kind))
		window.error = -EINVAL;
	SAY("# blob_clone(b%u, %#llx, %llu): b%u", blob_number(from), (unsigned long long)window.offset,
	    (unsigned long long)window.pages, blob_number(to));
	model_call();
	if (!model_result(blob_clone(from->blob, window.offset, window.pages, &made), window.error))
		return;
	model_clone(to, from, window.first, window.end - window.first);
	to->low = whole ? from->low : 0;
	to->held = true;
	to->blob = made;
	model_touch(to, 0, to->pages);
}

void model_collect_entities(void)
{
	for (unsigned e = 0; e < MODEL_ENTITIES; e++) {
		struct model_entity *entity = &m.entity[e];

		if (!entity->entity || entity->held || entity->mappings > 0)
			continue;
		entity->entity = NULL;
		for (unsigned s = 0; s < entity->count; s++)
			m.blob[entity->segment[s].blob].segments--;
	}
}

void model_collect(void)
{
	model_collect_entities();
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		struct model_blob *blob = &m.blob[b];

		if (!blob->blob || blob->held || blob->segments || blob->cells || blob->wirings)
			continue;
		for (unsigned i = 0; i < blob->pages; i++)
			page_drop(blob->page[i]);
		blob->blob = NULL;
	}
}

/* ---- Contents ------------------------------------------------------------------------------------------ */

/* Bytes of a blob: as argument, and in the model. */
struct bytes {
	uint64_t offset; /* argument */
	size_t count;
	uint64_t start; /* the same in bytes of the model's pages */
	int error;
};

static struct bytes pick_bytes(const struct model_blob *blob, unsigned at, unsigned within, unsigned size)
{
	uint64_t all = pages_to_bytes(blob->pages);
	struct bytes bytes = {.start = pages_to_bytes(at % blob->pages)};
	uint64_t left;

	if (within % 4 != 0)
		bytes.start += within % 4 == 1 ? PAGE_SIZE - 1 - (within >> 2) % 8 : within % PAGE_SIZE;
	left = all - bytes.start;
	switch (size % 4) {
	case 0:
		bytes.count = 1 + (size >> 2) % 32;
		break;
	case 1:
		bytes.count = PAGE_SIZE;
		break;
	case 2:
		bytes.count = (size >> 2) % (MAX_IO_PAGES * PAGE_SIZE + 1);
		break;
	default:
		bytes.count = pages_to_bytes(1 + (size >> 2) % MAX_IO_PAGES);
	}
	if (bytes.count > left)
		bytes.count = left;
	bytes.offset = pages_to_bytes(blob->low) + bytes.start;
	if (blob->kind == KIND_DEVICE)
		bytes.error = -EINVAL;
	return bytes;
}

/* One that is wrong: it ends behind the blob, or wraps. */
static void spoil_bytes(const struct model_blob *blob, struct bytes *bytes, unsigned odd)
{
	if (odd == 0)
		return;
	bytes->error = -EINVAL;
	if (odd == 1)
		bytes->count = pages_to_bytes(blob->pages) - bytes->start + 1;
	else
		bytes->offset = odd == 2 ? UINT64_MAX - 3 : pages_to_bytes(blob->low + blob->pages) + 1;
	if (bytes->count > MAX_IO_PAGES * PAGE_SIZE)
		bytes->offset += bytes->count - MAX_IO_PAGES * PAGE_SIZE;
	if (bytes->count > MAX_IO_PAGES * PAGE_SIZE || bytes->count < 5)
		bytes->count = MAX_IO_PAGES * PAGE_SIZE;
}

static uint8_t buffer[MAX_IO_PAGES * PAGE_SIZE];

static size_t piece_of(uint64_t start, size_t count)
{
	size_t left = PAGE_SIZE - (start & PAGE_MASK);

	return count < left ? count : left;
}

void do_blob_read(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct bytes bytes;

	if (!blob)
		return;
	bytes = pick_bytes(blob, m.op->at[0], m.op->at[1], m.op->size);
	spoil_bytes(blob, &bytes, model_odd(3));
	SAY("# blob_read(b%u, 0x%llx, %zu)", blob_number(blob), (unsigned long long)bytes.offset,
	    bytes.count);
	model_call();
	if (!model_result(blob_read(blob->blob, bytes.offset, buffer, bytes.count), bytes.error))
		return;
	for (size_t done = 0; done < bytes.count;) {
		uint64_t at = bytes.start + done;
		unsigned i = at >> PAGE_SHIFT;
		size_t piece = piece_of(at, bytes.count - done);

		AGREE(memcmp(buffer + done, blob_bytes(blob, i) + (at & PAGE_MASK), piece) == 0);
		model_digest(buffer[done]);
		if (!blob_is_zero(blob, i))
			model_obtain(blob, i, false);
		done += piece;
	}
}

/* Has the blob a page, and are these its bytes? Then the piece was written before an error, and perhaps paged out after it. */
static bool was_written(const struct model_blob *blob, uint64_t at, const uint8_t *bytes, size_t count)
{
	slot_t slot = blob_slot(blob, at >> PAGE_SHIFT);
	static uint8_t contents[PAGE_SIZE];
	const uint8_t *data = contents;

	if (kind_is_fixed(blob->kind))
		data = env_phys_to_virt(blob->blob->fixed_start + page_round_down(at));
	else if (slot == SLOT_EMPTY || !copy_contents(blob, at >> PAGE_SHIFT, slot, contents))
		return false;
	return memcmp(data + (at & PAGE_MASK), bytes, count) == 0;
}

/* The model writes the buffer; after an error only what was written before it. */
static void model_write(struct model_blob *blob, uint64_t start, size_t count, bool failed)
{
	for (size_t done = 0; done < count;) {
		uint64_t at = start + done;
		unsigned i = at >> PAGE_SHIFT;
		size_t piece = piece_of(at, count - done);

		if (failed && !was_written(blob, at, buffer + done, piece))
			return;
		model_obtain(blob, i, true);
		memcpy(page_bytes(blob->page[i]) + (at & PAGE_MASK), buffer + done, piece);
		done += piece;
	}
}

void do_blob_write(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct bytes bytes;
	bool good;

	if (!blob)
		return;
	bytes = pick_bytes(blob, m.op->at[0], m.op->at[1], m.op->size);
	spoil_bytes(blob, &bytes, model_odd(3));
	model_pattern(m.op->how, buffer, bytes.count);
	SAY("# blob_write(b%u, 0x%llx, %zu)", blob_number(blob), (unsigned long long)bytes.offset,
	    bytes.count);
	model_call();
	good = model_result(blob_write(blob->blob, bytes.offset, buffer, bytes.count), bytes.error);
	if (good || (m.fired && !bytes.error))
		model_write(blob, bytes.start, bytes.count, !good);
}

/* Zeroes a piece of one page. Whole pages of blobs without a pager are to be absent, unless wired. */
static void model_zero(struct model_blob *blob, uint64_t at, size_t piece, bool may_stay)
{
	unsigned i = at >> PAGE_SHIFT;

	if (blob_is_zero(blob, i))
		return;
	if (blob->kind == KIND_ANONYMOUS && piece == PAGE_SIZE && blob_slot(blob, i) == SLOT_EMPTY) {
		AGREE(!blob_wired_at(blob, i));
		model_forget(blob, i);
		return;
	}
	AGREE(may_stay || piece < PAGE_SIZE || blob->kind != KIND_ANONYMOUS);
	model_obtain(blob, i, true);
	memset(page_bytes(blob->page[i]) + (at & PAGE_MASK), 0, piece);
}

void do_blob_zero(void)
{
	struct model_blob *blob = pick_blob(m.op->who[0]);
	struct bytes bytes;
	bool wired = false, good;

	if (!blob)
		return;
	bytes = pick_bytes(blob, m.op->at[0], m.op->at[1], m.op->size);
	spoil_bytes(blob, &bytes, model_odd(3));
	memset(buffer, 0, sizeof(buffer));
	SAY("# blob_zero(b%u, 0x%llx, %zu)", blob_number(blob), (unsigned long long)bytes.offset,
	    bytes.count);
	model_call();
	good = model_result(blob_zero(blob->blob, bytes.offset, bytes.count), bytes.error);
	if (!good && (!m.fired || bytes.error))
		return;
	for (unsigned i = bytes.start >> PAGE_SHIFT; i < blob->pages; i++)
		wired |= blob_wired_at(blob, i);
	for (size_t done = 0; done < bytes.count;) {
		uint64_t at = bytes.start + done;
		size_t piece = piece_of(at, bytes.count - done);
		bool empty = blob_slot(blob, at >> PAGE_SHIFT) == SLOT_EMPTY &&
			     (blob->kind == KIND_ANONYMOUS || blob_is_zero(blob, at >> PAGE_SHIFT));

		/* Whole pages are given up before the ends are cleared, so that what failed need not be the last. */
		if (good || empty || was_written(blob, at, buffer, piece))
			model_zero(blob, at, piece, wired || m.fired);
		done += piece;
	}
}

/* The model copies a piece that lies within one page at both ends. */
static void copy_piece(struct model_blob *to, uint64_t to_at, struct model_blob *from, uint64_t from_at,
		       size_t piece)
{
	unsigned source = from_at >> PAGE_SHIFT, target = to_at >> PAGE_SHIFT;

	if (blob_is_zero(from, source)) {
		/* What would be zero is not made; nor are zeros written to what is absent. */
		if (blob_is_zero(to, target))
			return;
		model_obtain(to, target, true);
		memset(page_bytes(to->page[target]) + (to_at & PAGE_MASK), 0, piece);
		return;
	}
	/* Within one page it is obtained once, to be written. */
	if (to != from || target != source)
		model_obtain(from, source, false);
	model_obtain(to, target, true);
	memmove(page_bytes(to->page[target]) + (to_at & PAGE_MASK),
		page_bytes(from->page[source]) + (from_at & PAGE_MASK), piece);
}

/* The next piece of a copy that was interrupted: has it been copied? */
static bool was_copied(const struct model_blob *to, uint64_t to_at, const struct model_blob *from,
		       uint64_t from_at, size_t piece)
{
	const uint8_t *source = blob_bytes(from, from_at >> PAGE_SHIFT) + (from_at & PAGE_MASK);
	bool absent =
		blob_is_zero(to, to_at >> PAGE_SHIFT) && blob_slot(to, to_at >> PAGE_SHIFT) == SLOT_EMPTY;

	memcpy(buffer, source, piece);
	if (!absent)
		return was_written(to, to_at, buffer, piece);
	for (size_t i = 0; i < piece; i++) {
		if (buffer[i])
			return false;
	}
	return true;
}

void do_blob_copy(void)
{
	struct model_blob *from = pick_blob(m.op->who[0]);
	struct model_blob *to = pick_blob(m.op->who[1]);
	struct bytes source, target;
	bool good;
	int error;

	if (!from)
		return;
	source = pick_bytes(from, m.op->at[0], m.op->how, m.op->size);
	target = pick_bytes(to, m.op->at[1], m.op->at[1] >> 6, m.op->size);
	if (m.op->how % 3 == 0 && target.start >> PAGE_SHIFT == target.start / PAGE_SIZE)
		target.start = page_round_down(target.start) + (source.start & PAGE_MASK);
	target.offset = pages_to_bytes(to->low) + target.start;
	if (target.count > pages_to_bytes(to->pages) - target.start)
		target.count = pages_to_bytes(to->pages) - target.start;
	if (source.count < target.count)
		target.count = source.count;
	source.count = target.count;
	spoil_bytes(to, &target, model_odd(3));
	error = source.error || target.error ? -EINVAL : 0;
	if (to == from && !error && target.start < source.start + source.count &&
	    source.start < target.start + source.count)
		error = -EINVAL;
	SAY("# blob_copy(b%u, 0x%llx, b%u, 0x%llx, %zu)", blob_number(to), (unsigned long long)target.offset,
	    blob_number(from), (unsigned long long)source.offset, target.count);
	model_call();
	good = model_result(blob_copy(to->blob, target.offset, from->blob, source.offset, target.count),
			    error);
	if (!good && (!m.fired || error))
		return;
	for (size_t done = 0; done < target.count;) {
		uint64_t to_at = target.start + done, from_at = source.start + done;
		size_t piece = piece_of(to_at, piece_of(from_at, target.count - done));

		if (!good && !was_copied(to, to_at, from, from_at, piece))
			return;
		copy_piece(to, to_at, from, from_at, piece);
		done += piece;
	}
}
