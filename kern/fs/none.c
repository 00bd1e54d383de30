/*
 * What processes share and copy of files where there is no file system: nothing.
 */
#include <kern/fs.h>

int file_table_copy(struct file_table *table, struct file_table **out)
{
	*out = table;
	return 0;
}

void file_table_ref(struct file_table *table)
{
	(void)table;
}

void file_table_unref(struct file_table *table, struct process *process)
{
	(void)table, (void)process;
}

void file_table_close_on_exec(struct file_table *table, struct process *process)
{
	(void)table, (void)process;
}

int fs_context_copy(struct fs_context *context, struct fs_context **out)
{
	*out = context;
	return 0;
}

void fs_context_ref(struct fs_context *context)
{
	(void)context;
}

void fs_context_unref(struct fs_context *context)
{
	(void)context;
}
