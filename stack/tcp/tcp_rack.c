/* RACK (RFC 8985 6): loss told by time. What was sent before something that has been delivered, and
 * longer ago than a round trip and a window for reordering, is lost. The window is a quarter of the
 * least round trip, grows with every round in which the receiver reports duplicates, and is shut
 * while nothing was ever seen reordered and duplicates are many. Loss probes are tcp_tlp.c's. */
#include "tcp/tcp.h"

#define REO_WND_PERSIST 16u /* recoveries [8985 5.4] */

/* [8985-6] Is it the first copy of r that arrived, though it went again since? The timestamp tells,
 * or a round trip shorter than any. */
static bool is_of_earlier_copy(const struct tcp_conn *c, const struct tcp_range *r,
	const struct loss_ack *a, uint64_t rtt_ns)
{
	uint32_t sent_ts = (uint32_t)(r->sent_ns / NS_PER_MS) + c->ts_offset;

	return (a->has_ts && (int32_t)(a->tsecr - sent_ts) < 0) || rtt_ns < c->min_rtt_ns;
}

void tcp_rack_delivered(const struct tg *s, struct tcp_conn *c, const struct tcp_range *r,
	struct seq end, struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;
	uint64_t rtt_ns = s->now_ns - r->sent_ns;

	/* step 3 [8985-7]; compared with what earlier ACKs told, as the blocks of one ACK come in
	 * no order */
	if (seq_gt(end, a->fack)) {
		a->fack = end;
	} else if (seq_lt(end, x->fack) && !(r->flags & RANGE_EVER)) {
		a->overtaken = a->reordered ? seq_min(a->overtaken, r->start) : r->start;
		a->reordered = true;
	}
	/* step 1 */
	if (!(r->flags & RANGE_EVER))
		tcp_rtt_min(s, c, rtt_ns);
	else if (is_of_earlier_copy(c, r, a, rtt_ns))
		return;
	/* step 2 */
	if (!tcp_sent_after(r->sent_nth, end, x->rack_nth, x->rack_end))
		return;
	x->rack_nth = r->sent_nth;
	x->rack_end = end;
	x->rack_rtt_ns = rtt_ns;
}

static void note_reordering(const struct tg *s, struct tcp_conn *c, const struct loss_ack *a)
{
	uint32_t segs = (seq_dist(c->tx->fack, a->overtaken) + c->mss - 1) / c->mss;

	c->reordering_seen = true;
	c->reorderings++;
	segs = min_u32(segs, max_u32(s->cfg.tcp.max_reordering, TCP_DUPTHRESH));
	c->reordering_segs = (uint16_t)max_u32(c->reordering_segs, segs);
}

/* [8985-3, -8] Of what arrived twice because we sent it twice: copies made on the way prove
 * nothing. */
static bool dsack_counts(const struct tcp_conn *c, const struct loss_ack *a)
{
	return a->dsack && c->dsacks_in <= c->retransmits;
}

void tcp_rack_reordering(
	const struct tg *s, struct tcp_conn *c, const struct loss_ack *a, bool leaving)
{
	if (c->tx) {
		if (a->reordered)
			note_reordering(s, c, a);
		c->tx->fack = seq_max(c->tx->fack, a->fack);
	}
	if (s->cfg.tcp.recovery & TG_RECOVERY_STATIC)
		return;
	if (c->dsack_round_on && seq_ge(c->snd.una, c->dsack_round))
		c->dsack_round_on = false;
	if (!c->dsack_round_on && dsack_counts(c, a)) {
		c->dsack_round_on = true;
		c->dsack_round = c->snd.nxt;
		if (c->reo_wnd_mult < UINT8_MAX)
			c->reo_wnd_mult++;
		c->reo_wnd_persist = REO_WND_PERSIST;
	} else if (leaving && c->reo_wnd_persist && --c->reo_wnd_persist == 0) {
		c->reo_wnd_mult = 1;
	}
}

/* [8985 6.2 step 4] RACK.reo_wnd, ns */
static uint64_t reordering_window(const struct tg *s, const struct tcp_conn *c)
{
	if (!c->reordering_seen) {
		if (c->recovery != REC_OPEN)
			return 0;
		if (c->tx->sacked_segs >= TCP_DUPTHRESH &&
			!(s->cfg.tcp.recovery & TG_RECOVERY_NO_DUPTHRESH))
			return 0;
	}
	return min_u64(c->reo_wnd_mult * (c->min_rtt_ns / 4), c->srtt_ns);
}

uint32_t tcp_rack_detect(const struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	uint64_t wait_ns, last_ns = 0;
	struct list *at = x->by_time.next;
	uint32_t lost = 0;

	x->reo_at_ns = NEVER_NS;
	if (list_empty(&x->by_time))
		return 0; /* all has arrived */
	wait_ns = x->rack_rtt_ns + reordering_window(s, c);
	while (at != &x->by_time) {
		struct tcp_range *r = list_entry(at, struct tcp_range, sent);

		at = at->next;
		if (!tcp_sent_after(x->rack_nth, x->rack_end, r->sent_nth, r->end))
			break;
		if (r->sent_ns + wait_ns <= s->now_ns) {
			/* [8985-9]; of what went again, that copy */
			lost += range_bytes(r);
			range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
		} else {
			last_ns = r->sent_ns + wait_ns;
		}
	}
	if (last_ns)
		x->reo_at_ns = last_ns;
	return lost;
}

void tcp_rack_mark_on_rto(const struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	uint64_t wait_ns = x->rack_rtt_ns + reordering_window(s, c);
	struct list *at = x->by_time.next;
	struct tcp_range *r;

	/* [8985-10] the first, and of the others what is old enough */
	while (at != &x->by_time) {
		r = list_entry(at, struct tcp_range, sent);
		at = at->next;
		if (r->sent_ns + wait_ns > s->now_ns)
			break;
		range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
	}
	r = range_first(x);
	if (r && !(r->flags & RANGE_SACKED))
		range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
	x->reo_at_ns = NEVER_NS;
}
