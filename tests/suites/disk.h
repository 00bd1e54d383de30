/*
 * Simulated disks for tests of swap: devices in memory, which can be told to err, and how.
 *
 * A disk keeps what it is given; it knows nothing of checksums or owners. Any number of CPUs may use it at once.
 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include <vm/swap.h>

#define DISK_MAX_PAGES 2048u
#define DISK_MAX_KEPT  128u

/* What goes wrong with a request. */
enum disk_fault {
	DISK_GOOD,
	DISK_FAILS,      /* an error is returned, and nothing was moved */
	DISK_SHORT,      /* an error is returned, and half of the request was moved */
	DISK_LOSES,      /* a write is not done, and said to be */
	DISK_MISDIRECTS, /* the request is carried out one place away */
	DISK_FLIPS,      /* one bit of what is moved is changed */
	DISK_KEEPS, /* no answer in time: an error, and the disk keeps references to the pages until disk_let_go() */
	DISK_FAULTS
};

/* Locks: (d) its lock; (-) set when it is opened; (m) only who is in `meanwhile`. */
struct disk {
	struct swap_device device; /* (-) first: what is a disk is found from it */
	struct spinlock lock;
	struct page *pages[DISK_MAX_PAGES]; /* (-) */
	enum disk_fault fault;              /* (d) of those requests that are to fail */
	bool at_writes, at_reads;           /* (d) which they are */
	unsigned after, count;              /* (d) so many more succeed first, and then so many fail */
	unsigned faults;                    /* (d) requests that failed since disk_fail() */
	uint64_t reads, writes;             /* (d) requests */
	uint64_t pages_read, pages_written; /* (d) */
	struct page *kept[DISK_MAX_KEPT];   /* (d) */
	unsigned kept_count;                /* (d) */
	void (*meanwhile)(void);            /* (d) done while the next good request is under way; once */
	void (*refused)(
		struct page *const *pages,
		unsigned
			count); /* (-) or NULL: told of pages that were not written, for which an error is returned */
	struct page *const *under_way; /* (m) what that moves */
	unsigned under_way_count;      /* (m) 0 at other times */
};

/* A disk of so many pages, up to DISK_MAX_PAGES, whose memory is allocated here (PAGE_KERNEL). False: no memory. */
bool disk_open(struct disk *disk, const char *name, unsigned pages);
void disk_close(struct disk *disk);

/* After `after` more requests of the kind, `count` of them have the fault. DISK_GOOD: none. */
void disk_fail(struct disk *disk, enum disk_fault fault, bool at_writes, bool at_reads, unsigned after,
	       unsigned count);

/* The disk answers at last, and is done with all pages. */
void disk_let_go(struct disk *disk);

#define DISK_ALWAYS UINT32_MAX

#endif
