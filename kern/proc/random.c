/*
 * Random bytes for programs: AT_RANDOM and getrandom(2).
 *
 * RDRAND where the CPU has it; otherwise time stamps through a mixer, which is enough to
 * tell runs apart and not enough for keys.
 */
#include <cpuid.h>
#include <kern/proc.h>

#define RDRAND_TRIES 10 /* Intel SDM 1, 7.3.17.1: more failures in a row mean a broken generator */

/* splitmix64's constants (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
#define MIX_STEP   0x9e3779b97f4a7c15ul
#define MIX_FIRST  0xbf58476d1ce4e5b9ul
#define MIX_SECOND 0x94d049bb133111ebul

static bool hardware_random(uint64_t *out)
{
	unsigned eax, ebx, ecx, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_RDRND))
		return false;
	for (int i = 0; i < RDRAND_TRIES; i++) {
		bool valid;

		__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(valid));
		if (valid)
			return true;
	}
	return false;
}

static uint64_t mixed_time_stamp(void)
{
	static _Atomic uint64_t state;
	uint64_t value = (state += MIX_STEP) + __builtin_ia32_rdtsc();

	value = (value ^ value >> 30) * MIX_FIRST;
	value = (value ^ value >> 27) * MIX_SECOND;
	return value ^ value >> 31;
}

void random_bytes(void *to, size_t bytes)
{
	char *at = to;

	while (bytes > 0) {
		uint64_t word;
		size_t part = bytes < sizeof(word) ? bytes : sizeof(word);

		if (!hardware_random(&word))
			word = mixed_time_stamp();
		memcpy(at, &word, part);
		at += part;
		bytes -= part;
	}
}
