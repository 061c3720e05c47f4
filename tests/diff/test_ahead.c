/* Fetching ahead (tcp_ahead.c, tg_input_ahead) from the first connection on against never, in
 * random worlds: not a frame, a moment, a state, a byte or a counter may differ. timeout: 300
 *
 *   test_ahead [--seed N | --seeds FIRST COUNT] */
#include "diff.h"

static struct plan plan;
static struct outcome on, off;

static bool one(uint64_t seed)
{
	static const char *const except[] = {NULL};
	const char *what = NULL;

	plan_draw(&plan, seed);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].cfg.tcp.many_conns = 1;
	outcome_of(&plan, &on);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].cfg.tcp.many_conns = UINT32_MAX;
	outcome_of(&plan, &off);
	if (on.bytes_hash != off.bytes_hash || on.state_hash != off.state_hash)
		what = "other bytes or states with fetching ahead";
	else if (on.wire_hash != off.wire_hash || on.hash != off.hash)
		what = "other output or another trace with fetching ahead";
	for (unsigned h = 0; h < plan.n_hosts && !what; h++)
		what = counters_differ(&on.counters[h], &off.counters[h], except);
	return diff_report(seed, "test_ahead", what, &on, &off);
}

int main(int argc, char **argv)
{
	return diff_main(argc, argv, 3000001, 400, one);
}
