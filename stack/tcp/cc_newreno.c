/* NewReno: slow start and congestion avoidance with appropriate byte counting (RFC 5681 3.1,
 * RFC 3465 2.1), multiplicative decrease (RFC 5681 3.2, RFC 6582), initial window (RFC 6928),
 * taking back what was needless (RFC 5682 3, RFC 4015 3). */
#include "tcp/tcp_cc.h"

uint32_t cc_initial_window(uint32_t mss, uint32_t iw_segs)
{
	/* [6928 2] min(10 * MSS, max(2 * MSS, 14600)), scaled with the number of segments chosen.
	 */
	return min_u32(iw_segs * mss, max_u32(2 * mss, iw_segs * 1460));
}

static void newreno_init(struct tcp_cc *c, uint32_t mss, uint32_t iw_segs, bool syn_lost)
{
	c->mss = mss;
	c->acked = 0;
	cc_forget(c);
	c->ssthresh = CC_SSTHRESH_NONE;
	memset(&c->cubic, 0, sizeof(c->cubic));
	/* [6928 2] one segment after the SYN was lost more than once */
	c->cwnd = syn_lost ? mss : cc_initial_window(mss, iw_segs);
}

static uint32_t half_flight(const struct tcp_cc *c, uint32_t flight_bytes)
{
	/* [5681-6] max(FlightSize / 2, 2 * SMSS) */
	return max_u32(flight_bytes / 2, 2 * c->mss);
}

static void newreno_on_ack(struct tcp_cc *c, const struct cc_ack *a)
{
	if (!a->cwnd_limited)
		return; /* [7661 4.1] growth only while cwnd is what limits */
	/* what exceeds ssthresh counts for congestion avoidance */
	c->acked += c->cwnd < c->ssthresh ? cc_slow_start(c, a) : a->acked_bytes;
	/* [5681-5] one SMSS per cwnd of acknowledged bytes */
	if (c->acked >= c->cwnd) {
		c->acked -= c->cwnd;
		cc_grow(c, c->mss);
	}
}

static void newreno_on_loss(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns)
{
	(void)now_ns;
	cc_remember(c);
	c->ssthresh = half_flight(c, flight_bytes); /* [5681-15] each time anew */
	c->cwnd = c->ssthresh;
	c->acked = 0;
}

static void newreno_on_ecn(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns)
{
	/* [3168 6.1.2] as if a packet had been dropped; the mark is no guess, so there is nothing
	 * to take back */
	newreno_on_loss(c, flight_bytes, now_ns);
	cc_forget(c);
}

static void newreno_on_recovered(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns)
{
	(void)now_ns;
	/* [5681-12, 6582 3.2 (3)] min(ssthresh, max(FlightSize, SMSS) + SMSS): no burst after
	 * recovery */
	c->cwnd = min_u32(c->ssthresh, max_u32(flight_bytes, c->mss) + c->mss);
	c->acked = 0;
}

static void newreno_on_timeout(struct tcp_cc *c, uint32_t flight_bytes, bool first, uint64_t now_ns)
{
	(void)now_ns;
	/* [5681-6] ssthresh is kept when the same segment times out again */
	if (first) {
		cc_remember(c);
		c->ssthresh = half_flight(c, flight_bytes);
	}
	c->cwnd = c->mss; /* [5681-7] */
	c->acked = 0;
}

static void newreno_on_undo(struct tcp_cc *c)
{
	/* [5682 3.1, 4015 3] */
	c->cwnd = max_u32(c->cwnd, c->prior_cwnd);
	c->ssthresh = max_u32(c->ssthresh, c->prior_ssthresh);
	c->hystart = (struct cc_hystart){0}; /* if slow start goes on, it is measured anew */
	cc_forget(c);
}

static void newreno_on_idle(struct tcp_cc *c, uint32_t iw_segs)
{
	/* [5681-13] RW = min(IW, cwnd) */
	c->cwnd = min_u32(c->cwnd, cc_initial_window(c->mss, iw_segs));
	c->acked = 0;
}

static void newreno_on_mss(struct tcp_cc *c, uint32_t mss)
{
	c->cwnd = max_u32(cc_rescale(c->cwnd, c->mss, mss), mss);
	c->prior_cwnd = cc_rescale(c->prior_cwnd, c->mss, mss);
	c->mss = mss;
}

const struct tcp_cc_ops *cc_algorithm(unsigned which)
{
	switch (which) {
	case TG_CC_CUBIC: return &cc_cubic;
	case TG_CC_RENO: return &cc_newreno;
	default: break;
	}
	return NULL;
}

const struct tcp_cc_ops cc_newreno = {
	.name = "reno",
	.init = newreno_init,
	.on_ack = newreno_on_ack,
	.on_loss = newreno_on_loss,
	.on_recovered = newreno_on_recovered,
	.on_timeout = newreno_on_timeout,
	.on_undo = newreno_on_undo,
	.on_ecn = newreno_on_ecn,
	.on_idle = newreno_on_idle,
	.on_mss = newreno_on_mss,
};
