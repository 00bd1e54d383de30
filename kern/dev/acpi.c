/*
 * ACPI: finding its tables, for this file and others, and as far as it takes to switch the machine off: those that lead
 * to the power-management control register and to the value that means "soft off" (S5).
 *
 * The tables are the firmware's: nothing in them is believed unchecked, and memory that is not mapped is
 * no table. There is no AML interpreter: the name _S5_ is searched for in the DSDT, where firmware defines it
 * as a package of constants. (ACPI specification 6.4, sections 4.8.3, 5.2 and 7.4.2.)
 */
#include <hw.h>
#include <kern/boot.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/layout.h>

#define TABLE_MAX_BYTES (4ul << 20)
#define RSDP_REVISION_2 2

/* Root pointer, 5.2.5.3. */
struct rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from here on: revision 2 */
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

#define RSDP_BYTES_1 20 /* of revision 1 */

/* What every other table begins with, 5.2.6. */
struct table_header {
	char signature[4];
	uint32_t length; /* in bytes, header included */
	uint8_t revision;
	uint8_t checksum; /* makes the sum of all bytes 0 */
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	uint32_t creator;
	uint32_t creator_revision;
} __attribute__((packed));

/* Byte offsets in the FADT, 5.2.9. */
#define FADT_DSDT        40
#define FADT_SMI_COMMAND 48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A        64 /* port of the control register; 0: none */
#define FADT_PM1B        68
#define FADT_X_DSDT      140

/* PM1 control register, 4.8.3.2.1. */
#define PM1_SCI_ENABLED      1u
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK  (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP            (1u << 13)

/* AML, 20.2: Name (_S5_, Package () {a, b, ...}). */
#define AML_NAME         0x08
#define AML_PACKAGE      0x12
#define AML_BYTE         0x0a
#define AML_ZERO         0x00
#define AML_ONE          0x01
#define AML_LENGTH_SHIFT 6 /* the first byte of a length says how many follow */

/* How often to look whether the firmware has handed over, at about 1 us a look. */
#define ENABLE_POLLS 3000000u

/* Did the loader report all of [start, start + bytes)? Below 1 MiB everything may be looked at. */
static bool is_reported(paddr_t start, uint64_t bytes)
{
	if (bytes > TABLE_MAX_BYTES || start > LAYOUT_PHYSICAL_BYTES)
		return false;
	if (start + bytes <= 1ul << 20)
		return true;
	for (size_t i = 0; i < bootinfo.memory_count; i++) {
		if (start >= bootinfo.memory[i].start && start + bytes <= bootinfo.memory[i].end)
			return true;
	}
	return false;
}

/* Where the kernel sees physical memory, if every page of it is really mapped; else NULL. */
static const uint8_t *see(paddr_t start, uint64_t bytes)
{
	const uint8_t *seen = env_phys_to_virt(start);

	if (!is_reported(start, bytes))
		return NULL;
	for (paddr_t page = page_round_down(start); page < start + bytes; page += PAGE_SIZE) {
		uint8_t byte;

		if (!kernel_read_safely(&byte, (vaddr_t)env_phys_to_virt(page), 1))
			return NULL;
	}
	return seen;
}

static bool sums_to_zero(const uint8_t *bytes, size_t count)
{
	uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + *bytes++);
	return sum == 0;
}

/* A whole and valid table with that signature, or NULL. */
static const uint8_t *find_table(paddr_t start, const char *signature, uint32_t *length)
{
	struct table_header header;
	const uint8_t *bytes = start ? see(start, sizeof header) : NULL;

	if (!bytes)
		return NULL;
	memcpy(&header, bytes, sizeof header);
	if (memcmp(header.signature, signature, sizeof header.signature) != 0 ||
	    header.length < sizeof header || !see(start, header.length) ||
	    !sums_to_zero(bytes, header.length))
		return NULL;
	*length = header.length;
	return bytes;
}

static uint64_t read_address(const uint8_t *bytes, size_t size)
{
	uint64_t address = 0;

	memcpy(&address, bytes, size);
	return address;
}

/* Looks through the XSDT or RSDT, which list physical addresses of `entry_bytes` each. */
static const uint8_t *find_in_root(paddr_t root, const char *root_signature, size_t entry_bytes,
				   const char *signature, uint32_t *length)
{
	uint32_t root_length;
	const uint8_t *bytes = find_table(root, root_signature, &root_length);

	if (!bytes)
		return NULL;
	for (size_t at = sizeof(struct table_header); at + entry_bytes <= root_length; at += entry_bytes) {
		const uint8_t *table = find_table(read_address(bytes + at, entry_bytes), signature, length);

		if (table)
			return table;
	}
	return NULL;
}

const uint8_t *acpi_find_table(const char *signature, uint32_t *length)
{
	struct rsdp rsdp = {.revision = 0};
	const uint8_t *bytes = bootinfo.rsdp ? see(bootinfo.rsdp, RSDP_BYTES_1) : NULL;
	const uint8_t *table = NULL;

	if (!bytes || memcmp(bytes, "RSD PTR ", sizeof rsdp.signature) != 0 ||
	    !sums_to_zero(bytes, RSDP_BYTES_1))
		return NULL;
	memcpy(&rsdp, bytes, RSDP_BYTES_1);
	if (rsdp.revision >= RSDP_REVISION_2 && see(bootinfo.rsdp, sizeof rsdp)) {
		memcpy(&rsdp, bytes, sizeof rsdp);
		table = find_in_root(rsdp.xsdt, "XSDT", sizeof(uint64_t), signature, length);
	}
	if (!table)
		table = find_in_root(rsdp.rsdt, "RSDT", sizeof(uint32_t), signature, length);
	return table;
}

/* Reads one constant of a package at *at, and steps over it. */
static bool read_constant(const uint8_t *aml, uint32_t length, uint32_t *at, uint8_t *value)
{
	if (*at < length && aml[*at] == AML_BYTE)
		++*at;
	else if (*at >= length || (aml[*at] != AML_ZERO && aml[*at] != AML_ONE))
		return false;
	if (*at >= length)
		return false;
	*value = aml[(*at)++];
	return true;
}

/* Finds the sleep types of S5 for the registers PM1a and PM1b. */
static bool find_soft_off(const uint8_t *aml, uint32_t length, uint8_t types[2])
{
	for (uint32_t at = sizeof(struct table_header) + 1; at + 8 <= length; at++) {
		uint32_t next = at + 4;

		if (memcmp(aml + at, "_S5_", 4) != 0 || aml[next] != AML_PACKAGE)
			continue;
		if (aml[at - 1] != AML_NAME && aml[at - 1] != '\\')
			continue;
		next += 2 + (aml[next + 1] >> AML_LENGTH_SHIFT); /* the package's length */
		next++;                                          /* how many elements */
		if (read_constant(aml, length, &next, &types[0]) &&
		    read_constant(aml, length, &next, &types[1]))
			return true;
	}
	return false;
}

/* Asks the firmware to leave the power-management registers to us, where it has them still. */
static void enable_acpi(const uint8_t *fadt, uint16_t control)
{
	uint32_t command = (uint32_t)read_address(fadt + FADT_SMI_COMMAND, sizeof command);

	if ((inw(control) & PM1_SCI_ENABLED) || !command || !fadt[FADT_ACPI_ENABLE])
		return;
	outb((uint16_t)command, fadt[FADT_ACPI_ENABLE]);
	for (unsigned i = 0; i < ENABLE_POLLS && !(inw(control) & PM1_SCI_ENABLED); i++)
		cpu_relax();
}

static void enter_sleep(uint16_t control, uint8_t type)
{
	unsigned value = inw(control) & ~(PM1_SLEEP_TYPE_MASK | PM1_SLEEP);

	value |= (unsigned)type << PM1_SLEEP_TYPE_SHIFT & PM1_SLEEP_TYPE_MASK;
	outw(control, (uint16_t)(value | PM1_SLEEP));
}

void acpi_power_off(void)
{
	uint32_t fadt_length, dsdt_length;
	const uint8_t *fadt = acpi_find_table("FACP", &fadt_length), *dsdt = NULL;
	uint16_t control_a, control_b;
	uint8_t types[2];

	if (!fadt || fadt_length < FADT_PM1B + sizeof(uint32_t))
		return;
	if (fadt_length >= FADT_X_DSDT + sizeof(uint64_t))
		dsdt = find_table(read_address(fadt + FADT_X_DSDT, sizeof(uint64_t)), "DSDT", &dsdt_length);
	if (!dsdt)
		dsdt = find_table(read_address(fadt + FADT_DSDT, sizeof(uint32_t)), "DSDT", &dsdt_length);
	if (!dsdt || !find_soft_off(dsdt, dsdt_length, types))
		return;
	control_a = (uint16_t)read_address(fadt + FADT_PM1A, sizeof(uint32_t));
	control_b = (uint16_t)read_address(fadt + FADT_PM1B, sizeof(uint32_t));
	if (!control_a)
		return;
	enable_acpi(fadt, control_a);
	enter_sleep(control_a, types[0]);
	if (control_b)
		enter_sleep(control_b, types[1]);
}
