/* The user's calls (RFC 9293 3.9.1, 3.10.1 to 3.10.5): OPEN, SEND, RECEIVE, CLOSE, ABORT. Errors
 * are Linux's. */
#include "tcp/tcp.h"

static struct tcp_conn *conn_of(struct endpoint *e)
{
	return (struct tcp_conn *)e;
}

struct endpoint *tcp_user_open(struct tg *s, uint64_t cookie)
{
	struct tcp_conn *c = tcp_conn_new(s, cookie);

	return c ? &c->ep : NULL;
}

/* The pending error, once. */
static int take_error(struct tcp_conn *c)
{
	int error = c->ep.error;

	c->ep.error = 0;
	return -error;
}

/* ---- Binding ---- */

/* May a socket at `a` share the port with those that have it? */
static bool port_conflicts(
	const struct tcp_port *p, const struct tcp_conn *c, const struct tg_addr *a, bool listening)
{
	uint32_t others = p->users;

	list_for_each (n, &p->bound) {
		const struct tcp_conn *o = list_entry(n, struct tcp_conn, link);

		others--;
		if (o == c)
			continue;
		if (!ip_is_any(&a->ip) && !ip_is_any(&o->laddr) && !ip_equal(&a->ip, &o->laddr))
			continue; /* different addresses of ours */
		if (o->reuseport && c->reuseport)
			continue;
		if (o->state == TG_LISTEN || !o->reuseaddr || !c->reuseaddr)
			return true;
		if (listening && o->state == TG_LISTEN)
			return true;
	}
	/* connections, half-open ones and TIME-WAIT on this port */
	return others > 0 && !c->reuseaddr && !listening;
}

static int take_port(struct tg *s, struct tcp_conn *c, uint16_t port)
{
	struct tcp_port *p = tcp_port_get(s, port);

	if (!p)
		return -TG_ENOMEM;
	c->port = p;
	c->lport = port;
	list_push_back(&p->bound, &c->link);
	return 0;
}

static int bind_port(struct tg *s, struct tcp_conn *c, const struct tg_addr *a)
{
	uint16_t port = a->port;
	struct tcp_port *p;

	if (port == 0) {
		int r = tcp_choose_port(s, c);

		if (r < 0)
			return -TG_EADDRINUSE;
		port = (uint16_t)r;
	}
	p = tcp_port_find(s, port);
	if (p && port_conflicts(p, c, a, false))
		return -TG_EADDRINUSE;
	return take_port(s, c, port);
}

int tcp_user_bind(struct tg *s, struct endpoint *e, const struct tg_addr *a)
{
	struct tcp_conn *c = conn_of(e);
	int r;

	if (!ip_is_any(&a->ip) && !ip_is_ours(s, &a->ip))
		return -TG_EADDRNOTAVAIL;
	/* As Linux: a port that was only lent for a connection is gone with it. */
	if (c->state != TG_CLOSED || c->port || c->bound)
		return -TG_EINVAL;
	c->laddr = a->ip;
	r = bind_port(s, c, a);
	if (r < 0) {
		memset(&c->laddr, 0, sizeof(c->laddr));
		return r;
	}
	c->bound = true;
	c->addr_bound = !ip_is_any(&a->ip); /* [9293 MUST-43] */
	return 0;
}

/* ---- OPEN ---- */

/* [9293 3.10.1] passive OPEN */
int tcp_user_listen(struct tg *s, struct endpoint *e, uint32_t backlog)
{
	struct tcp_conn *c = conn_of(e);
	struct tg_addr any = {{{0}}, 0};
	int r;

	backlog = min_u32(max_u32(backlog, 1), TCP_BACKLOG_MAX);
	if (c->state == TG_LISTEN) {
		c->listener->backlog = backlog;
		return 0;
	}
	if (c->state != TG_CLOSED || c->was_connected)
		return -TG_EINVAL;
	if (!c->port) {
		r = tcp_user_bind(s, e, &any);
		if (r < 0)
			return r;
	}
	any.ip = c->laddr;
	if (port_conflicts(c->port, c, &any, true)) /* [9293 MUST-41, MUST-42] */
		return -TG_EADDRINUSE;
	c->listener = core_alloc(s, sizeof(*c->listener));
	if (!c->listener)
		return -TG_ENOMEM;
	list_init(&c->listener->queue);
	list_init(&c->listener->deferred);
	c->listener->backlog = backlog;
	tcp_set_state(s, c, TG_LISTEN, TG_CAUSE_LISTEN_CALL);
	tcp_notify(s, c);
	return 0;
}

static int check_connect(const struct tcp_conn *c, const struct tg_addr *peer)
{
	switch ((enum tg_state)c->state) {
	case TG_CLOSED: break;
	case TG_SYN_SENT:
	case TG_SYN_RECEIVED: return -TG_EALREADY;
	case TG_LISTEN:
	case TG_ESTABLISHED:
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2:
	case TG_CLOSE_WAIT:
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT: return -TG_EISCONN; /* "connection already exists" [9293 3.10.1] */
	}
	if (c->was_connected)
		return -TG_EISCONN;
	if (peer->port == 0)
		return -TG_EADDRNOTAVAIL;
	if (ip_is_multicast(&peer->ip)) /* [9293 MUST-46] */
		return -TG_ENETUNREACH;
	return 0;
}

/* Addresses, port and tables for an active OPEN. */
static int claim_tuple(struct tg *s, struct tcp_conn *c, const struct tg_addr *peer)
{
	struct tg_ip dst =
		ip_is_any(&peer->ip) ? tg_ip4(127, 0, 0, 1) : peer->ip; /* as on Linux: this host */
	uint32_t hash;
	int r;

	memset(&c->path, 0, sizeof(c->path));
	r = ip_resolve(
		s, &dst, &c->laddr, 0, false, &c->path); /* [9293 MUST-44] asks for the source */
	if (r < 0 && r != -TG_EHOSTUNREACH)
		return r == -TG_EACCES ? -TG_ENETUNREACH : r; /* [9293 MUST-46] broadcast */
	c->raddr = dst;
	c->rport = peer->port;
	if (c->port) {
		if (tcp_tuple_in_use(s, &c->laddr, c->lport, &c->raddr, c->rport))
			return -TG_EADDRNOTAVAIL;
	} else {
		r = tcp_choose_port(s, c);
		if (r >= 0)
			r = take_port(s, c, (uint16_t)r);
		if (r < 0)
			return r;
	}
	hash = tcp_tuple_hash(s, &c->laddr, c->lport, &c->raddr, c->rport);
	return tcp_hash_conn(s, c, hash) ? 0 : -TG_ENOMEM;
}

static void forget_tuple(struct tg *s, struct tcp_conn *c)
{
	if (!c->addr_bound)
		memset(&c->laddr, 0, sizeof(c->laddr));
	memset(&c->raddr, 0, sizeof(c->raddr));
	c->rport = 0;
	if (!c->bound && c->port) {
		list_del(&c->link);
		tcp_port_put(s, c->port);
		c->port = NULL;
		c->lport = 0;
	}
}

/* What an earlier attempt on the same socket left behind. */
static void forget_attempt(struct tg *s, struct tcp_conn *c)
{
	tcp_timers_init(s, c);
	c->backoff = 0;
	c->syn_retrans = 0;
	c->srtt_ns = 0;
	c->soft_error = 0;
	c->recovery = REC_OPEN;
	c->frto = FRTO_NONE;
	c->dup_acks = 0;
	c->ack_now = false;
	c->fin_queued = false;
	c->fin_sent = false;
	c->fin_seen = false;
	c->fin_parked = false;
	c->urg_in = false;
	c->urg_out = false;
	c->dsack = false;
	c->wr_shut = false;
	c->rd_shut = false;
	c->mss_peer = TCP_MSS_DEFAULT;
	c->ecn_offered = s->cfg.tcp.ecn == 1;
	c->ecn_sent = c->ecn_ok = c->ecn_reflects = false;
	c->ecn_echo = c->ecn_cwr_due = c->ecn_seen = false;
	c->ep.error = 0;
}

/* [9293 3.10.1] active OPEN: <SEQ=ISS><CTL=SYN>, SYN-SENT */
int tcp_user_connect(struct tg *s, struct endpoint *e, const struct tg_addr *peer)
{
	struct tcp_conn *c = conn_of(e);
	struct seq iss_min;
	int r = check_connect(c, peer);

	if (r < 0)
		return r;
	r = claim_tuple(s, c, peer);
	if (r < 0) {
		forget_tuple(s, c);
		return r;
	}
	forget_attempt(s, c);
	c->iss = tcp_isn(s, &c->laddr, c->lport, &c->raddr, c->rport);
	if (tcp_tw_take_over(s, c, &iss_min))
		c->iss = seq_max(c->iss, iss_min);
	c->ts_offset = tcp_ts_offset(s, &c->laddr, c->lport, &c->raddr, c->rport);
	c->rcv_wscale = s->cfg.tcp.window_scaling ? tcp_rcv_wscale(s, c) : 0;
	c->snd.una = c->iss;
	c->snd.nxt = seq_add(c->iss, 1);
	c->snd.max = c->snd.nxt;
	c->syn_due = true;
	tcp_set_state(s, c, TG_SYN_SENT, TG_CAUSE_CONNECT_CALL);
	tcp_notify(s, c);
	tcp_want_output(s, c);
	return -TG_EINPROGRESS;
}

/* ---- SEND ---- */

/* 0: text may be queued; else the error of [9293 3.10.2] in Linux's numbers. */
static int check_send(struct tcp_conn *c)
{
	if (c->ep.error)
		return take_error(c);
	switch ((enum tg_state)c->state) {
	case TG_CLOSED: return c->was_connected ? -TG_EPIPE : -TG_ENOTCONN;
	case TG_LISTEN: return -TG_ENOTCONN;
	case TG_SYN_SENT:
	case TG_SYN_RECEIVED: return -TG_EAGAIN; /* queued by waiting, as on Linux */
	case TG_ESTABLISHED:
	case TG_CLOSE_WAIT: return 0;
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2:
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT: return -TG_EPIPE; /* "connection closing" */
	}
	return -TG_EINVAL;
}

static void text_queued(struct tg *s, struct tcp_conn *c, uint32_t n, unsigned flags)
{
	c->more = (flags & TG_MSG_MORE) != 0;
	if (n && (flags & TG_MSG_OOB)) { /* [9293 MUST-30, MUST-62] the urgent octet is the last one
					    queued now */
		c->snd.up = seq_add(c->tx->ring_seq, tcp_queued(c));
		c->urg_out = true;
	}
	tcp_want_output(s, c);
	tcp_notify(s, c);
}

int64_t tcp_user_send(struct tg *s, struct endpoint *e, const void *data, size_t n, unsigned flags)
{
	struct tcp_conn *c = conn_of(e);
	int r = check_send(c);
	uint32_t room;
	size_t took;

	if (r < 0)
		return r;
	if (n == 0)
		return 0;
	room = tcp_send_space(s, c);
	if (room == 0)
		return -TG_EAGAIN;
	if (!tcp_tx_need(s, c))
		return -TG_ENOMEM;
	took = bring_write(&c->tx->ring, s->arena, data, n < room ? n : room);
	if (took == 0)
		return -TG_ENOMEM;
	text_queued(s, c, (uint32_t)took, flags);
	return (int64_t)took;
}

int tcp_user_reserve(struct tg *s, struct endpoint *e, size_t want, struct tg_mspan out[2])
{
	struct tcp_conn *c = conn_of(e);
	struct bring_span span[2];
	int r = check_send(c);
	uint32_t room;
	unsigned n;

	if (r < 0)
		return r;
	room = tcp_send_space(s, c);
	if (room == 0)
		return -TG_EAGAIN;
	if (!tcp_tx_need(s, c))
		return -TG_ENOMEM;
	n = bring_reserve(&c->tx->ring, s->arena, want < room ? want : room, span);
	if (n == 0)
		return -TG_ENOMEM;
	for (unsigned i = 0; i < n; i++)
		out[i] = (struct tg_mspan){span[i].base, span[i].len};
	return (int)n;
}

int tcp_user_commit(struct tg *s, struct endpoint *e, size_t n, unsigned flags)
{
	struct tcp_conn *c = conn_of(e);
	int r = check_send(c);

	if (r < 0)
		return r;
	if (!c->tx || n > c->tx->ring.reserved_bytes)
		return -TG_EINVAL; /* more than was reserved, or a send came in between */
	bring_commit(&c->tx->ring, n);
	text_queued(s, c, (uint32_t)n, flags);
	return 0;
}

unsigned tcp_user_tail(
	const struct tg *s, const struct endpoint *e, size_t n, struct tg_span *out, unsigned max)
{
	const struct tcp_conn *c = container_of(e, struct tcp_conn, ep);
	struct bring_span span[8];
	unsigned n_spans;
	size_t got;

	(void)s;
	if (!c->tx || n > bring_len(&c->tx->ring))
		return 0;
	n_spans = bring_spans(&c->tx->ring, c->tx->ring.tail - n, n, span, min_u32(max, 8), &got);
	ASSERT(got == n);
	for (unsigned i = 0; i < n_spans; i++)
		out[i] = (struct tg_span){span[i].base, span[i].len};
	return n_spans;
}

/* ---- RECEIVE ---- */

/* 0: text may be there; 1: end of stream; else an error [9293 3.10.3]. */
static int check_recv(struct tcp_conn *c)
{
	if (c->rcvq.bytes)
		return 0;
	if (c->fin_seen)
		return 1; /* as Linux: the end came before any error */
	if (c->ep.error)
		return take_error(c);
	if (c->state == TG_LISTEN || (c->state == TG_CLOSED && !c->was_connected))
		return -TG_ENOTCONN;
	return tcp_at_eof(c) ? 1 : -TG_EAGAIN;
}

static void text_taken(struct tg *s, struct tcp_conn *c)
{
	tcp_buf_text_taken(s, c);
	tcp_window_opened(s, c);
	tcp_notify(s, c);
}

int64_t tcp_user_recv(struct tg *s, struct endpoint *e, void *data, size_t n, unsigned flags)
{
	struct tcp_conn *c = conn_of(e);
	uint32_t got, before = c->rcvq.bytes;
	int r;

	if (flags & TG_MSG_OOB)
		return tcp_urg_recv(c, data, n, flags);
	do {
		r = check_recv(c);
		if (r) {
			if (c->rcvq.bytes != before)
				text_taken(s, c);
			return r == 1 ? 0 : r;
		}
		got = tcp_urg_read(s, c, data, n < UINT32_MAX ? (uint32_t)n : UINT32_MAX, flags);
	} while (!got && n && !(flags & TG_MSG_PEEK)); /* only the urgent octet was there */
	if (!(flags & TG_MSG_PEEK))
		text_taken(s, c);
	return got || !n ? (int64_t)got : -TG_EAGAIN;
}

int tcp_user_peek(struct tg *s, struct endpoint *e, struct tg_span *out, unsigned max)
{
	struct tcp_conn *c = conn_of(e);
	int r = check_recv(c);
	unsigned n = 0;

	(void)s;
	if (r)
		return r == 1 ? 0 : r;
	for (const struct tg_pkt *p = c->rcvq.head; p && n < max; p = p->next)
		out[n++] = (struct tg_span){p->data, p->len};
	return (int)n;
}

int tcp_user_consume(struct tg *s, struct endpoint *e, size_t n)
{
	struct tcp_conn *c = conn_of(e);

	if (n > c->rcvq.bytes)
		return -TG_EINVAL;
	pktq_consume(s, &c->rcvq, (uint32_t)n);
	text_taken(s, c);
	return 0;
}

/* ---- CLOSE ---- */

/* [9293 3.10.4] FIN goes behind everything queued. */
static void queue_fin(struct tg *s, struct tcp_conn *c)
{
	c->wr_shut = true;
	switch ((enum tg_state)c->state) {
	case TG_SYN_RECEIVED: /* nothing can be queued yet: it need not wait */
	case TG_ESTABLISHED:
		c->fin_queued = true;
		tcp_set_state(s, c, TG_FIN_WAIT_1, TG_CAUSE_CLOSE_CALL);
		break;
	case TG_CLOSE_WAIT:
		c->fin_queued = true;
		tcp_set_state(s, c, TG_LAST_ACK, TG_CAUSE_CLOSE_CALL);
		break;
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT:
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2:
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT: break; /* "connection closing": nothing to do again */
	}
	tcp_want_output(s, c);
}

int tcp_user_shutdown(struct tg *s, struct endpoint *e, int how)
{
	struct tcp_conn *c = conn_of(e);

	if (c->state == TG_CLOSED) { /* as on Linux: refused, and remembered all the same */
		c->rd_shut |= how != TG_SHUT_WR;
		tcp_notify(s, c);
		return -TG_ENOTCONN;
	}
	if (c->state == TG_LISTEN) { /* as on Linux: only shutting the receiving side ends it */
		if (how != TG_SHUT_WR)
			tcp_end_listener(s, c);
		return 0;
	}
	if (c->state == TG_SYN_SENT) { /* as on Linux: the attempt is given up */
		tcp_conn_end(s, c, TG_CAUSE_CLOSE_CALL, 0);
		return 0;
	}
	if (how != TG_SHUT_WR)
		c->rd_shut = true;
	if (how != TG_SHUT_RD)
		queue_fin(s, c);
	tcp_notify(s, c);
	return 0;
}

/* A listener ends; what waits to be accepted is reset [9293 3.10.4]. */
void tcp_end_listener(struct tg *s, struct tcp_conn *c)
{
	struct tcp_listener *l = c->listener;
	struct list *n;

	tcp_set_state(s, c, TG_CLOSED, TG_CAUSE_CLOSE_CALL);
	c->listener = NULL;
	tcp_syn_drop_port(s, c);
	list_splice_back(&l->queue, &l->deferred);
	while ((n = list_pop_front(&l->queue))) {
		struct tcp_conn *child = list_entry(n, struct tcp_conn, link);

		child->in_accept_queue = false;
		child->deferred = false;
		tcp_user_abort(s, &child->ep);
	}
	core_free(s, l, sizeof(*l));
	tcp_notify(s, c);
}

static bool synchronized(const struct tcp_conn *c)
{
	return c->state >= TG_ESTABLISHED && c->state != TG_TIME_WAIT;
}

/* The handle is gone already (e->index is 0). */
void tcp_user_close(struct tg *s, struct endpoint *e)
{
	struct tcp_conn *c = conn_of(e);

	if (tcp_rest_abort(s, c))
		return;
	if (c->state == TG_LISTEN)
		tcp_end_listener(s, c);
	if (c->state == TG_CLOSED || c->state == TG_TIME_WAIT) {
		tcp_conn_release(s, c);
		return;
	}
	/* [9293 SHLD-3] unread text: the peer must learn that it was lost */
	if (c->linger_ns == 0 || (synchronized(c) && c->rcvq.bytes)) {
		tcp_user_abort(s, e);
		return;
	}
	if (c->state == TG_SYN_SENT) {
		tcp_conn_end(s, c, TG_CAUSE_CLOSE_CALL, 0);
		return;
	}
	queue_fin(s, c);
	tcp_timers_fin_wait_2(s, c);
}

/* [9293 3.10.5] */
void tcp_user_abort(struct tg *s, struct endpoint *e)
{
	struct tcp_conn *c = conn_of(e);

	if (tcp_rest_abort(s, c))
		return;
	if (c->state == TG_LISTEN)
		tcp_end_listener(s, c);
	switch ((enum tg_state)c->state) {
	case TG_CLOSED:
	case TG_TIME_WAIT: /* nothing to reset: the record goes, TIME-WAIT stays */
		tcp_conn_release(s, c);
		return;
	case TG_SYN_RECEIVED:
	case TG_ESTABLISHED:
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2:
	case TG_CLOSE_WAIT: tcp_send_rst(s, c); break;
	case TG_LISTEN:
	case TG_SYN_SENT:
	case TG_CLOSING:
	case TG_LAST_ACK: break;
	}
	tcp_conn_end(s, c, c->rcvq.bytes ? TG_CAUSE_UNREAD_DATA : TG_CAUSE_ABORT_CALL, 0);
}
