/* CUBIC against RFC 9438's own equations in long double: the curve, K, the Reno-friendly region,
 * fast convergence, time-outs, undo, application-limited periods; HyStart++ (RFC 9406) and the
 * validation of cwnd (RFC 7661, 2861) by themselves. */
#include "core_support.h"

#include "tcp/tcp_cc.h"

#include <math.h>

#define MSS 1460u

static const struct tcp_cc_ops *const cubic = &cc_cubic;

/* After a loss at `w_max`: in congestion avoidance at 0.7 of it. */
static struct tcp_cc reduced(uint32_t w_max, uint32_t mss)
{
	struct tcp_cc c = {.ops = cubic};

	cubic->init(&c, mss, 10, false);
	c.cwnd = w_max;
	cubic->on_loss(&c, w_max, 0);
	return c;
}

static void ack(struct tcp_cc *c, uint32_t bytes, uint64_t now_ns, uint64_t rtt_ns)
{
	struct cc_ack a = {.acked_bytes = bytes,
		.flight_bytes = c->cwnd,
		.outstanding_bytes = c->cwnd,
		.now_ns = now_ns,
		.srtt_ns = rtt_ns,
		.rtt_ns = rtt_ns,
		.cwnd_limited = true};

	cubic->on_ack(c, &a);
}

/* [9438 4.2] C * t^3, bytes */
static long double curve(long double t_s, uint32_t mss)
{
	return 0.4L * t_s * t_s * t_s * mss;
}

/* C * t^3 from one microsecond to beyond every window, and its inverse. */
START_TEST (test_function) {
	static const uint32_t sizes[] = {48, 536, 1460, 8948, 65483};

	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		uint64_t last = 0;

		for (uint64_t t = 1; t <= 1000000000; t += t / 37 + 1) {
			uint64_t got = cubic_bytes(t, sizes[k]);

			UNIT_CHECK(fabsl((long double)got - curve(t / 1e6L, sizes[k])) <= 4.0L);
			UNIT_CHECK(got >= last);
			last = got;
		}
		for (uint64_t w = 1; w < CC_CWND_MAX; w += w / 11 + 1) {
			uint32_t root = cubic_root_us((uint32_t)w, sizes[k]);

			UNIT_CHECK(cubic_bytes(root, sizes[k]) <= w);
			UNIT_CHECK(cubic_bytes(root + 1u, sizes[k]) > w);
		}
	}
	ck_assert_uint_eq(cubic_root_us(UINT32_MAX, 1), 1000000000); /* never beyond */
}
END_TEST

/* The whole path of the window: W_cubic(t + RTT) is where it strives, over many (W_max, RTT). The
 * reference applies the RFC's equations ACK by ACK in long double. */
struct naive {
	long double cwnd, w_max, w_est, k, prior;
};

static void naive_ack(struct naive *n, long double t, long double rtt, uint32_t acked)
{
	long double alpha = n->w_est >= n->prior ? 1 : 3 * (1 - 0.7L) / (1 + 0.7L);
	long double d = t - n->k, now = 0.4L * d * d * d + n->w_max, target;
	long double segs = (long double)acked / MSS;

	n->w_est += alpha * segs / n->cwnd;
	if (now < n->w_est) {
		n->cwnd = fmaxl(n->cwnd, n->w_est);
		return;
	}
	d += rtt;
	target = 0.4L * d * d * d + n->w_max;
	target = fminl(fmaxl(target, n->cwnd), 1.5L * n->cwnd);
	n->cwnd += (target - n->cwnd) / n->cwnd * segs;
}

static void follow(uint32_t w_segs, uint64_t rtt_ns, unsigned rounds)
{
	struct tcp_cc c = reduced(w_segs * MSS, MSS);
	struct naive n = {.cwnd = (long double)c.cwnd / MSS, .w_max = w_segs, .prior = w_segs};
	uint64_t now = NS_PER_SEC, began = now;

	n.w_est = n.cwnd;
	n.k = cbrtl((n.w_max - n.cwnd) / 0.4L);
	for (unsigned r = 0; r < rounds; r++) {
		uint32_t acks = max_u32(c.cwnd / (2 * MSS), 1), each = 2 * MSS;

		if (acks > 64) { /* stretch ACKs: the equations are in bytes */
			each = c.cwnd / 64;
			acks = 64;
		}
		for (uint32_t i = 0; i < acks; i++) {
			now += rtt_ns / acks;
			if (r == 0 && i == 0)
				began = now;
			ack(&c, each, now, rtt_ns);
			naive_ack(&n, (long double)(now - began) / 1e9L, (long double)rtt_ns / 1e9L,
				each);
		}
		if (n.cwnd * MSS > CC_CWND_MAX)
			break;
		/* within one per thousand and a segment */
		ck_assert_msg(fabsl((long double)c.cwnd / MSS - n.cwnd) <= n.cwnd / 1000 + 1,
			"W_max %u RTT %llu round %u: %Lf, not %Lf", w_segs,
			(unsigned long long)rtt_ns, r, (long double)c.cwnd / MSS, n.cwnd);
	}
}

START_TEST (test_curve) {
	static const uint32_t w[] = {4, 10, 33, 100, 700, 5000, 40000, 260000};
	static const uint64_t rtt_us[] = {50, 1000, 8000, 40000, 100000, 300000};

	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		for (size_t k = 0; k < ARRAY_LEN(rtt_us); k++)
			follow(w[i], rtt_us[k] * NS_PER_US, 400);
}
END_TEST

/* [9438-2] [9438-1] K seconds after the loss the window is back at W_max. */
START_TEST (test_plateau) {
	struct tcp_cc c = reduced(10000 * MSS, MSS);
	uint64_t now = NS_PER_SEC;
	long double k = cbrtl(10000 * 0.3L / 0.4L);

	ack(&c, MSS, now, 50 * NS_PER_MS);
	ck_assert_uint_eq(c.cubic.w_max, 10000 * MSS);
	ck_assert(fabsl(c.cubic.k_us / 1e6L - k) < 1e-4L);
	while (now < NS_PER_SEC + (uint64_t)(k * 1e9L)) {
		now += NS_PER_MS;
		ack(&c, c.cwnd / 50, now, 50 * NS_PER_MS);
	}
	ck_assert_uint_ge(c.cwnd, 9990 * MSS);
	ck_assert_uint_le(c.cwnd, 10001 * MSS);
}
END_TEST

/* [9438-6, -11] ssthresh is 0.7 of FlightSize, two segments at least. */
START_TEST (test_reduction) {
	for (uint32_t flight = 0; flight < 1000000; flight += 7777) {
		struct tcp_cc c = {.ops = cubic};
		uint32_t want = max_u32((uint32_t)(flight * 7ull / 10), 2 * MSS);

		cubic->init(&c, MSS, 10, false);
		c.cwnd = 1000000;
		cubic->on_loss(&c, flight, 0);
		ck_assert_uint_eq(c.ssthresh, want);
		ck_assert_uint_eq(c.cwnd, want);
		cubic->init(&c, MSS, 10, false);
		cubic->on_ecn(&c, flight, 0);
		ck_assert_uint_eq(c.cwnd, want);
		cubic->on_undo(&c); /* a mark stands */
		ck_assert_uint_eq(c.cwnd, want);
	}
}
END_TEST

/* [9438-7] below the last W_max: 0.85 of cwnd, else cwnd itself */
START_TEST (test_fast_convergence) {
	struct tcp_cc c = reduced(100 * MSS, MSS);

	c.cwnd = 80 * MSS;
	cubic->on_loss(&c, 80 * MSS, 0);
	ck_assert_uint_eq(c.cubic.w_max, 68 * MSS);
	c.cwnd = 90 * MSS;
	cubic->on_loss(&c, 90 * MSS, 0);
	ck_assert_uint_eq(c.cubic.w_max, 90 * MSS);
}
END_TEST

/* [9438-8] cwnd one segment, ssthresh by beta, and the next stage begins with K = 0. */
START_TEST (test_timeout) {
	struct tcp_cc c = reduced(100 * MSS, MSS);
	uint64_t now = NS_PER_SEC;

	cubic->on_timeout(&c, 60 * MSS, true, now);
	ck_assert_uint_eq(c.cwnd, MSS);
	ck_assert_uint_eq(c.ssthresh, 42 * MSS);
	cubic->on_timeout(&c, MSS, false, now); /* the same again */
	ck_assert_uint_eq(c.ssthresh, 42 * MSS);
	while (c.cwnd < c.ssthresh)
		ack(&c, MSS, now += NS_PER_MS, 10 * NS_PER_MS);
	ack(&c, MSS, now += NS_PER_MS, 10 * NS_PER_MS);
	ck_assert_uint_eq(c.cubic.k_us, 0);
	ck_assert_uint_ge(c.cubic.w_max, 42 * MSS);
	ck_assert_uint_le(c.cubic.w_max, 43 * MSS);
}
END_TEST

/* [9438-9] after a spurious loss everything goes on as if nothing had happened. */
START_TEST (test_undo) {
	struct tcp_cc c = reduced(1000 * MSS, MSS), d;
	uint64_t now = NS_PER_SEC;

	for (int i = 0; i < 4000; i++)
		ack(&c, 10 * MSS, now += NS_PER_MS, 100 * NS_PER_MS);
	d = c;
	if (_i)
		cubic->on_timeout(&c, c.cwnd, true, now);
	else
		cubic->on_loss(&c, c.cwnd, now);
	ck_assert_uint_lt(c.cwnd, d.cwnd);
	cubic->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, d.cwnd);
	ck_assert_uint_eq(c.ssthresh, d.ssthresh);
	ck_assert_uint_eq(c.cubic.w_max, d.cubic.w_max);
	for (int i = 0; i < 4000; i++) {
		now += NS_PER_MS;
		ack(&c, 10 * MSS, now, 100 * NS_PER_MS);
		ack(&d, 10 * MSS, now, 100 * NS_PER_MS);
		ck_assert_msg(c.cwnd < d.cwnd + d.cwnd / 200 && d.cwnd < c.cwnd + c.cwnd / 200,
			"%d: %u and %u", i, c.cwnd, d.cwnd);
	}
	/* once, and in the first slow start too */
	c = (struct tcp_cc){.ops = cubic};
	cubic->init(&c, MSS, 10, false);
	cubic->on_loss(&c, 10 * MSS, 0);
	cubic->on_undo(&c);
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
	ck_assert_uint_eq(c.cwnd, 10 * MSS);
	cubic->on_undo(&c);
	ck_assert_uint_eq(c.cwnd, 10 * MSS);
}
END_TEST

/* [9438-4] ten minutes in which the application was the limit are no time on the curve. */
START_TEST (test_app_limited) {
	struct tcp_cc c = reduced(1000 * MSS, MSS), d;
	uint64_t now = NS_PER_SEC, later;

	for (int i = 0; i < 1000; i++)
		ack(&c, 10 * MSS, now += NS_PER_MS, 100 * NS_PER_MS);
	d = c;
	later = now;
	for (int i = 0; i < 600; i++) {
		struct cc_ack a = {.acked_bytes = MSS,
			.now_ns = later += NS_PER_SEC,
			.srtt_ns = 100 * NS_PER_MS};

		cubic->on_ack(&d, &a);
		ck_assert_uint_eq(d.cwnd, c.cwnd);
	}
	for (int i = 0; i < 2000; i++) {
		ack(&c, 10 * MSS, now += NS_PER_MS, 100 * NS_PER_MS);
		ack(&d, 10 * MSS, later += NS_PER_MS, 100 * NS_PER_MS);
		ck_assert_msg(c.cwnd < d.cwnd + d.cwnd / 200 && d.cwnd < c.cwnd + c.cwnd / 200,
			"%d: %u and %u", i, c.cwnd, d.cwnd);
	}
}
END_TEST

/* [9438-4] A pause stops a clock that runs, starts none that stands, and is nothing to the first
 * slow start. */
START_TEST (test_pause) {
	struct tcp_cc c = reduced(200 * MSS, MSS), first = {.ops = cubic};
	const struct cc_hystart h = {1, 2, 3, 4, 5, 2};

	ack(&c, 10 * MSS, 5 * NS_PER_SEC, 100 * NS_PER_MS);
	cubic->on_pause(&c, 3605 * NS_PER_SEC);
	ack(&c, 10 * MSS, 3606 * NS_PER_SEC, 100 * NS_PER_MS);
	ck_assert_uint_eq(c.cubic.t_ns, NS_PER_SEC);
	c.cubic.last_ns = 0;
	cubic->on_pause(&c, 7200 * NS_PER_SEC);
	ck_assert_uint_eq(c.cubic.last_ns, 0);
	cubic->init(&first, MSS, 10, false);
	first.hystart = h;
	cubic->on_pause(&first, 5);
	ck_assert_mem_eq(&first.hystart, &h, offsetof(struct cc_hystart, css_rounds) + 1);
}
END_TEST

/* 10 Gbit/s times 300 ms and more, any segment size, ACKs of any size and pace: nothing overflows,
 * no ACK takes away, one ACK of a window gives half of it at most. */
START_TEST (test_random) {
	struct tcp_cc c = {.ops = cubic};
	struct unit_rng r;
	uint64_t now = 1;

	unit_rng_start(&r, _i);
	cubic->init(&c, MSS, 10, false);
	c.flags = _i & 1 ? CC_HYSTART : CC_HYSTART | CC_PACED;
	for (int i = 0; i < 30000; i++) {
		uint32_t before = c.cwnd, flight = unit_below(&r, 3) ? c.cwnd : 1u << 30;

		now += unit_below(&r, 5) ? unit_below(&r, 1000000) : unit_below(&r, 1u << 31);
		switch (unit_below(&r, 200)) {
		case 0: cubic->on_loss(&c, flight, now); break;
		case 1: cubic->on_timeout(&c, flight, unit_below(&r, 2), now); break;
		case 2: cubic->on_undo(&c); break;
		case 3: cubic->on_ecn(&c, flight, now); break;
		case 4: cubic->on_idle(&c, 10); break;
		case 5: cubic->on_mss(&c, 48 + unit_below(&r, 65000)); break;
		case 6: cubic->on_pause(&c, now); break;
		case 7: c.cwnd = CC_CWND_MAX - unit_below(&r, 1000); break;
		default: {
			bool avoid = c.cwnd >= c.ssthresh;
			uint32_t n = 1 + unit_below(&r, 1u << unit_below(&r, 31));

			ack(&c, n, now, (uint64_t)unit_below(&r, 300000) * NS_PER_US);
			UNIT_CHECK(c.cwnd >= before);
			UNIT_CHECK(
				!avoid || n > before || c.cwnd - before <= before / 2 + n + c.mss);
			break;
		}
		}
		UNIT_CHECK(c.cwnd >= 48 && c.cwnd <= CC_CWND_MAX);
		UNIT_CHECK(c.ssthresh >= 96);
	}
}
END_TEST

/* ---- HyStart++ ---- */

/* So many ACKs of a segment each at a delay, of a round of 20 or the rest of it. */
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

static struct tcp_cc starting(const struct tcp_cc_ops *ops, uint8_t flags)
{
	struct tcp_cc c = {.ops = ops, .flags = flags};

	ops->init(&c, MSS, 10, false);
	round_of(&c, 20, 40 * NS_PER_MS);
	round_of(&c, 20, 40 * NS_PER_MS);
	return c;
}

/* [9406 4.2] the delay rises by an eighth: a quarter of the growth for 5 rounds, then avoidance */
START_TEST (test_hystart) {
	struct tcp_cc c = starting(_i ? &cc_newreno : cubic, CC_HYSTART);
	uint32_t before;

	round_of(&c, 20, 44 * NS_PER_MS); /* not quite */
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	round_of(&c, 20, 55 * NS_PER_MS);
	ck_assert_uint_ne(c.hystart.css_min_us, 0);
	for (int i = 0; i < 4; i++) {
		before = c.cwnd;
		ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
		round_of(&c, 20, 55 * NS_PER_MS);
		ck_assert_uint_eq(c.cwnd, before + 20 * (MSS / 4));
	}
	ck_assert_uint_eq(c.ssthresh, c.cwnd);
}
END_TEST

/* [9406 4.2] it comes down again: jitter. Slow start goes on. */
START_TEST (test_hystart_resumes) {
	struct tcp_cc c = starting(cubic, CC_HYSTART);
	uint32_t before;

	round_of(&c, 20, 55 * NS_PER_MS);
	ck_assert_uint_ne(c.hystart.css_min_us, 0);
	round_of(&c, 20, 41 * NS_PER_MS);
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	before = c.cwnd;
	round_of(&c, 20, 41 * NS_PER_MS);
	ck_assert_uint_eq(c.cwnd, before + 20 * MSS);
	ck_assert_uint_eq(c.ssthresh, CC_SSTHRESH_NONE);
}
END_TEST

/* [9406 4.2] thresholds of 4 to 16 ms; eight samples; the switch; only the first slow start */
START_TEST (test_hystart_limits) {
	struct tcp_cc c = starting(cubic, 0);

	round_of(&c, 20, 400 * NS_PER_MS);
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	c = starting(cubic, CC_HYSTART);
	round_of(&c, 7, 400 * NS_PER_MS);
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	round_of(&c, 1, 400 * NS_PER_MS);
	ck_assert_uint_ne(c.hystart.css_min_us, 0);
	c = (struct tcp_cc){.ops = cubic, .flags = CC_HYSTART};
	cubic->init(&c, MSS, 10, false);
	round_of(&c, 20, NS_PER_MS);
	round_of(&c, 20, NS_PER_MS);
	round_of(&c, 20, 4 * NS_PER_MS); /* four times the delay, but not by 4 ms */
	ck_assert_uint_eq(c.hystart.css_min_us, 0);
	cubic->init(&c, MSS, 10, false);
	round_of(&c, 20, 400 * NS_PER_MS);
	round_of(&c, 20, 400 * NS_PER_MS);
	round_of(&c, 20, 417 * NS_PER_MS); /* by 17 ms, though less than an eighth */
	ck_assert_uint_ne(c.hystart.css_min_us, 0);
	c = starting(cubic, CC_HYSTART);
	cubic->on_timeout(&c, c.cwnd, true, 0);
	round_of(&c, 10, 40 * NS_PER_MS);
	round_of(&c, 10, 400 * NS_PER_MS);
	ck_assert_uint_ne(c.ssthresh, CC_SSTHRESH_NONE);
	ck_assert_uint_eq(c.cwnd, min_u32(21 * MSS, c.ssthresh));
}
END_TEST

/* One ACK opens eight segments or a large frame at most, unless segments are paced. */
START_TEST (test_stretch_ack) {
	struct tcp_cc c = {.ops = cubic};

	cubic->init(&c, MSS, 10, false);
	ack(&c, 65000, 1, NS_PER_MS);
	ck_assert_uint_eq(c.cwnd, 10 * MSS + 65000);
	ack(&c, 200000, 2, NS_PER_MS);
	ck_assert_uint_eq(c.cwnd, 10 * MSS + 65000 + 65535);
	cubic->init(&c, 9000, 10, false);
	ack(&c, 200000, 3, NS_PER_MS);
	ck_assert_uint_eq(c.cwnd, 18000 + 72000);
	c.flags = CC_PACED;
	ack(&c, 200000, 4, NS_PER_MS);
	ck_assert_uint_eq(c.cwnd, 18000 + 72000 + 200000);
}
END_TEST

/* ---- Validation ---- */

START_TEST (test_pipe_ack) {
	struct tcp_cc c = reduced(100 * MSS, MSS);
	uint64_t now = NS_PER_SEC, rtt = 10 * NS_PER_MS;

	ck_assert_uint_eq(cwv_pipe_ack(&c), UINT32_MAX); /* [7661 4.2] undefined at first */
	ck_assert(cwv_validated(&c));
	cwv_sample(&c, 40 * MSS, rtt, now);
	ck_assert_uint_eq(cwv_pipe_ack(&c), 40 * MSS);
	ck_assert(cwv_validated(&c));
	cwv_sample(&c, 10 * MSS, rtt, now + 400 * NS_PER_MS); /* the maximum stands ... */
	ck_assert_uint_eq(cwv_pipe_ack(&c), 40 * MSS);
	cwv_sample(&c, 10 * MSS, rtt, now + 700 * NS_PER_MS);
	ck_assert_uint_eq(cwv_pipe_ack(&c), 40 * MSS);
	cwv_sample(&c, 10 * MSS, rtt, now + 1300 * NS_PER_MS); /* ... for a second */
	ck_assert_uint_eq(cwv_pipe_ack(&c), 10 * MSS);
	ck_assert(!cwv_validated(&c));
}
END_TEST

START_TEST (test_nvp) {
	struct tcp_cc c = reduced(100 * MSS, MSS);
	uint64_t now = NS_PER_SEC;

	c.ssthresh = 20 * MSS;
	cwv_before_send(&c, 10, now + 3600 * NS_PER_SEC); /* undefined: nothing to judge by */
	ck_assert_uint_eq(c.cwnd, 70 * MSS);
	cwv_sample(&c, 60 * MSS, NS_PER_MS, now);
	cwv_before_send(&c, 10, now + 299 * NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, 70 * MSS);
	cwv_before_send(&c, 10, now + 300 * NS_PER_SEC); /* [7661 4.4.3] */
	ck_assert_uint_eq(c.cwnd, 35 * MSS);
	ck_assert_uint_eq(c.ssthresh, 70 * MSS - 70 * MSS / 4);
	cwv_before_send(&c, 10, now + 301 * NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, 35 * MSS);
	for (unsigned i = 2; i < 9; i++)
		cwv_before_send(&c, 10, now + i * 300 * NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, 10 * MSS); /* IW, not less */
}
END_TEST

START_TEST (test_cwv_loss) {
	struct tcp_cc c = reduced(100 * MSS, MSS);

	cwv_sample(&c, 10 * MSS, NS_PER_MS, NS_PER_SEC);
	ck_assert(!cwv_validated(&c));
	cubic->on_loss(&c, 16 * MSS, 0);
	cwv_on_loss(&c, false, 16 * MSS); /* [7661 4.4.2] half of the more of both */
	ck_assert_uint_eq(c.cwnd, 8 * MSS);
	ck_assert_uint_eq(cwv_pipe_ack(&c), UINT32_MAX);
	c = reduced(100 * MSS, MSS);
	cwv_on_loss(&c, true, 70 * MSS); /* validated: as without */
	ck_assert_uint_eq(c.cwnd, 70 * MSS);
}
END_TEST

START_TEST (test_decay) {
	struct tcp_cc c = reduced(1000 * MSS, MSS);

	cwv_decay(&c, 10, NS_PER_SEC, NS_PER_SEC); /* not longer than one RTO */
	ck_assert_uint_eq(c.cwnd, 700 * MSS);
	cwv_decay(&c, 10, 2 * NS_PER_SEC + 1, NS_PER_SEC);
	ck_assert_uint_eq(c.cwnd, 175 * MSS);
	ck_assert_uint_eq(c.ssthresh, 700 * MSS);
	cwv_decay(&c, 10, NEVER_NS, 1);
	ck_assert_uint_eq(c.cwnd, 10 * MSS);
}
END_TEST

START_TEST (test_names) {
	for (unsigned i = 0; i < TG_CC_COUNT; i++)
		ck_assert_str_eq(cc_algorithm(i)->name, tg_cc_name(i));
	ck_assert_ptr_null(cc_algorithm(TG_CC_COUNT));
	ck_assert_ptr_null(tg_cc_name(TG_CC_COUNT));
}
END_TEST

static Suite *tcp_cubic_suite(void)
{
	Suite *suite = suite_create("tcp cubic");
	TCase *t = tcase_create("cubic"), *h = tcase_create("hystart"), *v = tcase_create("cwv");

	tcase_add_test(t, test_function);
	tcase_add_test(t, test_curve);
	tcase_add_test(t, test_plateau);
	tcase_add_test(t, test_reduction);
	tcase_add_test(t, test_fast_convergence);
	tcase_add_test(t, test_timeout);
	tcase_add_loop_test(t, test_undo, 0, 2);
	tcase_add_test(t, test_app_limited);
	tcase_add_test(t, test_pause);
	tcase_add_loop_test(t, test_random, 0, 8);
	tcase_add_test(t, test_names);
	tcase_add_loop_test(h, test_hystart, 0, 2);
	tcase_add_test(h, test_hystart_resumes);
	tcase_add_test(h, test_hystart_limits);
	tcase_add_test(h, test_stretch_ack);
	tcase_add_test(v, test_pipe_ack);
	tcase_add_test(v, test_nvp);
	tcase_add_test(v, test_cwv_loss);
	tcase_add_test(v, test_decay);
	suite_add_tcase(suite, t);
	suite_add_tcase(suite, h);
	suite_add_tcase(suite, v);
	return suite;
}

UNIT_MAIN(tcp_cubic_suite)
