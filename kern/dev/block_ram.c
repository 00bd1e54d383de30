/*
 * Block devices of RAM: "ram0" and so on, as large as the command line says ("swap=ram:MiB"). Their memory is
 * taken at boot, before the page allocator begins (memory_init.c), and belongs to nobody else ever after.
 *
 * A request is done when block_submit() returns, for one copy a page: what a program that pages costs in instructions can be
 * counted with it.
 */
#include <linux/major.h>
#include <kern/block.h>
#include <kern/inode.h>
#include <kern/kern.h>

#define RAM_WORD       "ram:"
#define RAM_WORD_BYTES 4
#define MEBI_SHIFT     20
#define MAX_MEBIBYTES  (1u << 20)
#define DECIMAL        10u

/* Set while the system starts. */
struct ram_device {
	struct block_device block;
	char *memory; /* NULL: there was no room for it */
};

static struct ram_device ram_devices[BLOCK_MAX_RAM];

/* ---- How much, and where --------------------------------------------------------------------------------- */

/* The size at the beginning of what follows "ram:"; 0: there is none, or it is too large. */
static uint64_t parse_mebibytes(const char *text)
{
	uint64_t number = 0;

	for (; *text >= '0' && *text <= '9' && number < MAX_MEBIBYTES; text++)
		number = number * DECIMAL + (uint64_t)(*text - '0');
	return (*text == '\0' || *text == ',') && number <= MAX_MEBIBYTES ? number << MEBI_SHIFT : 0;
}

unsigned block_ram_wanted(uint64_t sizes[BLOCK_MAX_RAM])
{
	unsigned count = 0;
	const char *word;

	for (unsigned n = 0; (word = cmdline_nth("swap", n)) != NULL; n++) {
		if (strlen(word) < RAM_WORD_BYTES || memcmp(word, RAM_WORD, RAM_WORD_BYTES) != 0)
			continue;
		if (count == BLOCK_MAX_RAM) {
			env_log("phoenix: swap=%s: there may be %u devices of RAM", word, BLOCK_MAX_RAM);
			break;
		}
		sizes[count] = parse_mebibytes(word + RAM_WORD_BYTES);
		if (sizes[count] == 0)
			env_log("phoenix: swap=%s: the size is not a number of MiB, 1 to %u", word,
				MAX_MEBIBYTES);
		count++;
	}
	return count;
}

void block_ram_give(unsigned n, paddr_t start, uint64_t bytes)
{
	ram_devices[n].memory = env_phys_to_virt(start);
	ram_devices[n].block.sectors = bytes / BLOCK_SECTOR_BYTES;
}

/* ---- Requests ---------------------------------------------------------------------------------------------- */

static void submit(struct block_device *device, struct block_request *request)
{
	char *at = ((struct ram_device *)device)->memory + request->sector * BLOCK_SECTOR_BYTES;

	for (unsigned i = 0; i < request->count; i++, at += PAGE_SIZE) {
		if (request->op == BLOCK_READ)
			memcpy(page_data(request->pages[i]), at, PAGE_SIZE);
		else
			memcpy(at, page_data(request->pages[i]), PAGE_SIZE);
	}
	block_complete(request, 0);
}

static const struct block_ops ram_ops = {.driver = "RAM", .submit = submit};

void block_ram_init(void)
{
	for (unsigned n = 0; n < BLOCK_MAX_RAM; n++) {
		struct block_device *device = &ram_devices[n].block;

		if (!ram_devices[n].memory)
			continue;
		env_format(device->name, sizeof(device->name), "ram%u", n);
		device->number = DEVICE_NUMBER(RAMDISK_MAJOR, n);
		device->synchronous = true;
		device->ops = &ram_ops;
		block_register(device);
	}
}
