/* Step 5 of SEGMENT ARRIVES: the ACK field (RFC 9293 3.10.7.4, RFC 5961 5). What was acknowledged
 * leaves the ring, the send window is updated, and round-trip time, loss detection and congestion
 * control are told in plain values. */
#include "tcp/tcp.h"

/* ---- Round-trip samples ---- */

/* The newest emission of which this ACK covers something. */
struct sample {
	bool have, again; /* again: something covered was sent more than once */
	uint64_t sent_ns;
	uint64_t delivered; /* c->delivered when it was sent */
};

/* From what was sent once only [6298 3, 9293 MUST-18]; else, with timestamps, from the echo
 * [7323-T6]. Returns what was measured to the nanosecond, 0 none. */
static uint64_t sample_rtt(struct tcp_conn *c, const struct tcp_rx *r, const struct sample *m)
{
	struct tg *s = r->s;

	if (m->have && !m->again) {
		tcp_rtt_sample(s, c, s->now_ns - m->sent_ns);
		return max_u64(s->now_ns - m->sent_ns, 1);
	}
	if (m->have)
		RULE(s, c, KARN, r->g.ack.v);
	if (c->ts_ok && (r->g.opts.has & TCP_HAS_TS) && r->g.opts.tsecr) {
		uint32_t ms = tcp_ts_now(s, c->ts_offset) - r->g.opts.tsecr;

		if (ms < 600000) /* an echo of what we never sent tells nothing */
			tcp_rtt_sample(s, c, ms * NS_PER_MS);
	}
	return 0;
}

/* ---- Taking off what is acknowledged ---- */

/* Range records up to `ack`. Returns the bytes that had not been SACKed before. */
static uint32_t drop_ranges(
	struct tg *s, struct tcp_conn *c, struct seq ack, struct sample *m, struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;
	uint32_t fresh = 0;

	while (!list_empty(&x->ranges)) {
		struct tcp_range *q = list_entry(x->ranges.next, struct tcp_range, node);

		if (seq_le(ack, q->start))
			break;
		if (!(q->flags & RANGE_SACKED)) {
			fresh += seq_dist(seq_min(ack, q->end), q->start);
			tcp_rack_delivered(s, c, q, seq_min(ack, q->end), a);
			*m = (struct sample){true, m->again, q->sent_ns, q->delivered};
		}
		/* [6298 3] what was sent once may have waited for a hole to be filled */
		m->again = m->again || (q->flags & RANGE_EVER) != 0;
		if (seq_lt(ack, q->end)) {
			range_trim(c, q, ack);
			break;
		}
		range_free(s, c, q);
	}
	return fresh;
}

static void drop_text(struct tg *s, struct tcp_conn *c, struct seq ack)
{
	struct tcp_tx *x = c->tx;
	uint64_t text = bring_len(&x->ring);

	if (seq_le(ack, x->ring_seq))
		return;
	/* the FIN's number lies behind the text */
	text = min_u64(text, seq_dist(ack, x->ring_seq));
	bring_drop(&x->ring, s->arena, (size_t)text);
	x->ring_seq = seq_add(x->ring_seq, (uint32_t)text);
	c->bytes_acked += text;
	s->counters.tcp_out_bytes += text;
}

/* Congestion control hears of what was acknowledged outside of fast recovery. flight_bytes: in the
 * network before; in_loss: after a timeout, up to the ACK that ends it. */
static void tell_cc(struct tg *s, struct tcp_conn *c, uint32_t acked_bytes, uint32_t flight_bytes,
	uint64_t rtt_ns, bool in_loss)
{
	struct cc_ack k = {.acked_bytes = acked_bytes,
		.flight_bytes = flight_bytes,
		.outstanding_bytes = seq_dist(c->snd.nxt, c->snd.una),
		.now_ns = s->now_ns,
		.srtt_ns = c->srtt_ns,
		.rtt_ns = rtt_ns,
		.cwnd_limited = c->cwnd_limited};
	uint32_t cwnd = c->cc.cwnd;

	if (s->cfg.tcp.cwnd_validation == TG_CWV_7661)
		k.cwnd_limited = cwv_validated(&c->cc); /* [7661 4.3, 4.4.1] */
	if (in_loss) {
		/* [3465 2.3] what had arrived before the timeout is acknowledged along with what
		 * was sent again: only the latter has left the network now */
		k.cwnd_limited = true;
		k.acked_bytes = min_u32(acked_bytes, max_u32(flight_bytes, c->mss));
	}
	c->cc.ops->on_ack(&c->cc, &k);
	if (!k.cwnd_limited)
		RULE(s, c, CWND_UNUSED, c->cc.cwnd);
	else if (cwnd < c->cc.ssthresh)
		RULE(s, c, SLOW_START, acked_bytes, cwnd, c->cc.cwnd, c->cc.ssthresh);
	else
		RULE(s, c, AVOIDANCE, acked_bytes, cwnd, c->cc.cwnd, c->cc.ssthresh);
}

/* SEG.ACK advances SND.UNA. */
void tcp_ack_advance(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct seq ack = r->g.ack;
	struct sample m = {0};
	bool syn = !c->syn_acked, echo = tcp_ecn_ack_in(c, r);
	uint8_t before = c->recovery;
	uint32_t flight = tcp_pipe(c);
	struct loss_ack a;
	uint64_t rtt_ns = 0;

	if (!syn)
		RULE(s, c, ACK_NEW, c->snd.una.v, ack.v, c->snd.nxt.v);
	tcp_loss_begin_ack(c, r, &a);
	if (c->tx) {
		a.fresh = drop_ranges(s, c, ack, &m, &a);
		drop_text(s, c, ack);
	}
	if (seq_lt(c->snd.nxt, ack)) /* a probe that was taken back had arrived after all */
		c->snd.nxt = ack;
	a.newly_acked = seq_dist(ack, c->snd.una) - (syn ? 1 : 0);
	c->snd.una = ack;
	if (c->tx && seq_lt(c->tx->high_sacked, ack))
		c->tx->high_sacked = ack;
	if (c->tx && c->tx->ecn_reduced && seq_gt(ack, c->tx->ecn_high))
		c->tx->ecn_reduced = false; /* over: comparisons reach 2^31 */
	if (c->recovery == REC_OPEN && seq_diff(ack, c->recover) > 1 << 30)
		c->recover = seq_sub(ack, 1); /* kept near: comparisons reach 2^31 */
	c->syn_acked = true;
	c->was_connected = true;
	c->delivered += a.fresh;
	if (syn && !c->passive && c->syn_retrans == 0 && c->stalled_ns != NEVER_NS)
		tcp_rtt_sample(s, c, s->now_ns - c->stalled_ns); /* the SYN's own round trip */
	else if (!syn)
		rtt_ns = sample_rtt(c, r, &m);
	c->backoff = 0; /* [6298 5.3] the timer starts over with what is measured */
	c->stalled_ns = NEVER_NS;
	c->soft_error = 0; /* [1122 4.2.3.9] it has passed */
	if (c->urg_out && seq_ge(ack, c->snd.up))
		c->urg_out = false;
	tcp_mtu_acked(s, c);
	tcp_sack_blocks(c, r, &a);
	tcp_loss_ack(s, c, &a);
	if (m.have && s->cfg.tcp.cwnd_validation == TG_CWV_7661)
		cwv_sample(&c->cc, (uint32_t)min_u64(c->delivered - m.delivered, UINT32_MAX - 1),
			c->srtt_ns, s->now_ns);
	/* [5681-2] the handshake's ACK grows nothing; [6582 3.2 (3), 6675-7] nor does the one that
	 * ends recovery: what it acknowledges was sent before the reduction */
	if (a.newly_acked && !echo && before != REC_RECOVERY && c->recovery != REC_RECOVERY)
		tell_cc(s, c, a.newly_acked, flight, rtt_ns, before == REC_LOSS);
	if (s->cfg.tcp.pacing || c->pace_max)
		tcp_pace_update(s, c);
	tcp_buf_acked(s, c);
	ip_advise_good(s, &c->path);
	tcp_timers_ack_advanced(s, c);
	if (c->tx && list_empty(&c->tx->ranges) && bring_len(&c->tx->ring) == 0 &&
		c->tx->ring.reserved_bytes == 0)
		tcp_tx_free(s, c);
}

/* ---- The send window ---- */

/* What is in flight is a single probe of a closed window, and the window has opened: take it back,
 * so that the byte goes again with the rest of its segment. */
static void take_probe_back(struct tg *s, struct tcp_conn *c)
{
	struct tcp_range *q;

	if (c->rexmit_mode != RM_PERSIST || !c->tx || list_empty(&c->tx->ranges))
		return;
	q = list_entry(c->tx->ranges.next, struct tcp_range, node);
	if (q->node.next != &c->tx->ranges || range_bytes(q) != 1 || (q->flags & RANGE_FIN))
		return;
	range_free(s, c, q);
	c->snd.nxt = c->snd.una;
}

/* SEG.SEQ of the last of the segments that came as one: all of them say the same of the window. */
static struct seq newest_seq(const struct tcp_rx *r)
{
	uint32_t size = r->p ? r->p->gso_size : 0;

	if (size == 0 || r->g.text_bytes <= size)
		return r->g.seq;
	return seq_add(r->g.seq, (r->g.text_bytes - 1) / size * size);
}

/* [9293 3.10.7.4-5] SND.WND <- SEG.WND if SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =<
 * SEG.ACK), so that no old segment sets it. What acknowledges more than anything before is not old,
 * though it may be a retransmission with a number below SND.WL1: with SND.UNA moved and the window
 * left as it was, text would go beyond the edge that the peer offered. */
void tcp_window_update(struct tcp_conn *c, const struct tcp_rx *r)
{
	uint32_t before = c->snd.wnd;
	struct seq seq = newest_seq(r);

	if (!seq_lt(c->snd.wl1, seq) &&
		!(seq_eq(c->snd.wl1, seq) && seq_le(c->snd.wl2, r->g.ack)) &&
		!seq_lt(c->snd.una, r->g.ack))
		return;
	RULE(r->s, c, WINDOW_UPDATE, r->wnd, c->snd.wl1.v, r->g.seq.v);
	c->snd.wnd = r->wnd;
	c->snd.max_wnd = max_u32(c->snd.max_wnd, r->wnd);
	c->snd.wl1 = seq_max(c->snd.wl1, seq);
	c->snd.wl2 = r->g.ack;
	if (r->wnd > before && r->wnd > 1)
		take_probe_back(r->s, c);
	if (before == 0 && r->wnd > 0)
		tcp_timers_window_opened(r->s, c);
	if (before == 0 || r->wnd == 0)
		tcp_timers_progress(
			r->s, c); /* [9293 MUST-37] an answer, if only to say "closed" */
}

/* ---- Step 5 ---- */

/* [9293 3.10.7.4-5] SYN-RECEIVED: SND.UNA < SEG.ACK =< SND.NXT, or a reset. False: done with the
 * segment. */
static bool ack_in_syn_received(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	if (!seq_lt(c->snd.una, r->g.ack) || seq_gt(r->g.ack, c->snd.max)) {
		tcp_send_rst_for(r);
		tcp_discard(r, c, TG_DROP_TCP_ACK_HALF_OPEN);
		return false;
	}
	RULE(s, c, ACK_OF_SYN, c->snd.una.v, r->g.ack.v, c->snd.max.v);
	c->snd.wnd = r->wnd;
	c->snd.max_wnd = r->wnd;
	c->snd.wl1 = r->g.seq;
	c->snd.wl2 = r->g.ack;
	c->syn_due = false;
	c->was_connected = true;
	tcp_set_state(s, c, TG_ESTABLISHED, TG_CAUSE_ACK_OF_SYN);
	if (c->parent && c->passive)
		tcp_accept_enqueue(s, c->parent, c);
	tcp_conn_established(s, c);
	return true;
}

/* Is the ACK worth looking at [5961 5]? False: done with the segment. */
static bool ack_in_range(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	if (seq_gt(r->g.ack, c->snd.max)) { /* "acks something not yet sent": ACK and drop */
		tcp_send_challenge_ack(s, c, CHALLENGE_IN_WINDOW);
		tcp_discard(r, c, TG_DROP_TCP_ACK_FUTURE);
		return false;
	}
	/* [5961-5, 9293 MAY-12] older than the largest window ever offered to us */
	if (seq_lt(r->g.ack, seq_sub(c->snd.una, c->snd.max_wnd))) {
		tcp_send_challenge_ack(s, c, CHALLENGE_IN_WINDOW);
		tcp_discard(r, c, TG_DROP_TCP_ACK_OLD);
		return false;
	}
	return true;
}

/* [5681 2] a duplicate: data outstanding, no text, no SYN or FIN, the same ACK, the same window */
static bool is_duplicate(const struct tcp_conn *c, const struct tcp_rx *r)
{
	/* an answer to a probe of a closed window is none */
	if (r->wnd == 0 || !tcp_timers_watching(c))
		return false;
	return seq_eq(r->g.ack, c->snd.una) && r->g.len == 0 && r->wnd == c->snd.wnd && c->tx &&
	       !list_empty(&c->tx->ranges);
}

static void ordinary_ack(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct loss_ack a;
	bool duplicate = is_duplicate(c, r);
	bool repeated = r->g.len == 0 && r->wnd == c->snd.wnd;

	if (seq_lt(r->g.ack, c->snd.una)) { /* old: the ACK is void, the text is not */
		RULE(s, c, ACK_BELOW, r->g.ack.v, c->snd.una.v);
		return;
	}
	if (seq_gt(r->g.ack, c->snd.una)) {
		tcp_window_update(c, r);
		tcp_ack_advance(c, r);
		return;
	}
	if (duplicate)
		RULE(s, c, ACK_DUPLICATE, r->g.ack.v);
	else
		RULE(s, c, ACK_REPEATED, r->g.ack.v);
	tcp_window_update(c, r);
	tcp_ecn_ack_in(c, r);
	tcp_loss_begin_ack(c, r, &a);
	a.duplicate = duplicate;
	a.repeated = repeated;
	tcp_sack_blocks(c, r, &a);
	if (a.duplicate || a.newly_sacked)
		s->counters.tcp_dup_acks_in++;
	if (a.duplicate || a.newly_sacked || a.dsack || (repeated && c->tlp_out)) {
		tcp_loss_ack(s, c, &a);
		tcp_timers_loss_checked(s, c);
	}
}

static bool our_fin_is_acked(const struct tcp_conn *c)
{
	return c->fin_sent && seq_eq(c->snd.una, c->snd.nxt);
}

/* What the ACK of our FIN leads to. False: the connection may be gone. */
static bool closing_states(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	if (!our_fin_is_acked(c))
		return true;
	RULE(s, c, FIN_ACKED, c->snd.una.v);
	switch ((enum tg_state)c->state) {
	case TG_FIN_WAIT_1:
		tcp_set_state(s, c, TG_FIN_WAIT_2, TG_CAUSE_ACK_OF_FIN);
		tcp_timers_fin_wait_2(s, c);
		return true;
	case TG_CLOSING:
		if (r->p)
			pkt_deliver(s, r->p);
		r->p = NULL;
		tcp_enter_time_wait(s, c, TG_CAUSE_ACK_OF_FIN);
		r->gone = true;
		return false;
	case TG_LAST_ACK:
		if (r->p)
			pkt_deliver(s, r->p);
		r->p = NULL;
		tcp_conn_end(s, c, TG_CAUSE_ACK_OF_FIN, 0);
		r->gone = true;
		return false;
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT:
	case TG_SYN_RECEIVED:
	case TG_ESTABLISHED:
	case TG_FIN_WAIT_2:
	case TG_CLOSE_WAIT:
	case TG_TIME_WAIT: return true;
	}
	return true;
}

bool tcp_ack_step(struct tcp_conn *c, struct tcp_rx *r)
{
	if (!(r->g.flags & TCP_ACK)) {
		tcp_discard(r, c, TG_DROP_TCP_NO_ACK);
		return false;
	}
	if (c->state == TG_SYN_RECEIVED) {
		if (!ack_in_syn_received(c, r))
			return false;
		tcp_ack_advance(c, r);
		return closing_states(c, r);
	}
	if (!ack_in_range(c, r))
		return false;
	ordinary_ack(c, r);
	return closing_states(c, r);
}
