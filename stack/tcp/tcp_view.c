/* The TCB as tools see it (tapglass_rules.h): the fields of connections, half-open and TIME-WAIT
 * records under the RFCs' names. Reads and changes nothing. */
#include "tapglass_rules.h"
#include "tcp/tcp.h"

static const char *const names[] = {
#define X(NAME, name, kind, text) name,
	TG_TCB_LIST(X)
#undef X
};
static const char *const texts[] = {
#define X(NAME, name, kind, text) text,
	TG_TCB_LIST(X)
#undef X
};
static const uint8_t kinds[] = {
#define X(NAME, name, kind, text) TG_TCB_IS_##kind,
	TG_TCB_LIST(X)
#undef X
};

const char *tg_tcb_name(unsigned field)
{
	return field < TG_TCB_COUNT ? names[field] : "?";
}

const char *tg_tcb_text(unsigned field)
{
	return field < TG_TCB_COUNT ? texts[field] : "?";
}

enum tg_tcb_kind tg_tcb_kind_of(unsigned field)
{
	return field < TG_TCB_COUNT ? (enum tg_tcb_kind)kinds[field] : TG_TCB_IS_NUMBER;
}

bool tg_move_is_legal(enum tg_state from, enum tg_state to)
{
	return tcp_move_is_legal(from, to);
}

/* ---- A connection ---------------------------------------------------------------------------- */

static void view_send(const struct tcp_conn *c, uint64_t *v)
{
	v[TG_TCB_ISS] = c->iss.v;
	v[TG_TCB_SND_UNA] = c->snd.una.v;
	v[TG_TCB_SND_NXT] = c->snd.nxt.v;
	v[TG_TCB_SND_MAX] = c->snd.max.v;
	v[TG_TCB_SND_WND] = c->snd.wnd;
	v[TG_TCB_SND_MAX_WND] = c->snd.max_wnd;
	v[TG_TCB_SND_UP] = c->urg_out ? c->snd.up.v : c->snd.una.v;
	v[TG_TCB_SND_WL1] = c->snd.wl1.v;
	v[TG_TCB_SND_WL2] = c->snd.wl2.v;
	v[TG_TCB_FIN_QUEUED] = c->fin_queued;
	v[TG_TCB_FIN_SENT] = c->fin_sent;
	v[TG_TCB_UNSENT] = tcp_unsent(c);
	v[TG_TCB_UNACKED] = tcp_queued(c) - tcp_unsent(c);
	v[TG_TCB_SNDBUF] = c->sndbuf;
	v[TG_TCB_BYTES_ACKED] = c->bytes_acked;
	v[TG_TCB_SEGS_OUT] = c->segs_out;
	v[TG_TCB_RETRANSMITS] = c->retransmits;
}

static void view_receive(const struct tcp_conn *c, uint64_t *v)
{
	v[TG_TCB_IRS] = c->irs.v;
	v[TG_TCB_RCV_NXT] = c->rcv.nxt.v;
	v[TG_TCB_RCV_WND] = seq_dist(c->rcv.adv, c->rcv.nxt);
	v[TG_TCB_RCV_UP] = c->urg_in ? c->rcv.up.v : c->rcv.nxt.v;
	v[TG_TCB_LAST_ACK] = c->rcv.last_ack.v;
	v[TG_TCB_FIN_SEEN] = c->fin_seen;
	v[TG_TCB_FIN_PARKED] = c->fin_parked;
	v[TG_TCB_ACK_OWED] = c->ack_now;
	v[TG_TCB_RCVBUF] = c->rcvbuf;
	v[TG_TCB_UNREAD] = c->rcvq.bytes;
	v[TG_TCB_OOO_RANGES] = c->ooo ? c->ooo->n_ranges : 0;
	v[TG_TCB_BYTES_RECEIVED] = c->bytes_received;
	v[TG_TCB_SEGS_IN] = c->segs_in;
}

static void view_agreed(const struct tcp_conn *c, uint64_t *v)
{
	v[TG_TCB_PASSIVE] = c->passive;
	v[TG_TCB_MSS_SND] = c->mss;
	v[TG_TCB_MSS_PEER] = c->mss_peer;
	v[TG_TCB_MSS_RCV] = c->mss_rcv;
	v[TG_TCB_PMTU] = c->path.mtu;
	v[TG_TCB_WSCALE_SND] = c->snd_wscale;
	v[TG_TCB_WSCALE_RCV] = c->rcv_wscale;
	v[TG_TCB_WSCALE_OK] = c->ws_ok;
	v[TG_TCB_TS_OK] = c->ts_ok;
	v[TG_TCB_TS_RECENT] = c->ts_recent;
	v[TG_TCB_SACK_OK] = c->sack_ok;
	v[TG_TCB_ECN_OK] = c->ecn_ok;
	v[TG_TCB_ECN_ECHO] = c->ecn_echo;
	v[TG_TCB_ECN_CWR] = c->ecn_cwr_due;
	v[TG_TCB_NODELAY] = c->nodelay;
	v[TG_TCB_CORK] = c->cork;
	v[TG_TCB_SOFT_ERROR] = (uint64_t)c->soft_error;
}

static void view_loss(const struct tcp_conn *c, uint64_t *v)
{
	const struct tcp_tx *x = c->tx;

	v[TG_TCB_CWND] = c->cc.cwnd;
	v[TG_TCB_SSTHRESH] = c->cc.ssthresh;
	v[TG_TCB_FLIGHT] = c->syn_acked ? tcp_pipe(c) : 0;
	v[TG_TCB_DUP_ACKS] = c->dup_acks;
	v[TG_TCB_PHASE] = c->recovery;
	v[TG_TCB_RECOVER] = c->recovery == REC_OPEN ? c->snd.una.v : c->recover.v;
	v[TG_TCB_FRTO] = c->frto;
	v[TG_TCB_UNDO_ARMED] = c->undo_armed;
	v[TG_TCB_RACK_REORDERING] = c->reordering_seen;
	v[TG_TCB_RACK_MULT] = c->reo_wnd_mult;
	v[TG_TCB_TLP_OUT] = c->tlp_out;
	v[TG_TCB_TLP_END] = c->tlp_out ? c->tlp_end.v : c->snd.una.v;
	v[TG_TCB_PACING_RATE] = c->cc.pacing_rate;
	v[TG_TCB_HIGH_SACKED] = x ? x->high_sacked.v : c->snd.una.v;
	v[TG_TCB_RACK_END] = x ? x->rack_end.v : c->snd.una.v;
	v[TG_TCB_RACK_FACK] = x ? x->fack.v : c->snd.una.v;
	if (!x)
		return;
	v[TG_TCB_SACKED] = x->sacked_bytes;
	v[TG_TCB_LOST] = x->lost_bytes;
	v[TG_TCB_RETRANS] = x->retrans_bytes;
	v[TG_TCB_PRR_DELIVERED] = x->prr_delivered;
	v[TG_TCB_PRR_OUT] = x->prr_out;
	v[TG_TCB_RACK_RTT] = x->rack_rtt_ns;
}

static void view_times(const struct tg *s, const struct tcp_conn *c, uint64_t *v)
{
	v[TG_TCB_SRTT] = c->srtt_ns;
	v[TG_TCB_RTTVAR] = c->rttvar_ns;
	v[TG_TCB_MIN_RTT] = c->min_rtt_ns;
	v[TG_TCB_RTO] = tcp_rto(s, c);
	v[TG_TCB_BACKOFF] = c->backoff;
	v[TG_TCB_KEEP_SENT] = c->keep_sent;
	v[TG_TCB_T_REXMIT] = tcp_timer_deadline_ns(c, TG_TIMER_REXMIT);
	v[TG_TCB_T_PERSIST] = tcp_timer_deadline_ns(c, TG_TIMER_PERSIST);
	v[TG_TCB_T_PROBE] = tcp_timer_deadline_ns(c, TG_TIMER_LOSS_PROBE);
	v[TG_TCB_T_REORDER] = tcp_timer_deadline_ns(c, TG_TIMER_REORDERING);
	v[TG_TCB_T_DELACK] = tcp_timer_deadline_ns(c, TG_TIMER_DELACK);
	v[TG_TCB_T_KEEP] = tcp_timer_deadline_ns(c, TG_TIMER_KEEPALIVE);
	v[TG_TCB_T_STATE] = tcp_timer_deadline_ns(c, TG_TIMER_STATE);
	v[TG_TCB_T_PACE] = c->deadline[CT_PACE];
}

static void no_timers(uint64_t *v)
{
	for (unsigned i = 0; i < TG_TCB_COUNT; i++)
		if (kinds[i] == TG_TCB_IS_DEADLINE)
			v[i] = UINT64_MAX;
}

static void view_conn(const struct tg *s, const struct tcp_conn *record, struct tg_tcb *o)
{
	struct tcp_conn tmp;
	const struct tcp_conn *c = tcp_whole(s, record, &tmp);

	memset(o, 0, sizeof(*o));
	o->local = (struct tg_addr){c->laddr, c->lport};
	o->peer = (struct tg_addr){c->raddr, c->rport};
	o->conn = c->serial;
	o->sock = handle_of(&c->ep);
	o->v[TG_TCB_STATE] = c->state;
	no_timers(o->v);
	if (c->state == TG_LISTEN)
		return;
	if (c->state == TG_TIME_WAIT && c->tw)
		o->v[TG_TCB_T_STATE] = mini_deadline_ns(s, c->tw);
	view_send(c, o->v);
	view_receive(c, o->v);
	view_agreed(c, o->v);
	view_loss(c, o->v);
	if (c->state != TG_TIME_WAIT && c->state != TG_CLOSED)
		view_times(s, c, o->v);
}

/* ---- Compact records ------------------------------------------------------------------------- */

static void view_mini(
	const struct tg *s, const struct tcp_mini *m, enum tg_state st, struct tg_tcb *o)
{
	uint64_t *v = o->v;

	memset(o, 0, sizeof(*o));
	ip_addr_at(s, m->laddr, &o->local.ip);
	o->local.port = m->lport;
	memcpy(&o->peer.ip, m->raddr, sizeof(o->peer.ip));
	o->peer.port = m->rport;
	no_timers(v);
	for (unsigned i = 0; i < TG_TCB_COUNT; i++) {
		if (kinds[i] == TG_TCB_IS_SEQ_OURS)
			v[i] = m->snd_nxt.v;
		else if (kinds[i] == TG_TCB_IS_SEQ_PEERS)
			v[i] = m->rcv_nxt.v;
	}
	v[TG_TCB_STATE] = st;
	v[TG_TCB_PASSIVE] = st == TG_SYN_RECEIVED;
	v[TG_TCB_WSCALE_OK] = (m->flags & MINI_WS) != 0;
	v[TG_TCB_TS_OK] = (m->flags & MINI_TS) != 0;
	v[TG_TCB_SACK_OK] = (m->flags & MINI_SACK) != 0;
	v[TG_TCB_TS_RECENT] = m->ts_recent;
	if (st == TG_TIME_WAIT) {
		v[TG_TCB_T_STATE] = mini_deadline_ns(s, m);
		return;
	}
	v[TG_TCB_ISS] = m->snd_nxt.v;
	v[TG_TCB_IRS] = seq_sub(m->rcv_nxt, 1).v;
	v[TG_TCB_SND_NXT] = v[TG_TCB_SND_MAX] = seq_add(m->snd_nxt, 1).v;
	v[TG_TCB_MSS_PEER] = m->syn.mss;
	v[TG_TCB_WSCALE_SND] = mini_snd_wscale(m);
	v[TG_TCB_WSCALE_RCV] = mini_rcv_wscale(m);
	v[TG_TCB_BACKOFF] = m->queue;
	v[TG_TCB_T_REXMIT] = mini_deadline_ns(s, m);
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* The cursor's upper half: which table; the lower: where in it. */
enum { VIEW_SOCKS, VIEW_ORPHANS, VIEW_HALF_OPEN, VIEW_TIME_WAIT, VIEW_END };

static bool next_sock(const struct tg *s, uint32_t *i, struct tg_tcb *o)
{
	const struct endpoint *e;

	while ((e = handle_next(s, *i)) != NULL) {
		*i = e->index + 1;
		if (e->type != TG_STREAM)
			continue;
		view_conn(s, (const struct tcp_conn *)e, o);
		return true;
	}
	return false;
}

/* Connections that nobody has accepted yet, or whose user has closed. */
static bool next_orphan(const struct tg *s, uint32_t *i, struct tg_tcb *o)
{
	uint32_t n = 0;

	for (struct hnode *h = htab_next(&s->tcp->conns, NULL); h;
		h = htab_next(&s->tcp->conns, h)) {
		const struct tcp_conn *c = container_of(h, struct tcp_conn, hash);

		if (c->ep.index || n++ < *i)
			continue;
		view_conn(s, c, o);
		++*i;
		return true;
	}
	return false;
}

static bool next_mini(const struct tg *s, const struct mini_table *t, enum tg_state st, uint32_t *i,
	struct tg_tcb *o)
{
	while (*i < t->n_made) {
		const struct tcp_mini *m = mini_at(t, ++*i);

		if (!m || (st == TG_TIME_WAIT && m->tw.owner))
			continue; /* free, or shown as the socket that it belongs to */
		view_mini(s, m, st, o);
		return true;
	}
	return false;
}

bool tg_tcb_next(const struct tg *s, uint64_t *cursor, struct tg_tcb *out)
{
	uint32_t which = (uint32_t)(*cursor >> 32), i = (uint32_t)*cursor;
	bool found = false;

	for (; which < VIEW_END && !found; which += !found) {
		if (which == VIEW_SOCKS)
			found = next_sock(s, &i, out);
		else if (which == VIEW_ORPHANS)
			found = next_orphan(s, &i, out);
		else if (which == VIEW_HALF_OPEN)
			found = next_mini(s, &s->tcp->half_open, TG_SYN_RECEIVED, &i, out);
		else
			found = next_mini(s, &s->tcp->time_wait, TG_TIME_WAIT, &i, out);
		if (!found)
			i = 0;
	}
	*cursor = (uint64_t)which << 32 | i;
	return found;
}
