/*
 * Gets the counters of `make coverage` out of the kernel: when it powers off, they go to COM3, where the program's
 * standard output is.
 *
 * Linked only into the kernel of that target, by rules.mk in this directory, as is libgcov, which turns the counters
 * into the bytes of .gcda files; tests/coverage/run takes the stream apart. See "Profiling and Test Coverage in Freestanding
 * Environments" in GCC's manual.
 */
#include <gcov.h>
#include <kern/kern.h>

#define COUNTERS_PORT 3

/* Said before each record: a file's name follows, or a part of its contents; their bytes come after the length. */
#define RECORD_MARK "\nphoenix-counters "
#define RECORD_NAME 'N'
#define RECORD_DATA 'D'
#define RECORD_END  'E'

/* The linker's: one pointer for each object with counters. */
extern const struct gcov_info *const __start_gcov_info[];
extern const struct gcov_info *const __stop_gcov_info[];

void __wrap_power_off(int status);
_Noreturn void __real_power_off(int status);

static void put(const void *bytes, size_t count)
{
	while (count > 0) {
		size_t written = serial_write(COUNTERS_PORT, bytes, count);

		bytes = (const char *)bytes + written;
		count -= written;
	}
}

static void put_record(char kind, const void *bytes, uint32_t count)
{
	put(RECORD_MARK, sizeof(RECORD_MARK) - 1);
	put(&kind, sizeof(kind));
	put(&count, sizeof(count));
	put(bytes, count);
}

static void put_name(const char *name, void *context)
{
	(void)context;
	put_record(RECORD_NAME, name, (uint32_t)strlen(name));
}

static void put_data(const void *bytes, unsigned count, void *context)
{
	(void)context;
	put_record(RECORD_DATA, bytes, count);
}

/* Asked for by kinds of counters that this build has none of. */
static void *no_memory(unsigned bytes, void *context)
{
	(void)context;
	panic("libgcov wants %u bytes", bytes);
}

void __wrap_power_off(int status)
{
	for (const struct gcov_info *const *info = __start_gcov_info; info < __stop_gcov_info; info++)
		__gcov_info_to_gcda(*info, put_name, put_data, no_memory, NULL);
	put_record(RECORD_END, "", 0);
	__real_power_off(status);
}

/* What libgcov refers to, and never calls here. */

_Noreturn void abort(void);
void *mmap(void);
void __gcov_merge_add(void);

_Noreturn void abort(void)
{
	panic("libgcov gives up");
}

void *mmap(void)
{
	panic("libgcov wants memory");
}

void __gcov_merge_add(void)
{
	panic("libgcov wants to add counters");
}
