; The vDSO, as it is linked (kern/arch/x86_64/vdso/), on pages of its own: gate.c maps them for users.

bits 64

global vdso_image
global vdso_image_end

section .rodata align=4096
vdso_image:
	incbin "vdso.so"
	align	4096, db 0
vdso_image_end:

section .note.GNU-stack noalloc noexec nowrite progbits
