/*
 * Paths that programs give to system calls, copied in.
 */
#ifndef PROC_USER_PATH_H
#define PROC_USER_PATH_H

#include <linux/limits.h>
#include <vm/page.h>

#include "syscall.h"

#define PATH_ON_STACK 160 /* most paths are shorter; others get a page */

struct user_path {
	const char *text;
	struct page *page; /* NULL: it is in `few` */
	char few[PATH_ON_STACK];
};

/* Copies a path in. -EFAULT, -ENAMETOOLONG (PATH_MAX and longer), -ENOMEM. */
int user_path_get(struct user_path *path, vaddr_t from);
void user_path_put(struct user_path *path);

#endif
