/*
 * Overlays: blobs that show another one's pages as they are at any time, but for those that were written to. Each rule by itself, and then
 * random operations against a model of words.
 */
#include "store.h"
#include "vm_suite.h"

#define PAGES     16
#define LOCATIONS 512
#define OVERLAYS  4
#define STEPS     6000
#define VERIFY    64 /* steps between looks at all of it */
#define FIRST     100

static struct map *root;
static struct blob *file;

static vaddr_t place_of(unsigned overlay)
{
	return SPACE_BASE + pages_to_bytes((overlay + 1) * 1024);
}

static vaddr_t page_of(unsigned overlay, pgoff_t page)
{
	return place_of(overlay) + pages_to_bytes(page);
}

/* Maps all of a blob's PAGES at an overlay's place; the mapping has the only reference to it afterwards. */
static void show(struct map *map, struct blob *blob, vaddr_t address, enum map_inherit inherit)
{
	const struct mapping how = {.prot = RW, .inherit = inherit, .name = "file"};
	struct placement place = replace_at(address);
	vaddr_t at;

	CHECK_EQ(map_blob(map, &place, blob, 0, PAGES, &how, &at), 0);
	blob_unref(blob);
}

static void show_overlay(unsigned number)
{
	struct blob *overlay;

	if (CHECK_EQ(blob_overlay(file, 0, PAGES, &overlay), 0))
		show(root, overlay, place_of(number), INHERIT_COPY);
}

/* A file of PAGES pages, page i beginning with FIRST + i where it is below `filled`, mapped at SPACE_BASE; and one overlay. */
static void begin(const char *name, pgoff_t filled)
{
	test_case(name);
	root = space_open("overlays");
	CHECK_EQ(blob_create(BLOB_MAX_BYTES, 0, &file), 0);
	CHECK_EQ(blob_set_extent(file, PAGES), 0);
	for (pgoff_t i = 0; i < filled; i++)
		put_word(file, i, FIRST + i);
	blob_ref(file);
	show(root, file, SPACE_BASE, INHERIT_SHARE);
	show_overlay(0);
}

static void finish(void)
{
	CHECK(check_map(root));
	blob_verify(file);
	space_close(root);
	blob_verify(file);
	blob_unref(file);
}

static void follows(void)
{
	uint64_t word;

	begin("what is written to the file shows in an overlay's pages that were not written to", PAGES);
	CHECK_EQ(word_at(root, page_of(0, 3)), FIRST + 3);
	put_word(file, 3, 7);
	CHECK(try_load(root, page_of(0, 3), &word));
	CHECK_EQ(word, 7);
	CHECK_EQ(user_store(root, SPACE_BASE + pages_to_bytes(3), 8), 0);
	CHECK(try_load(root, page_of(0, 3), &word));
	CHECK_EQ(word, 8);
	CHECK(!try_store(root, page_of(0, 3), 9));
	CHECK_EQ(fault_at(root, page_of(0, 3), VM_WRITE), FAULT_COPY);
	CHECK_EQ(user_store(root, page_of(0, 3), 9), 0);
	CHECK_EQ(get_word(file, 3), 8);
	put_word(file, 3, 10);
	CHECK_EQ(word_at(root, page_of(0, 3)), 9);
	finish();

	begin("a page that the file does not have: zeroes till it has one; written to, the overlay's alone",
	      0);
	CHECK_EQ(fault_at(root, page_of(0, 2), VM_READ), FAULT_ZERO_PAGE);
	CHECK_EQ(word_at(root, page_of(0, 2)), 0);
	put_word(file, 2, 5);
	CHECK_EQ(word_at(root, page_of(0, 2)), 5);
	CHECK_EQ(fault_at(root, page_of(0, 4), VM_WRITE), FAULT_ZERO_FILL);
	CHECK_EQ(user_store(root, page_of(0, 4), 6), 0);
	CHECK_EQ(get_word(file, 4), 0);
	put_word(file, 4, 7);
	CHECK_EQ(word_at(root, page_of(0, 4)), 6);
	finish();
}

static void one_level(void)
{
	struct blob *overlay, *again, *clone;

	begin("an overlay of an overlay, and its clone, are overlays of the file with the same pages", PAGES);
	CHECK_EQ(blob_overlay(file, 4, 8, &overlay), 0);
	CHECK(blob_is_overlay(overlay));
	CHECK(!blob_is_overlay(file));
	put_word(overlay, 1, 50);
	CHECK_EQ(blob_overlay(overlay, 1, 2, &again), 0);
	CHECK_EQ(blob_clone(overlay, 0, 8, &clone), 0);
	blob_verify(file);
	CHECK_EQ(get_word(again, 0), 50);
	CHECK_EQ(get_word(again, 1), FIRST + 6);
	put_word(overlay, 1, 51);
	put_word(file, 6, 60);
	put_word(file, 5, 61);
	CHECK_EQ(get_word(again, 0), 50);
	CHECK_EQ(get_word(clone, 1), 50);
	CHECK_EQ(get_word(again, 1), 60);
	CHECK_EQ(get_word(clone, 2), 60);
	blob_unref(overlay);
	CHECK_EQ(get_word(clone, 7), FIRST + 11);
	blob_unref(clone);
	blob_unref(again);
	CHECK_EQ(blob_overlay(file, 0, 0, &overlay), -EINVAL);
	CHECK_EQ(blob_overlay(file, BLOB_MAX_BYTES >> PAGE_SHIFT, 1, &overlay), -EINVAL);
	finish();

	test_case("an overlay keeps the blob that it shows");
	file = make_blob(PAGES);
	put_word(file, 1, 5);
	CHECK_EQ(blob_overlay(file, 0, PAGES, &overlay), 0);
	blob_unref(file);
	CHECK_EQ(get_word(overlay, 1), 5);
	blob_unref(overlay);
}

static void forks(void)
{
	struct map *child;

	begin("a fork's child: private pages are each one's own, the others follow the file", PAGES);
	CHECK_EQ(user_store(root, page_of(0, 1), 1), 0);
	CHECK_EQ(word_at(root, page_of(0, 2)), FIRST + 2);
	CHECK_EQ(map_clone(root, "child", &child), 0);
	CHECK_EQ(user_store(root, page_of(0, 1), 2), 0);
	space_use(child);
	CHECK_EQ(word_at(child, page_of(0, 1)), 1);
	CHECK_EQ(user_store(child, page_of(0, 2), 3), 0);
	space_use(root);
	CHECK_EQ(word_at(root, page_of(0, 2)), FIRST + 2);
	put_word(file, 3, 4);
	put_word(file, 2, 5);
	CHECK_EQ(word_at(root, page_of(0, 3)), 4);
	CHECK_EQ(word_at(root, page_of(0, 2)), 5);
	space_use(child);
	CHECK_EQ(word_at(child, page_of(0, 3)), 4);
	CHECK_EQ(word_at(child, page_of(0, 2)), 3);
	space_use(root);
	CHECK(check_map(child));
	map_unref(child);
	finish();
}

static void forgets(void)
{
	uint64_t word;

	begin("what an overlay forgets it shows as the file has it", PAGES);
	CHECK_EQ(user_store(root, page_of(0, 1), 1), 0);
	put_word(file, 1, 2);
	CHECK_EQ(map_decommit(root, place_of(0), pages_to_bytes(PAGES)), 0);
	CHECK_EQ(word_at(root, page_of(0, 1)), 2);
	finish();

	begin("what the file forgets goes from overlays, but for their own pages", PAGES);
	CHECK_EQ(word_at(root, page_of(0, 1)), FIRST + 1);
	CHECK_EQ(user_store(root, page_of(0, 2), 1), 0);
	CHECK_EQ(blob_decommit(file, 0, 4), 0);
	CHECK(!try_load(root, page_of(0, 1), &word));
	CHECK_EQ(word_at(root, page_of(0, 1)), 0);
	CHECK_EQ(word_at(root, page_of(0, 2)), 1);
	CHECK_EQ(word_at(root, page_of(0, 4)), FIRST + 4);
	finish();

	begin("beyond the file's end nothing of an overlay is left, and what comes back is the file's",
	      PAGES);
	CHECK_EQ(word_at(root, page_of(0, 5)), FIRST + 5);
	CHECK_EQ(user_store(root, page_of(0, 6), 1), 0);
	CHECK_EQ(blob_set_extent(file, 4), 0);
	CHECK_EQ(user_load(root, page_of(0, 5), &word), -ENXIO);
	CHECK_EQ(user_load(root, page_of(0, 6), &word), -ENXIO);
	CHECK_EQ(blob_set_extent(file, PAGES), 0);
	put_word(file, 6, 9);
	CHECK_EQ(word_at(root, page_of(0, 5)), 0);
	CHECK_EQ(word_at(root, page_of(0, 6)), 9);
	finish();
}

/* A pager's pages are lent to the blob below; whoever writes to one there has the others see it. */
static void lent(void)
{
	static struct test_pager pager;
	struct blob *overlay;
	uint64_t word;

	test_case("pages that the file's pager lends show in an overlay, and are replaced there when the "
		  "file is written to");
	root = space_open("overlays");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(pages_to_bytes(PAGES), &pager.pager, &file), 0);
	CHECK_EQ(blob_overlay(file, 0, PAGES, &overlay), 0);
	show(root, overlay, place_of(0), INHERIT_COPY);
	CHECK_EQ(word_at(root, page_of(0, 1)), PAGER_WORD + 1);
	put_word(file, 1, 4);
	CHECK(!try_load(root, page_of(0, 1), &word));
	CHECK_EQ(word_at(root, page_of(0, 1)), 4);
	CHECK_EQ(user_store(root, page_of(0, 2), 5), 0);
	CHECK_EQ(get_word(file, 2), PAGER_WORD + 2);
	pager.error = -EIO;
	CHECK_EQ(user_load(root, page_of(0, 3), &word), -EIO);
	pager.error = 0;
	CHECK_EQ(map_advise(root, place_of(0), pages_to_bytes(PAGES), ADVISE_WILLNEED), 0);
	CHECK_EQ(blob_resident(file, 0, PAGES), PAGES);
	CHECK(check_map(root));
	space_close(root);
	blob_unref(file);
	test_pager_finish(&pager);
}

static void paged_out(void)
{
	unsigned char resident[PAGES];
	uint64_t word;

	CHECK(store_open(LOCATIONS));
	begin("pages of the file go out from under an overlay, and its own go, too; all come back", PAGES);
	CHECK_EQ(word_at(root, page_of(0, 1)), FIRST + 1);
	CHECK_EQ(user_store(root, page_of(0, 2), 1), 0);
	CHECK_EQ(blob_page_out(file, 0, PAGES), 0);
	CHECK(!try_load(root, page_of(0, 1), &word));
	CHECK_EQ(word_at(root, page_of(0, 2)), 1);
	CHECK_EQ(map_residency(root, place_of(0), pages_to_bytes(PAGES), resident), 0);
	CHECK_EQ(resident[1], 0);
	CHECK_EQ(resident[2], 1);
	CHECK_EQ(map_advise(root, place_of(0), pages_to_bytes(PAGES), ADVISE_PAGE_OUT), 0);
	CHECK_EQ(word_at(root, page_of(0, 2)), 1);
	CHECK_EQ(word_at(root, page_of(0, 1)), FIRST + 1);
	put_word(file, 1, 6);
	CHECK_EQ(word_at(root, page_of(0, 1)), 6);
	CHECK_EQ(user_store(root, page_of(0, 3), 2), 0);
	CHECK_EQ(get_word(file, 3), FIRST + 3);
	finish();
	store_close();
}

static void wired(void)
{
	struct blob_usage usage;
	struct lookup found;

	begin("what is wired of an overlay is its own", PAGES);
	CHECK_EQ(map_protect(root, place_of(0), pages_to_bytes(PAGES), VM_READ), 0);
	CHECK_EQ(map_wire(root, place_of(0), pages_to_bytes(4)), 0);
	CHECK_EQ(blob_decommit(file, 0, PAGES), 0);
	CHECK_EQ(word_at(root, page_of(0, 3)), FIRST + 3);
	CHECK_EQ(word_at(root, page_of(0, 4)), 0);
	CHECK_EQ(map_lookup(root, place_of(0), &found), 0);
	CHECK_EQ(blob_usage(found.blob, 0, PAGES, &usage), 0);
	CHECK_EQ(usage.wired, 4);
	lookup_release(&found);
	finish();

	begin("wired on fault: even a page that is only read becomes the overlay's own", PAGES);
	CHECK_EQ(map_wire_on_fault(root, place_of(0), pages_to_bytes(PAGES)), 0);
	CHECK_EQ(fault_at(root, page_of(0, 1), VM_READ), FAULT_COPY);
	CHECK_EQ(blob_set_extent(file, 1), 0);
	CHECK_EQ(blob_set_extent(file, PAGES), 0);
	CHECK_EQ(word_at(root, page_of(0, 1)), 0);
	finish();
}

#define WINDOW_FIRST 4u /* page of the file that a window begins with */

static void windows_and_views(void)
{
	struct blob *overlay;
	uint64_t word;

	begin("an overlay of a part of the file loses the pages that the file loses, and no others", PAGES);
	CHECK_EQ(blob_overlay(file, WINDOW_FIRST, PAGES, &overlay), 0);
	show(root, overlay, place_of(1), INHERIT_COPY);
	for (pgoff_t i = 0; i < PAGES - WINDOW_FIRST; i++)
		CHECK_EQ(word_at(root, page_of(1, i)), FIRST + WINDOW_FIRST + i);
	CHECK_EQ(blob_decommit(file, WINDOW_FIRST + 2, 2), 0);
	for (pgoff_t i = 0; i < PAGES - WINDOW_FIRST; i++)
		CHECK_EQ(try_load(root, page_of(1, i), &word), i != 2 && i != 3);
	CHECK_EQ(word_at(root, page_of(1, 2)), 0);
	CHECK_EQ(word_at(root, page_of(1, 4)), FIRST + WINDOW_FIRST + 4);
	finish();

	begin("a page that an overlay gets of its own is what all its mappings show", PAGES);
	CHECK_EQ(blob_overlay(file, 0, PAGES, &overlay), 0);
	blob_ref(overlay);
	show(root, overlay, place_of(1), INHERIT_SHARE);
	show(root, overlay, place_of(2), INHERIT_SHARE);
	CHECK_EQ(word_at(root, page_of(1, 3)), FIRST + 3);
	CHECK_EQ(word_at(root, page_of(2, 3)), FIRST + 3);
	CHECK_EQ(user_store(root, page_of(1, 3), 9), 0);
	CHECK_EQ(word_at(root, page_of(2, 3)), 9);
	CHECK_EQ(get_word(file, 3), FIRST + 3);
	finish();
}

static void counts(void)
{
	unsigned char resident[PAGES];
	struct lookup found;
	char line[256];

	begin("usage, residency, explanations and populate see what is below", PAGES / 2);
	CHECK_EQ(map_lookup(root, place_of(0), &found), 0);
	CHECK_USAGE(found.blob, .resident = PAGES / 2, .dirty = PAGES / 2, .shared = PAGES / 2,
		    .shared_dirty = PAGES / 2);
	CHECK_EQ(vm_explain(root, page_of(0, 1), VM_WRITE, line, sizeof(line)), 0);
	CHECK_STR(line, "overlays > private space > file rw- > page 1 of the blob below, resident, shared > "
			"no translation > "
			"write faults: copy on write");
	CHECK_EQ(user_store(root, page_of(0, 1), 1), 0);
	CHECK_USAGE(found.blob, .resident = PAGES / 2, .dirty = PAGES / 2, .shared = PAGES / 2 - 1,
		    .shared_dirty = PAGES / 2 - 1);
	lookup_release(&found);
	CHECK_EQ(map_residency(root, place_of(0), pages_to_bytes(PAGES), resident), 0);
	CHECK_EQ(resident[0], 1);
	CHECK_EQ(resident[1], 1);
	CHECK_EQ(resident[PAGES / 2], 0);
	CHECK_EQ(map_populate(root, place_of(0), pages_to_bytes(PAGES), VM_READ), 0);
	CHECK_EQ(get_word(file, 1), FIRST + 1);
	CHECK_EQ(blob_resident(file, 0, PAGES), PAGES / 2);
	CHECK_EQ(map_populate(root, place_of(0), pages_to_bytes(PAGES), VM_WRITE), 0);
	put_word(file, 2, 77);
	CHECK_EQ(word_at(root, page_of(0, 2)), FIRST + 2);
	finish();
}

static void residency_of_others(void)
{
	unsigned char resident[PAGES];
	struct blob *other;

	begin("what another overlay has of its own is resident", PAGES / 2);
	CHECK_EQ(blob_overlay(file, 0, PAGES, &other), 0);
	CHECK_EQ(map_residency(root, place_of(0), pages_to_bytes(PAGES), resident), 0);
	CHECK_EQ(resident[PAGES - 1], 0);
	CHECK_EQ(blob_commit(other, PAGES - 1, 1), 0);
	CHECK_EQ(map_residency(root, place_of(0), pages_to_bytes(PAGES), resident), 0);
	CHECK_EQ(resident[PAGES - 1], 1);
	CHECK_EQ(resident[PAGES - 2], 0);
	blob_unref(other);
	CHECK_EQ(map_residency(root, place_of(0), pages_to_bytes(PAGES), resident), 0);
	CHECK_EQ(resident[PAGES - 1], 0);
	finish();
}

/* ---- Random operations -------------------------------------------------------------------------------------------- */

static struct rng rng;
static uint64_t next_word;

/* What there has to be. */
static struct {
	uint64_t word[PAGES];
	pgoff_t extent;
	struct {
		bool own[PAGES];
		uint64_t word[PAGES];
		bool wired;
	} overlays[OVERLAYS];
} model;

static void check_words(void)
{
	for (pgoff_t i = 0; i < PAGES; i++) {
		uint64_t word;

		for (unsigned n = 0; n < OVERLAYS; n++) {
			if (i >= model.extent)
				CHECK_EQ(user_load(root, page_of(n, i), &word), -ENXIO);
			else
				CHECK_EQ(word_at(root, page_of(n, i)), model.overlays[n].own[i]
									       ? model.overlays[n].word[i]
									       : model.word[i]);
		}
		if (i < model.extent)
			CHECK_EQ(word_at(root, SPACE_BASE + pages_to_bytes(i)), model.word[i]);
	}
	CHECK(check_map(root));
	blob_verify(file);
}

/* A page becomes an overlay's own, with what it shows. */
static void model_own(unsigned n, pgoff_t page)
{
	if (!model.overlays[n].own[page])
		model.overlays[n].word[page] = model.word[page];
	model.overlays[n].own[page] = true;
}

static void write_file(pgoff_t page)
{
	uint64_t word = ++next_word;

	if (page >= model.extent)
		return;
	if (rng_below(&rng, 2))
		put_word(file, page, word);
	else
		CHECK_EQ(user_store(root, SPACE_BASE + pages_to_bytes(page), word), 0);
	model.word[page] = word;
}

static void write_overlay(unsigned n, pgoff_t page)
{
	uint64_t word = ++next_word;

	if (page >= model.extent)
		return;
	CHECK_EQ(user_store(root, page_of(n, page), word), 0);
	model.overlays[n].own[page] = true;
	model.overlays[n].word[page] = word;
}

/* Where an overlay is wired on fault, a read makes a page its own. */
static void read_overlay(unsigned n, pgoff_t page)
{
	if (page >= model.extent)
		return;
	CHECK_EQ(word_at(root, page_of(n, page)),
		 model.overlays[n].own[page] ? model.overlays[n].word[page] : model.word[page]);
	if (model.overlays[n].wired)
		model_own(n, page);
}

static void forget(unsigned n, pgoff_t first, pgoff_t end)
{
	int error = map_decommit(root, page_of(n, first), pages_to_bytes(end - first));

	CHECK_EQ(error, model.overlays[n].wired ? -EBUSY : 0);
	for (pgoff_t i = first; i < end && !error; i++)
		model.overlays[n].own[i] = false;
}

static void forget_file(pgoff_t first, pgoff_t end)
{
	CHECK_EQ(blob_decommit(file, first, end - first), 0);
	memset(&model.word[first], 0, (end - first) * sizeof(model.word[0]));
}

static void cut(pgoff_t extent)
{
	CHECK_EQ(blob_set_extent(file, extent), 0);
	for (pgoff_t i = extent; i < PAGES; i++) {
		model.word[i] = 0;
		for (unsigned n = 0; n < OVERLAYS; n++)
			model.overlays[n].own[i] = false;
	}
	model.extent = extent;
}

/* The place of one overlay shows a clone of another. */
static void copy_overlay(unsigned from, unsigned to)
{
	struct lookup found;
	struct blob *clone;

	CHECK_EQ(map_lookup(root, place_of(from), &found), 0);
	CHECK_EQ(blob_clone(found.blob, 0, PAGES, &clone), 0);
	lookup_release(&found);
	show(root, clone, place_of(to), INHERIT_COPY);
	model.overlays[to] = model.overlays[from];
	model.overlays[to].wired = false;
}

static void wire(unsigned n)
{
	if (model.overlays[n].wired)
		CHECK_EQ(map_unwire(root, place_of(n), pages_to_bytes(PAGES)), 0);
	else
		CHECK_EQ(map_wire_on_fault(root, place_of(n), pages_to_bytes(PAGES)), 0);
	model.overlays[n].wired = !model.overlays[n].wired;
}

static void step(void)
{
	unsigned n = (unsigned)rng_below(&rng, OVERLAYS);
	pgoff_t page = rng_below(&rng, PAGES), end = page + 1 + rng_below(&rng, PAGES - page);

	switch (rng_below(&rng, 16)) {
	case 0 ... 3:
		return write_file(page);
	case 4 ... 6:
		return write_overlay(n, page);
	case 7 ... 9:
		return read_overlay(n, page);
	case 10:
		return forget(n, page, end);
	case 11:
		return forget_file(page, end);
	case 12:
		return cut(rng_below(&rng, 4) ? PAGES : page + 1);
	case 13:
		return copy_overlay(n,
				    (unsigned)rng_below(&rng, OVERLAYS - 1) == n ? OVERLAYS - 1 - n : n ^ 1);
	case 14:
		CHECK_EQ(blob_page_out(file, page, end - page), 0);
		CHECK_EQ(map_advise(root, place_of(n), pages_to_bytes(PAGES), ADVISE_PAGE_OUT), 0);
		return;
	default:
		return wire(n);
	}
}

static void random_steps(void)
{
	CHECK(store_open(LOCATIONS));
	begin("random operations on a file and its overlays against a model", 0);
	memset(&model, 0, sizeof(model));
	model.extent = PAGES;
	rng.state = 20;
	next_word = 0;
	for (unsigned n = 1; n < OVERLAYS; n++)
		show_overlay(n);
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (i % VERIFY == 0 && !model.overlays[0].wired && !model.overlays[1].wired &&
		    !model.overlays[2].wired && !model.overlays[3].wired)
			check_words();
	}
	finish();
	store_close();
}

/* Clearing is writing: the page is the overlay's own then. */
static void cleared(void)
{
	struct blob *overlay, *source;
	char zeroes[PAGE_SIZE] = {0};

	begin("what was cleared in an overlay stays zero, whatever becomes of the file", 0);
	CHECK_EQ(blob_overlay(file, 0, PAGES, &overlay), 0);
	source = make_blob(1);
	CHECK_EQ(blob_zero(overlay, PAGE_SIZE, 2 * PAGE_SIZE), 0);
	CHECK_EQ(blob_zero(overlay, 3 * PAGE_SIZE, 8), 0);
	CHECK_EQ(blob_copy(overlay, 4 * PAGE_SIZE, source, 0, PAGE_SIZE), 0);
	CHECK_EQ(blob_write(overlay, 5 * PAGE_SIZE, zeroes, 8), 0);
	for (pgoff_t i = 0; i < 8; i++)
		put_word(file, i, FIRST + i);
	for (pgoff_t i = 0; i < 8; i++)
		CHECK_EQ(get_word(overlay, i), i >= 1 && i <= 5 ? 0 : FIRST + i);
	blob_unref(source);
	blob_unref(overlay);
	finish();
}

/* What is wired on fault is the overlay's own as soon as it is touched, even if the file's page was shown before, or is beside one that faults. */
static void wired_around(void)
{
	uint64_t reads;

	begin("what is touched where an overlay is wired on fault stays, whatever is given up of the file",
	      PAGES);
	CHECK(store_open(LOCATIONS));
	CHECK_EQ(word_at(root, page_of(0, 1)), FIRST + 1);
	CHECK_EQ(map_wire_on_fault(root, place_of(0), pages_to_bytes(PAGES)), 0);
	for (pgoff_t i = 0; i < 4; i++)
		CHECK_EQ(word_at(root, page_of(0, i)), FIRST + i);
	CHECK_EQ(map_populate(root, page_of(0, 4), 2 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(blob_page_out(file, 0, PAGES), 0);
	reads = store_counts().gets;
	for (pgoff_t i = 0; i < 6; i++)
		CHECK_EQ(word_at(root, page_of(0, i)), FIRST + i);
	CHECK_EQ(store_counts().gets, reads);
	CHECK_EQ(word_at(root, page_of(0, 9)), FIRST + 9);
	CHECK_EQ(store_counts().gets, reads + 1);
	finish();
	store_close();
}

void suite_overlay(void)
{
	struct footprint before = footprint_now();

	follows();
	one_level();
	forks();
	forgets();
	lent();
	paged_out();
	wired();
	wired_around();
	cleared();
	windows_and_views();
	counts();
	residency_of_others();
	random_steps();
	test_case("nothing is left");
	check_footprint(&before);
}
