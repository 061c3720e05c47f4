/* Round-trip time and retransmission timeout (RFC 6298). Which samples are fit (Karn's rule,
 * timestamps) is decided where acknowledgments are processed. */
#include "tcp/tcp.h"

/* [6298 2] G: the clock reads nanoseconds, the timer wheel has ticks of 65.5 us. */
#define RTT_GRANULARITY_NS (1ull << WHEEL_TICK_SHIFT)

uint64_t tcp_rtt_rto(const struct tg *s, const struct tcp_conn *c)
{
	/* [6298 2.3, 4] RTO = SRTT + max(G, 4 * RTTVAR) */
	uint64_t rto_ns = c->srtt_ns + max_u64(RTT_GRANULARITY_NS, 4 * c->rttvar_ns);

	rto_ns = max_u64(rto_ns, s->cfg.tcp.rto_min_ns); /* [6298 2.4] */
	return min_u64(rto_ns, s->cfg.tcp.rto_max_ns);   /* [6298 2.5] */
}

/* [8985-5] The least over the last minutes: of the epoch before and of the one
 * that runs, so that a path that has grown longer is noticed. */
#define MIN_RTT_EPOCH_SHIFT 38 /* 275 s */

void tcp_rtt_min(const struct tg *s, struct tcp_conn *c, uint64_t rtt_ns)
{
	uint32_t epoch = (uint32_t)(s->now_ns >> MIN_RTT_EPOCH_SHIFT);

	if (c->min_rtt_ns == 0 || epoch - c->min_rtt_epoch > 1) {
		c->min_rtt_ns = NEVER_NS; /* nothing known, or of long ago */
		c->min_rtt_next_ns = NEVER_NS;
		c->min_rtt_epoch = epoch;
	} else if (epoch != c->min_rtt_epoch) {
		c->min_rtt_ns = c->min_rtt_next_ns;
		c->min_rtt_next_ns = NEVER_NS;
		c->min_rtt_epoch = epoch;
	}
	rtt_ns = max_u64(rtt_ns, 1);
	c->min_rtt_ns = min_u64(c->min_rtt_ns, rtt_ns);
	c->min_rtt_next_ns = min_u64(c->min_rtt_next_ns, rtt_ns);
}

void tcp_rtt_sample(const struct tg *s, struct tcp_conn *c, uint64_t rtt_ns)
{
	bool first = c->srtt_ns == 0;

	if (first) {
		/* [6298 2.2] the first one */
		c->srtt_ns = max_u64(rtt_ns, 1);
		c->rttvar_ns = rtt_ns / 2;
	} else {
		uint64_t err = c->srtt_ns > rtt_ns ? c->srtt_ns - rtt_ns : rtt_ns - c->srtt_ns;

		/* [6298 2.3] RTTVAR first, then SRTT; beta 1/4, alpha 1/8 */
		c->rttvar_ns = c->rttvar_ns - c->rttvar_ns / 4 + err / 4;
		c->srtt_ns = max_u64(c->srtt_ns - c->srtt_ns / 8 + rtt_ns / 8, 1);
	}
	tcp_rtt_min(s, c, rtt_ns);
	c->tlp_sampled = true;
	c->rto_ns = tcp_rtt_rto(s, c);
	if (first)
		RULE(s, c, RTT_FIRST, rule_us(rtt_ns), rule_us(c->srtt_ns), rule_us(c->rttvar_ns),
			rule_us(c->rto_ns));
	else
		RULE(s, c, RTT_SAMPLE, rule_us(rtt_ns), rule_us(c->srtt_ns), rule_us(c->rttvar_ns),
			rule_us(c->rto_ns));
}

uint64_t tcp_rto(const struct tg *s, const struct tcp_conn *c)
{
	uint64_t rto_ns = c->rto_ns;

	/* [6298 5.5, 9293 MUST-19] doubled for each timeout in a row */
	for (unsigned i = 0; i < c->backoff && rto_ns < s->cfg.tcp.rto_max_ns; i++)
		rto_ns *= 2;
	return min_u64(rto_ns, s->cfg.tcp.rto_max_ns);
}
