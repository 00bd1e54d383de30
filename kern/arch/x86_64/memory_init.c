/*
 * Takes over memory at boot: from the loader's memory map and the boot page tables to the
 * kernel's own page tables and a running page allocator.
 *
 * Everything that is taken here (page tables, page descriptors) comes from an allocator that only
 * splits the list of free ranges; what is left of the list is given to page_init(). The tables'
 * upper levels never change afterwards, which is why all 64 tables of the kernel window exist at once: see
 * pmap_internal.h, which says what pmap.c relies on. What the memory map means is kern/vm/memmap.c's
 * business; after this file page.c and pmap.c have the say.
 */
#include <kern/block.h>
#include <kern/boot.h>
#include <vm/env.h>
#include <vm/layout.h>
#include <vm/page.h>

#include <hw.h>
#include <image.h>
#include <pmap_internal.h>
#include <pte.h>

#define KIB        ((uint64_t)1 << 10)
#define MIB        ((uint64_t)1 << 20)
#define LOW_END    MIB                /* firmware's and old devices': never given out */
#define VGA_START  ((paddr_t)0xa0000) /* ... of which this part is registers and not memory, */
#define VGA_END    ((paddr_t)0xc0000)
#define TABLES_END ((paddr_t)1 << 32) /* the boot page tables show what is below */

/* RAM that must be left for the system to come up and run a small program. */
#define WORKING_BYTES (4 * MIB)

/* A range of ACPI's is small; one that is not is shown only this far. */
#define ACPI_MAX_BYTES (16 * MIB)

/* An upper limit of page tables: those that are always there, and those at the ends of a range. */
#define FIXED_TABLES     80
#define TABLES_PER_RANGE 12

#define CPUID_EXTENDED_FEATURES 0x80000001u
#define CPUID_EDX_1G_PAGES      (1u << 26)

/* The image, modules and low memory are added as ranges; each aligned allocation may split one. */
#define FREE_IN_MAX  (BOOT_MAX_RANGES + BOOT_MAX_MODULES + 2)
#define FREE_OUT_MAX (2 * FREE_IN_MAX)

/* A block device of RAM divides a range. */
#define RAM_RANGES_MAX (BOOT_MAX_RANGES + BLOCK_MAX_RAM)
_Static_assert(RAM_RANGES_MAX <= PAGE_MAX_RANGES, "page_init takes them all");

/* Used once, by one CPU: no locks. */
static struct phys_range ram[RAM_RANGES_MAX];
static size_t ram_count;
static struct phys_range disks[BLOCK_MAX_RAM]; /* taken out of RAM for block devices */
static struct phys_range free_in[FREE_IN_MAX];
static struct phys_range free_ranges[FREE_OUT_MAX]; /* in order of address */
static size_t free_count;
static unsigned largest_level; /* of a leaf: 3 where the CPU has 1 GiB pages */
static pte_t no_execute;       /* PTE_NX, or 0 where the CPU has none */

/* ---- The ranges ------------------------------------------------------------------------------- */

static uint64_t total_bytes(const struct phys_range *ranges, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += ranges[i].end - ranges[i].start;
	return bytes;
}

/* What of RAM nobody uses: leaves out low memory, the kernel and the modules. */
static void find_free(void)
{
	size_t count = bootinfo.memory_count;
	int found;

	memcpy(free_in, bootinfo.memory, count * sizeof(free_in[0]));
	free_in[count++] = (struct phys_range){0, LOW_END, false};
	free_in[count++] =
		(struct phys_range){image_paddr(kernel_text_start), image_paddr(kernel_image_end), false};
	for (size_t i = 0; i < bootinfo.module_count; i++)
		free_in[count++] = (struct phys_range){bootinfo.modules[i].start,
						       page_round_up(bootinfo.modules[i].end), false};
	found = memmap_normalize(free_in, count, LAYOUT_PHYSICAL_BYTES, free_ranges, FREE_OUT_MAX);
	ASSERT(found >= 0);
	free_count = (size_t)found;
}

/* Panics unless there is room for the bookkeeping, at its largest, and some work. The bytes that are left. */
static uint64_t check_enough(void)
{
	uint64_t have = total_bytes(ram, ram_count), left = total_bytes(free_ranges, free_count);
	uint64_t descriptors = (have >> PAGE_SHIFT) * sizeof(struct page) + ram_count * 2 * PAGE_SIZE;
	uint64_t tables =
		FIXED_TABLES + TABLES_PER_RANGE * bootinfo.memory_count + 2 * (have >> pte_shift(3));
	uint64_t needed = descriptors + tables * PAGE_SIZE + WORKING_BYTES;

	if (left < needed)
		panic("too little memory: there are %lu KiB of RAM, and %lu KiB are needed", have / KIB,
		      (have - left + needed) / KIB);
	return left - needed;
}

/*
 * Takes `bytes` of free memory at a multiple of `align` (a power of two) below `limit`, as high as
 * possible, out of the list. UINT64_MAX: there is none.
 */
static paddr_t take(uint64_t bytes, uint64_t align, paddr_t limit)
{
	for (size_t i = free_count; i-- > 0;) {
		struct phys_range *range = &free_ranges[i];
		paddr_t end = range->end < limit ? range->end : limit;
		paddr_t start;

		if (end < range->start || end - range->start < bytes)
			continue;
		start = (end - bytes) & ~(align - 1);
		if (start < range->start)
			continue;
		if (start + bytes == range->end) {
			range->end = start;
			return start;
		}
		if (free_count == FREE_OUT_MAX)
			continue;
		memmove(range + 2, range + 1, (free_count - i - 1) * sizeof(*range));
		range[1] = (struct phys_range){start + bytes, range->end, true};
		range->end = start;
		free_count++;
		return start;
	}
	return UINT64_MAX;
}

/* From now on the range, which lies in one range of RAM, is not RAM. */
static void cut_from_ram(paddr_t start, paddr_t end)
{
	size_t i = 0;

	while (ram[i].end < end)
		i++;
	ASSERT(ram[i].start <= start);
	if (ram[i].start == start || ram[i].end == end) {
		if (ram[i].start == start)
			ram[i].start = end;
		else
			ram[i].end = start;
		return;
	}
	ASSERT(ram_count < RAM_RANGES_MAX);
	memmove(&ram[i + 1], &ram[i], (ram_count - i) * sizeof(ram[0]));
	ram[i].end = start;
	ram[i + 1].start = end;
	ram_count++;
}

/* Takes memory for the block devices of RAM that the command line asks for, where that leaves enough: `spare` bytes can go. */
static void take_disks(uint64_t spare)
{
	uint64_t sizes[BLOCK_MAX_RAM];
	unsigned count = block_ram_wanted(sizes);

	for (unsigned n = 0; n < count; n++) {
		paddr_t start;

		if (sizes[n] == 0)
			continue;
		start = sizes[n] <= spare ? take(sizes[n], pte_span(2), UINT64_MAX) : UINT64_MAX;
		if (start == UINT64_MAX) {
			env_log("memory: no room for a block device of %lu MiB: %lu MiB can be spared, "
				"perhaps not in one piece",
				sizes[n] / MIB, spare / MIB);
			continue;
		}
		spare -= sizes[n];
		disks[n] = (struct phys_range){start, start + sizes[n], true};
		cut_from_ram(disks[n].start, disks[n].end);
		block_ram_give(n, start, sizes[n]);
	}
}

/* Takes out the ranges of which nothing is left. */
static void drop_empty(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < free_count; i++) {
		if (free_ranges[i].start < free_ranges[i].end)
			free_ranges[kept++] = free_ranges[i];
	}
	free_count = kept;
}

/* ---- The page tables -------------------------------------------------------------------------- */

static paddr_t take_table(void)
{
	paddr_t table = take(PAGE_SIZE, PAGE_SIZE, TABLES_END);

	if (table == UINT64_MAX)
		panic("too little memory below 4 GiB for page tables: %lu KiB of RAM in all",
		      total_bytes(ram, ram_count) / KIB);
	memset(env_phys_to_virt(table), 0, PAGE_SIZE);
	return table;
}

/* The entry of `level` that translates `va`; makes the tables above it. */
static pte_t *entry_for(vaddr_t va, unsigned level)
{
	pte_t *table = env_phys_to_virt(kernel_pml4);

	for (unsigned above = PTE_LEVELS; above > level; above--) {
		pte_t *entry = &table[pte_index(va, above)];

		if (!(*entry & PTE_PRESENT))
			*entry = take_table() | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
		ASSERT(!pte_is_leaf(*entry, above));
		table = env_phys_to_virt(pte_frame(*entry));
	}
	return &table[pte_index(va, level)];
}

#define READ_ONLY  (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED)
#define READ_WRITE (READ_ONLY | PTE_WRITE | PTE_DIRTY)

/* Maps [va, va + bytes) to [pa, ...), in the largest pages that fit and are at most of `level`. */
static void map_range(vaddr_t va, paddr_t pa, uint64_t bytes, pte_t bits, unsigned level)
{
	while (bytes > 0) {
		unsigned fits = level;

		while (fits > 1 && (((va | pa) & (pte_span(fits) - 1)) != 0 || bytes < pte_span(fits)))
			fits--;
		*entry_for(va, fits) = pa | bits | (fits > 1 ? PTE_LARGE : 0);
		va += pte_span(fits);
		pa += pte_span(fits);
		bytes -= pte_span(fits);
	}
}

/* A part of the image at its linked addresses. */
static void map_image(const char *start, const char *end, pte_t bits)
{
	map_range((vaddr_t)start, image_paddr(start), (uint64_t)(end - start), bits, 1);
}

static void map_kernel_window(void)
{
	for (vaddr_t va = LAYOUT_KERNEL_START; va < LAYOUT_KERNEL_END; va += pte_span(2))
		entry_for(va, 1);
	*entry_for(LAYOUT_GATE_START, 2) |= PTE_USER; /* the leaves below have the say */

	map_image(kernel_text_start, kernel_text_end, READ_ONLY);
	map_image(kernel_rodata_start, kernel_rodata_end, READ_ONLY | no_execute);
	map_image(kernel_data_start, boot_stack_guard, READ_WRITE | no_execute);
	map_image(boot_stack_guard + PAGE_SIZE, kernel_data_end, READ_WRITE | no_execute);
}

/* The directories of system data space, and of what lies beside the page descriptors. */
static void make_shared_tables(void)
{
	for (vaddr_t va = LAYOUT_SYSTEM_START; va < LAYOUT_SYSTEM_END; va += pte_span(3))
		entry_for(va, 2);
	entry_for(LAYOUT_PAGES_START, 3);
}

/* RAM in the physical map. What is read-only in the image is so here too. */
static void map_ram(const struct phys_range *range)
{
	const paddr_t cuts[] = {image_paddr(kernel_text_start), image_paddr(kernel_rodata_end), range->end};
	paddr_t start = range->start;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		paddr_t end = cuts[i] < range->end ? cuts[i] : range->end;

		if (end <= start)
			continue;
		map_range(LAYOUT_PHYSICAL_START + start, start, end - start,
			  (i == 1 ? READ_ONLY : READ_WRITE) | no_execute, largest_level);
		start = end;
	}
}

/* What is not RAM but has tables to read: the firmware's memory below 1 MiB, and ACPI's. */
static void map_firmware_tables(void)
{
	for (paddr_t pa = 0; pa < LOW_END; pa += PAGE_SIZE) {
		pte_t *entry = entry_for(LAYOUT_PHYSICAL_START + pa, 1);

		if (!(*entry & PTE_PRESENT) && (pa < VGA_START || pa >= VGA_END))
			*entry = pa | READ_ONLY | no_execute;
	}
	for (size_t i = 0; i < bootinfo.memory_count; i++) {
		const struct phys_range *range = &bootinfo.memory[i];
		paddr_t start = page_round_down(range->start);

		if (!bootinfo.memory_acpi[i] || range->end <= range->start ||
		    range->end > LAYOUT_PHYSICAL_BYTES)
			continue;
		paddr_t end = page_round_up(range->end);
		if (end - start > ACPI_MAX_BYTES) {
			env_log("memory: ACPI's range at %#lx is %lu KiB long, its rest is not mapped", start,
				(end - start) / KIB);
			end = start + ACPI_MAX_BYTES;
		}
		map_range(LAYOUT_PHYSICAL_START + start, start, end - start, READ_ONLY | no_execute, 1);
	}
}

/* ---- The page descriptors --------------------------------------------------------------------- */

/* The pages of the array that hold the descriptors of a range of RAM. */
static struct phys_range descriptor_pages(const struct phys_range *range)
{
	return (struct phys_range){
		.start = page_round_down((vaddr_t)(page_array + (range->start >> PAGE_SHIFT))),
		.end = page_round_up((vaddr_t)(page_array + (range->end >> PAGE_SHIFT))),
	};
}

static void map_descriptors(void)
{
	vaddr_t done = 0; /* neighbouring ranges may share a page */

	for (size_t i = 0; i < ram_count; i++) {
		struct phys_range pages = descriptor_pages(&ram[i]);

		for (vaddr_t va = pages.start > done ? pages.start : done; va < pages.end;) {
			paddr_t frame = UINT64_MAX;
			unsigned level = 2;

			if ((va & (pte_span(2) - 1)) == 0 && pages.end - va >= pte_span(2))
				frame = take(pte_span(2), pte_span(2), UINT64_MAX);
			if (frame == UINT64_MAX) {
				level = 1;
				frame = take(PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
			}
			if (frame == UINT64_MAX)
				panic("too little memory for page descriptors: %lu KiB of RAM in all",
				      total_bytes(ram, ram_count) / KIB);
			map_range(va, frame, pte_span(level), READ_WRITE | no_execute, level);
			va += pte_span(level);
		}
		done = pages.end;
	}
}

/* Frames that are no RAM but share a page with descriptors read as reserved: all zeroes. */
static void clear_descriptors(void)
{
	vaddr_t done = 0;

	for (size_t i = 0; i < ram_count; i++) {
		struct phys_range pages = descriptor_pages(&ram[i]);
		vaddr_t start = pages.start > done ? pages.start : done;

		if (start < pages.end)
			memset((void *)start, 0, pages.end - start);
		done = pages.end;
	}
}

/* Lets the boot modules' frames be lent to blobs; a module outside RAM, which has no frames, becomes empty. */
static void mark_modules(void)
{
	for (size_t i = 0; i < bootinfo.module_count; i++) {
		struct boot_module *module = &bootinfo.modules[i];
		bool in_ram = false;

		for (size_t j = 0; j < ram_count; j++)
			in_ram |= module->start >= ram[j].start && module->end <= ram[j].end;
		if (in_ram) {
			page_mark_module(module->start, module->end);
		} else {
			env_log("memory: boot module %zu is not in usable RAM, and ignored", i + 1);
			module->end = module->start;
		}
	}
}

/* ---- All of it -------------------------------------------------------------------------------- */

void memory_init(void)
{
	uint64_t free_before, free_after, ram_bytes;
	int found = memmap_normalize(bootinfo.memory, bootinfo.memory_count, LAYOUT_PHYSICAL_BYTES, ram,
				     BOOT_MAX_RANGES);

	ASSERT(found >= 0);
	ram_count = (size_t)found;
	find_free();
	take_disks(check_enough());
	ram_bytes = total_bytes(ram, ram_count);
	free_before = total_bytes(free_ranges, free_count);

	no_execute = rdmsr(MSR_EFER) & EFER_NXE ? PTE_NX : 0;
	largest_level = cpuid(CPUID_EXTENDED_FEATURES, 0).edx & CPUID_EDX_1G_PAGES ? 3 : 2;
	kernel_pml4 = take_table();
	map_kernel_window();
	make_shared_tables();
	map_descriptors();
	for (size_t i = 0; i < ram_count; i++)
		map_ram(&ram[i]);
	for (size_t i = 0; i < BLOCK_MAX_RAM; i++)
		map_ram(&disks[i]);
	map_firmware_tables();
	drop_empty();

	write_cr3(kernel_pml4);
	write_cr4(read_cr4() | X86_CR4_PGE);

	clear_descriptors();
	free_after = total_bytes(free_ranges, free_count);
	page_init(ram, ram_count, free_ranges, free_count);
	pmap_init();
	mark_modules();
	env_log("memory: %lu MiB of RAM, %lu MiB free; %lu KiB of bookkeeping, %lu KiB of kernel image",
		ram_bytes / MIB, free_after / MIB, (free_before - free_after) / KIB,
		(uint64_t)(kernel_image_end - kernel_text_start) / KIB);
}
