/*
 * Swap: the store that keeps pages of blobs on devices, and the search for pages to put there.
 *
 * kern/vm/swap.c is the store: which place of which device has a page, and whether what comes back is what was written.
 * kern/vm/reclaim.c finds the pages. How both work is in docs/design.md, "Paging".
 */
#ifndef VM_SWAP_H
#define VM_SWAP_H

#include <vm/vm.h>

struct swap_device;

struct swap_device_ops {
	/*
	 * Moves `count` pages (1 to PAGER_CLUSTER) between memory and consecutive places of the device, from `first` on, in one request. 0; or
	 * -EIO if any part of it failed, and then the pages, or the places, have anything in them. Called without spinlocks, by
	 * several threads at once; may sleep. It may not allocate memory: what frees memory stands on it. A device that fails without being done with the
	 * pages keeps references to them until it is.
	 */
	int (*transfer)(struct swap_device *device, bool write, uint64_t first, struct page *const *pages,
			unsigned count);
};

/* A device that swap may use. Stays as it is, and its owner's, from swap_on() until swap_off(). */
struct swap_device {
	const struct swap_device_ops *ops;
	const char *name; /* for messages and listings */
	uint64_t pages;   /* its places; the first is never written, as a header may be there */
};

#define SWAP_MAX_DEVICES 16u
#define SWAP_MAX_PAGES   (((uint64_t)1 << 28) - 1) /* of one device: 1 TiB */

/*
 * Lets pages go to a device. Those of higher priority are filled first, those of the same in turn. Costs 16 bytes of memory and two bits for
 * each of its places. -EINVAL: it has less than two, or more than SWAP_MAX_PAGES; -EBUSY: it is in use; -ENOSPC: too many
 * devices are; -ENOMEM. May sleep.
 */
int swap_on(struct swap_device *device, int priority);

/*
 * Brings back what is on a device, or moves it to others, and uses it no more. -EINVAL: it is not in use; -EBUSY: another call is about it;
 * -ENOMEM: there is not enough memory; -EIO: something cannot be read. Then nothing is lost, and it is in use as before. May sleep.
 */
int swap_off(struct swap_device *device);

/* What is known of a device in use. */
struct swap_info {
	const char *name;
	int priority;
	uint64_t pages; /* that it can take */
	uint64_t used;
	uint64_t
		bad; /* places that are not used any more, as a write failed or something else came back than was written */
};

/* Fills in up to `most`, by falling priority; returns how many are in use. */
unsigned swap_devices(struct swap_info *out, unsigned most);

struct swap_stats {
	uint64_t pages, used, bad; /* of all devices in use */
	uint64_t pages_out, pages_in;
	uint64_t writes, reads;             /* requests that moved them */
	uint64_t zero_out, zero_in;         /* pages of zeroes, which are not moved */
	uint64_t write_errors, read_errors; /* requests that a device failed */
	uint64_t mismatches;                /* pages that came back as something else */
};
void swap_stats(struct swap_stats *out);

/* ---- Reclaim (reclaim.c) -------------------------------------------------------------------- */

/*
 * Gives up pages of blobs until about `pages` are found, those that are needed least first. How many; fewer if there are no more to be had, or the devices take no more. Waits for devices;
 * no spinlock is held, nor anything that a device's driver needs. Needs no memory.
 */
unsigned vm_reclaim(unsigned pages);

/* For who found no memory, and can try again: some pages are given up. False: that is no use. As vm_reclaim. */
bool vm_make_room(void);

/* Can pages be given up at all: is there somewhere to put them? */
bool vm_may_make_room(void);

/* Is there so little free memory that vm_reclaim() should go on? For who waits for env_memory_low(). */
bool vm_memory_is_low(void);

/*
 * So many pages stay free besides the reserve, for the kernel: blobs do not get them. vm_keep_free(): from now on; 0: as many as the VM finds right, which is none where nothing
 * can be given up. -EINVAL: more than half of RAM.
 */
uint64_t vm_kept_free(void);
int vm_keep_free(uint64_t pages);

/* Pages may be given up from now on, or not any more: swap_on() and swap_off() say so. */
void vm_reclaim_enable(bool on);

struct reclaim_stats {
	uint64_t scanned;                         /* pages looked at */
	uint64_t given_up;                        /* pages */
	uint64_t returned;                        /* pages that came back */
	uint64_t promoted;                        /* ... and were used more than once */
	uint64_t direct;                          /* calls of vm_make_room, and ... */
	uint64_t failed;                          /* ... those in vain */
	uint64_t direct_scanned, direct_given_up; /* what they did of the above */
};
void vm_reclaim_stats(struct reclaim_stats *out);

/* Pages in memory that a pager has as they are: they can be given up without being written. */
uint64_t vm_clean_pages(void);

#endif
