/*
 * Exec: builds a program's memory out of its executable and its arguments.
 *
 * The image goes into process private space; heap, mappings and stack into an arena of the
 * process's own (docs/design.md has the picture). What the executable must look like is
 * elf.c's business, what happens when the program runs process.c's.
 */
#include <asm/errno.h>
#include <cpuid.h>
#include <kern/bootfile.h>
#include <kern/gate.h>
#include <kern/proc.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <vm/layout.h>
#include <vm/slab.h>

/* Where position-independent programs go: the lowest address from here on that their alignment allows. */
#define IMAGE_LOWEST 0x400000ul

#define STACK_ALIGN    16  /* System V ABI, AMD64 supplement, 3.4.1: at the program's first instruction */
#define CLOCK_TICKS    100 /* times(2)'s ticks a second */
#define RANDOM_BYTES   16  /* what AT_RANDOM points to */
#define AUXV_ENTRIES   20
#define POINTERS_CHUNK 64
#define PLATFORM       "x86_64"

static struct slab_cache space_cache; /* set up by exec_init */

void exec_init(void)
{
	slab_cache_init(&space_cache, "user space", sizeof(struct user_space));
}

/* ---- Strings --------------------------------------------------------------------------------- */

static size_t string_bytes(const struct string_pack *pack, size_t at)
{
	size_t end = at;

	while (end < pack->size && pack->bytes[end] != '\0')
		end++;
	return end - at;
}

size_t string_pack_count(const struct string_pack *pack)
{
	size_t count = 0;

	for (size_t at = 0; at < pack->size; at += string_bytes(pack, at) + 1)
		count++;
	return count;
}

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
	if (pack->size > 0 && pack->bytes[pack->size - 1] != '\0')
		push(stack, "", 1);
	return push(stack, pack->bytes, pack->size);
}

static void put_words(struct stack *stack, const uint64_t *words, size_t count)
{
	if (!stack->error)
		stack->error = blob_write(stack->blob, stack->next, words, count * sizeof(*words));
	stack->next += count * sizeof(*words);
}

/* A vector of pointers to the strings that push_pack put at `strings`, ended by NULL. */
static void put_pointers(struct stack *stack, const struct string_pack *pack, vaddr_t strings)
{
	uint64_t pointers[POINTERS_CHUNK];
	size_t count = 0;

	for (size_t at = 0; at < pack->size; at += string_bytes(pack, at) + 1) {
		pointers[count++] = strings + at;
		if (count == POINTERS_CHUNK) {
			put_words(stack, pointers, count);
			count = 0;
		}
	}
	pointers[count++] = 0;
	put_words(stack, pointers, count);
}

/* The word that Linux gives: CPUID leaf 1, edx. */
static uint64_t hardware_capabilities(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) ? edx : 0;
}

/* The auxiliary vector (System V ABI, AMD64 supplement, 3.4.3; getauxval(3)). Returns its words. */
static size_t fill_auxv(uint64_t auxv[2 * AUXV_ENTRIES], const struct program_image *image, int64_t bias,
			vaddr_t random, vaddr_t path, vaddr_t platform)
{
	const uint64_t entries[][2] = {
		{AT_HWCAP, hardware_capabilities()},
		{AT_PAGESZ, PAGE_SIZE},
		{AT_CLKTCK, CLOCK_TICKS},
		{AT_PHDR, image->headers ? image->headers + (uint64_t)bias : 0},
		{AT_PHENT, sizeof(Elf64_Phdr)},
		{AT_PHNUM, image->header_count},
		{AT_BASE, 0},
		{AT_FLAGS, 0},
		{AT_ENTRY, image->entry + (uint64_t)bias},
		{AT_UID, 0},
		{AT_EUID, 0},
		{AT_GID, 0},
		{AT_EGID, 0},
		{AT_SECURE, 0},
		{AT_RANDOM, random},
		{AT_HWCAP2, 0},
		{AT_EXECFN, path},
		{AT_PLATFORM, platform},
		{AT_SYSINFO_EHDR, GATE_VDSO},
		{AT_NULL, 0},
	};
	_Static_assert(sizeof(entries) <= 2 * AUXV_ENTRIES * sizeof(uint64_t), "they fit");

	memcpy(auxv, entries, sizeof(entries));
	return sizeof(entries) / sizeof(uint64_t);
}

/* Fills the stack as System V ABI, AMD64 supplement, 3.4.1 says; stack->lowest is then the stack pointer. */
static void fill_stack(struct stack *stack, const char *path, const struct program_image *image, int64_t bias,
		       const struct string_pack *arguments, const struct string_pack *environment)
{
	uint64_t auxv[2 * AUXV_ENTRIES], random[RANDOM_BYTES / sizeof(uint64_t)];
	uint64_t count = string_pack_count(arguments);
	vaddr_t path_at, platform_at, random_at, arguments_at, environment_at;
	size_t auxv_words;
	uint64_t words;

	random_bytes(random, sizeof(random));
	path_at = push(stack, path, strlen(path) + 1);
	platform_at = push(stack, PLATFORM, sizeof(PLATFORM));
	random_at = push(stack, random, sizeof(random));
	environment_at = push_pack(stack, environment);
	arguments_at = push_pack(stack, arguments);
	auxv_words = fill_auxv(auxv, image, bias, random_at, path_at, platform_at);

	/* argc, the pointers to arguments and environment with a NULL after each, the auxiliary vector */
	words = 1 + count + 1 + string_pack_count(environment) + 1 + auxv_words;
	stack->lowest = (stack->lowest - words * sizeof(uint64_t)) & ~(uint64_t)(STACK_ALIGN - 1);
	stack->next = stack->lowest;
	put_words(stack, &count, 1);
	put_pointers(stack, arguments, arguments_at);
	put_pointers(stack, environment, environment_at);
	put_words(stack, auxv, auxv_words);
}

/* ---- The address space --------------------------------------------------------------------------- */

#define FAIL(reason, error, ...) (env_format((reason)->text, REASON_BYTES, __VA_ARGS__), (error))

/* Maps the stack at the arena's end, with the guard below it. */
static int map_stack(struct user_space *space, struct blob *blob)
{
	const struct mapping how = {.prot = VM_READ | VM_WRITE, .inherit = INHERIT_COPY, .name = "stack"};
	struct placement place = {.address = map_end(space->arena) - STACK_BYTES, .flags = PLACE_FIXED};
	vaddr_t at;
	int error;

	error = map_blob(space->arena, &place, blob, 0, bytes_to_pages(STACK_BYTES), &how, &at);
	if (error)
		return error;
	place.address -= STACK_GUARD_BYTES;
	return map_reserve(space->arena, &place, STACK_GUARD_BYTES, "stack guard", &at);
}

static int make_stack(struct user_space *space, const char *path, const struct program_image *image,
		      int64_t bias, const struct string_pack *arguments,
		      const struct string_pack *environment)
{
	struct stack stack = {.base = map_end(space->arena) - STACK_BYTES, .lowest = STACK_BYTES};
	int error;

	error = blob_create(STACK_BYTES, 0, &stack.blob);
	if (error)
		return error;
	fill_stack(&stack, path, image, bias, arguments, environment);
	error = stack.error ? stack.error : map_stack(space, stack.blob);
	blob_unref(stack.blob);
	space->stack = stack.base + stack.lowest;
	return error;
}

/* Fills space->root, which is empty. */
static int populate(struct user_space *space, const char *path, const struct program_image *image,
		    const struct string_pack *arguments, const struct string_pack *environment,
		    struct reason *reason)
{
	struct placement place = {.address = image->start, .flags = PLACE_FIXED};
	vaddr_t at;
	int error;

	/* There is nothing yet that could be in the way. */
	if (image->relocates)
		place.address = (IMAGE_LOWEST + image->align - 1) & ~(image->align - 1);
	error = map_entity(space->root, &place, image->entity, &at);
	if (error)
		return FAIL(reason, error, "no room for it in the low 2 GB, or no memory");
	error = map_create_arena(space->root, LAYOUT_ARENA_BYTES, &space->arena);
	if (error)
		return FAIL(reason, error, "no memory for its arena");
	space->heap_start = space->heap_end = map_start(space->arena);
	space->mmap_low = space->heap_start + HEAP_MAX_BYTES;
	space->mmap_high = map_end(space->arena) - STACK_BYTES - STACK_GUARD_BYTES;
	space->entry = image->entry + (at - image->start);
	error = make_stack(space, path, image, (int64_t)(at - image->start), arguments, environment);
	if (error)
		return FAIL(reason, error, "no memory for its stack");
	return 0;
}

/* Finds the program and makes its image. */
static int load_image(const char *path, const char *name, struct program_image *image, struct reason *reason)
{
	struct bootfile file;
	struct blob *blob;
	int error;

	if (bootfile_find(path, &file) != 0)
		return FAIL(reason, -ENOENT, "no such boot file");
	if (file.bytes == 0)
		return FAIL(reason, -ENOEXEC, "an empty file");
	error = bootfile_blob(&file, &blob);
	if (error)
		return FAIL(reason, error, "no memory");
	error = elf_load(blob, file.bytes, name, image, reason);
	blob_unref(blob);
	if (error == -ENOMEM)
		return FAIL(reason, error, "no memory");
	if (error == -EIO)
		return FAIL(reason, error, "it cannot be read");
	return error;
}

static bool arguments_fit(const struct string_pack *arguments, const struct string_pack *environment)
{
	size_t room = ARGUMENTS_MAX_BYTES, pointers;

	if (arguments->size > room || environment->size > room - arguments->size)
		return false;
	room -= arguments->size + environment->size;
	pointers = (string_pack_count(arguments) + string_pack_count(environment)) * sizeof(vaddr_t);
	return pointers <= room;
}

/* A space with the image in it, and the stack filled. */
static int make_space(const char *name, const char *path, const struct program_image *image,
		      const struct string_pack *arguments, const struct string_pack *environment,
		      struct user_space **out, struct reason *reason)
{
	struct user_space *space = slab_alloc(&space_cache);
	int error;

	if (!space)
		return FAIL(reason, -ENOMEM, "no memory");
	*space = (struct user_space){.refs = 1};
	mutex_init(&space->lock, RANK_SPACE, "user space");
	error = map_create_root(name, &space->root);
	if (error) {
		slab_free(&space_cache, space);
		return FAIL(reason, error, "no memory for its page tables");
	}
	error = populate(space, path, image, arguments, environment, reason);
	if (error)
		user_space_unref(space);
	else
		*out = space;
	return error;
}

int user_space_create(const char *path, const struct string_pack *arguments,
		      const struct string_pack *environment, struct user_space **out, struct reason *reason)
{
	const char *name = path;
	struct program_image image;
	int error;

	for (const char *at = path; *at != '\0'; at++)
		if (at[0] == '/' && at[1] != '\0')
			name = at + 1;
	if (!arguments_fit(arguments, environment))
		return FAIL(reason, -E2BIG, "its arguments and environment take more than %zu bytes",
			    ARGUMENTS_MAX_BYTES);
	error = load_image(path, name, &image, reason);
	if (error)
		return error;
	error = make_space(name, path, &image, arguments, environment, out, reason);
	entity_unref(image.entity);
	return error;
}

void user_space_ref(struct user_space *space)
{
	space->refs++;
}

void user_space_unref(struct user_space *space)
{
	if (--space->refs > 0)
		return;
	map_unref(space->root);
	slab_free(&space_cache, space);
}
