/*
 * Paths: from a text to a name and an inode, with the caller's rights and root.
 *
 * A walk goes from name to name with names_lock held; it needs no user memory, and waits for nothing but memory. Symbolic links are followed by
 * putting their target before what is left of the path, in a page of the walk's own. Who makes or removes names walks to the last component's
 * directory (walk_to_parent) with the lock held to write, and so nothing changes in between.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <vm/page.h>

#include "fs_internal.h"
#include "walk.h"

#define LINKS_MAX 40 /* as Linux: symbolic links in a path, one way or another */

struct name *root_name;

static struct slab_cache context_cache;

void paths_init(void)
{
	slab_cache_init(&context_cache, "fs context", sizeof(struct fs_context));
}

/* ---- Contexts -------------------------------------------------------------------------------------------- */

int fs_context_create(struct fs_context **out)
{
	struct fs_context *context = slab_alloc(&context_cache);

	if (!context)
		return -ENOMEM;
	*context = (struct fs_context){
		.refs = 1, .umask = 022, .root = name_ref(root_name), .directory = name_ref(root_name)};
	*out = context;
	return 0;
}

int fs_context_copy(struct fs_context *context, struct fs_context **out)
{
	struct fs_context *copy = slab_alloc(&context_cache);

	if (!copy)
		return -ENOMEM;
	rw_read_lock(&names_lock);
	*copy = (struct fs_context){.refs = 1,
				    .umask = context->umask,
				    .root = name_ref(context->root),
				    .directory = name_ref(context->directory)};
	rw_read_unlock(&names_lock);
	*out = copy;
	return 0;
}

void fs_context_ref(struct fs_context *context)
{
	context->refs++;
}

void fs_context_unref(struct fs_context *context)
{
	if (--context->refs > 0)
		return;
	name_unref(context->root);
	name_unref(context->directory);
	slab_free(&context_cache, context);
}

/* ---- Rights ------------------------------------------------------------------------------------------------ */

static const struct rights kernel_rights = {
	.overrides = true, .searches = true, .owns = true, .sets_id = true};

static bool has(uint64_t capabilities, int capability)
{
	return capabilities >> capability & 1;
}

static struct rights rights_from(const struct credentials *credentials, uint32_t uid, uint32_t gid,
				 uint64_t capabilities)
{
	return (struct rights){.credentials = credentials,
			       .uid = uid,
			       .gid = gid,
			       .overrides = has(capabilities, CAP_DAC_OVERRIDE),
			       .searches = has(capabilities, CAP_DAC_READ_SEARCH),
			       .owns = has(capabilities, CAP_FOWNER),
			       .sets_id = has(capabilities, CAP_FSETID)};
}

struct rights rights_of(struct task *task)
{
	const struct credentials *credentials;

	if (!task)
		return kernel_rights;
	credentials = &task->process->credentials;
	return rights_from(credentials, credentials->user.files, credentials->group.files,
			   credentials->usable);
}

/* access(2): of the real ids, and with root's capabilities only if that is the real user. */
static struct rights real_rights_of(struct task *task)
{
	const struct credentials *credentials = &task->process->credentials;

	return rights_from(credentials, credentials->user.real, credentials->group.real,
			   credentials->user.real == 0 ? credentials->permitted : 0);
}

bool rights_in_group(const struct rights *rights, uint32_t gid)
{
	return rights->gid == gid || (rights->credentials && credentials_in_group(rights->credentials, gid));
}

bool rights_own(const struct rights *rights, const struct inode *inode)
{
	return rights->owns || rights->uid == inode->uid;
}

bool inode_mounted_with(const struct inode *inode, uint32_t flag)
{
	return inode->fs->mount_flags & flag;
}

static bool is_read_only(const struct inode *inode)
{
	return inode_mounted_with(inode, MS_RDONLY) && (S_ISREG(inode->mode) || S_ISDIR(inode->mode));
}

int rights_check(const struct rights *rights, struct inode *inode, unsigned access)
{
	uint32_t mode = inode->mode, granted = mode;

	if (access & MAY_WRITE && is_read_only(inode))
		return -EROFS;
	if (access & MAY_EXECUTE && S_ISREG(mode) && inode_mounted_with(inode, MS_NOEXEC))
		return -EACCES;
	if (rights->overrides) {
		bool executable = S_ISDIR(mode) || mode & (S_IXUSR | S_IXGRP | S_IXOTH);

		return access & MAY_EXECUTE && !executable ? -EACCES : 0;
	}
	if (rights->searches) /* and reads */
		access &= S_ISDIR(mode) ? ~(MAY_READ | MAY_EXECUTE) : ~MAY_READ;
	if (inode->uid == rights->uid)
		granted >>= 6;
	else if (rights_in_group(rights, inode->gid))
		granted >>= 3;
	return access & ~granted & (MAY_READ | MAY_WRITE | MAY_EXECUTE) ? -EACCES : 0;
}

int inode_permission(struct task *task, struct inode *inode, unsigned access)
{
	struct rights rights = rights_of(task);

	return rights_check(&rights, inode, access);
}

int inode_permission_as(struct task *task, struct inode *inode, unsigned access, bool real)
{
	struct rights rights = real ? real_rights_of(task) : rights_of(task);

	return rights_check(&rights, inode, access);
}

/* ---- The walk ------------------------------------------------------------------------------------------------ */

void path_release(struct path *path)
{
	name_unref(path->name);
	inode_unref(path->inode);
	*path = (struct path){NULL, NULL};
}

/* Puts the walk to a name; takes over the reference. */
static void put_at(struct walk *walk, struct name *name)
{
	struct name *before = walk->at;

	walk->at = name;
	name_unref(before);
}

static struct name *root_of(struct task *task)
{
	return task ? task->context->root : root_name;
}

/* Where a relative path begins: a directory's name with a reference. */
static int start_of(struct task *task, int directory, struct name **out)
{
	struct file *file;
	int error = 0;

	if (directory == AT_FDCWD || !task) {
		*out = name_ref(task ? task->context->directory : root_name);
		return 0;
	}
	file = descriptor_get_any(task, directory);
	if (!file)
		return -EBADF;
	if (!file->name || !S_ISDIR(file->inode->mode))
		error = -ENOTDIR;
	else
		*out = name_ref(file->name);
	file_unref_later(file);
	return error;
}

int walk_begin(struct walk *walk, struct task *task, int directory, const char *path)
{
	*walk = (struct walk){.task = task, .rest = path, .rights = rights_of(task)};
	if (path[0] == '\0')
		return -ENOENT;
	if (path[0] != '/')
		return start_of(task, directory, &walk->at);
	walk->at = name_ref(name_top(root_of(task)));
	return 0;
}

void walk_end(struct walk *walk)
{
	name_unref(walk->at);
	path_release(&walk->found);
	if (walk->page)
		page_free(walk->page);
}

/* Takes the next component off the path into walk->last. False: there is none. */
static bool next_component(struct walk *walk)
{
	const char *at = walk->rest;

	while (*at == '/')
		at++;
	walk->last = at;
	while (*at != '/' && *at != '\0')
		at++;
	walk->length = (size_t)(at - walk->last);
	walk->slash = *at == '/';
	while (*at == '/')
		at++;
	walk->rest = at;
	return walk->length > 0;
}

static bool last_is(const struct walk *walk, const char *text)
{
	return walk->length == strlen(text) && memcmp(walk->last, text, walk->length) == 0;
}

/* May the walk go on in the directory that it is at? */
static int enter_directory(struct walk *walk)
{
	struct inode *inode = walk->at->inode;

	if (!S_ISDIR(inode->mode))
		return -ENOTDIR;
	return rights_check(&walk->rights, inode, MAY_EXECUTE);
}

/* The name that walk->last leads to, with a reference. -ENOENT, and what making it needs. */
static int child_of(struct walk *walk, struct name **out)
{
	struct name *at = walk->at, *child;

	if (last_is(walk, "."))
		child = at;
	else if (last_is(walk, ".."))
		child = at == name_top(root_of(walk->task)) ? at : name_above(at);
	else if (walk->length > NAME_MAX)
		return -ENAMETOOLONG;
	else
		child = name_child(at, walk->last, walk->length);
	if (!child)
		return at->inode->ops->lookup ? at->inode->ops->lookup(at, walk->last, walk->length, out)
					      : -ENOENT;
	*out = name_ref(name_top(child));
	return 0;
}

/* The path goes on with a link's target and what came after the link. */
static int follow_text(struct walk *walk, struct inode *link)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	size_t rest = strlen(walk->rest);
	int64_t length;
	char *text;

	if (!page)
		return -ENOMEM;
	text = page_data(page);
	length = link->ops->readlink(link, walk->task, text, PAGE_SIZE);
	if (length >= 0 && (uint64_t)length + rest + 2 > PAGE_SIZE)
		length = -ENAMETOOLONG;
	if (length == 0)
		length = -ENOENT;
	if (length < 0) {
		page_free(page);
		return (int)length;
	}
	text[length] = '\0';
	if (walk->slash)
		text[length++] = '/';
	memcpy(text + length, walk->rest, rest + 1);
	if (walk->page)
		page_free(walk->page);
	walk->page = page;
	walk->rest = text;
	if (text[0] == '/')
		put_at(walk, name_ref(name_top(root_of(walk->task))));
	return 0;
}

/*
 * Follows a symbolic link that the walk has met: 0, and the path goes on with its target; or 1, and walk->found is what it leads to
 * by itself.
 */
static int follow(struct walk *walk, struct inode *link)
{
	int error;

	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	inode_touch_accessed(link);
	if (!link->ops->follow)
		return follow_text(walk, link);
	error = link->ops->follow(link, walk->task, &walk->found);
	return error ? error : 1;
}

/* Is this the last component? What comes after it is slashes at most. */
static bool is_last(const struct walk *walk)
{
	return *walk->rest == '\0';
}

/* Goes on to a child, which is not the last component; takes over the reference. */
static int pass_through(struct walk *walk, struct name *child)
{
	int status = 0;

	if (!S_ISLNK(child->inode->mode)) {
		put_at(walk, child);
		return 0;
	}
	status = follow(walk, child->inode);
	name_unref(child);
	if (status != 1)
		return status;
	if (!walk->found.name)
		return -ENOTDIR;
	put_at(walk, name_ref(walk->found.name));
	path_release(&walk->found);
	return 0;
}

int walk_to_parent(struct walk *walk)
{
	while (next_component(walk)) {
		struct name *child;
		int error = enter_directory(walk);

		if (error || is_last(walk))
			return error;
		error = child_of(walk, &child);
		if (!error)
			error = pass_through(walk, child);
		if (error)
			return error;
	}
	return 0;
}

/* The path has no component that is left: it is where the walk is. */
static void find_here(struct walk *walk)
{
	walk->found = (struct path){name_ref(walk->at), inode_ref(walk->at->inode)};
}

static int check_kind(const struct walk *walk, unsigned flags)
{
	bool directory = flags & LOOKUP_DIRECTORY || (walk->length > 0 && walk->slash);

	return directory && !S_ISDIR(walk->found.inode->mode) ? -ENOTDIR : 0;
}

int walk_to_child(struct walk *walk, unsigned flags)
{
	for (;;) {
		struct name *child;
		int status;

		walk->missing = false;
		if (walk->length == 0) {
			find_here(walk);
			return check_kind(walk, flags);
		}
		status = child_of(walk, &child);
		walk->missing = status == -ENOENT;
		if (status)
			return status;
		if (!S_ISLNK(child->inode->mode) || !(flags & LOOKUP_FOLLOW || walk->slash)) {
			walk->found = (struct path){child, inode_ref(child->inode)};
			return check_kind(walk, flags);
		}
		status = follow(walk, child->inode);
		name_unref(child);
		if (status == 1)
			return check_kind(walk, flags);
		if (status == 0)
			status = walk_to_parent(walk);
		if (status)
			return status;
	}
}

/* What a descriptor is of, for an empty path. */
static int lookup_descriptor(struct task *task, int directory, struct path *out)
{
	struct file *file;

	if (directory == AT_FDCWD || !task) {
		rw_read_lock(&names_lock);
		out->name = name_ref(task ? task->context->directory : root_name);
		out->inode = inode_ref(out->name->inode);
		rw_read_unlock(&names_lock);
		return 0;
	}
	file = descriptor_get_any(task, directory);
	if (!file)
		return -EBADF;
	*out = (struct path){file->name ? name_ref(file->name) : NULL, inode_ref(file->inode)};
	file_unref(file);
	return 0;
}

int path_lookup(struct task *task, int directory, const char *path, unsigned flags, struct path *out)
{
	struct walk walk;
	int error;

	if (path[0] == '\0' && flags & LOOKUP_EMPTY)
		return lookup_descriptor(task, directory, out);
	rw_read_lock(&names_lock);
	error = walk_begin(&walk, task, directory, path);
	if (!error)
		error = walk_to_parent(&walk);
	if (!error)
		error = walk_to_child(&walk, flags);
	if (!error) {
		*out = walk.found;
		walk.found = (struct path){NULL, NULL};
	}
	walk_end(&walk);
	rw_read_unlock(&names_lock);
	return error;
}

/* ---- From a name to its path ---------------------------------------------------------------------------------- */

/* Puts text before what is there, which begins at *at; false: no room. */
static bool prepend(const char *to, char **at, const char *text, size_t length)
{
	if ((size_t)(*at - to) < length)
		return false;
	*at -= length;
	memcpy(*at, text, length);
	return true;
}

int name_path(struct name *name, struct name *root, char *to, size_t bytes, char **out)
{
	char *at = to + bytes;
	bool room = prepend(to, &at, "", 1), reached = false;

	while (room) {
		while (!name->parent && name != root && name->inode->fs->root == name &&
		       name->inode->fs->covers)
			name = name->inode->fs->covers;
		reached = name == root || name_top(name) == root;
		if (reached || !name->parent)
			break;
		room = prepend(to, &at, name->text, name->length) && prepend(to, &at, "/", 1);
		name = name->parent;
	}
	/* A name that was never in a directory, or the root of what is mounted nowhere. */
	if (room && !reached && name != root && name->length > 0)
		room = prepend(to, &at, name->text, name->length) && prepend(to, &at, "/", 1);
	if (room && *at == '\0')
		room = prepend(to, &at, "/", 1);
	*out = at;
	if (!room)
		return -ENAMETOOLONG;
	return reached ? 0 : 1;
}

/* ---- Where a process is --------------------------------------------------------------------------------------------- */

static int may_be_in(struct task *task, const struct path *found)
{
	if (!found->name || !S_ISDIR(found->inode->mode))
		return -ENOTDIR;
	return inode_permission(task, found->inode, MAY_EXECUTE);
}

/* Puts a name in the place of another of the context. */
static void change_place(struct name **place, const struct path *found)
{
	struct name *before;

	rw_write_lock(&names_lock);
	before = *place;
	*place = name_ref(found->name);
	rw_write_unlock(&names_lock);
	name_unref(before);
}

int fs_change_directory(struct task *task, const struct path *found)
{
	int error = may_be_in(task, found);

	if (!error)
		change_place(&task->context->directory, found);
	return error;
}

/* As Linux: what is wrong with the directory is said before who asks may not. */
int fs_change_root(struct task *task, const struct path *found)
{
	int error = may_be_in(task, found);

	if (!error && !task_capable(task, CAP_SYS_CHROOT))
		error = -EPERM;
	if (!error)
		change_place(&task->context->root, found);
	return error;
}

#define UNREACHABLE       "(unreachable)" /* before a path that is not under the root: getcwd(2) */
#define UNREACHABLE_BYTES (sizeof(UNREACHABLE) - 1)

int fs_current_directory(struct task *task, char *to, size_t bytes)
{
	struct name *name;
	int status, length = 0;
	char *at;

	rw_read_lock(&names_lock);
	name = task->context->directory;
	status = name_path(name, task->context->root, to, bytes, &at);
	if (name_is_deleted(name))
		status = -ENOENT;
	rw_read_unlock(&names_lock);
	if (status < 0)
		return status;
	length = (int)strlen(at) + 1;
	if (status == 1) {
		if ((size_t)length + UNREACHABLE_BYTES > bytes)
			return -ENAMETOOLONG;
		memmove(to + UNREACHABLE_BYTES, at, (size_t)length);
		memcpy(to, UNREACHABLE, UNREACHABLE_BYTES);
		return length + (int)UNREACHABLE_BYTES;
	}
	memmove(to, at, (size_t)length);
	return length;
}

uint32_t fs_set_umask(struct task *task, uint32_t mask)
{
	return __atomic_exchange_n((uint32_t *)&task->context->umask, mask & S_IRWXUGO, __ATOMIC_SEQ_CST);
}
