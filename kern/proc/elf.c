/*
 * Executables: turns an ELF64 file into an entity.
 *
 * Everything is checked first, and each thing that can be wrong has its own message; then the segments
 * are made: windows of the file's blob, and zeroes after them. Putting the entity into an address
 * space is kern/proc/exec.c's part. The format: System V ABI, chapters 4 and 5, and its AMD64
 * supplement.
 */
#include <asm/errno.h>
#include <kern/elf.h>
#include <linux/elf.h>
#include <linux/elf-em.h>
#include <linux/limits.h>
#include <vm/layout.h>
#include <vm/slab.h>

#define MAX_HEADERS       64 /* program headers */
#define MAX_LOADS         16 /* of them, to be loaded */
#define PARTS_OF_LOAD     3  /* what one of them becomes at most: file pages, a mixed page, zero pages */
#define MAX_ALIGN         ((uint64_t)1 << 30)
#define INTERPRETER_LEAST 2 /* bytes of an interpreter's name, with its NUL; the most are PATH_MAX */
_Static_assert(MAX_LOADS *PARTS_OF_LOAD <= ENTITY_MAX_SEGMENTS, "an entity has room for all parts");

/* What is known of a file while it is looked at. */
struct elf {
	struct blob *file;
	uint64_t bytes;
	struct map_label *label;
	struct reason *reason;
	Elf64_Ehdr header;
	Elf64_Phdr loads[MAX_LOADS]; /* PT_LOAD with p_memsz > 0, in the order of the file */
	unsigned load_count;
	uint64_t align; /* the largest p_align */
	bool has_interpreter;
	Elf64_Phdr interpreter; /* its PT_INTERP */
};

/* An entity in the making. The blobs made for it are `made`; the entity takes references of its own. */
struct parts {
	struct segment segments[MAX_LOADS * PARTS_OF_LOAD];
	struct blob *made[MAX_LOADS * PARTS_OF_LOAD];
	size_t count, made_count;
};

/*
 * The page where a segment's bytes end and its zeroes begin: a page of its own, made from the file on
 * first use, so that what follows in the file does not show. It has the file's place in its blob, for who lists mappings. Set once.
 */
struct mixed_page {
	struct pager pager;
	struct blob *file; /* holds a reference */
	uint64_t offset;   /* in the file: of the page's first byte */
	uint64_t bytes;    /* from the file; the rest is zero */
};

static struct slab_cache mixed_cache;

#define REFUSE(elf, ...) (env_format((elf)->reason->text, REASON_BYTES, __VA_ARGS__), -ENOEXEC)

/* Numbers in messages: env_format's integers are those of C. */
#define HEX(value) ((unsigned long long)(value))

void elf_init(void)
{
	slab_cache_init(&mixed_cache, "mixed page", sizeof(struct mixed_page));
}

/* ---- Checks -------------------------------------------------------------------------------- */

static int check_identity(struct elf *elf)
{
	const Elf64_Ehdr *header = &elf->header;
	uint64_t magic_bytes = elf->bytes < SELFMAG ? elf->bytes : SELFMAG;
	int error;

	error = blob_read(elf->file, 0, &elf->header,
			  elf->bytes < sizeof(*header) ? elf->bytes : sizeof(*header));
	if (error)
		return error;
	if (memcmp(header->e_ident, ELFMAG, magic_bytes) != 0)
		return REFUSE(elf, "not an ELF file");
	if (elf->bytes >= EI_DATA && header->e_ident[EI_CLASS] == ELFCLASS32)
		return REFUSE(elf, "a 32-bit program");
	if (elf->bytes < sizeof(*header))
		return REFUSE(elf, "truncated: %llu bytes, the ELF header alone has %zu", HEX(elf->bytes),
			      sizeof(*header));
	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return REFUSE(elf, "unknown ELF class %u", header->e_ident[EI_CLASS]);
	if (header->e_ident[EI_DATA] == ELFDATA2MSB)
		return REFUSE(elf, "a big-endian program");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB)
		return REFUSE(elf, "unknown ELF data encoding %u", header->e_ident[EI_DATA]);
	if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
		return REFUSE(elf, "unknown ELF version %u", header->e_version);
	if (header->e_machine != EM_X86_64)
		return REFUSE(elf, "for another machine (ELF machine %u; this is %u)", header->e_machine,
			      EM_X86_64);
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return REFUSE(elf, "not an executable (ELF type %u)", header->e_type);
	return 0;
}

static int check_header_table(struct elf *elf)
{
	const Elf64_Ehdr *header = &elf->header;
	uint64_t table_bytes = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);

	if (header->e_phnum == 0)
		return REFUSE(elf, "no program headers");
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return REFUSE(elf, "program headers of %u bytes, not %zu", header->e_phentsize,
			      sizeof(Elf64_Phdr));
	if (header->e_phnum > MAX_HEADERS)
		return REFUSE(elf, "%u program headers, at most %u are accepted", header->e_phnum,
			      MAX_HEADERS);
	if (header->e_phoff > elf->bytes || table_bytes > elf->bytes - header->e_phoff)
		return REFUSE(elf, "truncated: its program headers are past the end of the file");
	return 0;
}

/* Nothing in the sections is needed, but they come last: without them, who knows what else is missing. */
static int check_sections(struct elf *elf)
{
	const Elf64_Ehdr *header = &elf->header;
	uint64_t table_bytes = (uint64_t)header->e_shnum * header->e_shentsize;

	if (header->e_shoff > elf->bytes || table_bytes > elf->bytes - header->e_shoff)
		return REFUSE(elf, "truncated: its section headers are past the end of the file");
	return 0;
}

/* Is the interpreter's name where it can be read? The first one counts, as on Linux. */
static int check_interpreter(struct elf *elf, const Elf64_Phdr *interp)
{
	if (elf->has_interpreter)
		return 0;
	if (interp->p_offset > elf->bytes || interp->p_filesz > elf->bytes - interp->p_offset)
		return REFUSE(elf, "truncated: its interpreter's name is past the end of the file");
	if (interp->p_filesz < INTERPRETER_LEAST || interp->p_filesz > PATH_MAX)
		return REFUSE(elf, "its interpreter's name has %llu bytes", HEX(interp->p_filesz));
	elf->interpreter = *interp;
	elf->has_interpreter = true;
	return 0;
}

/* Is the segment's memory where a program may be? A relocatable one has no place yet, only a size. */
static int check_place(struct elf *elf, const Elf64_Phdr *load, unsigned number)
{
	uint64_t last = load->p_vaddr + (load->p_memsz - 1);

	if (load->p_memsz > LAYOUT_PRIVATE_END - LAYOUT_PRIVATE_START)
		return REFUSE(elf, "segment %u takes %llu bytes of memory, which the low 2 GB do not have",
			      number, HEX(load->p_memsz));
	if (last < load->p_vaddr)
		return REFUSE(elf, "segment %u wraps around the end of memory", number);
	if (elf->header.e_type == ET_DYN) {
		if (last >= LAYOUT_PRIVATE_END)
			return REFUSE(elf, "segment %u ends at 0x%llx, too far for the low 2 GB", number,
				      HEX(last));
		return 0;
	}
	if (load->p_vaddr < LAYOUT_GUARD_END)
		return REFUSE(elf, "segment %u at 0x%llx lies in the guard page", number, HEX(load->p_vaddr));
	if (load->p_vaddr >= LAYOUT_KERNEL_END)
		return REFUSE(elf, "segment %u at 0x%llx is above the low 2 GB", number, HEX(load->p_vaddr));
	if (last >= LAYOUT_PRIVATE_END)
		return REFUSE(elf, "segment %u, 0x%llx to 0x%llx, is in the kernel window", number,
			      HEX(load->p_vaddr), HEX(last));
	return 0;
}

static int check_load(struct elf *elf, const Elf64_Phdr *load, unsigned number)
{
	if (load->p_filesz > load->p_memsz)
		return REFUSE(elf, "segment %u has more bytes in the file than in memory", number);
	if (load->p_offset + load->p_filesz < load->p_offset)
		return REFUSE(elf, "segment %u wraps around the end of the file", number);
	if (load->p_filesz > 0 && load->p_offset + load->p_filesz > elf->bytes)
		return REFUSE(elf, "truncated: segment %u ends at byte %llu of the file, which has %llu",
			      number, HEX(load->p_offset + load->p_filesz), HEX(elf->bytes));
	if (load->p_align & (load->p_align - 1))
		return REFUSE(elf, "segment %u: alignment %llu is no power of two", number,
			      HEX(load->p_align));
	if (load->p_align > MAX_ALIGN)
		return REFUSE(elf, "segment %u: alignment %llu is too large", number, HEX(load->p_align));
	if (load->p_filesz > 0 && ((load->p_vaddr ^ load->p_offset) & PAGE_MASK))
		return REFUSE(elf, "segment %u is misaligned: address 0x%llx, file offset 0x%llx", number,
			      HEX(load->p_vaddr), HEX(load->p_offset));
	return check_place(elf, load, number);
}

/* Compares a segment with the one before it: in order, and no page in both. */
static int check_neighbours(struct elf *elf, const Elf64_Phdr *before, const Elf64_Phdr *load,
			    unsigned number)
{
	uint64_t end = before->p_vaddr + before->p_memsz;

	if (load->p_vaddr < before->p_vaddr && load->p_vaddr + load->p_memsz <= before->p_vaddr)
		return REFUSE(elf, "segment %u is out of order", number);
	if (load->p_vaddr < end)
		return REFUSE(elf, "segment %u overlaps the one before it", number);
	if (page_round_down(load->p_vaddr) < page_round_up(end))
		return REFUSE(elf, "segment %u shares a page with the one before it", number);
	return 0;
}

static int check_entry(struct elf *elf)
{
	for (unsigned i = 0; i < elf->load_count; i++) {
		const Elf64_Phdr *load = &elf->loads[i];

		if ((load->p_flags & PF_X) && elf->header.e_entry >= load->p_vaddr &&
		    elf->header.e_entry - load->p_vaddr < load->p_memsz)
			return 0;
	}
	return REFUSE(elf, "its entry point 0x%llx is outside any executable segment",
		      HEX(elf->header.e_entry));
}

/* Reads the program headers, and checks each as it comes. Numbers in messages count all headers, from 0. */
static int check_headers(struct elf *elf)
{
	for (unsigned i = 0; i < elf->header.e_phnum; i++) {
		Elf64_Phdr header;
		int error = blob_read(elf->file, elf->header.e_phoff + i * sizeof(header), &header,
				      sizeof(header));

		if (error)
			return error;
		if (header.p_type == PT_INTERP)
			error = check_interpreter(elf, &header);
		if (error)
			return error;
		if (header.p_type != PT_LOAD)
			continue;
		if (header.p_memsz == 0 && header.p_filesz == 0)
			continue;
		error = check_load(elf, &header, i);
		if (!error && elf->load_count > 0)
			error = check_neighbours(elf, &elf->loads[elf->load_count - 1], &header, i);
		if (error)
			return error;
		if (elf->load_count == MAX_LOADS)
			return REFUSE(elf, "more than %u segments to load", MAX_LOADS);
		if (header.p_align > elf->align)
			elf->align = header.p_align;
		elf->loads[elf->load_count++] = header;
	}
	if (elf->load_count == 0)
		return REFUSE(elf, "no segment to load");
	return check_entry(elf);
}

/* ---- Making the entity ------------------------------------------------------------------------ */

static int mixed_get_pages(struct pager *pager, const struct page_wanted *wanted, unsigned count,
			   struct page **out)
{
	struct mixed_page *mixed = (struct mixed_page *)pager;
	struct page *page;
	int error;

	(void)count; /* only one page of its blob is ever mapped */
	if (wanted->index != mixed->offset >> PAGE_SHIFT)
		return -EIO;
	page = page_alloc(PAGE_BLOB, 0);
	if (!page)
		return -ENOMEM;
	error = blob_read(mixed->file, mixed->offset, page_data(page), mixed->bytes);
	if (error) {
		page_unref(page);
		return error;
	}
	memset((char *)page_data(page) + mixed->bytes, 0, PAGE_SIZE - mixed->bytes);
	*out = page;
	return 1;
}

static void mixed_destroy(struct pager *pager)
{
	struct mixed_page *mixed = (struct mixed_page *)pager;

	blob_unref(mixed->file);
	slab_free(&mixed_cache, mixed);
}

static const struct pager_ops mixed_pager_ops = {
	.name = "executable",
	.get_pages = mixed_get_pages,
	.destroy = mixed_destroy,
};

static int mixed_blob(struct blob *file, uint64_t offset, uint64_t bytes, struct blob **out)
{
	struct mixed_page *mixed = slab_alloc(&mixed_cache);
	int error;

	if (!mixed)
		return -ENOMEM;
	mixed->pager.ops = &mixed_pager_ops;
	mixed->pager.refs = 1;
	mixed->file = file;
	mixed->offset = offset;
	mixed->bytes = bytes;
	error = blob_create_paged(offset + PAGE_SIZE, &mixed->pager, out);
	if (error)
		slab_free(&mixed_cache, mixed);
	else
		blob_ref(file);
	return error;
}

static vm_prot_t load_rights(const Elf64_Phdr *load)
{
	vm_prot_t prot = 0;

	/* The hardware cannot write or execute what it cannot read. */
	if (load->p_flags & (PF_R | PF_W | PF_X))
		prot |= VM_READ;
	if (load->p_flags & PF_W)
		prot |= VM_WRITE;
	if (load->p_flags & PF_X)
		prot |= VM_EXEC;
	return prot;
}

static const char *load_name(const Elf64_Phdr *load)
{
	if (load->p_flags & PF_X)
		return "text";
	return load->p_flags & PF_W ? "data" : "rodata";
}

static void add_part(struct parts *parts, const struct segment *segment)
{
	parts->segments[parts->count++] = *segment;
}

/* Adds a part whose blob was made for it. */
static void add_made(struct parts *parts, const struct segment *segment)
{
	parts->made[parts->made_count++] = segment->blob;
	add_part(parts, segment);
}

/* One PT_LOAD: whole pages of the file, the page where file and zeroes meet, pages of zeroes. */
static int add_load(struct parts *parts, struct blob *file, struct map_label *label, const Elf64_Phdr *load,
		    vaddr_t start)
{
	uint64_t lead = load->p_vaddr & PAGE_MASK; /* bytes of the first page before the segment */
	pgoff_t pages = bytes_to_pages(lead + load->p_memsz);
	uint64_t file_bytes = load->p_filesz > 0 ? lead + load->p_filesz : 0;
	bool mixed = load->p_memsz > load->p_filesz && !page_aligned(file_bytes);
	struct segment part = {
		.blob = file,
		.blob_offset = load->p_offset >> PAGE_SHIFT,
		.place = (page_round_down(load->p_vaddr) - start) >> PAGE_SHIFT,
		.pages = mixed ? file_bytes >> PAGE_SHIFT : bytes_to_pages(file_bytes),
		.prot = load_rights(load),
		.sharing = SEGMENT_OVERLAY,
		.name = load_name(load),
		.label = label,
	};
	int error;

	if (part.pages > 0)
		add_part(parts, &part);
	pages -= part.pages;
	/* What is made for the program is nobody's else: nothing is to be seen of it later. */
	part.sharing = SEGMENT_PRIVATE;
	if (mixed) {
		error = mixed_blob(file, pages_to_bytes(part.blob_offset + part.pages),
				   file_bytes & PAGE_MASK, &part.blob);
		if (error)
			return error;
		part.blob_offset += part.pages;
		part.place += part.pages;
		part.pages = 1;
		add_made(parts, &part);
		pages--;
	}
	if (pages == 0)
		return 0;
	error = blob_create(pages_to_bytes(pages), 0, &part.blob);
	if (error)
		return error;
	part.blob_offset = 0;
	part.place += part.pages;
	part.pages = pages;
	part.name = "bss";
	part.label = NULL;
	add_made(parts, &part);
	return 0;
}

/*
 * Where the program headers are in memory, as linked: in the segment that contains their place in the
 * file.
 */
static vaddr_t headers_address(const struct elf *elf)
{
	for (unsigned i = 0; i < elf->load_count; i++) {
		const Elf64_Phdr *load = &elf->loads[i];

		if (elf->header.e_phoff >= load->p_offset &&
		    elf->header.e_phoff - load->p_offset < load->p_filesz)
			return load->p_vaddr + (elf->header.e_phoff - load->p_offset);
	}
	return 0;
}

static int make_entity(struct elf *elf, const char *name, struct program_image *image)
{
	const Elf64_Phdr *last = &elf->loads[elf->load_count - 1];
	struct parts parts = {.count = 0};
	pgoff_t pages;
	int error = 0;

	image->align = elf->align > PAGE_SIZE ? elf->align : PAGE_SIZE;
	image->relocates = elf->header.e_type == ET_DYN;
	image->start = elf->loads[0].p_vaddr & ~((image->relocates ? image->align : PAGE_SIZE) - 1);
	image->entry = elf->header.e_entry;
	image->headers = headers_address(elf);
	image->header_count = elf->header.e_phnum;
	image->interpreter_offset = elf->interpreter.p_offset;
	image->interpreter_bytes = elf->interpreter.p_filesz;
	pages = (page_round_up(last->p_vaddr + last->p_memsz) - image->start) >> PAGE_SHIFT;
	for (unsigned i = 0; i < elf->load_count && !error; i++)
		error = add_load(&parts, elf->file, elf->label, &elf->loads[i], image->start);
	if (!error)
		error = entity_create(name, pages, parts.segments, parts.count, &image->entity);
	for (size_t i = 0; i < parts.made_count; i++)
		blob_unref(parts.made[i]);
	return error;
}

int elf_load(struct blob *file, uint64_t bytes, const char *name, struct map_label *label,
	     struct program_image *image, struct reason *reason)
{
	struct elf elf = {.file = file, .bytes = bytes, .label = label, .reason = reason};
	int error;

	reason->text[0] = '\0';
	error = check_identity(&elf);
	if (!error)
		error = check_header_table(&elf);
	if (!error)
		error = check_headers(&elf);
	if (!error)
		error = check_sections(&elf);
	if (!error)
		error = make_entity(&elf, name, image);
	return error;
}
