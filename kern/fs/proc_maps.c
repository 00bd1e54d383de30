/*
 * /proc/PID/maps (proc(5)), and the lists of mounts.
 */
#include <asm/errno.h>
#include <linux/limits.h>
#include <linux/mount.h>

#include "proc_internal.h"
#include "walk.h"

#define NAME_COLUMN    73 /* where names begin in a line of maps */
#define ADDRESS_DIGITS 8  /* at least so many */

/* ---- maps ------------------------------------------------------------------------------------------------------ */

/* What lines say that are of no file. */
static const char *anonymous_name(const struct lookup *found)
{
	const char *name = found->how.name ? found->how.name : "";

	if (strcmp(name, "stack") == 0)
		return "[stack]";
	return strcmp(name, "heap") == 0 ? "[heap]" : "";
}

static void show_name(struct seq *seq, size_t line, const struct lookup *found, char *path)
{
	const char *name = anonymous_name(found);

	if (found->how.label && found->how.label->ops->name) {
		found->how.label->ops->name(found->how.label, path, PATH_MAX);
		name = path;
	}
	if (*name == '\0')
		return;
	do
		seq_put(seq, " ", 1);
	while (seq->used - line < NAME_COLUMN);
	seq_put_escaped(seq, name, strlen(name), "\n");
}

/*
 * May two neighbours of private memory be told as one? What a fork copied for a child is not one with what that mapped later; but what was there before and what came then are each one
 * among themselves, and so is all that had nothing in it yet: as on Linux.
 */
static bool same_age(const struct lookup *one, const struct lookup *other)
{
	const struct lookup *older = one->forks > other->forks ? one : other;

	return one->forks == other->forks || !older->copied;
}

/*
 * Does a mapping go on where the other one ends, of the same with the same rights? Then they are one for who reads the list, as on Linux. That keeps private
 * mappings apart of which one was writable before, as a loader's are: so of files only those count that are writable, or shared.
 */
static bool continues(const struct lookup *found, const struct lookup *next)
{
	const struct mapping *one = &found->how, *other = &next->how;

	if (next->start != found->end || one->label != other->label || one->prot != other->prot ||
	    one->inherit != other->inherit || found->fork != next->fork || found->wired != next->wired)
		return false;
	if (one->label && one->inherit == INHERIT_COPY && !(one->prot & VM_WRITE))
		return false;
	if (one->label)
		return next->origin == found->origin + bytes_to_pages(found->end - found->start);
	return one->inherit == INHERIT_COPY && same_age(found, next) &&
	       strcmp(anonymous_name(found), anonymous_name(next)) == 0;
}

/* The first mapping from `at` on, with what goes on behind it; map_lookup_from()'s errors. */
static int lookup_joined(struct user_space *space, vaddr_t at, struct lookup *out)
{
	vaddr_t end = map_end(space->root);
	struct lookup next;
	int error = map_lookup_from(space->root, at, end, out);

	while (!error && map_lookup_from(space->root, out->end, end, &next) == 0) {
		bool joins = continues(out, &next);

		if (joins)
			out->end = next.end;
		lookup_release(&next);
		if (!joins)
			break;
	}
	return error;
}

uint64_t proc_count_mappings(struct user_space *space)
{
	struct lookup found;
	uint64_t count = 0;

	for (vaddr_t at = map_start(space->root); lookup_joined(space, at, &found) == 0; at = found.end) {
		lookup_release(&found);
		count++;
	}
	return count;
}

/* A mapping's line. `path`: PATH_MAX bytes for its name. */
static void show_mapping(struct seq *seq, const struct lookup *found, char *path)
{
	const struct map_label *label = found->how.label;
	vm_prot_t prot = found->how.prot;
	uint64_t device = label ? label->device : 0;
	const char rights[] = {' ',
			       (prot & (VM_READ | VM_READ_UNASKED)) == VM_READ ? 'r' : '-',
			       prot & VM_WRITE ? 'w' : '-',
			       prot & VM_EXEC ? 'x' : '-',
			       found->how.inherit == INHERIT_SHARE ? 's' : 'p',
			       ' '};
	size_t line = seq->used;

	seq_put_number(seq, found->start, 16, ADDRESS_DIGITS, '0');
	seq_put(seq, "-", 1);
	seq_put_number(seq, found->end, 16, ADDRESS_DIGITS, '0');
	seq_put(seq, rights, sizeof(rights));
	seq_put_number(seq, label ? pages_to_bytes(found->origin) : 0, 16, ADDRESS_DIGITS, '0');
	seq_put(seq, " ", 1);
	seq_put_number(seq, DEVICE_MAJOR(device), 16, 2, '0');
	seq_put(seq, ":", 1);
	seq_put_number(seq, DEVICE_MINOR(device), 16, 2, '0');
	seq_put(seq, " ", 1);
	seq_put_number(seq, label ? label->inode : 0, 10, 1, ' ');
	show_name(seq, line, found, path);
	seq_put(seq, "\n", 1);
}

/* One mapping after the other, with no lock of the map's held, as names need those of the tree of names. */
static int list_mappings(struct seq *seq, struct user_space *space, vaddr_t *at,
			 proc_show_mapping_fn show_more, char *path)
{
	struct lookup found;

	while (lookup_joined(space, *at, &found) == 0) {
		size_t before = seq->used;

		show_mapping(seq, &found, path);
		if (show_more)
			show_more(seq, space, &found);
		lookup_release(&found);
		if (seq_is_full(seq)) {
			seq->used = before;
			return SEQ_MORE;
		}
		*at = found.end;
	}
	return SEQ_END;
}

int proc_list_mappings(struct seq *seq, const struct proc_subject *subject, vaddr_t *at,
		       proc_show_mapping_fn show_more)
{
	struct user_space *space = process_space(subject->process);
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	int result = space ? -ENOMEM : SEQ_END;

	if (space && page)
		result = list_mappings(seq, space, at, show_more, page_data(page));
	if (space)
		user_space_unref_later(space);
	if (page)
		page_free(page);
	return result;
}

int proc_list_maps(struct seq *seq, const struct proc_subject *subject, uint64_t *at)
{
	return proc_list_mappings(seq, subject, at, NULL);
}

/* ---- mounts ------------------------------------------------------------------------------------------------------ */

static void show_flags(struct seq *seq, const struct filesystem *fs)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {{MS_NOSUID, ",nosuid"},    {MS_NODEV, ",nodev"},     {MS_NOEXEC, ",noexec"},
		     {MS_SYNCHRONOUS, ",sync"}, {MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"}};
	const char *access = fs->mount_flags & MS_RDONLY ? "ro" : "rw";

	seq_put(seq, access, strlen(access));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fs->mount_flags & names[i].flag)
			seq_put(seq, names[i].name, strlen(names[i].name));
	if (!(fs->mount_flags & MS_NOATIME))
		seq_print(seq, ",relatime");
}

static void put_word(struct seq *seq, const char *word)
{
	seq_put_escaped(seq, word, strlen(word), " \t\n");
}

/* The directory that it is mounted on. (n). */
static const char *mount_path(const struct filesystem *fs, char *buffer)
{
	char *at;

	if (!fs->covers)
		return "/";
	return name_path(fs->covers, root_name, buffer, PATH_MAX, &at) < 0 ? "?" : at;
}

static int show_all(struct seq *seq, void (*show)(struct seq *, const struct filesystem *, char *))
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	const struct filesystem *fs;

	if (!page)
		return -ENOMEM;
	rw_read_lock(&names_lock);
	TAILQ_FOREACH(fs, &filesystems, link)
	show(seq, fs, page_data(page));
	rw_read_unlock(&names_lock);
	page_free(page);
	return 0;
}

static void show_mount(struct seq *seq, const struct filesystem *fs, char *buffer)
{
	put_word(seq, fs->source);
	seq_put(seq, " ", 1);
	put_word(seq, mount_path(fs, buffer));
	seq_print(seq, " %s ", fs->type->name);
	show_flags(seq, fs);
	seq_print(seq, " 0 0\n");
}

static void show_mount_info(struct seq *seq, const struct filesystem *fs, char *buffer)
{
	uint32_t above = fs->covers ? fs->covers->inode->fs->device : fs->device;

	seq_print(seq, "%u %u %u:%u / ", fs->device, above, DEVICE_MAJOR(fs->device),
		  DEVICE_MINOR(fs->device));
	put_word(seq, mount_path(fs, buffer));
	seq_put(seq, " ", 1);
	show_flags(seq, fs);
	seq_print(seq, " - %s ", fs->type->name);
	put_word(seq, fs->source);
	seq_print(seq, " %s\n", fs->mount_flags & MS_RDONLY ? "ro" : "rw");
}

int proc_show_mounts(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	return show_all(seq, show_mount);
}

int proc_show_mountinfo(struct seq *seq, const struct proc_subject *subject)
{
	(void)subject;
	return show_all(seq, show_mount_info);
}
