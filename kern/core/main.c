/*
 * kernel_main: everything is started here, in order, and then the first process or the self-tests
 * have the machine, and kernel_main's thread is the one that runs when no other does.
 *
 * Before: boot/boot.asm. After: kern/proc/first.c.
 */
#include <kern/block.h>
#include <kern/boot.h>
#include <kern/bootfile.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <kern/serial.h>
#include <kern/test.h>
#include <vm/vm.h>

#define NANOSECONDS_PER_MICROSECOND 1000u

_Noreturn void kernel_main(uint32_t magic, paddr_t info);

static struct thread main_thread;

/* What is left to do when there are threads, so that it may sleep. */
static void main_of_thread(void *argument)
{
	const char *tests = cmdline_get("test");

	(void)argument;
	serial_start_interrupts();
	block_init();
	bootfile_init();
	pageout_start();
	if (tests)
		power_off(tests_run(tests) ? 1 : 0);
	process_start_first();
}

/*
 * Called by boot.asm on the boot stack, interrupts off; the arguments are bootinfo_read()'s. Nothing may be
 * printed or locked before cpu_init has set up per-CPU data.
 */
void kernel_main(uint32_t magic, paddr_t info)
{
	const char *zero_pool;

	time_start();
	serial_init(); /* first: cpu_init may have something to say against the CPU */
	cpu_init();
	bootinfo_read(magic, info);
	cmdline_init(bootinfo.command_line);
	console_choose(cmdline_get("console"));
	kprintf("phoenix: Phoenix VM, loaded through %s\n", bootinfo.loader);
	memory_init();
	vm_init();
	irq_mask_8259s();
	apic_init();
	irq_init();
	time_init();
	gate_init();
	zero_pool = cmdline_get("zeropool");
	if (zero_pool && strcmp(zero_pool, "off") == 0)
		page_zero_pool_enable(false);

	if (cmdline_get("verbose"))
		kprintf("phoenix: started in %llu us\n",
			(unsigned long long)(time_nanoseconds() / NANOSECONDS_PER_MICROSECOND));
	locks_init();
	sched_init();
	if (thread_create(&main_thread, "main", main_of_thread, NULL, false, NULL) != 0)
		panic("no memory for a thread");
	thread_run(&main_thread);
	sched_idle();
}
