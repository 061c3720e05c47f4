/* Reading the head of an HTTP/1.x response (RFC 9112 2, 4, 5, 6.3), as a client. Pure: the state is
 * the caller's. Left out: HTTP/0.9. */
#ifndef TAPGLASS_APPS_CURL_HEAD_H
#define TAPGLASS_APPS_CURL_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURL_HEAD_MAX_BYTES 65536u
#define CURL_FIELDS_MAX     200u

/* How the end of the body is found [9112 6.3]. */
enum curl_framing { CURL_NONE, CURL_LENGTH, CURL_CHUNKED, CURL_UNTIL_CLOSE };

/* Zero at the start of each response. */
struct curl_head {
	size_t bytes; /* of the head so far, as received */
	char text[CURL_HEAD_MAX_BYTES];
	size_t line_at; /* private: start of the line being read */
	uint32_t n_fields;
	bool has_status, has_length, has_encoding, chunked;

	unsigned status;
	uint64_t length;            /* Content-Length */
	size_t type_at, type_bytes; /* Content-Type within text; 0 bytes: none */
	size_t to_at, to_bytes;     /* Location likewise */
};

#define CURL_HEAD_MORE 0
#define CURL_HEAD_DONE 1
#define CURL_HEAD_BAD  (-1) /* not HTTP, or two readers could understand it differently */
#define CURL_HEAD_LONG (-2) /* beyond the limits */

/* Takes bytes off p, at most n, up to the end of the head; *taken: how many. */
int curl_head_take(struct curl_head *h, const char *p, size_t n, size_t *taken);
/* Of a head that is DONE, in answer to HEAD or to another method. */
enum curl_framing curl_head_framing(const struct curl_head *h, bool to_head);

#endif
