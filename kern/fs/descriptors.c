/*
 * Descriptors: a process's table of open files.
 *
 * A table is chunks of descriptors, made when one of them is first used. A descriptor is free, reserved (used, with no file yet: a
 * call that opens a file has it) or open.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>

#include "fs_internal.h"

#define CHUNK          128 /* descriptors */
#define CHUNKS         240
#define WORD_BITS      64
#define CHUNK_WORDS    (CHUNK / WORD_BITS)
#define DESCRIPTOR_MAX (CHUNK * CHUNKS)

/* All guarded by the table's lock. */
struct chunk {
	struct file *files[CHUNK];
	uint64_t used[CHUNK_WORDS];
	uint64_t close_on_exec[CHUNK_WORDS];
};

/* Locks: (f) its own lock; (a) atomic. */
struct file_table {
	struct spinlock lock;         /* RANK_FILES */
	_Atomic uint32_t refs;        /* (a) processes */
	int lowest;                   /* (f) all before it are used */
	unsigned end;                 /* (f) there are no chunks from this one on; it never becomes less */
	struct chunk *chunks[CHUNKS]; /* (f) NULL: all free */
	struct later ending;          /* (f) for file_table_unref_later */
};

static struct slab_cache table_cache, chunk_cache;

void descriptors_init(void)
{
	slab_cache_init(&table_cache, "descriptor table", sizeof(struct file_table));
	slab_cache_init(&chunk_cache, "descriptors", sizeof(struct chunk));
}

static bool bit_get(const uint64_t *words, unsigned bit)
{
	return words[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

static void bit_put(uint64_t *words, unsigned bit, bool value)
{
	uint64_t mask = (uint64_t)1 << bit % WORD_BITS;

	words[bit / WORD_BITS] = value ? words[bit / WORD_BITS] | mask : words[bit / WORD_BITS] & ~mask;
}

/* ---- Tables ------------------------------------------------------------------------------------------- */

int file_table_create(struct file_table **out)
{
	struct file_table *table = slab_alloc(&table_cache);

	if (!table)
		return -ENOMEM;
	memset(table, 0, sizeof(*table));
	spin_init(&table->lock, RANK_FILES, "descriptors");
	table->refs = 1;
	*out = table;
	return 0;
}

/* The first descriptor of the chunk, from `at` on, that is used; CHUNK: none is. */
static unsigned next_used(const struct chunk *chunk, unsigned at)
{
	while (at < CHUNK) {
		uint64_t word = chunk->used[at / WORD_BITS] >> at % WORD_BITS;

		if (word)
			return at + (unsigned)__builtin_ctzll(word);
		at = (at / WORD_BITS + 1) * WORD_BITS;
	}
	return CHUNK;
}

static void copy_chunk(struct chunk *to, const struct chunk *from)
{
	*to = *from;
	for (unsigned i = next_used(from, 0); i < CHUNK; i = next_used(from, i + 1)) {
		if (to->files[i])
			file_ref(to->files[i]);
		else
			bit_put(to->used, i, false); /* reserved by a call of another task's */
	}
}

/* The chunks are made first, as the table may not be locked for that; none is ever given back before the table goes. */
int file_table_copy(struct file_table *table, struct file_table **out)
{
	struct file_table *copy;
	int error = file_table_create(&copy);

	if (error)
		return error;
	copy->end = __atomic_load_n(&table->end, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; !error && i < copy->end; i++) {
		if (!table->chunks[i])
			continue;
		copy->chunks[i] = slab_alloc(&chunk_cache);
		if (!copy->chunks[i])
			error = -ENOMEM;
		else
			memset(copy->chunks[i]->used, 0, sizeof(copy->chunks[i]->used));
	}
	if (error) {
		file_table_unref(copy, NULL);
		return error;
	}
	spin_lock(&table->lock);
	for (unsigned i = 0; i < copy->end; i++)
		if (copy->chunks[i])
			copy_chunk(copy->chunks[i], table->chunks[i]);
	spin_unlock(&table->lock);
	*out = copy;
	return 0;
}

void file_table_ref(struct file_table *table)
{
	table->refs++;
}

/* A descriptor is closed: the table's locks go, whatever other descriptors of the file it has (fcntl(2)). */
static void close_file(struct file *file, struct file_table *table, struct process *process)
{
	file_locks_release_table(file, table);
	if (file->ops->flush)
		file->ops->flush(file, process);
	file_unref(file);
}

static void free_chunk(struct file_table *table, struct chunk *chunk, struct process *process)
{
	for (unsigned i = next_used(chunk, 0); i < CHUNK; i = next_used(chunk, i + 1))
		if (chunk->files[i])
			close_file(chunk->files[i], table, process);
	slab_free(&chunk_cache, chunk);
}

static void end(struct file_table *table, struct process *process)
{
	for (unsigned i = 0; i < table->end; i++)
		if (table->chunks[i])
			free_chunk(table, table->chunks[i], process);
	slab_free(&table_cache, table);
}

void file_table_unref(struct file_table *table, struct process *process)
{
	if (--table->refs == 0)
		end(table, process);
}

static void end_later(struct later *what)
{
	end((struct file_table *)((char *)what - offsetof(struct file_table, ending)), NULL);
}

void file_table_unref_later(struct file_table *table)
{
	if (--table->refs == 0)
		later(&table->ending, end_later);
}

unsigned file_table_size(struct file_table *table)
{
	unsigned last = 0;

	for (unsigned i = 0; i < CHUNKS; i++)
		if (__atomic_load_n(&table->chunks[i], __ATOMIC_RELAXED))
			last = i;
	return (last + 1) * CHUNK;
}

int files_unshare(struct task *task)
{
	struct file_table *before = task->files, *copy;
	int error;

	if (before->refs == 1)
		return 0;
	error = file_table_copy(before, &copy);
	if (error)
		return error;
	spin_lock(&process_lock);
	task->files = copy;
	spin_unlock(&process_lock);
	file_table_unref(before, NULL);
	return 0;
}

/* ---- Descriptors ---------------------------------------------------------------------------------------- */

static struct chunk *chunk_of(struct file_table *table, int descriptor)
{
	if (descriptor < 0 || descriptor >= DESCRIPTOR_MAX)
		return NULL;
	return table->chunks[descriptor / CHUNK];
}

static struct file *get(struct file_table *table, int descriptor)
{
	struct file *file = NULL;
	struct chunk *chunk;

	spin_lock(&table->lock);
	chunk = chunk_of(table, descriptor);
	if (chunk)
		file = chunk->files[descriptor % CHUNK];
	if (file)
		file_ref(file);
	spin_unlock(&table->lock);
	return file;
}

struct file *descriptor_get_any(struct task *task, int descriptor)
{
	return get(task->files, descriptor);
}

struct file *descriptor_get(struct task *task, int descriptor)
{
	struct file *file = get(task->files, descriptor);

	if (file && (file->flags & O_PATH)) {
		file_unref(file);
		return NULL;
	}
	return file;
}

static int limit_of(struct task *task)
{
	uint64_t limit = task->process->limits[RLIMIT_NOFILE].rlim_cur;

	return limit < DESCRIPTOR_MAX ? (int)limit : DESCRIPTOR_MAX;
}

/* The lowest that is free, from `lowest` on, below `limit`; `limit`: none. Table locked. */
static int find_free(struct file_table *table, int lowest, int limit)
{
	int at = lowest < table->lowest ? table->lowest : lowest;

	while (at < limit) {
		struct chunk *chunk = table->chunks[at / CHUNK];
		uint64_t word;

		if (!chunk)
			return at;
		word = ~chunk->used[at % CHUNK / WORD_BITS] >> at % WORD_BITS;
		if (word)
			at += __builtin_ctzll(word);
		else
			at = (at / WORD_BITS + 1) * WORD_BITS;
		if (word)
			break;
	}
	return at < limit ? at : limit;
}

/* Makes the chunk of a descriptor exist. Table locked, also when it returns; unlocked meanwhile. */
static int make_chunk(struct file_table *table, int descriptor)
{
	struct chunk *chunk;

	spin_unlock(&table->lock);
	chunk = slab_alloc(&chunk_cache);
	if (chunk)
		memset(chunk, 0, sizeof(*chunk));
	spin_lock(&table->lock);
	if (!chunk)
		return -ENOMEM;
	if (table->chunks[descriptor / CHUNK])
		slab_free(&chunk_cache, chunk);
	else
		table->chunks[descriptor / CHUNK] = chunk;
	if (table->end <= (unsigned)descriptor / CHUNK)
		__atomic_store_n(&table->end, (unsigned)descriptor / CHUNK + 1, __ATOMIC_RELEASE);
	return 0;
}

int descriptor_reserve(struct task *task, int lowest)
{
	struct file_table *table = task->files;
	int limit = limit_of(task), found, error = 0;

	spin_lock(&table->lock);
	for (;;) {
		found = find_free(table, lowest, limit);
		if (found >= limit)
			error = -EMFILE;
		if (error || table->chunks[found / CHUNK])
			break;
		/* locked: again, and another may have been as quick. */
		error = make_chunk(table, found);
	}
	if (!error) {
		bit_put(table->chunks[found / CHUNK]->used, (unsigned)found % CHUNK, true);
		if (lowest <= table->lowest)
			table->lowest = found + 1;
	}
	spin_unlock(&table->lock);
	return error ? error : found;
}

void descriptor_fill(struct task *task, int descriptor, struct file *file, unsigned flags)
{
	struct file_table *table = task->files;
	struct chunk *chunk;

	spin_lock(&table->lock);
	chunk = chunk_of(table, descriptor);
	ASSERT(chunk && !chunk->files[descriptor % CHUNK] &&
	       bit_get(chunk->used, (unsigned)descriptor % CHUNK));
	chunk->files[descriptor % CHUNK] = file;
	bit_put(chunk->close_on_exec, (unsigned)descriptor % CHUNK, flags & O_CLOEXEC);
	spin_unlock(&table->lock);
}

/* Makes a descriptor free and takes its file out. Table locked. */
static struct file *take_out(struct file_table *table, int descriptor)
{
	struct chunk *chunk = chunk_of(table, descriptor);
	struct file *file = chunk->files[descriptor % CHUNK];

	chunk->files[descriptor % CHUNK] = NULL;
	bit_put(chunk->used, (unsigned)descriptor % CHUNK, false);
	if (descriptor < table->lowest)
		table->lowest = descriptor;
	return file;
}

void descriptor_cancel(struct task *task, int descriptor)
{
	struct file_table *table = task->files;

	spin_lock(&table->lock);
	take_out(table, descriptor);
	spin_unlock(&table->lock);
}

int descriptor_install(struct task *task, struct file *file, int lowest, unsigned flags)
{
	int descriptor = descriptor_reserve(task, lowest);

	if (descriptor >= 0)
		descriptor_fill(task, descriptor, file, flags);
	return descriptor;
}

int descriptor_close(struct task *task, int descriptor)
{
	struct file_table *table = task->files;
	struct file *file = NULL;
	struct chunk *chunk;

	spin_lock(&table->lock);
	chunk = chunk_of(table, descriptor);
	if (chunk && chunk->files[descriptor % CHUNK])
		file = take_out(table, descriptor);
	spin_unlock(&table->lock);
	if (!file)
		return -EBADF;
	close_file(file, table, task->process);
	return 0;
}

int descriptor_replace(struct task *task, int descriptor, struct file *file, unsigned flags)
{
	struct file_table *table = task->files;
	struct file *before = NULL;
	struct chunk *chunk;
	int error = 0;

	if (descriptor < 0 || descriptor >= limit_of(task))
		return -EBADF;
	spin_lock(&table->lock);
	if (!chunk_of(table, descriptor))
		error = make_chunk(table, descriptor);
	chunk = chunk_of(table, descriptor);
	if (!error) {
		before = chunk->files[descriptor % CHUNK];
		if (!before && bit_get(chunk->used, (unsigned)descriptor % CHUNK))
			error = -EBUSY;
	}
	if (!error) {
		chunk->files[descriptor % CHUNK] = file;
		bit_put(chunk->used, (unsigned)descriptor % CHUNK, true);
		bit_put(chunk->close_on_exec, (unsigned)descriptor % CHUNK, flags & O_CLOEXEC);
	}
	spin_unlock(&table->lock);
	if (before)
		close_file(before, table, task->process);
	return error;
}

int descriptor_flags(struct task *task, int descriptor, int set)
{
	struct file_table *table = task->files;
	struct chunk *chunk;
	int flags = -EBADF;

	spin_lock(&table->lock);
	chunk = chunk_of(table, descriptor);
	if (chunk && chunk->files[descriptor % CHUNK]) {
		if (set >= 0)
			bit_put(chunk->close_on_exec, (unsigned)descriptor % CHUNK, set & FD_CLOEXEC);
		flags = bit_get(chunk->close_on_exec, (unsigned)descriptor % CHUNK) ? FD_CLOEXEC : 0;
	}
	spin_unlock(&table->lock);
	return flags;
}

int descriptor_next(struct file_table *table, int from, struct file **out)
{
	int found = -1;

	spin_lock(&table->lock);
	for (int at = from; found < 0 && at < (int)table->end * CHUNK; at++) {
		struct chunk *chunk = table->chunks[at / CHUNK];

		if (!chunk)
			at |= CHUNK - 1;
		else if (chunk->files[at % CHUNK])
			found = at;
		if (found >= 0 && out)
			*out = file_ref(chunk->files[at % CHUNK]);
	}
	spin_unlock(&table->lock);
	return found;
}

int descriptor_path(struct file_table *table, int descriptor, struct path *out)
{
	struct file *file = NULL;
	struct chunk *chunk;

	spin_lock(&table->lock);
	chunk = chunk_of(table, descriptor);
	if (chunk)
		file = chunk->files[descriptor % CHUNK];
	if (file)
		*out = (struct path){file->name ? name_ref(file->name) : NULL, inode_ref(file->inode)};
	spin_unlock(&table->lock);
	return file ? 0 : -ENOENT;
}

int descriptor_describe(struct file_table *table, int descriptor, struct descriptor_info *out)
{
	struct file *file = NULL;
	struct chunk *chunk;

	spin_lock(&table->lock);
	chunk = chunk_of(table, descriptor);
	if (chunk)
		file = chunk->files[descriptor % CHUNK];
	if (file)
		*out = (struct descriptor_info){.position = file->position,
						.flags = file->flags,
						.device = file->inode->fs->device,
						.inode = file->inode->number};
	spin_unlock(&table->lock);
	return file ? 0 : -ENOENT;
}

/* Takes the first file out that is to be closed by exec, from *from on; NULL: there is none. */
static struct file *take_close_on_exec(struct file_table *table, int *from)
{
	struct file *file = NULL;

	spin_lock(&table->lock);
	for (; !file && *from < (int)table->end * CHUNK; (*from)++) {
		struct chunk *chunk = table->chunks[*from / CHUNK];

		if (!chunk)
			*from |= CHUNK - 1;
		else if (!chunk->close_on_exec[*from % CHUNK / WORD_BITS])
			*from |= WORD_BITS - 1;
		else if (chunk->files[*from % CHUNK] &&
			 bit_get(chunk->close_on_exec, (unsigned)*from % CHUNK))
			file = take_out(table, *from);
	}
	spin_unlock(&table->lock);
	return file;
}

void file_table_close_on_exec(struct file_table *table, struct process *process)
{
	struct file *file;
	int from = 0;

	while ((file = take_close_on_exec(table, &from)) != NULL)
		close_file(file, table, process);
}
