/*
 * What becomes of exceptions and interrupts, and nothing else does: the page fault goes to the VM, a
 * fault in a user copy to its fix-up; a program's mistake ends the program, the kernel's own ends the system.
 *
 * Comes from vectors.asm; goes on in kern/vm/fault.c (vm_fault), kern/proc/signal_fault.c and
 * kern/core/panic.c.
 */
#include <asm/debugreg.h>
#include <asm/errno.h>
#include <decode.h>
#include <hw.h>
#include <image.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <kern/signal.h>
#include <vm/layout.h>
#include <vm/vm.h>

#define WHY_BYTES   160
#define DR6_INITIAL 0xffff0ff0ul /* SDM vol 3, table 9-1 */

/* ---- Page faults --------------------------------------------------------------------------------- */

static vm_prot_t fault_access(uint64_t error)
{
	if (__builtin_expect(error & PF_FETCH, 0))
		return VM_EXEC;
	return error & PF_WRITE ? VM_WRITE : VM_READ;
}

static const char *access_name(vm_prot_t access)
{
	if (access == VM_EXEC)
		return "jump to";
	return access == VM_WRITE ? "write to" : "read of";
}

/* The region of the layout that keeps users out of `address`; NULL: none does. */
static const char *forbidden_region(vaddr_t address)
{
	if (address < LAYOUT_GUARD_END)
		return "the guard page";
	if (address >= LAYOUT_KERNEL_START && address < LAYOUT_KERNEL_END)
		return "the kernel window";
	if (address >= LAYOUT_SYSTEM_START && address < LAYOUT_SYSTEM_END)
		return "system data space";
	if (address >= LAYOUT_PAGES_START && address < LAYOUT_PAGES_END)
		return "the page descriptors";
	if (address >= LAYOUT_DYNAMIC_START && address < LAYOUT_DYNAMIC_END)
		return "kernel dynamic memory";
	if (address >= LAYOUT_PHYSICAL_START && address < LAYOUT_PHYSICAL_END)
		return "the physical map";
	if (address >= LAYOUT_PHYSICAL_END)
		return "outside the address space";
	return NULL;
}

/* Says in `why` what was tried and why vm_fault refused it with `status`. */
static void explain(char why[WHY_BYTES], vaddr_t address, vm_prot_t access, int status,
		    const struct fault_result *result)
{
	int length = env_format(why, WHY_BYTES, "%s 0x%llx refused: ", access_name(access),
				(unsigned long long)address);
	char *rest = why + length;
	size_t room = WHY_BYTES - (size_t)length;
	const char *region = forbidden_region(address);
	vm_prot_t allowed = result->allowed;

	if (region)
		env_format(rest, room, "%s", region);
	else if (status == -ENOMEM)
		env_format(rest, room, "out of memory");
	else if (status == -EIO)
		env_format(rest, room, "the contents of \"%s\" cannot be read", result->region);
	else if (status == -ENXIO)
		env_format(rest, room, "\"%s\" ends before", result->region);
	else if (result->outcome == FAULT_PROTECTION)
		env_format(rest, room, "\"%s\" allows %c%c%c", result->region, allowed & VM_READ ? 'r' : '-',
			   allowed & VM_WRITE ? 'w' : '-', allowed & VM_EXEC ? 'x' : '-');
	else if (result->outcome == FAULT_RESERVED)
		env_format(rest, room, "\"%s\" is reserved", result->region);
	else
		env_format(rest, room, "no map entry");
}

/* Is there something for ring 3, though not this? The gate area's pages are no map entry's. */
static bool is_protected(uint64_t error, vaddr_t address, const struct fault_result *result)
{
	if (result->outcome == FAULT_PROTECTION)
		return true;
	return (error & PF_PRESENT) && address >= LAYOUT_GATE_START && address < LAYOUT_GATE_END;
}

/* What sigaction(2) says of an access that vm_fault refused with `status`. */
static void fill_refusal(siginfo_t *info, uint64_t error, vaddr_t address, int status,
			 const struct fault_result *result)
{
	info->si_addr = (void *)address;
	info->si_signo = SIGSEGV;
	if (status == -EIO || status == -ENXIO) {
		info->si_signo = SIGBUS;
		info->si_code = BUS_ADRERR;
	} else {
		info->si_code = is_protected(error, address, result) ? SEGV_ACCERR : SEGV_MAPERR;
	}
}

/* The program cannot have its access: it handles that, or ends. */
static __attribute__((noinline)) void refuse(struct trapframe *frame, vaddr_t address, int status,
					     const struct fault_result *result)
{
	struct refused_access refused = {.address = address, .access = fault_access(frame->error)};
	siginfo_t info = {.si_signo = 0};
	char why[WHY_BYTES];

	/* It was told to end, for itself or another: there is nothing to be said of the access. */
	if (status == -ENOMEM && (thread_current()->interrupts & INTERRUPT_KILL))
		return;
	fill_refusal(&info, frame->error, address, status, result);
	if (status == -ENOMEM)
		info.si_signo = SIGKILL;
	else if (signal_fault(frame, &info))
		return;
	explain(why, address, refused.access, status, result);
	task_fault(frame, info.si_signo, why, &refused);
}

/* Where nothing is mapped a stack may grow to; then the access is tried again. */
static bool grow_stack(vaddr_t address, const struct fault_result *result)
{
	return result->outcome == FAULT_NO_ENTRY && task_grow_stack(address);
}

/* As vm_fault, and stacks grow; if there is no memory, a process is ended. */
static __attribute__((noinline)) int fault_again(struct map *map, vaddr_t address, vm_prot_t access,
						 int status, struct fault_result *result)
{
	if (grow_stack(address, result))
		status = vm_fault(map, address, access, result);
	while (status == -ENOMEM && task_made_room())
		status = vm_fault(map, address, access, result);
	return status;
}

/* A fault that the kernel took for the sake of a program. */
static int user_fault(struct map *map, vaddr_t address, vm_prot_t access, struct fault_result *result)
{
	int status = vm_fault(map, address, access, result);

	if (status != 0)
		status = fault_again(map, address, access, status, result);
	if (status == -ENOMEM)
		task_end_for_room();
	return status;
}

int user_bring_in(vaddr_t address, vm_prot_t access)
{
	struct map *map = this_cpu()->map;
	struct fault_result result;

	return map && user_range(address, 1) && user_fault(map, address, access, &result) == 0 ? 0 : -EFAULT;
}

/*
 * A place in copy.asm where faults are foreseen. The numbers are 32 bits wide because the kernel is in the low
 * 2 GB; the layout is copy.asm's copy_window.
 */
struct copy_window {
	uint32_t start, end;
	uint32_t fix_up;
	uint32_t for_user; /* it touches user memory: the VM is asked first */
};

extern const struct copy_window copy_windows[], copy_windows_end[];
extern const uint8_t probe_execute_return[], probe_execute_failed[];

/* Was this fault of the kernel foreseen? Then serves it or goes to its fix-up, and is true. */
static bool foreseen_fault(struct trapframe *frame, vaddr_t address)
{
	bool page_fault = frame->vector == VECTOR_PAGE_FAULT; /* else there is no address */
	struct fault_result result;

	for (const struct copy_window *window = copy_windows; window < copy_windows_end; window++) {
		if (frame->rip < window->start || frame->rip >= window->end)
			continue;
		if (window->for_user && page_fault) {
			struct map *map = this_cpu()->map;

			if (!user_range(address, 1))
				return false; /* the kernel's side of the copy */
			if (map && user_fault(map, address, fault_access(frame->error), &result) == 0)
				return true;
		}
		frame->rax = frame->error;
		frame->rip = window->fix_up;
		return true;
	}
	if (page_fault && (frame->error & PF_FETCH) && frame->rip == address &&
	    *(const uint64_t *)frame->rsp == (uint64_t)probe_execute_return) {
		frame->rax = frame->error;
		frame->rip = (uint64_t)probe_execute_failed;
		frame->rsp += sizeof(uint64_t);
		return true;
	}
	return false;
}

/* Is `address` where the stack of the interrupted code runs out? */
static bool is_stack_overflow(const struct trapframe *frame, vaddr_t address)
{
	bool dynamic = address >= LAYOUT_DYNAMIC_START && address < LAYOUT_DYNAMIC_END;
	bool boot = page_round_down(address) == (vaddr_t)boot_stack_guard;

	return (dynamic || boot) && address + PAGE_SIZE > frame->rsp && address < frame->rsp + PAGE_SIZE;
}

_Noreturn static void fatal_page_fault(const struct trapframe *frame, vaddr_t address)
{
	const char *access = access_name(fault_access(frame->error));
	unsigned long long at = address;

	if (is_stack_overflow(frame, address))
		panic_trap(frame, "kernel stack overflow: %s 0x%llx", access, at);
	if (frame->error & PF_RESERVED)
		panic_trap(frame, "a page table is damaged: %s 0x%llx met a reserved bit", access, at);
	if (user_range(address, 1))
		panic_trap(frame, "kernel %s user memory at 0x%llx", access, at);
	panic_trap(frame, "kernel %s 0x%llx (%s): %s", access, at,
		   forbidden_region(address) ? forbidden_region(address) : "no region",
		   frame->error & PF_PRESENT ? "not allowed" : "not mapped");
}

static __attribute__((noinline)) void kernel_page_fault(struct trapframe *frame, vaddr_t address)
{
	if (frame->rflags & X86_EFLAGS_IF)
		interrupts_enable();
	if ((frame->error & PF_RESERVED) || !foreseen_fault(frame, address))
		fatal_page_fault(frame, address);
}

/*
 * A fault in ring 3 that is not one of an ordinary access. An instruction may access memory with the rights of ring
 * 0 (SDM vol 3, 4.6.1, "implicit supervisor-mode access"; QEMU's TCG makes the stack accesses of IRET and far RET such
 * ones). Where the page is the user's, SMAP forbids that however often it is tried: the program has made a mistake. False: it is not that, the VM
 * may be asked.
 */
static __attribute__((noinline)) bool odd_user_fault(struct trapframe *frame, vaddr_t address)
{
	siginfo_t info = {.si_signo = SIGSEGV, .si_code = SEGV_ACCERR, .si_addr = (void *)address};
	char why[WHY_BYTES];

	if (frame->error & PF_RESERVED)
		fatal_page_fault(frame, address);
	if (!(frame->error & PF_PRESENT))
		return false;
	if (signal_fault(frame, &info))
		return true;
	env_format(why, sizeof why, "%s 0x%llx refused: the CPU made it with the rights of ring 0",
		   access_name(fault_access(frame->error)), (unsigned long long)address);
	task_fault(frame, SIGSEGV, why, NULL);
}

/*
 * Interrupts are off at entry, so that CR2 is still this fault's; they go on again if they were on, which in
 * ring 3 they always are.
 */
void trap_page_fault(struct trapframe *frame)
{
	vaddr_t address = read_cr2();
	struct fault_result result;
	int status;

	if (__builtin_expect(!trap_from_user(frame), 0)) {
		kernel_page_fault(frame, address);
		return;
	}
	interrupts_enable();
	if (__builtin_expect((frame->error & (PF_RESERVED | PF_USER)) != PF_USER, 0) &&
	    odd_user_fault(frame, address))
		return;
	/* A program needs a page: the VM makes it possible, or the program ends. */
	status = vm_fault(this_cpu()->map, address, fault_access(frame->error), &result);
	if (__builtin_expect(status != 0, 0))
		status = fault_again(this_cpu()->map, address, fault_access(frame->error), status, &result);
	if (__builtin_expect(status != 0, 0))
		refuse(frame, address, status, &result);
	thread_current()->faults++;
	if (__builtin_expect(result.outcome == FAULT_PAGE_IN, 0))
		thread_current()->major_faults++;
}

/* ---- Other exceptions ---------------------------------------------------------------------------- */

struct exception {
	const char *name;
	int signal;   /* for a program that causes it; 0: only broken hardware or a broken kernel does */
	int code;     /* its si_code */
	bool address; /* si_addr is the instruction's; else it is 0 */
};

static const struct exception exceptions[VECTOR_FIRST_INTERRUPT] = {
	[VECTOR_DIVIDE] = {"division by zero or overflow", SIGFPE, FPE_INTDIV, true},
	[VECTOR_DEBUG] = {"debug exception", SIGTRAP, TRAP_BRKPT, true},
	[VECTOR_NMI] = {"non-maskable interrupt", 0, 0, false},
	[VECTOR_BREAKPOINT] = {"breakpoint", SIGTRAP, SI_KERNEL, false},
	[VECTOR_OVERFLOW] = {"overflow", SIGSEGV, SI_KERNEL, false},
	[VECTOR_BOUND] = {"bound range exceeded", SIGSEGV, SI_KERNEL, false},
	[VECTOR_INVALID_OPCODE] = {"illegal instruction", SIGILL, ILL_ILLOPN, true},
	[VECTOR_NO_FPU] = {"FPU not available", 0, 0, false},
	[VECTOR_DOUBLE_FAULT] = {"double fault", 0, 0, false},
	[VECTOR_INVALID_TSS] = {"invalid task state segment", SIGSEGV, SI_KERNEL, false},
	[VECTOR_NOT_PRESENT] = {"segment not present", SIGBUS, SI_KERNEL, false},
	[VECTOR_STACK_SEGMENT] = {"stack fault: non-canonical address", SIGBUS, SI_KERNEL, false},
	[VECTOR_PROTECTION] = {"general protection: privileged instruction or non-canonical address", SIGSEGV,
			       SI_KERNEL, false},
	[VECTOR_X87] = {"floating-point exception", SIGFPE, FPE_FLTUNK, true},
	[VECTOR_ALIGNMENT] = {"unaligned access", SIGBUS, BUS_ADRALN, false},
	[VECTOR_MACHINE_CHECK] = {"machine check", 0, 0, false},
	[VECTOR_SIMD] = {"SIMD floating-point exception", SIGFPE, FPE_FLTUNK, true},
};

/* The si_code of a floating-point exception: of several the gravest. 0: there is none any more. */
static int float_code(bool x87)
{
	uint32_t happened = fpu_exceptions(x87);

	if (happened & FPU_INVALID)
		return FPE_FLTINV;
	if (happened & FPU_ZERO)
		return FPE_FLTDIV;
	if (happened & FPU_OVERFLOW)
		return FPE_FLTOVF;
	if (happened & (FPU_UNDERFLOW | FPU_DENORMAL))
		return FPE_FLTUND;
	return happened & FPU_INEXACT ? FPE_FLTRES : 0;
}

/* What the debug exception was about; the bits there are nobody's but ours to clear (SDM vol 3, 17.2.3). */
static int debug_code(void)
{
	uint64_t status = read_dr6();

	write_dr6(DR6_INITIAL);
	return status & DR_STEP ? TRAP_TRACE : TRAP_BRKPT;
}

/* The signal of a program's exception. Interrupts are off. */
static siginfo_t exception_signal(const struct trapframe *frame)
{
	const struct exception *what = &exceptions[frame->vector];
	siginfo_t info = {.si_signo = what->signal, .si_code = what->code};

	if (what->address)
		info.si_addr = (void *)frame->rip;
	if (frame->vector == VECTOR_DEBUG)
		info.si_code = debug_code();
	else if (frame->vector == VECTOR_X87 || frame->vector == VECTOR_SIMD)
		info.si_code = float_code(frame->vector == VECTOR_X87);
	return info;
}

/* Says in `why` what a program's instruction wanted that the CPU refused before there was an address. */
static void explain_protection(char why[WHY_BYTES], const struct trapframe *frame)
{
	static const char *const tried[] = {
		[DECODED_READ] = "read of", [DECODED_WRITE] = "write to", [DECODED_JUMP] = "jump to"};
	struct decoded decoded = decode_fault(frame);
	unsigned long long address = decoded.address;

	if (decoded.kind == DECODED_PRIVILEGED)
		env_format(why, WHY_BYTES, "privileged instruction at 0x%llx refused", address);
	else if (decoded.kind == DECODED_UNKNOWN || decoded.address < LAYOUT_PHYSICAL_END)
		env_format(why, WHY_BYTES, "general protection: an instruction that ring 3 may not use");
	else
		env_format(why, WHY_BYTES, "%s 0x%llx refused: not a canonical address", tried[decoded.kind],
			   address);
}

/* A program's mistake: it handles that, or ends. */
static void user_exception(struct trapframe *frame)
{
	const char *name = exceptions[frame->vector].name;
	siginfo_t info = exception_signal(frame);
	char why[WHY_BYTES];

	interrupts_enable();
	if (info.si_code == 0 || signal_fault(frame, &info))
		return;
	if (frame->vector == VECTOR_PROTECTION || frame->vector == VECTOR_STACK_SEGMENT) {
		explain_protection(why, frame);
		name = why;
	}
	task_fault(frame, info.si_signo, name, NULL);
}

static void exception(struct trapframe *frame)
{
	const struct exception *what = &exceptions[frame->vector];
	uint64_t cr2 = read_cr2();

	if (frame->vector == VECTOR_DOUBLE_FAULT && is_stack_overflow(frame, cr2))
		panic_trap(frame, "kernel stack overflow: 0x%llx cannot be written (double fault)",
			   (unsigned long long)cr2);
	if (trap_from_user(frame) && what->signal) {
		user_exception(frame);
		return;
	}
	if (frame->vector == VECTOR_PROTECTION && foreseen_fault(frame, 0))
		return;
	panic_trap(frame, "%s in %s mode, error code 0x%llx", what->name ? what->name : "unknown exception",
		   trap_from_user(frame) ? "user" : "kernel", (unsigned long long)frame->error);
}

/* ---- Interrupts ---------------------------------------------------------------------------------- */

/* How many came. Interrupts come to the first CPU only, and handlers do not nest: no lock. */
static struct {
	uint64_t timer;
	uint64_t lines;
	uint64_t spurious;
	uint64_t unexpected;
	uint64_t last_unexpected; /* its vector */
} interrupts;

uint64_t trap_unexpected_interrupts(uint64_t *last_vector)
{
	*last_vector = interrupts.last_unexpected;
	return interrupts.unexpected;
}

/*
 * What the 8259s raise of lines that are masked there is spurious, has no in-service bit
 * there and must not be acknowledged (Intel 8259A data sheet, "spurious interrupt"); nor must the APIC's own
 * (SDM vol 3, 10.9).
 */
static void interrupt(uint64_t vector, bool user)
{
	if (vector == VECTOR_TIMER) {
		interrupts.timer++;
		sched_tick(user);
		apic_end_of_interrupt();
	} else if (irq_handle(vector)) {
		interrupts.lines++;
	} else if (vector == VECTOR_SPURIOUS ||
		   (vector >= VECTOR_PIC_MASTER && vector < VECTOR_PIC_SLAVE + VECTOR_PIC_LINES)) {
		interrupts.spurious++;
	} else {
		interrupts.unexpected++;
		interrupts.last_unexpected = vector;
		apic_end_of_interrupt();
	}
}

void trap_handle(struct trapframe *frame)
{
	if (frame->vector < VECTOR_FIRST_INTERRUPT)
		exception(frame);
	else
		interrupt(frame->vector, trap_from_user(frame));
}
