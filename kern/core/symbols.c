/*
 * Which function an address is in, from the table that the build makes out of the linked kernel
 * (tools; the table is empty in the build's first link).
 */
#include <image.h>
#include <kern/kern.h>

/* Made by tools/ksyms: by address, which fits 32 bits in the low 2 GB. */
struct symbol {
	uint32_t address;
	uint32_t name_offset; /* in kernel_symbol_names */
};

extern const struct symbol kernel_symbols[];
extern const uint32_t kernel_symbol_count;
extern const char kernel_symbol_names[];

const char *symbol_name(uint64_t address, uint64_t *offset)
{
	uint32_t low = 0, high = kernel_symbol_count;

	/* The last symbol at or below the address. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (kernel_symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || address >= (uint64_t)kernel_text_end)
		return NULL;
	*offset = address - kernel_symbols[low - 1].address;
	return kernel_symbol_names + kernel_symbols[low - 1].name_offset;
}
