/*
 * PCI: configuration by ports 0xcf8 and 0xcfc ("mechanism 1"), which every PC has, bridges, capabilities, MSI-X.
 *
 * What a function says is not believed further than it must be: lists are followed for as many steps as they can have, sizes are checked
 * where they are mapped. (PCI Local Bus Specification 3.0, 3.2.2.3, 6.2, 6.7, 6.8.2; PCI-to-PCI Bridge Architecture 1.2, 3.2.)
 */
#include <linux/pci_regs.h>
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/pci.h>
#include <vm/vm.h>

#define CONFIG_ADDRESS    0xcf8
#define CONFIG_DATA       0xcfc
#define CONFIG_ENABLE     (1u << 31)
#define CONFIG_BUS        16
#define CONFIG_DEVICE     11
#define CONFIG_FUNCTION   8
#define CONFIG_BYTES      256u
#define DEVICES           32u
#define FUNCTIONS         8u
#define BUSES             256u
#define NO_VENDOR         0xffff
#define SEVERAL_FUNCTIONS 0x80   /* in PCI_HEADER_TYPE */
#define CLASS_BRIDGE      0x0604 /* PCI to PCI; in the upper half of PCI_CLASS_REVISION */
#define MAX_CAPABILITIES  48u    /* as many as fit behind the header */
#define CAPABILITY_ALIGN  3u     /* the two lowest bits of a pointer are to be ignored */
#define BAR_BYTES         4u
#define SECOND_HALF       32

/* ---- Configuration ----------------------------------------------------------------------------------------- */

static void choose(const struct pci_function *function, unsigned offset)
{
	DEBUG_ASSERT(offset < CONFIG_BYTES);
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)function->bus << CONFIG_BUS |
				     (uint32_t)function->device << CONFIG_DEVICE |
				     (uint32_t)function->function << CONFIG_FUNCTION |
				     (offset & ~CAPABILITY_ALIGN));
}

uint32_t pci_read32(const struct pci_function *function, unsigned offset)
{
	choose(function, offset);
	return inl(CONFIG_DATA);
}

uint16_t pci_read16(const struct pci_function *function, unsigned offset)
{
	choose(function, offset);
	return inw((uint16_t)(CONFIG_DATA + (offset & 2)));
}

uint8_t pci_read8(const struct pci_function *function, unsigned offset)
{
	choose(function, offset);
	return inb((uint16_t)(CONFIG_DATA + (offset & 3)));
}

void pci_write32(const struct pci_function *function, unsigned offset, uint32_t value)
{
	choose(function, offset);
	outl(CONFIG_DATA, value);
}

void pci_write16(const struct pci_function *function, unsigned offset, uint16_t value)
{
	choose(function, offset);
	outw((uint16_t)(CONFIG_DATA + (offset & 2)), value);
}

unsigned pci_capability(const struct pci_function *function, uint8_t id, unsigned after)
{
	unsigned offset;

	if (!(pci_read16(function, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	offset = pci_read8(function, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST);
	for (unsigned step = 0; step < MAX_CAPABILITIES; step++) {
		offset &= ~CAPABILITY_ALIGN;
		if (offset < PCI_STD_HEADER_SIZEOF)
			return 0;
		if (pci_read8(function, offset + PCI_CAP_LIST_ID) == id)
			return offset;
		offset = pci_read8(function, offset + PCI_CAP_LIST_NEXT);
	}
	return 0;
}

/* ---- Finding functions ----------------------------------------------------------------------------------------- */

/* The buses that are still to be looked at. */
struct search {
	void (*visit)(const struct pci_function *function);
	uint8_t buses[BUSES];
	unsigned count;
	bool known[BUSES];
};

static void add_bus(struct search *search, uint8_t bus)
{
	if (search->known[bus])
		return;
	search->known[bus] = true;
	search->buses[search->count++] = bus;
}

/* False: there is no such function. */
static bool look_at(struct search *search, uint8_t bus, unsigned device, unsigned number)
{
	struct pci_function function = {.bus = bus, .device = (uint8_t)device, .function = (uint8_t)number};

	function.vendor_id = pci_read16(&function, PCI_VENDOR_ID);
	if (function.vendor_id == NO_VENDOR)
		return false;
	function.device_id = pci_read16(&function, PCI_DEVICE_ID);
	if (pci_read16(&function, PCI_CLASS_DEVICE) == CLASS_BRIDGE)
		add_bus(search, pci_read8(&function, PCI_SECONDARY_BUS));
	search->visit(&function);
	return true;
}

static void look_at_device(struct search *search, uint8_t bus, unsigned device)
{
	struct pci_function first = {.bus = bus, .device = (uint8_t)device};

	if (!look_at(search, bus, device, 0) || !(pci_read8(&first, PCI_HEADER_TYPE) & SEVERAL_FUNCTIONS))
		return;
	for (unsigned number = 1; number < FUNCTIONS; number++)
		look_at(search, bus, device, number);
}

void pci_visit(void (*visit)(const struct pci_function *function))
{
	static struct search search; /* too large for a stack */

	search = (struct search){.visit = visit};
	add_bus(&search, 0);
	for (unsigned i = 0; i < search.count; i++)
		for (unsigned device = 0; device < DEVICES; device++)
			look_at_device(&search, search.buses[i], device);
}

/* ---- Registers in memory ----------------------------------------------------------------------------------------- */

volatile void *pci_map(const struct pci_function *function, unsigned bar, uint64_t offset, uint64_t bytes)
{
	unsigned at = PCI_BASE_ADDRESS_0 + bar * BAR_BYTES;
	uint64_t start;
	uint32_t low;

	if (bar >= PCI_STD_NUM_BARS || bytes == 0)
		return NULL;
	low = pci_read32(function, at);
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return NULL;
	start = low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64) {
		if (bar + 1 == PCI_STD_NUM_BARS)
			return NULL;
		start |= (uint64_t)pci_read32(function, at + BAR_BYTES) << SECOND_HALF;
	}
	if (start == 0)
		return NULL;
	return kernel_map_device(start + offset, bytes, CACHE_UNCACHED);
}

void pci_enable(const struct pci_function *function)
{
	pci_write16(function, PCI_COMMAND,
		    pci_read16(function, PCI_COMMAND) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void pci_silence_line(const struct pci_function *function)
{
	pci_write16(function, PCI_COMMAND, pci_read16(function, PCI_COMMAND) | PCI_COMMAND_INTX_DISABLE);
}

/* ---- MSI-X ---------------------------------------------------------------------------------------------------------- */

bool pci_enable_message(const struct pci_function *function, void (*handler)(void *context), void *context)
{
	unsigned at = pci_capability(function, PCI_CAP_ID_MSIX, 0);
	uint32_t table, data;
	uint64_t address;
	volatile uint32_t *entry;

	if (!at)
		return false;
	table = pci_read32(function, at + PCI_MSIX_TABLE);
	entry = pci_map(function, table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET,
			PCI_MSIX_ENTRY_SIZE);
	if (!entry || !irq_add_message(handler, context, &address, &data))
		return false;
	pci_silence_line(function);
	entry[PCI_MSIX_ENTRY_LOWER_ADDR / sizeof(*entry)] = (uint32_t)address;
	entry[PCI_MSIX_ENTRY_UPPER_ADDR / sizeof(*entry)] = (uint32_t)(address >> SECOND_HALF);
	entry[PCI_MSIX_ENTRY_DATA / sizeof(*entry)] = data;
	entry[PCI_MSIX_ENTRY_VECTOR_CTRL / sizeof(*entry)] = 0;
	pci_write16(function, at + PCI_MSIX_FLAGS,
		    (pci_read16(function, at + PCI_MSIX_FLAGS) & ~PCI_MSIX_FLAGS_MASKALL) |
			    PCI_MSIX_FLAGS_ENABLE);
	return true;
}
