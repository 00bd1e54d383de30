/*
 * What the files of /proc share with each other.
 */
#ifndef FS_PROC_INTERNAL_H
#define FS_PROC_INTERNAL_H

#include <kern/procfs.h>

int proc_show_maps(struct seq *seq, const struct proc_subject *subject);
int proc_show_mounts(struct seq *seq, const struct proc_subject *subject);
int proc_show_mountinfo(struct seq *seq, const struct proc_subject *subject);

#endif
