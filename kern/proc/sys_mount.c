/*
 * System calls on file systems: mount, umount, statfs; and those for handles of files, which there are none of.
 */
#include <asm/errno.h>
#include <asm/statfs.h>
#include <kern/inode.h>
#include <linux/fcntl.h>
#include <linux/mount.h>

#include "user_path.h"

/* ---- statfs ----------------------------------------------------------------------------------------------------- */

static int64_t put_statfs(struct filesystem *fs, vaddr_t to)
{
	struct statfs said;

	filesystem_stat(fs, &said);
	return copy_to_user(to, &said, sizeof(said));
}

int64_t sys_statfs(struct task *task, struct trapframe *frame)
{
	struct user_path path;
	struct path found;
	int64_t error = user_path_get(&path, frame->rdi);

	if (error)
		return error;
	error = path_lookup(task, AT_FDCWD, path.text, LOOKUP_FOLLOW, &found);
	user_path_put(&path);
	if (error)
		return error;
	error = put_statfs(found.inode->fs, frame->rsi);
	path_release(&found);
	return error;
}

int64_t sys_fstatfs(struct task *task, struct trapframe *frame)
{
	struct file *file = descriptor_get_any(task, (int)frame->rdi);
	int64_t error;

	if (!file)
		return -EBADF;
	error = put_statfs(file->inode->fs, frame->rsi);
	file_unref(file);
	return error;
}

/* ---- mount -------------------------------------------------------------------------------------------------------- */

#define OPTIONS_BYTES 256
#define TYPE_BYTES    32

/* What mount(2) gets, copied in. */
struct mount_request {
	struct user_path source, target;
	char type[TYPE_BYTES];
	char options[OPTIONS_BYTES];
};

/* A string that may be missing: it is empty then. -EFAULT, -EINVAL: too long. */
static int copy_option(char *to, vaddr_t from, size_t bytes)
{
	long length = 0;

	to[0] = '\0';
	if (from)
		length = copy_string_from_user(to, from, bytes);
	return length == -ENAMETOOLONG ? -EINVAL : length < 0 ? (int)length : 0;
}

static int64_t mount_what(struct task *task, const struct mount_request *request, uint64_t flags)
{
	const uint64_t propagation = MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED;
	const struct filesystem_type *type;
	struct path found;
	int error;

	if (flags & MS_REMOUNT)
		return fs_remount(task, request->target.text, (uint32_t)flags);
	/* Mounts are one process's as all others': there is nothing to tell anybody. */
	if (flags & propagation) {
		error = path_lookup(task, AT_FDCWD, request->target.text, LOOKUP_FOLLOW, &found);
		if (!error)
			path_release(&found);
		return error;
	}
	if (flags & (MS_BIND | MS_MOVE))
		return -EINVAL;
	if (request->type[0] == '\0')
		return -EINVAL;
	type = filesystem_type_find(request->type);
	if (!type)
		return -ENODEV;
	return fs_mount(task, type, request->source.text, request->target.text, (uint32_t)flags,
			request->options);
}

int64_t sys_mount(struct task *task, struct trapframe *frame)
{
	struct mount_request request;
	int64_t error;

	if (!task_is_privileged(task))
		return -EPERM;
	error = copy_option(request.type, frame->rdx, sizeof(request.type));
	if (error)
		return error;
	error = copy_option(request.options, frame->r8, sizeof(request.options));
	if (error)
		return error;
	error = user_path_get(&request.target, frame->rsi);
	if (error)
		return error;
	request.source = (struct user_path){.text = "none"};
	if (frame->rdi)
		error = user_path_get(&request.source, frame->rdi);
	if (!error) {
		error = mount_what(task, &request, frame->r10);
		user_path_put(&request.source);
	}
	user_path_put(&request.target);
	return error;
}

int64_t sys_umount2(struct task *task, struct trapframe *frame)
{
	struct user_path path;
	int64_t error;

	if (!task_is_privileged(task))
		return -EPERM;
	error = user_path_get(&path, frame->rdi);
	if (error)
		return error;
	error = fs_umount(task, path.text, (unsigned)frame->rsi);
	user_path_put(&path);
	return error;
}

/* ---- Handles of files ----------------------------------------------------------------------------------------------- */

int64_t sys_name_to_handle_at(struct task *task, struct trapframe *frame)
{
	(void)task, (void)frame;
	return -EOPNOTSUPP;
}
