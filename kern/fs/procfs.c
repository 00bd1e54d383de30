/*
 * /proc and /sys: from tables of entries (<kern/procfs.h>) to names, inodes and open files.
 *
 * Names and inodes are made when they are looked up, and go when nobody uses them. A file's text is made when it is read from its beginning, and
 * kept for what is read after that.
 */
#include <asm/errno.h>
#include <kern/procfs.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <vm/layout.h>

#include "fs_internal.h"

#define TEXT_MOST_PAGES 2048 /* a text that is longer is not given */
#define STORE_BYTES     4096 /* what can be written at a time */
#define NUMBER_BYTES    12   /* of a number as a name */
#define OPEN_DIRECTORY  0555 /* its mode */

/* Of an inode: what it is. */
struct generated {
	const struct proc_entry *entry;
	struct proc_subject subject;
};

static struct slab_cache generated_cache;

static struct generated *generated_of(const struct inode *inode)
{
	return inode->private;
}

/* ---- Text ------------------------------------------------------------------------------------------------------- */

void seq_put(struct seq *seq, const char *bytes, size_t count)
{
	if (seq->used < seq->room) {
		size_t fits = seq->room - seq->used;

		memcpy(seq->text + seq->used, bytes, count < fits ? count : fits);
	}
	seq->used += count;
}

void seq_print(struct seq *seq, const char *format, ...)
{
	size_t fits = seq->used < seq->room ? seq->room - seq->used : 0;
	char none[1];
	va_list arguments;

	va_start(arguments, format);
	seq->used +=
		(size_t)kformat_list(fits ? seq->text + seq->used : none, fits ? fits : 1, format, arguments);
	va_end(arguments);
}

/* A number has no more digits than this, in any base of at least 8, and is not asked to be wider. */
#define MOST_DIGITS 32

void seq_put_number(struct seq *seq, uint64_t value, unsigned base, size_t width, char pad)
{
	char digits[MOST_DIGITS];
	size_t at = MOST_DIGITS;

	DEBUG_ASSERT(width <= MOST_DIGITS);
	do
		digits[--at] = "0123456789abcdef"[value % base];
	while ((value /= base) != 0);
	while (MOST_DIGITS - at < width)
		digits[--at] = pad;
	seq_put(seq, digits + at, MOST_DIGITS - at);
}

void seq_put_escaped(struct seq *seq, const char *bytes, size_t count, const char *escaped)
{
	for (size_t i = 0; i < count; i++) {
		bool escape = bytes[i] == '\\';

		for (const char *at = escaped; !escape && *at != '\0'; at++)
			escape = bytes[i] == *at;
		if (escape)
			seq_print(seq, "\\%03o", (unsigned)(unsigned char)bytes[i]);
		else
			seq_put(seq, bytes + i, 1);
	}
}

/* A file's text; of a list, a part of it. Locks: (o) the file's lock. */
struct text {
	struct page *pages; /* (o) NULL: not made */
	size_t page_count;  /* (o) */
	uint64_t start;     /* (o) where in the file it begins */
	size_t bytes;       /* (o) */
	uint64_t next;      /* (o) of a list: what comes after it */
};

static struct slab_cache text_cache;

static void drop_text(struct text *text)
{
	if (text->pages)
		page_free_run(text->pages, text->page_count);
	text->pages = NULL;
}

/* Writes all, or of a list what comes at text->next. -EAGAIN: it needs more room, which seq->used tells of. */
static int show(struct seq *seq, const struct generated *generated, struct text *text)
{
	const struct proc_entry *entry = generated->entry;
	int error = 0;

	if (entry->list) {
		error = entry->list(seq, &generated->subject, &text->next);
		if (error == SEQ_MORE)
			return seq->used > 0 ? 0 : -EAGAIN;
		return error == SEQ_END ? 0 : error;
	}
	if (entry->show)
		error = entry->show(seq, &generated->subject);
	else
		seq_print(seq, "%d\n", *entry->setting->value);
	return !error && seq_is_full(seq) ? -EAGAIN : error;
}

/* The room to try next for a text that had `used` bytes and did not fit: pages in powers of two. */
static size_t more_room(size_t count, size_t used)
{
	do
		count *= 2;
	while (count * PAGE_SIZE <= used);
	return count;
}

/* Makes the text, with more room until it fits. */
static int make_text(const struct generated *generated, struct text *text)
{
	size_t count = 1;

	drop_text(text);
	while (count <= TEXT_MOST_PAGES) {
		struct seq seq = {.room = count * PAGE_SIZE};
		int error;

		text->pages = page_alloc_run(PAGE_KERNEL, count, 1, PAGE_ANYWHERE, 0);
		if (!text->pages)
			return -ENOMEM;
		text->page_count = count;
		seq.text = page_data(text->pages);
		error = show(&seq, generated, text);
		text->bytes = seq.used;
		if (!error)
			return 0;
		drop_text(text);
		if (error != -EAGAIN)
			return error;
		count = more_room(count, seq.used);
	}
	return -EFBIG;
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

/* The kernel's own threads may all. */
static bool may_look(const struct generated *generated, const struct task *task)
{
	return !generated->entry->guarded || !task || task_may_look(task, generated->subject.process);
}

static int generated_open(struct file *file, struct task *task)
{
	struct text *text;

	if (!may_look(generated_of(file->inode), task))
		return -EACCES;
	if (!S_ISREG(file->inode->mode))
		return 0;
	text = slab_alloc(&text_cache);
	if (!text)
		return -ENOMEM;
	*text = (struct text){.pages = NULL};
	file->private = text;
	return 0;
}

static void generated_release(struct file *file)
{
	struct text *text = file->private;

	drop_text(text);
	slab_free(&text_cache, text);
}

/*
 * Has the text that has what is at `position`, if there is anything: made anew at the file's start; of a list the parts in between are made and dropped, as where an
 * item begins is not known before.
 */
static int find_text(const struct generated *generated, struct text *text, uint64_t position)
{
	int error = 0;

	if (position == 0 || !text->pages || position < text->start) {
		text->start = text->next = 0;
		error = make_text(generated, text);
	}
	while (!error && generated->entry->list && text->bytes > 0 && position - text->start >= text->bytes) {
		text->start += text->bytes;
		error = make_text(generated, text);
	}
	return error;
}

/* The text is guarded by the file's lock, which who reads at the file's own position has already. */
static int64_t read_text(struct file *file, struct io *io, const uint64_t *position)
{
	const struct generated *generated = generated_of(file->inode);
	bool has_lock = mutex_held(&file->lock);
	struct text *text = file->private;
	int64_t moved;

	if (!has_lock)
		mutex_lock(&file->lock);
	moved = find_text(generated, text, *position);
	if (moved == 0 && *position - text->start < text->bytes) {
		uint64_t from = *position - text->start, left = text->bytes - from;

		moved = io_put(io, (char *)page_data(text->pages) + from, io->left < left ? io->left : left);
	}
	if (!has_lock)
		mutex_unlock(&file->lock);
	return moved;
}

static int64_t generated_read(struct file *file, struct io *io, uint64_t *position)
{
	const struct generated *generated = generated_of(file->inode);
	int64_t moved;

	if (generated->entry->read)
		moved = generated->entry->read(&generated->subject, io, *position);
	else if (generated->entry->show || generated->entry->list || generated->entry->setting)
		moved = read_text(file, io, position);
	else
		return -EINVAL;
	if (moved > 0)
		*position += (uint64_t)moved;
	return moved;
}

int proc_parse_number(const char **text, uint64_t most, uint64_t *out)
{
	const char *at = *text;
	uint64_t value = 0;

	while (*at == ' ' || *at == '\t')
		at++;
	if (*at < '0' || *at > '9')
		return -EINVAL;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value) || value > most)
			return -EINVAL;
	while (*at == ' ' || *at == '\t' || *at == '\n')
		at++;
	*text = at;
	*out = value;
	return 0;
}

static int store_setting(const struct proc_setting *setting, const char *text)
{
	uint64_t value;

	if (proc_parse_number(&text, (uint64_t)setting->most, &value) != 0 || *text != '\0' ||
	    (int)value < setting->least)
		return -EINVAL;
	*setting->value = (int)value;
	return 0;
}

/* What a program wrote, with a 0 after it. */
static int store(const struct generated *generated, char *text, size_t bytes)
{
	const struct proc_entry *entry = generated->entry;

	return entry->store ? entry->store(&generated->subject, text, bytes)
			    : store_setting(entry->setting, text);
}

static int64_t generated_write(struct file *file, struct io *io, uint64_t *position)
{
	const struct generated *generated = generated_of(file->inode);
	uint64_t bytes = io->left < STORE_BYTES - 1 ? io->left : STORE_BYTES - 1;
	struct page *page;
	int64_t moved;
	int error;

	if (!generated->entry->store && !generated->entry->setting)
		return -EINVAL;
	page = page_alloc(PAGE_KERNEL, 0);
	if (!page)
		return -ENOMEM;
	moved = io_get(io, page_data(page), bytes);
	if (moved > 0) {
		((char *)page_data(page))[moved] = '\0';
		error = store(generated, page_data(page), (size_t)moved);
		*position += (uint64_t)moved;
		moved = error ? error : moved;
	}
	page_free(page);
	return moved;
}

static int64_t generated_seek(struct file *file, int64_t offset, int whence)
{
	return file_seek_plain(file, offset, whence, 0);
}

static const struct file_ops generated_file_ops = {
	.name = "proc",
	.read = generated_read,
	.write = generated_write,
	.seek = generated_seek,
	.release = generated_release,
};

/* ---- Directories ------------------------------------------------------------------------------------------------- */

/* Positions: 0 and 1 are the dots, then come the table's entries, then the numbers. */
#define TABLE_PLACE  2
#define NUMBER_PLACE ((uint64_t)1 << 20)

static uint64_t inode_number(const struct proc_entry *entry, const struct proc_subject *subject)
{
	uint64_t of = subject->task      ? (uint64_t)subject->task->tid
		      : subject->process ? (uint64_t)subject->process->pid
					 : 0;
	uint64_t place = ((vaddr_t)entry - LAYOUT_KERNEL_START) / sizeof(void *);

	return of << 40 ^ (uint64_t)(uint32_t)subject->number << 24 ^ place ^
	       (subject->task ? (uint64_t)1 << 60 : 0);
}

static int list_table(const struct generated *generated, uint64_t *position, directory_emit *emit,
		      void *context)
{
	const struct proc_entry *table = generated->entry->children;
	uint64_t at = 0;

	while (table && table[at].name) {
		const struct proc_entry *entry = &table[at++];
		int status;

		if (at + TABLE_PLACE - 1 < *position)
			continue;
		status = emit(context, entry->name, strlen(entry->name),
			      inode_number(entry, &generated->subject), mode_to_type(entry->mode),
			      TABLE_PLACE + at);
		if (status)
			return status;
		*position = TABLE_PLACE + at;
	}
	return 0;
}

static int list_numbers(const struct generated *generated, uint64_t *position, directory_emit *emit,
			void *context)
{
	const struct proc_numbers *numbers = generated->entry->numbers;
	int number;

	if (*position < NUMBER_PLACE)
		*position = NUMBER_PLACE;
	/* A program may seek anywhere: behind all numbers, too. */
	if (*position - NUMBER_PLACE > INT32_MAX)
		return 0;
	number = (int)(*position - NUMBER_PLACE);
	while (numbers && (number = numbers->next(&generated->subject, number)) >= 0) {
		struct proc_subject subject = {.number = number};
		char name[NUMBER_BYTES];
		int length = env_format(name, sizeof(name), "%d", number);
		int status = emit(context, name, (size_t)length, inode_number(numbers->entry, &subject),
				  mode_to_type(numbers->entry->mode), NUMBER_PLACE + (uint64_t)number + 1);

		if (status)
			return status;
		number++;
		*position = NUMBER_PLACE + (uint64_t)number;
	}
	return 0;
}

static int generated_readdir(struct file *file, uint64_t *position, directory_emit *emit, void *context)
{
	const struct generated *generated = generated_of(file->inode);
	int status = directory_emit_dots(file, position, emit, context);

	if (!status && *position < NUMBER_PLACE)
		status = list_table(generated, position, emit, context);
	if (!status)
		status = list_numbers(generated, position, emit, context);
	return status;
}

static int64_t generated_directory_seek(struct file *file, int64_t offset, int whence)
{
	return file_seek_plain(file, offset, whence, INT64_MAX);
}

static int64_t generated_directory_read(struct file *file, struct io *io, uint64_t *position)
{
	(void)file, (void)io, (void)position;
	return -EISDIR;
}

static const struct file_ops generated_directory_ops = {
	.name = "proc",
	.read = generated_directory_read,
	.seek = generated_directory_seek,
	.readdir = generated_readdir,
};

struct process *proc_directory_process(const struct file *file)
{
	const struct generated *generated;

	if (file->ops != &generated_directory_ops)
		return NULL;
	generated = generated_of(file->inode);
	if (generated->entry != &proc_process_entry)
		return NULL;
	process_ref(generated->subject.process);
	return generated->subject.process;
}

/* ---- Inodes ----------------------------------------------------------------------------------------------------------- */

static void generated_destroy(struct inode *inode)
{
	struct generated *generated = generated_of(inode);

	if (generated->subject.task)
		task_unref(generated->subject.task);
	if (generated->subject.process)
		process_unref(generated->subject.process);
	slab_free(&generated_cache, generated);
}

static int64_t generated_readlink(struct inode *inode, struct task *task, char *to, size_t bytes)
{
	const struct generated *generated = generated_of(inode);

	if (!may_look(generated, task))
		return -EACCES;
	return generated->entry->target(&generated->subject, task, to, bytes);
}

static int generated_follow(struct inode *inode, struct task *task, struct path *out)
{
	const struct generated *generated = generated_of(inode);

	if (!may_look(generated, task))
		return -EACCES;
	return generated->entry->follow(&generated->subject, out);
}

static int generated_lookup(struct name *directory, const char *text, size_t length, struct name **out);

static const struct inode_ops file_inode_ops = {.open = generated_open, .destroy = generated_destroy};
static const struct inode_ops directory_inode_ops = {.lookup = generated_lookup,
						     .destroy = generated_destroy};
static const struct inode_ops link_inode_ops = {.readlink = generated_readlink, .destroy = generated_destroy};
static const struct inode_ops thing_inode_ops = {
	.readlink = generated_readlink, .follow = generated_follow, .destroy = generated_destroy};

static const struct inode_ops *ops_of(const struct proc_entry *entry)
{
	if (S_ISDIR(entry->mode))
		return &directory_inode_ops;
	if (S_ISLNK(entry->mode))
		return entry->follow ? &thing_inode_ops : &link_inode_ops;
	return &file_inode_ops;
}

/* Takes over the subject's references, also when it fails. NULL: no memory. */
static struct inode *make_inode(struct filesystem *fs, const struct proc_entry *entry,
				const struct proc_subject *subject)
{
	struct generated *generated = slab_alloc(&generated_cache);
	struct inode *inode = generated ? inode_create(fs, ops_of(entry), entry->mode) : NULL;

	if (!inode) {
		if (subject->task)
			task_unref(subject->task);
		if (subject->process)
			process_unref(subject->process);
		if (generated)
			slab_free(&generated_cache, generated);
		return NULL;
	}
	*generated = (struct generated){.entry = entry, .subject = *subject};
	inode->private = generated;
	inode->number = inode_number(entry, subject);
	inode->file_ops = S_ISDIR(entry->mode) ? &generated_directory_ops : &generated_file_ops;
	if (S_ISDIR(entry->mode))
		inode->links = 2;
	/* What a process is not to be looked into for is root's, but for the directories that anyone may list. */
	if (subject->process &&
	    (!subject->process->not_dumpable || inode->mode == (S_IFDIR | OPEN_DIRECTORY))) {
		inode->uid = subject->process->credentials.user.effective;
		inode->gid = subject->process->credentials.group.effective;
	}
	return inode;
}

/* A decimal number without leading zeroes; -1: it is none. */
static int parse_number(const char *text, size_t length)
{
	int value = 0;

	if (length == 0 || length >= NUMBER_BYTES - 2 || (text[0] == '0' && length > 1))
		return -1;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static void subject_ref(struct proc_subject *subject)
{
	if (subject->process)
		process_ref(subject->process);
	if (subject->task)
		task_ref(subject->task);
}

/* The entry of that name, and its subject with references. -ENOENT. */
static int find_entry(const struct generated *directory, const char *text, size_t length,
		      const struct proc_entry **entry, struct proc_subject *subject)
{
	const struct proc_numbers *numbers = directory->entry->numbers;
	int number;

	for (const struct proc_entry *at = directory->entry->children; at && at->name; at++) {
		if (strlen(at->name) != length || memcmp(at->name, text, length) != 0)
			continue;
		*entry = at;
		*subject = directory->subject;
		subject_ref(subject);
		return 0;
	}
	number = numbers ? parse_number(text, length) : -1;
	if (number < 0)
		return -ENOENT;
	*entry = numbers->entry;
	*subject = (struct proc_subject){.process = NULL};
	return numbers->find(&directory->subject, number, subject);
}

static int generated_lookup(struct name *directory, const char *text, size_t length, struct name **out)
{
	const struct proc_entry *entry;
	struct proc_subject subject;
	struct inode *inode;
	int error = find_entry(generated_of(directory->inode), text, length, &entry, &subject);

	if (error)
		return error;
	inode = make_inode(directory->inode->fs, entry, &subject);
	return inode ? name_create(directory, text, length, inode, out) : -ENOMEM;
}

/* ---- The types ----------------------------------------------------------------------------------------------------------- */

static const struct proc_entry proc_top = {
	.name = "", .mode = S_IFDIR | 0555, .children = proc_root, .numbers = &proc_processes};
static const struct proc_entry sys_top = {.name = "", .mode = S_IFDIR | 0555, .children = sys_root};

static int mount_top(struct filesystem *fs, const struct proc_entry *top)
{
	const struct proc_subject none = {.process = NULL};
	struct inode *inode = make_inode(fs, top, &none);

	return inode ? name_create(NULL, "", 0, inode, &fs->root) : -ENOMEM;
}

static int mount_proc(struct filesystem *fs, const char *options)
{
	(void)options;
	return mount_top(fs, &proc_top);
}

static int mount_sys(struct filesystem *fs, const char *options)
{
	(void)options;
	return mount_top(fs, &sys_top);
}

static struct filesystem_type proc_type = {
	.name = "proc", .magic = PROC_SUPER_MAGIC, .no_device = true, .fixed = true, .mount = mount_proc};
static struct filesystem_type sys_type = {
	.name = "sysfs", .magic = SYSFS_MAGIC, .no_device = true, .fixed = true, .mount = mount_sys};

void procfs_init(void)
{
	slab_cache_init(&generated_cache, "proc inode", sizeof(struct generated));
	slab_cache_init(&text_cache, "proc text", sizeof(struct text));
	filesystem_type_register(&sys_type);
	filesystem_type_register(&proc_type);
}
