/* What sim_scenarios.h declares. */
#include "sim_scenarios.h"

struct plan plan;

void both_ways(struct tg_impair **a, struct tg_impair **b)
{
	*a = &plan.wire[0].impair[0];
	*b = &plan.wire[0].impair[1];
}

double seconds(void)
{
	return (double)(sim->progress_ns - 1000 * NS_PER_SEC) / 1e9;
}

bool no_retransmission(void)
{
	return tg_counters(sim->host[0].s)->tcp_retrans_segs +
		       tg_counters(sim->host[1].s)->tcp_retrans_segs ==
	       0;
}
