/*
 * Locks that programs put on files: fcntl's of processes and of open files, and flock's.
 */
#include "fs_internal.h"

void file_locks_destroy(struct inode *inode)
{
	(void)inode;
}

void file_locks_release(struct file *file)
{
	(void)file;
}

void file_locks_release_process(struct file *file, struct process *process)
{
	(void)file, (void)process;
}
