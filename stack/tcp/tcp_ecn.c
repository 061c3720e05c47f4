/* Explicit congestion notification (RFC 3168 6.1, as RFC 8311 and RFC 9293 3.8.2 leave it): what
 * the handshake agrees on, ECT on new text, CE marks reported by ECE until CWR comes, ECE taken for
 * a loss that needs no retransmission, once a window.
 *
 * ECT(1) is received like ECT(0) and never sent [8311 3]; the nonce and the bit of RFC 9768 are
 * ignored. Left out: ECT on control packets and retransmissions, which RFC 8311 4.3 only allows for
 * experiments. */
#include "tcp/tcp.h"

#define ECN_MASK 0x03u
#define ECN_ECT0 0x02u
#define ECN_CE   0x03u

#define SETUP (TCP_ECE | TCP_CWR)

/* ---- The handshake ---- */

/* [3168 6.1.1] an ECN-setup SYN has both flags, an ECN-setup SYN-ACK has ECE alone: one that has
 * both was sent by who reflects what it does not understand */
static bool is_setup(const struct tcp_seg *g)
{
	return (g->flags & SETUP) == (g->flags & TCP_ACK ? TCP_ECE : SETUP);
}

/* [9293 SHLD-8] */
bool tcp_ecn_accepts(const struct tcp_rx *r)
{
	/* [3168 6.1.1] ECT is never on a SYN: a path that marks it would mark everything */
	return r->s->cfg.tcp.ecn != 0 && is_setup(&r->g) && (r->ip->tos & ECN_MASK) == 0;
}

bool tcp_ecn_fall_back(struct tg *s, struct tcp_conn *c)
{
	if (c->state != TG_SYN_SENT || !c->ecn_offered)
		return false;
	c->ecn_offered = false;
	s->counters.tcp_ecn_fallbacks++;
	return true;
}

void tcp_ecn_syn_in(struct tcp_conn *c, const struct tcp_rx *r)
{
	bool setup = is_setup(&r->g);

	/* [3168 6.1.1] whoever sent an ECN-setup SYN has to report marks, even if it fell back
	 * later; to mark text, it must have sent and received nothing else */
	if (c->state == TG_SYN_SENT) {
		c->ecn_reflects = setup && c->ecn_sent;
		c->ecn_ok = setup && c->ecn_offered;
	} else if (!setup) { /* simultaneous open: the SYN-ACK takes the SYN's word back */
		c->ecn_reflects = false;
		c->ecn_ok = false;
	}
}

/* ---- What is sent ---- */

/* [3168 6.1.4, 6.1.5, 6.1.6] neither ACKs nor retransmissions nor probes of a closed window: of
 * these a loss might go unnoticed, and so would the congestion that it stands for */
static bool is_new_text(const struct tcp_conn *c, struct seq seq, uint32_t text_bytes, uint8_t how)
{
	return text_bytes && how != EMIT_AGAIN && how != EMIT_PROBE && seq_ge(seq, c->snd.max) &&
	       seq_le(seq_add(seq, text_bytes), seq_add(c->snd.una, c->snd.wnd));
}

void tcp_ecn_mark_out(
	struct tcp_conn *c, struct tcp_seg *g, uint32_t text_bytes, uint8_t how, uint8_t *tos)
{
	if (g->flags & TCP_RST)
		return;
	if (g->flags & TCP_SYN) {
		if (c->state == TG_SYN_SENT && c->ecn_offered)
			g->flags |= SETUP; /* [3168 6.1.1] */
		else if (c->state == TG_SYN_RECEIVED && c->ecn_ok)
			g->flags |= TCP_ECE;
		c->ecn_sent = c->ecn_sent || (g->flags & TCP_ECE);
		return;
	}
	if (c->ecn_echo)
		g->flags |= TCP_ECE; /* [3168 6.1.3] until CWR: this ACK may get lost */
	if (!c->ecn_ok || !is_new_text(c, g->seq, text_bytes, how))
		return;
	*tos = (uint8_t)((*tos & ~ECN_MASK) | ECN_ECT0); /* [3168 6.1.2] */
	if (c->ecn_cwr_due)
		g->flags |= TCP_CWR; /* [3168 6.1.2] on the first new text */
}

/* ---- What is received ---- */

void tcp_ecn_text_in(struct tcp_conn *c, const struct tcp_rx *r)
{
	uint8_t ecn = r->ip->tos & ECN_MASK;

	if (!c->ecn_reflects)
		return;
	c->ecn_seen = c->ecn_seen || ecn;
	/* [3168 6.1.3] the peer has reduced its window; at once, as it may be a small one */
	if (r->g.flags & TCP_CWR) {
		c->ecn_echo = false;
		c->ack_now = true;
	}
	if (ecn != ECN_CE)
		return;
	r->s->counters.tcp_ecn_ce_in += pkt_frames(r->p);
	/* [3168 6.1.3] a mark on the segment with CWR itself counts too; the first of a row is not
	 * delayed */
	if (!c->ecn_echo)
		c->ack_now = true;
	c->ecn_echo = true;
}

/* ---- The congestion window ---- */

static void trace_reduction(struct tg *s, const struct tcp_conn *c)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_CONGESTION);

	if (!t)
		return;
	tcp_trace_fill(t, c);
	t->a = TG_CONG_ECN;
	t->seq = c->cc.cwnd;
	t->ack = c->cc.ssthresh;
	t->len = seq_dist(c->snd.nxt, c->snd.una);
}

void tcp_ecn_reduced(struct tcp_conn *c)
{
	if (!c->ecn_ok || !c->tx)
		return;
	c->ecn_cwr_due = true;
	c->tx->ecn_reduced = true;
	c->tx->ecn_high = c->snd.nxt;
}

bool tcp_ecn_in_window(const struct tcp_conn *c)
{
	/* without an ssthresh there was no reduction, whatever the peer was told */
	return c->tx && c->tx->ecn_reduced && seq_lt(c->snd.una, c->tx->ecn_high) &&
	       c->cc.ssthresh != CC_SSTHRESH_NONE;
}

bool tcp_ecn_ack_in(struct tcp_conn *c, const struct tcp_rx *r)
{
	struct tg *s = r->s;

	if (!c->ecn_ok || !(r->g.flags & TCP_ECE) || (r->g.flags & TCP_SYN))
		return false;
	s->counters.tcp_ecn_echoes_in++;
	if (!c->tx || list_empty(&c->tx->ranges))
		return true;
	/* [3168 6.1.2] once a window: what is acknowledged here was sent before the last reduction,
	 * be it for a mark or for a loss; to send again what was too large reduces nothing */
	if (c->tx->ecn_reduced && seq_le(r->g.ack, c->tx->ecn_high))
		return true;
	/* here a proportional rate reduction would begin, as in recovery [9937 4] */
	c->cc.ops->on_ecn(&c->cc, seq_dist(c->snd.nxt, c->snd.una), s->now_ns);
	tcp_ecn_reduced(c);
	s->counters.tcp_ecn_reductions++;
	trace_reduction(s, c);
	return true;
}
