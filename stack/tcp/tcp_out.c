/* What may be sent now: a connection's turn in tg_step. First what goes again, then new text and
 * FIN as the peer's window, congestion control, Nagle and silly-window avoidance allow (RFC
 * 9293 3.7.4, 3.8.6), then an ACK that is still owed. State changes only for what the device took.
 */
#include "tcp/tcp.h"

/* ---- Segment sizes ---- */

uint16_t tcp_mss_offer(struct tg *s, const struct tg_ip *dst, struct ip_path *path)
{
	uint32_t mms_r = ip_mms_r(s, dst, path); /* [9293 MUST-67] */

	return (uint16_t)min_u32(
		mms_r > TCP_HDR_BYTES ? mms_r - TCP_HDR_BYTES : TCP_MSS_DEFAULT, 65535);
}

/* ---- Turns ---- */

static bool fin_waits(const struct tcp_conn *c)
{
	return c->fin_queued && !c->fin_sent;
}

static bool may_send_text(const struct tcp_conn *c)
{
	switch ((enum tg_state)c->state) {
	case TG_ESTABLISHED:
	case TG_CLOSE_WAIT:
	case TG_FIN_WAIT_1:
	case TG_CLOSING:
	case TG_LAST_ACK: return true;
	case TG_FIN_WAIT_2:
	case TG_TIME_WAIT:
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT:
	case TG_SYN_RECEIVED: return false;
	}
	return false;
}

static bool has_work(const struct tcp_conn *c)
{
	if (c->syn_due || c->ack_now || c->probe_due || c->keep_due || c->tlp_due)
		return true;
	if (!may_send_text(c))
		return false;
	return fin_waits(c) ||
	       (c->tx && (c->tx->lost_bytes || tcp_unsent(c) || c->recovery == REC_RECOVERY));
}

void tcp_want_output(struct tg *s, struct tcp_conn *c)
{
	if (has_work(c))
		sender_ready(s, &c->tx_node);
}

static enum tx_result send_syn(struct tg *s, struct tcp_conn *c)
{
	uint8_t flags = c->state == TG_SYN_SENT ? TCP_SYN : TCP_SYN | TCP_ACK;
	uint32_t sent;
	enum tx_result res = tcp_emit_frame(
		s, c, c->iss, 0, flags, c->syn_retrans ? EMIT_AGAIN : EMIT_NEW, &sent);

	if (res != TX_OK && res != TX_DROPPED)
		return res;
	if (res == TX_DROPPED && c->state == TG_SYN_SENT) {
		tcp_conn_end(
			s, c, TG_CAUSE_NO_ROUTE, c->soft_error ? c->soft_error : TG_EHOSTUNREACH);
		return TX_DROPPED;
	}
	c->syn_due = false;
	c->snd.max = seq_max(c->snd.max, seq_add(c->iss, 1));
	tcp_timers_data_sent(s, c);
	return TX_OK;
}

/* ---- Retransmission ---- */

/* How much of r may go again now, bytes of sequence space; 0: nothing. */
static uint32_t may_resend(const struct tg *s, const struct tcp_conn *c, const struct tcp_range *r)
{
	uint32_t pipe = tcp_pipe(c), n = range_bytes(r), room;
	struct seq edge = seq_add(c->snd.una, c->snd.wnd);

	if (seq_ge(r->start, edge)) /* [9293 SHLD-16] only inside SND.UNA + SND.WND */
		return 0;
	room = c->cc.cwnd > pipe ? c->cc.cwnd - pipe : 0;
	if (room < n)
		room -= room % c->mss;
	if (room == 0 && (c->rexmit_now || pipe == 0))
		room = c->mss;
	n = min_u32(n, tcp_pace_release(c));
	n = min_u32(n, min_u32(room, c->urg_out ? c->mss : tcp_frame_text(s, c)));
	return min_u32(n, seq_dist(edge, r->start));
}

static enum tx_result resend(struct tg *s, struct tcp_conn *c, struct tcp_range *r, uint32_t n)
{
	bool fin;
	uint32_t sent, text;
	uint8_t flags = TCP_ACK;
	enum tx_result res;

	if (n < range_bytes(r) && !range_split(s, c, r, seq_add(r->start, n))) {
		c->no_memory = true;
		tcp_timers_no_memory(s, c);
		return TX_WAIT;
	}
	fin = (r->flags & RANGE_FIN) != 0;
	text = n - (fin ? 1 : 0);
	if (fin)
		flags |= TCP_FIN;
	if (text && seq_eq(seq_add(r->start, text),
			    seq_add(c->tx->ring_seq, (uint32_t)bring_len(&c->tx->ring))))
		flags |= TCP_PSH;
	res = tcp_emit_frame(s, c, r->start, text, flags, EMIT_AGAIN, &sent);
	if (res != TX_OK && res != TX_DROPPED)
		return res;
	if (sent <
		text) /* the device became busy on the way: the rest waits in a record of its own */
		range_split(s, c, r, seq_add(r->start, sent));
	range_sent(s, c, r);
	if (r->n_retrans < UINT8_MAX)
		r->n_retrans++;
	range_mark(c, r, RANGE_RETRANS | RANGE_EVER, 0); /* [8985-4] */
	tcp_pace_sent(s, c, sent);
	c->rexmit_now = false;
	c->tx->prr_out += range_bytes(r);
	tcp_undo_resent(s, c, r);
	tcp_timers_data_sent(s, c);
	if (seq_eq(r->start, c->snd.una))
		tcp_timers_first_again(s, c);
	return TX_OK;
}

static enum tx_result send_lost(struct tg *s, struct tcp_conn *c, uint32_t *budget)
{
	struct tcp_range *r;

	/* [5682 2.1] the first goes again; then new text, until the ACKs have told */
	if (c->frto == FRTO_SECOND || (c->frto == FRTO_FIRST && c->tx && c->tx->retrans_bytes))
		return TX_OK;
	while (c->tx && *budget && (r = tcp_loss_next(s, c))) {
		uint32_t n;
		enum tx_result res;

		if (!c->rexmit_now && tcp_pace_wait(s, c))
			return TX_OK;
		n = may_resend(s, c, r);
		if (n == 0) {
			c->cwnd_limited = true;
			return TX_OK;
		}
		RULE(s, c, RESEND, n, r->start.v);
		res = resend(s, c, r, n);
		if (res != TX_OK)
			return res;
		*budget -= min_u32(*budget, n);
	}
	return *budget ? TX_OK : TX_MORE;
}

/* ---- New text ---- */

/* What new text may go in one frame, and whether FIN goes with it. */
struct sendable {
	uint32_t text;
	bool fin;
	bool zero_window; /* nothing at all may go */
	bool cwnd;        /* cwnd is what limits */
};

static uint32_t usable_window(const struct tcp_conn *c)
{
	uint32_t flight = seq_dist(c->snd.nxt, c->snd.una);

	return c->snd.wnd > flight ? c->snd.wnd - flight : 0; /* [9293 SHLD-15, MUST-34] */
}

/* May a segment that is not full go out as the last one of what is queued? */
static bool tail_may_go(const struct tcp_conn *c, uint32_t full)
{
	bool idle = seq_eq(c->snd.una, c->snd.nxt);

	if (fin_waits(c) || c->push_all || (c->urg_out && seq_gt(c->snd.up, c->snd.nxt)))
		return true;
	if (c->cork || c->more) /* [9293 MAY-16] */
		return false;
	if (c->nodelay) /* [9293 MUST-17] */
		return true;
	return idle && full == 0; /* [9293 SHLD-7, MUST-60] Nagle */
}

static void limit_by_cwnd(const struct tg *s, const struct tcp_conn *c, struct sendable *d)
{
	/* [5681-9, 3042-2] what duplicates or SACK say has left makes room, unless that is switched
	 * off */
	bool count_all = c->recovery == REC_OPEN && !s->cfg.tcp.limited_transmit;
	uint32_t pipe = count_all ? seq_dist(c->snd.nxt, c->snd.una) : tcp_pipe(c);
	uint32_t room = c->cc.cwnd > pipe ? c->cc.cwnd - pipe : 0; /* [5681-1, 6675-8, 2018-6] */

	if (d->text <= room)
		return;
	d->cwnd = true;
	if (room < c->mss && pipe == 0)
		d->text = min_u32(d->text, c->mss);
	else
		d->text = room - room % c->mss;
}

/* [9293 MUST-38] sender's silly-window avoidance, and Nagle */
static void decide(const struct tg *s, const struct tcp_conn *c, struct sendable *d)
{
	uint32_t unsent = tcp_unsent(c), usable = usable_window(c), full;

	memset(d, 0, sizeof(*d));
	/* segments cut by a device would all carry the first one's urgent pointer */
	d->text = c->urg_out ? c->mss : tcp_frame_text(s, c);
	d->text = min_u32(d->text, min_u32(unsent, usable));
	d->text = min_u32(d->text, tcp_frto_room(c));
	limit_by_cwnd(s, c, d);
	d->text = min_u32(d->text, tcp_pace_release(c));
	full = d->text - d->text % c->mss; /* [9293 SHLD-28] */
	if (d->text == unsent) {
		d->fin = fin_waits(c) && usable > d->text;
		if (!tail_may_go(c, full)) /* a FIN that waits lets it go */
			d->text = full;
	} else if (full > 0 || (!c->push_all && d->text < c->snd.max_wnd / 2)) {
		/* cut by the window: a part of a segment only if it is half of the largest window
		 * ever seen */
		d->text = full;
	}
	d->zero_window = usable == 0;
}

/* [5681-10, 3042] new text beyond cwnd that duplicates made room for */
static void note_limited(struct tcp_conn *c, uint32_t bytes)
{
	uint32_t flight = seq_dist(c->snd.nxt, c->snd.una);

	if (c->recovery == REC_OPEN && c->dup_acks && flight > c->cc.cwnd)
		c->tx->limited_bytes += min_u32(bytes, flight - c->cc.cwnd);
}

static void note_sent(
	struct tg *s, struct tcp_conn *c, struct tcp_range *r, uint32_t sent, bool fin)
{
	r->end = seq_add(r->start, sent + (fin ? 1 : 0));
	if (fin) {
		r->flags |= RANGE_FIN;
		c->fin_sent = true;
	}
	list_push_back(&c->tx->ranges, &r->node);
	range_sent(s, c, r);
	c->snd.nxt = r->end;
	c->snd.max = seq_max(c->snd.max, c->snd.nxt);
	c->tx->prr_out += range_bytes(r);
	note_limited(c, range_bytes(r));
	tcp_timers_data_sent(s, c);
	tcp_timers_new_data(s, c);
}

static enum tx_result send_frame(
	struct tg *s, struct tcp_conn *c, uint32_t text, bool fin, uint8_t how)
{
	uint8_t flags = TCP_ACK;
	struct tcp_range *r;
	uint32_t sent;
	enum tx_result res;

	if (!tcp_tx_need(s, c) || c->tx->n_ranges >= tcp_ranges_max(c) ||
		!(r = range_new(s, c, c->snd.nxt, c->snd.nxt))) {
		c->no_memory = true;
		tcp_timers_no_memory(s, c);
		return TX_WAIT;
	}
	if (fin)
		flags |= TCP_FIN;
	if (text && text == tcp_unsent(c)) /* [9293 MUST-61, SHLD-27] the last one queued */
		flags |= TCP_PSH;
	res = tcp_emit_frame(s, c, c->snd.nxt, text, flags, how, &sent);
	if (res != TX_OK && res != TX_DROPPED) {
		range_free(s, c, r);
		return res;
	}
	note_sent(s, c, r, sent, fin && sent == text);
	tcp_pace_sent(s, c, sent);
	return sent == text ? TX_OK : TX_BUSY;
}

/* Is the window still what it says after a pause? */
static void validate_window(struct tg *s, struct tcp_conn *c)
{
	uint8_t iw = s->cfg.tcp.initial_window_segs;
	uint64_t idle_ns = c->last_snd_ns ? s->now_ns - c->last_snd_ns : 0;
	bool pause = seq_eq(c->snd.una, c->snd.nxt), idle = pause && idle_ns > c->rto_ns;

	if (pause && c->cc.ops->on_pause)
		c->cc.ops->on_pause(&c->cc, s->now_ns);
	switch ((enum tg_cwv)s->cfg.tcp.cwnd_validation) {
	case TG_CWV_NONE: return;
	case TG_CWV_RESTART: /* [5681-13] nothing in flight and nothing sent for an RTO */
		if (idle)
			c->cc.ops->on_idle(&c->cc, iw);
		return;
	case TG_CWV_DECAY:
		if (idle)
			cwv_decay(&c->cc, iw, idle_ns, c->rto_ns);
		return;
	case TG_CWV_7661: cwv_before_send(&c->cc, iw, s->now_ns); return;
	}
}

/* [4821 7.4, 8899 4.1] new text in a larger segment than is known to fit. Sets c->mtu_waits if it
 * has to wait for room, and all that is new with it. */
static enum tx_result send_mtu_probe(struct tg *s, struct tcp_conn *c, uint32_t *budget)
{
	struct seq from = c->snd.nxt;
	uint32_t text;
	enum mtu_advice advice = tcp_mtu_advise(s, c, &text);
	enum tx_result res;

	c->mtu_waits = advice == MTU_WAIT;
	if (c->mtu_waits)
		c->cwnd_limited = true;
	if (advice != MTU_PROBE)
		return TX_OK;
	res = send_frame(s, c, text, false, EMIT_MTU);
	if (res == TX_OK) {
		tcp_mtu_sent(s, c, from, text);
		*budget -= min_u32(*budget, text);
	}
	return res;
}

/* Why what is queued has to wait. */
static void tell_why(const struct tg *s, const struct tcp_conn *c, const struct sendable *d)
{
	if (d->cwnd)
		RULE(s, c, WAIT_CWND, c->cc.cwnd, tcp_pipe(c), tcp_unsent(c));
	else if (usable_window(c) == 0)
		RULE(s, c, WAIT_WINDOW, seq_dist(c->snd.nxt, c->snd.una), tcp_unsent(c));
	else
		RULE(s, c, WAIT_NAGLE, tcp_unsent(c), c->mss);
}

enum tg_wait tcp_out_waits(const struct tg *s, const struct tcp_conn *c)
{
	struct sendable d;

	if (c->state < TG_ESTABLISHED)
		return TG_WAIT_APP;
	if (c->tx && c->tx->lost_bytes)
		return tcp_pace_holds(s, c) ? TG_WAIT_PACING : TG_WAIT_CWND;
	if (tcp_unsent(c) == 0 && !fin_waits(c))
		return TG_WAIT_APP;
	decide(s, c, &d);
	if (d.text && tcp_pace_holds(s, c))
		return TG_WAIT_PACING;
	if (d.text || d.fin)
		return TG_WAIT_NONE;
	if (d.cwnd)
		return TG_WAIT_CWND;
	return usable_window(c) < min_u32(max_u32(tcp_unsent(c), 1), c->mss) ? TG_WAIT_RWND
									     : TG_WAIT_NAGLE;
}

static enum tx_result send_new(struct tg *s, struct tcp_conn *c, uint32_t *budget)
{
	struct sendable d;
	enum tx_result res;

	if (tcp_unsent(c) || fin_waits(c))
		validate_window(s, c);
	c->mtu_waits = false;
	if (c->mtu) {
		res = send_mtu_probe(s, c, budget);
		if (res != TX_OK || c->mtu_waits)
			return res;
	}
	while (tcp_unsent(c) || fin_waits(c)) {
		decide(s, c, &d);
		if (d.text && tcp_pace_wait(s, c))
			return TX_OK;
		c->cwnd_limited = d.cwnd || (c->cc.cwnd < c->cc.ssthresh &&
						    tcp_pipe(c) + d.text > c->cc.cwnd / 2);
		if (d.text == 0 && !d.fin) {
			tell_why(s, c, &d);
			/* with nothing in flight no ACK will let it go: a timer has to */
			tcp_timers_blocked(s, c, d.zero_window);
			return TX_OK;
		}
		if (*budget == 0)
			return TX_MORE;
		if (d.text)
			RULE(s, c, SEND_TEXT, d.text, c->snd.nxt.v, usable_window(c), c->cc.cwnd);
		if (d.fin)
			RULE(s, c, SEND_FIN, c->snd.nxt.v + d.text);
		res = send_frame(s, c, d.text, d.fin, EMIT_NEW);
		if (res != TX_OK)
			return res;
		c->push_all = false;
		*budget -= min_u32(*budget, d.text + 1);
	}
	return TX_OK;
}

/* ---- Probes and ACKs ---- */

/* [9293 MUST-36] one octet into a closed window: of what is in flight, else the next one (or the
 * FIN). */
static enum tx_result send_probe(struct tg *s, struct tcp_conn *c)
{
	struct tcp_range *r;
	bool text_first;
	uint32_t sent;
	enum tx_result res;

	c->probe_due = false;
	if (c->snd.wnd > seq_dist(c->snd.nxt, c->snd.una))
		return TX_OK;
	if (seq_eq(c->snd.una, c->snd.nxt)) {
		enum rexmit_mode mode = (enum rexmit_mode)c->rexmit_mode;
		uint64_t at = c->deadline[CT_REXMIT];

		if (!tcp_unsent(c) && !fin_waits(c))
			return TX_OK;
		res = send_frame(s, c, tcp_unsent(c) ? 1 : 0, !tcp_unsent(c), EMIT_NEW);
		if (mode == RM_PERSIST) { /* stays the persist timer's */
			c->rexmit_mode = (uint8_t)mode;
			c->deadline[CT_REXMIT] = at;
		}
	} else {
		r = list_entry(c->tx->ranges.next, struct tcp_range, node);
		text_first = range_bytes(r) > 1 || !(r->flags & RANGE_FIN);
		res = tcp_emit_frame(s, c, c->snd.una, text_first ? 1 : 0,
			text_first ? TCP_ACK : TCP_ACK | TCP_FIN, EMIT_PROBE, &sent);
		range_mark(c, r, RANGE_EVER, 0);
	}
	if (res == TX_OK)
		s->counters.tcp_persist_probes++;
	else if (res == TX_BUSY || (res == TX_WAIT && !c->no_memory))
		c->probe_due = true; /* once the device, or the neighbour, is ready */
	return res == TX_DROPPED ? TX_OK : res;
}

/* The highest segment again, for want of anything new. */
static enum tx_result repeat_last(struct tg *s, struct tcp_conn *c)
{
	struct tcp_range *r = range_last(c->tx);
	uint32_t n = range_bytes(r), most = c->mss + ((r->flags & RANGE_FIN) ? 1u : 0);

	if (n > most) {
		r = range_split(s, c, r, seq_sub(r->end, most));
		if (!r)
			return TX_WAIT;
		n = most;
	}
	return resend(s, c, r, n);
}

/* [8985-13] one segment, whatever cwnd says: new text if there is some and the peer's window takes
 * it, else what went last. */
static enum tx_result send_loss_probe(struct tg *s, struct tcp_conn *c)
{
	uint32_t unsent = tcp_unsent(c), usable = usable_window(c);
	uint32_t n = min_u32(min_u32(unsent, c->mss), usable);
	bool fin = fin_waits(c) && n == unsent && usable > n;
	enum tx_result res = TX_OK;

	if (tcp_tlp_may_probe(s, c)) {
		bool again = n == 0 && !fin;

		RULE(s, c, LOSS_PROBE, n);
		res = again ? repeat_last(s, c) : send_frame(s, c, n, fin, EMIT_NEW);
		if (res == TX_BUSY)
			return res;
		if (res == TX_OK) {
			tcp_tlp_sent(c, again);
			tcp_timers_probed(s, c);
			s->counters.tcp_loss_probes++;
		}
	}
	c->tlp_due = false;
	return res;
}

static enum tx_result send_keepalive(struct tg *s, struct tcp_conn *c)
{
	uint32_t sent;
	/* [9293 SHLD-12] no data; an old number makes the peer answer */
	enum tx_result res =
		tcp_emit_frame(s, c, seq_sub(c->snd.nxt, 1), 0, TCP_ACK, EMIT_PROBE, &sent);

	if (res == TX_BUSY || res == TX_WAIT)
		return res;
	c->keep_due = false;
	s->counters.tcp_keepalive_probes++;
	return res == TX_DROPPED ? TX_OK : res;
}

static enum tx_result send_ack(struct tg *s, struct tcp_conn *c)
{
	uint32_t sent;
	enum tx_result res = tcp_emit_frame(s, c, tcp_control_seq(c), 0, TCP_ACK, EMIT_NEW, &sent);

	if (res == TX_DROPPED)
		c->ack_now = false;
	return res == TX_DROPPED ? TX_OK : res;
}

enum tx_result tcp_sender_turn(struct tg *s, struct sender *x, uint32_t budget)
{
	struct tcp_conn *c = container_of(x, struct tcp_conn, tx_node);
	enum tx_result res = TX_OK;

	c->no_memory = false;
	if (c->syn_due) {
		res = send_syn(s, c);
		if (res != TX_OK)
			return res; /* after TX_DROPPED the record may be gone */
	}
	if (may_send_text(c)) {
		tcp_update_mss(s, c); /* the path may have changed since, or be unknown again */
		if (c->probe_due)
			res = send_probe(s, c);
		if (res == TX_OK)
			res = send_lost(s, c, &budget);
		if (res == TX_OK && c->tlp_due)
			res = send_loss_probe(s, c);
		if (res == TX_OK)
			res = send_new(s, c, &budget);
	}
	if (c->keep_due && res == TX_OK)
		res = send_keepalive(s, c);
	if (c->ack_now && (res == TX_OK || (res == TX_WAIT && c->no_memory)))
		res = send_ack(s, c);                           /* takes none */
	if (!(c->ep.level & TG_OUT) && tcp_notsent_lowat(s, c)) /* less waits now */
		endpoint_set_level(s, &c->ep, tcp_user_level(s, &c->ep));
	return res;
}

/* The user took text out: tell the peer when the window has at least doubled [9293 MUST-39]. */
void tcp_window_opened(struct tg *s, struct tcp_conn *c)
{
	uint32_t now = seq_dist(c->rcv.adv, c->rcv.nxt), wnd;

	if (c->fin_seen || c->state < TG_ESTABLISHED) /* CLOSED is the least of them */
		return;
	if (now > c->rcvbuf / 2) /* no more than the buffer is ever offered */
		return;
	wnd = tcp_window_offer(s, c, false);
	if (wnd > now && wnd >= 2u * now) {
		RULE(s, c, WINDOW_TOLD, now, wnd);
		c->ack_now = true;
		tcp_want_output(s, c);
	}
}
