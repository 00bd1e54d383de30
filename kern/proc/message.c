/*
 * Messages of queues: their memory. See message.h.
 *
 * A short message is a slab's object, a longer one a page, and what does not fit into that is in a chain of further pages: so that long
 * messages need no consecutive pages.
 */
#include <asm/errno.h>
#include <kern/message.h>
#include <stdatomic.h>
#include <vm/page.h>
#include <vm/slab.h>

#define SHORT_BYTES 256 /* a message with its head that is no longer than this is an object */
#define RAM_SHARE   8   /* IPC may take an eighth of RAM */

struct message_part {
	struct message_part *next;
	char text[PAGE_SIZE - sizeof(struct message_part *)];
};
_Static_assert(sizeof(struct message_part) == PAGE_SIZE, "a part is a page");

#define PART_BYTES (sizeof(((struct message_part *)0)->text))

static struct slab_cache short_cache;
static _Atomic uint64_t bytes_taken; /* by all messages, with their heads, and all semaphores */

void messages_init(void)
{
	slab_cache_init(&short_cache, "short message", SHORT_BYTES);
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

static bool is_short(size_t bytes)
{
	return sizeof(struct message) + bytes <= SHORT_BYTES;
}

/* Of a text of `bytes`, how much is in the message itself. */
static size_t first_part(size_t bytes)
{
	const size_t room = PAGE_SIZE - sizeof(struct message);

	return bytes < room ? bytes : room;
}

/* What a message of that length takes in all. */
static uint64_t memory_of(size_t bytes)
{
	uint64_t rest = bytes - first_part(bytes);

	return is_short(bytes) ? SHORT_BYTES : PAGE_SIZE + (rest + PART_BYTES - 1) / PART_BYTES * PAGE_SIZE;
}

bool ipc_charge(uint64_t bytes)
{
	uint64_t most = pages_to_bytes(page_ram_count()) / RAM_SHARE;

	if (atomic_fetch_add(&bytes_taken, bytes) + bytes <= most)
		return true;
	atomic_fetch_sub(&bytes_taken, bytes);
	return false;
}

void ipc_uncharge(uint64_t bytes)
{
	atomic_fetch_sub(&bytes_taken, bytes);
}

static void *page_for(void)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);

	return page ? page_data(page) : NULL;
}

static void free_memory(void *memory)
{
	page_free(page_from_paddr(env_virt_to_phys(memory)));
}

void message_free(struct message *message)
{
	struct message_part *part = message->more;
	size_t bytes = message->bytes;

	while (part) {
		struct message_part *next = part->next;

		free_memory(part);
		part = next;
	}
	if (is_short(bytes))
		slab_free(&short_cache, message);
	else
		free_memory(message);
	ipc_uncharge(memory_of(bytes));
}

/* A message with room for the text, which is not set. NULL: no memory. */
static struct message *make(size_t bytes)
{
	struct message_part **end;
	struct message *message;
	size_t done;

	if (!ipc_charge(memory_of(bytes)))
		return NULL;
	message = is_short(bytes) ? slab_alloc(&short_cache) : page_for();
	if (!message) {
		ipc_uncharge(memory_of(bytes));
		return NULL;
	}
	*message = (struct message){.bytes = bytes};
	end = &message->more;
	for (done = first_part(bytes); done < bytes; done += PART_BYTES) {
		*end = page_for();
		if (!*end) {
			message_free(message);
			return NULL;
		}
		(*end)->next = NULL;
		end = &(*end)->next;
	}
	return message;
}

/* ---- Contents --------------------------------------------------------------------------------------------------- */

/* Calls `move` for the pieces of the first `bytes` of the text, until it returns an error. */
static int each_piece(const struct message *message, size_t bytes,
		      int (*move)(char *piece, size_t offset, size_t count, vaddr_t context), vaddr_t context)
{
	size_t done = first_part(bytes);
	int error = move((char *)message->text, 0, done, context);

	for (struct message_part *part = message->more; part && done < bytes && !error; part = part->next) {
		size_t count = bytes - done < PART_BYTES ? bytes - done : PART_BYTES;

		error = move(part->text, done, count, context);
		done += count;
	}
	return error;
}

static int piece_in(char *piece, size_t offset, size_t count, vaddr_t from)
{
	return copy_from_user(piece, from + offset, count);
}

static int piece_out(char *piece, size_t offset, size_t count, vaddr_t to)
{
	return copy_to_user(to + offset, piece, count);
}

int message_load(vaddr_t from, size_t bytes, struct message **out)
{
	struct message *message = make(bytes);

	if (!message)
		return -ENOMEM;
	if (each_piece(message, bytes, piece_in, from) != 0) {
		message_free(message);
		return -EFAULT;
	}
	*out = message;
	return 0;
}

int message_store(const struct message *message, vaddr_t to, size_t bytes)
{
	return each_piece(message, bytes, piece_out, to);
}

struct message *message_copy(const struct message *message)
{
	struct message *copy = make(message->bytes);
	const struct message_part *from = message->more;

	if (!copy)
		return NULL;
	copy->type = message->type;
	memcpy(copy->text, message->text, first_part(message->bytes));
	for (struct message_part *to = copy->more; to; to = to->next, from = from->next)
		memcpy(to->text, from->text, PART_BYTES);
	return copy;
}
