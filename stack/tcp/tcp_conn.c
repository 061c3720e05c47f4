/* Life of a connection record: made, established, ended, freed; readiness for its user; and the
 * module's own beginning. */
#include "tcp/tcp.h"
#include "tcp/tcp_ahead.h"
#include "wire/ip4.h"

static const struct transport tcp_transport;

int tcp_init(struct tg *s)
{
	struct tcp_state *t = core_alloc(s, sizeof(*t));

	if (!t)
		return -TG_ENOMEM;
	memset(t, 0, sizeof(*t));
	t->half_open.keeps = true;
	htab_init(&t->conns);
	htab_init(&t->ports);
	list_init(&t->ooo);
	t->key_demux = core_key(s, KEY_DEMUX);
	t->key_isn = core_key(s, KEY_ISN);
	t->key_port = core_key(s, KEY_PORT);
	t->key_ts = core_key(s, KEY_TS);
	t->port_counter = (uint32_t)rng_u64(&s->rng);
	t->born_ns = s->now_ns;
	timer_init(&t->syn_timer, TIMER_TCP_SYN);
	timer_init(&t->tw_timer, TIMER_TCP_TW);
	s->timer_fn[TIMER_TCP_CONN] = tcp_timer_fired;
	s->timer_ahead_fn[TIMER_TCP_CONN] = tcp_ahead_timer;
	s->timer_fn[TIMER_TCP_SYN] = tcp_syn_timer_fired;
	s->timer_fn[TIMER_TCP_TW] = tcp_tw_timer_fired;
	s->sender_fn[SENDER_TCP] = tcp_sender_turn;
	s->tcp = t;
	tcp_cookies_init(s);
	if (!tcp_ports_init(s) || !tcp_tx_init(s))
		return -TG_ENOMEM;
	return core_add_transport(s, &tcp_transport);
}

/* ---- Beginning ---- */

struct tcp_conn *tcp_conn_new(struct tg *s, uint64_t cookie)
{
	struct tcp_conn *c = core_alloc(s, sizeof(*c));

	if (!c)
		return NULL;
	endpoint_init(&c->ep, TG_STREAM, cookie);
	sender_init(&c->tx_node, SENDER_TCP);
	list_init(&c->link);
	tcp_init_state(c, TG_CLOSED);
	c->serial = ++s->conn_serial;
	c->rcvbuf = s->cfg.tcp.rcvbuf_bytes;
	c->sndbuf = s->cfg.tcp.sndbuf_bytes;
	c->rcvlowat = 1;
	c->ttl = s->cfg.ip.default_ttl; /* [9293 MUST-49] */
	c->pmtu = s->cfg.ip.no_pmtu_disc ? TG_PMTU_DONT : TG_PMTU_WANT;
	/* a second at least, as of the options: a timer of none would fire without end */
	c->keep_idle_s = (uint32_t)max_u64(s->cfg.tcp.keepalive_idle_ns / NS_PER_SEC, 1);
	c->keep_intvl_s = (uint32_t)max_u64(s->cfg.tcp.keepalive_interval_ns / NS_PER_SEC, 1);
	c->keep_cnt = s->cfg.tcp.keepalive_probes;
	c->linger_ns = -1;
	c->mss_peer = TCP_MSS_DEFAULT;
	c->mss = TCP_MSS_DEFAULT;
	c->mss_rcv = TCP_MSS_DEFAULT;
	c->rmss = TCP_MSS_DEFAULT;
	c->reo_wnd_mult = 1;
	c->reordering_segs = TCP_DUPTHRESH;
	c->cc.ops = cc_algorithm(s->cfg.tcp.cc);
	c->cc.flags = s->cfg.tcp.hystart ? CC_HYSTART : 0;
	c->cc.ops->init(&c->cc, c->mss, s->cfg.tcp.initial_window_segs, false);
	tcp_timers_init(s, c);
	return c;
}

void tcp_conn_established(struct tg *s, struct tcp_conn *c)
{
	tcp_update_mss(s, c);
	c->rmss = tcp_mss_offer(s, &c->raddr, &c->path);
	/* [5681-2, 6928 2] a SYN lost more than once: one segment */
	c->cc.ops->init(&c->cc, c->mss, s->cfg.tcp.initial_window_segs, c->syn_retrans > 1);
	tcp_pace_update(s, c);
	c->recover = c->iss; /* [6582-1] */
	c->soft_error = 0;
	tcp_mtu_established(s, c);
	tcp_timers_established(s, c);
	tcp_buf_established(s, c);
}

/* ---- End ---- */

void tcp_leave_port(struct tg *s, struct tcp_conn *c)
{
	if (!c->port)
		return;
	if (!c->in_accept_queue)
		list_del(&c->link);
	tcp_port_put(s, c->port);
	c->port = NULL;
}

void tcp_conn_free(struct tg *s, struct tcp_conn *c)
{
	if (!c)
		return;
	ASSERT(!c->in_accept_queue && c->ep.index == 0);
	tcp_timers_stop(s, c);
	sender_stop(&c->tx_node);
	endpoint_fini(&c->ep);
	tcp_unhash_conn(s, c);
	tcp_leave_port(s, c);
	tcp_tx_free(s, c);
	tcp_mtu_free(s, c);
	tcp_ooo_free(s, c);
	pktq_free(s, &c->rcvq);
	tcp_tw_disown(c);
	core_free(s, c, sizeof(*c));
}

void tcp_conn_release(struct tg *s, struct tcp_conn *c)
{
	if (c->ep.index || c->in_accept_queue)
		return;
	if (c->state != TG_CLOSED && c->state != TG_TIME_WAIT)
		return;
	tcp_conn_free(s, c);
}

/* An attempt came to nothing: the next one, or a listener, begins with what the user has bound. */
static void forget_addresses(struct tcp_conn *c)
{
	if (!c->addr_bound)
		memset(&c->laddr, 0, sizeof(c->laddr));
	if (!c->bound)
		c->lport = 0;
	memset(&c->raddr, 0, sizeof(c->raddr));
	c->rport = 0;
}

void tcp_conn_end(struct tg *s, struct tcp_conn *c, enum tg_cause why, int error)
{
	tcp_set_state(s, c, TG_CLOSED, why);
	if (error)
		c->ep.error = (int16_t)error;
	tcp_timers_stop(s, c);
	sender_stop(&c->tx_node);
	tcp_unhash_conn(s, c);
	if (!c->bound)
		tcp_leave_port(s, c);
	if (!c->was_connected)
		forget_addresses(c);
	tcp_tx_free(s, c);
	tcp_mtu_free(s, c);
	tcp_ooo_free(s, c);
	c->ack_now = false;
	c->syn_due = false;
	c->probe_due = false;
	c->keep_due = false;
	tcp_notify(s, c); /* what was received in order stays for the user to read */
	tcp_conn_release(s, c);
}

/* ---- Readiness ---- */

/* Is it worth while to write? With a third of the buffer free, and less than half of what may wait
 * unsent, as on Linux. */
static bool writable(const struct tg *s, const struct tcp_conn *c)
{
	uint32_t mark = tcp_notsent_lowat(s, c), queued;

	if (!c->tx)
		return c->sndbuf > 0;
	queued = (uint32_t)bring_len(&c->tx->ring);
	if (queued >= c->sndbuf - c->sndbuf / 3)
		return false;
	return !mark || 2ull * queued < mark || 2ull * tcp_unsent(c) < mark;
}

static unsigned level_of_closed(const struct tcp_conn *c)
{
	unsigned level = TG_HUP | TG_OUT;

	if (c->was_connected || c->ep.error || c->rcvq.bytes || c->rd_shut)
		level |= TG_IN | TG_RDHUP;
	return level | (c->ep.error ? TG_ERR | TG_IN : 0u);
}

static bool readable(const struct tcp_conn *c)
{
	uint32_t n = c->urg_in ? tcp_urg_readable(c) : c->rcvq.bytes;

	return n >= max_u32(min_u32(c->rcvlowat, c->rcvbuf / 2), 1) || c->fin_seen ||
	       (c->rd_shut && c->rcvq.bytes == 0);
}

static unsigned level_of(const struct tg *s, const struct tcp_conn *c)
{
	unsigned level = c->ep.error ? TG_ERR | TG_IN | TG_OUT : 0;

	if (c->state < TG_ESTABLISHED) { /* CLOSED is the least of them */
		if (c->state == TG_CLOSED)
			return level_of_closed(c);
		if (c->state == TG_LISTEN)
			return list_empty(&c->listener->queue) ? 0 : TG_IN;
		return level;
	}
	if (readable(c))
		level |= TG_IN;
	if (c->fin_seen || c->rd_shut)
		level |= TG_RDHUP;
	if (c->urg_in && tcp_urg_waits(c))
		level |= TG_PRI;
	if (c->wr_shut || writable(s, c))
		level |= TG_OUT;
	if (c->wr_shut && (c->fin_seen || c->rd_shut))
		level |= TG_HUP;
	return level;
}

unsigned tcp_user_level(const struct tg *s, const struct endpoint *e)
{
	struct tcp_conn tmp;

	return level_of(s, tcp_whole(s, (const struct tcp_conn *)e, &tmp));
}

void tcp_notify(struct tg *s, struct tcp_conn *c)
{
	endpoint_set_level(s, &c->ep, level_of(s, c));
	if (c->deferred && (c->rcvq.bytes || c->state != TG_ESTABLISHED))
		tcp_accept_ready(s, c);
}

void tcp_trace_fill(struct tg_trace *t, const struct tcp_conn *c)
{
	t->conn = c->serial;
	memcpy(t->raddr, c->raddr.b, sizeof(t->raddr));
	t->lport = c->lport;
	t->rport = c->rport;
}

/* ---- ICMP errors ---- */

static void conn_error(struct tg *s, struct tcp_conn *c, const struct ip_error *e)
{
	bool opening = c->state == TG_SYN_SENT || c->state == TG_SYN_RECEIVED;

	if (e->error == TG_EMSGSIZE) {
		/* [1191 6.3, 5927 7] about text in flight, the caller has seen to that */
		if (!opening)
			tcp_mtu_too_big(s, c, e->mtu);
		return;
	}
	/* [9293 SHLD-26, 5461 4] a hard error ends a connection that is still being opened, never
	 * one that stands */
	if ((e->hard || c->recverr) && opening) {
		tcp_conn_end(s, c, TG_CAUSE_ICMP_HARD, e->error);
		return;
	}
	/* [9293 MUST-56, SHLD-25] told when R2 is reached or somebody asks; who wants to know at
	 * once is told at once, and the connection goes on all the same */
	if (!c->recverr) {
		c->soft_error = (int16_t)e->error;
		return;
	}
	c->ep.error = (int16_t)e->error;
	tcp_notify(s, c);
}

static bool tcp_error(struct tg *s, const struct ip_error *e)
{
	struct tcp_seg q;
	struct tcp_conn *c;
	struct mini_key k;
	struct tcp_mini *m;
	uint32_t hash;

	if (e->quote_bytes < 8)
		return false;
	tcp_parse_quoted(e->quote, &q);
	hash = tcp_tuple_hash(s, &e->local, q.src_port, &e->remote, q.dst_port);
	c = tcp_find_conn(
		s, &e->local, q.src_port, &e->remote, q.dst_port, hash); /* [9293 MUST-54] */
	if (c) {
		/* [5927 4.1] about something that is in flight, or it is somebody's guess */
		if (c->resting || seq_lt(q.seq, c->snd.una) || seq_ge(q.seq, c->snd.max))
			return false;
		conn_error(s, c, e);
		return true;
	}
	k = (struct mini_key){
		e->remote, q.dst_port, q.src_port, (uint16_t)ip_addr_index(s, &e->local)};
	m = mini_find(s, &s->tcp->half_open, &k, hash);
	if (m)
		return tcp_syn_error(s, m, q.seq, e->hard);
	return mini_find(s, &s->tcp->time_wait, &k, hash) != NULL;
}

static const struct transport tcp_transport = {
	.proto = IP_PROTO_TCP,
	.input = tcp_input,
	.error = tcp_error,
	.claims = tcp_claims,
};
