/* Is the congestion window still worth what it says? RFC 7661: pipeACK, the validated phase and the
 * other one, its end after five minutes, the response to a loss in it. RFC 2861 3.1: decay of an
 * idle window. Left out of RFC 7661: jump-start experiments and the sampling variants of 4.5.
 *
 * A sample of pipeACK is what was acknowledged between the sending of a segment and its ACK, which
 * the range records know anyway. Its maximum is kept over two spans of half a sampling period. */
#include "tcp/tcp_cc.h"

#define NVP_MS       (5 * 60 * 1000u) /* [7661 4.4.3] non-validated period */
#define PERIOD_MS    1000u            /* [7661 4.2] at least a second ... */
#define PERIOD_ROUND 3u               /* ... or three round trips */

static uint32_t ms_of(uint64_t now_ns)
{
	return (uint32_t)(now_ns / NS_PER_MS);
}

static void shift_spans(struct cc_usage *u, uint32_t half_ms, uint32_t now_ms)
{
	uint32_t age_ms = now_ms - u->span_ms;

	if (age_ms < half_ms)
		return;
	u->before_bytes = age_ms < 2 * half_ms ? u->now_bytes : 0;
	u->now_bytes = 0;
	u->span_ms = now_ms;
}

void cwv_sample(struct tcp_cc *c, uint32_t bytes, uint64_t srtt_ns, uint64_t now_ns)
{
	uint64_t period_ms = max_u64(PERIOD_ROUND * srtt_ns / NS_PER_MS, PERIOD_MS);
	uint32_t now_ms = ms_of(now_ns);
	struct cc_usage *u = &c->usage;

	if (!(c->flags & CC_USAGE)) {
		*u = (struct cc_usage){.span_ms = now_ms, .valid_ms = now_ms};
		c->flags |= CC_USAGE;
	}
	shift_spans(u, (uint32_t)min_u64(period_ms / 2, NVP_MS), now_ms);
	u->now_bytes = max_u32(u->now_bytes, bytes);
	if (cwv_validated(c))
		u->valid_ms = now_ms;
}

uint32_t cwv_pipe_ack(const struct tcp_cc *c)
{
	if (!(c->flags & CC_USAGE))
		return UINT32_MAX;
	return max_u32(c->usage.now_bytes, c->usage.before_bytes);
}

bool cwv_validated(const struct tcp_cc *c)
{
	return cwv_pipe_ack(c) >= c->cwnd / 2; /* [7661 4.3] */
}

void cwv_before_send(struct tcp_cc *c, uint32_t iw_segs, uint64_t now_ns)
{
	uint32_t now_ms = ms_of(now_ns);

	if (!(c->flags & CC_USAGE) || now_ms - c->usage.valid_ms < NVP_MS)
		return;
	/* [7661 4.4.3] */
	c->ssthresh = max_u32(c->ssthresh, c->cwnd - c->cwnd / 4);
	c->cwnd = max_u32(c->cwnd / 2, min_u32(c->cwnd, cc_initial_window(c->mss, iw_segs)));
	c->usage.valid_ms = now_ms;
}

void cwv_on_loss(struct tcp_cc *c, bool validated, uint32_t flight_bytes)
{
	uint32_t used = max_u32(cwv_pipe_ack(c), flight_bytes);

	c->flags &= (uint8_t)~CC_USAGE; /* [7661 4.3] after recovery pipeACK is measured anew */
	if (!validated)                 /* [7661 4.4.2] */
		c->cwnd = min_u32(c->cwnd, max_u32(used / 2, c->mss));
}

void cwv_decay(struct tcp_cc *c, uint32_t iw_segs, uint64_t idle_ns, uint64_t rto_ns)
{
	uint32_t least = min_u32(c->cwnd, cc_initial_window(c->mss, iw_segs));

	c->ssthresh = max_u32(c->ssthresh, c->cwnd - c->cwnd / 4);
	for (; idle_ns > rto_ns && c->cwnd > least; idle_ns -= rto_ns)
		c->cwnd = max_u32(c->cwnd / 2, least);
}
