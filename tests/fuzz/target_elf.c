/*
 * Fuzz target: any bytes as an executable. What elf_load takes has to be in memory as its program headers say.
 *
 * The model reads the headers again, naively, and compares what a program sees at the ends of each segment: the file's
 * bytes, then zeroes; and rights. Nothing that the program writes may show in the file.
 */
#include "fuzz.h"

#include "../host/program.h"
#include "../suites/vm_suite.h"

#include <kern/elf.h>
#include <linux/elf.h>

#define MAX_FILE_BYTES ((size_t)64 << 10)
#define LOOKS          4 /* places looked at in a segment: at both ends, and around the end of the file's part */
#define LOOK_BYTES     16 /* seen at each */

struct example {
	const uint8_t *bytes;
	size_t count;
	struct blob *file;
	struct map *root;
	vaddr_t moved; /* where it is, less where it was linked to be */
};

void fuzz_prepare(void)
{
	elf_init();
}

/* The byte of a segment's memory, `offset` bytes from its start. */
static uint8_t expected_byte(const struct example *example, const Elf64_Phdr *load, uint64_t offset)
{
	return offset < load->p_filesz ? example->bytes[load->p_offset + offset] : 0;
}

/* Looks at up to LOOK_BYTES bytes, and writes to the first. */
static void look(const struct example *example, const Elf64_Phdr *load, uint64_t offset)
{
	vaddr_t address = load->p_vaddr + offset + example->moved;
	uint64_t bytes = load->p_memsz - offset < LOOK_BYTES ? load->p_memsz - offset : LOOK_BYTES;
	bool readable = load->p_flags & (PF_R | PF_W | PF_X), writable = load->p_flags & PF_W;
	uint8_t found[LOOK_BYTES], changed;

	CHECK_EQ(program_load(example->root, address, found, bytes), readable ? 0 : -EACCES);
	for (uint64_t i = 0; readable && i < bytes; i++)
		CHECK_EQ(found[i], expected_byte(example, load, offset + i));
	CHECK_EQ(program_access(example->root, address, SIM_FETCH, found, 1),
		 load->p_flags & PF_X ? 0 : -EACCES);
	changed = (uint8_t)~expected_byte(example, load, offset);
	CHECK_EQ(program_store(example->root, address, &changed, 1), writable ? 0 : -EACCES);
	if (!writable)
		return;
	CHECK_EQ(program_load(example->root, address, found, 1), 0);
	CHECK_EQ(found[0], changed);
	changed = expected_byte(example, load, offset);
	CHECK_EQ(program_store(example->root, address, &changed, 1), 0);
}

static void check_segment(const struct example *example, const Elf64_Phdr *load)
{
	uint64_t last = load->p_memsz - 1, file_end = load->p_filesz;
	uint64_t looks[LOOKS] = {0, file_end ? file_end - 1 : 0, file_end < last ? file_end : last, last};

	for (unsigned i = 0; i < LOOKS; i++)
		look(example, load, looks[i]);
}

static void check_segments(const struct example *example)
{
	Elf64_Ehdr header;

	memcpy(&header, example->bytes, sizeof(header));
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr load;

		memcpy(&load, example->bytes + header.e_phoff + i * sizeof(load), sizeof(load));
		if (load.p_type == PT_LOAD && load.p_memsz > 0)
			check_segment(example, &load);
	}
}

/* What the program wrote is its own. */
static void check_file(const struct example *example)
{
	static uint8_t now[MAX_FILE_BYTES];

	CHECK_EQ(blob_read(example->file, 0, now, example->count), 0);
	CHECK(memcmp(now, example->bytes, example->count) == 0);
}

/* Maps the entity as kern/proc/exec.c would, and looks at it. No room for what wants to be aligned so much is no mistake. */
static void run_image(struct example *example, const struct program_image *image)
{
	struct placement place = {.align = image->align};
	vaddr_t address;
	int error;

	CHECK(image->entity && image->align >= PAGE_SIZE);
	if (!image->relocates)
		place = (struct placement){.address = image->start, .flags = PLACE_FIXED};
	CHECK_EQ(map_create_root("fuzz", &example->root), 0);
	program_enter(example->root);
	error = map_entity(map_private_space(example->root), &place, image->entity, &address);
	if (error) {
		CHECK_EQ(error, -ENOMEM);
		CHECK(image->relocates);
	} else {
		CHECK_EQ(address & (image->align - 1), image->relocates ? 0 : address & (image->align - 1));
		example->moved = address - image->start;
		CHECK(check_map(example->root));
		check_segments(example);
		CHECK_EQ(map_unmap(map_private_space(example->root), address,
				   pages_to_bytes(entity_pages(image->entity))),
			 0);
	}
	program_enter(NULL);
	map_unref(example->root);
	check_file(example);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct footprint before = footprint_now();
	struct example example = {.bytes = bytes, .count = count};
	struct program_image image = {.entity = NULL};
	struct reason reason;
	int error;

	if (count == 0 || count > MAX_FILE_BYTES)
		return -1; /* not for the corpus */
	CHECK_EQ(blob_create(page_round_up(count), 0, &example.file), 0);
	CHECK_EQ(blob_write(example.file, 0, bytes, count), 0);
	error = elf_load(example.file, count, "fuzz", NULL, &image, &reason);
	if (error) {
		CHECK_EQ(error, -ENOEXEC);
		CHECK(reason.text[0] != '\0' && strlen(reason.text) < REASON_BYTES);
	} else {
		run_image(&example, &image);
		entity_unref(image.entity);
	}
	blob_unref(example.file);
	check_footprint(&before);
	return 0;
}
