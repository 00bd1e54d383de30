/*
 * The console: the kernel's text, formatted and sent to a serial port. Also env_log() and env_format(),
 * which the VM core asks for (include/vm/env.h).
 *
 * Formatting is stb_sprintf's; the port is kern/dev/serial.c's. A panic takes the console by
 * force (console.h).
 */
#include <stdarg.h>
#include <kern/console.h>
#include <kern/kern.h>
#include <kern/test.h>

#define STB_SPRINTF_STATIC
#define STB_SPRINTF_IMPLEMENTATION
#include <stb/stb_sprintf.h>

#define OUT_BYTES 128

/* Held for the length of one message, so that messages do not mix. */
static struct spinlock console_lock = ENV_SPINLOCK_INIT(RANK_CONSOLE, "console");
static unsigned port = 1;   /* (-) set once, by console_choose */
static bool taken_by_panic; /* set once, and then the lock counts no more */

static void lock_console(void)
{
	if (!taken_by_panic)
		spin_lock(&console_lock);
}

static void unlock_console(void)
{
	if (!taken_by_panic)
		spin_unlock(&console_lock);
}

/* Sends text; a line's end is CR LF on a terminal. The console is locked. */
static void put_text(const char *text, size_t length)
{
	char out[OUT_BYTES];
	size_t used = 0;

	while (length--) {
		if (used > OUT_BYTES - 2) {
			serial_write(port, out, used);
			used = 0;
		}
		if (*text == '\n')
			out[used++] = '\r';
		out[used++] = *text++;
	}
	serial_write(port, out, used);
}

/* stb_sprintf's way of giving away a full buffer: it goes on in the one returned. */
static char *put_chunk(const char *text, void *user, int length)
{
	put_text(text, (size_t)length);
	return user;
}

static void print_list(const char *format, va_list arguments)
{
	char buffer[STB_SPRINTF_MIN];

	stbsp_vsprintfcb(put_chunk, buffer, buffer, format, arguments);
}

void kprintf(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	lock_console();
	print_list(format, arguments);
	unlock_console();
	va_end(arguments);
}

void env_log(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	lock_console();
	print_list(format, arguments);
	put_text("\n", 1);
	unlock_console();
	va_end(arguments);
}

int kformat_list(char *buffer, size_t bytes, const char *format, va_list arguments)
{
	return stbsp_vsnprintf(buffer, (int)bytes, format, arguments);
}

int env_format(char *buffer, size_t bytes, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = stbsp_vsnprintf(buffer, (int)bytes, format, arguments);
	va_end(arguments);
	return length;
}

void test_line(const char *line)
{
	kprintf("%s\n", line);
}

void console_print_list(const char *format, va_list arguments)
{
	lock_console();
	print_list(format, arguments);
	unlock_console();
}

void console_take(void)
{
	taken_by_panic = true;
}

unsigned console_port(void)
{
	return port;
}

void console_choose(const char *name)
{
	if (!name)
		return;
	if (memcmp(name, "com", 3) == 0 && name[3] >= '1' && name[3] <= '4' && !name[4])
		port = (unsigned)(name[3] - '0');
	else
		env_log("phoenix: console=%s is no port (com1 to com4)", name);
}
