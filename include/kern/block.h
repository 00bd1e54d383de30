/*
 * Block devices: what can be read and written in whole pages, and a request for it (kern/dev/block.c).
 *
 * A request is the caller's memory, made long before it is needed if the caller likes, so that writing pages out never depends on memory that
 * there is not: block_submit() allocates nothing and cannot fail; a device whose ring is full keeps the request in a list. How
 * it went is in the request when `done` is called.
 *
 * Drivers: block_ram.c (RAM), virtio_blk.c.
 *
 * Locks:
 *   (-) set before the device is registered
 *   (a) atomic
 *   (c) the caller's until block_submit(), the device's until `done` is called
 *   (d) the device's, for itself
 */
#ifndef KERN_BLOCK_H
#define KERN_BLOCK_H

#include <kern/queue.h>
#include <kern/sched.h>
#include <vm/page.h>

#define BLOCK_SECTOR_BYTES 512u /* the unit of places and sizes, whatever the device's own is */
#define BLOCK_PAGE_SECTORS (PAGE_SIZE / BLOCK_SECTOR_BYTES)
#define BLOCK_MAX_PAGES    32u /* of one request */
#define BLOCK_NAME_BYTES   8u  /* terminator included */

/* Device numbers. Linux chooses the number of virtio's disks when it starts: mostly this one. */
#define BLOCK_VIRTIO_MAJOR 254u
#define BLOCK_MINORS       256u

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH /* what was written before, and is completed, survives the loss of power */
};

struct block_device;

/*
 * `status` when it is done: 0; -EIO: the device says that it failed; -ENODATA: it says that it moved less than it was asked to; -ETIMEDOUT: it did
 * not answer in time, or has not answered others and is not asked; -ENXIO: beyond the device's end. After an error any part of the pages may have been read or
 * written.
 *
 * A device that did not answer may still write to the pages that it was to read into. For as long as it may it has references of its
 * own to them (page_ref): so give pages back with page_unref(), which does not free them before that, and do not use them for anything else.
 */
struct block_request {
	enum block_op op; /* (c) */
	unsigned count;   /* (c) of pages; 0 for BLOCK_FLUSH */
	uint64_t sector;  /* (c) the first; any number */
	struct page
		*pages[BLOCK_MAX_PAGES]; /* (c) RAM, anywhere; they go to or come from neighbouring places */
	void (*done)(struct block_request *); /* (c) */
	void *context;                        /* (c) for `done` */
	int status;                           /* (c) */
	struct block_device *device;          /* (d) */
	TAILQ_ENTRY(block_request) link;      /* (d) */
	int outcome;                          /* (d) what `status` is going to be */
	uint64_t due;                         /* (d) nanoseconds since boot */
};
TAILQ_HEAD(block_list, block_request);

struct block_ops {
	const char *driver; /* for messages: "virtio-blk" */

	/* Begins a request that was found well formed. Ends in block_complete(), perhaps before it returns. */
	void (*submit)(struct block_device *, struct block_request *);

	/* Completes what the device has answered. In some thread that holds no locks; may not sleep. NULL: synchronous. */
	void (*work)(struct block_device *);
};

/* How often, and how much; all count requests but those of pages. */
struct block_counts {
	_Atomic uint64_t reads, writes, flushes; /* (a) submitted */
	_Atomic uint64_t pages_read;             /* (a) without error */
	_Atomic uint64_t pages_written;          /* (a) without error */
	_Atomic uint64_t errors;                 /* (a) completed with a status that is not 0 */
	_Atomic uint64_t timeouts;               /* (a) of these, -ETIMEDOUT */
};

/* Embedded in what the driver needs to know. Devices stay for ever. */
struct block_device {
	char name[BLOCK_NAME_BYTES]; /* (-) "vda", "ram0" */
	uint64_t sectors;            /* (-) */
	bool read_only;              /* (-) */
	bool synchronous;            /* (-) requests are done when block_submit() returns */
	uint32_t number;             /* (-) its device number, as in stat(2) */
	const struct block_ops *ops; /* (-) */
	struct wait_queue waiting;   /* (a) by its own lock: threads in block_io() */
	_Atomic bool attention;      /* (a) `work` has something to do */
	const char *_Atomic claimed; /* (a) who has it for himself: "swap"; NULL: nobody */
	struct block_counts counts;  /* (a) */
	struct block_device *next;   /* (-) in the order in which they were registered */
};

/* How many whole pages it has. */
static inline uint64_t block_pages(const struct block_device *device)
{
	return device->sectors / BLOCK_PAGE_SECTORS;
}

/* ---- For those who use a device -------------------------------------------------------------------- */

/* By name, with or without "/dev/", or by number in the order of registration; NULL: there is none. */
struct block_device *block_find(const char *name);
struct block_device *block_nth(unsigned n);

/* By device number; NULL: there is none. */
struct block_device *block_by_number(uint32_t number);

/*
 * Reserves the device for one user, who is named for messages. -EBUSY: somebody has it. While somebody has, nobody else writes to it through its node in /dev.
 */
int block_claim(struct block_device *device, const char *user);
void block_release(struct block_device *device);

/*
 * Begins a request, several of which may be under way, in any order. When it is done `done` is called, once, in some thread that holds no
 * locks and may not sleep then; of a synchronous device before block_submit() returns. After that the device does not touch the request any more. Allocates
 * nothing; takes RANK_BLOCK, no lock of that rank or above is held.
 */
void block_submit(struct block_device *device, struct block_request *request);

/* The same, and waits for it, uninterruptibly: its status. `done` and `context` are not the caller's. No spinlocks held. */
int block_io(struct block_device *device, struct block_request *request);

/* ---- For drivers ------------------------------------------------------------------------------------- */

/* Makes a device known. All fields marked (-) are filled in, the others zero. */
void block_register(struct block_device *device);

/* The request is done: it is the caller's again. No locks held. */
void block_complete(struct block_request *request, int status);

/* `work` has something to do: it is called soon. May be called in interrupts. */
void block_note_attention(struct block_device *device);

/* Called where CPU_WORK_BLOCK was noted, in some thread that holds no locks. */
void block_work(void);

/* ---- Devices of RAM (kern/dev/block_ram.c) --------------------------------------------------------------- */

#define BLOCK_MAX_RAM 4u

/*
 * The sizes in bytes of the RAM devices that the command line asks for ("swap=ram:MiB"), in their order, and how many. Before there is memory; what it cannot
 * read it says on the console.
 */
unsigned block_ram_wanted(uint64_t sizes[BLOCK_MAX_RAM]);

/* Where the n-th of them is, taken out of RAM at boot. */
void block_ram_give(unsigned n, paddr_t start, uint64_t bytes);

void block_ram_init(void);

/* ---- All devices ----------------------------------------------------------------------------------------- */

/* Finds and registers the disks (kern/dev/virtio_blk.c). */
void virtio_blk_init(void);

/* How long a device may take for a request ("block.timeout"); 0: for ever. */
uint64_t block_timeout_seconds(void);

/* What was done to requests on purpose, on the console. */
void block_ram_report(void);

/* Finds and registers all devices. Once, in a thread, after block_ram_give. */
void block_init(void);

#endif
