/*
 * System calls on sockets: only those within the machine (AF_UNIX) exist. What they do is kern/fs/socket*.c's; here are the forms in which programs
 * give addresses, messages and what comes along with them (cmsg(3)).
 */
#include <asm/errno.h>
#include <asm/socket.h>
#include <kern/inode.h>
#include <kern/socket.h>
#include <linux/fcntl.h>
#include <linux/time_types.h>
#include <linux/uio.h>
#include <vm/page.h>

#include "syscall.h"

#define SOCKET_FLAGS   (O_CLOEXEC | O_NONBLOCK)
#define ADDRESS_START  offsetof(struct sockaddr_un, sun_path)
#define CONTROL_MOST   ((size_t)20480) /* bytes of control data that are looked at (net.core.optmem_max) */
#define PARTS_ON_STACK 8
#define NS_PER_SECOND  1000000000ull
#define NS_PER_US      1000ull

/* As sendmsg(2) has it: <linux/socket.h> has none of it for programs. */
struct message_header {
	vaddr_t name;
	int name_bytes;
	vaddr_t parts;
	uint64_t part_count;
	vaddr_t control;
	uint64_t control_bytes;
	unsigned flags;
};

struct control_header {
	uint64_t bytes; /* with this header */
	int level, type;
};

struct many_header {
	struct message_header header;
	unsigned bytes;
};

/* ---- Descriptors ------------------------------------------------------------------------------------------ */

/* The file of a socket, with a reference. -EBADF, -ENOTSOCK. */
static int get_socket(struct task *task, int descriptor, struct file **out)
{
	*out = descriptor_get(task, descriptor);
	if (!*out)
		return -EBADF;
	if (file_is_socket(*out))
		return 0;
	file_unref(*out);
	return -ENOTSOCK;
}

static int check_kind(int domain, int type, int protocol)
{
	int kind = type & SOCK_TYPE_MASK;

	if (type & ~(SOCK_TYPE_MASK | SOCKET_FLAGS))
		return -EINVAL;
	if (domain != AF_UNIX)
		return -EAFNOSUPPORT;
	if (protocol != 0 && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	return kind == SOCK_STREAM || kind == SOCK_DGRAM || kind == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
}

/* Takes over the file. */
static int64_t install(struct task *task, struct file *file, unsigned flags)
{
	int descriptor = descriptor_install(task, file, 0, flags & O_CLOEXEC);

	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

int64_t sys_socket(struct task *task, struct trapframe *frame)
{
	int type = (int)frame->rsi;
	struct file *file;
	int error = check_kind((int)frame->rdi, type, (int)frame->rdx);

	if (!error)
		error = socket_create(type & SOCK_TYPE_MASK, (unsigned)type & O_NONBLOCK, &file);
	return error ? error : install(task, file, (unsigned)type);
}

int64_t sys_socketpair(struct task *task, struct trapframe *frame)
{
	int type = (int)frame->rsi;
	struct file *files[2];
	int error = check_kind((int)frame->rdi, type, (int)frame->rdx);

	if (!error)
		error = socket_create_pair(type & SOCK_TYPE_MASK, (unsigned)type & O_NONBLOCK, files);
	if (error)
		return error;
	return install_pair(task, files, frame->r10, (unsigned)type);
}

/* ---- Addresses --------------------------------------------------------------------------------------------------- */

/* A name in user memory. -EINVAL: of no length that makes sense, or of another family. Length 0: only the family is given. */
static int get_name(vaddr_t from, uint64_t bytes, struct socket_name *name)
{
	struct sockaddr_un address;

	if ((int)bytes < (int)sizeof(address.sun_family) || bytes > sizeof(address))
		return -EINVAL;
	if (copy_from_user(&address, from, bytes) != 0)
		return -EFAULT;
	memset(name, 0, sizeof(*name));
	if (address.sun_family == AF_UNSPEC && bytes >= sizeof(address.sun_family))
		return 0;
	if (address.sun_family != AF_UNIX)
		return -EINVAL;
	name->length = (unsigned)(bytes - ADDRESS_START);
	memcpy(name->path, address.sun_path, name->length);
	if (name->length > 0 && name->path[0] != '\0')
		name->length = (unsigned)strlen(name->path) + 1;
	return 0;
}

/* Writes a name, cut at the *bytes that there is room for; *bytes is how long it is then. NULL: it is not wanted. */
static int put_name(const struct socket_name *name, vaddr_t to, vaddr_t bytes)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int room, length = (int)(ADDRESS_START + name->length);

	if (!to)
		return 0;
	if (copy_from_user(&room, bytes, sizeof(room)) != 0)
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	memcpy(address.sun_path, name->path, name->length < UNIX_PATH_MAX ? name->length : UNIX_PATH_MAX);
	if (room > (int)sizeof(address))
		room = (int)sizeof(address);
	if (copy_to_user(to, &address, (size_t)(room < length ? room : length)) != 0)
		return -EFAULT;
	return copy_to_user(bytes, &length, sizeof(length));
}

int64_t sys_bind(struct task *task, struct trapframe *frame)
{
	struct socket_name name;
	struct file *file;
	int error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	error = get_name(frame->rsi, frame->rdx, &name);
	if (!error)
		error = socket_bind(file, task, &name);
	file_unref(file);
	return error;
}

int64_t sys_connect(struct task *task, struct trapframe *frame)
{
	struct socket_name name;
	struct file *file;
	int64_t error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	error = get_name(frame->rsi, frame->rdx, &name);
	if (!error)
		error = socket_connect(file, task, &name);
	file_unref(file);
	return error;
}

int64_t sys_listen(struct task *task, struct trapframe *frame)
{
	struct file *file;
	int error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	error = socket_listen(file, (int)frame->rsi);
	file_unref(file);
	return error;
}

/* Accepts a connection and gives it the descriptor, which is reserved. */
static int64_t accept_as(struct task *task, struct file *file, const struct trapframe *frame, unsigned flags,
			 int descriptor)
{
	struct socket_name name;
	struct file *made;
	int64_t result = socket_accept(file, flags & O_NONBLOCK, &made);

	if (result)
		return result;
	socket_get_name(made, true, &name);
	result = put_name(&name, frame->rsi, frame->rdx);
	if (result)
		file_unref(made);
	else
		descriptor_fill(task, descriptor, made, flags & O_CLOEXEC);
	return result;
}

/* The descriptor comes first: a connection is not taken that there is none for. */
static int64_t accept(struct task *task, const struct trapframe *frame, unsigned flags)
{
	struct file *file;
	int64_t result = flags & ~(unsigned)SOCKET_FLAGS ? -EINVAL : get_socket(task, (int)frame->rdi, &file);
	int descriptor;

	if (result)
		return result;
	descriptor = descriptor_reserve(task, 0);
	result = descriptor < 0 ? descriptor : accept_as(task, file, frame, flags, descriptor);
	file_unref(file);
	if (result && descriptor >= 0)
		descriptor_cancel(task, descriptor);
	return result ? result : descriptor;
}

int64_t sys_accept(struct task *task, struct trapframe *frame)
{
	return accept(task, frame, 0);
}

int64_t sys_accept4(struct task *task, struct trapframe *frame)
{
	return accept(task, frame, (unsigned)frame->r10);
}

static int64_t name_of(struct task *task, const struct trapframe *frame, bool peer)
{
	struct socket_name name;
	struct file *file;
	int error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	error = socket_get_name(file, peer, &name);
	if (!error)
		error = frame->rsi ? put_name(&name, frame->rsi, frame->rdx) : -EFAULT;
	file_unref(file);
	return error;
}

int64_t sys_getsockname(struct task *task, struct trapframe *frame)
{
	return name_of(task, frame, false);
}

int64_t sys_getpeername(struct task *task, struct trapframe *frame)
{
	return name_of(task, frame, true);
}

int64_t sys_shutdown(struct task *task, struct trapframe *frame)
{
	struct file *file;
	int error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	error = socket_shutdown(file, (int)frame->rsi);
	file_unref(file);
	return error;
}

/* ---- What comes along with a message -------------------------------------------------------------------------------- */

/* Adds the files of an SCM_RIGHTS of `bytes` bytes of descriptors. */
static int add_files(struct task *task, vaddr_t at, uint64_t bytes, struct socket_message *message)
{
	uint64_t count = bytes / sizeof(int);

	if (!message->parcel)
		message->parcel = file_parcel_create();
	if (!message->parcel)
		return -ENOMEM;
	if (count > SCM_MAX_FILES - message->parcel->count)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		struct file *file;
		int descriptor;

		if (copy_from_user(&descriptor, at + i * sizeof(descriptor), sizeof(descriptor)) != 0)
			return -EFAULT;
		file = descriptor_get_any(task, descriptor);
		if (!file)
			return -EBADF;
		message->parcel->files[message->parcel->count++] = file;
	}
	return 0;
}

/* Credentials are what they are: a program may say only that. */
static int check_credentials(struct task *task, vaddr_t at, uint64_t bytes)
{
	struct socket_credentials said;

	if (bytes != sizeof(said))
		return -EINVAL;
	if (copy_from_user(&said, at, sizeof(said)) != 0)
		return -EFAULT;
	return said.pid == task->process->pid || task_is_privileged(task) ? 0 : -EPERM;
}

static int get_control(struct task *task, const struct message_header *header, struct socket_message *message)
{
	struct control_header control;
	uint64_t at = 0;
	int error = 0;

	if (header->control_bytes > CONTROL_MOST)
		return -ENOBUFS;
	while (!error && header->control_bytes - at >= sizeof(control)) {
		vaddr_t data = header->control + at + sizeof(control);

		if (copy_from_user(&control, header->control + at, sizeof(control)) != 0)
			return -EFAULT;
		if (control.bytes < sizeof(control) || control.bytes > header->control_bytes - at)
			return -EINVAL;
		if (control.level == SOL_SOCKET && control.type == SCM_RIGHTS)
			error = add_files(task, data, control.bytes - sizeof(control), message);
		else if (control.level == SOL_SOCKET && control.type == SCM_CREDENTIALS)
			error = check_credentials(task, data, control.bytes - sizeof(control));
		else
			error = control.level == SOL_SOCKET ? -EINVAL : 0;
		at += (control.bytes + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
		if (at > header->control_bytes)
			break;
	}
	return error;
}

/* Where control data of a received message goes. */
struct control_out {
	vaddr_t at;
	uint64_t room, used;
	unsigned flags;
};

/* Writes one header and its data, if there is room for all of it. */
static bool put_control(struct control_out *out, int type, const void *data, uint64_t bytes)
{
	const struct control_header header = {
		.bytes = sizeof(header) + bytes, .level = SOL_SOCKET, .type = type};
	uint64_t padded = (header.bytes + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);

	if (out->room - out->used < header.bytes ||
	    copy_to_user(out->at + out->used, &header, sizeof(header)) != 0 ||
	    copy_to_user(out->at + out->used + sizeof(header), data, bytes) != 0) {
		out->flags |= MSG_CTRUNC;
		return false;
	}
	out->used = padded < out->room - out->used ? out->used + padded : out->room;
	return true;
}

/* Gives the task descriptors of the files, as many as there is room for; the rest is closed. */
static void put_files(struct task *task, struct control_out *out, struct file_parcel *parcel, unsigned flags)
{
	uint64_t room = out->room - out->used;
	unsigned most = 0, count = 0;
	int numbers[SCM_MAX_FILES];

	if (room > sizeof(struct control_header))
		most = (unsigned)((room - sizeof(struct control_header)) / sizeof(int));
	while (count < parcel->count && count < most) {
		int descriptor = descriptor_reserve(task, 0);

		if (descriptor < 0)
			break;
		numbers[count++] = descriptor;
	}
	if (count < parcel->count)
		out->flags |= MSG_CTRUNC;
	if (count == 0)
		return;
	if (!put_control(out, SCM_RIGHTS, numbers, count * sizeof(int))) {
		while (count-- > 0)
			descriptor_cancel(task, numbers[count]);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		descriptor_fill(task, numbers[i], file_ref(parcel->files[i]),
				flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0);
}

/* ---- Vectors -------------------------------------------------------------------------------------------------------------- */

/* A vector of user memory and the io over it. */
struct parts {
	struct iovec few[PARTS_ON_STACK];
	struct page *pages;
	size_t page_count;
	struct io io;
};

static int parts_get(struct parts *parts, vaddr_t from, uint64_t count, bool writing)
{
	struct iovec *all = parts->few;
	int error;

	parts->pages = NULL;
	if (count > UIO_MAXIOV)
		return -EMSGSIZE;
	if (count > PARTS_ON_STACK) {
		parts->page_count = page_round_up(count * sizeof(*all)) / PAGE_SIZE;
		parts->pages = page_alloc_run(PAGE_KERNEL, parts->page_count, 1, PAGE_ANYWHERE, 0);
		if (!parts->pages)
			return -ENOMEM;
		all = page_data(parts->pages);
	}
	error = copy_from_user(all, from, count * sizeof(*all));
	return error ? error : io_init_user(&parts->io, all, count, writing);
}

static void parts_put(struct parts *parts)
{
	if (parts->pages)
		page_free_run(parts->pages, parts->page_count);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------------------ */

static int64_t send_header(struct task *task, struct file *file, const struct message_header *header,
			   unsigned flags)
{
	struct socket_message message = {.flags = flags};
	struct parts parts;
	int64_t result = parts_get(&parts, header->parts, header->part_count, true);

	if (!result && header->name && header->name_bytes != 0)
		result = get_name(header->name, (uint64_t)(unsigned)header->name_bytes, &message.name);
	if (!result && header->control && header->control_bytes > 0)
		result = get_control(task, header, &message);
	if (!result)
		result = socket_send(file, &parts.io, &message);
	file_parcel_free(message.parcel);
	parts_put(&parts);
	return result;
}

int64_t sys_sendto(struct task *task, struct trapframe *frame)
{
	const struct iovec part = {.iov_base = (void *)frame->rsi, .iov_len = frame->rdx};
	struct socket_message message = {.flags = (unsigned)frame->r10};
	struct file *file;
	struct io io;
	int64_t result = get_socket(task, (int)frame->rdi, &file);

	if (result)
		return result;
	result = io_init_user(&io, &part, 1, true);
	if (!result && frame->r8)
		result = get_name(frame->r8, frame->r9, &message.name);
	if (!result)
		result = socket_send(file, &io, &message);
	file_unref(file);
	return result;
}

int64_t sys_sendmsg(struct task *task, struct trapframe *frame)
{
	struct message_header header;
	struct file *file;
	int64_t result = get_socket(task, (int)frame->rdi, &file);

	if (result)
		return result;
	if (copy_from_user(&header, frame->rsi, sizeof(header)) != 0)
		result = -EFAULT;
	else
		result = send_header(task, file, &header, (unsigned)frame->rdx);
	file_unref(file);
	return result;
}

/* ---- Receiving ------------------------------------------------------------------------------------------------------------------ */

/* Writes what came along with the bytes, into the message header at `to`, too. */
static int put_header(struct task *task, vaddr_t to, const struct message_header *header,
		      struct socket_message *message)
{
	struct control_out out = {.at = header->control,
				  .room = header->control ? header->control_bytes : 0,
				  .flags = message->out_flags};
	int error = 0;

	if (message->has_sender)
		put_control(&out, SCM_CREDENTIALS, &message->sender, sizeof(message->sender));
	if (message->parcel)
		put_files(task, &out, message->parcel, message->flags);
	if (header->name)
		error = put_name(&message->name, header->name,
				 to + offsetof(struct message_header, name_bytes));
	if (!error)
		error = copy_to_user(to + offsetof(struct message_header, control_bytes), &out.used,
				     sizeof(out.used));
	if (!error)
		error = copy_to_user(to + offsetof(struct message_header, flags), &out.flags,
				     sizeof(out.flags));
	return error;
}

static int64_t receive_header(struct task *task, struct file *file, vaddr_t at, unsigned flags)
{
	struct socket_message message = {.flags = flags};
	struct message_header header;
	struct parts parts;
	int64_t result;

	if (copy_from_user(&header, at, sizeof(header)) != 0)
		return -EFAULT;
	result = parts_get(&parts, header.parts, header.part_count, false);
	if (!result)
		result = socket_receive(file, &parts.io, &message);
	if (result >= 0) {
		int error = put_header(task, at, &header, &message);

		result = error ? error : result;
	}
	file_parcel_free(message.parcel);
	parts_put(&parts);
	return result;
}

int64_t sys_recvfrom(struct task *task, struct trapframe *frame)
{
	const struct iovec part = {.iov_base = (void *)frame->rsi, .iov_len = frame->rdx};
	struct socket_message message = {.flags = (unsigned)frame->r10};
	struct file *file;
	struct io io;
	int64_t result = get_socket(task, (int)frame->rdi, &file);

	if (result)
		return result;
	result = io_init_user(&io, &part, 1, false);
	if (!result)
		result = socket_receive(file, &io, &message);
	if (result >= 0 && frame->r8) {
		int error = put_name(&message.name, frame->r8, frame->r9);

		result = error ? error : result;
	}
	file_parcel_free(message.parcel);
	file_unref(file);
	return result;
}

int64_t sys_recvmsg(struct task *task, struct trapframe *frame)
{
	struct file *file;
	int64_t result = get_socket(task, (int)frame->rdi, &file);

	if (result)
		return result;
	result = receive_header(task, file, frame->rsi, (unsigned)frame->rdx);
	file_unref(file);
	return result;
}

/* ---- Several messages ------------------------------------------------------------------------------------------------------------- */

static int64_t do_one(struct task *task, struct file *file, vaddr_t at, unsigned flags, bool send)
{
	struct message_header header;

	if (!send)
		return receive_header(task, file, at, flags & ~MSG_WAITFORONE);
	if (copy_from_user(&header, at, sizeof(header)) != 0)
		return -EFAULT;
	return send_header(task, file, &header, flags);
}

/* How many were sent or received; an error if not even one. */
static int64_t do_many(struct task *task, const struct trapframe *frame, bool send, uint64_t deadline)
{
	unsigned flags = (unsigned)frame->r10, count = (unsigned)frame->rdx, done = 0;
	struct file *file;
	int64_t result = get_socket(task, (int)frame->rdi, &file);

	if (result)
		return result;
	for (; done < count && done < UIO_MAXIOV; done++) {
		vaddr_t at = frame->rsi + done * sizeof(struct many_header);
		unsigned bytes;

		result = do_one(task, file, at, flags, send);
		bytes = (unsigned)result;
		if (result >= 0 &&
		    copy_to_user(at + offsetof(struct many_header, bytes), &bytes, sizeof(bytes)) != 0)
			result = -EFAULT;
		if (result < 0 || time_nanoseconds() >= deadline)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	file_unref(file);
	if (result >= 0 && done < count && done < UIO_MAXIOV)
		done++;
	return done > 0 ? (int64_t)done : result;
}

int64_t sys_sendmmsg(struct task *task, struct trapframe *frame)
{
	return do_many(task, frame, true, TIME_NEVER);
}

int64_t sys_recvmmsg(struct task *task, struct trapframe *frame)
{
	struct __kernel_timespec time;
	uint64_t deadline = TIME_NEVER;

	if (frame->r8) {
		if (copy_from_user(&time, frame->r8, sizeof(time)) != 0)
			return -EFAULT;
		if (time.tv_sec < 0 || time.tv_nsec < 0 || (uint64_t)time.tv_nsec >= NS_PER_SECOND)
			return -EINVAL;
		deadline =
			time_nanoseconds() + (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
	}
	return do_many(task, frame, false, deadline);
}

/* ---- Options -------------------------------------------------------------------------------------------------------------------------- */

static int put_option(vaddr_t to, vaddr_t length, const void *value, int bytes)
{
	int room;

	if (copy_from_user(&room, length, sizeof(room)) != 0)
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (room < bytes)
		bytes = room;
	if (copy_to_user(to, value, (size_t)bytes) != 0)
		return -EFAULT;
	return copy_to_user(length, &bytes, sizeof(bytes));
}

static int get_option(struct file *file, int option, vaddr_t to, vaddr_t length)
{
	struct socket_credentials peer;
	struct __kernel_old_timeval time;
	uint64_t timeout;
	int value, error;

	switch (option) {
	case SO_PEERCRED:
		socket_get_peer(file, &peer);
		return put_option(to, length, &peer, sizeof(peer));
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
		timeout = socket_get_timeout(file, option == SO_SNDTIMEO);
		time.tv_sec = (__kernel_long_t)(timeout / NS_PER_SECOND);
		time.tv_usec = (__kernel_long_t)(timeout % NS_PER_SECOND / NS_PER_US);
		return put_option(to, length, &time, sizeof(time));
	default:
		error = socket_get_option(file, option, &value);
		return error ? error : put_option(to, length, &value, sizeof(value));
	}
}

int64_t sys_getsockopt(struct task *task, struct trapframe *frame)
{
	struct file *file;
	int error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	if ((int)frame->rsi != SOL_SOCKET)
		error = -EOPNOTSUPP;
	else
		error = get_option(file, (int)frame->rdx, frame->r10, frame->r8);
	file_unref(file);
	return error;
}

static int set_timeout(struct file *file, int option, vaddr_t from, uint64_t bytes)
{
	struct __kernel_old_timeval time;

	if (bytes < sizeof(time))
		return -EINVAL;
	if (copy_from_user(&time, from, sizeof(time)) != 0)
		return -EFAULT;
	if (time.tv_usec < 0 || (uint64_t)time.tv_usec >= NS_PER_SECOND / NS_PER_US)
		return -EDOM;
	if (time.tv_sec < 0 || (uint64_t)time.tv_sec > INT64_MAX / NS_PER_SECOND / 2)
		time.tv_sec = 0;
	socket_set_timeout(file, option == SO_SNDTIMEO,
			   (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_usec * NS_PER_US);
	return 0;
}

static int set_option(struct file *file, int option, vaddr_t from, uint64_t bytes)
{
	int value;

	if (option == SO_RCVTIMEO || option == SO_SNDTIMEO)
		return set_timeout(file, option, from, bytes);
	if (option == SO_LINGER)
		return 0;
	if (bytes < sizeof(value))
		return -EINVAL;
	if (copy_from_user(&value, from, sizeof(value)) != 0)
		return -EFAULT;
	return socket_set_option(file, option, value);
}

int64_t sys_setsockopt(struct task *task, struct trapframe *frame)
{
	struct file *file;
	int error = get_socket(task, (int)frame->rdi, &file);

	if (error)
		return error;
	if ((int)frame->r8 < 0)
		error = -EINVAL;
	else if ((int)frame->rsi != SOL_SOCKET)
		error = -EOPNOTSUPP;
	else
		error = set_option(file, (int)frame->rdx, frame->r10, frame->r8);
	file_unref(file);
	return error;
}
