/*
 * Faults on purpose, for block devices of RAM (block_inject.c).
 */
#ifndef DEV_BLOCK_INJECT_H
#define DEV_BLOCK_INJECT_H

#include <kern/block.h>

/* What goes wrong with a request. */
enum injected {
	INJECT_READ_ERROR,
	INJECT_WRITE_ERROR,
	INJECT_SHORT,       /* a read moves half, and says so */
	INJECT_LOST,        /* a write is done, it says, and nothing was written */
	INJECT_MISDIRECTED, /* a write goes to another place */
	INJECT_FLIP,        /* a bit of what is read is wrong */
	INJECT_DELAY,
	INJECT_SILENT, /* neither this nor any later request is answered */
	INJECT_KINDS,
	INJECT_NOTHING = INJECT_KINDS
};

/* Locks: (-) set while the system starts; (l) its lock; (a) atomic. */
struct injector {
	struct spinlock lock;          /* RANK_BLOCK */
	bool on;                       /* (-) there are rules */
	uint32_t one_in[INJECT_KINDS]; /* (-) of so many requests one has the fault, by chance; 0: none */
	uint64_t random;               /* (l) */
	uint64_t counts[INJECT_KINDS]; /* (l) */
	uint64_t requests;             /* (l) */
	_Atomic bool given_up;         /* (a) a request was not answered in time: no other is waited for */
	struct block_list held;        /* (l) not answered yet, by `due` */
	struct timer timer;            /* (-) */
	void (*answer)(struct block_request *request, int status); /* (-) when its time has come */
};

/*
 * Reads the rules of a device from the word that it is made by: what follows ",inject:", "name=N" with colons between. False: there is one that makes no
 * sense, which is logged; then there are none.
 */
bool inject_init(struct injector *injector, const char *word,
		 void (*answer)(struct block_request *request, int status));

/* What shall be wrong with a request. */
enum injected inject_choose(struct injector *injector, const struct block_request *request);

/* Answers a request later: after a while with 0, or if it is INJECT_SILENT with -ETIMEDOUT when a disk would be given up. */
void inject_hold(struct injector *injector, struct block_request *request, enum injected why);

/* Answers what is due. */
void inject_work(struct injector *injector);

/* A random number below `limit`. */
uint64_t inject_random(struct injector *injector, uint64_t limit);

/* A line of what was injected. */
void inject_report(struct injector *injector, const char *name);

#endif
