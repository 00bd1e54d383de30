/*
 * The kernel around the VM: console, command line, time, CPU set-up, copying from and to users.
 */
#ifndef KERN_KERN_H
#define KERN_KERN_H

#include <stdarg.h>

#include <kern/cpu.h>
#include <kern/trap.h>
#include <vm/env.h>

/* ---- Console (kern/core/console.c), panic (kern/core/panic.c) ------------------------------ */

/* To the kernel's console; '\n' becomes CR LF there. env_log() is kprintf with a newline. */
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As env_format(), of a list of arguments. */
int kformat_list(char *buffer, size_t bytes, const char *format, va_list arguments);

/* Panics with the registers of `frame` rather than the caller's. */
_Noreturn void panic_trap(const struct trapframe *frame, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The port that the console is on, 1 to 4: from the command line's "console=comN". */
void console_choose(const char *name); /* NULL: COM1 stays; a name that is no port is logged */
unsigned console_port(void);

/* Prints "function+offset" of the addresses on the stack that starts at frame pointer `rbp`. */
void backtrace(uint64_t rip, uint64_t rbp);

/* The name of the function that contains a kernel text address, and the offset in it; NULL: none. */
const char *symbol_name(uint64_t address, uint64_t *offset);

/*
 * From the first to the second the current thread waits until somebody has memory for it. Whoever gets a page meanwhile gives way to others before it goes on in ring 3: so
 * what becomes free is for all who wait, a page for each turn. May be called with mutexes held.
 */
void memory_line_enter(void);
void memory_line_leave(void);

/* Starts the thread that gives up pages while memory is low (kern/core/pageout_thread.c). Once, when threads can run. */
void pageout_start(void);
/* Waits until it has done with what it is at; it looks for no pages any more. For who counts what is left at the end. Sleeps. */
void pageout_stop(void);

/* The console's line "phoenix: power off, status N", then the machine off. */
_Noreturn void power_off(int status);

/* ---- Serial ports (kern/dev/serial.c) -------------------------------------------------------- */

/* Ports are numbered 1 to 4, as COM1 to COM4. Present ones work; writes to others are lost. */
void serial_init(void);
bool serial_present(unsigned port);
/* Raw. How many bytes it took: fewer than `count` where it takes no more for a long time. */
size_t serial_write(unsigned port, const void *bytes, size_t count);
int serial_read_byte(unsigned port); /* -1: nothing there now */

/* ---- Command line (kern/core/cmdline.c) ------------------------------------------------------ */

/* Words "name=value" and "name", split at spaces; double quotes keep spaces in a value. */
void cmdline_init(const char *line);
/* The value of the last "name=..." (an empty string for a plain "name"), or NULL. */
const char *cmdline_get(const char *name);
/* Unsigned number with optional K, M or G; `otherwise` if absent or malformed (which is logged). */
uint64_t cmdline_number(const char *name, uint64_t otherwise);
/* Visits each value of a name that may be repeated, in order: cmdline_nth("env", 0), ... NULL after the last. */
const char *cmdline_nth(const char *name, unsigned n);

/* ---- Time (kern/core/time.c over kern/arch/x86_64/clock.c) -------------------------------------- */

/* Time begins. Before time_init, nanoseconds are only roughly so. */
void time_start(void);
/* Calibrates the time-stamp counter and reads the battery clock. After apic_init. */
void time_init(void);
uint64_t time_nanoseconds(void);               /* since boot, monotonic */
int64_t time_realtime_offset(void);            /* nanoseconds to add for the time since 1970 (from the RTC) */
void time_set_realtime_offset(int64_t offset); /* timers of the time of day go by it from now on */
uint64_t
time_since_boot(uint64_t time_of_day); /* in nanoseconds since 1970, as the clock is now; 0: before boot */
const void *time_gate_data(void);      /* the page of <kern/gate.h> */
/* The current thread sleeps until the time is reached. */
void time_sleep_until(uint64_t nanoseconds);
/* Lets the APIC's timer interrupt at that time, or earlier (TIME_NEVER: not at all); halts until the next interrupt, interrupts being off. */
void time_interrupt_at(uint64_t nanoseconds);
void time_wait_for_interrupt(void);

/* ---- CPU (kern/arch/x86_64/cpu.c) ------------------------------------------------------------ */

/* GDT, TSS, IDT, control registers, system-call entry of this CPU. */
void cpu_init(void);
/* Maps the gate area (kern/arch/x86_64/gate.c); after vm_init and time_init, once. */
void gate_init(void);
/* The stack that traps and system calls from ring 3 start on: its top. */
void cpu_set_kernel_stack(vaddr_t top);
/* The user's thread pointer (FS base). */
void cpu_set_fs_base(vaddr_t base);
vaddr_t cpu_fs_base(void);
/* The user's GS base. */
void cpu_set_gs_base(vaddr_t base);
vaddr_t cpu_gs_base(void);
/* Makes a frame for ring 3: all registers zero but these. */
void trapframe_init_user(struct trapframe *frame, vaddr_t rip, vaddr_t rsp);
/* Leaves the kernel by a frame for ring 3, which is at the top of the current thread's stack. */
_Noreturn void return_to_user(struct trapframe *frame);

/* ---- Copying from and to user memory (kern/arch/x86_64/usercopy.c) ------------------------------ */

/*
 * 0, or -EFAULT if any part is not the user's to read or write (bytes before it may have been
 * copied). They take page faults: no locks held.
 */
int copy_from_user(void *to, vaddr_t from, size_t bytes);
int copy_to_user(vaddr_t to, const void *from, size_t bytes);
/* Copies a string with its terminator. Its length, or -EFAULT, or -ENAMETOOLONG if it does not end within `bytes`. */
long copy_string_from_user(char *to, vaddr_t from, size_t bytes);
/*
 * Copies between user and kernel memory, taking no page fault, so that spinlocks may be held. False: not all of the user's memory is present with
 * the rights for it, and any of the bytes may have been copied.
 */
bool copy_user_present(vaddr_t to, vaddr_t from, size_t bytes);

/*
 * Does what a fault of the program there would: the page is present, unless it is taken away again at once. 0; -EFAULT: it may not be accessed so. No
 * spinlocks held.
 */
int user_bring_in(vaddr_t address, vm_prot_t access);

/*
 * Words of 32 bits in user memory, at aligned addresses. *was is what was there; where that is `expected`, the word becomes
 * `value`, in one step. 0 or -EFAULT. Those that end in "now" take no page fault, so that spinlocks may be held: false where one would be.
 */
int user_word_exchange(vaddr_t address, uint32_t expected, uint32_t value, uint32_t *was);
bool user_word_exchange_now(vaddr_t address, uint32_t expected, uint32_t value, uint32_t *was);
bool user_word_read_now(vaddr_t address, uint32_t *out);

/* ---- Processes (kern/proc) ---------------------------------------------------------------------- */

/* An access to memory that the VM refused. */
struct refused_access {
	vaddr_t address;
	vm_prot_t access; /* VM_READ, VM_WRITE or VM_EXEC; 0: there was none */
};

/*
 * The current task's program made a mistake: signal `signo`, why in a word for the console, and the access where it was one that the VM
 * refused (else NULL). It is ended, with a console line of that and of vm_explain().
 */
_Noreturn void task_fault(const struct trapframe *frame, int signo, const char *why,
			  const struct refused_access *refused);

/*
 * Lets the stack of the current task's program grow to an address where nothing is mapped (kern/proc/sys_mmap.c). False: there is no stack above it, or its
 * limit or what lies below forbids it. No locks held.
 */
bool task_grow_stack(vaddr_t address);

/*
 * A page fault of the current task's program found no memory (kern/proc/no_memory.c): a process is ended. True: the fault is to be tried again.
 * False: this process has to end. If it does not know yet, as nobody else could be ended, task_end_for_room() lets it end when it comes
 * back from its system call. They may sleep; mutexes may be held.
 */
bool task_made_room(void);
void task_end_for_room(void);

/* Called by vectors.asm with interrupts on: does the system call and sets frame->rax. */
void syscall_handle(struct trapframe *frame);

/* Starts the first process as the command line says; if that cannot be, the machine is turned off. */
void process_start_first(void);

/* ---- Self-tests (kern/core/test.c) -------------------------------------------------------------- */

/* Runs the suites that `names` lists ("all", or names with commas), as TAP. The number that failed. */
int tests_run(const char *names);

#endif
