/*
 * The frame of a signal's handler: what lies on the program's stack while the handler runs, and how the program goes on from it.
 *
 * The layout is Linux's (sigreturn(2); <asm/ucontext.h>, <asm/sigcontext.h>), which debuggers, unwinders and C libraries know: the address to which the
 * handler returns, the ucontext, the siginfo, and above them, where the ucontext says, the FPU's registers as XSAVE writes them. When
 * handlers run, and with which mask, is kern/proc/signal_return.c's business.
 */
#include <asm/errno.h>
#include <asm/processor-flags.h>
#include <asm/sigcontext.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <kern/signal.h>
#include <vm/layout.h>

#include <asm/ucontext.h>

#define RED_ZONE_BYTES \
	128 /* System V ABI, AMD64 supplement, 3.2.2: below the stack pointer, and the program's own */
#define FRAME_ALIGN 16 /* the same, 3.2.2, before the return address is pushed */

#define FLAGS_OF_PROGRAMS                                                                                \
	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_TF | \
	 X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_RF | X86_EFLAGS_AC)

struct frame {
	vaddr_t restorer;
	struct ucontext context;
	siginfo_t info;
};

/* The registers of the FPU, and what marks their end for those who look for it. */
struct fpu_frame {
	struct _xstate state;
	uint32_t end;
} __attribute__((aligned(FPU_AREA_ALIGN)));

_Static_assert(sizeof(struct _xstate) == FPU_AREA_BYTES, "the same layout");
#define UNSAVED_BYTES (offsetof(struct _xstate, ymmh) - offsetof(struct _fpstate_64, reserved2))
_Static_assert(offsetof(struct fpu_frame, end) == FPU_AREA_BYTES, "right after it");

/* ---- The FPU's registers ------------------------------------------------------------------------------ */

/* How many bytes of them there are in a frame, with the mark at the end. */
static uint32_t fpu_frame_bytes(void)
{
	return fpu_bytes() + (fpu_components() ? FP_XSTATE_MAGIC2_SIZE : 0);
}

static int write_fpu(vaddr_t to)
{
	struct fpu_frame fpu;
	uint32_t end = FP_XSTATE_MAGIC2;

	/* What XSAVE does not write; and the gaps around the x87's registers, which a CPU need not write. */
	memset(&fpu.state.fpstate, 0, offsetof(struct _fpstate_64, xmm_space));
	memset(fpu.state.fpstate.reserved2, 0, UNSAVED_BYTES);
	fpu_save(&fpu.state);
	if (fpu_components()) {
		fpu.state.fpstate.sw_reserved = (struct _fpx_sw_bytes){
			.magic1 = FP_XSTATE_MAGIC1,
			.extended_size = fpu_frame_bytes(),
			.xfeatures = fpu_components(),
			.xstate_size = fpu_bytes(),
		};
		/* Programs that know only the legacy area may change it, and not know of this mark. */
		fpu.state.xstate_hdr.xfeatures |= FPU_LEGACY;
		memcpy((char *)&fpu + fpu_bytes(), &end, sizeof(end));
	}
	return copy_to_user(to, &fpu, fpu_frame_bytes());
}

/* Are there whole extended registers at `from`, and marked so? Then they are in `fpu`. */
static bool read_extended(vaddr_t from, struct fpu_frame *fpu)
{
	const struct _fpx_sw_bytes *said = &fpu->state.fpstate.sw_reserved;
	uint32_t end;

	if (!fpu_components() || copy_from_user(fpu, from, fpu_frame_bytes()) != 0)
		return false;
	memcpy(&end, (const char *)fpu + fpu_bytes(), sizeof(end));
	if (said->magic1 != FP_XSTATE_MAGIC1 || said->xstate_size != fpu_bytes() || end != FP_XSTATE_MAGIC2)
		return false;
	fpu->state.xstate_hdr.xfeatures &= said->xfeatures;
	return true;
}

static int read_fpu(vaddr_t from)
{
	struct fpu_frame fpu;

	if (from == 0) {
		fpu_reset();
		return 0;
	}
	if (!read_extended(from, &fpu)) {
		memset(&fpu, 0, sizeof(fpu));
		if (copy_from_user(&fpu, from, sizeof(fpu.state.fpstate)) != 0)
			return -EFAULT;
		fpu.state.xstate_hdr.xfeatures = FPU_LEGACY;
	}
	fpu_make_valid(&fpu.state);
	fpu_load(&fpu.state);
	return 0;
}

/* ---- Where the frame goes -------------------------------------------------------------------------------- */

/* As Linux has it: the lowest address is not in it, the end is. */
static bool lies_on_stack(const stack_t *stack, vaddr_t rsp)
{
	vaddr_t start = (vaddr_t)stack->ss_sp;

	return rsp > start && rsp - start <= stack->ss_size;
}

/* A stack that disarms itself is not known while it is in use. */
bool sigframe_on_stack(const stack_t *stack, vaddr_t rsp)
{
	return !((uint32_t)stack->ss_flags & SS_AUTODISARM) && lies_on_stack(stack, rsp);
}

size_t sigframe_most_bytes(void)
{
	size_t bytes =
		RED_ZONE_BYTES + fpu_frame_bytes() + FPU_AREA_ALIGN + sizeof(struct frame) + FRAME_ALIGN;

	return (bytes + FRAME_ALIGN - 1) & ~(size_t)(FRAME_ALIGN - 1);
}

/* The frame's address, and that of the FPU's registers. -EFAULT: the alternative stack would overflow. */
static int place(const struct trapframe *frame, const struct signal_frame *what, vaddr_t *at, vaddr_t *fpu)
{
	const stack_t *stack = &what->stack;
	bool alternative = sigframe_on_stack(stack, frame->rsp);
	vaddr_t top = frame->rsp - RED_ZONE_BYTES;

	if ((what->action->flags & SA_ONSTACK) && !alternative && stack->ss_size > 0) {
		top = (vaddr_t)stack->ss_sp + stack->ss_size;
		alternative = true;
	}
	*fpu = (top - fpu_frame_bytes()) & ~(vaddr_t)(FPU_AREA_ALIGN - 1);
	*at = ((*fpu - sizeof(struct frame)) & ~(vaddr_t)(FRAME_ALIGN - 1)) - sizeof(vaddr_t);
	return alternative && !lies_on_stack(stack, *at) ? -EFAULT : 0;
}

/* ---- Registers -------------------------------------------------------------------------------------------- */

static void put_registers(struct sigcontext *to, const struct trapframe *frame)
{
	to->r8 = frame->r8;
	to->r9 = frame->r9;
	to->r10 = frame->r10;
	to->r11 = frame->r11;
	to->r12 = frame->r12;
	to->r13 = frame->r13;
	to->r14 = frame->r14;
	to->r15 = frame->r15;
	to->rdi = frame->rdi;
	to->rsi = frame->rsi;
	to->rbp = frame->rbp;
	to->rbx = frame->rbx;
	to->rdx = frame->rdx;
	to->rax = frame->rax;
	to->rcx = frame->rcx;
	to->rsp = frame->rsp;
	to->rip = frame->rip;
	to->eflags = frame->rflags;
	to->cs = (uint16_t)frame->cs;
	to->gs = to->fs = 0;
	to->ss = (uint16_t)frame->ss;
}

static void take_registers(struct trapframe *frame, const struct sigcontext *from)
{
	frame->r8 = from->r8;
	frame->r9 = from->r9;
	frame->r10 = from->r10;
	frame->r11 = from->r11;
	frame->r12 = from->r12;
	frame->r13 = from->r13;
	frame->r14 = from->r14;
	frame->r15 = from->r15;
	frame->rdi = from->rdi;
	frame->rsi = from->rsi;
	frame->rbp = from->rbp;
	frame->rbx = from->rbx;
	frame->rdx = from->rdx;
	frame->rax = from->rax;
	frame->rcx = from->rcx;
	frame->rsp = from->rsp;
	frame->rip = from->rip;
	frame->rflags = (frame->rflags & ~(uint64_t)FLAGS_OF_PROGRAMS) | (from->eflags & FLAGS_OF_PROGRAMS);
}

static void fill(struct frame *to, const struct trapframe *frame, const struct signal_frame *what,
		 vaddr_t fpu)
{
	struct ucontext *context = &to->context;

	to->restorer = what->action->restorer;
	context->uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (fpu_components() ? UC_FP_XSTATE : 0);
	context->uc_link = NULL;
	context->uc_stack = what->stack;
	context->uc_sigmask = what->mask;
	put_registers(&context->uc_mcontext, frame);
	context->uc_mcontext.err = what->fault->error;
	context->uc_mcontext.trapno = what->fault->vector;
	context->uc_mcontext.cr2 = what->fault->address;
	context->uc_mcontext.oldmask = what->mask;
	context->uc_mcontext.fpstate = (struct _fpstate_64 *)fpu;
	memset(context->uc_mcontext.reserved1, 0, sizeof(context->uc_mcontext.reserved1));
	if (what->action->flags & SA_SIGINFO)
		to->info = *what->info;
}

/* The handler's registers: its arguments, and what the ABI says of the rest at a function's start. */
static void enter(struct trapframe *frame, const struct signal_frame *what, vaddr_t at)
{
	frame->rdi = (uint64_t)what->info->si_signo;
	frame->rsi = at + offsetof(struct frame, info);
	frame->rdx = at + offsetof(struct frame, context);
	frame->rax = 0;
	frame->rip = what->action->handler;
	frame->rsp = at;
	frame->rflags &= ~(uint64_t)(X86_EFLAGS_DF | X86_EFLAGS_RF | X86_EFLAGS_TF);
	if (frame->vector == TRAP_SYSCALL)
		frame->vector = TRAP_REPLACED;
}

/* IRETQ to an address that is not canonical would be the kernel's own fault. */
static bool may_run_at(vaddr_t rip)
{
	return rip < LAYOUT_PHYSICAL_END;
}

int sigframe_push(struct trapframe *frame, const struct signal_frame *what)
{
	size_t bytes = what->action->flags & SA_SIGINFO ? sizeof(struct frame) : offsetof(struct frame, info);
	struct frame built;
	vaddr_t at, fpu;

	if (!(what->action->flags & SA_RESTORER) || !may_run_at(what->action->handler))
		return -EFAULT;
	if (place(frame, what, &at, &fpu) != 0 || write_fpu(fpu) != 0)
		return -EFAULT;
	fill(&built, frame, what, fpu);
	if (copy_to_user(at, &built, bytes) != 0)
		return -EFAULT;
	fpu_reset();
	enter(frame, what, at);
	return 0;
}

/* Ring 3 has one code and one stack segment, which are in `frame` as it is. */
int sigframe_pop(struct trapframe *frame, uint64_t *mask, stack_t *stack)
{
	struct ucontext context;
	const struct sigcontext *registers = &context.uc_mcontext;

	/* The handler's return has taken the restorer's address off the stack. */
	if (copy_from_user(&context, frame->rsp, sizeof(context)) != 0)
		return -EFAULT;
	if (!may_run_at(registers->rip) || registers->cs != frame->cs)
		return -EFAULT;
	if ((context.uc_flags & UC_STRICT_RESTORE_SS) && registers->ss != frame->ss)
		return -EFAULT;
	if (read_fpu((vaddr_t)registers->fpstate) != 0)
		return -EFAULT;
	take_registers(frame, registers);
	frame->vector = TRAP_REPLACED;
	*mask = context.uc_sigmask;
	*stack = context.uc_stack;
	return 0;
}
