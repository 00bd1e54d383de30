; The way in: from a boot loader to kernel_main(), on one path behind two doors.
;
; GRUB comes through the multiboot2 header, QEMU's -kernel through the PVH note. Either leaves
; the CPU in 32-bit protected mode, without paging, with flat segments and interrupts off, and the
; kernel's image at its load address with a cleared BSS. From here: boot page tables, long mode, up to
; the linked addresses, kernel_main(magic, info). The page tables that stay are made later, in
; kern/arch/x86_64/memory_init.c; what the loader says is read in bootinfo.c.

%include "layout.inc"
%include "boot/x86.inc"
%include "boot/doors.inc"

; The image is linked at its load address plus this; so code that runs before paging subtracts it.
%define LOAD(symbol) ((symbol) - LAYOUT_KERNEL_START)

BOOT_STACK_BYTES    equ 32 * 1024
PHYSICAL_MAP_TABLES equ 4               ; page directories, 1 GiB each: all that is below 4 GiB

extern kernel_main, kernel_image_end
global boot_multiboot2, boot_pvh, boot_stack_guard, boot_stack_top

section .boot

align 8
multiboot2_header:
	dd MULTIBOOT2_HEADER_MAGIC
	dd MULTIBOOT2_ARCHITECTURE_I386
	dd multiboot2_header_end - multiboot2_header
	dd -(MULTIBOOT2_HEADER_MAGIC + MULTIBOOT2_ARCHITECTURE_I386 + multiboot2_header_end - multiboot2_header)

	; Where to start, as a physical address.
	dw MULTIBOOT2_TAG_ENTRY_ADDRESS, 0
	dd 12
	dd LOAD(boot_multiboot2)
	align 8, db 0

	; Modules start at page boundaries, so that their frames can be mapped as they are.
	dw MULTIBOOT2_TAG_MODULE_ALIGN, 0
	dd 8

	dw MULTIBOOT2_TAG_END, 0
	dd 8
multiboot2_header_end:

bits 32

; PVH: ebx = physical address of the start information. eax is not defined.
boot_pvh:
	xor eax, eax

; Multiboot2: eax = its magic number, ebx = physical address of its information.
boot_multiboot2:
	cli
	cld
	mov esp, LOAD(boot_stack_top)
	mov edi, eax                    ; the arguments of kernel_main, kept here all the way
	mov esi, ebx

	call require_long_mode
	call fill_page_tables

	mov eax, CR4_PAE
	mov cr4, eax
	mov eax, LOAD(boot_pml4)
	mov cr3, eax

	; Long mode, and no-execute where the CPU has it (edx is from require_long_mode).
	mov ecx, MSR_EFER
	mov ebx, edx
	rdmsr
	or eax, EFER_LME
	test ebx, CPUID_EXTENDED_EDX_NX
	jz .no_nx
	or eax, EFER_NXE
.no_nx:
	wrmsr

	mov eax, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE
	mov cr0, eax
	lgdt [LOAD(gdt_pointer_load)]
	jmp dword BOOT_CODE:LOAD(long_mode)

bits 64
long_mode:
	mov rax, linked_address
	jmp rax
linked_address:
	lgdt [gdt_pointer_linked]
	mov eax, BOOT_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov esp, boot_stack_top
	xor ebp, ebp                    ; a frame pointer of 0 ends a backtrace
	mov edi, edi                    ; the upper halves are not defined after the switch
	mov esi, esi
	call kernel_main
.halt:
	cli
	hlt
	jmp .halt

bits 32

; Returns the extended feature bits of CPUID in edx; halts with a message where there is no long mode.
; Keeps edi and esi. (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.)
require_long_mode:
	pushfd
	pop eax
	mov ecx, eax
	xor eax, EFLAGS_ID              ; a CPU that has CPUID lets this bit be changed
	push eax
	popfd
	pushfd
	pop eax
	xor eax, ecx
	test eax, EFLAGS_ID
	jz no_long_mode
	mov eax, CPUID_EXTENDED_MAX
	cpuid
	cmp eax, CPUID_EXTENDED_FEATURES
	jb no_long_mode
	mov eax, CPUID_EXTENDED_FEATURES
	cpuid
	test edx, CPUID_EXTENDED_EDX_LM
	jz no_long_mode
	ret

; Says on COM1 why nothing will happen, and halts.
no_long_mode:
	mov ecx, (uart_setup_end - uart_setup) / 4
	mov esi, LOAD(uart_setup)
.setup:
	mov dx, [esi]
	mov al, [esi + 2]
	out dx, al
	add esi, 4
	loop .setup
	mov esi, LOAD(no_long_mode_message)
.next:
	mov ecx, UART_PATIENCE          ; a missing port must not hang the loop
	mov dx, UART_LINE_STATUS
.wait:
	in al, dx
	test al, UART_TRANSMIT_EMPTY
	loopz .wait
	mov al, [esi]
	test al, al
	jz .halt
	mov dx, UART_DATA
	out dx, al
	inc esi
	jmp .next
.halt:
	hlt
	jmp .halt

; Three views: the first 2 MiB where they are, for the switch; the image at its linked addresses; and all
; below 4 GiB in the physical map, so that modules and tables of the loader can be read wherever
; they are. Keeps edi, esi and edx.
fill_page_tables:
	mov dword [LOAD(boot_pml4)], LOAD(boot_pdpt_low) + TABLE_BITS
	mov dword [LOAD(boot_pml4) + PML4_INDEX(LAYOUT_PHYSICAL_START) * 8], LOAD(boot_pdpt_physical) + TABLE_BITS
	mov dword [LOAD(boot_pdpt_low)], LOAD(boot_pd_identity) + TABLE_BITS
	mov dword [LOAD(boot_pdpt_low) + PDPT_INDEX(LAYOUT_KERNEL_START) * 8], LOAD(boot_pd_kernel) + TABLE_BITS
	mov dword [LOAD(boot_pd_identity)], PAGE_2M_BITS

	mov ebx, LOAD(boot_pd_kernel) + PD_INDEX(LAYOUT_KERNEL_START) * 8
	mov ecx, LOAD(kernel_image_end) + PAGE_2M_BYTES - 1
	shr ecx, PAGE_2M_SHIFT
	call fill_2m_pages

	mov ecx, PHYSICAL_MAP_TABLES
	mov ebx, LOAD(boot_pdpt_physical)
	mov eax, LOAD(boot_pd_physical) + TABLE_BITS
.tables:
	mov [ebx], eax
	add ebx, 8
	add eax, TABLE_BYTES
	loop .tables

	mov ebx, LOAD(boot_pd_physical)
	mov ecx, PHYSICAL_MAP_TABLES * TABLE_ENTRIES
; Falls through: writes ecx entries from ebx on, for the 2 MiB pages from physical 0 on.
fill_2m_pages:
	mov eax, PAGE_2M_BITS
.next:
	mov [ebx], eax
	add ebx, 8
	add eax, PAGE_2M_BYTES
	loop .next
	ret

; Descriptors have the accessed bit set, so that the CPU need not write to this read-only page.
align 8
gdt:
	dq 0
	dq DESCRIPTOR_CODE64
	dq DESCRIPTOR_DATA
gdt_end:
BOOT_CODE equ 8
BOOT_DATA equ 16

gdt_pointer_load:
	dw gdt_end - gdt - 1
	dd LOAD(gdt)
gdt_pointer_linked:
	dw gdt_end - gdt - 1
	dq gdt

; Pairs of port and byte: 115200 baud, 8 bits, no parity, no interrupts. (16550 data sheet.)
uart_setup:
	dw UART_INTERRUPTS, 0
	dw UART_LINE_CONTROL, UART_DIVISOR_LATCH
	dw UART_DATA, 1
	dw UART_INTERRUPTS, 0
	dw UART_LINE_CONTROL, UART_8N1
uart_setup_end:

no_long_mode_message:
	db "phoenix: this CPU has no 64-bit long mode, which the kernel needs", 13, 10, 0

; The note that QEMU looks for. (Xen public headers, elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY.)
section .note.pvh note alloc noexec nowrite align=4
	dd note_name_end - note_name
	dd note_entry_end - note_entry
	dd XEN_ELFNOTE_PHYS32_ENTRY
note_name:
	db "Xen", 0
note_name_end:
note_entry:
	dq LOAD(boot_pvh)
note_entry_end:

section .bss nobits alloc noexec write align=4096
boot_pml4:          resb TABLE_BYTES
boot_pdpt_low:      resb TABLE_BYTES
boot_pd_identity:   resb TABLE_BYTES
boot_pd_kernel:     resb TABLE_BYTES
boot_pdpt_physical: resb TABLE_BYTES
boot_pd_physical:   resb TABLE_BYTES * PHYSICAL_MAP_TABLES
boot_stack_guard:   resb TABLE_BYTES    ; left unmapped by memory_init
                    resb BOOT_STACK_BYTES
boot_stack_top:
