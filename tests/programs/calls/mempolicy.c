/*
 * set_mempolicy, get_mempolicy and mbind, as far as they go on a machine of one node, where any policy means the same.
 */
#include "tap.h"
#include <linux/mempolicy.h>

#define MASK_WORDS 16
#define MASK_BITS  (64ul * MASK_WORDS)

typedef unsigned long mask[MASK_WORDS];

static const mask none, first = {1}, second = {2};

/* A policy is in force, and is said with this mask. */
static bool policy_is(int mode, const mask nodes)
{
	mask got = {-1ul};
	int told = -1;

	return CHECK(CALL(get_mempolicy, &told, got, MASK_BITS + 1, 0, 0) == 0) && EQUAL(told, mode) &&
	       CHECK(memcmp(got, nodes, sizeof(mask)) == 0);
}

TEST(usual, "get_mempolicy: MPOL_DEFAULT and no nodes; node 0 is allowed; parts may be left out")
{
	mask allowed = {0};
	int mode;

	policy_is(MPOL_DEFAULT, none);
	CHECK(CALL(get_mempolicy, NULL, NULL, 0, 0, 0) == 0);
	CHECK(CALL(get_mempolicy, NULL, allowed, MASK_BITS + 1, 0, MPOL_F_MEMS_ALLOWED) == 0);
	CHECK(memcmp(allowed, first, sizeof(mask)) == 0);
	CHECK(CALL(get_mempolicy, &mode, NULL, 0, &mode, MPOL_F_NODE | MPOL_F_ADDR) == 0 && mode == 0);
	CHECK(CALL(get_mempolicy, &mode, NULL, 0, &mode, MPOL_F_ADDR) == 0 && mode == MPOL_DEFAULT);
}

TEST(set, "set_mempolicy: each policy of node 0 is told afterwards, in children, too")
{
	const int modes[] = {MPOL_BIND, MPOL_INTERLEAVE, MPOL_PREFERRED, MPOL_BIND | MPOL_F_STATIC_NODES};
	int next = -1;

	for (unsigned i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		CHECK(CALL(set_mempolicy, modes[i], first, MASK_BITS) == 0);
		policy_is(modes[i], first);
	}
	IN_CHILD
	{
		policy_is(MPOL_BIND | MPOL_F_STATIC_NODES, first);
		CHECK(CALL(set_mempolicy, MPOL_DEFAULT, NULL, 0) == 0);
	}
	policy_is(MPOL_BIND | MPOL_F_STATIC_NODES, first);
	CHECK(CALL(set_mempolicy, MPOL_INTERLEAVE, first, 2) == 0);
	CHECK(CALL(get_mempolicy, &next, NULL, 0, 0, MPOL_F_NODE) == 0 && next == 0);
	CHECK(CALL(set_mempolicy, MPOL_LOCAL, NULL, 0) == 0);
	policy_is(MPOL_LOCAL, none);
	CHECK(CALL(set_mempolicy, MPOL_PREFERRED, NULL, 0) == 0);
	policy_is(MPOL_LOCAL, none);
	CHECK(CALL(set_mempolicy, MPOL_DEFAULT, none, MASK_BITS) == 0);
	policy_is(MPOL_DEFAULT, none);
}

TEST(set_bad, "set_mempolicy: no such mode or node, a mask too many or too few is EINVAL; a bad one EFAULT")
{
	FAILS(CALL(set_mempolicy, 100, first, MASK_BITS), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, first, MASK_BITS),
	      EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND, NULL, 0), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND, none, MASK_BITS), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND, first, 1), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND, second, MASK_BITS), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_PREFERRED, second, MASK_BITS), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_DEFAULT, first, MASK_BITS), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_LOCAL, first, MASK_BITS), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND, first, 8 * PAGE + 2), EINVAL);
	FAILS(CALL(set_mempolicy, MPOL_BIND, USER_END, MASK_BITS), EFAULT);
	policy_is(MPOL_DEFAULT, none);
}

TEST(get_bad,
     "get_mempolicy: wrong flags, or an address without its flag, is EINVAL; bad addresses are EFAULT")
{
	mask got;
	int mode;

	FAILS(CALL(get_mempolicy, &mode, NULL, 0, 0, 8), EINVAL);
	FAILS(CALL(get_mempolicy, &mode, NULL, 0, 0, MPOL_F_MEMS_ALLOWED | MPOL_F_NODE), EINVAL);
	FAILS(CALL(get_mempolicy, &mode, NULL, 0, &mode, 0), EINVAL);
	FAILS(CALL(get_mempolicy, &mode, NULL, 0, 0, MPOL_F_NODE), EINVAL);
	FAILS(CALL(get_mempolicy, &mode, got, 0, 0, 0), EINVAL);
	FAILS(CALL(get_mempolicy, &mode, NULL, 0, 0, MPOL_F_ADDR), EFAULT);
	FAILS(CALL(get_mempolicy, USER_END, NULL, 0, 0, 0), EFAULT);
	FAILS(CALL(get_mempolicy, &mode, USER_END, MASK_BITS, 0, 0), EFAULT);
}

TEST(bind, "mbind: taken for what is mapped; a hole is EFAULT, an odd address or unknown flag EINVAL")
{
	char *memory = anonymous(4 * PAGE);

	memory[0] = 'x';
	CHECK(CALL(mbind, memory, 4 * PAGE, MPOL_BIND, first, MASK_BITS, MPOL_MF_STRICT) == 0);
	CHECK(CALL(mbind, memory, 4 * PAGE, MPOL_BIND, first, MASK_BITS, MPOL_MF_MOVE) == 0);
	CHECK(CALL(mbind, memory, 4 * PAGE, MPOL_DEFAULT, NULL, 0, 0) == 0);
	CHECK(CALL(mbind, memory, 0, MPOL_DEFAULT, NULL, 0, 0) == 0 && memory[0] == 'x');
	FAILS(CALL(mbind, memory + 1, PAGE, MPOL_DEFAULT, NULL, 0, 0), EINVAL);
	FAILS(CALL(mbind, memory, PAGE, 100, NULL, 0, 0), EINVAL);
	FAILS(CALL(mbind, memory, PAGE, MPOL_BIND, NULL, 0, 0), EINVAL);
	FAILS(CALL(mbind, memory, PAGE, MPOL_DEFAULT, NULL, 0, 1 << 10), EINVAL);
	FAILS(CALL(mbind, memory, PAGE, MPOL_BIND, USER_END, MASK_BITS, 0), EFAULT);
	CHECK(munmap(memory + PAGE, PAGE) == 0);
	FAILS(CALL(mbind, memory, 4 * PAGE, MPOL_BIND, first, MASK_BITS, 0), EFAULT);
}
