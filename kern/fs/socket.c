/*
 * Sockets within the machine (unix(7)): made, named, connected, accepted, shut down. What goes through them is socket_data.c's.
 */
#include <asm/signal.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <asm/ioctls.h>
#include <asm/socket.h>

#include "unix_socket.h"

#define BUFFER_BYTES 212992 /* as Linux: net.core.rmem_default */
#define BUFFER_LEAST 2304
#define BUFFER_MOST  (2 * BUFFER_BYTES)
#define BACKLOG_MOST 4096
#define AUTO_NAME    6 /* bytes of the abstract name that is made up: a 0 and five hexadecimal digits */

static struct slab_cache socket_cache;

struct spinlock socket_links = ENV_SPINLOCK_INIT(RANK_TTY, "sockets' links");

/* Those that have a name. Locks: (c) socket_links. */
static struct {
	TAILQ_HEAD(, socket) sockets; /* (c) */
	unsigned next_name;           /* (c) */
} names = {.sockets = TAILQ_HEAD_INITIALIZER(names.sockets)};

static const struct file_ops socket_ops;

void sockets_init(void)
{
	slab_cache_init(&socket_cache, "socket", sizeof(struct socket));
	socket_data_init();
	socket_files_init();
}

/* ---- Making and freeing ------------------------------------------------------------------------------------ */

struct socket_credentials socket_credentials_of(struct task *task)
{
	const struct credentials *credentials = &task->process->credentials;

	return (struct socket_credentials){.pid = task->process->pid,
					   .uid = credentials->user.effective,
					   .gid = credentials->group.effective};
}

static struct socket *allocate(int type)
{
	struct socket *socket = slab_alloc(&socket_cache);

	if (!socket)
		return NULL;
	memset(socket, 0, sizeof(*socket));
	socket->refs = 1;
	socket->type = type;
	mutex_init(&socket->lock, RANK_INODE, "socket");
	TAILQ_INIT(&socket->waiting);
	TAILQ_INIT(&socket->queue);
	LIST_INIT(&socket->parcels);
	socket->receive_buffer = socket->send_buffer = BUFFER_BYTES;
	wait_queue_init(&socket->readable);
	wait_queue_init(&socket->writable);
	wait_queue_init(&socket->room);
	socket->owner = socket_credentials_of(task_current());
	return socket;
}

void socket_unref(struct socket *socket)
{
	if (!socket || --socket->refs > 0)
		return;
	ASSERT(!socket->peer && !socket->bound);
	socket_drop_queue(socket);
	slab_free(&socket_cache, socket);
}

/* What is needed of memory to make a file of a socket; begin_file() cannot fail then. */
struct file_room {
	struct file *file;
	struct inode *inode;
};

static int reserve_file(struct file_room *room)
{
	room->file = file_reserve();
	if (!room->file)
		return -ENOMEM;
	room->inode = inode_create_unnamed(S_IFSOCK | S_IRWXUGO);
	if (room->inode)
		return 0;
	file_cancel(room->file);
	return -ENOMEM;
}

static void cancel_file(const struct file_room *room)
{
	inode_unref(room->inode);
	file_cancel(room->file);
}

/* Makes a file of the socket, which takes the reference over. */
static struct file *begin_file(const struct file_room *room, struct socket *socket, unsigned flags)
{
	file_begin(room->file, &socket_ops, room->inode, NULL, O_RDWR | (flags & O_NONBLOCK), socket);
	socket->file = room->file;
	return room->file;
}

int socket_create(int type, unsigned flags, struct file **out)
{
	struct socket *socket = allocate(type);
	struct file_room room;

	if (!socket)
		return -ENOMEM;
	if (reserve_file(&room) != 0) {
		socket_unref(socket);
		return -ENOMEM;
	}
	*out = begin_file(&room, socket, flags);
	return 0;
}

/* socket_links is locked. */
static void link_pair(struct socket *left, struct socket *right)
{
	left->peer = socket_ref(right);
	right->peer = socket_ref(left);
	left->others = right->owner;
	right->others = left->owner;
	left->state = right->state = SOCKET_CONNECTED;
}

int socket_create_pair(int type, unsigned flags, struct file *out[2])
{
	int error = socket_create(type, flags, &out[0]);

	if (error)
		return error;
	error = socket_create(type, flags, &out[1]);
	if (error) {
		file_unref(out[0]);
		return error;
	}
	spin_lock(&socket_links);
	link_pair(socket_of(out[0]), socket_of(out[1]));
	spin_unlock(&socket_links);
	return 0;
}

bool file_is_socket(const struct file *file)
{
	return file->ops == &socket_ops;
}

int socket_type(const struct file *file)
{
	return socket_of(file)->type;
}

void socket_wake(struct socket *socket)
{
	wait_wake_all(&socket->readable);
	wait_wake_all(&socket->writable);
	wait_wake_all(&socket->room);
}

/* ---- Peers -------------------------------------------------------------------------------------------------------- */

struct socket *socket_peer(struct socket *socket)
{
	struct socket *peer;

	spin_lock(&socket_links);
	peer = socket->peer ? socket_ref(socket->peer) : NULL;
	spin_unlock(&socket_links);
	return peer;
}

/* Takes the connection back; the reference is the caller's. */
static struct socket *take_peer(struct socket *socket)
{
	struct socket *peer;

	spin_lock(&socket_links);
	peer = socket->peer;
	socket->peer = NULL;
	spin_unlock(&socket_links);
	return peer;
}

int socket_take_error(struct socket *socket)
{
	return atomic_exchange(&socket->error, 0);
}

/* ---- Names ---------------------------------------------------------------------------------------------------------- */

static bool is_abstract(const struct socket_name *name)
{
	return name->path[0] == '\0';
}

/* socket_links is locked. */
static struct socket *find_abstract_locked(const struct socket_name *name)
{
	struct socket *socket;

	TAILQ_FOREACH(socket, &names.sockets, link)
	if (!socket->inode && socket->name.length == name->length &&
	    memcmp(socket->name.path, name->path, name->length) == 0)
		return socket;
	return NULL;
}

static struct socket *find_inode_locked(const struct inode *inode)
{
	struct socket *socket;

	TAILQ_FOREACH(socket, &names.sockets, link)
	if (socket->inode == inode)
		return socket;
	return NULL;
}

/* The inode that a path of the file system leads to, with a reference. */
static int look_up(struct task *task, const struct socket_name *name, struct inode **out)
{
	struct path found;
	int error = path_lookup(task, AT_FDCWD, name->path, LOOKUP_FOLLOW, &found);

	if (error)
		return error;
	error = inode_permission(task, found.inode, MAY_WRITE);
	if (!error && !S_ISSOCK(found.inode->mode))
		error = -ECONNREFUSED;
	if (!error)
		*out = inode_ref(found.inode);
	path_release(&found);
	return error;
}

int socket_find(struct task *task, const struct socket_name *name, int type, struct socket **out)
{
	struct inode *inode = NULL;
	int error = is_abstract(name) ? 0 : look_up(task, name, &inode);
	struct socket *socket;

	if (error)
		return error;
	spin_lock(&socket_links);
	socket = inode ? find_inode_locked(inode) : find_abstract_locked(name);
	if (!socket)
		error = -ECONNREFUSED;
	else if (socket->type != type)
		error = -EPROTOTYPE;
	else
		*out = socket_ref(socket);
	spin_unlock(&socket_links);
	inode_unref(inode);
	return error;
}

/* Gives the socket the name. -EINVAL: it has one; -EADDRINUSE. Takes over the inode's reference on success. */
static int bind_name(struct socket *socket, const struct socket_name *name, struct inode *inode)
{
	int error = 0;

	spin_lock(&socket_links);
	if (socket->bound) {
		error = -EINVAL;
	} else if (!inode && find_abstract_locked(name)) {
		error = -EADDRINUSE;
	} else {
		socket->bound = true;
		socket->name = *name;
		socket->inode = inode;
		TAILQ_INSERT_TAIL(&names.sockets, socket, link);
	}
	spin_unlock(&socket_links);
	return error;
}

/* An abstract name that nobody has. */
static int bind_any(struct socket *socket)
{
	struct socket_name name = {.length = AUTO_NAME};
	int error = -EADDRINUSE;

	while (error == -EADDRINUSE) {
		char digits[AUTO_NAME];

		spin_lock(&socket_links);
		env_format(digits, sizeof(digits), "%05x", names.next_name++ & 0xfffffu);
		spin_unlock(&socket_links);
		memcpy(name.path + 1, digits, AUTO_NAME - 1);
		error = bind_name(socket, &name, NULL);
	}
	return error;
}

int socket_bind(struct file *file, struct task *task, const struct socket_name *name)
{
	struct socket *socket = socket_of(file);
	struct inode *inode = NULL;
	int error = 0;

	if (name->length == 0)
		return bind_any(socket);
	if (socket->bound)
		return -EINVAL;
	if (!is_abstract(name))
		error = fs_make_node(task, AT_FDCWD, name->path, S_IFSOCK | S_IRWXUGO, 0, NULL, &inode);
	if (error)
		return error == -EEXIST ? -EADDRINUSE : error;
	error = bind_name(socket, name, inode);
	if (error)
		inode_unref(inode);
	return error;
}

static void unbind(struct socket *socket)
{
	struct inode *inode = NULL;

	spin_lock(&socket_links);
	if (socket->bound) {
		TAILQ_REMOVE(&names.sockets, socket, link);
		inode = socket->inode;
		socket->inode = NULL;
		socket->bound = false;
	}
	spin_unlock(&socket_links);
	inode_unref(inode);
}

int socket_get_name(struct file *file, bool of_peer, struct socket_name *name)
{
	struct socket *socket = socket_of(file);
	int error = 0;

	name->length = 0;
	spin_lock(&socket_links);
	if (of_peer)
		socket = socket->peer;
	if (socket)
		*name = socket->name;
	else
		error = -ENOTCONN;
	spin_unlock(&socket_links);
	return error;
}

/* ---- Connecting -------------------------------------------------------------------------------------------------------- */

int socket_listen(struct file *file, int backlog)
{
	struct socket *socket = socket_of(file);
	int error = 0;

	if (socket->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	spin_lock(&socket_links);
	if (!socket->bound || socket->state == SOCKET_CONNECTED) {
		error = -EINVAL;
	} else {
		socket->state = SOCKET_LISTENING;
		socket->backlog = backlog < 0 || backlog > BACKLOG_MOST ? BACKLOG_MOST : (unsigned)backlog;
		socket->owner = socket_credentials_of(task_current());
	}
	spin_unlock(&socket_links);
	wait_wake_all(&socket->room);
	return error;
}

/*
 * Puts the other end of a new connection into the listener's list: 0; -EAGAIN: the list is full; -ECONNREFUSED: it does not listen;
 * -EISCONN: `socket` is connected.
 */
static int offer(struct socket *socket, struct socket *listener, struct socket *end)
{
	int error = 0;

	spin_lock(&socket_links);
	if (socket->state == SOCKET_CONNECTED) {
		error = -EISCONN;
	} else if (listener->state != SOCKET_LISTENING || listener->closed || listener->no_more_input) {
		error = -ECONNREFUSED;
	} else if (listener->waiting_count > listener->backlog) {
		error = -EAGAIN;
	} else {
		end->owner = listener->owner;
		end->name = listener->name;
		link_pair(socket, end);
		TAILQ_INSERT_TAIL(&listener->waiting, end, link);
		listener->waiting_count++;
	}
	spin_unlock(&socket_links);
	return error;
}

static bool may_offer(const struct socket *listener)
{
	return listener->waiting_count <= listener->backlog || listener->closed;
}

static int64_t connect_to(struct socket *socket, struct socket *listener, bool nonblock)
{
	struct socket *end = allocate(socket->type);
	int64_t error = end ? offer(socket, listener, end) : -ENOMEM;

	while (error == -EAGAIN && !nonblock) {
		if (WAIT_EVENT(&listener->room, may_offer(listener), SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			error = -ERESTARTSYS;
		else
			error = offer(socket, listener, end);
	}
	if (error)
		socket_unref(end);
	else
		wait_wake_all(&listener->readable);
	return error;
}

/* Datagrams: whom messages without an address are for. */
static void connect_datagrams(struct socket *socket, struct socket *to)
{
	struct socket *before;

	spin_lock(&socket_links);
	before = socket->peer;
	socket->peer = to;
	socket->state = to ? SOCKET_CONNECTED : SOCKET_FREE;
	spin_unlock(&socket_links);
	socket_unref(before);
	wait_wake_all(&socket->writable);
}

int64_t socket_connect(struct file *file, struct task *task, const struct socket_name *name)
{
	struct socket *socket = socket_of(file), *found;
	int64_t error;

	if (name->length == 0) {
		if (socket->type != SOCK_DGRAM)
			return -EINVAL;
		connect_datagrams(socket, NULL);
		return 0;
	}
	if (socket->state == SOCKET_LISTENING)
		return -EINVAL;
	error = socket_find(task, name, socket->type, &found);
	if (error)
		return error;
	if (socket->type == SOCK_DGRAM) {
		connect_datagrams(socket, found);
		return 0;
	}
	error = connect_to(socket, found, file->flags & O_NONBLOCK);
	socket_unref(found);
	return error;
}

/* The connection that waits longest, with its reference; NULL: none. */
static struct socket *take_waiting(struct socket *listener)
{
	struct socket *end;

	spin_lock(&socket_links);
	end = TAILQ_FIRST(&listener->waiting);
	if (end) {
		TAILQ_REMOVE(&listener->waiting, end, link);
		listener->waiting_count--;
	}
	spin_unlock(&socket_links);
	return end;
}

/* As take_waiting, and waits for one. -EAGAIN, -ERESTARTSYS; -EINVAL: none will come. */
static int64_t await_waiting(struct socket *listener, bool nonblock, struct socket **end)
{
	uint64_t deadline = TIME_NEVER;
	int status;

	if (listener->receive_timeout)
		deadline = time_nanoseconds() + listener->receive_timeout;
	*end = take_waiting(listener);
	if (*end)
		return 0;
	if (nonblock)
		return -EAGAIN;
	status = WAIT_EVENT(&listener->readable, (*end = take_waiting(listener)) || listener->no_more_input,
			    SLEEP_INTERRUPTIBLE, deadline);
	if (*end)
		return 0;
	return status == -ETIMEDOUT ? -EAGAIN : status ? -ERESTARTSYS : -EINVAL;
}

/* There is memory for the file before a connection is taken, which would be lost. */
int64_t socket_accept(struct file *file, unsigned flags, struct file **out)
{
	struct socket *listener = socket_of(file), *end;
	struct file_room room;
	int64_t status;

	if (listener->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (listener->state != SOCKET_LISTENING)
		return -EINVAL;
	status = reserve_file(&room);
	if (status)
		return status;
	status = await_waiting(listener, file->flags & O_NONBLOCK, &end);
	if (status) {
		cancel_file(&room);
		return status;
	}
	*out = begin_file(&room, end, flags);
	wait_wake_all(&listener->room);
	return 0;
}

/* ---- Closing ----------------------------------------------------------------------------------------------------------------- */

/* Tells the other end that nothing comes any more, and that nobody reads. `lost`: what it sent was not read. */
static void leave_peer(struct socket *socket, bool lost)
{
	struct socket *peer = take_peer(socket);

	if (peer && socket->type != SOCK_DGRAM) {
		peer->no_more_input = peer->no_more_output = true;
		if (lost)
			peer->error = -ECONNRESET;
	}
	if (peer)
		socket_wake(peer);
	socket_unref(peer);
}

/* `refused`: nobody accepted the connection that it is an end of. */
static void close_socket(struct socket *socket, bool refused)
{
	struct socket *end;
	bool lost;

	unbind(socket);
	socket->closed = true;
	lost = socket_drop_queue(socket);
	leave_peer(socket, lost || refused);
	while ((end = take_waiting(socket)) != NULL) {
		close_socket(end, true);
		socket_unref(end);
	}
	socket_wake(socket);
}

static void socket_release(struct file *file)
{
	close_socket(socket_of(file), false);
	socket_unref(socket_of(file));
	socket_files_closed();
}

int socket_shutdown(struct file *file, int how)
{
	struct socket *socket = socket_of(file), *peer;
	bool reads = how == SHUT_RD || how == SHUT_RDWR, writes = how == SHUT_WR || how == SHUT_RDWR;

	if (!reads && !writes)
		return -EINVAL;
	peer = socket_peer(socket);
	if (reads)
		socket->no_more_input = true;
	if (writes)
		socket->no_more_output = true;
	if (peer && socket->type != SOCK_DGRAM) {
		if (writes)
			peer->no_more_input = true;
		if (reads)
			peer->no_more_output = true;
	}
	if (peer)
		socket_wake(peer);
	socket_wake(socket);
	socket_unref(peer);
	return 0;
}

/* ---- Options ---------------------------------------------------------------------------------------------------------------------- */

int socket_get_option(struct file *file, int option, int *value)
{
	struct socket *socket = socket_of(file);

	switch (option) {
	case SO_TYPE:
		*value = socket->type;
		return 0;
	case SO_DOMAIN:
		*value = AF_UNIX;
		return 0;
	case SO_ERROR:
		*value = -socket_take_error(socket);
		return 0;
	case SO_SNDBUF:
		*value = socket->send_buffer;
		return 0;
	case SO_RCVBUF:
		*value = socket->receive_buffer;
		return 0;
	case SO_ACCEPTCONN:
		*value = socket->state == SOCKET_LISTENING;
		return 0;
	case SO_PASSCRED:
		*value = socket->passes_credentials;
		return 0;
	case SO_PROTOCOL:
	case SO_REUSEADDR:
	case SO_KEEPALIVE:
	case SO_BROADCAST:
	case SO_OOBINLINE:
	case SO_PRIORITY:
		*value = 0;
		return 0;
	case SO_RCVLOWAT:
		*value = 1;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

/* As Linux: room for bookkeeping is added by doubling. */
static int buffer_size(int wanted)
{
	if (wanted < 0 || wanted > BUFFER_MOST / 2)
		return BUFFER_MOST;
	return 2 * wanted < BUFFER_LEAST ? BUFFER_LEAST : 2 * wanted;
}

int socket_set_option(struct file *file, int option, int value)
{
	struct socket *socket = socket_of(file), *peer;

	switch (option) {
	case SO_SNDBUF:
		socket->send_buffer = buffer_size(value);
		break;
	case SO_RCVBUF:
		socket->receive_buffer = buffer_size(value);
		break;
	case SO_PASSCRED:
		socket->passes_credentials = value != 0;
		return 0;
	case SO_REUSEADDR:
	case SO_KEEPALIVE:
	case SO_BROADCAST:
	case SO_OOBINLINE:
	case SO_PRIORITY:
	case SO_RCVLOWAT:
		return 0;
	default:
		return -ENOPROTOOPT;
	}
	peer = socket_peer(socket);
	if (peer)
		socket_wake(peer);
	socket_wake(socket);
	socket_unref(peer);
	return 0;
}

int socket_get_peer(struct file *file, struct socket_credentials *peer)
{
	struct socket *socket = socket_of(file);

	spin_lock(&socket_links);
	*peer = socket->state == SOCKET_FREE
			? (struct socket_credentials){.uid = UINT32_MAX, .gid = UINT32_MAX}
		: socket->state == SOCKET_LISTENING ? socket->owner
						    : socket->others;
	spin_unlock(&socket_links);
	return 0;
}

uint64_t socket_get_timeout(struct file *file, bool send)
{
	return send ? socket_of(file)->send_timeout : socket_of(file)->receive_timeout;
}

void socket_set_timeout(struct file *file, bool send, uint64_t nanoseconds)
{
	if (send)
		socket_of(file)->send_timeout = nanoseconds;
	else
		socket_of(file)->receive_timeout = nanoseconds;
}

/* ---- As a file ------------------------------------------------------------------------------------------------------------------------ */

static int64_t socket_read(struct file *file, struct io *io, uint64_t *position)
{
	struct socket_message message = {.flags = 0};
	int64_t result;

	(void)position;
	result = socket_receive(file, io, &message);
	file_parcel_free(message.parcel);
	return result;
}

static int64_t socket_write(struct file *file, struct io *io, uint64_t *position)
{
	struct socket_message message = {.flags = 0};

	(void)position;
	return socket_send(file, io, &message);
}

/* Is there room where it sends to: more than for one small message? */
static bool can_write(struct socket *socket)
{
	struct socket *peer = socket_peer(socket);
	bool can = !peer || peer->charged <= (uint64_t)peer->receive_buffer / 4 * 3;

	socket_unref(peer);
	return can;
}

static uint32_t socket_poll(struct file *file, struct poll_table *table)
{
	struct socket *socket = socket_of(file);
	bool connects = socket->type != SOCK_DGRAM;
	uint32_t events = 0;

	poll_wait(table, &socket->readable);
	poll_wait(table, &socket->writable);
	if (socket->state == SOCKET_LISTENING)
		return socket->waiting_count > 0 ? EPOLLIN | EPOLLRDNORM : 0;
	if (socket->charged > 0 || socket->no_more_input)
		events |= EPOLLIN | EPOLLRDNORM;
	if (socket->no_more_input)
		events |= EPOLLRDHUP;
	if (socket->error)
		events |= EPOLLERR;
	if (connects && (socket->state == SOCKET_FREE || (socket->no_more_input && socket->no_more_output)))
		events |= EPOLLHUP;
	if (connects && socket->state == SOCKET_CONNECTED && !socket->peer)
		events |= EPOLLHUP;
	if (can_write(socket))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static int64_t socket_ioctl(struct file *file, struct task *task, unsigned request, uint64_t argument)
{
	struct socket *socket = socket_of(file), *peer;
	int count = 0;

	(void)task;
	if (request == FIONREAD) {
		if (socket->state == SOCKET_LISTENING)
			return -EINVAL;
		count = (int)socket->bytes;
	} else if (request == TIOCOUTQ) {
		peer = socket_peer(socket);
		count = peer ? (int)peer->bytes : 0;
		socket_unref(peer);
	} else {
		return -ENOTTY;
	}
	return copy_to_user(argument, &count, sizeof(count));
}

static const struct file_ops socket_ops = {
	.name = "socket",
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.release = socket_release,
};
