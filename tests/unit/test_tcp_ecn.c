/* Reductions for ECE (RFC 3168 6.1.2): the window that each counts for, also over more text than
 * sequence numbers tell apart, and its record in the trace. */
#include "tcp_support.h"

#define TAIL 1000u /* stays in flight, so that what is kept with the text in flight is kept */

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
	w->syn_opts.has = TCP_HAS_MSS;
	w->syn_opts.mss = 1460;
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	w->c->ecn_ok = true; /* as if the handshake had agreed on it */
}

static void teardown(void)
{
	tw_end(w);
}

/* Sends what the window takes, acknowledges all but its end; returns how much that was. */
static uint32_t turn(uint8_t flags)
{
	static const uint8_t text[65536];
	struct seq before = w->c->snd.una;
	struct tcp_seg g;

	tg_sock_send(w->s, w->conn, text, sizeof(text), 0, w->now_ns);
	tg_step(w->s, w->now_ns);
	w->now_ns += 100 * NS_PER_US;
	g = tw_seg(w);
	g.flags |= flags;
	g.ack = seq_sub(w->c->snd.nxt, TAIL);
	tw_in(w, &g, NULL, 0);
	dev_clear(&w->dev);
	return seq_dist(w->c->snd.una, before);
}

/* The end of the window that was reduced long ago is not taken for one that is still to come. */
START_TEST (test_wrap) {
	uint64_t done = 0;

	turn(0);
	turn(TCP_ECE);
	UNIT_CHECK(w->s->counters.tcp_ecn_reductions == 1);
	UNIT_CHECK(tcp_ecn_in_window(w->c));
	while (done < (1ull << 31) + (1u << 20)) {
		uint32_t n = turn(0);

		ck_assert_uint_gt(n, 0);
		done += n;
	}
	UNIT_CHECK(!tcp_ecn_in_window(w->c));
	turn(TCP_ECE);
	UNIT_CHECK(w->s->counters.tcp_ecn_reductions == 2);
}
END_TEST

static struct tcp_rx with_ece(void)
{
	struct tcp_rx r;

	memset(&r, 0, sizeof(r));
	r.s = w->s;
	r.g = tw_seg(w);
	r.g.flags |= TCP_ECE;
	return r;
}

/* [3168 6.1.2] The window that a reduction counts for: up to SND.NXT, with a reduction to show,
 * agreed on. */
START_TEST (test_in_window) {
	struct tcp_conn *c = w->c;
	struct seq una;

	tcp_ecn_reduced(c); /* nothing is in flight */
	ck_assert(!c->ecn_cwr_due);
	turn(0);
	una = c->snd.una;
	c->cc.ssthresh = 5000;
	c->ecn_ok = false;
	tcp_ecn_reduced(c);
	ck_assert(!c->ecn_cwr_due && !tcp_ecn_in_window(c));
	c->ecn_ok = true;
	tcp_ecn_reduced(c);
	ck_assert(c->ecn_cwr_due && tcp_ecn_in_window(c));
	ck_assert(seq_eq(c->tx->ecn_high, c->snd.nxt));
	c->snd.una = c->snd.nxt;
	ck_assert(!tcp_ecn_in_window(c));
	c->snd.una = una;
	c->cc.ssthresh = CC_SSTHRESH_NONE;
	ck_assert(!tcp_ecn_in_window(c));
}
END_TEST

/* ECE while nothing is in flight, though text waits: nothing is reduced, nor does anything grow. */
START_TEST (test_nothing_in_flight) {
	struct tcp_rx r = with_ece();

	ck_assert(tcp_ecn_ack_in(w->c, &r));
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, "text", 4, 0, w->now_ns), 4);
	ck_assert_ptr_nonnull(w->c->tx);
	ck_assert(tcp_ecn_ack_in(w->c, &r));
	ck_assert_uint_eq(w->s->counters.tcp_ecn_echoes_in, 2);
	ck_assert_uint_eq(w->s->counters.tcp_ecn_reductions, 0);
	tg_step(w->s, w->now_ns);
	ck_assert(tcp_ecn_ack_in(w->c, &r));
	ck_assert_uint_eq(w->s->counters.tcp_ecn_reductions, 1);
}
END_TEST

/* A reduction stands in the trace, with cwnd and ssthresh after it and what was in flight. */
START_TEST (test_trace) {
	struct tcp_rx r;
	struct tg_trace t, last, *ring;
	uint64_t cursor = 0;

	turn(0);
	r = with_ece();
	tcp_ecn_ack_in(w->c, &r);
	memset(&last, 0, sizeof(last));
	while (tg_trace_next(w->s, &cursor, &t, NULL))
		if (t.kind == TG_TRACE_CONGESTION)
			last = t;
	ck_assert_uint_eq(last.kind, TG_TRACE_CONGESTION);
	ck_assert_uint_eq(last.a, TG_CONG_ECN);
	ck_assert_uint_eq(last.conn, w->c->serial);
	ck_assert_uint_eq(last.rport, TW_FAR);
	ck_assert_uint_eq(last.seq, w->c->cc.cwnd);
	ck_assert_uint_eq(last.ack, w->c->cc.ssthresh);
	ck_assert_uint_eq(last.len, TAIL);
	/* and where none is kept it is a reduction all the same */
	w->c->tx->ecn_reduced = false;
	ring = w->s->trace;
	w->s->trace = NULL;
	tcp_ecn_ack_in(w->c, &r);
	w->s->trace = ring;
	ck_assert_uint_eq(w->s->counters.tcp_ecn_reductions, 2);
}
END_TEST

static Suite *tcp_ecn_suite(void)
{
	Suite *suite = suite_create("tcp ecn");
	TCase *t = tcase_create("rfc 3168");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_wrap);
	tcase_add_test(t, test_in_window);
	tcase_add_test(t, test_nothing_in_flight);
	tcase_add_test(t, test_trace);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_ecn_suite)
