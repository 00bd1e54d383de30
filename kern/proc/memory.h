/*
 * What the system calls on memory share: placing new mappings, limits, and going through the mappings of a range.
 *
 * Implemented in memory.c. All of them are called with the user space's lock held, but for those that say otherwise.
 */
#ifndef PROC_MEMORY_H
#define PROC_MEMORY_H

#include <kern/commit.h>
#include <kern/proc.h>

#include "syscall.h"

/* Mappings that go below 2 GB without MAP_FIXED go no lower than this, as Linux's mmap_min_addr. */
#define LOWEST_WISH 0x10000ul

/* What mprotect(2) may be asked for, PROT_GROWSDOWN apart. */
#define KNOWN_PROT (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)

/* As Linux on x86: what may be written or executed may be read. */
vm_prot_t protection_of(uint64_t prot);

/* ---- Placing ---------------------------------------------------------------------------------------- */

/* A window of a blob on its way to a place. */
struct request {
	struct blob *blob;
	pgoff_t offset, pages; /* the window */
	struct mapping how;
	vaddr_t at; /* where it has come to be */
};

/*
 * Puts an overlay of all of the blob that follows the window's start in the blob's place, whose reference it gives back: the window can
 * grow. After an error the request is as it was.
 */
int request_overlay(struct request *request);

/*
 * Maps at the address, or fails: -EEXIST if anything is there, or another process's arena, or the kernel, and `flags` has no PLACE_REPLACE.
 * Where the program has no arena at an address of global data space it gets one. -EINVAL: unaligned; -EPERM: the guard page, or the
 * kernel's; -ENOMEM: above user space, or with PLACE_REPLACE where others are.
 */
int map_exactly(struct user_space *space, struct request *request, vaddr_t address, unsigned flags);

/* Maps in the low 2 GB, where what is mapped from files goes; or in the process's arenas. -ENOMEM. */
int map_in_low_memory(struct user_space *space, struct request *request);
int map_in_arenas(struct user_space *space, struct request *request);

/* Tries the hint first, if it is one; then the low 2 GB, if `low`, and, if not `low_only`, the arenas. */
struct preference {
	vaddr_t hint; /* 0: none */
	bool low, low_only;
};
int map_anywhere(struct user_space *space, struct request *request, const struct preference *wish);

/* ---- Limits ------------------------------------------------------------------------------------------- */

/*
 * As many mappings as a process may have are not made more by cutting one up: -ENOMEM where an end of [start, end) lies within one, and there are
 * so many (vm.max_map_count); `removed`: what is between goes, so that only one that is longer at both ends becomes two.
 */
int check_cuts(struct process *process, vaddr_t start, vaddr_t end, bool removed);

/* May the process have `pages` more of address space, `data` of which are private and writable? 0, or -ENOMEM. */
int check_space(struct process *process, pgoff_t pages, pgoff_t data);

/* May what of the range is private become writable? 0, or -ENOMEM. */
int check_write(struct process *process, vaddr_t start, vaddr_t end);

/* May a stack grow, as far as promises go (<kern/commit.h>)? */
bool commit_allows_stack(void);

/* Begins a commitment for a copy of all that a root maps, and for what becomes writable of a range. */
int commit_begin_copy(struct commitment *commitment, struct map *root);
int commit_begin_write(struct commitment *commitment, struct user_space *space, vaddr_t start, vaddr_t end);

/* May it lock memory at all? 0, or -EPERM. And `pages` more? -`error` if not. */
int check_may_lock(struct task *task);
int check_locked(struct task *task, pgoff_t pages, int error);

/* The space of a process (0: the caller's) that the caller may look into, with a reference. 0, -ESRCH, -EPERM. No lock is needed for it. */
int space_of_process(struct task *task, int pid, struct user_space **out);

/* ---- Ranges ------------------------------------------------------------------------------------------- */

/*
 * Calls `visit` for each mapping in [start, end), with its part of the range, until it returns an error. `found` is valid for the
 * call. -ENOMEM if there are holes and no call returned an error: all the mappings have been visited then, as Linux does.
 * No lock is needed for it.
 */
typedef int range_visitor(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
			  void *context);
int range_visit(struct user_space *space, vaddr_t start, vaddr_t end, range_visitor *visit, void *context);

/* What `found`, a private mapping of a file, has at [start, start + bytes) is replaced by what the file shows there: a new overlay. An error, and nothing was changed (sys_madvise.c). */
int show_file_again(struct user_space *space, vaddr_t start, uint64_t bytes, const struct lookup *found,
		    struct file *file);

/* The pages of [start, end) that are in wired mappings. */
pgoff_t range_wired(struct user_space *space, vaddr_t start, vaddr_t end);

/* Those that are private and may not be written; `stacks`: what grows down, too. */
pgoff_t range_unwritable(struct user_space *space, vaddr_t start, vaddr_t end, bool stacks);

#endif
