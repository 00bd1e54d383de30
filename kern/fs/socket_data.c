/*
 * Sockets within the machine: what they send each other. A message is bytes in pages, or in itself if they are few, with files and the sender's
 * credentials; a stream is a row of messages whose limits nobody sees, but that files come with the byte that they were sent with.
 */
#include <asm/signal.h>
#include <linux/fcntl.h>
#include <vm/page.h>

#include "unix_socket.h"

#define FEW_BYTES    256u
#define STREAM_BYTES ((uint64_t)16 << PAGE_SHIFT) /* of a stream in one message */
#define MESSAGE_COST 512u                         /* counted for each, besides its bytes */

/* Locks: (l) of the socket in whose queue it is, or nobody else knows it. */
struct message {
	TAILQ_ENTRY(message) link;        /* (l) */
	uint64_t bytes, taken;            /* (l) of a stream's, some may have been taken */
	struct page *pages;               /* (l) linked by `next`; NULL: the bytes are in `few` */
	struct page *page;                /* (l) the one that `taken` is in */
	struct held_parcel held;          /* (l) its files, as its own marks say */
	struct socket_credentials sender; /* (l) */
	struct socket_name name;          /* (l) the sender's */
	char few[FEW_BYTES];              /* (l) */
};

static struct slab_cache message_cache;

void socket_data_init(void)
{
	slab_cache_init(&message_cache, "socket message", sizeof(struct message));
}

/* ---- Messages -------------------------------------------------------------------------------------------------- */

static void message_free(struct message *message)
{
	while (message->pages) {
		struct page *page = message->pages;

		message->pages = page->next;
		page_free(page);
	}
	file_parcel_free(message->held.parcel);
	slab_free(&message_cache, message);
}

static bool add_pages(struct message *message, uint64_t bytes)
{
	struct page **end = &message->pages;

	for (uint64_t done = 0; done < bytes; done += PAGE_SIZE) {
		*end = page_alloc(PAGE_KERNEL, 0);
		if (!*end)
			return false;
		(*end)->next = NULL;
		end = &(*end)->next;
	}
	message->page = message->pages;
	return true;
}

/* Copies the bytes of a new message in. -EFAULT. */
static int fill(struct message *message, struct io *io)
{
	struct page *page = message->pages;
	uint64_t left = message->bytes;

	if (!page)
		return io_get(io, message->few, left) == (int64_t)left ? 0 : -EFAULT;
	for (; page; page = page->next) {
		uint64_t part = left < PAGE_SIZE ? left : PAGE_SIZE;

		if (io_get(io, page_data(page), part) != (int64_t)part)
			return -EFAULT;
		left -= part;
	}
	return 0;
}

/* A message of the next `bytes` of the io. */
static int message_create(struct socket *from, struct io *io, uint64_t bytes, struct message **out)
{
	struct message *message = slab_alloc(&message_cache);
	int error = 0;

	if (!message)
		return -ENOMEM;
	memset(message, 0, offsetof(struct message, few));
	message->bytes = bytes;
	message->sender = socket_credentials_of(task_current());
	if (bytes > FEW_BYTES && !add_pages(message, bytes))
		error = -ENOMEM;
	if (!error && bytes > 0)
		error = fill(message, io);
	if (error) {
		message_free(message);
		return error;
	}
	spin_lock(&socket_links);
	message->name = from->name;
	spin_unlock(&socket_links);
	*out = message;
	return 0;
}

static uint64_t cost(const struct message *message)
{
	return message->bytes + MESSAGE_COST;
}

/* Copies the next bytes of a message out, at most `most`, and takes them out of it unless `peek`. How many, or -EFAULT. */
static int64_t message_give(struct message *message, struct io *io, uint64_t most, bool peek)
{
	struct page *page = message->page;
	uint64_t at = message->taken, end = most < message->bytes - at ? at + most : message->bytes;
	int64_t status = 0;

	while (at < end) {
		uint64_t offset = message->pages ? at % PAGE_SIZE : at;
		uint64_t part = end - at;
		const char *bytes = page ? page_data(page) : message->few;

		if (page && part > PAGE_SIZE - offset)
			part = PAGE_SIZE - offset;
		status = io_put(io, bytes + offset, part);
		if (status <= 0)
			break;
		at += (uint64_t)status;
		if (page && at % PAGE_SIZE == 0)
			page = page->next;
		if ((uint64_t)status < part)
			break;
	}
	status = at > message->taken ? (int64_t)(at - message->taken) : status;
	if (!peek && status > 0) {
		message->taken = at;
		message->page = page;
	}
	return status;
}

bool socket_drop_queue(struct socket *socket)
{
	TAILQ_HEAD(, message) dropped = TAILQ_HEAD_INITIALIZER(dropped);
	struct message *message;
	bool any;

	mutex_lock(&socket->lock);
	TAILQ_CONCAT(&dropped, &socket->queue, link);
	socket->charged = socket->bytes = 0;
	mutex_unlock(&socket->lock);
	any = !TAILQ_EMPTY(&dropped);
	while ((message = TAILQ_FIRST(&dropped)) != NULL) {
		TAILQ_REMOVE(&dropped, message, link);
		if (message->held.parcel)
			message->held.parcel = socket_parcel_take(&message->held);
		message_free(message);
	}
	return any;
}

/* ---- Sending --------------------------------------------------------------------------------------------------------- */

static uint64_t deadline_after(uint64_t timeout)
{
	return timeout ? time_nanoseconds() + timeout : TIME_NEVER;
}

static bool has_room(const struct socket *to, const struct message *message)
{
	return to->charged == 0 || to->charged + cost(message) <= (uint64_t)to->receive_buffer;
}

static bool is_shut(const struct socket *from, const struct socket *to)
{
	return to->closed || from->no_more_output || (to->no_more_input && to->type != SOCK_DGRAM);
}

static int shut_error(const struct socket *from)
{
	return from->type == SOCK_DGRAM && !from->no_more_output ? -ECONNREFUSED : -EPIPE;
}

/* Puts a message into the queue of `to`, waiting for room. 0; -EAGAIN, -EPIPE, -ECONNREFUSED, -ERESTARTSYS. */
static int deliver(struct socket *from, struct socket *to, struct message *message, bool nonblock)
{
	int status = 0;

	mutex_lock(&to->lock);
	if (!has_room(to, message) && !is_shut(from, to)) {
		status = nonblock ? -ETIMEDOUT
				  : WAIT_EVENT_MUTEX(&to->room, &to->lock,
						     has_room(to, message) || is_shut(from, to),
						     SLEEP_INTERRUPTIBLE, deadline_after(from->send_timeout));
	}
	if (is_shut(from, to)) {
		status = shut_error(from);
	} else if (status == 0) {
		TAILQ_INSERT_TAIL(&to->queue, message, link);
		if (message->held.parcel)
			socket_parcel_hold(to, &message->held);
		to->charged += cost(message);
		to->bytes += message->bytes;
	}
	mutex_unlock(&to->lock);
	if (status == 0)
		wait_wake_all(&to->readable);
	if (status == -ETIMEDOUT)
		return -EAGAIN;
	return status == -EINTR ? -ERESTARTSYS : status;
}

/* Sends the next `bytes` of the io, and the files. */
static int64_t send_one(struct socket *from, struct socket *to, struct io *io, uint64_t bytes,
			struct socket_message *how, bool nonblock)
{
	struct message *message;
	int error = message_create(from, io, bytes, &message);

	if (error)
		return error;
	message->held.parcel = how->parcel;
	error = deliver(from, to, message, nonblock);
	if (error) {
		message->held.parcel = NULL;
		message_free(message);
		return error;
	}
	how->parcel = NULL;
	return (int64_t)bytes;
}

static int64_t send_stream(struct socket *from, struct socket *to, struct io *io, struct socket_message *how,
			   bool nonblock)
{
	int64_t done = 0, status = 0;

	while (io->left > 0) {
		status = send_one(from, to, io, io->left < STREAM_BYTES ? io->left : STREAM_BYTES, how,
				  nonblock);
		if (status < 0)
			break;
		done += status;
	}
	return done > 0 ? done : status;
}

/* Whom a message is for, with a reference. */
static int find_target(struct socket *from, const struct socket_message *how, struct socket **out)
{
	if (how->name.length > 0) {
		if (from->type == SOCK_STREAM)
			return from->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
		if (from->type == SOCK_DGRAM)
			return socket_find(task_current(), &how->name, SOCK_DGRAM, out);
	}
	*out = socket_peer(from);
	if (*out)
		return 0;
	return from->state == SOCKET_CONNECTED ? -EPIPE : -ENOTCONN;
}

static int64_t send_to(struct file *file, struct socket *to, struct io *io, struct socket_message *how)
{
	struct socket *from = socket_of(file);
	bool nonblock = (file->flags & O_NONBLOCK) || (how->flags & MSG_DONTWAIT);

	if (from->type == SOCK_STREAM)
		return send_stream(from, to, io, how, nonblock);
	if (io->left > (uint64_t)from->send_buffer)
		return -EMSGSIZE;
	return send_one(from, to, io, io->left, how, nonblock);
}

int64_t socket_send(struct file *file, struct io *io, struct socket_message *how)
{
	struct socket *from = socket_of(file), *to = NULL;
	int64_t result = how->flags & MSG_OOB ? -EOPNOTSUPP : socket_take_error(from);

	if (!result && from->no_more_output)
		result = -EPIPE;
	if (!result)
		result = find_target(from, how, &to);
	if (!result)
		result = send_to(file, to, io, how);
	socket_unref(to);
	socket_files_sent();
	if (result == -EPIPE && from->type != SOCK_DGRAM && !(how->flags & MSG_NOSIGNAL))
		signal_send_task_kernel(task_current(), SIGPIPE);
	return result;
}

/* ---- Receiving ---------------------------------------------------------------------------------------------------------- */

static bool has_input(const struct socket *socket)
{
	return !TAILQ_EMPTY(&socket->queue) || socket->no_more_input || socket->error;
}

/* Waits for a message. 0: there is one, or none will come; -EAGAIN, -ERESTARTSYS, or an error of the connection. The socket is locked. */
static int wait_for_input(struct socket *socket, bool nonblock, uint64_t deadline)
{
	int status = 0;

	if (!has_input(socket)) {
		if (nonblock)
			return -EAGAIN;
		status = WAIT_EVENT_MUTEX(&socket->readable, &socket->lock, has_input(socket),
					  SLEEP_INTERRUPTIBLE, deadline);
	}
	if (status)
		return status == -ETIMEDOUT ? -EAGAIN : -ERESTARTSYS;
	return TAILQ_EMPTY(&socket->queue) ? socket_take_error(socket) : 0;
}

/* Fills in what comes with a message's bytes. -ENOMEM: its files, which stay in the queue as well, cannot be given. */
static int give_rest(struct socket *socket, struct message *message, struct socket_message *how, bool peek)
{
	how->name = message->name;
	how->sender = message->sender;
	how->has_sender = socket->passes_credentials;
	if (!message->held.parcel)
		return 0;
	how->parcel = peek ? socket_parcel_copy(&message->held) : socket_parcel_take(&message->held);
	return how->parcel ? 0 : -ENOMEM;
}

static void remove_first(struct socket *socket, struct message *message)
{
	TAILQ_REMOVE(&socket->queue, message, link);
	socket->charged -= cost(message);
	message_free(message);
}

/* One message; what of it the program has no room for is lost. The socket is locked. */
static int64_t receive_message(struct socket *socket, struct io *io, struct socket_message *how)
{
	struct message *message = TAILQ_FIRST(&socket->queue);
	bool peek = how->flags & MSG_PEEK;
	uint64_t room = io->left;
	int64_t done;

	if (!message)
		return 0;
	how->whole = message->bytes;
	done = message_give(message, io, room, true);
	if (done < 0)
		return done;
	if (give_rest(socket, message, how, peek) != 0)
		return -ENOMEM;
	if (message->bytes > room)
		how->out_flags |= MSG_TRUNC;
	if (!peek) {
		socket->bytes -= message->bytes;
		remove_first(socket, message);
	}
	return how->flags & MSG_TRUNC ? (int64_t)how->whole : done;
}

/* Does a read of a stream, which has got something, end before this message? */
static bool is_boundary(const struct socket *socket, const struct message *message,
			const struct socket_message *how, bool first)
{
	if (first)
		return false;
	if (how->parcel || message->held.parcel)
		return true;
	return socket->passes_credentials && memcmp(&message->sender, &how->sender, sizeof(how->sender)) != 0;
}

/* What there is of a stream without waiting. The socket is locked. */
static int64_t receive_there(struct socket *socket, struct io *io, struct socket_message *how, bool first)
{
	struct message *message = TAILQ_FIRST(&socket->queue);
	bool peek = how->flags & MSG_PEEK;
	int64_t done = 0, status = 0;

	while (message && io->left > 0 && !is_boundary(socket, message, how, first && done == 0)) {
		struct message *next = TAILQ_NEXT(message, link);

		status = message_give(message, io, io->left, peek);
		if (status < 0)
			break;
		/* Only a look fails, which takes nothing. */
		if (((first && done == 0) || message->held.parcel) &&
		    give_rest(socket, message, how, peek) != 0) {
			status = -ENOMEM;
			break;
		}
		done += status;
		if (!peek) {
			socket->bytes -= (uint64_t)status;
			if (message->taken < message->bytes)
				break;
			remove_first(socket, message);
		}
		message = next;
	}
	return done > 0 ? done : status;
}

static int64_t receive_stream(struct socket *socket, struct io *io, struct socket_message *how, bool nonblock,
			      uint64_t deadline)
{
	int64_t done = 0, status;

	do {
		status = wait_for_input(socket, nonblock, deadline);
		if (status)
			break;
		status = receive_there(socket, io, how, done == 0);
		if (status <= 0)
			break;
		done += status;
		/* There is room for who sends, while this one waits for more. */
		wait_wake_all(&socket->room);
	} while ((how->flags & MSG_WAITALL) && !(how->flags & MSG_PEEK) && io->left > 0 && !how->parcel);
	return done > 0 ? done : status;
}

static int64_t check_receive(const struct socket *socket, const struct socket_message *how)
{
	if (how->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (socket->type == SOCK_DGRAM || socket->state == SOCKET_CONNECTED)
		return 0;
	return socket->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
}

int64_t socket_receive(struct file *file, struct io *io, struct socket_message *how)
{
	struct socket *socket = socket_of(file), *peer;
	bool nonblock = (file->flags & O_NONBLOCK) || (how->flags & MSG_DONTWAIT);
	uint64_t deadline = deadline_after(socket->receive_timeout);
	int64_t result = check_receive(socket, how);

	how->name.length = 0;
	if (result)
		return result;
	if (socket->type == SOCK_STREAM && io->left == 0)
		return 0;
	if (mutex_lock_killable(&socket->lock) != 0)
		return -ERESTARTSYS;
	if (socket->type == SOCK_STREAM) {
		result = receive_stream(socket, io, how, nonblock, deadline);
	} else {
		result = wait_for_input(socket, nonblock, deadline);
		if (!result)
			result = receive_message(socket, io, how);
	}
	mutex_unlock(&socket->lock);
	wait_wake_all(&socket->room);
	peer = socket_peer(socket);
	if (peer)
		wait_wake_all(&peer->writable);
	socket_unref(peer);
	return result;
}
