/* Connections that rest (tcp_rest.c): when they do, what is kept, who wakes them, and what happens
 * when there is no memory for that. That they behave as if they never rested is tests/diff's. */
#include "tcp_support.h"

#define REST_NS (10 * NS_PER_SEC)

static struct tcp_world *w;
static uint8_t text[1000];

static void begin(void)
{
	w = tw_new(NULL);
	w->syn_opts = tw_all_opts();
	tw_establish(w, TW_FAR, (struct seq){TW_IRS});
}

static void end(void)
{
	tg_memory_fail_after(w->s, 0, 0);
	world_check(w->s);
	arena_check(w->s->arena);
	tw_end(w);
}

static bool rests(void)
{
	w->c = tw_record(w, w->conn);
	return w->c && w->c->resting;
}

static void idle(uint64_t ns)
{
	tw_step(w, ns);
	w->c = tw_record(w, w->conn);
}

static void go_to_rest(void)
{
	idle(2 * REST_NS + NS_PER_SEC);
	ck_assert(rests());
}

/* As tw_seg, also for a record at rest. */
static struct tcp_seg seg(void)
{
	struct tcp_conn tmp, *c = w->c;
	struct tcp_seg g;

	w->c = (struct tcp_conn *)(uintptr_t)tcp_whole(w->s, c, &tmp);
	g = tw_seg(w);
	w->c = c;
	return g;
}

static void text_in(uint32_t n)
{
	struct tcp_seg g = seg();

	tw_in(w, &g, text, n);
	w->c = tw_record(w, w->conn);
}

/* Text both ways, all of it acknowledged. */
static void exchange(void)
{
	uint8_t b[sizeof(text)];
	struct tcp_seg g;

	text_in(sizeof(text));
	ck_assert_int_eq(tg_sock_recv(w->s, w->conn, b, sizeof(b), 0, w->now_ns), sizeof(b));
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, b, sizeof(b), 0, w->now_ns), sizeof(b));
	w->c = tw_record(w, w->conn);
	idle(20 * NS_PER_MS);
	g = seg();
	tw_in(w, &g, NULL, 0);
}

static void no_memory(void)
{
	tg_memory_fail_after(w->s, 1, 1);
}

static void memory_again(void)
{
	tg_memory_fail_after(w->s, 0, 0);
}

/* What anybody can see of it is the same before, at rest, and awake again. */
START_TEST (looks_the_same) {
	struct tg_tcp_info before, at_rest, after;
	struct tg_addr local, peer;
	uint64_t in_use;
	int64_t v;

	exchange();
	idle(REST_NS / 2);
	ck_assert(!rests());
	in_use = tw_in_use(w);
	ck_assert_int_eq(tg_tcp_status(w->s, w->conn, &before), 0);
	go_to_rest();
	ck_assert_uint_eq(tw_in_use(w), in_use - 768 + 448);
	ck_assert_int_eq(tg_tcp_status(w->s, w->conn, &at_rest), 0);
	ck_assert_mem_eq(&before, &at_rest, sizeof(before));
	ck_assert_uint_eq(tg_sock_ready(w->s, w->conn), TG_OUT);
	ck_assert_int_eq(tg_sock_local_addr(w->s, w->conn, &local), 0);
	ck_assert_int_eq(tg_sock_peer_addr(w->s, w->conn, &peer), 0);
	ck_assert(local.port == TW_PORT && peer.port == TW_FAR);
	ck_assert(rests()); /* looking does not wake it */
	ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, TG_SO_SNDBUF, &v), 0);
	ck_assert(!rests());
	ck_assert_uint_eq(tw_in_use(w), in_use);
	ck_assert_int_eq(tg_tcp_status(w->s, w->conn, &after), 0);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_uint_eq(w->s->counters.tcp_rested, 1);
	ck_assert_uint_eq(w->s->counters.tcp_woken, 1);
	go_to_rest();
}
END_TEST

START_TEST (a_segment_wakes) {
	exchange();
	for (unsigned i = 0; i < 3; i++) {
		go_to_rest();
		exchange();
		ck_assert(!rests());
	}
	/* An old one too, and it draws the answer that it should. */
	go_to_rest();
	{
		struct tcp_seg g = seg();
		uint32_t sent = w->dev.n;

		g.seq = seq_sub(g.seq, 1);
		tw_in(w, &g, NULL, 0);
		tg_step(w->s, w->now_ns);
		ck_assert_uint_eq(w->dev.n, sent + 1);
		ck_assert(!rests());
	}
}
END_TEST

/* So long after the last segment, however long it has been there. */
START_TEST (when_it_is_time) {
	idle(REST_NS - NS_PER_SEC);
	exchange();
	idle(REST_NS - NS_PER_SEC);
	ck_assert(!rests());
	idle(NS_PER_SEC + NS_PER_MS);
	ck_assert(rests());
}
END_TEST

START_TEST (options_are_kept) {
	static const struct {
		enum tg_option opt;
		int64_t v;
	} set[] = {{TG_TCP_NODELAY, 1}, {TG_SO_KEEPALIVE, 1}, {TG_SO_LINGER, 5000000000},
		{TG_TCP_USER_TIMEOUT, 12345000000}, {TG_SO_MAX_PACING_RATE, 123456789012},
		{TG_TCP_KEEPIDLE, 30000000000000}, {TG_SO_RCVLOWAT, 17}, {TG_IP_TTL, 33}};
	int64_t was[ARRAY_LEN(set)], v;

	for (unsigned i = 0; i < ARRAY_LEN(set); i++) {
		ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, set[i].opt, set[i].v, w->now_ns), 0);
		ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, set[i].opt, &was[i]), 0);
	}
	exchange();
	go_to_rest();
	for (unsigned i = 0; i < ARRAY_LEN(set); i++) {
		ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, set[i].opt, &v), 0);
		ck_assert_int_eq(v, was[i]);
	}
}
END_TEST

/* Who has something to do, or what does not fit, stays awake. */
START_TEST (stays_awake) {
	uint8_t b[sizeof(text)];
	struct tg_mspan span[2];
	struct tcp_conn *c = w->c;

	switch (_i) {
	case 0: c->deadline[CT_REST] = NEVER_NS; break; /* as rest_after_ns 0 has it */
	case 1: text_in(10); break;                     /* unread */
	case 2: c->srtt_ns = 5 * NS_PER_SEC; break;     /* more than 32 bits */
	case 3: c->user_timeout_ns = 1; break;          /* no whole milliseconds */
	case 4: c->linger_ns = 1; break;                /* no whole seconds */
	case 5: c->rcv.last_ack.v--; break;             /* an ACK is owed */
	case 6: c->pace_ns = w->now_ns + 3600 * NS_PER_SEC; break;
	case 7: /* in flight */
		w->dev.room = 0;
		ck_assert_int_eq(
			tg_sock_send(w->s, w->conn, b, sizeof(b), 0, w->now_ns), sizeof(b));
		break;
	case 8: /* the user has a pointer into the ring */
		ck_assert_int_eq(tg_sock_reserve(w->s, w->conn, 10, span), 1);
		break;
	case 9: c->recovery = REC_RECOVERY; break;
	case 10: c->frto = FRTO_FIRST; break;
	case 11: c->snd.max.v++; break;
	case 12: c->deadline[CT_STATE] = w->now_ns + 3600 * NS_PER_SEC; break;
	case 13: c->fin_parked = true; break;
	case 14: c->urg_in = true; break;
	case 15: c->dsack = true; break;
	case 16: c->keep_sent = 1; break;
	case 17: c->backoff = 1; break;
	case 18: c->stalled_ns = w->now_ns; break;
	case 19: /* fits, but more may come */
		c->rttvar_ns = 4 * NS_PER_SEC;
		c->rto_ns = tcp_rtt_rto(w->s, c);
		break;
	case 20: c->undo_armed = true; break;
	case 21: c->snd.una.v--; break;
	case 22: c->rto_ns++; break; /* follows from nothing that is noted down */
	case 23:                     /* a budget of challenge ACKs is being used */
		c->challenges[CHALLENGE_PROBE] = 1;
		c->challenge_ms = (uint32_t)((w->now_ns + REST_NS / 2) / NS_PER_MS);
		break;
	}
	if (_i == 20 || _i == 23) {
		idle(REST_NS / 2); /* what holds it up for seconds only */
		w->s->cfg.tcp.rest_after_ns = 1;
		c->deadline[CT_REST] = w->now_ns;
		timer_arm(w->s, &c->timer, w->now_ns);
		idle(REST_NS / 4);
	} else {
		idle(30 * NS_PER_SEC);
	}
	ck_assert(!rests());
	ck_assert_uint_eq(w->s->counters.tcp_rested, 0);
	w->dev.room = UINT32_MAX;
}
END_TEST

static void wake(void)
{
	w->c = tcp_wake(w->s, w->c);
	ck_assert(!rests());
}

/* RTO is kept, measured [6298 2.3] or not [6298 2.1, 5.7], also where it needs more than 32 bits.
 */
START_TEST (rto_is_kept) {
	static const uint64_t srtt_ns[] = {0, 4 * NS_PER_SEC, 20 * NS_PER_MS};
	uint64_t rto_ns;

	exchange();
	w->c->srtt_ns = srtt_ns[_i];
	w->c->rttvar_ns = _i ? 3 * NS_PER_SEC : 0;
	rto_ns = _i ? tcp_rtt_rto(w->s, w->c) : 3 * NS_PER_SEC;
	w->c->rto_ns = rto_ns;
	idle(70 * NS_PER_SEC);
	ck_assert(rests());
	wake();
	ck_assert_uint_eq(w->c->srtt_ns, srtt_ns[_i]);
	ck_assert_uint_eq(w->c->rttvar_ns, _i ? 3 * NS_PER_SEC : 0);
	ck_assert_uint_eq(w->c->rto_ns, rto_ns);
}
END_TEST

/* [9406 4.2] The round that has begun goes on. */
START_TEST (hystart_is_kept) {
	const struct cc_hystart h = {100, 200, 300, 400, 5, 3};

	exchange();
	ck_assert_uint_eq(w->c->cc.ssthresh, CC_SSTHRESH_NONE);
	w->c->cc.hystart = h;
	go_to_rest();
	wake();
	ck_assert_uint_eq(w->c->cc.hystart.last_min_us, h.last_min_us);
	ck_assert_uint_eq(w->c->cc.hystart.cur_min_us, h.cur_min_us);
	ck_assert_uint_eq(w->c->cc.hystart.css_min_us, h.css_min_us);
	ck_assert_uint_eq(w->c->cc.hystart.round_bytes, h.round_bytes);
	ck_assert_uint_eq(w->c->cc.hystart.samples, h.samples);
	ck_assert_uint_eq(w->c->cc.hystart.css_rounds, h.css_rounds);
}
END_TEST

/* [9438 4.2] The same place on the same curve, before K, behind it, and where it has left every
 * window below; its clock runs or stands. */
START_TEST (cubic_is_kept) {
	static const uint64_t t_ns[] = {1234567891, 9876543219, 5000000000000000};
	static const int64_t beyond_us[] = {-2765433, 5876543, 1 << 30};
	struct cc_cubic *q = &w->c->cc.cubic;

	exchange();
	w->c->cc.ssthresh = 100000;
	*q = (struct cc_cubic){.t_ns = t_ns[_i],
		.last_ns = _i == 1 ? 0 : w->now_ns,
		.k_us = 4000000,
		.w_max = 200000,
		.w_est = 150000,
		.cwnd_max = 210000,
		.est_left = 0x7ffffff1,
		.epoch = _i != 2};
	go_to_rest();
	wake();
	q = &w->c->cc.cubic;
	ck_assert_int_eq((int64_t)(q->t_ns / NS_PER_US) - q->k_us, beyond_us[_i]);
	ck_assert_uint_eq(q->t_ns % NS_PER_US, t_ns[_i] % NS_PER_US);
	ck_assert_uint_eq(q->last_ns, _i == 1 ? 0 : w->now_ns);
	ck_assert_uint_eq(q->w_max, 200000);
	ck_assert_uint_eq(q->w_est, 150000);
	ck_assert_uint_eq(q->cwnd_max, 210000);
	ck_assert_uint_eq(q->est_left, 0x7ffffff1);
	ck_assert_uint_eq(q->epoch, _i != 2);
}
END_TEST

/* Times are kept as far as anybody asks, and that nothing was ever sent. */
START_TEST (times_are_kept) {
	uint64_t day_ns = 86400 * NS_PER_SEC, now_ns;

	exchange();
	idle(100 * day_ns);
	exchange();
	now_ns = w->now_ns;
	w->c->ts_recent_ns = now_ns - (_i ? 80 : 20) * day_ns;
	w->c->last_snd_ns = _i ? 0 : now_ns - 20 * day_ns;
	go_to_rest();
	wake();
	ck_assert_uint_le(w->c->ts_recent_ns, now_ns - (_i ? 24 : 20) * day_ns);
	ck_assert_uint_ge(w->c->ts_recent_ns + NS_PER_MS, now_ns - (_i ? 25 : 20) * day_ns);
	ck_assert_uint_le(w->c->last_snd_ns, _i ? 0 : now_ns - 20 * day_ns);
	ck_assert_uint_ge(w->c->last_snd_ns + NS_PER_MS, _i ? 0 : now_ns - 20 * day_ns);
}
END_TEST

START_TEST (not_before_it_is_accepted) {
	struct tcp_seg g = {.src_port = 4001,
		.dst_port = TW_PORT,
		.flags = TCP_ACK,
		.wnd = 65535,
		.seq = {101},
		.opts = {.has = TCP_HAS_TS, .tsval = 1000}};

	g.ack = seq_add(tw_syn(w, 4001, (struct seq){100}), 1);
	tw_in(w, &g, NULL, 0);
	go_to_rest();
	ck_assert_uint_eq(w->s->counters.tcp_rested, 1);
	tg_sock_abort(w->s, w->conn, w->now_ns);
	ck_assert_int_eq(tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns), 0);
	ck_assert(!rests());
	go_to_rest();
}
END_TEST

/* Its listener may go, others of its port may come and go: lists and tables hold. */
START_TEST (among_others) {
	enum { OTHERS = 40 };
	tg_sock k[OTHERS];
	tg_sock first = w->conn;
	struct tg_event e;
	unsigned n = 0;

	for (unsigned i = 0; i < OTHERS; i++) {
		tw_establish(w, (uint16_t)(5000 + i), (struct seq){i});
		k[i] = w->conn;
	}
	idle(2 * REST_NS + NS_PER_SEC);
	ck_assert_uint_eq(w->s->counters.tcp_rested, OTHERS + 1);
	while (tg_event(w->s, &e)) /* nobody asked so far */
		if (e.sock != w->listener)
			ck_assert(e.sock == (n++ ? k[n - 2] : first) && e.events == TG_OUT);
	ck_assert_uint_eq(n, OTHERS + 1);
	tg_sock_close(w->s, w->listener, w->now_ns);
	w->listener = 0;
	for (unsigned i = 0; i < OTHERS; i += 2)
		ck_assert_int_eq(tg_sock_abort(w->s, k[i], w->now_ns), 0);
	for (unsigned i = 1; i < OTHERS; i += 2) {
		w->conn = k[i];
		ck_assert(rests());
		exchange();
		ck_assert_int_eq(tg_sock_abort(w->s, k[i], w->now_ns), 0);
	}
	w->conn = first;
	ck_assert(rests());
	exchange();
}
END_TEST

START_TEST (no_memory_for_a_segment) {
	exchange();
	go_to_rest();
	no_memory();
	text_in(100);
	ck_assert(rests());
	ck_assert_uint_eq(tw_drops(w, TG_DROP_TCP_RCV_MEMORY), 1);
	memory_again();
	text_in(100);
	ck_assert(!rests());
	ck_assert_uint_eq(w->c->rcvq.bytes, 100);
}
END_TEST

START_TEST (no_memory_for_a_call) {
	uint8_t b[10];

	exchange();
	go_to_rest();
	no_memory();
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, b, 10, 0, w->now_ns), -TG_ENOMEM);
	ck_assert_int_eq(tg_sock_recv(w->s, w->conn, b, 10, 0, w->now_ns), -TG_ENOMEM);
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_TCP_NODELAY, 1, w->now_ns), -TG_ENOMEM);
	ck_assert_int_eq(tg_sock_shutdown(w->s, w->conn, TG_SHUT_WR, w->now_ns), -TG_ENOMEM);
	ck_assert(rests());
	memory_again();
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, b, 10, 0, w->now_ns), 10);
}
END_TEST

/* CLOSE and ABORT cannot fail: without memory to close in order the peer gets a reset. */
START_TEST (no_memory_to_close) {
	struct tcp_seg g, last;
	struct tg_pkt *keep;

	exchange();
	go_to_rest();
	g = seg();
	/* Memory for the reset, not for a record. */
	keep = pkt_alloc(w->s, 60);
	tg_pkt_free(w->s, keep);
	w->s->counters.tcp_estab_resets = 0;
	no_memory();
	ck_assert_int_eq(_i ? tg_sock_abort(w->s, w->conn, w->now_ns)
			    : tg_sock_close(w->s, w->conn, w->now_ns),
		0);
	memory_again();
	w->conn = 0;
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->s->counters.tcp_curr_estab, 0);
	ck_assert_uint_eq(w->s->counters.tcp_estab_resets, 1);
	/* What the peer sends now finds nobody, and learns that if the reset was not made. */
	tw_in(w, &g, NULL, 0);
	tg_step(w->s, w->now_ns);
	last = tw_last(w);
	ck_assert_uint_ne(last.flags & TCP_RST, 0);
	ck_assert_uint_eq(last.seq.v, g.ack.v);
}
END_TEST

/* [9293 MUST-26] The peer is asked though the connection rests, at the same moment. */
START_TEST (keepalive_goes_on) {
	struct tg_tcp_info i;
	struct tcp_seg g;
	uint64_t idle_ns;

	exchange();
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_SO_KEEPALIVE, 1, w->now_ns), 0);
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_TCP_KEEPIDLE, 3600 * (int64_t)NS_PER_SEC,
				 w->now_ns),
		0);
	idle_ns = w->now_ns;
	go_to_rest();
	ck_assert_uint_eq(
		tcp_timer_deadline_ns(w->c, TG_TIMER_KEEPALIVE), idle_ns + 3600 * NS_PER_SEC);
	w->dev.n = 0;
	idle(idle_ns + 3600 * NS_PER_SEC - 1 - w->now_ns);
	ck_assert(rests());
	ck_assert_uint_eq(w->dev.n, 0);
	if (_i) { /* a moment later */
		no_memory();
		idle(5 * NS_PER_MS);
		ck_assert(rests());
		ck_assert_uint_eq(w->dev.n, 0);
		memory_again();
		idle(10 * NS_PER_MS);
	} else {
		idle(1);
	}
	ck_assert(!rests());
	ck_assert_uint_eq(w->dev.n, 1);
	ck_assert_int_eq(tg_tcp_status(w->s, w->conn, &i), 0);
	ck_assert_uint_eq(i.probes, 1);
	g = seg();
	tw_in(w, &g, NULL, 0);
	go_to_rest(); /* and again after the answer */
	ck_assert_uint_ne(tcp_timer_deadline_ns(w->c, TG_TIMER_KEEPALIVE), NEVER_NS);
}
END_TEST

/* [7323 5.5] After 24 days TS.Recent counts no more; [5681-13] after a pause cwnd begins anew. */
START_TEST (for_years) {
	uint64_t year_ns = 365 * 86400 * NS_PER_SEC;
	struct tcp_seg g;

	exchange();
	w->c->cc.cwnd = 1000000;
	go_to_rest();
	idle((uint64_t)_i * year_ns);
	ck_assert(rests());
	g = seg();
	g.opts.tsval -= 5000000; /* the peer's clock has gone round meanwhile */
	tw_in(w, &g, text, 100);
	w->c = tw_record(w, w->conn);
	ck_assert_uint_eq(w->c->rcvq.bytes, 100);
	ck_assert_uint_eq(w->c->ts_recent, g.opts.tsval);
	ck_assert_uint_lt(w->now_ns - w->c->last_rcv_ns, NS_PER_SEC);
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, text, 100, 0, w->now_ns), 100);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_lt(w->c->cc.cwnd, 20000);
}
END_TEST

static Suite *tcp_rest_suite(void)
{
	Suite *suite = suite_create("tcp rest");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, looks_the_same);
	tcase_add_test(t, a_segment_wakes);
	tcase_add_test(t, when_it_is_time);
	tcase_add_test(t, options_are_kept);
	tcase_add_loop_test(t, stays_awake, 0, 24);
	tcase_add_loop_test(t, rto_is_kept, 0, 3);
	tcase_add_test(t, hystart_is_kept);
	tcase_add_loop_test(t, cubic_is_kept, 0, 3);
	tcase_add_loop_test(t, times_are_kept, 0, 2);
	tcase_add_test(t, not_before_it_is_accepted);
	tcase_add_test(t, among_others);
	tcase_add_test(t, no_memory_for_a_segment);
	tcase_add_test(t, no_memory_for_a_call);
	tcase_add_loop_test(t, no_memory_to_close, 0, 2);
	tcase_add_loop_test(t, keepalive_goes_on, 0, 2);
	tcase_add_loop_test(t, for_years, 1, 60);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_rest_suite)
