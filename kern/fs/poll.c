/*
 * Waiting for several files: what poll(2), select(2) and their relatives have in common. The calls themselves are in
 * kern/proc/sys_poll.c; epoll, which remembers what it waits for, in epoll.c.
 */
#include <asm/errno.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <vm/slab.h>

#define CHUNK_WAITERS 48

struct waiter_chunk {
	struct waiter_chunk *next;
	unsigned used;
	struct waiter waiters[CHUNK_WAITERS];
};

static struct slab_cache chunk_cache;

void polls_init(void)
{
	slab_cache_init(&chunk_cache, "poll waiters", sizeof(struct waiter_chunk));
}

void poll_wait(struct poll_table *table, struct wait_queue *queue)
{
	if (table)
		table->enter(table, queue);
}

uint32_t file_poll(struct file *file, struct poll_table *table)
{
	if (!file->ops->poll)
		return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
	return file->ops->poll(file, table);
}

/* A waiter that is not used yet; NULL: no memory. */
static struct waiter *next_waiter(struct poll_waiters *waiters)
{
	struct waiter_chunk *chunk = waiters->more;

	if (waiters->used < POLL_FEW_WAITERS)
		return &waiters->few[waiters->used++];
	if (!chunk || chunk->used == CHUNK_WAITERS) {
		chunk = slab_alloc(&chunk_cache);
		if (!chunk)
			return NULL;
		chunk->next = waiters->more;
		chunk->used = 0;
		waiters->more = chunk;
	}
	return &chunk->waiters[chunk->used++];
}

static void enter(struct poll_table *table, struct wait_queue *queue)
{
	struct poll_waiters *waiters = (struct poll_waiters *)table;
	struct waiter *waiter = next_waiter(waiters);

	if (waiter)
		wait_enter(queue, waiter);
	else
		waiters->error = -ENOMEM;
}

static void leave_all(struct poll_waiters *waiters)
{
	struct waiter_chunk *chunk;

	for (unsigned i = 0; i < waiters->used; i++)
		wait_leave(&waiters->few[i]);
	while ((chunk = waiters->more) != NULL) {
		for (unsigned i = 0; i < chunk->used; i++)
			wait_leave(&chunk->waiters[i]);
		waiters->more = chunk->next;
		slab_free(&chunk_cache, chunk);
	}
}

/* How many are ready. Those after the first that is need no waiters. */
static int64_t look(struct poll_entry *entries, size_t count, struct poll_table *table)
{
	int64_t ready = 0;

	for (size_t i = 0; i < count; i++) {
		struct poll_entry *entry = &entries[i];

		entry->revents = 0;
		if (!entry->file)
			continue;
		entry->revents = file_poll(entry->file, table) & (entry->events | EPOLLERR | EPOLLHUP);
		if (entry->revents) {
			ready++;
			table = NULL;
		}
	}
	return ready;
}

int64_t poll_files(struct poll_entry *entries, size_t count, uint64_t deadline)
{
	struct poll_waiters waiters = {.table.enter = enter};
	struct poll_table *table = deadline > 0 ? &waiters.table : NULL;
	int64_t ready;
	int status = deadline > 0 ? 0 : -ETIMEDOUT;

	for (;;) {
		thread_sleep_begin(SLEEP_INTERRUPTIBLE);
		ready = look(entries, count, table);
		table = NULL;
		if (ready > 0 || status || waiters.error)
			break;
		status = thread_sleep(deadline);
	}
	thread_sleep_end();
	leave_all(&waiters);
	if (ready > 0)
		return ready;
	if (waiters.error)
		return waiters.error;
	return status == -ETIMEDOUT ? 0 : status;
}
