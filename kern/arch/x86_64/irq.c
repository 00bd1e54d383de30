/*
 * Interrupts of devices: from an ISA line to a vector, through an I/O APIC where ACPI's MADT names one, else through the two
 * 8259s; and vectors for devices that send messages straight to the local APIC.
 *
 * Masked are all lines that nobody asked for. All interrupts come to the first CPU. The local APIC is apic.c's, what
 * becomes of an interrupt is seen in trap.c. (Intel 82093AA data sheet; Intel 8259A data sheet; ACPI specification 6.4, 5.2.12;
 * IBM PC/AT wiring.)
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/vm.h>

/* The 8259s. */
#define PIC_MASTER           0x20
#define PIC_SLAVE            0xa0
#define PIC_DATA             1    /* offset of the data port */
#define PIC_ICW1             0x11 /* initialize; ICW4 follows */
#define PIC_ICW4_8086        0x01
#define PIC_CASCADE_LINE     2
#define PIC_MASK_ALL_LINES   0xff
#define PIC_END_OF_INTERRUPT 0x20

/* An I/O APIC: a register is chosen in one place and accessed in another. */
#define IOAPIC_SELECT        0x00u
#define IOAPIC_WINDOW        0x10u
#define IOAPIC_BYTES         0x20u
#define IOAPIC_VERSION       0x01u
#define IOAPIC_LAST_SHIFT    16 /* in IOAPIC_VERSION: the last input's number */
#define IOAPIC_LAST_MASK     0xffu
#define IOAPIC_INPUTS        0x10u /* of input n: 0x10 + 2n, and the next one */
#define INPUT_MASKED         (1u << 16)
#define INPUT_LEVEL          (1u << 15)
#define INPUT_ACTIVE_LOW     (1u << 13)
#define INPUT_DESTINATION    24 /* in the second register */
#define INPUT_DESTINATION_ID 0xffu

/* The MADT: offsets. */
#define MADT_ENTRIES        44
#define MADT_ENTRY_HEADER   2 /* type, length */
#define MADT_IOAPIC         1
#define MADT_IOAPIC_BYTES   12
#define MADT_IOAPIC_ADDRESS 4
#define MADT_IOAPIC_BASE    8
#define MADT_OVERRIDE       2
#define MADT_OVERRIDE_BYTES 10
#define MADT_OVERRIDE_LINE  3
#define MADT_OVERRIDE_INPUT 4
#define MADT_OVERRIDE_FLAGS 8
#define MADT_POLARITY_MASK  3u
#define MADT_POLARITY_LOW   3u
#define MADT_TRIGGER_MASK   (3u << 2)
#define MADT_TRIGGER_LEVEL  (3u << 2)

/* A message to a CPU: fixed, edge-triggered, to the APIC of that number (SDM vol 3, 10.11). */
#define MESSAGE_ADDRESS        0xfee00000ull
#define MESSAGE_DESTINATION    12
#define MESSAGE_DESTINATION_ID 0xffu

#define MAX_IOAPICS 8

/* All set by irq_init; but the handlers, each of which is set once, before its line is unmasked. */
struct ioapic {
	volatile uint32_t *registers;
	uint32_t first, count; /* the system-wide numbers of its inputs */
};

static struct ioapic ioapics[MAX_IOAPICS];
static unsigned ioapic_count; /* 0: the 8259s are used */

/* Where a line goes: what the MADT says otherwise than that line n is input n, rising edge. */
static struct {
	uint32_t input;
	uint32_t mode; /* INPUT_... */
} lines[ISA_LINES];

static void (*handlers[ISA_LINES])(unsigned line);

/* Of devices that write a message; each is filled in before the device is told of it. */
static struct {
	void (*handler)(void *context);
	void *context;
} messages[MESSAGE_VECTORS];
static unsigned message_count;

/* ---- The 8259s -------------------------------------------------------------------------------------- */

/* Gives them vectors that are not exceptions', for what they raise spuriously as well, and masks them. */
void irq_mask_8259s(void)
{
	outb(PIC_MASTER, PIC_ICW1);
	outb(PIC_SLAVE, PIC_ICW1);
	outb(PIC_MASTER + PIC_DATA, VECTOR_PIC_MASTER);
	outb(PIC_SLAVE + PIC_DATA, VECTOR_PIC_SLAVE);
	outb(PIC_MASTER + PIC_DATA, 1 << PIC_CASCADE_LINE);
	outb(PIC_SLAVE + PIC_DATA, PIC_CASCADE_LINE);
	outb(PIC_MASTER + PIC_DATA, PIC_ICW4_8086);
	outb(PIC_SLAVE + PIC_DATA, PIC_ICW4_8086);
	outb(PIC_MASTER + PIC_DATA, PIC_MASK_ALL_LINES);
	outb(PIC_SLAVE + PIC_DATA, PIC_MASK_ALL_LINES);
}

static void unmask_in_8259(uint16_t base, unsigned line)
{
	outb(base + PIC_DATA, (uint8_t)(inb(base + PIC_DATA) & ~(1u << line)));
}

static void enable_in_8259s(unsigned line)
{
	if (line >= VECTOR_PIC_LINES) {
		unmask_in_8259(PIC_SLAVE, line - VECTOR_PIC_LINES);
		line = PIC_CASCADE_LINE;
	}
	unmask_in_8259(PIC_MASTER, line);
	apic_pass_8259(true);
}

static void acknowledge_8259s(unsigned line)
{
	if (line >= VECTOR_PIC_LINES)
		outb(PIC_SLAVE, PIC_END_OF_INTERRUPT);
	outb(PIC_MASTER, PIC_END_OF_INTERRUPT);
}

/* ---- I/O APICs ---------------------------------------------------------------------------------------- */

static uint32_t read_ioapic(const struct ioapic *ioapic, uint32_t index)
{
	ioapic->registers[IOAPIC_SELECT / sizeof(uint32_t)] = index;
	return ioapic->registers[IOAPIC_WINDOW / sizeof(uint32_t)];
}

static void write_ioapic(const struct ioapic *ioapic, uint32_t index, uint32_t value)
{
	ioapic->registers[IOAPIC_SELECT / sizeof(uint32_t)] = index;
	ioapic->registers[IOAPIC_WINDOW / sizeof(uint32_t)] = value;
}

static void add_ioapic(paddr_t address, uint32_t first)
{
	struct ioapic *ioapic = &ioapics[ioapic_count];

	if (ioapic_count == MAX_IOAPICS)
		return;
	ioapic->registers = kernel_map_device(address, IOAPIC_BYTES, CACHE_UNCACHED);
	if (!ioapic->registers)
		return;
	ioapic->first = first;
	ioapic->count = (read_ioapic(ioapic, IOAPIC_VERSION) >> IOAPIC_LAST_SHIFT & IOAPIC_LAST_MASK) + 1;
	for (uint32_t input = 0; input < ioapic->count; input++)
		write_ioapic(ioapic, IOAPIC_INPUTS + 2 * input, INPUT_MASKED);
	ioapic_count++;
}

static bool enable_in_ioapic(unsigned line)
{
	for (unsigned i = 0; i < ioapic_count; i++) {
		uint32_t input = lines[line].input - ioapics[i].first;
		uint32_t index = IOAPIC_INPUTS + 2 * input;

		if (lines[line].input < ioapics[i].first || input >= ioapics[i].count)
			continue;
		write_ioapic(&ioapics[i], index + 1, apic_id() << INPUT_DESTINATION);
		write_ioapic(&ioapics[i], index, (VECTOR_LINES + line) | lines[line].mode);
		return true;
	}
	return false;
}

/* ---- The MADT -------------------------------------------------------------------------------------------- */

static uint32_t read_number(const uint8_t *bytes, size_t size)
{
	uint32_t number = 0;

	memcpy(&number, bytes, size);
	return number;
}

static void read_override(const uint8_t *entry)
{
	unsigned line = entry[MADT_OVERRIDE_LINE];
	uint32_t flags = read_number(entry + MADT_OVERRIDE_FLAGS, sizeof(uint16_t));

	if (line >= ISA_LINES)
		return;
	lines[line].input = read_number(entry + MADT_OVERRIDE_INPUT, sizeof(uint32_t));
	lines[line].mode = 0;
	if ((flags & MADT_POLARITY_MASK) == MADT_POLARITY_LOW)
		lines[line].mode |= INPUT_ACTIVE_LOW;
	if ((flags & MADT_TRIGGER_MASK) == MADT_TRIGGER_LEVEL)
		lines[line].mode |= INPUT_LEVEL;
}

static void read_entry(const uint8_t *entry, uint8_t length)
{
	if (entry[0] == MADT_IOAPIC && length >= MADT_IOAPIC_BYTES)
		add_ioapic(read_number(entry + MADT_IOAPIC_ADDRESS, sizeof(uint32_t)),
			   read_number(entry + MADT_IOAPIC_BASE, sizeof(uint32_t)));
	else if (entry[0] == MADT_OVERRIDE && length >= MADT_OVERRIDE_BYTES)
		read_override(entry);
}

static void read_madt(void)
{
	uint32_t length;
	const uint8_t *madt = acpi_find_table("APIC", &length);

	if (!madt)
		return;
	for (uint32_t at = MADT_ENTRIES; at + MADT_ENTRY_HEADER <= length; at += madt[at + 1]) {
		if (madt[at + 1] < MADT_ENTRY_HEADER || at + madt[at + 1] > length)
			return;
		read_entry(madt + at, madt[at + 1]);
	}
}

/* ---- For all ------------------------------------------------------------------------------------------------ */

/* An I/O APIC can name CPUs up to number 255 only. */
void irq_init(void)
{
	for (unsigned line = 0; line < ISA_LINES; line++)
		lines[line].input = line;
	if (apic_present() && apic_id() <= INPUT_DESTINATION_ID)
		read_madt();
}

bool irq_enable(unsigned line, void (*handler)(unsigned line))
{
	ASSERT(line < ISA_LINES);
	if (handlers[line])
		return handlers[line] == handler;
	handlers[line] = handler;
	if (ioapic_count > 0)
		return enable_in_ioapic(line);
	enable_in_8259s(line);
	return true;
}

bool irq_add_message(void (*handler)(void *context), void *context, uint64_t *address, uint32_t *data)
{
	if (!apic_present() || apic_id() > MESSAGE_DESTINATION_ID || message_count == MESSAGE_VECTORS)
		return false;
	*address = MESSAGE_ADDRESS | (uint64_t)apic_id() << MESSAGE_DESTINATION;
	*data = VECTOR_MESSAGES + message_count;
	messages[message_count].handler = handler;
	messages[message_count].context = context;
	message_count++;
	return true;
}

static bool handle_message(uint64_t vector)
{
	uint64_t number = vector - VECTOR_MESSAGES;

	if (number >= message_count)
		return false;
	messages[number].handler(messages[number].context);
	apic_end_of_interrupt();
	return true;
}

bool irq_handle(uint64_t vector)
{
	uint64_t line = vector - (ioapic_count > 0 ? VECTOR_LINES : VECTOR_PIC_MASTER);

	if (line >= ISA_LINES || !handlers[line])
		return handle_message(vector);
	handlers[line]((unsigned)line);
	if (ioapic_count > 0)
		apic_end_of_interrupt();
	else
		acknowledge_8259s((unsigned)line);
	return true;
}
