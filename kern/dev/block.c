/*
 * Block devices: which there are, and what is the same for all of them: checks, counts, waiting. What each does
 * is its driver's business (block_ram.c, virtio_blk.c); who uses them is the swap store and the nodes in /dev.
 *
 * Devices are registered while the system starts and stay for ever, so the list needs no lock to be read.
 */
#include <asm/errno.h>
#include <kern/block.h>
#include <kern/kern.h>

#define DEV       "/dev/"
#define DEV_BYTES 5

#define TIMEOUT_SECONDS 30u
#define MAX_TIMEOUT     3600u

static struct block_device *_Atomic devices; /* written while the system starts, by one thread */

static uint64_t timeout_seconds; /* set by block_init */

/* ---- Which there are ------------------------------------------------------------------------------ */

void block_register(struct block_device *device)
{
	struct block_device *last = devices;

	ASSERT(!device->next && !block_find(device->name));
	ASSERT(device->synchronous == !device->ops->work);
	wait_queue_init(&device->waiting);
	while (last && last->next)
		last = last->next;
	if (last)
		last->next = device;
	else
		devices = device;
	env_log("phoenix: %s: %s, %llu KiB%s", device->name, device->ops->driver,
		(unsigned long long)(device->sectors * BLOCK_SECTOR_BYTES >> 10),
		device->read_only ? ", read-only" : "");
}

uint64_t block_timeout_seconds(void)
{
	return timeout_seconds;
}

void block_init(void)
{
	timeout_seconds = cmdline_number("block.timeout", TIMEOUT_SECONDS);
	if (timeout_seconds > MAX_TIMEOUT) {
		env_log("phoenix: block.timeout: not more than %u seconds", MAX_TIMEOUT);
		timeout_seconds = MAX_TIMEOUT;
	}
	block_ram_init();
	virtio_blk_init();
}

struct block_device *block_find(const char *name)
{
	struct block_device *device = devices;

	if (strlen(name) > DEV_BYTES && memcmp(name, DEV, DEV_BYTES) == 0)
		name += DEV_BYTES;
	while (device && strcmp(device->name, name) != 0)
		device = device->next;
	return device;
}

struct block_device *block_nth(unsigned n)
{
	struct block_device *device = devices;

	while (device && n-- > 0)
		device = device->next;
	return device;
}

struct block_device *block_by_number(uint32_t number)
{
	struct block_device *device = devices;

	while (device && device->number != number)
		device = device->next;
	return device;
}

int block_claim(struct block_device *device, const char *user)
{
	const char *nobody = NULL;

	return atomic_compare_exchange_strong(&device->claimed, &nobody, user) ? 0 : -EBUSY;
}

void block_release(struct block_device *device)
{
	ASSERT(device->claimed);
	device->claimed = NULL;
}

/* ---- Requests --------------------------------------------------------------------------------------- */

static void count_submitted(struct block_device *device, enum block_op op)
{
	switch (op) {
	case BLOCK_READ:
		device->counts.reads++;
		break;
	case BLOCK_WRITE:
		device->counts.writes++;
		break;
	case BLOCK_FLUSH:
		device->counts.flushes++;
		break;
	}
}

/* 0, or why the device is not even asked. */
static int check(const struct block_device *device, const struct block_request *request)
{
	uint64_t sectors = request->count * BLOCK_PAGE_SECTORS;

	ASSERT(request->count <= BLOCK_MAX_PAGES && (request->count > 0) == (request->op != BLOCK_FLUSH));
	if (request->op == BLOCK_FLUSH)
		return 0;
	if (request->sector > device->sectors || sectors > device->sectors - request->sector)
		return -ENXIO;
	return request->op == BLOCK_WRITE && device->read_only ? -EROFS : 0;
}

void block_submit(struct block_device *device, struct block_request *request)
{
	int error = check(device, request);

	request->device = device;
	request->status = -EINPROGRESS;
	count_submitted(device, request->op);
	if (error)
		block_complete(request, error);
	else
		device->ops->submit(device, request);
}

void block_complete(struct block_request *request, int status)
{
	struct block_counts *counts = &request->device->counts;

	ASSERT(request->status == -EINPROGRESS);
	request->status = status;
	if (status) {
		counts->errors++;
		counts->timeouts += status == -ETIMEDOUT;
	} else if (request->op == BLOCK_READ) {
		counts->pages_read += request->count;
	} else {
		counts->pages_written += request->count;
	}
	/* The last access: the request may be gone or under way again when it returns. */
	request->done(request);
}

/* A thread in block_io(). Locks: (a) atomic. */
struct sleeper {
	_Atomic bool finished; /* (a) */
};

static void wake_sleeper(struct block_request *request)
{
	struct wait_queue *queue = &request->device->waiting;
	struct sleeper *sleeper = request->context;

	/* The sleeper and the request may be gone from here on; the device stays. */
	sleeper->finished = true;
	wait_wake_all(queue);
}

int block_io(struct block_device *device, struct block_request *request)
{
	struct sleeper sleeper = {false};

	request->done = wake_sleeper;
	request->context = &sleeper;
	block_submit(device, request);
	WAIT_EVENT(&device->waiting, sleeper.finished, SLEEP_FIRM, TIME_NEVER);
	return request->status;
}

/* ---- What devices have answered ------------------------------------------------------------------------ */

void block_note_attention(struct block_device *device)
{
	device->attention = true;
	cpu_note_work(CPU_WORK_BLOCK);
}

void block_work(void)
{
	for (struct block_device *device = devices; device; device = device->next)
		if (device->attention && atomic_exchange(&device->attention, false))
			device->ops->work(device);
}
