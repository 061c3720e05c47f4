/* NewReno's arithmetic: initial window (RFC 6928 2), slow start and congestion avoidance by bytes
 * acknowledged (RFC 5681 3.1, RFC 3465 2), loss, recovery and timeout (RFC 5681 3.1, 3.2, RFC 6582
 * 3.2), idle restart (RFC 5681 4.1), and changes of the segment size. */
#include "core_support.h"

#include "tcp/tcp_cc.h"

static const struct tcp_cc_ops *const reno = &cc_newreno;

static struct tcp_cc fresh(uint32_t mss)
{
	struct tcp_cc c = {.ops = reno};

	reno->init(&c, mss, 10, false);
	return c;
}

static void ack(struct tcp_cc *c, uint32_t bytes, bool limited)
{
	struct cc_ack a = {.acked_bytes = bytes, .flight_bytes = c->cwnd, .cwnd_limited = limited};

	reno->on_ack(c, &a);
}

/* [5681-2] */
START_TEST (test_initial_window) {
	for (uint32_t mss = 1; mss <= 65535; mss++) {
		uint32_t most = 2 * mss > 14600 ? 2 * mss : 14600;

		UNIT_CHECK(cc_initial_window(mss, 10) == (10 * mss < most ? 10 * mss : most));
		/* [5681 3.1] as it was: 4380 bytes, with 3 segments chosen */
		most = 2 * mss > 4380 ? 2 * mss : 4380;
		UNIT_CHECK(cc_initial_window(mss, 3) == (3 * mss < most ? 3 * mss : most));
	}
	ck_assert_uint_eq(cc_initial_window(1460, 10), 14600);
	ck_assert_uint_eq(cc_initial_window(9000, 10), 18000);
	ck_assert_uint_eq(cc_initial_window(536, 10), 5360);
}
END_TEST

/* [5681-3] */
START_TEST (test_begin) {
	struct tcp_cc c = fresh(1460);

	ck_assert_uint_eq(c.cwnd, 14600);
	ck_assert_uint_eq(c.ssthresh, UINT32_MAX);
	reno->init(&c, 1460, 10, true);
	ck_assert_uint_eq(c.cwnd, 1460); /* the SYN was lost more than once */
	ck_assert_str_eq(reno->name, "reno");
}
END_TEST

/* Doubles with each window acknowledged, whatever the pieces; not beyond ssthresh. */
/* [5681-4] */
START_TEST (test_slow_start) {
	struct tcp_cc c = fresh(1000);
	struct unit_rng r;

	unit_rng_start(&r, _i);
	c.ssthresh = 100000;
	for (int round = 0; round < 3; round++) {
		uint32_t before = c.cwnd, left = before;

		while (left) {
			uint32_t n = min_u32(left, 1 + unit_below(&r, 2000));

			ack(&c, n, true);
			left -= n;
		}
		UNIT_CHECK(c.cwnd == 2 * before && c.acked == 0);
	}
	/* What is left over at ssthresh counts for congestion avoidance. */
	ack(&c, c.ssthresh - c.cwnd + 500, true);
	UNIT_CHECK(c.cwnd == c.ssthresh && c.acked == 500);
}
END_TEST

/* [5681 3.1 (3)] one SMSS for a window of bytes acknowledged, exactly, however they come. */
/* [5681-5] */
START_TEST (test_avoidance) {
	struct tcp_cc c = fresh(1460);
	struct unit_rng r;

	unit_rng_start(&r, 100 + _i);
	c.cwnd = c.ssthresh = 20 * 1460 + unit_below(&r, 1460);
	for (int round = 0; round < 50; round++) {
		uint32_t before = c.cwnd, left = before;

		while (left) {
			uint32_t n = min_u32(left, 1 + unit_below(&r, 5000));

			UNIT_CHECK(c.cwnd == before);
			ack(&c, n, true);
			left -= n;
		}
		UNIT_CHECK(c.cwnd == before + 1460 && c.acked == 0);
	}
}
END_TEST

/* [7661 4.1] no growth for who does not use what he has */
/* [5681-1] */
START_TEST (test_not_limited) {
	struct tcp_cc c = fresh(1460);

	ack(&c, 14600, false);
	ck_assert_uint_eq(c.cwnd, 14600);
	c.ssthresh = 14600;
	ack(&c, 14600, false);
	ck_assert_uint_eq(c.cwnd, 14600);
	ck_assert_uint_eq(c.acked, 0);
}
END_TEST

/* [5681-6, -15] */
START_TEST (test_loss) {
	for (uint32_t flight = 0; flight < 100000; flight += 777) {
		struct tcp_cc c = fresh(1460);
		uint32_t half = flight / 2 > 2920 ? flight / 2 : 2920;

		c.acked = 99;
		reno->on_loss(&c, flight, 0);
		ck_assert_uint_eq(c.ssthresh, half);
		ck_assert_uint_eq(c.cwnd, half);
		ck_assert_uint_eq(c.acked, 0);
		for (uint32_t left = 0; left < 50000; left += 1111) {
			uint32_t want = (left > 1460 ? left : 1460) + 1460;

			c.cwnd = 1000000;
			reno->on_recovered(&c, left, 0);
			ck_assert_uint_eq(c.cwnd, want < half ? want : half);
			ck_assert_uint_eq(c.ssthresh, half);
		}
	}
}
END_TEST

/* [5681-7] */
START_TEST (test_timeout) {
	struct tcp_cc c = fresh(1460);

	reno->on_timeout(&c, 14600, true, 0);
	ck_assert_uint_eq(c.ssthresh, 7300);
	ck_assert_uint_eq(c.cwnd, 1460);
	/* [5681 3.1] the same segment again: ssthresh is held */
	reno->on_timeout(&c, 1460, false, 0);
	ck_assert_uint_eq(c.ssthresh, 7300);
	reno->on_timeout(&c, 1460, true, 0);
	ck_assert_uint_eq(c.ssthresh, 2920);
	ck_assert_uint_eq(c.cwnd, 1460);
}
END_TEST

/* [5682 3.1, 4015 3] what a needless reduction took comes back; never less than there is now. */
START_TEST (test_undo) {
	struct tcp_cc c = fresh(1460);

	reno->on_undo(&c); /* nothing to take back */
	ck_assert_uint_eq(c.cwnd, 14600);
	ck_assert_uint_eq(c.ssthresh, UINT32_MAX);
	c.cwnd = 100000;
	c.ssthresh = 80000;
	reno->on_loss(&c, 60000, 0);
	ck_assert_uint_eq(c.cwnd, 30000);
	reno->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 100000);
	ck_assert_uint_eq(c.ssthresh, 80000);
	/* the first of several timeouts of the same data counts */
	reno->on_timeout(&c, 60000, true, 0);
	reno->on_timeout(&c, 60000, false, 0);
	ck_assert_uint_eq(c.cwnd, 1460);
	reno->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 100000);
	ck_assert_uint_eq(c.ssthresh, 80000);
	/* grown beyond it meanwhile */
	reno->on_loss(&c, 60000, 0);
	c.cwnd = 120000;
	reno->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 120000);
	ck_assert_uint_eq(c.ssthresh, 80000);
	/* once */
	c.cwnd = 5000;
	c.ssthresh = 5000;
	reno->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 5000);
	ck_assert_uint_eq(c.ssthresh, 5000);
	/* in segments, when their size changes in between */
	c.cwnd = 14600;
	reno->on_loss(&c, 14600, 0);
	reno->on_mss(&c, 1000);
	reno->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 10000);
}
END_TEST

/* [3168 6.1.2] a mark counts as a loss does, and stands */
START_TEST (test_ecn) {
	struct tcp_cc c = fresh(1460), d = fresh(1460);

	reno->on_ecn(&c, 50000, 0);
	reno->on_loss(&d, 50000, 0);
	ck_assert_uint_eq(c.cwnd, d.cwnd);
	ck_assert_uint_eq(c.ssthresh, d.ssthresh);
	reno->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 25000);
	ck_assert_uint_eq(c.ssthresh, 25000);
}
END_TEST

/* [5681-13] */
START_TEST (test_idle) {
	struct tcp_cc c = fresh(1460);

	c.cwnd = 1000000;
	c.ssthresh = 50000;
	reno->on_idle(&c, 10);
	ck_assert_uint_eq(c.cwnd, 14600); /* RW = min(IW, cwnd) */
	c.cwnd = 4000;
	reno->on_idle(&c, 10);
	ck_assert_uint_eq(c.cwnd, 4000);
	ck_assert_uint_eq(c.ssthresh, 50000);
}
END_TEST

START_TEST (test_mss) {
	struct tcp_cc c = fresh(1460);

	reno->on_mss(&c, 536); /* ten segments they stay */
	ck_assert_uint_eq(c.cwnd, 5360);
	ck_assert_uint_eq(c.mss, 536);
	reno->on_mss(&c, 9000);
	ck_assert_uint_eq(c.cwnd, 90000);
	c.cwnd = 100; /* less than one: one */
	reno->on_mss(&c, 1460);
	ck_assert_uint_eq(c.cwnd, 1460);
	c.cwnd = UINT32_MAX / 4;
	reno->on_mss(&c, 65535);
	ck_assert_uint_le(c.cwnd, UINT32_MAX / 4);
}
END_TEST

/* Nothing overflows, and cwnd is never less than a segment, whatever happens. */
START_TEST (test_random) {
	struct tcp_cc c = fresh(1460);
	struct unit_rng r;

	unit_rng_start(&r, 200 + _i);
	for (int i = 0; i < 20000; i++) {
		uint32_t flight = unit_below(&r, 4) ? unit_below(&r, 1 << 20) : UINT32_MAX / 2;
		uint32_t before = c.cwnd;

		switch (unit_below(&r, 40)) {
		case 0: reno->on_loss(&c, flight, 0); break;
		case 1: /* never without a loss before it */
			reno->on_loss(&c, flight, 0);
			reno->on_recovered(&c, flight, 0);
			break;
		case 2: reno->on_timeout(&c, flight, unit_below(&r, 2), 0); break;
		case 3: reno->on_idle(&c, 10); break;
		case 5: reno->on_undo(&c); break;
		case 6: reno->on_ecn(&c, flight, 0); break;
		case 4: reno->on_mss(&c, 48 + unit_below(&r, 65000)); break;
		default:
			ack(&c, 1 + unit_below(&r, 1u << unit_below(&r, 31)), unit_below(&r, 4));
			UNIT_CHECK(c.cwnd >= before);
			break;
		}
		UNIT_CHECK(c.cwnd >= c.mss || c.cwnd >= 48);
		UNIT_CHECK(c.cwnd <= UINT32_MAX / 4 + 65535 || c.cwnd == c.ssthresh);
		UNIT_CHECK(c.ssthresh >= 96);
	}
}
END_TEST

static Suite *tcp_cc_suite(void)
{
	Suite *suite = suite_create("tcp cc");
	TCase *t = tcase_create("newreno");

	tcase_add_test(t, test_initial_window);
	tcase_add_test(t, test_begin);
	tcase_add_loop_test(t, test_slow_start, 0, 10);
	tcase_add_loop_test(t, test_avoidance, 0, 10);
	tcase_add_test(t, test_not_limited);
	tcase_add_test(t, test_loss);
	tcase_add_test(t, test_timeout);
	tcase_add_test(t, test_undo);
	tcase_add_test(t, test_ecn);
	tcase_add_test(t, test_idle);
	tcase_add_test(t, test_mss);
	tcase_add_loop_test(t, test_random, 0, 5);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_cc_suite)
