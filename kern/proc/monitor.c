/*
 * The monitor: commands on the console that look at a process, before its first instruction, when it is killed, or when it
 * ends, while all of its memory is still there.
 *
 * The command line says when (`monitor=start`, `crash`, `exit`: docs/command-line.md); process.c calls. The commands read
 * and change nothing. What they print is made by stats.c and by vm_explain(); docs/debugging.md shows a session.
 */
#include <kern/proc.h>
#include <kern/serial.h>
#include <vm/layout.h>
#include <vm/pmap.h>

#define MONITOR_LINE_BYTES 80
#define MAX_WORDS          4
#define POLL_NS            500000ul /* between looks at a serial port that had nothing */
#define QUICK_LOOKS        2000     /* before that: who types into a pipe has the next byte soon */
#define MAX_STATUS         255
#define MAX_FRAME          ((LAYOUT_PHYSICAL_BYTES >> PAGE_SHIFT) - 1)
#define DECIMAL            10
#define HEXADECIMAL        16
#define PROMPT             "phoenix> "

/* Bytes from a terminal (ASCII). */
#define KEY_END_OF_INPUT 0x04
#define KEY_BELL         0x07
#define KEY_BACKSPACE    0x08
#define KEY_KILL_LINE    0x15
#define KEY_DELETE       0x7f

static const char *const event_words[MONITOR_EVENTS] = {
	[MONITOR_START] = "start",
	[MONITOR_CRASH] = "crash",
	[MONITOR_EXIT] = "exit",
};

/* Set before the first process starts, and cleared where the input ends; used by the one process that there is. */
static bool wanted[MONITOR_EVENTS];

/* One stop, and the command in hand. */
struct dialogue {
	struct process *process;
	int status;                    /* what the process ends with */
	bool over;                     /* the process goes on */
	char line[MONITOR_LINE_BYTES]; /* the words' bytes */
	const char *words[MAX_WORDS];  /* the command and its arguments; NULL after the last */
	unsigned count;
};

/* ---- Input -------------------------------------------------------------------------------------- */

static int wait_for_key(void)
{
	int key;

	for (unsigned looks = 0; (key = serial_read_byte(console_port())) < 0; looks++)
		if (looks >= QUICK_LOOKS)
			time_sleep_until(time_nanoseconds() + POLL_NS);
	return key;
}

static void erase(size_t characters)
{
	while (characters--)
		kprintf("\b \b");
}

/*
 * Reads a line, with echo: backspace and delete take back a character, ^U the line; other control characters are
 * ignored, and what does not fit rings the bell. False: ^D at the beginning of a line, the end of the input.
 */
static bool read_line(char line[MONITOR_LINE_BYTES])
{
	size_t used = 0;

	for (;;) {
		int key = wait_for_key();

		switch (key) {
		case '\r':
		case '\n':
			kprintf("\n");
			line[used] = '\0';
			return true;
		case KEY_END_OF_INPUT:
			if (used == 0)
				return false;
			break;
		case KEY_BACKSPACE:
		case KEY_DELETE:
			if (used > 0) {
				erase(1);
				used--;
			}
			break;
		case KEY_KILL_LINE:
			erase(used);
			used = 0;
			break;
		default:
			if (key < ' ' || key > '~')
				break;
			if (used == MONITOR_LINE_BYTES - 1) {
				kprintf("%c", KEY_BELL);
				break;
			}
			line[used++] = (char)key;
			kprintf("%c", key);
		}
	}
}

/* Splits the line at its spaces; words that are too many are counted, but not kept. */
static void split_line(struct dialogue *dialogue)
{
	char *at = dialogue->line;

	memset(dialogue->words, 0, sizeof(dialogue->words));
	dialogue->count = 0;
	for (;;) {
		while (*at == ' ')
			*at++ = '\0';
		if (*at == '\0')
			return;
		if (dialogue->count < MAX_WORDS)
			dialogue->words[dialogue->count] = at;
		dialogue->count++;
		while (*at != ' ' && *at != '\0')
			at++;
	}
}

/* A digit's value; -1: it is none. */
static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 'a' - 'A';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + DECIMAL : -1;
}

/* A number of base 10, or of base 16 with or without "0x". False if it is none, or above `most`. */
static bool parse_number(const char *text, unsigned base, uint64_t most, uint64_t *out)
{
	uint64_t number = 0;

	if (base == HEXADECIMAL && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	do {
		int digit = digit_value(*text);

		if (digit < 0 || digit >= (int)base || __builtin_mul_overflow(number, base, &number) ||
		    __builtin_add_overflow(number, (uint64_t)digit, &number) || number > most)
			return false;
	} while (*++text != '\0');
	*out = number;
	return true;
}

/* An address of this machine's, or a frame number; else says what is wrong. */
static bool parse_hexadecimal(const char *text, uint64_t most, uint64_t *out)
{
	if (parse_number(text, HEXADECIMAL, most, out))
		return true;
	kprintf("\"%s\" is not a hexadecimal number of at most %llx\n", text, (unsigned long long)most);
	return false;
}

/* ---- The commands ---------------------------------------------------------------------------------- */

/* What a command does; the number of its arguments has been checked. */
typedef void command_function(struct dialogue *dialogue);

static void command_map(struct dialogue *dialogue)
{
	stats_print_map(dialogue->process);
}

static void command_stats(struct dialogue *dialogue)
{
	stats_print_totals(dialogue->process);
}

static void command_check(struct dialogue *dialogue)
{
	map_verify(dialogue->process->space->root);
	kprintf("the map, its blobs and its translations are as they have to be\n");
}

/* Without arguments: the access that ended the process. */
static void command_explain(struct dialogue *dialogue)
{
	static const char letters[] = "rwx"; /* in the order of VM_READ, VM_WRITE, VM_EXEC */
	const char *address = dialogue->words[1], *access = dialogue->words[2];
	struct refused_access what = dialogue->process->refused;
	unsigned right = 0;

	if (!address && !what.access) {
		kprintf("no access was refused: explain ADDRESS [r|w|x]\n");
		return;
	}
	if (address) {
		if (!parse_hexadecimal(address, UINT64_MAX, &what.address))
			return;
		while (access && letters[right] != '\0' && (access[0] != letters[right] || access[1] != '\0'))
			right++;
		if (letters[right] == '\0') {
			kprintf("\"%s\" is not an access: r, w or x\n", access);
			return;
		}
		what.access = (vm_prot_t)(VM_READ << right);
	}
	stats_print_access(dialogue->process, "", what.address, what.access);
}

/* The frame that an address is about: of the physical map, of a descriptor, or translated. False, and says so: none. */
static bool frame_of(struct process *process, vaddr_t address, uint64_t *frame)
{
	struct pmap_query found;

	if (address >= LAYOUT_PHYSICAL_START && address < LAYOUT_PHYSICAL_END) {
		*frame = (address - LAYOUT_PHYSICAL_START) >> PAGE_SHIFT;
		return true;
	}
	if (address >= LAYOUT_PAGES_START && address < LAYOUT_PAGES_END) {
		*frame = (address - LAYOUT_PAGES_START) / sizeof(struct page);
		return true;
	}
	found = pmap_query(map_pmap(process->space->root), page_round_down(address));
	if (found.page)
		*frame = page_paddr(found.page) >> PAGE_SHIFT;
	else
		kprintf("no translation: explain %llx\n", (unsigned long long)address);
	return found.page != NULL;
}

static void print_page(uint64_t frame)
{
	struct page page;

	if (frame > MAX_FRAME || !kernel_read_safely(&page, (vaddr_t)&page_array[frame], sizeof(page)) ||
	    page.state >= PAGE_STATES) {
		kprintf("frame %llx has no descriptor: it is not RAM\n", (unsigned long long)frame);
		return;
	}
	kprintf("frame %llx: %s", (unsigned long long)frame, page_state_name(page.state));
	if (page.state == PAGE_FREE)
		kprintf(", the first of %llu", 1ull << page.order);
	if (page.state >= PAGE_KERNEL)
		kprintf(", %u reference%s", page.refs, page.refs == 1 ? "" : "s");
	if (page.state == PAGE_BLOB) {
		kprintf(", index %llu of its family, ", (unsigned long long)page.index);
		if (page_location(&page))
			kprintf("clean: at location %u of the store", page_location(&page));
		else
			kprintf("dirty");
	}
	if (page.wired)
		kprintf(", wired %u time%s", page.wired, page.wired == 1 ? "" : "s");
	kprintf("\n");
}

static void command_page(struct dialogue *dialogue)
{
	uint64_t address, frame;

	if (parse_hexadecimal(dialogue->words[1], LAYOUT_PHYSICAL_END - 1, &address) &&
	    frame_of(dialogue->process, address, &frame))
		print_page(frame);
}

static void command_frame(struct dialogue *dialogue)
{
	uint64_t frame;

	if (parse_hexadecimal(dialogue->words[1], MAX_FRAME, &frame))
		print_page(frame);
}

static void command_continue(struct dialogue *dialogue)
{
	dialogue->over = true;
}

static void command_quit(struct dialogue *dialogue)
{
	uint64_t status = (uint64_t)dialogue->status;

	if (dialogue->words[1] && !parse_number(dialogue->words[1], DECIMAL, MAX_STATUS, &status)) {
		kprintf("\"%s\" is not a status from 0 to %d\n", dialogue->words[1], MAX_STATUS);
		return;
	}
	power_off((int)status);
}

static command_function command_help;

static const struct command {
	const char *name;
	const char *arguments;
	unsigned least, most; /* arguments */
	command_function *run;
	const char *help;
} commands[] = {
	{"help", "", 0, 0, command_help, "this text"},
	{"map", "", 0, 0, command_map, "the process's map tree, and what happened in each entry"},
	{"explain", "[ADDRESS [r|w|x]]", 0, 2, command_explain,
	 "what an access meets and would do; r unless told; alone: the one that was refused"},
	{"page", "ADDRESS", 1, 1, command_page, "the page that is now at an address"},
	{"frame", "NUMBER", 1, 1, command_frame, "the page in a frame of physical memory"},
	{"stats", "", 0, 0, command_stats, "faults by case, pages by state, page tables"},
	{"check", "", 0, 0, command_check, "whether map, blobs and translations agree; panics if not"},
	{"continue", "", 0, 0, command_continue,
	 "lets the process go on; so does ^D, and does not stop it again"},
	{"quit", "[STATUS]", 0, 1, command_quit, "switches off; with the process's status unless told"},
};

static void command_help(struct dialogue *dialogue)
{
	(void)dialogue;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		kprintf("  %-8s %-17s  %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	kprintf("Addresses and frames are hexadecimal.\n");
}

/* Does the command whose words are in the dialogue. */
static void run_command(struct dialogue *dialogue)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (strcmp(dialogue->words[0], command->name) != 0)
			continue;
		if (dialogue->count - 1 < command->least || dialogue->count - 1 > command->most)
			kprintf("usage: %s%s%s\n", command->name, command->most > 0 ? " " : "",
				command->arguments);
		else
			command->run(dialogue);
		return;
	}
	kprintf("\"%s\" is not a command; help lists them\n", dialogue->words[0]);
}

/* ---- When --------------------------------------------------------------------------------------------- */

static void want(const char *word)
{
	for (int event = 0; event < MONITOR_EVENTS; event++) {
		if (strcmp(word, event_words[event]) == 0) {
			wanted[event] = true;
			return;
		}
	}
	env_log("phoenix: monitor=%s is not start, crash or exit; it is ignored", word);
}

void monitor_init(void)
{
	const char *word;

	for (unsigned n = 0; (word = cmdline_nth("monitor", n)) != NULL; n++)
		want(word[0] == '\0' ? event_words[MONITOR_CRASH] : word);
}

void monitor_stop(struct process *process, enum monitor_event event, int status)
{
	static const char *const happened[MONITOR_EVENTS] = {
		[MONITOR_START] = "is about to start",
		[MONITOR_CRASH] = "was killed",
		[MONITOR_EXIT] = "has ended",
	};
	struct dialogue dialogue = {.process = process, .status = status};

	if (!wanted[event])
		return;
	kprintf("monitor: %s[%d] %s; help lists the commands\n", process->name, process->pid,
		happened[event]);
	serial_claim(console_port(), true);
	while (!dialogue.over) {
		kprintf(PROMPT);
		if (!read_line(dialogue.line)) {
			kprintf("\nmonitor: the input has ended\n");
			memset(wanted, 0, sizeof(wanted));
			break;
		}
		split_line(&dialogue);
		if (dialogue.count > 0)
			run_command(&dialogue);
	}
	serial_claim(console_port(), false);
}
