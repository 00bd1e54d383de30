/*
 * Faults on purpose: which of a block device's requests shall fail, lie or wait, by rules of the command line and a seed. What a
 * fault does to the contents is the device's business (block_ram.c); here are the rules, the chance and the waiting.
 */
#include <asm/errno.h>
#include <kern/kern.h>

#include "block_inject.h"

#define INJECT_WORD ",inject:"
#define SEED        "seed"
#define DECIMAL     10u
#define MAX_NUMBER  1000000000u
#define DELAY_NS    5000000ull
#define SECOND_NS   1000000000ull
#define MULTIPLIER  6364136223846793005ull /* of a linear congruential generator (Knuth, MMIX) */
#define INCREMENT   1442695040888963407ull
#define GOOD_BITS   33 /* its lower bits are not random enough */

static const char *const names[INJECT_KINDS] = {
	[INJECT_READ_ERROR] = "read-error",
	[INJECT_WRITE_ERROR] = "write-error",
	[INJECT_SHORT] = "short",
	[INJECT_LOST] = "lost",
	[INJECT_MISDIRECTED] = "misdirected",
	[INJECT_FLIP] = "flip",
	[INJECT_DELAY] = "delay",
	[INJECT_SILENT] = "silent",
};

/* ---- Rules -------------------------------------------------------------------------------------------------- */

/* "name=" at the beginning of a text: where the number begins; NULL: it is another name. */
static const char *after_name(const char *text, const char *name)
{
	size_t length = strlen(name);

	return strlen(text) > length && memcmp(text, name, length) == 0 && text[length] == '='
		       ? text + length + 1
		       : NULL;
}

/* Takes one rule, and *text on to what is behind it. False: it makes no sense. */
static bool take_rule(struct injector *injector, const char **text)
{
	const char *at = after_name(*text, SEED);
	uint64_t number = 0;
	unsigned kind = 0;

	for (; !at && kind < INJECT_KINDS; kind++)
		at = after_name(*text, names[kind]);
	if (!at || *at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9' && number <= MAX_NUMBER; at++)
		number = number * DECIMAL + (uint64_t)(*at - '0');
	if (kind == 0)
		injector->random = number;
	else
		injector->one_in[kind - 1] = (uint32_t)number;
	*text = at;
	return number <= MAX_NUMBER && (*at == ':' || *at == ',' || *at == '\0');
}

static void answer_due(struct timer *timer)
{
	inject_work((struct injector *)((char *)timer - offsetof(struct injector, timer)));
}

bool inject_init(struct injector *injector, const char *word,
		 void (*answer)(struct block_request *request, int status))
{
	*injector = (struct injector){.answer = answer};
	spin_init(&injector->lock, RANK_BLOCK, "faults");
	TAILQ_INIT(&injector->held);
	timer_init(&injector->timer, answer_due);
	while (*word &&
	       !(strlen(word) > strlen(INJECT_WORD) && memcmp(word, INJECT_WORD, strlen(INJECT_WORD)) == 0))
		word++;
	if (!*word)
		return true;
	word += strlen(INJECT_WORD) - 1;
	while (*word == ':') {
		word++;
		if (!take_rule(injector, &word)) {
			env_log("phoenix: swap: a rule for faults makes no sense, and none is used: %s",
				word);
			return false;
		}
	}
	injector->on = true;
	return true;
}

/* ---- Chance ---------------------------------------------------------------------------------------------------- */

/* The lock is held. */
static uint64_t next_random(struct injector *injector, uint64_t limit)
{
	injector->random = injector->random * MULTIPLIER + INCREMENT;
	return (injector->random >> GOOD_BITS) % limit;
}

uint64_t inject_random(struct injector *injector, uint64_t limit)
{
	uint64_t number;

	spin_lock(&injector->lock);
	number = next_random(injector, limit);
	spin_unlock(&injector->lock);
	return number;
}

static bool concerns(enum injected kind, enum block_op op)
{
	switch (kind) {
	case INJECT_READ_ERROR:
	case INJECT_SHORT:
	case INJECT_FLIP:
		return op == BLOCK_READ;
	case INJECT_WRITE_ERROR:
	case INJECT_LOST:
	case INJECT_MISDIRECTED:
		return op == BLOCK_WRITE;
	default:
		return op != BLOCK_FLUSH;
	}
}

/* "silent=N" is not by chance: from the N-th request on. */
enum injected inject_choose(struct injector *injector, const struct block_request *request)
{
	enum injected chosen = INJECT_NOTHING;

	spin_lock(&injector->lock);
	injector->requests++;
	if (injector->one_in[INJECT_SILENT] && injector->requests >= injector->one_in[INJECT_SILENT])
		chosen = INJECT_SILENT;
	for (unsigned kind = 0; chosen == INJECT_NOTHING && kind < INJECT_SILENT; kind++)
		if (injector->one_in[kind] && concerns(kind, request->op) &&
		    next_random(injector, injector->one_in[kind]) == 0)
			chosen = kind;
	if (chosen != INJECT_NOTHING)
		injector->counts[chosen]++;
	spin_unlock(&injector->lock);
	return chosen;
}

void inject_report(struct injector *injector, const char *name)
{
	if (!injector->on)
		return;
	for (unsigned kind = 0; kind < INJECT_KINDS; kind++)
		if (injector->one_in[kind])
			env_log("phoenix: %s: injected %s: %llu of %llu requests", name, names[kind],
				(unsigned long long)injector->counts[kind],
				(unsigned long long)injector->requests);
}

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

/* The first in the list whose answer is due comes first: there are few. */
void inject_hold(struct injector *injector, struct block_request *request, enum injected why)
{
	uint64_t seconds = block_timeout_seconds();
	struct block_request *later;

	if (why == INJECT_SILENT && injector->given_up) {
		injector->answer(request, -ETIMEDOUT);
		return;
	}

	request->outcome = why == INJECT_SILENT ? -ETIMEDOUT : 0;
	request->due = time_nanoseconds() + (why == INJECT_SILENT ? seconds * SECOND_NS : DELAY_NS);
	if (why == INJECT_SILENT && seconds == 0)
		request->due = TIME_NEVER;
	spin_lock(&injector->lock);
	TAILQ_FOREACH(later, &injector->held, link)
	if (later->due > request->due)
		break;
	if (later)
		TAILQ_INSERT_BEFORE(later, request, link);
	else
		TAILQ_INSERT_TAIL(&injector->held, request, link);
	timer_start(&injector->timer, TAILQ_FIRST(&injector->held)->due);
	spin_unlock(&injector->lock);
}

/* Takes a request that is due; NULL: none is, and the timer runs for the next. */
static struct block_request *take_due(struct injector *injector)
{
	struct block_request *first;

	spin_lock(&injector->lock);
	first = TAILQ_FIRST(&injector->held);
	if (first && first->due <= time_nanoseconds()) {
		TAILQ_REMOVE(&injector->held, first, link);
	} else if (first) {
		timer_start(&injector->timer, first->due);
		first = NULL;
	}
	spin_unlock(&injector->lock);
	return first;
}

void inject_work(struct injector *injector)
{
	struct block_request *request;

	while ((request = take_due(injector)) != NULL) {
		injector->given_up |= request->outcome == -ETIMEDOUT;
		injector->answer(request, request->outcome);
	}
}
