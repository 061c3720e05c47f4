/* Timers of a connection (RFC 9293 3.10.8, RFC 6298 5, 3.8.6.1, 3.8.4). The rest of TCP tells what
 * happened
 * ("data sent", "ACK advanced"); only this file knows deadlines. One wheel node a connection stands
 * for the earliest of them and is re-armed lazily: later deadlines are noticed when it fires. */
#include "tcp/tcp.h"

static void rearm(struct tg *s, struct tcp_conn *c)
{
	uint64_t first_ns = NEVER_NS;

	for (unsigned i = 0; i < CT_COUNT; i++)
		first_ns = min_u64(first_ns, c->deadline[i]);
	if (first_ns == NEVER_NS)
		return;
	if (!wheel_armed(&c->timer.w) || first_ns < c->timer.w.deadline_ns)
		timer_arm(s, &c->timer, first_ns);
}

/* After deadline[which] alone has changed: the node stands for the others already. (Not so while it
 * fires: then all are looked at when that is over.) */
static void rearm_for(struct tg *s, struct tcp_conn *c, enum conn_timer which)
{
	if (c->deadline[which] < c->timer.w.deadline_ns)
		timer_arm(s, &c->timer, c->deadline[which]);
}

static void set(struct tg *s, struct tcp_conn *c, enum conn_timer which, uint64_t after_ns)
{
	c->deadline[which] = sat_add_u64(s->now_ns, after_ns);
	rearm_for(s, c, which);
}

static void trace_timer(struct tg *s, const struct tcp_conn *c, enum tg_timer which)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_TIMER);

	if (!t)
		return;
	tcp_trace_fill(t, c);
	t->a = (uint8_t)which;
	t->b = 1;
	t->len = c->backoff;
	t->aux = (uint32_t)min_u64(tcp_rto(s, c) / NS_PER_US, UINT32_MAX);
}

/* ---- The retransmission timer and its two forerunners ---- */

bool tcp_timers_watching(const struct tcp_conn *c)
{
	return c->rexmit_mode == RM_RTO || c->rexmit_mode == RM_PTO || c->rexmit_mode == RM_REO;
}

/* [8985-15] exactly one of RACK's timer, the loss probe's and the RTO: the one that is due first.
 * At the same moment the probe goes before the RTO. */
static void arm_first(struct tg *s, struct tcp_conn *c)
{
	const struct tcp_tx *x = c->tx;

	c->rexmit_mode = RM_RTO;
	c->deadline[CT_REXMIT] = x->rto_at_ns;
	if (x->pto_at_ns <= c->deadline[CT_REXMIT]) {
		c->rexmit_mode = RM_PTO;
		c->deadline[CT_REXMIT] = x->pto_at_ns;
	}
	if (x->reo_at_ns < c->deadline[CT_REXMIT]) {
		c->rexmit_mode = RM_REO;
		c->deadline[CT_REXMIT] = x->reo_at_ns;
	}
	rearm_for(s, c, CT_REXMIT);
}

/* The RTO expires then, and nothing before it. */
static void arm_rto(struct tg *s, struct tcp_conn *c, uint64_t at_ns)
{
	c->rexmit_mode = RM_RTO;
	c->deadline[CT_REXMIT] = at_ns;
	if (c->tx) {
		c->tx->rto_at_ns = at_ns;
		c->tx->pto_at_ns = NEVER_NS;
		c->tx->reo_at_ns = NEVER_NS;
	}
	rearm_for(s, c, CT_REXMIT);
}

static void arm_pto(struct tg *s, struct tcp_conn *c)
{
	uint64_t pto_ns = tcp_tlp_pto(s, c);

	/* [8985-11] never later than the RTO */
	c->tx->pto_at_ns = pto_ns == NEVER_NS
				   ? NEVER_NS
				   : min_u64(sat_add_u64(s->now_ns, pto_ns), c->tx->rto_at_ns);
	if (c->tx->pto_at_ns != NEVER_NS)
		RULE(s, c, PTO_ARMED, rule_us(c->tx->pto_at_ns - s->now_ns));
}

/* Nobody holds it any more, nor ever will. */
static bool is_orphan(const struct tcp_conn *c)
{
	return c->ep.index == 0 && !c->in_accept_queue;
}

/* ---- Event verbs ---- */

void tcp_timers_init(struct tg *s, struct tcp_conn *c)
{
	timer_init(&c->timer, TIMER_TCP_CONN);
	for (unsigned i = 0; i < CT_COUNT; i++)
		c->deadline[i] = NEVER_NS;
	c->rexmit_mode = RM_NONE;
	c->stalled_ns = NEVER_NS;
	c->rto_ns = s->cfg.tcp.rto_initial_ns; /* [6298 2.1] */
}

void tcp_timers_data_sent(struct tg *s, struct tcp_conn *c)
{
	c->last_snd_ns = s->now_ns;
	if (c->stalled_ns == NEVER_NS)
		c->stalled_ns = s->now_ns;
	if (tcp_timers_watching(c))
		return;
	RULE(s, c, RTO_STARTED, rule_us(tcp_rto(s, c)));
	arm_rto(s, c, sat_add_u64(s->now_ns, tcp_rto(s, c))); /* [6298 5.1, 5.0] */
}

void tcp_timers_new_data(struct tg *s, struct tcp_conn *c)
{
	if (!tcp_timers_watching(c) || !c->tx)
		return;
	arm_pto(s, c); /* [8985-12] */
	arm_first(s, c);
}

void tcp_timers_first_again(struct tg *s, struct tcp_conn *c)
{
	if (!tcp_timers_watching(c) || c->recovery != REC_RECOVERY)
		return;
	c->tx->rto_at_ns = sat_add_u64(s->now_ns, tcp_rto(s, c)); /* [6298-5.0] */
	arm_first(s, c);
}

void tcp_timers_probed(struct tg *s, struct tcp_conn *c)
{
	arm_rto(s, c, sat_add_u64(s->now_ns, tcp_rto(s, c))); /* [8985-13] */
}

void tcp_timers_loss_checked(struct tg *s, struct tcp_conn *c)
{
	if (!tcp_timers_watching(c) || !c->tx)
		return;
	if (tcp_tlp_pto(s, c) == NEVER_NS) /* SACK tells now */
		c->tx->pto_at_ns = NEVER_NS;
	arm_first(s, c);
}

void tcp_timers_ack_advanced(struct tg *s, struct tcp_conn *c)
{
	if (seq_eq(c->snd.una, c->snd.nxt)) {
		RULE(s, c, RTO_STOPPED, c->snd.una.v);
		c->rexmit_mode = RM_NONE; /* [6298 5.2] all is acknowledged */
		c->deadline[CT_REXMIT] = NEVER_NS;
		return;
	}
	c->stalled_ns = s->now_ns;
	if (!c->tx) {
		arm_rto(s, c, sat_add_u64(s->now_ns, tcp_rto(s, c)));
		return;
	}
	RULE(s, c, RTO_AGAIN, rule_us(tcp_rto(s, c)));
	c->tx->rto_at_ns = sat_add_u64(s->now_ns, tcp_rto(s, c)); /* [6298 5.3] */
	arm_pto(s, c);
	arm_first(s, c);
}

/* [9293 MUST-37] a window that is kept closed may stay so for as long as the user likes; but when
 * the user has gone, R2 runs on [6429 3], and so does a user timeout [5482 3]. */
void tcp_timers_progress(struct tg *s, struct tcp_conn *c)
{
	if (is_orphan(c) || c->user_timeout_ns)
		return;
	if (c->stalled_ns != NEVER_NS)
		c->stalled_ns = s->now_ns;
}

void tcp_timers_window_opened(struct tg *s, struct tcp_conn *c)
{
	if (!tcp_timers_watching(c) && c->rexmit_mode != RM_PERSIST)
		return;
	c->backoff = 0; /* the wait was the receiver's choice, not the network's */
	if (seq_eq(c->snd.una, c->snd.nxt)) {
		c->rexmit_mode = RM_NONE;
		c->deadline[CT_REXMIT] = NEVER_NS;
		c->stalled_ns = NEVER_NS;
		return;
	}
	/* a probe is still in flight */
	arm_rto(s, c, sat_add_u64(s->now_ns, tcp_rto(s, c)));
}

void tcp_timers_blocked(struct tg *s, struct tcp_conn *c, bool zero_window)
{
	if (c->rexmit_mode != RM_NONE)
		return;
	RULE(s, c, WINDOW_SHUT, c->snd.wnd,
		rule_us(zero_window ? tcp_rto(s, c) : TCP_SWS_OVERRIDE_NS));
	c->rexmit_mode = RM_PERSIST;
	/* [9293 SHLD-29] one RTO to the first probe; [9293 MUST-38] 0.1 to 1 s until a small
	 * segment goes after all */
	set(s, c, CT_REXMIT, zero_window ? tcp_rto(s, c) : TCP_SWS_OVERRIDE_NS);
}

void tcp_timers_no_memory(struct tg *s, struct tcp_conn *c)
{
	if (c->rexmit_mode != RM_NONE)
		return;
	c->rexmit_mode = RM_RETRY;
	set(s, c, CT_REXMIT, TCP_NO_MEMORY_RETRY_NS);
}

void tcp_timers_text_received(struct tg *s, struct tcp_conn *c)
{
	/* [9293 SHLD-19, 5681-14] at least every second full-sized segment */
	if (c->quickack || seq_dist(c->rcv.nxt, c->rcv.last_ack) >= 2u * c->mss_rcv)
		c->ack_now = true;
	/* [9293 MUST-58, MUST-59] what is owed goes out when all that came has been processed */
	if (c->ack_now) {
		RULE(s, c, ACK_AT_ONCE, seq_dist(c->rcv.nxt, c->rcv.last_ack));
	} else if (c->deadline[CT_DELACK] == NEVER_NS) {
		RULE(s, c, ACK_DELAYED, seq_dist(c->rcv.nxt, c->rcv.last_ack),
			rule_us(s->cfg.tcp.delack_ns));
		set(s, c, CT_DELACK, s->cfg.tcp.delack_ns); /* [9293 SHLD-18, MUST-40] */
	}
}

void tcp_timers_ack_sent(struct tcp_conn *c)
{
	c->deadline[CT_DELACK] = NEVER_NS;
}

/* How long c has to be idle before it may rest: as configured, and longer than anything on the way
 * may still take. */
static uint64_t rest_after_ns(const struct tg *s, const struct tcp_conn *c)
{
	return max_u64(s->cfg.tcp.rest_after_ns, 2 * c->rto_ns);
}

/* From now on somebody has to look whether it is idle. */
void tcp_timers_awake(struct tg *s, struct tcp_conn *c)
{
	if (s->cfg.tcp.rest_after_ns)
		set(s, c, CT_REST, rest_after_ns(s, c));
}

void tcp_timers_segment_received(struct tg *s, struct tcp_conn *c)
{
	c->last_rcv_ns = s->now_ns;
	c->keep_sent = 0;
	if (c->deadline[CT_REST] == NEVER_NS)
		tcp_timers_awake(s, c);
}

void tcp_timers_keepalive_changed(struct tg *s, struct tcp_conn *c)
{
	if (!c->keepalive || c->state < TG_ESTABLISHED || c->state == TG_TIME_WAIT) {
		c->deadline[CT_KEEPALIVE] = NEVER_NS;
		return;
	}
	c->deadline[CT_KEEPALIVE] = sat_add_u64(c->last_rcv_ns, c->keep_idle_s * NS_PER_SEC);
	rearm_for(s, c, CT_KEEPALIVE);
}

void tcp_timers_established(struct tg *s, struct tcp_conn *c)
{
	if (c->syn_retrans > 0) /* [6298 5.7] */
		c->rto_ns = max_u64(c->rto_ns, 3 * NS_PER_SEC);
	c->backoff = 0;
	c->last_rcv_ns = s->now_ns;
	tcp_timers_ack_advanced(s, c);
	tcp_timers_awake(s, c); /* the nearer one first: the other then finds the wheel armed */
	tcp_timers_keepalive_changed(s, c);
}

/* Its listener defers: it is accepted at the latest then. */
void tcp_timers_defer(struct tg *s, struct tcp_conn *c, uint64_t after_ns)
{
	set(s, c, CT_STATE, after_ns);
}

void tcp_timers_defer_ended(struct tcp_conn *c)
{
	c->deadline[CT_STATE] = NEVER_NS;
}

/* Nobody holds the socket: the peer's FIN is waited for only so long. */
void tcp_timers_fin_wait_2(struct tg *s, struct tcp_conn *c)
{
	if (c->state == TG_FIN_WAIT_2 && c->ep.index == 0 && c->deadline[CT_STATE] == NEVER_NS)
		set(s, c, CT_STATE, s->cfg.tcp.fin_wait_2_ns);
}

/* The next release of a paced connection. */
void tcp_timers_pace(struct tg *s, struct tcp_conn *c, uint64_t at_ns)
{
	c->deadline[CT_PACE] = at_ns;
	rearm_for(s, c, CT_PACE);
}

void tcp_timers_stop(struct tg *s, struct tcp_conn *c)
{
	for (unsigned i = 0; i < CT_COUNT; i++)
		c->deadline[i] = NEVER_NS;
	c->rexmit_mode = RM_NONE;
	timer_stop(s, &c->timer);
}

/* ---- Time-outs ---- */

/* How long the peer may stay silent, ns [9293 3.8.3]: R2, for a SYN at least 3 minutes. */
static uint64_t patience_ns(const struct tg *s, const struct tcp_conn *c)
{
	/* [9293 SHLD-11, MUST-23] */
	uint64_t r2_ns = c->syn_acked ? s->cfg.tcp.r2_ns : s->cfg.tcp.r2_syn_ns;

	if (!c->user_timeout_ns)
		return r2_ns;
	/* [9293 MUST-21, 5482]; nobody could shorten it any more when the user has gone */
	return is_orphan(c) ? min_u64(r2_ns, c->user_timeout_ns) : c->user_timeout_ns;
}

/* False: R2 is reached, the connection is gone. */
static bool still_patient(struct tg *s, struct tcp_conn *c)
{
	int error = c->soft_error ? c->soft_error : TG_ETIMEDOUT;

	if (c->stalled_ns == NEVER_NS || s->now_ns - c->stalled_ns < patience_ns(s, c))
		return true;
	RULE(s, c, R2_REACHED, rule_us(s->now_ns - c->stalled_ns));
	if (c->syn_acked)
		tcp_send_rst(s, c);
	tcp_conn_end(
		s, c, c->user_timeout_ns ? TG_CAUSE_USER_TIMEOUT : TG_CAUSE_RETRIES_OUT, error);
	return false;
}

/* The next try of CT_REXMIT, not beyond the end of patience. */
static void schedule_retry(struct tg *s, struct tcp_conn *c, uint64_t after_ns)
{
	uint64_t end_ns = c->stalled_ns == NEVER_NS ? NEVER_NS
						    : sat_add_u64(c->stalled_ns, patience_ns(s, c));
	uint64_t left_ns = end_ns > s->now_ns ? end_ns - s->now_ns : 0;

	c->deadline[CT_REXMIT] = sat_add_u64(s->now_ns, min_u64(after_ns, left_ns));
	if (c->rexmit_mode == RM_RTO)
		arm_rto(s, c, c->deadline[CT_REXMIT]);
	else
		rearm_for(s, c, CT_REXMIT);
}

static void reach_r1(struct tg *s, struct tcp_conn *c)
{
	if (c->backoff < s->cfg.tcp.r1_retransmits)
		return;
	RULE(s, c, R1_REACHED, c->backoff);
	ip_advise_bad(
		s, &c->path); /* [9293 MUST-20, SHLD-10] negative advice: another way may exist */
}

static void retransmit_timeout(struct tg *s, struct tcp_conn *c)
{
	bool first = c->backoff == 0;

	s->counters.tcp_timeouts++;
	if (c->backoff < UINT8_MAX)
		c->backoff++;
	reach_r1(s, c);
	if (!c->syn_acked) { /* [9293 MUST-22] SYN and SYN-ACK like everything else */
		c->syn_retrans = (uint8_t)min_u32(c->syn_retrans + 1u, UINT8_MAX);
		tcp_ecn_fall_back(s, c); /* [3168 6.1.1.1] */
		c->syn_due = true;
	} else if (c->snd.wnd == 0) {
		c->probe_due =
			true; /* [9293 MUST-35] the window was closed over what is in flight */
	} else {
		tcp_mtu_timeout(s, c);
		tcp_loss_timeout(s, c, first); /* [6298 5.4] */
	}
	RULE(s, c, RTO_EXPIRED, c->snd.una.v, rule_us(tcp_rto(s, c)));
	c->rexmit_mode = RM_RTO;
	schedule_retry(s, c, tcp_rto(s, c)); /* [6298 5.5, 5.6] */
}

static void persist_timeout(struct tg *s, struct tcp_conn *c)
{
	uint32_t in_flight = seq_dist(c->snd.nxt, c->snd.una);

	if (in_flight && c->snd.wnd > in_flight) { /* open again, and the probe had got lost */
		retransmit_timeout(s, c);
		return;
	}
	if (c->snd.wnd > in_flight) {
		RULE(s, c, SWS_OVERRIDE, c->snd.wnd);
		c->push_all = true; /* [9293 MUST-38] the override */
		c->rexmit_mode = RM_NONE;
		return;
	}
	c->probe_due = true;
	if (c->backoff < UINT8_MAX)
		c->backoff++;
	reach_r1(s, c);
	RULE(s, c, WINDOW_PROBE, rule_us(min_u64(tcp_rto(s, c), TCP_PERSIST_MAX_NS)));
	schedule_retry(s, c, min_u64(tcp_rto(s, c), TCP_PERSIST_MAX_NS)); /* [9293 SHLD-30] */
}

/* [8985 7.3] */
static void probe_timeout(struct tg *s, struct tcp_conn *c)
{
	c->tx->pto_at_ns = NEVER_NS;
	c->tlp_due = tcp_tlp_may_probe(s, c);
	if (c->tlp_due) /* the RTO begins anew when it has gone; this stands in until then */
		arm_rto(s, c, sat_add_u64(s->now_ns, tcp_rto(s, c)));
	else
		arm_first(s, c);
}

static void reordering_timeout(struct tg *s, struct tcp_conn *c)
{
	c->tx->reo_at_ns = NEVER_NS;
	tcp_loss_reo_timeout(s, c);
	tcp_timers_loss_checked(s, c);
}

static enum tg_timer timer_kind(enum rexmit_mode mode)
{
	switch (mode) {
	case RM_PERSIST: return TG_TIMER_PERSIST;
	case RM_PTO: return TG_TIMER_LOSS_PROBE;
	case RM_REO: return TG_TIMER_REORDERING;
	case RM_RTO:
	case RM_RETRY:
	case RM_NONE: return TG_TIMER_REXMIT;
	}
	return TG_TIMER_REXMIT;
}

static bool rexmit_fired(struct tg *s, struct tcp_conn *c)
{
	enum rexmit_mode mode = (enum rexmit_mode)c->rexmit_mode;

	if (!still_patient(s, c))
		return false;
	trace_timer(s, c, timer_kind(mode));
	switch (mode) {
	case RM_RTO: retransmit_timeout(s, c); break;
	case RM_PTO: probe_timeout(s, c); break;
	case RM_REO: reordering_timeout(s, c); break;
	case RM_PERSIST: persist_timeout(s, c); break;
	case RM_RETRY: c->rexmit_mode = RM_NONE; break;
	case RM_NONE: break;
	}
	return true;
}

/* [9293 MUST-26..29] False: the connection is gone. */
static bool keepalive_fired(struct tg *s, struct tcp_conn *c)
{
	uint64_t idle_ns = s->now_ns - c->last_rcv_ns;
	uint64_t wait_ns = c->keep_idle_s * NS_PER_SEC;

	if (!seq_eq(c->snd.una, c->snd.nxt) || tcp_unsent(c)) {
		set(s, c, CT_KEEPALIVE,
			wait_ns); /* data outstanding: the retransmission timer watches */
		return true;
	}
	if (idle_ns < wait_ns) {
		set(s, c, CT_KEEPALIVE, wait_ns - idle_ns);
		return true;
	}
	if (c->keep_sent >= c->keep_cnt) {
		tcp_send_rst(s, c);
		tcp_conn_end(s, c, TG_CAUSE_KEEPALIVE_OUT, TG_ETIMEDOUT);
		return false;
	}
	trace_timer(s, c, TG_TIMER_KEEPALIVE);
	c->keep_sent++;
	RULE(s, c, KEEPALIVE, (uint32_t)min_u64(idle_ns / NS_PER_SEC, UINT32_MAX), c->keep_sent);
	c->keep_due = true;
	set(s, c, CT_KEEPALIVE, c->keep_intvl_s * NS_PER_SEC);
	return true;
}

static bool take_due(const struct tg *s, struct tcp_conn *c, enum conn_timer which)
{
	if (c->deadline[which] > s->now_ns)
		return false;
	c->deadline[which] = NEVER_NS;
	return true;
}

/* The time to look whether c may rest. True: it does. */
static bool rest_fired(struct tg *s, struct tcp_conn *c)
{
	uint64_t idle_ns = s->now_ns - max_u64(c->last_rcv_ns, c->last_snd_ns);

	if (tcp_rest(s, c))
		return true;
	/* else something holds it up: the next segment, or accept, starts this anew */
	if (idle_ns < rest_after_ns(s, c))
		set(s, c, CT_REST, rest_after_ns(s, c) - idle_ns);
	return false;
}

static bool any_due(const struct tg *s, const struct tcp_conn *c)
{
	for (unsigned i = 0; i < CT_COUNT; i++)
		if (c->deadline[i] <= s->now_ns)
			return true;
	return false;
}

void tcp_timer_fired(struct tg *s, struct timer *t)
{
	struct tcp_conn *at_rest = container_of(t, struct tcp_conn, timer);
	struct tcp_conn *c = tcp_wake(s, at_rest);

	if (!c) { /* keepalive, but no memory */
		timer_arm(s, t, sat_add_u64(s->now_ns, TCP_NO_MEMORY_RETRY_NS));
		return;
	}
	if (take_due(s, c, CT_REST) && rest_fired(s, c))
		return;
	if (!any_due(s, c)) { /* nor has anything else to be done: the deadline had moved on */
		rearm(s, c);
		return;
	}
	if (take_due(s, c, CT_DELACK)) {
		RULE(s, c, DELACK_EXPIRED, seq_dist(c->rcv.nxt, c->rcv.last_ack));
		c->ack_now = true;
		s->counters.tcp_delayed_acks++;
	}
	take_due(s, c, CT_PACE); /* a turn is all it asks for */
	if (take_due(s, c, CT_REXMIT) && !rexmit_fired(s, c))
		return;
	if (take_due(s, c, CT_KEEPALIVE) && !keepalive_fired(s, c))
		return;
	if (c->deferred && take_due(s, c, CT_STATE))
		tcp_accept_ready(s, c);
	if (take_due(s, c, CT_STATE)) {
		trace_timer(s, c, TG_TIMER_STATE);
		tcp_conn_end(s, c, TG_CAUSE_FIN_WAIT_2_OUT, 0);
		return;
	}
	rearm(s, c);
	tcp_want_output(s, c);
	tcp_notify(s, c);
}

uint64_t tcp_timer_deadline_ns(const struct tcp_conn *c, enum tg_timer which)
{
	enum tg_timer now = c->rexmit_mode == RM_PERSIST ? TG_TIMER_PERSIST
			    : c->rexmit_mode == RM_PTO   ? TG_TIMER_LOSS_PROBE
			    : c->rexmit_mode == RM_REO   ? TG_TIMER_REORDERING
							 : TG_TIMER_REXMIT;

	if (c->resting)
		return which == TG_TIMER_KEEPALIVE ? c->timer.w.deadline_ns : NEVER_NS;
	switch (which) { /* four share a deadline: the one that it stands for now has it */
	case TG_TIMER_REXMIT:
	case TG_TIMER_PERSIST:
	case TG_TIMER_LOSS_PROBE:
	case TG_TIMER_REORDERING: return which == now ? c->deadline[CT_REXMIT] : NEVER_NS;
	case TG_TIMER_DELACK: return c->deadline[CT_DELACK];
	case TG_TIMER_KEEPALIVE: return c->deadline[CT_KEEPALIVE];
	case TG_TIMER_STATE: return c->deadline[CT_STATE];
	case TG_TIMER_USER: break;
	}
	return NEVER_NS;
}
