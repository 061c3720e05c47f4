/* The life of an HTTP connection: its timers, its place in the queue, what it keeps of an
 * incomplete head, sending, closing (RFC 9112 9). A slow client is one that moves fewer bytes in a
 * period than the limits in http_conn.h ask for. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdlib.h>
#include <string.h>

#define STASH_MAX_BYTES (UINT64_C(64) << 20) /* incomplete heads of all connections */
#define DRAIN_TURN      64u

static const uint64_t timer_ns[HTTP_TIMERS] = {
	[HTTP_TIMER_HEAD] = 10 * NS_PER_S,
	[HTTP_TIMER_IDLE] = 30 * NS_PER_S,
	[HTTP_TIMER_BODY] = 10 * NS_PER_S,
	[HTTP_TIMER_SEND] = 60 * NS_PER_S,
	[HTTP_TIMER_LINGER] = 5 * NS_PER_S,
	[HTTP_TIMER_WS] = 30 * NS_PER_S,
};

/* What the client has not acknowledged yet. */
static uint64_t http_unacked(const struct http_conn *c)
{
	int64_t n = 0;

	tg_sock_getopt(c->owner->s, c->conn.sock, TG_SO_OUTQ, &n);
	return (uint64_t)n;
}

uint64_t http_taken(const struct http_conn *c)
{
	return c->unacked_bytes + c->moved_bytes - http_unacked(c);
}

void http_timer_set(struct http_conn *c, enum http_timer timer, uint64_t now_ns)
{
	struct http_list *from = &c->owner->timers[c->timer], *to = &c->owner->timers[timer];

	if (c->timer != HTTP_TIMER_NONE) {
		*(c->prev != NULL ? &c->prev->next : &from->first) = c->next;
		*(c->next != NULL ? &c->next->prev : &from->last) = c->prev;
	}
	c->timer = (uint8_t)timer;
	c->moved_bytes = 0;
	c->unacked_bytes = timer == HTTP_TIMER_SEND ? http_unacked(c) : 0;
	if (timer == HTTP_TIMER_NONE) {
		return;
	}
	c->deadline_ns = now_ns + timer_ns[timer];
	c->next = NULL;
	c->prev = to->last;
	*(to->last != NULL ? &to->last->next : &to->first) = c;
	to->last = c;
}

void http_run_later(struct http_conn *c)
{
	struct http_server *h = c->owner;

	if (!c->queued) {
		c->queued = true;
		c->run_next = NULL;
		*(h->run_last != NULL ? &h->run_last->run_next : &h->run_first) = c;
		h->run_last = c;
	}
}

void http_stash_drop(struct http_conn *c)
{
	free(c->stash);
	c->owner->stash_bytes -= c->stash_cap_bytes;
	c->stash = NULL;
	c->stash_bytes = c->stash_cap_bytes = 0;
}

bool http_stash_put(struct http_conn *c, const char *head, size_t n)
{
	uint32_t cap = c->stash_cap_bytes > 0 ? c->stash_cap_bytes : 512;
	char *p;

	while (cap < n) {
		cap *= 2;
	}
	if (cap != c->stash_cap_bytes) {
		if (c->owner->stash_bytes + cap - c->stash_cap_bytes > STASH_MAX_BYTES) {
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

static void reply_drop(struct http_conn *c)
{
	http_reply_free(&c->reply);
	free(c->head_owned);
	c->head_owned = NULL;
	c->head_bytes = 0;
	c->left_bytes = 0;
	c->sending = false;
}

void http_conn_drop(struct http_conn *c)
{
	http_stash_drop(c);
	reply_drop(c);
	http_put_end(c->owner, c->in.upload);
	c->in.upload = NULL;
	if (c->ws != NULL) {
		ws_drop(c);
	}
}

void http_conn_end(struct http_conn *c, bool reset, uint64_t now_ns)
{
	struct http_server *h = c->owner;

	if (reset) {
		tg_sock_abort(h->s, c->conn.sock, now_ns);
	} else {
		tg_sock_close(h->s, c->conn.sock, now_ns);
	}
	http_timer_set(c, HTTP_TIMER_NONE, now_ns);
	http_conn_drop(c);
	c->conn.sock = 0;
	if (!c->queued) { /* else when it comes out of the queue */
		pool_put(&h->conns, c);
	}
}

enum http_run http_conn_linger(struct http_conn *c, uint64_t now_ns)
{
	if (tg_sock_shutdown(c->owner->s, c->conn.sock, TG_SHUT_WR, now_ns) < 0) {
		return RUN_CLOSE;
	}
	c->lingering = true;
	http_timer_set(c, HTTP_TIMER_LINGER, now_ns);
	return RUN_ON;
}

/* What was sent is complete. */
static enum http_run sent_all(struct http_conn *c, uint64_t now_ns)
{
	reply_drop(c);
	if (c->in.sink == HTTP_SINK_ECHO || c->in.sink == HTTP_SINK_FILE) {
		return RUN_ON; /* it was a piece of a reply, or an interim one */
	}
	if (c->ws != NULL) {
		http_timer_set(c, HTTP_TIMER_WS, now_ns);
		return RUN_ON;
	}
	if (c->close_after) {
		return http_conn_linger(c, now_ns);
	}
	http_timer_set(c, HTTP_TIMER_IDLE, now_ns);
	return RUN_ON;
}

enum http_run http_conn_send(struct http_conn *c, uint64_t now_ns)
{
	size_t sent;
	int rc = http_reply_send(c, now_ns, &sent);

	if (rc == 1) {
		return sent_all(c, now_ns);
	}
	if (rc != 0 && rc != -TG_EAGAIN) {
		return rc == -TG_EPROTO ? RUN_ABORT : RUN_CLOSE;
	}
	if (c->timer != HTTP_TIMER_SEND) {
		http_timer_set(c, HTTP_TIMER_SEND, now_ns);
	} else {
		c->moved_bytes += sent;
	}
	return rc == 0 ? RUN_AGAIN : RUN_WAIT;
}

enum http_run http_conn_drain(struct http_conn *c, uint64_t now_ns)
{
	for (unsigned turn = 0; turn < DRAIN_TURN; turn++) {
		int64_t n = svc_readable(c->owner->s, c->conn.sock);

		if (n <= 0) {
			return n == -TG_EAGAIN ? RUN_WAIT : RUN_CLOSE;
		}
		if (tg_sock_consume(c->owner->s, c->conn.sock, (size_t)n, now_ns) < 0) {
			return RUN_CLOSE;
		}
	}
	return RUN_AGAIN;
}
