/*
 * The address space: where everything is, in every process.
 *
 * All of a process and all of the kernel live in the positive half, 0 to 2^47. The constants
 * are plain numbers so that NASM and the linker script can state the same ones; docs/design.md
 * says why the regions are where they are.
 */
#ifndef VM_LAYOUT_H
#define VM_LAYOUT_H

/* [0, 4 KiB): never mapped, by anyone, for any reason. */
#define LAYOUT_GUARD_END 0x1000ul

/* Executable images, shared libraries and whatever is mapped from files. */
#define LAYOUT_PRIVATE_START 0x1000ul
#define LAYOUT_PRIVATE_END   0x78000000ul

/* The kernel's text and data, 128 MiB; shared by page-directory entry. */
#define LAYOUT_KERNEL_START 0x78000000ul
#define LAYOUT_KERNEL_END   0x80000000ul

/* At the kernel window's very top: the one part of it that user code may read and execute. */
#define LAYOUT_GATE_START 0x7fff0000ul
#define LAYOUT_GATE_END   0x80000000ul

/* Device registers and resident kernel objects, 2 GiB; shared by its two page directories. */
#define LAYOUT_SYSTEM_START 0x80000000ul
#define LAYOUT_SYSTEM_END   0x100000000ul

/* Process arenas: heaps, stacks, anonymous mappings, at addresses no other process has. */
#define LAYOUT_ARENAS_START 0x100000000ul
#define LAYOUT_ARENAS_END   0x6f8000000000ul
#define LAYOUT_ARENA_BYTES  0x1000000000ul /* 64 GiB, the size of an ordinary arena */
#define LAYOUT_ARENA_ALIGN  0x40000000ul   /* 1 GiB: arenas share no page directory */

/* What arenas that are no process's first may have together: an eighth is left for those, so that programs can be started. */
#define LAYOUT_ADDED_ARENAS ((LAYOUT_ARENAS_END - LAYOUT_ARENAS_START) / 8 * 7)

/* The array of page descriptors, one per 4 KiB of the physical window, present where RAM is. */
#define LAYOUT_PAGES_START 0x6f8000000000ul
#define LAYOUT_PAGES_END   0x6fc000000000ul

/* Kernel dynamic memory: kernel stacks and other mapped kernel memory. */
#define LAYOUT_DYNAMIC_START 0x6fc000000000ul
#define LAYOUT_DYNAMIC_END   0x700000000000ul

/* The persistent physical memory map: physical address p is at LAYOUT_PHYSICAL_START + p. */
#define LAYOUT_PHYSICAL_START 0x700000000000ul
#define LAYOUT_PHYSICAL_END   0x800000000000ul
#define LAYOUT_PHYSICAL_BYTES 0x100000000000ul /* 16 TiB: RAM above this is not used */

#endif
