/*
 * mremap: smaller, larger, elsewhere, at a wanted place, leaving the old range mapped, and every error of mremap(2).
 */
#include "tap.h"

#define PAGES 8

static const int rw = PROT_READ | PROT_WRITE;

static long remap(void *old, size_t old_bytes, size_t bytes, int flags, void *to)
{
	return CALL(mremap, old, old_bytes, bytes, flags, to);
}

static char *filled(size_t pages)
{
	char *memory = anonymous(pages * PAGE);

	for (size_t i = 0; i < pages; i++)
		memset(memory + i * PAGE, (int)i + 1, PAGE);
	return memory;
}

/* The pages have what filled() gave them. */
static bool is_filled(const char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		if (!all_are(memory + i * PAGE, PAGE, (char)(i + 1)))
			return false;
	}
	return true;
}

/* A mapping with nothing behind it, or with a page of PROT_NONE behind it. */
static char *with_room(size_t pages)
{
	char *memory = filled(2 * pages);

	NEED(munmap(memory + pages * PAGE, pages * PAGE) == 0);
	return memory;
}

static char *without_room(size_t pages)
{
	char *memory = filled(pages + 1);

	NEED(mprotect(memory + pages * PAGE, PAGE, PROT_NONE) == 0);
	return memory;
}

TEST(bad_arguments, "an odd address, a new length of 0 and unknown flags are EINVAL")
{
	char *memory = filled(PAGES);

	FAILS(remap(memory + 1, PAGE, PAGE, MREMAP_MAYMOVE, NULL), EINVAL);
	FAILS(remap(memory, PAGE, 0, MREMAP_MAYMOVE, NULL), EINVAL);
	FAILS(remap(memory, PAGE, PAGE, 0x80, NULL), EINVAL);
	FAILS(remap(memory, PAGE, PAGE, MREMAP_FIXED, memory + 4 * PAGE), EINVAL);
	FAILS(remap(memory, PAGE, PAGE, MREMAP_DONTUNMAP, NULL), EINVAL);
	FAILS(remap(memory, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL), EINVAL);
	CHECK(is_filled(memory, PAGES));
}

TEST(bad_target, "MREMAP_FIXED: an odd target, one beyond the address space, or one that overlaps is EINVAL")
{
	char *memory = filled(PAGES);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	FAILS(remap(memory, PAGE, PAGE, flags, memory + 4 * PAGE + 1), EINVAL);
	FAILS(remap(memory, PAGE, PAGE, flags, (void *)USER_END), EINVAL);
	FAILS(remap(memory, 2 * PAGE, 2 * PAGE, flags, memory + PAGE), EINVAL);
	FAILS(remap(memory + PAGE, 2 * PAGE, 2 * PAGE, flags, memory), EINVAL);
	FAILS(remap(memory, 4 * PAGE, PAGE, flags, memory + 2 * PAGE), EINVAL);
	FAILS(remap(memory + PAGE, 4 * PAGE, PAGE, flags, memory + PAGE), EINVAL);
	CHECK(is_filled(memory, PAGES));
}

TEST(not_mapped, "an old range that is not mapped, or goes beyond its mapping, is EFAULT")
{
	char *memory = filled(PAGES);

	CHECK(munmap(memory + 2 * PAGE, PAGE) == 0);
	FAILS(remap(memory + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT);
	FAILS(remap(memory + PAGE, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT);
	CHECK(is_filled(memory, 2));
}

TEST(two_mappings, "growing across mappings of different rights is EFAULT")
{
	char *memory = filled(PAGES);

	CHECK(mprotect(memory + PAGE, PAGE, PROT_READ) == 0);
	FAILS(remap(memory, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE, NULL), EFAULT);
	CHECK(is_filled(memory, PAGES));
}

TEST(too_large, "a length that no address space has is ENOMEM, and nothing has changed")
{
	char *memory = filled(PAGES);

	FAILS(remap(memory, PAGES * PAGE, USER_END / 2, MREMAP_MAYMOVE, NULL), ENOMEM);
	CHECK(is_filled(memory, PAGES));
	CHECK(writable(memory + PAGES * PAGE - 1));
}

TEST(same, "the same length changes nothing")
{
	char *memory = filled(PAGES);

	EQUAL(remap(memory, PAGES * PAGE, PAGES * PAGE, 0, NULL), memory);
	EQUAL(remap(memory, PAGES * PAGE - 1, PAGES * PAGE - 5, 0, NULL), memory); /* rounded up */
	EQUAL(remap(memory + PAGE, PAGE, PAGE, MREMAP_MAYMOVE, NULL), memory + PAGE);
	CHECK(is_filled(memory, PAGES));
}

TEST(shrink, "smaller: in place, and the rest is unmapped")
{
	char *memory = filled(PAGES);

	EQUAL(remap(memory, PAGES * PAGE, 3 * PAGE, 0, NULL), memory);
	CHECK(is_filled(memory, 3));
	FAULTS(ACCESS_READ, memory + 3 * PAGE, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_READ, memory + 7 * PAGE, SIGSEGV, SEGV_MAPERR);
}

TEST(grow_in_place, "larger where there is room: in place, zeroes behind, as often as one likes")
{
	char *memory = with_room(PAGES);

	EQUAL(remap(memory, PAGES * PAGE, (PAGES + 1) * PAGE, 0, NULL), memory);
	EQUAL(remap(memory, (PAGES + 1) * PAGE, 2 * PAGES * PAGE, 0, NULL), memory);
	CHECK(is_filled(memory, PAGES) && all_are(memory + PAGES * PAGE, PAGES * PAGE, 0));
	memset(memory, 'x', 2 * PAGES * PAGE);
}

/* The mapping that has the address, of /proc/self/maps. */
static struct extent {
	uintptr_t start, end;
} mapping_of(const char *address)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	struct extent found = {0, 0};
	char line[512];

	NEED(maps != NULL);
	while (fgets(line, sizeof(line), maps) && found.end <= (uintptr_t)address)
		NEED(sscanf(line, "%lx-%lx", &found.start, &found.end) == 2);
	fclose(maps);
	return found;
}

TEST(grow_together, "a mapping that grows up to its own other part is one with it again")
{
	char *memory = filled(PAGES);

	NEED(munmap(memory + PAGE, 2 * PAGE) == 0);
	EQUAL(remap(memory, PAGE, 3 * PAGE, 0, NULL), memory);
	CHECK(mapping_of(memory).end >= (uintptr_t)memory + PAGES * PAGE);
	CHECK(mapping_of(memory + 5 * PAGE).start <= (uintptr_t)memory);
	EQUAL(remap(memory, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE, NULL) != -1, 1);
}

TEST(no_room, "larger where there is none: ENOMEM without MREMAP_MAYMOVE, else elsewhere")
{
	char *memory = without_room(PAGES), *moved;

	FAILS(remap(memory, PAGES * PAGE, (PAGES + 1) * PAGE, 0, NULL), ENOMEM);
	moved = (char *)remap(memory, PAGES * PAGE, 100 * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)moved != -1);
	CHECK(moved != memory && is_filled(moved, PAGES));
	CHECK(all_are(moved + PAGES * PAGE, (100 - PAGES) * PAGE, 0));
	FAULTS(ACCESS_READ, memory, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_READ, memory + (PAGES - 1) * PAGE, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_READ, memory + PAGES * PAGE, SIGSEGV, SEGV_ACCERR); /* what stood in the way */
}

TEST(shrink_then_grow, "what was cut off comes back as zeroes")
{
	char *memory = with_room(PAGES);

	EQUAL(remap(memory, PAGES * PAGE, PAGE, 0, NULL), memory);
	EQUAL(remap(memory, PAGE, PAGES * PAGE, 0, NULL), memory);
	CHECK(is_filled(memory, 1) && all_are(memory + PAGE, (PAGES - 1) * PAGE, 0));
}

TEST(fixed, "MREMAP_FIXED moves to the place, over what was there, with another length if wanted")
{
	char *memory = filled(PAGES), *target = filled(2 * PAGES);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	EQUAL(remap(memory, PAGES * PAGE, PAGES * PAGE, flags, target + PAGE), target + PAGE);
	CHECK(is_filled(target, 1) && is_filled(target + PAGE, PAGES) &&
	      target[(PAGES + 1) * PAGE] == PAGES + 2);
	CHECK(!readable(memory));
	memory = filled(PAGES);
	EQUAL(remap(memory, PAGES * PAGE, 2 * PAGE, flags, target), target); /* smaller */
	CHECK(is_filled(target, 2) && target[2 * PAGE] == 2);
	CHECK(!readable(memory) && !readable(memory + 5 * PAGE));
	memory = filled(PAGES);
	EQUAL(remap(memory, PAGES * PAGE, 2 * PAGES * PAGE, flags, target), target); /* larger */
	CHECK(is_filled(target, PAGES) && all_are(target + PAGES * PAGE, PAGES * PAGE, 0));
}

TEST(middle, "the middle of a mapping moves alone")
{
	char *memory = filled(PAGES), *target = filled(1);

	EQUAL(remap(memory + 3 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target), target);
	CHECK(all_are(target, PAGE, 4));
	CHECK(is_filled(memory, 3) && !readable(memory + 3 * PAGE) && memory[4 * PAGE] == 5);
}

TEST(middle_grows, "the middle of a mapping cannot grow in place: it moves")
{
	char *memory = filled(PAGES), *moved;

	FAILS(remap(memory + 2 * PAGE, PAGE, 2 * PAGE, 0, NULL), ENOMEM);
	moved = (char *)remap(memory + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)moved != -1);
	CHECK(all_are(moved, PAGE, 3) && all_are(moved + PAGE, PAGE, 0));
	CHECK(!readable(memory + 2 * PAGE) && memory[3 * PAGE] == 4);
}

TEST(dont_unmap, "MREMAP_DONTUNMAP leaves the old range mapped, and empty")
{
	char *memory = filled(PAGES), *moved;

	moved = (char *)remap(memory, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	NEED((long)moved != -1);
	CHECK(moved != memory && is_filled(moved, PAGES) && all_are(memory, PAGES * PAGE, 0));
	memory[0] = 'x';
	EQUAL(moved[0], 1);
}

TEST(dont_unmap_fixed, "MREMAP_DONTUNMAP goes together with MREMAP_FIXED")
{
	char *memory = filled(PAGES), *target = filled(PAGES);

	memset(target, 'x', PAGES * PAGE);
	EQUAL(remap(memory, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED,
		    target),
	      target);
	CHECK(is_filled(target, PAGES) && all_are(memory, PAGES * PAGE, 0));
}

TEST(dont_unmap_shared, "MREMAP_DONTUNMAP of a shared mapping leaves both to show the same")
{
	char *memory = anonymous_shared(PAGE), *moved;

	memory[0] = 'x';
	moved = (char *)remap(memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	NEED((long)moved != -1 && moved != memory);
	CHECK(moved[0] == 'x' && memory[0] == 'x');
	moved[1] = 'y';
	EQUAL(memory[1], 'y');
}

TEST(dont_unmap_file, "MREMAP_DONTUNMAP of a private mapping of a file leaves one that shows the file")
{
	const int flags = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
	int file = make_file("file", PAGES * PAGE);
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0), *moved, *again;

	NEED(memory != MAP_FAILED);
	memory[PAGE] = 'x';
	moved = (char *)remap(memory + PAGE, 2 * PAGE, 2 * PAGE, flags, NULL);
	NEED((long)moved != -1);
	CHECK(moved[0] == 'x' && moved[PAGE] == 3 && is_filled(memory, PAGES));
	memory[PAGE] = 'y';
	EQUAL(moved[0], 'x');
	EQUAL(pwrite(file, "z", 1, 2 * PAGE), 1);
	CHECK(memory[2 * PAGE] == 'z' && moved[PAGE] == 'z');
	again = filled(PAGES);
	EQUAL(remap(memory, PAGE, PAGE, flags | MREMAP_FIXED, again), again);
	CHECK(again[0] == 1 && memory[0] == 1 && again[PAGE] == 2);
	FAILS(remap(memory, 2 * PAGE, 2 * PAGE, flags | MREMAP_FIXED, memory + PAGE), EINVAL);
	IN_CHILD
	{
		CHECK(moved[0] == 'x' && memory[PAGE] == 'y' && memory[PAGES * PAGE - 1] == PAGES);
	}
}

TEST(dont_unmap_limit, "MREMAP_DONTUNMAP beyond RLIMIT_AS is ENOMEM: there are two mappings afterwards")
{
	struct rlimit limit = {32ul << 20, RLIM_INFINITY};
	char *memory = anonymous(20ul << 20);

	NEED(setrlimit(RLIMIT_AS, &limit) == 0);
	FAILS(remap(memory, 20ul << 20, 20ul << 20, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL), ENOMEM);
}

TEST(zero_length, "an old length of 0: a second view of a shared mapping; of a private one EINVAL")
{
	char *memory = anonymous_shared(PAGES * PAGE), *private_memory = filled(1), *second;

	second = (char *)remap(memory, 0, PAGES * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)second != -1 && second != memory);
	memory[5 * PAGE] = 'a';
	second[6 * PAGE] = 'b';
	CHECK(second[5 * PAGE] == 'a' && memory[6 * PAGE] == 'b');
	FAILS(remap(private_memory, 0, PAGE, MREMAP_MAYMOVE, NULL), EINVAL);
}

TEST(rights_move, "rights, and the file with its offset, move along")
{
	int file = make_file("file", 4 * PAGE);
	char *memory = mmap(NULL, 2 * PAGE, rw, MAP_SHARED, file, PAGE), *moved, byte;

	NEED(memory != MAP_FAILED && mprotect(memory, 2 * PAGE, PROT_READ) == 0);
	moved = (char *)remap(memory, 2 * PAGE, 5 * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)moved != -1);
	CHECK(moved[0] == 2 && moved[PAGE] == 3 && moved[2 * PAGE] == 4);
	FAULTS(ACCESS_WRITE, moved, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_READ, moved + 3 * PAGE, SIGBUS, BUS_ADRERR);
	NEED(mprotect(moved, 5 * PAGE, rw) == 0);
	moved[PAGE + 7] = 'x';
	CHECK(pread(file, &byte, 1, 2 * PAGE + 7) == 1 && byte == 'x');
}

TEST(after_fork, "a moved private mapping stays apart from the parent's")
{
	char *memory = filled(PAGES);

	IN_CHILD
	{
		char *moved = (char *)remap(memory, PAGES * PAGE, 64 * PAGE, MREMAP_MAYMOVE, NULL);

		NEED((long)moved != -1);
		CHECK(is_filled(moved, PAGES));
		memset(moved, 'c', 64 * PAGE);
	}
	CHECK(is_filled(memory, PAGES));
}

TEST(as_limit, "growth beyond RLIMIT_AS is ENOMEM")
{
	IN_CHILD
	{
		char *memory = with_room(PAGES);
		struct rlimit limit = {64ul << 20, 64ul << 20};

		NEED(setrlimit(RLIMIT_AS, &limit) == 0);
		FAILS(remap(memory, PAGES * PAGE, 128ul << 20, MREMAP_MAYMOVE, NULL), ENOMEM);
		CHECK(is_filled(memory, PAGES));
	}
}

TEST(locked_limit, "growth of a locked mapping beyond RLIMIT_MEMLOCK is EAGAIN")
{
	struct rlimit limit = {PAGES * PAGE, PAGES * PAGE};

	IN_CHILD
	{
		char *memory = with_room(PAGES);

		NEED(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		NEED(mlock(memory, PAGES * PAGE) == 0);
		FAILS(remap(memory, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE, NULL), EAGAIN);
		CHECK(is_filled(memory, PAGES));
	}
}

TEST(piece_of_file, "a piece of a private mapping of a file that grows shows the file, what was written to "
		    "it, and what comes later")
{
	int file = make_file("file", 4 * PAGES * PAGE);
	char *memory = mmap(NULL, 4 * PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0), *moved;

	NEED(memory != MAP_FAILED);
	memory[PAGE] = 'x';
	memory[PAGES * PAGE] = 'y';
	moved = (char *)remap(memory, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)moved != -1);
	CHECK(moved[0] == 1 && moved[PAGE] == 'x' && moved[2 * PAGE] == 3);
	CHECK(moved[PAGES * PAGE] == PAGES + 1 && moved[(2 * PAGES - 1) * PAGE] == 2 * PAGES);
	CHECK(memory[PAGES * PAGE] == 'y');
	CHECK(pwrite(file, "fg", 2, PAGE) == 2 && pwrite(file, "h", 1, PAGES * PAGE) == 1);
	CHECK(moved[PAGE] == 'x' && moved[PAGES * PAGE] == 'h' && memory[PAGES * PAGE] == 'y');
}

TEST(piece, "a piece of memory that grows has what was in it, and zeroes; the other pieces keep theirs")
{
	char *memory = filled(3 * PAGES), *moved;

	moved = (char *)remap(memory, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)moved != -1);
	CHECK(is_filled(moved, PAGES) && all_are(moved + PAGES * PAGE, PAGES * PAGE, 0));
	memset(moved, 'x', 2 * PAGES * PAGE);
	CHECK(all_are(memory + PAGES * PAGE, PAGE, PAGES + 1));
	/* A piece of what has grown so. */
	memory = (char *)remap(moved + PAGE, PAGE, 4 * PAGES * PAGE, MREMAP_MAYMOVE, NULL);
	NEED((long)memory != -1);
	CHECK(all_are(memory, PAGE, 'x') && all_are(memory + PAGE, (4 * PAGES - 1) * PAGE, 0));
	CHECK(all_are(moved, PAGE, 'x') && all_are(moved + 2 * PAGE, (2 * PAGES - 2) * PAGE, 'x'));
}

TEST(many_sizes, "a mapping that grows and shrinks many times keeps its contents")
{
	size_t pages = 1;
	char *memory = filled(1);

	for (unsigned i = 0; i < 400; i++) {
		size_t now = 1 + (i * 37) % 101;

		memory = (char *)remap(memory, pages * PAGE, now * PAGE, MREMAP_MAYMOVE, NULL);
		NEED((long)memory != -1);
		CHECK(memory[0] == 1);
		memory[now * PAGE - 1] = 'x';
		pages = now;
	}
}
