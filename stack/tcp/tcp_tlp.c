/* Tail loss probes (RFC 8985 7): when the end of a flight is lost no ACK tells so. One segment sent
 * before the RTO draws one, and with it RACK finds the loss. */
#include "tcp/tcp.h"

/* [8985-3, -12] with RACK alone, not in recovery, which begins with what is lost, and not while
 * SACK tells already; nor when the peer took back the window for what would go again [9293 SHLD-16]
 */
static bool is_quiet(const struct tg *s, const struct tcp_conn *c)
{
	return s->cfg.tcp.tlp && tcp_rack_on(s, c) && c->recovery == REC_OPEN && c->tx &&
	       !list_empty(&c->tx->ranges) && c->tx->sacked_bytes == 0 &&
	       seq_dist(c->snd.nxt, c->snd.una) <= c->snd.wnd;
}

uint64_t tcp_tlp_pto(const struct tg *s, const struct tcp_conn *c)
{
	uint64_t pto_ns;

	if (!is_quiet(s, c) || c->tlp_out || c->tlp_due)
		return NEVER_NS;
	if (c->srtt_ns == 0)
		return NS_PER_SEC; /* [8985-11] */
	pto_ns = max_u64(2 * c->srtt_ns, s->cfg.tcp.tlp_min_ns);
	/* [8985-11] FlightSize is one segment: its ACK may be delayed. So may that of several which
	 * together are less than the two full-sized ones that have to be answered [5681 4.2]. */
	if (seq_dist(c->snd.nxt, c->snd.una) < 2u * c->mss || c->tlp_patient)
		pto_ns += s->cfg.tcp.tlp_ack_delay_ns;
	return pto_ns;
}

bool tcp_tlp_may_probe(const struct tg *s, const struct tcp_conn *c)
{
	/* [8985-13] no other in flight, and a round trip was measured since the last */
	return is_quiet(s, c) && !c->tlp_out && c->tlp_sampled;
}

void tcp_tlp_sent(struct tcp_conn *c, bool again)
{
	c->tlp_out = true;
	c->tlp_again = again;
	c->tlp_end = c->snd.nxt;
	c->tlp_sampled = false;
}

void tcp_tlp_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a)
{
	if (!c->tlp_out || seq_lt(c->snd.una, c->tlp_end))
		return;
	if (!c->tlp_again) { /* new text got there: SACK tells of what did not */
		c->tlp_out = false;
		return;
	}
	if (a->dsack && seq_eq(a->dsack_end, c->tlp_end)) {
		c->tlp_out = false; /* both copies arrived: nothing was lost */
		c->tlp_patient = true;
	} else if (seq_gt(c->snd.una, c->tlp_end)) {
		c->tlp_out = false;
		if (c->recovery != REC_OPEN)
			return; /* cwnd has been reduced */
		/* [8985-14] nothing tells of a second copy: the probe has repaired a loss */
		if (!tcp_ecn_in_window(c)) /* [3168 6.1.2] one reduction a window */
			c->cc.ops->on_loss(&c->cc, c->cc.cwnd, s->now_ns);
		tcp_ecn_reduced(c);
		c->undo_armed = false;
		tcp_loss_trace(s, c, TG_CONG_RECOVERED);
	} else if (a->repeated && !a->sack_present) {
		c->tlp_out = false; /* the second copy's answer, of a receiver without D-SACK */
		c->tlp_patient = true;
	}
}
