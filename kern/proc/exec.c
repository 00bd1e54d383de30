/*
 * Exec: builds a program's memory out of its executable and its arguments.
 *
 * The image goes into process private space; heap, mappings and stack into an arena of the
 * process's own (docs/design.md has the picture). What the executable must look like is
 * elf.c's business, how a program asks for it execve.c's.
 */
#include <asm/errno.h>
#include <cpuid.h>
#include <kern/cpu.h>
#include <kern/gate.h>
#include <kern/proc.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <vm/layout.h>

#include "memory.h"

/*
 * Where position-independent programs go: the lowest address from here on that their alignment allows. What no interpreter loads, and interpreters, go where
 * files are mapped: an interpreter may be run as a program, to load one that is linked to be here.
 */
#define IMAGE_LOWEST 0x400000ul

#define STACK_MAX_BYTES ((uint64_t)8 << 30) /* whatever RLIMIT_STACK says */
#define STACK_LEAST_ROOM \
	((uint64_t)128 << 20) /* kept free for a stack whose limit is lower: it may be raised */
#define STACK_MORE_BYTES ((uint64_t)128 << 10) /* there from the start, below the arguments */
#define STACK_ALIGN      16  /* System V ABI, AMD64 supplement, 3.4.1: at the program's first instruction */
#define CLOCK_TICKS      100 /* times(2)'s ticks a second */
#define RANDOM_BYTES     16  /* what AT_RANDOM points to */
#define AUXV_ENTRIES     21
#define POINTERS_CHUNK   64
#define PLATFORM         "x86_64"

/* ---- The initial stack ----------------------------------------------------------------------- */

/*
 * A stack in the making: the blob is written downward from its end, then the vectors upward from where the
 * stack pointer will be. The first error stays.
 */
struct stack {
	struct blob *blob;
	vaddr_t base;    /* where the blob will be mapped */
	uint64_t lowest; /* offset of what was pushed last */
	uint64_t next;   /* offset at which put_words goes on */
	int error;
};

static vaddr_t push(struct stack *stack, const void *bytes, size_t size)
{
	stack->lowest -= size;
	if (!stack->error && size > 0)
		stack->error = blob_write(stack->blob, stack->lowest, bytes, size);
	return stack->base + stack->lowest;
}

/* Pushes all strings of a pack, in order; the last one gets its NUL if it has none. */
static vaddr_t push_pack(struct stack *stack, const struct string_pack *pack)
{
	if (pack->bytes && pack->size > 0 && pack->bytes[pack->size - 1] != '\0')
		push(stack, "", 1);
	if (pack->bytes || pack->size == 0)
		return push(stack, pack->bytes, pack->size);
	stack->lowest -= pack->size;
	if (!stack->error)
		stack->error = blob_copy(stack->blob, stack->lowest, pack->blob, pack->offset, pack->size);
	return stack->base + stack->lowest;
}

static void put_words(struct stack *stack, const uint64_t *words, size_t count)
{
	if (!stack->error && count > 0)
		stack->error = blob_write(stack->blob, stack->next, words, count * sizeof(*words));
	stack->next += count * sizeof(*words);
}

/* Pointers to strings on their way into the stack, several at a time. */
struct pointers {
	struct stack *stack;
	vaddr_t strings; /* where the strings are */
	uint64_t words[POINTERS_CHUNK];
	size_t count;
};

static void put_pointer(struct pointers *pointers, uint64_t word)
{
	pointers->words[pointers->count++] = word;
	if (pointers->count == POINTERS_CHUNK) {
		put_words(pointers->stack, pointers->words, pointers->count);
		pointers->count = 0;
	}
}

static int put_pointer_to(uint64_t offset, void *context)
{
	struct pointers *pointers = context;

	put_pointer(pointers, pointers->strings + offset);
	return 0;
}

/* Pointers to the strings that push_pack put at `strings`; `last`: with a NULL after them. */
static void put_pointers(struct stack *stack, const struct string_pack *pack, vaddr_t strings, bool last)
{
	struct pointers pointers = {.stack = stack, .strings = strings};
	int error = string_pack_visit(pack, put_pointer_to, &pointers);

	if (!stack->error)
		stack->error = error;
	if (last)
		put_pointer(&pointers, 0);
	put_words(stack, pointers.words, pointers.count);
}

/* The word that Linux gives: CPUID leaf 1, edx. */
static uint64_t hardware_capabilities(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) ? edx : 0;
}

/* The strings' places on the stack, and how many there are. */
struct strings_there {
	vaddr_t path, platform, random, environment, arguments, script;
	size_t argument_count, environment_count;
};

/* What is in an address space, with how far from where they were linked to be. */
struct images {
	const struct program_image *program, *interpreter; /* NULL: there is none */
	uint64_t program_bias, interpreter_bias;
};

/* The auxiliary vector (System V ABI, AMD64 supplement, 3.4.3; getauxval(3)), in Linux's order. Returns its words. */
static size_t fill_auxv(uint64_t auxv[2 * AUXV_ENTRIES], const struct images *images,
			const struct program_start *start, const struct strings_there *there)
{
	const struct program_image *program = images->program;
	const uint64_t entries[][2] = {
		{AT_SYSINFO_EHDR, GATE_VDSO},
		{AT_MINSIGSTKSZ, sigframe_most_bytes()},
		{AT_HWCAP, hardware_capabilities()},
		{AT_PAGESZ, PAGE_SIZE},
		{AT_CLKTCK, CLOCK_TICKS},
		{AT_PHDR, program->headers ? program->headers + images->program_bias : 0},
		{AT_PHENT, sizeof(Elf64_Phdr)},
		{AT_PHNUM, program->header_count},
		{AT_BASE, images->interpreter_bias},
		{AT_FLAGS, 0},
		{AT_ENTRY, program->entry + images->program_bias},
		{AT_UID, start->user.real},
		{AT_EUID, start->user.effective},
		{AT_GID, start->group.real},
		{AT_EGID, start->group.effective},
		{AT_SECURE, start->secure},
		{AT_RANDOM, there->random},
		{AT_HWCAP2, cpu_user_capabilities()},
		{AT_EXECFN, there->path},
		{AT_PLATFORM, there->platform},
		{AT_NULL, 0},
	};
	_Static_assert(sizeof(entries) <= 2 * AUXV_ENTRIES * sizeof(uint64_t), "they fit");

	memcpy(auxv, entries, sizeof(entries));
	return sizeof(entries) / sizeof(uint64_t);
}

static void push_strings(struct stack *stack, const struct program_start *start, struct strings_there *there)
{
	uint64_t random[RANDOM_BYTES / sizeof(uint64_t)];
	size_t script_count = 0;

	random_bytes(random, sizeof(random));
	there->path = push(stack, start->path, strlen(start->path) + 1);
	there->platform = push(stack, PLATFORM, sizeof(PLATFORM));
	there->random = push(stack, random, sizeof(random));
	there->environment = push_pack(stack, &start->environment);
	there->arguments = push_pack(stack, &start->arguments);
	there->script = push_pack(stack, &start->script);
	if (!stack->error)
		stack->error = string_pack_count(&start->environment, &there->environment_count);
	if (!stack->error)
		stack->error = string_pack_count(&start->arguments, &there->argument_count);
	if (!stack->error)
		stack->error = string_pack_count(&start->script, &script_count);
	there->argument_count += script_count;
}

/* Fills the stack as System V ABI, AMD64 supplement, 3.4.1 says; stack->lowest is then the stack pointer. */
static void fill_stack(struct stack *stack, const struct program_start *start, const struct images *images,
		       struct strings_there *there)
{
	uint64_t auxv[2 * AUXV_ENTRIES];
	uint64_t words, count;
	size_t auxv_words;

	push_strings(stack, start, there);
	if (stack->error)
		return;
	auxv_words = fill_auxv(auxv, images, start, there);

	/* argc, the pointers to arguments and environment with a NULL after each, the auxiliary vector */
	count = there->argument_count;
	words = 1 + count + 1 + there->environment_count + 1 + auxv_words;
	stack->lowest = (stack->lowest - words * sizeof(uint64_t)) & ~(uint64_t)(STACK_ALIGN - 1);
	stack->next = stack->lowest;
	put_words(stack, &count, 1);
	put_pointers(stack, &start->script, there->script, false);
	put_pointers(stack, &start->arguments, there->arguments, true);
	put_pointers(stack, &start->environment, there->environment, true);
	put_words(stack, auxv, auxv_words);
}

/* ---- The address space --------------------------------------------------------------------------- */

#define FAIL(reason, error, ...) (env_format((reason)->text, REASON_BYTES, __VA_ARGS__), (error))

/*
 * Maps what of the stack is in use, and a little more, at the arena's end. The rest of its blob, which is as large as a stack can
 * become, is shown when the program gets there (task_grow_stack).
 */
static int map_stack(struct user_space *space, const struct stack *stack)
{
	const struct mapping how = {
		.prot = VM_READ | VM_WRITE, .inherit = INHERIT_COPY, .name = "stack", .grows_down = true};
	uint64_t first = page_round_down(stack->lowest) - STACK_MORE_BYTES;
	const struct placement place = {.address = stack->base + first, .flags = PLACE_FIXED};
	vaddr_t at;

	return map_blob(space->arena, &place, stack->blob, bytes_to_pages(first),
			bytes_to_pages(STACK_MAX_BYTES - first), &how, &at);
}

/* Mappings stay out of the stack's way, as far as it may ever grow: the limit at the start says how far. */
static uint64_t stack_room(uint64_t limit)
{
	if (limit < STACK_LEAST_ROOM)
		return STACK_LEAST_ROOM;
	return limit < STACK_MAX_BYTES ? page_round_up(limit) : STACK_MAX_BYTES;
}

static int make_stack(struct user_space *space, const struct program_start *start,
		      const struct images *images)
{
	struct stack stack = {.base = map_end(space->arena) - STACK_MAX_BYTES, .lowest = STACK_MAX_BYTES};
	struct strings_there there = {.path = 0};
	int error;

	error = blob_create(STACK_MAX_BYTES, 0, &stack.blob);
	if (error)
		return error;
	fill_stack(&stack, start, images, &there);
	error = stack.error ? stack.error : map_stack(space, &stack);
	blob_unref(stack.blob);
	space->stack = stack.base + stack.lowest;
	space->arguments = there.script;
	space->environment = there.environment;
	space->strings_end = there.random;
	return error;
}

/* Maps a program or interpreter where it has to be, or from `lowest` on; *bias is how far that is from where it was linked to be. */
static int map_image(struct user_space *space, const struct program_image *image, vaddr_t lowest,
		     uint64_t *bias)
{
	struct placement place = {.low = lowest, .align = image->align};
	vaddr_t at;
	int error;

	if (!image->relocates)
		place = (struct placement){.address = image->start, .flags = PLACE_FIXED};
	error = map_entity(map_private_space(space->root), &place, image->entity, &at);
	if (!error)
		*bias = at - image->start;
	return error;
}

static int map_images(struct user_space *space, struct images *images)
{
	vaddr_t lowest = images->interpreter ? IMAGE_LOWEST : LOWEST_WISH;
	int error = map_image(space, images->program, lowest, &images->program_bias);

	if (!error && images->interpreter)
		error = map_image(space, images->interpreter, LOWEST_WISH, &images->interpreter_bias);
	return error;
}

/* Fills space->root, which is empty. */
static int populate(struct user_space *space, struct images *images, const struct program_start *start,
		    struct reason *reason)
{
	int error = map_images(space, images);

	if (error)
		return FAIL(reason, error, "no room for it in the low 2 GB, or no memory");
	error = map_create_arena(space->root, LAYOUT_ARENA_BYTES, &space->arena);
	if (error)
		return FAIL(reason, error, "no memory for its arena");
	space->heap_start = space->heap_end = map_start(space->arena);
	space->mmap_low = space->heap_start + HEAP_MAX_BYTES;
	space->mmap_high = map_end(space->arena) - stack_room(start->stack_bytes) - MAP_GROW_GUARD;
	space->entry = images->interpreter ? images->interpreter->entry + images->interpreter_bias
					   : images->program->entry + images->program_bias;
	error = make_stack(space, start, images);
	if (error)
		return FAIL(reason, error, "no memory for its stack");
	return 0;
}

int user_space_create(const struct program_image *program, const struct program_image *interpreter,
		      const struct program_start *start, struct user_space **out, struct reason *reason)
{
	struct images images = {.program = program, .interpreter = interpreter};
	struct user_space *space;
	struct map *root;
	int error = map_create_root(path_last_part(start->path), &root);

	if (error)
		return FAIL(reason, error, "no memory for its page tables");
	space = user_space_of(root);
	if (!space)
		return FAIL(reason, -ENOMEM, "no memory");
	error = populate(space, &images, start, reason);
	if (!error && !commit_allows_stack())
		error = FAIL(reason, -ENOMEM, "more memory would be promised than there is");
	if (error)
		user_space_unref(space);
	else
		*out = space;
	return error;
}
