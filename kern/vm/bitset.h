/*
 * Sets of small numbers, of which the next member after a given one is found in the time of the set's depth: bits, a bit for each word
 * of them that is not 0, and so on up to a single word. Who uses one has a lock for it.
 */
#ifndef KERN_VM_BITSET_H
#define KERN_VM_BITSET_H

#include <vm/types.h>

#define BITSET_LEVELS 6u /* 64^6 numbers */
#define BITSET_NONE   UINT64_MAX

struct bitset {
	uint64_t bits;                  /* numbers below this */
	unsigned levels;                /* the last has one word */
	uint64_t *words[BITSET_LEVELS]; /* of each level */
};

/* The words that a set of numbers below `bits`, at least 1, needs. */
size_t bitset_words(uint64_t bits);

/* An empty set in so many words, which are 0. */
void bitset_init(struct bitset *set, uint64_t bits, uint64_t *words);

void bitset_add(struct bitset *set, uint64_t number);
void bitset_remove(struct bitset *set, uint64_t number);

static inline bool bitset_has(const struct bitset *set, uint64_t number)
{
	return set->words[0][number / 64] >> (number % 64) & 1;
}

/* The 64 numbers around `number`, from a multiple of 64 on. */
static inline uint64_t bitset_word(const struct bitset *set, uint64_t number)
{
	return set->words[0][number / 64];
}

/* The smallest member that is at least `from`; BITSET_NONE: there is none. */
uint64_t bitset_next(const struct bitset *set, uint64_t from);

#endif
