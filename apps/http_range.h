/* The Range field (RFC 9110 14.1, 14.2). Pure. */
#ifndef TAPGLASS_HTTP_RANGE_H
#define TAPGLASS_HTTP_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_RANGES_MAX 16u

struct http_range {
	uint64_t first, last; /* of bytes from 0, both included */
};

#define HTTP_RANGE_IGNORE (-1)

/* Reads the value of a Range field for a representation of length_bytes. Returns the number of
 * satisfiable ranges, in the order asked for; 0: none of them is (416); HTTP_RANGE_IGNORE: another
 * unit, malformed, more than HTTP_RANGES_MAX, more than two that overlap: all of it is sent. */
int http_range_parse(
	const char *v, size_t n, uint64_t length_bytes, struct http_range out[HTTP_RANGES_MAX]);

#endif
