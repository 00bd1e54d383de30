/*
 * PCI: finding functions, their configuration, their registers in memory, and their interrupts (kern/dev/pci.c).
 *
 * Register names are from <linux/pci_regs.h>. What the firmware has assigned (buses, addresses, lines) is used as it is.
 * All of this is for the start of the system, one thread.
 */
#ifndef KERN_PCI_H
#define KERN_PCI_H

#include <vm/types.h>

/* Where a function is, and what it says that it is. */
struct pci_function {
	uint8_t bus, device, function;
	uint16_t vendor_id, device_id;
};

/* Registers of a function's configuration; `offset` is a multiple of the width. */
uint32_t pci_read32(const struct pci_function *function, unsigned offset);
uint16_t pci_read16(const struct pci_function *function, unsigned offset);
uint8_t pci_read8(const struct pci_function *function, unsigned offset);
void pci_write32(const struct pci_function *function, unsigned offset, uint32_t value);
void pci_write16(const struct pci_function *function, unsigned offset, uint16_t value);

/* Calls `visit` for each function, behind bridges too. */
void pci_visit(void (*visit)(const struct pci_function *function));

/* The offset of the first capability of that kind (PCI_CAP_ID_...) after offset `after` (0: from the beginning); 0: there is none. */
unsigned pci_capability(const struct pci_function *function, uint8_t id, unsigned after);

/*
 * Maps `bytes` of a base address register's memory from `offset` on, uncached, for good. NULL: it is no memory, it has no address, or it cannot be
 * mapped.
 */
volatile void *pci_map(const struct pci_function *function, unsigned bar, uint64_t offset, uint64_t bytes);

/* Lets the function answer in memory, and access memory itself. */
void pci_enable(const struct pci_function *function);

/* The function does not interrupt by its line any more. */
void pci_silence_line(const struct pci_function *function);

/*
 * Lets the function interrupt by MSI-X: its entry 0 calls handler(context), with interrupts off; it takes no locks. False: it cannot. Then
 * nothing is changed.
 */
bool pci_enable_message(const struct pci_function *function, void (*handler)(void *context), void *context);

#endif
