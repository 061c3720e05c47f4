/* Errors as people read them: what failed, why, how to mend it, what happens meanwhile. */
#define _GNU_SOURCE
#include "port/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_text(char *out, size_t cap, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(out, cap, format, ap);
	va_end(ap);
}

const char *error_name(int errnum)
{
#if defined(__GLIBC__)
	const char *name = strerrorname_np(errnum);

	if (name)
		return name;
#endif
	return strerror(errnum);
}

void error_begin(struct tg_host_error *e, int errnum)
{
	memset(e, 0, sizeof(*e));
	e->errnum = errnum;
	if (errnum)
		error_text(e->why, sizeof(e->why), "%s", strerror(errnum));
}

void tg_host_print_error(const struct tg_host_error *e)
{
	fprintf(stderr, "tapglass: %s", e->what);
	if (e->errnum)
		fprintf(stderr, " (%s)", error_name(e->errnum));
	fputc('\n', stderr);
	if (e->why[0])
		fprintf(stderr, "  why: %s\n", e->why);
	if (e->fix[0])
		fprintf(stderr, "  fix: %s\n", e->fix);
	if (e->meanwhile[0])
		fprintf(stderr, "  meanwhile: %s\n", e->meanwhile);
}
