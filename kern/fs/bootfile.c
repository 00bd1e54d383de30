/*
 * Boot files: finds files in the boot modules and makes blobs of them.
 *
 * Archives are walked anew for each look-up, so that no table of files needs memory: the walk is
 * bounded by what bootfile_init() found to be well formed. What a program's file means is
 * kern/proc/elf.c's business.
 */
#include <kern/boot.h>
#include <kern/bootfile.h>
#include <linux/errno.h>
#include <linux/stat.h>
#include <vm/env.h>
#include <vm/page.h>
#include <vm/slab.h>
#include <vm/vm.h>

/*
 * cpio(5), "New ASCII Format": all numbers are eight hexadecimal digits; name and data are padded to
 * four bytes.
 */
struct cpio_header {
	char magic[6];
	char inode[8], mode[8], uid[8], gid[8], links[8], mtime[8], file_bytes[8];
	char device_major[8], device_minor[8], special_major[8], special_minor[8];
	char name_bytes[8]; /* its NUL included */
	char check[8];
};
_Static_assert(sizeof(struct cpio_header) == 110, "the header as cpio(5) has it");

#define CPIO_MAGIC       "070701"
#define CPIO_MAGIC_BYTES 6
#define CPIO_TRAILER     "TRAILER!!!"
#define CPIO_DIGITS      8
#define CPIO_ALIGN       4

/* One member of an archive, as offsets in its module. */
struct member {
	const char *name;
	uint32_t inode, mode, uid, gid, links, mtime, major, minor;
	uint64_t data, bytes;
	uint64_t next; /* where the next header is */
};

enum walk { WALK_MEMBER, WALK_END, WALK_DAMAGED };

/* What bootfile_init() found out about a module; set once. */
struct module_view {
	bool archive;
	uint64_t bytes; /* of an archive: the part that is well formed; 0: not to be used */
	char name[sizeof(((struct boot_module *)0)->name)];
};

static struct module_view views[BOOT_MAX_MODULES];

/* Locks: (-) set once; (a) atomic. */
struct lent {
	struct pager pager;     /* (-) */
	paddr_t start;          /* (-) */
	_Atomic uint64_t bytes; /* (a) what is lent of the file: only ever less */
};

static struct slab_cache pager_cache;

static const char *module_data(size_t module)
{
	return env_phys_to_virt(bootinfo.modules[module].start);
}

static bool parse_hex(const char *digits, uint32_t *out)
{
	uint32_t value = 0;

	for (int i = 0; i < CPIO_DIGITS; i++) {
		char c = digits[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value << 4 | (uint32_t)(c - 'A' + 10);
		else
			return false;
	}
	*out = value;
	return true;
}

static uint64_t cpio_align(uint64_t offset)
{
	return (offset + CPIO_ALIGN - 1) & ~(uint64_t)(CPIO_ALIGN - 1);
}

/* Attributes. False: a field is no number. */
static bool parse_header(const struct cpio_header *header, struct member *out)
{
	return parse_hex(header->inode, &out->inode) && parse_hex(header->mode, &out->mode) &&
	       parse_hex(header->uid, &out->uid) && parse_hex(header->gid, &out->gid) &&
	       parse_hex(header->links, &out->links) && parse_hex(header->mtime, &out->mtime) &&
	       parse_hex(header->special_major, &out->major) && parse_hex(header->special_minor, &out->minor);
}

/*
 * Reads the member whose header is at `offset` of an archive of `bytes`; `damage` says what is wrong
 * with it.
 */
static enum walk read_member(const char *archive, uint64_t bytes, uint64_t offset, struct member *out,
			     const char **damage)
{
	const struct cpio_header *header = (const struct cpio_header *)(archive + offset);
	uint32_t name_bytes, file_bytes;

	*damage = "it ends without a trailer";
	if (offset > bytes || bytes - offset < sizeof(*header))
		return WALK_DAMAGED;
	*damage = "no header where one is expected";
	if (memcmp(header->magic, CPIO_MAGIC, CPIO_MAGIC_BYTES) != 0)
		return WALK_DAMAGED;
	*damage = "a header field is not a hexadecimal number";
	if (!parse_header(header, out) || !parse_hex(header->name_bytes, &name_bytes) ||
	    !parse_hex(header->file_bytes, &file_bytes))
		return WALK_DAMAGED;
	*damage = "a name runs past the end";
	offset += sizeof(*header);
	if (name_bytes > bytes - offset)
		return WALK_DAMAGED;
	out->name = archive + offset;
	*damage = "a name does not end with NUL";
	if (name_bytes == 0 || out->name[name_bytes - 1] != '\0')
		return WALK_DAMAGED;
	if (strcmp(out->name, CPIO_TRAILER) == 0)
		return WALK_END;
	*damage = "a file runs past the end";
	out->data = cpio_align(offset + name_bytes);
	out->bytes = file_bytes;
	if (out->data > bytes || file_bytes > bytes - out->data)
		return WALK_DAMAGED;
	out->next = cpio_align(out->data + file_bytes);
	return WALK_MEMBER;
}

static void check_archive(size_t module, uint64_t bytes)
{
	const char *damage;
	struct member member;
	uint64_t offset = 0;
	enum walk found;

	while ((found = read_member(module_data(module), bytes, offset, &member, &damage)) == WALK_MEMBER)
		offset = member.next;
	if (found == WALK_DAMAGED)
		env_log("phoenix: boot module %zu: damaged archive at byte %llu: %s; the rest is ignored",
			module + 1, (unsigned long long)offset, damage);
	views[module].archive = true;
	views[module].bytes = offset;
}

/* A single file is called what the first word of its module's string says, or "moduleN". */
static void name_module(size_t module)
{
	const char *string = bootinfo.modules[module].name;
	char *name = views[module].name;
	size_t length = 0;

	while (length < sizeof(views[module].name) - 1 && string[length] != '\0' && string[length] != ' ')
		length++;
	memcpy(name, string, length);
	name[length] = '\0';
	if (length == 0)
		env_format(name, sizeof(views[module].name), "module%zu", module + 1);
}

void bootfile_init(void)
{
	slab_cache_init(&pager_cache, "boot file", sizeof(struct lent));
	for (size_t i = 0; i < bootinfo.module_count; i++) {
		const struct boot_module *module = &bootinfo.modules[i];
		uint64_t bytes = module->end > module->start ? module->end - module->start : 0;

		if (module->end > LAYOUT_PHYSICAL_BYTES) {
			env_log("phoenix: boot module %zu is beyond the memory this kernel uses", i + 1);
			continue;
		}
		if (bytes >= CPIO_MAGIC_BYTES && memcmp(module_data(i), CPIO_MAGIC, CPIO_MAGIC_BYTES) == 0) {
			check_archive(i, bytes);
			continue;
		}
		name_module(i);
		views[i].bytes = bytes;
	}
}

static const char *skip_root(const char *path)
{
	for (;;) {
		if (path[0] == '/')
			path++;
		else if (path[0] == '.' && path[1] == '/')
			path += 2;
		else
			return path;
	}
}

static bool find_in_archive(size_t module, const char *path, struct bootfile *out)
{
	const char *archive = module_data(module);
	const char *damage;
	struct member member;
	uint64_t offset = 0;
	bool found = false;

	while (offset < views[module].bytes) {
		if (read_member(archive, bootinfo.modules[module].end - bootinfo.modules[module].start,
				offset, &member, &damage) != WALK_MEMBER)
			break;
		offset = member.next;
		if (!S_ISREG(member.mode) || strcmp(skip_root(member.name), path) != 0)
			continue;
		out->path = skip_root(member.name);
		out->start = bootinfo.modules[module].start + member.data;
		out->bytes = member.bytes;
		found = true;
	}
	return found;
}

int bootfile_find(const char *path, struct bootfile *out)
{
	bool found = false;

	path = skip_root(path);
	for (size_t i = 0; i < bootinfo.module_count; i++) {
		if (views[i].archive) {
			found |= find_in_archive(i, path, out);
			continue;
		}
		if (views[i].name[0] == '\0' || strcmp(skip_root(views[i].name), path) != 0)
			continue;
		out->path = skip_root(views[i].name);
		out->start = bootinfo.modules[i].start;
		out->bytes = views[i].bytes;
		found = true;
	}
	return found ? 0 : -ENOENT;
}

const char *bootfile_data(const struct bootfile *file)
{
	return env_phys_to_virt(file->start);
}

/* Lends the frame that holds the page, or, where other data share the frame, copies the file's part of it. */
static int get_page(const struct lent *file, pgoff_t index, struct page **out)
{
	uint64_t offset = pages_to_bytes(index), lent = file->bytes;
	uint64_t bytes = offset < lent ? lent - offset : 0;
	struct page *page;

	if (page_aligned(file->start) && bytes >= PAGE_SIZE) {
		page = page_from_paddr(file->start + offset);
		page_ref(page);
		*out = page;
		return 0;
	}
	page = page_alloc(PAGE_BLOB, 0);
	if (!page)
		return -ENOMEM;
	if (bytes > PAGE_SIZE)
		bytes = PAGE_SIZE;
	if (bytes > 0) /* else it was cut meanwhile */
		memcpy(page_data(page), env_phys_to_virt(file->start + offset), bytes);
	memset((char *)page_data(page) + bytes, 0, PAGE_SIZE - bytes);
	*out = page;
	return 0;
}

/* All that is asked for: it is in memory already. */
static int get_pages(struct pager *pager, const struct page_wanted *wanted, unsigned count, struct page **out)
{
	for (unsigned i = 0; i < count; i++) {
		int error = get_page((struct lent *)pager, wanted[i].index, &out[i]);

		if (error)
			return i > 0 ? (int)i : error;
	}
	return (int)count;
}

static bool has_page(struct pager *pager, pgoff_t index)
{
	return pages_to_bytes(index) < ((struct lent *)pager)->bytes;
}

static void destroy(struct pager *pager)
{
	slab_free(&pager_cache, pager);
}

static const struct pager_ops lending_pager_ops = {
	.name = "boot module",
	.get_pages = get_pages,
	.has_page = has_page,
	.destroy = destroy,
	.at_hand = true,
};

/* Of files that do not begin with a frame: pages are copies, and made only where they are asked for. */
static const struct pager_ops copying_pager_ops = {
	.name = "boot module",
	.get_pages = get_pages,
	.has_page = has_page,
	.destroy = destroy,
};

void bootfile_cut(struct lent *lent, uint64_t bytes)
{
	if (bytes < lent->bytes)
		lent->bytes = bytes;
}

uint64_t bootfile_lent_bytes(const struct lent *lent)
{
	return lent->bytes;
}

int bootfile_blob(const struct bootfile *file, uint64_t size_bytes, struct blob **out, struct lent **lent)
{
	struct lent *pager;
	int error;

	if (file->bytes == 0 || size_bytes < file->bytes)
		return -EINVAL;
	pager = slab_alloc(&pager_cache);
	if (!pager)
		return -ENOMEM;
	pager->pager.ops = page_aligned(file->start) ? &lending_pager_ops : &copying_pager_ops;
	pager->pager.refs = 1;
	pager->start = file->start;
	pager->bytes = file->bytes;
	error = blob_create_paged(size_bytes, &pager->pager, out);
	if (error)
		slab_free(&pager_cache, pager);
	else if (lent)
		*lent = pager;
	return error;
}

/* ---- All of it --------------------------------------------------------------------------------- */

#define ALONE_MODE (S_IFREG | 0755) /* of a module that is one file */

static int visit_archive(size_t module, int (*visit)(const struct bootfile_member *member, void *context),
			 void *context)
{
	uint64_t offset = 0, start = bootinfo.modules[module].start;
	uint64_t bytes = bootinfo.modules[module].end - start;
	struct member member;
	const char *damage;
	int status = 0;

	while (status == 0 && offset < views[module].bytes &&
	       read_member(module_data(module), bytes, offset, &member, &damage) == WALK_MEMBER) {
		const struct bootfile_member said = {
			.file = {.path = skip_root(member.name),
				 .start = start + member.data,
				 .bytes = member.bytes},
			.mode = member.mode,
			.uid = member.uid,
			.gid = member.gid,
			.mtime = member.mtime,
			.links = member.links,
			.inode = (uint64_t)(module + 1) << 32 | member.inode,
			.rdev_major = member.major,
			.rdev_minor = member.minor,
		};

		status = visit(&said, context);
		offset = member.next;
	}
	return status;
}

int bootfile_walk(int (*visit)(const struct bootfile_member *member, void *context), void *context)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < bootinfo.module_count; i++) {
		const struct bootfile_member alone = {
			.file = {.path = skip_root(views[i].name),
				 .start = bootinfo.modules[i].start,
				 .bytes = views[i].bytes},
			.mode = ALONE_MODE,
			.links = 1,
		};

		if (views[i].archive)
			status = visit_archive(i, visit, context);
		else if (views[i].name[0] != '\0')
			status = visit(&alone, context);
	}
	return status;
}
