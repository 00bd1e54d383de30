/*
 * What the files of /proc share with each other.
 */
#ifndef FS_PROC_INTERNAL_H
#define FS_PROC_INTERNAL_H

#include <kern/procfs.h>

/*
 * The first mapping from `at` on, with those that go on where it ends as if they were one: as map_lookup_from. What of it says a blob is the first one's.
 */
int proc_lookup_joined(struct user_space *space, vaddr_t at, struct lookup *out);

/* A mapping's line in maps; `path`: room for PATH_MAX bytes. */
void proc_show_mapping(struct seq *seq, const struct lookup *found, char *path);

int proc_show_smaps(struct seq *seq, const struct proc_subject *subject);

/* Which process ends first when memory runs out (proc_oom.c). */
int proc_show_oom_adj(struct seq *seq, const struct proc_subject *subject);
int proc_store_oom_adj(const struct proc_subject *subject, char *text, size_t bytes);
int proc_show_oom_score(struct seq *seq, const struct proc_subject *subject);
int proc_show_oom_score_adj(struct seq *seq, const struct proc_subject *subject);
int proc_store_oom_score_adj(const struct proc_subject *subject, char *text, size_t bytes);
int64_t proc_read_pagemap(const struct proc_subject *subject, struct io *io, uint64_t position);

int proc_show_maps(struct seq *seq, const struct proc_subject *subject);
int proc_show_mounts(struct seq *seq, const struct proc_subject *subject);
int proc_show_mountinfo(struct seq *seq, const struct proc_subject *subject);

#endif
