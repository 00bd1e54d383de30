/*
 * The vocabulary of the VM: addresses, page numbers, protections.
 *
 * Everything else in include/vm builds on this file, and this file on nothing but the
 * compiler's freestanding headers. A quantity's type or name says its unit: vaddr_t, paddr_t
 * and *_bytes are bytes, pgoff_t and *_pages are pages of 4 KiB.
 */
#ifndef VM_TYPES_H
#define VM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t vaddr_t; /* a virtual address, in bytes */
typedef uint64_t paddr_t; /* a physical address, in bytes */
typedef uint64_t pgoff_t; /* a page number within a blob, or a number of pages */

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)

/* Access rights, and the kinds of access that need them. */
typedef uint8_t vm_prot_t;
#define VM_READ  ((vm_prot_t)1)
#define VM_WRITE ((vm_prot_t)2)
#define VM_EXEC  ((vm_prot_t)4)
#define VM_USER  ((vm_prot_t)8) /* pmap only: code in ring 3 may use the translation */
/* With VM_READ, in calls: nobody asked for that, but what may be written or executed can be read. Only listings know. */
#define VM_READ_UNASKED ((vm_prot_t)16)
#define VM_ALL          ((vm_prot_t)(VM_READ | VM_WRITE | VM_EXEC))

/* How the CPU caches accesses to a blob's pages. */
enum vm_cache { CACHE_WRITE_BACK, CACHE_WRITE_COMBINING, CACHE_UNCACHED };

static inline uint64_t page_round_down(uint64_t bytes)
{
	return bytes & ~PAGE_MASK;
}

/* Wraps to 0 for the last page of the 64-bit space: test before use where that can happen. */
static inline uint64_t page_round_up(uint64_t bytes)
{
	return (bytes + PAGE_MASK) & ~PAGE_MASK;
}

static inline bool page_aligned(uint64_t bytes)
{
	return (bytes & PAGE_MASK) == 0;
}

static inline pgoff_t bytes_to_pages(uint64_t bytes)
{
	return (bytes >> PAGE_SHIFT) + ((bytes & PAGE_MASK) != 0);
}

static inline uint64_t pages_to_bytes(pgoff_t pages)
{
	return pages << PAGE_SHIFT;
}

#endif
