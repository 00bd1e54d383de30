/*
 * Event counters (eventfd(2)).
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/poll.h>
#include <kern/signal.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <vm/slab.h>

#define MOST          \
	(UINT64_MAX - \
	 1) /* the counter can be; one more would be the overflow that only the kernel may cause */

/* Locks: (l) its own lock; (-) set once. */
struct counter {
	struct spinlock lock;      /* RANK_INODE */
	uint64_t count;            /* (l) */
	bool semaphore;            /* (-) reading takes 1, and not all */
	struct wait_queue changed; /* (-) */
};

static struct slab_cache counter_cache;

void eventfds_init(void)
{
	slab_cache_init(&counter_cache, "eventfd", sizeof(struct counter));
}

/* Takes what a read gets, if there is anything. */
static bool take(struct counter *counter, uint64_t *value)
{
	spin_lock(&counter->lock);
	*value = counter->semaphore && counter->count > 0 ? 1 : counter->count;
	counter->count -= *value;
	spin_unlock(&counter->lock);
	return *value > 0;
}

static bool add(struct counter *counter, uint64_t value)
{
	bool fits;

	spin_lock(&counter->lock);
	fits = value <= MOST - counter->count;
	if (fits)
		counter->count += value;
	spin_unlock(&counter->lock);
	return fits;
}

static int64_t counter_read(struct file *file, struct io *io, uint64_t *position)
{
	struct counter *counter = file->private;
	uint64_t value;

	(void)position;
	if (io->left < sizeof(value))
		return -EINVAL;
	if (!take(counter, &value)) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (WAIT_EVENT(&counter->changed, take(counter, &value), SLEEP_INTERRUPTIBLE, TIME_NEVER) !=
		    0)
			return -ERESTARTSYS;
	}
	wait_wake_all(&counter->changed);
	return io_put(io, &value, sizeof(value)) == sizeof(value) ? (int64_t)sizeof(value) : -EFAULT;
}

static int64_t counter_write(struct file *file, struct io *io, uint64_t *position)
{
	struct counter *counter = file->private;
	uint64_t value;

	(void)position;
	if (io->left < sizeof(value))
		return -EINVAL;
	if (io_get(io, &value, sizeof(value)) != sizeof(value))
		return -EFAULT;
	if (value > MOST)
		return -EINVAL;
	if (!add(counter, value)) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (WAIT_EVENT(&counter->changed, add(counter, value), SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			return -ERESTARTSYS;
	}
	wait_wake_all(&counter->changed);
	return sizeof(value);
}

static uint32_t counter_poll(struct file *file, struct poll_table *table)
{
	struct counter *counter = file->private;
	uint32_t events = 0;

	poll_wait(table, &counter->changed);
	spin_lock(&counter->lock);
	if (counter->count > 0)
		events |= EPOLLIN | EPOLLRDNORM;
	if (counter->count < MOST)
		events |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock(&counter->lock);
	return events;
}

static void counter_release(struct file *file)
{
	slab_free(&counter_cache, file->private);
}

static const struct file_ops counter_ops = {
	.name = "anon_inode:[eventfd]",
	.read = counter_read,
	.write = counter_write,
	.poll = counter_poll,
	.release = counter_release,
};

struct file *eventfd_create(unsigned initial, unsigned flags)
{
	struct counter *counter = slab_alloc(&counter_cache);
	struct inode *inode = counter ? inode_create_unnamed(S_IRUSR | S_IWUSR) : NULL;
	struct file *file = NULL;

	if (inode)
		file = file_create(&counter_ops, inode, NULL, O_RDWR | (flags & O_NONBLOCK), counter);
	if (!file) {
		if (counter)
			slab_free(&counter_cache, counter);
		return NULL;
	}
	*counter = (struct counter){.count = initial, .semaphore = flags & EFD_SEMAPHORE};
	spin_init(&counter->lock, RANK_INODE, "eventfd");
	wait_queue_init(&counter->changed);
	return file;
}
