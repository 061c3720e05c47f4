/* Taking the chunked transfer coding off a request's body (RFC 9112 7.1), piece by piece. Pure: the
 * state is the caller's, no bytes are kept. Extensions are checked and ignored, trailers are
 * checked and ignored as [9110 6.5.1] allows; both within limits. Lines end with CR LF and nothing
 * else: where two readers could disagree about the end of a body there is no room for kindness. */
#ifndef TAPGLASS_HTTP_CHUNK_H
#define TAPGLASS_HTTP_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CHUNK_EXT_MAX_BYTES     16384u /* extensions of all chunks together */
#define HTTP_CHUNK_TRAILER_MAX_BYTES 8192u
#define HTTP_CHUNK_TRAILERS_MAX      32u

/* Zero at the start of a body. */
struct http_chunk {
	uint8_t state; /* private */
	uint8_t digits;
	uint8_t trailers;
	bool done;      /* the body has ended, trailers and all */
	int16_t status; /* not 0: refuse it with this, 400 or 431 */
	uint16_t ext_bytes, trailer_bytes;
	uint64_t left_bytes; /* of the chunk */
};

/* Reads at p, at most n bytes, up to the end of the first run of content in it. Returns how many
 * bytes were read; *data, *data_bytes: the content among them, perhaps none. Stops when done or
 * refused. */
size_t http_chunk_take(
	struct http_chunk *d, const char *p, size_t n, const char **data, size_t *data_bytes);

#endif
