/*
 * What the suites of blobs, entities, maps and faults share: accounting, random numbers, contents,
 * accesses as a program makes them, and a checker of whole maps.
 *
 * A suite's processes never run: an access is what probe.h's CPUs make of the page tables where there are such, and
 * else what pmap_query() says they would.
 */
#ifndef TESTS_VM_SUITE_H
#define TESTS_VM_SUITE_H

#include <asm/errno.h>
#include <kern/test.h>
#include <vm/layout.h>

#include "../../kern/vm/vm_internal.h"

/* ---- Accounting ------------------------------------------------------------------------------ */

/* What there is of memory, but for what slab caches keep in stock. */
struct footprint {
	uint64_t pages;   /* free, and held by slab caches */
	uint64_t objects; /* in use in slab caches */
};
struct footprint footprint_now(void);

/* Checks that nothing was lost or gained since. */
void check_footprint(const struct footprint *before);

/* Pages in state PAGE_BLOB. */
uint64_t blob_pages_now(void);

/* ---- Random numbers: the same in every run ----------------------------------------------------- */

struct rng {
	uint64_t state; /* not 0 */
};
uint64_t rng_next(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t limit);

/* ---- Contents -------------------------------------------------------------------------------- */

/* A blob of so many pages; NULL after a failed check. */
struct blob *make_blob(pgoff_t pages);

/* The first word of a page. Both check that the access succeeds. */
void put_word(struct blob *blob, pgoff_t page, uint64_t word);
uint64_t get_word(struct blob *blob, pgoff_t page);

/* Are all bytes of a page zero? */
bool page_is_zero(struct blob *blob, pgoff_t page);

/* Checks what the pages of a window, or of a whole blob, are: in the order of struct blob_usage. */
#define CHECK_USAGE_OF(blob, offset, pages, ...) \
	check_usage((blob), (offset), (pages), (struct blob_usage){__VA_ARGS__}, __FILE__, __LINE__)
#define CHECK_USAGE(blob, ...) CHECK_USAGE_OF((blob), 0, blob_size(blob) >> PAGE_SHIFT, __VA_ARGS__)
void check_usage(struct blob *blob, pgoff_t offset, pgoff_t pages, struct blob_usage expected,
		 const char *file, int line);

/*
 * A pager for tests: lends its own pages, or with `copies` makes new ones. Page i's first word is
 * PAGER_WORD + i; with `error` set it fails with that. It takes no pages, and provides all that it is asked for.
 */
#define PAGER_PAGES 256
#define PAGER_WORD  0x7a67000000000000ul
struct test_pager {
	struct pager pager;
	struct page *pages[PAGER_PAGES]; /* made at the first call for each */
	unsigned calls;
	unsigned provided; /* pages, in all calls */
	int error;
	bool copies;
	bool holes;                   /* it has no odd pages */
	struct blob *write_meanwhile; /* somebody writes to its page while the pager fetches it; once */
	struct blob *cut_meanwhile;   /* somebody sets its extent to 0 meanwhile; once */
	pgoff_t regrown; /* ... after the pages were had, of which there are none any more, and then to this */
	bool empty;      /* it has no page any more */
	unsigned asked;  /* calls of has_page */
	bool destroyed;
	bool fail_armed; /* after so many calls, one fails with -EIO; and disarms */
	unsigned fail_after;
};
void test_pager_init(struct test_pager *pager);
void test_pager_init_at_hand(struct test_pager *pager); /* what it has, is at hand */

/* Frees its pages, when nobody has them any more; checks that it was destroyed. */
void test_pager_finish(struct test_pager *pager);

/* ---- Address spaces and accesses --------------------------------------------------------------- */

/* Where suites map things: private space, clear of its edges. */
#define SPACE_BASE ((vaddr_t)0x10000000)

/* A root map that the CPUs use; NULL after a failed check. space_close() is its last holder's. */
struct map *space_open(const char *name);
void space_use(struct map *root);
void space_close(struct map *root);

/* Reads or writes the word at `va` as a program would, faults included: 0 or what vm_fault() said. */
int user_load(struct map *root, vaddr_t va, uint64_t *word);
int user_store(struct map *root, vaddr_t va, uint64_t word);

/* The same without a fault: false if the CPU does not allow it. */
bool try_load(struct map *root, vaddr_t va, uint64_t *word);
bool try_store(struct map *root, vaddr_t va, uint64_t word);

/* The case of a fault, which has to be served. */
enum fault_case fault_at(struct map *root, vaddr_t va, vm_prot_t access);

/* The word at `va`, which the program may read. */
uint64_t word_at(struct map *root, vaddr_t va);

/* ---- Maps ------------------------------------------------------------------------------------ */

#define RW ((vm_prot_t)(VM_READ | VM_WRITE))
#define RX ((vm_prot_t)(VM_READ | VM_EXEC))

static inline struct placement fixed_at(vaddr_t address)
{
	return (struct placement){.address = address, .flags = PLACE_FIXED};
}

static inline struct placement replace_at(vaddr_t address)
{
	return (struct placement){.address = address, .flags = PLACE_FIXED | PLACE_REPLACE};
}

/* Maps all of a blob, readable and writable, exactly there. Checks that it succeeds. */
void map_all_at(struct map *map, vaddr_t address, struct blob *blob);

/* Entries of any depth that lie in [start, end) of the map; the first `max` of them to `out`. */
unsigned list_entries(struct map *map, vaddr_t start, vaddr_t end, struct entry_info *out, unsigned max);
unsigned count_entries(struct map *map, vaddr_t start, vaddr_t end);

/* map_verify(), which panics where a rule is broken: so that it can stand among checks, always true. */
bool check_map(struct map *map);

#endif
