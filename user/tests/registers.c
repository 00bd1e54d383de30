/*
 * Registers are a thread's own: of the CPU, x87, SSE and AVX, while others compute and while signal handlers run that use them too. And a
 * handler finds them in its context, where it may change them.
 */
#include "check.h"
#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#define MAGIC1         0x46505853u
#define MAGIC2         0x46505845u
#define SOFTWARE_BYTES 464 /* where Linux says in the area how long it is */
#define HEADER_BYTES   512
#define LONG_AGO_MS    300
#define WORKERS        3
#define TICK_US        500

static bool has_avx;

static void ask_cpu(void)
{
	unsigned a, b, c, d;

	has_avx = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_AVX) && (c & bit_OSXSAVE);
}

static void spoil(void)
{
	if (has_avx)
		__asm__ volatile(
			"vpcmpeqb %%xmm0, %%xmm0, %%xmm0\n\tvinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n\t"
			"vmovaps %%ymm0, %%ymm1\n\tvmovaps %%ymm0, %%ymm7\n\tvmovaps %%ymm0, %%ymm15"
			:
			:
			: "xmm0", "xmm1", "xmm7", "xmm15");
	else
		__asm__ volatile("pcmpeqb %%xmm0, %%xmm0\n\tmovaps %%xmm0, %%xmm1\n\t"
				 "movaps %%xmm0, %%xmm7\n\tmovaps %%xmm0, %%xmm15"
				 :
				 :
				 : "xmm0", "xmm1", "xmm7", "xmm15");
	__asm__ volatile("fninit\n\tfldz\n\tfldz\n\tfldz");
	__asm__ volatile("fninit");
}

static volatile unsigned handled;

static void spoiling(int signo)
{
	(void)signo;
	handled++;
	spoil();
}

/*
 * Fills registers with what depends on `seed`, lets `rounds` pass, and compares. What differs: a bit for each kind. All in one piece of assembly, so that
 * the compiler has no part in it.
 */
static unsigned hold_avx(uint64_t seed, uint64_t rounds)
{
	uint64_t in[4] __attribute__((aligned(32))), out[4][4] __attribute__((aligned(32)));
	unsigned wrong = 0;

	for (int i = 0; i < 4; i++)
		in[i] = seed * (uint64_t)(i + 1);
	__asm__ volatile("vmovaps (%[in]), %%ymm0\n\tvmovaps %%ymm0, %%ymm1\n\tvmovaps %%ymm0, %%ymm7\n\t"
			 "vmovaps %%ymm0, %%ymm15\n"
			 "1:\n\tdecq %[n]\n\tjnz 1b\n\t"
			 "vmovaps %%ymm0, (%[out])\n\tvmovaps %%ymm1, 32(%[out])\n\t"
			 "vmovaps %%ymm7, 64(%[out])\n\tvmovaps %%ymm15, 96(%[out])\n\tvzeroupper"
			 : [n] "+r"(rounds)
			 : [in] "r"(in), [out] "r"(out)
			 : "xmm0", "xmm1", "xmm7", "xmm15", "memory", "cc");
	for (int i = 0; i < 4; i++)
		wrong |= (unsigned)(memcmp(in, out[i], sizeof(in)) != 0) << i;
	return wrong;
}

static unsigned hold_sse(uint64_t seed, uint64_t rounds)
{
	uint64_t in[2] __attribute__((aligned(16))) = {seed, ~seed}, out[2][2] __attribute__((aligned(16)));

	__asm__ volatile("movaps (%[in]), %%xmm1\n\tmovaps %%xmm1, %%xmm15\n"
			 "1:\n\tdecq %[n]\n\tjnz 1b\n\t"
			 "movaps %%xmm1, (%[out])\n\tmovaps %%xmm15, 16(%[out])"
			 : [n] "+r"(rounds)
			 : [in] "r"(in), [out] "r"(out)
			 : "xmm1", "xmm15", "memory", "cc");
	return memcmp(in, out[0], sizeof(in)) != 0 || memcmp(in, out[1], sizeof(in)) != 0;
}

/* x87 with another rounding, and MXCSR too. */
static unsigned hold_x87(uint64_t seed, uint64_t rounds)
{
	long double in = (long double)seed / 3, out;
	unsigned short control = 0x0f7f, control_out;
	unsigned mxcsr = 0x7f80, mxcsr_out, normal = 0x1f80;

	__asm__ volatile("fninit\n\tfldcw %[control]\n\tldmxcsr %[mxcsr]\n\tfldt %[in]\n"
			 "1:\n\tdecq %[n]\n\tjnz 1b\n\t"
			 "fstpt %[out]\n\tfnstcw %[cout]\n\tstmxcsr %[mout]\n\tfninit\n\tldmxcsr %[normal]"
			 : [n] "+r"(rounds), [out] "=m"(out), [cout] "=m"(control_out), [mout] "=m"(mxcsr_out)
			 : [control] "m"(control), [mxcsr] "m"(mxcsr), [in] "m"(in), [normal] "m"(normal)
			 : "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
	return memcmp(&in, &out, 10) != 0 || control != control_out || mxcsr != mxcsr_out;
}

/* The registers of the CPU itself, but for the stack pointer and two that point. */
static unsigned hold_general(uint64_t seed, uint64_t rounds)
{
	uint64_t sum;

	__asm__ volatile(
		"movq %[s], %%rbx\n\tleaq 1(%[s]), %%rsi\n\tleaq 2(%[s]), %%r8\n\tleaq 3(%[s]), %%r9\n\t"
		"leaq 4(%[s]), %%r10\n\tleaq 5(%[s]), %%r11\n\tleaq 6(%[s]), %%r12\n\tleaq 7(%[s]), %%r13\n\t"
		"leaq 8(%[s]), %%r14\n\tleaq 9(%[s]), %%r15\n\tleaq 10(%[s]), %%rdx\n"
		"1:\n\tdecq %[n]\n\tjnz 1b\n\t"
		"leaq (%%rbx,%%rsi), %[n]\n\taddq %%r8, %[n]\n\taddq %%r9, %[n]\n\taddq %%r10, %[n]\n\t"
		"addq %%r11, %[n]\n\taddq %%r12, %[n]\n\taddq %%r13, %[n]\n\taddq %%r14, %[n]\n\t"
		"addq %%r15, %[n]\n\taddq %%rdx, %[n]"
		: [n] "+c"(rounds)
		: [s] "a"(seed)
		: "rbx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdx", "cc");
	sum = 11 * seed + 55;
	return rounds != sum;
}

static uint64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Computes for a while. How often something was wrong. */
static unsigned compute(uint64_t seed)
{
	uint64_t end = milliseconds() + LONG_AGO_MS;
	unsigned wrong = 0;

	for (uint64_t i = 1; milliseconds() < end; i++) {
		if (has_avx)
			wrong += hold_avx(seed * i, 20000) != 0;
		wrong += hold_sse(seed * i, 20000);
		wrong += hold_x87(seed * i, 20000);
		wrong += hold_general(seed * i, 20000);
	}
	return wrong;
}

static void tick(int us)
{
	const struct itimerval value = {{0, us}, {0, us}};

	CHECK(setitimer(ITIMER_REAL, &value, NULL) == 0);
}

static void with_handlers(void)
{
	struct sigaction action = {.sa_handler = spoiling, .sa_flags = SA_RESTART};

	sigaction(SIGALRM, &action, NULL);
	tick(TICK_US);
	CHECK(compute(0x123456789abcdef) == 0);
	tick(0);
	CHECK(handled > 10);
}

static void with_processes(void)
{
	pid_t children[WORKERS];
	int status;

	for (int i = 0; i < WORKERS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			if (i == 0)
				tick(TICK_US);
			_exit(compute(0xabcdef1234567 + (uint64_t)i * 0x1111) != 0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
}

static void *compute_in_thread(void *argument)
{
	return (void *)(uintptr_t)compute((uintptr_t)argument);
}

static void with_threads(void)
{
	pthread_t threads[WORKERS];
	void *wrong;

	tick(TICK_US);
	for (uintptr_t i = 0; i < WORKERS; i++)
		CHECK(pthread_create(&threads[i], NULL, compute_in_thread, (void *)(0x7777777 * (i + 1))) ==
		      0);
	for (int i = 0; i < WORKERS; i++)
		CHECK(pthread_join(threads[i], &wrong) == 0 && wrong == NULL);
	tick(0);
}

/* A child begins with its parent's registers. */
static void after_fork(void)
{
	uint64_t in[2] __attribute__((aligned(16))) = {1234567, 89}, out[2] __attribute__((aligned(16)));
	long child;
	int status;

	__asm__ volatile("movaps %[in], %%xmm9\n\tsyscall\n\tmovaps %%xmm9, %[out]"
			 : "=a"(child), [out] "=m"(out)
			 : "0"(SYS_fork), [in] "m"(in)
			 : "rcx", "r11", "xmm9", "memory");
	if (child == 0)
		_exit(memcmp(in, out, sizeof(in)) != 0);
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	CHECK(waitpid((pid_t)child, &status, 0) == child && status == 0);
}

/* ---- The context -------------------------------------------------------------------------------------- */

static struct {
	greg_t gregs[NGREG];
	uint64_t xmm3[2];
	uint32_t magic1, extended, xstate, magic2;
	uint64_t features, flags;
	uintptr_t handler_rsp;
	sigset_t mask;
} seen;

static void look(int signo, siginfo_t *info, void *context)
{
	ucontext_t *where = context;
	char *fpu = (char *)where->uc_mcontext.fpregs;

	(void)signo, (void)info;
	memcpy(seen.gregs, where->uc_mcontext.gregs, sizeof(seen.gregs));
	memcpy(seen.xmm3, fpu + 160 + 3 * 16, sizeof(seen.xmm3));
	memcpy(&seen.magic1, fpu + SOFTWARE_BYTES, 4);
	memcpy(&seen.extended, fpu + SOFTWARE_BYTES + 4, 4);
	memcpy(&seen.features, fpu + SOFTWARE_BYTES + 8, 8);
	memcpy(&seen.xstate, fpu + SOFTWARE_BYTES + 16, 4);
	if (seen.magic1 == MAGIC1)
		memcpy(&seen.magic2, fpu + seen.xstate, 4);
	seen.flags = where->uc_flags;
	seen.handler_rsp = (uintptr_t)__builtin_frame_address(0) + 8;
	seen.mask = where->uc_sigmask;
	spoil();
	where->uc_mcontext.gregs[REG_R12] = 4712;
	memset(fpu + 160 + 4 * 16, 0x55, 16);
}

static void context(void)
{
	struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
	uint64_t in[2] __attribute__((aligned(16))) = {11, 22}, out[2] __attribute__((aligned(16)));
	uint64_t r12 = 4711, rbx = 815, below = 0;
	sigset_t blocked, old;
	register uint64_t r12_value __asm__("r12");

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	action.sa_flags |= SA_NODEFER;
	r12_value = r12;
	/* Below the stack pointer are 128 bytes that belong to the program. UD2 is jumped over by what the handler does not do: so it is a signal that is sent. */
	__asm__ volatile("movaps %[in], %%xmm3\n\tmovaps %[in], %%xmm4\n\tmovq $77, -128(%%rsp)\n\tmovq $78, "
			 "-8(%%rsp)\n\t"
			 "syscall\n\t"
			 "movaps %%xmm4, %[out]\n\tmovq -128(%%rsp), %[below]\n\taddq -8(%%rsp), %[below]"
			 : "+r"(r12_value), "+b"(rbx), [out] "=m"(out), [below] "=r"(below)
			 : "a"(SYS_tkill), "D"(syscall(SYS_gettid)), "S"(SIGUSR1), [in] "m"(in)
			 : "rcx", "r11", "xmm3", "xmm4", "memory");
	CHECK(below == 77 + 78);
	CHECK(seen.gregs[REG_R12] == 4711 && r12_value == 4712 && rbx == 815 && seen.gregs[REG_RBX] == 815);
	CHECK(seen.gregs[REG_RAX] == 0 && seen.gregs[REG_RSI] == SIGUSR1);
	CHECK(seen.xmm3[0] == 11 && seen.xmm3[1] == 22);
	CHECK(out[0] == 0x5555555555555555 && out[1] == out[0]);
	CHECK(((uint64_t)seen.gregs[REG_CSGSFS] & 0xffff) == 0x33 || on_phoenix());
	CHECK(((uint64_t)seen.gregs[REG_CSGSFS] & 3) == 3 && (uint64_t)seen.gregs[REG_CSGSFS] >> 48 != 0);
	CHECK(seen.handler_rsp % 16 == 8);
	CHECK(sigismember(&seen.mask, SIGUSR2) && !sigismember(&seen.mask, SIGUSR1));
	CHECK(!has_avx || (seen.magic1 == MAGIC1 && seen.magic2 == MAGIC2));
	CHECK(!has_avx || (seen.extended == seen.xstate + 4 && seen.xstate >= HEADER_BYTES + 64 + 256));
	CHECK(!has_avx || (seen.features & 7) == 7);
	CHECK((seen.flags & 6) == 6 && (!has_avx || (seen.flags & 1)));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
	ask_cpu();
	context();
	after_fork();
	with_handlers();
	with_processes();
	with_threads();
	return checks_end("registers");
}
