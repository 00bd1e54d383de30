/*
 * A small instruction decoder: for a general-protection fault the CPU tells no address, and the line that says why
 * a program ended shall have one. Knows the encodings of Intel SDM volume 2, chapter 2 and appendix A, as far as 64-bit
 * code uses them to name memory; what it does not know (VEX and EVEX) it says it does not.
 *
 * Used by trap.c alone.
 */
#include <decode.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/vm.h>

#define INSTRUCTION_BYTES 15 /* the longest there is */

#define OPCODE_TWO_BYTES 0x0f
#define OPCODE_GROUP_5   0xff /* inc, dec, call, jmp, push */
#define OPCODE_RET       0xc3
#define OPCODE_RET_POP   0xc2
#define OPCODE_SIZE      0x66
#define OPCODE_ADDRESS   0x67
#define OPCODE_FS        0x64
#define REX_FIRST        0x40
#define REX_X            2u
#define REX_B            1u

/* Opcode maps: one byte; after 0f; after 0f 38 and 0f 3a. */
enum opcode_map { MAP_ONE, MAP_TWO, MAP_THREE };

struct instruction {
	const struct trapframe *frame;
	uint8_t bytes[INSTRUCTION_BYTES];
	size_t count, next; /* bytes that could be read; decoded so far */
	bool fs;
	uint8_t rex;
	enum opcode_map map;
	uint8_t opcode;
};

/* The next byte; 0 past the end, which decodes to something harmless. */
static uint8_t take_byte(struct instruction *in)
{
	return in->next < in->count ? in->bytes[in->next++] : 0;
}

static uint64_t take_signed(struct instruction *in, unsigned bytes)
{
	uint64_t value = 0;
	unsigned shift = 64 - 8 * bytes;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)take_byte(in) << (8 * i);
	return (uint64_t)((int64_t)(value << shift) >> shift);
}

static uint64_t register_value(const struct trapframe *f, unsigned number)
{
	const uint64_t values[16] = {f->rax, f->rcx, f->rdx, f->rbx, f->rsp, f->rbp, f->rsi, f->rdi,
				     f->r8,  f->r9,  f->r10, f->r11, f->r12, f->r13, f->r14, f->r15};

	return values[number & 15];
}

static void take_opcode(struct instruction *in)
{
	uint8_t byte = take_byte(in);

	while (byte == OPCODE_SIZE || byte == OPCODE_ADDRESS || byte == OPCODE_FS || byte == 0x65 ||
	       byte == 0xf0 || byte == 0xf2 || byte == 0xf3 || (byte & 0xe7) == 0x26) {
		in->fs = in->fs || byte == OPCODE_FS;
		byte = take_byte(in);
	}
	if ((byte & 0xf0) == REX_FIRST) {
		in->rex = byte;
		byte = take_byte(in);
	}
	if (byte == OPCODE_TWO_BYTES) {
		in->map = MAP_TWO;
		byte = take_byte(in);
		if (byte == 0x38 || byte == 0x3a) {
			in->map = MAP_THREE;
			byte = take_byte(in);
		}
	}
	in->opcode = byte;
}

/* Instructions that ring 3 may not use at all, as far as they are in the map of one byte or of two. */
static bool is_privileged(const struct instruction *in)
{
	uint8_t op = in->opcode;

	if (in->map == MAP_ONE)
		return op == 0xf4 || op == 0xfa || op == 0xfb || (op >= 0x6c && op <= 0x6f) ||
		       (op >= 0xe4 && op <= 0xe7) || (op >= 0xec && op <= 0xef) || op == 0xcd;
	return in->map == MAP_TWO && (op <= 0x01 || op == 0x06 || op == 0x07 || op == 0x08 || op == 0x09 ||
				      (op >= 0x20 && op <= 0x23) || op == 0x30 || op == 0x31 || op == 0x32 ||
				      op == 0x33 || op == 0x35);
}

static bool has_modrm(const struct instruction *in)
{
	uint8_t op = in->opcode;

	if (in->map == MAP_TWO)
		return !(op >= 0x30 && op <= 0x37) && !(op >= 0x80 && op <= 0x8f) &&
		       !(op >= 0xa0 && op <= 0xa2) && !(op >= 0xa8 && op <= 0xaa) &&
		       !(op >= 0xc8 && op <= 0xcf) && op != 0x05 && op != 0x0b && op != 0x77;
	if (in->map == MAP_THREE)
		return true;
	return (op < 0x40 && (op & 7) < 4) || op == 0x63 || op == 0x69 || op == 0x6b ||
	       (op >= 0x80 && op <= 0x8f) || op == 0xc0 || op == 0xc1 || op == 0xc6 || op == 0xc7 ||
	       (op >= 0xd0 && op <= 0xd3) || (op >= 0xd8 && op <= 0xdf) || op == 0xf6 || op == 0xf7 ||
	       op >= 0xfe;
}

/* Does the instruction store to its memory operand? `extension` is ModRM's middle field. */
static bool is_store(const struct instruction *in, unsigned extension)
{
	uint8_t op = in->opcode;

	if (in->map == MAP_TWO)
		return op == 0x11 || op == 0x13 || op == 0x17 || op == 0x29 || op == 0x2b || op == 0x7e ||
		       op == 0x7f || (op >= 0x90 && op <= 0x9f) || op == 0xa4 || op == 0xa5 || op == 0xab ||
		       op == 0xac || op == 0xad || op == 0xb0 || op == 0xb1 || op == 0xb3 || op == 0xbb ||
		       op == 0xc0 || op == 0xc1 || op == 0xc3 || op == 0xd6 || op == 0xe7;
	if (in->map == MAP_THREE)
		return false;
	if (op < 0x38)
		return !(op & 2);
	if (op >= 0x80 && op <= 0x83)
		return extension != 7; /* cmp */
	return (op >= 0x86 && op <= 0x89) || op == 0x8c || op == 0x8f || op == 0xc0 || op == 0xc1 ||
	       op == 0xc6 || op == 0xc7 || (op >= 0xd0 && op <= 0xd3) ||
	       ((op == 0xf6 || op == 0xf7) && (extension == 2 || extension == 3)) ||
	       (op >= 0xfe && extension < 2);
}

/* The address that ModRM, SIB and displacement name. An operand relative to rip is near rip, and never the reason. */
static vaddr_t memory_operand(struct instruction *in, uint8_t modrm)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;
	vaddr_t address = 0;
	bool base = true;

	if (rm == 4) {
		uint8_t sib = take_byte(in);
		unsigned index = (sib >> 3 & 7) | (in->rex & REX_X ? 8 : 0);

		if (index != 4)
			address = register_value(in->frame, index) << (sib >> 6);
		rm = sib & 7;
		base = mod != 0 || rm != 5;
	} else if (mod == 0 && rm == 5) {
		return in->frame->rip;
	}
	if (base)
		address += register_value(in->frame, rm | (in->rex & REX_B ? 8 : 0));
	if (mod == 1)
		address += take_signed(in, 1);
	if (mod == 2 || !base)
		address += take_signed(in, 4);
	return address + (in->fs ? cpu_fs_base() : 0);
}

static struct decoded decode_modrm(struct instruction *in)
{
	uint8_t modrm = take_byte(in);
	unsigned extension = modrm >> 3 & 7;
	bool jump = in->map == MAP_ONE && in->opcode == OPCODE_GROUP_5 && (extension == 2 || extension == 4);

	if (modrm >> 6 != 3)
		return (struct decoded){is_store(in, extension) ? DECODED_WRITE : DECODED_READ,
					memory_operand(in, modrm)};
	if (jump)
		return (struct decoded){DECODED_JUMP,
					register_value(in->frame, (modrm & 7) | (in->rex & REX_B ? 8 : 0))};
	return (struct decoded){DECODED_UNKNOWN, 0};
}

/* String instructions, and what uses the stack: their operands are in the opcode. */
static struct decoded decode_implicit(const struct instruction *in)
{
	const struct trapframe *frame = in->frame;
	uint8_t op = in->opcode;
	uint64_t to;

	if (in->map != MAP_ONE)
		return (struct decoded){DECODED_UNKNOWN, 0};
	if ((op == OPCODE_RET || op == OPCODE_RET_POP) && copy_from_user(&to, frame->rsp, sizeof(to)) == 0)
		return (struct decoded){DECODED_JUMP, to};
	if ((op >= 0x50 && op <= 0x57) || op == 0x68 || op == 0x6a || op == 0xe8 || op == 0x9c)
		return (struct decoded){DECODED_WRITE, frame->rsp - sizeof(uint64_t)};
	if ((op >= 0x58 && op <= 0x5f) || op == 0x9d || op == OPCODE_RET || op == OPCODE_RET_POP)
		return (struct decoded){DECODED_READ, frame->rsp};
	if (op == 0xa4 || op == 0xa5) /* movs: the one of its two places that cannot be */
		return user_range(frame->rdi, 1) ? (struct decoded){DECODED_READ, frame->rsi}
						 : (struct decoded){DECODED_WRITE, frame->rdi};
	if (op == 0xaa || op == 0xab)
		return (struct decoded){DECODED_WRITE, frame->rdi};
	if (op == 0xac || op == 0xad)
		return (struct decoded){DECODED_READ, frame->rsi};
	if (op == 0xa6 || op == 0xa7)
		return (struct decoded){DECODED_READ, user_range(frame->rdi, 1) ? frame->rsi : frame->rdi};
	if (op == 0xae || op == 0xaf)
		return (struct decoded){DECODED_READ, frame->rdi};
	return (struct decoded){DECODED_UNKNOWN, 0};
}

struct decoded decode_fault(const struct trapframe *frame)
{
	struct instruction in = {.frame = frame};

	if (!user_range(frame->rip, 1))
		return (struct decoded){DECODED_JUMP, frame->rip};
	/* As many bytes as there are: the last instruction of a mapping may be followed by nothing. */
	while (in.count < INSTRUCTION_BYTES &&
	       copy_from_user(&in.bytes[in.count], frame->rip + in.count, 1) == 0)
		in.count++;
	take_opcode(&in);
	if (is_privileged(&in))
		return (struct decoded){DECODED_PRIVILEGED, frame->rip};
	if (has_modrm(&in))
		return decode_modrm(&in);
	return decode_implicit(&in);
}
