/*
 * vm_explain: says in one line what an access meets on its way, and what it would do.
 *
 * It follows the same steps as vm_fault() in fault.c, but changes nothing: from the root through submaps and
 * entities to the entry, to the page's state in its blob, to the translation, to the verdict. For the
 * lines of programs that are ended, for statistics, for a console, and for tests.
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

static void line_advance(struct line *line, int length)
{
	size_t room = line->bytes - line->used;

	line->used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

static const char *rights(vm_prot_t prot, char out[RIGHTS_BYTES])
{
	out[0] = prot & VM_READ ? 'r' : '-';
	out[1] = prot & VM_WRITE ? 'w' : '-';
	out[2] = prot & VM_EXEC ? 'x' : '-';
	out[3] = '\0';
	return out;
}

/* What is known of the access, step by step. */
struct access {
	struct map *map; /* the innermost */
	vaddr_t address;
	vm_prot_t wanted;
	struct map_entry *entry; /* NULL: nothing is mapped */
	bool present;            /* the blob's page is in memory */
	bool alone;              /* nobody else sees it */
	struct pmap_query translation;
};

/* Root, submaps, entity, entry. Map locked. */
static void say_way(struct line *line, struct access *access)
{
	char text[RIGHTS_BYTES];

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

/* The state of the blob's page. Map locked. */
static void say_page(struct line *line, struct access *access)
{
	struct map_entry *entry = access->entry;
	struct blob *blob = entry->blob;
	pgoff_t offset = entry->offset + ((access->address - entry->start) >> PAGE_SHIFT);
	slot_t *place;
	bool shared;

	SAY(line, " > page %llu ", (unsigned long long)offset);
	spin_lock(&blob->family->lock);
	place = tree_find(&blob->tree, blob->base + offset, &shared);
	access->present = blob->device || (place && *place != SLOT_EMPTY);
	access->alone = blob->device || (access->present && !shared && slot_page(*place)->refs == 1);
	spin_unlock(&blob->family->lock);
	if (blob->device)
		SAY(line, "of a device");
	else if (access->present)
		SAY(line, access->alone ? "resident" : "resident, shared");
	else
		SAY(line, "absent, %s", blob->pager ? blob->pager->ops->name : "zero");
}

static void say_translation(struct line *line, struct access *access)
{
	struct pmap_query *found = &access->translation;
	char text[RIGHTS_BYTES];

	*found = pmap_query(access->map->pmap, page_round_down(access->address));
	if (found->page)
		SAY(line, " > frame 0x%llx %s", (unsigned long long)page_paddr(found->page),
		    rights(found->prot, text));
	else
		SAY(line, " > no translation");
}

/* What the access would do: the case of fault.c that it is. */
static int say_verdict(struct line *line, const struct access *access)
{
	const struct map_entry *entry = access->entry;
	enum fault_case outcome;

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
	if (access->translation.page && !(access->wanted & ~access->translation.prot)) {
		SAY(line, "succeeds");
		return 0;
	}
	if (!access->present)
		outcome = entry->blob->pager ? FAULT_PAGE_IN : FAULT_ZERO_FILL;
	else if (access->wanted & VM_WRITE)
		outcome = access->alone ? FAULT_UPGRADE : FAULT_COPY;
	else
		outcome = FAULT_RESIDENT;
	SAY(line, "faults: %s", fault_case_name(outcome));
	return 0;
}

int vm_explain(struct map *root, vaddr_t address, vm_prot_t wanted, char *text, size_t bytes)
{
	struct access access = {.map = root, .address = address, .wanted = wanted};
	struct line line = {.text = text, .bytes = bytes};
	int status;

	ASSERT(bytes > 0);
	rw_read_lock(root->lock);
	say_way(&line, &access);
	if (access.entry && access.entry->kind == ENTRY_BLOB) {
		say_page(&line, &access);
		say_translation(&line, &access);
	}
	status = say_verdict(&line, &access);
	rw_read_unlock(root->lock);
	return status;
}
