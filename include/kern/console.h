/*
 * What panic.c needs of the console beyond kprintf(). Everyone else prints with <kern/kern.h>.
 */
#ifndef KERN_CONSOLE_H
#define KERN_CONSOLE_H

#include <stdarg.h>

/* As kprintf, with the arguments in a list. */
void console_print_list(const char *format, va_list arguments);

/* From now on the console is printed to without its lock, whoever holds it: there will be no other user. */
void console_take(void);

#endif
