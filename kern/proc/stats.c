/*
 * Statistics about a process and the VM: the `stats` option's tables, the listing that map_list()
 * gives to programs, and the check that a process gave everything back.
 */
#include <kern/proc.h>
#include <vm/pmap.h>
#include <vm/slab.h>

#define LINE_BYTES   128
#define RIGHTS_BYTES 4

static const char *const state_names[PAGE_STATES] = {
	[PAGE_RESERVED] = "reserved",      [PAGE_FREE] = "free",     [PAGE_CACHED] = "free, in CPU caches",
	[PAGE_ZEROED] = "free and zeroed", [PAGE_KERNEL] = "kernel", [PAGE_TABLE] = "page tables",
	[PAGE_SLAB] = "small objects",     [PAGE_BLOB] = "blobs",    [PAGE_MODULE] = "boot modules",
	[PAGE_DEVICE] = "devices",
};

static const char *const kind_names[] = {
	[ENTRY_RESERVED] = "reserved",
	[ENTRY_BLOB] = "blob",
	[ENTRY_ENTITY] = "entity",
	[ENTRY_SUBMAP] = "submap",
};

static void format_rights(char rights[RIGHTS_BYTES], vm_prot_t prot)
{
	rights[0] = prot & VM_READ ? 'r' : '-';
	rights[1] = prot & VM_WRITE ? 'w' : '-';
	rights[2] = prot & VM_EXEC ? 'x' : '-';
	rights[3] = '\0';
}

int stats_format_entry(char *line, size_t bytes, const struct entry_info *entry)
{
	char rights[RIGHTS_BYTES], resident[24] = "-";
	const char *name = entry->name ? entry->name : "";

	format_rights(rights, entry->prot);
	if (entry->kind == ENTRY_BLOB)
		env_format(resident, sizeof(resident), "%llu", (unsigned long long)entry->usage.resident);
	return env_format(line, bytes, "%012llx-%012llx %s %-8s %7s %*s%s", (unsigned long long)entry->start,
			  (unsigned long long)entry->end, rights, kind_names[entry->kind], resident,
			  (int)(2 * entry->depth), "", name);
}

/* One more remark about an entry, in the parentheses that end its line. */
static void print_remark(bool *remarked, const char *what, uint64_t count)
{
	kprintf("%s%s %llu", *remarked ? ", " : "  (", what, (unsigned long long)count);
	*remarked = true;
}

static int print_entry(const struct entry_info *entry, void *context)
{
	char line[LINE_BYTES];
	bool remarked = false;

	(void)context;
	stats_format_entry(line, sizeof(line), entry);
	kprintf("%s", line);
	for (int i = 0; i < FAULT_CASES; i++)
		if (entry->kind == ENTRY_BLOB && entry->faults[i] > 0)
			print_remark(&remarked, fault_case_name((enum fault_case)i), entry->faults[i]);
	if (entry->usage.paged_out > 0)
		print_remark(&remarked, "now paged out", entry->usage.paged_out);
	if (entry->wired)
		print_remark(&remarked, "wired", entry->usage.resident);
	kprintf(remarked ? ")\n" : "\n");
	return 0;
}

void stats_print_map(struct process *process)
{
	kprintf("map tree of %s[%d]: range, rights, kind, resident pages, name (faults by case)\n",
		process->name, process->pid);
	map_walk(process->space->root, print_entry, NULL);
}

void stats_print_totals(struct process *process)
{
	uint64_t faults[FAULT_CASES];
	struct page_stats pages = page_stats();
	struct pmap_stats tables = pmap_stats(map_pmap(process->space->root));

	vm_fault_counts(faults);
	kprintf("faults by case\n");
	for (int i = 0; i < FAULT_CASES; i++)
		kprintf("%12llu  %s\n", (unsigned long long)faults[i], fault_case_name((enum fault_case)i));
	kprintf("pages by state\n");
	for (int i = 0; i < PAGE_STATES; i++)
		kprintf("%12llu  %s\n", (unsigned long long)pages.by_state[i], state_names[i]);
	kprintf("%12llu  RAM in all\n%12llu  of it free\n", (unsigned long long)pages.ram_pages,
		(unsigned long long)pages.free_pages);
	kprintf("zeroed pages: %llu from the pool, %llu cleared on demand\n",
		(unsigned long long)pages.zero_hits, (unsigned long long)pages.zero_misses);
	kprintf("page tables of %s[%d]: %llu pages, which map %llu\n", process->name, process->pid,
		(unsigned long long)tables.table_pages, (unsigned long long)tables.resident_pages);
}

void stats_print_access(struct process *process, const char *what, vaddr_t address, vm_prot_t access)
{
	char text[EXPLAIN_BYTES];

	vm_explain(process->space->root, address, access, text, sizeof(text));
	kprintf("%s%s\n", what, text);
}

/* Where a program begins, where its stack began and its heap ended, and the access that ended it. */
static void print_accesses(struct process *process)
{
	const struct user_space *space = process->space;

	kprintf("what an access would do\n");
	stats_print_access(process, "  first instruction: ", space->entry, VM_EXEC);
	stats_print_access(process, "  first of the stack: ", space->stack, VM_WRITE);
	if (space->heap_end > space->heap_start)
		stats_print_access(process, "  last of the heap: ", space->heap_end - 1, VM_WRITE);
	if (process->refused.access)
		stats_print_access(process, "  refused: ", process->refused.address, process->refused.access);
}

void stats_print(struct process *process)
{
	kprintf("phoenix: stats begin\n");
	stats_print_map(process);
	print_accesses(process);
	stats_print_totals(process);
	kprintf("phoenix: stats end\n");
}

struct usage usage_now(void)
{
	struct usage usage = {.free_pages = page_stats().free_pages,
			      .kernel_tables = pmap_stats(&kernel_pmap).table_pages,
			      .newest = slab_caches()};
	unsigned n = 0;

	for (struct slab_cache *cache = slab_caches(); cache; cache = cache->next) {
		spin_lock(&cache->lock);
		usage.slab_pages += cache->pages;
		if (n < USAGE_CACHES)
			usage.objects[n++] = cache->objects;
		spin_unlock(&cache->lock);
	}
	return usage;
}

/* Of which caches there are more objects, or fewer; caches that were made since had none. */
static void check_objects(const struct usage *before, const struct usage *now)
{
	const struct slab_cache *cache = now->newest;
	unsigned old = 0;
	bool was_there = false;

	for (unsigned n = 0; cache && n < USAGE_CACHES; cache = cache->next, n++) {
		int64_t missing = (int64_t)now->objects[n];

		was_there |= cache == before->newest;
		if (was_there)
			missing -= (int64_t)before->objects[old++];
		if (missing != 0)
			env_log("phoenix: %lld small objects leaked: %s", (long long)missing, cache->name);
	}
}

void usage_check(const struct usage *before)
{
	struct usage now = usage_now();
	/* A cache of small objects may keep an empty page that it did not have before; kernel page tables stay. */
	int64_t pages = (int64_t)(before->free_pages - now.free_pages) -
			(int64_t)(now.slab_pages - before->slab_pages) -
			(int64_t)(now.kernel_tables - before->kernel_tables);

	if (pages != 0)
		env_log("phoenix: %lld pages leaked", (long long)pages);
	if (vm_promised_pages() != 0)
		env_log("phoenix: %lld promised pages leaked", (long long)vm_promised_pages());
	check_objects(before, &now);
}
