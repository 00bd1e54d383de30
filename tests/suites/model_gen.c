/*
 * Streams out of seeds.
 *
 * Every operation follows from the seed and its number alone, so that a stream can be begun anywhere. A seed also chooses
 * moods, which change every few hundred operations: in each some kinds of operations are favoured, so that streams get into
 * corners that an even mixture does not reach.
 */
#include "model_internal.h"

#define MOOD_STEPS   400u
#define MOOD_WEIGHT  12u /* of what a mood favours, against what it does not */
#define FAVOURITES   3u
#define FAILING_SEED 3u /* modulo 4 */
#define SWAP_SEEDS   6u /* and more, modulo 8 */

/* Steele, Lea and Flood's splitmix: a number is as good as the one it is made of. */
static uint64_t scramble(uint64_t number)
{
	number += 0x9e3779b97f4a7c15ul;
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ul;
	number = (number ^ number >> 27) * 0x94d049bb133111ebul;
	return number ^ number >> 31;
}

static unsigned weight_of(unsigned kind, uint64_t mood)
{
	unsigned weight = stream_kinds[kind].weight;

	for (unsigned i = 0; i < FAVOURITES; i++) {
		if ((mood >> 16 * i & 0xffff) % stream_kind_count == kind)
			return weight < MOOD_WEIGHT ? weight * MOOD_WEIGHT : weight * 2;
	}
	return weight;
}

static uint8_t choose_kind(uint64_t random, uint64_t mood)
{
	unsigned total = 0;
	unsigned kind = 0;

	for (unsigned i = 0; i < stream_kind_count; i++)
		total += weight_of(i, mood);
	random %= total;
	while (random >= weight_of(kind, mood))
		random -= weight_of(kind++, mood);
	return kind;
}

/* Mostly nothing fails; else allocations more often than I/O, of which there is more with swap, and the first ones more often than later ones. */
static uint8_t choose_failure(uint64_t random, bool swaps)
{
	if (random % 4 != 0)
		return 0;
	random >>= 2;
	return random % (swaps ? 2 : 4) == 0 ? 128 + (random >> 2) % 3
					     : 1 + (random >> 2) % (1u << (random >> 8) % 5);
}

bool stream_swaps(uint64_t seed)
{
	return seed % 8 >= SWAP_SEEDS;
}

void stream_generate(uint64_t seed, uint64_t first, struct stream_op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number = first + i;
		uint64_t random = scramble(seed * 0xd1342543de82ef95ul ^ scramble(number));
		uint64_t more = scramble(random);
		uint64_t mood = scramble(seed ^ scramble(number / MOOD_STEPS));

		ops[i] = (struct stream_op){
			.kind = choose_kind(random >> 8, mood),
			.cpu = random,
			.fail = seed % 4 == FAILING_SEED ? choose_failure(scramble(more), stream_swaps(seed))
							 : 0,
			.odd = random >> 48,
			.who = {more, more >> 16},
			.at = {more >> 32, more >> 48},
			.size = scramble(more + 1),
			.how = scramble(more + 2),
		};
	}
}
