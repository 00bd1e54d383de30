/*
 * Linked lists and ordered trees for the kernel around the VM: BSD's macros, from the package libbsd-dev
 * (queue(3bsd), tree(3bsd)).
 */
#ifndef KERN_QUEUE_H
#define KERN_QUEUE_H

/* First: after what follows, which brings glibc's <features.h>, it would leave the S_... to glibc's headers. */
#include <linux/stat.h>
#include <stddef.h>

#ifndef __unused
#define __unused __attribute__((unused)) /* what <bsd/sys/tree.h> takes for granted */
#endif

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#endif
