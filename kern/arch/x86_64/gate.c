/*
 * The gate area: maps the vDSO and its page of data where all programs see them. What they are is in <kern/gate.h>.
 *
 * The kernel window is shared by all address spaces below the page directory, so once is enough.
 */
#include <asm/errno.h>
#include <kern/gate.h>
#include <kern/kern.h>
#include <vm/page.h>
#include <vm/pmap.h>

extern const uint8_t vdso_image[], vdso_image_end[];

/* Lets ring 3 see a page of the kernel's image, whose physical address is its own less the window's start. */
static void show(vaddr_t at, const void *page, vm_prot_t prot)
{
	paddr_t frame = (vaddr_t)page - LAYOUT_KERNEL_START;

	if (pmap_enter(&kernel_pmap, at, page_from_paddr(frame), prot | VM_USER, CACHE_WRITE_BACK) != 0)
		panic("the gate area cannot be mapped");
}

void gate_init(void)
{
	size_t bytes = (size_t)(vdso_image_end - vdso_image);

	ASSERT(GATE_VDSO + bytes <= LAYOUT_GATE_END);
	show(GATE_DATA, time_gate_data(), VM_READ);
	for (size_t done = 0; done < bytes; done += PAGE_SIZE)
		show(GATE_VDSO + done, vdso_image + done, VM_READ | VM_EXEC);
}
