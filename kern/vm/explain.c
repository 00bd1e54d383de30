/*
 * vm_explain: says in one line what an access meets on its way, and what it would do.
 *
 * It follows the same steps as vm_fault() in fault.c, but changes nothing and asks no pager: from
 * the root through submaps and entities to the entry, to the page's state in its blob, to the
 * translation, to the verdict. For the lines of programs that are ended, for statistics, for the
 * monitor, for GDB, and for tests. A page that is said to be resident and nothing else is the blob's
 * alone, and dirty.
 */
#include <asm/errno.h>

#include "vm_internal.h"

#define RIGHTS_BYTES 4

/* A line in the making. */
struct line {
	char *text;
	size_t bytes, used;
};

/* Appends to the line; what does not fit is cut off. */
#define SAY(line, ...)       \
	line_advance((line), \
		     env_format((line)->text + (line)->used, (line)->bytes - (line)->used, __VA_ARGS__))

/*
 * `length` is what env_format() says, which may be more than there was room for; a terminating 0 is
 * always left.
 */
static void line_advance(struct line *line, int length)
{
	size_t room = line->bytes - line->used;

	ASSERT(line->used < line->bytes);
	line->used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

/* "r-x": of a mapping or a translation. Returns `out`. */
static const char *rights(vm_prot_t prot, char out[RIGHTS_BYTES])
{
	out[0] = prot & VM_READ ? 'r' : '-';
	out[1] = prot & VM_WRITE ? 'w' : '-';
	out[2] = prot & VM_EXEC ? 'x' : '-';
	out[3] = '\0';
	return out;
}

/* Where the page of a blob is, before the access. */
enum whereabouts {
	PAGE_IS_FIXED,
	PAGE_IS_RESIDENT,
	PAGE_IS_AT_PAGER,
	PAGE_IS_NOWHERE,
	PAGE_IS_BEYOND_EXTENT
};

/* What is known of the access, step by step. */
struct access {
	struct map *map; /* the innermost */
	vaddr_t address;
	vm_prot_t wanted;
	struct map_entry *entry; /* NULL: nothing is mapped */
	enum whereabouts page;   /* of an entry that shows a blob */
	bool alone;              /* PAGE_IS_RESIDENT: nobody else sees it */
	struct pmap_query translation;
};

/* Root, submaps, entity, entry. Map locked. */
static void say_way(struct line *line, struct access *access)
{
	char text[RIGHTS_BYTES];

	MAP_ASSERT_LOCKED(access->map);
	SAY(line, "%s", access->map->name);
	for (;;) {
		struct map_entry *entry = map_first_above(access->map, access->address);

		if (!entry || access->address < entry->start) {
			SAY(line, " > nothing is mapped");
			return;
		}
		SAY(line, " > %s", entry->name);
		if (!entry->submap || entry->submap->top != access->map->top) {
			access->entry = entry;
			if (entry->kind == ENTRY_BLOB)
				SAY(line, " %s", rights(entry->prot, text));
			else
				SAY(line, ", reserved");
			return;
		}
		access->map = entry->submap;
	}
}

/* Who has, from the beginning, what the blob shows: an overlay has nothing of its own. */
static struct pager *pager_of(const struct blob *blob)
{
	return blob->below ? blob->below->pager : blob->pager;
}

/*
 * A page in memory: whose it is, whether the store has it too, and whether it may be given up.
 * Family locked.
 */
static void say_resident(struct line *line, struct access *access, struct page *page, bool shared)
{
	struct pager *pager = pager_of(access->entry->blob);

	FAMILY_ASSERT_LOCKED(access->entry->blob->family);
	DEBUG_ASSERT(page->refs > 0);
	access->page = PAGE_IS_RESIDENT;
	access->alone = !shared && page->refs == 1;
	SAY(line, "resident");
	if (page->state != PAGE_BLOB && pager)
		SAY(line, ", lent by %s", pager->ops->name);
	else if (!access->alone)
		SAY(line, ", shared");
	if (page->state == PAGE_BLOB && page_location(page))
		SAY(line, ", clean");
	if (page->wired)
		SAY(line, ", wired");
}

/* A page that is not in memory: who has its contents. Family locked. */
static void say_absent(struct line *line, struct access *access, pgoff_t index, slot_t slot)
{
	struct blob *blob = access->entry->blob;
	struct pager *pager = pager_of(blob);

	FAMILY_ASSERT_LOCKED(blob->family);
	DEBUG_ASSERT(!slot_is_page(slot) && (!slot_is_paged_out(slot) || blob->family->store));
	access->page = PAGE_IS_AT_PAGER;
	if (slot_is_paged_out(slot)) {
		SAY(line, "paged out, %s", blob->family->store->ops->name);
	} else if (!pager) {
		access->page = PAGE_IS_NOWHERE;
		SAY(line, "absent, zero");
	} else {
		/* The pager is asked in any case, and what it does not have is zero. */
		bool has = !pager->ops->has_page || pager->ops->has_page(pager, index);

		SAY(line, "absent, %s%s", pager->ops->name, has ? "" : " has nothing");
	}
}

/* The state of the blob's page. Map locked. */
static void say_page(struct line *line, struct access *access)
{
	struct map_entry *entry = access->entry;
	struct blob *blob = entry->blob;
	pgoff_t offset = entry->offset + ((access->address - entry->start) >> PAGE_SHIFT);
	slot_t *place, slot;
	bool shared;

	MAP_ASSERT_LOCKED(access->map);
	DEBUG_ASSERT(entry->kind == ENTRY_BLOB && offset < blob->pages);
	SAY(line, " > page %llu ", (unsigned long long)offset);
	if (blob->fixed) {
		access->page = PAGE_IS_FIXED;
		SAY(line, blob->contiguous ? "of contiguous RAM" : "of a device");
		return;
	}
	spin_lock(&blob->family->lock);
	if (offset >= blob_extent_end(blob)) {
		access->page = PAGE_IS_BEYOND_EXTENT;
		SAY(line, "of %llu", (unsigned long long)blob_extent_end(blob));
		family_unlock(blob->family);
		return;
	}
	place = tree_find(&blob->tree, blob->base + offset, &shared);
	slot = blob_shown(blob, blob->base + offset);
	if (blob->below && (!place || *place == SLOT_EMPTY)) {
		SAY(line, "of the blob below, ");
		shared = true;
	}
	if (slot_is_page(slot))
		say_resident(line, access, slot_page(slot), shared);
	else
		say_absent(line, access, blob->base + offset, slot);
	family_unlock(blob->family);
}

/* What the machine has for the address: another CPU's fault may enter one the moment after. */
static void say_translation(struct line *line, struct access *access)
{
	struct pmap_query *found = &access->translation;
	char text[RIGHTS_BYTES];

	MAP_ASSERT_LOCKED(access->map);
	*found = pmap_query(access->map->pmap, page_round_down(access->address));
	if (found->page)
		SAY(line, " > frame 0x%llx %s", (unsigned long long)page_paddr(found->page),
		    rights(found->prot, text));
	else
		SAY(line, " > no translation");
}

/* The case of fault.c that a fault would be; the entry allows it. */
static enum fault_case outcome(const struct access *access)
{
	bool write = access->wanted & VM_WRITE;

	switch (access->page) {
	case PAGE_IS_NOWHERE:
		return write || !entry_shows_zeroes(access->entry) ? FAULT_ZERO_FILL : FAULT_ZERO_PAGE;
	case PAGE_IS_AT_PAGER:
		return FAULT_PAGE_IN;
	case PAGE_IS_RESIDENT:
		if (write)
			return access->alone ? FAULT_UPGRADE : FAULT_COPY;
		return FAULT_RESIDENT;
	case PAGE_IS_BEYOND_EXTENT:
		return FAULT_BEYOND_EXTENT;
	case PAGE_IS_FIXED:
		break;
	}
	return FAULT_RESIDENT;
}

/*
 * What the access would do. A translation that allows it serves it without a fault, if the entry
 * allows it too.
 */
static int say_verdict(struct line *line, const struct access *access)
{
	const struct map_entry *entry = access->entry;

	SAY(line, " > %s ",
	    access->wanted & VM_WRITE  ? "write"
	    : access->wanted & VM_EXEC ? "execute"
				       : "read");
	if (!entry || entry->kind != ENTRY_BLOB) {
		SAY(line, "refused");
		return -EFAULT;
	}
	if (access->wanted & ~entry->prot) {
		SAY(line, "refused: not allowed here");
		return -EACCES;
	}
	if (access->page == PAGE_IS_BEYOND_EXTENT) {
		SAY(line, "refused: %s", fault_case_name(outcome(access)));
		return -ENXIO;
	}
	if (access->translation.page && !(access->wanted & ~access->translation.prot))
		SAY(line, "succeeds");
	else
		SAY(line, "faults: %s", fault_case_name(outcome(access)));
	return 0;
}

/*
 * The map is locked from the first step to the last, the family only while the page is looked at: the
 * line may mix two moments of a page that others fault on, and of nothing else.
 */
int vm_explain(struct map *root, vaddr_t address, vm_prot_t wanted, char *text, size_t bytes)
{
	struct access access = {.map = root, .address = address, .wanted = wanted};
	struct line line = {.text = text, .bytes = bytes};
	int status;

	ASSERT(bytes > 0);
	map_read_lock(root);
	say_way(&line, &access);
	if (access.entry && access.entry->kind == ENTRY_BLOB) {
		say_page(&line, &access);
		say_translation(&line, &access);
	}
	status = say_verdict(&line, &access);
	map_read_unlock(root);
	return status;
}
