/*
 * The page fault: each case of the table in kern/vm/fault.c, and what has to happen to other translations.
 *
 * Where the machine has CPUs that probe, user_load() and user_store() also compare what they do, stale
 * translations in their caches included, with what the page tables say.
 */
#include "vm_suite.h"

#define BASE  SPACE_BASE
#define OTHER (SPACE_BASE + 0x200000)
#define PAGES 16

static struct map *root;
static struct fault_result result;

static vaddr_t page_at(unsigned page)
{
	return BASE + pages_to_bytes(page);
}

static vaddr_t other_at(unsigned page)
{
	return OTHER + pages_to_bytes(page);
}

static struct pmap_query query(vaddr_t va)
{
	return pmap_query(map_pmap(root), va);
}

/* Faults once, and checks the outcome and that it was counted, once and nothing else. */
static void expect_served(vaddr_t va, vm_prot_t access, enum fault_case outcome, vm_prot_t rights)
{
	uint64_t before[FAULT_CASES], after[FAULT_CASES];

	vm_fault_counts(before);
	CHECK_EQ(vm_fault(root, va, access, &result), 0);
	vm_fault_counts(after);
	CHECK_STR(fault_case_name(result.outcome), fault_case_name(outcome));
	for (unsigned i = 0; i < FAULT_CASES; i++)
		CHECK_EQ(after[i] - before[i], i == outcome);
	CHECK(query(va).page != NULL);
	CHECK_EQ(query(va).prot, rights | VM_USER);
}

static void expect_refused(vaddr_t va, vm_prot_t access, int error, enum fault_case outcome,
			   const char *region)
{
	uint64_t before[FAULT_CASES], after[FAULT_CASES];

	vm_fault_counts(before);
	result = (struct fault_result){.outcome = FAULT_CASES};
	CHECK_EQ(vm_fault(root, va, access, &result), error);
	vm_fault_counts(after);
	CHECK_EQ(result.outcome, outcome);
	CHECK_STR(result.region, region);
	for (unsigned i = 0; i < FAULT_CASES; i++)
		CHECK_EQ(after[i] - before[i], i == outcome);
	CHECK(query(va).page == NULL || (query(va).prot & access) != access);
}

/* Shared, so that what is read is filled as well: the page of zeroes is suite_zero_page.c's. */
static void map_at(vaddr_t address, struct blob *blob, vm_prot_t prot, const char *name)
{
	struct placement place = fixed_at(address);
	struct mapping how = {.prot = prot, .inherit = INHERIT_SHARE, .name = name};
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, blob, 0, blob_size(blob) >> PAGE_SHIFT, &how, &at), 0);
}

static void clear(void)
{
	CHECK_EQ(map_unmap(root, BASE, 0x400000), 0);
	CHECK(check_map(root));
}

static int note_faults(const struct entry_info *info, void *context)
{
	uint64_t *faults = context;

	if (info->start != BASE)
		return 0;
	for (unsigned i = 0; i < FAULT_CASES; i++)
		faults[i] = info->faults[i];
	return 1;
}

static void zero_fill(void)
{
	uint64_t pages = blob_pages_now();
	uint64_t faults[FAULT_CASES] = {0};
	struct blob *blob = make_blob(PAGES);

	test_case("zero fill: by reading and by writing");
	map_at(BASE, blob, RW, "memory");
	CHECK_EQ(blob_pages_now(), pages);
	expect_served(page_at(0), VM_WRITE, FAULT_ZERO_FILL, RW);
	/* Nobody else sees it: a read gets the right to write as well. */
	expect_served(page_at(1), VM_READ, FAULT_ZERO_FILL, RW);
	CHECK_EQ(blob_pages_now(), pages + 2);
	CHECK(page_is_zero(blob, 0) && page_is_zero(blob, 1));
	CHECK(query(page_at(0)).page != query(page_at(1)).page);
	/* Not page aligned, in the middle of a page. */
	expect_served(page_at(2) + 1234, VM_READ, FAULT_ZERO_FILL, RW);
	CHECK_EQ(word_at(root, page_at(2)), 0);
	CHECK_EQ(user_store(root, page_at(1), 6), 0);
	CHECK_EQ(get_word(blob, 1), 6);

	test_case("resident and upgrade: the translation was missing, or its right to write");
	put_word(blob, 5, 55);
	expect_served(page_at(5), VM_READ, FAULT_RESIDENT, RW);
	expect_served(page_at(5), VM_READ, FAULT_RESIDENT, RW);
	expect_served(page_at(5), VM_WRITE, FAULT_UPGRADE, RW);
	pmap_remove(map_pmap(root), page_at(0), page_at(PAGES));
	expect_served(page_at(5), VM_WRITE, FAULT_UPGRADE, RW);
	CHECK_EQ(word_at(root, page_at(5)), 55);
	CHECK_EQ(blob_pages_now(), pages + 4);
	CHECK_EQ(map_walk(root, note_faults, faults), 1);
	CHECK_EQ(faults[FAULT_ZERO_FILL], 3);
	CHECK_EQ(faults[FAULT_RESIDENT], 2);
	CHECK_EQ(faults[FAULT_UPGRADE], 2);
	CHECK_EQ(faults[FAULT_COPY] + faults[FAULT_PAGE_IN], 0);
	clear();

	test_case("the rights are the entry's, of which reading is the least");
	map_at(BASE, blob, VM_READ, "read");
	map_at(OTHER, blob, RX, "code");
	expect_served(page_at(5), VM_READ, FAULT_RESIDENT, VM_READ);
	expect_served(page_at(9), VM_READ, FAULT_ZERO_FILL, VM_READ);
	expect_served(other_at(5), VM_EXEC, FAULT_RESIDENT, RX);
	expect_served(other_at(9), VM_READ, FAULT_RESIDENT, RX);
	clear();
	blob_unref(blob);
	CHECK_EQ(blob_pages_now(), pages);
}

static void refused(void)
{
	struct placement place = fixed_at(page_at(8));
	struct blob *blob = make_blob(4);
	struct map *arena = NULL;
	vaddr_t at;

	test_case("refused: no entry, reserved, protection, with names");
	map_at(BASE, blob, VM_READ, "read only");
	map_at(OTHER, blob, 0, "nothing");
	CHECK_EQ(map_reserve(root, &place, 4 * PAGE_SIZE, "kept free", &at), 0);
	expect_refused(page_at(4), VM_READ, -EFAULT, FAULT_NO_ENTRY, "private space");
	CHECK_EQ(result.allowed, 0);
	expect_refused(page_at(8), VM_READ, -EFAULT, FAULT_RESERVED, "kept free");
	expect_refused(page_at(12) - 1, VM_WRITE, -EFAULT, FAULT_RESERVED, "kept free");
	expect_refused(page_at(0), VM_WRITE, -EACCES, FAULT_PROTECTION, "read only");
	CHECK_EQ(result.allowed, VM_READ);
	expect_refused(page_at(3), VM_EXEC, -EACCES, FAULT_PROTECTION, "read only");
	expect_refused(other_at(0), VM_READ, -EACCES, FAULT_PROTECTION, "nothing");
	CHECK_EQ(result.allowed, 0);
	CHECK_EQ(blob_resident(blob, 0, 4), 0);

	test_case("refused: the kernel's regions, and what is no address at all");
	expect_refused(0, VM_READ, -EFAULT, FAULT_RESERVED, "guard page");
	expect_refused(8, VM_WRITE, -EFAULT, FAULT_RESERVED, "guard page");
	expect_refused(LAYOUT_KERNEL_START, VM_READ, -EFAULT, FAULT_RESERVED, "kernel linkage space");
	expect_refused(LAYOUT_GATE_END - 1, VM_WRITE, -EFAULT, FAULT_RESERVED, "gate area");
	CHECK_EQ(vm_fault(root, LAYOUT_SYSTEM_START, VM_READ, &result), -EFAULT);
	CHECK_STR(result.region, "system data space");
	CHECK_EQ(vm_fault(root, LAYOUT_DYNAMIC_START, VM_READ, &result), -EFAULT);
	CHECK_STR(result.region, "kernel dynamic memory");
	CHECK_EQ(vm_fault(root, LAYOUT_PHYSICAL_START, VM_READ, &result), -EFAULT);
	CHECK_STR(result.region, "physical memory map");
	CHECK_EQ(vm_fault(root, LAYOUT_PHYSICAL_END, VM_READ, &result), -EFAULT);
	CHECK_EQ(result.outcome, FAULT_NO_ENTRY);
	CHECK_EQ(vm_fault(root, ~0ul, VM_READ, &result), -EFAULT);
	CHECK_STR(result.region, "fault suite");
	CHECK_EQ(map_create_arena(root, LAYOUT_ARENA_BYTES, &arena), 0);
	expect_refused(map_start(arena), VM_READ, -EFAULT, FAULT_NO_ENTRY, "arena");

	test_case("what may only be written or executed is served for that, and refused for reading");
	CHECK_EQ(map_protect(root, BASE, PAGE_SIZE, VM_WRITE), 0);
	expect_refused(page_at(0), VM_READ, -EACCES, FAULT_PROTECTION, "read only");
	expect_refused(page_at(0), VM_EXEC, -EACCES, FAULT_PROTECTION, "read only");
	CHECK_EQ(vm_fault(root, page_at(0), VM_WRITE, &result), 0);
	CHECK(query(page_at(0)).prot & VM_WRITE);
	CHECK_EQ(map_protect(root, BASE, PAGE_SIZE, VM_EXEC), 0);
	CHECK(query(page_at(0)).page == NULL);
	expect_refused(page_at(0), VM_READ, -EACCES, FAULT_PROTECTION, "read only");
	CHECK_EQ(vm_fault(root, page_at(0), VM_EXEC, &result), 0);
	CHECK(query(page_at(0)).prot & VM_EXEC);
	clear();
	blob_unref(blob);
}

/* A source that is mapped twice, and its clone that is mapped once: who writes first, and what the others see. */
static void copy_on_write(void)
{
	uint64_t pages = blob_pages_now();
	struct blob *blob = make_blob(PAGES);
	struct blob *clone = NULL;
	struct page *original;

	test_case("clone: a mapped source loses the right to write, and only that");
	map_at(BASE, blob, RW, "first");
	map_at(OTHER, blob, RW, "second");
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(user_store(root, page_at(i), 10 + i), 0);
		CHECK_EQ(word_at(root, other_at(i)), 10 + i);
	}
	original = query(page_at(1)).page;
	CHECK_EQ(blob_clone(blob, 1, 3, &clone), 0);
	CHECK_EQ(query(page_at(0)).prot, RW | VM_USER);
	for (unsigned i = 1; i < 4; i++) {
		CHECK_EQ(query(page_at(i)).prot, VM_READ | VM_USER);
		CHECK_EQ(query(other_at(i)).prot, VM_READ | VM_USER);
		CHECK(!try_store(root, page_at(i), 0));
	}

	test_case(
		"copy: the writer's blob gets its own, in all its mappings, and the clone keeps the old one");
	expect_served(page_at(1), VM_WRITE, FAULT_COPY, RW);
	CHECK(query(page_at(1)).page != original);
	CHECK(query(other_at(1)).page == NULL);
	CHECK_EQ(user_store(root, page_at(1), 99), 0);
	CHECK_EQ(word_at(root, other_at(1)), 99);
	CHECK(query(other_at(1)).page == query(page_at(1)).page);
	CHECK_EQ(get_word(clone, 0), 11);
	CHECK_EQ(blob_pages_now(), pages + 5);
	CHECK_EQ(user_store(root, other_at(1), 98), 0);
	CHECK_EQ(word_at(root, page_at(1)), 98);

	test_case("upgrade: who is left with a page alone needs no copy");
	map_at(BASE + 0x100000, clone, RW, "clone");
	expect_served(BASE + 0x100000, VM_READ, FAULT_RESIDENT, RW);
	CHECK(query(BASE + 0x100000).page == original);
	expect_served(BASE + 0x101000, VM_READ, FAULT_RESIDENT, VM_READ);
	expect_served(BASE + 0x101000, VM_WRITE, FAULT_COPY, RW);
	CHECK_EQ(user_store(root, BASE + 0x101000, 7), 0);
	CHECK_EQ(word_at(root, page_at(2)), 12);
	expect_served(page_at(2), VM_WRITE, FAULT_UPGRADE, RW);
	CHECK_EQ(word_at(root, other_at(2)), 12);
	/* Both pages of the third are the source's again once the clone is gone. */
	CHECK_EQ(map_unmap(root, BASE + 0x100000, 3 * PAGE_SIZE), 0);
	blob_unref(clone);
	CHECK_EQ(blob_pages_now(), pages + 4);
	expect_served(other_at(3), VM_WRITE, FAULT_UPGRADE, RW);
	CHECK_EQ(word_at(root, page_at(3)), 13);
	clear();
	blob_unref(blob);
}

static void clone_then_fill(void)
{
	struct blob *blob = make_blob(PAGES);
	struct blob *clone = NULL;

	test_case("absent pages of clones: filled by each for itself when written, for both when read");
	put_word(blob, 0, 1);
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	map_at(BASE, blob, RW, "source");
	map_at(OTHER, clone, RW, "clone");
	CHECK_EQ(user_store(root, page_at(1), 2), 0);
	CHECK_EQ(word_at(root, other_at(1)), 0);
	CHECK_EQ(user_store(root, other_at(2), 3), 0);
	CHECK_EQ(word_at(root, page_at(2)), 0);
	CHECK_EQ(word_at(root, page_at(3)), 0);
	CHECK_EQ(word_at(root, other_at(3)), 0);
	CHECK_EQ(user_store(root, page_at(3), 4), 0);
	CHECK_EQ(word_at(root, other_at(3)), 0);
	CHECK_EQ(user_store(root, other_at(3), 5), 0);
	CHECK_EQ(word_at(root, page_at(3)), 4);
	CHECK_EQ(word_at(root, other_at(0)), 1);

	test_case("a page that was read in a node that is shared is not writable for either");
	blob_unref(clone);
	clear();
	CHECK_EQ(blob_decommit(blob, 0, PAGES), 0);
	put_word(blob, 0, 1);
	CHECK_EQ(blob_clone(blob, 0, 1, &clone), 0);
	blob_unref(clone);
	/* Of a size where all of the tree is one clone's and the other's. */
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	map_at(BASE, blob, RW, "source");
	map_at(OTHER, clone, RW, "clone");
	CHECK_EQ(word_at(root, page_at(8)), 0);
	CHECK_EQ(word_at(root, other_at(8)), 0);
	CHECK_EQ(user_store(root, page_at(8), 6), 0);
	CHECK_EQ(word_at(root, other_at(8)), 0);
	CHECK_EQ(user_store(root, other_at(8), 7), 0);
	CHECK_EQ(word_at(root, page_at(8)), 6);
	clear();
	blob_unref(clone);
	blob_unref(blob);
}

/* A whole node of 64 pages, shared: nothing of it is copied but what is written. */
static void shared_node(void)
{
	uint64_t pages = blob_pages_now();
	struct blob *blob = make_blob(64);
	struct blob *clone = NULL;

	test_case("a clone whose tree is the source's: read fills show on both sides, writes on neither");
	put_word(blob, 63, 63);
	CHECK_EQ(blob_clone(blob, 0, 64, &clone), 0);
	map_at(BASE, blob, RW, "source");
	map_at(OTHER, clone, RW, "clone");
	expect_served(page_at(5), VM_READ, FAULT_ZERO_FILL, VM_READ);
	expect_served(other_at(5), VM_READ, FAULT_RESIDENT, VM_READ);
	CHECK(query(page_at(5)).page == query(other_at(5)).page);
	CHECK_EQ(blob_pages_now(), pages + 2);
	expect_served(other_at(5), VM_WRITE, FAULT_COPY, RW);
	CHECK(query(page_at(5)).page != query(other_at(5)).page);
	expect_served(other_at(6), VM_WRITE, FAULT_ZERO_FILL, RW);
	CHECK_EQ(user_store(root, other_at(6), 1), 0);
	expect_served(page_at(6), VM_READ, FAULT_ZERO_FILL, RW);
	CHECK_EQ(word_at(root, page_at(6)), 0);
	CHECK_EQ(word_at(root, other_at(63)), 63);
	clear();
	blob_unref(clone);
	blob_unref(blob);
	CHECK_EQ(blob_pages_now(), pages);
}

static void protect_down_and_up(void)
{
	struct blob *blob = make_blob(PAGES);

	test_case("protect down takes rights at once, up gives them with the next fault");
	map_at(BASE, blob, RW, "memory");
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(user_store(root, page_at(i), i), 0);
	CHECK_EQ(map_protect(root, page_at(1), 2 * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(query(page_at(0)).prot, RW | VM_USER);
	CHECK_EQ(query(page_at(1)).prot, VM_READ | VM_USER);
	CHECK(!try_store(root, page_at(2), 9));
	expect_refused(page_at(2), VM_WRITE, -EACCES, FAULT_PROTECTION, "memory");
	CHECK_EQ(result.allowed, VM_READ);
	CHECK_EQ(word_at(root, page_at(2)), 2);
	CHECK_EQ(map_protect(root, BASE, 4 * PAGE_SIZE, RX), 0);
	expect_served(page_at(1), VM_EXEC, FAULT_RESIDENT, RX);
	CHECK_EQ(map_protect(root, BASE, 4 * PAGE_SIZE, RW), 0);
	CHECK_EQ(query(page_at(1)).prot, VM_READ | VM_USER);
	expect_served(page_at(1), VM_WRITE, FAULT_UPGRADE, RW);
	CHECK_EQ(user_store(root, page_at(1), 8), 0);
	CHECK_EQ(map_protect(root, BASE, 4 * PAGE_SIZE, 0), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(query(page_at(i)).page == NULL);
	expect_refused(page_at(1), VM_READ, -EACCES, FAULT_PROTECTION, "memory");
	CHECK_EQ(map_protect(root, BASE, 4 * PAGE_SIZE, VM_ALL), 0);
	expect_served(page_at(1), VM_READ, FAULT_RESIDENT, VM_ALL);
	CHECK_EQ(word_at(root, page_at(1)), 8);
	clear();
	blob_unref(blob);
}

static void pagers(void)
{
	static struct test_pager pager;
	uint64_t before[FAULT_CASES], after[FAULT_CASES];
	uint64_t pages = blob_pages_now();
	struct blob *blob = NULL;
	struct footprint footprint;

	test_case("page in: asked once, entered without the right to write");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	map_at(BASE, blob, RW, "file");
	map_at(OTHER, blob, RW, "file again");
	vm_fault_counts(before);
	CHECK_EQ(vm_fault(root, page_at(3), VM_READ, &result), 0);
	vm_fault_counts(after);
	CHECK_EQ(after[FAULT_PAGE_IN] - before[FAULT_PAGE_IN], 1);
	CHECK_EQ(pager.calls, 1);
	CHECK_EQ(query(page_at(3)).prot, VM_READ | VM_USER);
	CHECK(query(page_at(3)).page == pager.pages[3]);
	expect_served(other_at(3), VM_READ, FAULT_RESIDENT, VM_READ);
	CHECK_EQ(pager.calls, 1);
	CHECK_EQ(blob_pages_now(), pages);

	test_case("copy: a lent page is never written");
	expect_served(page_at(3), VM_WRITE, FAULT_COPY, RW);
	CHECK_EQ(word_at(root, page_at(3)), PAGER_WORD + 3);
	CHECK_EQ(user_store(root, page_at(3), 1), 0);
	CHECK_EQ(word_at(root, other_at(3)), 1);
	CHECK_EQ(user_store(root, other_at(7), 2), 0);
	CHECK_EQ(word_at(root, page_at(7)), 2);
	CHECK_EQ(blob_pages_now(), pages + 2);
	CHECK_EQ(*(uint64_t *)page_data(pager.pages[7]), PAGER_WORD + 7);

	test_case("page in: a pager's error is the fault's, and nothing has changed");
	footprint = footprint_now();
	pager.error = -EIO;
	CHECK_EQ(vm_fault(root, page_at(8), VM_READ, &result), -EIO);
	CHECK_EQ(result.outcome, FAULT_PAGE_IN);
	CHECK_STR(result.region, "file");
	CHECK_EQ(vm_fault(root, page_at(8), VM_WRITE, &result), -EIO);
	pager.error = -ENOMEM;
	CHECK_EQ(vm_fault(root, page_at(8), VM_READ, &result), -ENOMEM);
	CHECK(query(page_at(8)).page == NULL);
	check_footprint(&footprint);
	pager.error = 0;
	CHECK_EQ(word_at(root, page_at(8)), PAGER_WORD + 8);
	CHECK_EQ(word_at(root, page_at(3)), 1);
	clear();
	blob_unref(blob);
	test_pager_finish(&pager);
}

static void devices(void)
{
	struct blob *blob = NULL;

	test_case("a device's pages are entered as they are, with the entry's rights");
	CHECK_EQ(blob_create_device((paddr_t)0xfee00000, 2 * PAGE_SIZE, CACHE_UNCACHED, &blob), 0);
	map_at(BASE, blob, RW, "device");
	map_at(OTHER, blob, VM_READ, "device");
	expect_served(page_at(1), VM_READ, FAULT_RESIDENT, RW);
	CHECK_EQ(page_paddr(query(page_at(1)).page), (paddr_t)0xfee00000 + PAGE_SIZE);
	expect_served(page_at(0), VM_WRITE, FAULT_RESIDENT, RW);
	expect_served(other_at(0), VM_READ, FAULT_RESIDENT, VM_READ);
	expect_refused(other_at(0), VM_WRITE, -EACCES, FAULT_PROTECTION, "device");
	clear();
	blob_unref(blob);
}

/* Decommit and unmap in one place, and what others can still reach. */
static void lost_pages(void)
{
	struct blob *blob = make_blob(PAGES);
	uint64_t word = 0;

	test_case("a page that a blob forgets is gone from all its mappings");
	map_at(BASE, blob, RW, "first");
	map_at(OTHER, blob, RW, "second");
	CHECK_EQ(user_store(root, page_at(1), 5), 0);
	CHECK_EQ(word_at(root, other_at(1)), 5);
	CHECK_EQ(map_decommit(root, page_at(0), PAGES * PAGE_SIZE), 0);
	CHECK(!try_load(root, page_at(1), &word));
	CHECK(!try_load(root, other_at(1), &word));
	CHECK_EQ(word_at(root, other_at(1)), 0);
	CHECK_EQ(user_store(root, page_at(1), 6), 0);
	CHECK_EQ(word_at(root, other_at(1)), 6);
	CHECK_EQ(map_unmap(root, page_at(1), PAGE_SIZE), 0);
	CHECK(!try_load(root, page_at(1), &word));
	CHECK_EQ(word_at(root, other_at(1)), 6);
	clear();
	blob_unref(blob);
}

void suite_fault(void)
{
	struct footprint before;
	struct blob *device = NULL;

	test_case("start");
	/* Descriptors of device pages stay for good. */
	CHECK_EQ(blob_create_device((paddr_t)0xfee00000, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	blob_unref(device);
	before = footprint_now();
	root = space_open("fault suite");
	if (!root)
		return;
	zero_fill();
	refused();
	copy_on_write();
	clone_then_fill();
	shared_node();
	protect_down_and_up();
	pagers();
	devices();
	lost_pages();
	test_case("all memory is back");
	space_close(root);
	check_footprint(&before);
}
