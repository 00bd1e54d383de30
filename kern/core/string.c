/*
 * The memory and string functions that the compiler may call whatever we write (declared in
 * <vm/env.h>). Compiled so that it does not turn the loops here into calls of themselves.
 *
 * Eight bytes at a time: REP MOVSQ and STOSQ are fast on every CPU, and an emulator that counts each
 * iteration of REP counts an eighth of what the byte forms cost.
 */
#include <vm/env.h>

/* Right also where the two overlap, if `to` is below `from`. */
static inline void copy_upwards(void *to, const void *from, size_t bytes)
{
	size_t count = bytes / 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	count = bytes % 8;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	copy_upwards(to, from, bytes);
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	uint8_t *target = to;
	const uint8_t *source = from;

	if (target <= source || (size_t)(target - source) >= bytes) {
		copy_upwards(to, from, bytes);
		return to;
	}
	while (bytes--) /* from the top down: else it would overwrite what it has still to read */
		target[bytes] = source[bytes];
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	void *at = to;
	size_t count = bytes / 8;
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ull;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(count) : "a"(pattern) : "memory");
	count = bytes % 8;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(count) : "a"(pattern) : "memory");
	return to;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
	const uint8_t *a = left, *b = right;

	for (size_t i = 0; i < bytes; i++) {
		if (a[i] != b[i])
			return a[i] - b[i];
	}
	return 0;
}

size_t strlen(const char *string)
{
	size_t length = 0;

	while (string[length])
		length++;
	return length;
}

int strcmp(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return (uint8_t)*left - (uint8_t)*right;
}
