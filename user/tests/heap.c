/*
 * malloc: 64 MiB in one piece and as much in many, written and verified; free, realloc, calloc.
 */
#include "check.h"

#define WHOLE_BYTES (64ul << 20)
#define PIECES      4096
#define PIECE_BYTES 16000

static uint64_t *pieces[PIECES];

/* A value for each place that no other place has. */
static uint64_t pattern(uint64_t piece, uint64_t index)
{
	return (piece << 32 | index) * 0x9e3779b97f4a7c15ul;
}

static void fill(uint64_t *memory, size_t bytes, uint64_t piece)
{
	for (size_t i = 0; i < bytes / sizeof(*memory); i++)
		memory[i] = pattern(piece, i);
}

static bool verify(const uint64_t *memory, size_t bytes, uint64_t piece)
{
	for (size_t i = 0; i < bytes / sizeof(*memory); i++) {
		if (memory[i] != pattern(piece, i))
			return false;
	}
	return true;
}

static void test_whole(void)
{
	uint64_t *memory = malloc(WHOLE_BYTES);

	CHECK(memory != NULL);
	if (!memory)
		return;
	fill(memory, WHOLE_BYTES, 1);
	CHECK(verify(memory, WHOLE_BYTES, 1));
	memory = realloc(memory, WHOLE_BYTES + WHOLE_BYTES / 4);
	CHECK(memory != NULL && verify(memory, WHOLE_BYTES, 1));
	free(memory);
}

static void test_pieces(void)
{
	bool all = true;

	for (unsigned i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE_BYTES);
		if (pieces[i])
			fill(pieces[i], PIECE_BYTES, i + 2);
		all = all && pieces[i];
	}
	CHECK(all);
	/* Every other piece makes room for others, of another size. */
	for (unsigned i = 0; i < PIECES; i += 2) {
		free(pieces[i]);
		pieces[i] = malloc(PIECE_BYTES / 2);
		if (pieces[i])
			fill(pieces[i], PIECE_BYTES / 2, i + 2);
	}
	for (unsigned i = 0; i < PIECES; i++) {
		all = all && pieces[i] && verify(pieces[i], i % 2 ? PIECE_BYTES : PIECE_BYTES / 2, i + 2);
		free(pieces[i]);
	}
	CHECK(all);
}

static void test_zero(void)
{
	char *memory = calloc(1, 8ul << 20);
	size_t nonzero = 0;

	CHECK(memory != NULL);
	for (size_t i = 0; memory && i < 8ul << 20; i++)
		nonzero += memory[i] != 0;
	CHECK(nonzero == 0);
	free(memory);
	errno = 0;
	memory = malloc(1ul << 60);
	CHECK(memory == NULL && errno == ENOMEM);
}

int main(void)
{
	test_whole();
	test_pieces();
	test_zero();
	return checks_end("heap");
}
