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
	return (int)done;
}

static bool test_pager_has_page(struct pager *pager, pgoff_t index)
{
	const struct test_pager *test = (const struct test_pager *)pager;

	return CHECK(index < PAGER_PAGES) && !(test->holes && (index & 1));
}

static void test_pager_destroy(struct pager *pager)
{
	struct test_pager *test = (struct test_pager *)pager;

	CHECK(!test->destroyed);
	test->destroyed = true;
}

void test_pager_init(struct test_pager *pager)
{
	static const struct pager_ops ops = {
		.name = "test",
		.get_pages = test_pager_get_pages,
		.has_page = test_pager_has_page,
		.destroy = test_pager_destroy,
	};

	memset(pager, 0, sizeof(*pager));
	pager->pager.ops = &ops;
	pager->pager.refs = 1;
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

/* Checks links, heights and balance of a subtree; returns its height, and adds its nodes to *count. */
static unsigned check_avl(const struct avl_node *node, const struct avl_node *parent, uint64_t *count,
			  bool *good)
{
	unsigned left, right, height;

	if (!node)
		return 0;
	(*count)++;
	left = check_avl(node->left, node, count, good);
	right = check_avl(node->right, node, count, good);
	height = (left > right ? left : right) + 1;
	*good &= CHECK(node->parent == parent) & CHECK_EQ(node->height, height) &
		 CHECK(left <= right + 1 && right <= left + 1);
	return height;
}

static uint64_t widest_below(const struct avl_node *node)
{
	return node ? ((const struct map_entry *)node)->widest : 0;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static const struct map_entry *entry_at_offset(const struct avl_node *node)
{
	return (const struct map_entry *)((const char *)node - offsetof(struct map_entry, by_offset));
}

/* Order and summaries of a blob's mappings; returns the farthest end, and counts how often `entry` is there. */
static pgoff_t check_mappings(const struct avl_node *node, const struct map_entry *entry, unsigned *seen,
			      bool *good)
{
	const struct map_entry *own;
	pgoff_t farthest;

	if (!node)
		return 0;
	own = entry_at_offset(node);
	*seen += own == entry;
	farthest = most(own->offset + entry_pages(own), check_mappings(node->left, entry, seen, good));
	farthest = most(farthest, check_mappings(node->right, entry, seen, good));
	*good &= CHECK_EQ(own->farthest, farthest) & CHECK(own->blob == entry->blob);
	if (node->left)
		*good &= CHECK(entry_at_offset(node->left)->offset <= own->offset);
	if (node->right)
		*good &= CHECK(entry_at_offset(node->right)->offset >= own->offset);
	return farthest;
}

static bool check_blob_entry(const struct map_entry *entry)
{
	struct blob *blob = entry->blob;
	uint64_t count = 0;
	unsigned seen = 0;
	bool good = true;

	good &= CHECK(entry->offset + entry_pages(entry) <= blob->pages);
	spin_lock(&blob->family->lock);
	check_avl(blob->mappings, NULL, &count, &good);
	check_mappings(blob->mappings, entry, &seen, &good);
	good &= CHECK_EQ(seen, 1) & CHECK_EQ(count, blob->mapping_count) & CHECK(blob->refs >= count);
	spin_unlock(&blob->family->lock);
	return good;
}

static bool check_submap_entry(const struct map_entry *entry)
{
	const struct map *map = entry->map;
	const struct map *submap = entry->submap;

	if (submap->top != map->top)
		return true;
	return CHECK_EQ(submap->start, entry->start) & CHECK_EQ(submap->end, entry->end) &
	       CHECK_EQ(submap->depth, map->depth + 1) & CHECK((submap->ceiling & ~map->ceiling) == 0) &
	       CHECK(submap->pmap == map->pmap) & CHECK(submap->user == map->user);
}

static bool check_entry(const struct map *map, const struct map_entry *entry)
{
	const struct avl_node *node = &entry->by_address;
	uint64_t widest = most(entry->gap, most(widest_below(node->left), widest_below(node->right)));
	vaddr_t before = entry->previous ? entry->previous->end : map->start;
	bool good = CHECK(entry->map == map) & CHECK(entry->start < entry->end) &
		    CHECK(before <= entry->start) & CHECK(entry->end <= map->end) &
		    CHECK_EQ(entry->gap, entry->start - before) & CHECK_EQ(entry->widest, widest) &
		    CHECK((entry->prot & ~map->ceiling) == 0);

	if (node->left)
		good &= CHECK(entry_of(node->left)->end <= entry->start);
	if (node->right)
		good &= CHECK(entry_of(node->right)->start >= entry->end);
	switch ((enum entry_kind)entry->kind) {
	case ENTRY_RESERVED:
		return good & CHECK(!entry->blob && !entry->submap && !entry->entity);
	case ENTRY_BLOB:
		return good & CHECK(entry->blob && !entry->submap && !entry->entity) &&
		       CHECK((entry->prot & ~entry->max_prot) == 0) &
			       CHECK((entry->max_prot & ~map->ceiling) == 0) & check_blob_entry(entry);
	case ENTRY_ENTITY:
		return good & CHECK(entry->submap && entry->entity && !entry->blob) &&
		       check_submap_entry(entry);
	case ENTRY_SUBMAP:
		return good & CHECK(entry->submap && !entry->entity && !entry->blob) &&
		       check_submap_entry(entry);
	}
	return CHECK(!"an entry is of no kind");
}

static bool check_locked_map(struct map *map)
{
	struct map_entry *previous = NULL;
	uint64_t listed = 0;
	uint64_t in_tree = 0;
	bool good = true;

	check_avl(map->entries, NULL, &in_tree, &good);
	for (struct map_entry *entry = map->first; entry; previous = entry, entry = entry->next) {
		listed++;
		good &= CHECK(entry->previous == previous) & check_entry(map, entry);
		if (entry->submap && entry->submap->top == map->top)
			good &= check_locked_map(entry->submap);
	}
	return good & CHECK(map->last == previous) & CHECK_EQ(listed, map->entry_count) &
	       CHECK_EQ(in_tree, map->entry_count);
}

bool check_map(struct map *map)
{
	bool good;

	rw_read_lock(map->lock);
	good = check_locked_map(map);
	rw_read_unlock(map->lock);
	return good;
}
