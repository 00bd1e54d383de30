/*
 * The local APIC: its timer, and how interrupts of devices get through it. Which those are is irq.c's business.
 *
 * The APIC is reached through its registers in memory or, where firmware has switched it to x2APIC mode,
 * through MSRs (Intel SDM vol 3, 10.4 and 10.12). What becomes of an interrupt is in trap.c.
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/vm.h>

/* Register offsets (SDM vol 3, table 10-1); in x2APIC mode register r is MSR 0x800 + r / 16. */
#define APIC_ID               0x020u
#define APIC_END_OF_INTERRUPT 0x0b0u
#define APIC_SPURIOUS         0x0f0u
#define APIC_LVT_TIMER        0x320u
#define APIC_LVT_LINT0        0x350u
#define APIC_LVT_LINT1        0x360u
#define APIC_LVT_ERROR        0x370u
#define APIC_TIMER_INITIAL    0x380u
#define APIC_TIMER_CURRENT    0x390u
#define APIC_TIMER_DIVIDE     0x3e0u
#define APIC_BYTES            0x400u
#define X2APIC_MSRS           0x800u

#define APIC_ENABLE       (1u << 8) /* in APIC_SPURIOUS */
#define APIC_MASKED       (1u << 16)
#define APIC_DELIVER_NMI  (4u << 8)
#define APIC_DELIVER_8259 (7u << 8) /* "ExtINT": the 8259 gives the vector */
#define APIC_ID_SHIFT     24        /* but in x2APIC mode */
#define APIC_DIVIDE_BY_16 3u

/* MSR_APIC_BASE (SDM vol 3, 10.4.4). */
#define APIC_BASE_ENABLE  (1u << 11)
#define APIC_BASE_X2APIC  (1u << 10)
#define APIC_BASE_ADDRESS 0x000ffffffffff000ull

#define CPUID_1_EDX_APIC (1u << 9)

/* Set once, by apic_init. */
static volatile uint32_t *registers; /* NULL in x2APIC mode */
static bool present;

static void write_register(uint32_t offset, uint32_t value)
{
	if (registers)
		registers[offset / sizeof *registers] = value;
	else
		wrmsr(X2APIC_MSRS + offset / 16, value);
}

static uint32_t read_register(uint32_t offset)
{
	if (registers)
		return registers[offset / sizeof *registers];
	return (uint32_t)rdmsr(X2APIC_MSRS + offset / 16);
}

void apic_init(void)
{
	uint64_t base;

	if (!(cpuid(1, 0).edx & CPUID_1_EDX_APIC))
		return;
	base = rdmsr(MSR_APIC_BASE);
	if (!(base & APIC_BASE_ENABLE))
		return; /* off for good: it may not be switched on again (SDM vol 3, 10.4.3) */
	if (!(base & APIC_BASE_X2APIC)) {
		registers = kernel_map_device(base & APIC_BASE_ADDRESS, APIC_BYTES, CACHE_UNCACHED);
		if (!registers)
			return;
	}
	present = true;
	write_register(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
	write_register(APIC_LVT_TIMER, APIC_MASKED);
	write_register(APIC_LVT_LINT0, APIC_MASKED);
	write_register(APIC_LVT_LINT1, APIC_DELIVER_NMI);
	write_register(APIC_LVT_ERROR, APIC_MASKED);
	write_register(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_16);
}

bool apic_present(void)
{
	return present;
}

uint32_t apic_id(void)
{
	uint32_t id = present ? read_register(APIC_ID) : 0;

	return registers ? id >> APIC_ID_SHIFT : id;
}

void apic_pass_8259(bool on)
{
	if (present)
		write_register(APIC_LVT_LINT0, on ? APIC_DELIVER_8259 : APIC_MASKED);
}

void apic_end_of_interrupt(void)
{
	if (present)
		write_register(APIC_END_OF_INTERRUPT, 0);
}

void apic_timer_start(uint32_t count, bool interrupt)
{
	write_register(APIC_LVT_TIMER, VECTOR_TIMER | (interrupt ? 0 : APIC_MASKED));
	write_register(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_remaining(void)
{
	return read_register(APIC_TIMER_CURRENT);
}
