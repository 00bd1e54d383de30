/*
 * Pipes, for the system calls that are about them (kern/proc/sys_pipe.c). The files themselves are kern/fs/pipe.c's; what fork and
 * dup do with them is any file's.
 */
#ifndef KERN_PIPE_H
#define KERN_PIPE_H

#include <kern/fs.h>

/* Makes slab caches, and tells kern/fs how FIFOs are opened; once. */
void pipes_init(void);

/* Makes a pipe: ends[0] to read, ends[1] to write, a reference each. `flags`: O_NONBLOCK, O_DIRECT (which has no effect). -ENOMEM, -ENFILE. */
int pipe_create(unsigned flags, struct file *ends[2]);

/* Is the file an end of a pipe or FIFO? */
bool file_is_pipe(const struct file *file);

/* Waits until so many bytes, PIPE_BUF at most, can be written at once, unless `nonblock`. 0; -EAGAIN, -ERESTARTSYS; -EPIPE, with the signal: nobody reads. */
int64_t pipe_await_room(struct file *file, uint64_t bytes, bool nonblock);

/*
 * Takes the pipe's contents for oneself, waiting until there are some, unless `nonblock`: other readers wait until pipe_peek_end, with the bytes that are to be taken
 * out. In between pipe_peek copies what is there from `offset` on into kernel memory: how many bytes, fewer at the end of what is there. pipe_peek_begin
 * returns how much is there; 0: the end; -EAGAIN, -ERESTARTSYS.
 */
int64_t pipe_peek_begin(struct file *file, bool nonblock);
size_t pipe_peek(struct file *file, uint64_t offset, void *to, size_t bytes);
void pipe_peek_end(struct file *file, uint64_t taken);

#endif
