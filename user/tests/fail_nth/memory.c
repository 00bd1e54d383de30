/*
 * Cases of fail_nth: mappings, and what is done with memory.
 */
#include "fail_nth.h"

#include <linux/mman.h>
#include <sched.h>
#include <sys/swap.h>
#include <sys/uio.h>

#define DEVICE_PAGES 256
#define PAGES        16
#define SPARSE       (2ul << 20)   /* between pages that have page tables of their own */
#define HUGE         (128ul << 30) /* more than a program's arena has */
#define MANY_PARTS   600

extern char __executable_start[], __bss_start[]; /* the linker's */

static pid_t twin;
static struct iovec local[MANY_PARTS], remote[MANY_PARTS];
static char *heap_end;

#define BOTH (PROT_READ | PROT_WRITE)

static long map_at(void *at, size_t bytes, int prot, int flags, int file)
{
	return mmap(at, bytes, prot, flags, file, 0) == MAP_FAILED ? -1 : 0;
}

/* A mapping of PAGES pages with what surrounds it. */
static void have_area(void)
{
	area = touched(PAGES, MAP_PRIVATE);
}

static void have_shared_area(void)
{
	area = touched(PAGES, MAP_SHARED);
}

/* Nothing has been touched, nor has any page table been made for it. */
static void have_fresh_area(size_t bytes, int flags)
{
	area = mmap(NULL, bytes, BOTH, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	MUST(area == MAP_FAILED ? -1 : 0);
}

static void have_file_area(int flags)
{
	fd = file_of("old", PAGES);
	area = mmap(NULL, PAGES * PAGE, BOTH, flags, fd, 0);
	MUST(area == MAP_FAILED ? -1 : 0);
	for (size_t i = 0; i < PAGES; i += 2)
		area[i * PAGE] = 1;
}

static void have_parts(void)
{
	have_area();
	for (unsigned i = 0; i < MANY_PARTS; i++) {
		local[i] = (struct iovec){buffer + i, 1};
		remote[i] = (struct iovec){area + i, 1};
	}
}

/* Another process with the same memory, until this one ends. */
static void have_twin(void)
{
	MUST(pipe(fds));
	twin = (pid_t)MUST(fork());
	if (twin > 0)
		return;
	close(fds[1]);
	_exit((int)read(fds[0], buffer, 1));
}

static long grow(char *at, size_t from, size_t to, int flags)
{
	return mremap(at, from, to, flags) == MAP_FAILED ? -1 : 0;
}

/* As the call tells of no error, but where the end is. */
static long move_heap_end(char *wanted)
{
	if (syscall(SYS_brk, wanted) == (long)wanted)
		return 0;
	errno = ENOMEM;
	return -1;
}

static long move_to(char *at, size_t bytes, char *to, int flags)
{
	return mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) == MAP_FAILED ? -1 : 0;
}

/* The page of the program that is made of its file and of zeroes; what was there is put back. */
static long forget_mixed(void)
{
	char *page = (char *)((uintptr_t)__bss_start & -PAGE), kept[PAGE];
	long result;

	memcpy(kept, page, PAGE);
	result = madvise(page, PAGE, MADV_DONTNEED);
	memcpy(page, kept, PAGE);
	return result;
}

/* ---- Mapping ------------------------------------------------------------------------------------------------------- */

CASE(mmap, , map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1), .copes = true);
CASE(mmap_none, , map_at(NULL, PAGES *PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1), .copes = true);
CASE(mmap_populate, , map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1),
     .copes = true);
CASE(mmap_locked, , map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1),
     .also = {EAGAIN}, .copes = true);
CASE(mmap_shared, , map_at(NULL, PAGES *PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1), .copes = true);
CASE(mmap_stack, , map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1),
     .copes = true);
CASE(mmap_huge, , map_at(NULL, HUGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1), .copes = true);
CASE(mmap_file, fd = file_of("old", PAGES), map_at(NULL, PAGES *PAGE, BOTH, MAP_SHARED, fd), .copes = true);
CASE(mmap_file_private, fd = file_of("old", PAGES), map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE, fd),
     .copes = true);
CASE(mmap_file_populate, fd = file_of("old", PAGES),
     map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE | MAP_POPULATE, fd), .copes = true);
CASE(mmap_device, fd = (int)MUST(open("/dev/zero", O_RDWR)), map_at(NULL, PAGES *PAGE, BOTH, MAP_PRIVATE, fd),
     .copes = true);
CASE(mmap_over, have_area(),
     map_at(area + 4 * PAGE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1));
CASE(mmap_over_file, have_area();
     fd = file_of("old", PAGES), map_at(area + 4 * PAGE, 4 * PAGE, BOTH, MAP_SHARED | MAP_FIXED, fd));
CASE(mmap_low, ,
     map_at((void *)(64ul << 20), PAGES *PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1));
CASE(mmap_executable, fd = (int)MUST(open("/proc/self/exe", O_RDONLY)),
     map_at(NULL, PAGES *PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd), .copes = true);
CASE(brk, heap_end = (char *)MUST(syscall(SYS_brk, 0)), move_heap_end(heap_end + PAGES * PAGE));
CASE(brk_shrink, heap_end = (char *)MUST(syscall(SYS_brk, 0));
     MUST(move_heap_end(heap_end + PAGES * PAGE)), move_heap_end(heap_end + PAGE));
CASE(munmap, have_area(), munmap(area, PAGES *PAGE));
CASE(munmap_middle, have_area(), munmap(area + 4 * PAGE, 4 * PAGE));
CASE(munmap_shared, have_shared_area(), munmap(area + 4 * PAGE, 4 * PAGE));
CASE(munmap_file, have_file_area(MAP_PRIVATE), munmap(area + 4 * PAGE, 4 * PAGE));
CASE(mmap_fixed_many, have_area(); MUST(mprotect(area + 4 * PAGE, PAGE, PROT_READ));
     MUST(munmap(area + 6 * PAGE, PAGE));
     MUST(mlock(area + 8 * PAGE, PAGE)),
     map_at(area + PAGE, 12 * PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1));
CASE(mmap_populate_many, ,
     map_at(NULL, MANY_PARTS *PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1), .copes = true);
CASE(mprotect_program, , mprotect(__executable_start + PAGE, PAGE, PROT_READ | PROT_EXEC | PROT_WRITE));
CASE(mprotect_many, have_area(); MUST(mprotect(area + 4 * PAGE, PAGE, PROT_READ));
     MUST(mlock(area + 8 * PAGE, PAGE)), mprotect(area + PAGE, 12 * PAGE, PROT_READ), .changes = true);
CASE(munmap_many, have_area(); MUST(mprotect(area + 4 * PAGE, PAGE, PROT_READ));
     MUST(mlock(area + 8 * PAGE, PAGE)), munmap(area + PAGE, 12 * PAGE));
CASE(munmap_program, , munmap(__executable_start, PAGE));
CASE(mprotect, have_area(), mprotect(area, PAGES *PAGE, PROT_READ));
CASE(mprotect_middle, have_area(), mprotect(area + 4 * PAGE, 4 * PAGE, PROT_READ));
CASE(mprotect_file, have_file_area(MAP_PRIVATE), mprotect(area + 4 * PAGE, 4 * PAGE, PROT_READ));
CASE(mprotect_more, have_area();
     MUST(mprotect(area, PAGES *PAGE, PROT_READ)), mprotect(area + 4 * PAGE, 4 * PAGE, BOTH));
CASE(mprotect_wide, have_area(); MUST(mprotect(area + 4 * PAGE, 4 * PAGE, PROT_READ)),
				 mprotect(area + 2 * PAGE, 8 * PAGE, PROT_NONE), .changes = true);
CASE(mremap_grow, have_area(), grow(area, PAGES *PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE));
CASE(mremap_grow_file, have_file_area(MAP_PRIVATE),
     grow(area, PAGES *PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE));
CASE(mremap_part, have_area(), grow(area + 4 * PAGE, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE));
CASE(mremap_shrink, have_area(), grow(area, PAGES *PAGE, 4 * PAGE, 0));
CASE(mremap_move, have_area(), move_to(area, 4 * PAGE, area + 8 * PAGE, 0), .changes = true);
CASE(mremap_keep, have_area(), move_to(area, 4 * PAGE, area + 8 * PAGE, MREMAP_DONTUNMAP), .changes = true);
CASE(mremap_locked, have_area(); MUST(mlock(area, PAGES *PAGE)),
				 grow(area, PAGES *PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE), .also = {EAGAIN},
				 .copes = true);
CASE(mremap_move_file, have_file_area(MAP_PRIVATE), move_to(area, 4 * PAGE, area + 8 * PAGE, 0),
     .changes = true);
CASE(mremap_shrink_move, have_area(),
     mremap(area, 8 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 10 * PAGE) == MAP_FAILED ? -1 : 0,
     .changes = true);
CASE(mremap_copy, have_shared_area(), grow(area, 0, PAGES *PAGE, MREMAP_MAYMOVE));
CASE(remap_file_pages, have_shared_area(), remap_file_pages(area, 4 * PAGE, 0, 8, 0), .changes = true);

/* ---- Advice, locks ----------------------------------------------------------------------------------------------------- */

CASE(madvise_free, have_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_FREE));
CASE(madvise_dontneed, have_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_DONTNEED));
CASE(madvise_remove, have_shared_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_REMOVE));
CASE(madvise_sequential, have_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_SEQUENTIAL));
CASE(madvise_dontfork, have_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_DONTFORK), .also = {EAGAIN});
CASE(madvise_wipeonfork, have_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_WIPEONFORK), .also = {EAGAIN});
CASE(madvise_hugepage, have_area(), madvise(area + 4 * PAGE, 4 * PAGE, MADV_HUGEPAGE), .also = {EAGAIN});
CASE(madvise_willneed, have_file_area(MAP_PRIVATE), madvise(area, PAGES *PAGE, MADV_WILLNEED), .copes = true);
CASE(madvise_cold, have_area(), madvise(area, PAGES *PAGE, MADV_COLD));
CASE(madvise_pageout, have_area(), madvise(area, PAGES *PAGE, MADV_PAGEOUT));
CASE(madvise_populate, have_fresh_area(SPARSE, MAP_PRIVATE), madvise(area, PAGES *PAGE, MADV_POPULATE_WRITE),
     .copes = true);
CASE(madvise_populate_read, have_fresh_area(SPARSE, MAP_SHARED),
     madvise(area, PAGES *PAGE, MADV_POPULATE_READ), .copes = true);
CASE(madvise_populate_many, have_fresh_area(SPARSE, MAP_PRIVATE);
     madvise(area, SPARSE, MADV_HUGEPAGE), madvise(area, SPARSE / 2, MADV_POPULATE_WRITE), .copes = true);
CASE(madvise_mixed, , forget_mixed());
CASE(madvise_free_file, have_file_area(MAP_PRIVATE), madvise(area + 4 * PAGE, 4 * PAGE, MADV_DONTNEED));
CASE(mlock, have_area(), mlock(area, PAGES *PAGE), .also = {EAGAIN});
CASE(mlock_fresh, have_fresh_area(SPARSE, MAP_PRIVATE), mlock(area, PAGES *PAGE), .also = {EAGAIN},
     .copes = true);
CASE(mlock_middle, have_area(), mlock(area + 4 * PAGE, 4 * PAGE), .also = {EAGAIN});
CASE(mlock_file, have_file_area(MAP_PRIVATE), mlock(area, PAGES *PAGE), .also = {EAGAIN}, .copes = true);
CASE(mlock_onfault, have_area(), syscall(SYS_mlock2, area + 4 * PAGE, 4 * PAGE, MLOCK_ONFAULT),
     .also = {EAGAIN});
CASE(munlock, have_area(); MUST(mlock(area, PAGES *PAGE)), munlock(area + 4 * PAGE, 4 * PAGE));
CASE(munmap_locked, have_area(); MUST(mlock(area, PAGES *PAGE)), munmap(area + 4 * PAGE, 4 * PAGE));
CASE(mlockall, have_area(), mlockall(MCL_CURRENT | MCL_FUTURE), .also = {EAGAIN}, .copes = true);
CASE(munlockall, have_area(); MUST(mlockall(MCL_CURRENT)), munlockall());
CASE(msync, have_file_area(MAP_SHARED), msync(area, PAGES *PAGE, MS_SYNC));
CASE(mincore, have_area(), mincore(area, PAGES *PAGE, (unsigned char *)buffer));

/* ---- Copies between programs, faults of calls ------------------------------------------------------------------------------ */

CASE(process_vm_readv, have_parts(), process_vm_readv(getpid(), local, MANY_PARTS, remote, MANY_PARTS, 0));
CASE(process_vm_writev, have_parts(), process_vm_writev(getpid(), local, MANY_PARTS, remote, MANY_PARTS, 0));
CASE(read_fault, have_fresh_area(SPARSE, MAP_PRIVATE);
     fd = file_of("old", 1), pread(fd, area, PAGE, 0), .also = {EFAULT}, .copes = true);
CASE(write_fault, have_fresh_area(SPARSE, MAP_PRIVATE);
     fd = file_of("old", 1), pwrite(fd, area, PAGE, 0), .also = {EFAULT, ENOSPC}, .copes = true);
CASE(read_fault_fork, have_area(); fd = file_of("old", 1);
     have_twin(), pread(fd, area, PAGE, 0), .also = {EFAULT}, .copes = true);
CASE(read_fault_file, have_file_area(MAP_PRIVATE);
     pread(fd, buffer, PAGE, 0), pread(fd, area + PAGE, PAGE, 0), .also = {EFAULT}, .copes = true);
CASE(read_fault_hole, have_file_area(MAP_SHARED); MUST(ftruncate(fd, 2 * PAGES * PAGE));
     area = mmap(NULL, 2 * PAGES * PAGE, BOTH, MAP_SHARED, fd, 0), pread(fd, area + PAGES * PAGE, PAGE, 0),
     .also = {EFAULT}, .copes = true);
CASE(process_vm_twin, have_parts(); have_twin(),
				    process_vm_writev(twin, local, MANY_PARTS, remote, MANY_PARTS, 0),
				    .also = {EFAULT}, .copes = true);
CASE(process_madvise, have_parts(); fd = (int)MUST(syscall(SYS_pidfd_open, getpid(), 0));
     remote[0].iov_len = PAGES * PAGE, syscall(SYS_process_madvise, fd, remote, 1, MADV_COLD, 0));

/* ---- Pages in swap, where there is some ------------------------------------------------------------------------------------------ */

static void have_paged_area(void)
{
	have_parts();
	MUST(madvise(area, PAGES * PAGE, MADV_PAGEOUT));
}

CASE(paged_read, fd = file_of("old", 1);
     have_paged_area(), pread(fd, area, PAGE, 0), .also = {EFAULT}, .copes = true);
CASE(paged_write, fd = file_of("old", 0);
     have_paged_area(), pwrite(fd, area, PAGE, 0), .also = {EFAULT, ENOSPC}, .copes = true);
CASE(paged_lock, have_paged_area(), mlock(area, PAGES *PAGE), .also = {EAGAIN}, .copes = true);
CASE(paged_willneed, have_paged_area(), madvise(area, PAGES *PAGE, MADV_WILLNEED), .copes = true);
CASE(paged_populate, have_paged_area(), madvise(area, PAGES *PAGE, MADV_POPULATE_WRITE), .copes = true);
CASE(paged_fork, have_paged_area(), fork() == 0 ? (_exit(0), 0) : 0, .copes = true);
CASE(paged_unmap, have_paged_area(), munmap(area + 4 * PAGE, 4 * PAGE));
CASE(paged_protect, have_paged_area(), mprotect(area + 4 * PAGE, 4 * PAGE, PROT_READ));
CASE(paged_move, have_paged_area(), grow(area, PAGES *PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE));
CASE(paged_out, have_area(), madvise(area, PAGES *PAGE, MADV_PAGEOUT), .copes = true);
CASE(paged_shared, have_shared_area(); MUST(madvise(area, PAGES *PAGE, MADV_PAGEOUT)),
				       mlock(area, PAGES *PAGE), .also = {EAGAIN}, .copes = true);
CASE(paged_vm, have_paged_area(), process_vm_readv(getpid(), local, MANY_PARTS, remote, MANY_PARTS, 0),
     .also = {EFAULT}, .copes = true);

/* ---- A device to page to ------------------------------------------------------------------------------------------------------- */

#define DEVICE    "/dev/ram0"
#define HEADER_AT 1024 /* of the version and the last page; the magic ends the first page (mkswap(8)) */

/* It is not used, and has the header that swapon wants. */
static void have_device(void)
{
	static const char magic[] = "SWAPSPACE2";
	static const uint32_t version_and_last[] = {1, DEVICE_PAGES - 1};

	swapoff(DEVICE);
	fd = (int)MUST(open(DEVICE, O_RDWR));
	MUST(pwrite(fd, version_and_last, sizeof(version_and_last), HEADER_AT));
	MUST(pwrite(fd, magic, sizeof(magic) - 1, PAGE + 1 - (off_t)sizeof(magic)));
	close(fd);
}

static void have_open_device(void)
{
	have_device();
	fd = (int)MUST(open(DEVICE, O_RDWR));
}

static void have_used_device(void)
{
	have_device();
	MUST(swapon(DEVICE, 0));
	have_paged_area();
}

CASE(device_open, have_device(), open(DEVICE, O_RDWR), .needs = DEVICE);
CASE(device_read, have_open_device(), pread(fd, buffer, 4 * PAGE, 100), .copes = true, .needs = DEVICE);
CASE(device_write, have_open_device(), pwrite(fd, buffer, 4 * PAGE, 2 * PAGE + 100), .copes = true,
     .needs = DEVICE);
CASE(device_on, have_device(), swapon(DEVICE, 0), .needs = DEVICE);
CASE(device_off, have_used_device(), swapoff(DEVICE), .changes = true, .needs = DEVICE);
