/* Replies of the HTTP server (RFC 9110 6.4, 8, 10.2): status lines and fields, bodies from memory,
 * from a pattern, from a file. A small reply is one reserve and one commit. Left out: chunked
 * coding (every length is known beforehand), ranges, conditions, compression. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATTERN_PERIOD      251u /* byte i of /bytes/N is i mod 251 */
#define PATTERN_TABLE_BYTES (PATTERN_PERIOD * 512u)
#define TURN_BYTES          (1u << 20) /* of a file at one go */
#define WANT_MAX            (1u << 30) /* asked of tg_sock_reserve at once */

static const struct {
	int status;
	const char *reason, *text;
} statuses[] = {
	{200, "OK", ""},
	{301, "Moved Permanently", "301 Moved Permanently\n"},
	{400, "Bad Request", "400 Bad Request: this is not HTTP as RFC 9112 has it\n"},
	{403, "Forbidden", "403 Forbidden\n"},
	{404, "Not Found", "404 Not Found: try / for what there is\n"},
	{405, "Method Not Allowed", "405 Method Not Allowed: only GET and HEAD here\n"},
	{408, "Request Timeout", "408 Request Timeout: the request took too long to arrive\n"},
	{413, "Content Too Large", "413 Content Too Large: this server takes no uploads\n"},
	{414, "URI Too Long", "414 URI Too Long: the request line is limited to 8192 bytes\n"},
	{417, "Expectation Failed", "417 Expectation Failed\n"},
	{431, "Request Header Fields Too Large",
		"431 Request Header Fields Too Large: the limit is 100 fields, 32768 bytes\n"},
	{500, "Internal Server Error", "500 Internal Server Error\n"},
	{501, "Not Implemented", "501 Not Implemented\n"},
	{503, "Service Unavailable", "503 Service Unavailable: out of memory or descriptors\n"},
	{505, "HTTP Version Not Supported", "505 HTTP Version Not Supported: HTTP/1.x here\n"},
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

void http_reply_memory(struct http_reply *r, const char *type, const char *text, size_t n)
{
	*r = (struct http_reply){.status = 200, .type = type, .body = HTTP_BODY_MEMORY, .fd = -1};
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
	if (r->fd >= 0) {
		close(r->fd);
	}
	*r = (struct http_reply){.fd = -1};
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

static void put(struct text *t, const char *word, size_t n)
{
	size_t room = (size_t)(t->end - t->at);

	n = n < room ? n : room;
	memcpy(t->at, word, n);
	t->at += n;
}

static void put_text(struct text *t, const char *word)
{
	put(t, word, strlen(word));
}

static void put_number(struct text *t, uint64_t v)
{
	char digits[20];
	size_t i = sizeof digits;

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	put(t, digits + i, sizeof digits - i);
}

/* [9110 5.6.7] IMF-fixdate */
static void format_date(time_t when, char *buf, size_t n)
{
	static const char day[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char month[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL) {
		buf[0] = '\0';
		return;
	}
	snprintf(buf, n, "%s, %02d %s %04d %02d:%02d:%02d GMT", day[tm.tm_wday], tm.tm_mday,
		month[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static const char *date_now(struct http_server *h)
{
	time_t now = time(NULL);

	if (now != h->date_s) {
		h->date_s = now;
		format_date(now, h->date, sizeof h->date);
	}
	return h->date;
}

static uint32_t head_make(struct http_conn *c, const struct http_reply *r, uint8_t minor)
{
	struct http_server *h = c->owner;
	struct text t = {h->head, h->head + sizeof h->head};
	char modified[64];

	put_text(&t, "HTTP/1.1 ");
	put_number(&t, (uint64_t)r->status);
	put_text(&t, " ");
	put_text(&t, statuses[status_index(r->status)].reason);
	put_text(&t, "\r\nServer: tapglass\r\nDate: ");
	put_text(&t, date_now(h));
	put_text(&t, "\r\nContent-Type: ");
	put_text(&t, r->type);
	put_text(&t, "\r\nContent-Length: ");
	put_number(&t, r->length_bytes);
	if (r->modified != 0) {
		format_date(r->modified, modified, sizeof modified);
		put_text(&t, "\r\nLast-Modified: ");
		put_text(&t, modified);
	}
	if (r->location != NULL) {
		put_text(&t, "\r\nLocation: ");
		put_text(&t, r->location);
	}
	if (r->status == 405) {
		put_text(&t, "\r\nAllow: GET, HEAD"); /* [9110 15.5.6] */
	}
	if (c->close_after) {
		put_text(&t, "\r\nConnection: close");
	} else if (minor == 0) {
		put_text(&t, "\r\nConnection: keep-alive");
	}
	put_text(&t, "\r\n\r\n");
	return (uint32_t)(t.at - h->head);
}

void http_reply_start(
	struct http_conn *c, const struct http_reply *r, bool with_body, uint8_t minor)
{
	c->head_bytes = head_make(c, r, minor);
	c->head = c->owner->head;
	c->reply = *r;
	c->off_bytes = 0;
	c->left_bytes = with_body ? r->length_bytes : 0;
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

/* The head in the server's scratch is about to be overwritten by another connection's. */
static int keep_head(struct http_conn *c)
{
	if (c->head_bytes > 0 && c->head_owned == NULL) {
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

int http_reply_send(struct http_conn *c, uint64_t now_ns, bool *progress)
{
	size_t turn = 0;

	*progress = false;
	while (c->head_bytes + c->left_bytes > 0) {
		uint64_t want = c->head_bytes + c->left_bytes;
		int64_t n;

		if (c->reply.body == HTTP_BODY_FILE) {
			if (turn >= TURN_BYTES) {
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
		*progress = true;
		turn += (size_t)n;
	}
	return 1;
}
