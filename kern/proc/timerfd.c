/*
 * Timers that one reads: timerfd_create(2).
 *
 * How often one has expired is worked out when somebody asks. Until it is read, it wakes who waits for it once: a short interval that
 * nobody reads costs nothing.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include <vm/slab.h>

#include "signal_internal.h"
#include "syscall.h"
#include "times.h"

/* Locks: (l) its own lock; (-) set once. */
struct timer_file {
	struct timer timer;   /* (l) the kernel's; first */
	struct spinlock lock; /* RANK_INODE */
	struct clock clock;   /* (-) */
	uint64_t when;        /* (l) by `by`: when it expires, or has expired and was not read; 0: not set */
	enum timer_clock by; /* (l) the time of day where it was given such a one, else the time since boot */
	uint64_t interval;   /* (l) 0: once */
	struct wait_queue expired; /* (-) */
};

static struct slab_cache timer_file_cache;

void timerfds_init(void)
{
	slab_cache_init(&timer_file_cache, "timerfd", sizeof(struct timer_file));
}

static void fire(struct timer *timer)
{
	wait_wake_all(&((struct timer_file *)timer)->expired);
}

/* What `when` is compared with. Locked. */
static uint64_t time_shown(const struct timer_file *timer)
{
	return time_nanoseconds() + (timer->by == TIMER_DAY ? (uint64_t)time_realtime_offset() : 0);
}

static bool has_expired(const struct timer_file *timer)
{
	return timer->when != 0 && timer->when <= time_shown(timer);
}

/* How often it has expired since that was taken last. */
static bool take(struct timer_file *timer, uint64_t *times)
{
	uint64_t now;

	*times = 0;
	spin_lock(&timer->lock);
	now = time_shown(timer);
	if (timer->when != 0 && timer->when <= now) {
		*times = timer->interval ? (now - timer->when) / timer->interval + 1 : 1;
		timer->when = timer->interval ? timer->when + *times * timer->interval : 0;
		if (timer->when != 0)
			timer_start_by(&timer->timer, timer->by, timer->when);
	}
	spin_unlock(&timer->lock);
	return *times > 0;
}

static int64_t timer_file_read(struct file *file, struct io *io, uint64_t *position)
{
	struct timer_file *timer = file->private;
	uint64_t times;

	(void)position;
	if (io->left < sizeof(times))
		return -EINVAL;
	if (!take(timer, &times)) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (WAIT_EVENT(&timer->expired, take(timer, &times), SLEEP_INTERRUPTIBLE, TIME_NEVER) != 0)
			return -ERESTARTSYS;
	}
	return io_put(io, &times, sizeof(times)) == sizeof(times) ? (int64_t)sizeof(times) : -EFAULT;
}

static uint32_t timer_file_poll(struct file *file, struct poll_table *table)
{
	struct timer_file *timer = file->private;
	bool expired;

	poll_wait(table, &timer->expired);
	spin_lock(&timer->lock);
	expired = has_expired(timer);
	spin_unlock(&timer->lock);
	return expired ? EPOLLIN | EPOLLRDNORM : 0;
}

static void timer_file_release(struct file *file)
{
	struct timer_file *timer = file->private;

	timer_cancel_wait(&timer->timer);
	slab_free(&timer_file_cache, timer);
}

static const struct file_ops timer_file_ops = {
	.name = "anon_inode:[timerfd]",
	.read = timer_file_read,
	.poll = timer_file_poll,
	.release = timer_file_release,
};

static struct file *create(const struct clock *clock, unsigned flags)
{
	struct timer_file *timer = slab_alloc(&timer_file_cache);
	struct inode *inode = timer ? inode_create_unnamed(S_IRUSR | S_IWUSR) : NULL;
	struct file *file = NULL;

	if (timer) {
		*timer = (struct timer_file){.clock = *clock};
		timer_init(&timer->timer, fire);
		spin_init(&timer->lock, RANK_INODE, "timerfd");
		wait_queue_init(&timer->expired);
	}
	if (inode)
		file = file_create(&timer_file_ops, inode, NULL, O_RDWR | (flags & O_NONBLOCK), timer);
	if (timer && !file)
		slab_free(&timer_file_cache, timer);
	return file;
}

int64_t sys_timerfd_create(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->rsi;
	struct clock clock;
	struct file *file;
	int descriptor;

	if (flags & ~(unsigned)(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if (clock_find(task, (int)frame->rdi, &clock) != 0 || !clock.waits || clock.kind == CLOCK_KIND_CPU)
		return -EINVAL;
	file = create(&clock, flags);
	if (!file)
		return -ENOMEM;
	descriptor = descriptor_install(task, file, 0, flags & O_CLOEXEC);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

/* ---- Setting ------------------------------------------------------------------------------------------ */

/* The open file of a descriptor that is such a timer, with a reference. -EBADF, -EINVAL. */
static int get(struct task *task, int descriptor, struct file **file)
{
	*file = descriptor_get(task, descriptor);
	if (!*file)
		return -EBADF;
	if ((*file)->ops == &timer_file_ops)
		return 0;
	file_unref(*file);
	return -EINVAL;
}

/* As timerfd_gettime has it: the time left, and the interval. Locked. */
static void get_state(const struct timer_file *timer, int64_t state[2])
{
	uint64_t now = time_shown(timer), when = timer->when;

	if (when != 0 && when <= now && timer->interval != 0)
		when += ((now - when) / timer->interval + 1) * timer->interval;
	state[0] = (int64_t)timer->interval;
	state[1] = when > now ? (int64_t)(when - now) : 0;
}

static int put_state(vaddr_t to, const int64_t state[2])
{
	int error = time_to_user(to + offsetof(struct itimerspec, it_interval), state[0]);

	return error ? error : time_to_user(to + offsetof(struct itimerspec, it_value), state[1]);
}

static void set(struct timer_file *timer, int64_t value, int64_t interval, bool absolute)
{
	uint64_t when = 0;

	if (value != 0)
		when = absolute ? (uint64_t)value : time_after(value);
	timer->when = when;
	timer->by = absolute ? clock_timer(&timer->clock) : TIMER_BOOT;
	timer->interval = (uint64_t)interval;
	if (when != 0)
		timer_start_by(&timer->timer, timer->by, when);
	else
		timer_cancel(&timer->timer);
}

int64_t sys_timerfd_settime(struct task *task, struct trapframe *frame)
{
	const unsigned known = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	int64_t value, interval, old[2];
	struct timer_file *timer;
	struct file *file;
	int error;

	if ((unsigned)frame->rsi & ~known)
		return -EINVAL;
	error = time_from_user(frame->rdx + offsetof(struct itimerspec, it_interval), &interval);
	if (!error)
		error = time_from_user(frame->rdx + offsetof(struct itimerspec, it_value), &value);
	if (!error)
		error = get(task, (int)frame->rdi, &file);
	if (error)
		return error;
	timer = file->private;
	spin_lock(&timer->lock);
	get_state(timer, old);
	set(timer, value, interval, frame->rsi & TFD_TIMER_ABSTIME);
	spin_unlock(&timer->lock);
	file_unref(file);
	return frame->r10 ? put_state(frame->r10, old) : 0;
}

int64_t sys_timerfd_gettime(struct task *task, struct trapframe *frame)
{
	struct timer_file *timer;
	struct file *file;
	int64_t state[2];
	int error = get(task, (int)frame->rdi, &file);

	if (error)
		return error;
	timer = file->private;
	spin_lock(&timer->lock);
	get_state(timer, state);
	spin_unlock(&timer->lock);
	file_unref(file);
	return put_state(frame->rsi, state);
}
