/*
 * What is in pages: clearing and copying them, by the contract of include/vm/pmap.h. Page tables are pmap.c's business.
 */
#include <hw.h>
#include <vm/page.h>
#include <vm/pmap.h>

void pmap_zero_page(struct page *page)
{
	fill_words(page_data(page), 0, PAGE_SIZE / sizeof(uint64_t));
}

void pmap_zero_run(struct page *first, size_t count)
{
	fill_words(page_data(first), 0, count * (PAGE_SIZE / sizeof(uint64_t)));
}

void pmap_copy_page(struct page *to, const struct page *from)
{
	copy_words(page_data(to), page_data(from), PAGE_SIZE / sizeof(uint64_t));
}
