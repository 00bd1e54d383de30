/*
 * Checksums of pages that are on a device, and the test for pages of zeroes.
 *
 * Four sums run side by side, each over every fourth word, so that a CPU can overlap them. A step takes two words: one before it multiplies with an odd
 * number, one after it, and turns. It maps different sums to different ones: so pages that differ in one word differ in its sum, and the turns let each bit
 * of a word reach all others. That is meant for devices that err, not for those that lie on purpose.
 */
#include "swap_internal.h"

#define LANES 4u
#define TURN  29

/* Odd, with bits all over: the fractional parts of the golden ratio and of the square roots of 3, 5 and 7, as 64-bit fractions. */
static const uint64_t factors[LANES] = {0x9e3779b97f4a7c15, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
					0xa54ff53a5f1d36f1};

static inline uint64_t turn(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline uint64_t step(uint64_t sum, uint64_t before, uint64_t after, uint64_t factor)
{
	return turn((sum ^ before) * factor + after, TURN);
}

/* The upper half of a product depends on all bits below. */
static inline uint32_t fold(uint64_t sum)
{
	sum ^= sum >> 32;
	sum *= factors[0];
	return (uint32_t)(sum >> 32);
}

uint32_t swap_owner(uint32_t family, pgoff_t index)
{
	return fold(step(0, family, index, factors[1]));
}

uint32_t swap_sum(const struct page *page, uint32_t owner, uint32_t write)
{
	const uint64_t *words = page_data(page);
	uint64_t begin = (uint64_t)owner << 32 | write;
	uint64_t a = begin, b = ~begin, c = turn(begin, 16), d = turn(begin, 48);

#pragma GCC unroll 4
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i += 2 * LANES) {
		a = step(a, words[i], words[i + LANES], factors[0]);
		b = step(b, words[i + 1], words[i + LANES + 1], factors[1]);
		c = step(c, words[i + 2], words[i + LANES + 2], factors[2]);
		d = step(d, words[i + 3], words[i + LANES + 3], factors[3]);
	}
	return fold(step(step(a, b, c, factors[1]), d, 0, factors[3]));
}

bool swap_is_zero(const struct page *page)
{
	const uint64_t *words = page_data(page);

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*words); i += LANES) {
		if (words[i] | words[i + 1] | words[i + 2] | words[i + 3])
			return false;
	}
	return true;
}
