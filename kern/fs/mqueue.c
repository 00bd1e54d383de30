/*
 * POSIX message queues (mq_overview(7)). The system calls are in kern/proc/sys_mqueue.c.
 *
 * A queue's messages are in a tree by priority and order of arrival. Who waits for a message, or for room, is in a list on his own stack; whoever sends hands the
 * message to the first receiver, and whoever receives puts the first sender's into the queue: so nobody comes between. The inode's lock guards a queue, and no memory of a program is
 * touched under it.
 *
 * Queues are limited by their number, and by what the messages of all of a user's queues would take if they were full (RLIMIT_MSGQUEUE).
 */
#include <asm/errno.h>
#include <kern/mqueue.h>
#include <kern/poll.h>
#include <kern/procfs.h>
#include <kern/signal.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/resource.h>

#include "walk.h"

#define MQUEUE_MAGIC   0x19800202 /* statfs(2) */
#define ROOT_MODE      (S_IFDIR | S_ISVTX | S_IRWXUGO)
#define STATUS_BYTES   80    /* what a queue's size is said to be, as on Linux; no status is longer */
#define MOST_MESSAGES  65536 /* of a queue, also of privileged processes (mq_overview(7)) */
#define MOST_BYTES     (16 << 20)
#define LEAST_BYTES    128 /* that /proc/sys/fs/mqueue/msgsize_max may be set to */
#define MESSAGE_COSTS  48  /* what a message counts for besides its bytes, and */
#define PRIORITY_COSTS 48  /* a priority (getrlimit(2), RLIMIT_MSGQUEUE) */

RB_HEAD(messages, message);

/* Somebody who waits; on his stack. Locks: (i) the queue's inode's lock. */
struct mq_waiter {
	TAILQ_ENTRY(mq_waiter) link; /* (i) while `waits` */
	bool waits;                  /* (i) */
	struct message
		*message; /* (i) a sender's, until it is in the queue; a receiver's, when it was given one */
	struct wait_queue done; /* (i) its own lock: woken when it waits no more */
};
TAILQ_HEAD(mq_waiters, mq_waiter);

/* What a user's queues take. Locks: (u) users.lock. */
struct mq_user {
	RB_ENTRY(mq_user) link; /* (u) */
	uint32_t uid;           /* (u) */
	unsigned queues;        /* (u) */
	uint64_t bytes;         /* (u) */
};
RB_HEAD(mq_users, mq_user);

/* Locks: (i) its inode's lock; (a) atomic; (-) set when it is made. */
struct mqueue {
	struct messages messages;    /* (i) */
	uint64_t next_number;        /* (i) */
	_Atomic long count;          /* (a) messages; changed with (i) */
	long bytes;                  /* (i) of them */
	long most_count, most_bytes; /* (-) messages, and bytes of one */
	struct mq_waiters receivers; /* (i) in order of arrival: then there is no message */
	struct mq_waiters senders;   /* (i) the same: then there is no room */
	struct wait_queue changed;   /* (-) for polling */
	struct process *told;        /* (i) who is to be told of a message, a reference; NULL: nobody */
	sigevent_t event;            /* (i) how */
	struct mq_user *user;        /* (-) */
	uint64_t charged;            /* (-) bytes */
};

static struct slab_cache queue_cache, user_cache;
static struct name *root; /* of the file system: set by its mount, for good */

/* Locks: (u) its own lock. */
static struct {
	struct spinlock lock;  /* RANK_FILES */
	struct mq_users users; /* (u) */
	unsigned queues;       /* (u) of all */
} users = {.users = RB_INITIALIZER(&users.users)};

/* /proc/sys/fs/mqueue. */
static _Atomic int most_queues = 256, most_messages = 10, most_message_bytes = 8192, default_messages = 10,
		   default_bytes = 8192;

const struct proc_setting mqueue_settings[] = {
	{&default_messages, 1, MOST_MESSAGES},
	{&most_messages, 1, MOST_MESSAGES},
	{&default_bytes, LEAST_BYTES, MOST_BYTES},
	{&most_message_bytes, LEAST_BYTES, MOST_BYTES},
	{&most_queues, 0, INT32_MAX},
};

static int compare_messages(const struct message *left, const struct message *right)
{
	if (left->type != right->type)
		return left->type > right->type ? -1 : 1; /* the highest priority comes first */
	return left->number < right->number ? -1 : left->number > right->number;
}

static int compare_users(const struct mq_user *left, const struct mq_user *right)
{
	return left->uid < right->uid ? -1 : left->uid > right->uid;
}

RB_GENERATE_STATIC(messages, message, place, compare_messages)
RB_GENERATE_STATIC(mq_users, mq_user, link, compare_users)

/* ---- Users ----------------------------------------------------------------------------------------------------- */

/* A user's one, made if there was none. NULL: no memory. */
static struct mq_user *find_user(uint32_t uid)
{
	struct mq_user wanted = {.uid = uid}, *user = RB_FIND(mq_users, &users.users, &wanted);

	if (user)
		return user;
	user = slab_alloc(&user_cache);
	if (!user)
		return NULL;
	*user = wanted;
	RB_INSERT(mq_users, &users.users, user);
	return user;
}

static void drop_user(struct mq_user *user)
{
	if (user->queues > 0)
		return;
	RB_REMOVE(mq_users, &users.users, user);
	slab_free(&user_cache, user);
}

/* One more queue of a user, that may take so much. -ENOMEM; -EMFILE: more than RLIMIT_MSGQUEUE; -ENOSPC: too many queues. */
static int charge_user(struct task *task, struct mqueue *queue)
{
	uint64_t limit = task->process->limits[RLIMIT_MSGQUEUE].rlim_cur;
	struct mq_user *user;
	int error = 0;

	spin_lock(&users.lock);
	user = find_user(task->process->credentials.user.real);
	if (!user)
		error = -ENOMEM;
	else if (user->bytes + queue->charged > limit)
		error = -EMFILE;
	else if (users.queues >= (unsigned)most_queues && !task_capable(task, CAP_SYS_RESOURCE))
		error = -ENOSPC;
	if (!error) {
		user->queues++;
		user->bytes += queue->charged;
		users.queues++;
		queue->user = user;
	} else if (user) {
		drop_user(user);
	}
	spin_unlock(&users.lock);
	return error;
}

static void uncharge_user(struct mqueue *queue)
{
	spin_lock(&users.lock);
	users.queues--;
	queue->user->queues--;
	queue->user->bytes -= queue->charged;
	drop_user(queue->user);
	spin_unlock(&users.lock);
}

/* ---- Telling ------------------------------------------------------------------------------------------------------ */

/* Nobody is to be told any more. The queue is locked. The reference is the caller's to drop. */
static struct process *forget_told(struct mqueue *queue)
{
	struct process *told = queue->told;

	queue->told = NULL;
	return told;
}

/* A message has come to a queue that was empty, and nobody waited for it. The queue is locked. */
static void tell(struct mqueue *queue, const struct task *sender)
{
	struct process *told = forget_told(queue);
	siginfo_t info;

	if (!told)
		return;
	if (queue->event.sigev_notify == SIGEV_SIGNAL && queue->event.sigev_signo != 0) {
		signal_info_init(&info, queue->event.sigev_signo, SI_MESGQ);
		info.si_pid = sender->process->pid;
		info.si_uid = sender->process->credentials.user.real;
		info.si_value = queue->event.sigev_value;
		signal_send_process(told, &info);
	}
	process_unref(told);
}

int mqueue_notify(struct file *file, struct task *task, const sigevent_t *event)
{
	struct mqueue *queue = file->inode->private;
	struct process *before = NULL;
	int error = 0;

	mutex_lock(&file->inode->lock);
	if (!event && queue->told == task->process) {
		before = forget_told(queue);
	} else if (event && queue->told) {
		error = -EBUSY;
	} else if (event) {
		process_ref(task->process);
		queue->told = task->process;
		queue->event = *event;
	}
	mutex_unlock(&file->inode->lock);
	if (before)
		process_unref(before);
	return error;
}

/* ---- Sending and receiving ------------------------------------------------------------------------------------------ */

static void put(struct mqueue *queue, struct message *message)
{
	message->number = queue->next_number++;
	RB_INSERT(messages, &queue->messages, message);
	queue->count++;
	queue->bytes += (long)message->bytes;
}

static struct message *take(struct mqueue *queue)
{
	struct message *message = RB_MIN(messages, &queue->messages);

	RB_REMOVE(messages, &queue->messages, message);
	queue->count--;
	queue->bytes -= (long)message->bytes;
	return message;
}

/* The first of those that wait, who does so no more; NULL: nobody waits. */
static struct mq_waiter *first_waiter(struct mq_waiters *waiters)
{
	struct mq_waiter *waiter = TAILQ_FIRST(waiters);

	if (!waiter)
		return NULL;
	TAILQ_REMOVE(waiters, waiter, link);
	waiter->waits = false;
	wait_wake_all(&waiter->done);
	return waiter;
}

/* Waits in a list until somebody has dealt with it. 0, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS. The queue is locked, and let go meanwhile. */
static int wait_in(struct file *file, struct mq_waiters *waiters, struct mq_waiter *waiter, uint64_t deadline)
{
	int status;

	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	if (deadline <= time_nanoseconds())
		return -ETIMEDOUT;
	wait_queue_init(&waiter->done);
	waiter->waits = true;
	TAILQ_INSERT_TAIL(waiters, waiter, link);
	status = WAIT_EVENT_MUTEX(&waiter->done, &file->inode->lock, !waiter->waits, SLEEP_INTERRUPTIBLE,
				  deadline);
	if (!status)
		return 0;
	TAILQ_REMOVE(waiters, waiter, link);
	return status == -EINTR ? -ERESTARTSYS : status;
}

int mqueue_send(struct file *file, struct task *task, struct message *message, uint64_t deadline)
{
	struct mqueue *queue = file->inode->private;
	struct mq_waiter own = {.message = message}, *receiver;
	int result = 0;

	mutex_lock(&file->inode->lock);
	if (queue->count >= queue->most_count) {
		result = wait_in(file, &queue->senders, &own, deadline);
	} else if ((receiver = first_waiter(&queue->receivers)) != NULL) {
		receiver->message = message;
	} else {
		put(queue, message);
		if (queue->count == 1)
			tell(queue, task);
	}
	inode_touch_modified(file->inode);
	mutex_unlock(&file->inode->lock);
	wait_wake_all(&queue->changed);
	return result;
}

int mqueue_receive(struct file *file, uint64_t deadline, struct message **out)
{
	struct mqueue *queue = file->inode->private;
	struct mq_waiter own = {.message = NULL}, *sender;
	int result = 0;

	mutex_lock(&file->inode->lock);
	if (queue->count == 0) {
		result = wait_in(file, &queue->receivers, &own, deadline);
		*out = own.message;
	} else {
		*out = take(queue);
		sender = first_waiter(&queue->senders);
		if (sender)
			put(queue, sender->message);
	}
	inode_touch_accessed(file->inode);
	mutex_unlock(&file->inode->lock);
	wait_wake_all(&queue->changed);
	return result;
}

void mqueue_attributes(struct file *file, int flags, struct mq_attr *out)
{
	struct mqueue *queue = file->inode->private;

	mutex_lock(&file->inode->lock);
	*out = (struct mq_attr){
		.mq_flags = file->flags & O_NONBLOCK,
		.mq_maxmsg = queue->most_count,
		.mq_msgsize = queue->most_bytes,
		.mq_curmsgs = queue->count,
	};
	if (flags >= 0 && flags & O_NONBLOCK)
		file->flags |= O_NONBLOCK;
	else if (flags >= 0)
		file->flags &= ~(uint32_t)O_NONBLOCK;
	mutex_unlock(&file->inode->lock);
}

/* ---- Files ------------------------------------------------------------------------------------------------------------ */

/* A line about the queue (mq_overview(7)). */
static int64_t queue_read(struct file *file, struct io *io, uint64_t *position)
{
	struct mqueue *queue = file->inode->private;
	char text[STATUS_BYTES + 1];
	int64_t moved, length;

	mutex_lock(&file->inode->lock);
	length = env_format(
		text, sizeof(text), "QSIZE:%-10ld NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", queue->bytes,
		queue->told ? queue->event.sigev_notify : 0,
		queue->told && queue->event.sigev_notify == SIGEV_SIGNAL ? queue->event.sigev_signo : 0,
		queue->told ? queue->told->pid : 0);
	mutex_unlock(&file->inode->lock);
	if (*position >= (uint64_t)length)
		return 0;
	length -= (int64_t)*position;
	moved = io_put(io, text + *position, io->left < (uint64_t)length ? io->left : (uint64_t)length);
	if (moved > 0)
		*position += (uint64_t)moved;
	return moved;
}

static int64_t queue_seek(struct file *file, int64_t offset, int whence)
{
	return file_seek_plain(file, offset, whence, STATUS_BYTES);
}

static uint32_t queue_poll(struct file *file, struct poll_table *table)
{
	struct mqueue *queue = file->inode->private;
	uint32_t events = 0;

	poll_wait(table, &queue->changed);
	if (queue->count > 0)
		events |= EPOLLIN | EPOLLRDNORM;
	if (queue->count < queue->most_count)
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

/* Who closes a descriptor of it is told no more. */
static int queue_flush(struct file *file, struct process *process)
{
	struct mqueue *queue = file->inode->private;
	struct process *told = NULL;

	mutex_lock(&file->inode->lock);
	if (queue->told == process)
		told = forget_told(queue);
	mutex_unlock(&file->inode->lock);
	if (told)
		process_unref(told);
	return 0;
}

static const struct file_ops queue_file_ops = {
	.name = "mqueue",
	.read = queue_read,
	.seek = queue_seek,
	.poll = queue_poll,
	.flush = queue_flush,
};

bool mqueue_is_open_for(const struct file *file, unsigned access)
{
	unsigned mode = file->flags & O_ACCMODE;

	return file->ops == &queue_file_ops && (access == O_RDWR || mode == O_RDWR || mode == access);
}

size_t mqueue_message_bytes(const struct file *file)
{
	return (size_t)((struct mqueue *)file->inode->private)->most_bytes;
}

/* ---- Queues ------------------------------------------------------------------------------------------------------------- */

static void queue_destroy(struct inode *inode)
{
	struct mqueue *queue = inode->private;
	struct process *told;

	if (!queue)
		return;
	told = forget_told(queue);
	while (queue->count > 0)
		message_free(take(queue));
	if (told)
		process_unref(told);
	uncharge_user(queue);
	slab_free(&queue_cache, queue);
}

static const struct inode_ops queue_inode_ops = {.destroy = queue_destroy};
static const struct inode_ops root_inode_ops;

/* May the task have such a queue? Privileged ones may have more. */
static bool may_be(const struct task *task, const struct mq_attr *wanted)
{
	bool privileged = task_capable(task, CAP_SYS_RESOURCE);

	return wanted->mq_maxmsg > 0 && wanted->mq_msgsize > 0 &&
	       wanted->mq_maxmsg <= (privileged ? MOST_MESSAGES : most_messages) &&
	       wanted->mq_msgsize <= (privileged ? MOST_BYTES : most_message_bytes);
}

static int make_queue(struct task *task, const struct mq_attr *wanted, struct mqueue **out)
{
	struct mqueue *queue;
	uint64_t priorities;
	int error;

	if (wanted && !may_be(task, wanted))
		return -EINVAL;
	queue = slab_alloc(&queue_cache);
	if (!queue)
		return -ENOMEM;
	*queue = (struct mqueue){
		.most_count = wanted                             ? wanted->mq_maxmsg
			      : default_messages < most_messages ? default_messages
								 : most_messages,
		.most_bytes = wanted                               ? wanted->mq_msgsize
			      : default_bytes < most_message_bytes ? default_bytes
								   : most_message_bytes,
	};
	RB_INIT(&queue->messages);
	TAILQ_INIT(&queue->receivers);
	TAILQ_INIT(&queue->senders);
	wait_queue_init(&queue->changed);
	priorities = queue->most_count < MQUEUE_PRIORITIES ? (uint64_t)queue->most_count : MQUEUE_PRIORITIES;
	queue->charged = (uint64_t)queue->most_count * (uint64_t)(queue->most_bytes + MESSAGE_COSTS) +
			 priorities * PRIORITY_COSTS;
	error = charge_user(task, queue);
	if (error)
		slab_free(&queue_cache, queue);
	else
		*out = queue;
	return error;
}

/* A new queue with its name. (n) to write. */
static int create(struct task *task, const char *text, unsigned mode, const struct mq_attr *wanted,
		  struct name **out)
{
	struct mqueue *queue;
	struct inode *inode;
	int error = inode_permission(task, root->inode, MAY_WRITE | MAY_EXECUTE);

	if (!error)
		error = make_queue(task, wanted, &queue);
	if (error)
		return error;
	mode = S_IFREG | (mode & S_IALLUGO & ~task->context->umask);
	inode = inode_create(root->inode->fs, &queue_inode_ops, mode);
	if (!inode) {
		uncharge_user(queue);
		slab_free(&queue_cache, queue);
		return -ENOMEM;
	}
	inode->private = queue;
	inode->file_ops = &queue_file_ops;
	inode->bytes = STATUS_BYTES;
	inode->uid = task->process->credentials.user.files;
	inode->gid = task->process->credentials.group.files;
	error = name_create(root, text, strlen(text), inode, out);
	if (!error)
		name_link(*out);
	return error;
}

static int check_name(const char *text)
{
	if (text[0] == '\0')
		return -ENOENT;
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return -EACCES;
	for (const char *at = text; *at != '\0'; at++)
		if (*at == '/')
			return -EACCES;
	return strlen(text) > NAME_MAX ? -ENAMETOOLONG : 0;
}

/* The queue of that name, with a reference; made, if `flags` say so. (n) to write. */
static int find_or_create(struct task *task, const char *text, unsigned flags, unsigned mode,
			  const struct mq_attr *wanted, struct name **out)
{
	static const unsigned access[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE};
	struct name *name = name_child(root, text, strlen(text));

	if (!name)
		return flags & O_CREAT ? create(task, text, mode, wanted, out) : -ENOENT;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	*out = name_ref(name);
	return inode_permission(task, name->inode, access[flags & O_ACCMODE]);
}

int mqueue_open(struct task *task, const char *text, unsigned flags, unsigned mode,
		const struct mq_attr *attributes, struct file **out)
{
	struct name *name = NULL;
	struct file *file;
	int error = check_name(text);

	if (error)
		return error;
	/* First, as a queue that was made would stay. */
	file = file_reserve();
	if (!file)
		return -ENOMEM;
	rw_write_lock(&names_lock);
	error = find_or_create(task, text, flags, mode, attributes, &name);
	rw_write_unlock(&names_lock);
	if (error) {
		file_cancel(file);
		name_unref(name);
		return error;
	}
	file_begin(file, &queue_file_ops, inode_ref(name->inode), name,
		   (flags & (O_ACCMODE | O_NONBLOCK)) | O_LARGEFILE, NULL);
	*out = file;
	return 0;
}

int mqueue_unlink(struct task *task, const char *text)
{
	struct rights rights = rights_of(task);
	struct name *name = NULL;
	int error = check_name(text);

	if (error)
		return error;
	rw_write_lock(&names_lock);
	error = rights_check(&rights, root->inode, MAY_WRITE | MAY_EXECUTE);
	if (!error)
		name = name_child(root, text, strlen(text));
	if (!error && !name)
		error = -ENOENT;
	if (!error && root->inode->mode & S_ISVTX && !rights_own(&rights, root->inode) &&
	    !rights_own(&rights, name->inode))
		error = -EPERM;
	if (!error) {
		name_ref(name);
		names_removed(name);
	}
	rw_write_unlock(&names_lock);
	if (!error)
		name_unref(name);
	return error;
}

/* ---- The file system ------------------------------------------------------------------------------------------------------ */

/* There is one, mounted when the system starts. */
static int mqueue_mount(struct filesystem *fs, const char *options)
{
	struct inode *inode;
	int error;

	(void)options;
	if (root)
		return -EBUSY;
	inode = inode_create(fs, &root_inode_ops, ROOT_MODE);
	if (!inode)
		return -ENOMEM;
	inode->file_ops = &directory_file_ops;
	inode->links = 2; /* its name and "." */
	error = name_create(NULL, "", 0, inode, &fs->root);
	if (!error)
		root = name_ref(fs->root);
	return error;
}

struct filesystem_type mqueue_type = {
	.name = "mqueue",
	.magic = MQUEUE_MAGIC,
	.no_device = true,
	.fixed = true,
	.mount = mqueue_mount,
};

void mqueues_init(void)
{
	spin_init(&users.lock, RANK_FILES, "users of message queues");
	slab_cache_init(&queue_cache, "mqueue", sizeof(struct mqueue));
	slab_cache_init(&user_cache, "mqueue user", sizeof(struct mq_user));
	filesystem_type_register(&mqueue_type);
}

void mqueues_end(void)
{
	struct name *last = root;

	root = NULL;
	if (!last)
		return;
	rw_write_lock(&names_lock);
	name_unlink_all(last);
	rw_write_unlock(&names_lock);
	name_unref(last);
}
