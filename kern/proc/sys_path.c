/*
 * System calls that open, make, remove and rename files by their paths.
 *
 * What they do is in kern/fs; here are their arguments.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <linux/fcntl.h>

#include "user_path.h"

/* ---- Paths ------------------------------------------------------------------------------------------------ */

int user_path_get(struct user_path *path, vaddr_t from)
{
	long length = copy_string_from_user(path->few, from, sizeof(path->few));

	path->page = NULL;
	path->text = path->few;
	if (length != -ENAMETOOLONG)
		return length < 0 ? (int)length : 0;
	path->page = page_alloc(PAGE_KERNEL, 0);
	if (!path->page)
		return -ENOMEM;
	path->text = page_data(path->page);
	length = copy_string_from_user(page_data(path->page), from, PATH_MAX);
	if (length < 0)
		user_path_put(path);
	return length < 0 ? (int)length : 0;
}

void user_path_put(struct user_path *path)
{
	if (path->page)
		page_free(path->page);
	path->page = NULL;
}

/* ---- open ---------------------------------------------------------------------------------------------------- */

static int64_t open_at(struct task *task, int directory, vaddr_t from, unsigned flags, unsigned mode)
{
	struct user_path path;
	struct file *file;
	int descriptor, error = user_path_get(&path, from);

	if (error)
		return error;
	descriptor = descriptor_reserve(task, 0);
	error = descriptor < 0 ? descriptor : fs_open(task, directory, path.text, flags, mode, &file);
	user_path_put(&path);
	if (!error)
		descriptor_fill(task, descriptor, file, flags);
	else if (descriptor >= 0)
		descriptor_cancel(task, descriptor);
	return error ? error : descriptor;
}

int64_t sys_open(struct task *task, struct trapframe *frame)
{
	return open_at(task, AT_FDCWD, frame->rdi, (unsigned)frame->rsi, (unsigned)frame->rdx);
}

int64_t sys_openat(struct task *task, struct trapframe *frame)
{
	return open_at(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx, (unsigned)frame->r10);
}

int64_t sys_creat(struct task *task, struct trapframe *frame)
{
	return open_at(task, AT_FDCWD, frame->rdi, O_CREAT | O_WRONLY | O_TRUNC, (unsigned)frame->rsi);
}

/* ---- mkdir, mknod, symlink -------------------------------------------------------------------------------------- */

static int64_t make_directory(struct task *task, int directory, vaddr_t from, unsigned mode)
{
	struct user_path path;
	int error = user_path_get(&path, from);

	if (!error) {
		error = fs_mkdir(task, directory, path.text, mode);
		user_path_put(&path);
	}
	return error;
}

int64_t sys_mkdir(struct task *task, struct trapframe *frame)
{
	return make_directory(task, AT_FDCWD, frame->rdi, (unsigned)frame->rsi);
}

int64_t sys_mkdirat(struct task *task, struct trapframe *frame)
{
	return make_directory(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx);
}

static int64_t make_node(struct task *task, int directory, vaddr_t from, unsigned mode, uint32_t rdev)
{
	struct user_path path;
	int error = user_path_get(&path, from);

	if (!error) {
		error = fs_mknod(task, directory, path.text, mode, rdev);
		user_path_put(&path);
	}
	return error;
}

int64_t sys_mknod(struct task *task, struct trapframe *frame)
{
	return make_node(task, AT_FDCWD, frame->rdi, (unsigned)frame->rsi, (uint32_t)frame->rdx);
}

int64_t sys_mknodat(struct task *task, struct trapframe *frame)
{
	return make_node(task, (int)frame->rdi, frame->rsi, (unsigned)frame->rdx, (uint32_t)frame->r10);
}

static int64_t make_link(struct task *task, vaddr_t target_from, int directory, vaddr_t from)
{
	struct user_path target, path;
	int error = user_path_get(&target, target_from);

	if (error)
		return error;
	error = user_path_get(&path, from);
	if (!error) {
		error = target.text[0] == '\0' ? -ENOENT
					       : fs_symlink(task, target.text, directory, path.text);
		user_path_put(&path);
	}
	user_path_put(&target);
	return error;
}

int64_t sys_symlink(struct task *task, struct trapframe *frame)
{
	return make_link(task, frame->rdi, AT_FDCWD, frame->rsi);
}

int64_t sys_symlinkat(struct task *task, struct trapframe *frame)
{
	return make_link(task, frame->rdi, (int)frame->rsi, frame->rdx);
}

/* ---- unlink, rmdir -------------------------------------------------------------------------------------------------- */

static int64_t remove_at(struct task *task, int directory, vaddr_t from, bool is_directory)
{
	struct user_path path;
	int error = user_path_get(&path, from);

	if (!error) {
		error = (is_directory ? fs_rmdir : fs_unlink)(task, directory, path.text);
		user_path_put(&path);
	}
	return error;
}

int64_t sys_unlink(struct task *task, struct trapframe *frame)
{
	return remove_at(task, AT_FDCWD, frame->rdi, false);
}

int64_t sys_rmdir(struct task *task, struct trapframe *frame)
{
	return remove_at(task, AT_FDCWD, frame->rdi, true);
}

int64_t sys_unlinkat(struct task *task, struct trapframe *frame)
{
	if (frame->rdx & ~(uint64_t)AT_REMOVEDIR)
		return -EINVAL;
	return remove_at(task, (int)frame->rdi, frame->rsi, frame->rdx & AT_REMOVEDIR);
}

/* ---- link, rename ------------------------------------------------------------------------------------------------------ */

static int64_t link_at(struct task *task, int from_directory, vaddr_t from, unsigned lookup, int directory,
		       vaddr_t to)
{
	struct user_path source, path;
	int error = user_path_get(&source, from);

	if (error)
		return error;
	error = user_path_get(&path, to);
	if (!error) {
		error = fs_link(task, from_directory, source.text, lookup, directory, path.text);
		user_path_put(&path);
	}
	user_path_put(&source);
	return error;
}

int64_t sys_link(struct task *task, struct trapframe *frame)
{
	return link_at(task, AT_FDCWD, frame->rdi, 0, AT_FDCWD, frame->rsi);
}

int64_t sys_linkat(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->r8;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return link_at(task, (int)frame->rdi, frame->rsi,
		       (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
			       (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
		       (int)frame->rdx, frame->r10);
}

static int64_t rename_at(struct task *task, int from_directory, vaddr_t from, int directory, vaddr_t to,
			 unsigned flags)
{
	struct user_path source, path;
	int error = user_path_get(&source, from);

	if (error)
		return error;
	error = user_path_get(&path, to);
	if (!error) {
		error = fs_rename(task, from_directory, source.text, directory, path.text, flags);
		user_path_put(&path);
	}
	user_path_put(&source);
	return error;
}

int64_t sys_rename(struct task *task, struct trapframe *frame)
{
	return rename_at(task, AT_FDCWD, frame->rdi, AT_FDCWD, frame->rsi, 0);
}

int64_t sys_renameat(struct task *task, struct trapframe *frame)
{
	return rename_at(task, (int)frame->rdi, frame->rsi, (int)frame->rdx, frame->r10, 0);
}

int64_t sys_renameat2(struct task *task, struct trapframe *frame)
{
	return rename_at(task, (int)frame->rdi, frame->rsi, (int)frame->rdx, frame->r10, (unsigned)frame->r8);
}
