/*
 * System V message queues: msgget, msgsnd, msgrcv, msgctl (msgop(2) and its neighbours).
 *
 * A queue is a list of messages and two wait queues; all of it is guarded by the table's mutex, under which no memory of a program is touched: texts
 * are copied before and after. Who waits keeps the queue's structure in being; that the queue was removed he sees from a flag.
 */
#include <asm/errno.h>
#include <kern/message.h>
#include <linux/capability.h>
#include <linux/msg.h>
#include <vm/slab.h>

#include "syscall.h"
#include "sysv.h"

/* Locks: (m) the table's mutex; (-) set when it is made. */
struct msg_queue {
	struct sysv_object object;    /* (m) first */
	unsigned users;               /* (m) the table, until it is removed, and who waits */
	bool removed;                 /* (m) */
	struct message_list messages; /* (m) */
	uint64_t bytes, count;        /* (m) of the messages */
	uint64_t most_bytes;          /* (m) msg_qbytes; also the most messages */
	int64_t sent, received;       /* (m) times since 1970, in seconds */
	int sender, receiver;         /* (m) the last ones' pids */
	struct wait_queue receivers;  /* (-) woken when there are messages */
	struct wait_queue senders;    /* (-) woken when there is room */
};

struct sysv_table msg_table;
static struct slab_cache cache;
static uint64_t all_bytes, all_count; /* of messages in all queues; guarded by the table's lock */

void msg_init(void)
{
	sysv_init(&msg_table, "message queues", MSGMNI);
	slab_cache_init(&cache, "message queue", sizeof(struct msg_queue));
}

static struct msg_queue *of_object(struct sysv_object *object)
{
	return (struct msg_queue *)object;
}

/* The table is locked. */
static void drop_user(struct msg_queue *queue)
{
	if (--queue->users == 0)
		slab_free(&cache, queue);
}

/* ---- msgget -------------------------------------------------------------------------------------------------- */

/* The table is locked. The identifier, or -ENOSPC, -ENOMEM. */
static int create(struct task *task, __kernel_key_t key, unsigned mode)
{
	struct msg_queue *queue = slab_alloc(&cache);
	int error;

	if (!queue)
		return -ENOMEM;
	*queue = (struct msg_queue){.users = 1, .most_bytes = (uint64_t)sysv_limits.queue_bytes};
	TAILQ_INIT(&queue->messages);
	wait_queue_init(&queue->receivers);
	wait_queue_init(&queue->senders);
	error = sysv_enter(&msg_table, &queue->object, task, key, mode);
	if (error) {
		slab_free(&cache, queue);
		return error;
	}
	return queue->object.id;
}

int64_t sys_msgget(struct task *task, struct trapframe *frame)
{
	__kernel_key_t key = (__kernel_key_t)frame->rdi;
	unsigned flags = (unsigned)frame->rsi;
	struct sysv_object *found;
	int result;

	mutex_lock(&msg_table.lock);
	result = sysv_get(&msg_table, key, flags, &found);
	if (!result && !found)
		result = create(task, key, flags);
	else if (!result)
		result = sysv_permitted(task, found, flags) ? found->id : -EACCES;
	mutex_unlock(&msg_table.lock);
	return result;
}

/* ---- msgsnd --------------------------------------------------------------------------------------------------- */

static bool has_room(const struct msg_queue *queue, size_t bytes)
{
	return queue->bytes + bytes <= queue->most_bytes && queue->count + 1 <= queue->most_bytes;
}

/* May the message go into the queue? 0; -EAGAIN: not now; -EACCES, -EIDRM. The table is locked. */
static int may_send(const struct task *task, const struct msg_queue *queue, size_t bytes)
{
	if (queue->removed)
		return -EIDRM;
	if (!sysv_permitted(task, &queue->object, SYSV_MAY_WRITE))
		return -EACCES;
	return has_room(queue, bytes) ? 0 : -EAGAIN;
}

static void put(struct task *task, struct msg_queue *queue, struct message *message)
{
	TAILQ_INSERT_TAIL(&queue->messages, message, link);
	queue->bytes += message->bytes;
	queue->count++;
	all_bytes += message->bytes;
	all_count++;
	queue->sent = sysv_now();
	queue->sender = sysv_pid(task);
	wait_wake_all(&queue->receivers);
}

/* Sends it, waiting for room unless `flags` has IPC_NOWAIT. The table is locked, and let go while it waits. */
static int send(struct task *task, int id, struct message *message, unsigned flags)
{
	struct msg_queue *queue = of_object(sysv_find(&msg_table, id));
	int result, status;

	if (!queue)
		return -EINVAL;
	queue->users++;
	result = may_send(task, queue, message->bytes);
	if (result == -EAGAIN && !(flags & IPC_NOWAIT)) {
		status = WAIT_EVENT_MUTEX(&queue->senders, &msg_table.lock,
					  (result = may_send(task, queue, message->bytes)) != -EAGAIN,
					  SLEEP_INTERRUPTIBLE, TIME_NEVER);
		if (status)
			result = -ERESTARTNOHAND;
	}
	if (!result)
		put(task, queue, message);
	drop_user(queue);
	return result;
}

int64_t sys_msgsnd(struct task *task, struct trapframe *frame)
{
	int id = (int)frame->rdi;
	vaddr_t from = frame->rsi;
	int64_t bytes = (int64_t)frame->rdx;
	struct message *message;
	int result;
	long type;

	if (copy_from_user(&type, from, sizeof(type)) != 0)
		return -EFAULT;
	if (bytes < 0 || bytes > sysv_limits.message_most || id < 0 || type < 1)
		return -EINVAL;
	result = message_load(from + sizeof(type), (size_t)bytes, &message);
	if (result)
		return result;
	message->type = type;
	mutex_lock(&msg_table.lock);
	result = send(task, id, message, (unsigned)frame->r10);
	mutex_unlock(&msg_table.lock);
	if (result)
		message_free(message);
	return result;
}

/* ---- msgrcv ----------------------------------------------------------------------------------------------------- */

/* What a receiver wants. */
struct wish {
	long type;
	unsigned flags;
	size_t room; /* bytes */
};

/* The first message of the lowest type that is not above `most`. */
static struct message *lowest(const struct msg_queue *queue, long most)
{
	struct message *message, *best = NULL;

	TAILQ_FOREACH(message, &queue->messages, link)
	if (message->type <= most && (!best || message->type < best->type))
		best = message;
	return best;
}

/* The message number `number` of the queue, from 0 on. */
static struct message *numbered(const struct msg_queue *queue, long number)
{
	struct message *message;

	TAILQ_FOREACH(message, &queue->messages, link)
	if (number-- == 0)
		break;
	return message;
}

static struct message *find(const struct msg_queue *queue, const struct wish *wish)
{
	struct message *message;

	if (wish->flags & MSG_COPY)
		return numbered(queue, wish->type);
	if (wish->type == 0)
		return TAILQ_FIRST(&queue->messages);
	if (wish->type < 0)
		return lowest(queue, wish->type == INT64_MIN ? INT64_MAX : -wish->type);
	TAILQ_FOREACH(message, &queue->messages, link)
	if ((message->type == wish->type) != ((wish->flags & MSG_EXCEPT) != 0))
		break;
	return message;
}

/* Is there what is wanted? 0 and the message; -ENOMSG: not now; -E2BIG, -EACCES, -EIDRM. The table is locked. */
static int look(const struct task *task, const struct msg_queue *queue, const struct wish *wish,
		struct message **out)
{
	if (queue->removed)
		return -EIDRM;
	if (!sysv_permitted(task, &queue->object, SYSV_MAY_READ))
		return -EACCES;
	*out = find(queue, wish);
	if (!*out)
		return -ENOMSG;
	return (*out)->bytes > wish->room && !(wish->flags & MSG_NOERROR) ? -E2BIG : 0;
}

static void take(struct task *task, struct msg_queue *queue, struct message *message)
{
	TAILQ_REMOVE(&queue->messages, message, link);
	queue->bytes -= message->bytes;
	queue->count--;
	all_bytes -= message->bytes;
	all_count--;
	queue->received = sysv_now();
	queue->receiver = sysv_pid(task);
	wait_wake_all(&queue->senders);
}

/* Takes a message out, or copies one (MSG_COPY). The table is locked, and let go while it waits. */
static int receive(struct task *task, int id, const struct wish *wish, struct message **out)
{
	struct msg_queue *queue = of_object(sysv_find(&msg_table, id));
	int result, status;

	if (!queue)
		return -EINVAL;
	queue->users++;
	result = look(task, queue, wish, out);
	if (result == -ENOMSG && !(wish->flags & IPC_NOWAIT)) {
		status = WAIT_EVENT_MUTEX(&queue->receivers, &msg_table.lock,
					  (result = look(task, queue, wish, out)) != -ENOMSG,
					  SLEEP_INTERRUPTIBLE, TIME_NEVER);
		if (status)
			result = -ERESTARTNOHAND;
	}
	if (!result && (wish->flags & MSG_COPY)) {
		*out = message_copy(*out);
		result = *out ? 0 : -ENOMEM;
	} else if (!result) {
		take(task, queue, *out);
	}
	drop_user(queue);
	return result;
}

/* As on Linux a message is lost that the program has no memory for. */
static int64_t hand_over(const struct message *message, vaddr_t to, size_t room)
{
	size_t bytes = message->bytes < room ? message->bytes : room;

	if (copy_to_user(to, &message->type, sizeof(message->type)) != 0 ||
	    message_store(message, to + sizeof(message->type), bytes) != 0)
		return -EFAULT;
	return (int64_t)bytes;
}

int64_t sys_msgrcv(struct task *task, struct trapframe *frame)
{
	int id = (int)frame->rdi;
	const struct wish wish = {.room = frame->rdx, .type = (long)frame->r10, .flags = (unsigned)frame->r8};
	struct message *message;
	int64_t result;

	if (id < 0 || (int64_t)wish.room < 0)
		return -EINVAL;
	if ((wish.flags & MSG_COPY) && ((wish.flags & MSG_EXCEPT) || !(wish.flags & IPC_NOWAIT)))
		return -EINVAL;
	mutex_lock(&msg_table.lock);
	result = receive(task, id, &wish, &message);
	mutex_unlock(&msg_table.lock);
	if (result)
		return result;
	result = hand_over(message, frame->rsi, wish.room);
	message_free(message);
	return result;
}

/* ---- msgctl ------------------------------------------------------------------------------------------------------- */

/* The table is locked; the caller frees the messages, which it gets. */
static void remove_queue(struct msg_queue *queue, struct message_list *messages)
{
	TAILQ_CONCAT(messages, &queue->messages, link);
	all_bytes -= queue->bytes;
	all_count -= queue->count;
	queue->removed = true;
	sysv_leave(&msg_table, &queue->object);
	wait_wake_all(&queue->receivers);
	wait_wake_all(&queue->senders);
	drop_user(queue);
}

static void free_messages(struct message_list *messages)
{
	struct message *message, *next;

	TAILQ_FOREACH_SAFE(message, messages, link, next)
	message_free(message);
}

void msg_end(void)
{
	struct message_list messages = TAILQ_HEAD_INITIALIZER(messages);
	struct sysv_object *object;

	mutex_lock(&msg_table.lock);
	while ((object = sysv_from(&msg_table, 0)) != NULL)
		remove_queue(of_object(object), &messages);
	mutex_unlock(&msg_table.lock);
	free_messages(&messages);
}

/* IPC_INFO and MSG_INFO: the fields that only older systems had are what Linux puts there (<linux/msg.h>). */
static int64_t give_limits(int command, vaddr_t to)
{
	struct msginfo info = {
		.msgpool = MSGPOOL,
		.msgmap = MSGMAP,
		.msgmax = sysv_limits.message_most,
		.msgmnb = sysv_limits.queue_bytes,
		.msgssz = MSGSSZ,
		.msgtql = MSGTQL,
		.msgseg = (unsigned short)MSGSEG,
	};
	int highest;

	mutex_lock(&msg_table.lock);
	info.msgmni = msg_table.limit;
	if (command == MSG_INFO) {
		info.msgpool = (int)msg_table.count;
		info.msgmap = (int)all_count;
		info.msgtql = (int)all_bytes;
	}
	highest = sysv_highest(&msg_table);
	mutex_unlock(&msg_table.lock);
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : highest;
}

static struct msqid64_ds describe(const struct msg_queue *queue)
{
	return (struct msqid64_ds){
		.msg_perm = sysv_describe(&queue->object),
		.msg_stime = queue->sent,
		.msg_rtime = queue->received,
		.msg_ctime = queue->object.changed,
		.msg_cbytes = queue->bytes,
		.msg_qnum = queue->count,
		.msg_qbytes = queue->most_bytes,
		.msg_lspid = queue->sender,
		.msg_lrpid = queue->receiver,
	};
}

static int64_t give_status(struct task *task, int id, int command, vaddr_t to)
{
	struct sysv_object *object;
	struct msqid64_ds status;
	int64_t result;

	mutex_lock(&msg_table.lock);
	object = command == IPC_STAT ? sysv_find(&msg_table, id) : sysv_at(&msg_table, id);
	if (!object) {
		result = -EINVAL;
	} else if (command != MSG_STAT_ANY && !sysv_permitted(task, object, SYSV_MAY_READ)) {
		result = -EACCES;
	} else {
		status = describe(of_object(object));
		result = command == IPC_STAT ? 0 : object->id;
	}
	mutex_unlock(&msg_table.lock);
	if (result < 0)
		return result;
	return copy_to_user(to, &status, sizeof(status)) ? -EFAULT : result;
}

/* IPC_SET. Who waits looks again: his rights may be others now. The table is locked. */
static int set(struct task *task, struct msg_queue *queue, const struct msqid64_ds *wanted)
{
	int error;

	if (wanted->msg_qbytes > (uint64_t)sysv_limits.queue_bytes && !task_capable(task, CAP_SYS_RESOURCE))
		return -EPERM;
	error = sysv_set(&queue->object, &wanted->msg_perm);
	if (error)
		return error;
	queue->most_bytes = wanted->msg_qbytes;
	wait_wake_all(&queue->receivers);
	wait_wake_all(&queue->senders);
	return 0;
}

static int64_t owner_call(struct task *task, int id, int command, vaddr_t from)
{
	struct message_list messages = TAILQ_HEAD_INITIALIZER(messages);
	struct msqid64_ds wanted;
	struct sysv_object *object;
	int64_t result = 0;

	if (command == IPC_SET && copy_from_user(&wanted, from, sizeof(wanted)) != 0)
		return -EFAULT;
	mutex_lock(&msg_table.lock);
	object = sysv_find(&msg_table, id);
	if (!object)
		result = -EINVAL;
	else if (!sysv_is_owner(task, object))
		result = -EPERM;
	else if (command == IPC_SET)
		result = set(task, of_object(object), &wanted);
	else
		remove_queue(of_object(object), &messages);
	mutex_unlock(&msg_table.lock);
	free_messages(&messages);
	return result;
}

int64_t sys_msgctl(struct task *task, struct trapframe *frame)
{
	int id = (int)frame->rdi, command = (int)frame->rsi;

	if (id < 0 || command < 0)
		return -EINVAL;
	command &= ~IPC_64;
	switch (command) {
	case IPC_INFO:
	case MSG_INFO:
		return give_limits(command, frame->rdx);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return give_status(task, id, command, frame->rdx);
	case IPC_SET:
	case IPC_RMID:
		return owner_call(task, id, command, frame->rdx);
	default:
		return -EINVAL;
	}
}

/* ---- /proc/sysvipc/msg ---------------------------------------------------------------------------------------------- */

bool msg_next(int *place, int *id, struct msqid64_ds *out)
{
	struct sysv_object *object;

	mutex_lock(&msg_table.lock);
	object = sysv_from(&msg_table, *place);
	if (object) {
		*out = describe(of_object(object));
		*id = object->id;
		*place = object->id % SYSV_PLACES + 1;
	}
	mutex_unlock(&msg_table.lock);
	return object != NULL;
}
