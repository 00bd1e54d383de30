/*
 * System calls about paging: swapon, swapoff. The devices are kern/dev/swap_block.c's business.
 */
#include <asm/errno.h>
#include <kern/inode.h>
#include <kern/swap_device.h>
#include <linux/capability.h>
#include <linux/fcntl.h>

#include "user_path.h"

/* swapon(2); the kernel's own header has these, and linux-libc-dev does not. */
#define SWAP_FLAG_PREFER        0x8000u
#define SWAP_FLAG_PRIO_MASK     0x7fffu
#define SWAP_FLAG_DISCARD       0x10000u
#define SWAP_FLAG_DISCARD_ONCE  0x20000u
#define SWAP_FLAG_DISCARD_PAGES 0x40000u
#define SWAP_FLAGS_VALID                                                                       \
	(SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK | SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_ONCE | \
	 SWAP_FLAG_DISCARD_PAGES)

/* The first page of what mkswap(8) has made: after the boot block, version 1; the magic word ends the page. */
#define HEADER_VERSION_AT 1024
#define HEADER_LAST_AT    1028
#define HEADER_MAGIC      "SWAPSPACE2"
#define HEADER_MAGIC_SIZE (sizeof(HEADER_MAGIC) - 1)
#define HEADER_VERSION    1u

/* The block device of a path. -EINVAL: what is there is none; what a look-up returns. */
static int find_device(struct task *task, vaddr_t user_path, struct block_device **out)
{
	struct user_path path;
	struct path found;
	int error;

	if (!task_capable(task, CAP_SYS_ADMIN))
		return -EPERM;
	error = user_path_get(&path, user_path);
	if (error)
		return error;
	error = path_lookup(task, AT_FDCWD, path.text, LOOKUP_FOLLOW, &found);
	user_path_put(&path);
	if (error)
		return error;
	*out = S_ISBLK(found.inode->mode) ? block_by_number(found.inode->rdev) : NULL;
	path_release(&found);
	return *out ? 0 : -EINVAL;
}

/* How many pages the header says that there are. -EINVAL: there is no header; -EIO, -ENOMEM. */
static int read_header(struct block_device *device, uint64_t *pages)
{
	struct block_request request = {.op = BLOCK_READ, .count = 1};
	const char *header;
	uint32_t version, last;
	int error;

	request.pages[0] = page_alloc(PAGE_KERNEL, 0);
	if (!request.pages[0])
		return -ENOMEM;
	error = block_io(device, &request) ? -EIO : 0;
	header = page_data(request.pages[0]);
	memcpy(&version, header + HEADER_VERSION_AT, sizeof(version));
	memcpy(&last, header + HEADER_LAST_AT, sizeof(last));
	if (!error && (version != HEADER_VERSION || last == 0 ||
		       memcmp(header + PAGE_SIZE - HEADER_MAGIC_SIZE, HEADER_MAGIC, HEADER_MAGIC_SIZE) != 0))
		error = -EINVAL;
	page_unref(request.pages[0]);
	*pages = (uint64_t)last + 1;
	return error;
}

int64_t sys_swapon(struct task *task, struct trapframe *frame)
{
	unsigned flags = (unsigned)frame->rsi;
	struct block_device *device;
	uint64_t pages;
	int error;

	if (flags & ~SWAP_FLAGS_VALID)
		return -EINVAL;
	error = find_device(task, frame->rdi, &device);
	if (!error && device->claimed)
		error = -EBUSY;
	if (!error)
		error = read_header(device, &pages);
	if (error)
		return error;
	return swap_device_on(device, pages,
			      flags & SWAP_FLAG_PREFER ? (int)(flags & SWAP_FLAG_PRIO_MASK)
						       : SWAP_PRIORITY_NEXT);
}

int64_t sys_swapoff(struct task *task, struct trapframe *frame)
{
	struct block_device *device;
	int error = find_device(task, frame->rdi, &device);

	return error ? error : swap_device_off(device);
}
