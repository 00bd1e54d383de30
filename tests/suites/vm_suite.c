/*
 * Helpers of the suites of blobs, entities, maps and faults; what they promise is in vm_suite.h.
 */
#include "vm_suite.h"

#include "probe.h"

/* ---- Accounting ------------------------------------------------------------------------------ */

struct footprint footprint_now(void)
{
	struct footprint now = {.pages = page_stats().free_pages};

	for (const struct slab_cache *cache = slab_caches(); cache; cache = cache->next) {
		now.pages += cache->pages;
		now.objects += cache->objects;
	}
	return now;
}

void check_footprint(const struct footprint *before)
{
	struct footprint now = footprint_now();

	CHECK_EQ(now.pages, before->pages);
	CHECK_EQ(now.objects, before->objects);
}

uint64_t blob_pages_now(void)
{
	return page_stats().by_state[PAGE_BLOB];
}

/* ---- Random numbers ---------------------------------------------------------------------------- */

/* Marsaglia's xorshift with a final multiplication. */
uint64_t rng_next(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1dul;
}

uint64_t rng_below(struct rng *rng, uint64_t limit)
{
	return (rng_next(rng) >> 16) % limit;
}

/* ---- Contents -------------------------------------------------------------------------------- */

struct blob *make_blob(pgoff_t pages)
{
	struct blob *blob = NULL;

	CHECK_EQ(blob_create(pages_to_bytes(pages), 0, &blob), 0);
	return blob;
}

void put_word(struct blob *blob, pgoff_t page, uint64_t word)
{
	CHECK_EQ(blob_write(blob, pages_to_bytes(page), &word, sizeof(word)), 0);
}

uint64_t get_word(struct blob *blob, pgoff_t page)
{
	uint64_t word = ~0ul;

	CHECK_EQ(blob_read(blob, pages_to_bytes(page), &word, sizeof(word)), 0);
	return word;
}

bool page_is_zero(struct blob *blob, pgoff_t page)
{
	uint64_t words[64];

	for (uint64_t offset = 0; offset < PAGE_SIZE; offset += sizeof(words)) {
		if (!CHECK_EQ(blob_read(blob, pages_to_bytes(page) + offset, words, sizeof(words)), 0))
			return false;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (words[i])
				return false;
		}
	}
	return true;
}

void check_usage(struct blob *blob, pgoff_t offset, pgoff_t pages, struct blob_usage expected,
		 const char *file, int line)
{
	struct blob_usage found = {0};

	CHECK_EQ(blob_usage(blob, offset, pages, &found), 0);
	test_check_equal(found.resident, expected.resident, "resident", "expected", file, line);
	test_check_equal(found.paged_out, expected.paged_out, "paged out", "expected", file, line);
	test_check_equal(found.dirty, expected.dirty, "dirty", "expected", file, line);
	test_check_equal(found.wired, expected.wired, "wired", "expected", file, line);
}

static struct page *pager_make_page(enum page_state state, pgoff_t index)
{
	struct page *page = page_alloc(state, PAGE_ALLOC_ZERO);

	if (page)
		*(uint64_t *)page_data(page) = PAGER_WORD + index;
	return page;
}

/* Is this call to fail? */
static bool pager_fails_now(struct test_pager *test)
{
	if (!test->fail_armed)
		return false;
	if (test->fail_after > 0) {
		test->fail_after--;
		return false;
	}
	test->fail_armed = false;
	return true;
}

/* One page: 0, or -ENOMEM. */
static int test_pager_provide(struct test_pager *test, pgoff_t index, struct page **out)
{
	if (test->copies) {
		*out = pager_make_page(PAGE_BLOB, index);
		return *out ? 0 : -ENOMEM;
	}
	if (!test->pages[index])
		test->pages[index] = pager_make_page(PAGE_KERNEL, index);
	if (!test->pages[index])
		return -ENOMEM;
	page_ref(test->pages[index]);
	*out = test->pages[index];
	return 0;
}

static int test_pager_get_pages(struct pager *pager, const struct page_wanted *wanted, unsigned count,
				struct page **out)
{
	struct test_pager *test = (struct test_pager *)pager;
	unsigned done = 0;

	test->calls++;
	if (!CHECK(count >= 1 && count <= PAGER_CLUSTER))
		return -EIO;
	if (pager_fails_now(test))
		return -EIO;
	if (test->error)
		return test->error;
	if (test->write_meanwhile) {
		struct blob *blob = test->write_meanwhile;

		test->write_meanwhile = NULL;
		put_word(blob, wanted[0].index - blob->base, ~wanted[0].index);
	}
	if (test->cut_meanwhile && !test->regrown) {
		struct blob *blob = test->cut_meanwhile;

		test->cut_meanwhile = NULL;
		CHECK_EQ(blob_set_extent(blob, 0), 0);
	}
	while (done < count) {
		int error;

		/* It is asked for what it says it has, and takes no pages itself. */
		if (!CHECK(pager->ops->has_page(pager, wanted[done].index)) ||
		    !CHECK_EQ(wanted[done].location, 0) ||
		    !CHECK_EQ(wanted[done].index, wanted[0].index + done))
			return -EIO;
		error = test_pager_provide(test, wanted[done].index, &out[done]);
		if (error)
			return done > 0 ? (int)done : error;
		done++;
		test->provided++;
	}
	if (test->cut_meanwhile) {
		struct blob *blob = test->cut_meanwhile;

		test->cut_meanwhile = NULL;
		test->empty = true;
		CHECK_EQ(blob_set_extent(blob, 0), 0);
		CHECK_EQ(blob_set_extent(blob, test->regrown), 0);
	}
	return (int)done;
}

static bool test_pager_has_page(struct pager *pager, pgoff_t index)
{
	struct test_pager *test = (struct test_pager *)pager;

	test->asked++;
	return CHECK(index < PAGER_PAGES) && !test->empty && !(test->holes && (index & 1));
}

static void test_pager_destroy(struct pager *pager)
{
	struct test_pager *test = (struct test_pager *)pager;

	CHECK(!test->destroyed);
	test->destroyed = true;
}

static void init_with(struct test_pager *pager, const struct pager_ops *ops)
{
	memset(pager, 0, sizeof(*pager));
	pager->pager.ops = ops;
	pager->pager.refs = 1;
}

void test_pager_init(struct test_pager *pager)
{
	static const struct pager_ops ops = {
		.name = "test",
		.get_pages = test_pager_get_pages,
		.has_page = test_pager_has_page,
		.destroy = test_pager_destroy,
	};

	init_with(pager, &ops);
}

void test_pager_init_at_hand(struct test_pager *pager)
{
	static const struct pager_ops ops = {
		.name = "test, at hand",
		.get_pages = test_pager_get_pages,
		.has_page = test_pager_has_page,
		.destroy = test_pager_destroy,
		.at_hand = true,
	};

	init_with(pager, &ops);
}

void test_pager_finish(struct test_pager *pager)
{
	CHECK(pager->destroyed);
	for (unsigned i = 0; i < PAGER_PAGES; i++) {
		if (!pager->pages[i])
			continue;
		CHECK_EQ(pager->pages[i]->refs, 1);
		CHECK_EQ(*(uint64_t *)page_data(pager->pages[i]), PAGER_WORD + i);
		page_free(pager->pages[i]);
	}
}

/* ---- Address spaces and accesses --------------------------------------------------------------- */

void space_use(struct map *root)
{
	if (probe_activate)
		probe_activate(map_pmap(root));
}

struct map *space_open(const char *name)
{
	struct map *root = NULL;

	if (CHECK_EQ(map_create_root(name, &root), 0))
		space_use(root);
	return root;
}

void space_close(struct map *root)
{
	if (probe_activate)
		probe_activate(&kernel_pmap);
	map_unref(root);
}

/* One access without a fault, a word from or to *word. */
static bool try_access(struct map *root, vaddr_t va, vm_prot_t access, uint64_t *word)
{
	struct pmap_query found = pmap_query(map_pmap(root), va);
	vm_prot_t needed = access | VM_USER;
	bool allowed = found.page && (found.prot & needed) == needed;
	uint64_t *place;

	if (probe_access) {
		/* What the tables say and what CPUs do, caches included, has to be the same. */
		CHECK_EQ(probe_access(page_round_down(va), needed, word), allowed);
		return allowed;
	}
	if (!allowed)
		return false;
	place = page_data(found.page);
	if (access & VM_WRITE)
		*place = *word;
	else
		*word = *place;
	return true;
}

bool try_load(struct map *root, vaddr_t va, uint64_t *word)
{
	return try_access(root, va, VM_READ, word);
}

bool try_store(struct map *root, vaddr_t va, uint64_t word)
{
	return try_access(root, va, VM_WRITE, &word);
}

/* An access as often as it faults; a fault that was served twice in vain is a failed check. */
static int user_access(struct map *root, vaddr_t va, vm_prot_t access, uint64_t *word)
{
	for (unsigned attempt = 0; attempt < 3; attempt++) {
		struct fault_result result;
		int error;

		if (try_access(root, va, access, word))
			return 0;
		error = vm_fault(root, va, access, &result);
		if (error)
			return error;
	}
	CHECK(!"a fault that was served leads to the same fault");
	return -EFAULT;
}

int user_load(struct map *root, vaddr_t va, uint64_t *word)
{
	return user_access(root, va, VM_READ, word);
}

int user_store(struct map *root, vaddr_t va, uint64_t word)
{
	return user_access(root, va, VM_WRITE, &word);
}

enum fault_case fault_at(struct map *root, vaddr_t va, vm_prot_t access)
{
	struct fault_result result = {.outcome = FAULT_CASES};

	CHECK_EQ(vm_fault(root, va, access, &result), 0);
	return result.outcome;
}

uint64_t word_at(struct map *root, vaddr_t va)
{
	uint64_t word = ~0ul;

	CHECK_EQ(user_load(root, va, &word), 0);
	return word;
}

/* ---- Maps ------------------------------------------------------------------------------------ */

void map_all_at(struct map *map, vaddr_t address, struct blob *blob)
{
	struct placement place = fixed_at(address);
	struct mapping how = {.prot = RW, .name = "test"};
	vaddr_t at = 0;

	CHECK_EQ(map_blob(map, &place, blob, 0, blob_size(blob) >> PAGE_SHIFT, &how, &at), 0);
	CHECK_EQ(at, address);
}

struct listing {
	vaddr_t start, end;
	struct entry_info *out;
	unsigned count, max;
};

static int list_entry(const struct entry_info *info, void *context)
{
	struct listing *listing = context;

	if (info->start < listing->start || info->end > listing->end)
		return 0;
	if (listing->count < listing->max)
		listing->out[listing->count] = *info;
	listing->count++;
	return 0;
}

unsigned list_entries(struct map *map, vaddr_t start, vaddr_t end, struct entry_info *out, unsigned max)
{
	struct listing listing = {.start = start, .end = end, .out = out, .max = max};

	CHECK_EQ(map_walk(map, list_entry, &listing), 0);
	return listing.count;
}

unsigned count_entries(struct map *map, vaddr_t start, vaddr_t end)
{
	return list_entries(map, start, end, NULL, 0);
}

/* ---- The checker of maps ------------------------------------------------------------------------- */

bool check_map(struct map *map)
{
	map_verify(map);
	return true;
}
