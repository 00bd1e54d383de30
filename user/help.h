/*
 * What our tools for users have in common: how they are asked for help. Their statuses are 0, 1 (what was asked for cannot be had) and 2 (a mistake in
 * the arguments), unless their help says otherwise.
 */
#ifndef USER_HELP_H
#define USER_HELP_H

#include <stdbool.h>
#include <string.h>

static inline bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

/* No argument of theirs begins with a minus. */
static inline bool has_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return true;
	return false;
}

#endif
