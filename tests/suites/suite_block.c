/*
 * Block devices: requests of all kinds, at the ends of the device and beyond, several at a time, and that what was written is what is read.
 *
 * Every device that the machine has is written all over: the suite is for machines whose disks are nobody's. Without one it
 * has little to do.
 */
#include <asm/errno.h>
#include <kern/block.h>
#include <kern/kern.h>
#include <kern/test.h>
#include <vm/page.h>

#define MAX_REQUESTS 48u /* more at a time than a ring takes that is a small one */

static struct block_request requests[MAX_REQUESTS];
static _Atomic unsigned done_count;

/* A page's contents say which page of the device it is, and which write. */
static void fill(struct page *page, uint64_t place, uint64_t write)
{
	uint64_t *words = page_data(page);

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		words[i] = place << 32 ^ write << 16 ^ i;
}

static bool holds(struct page *page, uint64_t place, uint64_t write)
{
	const uint64_t *words = page_data(page);

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		if (words[i] != (place << 32 ^ write << 16 ^ i))
			return false;
	return true;
}

/* Pages for a request, which have nothing to do with one another. */
static bool take_pages(struct block_request *request, unsigned count)
{
	request->count = count;
	for (unsigned i = 0; i < count; i++) {
		request->pages[i] = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
		if (!CHECK(request->pages[i]))
			return false;
	}
	return true;
}

static void give_pages(struct block_request *request)
{
	for (unsigned i = 0; i < request->count; i++)
		page_unref(request->pages[i]);
}

static int transfer(struct block_device *device, struct block_request *request, enum block_op op,
		    uint64_t place)
{
	request->op = op;
	request->sector = place * BLOCK_PAGE_SECTORS;
	return block_io(device, request);
}

/* Writes `count` pages at a place, reads them back. */
static void round_trip(struct block_device *device, uint64_t place, unsigned count, uint64_t write)
{
	struct block_request *request = &requests[0];

	if (!take_pages(request, count))
		return;
	for (unsigned i = 0; i < count; i++)
		fill(request->pages[i], place + i, write);
	CHECK_EQ(transfer(device, request, BLOCK_WRITE, place), 0);
	for (unsigned i = 0; i < count; i++)
		memset(page_data(request->pages[i]), 0, PAGE_SIZE);
	CHECK_EQ(transfer(device, request, BLOCK_READ, place), 0);
	for (unsigned i = 0; i < count; i++)
		CHECK(holds(request->pages[i], place + i, write));
	give_pages(request);
}

static void test_places(struct block_device *device)
{
	test_case("one page, and as many as there may be, at both ends and between sectors of pages");
	round_trip(device, 0, 1, 1);
	round_trip(device, 0, BLOCK_MAX_PAGES, 2);
	round_trip(device, block_pages(device) - 1, 1, 3);
	round_trip(device, block_pages(device) - BLOCK_MAX_PAGES, BLOCK_MAX_PAGES, 4);
	round_trip(device, block_pages(device) / 2, 7, 5);
}

static void test_beyond(struct block_device *device)
{
	struct block_request *request = &requests[0];
	uint64_t errors = device->counts.errors;

	test_case("beyond the end");
	if (!take_pages(request, 2))
		return;
	CHECK_EQ(transfer(device, request, BLOCK_READ, block_pages(device)), -ENXIO);
	CHECK_EQ(transfer(device, request, BLOCK_WRITE, block_pages(device) - 1), -ENXIO);
	CHECK_EQ(transfer(device, request, BLOCK_READ, UINT64_MAX / BLOCK_PAGE_SECTORS), -ENXIO);
	CHECK_EQ(device->counts.errors, errors + 3);
	give_pages(request);
}

static void test_flush(struct block_device *device)
{
	struct block_request *request = &requests[0];
	uint64_t flushes = device->counts.flushes;

	test_case("flush");
	request->op = BLOCK_FLUSH;
	request->count = 0;
	CHECK_EQ(block_io(device, request), 0);
	CHECK_EQ(device->counts.flushes, flushes + 1);
}

static void count_done(struct block_request *request)
{
	CHECK_EQ(request->status, 0);
	done_count++;
	wait_wake_all(request->context);
}

/* Submits all requests, and waits until all are done. */
static void submit_all(struct block_device *device, enum block_op op)
{
	static struct wait_queue queue = WAIT_QUEUE_INIT(queue);

	done_count = 0;
	for (unsigned n = 0; n < MAX_REQUESTS; n++) {
		requests[n].op = op;
		requests[n].sector = (uint64_t)n * BLOCK_MAX_PAGES * BLOCK_PAGE_SECTORS;
		requests[n].done = count_done;
		requests[n].context = &queue;
		block_submit(device, &requests[n]);
	}
	WAIT_EVENT(&queue, done_count == MAX_REQUESTS, SLEEP_FIRM, TIME_NEVER);
}

static void test_many(struct block_device *device)
{
	const unsigned pages = 3;

	test_case("many requests at a time, each with several pages");
	for (unsigned n = 0; n < MAX_REQUESTS; n++) {
		if (!take_pages(&requests[n], pages))
			return;
		for (unsigned i = 0; i < pages; i++)
			fill(requests[n].pages[i], n * BLOCK_MAX_PAGES + i, 6);
	}
	submit_all(device, BLOCK_WRITE);
	for (unsigned n = 0; n < MAX_REQUESTS; n++)
		for (unsigned i = 0; i < pages; i++)
			memset(page_data(requests[n].pages[i]), 0, PAGE_SIZE);
	submit_all(device, BLOCK_READ);
	for (unsigned n = 0; n < MAX_REQUESTS; n++) {
		for (unsigned i = 0; i < pages; i++)
			CHECK(holds(requests[n].pages[i], n * BLOCK_MAX_PAGES + i, 6));
		give_pages(&requests[n]);
	}
}

static void test_claim(struct block_device *device)
{
	test_case("a device is one user's");
	CHECK_EQ(block_claim(device, "test"), 0);
	CHECK_EQ(block_claim(device, "test"), -EBUSY);
	block_release(device);
	CHECK_EQ(block_claim(device, "test"), 0);
	block_release(device);
}

static void test_names(void)
{
	test_case("devices by name and number");
	CHECK(!block_find("none"));
	CHECK(!block_find("/dev/"));
	CHECK(!block_find(""));
	for (unsigned n = 0; block_nth(n); n++) {
		CHECK(block_find(block_nth(n)->name) == block_nth(n));
		CHECK(block_by_number(block_nth(n)->number) == block_nth(n));
	}
}

static void test_read_only(struct block_device *device)
{
	struct block_request *request = &requests[0];

	test_case("what is read-only is read, and not written");
	if (!take_pages(request, 1))
		return;
	CHECK_EQ(transfer(device, request, BLOCK_READ, 0), 0);
	CHECK_EQ(transfer(device, request, BLOCK_WRITE, 0), -EROFS);
	give_pages(request);
}

void suite_block(void)
{
	struct block_device *device;
	uint64_t free_before = page_stats().free_pages;

	test_names();
	for (unsigned n = 0; (device = block_nth(n)) != NULL; n++) {
		if (device->claimed || block_pages(device) < MAX_REQUESTS * BLOCK_MAX_PAGES)
			continue;
		test_print("# %s", device->name);
		if (device->read_only) {
			test_read_only(device);
			continue;
		}
		test_places(device);
		test_beyond(device);
		test_flush(device);
		test_many(device);
		test_claim(device);
	}
	test_case("no page is lost");
	CHECK_EQ(page_stats().free_pages, free_before);
}

/* ---- Disks with faults --------------------------------------------------------------------------------------------- */

#define FAULTY_PAGES  256u
#define LATE_NS       60000000000ull
#define KINDS         5u
#define LOOK_AGAIN_NS 10000000ull

/* How many requests ended how. */
struct outcomes {
	unsigned counts[KINDS];
};
static const int kinds[KINDS] = {0, -EIO, -ENODATA, -ETIMEDOUT, -ENXIO};

static void count_outcome(struct outcomes *outcomes, int status)
{
	unsigned kind = 0;

	while (kind < KINDS && kinds[kind] != status)
		kind++;
	if (CHECK(kind < KINDS))
		outcomes->counts[kind]++;
}

static void print_outcomes(const struct block_device *device, const char *what,
			   const struct outcomes *outcomes)
{
	const unsigned *counts = outcomes->counts;

	test_print("# %s, %s: %u done, %u I/O errors, %u short, %u timed out", device->name, what, counts[0],
		   counts[1], counts[2], counts[3]);
}

/* Each page by a request of its own; those that were read must be what was written, unless the device is said to lie. */
static void each_page(struct block_device *device, enum block_op op, const char *what)
{
	struct block_request *request = &requests[0];
	struct outcomes outcomes = {{0}};
	uint64_t errors = device->counts.errors;
	unsigned wrong = 0;

	for (unsigned place = 0; place < FAULTY_PAGES && take_pages(request, 1); place++) {
		fill(request->pages[0], place, op == BLOCK_WRITE);
		count_outcome(&outcomes, transfer(device, request, op, place));
		if (op == BLOCK_READ && request->status == 0 && !holds(request->pages[0], place, 1))
			wrong++;
		give_pages(request);
	}
	print_outcomes(device, what, &outcomes);
	test_print("# %s, %s: %u wrong", device->name, what, wrong);
	CHECK_EQ(device->counts.errors - errors, FAULTY_PAGES - outcomes.counts[0]);
}

/* A device that did not answer may keep pages, but not for ever if it answers at last. */
static void wait_for_pages(uint64_t free_before)
{
	uint64_t end = time_nanoseconds() + LATE_NS;

	while (page_stats().free_pages != free_before && time_nanoseconds() < end)
		time_sleep_until(time_nanoseconds() + LOOK_AGAIN_NS);
	CHECK_EQ(page_stats().free_pages, free_before);
}

/* By name only: what it finds is for who has set the faults up (tests/qemu/disk.t). */
void suite_block_faults(void)
{
	struct block_device *device;
	uint64_t free_before = page_stats().free_pages;

	for (unsigned n = 0; (device = block_nth(n)) != NULL; n++) {
		if (block_pages(device) < FAULTY_PAGES)
			continue;
		test_case("each page is written");
		each_page(device, BLOCK_WRITE, "written");
		test_case("and read");
		each_page(device, BLOCK_READ, "read");
		test_case("what the device had longer than it should comes back");
		wait_for_pages(free_before);
		test_case("and read again");
		each_page(device, BLOCK_READ, "read again");
		wait_for_pages(free_before);
	}
	block_ram_report();
}
