/*
 * The first process: what the command line and the boot archive say about it, and its start.
 *
 * docs/command-line.md describes what is read here. Everything about processes in general is in process.c.
 */
#include <kern/boot.h>
#include <kern/bootfile.h>
#include <kern/phoenix_abi.h>
#include <kern/proc.h>

#define ARGUMENTS_FOLLOW "--" /* the word of the command line after which all is the program's */

/* Strings from the command line, in the form of a string_pack. Written before the program starts. */
struct word_buffer {
	char bytes[2 * BOOT_MAX_STRING];
	size_t used;
};

static struct word_buffer argument_words, environment_words;

/* The command line is no longer than half the buffer, and the path is a part of it: nothing is ever cut. */
static void put_byte(struct word_buffer *buffer, char byte)
{
	if (buffer->used < sizeof(buffer->bytes))
		buffer->bytes[buffer->used++] = byte;
}

static void put_string(struct word_buffer *buffer, const char *string)
{
	do
		put_byte(buffer, *string);
	while (*string++ != '\0');
}

/*
 * Appends the next word of `line`, without its double quotes; NULL: there is none. Returns where the
 * rest begins.
 */
static const char *take_word(struct word_buffer *buffer, const char *line)
{
	bool quoted = false;

	while (*line == ' ')
		line++;
	if (*line == '\0')
		return NULL;
	for (; *line != '\0' && (quoted || *line != ' '); line++) {
		if (*line == '"')
			quoted = !quoted;
		else
			put_byte(buffer, *line);
	}
	put_byte(buffer, '\0');
	return line;
}

/* argv: the path, and the words after "--". */
static void pack_arguments(const char *path)
{
	const char *rest = bootinfo.command_line;
	bool found = false;

	while (!found && rest) {
		argument_words.used = 0;
		rest = take_word(&argument_words, rest);
		found = rest && strcmp(argument_words.bytes, ARGUMENTS_FOLLOW) == 0;
	}
	argument_words.used = 0;
	put_string(&argument_words, path);
	while (rest)
		rest = take_word(&argument_words, rest);
}

/* The contents of a boot file, if there is one that is not empty; else the words in the buffer. */
static struct string_pack file_or_words(const char *path, const struct word_buffer *buffer)
{
	struct bootfile file;

	if (bootfile_find(path, &file) == 0 && file.bytes > 0)
		return (struct string_pack){.bytes = bootfile_data(&file), .size = file.bytes};
	return (struct string_pack){.bytes = buffer->bytes, .size = buffer->used};
}

void process_start_first(void)
{
	const char *path = cmdline_get("init");
	struct string_pack arguments, environment;
	struct reason reason;
	const char *value;

	elf_init();
	exec_init();
	bootfile_init();
	program_io_init();
	monitor_init();
	if (!path || path[0] == '\0') {
		env_log("phoenix: no program: give init=PATH on the command line");
		power_off(STATUS_NOT_EXECUTABLE);
	}
	pack_arguments(path);
	for (unsigned n = 0; (value = cmdline_nth("env", n)) != NULL; n++)
		put_string(&environment_words, value);
	arguments = file_or_words(PHOENIX_ARGS_FILE, &argument_words);
	environment = file_or_words(PHOENIX_ENV_FILE, &environment_words);
	if (process_run_first(path, &arguments, &environment, &reason) == 0)
		return;
	env_log("phoenix: cannot run %s: %s", path, reason.text);
	power_off(STATUS_NOT_EXECUTABLE);
}
