/* Reading HTTP/1.x requests (RFC 9112): the head, and the path of its target. Pure functions over
 * bytes: no I/O, no allocation, no state but the caller's. Bodies are read by http_body.c and
 * http_chunk.c. Left out: HTTP/0.9. */
#ifndef TAPGLASS_HTTP_PARSE_H
#define TAPGLASS_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_LINE_MAX_BYTES   8192u  /* request line */
#define HTTP_FIELDS_MAX_BYTES 32768u /* all header fields together */
#define HTTP_FIELDS_MAX       100u
#define HTTP_BLANK_LINES_MAX  4u /* before the request line [9112 2.2] */
/* Any head that is longer has been refused. */
#define HTTP_HEAD_MAX_BYTES (HTTP_LINE_MAX_BYTES + HTTP_FIELDS_MAX_BYTES + 64u)

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_NOT_ALLOWED, /* a method that exists, but not here: 405 */
	HTTP_UNKNOWN,     /* 501 */
};

/* Fields that are looked up in the head when they are needed. */
#define HTTP_FIELD_LIST(X)                                                                         \
	X(HOST, "host")                                                                            \
	X(IF_MATCH, "if-match")                                                                    \
	X(IF_NONE_MATCH, "if-none-match")                                                          \
	X(IF_MODIFIED_SINCE, "if-modified-since")                                                  \
	X(IF_UNMODIFIED_SINCE, "if-unmodified-since")                                              \
	X(IF_RANGE, "if-range")                                                                    \
	X(RANGE, "range")                                                                          \
	X(CONTENT_RANGE, "content-range")                                                          \
	X(UPGRADE, "upgrade")                                                                      \
	X(ORIGIN, "origin")                                                                        \
	X(WS_KEY, "sec-websocket-key")                                                             \
	X(WS_VERSION, "sec-websocket-version")

enum http_field {
#define X(NAME, text) HTTP_F_##NAME,
	HTTP_FIELD_LIST(X)
#undef X
		HTTP_F_COUNT
};

#define HTTP_MORE 0 /* the head is not complete */
#define HTTP_DONE 1

/* A request being read. Set to zero before the first byte of each. */
struct http_request {
	uint32_t line_bytes; /* start of the line being read; after HTTP_DONE: bytes of the head */
	uint32_t seen_bytes; /* up to here no end of that line was found */
	uint32_t fields_start_bytes;
	uint16_t n_fields;
	uint8_t blank_lines;
	bool has_line;

	uint8_t method; /* enum http_method */
	uint8_t minor;  /* HTTP/1.minor, 1 also for what is higher */
	uint32_t method_start_bytes, method_bytes;
	uint32_t target_start_bytes, target_bytes;
	uint64_t content_length;
	bool has_length, has_encoding, chunked, has_host;
	bool says_close, says_keep_alive, says_upgrade;
	bool expects_continue, expects_other;
	uint32_t present, repeated; /* bit 1 << enum http_field */
};

static inline bool http_has(const struct http_request *r, enum http_field field)
{
	return (r->present & 1u << field) != 0;
}

/* Reads on. head: all bytes of the head received so far, n of them; what was passed before must be
 * at its front again, wherever that is. HTTP_MORE, HTTP_DONE (r->line_bytes were the head; what
 * follows is not looked at), or the status to refuse it with: 400, 414, 431, 501 or 505; the
 * connection has to be closed then. */
int http_parse(struct http_request *r, const char *head, size_t n);

/* Whether the connection stays open after the response [9112 9.3]. */
bool http_request_persists(const struct http_request *r);

/* Walks the fields of that name in the head of a request that is HTTP_DONE, *at from 0 on: value
 * without blanks around it. False: no more of them. */
bool http_field_next(const struct http_request *r, const char *head, enum http_field field,
	size_t *at, const char **value, size_t *n);
/* The field, if it is there exactly once. */
bool http_field_only(const struct http_request *r, const char *head, enum http_field field,
	const char **value, size_t *n);

bool http_is_token(unsigned char ch); /* [9110 5.6.2] tchar */
int http_hex_value(char ch);          /* 0 to 15, -1: no digit */

/* Takes the path out of a request's target: absolute or origin form, query cut off,
 * percent-encoding undone; written to out with a NUL. Its length, or -400: not a target, a NUL,
 * control character or slash hidden by encoding, a ".." segment, or it does not fit into cap bytes.
 */
int http_path_decode(const char *target, size_t n, char *out, size_t cap);

#endif
