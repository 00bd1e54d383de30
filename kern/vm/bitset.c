/*
 * Sets of small numbers, with a summary above each level (bitset.h).
 */
#include <vm/env.h>

#include "bitset.h"

#define WORD_BITS 64u

static uint64_t words_for(uint64_t bits)
{
	return (bits + WORD_BITS - 1) / WORD_BITS;
}

size_t bitset_words(uint64_t bits)
{
	size_t words = 0;

	ASSERT(bits > 0);
	do {
		bits = words_for(bits);
		words += bits;
	} while (bits > 1);
	return words;
}

void bitset_init(struct bitset *set, uint64_t bits, uint64_t *words)
{
	ASSERT(bits > 0);
	set->bits = bits;
	set->levels = 0;
	do {
		ASSERT(set->levels < BITSET_LEVELS);
		set->words[set->levels++] = words;
		bits = words_for(bits);
		words += bits;
	} while (bits > 1);
}

void bitset_add(struct bitset *set, uint64_t number)
{
	DEBUG_ASSERT(number < set->bits);
	for (unsigned level = 0; level < set->levels; level++, number /= WORD_BITS)
		set->words[level][number / WORD_BITS] |= (uint64_t)1 << (number % WORD_BITS);
}

void bitset_remove(struct bitset *set, uint64_t number)
{
	DEBUG_ASSERT(number < set->bits);
	for (unsigned level = 0; level < set->levels; level++, number /= WORD_BITS) {
		uint64_t *word = &set->words[level][number / WORD_BITS];

		*word &= ~((uint64_t)1 << (number % WORD_BITS));
		if (*word)
			return;
	}
}

/* Up until a word has something at or after the place, and down again to its first. */
uint64_t bitset_next(const struct bitset *set, uint64_t from)
{
	uint64_t number = from, count = set->bits;
	uint64_t rest = 0;
	unsigned level;

	for (level = 0; level < set->levels; level++) {
		if (number < count)
			rest = set->words[level][number / WORD_BITS] >> (number % WORD_BITS);
		if (rest)
			break;
		number = number / WORD_BITS + 1;
		count = words_for(count);
	}
	if (!rest)
		return BITSET_NONE;
	number += (unsigned)__builtin_ctzll(rest);
	while (level-- > 0)
		number = number * WORD_BITS + (unsigned)__builtin_ctzll(set->words[level][number]);
	return number;
}
