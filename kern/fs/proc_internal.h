/*
 * What the files of /proc share with each other.
 */
#ifndef FS_PROC_INTERNAL_H
#define FS_PROC_INTERNAL_H

#include <kern/procfs.h>

/*
 * A process's mappings, as a `list` whose numbers are addresses: a line of maps for each, and what `show_more` (or NULL) says of it. SEQ_*; -ENOMEM.
 */
typedef void (*proc_show_mapping_fn)(struct seq *seq, struct user_space *space, const struct lookup *found);
int proc_list_mappings(struct seq *seq, const struct proc_subject *subject, vaddr_t *at,
		       proc_show_mapping_fn show_more);
int proc_list_maps(struct seq *seq, const struct proc_subject *subject, uint64_t *at);
int proc_list_smaps(struct seq *seq, const struct proc_subject *subject, uint64_t *at);

/* Which process ends first when memory runs out (proc_oom.c). */
int proc_show_oom_adj(struct seq *seq, const struct proc_subject *subject);
int proc_store_oom_adj(const struct proc_subject *subject, char *text, size_t bytes);
int proc_show_oom_score(struct seq *seq, const struct proc_subject *subject);
int proc_show_oom_score_adj(struct seq *seq, const struct proc_subject *subject);
int proc_store_oom_score_adj(const struct proc_subject *subject, char *text, size_t bytes);
int proc_store_clear_refs(const struct proc_subject *subject, char *text, size_t bytes);
int64_t proc_read_pagemap(const struct proc_subject *subject, struct io *io, uint64_t position);

int proc_show_mounts(struct seq *seq, const struct proc_subject *subject);
int proc_show_mountinfo(struct seq *seq, const struct proc_subject *subject);

#endif
