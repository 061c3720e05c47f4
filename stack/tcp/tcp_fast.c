/* Header prediction: the two cases that bulk transfer consists of, text in order and an ACK that
 * advances. It does nothing that the eight steps of tcp_in.c would not do, by calling the same
 * functions. */
#include "tcp/tcp.h"

/* What both cases ask: ESTABLISHED, only ACK and PSH set, next in sequence, nothing out of order,
 * no option but a fresh timestamp, and an unchanged window. */
static bool predicted(const struct tcp_conn *c, const struct tcp_rx *r)
{
	const struct tcp_seg *g = &r->g;

	if (c->state != TG_ESTABLISHED || (g->flags & ~(TCP_PSH)) != TCP_ACK)
		return false;
	if (!seq_eq(g->seq, c->rcv.nxt) || c->ooo || c->fin_parked || c->dsack)
		return false;
	if (g->opts.has != (c->ts_ok ? TCP_HAS_TS : 0))
		return false;
	if (c->ts_ok && (int32_t)(g->opts.tsval - c->ts_recent) < 0)
		return false;
	return r->wnd == c->snd.wnd && c->snd.wnd > 0;
}

static void adopt_ts(struct tcp_conn *c, const struct tcp_rx *r)
{
	if (c->ts_ok && seq_le(r->g.seq, c->rcv.last_ack)) {
		c->ts_recent = r->g.opts.tsval;
		c->ts_recent_ns = r->s->now_ns;
	}
}

bool tcp_fast(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	uint32_t n = r->g.text_bytes;

	if (!s->cfg.tcp.fast_path || !predicted(c, r))
		return false;
	if (n == 0) {
		/* A pure ACK of new data, outside of recovery. */
		if (!seq_lt(c->snd.una, r->g.ack) || seq_gt(r->g.ack, c->snd.nxt) ||
			c->recovery != REC_OPEN || c->dup_acks || !c->syn_acked)
			return false;
		RULE(s, c, FAST_ACK, c->snd.una.v, r->g.ack.v);
		tcp_timers_segment_received(s, c);
		adopt_ts(c, r);
		tcp_window_update(c, r);
		tcp_ack_advance(c, r);
		s->counters.tcp_fast_path_acks++;
		return true;
	}
	/* Text within the window that acknowledges nothing new. */
	if (!seq_eq(r->g.ack, c->snd.una) || n > seq_dist(c->rcv.adv, c->rcv.nxt) ||
		(c->ep.index == 0 && !c->in_accept_queue))
		return false;
	RULE(s, c, FAST_TEXT, r->g.seq.v, n);
	tcp_timers_segment_received(s, c);
	adopt_ts(c, r);
	tcp_window_update(c, r);
	tcp_ecn_text_in(c, r);
	pkt_pull(r->p, r->g.hdr_bytes);
	tcp_note_segment_size(c, r);
	if (tcp_text_in_order(c, r))
		tcp_timers_text_received(s, c);
	s->counters.tcp_fast_path_data++;
	return true;
}
