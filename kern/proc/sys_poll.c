/*
 * System calls that wait for files: poll, ppoll, select, pselect6, epoll and eventfd. Waiting itself is in kern/fs/poll.c and epoll.c.
 */
#include <asm/errno.h>
#include <kern/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/personality.h>
#include <linux/posix_types.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <vm/vm.h>

#include "syscall.h"

/* <asm/poll.h> gives the old names to its numbers, which epoll's are, too. */
#include <asm/poll.h>

#define NS_PER_SECOND     1000000000ull
#define NS_PER_MS         1000000ull
#define NS_PER_US         1000ull
#define FEW_FILES         24 /* fit on the stack */
#define WORD_BITS         64u
#define EPOLL_MOST_EVENTS (INT32_MAX / sizeof(struct epoll_event))
#define IN_EVENTS         (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define OUT_EVENTS        (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define EXCEPT_EVENTS     POLLPRI

/* ---- Timeouts --------------------------------------------------------------------------------------------- */

/* The time when a wait of so long is over; 0: it must not wait at all. */
static uint64_t deadline_after(uint64_t nanoseconds)
{
	uint64_t now = time_nanoseconds();

	if (nanoseconds == 0)
		return 0;
	return nanoseconds >= TIME_NEVER - now ? TIME_NEVER : now + nanoseconds;
}

static uint64_t deadline_of_parts(uint64_t seconds, uint64_t nanoseconds)
{
	return seconds >= UINT64_MAX / NS_PER_SECOND - 1
		       ? TIME_NEVER
		       : deadline_after(seconds * NS_PER_SECOND + nanoseconds);
}

static uint64_t deadline_of_ms(int milliseconds)
{
	return milliseconds < 0 ? TIME_NEVER : deadline_after((uint64_t)milliseconds * NS_PER_MS);
}

/* A struct timespec of the program's; NULL: for ever. -EFAULT, -EINVAL. */
static int deadline_of_timespec(vaddr_t from, uint64_t *deadline)
{
	struct __kernel_timespec time;

	*deadline = TIME_NEVER;
	if (!from)
		return 0;
	if (copy_from_user(&time, from, sizeof(time)) != 0)
		return -EFAULT;
	if (time.tv_sec < 0 || time.tv_nsec < 0 || (uint64_t)time.tv_nsec >= NS_PER_SECOND)
		return -EINVAL;
	*deadline = deadline_of_parts((uint64_t)time.tv_sec, (uint64_t)time.tv_nsec);
	return 0;
}

/* select's, which may have more microseconds than a second has. */
static int deadline_of_timeval(vaddr_t from, uint64_t *deadline)
{
	struct __kernel_old_timeval time;

	*deadline = TIME_NEVER;
	if (!from)
		return 0;
	if (copy_from_user(&time, from, sizeof(time)) != 0)
		return -EFAULT;
	if (time.tv_sec < 0 || time.tv_usec < 0)
		return -EINVAL;
	*deadline = deadline_of_parts((uint64_t)time.tv_sec +
					      (uint64_t)time.tv_usec / (NS_PER_SECOND / NS_PER_US),
				      (uint64_t)time.tv_usec % (NS_PER_SECOND / NS_PER_US) * NS_PER_US);
	return 0;
}

/* How much of the wait was left. */
static uint64_t time_left(uint64_t deadline)
{
	uint64_t now = time_nanoseconds();

	return deadline > now ? deadline - now : 0;
}

/* As Linux, these calls tell how much of the wait was left; where that cannot be written, nothing is said. */
static void put_time_left(vaddr_t to, uint64_t deadline, uint64_t unit)
{
	uint64_t left = time_left(deadline);
	const uint64_t parts[] = {left / NS_PER_SECOND, left % NS_PER_SECOND / unit};

	if (to && deadline != TIME_NEVER && !(task_current()->process->personality & STICKY_TIMEOUTS))
		copy_to_user(to, parts, sizeof(parts));
}

/* ---- Files that are waited for -------------------------------------------------------------------------------- */

struct entries {
	struct poll_entry *all;
	size_t count;
	struct poll_entry few[FEW_FILES];
};

static int entries_begin(struct entries *entries, size_t count)
{
	entries->count = count;
	entries->all = entries->few;
	if (count > FEW_FILES)
		entries->all = kernel_alloc(count * sizeof(*entries->all), "poll");
	if (!entries->all)
		return -ENOMEM;
	memset(entries->all, 0, count * sizeof(*entries->all));
	return 0;
}

static void entries_end(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		if (entries->all[i].file)
			file_unref(entries->all[i].file);
	if (entries->all != entries->few)
		kernel_free(entries->all);
}

/* ---- poll --------------------------------------------------------------------------------------------------------- */

/* Gets the files. How many descriptors are not open: that is an event. -EFAULT. */
static int64_t poll_open(struct task *task, vaddr_t fds, struct entries *entries)
{
	int64_t invalid = 0;

	for (size_t i = 0; i < entries->count; i++) {
		struct poll_entry *entry = &entries->all[i];
		struct pollfd fd;

		if (copy_from_user(&fd, fds + i * sizeof(fd), sizeof(fd)) != 0)
			return -EFAULT;
		entry->descriptor = fd.fd;
		entry->events = (uint16_t)fd.events;
		if (fd.fd >= 0)
			entry->file = descriptor_get(task, fd.fd);
		if (fd.fd >= 0 && !entry->file) {
			entry->revents = POLLNVAL;
			invalid++;
		}
	}
	return invalid;
}

static int poll_put_events(vaddr_t fds, const struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct poll_entry *entry = &entries->all[i];
		short revents = (short)entry->revents;

		if (entry->descriptor >= 0 && !entry->file)
			revents = POLLNVAL;
		if (copy_to_user(fds + i * sizeof(struct pollfd) + offsetof(struct pollfd, revents), &revents,
				 sizeof(revents)) != 0)
			return -EFAULT;
	}
	return 0;
}

static int64_t poll_until(struct task *task, vaddr_t fds, uint64_t count, uint64_t deadline)
{
	struct entries entries;
	int64_t result, invalid;

	if (count > task->process->limits[RLIMIT_NOFILE].rlim_cur || count > UINT32_MAX)
		return -EINVAL;
	if (entries_begin(&entries, count) != 0)
		return -ENOMEM;
	result = invalid = poll_open(task, fds, &entries);
	if (invalid >= 0)
		result = poll_files(entries.all, entries.count, invalid > 0 ? 0 : deadline);
	if (result >= 0) {
		result += invalid;
		if (poll_put_events(fds, &entries) != 0)
			result = -EFAULT;
	}
	entries_end(&entries);
	return result;
}

/* poll(2) goes on after a stop until its time is over. */
static int64_t poll_again(struct task *task, struct restart_block *block)
{
	int64_t result = poll_until(task, block->argument[0], block->argument[1], block->deadline);

	return result == -EINTR ? -ERESTART_RESTARTBLOCK : result;
}

int64_t sys_poll(struct task *task, struct trapframe *frame)
{
	uint64_t deadline = deadline_of_ms((int)frame->rdx);
	int64_t result = poll_until(task, frame->rdi, (uint32_t)frame->rsi, deadline);

	if (result != -EINTR)
		return result;
	task->signals.restart = (struct restart_block){
		.call = poll_again, .deadline = deadline, .argument = {frame->rdi, (uint32_t)frame->rsi}};
	return -ERESTART_RESTARTBLOCK;
}

int64_t sys_ppoll(struct task *task, struct trapframe *frame)
{
	uint64_t deadline;
	int64_t result = deadline_of_timespec(frame->rdx, &deadline);

	if (!result)
		result = signal_mask_begin_from_user(task, frame->r10, frame->r8);
	if (result)
		return result;
	result = poll_until(task, frame->rdi, (uint32_t)frame->rsi, deadline);
	if (result == -EINTR)
		result = -ERESTARTNOHAND;
	signal_mask_end(task, result);
	put_time_left(frame->rdx, deadline, 1);
	return result;
}

/* ---- select ---------------------------------------------------------------------------------------------------------- */

/* The three sets, in and out; NULL: there is none. */
struct sets {
	vaddr_t sets[3];
	uint32_t count; /* of descriptors that count */
};

static const uint32_t set_events[3] = {IN_EVENTS, OUT_EVENTS, EXCEPT_EVENTS};

/* One word of a set. */
static int get_word(const struct sets *sets, unsigned set, uint32_t word, uint64_t *bits)
{
	*bits = 0;
	if (!sets->sets[set])
		return 0;
	if (copy_from_user(bits, sets->sets[set] + word * sizeof(*bits), sizeof(*bits)) != 0)
		return -EFAULT;
	if ((word + 1) * WORD_BITS > sets->count)
		*bits &= ((uint64_t)1 << sets->count % WORD_BITS) - 1;
	return 0;
}

/* Calls `visit` for each descriptor that is in a set, with what is asked of it. */
static int64_t visit_selected(const struct sets *sets,
			      int (*visit)(void *context, int descriptor, uint32_t events), void *context)
{
	for (uint32_t word = 0; word * WORD_BITS < sets->count; word++) {
		uint64_t bits[3];

		for (unsigned set = 0; set < 3; set++)
			if (get_word(sets, set, word, &bits[set]) != 0)
				return -EFAULT;
		for (uint64_t any = bits[0] | bits[1] | bits[2]; any; any &= any - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(any);
			uint32_t events = 0;
			int error;

			for (unsigned set = 0; set < 3; set++)
				events |= bits[set] >> bit & 1 ? set_events[set] : 0;
			error = visit(context, (int)(word * WORD_BITS + bit), events);
			if (error)
				return error;
		}
	}
	return 0;
}

static int count_selected(void *context, int descriptor, uint32_t events)
{
	(void)descriptor, (void)events;
	++*(size_t *)context;
	return 0;
}

struct selecting {
	struct task *task;
	struct entries *entries;
	size_t next;
};

/* The sets are the program's, which may have put more into them since they were counted: that is not looked at. */
static int open_selected(void *context, int descriptor, uint32_t events)
{
	struct selecting *selecting = context;
	struct poll_entry *entry = &selecting->entries->all[selecting->next];

	if (selecting->next == selecting->entries->count)
		return 0;
	entry->file = descriptor_get(selecting->task, descriptor);
	entry->descriptor = descriptor;
	entry->events = events;
	selecting->next++;
	return entry->file ? 0 : -EBADF;
}

/* Writes the sets anew. How many bits are set. */
static int64_t put_sets(const struct sets *sets, const struct entries *entries)
{
	size_t next = 0;
	int64_t ready = 0;

	for (uint32_t word = 0; word * WORD_BITS < sets->count; word++) {
		uint64_t bits[3] = {0, 0, 0};

		for (; next < entries->count && entries->all[next].file; next++) {
			const struct poll_entry *entry = &entries->all[next];

			if ((uint32_t)entry->descriptor / WORD_BITS != word)
				break;
			for (unsigned set = 0; set < 3; set++)
				if ((entry->events & set_events[set] & ~(uint32_t)POLLERR) &&
				    (entry->revents & set_events[set])) {
					bits[set] |= (uint64_t)1 << (uint32_t)entry->descriptor % WORD_BITS;
					ready++;
				}
		}
		for (unsigned set = 0; set < 3; set++) {
			if (sets->sets[set] && copy_to_user(sets->sets[set] + word * sizeof(bits[set]),
							    &bits[set], sizeof(bits[set])) != 0)
				return -EFAULT;
		}
	}
	return ready;
}

static int64_t select_opened(struct task *task, const struct sets *sets, struct entries *entries,
			     uint64_t deadline)
{
	struct selecting selecting = {task, entries, 0};
	int64_t result = visit_selected(sets, open_selected, &selecting);

	if (result == 0)
		result = poll_files(entries->all, entries->count, deadline);
	return result >= 0 ? put_sets(sets, entries) : result;
}

static int64_t select_until(struct task *task, int count, vaddr_t in, vaddr_t out, vaddr_t except,
			    uint64_t deadline)
{
	struct sets sets = {{in, out, except}, (uint32_t)count};
	struct entries entries;
	size_t selected = 0;
	int64_t result;

	if (count < 0)
		return -EINVAL;
	if (sets.count > file_table_size(task->files))
		sets.count = file_table_size(task->files);
	result = visit_selected(&sets, count_selected, &selected);
	if (result)
		return result;
	if (entries_begin(&entries, selected) != 0)
		return -ENOMEM;
	result = select_opened(task, &sets, &entries, deadline);
	entries_end(&entries);
	return result == -EINTR ? -ERESTARTNOHAND : result;
}

int64_t sys_select(struct task *task, struct trapframe *frame)
{
	uint64_t deadline;
	int64_t result = deadline_of_timeval(frame->r8, &deadline);

	if (result)
		return result;
	result = select_until(task, (int)frame->rdi, frame->rsi, frame->rdx, frame->r10, deadline);
	put_time_left(frame->r8, deadline, NS_PER_US);
	return result;
}

/* The sixth argument is a pointer to the mask and its size. */
int64_t sys_pselect6(struct task *task, struct trapframe *frame)
{
	uint64_t mask[2] = {0, 0}, deadline;
	int64_t result = deadline_of_timespec(frame->r8, &deadline);

	if (!result && frame->r9 && copy_from_user(mask, frame->r9, sizeof(mask)) != 0)
		result = -EFAULT;
	if (!result)
		result = signal_mask_begin_from_user(task, mask[0], mask[1]);
	if (result)
		return result;
	result = select_until(task, (int)frame->rdi, frame->rsi, frame->rdx, frame->r10, deadline);
	signal_mask_end(task, result);
	put_time_left(frame->r8, deadline, 1);
	return result;
}

/* ---- epoll -------------------------------------------------------------------------------------------------------------- */

static int64_t epoll_create(struct task *task, unsigned flags)
{
	struct file *file = epoll_create_file();
	int descriptor;

	if (!file)
		return -ENOMEM;
	descriptor = descriptor_install(task, file, 0, flags);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

int64_t sys_epoll_create(struct task *task, struct trapframe *frame)
{
	return (int)frame->rdi > 0 ? epoll_create(task, 0) : -EINVAL;
}

int64_t sys_epoll_create1(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->rdi;

	return flags & ~(unsigned)EPOLL_CLOEXEC ? -EINVAL : epoll_create(task, flags);
}

int64_t sys_epoll_ctl(struct task *task, struct trapframe *frame)
{
	int operation = (int)frame->rsi, descriptor = (int)frame->rdx;
	bool deletes = operation == EPOLL_CTL_DEL;
	struct epoll_event event;
	struct file *epoll, *file;
	int64_t result = -EBADF;

	if (!deletes && copy_from_user(&event, frame->r10, sizeof(event)) != 0)
		return -EFAULT;
	epoll = descriptor_get(task, (int)frame->rdi);
	if (!epoll)
		return -EBADF;
	file = descriptor_get(task, descriptor);
	if (file) {
		result = epoll_control(epoll, operation, file, descriptor, deletes ? NULL : &event);
		file_unref(file);
	}
	file_unref(epoll);
	return result;
}

static int64_t epoll_wait(struct task *task, const struct trapframe *frame, uint64_t deadline)
{
	struct file *epoll;
	int most = (int)frame->rdx;
	int64_t result;

	if (most <= 0 || (size_t)most > EPOLL_MOST_EVENTS)
		return -EINVAL;
	if (!io_may_be_buffer(frame->rsi, (uint64_t)most * sizeof(struct epoll_event)))
		return -EFAULT;
	epoll = descriptor_get(task, (int)frame->rdi);
	if (!epoll)
		return -EBADF;
	result = epoll_wait_user(epoll, frame->rsi, (size_t)most, deadline);
	file_unref(epoll);
	return result;
}

static int64_t epoll_wait_masked(struct task *task, const struct trapframe *frame, uint64_t deadline)
{
	int64_t result = signal_mask_begin_from_user(task, frame->r8, frame->r9);

	if (result)
		return result;
	result = epoll_wait(task, frame, deadline);
	signal_mask_end(task, result);
	return result;
}

int64_t sys_epoll_wait(struct task *task, struct trapframe *frame)
{
	return epoll_wait(task, frame, deadline_of_ms((int)frame->r10));
}

int64_t sys_epoll_pwait(struct task *task, struct trapframe *frame)
{
	return epoll_wait_masked(task, frame, deadline_of_ms((int)frame->r10));
}

int64_t sys_epoll_pwait2(struct task *task, struct trapframe *frame)
{
	uint64_t deadline;
	int error = deadline_of_timespec(frame->r10, &deadline);

	return error ? error : epoll_wait_masked(task, frame, deadline);
}

/* ---- eventfd -------------------------------------------------------------------------------------------------------------- */

static int64_t eventfd(struct task *task, unsigned initial, unsigned flags)
{
	struct file *file;
	int descriptor;

	if (flags & ~(unsigned)(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	file = eventfd_create(initial, flags);
	if (!file)
		return -ENOMEM;
	descriptor = descriptor_install(task, file, 0, flags & O_CLOEXEC);
	if (descriptor < 0)
		file_unref(file);
	return descriptor;
}

int64_t sys_eventfd(struct task *task, struct trapframe *frame)
{
	return eventfd(task, (unsigned)frame->rdi, 0);
}

int64_t sys_eventfd2(struct task *task, struct trapframe *frame)
{
	return eventfd(task, (unsigned)frame->rdi, (unsigned)frame->rsi);
}
