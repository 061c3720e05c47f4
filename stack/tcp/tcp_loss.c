/* Recovery's state machine: what an ACK, a timeout or a timer of loss detection means for it (RFC
 * 5681 3, RFC 6582, RFC 6675 5, RFC 8985 6). The scoreboard is tcp_sack.c's, time-based detection
 * tcp_rack.c's and tcp_tlp.c's; how much may be sent in recovery tcp_prr.c's, and what was needless
 * tcp_frto.c's. */
#include "tcp/tcp.h"

void tcp_loss_trace(struct tg *s, const struct tcp_conn *c, enum tg_cong what)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_CONGESTION);

	if (!t)
		return;
	tcp_trace_fill(t, c);
	t->a = (uint8_t)what;
	t->b = what == TG_CONG_FAST_RETRANSMIT && tcp_rack_on(s, c);
	t->seq = c->cc.cwnd;
	t->ack = c->cc.ssthresh;
	t->len = seq_dist(c->snd.nxt, c->snd.una);
}

uint32_t tcp_flight_size(const struct tcp_conn *c)
{
	uint32_t flight = seq_dist(c->snd.nxt, c->snd.una);

	return flight - (c->tx ? min_u32(c->tx->limited_bytes, flight) : 0); /* [5681-10] */
}

/* ---- Entering and leaving ---- */

/* a NULL: by RACK's timer. */
static void enter_recovery(struct tg *s, struct tcp_conn *c, struct loss_ack *a)
{
	bool validated = cwv_validated(&c->cc);

	c->recovery = REC_RECOVERY;
	c->recover = c->snd.nxt;     /* [6582-2] recover, [6675-6] RecoveryPoint = HighData */
	if (!tcp_ecn_in_window(c)) { /* [3168 6.1.2] one reduction a window, whatever told */
		c->cc.ops->on_loss(&c->cc, tcp_flight_size(c), s->now_ns);
		if (s->cfg.tcp.cwnd_validation == TG_CWV_7661)
			cwv_on_loss(&c->cc, validated, tcp_flight_size(c));
	}
	tcp_ecn_reduced(c);
	tcp_undo_begin(c);
	c->tx->limited_bytes = 0;
	c->tx->rescued = false;
	c->rexmit_now = true; /* [5681-10, 6675 5 (4.3)] the first goes whatever cwnd says */
	if (!tcp_rack_on(s, c))
		tcp_sack_mark_first(s, c);
	if (tcp_prr_on(s))
		tcp_prr_begin(c, a);
	RULE(s, c, RECOVERY_BEGINS, c->recover.v, c->cc.ssthresh, c->cc.cwnd);
	s->counters.tcp_fast_retransmits++;
	tcp_loss_trace(s, c, TG_CONG_FAST_RETRANSMIT);
}

static void leave_recovery(struct tg *s, struct tcp_conn *c)
{
	/* [6675 5] leaves cwnd where it is; [6582 3.2 (3)] guards against the burst that a
	 * cumulative ACK would allow */
	if (c->recovery == REC_RECOVERY && tcp_prr_on(s))
		c->cc.cwnd = c->cc.ssthresh; /* [9937 6] */
	else if (c->recovery == REC_RECOVERY && !c->sack_ok)
		c->cc.ops->on_recovered(&c->cc, tcp_pipe(c), s->now_ns);
	RULE(s, c, RECOVERY_ENDS, c->snd.una.v, c->recover.v, c->cc.cwnd);
	c->recovery = REC_OPEN;
	c->frto = FRTO_NONE;
	c->dup_acks = 0;
	tcp_loss_trace(s, c, TG_CONG_RECOVERED);
}

/* An ACK that advanced: partial or full [6582-3, -4, 6675-7]. */
static void advanced_in_recovery(struct tg *s, struct tcp_conn *c, struct loss_ack *a)
{
	uint32_t segs = a->newly_acked / c->cc.mss;

	if (seq_ge(c->snd.una, c->recover)) {
		leave_recovery(s, c);
		return;
	}
	if (c->sack_ok || !c->tx || c->frto)
		return;
	/* [6582-4] partial ACK: the next hole; what the duplicates had announced has been
	 * acknowledged in part */
	c->dup_acks = (uint8_t)(segs > 1 ? (c->dup_acks > segs - 1 ? c->dup_acks - (segs - 1) : 0)
					 : c->dup_acks);
	RULE(s, c, PARTIAL_ACK, c->snd.una.v, c->recover.v);
	c->rexmit_now = true;
	a->newly_lost += tcp_sack_mark_first(s, c);
}

/* ---- ACKs ---- */

void tcp_loss_begin_ack(const struct tcp_conn *c, const struct tcp_rx *r, struct loss_ack *a)
{
	memset(a, 0, sizeof(*a));
	a->has_ts = c->ts_ok && (r->g.opts.has & TCP_HAS_TS) && r->g.opts.tsecr;
	a->tsecr = r->g.opts.tsecr;
	if (c->tx)
		a->fack = c->tx->fack;
}

static void count_duplicates(struct tcp_conn *c, const struct loss_ack *a)
{
	if (a->newly_acked) {
		if (c->recovery != REC_OPEN)
			return;
		c->dup_acks = 0; /* [6675-5] */
		if (c->tx)
			c->tx->limited_bytes = 0;
		return;
	}
	if (!a->duplicate && !a->newly_sacked)
		return;
	if ((a->newly_sacked || !c->sack_ok) && c->dup_acks < UINT8_MAX)
		c->dup_acks++;
}

static uint32_t find_losses(struct tg *s, struct tcp_conn *c)
{
	if (tcp_rack_on(s, c))
		return tcp_rack_detect(s, c);
	return c->sack_ok && c->tx->sacked_bytes ? tcp_sack_mark_lost(c) : 0;
}

static bool loss_is_certain(const struct tg *s, const struct tcp_conn *c)
{
	/* [6582 3.2 (2)] without SACK duplicates of what went before `recover` start nothing */
	if (!c->sack_ok && !seq_gt(c->snd.una, c->recover))
		return false;
	if (list_empty(&c->tx->ranges))
		return false;
	if (c->tx->lost_bytes > 0)
		return true;
	if (tcp_rack_on(s, c))
		return false;
	return c->dup_acks >= (c->sack_ok ? c->reordering_segs : TCP_DUPTHRESH);
}

void tcp_loss_ack(struct tg *s, struct tcp_conn *c, struct loss_ack *a)
{
	bool was_open = c->recovery == REC_OPEN;
	uint32_t lost;

	tcp_tlp_ack(s, c, a);
	count_duplicates(c, a);
	tcp_undo_ack(s, c, a);
	if (c->frto)
		tcp_frto_ack(s, c, a);
	if (a->newly_acked && c->recovery != REC_OPEN)
		advanced_in_recovery(s, c, a);
	tcp_rack_reordering(s, c, a, !was_open && c->recovery == REC_OPEN);
	if (!c->tx)
		return;
	lost = find_losses(s, c);
	a->newly_lost += lost;
	if (lost && tcp_rack_on(s, c))
		RULE(s, c, LOSS_BY_TIME, lost);
	else if (lost)
		RULE(s, c, LOSS_COUNTED, lost);
	/* [6582-2, 6675-9] after a timeout nothing new begins before everything sent until then is
	 * acknowledged */
	if (c->recovery == REC_OPEN && loss_is_certain(s, c) && !tcp_mtu_lost(s, c))
		enter_recovery(s, c, a);
	if (c->recovery == REC_RECOVERY && tcp_prr_on(s))
		tcp_prr_ack(c, a);
}

/* ---- Timers ---- */

void tcp_loss_reo_timeout(struct tg *s, struct tcp_conn *c)
{
	if (!c->tx || !tcp_rack_detect(s, c) || c->recovery != REC_OPEN || tcp_mtu_lost(s, c))
		return;
	enter_recovery(s, c, NULL);
}

/* RTO: everything in flight that is not SACKed is taken for lost, or what RACK takes for it; what
 * SACK told is kept [2018-5, 6675 5.1], unless the receiver has evidently dropped it again (the
 * byte at SND.UNA would not be SACKed) [2018 8]. */
static void mark_on_rto(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	struct tcp_range *r = range_first(x);
	bool reneged = r && (r->flags & RANGE_SACKED);

	if (!reneged && tcp_rack_on(s, c)) {
		tcp_rack_mark_on_rto(s, c);
	} else {
		for (; r; r = range_next(x, r)) {
			if (reneged)
				range_mark(c, r, 0, RANGE_SACKED);
			if (!(r->flags & RANGE_SACKED))
				range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
		}
	}
	if (reneged)
		x->high_sacked = c->snd.una;
	x->limited_bytes = 0;
}

void tcp_loss_timeout(struct tg *s, struct tcp_conn *c, bool first)
{
	c->cc.ops->on_timeout(&c->cc, tcp_flight_size(c), first, s->now_ns);
	tcp_ecn_reduced(c);
	tcp_frto_begin(s, c, first);
	c->recovery = REC_LOSS;
	c->recover = c->snd.nxt; /* [6582-5] */
	c->dup_acks = 0;
	c->cwnd_limited = true;
	c->tlp_out = false;
	c->tlp_due = false;
	c->rexmit_now = true; /* [6298 5.4] whatever else is taken to be in flight */
	RULE(s, c, LOSS_TIMEOUT, c->cc.ssthresh, c->cc.cwnd, c->recover.v);
	if (c->tx)
		mark_on_rto(s, c);
	tcp_loss_trace(s, c, TG_CONG_RTO);
}
