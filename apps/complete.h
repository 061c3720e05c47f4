/* Completion of command lines for shells: `tapglass --complete WORD...`. */
#ifndef TAPGLASS_APPS_COMPLETE_H
#define TAPGLASS_APPS_COMPLETE_H

#include "options.h"

/* A verb, as main.c has them. */
struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const struct verb_spec *spec; /* NULL: takes no options */
	const char *about;
};

/* Prints what the last of the words behind "tapglass" could become, one a line: verbs, options, or
 * what an option takes. Nothing if that is the name of a file or something of the user's own. The
 * first of the verbs is the one without a name. */
void complete_print(const struct verb *verbs, size_t n_verbs, int n, char **words);

#endif
