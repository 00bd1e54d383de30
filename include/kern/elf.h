/*
 * Executables (kern/proc/elf.c): from a file's blob to an entity that can be mapped. What becomes of it then is <kern/proc.h>'s.
 *
 * Includes nothing but the VM's headers: tests/fuzz runs elf.c as a host program, where Linux's headers for the kernel and those of the C library
 * exclude each other.
 */
#ifndef KERN_ELF_H
#define KERN_ELF_H

#include <vm/vm.h>

/* One line of text that says why a program cannot be run. */
#define REASON_BYTES 192
struct reason {
	char text[REASON_BYTES];
};

/* An executable, ready to be mapped. Addresses are as linked: add (where it is) - start. */
struct program_image {
	struct entity *entity;
	vaddr_t start;   /* where the entity was linked to be */
	uint64_t align;  /* what its place must be a multiple of */
	bool relocates;  /* may be anywhere: position independent */
	vaddr_t entry;   /* the first instruction */
	vaddr_t headers; /* the program headers in memory; 0: not in memory */
	uint16_t header_count;
	/* Where in the file its interpreter's name is, which ends with a NUL if all is well; 0 bytes: it needs none. */
	uint64_t interpreter_offset, interpreter_bytes;
};

/*
 * Makes an entity of the executable that fills the first `bytes` of `file`; checks all of it before it makes
 * anything. The caller owns image->entity. -ENOEXEC with the reason, -ENOMEM, or -EIO.
 */
int elf_load(struct blob *file, uint64_t bytes, const char *name, struct map_label *label,
	     struct program_image *image, struct reason *reason);

/* Prepares the slab cache of elf.c; once. */
void elf_init(void);

#endif
