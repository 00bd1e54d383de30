/*
 * /proc, besides processes: what the system is and has (proc(5)).
 */
#include <asm/errno.h>
#include <cpuid.h>
#include <kern/boot.h>
#include <kern/kern.h>
#include <kern/procfs.h>
#include <kern/sched.h>
#include <linux/utsname.h>
#include <vm/page.h>
#include <vm/slab.h>
#include <vm/swap.h>

#include "proc_internal.h"

#define NUMBER(value)    ((unsigned long long)(value))
#define NS_PER_SECOND    1000000000ull
#define NS_PER_TICK      10000000ull /* a hundredth of a second: times(2)'s unit */
#define TICKS_PER_SECOND 100
#define PER_CENT         100
#define KIB_PER_PAGE     (PAGE_SIZE / 1024)
#define SLAB_NAME_WIDTH  22
#define BRAND_LEAF       0x80000002u /* the first of three with the CPU's name (SDM vol 2, CPUID) */
#define BRAND_BYTES      48

/* ---- Memory -------------------------------------------------------------------------------------------------- */

static void show_kib(struct seq *seq, const char *name, uint64_t pages)
{
	seq_print(seq, "%s:%*s%8llu kB\n", name, (int)(15 - strlen(name)), "",
		  NUMBER(pages * (PAGE_SIZE / 1024)));
}

static int show_meminfo(struct seq *seq, const struct proc_subject *subject)
{
	const struct page_stats stats = page_stats();
	uint64_t contents = stats.by_state[PAGE_BLOB];
	struct swap_stats swap;

	swap_stats(&swap);
	(void)subject;
	show_kib(seq, "MemTotal", stats.ram_pages);
	show_kib(seq, "MemFree", stats.free_pages);
	show_kib(seq, "MemAvailable", stats.free_pages);
	show_kib(seq, "Buffers", 0);
	show_kib(seq, "Cached", 0);
	show_kib(seq, "SwapCached", vm_clean_pages());
	show_kib(seq, "Active", contents);
	show_kib(seq, "Inactive", 0);
	show_kib(seq, "Unevictable", 0);
	show_kib(seq, "Mlocked", 0);
	show_kib(seq, "SwapTotal", swap.pages);
	show_kib(seq, "SwapFree", swap.pages - swap.used - swap.bad);
	show_kib(seq, "Dirty", 0);
	show_kib(seq, "Writeback", 0);
	show_kib(seq, "AnonPages", contents);
	show_kib(seq, "Mapped", 0);
	show_kib(seq, "Shmem", 0);
	show_kib(seq, "Slab", stats.by_state[PAGE_SLAB]);
	show_kib(seq, "KernelStack", 0);
	show_kib(seq, "PageTables", stats.by_state[PAGE_TABLE]);
	show_kib(seq, "CommitLimit", commit_limit());
	show_kib(seq, "Committed_AS", vm_promised_pages());
	seq_print(seq, "HugePages_Total:       0\nHugePages_Free:        0\n");
	seq_print(seq, "HugePages_Rsvd:        0\nHugePages_Surp:        0\n");
	show_kib(seq, "Hugepagesize", 512);
	return 0;
}

/* Their words are joined, as who reads it expects one. */
static void show_cache_name(struct seq *seq, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		seq_put(seq, name[i] == ' ' ? "_" : &name[i], 1);
	seq_print(seq, "%*s", length < SLAB_NAME_WIDTH ? (int)(SLAB_NAME_WIDTH - length) : 0, "");
}

/* Linux's format; a small object's slab is one page (slabinfo(5)). */
static int show_slabinfo(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "slabinfo - version: 2.1\n"
		       "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
		       " : tunables <limit> <batchcount> <sharedfactor>"
		       " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	for (struct slab_cache *cache = slab_caches(); cache; cache = cache->next) {
		uint64_t objects, pages;

		spin_lock(&cache->lock);
		objects = cache->objects;
		pages = cache->pages;
		spin_unlock(&cache->lock);
		show_cache_name(seq, cache->name);
		seq_print(seq, " %6llu %6llu %6u %4u    1", NUMBER(objects), NUMBER(pages * cache->per_page),
			  cache->object_bytes, cache->per_page);
		seq_print(seq, " : tunables    0    0    0 : slabdata %6llu %6llu      0\n", NUMBER(pages),
			  NUMBER(pages));
	}
	return 0;
}

/* What was looked for by whom: Linux's page-out thread is "kswapd", and who finds no memory and looks himself is "direct". */
static void show_reclaim(struct seq *seq)
{
	struct reclaim_stats stats;

	vm_reclaim_stats(&stats);
	seq_print(seq, "allocstall %llu\n", NUMBER(stats.direct));
	seq_print(seq, "pgscan_kswapd %llu\npgscan_direct %llu\n",
		  NUMBER(stats.scanned - stats.direct_scanned), NUMBER(stats.direct_scanned));
	seq_print(seq, "pgsteal_kswapd %llu\npgsteal_direct %llu\n",
		  NUMBER(stats.given_up - stats.direct_given_up), NUMBER(stats.direct_given_up));
}

static int show_vmstat(struct seq *seq, const struct proc_subject *subject)
{
	const struct page_stats stats = page_stats();
	uint64_t faults[FAULT_CASES], served = 0;
	struct swap_stats swap;

	(void)subject;
	swap_stats(&swap);
	vm_fault_counts(faults);
	for (unsigned i = 0; i < FAULT_RESERVED; i++)
		served += faults[i];
	seq_print(seq, "nr_free_pages %llu\nnr_page_table_pages %llu\n", NUMBER(stats.free_pages),
		  NUMBER(stats.by_state[PAGE_TABLE]));
	seq_print(seq, "pgfault %llu\npgmajfault %llu\n", NUMBER(served), NUMBER(faults[FAULT_PAGE_IN]));
	seq_print(seq, "pswpin %llu\npswpout %llu\n", NUMBER(swap.pages_in), NUMBER(swap.pages_out));
	show_reclaim(seq);
	seq_print(seq, "swap_zero_in %llu\nswap_zero_out %llu\n", NUMBER(swap.zero_in),
		  NUMBER(swap.zero_out));
	seq_print(seq, "swap_reads %llu\nswap_writes %llu\n", NUMBER(swap.reads), NUMBER(swap.writes));
	seq_print(seq, "swap_read_errors %llu\nswap_write_errors %llu\nswap_mismatches %llu\n",
		  NUMBER(swap.read_errors), NUMBER(swap.write_errors), NUMBER(swap.mismatches));
	return 0;
}

/* As on Linux; what is bad of a device counts as used. */
static int show_swaps(struct seq *seq, const struct proc_subject *subject)
{
	struct swap_info devices[SWAP_MAX_DEVICES];
	unsigned count = swap_devices(devices, SWAP_MAX_DEVICES);

	(void)subject;
	seq_print(seq, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	for (unsigned i = 0; i < count; i++) {
		const struct swap_info *device = &devices[i];

		seq_print(seq, "%-40spartition\t%llu\t\t%llu\t\t%d\n", device->name,
			  NUMBER(device->pages * (PAGE_SIZE / 1024)),
			  NUMBER((device->used + device->bad) * (PAGE_SIZE / 1024)), device->priority);
	}
	return 0;
}

static void show_lost_time(struct seq *seq, const char *name, enum pressure_kind kind)
{
	static const char *const names[PRESSURE_AVERAGES] = {"avg10", "avg60", "avg300"};
	struct pressure_figures figures;

	pressure_figures(kind, &figures);
	seq_print(seq, "%s", name);
	for (unsigned i = 0; i < PRESSURE_AVERAGES; i++)
		seq_print(seq, " %s=%u.%02u", names[i], figures.hundredths[i] / PER_CENT,
			  figures.hundredths[i] % PER_CENT);
	seq_print(seq, " total=%llu\n", NUMBER(figures.total_us));
}

static int show_pressure(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	show_lost_time(seq, "some", PRESSURE_SOME);
	show_lost_time(seq, "full", PRESSURE_FULL);
	return 0;
}

/* ---- Time and load ------------------------------------------------------------------------------------------------ */

static void show_seconds(struct seq *seq, uint64_t ns)
{
	seq_print(seq, "%llu.%02llu", ns / NS_PER_SECOND, ns / NS_PER_TICK % TICKS_PER_SECOND);
}

static int show_uptime(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	show_seconds(seq, time_nanoseconds());
	seq_put(seq, " ", 1);
	show_seconds(seq, sched_idle_ns());
	seq_put(seq, "\n", 1);
	return 0;
}

/* The load is what it is now: no average is kept. */
static int show_loadavg(struct seq *seq, const struct proc_subject *subject)
{
	unsigned running = sched_runnable();

	(void)subject;
	seq_print(seq, "%u.00 %u.00 %u.00 %u/%u %d\n", running, running, running, running, task_count(),
		  process_last_id());
	return 0;
}

static int show_stat(struct seq *seq, const struct proc_subject *subject)
{
	unsigned long long idle = sched_idle_ns() / NS_PER_TICK, all = time_nanoseconds() / NS_PER_TICK;
	unsigned long long busy = all > idle ? all - idle : 0;

	(void)subject;
	seq_print(seq, "cpu  %llu 0 0 %llu 0 0 0 0 0 0\n", busy, idle);
	seq_print(seq, "cpu0 %llu 0 0 %llu 0 0 0 0 0 0\n", busy, idle);
	seq_print(seq, "intr 0\nctxt %llu\nbtime %llu\n", NUMBER(sched_switches()),
		  NUMBER(time_realtime_offset()) / NS_PER_SECOND);
	seq_print(seq, "processes %d\nprocs_running %u\nprocs_blocked 0\n", process_last_id(),
		  sched_runnable());
	return 0;
}

/* ---- The machine and the system -------------------------------------------------------------------------------------- */

static void brand_name(char to[BRAND_BYTES + 1])
{
	unsigned words[BRAND_BYTES / sizeof(unsigned)] = {0};

	for (unsigned i = 0; i < 3; i++)
		__get_cpuid(BRAND_LEAF + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
			    &words[4 * i + 3]);
	memcpy(to, words, BRAND_BYTES);
	to[BRAND_BYTES] = '\0';
}

static int show_cpuinfo(struct seq *seq, const struct proc_subject *subject)
{
	unsigned eax = 0, ebx = 0, ecx = 0, edx = 0, vendor[4] = {0};
	char brand[BRAND_BYTES + 1];

	(void)subject;
	__get_cpuid(0, &eax, &vendor[0], &vendor[2], &vendor[1]);
	__get_cpuid(1, &eax, &ebx, &ecx, &edx);
	brand_name(brand);
	seq_print(seq, "processor\t: 0\nvendor_id\t: %.12s\n", (const char *)vendor);
	seq_print(seq, "cpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n",
		  (eax >> 8 & 15) + (eax >> 20 & 255), (eax >> 4 & 15) | (eax >> 12 & 0xf0), brand, eax & 15);
	seq_print(seq, "cpu cores\t: 1\nflags\t\t: fpu sse sse2\nclflush size\t: 64\n");
	seq_print(seq, "address sizes\t: 46 bits physical, 48 bits virtual\n\n");
	return 0;
}

static int show_version(struct seq *seq, const struct proc_subject *subject)
{
	struct new_utsname name;

	(void)subject;
	system_names(&name);
	seq_print(seq, "%s version %s %s\n", name.sysname, name.release, name.version);
	return 0;
}

static int show_cmdline(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_put(seq, bootinfo.command_line, strlen(bootinfo.command_line));
	seq_put(seq, "\n", 1);
	return 0;
}

static int show_filesystems(struct seq *seq, const struct proc_subject *subject)
{
	struct filesystem_type *type = NULL;

	(void)subject;
	while ((type = filesystem_type_after(type)) != NULL)
		seq_print(seq, "%s\t%s\n", type->no_device ? "nodev" : "", type->name);
	return 0;
}

/* ---- Links to the reader --------------------------------------------------------------------------------------------- */

static int64_t put_link(char *to, size_t bytes, const char *text)
{
	size_t length = strlen(text);

	length = length < bytes ? length : bytes;
	memcpy(to, text, length);
	return (int64_t)length;
}

static int64_t self_target(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes)
{
	char text[32];

	(void)subject;
	if (!reader)
		return -ENOENT;
	env_format(text, sizeof(text), "%d", reader->process->pid);
	return put_link(to, bytes, text);
}

static int64_t thread_self_target(const struct proc_subject *subject, struct task *reader, char *to,
				  size_t bytes)
{
	char text[48];

	(void)subject;
	if (!reader)
		return -ENOENT;
	env_format(text, sizeof(text), "%d/task/%d", reader->process->pid, reader->tid);
	return put_link(to, bytes, text);
}

static int64_t mounts_target(const struct proc_subject *subject, struct task *reader, char *to, size_t bytes)
{
	(void)subject, (void)reader;
	return put_link(to, bytes, "self/mounts");
}

/* ---- /proc/sys ---------------------------------------------------------------------------------------------------------- */

static int show_ostype(struct seq *seq, const struct proc_subject *subject)
{
	struct new_utsname name;

	(void)subject;
	system_names(&name);
	seq_print(seq, "%s\n", name.sysname);
	return 0;
}

static int show_osrelease(struct seq *seq, const struct proc_subject *subject)
{
	struct new_utsname name;

	(void)subject;
	system_names(&name);
	seq_print(seq, "%s\n", name.release);
	return 0;
}

static int show_hostname(struct seq *seq, const struct proc_subject *subject)
{
	struct new_utsname name;

	(void)subject;
	system_names(&name);
	seq_print(seq, "%s\n", name.nodename);
	return 0;
}

static int show_domainname(struct seq *seq, const struct proc_subject *subject)
{
	struct new_utsname name;

	(void)subject;
	system_names(&name);
	seq_print(seq, "%s\n", name.domainname);
	return 0;
}

static int store_hostname(const struct proc_subject *subject, char *text, size_t bytes)
{
	(void)subject;
	system_set_name(false, text, bytes);
	return 0;
}

static int store_domainname(const struct proc_subject *subject, char *text, size_t bytes)
{
	(void)subject;
	system_set_name(true, text, bytes);
	return 0;
}

static int show_kernel_version(struct seq *seq, const struct proc_subject *subject)
{
	struct new_utsname name;

	(void)subject;
	system_names(&name);
	seq_print(seq, "%s\n", name.version);
	return 0;
}

static int show_threads_max(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "%u\n", tasks_most());
	return 0;
}

static int show_random_bits(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "%d\n", RANDOM_POOL_BITS);
	return 0;
}

static int show_pid_max(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "%d\n", pid_max());
	return 0;
}

static int store_pid_max(const struct proc_subject *subject, char *text, size_t bytes)
{
	const char *rest = text;
	uint64_t value;

	(void)subject, (void)bytes;
	if (proc_parse_number(&rest, INT32_MAX, &value) != 0 || *rest != '\0')
		return -EINVAL;
	return pid_max_set((int)value);
}

static int show_zero(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "0\n");
	return 0;
}

static int show_mmap_min_addr(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "%lu\n", PAGE_SIZE);
	return 0;
}

static _Atomic uint64_t min_free_kib; /* as it was written: it may be no whole pages */

static int show_min_free(struct seq *seq, const struct proc_subject *subject)
{
	uint64_t kept = vm_kept_free(), said = min_free_kib;

	(void)subject;
	seq_print(seq, "%llu\n", NUMBER(said / KIB_PER_PAGE == kept ? said : kept * KIB_PER_PAGE));
	return 0;
}

/* A number and nothing else, up to `most`. */
static int parse_only(const char *text, uint64_t most, uint64_t *out)
{
	return proc_parse_number(&text, most, out) != 0 || *text != '\0' ? -EINVAL : 0;
}

static int store_min_free(const struct proc_subject *subject, char *text, size_t bytes)
{
	uint64_t kib;
	int error = parse_only(text, INT32_MAX, &kib);

	(void)subject, (void)bytes;
	if (!error)
		error = vm_keep_free(kib / KIB_PER_PAGE);
	if (!error)
		min_free_kib = kib;
	return error;
}

#define DROP_MOST 7 /* proc(5) has 1 to 3; with 4, no more is said of it */

/* Files in RAM are no caches that could be dropped. */
static int store_drop_caches(const struct proc_subject *subject, char *text, size_t bytes)
{
	uint64_t what;

	(void)subject, (void)bytes;
	return parse_only(text, DROP_MOST, &what) != 0 || what == 0 ? -EINVAL : 0;
}

/* However many are asked for, no huge pages can be had. */
static int store_huge_pages(const struct proc_subject *subject, char *text, size_t bytes)
{
	uint64_t count;

	(void)subject, (void)bytes;
	return parse_only(text, INT64_MAX, &count);
}

/* Kept and told: what it weighs against each other is programs' memory and cached files, and there are none. */
static _Atomic int swappiness = 60;
static const struct proc_setting swappiness_setting = {&swappiness, 0, 200};

/* A process is ended, and never the system. */
static _Atomic int panic_on_oom;
static const struct proc_setting panic_on_oom_setting = {&panic_on_oom, 0, 0};

#define FILE_OF(text, function)                                            \
	{                                                                  \
		.name = (text), .mode = S_IFREG | 0444, .show = (function) \
	}

static const struct proc_entry sys_random[] = {
	FILE_OF("entropy_avail", show_random_bits), FILE_OF("poolsize", show_random_bits), {.name = NULL}};

static const struct proc_entry sys_kernel[] = {
	{.name = "core_pattern",
	 .mode = S_IFREG | 0644,
	 .show = core_show_pattern,
	 .store = core_store_pattern},
	{.name = "domainname", .mode = S_IFREG | 0644, .show = show_domainname, .store = store_domainname},
	{.name = "hostname", .mode = S_IFREG | 0644, .show = show_hostname, .store = store_hostname},
	{.name = "msg_next_id", .mode = S_IFREG | 0644, .setting = &msg_next_setting},
	{.name = "msgmax", .mode = S_IFREG | 0644, .setting = &message_most_setting},
	{.name = "msgmnb", .mode = S_IFREG | 0644, .setting = &queue_bytes_setting},
	{.name = "msgmni", .mode = S_IFREG | 0644, .setting = &msg_limit_setting},
	FILE_OF("osrelease", show_osrelease),
	FILE_OF("ostype", show_ostype),
	{.name = "pid_max", .mode = S_IFREG | 0644, .show = show_pid_max, .store = store_pid_max},
	{.name = "random", .mode = S_IFDIR | 0555, .children = sys_random},
	FILE_OF("randomize_va_space", show_zero),
	{.name = "sem", .mode = S_IFREG | 0644, .show = sysv_show_sem_limits, .store = sysv_store_sem_limits},
	{.name = "sem_next_id", .mode = S_IFREG | 0644, .setting = &sem_next_setting},
	{.name = "shm_next_id", .mode = S_IFREG | 0644, .setting = &shm_next_setting},
	{.name = "shmall", .mode = S_IFREG | 0644, .show = sysv_show_shmall, .store = sysv_store_shmall},
	{.name = "shmmax", .mode = S_IFREG | 0644, .show = sysv_show_shmmax, .store = sysv_store_shmmax},
	{.name = "shmmni", .mode = S_IFREG | 0644, .setting = &shm_limit_setting},
	FILE_OF("tainted", show_zero),
	FILE_OF("threads-max", show_threads_max),
	FILE_OF("version", show_kernel_version),
	{.name = NULL}};

static const struct proc_entry sys_vm[] = {
	{.name = "drop_caches", .mode = S_IFREG | 0200, .store = store_drop_caches},
	{.name = "max_map_count", .mode = S_IFREG | 0644, .setting = &max_map_count_setting},
	{.name = "min_free_kbytes", .mode = S_IFREG | 0644, .show = show_min_free, .store = store_min_free},
	FILE_OF("mmap_min_addr", show_mmap_min_addr),
	{.name = "nr_hugepages", .mode = S_IFREG | 0644, .show = show_zero, .store = store_huge_pages},
	{.name = "nr_overcommit_hugepages",
	 .mode = S_IFREG | 0644,
	 .show = show_zero,
	 .store = store_huge_pages},
	{.name = "overcommit_kbytes",
	 .mode = S_IFREG | 0644,
	 .show = commit_show_kbytes,
	 .store = commit_store_kbytes},
	{.name = "overcommit_memory", .mode = S_IFREG | 0644, .setting = &overcommit_setting},
	{.name = "overcommit_ratio",
	 .mode = S_IFREG | 0644,
	 .show = commit_show_ratio,
	 .store = commit_store_ratio},
	{.name = "panic_on_oom", .mode = S_IFREG | 0644, .setting = &panic_on_oom_setting},
	{.name = "swappiness", .mode = S_IFREG | 0644, .setting = &swappiness_setting},
	{.name = NULL}};

#define MQUEUE_SETTING(text, number)                                                          \
	{                                                                                     \
		.name = (text), .mode = S_IFREG | 0644, .setting = &mqueue_settings[(number)] \
	}

static const struct proc_entry sys_fs_mqueue[] = {
	MQUEUE_SETTING("msg_default", 0),     MQUEUE_SETTING("msg_max", 1),
	MQUEUE_SETTING("msgsize_default", 2), MQUEUE_SETTING("msgsize_max", 3),
	MQUEUE_SETTING("queues_max", 4),      {.name = NULL}};

static const struct proc_entry sys_fs[] = {
	{.name = "mqueue", .mode = S_IFDIR | 0555, .children = sys_fs_mqueue},
	{.name = "pipe-max-size", .mode = S_IFREG | 0644, .setting = &pipe_setting},
	{.name = NULL}};

static const struct proc_entry proc_pressure[] = {FILE_OF("memory", show_pressure), {.name = NULL}};

static const struct proc_entry sys[] = {{.name = "fs", .mode = S_IFDIR | 0555, .children = sys_fs},
					{.name = "kernel", .mode = S_IFDIR | 0555, .children = sys_kernel},
					{.name = "vm", .mode = S_IFDIR | 0555, .children = sys_vm},
					{.name = NULL}};

/* ---- The tables --------------------------------------------------------------------------------------------------------- */

const struct proc_entry proc_root[] = {
	FILE_OF("cmdline", show_cmdline),
	FILE_OF("cpuinfo", show_cpuinfo),
	FILE_OF("filesystems", show_filesystems),
	FILE_OF("loadavg", show_loadavg),
	FILE_OF("meminfo", show_meminfo),
	{.name = "mounts", .mode = S_IFLNK | 0777, .target = mounts_target},
	{.name = "pressure", .mode = S_IFDIR | 0555, .children = proc_pressure},
	{.name = "self", .mode = S_IFLNK | 0777, .target = self_target},
	{.name = "slabinfo", .mode = S_IFREG | 0400, .show = show_slabinfo},
	FILE_OF("stat", show_stat),
	{.name = "sys", .mode = S_IFDIR | 0555, .children = sys},
	{.name = "sysvipc", .mode = S_IFDIR | 0555, .children = proc_sysvipc},
	{.name = "thread-self", .mode = S_IFLNK | 0777, .target = thread_self_target},
	FILE_OF("swaps", show_swaps),
	FILE_OF("uptime", show_uptime),
	FILE_OF("version", show_version),
	FILE_OF("vmstat", show_vmstat),
	{.name = NULL},
};

/* /sys: nothing but what programs ask for, as to learn how many CPUs there are. */
static int show_first(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "0\n");
	return 0;
}

/* A CPU that cannot be taken out: nothing is said of it. */
static const struct proc_entry sys_cpu0[] = {{.name = NULL}};
static const struct proc_entry sys_cpu[] = {FILE_OF("online", show_first),
					    FILE_OF("possible", show_first),
					    FILE_OF("present", show_first),
					    {.name = "cpu0", .mode = S_IFDIR | 0555, .children = sys_cpu0},
					    {.name = NULL}};

/* All memory is one node's. */
static int show_cpu_mask(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "1\n");
	return 0;
}

static int show_distance(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "10\n"); /* that of a node to itself (ACPI, SLIT) */
	return 0;
}

static const struct proc_entry sys_node0[] = {FILE_OF("cpulist", show_first),
					      FILE_OF("cpumap", show_cpu_mask),
					      FILE_OF("distance", show_distance),
					      {.name = NULL}};
static const struct proc_entry sys_node[] = {FILE_OF("has_cpu", show_first),
					     FILE_OF("has_memory", show_first),
					     FILE_OF("has_normal_memory", show_first),
					     {.name = "node0", .mode = S_IFDIR | 0555, .children = sys_node0},
					     FILE_OF("online", show_first),
					     FILE_OF("possible", show_first),
					     {.name = NULL}};
static const struct proc_entry sys_system[] = {{.name = "cpu", .mode = S_IFDIR | 0555, .children = sys_cpu},
					       {.name = "node", .mode = S_IFDIR | 0555, .children = sys_node},
					       {.name = NULL}};
static const struct proc_entry sys_devices[] = {
	{.name = "system", .mode = S_IFDIR | 0555, .children = sys_system}, {.name = NULL}};

/* Merging of equal pages, which never runs: MADV_MERGEABLE is taken note of, as where it is not turned on. */
static const struct proc_entry sys_ksm[] = {FILE_OF("run", show_zero), {.name = NULL}};

/* Pages are small; MADV_HUGEPAGE makes writes fill several at once, and nothing else does. */
static int show_huge_enabled(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "always [madvise] never\n");
	return 0;
}

static int show_huge_defrag(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "always defer defer+madvise [madvise] never\n");
	return 0;
}

static int show_huge_shared(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	seq_print(seq, "always within_size advise [never] deny force\n");
	return 0;
}

static const struct proc_entry sys_huge[] = {FILE_OF("defrag", show_huge_defrag),
					     FILE_OF("enabled", show_huge_enabled),
					     FILE_OF("shmem_enabled", show_huge_shared),
					     {.name = NULL}};
/* A directory for each size of huge pages: there are none. */
static const struct proc_entry sys_huge_sizes[] = {{.name = NULL}};

static const struct proc_entry sys_mm[] = {
	{.name = "hugepages", .mode = S_IFDIR | 0555, .children = sys_huge_sizes},
	{.name = "ksm", .mode = S_IFDIR | 0555, .children = sys_ksm},
	{.name = "transparent_hugepage", .mode = S_IFDIR | 0555, .children = sys_huge},
	{.name = NULL}};
static const struct proc_entry sys_kernel_dir[] = {{.name = "mm", .mode = S_IFDIR | 0555, .children = sys_mm},
						   {.name = NULL}};

const struct proc_entry sys_root[] = {{.name = "devices", .mode = S_IFDIR | 0555, .children = sys_devices},
				      {.name = "kernel", .mode = S_IFDIR | 0555, .children = sys_kernel_dir},
				      {.name = NULL}};
