/*
 * Paging to block devices: what lies between the store (kern/vm/swap.c), which knows places and pages, and a device (block.c), which knows
 * requests; and the devices that the command line names.
 *
 * A request is on the stack of who waits for it, so nothing is allocated while memory is short.
 */
#include <asm/errno.h>
#include <kern/kern.h>
#include <kern/swap_device.h>

#define USER          "swap" /* who claims a device */
#define FIRST_NEXT    (-2)   /* the first priority that nobody has asked for */
#define MAX_PRIORITY  32767  /* SWAP_FLAG_PRIO_MASK of <linux/swap.h>, which is the kernel's own */
#define RAM_WORD      "ram:"
#define PRIORITY_WORD "pri="
#define DECIMAL       10
#define NODE_BYTES    (sizeof("/dev/") + BLOCK_NAME_BYTES)

/* Locks: (s) swap_lock. */
struct paged_to {
	struct swap_device device;  /* (s) */
	struct block_device *block; /* (s) NULL: not in use */
	char name[NODE_BYTES];      /* (s) */
};

static struct mutex swap_lock = MUTEX_INIT(swap_lock, RANK_EXEC, "swap devices");
static struct paged_to paged_to[SWAP_MAX_DEVICES];
static int next_priority = FIRST_NEXT; /* swap_lock */

/* ---- Requests ------------------------------------------------------------------------------------------ */

static int transfer(struct swap_device *device, bool write, uint64_t first, struct page *const *pages,
		    unsigned count)
{
	struct paged_to *to = (struct paged_to *)device;
	struct block_request request = {
		.op = write ? BLOCK_WRITE : BLOCK_READ, .count = count, .sector = first * BLOCK_PAGE_SECTORS};

	memcpy(request.pages, pages, count * sizeof(*pages));
	return block_io(to->block, &request) ? -EIO : 0;
}

static const struct swap_device_ops ops = {.transfer = transfer};
_Static_assert(PAGER_CLUSTER <= BLOCK_MAX_PAGES, "one request takes a cluster");

/* ---- On and off ------------------------------------------------------------------------------------------- */

/* The entry of a device, NULL: a free one; or NULL. Under swap_lock. */
static struct paged_to *find(const struct block_device *block)
{
	for (unsigned i = 0; i < SWAP_MAX_DEVICES; i++)
		if (paged_to[i].block == block)
			return &paged_to[i];
	return NULL;
}

/* Fills in a free entry. Under swap_lock. */
static int begin(struct paged_to *to, struct block_device *block, uint64_t pages, int priority)
{
	int error = block_claim(block, USER);

	if (error)
		return error;
	env_format(to->name, sizeof(to->name), "/dev/%s", block->name);
	to->block = block;
	to->device = (struct swap_device){.ops = &ops, .name = to->name, .pages = pages};
	error = swap_on(&to->device, priority == SWAP_PRIORITY_NEXT ? next_priority : priority);
	if (error) {
		to->block = NULL;
		block_release(block);
	} else if (priority == SWAP_PRIORITY_NEXT) {
		next_priority--;
	}
	return error;
}

int swap_device_on(struct block_device *block, uint64_t pages, int priority)
{
	struct paged_to *to;
	int error;

	if (block->read_only)
		return -EROFS;
	if (pages > block_pages(block))
		return -EINVAL;
	mutex_lock(&swap_lock);
	to = find(NULL);
	error = to ? begin(to, block, pages ? pages : block_pages(block), priority) : -ENOSPC;
	mutex_unlock(&swap_lock);
	return error;
}

int swap_device_off(struct block_device *block)
{
	struct paged_to *to;
	int error = -EINVAL;

	mutex_lock(&swap_lock);
	to = find(block);
	if (to)
		error = swap_off(&to->device);
	if (!error) {
		to->block = NULL;
		block_release(block);
	}
	mutex_unlock(&swap_lock);
	return error;
}

/* ---- The command line ----------------------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
	return strlen(text) >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* What is after "pri=" up to a comma or the end. False: it is no priority. */
static bool parse_priority(const char *text, int *out)
{
	bool negative = *text == '-';
	int number = 0;

	text += negative;
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9' && number <= MAX_PRIORITY; text++)
		number = number * DECIMAL + (*text - '0');
	*out = negative ? SWAP_PRIORITY_NEXT : number;
	return (*text == '\0' || *text == ',') && number <= (negative ? 1 : MAX_PRIORITY);
}

/* The priority among a word's options, which are behind commas. False: there is one that makes no sense. */
static bool find_priority(const char *word, int *out)
{
	*out = SWAP_PRIORITY_NEXT;
	for (; *word; word++)
		if (*word == ',' && begins(word + 1, PRIORITY_WORD))
			return parse_priority(word + 1 + strlen(PRIORITY_WORD), out);
	return true;
}

/* The device that a word begins with: a name, or "ram:", which is the `ram`-th of those. NULL: there is none. */
static struct block_device *find_device(const char *word, unsigned ram)
{
	char name[NODE_BYTES];
	size_t length = 0;

	if (begins(word, RAM_WORD)) {
		env_format(name, sizeof(name), "ram%u", ram);
		return block_find(name);
	}
	while (word[length] && word[length] != ',')
		length++;
	if (length >= sizeof(name))
		return NULL;
	memcpy(name, word, length);
	name[length] = '\0';
	return block_find(name);
}

static const char *explain(int error)
{
	switch (error) {
	case -EBUSY:
		return "it is in use";
	case -EROFS:
		return "it is read-only";
	case -EINVAL:
		return "it is too small or too large";
	case -ENOSPC:
		return "there are too many";
	default:
		return "there is not enough memory for its bookkeeping";
	}
}

static void start_word(const char *word, unsigned ram)
{
	struct block_device *block = find_device(word, ram);
	int priority, error;

	if (!block) {
		env_log("phoenix: swap=%s: there is no such device", word);
		return;
	}
	if (!find_priority(word, &priority)) {
		env_log("phoenix: swap=%s: the priority is not a number, -1 to %d", word, MAX_PRIORITY);
		return;
	}
	error = swap_device_on(block, 0, priority);
	if (error)
		env_log("phoenix: swap=%s: %s", word, explain(error));
}

void swap_start(void)
{
	const char *word;
	unsigned ram = 0;

	for (unsigned n = 0; (word = cmdline_nth("swap", n)) != NULL; n++) {
		start_word(word, ram);
		ram += begins(word, RAM_WORD);
	}
}

void swap_stop(void)
{
	struct swap_stats stats;

	swap_stats(&stats);
	if (stats.used > 0)
		env_log("phoenix: %llu pages of swap leaked", (unsigned long long)stats.used);
	block_ram_report();
	for (unsigned i = 0; i < SWAP_MAX_DEVICES; i++)
		if (paged_to[i].block)
			(void)swap_device_off(paged_to[i].block);
}
