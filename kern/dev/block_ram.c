/*
 * Block devices of RAM: "ram0" and so on, as large as the command line says ("swap=ram:MiB"). Their memory is
 * taken at boot, before the page allocator begins (memory_init.c), and belongs to nobody else ever after.
 *
 * A request is done when block_submit() returns, for one copy a page: what a program that pages costs in instructions can be
 * counted with it.
 */
#include <asm/errno.h>
#include <linux/major.h>
#include <kern/block.h>
#include <kern/inode.h>
#include <kern/kern.h>

#include "block_inject.h"

#define RAM_WORD       "ram:"
#define RAM_WORD_BYTES 4
#define MEBI_SHIFT     20
#define MAX_MEBIBYTES  (1u << 20)
#define DECIMAL        10u
#define BITS           8u /* of a byte */

/* Set while the system starts. */
struct ram_device {
	struct block_device block;
	struct injector injector;
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

static bool is_ram_word(const char *word)
{
	return strlen(word) >= RAM_WORD_BYTES && memcmp(word, RAM_WORD, RAM_WORD_BYTES) == 0;
}

/* The word that the n-th device is made by. */
static const char *ram_word(unsigned n)
{
	const char *word;

	for (unsigned i = 0; (word = cmdline_nth("swap", i)) != NULL; i++)
		if (is_ram_word(word) && n-- == 0)
			return word;
	return "";
}

unsigned block_ram_wanted(uint64_t sizes[BLOCK_MAX_RAM])
{
	unsigned count = 0;
	const char *word;

	for (unsigned n = 0; (word = cmdline_nth("swap", n)) != NULL; n++) {
		if (!is_ram_word(word))
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

/* Moves the first `count` pages of a request, to or from a place that may be another than it asks for. */
static void move(struct ram_device *ram, const struct block_request *request, uint64_t sector, unsigned count)
{
	char *at = ram->memory + sector * BLOCK_SECTOR_BYTES;

	for (unsigned i = 0; i < count; i++, at += PAGE_SIZE) {
		if (request->op == BLOCK_READ)
			memcpy(page_data(request->pages[i]), at, PAGE_SIZE);
		else
			memcpy(at, page_data(request->pages[i]), PAGE_SIZE);
	}
}

static void submit(struct block_device *device, struct block_request *request)
{
	move((struct ram_device *)device, request, request->sector, request->count);
	block_complete(request, 0);
}

static const struct block_ops ram_ops = {.driver = "RAM", .submit = submit};

/* ---- Requests to a device with faults --------------------------------------------------------------------------- */

/* A request was held, and its time has come. */
static void answer(struct block_request *request, int status)
{
	if (status == 0)
		move((struct ram_device *)request->device, request, request->sector, request->count);
	block_complete(request, status);
}

/* A place for the request's pages anywhere on the device, on a page. */
static uint64_t other_sector(struct ram_device *ram, const struct block_request *request)
{
	return inject_random(&ram->injector, block_pages(&ram->block) - request->count + 1) *
	       BLOCK_PAGE_SECTORS;
}

static void flip_bit(struct ram_device *ram, const struct block_request *request)
{
	uint64_t bit = inject_random(&ram->injector, request->count * PAGE_SIZE * BITS);
	uint8_t *data = page_data(request->pages[bit / (PAGE_SIZE * BITS)]);

	data[bit / BITS % PAGE_SIZE] ^= (uint8_t)(1u << bit % BITS);
}

static void submit_faulty(struct block_device *device, struct block_request *request)
{
	struct ram_device *ram = (struct ram_device *)device;
	enum injected fault = inject_choose(&ram->injector, request);
	unsigned count = request->count;
	uint64_t sector = request->sector;
	int status = 0;

	if (fault == INJECT_DELAY || fault == INJECT_SILENT) {
		inject_hold(&ram->injector, request, fault);
		return;
	}
	if (fault == INJECT_READ_ERROR || fault == INJECT_WRITE_ERROR)
		status = -EIO;
	if (fault == INJECT_SHORT)
		status = -ENODATA;
	if (status || fault == INJECT_LOST)
		count = fault == INJECT_SHORT ? count / 2 : 0;
	if (fault == INJECT_MISDIRECTED)
		sector = other_sector(ram, request);
	move(ram, request, sector, count);
	if (fault == INJECT_FLIP)
		flip_bit(ram, request);
	block_complete(request, status);
}

static void work_faulty(struct block_device *device)
{
	inject_work(&((struct ram_device *)device)->injector);
}

static const struct block_ops faulty_ops = {
	.driver = "RAM with faults", .submit = submit_faulty, .work = work_faulty};

void block_ram_report(void)
{
	for (unsigned n = 0; n < BLOCK_MAX_RAM; n++)
		inject_report(&ram_devices[n].injector, ram_devices[n].block.name);
}

void block_ram_init(void)
{
	for (unsigned n = 0; n < BLOCK_MAX_RAM; n++) {
		struct block_device *device = &ram_devices[n].block;

		if (!ram_devices[n].memory)
			continue;
		env_format(device->name, sizeof(device->name), "ram%u", n);
		device->number = DEVICE_NUMBER(RAMDISK_MAJOR, n);
		inject_init(&ram_devices[n].injector, ram_word(n), answer);
		device->synchronous = !ram_devices[n].injector.on;
		device->ops = device->synchronous ? &ram_ops : &faulty_ops;
		block_register(device);
	}
}
