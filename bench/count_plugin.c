/*
 * A plugin for QEMU's emulator that counts the instructions which the machine executes, in ranges of addresses: whose code it was
 * tells the kernel from programs, exactly, and whatever the system in the machine is.
 *
 * Each range is an argument, "NAME=START-END" in hexadecimal, END exclusive; what lies in no range counts as "rest". The counts are printed
 * at the end as "count NAME N". Iterations of a rep instruction count as one each, as the clock of -icount has them. The interface is QEMU's
 * plugin API, version 1 (QEMU's documentation, "QEMU TCG Plugins"), of which no package has the header: what is used is declared here. One CPU.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_VERSION 1
#define MOST_RANGES 8
#define LINE_BYTES  128

typedef uint64_t plugin_id;
struct translation_block;
enum inline_operation { ADD_UINT64 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
						  void (*translated)(plugin_id, struct translation_block *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct translation_block *block,
						     enum inline_operation operation, void *to,
						     uint64_t value);
extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*ends)(plugin_id, void *), void *context);
extern size_t qemu_plugin_tb_n_insns(const struct translation_block *block);
extern uint64_t qemu_plugin_tb_vaddr(const struct translation_block *block);
extern void qemu_plugin_outs(const char *text);

__attribute__((visibility("default"))) int qemu_plugin_version = API_VERSION;

/* The last one is the rest. */
static struct range {
	const char *name;
	uint64_t start, end;
	uint64_t count;
} ranges[MOST_RANGES + 1];
static unsigned range_count;

static struct range *range_of(uint64_t address)
{
	for (unsigned i = 0; i < range_count; i++) {
		if (address >= ranges[i].start && address < ranges[i].end)
			return &ranges[i];
	}
	return &ranges[MOST_RANGES];
}

/* Adds the block's length whenever it is entered: blocks that are left early, by a fault in their midst, are few. */
static void translated(plugin_id id, struct translation_block *block)
{
	struct range *range = range_of(qemu_plugin_tb_vaddr(block));

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_UINT64, &range->count,
						 qemu_plugin_tb_n_insns(block));
}

static void print_count(const struct range *range)
{
	char line[LINE_BYTES];

	snprintf(line, sizeof(line), "count %s %llu\n", range->name, (unsigned long long)range->count);
	qemu_plugin_outs(line);
}

static void ends(plugin_id id, void *context)
{
	(void)id, (void)context;
	for (unsigned i = 0; i < range_count; i++)
		print_count(&ranges[i]);
	print_count(&ranges[MOST_RANGES]);
}

/* NAME=START-END */
static int take_range(char *text)
{
	char *equals = strchr(text, '='), *end;
	struct range *range = &ranges[range_count];

	if (!equals || range_count == MOST_RANGES)
		return -1;
	*equals = '\0';
	range->name = strdup(text);
	range->start = strtoull(equals + 1, &end, 16);
	if (*end != '-' || !range->name)
		return -1;
	range->end = strtoull(end + 1, &end, 16);
	range_count++;
	return *end == '\0' ? 0 : -1;
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int count,
							       char **arguments)
{
	(void)info;
	ranges[MOST_RANGES].name = "rest";
	for (int i = 0; i < count; i++)
		if (take_range(arguments[i]) != 0)
			return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ends, NULL);
	return 0;
}
