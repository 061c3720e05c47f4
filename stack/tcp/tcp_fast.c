/* Header prediction: what bulk transfer consists of, text in order and ACKs that advance, and what
 * requests and replies are, both in one. It does nothing that the eight steps of tcp_in.c would not
 * do, by calling the same functions. */
#include "tcp/tcp.h"

/* Not predicted: counts why. */
static bool miss(uint64_t *why)
{
	++*why;
	return false;
}

/* What both cases ask: ESTABLISHED, only ACK and PSH set, next in sequence, nothing out of order,
 * no option but a fresh timestamp, and a window that neither opens nor closes. */
static bool predicted(const struct tcp_conn *c, const struct tcp_rx *r)
{
	const struct tcp_seg *g = &r->g;
	struct tg_counters *k = &r->s->counters;

	if (c->state != TG_ESTABLISHED)
		return miss(&k->tcp_slow_state);
	if ((g->flags & ~(TCP_PSH)) != TCP_ACK)
		return miss(&k->tcp_slow_flags);
	if (!seq_eq(g->seq, c->rcv.nxt) || c->ooo || c->fin_parked || c->dsack)
		return miss(&k->tcp_slow_order);
	if (g->opts.has != (c->ts_ok ? TCP_HAS_TS : 0) ||
		(c->ts_ok && (int32_t)(g->opts.tsval - c->ts_recent) < 0))
		return miss(&k->tcp_slow_options);
	if (r->wnd == 0 || c->snd.wnd == 0)
		return miss(&k->tcp_slow_window);
	return true;
}

static void adopt_ts(struct tcp_conn *c, const struct tcp_rx *r)
{
	if (c->ts_ok && seq_le(r->g.seq, c->rcv.last_ack)) {
		c->ts_recent = r->g.opts.tsval;
		c->ts_recent_ns = r->s->now_ns;
	}
}

/* An ACK that advances, outside of recovery. */
static bool plain_advance(const struct tcp_conn *c, const struct tcp_rx *r)
{
	return seq_lt(c->snd.una, r->g.ack) && seq_le(r->g.ack, c->snd.nxt) &&
	       c->recovery == REC_OPEN && !c->dup_acks && c->syn_acked;
}

/* Text within the window that somebody will read. */
static bool text_fits(const struct tcp_conn *c, const struct tcp_rx *r)
{
	return r->g.text_bytes <= seq_dist(c->rcv.adv, c->rcv.nxt) &&
	       (c->ep.index != 0 || c->in_accept_queue);
}

static void take_text(struct tcp_conn *c, struct tcp_rx *r)
{
	RULE(r->s, c, FAST_TEXT, r->g.seq.v, r->g.text_bytes);
	tcp_ecn_text_in(c, r);
	pkt_pull(r->p, r->g.hdr_bytes);
	tcp_note_segment_size(c, r);
	if (tcp_text_in_order(c, r))
		tcp_timers_text_received(r->s, c);
	r->s->counters.tcp_fast_path_data++;
}

bool tcp_fast(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	bool text = r->g.text_bytes > 0, advance;

	if (!s->cfg.tcp.fast_path || !predicted(c, r))
		return false;
	advance = plain_advance(c, r);
	if (!advance && !(text && seq_eq(r->g.ack, c->snd.una)))
		return miss(&s->counters.tcp_slow_ack);
	if (text && !text_fits(c, r))
		return miss(&s->counters.tcp_slow_room);
	tcp_timers_segment_received(s, c);
	adopt_ts(c, r);
	tcp_window_update(c, r);
	if (advance) {
		RULE(s, c, FAST_ACK, c->snd.una.v, r->g.ack.v);
		tcp_ack_advance(c, r);
	}
	if (text)
		take_text(c, r);
	else
		s->counters.tcp_fast_path_acks++;
	return true;
}
