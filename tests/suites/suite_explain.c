/*
 * vm_explain: each case of fault.c, each state of a page, in words; and the verdict against what vm_fault then does, for random
 * states of a page too.
 *
 * That it changes nothing shows there as well: after it the fault is still to come. Names and cutting off are suite_clone.c's.
 */
#include "store.h"
#include "vm_suite.h"

#define LINE_BYTES   320
#define LOCATIONS    64
#define DEVICE_START ((paddr_t)0xfee00000)
#define STEPS        3000
#define PAGES        6 /* of the random steps' blobs */
#define BLOBS        3

static struct map *root;

static vaddr_t page_at(pgoff_t page)
{
	return SPACE_BASE + pages_to_bytes(page);
}

/* Where the line's last step begins. */
static const char *verdict_of(const char *line)
{
	const char *last = line;

	for (const char *at = line; *at != '\0'; at++)
		if (at[0] == '>')
			last = at + 2;
	return last;
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static bool contains(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; strlen(text) >= length; text++)
		if (memcmp(text, part, length) == 0)
			return true;
	return false;
}

/* Makes the access as a fault and checks that it is what was said of it. */
static void expect_agreement(vaddr_t va, vm_prot_t access)
{
	uint64_t before[FAULT_CASES], after[FAULT_CASES];
	struct fault_result result;
	char line[LINE_BYTES];
	int said = vm_explain(root, va, access, line, sizeof(line));
	enum fault_case first;
	bool agrees;

	vm_fault_counts(before);
	CHECK_EQ(vm_fault(root, va, access, &result), said);
	vm_fault_counts(after);
	first = after[FAULT_PAGE_IN] > before[FAULT_PAGE_IN] ? FAULT_PAGE_IN : result.outcome;
	if (ends_with(line, "refused"))
		agrees = said == -EFAULT && first >= FAULT_RESERVED && first != FAULT_PROTECTION;
	else if (ends_with(line, "refused: not allowed here"))
		agrees = said == -EACCES && first == FAULT_PROTECTION;
	else if (ends_with(line, "succeeds")) /* the translation was there, so the fault changed nothing */
		agrees = said == 0 &&
			 (first == FAULT_RESIDENT || first == FAULT_UPGRADE || first == FAULT_ZERO_PAGE);
	else
		agrees = said == 0 && contains(verdict_of(line), "faults: ") &&
			 ends_with(line, fault_case_name(first));
	if (!CHECK(agrees))
		test_print("# vm_fault: %s, vm_explain: %s", fault_case_name(first), line);
}

/* Checks what is said of the page, "page N" left out, and of an access; then makes it. */
static void expect(vaddr_t va, vm_prot_t access, const char *page, const char *verdict)
{
	char line[LINE_BYTES], part[LINE_BYTES];
	pgoff_t number = (va - SPACE_BASE) >> PAGE_SHIFT;

	vm_explain(root, va, access, line, sizeof(line));
	env_format(part, sizeof(part), "> page %llu %s > ", (unsigned long long)number, page);
	if (!CHECK(contains(line, part)) || !CHECK_STR(verdict_of(line), verdict))
		test_print("# %s", line);
	expect_agreement(va, access);
}

/* ---- Each state -------------------------------------------------------------------------------- */

static void own_pages(void)
{
	struct blob *blob = make_blob(4), *clone;

	test_case("zero fill, resident, upgrade, copy on write: the verdict is what the fault does");
	root = space_open("explained");
	map_all_at(root, SPACE_BASE, blob);
	expect(page_at(0), VM_READ, "absent, zero", "read faults: zero page");
	expect(page_at(0), VM_READ, "absent, zero", "read succeeds");
	expect(page_at(0), VM_WRITE, "absent, zero", "write faults: zero fill");
	expect(page_at(1), VM_WRITE, "absent, zero", "write faults: zero fill");
	expect(page_at(1), VM_WRITE, "resident", "write succeeds");
	put_word(blob, 2, 2);
	expect(page_at(2), VM_WRITE, "resident", "write faults: upgrade");
	CHECK_EQ(blob_clone(blob, 0, 4, &clone), 0);
	expect(page_at(1), VM_READ, "resident, shared", "read succeeds");
	expect(page_at(1), VM_WRITE, "resident, shared", "write faults: copy on write");
	expect(page_at(1), VM_WRITE, "resident", "write succeeds");
	expect(page_at(2), VM_WRITE, "resident, shared", "write faults: copy on write");
	blob_unref(clone);
	expect(page_at(0), VM_WRITE, "resident", "write faults: upgrade");
	expect(page_at(3), VM_EXEC, "absent, zero", "execute refused: not allowed here");

	test_case("a wired page");
	CHECK_EQ(map_wire(root, page_at(2), PAGE_SIZE), 0);
	expect(page_at(2), VM_READ, "resident, wired", "read succeeds");
	CHECK_EQ(map_unwire(root, page_at(2), PAGE_SIZE), 0);
	expect(page_at(2), VM_READ, "resident", "read succeeds");
	blob_unref(blob);
	space_close(root);
}

static void at_the_store(void)
{
	struct blob *blob = make_blob(2);
	struct blob *clone;

	test_case("paged out, page in, clean, upgrade of a clean page");
	root = space_open("explained");
	map_all_at(root, SPACE_BASE, blob);
	put_word(blob, 0, 10);
	put_word(blob, 1, 11);
	CHECK_EQ(blob_page_out(blob, 0, 2), 0);
	expect(page_at(0), VM_READ, "paged out, test store", "read faults: page in");
	expect(page_at(0), VM_READ, "resident, clean", "read succeeds");
	expect(page_at(0), VM_WRITE, "resident, clean", "write faults: upgrade");
	expect(page_at(0), VM_WRITE, "resident", "write succeeds");
	CHECK_EQ(blob_sync(blob, 0, 1), 0);
	expect(page_at(0), VM_WRITE, "resident, clean", "write faults: upgrade");
	expect(page_at(1), VM_WRITE, "paged out, test store", "write faults: page in");
	CHECK_EQ(blob_sync(blob, 0, 2), 0);
	CHECK_EQ(blob_clone(blob, 0, 2, &clone), 0);
	expect(page_at(1), VM_WRITE, "resident, shared, clean", "write faults: copy on write");
	CHECK_EQ(word_at(root, page_at(1)), 11);
	blob_unref(clone);
	blob_unref(blob);
	space_close(root);
	CHECK_EQ(store_used(), 0);
}

static void from_pagers(void)
{
	static struct test_pager pager;
	struct blob *blob;

	test_case("a pager's pages: absent, lent, copied; and those that it does not have");
	test_pager_init(&pager);
	pager.holes = true;
	root = space_open("explained");
	if (!CHECK_EQ(blob_create_paged(pages_to_bytes(4), &pager.pager, &blob), 0))
		return;
	map_all_at(root, SPACE_BASE, blob);
	expect(page_at(0), VM_READ, "absent, test", "read faults: page in");
	expect(page_at(0), VM_WRITE, "resident, lent by test", "write faults: copy on write");
	expect(page_at(0), VM_WRITE, "resident", "write succeeds");
	expect(page_at(1), VM_WRITE, "absent, test has nothing", "write faults: page in");
	expect(page_at(1), VM_WRITE, "resident", "write succeeds");
	pager.copies = true;
	expect(page_at(2), VM_READ, "absent, test", "read faults: page in");
	expect(page_at(2), VM_WRITE, "resident", "write succeeds");
	blob_unref(blob);
	space_close(root);
	test_pager_finish(&pager);
}

static void fixed_pages(void)
{
	struct blob *device, *contiguous;

	test_case("devices and contiguous RAM");
	root = space_open("explained");
	if (!CHECK_EQ(blob_create_device(DEVICE_START, PAGE_SIZE, CACHE_UNCACHED, &device), 0) ||
	    !CHECK_EQ(blob_create_contiguous(2 * PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, CACHE_WRITE_BACK,
					     &contiguous),
		      0))
		return;
	map_all_at(root, SPACE_BASE, device);
	expect(page_at(0), VM_WRITE, "of a device", "write faults: resident");
	expect(page_at(0), VM_READ, "of a device", "read succeeds");
	CHECK_EQ(map_unmap(root, SPACE_BASE, PAGE_SIZE), 0);
	map_all_at(root, SPACE_BASE, contiguous);
	expect(page_at(1), VM_READ, "of contiguous RAM", "read faults: resident");
	expect(page_at(1), VM_WRITE, "of contiguous RAM", "write succeeds");
	blob_unref(device);
	blob_unref(contiguous);
	space_close(root);
}

static void refusals(void)
{
	static const vaddr_t addresses[] = {
		0,
		8,
		PAGE_SIZE,
		SPACE_BASE,
		SPACE_BASE + PAGE_SIZE,
		LAYOUT_KERNEL_START,
		LAYOUT_GATE_START,
		LAYOUT_SYSTEM_START,
		LAYOUT_ARENAS_START,
		LAYOUT_PAGES_START,
		LAYOUT_DYNAMIC_START,
		LAYOUT_PHYSICAL_START,
		LAYOUT_PHYSICAL_END - 1,
		LAYOUT_PHYSICAL_END,
		UINT64_MAX,
	};
	static const vm_prot_t accesses[] = {VM_READ, VM_WRITE, VM_EXEC};
	struct blob *blob = make_blob(1);

	test_case("what is refused, and why, for every region and right");
	root = space_open("explained");
	map_all_at(root, SPACE_BASE, blob);
	for (vm_prot_t prot = 0; prot <= VM_ALL; prot++) {
		CHECK_EQ(map_protect(root, SPACE_BASE, PAGE_SIZE, prot), 0);
		for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
			for (size_t j = 0; j < sizeof(accesses) / sizeof(accesses[0]); j++)
				expect_agreement(addresses[i], accesses[j]);
	}
	blob_unref(blob);
	space_close(root);
}

/* ---- Any state ---------------------------------------------------------------------------------- */

/* One random change of the first blob or of how the last one is mapped. */
static void random_step(struct rng *rng, struct blob *blobs[BLOBS])
{
	pgoff_t page = rng_below(rng, PAGES);
	struct blob *blob = blobs[rng_below(rng, BLOBS)];

	switch (rng_below(rng, 8)) {
	case 0:
		put_word(blob, page, page);
		break;
	case 1:
		get_word(blob, page);
		break;
	case 2:
		CHECK_EQ(blob_page_out(blob, page, 1), 0);
		break;
	case 3:
		CHECK_EQ(blob_sync(blob, page, 1), 0);
		break;
	case 4:
		CHECK_EQ(blob_decommit(blob, page, 1), 0);
		break;
	case 5:
		CHECK_EQ(map_protect(root, page_at(page), PAGE_SIZE, (vm_prot_t)rng_below(rng, VM_ALL + 1)),
			 0);
		break;
	default: /* often enough that pages are shared, seldom enough that they change */
		if (rng_below(rng, 4) > 0)
			break;
		/* All are mapped one after the other, each a clone of the one before. */
		for (unsigned i = 1; i < BLOBS; i++) {
			CHECK_EQ(map_unmap(root, page_at(i * PAGES), pages_to_bytes(PAGES)), 0);
			blob_unref(blobs[i]);
			CHECK_EQ(blob_clone(blobs[i - 1], 0, PAGES, &blobs[i]), 0);
			map_all_at(root, page_at(i * PAGES), blobs[i]);
		}
	}
}

static void any_state(void)
{
	static const vm_prot_t accesses[] = {VM_READ, VM_WRITE, VM_EXEC};
	struct rng rng = {0x6578706c61696eul};
	struct blob *blobs[BLOBS];

	test_case("the verdict is what the fault does, whatever state the page is in");
	root = space_open("explained");
	for (unsigned i = 0; i < BLOBS; i++) {
		blobs[i] = make_blob(PAGES);
		map_all_at(root, page_at(i * PAGES), blobs[i]);
	}
	for (unsigned step = 0; step < STEPS && test_complaints() == 0; step++) {
		random_step(&rng, blobs);
		expect_agreement(page_at(rng_below(&rng, BLOBS * PAGES + 1)), accesses[rng_below(&rng, 3)]);
	}
	for (unsigned i = 0; i < BLOBS; i++)
		blob_unref(blobs[i]);
	space_close(root);
	CHECK_EQ(store_used(), 0);
}

void suite_explain(void)
{
	struct footprint before = footprint_now();

	if (!CHECK(store_open(LOCATIONS)))
		return;
	own_pages();
	at_the_store();
	from_pagers();
	fixed_pages();
	refusals();
	any_state();
	store_close();
	check_footprint(&before);
}
