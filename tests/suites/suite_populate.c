/*
 * Several pages at once (kern/vm/populate.c): fault-around, clusters, populate, commit.
 *
 * What each leaves alone matters as much as what it does: so the tables are looked at page by page.
 */
#include "vm_suite.h"

#define BASE    SPACE_BASE
#define OTHER   (SPACE_BASE + 0x800000)
#define PAGES   200
#define GROUP   16
#define NODE    64
#define CLUSTER 512
#define WORD    0x1234000000ul

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

static void map_window(vaddr_t address, struct blob *blob, pgoff_t offset, pgoff_t pages,
		       enum map_inherit inherit)
{
	struct placement place = fixed_at(address);
	struct mapping how = {.prot = RW, .inherit = inherit, .name = "populated"};
	vaddr_t at;

	CHECK_EQ(map_blob(root, &place, blob, offset, pages, &how, &at), 0);
}

static bool entered(vaddr_t va, vm_prot_t prot)
{
	struct pmap_query found = pmap_query(map_pmap(root), va);

	return found.page && found.prot == (prot | VM_USER);
}

/* Are exactly the pages of [first, end) of `pages` entered at `address`, with these rights? */
static bool only_entered(vaddr_t address, unsigned pages, unsigned first, unsigned end, vm_prot_t prot)
{
	for (unsigned i = 0; i < pages; i++) {
		vaddr_t va = address + pages_to_bytes(i);

		if (i >= first && i < end ? !entered(va, prot)
					  : pmap_query(map_pmap(root), va).page != NULL) {
			test_print("# page %u", i);
			return false;
		}
	}
	return check_map(root);
}

static void clear(void)
{
	CHECK_EQ(map_unmap(root, BASE, 0x1000000), 0);
	CHECK(check_map(root));
}

static void fault_around(void)
{
	struct blob *blob = make_blob(PAGES);
	struct blob *clone = NULL;
	uint64_t pages;

	test_case("a page that is there brings those of its group, as writable as they are, and no others");
	for (unsigned i = 0; i < PAGES; i++)
		put_word(blob, i, WORD + i);
	pages = blob_pages_now();
	map_window(BASE, blob, 0, PAGES, INHERIT_COPY);
	CHECK_EQ(fault_at(root, page_at(GROUP + 3), VM_READ), FAULT_RESIDENT);
	CHECK(only_entered(BASE, PAGES, GROUP, 2 * GROUP, RW));
	CHECK(!pmap_query(map_pmap(root), page_at(GROUP + 4)).accessed);
	CHECK_EQ(word_at(root, page_at(GROUP + 4)), WORD + GROUP + 4);
	CHECK_EQ(user_store(root, page_at(GROUP + 5), 5), 0);
	CHECK_EQ(blob_pages_now(), pages);

	test_case("rights that come back come back to the group");
	CHECK_EQ(map_protect(root, BASE, PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_protect(root, BASE, PAGES * PAGE_SIZE, RW), 0);
	CHECK_EQ(fault_at(root, page_at(2 * GROUP - 1), VM_WRITE), FAULT_UPGRADE);
	CHECK(only_entered(BASE, PAGES, GROUP, 2 * GROUP, RW));
	clear();

	test_case("not beyond the entry, nor where access is random");
	map_window(BASE, blob, GROUP + 2, 5, INHERIT_SHARE);
	CHECK_EQ(fault_at(root, page_at(4), VM_WRITE), FAULT_UPGRADE);
	CHECK(only_entered(BASE, PAGES, 0, 5, RW));
	map_window(OTHER, blob, 0, PAGES, INHERIT_COPY);
	CHECK_EQ(map_advise(root, OTHER, PAGES * PAGE_SIZE, ADVISE_RANDOM), 0);
	CHECK_EQ(fault_at(root, other_at(7), VM_READ), FAULT_RESIDENT);
	CHECK(only_entered(OTHER, PAGES, 7, 8, RW));
	clear();

	test_case("what is shared comes without the right to write, what is absent does not come");
	CHECK_EQ(blob_decommit(blob, 9, 1), 0);
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	map_window(BASE, blob, 0, PAGES, INHERIT_COPY);
	map_window(OTHER, clone, 0, PAGES, INHERIT_COPY);
	CHECK_EQ(fault_at(root, page_at(1), VM_WRITE), FAULT_COPY);
	CHECK(only_entered(BASE, PAGES, 1, 2, RW));
	CHECK_EQ(fault_at(root, page_at(2), VM_READ), FAULT_RESIDENT);
	CHECK(entered(page_at(0), VM_READ) && entered(page_at(1), RW) && entered(page_at(15), VM_READ));
	CHECK(pmap_query(map_pmap(root), page_at(9)).page == NULL);
	CHECK_EQ(fault_at(root, other_at(1), VM_WRITE), FAULT_UPGRADE);
	CHECK(entered(other_at(1), RW) && entered(other_at(2), VM_READ));
	CHECK_EQ(word_at(root, other_at(1)), WORD + 1);
	clear();
	blob_unref(clone);
	blob_unref(blob);

	test_case("a blob of one page");
	blob = make_blob(1);
	put_word(blob, 0, WORD);
	map_window(BASE, blob, 0, 1, INHERIT_COPY);
	CHECK_EQ(fault_at(root, BASE, VM_READ), FAULT_RESIDENT);
	CHECK_EQ(word_at(root, BASE), WORD);
	clear();
	blob_unref(blob);
}

static void clusters(void)
{
	struct blob *blob = make_blob(CLUSTER + NODE);
	uint64_t pages = blob_pages_now();

	test_case("cluster: a write that finds nothing fills the group, and what is there stays");
	put_word(blob, CLUSTER + 7, WORD);
	map_window(BASE, blob, 0, CLUSTER + NODE, INHERIT_COPY);
	CHECK_EQ(map_advise(root, BASE, (CLUSTER + NODE) * PAGE_SIZE, ADVISE_CLUSTER), 0);
	CHECK_EQ(fault_at(root, page_at(3), VM_READ), FAULT_ZERO_PAGE);
	CHECK_EQ(blob_pages_now(), pages + 1);
	CHECK_EQ(fault_at(root, page_at(CLUSTER + 3), VM_WRITE), FAULT_ZERO_FILL);
	CHECK_EQ(blob_pages_now(), pages + NODE);
	CHECK_EQ(blob_resident(blob, CLUSTER, NODE), NODE);
	CHECK_EQ(word_at(root, page_at(CLUSTER + 7)), WORD);
	CHECK_EQ(word_at(root, page_at(CLUSTER + 8)), 0);
	CHECK(entered(page_at(CLUSTER + NODE - 1), RW) && !entered(page_at(CLUSTER - 1), RW));
	CHECK_EQ(user_store(root, page_at(3), 1), 0);
	CHECK_EQ(user_store(root, page_at(4), 2), 0);
	CHECK_EQ(word_at(root, page_at(3)), 1);
	CHECK_EQ(blob_resident(blob, 0, CLUSTER), CLUSTER);
	CHECK(entered(page_at(CLUSTER - 1), RW));
	CHECK(check_map(root));

	test_case("not beyond the entry, and not where it is not advised");
	clear();
	CHECK_EQ(blob_decommit(blob, 0, CLUSTER + NODE), 0);
	map_window(BASE, blob, 10, 3, INHERIT_COPY);
	map_window(OTHER, blob, 20, 4, INHERIT_COPY);
	CHECK_EQ(map_advise(root, BASE, 3 * PAGE_SIZE, ADVISE_CLUSTER), 0);
	CHECK_EQ(fault_at(root, page_at(1), VM_WRITE), FAULT_ZERO_FILL);
	CHECK_EQ(fault_at(root, other_at(1), VM_WRITE), FAULT_ZERO_FILL);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 4);
	CHECK(only_entered(BASE, 8, 0, 3, RW) && only_entered(OTHER, 8, 1, 2, RW));
	clear();
	blob_unref(blob);
}

static void populate(void)
{
	struct placement place = fixed_at(page_at(PAGES + 4));
	struct blob *blob = make_blob(PAGES);
	struct blob *clone = NULL;
	uint64_t pages = blob_pages_now();
	vaddr_t at;

	test_case("populate to write: every page is there, and needs no fault");
	map_window(BASE, blob, 0, PAGES, INHERIT_COPY);
	map_window(OTHER, blob, 0, PAGES, INHERIT_COPY);
	CHECK_EQ(word_at(root, other_at(70)), 0);
	CHECK_EQ(map_populate(root, page_at(1), (PAGES - 2) * PAGE_SIZE, VM_WRITE), 0);
	CHECK(only_entered(BASE, PAGES, 1, PAGES - 1, RW));
	CHECK_EQ(blob_pages_now(), pages + PAGES - 2);
	CHECK(try_store(root, page_at(70), WORD));
	CHECK_EQ(word_at(root, other_at(70)), WORD);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, RW), 0);
	CHECK_EQ(blob_pages_now(), pages + PAGES);
	CHECK_EQ(word_at(root, page_at(70)), WORD);

	test_case("populate to read: zeroes are shown where memory is private, and made where it is shared");
	clear();
	CHECK_EQ(blob_decommit(blob, 0, PAGES), 0);
	put_word(blob, 100, WORD);
	map_window(BASE, blob, 0, PAGES, INHERIT_COPY);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), 1);
	CHECK(entered(page_at(99), VM_READ) && entered(page_at(100), RW) && entered(page_at(0), VM_READ));
	CHECK_EQ(word_at(root, page_at(100)), WORD);
	CHECK_EQ(word_at(root, page_at(101)), 0);
	CHECK_EQ(user_store(root, page_at(101), 1), 0);
	CHECK_EQ(blob_commit(blob, 90, 80), 0);
	CHECK_EQ(user_store(root, page_at(102), 2), 0);
	CHECK_EQ(get_word(blob, 102), 2);
	clear();
	map_window(BASE, blob, 0, PAGES, INHERIT_SHARE);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(blob_resident(blob, 0, PAGES), PAGES);
	CHECK(only_entered(BASE, PAGES, 0, PAGES, RW));

	test_case("populate where the tree is but its first page");
	clear();
	CHECK_EQ(blob_decommit(blob, 0, PAGES), 0);
	put_word(blob, 0, WORD);
	map_window(BASE, blob, 0, PAGES, INHERIT_COPY);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(word_at(root, page_at(0)), WORD);
	CHECK(only_entered(OTHER, 1, 0, 0, 0));
	CHECK_EQ(blob_resident(blob, 0, PAGES), 1);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_WRITE), 0);
	CHECK_EQ(word_at(root, page_at(0)), WORD);
	CHECK_EQ(blob_resident(blob, 0, PAGES), PAGES);
	CHECK_EQ(blob_decommit(blob, 0, PAGES), 0);
	clear();
	map_window(BASE, blob, 0, PAGES, INHERIT_SHARE);
	put_word(blob, 100, WORD);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_WRITE), 0);

	test_case("populate to write copies what is shared, and leaves the clone alone");
	CHECK_EQ(blob_clone(blob, 0, PAGES, &clone), 0);
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_WRITE), 0);
	CHECK(only_entered(BASE, PAGES, 0, PAGES, RW));
	CHECK_EQ(user_store(root, page_at(100), 7), 0);
	CHECK_EQ(get_word(clone, 100), WORD);
	blob_unref(clone);

	test_case("holes, reserved space, rights that there are not; what comes before is done");
	CHECK_EQ(map_reserve(root, &place, PAGE_SIZE, "kept free", &at), 0);
	CHECK_EQ(map_unmap(root, page_at(PAGES / 2), PAGE_SIZE), 0);
	pmap_remove(map_pmap(root), BASE, page_at(PAGES));
	CHECK_EQ(map_populate(root, BASE, PAGES * PAGE_SIZE, VM_READ), -ENOMEM);
	CHECK(only_entered(BASE, PAGES, 0, PAGES / 2, RW));
	CHECK_EQ(map_populate(root, page_at(PAGES + 4), PAGE_SIZE, VM_READ), -ENOMEM);
	CHECK_EQ(map_protect(root, BASE, PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(map_populate(root, BASE, 2 * PAGE_SIZE, VM_WRITE), -EACCES);
	CHECK_EQ(map_populate(root, BASE, 2 * PAGE_SIZE, VM_EXEC), -EACCES);
	CHECK_EQ(map_populate(root, BASE + 1, PAGE_SIZE, VM_READ), -EINVAL);
	CHECK_EQ(map_populate(root, BASE, 0, VM_READ), -EINVAL);
	CHECK_EQ(map_populate(root, LAYOUT_KERNEL_START, PAGE_SIZE, VM_READ), -ENOMEM);
	clear();
	blob_unref(blob);
}

/* What has to be asked for is asked for page by page. */
static void pagers(void)
{
	static struct test_pager pager;
	struct blob *blob = NULL;

	test_case("populate of what a pager has, and of a device");
	test_pager_init(&pager);
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	map_window(BASE, blob, 0, PAGER_PAGES, INHERIT_COPY);
	CHECK_EQ(map_populate(root, BASE, PAGER_PAGES * PAGE_SIZE, VM_READ), 0);
	CHECK(only_entered(BASE, PAGER_PAGES, 0, PAGER_PAGES, VM_READ));
	CHECK_EQ(word_at(root, page_at(3)), PAGER_WORD + 3);
	CHECK_EQ(map_populate(root, BASE, PAGER_PAGES * PAGE_SIZE, VM_WRITE), 0);
	CHECK(only_entered(BASE, PAGER_PAGES, 0, PAGER_PAGES, RW));
	CHECK_EQ(blob_decommit(blob, 0, PAGER_PAGES), 0);
	pager.error = -EIO;
	CHECK_EQ(map_populate(root, BASE, PAGER_PAGES * PAGE_SIZE, VM_READ), -EIO);
	CHECK_EQ(vm_fault(root, BASE, VM_READ, &result), -EIO);
	clear();
	blob_unref(blob);
	test_pager_finish(&pager);
	CHECK_EQ(blob_create_device((paddr_t)0xfee00000, 2 * PAGE_SIZE, CACHE_UNCACHED, &blob), 0);
	map_window(BASE, blob, 0, 2, INHERIT_COPY);
	CHECK_EQ(map_populate(root, BASE, 2 * PAGE_SIZE, VM_READ), 0);
	CHECK(only_entered(BASE, 4, 0, 2, RW));
	clear();
	blob_unref(blob);
}

/* A blob like a file's, and a clone of pages 2 on, as a private mapping has one. */
static void at_hand(void)
{
	struct test_pager pager;
	struct blob *blob = NULL, *clone = NULL, *later = NULL;

	test_case("where pages are at hand a fault brings those that follow in its group, and no others");
	test_pager_init_at_hand(&pager);
	CHECK_EQ(blob_create_paged(PAGER_PAGES * PAGE_SIZE, &pager.pager, &blob), 0);
	CHECK_EQ(blob_clone(blob, 2, PAGER_PAGES - 2, &clone), 0);
	map_window(BASE, clone, 0, PAGER_PAGES - 2, INHERIT_COPY);
	CHECK_EQ(word_at(root, page_at(3)), PAGER_WORD + 5);
	CHECK(only_entered(BASE, PAGER_PAGES - 2, 3, GROUP - 2, VM_READ));
	CHECK_EQ(pager.calls, 1);
	CHECK_EQ(pager.provided, GROUP - 5);

	test_case("what was lent to a clone is there for the blob, and for who clones it later");
	CHECK_EQ(blob_resident(clone, 0, PAGER_PAGES - 2), GROUP - 5);
	CHECK_EQ(blob_resident(blob, 0, PAGER_PAGES), GROUP - 5);
	CHECK_EQ(blob_clone(blob, 0, PAGER_PAGES, &later), 0);
	map_window(OTHER, later, 0, PAGER_PAGES, INHERIT_COPY);
	CHECK_EQ(fault_at(root, other_at(6), VM_READ), FAULT_RESIDENT);
	CHECK_EQ(pager.calls, 1);
	CHECK_EQ(user_store(root, page_at(4), 4), 0);
	CHECK_EQ(word_at(root, other_at(6)), PAGER_WORD + 6);
	blob_verify(blob);
	blob_verify(clone);

	test_case("nor those that follow where access is random, or the mapping ends");
	CHECK_EQ(map_advise(root, OTHER, PAGER_PAGES * PAGE_SIZE, ADVISE_RANDOM), 0);
	CHECK_EQ(word_at(root, other_at(GROUP + 1)), PAGER_WORD + GROUP + 1);
	CHECK_EQ(pager.provided, GROUP - 4);
	clear();
	map_window(BASE, clone, GROUP, 3, INHERIT_COPY);
	CHECK_EQ(word_at(root, page_at(1)), PAGER_WORD + GROUP + 3);
	CHECK_EQ(pager.provided, GROUP - 2);

	test_case("a clone goes on when the blob that it was made of is gone");
	blob_unref(blob);
	CHECK_EQ(word_at(root, page_at(0)), PAGER_WORD + GROUP + 2);
	clear();
	blob_unref(clone);
	blob_unref(later);
	test_pager_finish(&pager);
}

void suite_populate(void)
{
	struct footprint before;
	struct blob *device = NULL;

	test_case("start");
	/* Descriptors of device pages stay for good. */
	CHECK_EQ(blob_create_device((paddr_t)0xfee00000, 2 * PAGE_SIZE, CACHE_UNCACHED, &device), 0);
	blob_unref(device);
	before = footprint_now();
	root = space_open("populate");
	if (!root)
		return;
	fault_around();
	clusters();
	populate();
	pagers();
	at_hand();
	test_case("all memory is back");
	space_close(root);
	check_footprint(&before);
}
