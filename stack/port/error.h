/* Filling in struct tg_host_error. */
#ifndef TG_PORT_ERROR_H
#define TG_PORT_ERROR_H

#include "tapglass_host.h"

/* printf into a field, cut off at its end. */
__attribute__((format(printf, 3, 4))) void error_text(
	char *out, size_t cap, const char *format, ...);
#define ERROR_TEXT(field, ...) error_text((field), sizeof(field), __VA_ARGS__)
/* "ENOENT" */
const char *error_name(int errnum);
/* Clears e; why is the system's text for errnum (0: empty). */
void error_begin(struct tg_host_error *e, int errnum);

#endif
