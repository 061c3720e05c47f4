/* CUBIC (RFC 9438) in integers: the window as a cubic function of the time since the last
 * reduction, the Reno-friendly region, fast convergence, time-outs, spurious events, time that does
 * not count because the application was the limit. Slow start is cc_hystart.c's.
 *
 * Two things are kept otherwise than the RFC writes them, to the same effect. What on_undo has to
 * restore (4.9) is W_max alone: the stage then begins anew at the restored cwnd, and by 4.2 the K
 * computed for that cwnd puts it on the same place of the same curve, W_cubic(0) = cwnd_epoch. And
 * t is summed up from ACK to ACK while cwnd limits, instead of being the distance to t_epoch: what
 * the application did not use never gets in (4.2). */
#include "tcp/tcp_cc.h"

#define BETA_NUM   7u /* [9438-1] beta_cubic 0.7 */
#define BETA_DEN   10u
#define C_NUM      2u /* [9438-1] C = 0.4 segments / s^3 */
#define C_DEN      5u
#define ALPHA_NUM  9u /* [9438-5] 3 * (1 - beta) / (1 + beta) = 9/17 */
#define ALPHA_DEN  17u
#define FAST_NUM   17u /* [9438-7] (1 + beta) / 2 = 17/20 */
#define FAST_DEN   20u
#define T_MAX_US   1000000000ull /* by then W_cubic is beyond every window */
#define EST_MAX    0x7fffffffu
#define US_PER_SEC 1000000ull

/* ---- The cubic function ---- */

uint64_t cubic_bytes(uint64_t t_us, uint32_t mss)
{
	uint64_t t = min_u64(t_us, T_MAX_US), s = t / US_PER_SEC, f = t % US_PER_SEC;
	uint64_t m = (uint64_t)mss * C_NUM, sum;

	/* (s + f)^3, f the fraction of a second: each term fits 64 bits by itself */
	sum = m * s * s * s / C_DEN;
	sum += m * 3 * s * s * f / (C_DEN * US_PER_SEC);
	sum += m * 3 * s * (f * f / 1000) / (C_DEN * US_PER_SEC * 1000);
	sum += m * (f * f * f / US_PER_SEC) / (C_DEN * US_PER_SEC * US_PER_SEC);
	return sum;
}

uint32_t cubic_root_us(uint32_t bytes, uint32_t mss)
{
	uint32_t low = 0, high = (uint32_t)T_MAX_US;

	while (low < high) {
		uint32_t mid = low + (high - low + 1) / 2;

		if (cubic_bytes(mid, mss) <= bytes)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* [9438 4.2] W_cubic(t) = C * (t - K)^3 + W_max */
static uint64_t w_cubic(const struct tcp_cc *c, uint64_t t_us)
{
	const struct cc_cubic *q = &c->cubic;
	uint64_t below;

	if (t_us >= q->k_us)
		return q->w_max + cubic_bytes(t_us - q->k_us, c->mss);
	below = cubic_bytes(q->k_us - t_us, c->mss);
	return q->w_max > below ? q->w_max - below : 0;
}

/* ---- Congestion avoidance ---- */

static void begin_epoch(struct tcp_cc *c)
{
	struct cc_cubic *q = &c->cubic;

	q->epoch = 1;
	q->t_ns = 0;
	q->last_ns = 0;
	q->w_est = c->cwnd; /* [9438 4.3] W_est = cwnd_epoch */
	q->est_left = 0;
	c->acked = 0;
	if (c->cwnd < q->w_max) {
		q->k_us = cubic_root_us(q->w_max - c->cwnd, c->mss); /* [9438-2] */
	} else {
		/* [9438-8, 9438 4.10] after a timeout, or slow start that ended by itself */
		q->k_us = 0;
		q->w_max = c->cwnd;
	}
}

/* [9438-5] W_est += alpha * acked / cwnd, in segments */
static void grow_estimate(struct tcp_cc *c, uint32_t acked)
{
	struct cc_cubic *q = &c->cubic;
	/* [9438 4.3] alpha is 1 once what Reno would have had is reached */
	bool full = q->w_est >= q->cwnd_max;
	uint64_t window = full ? c->cwnd : (uint64_t)c->cwnd * ALPHA_DEN / ALPHA_NUM;
	uint64_t left = min_u64((uint64_t)q->est_left + acked, EST_MAX);
	uint64_t add = left * c->mss / window;

	/* each byte of W_est is paid for by window / mss of what was acknowledged */
	left -= min_u64(left, add * window / c->mss);
	q->est_left = (uint32_t)left & EST_MAX;
	q->w_est = (uint32_t)min_u64(q->w_est + add, CC_CWND_MAX);
}

/* [9438-2, -3] target = W_cubic(t + RTT), within [cwnd, 1.5 * cwnd]; (target - cwnd) / cwnd for
 * each segment acknowledged */
static void grow_to_target(struct tcp_cc *c, uint32_t acked, uint64_t srtt_ns)
{
	uint64_t target = w_cubic(c, (c->cubic.t_ns + srtt_ns) / NS_PER_US);
	uint64_t most = c->cwnd + (uint64_t)c->cwnd / 2, credit;

	target = min_u64(max_u64(target, c->cwnd), most);
	credit = c->acked + (target - c->cwnd) * min_u32(acked, c->cwnd);
	c->acked = (uint32_t)(credit % c->cwnd);
	cc_grow(c, (uint32_t)(credit / c->cwnd));
}

static void avoid_congestion(struct tcp_cc *c, uint32_t acked, const struct cc_ack *a)
{
	struct cc_cubic *q = &c->cubic;

	if (!q->epoch)
		begin_epoch(c);
	if (q->last_ns && a->now_ns > q->last_ns)
		q->t_ns += a->now_ns - q->last_ns;
	q->last_ns = max_u64(a->now_ns, 1);
	grow_estimate(c, acked);
	if (w_cubic(c, q->t_ns / NS_PER_US) < q->w_est)
		c->cwnd = max_u32(c->cwnd, q->w_est); /* [9438-5] the Reno-friendly region */
	else
		grow_to_target(c, acked, a->srtt_ns);
}

static void cubic_on_ack(struct tcp_cc *c, const struct cc_ack *a)
{
	uint32_t acked = a->acked_bytes;

	if (!a->cwnd_limited) { /* [9438-4] time that the application left unused is no time */
		if (c->ssthresh != CC_SSTHRESH_NONE)
			c->cubic.last_ns = 0;
		return;
	}
	if (c->cwnd < c->ssthresh)
		acked = cc_slow_start(c, a);
	if (acked && c->cwnd >= c->ssthresh)
		avoid_congestion(c, acked, a);
}

/* ---- Reductions ---- */

/* [9438-6, -7] ssthresh and W_max; what was before is remembered */
static void reduce(struct tcp_cc *c, uint32_t flight_bytes)
{
	struct cc_cubic *q = &c->cubic;
	uint32_t part = (uint32_t)((uint64_t)flight_bytes * BETA_NUM / BETA_DEN);

	cc_remember(c);
	if (c->ssthresh == CC_SSTHRESH_NONE)
		*q = (struct cc_cubic){0};
	q->w_before = q->w_max;
	q->cwnd_max = c->cwnd;
	/* [9438-7] another flow wants room: leave it some */
	q->w_max =
		c->cwnd < q->w_max ? (uint32_t)((uint64_t)c->cwnd * FAST_NUM / FAST_DEN) : c->cwnd;
	q->epoch = 0;
	c->ssthresh = max_u32(part, 2 * c->mss); /* [9438-6] from FlightSize */
}

static void cubic_on_loss(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns)
{
	(void)now_ns;
	reduce(c, flight_bytes);
	c->cwnd = c->ssthresh;
}

static void cubic_on_ecn(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns)
{
	(void)now_ns;
	/* [9438-11] as a loss; a mark is no guess, so there is nothing to take back */
	reduce(c, flight_bytes);
	c->cwnd = c->ssthresh;
	cc_forget(c);
}

static void cubic_on_timeout(struct tcp_cc *c, uint32_t flight_bytes, bool first, uint64_t now_ns)
{
	(void)now_ns;
	if (first) /* [9438-8] ssthresh by beta; kept when the same data time out again */
		reduce(c, flight_bytes);
	if (c->ssthresh != CC_SSTHRESH_NONE) {
		c->cubic.w_max = 0; /* [9438-8] the stage after it begins with K = 0 */
		c->cubic.epoch = 0;
	}
	c->cwnd = c->mss; /* [5681-7] */
}

static void cubic_on_undo(struct tcp_cc *c)
{
	if (!c->prior_cwnd)
		return;
	/* [9438-9, 5682 3.1] the curve as it was, from where it had got */
	c->cwnd = max_u32(c->cwnd, c->prior_cwnd);
	c->ssthresh = max_u32(c->ssthresh, c->prior_ssthresh);
	if (c->ssthresh == CC_SSTHRESH_NONE) {
		c->hystart = (struct cc_hystart){0};
	} else {
		c->cubic.w_max = max_u32(c->cubic.w_max, c->cubic.w_before);
		c->cubic.epoch = 0;
	}
	cc_forget(c);
}

/* ---- The rest ---- */

static void cubic_on_pause(struct tcp_cc *c, uint64_t now_ns)
{
	/* [9438-4] nobody used it, also where windows before and after it are used in full */
	if (c->ssthresh != CC_SSTHRESH_NONE && c->cubic.last_ns)
		c->cubic.last_ns = now_ns;
}

static void cubic_on_idle(struct tcp_cc *c, uint32_t iw_segs)
{
	cc_newreno.on_idle(c, iw_segs);
	if (c->ssthresh == CC_SSTHRESH_NONE)
		c->hystart = (struct cc_hystart){0}; /* [9406 4.3] MAY: rounds begin anew */
	else
		c->cubic.epoch = 0;
}

static void cubic_on_mss(struct tcp_cc *c, uint32_t mss)
{
	struct cc_cubic *q = &c->cubic;

	if (c->ssthresh != CC_SSTHRESH_NONE) { /* K and t are times: the curve stays */
		q->w_max = cc_rescale(q->w_max, c->mss, mss);
		q->w_before = cc_rescale(q->w_before, c->mss, mss);
		q->cwnd_max = cc_rescale(q->cwnd_max, c->mss, mss);
		q->epoch = 0;
	}
	cc_newreno.on_mss(c, mss);
}

static void cubic_init(struct tcp_cc *c, uint32_t mss, uint32_t iw_segs, bool syn_lost)
{
	cc_newreno.init(c, mss, iw_segs, syn_lost);
}

static void cubic_on_recovered(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns)
{
	cc_newreno.on_recovered(c, flight_bytes, now_ns); /* [6582 3.2 (3)] no burst */
}

const struct tcp_cc_ops cc_cubic = {
	.name = "cubic",
	.init = cubic_init,
	.on_ack = cubic_on_ack,
	.on_loss = cubic_on_loss,
	.on_recovered = cubic_on_recovered,
	.on_timeout = cubic_on_timeout,
	.on_undo = cubic_on_undo,
	.on_ecn = cubic_on_ecn,
	.on_pause = cubic_on_pause,
	.on_idle = cubic_on_idle,
	.on_mss = cubic_on_mss,
};
