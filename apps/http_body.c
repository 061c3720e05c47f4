/* Bodies of requests (RFC 9112 6, 7.1): thrown away, echoed, or stored. What is echoed goes out as
 * it comes in, in chunks if it came in chunks (its length is not known then), and is read no faster
 * than the peer reads the echo. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdio.h>
#include <string.h>

#define BODY_SPANS   16u
#define ECHO_FRONT   1024u  /* of the scratch buffer: room for a head and a chunk's size */
#define ECHO_MAX     32768u /* echoed at once */
#define CHUNK_DIGITS 8u

/* Where a turn stands. */
struct turn {
	size_t taken_bytes; /* of the input */
	size_t echo_bytes;  /* in the scratch buffer, behind ECHO_FRONT */
	int status;         /* not 0: it failed */
};

static bool complete(const struct http_incoming *in)
{
	return in->chunked ? in->chunk.done : in->left_bytes == 0;
}

static uint64_t limit_of(const struct http_incoming *in)
{
	return in->sink == HTTP_SINK_SKIP ? HTTP_SKIP_MAX_BYTES : HTTP_UPLOAD_MAX_BYTES;
}

/* Reads at p: bytes used; the content among them in *data. */
static size_t take(
	struct http_incoming *in, const char *p, size_t n, const char **data, size_t *data_bytes)
{
	if (in->chunked) {
		return http_chunk_take(&in->chunk, p, n, data, data_bytes);
	}
	n = n < in->left_bytes ? n : (size_t)in->left_bytes;
	in->left_bytes -= n;
	*data = p;
	*data_bytes = n;
	return n;
}

static void deliver(struct http_conn *c, struct turn *t, const char *data, size_t n)
{
	struct http_incoming *in = &c->in;

	in->got_bytes += n;
	if (in->got_bytes > limit_of(in)) {
		t->status = 413;
	} else if (in->sink == HTTP_SINK_ECHO) {
		memcpy(c->owner->scratch + ECHO_FRONT + t->echo_bytes, data, n);
		t->echo_bytes += n;
	} else if (in->sink == HTTP_SINK_FILE && n > 0) {
		t->status = http_put_write(in->upload, data, n);
	}
}

static void span_read(struct http_conn *c, struct turn *t, const char *p, size_t n)
{
	size_t at = 0;

	while (at < n && t->status == 0 && t->echo_bytes < ECHO_MAX && !complete(&c->in)) {
		const char *data;
		size_t room = ECHO_MAX - t->echo_bytes, bytes = n - at, data_bytes;

		if (c->in.sink == HTTP_SINK_ECHO && bytes > room) {
			bytes = room;
		}
		bytes = take(&c->in, p + at, bytes, &data, &data_bytes);
		at += bytes;
		deliver(c, t, data, data_bytes);
		if (t->status == 0) {
			t->status = c->in.chunk.status;
		}
	}
	t->taken_bytes += at;
}

/* ---- The echo -------------------------------------------------------------------------------- */

/* The head of the answer, in the server's buffer for heads. */
static void echo_begin(struct http_conn *c, uint64_t now_ns)
{
	struct http_reply r;

	http_reply_memory(&r, "application/octet-stream", NULL, 0);
	r.chunked = c->in.chunked;
	r.length_bytes = c->in.got_bytes + c->in.left_bytes;
	c->in.begun = true;
	http_reply_late(c, &r, false, now_ns);
	c->left_bytes = 0;
}

/* Sends what a turn has left in the scratch buffer, as a chunk if need be. */
static enum http_run echo_send(struct http_conn *c, size_t n, uint64_t now_ns)
{
	char *data = c->owner->scratch + ECHO_FRONT, *start = data, size[CHUNK_DIGITS + 3];

	if (c->in.chunked) {
		int digits = snprintf(size, sizeof size, "%zx\r\n", n);

		start -= digits;
		memcpy(start, size, (size_t)digits);
		memcpy(data + n, "\r\n", 2);
		n += 2;
	}
	if (!c->in.begun) {
		echo_begin(c, now_ns);
		start -= c->head_bytes;
		memcpy(start, c->head, c->head_bytes);
	}
	http_text_start(c, start, (size_t)(data - start) + n);
	return http_conn_send(c, now_ns);
}

static enum http_run echo_end(struct http_conn *c, uint64_t now_ns)
{
	static const char last[] = "0\r\n\r\n";
	char *data = c->owner->scratch + ECHO_FRONT, *start = data;
	size_t n = c->in.chunked ? sizeof last - 1 : 0;

	memcpy(data, last, n);
	if (!c->in.begun) {
		echo_begin(c, now_ns);
		start -= c->head_bytes;
		memcpy(start, c->head, c->head_bytes);
	}
	c->in = (struct http_incoming){0};
	http_text_start(c, start, (size_t)(data - start) + n);
	return http_conn_send(c, now_ns);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static enum http_run late_status(
	struct http_conn *c, int status, const char *etag, bool close, uint64_t now_ns)
{
	struct http_reply r;

	(status == 204 ? http_reply_bare : http_reply_status)(&r, status);
	snprintf(r.etag, sizeof r.etag, "%s", etag);
	http_reply_late(c, &r, close, now_ns);
	http_put_end(c->owner, c->in.upload);
	c->in = (struct http_incoming){0};
	return http_conn_send(c, now_ns);
}

static enum http_run body_end(struct http_conn *c, uint64_t now_ns)
{
	char etag[HTTP_ETAG_BYTES];
	int status;

	switch ((enum http_sink)c->in.sink) {
	case HTTP_SINK_ECHO: return echo_end(c, now_ns);
	case HTTP_SINK_FILE:
		status = http_put_commit(c->in.upload, etag);
		return late_status(c, status, etag, false, now_ns);
	case HTTP_SINK_SKIP:
	case HTTP_SINK_NONE: break;
	}
	c->in = (struct http_incoming){0};
	http_timer_set(c, HTTP_TIMER_IDLE, now_ns);
	return RUN_ON;
}

enum http_run http_body_fail(struct http_conn *c, int status, uint64_t now_ns)
{
	if (c->in.begun) {
		return RUN_ABORT; /* [9112 7.1] an answer that is cut off must not look complete */
	}
	if (c->in.sink == HTTP_SINK_SKIP) {
		c->in = (struct http_incoming){0};
		return http_conn_linger(c, now_ns);
	}
	return late_status(c, status, "", true, now_ns);
}

enum http_run http_body_turn(struct http_conn *c, uint64_t now_ns)
{
	struct tg_span span[BODY_SPANS];
	struct turn t = {0};
	int n;

	if (complete(&c->in)) {
		return body_end(c, now_ns);
	}
	if (c->timer != HTTP_TIMER_BODY) {
		http_timer_set(c, HTTP_TIMER_BODY, now_ns);
	}
	n = tg_sock_peek(c->owner->s, c->conn.sock, span, BODY_SPANS);
	if (n <= 0) {
		return n == -TG_EAGAIN ? RUN_WAIT : RUN_CLOSE;
	}
	for (int i = 0; i < n; i++) {
		span_read(c, &t, span[i].base, span[i].len);
	}
	c->moved_bytes += t.taken_bytes;
	if (tg_sock_consume(c->owner->s, c->conn.sock, t.taken_bytes, now_ns) < 0) {
		return RUN_CLOSE;
	}
	if (t.status != 0) {
		return http_body_fail(c, t.status, now_ns);
	}
	return t.echo_bytes > 0 ? echo_send(c, t.echo_bytes, now_ns) : RUN_ON;
}
