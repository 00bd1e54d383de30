/*
 * What Phoenix and its programs agree on beyond the Linux ABI: system calls of its own, and how
 * the boot archive says what to run. Kernel and user programs include this same file; it needs
 * nothing but fixed-width integers. tools/lib/Archive.pm writes the archive that is described here.
 *
 * The boot archive is a cpio "newc" archive (cpio(5), "New ASCII Format"), the loader's first module: the root
 * file system as it is at the start. Its members are directories, files, symbolic links (the contents are
 * the target, without a NUL), device nodes, FIFOs and sockets, with the permissions, owners and times that they
 * are to have. Names have no leading "/" or "./" and no ".."; a directory comes before what is in it, and the
 * root directory is not among them. Members with the same inode and device numbers and a link count
 * above 1 are one file (hard links): they follow each other, and one of them, in archives of ours the first, has the
 * contents, which the others lack (size 0). A file's name field is padded with NULs so that its contents begin at a multiple of
 * 4096 bytes in the archive: the kernel lends those pages to the program. Two files in it are for the kernel:
 *
 *   .phoenix/args   the first program's argv, argv[0] included: each string ends with a NUL
 *   .phoenix/env    its environment, the same way: "NAME=VALUE"
 *
 * and the command line's init=PATH says which file is the first program.
 */
#ifndef KERN_PHOENIX_ABI_H
#define KERN_PHOENIX_ABI_H

#include <stdint.h>

#define PHOENIX_ARGS_FILE "/.phoenix/args"
#define PHOENIX_ENV_FILE  "/.phoenix/env"

/*
 * Phoenix's own system calls: numbers from 0x5000, where Linux has none, and the same registers
 * and error convention as Linux's.
 */
#define PHOENIX_SYS_MAP_LIST 0x5000
#define PHOENIX_SYS_VM_STATS 0x5001
#define PHOENIX_SYS_EXPLAIN  0x5002

/*
 * long map_list(int pid, char *buffer, size_t bytes)
 *
 * Writes a process's map tree (0: the caller's) as text: a line for each entry, in address order, a submap
 * before what is in it. Each line is
 *
 *   START-END PROT KIND RESIDENT NAME
 *
 * START and END (exclusive) in 12 hexadecimal digits; PROT "rwx" with '-' for a missing right; KIND
 * "reserved", "blob", "entity" or "submap", padded to 8 characters; RESIDENT the pages of a blob entry that
 * are in memory, in decimal, padded to 7 ("-" for other kinds); NAME after two spaces for each level of depth.
 * Returns the length of the whole text, which is cut at `bytes` where it is longer (no NUL is added):
 * a second call with a larger buffer then has it all. -EFAULT: bad buffer; -ESRCH: no such process, or it has no memory any
 * more; -EPERM: another user's; -ENOMEM.
 */

/*
 * long explain(int pid, unsigned long address, unsigned access, char *buffer, size_t bytes)
 *
 * Writes one line, without a newline but with a NUL, that says what an access (PHOENIX_READ, _WRITE or _EXEC) of the process (0: the
 * caller) at the address meets: the maps, the entry and its rights, the page's state, its translation, what the access would do. Longer lines are cut.
 * 0: the access would succeed; 1: it would not. -EFAULT: bad buffer; -EINVAL: no such access, or no room; -ESRCH, -EPERM as map_list.
 */
#define PHOENIX_READ  1
#define PHOENIX_WRITE 2
#define PHOENIX_EXEC  4

/* Index of phoenix_vm_stats.faults; the same order as enum fault_case. */
#define PHOENIX_FAULT_ZERO_FILL  0
#define PHOENIX_FAULT_ZERO_PAGE  1
#define PHOENIX_FAULT_RESIDENT   2
#define PHOENIX_FAULT_PAGE_IN    3
#define PHOENIX_FAULT_COPY       4
#define PHOENIX_FAULT_UPGRADE    5
#define PHOENIX_FAULT_RESERVED   6
#define PHOENIX_FAULT_PROTECTION 7
#define PHOENIX_FAULT_NO_ENTRY   8
#define PHOENIX_FAULT_BEYOND     9
#define PHOENIX_FAULT_CASES      10

/*
 * long vm_stats(struct phoenix_vm_stats *out, size_t bytes)
 *
 * Writes the first `bytes` of the structure. 0; -EINVAL: `bytes` is more than the kernel's structure has; -EFAULT.
 */
struct phoenix_vm_stats {
	uint64_t faults[PHOENIX_FAULT_CASES]; /* in the whole system since boot */
	uint64_t ram_pages;                   /* frames that are RAM */
	uint64_t free_pages;                  /* of them, free now */
	uint64_t resident_pages;              /* translations in the caller's page tables, user space */
	uint64_t table_pages;                 /* page-table pages of the caller, the top level included */
	uint64_t swap_pages, swap_used;       /* what devices that are paged to can take, and have */
	uint64_t pages_in, pages_out;         /* moved from and to them since boot */
	uint64_t scanned,
		given_up; /* pages that were looked at for being given up, and that were, since boot */
	uint64_t runnable, stalled; /* threads that are runnable now, and that wait for memory */
};

#endif
