/*
 * What the boot loader told us, whichever loader it was: GRUB (multiboot2) or QEMU (PVH).
 */
#ifndef KERN_BOOT_H
#define KERN_BOOT_H

#include <vm/page.h>

#define BOOT_MAX_RANGES  256
#define BOOT_MAX_MODULES 16
#define BOOT_MAX_STRING  2048

struct boot_module {
	paddr_t start, end; /* in bytes; the start is page aligned */
	char name[128];     /* the module's string, as the loader passes it */
};

struct bootinfo {
	const char *loader; /* "multiboot2" or "PVH" */
	char command_line[BOOT_MAX_STRING];
	struct phys_range memory[BOOT_MAX_RANGES]; /* as reported: in no order */
	bool memory_acpi[BOOT_MAX_RANGES]; /* memory[i] holds ACPI's tables: not usable, but to be read */
	size_t memory_count;
	struct boot_module modules[BOOT_MAX_MODULES];
	size_t module_count;
	paddr_t rsdp; /* ACPI's root pointer (or a copy of it), 0 where unknown */
};

extern struct bootinfo bootinfo;

/*
 * Fills `bootinfo` from what the loader left: `magic` as it was in eax (multiboot2), or 0 for PVH;
 * `info` the physical address that was in ebx. Reads it through the boot page tables.
 */
void bootinfo_read(uint32_t magic, paddr_t info);

/*
 * Takes over memory: puts the memory map in order, builds the final kernel page tables (kernel image
 * with its rights, physical map, page descriptors), switches to them and starts the page allocator.
 * Panics, with the amounts, when there is too little RAM.
 */
void memory_init(void);

#endif
