/*
 * How much memory may be promised that may come to be needed: the switch is vm.overcommit_memory, as on Linux (proc(5)).
 *
 *   0  a promise is refused if it alone is more than there is, RAM and swap
 *   1  none is
 *   2  all promises together may not be more than the limit: all swap, and overcommit_ratio percent of RAM, or overcommit_kbytes of it
 *
 * What is promised is what may be written privately, which the VM counts as mappings come and go, and all of shared memory and of files in RAM, as far as these
 * reach, whether anything is there yet or not (vm_promised_pages()). A call that is about to make more of it holds its pages here meanwhile, so that two calls
 * cannot both have the last of it.
 */
#include <asm/errno.h>
#include <kern/procfs.h>
#include <vm/page.h>
#include <vm/swap.h>

#include "memory.h"
#include "process_internal.h"

#define USUAL_RATIO 50
#define PERCENT     100

enum { PROMISE_BY_GUESS, PROMISE_ANYTHING, PROMISE_WHAT_THERE_IS };

static _Atomic int mode = PROMISE_BY_GUESS;
static _Atomic int ratio = USUAL_RATIO;
static _Atomic int fixed_kib; /* not 0: what there is in RAM, instead of the ratio */
static _Atomic uint64_t held; /* pages, by calls under way */

const struct proc_setting overcommit_setting = {&mode, PROMISE_BY_GUESS, PROMISE_WHAT_THERE_IS};

void commit_init(void)
{
	uint64_t wanted = cmdline_number("vm.overcommit", PROMISE_BY_GUESS);

	if (wanted <= PROMISE_WHAT_THERE_IS)
		mode = (int)wanted;
	else
		env_log("phoenix: vm.overcommit=%llu is not 0, 1 or 2; it is taken as 0",
			(unsigned long long)wanted);
}

uint64_t commit_limit(void)
{
	struct swap_stats swap;

	swap_stats(&swap);
	if (fixed_kib)
		return (uint64_t)fixed_kib * 1024 / PAGE_SIZE + swap.pages;
	return page_ram_count() * (uint64_t)ratio / PERCENT + swap.pages;
}

/* ---- vm.overcommit_ratio and vm.overcommit_kbytes: setting one takes the other back ---------------------------- */

static int show_number(struct seq *seq, int number)
{
	seq_print(seq, "%d\n", number);
	return 0;
}

static int store_number(const char *text, _Atomic int *to, _Atomic int *other)
{
	uint64_t number;

	if (proc_parse_number(&text, INT32_MAX, &number) != 0 || *text != '\0')
		return -EINVAL;
	*to = (int)number;
	*other = 0;
	return 0;
}

int commit_show_ratio(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	return show_number(seq, ratio);
}

int commit_store_ratio(const struct proc_subject *subject, char *text, size_t bytes)
{
	(void)subject, (void)bytes;
	return store_number(text, &ratio, &fixed_kib);
}

int commit_show_kbytes(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	return show_number(seq, fixed_kib);
}

int commit_store_kbytes(const struct proc_subject *subject, char *text, size_t bytes)
{
	(void)subject, (void)bytes;
	return store_number(text, &fixed_kib, &ratio);
}

/* ---- Promises ------------------------------------------------------------------------------------------------ */

bool commit_is_strict(void)
{
	return mode == PROMISE_WHAT_THERE_IS;
}

int commit_begin(struct commitment *commitment, pgoff_t pages)
{
	struct swap_stats swap;

	commitment->pages = 0;
	if (mode == PROMISE_ANYTHING || pages == 0)
		return 0;
	if (mode == PROMISE_BY_GUESS) {
		if (likely(pages <= page_ram_count()))
			return 0;
		swap_stats(&swap);
		return pages > page_ram_count() + swap.pages ? -ENOMEM : 0;
	}
	if (pages > BLOB_MAX_BYTES >> PAGE_SHIFT)
		return -ENOMEM;
	held += pages;
	if (vm_promised_pages() + held > commit_limit()) {
		held -= pages;
		return -ENOMEM;
	}
	commitment->pages = pages;
	return 0;
}

void commit_end(struct commitment *commitment)
{
	held -= commitment->pages;
	commitment->pages = 0;
}

int commit_shared(struct blob *blob, pgoff_t pages)
{
	pgoff_t before = blob_promised(blob);
	struct commitment commitment = {0};
	int error = 0;

	if (pages > before && commit_is_strict())
		error = commit_begin(&commitment, pages - before);
	if (!error)
		blob_promise(blob, pages);
	commit_end(&commitment);
	return error;
}

bool commit_allows_stack(void)
{
	return !commit_is_strict() || vm_promised_pages() + held < commit_limit();
}

int commit_begin_copy(struct commitment *commitment, struct map *root)
{
	struct map_usage usage;

	map_usage(root, &usage);
	return commit_is_strict() ? commit_begin(commitment, usage.data + usage.stack)
				  : commit_begin(commitment, 0);
}

int commit_begin_write(struct commitment *commitment, struct user_space *space, vaddr_t start, vaddr_t end)
{
	return commit_begin(commitment, commit_is_strict() ? range_unwritable(space, start, end, true) : 0);
}
