/*
 * The simulated disks of the swap suites; what they promise is in disk.h.
 */
#include "disk.h"

#include <asm/errno.h>
#include <kern/test.h>

/* The fault that the next request has. Disk locked. */
static enum disk_fault next_fault(struct disk *disk, bool write)
{
	if (disk->fault == DISK_GOOD || disk->count == 0 || !(write ? disk->at_writes : disk->at_reads))
		return DISK_GOOD;
	if (disk->after > 0) {
		disk->after--;
		return DISK_GOOD;
	}
	if (disk->count != DISK_ALWAYS)
		disk->count--;
	disk->faults++;
	return disk->fault;
}

static void move(struct disk *disk, bool write, uint64_t place, struct page *page)
{
	if (write)
		memcpy(page_data(disk->pages[place]), page_data(page), PAGE_SIZE);
	else
		memcpy(page_data(page), page_data(disk->pages[place]), PAGE_SIZE);
}

/* Takes references to pages that somebody else may think he has alone. */
static void keep(struct disk *disk, struct page *const *pages, unsigned count)
{
	spin_lock(&disk->lock);
	for (unsigned i = 0; i < count && CHECK(disk->kept_count < DISK_MAX_KEPT); i++) {
		page_ref(pages[i]);
		disk->kept[disk->kept_count++] = pages[i];
	}
	spin_unlock(&disk->lock);
}

void disk_let_go(struct disk *disk)
{
	while (disk->kept_count > 0)
		page_unref(disk->kept[--disk->kept_count]);
}

static int disk_transfer(struct swap_device *device, bool write, uint64_t first, struct page *const *pages,
			 unsigned count)
{
	struct disk *disk = (struct disk *)device;
	void (*meanwhile)(void) = NULL;
	enum disk_fault fault;
	unsigned moved = count;

	CHECK(count > 0 && count <= PAGER_CLUSTER);
	/* The first place is nobody's. */
	if (!CHECK(first > 0 && first + count <= device->pages))
		return -EIO;
	spin_lock(&disk->lock);
	fault = next_fault(disk, write);
	*(write ? &disk->writes : &disk->reads) += 1;
	*(write ? &disk->pages_written : &disk->pages_read) += count;
	if (fault == DISK_GOOD) {
		meanwhile = disk->meanwhile;
		disk->meanwhile = NULL;
	}
	spin_unlock(&disk->lock);
	if (meanwhile) {
		disk->under_way = pages;
		disk->under_way_count = count;
		meanwhile();
		disk->under_way_count = 0;
	}
	if (fault == DISK_KEEPS)
		keep(disk, pages, count);
	if (fault == DISK_FAILS || fault == DISK_KEEPS || (fault == DISK_LOSES && write))
		moved = 0;
	else if (fault == DISK_SHORT)
		moved = count / 2;
	else if (fault == DISK_MISDIRECTS)
		first = first + count < device->pages ? first + 1 : first - 1;
	for (unsigned i = 0; i < moved; i++)
		move(disk, write, first + i, pages[i]);
	if (fault == DISK_FLIPS)
		((uint8_t *)page_data(write ? disk->pages[first] : pages[0]))[PAGE_SIZE / 2] ^= 0x10;
	if (fault != DISK_FAILS && fault != DISK_SHORT && fault != DISK_KEEPS)
		return 0;
	if (write && disk->refused)
		disk->refused(pages, count);
	return -EIO;
}

static const struct swap_device_ops disk_ops = {.transfer = disk_transfer};

bool disk_open(struct disk *disk, const char *name, unsigned pages)
{
	ASSERT(pages <= DISK_MAX_PAGES);
	memset(disk, 0, sizeof(*disk));
	disk->device = (struct swap_device){.ops = &disk_ops, .name = name, .pages = pages};
	/* Nothing of the VM is called with it held. */
	spin_init(&disk->lock, RANK_SLAB, "test disk");
	for (unsigned i = 0; i < pages; i++) {
		disk->pages[i] = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
		if (!disk->pages[i]) {
			disk->device.pages = i;
			disk_close(disk);
			return false;
		}
	}
	return true;
}

void disk_close(struct disk *disk)
{
	for (unsigned i = 0; i < disk->device.pages; i++)
		page_free(disk->pages[i]);
}

void disk_fail(struct disk *disk, enum disk_fault fault, bool at_writes, bool at_reads, unsigned after,
	       unsigned count)
{
	spin_lock(&disk->lock);
	disk->fault = fault;
	disk->at_writes = at_writes;
	disk->at_reads = at_reads;
	disk->after = after;
	disk->count = count;
	disk->faults = 0;
	spin_unlock(&disk->lock);
}
