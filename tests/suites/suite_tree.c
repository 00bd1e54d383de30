/*
 * Trees of pages, through the blobs of a family: random streams of writes, commits, decommits and clones of windows,
 * against flat arrays that say what each blob contains and which pages are the same.
 */
#include "vm_suite.h"

#define BLOBS 6
#define PAGES 4400 /* three levels of nodes */
#define STEPS 1500
#define IDS   65536

/* Where things happen: at the edges of nodes of the lowest and the middle level. */
static const pgoff_t places[] = {0, 56, 4088};
#define PLACES      3
#define PLACE_PAGES 20
#define MODEL_PAGES (PLACES * PLACE_PAGES)

/* The model of a blob: for each page of interest a page's identity (0: absent) and its first word. */
struct model {
	struct blob *blob; /* NULL: not in use */
	pgoff_t base;      /* page 0 of the blob, in pages of the family's first */
	pgoff_t pages;
	uint32_t ids[MODEL_PAGES];
	uint64_t words[MODEL_PAGES];
};

static struct model models[BLOBS];
static uint16_t id_refs[IDS];
static uint32_t last_id;
static uint64_t live_ids;

static pgoff_t place_of(unsigned m)
{
	return places[m / PLACE_PAGES] + m % PLACE_PAGES;
}

static bool covers(const struct model *model, unsigned m)
{
	return place_of(m) >= model->base && place_of(m) - model->base < model->pages;
}

static void id_ref(uint32_t id)
{
	if (id && id_refs[id]++ == 0)
		live_ids++;
}

static void id_drop(uint32_t id)
{
	if (id && --id_refs[id] == 0)
		live_ids--;
}

/* What a write does to the model: the page is the blob's alone. */
static void model_own(struct model *model, unsigned m)
{
	if (model->ids[m] && id_refs[model->ids[m]] == 1)
		return;
	id_drop(model->ids[m]);
	model->ids[m] = ++last_id;
	id_ref(last_id);
}

static void model_forget(struct model *model, unsigned m)
{
	id_drop(model->ids[m]);
	model->ids[m] = 0;
	model->words[m] = 0;
}

static void drop(struct model *model)
{
	for (unsigned m = 0; m < MODEL_PAGES; m++)
		model_forget(model, m);
	blob_unref(model->blob);
	model->blob = NULL;
}

static void make_root(struct model *model)
{
	model->blob = make_blob(PAGES);
	model->base = 0;
	model->pages = PAGES;
}

static void clone(struct rng *rng, const struct model *from, struct model *to)
{
	pgoff_t first = rng_below(rng, 3) ? place_of(rng_below(rng, MODEL_PAGES)) : from->base;
	pgoff_t end = rng_below(rng, 3) ? place_of(rng_below(rng, MODEL_PAGES)) : from->base + from->pages;

	if (first < from->base || end > from->base + from->pages || first >= end)
		return;
	if (!CHECK_EQ(blob_clone(from->blob, first - from->base, end - first, &to->blob), 0))
		return;
	to->base = first;
	to->pages = end - first;
	for (unsigned m = 0; m < MODEL_PAGES; m++) {
		to->ids[m] = covers(to, m) ? from->ids[m] : 0;
		to->words[m] = covers(to, m) ? from->words[m] : 0;
		id_ref(to->ids[m]);
	}
}

static void write_or_commit(struct rng *rng, struct model *model, unsigned m)
{
	pgoff_t page = place_of(m) - model->base;

	model_own(model, m);
	if (rng_below(rng, 2)) {
		model->words[m] = rng_next(rng);
		put_word(model->blob, page, model->words[m]);
	} else {
		CHECK_EQ(blob_commit(model->blob, page, 1), 0);
	}
}

/* From one place to another, which may be far away. */
static void decommit(struct rng *rng, struct model *model, unsigned first)
{
	unsigned last = first + rng_below(rng, MODEL_PAGES - first);

	while (!covers(model, last))
		last--;
	CHECK_EQ(blob_decommit(model->blob, place_of(first) - model->base,
			       place_of(last) - place_of(first) + 1),
		 0);
	for (unsigned m = first; m <= last; m++)
		model_forget(model, m);
}

static void step(struct rng *rng)
{
	struct model *model = &models[rng_below(rng, BLOBS)];
	unsigned m = rng_below(rng, MODEL_PAGES);
	struct model *from = &models[rng_below(rng, BLOBS)];

	if (!model->blob) {
		if (from->blob)
			clone(rng, from, model);
		else
			make_root(model);
		return;
	}
	switch (rng_below(rng, 12)) {
	case 0:
		drop(model);
		break;
	case 1:
		if (covers(model, m))
			decommit(rng, model, m);
		break;
	default:
		if (covers(model, m))
			write_or_commit(rng, model, m);
		break;
	}
}

static bool check_model(const struct model *model)
{
	pgoff_t resident = 0;
	bool good = true;

	for (unsigned m = 0; m < MODEL_PAGES; m++) {
		pgoff_t page = place_of(m) - model->base;

		if (!covers(model, m))
			continue;
		good &= CHECK_EQ(get_word(model->blob, page), model->words[m]) &
			CHECK_EQ(blob_resident(model->blob, page, 1), model->ids[m] != 0);
		resident += model->ids[m] != 0;
	}
	return good & CHECK_EQ(blob_resident(model->blob, 0, model->pages), resident);
}

static bool check_models(uint64_t pages_before)
{
	bool good = CHECK_EQ(blob_pages_now(), pages_before + live_ids);

	for (unsigned i = 0; i < BLOBS; i++) {
		if (models[i].blob)
			good &= check_model(&models[i]);
	}
	return good;
}

static void random_stream(uint64_t seed)
{
	struct rng rng = {seed};
	uint64_t pages_before = blob_pages_now();

	last_id = 0;
	for (unsigned i = 0; i < STEPS; i++) {
		step(&rng);
		if (!check_models(pages_before)) {
			test_print("# tree: seed %llu, step %u", (unsigned long long)seed, i);
			break;
		}
	}
	for (unsigned i = 0; i < BLOBS; i++) {
		if (models[i].blob)
			drop(&models[i]);
	}
	CHECK_EQ(live_ids, 0);
	CHECK_EQ(blob_pages_now(), pages_before);
}

void suite_tree(void)
{
	struct footprint before = footprint_now();

	test_case("a random family of clones has the contents and the pages that flat arrays predict");
	for (uint64_t seed = 11; seed < 14; seed++)
		random_stream(seed);
	test_case("all memory is back");
	check_footprint(&before);
}
