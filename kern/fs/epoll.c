/*
 * epoll: an instance remembers which files it watches, and is told by their wait queues which of them may be ready (epoll(7)).
 *
 * An item is a file, by a descriptor, in an instance. It has no reference to the file: who drops the last one comes to
 * epoll_forget() first. Items come and go under `watching`, which guards who watches whom, and their instance's lock; those that may be ready hang in a
 * list of their own, which wait queues reach: notify() may take only its spinlock and wake.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/kern.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <vm/slab.h>

#define MOST_LEVELS  5 /* of instances that watch instances */
#define PRIVATE_BITS (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)
#define ALWAYS       (EPOLLERR | EPOLLHUP)
#define EXCLUSIVE_OK (EPOLLEXCLUSIVE | EPOLLET | EPOLLWAKEUP | EPOLLIN | EPOLLOUT | ALWAYS)

/* Locks: (l) the instance's lock; (r) its ready_lock; (w) `watching`; (-) set when it is made. */
struct epoll_item {
	RB_ENTRY(epoll_item) link;          /* (l) in epoll->items */
	LIST_ENTRY(epoll_item) file_link;   /* (w) of those that watch the file */
	TAILQ_ENTRY(epoll_item) ready_link; /* (r) */
	struct epoll *epoll;                /* (-) */
	struct file *file;                  /* (-) no reference */
	int descriptor;                     /* (-) */
	bool ready;                         /* (r) it is in epoll->ready */
	struct epoll_event event;           /* (l) what is asked for, and the program's data */
	unsigned used;                      /* (l) of the waiters */
	struct item_waiter {
		struct waiter waiter;    /* (-) first */
		struct epoll_item *item; /* (-) */
	} waiters[POLL_QUEUES];          /* (l) */
};

RB_HEAD(items, epoll_item);
TAILQ_HEAD(ready_items, epoll_item);

/* By how many ways what happens to a file comes to instances that nobody watches: for each number of steps from 1 on. */
struct ways {
	unsigned count[MOST_LEVELS];
};

/* Locks: (l) its lock; (r) its ready_lock; (w) `watching`; (-) set when it is made. */
struct epoll {
	struct mutex lock;          /* (-) RANK_POLL */
	struct file *file;          /* (-) its own; no reference */
	struct items items;         /* (l) by descriptor and file */
	struct spinlock ready_lock; /* RANK_READY */
	struct ready_items ready;   /* (r) what may be ready */
	struct wait_queue waiting;  /* (-) threads in epoll_wait, and who polls the instance */
	uint64_t counted, visited;  /* (w) the last checks that counted its ways, and came by from above */
	struct ways ways;           /* (w) what `counted` found */
};

/* A table whose waiters are an item's. */
struct item_table {
	struct poll_table table;
	struct epoll_item *item;
};

static struct slab_cache epoll_cache, item_cache;
static struct mutex watching; /* RANK_POLL */
static uint64_t last_check;   /* (w) its number: see check_ways */

static int compare(struct epoll_item *left, struct epoll_item *right)
{
	if (left->descriptor != right->descriptor)
		return left->descriptor < right->descriptor ? -1 : 1;
	return (left->file > right->file) - (left->file < right->file);
}

RB_GENERATE_STATIC(items, epoll_item, link, compare)

static const struct file_ops epoll_ops;

void epolls_init(void)
{
	slab_cache_init(&epoll_cache, "epoll", sizeof(struct epoll));
	slab_cache_init(&item_cache, "epoll item", sizeof(struct epoll_item));
	mutex_init(&watching, RANK_POLL, "epoll watching");
}

/* ---- What may be ready ------------------------------------------------------------------------------------ */

/* Puts an item into the list, at its end. False: it was there. */
static bool mark_ready(struct epoll_item *item)
{
	struct epoll *epoll = item->epoll;
	bool was_ready;

	spin_lock(&epoll->ready_lock);
	was_ready = item->ready;
	if (!was_ready)
		TAILQ_INSERT_TAIL(&epoll->ready, item, ready_link);
	item->ready = true;
	spin_unlock(&epoll->ready_lock);
	return !was_ready;
}

static void unmark_ready(struct epoll_item *item)
{
	struct epoll *epoll = item->epoll;

	spin_lock(&epoll->ready_lock);
	if (item->ready)
		TAILQ_REMOVE(&epoll->ready, item, ready_link);
	item->ready = false;
	spin_unlock(&epoll->ready_lock);
}

/* The first in the list; it stays there. */
static struct epoll_item *first_ready(struct epoll *epoll)
{
	struct epoll_item *item;

	spin_lock(&epoll->ready_lock);
	item = TAILQ_FIRST(&epoll->ready);
	spin_unlock(&epoll->ready_lock);
	return item;
}

/* A queue of the item's file was woken; it is locked. Who waits for the instance is woken even if the item was marked: it may not have seen that. */
static void notify(struct waiter *waiter)
{
	struct epoll_item *item = ((struct item_waiter *)waiter)->item;

	mark_ready(item);
	wait_wake_all(&item->epoll->waiting);
}

static void enter(struct poll_table *table, struct wait_queue *queue)
{
	struct epoll_item *item = ((struct item_table *)table)->item;
	struct item_waiter *waiter = &item->waiters[item->used++];

	ASSERT(item->used <= POLL_QUEUES);
	waiter->item = item;
	waiter->waiter.thread = NULL;
	waiter->waiter.notify = notify;
	wait_enter_prepared(queue, &waiter->waiter);
}

/* What of what is asked for the item's file can do now. The instance is locked. */
static uint32_t poll_item(struct epoll_item *item, struct poll_table *table)
{
	return file_poll(item->file, table) & (item->event.events | ALWAYS);
}

/* Has the item something to tell? One that was switched off by EPOLLONESHOT has not. */
static bool is_armed(const struct epoll_item *item)
{
	return item->event.events & ~PRIVATE_BITS;
}

/* ---- The list of interest ------------------------------------------------------------------------------------ */

static struct epoll_item *find(struct epoll *epoll, struct file *file, int descriptor)
{
	struct epoll_item key = {.file = file, .descriptor = descriptor};

	return RB_FIND(items, &epoll->items, &key);
}

/* Both `watching` and the instance are locked. Afterwards no queue knows the item. */
static void remove(struct epoll_item *item)
{
	for (unsigned i = 0; i < item->used; i++)
		wait_leave(&item->waiters[i].waiter);
	unmark_ready(item);
	RB_REMOVE(items, &item->epoll->items, item);
	LIST_REMOVE(item, file_link);
	slab_free(&item_cache, item);
}

/* Looks at a file whose item is new or has changed, and tells who waits. */
static void look_at(struct epoll_item *item, struct poll_table *table)
{
	if (poll_item(item, table) != 0 && mark_ready(item))
		wait_wake_all(&item->epoll->waiting);
}

static int check_ways(const struct epoll *epoll, struct file *file);

static int add(struct epoll *epoll, struct file *file, int descriptor, const struct epoll_event *event)
{
	struct item_table table = {.table.enter = enter};
	struct epoll_item *item;
	int error;

	if (find(epoll, file, descriptor))
		return -EEXIST;
	item = slab_alloc(&item_cache);
	if (!item)
		return -ENOMEM;
	memset(item, 0, sizeof(*item));
	item->epoll = epoll;
	item->file = file;
	item->descriptor = descriptor;
	item->event = *event;
	RB_INSERT(items, &epoll->items, item);
	LIST_INSERT_HEAD(&file->watchers, item, file_link);
	error = check_ways(epoll, file);
	if (error) {
		remove(item);
		return error;
	}
	table.item = item;
	look_at(item, &table.table);
	return 0;
}

static int modify(struct epoll *epoll, struct file *file, int descriptor, const struct epoll_event *event)
{
	struct epoll_item *item = find(epoll, file, descriptor);

	if (!item)
		return -ENOENT;
	if ((item->event.events | event->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	item->event = *event;
	look_at(item, NULL);
	return 0;
}

static int delete (struct epoll *epoll, struct file *file, int descriptor)
{
	struct epoll_item *item = find(epoll, file, descriptor);

	if (!item)
		return -ENOENT;
	remove(item);
	return 0;
}

/* ---- Instances that watch instances ---------------------------------------------------------------------------- */

/* How many levels of instances are above that file's, or below it; more than MOST_LEVELS need no exact number. `watching` is locked. */
static unsigned levels_above(struct file *file, unsigned limit)
{
	unsigned most = 0;
	struct epoll_item *item;

	LIST_FOREACH(item, &file->watchers, file_link)
	{
		unsigned levels = limit > 0 ? 1 + levels_above(item->epoll->file, limit - 1) : 1;

		if (levels > most)
			most = levels;
	}
	return most;
}

static unsigned levels_below(struct file *file, unsigned limit)
{
	struct epoll *epoll = file->private;
	unsigned most = 0;
	struct epoll_item *item;

	RB_FOREACH(item, items, &epoll->items)
	{
		unsigned levels = 1;

		if (item->file->ops != &epoll_ops)
			continue;
		if (limit > 0)
			levels += levels_below(item->file, limit - 1);
		if (levels > most)
			most = levels;
	}
	return most;
}

static bool is_below(struct file *file, struct file *top, unsigned limit)
{
	struct epoll *epoll = top->private;
	struct epoll_item *item;

	if (file == top)
		return true;
	RB_FOREACH(item, items, &epoll->items)
	if (limit > 0 && item->file->ops == &epoll_ops && is_below(file, item->file, limit - 1))
		return true;
	return false;
}

/* May the instance watch that one? */
static int check_levels(struct file *epoll, struct file *file)
{
	if (is_below(epoll, file, MOST_LEVELS) ||
	    levels_above(epoll, MOST_LEVELS) + levels_below(file, MOST_LEVELS) + 2 > MOST_LEVELS)
		return -ELOOP;
	return 0;
}

/*
 * An event goes all ways there are from its file up, and with instances that watch each other in layers those multiply. So ways of more than one
 * step are limited, as on Linux (fs/eventpoll.c, path_limits).
 */
static const unsigned most_ways[MOST_LEVELS] = {UINT32_MAX, 500, 100, 50, 10};
#define WAYS_ENOUGH 1000u /* are not counted any further */

/* Counts the ways up from a file, for check number `last_check`: each instance on them once. `watching` is locked. */
static void count_ways(const struct file *file, struct ways *out)
{
	const struct epoll_item *item;

	*out = (struct ways){{0}};
	LIST_FOREACH(item, &file->watchers, file_link)
	{
		struct epoll *epoll = item->epoll;

		if (LIST_EMPTY(&epoll->file->watchers)) {
			out->count[0]++;
			continue;
		}
		if (epoll->counted != last_check) {
			epoll->counted = last_check;
			count_ways(epoll->file, &epoll->ways);
		}
		for (unsigned steps = 1; steps < MOST_LEVELS; steps++)
			if (out->count[steps] < WAYS_ENOUGH)
				out->count[steps] += epoll->ways.count[steps - 1];
	}
}

/* Are there not too many ways up from the file, and from all that are watched below it? */
static bool ways_fit(struct file *file)
{
	struct epoll *epoll = file->ops == &epoll_ops ? file->private : NULL;
	struct epoll_item *item;
	struct ways ways;

	count_ways(file, &ways);
	for (unsigned steps = 0; steps < MOST_LEVELS; steps++)
		if (ways.count[steps] > most_ways[steps])
			return false;
	if (!epoll || epoll->visited == last_check)
		return true;
	epoll->visited = last_check;
	RB_FOREACH(item, items, &epoll->items)
	if (!ways_fit(item->file))
		return false;
	return true;
}

/* The instance has begun to watch the file: may it? `watching` is locked. */
static int check_ways(const struct epoll *epoll, struct file *file)
{
	if (file->ops != &epoll_ops && LIST_EMPTY(&epoll->file->watchers))
		return 0;
	last_check++;
	return ways_fit(file) ? 0 : -EINVAL;
}

/* ---- epoll_ctl ---------------------------------------------------------------------------------------------------- */

static int check_exclusive(int operation, const struct file *file, const struct epoll_event *event)
{
	if (!event || !(event->events & EPOLLEXCLUSIVE))
		return 0;
	if (operation == EPOLL_CTL_MOD || file->ops == &epoll_ops || (event->events & ~EXCLUSIVE_OK))
		return -EINVAL;
	return 0;
}

static int control(struct epoll *epoll, int operation, struct file *file, int descriptor,
		   const struct epoll_event *event)
{
	switch (operation) {
	case EPOLL_CTL_ADD:
		return add(epoll, file, descriptor, event);
	case EPOLL_CTL_MOD:
		return modify(epoll, file, descriptor, event);
	case EPOLL_CTL_DEL:
		return delete (epoll, file, descriptor);
	default:
		return -EINVAL;
	}
}

int epoll_control(struct file *file, int operation, struct file *target, int descriptor,
		  const struct epoll_event *event)
{
	struct epoll *epoll = file->private;
	int error;

	if (!target->ops->poll)
		return -EPERM;
	if (file->ops != &epoll_ops || file == target)
		return -EINVAL;
	error = check_exclusive(operation, target, event);
	if (error)
		return error;
	mutex_lock(&watching);
	if (operation == EPOLL_CTL_ADD && target->ops == &epoll_ops)
		error = check_levels(file, target);
	if (!error) {
		mutex_lock(&epoll->lock);
		error = control(epoll, operation, target, descriptor, event);
		mutex_unlock(&epoll->lock);
	}
	mutex_unlock(&watching);
	return error;
}

void epoll_forget(struct file *file)
{
	struct epoll_item *item;

	if (LIST_EMPTY(&file->watchers))
		return;
	mutex_lock(&watching);
	while ((item = LIST_FIRST(&file->watchers)) != NULL) {
		struct epoll *epoll = item->epoll;

		mutex_lock(&epoll->lock);
		remove(item);
		mutex_unlock(&epoll->lock);
	}
	mutex_unlock(&watching);
}

/* ---- epoll_wait -------------------------------------------------------------------------------------------------------- */

/*
 * Reports the items that are ready, in turn, at most `most`. Level-triggered ones go to the list's end, as they may be ready still; each item is
 * looked at once. The instance is locked. How many, or -EFAULT.
 */
static int64_t report(struct epoll *epoll, vaddr_t events, size_t most)
{
	struct epoll_item *item, *last;
	size_t done = 0;

	spin_lock(&epoll->ready_lock);
	last = TAILQ_LAST(&epoll->ready, ready_items);
	spin_unlock(&epoll->ready_lock);
	for (bool more = last != NULL; more && done < most;) {
		struct epoll_event event;

		item = first_ready(epoll);
		more = item != last;
		/* From here on a new event counts. */
		unmark_ready(item);
		event = (struct epoll_event){is_armed(item) ? poll_item(item, NULL) : 0, item->event.data};
		if (event.events == 0)
			continue;
		if (copy_to_user(events + done * sizeof(event), &event, sizeof(event)) != 0) {
			mark_ready(item);
			return done > 0 ? (int64_t)done : -EFAULT;
		}
		done++;
		if (item->event.events & EPOLLONESHOT)
			item->event.events &= PRIVATE_BITS;
		else if (!(item->event.events & EPOLLET))
			mark_ready(item);
	}
	return (int64_t)done;
}

int64_t epoll_wait_user(struct file *file, vaddr_t events, size_t most, uint64_t deadline)
{
	struct epoll *epoll = file->private;
	int64_t done;

	if (file->ops != &epoll_ops)
		return -EINVAL;
	for (;;) {
		int status;

		mutex_lock(&epoll->lock);
		done = report(epoll, events, most);
		mutex_unlock(&epoll->lock);
		if (done != 0 || deadline == 0)
			return done;
		status = WAIT_EVENT(&epoll->waiting, first_ready(epoll) != NULL, SLEEP_INTERRUPTIBLE,
				    deadline);
		if (status)
			return status == -ETIMEDOUT ? 0 : status;
	}
}

/* ---- The instance as a file ------------------------------------------------------------------------------------------------ */

/* Is any of its files really ready? Those that are not leave the list. */
static uint32_t epoll_poll(struct file *file, struct poll_table *table)
{
	struct epoll *epoll = file->private;
	struct epoll_item *item;
	uint32_t events = 0;

	poll_wait(table, &epoll->waiting);
	mutex_lock(&epoll->lock);
	while (!events && (item = first_ready(epoll)) != NULL) {
		unmark_ready(item);
		if (!is_armed(item) || poll_item(item, NULL) == 0)
			continue;
		mark_ready(item);
		events = EPOLLIN | EPOLLRDNORM;
	}
	mutex_unlock(&epoll->lock);
	return events;
}

static void epoll_release(struct file *file)
{
	struct epoll *epoll = file->private;
	struct epoll_item *item;

	mutex_lock(&watching);
	mutex_lock(&epoll->lock);
	while ((item = RB_MIN(items, &epoll->items)) != NULL)
		remove(item);
	mutex_unlock(&epoll->lock);
	mutex_unlock(&watching);
	slab_free(&epoll_cache, epoll);
}

static const struct file_ops epoll_ops = {
	.name = "anon_inode:[eventpoll]",
	.poll = epoll_poll,
	.release = epoll_release,
};

struct file *epoll_create_file(void)
{
	struct epoll *epoll = slab_alloc(&epoll_cache);
	struct inode *inode = epoll ? inode_create_unnamed(S_IRUSR | S_IWUSR) : NULL;
	struct file *file;

	if (!inode) {
		if (epoll)
			slab_free(&epoll_cache, epoll);
		return NULL;
	}
	memset(epoll, 0, sizeof(*epoll));
	mutex_init(&epoll->lock, RANK_POLL, "epoll (nested)");
	spin_init(&epoll->ready_lock, RANK_READY, "epoll ready");
	/* A queue that another queue's waiters wake: instances watch instances, but not in circles. */
	wait_queue_init(&epoll->waiting);
	spin_init(&epoll->waiting.lock, RANK_WAIT, "epoll queue (nested)");
	RB_INIT(&epoll->items);
	TAILQ_INIT(&epoll->ready);
	file = epoll->file = file_create(&epoll_ops, inode, NULL, O_RDWR, epoll);
	if (!file)
		slab_free(&epoll_cache, epoll);
	return file;
}
