/*
 * The end: a panic with all that is known, and power-off.
 *
 * A panic trusts nothing: it takes the console by force, reads memory only in ways that survive when
 * it is not there, and if it fails itself says only that. Names of functions are from symbols.c.
 */
#include <stdarg.h>
#include <hw.h>
#include <kern/console.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/layout.h>

#define MAX_FRAMES 32

/* QEMU's isa-debug-exit device: writing v ends QEMU with status 2 v + 1. */
#define DEBUG_EXIT_PORT  0xf4
#define DEBUG_EXIT_PANIC 0x31 /* status 99 */

/* Where emulators have a power switch without ACPI's tables: QEMU and, before 2.0, QEMU and Bochs. */
#define POWER_PORT_QEMU  0x604
#define POWER_PORT_BOCHS 0xb004
#define POWER_PORT_OFF   0x2000

/* The power goes a moment after it was switched off: so long to wait, at about 1 us a look. */
#define POWER_OFF_LOOKS 1000000u

static bool panicking; /* set by the first panic; only this CPU is started */

static void print_address(uint64_t address)
{
	uint64_t offset;
	const char *name = symbol_name(address, &offset);

	if (name)
		kprintf("  %016llx %s+0x%llx\n", (unsigned long long)address, name,
			(unsigned long long)offset);
	else
		kprintf("  %016llx\n", (unsigned long long)address);
}

/* Is it an address that a kernel stack can have? */
static bool may_be_stack(uint64_t address)
{
	return address % sizeof(uint64_t) == 0 &&
	       ((address >= LAYOUT_KERNEL_START && address < LAYOUT_KERNEL_END) ||
		(address >= LAYOUT_DYNAMIC_START && address < LAYOUT_PHYSICAL_END));
}

/* Recursion would fill the list with one line. */
static void print_repeats(unsigned *repeated)
{
	if (*repeated)
		kprintf("  ... %u more times\n", *repeated);
	*repeated = 0;
}

/*
 * Frame pointers lead from a function's frame to its caller's: [rbp] is the caller's rbp, [rbp + 8]
 * where the call returns to (System V ABI, AMD64 supplement, 3.2.2). A stack grows down, so each is above
 * the one before; whatever is not ends the list, as does memory that is not there.
 */
void backtrace(uint64_t rip, uint64_t rbp)
{
	uint64_t frame[2], last_frame = 0, last_return = 0;
	unsigned repeated = 0;

	print_address(rip);
	for (unsigned printed = 0; printed < MAX_FRAMES; last_frame = rbp, rbp = frame[0]) {
		if (rbp <= last_frame || !may_be_stack(rbp) ||
		    !kernel_read_safely(frame, rbp, sizeof frame) || !symbol_name(frame[1], &(uint64_t){0}))
			break;
		if (frame[1] == last_return) {
			repeated++;
			continue;
		}
		print_repeats(&repeated);
		print_address(frame[1]);
		last_return = frame[1];
		printed++;
	}
	print_repeats(&repeated);
}

static void print_registers(const struct trapframe *f)
{
#define VALUE(register) (unsigned long long)(register)
	kprintf("rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n", VALUE(f->rax), VALUE(f->rbx),
		VALUE(f->rcx), VALUE(f->rdx));
	kprintf("rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx\n", VALUE(f->rsi), VALUE(f->rdi),
		VALUE(f->rbp), VALUE(f->rsp));
	kprintf("r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx\n", VALUE(f->r8), VALUE(f->r9),
		VALUE(f->r10), VALUE(f->r11));
	kprintf("r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx\n", VALUE(f->r12), VALUE(f->r13),
		VALUE(f->r14), VALUE(f->r15));
	kprintf("rip %016llx  cs %04llx  ss %04llx  rflags %08llx\n", VALUE(f->rip), VALUE(f->cs),
		VALUE(f->ss), VALUE(f->rflags));
	kprintf("cr0 %08llx  cr2 %016llx  cr3 %016llx  cr4 %08llx\n", VALUE(read_cr0()), VALUE(read_cr2()),
		VALUE(read_cr3()), VALUE(read_cr4()));
	if (f->vector != TRAP_SYSCALL)
		kprintf("vector %llu  error code 0x%llx\n", VALUE(f->vector), VALUE(f->error));
#undef VALUE
}

/* The power switches that need no tables. They do nothing where there is no such device. */
static void power_off_by_ports(void)
{
	outw(POWER_PORT_QEMU, POWER_PORT_OFF);
	outw(POWER_PORT_BOCHS, POWER_PORT_OFF);
	for (unsigned i = 0; i < POWER_OFF_LOOKS; i++)
		inw(POWER_PORT_QEMU);
}

_Noreturn static void end_in_panic(void)
{
	outb(DEBUG_EXIT_PORT, DEBUG_EXIT_PANIC);
	acpi_power_off();
	power_off_by_ports();
	halt_forever();
}

_Noreturn static void panic_list(const struct trapframe *frame, const char *format, va_list arguments)
{
	interrupts_disable();
	console_take();
	if (panicking) {
		kprintf("phoenix: panic: again, while panicking\n");
		outb(DEBUG_EXIT_PORT, DEBUG_EXIT_PANIC);
		halt_forever();
	}
	panicking = true;
	kprintf("phoenix: panic: ");
	console_print_list(format, arguments);
	kprintf("\n");
	print_registers(frame);
	kprintf("backtrace:\n");
	backtrace(frame->rip, frame->rbp);
	end_in_panic();
}

void panic_trap(const struct trapframe *frame, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	panic_list(frame, format, arguments);
}

/* Registers that a call may change show what they are here, not what the caller had in them. */
void panic(const char *format, ...)
{
	struct trapframe frame = {.vector = TRAP_SYSCALL};
	va_list arguments;

	__asm__ volatile("movq %%rax, %c1(%0)\n\t"
			 "movq %%rbx, %c2(%0)\n\t"
			 "movq %%r12, %c3(%0)\n\t"
			 "movq %%r13, %c4(%0)\n\t"
			 "movq %%r14, %c5(%0)\n\t"
			 "movq %%r15, %c6(%0)\n\t"
			 "movw %%cs, %c7(%0)\n\t"
			 "movw %%ss, %c8(%0)"
			 :
			 : "r"(&frame), "i"(offsetof(struct trapframe, rax)),
			   "i"(offsetof(struct trapframe, rbx)), "i"(offsetof(struct trapframe, r12)),
			   "i"(offsetof(struct trapframe, r13)), "i"(offsetof(struct trapframe, r14)),
			   "i"(offsetof(struct trapframe, r15)), "i"(offsetof(struct trapframe, cs)),
			   "i"(offsetof(struct trapframe, ss))
			 : "memory");
	frame.rflags = read_flags();
	frame.rip = (uint64_t)__builtin_return_address(0);
	frame.rbp = *(uint64_t *)__builtin_frame_address(0);
	frame.rsp = (uint64_t)__builtin_frame_address(0) + 2 * sizeof(uint64_t);
	va_start(arguments, format);
	panic_list(&frame, format, arguments);
}

void power_off(int status)
{
	interrupts_disable();
	kprintf("phoenix: power off, status %d\n", status);
	acpi_power_off();
	power_off_by_ports();
	kprintf("phoenix: this machine cannot be switched off by software; halted\n");
	halt_forever();
}
