/*
 * A pager that takes pages, for tests: a simulated disk in memory, whose input and output can be made to fail.
 *
 * Each location has a count of references, a checksum and the index of what is in it: a page that comes back from
 * another place, or is asked for after its location was given up, is a failed check. Any number of CPUs may use it at once.
 */
#ifndef TESTS_STORE_H
#define TESTS_STORE_H

#include <vm/vm.h>

/* Makes the store with so many locations, whose memory is allocated here (PAGE_KERNEL), and its pager vm_set_store()'s. False: no memory. */
#define STORE_MAX_LOCATIONS 4096
bool store_open(unsigned locations);

/* Ends that: checks that no location is in use and that nobody but the caller has a reference to the pager. */
void store_close(void);

/* The pager, for blob_create_paged(): it has no page from the beginning (has_page says so) and takes what is put. */
struct pager *store_pager(void);

/* Locations in use. */
unsigned store_used(void);

/* Calls of get_pages and put_pages, and pages they moved, since the store was opened. */
struct store_counts {
	uint64_t gets, pages_got;
	uint64_t puts, pages_put;
};
struct store_counts store_counts(void);

/*
 * Lets the next `after` calls of get_pages and put_pages succeed, and the one after them fail with -EIO (`forever`: and all
 * others). store_fail_stop() ends that, and says whether one failed.
 */
void store_fail_io(unsigned after, bool forever);
bool store_fail_stop(void);

#endif
