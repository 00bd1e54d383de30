/*
 * vmstat [SECONDS [COUNT]]: what memory is used for, and what the VM does: paging and page faults by case, in all or as rates.
 */
#include <errno.h>
#include <kern/phoenix_abi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "help.h"

#define PAGE_KIB   4
#define HEAD_EVERY 20 /* lines */

/* Fault cases that are shown, in the order of the columns. */
static const struct {
	unsigned index;
	const char *head;
} columns[] = {
	{PHOENIX_FAULT_ZERO_FILL, "zero"}, {PHOENIX_FAULT_ZERO_PAGE, "zread"},
	{PHOENIX_FAULT_RESIDENT, "resid"}, {PHOENIX_FAULT_PAGE_IN, "in"},
	{PHOENIX_FAULT_COPY, "copy"},      {PHOENIX_FAULT_UPGRADE, "upgr"},
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int usage(FILE *to, int status)
{
	fputs("usage: vmstat [-h] [SECONDS [COUNT]]\n"
	      "Counts are of all since boot; every SECONDS, with the second line, of what came in them, for "
	      "a second.\n"
	      "r: threads that are runnable; b: that wait for memory. swpd, free, used: KiB. si, so: KiB "
	      "from and to "
	      "swap.\n"
	      "scan, steal: pages that were looked at for being given up, and that were. Then page faults by "
	      "case:\n"
	      "zero: a page cleared; zread: the page of zeroes shown; resid: only a translation; in: from a "
	      "file or store;\n"
	      "copy: copied on write; upgr: a write right given back; bad: refused.\n"
	      "The status is 0, 1 if there are no such figures, or 2 for a mistake in the arguments.\n",
	      to);
	return status;
}

static bool read_stats(struct phoenix_vm_stats *stats)
{
	if (syscall(PHOENIX_SYS_VM_STATS, stats, sizeof(*stats)) == 0)
		return true;
	fprintf(stderr, "vmstat: %s\n",
		errno == ENOSYS ? "this system has no such figures: it is not Phoenix" : strerror(errno));
	return false;
}

static unsigned long refused(const struct phoenix_vm_stats *stats)
{
	return stats->faults[PHOENIX_FAULT_RESERVED] + stats->faults[PHOENIX_FAULT_PROTECTION] +
	       stats->faults[PHOENIX_FAULT_NO_ENTRY] + stats->faults[PHOENIX_FAULT_BEYOND];
}

static void print_head(void)
{
	printf("%2s %2s %8s %8s %8s %6s %6s %6s %6s", "r", "b", "swpd", "free", "used", "si", "so", "scan",
	       "steal");
	for (size_t i = 0; i < COLUMNS; i++)
		printf(" %6s", columns[i].head);
	printf(" %6s\n", "bad");
}

/* What came of something in a second. */
static unsigned long rate(unsigned long now, unsigned long before, unsigned seconds)
{
	return (now - before) / seconds;
}

/* What came since `before`, in each of `seconds`. */
static void print_line(const struct phoenix_vm_stats *now, const struct phoenix_vm_stats *before,
		       unsigned seconds)
{
	unsigned long total = now->ram_pages * PAGE_KIB, left = now->free_pages * PAGE_KIB;

	printf("%2lu %2lu %8lu %8lu %8lu", now->runnable, now->stalled, now->swap_used * PAGE_KIB, left,
	       total - left);
	printf(" %6lu %6lu", rate(now->pages_in, before->pages_in, seconds) * PAGE_KIB,
	       rate(now->pages_out, before->pages_out, seconds) * PAGE_KIB);
	printf(" %6lu %6lu", rate(now->scanned, before->scanned, seconds),
	       rate(now->given_up, before->given_up, seconds));
	for (size_t i = 0; i < COLUMNS; i++)
		printf(" %6lu",
		       rate(now->faults[columns[i].index], before->faults[columns[i].index], seconds));
	printf(" %6lu\n", rate(refused(now), refused(before), seconds));
	fflush(stdout);
}

/* A number of at least 1; 0: it is none. */
static unsigned number(const char *word)
{
	char *end;
	unsigned long value = strtoul(word, &end, 10);

	return *end || end == word || value > 1000000 ? 0 : (unsigned)value;
}

int main(int argc, char **argv)
{
	struct phoenix_vm_stats before, now;
	unsigned seconds = 0, count = 0;

	if (asks_for_help(argc, argv))
		return usage(stdout, 0);
	if (argc > 3 || has_options(argc, argv))
		return usage(stderr, 2);
	for (int i = 1; i < argc; i++) {
		unsigned value = number(argv[i]);

		if (value == 0) {
			fprintf(stderr, "vmstat: %s is no number of at least 1\n", argv[i]);
			return 2;
		}
		*(i == 1 ? &seconds : &count) = value;
	}
	memset(&before, 0, sizeof(before));
	if (!read_stats(&now))
		return 1;
	print_head();
	print_line(&now, &before, 1);
	for (unsigned lines = 1; seconds > 0 && (argc < 3 || lines < count); lines++) {
		before = now;
		sleep(seconds);
		if (!read_stats(&now))
			return 1;
		if (lines % HEAD_EVERY == 0)
			print_head();
		print_line(&now, &before, seconds);
	}
	return 0;
}
