/* TIME-WAIT (RFC 9293 3.6.1, 3.10.7.4, 3.10.8) in 64 bytes a connection. A socket that its user
 * still holds keeps its record for reading what was received; the entry here answers the segments.
 * Timestamps let a new connection take an entry's place early: one that the peer opens (RFC 6191),
 * and, as Linux's tcp_tw_reuse has it, one of our own. */
#include "tcp/tcp.h"

#define TW_QUEUE 0u

static void arm_timer(struct tg *s)
{
	struct tcp_mini *m = mini_first(&s->tcp->time_wait, TW_QUEUE);

	if (m)
		timer_arm(s, &s->tcp->tw_timer, mini_deadline_ns(s, m));
	else
		timer_stop(s, &s->tcp->tw_timer);
}

static void restart_2msl(struct tg *s, struct tcp_mini *m)
{
	mini_enqueue(
		s, &s->tcp->time_wait, m, TW_QUEUE, 2 * s->cfg.tcp.msl_ns); /* [9293 MUST-13] */
	arm_timer(s);
}

static struct tcp_conn *owner_of(const struct tg *s, const struct tcp_mini *m)
{
	struct endpoint *e = m->tw.owner ? handle_next(s, m->tw.owner) : NULL;

	if (!e || e->index != m->tw.owner)
		return NULL;
	return (struct tcp_conn *)e;
}

static void end_entry(struct tg *s, struct tcp_mini *m, enum tg_cause why)
{
	struct tcp_conn *c = owner_of(s, m);
	struct tcp_port *port = tcp_port_find(s, m->lport);

	if (!c)
		tcp_trace_mini(s, m, TG_TIME_WAIT, TG_CLOSED, why);
	mini_del(s, &s->tcp->time_wait, m, mini_hash(s, m));
	if (c) {
		c->tw = NULL;
		tcp_set_state(s, c, TG_CLOSED, why);
		tcp_notify(s, c);
	}
	tcp_port_put(s, port);
}

void tcp_tw_disown(struct tcp_conn *c)
{
	if (c->state == TG_TIME_WAIT && c->tw)
		c->tw->tw.owner = 0;
}

void tcp_enter_time_wait(struct tg *s, struct tcp_conn *c, enum tg_cause why)
{
	struct mini_table *t = &s->tcp->time_wait;
	struct mini_key k = {c->raddr, c->rport, c->lport, (uint16_t)ip_addr_index(s, &c->laddr)};
	uint32_t hash = c->hash.hash;
	struct tcp_mini *m;

	if (t->n_used >= s->cfg.tcp.max_time_wait) {
		m = mini_first(t, TW_QUEUE);
		if (m)
			end_entry(s, m, TG_CAUSE_TIME_WAIT_EVICTED);
	}
	RULE(s, c, TIME_WAIT_BEGINS, rule_us(2 * s->cfg.tcp.msl_ns));
	tcp_set_state(s, c, TG_TIME_WAIT, why);
	tcp_timers_stop(s, c);
	m = ip_addr_index(s, &c->laddr) >= 0 ? mini_add(s, t, &k, hash) : NULL;
	if (!m) {
		c->tw = NULL;
		tcp_conn_end(s, c, TG_CAUSE_NO_MEMORY, 0);
		return;
	}
	m->flags |= c->ts_ok ? MINI_TS : 0;
	m->ts_recent = c->ts_recent;
	m->snd_nxt = c->snd.nxt;
	m->rcv_nxt = c->rcv.nxt;
	m->tw.wnd = (uint16_t)min_u32(tcp_window_offer(s, c, false) >> c->rcv_wscale, 65535);
	m->tw.owner = c->ep.index;
	c->tw = m;
	tcp_port_get(
		s, c->lport); /* the entry's own hold on the port: it exists, so this cannot fail */
	restart_2msl(s, m);
	tcp_unhash_conn(s, c);
	tcp_notify(s, c); /* the end of the stream, and the text before it, can be read */
	tcp_conn_release(s, c);
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> */
static void ack_entry(struct tg *s, const struct tcp_mini *m)
{
	struct tcp_control k;

	memset(&k, 0, sizeof(k));
	ip_addr_at(s, m->laddr, &k.src);
	memcpy(&k.dst, m->raddr, sizeof(k.dst));
	k.g.src_port = m->lport;
	k.g.dst_port = m->rport;
	k.g.flags = TCP_ACK;
	k.g.seq = m->snd_nxt;
	k.g.ack = m->rcv_nxt;
	k.g.wnd = m->tw.wnd;
	if (m->flags & MINI_TS) {
		k.g.opts.has = TCP_HAS_TS;
		k.g.opts.tsval =
			tcp_ts_now(s, tcp_ts_offset(s, &k.src, m->lport, &k.dst, m->rport));
		k.g.opts.tsecr = m->ts_recent;
	}
	k.ttl = s->cfg.ip.default_ttl;
	tcp_send_control(s, &k);
}

/* A new incarnation may begin when nothing of the old one can be confused with it. */
static bool may_be_reused(const struct tcp_mini *m, const struct tcp_rx *r)
{
	bool later = seq_ge(r->g.seq, m->rcv_nxt); /* than all that the peer had used */
	bool ts = (r->g.opts.has & TCP_HAS_TS) && r->s->cfg.tcp.timestamps;

	if (ts && (m->flags & MINI_TS)) {
		/* [6191 2, 9293 SHLD-4] a later timestamp, or the same and a later number */
		int32_t newer = (int32_t)(r->g.opts.tsval - m->ts_recent);

		return newer > 0 || (newer == 0 && later);
	}
	/* [6191 2] timestamps now, but not before: PAWS will tell what is old by their absence */
	return ts || later; /* [9293 MAY-2] */
}

static struct seq beyond(const struct tcp_mini *m)
{
	return seq_add(m->snd_nxt, 65536);
}

/* May an active OPEN of ours take its place? Its timestamps go on where the old ones ended: they
 * must be later by a second, so that PAWS at the peer knows old from new [7323 5.3, 6191 4]. */
bool tcp_tw_gives_way(const struct tg *s, const struct tcp_mini *m)
{
	uint64_t left_ns = mini_deadline_ns(s, m) - s->now_ns, all_ns = 2 * s->cfg.tcp.msl_ns;
	struct tg_ip remote;

	memcpy(&remote, m->raddr, sizeof(remote));
	if (s->cfg.tcp.tw_reuse == 0 || (s->cfg.tcp.tw_reuse == 2 && !ip_is_loopback(&remote)))
		return false;
	return (m->flags & MINI_TS) && (int64_t)(all_ns - left_ns) >= (int64_t)NS_PER_SEC;
}

bool tcp_tw_take_over(struct tg *s, const struct tcp_conn *c, struct seq *iss_min)
{
	struct mini_key k = {c->raddr, c->rport, c->lport, (uint16_t)ip_addr_index(s, &c->laddr)};
	struct tcp_mini *m = mini_find(s, &s->tcp->time_wait, &k, c->hash.hash);

	if (!m)
		return false;
	*iss_min = beyond(m);
	s->counters.tcp_time_wait_reused++;
	end_entry(s, m, TG_CAUSE_TIME_WAIT_REUSED);
	arm_timer(s);
	return true;
}

bool tcp_tw_segment(struct tcp_mini *m, struct tcp_rx *r)
{
	struct tg *s = r->s;
	uint8_t flags = r->g.flags;
	uint32_t wnd = (uint32_t)m->tw.wnd;
	bool in_window;

	if ((flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_SYN && may_be_reused(m, r) &&
		tcp_find_listener(s, &r->ip->dst, r->g.dst_port)) {
		RULE_OF(s, (struct rule_of){0}, TIME_WAIT_NEW, r->g.seq.v);
		r->has_iss_min = true; /* [9293 MAY-2] beyond any number of the old connection */
		r->iss_min = beyond(m);
		s->counters.tcp_time_wait_reused++;
		end_entry(s, m, TG_CAUSE_TIME_WAIT_REUSED);
		return false;
	}
	in_window = seq_eq(r->g.seq, m->rcv_nxt) || seq_in(r->g.seq, m->rcv_nxt, wnd);
	if (flags & TCP_RST) {
		/* [9293 3.10.7.4-2, 5961 3.2] exactly RCV.NXT ends it, elsewhere in the window is
		 * challenged */
		if (seq_eq(r->g.seq, m->rcv_nxt)) {
			pkt_deliver(s, r->p);
			r->p = NULL;
			end_entry(s, m, TG_CAUSE_RST);
			return true;
		}
		if (in_window && mini_may_ack(s, m))
			ack_entry(s, m);
		tcp_discard(
			r, NULL, in_window ? TG_DROP_TCP_RST_CHALLENGE : TG_DROP_TCP_RST_OUTSIDE);
		return true;
	}
	/* [9293 3.10.7.4-8] the peer's FIN again: our ACK was lost */
	if ((flags & TCP_FIN) && seq_eq(seq_add(r->g.seq, r->g.len), m->rcv_nxt)) {
		if ((m->flags & MINI_TS) && (r->g.opts.has & TCP_HAS_TS) &&
			(int32_t)(r->g.opts.tsval - m->ts_recent) > 0)
			m->ts_recent = r->g.opts.tsval; /* [6191 2] the last that was seen */
		RULE_OF(s, (struct rule_of){0}, TIME_WAIT_FIN, r->g.seq.v);
		ack_entry(s, m);
		restart_2msl(s, m);
		pkt_deliver(s, r->p);
		r->p = NULL;
		return true;
	}
	if (flags & TCP_SYN) {
		ack_entry(s, m); /* [5961 4.2] */
		tcp_discard(r, NULL, TG_DROP_TCP_SYN_CHALLENGE);
		return true;
	}
	/* [9293 3.10.7.4-1] not acceptable: an ACK says what is expected; an exact, empty ACK needs
	 * none */
	if (r->g.len > 0 || (!seq_eq(r->g.seq, m->rcv_nxt) && mini_may_ack(s, m)))
		ack_entry(s, m);
	tcp_discard(r, NULL, TG_DROP_TCP_TIME_WAIT);
	return true;
}

void tcp_tw_timer_fired(struct tg *s, struct timer *t)
{
	struct tcp_mini *m;

	(void)t;
	while ((m = mini_first(&s->tcp->time_wait, TW_QUEUE)) && mini_due(s, m))
		end_entry(s, m, TG_CAUSE_TWO_MSL); /* [9293 3.10.8] */
	arm_timer(s);
}
