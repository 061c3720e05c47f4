/* The HTTP server's connections (RFC 9112): reading requests, answering them in order, timeouts,
 * closing (RFC 9112 9). A connection whose head has come in one piece needs no memory but its
 * record; the beginning of an incomplete head is kept aside, within limits. Bodies of requests are
 * read and thrown away, or refused. Left out: chunked requests are answered and the connection
 * closed; trailers; Upgrade. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HTTP_BACKLOG   4096u
#define HTTP_CONNS_MAX 1000000u
#define HTTP_BODY_MAX  65536u               /* of a request, read and thrown away */
#define HTTP_STASH_MAX (UINT64_C(64) << 20) /* incomplete heads of all connections */
#define HTTP_TURNS     4u                   /* scratch buffers full of requests at one go */
#define HTTP_SKIP_TURN 64u

enum run {
	RUN_ON,    /* there may be more to do */
	RUN_WAIT,  /* for an event */
	RUN_AGAIN, /* its turn is used up */
	RUN_CLOSE,
	RUN_ABORT,
};

static const uint64_t timer_ns[HTTP_TIMERS] = {
	[HTTP_TIMER_HEAD] = 10 * NS_PER_S,
	[HTTP_TIMER_IDLE] = 30 * NS_PER_S,
	[HTTP_TIMER_SEND] = 60 * NS_PER_S,
	[HTTP_TIMER_LINGER] = 5 * NS_PER_S,
};

/* ---- Timers and turns ------------------------------------------------------------------------ */

static void timer_set(struct http_conn *c, enum http_timer timer, uint64_t now_ns)
{
	struct http_list *from = &c->owner->timers[c->timer], *to = &c->owner->timers[timer];

	if (c->timer != HTTP_TIMER_NONE) {
		*(c->prev != NULL ? &c->prev->next : &from->first) = c->next;
		*(c->next != NULL ? &c->next->prev : &from->last) = c->prev;
	}
	c->timer = (uint8_t)timer;
	if (timer == HTTP_TIMER_NONE) {
		return;
	}
	c->deadline_ns = now_ns + timer_ns[timer];
	c->next = NULL;
	c->prev = to->last;
	*(to->last != NULL ? &to->last->next : &to->first) = c;
	to->last = c;
}

static void run_later(struct http_conn *c)
{
	struct http_server *h = c->owner;

	if (!c->queued) {
		c->queued = true;
		c->run_next = NULL;
		*(h->run_last != NULL ? &h->run_last->run_next : &h->run_first) = c;
		h->run_last = c;
	}
}

static void stash_drop(struct http_conn *c)
{
	free(c->stash);
	c->owner->stash_bytes -= c->stash_cap_bytes;
	c->stash = NULL;
	c->stash_bytes = c->stash_cap_bytes = 0;
}

static void reply_drop(struct http_conn *c)
{
	http_reply_free(&c->reply);
	free(c->head_owned);
	c->head_owned = NULL;
	c->sending = false;
}

static void conn_end(struct http_conn *c, bool reset, uint64_t now_ns)
{
	struct http_server *h = c->owner;

	if (reset) {
		tg_sock_abort(h->s, c->conn.sock, now_ns);
	} else {
		tg_sock_close(h->s, c->conn.sock, now_ns);
	}
	timer_set(c, HTTP_TIMER_NONE, now_ns);
	stash_drop(c);
	reply_drop(c);
	c->conn.sock = 0;
	if (!c->queued) { /* else when it comes out of the queue */
		pool_put(&h->conns, c);
	}
}

/* ---- Answering ------------------------------------------------------------------------------- */

static void access_report(
	struct http_conn *c, const char *head, const struct http_reply *r, uint64_t now_ns)
{
	struct http_server *h = c->owner;
	struct http_access a = {.status = r->status, .length_bytes = r->length_bytes};

	if (h->cfg.access == NULL || !h->cfg.wants(h->cfg.arg, now_ns) ||
		tg_sock_peer_addr(h->s, c->conn.sock, &a.peer) < 0) {
		return;
	}
	if (head != NULL && c->req.target_bytes > 0) {
		a.method = head + c->req.method_start_bytes;
		a.method_bytes = c->req.method_bytes;
		a.target = head + c->req.target_start_bytes;
		a.target_bytes = c->req.target_bytes;
	}
	h->cfg.access(h->cfg.arg, &a, now_ns);
}

static void route(struct http_server *h, const char *target, size_t n, struct http_reply *r)
{
	if (http_path_decode(target, n, h->path, sizeof h->path) < 0) {
		http_reply_status(r, 400);
		return;
	}
	if (http_api(h, h->path, r)) {
		return;
	}
	if (h->www_fd >= 0) {
		http_file(h, h->path, r);
	} else {
		http_reply_status(r, 404);
	}
	if (r->status == 404 && strcmp(h->path, "/") == 0) {
		http_reply_memory(r, "text/html; charset=utf-8", h->page, h->page_bytes);
	}
}

/* What to answer to a request whose head is complete. */
static void answer(struct http_conn *c, const char *head, struct http_reply *r)
{
	const struct http_request *q = &c->req;

	c->close_after = !http_request_persists(q);
	if (q->expects_other) { /* [9110 10.1.1] */
		http_reply_status(r, 417);
	} else if (q->content_length > HTTP_BODY_MAX) {
		http_reply_status(r, 413);
		c->close_after = true;
	} else if (q->method == HTTP_UNKNOWN) {
		http_reply_status(r, 501);
	} else if (q->method == HTTP_NOT_ALLOWED) {
		http_reply_status(r, 405);
	} else {
		route(c->owner, head + q->target_start_bytes, q->target_bytes, r);
	}
	if (q->expects_continue && q->content_length > 0) {
		c->close_after =
			true; /* the final status is the answer; the body may come or not */
	}
	c->skip_bytes = c->close_after ? 0 : q->content_length;
}

/* Starts the reply to the request at head; status: HTTP_DONE, or what to refuse it with. */
static void request_end(struct http_conn *c, int status, const char *head, uint64_t now_ns)
{
	struct http_reply r;

	if (status == HTTP_DONE) {
		answer(c, head, &r);
	} else {
		http_reply_status(&r, status);
		c->close_after = true;
	}
	access_report(c, head, &r, now_ns);
	http_reply_start(c, &r, c->req.method != HTTP_HEAD, c->req.minor);
	memset(&c->req, 0, sizeof c->req);
}

/* [9112 9.6] after the last reply: our FIN, then read until the peer's, so that no reset overtakes
 * the reply */
static enum run linger(struct http_conn *c, uint64_t now_ns)
{
	if (tg_sock_shutdown(c->owner->s, c->conn.sock, TG_SHUT_WR, now_ns) < 0) {
		return RUN_CLOSE;
	}
	c->lingering = true;
	timer_set(c, HTTP_TIMER_LINGER, now_ns);
	return RUN_ON;
}

static enum run conn_send(struct http_conn *c, uint64_t now_ns)
{
	bool progress;
	int rc = http_reply_send(c, now_ns, &progress);

	if (rc == 1) {
		reply_drop(c);
		if (c->close_after) {
			return linger(c, now_ns);
		}
		timer_set(c, HTTP_TIMER_IDLE, now_ns);
		return RUN_ON;
	}
	if (rc != 0 && rc != -TG_EAGAIN) {
		return rc == -TG_EPROTO ? RUN_ABORT : RUN_CLOSE;
	}
	if (progress || c->timer != HTTP_TIMER_SEND) {
		timer_set(c, HTTP_TIMER_SEND, now_ns);
	}
	return rc == 0 ? RUN_AGAIN : RUN_WAIT;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Throws away input, at most *limit bytes of it. */
static enum run input_skip(struct http_conn *c, uint64_t *limit, uint64_t now_ns)
{
	for (unsigned turn = 0; *limit > 0; turn++) {
		int64_t n = svc_readable(c->owner->s, c->conn.sock);

		if (n <= 0) {
			return n == -TG_EAGAIN ? RUN_WAIT : RUN_CLOSE;
		}
		if (turn >= HTTP_SKIP_TURN) {
			return RUN_AGAIN;
		}
		n = (uint64_t)n < *limit ? n : (int64_t)*limit;
		if (tg_sock_consume(c->owner->s, c->conn.sock, (size_t)n, now_ns) < 0) {
			return RUN_CLOSE;
		}
		*limit -= (uint64_t)n;
	}
	return RUN_ON;
}

static enum run conn_drain(struct http_conn *c, uint64_t now_ns)
{
	uint64_t all = UINT64_MAX;

	return input_skip(c, &all, now_ns);
}

/* Keeps n bytes of an incomplete head; false: no memory. */
static bool stash_put(struct http_conn *c, const char *head, size_t n)
{
	uint32_t cap = c->stash_cap_bytes > 0 ? c->stash_cap_bytes : 512;
	char *p;

	while (cap < n) {
		cap *= 2;
	}
	if (cap != c->stash_cap_bytes) {
		if (c->owner->stash_bytes + cap - c->stash_cap_bytes > HTTP_STASH_MAX) {
			return false;
		}
		p = realloc(c->stash, cap);
		if (p == NULL) {
			return false;
		}
		c->owner->stash_bytes += cap - c->stash_cap_bytes;
		c->stash = p;
		c->stash_cap_bytes = cap;
	}
	memcpy(c->stash, head, n);
	c->stash_bytes = (uint32_t)n;
	return true;
}

/* Answers the requests that are complete among n bytes at p, as far as the replies can be sent:
 * *used bytes. */
static enum run requests(
	struct http_conn *c, const char *p, size_t n, size_t *used, uint64_t now_ns)
{
	enum run run = RUN_ON;

	*used = 0;
	while (*used < n && run == RUN_ON && !c->lingering && c->skip_bytes == 0) {
		int rc = http_parse(&c->req, p + *used, n - *used);
		size_t head = rc == HTTP_DONE ? c->req.line_bytes : n - *used;

		if (rc == HTTP_MORE) {
			return RUN_WAIT;
		}
		request_end(c, rc, p + *used, now_ns);
		*used += head;
		run = conn_send(c, now_ns);
	}
	return run;
}

static enum run conn_read(struct http_conn *c, uint64_t now_ns)
{
	struct http_server *h = c->owner;
	size_t old = c->stash_bytes, n, used;
	bool incomplete;
	enum run run;
	int64_t k;

	if (old > 0) {
		memcpy(h->scratch, c->stash, old);
	}
	k = tg_sock_recv(
		h->s, c->conn.sock, h->scratch + old, sizeof h->scratch - old, TG_MSG_PEEK, now_ns);
	if (k <= 0) {
		return k == -TG_EAGAIN ? RUN_WAIT : RUN_CLOSE;
	}
	n = old + (size_t)k;
	run = requests(c, h->scratch, n, &used, now_ns);
	if (run == RUN_CLOSE || run == RUN_ABORT) {
		return run;
	}
	incomplete = run == RUN_WAIT && !c->sending;
	if (incomplete && !stash_put(c, h->scratch + used, n - used)) {
		request_end(c, 503, NULL, now_ns);
		run = RUN_ON;
	}
	if (incomplete) { /* all of it is ours now, and the socket empty: the next byte is an event
			   */
		used = n;
		if (c->timer != HTTP_TIMER_HEAD) {
			timer_set(c, HTTP_TIMER_HEAD, now_ns);
		}
	} else if (old > 0) {
		stash_drop(c);
	}
	if (used > old && tg_sock_consume(h->s, c->conn.sock, used - old, now_ns) < 0) {
		return RUN_CLOSE;
	}
	return incomplete && run == RUN_WAIT ? RUN_ON : run;
}

static enum run conn_skip(struct http_conn *c, uint64_t now_ns)
{
	if (c->timer != HTTP_TIMER_HEAD) {
		timer_set(c, HTTP_TIMER_HEAD, now_ns);
	}
	return input_skip(c, &c->skip_bytes, now_ns);
}

static enum run conn_turn(struct http_conn *c, uint64_t now_ns)
{
	if (c->sending) {
		return conn_send(c, now_ns);
	}
	if (c->lingering) {
		return conn_drain(c, now_ns);
	}
	return c->skip_bytes > 0 ? conn_skip(c, now_ns) : conn_read(c, now_ns);
}

static void conn_run(struct http_conn *c, uint64_t now_ns)
{
	enum run run = RUN_ON;

	for (unsigned turn = 0; run == RUN_ON && turn < HTTP_TURNS; turn++) {
		run = conn_turn(c, now_ns);
	}
	switch (run) {
	case RUN_ON:
	case RUN_AGAIN: run_later(c); break;
	case RUN_WAIT: break;
	case RUN_CLOSE: conn_end(c, false, now_ns); break;
	case RUN_ABORT: conn_end(c, true, now_ns); break;
	}
}

static void conn_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct http_conn *c = (struct http_conn *)(void *)base;

	if ((events & TG_ERR) != 0) {
		conn_end(c, false, now_ns);
	} else {
		conn_run(c, now_ns);
	}
}

static void timed_out(struct http_conn *c, uint64_t now_ns)
{
	switch ((enum http_timer)c->timer) {
	case HTTP_TIMER_HEAD:
		if (c->stash_bytes == 0) {
			conn_end(c, false, now_ns); /* nothing, or a body, began to come */
			return;
		}
		timer_set(c, HTTP_TIMER_NONE, now_ns);
		request_end(c, 408, NULL, now_ns);
		stash_drop(c);
		conn_run(c, now_ns);
		return;
	case HTTP_TIMER_SEND: conn_end(c, true, now_ns); return;
	case HTTP_TIMER_IDLE:
	case HTTP_TIMER_LINGER:
	case HTTP_TIMER_NONE: conn_end(c, false, now_ns); return;
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
	uint64_t due = UINT64_MAX;

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
	timer_set(c, HTTP_TIMER_HEAD, now_ns);
	conn_run(c, now_ns);
}

static int start(struct http_server *h, struct services *v, uint64_t now_ns, bool *bad_www)
{
	h->www_fd = -1;
	if (h->cfg.www != NULL) {
		h->www_fd = http_files_open(h->cfg.www);
		*bad_www = h->www_fd < 0;
		if (*bad_www) {
			return h->www_fd;
		}
	}
	if (!http_page_make(h)) {
		return -TG_ENOMEM;
	}
	http_pattern_fill(h->pattern);
	pool_init(&h->conns, sizeof(struct http_conn), HTTP_CONNS_MAX);
	h->listener.arg = h;
	h->listener.get = conn_get;
	h->listener.put = conn_put;
	h->listener.start = conn_start;
	return svc_listen(v, &h->listener, h->cfg.port, HTTP_BACKLOG, now_ns);
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
			stash_drop(c);
			reply_drop(c);
		}
	}
	if (h->www_fd >= 0) {
		close(h->www_fd);
	}
	pool_free(&h->conns);
	free(h->page);
	free(h);
}
