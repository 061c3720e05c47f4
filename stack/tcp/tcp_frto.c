/* Was it needless? F-RTO tells after a retransmission timeout (RFC 5682 2.1, with SACK 3.1), the
 * timestamp of the first ACK after a retransmission (RFC 3522 3.2), and D-SACKs that cover all that
 * was sent again (RFC 3708 2). If so, what was taken for lost is not, and congestion control gives
 * back what it took (RFC 4015 3, RFC 9438 4.9). Leaves out RFC 4015's change of the RTO: an ACK
 * that shows a long round trip is measured as any other. */
#include "tcp/tcp.h"

#define FRTO_NEW_SEGS 2u /* [5682 2.1 (2b)] */

/* ---- Undo ---- */

void tcp_undo_begin(struct tcp_conn *c)
{
	c->undo_armed = true;
	c->undo_sent = false;
	c->undo_asked = false;
	c->undo_rto = false;
	c->undo_bytes = 0;
}

void tcp_undo_resent(const struct tg *s, struct tcp_conn *c, const struct tcp_range *r)
{
	if (!c->undo_armed || c->recovery == REC_OPEN)
		return;
	if (!c->undo_sent) {
		c->undo_sent = true;
		c->undo_start = r->start;
		c->undo_ts = tcp_ts_now(s, c->ts_offset);
	}
	c->undo_bytes += range_bytes(r);
}

/* From the last to the first: they go back among what is in flight in the order of their times. */
static void lost_is_in_flight(struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;

	for (struct list *at = x->ranges.prev; at != &x->ranges; at = at->prev) {
		struct tcp_range *r = list_entry(at, struct tcp_range, node);

		if (r->flags & RANGE_LOST)
			range_mark(c, r, 0, RANGE_LOST);
	}
}

static void undo(struct tg *s, struct tcp_conn *c)
{
	c->undo_armed = false;
	c->frto = FRTO_NONE;
	if (c->undo_rto) {
		s->counters.tcp_spurious_timeouts++;
	} else {
		s->counters.tcp_spurious_recoveries++;
		c->reordering_seen = true; /* what else would have misled it? */
	}
	if (c->tx)
		lost_is_in_flight(c);
	c->recovery = REC_OPEN;
	c->dup_acks = 0;
	/* [3168 6.1.2] a reduction that is given back is not the window's one */
	if (c->cc.prior_cwnd && c->tx)
		c->tx->ecn_reduced = false;
	c->cc.ops->on_undo(&c->cc);
	tcp_loss_trace(s, c, TG_CONG_UNDO);
}

/* [3522 3.2 (4), (5)] the first ACK for what was sent again echoes an older time than that of the
 * copy: it answers the original. */
static bool answers_original(struct tcp_conn *c, const struct loss_ack *a)
{
	if (c->undo_asked || !seq_gt(c->snd.una, c->undo_start))
		return false;
	c->undo_asked = true;
	return a->has_ts && (int32_t)(a->tsecr - c->undo_ts) < 0;
}

/* [3708 2] every copy has been reported as a duplicate */
static bool all_were_duplicates(struct tcp_conn *c, const struct loss_ack *a)
{
	uint32_t n;

	if (!a->dsack || seq_lt(a->dsack_start, c->undo_start) || seq_gt(a->dsack_end, c->recover))
		return false;
	n = seq_dist(a->dsack_end, a->dsack_start);
	c->undo_bytes -= min_u32(n, c->undo_bytes);
	return c->undo_bytes == 0;
}

/* What was taken for lost arrived before any of it could go again. */
static bool nothing_was_lost(const struct tcp_conn *c)
{
	return c->recovery == REC_RECOVERY && !c->undo_sent && (!c->tx || c->tx->lost_bytes == 0);
}

void tcp_undo_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a)
{
	if (!c->undo_armed || !s->cfg.tcp.undo)
		return;
	if (nothing_was_lost(c)) {
		undo(s, c);
		return;
	}
	if (!c->undo_sent)
		return;
	if (all_were_duplicates(c, a) || answers_original(c, a))
		undo(s, c);
}

/* ---- F-RTO ---- */

void tcp_frto_begin(const struct tg *s, struct tcp_conn *c, bool first)
{
	c->frto = FRTO_NONE;
	if (!first)
		return; /* [5682 2.1 (1)] the same again: nothing is learnt, nothing forgotten */
	if (c->recovery != REC_OPEN) {
		c->undo_armed = false; /* two reductions: there is no one state to go back to */
		return;
	}
	tcp_undo_begin(c);
	c->undo_rto = true;
	if (s->cfg.tcp.frto)
		c->frto = FRTO_FIRST;
}

static bool has_new_text(const struct tcp_conn *c)
{
	uint32_t flight = seq_dist(c->snd.nxt, c->snd.una);

	return tcp_unsent(c) > 0 && c->snd.wnd > flight;
}

/* [5682 2.1 (2)] */
static void first_ack(struct tcp_conn *c, const struct loss_ack *a, bool sack)
{
	if (!a->newly_acked) {
		/* (2a) a duplicate; with SACK the wait goes on [5682 3.1 (2)] */
		if (!sack && a->duplicate)
			c->frto = FRTO_NONE;
		return;
	}
	/* (2a) all of it, or (2b) a part; with nothing new to send the ordinary way is better */
	c->frto = seq_ge(c->snd.una, c->recover) || !has_new_text(c) ? FRTO_NONE : FRTO_SECOND;
}

/* [5682 2.1 (3)] True: the timeout was spurious. */
static bool second_ack(struct tcp_conn *c, const struct loss_ack *a, bool sack)
{
	bool beyond = seq_gt(c->snd.una, c->recover) ||
		      (a->newly_sacked && seq_gt(a->high_sacked, c->recover));

	if (!sack ? a->newly_acked : !beyond && (a->newly_acked || a->newly_sacked))
		return true; /* (3b) what was not sent again has arrived */
	if (sack ? beyond : a->duplicate) {
		c->frto = FRTO_NONE; /* (3a) */
		c->cc.cwnd = min_u32(c->cc.cwnd, 3 * c->cc.mss);
	}
	return false;
}

void tcp_frto_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a)
{
	bool sack = c->sack_ok && s->cfg.tcp.frto > 1;

	if (c->frto == FRTO_FIRST)
		first_ack(c, a, sack);
	else if (second_ack(c, a, sack))
		undo(s, c);
}

uint32_t tcp_frto_room(const struct tcp_conn *c)
{
	struct seq edge = seq_add(c->recover, FRTO_NEW_SEGS * c->mss);

	if (c->frto != FRTO_SECOND)
		return c->frto == FRTO_NONE ? UINT32_MAX : 0;
	return seq_gt(edge, c->snd.nxt) ? seq_dist(edge, c->snd.nxt) : 0;
}
