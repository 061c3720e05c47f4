/* LISTEN (RFC 9293 3.10.7.2) and the half-open connections that it gives rise to: SYN-RECEIVED
 * after a passive OPEN, 64 bytes each (RFC 4987 3.4), until the last ACK of the handshake makes a
 * connection of one. The SYN-ACK is retransmitted with a timeout that doubles (RFC 6298), in one
 * FIFO for each count. While the table is full, or one port has had its share of it, SYNs are
 * answered with cookies (tcp_cookie.c). */
#include "tcp/tcp.h"

static void arm_timer(struct tg *s)
{
	const struct mini_table *t = &s->tcp->half_open;
	uint64_t first_ns = NEVER_NS;

	for (uint32_t left = t->in_use; left; left &= left - 1) {
		struct tcp_mini *m = mini_first(t, (uint8_t)__builtin_ctz(left));

		first_ns = min_u64(first_ns, mini_deadline_ns(s, m));
	}
	if (first_ns == NEVER_NS)
		timer_stop(s, &s->tcp->syn_timer);
	else
		timer_arm(s, &s->tcp->syn_timer, first_ns);
}

static uint64_t timeout_ns(const struct tg *s, uint8_t retransmissions)
{
	return min_u64(
		s->cfg.tcp.rto_initial_ns << min_u32(retransmissions, 16), s->cfg.tcp.rto_max_ns);
}

/* When the SYN-ACK has been out for so long, R2 for SYNs is reached [9293 MUST-23]. */
static bool given_up(const struct tg *s, uint8_t retransmissions)
{
	uint64_t total_ns = 0;

	for (uint8_t i = 0; i <= retransmissions; i++)
		total_ns += timeout_ns(s, i);
	return total_ns >= s->cfg.tcp.r2_syn_ns || retransmissions + 1u >= MINI_QUEUES;
}

static void end_entry(struct tg *s, struct tcp_mini *m, enum tg_state to, enum tg_cause why)
{
	struct tcp_port *port = tcp_port_find(s, m->lport);

	tcp_trace_mini(s, m, TG_SYN_RECEIVED, to, why);
	mini_del(s, &s->tcp->half_open, m, mini_hash(s, m));
	port->half_open--;
	tcp_port_put(s, port);
}

/* A listener takes its half-open connections along: there is one. */
static struct tcp_conn *listener_of(const struct tg *s, const struct tcp_mini *m)
{
	struct tg_ip laddr = {0};
	struct tcp_conn *l;

	ip_addr_at(s, m->laddr, &laddr);
	l = tcp_pick_listener(s, &laddr, m->lport, mini_hash(s, m));
	ASSERT(l);
	return l;
}

static struct rule_of half_open_of(const struct tcp_mini *m)
{
	return (struct rule_of){0, m->snd_nxt.v, seq_sub(m->rcv_nxt, 1).v};
}

/* ---- What is sent ---- */

/* l: the listener it is for, NULL if that is gone. */
static void fill_control(const struct tg *s, const struct tcp_mini *m, const struct tcp_conn *l,
	struct tcp_control *k)
{
	memset(k, 0, sizeof(*k));
	ip_addr_at(s, m->laddr, &k->src);
	memcpy(&k->dst, m->raddr, sizeof(k->dst));
	k->ttl = l ? l->ttl : s->cfg.ip.default_ttl;
	k->tos = l ? l->tos : 0;
	k->g.src_port = m->lport;
	k->g.dst_port = m->rport;
	k->g.ack = m->rcv_nxt;
	if (m->flags & MINI_TS) {
		k->g.opts.has = TCP_HAS_TS;
		k->g.opts.tsval =
			tcp_ts_now(s, tcp_ts_offset(s, &k->src, m->lport, &k->dst, m->rport));
		k->g.opts.tsecr = m->ts_recent;
	}
}

/* RCV.WND of a half-open connection: what its SYN-ACK offers, in whole units of the scale that
 * later windows have. */
static uint32_t half_open_wnd(uint32_t rcvbuf, const struct tcp_mini *m)
{
	uint32_t unit = 1u << (m->flags & MINI_WS ? mini_rcv_wscale(m) : 0);

	return (min_u32(rcvbuf, 65535) + unit - 1) & ~(unit - 1);
}

/* <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>; cookie: m is not in the table, its options go into the
 * timestamp. */
static void send_syn_ack(struct tg *s, const struct tcp_conn *l, struct tcp_mini *m, bool cookie)
{
	struct tcp_control k;
	struct ip_path path = {0};

	fill_control(s, m, l, &k);
	if (cookie && (m->flags & MINI_TS))
		k.g.opts.tsval = tcp_cookie_tsval(m, k.g.opts.tsval);
	/* [3168 6.1.1] an ECN-setup SYN-ACK: ECE without CWR; never ECT on it */
	k.g.flags = TCP_SYN | TCP_ACK | (m->syn.ecn ? TCP_ECE : 0);
	k.g.seq = m->snd_nxt;
	k.g.wnd = (uint16_t)min_u32(l->rcvbuf, 65535); /* [7323-W4] not scaled */
	k.g.opts.has |= TCP_HAS_MSS;                   /* [9293 MUST-14, SHLD-5, MAY-3] */
	k.g.opts.mss = tcp_mss_offer(s, &k.dst, &path);
	if (m->flags & MINI_WS) {
		k.g.opts.has |= TCP_HAS_WSCALE; /* [7323-W2] only if the SYN had it */
		k.g.opts.wscale = mini_rcv_wscale(m);
	}
	if (m->flags & MINI_SACK)
		k.g.opts.has |= TCP_HAS_SACK_PERM;
	m->syn.sent_us = (uint32_t)(s->now_ns / NS_PER_US);
	tcp_send_control(s, &k);
}

static void send_ack(struct tg *s, const struct tcp_conn *l, struct tcp_mini *m)
{
	struct tcp_control k;

	fill_control(s, m, l, &k);
	k.g.flags = TCP_ACK;
	k.g.seq = seq_add(m->snd_nxt, 1);
	k.g.wnd = (uint16_t)(half_open_wnd(l->rcvbuf, m) >>
			     ((m->flags & MINI_WS) ? mini_rcv_wscale(m) : 0));
	tcp_send_control(s, &k);
}

/* ---- SYNs ---- */

static void fill_entry(
	struct tg *s, const struct tcp_conn *l, struct tcp_mini *m, const struct tcp_rx *r)
{
	const struct tcp_opts *o = &r->g.opts;
	bool ws = (o->has & TCP_HAS_WSCALE) && s->cfg.tcp.window_scaling;

	m->rcv_nxt = seq_add(r->g.seq, 1); /* RCV.NXT = SEG.SEQ + 1, IRS = SEG.SEQ */
	m->snd_nxt = tcp_isn(s, &r->ip->dst, r->g.dst_port, &r->ip->src, r->g.src_port);
	if (r->has_iss_min)
		m->snd_nxt = seq_max(m->snd_nxt, r->iss_min);
	m->syn.mss = o->has & TCP_HAS_MSS ? o->mss : TCP_MSS_DEFAULT; /* [9293 MUST-15] */
	if (ws) {
		m->flags |= MINI_WS;
		/* [7323-W3] */
		m->syn.scales = (uint8_t)(min_u32(o->wscale, TCP_WSCALE_MAX) |
					  (uint32_t)tcp_rcv_wscale(s, l) << 4);
	}
	if ((o->has & TCP_HAS_TS) && s->cfg.tcp.timestamps) { /* [7323-T1] */
		m->flags |= MINI_TS;
		m->ts_recent = o->tsval;
	}
	if ((o->has & TCP_HAS_SACK_PERM) && s->cfg.tcp.sack)
		m->flags |= MINI_SACK; /* [2018-1] */
	m->syn.ecn = tcp_ecn_accepts(r);
}

/* The table is full: the entry that has waited longest for its last ACK gives way, if its SYN-ACK
 * has been retransmitted already. An honest peer answers within a round trip, a flood's entries
 * never [4987 3.3]. False: all are young. */
static bool evict_one(struct tg *s)
{
	for (uint8_t q = MINI_QUEUES; q-- > 1;) {
		struct tcp_mini *m = mini_first(&s->tcp->half_open, q);

		if (!m)
			continue;
		end_entry(s, m, TG_LISTEN, TG_CAUSE_HALF_OPEN_EVICTED);
		return true;
	}
	return false;
}

/* No room is left for another entry of this port: the table is full, or a flood of SYNs to one port
 * has taken three quarters of it, the rest being for the others. */
static bool no_room(const struct tg *s, const struct tcp_port *port)
{
	uint32_t max = s->cfg.tcp.max_half_open;

	return s->tcp->half_open.n_used >= max || port->half_open >= max - max / 4;
}

/* [4987 3.6] Is this SYN to be answered without remembering it? Not one that has just ended a
 * TIME-WAIT entry: there is room for that one's successor, whose ISS must be beyond its numbers. */
static bool wants_cookie(const struct tcp_conn *l, const struct tcp_rx *r)
{
	uint8_t mode = r->s->cfg.tcp.syncookies;

	return !r->has_iss_min && mode && (mode == 2 || no_room(r->s, l->port));
}

static void answer_with_cookie(struct tcp_conn *l, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tcp_mini m = {.rport = r->g.src_port,
		.lport = r->g.dst_port,
		.laddr = (uint16_t)ip_addr_index(s, &r->ip->dst)};

	if (l->listener->queued >= l->listener->backlog) { /* its ACK would be in vain */
		tcp_discard(r, l, TG_DROP_TCP_ACCEPT_FULL);
		return;
	}
	memcpy(m.raddr, r->ip->src.b, sizeof(m.raddr));
	fill_entry(s, l, &m, r);
	tcp_cookie_make(s, l->port, r, &m);
	RULE_OF(s, half_open_of(&m), SYN_COOKIE_SENT, m.snd_nxt.v);
	send_syn_ack(s, l, &m, true);
	pkt_deliver(s, r->p);
	r->p = NULL;
}

static void accept_syn(struct tcp_conn *l, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct mini_table *t = &s->tcp->half_open;
	struct mini_key k = {
		r->ip->src, r->g.src_port, r->g.dst_port, (uint16_t)ip_addr_index(s, &r->ip->dst)};
	struct tcp_mini *m = NULL;
	bool room = t->n_used < s->cfg.tcp.max_half_open || r->has_iss_min || evict_one(s);

	if (room && ip_addr_index(s, &r->ip->dst) >= 0)
		m = mini_add(s, t, &k, r->hash);
	if (!m && s->cfg.tcp.syncookies && !r->has_iss_min) { /* no memory for a record */
		answer_with_cookie(l, r);
		return;
	}
	if (!m) {
		tcp_discard(r, l, TG_DROP_TCP_HALF_OPEN_FULL);
		return;
	}
	fill_entry(s, l, m, r);
	tcp_port_get(s, m->lport)->half_open++; /* exists: the listener holds it */
	RULE_OF(s, half_open_of(m), LISTEN_SYN, r->g.seq.v, m->snd_nxt.v);
	tcp_trace_mini(s, m, TG_LISTEN, TG_SYN_RECEIVED, TG_CAUSE_SYN);
	send_syn_ack(s, l, m, false);
	mini_enqueue(s, t, m, 0, timeout_ns(s, 0));
	arm_timer(s);
	pkt_deliver(s, r->p);
	r->p = NULL;
}

/* ---- From half-open to a connection ---- */

/* A connection record in SYN-RECEIVED with all that the entry knows; NULL: no memory. */
static struct tcp_conn *grow_up(
	struct tg *s, const struct tcp_mini *m, struct tcp_conn *l, const struct tcp_rx *r)
{
	struct tcp_conn *c = tcp_conn_new(s, 0);

	if (!c)
		return NULL;
	tcp_init_state(c, TG_SYN_RECEIVED);
	c->passive = true;
	c->laddr = r->ip->dst;
	c->raddr = r->ip->src;
	c->lport = m->lport;
	c->rport = m->rport;
	c->rcvbuf = l->rcvbuf;
	c->sndbuf = l->sndbuf;
	c->notsent_lowat = l->notsent_lowat;
	c->rcvbuf_locked = l->rcvbuf_locked;
	c->sndbuf_locked = l->sndbuf_locked;
	c->nodelay = l->nodelay;
	c->keepalive = l->keepalive;
	c->keep_idle_s = l->keep_idle_s;
	c->keep_intvl_s = l->keep_intvl_s;
	c->keep_cnt = l->keep_cnt;
	c->ttl = l->ttl;
	c->tos = l->tos;
	c->pmtu = l->pmtu;
	c->recverr = l->recverr;
	c->user_timeout_ns = l->user_timeout_ns;
	c->linger_ns = l->linger_ns;
	c->mss_user = l->mss_user;
	c->cc.ops = l->cc.ops;
	c->pace_max = l->pace_max;
	c->ws_ok = (m->flags & MINI_WS) != 0;
	c->ts_ok = (m->flags & MINI_TS) != 0;
	c->sack_ok = (m->flags & MINI_SACK) != 0;
	c->ecn_sent = c->ecn_ok = c->ecn_reflects = m->syn.ecn != 0;
	c->snd_wscale = mini_snd_wscale(m);
	c->rcv_wscale = mini_rcv_wscale(m);
	c->mss_peer = m->syn.mss;
	c->ts_recent = m->ts_recent;
	c->ts_recent_ns = s->now_ns;
	c->ts_offset = tcp_ts_offset(s, &c->laddr, c->lport, &c->raddr, c->rport);
	c->syn_retrans = m->queue;
	c->iss = m->snd_nxt;
	c->snd.una = c->iss;
	c->snd.nxt = seq_add(c->iss, 1);
	c->snd.max = c->snd.nxt;
	c->irs = seq_sub(m->rcv_nxt, 1);
	c->rcv.nxt = m->rcv_nxt;
	c->rcv.last_ack = m->rcv_nxt;
	c->rcv.up = m->rcv_nxt;
	c->rcv.adv = seq_add(m->rcv_nxt, half_open_wnd(c->rcvbuf, m));
	/* [6298 2.2] the handshake's round trip, unless the SYN-ACK was sent twice [6298 3] */
	if (!(m->flags & MINI_RESENT))
		tcp_rtt_sample(s, c,
			(uint64_t)((uint32_t)(s->now_ns / NS_PER_US) - m->syn.sent_us) * NS_PER_US);
	return c;
}

/* The connection that a half-open one becomes, in the tables; NULL: not now, r is discarded. */
static struct tcp_conn *adopt(const struct tcp_mini *m, struct tcp_conn *l, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tcp_conn *c;

	if (l->listener->queued >= l->listener->backlog) {
		tcp_discard(r, l, TG_DROP_TCP_ACCEPT_FULL); /* the SYN-ACK will be retransmitted */
		return NULL;
	}
	c = grow_up(s, m, l, r);
	if (!c || !tcp_hash_conn(s, c, r->hash)) {
		tcp_conn_free(s, c);
		tcp_discard(r, l, TG_DROP_NO_MEMORY);
		return NULL;
	}
	c->parent = l;
	return c;
}

/* The last ACK of the handshake: from here on the eight steps of 3.10.7.4 do the rest. */
static void complete(struct tcp_mini *m, struct tcp_conn *l, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tcp_conn *c = adopt(m, l, r);

	if (!c)
		return;
	/* The entry's hold on the port passes to the connection. */
	c->port = l->port;
	c->port->half_open--;
	mini_del(s, &s->tcp->half_open, m, r->hash);
	arm_timer(s);
	tcp_process(c, r);
}

/* [4987 3.6] An ACK that nothing is known of: of a handshake whose SYN was answered by a cookie?
 * made: the entry of the same peer that a later SYN of its found room for, or NULL. False: no, or
 * too late. */
static bool cookie_ack(struct tcp_conn *l, struct tcp_mini *made, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tcp_mini m;
	struct tcp_conn *c;

	if (!tcp_cookie_read(s, r, &m)) {
		s->counters.tcp_syncookies_failed++;
		return false;
	}
	if (m.flags & MINI_WS)
		m.syn.scales |= (uint8_t)(tcp_rcv_wscale(s, l) << 4);
	RULE_OF(s, half_open_of(&m), SYN_COOKIE_GOOD, r->g.ack.v);
	s->counters.tcp_syncookies_recv++;
	c = adopt(&m, l, r);
	if (!c)
		return true;
	c->port = tcp_port_get(s, m.lport); /* exists: the listener holds it */
	if (made) {
		end_entry(s, made, TG_LISTEN, TG_CAUSE_SYN_COOKIE);
		arm_timer(s);
	}
	tcp_trace_mini(s, &m, TG_LISTEN, TG_SYN_RECEIVED, TG_CAUSE_SYN_COOKIE);
	tcp_process(c, r);
	return true;
}

/* ---- LISTEN ---- */

void tcp_listen_segment(struct tcp_conn *l, struct tcp_rx *r)
{
	/* [9293 3.10.7.2] first: RST is ignored */
	if (r->g.flags & TCP_RST) {
		tcp_discard(r, l, TG_DROP_TCP_LISTEN_RST);
		return;
	}
	/* second: any acknowledgment is bad here: <SEQ=SEG.ACK><CTL=RST> */
	if (r->g.flags & TCP_ACK) {
		if ((r->g.flags & TCP_SYN) || !tcp_cookie_expected(r->s, l->port)) {
			tcp_send_rst_for(r);
			tcp_discard(r, l, TG_DROP_TCP_LISTEN_ACK);
		} else if (!cookie_ack(l, NULL, r)) {
			tcp_send_rst_for(r);
			tcp_discard(r, l, TG_DROP_TCP_SYN_COOKIE);
		}
		return;
	}
	/* third: SYN. Text or FIN that come with it are left for the peer to send again. */
	if (r->g.flags & TCP_SYN) {
		if (wants_cookie(l, r))
			answer_with_cookie(l, r);
		else
			accept_syn(l, r);
		return;
	}
	/* fourth: anything else should not come */
	tcp_discard(r, l, TG_DROP_TCP_LISTEN_OTHER);
}

/* ---- Segments to half-open connections ---- */

/* Is SEG acceptable [9293 3.10.7.4-1]? RCV.WND is what the SYN-ACK offered. */
static bool acceptable(const struct tcp_conn *l, const struct tcp_mini *m, const struct tcp_rx *r)
{
	uint32_t wnd = half_open_wnd(l->rcvbuf, m);

	if (r->g.len == 0)
		return seq_in(r->g.seq, m->rcv_nxt, wnd);
	return seq_in(r->g.seq, m->rcv_nxt, wnd) ||
	       seq_in(seq_add(r->g.seq, r->g.len - 1), m->rcv_nxt, wnd);
}

static void syn_received_rst(const struct tcp_conn *l, struct tcp_mini *m, struct tcp_rx *r)
{
	struct tg *s = r->s;

	/* [9293 3.10.7.4-2] a passive OPEN returns to LISTEN, without a word to the user;
	 * [5961 3.2] if exact */
	if (seq_eq(r->g.seq, m->rcv_nxt)) {
		end_entry(s, m, TG_LISTEN, TG_CAUSE_RST_TO_LISTEN);
		arm_timer(s);
		pkt_deliver(s, r->p);
		r->p = NULL;
		return;
	}
	if (acceptable(l, m, r)) {
		if (mini_may_ack(s, m))
			send_ack(s, l, m);
		tcp_discard(r, NULL, TG_DROP_TCP_RST_CHALLENGE);
		return;
	}
	tcp_discard(r, NULL, TG_DROP_TCP_RST_OUTSIDE);
}

void tcp_syn_segment(struct tcp_mini *m, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tcp_conn *l = tcp_pick_listener(s, &r->ip->dst, r->g.dst_port, r->hash);
	uint8_t flags = r->g.flags;
	bool ts = (r->g.opts.has & TCP_HAS_TS) != 0;

	ASSERT(l); /* a listener takes its half-open connections along */
	if (flags & TCP_RST) {
		syn_received_rst(l, m, r);
		return;
	}
	/* The SYN again: our SYN-ACK was lost. */
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && seq_eq(seq_add(r->g.seq, 1), m->rcv_nxt)) {
		m->flags |= MINI_RESENT;
		if (!tcp_ecn_accepts(r)) /* [3168 6.1.1.1] the peer has fallen back */
			m->syn.ecn = 0;
		send_syn_ack(s, l, m, false);
		tcp_discard(r, l, TG_DROP_TCP_OLD);
		return;
	}
	if ((m->flags & MINI_TS) && !ts && !(flags & TCP_SYN)) { /* [7323-T3] */
		tcp_discard(r, l, TG_DROP_TCP_NO_TS);
		return;
	}
	if ((m->flags & MINI_TS) && ts &&
		(int32_t)(r->g.opts.tsval - m->ts_recent) < 0) { /* [7323-P1] */
		send_ack(s, l, m);
		s->counters.tcp_paws_rejected++;
		tcp_discard(r, l, TG_DROP_TCP_PAWS);
		return;
	}
	if (!acceptable(l, m, r)) { /* [9293 3.10.7.4-1] */
		if (r->g.len || mini_may_ack(s, m))
			send_ack(s, l, m);
		tcp_discard(r, l,
			seq_lt(r->g.seq, m->rcv_nxt) ? TG_DROP_TCP_OLD : TG_DROP_TCP_BEYOND_WINDOW);
		return;
	}
	/* [9293 3.10.7.4-4] another SYN in the window: a passive OPEN returns to LISTEN */
	if (flags & TCP_SYN) {
		end_entry(s, m, TG_LISTEN, TG_CAUSE_SYN);
		arm_timer(s);
		tcp_discard(r, l, TG_DROP_TCP_SYN_CHALLENGE);
		return;
	}
	if (!(flags & TCP_ACK)) { /* [9293 3.10.7.4-5] */
		tcp_discard(r, l, TG_DROP_TCP_NO_ACK);
		return;
	}
	if (!seq_eq(r->g.ack, seq_add(m->snd_nxt, 1))) { /* not SND.UNA < SEG.ACK =< SND.NXT */
		if (tcp_cookie_expected(s, l->port) && cookie_ack(l, m, r))
			return;
		tcp_send_rst_for(r);
		tcp_discard(r, l, TG_DROP_TCP_ACK_HALF_OPEN);
		return;
	}
	complete(m, l, r);
}

/* [9293 SHLD-26] it never gets anywhere; nobody knows of it yet, so nobody is told. [5927 4.1] Its
 * number is the SYN-ACK's own. */
bool tcp_syn_error(struct tg *s, struct tcp_mini *m, struct seq quoted, bool hard)
{
	if (!seq_eq(quoted, m->snd_nxt))
		return false;
	if (hard) {
		end_entry(s, m, TG_LISTEN, TG_CAUSE_ICMP_HARD);
		arm_timer(s);
	}
	return true;
}

/* ---- Timer and the end of a listener ---- */

void tcp_syn_timer_fired(struct tg *s, struct timer *t)
{
	struct mini_table *table = &s->tcp->half_open;

	(void)t;
	for (uint8_t q = MINI_QUEUES; q-- > 0;) {
		struct tcp_mini *m;

		while ((m = mini_first(table, q)) && mini_due(s, m)) {
			if (given_up(s, q)) {
				end_entry(s, m, TG_LISTEN, TG_CAUSE_RETRIES_OUT);
				continue;
			}
			m->flags |= MINI_RESENT;
			RULE_OF(s, half_open_of(m), SYN_ACK_AGAIN, q + 1u);
			send_syn_ack(s, listener_of(s, m), m, false); /* [9293 MUST-22] */
			s->counters.tcp_retrans_segs++;
			mini_enqueue(
				s, table, m, (uint8_t)(q + 1), timeout_ns(s, (uint8_t)(q + 1)));
		}
	}
	arm_timer(s);
}

/* [9293 3.10.4] CLOSE of a listener: its half-open connections would have nobody to go to. */
void tcp_syn_drop_port(struct tg *s, struct tcp_conn *listener)
{
	struct mini_table *t = &s->tcp->half_open;
	struct tg_ip laddr;

	for (uint32_t i = 1; i <= t->n_made && t->n_used > 0; i++) {
		struct tcp_mini *m = mini_at(t, i);
		struct tcp_control k;

		if (!m || m->lport != listener->lport || !ip_addr_at(s, m->laddr, &laddr))
			continue;
		if (tcp_pick_listener(s, &laddr, m->lport, 0))
			continue; /* another listener covers it */
		fill_control(s, m, NULL, &k);
		k.g.flags = TCP_RST | TCP_ACK;
		k.g.seq = seq_add(m->snd_nxt, 1);
		tcp_send_control(s, &k);
		end_entry(s, m, TG_CLOSED, TG_CAUSE_LISTENER_CLOSED);
	}
	mini_trim(s, t);
	arm_timer(s);
}
