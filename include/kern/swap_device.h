/*
 * Block devices that are paged to (kern/dev/swap_block.c): what swapon(2), /proc/swaps and the command line come down to. The store itself is
 * <vm/swap.h>.
 */
#ifndef KERN_SWAP_DEVICE_H
#define KERN_SWAP_DEVICE_H

#include <kern/block.h>
#include <vm/swap.h>

#define SWAP_PRIORITY_NEXT INT32_MIN /* lower than all that were given so before, as on Linux: -2, -3, ... */

/*
 * Pages to the first `pages` pages of the device from now on, or to all of it (0). -EBUSY: somebody uses it; -EROFS; -EINVAL: it is smaller, or too small or
 * large at all; -ENOSPC: too many; -ENOMEM. May sleep.
 */
int swap_device_on(struct block_device *block, uint64_t pages, int priority);

/* Brings back what is on the device, and leaves it. -EINVAL: it is not paged to; -ENOMEM, -EIO, -EBUSY as swap_off(): nothing is lost. */
int swap_device_off(struct block_device *block);

/* Pages to the devices that the command line names ("swap="); says on the console what cannot be. Once, after block_init(). */
void swap_start(void);

/* Leaves all devices. When no program is left: what is still in swap has leaked, which is logged. */
void swap_stop(void);

#endif
