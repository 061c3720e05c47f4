/* Pacing: segments leave at a rate instead of in one burst for each ACK. The rate is the window's
 * over the smoothed round trip, twice that in slow start and 1.2 times in congestion avoidance, as
 * Linux sets it, so that pacing alone never holds the window back; SO_MAX_PACING_RATE caps it, and
 * works without the rest. What goes at once is a millisecond's worth, two segments at least, so
 * that large frames stay large.
 *
 * The time at which the next release is due moves on by what each one takes at the rate, from when
 * it was due and not from when its timer came: a clock with coarse ticks does not slow it down. */
#include "tcp/tcp.h"

#define RELEASES_PER_SEC   1000u /* one holds about a millisecond's worth */
#define RELEASE_MIN_SEGS   2u
#define LATE_MAX_NS        NS_PER_MS /* a release that is later starts the account anew */
#define SLOW_START_PERCENT 200u
#define AVOIDANCE_PERCENT  120u

/* cwnd per round trip, with what it may grow by meanwhile; 0: not known yet. */
static uint64_t window_rate(const struct tcp_conn *c)
{
	bool slow_start = c->cc.cwnd < c->cc.ssthresh / 2;
	uint64_t percent = slow_start ? SLOW_START_PERCENT : AVOIDANCE_PERCENT;

	if (c->srtt_ns == 0)
		return 0;
	return max_u64(c->cc.cwnd * percent / 100 * NS_PER_SEC / c->srtt_ns, 1);
}

void tcp_pace_update(const struct tg *s, struct tcp_conn *c)
{
	uint64_t rate = s->cfg.tcp.pacing ? window_rate(c) : 0;

	c->pace_capped = c->pace_max && (rate == 0 || c->pace_max < rate);
	c->cc.pacing_rate = c->pace_capped ? c->pace_max : rate;
	c->cc.flags &= (uint8_t)~CC_PACED;
	if (c->cc.pacing_rate)
		c->cc.flags |= CC_PACED;
}

bool tcp_pace_holds(const struct tg *s, const struct tcp_conn *c)
{
	if (c->cc.pacing_rate == 0 || s->now_ns >= c->pace_ns)
		return false;
	/* all is acknowledged: a round trip has passed, whatever SRTT has come to be */
	return c->pace_capped || !seq_eq(c->snd.una, c->snd.nxt);
}

bool tcp_pace_wait(struct tg *s, struct tcp_conn *c)
{
	if (!tcp_pace_holds(s, c))
		return false;
	tcp_timers_pace(s, c, c->pace_ns);
	/* [7661 4.1] where the user's cap is the limit, the window is none and must not grow */
	if (c->pace_capped && tcp_pipe(c) < c->cc.cwnd / 2)
		c->cwnd_limited = false;
	return true;
}

void tcp_pace_sent(const struct tg *s, struct tcp_conn *c, uint32_t bytes)
{
	uint64_t from_ns = c->pace_ns;

	if (c->cc.pacing_rate == 0)
		return;
	if (s->now_ns - from_ns > LATE_MAX_NS && s->now_ns > from_ns)
		from_ns = s->now_ns;
	c->pace_ns = sat_add_u64(from_ns, bytes * NS_PER_SEC / c->cc.pacing_rate);
}

uint32_t tcp_pace_release(const struct tcp_conn *c)
{
	uint64_t bytes = c->cc.pacing_rate / RELEASES_PER_SEC;

	if (c->cc.pacing_rate == 0)
		return UINT32_MAX;
	bytes = min_u64(bytes, TCP_WINDOW_MAX);
	return max_u32((uint32_t)(bytes - bytes % c->mss), RELEASE_MIN_SEGS * c->mss);
}
