/* What may be sent now: a connection's turn in tg_step. First what goes again, then new text and
 * FIN as the peer's window, congestion control, Nagle and silly-window avoidance allow (RFC
 * 9293 3.7.4, 3.8.6), then an ACK that is still owed. State changes only for what the device took.
 */
#include "tcp/tcp.h"

#define TCP_FRAME_MAX (65535u - IP_TX_ROOM)
#define IP_TX_ROOM    (60u + TCP_HDR_MAX_BYTES)

/* ---- Segment sizes ---- */

uint16_t tcp_mss_offer(struct tg *s, const struct tg_ip *dst, struct ip_path *path)
{
	uint32_t mms_r = ip_mms_r(s, dst, path); /* [9293 MUST-67] */

	return (uint16_t)min_u32(
		mms_r > TCP_HDR_BYTES ? mms_r - TCP_HDR_BYTES : TCP_MSS_DEFAULT, 65535);
}

/* [9293 MUST-16] Eff.snd.MSS = min(SendMSS + 20, MMS_S) - TCPhdrsize - IPoptionsize */
void tcp_update_mss(struct tg *s, struct tcp_conn *c)
{
	uint32_t mms_s = ip_mtu(s, &c->raddr, &c->path) - ip_header_bytes(&c->raddr);
	uint32_t send_mss = max_u32(c->mss_peer, TCP_MSS_MIN);
	uint32_t options = c->ts_ok ? 12 : 0;
	uint32_t mss = min_u32(send_mss + TCP_HDR_BYTES, mms_s);

	if (c->mss_user)
		mss = min_u32(mss, c->mss_user + TCP_HDR_BYTES);
	mss = mss > TCP_HDR_BYTES + options ? mss - TCP_HDR_BYTES - options : 1;
	mss = min_u32(mss, TCP_FRAME_MAX); /* one whole segment at least fits a frame */
	if (mss == c->mss)
		return;
	c->mss = (uint16_t)mss;
	c->cc.ops->on_mss(&c->cc, c->mss);
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
	if (c->syn_due || c->ack_now || c->probe_due || c->keep_due)
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
static uint32_t may_resend(const struct tcp_conn *c, const struct tcp_range *r)
{
	uint32_t pipe = tcp_pipe(c), n = range_bytes(r), room;
	struct seq edge = seq_add(c->snd.una, c->snd.wnd);

	if (seq_ge(r->start, edge)) /* [9293 SHLD-16] only inside SND.UNA + SND.WND */
		return 0;
	room = c->cc.cwnd > pipe ? c->cc.cwnd - pipe : 0;
	room -= room % c->mss;
	if (room == 0 && (c->rexmit_now || pipe == 0))
		room = c->mss;
	n = min_u32(n, min_u32(room, c->urg_out ? c->mss : TCP_FRAME_MAX - TCP_FRAME_MAX % c->mss));
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
	r->sent_ns = s->now_ns;
	r->delivered = c->delivered;
	if (r->n_retrans < UINT8_MAX)
		r->n_retrans++;
	range_mark(c, r, RANGE_RETRANS | RANGE_EVER, 0);
	c->rexmit_now = false;
	tcp_timers_data_sent(s, c);
	return TX_OK;
}

static enum tx_result send_lost(struct tg *s, struct tcp_conn *c, uint32_t *budget)
{
	struct tcp_range *r;

	while (c->tx && *budget && (r = tcp_loss_next(s, c))) {
		uint32_t n = may_resend(c, r);
		enum tx_result res;

		if (n == 0) {
			c->cwnd_limited = true;
			return TX_OK;
		}
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
	bool blocked; /* nothing is in flight and nothing may go: a timer has to see to it */
	bool zero_window;
	bool cwnd; /* cwnd is what limits */
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

static void limit_by_cwnd(const struct tcp_conn *c, struct sendable *d)
{
	uint32_t pipe = tcp_pipe(c);
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
static void decide(const struct tcp_conn *c, struct sendable *d)
{
	uint32_t unsent = tcp_unsent(c), usable = usable_window(c), full;
	bool idle = seq_eq(c->snd.una, c->snd.nxt);

	memset(d, 0, sizeof(*d));
	/* segments cut by a device would all carry the first one's urgent pointer */
	d->text = c->urg_out ? c->mss : TCP_FRAME_MAX - TCP_FRAME_MAX % c->mss;
	d->text = min_u32(d->text, min_u32(unsent, usable));
	limit_by_cwnd(c, d);
	full = d->text - d->text % c->mss; /* [9293 SHLD-28] */
	if (d->text == unsent) {
		d->fin = fin_waits(c) && usable > d->text;
		if (d->text > full && !tail_may_go(c, full))
			d->text = full;
	} else if (d->text == usable && d->text > full) {
		/* cut by the window: a part of a segment only if it is half of the largest window
		 * ever seen */
		if (full > 0 || (!c->push_all && d->text < c->snd.max_wnd / 2))
			d->text = full;
	}
	if (d->text < unsent)
		d->fin = false;
	if (d->text == 0 && !d->fin && (unsent || fin_waits(c)) && idle && !d->cwnd) {
		d->blocked = true;
		d->zero_window = usable == 0;
	}
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
	c->snd.nxt = r->end;
	c->snd.max = seq_max(c->snd.max, c->snd.nxt);
	tcp_timers_data_sent(s, c);
}

static enum tx_result send_frame(struct tg *s, struct tcp_conn *c, uint32_t text, bool fin)
{
	uint8_t flags = TCP_ACK;
	struct tcp_range *r;
	uint32_t sent;
	enum tx_result res;

	if (!tcp_tx_need(s, c) || c->tx->n_ranges >= TCP_RANGES_MAX ||
		!(r = range_new(s, c, c->snd.nxt, c->snd.nxt))) {
		c->no_memory = true;
		tcp_timers_no_memory(s, c);
		return TX_WAIT;
	}
	if (fin)
		flags |= TCP_FIN;
	if (text && text == tcp_unsent(c)) /* [9293 MUST-61, SHLD-27] the last one queued */
		flags |= TCP_PSH;
	res = tcp_emit_frame(s, c, c->snd.nxt, text, flags, EMIT_NEW, &sent);
	if (res != TX_OK && res != TX_DROPPED) {
		range_free(s, c, r);
		return res;
	}
	note_sent(s, c, r, sent, fin && sent == text);
	return sent == text ? TX_OK : TX_BUSY;
}

static void restart_after_idle(struct tg *s, struct tcp_conn *c)
{
	/* [5681-13] nothing in flight and nothing sent for an RTO */
	if (!seq_eq(c->snd.una, c->snd.nxt) || !c->last_snd_ns ||
		s->now_ns - c->last_snd_ns <= c->rto_ns)
		return;
	c->cc.ops->on_idle(&c->cc, s->cfg.tcp.initial_window_segs);
}

static enum tx_result send_new(struct tg *s, struct tcp_conn *c, uint32_t *budget)
{
	struct sendable d;

	if (tcp_unsent(c) || fin_waits(c))
		restart_after_idle(s, c);
	while (tcp_unsent(c) || fin_waits(c)) {
		enum tx_result res;

		decide(c, &d);
		c->cwnd_limited = d.cwnd || (c->cc.cwnd < c->cc.ssthresh &&
						    tcp_pipe(c) + d.text > c->cc.cwnd / 2);
		if (d.text == 0 && !d.fin) {
			if (d.blocked)
				tcp_timers_blocked(s, c, d.zero_window);
			return TX_OK;
		}
		if (*budget == 0)
			return TX_MORE;
		res = send_frame(s, c, d.text, d.fin);
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
		res = send_frame(s, c, tcp_unsent(c) ? 1 : 0, !tcp_unsent(c));
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
	else if (res == TX_BUSY)
		c->probe_due = true;
	return res == TX_DROPPED ? TX_OK : res;
}

static enum tx_result send_keepalive(struct tg *s, struct tcp_conn *c)
{
	uint32_t sent;
	/* [9293 SHLD-12] no data; an old number makes the peer answer */
	enum tx_result res =
		tcp_emit_frame(s, c, seq_sub(c->snd.nxt, 1), 0, TCP_ACK, EMIT_PROBE, &sent);

	if (res == TX_BUSY)
		return res;
	c->keep_due = false;
	s->counters.tcp_keepalive_probes++;
	return res == TX_DROPPED ? TX_OK : res;
}

static enum tx_result send_ack(struct tg *s, struct tcp_conn *c)
{
	uint32_t sent;
	enum tx_result res = tcp_emit_frame(s, c, c->snd.nxt, 0, TCP_ACK, EMIT_NEW, &sent);

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
		if (c->probe_due)
			res = send_probe(s, c);
		if (res == TX_OK)
			res = send_lost(s, c, &budget);
		if (res == TX_OK)
			res = send_new(s, c, &budget);
	}
	if (c->keep_due && res == TX_OK)
		res = send_keepalive(s, c);
	if (c->ack_now && (res == TX_OK || (res == TX_WAIT && c->no_memory)))
		res = send_ack(s, c); /* takes none */
	return res;
}

/* The user took text out: tell the peer when the window has at least doubled [9293 MUST-39]. */
void tcp_window_opened(struct tg *s, struct tcp_conn *c)
{
	uint32_t now = seq_dist(c->rcv.adv, c->rcv.nxt), wnd = tcp_window_offer(s, c, false);

	if (c->fin_seen || c->state < TG_ESTABLISHED || c->state == TG_TIME_WAIT ||
		c->state == TG_CLOSED)
		return;
	if (wnd > now && wnd >= 2u * now) {
		c->ack_now = true;
		tcp_want_output(s, c);
	}
}
