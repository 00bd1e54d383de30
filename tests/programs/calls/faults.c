/*
 * Faults that become signals: which one, its code and its address, and handlers that repair the mapping and return.
 */
#include "tap.h"
#include <ucontext.h>

#define PAGES 4

static const int rw = PROT_READ | PROT_WRITE;
static volatile int handled;
static volatile char *volatile repair_at;

static void repair_by_mmap(int signal, siginfo_t *info, void *context)
{
	(void)context;
	handled++;
	if (signal != SIGSEGV || info->si_addr != repair_at || handled > 10)
		_exit(3);
	mmap((void *)((uintptr_t)repair_at & -PAGE), PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	     0);
}

static void repair_by_mprotect(int signal, siginfo_t *info, void *context)
{
	(void)context;
	handled++;
	if (signal != SIGSEGV || info->si_code != SEGV_ACCERR || info->si_addr != repair_at || handled > 10)
		_exit(3);
	mprotect((void *)((uintptr_t)repair_at & -PAGE), PAGE, rw);
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

	NEED(sigaction(signal, &action, NULL) == 0);
}

TEST(nothing, "where nothing is: SIGSEGV, SEGV_MAPERR, the exact address")
{
	char *memory = anonymous(PAGES * PAGE);

	CHECK(munmap(memory + PAGE, 2 * PAGE) == 0);
	FAULTS(ACCESS_READ, memory + PAGE, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_WRITE, memory + 2 * PAGE - 1, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_EXECUTE, memory + 2 * PAGE + 77, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_READ, NULL, SIGSEGV, SEGV_MAPERR);
	FAULTS(ACCESS_WRITE, (char *)0xfff, SIGSEGV, SEGV_MAPERR);
}

TEST(no_right, "where there is no right: SIGSEGV, SEGV_ACCERR, the exact address")
{
	char *memory = anonymous(PAGES * PAGE);

	CHECK(mprotect(memory, PAGE, PROT_NONE) == 0 && mprotect(memory + PAGE, PAGE, PROT_READ) == 0);
	FAULTS(ACCESS_READ, memory + 5, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_WRITE, memory + PAGE + 6, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_EXECUTE, memory + 2 * PAGE, SIGSEGV, SEGV_ACCERR);
}

TEST(text, "a program's text cannot be written, its constants neither")
{
	static const char constant[] = "constant";

	FAULTS(ACCESS_WRITE, (char *)(uintptr_t)&handle, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_WRITE, constant, SIGSEGV, SEGV_ACCERR);
}

TEST(kernel,
     "addresses that are never a program's: SIGSEGV; those that are no addresses: SI_KERNEL without one")
{
	struct fault fault = try_access(ACCESS_READ, (char *)0xffffffff80000000);

	EQUAL(fault.signal, SIGSEGV);
	fault = try_access(ACCESS_READ, (char *)(USER_END - PAGE));
	EQUAL(fault.signal, SIGSEGV);
	fault = try_access(ACCESS_READ, (char *)0x8000000000000000);
	EQUAL(fault.signal, SIGSEGV);
	EQUAL(fault.code, SI_KERNEL);
	EQUAL(fault.address, NULL);
	fault = try_access(ACCESS_WRITE, (char *)0x123456789abcdef0);
	EQUAL(fault.signal, SIGSEGV);
	EQUAL(fault.code, SI_KERNEL);
}

TEST(across, "an access across two pages faults at the first byte that is not there")
{
	char *memory = anonymous(2 * PAGE);
	struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
	volatile uint64_t *word = (volatile uint64_t *)(memory + PAGE - 3);

	NEED(munmap(memory + PAGE, PAGE) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
	if (sigsetjmp(fault_jump, 1) == 0)
		*word = 1;
	EQUAL(fault_seen.signal, SIGSEGV);
	EQUAL(fault_seen.address, memory + PAGE);
	CHECK(all_are(memory, PAGE, 0)); /* nothing of it was written */
}

TEST(behind_file, "behind the last page of a file: SIGBUS, BUS_ADRERR; behind its last byte: zeroes")
{
	int file = make_file("file", PAGE + 10);
	char *shared = mmap(NULL, PAGES * PAGE, rw, MAP_SHARED, file, 0);
	char *copied = mmap(NULL, PAGES * PAGE, rw, MAP_PRIVATE, file, 0);

	NEED(shared != MAP_FAILED && copied != MAP_FAILED);
	EQUAL(shared[PAGE + 9], 2);
	CHECK(all_are(shared + PAGE + 10, PAGE - 10, 0) && all_are(copied + PAGE + 10, PAGE - 10, 0));
	FAULTS(ACCESS_READ, shared + 2 * PAGE, SIGBUS, BUS_ADRERR);
	FAULTS(ACCESS_WRITE, shared + 2 * PAGE + 7, SIGBUS, BUS_ADRERR);
	FAULTS(ACCESS_READ, copied + 3 * PAGE + 8, SIGBUS, BUS_ADRERR);
	FAULTS(ACCESS_WRITE, copied + 2 * PAGE, SIGBUS, BUS_ADRERR);
}

TEST(right_first, "behind the end of a file the right counts first")
{
	int file = make_file("file", 0);
	char *memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);

	FAULTS(ACCESS_WRITE, memory, SIGSEGV, SEGV_ACCERR);
	FAULTS(ACCESS_READ, memory, SIGBUS, BUS_ADRERR);
}

TEST(killed, "without a handler, or with the signal blocked or ignored, the signal kills")
{
	char *memory = anonymous(PAGE);

	NEED(munmap(memory, PAGE) == 0);
	for (unsigned i = 0; i < 3; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGSEGV);
			if (i == 1)
				sigprocmask(SIG_BLOCK, &set, NULL);
			else if (i == 2)
				signal(SIGSEGV, SIG_IGN);
			*(volatile char *)memory = 1;
			_exit(0);
		}
		status = wait_status(child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
}

TEST(repair_map, "a handler maps what is missing, and the access succeeds")
{
	char *memory = anonymous(PAGE);

	NEED(munmap(memory, PAGE) == 0);
	handle(SIGSEGV, repair_by_mmap);
	repair_at = memory + 123;
	*repair_at = 'x';
	EQUAL(handled, 1);
	CHECK(memory[123] == 'x' && memory[122] == 0);
}

TEST(repair_right, "a handler gives the right that is missing, page by page, and the accesses succeed")
{
	char *memory = anonymous(PAGES * PAGE);

	memset(memory, 'a', PAGES * PAGE);
	NEED(mprotect(memory, PAGES * PAGE, PROT_NONE) == 0);
	handle(SIGSEGV, repair_by_mprotect);
	for (unsigned i = 0; i < PAGES; i++) {
		repair_at = memory + i * PAGE + i;
		*repair_at += 1;
	}
	EQUAL(handled, PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		CHECK(memory[i * PAGE + i] == 'b' && memory[i * PAGE + i + 1] == 'a');
}

static int growing_file;

static void repair_by_truncate(int signal, siginfo_t *info, void *context)
{
	(void)context;
	handled++;
	if (signal != SIGBUS || info->si_code != BUS_ADRERR || info->si_addr != repair_at || handled > 10)
		_exit(3);
	if (ftruncate(growing_file, PAGES * PAGE) != 0)
		_exit(4);
}

TEST(repair_file, "a handler of SIGBUS makes the file longer, and the access succeeds")
{
	char *memory, byte;

	growing_file = make_file("file", PAGE);
	memory = mmap(NULL, PAGES * PAGE, rw, MAP_SHARED, growing_file, 0);
	NEED(memory != MAP_FAILED);
	handle(SIGBUS, repair_by_truncate);
	repair_at = memory + 2 * PAGE + 5;
	*repair_at = 'x';
	EQUAL(handled, 1);
	CHECK(pread(growing_file, &byte, 1, 2 * PAGE + 5) == 1 && byte == 'x');
}

static void skip_instruction(int signal, siginfo_t *info, void *context)
{
	ucontext_t *registers = context;

	(void)info;
	handled = signal;
	registers->uc_mcontext.gregs[REG_RIP] += 2;
	registers->uc_mcontext.gregs[REG_RAX] = 55;
}

TEST(context, "a handler changes registers, and the program goes on with them")
{
	long result;

	handle(SIGILL, skip_instruction);
	__asm__ volatile("ud2" : "=a"(result) : "0"(1));
	EQUAL(handled, SIGILL);
	EQUAL(result, 55);
}

static long fault_error, fault_trap, fault_cr2;

static void note_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *registers = context;

	fault_error = registers->uc_mcontext.gregs[REG_ERR];
	fault_trap = registers->uc_mcontext.gregs[REG_TRAPNO];
	fault_cr2 = registers->uc_mcontext.gregs[REG_CR2];
	note_fault(signal, info, context);
}

TEST(trap_numbers, "the context tells the trap, its error code and the address")
{
	char *memory = anonymous(PAGE);

	memory[0] = 1;
	NEED(mprotect(memory, PAGE, PROT_READ) == 0);
	handle(SIGSEGV, note_trap);
	if (sigsetjmp(fault_jump, 1) == 0)
		*(volatile char *)(memory + 9) = 1;
	EQUAL(fault_trap, 14);
	EQUAL(fault_error & 7, 7); /* present, write, user */
	EQUAL(fault_cr2, memory + 9);
}

TEST(arithmetic, "other traps: SIGFPE by code, SIGILL at the instruction, SIGTRAP")
{
	handle(SIGFPE, note_fault);
	handle(SIGILL, note_fault);
	handle(SIGTRAP, note_fault);
	handle(SIGSEGV, note_fault);
	if (sigsetjmp(fault_jump, 1) == 0)
		__asm__ volatile("xor %%ecx, %%ecx; div %%ecx" : : : "eax", "ecx", "edx");
	EQUAL(fault_seen.signal, SIGFPE);
	EQUAL(fault_seen.code, FPE_INTDIV);
	if (sigsetjmp(fault_jump, 1) == 0)
		__asm__ volatile("ud2");
	EQUAL(fault_seen.signal, SIGILL);
	EQUAL(fault_seen.code, ILL_ILLOPN);
	if (sigsetjmp(fault_jump, 1) == 0)
		__asm__ volatile("int3");
	EQUAL(fault_seen.signal, SIGTRAP);
	if (sigsetjmp(fault_jump, 1) == 0)
		__asm__ volatile("hlt"); /* privileged */
	EQUAL(fault_seen.signal, SIGSEGV);
	EQUAL(fault_seen.code, SI_KERNEL);
}

TEST(system_calls, "system calls say EFAULT instead, and do nothing")
{
	int file = make_file("file", PAGE), ends[2];
	char *memory = anonymous(2 * PAGE);

	NEED(munmap(memory + PAGE, PAGE) == 0 && pipe(ends) == 0);
	FAILS(CALL(pread64, file, memory + PAGE, 10, 0), EFAULT);
	FAILS(CALL(write, file, memory + PAGE, 10), EFAULT);
	FAILS(CALL(write, file, NULL, 10), EFAULT);
	FAILS(CALL(write, file, USER_END, 10), EFAULT);
	FAILS(CALL(write, file, -PAGE, 10), EFAULT);
	FAILS(CALL(open, memory + PAGE, O_RDONLY), EFAULT);
	FAILS(CALL(pipe, memory + PAGE), EFAULT);
	FAILS(CALL(stat, "file", memory + PAGE - 8), EFAULT);
	CHECK(mprotect(memory, PAGE, PROT_READ) == 0);
	FAILS(CALL(pread64, file, memory, 10, 0), EFAULT); /* its protection counts */
	EQUAL(file_size(file), PAGE);
}
