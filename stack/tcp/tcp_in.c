/* SEGMENT ARRIVES (RFC 9293 3.10.7): the driver, CLOSED, SYN-SENT, and of the eight steps
 * of 3.10.7.4 the checks of sequence number, RST, SYN, URG and FIN. LISTEN and half-open
 * connections: tcp_syn.c; step 5: tcp_ack.c; step 7: tcp_text.c; TIME-WAIT: tcp_tw.c. */
#include "tcp/tcp.h"

/* ---- Discarding ---- */

static void trace_segment(struct tg_trace *t, const struct tcp_rx *r, const struct tcp_conn *c)
{
	if (c && c->state != TG_LISTEN) {
		tcp_trace_fill(t, c);
	} else {
		memcpy(t->raddr, r->ip->src.b, sizeof(t->raddr));
		t->lport = r->g.dst_port;
		t->rport = r->g.src_port;
	}
	t->netif = r->ip->netif;
	t->tcp_flags = r->g.flags;
	t->seq = r->g.seq.v;
	t->ack = r->g.ack.v;
	t->len = r->g.text_bytes;
	t->wnd = r->g.wnd;
}

void tcp_discard(struct tcp_rx *r, const struct tcp_conn *c, enum tg_drop why)
{
	struct tg_trace *t = pkt_drop_record(r->s, r->p, why);

	r->p = NULL;
	if (t)
		trace_segment(t, r, c);
}

static void done(struct tcp_rx *r)
{
	if (r->p)
		pkt_deliver(r->s, r->p);
	r->p = NULL;
}

/* One record for each frame of the wire, also if who read them made them one (core/gro.h). */
static void trace_in(struct tcp_rx *r, const struct tcp_conn *c)
{
	uint32_t n = pkt_frames(r->p), size = r->p->gso_size;

	for (uint32_t i = 0; i < n && i * size <= r->g.text_bytes; i++) {
		struct tg_trace *t = trace_add(r->s, TG_TRACE_SEGMENT_IN);
		if (!t)
			return;
		trace_segment(t, r, c);
		t->aux = r->g.opts.has;
		if (n == 1)
			return;
		t->frame += i;
		t->seq += i * size;
		t->len = min_u32(size, r->g.text_bytes - i * size);
		if (i + 1 < n)
			t->tcp_flags &= (uint8_t)~TCP_PSH;
	}
}

/* ---- CLOSED ---- */

/* [9293 3.10.7.1] no connection: everything but a reset is answered by one */
static void closed(struct tcp_rx *r)
{
	bool rst = (r->g.flags & TCP_RST) != 0;

	if (!rst)
		tcp_send_rst_for(r);
	tcp_discard(r, NULL, rst ? TG_DROP_TCP_CLOSED_RST : TG_DROP_TCP_CLOSED);
}

/* ---- SYN-SENT ---- */

static void adopt_syn_options(struct tcp_conn *c, struct tcp_rx *r)
{
	const struct tcp_opts *o = &r->g.opts;
	struct tg *s = r->s;

	c->mss_peer = o->has & TCP_HAS_MSS ? o->mss : TCP_MSS_DEFAULT;     /* [9293 MUST-15] */
	c->ws_ok = (o->has & TCP_HAS_WSCALE) && s->cfg.tcp.window_scaling; /* [7323-W1] */
	c->snd_wscale = c->ws_ok ? (uint8_t)min_u32(o->wscale, TCP_WSCALE_MAX) : 0; /* [7323-W3] */
	if (!c->ws_ok)
		c->rcv_wscale = 0;
	c->ts_ok = (o->has & TCP_HAS_TS) && s->cfg.tcp.timestamps;
	if (c->ts_ok) {
		c->ts_recent = o->tsval;
		c->ts_recent_ns = s->now_ns;
	}
	c->sack_ok = (o->has & TCP_HAS_SACK_PERM) && s->cfg.tcp.sack;
	tcp_ecn_syn_in(c, r);
	tcp_update_mss(s, c);
}

static void syn_sent_rst(struct tcp_conn *c, struct tcp_rx *r, bool ack_acceptable)
{
	/* [5961-7, 9293 3.10.7.3] only with an acceptable ACK; SEG.SEQ of such a reset cannot be
	 * checked, as RCV.NXT is not known yet */
	if (!ack_acceptable) {
		tcp_discard(r, c, TG_DROP_TCP_SYN_SENT_RST);
		return;
	}
	done(r);
	if (tcp_ecn_fall_back(
		    r->s, c)) { /* [3168 6.1.1.1] it may have been the flags: once without */
		c->stalled_ns = NEVER_NS; /* [6298 3] its round trip begins now */
		c->syn_due = true;
		tcp_want_output(r->s, c);
		return;
	}
	tcp_conn_end(r->s, c, TG_CAUSE_RST_REFUSED, TG_ECONNREFUSED);
	r->gone = true;
}

static void syn_sent_syn(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	c->irs = r->g.seq;
	c->rcv.nxt = seq_add(r->g.seq, 1);
	c->rcv.up = c->rcv.nxt;
	c->rcv.last_ack = c->rcv.nxt;
	c->rcv.adv = seq_add(c->rcv.nxt, min_u32(c->rcvbuf, 65535));
	adopt_syn_options(c, r);
	if (r->g.flags & TCP_ACK) {
		c->snd.wnd = r->wnd;
		c->snd.max_wnd = r->wnd;
		c->snd.wl1 = r->g.seq;
		c->snd.wl2 = r->g.ack;
		tcp_ack_advance(c, r);
		RULE(s, c, SYN_SENT_SYN_ACK, r->g.seq.v, c->rcv.nxt.v);
		tcp_set_state(s, c, TG_ESTABLISHED, TG_CAUSE_SYN_ACK);
		c->was_connected = true;
		c->syn_due = false;
		c->ack_now = true;
		tcp_conn_established(s, c);
		return;
	}
	/* [9293 MUST-10] their SYN crossed ours: <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> */
	RULE(s, c, SYN_CROSSING, r->g.seq.v);
	tcp_set_state(s, c, TG_SYN_RECEIVED, TG_CAUSE_SYN_CROSSING);
	c->snd.wnd = r->wnd;
	c->snd.max_wnd = r->wnd;
	c->snd.wl1 = r->g.seq;
	c->snd.wl2 = c->iss;
	c->syn_due = true;
}

/* [9293 3.10.7.3] False: done with the segment. True: ESTABLISHED or SYN-RECEIVED now; text and FIN
 * that came along follow. */
static bool syn_sent(struct tcp_conn *c, struct tcp_rx *r)
{
	bool ack_acceptable = false;

	/* first: SEG.ACK =< ISS or SEG.ACK > SND.NXT is answered by a reset */
	if (r->g.flags & TCP_ACK) {
		if (seq_le(r->g.ack, c->iss) || seq_gt(r->g.ack, c->snd.max)) {
			if (r->g.flags & TCP_RST) {
				tcp_discard(r, c, TG_DROP_TCP_SYN_SENT_RST);
				return false;
			}
			tcp_send_rst_for(r);
			tcp_discard(r, c, TG_DROP_TCP_SYN_SENT_ACK);
			return false;
		}
		RULE(r->s, c, SYN_SENT_ACK, c->iss.v, r->g.ack.v, c->snd.max.v);
		ack_acceptable = true;
	}
	/* second: RST */
	if (r->g.flags & TCP_RST) {
		syn_sent_rst(c, r, ack_acceptable);
		return false;
	}
	/* third: security is not spoken; fifth: neither SYN nor RST */
	if (!(r->g.flags & TCP_SYN)) {
		tcp_discard(r, c, TG_DROP_TCP_SYN_SENT_OTHER);
		return false;
	}
	/* fourth: SYN */
	syn_sent_syn(c, r);
	/* "If there are other controls or text in the segment, then continue processing at the
	 * sixth step"; in SYN-RECEIVED they wait: the peer sends them again [9293 3.10.7.3]. */
	r->text_seq = seq_add(r->g.seq, 1);
	if (c->state == TG_SYN_RECEIVED) {
		r->text_bytes = 0;
		r->fin = false;
	}
	return true;
}

/* ---- Checks before step 1 ---- */

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>. Text that comes again is always answered, our ACK may have
 * got lost; what has none no more often than challenged segments, or two confused ends would answer
 * one another for ever [5961 7]. */
static void answer_unacceptable(struct tcp_conn *c, const struct tcp_rx *r)
{
	struct tg *s = r->s;
	bool probe = r->g.len == 0 && seq_eq(r->g.seq, seq_sub(c->rcv.nxt, 1));

	if (r->g.len && !(r->g.flags & TCP_SYN))
		tcp_send_answer(s, c);
	else
		tcp_send_challenge_ack(s, c, probe ? CHALLENGE_PROBE : CHALLENGE_OUTSIDE);
}

/* [7323 5.3 R1] False: the segment is an old duplicate. */
static bool paws(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	bool present = (r->g.opts.has & TCP_HAS_TS) != 0;

	if (!c->ts_ok || (r->g.flags & TCP_RST)) /* [7323-P2] */
		return true;
	if (!present && (r->g.flags & TCP_SYN))
		return true; /* [5961-4] a SYN is challenged, with or without */
	if (!present) {      /* [7323-T3] */
		tcp_discard(r, c, TG_DROP_TCP_NO_TS);
		return false;
	}
	if ((int32_t)(r->g.opts.tsval - c->ts_recent) >= 0) {
		RULE(s, c, PAWS_PASSED, r->g.opts.tsval, c->ts_recent);
		return true;
	}
	/* [7323-P3] TS.Recent of more than 24 days ago tells nothing */
	if (s->now_ns - c->ts_recent_ns > 24ull * 86400 * NS_PER_SEC)
		return true;
	s->counters.tcp_paws_rejected++;
	answer_unacceptable(c, r); /* [7323-P1] */
	tcp_discard(r, c, TG_DROP_TCP_PAWS);
	return false;
}

/* [7323-T5, R3] TS.Recent follows segments that begin at or before what was last acknowledged. */
static void update_ts_recent(struct tcp_conn *c, const struct tcp_rx *r)
{
	if (!c->ts_ok || !(r->g.opts.has & TCP_HAS_TS) || (r->g.flags & TCP_RST) ||
		seq_gt(r->g.seq, c->rcv.last_ack))
		return;
	RULE(r->s, c, TS_RECENT, r->g.opts.tsval, r->g.seq.v, c->rcv.last_ack.v);
	c->ts_recent = r->g.opts.tsval;
	c->ts_recent_ns = r->s->now_ns;
}

/* [7323-T5] What was received last comes again, our ACK was lost: its time stamp is to be echoed,
 * or the sender takes the first copy's wait for a round trip. Only a segment that ends exactly
 * where RCV.NXT is, with an ACK that can be: others may be forged. */
static void update_ts_of_repeated(struct tcp_conn *c, const struct tcp_rx *r)
{
	if (r->g.len && (r->g.flags & TCP_ACK) && !(r->g.flags & TCP_SYN) &&
		seq_eq(seq_add(r->g.seq, r->g.len), c->rcv.nxt) && seq_le(r->g.ack, c->snd.max) &&
		seq_ge(r->g.ack, seq_sub(c->snd.una, c->snd.max_wnd)))
		update_ts_recent(c, r);
}

/* ---- Step 1: sequence number ---- */

static uint32_t rcv_wnd(const struct tcp_conn *c)
{
	return seq_dist(c->rcv.adv, c->rcv.nxt);
}

/* [9293 3.10.7.4-1] The four rows of the table. */
static bool acceptable(const struct tcp_conn *c, const struct tcp_seg *g)
{
	uint32_t wnd = rcv_wnd(c);

	if (g->len == 0)
		return wnd == 0 ? seq_eq(g->seq, c->rcv.nxt) : seq_in(g->seq, c->rcv.nxt, wnd);
	if (wnd == 0)
		return false;
	return seq_in(g->seq, c->rcv.nxt, wnd) ||
	       seq_in(seq_add(g->seq, g->len - 1), c->rcv.nxt, wnd);
}

static bool step1_sequence(struct tcp_conn *c, struct tcp_rx *r)
{
	bool old;

	/* [9293 3.5, Figure 8] in a simultaneous open the peer's SYN-ACK repeats the SYN that is
	 * known already: without it the rest of the segment is exactly what is expected */
	if (!c->syn_acked && (r->g.flags & TCP_SYN) && (r->g.flags & TCP_ACK) &&
		seq_eq(r->g.seq, c->irs)) {
		tcp_ecn_syn_in(c, r);
		r->g.flags &= (uint8_t) ~(TCP_SYN | TCP_ECE | TCP_CWR);
		r->g.seq = seq_add(r->g.seq, 1);
		r->g.len--;
		r->text_seq = r->g.seq;
	}
	if (acceptable(c, &r->g)) {
		RULE(r->s, c, SEQ_ACCEPTABLE, r->g.seq.v, r->g.len, c->rcv.nxt.v, c->rcv.adv.v);
		return true;
	}
	/* [9293 MUST-66] a closed window still takes RST, ACK and URG of what is next in line, and
	 * of what stands behind the octet that probes it */
	if (rcv_wnd(c) == 0 &&
		(seq_eq(r->g.seq, c->rcv.nxt) ||
			(r->g.len == 0 && seq_eq(r->g.seq, seq_add(c->rcv.nxt, 1))))) {
		RULE(r->s, c, SEQ_WINDOW_CLOSED, r->g.seq.v);
		return true;
	}
	if (r->g.flags & TCP_RST) { /* [5961-1] */
		tcp_discard(r, c, TG_DROP_TCP_RST_OUTSIDE);
		return false;
	}
	old = seq_lt(r->g.seq, c->rcv.nxt);
	if (old && seq_le(seq_add(r->g.seq, r->g.text_bytes), c->rcv.nxt))
		tcp_note_duplicate(r->s, c, r->g.seq, seq_add(r->g.seq, r->g.text_bytes));
	update_ts_of_repeated(c, r);
	answer_unacceptable(c, r);
	tcp_discard(r, c, old ? TG_DROP_TCP_OLD : TG_DROP_TCP_BEYOND_WINDOW);
	return false;
}

/* ---- Step 2: RST ---- */

/* [9293 MUST-12] an abort is told as an error, a normal close as the end of the text */
static void reset_by_peer(struct tcp_conn *c, struct tcp_rx *r)
{
	int error = 0;
	enum tg_cause why = TG_CAUSE_RST;

	switch ((enum tg_state)c->state) {
	case TG_SYN_RECEIVED: /* [9293 MUST-11] by active OPEN: refused */
		error = c->passive ? TG_ECONNRESET : TG_ECONNREFUSED;
		why = TG_CAUSE_RST_REFUSED;
		break;
	case TG_ESTABLISHED:
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2: error = TG_ECONNRESET; break;
	case TG_CLOSE_WAIT: error = TG_EPIPE; break;
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT:
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT: break;
	}
	done(r);
	tcp_conn_end(r->s, c, why, error);
	r->gone = true;
}

static bool step2_rst(struct tcp_conn *c, struct tcp_rx *r)
{
	if (!(r->g.flags & TCP_RST))
		return true;
	if (seq_eq(r->g.seq, c->rcv.nxt)) { /* [5961-2]; data in it are ignored [9293 SHLD-2] */
		RULE(r->s, c, RST_EXACT, r->g.seq.v);
		reset_by_peer(c, r);
		return false;
	}
	tcp_send_challenge_ack(r->s, c, CHALLENGE_IN_WINDOW); /* [5961-3] */
	tcp_discard(r, c, TG_DROP_TCP_RST_CHALLENGE);
	return false;
}

/* ---- Step 4: SYN ---- */

static bool step4_syn(struct tcp_conn *c, struct tcp_rx *r)
{
	if (!(r->g.flags & TCP_SYN))
		return true;
	tcp_send_challenge_ack(r->s, c, CHALLENGE_IN_WINDOW); /* [5961-4] whatever its number */
	tcp_discard(r, c, TG_DROP_TCP_SYN_CHALLENGE);
	return false;
}

/* ---- Step 6: URG ---- */

/* [9293 3.10.7.4-6] */
static void step6_urg(struct tcp_conn *c, struct tcp_rx *r)
{
	struct seq up;

	if (!(r->g.flags & TCP_URG))
		return;
	switch ((enum tg_state)c->state) {
	case TG_ESTABLISHED:
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2:
		/* [9293 MUST-30..32] RCV.UP <- max(RCV.UP, SEG.UP); the user is told while it is
		 * ahead of what he read */
		up = seq_add(r->g.seq, r->g.up);
		if (!c->urg_in || seq_gt(up, c->rcv.up)) {
			RULE(r->s, c, URG_POINTER, up.v);
			c->rcv.up = up;
			c->urg_in = true;
			c->urg_read = false;
		}
		break;
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT:
	case TG_SYN_RECEIVED:
	case TG_CLOSE_WAIT: /* a FIN has been received: this should not occur. Ignore. */
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT: break;
	}
}

/* ---- Step 8: FIN ---- */

/* The FIN is next in line: RCV.NXT moves past it. */
static void take_fin(struct tcp_conn *c)
{
	c->fin_seen = true;
	c->fin_parked = false;
	c->rcv.nxt = seq_add(c->rcv.nxt, 1);
	if (seq_lt(c->rcv.adv, c->rcv.nxt))
		c->rcv.adv = c->rcv.nxt;
	c->ack_now = true;
}

/* Text before the FIN may be missing. Of several the first in sequence counts, unless text has gone
 * past it. */
static void park_fin(struct tcp_conn *c, const struct tcp_rx *r)
{
	struct seq fin = seq_add(r->g.seq, r->g.len - 1); /* text may have been cut */

	/* [5681-8] out of order: an ACK at once, which with text has gone already */
	if (r->g.text_bytes == 0 && !seq_eq(fin, c->rcv.nxt))
		c->ack_now = true;
	if (c->fin_parked && !seq_lt(fin, c->fin_seq) && !seq_lt(c->fin_seq, c->rcv.nxt))
		return;
	c->fin_parked = true;
	c->fin_seq = fin;
}

static void step8_fin(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	if (r->fin && !c->fin_seen)
		park_fin(c, r);
	if (c->fin_parked && !seq_eq(c->fin_seq, c->rcv.nxt))
		RULE(s, c, FIN_TOO_EARLY, c->fin_seq.v, c->rcv.nxt.v);
	if (!c->fin_parked || !seq_eq(c->fin_seq, c->rcv.nxt))
		return;
	RULE(s, c, FIN_IN_ORDER, c->fin_seq.v);
	switch ((enum tg_state)c->state) {
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT:     /* SEG.SEQ cannot be validated */
	case TG_SYN_RECEIVED: /* the ACK without which no segment gets here has led out of it */
		return;
	case TG_ESTABLISHED:
		take_fin(c);
		tcp_set_state(s, c, TG_CLOSE_WAIT, TG_CAUSE_FIN);
		return;
	case TG_FIN_WAIT_1: /* our FIN is not acknowledged, or step 5 had moved on */
		take_fin(c);
		tcp_set_state(s, c, TG_CLOSING, TG_CAUSE_FIN);
		return;
	case TG_FIN_WAIT_2:
		take_fin(c);
		done(r);
		tcp_send_ack_now(s, c); /* the record that would send it later may be gone */
		tcp_enter_time_wait(s, c, TG_CAUSE_FIN);
		r->gone = true;
		return;
	case TG_CLOSE_WAIT:
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT: return; /* remain; tcp_tw.c restarts 2 MSL */
	}
}

/* ---- The driver ---- */

static void eight_steps(struct tcp_conn *c, struct tcp_rx *r)
{
	if (!paws(c, r) || !step1_sequence(c, r))
		return;
	if (!step2_rst(c, r))
		return;
	/* step 3, security: no such option is ever offered */
	if (!step4_syn(c, r) || !tcp_ack_step(c, r))
		return;
	/* only now: a segment without an acceptable ACK [5961 5] must not move the clock that
	 * others are judged by, and is no sign of the peer's life [9293 MUST-29] */
	tcp_timers_segment_received(r->s, c);
	update_ts_recent(c, r);
	tcp_trim_to_window(c, r);
	step6_urg(c, r);
	tcp_text_step(c, r); /* [9293 3.10.7.4-7] */
	if (!r->gone)
		step8_fin(c, r);
}

void tcp_process(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	c->segs_in += pkt_frames(r->p);
	r->wnd = (uint32_t)r->g.wnd << (r->g.flags & TCP_SYN ? 0 : c->snd_wscale); /* [7323-W4] */
	r->text_seq = seq_add(r->g.seq, r->g.flags & TCP_SYN ? 1 : 0);
	r->text_bytes = r->g.text_bytes;
	r->fin = (r->g.flags & TCP_FIN) != 0;
	if (!tcp_fast(c, r)) {
		s->counters.tcp_slow_path++;
		if (c->state != TG_SYN_SENT) {
			eight_steps(c, r);
		} else if (syn_sent(c, r)) {
			tcp_timers_segment_received(s, c);
			tcp_trim_to_window(c, r);
			step6_urg(c, r);
			tcp_text_step(c, r);
			if (!r->gone)
				step8_fin(c, r);
		}
	}
	done(r);
	if (r->gone)
		return;
	tcp_want_output(s, c);
	tcp_notify(s, c);
}

/* Parses, verifies the checksum and finds the receiver. */
static bool verify(struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tg_pkt *p = r->p;
	enum tg_drop why;

	if (r->ip->group) { /* [9293 MUST-57] */
		tcp_discard(r, NULL, TG_DROP_TCP_BROADCAST);
		return false;
	}
	/* [9293 MUST-3] unless the device vouches for it */
	if (p->csum == TG_CSUM_UNKNOWN &&
		csum_fold(s->csum(p->data, p->len, r->ip->pseudo_sum)) != 0xffff) {
		s->counters.tcp_in_errs++;
		tcp_discard(r, NULL, TG_DROP_TCP_CSUM);
		return false;
	}
	why = tcp_parse(p->data, p->len, &r->g);
	if (why != TG_DROP_NONE) { /* [9293 MUST-7] */
		s->counters.tcp_in_errs++;
		tcp_discard(r, NULL, why);
		return false;
	}
	return true;
}

/* The record of a connection, of TIME-WAIT, of a half-open one, a listener, or nothing. */
static void dispatch(struct tcp_rx *r)
{
	struct tg *s = r->s;
	struct tcp_state *t = s->tcp;
	const struct tg_ip *la = &r->ip->dst, *ra = &r->ip->src;
	uint32_t hash = r->hash = tcp_flow_hash(s, r->ip, &r->g);
	struct tcp_conn *c = tcp_find_conn(s, la, r->g.dst_port, ra, r->g.src_port, hash);
	struct mini_key k;
	struct tcp_mini *m;

	trace_in(r, c);
	if (c) {
		c = tcp_wake(s, c);
		if (c)
			tcp_process(c, r);
		else
			tcp_discard(r, NULL, TG_DROP_TCP_RCV_MEMORY);
		return;
	}
	k = (struct mini_key){*ra, r->g.src_port, r->g.dst_port, (uint16_t)ip_addr_index(s, la)};
	m = mini_find(s, &t->half_open, &k, hash);
	if (m) {
		tcp_syn_segment(m, r);
		return;
	}
	m = mini_find(s, &t->time_wait, &k, hash);
	if (m && tcp_tw_segment(m, r))
		return;
	c = tcp_pick_listener(s, la, r->g.dst_port, hash);
	if (c)
		tcp_listen_segment(c, r);
	else if (ip_passes_home(s, r->p, r->ip))
		r->p = NULL;
	else
		closed(r);
}

void tcp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i)
{
	struct tcp_rx r;

	memset(&r, 0, offsetof(struct tcp_rx, g.opts)); /* the options are tcp_parse's */
	r.s = s;
	r.ip = i;
	r.p = p;
	s->counters.tcp_in_segs += pkt_frames(p);
	if (verify(&r))
		dispatch(&r);
	done(&r);
}
