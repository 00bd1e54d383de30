/*
 * /proc/PID/smaps and /proc/PID/pagemap (proc(5)): what of a process's memory is resident.
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

static uint64_t count_shown(struct user_space *space, vaddr_t start, vaddr_t end)
{
	struct pmap *pmap = map_pmap(space->root);
	uint64_t count = 0;

	for (vaddr_t at = start; (at = pmap_next(pmap, at, end)) < end; at += PAGE_SIZE)
		count++;
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
static void show_kib(struct seq *seq, const char *name, uint64_t pages)
{
	size_t length = strlen(name);

	seq_put(seq, name, length);
	seq_put_number(seq, pages * KIB_PER_PAGE, 10, FIGURE_COLUMN - length, ' ');
	seq_put(seq, " kB\n", 4);
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
		{"ac", !shared && prot & VM_WRITE},
		{"wf", found->fork & FORK_WIPE},
	};

	seq_print(seq, "VmFlags:");
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].holds)
			seq_print(seq, " %s", flags[i].letters);
	}
	seq_print(seq, " \n");
}

/* How many processes share a page is not counted: a shared mapping's pages count as shared, and in full for each. */
static void show_figures(struct seq *seq, struct user_space *space, const struct lookup *found)
{
	uint64_t resident = (found->wired ? count_locked : count_shown)(space, found->start, found->end);
	bool shared = found->how.inherit == INHERIT_SHARE;

	show_kib(seq, "Size:", bytes_to_pages(found->end - found->start));
	show_kib(seq, "KernelPageSize:", 1);
	show_kib(seq, "MMUPageSize:", 1);
	show_kib(seq, "Rss:", resident);
	show_kib(seq, "Pss:", resident);
	show_kib(seq, "Shared_Clean:", 0);
	show_kib(seq, "Shared_Dirty:", shared ? resident : 0);
	show_kib(seq, "Private_Clean:", 0);
	show_kib(seq, "Private_Dirty:", shared ? 0 : resident);
	show_kib(seq, "Referenced:", resident);
	show_kib(seq, "Anonymous:", shared || found->how.label ? 0 : resident);
	show_kib(seq, "LazyFree:", 0);
	show_kib(seq, "AnonHugePages:", 0);
	show_kib(seq, "ShmemPmdMapped:", 0);
	show_kib(seq, "FilePmdMapped:", 0);
	show_kib(seq, "Shared_Hugetlb:", 0);
	show_kib(seq, "Private_Hugetlb:", 0);
	show_kib(seq, "Swap:", count_swapped(space, found->start, found->end));
	show_kib(seq, "SwapPss:", 0);
	show_kib(seq, "Locked:", found->wired ? resident : 0);
	seq_print(seq, "THPeligible:    0\n");
	show_flags(seq, found);
}

static void show_mappings(struct seq *seq, struct user_space *space, char *path)
{
	struct lookup found;
	vaddr_t at = 0;

	while (proc_lookup_joined(space, at, &found) == 0) {
		proc_show_mapping(seq, &found, path);
		show_figures(seq, space, &found);
		at = found.end;
		lookup_release(&found);
	}
}

int proc_show_smaps(struct seq *seq, const struct proc_subject *subject)
{
	struct user_space *space = process_space(subject->process);
	struct page *page = page_alloc(PAGE_KERNEL, 0);

	if (space && page)
		show_mappings(seq, space, page_data(page));
	if (space)
		user_space_unref_later(space);
	if (!page)
		return -ENOMEM;
	page_free(page);
	return 0;
}

/* ---- pagemap: a word of 8 bytes for each page -------------------------------------------------------------------- */

#define WORD_BYTES   sizeof(uint64_t)
#define CHUNK_WORDS  64u
#define PAGE_PRESENT ((uint64_t)1 << 63)

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
			vaddr_t at = pages_to_bytes(page + i);

			words[i] = pmap_next(pmap, at, at + PAGE_SIZE) == at ? PAGE_PRESENT : 0;
		}
		moved = io_put(io, words, count * WORD_BYTES);
		if (moved <= 0)
			return done > 0 ? done : moved;
		done += moved;
		page += count;
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
