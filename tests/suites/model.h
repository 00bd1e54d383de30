/*
 * Random streams of all public operations of the VM, and a naive model in lockstep with them.
 *
 * An operation is a few numbers that mean something in any state: what they choose from (blobs, maps, pages, rights)
 * is taken modulo what there is. So any bytes are a stream, and any part of a stream is one: fuzzers make them up, and
 * whoever shrinks a stream leaves operations out. The model predicts what each operation returns and what everything
 * looks like afterwards; what it knows is in model_internal.h. Compiles for the kernel and for the host.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <vm/types.h>

/* 16 bytes, all of whose values are valid. */
struct stream_op {
	uint8_t kind; /* modulo STREAM_KINDS: an index of stream_kinds[] */
	uint8_t cpu;  /* modulo the CPUs there are: does it */
	uint8_t fail; /* 0: nothing fails; 1 to 127: allocation number `fail` fails; from 128 on: I/O number fail - 127 */
	uint8_t odd; /* 0 to 223: valid arguments, as far as the choices go; from 224 on: one that is wrong, and which */
	uint16_t who[2]; /* the objects: blob, map, entity, ... */
	uint16_t at[2];  /* places: pages, bytes */
	uint16_t size;
	uint16_t how; /* rights, flags, contents */
};

/* What kinds there are; `weight` is how often stream_generate() makes them. */
struct stream_kind {
	const char *name;
	unsigned weight;
};
extern const struct stream_kind stream_kinds[];
extern const unsigned stream_kind_count;

/*
 * Operations `first` to `first` + `count` - 1 of the stream that a seed stands for, which has no end: the same in every
 * run, on the host and in the kernel. Streams differ in what they are mostly made of; with seeds that are 3 modulo 4, operations fail;
 * with those that are 6 and 7 modulo 8, stream_swaps().
 */
void stream_generate(uint64_t seed, uint64_t first, struct stream_op *ops, size_t count);

bool stream_swaps(uint64_t seed);

/*
 * Runs a stream from a fresh state, in which the model and the VM agree, to its end, where everything is given up again and memory is
 * what it was before. `swaps`: pages go to swap, on disks that come and go, and err; else to a store of the tests'. Returns the first operation that did not do what the model says, whose number is `count`
 * if it is the end that is not as it should be; or -1. What is wrong has been printed then, as lines that begin with "#".
 * Broken invariants of the VM panic. Not for several threads at once.
 */
ptrdiff_t stream_run(const struct stream_op *ops, size_t count, bool swaps);

/*
 * The same without all operations at hand at once: begin, any number of steps while they return true, end.
 */
bool stream_begin(bool swaps);
bool stream_step(const struct stream_op *op);
bool stream_end(void);

/* A digest of all results since stream_begin(): the same on the host and in the kernel where nothing was made to fail, or went to
 * swap. */
uint64_t stream_digest(void);

/* From now on, prints a line for each operation: its arguments as they turned out, and the result. */
void stream_trace(bool on);

/* Everything is compared after each so many operations; what an operation touched, after each. 64 unless told. */
void stream_compare_every(unsigned operations);

#endif
