/*
 * Reads what the boot loader left, in either protocol, into one `struct bootinfo`.
 *
 * Everything is copied, so that the memory which the loader used can be used again; what does not
 * fit, or contradicts itself, is left out with a line on the console. All of it is read through the
 * boot page tables, which show what is below 4 GiB. What to make of the memory map is
 * memory_init.c's business; the way in is boot/boot.asm.
 */
#include <kern/boot.h>
#include <vm/env.h>

#include <image.h>

struct bootinfo bootinfo;

#define READABLE_END ((paddr_t)1 << 32) /* of the physical map that boot.asm makes */

/* ---- Multiboot2 (specification 2.0, section 3.6) ---------------------------------------------- */

#define MULTIBOOT2_MAGIC 0x36d76289u

enum multiboot2_tag_type {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_LOADER_NAME = 2,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
};

#define TAG_ALIGN 8u

struct multiboot2_info {
	uint32_t total_size; /* in bytes, this included */
	uint32_t reserved;
};

struct multiboot2_tag {
	uint32_t type;
	uint32_t size; /* in bytes, this included, padding to the next tag not */
};

struct multiboot2_module {
	struct multiboot2_tag tag;
	uint32_t start, end;
	char string[];
};

struct multiboot2_memory_map {
	struct multiboot2_tag tag;
	uint32_t entry_size;
	uint32_t entry_version;
};

struct multiboot2_memory {
	uint64_t start;
	uint64_t bytes;
	uint32_t type; /* enum memory_type */
	uint32_t reserved;
};

/* ---- PVH (Xen public headers, arch-x86/hvm/start_info.h) -------------------------------------- */

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version; /* from 1 on there is a memory map */
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t command_line;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_count;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t start;
	uint64_t bytes;
	uint64_t command_line;
	uint64_t reserved;
};

struct pvh_memory {
	uint64_t start;
	uint64_t bytes;
	uint32_t type; /* enum memory_type */
	uint32_t reserved;
};

/* ---- What both share -------------------------------------------------------------------------- */

/* Kinds of memory (ACPI 6.4, table 15.1); all others are not for us. */
enum memory_type { MEMORY_RAM = 1, MEMORY_ACPI_TABLES = 3, MEMORY_ACPI_NVS = 4 };

/* ACPI's root pointer: the first version's length, and today's (ACPI 6.4, section 5.2.5.3). */
#define RSDP_SIGNATURE "RSD PTR "
#define RSDP_OLD_BYTES 20u
#define RSDP_BYTES     36u

static _Alignas(16) uint8_t rsdp_copy[RSDP_BYTES];

/* Loader memory at [start, start + bytes), or NULL where the boot page tables do not reach. */
static const void *loader_memory(paddr_t start, uint64_t bytes)
{
	if (start == 0 || start >= READABLE_END || bytes > READABLE_END - start)
		return NULL;
	return env_phys_to_virt(start);
}

/* Copies a string that ends with a NUL or after `from_bytes`; cuts it to what `to` holds. */
static void copy_string(char *to, size_t to_bytes, const char *from, size_t from_bytes, const char *what)
{
	size_t length = 0;

	while (length < from_bytes && from[length] != '\0' && length < to_bytes - 1) {
		to[length] = from[length];
		length++;
	}
	to[length] = '\0';
	if (length < from_bytes && from[length] != '\0')
		env_log("boot: %s is too long, cut to %lu bytes", what, (unsigned long)length);
}

/* The same for a string at a physical address. */
static void copy_string_at(char *to, size_t to_bytes, paddr_t from, const char *what)
{
	const char *string = loader_memory(from, 1);

	to[0] = '\0';
	if (string)
		copy_string(to, to_bytes, string, READABLE_END - from, what);
}

static void add_memory(uint64_t start, uint64_t bytes, uint32_t type)
{
	size_t i = bootinfo.memory_count;

	if (i == BOOT_MAX_RANGES) {
		env_log("boot: too many memory ranges, ignored: %#lx, %#lx bytes, type %u", start, bytes,
			type);
		return;
	}
	bootinfo.memory[i].start = start;
	bootinfo.memory[i].end = bytes > UINT64_MAX - start ? UINT64_MAX : start + bytes;
	bootinfo.memory[i].usable = type == MEMORY_RAM;
	bootinfo.memory_acpi[i] = type == MEMORY_ACPI_TABLES || type == MEMORY_ACPI_NVS;
	bootinfo.memory_count++;
}

/* Makes room for a module, or says why there is none; the caller fills in the name. */
static struct boot_module *add_module(paddr_t start, uint64_t bytes)
{
	struct boot_module *module = &bootinfo.modules[bootinfo.module_count];

	if (bytes == 0 || bytes > LAYOUT_PHYSICAL_BYTES || start > LAYOUT_PHYSICAL_BYTES - bytes ||
	    !page_aligned(start)) {
		env_log("boot: module at %#lx, %#lx bytes: bad range, ignored", start, bytes);
		return NULL;
	}
	if (bootinfo.module_count == BOOT_MAX_MODULES) {
		env_log("boot: more than %u modules, ignored: %#lx, %#lx bytes", BOOT_MAX_MODULES, start,
			bytes);
		return NULL;
	}
	module->start = start;
	module->end = start + bytes;
	module->name[0] = '\0';
	bootinfo.module_count++;
	return module;
}

/* Keeps ACPI's root pointer, of which `bytes` can be read; a longer one replaces a shorter one. */
static void keep_rsdp(const uint8_t *rsdp, uint64_t bytes)
{
	if (bytes < RSDP_OLD_BYTES || memcmp(rsdp, RSDP_SIGNATURE, strlen(RSDP_SIGNATURE)) != 0)
		return;
	memcpy(rsdp_copy, rsdp, bytes < RSDP_BYTES ? bytes : RSDP_BYTES);
	bootinfo.rsdp = image_paddr(rsdp_copy);
}

/* ---- Reading multiboot2 ----------------------------------------------------------------------- */

static void read_memory_map(const struct multiboot2_memory_map *map)
{
	const uint8_t *at = (const uint8_t *)(map + 1);
	const uint8_t *end = (const uint8_t *)map + map->tag.size;

	if (map->tag.size < sizeof(*map) || map->entry_size < sizeof(struct multiboot2_memory)) {
		env_log("boot: malformed memory map, ignored");
		return;
	}
	for (; (size_t)(end - at) >= map->entry_size; at += map->entry_size) {
		const struct multiboot2_memory *entry = (const void *)at;

		add_memory(entry->start, entry->bytes, entry->type);
	}
}

static void read_module(const struct multiboot2_module *tag)
{
	struct boot_module *module;

	if (tag->tag.size < sizeof(*tag) || tag->end < tag->start) {
		env_log("boot: malformed module, ignored");
		return;
	}
	module = add_module(tag->start, tag->end - tag->start);
	if (module)
		copy_string(module->name, sizeof(module->name), tag->string, tag->tag.size - sizeof(*tag),
			    "a module's name");
}

/* One tag, all of which can be read. */
static void read_tag(const struct multiboot2_tag *tag)
{
	const void *contents = tag + 1;
	uint32_t bytes = tag->size - sizeof(*tag);

	switch (tag->type) {
	case TAG_COMMAND_LINE:
		copy_string(bootinfo.command_line, sizeof(bootinfo.command_line), contents, bytes,
			    "the command line");
		break;
	case TAG_MODULE:
		read_module((const void *)tag);
		break;
	case TAG_MEMORY_MAP:
		read_memory_map((const void *)tag);
		break;
	case TAG_ACPI_OLD:
		if (bootinfo.rsdp == 0)
			keep_rsdp(contents, bytes < RSDP_OLD_BYTES ? bytes : RSDP_OLD_BYTES);
		break;
	case TAG_ACPI_NEW:
		keep_rsdp(contents, bytes);
		break;
	default:
		break;
	}
}

static void read_multiboot2(paddr_t at)
{
	const struct multiboot2_info *info = loader_memory(at, sizeof(*info));

	if (!info || info->total_size < sizeof(*info) || !loader_memory(at, info->total_size))
		panic("the multiboot2 information at %#lx cannot be read", at);
	for (uint32_t offset = sizeof(*info); info->total_size - offset >= sizeof(struct multiboot2_tag);) {
		const struct multiboot2_tag *tag = (const void *)((const uint8_t *)info + offset);

		if (tag->size < sizeof(*tag) || tag->size > info->total_size - offset) {
			env_log("boot: malformed tag (type %u, %u bytes), the rest is ignored", tag->type,
				tag->size);
			break;
		}
		if (tag->type == TAG_END)
			break;
		read_tag(tag);
		offset += (tag->size + TAG_ALIGN - 1) & ~(TAG_ALIGN - 1);
		if (offset > info->total_size)
			break;
	}
}

/* ---- Reading PVH ------------------------------------------------------------------------------ */

static void read_pvh(paddr_t at)
{
	const struct pvh_start_info *info = loader_memory(at, sizeof(*info));
	const struct pvh_memory *memory;
	const struct pvh_module *modules;
	const uint8_t *rsdp;

	if (!info || info->magic != PVH_MAGIC)
		panic("started by an unknown loader: neither multiboot2 nor PVH");
	copy_string_at(bootinfo.command_line, sizeof(bootinfo.command_line), info->command_line,
		       "the command line");

	memory = loader_memory(info->memory_map, (uint64_t)info->memory_map_count * sizeof(*memory));
	for (uint32_t i = 0; memory && info->version >= 1 && i < info->memory_map_count; i++)
		add_memory(memory[i].start, memory[i].bytes, memory[i].type);

	modules = loader_memory(info->modules, (uint64_t)info->module_count * sizeof(*modules));
	for (uint32_t i = 0; modules && i < info->module_count; i++) {
		struct boot_module *module = add_module(modules[i].start, modules[i].bytes);

		if (module)
			copy_string_at(module->name, sizeof(module->name), modules[i].command_line,
				       "a module's name");
	}

	rsdp = loader_memory(info->rsdp, RSDP_BYTES);
	if (rsdp)
		keep_rsdp(rsdp, RSDP_BYTES);
}

void bootinfo_read(uint32_t magic, paddr_t info)
{
	if (magic == MULTIBOOT2_MAGIC) {
		bootinfo.loader = "multiboot2";
		read_multiboot2(info);
	} else {
		bootinfo.loader = "PVH";
		read_pvh(info);
	}
}
