/*
 * The model's pagers with contents of their own: one lends its pages, the other makes copies.
 *
 * Contents follow from the tree index alone. Both say of every fifth index that they have nothing there. Neither
 * takes pages, so what is dirty in their blobs goes to the store. The pager that takes pages is store.c's.
 */
#include "model_internal.h"

#define LENT_PAGES 64u /* index modulo this: contents */

static struct pager lending, copying;
static struct page *lent[LENT_PAGES]; /* made when first asked for */

static struct {
	bool armed, failed;
	unsigned after;
} failing;

bool pager_has_index(enum model_kind kind, pgoff_t index)
{
	return kind != KIND_STORED && index % 5 != 3;
}

void pager_contents(pgoff_t index, uint8_t *to)
{
	model_pattern(0x7a6e000000000001ul + index % LENT_PAGES, to, PAGE_SIZE);
}

static bool has_page(struct pager *pager, pgoff_t index)
{
	return pager_has_index(pager == &lending ? KIND_LENDING : KIND_COPYING, index);
}

static bool fails_now(void)
{
	if (!failing.armed)
		return false;
	if (failing.after > 0) {
		failing.after--;
		return false;
	}
	failing.armed = false;
	failing.failed = true;
	return true;
}

/* One page: 0, or -ENOMEM. */
static int provide(enum page_state state, pgoff_t index, struct page **out)
{
	*out = page_alloc(state, 0);
	if (!*out)
		return -ENOMEM;
	pager_contents(index, page_data(*out));
	return 0;
}

static int lend(pgoff_t index, struct page **out)
{
	struct page **mine = &lent[index % LENT_PAGES];

	if (!*mine && provide(PAGE_KERNEL, index, mine))
		return -ENOMEM;
	page_ref(*mine);
	*out = *mine;
	return 0;
}

static int get_pages(struct pager *pager, const struct page_wanted *wanted, unsigned count, struct page **out)
{
	AGREE(count >= 1 && count <= PAGER_CLUSTER);
	if (fails_now())
		return -EIO;
	for (unsigned i = 0; i < count; i++) {
		pgoff_t index = wanted[i].index;
		int error;

		/* It is asked for what it said that it has, and never had to do with locations. */
		if (!AGREE(has_page(pager, index)) || !AGREE_EQ(wanted[i].location, 0) ||
		    !AGREE_EQ(index, wanted[0].index + i))
			return -EIO;
		error = pager == &lending ? lend(index, &out[i]) : provide(PAGE_BLOB, index, &out[i]);
		if (error)
			return i > 0 ? (int)i : error;
	}
	return (int)count;
}

static void destroy(struct pager *pager)
{
	AGREE(!pager && "the model has a reference");
}

static const struct pager_ops ops = {
	.name = "model", .get_pages = get_pages, .has_page = has_page, .destroy = destroy};

void pagers_open(void)
{
	lending = (struct pager){.ops = &ops, .refs = 1};
	copying = (struct pager){.ops = &ops, .refs = 1};
	memset(lent, 0, sizeof(lent));
	memset(&failing, 0, sizeof(failing));
}

void pagers_close(void)
{
	static uint8_t contents[PAGE_SIZE];

	AGREE_EQ(lending.refs, 1);
	AGREE_EQ(copying.refs, 1);
	for (unsigned i = 0; i < LENT_PAGES; i++) {
		if (!lent[i])
			continue;
		/* Nobody has it any more, and nobody has written to it. */
		pager_contents(i, contents);
		AGREE_EQ(lent[i]->refs, 1);
		AGREE(memcmp(page_data(lent[i]), contents, PAGE_SIZE) == 0);
		page_free(lent[i]);
	}
}

struct pager *pager_get(enum model_kind kind)
{
	struct pager *pager = kind == KIND_LENDING   ? &lending
			      : kind == KIND_COPYING ? &copying
						     : store_pager();

	pager->refs++;
	return pager;
}

void pagers_fail_io(unsigned after)
{
	failing.armed = true;
	failing.failed = false;
	failing.after = after;
}

bool pagers_fail_stop(void)
{
	failing.armed = false;
	return failing.failed;
}
