/* What the library does when one of its own invariants is broken: says where, and ends the process.
 * A program that wants something else defines tg_assert_fail itself. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void tg_assert_fail(const char *expr, const char *file, int line)
{
	fprintf(stderr, "tapglass: internal error: %s:%d: %s\n", file, line, expr);
	abort();
}
