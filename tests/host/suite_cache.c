/*
 * The cache policy of device and contiguous blobs, as it ends up in the page tables that the CPU walks.
 *
 * What the bits mean is in kern/arch/x86_64/pte.h; how the blobs behave otherwise, in tests/suites/suite_content.c.
 */
#include "machine.h"

#include "../suites/vm_suite.h"

#include <pmap_internal.h>

#define DEVICE ((paddr_t)0xfed00000)

/* The lowest entry for an address that has one. */
static pte_t leaf_of(struct pmap *pmap, vaddr_t va)
{
	const pte_t *table = pmap->top;

	for (unsigned level = 4; level > 1; level--) {
		pte_t entry = table[pte_index(va, level)];

		if (!CHECK(entry & PTE_PRESENT))
			return 0;
		table = env_phys_to_virt(pte_frame(entry));
	}
	return table[pte_index(va, 1)];
}

static void check_policy(struct map *root, struct blob *blob, pte_t expected)
{
	map_all_at(root, SPACE_BASE, blob);
	CHECK_EQ(fault_at(root, SPACE_BASE, VM_WRITE), FAULT_RESIDENT);
	CHECK_EQ(leaf_of(map_pmap(root), SPACE_BASE) & (PTE_PWT | PTE_PCD | PTE_PRESENT),
		 expected | PTE_PRESENT);
	CHECK_EQ(map_protect(root, SPACE_BASE, PAGE_SIZE, VM_READ), 0);
	CHECK_EQ(leaf_of(map_pmap(root), SPACE_BASE) & (PTE_PWT | PTE_PCD), expected);
	CHECK_EQ(map_unmap(root, SPACE_BASE, PAGE_SIZE), 0);
	blob_unref(blob);
}

void suite_cache(void)
{
	static const struct {
		enum vm_cache cache;
		pte_t bits;
	} policies[] = {
		{CACHE_WRITE_BACK, 0}, {CACHE_WRITE_COMBINING, PTE_CACHE_WC}, {CACHE_UNCACHED, PTE_CACHE_UC}};
	struct map *root = space_open("policies");
	struct blob *blob;

	test_case("a blob's cache policy is that of its translations");
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		CHECK_EQ(
			blob_create_contiguous(PAGE_SIZE, PAGE_SIZE, PAGE_ANYWHERE, policies[i].cache, &blob),
			0);
		check_policy(root, blob, policies[i].bits);
		CHECK_EQ(blob_create_device(DEVICE, PAGE_SIZE, policies[i].cache, &blob), 0);
		check_policy(root, blob, policies[i].bits);
	}
	space_close(root);
}
