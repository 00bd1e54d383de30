/*
 * The kernel's own use of the VM: start-up, device registers, and mapped kernel memory.
 *
 * Both kinds of mapping are entered when they are made and never fault. Their page tables hang below
 * tables that every address space shares from its beginning, so that no address space has to be
 * told.
 */
#include <asm/errno.h>

#include "vm_internal.h"

void vm_init(void)
{
	/* Blobs are made of trees, and maps of blobs; arenas are reserved in a map. */
	tree_init();
	blob_init();
	fault_init();
	map_init();
	arena_init();
}

/* Enters every page of an entry's window, which the blob has. */
static int enter_all(vaddr_t start, struct blob *blob, pgoff_t pages)
{
	BLOB_ASSERT_LIVE(blob);
	ASSERT(page_aligned(start) && pages == blob->pages);
	for (pgoff_t i = 0; i < pages; i++) {
		struct obtained found;
		int error;

		spin_lock(&blob->family->lock);
		/* It is wired, so it is there, and stays for as long as it is mapped. */
		if (obtain_page(blob, i, OBTAIN_WRITE, NULL, &found) == OBTAIN_DONE)
			error = pmap_enter(&kernel_pmap, start + pages_to_bytes(i), found.page,
					   VM_READ | VM_WRITE, blob->cache);
		else
			error = -ENOMEM;
		family_unlock(blob->family);
		if (error)
			return error;
	}
	return 0;
}

/*
 * Maps all of a blob into a kernel map, for good or until map_unmap; takes over the caller's
 * reference.
 */
static int map_wired(struct map *map, const struct placement *place, struct blob *blob, const char *name,
		     vaddr_t *out)
{
	struct mapping how = {.prot = VM_READ | VM_WRITE, .inherit = INHERIT_SHARE, .name = name};
	int error = map_blob(map, place, blob, 0, blob->pages, &how, out);

	if (!error) {
		error = map_wire(map, *out, blob_size(blob));
		if (!error)
			error = enter_all(*out, blob, blob->pages);
		/* With the mapping go its wiring and what was entered of it. */
		if (error)
			map_unmap(map, *out, blob_size(blob));
	}
	/* The mapping has its own reference. */
	blob_unref(blob);
	return error;
}

volatile void *kernel_map_device(paddr_t start, uint64_t bytes, enum vm_cache cache)
{
	static const struct placement anywhere;
	paddr_t first = page_round_down(start);
	struct blob *blob;
	vaddr_t address;

	if (blob_create_device(first, page_round_up(start + bytes) - first, cache, &blob))
		return NULL;
	if (map_wired(system_map, &anywhere, blob, "device registers", &address))
		return NULL;
	DEBUG_ASSERT(page_aligned(address) && start - first < PAGE_SIZE);
	return (volatile void *)(address + (start - first));
}

void *kernel_alloc(size_t bytes, const char *name)
{
	static const struct placement guarded = {.guard = PAGE_SIZE};
	struct blob *blob;
	vaddr_t address;

	/* A size that wraps becomes 0, which is no blob's. */
	if (blob_create(page_round_up(bytes), 0, &blob) ||
	    map_wired(dynamic_map, &guarded, blob, name, &address))
		return NULL;
	return (void *)address;
}

void kernel_free(void *memory)
{
	vaddr_t start = (vaddr_t)memory;
	struct map_entry *entry;
	uint64_t bytes = 0;

	map_read_lock(dynamic_map);
	entry = map_find(dynamic_map, start);
	if (entry && entry->start == start)
		bytes = entry->end - entry->start;
	map_read_unlock(dynamic_map);
	/* Each allocation is one entry: guards keep neighbours from being joined. */
	ASSERT(bytes > 0);
	map_unmap(dynamic_map, start, bytes);
}
