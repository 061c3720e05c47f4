/* Loss detection and recovery: the SACK scoreboard (RFC 2018, RFC 6675), NewReno without SACK (RFC
 * 6582), and what a retransmission timeout means for it (RFC 5681 3.1, RFC 6675 5.1). Works on the
 * range records; how much may be sent is congestion control's affair. */
#include "tcp/tcp.h"

static struct tcp_range *first_range(const struct tcp_tx *x)
{
	return list_empty(&x->ranges) ? NULL : list_entry(x->ranges.next, struct tcp_range, node);
}

static struct tcp_range *next_range(const struct tcp_tx *x, const struct tcp_range *r)
{
	return r->node.next == &x->ranges ? NULL : list_entry(r->node.next, struct tcp_range, node);
}

static void trace_congestion(struct tg *s, const struct tcp_conn *c, enum tg_cong what)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_CONGESTION);

	if (!t)
		return;
	tcp_trace_fill(t, c);
	t->a = (uint8_t)what;
	t->seq = c->cc.cwnd;
	t->ack = c->cc.ssthresh;
	t->len = seq_dist(c->snd.nxt, c->snd.una);
}

/* ---- SACK blocks ---- */

/* The record that holds `at`, searched from where the last block was found. */
static struct tcp_range *find_range(struct tcp_tx *x, struct seq at)
{
	struct tcp_range *r = x->hint ? x->hint : first_range(x);

	while (r && seq_gt(r->start, at))
		r = r->node.prev == &x->ranges ? NULL
					       : list_entry(r->node.prev, struct tcp_range, node);
	if (!r)
		r = first_range(x);
	while (r && seq_le(r->end, at))
		r = next_range(x, r);
	return r;
}

static void mark_block(
	struct tg *s, struct tcp_conn *c, struct seq start, struct seq end, struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;
	struct tcp_range *r = find_range(x, start);

	while (r && seq_lt(r->start, end)) {
		if (r->flags & RANGE_SACKED) {
			r = next_range(x, r);
			continue;
		}
		if (x->n_ranges + 2 > TCP_RANGES_MAX)
			return; /* the block will be reported again */
		if (seq_lt(r->start, start)) {
			r = range_split(s, c, r, start);
			if (!r)
				return; /* no memory: the block will be reported again */
		}
		if (seq_gt(r->end, end) && !range_split(s, c, r, end))
			return;
		a->newly_sacked += range_bytes(r);
		range_mark(c, r, RANGE_SACKED, RANGE_LOST | RANGE_RETRANS);
		x->high_sacked = seq_max(x->high_sacked, r->end);
		r = range_merge_back(s, c, r);
		x->hint = r;
		r = next_range(x, r);
	}
}

/* [2883 4] the first block is a D-SACK if it lies below SEG.ACK or within the second block */
static bool is_dsack(const struct tcp_rx *r)
{
	const struct tcp_opts *o = &r->g.opts;

	if (seq_lt(o->sack[0].start, r->g.ack))
		return true;
	return o->n_sack > 1 && seq_ge(o->sack[0].start, o->sack[1].start) &&
	       seq_le(o->sack[0].end, o->sack[1].end);
}

/* Enters the segment's SACK blocks into the scoreboard; blocks outside of what is in flight are not
 * believed. */
void tcp_loss_sack(struct tcp_conn *c, struct tcp_rx *r, struct loss_ack *a)
{
	const struct tcp_opts *o = &r->g.opts;
	uint8_t first = 0;

	if (!c->sack_ok || !(o->has & TCP_HAS_SACK) || o->n_sack == 0)
		return;
	a->sack_present = true;
	if (is_dsack(r)) {
		a->dsack = true;
		c->dsacks_in++;
		first = 1;
	}
	if (!c->tx)
		return;
	if (seq_lt(c->tx->high_sacked, c->snd.una))
		c->tx->high_sacked = c->snd.una;
	for (uint8_t i = first; i < o->n_sack; i++) {
		struct seq start = seq_max(o->sack[i].start, c->snd.una);

		if (!seq_lt(o->sack[i].start, o->sack[i].end) ||
			seq_gt(o->sack[i].end, c->snd.nxt) || !seq_lt(start, o->sack[i].end))
			continue;
		mark_block(r->s, c, start, o->sack[i].end, a);
	}
	c->delivered += a->newly_sacked;
}

/* ---- What is lost ---- */

/* [6675 4] IsLost: DupThresh separate ranges, or more than (DupThresh - 1) * SMSS bytes, SACKed
 * above. Walks down from the highest SACKed byte until that is met; everything unSACKed below is
 * lost. */
static void mark_lost_by_sack(struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	uint32_t above_bytes = 0, above_blocks = 0;
	struct tcp_range *r = x->hint && (x->hint->flags & RANGE_SACKED) ? x->hint : first_range(x);
	bool in_block = false;

	while (r && seq_lt(r->end, x->high_sacked))
		r = next_range(x, r);
	for (; r; r = r->node.prev == &x->ranges
			      ? NULL
			      : list_entry(r->node.prev, struct tcp_range, node)) {
		if (r->flags & RANGE_SACKED) {
			above_bytes += range_bytes(r);
			above_blocks += in_block ? 0 : 1;
			in_block = true;
			continue;
		}
		in_block = false;
		if (above_bytes <= (TCP_DUPTHRESH - 1) * c->cc.mss && above_blocks < TCP_DUPTHRESH)
			continue;
		if (r->flags & RANGE_LOST)
			return; /* so is all below it that could be */
		if (!(r->flags & RANGE_RETRANS))
			range_mark(c, r, RANGE_LOST, 0);
	}
}

/* The first segment at SND.UNA, for NewReno and at the start of recovery [5681-10, 6582-4, 6675-6].
 */
static void mark_first_lost(struct tg *s, struct tcp_conn *c)
{
	struct tcp_range *r = first_range(c->tx);

	if (!r || (r->flags & (RANGE_SACKED | RANGE_LOST | RANGE_RETRANS)))
		return;
	if (range_bytes(r) > c->cc.mss)
		range_split(s, c, r,
			seq_add(r->start,
				c->cc.mss)); /* without memory the whole record goes again */
	range_mark(c, r, RANGE_LOST, 0);
}

/* ---- Recovery ---- */

/* FlightSize without what limited transmit added [5681-10]. */
static uint32_t flight_size(const struct tcp_conn *c)
{
	return seq_dist(c->snd.nxt, c->snd.una);
}

static void enter_recovery(struct tg *s, struct tcp_conn *c)
{
	c->recovery = REC_RECOVERY;
	c->recover = c->snd.nxt;   /* [6582-2] recover, [6675-6] RecoveryPoint = HighData */
	if (!tcp_ecn_in_window(c)) /* [3168 6.1.2] one reduction a window, whatever told */
		c->cc.ops->on_loss(&c->cc, flight_size(c), s->now_ns);
	tcp_ecn_reduced(c);
	c->tx->rescued = false;
	c->rexmit_now = true; /* [5681-10, 6675 5 (4.3)] the first goes whatever cwnd says */
	mark_first_lost(s, c);
	s->counters.tcp_fast_retransmits++;
	trace_congestion(s, c, TG_CONG_FAST_RETRANSMIT);
}

static void leave_recovery(struct tg *s, struct tcp_conn *c)
{
	/* [6675 5] leaves cwnd where it is; [6582 3.2 (3)] guards against the burst that a
	 * cumulative ACK would allow */
	if (c->recovery == REC_RECOVERY && !c->sack_ok)
		c->cc.ops->on_recovered(&c->cc, tcp_pipe(c), s->now_ns);
	c->recovery = REC_OPEN;
	c->dup_acks = 0;
	trace_congestion(s, c, TG_CONG_RECOVERED);
}

/* An ACK that advanced: partial or full [6582-3, -4, 6675-7]. */
static void advanced_in_recovery(struct tg *s, struct tcp_conn *c, const struct loss_ack *a)
{
	uint32_t segs = a->newly_acked / c->cc.mss;

	if (seq_ge(c->snd.una, c->recover)) {
		leave_recovery(s, c);
		return;
	}
	if (c->sack_ok || !c->tx)
		return;
	/* [6582-4] partial ACK: the next hole; what the duplicates had announced has been
	 * acknowledged in part */
	c->dup_acks = (uint8_t)(segs > 1 ? (c->dup_acks > segs - 1 ? c->dup_acks - (segs - 1) : 0)
					 : c->dup_acks);
	c->rexmit_now = true;
	mark_first_lost(s, c);
}

/* [6582 3.2 (2)] without SACK duplicates of what went before `recover` start nothing */
static bool loss_is_certain(const struct tcp_conn *c)
{
	if (!c->sack_ok && !seq_gt(c->snd.una, c->recover))
		return false;
	if (!c->tx || list_empty(&c->tx->ranges))
		return false;
	return c->dup_acks >= TCP_DUPTHRESH || c->tx->lost_bytes > 0;
}

void tcp_loss_ack(struct tg *s, struct tcp_conn *c, const struct loss_ack *a)
{
	if (a->newly_acked) {
		if (c->recovery == REC_OPEN)
			c->dup_acks = 0; /* [6675-5] */
		else
			advanced_in_recovery(s, c, a);
	} else if (a->duplicate || a->newly_sacked) {
		if ((a->newly_sacked || !c->sack_ok) && c->dup_acks < UINT8_MAX)
			c->dup_acks++;
	}
	if (!c->tx)
		return;
	if (c->sack_ok && c->tx->sacked_bytes)
		mark_lost_by_sack(c);
	/* [6582-2, 6675-9] after a timeout nothing new begins before everything sent until then is
	 * acknowledged */
	if (c->recovery == REC_OPEN && loss_is_certain(c) && !tcp_mtu_lost(s, c))
		enter_recovery(s, c);
}

/* RTO: everything in flight that is not SACKed is taken for lost; what SACK told is kept
 * [6675 5.1], unless the receiver has evidently dropped it again (the byte at SND.UNA would not be
 * SACKed) [2018 8]. */
void tcp_loss_timeout(struct tg *s, struct tcp_conn *c, bool first)
{
	struct tcp_range *r = c->tx ? first_range(c->tx) : NULL;
	bool reneged = r && (r->flags & RANGE_SACKED);

	c->cc.ops->on_timeout(&c->cc, flight_size(c), first, s->now_ns);
	tcp_ecn_reduced(c);
	c->recovery = REC_LOSS;
	c->recover = c->snd.nxt; /* [6582-5] */
	c->dup_acks = 0;
	c->cwnd_limited = true;
	for (; r; r = next_range(c->tx, r)) {
		if (reneged)
			range_mark(c, r, 0, RANGE_SACKED);
		if (!(r->flags & RANGE_SACKED))
			range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
	}
	if (c->tx) {
		if (reneged)
			c->tx->high_sacked = c->snd.una;
		c->tx->rescued = false;
		c->tx->rexmit = NULL;
	}
	trace_congestion(s, c, TG_CONG_RTO);
}

/* ---- What goes again ---- */

/* [6675 4] NextSeg (3): in recovery, with nothing lost left and nothing new to send, an unSACKed
 * record below the highest SACKed byte; (4): once, the last segment. */
static struct tcp_range *speculative(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	struct tcp_range *r;

	if (c->recovery != REC_RECOVERY || !c->sack_ok || tcp_unsent(c))
		return NULL;
	for (r = first_range(x); r && seq_lt(r->start, x->high_sacked); r = next_range(x, r))
		if (!(r->flags & (RANGE_SACKED | RANGE_RETRANS)))
			return r;
	if (x->rescued || list_empty(&x->ranges))
		return NULL;
	r = list_entry(x->ranges.prev, struct tcp_range, node);
	if (r->flags & (RANGE_SACKED | RANGE_RETRANS))
		return NULL;
	x->rescued = true;
	if (range_bytes(r) > c->cc.mss)
		r = range_split(s, c, r, seq_sub(r->end, c->cc.mss));
	return r;
}

struct tcp_range *tcp_loss_next(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;

	if (!x)
		return NULL;
	/* (1) the lowest that is lost and not on its way again */
	if (x->lost_bytes) {
		struct tcp_range *r = x->rexmit ? x->rexmit : first_range(x);

		for (; r; r = next_range(x, r)) {
			if ((r->flags & (RANGE_LOST | RANGE_RETRANS)) != RANGE_LOST)
				continue;
			x->rexmit = r;
			return r;
		}
		x->rexmit = list_empty(&x->ranges)
				    ? NULL
				    : list_entry(x->ranges.prev, struct tcp_range, node);
	}
	return speculative(s, c);
}
