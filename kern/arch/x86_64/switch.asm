; Switching from one thread's stack to another's, and a new thread's first step. What else of a thread is in the CPU
; is kern/core/sched.c's business.

bits 64
default rel

extern thread_main

global switch_context
global thread_begin

section .text

; void switch_context(vaddr_t *saved_rsp, vaddr_t next_rsp): keeps what the System V ABI (AMD64 supplement, 3.2.1) says that a
; function keeps; all else is lost in a call anyway.
align 16
switch_context:
	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	push	r15
	mov	[rdi], rsp
	mov	rsp, rsi
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	ret

; switch_context comes here in a new thread, the stack aligned to 16 bytes (thread_first_rsp).
align 16
thread_begin:
	xor	ebp, ebp
	call	thread_main
	ud2

section .note.GNU-stack noalloc noexec nowrite progbits
