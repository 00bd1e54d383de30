/*
 * /proc/PID/smaps, /proc/PID/pagemap and /proc/PID/clear_refs (proc(5)): what of a process's memory is resident.
 *
 * Resident is, as on Linux, what the process's page tables show, and what is locked. Where pages are in RAM is not told. The mappings' lines are proc_maps.c's.
 */
#include <asm/errno.h>
#include <vm/pmap.h>

#include "proc_internal.h"

#define KIB_PER_PAGE  (PAGE_SIZE / 1024)
#define FIGURE_COLUMN 24 /* where figures end in a line of smaps */
#define CHUNK_PAGES   256u

/* ---- smaps ------------------------------------------------------------------------------------------------------- */

/* Of memory that is locked: it is resident though not all of it need be in the page tables. */
static uint64_t count_locked(struct user_space *space, vaddr_t start, vaddr_t end)
{
	unsigned char resident[CHUNK_PAGES];
	uint64_t count = 0;

	for (vaddr_t at = start; at < end;) {
		pgoff_t pages = bytes_to_pages(end - at);

		if (pages > CHUNK_PAGES)
			pages = CHUNK_PAGES;
		if (map_residency(space->root, at, pages_to_bytes(pages), resident) != 0)
			break;
		for (pgoff_t i = 0; i < pages; i++)
			count += resident[i];
		at += pages_to_bytes(pages);
	}
	return count;
}

/* The mappings in the range may be of several blobs. */
static uint64_t count_swapped(struct user_space *space, vaddr_t start, vaddr_t end)
{
	struct lookup found;
	uint64_t count = 0;

	for (vaddr_t at = start; at < end && map_lookup_from(space->root, at, end, &found) == 0;
	     at = found.end) {
		count += mapping_swapped_pages(&found);
		lookup_release(&found);
	}
	return count;
}

/* `name` with its colon. */
static void show_kib(struct seq *seq, const char *name, uint64_t kib)
{
	size_t length = strlen(name);

	seq_put(seq, name, length);
	seq_put_number(seq, kib, 10, FIGURE_COLUMN - length, ' ');
	seq_put(seq, " kB\n", 4);
}

static void show_pages(struct seq *seq, const char *name, uint64_t pages)
{
	show_kib(seq, name, pages * KIB_PER_PAGE);
}

/* Two letters for each property (proc(5)): rights, what rights there may be, and what was asked of it. */
static void show_flags(struct seq *seq, const struct lookup *found)
{
	const vm_prot_t prot = found->how.prot, most = found->how.max_prot;
	const bool shared = found->how.inherit == INHERIT_SHARE;
	const struct {
		const char *letters;
		bool holds;
	} flags[] = {
		{"rd", (prot & (VM_READ | VM_READ_UNASKED)) == VM_READ},
		{"wr", prot & VM_WRITE},
		{"ex", prot & VM_EXEC},
		{"sh", shared},
		{"mr", most & VM_READ},
		{"mw", most & VM_WRITE},
		{"me", most & VM_EXEC},
		{"ms", shared},
		{"gd", found->how.grows_down},
		{"lo", found->wired},
		{"dc", found->fork & FORK_OMIT},
		{"dd", found->fork & DUMP_OMIT},
		{"ac", !shared && prot & VM_WRITE},
		{"wf", found->fork & FORK_WIPE},
	};

	seq_put(seq, "VmFlags:", 8);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].holds) {
			seq_put(seq, " ", 1);
			seq_put(seq, flags[i].letters, 2);
		}
	}
	seq_put(seq, " \n", 2);
}

/* Clean is what a file has as well: private memory of no file is dirty when it is there. What is locked but not in the page tables is nobody else's. */
static void show_figures(struct seq *seq, struct user_space *space, const struct lookup *found)
{
	bool file = found->how.label != NULL;
	struct map_sharing sharing;
	uint64_t resident, locked, dirty, shared_dirty;

	map_sharing(space->root, found->start, found->end - found->start, &sharing);
	locked = found->wired ? count_locked(space, found->start, found->end) : 0;
	resident = locked > sharing.shown ? locked : sharing.shown;
	dirty = file ? sharing.dirty : resident;
	shared_dirty = file ? sharing.shared_dirty : sharing.shared;
	show_pages(seq, "Size:", bytes_to_pages(found->end - found->start));
	show_pages(seq, "KernelPageSize:", 1);
	show_pages(seq, "MMUPageSize:", 1);
	show_pages(seq, "Rss:", resident);
	show_kib(seq, "Pss:", sharing.part_bytes / 1024 + (resident - sharing.shown) * KIB_PER_PAGE);
	show_pages(seq, "Shared_Clean:", sharing.shared - shared_dirty);
	show_pages(seq, "Shared_Dirty:", shared_dirty);
	show_pages(seq, "Private_Clean:", resident - sharing.shared - (dirty - shared_dirty));
	show_pages(seq, "Private_Dirty:", dirty - shared_dirty);
	show_pages(seq, "Referenced:", resident);
	show_pages(seq, "Anonymous:", found->how.inherit == INHERIT_SHARE ? 0 : dirty);
	show_pages(seq, "LazyFree:", 0);
	show_pages(seq, "AnonHugePages:", 0);
	show_pages(seq, "ShmemPmdMapped:", 0);
	show_pages(seq, "FilePmdMapped:", 0);
	show_pages(seq, "Shared_Hugetlb:", 0);
	show_pages(seq, "Private_Hugetlb:", 0);
	show_pages(seq, "Swap:", count_swapped(space, found->start, found->end));
	show_pages(seq, "SwapPss:", 0);
	show_pages(seq, "Locked:", locked);
	seq_print(seq, "THPeligible:    0\n");
	show_flags(seq, found);
}

int proc_list_smaps(struct seq *seq, const struct proc_subject *subject, uint64_t *at)
{
	return proc_list_mappings(seq, subject, at, show_figures);
}

/* ---- pagemap: a word of 8 bytes for each page -------------------------------------------------------------------- */

#define WORD_BYTES   sizeof(uint64_t)
#define CHUNK_WORDS  64u
#define PAGE_PRESENT ((uint64_t)1 << 63)

/* Between the addresses that are a program's are the kernel's: nothing is shown there. */
static bool is_shown(struct pmap *pmap, vaddr_t at)
{
	return user_range(at, PAGE_SIZE) && pmap_next(pmap, at, at + PAGE_SIZE) == at;
}

static int64_t read_words(struct user_space *space, struct io *io, uint64_t position)
{
	struct pmap *pmap = map_pmap(space->root);
	pgoff_t page = position / WORD_BYTES, end = bytes_to_pages(map_end(space->root));
	int64_t done = 0;

	while (io->left >= WORD_BYTES && page < end) {
		uint64_t words[CHUNK_WORDS], left = io->left / WORD_BYTES;
		unsigned count = left < CHUNK_WORDS ? (unsigned)left : CHUNK_WORDS;
		int64_t moved;

		if (count > end - page)
			count = (unsigned)(end - page);
		for (unsigned i = 0; i < count; i++) {
			words[i] = is_shown(pmap, pages_to_bytes(page + i)) ? PAGE_PRESENT : 0;
		}
		moved = io_put(io, words, count * WORD_BYTES);
		if (moved <= 0)
			return done > 0 ? done : moved;
		done += moved;
		page += count;
		thread_breathe();
		if ((uint64_t)moved < count * WORD_BYTES || thread_interrupted())
			break;
	}
	return done;
}

int64_t proc_read_pagemap(const struct proc_subject *subject, struct io *io, uint64_t position)
{
	struct user_space *space;
	int64_t done;

	if (position % WORD_BYTES != 0 || io->left % WORD_BYTES != 0)
		return -EINVAL;
	space = process_space(subject->process);
	if (!space)
		return 0;
	done = read_words(space, io, position);
	user_space_unref_later(space);
	return done;
}

/* ---- clear_refs (proc(5)) ---------------------------------------------------------------------------------------- */

/* What is written; 4, that pages look as if not written to, is not there: nothing tells of such pages. */
enum clearing { CLEAR_ALL = 1, CLEAR_ANONYMOUS, CLEAR_FILES, CLEAR_PEAK = 5 };

/* Pages look as if they had not been accessed, for paging out. That it cannot be said of what has just been unmapped is no error. */
static void clear_accesses(struct user_space *space, uint64_t what)
{
	vaddr_t end = map_end(space->root);
	struct lookup found;

	for (vaddr_t at = map_start(space->root); map_lookup_from(space->root, at, end, &found) == 0;
	     at = found.end) {
		bool file = found.how.label != NULL;

		lookup_release(&found);
		if (what == CLEAR_ALL || file == (what == CLEAR_FILES))
			(void)map_advise(space->root, found.start, found.end - found.start, ADVISE_COLD);
		thread_breathe();
	}
}

int proc_store_clear_refs(const struct proc_subject *subject, char *text, size_t bytes)
{
	const char *rest = text;
	struct user_space *space;
	uint64_t what;

	(void)bytes;
	if (proc_parse_number(&rest, CLEAR_PEAK, &what) != 0 || *rest != '\0')
		return -EINVAL;
	if (what != CLEAR_PEAK && (what < CLEAR_ALL || what > CLEAR_FILES))
		return -EINVAL;
	space = process_space(subject->process);
	if (!space)
		return -ESRCH;
	if (what == CLEAR_PEAK)
		space->most_pages = 0;
	else
		clear_accesses(space, what);
	user_space_unref_later(space);
	return 0;
}
