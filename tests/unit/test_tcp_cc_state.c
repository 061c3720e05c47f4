/* What congestion control keeps of the past and what it has to forget: CUBIC's stage (RFC 9438),
 * HyStart++'s rounds (RFC 9406), the use of cwnd (RFC 7661), each beginning at the right moment and
 * from nothing. */
#include "core_support.h"

#include "tcp/tcp_cc.h"

#define MSS 1000u

static const struct tcp_cc_ops *const cubic = &cc_cubic;

static struct tcp_cc fresh(const struct tcp_cc_ops *ops, uint32_t segs)
{
	struct tcp_cc c = {.ops = ops, .flags = CC_HYSTART};

	ops->init(&c, MSS, 10, false);
	c.cwnd = segs * MSS;
	return c;
}

/* After a loss at so many segments. */
static struct tcp_cc reduced(uint32_t segs)
{
	struct tcp_cc c = fresh(cubic, segs);

	cubic->on_loss(&c, segs * MSS, 0);
	return c;
}

static void ack(struct tcp_cc *c, uint32_t bytes, uint64_t now_ns)
{
	struct cc_ack a = {.acked_bytes = bytes,
		.outstanding_bytes = c->cwnd,
		.now_ns = now_ns,
		.srtt_ns = 100 * NS_PER_MS,
		.cwnd_limited = true};

	c->ops->on_ack(c, &a);
}

static bool is_blank(const struct cc_hystart *h)
{
	static const struct cc_hystart none;

	return memcmp(h, &none, sizeof(none)) == 0;
}

/* ---- CUBIC ---- */

/* [9438-7] The first loss has no W_max before it, though one was told of that was none. */
START_TEST (test_first_loss) {
	struct tcp_cc c = reduced(100);

	cubic->on_undo(&c);
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
	cubic->on_idle(&c, 10);
	ck_assert_uint_eq(c.cwnd, 10 * MSS);
	cubic->on_loss(&c, 10 * MSS, 0);
	ck_assert_uint_eq(c.cubic.w_max, 10 * MSS);
	ck_assert_uint_eq(c.cubic.w_before, 0);
}
END_TEST

/* [9438 4.2] A stage begins with the first ACK that counts, at t = 0. */
START_TEST (test_stage_begins) {
	struct tcp_cc c = reduced(100);
	uint64_t now = NS_PER_SEC;
	uint32_t cwnd;

	ack(&c, MSS, now);
	ack(&c, MSS, now += NS_PER_SEC);
	ck_assert_uint_eq(c.cubic.t_ns, NS_PER_SEC);
	cubic->on_loss(&c, c.cwnd, now);
	c.cubic.est_left = 999;
	c.acked = c.cwnd - 1;
	cwnd = c.cwnd;
	ack(&c, 1, now += 5 * NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, cwnd);
	ck_assert_uint_eq(c.cubic.t_ns, 0);
	ck_assert_uint_eq(c.cubic.est_left, 1);
	/* a clock that begins at 0 */
	cubic->on_loss(&c, c.cwnd, 0);
	ack(&c, MSS, 0);
	ack(&c, MSS, 0);
	ck_assert_uint_eq(c.cubic.t_ns, 0);
	/* what takes cwnd up to ssthresh is still slow start's */
	cubic->on_timeout(&c, 8 * MSS, true, now);
	while (c.cwnd < c.ssthresh)
		ack(&c, min_u32(MSS, c.ssthresh - c.cwnd), now += NS_PER_MS);
	ck_assert_uint_eq(c.cubic.epoch, 0);
	ack(&c, MSS, now);
	ck_assert_uint_eq(c.cubic.epoch, 1);
}
END_TEST

/* [9438-8] After a timeout K is 0, though it was not before; slow start is no conservative one. */
START_TEST (test_stage_after_timeout) {
	struct tcp_cc c = reduced(100);
	uint64_t now = NS_PER_SEC;

	ack(&c, MSS, now);
	ck_assert_uint_ne(c.cubic.k_us, 0);
	cubic->on_timeout(&c, 8 * MSS, true, now);
	ack(&c, MSS, now += NS_PER_MS);
	ck_assert_uint_eq(c.cwnd, 2 * MSS);
	while (c.cubic.epoch == 0)
		ack(&c, MSS, now += NS_PER_MS);
	ck_assert_uint_eq(c.cubic.k_us, 0);
	cubic->on_timeout(&c, 8 * MSS, false, now); /* behind probes of a closed window */
	ck_assert_uint_eq(c.cubic.epoch, 0);
	ck_assert_uint_eq(c.cubic.w_max, 0);
}
END_TEST

/* [9438-9] What is undone goes on as it was, once; a mark is no guess and stays. */
START_TEST (test_undo) {
	struct tcp_cc c = reduced(100);
	uint64_t now = NS_PER_SEC;
	uint32_t w_max;

	ack(&c, MSS, now);
	cubic->on_undo(&c); /* in the first slow start */
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
	ck_assert(is_blank(&c.hystart));
	c = reduced(100);
	cubic->on_loss(&c, c.cwnd, now);
	ack(&c, MSS, now);
	ck_assert_uint_eq(c.cubic.epoch, 1);
	cubic->on_undo(&c);
	ck_assert_uint_eq(c.cubic.epoch, 0);
	ck_assert_uint_eq(c.cwnd, 70 * MSS);
	c.cwnd = 5 * MSS;
	cubic->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 5 * MSS);
	cubic->on_ecn(&c, 5 * MSS, now);
	w_max = c.cubic.w_max;
	ck_assert_uint_gt(c.cubic.w_before, w_max);
	cubic->on_undo(&c);
	ck_assert_uint_eq(c.cubic.w_max, w_max);
}
END_TEST

/* Windows are kept in segments; the curve is one of times. */
START_TEST (test_segment_size) {
	struct tcp_cc c = reduced(100);

	cubic->on_loss(&c, 50 * MSS, 0);
	ack(&c, MSS, NS_PER_SEC);
	c.cubic.w_before = 90 * MSS;
	c.cubic.w_max = 80 * MSS;
	c.cubic.cwnd_max = 70 * MSS;
	cubic->on_mss(&c, 500);
	ck_assert_uint_eq(c.cubic.w_before, 90 * 500);
	ck_assert_uint_eq(c.cubic.w_max, 80 * 500);
	ck_assert_uint_eq(c.cubic.cwnd_max, 70 * 500);
	ck_assert_uint_eq(c.cubic.epoch, 0);
}
END_TEST

/* [6582 3.2 (3)] No burst after recovery. */
START_TEST (test_recovered) {
	struct tcp_cc c = _i ? fresh(&cc_newreno, 100) : fresh(cubic, 100);

	c.ops->on_loss(&c, 100 * MSS, 0);
	c.acked = 500;
	c.ops->on_recovered(&c, 4 * MSS, 0);
	ck_assert_uint_eq(c.cwnd, 5 * MSS);
	ck_assert_uint_eq(c.acked, 0);
	c.ops->on_recovered(&c, 0, 0);
	ck_assert_uint_eq(c.cwnd, 2 * MSS);
}
END_TEST

/* ---- NewReno ---- */

/* [5681-5] What counted towards the next segment counts no more after a reduction or a pause. */
START_TEST (test_newreno) {
	struct tcp_cc c;

	memset(&c, 0xff, sizeof(c));
	cc_newreno.init(&c, MSS, 10, false);
	ck_assert_uint_eq(c.acked, 0);
	ck_assert_uint_eq(c.prior_cwnd, 0);
	ck_assert_uint_eq(c.prior_ssthresh, 0);
	ck_assert_uint_eq(c.cubic.w_max, 0);
	ck_assert(is_blank(&c.hystart));
	c.acked = 500;
	cc_newreno.on_idle(&c, 10);
	ck_assert_uint_eq(c.acked, 0);
	c.acked = 500;
	cc_newreno.on_timeout(&c, 10 * MSS, true, 0);
	ck_assert_uint_eq(c.acked, 0);
	ck_assert_uint_eq(c.ssthresh, 5 * MSS);
	c = fresh(&cc_newreno, 20);
	c.hystart.samples = 5;
	cc_newreno.on_loss(&c, 20 * MSS, 0);
	cc_newreno.on_undo(&c); /* slow start goes on, measured anew */
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
	ck_assert(is_blank(&c.hystart));
}
END_TEST

/* ---- HyStart++ ---- */

/* A round of so many ACKs of a segment each; rtt_ns 0: none is measured. */
static void round_of(struct tcp_cc *c, unsigned acks, uint64_t rtt_ns)
{
	for (unsigned i = 0; i < acks; i++) {
		struct cc_ack a = {.acked_bytes = MSS,
			.outstanding_bytes = (19 - i) * MSS,
			.rtt_ns = rtt_ns,
			.cwnd_limited = true};

		c->ops->on_ack(c, &a);
	}
}

static struct tcp_cc starting(void)
{
	struct tcp_cc c = fresh(cubic, 10);

	round_of(&c, 20, 40 * NS_PER_MS);
	round_of(&c, 20, 40 * NS_PER_MS);
	return c;
}

/* [9406 4.2] However many rounds: without a rise in delay slow start does not end. */
START_TEST (test_many_rounds) {
	struct tcp_cc c = starting();

	for (int i = 0; i < 20; i++)
		round_of(&c, 20, 40 * NS_PER_MS);
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
}
END_TEST

/* [9406 4.2] The least of a round counts; an ACK that measures nothing does not. */
START_TEST (test_least_of_a_round) {
	struct tcp_cc c = starting();

	round_of(&c, 8, 41 * NS_PER_MS);
	round_of(&c, 8, 90 * NS_PER_MS);
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	ck_assert_uint_eq(c.hystart.cur_min_us, 41001);
	round_of(&c, 3, 0);
	ck_assert_uint_eq(c.hystart.cur_min_us, 41001);
	ck_assert_uint_eq(c.hystart.samples, 16);
	c.hystart.round_bytes = 1u << 30;
	round_of(&c, 300, 41 * NS_PER_MS);
	ck_assert_uint_eq(c.hystart.samples, 255);
}
END_TEST

/* [9406 4.2] Delays that rise on and on do not begin conservative slow start anew: five rounds. */
START_TEST (test_rising) {
	struct tcp_cc c = starting();

	for (unsigned i = 0; i < 4; i++) {
		round_of(&c, 20, (60 + 20 * i) * NS_PER_MS);
		ck_assert_uint_ne(c.hystart.css_min_us, 0);
		ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
	}
	c.cubic.w_max = 7;
	round_of(&c, 20, 200 * NS_PER_MS);
	ck_assert_uint_eq(c.ssthresh, c.cwnd);
	ck_assert_uint_eq(c.cubic.w_max, 0); /* CUBIC begins with nothing known [9438-10] */
	ck_assert_uint_eq(c.cubic.last_ns, 0);
}
END_TEST

/* [9406 4.2] It was jitter; the next time the five rounds are counted from one. */
START_TEST (test_second_time) {
	struct tcp_cc c = starting();

	for (unsigned i = 0; i < 3; i++)
		round_of(&c, 20, 60 * NS_PER_MS);
	round_of(&c, 20, 40 * NS_PER_MS);
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	for (unsigned i = 0; i < 4; i++) {
		round_of(&c, 20, 60 * NS_PER_MS);
		ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
	}
	round_of(&c, 20, 60 * NS_PER_MS);
	ck_assert_uint_eq(c.ssthresh, c.cwnd);
}
END_TEST

/* ACKs while the application is the limit change nothing of it; a pause ends it. */
START_TEST (test_pause) {
	struct tcp_cc c = starting();
	struct cc_ack a = {.acked_bytes = MSS, .outstanding_bytes = MSS};
	struct cc_hystart before;

	round_of(&c, 20, 60 * NS_PER_MS);
	before = c.hystart;
	cubic->on_ack(&c, &a);
	ck_assert_int_eq(memcmp(&before, &c.hystart, sizeof(before)), 0);
	cubic->on_idle(&c, 10); /* [9406 4.3] */
	ck_assert(is_blank(&c.hystart));
}
END_TEST

/* ---- Validation of cwnd ---- */

/* [7661 4.2] Maximum of a period: a span lasts from its own beginning. */
START_TEST (test_spans) {
	struct tcp_cc c = reduced(100);
	uint64_t now = NS_PER_SEC, rtt = 10 * NS_PER_MS;

	cwv_sample(&c, 40 * MSS, rtt, now);
	cwv_sample(&c, 10 * MSS, rtt, now + 600 * NS_PER_MS);
	cwv_sample(&c, 30 * MSS, rtt, now + 700 * NS_PER_MS);
	ck_assert_uint_eq(cwv_pipe_ack(&c), 40 * MSS);
	cwv_on_loss(&c, true, 40 * MSS); /* [7661 4.3] measured anew */
	cwv_sample(&c, 5 * MSS, rtt, now + 800 * NS_PER_MS);
	ck_assert_uint_eq(cwv_pipe_ack(&c), 5 * MSS);
}
END_TEST

/* [7661 4.4.3] Five minutes from when it was last validated. */
START_TEST (test_period) {
	struct tcp_cc c = reduced(100);
	uint64_t now = NS_PER_SEC;

	cwv_sample(&c, 60 * MSS, NS_PER_MS, now);
	cwv_sample(&c, (_i ? 60 : 10) * MSS, NS_PER_MS, now + 200 * NS_PER_SEC);
	cwv_before_send(&c, 10, now + 301 * NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, (_i ? 70 : 35) * MSS);
	cwv_before_send(&c, 10, now + 501 * NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, 35 * MSS);
}
END_TEST

/* [7661 4.4.2] A validated window is reduced by congestion control alone. */
START_TEST (test_validated_loss) {
	struct tcp_cc c = reduced(100);

	cwv_sample(&c, 100 * MSS, NS_PER_MS, NS_PER_SEC);
	cwv_on_loss(&c, true, 70 * MSS);
	ck_assert_uint_eq(c.cwnd, 70 * MSS);
}
END_TEST

/* [2861 3.1] ssthresh remembers three quarters; without one there is nothing to remember. */
START_TEST (test_decay) {
	struct tcp_cc c = reduced(100);

	c.ssthresh = 2 * MSS;
	cwv_decay(&c, 10, 3 * NS_PER_SEC, NS_PER_SEC);
	ck_assert_uint_eq(c.ssthresh, 70 * MSS - 70 * MSS / 4);
	c = fresh(cubic, 100);
	cwv_decay(&c, 10, 3 * NS_PER_SEC, NS_PER_SEC);
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
}
END_TEST

static Suite *tcp_cc_state_suite(void)
{
	Suite *suite = suite_create("tcp cc state");
	TCase *t = tcase_create("cubic"), *h = tcase_create("hystart"), *v = tcase_create("cwv");

	tcase_add_test(t, test_first_loss);
	tcase_add_test(t, test_stage_begins);
	tcase_add_test(t, test_stage_after_timeout);
	tcase_add_test(t, test_undo);
	tcase_add_test(t, test_segment_size);
	tcase_add_loop_test(t, test_recovered, 0, 2);
	tcase_add_test(t, test_newreno);
	tcase_add_test(h, test_many_rounds);
	tcase_add_test(h, test_least_of_a_round);
	tcase_add_test(h, test_rising);
	tcase_add_test(h, test_second_time);
	tcase_add_test(h, test_pause);
	tcase_add_test(v, test_spans);
	tcase_add_loop_test(v, test_period, 0, 2);
	tcase_add_test(v, test_validated_loss);
	tcase_add_test(v, test_decay);
	suite_add_tcase(suite, t);
	suite_add_tcase(suite, h);
	suite_add_tcase(suite, v);
	return suite;
}

UNIT_MAIN(tcp_cc_state_suite)
