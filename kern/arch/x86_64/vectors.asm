; How the CPU comes into the kernel and leaves it: a stub for each of the 256 vectors, the system-call entry,
; and the way back. Each builds a struct trapframe (include/kern/trap.h; keep the two
; in step) and calls C: trap_page_fault and trap_handle in trap.c, syscall_handle in kern/proc. The
; descriptor tables that lead here are made in cpu.c.

bits 64
default rel

extern trap_handle
extern trap_page_fault
extern syscall_handle
extern return_work

global vector_stubs
global page_fault_stub
global syscall_entry
global return_to_user
global vectors_smap_sites
global vectors_smap_sites_end

; Offsets in struct percpu (include/kern/cpu.h).
PERCPU_KERNEL_STACK equ 8
PERCPU_USER_RSP     equ 16
PERCPU_WORK         equ 32

; Offsets in struct trapframe.
FRAME_R11    equ 48
FRAME_R10    equ 56
FRAME_R9     equ 64
FRAME_R8     equ 72
FRAME_RAX    equ 80
FRAME_RDX    equ 96
FRAME_RSI    equ 104
FRAME_RDI    equ 112
FRAME_VECTOR equ 120
FRAME_RIP    equ 136
FRAME_CS     equ 144
FRAME_RFLAGS equ 152
FRAME_RSP    equ 160
FRAME_BYTES  equ 176

TRAP_SYSCALL equ 256

VECTOR_NMI           equ 2
VECTOR_DOUBLE_FAULT  equ 8
VECTOR_PAGE_FAULT    equ 14
VECTOR_MACHINE_CHECK equ 18

USER_CODE equ 0x2b ; selectors (cpu.c)
USER_DATA equ 0x23

MSR_GS_BASE equ 0xc0000101

; CLAC, at a place that cpu.c makes a no-op of where the CPU has no SMAP.
%macro smap_clac 0
%%site:	clac
	[section .rodata.smap]
	dd	%%site
	__?SECT?__
%endmacro

%macro push_registers 0
	push	rdi
	push	rsi
	push	rdx
	push	rcx
	push	rax
	push	r8
	push	r9
	push	r10
	push	r11
	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	push	r15
%endmacro

section .rodata.smap align=4
vectors_smap_sites:

section .text

; Common end of the stubs: [rsp] is the vector, then the error code and what the CPU pushed.
; %1 is the C function. The user's AC flag would switch SMAP off, and DF would turn string instructions
; round: neither is cleared by the CPU on the way through a gate.
%macro trap_body 1
	test	byte [rsp + FRAME_CS - FRAME_VECTOR], 3
	jz	%%from_kernel
	swapgs
%%from_kernel:
	push_registers
	cld
	smap_clac
	mov	rdi, rsp
	call	%1
%endmacro

align 16
trap_common:
	trap_body trap_handle

; Back to where the frame says. Before ring 3, what the CPU has to do is done: threads that wait for their turn, timers,
; signals. Interrupts stay off from there to IRETQ, so that no work comes unseen, and for the sake of %gs.
trap_return:
	cli
	cmp	dword [gs:PERCPU_WORK], 0
	jne	trap_work
trap_restore:
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	jmp	trap_return_rest

trap_work:
	test	byte [rsp + FRAME_CS], 3
	jz	trap_restore
	mov	rdi, rsp
	call	return_work
	jmp	trap_restore

; _Noreturn void return_to_user(struct trapframe *frame): the frame is at the top of the thread's stack.
align 16
return_to_user:
	mov	rsp, rdi
	jmp	trap_return

; The page fault has a way of its own. It leaves the six registers that C keeps as they are in the frame.
align 16
page_fault_stub:
	push	VECTOR_PAGE_FAULT
	trap_body trap_page_fault
	cli
	cmp	dword [gs:PERCPU_WORK], 0
	jne	trap_work
	add	rsp, FRAME_R11
trap_return_rest:
	pop	r11
	pop	r10
	pop	r9
	pop	r8
	pop	rax
	pop	rcx
	pop	rdx
	pop	rsi
	pop	rdi
	add	rsp, 16 ; vector and error code
	test	byte [rsp + FRAME_CS - FRAME_RIP], 3
	jz	.to_kernel
	swapgs
.to_kernel:
	iretq

; NMI, double fault and machine check come on stacks of their own and at any instruction, also where %gs is
; still, or again, the user's while CS is the kernel's. So %gs is not swapped but set: above the place
; where the CPU began to push, each of those stacks has the address of its CPU's struct percpu (cpu.c). All three
; are the end of the system, so nothing has to be put back.
paranoid_common:
	push_registers
	cld
	smap_clac
	mov	rdx, [rsp + FRAME_BYTES]
	mov	eax, edx
	shr	rdx, 32
	mov	ecx, MSR_GS_BASE
	wrmsr
	mov	rdi, rsp
	call	trap_handle
	ud2

; The stubs: 16 bytes each, the page fault's not in use. Vectors 8, 10 to 14, 17, 21, 29 and 30 come with an
; error code; the others get a 0 in its place (Intel SDM vol 3, 6.13; AMD64 manual vol 2, 8.2).
align 16
vector_stubs:
%assign vector 0
%rep 256
	align	16
  %if vector == 255
last_vector_stub:
  %endif
  %if vector == VECTOR_PAGE_FAULT
	ud2
  %else
    %if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21 && vector != 29 && vector != 30
	push	0
    %endif
	push	vector
    %if vector == VECTOR_NMI || vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK
	jmp	paranoid_common
    %else
	jmp	trap_common
    %endif
  %endif
  %assign vector vector + 1
%endrep
; Each is in its place if the last one is: else one of these counts is negative, which NASM refuses.
times last_vector_stub - vector_stubs - 255 * 16 nop
times 255 * 16 - (last_vector_stub - vector_stubs) nop

; SYSCALL: rcx is the user's rip, r11 its flags; SFMASK has cleared IF, DF, AC, TF and NT, but rsp is still
; the user's. Interrupts go on only on the kernel's stack.
;
; SYSRET to a non-canonical rcx would fault in ring 0 with the user's stack (on Intel's CPUs). It cannot be
; non-canonical: it is the address after a SYSCALL instruction, and the last bytes that user code can execute
; are far below 2^47 (LAYOUT_ARENAS_END). Who changes rip, rflags or the registers that SYSRET
; does not restore changes the frame's vector too, and IRETQ takes over.
align 16
syscall_entry:
	swapgs
	mov	[gs:PERCPU_USER_RSP], rsp
	mov	rsp, [gs:PERCPU_KERNEL_STACK]
	push	USER_DATA
	push	qword [gs:PERCPU_USER_RSP]
	push	r11
	push	USER_CODE
	push	rcx
	push	rax
	push	TRAP_SYSCALL
	push_registers
	mov	rdi, rsp
	sti
	call	syscall_handle
	cli
	cmp	dword [gs:PERCPU_WORK], 0
	jne	.work
.no_work:
	cmp	dword [rsp + FRAME_VECTOR], TRAP_SYSCALL
	jne	trap_restore
	; C has kept rbx, rbp and r12 to r15; rcx and r11 are lost to the user anyway.
	mov	r10, [rsp + FRAME_R10]
	mov	r9, [rsp + FRAME_R9]
	mov	r8, [rsp + FRAME_R8]
	mov	rax, [rsp + FRAME_RAX]
	mov	rdx, [rsp + FRAME_RDX]
	mov	rsi, [rsp + FRAME_RSI]
	mov	rdi, [rsp + FRAME_RDI]
	mov	rcx, [rsp + FRAME_RIP]
	mov	r11, [rsp + FRAME_RFLAGS]
	mov	rsp, [rsp + FRAME_RSP]
	swapgs
	o64 sysret
.work:
	mov	rdi, rsp
	call	return_work
	jmp	.no_work

section .rodata.smap
vectors_smap_sites_end:

section .note.GNU-stack noalloc noexec nowrite progbits
