/*
 * The kernel's command line: words "name=value", found by name. What the names mean is in
 * docs/command-line.md.
 */
#include <kern/boot.h>
#include <kern/kern.h>

#define KIBI_SHIFT 10
#define MEBI_SHIFT 20
#define GIBI_SHIFT 30

/*
 * The words, one after another: name, NUL, value, NUL. Set once, by cmdline_init. A word of one letter
 * and the space after it become three bytes.
 */
static char words[BOOT_MAX_STRING * 2];
static size_t used;

/* Copies one word from `line`, quotes removed; returns where it ended. */
static const char *add_word(const char *line)
{
	bool quoted = false, in_value = false;

	for (; *line && (quoted || *line != ' ') && used < sizeof words - 2; line++) {
		if (*line == '"') {
			quoted = !quoted;
		} else if (*line == '=' && !in_value) {
			in_value = true;
			words[used++] = '\0';
		} else {
			words[used++] = *line;
		}
	}
	words[used++] = '\0';
	if (!in_value)
		words[used++] = '\0';
	return line;
}

/* The word "--": what follows are a program's arguments (kern/proc/first.c). */
static bool ends_options(const char *line)
{
	return line[0] == '-' && line[1] == '-' && (line[2] == '\0' || line[2] == ' ');
}

void cmdline_init(const char *line)
{
	used = 0;
	for (;;) {
		while (*line == ' ')
			line++;
		if (!*line || ends_options(line))
			return;
		if (used >= sizeof words - 2) {
			env_log("phoenix: the command line is too long; the rest is ignored: %s", line);
			return;
		}
		line = add_word(line);
	}
}

const char *cmdline_nth(const char *name, unsigned n)
{
	for (size_t at = 0; at < used;) {
		const char *word = words + at;
		const char *value = word + strlen(word) + 1;

		if (strcmp(word, name) == 0 && n-- == 0)
			return value;
		at = (size_t)(value - words) + strlen(value) + 1;
	}
	return NULL;
}

const char *cmdline_get(const char *name)
{
	const char *last = NULL, *value;

	for (unsigned n = 0; (value = cmdline_nth(name, n)) != NULL; n++)
		last = value;
	return last;
}

static unsigned unit_shift(char unit)
{
	switch (unit) {
	case 'K':
	case 'k':
		return KIBI_SHIFT;
	case 'M':
	case 'm':
		return MEBI_SHIFT;
	case 'G':
	case 'g':
		return GIBI_SHIFT;
	default:
		return 0;
	}
}

/* False if it is not a number, or one that does not fit. */
static bool parse_number(const char *text, uint64_t *out)
{
	uint64_t number = 0;
	unsigned shift;

	if (!*text)
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return false;
	}
	shift = unit_shift(*text);
	*out = number << shift;
	return !text[shift != 0] && *out >> shift == number;
}

uint64_t cmdline_number(const char *name, uint64_t otherwise)
{
	const char *text = cmdline_get(name);
	uint64_t number;

	if (!text)
		return otherwise;
	if (parse_number(text, &number))
		return number;
	env_log("phoenix: %s=%s is not a number; it is taken as %llu", name, text,
		(unsigned long long)otherwise);
	return otherwise;
}
