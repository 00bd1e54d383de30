/*
 * Promises: memory that may come to be needed, and that a call is about to promise (kern/proc/commit.c).
 */
#ifndef KERN_COMMIT_H
#define KERN_COMMIT_H

#include <vm/vm.h>

/*
 * commit_begin: -ENOMEM where the rules forbid it; else the pages are held until commit_end(), after they have come to count in vm_promised_pages(),
 * or have not. A commitment that was not begun is {0}. No lock is needed.
 */
struct commitment {
	pgoff_t pages; /* that are held */
};
int commit_begin(struct commitment *commitment, pgoff_t pages);
void commit_end(struct commitment *commitment);

/* Is every promise to be kept (vm.overcommit_memory 2)? */
bool commit_is_strict(void);

/* As many pages may come to be in a blob that is shared, more or fewer than it was promised before. -ENOMEM: more are forbidden, and it is as it was. */
int commit_shared(struct blob *blob, pgoff_t pages);

#endif
