/* Round-trip time and retransmission timeout against the formulas of RFC 6298 2 and 5.5, and which
 * samples are taken (section 3). */
#include "tcp_support.h"

#define G_NS (1ull << WHEEL_TICK_SHIFT)

static struct tcp_world *w;
static struct tcp_conn c;

static void setup(void)
{
	w = tw_new(NULL);
	memset(&c, 0, sizeof(c));
	c.rto_ns = w->s->cfg.tcp.rto_initial_ns;
}

static void teardown(void)
{
	tw_end(w);
}

static uint64_t clamped(uint64_t rto_ns)
{
	const struct tg_config *g = &w->s->cfg;

	rto_ns = rto_ns < g->tcp.rto_min_ns ? g->tcp.rto_min_ns : rto_ns;
	return rto_ns > g->tcp.rto_max_ns ? g->tcp.rto_max_ns : rto_ns;
}

/* a and b apart by no more than the rounding of a few divisions. */
static bool near(uint64_t a, uint64_t b, uint64_t slack)
{
	return a > b ? a - b <= slack : b - a <= slack;
}

START_TEST (test_first) {
	static const uint64_t rtts[] = {0, 1, 1000, 70000, NS_PER_MS, 123456789, NS_PER_SEC,
		40 * NS_PER_SEC, 600 * NS_PER_SEC};

	for (unsigned i = 0; i < ARRAY_LEN(rtts); i++) {
		uint64_t var = rtts[i] / 2, k = 4 * var > G_NS ? 4 * var : G_NS;

		c.srtt_ns = 0;
		c.min_rtt_ns = 0;
		tcp_rtt_sample(w->s, &c, rtts[i]);
		UNIT_CHECK(c.srtt_ns == rtts[i] || (rtts[i] == 0 && c.srtt_ns == 1));
		UNIT_CHECK(c.rttvar_ns == var);
		UNIT_CHECK(c.min_rtt_ns == rtts[i] || (rtts[i] == 0 && c.min_rtt_ns == 1));
		UNIT_CHECK(near(c.rto_ns, clamped(rtts[i] + k), 1));
	}
}
END_TEST

/* [8985-5] The least of the last minutes only: a path that grows longer is noticed, one
 * that grows shorter at once. */
START_TEST (test_min_window) {
	uint64_t epoch_ns = 1ull << 38;

	c.min_rtt_ns = 0;
	w->s->now_ns = 10 * epoch_ns;
	tcp_rtt_min(w->s, &c, 5 * NS_PER_MS);
	w->s->now_ns = 11 * epoch_ns;
	tcp_rtt_min(w->s, &c, 30 * NS_PER_MS);
	UNIT_CHECK(c.min_rtt_ns == 5 * NS_PER_MS);
	w->s->now_ns = 12 * epoch_ns;
	tcp_rtt_min(w->s, &c, 40 * NS_PER_MS);
	UNIT_CHECK(c.min_rtt_ns == 30 * NS_PER_MS);
	tcp_rtt_min(w->s, &c, 7 * NS_PER_MS);
	UNIT_CHECK(c.min_rtt_ns == 7 * NS_PER_MS);
	w->s->now_ns = 20 * epoch_ns;
	tcp_rtt_min(w->s, &c, 90 * NS_PER_MS);
	UNIT_CHECK(c.min_rtt_ns == 90 * NS_PER_MS);
}
END_TEST

/* [6298 2.3] RTTVAR <- 3/4 RTTVAR + 1/4 |SRTT - R'|, SRTT <- 7/8 SRTT + 1/8 R', in that order. */
/* [6298 4] */
START_TEST (test_formula) {
	struct unit_rng r;
	uint64_t least = UINT64_MAX;

	unit_rng_start(&r, _i);
	for (int i = 0; i < 5000; i++) {
		uint64_t rtt = unit_u64(&r) >> (24 + unit_below(&r, 40));
		uint64_t s = c.srtt_ns, v = c.rttvar_ns, err = s > rtt ? s - rtt : rtt - s;

		least = rtt < least ? rtt : least;
		least = least ? least : 1;
		tcp_rtt_sample(w->s, &c, rtt);
		UNIT_CHECK(c.min_rtt_ns == least);
		if (s) {
			UNIT_CHECK(near(4 * c.rttvar_ns, 3 * v + err, 8));
			UNIT_CHECK(near(8 * c.srtt_ns, 7 * s + rtt, 16));
		}
		UNIT_CHECK(c.rto_ns ==
			   clamped(c.srtt_ns + (4 * c.rttvar_ns > G_NS ? 4 * c.rttvar_ns : G_NS)));
	}
}
END_TEST

START_TEST (test_converges) {
	tcp_rtt_sample(w->s, &c, NS_PER_SEC);
	for (int i = 0; i < 1000; i++)
		tcp_rtt_sample(w->s, &c, 300 * NS_PER_MS);
	UNIT_CHECK(near(c.srtt_ns, 300 * NS_PER_MS, 100));
	UNIT_CHECK(c.rttvar_ns < 1000);
	UNIT_CHECK(near(c.rto_ns, 300 * NS_PER_MS + G_NS, 2000));
}
END_TEST

START_TEST (test_backoff) {
	uint64_t want = 3 * NS_PER_SEC;

	UNIT_CHECK(tcp_rto(w->s, &c) == NS_PER_SEC); /* [6298 2.1] */
	c.rto_ns = want;
	for (unsigned i = 0; i < 256; i++) { /* [6298 5.5, 2.5] */
		c.backoff = (uint8_t)i;
		UNIT_CHECK(tcp_rto(w->s, &c) == want);
		want = 2 * want < w->s->cfg.tcp.rto_max_ns ? 2 * want : w->s->cfg.tcp.rto_max_ns;
	}
	c.backoff = 0;
	c.rto_ns = 500 * NS_PER_SEC;
	UNIT_CHECK(tcp_rto(w->s, &c) == w->s->cfg.tcp.rto_max_ns);
}
END_TEST

/* ---- Which samples count ---- */

static void send_one(void)
{
	ck_assert_int_eq(tg_sock_send(w->s, w->conn, "x", 1, 0, w->now_ns), 1);
	tg_step(w->s, w->now_ns);
}

static void ack_all(uint32_t tsecr)
{
	struct tcp_seg g = tw_seg(w);

	g.opts.has |= TCP_HAS_TS; /* agreed or not [7323-T6] */
	g.opts.tsecr = tsecr;
	tw_in(w, &g, NULL, 0);
}

/* [6298 3] Karn: no sample of what was sent twice, unless a timestamp tells which one it was. */
START_TEST (test_karn) {
	uint32_t sent_ms;

	w->syn_opts = tw_all_opts();
	if (_i == 0)
		w->syn_opts.has &= (uint8_t)~TCP_HAS_TS;
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	w->c->srtt_ns = 0;
	w->s->cfg.tcp.tlp = false; /* no probe instead of the timeout */
	send_one();
	w->now_ns += 50 * NS_PER_MS;
	ack_all(tcp_ts_now(w->s, w->c->ts_offset));
	UNIT_CHECK(w->c->srtt_ns == 50 * NS_PER_MS);
	UNIT_CHECK(w->c->rto_ns == w->s->cfg.tcp.rto_min_ns);

	send_one();
	tw_step(w, 250 * NS_PER_MS); /* the timeout: it goes again after 200 ms */
	UNIT_CHECK(w->c->retransmits == 1 && w->c->backoff == 1);
	UNIT_CHECK(tcp_rto(w->s, w->c) == 2 * w->c->rto_ns);
	sent_ms = tcp_ts_now(w->s, w->c->ts_offset) - 50;
	w->now_ns += 30 * NS_PER_MS;
	ack_all(sent_ms);
	UNIT_CHECK(w->c->backoff == 0);
	if (_i == 0)
		UNIT_CHECK(w->c->srtt_ns == 50 * NS_PER_MS);
	else /* 80 ms, in whole ms */
		UNIT_CHECK(near(
			8 * w->c->srtt_ns, 7 * 50 * NS_PER_MS + 80 * NS_PER_MS, NS_PER_MS + 16));
	w->s->now_ns = w->now_ns;
}
END_TEST

static Suite *tcp_rtt_suite(void)
{
	Suite *suite = suite_create("tcp rtt");
	TCase *t = tcase_create("rfc 6298");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_first);
	tcase_add_test(t, test_min_window);
	tcase_add_loop_test(t, test_formula, 0, 5);
	tcase_add_test(t, test_converges);
	tcase_add_test(t, test_backoff);
	tcase_add_loop_test(t, test_karn, 0, 2);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_rtt_suite)
