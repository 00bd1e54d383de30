; The instructions that touch user memory on the kernel's behalf, and those that try an access which may
; fault. A fault within one of the windows listed in copy_windows ends at that window's fix-up: trap.c looks it up
; there. Ranges have been checked by usercopy.c. Nothing else in the kernel touches user memory.

bits 64
default rel

global user_copy_bytes
global user_copy_present
global user_copy_string
global user_read_word
global user_exchange_word
global user_exchange_word_now
global kernel_copy_bytes
global probe_read
global probe_write
global probe_execute
global probe_execute_return
global probe_execute_failed
global copy_windows
global copy_windows_end
global copy_smap_sites
global copy_smap_sites_end

; STAC or CLAC (%1), at a place that cpu.c makes a no-op of where the CPU has no SMAP.
%macro smap_site 1
%%site:	%1
	[section .rodata.smap]
	dd	%%site
	__?SECT?__
%endmacro

; A window, struct copy_window of trap.c: from label %1 up to this place, fix-up %2; %3 is 1 if it
; touches user memory, whose faults the VM is asked to serve first.
%macro copy_window 3
%%end:
	[section .rodata.windows]
	dd	%1, %%end, %2, %3
	__?SECT?__
%endmacro

section .rodata.smap align=4
copy_smap_sites:

section .rodata.windows align=4
copy_windows:

section .text

; uint64_t user_copy_bytes(void *to, const void *from, size_t bytes): 0, or another value after a fault.
align 16
user_copy_bytes:
	mov	rcx, rdx
	xor	eax, eax
	shr	rcx, 3
	and	edx, 7
	smap_site stac
.window:
	rep movsq
	mov	ecx, edx
	rep movsb
	copy_window .window, copy_failed, 1
	smap_site clac
	ret

; uint64_t user_copy_present(void *to, const void *from, size_t bytes): the same, but any fault ends it.
align 16
user_copy_present:
	mov	rcx, rdx
	xor	eax, eax
	shr	rcx, 3
	and	edx, 7
	smap_site stac
.window:
	rep movsq
	mov	ecx, edx
	rep movsb
	copy_window .window, copy_failed, 0
	smap_site clac
	ret

; long user_copy_string(char *to, const char *from, size_t bytes): the length of the string without its
; terminator, `bytes` if there is no terminator within them, or -1 after a fault.
align 16
user_copy_string:
	xor	eax, eax
	smap_site stac
.next:
	cmp	rax, rdx
	je	.done
.window:
	mov	cl, [rsi + rax]
	copy_window .window, copy_failed, 1
	mov	[rdi + rax], cl
	test	cl, cl
	je	.done
	inc	rax
	jmp	.next
.done:
	smap_site clac
	ret

; Words of 32 bits, for futexes. Those that end in "now", and reading, ask nobody to serve a fault. -1 after one.

; long user_read_word(vaddr_t address): the word.
align 16
user_read_word:
	smap_site stac
.window:
	mov	eax, [rdi]
	copy_window .window, copy_failed, 0
	smap_site clac
	ret

; long user_exchange_word(vaddr_t address, uint32_t expected, uint32_t value): what was there; `value` is now, if that was
; `expected`.
%macro exchange_word 1
	mov	eax, esi
	smap_site stac
%%window:
	lock cmpxchg [rdi], edx
	copy_window %%window, copy_failed, %1
	smap_site clac
	mov	eax, eax
	ret
%endmacro

align 16
user_exchange_word:
	exchange_word 1

align 16
user_exchange_word_now:
	exchange_word 0

copy_failed:
	smap_site clac
	mov	rax, -1
	ret

; The rest touches memory without leave to touch the user's, and asks nobody to serve a fault. At
; the fix-up, rax is the fault's error code.

; long kernel_copy_bytes(void *to, const void *from, size_t bytes): -1, or the error code.
align 16
kernel_copy_bytes:
	mov	rcx, rdx
.window:
	rep movsb
	copy_window .window, probe_failed, 0
	mov	rax, -1
	ret

; long probe_read(vaddr_t address), probe_write(vaddr_t address, uint8_t value), probe_execute(vaddr_t
; address): -1, or the error code.
align 16
probe_read:
	mov	cl, [rdi]
	copy_window probe_read, probe_failed, 0
	mov	rax, -1
	ret

align 16
probe_write:
	mov	[rdi], sil
	copy_window probe_write, probe_failed, 0
	mov	rax, -1
	ret

; A failed fetch leaves rip at the target and the return address on the stack: trap.c knows it by that
; address, takes it off, and goes on at probe_execute_failed.
align 16
probe_execute:
	push	rbp
	mov	rbp, rsp
	call	rdi
probe_execute_return:
	mov	rax, -1
probe_execute_failed:
	pop	rbp
probe_failed:
	ret

section .rodata.smap
copy_smap_sites_end:

section .rodata.windows
copy_windows_end:

section .note.GNU-stack noalloc noexec nowrite progbits
