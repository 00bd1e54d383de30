/*
 * Faults that a program handles: which signal, si_code and si_addr each has, what the context says, and that the program goes on after its
 * handler has repaired what was wrong, or has left by a jump.
 */
#include "check.h"
#include <fcntl.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <ucontext.h>

#define TRAP_FLAG     0x100ul
#define PAGE_FAULT    14
#define ERROR_WRITE   2
#define ERROR_USER    4
#define HIGH_ADDRESS  0x7f0000000000ul
#define NOT_CANONICAL 0x900000000000ul

static volatile char *volatile low = (volatile char *)8;

static sigjmp_buf back;
static siginfo_t seen;
static volatile unsigned faults;
static greg_t registers[NGREG];

static void leave(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	seen = *info;
	memcpy(registers, ((ucontext_t *)context)->uc_mcontext.gregs, sizeof(registers));
	faults++;
	siglongjmp(back, 1);
}

static void handle(int signo, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	CHECK(sigaction(signo, &action, NULL) == 0);
}

/* The statement faults so. */
#define CHECK_FAULT(statement, signo, code, address)                                              \
	do {                                                                                      \
		memset(&seen, 0, sizeof(seen));                                                   \
		if (sigsetjmp(back, 1) == 0) {                                                    \
			statement;                                                                \
		}                                                                                 \
		CHECK(seen.si_signo == (signo) && seen.si_code == (code));                        \
		CHECK((uintptr_t)seen.si_addr == (uintptr_t)(address));                           \
		if (seen.si_signo != (signo) || seen.si_code != (code))                           \
			printf("(signal %d, code %d, address %p)\n", seen.si_signo, seen.si_code, \
			       seen.si_addr);                                                     \
	} while (0)

static volatile char *map(int prot)
{
	return mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Phoenix's own memory, in each of its regions: on Linux too there is nothing. */
static const uintptr_t kernel[] = {0x78000000,     0x78100000,     0x7fe00000,     0x80000000,    0xffffff000,
				   0x6f8000000000, 0x6fc000000000, 0x700000000000, 0x7ff000000000};

static void memory(void)
{
	volatile char *vdso = (volatile char *)getauxval(AT_SYSINFO_EHDR);
	volatile char *none = map(PROT_NONE), *readonly = map(PROT_READ), *gone = map(PROT_READ | PROT_WRITE);
	volatile char *data = map(PROT_READ | PROT_WRITE);

	gone[0] = 1;
	munmap((void *)gone, PAGE);
	CHECK_FAULT((void)*low, SIGSEGV, SEGV_MAPERR, 8);
	CHECK(registers[REG_TRAPNO] == PAGE_FAULT && registers[REG_CR2] == 8);
	CHECK((registers[REG_ERR] & (ERROR_WRITE | ERROR_USER)) == ERROR_USER);
	CHECK_FAULT((void)gone[5], SIGSEGV, SEGV_MAPERR, gone + 5);
	CHECK_FAULT((void)none[7], SIGSEGV, SEGV_ACCERR, none + 7);
	CHECK_FAULT(readonly[9] = 1, SIGSEGV, SEGV_ACCERR, readonly + 9);
	CHECK((registers[REG_ERR] & (ERROR_WRITE | ERROR_USER)) == (ERROR_WRITE | ERROR_USER));
	(void)readonly[9];
	CHECK_FAULT(readonly[10] = 1, SIGSEGV, SEGV_ACCERR, readonly + 10);
	CHECK_FAULT(((void (*)(void))data)(), SIGSEGV, SEGV_ACCERR, data);
	CHECK_FAULT((void)*(volatile char *)HIGH_ADDRESS, SIGSEGV, SEGV_MAPERR, HIGH_ADDRESS);
	for (volatile size_t i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++) {
		CHECK_FAULT((void)*(volatile char *)kernel[i], SIGSEGV, SEGV_MAPERR, kernel[i]);
		CHECK_FAULT(*(volatile char *)kernel[i] = 1, SIGSEGV, SEGV_MAPERR, kernel[i]);
	}
	if (vdso) {
		CHECK_FAULT(*vdso = 1, SIGSEGV, SEGV_ACCERR, vdso);
	}
	CHECK_FAULT((void)*(volatile char *)NOT_CANONICAL, SIGSEGV, SI_KERNEL, 0);
	munmap((void *)none, PAGE);
	munmap((void *)readonly, PAGE);
	munmap((void *)data, PAGE);
}

/* Where an instruction is. */
extern const char at_ud2[], at_divide[];

static void instructions(void)
{
	CHECK_FAULT(__asm__ volatile(".globl at_ud2\nat_ud2: ud2"), SIGILL, ILL_ILLOPN, at_ud2);
	CHECK_FAULT(__asm__ volatile(".globl at_divide\nat_divide: divl %%ecx"
				     :
				     : "a"(1), "d"(0), "c"(0)),
		    SIGFPE, FPE_INTDIV, at_divide);
	CHECK_FAULT(__asm__ volatile("hlt"), SIGSEGV, SI_KERNEL, 0);
	CHECK_FAULT(__asm__ volatile("int3"), SIGTRAP, SI_KERNEL, 0);
	CHECK_FAULT(__asm__ volatile("int $0x13"), SIGSEGV, SI_KERNEL, 0);
}

static void step(int signo, siginfo_t *info, void *context)
{
	ucontext_t *where = context;

	(void)signo;
	seen = *info;
	if (++faults == 3)
		where->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

/* Three steps of one instruction each, and then on. */
static void stepping(void)
{
	unsigned long count = 0;

	handle(SIGTRAP, step, 0);
	faults = 0;
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
			 "incq %0\n\tincq %0\n\tincq %0\n\tincq %0\n\tincq %0"
			 : "+r"(count)
			 :
			 : "cc", "memory");
	CHECK(faults == 3 && seen.si_code == TRAP_TRACE && count == 5);
	handle(SIGTRAP, leave, 0);
}

/* QEMU's TCG knows no exceptions of SSE: there, nothing comes. */
#define CHECK_SIMD(statement, code)                                                            \
	do {                                                                                   \
		memset(&seen, 0, sizeof(seen));                                                \
		if (sigsetjmp(back, 1) == 0) {                                                 \
			__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));                         \
			statement;                                                             \
		}                                                                              \
		CHECK(seen.si_signo == 0 ? on_phoenix()                                        \
					 : seen.si_signo == SIGFPE && seen.si_code == (code)); \
	} while (0)

static void floating(void)
{
	volatile double zero = 0, one = 1, huge = 1e308;
	volatile long double x87_zero = 0, x87_one = 1;
	unsigned mxcsr = 0x1f80 & ~0x0e80u; /* invalid, zero divide, overflow are not masked */
	unsigned short control = 0x037f & ~0x04u;

	CHECK_SIMD(one = one / zero, FPE_FLTDIV);
	CHECK_SIMD(huge = huge * huge, FPE_FLTOVF);
	CHECK_SIMD(one = zero / zero, FPE_FLTINV);
	memset(&seen, 0, sizeof(seen));
	if (sigsetjmp(back, 1) == 0) {
		__asm__ volatile("fldcw %0" : : "m"(control));
		x87_one = x87_one / x87_zero;
		__asm__ volatile("fwait");
	}
	CHECK(seen.si_signo == SIGFPE && seen.si_code == FPE_FLTDIV);
	mxcsr = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

static volatile char *repaired;

static void repair(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	seen = *info;
	faults++;
	mprotect((void *)((uintptr_t)info->si_addr & -PAGE), PAGE, PROT_READ | PROT_WRITE);
}

static void repairing(void)
{
	repaired = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, repair, 0);
	faults = 0;
	for (int i = 0; i < 16; i++) {
		repaired[i * PAGE + (unsigned)i] = (char)i;
		CHECK(seen.si_addr == (void *)(repaired + i * PAGE + i) && seen.si_code == SEGV_ACCERR);
	}
	CHECK(faults == 16);
	for (int i = 0; i < 16; i++)
		CHECK(repaired[i * PAGE + (unsigned)i] == i);
	CHECK(faults == 16);
	munmap((void *)repaired, 16 * PAGE);
	handle(SIGSEGV, leave, 0);
}

/* Goes on with the next instruction, with another value in a register. */
static void skip(int signo, siginfo_t *info, void *context)
{
	ucontext_t *where = context;

	(void)signo, (void)info;
	where->uc_mcontext.gregs[REG_RIP] += 2;
	where->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void skipping(void)
{
	unsigned long value = 1;

	handle(SIGILL, skip, 0);
	__asm__ volatile("ud2" : "+a"(value) : : "memory");
	CHECK(value == 4711);
	handle(SIGILL, leave, 0);
}

static unsigned recurse(volatile char *below, unsigned left)
{
	volatile char room[PAGE];

	room[0] = below[0];
	return left ? recurse(room, left - 1) + (unsigned char)room[0] : 0;
}

static void stack_overflow(void)
{
	static char memory[64 << 10];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)};
	volatile char first = 0;

	CHECK(sigaltstack(&stack, NULL) == 0);
	handle(SIGSEGV, leave, SA_ONSTACK);
	memset(&seen, 0, sizeof(seen));
	if (sigsetjmp(back, 1) == 0)
		recurse(&first, UINT32_MAX);
	CHECK(seen.si_signo == SIGSEGV && (uintptr_t)seen.si_addr < (uintptr_t)&first);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	handle(SIGSEGV, leave, 0);
}

/* How a child ends that does this. */
static int status_of(void (*what)(void))
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		what();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void fault_blocked(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*low = 1;
}

static void fault_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	*low = 1;
}

static void fault_in_handler(void)
{
	signal(SIGSEGV, (void (*)(int))fault_ignored);
	*low = 1;
}

/* The frame cannot be written. */
static void fault_without_stack(void)
{
	handle(SIGILL, skip, 0);
	signal(SIGSEGV, SIG_DFL);
	__asm__ volatile("movq $64, %rsp\n\tud2");
}

static void return_from_nothing(void)
{
	signal(SIGSEGV, SIG_DFL);
	__asm__ volatile("movq $4096, %%rsp\n\tsyscall" : : "a"(SYS_rt_sigreturn));
}

static void return_to_nowhere(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = (greg_t)NOT_CANONICAL;
}

static void return_to_ring0(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_CSGSFS] = 8;
}

static void bad_address(void)
{
	signal(SIGSEGV, SIG_DFL);
	handle(SIGUSR1, return_to_nowhere, 0);
	raise(SIGUSR1);
}

static void bad_segment(void)
{
	signal(SIGSEGV, SIG_DFL);
	handle(SIGUSR1, return_to_ring0, 0);
	raise(SIGUSR1);
}

static void no_restorer(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = {(void (*)(int))fault_ignored, 0, NULL, 0};

	signal(SIGSEGV, SIG_DFL);
	syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
	raise(SIGUSR1);
}

static void deadly(void)
{
	static void (*const cases[])(void) = {fault_blocked,       fault_ignored,       fault_in_handler,
					      fault_without_stack, return_from_nothing, bad_address,
					      bad_segment,         no_restorer};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = status_of(cases[i]);

		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
			printf("(case %zu: status %x)\n", i, (unsigned)status);
	}
}

int main(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		handle(signals[i], leave, 0);
	memory();
	instructions();
	stepping();
	floating();
	repairing();
	skipping();
	stack_overflow();
	deadly();
	return checks_end("faults");
}
