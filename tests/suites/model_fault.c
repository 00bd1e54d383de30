/*
 * Accesses by CPUs: loads, stores and fetches of a program, faults, what vm_explain says of them.
 *
 * Where there are several CPUs each has caches of its own, and runs in whatever root it was last used in. An access that needs
 * no fault must be one that none would refuse or change anything for: else somebody has forgotten an invalidation.
 */
#include "model_internal.h"

#include <asm/errno.h>

#define WORDS        (PAGE_SIZE / sizeof(uint64_t))
#define MAX_ATTEMPTS 3

/* An access of the program that runs in a root. */
struct program_access {
	struct model_root *root;
	struct model_cell *cell;
	vaddr_t va;
	unsigned word; /* in the page */
	vm_prot_t wanted;
	int error;          /* predicted */
	bool brings_others; /* may, if it faults */
	bool faulted;
	enum fault_case outcome; /* if it did, and was served */
};

static int predict_access(const struct model_cell *cell, vm_prot_t wanted)
{
	if (cell->kind != CELL_BLOB)
		return -EFAULT;
	return wanted & ~cell->prot ? -EACCES : 0;
}

/* What a disk has lost is an error for whoever wants it. */
static bool is_lost(const struct model_cell *cell)
{
	const struct model_page *page = &m.page[m.blob[cell->blob].page[cell->offset]];

	return page->state == MPAGE_OUT && page->lost;
}

static struct program_access pick_access(vm_prot_t wanted)
{
	struct program_access access = {.root = pick_root(m.op->who[0]), .wanted = wanted};
	unsigned c;

	if (!access.root)
		return access;
	c = pick_mapped(access.root).first;
	access.cell = &access.root->cell[c];
	access.word = m.op->at[1] % WORDS;
	access.va = cell_address(access.root, c) + access.word * sizeof(uint64_t);
	access.error = predict_access(access.cell, wanted);
	if (!access.error && is_lost(access.cell))
		access.error = -EIO;
	model_touch_root(access.root);
	return access;
}

static void check_refusal(const struct program_access *access, const struct fault_result *result)
{
	if (access->error == -EACCES) {
		AGREE_EQ(result->outcome, FAULT_PROTECTION);
		AGREE_EQ(result->allowed, access->cell->prot);
	} else if (access->error == -EFAULT) {
		AGREE_EQ(result->outcome,
			 access->cell->kind == CELL_RESERVED ? FAULT_RESERVED : FAULT_NO_ENTRY);
	}
	AGREE(result->region[0] != '\0');
}

/* One attempt, without a fault. */
static bool attempt(const struct program_access *access, uint64_t *word)
{
	if (stream_access)
		return stream_access(access->va, access->wanted, word);
	/* Nothing else can tell what may be executed, or look at single words. */
	if (!probe_access || (access->wanted & VM_EXEC))
		return false;
	return probe_access(access->va, access->wanted | VM_USER, word);
}

/* Access until it works, or a fault is refused: 0 or the error. */
static int carry_out(struct program_access *access, uint64_t *word)
{
	for (unsigned i = 0; i < MAX_ATTEMPTS; i++) {
		struct fault_result result;
		int error;

		if (attempt(access, word))
			return 0;
		error = vm_fault(access->root->map, access->va, access->wanted, &result);
		if (error) {
			if (error == access->error)
				check_refusal(access, &result);
			return error;
		}
		access->faulted = true;
		access->outcome = result.outcome;
		/* An attempt that cannot be made for want of hardware. */
		if ((access->wanted & VM_EXEC) && !stream_access)
			return 0;
	}
	WRONG("# stream: a fault that was served leads to the same fault");
	return -EFAULT;
}

/* Reading a page that is there needs no right of its own on this machine. */
static bool is_doubtful(const struct program_access *access)
{
	return access->error == -EACCES && access->wanted == VM_READ && access->cell->prot != 0;
}

/*
 * Is more brought in at a fault than the page? What it is, is free to the VM: the model looks. A page that comes from a
 * pager may bring those that follow, where access is seen to be in order.
 */
static bool brings_others(const struct model_cell *cell)
{
	const struct model_page *page;

	if (cell->kind != CELL_BLOB || cell->advice == ADVISE_RANDOM)
		return false;
	page = &m.page[m.blob[cell->blob].page[cell->offset]];
	return cell->advice != ADVISE_NORMAL || (page->state != MPAGE_MEMORY && page->state != MPAGE_LENT);
}

/* Before a fault. */
static void note_others(struct program_access *access)
{
	access->brings_others = brings_others(access->cell);
	if (access->brings_others)
		model_note_slots();
}

/* Private zeroes that are only read are shown, and stay absent. */
static bool shows_zeroes(const struct model_cell *cell, bool write)
{
	return !write && cell->inherit != INHERIT_SHARE && blob_is_zero(&m.blob[cell->blob], cell->offset) &&
	       !kind_has_pager(m.blob[cell->blob].kind);
}

/* What the access did to pages. */
static void model_access(const struct program_access *access)
{
	struct model_blob *blob = &m.blob[access->cell->blob];
	unsigned i = access->cell->offset;
	const struct model_page *page = &m.page[blob->page[i]];
	bool write = access->wanted & VM_WRITE;
	enum fault_case obtained;

	if (kind_is_fixed(blob->kind)) {
		AGREE(!access->faulted || access->outcome == FAULT_RESIDENT);
		return;
	}
	if (shows_zeroes(access->cell, write)) {
		AGREE(!access->faulted || access->outcome == FAULT_ZERO_PAGE);
		model_touch(blob, i, i + 1);
		return;
	}
	if (!access->faulted) {
		AGREE(page->state == MPAGE_MEMORY || page->state == MPAGE_LENT);
		AGREE(!write || (page->state == MPAGE_MEMORY && page->holds == 1 && !page->located));
		return;
	}
	obtained = model_obtain(blob, i, write);
	/* A cluster that failed half way has stored the page, which is then entered by the page fault that is served after all. */
	if (m.fired && write && access->cell->advice == ADVISE_CLUSTER && obtained == FAULT_ZERO_FILL)
		AGREE(access->outcome == FAULT_UPGRADE || access->outcome == FAULT_ZERO_FILL);
	else if (!m.fired || !m.swaps)
		AGREE_EQ(access->outcome, obtained);
	/* Else it may have made room, and begun anew. */
	if (access->brings_others)
		model_adopt(blob);
}

/* As it is predicted; or a disk that lies a second time gives what it had put elsewhere the first time. */
static bool check_result(const struct program_access *access, int error)
{
	return model_result_or(error, access->error,
			       access->error == -EIO && m.op->fail != 0 ? 0 : access->error);
}

static bool run(struct program_access *access, uint64_t *word)
{
	int error;

	SAY("# access %x: r%u, 0x%llx by CPU %u", access->wanted, root_number(access->root),
	    (unsigned long long)access->va, m.cpu);
	note_others(access);
	model_enter(access->root);
	model_call();
	error = carry_out(access, word);
	if (is_doubtful(access)) {
		uint64_t digest = m.digest;

		model_result_or(error, access->error, 0);
		m.digest = digest;
		return false;
	}
	if (!check_result(access, error))
		return false;
	model_access(access);
	return true;
}

/* A device's pages are mapped, and never touched. */
static bool is_touchable(const struct program_access *access)
{
	return access->cell->kind != CELL_BLOB || m.blob[access->cell->blob].kind != KIND_DEVICE;
}

void do_load(void)
{
	struct program_access access = pick_access(VM_READ);
	uint64_t word = 0;

	if (!access.root || !is_touchable(&access) || !run(&access, &word))
		return;
	AGREE_EQ(word, ((const uint64_t *)blob_bytes(&m.blob[access.cell->blob],
						     access.cell->offset))[access.word]);
	model_digest(word);
}

static void store(struct program_access *access)
{
	uint64_t word = m.steps << 16 | m.op->how;
	struct model_blob *blob;

	if (!is_touchable(access) || !run(access, &word))
		return;
	blob = &m.blob[access->cell->blob];
	((uint64_t *)page_bytes(blob->page[access->cell->offset]))[access->word] = word;
	model_touch(blob, access->cell->offset, access->cell->offset + 1);
}

void do_store(void)
{
	struct program_access access = pick_access(VM_WRITE);

	if (access.root)
		store(&access);
}

bool model_store_to(const struct model_blob *blob, unsigned i)
{
	for (unsigned r = 0; r < MODEL_ROOTS; r++) {
		struct program_access access = {
			.root = &m.root[r], .wanted = VM_WRITE, .word = m.op->at[1] % WORDS};

		for (unsigned c = 0; access.root->map && c < MODEL_CELLS; c++) {
			access.cell = &access.root->cell[c];
			if (access.cell->kind != CELL_BLOB || &m.blob[access.cell->blob] != blob ||
			    access.cell->offset != i || !(access.cell->prot & VM_WRITE))
				continue;
			access.va = cell_address(access.root, c) + access.word * sizeof(uint64_t);
			store(&access);
			return true;
		}
	}
	return false;
}

void do_fetch(void)
{
	struct program_access access = pick_access(VM_EXEC);
	uint64_t word = 0;

	if (!access.root || !is_touchable(&access))
		return;
	run(&access, &word);
}

/* ---- Faults that nobody asked for ----------------------------------------------------------------------------- */

struct place {
	vaddr_t address;
	enum fault_case outcome;
};

void do_fault(void)
{
	static const struct place places[] = {
		{8, FAULT_RESERVED},
		{LAYOUT_KERNEL_START, FAULT_RESERVED},
		{LAYOUT_GATE_END - 1, FAULT_RESERVED},
		{LAYOUT_DYNAMIC_START, FAULT_RESERVED},
		{LAYOUT_PHYSICAL_START, FAULT_RESERVED},
		{LAYOUT_PHYSICAL_END, FAULT_NO_ENTRY},
		{UINT64_MAX, FAULT_NO_ENTRY},
	};
	static const vm_prot_t kinds[] = {VM_READ, VM_WRITE, VM_EXEC, RW};
	struct program_access access = pick_access(kinds[m.op->how % sizeof(kinds)]);
	const struct place *place = &places[m.op->at[1] % (sizeof(places) / sizeof(places[0]))];
	struct fault_result result;

	if (!access.root)
		return;
	SAY("# vm_fault %x: r%u, 0x%llx", access.wanted, root_number(access.root),
	    (unsigned long long)access.va);
	if (model_odd(1)) {
		AGREE_EQ(vm_fault(access.root->map, place->address, access.wanted, &result), -EFAULT);
		AGREE_EQ(result.outcome, place->outcome);
		return;
	}
	note_others(&access);
	model_call();
	if (!check_result(&access, vm_fault(access.root->map, access.va, access.wanted, &result))) {
		if (!m.fired)
			check_refusal(&access, &result);
		return;
	}
	access.faulted = true;
	access.outcome = result.outcome;
	model_access(&access);
}

void do_explain(void)
{
	static const vm_prot_t kinds[] = {VM_READ, VM_WRITE, VM_EXEC};
	struct program_access access = pick_access(kinds[m.op->how % sizeof(kinds)]);
	size_t bytes = m.op->size % 4 ? 256 : 1 + (m.op->size >> 2) % 64;
	char text[256];

	if (!access.root)
		return;
	memset(text, 'x', sizeof(text));
	SAY("# vm_explain %x: r%u, 0x%llx", access.wanted, root_number(access.root),
	    (unsigned long long)access.va);
	model_call();
	/* Nothing is brought in for it. */
	model_result(vm_explain(access.root->map, access.va, access.wanted, text, bytes),
		     access.error == -EIO ? 0 : access.error);
	AGREE(strlen(text) < bytes);
}

/* The CPU caches a translation, as it may at any time. */
void do_prefetch(void)
{
	struct program_access access = pick_access(VM_READ);

	if (!access.root || !stream_prefetch)
		return;
	SAY("# prefetch: r%u, 0x%llx by CPU %u", root_number(access.root), (unsigned long long)access.va,
	    m.cpu);
	model_enter(access.root);
	stream_prefetch(access.va);
}

/* ---- Populating ------------------------------------------------------------------------------------------------ */

/* What populating has done to the cells of a range up to the first that it refuses; that is the result. */
static int populated(const struct argument *range, vm_prot_t wanted)
{
	bool write = wanted & VM_WRITE;

	for (unsigned c = range->span.first; c < range->span.end; c++) {
		const struct model_cell *cell = &range->root->cell[c];
		struct model_blob *blob = &m.blob[cell->blob];
		bool others = brings_others(cell);

		if (cell->kind != CELL_BLOB || !is_within(cell->region, range->region))
			return -ENOMEM;
		if (wanted & ~cell->prot)
			return -EACCES;
		if (!shows_zeroes(cell, write))
			model_obtain(blob, cell->offset, write);
		if (others)
			model_adopt(blob);
	}
	return 0;
}

void do_map_populate(void)
{
	static const vm_prot_t kinds[] = {VM_READ, VM_WRITE, RW, VM_EXEC};
	struct argument range = pick_argument(pick_mapped);
	vm_prot_t wanted = kinds[m.op->how % (sizeof(kinds) / sizeof(kinds[0]))];
	int error, predicted;

	if (!range.root)
		return;
	SAY("# map_populate %x: r%u, map at depth %u, 0x%llx, 0x%llx bytes", wanted, root_number(range.root),
	    m.region[range.region].depth, (unsigned long long)range.start, (unsigned long long)range.bytes);
	model_note_slots();
	model_call();
	error = map_populate(range.map, range.start, range.bytes, wanted);
	model_end_call();
	if (m.fired || model_is_lost(error))
		predicted = error;
	else
		predicted = range.error ? range.error : populated(&range, wanted);
	model_result(error, predicted);
}
