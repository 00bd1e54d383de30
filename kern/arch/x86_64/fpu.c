/*
 * The registers of FPU, SSE and AVX: the user's alone, as the kernel is compiled without. They are saved whenever a thread
 * is switched away from, and kept at the top of its stack (Intel SDM vol 1, 13).
 */
#include <hw.h>
#include <kern/cpu.h>
#include <kern/kern.h>

#define CPUID_LEAF_FEATURES 1u
#define CPUID_1_ECX_XSAVE   (1u << 26)
#define CPUID_1_ECX_AVX     (1u << 28)
#define MXCSR_MASK_SHIFT    7      /* where the masks of the exceptions are (SDM vol 1, 10.2.3) */
#define FPU_CONTROL         0x037f /* as after FNINIT: all exceptions masked, 64-bit precision */
#define MXCSR_INITIAL       0x1f80
#define MXCSR_KNOWN         0xffffu /* where the area says 0: all but the reserved bits (SDM vol 1, 11.6.6) */

/* The area's layout (SDM vol 1, 13.4). */
struct fpu_area {
	uint16_t control, status;
	uint8_t legacy1[20];
	uint32_t mxcsr, mxcsr_mask;
	uint8_t legacy2[480];
	uint64_t state;     /* components that are not in their initial state */
	uint64_t compacted; /* 0: the standard format */
	uint64_t reserved[6];
	uint8_t avx[256];
};
_Static_assert(sizeof(struct fpu_area) == FPU_AREA_BYTES, "the legacy area, the header and AVX");

/* Set once, by fpu_start. */
uint32_t fpu_saved;
static uint32_t area_bytes; /* that are in use: without AVX fewer */
static struct fpu_area initial __attribute__((aligned(FPU_AREA_ALIGN)));

void fpu_start(void)
{
	struct cpuid features = cpuid(CPUID_LEAF_FEATURES, 0);

	if (features.ecx & CPUID_1_ECX_XSAVE) {
		fpu_saved = FPU_LEGACY | (features.ecx & CPUID_1_ECX_AVX ? FPU_AVX : 0);
		__asm__ volatile("xsetbv" : : "c"(0), "a"(fpu_saved), "d"(0));
	}
	area_bytes = offsetof(struct fpu_area, state);
	if (fpu_saved)
		area_bytes = fpu_saved & FPU_AVX ? sizeof(struct fpu_area) : offsetof(struct fpu_area, avx);
	fpu_init(&initial);
	fpu_reset();
}

void fpu_reset(void)
{
	fpu_load(&initial);
}

uint64_t fpu_components(void)
{
	return fpu_saved;
}

uint32_t fpu_bytes(void)
{
	return area_bytes;
}

void fpu_prepare(void *area)
{
	struct fpu_area *fpu = area;

	fpu->state = fpu->compacted = 0;
	memset(fpu->reserved, 0, sizeof fpu->reserved);
}

void fpu_init(void *area)
{
	struct fpu_area *fpu = area;

	memset(fpu, 0, sizeof *fpu);
	fpu->control = FPU_CONTROL;
	fpu->mxcsr = MXCSR_INITIAL;
}

/* A reserved bit that is set is a general protection fault (SDM vol 1, 13.8.1). */
void fpu_make_valid(void *area)
{
	struct fpu_area *fpu = area;
	struct fpu_area now __attribute__((aligned(FPU_AREA_ALIGN)));

	__asm__ volatile("fxsave64 %0" : "=m"(now));
	fpu->mxcsr &= now.mxcsr_mask ? now.mxcsr_mask : MXCSR_KNOWN;
	fpu->state &= fpu_saved;
	fpu->compacted = 0;
	memset(fpu->reserved, 0, sizeof fpu->reserved);
}

uint32_t fpu_exceptions(bool x87)
{
	const uint32_t all =
		FPU_INVALID | FPU_DENORMAL | FPU_ZERO | FPU_OVERFLOW | FPU_UNDERFLOW | FPU_INEXACT;
	struct fpu_area now __attribute__((aligned(FPU_AREA_ALIGN)));

	__asm__ volatile("fxsave64 %0" : "=m"(now));
	if (x87)
		return now.status & ~(uint32_t)now.control & all;
	return now.mxcsr & ~(now.mxcsr >> MXCSR_MASK_SHIFT) & all;
}
