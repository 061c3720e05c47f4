/* Options of a stream socket, STATUS (RFC 9293 3.10.6), and rows for the tables. */
#include "tcp/tcp.h"

#define KEEP_MAX_S 32767
#define BUFFER_MIN 1152u
#define BUFFER_MAX (1u << 30)

/* From now on it stays at that. */
static int set_buffer(struct tcp_conn *c, bool send, int64_t v)
{
	/* less than two units of the window's scale would be a closed one */
	uint32_t least = max_u32(BUFFER_MIN, send ? 0 : 2u << c->rcv_wscale);
	uint32_t size = (uint32_t)(v < least ? least : v > BUFFER_MAX ? BUFFER_MAX : v);

	if (v < 0)
		return -TG_EINVAL;
	if (send) {
		c->sndbuf = size;
		c->sndbuf_locked = true;
	} else {
		c->rcvbuf = size;
		c->rcvbuf_locked = true;
	}
	return 0;
}

static int set_seconds(uint32_t *field, int64_t v_ns)
{
	int64_t v = v_ns / (int64_t)NS_PER_SEC;

	if (v < 1 || v > KEEP_MAX_S)
		return -TG_EINVAL;
	*field = (uint32_t)v;
	return 0;
}

static int set_keepalive(struct tg *s, struct tcp_conn *c, enum tg_option opt, int64_t v)
{
	int r = 0;

	if (opt == TG_SO_KEEPALIVE) {
		c->keepalive = v != 0; /* [9293 MUST-24, MUST-25] */
	} else if (opt == TG_TCP_KEEPIDLE) {
		r = set_seconds(&c->keep_idle_s, v); /* [9293 MUST-27] */
	} else if (opt == TG_TCP_KEEPINTVL) {
		r = set_seconds(&c->keep_intvl_s, v);
	} else {
		if (v < 1 || v > 127)
			return -TG_EINVAL;
		c->keep_cnt = (uint8_t)v;
	}
	if (r == 0)
		tcp_timers_keepalive_changed(s, c);
	return r;
}

static int set_byte(uint8_t *field, int64_t v, int64_t min)
{
	if (v < min || v > 255)
		return -TG_EINVAL;
	*field = (uint8_t)v;
	return 0;
}

static int set_maxseg(struct tg *s, struct tcp_conn *c, int64_t v)
{
	if (v != 0 && (v < 88 || v > 32767))
		return -TG_EINVAL;
	c->mss_user = (uint16_t)v;
	if (c->state >= TG_ESTABLISHED && c->state != TG_TIME_WAIT)
		tcp_update_mss(s, c);
	return 0;
}

/* cwnd and ssthresh stay; what the new algorithm knows begins with nothing. */
static int set_congestion(struct tg *s, struct tcp_conn *c, int64_t v)
{
	if (v < 0 || v >= TG_CC_COUNT)
		return -TG_ENOENT;
	if (c->cc.ops == cc_algorithm((unsigned)v))
		return 0;
	c->cc.ops = cc_algorithm((unsigned)v);
	c->cc.acked = 0;
	cc_forget(&c->cc);
	if (c->cc.ssthresh != CC_SSTHRESH_NONE)
		memset(&c->cc.cubic, 0, sizeof(c->cc.cubic));
	tcp_pace_update(s, c);
	return 0;
}

static int set_pmtu(struct tg *s, struct tcp_conn *c, int64_t v)
{
	if (v < TG_PMTU_DONT || v > TG_PMTU_OMIT)
		return -TG_EINVAL;
	c->pmtu = (uint8_t)v;
	if (c->state >= TG_ESTABLISHED && c->state != TG_TIME_WAIT)
		tcp_update_mss(s, c);
	return 0;
}

/* Flags that may let held-back text go. */
static void set_sending(struct tg *s, struct tcp_conn *c, enum tg_option opt, bool on)
{
	if (opt == TG_TCP_NODELAY)
		c->nodelay = on;
	else
		c->cork = on;
	if (opt == TG_TCP_CORK && !on)
		c->push_all = tcp_unsent(c) > 0; /* uncorking pushes */
	tcp_want_output(s, c);
}

static uint8_t algorithm_of(const struct tcp_conn *c)
{
	return c->cc.ops == &cc_cubic ? TG_CC_CUBIC : TG_CC_RENO;
}

int tcp_user_setopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t v)
{
	struct tcp_conn *c = (struct tcp_conn *)e;

	switch (opt) {
	case TG_SO_REUSEADDR: c->reuseaddr = v != 0; return 0;
	case TG_SO_REUSEPORT: c->reuseport = v != 0; return 0;
	case TG_SO_OOBINLINE: c->oobinline = v != 0; break;
	case TG_TCP_DEFER_ACCEPT: c->defer_ns = v < 0 ? 0 : (uint64_t)v; break;
	case TG_IP_RECVERR: c->recverr = v != 0; return 0;
	case TG_IP_MTU_DISCOVER: return set_pmtu(s, c, v);
	case TG_IP_MTU:
	case TG_IP_MULTICAST_TTL:
	case TG_IP_MULTICAST_LOOP:
	case TG_IP_MULTICAST_IF:
	case TG_UDP_CORK:
	case TG_UDP_SEGMENT:
	case TG_UDP_GRO:
	case TG_SO_EVENT_EACH:
	case TG_IP_HDRINCL: return -TG_ENOPROTOOPT;
	case TG_SO_BROADCAST: c->broadcast = v != 0; return 0; /* means nothing here */
	case TG_SO_KEEPALIVE:
	case TG_TCP_KEEPIDLE:
	case TG_TCP_KEEPINTVL:
	case TG_TCP_KEEPCNT: return set_keepalive(s, c, opt, v);
	case TG_SO_SNDBUF: return set_buffer(c, true, v);
	case TG_SO_RCVBUF: return set_buffer(c, false, v);
	case TG_SO_LINGER: c->linger_ns = v < 0 ? -1 : v; return 0;
	case TG_SO_RCVLOWAT:
		c->rcvlowat = (uint32_t)(v < 1 ? 1 : v > BUFFER_MAX ? BUFFER_MAX : v);
		break;
	case TG_TCP_NOTSENT_LOWAT:
		if (v < 0 || v > UINT32_MAX)
			return -TG_EINVAL;
		c->notsent_lowat = (uint32_t)v;
		break;
	case TG_TCP_NODELAY:
	case TG_TCP_CORK: set_sending(s, c, opt, v != 0); break;
	case TG_TCP_MAXSEG: return set_maxseg(s, c, v);
	case TG_TCP_CONGESTION: return set_congestion(s, c, v);
	case TG_SO_MAX_PACING_RATE:
		c->pace_max = v < 0 ? 0 : (uint64_t)v;
		tcp_pace_update(s, c);
		c->pace_ns = s->now_ns; /* what the old rate asked for is void */
		tcp_want_output(s, c);
		return 0;
	case TG_TCP_QUICKACK:
		c->quickack = v != 0;
		if (c->quickack && c->deadline[CT_DELACK] != NEVER_NS)
			c->ack_now = true;
		tcp_want_output(s, c);
		return 0;
	case TG_TCP_USER_TIMEOUT:
		if (v < 0)
			return -TG_EINVAL;
		c->user_timeout_ns = (uint64_t)v; /* [9293 MUST-21] */
		return 0;
	case TG_IP_TTL: return set_byte(&c->ttl, v, 1);
	case TG_IP_TOS:
		/* [9293 MUST-48, SHLD-21]; [3168 6.1] the two bits of ECN are ours */
		return set_byte(&c->tos, v & ~3, 0);
	case TG_TCP_USER_COOKIE: c->ep.cookie = (uint64_t)v; return 0;
	case TG_SO_ERROR:
	case TG_SO_ATMARK:
	case TG_SO_BOUND:
	case TG_SO_INQ:
	case TG_SO_OUTQ:
	case TG_SO_TYPE:
	case TG_SO_ACCEPTCONN: return -TG_ENOPROTOOPT;
	}
	tcp_notify(s, c);
	return 0;
}

int tcp_user_getopt(struct tg *s, struct endpoint *e, enum tg_option opt, int64_t *v)
{
	struct tcp_conn *c = (struct tcp_conn *)e;

	switch (opt) {
	case TG_SO_ERROR:
		*v = c->ep.error;
		c->ep.error = 0;
		if (*v == 0) { /* [9293 MUST-47, SHLD-20] soft errors on request */
			*v = c->soft_error;
			c->soft_error = 0;
		}
		tcp_notify(s, c);
		break;
	case TG_SO_REUSEADDR: *v = c->reuseaddr; break;
	case TG_SO_REUSEPORT: *v = c->reuseport; break;
	case TG_SO_OOBINLINE: *v = c->oobinline; break;
	case TG_SO_ATMARK: *v = tcp_urg_at_mark(c); break;
	case TG_SO_BOUND: *v = c->bound; break;
	case TG_TCP_DEFER_ACCEPT: *v = (int64_t)c->defer_ns; break;
	case TG_TCP_CONGESTION: *v = algorithm_of(c); break;
	case TG_SO_MAX_PACING_RATE: *v = (int64_t)c->pace_max; break;
	case TG_IP_RECVERR: *v = c->recverr; break;
	case TG_IP_MTU_DISCOVER: *v = c->pmtu; break;
	case TG_IP_MTU:
		if (c->state == TG_CLOSED || c->state == TG_LISTEN)
			return -TG_ENOTCONN;
		*v = ip_mtu(s, &c->raddr, &c->path);
		break;
	case TG_IP_MULTICAST_TTL:
	case TG_IP_MULTICAST_LOOP:
	case TG_IP_MULTICAST_IF:
	case TG_UDP_CORK:
	case TG_UDP_SEGMENT:
	case TG_UDP_GRO:
	case TG_SO_EVENT_EACH:
	case TG_IP_HDRINCL: return -TG_ENOPROTOOPT;
	case TG_SO_BROADCAST: *v = c->broadcast; break;
	case TG_SO_KEEPALIVE: *v = c->keepalive; break;
	case TG_SO_SNDBUF: *v = c->sndbuf; break;
	case TG_SO_RCVBUF: *v = c->rcvbuf; break;
	case TG_SO_LINGER: *v = c->linger_ns; break;
	case TG_SO_RCVLOWAT: *v = c->rcvlowat; break;
	case TG_TCP_NOTSENT_LOWAT: *v = c->notsent_lowat; break;
	case TG_TCP_NODELAY: *v = c->nodelay; break;
	case TG_TCP_CORK: *v = c->cork; break;
	case TG_TCP_MAXSEG:
		*v = c->state >= TG_ESTABLISHED || !c->mss_user ? c->mss : c->mss_user;
		break;
	case TG_TCP_QUICKACK: *v = c->quickack; break;
	case TG_TCP_KEEPIDLE: *v = c->keep_idle_s * (int64_t)NS_PER_SEC; break;
	case TG_TCP_KEEPINTVL: *v = c->keep_intvl_s * (int64_t)NS_PER_SEC; break;
	case TG_TCP_KEEPCNT: *v = c->keep_cnt; break;
	case TG_TCP_USER_TIMEOUT: *v = (int64_t)c->user_timeout_ns; break;
	case TG_IP_TTL: *v = c->ttl; break;
	case TG_IP_TOS: *v = c->tos; break;
	case TG_SO_INQ: *v = tcp_urg_inq(c); break;
	case TG_SO_OUTQ: *v = tcp_queued(c); break;
	case TG_SO_TYPE: *v = TG_STREAM; break;
	case TG_SO_ACCEPTCONN: *v = c->state == TG_LISTEN; break;
	case TG_TCP_USER_COOKIE: *v = (int64_t)c->ep.cookie; break;
	}
	return 0;
}

void tcp_user_addrs(
	const struct tg *s, const struct endpoint *e, struct tg_addr *local, struct tg_addr *peer)
{
	const struct tcp_conn *c = (const struct tcp_conn *)e;

	(void)s;
	*local = (struct tg_addr){c->laddr, c->lport};
	*peer = (struct tg_addr){c->raddr, c->rport};
}

uint32_t tcp_user_serial(const struct endpoint *e)
{
	return ((const struct tcp_conn *)e)->serial;
}

void tcp_user_trace(const struct endpoint *e, struct tg_trace *t)
{
	tcp_trace_fill(t, (const struct tcp_conn *)e);
}

static void status_flight(const struct tcp_conn *c, struct tg_tcp_info *o)
{
	o->flight_bytes = c->syn_acked ? tcp_pipe(c) : 0;
	o->unsent_bytes = tcp_unsent(c);
	o->unacked_bytes = tcp_queued(c) - o->unsent_bytes;
	o->unread_bytes = c->rcvq.bytes;
	if (!c->tx)
		return;
	o->sacked_bytes = c->tx->sacked_bytes;
	o->sacked_segs = c->tx->sacked_segs;
	o->lost_bytes = c->tx->lost_bytes;
	o->retrans_bytes = c->tx->retrans_bytes;
}

/* [9293 3.10.6] */
int tcp_user_status(const struct tg *s, const struct endpoint *e, struct tg_tcp_info *o)
{
	struct tcp_conn tmp;
	const struct tcp_conn *c = tcp_whole(s, (const struct tcp_conn *)e, &tmp);

	*o = (struct tg_tcp_info){.state = c->state};
	o->rcv_wscale = c->rcv_wscale;
	o->snd_wscale = c->snd_wscale;
	o->ts = c->ts_ok;
	o->sack = c->sack_ok;
	o->wscale = c->ws_ok;
	o->in_recovery = c->recovery == REC_RECOVERY;
	o->in_loss = c->recovery == REC_LOSS;
	o->in_cwr = tcp_ecn_in_window(c);
	o->ecn = c->ecn_ok;
	o->ecn_seen = c->ecn_seen;
	o->disorder = c->recovery == REC_OPEN && (c->dup_acks || (c->tx && c->tx->sacked_bytes));
	o->reordering_segs = c->reordering_segs;
	o->reord_seen = c->reorderings;
	o->reo_wnd_mult = c->reo_wnd_mult;
	o->probing = c->tlp_out;
	o->backoff = c->backoff;
	o->probes = c->keep_sent;
	o->conn = c->serial;
	o->iss = c->iss.v;
	o->snd_una = c->snd.una.v;
	o->snd_nxt = c->snd.nxt.v;
	o->snd_wnd = c->snd.wnd;
	o->irs = c->irs.v;
	o->rcv_nxt = c->rcv.nxt.v;
	o->rcv_wnd = seq_dist(c->rcv.adv, c->rcv.nxt);
	o->mss_snd = c->mss;
	o->mss_rcv = c->mss_rcv;
	o->pmtu = c->state == TG_CLOSED || c->state == TG_LISTEN ? c->path.mtu
								 : ip_mtu(s, &c->raddr, &c->path);
	o->cwnd_bytes = c->cc.cwnd;
	o->ssthresh_bytes = c->cc.ssthresh;
	o->rto_ns = tcp_rto(s, c);
	o->srtt_ns = c->srtt_ns;
	o->rttvar_ns = c->rttvar_ns;
	o->min_rtt_ns = c->min_rtt_ns;
	status_flight(c, o);
	o->bytes_acked = c->bytes_acked;
	o->bytes_sent = c->bytes_acked + o->unacked_bytes + c->bytes_retrans;
	o->bytes_received = c->bytes_received;
	o->bytes_retrans = c->bytes_retrans;
	o->segs_out = c->segs_out;
	o->segs_in = c->segs_in;
	o->retransmits = c->retransmits;
	o->dsack_dups = c->dsacks_in;
	o->rexmit_deadline_ns = c->deadline[CT_REXMIT];
	o->pacing_rate = c->cc.pacing_rate;
	o->max_pacing_rate = c->pace_max;
	o->cc = algorithm_of(c);
	o->waits = (uint8_t)tcp_out_waits(s, c);
	return 0;
}

static void row_timer(struct tg_sock_row *o, enum tg_row_timer which, uint64_t at_ns, uint8_t count)
{
	if (o->timer || at_ns == NEVER_NS)
		return;
	o->timer = (uint8_t)which;
	o->timer_ns = at_ns;
	o->timer_count = count;
}

/* The first that is armed is told, as by Linux. */
static void row_timers(const struct tcp_conn *c, struct tg_sock_row *o)
{
	bool persist = c->rexmit_mode == RM_PERSIST;

	if (c->state == TG_CLOSED || c->state == TG_LISTEN || c->state == TG_TIME_WAIT)
		return;
	row_timer(o, persist ? TG_ROW_PERSIST : TG_ROW_ON, c->deadline[CT_REXMIT], c->backoff);
	row_timer(o, c->deferred ? TG_ROW_DEFER : TG_ROW_FIN_WAIT_2, c->deadline[CT_STATE], 0);
	row_timer(o, TG_ROW_KEEPALIVE, c->deadline[CT_KEEPALIVE], c->keep_sent);
	row_timer(o, TG_ROW_DELACK, c->deadline[CT_DELACK], 0);
}

void tcp_user_row(const struct tg *s, const struct endpoint *e, struct tg_sock_row *o)
{
	struct tcp_conn tmp;
	const struct tcp_conn *c = tcp_whole(s, (const struct tcp_conn *)e, &tmp);

	*o = (struct tg_sock_row){
		.sock = handle_of(e), .type = TG_STREAM, .state = c->state, .conn = c->serial};
	tcp_user_addrs(s, e, &o->local, &o->peer);
	o->recv_q_bytes = c->state == TG_LISTEN ? c->listener->queued : c->rcvq.bytes;
	o->send_q_bytes = c->state == TG_LISTEN ? c->listener->backlog : tcp_queued(c);
	row_timers(c, o);
}

static void mini_row(
	const struct tg *s, const struct tcp_mini *m, enum tg_state st, struct tg_sock_row *o)
{
	*o = (struct tg_sock_row){.type = TG_STREAM, .state = (uint8_t)st};
	ip_addr_at(s, m->laddr, &o->local.ip);
	o->local.port = m->lport;
	memcpy(&o->peer.ip, m->raddr, sizeof(o->peer.ip));
	o->peer.port = m->rport;
	row_timer(o, st == TG_TIME_WAIT ? TG_ROW_TIMEWAIT : TG_ROW_ON, mini_deadline_ns(s, m),
		st == TG_TIME_WAIT ? 0 : m->queue);
}

/* The next record from index *i on. */
static bool table_row(const struct tg *s, const struct mini_table *t, enum tg_state st, uint64_t *i,
	struct tg_sock_row *o)
{
	while (*i < t->n_made) {
		const struct tcp_mini *m = mini_at(t, (uint32_t)++ * i);

		if (!m || (st == TG_TIME_WAIT && m->tw.owner))
			continue; /* free, or shown as the socket that it belongs to */
		mini_row(s, m, st, o);
		return true;
	}
	return false;
}

/* Orphans are in no handle table: connections whose user has closed. */
static bool orphan_row(const struct tg *s, uint64_t *skip, struct tg_sock_row *o)
{
	uint64_t n = 0;

	for (struct hnode *h = htab_next(&s->tcp->conns, NULL); h;
		h = htab_next(&s->tcp->conns, h)) {
		const struct tcp_conn *c = container_of(h, struct tcp_conn, hash);

		if (c->ep.index || n++ < *skip)
			continue;
		tcp_user_row(s, &c->ep, o);
		++*skip;
		return true;
	}
	return false;
}

#define TABLE_SHIFT 60
#define TABLE_MASK  ((1ull << TABLE_SHIFT) - 1)

bool tcp_user_table(const struct tg *s, uint64_t *cursor, struct tg_sock_row *o)
{
	for (uint64_t which = *cursor >> TABLE_SHIFT; which < 3; which++) {
		uint64_t i = which == *cursor >> TABLE_SHIFT ? *cursor & TABLE_MASK : 0;
		bool found;

		if (which == 0)
			found = orphan_row(s, &i, o);
		else
			found = table_row(s, which == 1 ? &s->tcp->half_open : &s->tcp->time_wait,
				which == 1 ? TG_SYN_RECEIVED : TG_TIME_WAIT, &i, o);
		if (found) {
			*cursor = which << TABLE_SHIFT | i;
			return true;
		}
	}
	return false;
}
