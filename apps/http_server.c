/* The HTTP server (RFC 9112): accepting, reading heads, giving each connection its turns, timeouts.
 * A connection whose head has come in one piece needs no memory but its record; the beginning of an
 * incomplete head is kept aside, within limits. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HTTP_BACKLOG   4096u
#define HTTP_CONNS_MAX 1000000u
#define HTTP_TURNS     4u /* scratch buffers full of requests at one go */

/* Answers the requests that are complete among n bytes at p, as far as the replies can be sent:
 * *used bytes. */
static enum http_run requests(
	struct http_conn *c, const char *p, size_t n, size_t *used, uint64_t now_ns)
{
	enum http_run run = RUN_ON;

	*used = 0;
	while (*used < n && run == RUN_ON && !c->lingering && c->in.sink == HTTP_SINK_NONE &&
		c->ws == NULL) {
		int rc = http_parse(&c->req, p + *used, n - *used);
		size_t head = rc == HTTP_DONE ? c->req.line_bytes : n - *used;

		if (rc == HTTP_MORE) {
			return RUN_WAIT;
		}
		http_request_end(c, rc, p + *used, now_ns);
		*used += head;
		run = c->sending ? http_conn_send(c, now_ns) : RUN_ON;
	}
	return run;
}

/* What has come, behind the beginning of a head that was kept: mostly one piece that is read where
 * it lies, else put together in the server's buffer. Bytes, of which *all tells whether they are
 * all; 0: the end of the stream; or an error. */
static int64_t received(struct http_conn *c, const char **at, bool *all, uint64_t now_ns)
{
	struct http_server *h = c->owner;
	struct tg_span span[2];
	size_t old = c->stash_bytes;
	int64_t k;
	int n = tg_sock_peek(h->s, c->conn.sock, span, 2);

	if (n <= 0) {
		return n;
	}
	*all = n == 1;
	if (n == 1 && old == 0) {
		*at = span[0].base;
		return span[0].len;
	}
	*all = false;
	if (old > 0) {
		memcpy(h->scratch, c->stash, old);
	}
	*at = h->scratch;
	k = tg_sock_recv(
		h->s, c->conn.sock, h->scratch + old, sizeof h->scratch - old, TG_MSG_PEEK, now_ns);
	return k > 0 ? (int64_t)old + k : k;
}

/* Is a head what comes next, and nothing of it there yet? Then the next byte is an event. */
static bool idle(const struct http_conn *c)
{
	return !c->sending && !c->lingering && !c->ended && c->ws == NULL &&
	       c->in.sink == HTTP_SINK_NONE;
}

static enum http_run conn_read(struct http_conn *c, uint64_t now_ns)
{
	struct http_server *h = c->owner;
	size_t old = c->stash_bytes, n, used;
	const char *at;
	bool incomplete, all;
	enum http_run run;
	int64_t k = received(c, &at, &all, now_ns);

	if (k <= 0) {
		return k == -TG_EAGAIN ? RUN_WAIT : RUN_CLOSE;
	}
	n = (size_t)k;
	run = requests(c, at, n, &used, now_ns);
	if (run == RUN_CLOSE || run == RUN_ABORT) {
		return run;
	}
	incomplete = run == RUN_WAIT && !c->sending;
	if (incomplete && !http_stash_put(c, at + used, n - used)) {
		http_request_end(c, 503, NULL, now_ns);
		run = RUN_ON;
	}
	if (incomplete) { /* all of it is ours now, and the socket empty: the next byte is an event
			   */
		used = n;
		if (c->timer != HTTP_TIMER_HEAD) {
			http_timer_set(c, HTTP_TIMER_HEAD, now_ns);
		}
	} else if (old > 0) {
		http_stash_drop(c);
	}
	if (used > old && tg_sock_consume(h->s, c->conn.sock, used - old, now_ns) < 0) {
		return RUN_CLOSE;
	}
	if (run == RUN_ON && all && used == n && idle(c)) {
		return RUN_WAIT;
	}
	return incomplete && run == RUN_WAIT ? RUN_ON : run;
}

static enum http_run conn_turn(struct http_conn *c, uint64_t now_ns)
{
	if (c->sending) {
		return http_conn_send(c, now_ns);
	}
	if (c->lingering) {
		return http_conn_drain(c, now_ns);
	}
	if (c->ws != NULL) {
		return ws_turn(c, now_ns);
	}
	return c->in.sink != HTTP_SINK_NONE ? http_body_turn(c, now_ns) : conn_read(c, now_ns);
}

static void conn_run_from(struct http_conn *c, enum http_run run, uint64_t now_ns)
{
	for (unsigned turn = 0; run == RUN_ON && turn < HTTP_TURNS; turn++) {
		run = conn_turn(c, now_ns);
	}
	switch (run) {
	case RUN_ON:
	case RUN_AGAIN: http_run_later(c); break;
	case RUN_WAIT: break;
	case RUN_CLOSE: http_conn_end(c, false, now_ns); break;
	case RUN_ABORT: http_conn_end(c, true, now_ns); break;
	}
}

static void conn_run(struct http_conn *c, uint64_t now_ns)
{
	conn_run_from(c, RUN_ON, now_ns);
}

static void conn_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct http_conn *c = (struct http_conn *)(void *)base;

	if ((events & TG_ERR) != 0) {
		http_conn_end(c, false, now_ns);
	} else {
		c->ended = c->ended || (events & TG_RDHUP) != 0;
		conn_run(c, now_ns);
	}
}

static void head_timed_out(struct http_conn *c, uint64_t now_ns)
{
	if (c->stash_bytes == 0) {
		http_conn_end(c, false, now_ns); /* nothing began to come */
		return;
	}
	http_timer_set(c, HTTP_TIMER_NONE, now_ns);
	http_request_end(c, 408, NULL, now_ns);
	http_stash_drop(c);
	conn_run(c, now_ns);
}

/* A period is over. */
static void timed_out(struct http_conn *c, uint64_t now_ns)
{
	switch ((enum http_timer)c->timer) {
	case HTTP_TIMER_HEAD: head_timed_out(c, now_ns); return;
	case HTTP_TIMER_BODY:
		if (c->moved_bytes >= HTTP_BODY_MIN_BYTES) {
			http_timer_set(c, HTTP_TIMER_BODY, now_ns);
		} else {
			http_timer_set(c, HTTP_TIMER_NONE, now_ns);
			conn_run_from(c, http_body_fail(c, 408, now_ns), now_ns);
		}
		return;
	case HTTP_TIMER_SEND:
		if (http_taken(c) >= HTTP_SEND_MIN_BYTES) {
			http_timer_set(c, HTTP_TIMER_SEND, now_ns);
		} else {
			http_conn_end(c, true, now_ns);
		}
		return;
	case HTTP_TIMER_WS:
		if (!ws_timed_out(c, now_ns)) {
			http_conn_end(c, true, now_ns);
		}
		return;
	case HTTP_TIMER_IDLE:
	case HTTP_TIMER_LINGER:
	case HTTP_TIMER_NONE: http_conn_end(c, false, now_ns); return;
	}
}

/* ---- The server ------------------------------------------------------------------------------ */

static void run_queue(struct http_server *h, uint64_t now_ns)
{
	struct http_conn *end = h->run_last, *c;

	do {
		c = h->run_first;
		if (c == NULL) {
			return;
		}
		h->run_first = c->run_next;
		if (h->run_first == NULL) {
			h->run_last = NULL;
		}
		c->queued = false;
		if (c->conn.sock == 0) {
			pool_put(&h->conns, c);
		} else {
			conn_run(c, now_ns);
		}
	} while (c != end);
}

uint64_t http_round(struct http_server *h, uint64_t now_ns)
{
	uint64_t due = ws_round(h, now_ns);

	run_queue(h, now_ns);
	for (int i = 0; i < HTTP_TIMERS; i++) {
		struct http_conn *c;

		while ((c = h->timers[i].first) != NULL && c->deadline_ns <= now_ns) {
			timed_out(c, now_ns);
		}
		if (c != NULL && c->deadline_ns < due) {
			due = c->deadline_ns;
		}
	}
	return h->run_first != NULL ? now_ns : due;
}

static struct svc_conn *conn_get(void *arg)
{
	struct http_server *h = arg;
	struct http_conn *c = pool_get(&h->conns);

	if (c == NULL) {
		return NULL;
	}
	c->conn.event = conn_event;
	c->owner = h;
	c->reply.fd = -1;
	return &c->conn;
}

static void conn_put(void *arg, struct svc_conn *c)
{
	struct http_server *h = arg;

	pool_put(&h->conns, c);
}

static void conn_start(void *arg, struct svc_conn *base, uint64_t now_ns)
{
	struct http_server *h = arg;
	struct http_conn *c = (struct http_conn *)(void *)base;

	tg_sock_setopt(h->s, base->sock, TG_TCP_NODELAY, 1, now_ns);
	http_timer_set(c, HTTP_TIMER_HEAD, now_ns);
	conn_run(c, now_ns);
}

static int start(struct http_server *h, struct services *v, uint64_t now_ns, bool *bad_www)
{
	int rc;

	h->www_fd = -1;
	if (h->cfg.www != NULL) {
		h->www_fd = http_files_open(h->cfg.www);
		*bad_www = h->www_fd < 0;
		if (*bad_www) {
			return h->www_fd;
		}
	}
	if (!http_page_make(h) || !ws_all_make(h)) {
		return -TG_ENOMEM;
	}
	http_pattern_fill(h->pattern);
	pool_init(&h->conns, sizeof(struct http_conn), HTTP_CONNS_MAX);
	h->listener.arg = h;
	h->listener.get = conn_get;
	h->listener.put = conn_put;
	h->listener.start = conn_start;
	rc = svc_listen(v, &h->listener, h->cfg.port, HTTP_BACKLOG, now_ns);
	return rc < 0 ? rc
		      : tg_sock_setopt(v->s, h->listener.conn.sock, TG_TCP_NOTSENT_LOWAT,
				SVC_NOTSENT_BYTES, now_ns);
}

struct http_server *http_start(
	struct services *v, const struct http_config *c, uint64_t now_ns, int *rc, bool *bad_www)
{
	struct http_server *h = calloc(1, sizeof *h + http_pattern_bytes());

	*bad_www = false;
	*rc = -TG_ENOMEM;
	if (h == NULL) {
		return NULL;
	}
	h->s = v->s;
	h->cfg = *c;
	h->start_ns = now_ns;
	*rc = start(h, v, now_ns, bad_www);
	if (*rc < 0) {
		http_free(h);
		return NULL;
	}
	return h;
}

void http_free(struct http_server *h)
{
	if (h == NULL) {
		return;
	}
	for (int i = 1; i < HTTP_TIMERS; i++) {
		for (struct http_conn *c = h->timers[i].first; c != NULL; c = c->next) {
			http_conn_drop(c);
		}
	}
	if (h->www_fd >= 0) {
		close(h->www_fd);
	}
	ws_all_free(h);
	pool_free(&h->conns);
	free(h->page);
	free(h);
}
