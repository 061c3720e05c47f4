/* Replies of the HTTP server (RFC 9110 6.4, 8, 10.2): status lines and fields, bodies from memory,
 * from a pattern, from a file, of one or several parts. A small reply is one reserve and one
 * commit; a file is read in bounded pieces straight into the send buffer. Left out: compression,
 * and trailers. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATTERN_PERIOD      251u /* byte i of /bytes/N is i mod 251 */
#define PATTERN_TABLE_BYTES (PATTERN_PERIOD * 512u)
#define TURN_BYTES          (1u << 20) /* of a file at one go */
#define WANT_MAX            (1u << 30) /* asked of tg_sock_reserve at once */

static const struct {
	int status;
	const char *reason, *text;
} statuses[] = {
	{101, "Switching Protocols", ""},
	{200, "OK", ""},
	{201, "Created", "201 Created\n"},
	{204, "No Content", ""},
	{206, "Partial Content", ""},
	{301, "Moved Permanently", "301 Moved Permanently\n"},
	{304, "Not Modified", ""},
	{400, "Bad Request", "400 Bad Request: this is not HTTP as RFC 9112 has it\n"},
	{403, "Forbidden", "403 Forbidden\n"},
	{404, "Not Found", "404 Not Found: try / for what there is\n"},
	{405, "Method Not Allowed", "405 Method Not Allowed: see the Allow field for what is\n"},
	{408, "Request Timeout", "408 Request Timeout: the request took too long to arrive\n"},
	{409, "Conflict", "409 Conflict: no such directory to put it in, or it is no plain file\n"},
	{411, "Length Required", "411 Length Required: or use the chunked coding\n"},
	{412, "Precondition Failed", "412 Precondition Failed\n"},
	{413, "Content Too Large", "413 Content Too Large\n"},
	{414, "URI Too Long", "414 URI Too Long: the request line is limited to 8192 bytes\n"},
	{416, "Range Not Satisfiable", "416 Range Not Satisfiable\n"},
	{417, "Expectation Failed", "417 Expectation Failed\n"},
	{426, "Upgrade Required", "426 Upgrade Required: this is a WebSocket, version 13\n"},
	{431, "Request Header Fields Too Large",
		"431 Request Header Fields Too Large: the limit is 100 fields, 32768 bytes\n"},
	{500, "Internal Server Error", "500 Internal Server Error\n"},
	{501, "Not Implemented", "501 Not Implemented\n"},
	{503, "Service Unavailable", "503 Service Unavailable: out of memory or descriptors\n"},
	{505, "HTTP Version Not Supported", "505 HTTP Version Not Supported: HTTP/1.x here\n"},
	{507, "Insufficient Storage", "507 Insufficient Storage\n"},
};

static size_t status_index(int status)
{
	size_t n = sizeof statuses / sizeof statuses[0];

	for (size_t i = 0; i < n; i++) {
		if (statuses[i].status == status) {
			return i;
		}
	}
	return status_index(500);
}

void http_reply_bare(struct http_reply *r, int status)
{
	memset(r, 0, offsetof(struct http_reply, etag) + 1); /* more of the tag nobody looks at */
	r->status = status;
	r->fd = -1;
	r->modified = HTTP_NO_DATE;
}

void http_reply_memory(struct http_reply *r, const char *type, const char *text, size_t n)
{
	http_reply_bare(r, 200);
	r->type = type;
	r->body = HTTP_BODY_MEMORY;
	r->memory = text;
	r->length_bytes = n;
}

void http_reply_status(struct http_reply *r, int status)
{
	const char *text = statuses[status_index(status)].text;

	http_reply_memory(r, "text/plain; charset=utf-8", text, strlen(text));
	r->status = status;
}

void http_reply_free(struct http_reply *r)
{
	free(r->owned);
	free(r->location);
	free(r->parts);
	if (r->fd >= 0) {
		close(r->fd);
	}
	http_reply_bare(r, 0);
}

size_t http_pattern_bytes(void)
{
	return PATTERN_TABLE_BYTES + PATTERN_PERIOD;
}

void http_pattern_fill(uint8_t *p)
{
	for (size_t i = 0; i < http_pattern_bytes(); i++) {
		p[i] = (uint8_t)(i % PATTERN_PERIOD);
	}
}

/* ---- Heads ----------------------------------------------------------------------------------- */

struct text {
	char *at, *end;
};

static inline void put(struct text *t, const char *word, size_t n)
{
	size_t room = (size_t)(t->end - t->at);

	if (n <= room) { /* of a length that the compiler may know */
		memcpy(t->at, word, n);
		t->at += n;
	}
}

static inline void put_text(struct text *t, const char *word)
{
	put(t, word, strlen(word));
}

static void put_number(struct text *t, uint64_t v)
{
	size_t n = 1;

	for (uint64_t rest = v; rest > 9; rest /= 10) {
		n++;
	}
	if (n > (size_t)(t->end - t->at)) {
		return;
	}
	t->at += n;
	for (char *to = t->at; n > 0; n--) {
		*--to = (char)('0' + v % 10);
		v /= 10;
	}
}

/* The lines that every head begins with. */
static void put_start(struct text *t, const struct http_server *h, int status)
{
	put_text(t, "HTTP/1.1 ");
	put_number(t, (uint64_t)status);
	put_text(t, " ");
	put_text(t, statuses[status_index(status)].reason);
	put_text(t, "\r\nServer: tapglass\r\nDate: ");
	put_text(t, h->date);
}

int64_t http_now_s(struct http_server *h)
{
	time_t now = time(NULL);
	struct text t = {h->ok_start, h->ok_start + sizeof h->ok_start};

	if (now != h->now_s) {
		h->now_s = now;
		http_date_format(now, h->date);
		put_start(&t, h, 200);
		h->ok_start_bytes = (uint32_t)(t.at - h->ok_start);
	}
	return now;
}

static void put_field(struct text *t, const char *name, const char *value)
{
	put_text(t, "\r\n");
	put_text(t, name);
	put_text(t, ": ");
	put_text(t, value);
}

/* [9110 14.4] */
static void put_content_range(struct text *t, const struct http_reply *r)
{
	put_text(t, "\r\nContent-Range: bytes ");
	if (r->status == 416) {
		put_text(t, "*");
	} else {
		put_number(t, r->off_bytes);
		put_text(t, "-");
		put_number(t, r->off_bytes + r->length_bytes - 1);
	}
	put_text(t, "/");
	put_number(t, r->total_bytes);
}

/* What is said about the content. */
static void put_content(struct text *t, const struct http_reply *r)
{
	if (r->type != NULL) {
		put_field(t, "Content-Type", r->type);
		if (r->chunked) {
			put_text(t, "\r\nTransfer-Encoding: chunked");
		} else {
			put_text(t, "\r\nContent-Length: ");
			put_number(t, r->length_bytes);
		}
	}
	if (r->status == 416 || (r->status == 206 && r->parts == NULL)) {
		put_content_range(t, r);
	}
	if (r->ranges) {
		put_text(t, "\r\nAccept-Ranges: bytes");
	}
}

/* What is said about the representation. */
static void put_validators(struct text *t, const struct http_reply *r)
{
	char date[HTTP_DATE_BYTES];

	if (r->modified != HTTP_NO_DATE) {
		http_date_format(r->modified, date);
		put_field(t, "Last-Modified", date);
	}
	if (r->etag[0] != '\0') {
		put_field(t, "ETag", r->etag);
	}
}

static uint32_t head_make(struct http_conn *c, const struct http_reply *r, uint8_t minor)
{
	struct http_server *h = c->owner;
	struct text t = {h->head, h->head + sizeof h->head};

	http_now_s(h);
	if (r->status == 200) {
		put(&t, h->ok_start, h->ok_start_bytes);
	} else {
		put_start(&t, h, r->status);
	}
	put_content(&t, r);
	put_validators(&t, r);
	if (r->location != NULL) {
		put_field(&t, "Location", r->location);
	}
	if (r->allow != NULL) {
		put_field(&t, "Allow", r->allow); /* [9110 10.2.1] */
	}
	if (r->status == 101) {
		put_text(&t, "\r\nConnection: Upgrade");
	} else if (c->close_after) {
		put_text(&t, r->status == 426 ? "\r\nConnection: close, Upgrade"
					      : "\r\nConnection: close");
	} else if (minor == 0) {
		put_text(&t, "\r\nConnection: keep-alive");
	} else if (r->status == 426) {
		put_text(&t, "\r\nConnection: Upgrade");
	}
	put_text(&t, "\r\n");
	if (r->fields != NULL) {
		put_text(&t, r->fields);
	}
	put_text(&t, "\r\n");
	return (uint32_t)(t.at - h->head);
}

void http_reply_start(struct http_conn *c, bool with_body, uint8_t minor)
{
	const struct http_reply *r = &c->reply;

	c->head_bytes = head_make(c, r, minor);
	c->head = c->owner->head;
	c->off_bytes = r->off_bytes;
	c->left_bytes = with_body && r->parts == NULL ? r->length_bytes : 0;
	c->sending = true;
}

void http_text_start(struct http_conn *c, const char *text, size_t n)
{
	c->head = text;
	c->head_bytes = (uint32_t)n;
	c->left_bytes = 0;
	c->sending = true;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static size_t pattern_copy(const struct http_conn *c, uint8_t *to, size_t n)
{
	uint64_t off = c->off_bytes;
	size_t left = n;

	while (left > 0) {
		size_t part = left < PATTERN_TABLE_BYTES ? left : PATTERN_TABLE_BYTES;

		memcpy(to, c->owner->pattern + off % PATTERN_PERIOD, part);
		off += part;
		to += part;
		left -= part;
	}
	return n;
}

/* Up to n bytes of the body; 0: the file has become shorter or cannot be read. */
static size_t body_copy(struct http_conn *c, uint8_t *to, size_t n)
{
	ssize_t k;

	switch ((enum http_body)c->reply.body) {
	case HTTP_BODY_MEMORY: memcpy(to, c->reply.memory + c->off_bytes, n); return n;
	case HTTP_BODY_PATTERN: return pattern_copy(c, to, n);
	case HTTP_BODY_FILE: do { k = pread(c->reply.fd, to, n, (off_t)c->off_bytes);
		} while (k < 0 && errno == EINTR);
		return k > 0 ? (size_t)k : 0;
	}
	return 0;
}

/* Fills a span with head and body: bytes; less than there was room and bytes for: the body failed.
 */
static size_t fill(struct http_conn *c, uint8_t *to, size_t room)
{
	size_t done = 0;

	if (c->head_bytes > 0) {
		done = c->head_bytes < room ? c->head_bytes : room;
		memcpy(to, c->head, done);
		c->head += done;
		c->head_bytes -= (uint32_t)done;
	}
	while (done < room && c->left_bytes > 0) {
		size_t n = room - done < c->left_bytes ? room - done : (size_t)c->left_bytes;

		n = body_copy(c, to + done, n);
		if (n == 0) {
			break;
		}
		done += n;
		c->off_bytes += n;
		c->left_bytes -= n;
	}
	return done;
}

static bool within(const char *p, const char *buf, size_t n)
{
	return (uintptr_t)p - (uintptr_t)buf < n;
}

/* What is in the server's buffers is about to be overwritten for another connection. */
static int keep_head(struct http_conn *c)
{
	const struct http_server *h = c->owner;

	if (c->head_bytes > 0 && (within(c->head, h->head, sizeof h->head) ||
					 within(c->head, h->scratch, sizeof h->scratch))) {
		c->head_owned = malloc(c->head_bytes);
		if (c->head_owned == NULL) {
			return -TG_ENOMEM;
		}
		memcpy(c->head_owned, c->head, c->head_bytes);
		c->head = c->head_owned;
	}
	return -TG_EAGAIN;
}

/* One reserve and commit: bytes queued, or an error; -TG_EPROTO: the body failed. */
static int64_t send_batch(struct http_conn *c, size_t want, uint64_t now_ns)
{
	struct tg_mspan span[2];
	size_t done = 0;
	bool failed = false;
	int n = tg_sock_reserve(c->owner->s, c->conn.sock, want, span), rc;

	if (n <= 0) {
		return n == 0 ? -TG_EAGAIN : n;
	}
	for (int i = 0; i < n && done < want && !failed; i++) {
		size_t room = span[i].len < want - done ? span[i].len : want - done;
		size_t k = fill(c, span[i].base, room);

		done += k;
		failed = k < room;
	}
	rc = done > 0 ? tg_sock_commit(c->owner->s, c->conn.sock, done, 0, now_ns) : 0;
	if (rc < 0) {
		return rc;
	}
	return failed ? -TG_EPROTO : (int64_t)done;
}

/* Goes on to the next part of a reply of several; false: there is none. */
static bool part_next(struct http_conn *c)
{
	struct http_parts *all = c->reply.parts;
	struct http_part *p;

	if (all == NULL || all->next == all->n) {
		return false;
	}
	p = &all->part[all->next++];
	c->head = p->text;
	c->head_bytes = p->text_bytes;
	c->off_bytes = p->off_bytes;
	c->left_bytes = p->length_bytes;
	return true;
}

int http_reply_send(struct http_conn *c, uint64_t now_ns, size_t *sent)
{
	*sent = 0;
	while (c->head_bytes + c->left_bytes > 0 || part_next(c)) {
		uint64_t want = c->head_bytes + c->left_bytes;
		int64_t n;

		if (c->reply.body == HTTP_BODY_FILE) {
			if (*sent >= TURN_BYTES) {
				return keep_head(c) == -TG_ENOMEM ? -TG_ENOMEM : 0;
			}
			want = want < TURN_BYTES ? want : TURN_BYTES;
		}
		n = send_batch(c, want < WANT_MAX ? (size_t)want : WANT_MAX, now_ns);
		if (n == -TG_EAGAIN) {
			return keep_head(c);
		}
		if (n < 0) {
			return (int)n;
		}
		*sent += (size_t)n;
	}
	return 1;
}
