/*
 * Arguments and environment on their way from one program to the next: out of the old one's memory, into a store of the kernel's, from
 * which exec.c fills the new one's stack.
 */
#include <asm/errno.h>
#include <kern/proc.h>

#define CHUNK_BYTES   256
#define BLOB_BYTES    (2 * ARGUMENTS_MAX_BYTES) /* what is in no page takes no memory */
#define POINTER_BYTES sizeof(vaddr_t)

const char *path_last_part(const char *path)
{
	const char *last = path;

	for (const char *at = path; *at != '\0'; at++)
		if (at[0] == '/' && at[1] != '\0')
			last = at + 1;
	return last;
}

/* ---- Packs --------------------------------------------------------------------------------------------- */

/* Bytes of a pack from `at` on. Returns how many there are, or an error. */
static int64_t read_pack(const struct string_pack *pack, uint64_t at, char chunk[CHUNK_BYTES],
			 const char **bytes)
{
	uint64_t part = pack->size - at;
	int error;

	if (pack->bytes) {
		*bytes = pack->bytes + at;
		return (int64_t)part;
	}
	part = part < CHUNK_BYTES ? part : CHUNK_BYTES;
	error = blob_read(pack->blob, pack->offset + at, chunk, part);
	*bytes = chunk;
	return error ? error : (int64_t)part;
}

int string_pack_visit(const struct string_pack *pack, int (*visit)(uint64_t offset, void *context),
		      void *context)
{
	char chunk[CHUNK_BYTES];
	bool starts = true;
	int error = 0;

	for (uint64_t at = 0; at < pack->size && !error;) {
		const char *bytes;
		int64_t count = read_pack(pack, at, chunk, &bytes);

		if (count < 0)
			return (int)count;
		for (int64_t i = 0; i < count && !error; i++) {
			if (starts)
				error = visit(at + (uint64_t)i, context);
			starts = bytes[i] == '\0';
		}
		at += (uint64_t)count;
	}
	return error;
}

static int count_one(uint64_t offset, void *context)
{
	size_t *count = context;

	(void)offset;
	(*count)++;
	return 0;
}

int string_pack_count(const struct string_pack *pack, size_t *count)
{
	*count = 0;
	return string_pack_visit(pack, count_one, count);
}

struct second {
	unsigned seen;
	uint64_t offset;
};

static int find_second(uint64_t offset, void *context)
{
	struct second *second = context;

	second->offset = offset;
	return ++second->seen == 2 ? 1 : 0;
}

int string_pack_drop_first(struct string_pack *pack)
{
	struct second second = {.seen = 0};
	int result = string_pack_visit(pack, find_second, &second);
	uint64_t dropped = second.seen == 2 ? second.offset : pack->size;

	if (result < 0)
		return result;
	if (pack->bytes)
		pack->bytes += dropped;
	pack->offset += dropped;
	pack->size -= dropped;
	return 0;
}

/* ---- The store -------------------------------------------------------------------------------------------- */

int string_store_begin(struct string_store *store, uint64_t room)
{
	*store = (struct string_store){.page = page_alloc(PAGE_KERNEL, 0), .room = room};
	return store->page ? 0 : -ENOMEM;
}

void string_store_end(struct string_store *store)
{
	if (store->blob)
		blob_unref(store->blob);
	page_free(store->page);
}

/* Moves what is in the page to the blob. */
static int flush(struct string_store *store)
{
	int error = store->blob ? 0 : blob_create(BLOB_BYTES, 0, &store->blob);

	if (!error && store->in_page > 0)
		error = blob_write(store->blob, store->in_blob, page_data(store->page), store->in_page);
	if (error)
		return error;
	store->in_blob += store->in_page;
	store->in_page = 0;
	return 0;
}

static int take_room(struct string_store *store, uint64_t bytes)
{
	if (bytes > store->room)
		return -E2BIG;
	store->room -= bytes;
	return 0;
}

static int add_string(struct string_store *store, vaddr_t from)
{
	uint64_t length = 0;

	for (;;) {
		size_t room = PAGE_SIZE - store->in_page;
		long part = copy_string_from_user((char *)page_data(store->page) + store->in_page,
						  from + length, room);
		bool ends = part >= 0;
		int error;

		if (part == -EFAULT)
			return -EFAULT;
		part = ends ? part + 1 : (long)room;
		store->in_page += (size_t)part;
		length += (uint64_t)part;
		if (length > STRING_MAX_BYTES)
			return -E2BIG;
		error = take_room(store, (uint64_t)part);
		if (!error && store->in_page == PAGE_SIZE)
			error = flush(store);
		if (error || ends)
			return error;
	}
}

int string_store_add_vector(struct string_store *store, vaddr_t vector, struct string_pack *pack,
			    size_t *count)
{
	uint64_t start = store->in_blob + store->in_page;
	int error = 0;

	*count = 0;
	for (; vector && !error; vector += POINTER_BYTES) {
		vaddr_t string;

		if (copy_from_user(&string, vector, sizeof(string)) != 0)
			return -EFAULT;
		if (!string)
			break;
		error = take_room(store, POINTER_BYTES);
		if (!error)
			error = add_string(store, string);
		(*count)++;
	}
	*pack = (struct string_pack){.offset = start, .size = store->in_blob + store->in_page - start};
	return error;
}

int string_store_add_empty(struct string_store *store, struct string_pack *pack)
{
	*pack = (struct string_pack){.offset = store->in_blob + store->in_page, .size = 1};
	((char *)page_data(store->page))[store->in_page++] = '\0';
	return store->in_page == PAGE_SIZE ? flush(store) : 0;
}

int string_store_finish(struct string_store *store, struct string_pack *packs, size_t count)
{
	int error = store->blob ? flush(store) : 0;

	for (size_t i = 0; i < count && !error; i++) {
		packs[i].blob = store->blob;
		if (!store->blob)
			packs[i].bytes = (const char *)page_data(store->page) + packs[i].offset;
	}
	return error;
}
