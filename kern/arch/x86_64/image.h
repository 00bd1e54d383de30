/*
 * Where the kernel's image is: symbols of linker.ld and boot.asm. They have addresses and no contents.
 */
#ifndef ARCH_IMAGE_H
#define ARCH_IMAGE_H

#include <vm/layout.h>
#include <vm/types.h>

extern char kernel_text_start[], kernel_text_end[];
extern char kernel_rodata_start[], kernel_rodata_end[];
extern char kernel_data_start[], kernel_data_end[];
extern char kernel_image_end[];

/* The stack that kernel_main starts on, and the page below it that nobody may touch. */
extern char boot_stack_guard[], boot_stack_top[];

/* The physical address of something in the image. */
static inline paddr_t image_paddr(const void *in_image)
{
	return (vaddr_t)in_image - LAYOUT_KERNEL_START;
}

#endif
