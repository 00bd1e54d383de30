/*
 * System calls on directories: listing them, and where a process is.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <linux/fcntl.h>

#include "user_path.h"

/* ---- getdents ----------------------------------------------------------------------------------------------- */

/* getdents64(2)'s record; getdents(2)'s has its type in the last byte instead. */
struct record64 {
	uint64_t inode;
	int64_t next;
	uint16_t bytes;
	uint8_t type;
	char name[];
} __attribute__((packed));

struct record {
	uint64_t inode;
	int64_t next;
	uint16_t bytes;
	char name[];
} __attribute__((packed));

/* A user's buffer that is being filled. */
struct listing {
	vaddr_t to;
	uint64_t left;
	bool old;  /* getdents(2) */
	int error; /* the first */
	uint64_t done;
};

#define RECORD_ALIGN 8
#define RECORD_MOST  (sizeof(struct record64) + NAME_MAX + 2 + RECORD_ALIGN)

static int put_record(void *context, const char *name, size_t length, uint64_t inode, unsigned type,
		      uint64_t next)
{
	struct listing *listing = context;
	char bytes[RECORD_MOST] __attribute__((aligned(RECORD_ALIGN))) = {0};
	struct record64 *record = (struct record64 *)bytes;
	size_t head = listing->old ? sizeof(struct record) : sizeof(struct record64);
	size_t size = head + length + 1 + (listing->old ? 1 : 0);

	size = (size + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
	if (size > listing->left) {
		listing->error = listing->done > 0 ? 0 : -EINVAL;
		return 1;
	}
	record->inode = inode;
	record->next = (int64_t)next;
	record->bytes = (uint16_t)size;
	record->type = (uint8_t)type;
	memcpy(bytes + head, name, length);
	bytes[head + length] = '\0';
	if (listing->old)
		bytes[size - 1] = (char)type;
	if (copy_to_user(listing->to, bytes, size) != 0) {
		listing->error = listing->done > 0 ? 0 : -EFAULT;
		return 1;
	}
	listing->to += size;
	listing->left -= size;
	listing->done += size;
	return 0;
}

static int64_t list(struct task *task, const struct trapframe *frame, bool old)
{
	struct listing listing = {.to = frame->rsi, .left = (unsigned)frame->rdx, .old = old};
	struct file *file = descriptor_get(task, (int)frame->rdi);
	int error = 0;

	if (!file)
		return -EBADF;
	if (!file->ops->readdir) {
		error = -ENOTDIR;
	} else if (S_ISDIR(file->inode->mode) && file->inode->links == 0) {
		error = -ENOENT;
	} else {
		mutex_lock(&file->lock);
		error = file->ops->readdir(file, &file->position, put_record, &listing);
		mutex_unlock(&file->lock);
	}
	file_unref(file);
	if (listing.error || listing.done > 0)
		error = listing.error;
	else if (error > 0)
		error = 0;
	return error ? error : (int64_t)listing.done;
}

int64_t sys_getdents(struct task *task, struct trapframe *frame)
{
	return list(task, frame, true);
}

int64_t sys_getdents64(struct task *task, struct trapframe *frame)
{
	return list(task, frame, false);
}

/* ---- Where a process is --------------------------------------------------------------------------------------- */

static int64_t go(struct task *task, vaddr_t from, int (*change)(struct task *, const struct path *))
{
	struct user_path path;
	struct path found;
	int error = user_path_get(&path, from);

	if (error)
		return error;
	error = path_lookup(task, AT_FDCWD, path.text, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &found);
	user_path_put(&path);
	if (error)
		return error;
	error = change(task, &found);
	path_release(&found);
	return error;
}

int64_t sys_chdir(struct task *task, struct trapframe *frame)
{
	return go(task, frame->rdi, fs_change_directory);
}

int64_t sys_chroot(struct task *task, struct trapframe *frame)
{
	return go(task, frame->rdi, fs_change_root);
}

int64_t sys_fchdir(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get_any(task, (int)frame->rdi);
	int64_t error;

	if (!file)
		return -EBADF;
	error = fs_change_directory(task, &(struct path){file->name, file->inode});
	file_unref(file);
	return error;
}

int64_t sys_getcwd(struct task *task, struct trapframe *frame)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	int64_t length;

	if (!page)
		return -ENOMEM;
	length = fs_current_directory(task, page_data(page), PAGE_SIZE);
	if (length > 0 && (uint64_t)length > frame->rsi)
		length = -ERANGE;
	if (length > 0 && copy_to_user(frame->rdi, page_data(page), (size_t)length) != 0)
		length = -EFAULT;
	page_free(page);
	return length;
}

int64_t sys_umask(struct task *task, struct trapframe *frame)
{
	return fs_set_umask(task, (uint32_t)frame->rdi);
}
