/*
 * Renaming: rename(2) and renameat2(2).
 *
 * A name keeps its identity: what is open, or somebody's current directory, by it has its new path from then on.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>

#include "walk.h"

/* What is renamed to what. Borrowed; `target` is NULL if there is no such name yet. */
struct renaming {
	const struct walk *from, *to;
	struct name *source, *target;
	unsigned flags;
};

static bool is_directory(const struct name *name)
{
	return S_ISDIR(name->inode->mode);
}

/* Is `name` above `below`, or the same? */
static bool is_above(const struct name *name, const struct name *below)
{
	while (below && below != name)
		below = below->parent;
	return below != NULL;
}

/* Can the last component be renamed, or renamed to? */
static int check_last(const struct walk *walk)
{
	bool dots = walk->length <= 2 && memcmp(walk->last, "..", walk->length) == 0;

	if (walk->length == 0 || dots)
		return -EBUSY;
	return walk->length > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* The kinds have to go together where one takes the other's place. */
static int check_replacing(const struct renaming *names)
{
	if (is_directory(names->source) && !is_directory(names->target))
		return -ENOTDIR;
	if (!is_directory(names->source) && is_directory(names->target))
		return -EISDIR;
	return names->target->children > 0 ? -ENOTEMPTY : 0;
}

static int check_slashes(const struct renaming *names)
{
	bool exchange = names->flags & RENAME_EXCHANGE;

	if (names->from->slash && !is_directory(names->source))
		return -ENOTDIR;
	if (names->to->slash && !is_directory(exchange ? names->target : names->source))
		return -ENOTDIR;
	return 0;
}

static int check_target(const struct renaming *names)
{
	const struct rights *rights = &names->to->rights;
	int error;

	if (names->flags & RENAME_NOREPLACE)
		return -EEXIST;
	error = names_check_removing(rights, names->to->at, names->target);
	if (error)
		return error;
	if (names->flags & RENAME_EXCHANGE)
		return is_above(names->target, names->from->at) ? -EINVAL : 0;
	/* The target is above the source: it is not empty. */
	return is_above(names->target, names->from->at) ? -ENOTEMPTY : check_replacing(names);
}

static int check(const struct renaming *names)
{
	const struct rights *rights = &names->from->rights;
	int error = names_check_removing(rights, names->from->at, names->source);

	if (!error)
		error = names_check_directory(rights, names->to->at->inode);
	if (error)
		return error;
	if (!name_takes_children(names->to->at))
		return -ENOENT;
	if (names->flags & RENAME_EXCHANGE && !names->target)
		return -ENOENT;
	error = check_slashes(names);
	if (!error && is_above(names->source, names->to->at))
		error = -EINVAL;
	/* A directory that moves has another "..". */
	if (!error && is_directory(names->source) && names->from->at != names->to->at)
		error = rights_check(rights, names->source->inode, MAY_WRITE);
	if (!error && names->target)
		error = check_target(names);
	return error;
}

static char *copy_text(const char *text, size_t length)
{
	char *copy = name_text_alloc(length);

	if (copy) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

/* The source takes the target's place. What cannot be undone cannot fail. */
static int replace(const struct renaming *names)
{
	struct name *source = name_ref(names->source);
	int directory = is_directory(source) ? 1 : 0;
	size_t length = names->to->length;
	char *text = copy_text(names->to->last, length);

	if (!text) {
		name_unref(source);
		return -ENOMEM;
	}
	if (names->target)
		names_removed(names->target);
	name_unlink(source);
	names_directory_changed(names->from->at->inode, -directory);
	name_move(source, names->to->at, text, length);
	name_link(source);
	names_directory_changed(names->to->at->inode, directory);
	source->inode->changed = inode_now();
	name_unref(source);
	return 0;
}

static int exchange(const struct renaming *names)
{
	struct name *source = name_ref(names->source), *target = name_ref(names->target);
	struct name *from = names->from->at, *to = names->to->at;
	char *source_text = copy_text(target->text, target->length);
	char *target_text = copy_text(source->text, source->length);
	size_t source_length = target->length, target_length = source->length;
	int change = (is_directory(target) ? 1 : 0) - (is_directory(source) ? 1 : 0);
	int error = source_text && target_text ? 0 : -ENOMEM;

	if (!error) {
		name_unlink(source);
		name_unlink(target);
		name_move(source, to, source_text, source_length);
		name_move(target, from, target_text, target_length);
		name_link(source);
		name_link(target);
		names_directory_changed(from->inode, change);
		names_directory_changed(to->inode, -change);
		source->inode->changed = target->inode->changed = inode_now();
	} else {
		if (source_text)
			name_text_free(source_text, source_length);
		if (target_text)
			name_text_free(target_text, target_length);
	}
	name_unref(source);
	name_unref(target);
	return error;
}

/* Both walks have come to their directories. */
static int rename_here(const struct walk *from, const struct walk *to, unsigned flags)
{
	struct renaming names = {.from = from, .to = to, .flags = flags};
	int error = check_last(from);

	if (!error)
		error = check_last(to);
	if (error)
		return error;
	if (from->at->inode->fs != to->at->inode->fs)
		return -EXDEV;
	names.source = name_child(from->at, from->last, from->length);
	if (!names.source)
		return from->at->inode->fs->type->fixed ? -EPERM : -ENOENT;
	names.target = name_child(to->at, to->last, to->length);
	/* Two names of one file: nothing is to be done (rename(2)). */
	if (names.target && names.target->inode == names.source->inode && !(flags & RENAME_NOREPLACE))
		return 0;
	error = check(&names);
	if (error)
		return error;
	return flags & RENAME_EXCHANGE ? exchange(&names) : replace(&names);
}

int fs_rename(struct task *task, int from_directory, const char *from, int directory, const char *path,
	      unsigned flags)
{
	struct walk source, target;
	int error;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	rw_write_lock(&names_lock);
	error = walk_begin(&source, task, from_directory, from);
	if (!error)
		error = walk_to_parent(&source);
	if (!error) {
		error = walk_begin(&target, task, directory, path);
		if (!error)
			error = walk_to_parent(&target);
		if (!error)
			error = rename_here(&source, &target, flags);
		walk_end(&target);
	}
	walk_end(&source);
	rw_write_unlock(&names_lock);
	return error;
}
