/* A connection that nothing happens to rests: its record is replaced by a smaller one until a
 * segment comes, its user calls or its keepalive timer expires. Whatever the record is, the rest of
 * TCP sees it whole: it is woken before anybody works with it (tcp_in.c, tcp_timer.c, and sock/
 * through tcp_user_awake), and those who only look are shown what it would be awake (tcp_whole).
 *
 * What both records have in common lies in front, up to tcp_conn.tx_node, and is copied as it is.
 * Of what lies behind, a connection at rest has most at its initial value, by the conditions of
 * may_rest. The remainder is noted down in few bytes, without loss but for these:
 *   - the receiver's round trip, as of tcp_buf.c, keeps its length, not when it began;
 *   - a reduction that has not been found needless for 10 s will not be any more;
 *   - TS.Recent's age [7323 5.5] and that of the last text sent [5681 4.1]: to the millisecond. */
#include "tcp/tcp.h"

#define KEPT_BYTES offsetof(struct tcp_conn, tx_node)

/* Of struct cc_cubic what still counts: of t and K their difference; of what on_undo asks for,
 * nothing. */
struct rest_cubic {
	int32_t beyond_k_us;
	uint32_t w_max, w_est, cwnd_max;
	uint32_t est_left : 31;
	uint32_t epoch : 1;
};

struct rest_cc {
	uint32_t cwnd, ssthresh, acked;
	union { /* as in struct tcp_cc */
		struct cc_hystart hystart;
		struct rest_cubic cubic;
	};
	struct cc_usage usage;
	uint16_t mss;
	uint16_t t_ns : 10; /* of CUBIC's t: below the microsecond */
	uint16_t runs : 1;  /* t does: last_ns is set */
	uint16_t is_cubic : 1;
	uint16_t flags : 4; /* CC_* */
};

struct tcp_rest {
	_Alignas(struct tcp_conn) uint8_t kept[KEPT_BYTES];
	uint64_t last_rcv_ns;
	struct seq una, wl1, wl2, rcv_nxt, rcv_adv;
	uint32_t wnd, max_wnd;
	uint32_t srtt_ns, min_rtt_ns, min_rtt_next_ns;
	uint32_t rttvar_ns; /* before anything is measured: RTO, which follows from both then */
	uint32_t rcv_rtt_us, rcv_most_bytes;
	uint32_t user_timeout_ms;
	struct rest_cc cc;
	/* How long before last_rcv_ns, as far as 32 bits go: 24 days. */
	int32_t ts_recent_ms, last_snd_ms; /* NEVER_SENT */
	uint16_t linger_s;                 /* LINGER_OFF: off */
};

#define NEVER_SENT INT32_MIN
#define LINGER_OFF 0xffffu
#define UNDO_NS    (10 * NS_PER_SEC) /* so long a reduction may be found needless */

/* With a handle's slot (16), a bucket (8) and its part of a page's book keeping (13) not more than
 * 512 bytes. */
_Static_assert(sizeof(struct tcp_rest) <= 448, "a connection at rest");
_Static_assert((CC_HYSTART | CC_PACED | CC_USAGE) <= 0xf, "rest_cc.flags");

/* ---- May it? ---- */

static bool nothing_due(const struct tcp_conn *c)
{
	return !(c->ack_now || c->syn_due || c->fin_queued || c->fin_parked || c->push_all ||
		 c->no_memory || c->rexmit_now || c->probe_due || c->keep_due || c->tlp_due ||
		 c->urg_out || c->urg_in || c->dsack || c->deferred || c->tx_node.queued ||
		 c->keep_sent || c->backoff);
}

static bool nothing_held(const struct tcp_conn *c)
{
	return !c->tx && !c->ooo && !c->rcvq.head && c->recovery == REC_OPEN &&
	       c->frto == FRTO_NONE && seq_eq(c->snd.una, c->snd.max) &&
	       seq_eq(c->rcv.last_ack, c->rcv.nxt);
}

static bool nothing_runs(const struct tg *s, const struct tcp_conn *c)
{
	for (unsigned i = 0; i < CT_COUNT; i++)
		if (i != CT_KEEPALIVE && c->deadline[i] != NEVER_NS)
			return false;
	for (unsigned i = 0; i < CHALLENGE_KINDS; i++)
		if (c->challenges[i] &&
			(uint32_t)(s->now_ns / NS_PER_MS) - c->challenge_ms < CHALLENGE_PERIOD_MS)
			return false;
	return c->stalled_ns == NEVER_NS && c->pace_ns <= s->now_ns;
}

/* Does what has to be noted down fit? Round trips of more than 4 s, odd user timeouts do not. */
static bool fits(const struct tg *s, const struct tcp_conn *c)
{
	uint64_t most_ns = max_u64(max_u64(c->srtt_ns, c->srtt_ns ? c->rttvar_ns : c->rto_ns),
		max_u64(c->min_rtt_ns, c->min_rtt_next_ns));
	bool rto = c->srtt_ns == 0 || c->rto_ns == tcp_rtt_rto(s, c);
	bool linger = c->linger_ns < 0 || (c->linger_ns % (int64_t)NS_PER_SEC == 0 &&
						  c->linger_ns / (int64_t)NS_PER_SEC < LINGER_OFF);

	return most_ns <= UINT32_MAX && rto && linger && c->user_timeout_ns % NS_PER_MS == 0 &&
	       c->user_timeout_ns / NS_PER_MS <= UINT32_MAX && c->cc.mss <= UINT16_MAX &&
	       c->defer_ns == 0;
}

static bool may_rest(const struct tg *s, const struct tcp_conn *c)
{
	uint64_t idle_ns = s->now_ns - max_u64(c->last_rcv_ns, c->last_snd_ns);

	return (c->state == TG_ESTABLISHED || c->state == TG_CLOSE_WAIT) && c->ep.index &&
	       !c->in_accept_queue && idle_ns >= s->cfg.tcp.rest_after_ns &&
	       idle_ns >= 2 * c->rto_ns && (!c->undo_armed || idle_ns >= UNDO_NS) &&
	       nothing_due(c) && nothing_held(c) && nothing_runs(s, c) && fits(s, c);
}

/* ---- Noting down, and back ---- */

static void fold_cubic(const struct cc_cubic *q, struct rest_cc *k)
{
	/* beyond 2^30 us the curve is above every window */
	int64_t beyond_us = (int64_t)min_u64(q->t_ns / NS_PER_US, 1u << 31) - q->k_us;

	k->cubic.beyond_k_us = (int32_t)(beyond_us < 1 << 30 ? beyond_us : 1 << 30);
	k->cubic.w_max = q->w_max;
	k->cubic.w_est = q->w_est;
	k->cubic.cwnd_max = q->cwnd_max;
	k->cubic.est_left = q->est_left;
	k->cubic.epoch = q->epoch;
	k->t_ns = q->t_ns % NS_PER_US & 0x3ff;
	k->runs = q->last_ns != 0;
}

static void unfold_cubic(const struct tg *s, struct cc_cubic *q, const struct rest_cc *k)
{
	int64_t beyond_us = k->cubic.beyond_k_us;

	q->k_us = (uint32_t)(beyond_us < 0 ? -beyond_us : 0);
	q->t_ns = (uint64_t)(beyond_us > 0 ? beyond_us : 0) * NS_PER_US + k->t_ns;
	q->last_ns = k->runs ? s->now_ns : 0; /* [9438-4] the pause is no time */
	q->w_max = k->cubic.w_max;
	q->w_est = k->cubic.w_est;
	q->cwnd_max = k->cubic.cwnd_max;
	q->est_left = k->cubic.est_left;
	q->epoch = k->cubic.epoch;
}

static void fold_cc(const struct tcp_cc *c, struct rest_cc *k)
{
	k->cwnd = c->cwnd;
	k->ssthresh = c->ssthresh;
	k->acked = c->acked;
	k->usage = c->usage;
	k->mss = (uint16_t)c->mss;
	k->flags = c->flags & 0xfu;
	k->is_cubic = c->ops == &cc_cubic;
	if (c->ssthresh == CC_SSTHRESH_NONE)
		k->hystart = c->hystart;
	else
		fold_cubic(&c->cubic, k);
}

static void unfold_cc(const struct tg *s, struct tcp_cc *c, const struct rest_cc *k)
{
	c->ops = cc_algorithm(k->is_cubic ? TG_CC_CUBIC : TG_CC_RENO);
	c->cwnd = k->cwnd;
	c->ssthresh = k->ssthresh;
	c->acked = k->acked;
	c->usage = k->usage;
	c->mss = k->mss;
	c->flags = k->flags;
	if (c->ssthresh == CC_SSTHRESH_NONE)
		c->hystart = k->hystart;
	else
		unfold_cubic(s, &c->cubic, k);
}

static int32_t fold_time(uint64_t ns, uint64_t last_rcv_ns)
{
	int64_t before_ms = (int64_t)(last_rcv_ns / NS_PER_MS) - (int64_t)(ns / NS_PER_MS);

	return (int32_t)(before_ms > INT32_MAX    ? INT32_MAX
			 : before_ms < -INT32_MAX ? -INT32_MAX
						  : before_ms);
}

static uint64_t unfold_time(int32_t before_ms, uint64_t last_rcv_ns)
{
	return (uint64_t)((int64_t)(last_rcv_ns / NS_PER_MS) - before_ms) * NS_PER_MS;
}

static void fold(const struct tcp_conn *c, struct tcp_rest *r)
{
	memcpy(r->kept, c, KEPT_BYTES);
	r->una = c->snd.una;
	r->wl1 = c->snd.wl1;
	r->wl2 = c->snd.wl2;
	r->wnd = c->snd.wnd;
	r->max_wnd = c->snd.max_wnd;
	r->rcv_nxt = c->rcv.nxt;
	r->rcv_adv = c->rcv.adv;
	r->srtt_ns = (uint32_t)c->srtt_ns;
	r->rttvar_ns = (uint32_t)(c->srtt_ns ? c->rttvar_ns : c->rto_ns);
	r->min_rtt_ns = (uint32_t)c->min_rtt_ns;
	r->min_rtt_next_ns = (uint32_t)c->min_rtt_next_ns;
	r->rcv_rtt_us = c->rounds.rtt_us;
	r->rcv_most_bytes = c->rounds.most_bytes;
	r->user_timeout_ms = (uint32_t)(c->user_timeout_ns / NS_PER_MS);
	r->linger_s =
		c->linger_ns < 0 ? LINGER_OFF : (uint16_t)(c->linger_ns / (int64_t)NS_PER_SEC);
	r->last_rcv_ns = c->last_rcv_ns;
	r->ts_recent_ms = fold_time(c->ts_recent_ns, c->last_rcv_ns);
	r->last_snd_ms = c->last_snd_ns ? fold_time(c->last_snd_ns, c->last_rcv_ns) : NEVER_SENT;
	fold_cc(&c->cc, &r->cc);
}

static void unfold_text(const struct tg *s, struct tcp_conn *c, const struct tcp_rest *r)
{
	c->snd.una = c->snd.nxt = c->snd.max = c->snd.up = r->una;
	c->snd.wl1 = r->wl1;
	c->snd.wl2 = r->wl2;
	c->snd.wnd = r->wnd;
	c->snd.max_wnd = r->max_wnd;
	c->recover = seq_sub(r->una, 1); /* [6582-1] nothing of before is outstanding */
	c->tlp_end = r->una; /* an ACK of more would have answered the probe [8985 7.4] */
	c->rcv.nxt = c->rcv.last_ack = c->rcv.up = r->rcv_nxt;
	c->rcv.adv = r->rcv_adv;
	tcp_buf_established(s, c);
	c->rounds.rtt_us = r->rcv_rtt_us;
	c->rounds.most_bytes = r->rcv_most_bytes;
}

/* The whole record behind what it has in common with r. Lists and timers stand alone. */
static void unfold(const struct tg *s, const struct tcp_rest *r, struct tcp_conn *c)
{
	memset((uint8_t *)c + KEPT_BYTES, 0, sizeof(*c) - KEPT_BYTES);
	memcpy(c, r->kept, KEPT_BYTES);
	c->resting = false;
	c->undo_armed = false;
	c->undo_sent = false;
	sender_init(&c->tx_node, SENDER_TCP);
	for (unsigned i = 0; i < CT_COUNT; i++)
		c->deadline[i] = NEVER_NS;
	c->stalled_ns = NEVER_NS;
	unfold_text(s, c, r);
	c->ts_offset = tcp_ts_offset(s, &c->laddr, c->lport, &c->raddr, c->rport);
	c->last_rcv_ns = r->last_rcv_ns;
	c->ts_recent_ns = unfold_time(r->ts_recent_ms, r->last_rcv_ns);
	if (r->last_snd_ms != NEVER_SENT)
		c->last_snd_ns = unfold_time(r->last_snd_ms, r->last_rcv_ns);
	c->srtt_ns = r->srtt_ns;
	c->rttvar_ns = r->srtt_ns ? r->rttvar_ns : 0;
	c->rto_ns = r->srtt_ns ? tcp_rtt_rto(s, c) : r->rttvar_ns;
	c->min_rtt_ns = r->min_rtt_ns;
	c->min_rtt_next_ns = r->min_rtt_next_ns;
	c->user_timeout_ns = r->user_timeout_ms * NS_PER_MS;
	c->linger_ns = r->linger_s == LINGER_OFF ? -1 : r->linger_s * (int64_t)NS_PER_SEC;
	unfold_cc(s, &c->cc, &r->cc);
	tcp_pace_update(s, c);
	c->delivered = c->bytes_acked;
}

/* ---- One record in the place of the other ---- */

/* Both begin alike: `to` is a copy of c so far. */
static void move(struct tg *s, struct tcp_conn *c, struct tcp_conn *to)
{
	uint64_t deadline_ns = c->timer.w.deadline_ns;

	handle_move(s, &c->ep, &to->ep);
	htab_replace(&s->tcp->conns, &c->hash, &to->hash);
	list_replace(&c->link, &to->link);
	timer_stop(s, &c->timer);
	timer_init(&to->timer, TIMER_TCP_CONN);
	if (deadline_ns != NEVER_NS)
		timer_arm(s, &to->timer, deadline_ns);
}

bool tcp_rest(struct tg *s, struct tcp_conn *c)
{
	struct tcp_conn *at_rest;
	struct tcp_rest *r;

	if (!may_rest(s, c))
		return false;
	r = core_alloc(s, sizeof(*r));
	if (!r)
		return false;
	timer_stop(s, &c->timer);
	if (c->deadline[CT_KEEPALIVE] != NEVER_NS)
		timer_arm(s, &c->timer, c->deadline[CT_KEEPALIVE]);
	fold(c, r);
	at_rest = (struct tcp_conn *)r;
	move(s, c, at_rest);
	at_rest->resting = true;
	core_free(s, c, sizeof(*c));
	s->counters.tcp_rested++;
	return true;
}

struct tcp_conn *tcp_wake(struct tg *s, struct tcp_conn *c)
{
	struct tcp_rest *r = (struct tcp_rest *)c;
	struct tcp_conn *whole;
	uint64_t keepalive_ns;

	if (!c->resting)
		return c;
	whole = core_alloc(s, sizeof(*whole));
	if (!whole)
		return NULL;
	/* the only timer at rest: if it is not armed any more, it has just fired */
	keepalive_ns = wheel_armed(&c->timer.w) ? c->timer.w.deadline_ns : s->now_ns;
	unfold(s, r, whole);
	move(s, c, whole);
	core_free(s, r, sizeof(*r));
	if (whole->keepalive)
		whole->deadline[CT_KEEPALIVE] = keepalive_ns;
	tcp_timers_awake(s, whole);
	s->counters.tcp_woken++;
	return whole;
}

const struct tcp_conn *tcp_whole(const struct tg *s, const struct tcp_conn *c, struct tcp_conn *tmp)
{
	if (!c->resting)
		return c;
	unfold(s, (const struct tcp_rest *)c, tmp);
	if (wheel_armed(&c->timer.w))
		tmp->deadline[CT_KEEPALIVE] = c->timer.w.deadline_ns;
	return tmp;
}

struct endpoint *tcp_user_awake(struct tg *s, struct endpoint *e)
{
	struct tcp_conn *c = tcp_wake(s, container_of(e, struct tcp_conn, ep));

	return c ? &c->ep : NULL;
}

bool tcp_rest_abort(struct tg *s, struct tcp_conn *c)
{
	struct tcp_conn tmp;

	if (!c->resting)
		return false;
	unfold(s, (struct tcp_rest *)c, &tmp);
	tcp_send_rst(s, &tmp);
	tcp_set_state(s, c, TG_CLOSED, TG_CAUSE_ABORT_CALL);
	timer_stop(s, &c->timer);
	endpoint_fini(&c->ep);
	tcp_unhash_conn(s, c);
	tcp_leave_port(s, c);
	tcp_mtu_free(s, c);
	core_free(s, c, sizeof(struct tcp_rest));
	return true;
}
