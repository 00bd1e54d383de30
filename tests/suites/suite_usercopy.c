/*
 * Copying from and to user memory: what works, and every kind of bad pointer. None of it may do more than
 * return an error.
 */
#include <asm/errno.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <kern/test.h>
#include <vm/layout.h>
#include <vm/pmap.h>
#include <vm/vm.h>

/* Three pages of user memory, writable, read-only and none, and two elsewhere. */
#define WRITABLE  0x400000ul
#define READ_ONLY (WRITABLE + PAGE_SIZE)
#define HOLE      (READ_ONLY + PAGE_SIZE)
#define ALONE     0x500000ul /* writable; nothing around it */
#define RESERVED  0x600000ul
#define FILL      0x5a

static char buffer[2 * PAGE_SIZE];

static bool map_page(struct map *map, vaddr_t at, vm_prot_t prot)
{
	const struct placement place = {.address = at, .flags = PLACE_FIXED};
	const struct mapping how = {.prot = prot, .inherit = INHERIT_COPY, .name = "test"};
	struct blob *blob;
	vaddr_t where;
	bool done;

	if (!CHECK_EQ(blob_create(PAGE_SIZE, 0, &blob), 0))
		return false;
	done = CHECK_EQ(map_blob(map, &place, blob, 0, 1, &how, &where), 0);
	blob_unref(blob);
	return done;
}

static bool map_memory(struct map *map)
{
	const struct placement place = {.address = RESERVED, .flags = PLACE_FIXED};
	vaddr_t where;

	return map_page(map, WRITABLE, VM_READ | VM_WRITE) && map_page(map, READ_ONLY, VM_READ) &&
	       map_page(map, ALONE, VM_READ | VM_WRITE) &&
	       CHECK_EQ(map_reserve(map, &place, PAGE_SIZE, "test", &where), 0);
}

static bool is_filled(const char *bytes, char value, size_t count)
{
	while (count--) {
		if (*bytes++ != value)
			return false;
	}
	return true;
}

static void test_good_pointers(void)
{
	static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 100, 4095, 4096};

	test_case("copies of many sizes and alignments come back as they were");
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t size = sizes[i];
		vaddr_t at = WRITABLE + PAGE_SIZE - size; /* up to the very end */

		memset(buffer, FILL + (int)i, size);
		CHECK_EQ(copy_to_user(at, buffer, size), 0);
		memset(buffer, 0, size + 1);
		CHECK_EQ(copy_from_user(buffer, at, size), 0);
		CHECK(is_filled(buffer, (char)(FILL + i), size) && buffer[size] == 0);
	}

	test_case("an untouched page reads as zeroes, over a page boundary too");
	memset(buffer, FILL, sizeof buffer);
	CHECK_EQ(copy_from_user(buffer, READ_ONLY, PAGE_SIZE), 0);
	CHECK(is_filled(buffer, 0, PAGE_SIZE));
	CHECK_EQ(copy_from_user(buffer, WRITABLE + 1, PAGE_SIZE), 0);
	CHECK_EQ(copy_from_user(buffer, ALONE, PAGE_SIZE), 0);
}

/* Neither direction may work on these. WRITABLE alone is good: there it is the length that is not. */
static void test_forbidden_ranges(void)
{
	static const struct {
		const char *what;
		vaddr_t start;
		size_t bytes;
	} ranges[] = {
		{"the null pointer", 0, 1},
		{"the guard page's last byte", LAYOUT_GUARD_END - 1, 1},
		{"from private space into the kernel window", LAYOUT_KERNEL_START - 1, 2},
		{"the kernel window", LAYOUT_KERNEL_START + 0x100000, 8},
		{"system data space", LAYOUT_SYSTEM_START, 8},
		{"over the whole kernel, from user space to user space", WRITABLE, LAYOUT_SYSTEM_END},
		{"the page descriptors", LAYOUT_PAGES_START, 8},
		{"kernel dynamic memory", LAYOUT_DYNAMIC_START, 8},
		{"the physical map", LAYOUT_PHYSICAL_START, 8},
		{"the end of the positive half", LAYOUT_PHYSICAL_END - 1, 1},
		{"a non-canonical address", LAYOUT_PHYSICAL_END, 8},
		{"the negative half", 0xffffffff80000000ul, 8},
		{"the last byte of all", UINT64_MAX, 1},
		{"a range that wraps to 0", UINT64_MAX - 3, 8},
		{"a range that wraps to where it starts", WRITABLE, SIZE_MAX},
		{"the end of user space and beyond", LAYOUT_ARENAS_END - 4, 8},
	};

	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
		test_case(ranges[i].what);
		CHECK_EQ(copy_from_user(buffer, ranges[i].start, ranges[i].bytes), -EFAULT);
		CHECK_EQ(copy_to_user(ranges[i].start, buffer, ranges[i].bytes), -EFAULT);
		if (ranges[i].start != WRITABLE)
			CHECK_EQ(copy_string_from_user(buffer, ranges[i].start, sizeof buffer), -EFAULT);
	}
}

static void test_bad_mappings(void)
{
	test_case("nothing mapped");
	CHECK_EQ(copy_from_user(buffer, HOLE, 1), -EFAULT);
	CHECK_EQ(copy_to_user(HOLE, buffer, 1), -EFAULT);
	CHECK_EQ(copy_from_user(buffer, ALONE - 1, 2), -EFAULT);

	test_case("half mapped");
	CHECK_EQ(copy_from_user(buffer, HOLE - 8, 9), -EFAULT);
	CHECK_EQ(copy_from_user(buffer, HOLE - 3, 16), -EFAULT);
	CHECK_EQ(copy_to_user(ALONE + PAGE_SIZE - 4, buffer, 8), -EFAULT);

	test_case("reserved space");
	CHECK_EQ(copy_from_user(buffer, RESERVED, 1), -EFAULT);
	CHECK_EQ(copy_to_user(RESERVED, buffer, 1), -EFAULT);

	test_case("a read-only page cannot be written, whether touched before or not");
	CHECK_EQ(copy_to_user(READ_ONLY, buffer, 8), -EFAULT);
	CHECK_EQ(copy_from_user(buffer, READ_ONLY, 8), 0);
	CHECK_EQ(copy_to_user(READ_ONLY, buffer, 8), -EFAULT);
	CHECK_EQ(copy_to_user(READ_ONLY - 4, "abcdefgh", 8), -EFAULT);
	CHECK_EQ(copy_from_user(buffer, READ_ONLY, 8), 0);
	CHECK(is_filled(buffer, 0, 8));
}

static void test_strings(void)
{
	test_case("strings");
	CHECK_EQ(copy_to_user(WRITABLE, "phoenix", 8), 0);
	CHECK_EQ(copy_string_from_user(buffer, WRITABLE, sizeof buffer), 7);
	CHECK_STR(buffer, "phoenix");
	CHECK_EQ(copy_string_from_user(buffer, WRITABLE, 8), 7);
	CHECK_EQ(copy_string_from_user(buffer, WRITABLE, 7), -ENAMETOOLONG);
	CHECK_EQ(copy_string_from_user(buffer, WRITABLE, 0), -ENAMETOOLONG);

	test_case("a string over a page boundary");
	memset(buffer, 'x', PAGE_SIZE);
	CHECK_EQ(copy_to_user(WRITABLE, buffer, PAGE_SIZE), 0);
	CHECK_EQ(copy_string_from_user(buffer, READ_ONLY - 5, sizeof buffer), 5);
	CHECK_STR(buffer, "xxxxx");

	test_case("a string that ends at the last mapped byte, and one that does not");
	memset(buffer, 'y', PAGE_SIZE);
	buffer[PAGE_SIZE - 1] = 0;
	CHECK_EQ(copy_to_user(ALONE, buffer, PAGE_SIZE), 0);
	CHECK_EQ(copy_string_from_user(buffer, ALONE + PAGE_SIZE - 4, sizeof buffer), 3);
	CHECK_EQ(copy_to_user(ALONE + PAGE_SIZE - 1, "z", 1), 0);
	CHECK_EQ(copy_string_from_user(buffer, ALONE + PAGE_SIZE - 4, sizeof buffer), -EFAULT);
}

void suite_usercopy(void);

void suite_usercopy(void)
{
	struct map *map;

	test_case("preparations");
	if (!CHECK_EQ(map_create_root("test", &map), 0))
		return;
	thread_use_map(map);
	if (map_memory(map)) {
		test_good_pointers();
		test_forbidden_ranges();
		test_bad_mappings();
		test_strings();
	}
	thread_use_map(NULL);
	test_case("without a map, nothing can be copied");
	CHECK_EQ(copy_to_user(HOLE, buffer, 8), -EFAULT);

	map_unref(map);
}
