/*
 * Files on their way through sockets: a parcel is the files of one message (SCM_RIGHTS, unix(7)).
 *
 * Sockets are files, too. One may be in its own queue, or two in each other's, and then their references keep them although nobody has a descriptor of them any
 * more. So it is known which parcels are in queues, and how often a socket is in one (it flies), and now and then circles that are lost are looked for: of sockets that
 * nothing but parcels refers to, those that are in no parcel of others, nor in one of those that are. What is in their queues is freed, and they go.
 */
#include <vm/slab.h>

#include "unix_socket.h"

/* A look goes through all sockets that fly. So it is worth one when they have become twice as many, or when so many sockets were closed: a share of them. */
#define LOOK_LEAST   64u
#define CLOSED_SHARE 16u

static struct slab_cache parcel_cache;

/* Locks: (p) its lock. */
static struct {
	struct mutex lock;
	TAILQ_HEAD(, socket) sockets; /* (p) that fly */
	_Atomic uint64_t count;       /* (p) how often they do, all together; may be read without */
	_Atomic uint64_t limit;       /* (p) when they are this many there is a look; may be read without */
	uint64_t closed;              /* (p) sockets, since the last one */
} flying;

/* Parcels that are to be freed. Locks: (c) socket_links. */
static struct {
	struct file_parcel *first; /* (c) */
	bool busy;                 /* (c) somebody frees them */
} dying;

void socket_files_init(void)
{
	slab_cache_init(&parcel_cache, "files in messages", sizeof(struct file_parcel));
	mutex_init(&flying.lock, RANK_PASSING, "files in messages");
	TAILQ_INIT(&flying.sockets);
	flying.limit = LOOK_LEAST;
}

/* ---- Parcels ------------------------------------------------------------------------------------------------- */

struct file_parcel *file_parcel_create(void)
{
	struct file_parcel *parcel = slab_alloc(&parcel_cache);

	if (parcel)
		parcel->count = 0;
	return parcel;
}

static void parcel_end(struct file_parcel *parcel)
{
	for (unsigned i = 0; i < parcel->count; i++)
		file_unref(parcel->files[i]);
	slab_free(&parcel_cache, parcel);
}

static struct file_parcel *next_dying(void)
{
	struct file_parcel *parcel;

	spin_lock(&socket_links);
	parcel = dying.first;
	if (parcel)
		dying.first = parcel->next;
	else
		dying.busy = false;
	spin_unlock(&socket_links);
	return parcel;
}

/* A file may be a socket with files in its queue, and so on: each is freed by the first call, and not inside of the one before. */
void file_parcel_free(struct file_parcel *parcel)
{
	bool busy;

	if (!parcel)
		return;
	spin_lock(&socket_links);
	parcel->next = dying.first;
	dying.first = parcel;
	busy = dying.busy;
	dying.busy = true;
	spin_unlock(&socket_links);
	while (!busy && (parcel = next_dying()) != NULL)
		parcel_end(parcel);
}

/* ---- Parcels in queues ------------------------------------------------------------------------------------------ */

/* The socket of a parcel's file; NULL: it is another file. */
static struct socket *socket_in(const struct file_parcel *parcel, unsigned i)
{
	return file_is_socket(parcel->files[i]) ? socket_of(parcel->files[i]) : NULL;
}

void socket_parcel_hold(struct socket *holder, struct held_parcel *held)
{
	struct file_parcel *parcel = held->parcel;

	mutex_lock(&flying.lock);
	LIST_INSERT_HEAD(&holder->parcels, held, link);
	for (unsigned i = 0; i < parcel->count; i++) {
		struct socket *socket = socket_in(parcel, i);

		if (!socket)
			continue;
		flying.count++;
		if (socket->flies++ == 0)
			TAILQ_INSERT_TAIL(&flying.sockets, socket, flying);
	}
	mutex_unlock(&flying.lock);
}

/* Takes a parcel out of the queue that it is in: its files fly no more. flying.lock is held. */
static struct file_parcel *take_out(struct held_parcel *held)
{
	struct file_parcel *parcel = held->parcel;

	LIST_REMOVE(held, link);
	held->parcel = NULL;
	for (unsigned i = 0; i < parcel->count; i++) {
		struct socket *socket = socket_in(parcel, i);

		if (!socket)
			continue;
		flying.count--;
		if (--socket->flies == 0)
			TAILQ_REMOVE(&flying.sockets, socket, flying);
	}
	return parcel;
}

struct file_parcel *socket_parcel_take(struct held_parcel *held)
{
	struct file_parcel *parcel = NULL;

	mutex_lock(&flying.lock);
	if (held->parcel)
		parcel = take_out(held);
	mutex_unlock(&flying.lock);
	return parcel;
}

struct file_parcel *socket_parcel_copy(const struct held_parcel *held)
{
	struct file_parcel *copy = file_parcel_create();

	if (!copy)
		return NULL;
	mutex_lock(&flying.lock);
	for (unsigned i = 0; held->parcel && i < held->parcel->count; i++)
		copy->files[copy->count++] = file_ref(held->parcel->files[i]);
	mutex_unlock(&flying.lock);
	return copy;
}

/* ---- Circles ------------------------------------------------------------------------------------------------------- */

LIST_HEAD(held_list, held_parcel);

/* Sockets that are known to be within reach, and whose queues are still to be looked at. Linked by `reached`. */
TAILQ_HEAD(reached_list, socket);

typedef void visit_parcel(struct held_parcel *held, void *context);

/* What can be received from it, or from a connection that it has not accepted yet. flying.lock is held. */
static void each_parcel(struct socket *holder, visit_parcel *visit, void *context)
{
	struct held_parcel *held, *next;
	struct socket *end;

	LIST_FOREACH_SAFE(held, &holder->parcels, link, next)
	visit(held, context);
	spin_lock(&socket_links);
	TAILQ_FOREACH(end, &holder->waiting, link)
	LIST_FOREACH_SAFE(held, &end->parcels, link, next)
	visit(held, context);
	spin_unlock(&socket_links);
}

static void count_inside(struct held_parcel *held, void *unused)
{
	const struct file_parcel *parcel = held->parcel;

	(void)unused;
	for (unsigned i = 0; i < parcel->count; i++) {
		struct socket *socket = socket_in(parcel, i);

		if (socket && socket->suspect)
			socket->outside--;
	}
}

static void reach(struct socket *socket, struct reached_list *list)
{
	socket->suspect = false;
	TAILQ_INSERT_TAIL(list, socket, reached);
}

static void reach_inside(struct held_parcel *held, void *context)
{
	const struct file_parcel *parcel = held->parcel;

	for (unsigned i = 0; i < parcel->count; i++) {
		struct socket *socket = socket_in(parcel, i);

		if (socket && socket->suspect)
			reach(socket, context);
	}
}

static void gather(struct held_parcel *held, void *context)
{
	struct held_list *all = context;

	LIST_REMOVE(held, link);
	LIST_INSERT_HEAD(all, held, link);
}

/*
 * Leaves those sockets suspects that are lost. Nobody can come to have one of them meanwhile: for that it would have to be received, or a copy of it (MSG_PEEK),
 * which takes flying.lock, and who could do so has a reference to the file of the socket whose queue it is in. flying.lock is held.
 */
static void find_lost(void)
{
	struct reached_list reached = TAILQ_HEAD_INITIALIZER(reached);
	struct socket *socket;

	TAILQ_FOREACH(socket, &flying.sockets, flying)
	{
		socket->suspect = socket->file->refs == socket->flies;
		socket->outside = socket->flies;
	}
	TAILQ_FOREACH(socket, &flying.sockets, flying)
	if (socket->suspect)
		each_parcel(socket, count_inside, NULL);
	TAILQ_FOREACH(socket, &flying.sockets, flying)
	if (socket->suspect && socket->outside > 0)
		reach(socket, &reached);
	while ((socket = TAILQ_FIRST(&reached)) != NULL) {
		TAILQ_REMOVE(&reached, socket, reached);
		each_parcel(socket, reach_inside, &reached);
	}
}

void socket_files_collect(void)
{
	struct held_list held = LIST_HEAD_INITIALIZER(held);
	struct file_parcel *lost = NULL, *parcel;
	struct socket *socket;

	mutex_lock(&flying.lock);
	find_lost();
	/* First all are gathered: sockets that fly no more are in no list. */
	TAILQ_FOREACH(socket, &flying.sockets, flying)
	if (socket->suspect)
		each_parcel(socket, gather, &held);
	while (!LIST_EMPTY(&held)) {
		parcel = take_out(LIST_FIRST(&held));
		parcel->next = lost;
		lost = parcel;
	}
	flying.closed = 0;
	flying.limit = 2 * flying.count < LOOK_LEAST ? LOOK_LEAST : 2 * flying.count;
	mutex_unlock(&flying.lock);
	while ((parcel = lost) != NULL) {
		lost = parcel->next;
		file_parcel_free(parcel);
	}
}

void socket_files_sent(void)
{
	if (flying.count >= flying.limit)
		socket_files_collect();
}

void socket_files_closed(void)
{
	bool due;

	if (flying.count == 0)
		return;
	mutex_lock(&flying.lock);
	due = ++flying.closed > flying.count / CLOSED_SHARE;
	mutex_unlock(&flying.lock);
	if (due)
		socket_files_collect();
}
