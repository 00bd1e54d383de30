/*
 * Core files (core(5)): what a process was when a signal ended it, as an ELF file for debuggers.
 *
 * Each mapping is a segment, of which those pages are written that have contents; the rest are holes. Notes have the registers of the task that the signal met,
 * and the program's name. Of files only what may have been written to is there, and nothing of what was advised so (MADV_DONTDUMP). RLIMIT_CORE says how
 * long the file may be: for less than a page there is none.
 */
#include <asm/errno.h>
#include <kern/procfs.h>
#include <kern/trap.h>
#include <linux/elf.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "memory.h"
#include "process_internal.h"
#include "signal_internal.h"

#define PATTERN_BYTES 128  /* Linux's CORENAME_MAX_SIZE */
#define CHUNK_PAGES   512u /* looked at together: is anything there? */
#define MOST_SEGMENTS (PN_XNUM - 2)
#define PRIVATE_MODE  (S_IRUSR | S_IWUSR)

/* ---- What the file is called ---------------------------------------------------------------------------------- */

static char pattern[PATTERN_BYTES] = "core"; /* guarded by process_lock */

int core_show_pattern(struct seq *seq, const struct proc_subject *subject)
{
	char text[PATTERN_BYTES];

	(void)subject;
	spin_lock(&process_lock);
	memcpy(text, pattern, sizeof(text));
	spin_unlock(&process_lock);
	seq_print(seq, "%s\n", text);
	return 0;
}

/* There are no programs to pipe to. */
int core_store_pattern(const struct proc_subject *subject, char *text, size_t bytes)
{
	size_t length = 0;

	(void)subject, (void)bytes;
	while (text[length] != '\0' && text[length] != '\n')
		length++;
	if (text[0] == '|' || length >= PATTERN_BYTES)
		return -EINVAL;
	text[length] = '\0';
	spin_lock(&process_lock);
	memcpy(pattern, text, length + 1);
	spin_unlock(&process_lock);
	return 0;
}

/* A task's name: it is one part of a path, whatever is in it. */
static void put_name(struct seq *seq, const char *name)
{
	for (; *name; name++)
		seq_put(seq, *name == '/' ? "!" : name, 1);
}

/* What stands for % and the letter in the pattern; what is not known stands for nothing, as on Linux. */
static void put_part(struct seq *seq, const struct task *task, char letter, int signo)
{
	const struct process *process = task->process;

	switch (letter) {
	case '%':
		seq_put(seq, "%", 1);
		break;
	case 'e':
		put_name(seq, task->name);
		break;
	case 'p':
		seq_print(seq, "%d", process->pid);
		break;
	case 's':
		seq_print(seq, "%d", signo);
		break;
	case 'u':
		seq_print(seq, "%u", process->credentials.user.real);
		break;
	case 'g':
		seq_print(seq, "%u", process->credentials.group.real);
		break;
	case 't':
		seq_print(seq, "%lld",
			  ((long long)time_nanoseconds() + (long long)time_realtime_offset()) / 1000000000);
		break;
	default:
		break;
	}
}

/* -ENAMETOOLONG; -ENOENT: the pattern is empty. */
static int make_path(const struct task *task, int signo, char *to, size_t room)
{
	struct seq seq = {.text = to, .room = room};
	char text[PATTERN_BYTES];

	spin_lock(&process_lock);
	memcpy(text, pattern, sizeof(text));
	spin_unlock(&process_lock);
	for (const char *at = text; *at; at++) {
		if (*at != '%')
			seq_put(&seq, at, 1);
		else if (at[1])
			put_part(&seq, task, *++at, signo);
	}
	if (seq_is_full(&seq))
		return -ENAMETOOLONG;
	to[seq.used] = '\0';
	return seq.used > 0 ? 0 : -ENOENT;
}

/* Makes it: a new file, in the place of what had the name, which nobody's open file, other name or link leads to. */
static int open_file(struct task *task, int signo, struct file **out)
{
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	int error;

	if (!page)
		return -ENOMEM;
	error = make_path(task, signo, page_data(page), PATH_MAX);
	if (!error) {
		/* If it cannot be, the name is not free. */
		(void)fs_unlink(task, AT_FDCWD, page_data(page));
		error = fs_open(task, AT_FDCWD, page_data(page),
				O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_LARGEFILE, PRIVATE_MODE, out);
	}
	page_free(page);
	return error;
}

/* ---- Which mappings are in it: /proc/PID/coredump_filter ------------------------------------------------------- */

/* As core(5) has it; bits for headers and huge pages are kept and told. */
#define DUMP_PRIVATE     1u
#define DUMP_SHARED      2u
#define DUMP_FILE        4u
#define DUMP_FILE_SHARED 8u
#define DUMP_KNOWN       0x1ffu

int core_show_filter(struct seq *seq, const struct proc_subject *subject)
{
	seq_print(seq, "%08x\n", (unsigned)subject->process->dump_filter);
	return 0;
}

static unsigned digit_of(char c)
{
	return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				      : 16;
}

/* A number, hexadecimal after 0x. Unknown bits are left out, as on Linux. */
int core_store_filter(const struct proc_subject *subject, char *text, size_t bytes)
{
	unsigned base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
	const char *at = base == 16 ? text + 2 : text;
	uint64_t value = 0;

	(void)bytes;
	if (digit_of(*at) >= base)
		return -EINVAL;
	for (; digit_of(*at) < base && value <= UINT32_MAX; at++)
		value = value * base + digit_of(*at);
	if ((*at != '\0' && *at != '\n') || value > UINT32_MAX)
		return -EINVAL;
	subject->process->dump_filter = (unsigned)value & DUMP_KNOWN;
	return 0;
}

/* ---- What is in it --------------------------------------------------------------------------------------------- */

struct dump {
	struct map *root;
	struct file *file;
	uint64_t limit;
	uint64_t end; /* of what the segments reach to */
	Elf64_Phdr *segments;
	unsigned count;
};

/* Writes a part. -EFBIG: it would be longer than it may; an error of the file's. */
static int put_at(struct dump *dump, uint64_t position, const void *bytes, size_t count)
{
	int64_t written;

	if (position + count > dump->limit)
		return -EFBIG;
	written = file_write_at(dump->file, bytes, count, position);
	return written < 0 ? (int)written : (size_t)written < count ? -ENOSPC : 0;
}

/* Is what is mapped there to be in the file? A private mapping of a file that may be written to has pages of its own, as far as is known. */
static bool is_dumped(const struct lookup *found, unsigned filter)
{
	bool file = label_file(found->how.label) != NULL;

	if (found->fork & DUMP_OMIT || found->how.prot == 0)
		return false;
	if (found->how.inherit == INHERIT_SHARE)
		return filter & (file ? DUMP_FILE_SHARED : DUMP_SHARED);
	return filter & (file && !(found->how.prot & VM_WRITE) ? DUMP_FILE : DUMP_PRIVATE);
}

static uint32_t flags_of(vm_prot_t prot)
{
	return (prot & VM_READ ? PF_R : 0u) | (prot & VM_WRITE ? PF_W : 0u) | (prot & VM_EXEC ? PF_X : 0u);
}

static unsigned count_mappings(struct map *root)
{
	vaddr_t end = map_end(root);
	struct lookup found;
	unsigned count = 0;

	for (vaddr_t at = map_start(root); map_lookup_from(root, at, end, &found) == 0; at = found.end) {
		lookup_release(&found);
		count++;
	}
	return count < MOST_SEGMENTS ? count : MOST_SEGMENTS;
}

/* Fills in the segments' headers, with places in the file from `position` on. */
static void list_segments(struct dump *dump, unsigned filter, unsigned most, uint64_t position)
{
	vaddr_t end = map_end(dump->root);
	struct lookup found;

	for (vaddr_t at = map_start(dump->root);
	     dump->count < most && map_lookup_from(dump->root, at, end, &found) == 0; at = found.end) {
		uint64_t bytes = found.end - found.start;
		bool dumped = is_dumped(&found, filter);

		dump->segments[dump->count++] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = flags_of(found.how.prot),
			.p_offset = position,
			.p_vaddr = found.start,
			.p_filesz = dumped ? bytes : 0,
			.p_memsz = bytes,
			.p_align = PAGE_SIZE,
		};
		position += dumped ? bytes : 0;
		lookup_release(&found);
	}
	dump->end = position;
}

/* Has any of the range contents, in memory or paged out? */
static bool has_contents(struct map *root, vaddr_t start, vaddr_t end)
{
	struct blob_usage usage;
	struct lookup found;
	pgoff_t pages;
	int error;

	if (map_lookup_from(root, start, end, &found) != 0)
		return false;
	pages = bytes_to_pages((found.end < end ? found.end : end) -
			       (found.start > start ? found.start : start));
	error = blob_usage(found.blob, found.offset, pages, &usage);
	lookup_release(&found);
	return !error && usage.resident + usage.paged_out > 0;
}

static bool is_zero(const uint64_t *words)
{
	for (size_t i = 0; i < PAGE_SIZE / sizeof(*words); i++)
		if (words[i] != 0)
			return false;
	return true;
}

/* Writes what is in a segment, by way of a page. What cannot be read is left out. -EINTR: the process is ended meanwhile. */
static int put_segment(struct dump *dump, const Elf64_Phdr *segment, void *page)
{
	vaddr_t end = segment->p_vaddr + segment->p_filesz;

	for (vaddr_t chunk = segment->p_vaddr; chunk < end; chunk += pages_to_bytes(CHUNK_PAGES)) {
		vaddr_t upto =
			end - chunk < pages_to_bytes(CHUNK_PAGES) ? end : chunk + pages_to_bytes(CHUNK_PAGES);

		thread_breathe();
		if (thread_current()->interrupts & INTERRUPT_KILL)
			return -EINTR;
		for (vaddr_t at = has_contents(dump->root, chunk, upto) ? chunk : upto; at < upto;
		     at += PAGE_SIZE) {
			int error;

			if (map_read(dump->root, at, page, PAGE_SIZE) != (int64_t)PAGE_SIZE || is_zero(page))
				continue;
			error = put_at(dump, segment->p_offset + (at - segment->p_vaddr), page, PAGE_SIZE);
			if (error)
				return error;
		}
	}
	return 0;
}

/* ---- Notes: Linux's structures (its <linux/elfcore.h>) ------------------------------------------------------------ */

#define NOTE_NAME     "CORE"
#define NAME_BYTES    8 /* with its 0, and up to a multiple of 4 */
#define GENERAL_WORDS 27

struct status {
	int32_t signo, code, error;
	int16_t current;
	uint64_t pending, held;
	int32_t pid, parent, group, session;
	uint64_t times[8]; /* used by itself and by its children, in ring 3 and in the kernel */
	uint64_t general[GENERAL_WORDS];
	int32_t has_float;
};

struct identification {
	char state, state_name, zombie, nice;
	uint64_t flags;
	uint32_t user, group;
	int32_t pid, parent, process_group, session;
	char program[16], arguments[80];
};

_Static_assert(sizeof(struct status) == 336, "as Linux's elf_prstatus");
_Static_assert(sizeof(struct identification) == 136, "as Linux's elf_prpsinfo");
_Static_assert(PROCESS_NAME_BYTES <= 16, "a program's name fits the note");

struct note_head {
	Elf64_Nhdr header;
	char name[NAME_BYTES];
};

struct notes {
	struct note_head status_head;
	struct status status;
	struct note_head identification_head;
	struct identification identification;
} __attribute__((packed));

static struct note_head note_head(uint32_t type, size_t bytes)
{
	return (struct note_head){
		.header = {.n_namesz = sizeof(NOTE_NAME), .n_descsz = (uint32_t)bytes, .n_type = type},
		.name = NOTE_NAME,
	};
}

static void fill_registers(uint64_t to[GENERAL_WORDS], const struct trapframe *frame)
{
	const uint64_t words[GENERAL_WORDS] = {
		frame->r15,    frame->r14, frame->r13, frame->r12,   frame->rbp, frame->rbx,
		frame->r11,    frame->r10, frame->r9,  frame->r8,    frame->rax, frame->rcx,
		frame->rdx,    frame->rsi, frame->rdi, UINT64_MAX,   frame->rip, frame->cs,
		frame->rflags, frame->rsp, frame->ss,  cpu_fs_base()};

	memcpy(to, words, sizeof(words));
}

static void fill_notes(struct notes *notes, const struct task *task, const struct trapframe *frame, int signo)
{
	const struct process *process = task->process;
	int parent;

	spin_lock(&process_lock);
	parent = process->parent ? process->parent->pid : 0;
	struct status status = {
		.signo = signo,
		.current = (int16_t)signo,
		.held = task->signals.blocked,
		.pid = task->tid,
		.parent = parent,
		.group = process->group->id,
		.session = process->group->session->id,
	};
	struct identification identification = {
		.state_name = 'R',
		.nice = (char)task->nice,
		.user = process->credentials.user.real,
		.group = process->credentials.group.real,
		.pid = process->pid,
		.parent = parent,
		.process_group = process->group->id,
		.session = process->group->session->id,
	};
	memcpy(identification.program, process->name, sizeof(process->name));
	memcpy(identification.arguments, process->name, sizeof(process->name));
	spin_unlock(&process_lock);
	fill_registers(status.general, frame);
	*notes = (struct notes){
		.status_head = note_head(NT_PRSTATUS, sizeof(status)),
		.status = status,
		.identification_head = note_head(NT_PRPSINFO, sizeof(identification)),
		.identification = identification,
	};
}

/* ---- The whole ------------------------------------------------------------------------------------------------ */

/* Writes the headers: the file's, the notes', and those of the segments, which come page aligned. */
static int put_headers(struct dump *dump, const struct notes *notes)
{
	const uint64_t notes_at = sizeof(Elf64_Ehdr) + (dump->count + 1) * sizeof(Elf64_Phdr);
	const Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)(dump->count + 1),
	};
	const Elf64_Phdr note = {.p_type = PT_NOTE,
				 .p_offset = notes_at,
				 .p_filesz = sizeof(*notes),
				 .p_align = sizeof(uint32_t)};
	int error = put_at(dump, 0, &header, sizeof(header));

	if (!error)
		error = put_at(dump, sizeof(header), &note, sizeof(note));
	if (!error)
		error = put_at(dump, sizeof(header) + sizeof(note), dump->segments,
			       dump->count * sizeof(Elf64_Phdr));
	return error ? error : put_at(dump, notes_at, notes, sizeof(*notes));
}

static int put_all(struct dump *dump, struct task *task, const struct trapframe *frame, int signo)
{
	unsigned most = count_mappings(dump->root);
	uint64_t heads = sizeof(Elf64_Ehdr) + (most + 1) * sizeof(Elf64_Phdr) + sizeof(struct notes);
	struct page *page = page_alloc(PAGE_KERNEL, 0);
	struct notes notes;
	int error = -ENOMEM;

	dump->segments = most > 0 ? kernel_alloc(most * sizeof(Elf64_Phdr), "core file") : NULL;
	if (page && dump->segments) {
		list_segments(dump, task->process->dump_filter, most, page_round_up(heads));
		fill_notes(&notes, task, frame, signo);
		error = put_headers(dump, &notes);
	}
	for (unsigned i = 0; !error && i < dump->count; i++)
		error = put_segment(dump, &dump->segments[i], page_data(page));
	/* The last pages may be a hole. */
	if (!error)
		error = file_truncate(dump->file, task, dump->end < dump->limit ? dump->end : dump->limit);
	if (dump->segments)
		kernel_free(dump->segments);
	if (page)
		page_free(page);
	return error;
}

bool core_dump(struct task *task, const struct trapframe *frame, int signo, bool *dumped)
{
	struct process *process = task->process;
	struct dump dump = {.root = process->space->root, .limit = process->limits[RLIMIT_CORE].rlim_cur};
	int error;

	*dumped = false;
	if (!(SIGNAL_BIT(signo) & DEFAULT_DUMPS) || dump.limit < PAGE_SIZE || process->not_dumpable)
		return true;
	/* Nobody changes what is dumped. */
	if (end_other_tasks(task) != 0)
		return false;
	if (open_file(task, signo, &dump.file) != 0)
		return true;
	error = put_all(&dump, task, frame, signo);
	file_unref(dump.file);
	/* What is there is cut off at the limit. */
	*dumped = error == 0 || error == -EFBIG;
	return true;
}
