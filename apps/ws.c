/* WebSockets (RFC 6455) on the connections of the HTTP server; frames, masking, fragmentation,
 * UTF-8 and the closing handshake are libwslay's. /ws/echo sends back every message, /api/ws tells
 * what happens in the stack. Bounded: connections, bytes of a message, bytes of all messages that
 * are being received, what waits to be sent. A peer that does not answer a ping is dropped. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "ws_events.h"
#include "ws_handshake.h"

#define MESSAGE_MAX_BYTES  (UINT64_C(1) << 20)
#define VIEWER_MAX_BYTES   UINT64_C(4096)       /* of a message from a viewer */
#define RECEIVED_MAX_BYTES (UINT64_C(64) << 20) /* of all connections */
#define FRAME_COST_BYTES   128u                 /* what a frame takes besides its bytes */
#define FRAGMENTS_MAX      65536u               /* of a message, empty ones too */
#define OUT_MAX_BYTES      (256u << 10)         /* waiting to be sent, of an echo */
#define OUT_MAX_MESSAGES   256u
#define VIEW_MAX_BYTES     (64u << 10) /* the same of a viewer */
#define TICK_NS            (50 * NS_PER_MS)
#define TICK_EVENTS_MAX    512u  /* told in a tick; of the others there is the number */
#define TICK_TEXTS_MAX     8192u /* the same for all viewers together */
#define TICK_EVENTS_MIN    16u
#define CODE_TRY_AGAIN     1013u /* [IANA] Try Again Later */

struct ws {
	wslay_event_context_ptr ctx;
	struct http_conn *c;
	struct ws *prev, *next; /* viewers */
	bool viewer, pinged;
	bool broken;        /* the stream has ended or failed */
	bool held;          /* reading has stopped until something has been sent */
	uint32_t conn;      /* serial number in the trace */
	uint32_t fragments; /* of the message that is being received */
	uint64_t cost_bytes;
	uint64_t cursor; /* next event */
};

struct ws_all {
	struct http_server *h;
	uint32_t n, n_viewers;
	uint64_t cost_bytes, tick_ns, now_ns;
	struct ws *viewers;
	struct ws_events *events; /* made for the first viewer */
	bool sorted;
	uint32_t conns[HTTP_WS_MAX]; /* of the viewers */
};

/* ---- Viewers' own connections ---------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool hidden(void *arg, uint32_t conn)
{
	struct ws_all *all = arg;
	uint32_t n = 0;

	if (!all->sorted) {
		for (const struct ws *w = all->viewers; w != NULL; w = w->next) {
			all->conns[n++] = w->conn;
		}
		qsort(all->conns, n, sizeof all->conns[0], by_number);
		all->sorted = true;
	}
	return bsearch(&conn, all->conns, all->n_viewers, sizeof conn, by_number) != NULL;
}

/* Events told in a tick: fewer, the more viewers there are. */
static unsigned tick_events(const struct ws_all *all)
{
	unsigned n = TICK_TEXTS_MAX / all->n_viewers;

	return n > TICK_EVENTS_MAX ? TICK_EVENTS_MAX : n < TICK_EVENTS_MIN ? TICK_EVENTS_MIN : n;
}

static void viewer_add(struct ws_all *all, struct ws *w)
{
	struct tg_tcp_info info;

	if (all->viewers == NULL) {
		ws_events_start(all->events);
	} else { /* what was before is for the others */
		ws_events_collect(all->events, tick_events(all));
	}
	if (tg_tcp_status(all->h->s, w->c->conn.sock, &info) == 0) {
		w->conn = info.conn;
	}
	w->viewer = true;
	w->cursor = ws_events_end(all->events);
	w->next = all->viewers;
	if (w->next != NULL) {
		w->next->prev = w;
	}
	all->viewers = w;
	all->n_viewers++;
	all->sorted = false;
}

static void viewer_remove(struct ws_all *all, struct ws *w)
{
	*(w->prev != NULL ? &w->prev->next : &all->viewers) = w->next;
	if (w->next != NULL) {
		w->next->prev = w->prev;
	}
	all->n_viewers--;
	all->sorted = false;
	w->viewer = false;
}

/* No more is said on c, but what is still under way. */
static enum http_run leave(struct http_conn *c, uint64_t now_ns)
{
	if (c->ws->viewer) {
		viewer_remove(c->owner->ws, c->ws);
	}
	return http_conn_linger(c, now_ns);
}

/* ---- What libwslay calls --------------------------------------------------------------------- */

static ssize_t would_block(wslay_event_context_ptr ctx, int64_t rc)
{
	wslay_event_set_error(
		ctx, rc == -TG_EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t on_recv(
	wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user_data)
{
	struct ws *w = user_data;
	struct http_server *h = w->c->owner;
	int64_t n;

	(void)flags;
	w->held = wslay_event_get_queued_msg_length(ctx) > OUT_MAX_BYTES ||
		  wslay_event_get_queued_msg_count(ctx) > OUT_MAX_MESSAGES;
	if (w->held) {
		return would_block(ctx, -TG_EAGAIN);
	}
	n = tg_sock_recv(h->s, w->c->conn.sock, buf, len, 0, h->ws->now_ns);
	w->broken = n <= 0 && n != -TG_EAGAIN;
	if (n <= 0) { /* the end of the stream without a closing handshake is a failure too */
		return would_block(ctx, n);
	}
	w->pinged = false;
	return (ssize_t)n;
}

static ssize_t on_send(
	wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *user_data)
{
	struct ws *w = user_data;
	struct http_server *h = w->c->owner;
	unsigned more = (flags & WSLAY_MSG_MORE) != 0 ? TG_MSG_MORE : 0;
	int64_t n = tg_sock_send(h->s, w->c->conn.sock, data, len, more, h->ws->now_ns);

	return n > 0 ? (ssize_t)n : would_block(ctx, n == 0 ? -TG_EAGAIN : n);
}

static void fail(wslay_event_context_ptr ctx, unsigned code, const char *why)
{
	wslay_event_shutdown_read(ctx);
	wslay_event_queue_close(ctx, (uint16_t)code, (const uint8_t *)why, strlen(why));
}

static void on_frame(wslay_event_context_ptr ctx,
	const struct wslay_event_on_frame_recv_start_arg *arg, void *user_data)
{
	struct ws *w = user_data;
	struct ws_all *all = w->c->owner->ws;
	uint64_t cost = arg->payload_length + FRAME_COST_BYTES;

	if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->payload_length == 1) {
		fail(ctx, WSLAY_CODE_PROTOCOL_ERROR, ""); /* [6455 5.5.1] half a code */
	}
	if (wslay_is_ctrl_frame(arg->opcode) || arg->payload_length > MESSAGE_MAX_BYTES) {
		return; /* what is too long is refused by the library */
	}
	w->cost_bytes += cost;
	all->cost_bytes += cost;
	if (++w->fragments > FRAGMENTS_MAX) {
		fail(ctx, WSLAY_CODE_MESSAGE_TOO_BIG, "too many fragments");
	} else if (all->cost_bytes > RECEIVED_MAX_BYTES) {
		fail(ctx, CODE_TRY_AGAIN, "out of memory for messages");
	}
}

static void cost_drop(struct ws *w)
{
	w->c->owner->ws->cost_bytes -= w->cost_bytes;
	w->cost_bytes = 0;
	w->fragments = 0;
}

static void on_message(
	wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user_data)
{
	struct wslay_event_msg m = {arg->opcode, arg->msg, arg->msg_length};
	struct ws *w = user_data;

	if (wslay_is_ctrl_frame(arg->opcode)) { /* pongs and closes are the library's */
		return;
	}
	cost_drop(w);
	if (w->viewer) { /* [6455 7.4.1] it cannot be anything that we understand */
		fail(ctx, WSLAY_CODE_UNSUPPORTED_DATA, "there is nothing to say here");
	} else if (wslay_event_queue_msg(ctx, &m) != 0) {
		fail(ctx, CODE_TRY_AGAIN, "out of memory");
	}
}

/* ---- Turns ----------------------------------------------------------------------------------- */

/* Queues events for a viewer, as many as it may have waiting. */
static void tell(struct ws_all *all, struct ws *w)
{
	char gap[EVENT_JSON_BYTES];
	const char *text;
	size_t n;

	while (wslay_event_get_write_enabled(w->ctx) != 0 &&
		wslay_event_get_queued_msg_length(w->ctx) < VIEW_MAX_BYTES &&
		(text = ws_events_next(all->events, &w->cursor, gap, &n)) != NULL) {
		struct wslay_event_msg m = {WSLAY_TEXT_FRAME, (const uint8_t *)text, n};

		if (wslay_event_queue_msg(w->ctx, &m) != 0) {
			return;
		}
	}
}

/* [6455 7.1.7] libwslay gives up on what is no frame with a close that has no code. Unless it is
 * amid a frame of ours, say 1002 in its stead. */
static enum http_run no_frame(struct http_conn *c, bool between, uint64_t now_ns)
{
	static const uint8_t close_1002[] = {0x88, 2, 1002 >> 8, 1002 & 255};

	if (c->ws->broken) {
		return RUN_CLOSE;
	}
	if (between) {
		(void)tg_sock_send(
			c->owner->s, c->conn.sock, close_1002, sizeof close_1002, 0, now_ns);
	} else if (wslay_event_send(c->ws->ctx) != 0) {
		return RUN_CLOSE;
	}
	return leave(c, now_ns);
}

enum http_run ws_turn(struct http_conn *c, uint64_t now_ns)
{
	struct ws *w = c->ws;
	bool was_held, between;

	c->owner->ws->now_ns = now_ns;
	if (wslay_event_want_write(w->ctx) != 0 && wslay_event_send(w->ctx) != 0) {
		return RUN_CLOSE;
	}
	between = wslay_event_get_queued_msg_count(w->ctx) == 0;
	if (wslay_event_want_read(w->ctx) != 0 && wslay_event_recv(w->ctx) != 0) {
		return no_frame(c, between, now_ns);
	}
	was_held = w->held;
	if (wslay_event_want_write(w->ctx) != 0 && wslay_event_send(w->ctx) != 0) {
		return RUN_CLOSE;
	}
	if (wslay_event_want_read(w->ctx) == 0 && wslay_event_want_write(w->ctx) == 0) {
		return leave(c, now_ns); /* [6455 7.1.1] the server closes first */
	}
	if (wslay_event_get_close_sent(w->ctx) != 0 && c->timer != HTTP_TIMER_LINGER) {
		http_timer_set(c, HTTP_TIMER_LINGER, now_ns); /* so long for the peer's close */
	}
	if (was_held && wslay_event_get_queued_msg_length(w->ctx) <= OUT_MAX_BYTES &&
		wslay_event_get_queued_msg_count(w->ctx) <= OUT_MAX_MESSAGES) {
		return RUN_ON;
	}
	return RUN_WAIT;
}

bool ws_timed_out(struct http_conn *c, uint64_t now_ns)
{
	struct wslay_event_msg ping = {WSLAY_PING, NULL, 0};
	struct ws *w = c->ws;

	if (w->pinged || wslay_event_queue_msg(w->ctx, &ping) != 0) {
		return false;
	}
	w->pinged = true;
	http_timer_set(c, HTTP_TIMER_WS, now_ns);
	http_run_later(c);
	return true;
}

uint64_t ws_round(struct http_server *h, uint64_t now_ns)
{
	struct ws_all *all = h->ws;
	bool behind = false;

	if (all->viewers == NULL) {
		return UINT64_MAX;
	}
	for (struct ws *w = all->viewers; w != NULL && !behind; w = w->next) {
		behind = w->cursor != ws_events_end(all->events);
	}
	if (!behind && !ws_events_pending(all->events)) {
		return UINT64_MAX;
	}
	if (now_ns < all->tick_ns) {
		return all->tick_ns;
	}
	all->tick_ns = now_ns + TICK_NS;
	ws_events_collect(all->events, tick_events(all));
	for (struct ws *w = all->viewers; w != NULL; w = w->next) {
		tell(all, w);
		if (wslay_event_want_write(w->ctx) != 0) {
			http_run_later(w->c);
		}
	}
	return all->tick_ns;
}

/* ---- Life ------------------------------------------------------------------------------------ */

bool ws_path(const struct http_server *h)
{
	return http_path_is(h, "/ws/echo") || http_path_is(h, "/api/ws");
}

static bool events_there(struct ws_all *all)
{
	if (all->events == NULL) {
		all->events = ws_events_new(all->h->s, all->h->start_ns, hidden, all);
	}
	return all->events != NULL;
}

static struct ws *ws_new(struct http_conn *c, bool viewer)
{
	static const struct wslay_event_callbacks calls = {.recv_callback = on_recv,
		.send_callback = on_send,
		.on_frame_recv_start_callback = on_frame,
		.on_msg_recv_callback = on_message};
	struct ws_all *all = c->owner->ws;
	struct ws *w;

	if (all->n >= HTTP_WS_MAX || (viewer && !events_there(all))) {
		return NULL;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL || wslay_event_context_server_init(&w->ctx, &calls, w) != 0) {
		free(w);
		return NULL;
	}
	wslay_event_config_set_max_recv_msg_length(
		w->ctx, viewer ? VIEWER_MAX_BYTES : MESSAGE_MAX_BYTES);
	w->c = c;
	all->n++;
	if (viewer) {
		viewer_add(all, w);
	}
	return w;
}

void ws_open(struct http_conn *c, const char *head, struct http_reply *r)
{
	static const char form[] = "Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n";
	char accept[WS_ACCEPT_BYTES], *fields = NULL;
	int status = c->req.method == HTTP_GET ? ws_handshake(&c->req, head, accept) : 426;

	if (status == 101 && (asprintf(&fields, form, accept) < 0 ||
				     (c->ws = ws_new(c, c->owner->path[1] == 'a')) == NULL)) {
		free(fields);
		status = 503;
	}
	if (status == 101) {
		http_reply_bare(r, 101);
		r->owned = fields;
		r->fields = fields;
		return;
	}
	http_reply_status(r, status);
	if (status == 426) { /* [9110 15.5.22] [6455 4.4] */
		r->fields = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	}
}

void ws_drop(struct http_conn *c)
{
	struct ws *w = c->ws;
	struct ws_all *all = c->owner->ws;

	if (w->viewer) {
		viewer_remove(all, w);
	}
	cost_drop(w);
	wslay_event_context_free(w->ctx);
	free(w);
	all->n--;
	c->ws = NULL;
}

bool ws_all_make(struct http_server *h)
{
	h->ws = calloc(1, sizeof *h->ws);
	if (h->ws != NULL) {
		h->ws->h = h;
	}
	return h->ws != NULL;
}

void ws_all_free(struct http_server *h)
{
	if (h->ws != NULL) {
		ws_events_free(h->ws->events);
		free(h->ws);
	}
}

void http_trace(struct http_server *h, const struct tg_trace *t)
{
	if (h->ws->viewers != NULL) {
		ws_events_add(h->ws->events, t);
	}
}
