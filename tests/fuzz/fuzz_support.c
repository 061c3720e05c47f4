/* Shared by the fuzz targets: the assertion hook and guarded copies. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

_Noreturn void tg_assert_fail(const char *expr, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, expr);
	abort();
}

uint8_t *fuzz_copy(const uint8_t *data, size_t n)
{
	uint8_t *b = malloc(n ? n : 1);

	if (!b) {
		fprintf(stderr, "out of memory\n");
		abort();
	}
	if (n)
		memcpy(b, data, n);
	return b;
}
